// SPDX-License-Identifier: GPL-2.0-or-later
/* VT-d in scalable mode: PASID tables, first-stage, second-stage and nested, each fault reason. */
#include "vtd_world.h"

static uint64_t root_slot, context, dir, table;

/* Entry of the PASID table: three words that mean something, of eight. */
static void pasid_set(struct vtd_world *v, uint32_t pasid, uint64_t w0, uint64_t w1, uint64_t w2)
{
	uint64_t at = table + 64 * (pasid & 63);

	world_set(&v->w, at + 8, w1);
	world_set(&v->w, at + 16, w2);
	world_set(&v->w, at, w0);
}

#define PGTT(n) ((uint64_t)(n) << 6)
#define AW48	(2ull << 2)

static void second(struct vtd_world *v, uint32_t pasid)
{
	pasid_set(v, pasid, v->ss | PGTT(2) | AW48 | 1, DOMAIN, 0);
}

static void first(struct vtd_world *v, uint32_t pasid)
{
	pasid_set(v, pasid, PGTT(1) | 1, DOMAIN, v->fs);
}

static void nested(struct vtd_world *v, uint32_t pasid)
{
	pasid_set(v, pasid, v->ss | PGTT(3) | AW48 | 1, DOMAIN, v->fs);
}

static void forget(struct vtd_world *v)
{
	assert_true(submit(v, INV_CC_GLOBAL, 0));
	assert_true(submit(v, 7 | 3 << 4, 0));
	assert_true(submit(v, INV_TLB_GLOBAL, 0));
}

static struct vtd_world *make(void)
{
	struct vtd_config config = vtd_world_config();
	struct vtd_world *v;

	config.scalable = config.first_stage = config.nested = config.dirty_tracking = true;
	v = vtd_world_create(config);
	/* The lower half of the root entry: functions below 128. */
	root_slot = v->root + 16 * (RID >> 8);
	context = world_page(&v->w);
	dir = world_page(&v->w);
	table = world_page(&v->w);
	world_set(&v->w, root_slot, context | 1);
	context += 32 * (RID & 0x7f);
	/* PASID enabled, smallest directory, requests without PASID are 1. */
	world_set(&v->w, context, dir | 8 | 1);
	world_set(&v->w, context + 8, 1);
	world_set(&v->w, dir, table | 1);
	second(v, 1);
	root_set(v, 1);
	queue_on(v);
	translation_on(v);
	return v;
}

static int setup(void **state)
{
	*state = make();
	return 0;
}

static int teardown(void **state)
{
	vtd_world_destroy(*state);
	return 0;
}

static void requests_without_pasid_use_the_contexts_pasid(void **state)
{
	struct vtd_world *v = *state;

	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | RW);
	assert_int_equal(dma(v, 0x1000, IOMMU_WRITE), 0x5000);
	assert_int_equal(dma_pasid(v, 1, 0x1000, IOMMU_WRITE), 0x5000);
}

static void pasids_have_tables_of_their_own(void **state)
{
	struct vtd_world *v = *state;

	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | RW);
	world_fs(&v->w, v->fs, 4, 1, 0x1000, 0x6000 | FS);
	first(v, 2);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x5000);
	assert_int_equal(dma_pasid(v, 2, 0x1000, IOMMU_READ), 0x6000);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x5000);
	expect_fault_pasid(v, 3, 0x1000, IOMMU_READ, 0x59);
}

static void the_upper_half_of_a_root_entry_serves_the_upper_functions(void **state)
{
	struct vtd_world *v = *state;
	uint64_t upper = world_page(&v->w);

	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | RW);
	world_set(&v->w, root_slot + 8, upper | 1);
	world_set(&v->w, upper + 32 * 0x08, dir | 1);
	world_set(&v->w, upper + 32 * 0x08 + 8, 1);
	iommu_device_set_rid(v->dev, (rid_t){ 0x0388 });
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x5000);
}

static void pass_through_passes(void **state)
{
	struct vtd_world *v = *state;

	pasid_set(v, 1, PGTT(4) | AW48 | 1, DOMAIN, 0);
	assert_int_equal(dma(v, 0x12345, IOMMU_WRITE), 0x12345);
	expect_fault(v, BIT64(46), IOMMU_READ, 0x83);
}

