/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ELF executables for x86, 32 and 64 bit, read as hostile input (System V ABI, ELF header and
 * program header). Internal to the boot half of machine/x86.
 */
#ifndef AIRLOCK_MACHINE_X86_ELF_H
#define AIRLOCK_MACHINE_X86_ELF_H

#include "machine/x86/boot_loader.h"

/* No kernel has more program headers than this. */
#define ELF_SEGMENTS_MAX 64

struct elf_segment {
	uint32_t type; /* PT_LOAD, PT_NOTE, ... */
	uint64_t offset, file_size;
	uint64_t vaddr, paddr, size; /* file_size <= size */
};

struct elf {
	bool is_64;
	uint16_t machine;
	uint64_t entry;
	uint64_t end; /* of what headers and segments name in the file */
	unsigned int nr_segments;
	struct elf_segment segments[ELF_SEGMENTS_MAX];
};

/* Does it begin like an ELF file? */
bool elf_has_magic(const uint8_t *bytes);

/*
 * Takes an ELF header and its program headers from the first `len` bytes of a file of `size` bytes.
 * 0, -ENOEXEC with *why (for a person) when it is none, is damaged or for another machine;
 * -ENODATA when `len` bytes do not hold all program headers.
 */
int elf_parse(const uint8_t *bytes, uint64_t len, uint64_t size, struct elf *elf, const char **why);

/* "aarch64", ... as people name it; "another machine" when unknown. */
const char *elf_machine_name(uint16_t machine);

/* Where the entry point lies in physical memory, given as physical or virtual address. 0 or
 * -ENOEXEC. */
int elf_entry_paddr(const struct elf *elf, uint64_t entry, uint64_t *paddr);

/*
 * Places all segments of the kernel file in RAM above 1 MiB; what they occupy comes back in *where.
 * 0, or -errno with diag filled.
 */
int elf_place(struct boot_load *load, const struct elf *elf, struct range *where);

#endif
