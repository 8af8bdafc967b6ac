/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An event loop: descriptors, timers and work posted by other threads, all served on the one thread
 * that runs it. It stands on epoll, timerfd and eventfd; it lives in sys/ because each of those can
 * fail.
 *
 * Callbacks run without any lock of the loop's, on the loop's thread, and may add and remove
 * sources (their own too). loop_post() and loop_stop() may be called from any thread; everything
 * else only on the loop's thread, or before it runs.
 */
#ifndef AIRLOCK_SYS_LOOP_H
#define AIRLOCK_SYS_LOOP_H

#include <pthread.h>
#include <sys/epoll.h>

#include "base/types.h"

struct loop;

/* A watched descriptor. Owned by the caller; zero-initialised before loop_watch(). */
struct loop_source {
	int fd;
	void (*fn)(void *opaque, uint32_t events);
	void *opaque;
	bool armed;
};

/* Work to run once on the loop's thread. Owned by the poster until fn is called. */
struct loop_work {
	void (*fn)(void *opaque);
	void *opaque;
	bool posted; /* under the loop's lock */
	struct loop_work *next;
};

/* One-shot timer on CLOCK_MONOTONIC. Owned by the caller. */
struct loop_timer {
	struct loop_source source;
	void (*fn)(void *opaque);
	void *opaque;
};

/* 0 or -errno. */
int loop_create(struct loop **loop);
/* All sources must have been removed. Work still posted is dropped, not run. */
void loop_destroy(struct loop *loop);

/* Watches fd for `events` (EPOLLIN, ...). 0 or -errno. Level-triggered. */
int loop_watch(struct loop *loop, struct loop_source *source, int fd, uint32_t events,
	       void (*fn)(void *opaque, uint32_t events), void *opaque);
/* After this the callback is not entered again. Harmless on a source that is not armed. */
void loop_unwatch(struct loop *loop, struct loop_source *source);

/* 0 or -errno. The timer starts disarmed. */
int loop_timer_init(struct loop *loop, struct loop_timer *timer, void (*fn)(void *opaque),
		    void *opaque);
/* Fires once at CLOCK_MONOTONIC time `deadline_ns`; 0 disarms. Any thread. */
void loop_timer_set(struct loop_timer *timer, uint64_t deadline_ns);
void loop_timer_fini(struct loop *loop, struct loop_timer *timer);

/* Queues work; posting work that is already queued is one run. Any thread, any lock below LOOP. */
void loop_post(struct loop *loop, struct loop_work *work);
/* Takes back work that has not run yet. On the loop's thread, or when it no longer runs. */
void loop_cancel(struct loop *loop, struct loop_work *work);

/*
 * Runs fn on the loop's thread and returns when it has: at once where that is this thread, or where
 * the loop does not run. The loop may not end meanwhile. No lock held.
 */
void loop_call(struct loop *loop, void (*fn)(void *opaque), void *opaque);

/* Serves what is ready now and returns at once: how many events there were, or -errno. */
int loop_turn(struct loop *loop);

/* A loop with a thread of its own, which serves it from creation to destruction. */
struct loop_thread {
	struct loop *loop;
	pthread_t thread;
};
/* name has at most 15 characters. 0 or -errno. */
int loop_thread_start(struct loop_thread *thread, const char *name);
/* All its sources must have been removed. Harmless on a zeroed one. */
void loop_thread_stop(struct loop_thread *thread);

/* Serves until loop_stop(); returns its status, or -errno if the loop itself fails. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop, int status);

/* CLOCK_MONOTONIC now, in nanoseconds. */
uint64_t loop_now_ns(void);

#endif
