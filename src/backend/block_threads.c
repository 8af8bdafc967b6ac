// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The engine that every kernel has: a few threads per queue, each carrying out one request at a
 * time by pread, pwrite, fdatasync and fallocate.
 */
#include <errno.h>
#include <stdlib.h>

#include "backend/block_file.h"
#include "base/bug.h"
#include "base/lock.h"
#include "sys/thread.h"

#define THREADS_DEFAULT 4
#define THREADS_MAX	64

struct block_threads {
	struct block_queue *queue;
	struct block_file *file;
	struct loop_work deliver;
	struct lock lock; /* LOCK_LEAF: what follows */
	pthread_cond_t work, finished;
	struct block_request *waiting, **waiting_tail;
	struct block_request *done, **done_tail;
	bool stop;
	unsigned int nr;
	pthread_t threads[THREADS_MAX];
};

/* Under the lock. True when the loop has to be told: it was not before. */
static bool threads_finish_locked(struct block_threads *t, struct block_request *req, int status)
{
	bool first = !t->done;

	req->status = status;
	req->next = NULL;
	*t->done_tail = req;
	t->done_tail = &req->next;
	pthread_cond_signal(&t->finished);
	return first;
}

static void *threads_run(void *opaque)
{
	struct block_threads *t = opaque;

	lock_take(&t->lock);
	for (;;) {
		struct block_request *req;
		bool tell;
		int status;

		while (!t->waiting && !t->stop)
			pthread_cond_wait(&t->work, &t->lock.mutex);
		req = t->waiting;
		if (!req)
			break;
		t->waiting = req->next;
		if (!t->waiting)
			t->waiting_tail = &t->waiting;
		lock_drop(&t->lock);
		status = block_file_run(t->file, req);
		lock_take(&t->lock);
		tell = threads_finish_locked(t, req, status);
		if (tell) {
			lock_drop(&t->lock);
			loop_post(t->queue->loop, &t->deliver);
			lock_take(&t->lock);
		}
	}
	lock_drop(&t->lock);
	return NULL;
}

/* On the queue's thread. */
static void threads_deliver(void *opaque)
{
	struct block_threads *t = opaque;
	struct block_request *req, *next;

	lock_take(&t->lock);
	req = t->done;
	t->done = NULL;
	t->done_tail = &t->done;
	lock_drop(&t->lock);
	for (; req; req = next) {
		next = req->next;
		block_complete(t->queue, req, req->status);
	}
	block_deliver(t->queue);
}

static void threads_start(struct block_queue *queue, struct block_request *chain)
{
	struct block_threads *t = queue->impl;

	lock_take(&t->lock);
	*t->waiting_tail = chain;
	while (*t->waiting_tail)
		t->waiting_tail = &(*t->waiting_tail)->next;
	/* One wakes as many as there is work for; waking all for one would only make them race. */
	for (unsigned int i = 0; chain && i < t->nr; i++, chain = chain->next)
		pthread_cond_signal(&t->work);
	lock_drop(&t->lock);
}

static void threads_cancel(struct block_queue *queue, struct block_request *req)
{
	struct block_threads *t = queue->impl;
	bool found = false;

	lock_take(&t->lock);
	for (struct block_request **p = &t->waiting; *p; p = &(*p)->next) {
		if (*p != req)
			continue;
		*p = req->next;
		if (!req->next)
			t->waiting_tail = p;
		found = true;
		break;
	}
	lock_drop(&t->lock);
	/* Else a thread is at it, and will be done as soon as the disk is. */
	if (found)
		block_complete(queue, req, -ECANCELED);
}

static void threads_wait(struct block_queue *queue)
{
	struct block_threads *t = queue->impl;

	lock_take(&t->lock);
	while (!t->done)
		pthread_cond_wait(&t->finished, &t->lock.mutex);
	lock_drop(&t->lock);
	threads_deliver(t);
}

static void threads_free(struct block_threads *t)
{
	lock_take(&t->lock);
	t->stop = true;
	pthread_cond_broadcast(&t->work);
	lock_drop(&t->lock);
	while (t->nr)
		pthread_join(t->threads[--t->nr], NULL);
	loop_cancel(t->queue->loop, &t->deliver);
	pthread_cond_destroy(&t->work);
	pthread_cond_destroy(&t->finished);
	lock_fini(&t->lock);
	free(t);
}

static int threads_create(struct block *block, struct block_queue *queue, struct diag *diag)
{
	struct block_threads *t = calloc(1, sizeof(*t));
	struct block_file *file = block_file_of(block);
	unsigned int nr = file->nr_threads ? file->nr_threads : THREADS_DEFAULT;

	if (!t)
		return -ENOMEM;
	t->queue = queue;
	t->file = file;
	t->deliver = (struct loop_work){ .fn = threads_deliver, .opaque = t };
	t->waiting_tail = &t->waiting;
	t->done_tail = &t->done;
	lock_init(&t->lock, LOCK_LEAF);
	pthread_cond_init(&t->work, NULL);
	pthread_cond_init(&t->finished, NULL);
	while (t->nr < min_u64(nr, THREADS_MAX)) {
		int err = sys_thread_start(&t->threads[t->nr], "disk", threads_run, t);

		if (err) {
			threads_free(t);
			return err;
		}
		t->nr++;
	}
	queue->impl = t;
	return 0;
}

static void threads_destroy(struct block_queue *queue)
{
	threads_free(queue->impl);
}

const struct block_ops block_threads_ops = {
	.name = "file",
	.queue_create = threads_create,
	.queue_destroy = threads_destroy,
	.start = threads_start,
	.cancel = threads_cancel,
	.wait = threads_wait,
	.destroy = block_file_destroy,
};
