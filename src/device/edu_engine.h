/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The teaching device's DMA engine: one transfer at a time between its buffer and the guest, directly,
 * through translations of its own, or without snooping.
 *
 * One thread at a time moves data: the loop's. The lock is for what the guest's invalidations do
 * meanwhile to the device TLB.
 */
#ifndef AIRLOCK_DEVICE_EDU_ENGINE_H
#define AIRLOCK_DEVICE_EDU_ENGINE_H

#include "device/edu_regs.h"
#include "iommu/ats.h"
#include "pci/dma.h"

#define EDU_TLB_SIZE   16
#define EDU_CLEAN_SIZE 16

struct edu_translation {
	uint64_t iova; /* of its page */
	uint64_t addr;
	uint8_t access; /* 0: free */
};

struct edu_engine {
	struct pci_dma dma;
	bool no_snoop;
	bool ats; /* enabled; loop thread */
	uint8_t buffer[EDU_BUFFER_SIZE];
	atomic_uint behaviour;

	struct lock lock;	 /* LOCK_LEAF: the device TLB */
	uint64_t nr_invalidated; /* ranges it was told to forget */
	unsigned int next;
	struct edu_translation tlb[EDU_TLB_SIZE];

	unsigned int nr_clean; /* loop thread */
	struct range clean[EDU_CLEAN_SIZE];
	atomic_uint nr_unclean;
};

int edu_engine_init(struct edu_engine *engine, struct pci_function *fn, bool no_snoop);
void edu_engine_fini(struct edu_engine *engine);
/* Power-on state. Loop thread. */
void edu_engine_reset(struct edu_engine *engine);
/* The guest's ATS enable bit. Loop thread, no lock held. */
void edu_engine_ats(struct edu_engine *engine, bool enable);
/* For the next transfer. Loop thread. */
void edu_engine_clean(struct edu_engine *engine, uint64_t addr, uint64_t len);
/*
 * Moves len bytes between the buffer (device, as the guest names it) and addr: EDU_RESULT_*. Loop
 * thread, no lock held.
 */
uint32_t edu_engine_run(struct edu_engine *engine, uint64_t device, uint64_t addr, uint64_t len,
			bool to_memory);

#endif
