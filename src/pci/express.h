/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What every PCI Express endpoint of ours has: power states D0 and D3hot, and an Express capability
 * with function-level reset.
 *
 * Sources: PCI Express Base 6.0, 7.5.2 (power management), 7.5.3 (Express capability).
 */
#ifndef AIRLOCK_PCI_EXPRESS_H
#define AIRLOCK_PCI_EXPRESS_H

#include "pci/function.h"

/*
 * Adds the Express capability alone, with function-level reset and no word of a link: fn->pcie_cap.
 * integrated: on the root bus. Before attach. 0 or -ENOSPC.
 */
int pci_express_endpoint(struct pci_function *fn, bool integrated);

/*
 * Adds both capabilities, and a link. integrated: on the root bus, without a link. Before attach. 0 or -ENOSPC.
 */
int pci_express_init(struct pci_function *fn, bool integrated);

#endif
