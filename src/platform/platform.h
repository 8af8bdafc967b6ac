/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a machine offers its devices, as one table of functions. machine/ implements it on KVM, a
 * vfio-user server on messages, a test in memory; a device model cannot tell which.
 *
 * Unless a function says otherwise it may be called from any thread and under a device's lock, and
 * reports 0 or -errno. Nothing here calls back into a device except bus_region and irq_eoi
 * handlers, which run on vCPU threads, or for another
 * device's access on the loop's, with no lock held.
 */
#ifndef AIRLOCK_PLATFORM_PLATFORM_H
#define AIRLOCK_PLATFORM_PLATFORM_H

#include <stdatomic.h>

#include "base/range.h"
#include "base/types.h"
#include "sys/loop.h"
#include "sys/sys.h"

struct iommu; /* iommu/ops.h */
struct platform;
struct ram; /* memory/ram.h */

enum bus_space { BUS_MMIO, BUS_PIO };

/*
 * Register accesses. offset is relative to the region, size is 1, 2, 4 or 8 and the access lies
 * wholly inside the region. A read returns the value in its low `size` bytes.
 */
struct bus_region_ops {
	uint64_t (*read)(void *opaque, uint64_t offset, unsigned int size);
	void (*write)(void *opaque, uint64_t offset, unsigned int size, uint64_t value);
};

/*
 * A trapped range of addresses. Owned by the device, which fills it and keeps it (and opaque)
 * alive until platform_synchronize() after region_remove. Once removed its range may be changed
 * and the region added again without waiting, as for a BAR that the guest moves: look-ups and
 * offsets come from the bus's own copy of the range. Ranges in one space must not overlap:
 * region_add answers -EBUSY. Unclaimed addresses read as all ones; writes there are dropped.
 */
#define BUS_REGISTERS 32 /* told apart in the figures, the first that are touched */

struct bus_register {
	atomic_uint tag; /* offset + 1; 0: free */
	atomic_ullong nr_reads, nr_writes;
};

struct bus_region {
	const char *name; /* as --stats prints it: "0000:00:01.0 BAR0" */
	enum bus_space space;
	struct range range;
	const struct bus_region_ops *ops;
	void *opaque;
	atomic_ullong nr_reads, nr_writes; /* figures, relaxed; of all registers */
	struct bus_register registers[BUS_REGISTERS];
	struct bus_region *next; /* the bus's own */
};

/* A guest write that signals an eventfd in the kernel, without leaving to user space. */
struct doorbell {
	enum bus_space space;
	uint64_t addr;
	unsigned int size; /* 1, 2, 4, 8; 0 = any size */
	bool match;	   /* only writes of `value` */
	uint64_t value;
	int eventfd; /* borrowed */
};

/*
 * Called on a vCPU thread when the guest ends a level interrupt of this pin, with no lock held.
 * Owned by the watcher, alive until platform_synchronize() after irq_eoi_unwatch.
 */
struct irq_eoi {
	void (*fn)(void *opaque);
	void *opaque;
	struct irq_eoi *next; /* the machine's own */
};

/* What a device writes upstream to interrupt (PCI 3.0, 6.8). */
struct msi_message {
	uint64_t addr;
	uint32_t data;
};

/* Handle of an MSI route: index into the machine's routing table; MSI_ROUTE_NONE is no route. */
typedef struct {
	int gsi;
} msi_route_t;
#define MSI_ROUTE_NONE ((msi_route_t){ -1 })

/*
 * Host memory shown to the guest directly: a passed-through BAR. gpa and hva page-aligned, the
 * length a multiple of the page size. Owned by the device.
 */
struct direct_slot {
	struct range range; /* guest-physical */
	void *hva;
	bool readonly;
	/*
	 * Set by slot_remove and for good: the kernel would not let go of it, so hva is never to be
	 * unmapped, or the guest would see what comes to lie there next.
	 */
	bool stuck;
	int id; /* the machine's own */
};

/* Told of guest RAM as it comes and goes; see ram_listen. */
struct ram_listener {
	/* Memory is there; it stays until remove. Refusing (-errno) undoes the addition. */
	int (*add)(void *opaque, struct range gpa, void *hva);
	/* Must have let go of it on return. */
	void (*remove)(void *opaque, struct range gpa, void *hva);
	void *opaque;
	bool lazy;		   /* wants to know, and no page of it made beforehand */
	struct ram_listener *next; /* the machine's own */
};

/* How a guest or a device asks for the end, or a new beginning, of the machine. */
enum power_event {
	POWER_OFF,   /* the guest switched itself off */
	POWER_RESET, /* reset register, keyboard controller, triple fault policy */
	POWER_PANIC, /* the guest reported a panic (pvpanic) */
	POWER_EXIT,  /* debug-exit: status is the run's exit status */
};

