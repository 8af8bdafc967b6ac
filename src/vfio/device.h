/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VFIO device descriptor: what the kernel says of the function behind it, and the calls made on
 * it. It knows nothing of guests.
 *
 * Everything but open and close may be called from any thread; the kernel serialises.
 */
#ifndef AIRLOCK_VFIO_DEVICE_H
#define AIRLOCK_VFIO_DEVICE_H

#include <linux/vfio.h>

#include "base/diag.h"
#include "base/range.h"
#include "sys/sys.h"

#define VFIO_AREAS_MAX 16

/* A region of the descriptor: a BAR, the expansion ROM, config space. */
struct vfio_region {
	uint64_t offset; /* in the descriptor */
	uint64_t size;	 /* 0: not there */
	bool readable, writable;
	bool msix_mappable;    /* the MSI-X table may lie in a mapping */
	unsigned int nr_areas; /* stretches that can be mapped; 0: none */
	struct range areas[VFIO_AREAS_MAX];
};

/* One kind of interrupt (VFIO_PCI_*_IRQ_INDEX). */
struct vfio_irq {
	unsigned int count; /* 0: the device has none of this kind */
	bool resizable;	    /* more vectors can be added while it is enabled */
};

struct vfio_device {
	struct sys *sys;
	char name[24]; /* object of messages: "0000:01:00.1" */
	int fd;
	bool can_reset; /* VFIO_DEVICE_RESET */
	struct vfio_region region[VFIO_PCI_NUM_REGIONS];
	struct vfio_irq irq[VFIO_PCI_NUM_IRQS];
};

/*
 * Gets the descriptor of the function `name` from its group, which is in a container, and reads
 * what there is to know. 0, or -errno with diag filled. vf_token may be NULL.
 */
int vfio_device_open(struct vfio_device *device, struct sys *sys, int group_fd, const char *name,
		     const char *vf_token, struct diag *diag);
void vfio_device_close(struct vfio_device *device);

/* Reads or writes exactly len bytes at `at` of a region. 0, or -errno (-EIO: the device is gone). */
int vfio_device_read(struct vfio_device *device, unsigned int region, uint64_t at, void *buf,
		     size_t len);
int vfio_device_write(struct vfio_device *device, unsigned int region, uint64_t at, const void *buf,
		      size_t len);

/*
 * Signals eventfds[i] (-1: nothing) when interrupt start + i of this kind fires. The kind as a
 * whole becomes enabled. 0; -errno; or, for MSI and MSI-X, the positive number of vectors that the
 * host could give instead, with nothing done.
 */
int vfio_device_irq_set(struct vfio_device *device, unsigned int kind, unsigned int start,
			unsigned int count, const int *eventfds);
/* Disables the kind as a whole. Harmless when it is not enabled. */
int vfio_device_irq_off(struct vfio_device *device, unsigned int kind);
/* INTx only: the kernel has masked it when it fired. It fires again at once if still asserted. */
int vfio_device_irq_unmask(struct vfio_device *device, unsigned int kind);

#endif
