/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The public teaching device, 1234:11e8 (QEMU project, docs/specs/edu): identification, liveness,
 * factorial, interrupts by INTx and MSI, a DMA engine. With it any guest tries its IOMMU by hand.
 *
 * Beyond the public layout (docs/edu.md): a device TLB that can be told to misbehave, a mode that does
 * not snoop the processors' caches, and a register that says how a transfer ended.
 */
#ifndef AIRLOCK_DEVICE_EDU_H
#define AIRLOCK_DEVICE_EDU_H

#include "pci/function.h"
#include "platform/device.h"

struct edu_config {
	const char *name;
	uint8_t dma_bits; /* address lines: 28 in the public device. 28..64 */
	bool integrated;  /* on the root bus: a root complex integrated endpoint */
	bool ats;	  /* an ATS capability, and a device TLB behind it */
	bool no_snoop;	  /* memory is seen only once the driver has declared it clean */
};

/* 0 or -errno. The platform has guest memory. */
int edu_create(struct platform *platform, const struct edu_config *config, struct device **dev);
/* For pci_function_attach(). */
struct pci_function *edu_function(struct device *dev);

#endif
