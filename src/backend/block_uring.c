// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The engine of io_uring: one ring per queue, one system call per batch, and the ring's descriptor
 * in the queue's loop. No thread of ours waits for the disk.
 */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "backend/block_file.h"
#include "base/bug.h"
#include "base/log.h"

#define URING_DEPTH 256
#define FIXED_FD    0 /* the image's place among the registered files */

/* What a request waits for, in req->state. */
enum uring_step {
	STEP_MOVE,  /* a read or write, req->progress bytes of it done */
	STEP_CLEAR, /* fallocate, req->progress is its mode */
	STEP_ZERO,  /* zeroes written, req->progress bytes of them */
	STEP_SYNC,
};

struct block_uring {
	struct block_queue *queue;
	struct block_file *file;
	struct io_uring ring;
	struct loop_source source;
	struct loop_work retry;
	struct block_request *waiting, **waiting_tail; /* beyond the ring's depth */
	unsigned int nr_busy;			       /* in the ring */
};

static void uring_fill(struct block_uring *u);

/* ---- one step into the ring ---- */

static void prep_move(struct block_uring *u, struct io_uring_sqe *sqe, struct block_request *req)
{
	uint64_t at = req->offset + req->progress;
	uint8_t *flat = req->bounce;
	unsigned int left = (unsigned int)(req->len - req->progress);
	bool read = req->op == BLOCK_READ;

	if (!flat && req->nr_iov == 1)
		flat = req->iov->iov_base;
	if (flat && read)
		io_uring_prep_read(sqe, FIXED_FD, flat + req->progress, left, at);
	else if (flat)
		io_uring_prep_write(sqe, FIXED_FD, flat + req->progress, left, at);
	else if (read)
		io_uring_prep_readv(sqe, FIXED_FD, req->iov, req->nr_iov, at);
	else
		io_uring_prep_writev(sqe, FIXED_FD, req->iov, req->nr_iov, at);
	if (!read && req->flags & BLOCK_FUA)
		sqe->rw_flags = RWF_DSYNC;
}

static void prep_step(struct block_uring *u, struct block_request *req)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
	uint64_t left = req->len - req->progress;

	/* A busy request has one entry at most, and cancels leave half of the ring. */
	BUG_ON(!sqe);
	switch ((enum uring_step)req->state) {
	case STEP_MOVE:
		prep_move(u, sqe, req);
		break;
	case STEP_CLEAR:
		io_uring_prep_fallocate(sqe, FIXED_FD, (int)req->progress, (off_t)req->offset,
					(off_t)req->len);
		break;
	case STEP_ZERO:
		io_uring_prep_write(sqe, FIXED_FD, u->file->zeroes,
				    (unsigned int)min_u64(left, BLOCK_FILE_ZEROES),
				    req->offset + req->progress);
		break;
	case STEP_SYNC:
		io_uring_prep_fsync(sqe, FIXED_FD, IORING_FSYNC_DATASYNC);
		break;
	}
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data(sqe, req);
}

/* The first step; false when there is none and the request succeeds as it is. */
static bool first_step(struct block_uring *u, struct block_request *req, int *err)
{
	const struct block_limits *limits = &u->file->block.limits;
	int mode;

	*err = 0;
	req->progress = 0;
	switch (req->op) {
	case BLOCK_READ:
	case BLOCK_WRITE:
		req->state = STEP_MOVE;
		if (block_is_aligned(req, limits->mem_align))
			return true;
		req->bounce = aligned_alloc(PAGE_SIZE, align_up(req->len, PAGE_SIZE));
		if (!req->bounce) {
			*err = -ENOMEM;
			return false;
		}
		atomic_fetch_add_explicit(&u->file->block.stats.nr_bounced, 1,
					  memory_order_relaxed);
		if (req->op == BLOCK_WRITE)
			block_gather(req, 0, req->bounce, req->len);
		return true;
	case BLOCK_FLUSH:
		req->state = STEP_SYNC;
		return true;
	case BLOCK_DISCARD:
	case BLOCK_WRITE_ZEROES:
		mode = block_file_mode(u->file, req);
		req->state = mode ? STEP_CLEAR : STEP_ZERO;
		req->progress = (uint64_t)mode;
		/* A discard is advice: nobody to give it to is fine. */
		return mode || req->op == BLOCK_WRITE_ZEROES;
	}
	return false;
}

