// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/loop.h"

#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/bug.h"
#include "base/lock.h"
#include "sys/thread.h"

#define LOOP_BATCH 32

struct loop {
	int epoll;
	int wake; /* eventfd: work was posted or a stop was asked for */
	struct lock lock;
	struct loop_work *work, **work_tail; /* under lock, as is the next */
	unsigned int nr_work;
	atomic_bool stopping, running;
	pthread_t thread; /* while running: who runs it; written before */
	int status;	  /* written before stopping is set */
	/* The batch being served: loop_unwatch() strikes a source out of it. */
	struct epoll_event batch[LOOP_BATCH];
	int nr_batch, next_batch;
};

uint64_t loop_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

int loop_create(struct loop **out)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	struct epoll_event event = { .events = EPOLLIN };
	int err;

	if (!loop)
		return -ENOMEM;
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll < 0) {
		err = -errno;
		goto err_free;
	}
	loop->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake < 0) {
		err = -errno;
		goto err_epoll;
	}
	/* data.ptr NULL marks the wake-up descriptor. */
	if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->wake, &event)) {
		err = -errno;
		goto err_wake;
	}
	lock_init(&loop->lock, LOCK_LOOP);
	loop->work_tail = &loop->work;
	*out = loop;
	return 0;

err_wake:
	close(loop->wake);
err_epoll:
	close(loop->epoll);
err_free:
	free(loop);
	return err;
}

void loop_destroy(struct loop *loop)
{
	if (!loop)
		return;
	lock_fini(&loop->lock);
	close(loop->wake);
	close(loop->epoll);
	free(loop);
}

int loop_watch(struct loop *loop, struct loop_source *source, int fd, uint32_t events,
	       void (*fn)(void *opaque, uint32_t events), void *opaque)
{
	struct epoll_event event = { .events = events, .data.ptr = source };

	BUG_ON(source->armed);
	*source = (struct loop_source){ .fd = fd, .fn = fn, .opaque = opaque };
	if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event))
		return -errno;
	source->armed = true;
	return 0;
}

void loop_unwatch(struct loop *loop, struct loop_source *source)
{
	if (!source->armed)
		return;
	epoll_ctl(loop->epoll, EPOLL_CTL_DEL, source->fd, NULL);
	source->armed = false;
	/* An event of it may already be in the batch, and its owner may free it now. */
	for (int i = loop->next_batch; i < loop->nr_batch; i++)
		if (loop->batch[i].data.ptr == source)
			loop->batch[i].events = 0;
}

static void loop_timer_fire(void *opaque, uint32_t events)
{
	struct loop_timer *timer = opaque;
	uint64_t count;

	/* Re-armed since the event was queued: not due yet. */
	if (read(timer->source.fd, &count, sizeof(count)) != sizeof(count))
		return;
	timer->fn(timer->opaque);
}

int loop_timer_init(struct loop *loop, struct loop_timer *timer, void (*fn)(void *opaque),
		    void *opaque)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	int err;

	if (fd < 0)
		return -errno;
	timer->fn = fn;
	timer->opaque = opaque;
	timer->source.armed = false;
	err = loop_watch(loop, &timer->source, fd, EPOLLIN, loop_timer_fire, timer);
	if (err)
		close(fd);
	return err;
}

void loop_timer_set(struct loop_timer *timer, uint64_t deadline_ns)
{
	struct itimerspec spec = {
		.it_value = { .tv_sec = (time_t)(deadline_ns / 1000000000ull),
			      .tv_nsec = (long)(deadline_ns % 1000000000ull) },
	};

	/* Only a bad descriptor or time can fail, and both are ours. */
	BUG_ON(timerfd_settime(timer->source.fd, TFD_TIMER_ABSTIME, &spec, NULL));
}

void loop_timer_fini(struct loop *loop, struct loop_timer *timer)
{
	if (!timer->source.armed)
		return;
	loop_unwatch(loop, &timer->source);
	close(timer->source.fd);
}

static void loop_wake(struct loop *loop)
{
	uint64_t one = 1;

	/* EAGAIN: the counter is full, so the loop is awake anyway. */
	if (write(loop->wake, &one, sizeof(one)) < 0)
		BUG_ON(errno != EAGAIN);
}

void loop_post(struct loop *loop, struct loop_work *work)
{
	lock_take(&loop->lock);
	if (!work->posted) {
		work->posted = true;
		work->next = NULL;
		*loop->work_tail = work;
		loop->work_tail = &work->next;
		loop->nr_work++;
	}
	lock_drop(&loop->lock);
	loop_wake(loop);
}

