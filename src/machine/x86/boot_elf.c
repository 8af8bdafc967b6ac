// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ELF kernels: by their PVH note (Xen's docs/misc/pvh.pandoc, public/arch-x86/hvm/start_info.h),
 * or, a 64-bit one without it, as a Linux vmlinux by boot_params.
 */
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/endian.h"
#include "machine/x86/elf.h"
#include "machine/x86/linux.h"

#define NOTE_XEN	  "Xen"
#define NOTE_PHYS32_ENTRY 18
/* All notes of a kernel together are smaller by far. */
#define NOTES_MAX	   KIB(64)

#define START_INFO_MAGIC   0x336ec578u
#define START_INFO_VERSION 1

struct start_info {
	le32 magic, version, flags, nr_modules;
	le64 modules, cmdline, rsdp;
	le64 memory_map; /* version 1 */
	le32 nr_memory_map, reserved;
};
_Static_assert(sizeof(struct start_info) == 56, "hvm_start_info");

struct start_module {
	le64 addr, size, cmdline, reserved;
};
_Static_assert(sizeof(struct start_module) == 32, "hvm_modlist_entry");

struct start_memory {
	le64 addr, size;
	le32 type, reserved;
};
_Static_assert(sizeof(struct start_memory) == 24, "hvm_memmap_table_entry");

/* As they lie one behind the other at LAYOUT_START_INFO. */
struct start_page {
	struct start_info info;
	struct start_module module;
	struct start_memory memory[BOOT_MEMORY_MAX];
};

static bool elf_claims(const struct boot_head *head)
{
	return elf_has_magic(head->bytes);
}

static int elf_refuse_damaged(const struct boot_image *image, const char *why, struct diag *diag)
{
	diag_set(diag, -ENOEXEC, image->kernel.name, "is a damaged ELF: %s", why);
	return diag_remedy(diag, -ENOEXEC, "copy or build the file again");
}

/* Walks one note segment. True with *entry when the note is in it. */
static bool note_find(const uint8_t *notes, uint64_t len, uint64_t *entry)
{
	uint64_t at = 0;

	while (len - at >= sizeof(Elf64_Nhdr)) {
		uint64_t name_size = le_load(notes + at, 4);
		uint64_t desc_size = le_load(notes + at + 4, 4);
		uint64_t type = le_load(notes + at + 8, 4);
		uint64_t name = at + sizeof(Elf64_Nhdr);
		uint64_t desc = name + align_up(name_size, 4);
		uint64_t next = desc + align_up(desc_size, 4);

		/* Sizes have 32 bits and sums 64: nothing wraps. */
		if (desc + desc_size > len)
			return false;
		if (type == NOTE_PHYS32_ENTRY && name_size == sizeof(NOTE_XEN) &&
		    !memcmp(notes + name, NOTE_XEN, sizeof(NOTE_XEN)) &&
		    (desc_size == 4 || desc_size == 8)) {
			*entry = le_load(notes + desc, (unsigned int)desc_size);
			return true;
		}
		if (next >= len)
			return false;
		at = next;
	}
	return false;
}

/* 1 with *entry, 0 when there is no such note, or -errno with diag filled. */
static int pvh_entry(const struct boot_image *image, const struct elf *elf, uint64_t *entry,
		     struct diag *diag)
{
	for (unsigned int i = 0; i < elf->nr_segments; i++) {
		const struct elf_segment *s = &elf->segments[i];
		uint64_t len = min_u64(s->file_size, NOTES_MAX);
		uint8_t *notes;
		bool found;
		int err;

		if (s->type != PT_NOTE || !len)
			continue;
		notes = malloc(len);
		if (!notes)
			return diag_set(diag, -ENOMEM, image->kernel.name, "%s", strerror(ENOMEM));
		err = boot_file_read(&image->kernel, s->offset, notes, len, diag);
		found = !err && note_find(notes, len, entry);
		free(notes);
		if (err || found)
			return err ? err : 1;
	}
	return 0;
}

