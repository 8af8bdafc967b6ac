/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A function as a bus master: how device models reach guest memory. All of it goes through the IOMMU
 * that the platform has for the function (platform->iommu; with none asked for, addresses pass
 * through), and stops while the guest has bus mastering off here or on a bridge above.
 *
 * Copying, the usual way:
 *
 *	err = pci_dma_read(&dma, addr, &descriptor, sizeof(descriptor));
 *
 * Memory itself, for a moment (nothing that blocks between begin and end):
 *
 *	err = pci_dma_begin(&dma);
 *	if (err)
 *		return err;
 *	err = pci_dma_map(&dma, addr, len, IOMMU_WRITE, iov, max, &nr, &covered);
 *	... fill iov ...
 *	pci_dma_end(&dma);
 *
 * Memory itself, for I/O that takes its time: pci_dma_hold() between map and end, and then
 * iommu_hold_release(). The hold's revoke (iommu/ops.h) asks for it back: cancel the I/O, or go on in
 * a buffer of your own and copy by pci_dma_write().
 *
 * A refused request is recorded by the unit and is the guest's own fault: what the device reports is
 * what real hardware does on an unsupported request or completer abort.
 *
 * Peers. A request goes up the fabric. A switch whose port has no ACS redirection (or has it switched
 * off) hands what lies in the window of another of its ports to that port, and no IOMMU sees it. What
 * reaches the root complex is translated, and then is memory or a register of another device. A device that
 * sets `peers` reaches registers either way; to any other, registers are as no memory at all.
 *
 * One struct pci_dma per thread that does DMA: it holds that thread's IOTLB.
 */
#ifndef AIRLOCK_PCI_DMA_H
#define AIRLOCK_PCI_DMA_H

#include <sys/uio.h>

#include "iommu/dma.h"
#include "pci/function.h"

struct pci_dma {
	struct pci_function *fn;
	/*
	 * Set after pci_dma_init() by a device that reads and writes on the loop thread only, with no
	 * lock held: handlers of other devices take locks.
	 */
	bool peers;
	struct iommu_section section;
};

/*
 * Makes the function a requester of its platform's IOMMU: fn->requester. Once per function, between
 * pci_function_init() and pci_function_attach(), on the thread that makes it and with no lock held.
 * pci_dma_init() does it where it has not been done. pci_function_fini() undoes it. 0 or -errno.
 */
int pci_requester_init(struct pci_function *fn);

/* No lock held. 0, -ENOMEM; -ENXIO on a platform without memory for devices. */
int pci_dma_init(struct pci_dma *dma, struct pci_function *fn);
/* Its holds are released. No lock held. Before pci_function_fini(). */
void pci_dma_fini(struct pci_dma *dma);

/*
 * Copies between guest memory and buf. 0; -EPERM without bus mastering, or quarantined; -EFAULT
 * where the unit refuses or no RAM lies; -EINVAL for a range that is empty or wraps. What was copied
 * before an error is not taken back, as on a bus. The thread of `dma`; not between begin and end; may
 * be called under LOCK_DEVICE.
 */
int pci_dma_read(struct pci_dma *dma, uint64_t addr, void *buf, uint64_t len);
int pci_dma_write(struct pci_dma *dma, uint64_t addr, const void *buf, uint64_t len);

/*
 * Whether a translated request (iommu/ats.h) gets as far as the root complex: ports may block them
 * (ACS). Loop thread, no lock held.
 */
bool pci_dma_may_translate(struct pci_dma *dma);

/* 0, and then pci_dma_end() is owed; -EPERM without bus mastering. */
int pci_dma_begin(struct pci_dma *dma);
void pci_dma_end(struct pci_dma *dma);
/*
 * Host addresses of [addr, addr + len), at most `max` pieces; *covered bytes from the start are in the
 * *nr pieces, fewer than len only when pieces ran out or after IOMMU_PAGES_MAX pages. access: IOMMU_READ for
 * what the device reads, IOMMU_WRITE for what it writes, or both. Errors as above, and then no piece may
 * be used. Valid until pci_dma_end(), or while held.
 */
int pci_dma_map(struct pci_dma *dma, uint64_t addr, uint64_t len, unsigned int access,
		struct iovec *iov, unsigned int max, unsigned int *nr, uint64_t *covered);
/* Keeps what was mapped there beyond the end: hold->revoke and ->opaque are set by the caller. */
static inline void pci_dma_hold(struct pci_dma *dma, struct iommu_hold *hold, uint64_t addr,
				uint64_t len)
{
	iommu_hold_add(&dma->section, hold, addr, len);
}

#endif
