/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The IOMMU as every device of ours sees it: all its DMA and all its interrupts go through here. A
 * unit (VT-d, or none at all) stands behind an ops table.
 *
 * DMA
 *
 * A device's thread opens a section, translates, copies, and closes it. Sections are short: nothing
 * that blocks happens inside one. Spans are valid until the section ends.
 *
 *	iommu_section_begin(&section);
 *	err = iommu_translate(&section, pasid, iova, len, IOMMU_WRITE, spans, max, &nr, &covered);
 *	... copy ...
 *	iommu_section_end(&section);
 *
 * I/O that takes its time (a disk read into guest memory) turns the spans into a hold before it
 * closes the section: iommu_hold_add(). Held spans stay valid until iommu_hold_release(); an
 * invalidation that changes their translation calls revoke, upon which the device cancels the I/O or
 * turns it to a buffer of its own, and releases.
 *
 * The promise. When an invalidation is reported complete, no translation older than it is in use:
 * caches have forgotten it, every section that could have seen it has ended, every hold on it has
 * been released. Nothing else is waited for: not sections of devices outside the domain, not holds on
 * other addresses, not sections that began later. All waits are bounded (wait_limit_ns); who is late
 * is named, and the invalidation then fails rather than lie.
 *
 * How: each section has an IOTLB of its own, which only its thread touches, and the unit keeps a log
 * of invalidations. A section that begins reads seq, publishes it with a full fence, reads it again,
 * and takes from its IOTLB whatever the log says up to there. An invalidation writes the log, makes seq
 * odd, clears what is shared (tables of tables), makes seq even with a full fence, and then looks at
 * the sections. Either a section's beginning came after and found the log entry, or the invalidation
 * finds the section and waits for it to end; what that section cached meanwhile goes when the next
 * one begins. A walk enters a shared cache only under the cache's lock and only if seq has not moved
 * since: an invalidation moves seq first and takes the same lock to clear.
 *
 * A section that began at a later seq than the clearing was done at cannot have seen the old
 * translation, and is not waited for.
 */
#ifndef AIRLOCK_IOMMU_OPS_H
#define AIRLOCK_IOMMU_OPS_H

#include <errno.h>
#include <string.h>

#include "base/lock.h"
#include "base/log.h"
#include "base/range.h"
#include "iommu/iotlb.h"
#include "iommu/mem.h"
#include "iommu/quarantine.h"
#include "iommu/spin.h"
#include "iommu/upper.h"
#include "platform/platform.h"

struct iommu;
struct iommu_ats;
struct iommu_device;

/* Writes of four bytes here are interrupts, not memory (VT-d 3.14; AMD-Vi 2.1.2). */
#define IOMMU_MSI_FIRST 0xfee00000ull
#define IOMMU_MSI_LAST	0xfeefffffull

struct iommu_span {
	gpa_t addr;
	uint64_t len;
	bool snoop; /* coherent whatever the device asked for */
};

/*
 * One page, by walking. What a unit's translate answers. Where the page's entry stands in a level 1
 * table of a single stage, the table may be offered too: the section then finds the other 511 pages
 * without asking the unit.
 */
struct iommu_walked {
	struct iommu_page page;
	bool cacheable;
	const struct pt_format *format; /* NULL: no table is offered */
	uint64_t table;
	uint8_t above; /* rights gathered above it */
};

/* What an invalidation is about. */
struct iommu_inval {
	enum { IOMMU_INVAL_ALL, IOMMU_INVAL_DOMAIN, IOMMU_INVAL_RANGE, IOMMU_INVAL_DEVICE } scope;
	uint32_t domain;	     /* DOMAIN, RANGE */
	uint64_t first, last;	     /* RANGE: addresses of requests */
	bool leaf_only;		     /* RANGE: no table above the pages has changed */
	struct iommu_device *device; /* DEVICE */
	const void *unit;	     /* what else: for ops->forget */
};

