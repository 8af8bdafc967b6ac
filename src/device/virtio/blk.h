/* SPDX-License-Identifier: GPL-2.0-or-later */
/* virtio-blk: a disk for a guest with virtio drivers (VIRTIO 1.2, 5.2). */
#ifndef AIRLOCK_DEVICE_VIRTIO_BLK_H
#define AIRLOCK_DEVICE_VIRTIO_BLK_H

#include "backend/block.h"
#include "pci/function.h"

struct virtio_blk_config {
	const char *name;
	struct block *block; /* borrowed; claimed until destroy */
	const char *serial;  /* up to 20 characters; NULL: the drive's id */
	unsigned int nr_queues;
	struct loop *loop; /* borrowed; outlives the device. NULL: a thread of its own */
	bool integrated, packed, in_order;
};

/* Not attached yet; its function is virtio_pci_function(). 0 or -errno with diag filled. */
int virtio_blk_create(struct platform *platform, const struct virtio_blk_config *config,
		      struct device **dev, struct diag *diag);

/* The function of any virtio device. */
struct pci_function *virtio_pci_function(struct device *dev);

#endif
