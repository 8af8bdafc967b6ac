// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bits.h"

int host_text_read(struct sys *sys, enum sys_tree tree, const char *path, size_t limit, char **out,
		   size_t *len)
{
	size_t size = min_u64(KIB(16), limit + 1);
	char *buf = NULL;
	ssize_t n;

	for (;;) {
		char *grown = realloc(buf, size);

		if (!grown) {
			free(buf);
			return -ENOMEM;
		}
		buf = grown;
		n = sys_read_file(sys, tree, path, buf, size);
		if (n != -EFBIG || size == limit + 1)
			break;
		size = min_u64(8 * size, limit + 1);
	}
	if (n < 0) {
		free(buf);
		return (int)n;
	}
	*out = buf;
	*len = (size_t)n;
	return 0;
}

const char *host_size_format(uint64_t bytes, char *buf)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	unsigned int unit = 0;
	uint64_t whole = bytes, scale = 1, tenths;

	while (whole >= 1024 && unit + 1 < ARRAY_SIZE(units)) {
		whole >>= 10;
		scale <<= 10;
		unit++;
	}
	/* Rounded up: a need is never shown smaller than it is. */
	tenths = unit ? ((bytes % scale) / (scale / 1024) * 10 + 1023) / 1024 : 0;
	if (tenths == 10) {
		whole++;
		tenths = 0;
	}
	if (tenths && whole < 100)
		snprintf(buf, HOST_SIZE_TEXT, "%u.%u %s", (unsigned int)whole, (unsigned int)tenths,
			 units[unit]);
	else
		snprintf(buf, HOST_SIZE_TEXT, "%u %s", (unsigned int)whole, units[unit]);
	return buf;
}
