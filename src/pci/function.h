/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A PCI function as the guest sees it: config space as permission tables, BARs as lists of parts,
 * MSI and MSI-X. It knows no device: an emulated device and a passed-through one both fill it in.
 *
 * Locks: every config access runs under the fabric's lock (LOCK_FABRIC), so a function's config
 * space and BAR placement need none of their own. Register accesses to BAR parts run without it.
 * What can interrupt (MSI-X, MSI, the INTx level) has a lock per function (LOCK_MSIX), so that a
 * device fires from any thread, also under its own lock (LOCK_DEVICE). "Under LOCK_FABRIC" below
 * means that the caller holds it; outside of config accesses take pci_fabric_lock().
 *
 * Sources: PCI Local Bus 3.0 (6, 6.8), PCI Express Base 6.0 (7).
 */
#ifndef AIRLOCK_PCI_FUNCTION_H
#define AIRLOCK_PCI_FUNCTION_H

#include <stdatomic.h>

#include "base/lock.h"
#include "base/log.h"
#include "base/state.h"
#include "base/types.h"
#include "pci/pci_regs.h"
#include "platform/device.h"
#include "platform/platform.h"

struct iommu_device;
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
	bool blocked;	/* should be, but the platform refused: retried when something moves */
	uint64_t addr;	/* where, when enabled */
	unsigned int nr_parts;
	struct pci_bar_part parts[PCI_BAR_PARTS];
};

/*
 * What a function does beyond the tables. All may be NULL. Called under LOCK_FABRIC unless said
 * otherwise: they may take LOCK_DEVICE, and must not attach or detach.
 */
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
	/*
	 * The command register changed. Decode is off when bits go away before this is called and
	 * on when bits come only after it has returned.
	 */
	void (*command_changed)(struct pci_function *fn, uint16_t old, uint16_t command);
	/* A BAR was placed, or taken away (addr still says from where): doorbells follow it. */
	void (*bar_changed)(struct pci_function *fn, unsigned int index);
	/*
	 * Function-level reset by the guest (PCIe device control), or part of a bus reset. Config,
	 * BARs and interrupts are at power-on state when it is called.
	 */
	void (*reset)(struct pci_function *fn);
	/* The guest renumbered the bus: pci_function_rid() is another one now. */
	void (*rid_changed)(struct pci_function *fn);

	/*
	 * MSI-X was switched on or off, or its function mask changed: look at every vector. Under
	 * LOCK_FABRIC and LOCK_MSIX, so not mixed with msix_changed.
	 */
	void (*msix_enabled)(struct pci_function *fn, bool enabled);
	/*
	 * A vector's mask changed, or its message while it is unmasked, with MSI-X enabled. masked
	 * includes the function mask. Under LOCK_MSIX, and not always under LOCK_FABRIC; the
	 * handler may commit routes, and call pci_msix_vector() and pci_msix_take_pending(). A
	 * pending bit that it leaves on an unmasked vector is sent when it returns.
	 */
	void (*msix_changed)(struct pci_function *fn, unsigned int vector, bool masked,
			     struct msi_message msg);
	/* A masked vector's pending bit is asked for: true when the device holds one. LOCK_MSIX. */
	bool (*msix_pending)(struct pci_function *fn, unsigned int vector);
	/* MSI was switched on or off; or its message, count or masks changed while it is on. */
	void (*msi_enabled)(struct pci_function *fn, bool enabled);
	void (*msi_changed)(struct pci_function *fn);
};

struct pci_msix;  /* pci/msix.h */
struct pci_msi;	  /* pci/msi.h */
struct pci_sriov; /* pci/sriov.h */

struct pci_function {
	const struct pci_function_ops *ops;
	struct platform *platform;
	struct device *dev;  /* the device it belongs to; for names and removal. NULL: the fabric */
	struct pci_bus *bus; /* NULL until pci_function_attach() */
	struct pci_bus *secondary; /* the bus behind a bridge; NULL: not a bridge */
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
	struct pci_sriov *sriov;	   /* its virtual functions; NULL: cannot have any */
	struct pci_function *pf;	   /* whose virtual function it is; NULL: of none */
	unsigned int vf;		   /* which, from 0 */
	uint8_t pm_cap, pcie_cap;	 /* offsets, 0: none; set by who lays the capability out */
	uint16_t next_cap, next_ext_cap; /* where pci_add_*capability() goes on */
	void *opaque;			 /* the device's */

	struct iommu_device *requester; /* pci/dma.h; NULL: it does no DMA. Fixed while attached */
	struct log_budget log;
	/* Requester id in bits 15..0, bit 16: may master. Written under LOCK_FABRIC, read anywhere. */
	atomic_uint upstream;

	struct lock irq_lock;	/* LOCK_MSIX: MSI-X, MSI and what follows */
	uint8_t irq_pin_level;	/* INTx asserted by the device: 1 */
	bool irq_off;		/* INTx disabled in the command register */
	bool irq_driven;	/* what the platform was told */
	int irq_gsi;		/* I/O APIC pin, -1: none; fixed while attached */
	unsigned int irq_share; /* its share of that pin */
};

/*
 * Fills in an empty function: ids, header type 0, command and status permissions, PCIe-sized
 * config space. ops may be NULL.
 */
