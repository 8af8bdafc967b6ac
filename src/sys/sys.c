// SPDX-License-Identifier: GPL-2.0-or-later
/* What is built on the seam's calls, the same for the real kernel and for fakes. */
#include "sys/sys.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int sys_read_text(struct sys *sys, enum sys_tree tree, const char *path, char *buf, size_t size)
{
	ssize_t n = sys->ops->read_file(sys, tree, path, buf, size);
	size_t len;

	if (n < 0)
		return (int)n;
	/* A text file with a NUL in it ends there. */
	len = strlen(buf);
	while (len && isspace((unsigned char)buf[len - 1]))
		buf[--len] = '\0';
	return 0;
}

int sys_read_number(struct sys *sys, enum sys_tree tree, const char *path, uint64_t *value)
{
	char text[64], *end;
	unsigned long long v;
	int err = sys_read_text(sys, tree, path, text, sizeof(text));

	if (err)
		return err;
	/* strtoull takes a sign; -1 (NUMA "none") is told from a number by the caller's -EINVAL. */
	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	v = strtoull(text, &end, 0);
	if (errno || *end)
		return -EINVAL;
	*value = v;
	return 0;
}

int sys_read_link_name(struct sys *sys, enum sys_tree tree, const char *path, char *buf,
		       size_t size)
{
	char target[512];
	const char *name;
	ssize_t n = sys->ops->read_link(sys, tree, path, target, sizeof(target));

	if (n < 0)
		return (int)n;
	name = strrchr(target, '/');
	name = name ? name + 1 : target;
	if (strlen(name) >= size)
		return -ENAMETOOLONG;
	strcpy(buf, name);
	return 0;
}

int sys_pread_full(struct sys *sys, int fd, void *buf, size_t len, uint64_t offset)
{
	uint8_t *p = buf;

	while (len) {
		ssize_t n = sys->ops->pread(sys, fd, p, len, offset);

		if (n < 0)
			return (int)n;
		if (!n)
			return -EIO;
		p += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

int sys_pwrite_full(struct sys *sys, int fd, const void *buf, size_t len, uint64_t offset)
{
	const uint8_t *p = buf;

	while (len) {
		ssize_t n = sys->ops->pwrite(sys, fd, p, len, offset);

		if (n < 0)
			return (int)n;
		if (!n)
			return -EIO;
		p += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}
