// SPDX-License-Identifier: GPL-2.0-or-later
/* What all back ends have in common: checks, batches, figures. */
#include "backend/block.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bug.h"

int block_claim(struct block *block, const char *device, struct diag *diag)
{
	if (block->user[0]) {
		diag_set(diag, -EBUSY, block->name, "is used by %s already", block->user);
		return diag_remedy(diag, -EBUSY, "give each device a --drive of its own");
	}
	snprintf(block->user, sizeof(block->user), "%s", device);
	return 0;
}

void block_release(struct block *block)
{
	block->user[0] = '\0';
}

void block_init(struct block *block, const struct block_ops *ops, const char *name)
{
	block->ops = ops;
	snprintf(block->name, sizeof(block->name), "%s", name);
}

void block_destroy(struct block *block)
{
	if (!block)
		return;
	BUG_ON(block->user[0]);
	block->ops->destroy(block);
}

int block_queue_create(struct block *block, struct loop *loop, block_batch_fn batch_done,
		       void *opaque, struct block_queue **out, struct diag *diag)
{
	struct block_queue *queue = calloc(1, sizeof(*queue));
	int err;

	if (!queue)
		return diag_set(diag, -ENOMEM, block->name, "out of memory");
	queue->block = block;
	queue->loop = loop;
	queue->batch_done = batch_done;
	queue->opaque = opaque;
	queue->pending_tail = &queue->pending;
	err = block->ops->queue_create(block, queue, diag);
	if (err) {
		free(queue);
		return diag_set(diag, err, block->name, "no queue to it: %s", strerror(-err));
	}
	*out = queue;
	return 0;
}

void block_queue_destroy(struct block_queue *queue)
{
	if (!queue)
		return;
	block_drain(queue);
	queue->block->ops->queue_destroy(queue);
	free(queue);
}

void block_submit(struct block_queue *queue, struct block_request *req)
{
	req->next = NULL;
	req->progress = 0;
	req->bounce = NULL;
	req->state = 0;
	*queue->pending_tail = req;
	queue->pending_tail = &req->next;
}

static uint64_t block_iov_len(const struct block_request *req)
{
	uint64_t len = 0;

	for (unsigned int i = 0; i < req->nr_iov; i++)
		if (__builtin_add_overflow(len, req->iov[i].iov_len, &len))
			return 0;
	return len;
}

/* Devices refuse these in their own words; no back end has to think of them. */
static int block_check(const struct block *block, const struct block_request *req)
{
	const struct block_limits *limits = &block->limits;
	uint64_t end;

	if (req->op == BLOCK_FLUSH)
		return 0;
	if (req->op != BLOCK_READ && block->readonly)
		return -EROFS;
	if (!req->len || (req->offset | req->len) & (limits->block_size - 1))
		return -EINVAL;
	if (__builtin_add_overflow(req->offset, req->len, &end) || end > block->size)
		return -ERANGE;
	if (req->op == BLOCK_DISCARD || req->op == BLOCK_WRITE_ZEROES)
		return req->len <= limits->max_discard ? 0 : -EINVAL;
	if (req->len > limits->max_transfer || req->nr_iov > limits->max_iov)
		return -EINVAL;
	return block_iov_len(req) == req->len ? 0 : -EINVAL;
}

void block_deliver(struct block_queue *queue)
{
	if (!queue->nr_done || queue->delivering)
		return;
	queue->nr_done = 0;
	if (queue->batch_done)
		queue->batch_done(queue->opaque);
}

static void block_finish(struct block_queue *queue, struct block_request *req, int status)
{
	if (status && status != -ECANCELED)
		atomic_fetch_add_explicit(&queue->block->stats.nr_failed, 1, memory_order_relaxed);
	queue->nr_done++;
	req->done(req, status);
}

void block_complete(struct block_queue *queue, struct block_request *req, int status)
{
	BUG_ON(!queue->nr_inflight);
	queue->nr_inflight--;
	if (!status) {
		struct block_stats *stats = &queue->block->stats;

		atomic_fetch_add_explicit(&stats->nr[req->op], 1, memory_order_relaxed);
		if (req->op != BLOCK_FLUSH)
			atomic_fetch_add_explicit(&stats->bytes[req->op], req->len,
						  memory_order_relaxed);
	}
	block_finish(queue, req, status);
}

/* Takes the pending chain; what is wrong with a request is its done(). */
static struct block_request *block_take_pending(struct block_queue *queue)
{
	struct block_request *req = queue->pending, *chain = NULL, **tail = &chain, *next;

	queue->pending = NULL;
	queue->pending_tail = &queue->pending;
	for (; req; req = next) {
		int err = block_check(queue->block, req);

		next = req->next;
		req->next = NULL;
		if (err) {
			block_finish(queue, req, err);
			continue;
		}
		queue->nr_inflight++;
		*tail = req;
		tail = &req->next;
	}
	return chain;
}

void block_kick(struct block_queue *queue)
{
	/* Called from a done() of its own: the outermost call goes round again. */
	if (queue->delivering)
		return;
	queue->delivering = true;
	while (queue->pending) {
		struct block_request *chain = block_take_pending(queue);

		if (chain)
			queue->block->ops->start(queue, chain);
	}
	queue->delivering = false;
	block_deliver(queue);
}

static bool block_cancel_pending(struct block_queue *queue, struct block_request *req)
{
	for (struct block_request **p = &queue->pending; *p; p = &(*p)->next) {
		if (*p != req)
			continue;
		*p = req->next;
		if (!req->next)
			queue->pending_tail = p;
		return true;
	}
	return false;
}

void block_cancel(struct block_queue *queue, struct block_request *req)
{
	if (block_cancel_pending(queue, req))
		block_finish(queue, req, -ECANCELED);
	else
		queue->block->ops->cancel(queue, req);
	block_deliver(queue);
}

void block_drain(struct block_queue *queue)
{
	block_kick(queue);
	while (queue->nr_inflight)
		block_wait(queue);
}

void block_wait(struct block_queue *queue)
{
	queue->block->ops->wait(queue);
	block_deliver(queue);
	block_kick(queue);
}

static void block_copy(const struct block_request *req, uint64_t skip, uint8_t *flat, uint64_t len,
		       bool gather)
{
	for (unsigned int i = 0; i < req->nr_iov && len; i++) {
		const struct iovec *iov = &req->iov[i];
		uint64_t n;

		if (skip >= iov->iov_len) {
			skip -= iov->iov_len;
			continue;
		}
		n = min_u64(iov->iov_len - skip, len);
		if (gather)
			memcpy(flat, (uint8_t *)iov->iov_base + skip, n);
		else
			memcpy((uint8_t *)iov->iov_base + skip, flat, n);
		skip = 0;
		flat += n;
		len -= n;
	}
}

void block_gather(const struct block_request *req, uint64_t skip, void *to, uint64_t len)
{
	block_copy(req, skip, to, len, true);
}

void block_scatter(const struct block_request *req, uint64_t skip, const void *from, uint64_t len)
{
	/* Only read from: the one function serves both ways. */
	block_copy(req, skip, (uint8_t *)(uintptr_t)from, len, false);
}

bool block_is_aligned(const struct block_request *req, uint32_t align)
{
	for (unsigned int i = 0; i < req->nr_iov; i++)
		if (((uintptr_t)req->iov[i].iov_base | req->iov[i].iov_len) & (align - 1))
			return false;
	return true;
}
