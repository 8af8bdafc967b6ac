/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of the VT-d unit, shared by its files:
 *
 *	vtd.c		life, registers, global command
 *	vtd_fault.c	fault records and events
 *	vtd_context.c	root, context and PASID tables: what a request is bound to
 *	vtd_translate.c	a request through its tables
 *	vtd_command.c	invalidation, from the queue and from registers
 *	vtd_irq.c	interrupt remapping and posting
 *	vtd_mirror.c	listeners
 *	vtd_state.c	save and load
 *
 * Locks. iommu.lock (LOCK_IOMMU) covers the plain registers. Fault state has a leaf lock of its own,
 * because requests record faults inside DMA sections while an invalidation waits for them. What
 * requests read (root, irta, boot_blocked) is atomic and is changed by the executor, who then
 * invalidates.
 */
#ifndef AIRLOCK_IOMMU_VTD_UNIT_H
#define AIRLOCK_IOMMU_VTD_UNIT_H

#include "iommu/ats.h"
#include "iommu/vtd.h"
#include "iommu/vtd_regs.h"
#include "iommu/walk.h"

/* What a request is bound to by root, context and PASID tables. */
enum vtd_kind {
	VTD_KIND_NONE,	 /* nothing is known */
	VTD_KIND_PASS,	 /* pass-through */
	VTD_KIND_SECOND, /* second-stage */
	VTD_KIND_FIRST,	 /* first-stage */
	VTD_KIND_NESTED, /* first through second */
};

struct vtd_binding {
	enum vtd_kind kind;
	uint16_t domain;
	uint8_t second_levels, first_levels;
	bool fpd;	 /* faults of these requests are not recorded */
	bool device_tlb; /* translation requests and translated ones are allowed */
	bool dirty;	 /* second stage tracks accessed and dirty */
	bool snoop;	 /* all accesses */
	bool scalable;	 /* which fault reasons apply */
	uint32_t pasid;	 /* of the PASID table entry used; 0 in legacy mode */
	uint64_t second_root, first_root;
};

/*
 * A binding as cached: words that one thread changes under the device's lock and any reads, valid
 * between two equal even versions.
 */
struct vtd_cached {
	_Atomic uint32_t version;
	_Atomic uint64_t key;	 /* identity << 32 | PASID + 1; 0 there: requests without */
	_Atomic uint64_t packed; /* everything small; 0: nothing cached */
	_Atomic uint64_t second_root, first_root;
};

#define VTD_PASID_SLOTS 8

struct vtd_device {
	struct iommu_device *dev;
	struct spin lock;
	struct vtd_cached plain;
	struct vtd_cached pasids[VTD_PASID_SLOTS];
	/* Its listener's view (executor). */
	struct mirror *mirror;
	bool told;
	enum iommu_attach attached;
	struct vtd_binding mirrored;
};

#define VTD_IEC_SETS 256

/* A cached interrupt entry; as vtd_cached. index + 1 is the key, 0 nothing. */
struct vtd_iec {
	_Atomic uint32_t version;
	_Atomic uint32_t key;
	_Atomic uint64_t low, high;
};

/* Fault registers, under faults.lock; a leaf. */
struct vtd_faults {
	struct lock lock;
	uint32_t fsts, fectl, fedata, feaddr, feuaddr;
	uint64_t iqercd;
	uint64_t records[VTD_FRCD_MAX][2];
	unsigned int next; /* record to use next */
	uint64_t nr, nr_lost;
};

struct vtd {
	struct iommu iommu;
	struct vtd_config config;
	struct iommu_mem mem;
	uint64_t cap, ecap;
	struct pt_format second[6]; /* by levels, 3..5 */
	struct pt_format second_dirty[6];
	struct pt_format first[6]; /* 4 and 5 */

	/* Plain registers, in the order of the table in vtd.c; under iommu.lock. */
	uint64_t *regs;
	uint32_t gsts; /* under iommu.lock */

	/* Latched by commands, read by requests. */
	_Atomic uint64_t root; /* RTADDR as of SRTP | VTD_ROOT_ENABLED */
	_Atomic uint64_t irta; /* IRTA as of SIRTP | VTD_IRTA_ENABLED | VTD_IRTA_COMPAT */
	atomic_bool boot_blocked;
	_Atomic uint64_t pmr[2][2]; /* low, high: first, last; first > last: none */
	_Atomic uint64_t iec_seq;
	struct spin iec_lock;
	struct vtd_iec iec[VTD_IEC_SETS];

	/* Queue. */
	_Atomic uint64_t iqh; /* byte offset */
	bool inval_failed;    /* executor: since the last wait descriptor */
	uint16_t inval_failed_sid;
	atomic_bool
		nested_used; /* nested bindings exist, or did: addresses of two kinds are cached */
	atomic_ullong nr_commands, nr_queue_errors;

