/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * KVM memory slots: guest RAM and the BARs of passed-through devices that the guest reaches
 * directly. Slots may not overlap; the kernel has a limited number of them.
 */
#ifndef AIRLOCK_MACHINE_SLOTS_H
#define AIRLOCK_MACHINE_SLOTS_H

#include "base/lock.h"
#include "platform/platform.h"

#define SLOTS_MAX 256

struct slots {
	struct sys *sys;
	int vm_fd;			     /* borrowed */
	struct lock lock;		     /* LOCK_SLOTS; all below */
	unsigned int nr;		     /* the kernel's limit, at most SLOTS_MAX */
	struct direct_slot *used[SLOTS_MAX]; /* by id */
	struct direct_slot lost[SLOTS_MAX];  /* removed, but not by the kernel; by id */
	unsigned int nr_lost;
};

void slots_init(struct slots *slots, struct sys *sys, int vm_fd, unsigned int limit);
void slots_fini(struct slots *slots);
/* See platform.h. Removing cannot fail; the worst is that the slot is stuck. */
int slots_add(struct slots *slots, struct direct_slot *slot);
void slots_remove(struct slots *slots, struct direct_slot *slot);

#endif
