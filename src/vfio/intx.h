/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * INTx of a passed-through function, in user space, because KVM offers no resampling irqfd with a
 * split interrupt chip:
 *
 *	VFIO masks the interrupt and signals our eventfd -> (loop) the pin is asserted ->
 *	(vCPU) the guest ends the interrupt: pin released, VFIO unmasks -> if the device still
 *	asserts, VFIO signals again
 *
 * The pin's level is set outside of our lock, for pci/ has its own above it; each side settles
 * the level until it is what the state says, so that whoever comes last is right.
 */
#ifndef AIRLOCK_VFIO_INTX_H
#define AIRLOCK_VFIO_INTX_H

#include "base/diag.h"
#include "platform/platform.h"

struct vfio_pci;

struct vfio_intx {
	int eventfd; /* -1: the device has no INTx */
	struct loop_source source;
	struct loop_work settle; /* the level changed where pci/'s lock was held */
	struct irq_eoi eoi;
	int watched_pin; /* I/O APIC pin whose EOI we watch, -1: none. LOCK_FABRIC */
	/* Under LOCK_VECTORS (struct vfio_vectors). */
	bool enabled;  /* VFIO signals the eventfd */
	bool asserted; /* it fired and the guest has not ended it */
	uint64_t nr;   /* interrupts delivered */
};

/* Loop thread. 0, or -errno with diag filled. */
int vfio_intx_build(struct vfio_pci *pci, struct diag *diag);
/* Loop thread; detached from the bus. Waits for handlers. */
void vfio_intx_fini(struct vfio_pci *pci);

/*
 * Enables or disables it, as the guest's registers ask: under LOCK_FABRIC, and LOCK_MSIX perhaps.
 */
void vfio_intx_update(struct vfio_pci *pci);
/* Off, for MSI or MSI-X takes over, or the device stops. Under LOCK_VECTORS. */
void vfio_intx_off_locked(struct vfio_pci *pci);
/* The guest set Interrupt Disable: the pin goes down, and VFIO fires anew when it is cleared. */
void vfio_intx_withdraw(struct vfio_pci *pci);

#endif