static void both_stages_translate(void **state)
{
	struct vtd_world *v = *state;

	nested(v, 1);
	world_fs(&v->w, v->fs, 4, 1, 0x1000, GIB(9) | FS);
	world_ss(&v->w, v->ss, 4, 1, GIB(9), 0x7000 | RW);
	for (uint64_t page = WORLD_BASE; page < v->w.next + PAGE_SIZE * 16; page += PAGE_SIZE)
		world_ss(&v->w, v->ss, 4, 1, page, page | RW);
	assert_int_equal(dma(v, 0x1234, IOMMU_WRITE), 0x7234);
	/* By the shared cache, a second page of the same table. */
	world_fs(&v->w, v->fs, 4, 1, 0x2000, (GIB(9) + 0x1000) | FS);
	world_ss(&v->w, v->ss, 4, 1, GIB(9) + 0x1000, 0x9000 | R);
	assert_int_equal(dma(v, 0x2234, IOMMU_READ), 0x9234);
	expect_fault(v, 0x2234, IOMMU_WRITE, 0x85);
	/* A change in the second stage, invalidated by its own address, is seen. */
	world_ss(&v->w, v->ss, 4, 1, GIB(9), 0xa000 | RW);
	assert_true(submit(v, INV_TLB_PAGES, GIB(9)));
	assert_int_equal(dma(v, 0x1234, IOMMU_WRITE), 0xa234);
	/* One in the first stage, by PASID. */
	world_fs(&v->w, v->fs, 4, 1, 0x1000, (GIB(9) + 0x1000) | FS);
	assert_true(submit(v, 6 | 3 << 4 | (uint64_t)DOMAIN << 16 | 1ull << 32, 0x1000));
	assert_int_equal(dma(v, 0x1234, IOMMU_READ), 0x9234);
}

static void a_large_first_stage_page_is_found_page_by_page_below(void **state)
{
	struct vtd_world *v = *state;

	nested(v, 1);
	for (uint64_t page = WORLD_BASE; page < v->w.next + PAGE_SIZE * 16; page += PAGE_SIZE)
		world_ss(&v->w, v->ss, 4, 1, page, page | RW);
	world_fs(&v->w, v->fs, 4, 2, MIB(2), GIB(9) | PS | FS);
	world_ss(&v->w, v->ss, 4, 1, GIB(9) + 0x3000, 0x7000 | RW);
	world_ss(&v->w, v->ss, 4, 1, GIB(9) + 0x9000, 0xb000 | RW);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(dma(v, MIB(2) + 0x3123, IOMMU_WRITE), 0x7123);
		assert_int_equal(dma(v, MIB(2) + 0x9123, IOMMU_WRITE), 0xb123);
		expect_fault(v, MIB(2) + 0x4000, IOMMU_READ, 0x79);
	}
	/* And whole, where the second stage has a page as large. */
	world_ss(&v->w, v->ss, 4, 2, GIB(9), GIB(12) | PS | RW);
	forget(v);
	assert_int_equal(dma(v, MIB(2) + 0x3123, IOMMU_WRITE), GIB(12) + 0x3123);
	assert_int_equal(dma(v, MIB(4) - 1, IOMMU_WRITE), GIB(12) + MIB(2) - 1);
}

static void root_entry_faults_are_38_39_3a(void **state)
{
	struct vtd_world *v = *state;
	uint64_t good = world_get(&v->w, root_slot);

	world_set(&v->w, root_slot, good & ~1ull);
	expect_fault(v, 0x1000, IOMMU_READ, 0x39);
	world_set(&v->w, root_slot, good | 2);
	expect_fault(v, 0x1000, IOMMU_READ, 0x3a);
	world_set(&v->w, root_slot, good | BIT64(46));
	expect_fault(v, 0x1000, IOMMU_READ, 0x3a);
	reg_write(v, VTD_RTADDR, 8, GIB(1) | 1 << 10);
	gcmd(v, GCMD_SRTP, 0);
	expect_fault(v, 0x1000, IOMMU_READ, 0x38);
}

