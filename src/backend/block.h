/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk on the host's side: the contract between a device model (NVMe, virtio-blk) and whatever
 * holds the data (memory, a file, a block device).
 *
 * A struct block is the disk: its size, its limits, who uses it. It is created by whoever sets the
 * machine up, used by one device at a time (block_claim()), and outlives that device. Its fields are
 * constant after creation.
 *
 * A struct block_queue is one thread's way to it. It belongs to a loop: everything said of a queue
 * below happens on that loop's thread, or while the loop does not run. A disk may have any number of
 * queues; they know nothing of each other and need no lock.
 *
 * A request is its submitter's memory, filled in and given with block_submit(); the data lies in
 * host memory that iov names. From there until done() is called request, iov and data belong to the
 * queue. done() is called exactly once for each request, whatever happens, in any order, and never
 * from inside block_submit(): only from block_kick(), block_cancel(), block_drain() and the loop. In
 * done() the submitter may free or submit the request again.
 *
 *	for each: block_submit(queue, &req);
 *	block_kick(queue);	   ... done(req, status) ..., batch_done(opaque)
 *
 * Order. Requests in flight are not ordered among each other, a flush neither: it makes durable the
 * writes that were done() before it was submitted, of all queues of the disk. FUA makes its own
 * write durable before done(). A disk that says volatile_cache = false needs neither.
 *
 * Failures are -errno in done(): -EIO by default, -ENOSPC when the host has no room, -ECANCELED,
 * -EROFS, -EINVAL and -ERANGE for what a submitter should have refused in its own words.
 */
#ifndef AIRLOCK_BACKEND_BLOCK_H
#define AIRLOCK_BACKEND_BLOCK_H

#include <stdatomic.h>
#include <sys/uio.h>

#include "base/diag.h"
#include "base/types.h"
#include "sys/loop.h"

struct block;
struct block_queue;

enum block_op {
	BLOCK_READ,
	BLOCK_WRITE,
	BLOCK_FLUSH,   /* offset, len and iov are unused */
	BLOCK_DISCARD, /* the contents are no longer wanted: what reads return is unspecified */
	BLOCK_WRITE_ZEROES, /* reads return zeroes from now on; no iov */
};

#define BLOCK_FUA   0x1u /* write, write zeroes: durable when done */
#define BLOCK_UNMAP 0x2u /* write zeroes: the range may be given back to the host */

struct block_request {
	enum block_op op;
	uint32_t flags;
	uint64_t offset, len; /* bytes; multiples of block_size, inside the disk */
	/*
	 * Read and write: up to max_iov pieces that make up len. Any address and any length of a
	 * piece will do; those aligned to mem_align go without a copy.
	 */
	const struct iovec *iov;
	unsigned int nr_iov;
	/* status: 0 or -errno. On the queue's thread, no lock held. */
	void (*done)(struct block_request *req, int status);
	void *opaque; /* the submitter's */

	/* The queue's own, from submit to done. */
	struct block_request *next;
	int status;
	unsigned int state;
	uint64_t progress;
	void *bounce;
};

struct block_limits {
	uint32_t block_size;	/* what offsets and lengths are multiples of: 512 or 4096 */
	uint32_t physical_size; /* what the host writes without reading first; >= block_size */
	uint32_t mem_align;	/* buffers so aligned are not copied; 1: no matter */
	uint64_t max_transfer;	/* bytes of one read or write */
	unsigned int max_iov;
	/* Bytes, 0: discards are not passed on, but succeed. */
	uint64_t discard_granularity;
	uint64_t max_discard; /* bytes of one discard or write zeroes */
	bool volatile_cache;  /* a write may be lost on power failure until flushed */
	bool fast_zeroes;     /* write zeroes is not done by writing */
};

/* Figures of a disk, relaxed. */
struct block_stats {
	atomic_ullong nr[BLOCK_WRITE_ZEROES + 1], bytes[BLOCK_WRITE_ZEROES + 1];
	atomic_ullong nr_failed, nr_bounced;
};

struct block_ops {
	const char *name; /* "memory", "file" */
	/* 0 or -errno with diag filled. Sets queue->impl. */
	int (*queue_create)(struct block *block, struct block_queue *queue, struct diag *diag);
	/* Nothing is in flight. */
	void (*queue_destroy)(struct block_queue *queue);
	/*
	 * Starts a chain (by next) of valid requests; each ends in block_complete(), also before
	 * this returns. It takes all, waiting ones too.
	 */
	void (*start)(struct block_queue *queue, struct block_request *chain);
	/* Makes done() come soon; see block_cancel(). */
	void (*cancel)(struct block_queue *queue, struct block_request *req);
	/* Waits for at least one completion and delivers what there is. Something is in flight. */
	void (*wait)(struct block_queue *queue);
	void (*destroy)(struct block *block);
};

