/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An NVMe 1.4 subsystem: one PCI function with a controller, any number of namespaces (each a disk of
 * backend/block.h), and with SR-IOV as many virtual functions, each a controller of its own.
 *
 * All queues of all its controllers are served by one thread, which owns everything but the
 * registers; it sleeps on an eventfd that trapped doorbells write, and, once the guest has given it
 * shadow doorbells, the kernel (docs/nvme.md).
 *
 * Source: NVM Express Base Specification 1.4.
 */
#ifndef AIRLOCK_DEVICE_NVME_NVME_H
#define AIRLOCK_DEVICE_NVME_NVME_H

#include "backend/block.h"
#include "base/diag.h"
#include "pci/function.h"
#include "platform/device.h"

#define NVME_NAMESPACES_MAX 32
#define NVME_VFS_MAX	    32
#define NVME_IO_QUEUES_MAX  64 /* pairs of one controller */

struct nvme_config {
	const char *name;   /* "nvme0": in messages and figures */
	const char *serial; /* 1 to 20 printable characters; NULL: the name */
	struct block *blocks[NVME_NAMESPACES_MAX]; /* claimed by the caller; namespace i + 1 */
	unsigned int nr_blocks;
	unsigned int io_queues; /* pairs of the physical function, 1..NVME_IO_QUEUES_MAX */
	unsigned int vfs;	/* virtual functions that a guest can make */
	unsigned int vf_queues; /* I/O queue pairs that each can be given at most */
	bool on_root_bus;	/* an integrated endpoint, and not one behind a port */
	/* false: no thread; the caller runs nvme_serve() and the platform's loop. For tests. */
	bool own_thread;
};

/* 0 or -errno with diag filled. The function is then attached by the caller. */
int nvme_create(struct platform *platform, const struct nvme_config *config, struct device **dev,
		struct diag *diag);
struct pci_function *nvme_function(struct device *dev);
/* Virtual function `vf`, from 0. */
struct pci_function *nvme_vf(struct device *dev, unsigned int vf);
/* Serves until nothing is to do. The thread that owns it, or the caller where there is none. */
void nvme_serve(struct device *dev);

#endif
