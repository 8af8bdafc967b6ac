/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MSI-X and MSI of a function (PCI 3.0, 6.8). The table and pending bits are trapped parts of a
 * BAR; what a write there means is worked out here, and the function's ops are told of changes
 * of a vector. An emulated device fires vectors through here; a passed-through one wires its
 * eventfds in its ops instead.
 *
 * The function's irq_lock (LOCK_MSIX) protects it, so that vectors can be fired from any thread
 * and under a device's lock.
 */
#ifndef AIRLOCK_PCI_MSIX_H
#define AIRLOCK_PCI_MSIX_H

#include "pci/function.h"

/*
 * Gives the function an MSI-X capability at config offset `cap` (already laid out by
 * pci_add_capability() or copied from a real device) with `nr` vectors (1..2048), the table at
 * table_offset of BAR table_bar and the pending bits at pba_offset of pba_bar. Adds the trapped
 * parts to the BARs and writes and permits the capability's registers. 0 or -errno: -EINVAL when
 * table or pending bits do not lie within a declared memory BAR.
 */
int pci_msix_init(struct pci_function *fn, uint8_t cap, unsigned int nr, unsigned int table_bar,
		  uint64_t table_offset, unsigned int pba_bar, uint64_t pba_offset);
void pci_msix_fini(struct pci_function *fn);
unsigned int pci_msix_count(const struct pci_function *fn);
bool pci_msix_enabled(const struct pci_function *fn);
/*
 * The vector's message as it stands; returns whether it is masked (entry or function). Any thread,
 * no lock needed: also from within the function's own handlers.
 */
bool pci_msix_vector(const struct pci_function *fn, unsigned int vector, struct msi_message *msg);
/*
 * The device's side has an interrupt of a masked vector: sets the pending bit, or sends it if the
 * guest unmasked the vector meanwhile. Any thread; not from the function's MSI-X handlers.
 */
void pci_msix_set_pending(struct pci_function *fn, unsigned int vector);
/* Takes the pending bit back; returns whether it was set. Any thread, no lock needed. */
bool pci_msix_take_pending(struct pci_function *fn, unsigned int vector);
/* Fires: sent when enabled and unmasked, pending when masked, dropped without bus mastering. */
void pci_msix_fire(struct pci_function *fn, unsigned int vector);

/*
 * MSI capability at config offset `cap`, whose control word's 64-bit, mask and size bits are set.
 * Permits its registers. 0, -ENOMEM, -EINVAL when it does not fit.
 */
int pci_msi_init(struct pci_function *fn, uint8_t cap);
void pci_msi_fini(struct pci_function *fn);
bool pci_msi_enabled(const struct pci_function *fn);
/* Vectors the guest enabled (1..32); 0 when MSI is off. */
unsigned int pci_msi_count(const struct pci_function *fn);
/*
 * The vector's message; returns whether it is masked. Vectors beyond those enabled fold onto them.
 * Any thread.
 */
bool pci_msi_vector(struct pci_function *fn, unsigned int vector, struct msi_message *msg);
void pci_msi_fire(struct pci_function *fn, unsigned int vector);

#endif
