// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/slots.h"

#include <errno.h>
#include <linux/kvm.h>
#include <sched.h>
#include <string.h>

#include "base/bits.h"
#include "base/bug.h"
#include "base/log.h"

/* Of taking a slot from the kernel, before it counts as stuck. */
#define SLOTS_TRIES 1000

void slots_init(struct slots *slots, struct sys *sys, int vm_fd, unsigned int limit)
{
	memset(slots, 0, sizeof(*slots));
	slots->sys = sys;
	slots->vm_fd = vm_fd;
	slots->nr = (unsigned int)min_u64(limit, SLOTS_MAX);
	lock_init(&slots->lock, LOCK_SLOTS);
}

void slots_fini(struct slots *slots)
{
	lock_fini(&slots->lock);
}

static int slots_tell_kernel(struct slots *slots, const struct direct_slot *slot, bool there)
{
	struct kvm_userspace_memory_region region = {
		.slot = (uint32_t)slot->id,
		.flags = slot->readonly ? KVM_MEM_READONLY : 0,
		.guest_phys_addr = slot->range.first,
		.memory_size = there ? range_len(slot->range) : 0,
		.userspace_addr = (uintptr_t)slot->hva,
	};

	return sys_ioctl(slots->sys, slots->vm_fd, KVM_SET_USER_MEMORY_REGION, &region);
}

/* Those the kernel would not let go: tried again whenever something changes. Lock held. */
static void slots_settle(struct slots *slots)
{
	for (unsigned int id = 0; slots->nr_lost && id < slots->nr; id++) {
		if (slots->used[id] != &slots->lost[id] ||
		    slots_tell_kernel(slots, &slots->lost[id], false))
			continue;
		slots->used[id] = NULL;
		slots->nr_lost--;
	}
}

int slots_add(struct slots *slots, struct direct_slot *slot)
{
	int free_id = -1, err = 0;

	if (!is_aligned(slot->range.first, PAGE_SIZE) ||
	    !is_aligned(slot->range.last + 1, PAGE_SIZE))
		return -EINVAL;
	lock_take(&slots->lock);
	slots_settle(slots);
	for (unsigned int id = 0; id < slots->nr; id++) {
		if (!slots->used[id]) {
			if (free_id < 0)
				free_id = (int)id;
		} else if (range_overlaps(slots->used[id]->range, slot->range)) {
			err = -EEXIST;
			goto out;
		}
	}
	if (free_id < 0) {
		err = -ENOSPC;
		goto out;
	}
	slot->id = free_id;
	err = slots_tell_kernel(slots, slot, true);
	if (!err)
		slots->used[free_id] = slot;
out:
	lock_drop(&slots->lock);
	return err;
}

void slots_remove(struct slots *slots, struct direct_slot *slot)
{
	int err, id = slot->id;

	lock_take(&slots->lock);
	BUG_ON(slots->used[id] != slot);
	slots_settle(slots);
	err = slots_tell_kernel(slots, slot, false);
	/* It allocates a little; a host short of memory is given the time to find some. */
	for (unsigned int tries = 0; err && tries < SLOTS_TRIES; tries++) {
		sched_yield();
		err = slots_tell_kernel(slots, slot, false);
	}
	slots->used[id] = NULL;
	if (err) {
		/* The guest sees that memory still, so nothing else may ever come to lie there. */
		slot->stuck = true;
		slots->lost[id] = *slot;
		slots->used[id] = &slots->lost[id];
		slots->nr_lost++;
		log_error("virtual machine",
			  "KVM does not take memory at %#llx from the guest: %s; it stays where "
			  "it is until it does",
			  (unsigned long long)slot->range.first, strerror(-err));
	}
	lock_drop(&slots->lock);
}
