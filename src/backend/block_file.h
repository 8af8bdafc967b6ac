/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files and block devices as disks: what the engines that move their data share. */
#ifndef AIRLOCK_BACKEND_BLOCK_FILE_H
#define AIRLOCK_BACKEND_BLOCK_FILE_H

#include <errno.h>

#include "backend/block.h"
#include "sys/sys.h"

struct block_file {
	struct block block; /* first */
	struct sys *sys;
	int fd;
	bool is_block, direct, discard;
	unsigned int nr_threads;
	void *zeroes; /* BLOCK_FILE_ZEROES bytes, never written; shared by all queues */
	/* Set when the host has refused them once: relaxed. */
	atomic_bool no_discard, no_zero_range, no_punch;
};

#define BLOCK_FILE_ZEROES MIB(1)

static inline struct block_file *block_file_of(struct block *block)
{
	return (struct block_file *)(void *)block;
}

/* Carries a request out, on any thread, and returns its status. req->iov is used where it lies. */
int block_file_run(struct block_file *file, struct block_request *req);
/* fallocate's mode for a discard or write zeroes; 0: the host has none, write instead. */
int block_file_mode(const struct block_file *file, const struct block_request *req);
/* The host refused that mode: remembers it. */
void block_file_mode_refused(struct block_file *file, int mode);

/* The engine of threads: block_threads.c. */
extern const struct block_ops block_threads_ops;

/*
 * The engine of io_uring where this kernel lets us have one: block_uring.c. NULL with *err, where it
 * does not or the build is without.
 */
#ifdef AIRLOCK_URING
const struct block_ops *block_uring_probe(struct sys *sys, int *err);
#else
static inline const struct block_ops *block_uring_probe(struct sys *sys, int *err)
{
	*err = -ENOSYS;
	return NULL;
}
#endif

/* Closes the file and frees what block_file_create() made. */
void block_file_destroy(struct block *block);

#endif
