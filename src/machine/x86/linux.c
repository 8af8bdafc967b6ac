// SPDX-License-Identifier: GPL-2.0-or-later
/* Linux bzImage by the 64-bit boot protocol (Documentation/arch/x86/boot.rst). */
#include "machine/x86/linux.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/endian.h"
#include "machine/x86/linux_regs.h"

/* An init_size beyond this is not a kernel: the kernel's own map of itself has 1 GiB. */
#define LINUX_INIT_SIZE_MAX GIB(1)

static uint64_t field(const struct boot_head *head, unsigned int at, unsigned int bytes)
{
	return le_load(head->bytes + at, bytes);
}

static bool linux_claims(const struct boot_head *head)
{
	return field(head, LINUX_BOOT_FLAG, 2) == LINUX_BOOT_FLAG_MAGIC &&
	       field(head, LINUX_HEADER, 4) == LINUX_HEADER_MAGIC;
}

static int linux_refuse(const struct boot_image *image, struct diag *diag, const char *why)
{
	diag_set(diag, -ENOEXEC, image->kernel.name, "is a damaged Linux kernel: %s", why);
	return diag_remedy(diag, -ENOEXEC, "copy or build the file again");
}

int linux_header_check(const struct boot_image *image, const struct boot_head *head,
		       struct linux_header *header, struct diag *diag)
{
	const struct boot_file *file = &image->kernel;
	uint64_t sectors = field(head, LINUX_SETUP_SECTS, 1);
	uint64_t payload, promised;
	struct linux_header h;

	if (head->len < LINUX_HEADER_END)
		return linux_refuse(image, diag, "it ends within its header");
	if (field(head, LINUX_VERSION, 2) < LINUX_VERSION_64 ||
	    !(field(head, LINUX_XLOADFLAGS, 2) & LINUX_XLF_KERNEL_64)) {
		diag_set(
			diag, -ENOEXEC, file->name,
			"is a Linux kernel without a 64-bit entry: an i386 one, or older than 3.8");
		return diag_remedy(diag, -ENOEXEC, "take a kernel for x86-64 (amd64)");
	}
	h.kernel_offset = ((sectors ? sectors : LINUX_SETUP_SECTS_DEFAULT) + 1) * LINUX_SECTOR;
	promised = field(head, LINUX_SYSSIZE, 4) * 16;
	/* The size is rounded up to its unit of 16. */
	if (file->size <= h.kernel_offset + LINUX_ENTRY_64 ||
	    file->size + 15 < h.kernel_offset + promised) {
		diag_set(diag, -ENODATA, file->name,
			 "is truncated: its header promises %" PRIu64
			 " bytes, the file has %" PRIu64,
			 h.kernel_offset + promised, file->size);
		return diag_remedy(diag, -ENODATA, "copy or build the file again");
	}
	h.kernel_size = file->size - h.kernel_offset;
	h.pref_address = field(head, LINUX_PREF_ADDRESS, 8);
	h.init_size = field(head, LINUX_INIT_SIZE, 4);
	h.alignment = field(head, LINUX_KERNEL_ALIGNMENT, 4);
	h.relocatable = field(head, LINUX_RELOCATABLE, 1);
	h.above_4g = field(head, LINUX_XLOADFLAGS, 2) & LINUX_XLF_ABOVE_4G;
	h.cmdline_max = field(head, LINUX_CMDLINE_SIZE, 4);
	h.initrd_last = field(head, LINUX_INITRD_ADDR_MAX, 4);
	if (!is_power_of_2(h.alignment) || !is_aligned(h.pref_address, h.alignment))
		return linux_refuse(image, diag, "its preferred address is not aligned");
	if (h.pref_address < LAYOUT_KERNEL_MIN || h.pref_address >= RAM_HOLE)
		return linux_refuse(image, diag, "its preferred address is no place for a kernel");
	if (h.init_size > LINUX_INIT_SIZE_MAX || h.kernel_size > LINUX_INIT_SIZE_MAX)
		return linux_refuse(image, diag, "it wants more than 1 GiB to start");
	h.init_size = max_u64(h.init_size, h.kernel_size);
	payload = field(head, LINUX_PAYLOAD_OFFSET, 4);
	h.payload_size = field(head, LINUX_PAYLOAD_LENGTH, 4);
	h.payload_offset = h.kernel_offset + payload;
	if (payload > h.kernel_size || h.payload_size > h.kernel_size - payload)
		return linux_refuse(image, diag, "its payload lies outside the file");
	*header = h;
	return 0;
}

/* The version string lies in the setup code; it is somebody else's text. */
static void linux_version(const struct boot_image *image, const struct boot_head *head,
			  const struct linux_header *header, char *text, size_t size)
{
	uint64_t at = field(head, LINUX_KERNEL_VERSION, 2) + 0x200;
	size_t n = 0;

	memset(text, 0, size);
	if (at == 0x200 || at >= header->kernel_offset || at >= image->kernel.size)
		return;
	if (boot_file_read(&image->kernel, at, text, min_u64(size - 1, image->kernel.size - at),
			   NULL))
		return;
	while (isgraph((unsigned char)text[n]))
		n++;
	text[n] = '\0';
}

