/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text of unknown length from sysfs and procfs, and the one format sizes are shown in. */
#ifndef AIRLOCK_HOST_TEXT_H
#define AIRLOCK_HOST_TEXT_H

#include "sys/sys.h"

/*
 * Reads a file of any size up to `limit` bytes. On 0 the caller frees *out, which is
 * NUL-terminated. -EFBIG when there is more, -ENOMEM, or the read's own error.
 */
int host_text_read(struct sys *sys, enum sys_tree tree, const char *path, size_t limit, char **out,
		   size_t *len);

/* "4.1 GiB", "8 MiB", "512 B". Returns buf. */
#define HOST_SIZE_TEXT 16
const char *host_size_format(uint64_t bytes, char *buf);

#endif
