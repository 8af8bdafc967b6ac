/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One passed-through PCI function: the VFIO device below, the guest's function above, and the parts
 * between. The public side is vfio/vfio.h.
 */
#ifndef AIRLOCK_VFIO_PCI_H
#define AIRLOCK_VFIO_PCI_H

#include "base/bits.h"
#include "base/log.h"
#include "vfio/bar.h"
#include "vfio/config.h"
#include "vfio/device.h"
#include "vfio/events.h"
#include "vfio/intx.h"
#include "vfio/irq.h"
#include "vfio/nest.h"
#include "vfio/reset.h"
#include "vfio/rom.h"
#include "vfio/vfio.h"

struct vfio_group;

struct vfio_pci {
	struct device dev; /* first: what the machine holds */
	struct pci_function fn;
	struct vfio_context *context;
	struct vfio_pci_config config; /* constant; strings are borrowed during creation only */
	struct vfio_pci *next;	       /* the context's list */
	struct vfio_group *group;      /* counted; NULL when given back */
	struct vfio_device device;
	struct vfio_config space;
	struct vfio_bars bars;
	struct vfio_rom rom;
	struct vfio_vectors vectors;
	struct vfio_intx intx;
	struct vfio_events events;
	struct vfio_reset reset;
	struct vfio_nest nest;
	struct log_budget log; /* of lines the guest can provoke */
	/* Under LOCK_FABRIC once attached. */
	bool may_master; /* no reset is under way */
	bool stopped;	 /* failed, or being taken away: nothing of it answers any more */
	struct pci_fabric
		*fabric; /* where it was before it was stopped; NULL: nowhere. Loop thread */
};

static inline struct vfio_pci *vfio_pci_of(struct pci_function *fn)
{
	return container_of(fn, struct vfio_pci, fn);
}

static inline struct vfio_pci *vfio_pci_of_device(struct device *dev)
{
	return container_of(dev, struct vfio_pci, dev);
}

/* Guest RAM is mapped: bus mastering goes on if the guest has asked for it. */
void vfio_pci_mapped(struct vfio_pci *pci);
/*
 * Takes the device from the guest as if it had been pulled out: bus mastering off, no interrupts,
 * off its bus, so that config space and BARs read as all ones. Loop thread, no lock held.
 */
void vfio_pci_stop(struct vfio_pci *pci);
/* Stops it, resets it and gives it back to the host. What stays is a husk for destroy. */
void vfio_pci_release(struct vfio_pci *pci);

/* The part of vfio_pci_plan() that refuses, without a look at capabilities. */
int vfio_plan_look(struct sys *sys, const struct vfio_pci_config *config,
		   struct vfio_pci_plan *plan, struct diag *diag);

#endif
