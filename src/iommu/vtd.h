/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The VT-d remapping unit a guest sees (spec and revision: iommu/vtd_regs.h). Free of any VM: it
 * reaches memory through struct iommu_mem, sends its own interrupts through a callback, and its
 * register page is two functions.
 *
 * What it offers is what its capability registers say, no more: queued and register-based
 * invalidation, 3 to 5 levels of second-stage tables, in scalable mode PASID tables with first-stage,
 * second-stage, nested and pass-through entries, device TLBs, interrupt remapping in remapped and
 * posted format. Not offered: advanced fault logging, page requests, performance counters, execute
 * and supervisor requests, abort-DMA mode.
 */
#ifndef AIRLOCK_IOMMU_VTD_H
#define AIRLOCK_IOMMU_VTD_H

#include "base/diag.h"
#include "base/state.h"
#include "iommu/mem.h"
#include "iommu/ops.h"

struct vtd;

struct vtd_config {
	struct iommu_mem mem;  /* copied */
	uint8_t haw;	       /* guest-physical address bits: 36..52 */
	uint8_t aw;	       /* input address bits offered: 39, 48 or 57 */
	uint8_t nr_fault_regs; /* 1..VTD_FRCD_MAX */
	bool caching_mode;     /* the guest invalidates when it maps, too: listeners need it */
	bool pass_through;     /* pass-through entries: they reach guest RAM only */
	bool snoop_control;
	bool device_tlb; /* ATS */
	bool scalable;
	bool first_stage;    /* in scalable mode; else second-stage only */
	bool nested;	     /* likewise; needs first_stage */
	bool dirty_tracking; /* second-stage accessed and dirty bits, in scalable mode */
	bool intremap;
	bool eim;	 /* x2APIC ids; needs intremap */
	bool posted;	 /* needs intremap */
	bool boot_block; /* no DMA until translation is first enabled */
	/* An interrupt of the unit itself: not remapped. Any thread, no lock held. */
	void (*send)(void *opaque, struct msi_message msg);
	void *opaque;
};

/* 0, -ENOMEM, or -EINVAL with diag filled: settings that contradict each other. */
int vtd_create(const struct vtd_config *config, struct vtd **vtd, struct diag *diag);
/* Its devices are gone. */
void vtd_destroy(struct vtd *vtd);

struct iommu *vtd_iommu(struct vtd *vtd);

/* Register page: size 4 or 8; other sizes read as zero and write nothing. vCPU threads. */
uint64_t vtd_mmio_read(struct vtd *vtd, uint64_t offset, unsigned int size);
void vtd_mmio_write(struct vtd *vtd, uint64_t offset, unsigned int size, uint64_t value);

/* Power-on state. vCPUs are stopped, devices quiet. */
void vtd_reset(struct vtd *vtd);

/*
 * One section of a stream. Loading validates all of it: -EPROTO for values no guest could have made,
 * -EINVAL for a unit of other capabilities. vCPUs stopped, devices quiet.
 */
void vtd_save(struct vtd *vtd, struct state_writer *w);
int vtd_load(struct vtd *vtd, struct state_reader *r);

/*
 * Where an interrupt of the I/O APIC goes (its id is in the DMAR table's scope): as
 * iommu_ops.interrupt. Any thread.
 */
int vtd_interrupt(struct vtd *vtd, rid_t rid, const struct msi_message *in,
		  struct msi_message *out);

/*
 * Told of entry changes, until removed. One at most; by the executor or before the guest runs.
 */
void vtd_listen_irq(struct vtd *vtd, const struct iommu_irq_listener *listener);

/* Figures. */
struct vtd_stats {
	uint64_t nr_commands;	 /* invalidation descriptors and register commands */
	uint64_t nr_faults;	 /* refused requests whose fault was not suppressed */
	uint64_t nr_faults_lost; /* of those, not recorded: no register free */
	uint64_t nr_queue_errors;
};
void vtd_stats(struct vtd *vtd, struct vtd_stats *stats);

#endif
