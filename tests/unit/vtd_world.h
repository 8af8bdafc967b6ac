/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VT-d unit over a guest's memory, with one device, driven as a guest's driver would: through the
 * register page and tables in memory. Numbers are written out from the specification.
 */
#ifndef AIRLOCK_TESTS_UNIT_VTD_WORLD_H
#define AIRLOCK_TESTS_UNIT_VTD_WORLD_H

#include "iommu_world.h"

#include "iommu/ats.h"
#include "iommu/vtd.h"
#include "iommu/vtd_regs.h"

#define R	  1ull
#define W	  2ull
#define RW	  3ull
#define PS	  0x80ull
#define FS	  7ull
#define DOMAIN	  5
#define RID	  0x0308 /* 03:01.0 */
#define QUEUE_LEN 4096

struct vtd_world {
	struct world w;
	struct vtd *vtd;
	struct iommu_device *dev;
	struct iommu_section section;
	uint64_t root, ss, fs, pasid_table, queue, status, irt;
	uint64_t tail;
	uint32_t wait_data;
	unsigned int desc_size;
	unsigned int nr_sent;
	struct msi_message sent;
};

static inline void vtd_world_send(void *opaque, struct msi_message msg)
{
	struct vtd_world *v = opaque;

	v->nr_sent++;
	v->sent = msg;
}

static inline uint64_t reg(struct vtd_world *v, uint64_t offset, unsigned int size)
{
	return vtd_mmio_read(v->vtd, offset, size);
}

static inline void reg_write(struct vtd_world *v, uint64_t offset, unsigned int size,
			     uint64_t value)
{
	vtd_mmio_write(v->vtd, offset, size, value);
}

static inline void gcmd(struct vtd_world *v, uint32_t set, uint32_t clear)
{
	/* One-shot bits of the status are not written back (11.4.4.1). */
	uint32_t sts = (uint32_t)reg(v, VTD_GSTS, 4) & 0x96ffffff;

	reg_write(v, VTD_GCMD, 4, (sts | set) & ~clear);
}

static inline struct vtd_config vtd_world_config(void)
{
	return (struct vtd_config){
		.haw = 46,
		.aw = 48,
		.nr_fault_regs = 4,
		.pass_through = true,
		.intremap = true,
		.eim = true,
		.posted = true,
		.device_tlb = true,
	};
}

static inline struct vtd_world *vtd_world_create(struct vtd_config config)
{
	struct vtd_world *v = calloc(1, sizeof(*v));
	struct diag diag = DIAG_INIT;

	assert_non_null(v);
	world_init(&v->w);
	config.mem = v->w.mem;
	config.send = vtd_world_send;
	config.opaque = v;
	assert_int_equal(vtd_create(&config, &v->vtd, &diag), 0);
	/* Long: the machine may be busy. Tests of being late set their own. */
	vtd_iommu(v->vtd)->wait_limit_ns = 30000000000ull;
	vtd_iommu(v->vtd)->quarantine.burst = 0;
	assert_int_equal(iommu_device_create(vtd_iommu(v->vtd), (rid_t){ RID }, "dev", &v->dev), 0);
	iommu_section_init(&v->section, v->dev);
	v->root = world_page(&v->w);
	v->ss = world_page(&v->w);
	v->fs = world_page(&v->w);
	v->status = world_page(&v->w);
	v->irt = world_pages(&v->w, 1);
	v->queue = world_page(&v->w);
	v->desc_size = config.scalable ? 32 : 16;
	return v;
}

static inline void vtd_world_destroy(struct vtd_world *v)
{
	iommu_section_fini(&v->section);
	iommu_device_destroy(v->dev);
	vtd_destroy(v->vtd);
	world_fini(&v->w);
	free(v);
}

/* Address of the legacy context entry of rid; makes the context table. */
static inline uint64_t context_at(struct vtd_world *v, uint16_t rid)
{
	uint64_t slot = v->root + 16ull * (rid >> 8), entry = world_get(&v->w, slot);

	if (!entry) {
		entry = world_page(&v->w) | 1;
		world_set(&v->w, slot, entry);
	}
	return (entry & ~0xfffull) + 16ull * (rid & 0xff);
}

static inline void context_set(struct vtd_world *v, uint16_t rid, uint64_t low, uint64_t high)
{
	uint64_t at = context_at(v, rid);

	world_set(&v->w, at + 8, high);
	world_set(&v->w, at, low);
}

/* 48 bits, second-stage at v->ss. */
static inline void context_default(struct vtd_world *v)
{
	context_set(v, RID, v->ss | 1, 2 | DOMAIN << 8);
}

static inline void root_set(struct vtd_world *v, uint64_t ttm)
{
	reg_write(v, VTD_RTADDR, 8, v->root | ttm << 10);
	gcmd(v, GCMD_SRTP, 0);
	assert_true(reg(v, VTD_GSTS, 4) & GCMD_SRTP);
}

static inline void translation_on(struct vtd_world *v)
{
	gcmd(v, GCMD_TE, 0);
	assert_true(reg(v, VTD_GSTS, 4) & GCMD_TE);
}

