/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A mutex with a rank. Locks are taken in ascending rank; a debug build (no NDEBUG) asserts it on
 * every acquisition, so that an order that could deadlock fails the first time it runs, not the
 * first time it races. The ranks and what each protects stand in docs/locking.md.
 */
#ifndef AIRLOCK_BASE_LOCK_H
#define AIRLOCK_BASE_LOCK_H

#include <pthread.h>

#include "base/types.h"

/* In the order they may be taken: a holder may only take a greater one. */
enum lock_rank {
	LOCK_VM = 1,   /* life cycle of a VM: run state, pause and resume */
	LOCK_FABRIC,   /* shape of the PCI fabric: bus numbers, windows, BAR placement */
	LOCK_DEVICE,   /* one device's registers; never two of them at once */
	LOCK_MSIX,     /* one function's interrupts: MSI-X table, MSI, INTx level */
	LOCK_VECTORS,  /* eventfds of one passed-through function's interrupts */
	LOCK_IOMMU,    /* one remapping unit */
	LOCK_DMA,      /* one mapping engine */
	LOCK_IRQ_CHIP, /* user-space I/O APIC */
	LOCK_IRQ,      /* interrupt routes */
	LOCK_BUS,      /* writers of the region snapshot; readers take nothing */
	LOCK_SLOTS,    /* KVM memory slots */
	LOCK_LOOP,     /* an event loop's list of posted work */
	LOCK_LEAF,     /* taken last, nothing is taken under it */
};

struct lock {
	pthread_mutex_t mutex;
	enum lock_rank rank;
};

void lock_init(struct lock *lock, enum lock_rank rank);
void lock_fini(struct lock *lock);
void lock_take(struct lock *lock);
void lock_drop(struct lock *lock);

#endif
