// SPDX-License-Identifier: GPL-2.0-or-later
/* A host's files kept in memory, and the seam that answers from them or records into them. */
#include "host/capture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "host/capture_store.h"
#include "host/faults.h"

#define CAPTURE_MIN_BUCKETS 1024

/* FNV-1a over the tree and the path. */
static uint32_t capture_hash(enum sys_tree tree, const char *path, size_t len)
{
	uint32_t h = 2166136261u ^ (uint32_t)tree;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)path[i]) * 16777619u;
	return h;
}

static struct capture_node *capture_find_len(const struct host_capture *capture, enum sys_tree tree,
					     const char *path, size_t len)
{
	struct capture_node *node;

	if (!capture->nr_buckets)
		return NULL;
	node = capture->bucket[capture_hash(tree, path, len) & (capture->nr_buckets - 1)];
	for (; node; node = node->next_in_bucket)
		if (node->tree == tree && node->path_len == len && !memcmp(node->path, path, len))
			return node;
	return NULL;
}

static int capture_grow(struct host_capture *capture)
{
	size_t nr = capture->nr_buckets ? 4 * capture->nr_buckets : CAPTURE_MIN_BUCKETS;
	struct capture_node **bucket, *node;

	if (capture->nr_nodes < capture->nr_buckets)
		return 0;
	bucket = calloc(nr, sizeof(*bucket));
	if (!bucket)
		return -ENOMEM;
	free(capture->bucket);
	capture->bucket = bucket;
	capture->nr_buckets = nr;
	for (node = capture->all; node; node = node->next) {
		struct capture_node **head =
			&bucket[capture_hash(node->tree, node->path, node->path_len) & (nr - 1)];

		node->next_in_bucket = *head;
		*head = node;
	}
	return 0;
}

/* Finds or makes one node, its parents not included. */
static struct capture_node *capture_node_make(struct host_capture *capture, enum sys_tree tree,
					      const char *path, size_t len)
{
	struct capture_node **head, *node = capture_find_len(capture, tree, path, len);

	if (node)
		return node;
	if (capture->nr_nodes == CAPTURE_MAX_NODES || capture_grow(capture))
		return NULL;
	node = calloc(1, sizeof(*node) + len + 1);
	if (!node)
		return NULL;
	node->tree = tree;
	node->path_len = (uint32_t)len;
	memcpy(node->path, path, len);
	head = &capture->bucket[capture_hash(tree, path, len) & (capture->nr_buckets - 1)];
	node->next_in_bucket = *head;
	*head = node;
	node->next = capture->all;
	capture->all = node;
	capture->nr_nodes++;
	return node;
}

struct capture_node *capture_node_get(struct host_capture *capture, enum sys_tree tree,
				      const char *path)
{
	size_t len = strlen(path);
	struct capture_node *node, *leaf;

	if (!len || len > CAPTURE_MAX_PATH)
		return NULL;
	leaf = node = capture_node_make(capture, tree, path, len);
	/* Each folder on the way lists its child; a node with a parent has been linked before. */
	while (node && !node->parent) {
		struct capture_node *parent;

		while (len && path[len - 1] != '/')
			len--;
		len -= len > 0;
		/* The tree's own root is the node with the empty path. */
		parent = capture_node_make(capture, tree, path, len);
		if (!parent)
			return NULL;
		node->parent = parent;
		node->next_child = parent->children;
		parent->children = node;
		if (!len)
			break;
		node = parent;
	}
	return node ? leaf : NULL;
}

void capture_node_exists(struct capture_node *node)
{
	for (; node && !node->exists; node = node->parent)
		node->exists = true;
}

int capture_node_set(struct capture_node *node, enum capture_kind kind, const void *data,
		     size_t len)
{
	char *copy = NULL;

	if (data) {
		copy = malloc(len + 1);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, data, len);
		copy[len] = '\0';
	}
	free(node->data);
	node->data = copy;
	node->len = len;
	node->kind = kind;
	if (data)
		capture_node_exists(node);
	return 0;
}

struct host_capture *host_capture_create(void)
{
	struct host_capture *capture = calloc(1, sizeof(*capture));

	if (capture)
		capture->memlock_err = -ENODATA;
	return capture;
}

