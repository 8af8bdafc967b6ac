// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/lock.h"

#include "base/bug.h"

#ifndef NDEBUG
/* Ranks this thread holds, one bit each. Per thread, and only to check ourselves. */
static _Thread_local unsigned int held_ranks;
#endif

void lock_init(struct lock *lock, enum lock_rank rank)
{
	BUG_ON(pthread_mutex_init(&lock->mutex, NULL));
	lock->rank = rank;
}

void lock_fini(struct lock *lock)
{
	BUG_ON(pthread_mutex_destroy(&lock->mutex));
}

void lock_take(struct lock *lock)
{
#ifndef NDEBUG
	BUG_ON(held_ranks >> lock->rank);
	held_ranks |= BIT(lock->rank);
#endif
	BUG_ON(pthread_mutex_lock(&lock->mutex));
}

void lock_drop(struct lock *lock)
{
	BUG_ON(pthread_mutex_unlock(&lock->mutex));
#ifndef NDEBUG
	held_ranks &= ~BIT(lock->rank);
#endif
}
