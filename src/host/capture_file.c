// SPDX-License-Identifier: GPL-2.0-or-later
/* The text form of a capture: reading, which trusts nothing, and writing. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/capture_store.h"

#define CAPTURE_HEAD "airlock-host 1"

static const char *const tree_names[] = {
	[SYS_TREE_SYS] = "sys",
	[SYS_TREE_PROC] = "proc",
	[SYS_TREE_DEV] = "dev",
	[SYS_TREE_LOG] = "log",
};

static const struct {
	const char *name;
	int err;
} errnos[] = {
	{ "ENOENT", ENOENT },	    { "EACCES", EACCES },
	{ "EPERM", EPERM },	    { "EIO", EIO },
	{ "ENODEV", ENODEV },	    { "ENXIO", ENXIO },
	{ "ENODATA", ENODATA },	    { "EBUSY", EBUSY },
	{ "ENOTDIR", ENOTDIR },	    { "EISDIR", EISDIR },
	{ "EAGAIN", EAGAIN },	    { "EFBIG", EFBIG },
	{ "EINVAL", EINVAL },	    { "ENOSYS", ENOSYS },
	{ "ETIMEDOUT", ETIMEDOUT }, { "EOPNOTSUPP", EOPNOTSUPP },
};

/* Reading. A line is taken apart in place: the parser owns a copy of the text. */

static int file_hex_digit(char c)
{
	if (isdigit((unsigned char)c))
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Undoes the escapes in place. Returns the length, or -1 for a malformed escape. */
static ssize_t file_unescape(char *text)
{
	char *in = text, *out = text;

	for (; *in; in++) {
		int high, low;

		if (*in != '\\') {
			*out++ = *in;
			continue;
		}
		switch (*++in) {
		case 'n':
			*out++ = '\n';
			break;
		case 't':
			*out++ = '\t';
			break;
		case '\\':
			*out++ = '\\';
			break;
		case 'x':
			high = file_hex_digit(in[1]);
			low = high < 0 ? -1 : file_hex_digit(in[2]);
			if (low < 0)
				return -1;
			*out++ = (char)(high << 4 | low);
			in += 2;
			break;
		default:
			return -1;
		}
	}
	*out = '\0';
	return out - text;
}

/* "SIZE OFFSET:BYTES OFFSET:BYTES...", all hexadecimal but SIZE. NULL when malformed. */
static uint8_t *file_parse_hex(const char *text, size_t *len)
{
	unsigned long long size, offset;
	uint8_t *bytes;
	char *end;

	size = strtoull(text, &end, 10);
	if (end == text || size > CAPTURE_MAX_HEX)
		return NULL;
	bytes = calloc(1, size + 1);
	if (!bytes)
		return NULL;
	for (;;) {
		int high, low;

		while (*end == ' ')
			end++;
		if (!*end)
			break;
		text = end;
		offset = strtoull(text, &end, 16);
		if (end == text || *end++ != ':')
			goto err_free;
		while ((high = file_hex_digit(end[0])) >= 0) {
			low = file_hex_digit(end[1]);
			if (low < 0 || offset >= size)
				goto err_free;
			bytes[offset++] = (uint8_t)(high << 4 | low);
			end += 2;
		}
		if (*end && *end != ' ')
			goto err_free;
	}
	*len = size;
	return bytes;

err_free:
	free(bytes);
	return NULL;
}

static int file_parse_errno(const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(errnos); i++)
		if (!strcmp(text, errnos[i].name))
			return -errnos[i].err;
	return 0;
}

/* What follows the path: " = TEXT", " hex ...", " -> TARGET", " ! ERRNO", " ." or " /". */
static int file_parse_fact(struct host_capture *capture, struct capture_node *node, char *rest)
{
	ssize_t n;
	size_t len;

	if (!strcmp(rest, ".") || !strcmp(rest, "/")) {
		node->complete |= *rest == '/';
		capture_node_exists(node);
		return 0;
	}
	if (!strncmp(rest, "! ", 2)) {
		node->err = file_parse_errno(rest + 2);
		if (!node->err)
			return -EINVAL;
		if (node->err != -ENOENT)
			capture_node_exists(node);
		return capture_node_set(node, CAPTURE_ERROR, NULL, 0);
	}
	if (!strncmp(rest, "hex ", 4)) {
		uint8_t *bytes = file_parse_hex(rest + 4, &len);
		int err = bytes ? capture_node_set(node, CAPTURE_DATA, bytes, len) : -EINVAL;

		free(bytes);
		/* A short line may stand for many zeros: bounded like the file itself. */
		capture->hex_bytes += err ? 0 : len;
		return capture->hex_bytes > HOST_CAPTURE_MAX ? -E2BIG : err;
	}
	/* An empty file: "PATH =", the blank after it may be missing. */
	if (!strncmp(rest, "= ", 2) || !strcmp(rest, "=")) {
		rest += rest[1] ? 2 : 1;
		n = file_unescape(rest);
		return n < 0 ? -EINVAL : capture_node_set(node, CAPTURE_DATA, rest, (size_t)n);
	}
	if (!strncmp(rest, "-> ", 3)) {
		n = file_unescape(rest + 3);
		return n <= 0 ? -EINVAL : capture_node_set(node, CAPTURE_LINK, rest + 3, (size_t)n);
	}
	return -EINVAL;
}