struct platform_ops {
	int (*region_add)(struct platform *p, struct bus_region *region);
	/* The region is unclaimed on return; a call that began before may still be running. */
	void (*region_remove)(struct platform *p, struct bus_region *region);
	/*
	 * Waits until every handler call that began before has returned. Not on a vCPU thread, and
	 * with no lock held: handlers take locks.
	 */
	void (*synchronize)(struct platform *p);

	int (*doorbell_add)(struct platform *p, const struct doorbell *bell);
	void (*doorbell_remove)(struct platform *p, const struct doorbell *bell);

	/* Level of an I/O APIC pin, this caller's share of it: several callers on a pin are ORed. */
	void (*irq_set)(struct platform *p, unsigned int pin, unsigned int share, bool level);
	void (*irq_eoi_watch)(struct platform *p, unsigned int pin, struct irq_eoi *eoi);
	void (*irq_eoi_unwatch)(struct platform *p, unsigned int pin, struct irq_eoi *eoi);

	/*
	 * Messages are those that the device of requester id `rid` writes: the machine has them
	 * remapped by the IOMMU of this platform (p->iommu). What that refuses is recorded there, is no
	 * error and delivers nothing; a route follows when the guest changes what its message stands
	 * for. Routes take effect at msi_commit: one call to the kernel for a batch of changes. */
	int (*msi_alloc)(struct platform *p, rid_t rid, msi_route_t *route);
	/* Detached first; takes effect at once for the caller. */
	void (*msi_free)(struct platform *p, msi_route_t route);
	void (*msi_set)(struct platform *p, msi_route_t route, struct msi_message msg);
	/* The route's messages come from another requester id now: the guest renumbered the bus. */
	void (*msi_requester)(struct platform *p, msi_route_t route, rid_t rid);
	int (*msi_commit)(struct platform *p);
	/* The kernel raises the route whenever the eventfd (borrowed) is signalled. */
	int (*msi_attach)(struct platform *p, msi_route_t route, int eventfd);
	void (*msi_detach)(struct platform *p, msi_route_t route, int eventfd);
	/* One interrupt, now, without a route. */
	int (*msi_send)(struct platform *p, rid_t rid, struct msi_message msg);

	/* -ENOSPC when the kernel has no slot left, -EEXIST when it overlaps RAM or another slot. */
	int (*slot_add)(struct platform *p, struct direct_slot *slot);
	void (*slot_remove)(struct platform *p, struct direct_slot *slot);

	/* Replays what is there to the new listener; a refusal removes it again and is returned. */
	int (*ram_listen)(struct platform *p, struct ram_listener *listener);
	/* Takes everything back from it. */
	void (*ram_unlisten)(struct platform *p, struct ram_listener *listener);

	/*
	 * One access by a device to another's registers: as a vCPU's, of 1, 2, 4 or 8 bytes. What no
	 * region claims reads as all ones. Loop thread, no lock held.
	 */
	void (*access)(struct platform *p, uint64_t addr, void *data, unsigned int size,
		       bool write);

	/*
	 * Asks; it happens later, on the loop. status matters for POWER_EXIT only. With no lock held:
	 * it takes LOCK_VM.
	 */
	void (*power)(struct platform *p, enum power_event event, int status);
};

/*
 * A machine may offer several: to devices behind its IOMMU and to those left out of it. Constant once
 * devices are made.
 */
struct platform {
	const struct platform_ops *ops;
	struct sys *sys;   /* the seam this machine stands on */
	struct loop *loop; /* slow paths, timers, control; one thread */
	void *machine;	   /* the ops' own */
	const struct ram
		*ram; /* guest memory, for devices: only by way of pci/dma.h. May be NULL */
	struct iommu
		*iommu; /* what devices' requests go through: `none` where no unit was asked for */
};

/* A pin's callers: legacy devices use share 0; PCI INTx uses the function's own number. */
#define IRQ_SHARES_MAX 64

static inline int platform_region_add(struct platform *p, struct bus_region *region)
{
	return p->ops->region_add(p, region);
}

static inline void platform_region_remove(struct platform *p, struct bus_region *region)
{
	p->ops->region_remove(p, region);
}

static inline void platform_synchronize(struct platform *p)
{
	p->ops->synchronize(p);
}

static inline void platform_irq_set(struct platform *p, unsigned int pin, unsigned int share,
				    bool level)
{
	p->ops->irq_set(p, pin, share, level);
}

static inline void platform_power(struct platform *p, enum power_event event, int status)
{
	p->ops->power(p, event, status);
}

#endif
