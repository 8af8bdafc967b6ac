/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The virtual PCI Express fabric of one segment: a root bus, root ports, switches, and the way to
 * config space (ECAM and the legacy ports 0xcf8/0xcfc). "Airlock is the firmware":
 * pci_fabric_assign() gives out bus numbers, windows, BAR addresses and interrupt lines before the
 * guest's first instruction, because small kernels enumerate nothing.
 *
 * Sources: PCI Express Base 6.0, 7.2.2 (ECAM); PCI Local Bus 3.0, 3.2.2.3.2 (mechanism #1);
 * PCI Firmware 3.3, 4.1 (MCFG).
 */
#ifndef AIRLOCK_PCI_FABRIC_H
#define AIRLOCK_PCI_FABRIC_H

#include "base/diag.h"
#include "pci/function.h"

struct pci_fabric;

struct pci_fabric_config {
	struct range ecam;   /* 1 MiB per bus, from bus 0 */
	struct range mmio32; /* window for 32-bit and small BARs */
	struct range mmio64; /* window above RAM, inside the guest's physical address width */
	struct range io;     /* I/O ports for BARs */
	/*
	 * I/O APIC pins that the root bus swizzles onto: INTx (0..3) of device d there is wired to
	 * intx_pins[(d + x) % 4], as _PRT has to say.
	 */
	uint8_t intx_pins[4];
};

/*
 * With host bridge 00.0, ECAM and ports 0xcf8..0xcff (of which 0xcf9 is the reset control register,
 * as on every PC chipset: it asks the platform for a reset). 0 or -errno.
 */
int pci_fabric_create(struct platform *platform, const struct pci_fabric_config *config,
		      struct pci_fabric **fabric);
/*
 * All functions detached but the fabric's own ports, which go with it. Loop thread, no lock held:
 * it waits for accesses that are still running.
 */
void pci_fabric_destroy(struct pci_fabric *fabric);
const struct pci_fabric_config *pci_fabric_config(const struct pci_fabric *fabric);
/* LOCK_FABRIC of this fabric. */
struct lock *pci_fabric_lock(struct pci_fabric *fabric);

struct pci_bus *pci_fabric_root(struct pci_fabric *fabric);
/* The next device number of the root bus whose function 0 is free; -ENOSPC. */
int pci_bus_free_slot(const struct pci_bus *bus);
struct pci_function *pci_bus_function(const struct pci_bus *bus, uint8_t devfn);
/* The bus number as the guest has programmed it; the root bus is 0. */
uint8_t pci_bus_number(const struct pci_bus *bus);
struct pci_fabric *pci_bus_fabric(const struct pci_bus *bus);
/* That of the port above it; NULL for the root bus. */
const struct platform *pci_bus_platform(const struct pci_bus *bus);

/*
 * A root port at a free slot of the root bus; *bus is its secondary bus. acs: with an ACS
 * capability that the guest can enable, as isolation between slots needs. The fabric owns it.
 */
struct pci_port_config {
	const char *id; /* "rp0": what bus= names */
	uint8_t slot_number;
	bool acs;
	/* Its own interrupts go through this platform's IOMMU; NULL: the fabric's. */
	struct platform *platform;
	/* Windows at least this large even when nothing behind needs them (hotplug); 0: none. */
	uint64_t mmio32_reserve, mmio64_reserve;
};
int pci_root_port_create(struct pci_fabric *fabric, const struct pci_port_config *config,
			 struct pci_bus **bus, struct diag *diag);
/*
 * A switch: an upstream port at a free slot of `parent`, and behind it downstream ports whose buses are
 * named "ID.0", "ID.1", ... acs: the downstream ports have an ACS capability; without, what is behind
 * them reaches each other past the IOMMU. The fabric owns it. 0, or -errno with diag filled, and then what
 * was made of it stays until the fabric goes.
 */
struct pci_switch_config {
	const char *id;
	unsigned int nr_ports; /* 1..32 */
	uint8_t slot_number;   /* of the first downstream port; the others follow */
	bool acs;
	struct platform *platform; /* as of struct pci_port_config */
};
int pci_switch_create(struct pci_fabric *fabric, const struct pci_switch_config *config,
		      struct pci_bus *parent, struct diag *diag);
/* The secondary bus of the port named id (the root bus for "root"), or NULL. */
struct pci_bus *pci_fabric_find_bus(struct pci_fabric *fabric, const char *id);

/*
 * Programs bus numbers, windows, BARs and interrupt lines, and switches decoding on, but bus
 * mastering only on ports, which pass on what functions behind them may do. Largest first.
 * 64-bit BARs go above 4 GiB, except non-prefetchable ones behind a port, whose window for them is
 * below (PCI-to-PCI Bridge 1.2, 3.2.5.8) until that is full. I/O BARs that find no room stay
 * unassigned with a warning, since PCI Express devices work without; memory that finds none is
 * -ENOSPC with diag filled.
 */
int pci_fabric_assign(struct pci_fabric *fabric, struct diag *diag);
/* Every function and port as at power-on. pci_fabric_assign() then runs again. */
void pci_fabric_reset(struct pci_fabric *fabric);
/*
 * Sections of the fabric's own: config ports, host bridge, ports. Loading needs a fabric with the
 * same ports. 0, -ENOMEM, -ENODATA, -EPROTO; after an error the fabric is to be reset or destroyed.
 */
void pci_fabric_save(struct pci_fabric *fabric, struct state_writer *w);
int pci_fabric_load(struct pci_fabric *fabric, struct state_reader *r);
/* Calls fn for each function, parents first, under LOCK_FABRIC. */
void pci_fabric_walk(struct pci_fabric *fabric, void (*fn)(void *opaque, struct pci_function *f),
		     void *opaque);

#endif