struct pci_ids {
	uint16_t vendor, device, subvendor, subdevice;
	uint32_t class_code; /* 24 bits: base, sub, interface */
	uint8_t revision;
};
void pci_function_init(struct pci_function *fn, struct platform *platform, struct device *dev,
		       const struct pci_function_ops *ops, const struct pci_ids *ids,
		       const char *name);

/*
 * Capability of `len` bytes (header included) at the next free offset, all read-only zero.
 * -ENOSPC. Not for a function whose capabilities were copied from a real device.
 */
int pci_add_capability(struct pci_function *fn, uint8_t id, uint8_t len, uint8_t *offset);
/* The same in extended space, 0x100 up. */
int pci_add_ext_capability(struct pci_function *fn, uint16_t id, uint8_t version, uint16_t len,
			   uint16_t *offset);

/*
 * Declares BAR `index` (PCI_BAR_ROM for the ROM). size a power of two (>= 16, ROM >= 2 KiB); a
 * 64-bit BAR takes the next register too. -EINVAL where that does not fit.
 */
int pci_bar_declare(struct pci_function *fn, unsigned int index, uint64_t size, uint32_t flags);
/*
 * Adds a trapped or a direct part. Before attach. -ENOSPC, -EINVAL if parts overlap or leave the
 * BAR; direct ones are page-aligned. name and ops are borrowed.
 */
int pci_bar_add_trap(struct pci_function *fn, unsigned int index, uint64_t offset, uint64_t len,
		     const char *name, const struct bus_region_ops *ops, void *opaque);
int pci_bar_add_direct(struct pci_function *fn, unsigned int index, uint64_t offset, uint64_t len,
		       void *hva, bool readonly);

/*
 * Puts the function on a bus: -EEXIST if the place is taken, -EINVAL for a device number other
 * than 0 below a port, -ENOSPC when its interrupt pin has no share left. From here the guest finds
 * it. Detach takes its BARs off the platform and its INTx down; the owner then calls
 * platform_synchronize(). Both take LOCK_FABRIC.
 */
int pci_function_attach(struct pci_function *fn, struct pci_bus *bus, uint8_t devfn);
void pci_function_detach(struct pci_function *fn);
/* Frees what pci/ allocated for it. After detach (or without attach). */
void pci_function_fini(struct pci_function *fn);

/*
 * Config access by the tables alone: aligned 1, 2 or 4 bytes. Out of range: all ones, dropped. A
 * put has the effects that the registers have: it moves BARs, switches MSI-X, resets.
 * Under LOCK_FABRIC.
 */
uint32_t pci_config_get(const struct pci_function *fn, uint16_t offset, unsigned int size);
void pci_config_put(struct pci_function *fn, uint16_t offset, unsigned int size, uint32_t value);
/* As the guest's access, through ops. Under LOCK_FABRIC. */
uint32_t pci_config_read(struct pci_function *fn, uint16_t offset, unsigned int size);
void pci_config_write(struct pci_function *fn, uint16_t offset, unsigned int size, uint32_t value);
/*
 * For the device itself: set bytes and permissions, past any mask and without effects. Before
 * attach, or under LOCK_FABRIC for bytes that have none.
 */
void pci_config_set(struct pci_function *fn, uint16_t offset, unsigned int size, uint32_t value);
void pci_config_permit(struct pci_function *fn, uint16_t offset, unsigned int size, uint32_t wmask,
		       uint32_t w1c);

/*
 * Config back to reset_config, BARs off, INTx, MSI and MSI-X off, then ops->reset. Under
 * LOCK_FABRIC.
 */
void pci_function_reset(struct pci_function *fn);
/*
 * The guest is resetting a bus above the function: it and everything beside it are being reset, one
 * after the other, and none of it does anything meanwhile. For ops->reset. Under LOCK_FABRIC.
 */
bool pci_function_in_bus_reset(const struct pci_function *fn);

/*
 * The function's part of its device's section: what the guest wrote to config space, MSI-X table,
 * pending bits, INTx level. The device is quiesced. Under LOCK_FABRIC.
 */
void pci_function_save(struct pci_function *fn, struct state_writer *w);
/*
 * Reads it into an attached function of the same make at power-on state; BARs are placed and ops
 * told as if a guest had written it all. 0, -ENOMEM, or -ENODATA or -EPROTO with nothing changed:
 * a short or malformed stream, or another function's. Ports are loaded before what is behind them.
 */
int pci_function_load(struct pci_function *fn, struct state_reader *r);

/* Requester id as it stands now: the bus number is the guest's to program. Any thread. */
rid_t pci_function_rid(const struct pci_function *fn);
/* Command register's bus-master bit and power state, here and on each bridge above. Any thread. */
bool pci_function_may_master(const struct pci_function *fn);
/*
 * Takes bus mastering from the function, as if its driver had: it has misbehaved. Under LOCK_FABRIC.
 */
void pci_function_master_off(struct pci_function *fn);
/*
 * Asserts or releases the function's INTx: pin swizzled to the I/O APIC. Held back while the guest
 * has INTx disabled, or MSI or MSI-X enabled. Any thread, any lock below LOCK_MSIX.
 */
void pci_function_intx(struct pci_function *fn, bool level);
/* The I/O APIC pin its INTx reaches, or -1 when it has no INTx pin. */
int pci_function_intx_pin(const struct pci_function *fn);

#endif
