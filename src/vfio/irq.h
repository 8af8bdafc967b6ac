/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MSI-X and MSI of a passed-through function. Each vector in use has an eventfd: VFIO signals it,
 * and while the guest has the vector unmasked it is attached to a route of the machine, so that an
 * interrupt takes no way through us. Masking detaches it and nothing else: what fires meanwhile
 * stays in the eventfd's counter, which is the pending bit.
 *
 *	guest's table -> pci/ -> here -> route (message) <- eventfd <- VFIO <- device
 *
 * The kernel allocates vectors when the kind is enabled. Older ones cannot add to them later
 * (VFIO_IRQ_INFO_NORESIZE): growing is disabling and enabling again, and since an interrupt can be
 * lost in between, every vector that was in use is kicked once. As long as none is in use, therefore,
 * as many are taken as the guest has given a message to, which for Linux is all it will ever use.
 *
 * Called by pci/ under LOCK_MSIX (MSI-X) or LOCK_FABRIC (MSI); state is under LOCK_VECTORS.
 */
#ifndef AIRLOCK_VFIO_IRQ_H
#define AIRLOCK_VFIO_IRQ_H

#include <linux/vfio.h>

#include "base/diag.h"
#include "base/lock.h"
#include "base/range.h"
#include "pci/function.h"

struct vfio_pci;

struct vfio_vector {
	int eventfd; /* -1 until the vector is first unmasked; then kept */
	msi_route_t route;
	struct msi_message msg; /* the route's */
	bool wired;		/* VFIO signals the eventfd */
	bool live;		/* the eventfd is attached to the route */
	bool pending;		/* taken out of the eventfd's counter while masked */
};

struct vfio_vectors {
	struct lock lock;	    /* LOCK_VECTORS: what follows, and struct vfio_intx */
	unsigned int kind;	    /* VFIO_PCI_MSI(X)_IRQ_INDEX; VFIO_PCI_NUM_IRQS: neither */
	unsigned int nr_enabled;    /* vectors the kernel has allocated */
	unsigned int nr_most;	    /* the host has no more to give; 0: not known */
	unsigned int nr_asked;	    /* MSI: vectors the guest enabled */
	struct vfio_vector *vector; /* owned; one for each the device has of either kind */
	unsigned int nr;
	uint64_t nr_setups;
	uint64_t nr_before; /* interrupts delivered on vectors that are no longer set up */

	/* Where MSI-X lies; constant. */
	uint8_t msix_cap, msi_cap; /* 0: none */
	unsigned int nr_msix, table_bar, pba_bar;
	uint64_t table, pba;
};

/* Finds MSI-X in config space; hides the capability where VFIO and it do not agree. */
void vfio_msix_locate(struct vfio_pci *pci);
/* Where table and pending bits lie in this BAR: 0..2 ranges. */
unsigned int vfio_msix_holes(const struct vfio_pci *pci, unsigned int bar, struct range *holes);

/* Interrupts delivered on the vectors that are set up now: vfio/stats.c. Under vectors.lock. */
uint64_t vfio_interrupts_now(struct vfio_pci *pci);

/* Hands both capabilities to pci/. Config space has been built and BARs are declared. */
int vfio_vectors_build(struct vfio_pci *pci, struct diag *diag);
/* Both kinds off. Any thread below LOCK_VECTORS. Harmless when they are. */
void vfio_vectors_off(struct vfio_pci *pci);
/* Off, and everything freed. Nothing calls into pci/ any more. */
void vfio_vectors_fini(struct vfio_pci *pci);
/* Vectors that VFIO signals now. */
unsigned int vfio_vectors_count(struct vfio_pci *pci);

/* For struct pci_function_ops. */
void vfio_msix_enabled(struct pci_function *fn, bool enabled);
void vfio_msix_changed(struct pci_function *fn, unsigned int vector, bool masked,
		       struct msi_message msg);
bool vfio_msix_pending(struct pci_function *fn, unsigned int vector);
void vfio_msi_enabled(struct pci_function *fn, bool enabled);
void vfio_msi_changed(struct pci_function *fn);
/* Routes follow the requester id by which the guest's IOMMU knows the function. */
void vfio_vectors_rid(struct pci_function *fn);

#endif