struct iommu_ops {
	const char *name;
	/*
	 * Translates the page of iova for `need`. Inside a section, any thread, no lock held. 0;
	 * -EFAULT when refused (the fault is recorded).
	 */
	int (*translate)(struct iommu *iommu, struct iommu_device *dev, uint32_t pasid,
			 uint64_t iova, uint64_t len, unsigned int need, struct iommu_walked *out);
	/*
	 * A translation request (iommu/ats.h): the page of iova and its rights, none where it is not
	 * mapped. 0, -EFAULT as above. NULL: the unit knows no device TLBs.
	 */
	int (*ats_translate)(struct iommu *iommu, struct iommu_device *dev, uint32_t pasid,
			     uint64_t iova, unsigned int want, struct iommu_walked *out);
	/*
	 * Where an interrupt message of this device goes. 0 with *out to send; 1 when it has been
	 * posted and nothing is to be sent; -EFAULT when refused (recorded). Any thread.
	 */
	int (*interrupt)(struct iommu *iommu, rid_t rid, const struct msi_message *in,
			 struct msi_message *out);
	/*
	 * The same asked in advance, for a route that the kernel delivers along: no fault is recorded
	 * and nothing posted. It holds until an irq listener is told otherwise.
	 */
	int (*route)(struct iommu *iommu, rid_t rid, const struct msi_message *in,
		     struct msi_message *out);
	/* The unit's own part of a device. All may be NULL. */
	int (*device_add)(struct iommu *iommu, struct iommu_device *dev);
	void (*device_remove)(struct iommu *iommu, struct iommu_device *dev);
	/*
	 * Forget what the unit caches beyond the IOTLB: tables read to find a device's domain. Part
	 * of an invalidation, after seq has moved. inval->unit is the unit's own description; scope
	 * DEVICE without one: the requester id changes.
	 */
	void (*forget)(struct iommu *iommu, const struct iommu_inval *inval);
	/*
	 * Brings listeners up to date: the last part of an invalidation, when nothing old is in use.
	 * NULL: the unit cannot.
	 */
	void (*mirror)(struct iommu *iommu, const struct iommu_inval *inval);
	/* dev->listener has changed: starts from nothing, or lets go. 0 or -errno. Executor. */
	int (*listen)(struct iommu *iommu, struct iommu_device *dev);
	/* A quarantined device's first refused request: the guest is told by a fault. Any thread. */
	void (*refused)(struct iommu *iommu, struct iommu_device *dev, uint32_t pasid,
			uint64_t iova, unsigned int access);
};

/* What a device's requests go through. */
enum iommu_attach {
	IOMMU_ATTACH_BLOCKED,	 /* nothing gets through */
	IOMMU_ATTACH_IDENTITY,	 /* translation is off, or passes through */
	IOMMU_ATTACH_TRANSLATED, /* exactly what map() says */
};

/*
 * Told what a guest's tables map for one device, by whoever must mirror it: vfio/ into the host's
 * IOMMU, vhost into its IOTLB. Called by the thread that executes the guest's command, before the
 * guest is told that it is done, without any lock of the unit's; never two at once for one unit.
 */
struct iommu_listener {
	/*
	 * What its requests go through now. Everything mapped before is gone. IDENTITY: all of the
	 * guest's RAM is to be mapped one to one by the listener itself.
	 */
	void (*attach)(void *opaque, enum iommu_attach how);
	/*
	 * [iova, iova + len) now maps to guest memory at addr. Refusing (-errno) is the host's
	 * limit: the device is quarantined and its faults say so; nothing is dropped silently.
	 */
	int (*map)(void *opaque, uint64_t iova, gpa_t addr, uint64_t len, unsigned int access);
	/* Exactly what map() told before, or several such in a row. Done on return. */
	void (*unmap)(void *opaque, uint64_t iova, uint64_t len);
	void *opaque;
};

/* Told when interrupt-remapping entries may have changed: [first, last] of the table. */
struct iommu_irq_listener {
	void (*changed)(void *opaque, uint32_t first, uint32_t last);
	void *opaque;
};

/*
 * What a unit tells the machine. All may be NULL; called without locks, but maybe inside a section
 * of the device: post it to a loop, do not act on it there.
 */
struct iommu_events {
	/* Somebody holds up an invalidation beyond its limit. */
	void (*late)(void *opaque, struct iommu_device *dev, const char *what);
	void (*quarantined)(void *opaque, struct iommu_device *dev, const char *why);
	void (*ats_taken)(void *opaque, struct iommu_device *dev, const char *why);
	void *opaque;
};

/* Invalidations, for the sections' own caches: entry i is the one that made seq 2 * (i + 1). */
#define IOMMU_LOG 256 /* a section that is further behind forgets everything */

struct iommu_log {
	_Atomic uint32_t scope, domain;
	atomic_bool leaf_only;
	_Atomic uint64_t first, last;
	_Atomic(struct iommu_device *) device;
};

struct iommu {
	const struct iommu_ops *ops;
	const struct iommu_mem *mem; /* where offered tables are read */
	/* Shared by all devices, for walks worth more than its look-up; NULL: the unit has none. */
	struct upper *upper;
	_Atomic uint64_t seq;
	struct iommu_log log[IOMMU_LOG]; /* changed only by the executor */
	uint64_t wait_limit_ns;
	struct iommu_events events;
	struct quarantine_policy quarantine;