void host_capture_destroy(struct host_capture *capture)
{
	struct capture_node *node, *next;

	if (!capture)
		return;
	for (node = capture->all; node; node = next) {
		next = node->next;
		free(node->data);
		free(node);
	}
	free(capture->bucket);
	free(capture);
}

/* Answers from the capture. */

static int capture_missing(const struct host_capture *capture, enum sys_tree tree, const char *path)
{
	size_t len = strlen(path);
	const struct capture_node *node;

	if (capture->unlisted_absent)
		return -ENOENT;
	/* Below a folder that is known to be absent everything is. */
	while (len) {
		while (len && path[len - 1] != '/')
			len--;
		len -= len > 0;
		node = len ? capture_find_len(capture, tree, path, len) : NULL;
		if (node && node->kind == CAPTURE_ERROR)
			return node->err;
	}
	return -ENODATA;
}

/* The node that answers for path, or the error that does. */
static int capture_look_up(struct sys *sys, enum sys_tree tree, const char *path,
			   const struct capture_node **out)
{
	const struct host_capture *capture = sys->ctx;
	const struct capture_node *node = capture_find_len(capture, tree, path, strlen(path));

	if (node && node->kind == CAPTURE_ERROR)
		return node->err;
	if (!node || !node->exists)
		return capture_missing(capture, tree, path);
	*out = node;
	return 0;
}

static ssize_t capture_read_file(struct sys *sys, enum sys_tree tree, const char *path, void *buf,
				 size_t size)
{
	const struct capture_node *node = NULL;
	size_t len;
	int err = capture_look_up(sys, tree, path, &node);

	if (err)
		return err;
	if (node->kind != CAPTURE_DATA)
		return node->complete || node->children ? -EISDIR : -ENODATA;
	len = min_u64(node->len, size - 1);
	memcpy(buf, node->data, len);
	((char *)buf)[len] = '\0';
	return node->len > size - 1 ? -EFBIG : (ssize_t)len;
}

static ssize_t capture_read_link(struct sys *sys, enum sys_tree tree, const char *path, char *buf,
				 size_t size)
{
	const struct capture_node *node = NULL;
	int err = capture_look_up(sys, tree, path, &node);

	if (err)
		return err;
	if (node->kind != CAPTURE_LINK)
		return -EINVAL;
	if (node->len >= size)
		return -ENAMETOOLONG;
	memcpy(buf, node->data, node->len + 1);
	return (ssize_t)node->len;
}

static int capture_list(struct sys *sys, enum sys_tree tree, const char *path, sys_list_fn fn,
			void *opaque)
{
	const struct capture_node *node = NULL, *child;
	int err = capture_look_up(sys, tree, path, &node);

	if (err)
		return err;
	if (node->kind == CAPTURE_DATA)
		return -ENOTDIR;
	if (!node->complete && !((const struct host_capture *)sys->ctx)->unlisted_absent)
		return -ENODATA;
	for (child = node->children; child; child = child->next_child) {
		if (!child->exists)
			continue;
		err = fn(opaque,
			 strrchr(child->path, '/') ? strrchr(child->path, '/') + 1 : child->path);
		if (err)
			return err;
	}
	return 0;
}

static int capture_limit(struct sys *sys, enum sys_limit which, uint64_t *soft, uint64_t *hard)
{
	const struct host_capture *capture = sys->ctx;

	if (which != SYS_LIMIT_MEMLOCK)
		return -ENODATA;
	if (capture->memlock_err)
		return capture->memlock_err;
	*soft = capture->memlock_soft;
	*hard = capture->memlock_hard;
	return 0;
}

/* A capture has no objects to open and takes no writes. */

static int refuse_open(struct sys *sys, enum sys_object kind, const char *name)
{
	return -ENOSYS;
}

static void refuse_close(struct sys *sys, int fd)
{
}

static int refuse_ioctl(struct sys *sys, int fd, unsigned long request, void *arg)
{
	return -ENOSYS;
}

static ssize_t refuse_read(struct sys *sys, int fd, void *buf, size_t len)
{
	return -ENOSYS;
}

static ssize_t refuse_write(struct sys *sys, int fd, const void *buf, size_t len)
{
	return -ENOSYS;
}

