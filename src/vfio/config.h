/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Config space of a passed-through function: pci/ holds what the guest sees and may write, this
 * adds, bit by bit, what goes to the device. The rules are in vfio/caps.h; bytes that belong to no
 * capability and not to the header pass, as vendors keep registers there and the kernel guards
 * what the host needs.
 *
 * Built before the function is attached; from then on under LOCK_FABRIC.
 */
#ifndef AIRLOCK_VFIO_CONFIG_H
#define AIRLOCK_VFIO_CONFIG_H

#include <stdatomic.h>

#include "base/diag.h"
#include "pci/function.h"
#include "vfio/caps.h"

struct vfio_pci;

struct vfio_config {
	uint8_t pass_read[PCIE_CONFIG_SIZE], pass_write[PCIE_CONFIG_SIZE];
	uint8_t device[PCIE_CONFIG_SIZE]; /* as read when the device was opened */
	struct vfio_caps caps;
	uint16_t base_command; /* what stays as it is in the device: decode, the host's bits */
	int command;	       /* what the device was told last; -1: not known */
	uint8_t af_cap;	       /* offset, 0: none */
	/*
	 * The guest could have changed the device since its last reset. Under LOCK_FABRIC, or by
	 * the loop thread while vCPUs are stopped.
	 */
	bool touched;
	atomic_ullong nr_accesses; /* that reached the device */
};

/* Reads what the device has, for its first reset. 0, or -errno with diag filled. */
int vfio_config_open(struct vfio_pci *pci, struct diag *diag);
/* Reads it again and lays the function's config space out. 0, or -errno with diag filled. */
int vfio_config_build(struct vfio_pci *pci, struct diag *diag);
/* Tells the device of bus mastering and INTx as the guest and we want it now. */
void vfio_config_command(struct vfio_pci *pci);
/* The device was reset: what it was told is forgotten. */
void vfio_config_forget(struct vfio_pci *pci);

uint32_t vfio_config_read(struct pci_function *fn, uint16_t offset, unsigned int size);
void vfio_config_write(struct pci_function *fn, uint16_t offset, unsigned int size, uint32_t value);

#endif