static void linux_say_what(struct boot_image *image, const struct boot_head *head,
			   const struct linux_header *header, const char *how)
{
	char version[64];

	linux_version(image, head, header, version, sizeof(version));
	snprintf(image->what, sizeof(image->what), "Linux %s, bzImage%s%s",
		 version[0] ? version : "(no version)", *how ? ", " : "", how);
}

static int linux_check(struct boot_image *image, const struct boot_head *head, struct diag *diag)
{
	struct linux_header header;
	int err = linux_header_check(image, head, &header, diag);

	if (!err)
		linux_say_what(image, head, &header, "");
	return err;
}

bool linux_cmdline_has(const char *cmdline, const char *name)
{
	size_t len = strlen(name);
	bool prefix = name[len - 1] == '=';

	for (const char *at = cmdline; (at = strstr(at, name)); at += len) {
		if (at != cmdline && !isspace((unsigned char)at[-1]))
			continue;
		if (prefix || !at[len] || isspace((unsigned char)at[len]))
			return true;
	}
	return false;
}

static void linux_put_e820(uint8_t *params, const struct ram *ram)
{
	struct boot_memory map[BOOT_MEMORY_MAX];
	unsigned int nr = boot_memory_map(ram, map);

	params[LINUX_E820_ENTRIES] = (uint8_t)nr;
	for (unsigned int i = 0; i < nr; i++) {
		uint8_t *entry = params + LINUX_E820_TABLE + i * LINUX_E820_ENTRY_SIZE;

		le_store(entry, 8, map[i].range.first);
		le_store(entry + 8, 8, range_len(map[i].range));
		le_store(entry + 16, 4, map[i].type);
	}
}

/*
 * The initrd goes to the top of the memory below the hole that the kernel leaves free, or, if it
 * does not fit there and the kernel can reach it, to the top of all memory.
 */
static int linux_place_initrd(struct boot_load *load, const struct linux_header *header,
			      struct range kernel, uint64_t *at)
{
	bool anywhere = !header || header->above_4g;
	uint64_t limit = boot_low_last(load->ram);
	struct range room = { LAYOUT_KERNEL_MIN, limit };
	struct range place = { 0 };
	uint64_t size = load->image->initrd.size;
	int err;

	if (load->image->initrd.fd < 0)
		return 0;
	if (!anywhere)
		room.last = limit = min_u64(limit, header->initrd_last);
	if (range_overlaps(room, kernel)) {
		/* Above the kernel, or else below it. */
		room.first = kernel.last + 1;
		if (room.first > limit || limit - room.first < size + PAGE_SIZE)
			room = (struct range){ LAYOUT_KERNEL_MIN, kernel.first - 1 };
		if (room.last <= room.first || room.last - room.first < size + PAGE_SIZE)
			room = (struct range){ kernel.last + 1, limit };
	}
	if (anywhere && load->ram->nr_regions > 1 &&
	    (room.last <= room.first || room.last - room.first < size + PAGE_SIZE)) {
		room = load->ram->regions[load->ram->nr_regions - 1].gpa;
		if (range_overlaps(room, kernel))
			room.first = kernel.last + 1;
	}
	err = boot_place_initrd(load, room, false, &place);
	*at = place.first;
	return err;
}

/*
 * A seed for the guest's random numbers, so that nothing in it has to wait for them. A kernel that
 * does not know it passes it over. Returns where it is; 0 when there is none to be had.
 */
static uint64_t linux_put_seed(const struct ram *ram)
{
	uint8_t data[LINUX_SETUP_DATA_HEAD + 32] = { 0 };

	le_store(data + 8, 4, LINUX_SETUP_RNG_SEED);
	le_store(data + 12, 4, sizeof(data) - LINUX_SETUP_DATA_HEAD);
	if (getrandom(data + LINUX_SETUP_DATA_HEAD, sizeof(data) - LINUX_SETUP_DATA_HEAD, 0) !=
		    (ssize_t)sizeof(data) - LINUX_SETUP_DATA_HEAD ||
	    ram_write(ram, gpa(LAYOUT_SETUP_DATA), data, sizeof(data)))
		return 0;
	explicit_bzero(data, sizeof(data));
	return LAYOUT_SETUP_DATA;
}

