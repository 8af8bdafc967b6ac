// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/x86/elf.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/endian.h"

static const struct {
	uint16_t machine;
	const char *name;
} machines[] = {
	{ EM_386, "i386" },	    { EM_X86_64, "x86-64" }, { EM_AARCH64, "arm64" },
	{ EM_ARM, "32-bit ARM" },   { EM_RISCV, "RISC-V" },  { EM_PPC, "PowerPC" },
	{ EM_PPC64, "PowerPC 64" }, { EM_S390, "s390" },     { EM_MIPS, "MIPS" },
	{ EM_SPARCV9, "SPARC 64" }, { EM_IA_64, "Itanium" }, { 258, "LoongArch" },
};

const char *elf_machine_name(uint16_t machine)
{
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++)
		if (machines[i].machine == machine)
			return machines[i].name;
	return "another machine";
}

bool elf_has_magic(const uint8_t *bytes)
{
	return !memcmp(bytes, ELFMAG, SELFMAG);
}

static uint64_t get32(const uint8_t *p, size_t at)
{
	return le_load(p + at, 4);
}

static uint64_t get64(const uint8_t *p, size_t at)
{
	return le_load(p + at, 8);
}

#define GET64(p, type, field) get64(p, offsetof(type, field))
#define GET32(p, type, field) get32(p, offsetof(type, field))

static struct elf_segment segment_get(const uint8_t *p, bool is_64)
{
	if (is_64)
		return (struct elf_segment){
			.type = (uint32_t)GET32(p, Elf64_Phdr, p_type),
			.offset = GET64(p, Elf64_Phdr, p_offset),
			.file_size = GET64(p, Elf64_Phdr, p_filesz),
			.vaddr = GET64(p, Elf64_Phdr, p_vaddr),
			.paddr = GET64(p, Elf64_Phdr, p_paddr),
			.size = GET64(p, Elf64_Phdr, p_memsz),
		};
	return (struct elf_segment){
		.type = (uint32_t)GET32(p, Elf32_Phdr, p_type),
		.offset = GET32(p, Elf32_Phdr, p_offset),
		.file_size = GET32(p, Elf32_Phdr, p_filesz),
		.vaddr = GET32(p, Elf32_Phdr, p_vaddr),
		.paddr = GET32(p, Elf32_Phdr, p_paddr),
		.size = GET32(p, Elf32_Phdr, p_memsz),
	};
}

static int elf_refuse(const char **why, const char *text)
{
	*why = text;
	return -ENOEXEC;
}

/* Grows elf->end to cover a part of the file; false when the part lies outside. */
static bool elf_cover(struct elf *elf, uint64_t offset, uint64_t len, uint64_t size)
{
	uint64_t end;

	if (__builtin_add_overflow(offset, len, &end) || end > size)
		return false;
	elf->end = max_u64(elf->end, end);
	return true;
}

