// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Multiboot 1 (Multiboot Specification 0.6.96): the way of small kernels. Flat 32-bit entry, an ELF
 * or a raw image by the header's own addresses, a memory map, a command line and modules.
 */
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/endian.h"
#include "machine/x86/elf.h"

#define MB_SEARCH	   8192 /* 3.1: the header lies within, whole */
#define MB_HEADER_MAGIC	   0x1badb002u
#define MB_HEADER_SIZE	   12
#define MB_HEADER_ADDRS	   BIT(16) /* the five address fields are valid */
#define MB_HEADER_REQUIRED GENMASK(15, 0)
/* Modules on page boundaries (they always are), memory information, video mode (advice). */
#define MB_HEADER_KNOWN	    (BIT(0) | BIT(1) | BIT(2))
#define MB_ADDRS_AT	    12
#define MB_ADDRS_SIZE	    20
#define MB_LOADER_MAGIC	    0x2badb002u /* in EAX */

#define MB_INFO_MEMORY	    BIT(0)
#define MB_INFO_CMDLINE	    BIT(2)
#define MB_INFO_MODULES	    BIT(3)
#define MB_INFO_MAP	    BIT(6)
#define MB_INFO_LOADER_NAME BIT(9)

struct mb_info {
	le32 flags, mem_lower, mem_upper, boot_device, cmdline, nr_modules, modules;
	le32 symbols[4];
	le32 map_length, map, drives_length, drives, config_table, loader_name, apm_table;
};
_Static_assert(sizeof(struct mb_info) == 72, "Multiboot information");

struct mb_module {
	le32 first, end, string, reserved;
};

struct mb_map {
	le32 size; /* of what follows */
	le64 addr, len;
	le32 type;
};
_Static_assert(sizeof(struct mb_map) == 24, "Multiboot memory map entry");

/* As they lie one behind the other at LAYOUT_START_INFO. */
struct mb_page {
	struct mb_info info;
	struct mb_module module;
	struct mb_map map[BOOT_MEMORY_MAX];
	char loader_name[16];
	char module_string[96];
};

struct mb_header {
	uint64_t at; /* in the file */
	uint32_t flags;
	/* With MB_HEADER_ADDRS. */
	uint64_t header_addr, load_addr, load_end, bss_end, entry;
};

static bool mb_find(const struct boot_head *head, struct mb_header *h)
{
	uint64_t len = min_u64(head->len, MB_SEARCH);

	for (uint64_t at = 0; at + MB_HEADER_SIZE <= len; at += 4) {
		const uint8_t *p = head->bytes + at;
		uint32_t sum;

		if (le_load(p, 4) != MB_HEADER_MAGIC)
			continue;
		sum = (uint32_t)(le_load(p, 4) + le_load(p + 4, 4) + le_load(p + 8, 4));
		if (sum)
			continue;
		h->at = at;
		h->flags = (uint32_t)le_load(p + 4, 4);
		return true;
	}
	return false;
}

static bool mb_claims(const struct boot_head *head)
{
	struct mb_header h;

	return mb_find(head, &h);
}

static int mb_refuse(const struct boot_image *image, const char *why, struct diag *diag)
{
	diag_set(diag, -ENOEXEC, image->kernel.name, "is a damaged Multiboot image: %s", why);
	return diag_remedy(diag, -ENOEXEC, "build the file again");
}

/* Either *elf (nr_segments > 0) or the header's addresses say where things go. */
static int mb_examine(struct boot_image *image, const struct boot_head *head, struct mb_header *h,
		      struct elf *elf, struct diag *diag)
{
	const uint8_t *p;
	const char *why = "its program headers lie too far behind its beginning";
	uint64_t entry;
	int err;