static bool file_parse_bytes(const char *text, uint64_t *out)
{
	char *end;

	if (!strcmp(text, "unlimited")) {
		*out = SYS_UNLIMITED;
		return true;
	}
	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*out = strtoull(text, &end, 10);
	return !*end && !errno;
}

static int file_parse_limit(struct host_capture *capture, char *words)
{
	char *save, *which = strtok_r(words, " ", &save), *soft = strtok_r(NULL, " ", &save),
		    *hard = strtok_r(NULL, " ", &save);

	if (!hard || strcmp(which, "memlock") || !file_parse_bytes(soft, &capture->memlock_soft) ||
	    !file_parse_bytes(hard, &capture->memlock_hard))
		return -EINVAL;
	capture->memlock_err = 0;
	return 0;
}

static int file_parse_line(struct host_capture *capture, char *line)
{
	char *path = strchr(line, ' '), *rest;
	struct capture_node *node;

	if (!*line || *line == '#')
		return 0;
	if (!path)
		return -EINVAL;
	*path++ = '\0';
	if (!strcmp(line, "limit"))
		return file_parse_limit(capture, path);
	if (!strcmp(line, "unlisted")) {
		if (strcmp(path, "absent"))
			return -EINVAL;
		capture->unlisted_absent = true;
		return 0;
	}
	rest = strchr(path, ' ');
	if (!rest)
		return -EINVAL;
	*rest++ = '\0';
	if (file_unescape(path) <= 0 || path[0] == '/' || path[strlen(path) - 1] == '/')
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(tree_names); i++) {
		if (strcmp(line, tree_names[i]))
			continue;
		node = capture_node_get(capture, (enum sys_tree)i, path);
		return node ? file_parse_fact(capture, node, rest) : -E2BIG;
	}
	return -EINVAL;
}

static int file_parse(char *text, size_t len, const char *name, struct host_capture *capture,
		      struct diag *diag)
{
	char *line = text, *end = text + len;
	unsigned int nr;

	for (nr = 1; line < end; nr++) {
		char *stop = memchr(line, '\n', (size_t)(end - line));
		int err;

		if (!stop)
			stop = end;
		*stop = '\0';
		if (stop > line && stop[-1] == '\r')
			stop[-1] = '\0';
		/* A NUL inside the line hides what follows: no text file has one. */
		if (nr == 1)
			err = strcmp(line, CAPTURE_HEAD) ? -EPROTO : 0;
		else
			err = memchr(line, '\0', (size_t)(stop - line)) && stop[-1]
				      ? -EINVAL
				      : file_parse_line(capture, line);
		if (err == -EPROTO) {
			diag_set(diag, -EINVAL, name,
				 "not a host capture: it does not begin with "
				 "\"" CAPTURE_HEAD "\"");
			diag_remedy(diag, -EINVAL,
				    "make one on the host in question: airlock host capture "
				    "FILE");
			return -EINVAL;
		}
		if (err)
			return diag_set(diag, err, name, "line %u: %s", nr,
					err == -ENOMEM	? "out of memory"
					: err == -E2BIG ? "too much for a host"
							: "not a fact this version knows");
		line = stop + 1;
	}
	if (nr == 1)
		return diag_set(diag, -EINVAL, name, "not a host capture: it is empty");
	return 0;
}

int host_capture_parse(const char *text, size_t len, const char *name, struct host_capture **out,
		       struct diag *diag)
{
	struct host_capture *capture = host_capture_create();
	char *copy = malloc(len + 1);
	int err = -ENOMEM;

	if (capture && copy) {
		memcpy(copy, text, len);
		copy[len] = '\0';
		err = file_parse(copy, len, name, capture, diag);
	}
	free(copy);
	if (err) {
		host_capture_destroy(capture);
		return diag_set(diag, err, name, "cannot read the capture: %s", strerror(-err));
	}
	*out = capture;
	return 0;
}

int host_capture_load(struct sys *sys, const char *path, struct host_capture **out,
		      struct diag *diag)
{
	size_t len = 0, room = 0;
	char *text = NULL;
	ssize_t n = 0;
	int err, fd = sys_open(sys, SYS_FILE_READ, path);

	if (fd < 0)
		return diag_set(diag, fd, path, "cannot open the capture: %s", strerror(-fd));
	do {
		len += (size_t)n;
		if (len == room) {
			char *grown;

			room = room ? 2 * room : KIB(64);
			grown = room <= HOST_CAPTURE_MAX ? realloc(text, room) : NULL;
			if (!grown) {
				err = diag_set(diag, -EFBIG, path, "too large for a host capture");
				goto out;
			}
			text = grown;
		}
		n = sys->ops->read(sys, fd, text + len, room - len);
	} while (n > 0);
	if (n < 0)
		err = diag_set(diag, (int)n, path, "cannot read the capture: %s",
			       strerror((int)-n));
	else
		err = host_capture_parse(text, len, path, out, diag);
out:
	free(text);
	sys_close(sys, &fd);
	return err;
}

