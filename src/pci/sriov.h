/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SR-IOV of a function: the capability by which a guest makes virtual functions of it, and ARI, by
 * which there can be more than seven.
 *
 * The device makes all its virtual functions beforehand, each a struct pci_function of its own with
 * its BARs, MSI-X and requester, and hands them over here. They are on the bus, at a requester id that
 * follows from the physical function's, while the guest has VF Enable set; what reaches their BARs is
 * worked out from the physical function's VF BARs. When the guest takes VF Enable away, or resets the
 * physical function, each is reset (ops->reset) and leaves the bus.
 *
 * All of it under LOCK_FABRIC, like every config access; the set-up below before the physical function
 * is attached, on the thread that makes the device.
 *
 * Sources: PCI Express Base 6.0, 9 (SR-IOV; 9.3.3 the capability, 9.3.4 what virtual functions'
 * registers hold), 7.8.8 (ARI).
 */
#ifndef AIRLOCK_PCI_SRIOV_H
#define AIRLOCK_PCI_SRIOV_H

#include "pci/function.h"

struct pci_sriov_config {
	uint16_t total_vfs;
	uint16_t first,
		stride;	    /* requester ids: of virtual function 0 from the PF's, and between */
	uint16_t vf_device; /* device id; the vendor is the PF's */
};

/*
 * Adds the ARI and SR-IOV capabilities to `pf`. -EINVAL where the requester ids would leave the bus,
 * or share one; -ENOSPC, -ENOMEM.
 */
int pci_sriov_init(struct pci_function *pf, const struct pci_sriov_config *config);
/*
 * Declares BAR `index` of every virtual function: a memory BAR, size a power of two and at least a
 * page. As pci_bar_declare() for the rest.
 */
int pci_sriov_bar_declare(struct pci_function *pf, unsigned int index, uint64_t size,
			  uint32_t flags);
/*
 * Gives over virtual function `vf` (from 0): initialised, with the same BARs declared, parts and
 * capabilities added. Its registers become those of a virtual function: no ids, no BARs, no pin.
 * Borrowed while `pf` is
 * attached; pci_function_fini() of each is its maker's. -EINVAL where it does not match what was declared, or already given.
 */
int pci_sriov_add_vf(struct pci_function *pf, unsigned int vf, struct pci_function *fn);
/* Virtual functions on the bus now. Under LOCK_FABRIC. */
unsigned int pci_sriov_enabled(const struct pci_function *pf);

#endif