	memset(elf, 0, sizeof(*elf));
	if (!mb_find(head, h))
		return mb_refuse(image, "its header is gone", diag);
	if (h->flags & MB_HEADER_REQUIRED & ~MB_HEADER_KNOWN)
		return diag_set(diag, -ENOEXEC, image->kernel.name,
				"requires Multiboot features that do not exist (flags %#x)",
				h->flags);
	if (!(h->flags & MB_HEADER_ADDRS)) {
		err = elf_parse(head->bytes, head->len, image->kernel.size, elf, &why);
		if (err)
			return mb_refuse(image, why, diag);
		if (elf->machine != EM_386 && elf->machine != EM_X86_64)
			return diag_set(diag, -ENOEXEC, image->kernel.name,
					"is an ELF for %s, not for x86",
					elf_machine_name(elf->machine));
		if (elf_entry_paddr(elf, elf->entry, &entry) || entry > UINT32_MAX)
			return mb_refuse(image, "its entry point lies in no segment", diag);
		h->entry = entry;
		return 0;
	}
	if (head->len < h->at + MB_ADDRS_AT + MB_ADDRS_SIZE)
		return mb_refuse(image, "it ends within its header", diag);
	p = head->bytes + h->at + MB_ADDRS_AT;
	h->header_addr = le_load(p, 4);
	h->load_addr = le_load(p + 4, 4);
	h->load_end = le_load(p + 8, 4);
	h->bss_end = le_load(p + 12, 4);
	h->entry = le_load(p + 16, 4);
	if (h->load_addr > h->header_addr || h->header_addr - h->load_addr > h->at)
		return mb_refuse(image, "its load address does not fit its header", diag);
	if (!h->load_end)
		h->load_end = h->load_addr + image->kernel.size -
			      (h->at - (h->header_addr - h->load_addr));
	if (h->load_end <= h->load_addr || h->load_end > UINT32_MAX)
		return mb_refuse(image, "it ends before it begins", diag);
	h->bss_end = max_u64(h->bss_end, h->load_end);
	if (h->entry < h->load_addr || h->entry >= h->bss_end)
		return mb_refuse(image, "its entry point lies outside", diag);
	return 0;
}

static int mb_check(struct boot_image *image, const struct boot_head *head, struct diag *diag)
{
	struct elf *elf = malloc(sizeof(*elf));
	struct mb_header h;
	int err;

	if (!elf)
		return diag_set(diag, -ENOMEM, image->kernel.name, "%s", strerror(ENOMEM));
	err = mb_examine(image, head, &h, elf, diag);
	if (!err)
		snprintf(image->what, sizeof(image->what), "Multiboot 1, %s",
			 elf->nr_segments ? "ELF" : "raw");
	free(elf);
	return err;
}

static int mb_place_raw(struct boot_load *load, const struct mb_header *h, struct range *kernel)
{
	const struct boot_file *file = &load->image->kernel;
	uint64_t offset = h->at - (h->header_addr - h->load_addr);
	uint64_t size = h->bss_end - h->load_addr;

	if (h->load_addr < LAYOUT_KERNEL_MIN)
		return diag_set(load->diag, -ENOEXEC, file->name,
				"wants to be loaded at %#" PRIx64
				", below 1 MiB, where its boot information goes",
				h->load_addr);
	if (!ram_span(load->ram, gpa(h->load_addr), size)) {
		diag_set(load->diag, -ENOMEM, file->name,
			 "wants memory at %#" PRIx64 "-%#" PRIx64 ", where the guest has none",
			 h->load_addr, h->bss_end - 1);
		return diag_remedy(load->diag, -ENOMEM, "give the guest more (--memory)");
	}
	*kernel = range_of(h->load_addr, size);
	return boot_file_place(file, offset, load->ram, gpa(h->load_addr),
			       h->load_end - h->load_addr, load->diag);
}