	/*
	 * Execution: one thread at a time executes what changes translations (a command, a queue, a
	 * device coming or going). It is not a lock held: callbacks run under it.
	 */
	struct lock lock; /* LOCK_IOMMU */
	pthread_cond_t idle;
	bool executing;		      /* under lock */
	pthread_t executor;	      /* while executing */
	struct iommu_device *devices; /* changed only by the executor */

	struct lock hold_lock; /* LOCK_LEAF: every device's holds */
	pthread_cond_t released;
	struct iommu_hold *revoking; /* under hold_lock */
};

/* What a device did with ATS (iommu/ats.h). */
struct iommu_ats_figures {
	uint64_t nr_requests, nr_faults, nr_uses, nr_stale;
	uint64_t nr_invals, inval_ns_max, inval_ns_sum;
	bool taken; /* away, once */
};

/* One requester. Created by the PCI function it belongs to. */
struct iommu_device {
	struct iommu *iommu;
	struct iommu_device *next;
	/* Requester id, and above it how often it was changed: what is cached is tagged by both. */
	_Atomic uint32_t identity;
	char name[48];
	/*
	 * Domains it may have used since it was added, one bit per domain modulo 64: set before a
	 * domain's tables are walked. Invalidations of other domains pass it by.
	 */
	_Atomic uint64_t domains;
	atomic_bool blocked; /* quarantined: all its requests are refused */
	atomic_bool refusal_told;
	struct iommu_section *sections; /* changed only by the executor */
	struct iommu_hold *holds;	/* under hold_lock */
	struct log_budget late_log;
	const struct iommu_listener *listener; /* changed only by the executor */
	struct iommu_ats *_Atomic ats;	       /* iommu/ats.h; likewise */
	struct iommu_ats_figures ats_past;     /* of ATS that was switched off; under hold_lock */
	struct quarantine faults;
	void *unit; /* the unit's own part */

	/* Figures, relaxed. Misses of sections that are gone; each section counts its own. */
	atomic_ullong nr_misses, nr_faults, nr_denied, nr_interrupts;
};

/* The level 1 table that maps 2 MiB of a device's addresses. */
struct iommu_piece {
	uint64_t key; /* first address | valid; PASID beside it */
	uint32_t pasid;
	uint8_t above;
	uint64_t table;
	const struct pt_format *format;
};

#define IOMMU_PIECES 64

/*
 * One per thread that does DMA for a device, with that thread's IOTLB: some 20 KiB. Owned by the
 * device model, used by one thread at a time.
 */
struct iommu_section {
	struct iommu_device *dev;
	_Atomic uint64_t state; /* 0: idle; else seq at its beginning << 1 | 1 */
	struct iommu_section *next;
	_Atomic uint64_t nr_misses;
	uint64_t applied;  /* log entries its IOTLB has followed */
	uint32_t identity; /* whose translations its IOTLB holds */
	struct iotlb iotlb;
	struct iommu_piece pieces[IOMMU_PIECES];
};

/* Spans kept beyond a section. Owned by the device model, from add to release. */
struct iommu_hold {
	struct iommu_device *dev;
	uint64_t first, last; /* addresses of the request */
	uint64_t seq;
	bool revoked;
	/*
	 * Let go soon: cancel, or go on in a buffer of your own. Once, on the invalidating thread,
	 * without locks; it must not block. The release may come from inside it, or from another
	 * thread, which then waits until it has returned and so must not hold a lock it takes.
	 */
	void (*revoke)(struct iommu_hold *hold);
	void *opaque;
	struct iommu_hold *next, **link;
};

/* For units: sets up what is common. 0 or -ENOMEM. */
int iommu_init(struct iommu *iommu, const struct iommu_ops *ops, bool with_upper);
/* All devices are gone. */
void iommu_fini(struct iommu *iommu);

/* Waits for its turn to change translations. Not inside a section, and with no lock held. */
void iommu_exec_begin(struct iommu *iommu);
void iommu_exec_end(struct iommu *iommu);

/*
 * Forgets translations, and waits until none older is in use. By the executor, after the change is
 * visible to walks. 0, or -ETIMEDOUT when somebody was late: events.late has named them, and the
 * guest must not be told that it is done.
 */
int iommu_invalidate(struct iommu *iommu, const struct iommu_inval *inval);

/* 0, -ENOMEM or the unit's refusal. */
int iommu_device_create(struct iommu *iommu, rid_t rid, const char *name,
			struct iommu_device **dev);
/* Its sections are gone and its holds released. */
void iommu_device_destroy(struct iommu_device *dev);
/*
 * The guest renumbered a bus: sections that begin from now on have the new id. Waits for nothing and
 * may be called with any lock held; a listener is told by the next command, or by replay.
 */