/* First member of every back end. */
struct block {
	const struct block_ops *ops;
	char name[48]; /* the drive's id, in messages */
	char what[96]; /* for people: "disk.img, 1.0 GiB, io_uring, direct" */
	uint64_t size; /* bytes, a multiple of block_size, not 0 */
	bool readonly;
	struct block_limits limits;
	struct block_stats stats;
	char user[48]; /* the device that claimed it; "" when free. Main loop's thread */
};

/* Called after a run of done() calls: the moment to interrupt a guest once for all of them. */
typedef void (*block_batch_fn)(void *opaque);

struct block_queue {
	struct block *block;
	struct loop *loop; /* borrowed */
	void *impl;	   /* the back end's */
	block_batch_fn batch_done;
	void *opaque;
	unsigned int nr_inflight;		       /* given to the back end */
	struct block_request *pending, **pending_tail; /* submitted, not kicked */
	unsigned int nr_done;			       /* since the last batch_done */
	bool delivering;
};

/*
 * Makes `device` the disk's one user: 0, or -EBUSY with diag filled. Two devices on one disk would
 * each believe its cache. Main loop's thread.
 */
int block_claim(struct block *block, const char *device, struct diag *diag);
void block_release(struct block *block);
/* Nobody uses it. */
void block_destroy(struct block *block);

/* batch_done may be NULL. 0 or -errno with diag filled. */
int block_queue_create(struct block *block, struct loop *loop, block_batch_fn batch_done,
		       void *opaque, struct block_queue **queue, struct diag *diag);
/* Drained first. */
void block_queue_destroy(struct block_queue *queue);

/* Takes the request; it may start only with the next block_kick(). */
void block_submit(struct block_queue *queue, struct block_request *req);
/* Starts everything submitted, in one batch. Must follow; may call done(). */
void block_kick(struct block_queue *queue);
/*
 * The data's memory is wanted back (its translation was revoked): done() comes as soon as it can,
 * with -ECANCELED, or with the request's own status where it was too late to stop. What a cancelled
 * write left on the disk, and a cancelled read in memory, is unspecified. Only for a request whose
 * done() is still to come; done() may be called before this returns.
 */
void block_cancel(struct block_queue *queue, struct block_request *req);
/*
 * Waits until nothing is in flight; done() is called for all that was. Waits as long as the host's
 * disk takes. For quiesce, reset and removal: the submitter submits nothing meanwhile.
 */
void block_drain(struct block_queue *queue);
/* Waits for at least one done(). Something is in flight, and kicked. */
void block_wait(struct block_queue *queue);

/* ---- for back ends ---- */

/* Fills in what all have in common. */
void block_init(struct block *block, const struct block_ops *ops, const char *name);
/* Ends a request given to start(): counts it and calls done(). On the queue's thread. */
void block_complete(struct block_queue *queue, struct block_request *req, int status);
/* After the last of a run of block_complete() outside of start(), cancel() and wait(). */
void block_deliver(struct block_queue *queue);
/* Copies between a request's pieces and a flat buffer: the first len bytes after `skip`. */
void block_gather(const struct block_request *req, uint64_t skip, void *to, uint64_t len);
void block_scatter(const struct block_request *req, uint64_t skip, const void *from, uint64_t len);
/* Whether every piece is aligned to `align` in address and length. */
bool block_is_aligned(const struct block_request *req, uint32_t align);

/* ---- the back ends ---- */

/* Zeroed memory of the process's own; gone with it. 0 or -errno with diag filled. */
int block_ram_create(const char *name, uint64_t size, uint32_t block_size, struct block **block,
		     struct diag *diag);

enum block_engine { BLOCK_ENGINE_AUTO, BLOCK_ENGINE_URING, BLOCK_ENGINE_THREADS };
enum block_direct { BLOCK_DIRECT_AUTO, BLOCK_DIRECT_ON, BLOCK_DIRECT_OFF };

struct block_file_config {
	const char *name; /* the drive's id */
	const char *path; /* a regular file, a block device, or "fd=N" */
	bool readonly;
	bool discard; /* pass discards on to the host */
	enum block_engine engine;
	enum block_direct direct; /* auto: past the page cache where the host can */
	uint32_t block_size;	  /* 0: 512, or the block device's own */
	unsigned int threads;	  /* of the threads engine, per queue; 0: its default */
};

/*
 * Opens and locks an image: exclusively, or shared where readonly. 0, or -errno with diag filled:
 * missing, not readable or writable, in use by another VM or mounted, empty, not a multiple of the
 * block size.
 */
struct sys;
int block_file_create(struct sys *sys, const struct block_file_config *config, struct block **block,
		      struct diag *diag);

#endif