	struct vtd_faults faults;
	const struct iommu_irq_listener *irq_listener; /* executor */
};

/* Bits of the latched words that the registers do not use. */
#define VTD_ROOT_ENABLED BIT64(0)
#define VTD_IRTA_ENABLED BIT64(4)
#define VTD_IRTA_COMPAT	 BIT64(5)

static inline struct vtd *vtd_of(struct iommu *iommu)
{
	return container_of(iommu, struct vtd, iommu);
}

/* vtd_fault.c */
void vtd_fault_init(struct vtd *vtd);
void vtd_fault_reset(struct vtd *vtd);
/* A refused request: at is its address type, FRCD_AT. Any thread, inside a section too. */
void vtd_fault_dma(struct vtd *vtd, rid_t rid, uint32_t pasid, uint64_t addr, unsigned int need,
		   unsigned int at, enum vtd_fault_reason reason);
void vtd_fault_irq(struct vtd *vtd, rid_t rid, uint32_t index, enum vtd_fault_reason reason);
/* A queue error: FSTS bits, and what IQERCD says. */
void vtd_fault_queue(struct vtd *vtd, uint32_t fsts, uint64_t iqercd);
/* FSTS_IQE, FSTS_ITE or FSTS_ICE stands: nothing is fetched. */
bool vtd_fault_frozen(struct vtd *vtd);
bool vtd_fault_owns(uint64_t offset);
uint32_t vtd_fault_read(struct vtd *vtd, uint64_t offset);
/* True when a queue error was cleared: the queue may go on. */
bool vtd_fault_write(struct vtd *vtd, uint64_t offset, uint32_t value);

/* vtd_context.c */
/* What requests of dev with that PASID (or none) are bound to: VTD_FAULT_NONE, or why not. */
enum vtd_fault_reason vtd_bind(struct vtd *vtd, struct iommu_device *dev, uint32_t pasid,
			       struct vtd_binding *binding);
/* Forgets cached bindings; which: see vtd_forget in vtd_command.c. */
void vtd_unbind(struct vtd_device *vdev);
void vtd_unbind_pasids(struct vtd_device *vdev, uint32_t pasid);
/* The domain of the plain binding, if cached. */
bool vtd_bound_domain(struct vtd_device *vdev, uint16_t *domain);

/* vtd_translate.c */
int vtd_translate(struct iommu *iommu, struct iommu_device *dev, uint32_t pasid, uint64_t iova,
		  uint64_t len, unsigned int need, struct iommu_walked *out);
void vtd_refused(struct iommu *iommu, struct iommu_device *dev, uint32_t pasid, uint64_t iova,
		 unsigned int access);

int vtd_ats_translate(struct iommu *iommu, struct iommu_device *dev, uint32_t pasid, uint64_t iova,
		      unsigned int want, struct iommu_walked *out);

/* vtd_command.c: what an invalidation forgets of the tables that lead to a domain. */
struct vtd_forget {
	bool context; /* context cache */
	bool pasid;   /* PASID cache */
	bool by_domain, by_pasid;
	uint16_t domain;
	uint32_t pasid_value;
};
void vtd_forget(struct iommu *iommu, const struct iommu_inval *inval);
/* Everything: after a pointer or an enable bit has changed. By the executor. */
void vtd_invalidate_all(struct vtd *vtd);
void vtd_command_context(struct vtd *vtd);
void vtd_command_iotlb(struct vtd *vtd);
/* Serves the queue up to the tail as it is now. Not the executor. */
void vtd_queue_serve(struct vtd *vtd);

/* vtd_mirror.c */
void vtd_mirror(struct iommu *iommu, const struct iommu_inval *inval);
int vtd_listen(struct iommu *iommu, struct iommu_device *dev);
void vtd_unlisten(struct vtd_device *vdev);

/* vtd_irq.c */
int vtd_remap(struct iommu *iommu, rid_t rid, const struct msi_message *in,
	      struct msi_message *out);
/* Where it would go: no fault, nothing posted. */
int vtd_route(struct iommu *iommu, rid_t rid, const struct msi_message *in,
	      struct msi_message *out);
void vtd_iec_forget(struct vtd *vtd, uint32_t first, uint32_t last);

/* vtd.c: a plain register's value; under iommu.lock. */
uint64_t vtd_reg_get(struct vtd *vtd, unsigned int offset);
void vtd_reg_set(struct vtd *vtd, unsigned int offset, uint64_t value);
/* Every bit that a guest or the unit can have set in it. */
uint64_t vtd_reg_possible(struct vtd *vtd, unsigned int offset);
/* What follows from the registers: latched words and protected ranges (executor; load). */
void vtd_apply_pmr(struct vtd *vtd);
/* Sends the message in address and data registers. */
void vtd_send(struct vtd *vtd, uint32_t addr, uint32_t upper, uint32_t data);

#endif
