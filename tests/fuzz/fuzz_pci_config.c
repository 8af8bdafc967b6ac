// SPDX-License-Identifier: GPL-2.0-or-later
/* libFuzzer: a hostile guest on the PCI fabric, against a model of what its registers mean. */
#include "fake/pci_world.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pci_world world;

	pci_world_init(&world);
	pci_world_run(&world, data, size);
	if (!pci_world_fini(&world))
		abort();
	return 0;
}