static ssize_t refuse_pread(struct sys *sys, int fd, void *buf, size_t len, uint64_t offset)
{
	return -ENOSYS;
}

static ssize_t refuse_pwrite(struct sys *sys, int fd, const void *buf, size_t len, uint64_t offset)
{
	return -ENOSYS;
}

static int refuse_size(struct sys *sys, int fd, uint64_t *size)
{
	return -ENOSYS;
}

static int refuse_truncate(struct sys *sys, int fd, uint64_t size)
{
	return -ENOSYS;
}

static int refuse_remove(struct sys *sys, const char *path)
{
	return -EROFS;
}

static int refuse_lock(struct sys *sys, int fd)
{
	return -ENOSYS;
}

static int refuse_mmap(struct sys *sys, void *hint, size_t len, int prot, int flags, int fd,
		       uint64_t offset, void **out)
{
	return -ENOSYS;
}

static void refuse_munmap(struct sys *sys, void *addr, size_t len)
{
}

static int refuse_madvise(struct sys *sys, void *addr, size_t len, int advice)
{
	return -ENOSYS;
}

static int refuse_place(struct sys *sys, const struct sys_cpu_set *cpus, int node, bool strict)
{
	return -ENOSYS;
}

static int refuse_place_memory(struct sys *sys, void *addr, size_t len, int node)
{
	return -ENOSYS;
}

static int refuse_write_file(struct sys *sys, enum sys_tree tree, const char *path,
			     const void *data, size_t len)
{
	return -EROFS;
}

#define CAPTURE_REFUSE_REST                                                                     \
	.open = refuse_open, .close = refuse_close, .ioctl = refuse_ioctl, .read = refuse_read, \
	.write = refuse_write, .pread = refuse_pread, .pwrite = refuse_pwrite,                  \
	.size = refuse_size, .truncate = refuse_truncate, .remove = refuse_remove,              \
	.lock = refuse_lock, .mmap = refuse_mmap, .munmap = refuse_munmap,                      \
	.madvise = refuse_madvise, .place = refuse_place, .place_memory = refuse_place_memory,  \
	.write_file = refuse_write_file

static const struct sys_ops capture_ops = {
	CAPTURE_REFUSE_REST,  .read_file = capture_read_file, .read_link = capture_read_link,
	.list = capture_list, .limit = capture_limit,
};

struct sys host_capture_sys(struct host_capture *capture)
{
	return (struct sys){ .ops = &capture_ops, .ctx = capture };
}

/* Records what the real kernel answers. */

static void record_error(struct host_capture *capture, enum sys_tree tree, const char *path,
			 int err)
{
	struct capture_node *node = capture_node_get(capture, tree, path);

	/* A later success stands: a buffer that was too small once is no property of the host. */
	if (!node) {
		capture->failed = true;
		return;
	}
	if (node->kind == CAPTURE_DATA || node->kind == CAPTURE_LINK)
		return;
	/* Nor is a link that is no link, or a read that failed for the reader's own reasons. */
	if (err == -EFBIG || err == -ENOMEM || err == -EINVAL || node->children)
		return;
	capture_node_set(node, CAPTURE_ERROR, NULL, 0);
	node->err = err;
	if (err != -ENOENT)
		capture_node_exists(node);
}

static void record_data(struct host_capture *capture, enum sys_tree tree, const char *path,
			enum capture_kind kind, const void *data, size_t len)
{
	struct capture_node *node = capture_node_get(capture, tree, path);

	if (!node || capture_node_set(node, kind, data, len))
		capture->failed = true;
}

/*
 * /proc/interrupts has a count for each CPU and interrupt: megabytes on a server, and nobody's
 * business. Only the rows' other words are kept.
 */
static size_t record_squeeze_interrupts(char *text)
{
	char *in = text, *out = text;

	while (*in) {
		size_t blank = strspn(in, " "), word = strcspn(in + blank, " \n");

		if (word && strspn(in + blank, "0123456789") == word) {
			in += blank + word;
			continue;
		}
		if (blank)
			*out++ = ' ';
		memmove(out, in + blank, word);
		out += word;
		in += blank + word;
		if (*in == '\n')
			*out++ = *in++;
	}
	*out = '\0';
	return (size_t)(out - text);
}

