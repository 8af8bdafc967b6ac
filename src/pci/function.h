/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A PCI function as the guest sees it: config space as permission tables, BARs as lists of parts,
 * MSI and MSI-X. It knows no device: an emulated device and a passed-through one both fill it in.
 *
 * Locks: every config access runs under the fabric's lock (LOCK_FABRIC), so a function's config
 * space and BAR placement need none of their own. Register accesses to BAR parts run without it.
 *
 * Sources: PCI Local Bus 3.0 (6, 6.8), PCI Express Base 6.0 (7).
 */
#ifndef AIRLOCK_PCI_FUNCTION_H
#define AIRLOCK_PCI_FUNCTION_H

#include "base/lock.h"
#include "base/types.h"
#include "pci/pci_regs.h"
#include "platform/device.h"
#include "platform/platform.h"

struct pci_bus;
struct pci_function;

#define PCI_BARS      6
#define PCI_BAR_ROM   6 /* index of the expansion ROM among the parts */
#define PCI_BAR_PARTS 8

/*
 * A stretch of a BAR, handled in one way. The parts of a BAR do not overlap; what no part covers
 * reads as all ones.
 */
struct pci_bar_part {
	uint64_t offset, len; /* within the BAR */
	bool direct;	      /* guest memory slot at slot.hva, else trapped through region.ops */
	bool live;	      /* registered with the platform */
	struct direct_slot slot;  /* .hva and .readonly set by the device */
	struct bus_region region; /* .name, .ops and .opaque set by the device */
};

struct pci_bar {
	uint64_t size;	/* power of two; 0: not implemented */
	uint32_t flags; /* PCI_BAR_IO, PCI_BAR_MEM64, PCI_BAR_PREFETCH: the register's own bits */
	bool enabled;	/* placed and decoding */
	uint64_t addr;	/* where, when enabled */
	unsigned int nr_parts;
	struct pci_bar_part parts[PCI_BAR_PARTS];
};

/* What a function does beyond the tables. All may be NULL. Called under LOCK_FABRIC. */
struct pci_function_ops {
	/*
	 * A read of 1, 2 or 4 aligned bytes. NULL: pci_config_get(), what the tables hold.
	 */
	uint32_t (*config_read)(struct pci_function *fn, uint16_t offset, unsigned int size);
	/*
	 * A write, before the tables apply it: NULL, or call pci_config_put() where they should.
	 */
	void (*config_write)(struct pci_function *fn, uint16_t offset, unsigned int size,
			     uint32_t value);
	/* Bus mastering, memory or I/O decode changed: new value of the command register. */
	void (*command_changed)(struct pci_function *fn, uint16_t old, uint16_t command);
	/* Function-level reset by the guest (PCIe device control), or part of a bus reset. */
	void (*reset)(struct pci_function *fn);

	/* MSI-X or MSI was switched on or off, or its function mask changed. */
	void (*msix_enabled)(struct pci_function *fn, bool enabled);
	void (*msi_enabled)(struct pci_function *fn, bool enabled);
	/*
	 * A vector's message or mask changed while MSI-X is enabled. masked includes the function
	 * mask. Under LOCK_MSIX, and not always under LOCK_FABRIC; the handler may commit routes.
	 */
	void (*msix_changed)(struct pci_function *fn, unsigned int vector, bool masked,
			     struct msi_message msg);
	void (*msi_changed)(struct pci_function *fn);
	/* A masked vector's pending bit is asked for: true when the device holds one. */
	bool (*msix_pending)(struct pci_function *fn, unsigned int vector);
};

struct pci_msix; /* pci/msix.h */
struct pci_msi;	 /* pci/msi.h */

struct pci_function {
	const struct pci_function_ops *ops;
	struct platform *platform;
	struct device *dev;  /* the device it belongs to; for names and removal */
	struct pci_bus *bus; /* NULL until pci_function_attach() */
	uint8_t devfn;
	char name[48];	      /* "nvme0", "vfio 0000:01:00.1": in messages */
	uint16_t config_size; /* PCI_CONFIG_SIZE or PCIE_CONFIG_SIZE */

