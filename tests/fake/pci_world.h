/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hostile guest on a busy fabric: bytes become accesses to ECAM, config ports, MSI-X tables and
 * interrupts of the devices, and after each the fabric is compared with a model that knows only
 * what the config registers say. A fuzzer's input and a random test's are the same thing.
 */
#ifndef AIRLOCK_TESTS_FAKE_PCI_WORLD_H
#define AIRLOCK_TESTS_FAKE_PCI_WORLD_H

#include "fake/pci.h"
#include "pci/dma.h"

#define WORLD_PORTS	3
#define WORLD_ENDPOINTS 6
#define WORLD_RAM	MIB(64)

struct pci_world {
	struct fake_pci pci;
	struct pci_bus *buses[WORLD_PORTS];
	struct fake_endpoint endpoints[WORLD_ENDPOINTS];
	struct ram ram;
	struct pci_dma dma[WORLD_ENDPOINTS];
	unsigned int nr_accesses;
};

void pci_world_init(struct pci_world *world);
/* Runs the input to its end. Aborts where the fabric and the model differ. */
void pci_world_run(struct pci_world *world, const uint8_t *input, size_t len);
/* Whether nothing is left on the platform. */
bool pci_world_fini(struct pci_world *world);

#endif
