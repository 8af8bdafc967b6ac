/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linux kernels: what a bzImage's setup header says, checked, and the zero page. Internal to the
 * boot half of machine/x86.
 */
#ifndef AIRLOCK_MACHINE_X86_LINUX_H
#define AIRLOCK_MACHINE_X86_LINUX_H

#include "machine/x86/boot_loader.h"

/* A checked setup header. */
struct linux_header {
	uint64_t kernel_offset; /* of the protected-mode code in the file; the rest is kernel */
	uint64_t kernel_size;
	uint64_t pref_address, init_size;
	uint64_t alignment; /* a power of two */
	bool relocatable;
	bool above_4g;
	uint64_t cmdline_max; /* characters */
	uint64_t initrd_last;
	uint64_t payload_offset, payload_size; /* in the file; size 0: there is none */
};

/* 0, or -errno with diag filled. */
int linux_header_check(const struct boot_image *image, const struct boot_head *head,
		       struct linux_header *header, struct diag *diag);

/*
 * Zero page, command line, initrd and registers of a kernel that lies in `kernel`. `header`, if
 * there is one, is copied from the image's head. rip is the 64-bit entry.
 */
int linux_enter(struct boot_load *load, const struct linux_header *header, struct range kernel,
		uint64_t rip, bool kaslr);

/* The command line has the word `name`, or, if it ends in '=', a word that begins so. */
bool linux_cmdline_has(const char *cmdline, const char *name);

/*
 * Unpacks the payload of a bzImage into RAM and enters the kernel in it (linux_unpack.c). 0, or
 * -EAGAIN, RAM as before: in a way that would lose something or cannot be done; why says it.
 * Other -errno: diag is filled.
 */
int linux_unpack(struct boot_load *load, const struct linux_header *header, const char **why);

#endif