/* Of the kernel's log only what host/faults.c reads: the rest may hold anything. */
static size_t record_squeeze_log(char *text)
{
	char *in = text, *out = text;

	while (*in) {
		size_t len = strcspn(in, "\n");
		char saved = in[len];

		in[len] = '\0';
		if (host_fault_line(in)) {
			memmove(out, in, len);
			out += len;
			*out++ = '\n';
		}
		in[len] = saved;
		in += len + !!saved;
	}
	*out = '\0';
	return (size_t)(out - text);
}

/* Other processes are nobody's business: what they hold is not recorded, and so unknown. */
static bool record_is_private(enum sys_tree tree, const char *path)
{
	return tree == SYS_TREE_PROC && (!*path || (*path >= '0' && *path <= '9'));
}

static ssize_t record_read_file(struct sys *sys, enum sys_tree tree, const char *path, void *buf,
				size_t size)
{
	struct host_capture *capture = sys->ctx;
	struct sys *real = capture->real;
	ssize_t n = real->ops->read_file(real, tree, path, buf, size);

	if (record_is_private(tree, path))
		return n;
	if (n >= 0 && tree == SYS_TREE_PROC && !strcmp(path, "interrupts"))
		n = (ssize_t)record_squeeze_interrupts(buf);
	if (n >= 0 && tree == SYS_TREE_LOG)
		n = (ssize_t)record_squeeze_log(buf);
	if (n < 0)
		record_error(capture, tree, path, (int)n);
	else
		record_data(capture, tree, path, CAPTURE_DATA, buf, (size_t)n);
	return n;
}

static ssize_t record_read_link(struct sys *sys, enum sys_tree tree, const char *path, char *buf,
				size_t size)
{
	struct host_capture *capture = sys->ctx;
	struct sys *real = capture->real;
	ssize_t n = real->ops->read_link(real, tree, path, buf, size);

	if (record_is_private(tree, path))
		return n;
	if (n < 0)
		record_error(capture, tree, path, (int)n);
	else
		record_data(capture, tree, path, CAPTURE_LINK, buf, (size_t)n);
	return n;
}

struct record_walk {
	struct host_capture *capture;
	enum sys_tree tree;
	const char *path;
	sys_list_fn fn;
	void *opaque;
};

static int record_entry(void *opaque, const char *name)
{
	struct record_walk *walk = opaque;
	struct capture_node *node;
	char path[CAPTURE_MAX_PATH + 1];

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", walk->path, name) < sizeof(path)) {
		node = capture_node_get(walk->capture, walk->tree, path);
		if (node)
			capture_node_exists(node);
		else
			walk->capture->failed = true;
	}
	return walk->fn(walk->opaque, name);
}

static int record_list(struct sys *sys, enum sys_tree tree, const char *path, sys_list_fn fn,
		       void *opaque)
{
	struct host_capture *capture = sys->ctx;
	struct record_walk walk = { capture, tree, path, fn, opaque };
	struct capture_node *node;
	int err;

	if (record_is_private(tree, path))
		return capture->real->ops->list(capture->real, tree, path, fn, opaque);
	err = capture->real->ops->list(capture->real, tree, path, record_entry, &walk);
	node = capture_node_get(capture, tree, path);
	if (!node)
		capture->failed = true;
	else if (err < 0)
		record_error(capture, tree, path, err);
	else if (!err) {
		node->complete = true;
		capture_node_exists(node);
	}
	return err;
}

static int record_limit(struct sys *sys, enum sys_limit which, uint64_t *soft, uint64_t *hard)
{
	struct host_capture *capture = sys->ctx;
	int err = capture->real->ops->limit(capture->real, which, soft, hard);

	if (which == SYS_LIMIT_MEMLOCK) {
		capture->memlock_err = err;
		capture->memlock_soft = err ? 0 : *soft;
		capture->memlock_hard = err ? 0 : *hard;
	}
	return err;
}

static const struct sys_ops record_ops = {
	CAPTURE_REFUSE_REST, .read_file = record_read_file, .read_link = record_read_link,
	.list = record_list, .limit = record_limit,
};

struct sys host_capture_recorder(struct host_capture *capture, struct sys *real)
{
	capture->real = real;
	return (struct sys){ .ops = &record_ops, .ctx = capture };
}