static void context_entry_faults_are_40_to_48(void **state)
{
	struct vtd_world *v = *state;
	uint64_t good = world_get(&v->w, context), root = world_get(&v->w, root_slot);

	world_set(&v->w, root_slot, GIB(1) | 1);
	expect_fault(v, 0x1000, IOMMU_READ, 0x40);
	world_set(&v->w, root_slot, root);
	world_set(&v->w, context, good & ~1ull);
	expect_fault(v, 0x1000, IOMMU_READ, 0x41);
	for (unsigned int bit = 5; bit < 9; bit++) {
		world_set(&v->w, context, good | BIT64(bit));
		expect_fault(v, 0x1000, IOMMU_READ, 0x42);
	}
	world_set(&v->w, context, good | BIT64(46));
	expect_fault(v, 0x1000, IOMMU_READ, 0x42);
	world_set(&v->w, context, good);
	world_set(&v->w, context + 8, 1 | BIT64(21));
	expect_fault(v, 0x1000, IOMMU_READ, 0x42);
	world_set(&v->w, context + 8, 1);
	world_set(&v->w, context + 24, 1);
	expect_fault(v, 0x1000, IOMMU_READ, 0x42);
	world_set(&v->w, context + 24, 0);
	/* Page requests are not offered. */
	world_set(&v->w, context, good | 0x10);
	expect_fault(v, 0x1000, IOMMU_READ, 0x43);
	/* No PASIDs; a PASID beyond the directory of 2^7 entries. */
	world_set(&v->w, context, good & ~8ull);
	expect_fault_pasid(v, 1, 0x1000, IOMMU_READ, 0x45);
	world_set(&v->w, context, good);
	expect_fault_pasid(v, 1 << 13, 0x1000, IOMMU_READ, 0x46);
	world_set(&v->w, context + 8, 1 << 13);
	expect_fault(v, 0x1000, IOMMU_READ, 0x48);
}

static void pasid_directory_faults_are_50_51_52(void **state)
{
	struct vtd_world *v = *state;
	uint64_t good = world_get(&v->w, dir), ctx = world_get(&v->w, context);

	world_set(&v->w, dir, good & ~1ull);
	expect_fault(v, 0x1000, IOMMU_READ, 0x51);
	world_set(&v->w, dir, good | 4);
	expect_fault(v, 0x1000, IOMMU_READ, 0x52);
	world_set(&v->w, dir, good | BIT64(46));
	expect_fault(v, 0x1000, IOMMU_READ, 0x52);
	world_set(&v->w, context, GIB(1) | 8 | 1);
	expect_fault(v, 0x1000, IOMMU_READ, 0x50);
	world_set(&v->w, context, ctx);
}

static void pasid_entry_faults_are_58_to_5b(void **state)
{
	struct vtd_world *v = *state;

	world_set(&v->w, dir, GIB(1) | 1);
	expect_fault(v, 0x1000, IOMMU_READ, 0x58);
	world_set(&v->w, dir, table | 1);
	pasid_set(v, 1, v->ss | PGTT(2) | AW48, DOMAIN, 0);
	expect_fault(v, 0x1000, IOMMU_READ, 0x59);
	pasid_set(v, 1, v->ss | PGTT(2) | AW48 | 1 | BIT64(10), DOMAIN, 0);
	expect_fault(v, 0x1000, IOMMU_READ, 0x5a);
	pasid_set(v, 1, v->ss | PGTT(2) | AW48 | 1 | BIT64(46), DOMAIN, 0);
	expect_fault(v, 0x1000, IOMMU_READ, 0x5a);
	pasid_set(v, 1, v->ss | PGTT(2) | AW48 | 1, DOMAIN | BIT64(16), 0);
	expect_fault(v, 0x1000, IOMMU_READ, 0x5a);
	pasid_set(v, 1, PGTT(1) | 1, DOMAIN, v->fs | BIT64(8));
	expect_fault(v, 0x1000, IOMMU_READ, 0x5a);
	for (unsigned int pgtt = 0; pgtt < 8; pgtt++) {
		if (pgtt >= 1 && pgtt <= 4)
			continue;
		pasid_set(v, 1, v->ss | PGTT(pgtt) | AW48 | 1, DOMAIN, v->fs);
		expect_fault(v, 0x1000, IOMMU_READ, 0x5b);
	}
	pasid_set(v, 1, v->ss | PGTT(2) | 3ull << 2 | 1, DOMAIN, 0);
	expect_fault(v, 0x1000, IOMMU_READ, 0x5b);
	/* Five first-stage levels are not offered at 48 bits; the others do not exist. */
	for (uint64_t fspm = 1; fspm < 4; fspm++) {
		pasid_set(v, 1, PGTT(1) | 1, DOMAIN, v->fs | fspm << 2);
		expect_fault(v, 0x1000, IOMMU_READ, 0x5b);
	}
}

