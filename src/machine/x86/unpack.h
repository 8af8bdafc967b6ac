/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unpacks part of a file that somebody else compressed: gzip, xz, zstd and lz4 (in the legacy frame
 * Linux uses), each if the library was there at build time. Bounded by the length the caller knows;
 * the bytes go where the caller wants them, without a copy where the format allows it.
 */
#ifndef AIRLOCK_MACHINE_X86_UNPACK_H
#define AIRLOCK_MACHINE_X86_UNPACK_H

#include "machine/x86/boot_loader.h"

struct unpack_sink {
	/*
	 * Where to put the byte at `at` of what comes out, and how many go there (> 0); NULL when
	 * nobody wants them. The place for byte 0 comes first; once that was committed whole, places
	 * are asked for by several threads at once and in any order.
	 */
	void *(*place)(struct unpack_sink *sink, uint64_t at, size_t *room);
	/* All bytes of the first place are there. A refusal ends it and is returned. */
	int (*begun)(struct unpack_sink *sink);
};

/*
 * Unpacks `size` bytes at `at` of the file, which must become exactly `out_size` bytes. *why says
 * for a person what went wrong. 0, -EOPNOTSUPP: a format that is unknown, or not built in;
 * -EBADMSG: damaged; -ENOMEM; what begun() or reading returned.
 */
int unpack_run(const struct boot_file *file, uint64_t at, uint64_t size, uint64_t out_size,
	       struct unpack_sink *sink, const char **why);

#endif
