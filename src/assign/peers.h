/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices of two VMs that can reach each other past the IOMMU. The kernel's groups do not show all
 * of them (host/isolation.h): a port that does not redirect requests may turn one around to a
 * sibling in a group of its own.
 */
#ifndef AIRLOCK_ASSIGN_PEERS_H
#define AIRLOCK_ASSIGN_PEERS_H

#include "base/diag.h"
#include "host/address.h"
#include "sys/sys.h"

/*
 * Looks whether one of these functions may reach, or be reached by, one that another VM has open.
 * 0; -EPERM with both functions and the port named in diag. Where no other VFIO group is there to
 * be open, which is the rule, it costs one listing of /dev/vfio.
 */
int assign_peers_check(struct sys *sys, const struct pci_address *ours, size_t nr_ours,
		       struct diag *diag);

#endif
