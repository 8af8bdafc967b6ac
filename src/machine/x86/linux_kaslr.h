/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A random place for a Linux kernel, and its relocation to it. Internal to the boot half of
 * machine/x86. Pure functions: the randomness is the caller's.
 */
#ifndef AIRLOCK_MACHINE_X86_LINUX_KASLR_H
#define AIRLOCK_MACHINE_X86_LINUX_KASLR_H

#include "machine/x86/linux.h"

struct linux_place {
	uint64_t paddr;	     /* where it lies */
	uint64_t virt_delta; /* how far its virtual addresses move up */
	bool relocated;	     /* they have been moved */
};

/*
 * Chooses among all aligned places in RAM that leave room for an initrd of initrd_size bytes, as the
 * kernel itself would. 0, or -EAGAIN when there is none.
 */
int linux_kaslr_choose(const struct linux_header *header, const struct ram *ram,
		       uint64_t initrd_size, const uint64_t random[2], struct linux_place *place);

/*
 * Moves the addresses in the kernel at base (init_size bytes) by delta, after a table of `size`
 * bytes as found behind the kernel's ELF. The table is checked whole before anything is written:
 * 0, or -EAGAIN with *why and nothing changed.
 */
int linux_kaslr_relocate(uint8_t *base, const struct linux_header *header, const uint8_t *table,
			 uint64_t size, uint64_t delta, const char **why);

#endif
