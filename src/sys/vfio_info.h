/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VFIO's INFO ioctls answer with a fixed structure and, behind it, a chain of capabilities whose
 * total size only the kernel knows: the call is made once to learn the size and again to have it
 * all. The answer comes from the kernel, but also from drivers of every quality, so the chain is
 * walked with bounds and each entry only once.
 *
 * Source: linux/vfio.h, "capability chain" at struct vfio_info_cap_header.
 */
#ifndef AIRLOCK_SYS_VFIO_INFO_H
#define AIRLOCK_SYS_VFIO_INFO_H

#include "sys/sys.h"

/* More than any answer of a kernel so far; a greater one is refused with -E2BIG. */
#define VFIO_INFO_MAX (64 * 1024)

/*
 * Calls `request` on fd with the fixed structure `head` of `size` bytes, whose first field is
 * argsz (set here) and whose other fields are the question. *answer is then the whole answer, at
 * least `size` bytes long and owned by the caller (free()). 0 or -errno.
 */
int vfio_info_get(struct sys *sys, int fd, unsigned long request, const void *head, size_t size,
		  void **answer);

/*
 * The first capability `id` of an answer whose chain begins at `offset` (the cap_offset field), at
 * least `size` bytes long, header included. *room is the number of bytes that follow its start in
 * the answer. NULL: none.
 */
const void *vfio_info_cap(const void *answer, uint32_t offset, uint16_t id, size_t size,
			  size_t *room);

#endif