/* Writing. */

static bool file_is_plain(const struct capture_node *node)
{
	for (size_t i = 0; i < node->len; i++)
		if (!isprint((unsigned char)node->data[i]) && !strchr("\n\t", node->data[i]))
			return false;
	return !memchr(node->data, '\0', node->len);
}

static void file_write_text(FILE *to, const char *text, size_t len, bool is_path)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '\n')
			fputs("\\n", to);
		else if (c == '\t')
			fputs("\\t", to);
		else if (c == '\\')
			fputs("\\\\", to);
		else if (!isprint(c) || (is_path && c == ' '))
			fprintf(to, "\\x%02x", c);
		else
			fputc(c, to);
	}
}

/* Runs of up to three zeros are cheaper written out than skipped. */
static void file_write_hex(FILE *to, const struct capture_node *node)
{
	size_t i = 0, gap = 0;
	bool open = false;

	fprintf(to, " hex %zu", node->len);
	for (; i < node->len; i++) {
		if (!node->data[i]) {
			gap++;
			continue;
		}
		if (!open || gap > 3)
			fprintf(to, " %zx:", i);
		else
			while (gap--)
				fputs("00", to);
		fprintf(to, "%02x", (uint8_t)node->data[i]);
		open = true;
		gap = 0;
	}
	fputc('\n', to);
}

static void file_write_path(FILE *to, const struct capture_node *node)
{
	fprintf(to, "%s ", tree_names[node->tree]);
	file_write_text(to, node->path, node->path_len, true);
}

static void file_write_node(FILE *to, const struct capture_node *node)
{
	size_t i;

	if (!node->path_len)
		return;
	if (node->complete || (node->exists && node->kind == CAPTURE_NONE && !node->children)) {
		file_write_path(to, node);
		fputs(node->complete ? " /\n" : " .\n", to);
	}
	if (node->kind == CAPTURE_NONE)
		return;
	file_write_path(to, node);
	switch (node->kind) {
	case CAPTURE_DATA:
		if (!file_is_plain(node)) {
			file_write_hex(to, node);
			break;
		}
		fputs(" = ", to);
		file_write_text(to, node->data, node->len, false);
		fputc('\n', to);
		break;
	case CAPTURE_LINK:
		fputs(" -> ", to);
		file_write_text(to, node->data, node->len, false);
		fputc('\n', to);
		break;
	default:
		for (i = 0; i < ARRAY_SIZE(errnos) - 1 && errnos[i].err != -node->err; i++)
			;
		/* An error without a name here is an error all the same. */
		fprintf(to, " ! %s\n", errnos[i].err == -node->err ? errnos[i].name : "EIO");
		break;
	}
}

static int file_compare(const void *a, const void *b)
{
	const struct capture_node *na = *(struct capture_node *const *)a,
				  *nb = *(struct capture_node *const *)b;

	return na->tree != nb->tree ? (int)na->tree - (int)nb->tree : strcmp(na->path, nb->path);
}

static void file_write_limit(FILE *to, uint64_t bytes)
{
	if (bytes == SYS_UNLIMITED)
		fputs(" unlimited", to);
	else
		fprintf(to, " %llu", (unsigned long long)bytes);
}

int host_capture_save(struct host_capture *capture, const char *path, struct diag *diag)
{
	struct capture_node **sorted, *node;
	size_t nr = 0;
	char *draft = NULL;
	FILE *to;
	int err;

	if (capture->failed)
		return diag_set(diag, -ENOMEM, path, "the host could not be recorded whole");
	sorted = calloc(capture->nr_nodes + 1, sizeof(struct capture_node *));
	if (!sorted || asprintf(&draft, "%s.part", path) < 0) {
		free(sorted);
		return diag_set(diag, -ENOMEM, path, "out of memory");
	}
	for (node = capture->all; node; node = node->next)
		sorted[nr++] = node;
	qsort(sorted, nr, sizeof(struct capture_node *), file_compare);

	/* The name appears only when the file is whole. */
	to = fopen(draft, "we");
	if (!to) {
		err = -errno;
		goto out;
	}
	fputs(CAPTURE_HEAD "\n", to);
	if (!capture->memlock_err) {
		fputs("limit memlock", to);
		file_write_limit(to, capture->memlock_soft);
		file_write_limit(to, capture->memlock_hard);
		fputc('\n', to);
	}
	if (capture->unlisted_absent)
		fputs("unlisted absent\n", to);
	for (size_t i = 0; i < nr; i++)
		file_write_node(to, sorted[i]);
	err = ferror(to) ? -EIO : 0;
	if (fclose(to) && !err)
		err = -errno;
	if (!err && rename(draft, path))
		err = -errno;
	if (err)
		unlink(draft);
out:
	free(sorted);
	free(draft);
	return err ? diag_set(diag, err, path, "cannot write the capture: %s", strerror(-err)) : 0;
}
