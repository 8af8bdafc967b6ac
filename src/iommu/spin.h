/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A spin lock for the few stores that fill or clear a translation cache: held for nanoseconds,
 * nothing is called or waited for under it, it has no rank. And the fence that pairs a DMA section
 * with an invalidation.
 */
#ifndef AIRLOCK_IOMMU_SPIN_H
#define AIRLOCK_IOMMU_SPIN_H

#include <sched.h>
#include <stdatomic.h>

#include "base/types.h"

#if defined(__SANITIZE_THREAD__)
#define SPIN_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SPIN_TSAN 1
#endif
#endif

struct spin {
	atomic_bool held;
};

static inline void spin_pause(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}

static inline void spin_take(struct spin *spin)
{
	unsigned int tries = 0;

	while (atomic_exchange_explicit(&spin->held, true, memory_order_acquire)) {
		while (atomic_load_explicit(&spin->held, memory_order_relaxed)) {
			/* Its holder may have been preempted: two threads can share one processor. */
			if (++tries % 64)
				spin_pause();
			else
				sched_yield();
		}
	}
}

static inline void spin_drop(struct spin *spin)
{
	atomic_store_explicit(&spin->held, false, memory_order_release);
}

/*
 * Publishes `value` before anything that follows is read: a store, then a full fence. The thread
 * sanitizer does not know fences, and is given an exchange, which is one on this architecture.
 */
static inline void spin_publish(_Atomic uint64_t *p, uint64_t value)
{
#ifdef SPIN_TSAN
	atomic_exchange(p, value);
#else
	atomic_store_explicit(p, value, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
#endif
}

#endif
