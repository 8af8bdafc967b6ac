// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/slots.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#include "base/bits.h"
#include "base/bug.h"

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

int slots_add(struct slots *slots, struct direct_slot *slot)
{
	int free_id = -1, err = 0;

	if (!is_aligned(slot->range.first, PAGE_SIZE) ||
	    !is_aligned(slot->range.last + 1, PAGE_SIZE))
		return -EINVAL;
	lock_take(&slots->lock);
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
	lock_take(&slots->lock);
	BUG_ON(slots->used[slot->id] != slot);
	/* A slot left behind would show the guest memory that is about to be someone else's. */
	BUG_ON(slots_tell_kernel(slots, slot, false));
	slots->used[slot->id] = NULL;
	lock_drop(&slots->lock);
}