void loop_cancel(struct loop *loop, struct loop_work *work)
{
	lock_take(&loop->lock);
	for (struct loop_work **p = &loop->work; *p; p = &(*p)->next) {
		if (*p != work)
			continue;
		*p = work->next;
		if (!work->next)
			loop->work_tail = p;
		work->posted = false;
		loop->nr_work--;
		break;
	}
	lock_drop(&loop->lock);
}

static struct loop_work *loop_take_work(struct loop *loop)
{
	struct loop_work *work;

	lock_take(&loop->lock);
	work = loop->work;
	if (work) {
		loop->work = work->next;
		if (!loop->work)
			loop->work_tail = &loop->work;
		work->posted = false;
		loop->nr_work--;
	}
	lock_drop(&loop->lock);
	return work;
}

static unsigned int loop_count_work(struct loop *loop)
{
	unsigned int nr;

	lock_take(&loop->lock);
	nr = loop->nr_work;
	lock_drop(&loop->lock);
	return nr;
}

static void loop_serve_wake(struct loop *loop)
{
	struct loop_work *work;
	uint64_t count;

	/* Drained before the work is taken: a post after this wakes us again. */
	if (read(loop->wake, &count, sizeof(count)) < 0)
		BUG_ON(errno != EAGAIN);
	/*
	 * What was there by now, and no more: a guest can have work posted as fast as it is done, and
	 * the terminal and signals want their turn.
	 */
	for (unsigned int left = loop_count_work(loop); left && !atomic_load(&loop->stopping);
	     left--) {
		work = loop_take_work(loop);
		if (!work)
			return;
		work->fn(work->opaque);
	}
	if (loop_count_work(loop))
		loop_wake(loop);
}

/* Waits up to `timeout` ms (-1: for ever) and serves what there is: how many events. */
static int loop_serve(struct loop *loop, int timeout)
{
	int n = epoll_wait(loop->epoll, loop->batch, LOOP_BATCH, timeout);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	loop->nr_batch = n;
	for (int i = 0; i < n && !atomic_load(&loop->stopping); i++) {
		struct loop_source *source = loop->batch[i].data.ptr;

		loop->next_batch = i + 1;
		if (!source)
			loop_serve_wake(loop);
		else if (loop->batch[i].events)
			source->fn(source->opaque, loop->batch[i].events);
	}
	loop->nr_batch = 0;
	return n;
}

int loop_turn(struct loop *loop)
{
	return loop_serve(loop, 0);
}

int loop_run(struct loop *loop)
{
	int n = 0;

	loop->thread = pthread_self();
	atomic_store(&loop->running, true);
	while (n >= 0 && !atomic_load(&loop->stopping))
		n = loop_serve(loop, -1);
	atomic_store(&loop->running, false);
	return n < 0 ? n : loop->status;
}

struct loop_call {
	struct loop_work work;
	void (*fn)(void *opaque);
	void *opaque;
	sem_t done;
};

static void loop_call_run(void *opaque)
{
	struct loop_call *call = opaque;

	call->fn(call->opaque);
	sem_post(&call->done);
}

void loop_call(struct loop *loop, void (*fn)(void *opaque), void *opaque)
{
	struct loop_call call = {
		.work = { .fn = loop_call_run },
		.fn = fn,
		.opaque = opaque,
	};

	if (!atomic_load(&loop->running) || pthread_equal(loop->thread, pthread_self())) {
		fn(opaque);
		return;
	}
	call.work.opaque = &call;
	sem_init(&call.done, 0, 0);
	loop_post(loop, &call.work);
	while (sem_wait(&call.done))
		;
	sem_destroy(&call.done);
}

static void *loop_thread_run(void *opaque)
{
	loop_run(opaque);
	return NULL;
}

int loop_thread_start(struct loop_thread *thread, const char *name)
{
	int err = loop_create(&thread->loop);

	if (err)
		return err;
	err = sys_thread_start(&thread->thread, name, loop_thread_run, thread->loop);
	if (err) {
		loop_destroy(thread->loop);
		thread->loop = NULL;
		return err;
	}
	/* From here on loop_call() knows whose thread it is. */
	while (!atomic_load(&thread->loop->running))
		sched_yield();
	return 0;
}

void loop_thread_stop(struct loop_thread *thread)
{
	if (!thread->loop)
		return;
	loop_stop(thread->loop, 0);
	pthread_join(thread->thread, NULL);
	loop_destroy(thread->loop);
	thread->loop = NULL;
}

void loop_stop(struct loop *loop, int status)
{
	lock_take(&loop->lock);
	/* The first reason to stop is the one reported. */
	if (!atomic_load(&loop->stopping)) {
		loop->status = status;
		atomic_store(&loop->stopping, true);
	}
	lock_drop(&loop->lock);
	loop_wake(loop);
}
