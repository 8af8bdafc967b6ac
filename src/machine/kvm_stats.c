// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/kvm_stats.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>

/* A counter's name has at most this many bytes; KVM's are 48 long. */
#define KVM_STATS_NAME_MAX 128
#define KVM_STATS_DESC_MAX 1024

static int kvm_stats_one(struct sys *sys, int fd, const struct kvm_stats_header *head,
			 const struct kvm_stats_desc *desc, kvm_stats_fn fn, void *opaque)
{
	uint64_t value;
	int err;

	/* Histograms have more than one bucket; they are of no use in a table of numbers. */
	if (desc->size != 1)
		return 0;
	err = sys_pread_full(sys, fd, &value, sizeof(value), head->data_offset + desc->offset);
	if (!err)
		fn(opaque, desc->name, value);
	return err;
}

int kvm_stats_open(struct sys *sys, int object_fd)
{
	int fd = sys_ioctl_value(sys, object_fd, KVM_GET_STATS_FD, 0);

	return fd == -ENOTTY || fd == -EINVAL ? -ENOTSUP : fd;
}

int kvm_stats_read(struct sys *sys, int fd, kvm_stats_fn fn, void *opaque)
{
	struct kvm_stats_header head;
	struct kvm_stats_desc *desc = NULL;
	size_t desc_size;
	int err;

	err = sys_pread_full(sys, fd, &head, sizeof(head), 0);
	if (err)
		return err;
	if (!head.name_size || head.name_size > KVM_STATS_NAME_MAX ||
	    head.num_desc > KVM_STATS_DESC_MAX)
		return -EPROTO;
	desc_size = sizeof(*desc) + head.name_size;
	desc = calloc(1, desc_size + 1);
	err = desc ? 0 : -ENOMEM;
	for (uint32_t i = 0; !err && i < head.num_desc; i++) {
		err = sys_pread_full(sys, fd, desc, desc_size, head.desc_offset + i * desc_size);
		if (!err)
			err = kvm_stats_one(sys, fd, &head, desc, fn, opaque);
	}
	free(desc);
	return err;
}