static inline void queue_on(struct vtd_world *v)
{
	reg_write(v, VTD_IQT, 8, 0);
	reg_write(v, VTD_IQA, 8, v->queue | (v->desc_size == 32 ? 0x800 : 0));
	gcmd(v, GCMD_QIE, 0);
	assert_true(reg(v, VTD_GSTS, 4) & GCMD_QIE);
	v->tail = 0;
}

static inline void put_desc(struct vtd_world *v, uint64_t low, uint64_t high)
{
	world_set(&v->w, v->queue + v->tail, low);
	world_set(&v->w, v->queue + v->tail + 8, high);
	if (v->desc_size == 32) {
		world_set(&v->w, v->queue + v->tail + 16, 0);
		world_set(&v->w, v->queue + v->tail + 24, 0);
	}
	v->tail = (v->tail + v->desc_size) % QUEUE_LEN;
}

static inline void ring(struct vtd_world *v)
{
	reg_write(v, VTD_IQT, 4, v->tail);
}

/* One descriptor and a wait: true when the wait wrote its status. */
static inline bool submit(struct vtd_world *v, uint64_t low, uint64_t high)
{
	v->wait_data++;
	put_desc(v, low, high);
	put_desc(v, 5 | 0x20 | (uint64_t)v->wait_data << 32, v->status);
	ring(v);
	return (uint32_t)world_get(&v->w, v->status) == v->wait_data;
}

#define INV_CC_GLOBAL  0x11ull
#define INV_TLB_GLOBAL 0x12ull
#define INV_TLB_DOMAIN (0x22ull | (uint64_t)DOMAIN << 16)
#define INV_TLB_PAGES  (0x32ull | (uint64_t)DOMAIN << 16)
#define INV_IEC_GLOBAL 0x04ull

static inline void invalidate_page(struct vtd_world *v, uint64_t iova)
{
	assert_true(submit(v, INV_TLB_PAGES, iova & ~0xfffull));
}

/* Legacy mode, translating, queue on, nothing mapped. */
static inline void vtd_world_legacy(struct vtd_world *v)
{
	context_default(v);
	root_set(v, 0);
	queue_on(v);
	translation_on(v);
}

/* A DMA of one byte: where it lands, or the error. */
static inline int64_t dma_pasid(struct vtd_world *v, uint32_t pasid, uint64_t iova,
				unsigned int access)
{
	struct iommu_span span;
	uint64_t covered;
	unsigned int nr;
	int err;

	iommu_section_begin(&v->section);
	err = iommu_translate(&v->section, pasid, iova, 1, access, &span, 1, &nr, &covered);
	iommu_section_end(&v->section);
	return err ? err : (int64_t)span.addr.v;
}

static inline int64_t dma(struct vtd_world *v, uint64_t iova, unsigned int access)
{
	return dma_pasid(v, IOMMU_NO_PASID, iova, access);
}

struct fault {
	unsigned int reason, sid;
	bool read, pasid_present;
	uint32_t pasid;
	uint64_t addr;
	unsigned int at;
};

/* Takes the pending fault, as a driver does; reason 0 when there is none. */
static inline struct fault fault_take(struct vtd_world *v)
{
	uint32_t fsts = (uint32_t)reg(v, VTD_FSTS, 4);
	uint64_t at, low, high = 0;
	struct fault f = { 0 };

	if (!(fsts & 2))
		return f;
	/* From the first one on, round the records. */
	for (unsigned int i = 0; !(high >> 63); i++) {
		assert_true(i < 4);
		at = VTD_FRCD + 16 * (((fsts >> 8) + i) % 4);
		high = reg(v, at + 8, 8);
	}
	low = reg(v, at, 8);
	f.reason = (high >> 32) & 0xff;
	f.sid = high & 0xffff;
	f.read = (high >> 62) & 1;
	f.at = (high >> 60) & 3;
	f.pasid_present = (high >> 31) & 1;
	f.pasid = (high >> 40) & 0xfffff;
	f.addr = low;
	reg_write(v, at + 12, 4, 0x80000000);
	reg_write(v, VTD_FSTS, 4, 1);
	return f;
}

/* The DMA is refused for this reason, recorded with its source and address. */
static inline void expect_fault_pasid(struct vtd_world *v, uint32_t pasid, uint64_t iova,
				      unsigned int access, unsigned int reason)
{
	struct fault f;

	assert_int_equal(dma_pasid(v, pasid, iova, access), -EFAULT);
	f = fault_take(v);
	assert_int_equal(f.reason, reason);
	assert_int_equal(f.sid, RID);
	assert_int_equal(f.addr, iova & ~0xfffull);
	assert_int_equal(f.read, !(access & IOMMU_WRITE));
	assert_int_equal(f.at, 0);
	assert_int_equal(f.pasid_present, pasid != IOMMU_NO_PASID);
	if (f.pasid_present)
		assert_int_equal(f.pasid, pasid);
	assert_int_equal(fault_take(v).reason, 0);
}

static inline void expect_fault(struct vtd_world *v, uint64_t iova, unsigned int access,
				unsigned int reason)
{
	expect_fault_pasid(v, IOMMU_NO_PASID, iova, access, reason);
}

#endif