	/* config, and per byte which bits the guest can write and which a 1 clears. */
	uint8_t config[PCIE_CONFIG_SIZE];
	uint8_t wmask[PCIE_CONFIG_SIZE];
	uint8_t w1c[PCIE_CONFIG_SIZE];
	uint8_t reset_config[PCIE_CONFIG_SIZE]; /* config as at attach: what a reset restores */

	struct pci_bar bars[PCI_BARS + 1]; /* [PCI_BAR_ROM] is the expansion ROM */
	struct pci_msix *msix;		   /* NULL: none */
	struct pci_msi *msi;		   /* NULL: none */
	uint8_t pm_cap, pcie_cap;	   /* offsets, 0: none */
	uint8_t irq_pin_level;		   /* INTx asserted: 1 */
	void *opaque;			   /* the device's */
};

/* Fills in an empty function: ids, header type 0, command and status permissions. */
struct pci_ids {
	uint16_t vendor, device, subvendor, subdevice;
	uint32_t class_code; /* 24 bits: base, sub, interface */
	uint8_t revision;
};
void pci_function_init(struct pci_function *fn, struct platform *platform, struct device *dev,
		       const struct pci_function_ops *ops, const struct pci_ids *ids,
		       const char *name);

/* Capability of `len` bytes (header included) at the next free offset, all read-only zero. */
int pci_add_capability(struct pci_function *fn, uint8_t id, uint8_t len, uint8_t *offset);
/* The same in extended space, 0x100 up. */
int pci_add_ext_capability(struct pci_function *fn, uint16_t id, uint8_t version, uint16_t len,
			   uint16_t *offset);

/*
 * Declares BAR `index` (PCI_BAR_ROM for the ROM). size a power of two (>= 16, ROM >= 2 KiB); a
 * 64-bit BAR takes the next register too. -EINVAL where that does not fit.
 */
int pci_bar_declare(struct pci_function *fn, unsigned int index, uint64_t size, uint32_t flags);
/* Adds a trapped or a direct part. Before attach. -ENOSPC, -EINVAL if parts overlap. */
int pci_bar_add_trap(struct pci_function *fn, unsigned int index, uint64_t offset, uint64_t len,
		     const char *name, const struct bus_region_ops *ops, void *opaque);
int pci_bar_add_direct(struct pci_function *fn, unsigned int index, uint64_t offset, uint64_t len,
		       void *hva, bool readonly);

/*
 * Puts the function on a bus: -EEXIST if the place is taken. From here the guest finds it.
 * Detach takes its BARs off the platform; the owner then calls platform_synchronize().
 */
int pci_function_attach(struct pci_function *fn, struct pci_bus *bus, uint8_t devfn);
void pci_function_detach(struct pci_function *fn);
/* Frees what pci/ allocated for it. After detach (or without attach). */
void pci_function_fini(struct pci_function *fn);

/* Config access by the tables alone: aligned 1, 2 or 4 bytes. Out of range: all ones, dropped. */
uint32_t pci_config_get(const struct pci_function *fn, uint16_t offset, unsigned int size);
void pci_config_put(struct pci_function *fn, uint16_t offset, unsigned int size, uint32_t value);
/* As the guest's access, through ops. */
uint32_t pci_config_read(struct pci_function *fn, uint16_t offset, unsigned int size);
void pci_config_write(struct pci_function *fn, uint16_t offset, unsigned int size, uint32_t value);
/* For the device itself: set bytes and permissions, past any mask. */
void pci_config_set(struct pci_function *fn, uint16_t offset, unsigned int size, uint32_t value);
void pci_config_permit(struct pci_function *fn, uint16_t offset, unsigned int size, uint32_t wmask,
		       uint32_t w1c);

/* Config back to reset_config, BARs off, MSI and MSI-X off, then ops->reset. */
void pci_function_reset(struct pci_function *fn);

/* Requester id as it stands now: the bus number is the guest's to program. */
rid_t pci_function_rid(const struct pci_function *fn);
/* Command register's bus-master bit, here and on each bridge above. */
bool pci_function_may_master(const struct pci_function *fn);
/* Asserts or releases the function's INTx: pin swizzled to the I/O APIC. Any lock below IRQ_CHIP. */
void pci_function_intx(struct pci_function *fn, bool level);
/* The I/O APIC pin its INTx reaches, or -1 when it has no INTx pin. */
int pci_function_intx_pin(const struct pci_function *fn);

#endif