int elf_parse(const uint8_t *bytes, uint64_t len, uint64_t size, struct elf *elf, const char **why)
{
	uint64_t phoff, phnum, phentsize, shoff, shnum, shentsize, entry_size;

	memset(elf, 0, sizeof(*elf));
	if (len < sizeof(Elf64_Ehdr) || !elf_has_magic(bytes))
		return elf_refuse(why, "it ends within its ELF header");
	if (bytes[EI_CLASS] != ELFCLASS32 && bytes[EI_CLASS] != ELFCLASS64)
		return elf_refuse(why, "its ELF class is unknown");
	if (bytes[EI_DATA] != ELFDATA2LSB)
		return elf_refuse(why, "it is a big-endian ELF");
	elf->is_64 = bytes[EI_CLASS] == ELFCLASS64;
	/* These lie at the same place in both. */
	elf->machine = (uint16_t)le_load(bytes + offsetof(Elf64_Ehdr, e_machine), 2);
	if (le_load(bytes + offsetof(Elf64_Ehdr, e_type), 2) == ET_REL)
		return elf_refuse(why, "it is an object file, not linked");
	if (elf->is_64) {
		elf->entry = GET64(bytes, Elf64_Ehdr, e_entry);
		phoff = GET64(bytes, Elf64_Ehdr, e_phoff);
		shoff = GET64(bytes, Elf64_Ehdr, e_shoff);
		phentsize = le_load(bytes + offsetof(Elf64_Ehdr, e_phentsize), 2);
		phnum = le_load(bytes + offsetof(Elf64_Ehdr, e_phnum), 2);
		shentsize = le_load(bytes + offsetof(Elf64_Ehdr, e_shentsize), 2);
		shnum = le_load(bytes + offsetof(Elf64_Ehdr, e_shnum), 2);
		entry_size = sizeof(Elf64_Phdr);
	} else {
		elf->entry = GET32(bytes, Elf32_Ehdr, e_entry);
		phoff = GET32(bytes, Elf32_Ehdr, e_phoff);
		shoff = GET32(bytes, Elf32_Ehdr, e_shoff);
		phentsize = le_load(bytes + offsetof(Elf32_Ehdr, e_phentsize), 2);
		phnum = le_load(bytes + offsetof(Elf32_Ehdr, e_phnum), 2);
		shentsize = le_load(bytes + offsetof(Elf32_Ehdr, e_shentsize), 2);
		shnum = le_load(bytes + offsetof(Elf32_Ehdr, e_shnum), 2);
		entry_size = sizeof(Elf32_Phdr);
	}
	if (!phnum)
		return elf_refuse(why, "it has no program headers");
	if (phnum > ELF_SEGMENTS_MAX)
		return elf_refuse(why, "it has too many program headers");
	if (phentsize < entry_size)
		return elf_refuse(why, "its program headers are too small");
	if (!elf_cover(elf, phoff, phnum * phentsize, size))
		return elf_refuse(why, "its program headers lie outside the file");
	if (elf->end > len)
		return -ENODATA;
	/* Section headers are not used; a file without them is as good. */
	if (shoff && shnum)
		elf_cover(elf, shoff, shnum * shentsize, size);
	for (uint64_t i = 0; i < phnum; i++) {
		struct elf_segment s = segment_get(bytes + phoff + i * phentsize, elf->is_64);

		if (s.type != PT_LOAD && s.type != PT_NOTE)
			continue;
		if (s.file_size && !elf_cover(elf, s.offset, s.file_size, size))
			return elf_refuse(why, "a segment lies outside the file");
		if (s.type == PT_LOAD && s.file_size > s.size)
			return elf_refuse(why, "a segment is longer in the file than in memory");
		if (s.size &&
		    (s.paddr + (s.size - 1) < s.paddr || s.vaddr + (s.size - 1) < s.vaddr))
			return elf_refuse(why, "a segment wraps around the address space");
		elf->segments[elf->nr_segments++] = s;
	}
	return 0;
}

int elf_entry_paddr(const struct elf *elf, uint64_t entry, uint64_t *paddr)
{
	for (unsigned int i = 0; i < elf->nr_segments; i++) {
		const struct elf_segment *s = &elf->segments[i];

		if (s->type == PT_LOAD && entry >= s->paddr && entry - s->paddr < s->size) {
			*paddr = entry;
			return 0;
		}
	}
	for (unsigned int i = 0; i < elf->nr_segments; i++) {
		const struct elf_segment *s = &elf->segments[i];

		if (s->type == PT_LOAD && entry >= s->vaddr && entry - s->vaddr < s->size) {
			*paddr = entry - s->vaddr + s->paddr;
			return 0;
		}
	}
	return -ENOEXEC;
}

int elf_place(struct boot_load *load, const struct elf *elf, struct range *where)
{
	const struct boot_file *file = &load->image->kernel;
	struct range all = { UINT64_MAX, 0 };

	for (unsigned int i = 0; i < elf->nr_segments; i++) {
		const struct elf_segment *s = &elf->segments[i];
		int err;

		if (s->type != PT_LOAD || !s->size)
			continue;
		if (s->paddr < LAYOUT_KERNEL_MIN)
			return diag_set(load->diag, -ENOEXEC, file->name,
					"wants to be loaded at %#" PRIx64
					", below 1 MiB, where its boot information goes",
					s->paddr);
		if (!ram_span(load->ram, gpa(s->paddr), s->size)) {
			diag_set(load->diag, -ENOMEM, file->name,
				 "wants memory at %#" PRIx64 "-%#" PRIx64
				 ", where the guest has none",
				 s->paddr, s->paddr + s->size - 1);
			return diag_remedy(load->diag, -ENOMEM, "give the guest more (--memory)");
		}
		/* What the file does not fill is zero: RAM is. */
		err = boot_file_place(file, s->offset, load->ram, gpa(s->paddr), s->file_size,
				      load->diag);
		if (err)
			return err;
		all.first = min_u64(all.first, s->paddr);
		all.last = max_u64(all.last, s->paddr + (s->size - 1));
	}
	if (all.first > all.last)
		return diag_set(load->diag, -ENOEXEC, file->name, "has nothing to load");
	*where = all;
	return 0;
}
