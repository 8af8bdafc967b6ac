/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A fabric on the machine in memory, and the guest's hands on it: config accesses through ECAM and
 * a plain endpoint to plug in.
 */
#ifndef AIRLOCK_TESTS_FAKE_PCI_H
#define AIRLOCK_TESTS_FAKE_PCI_H

#include "fake/platform.h"
#include "pci/fabric.h"
#include "pci/msix.h"

#define FAKE_ECAM	0xb0000000ull
#define FAKE_MMIO32	0xc0000000ull
#define FAKE_MMIO32_LEN MIB(512)
#define FAKE_MMIO64	0x8000000000ull
#define FAKE_MMIO64_LEN GIB(256)
#define FAKE_IO		0xc000
#define FAKE_IO_LEN	0x3000

struct fake_pci {
	struct fake_platform machine;
	struct pci_fabric *fabric;
};

/* All buses in ECAM; intx_pins 16..19. */
void fake_pci_init(struct fake_pci *pci);
/* Destroys the fabric; whether nothing is left on the platform. Functions are detached before. */
bool fake_pci_fini(struct fake_pci *pci);
/* A root port without reserved windows; its secondary bus. */
struct pci_bus *fake_pci_port(struct fake_pci *pci, const char *id);

/* Config accesses as the guest makes them, through ECAM. */
uint32_t fake_cfg_read(struct fake_pci *pci, rid_t rid, uint16_t offset, unsigned int size);
void fake_cfg_write(struct fake_pci *pci, rid_t rid, uint16_t offset, unsigned int size,
		    uint32_t value);

/* An endpoint whose trapped parts remember the last write and read back `reads`. */
struct fake_endpoint {
	struct pci_function fn;
	uint64_t reads;
	struct {
		unsigned int nr;
		uint64_t offset, value;
		unsigned int size;
	} written;
	unsigned int nr_resets, nr_bar_changes, nr_commands, nr_msix_changes, nr_msi_changes;
	uint16_t command;    /* as last told */
	bool msix, msi;	     /* as last told */
	unsigned int vector; /* of the last msix_changed */
	bool vector_masked;
	struct msi_message vector_msg;
	uint64_t device_pending; /* what msix_pending answers, one bit per vector */
};

/* Ids 1234:0001. pin: INTx 1..4, 0 none. Not attached. */
void fake_endpoint_init(struct fake_endpoint *ep, struct fake_pci *pci, const char *name,
			uint8_t pin);
/* Declares a BAR that is one trapped part, all of it. */
int fake_endpoint_bar(struct fake_endpoint *ep, unsigned int index, uint64_t size, uint32_t flags);
/* Detaches and frees. */
void fake_endpoint_fini(struct fake_endpoint *ep);

extern const struct bus_region_ops fake_endpoint_region;

#endif