/* ---- ends ---- */

static void uring_end(struct block_uring *u, struct block_request *req, int status)
{
	if (req->bounce && !status && req->op == BLOCK_READ)
		block_scatter(req, 0, req->bounce, req->len);
	free(req->bounce);
	req->bounce = NULL;
	u->nr_busy--;
	block_complete(u->queue, req, status);
}

/* The rest of a transfer that came short: rare enough to wait for it here. */
static void finish_short(struct block_uring *u, struct block_request *req)
{
	if (req->bounce || req->nr_iov == 1)
		prep_step(u, req);
	else
		uring_end(u, req, block_file_run(u->file, req));
}

/* What the kernel says of a step: goes on, or ends the request. */
static void step_done(struct block_uring *u, struct block_request *req, int res)
{
	bool moving = req->state == STEP_MOVE || req->state == STEP_ZERO;
	int err;

	if (res == -EAGAIN || res == -EINTR) {
		prep_step(u, req);
		return;
	}
	if (req->state == STEP_CLEAR && (res == -EOPNOTSUPP || res == -ENOSYS || res == -ENODEV)) {
		block_file_mode_refused(u->file, (int)req->progress);
		if (first_step(u, req, &err))
			prep_step(u, req);
		else
			uring_end(u, req, err);
		return;
	}
	if (res < 0 || (moving && !res)) {
		/* Nothing moved: past the end of a file that was cut short under us. */
		uring_end(u, req, res ? res : -EIO);
		return;
	}
	if (moving)
		req->progress += (unsigned int)res;
	if (req->state == STEP_MOVE && req->progress < req->len) {
		finish_short(u, req);
	} else if (req->state == STEP_ZERO && req->progress < req->len) {
		prep_step(u, req);
	} else if ((req->state == STEP_CLEAR || req->state == STEP_ZERO) &&
		   req->flags & BLOCK_FUA) {
		req->state = STEP_SYNC;
		prep_step(u, req);
	} else {
		uring_end(u, req, 0);
	}
}

static void uring_submit(struct block_uring *u)
{
	int r = io_uring_submit(&u->ring);

	/* The kernel is short of memory: what it did not take stays in the ring. */
	if (r < 0)
		loop_post(u->queue->loop, &u->retry);
}

static void uring_reap(struct block_uring *u)
{
	struct io_uring_cqe *cqe;

	while (!io_uring_peek_cqe(&u->ring, &cqe)) {
		struct block_request *req = io_uring_cqe_get_data(cqe);
		int res = cqe->res;

		io_uring_cqe_seen(&u->ring, cqe);
		/* A cancel's own end says nothing. */
		if (req)
			step_done(u, req, res);
	}
	uring_fill(u);
	block_deliver(u->queue);
}

static void uring_readable(void *opaque, uint32_t events)
{
	uring_reap(opaque);
}

static void uring_retry(void *opaque)
{
	uring_reap(opaque);
}

/* As many as the ring has room for, in one call. */
static void uring_fill(struct block_uring *u)
{
	while (u->waiting && u->nr_busy < URING_DEPTH) {
		struct block_request *req = u->waiting;
		int err;

		u->waiting = req->next;
		if (!u->waiting)
			u->waiting_tail = &u->waiting;
		req->next = NULL;
		u->nr_busy++;
		if (first_step(u, req, &err))
			prep_step(u, req);
		else
			uring_end(u, req, err);
	}
	if (io_uring_sq_ready(&u->ring))
		uring_submit(u);
}

