/* SPDX-License-Identifier: GPL-2.0-or-later */
/* virtio-rng: the host's randomness for a guest (VIRTIO 1.2, 5.4). */
#ifndef AIRLOCK_DEVICE_VIRTIO_RNG_H
#define AIRLOCK_DEVICE_VIRTIO_RNG_H

#include "platform/device.h"
#include "platform/platform.h"

struct virtio_rng_config {
	const char *name;
	struct loop *loop; /* borrowed; outlives the device. NULL: a thread of its own */
	bool integrated, packed;
};

/* Not attached yet; its function is virtio_pci_function(). 0 or -errno. */
int virtio_rng_create(struct platform *platform, const struct virtio_rng_config *config,
		      struct device **dev);

#endif
