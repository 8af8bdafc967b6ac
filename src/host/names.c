// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bits.h"

/*
 * The file: "VVVV  Vendor name", below it "\tDDDD  Device name" and "\t\tSSSS SSSS  Subsystem";
 * then "C CC  Class", below it "\tSS  Sub-class" and "\t\tPP  Interface". "#" is a comment.
 */

static int names_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* `digits` hexadecimal digits at offset, or -1. */
static int names_number(const struct host_names *names, size_t offset, unsigned int digits)
{
	int v = 0;

	if (offset + digits > names->len)
		return -1;
	for (; digits; digits--, offset++) {
		int d = names_hex(names->text[offset]);

		if (d < 0)
			return -1;
		v = v << 4 | d;
	}
	return v;
}

static size_t names_next_line(const struct host_names *names, size_t offset)
{
	const char *end = memchr(names->text + offset, '\n', names->len - offset);

	return end ? (size_t)(end - names->text) + 1 : names->len;
}

static void names_copy(const struct host_names *names, size_t offset, char *buf, size_t size)
{
	size_t n = 0;

	while (offset < names->len && names->text[offset] == ' ')
		offset++;
	for (; offset < names->len && names->text[offset] != '\n' && n < size - 1; offset++) {
		unsigned char c = (unsigned char)names->text[offset];

		/* A name may be cut anywhere and go to a terminal or into JSON: plain ASCII. */
		buf[n++] = c < ' ' || c >= 0x7f ? '?' : (char)c;
	}
	buf[n] = '\0';
}

static int names_compare(const void *a, const void *b)
{
	const struct host_names_vendor *va = a, *vb = b;

	return (int)va->id - (int)vb->id;
}

static void names_index(struct host_names *names)
{
	size_t room = 0, offset, next;

	names->classes = (uint32_t)names->len;
	for (offset = 0; offset < names->len; offset = next) {
		int id = names_number(names, offset, 4);

		next = names_next_line(names, offset);
		if (names->text[offset] == 'C' && next - offset > 2 &&
		    names->text[offset + 1] == ' ') {
			names->classes = (uint32_t)offset;
			break;
		}
		if (id < 0)
			continue;
		if (names->nr_vendors == room) {
			void *grown;

			room = room ? 2 * room : 1024;
			grown = reallocarray(names->vendor, room, sizeof(*names->vendor));
			if (!grown)
				break;
			names->vendor = grown;
		}
		names->vendor[names->nr_vendors++] =
			(struct host_names_vendor){ (uint16_t)id, (uint32_t)offset };
	}
	if (names->nr_vendors)
		qsort(names->vendor, names->nr_vendors, sizeof(*names->vendor), names_compare);
}

void host_names_init_text(struct host_names *names, const char *text, size_t len)
{
	memset(names, 0, sizeof(*names));
	names->text = text;
	names->len = min_u64(len, UINT32_MAX);
	names_index(names);
}

void host_names_init(struct host_names *names, struct sys *sys)
{
	static const char *const paths[] = { "/usr/share/misc/pci.ids",
					     "/usr/share/hwdata/pci.ids" };
	uint64_t size = 0;
	void *text = NULL;
	int fd = -1;

	memset(names, 0, sizeof(*names));
	for (size_t i = 0; i < ARRAY_SIZE(paths) && fd < 0; i++)
		fd = sys_open(sys, SYS_FILE_READ, paths[i]);
	if (fd < 0)
		return;
	if (!sys->ops->size(sys, fd, &size) && size && size < MIB(64) &&
	    !sys->ops->mmap(sys, NULL, size, PROT_READ, MAP_PRIVATE, fd, 0, &text)) {
		host_names_init_text(names, text, size);
		names->sys = sys;
	}
	sys_close(sys, &fd);
}

void host_names_fini(struct host_names *names)
{
	if (names->sys)
		names->sys->ops->munmap(names->sys, (void *)(uintptr_t)names->text, names->len);
	free(names->vendor);
	memset(names, 0, sizeof(*names));
}

/* Looks below the line at `offset` for "\tNUMBER"; copies the name after it. */
static bool names_find_below(const struct host_names *names, size_t offset, unsigned int digits,
			     int number, char *buf, size_t size)
{
	for (offset = names_next_line(names, offset); offset < names->len;
	     offset = names_next_line(names, offset)) {
		char c = names->text[offset];

		if (c != '\t' && c != '#' && c != '\n')
			return false;
		if (c == '\t' && names_number(names, offset + 1, digits) == number) {
			names_copy(names, offset + 1 + digits, buf, size);
			return true;
		}
	}
	return false;
}

static const struct host_names_vendor *names_vendor(const struct host_names *names, uint16_t id)
{
	struct host_names_vendor key = { .id = id };

	return names->nr_vendors
		       ? bsearch(&key, names->vendor, names->nr_vendors, sizeof(key), names_compare)
		       : NULL;
}

const char *host_names_vendor(const struct host_names *names, uint16_t vendor, char *buf,
			      size_t size)
{
	const struct host_names_vendor *v = names_vendor(names, vendor);

	if (v)
		names_copy(names, v->offset + 4, buf, size);
	else
		snprintf(buf, size, "Vendor %04x", vendor);
	return buf;
}

const char *host_names_device(const struct host_names *names, uint16_t vendor, uint16_t device,
			      char *buf, size_t size)
{
	const struct host_names_vendor *v = names_vendor(names, vendor);

	if (!v || !names_find_below(names, v->offset, 4, device, buf, size))
		snprintf(buf, size, "Device %04x", device);
	return buf;
}

const char *host_names_class(const struct host_names *names, uint32_t class_code, char *buf,
			     size_t size)
{
	int base = (int)(class_code >> 16 & 0xff), sub = (int)(class_code >> 8 & 0xff);
	size_t offset;

	for (offset = names->classes; offset < names->len;
	     offset = names_next_line(names, offset)) {
		if (names->text[offset] != 'C' || names_number(names, offset + 2, 2) != base)
			continue;
		if (!names_find_below(names, offset, 2, sub, buf, size))
			names_copy(names, offset + 4, buf, size);
		return buf;
	}
	snprintf(buf, size, "Class %04x", class_code >> 8 & 0xffff);
	return buf;
}
