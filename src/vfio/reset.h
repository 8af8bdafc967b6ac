/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Getting a device back to a known state: before the guest has it, after the guest had it, when the
 * guest reboots, and when it asks by function-level reset. The ladder, best rung first:
 *
 *	1. VFIO_DEVICE_RESET: this function alone. The kernel picks what there is (FLR, AF, PM
 *	   D3hot, a bus of its own; in sysfs: reset_method), so those are not tried again here
 *	2. VFIO_DEVICE_PCI_HOT_RESET: the slot or bus, with every function on it. Only when all
 *	   of their groups are ours and none of them is in use, or the guest resets the bus they
 *	   are all on, or the whole VM resets
 *
 * A device with no rung at all would carry one guest's state to the next: refused unless the user
 * takes that risk by name.
 */
#ifndef AIRLOCK_VFIO_RESET_H
#define AIRLOCK_VFIO_RESET_H

#include <linux/vfio.h>

#include "base/diag.h"
#include "base/types.h"

struct vfio_pci;

struct vfio_reset {
	char method[16];	  /* of rung 1, as the kernel calls it: "flr", "pm", "bus" */
	unsigned int nr_affected; /* by rung 2; 0: there is none */
	struct vfio_pci_dependent_device *affected; /* owned */
	uint64_t nr;
	const char *last; /* rung that the last reset used; static text or `method` */
};

enum vfio_reset_scope {
	VFIO_RESET_FUNCTION, /* others go on working: the guest's FLR, a device coming or going */
	VFIO_RESET_VM,	     /* everything is reset: no vCPU runs */
};

/*
 * Finds the rungs. `methods` is the host's list for it ("flr bus"). 0, or -ENOTSUP with diag filled
 * when there is none and that was not allowed.
 */
int vfio_reset_init(struct vfio_pci *pci, const char *methods, struct diag *diag);
void vfio_reset_fini(struct vfio_pci *pci);
/* Rung 1 exists: the guest may be offered a function-level reset. */
bool vfio_reset_is_local(const struct vfio_pci *pci);
/*
 * The reset before use. VFIO's first opening of a function resets it, and offers VFIO_DEVICE_RESET
 * only where that worked (vfio_pci_core_enable()), so a function whose group nobody else could
 * have had open is not made to wait through a second one. Otherwise as vfio_reset_run().
 */
int vfio_reset_first(struct vfio_pci *pci);
/*
 * Resets. The device's interrupts and bus mastering are off before; after, its command register
 * is as config says. 0; -EBUSY when the only rung would reset a device in use; or -errno.
 * LOCK_FABRIC held, or no vCPU running, or not attached.
 */
int vfio_reset_run(struct vfio_pci *pci, enum vfio_reset_scope scope);

#endif