static void first_stage_faults_are_70_to_73_and_80_81_85(void **state)
{
	struct vtd_world *v = *state;
	uint64_t slot;

	first(v, 1);
	expect_fault(v, 0x1000, IOMMU_READ, 0x71);
	slot = world_fs(&v->w, v->fs, 4, 1, 0x1000, 0x5000 | 5);
	expect_fault(v, 0x1000, IOMMU_WRITE, 0x85);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x5000);
	world_set(&v->w, slot, 0x5000 | 3);
	forget(v);
	expect_fault(v, 0x1000, IOMMU_READ, 0x81);
	world_set(&v->w, slot, 0x5000 | 7 | BIT64(46));
	expect_fault(v, 0x1000, IOMMU_READ, 0x72);
	expect_fault(v, BIT64(47), IOMMU_READ, 0x80);
	world_set(&v->w, v->fs + 8, GIB(1) | 7);
	expect_fault(v, GIB(512), IOMMU_READ, 0x70);
	pasid_set(v, 1, PGTT(1) | 1, DOMAIN, GIB(1));
	forget(v);
	expect_fault(v, 0x1000, IOMMU_READ, 0x73);
}

static void second_stage_faults_are_78_to_7b_and_84_to_86(void **state)
{
	struct vtd_world *v = *state;

	expect_fault(v, 0x1000, IOMMU_READ, 0x79);
	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | R);
	expect_fault(v, 0x1000, IOMMU_WRITE, 0x85);
	world_ss(&v->w, v->ss, 4, 1, 0x2000, 0x5000 | W);
	expect_fault(v, 0x2000, IOMMU_READ, 0x86);
	world_ss(&v->w, v->ss, 4, 1, 0x3000, 0x5000 | R | BIT64(47));
	expect_fault(v, 0x3000, IOMMU_READ, 0x7a);
	expect_fault(v, BIT64(48), IOMMU_READ, 0x84);
	world_set(&v->w, v->ss + 8, GIB(1) | RW);
	expect_fault(v, GIB(512), IOMMU_READ, 0x78);
	pasid_set(v, 1, GIB(1) | PGTT(2) | AW48 | 1, DOMAIN, 0);
	forget(v);
	expect_fault(v, 0x1000, IOMMU_READ, 0x7b);
}

static void nested_faults_are_74_to_77(void **state)
{
	struct vtd_world *v = *state;
	uint64_t below;

	nested(v, 1);
	for (uint64_t page = WORLD_BASE; page < v->w.next + PAGE_SIZE * 16; page += PAGE_SIZE)
		world_ss(&v->w, v->ss, 4, 1, page, page | RW);
	world_fs(&v->w, v->fs, 4, 1, 0x1000, GIB(9) | FS);
	below = world_get(&v->w, v->fs) & PAGE_MASK;
	/* The top table writable only, then readable only while its accessed bit is to be set. */
	world_ss(&v->w, v->ss, 4, 1, v->fs, v->fs | W);
	expect_fault(v, 0x1000, IOMMU_READ, 0x75);
	world_ss(&v->w, v->ss, 4, 1, v->fs, v->fs | R);
	forget(v);
	expect_fault(v, 0x1000, IOMMU_READ, 0x77);
	world_ss(&v->w, v->ss, 4, 1, v->fs, v->fs | RW);
	world_ss(&v->w, v->ss, 4, 1, below, below | W);
	forget(v);
	expect_fault(v, 0x1000, IOMMU_READ, 0x76);
	world_ss(&v->w, v->ss, 4, 1, below, below | RW);
	forget(v);
	/* The output is not mapped, then not for this, then beyond the second stage's width. */
	expect_fault(v, 0x1000, IOMMU_READ, 0x79);
	world_ss(&v->w, v->ss, 4, 1, GIB(9), 0x7000 | R);
	forget(v);
	expect_fault(v, 0x1000, IOMMU_WRITE, 0x85);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x7000);
}

