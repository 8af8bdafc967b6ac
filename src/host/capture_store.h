/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A capture in memory: shared by capture.c (the seam) and capture_file.c (the text form). */
#ifndef AIRLOCK_HOST_CAPTURE_STORE_H
#define AIRLOCK_HOST_CAPTURE_STORE_H

#include "base/bits.h"
#include "host/capture.h"

#define CAPTURE_MAX_NODES (4u << 20)
#define CAPTURE_MAX_PATH  1023
#define CAPTURE_MAX_HEX	  KIB(64)

enum capture_kind {
	CAPTURE_NONE, /* nothing was read of it but, perhaps, that it is there */
	CAPTURE_DATA,
	CAPTURE_LINK,
	CAPTURE_ERROR, /* every access fails with err */
};

struct capture_node {
	struct capture_node *next;	     /* of all nodes */
	struct capture_node *next_in_bucket; /* of those with this hash */
	struct capture_node *parent, *children, *next_child;
	enum sys_tree tree;
	enum capture_kind kind;
	bool exists;   /* so a listing of its parent names it */
	bool complete; /* a folder whose entries are all here */
	int err;       /* CAPTURE_ERROR: negative errno */
	char *data;    /* owned; NUL after len bytes */
	size_t len;
	uint32_t path_len;
	char path[];
};

struct host_capture {
	struct capture_node **bucket;
	size_t nr_buckets, nr_nodes;
	struct capture_node *all;
	bool unlisted_absent;
	size_t hex_bytes; /* what binary lines have grown to */
	int memlock_err;  /* 0: the two below are known */
	uint64_t memlock_soft, memlock_hard;
	struct sys *real; /* what a recorder reads */
	bool failed;	  /* something could not be recorded: out of memory or bounds */
};

/* Finds or makes the node and its parents; NULL when out of memory or bounds. */
struct capture_node *capture_node_get(struct host_capture *capture, enum sys_tree tree,
				      const char *path);

/* The node exists, and so do the folders above it. */
void capture_node_exists(struct capture_node *node);

/*
 * Gives a node its contents (copied) or, with CAPTURE_ERROR, none: the caller sets err.
 * 0 or -ENOMEM.
 */
int capture_node_set(struct capture_node *node, enum capture_kind kind, const void *data,
		     size_t len);

#endif