int linux_enter(struct boot_load *load, const struct linux_header *header, struct range kernel,
		uint64_t rip, bool kaslr)
{
	/* A vmlinux has no header to ask: what every kernel of this century takes. */
	uint64_t cmdline_max = header ? header->cmdline_max : 2047;
	uint8_t *params = ram_span(load->ram, gpa(LAYOUT_BOOT_PARAMS), LINUX_PARAMS_SIZE);
	uint64_t initrd = 0, initrd_size = 0;
	uint8_t flags;
	int err;

	if (!params)
		return -EFAULT;
	err = boot_place_cmdline(load, load->image->cmdline, cmdline_max);
	if (err)
		return err;
	err = linux_place_initrd(load, header, kernel, &initrd);
	if (err)
		return err;
	if (load->image->initrd.fd >= 0)
		initrd_size = load->image->initrd.size;

	memset(params, 0, LINUX_PARAMS_SIZE);
	if (header) {
		uint64_t end = LINUX_HEADER + field(load->head, LINUX_JUMP + 1, 1);

		memcpy(params + LINUX_SETUP_SECTS, load->head->bytes + LINUX_SETUP_SECTS,
		       min_u64(end, LINUX_HEADER_END) - LINUX_SETUP_SECTS);
	} else {
		le_store(params + LINUX_BOOT_FLAG, 2, LINUX_BOOT_FLAG_MAGIC);
		le_store(params + LINUX_HEADER, 4, LINUX_HEADER_MAGIC);
		le_store(params + LINUX_VERSION, 2, LINUX_VERSION_64);
		le_store(params + LINUX_CMDLINE_SIZE, 4, cmdline_max);
		le_store(params + LINUX_KERNEL_ALIGNMENT, 4, MIB(2));
	}
	params[LINUX_TYPE_OF_LOADER] = LINUX_LOADER_UNDEFINED;
	flags = params[LINUX_LOADFLAGS] | LINUX_LOADED_HIGH;
	flags &= (uint8_t) ~(LINUX_KASLR | LINUX_CAN_USE_HEAP);
	params[LINUX_LOADFLAGS] = flags | (kaslr ? LINUX_KASLR : 0);
	le_store(params + LINUX_CODE32_START, 4, kernel.first);
	le_store(params + LINUX_SETUP_DATA, 8, linux_put_seed(load->ram));
	le_store(params + LINUX_CMD_LINE_PTR, 4, LAYOUT_CMDLINE);
	le_store(params + LINUX_RAMDISK_IMAGE, 4, initrd);
	le_store(params + LINUX_EXT_RAMDISK_IMAGE, 4, initrd >> 32);
	le_store(params + LINUX_RAMDISK_SIZE, 4, initrd_size);
	le_store(params + LINUX_EXT_RAMDISK_SIZE, 4, initrd_size >> 32);
	le_store(params + LINUX_ACPI_RSDP, 8, load->rsdp.v);
	linux_put_e820(params, load->ram);

	err = boot_enter_long64(load, rip, kernel);
	load->entry->rsi = LAYOUT_BOOT_PARAMS;
	return err;
}

/* As it is: the guest unpacks the kernel itself, and finds a random place for it. */
static int linux_load_packed(struct boot_load *load, const struct linux_header *header)
{
	struct range kernel = range_of(header->pref_address, header->init_size);
	int err;

	if (!ram_span(load->ram, gpa(kernel.first), header->init_size)) {
		diag_set(load->diag, -ENOMEM, load->image->kernel.name,
			 "does not fit: it needs memory up to %" PRIu64
			 " MiB to start, the guest has %" PRIu64 " MiB",
			 (kernel.last >> 20) + 1, (boot_low_last(load->ram) + 1) >> 20);
		return diag_remedy(load->diag, -ENOMEM, "give the guest more (--memory)");
	}
	err = boot_file_place(&load->image->kernel, header->kernel_offset, load->ram,
			      gpa(kernel.first), header->kernel_size, load->diag);
	if (err)
		return err;
	return linux_enter(load, header, kernel, kernel.first + LINUX_ENTRY_64, false);
}

static int linux_load(struct boot_load *load)
{
	enum boot_unpack unpack = load->image->unpack;
	struct linux_header header;
	const char *why = NULL;
	char how[128];
	int err = linux_header_check(load->image, load->head, &header, load->diag);

	if (err)
		return err;
	if (unpack != BOOT_UNPACK_NEVER) {
		err = linux_unpack(load, &header, &why);
		if (!err)
			linux_say_what(load->image, load->head, &header, "unpacked by the host");
		if (err != -EAGAIN)
			return err;
	}
	if (unpack == BOOT_UNPACK_ALWAYS) {
		diag_set(load->diag, -EOPNOTSUPP, load->image->kernel.name,
			 "cannot be unpacked on the host: %s", why);
		return diag_remedy(load->diag, -EOPNOTSUPP, "let the guest unpack it");
	}
	snprintf(how, sizeof(how), "unpacked by the guest%s%s%s", why ? " (" : "", why ? why : "",
		 why ? ")" : "");
	linux_say_what(load->image, load->head, &header, how);
	return linux_load_packed(load, &header);
}

const struct boot_loader linux_loader = {
	.claims = linux_claims,
	.check = linux_check,
	.load = linux_load,
};