static void a_nested_table_beyond_the_second_stage_is_fault_74(void **state)
{
	struct vtd_world *v = *state;

	/* A second stage of 39 bits under tables at 40. */
	pasid_set(v, 1, v->ss | PGTT(3) | 1ull << 2 | 1, DOMAIN, BIT64(40));
	expect_fault(v, 0x1000, IOMMU_READ, 0x74);
}

/* A level 1 table in memory that can be read and not written: a ROM. */
#define ROM GIB(2)

static int rom_load64(void *opaque, uint64_t addr, uint64_t *value)
{
	if (addr < ROM || addr >= ROM + PAGE_SIZE)
		return -EFAULT;
	*value = 0x5000 | FS;
	return 0;
}

static int rom_store64(void *opaque, uint64_t addr, uint64_t value)
{
	return -EFAULT;
}

static int rom_store32(void *opaque, uint64_t addr, uint32_t value)
{
	return -EFAULT;
}

static int rom_cmpxchg64(void *opaque, uint64_t addr, uint64_t *expected, uint64_t desired)
{
	return -EFAULT;
}

static void a_mark_that_cannot_be_set_is_fault_91_or_7d(void **state)
{
	static const struct iommu_mem_ops rom = { rom_load64, rom_store64, rom_store32,
						  rom_cmpxchg64 };
	struct vtd_world *v = *state;

	((struct iommu_mem *)(uintptr_t)vtd_iommu(v->vtd)->mem)->ops = &rom;
	first(v, 1);
	world_fs(&v->w, v->fs, 4, 2, 0, ROM | FS);
	expect_fault(v, 0x1000, IOMMU_READ, 0x91);
	pasid_set(v, 1, v->ss | PGTT(2) | AW48 | 1 | BIT64(9), DOMAIN, 0);
	forget(v);
	world_ss(&v->w, v->ss, 4, 2, 0, ROM | RW);
	expect_fault(v, 0x1000, IOMMU_READ, 0x7d);
	/* Without tracking nothing is marked. */
	second(v, 1);
	forget(v);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x5000);
}

static void atc_never_asked(void *opaque, const struct iommu_ats_inval *inval, uint64_t cookie)
{
	iommu_ats_complete(opaque, cookie);
}

static void translation_requests_without_leave_are_fault_44(void **state)
{
	struct vtd_world *v = *state;
	const struct iommu_ats_ops ops = { .invalidate = atc_never_asked, .opaque = v->dev };
	const struct iommu_ats_policy policy = { 0 };
	uint64_t ctx = world_get(&v->w, context);
	struct iommu_page page;
	struct fault f;

	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | RW);
	assert_int_equal(iommu_ats_enable(v->dev, &ops, &policy), 0);
	iommu_section_begin(&v->section);
	assert_int_equal(iommu_ats_translate(&v->section, IOMMU_NO_PASID, 0x1000, R, &page),
			 -EFAULT);
	iommu_section_end(&v->section);
	f = fault_take(v);
	assert_int_equal(f.reason, 0x44);
	assert_int_equal(f.at, 1);
	world_set(&v->w, context, ctx | 4);
	forget(v);
	iommu_section_begin(&v->section);
	assert_int_equal(iommu_ats_translate(&v->section, IOMMU_NO_PASID, 0x1000, R, &page), 0);
	iommu_section_end(&v->section);
	assert_int_equal(page.addr, 0x5000);
	/* PASID-based device-TLB invalidation: type 8, source id in bits 31:16. */
	assert_true(submit(v, 8 | (uint64_t)RID << 16, 0x1000));
	iommu_ats_disable(v->dev);
}