/* Its first word is the image's name, as every loader has it. */
static int mb_place_cmdline(struct boot_load *load)
{
	const char *name = boot_file_base(load->image->kernel.name);
	size_t size = strlen(name) + 1 + strlen(load->image->cmdline) + 1;
	char *line = malloc(size);
	int err;

	if (!line)
		return diag_set(load->diag, -ENOMEM, load->image->kernel.name, "%s",
				strerror(ENOMEM));
	snprintf(line, size, "%s%s%s", name, *load->image->cmdline ? " " : "",
		 load->image->cmdline);
	err = boot_place_cmdline(load, line, LAYOUT_CMDLINE_MAX - 1);
	free(line);
	return err;
}

static int mb_place_info(struct boot_load *load, const struct range *module)
{
	uint64_t page = LAYOUT_START_INFO;
	struct boot_memory map[BOOT_MEMORY_MAX];
	unsigned int nr = boot_memory_map(load->ram, map);
	uint32_t flags = MB_INFO_MEMORY | MB_INFO_CMDLINE | MB_INFO_MAP | MB_INFO_LOADER_NAME;
	struct mb_page p = { .loader_name = "airlock" };

#define AT(member) le32_make((uint32_t)(page + offsetof(struct mb_page, member)))
	if (module) {
		flags |= MB_INFO_MODULES;
		p.info.nr_modules = le32_make(1);
		p.info.modules = AT(module);
		p.module.first = le32_make((uint32_t)module->first);
		p.module.end = le32_make((uint32_t)module->last + 1);
		p.module.string = AT(module_string);
		snprintf(p.module_string, sizeof(p.module_string), "%s",
			 boot_file_base(load->image->initrd.name));
	}
	p.info.flags = le32_make(flags);
	p.info.mem_lower = le32_make(LAYOUT_LOW_RAM_END >> 10);
	p.info.mem_upper =
		le32_make((uint32_t)((boot_low_last(load->ram) + 1 - LAYOUT_KERNEL_MIN) >> 10));
	p.info.cmdline = le32_make(LAYOUT_CMDLINE);
	p.info.map_length = le32_make((uint32_t)(nr * sizeof(struct mb_map)));
	p.info.map = AT(map);
	p.info.loader_name = AT(loader_name);
#undef AT
	for (unsigned int i = 0; i < nr; i++) {
		p.map[i].size = le32_make(sizeof(struct mb_map) - sizeof(le32));
		p.map[i].addr = le64_make(map[i].range.first);
		p.map[i].len = le64_make(range_len(map[i].range));
		p.map[i].type = le32_make(map[i].type);
	}
	_Static_assert(sizeof(p) <= LAYOUT_BOOT_PARAMS - LAYOUT_START_INFO, "one page");
	return ram_write(load->ram, gpa(page), &p, sizeof(p));
}

static int mb_load(struct boot_load *load)
{
	struct elf *elf = malloc(sizeof(*elf));
	struct range kernel, module;
	struct mb_header h;
	int err;

	if (!elf)
		return diag_set(load->diag, -ENOMEM, load->image->kernel.name, "%s",
				strerror(ENOMEM));
	err = mb_examine(load->image, load->head, &h, elf, load->diag);
	if (!err && elf->nr_segments)
		err = elf_place(load, elf, &kernel);
	else if (!err)
		err = mb_place_raw(load, &h, &kernel);
	free(elf);
	if (err)
		return err;
	err = mb_place_cmdline(load);
	if (err)
		return err;
	err = boot_place_initrd(load, (struct range){ kernel.last + 1, boot_low_last(load->ram) },
				true, &module);
	if (err)
		return err;
	err = mb_place_info(load, load->image->initrd.fd >= 0 ? &module : NULL);
	if (err)
		return err;
	err = boot_enter_protected32(load, h.entry);
	load->entry->rax = MB_LOADER_MAGIC;
	load->entry->rbx = LAYOUT_START_INFO;
	return err;
}

const struct boot_loader multiboot_loader = {
	.claims = mb_claims,
	.check = mb_check,
	.load = mb_load,
};