/* 0 with the physical entry point and how to enter it, or -errno with diag filled. */
static int elf_examine(struct boot_image *image, const struct boot_head *head, struct elf *elf,
		       bool *pvh, uint64_t *entry, struct diag *diag)
{
	const char *why = "its program headers lie too far behind its beginning";
	int err = elf_parse(head->bytes, head->len, image->kernel.size, elf, &why);

	if (err)
		return elf_refuse_damaged(image, why, diag);
	if (elf->machine != EM_X86_64 && elf->machine != EM_386) {
		diag_set(diag, -ENOEXEC, image->kernel.name, "is an ELF for %s, not for x86-64",
			 elf_machine_name(elf->machine));
		return diag_remedy(diag, -ENOEXEC, "take a kernel for x86-64 (amd64)");
	}
	err = pvh_entry(image, elf, entry, diag);
	if (err < 0)
		return err;
	*pvh = err;
	if (!*pvh && (!elf->is_64 || elf->machine != EM_X86_64)) {
		diag_set(diag, -ENOEXEC, image->kernel.name,
			 "is an i386 ELF with neither a Multiboot header nor a PVH note");
		return diag_remedy(diag, -ENOEXEC, "take a kernel for x86-64 (amd64)");
	}
	if (!*pvh)
		*entry = elf->entry;
	if (elf_entry_paddr(elf, *entry, entry))
		return elf_refuse_damaged(image, "its entry point lies in no segment", diag);
	if (*pvh && *entry > UINT32_MAX)
		return elf_refuse_damaged(image, "its PVH entry point lies beyond 4 GiB", diag);
	return 0;
}

static int elf_check(struct boot_image *image, const struct boot_head *head, struct diag *diag)
{
	struct elf elf;
	uint64_t entry;
	bool pvh;
	int err = elf_examine(image, head, &elf, &pvh, &entry, diag);

	if (!err)
		snprintf(image->what, sizeof(image->what), "%s",
			 pvh ? "ELF with a PVH entry" : "Linux vmlinux by its 64-bit entry");
	return err;
}

static int pvh_load(struct boot_load *load, struct range kernel, uint64_t entry)
{
	uint64_t page = LAYOUT_START_INFO;
	struct boot_memory map[BOOT_MEMORY_MAX];
	unsigned int nr = boot_memory_map(load->ram, map);
	struct range room = { kernel.last + 1, boot_low_last(load->ram) };
	struct start_page p = {
		.info = {
			.magic = le32_make(START_INFO_MAGIC),
			.version = le32_make(START_INFO_VERSION),
			.cmdline = le64_make(LAYOUT_CMDLINE),
			.rsdp = le64_make(load->rsdp.v),
			.memory_map = le64_make(page + offsetof(struct start_page, memory)),
			.nr_memory_map = le32_make(nr),
		},
	};
	struct range initrd;
	int err;

	err = boot_place_cmdline(load, load->image->cmdline, LAYOUT_CMDLINE_MAX - 1);
	if (err)
		return err;
	err = boot_place_initrd(load, room, true, &initrd);
	if (err)
		return err;
	if (load->image->initrd.fd >= 0) {
		p.info.nr_modules = le32_make(1);
		p.info.modules = le64_make(page + offsetof(struct start_page, module));
		p.module.addr = le64_make(initrd.first);
		p.module.size = le64_make(range_len(initrd));
	}
	for (unsigned int i = 0; i < nr; i++) {
		p.memory[i].addr = le64_make(map[i].range.first);
		p.memory[i].size = le64_make(range_len(map[i].range));
		p.memory[i].type = le32_make(map[i].type);
	}
	err = ram_write(load->ram, gpa(page), &p, sizeof(p));
	if (err)
		return err;
	err = boot_enter_protected32(load, entry);
	load->entry->rbx = page;
	return err;
}

static int elf_load(struct boot_load *load)
{
	struct range kernel;
	uint64_t entry;
	struct elf elf;
	bool pvh;
	int err = elf_examine(load->image, load->head, &elf, &pvh, &entry, load->diag);

	if (err)
		return err;
	err = elf_place(load, &elf, &kernel);
	if (err)
		return err;
	if (pvh)
		return pvh_load(load, kernel, entry);
	return linux_enter(load, NULL, kernel, entry, false);
}

const struct boot_loader elf_loader = {
	.claims = elf_claims,
	.check = elf_check,
	.load = elf_load,
};