static void output_in_the_interrupt_range_is_fault_87(void **state)
{
	struct vtd_world *v = *state;

	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0xfee00000 | RW);
	expect_fault(v, 0x1000, IOMMU_WRITE, 0x87);
	/* With PASID the range is memory like any other, on the way in (3.14). */
	world_ss(&v->w, v->ss, 4, 1, 0xfee00000, 0x5000 | RW);
	assert_int_equal(dma_pasid(v, 1, 0xfee00000, IOMMU_WRITE), 0x5000);
}

static void fault_processing_disable_works_at_each_level(void **state)
{
	struct vtd_world *v = *state;
	uint64_t ctx = world_get(&v->w, context);

	pasid_set(v, 1, v->ss | PGTT(2) | AW48 | 2 | 1, DOMAIN, 0);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), -EFAULT);
	second(v, 1);
	world_set(&v->w, dir, table | 2 | 1);
	forget(v);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), -EFAULT);
	world_set(&v->w, dir, table | 1);
	world_set(&v->w, context, ctx | 2);
	forget(v);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), -EFAULT);
	assert_int_equal(fault_take(v).reason, 0);
	world_set(&v->w, context, ctx);
	forget(v);
	expect_fault(v, 0x1000, IOMMU_READ, 0x79);
}

static void writes_set_the_dirty_bit_even_after_a_read_was_cached(void **state)
{
	struct vtd_world *v = *state;
	uint64_t slot = world_fs(&v->w, v->fs, 4, 1, 0x1000, 0x5000 | FS), ss;

	first(v, 2);
	assert_int_equal(dma_pasid(v, 2, 0x1000, IOMMU_READ), 0x5000);
	assert_int_equal(world_get(&v->w, slot) & 0x60, 0x20);
	assert_int_equal(dma_pasid(v, 2, 0x1000, IOMMU_WRITE), 0x5000);
	assert_int_equal(world_get(&v->w, slot) & 0x60, 0x60);
	/* Second stage, where the entry says so. */
	ss = world_ss(&v->w, v->ss, 4, 2, MIB(2), MIB(8) | PS | RW);
	pasid_set(v, 3, v->ss | PGTT(2) | AW48 | 1 | BIT64(9), DOMAIN, 0);
	assert_int_equal(dma_pasid(v, 3, MIB(2), IOMMU_READ), MIB(8));
	assert_int_equal(dma_pasid(v, 3, MIB(3), IOMMU_READ), MIB(9));
	assert_int_equal(world_get(&v->w, ss) & 0x300, 0x100);
	assert_int_equal(dma_pasid(v, 3, MIB(3), IOMMU_WRITE), MIB(9));
	assert_int_equal(world_get(&v->w, ss) & 0x300, 0x300);
}

static void pasid_cache_invalidation_makes_an_entry_take_effect(void **state)
{
	struct vtd_world *v = *state;
	uint64_t other = world_page(&v->w);

	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | R);
	world_ss(&v->w, other, 4, 1, 0x1000, 0x9000 | R);
	second(v, 2);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x5000);
	assert_int_equal(dma_pasid(v, 2, 0x1000, IOMMU_READ), 0x5000);
	pasid_set(v, 2, other | PGTT(2) | AW48 | 1, DOMAIN + 1, 0);
	pasid_set(v, 1, other | PGTT(2) | AW48 | 1, DOMAIN + 1, 0);
	/* PASID-selective, then all of the domain. */
	assert_true(submit(v, 7 | 1 << 4 | (uint64_t)DOMAIN << 16 | 2ull << 32, 0));
	assert_true(submit(v, INV_TLB_DOMAIN, 0));
	assert_int_equal(dma_pasid(v, 2, 0x1000, IOMMU_READ), 0x9000);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x5000);
	assert_true(submit(v, 7 | (uint64_t)DOMAIN << 16, 0));
	assert_true(submit(v, INV_TLB_DOMAIN, 0));
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x9000);
	assert_int_equal(dma_pasid(v, 2, 0x1000, IOMMU_READ), 0x9000);
	/* And back, all of the new domain at once. */
	second(v, 1);
	second(v, 2);
	assert_int_equal(dma_pasid(v, 2, 0x1000, IOMMU_READ), 0x9000);
	assert_true(submit(v, 7 | (uint64_t)(DOMAIN + 1) << 16, 0));
	assert_true(submit(v, INV_TLB_GLOBAL, 0));
	assert_int_equal(dma_pasid(v, 2, 0x1000, IOMMU_READ), 0x5000);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x5000);
}