/* ---- the queue ---- */

static void uring_start(struct block_queue *queue, struct block_request *chain)
{
	struct block_uring *u = queue->impl;

	*u->waiting_tail = chain;
	while (*u->waiting_tail)
		u->waiting_tail = &(*u->waiting_tail)->next;
	uring_fill(u);
}

static void uring_cancel(struct block_queue *queue, struct block_request *req)
{
	struct block_uring *u = queue->impl;
	struct io_uring_sqe *sqe;

	for (struct block_request **p = &u->waiting; *p; p = &(*p)->next) {
		if (*p != req)
			continue;
		*p = req->next;
		if (!req->next)
			u->waiting_tail = p;
		block_complete(queue, req, -ECANCELED);
		return;
	}
	/* Half of the ring is the requests' own, also while the kernel takes nothing. */
	if (io_uring_sq_space_left(&u->ring) <= URING_DEPTH)
		uring_submit(u);
	/* Full all the same: then it ends when the disk is done with it. */
	if (io_uring_sq_space_left(&u->ring) <= URING_DEPTH)
		return;
	sqe = io_uring_get_sqe(&u->ring);
	io_uring_prep_cancel(sqe, req, 0);
	io_uring_sqe_set_data(sqe, NULL);
	uring_submit(u);
}

static void uring_wait(struct block_queue *queue)
{
	struct block_uring *u = queue->impl;

	/* Interrupted or short of memory: the caller comes again. */
	io_uring_submit_and_wait(&u->ring, 1);
	uring_reap(u);
}

static int uring_init(struct io_uring *ring)
{
	/* Without interrupting the thread for each end, where the kernel knows how (5.19). */
	int err = io_uring_queue_init(2 * URING_DEPTH, ring, IORING_SETUP_COOP_TASKRUN);

	return err == -EINVAL ? io_uring_queue_init(2 * URING_DEPTH, ring, 0) : err;
}

static int uring_create(struct block *block, struct block_queue *queue, struct diag *diag)
{
	struct block_uring *u = calloc(1, sizeof(*u));
	int err;

	if (!u)
		return -ENOMEM;
	u->queue = queue;
	u->file = block_file_of(block);
	u->waiting_tail = &u->waiting;
	u->retry = (struct loop_work){ .fn = uring_retry, .opaque = u };
	err = uring_init(&u->ring);
	if (err)
		goto err_free;
	err = io_uring_register_files(&u->ring, &u->file->fd, 1);
	if (err)
		goto err_ring;
	err = loop_watch(queue->loop, &u->source, u->ring.ring_fd, EPOLLIN, uring_readable, u);
	if (err)
		goto err_ring;
	queue->impl = u;
	return 0;

err_ring:
	io_uring_queue_exit(&u->ring);
err_free:
	free(u);
	return err;
}

static void uring_destroy(struct block_queue *queue)
{
	struct block_uring *u = queue->impl;

	loop_unwatch(queue->loop, &u->source);
	loop_cancel(queue->loop, &u->retry);
	io_uring_queue_exit(&u->ring);
	free(u);
}

static const struct block_ops block_uring_ops = {
	.name = "io_uring",
	.queue_create = uring_create,
	.queue_destroy = uring_destroy,
	.start = uring_start,
	.cancel = uring_cancel,
	.wait = uring_wait,
	.destroy = block_file_destroy,
};

const struct block_ops *block_uring_probe(struct sys *sys, int *err)
{
	struct io_uring ring;
	uint64_t disabled = 0;

	/* 1: for privileged groups, 2: for nobody. Not there before Linux 6.6. */
	*err = sys_read_number(sys, SYS_TREE_PROC, "sys/kernel/io_uring_disabled", &disabled);
	if (!*err && disabled == 2) {
		*err = -EPERM;
		return NULL;
	}
	*err = uring_init(&ring);
	if (*err)
		return NULL;
	io_uring_queue_exit(&ring);
	return &block_uring_ops;
}