void iommu_device_set_rid(struct iommu_device *dev, rid_t rid);
/*
 * Attaches a listener (owned by the caller, kept until replaced), or takes it away (NULL). It is told
 * what holds now before this returns; taken away, it is told nothing more. 0; -ENOMEM; -ENOTSUP where
 * the unit cannot mirror: a guest that need not invalidate when it maps. Not inside a section.
 */
int iommu_device_listen(struct iommu_device *dev, const struct iommu_listener *listener);
/* Tells its listener everything again, from nothing. Not inside a section. */
int iommu_device_replay(struct iommu_device *dev);

/*
 * Quarantine: refuses everything from now on. refuse() may be called anywhere, inside a section too;
 * block() also waits for the spans in flight, and so may not. Lifting it is the operator's.
 */
void iommu_device_refuse(struct iommu_device *dev, const char *why);
void iommu_device_block(struct iommu_device *dev, const char *why);
void iommu_device_unblock(struct iommu_device *dev);
/*
 * Counts faults of the device against iommu.quarantine, those of the unit itself and those a host
 * reports of the device behind it. Anywhere, inside a section too.
 */
void iommu_device_fault(struct iommu_device *dev, unsigned int faults);

/* CLOCK_MONOTONIC, nanoseconds. */
uint64_t iommu_now_ns(void);

static inline rid_t iommu_device_rid(const struct iommu_device *dev)
{
	return (rid_t){ (uint16_t)atomic_load_explicit(&dev->identity, memory_order_relaxed) };
}

void iommu_section_init(struct iommu_section *section, struct iommu_device *dev);
void iommu_section_fini(struct iommu_section *section);

/* The slow part of iommu_section_begin(): takes from the IOTLB what log entries below `upto` say. */
void iommu_section_follow(struct iommu_section *section, uint64_t upto);

static inline void iommu_section_begin(struct iommu_section *section)
{
	uint64_t seq = atomic_load_explicit(&section->dev->iommu->seq, memory_order_acquire);

	/* Partners with the fence between clearing and looking in iommu_invalidate(). */
	spin_publish(&section->state, seq << 1 | 1);
	/*
	 * Read anew: an invalidation that came between the first reading and the fence did not see
	 * this section, so this section must see it. One that is being executed (odd) does see it
	 * and waits; its entry is left for the section after this.
	 */
	seq = atomic_load_explicit(&section->dev->iommu->seq, memory_order_acquire);
	if (unlikely(section->applied != seq >> 1 ||
		     section->identity !=
			     atomic_load_explicit(&section->dev->identity, memory_order_relaxed)))
		iommu_section_follow(section, seq >> 1);
}

static inline void iommu_section_end(struct iommu_section *section)
{
	atomic_store_explicit(&section->state, 0, memory_order_release);
}

/*
 * Keeps the spans of [iova, iova + len) beyond the section, which is still open. revoke and opaque
 * are set by the caller.
 */
void iommu_hold_add(struct iommu_section *section, struct iommu_hold *hold, uint64_t iova,
		    uint64_t len);
void iommu_hold_release(struct iommu_hold *hold);

#define IOMMU_PAGES_MAX 4096

/* The slow part of iommu_translate(): one page, walked and cached. */
int iommu_translate_page(struct iommu_section *section, uint32_t pasid, uint64_t iova, uint64_t len,
			 unsigned int access, struct iommu_page *page);

/*
 * Translates [iova, iova + len) into at most `max` spans, adjoining pages merged. *covered bytes
 * from the start are in the *nr spans: less than len only when spans ran out, or after
 * IOMMU_PAGES_MAX pages (a section is short): call again for the rest. 0; -EINVAL for a range
 * that wraps or is empty, or a PASID beyond 20 bits; -EPERM when the device is quarantined; -EFAULT when the unit refuses any
 * part of it (recorded there), and then no span may be used. Inside a section.
 */
int iommu_translate(struct iommu_section *section, uint32_t pasid, uint64_t iova, uint64_t len,
		    unsigned int access, struct iommu_span *spans, unsigned int max,
		    unsigned int *nr, uint64_t *covered);

/* An interrupt message of the device: as iommu_ops.interrupt, and counted. */
int iommu_interrupt(struct iommu_device *dev, const struct msi_message *in,
		    struct msi_message *out);

/* The same by requester id alone, for who routes messages: as iommu_ops.interrupt. */
static inline int iommu_remap(struct iommu *iommu, rid_t rid, const struct msi_message *in,
			      struct msi_message *out)
{
	return iommu->ops->interrupt(iommu, rid, in, out);
}

/* A machine without an IOMMU: addresses and interrupts go through as they are. 0 or -ENOMEM. */
int iommu_none_create(struct iommu **iommu);
void iommu_none_destroy(struct iommu *iommu);

#endif