static void descriptors_must_have_the_modes_width(void **state)
{
	struct vtd_world *v = *state;

	/* A tail between two descriptors. */
	reg_write(v, VTD_IQT, 4, 16);
	assert_int_equal(reg(v, VTD_IQERCD, 8) & 0xf, IQEI_TAIL_ALIGN);
	gcmd(v, 0, GCMD_QIE);
	reg_write(v, VTD_FSTS, 4, 0x10);
	/* 128-bit descriptors in scalable mode. */
	v->desc_size = 16;
	queue_on(v);
	assert_false(submit(v, INV_TLB_GLOBAL, 0));
	assert_int_equal(reg(v, VTD_IQERCD, 8) & 0xf, IQEI_WIDTH);
}

static void pasid_descriptors_do_not_exist_in_legacy_mode(void **state)
{
	struct vtd_world *v = *state;

	root_set(v, 0);
	assert_false(submit(v, 7 | 3 << 4, 0));
	assert_int_equal(reg(v, VTD_IQERCD, 8) & 0xf, IQEI_TTM);
}

static void the_upper_half_of_wide_descriptors_is_reserved(void **state)
{
	struct vtd_world *v = *state;
	uint64_t at = v->tail;

	put_desc(v, INV_TLB_GLOBAL, 0);
	world_set(&v->w, v->queue + at + 24, 1);
	ring(v);
	assert_int_equal(reg(v, VTD_IQERCD, 8) & 0xf, IQEI_RESERVED);
}

static void reserved_fields_of_pasid_descriptors_stop_the_queue(void **state)
{
	static const uint64_t bad[][2] = {
		{ 6, 0 },
		{ 6 | 1 << 4, 0 },
		{ 6 | 2 << 4 | 1 << 6, 0 },
		{ 6 | 2 << 4, 1 << 7 },
		{ 6 | 3 << 4, 19 },
		{ 7 | 2 << 4, 0 },
		{ 7 | 1ull << 52, 0 },
		{ 7, 1 },
		{ 8, 2 },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		struct vtd_world *v = make();

		assert_false(submit(v, bad[i][0], bad[i][1]));
		assert_int_equal(reg(v, VTD_IQERCD, 8) & 0xf, IQEI_RESERVED);
		vtd_world_destroy(v);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(requests_without_pasid_use_the_contexts_pasid),
		T(pasids_have_tables_of_their_own),
		T(the_upper_half_of_a_root_entry_serves_the_upper_functions),
		T(pass_through_passes),
		T(both_stages_translate),
		T(a_large_first_stage_page_is_found_page_by_page_below),
		T(root_entry_faults_are_38_39_3a),
		T(context_entry_faults_are_40_to_48),
		T(pasid_directory_faults_are_50_51_52),
		T(pasid_entry_faults_are_58_to_5b),
		T(first_stage_faults_are_70_to_73_and_80_81_85),
		T(second_stage_faults_are_78_to_7b_and_84_to_86),
		T(nested_faults_are_74_to_77),
		T(a_nested_table_beyond_the_second_stage_is_fault_74),
		T(a_mark_that_cannot_be_set_is_fault_91_or_7d),
		T(translation_requests_without_leave_are_fault_44),
		T(output_in_the_interrupt_range_is_fault_87),
		T(fault_processing_disable_works_at_each_level),
		T(writes_set_the_dirty_bit_even_after_a_read_was_cached),
		T(pasid_cache_invalidation_makes_an_entry_take_effect),
		T(descriptors_must_have_the_modes_width),
		T(pasid_descriptors_do_not_exist_in_legacy_mode),
		T(the_upper_half_of_wide_descriptors_is_reserved),
		cmocka_unit_test(reserved_fields_of_pasid_descriptors_stop_the_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
