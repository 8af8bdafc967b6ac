// SPDX-License-Identifier: GPL-2.0-or-later
/* VT-d in legacy mode: root, context and second-stage tables, each fault reason, the caches. */
#include "vtd_world.h"

static int setup(void **state)
{
	struct vtd_world *v = vtd_world_create(vtd_world_config());

	vtd_world_legacy(v);
	*state = v;
	return 0;
}

static int teardown(void **state)
{
	vtd_world_destroy(*state);
	return 0;
}

/* After a change of root or context entries, as a driver does. */
static void forget(struct vtd_world *v)
{
	assert_true(submit(v, INV_CC_GLOBAL, 0));
	assert_true(submit(v, INV_TLB_GLOBAL, 0));
}

static void dma_goes_where_the_tables_say(void **state)
{
	struct vtd_world *v = *state;

	world_ss(&v->w, v->ss, 4, 1, 0x5000, 0x1234000 | RW);
	world_ss(&v->w, v->ss, 4, 2, MIB(4), MIB(64) | PS | R);
	world_ss(&v->w, v->ss, 4, 3, GIB(3), GIB(8) | PS | W);
	assert_int_equal(dma(v, 0x5678, IOMMU_READ), 0x1234678);
	assert_int_equal(dma(v, MIB(5) + 1, IOMMU_READ), MIB(65) + 1);
	assert_int_equal(dma(v, GIB(3) + MIB(500), IOMMU_WRITE), GIB(8) + MIB(500));
	assert_int_equal(fault_take(v).reason, 0);
}

static void with_translation_off_dma_passes(void **state)
{
	struct vtd_world *v = *state;

	gcmd(v, 0, GCMD_TE);
	assert_int_equal(dma(v, 0x5678, IOMMU_READ | IOMMU_WRITE), 0x5678);
	assert_int_equal(dma(v, GIB(40) + 5, IOMMU_WRITE), GIB(40) + 5);
	translation_on(v);
	expect_fault(v, 0x5678, IOMMU_READ, 0x06);
	gcmd(v, 0, GCMD_TE);
	assert_int_equal(dma(v, 0x5678, IOMMU_READ), 0x5678);
}

static void pass_through_entries_pass(void **state)
{
	struct vtd_world *v = *state;

	context_set(v, RID, 2 << 2 | 1, 2 | DOMAIN << 8);
	forget(v);
	assert_int_equal(dma(v, 0x5678, IOMMU_WRITE), 0x5678);
	/* Beyond the host's width there is nothing to pass to. */
	expect_fault(v, BIT64(46), IOMMU_READ, 0x04);
}

static void a_missing_root_entry_is_fault_1(void **state)
{
	struct vtd_world *v = *state;

	world_set(&v->w, v->root + 16 * 3, 0);
	forget(v);
	expect_fault(v, 0x1000, IOMMU_READ, 0x01);
}

static void a_missing_context_entry_is_fault_2(void **state)
{
	struct vtd_world *v = *state;

	context_set(v, RID, v->ss, 2 | DOMAIN << 8);
	forget(v);
	expect_fault(v, 0x1000, IOMMU_WRITE, 0x02);
}

static void wrongly_programmed_context_entries_are_fault_3(void **state)
{
	struct vtd_world *v = *state;

	/* Translation type reserved; widths that are not offered; pass-through not at the largest. */
	context_set(v, RID, v->ss | 3 << 2 | 1, 2 | DOMAIN << 8);
	forget(v);
	expect_fault(v, 0x1000, IOMMU_READ, 0x03);
	for (unsigned int aw = 0; aw < 8; aw++) {
		if (aw == 1 || aw == 2)
			continue;
		context_set(v, RID, v->ss | 1, aw | DOMAIN << 8);
		forget(v);
		expect_fault(v, 0x1000, IOMMU_READ, 0x03);
	}
	context_set(v, RID, 2 << 2 | 1, 1 | DOMAIN << 8);
	forget(v);
	expect_fault(v, 0x1000, IOMMU_READ, 0x03);
	/* A table where no memory is. */
	context_set(v, RID, GIB(1) | 1, 2 | DOMAIN << 8);
	forget(v);
	expect_fault(v, 0x1000, IOMMU_READ, 0x03);
}

static void an_address_beyond_the_width_is_fault_4(void **state)
{
	struct vtd_world *v = *state;

	expect_fault(v, BIT64(48), IOMMU_READ, 0x04);
	context_set(v, RID, v->ss | 1, 1 | DOMAIN << 8);
	forget(v);
	expect_fault(v, BIT64(39), IOMMU_READ, 0x04);
}

static void a_missing_write_right_is_fault_5_and_a_read_right_fault_6(void **state)
{
	struct vtd_world *v = *state;

	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | R);
	world_ss(&v->w, v->ss, 4, 1, 0x2000, 0x6000 | W);
	expect_fault(v, 0x1000, IOMMU_WRITE, 0x05);
	expect_fault(v, 0x2000, IOMMU_READ, 0x06);
	/* Absent altogether: by what was asked. */
	expect_fault(v, 0x3000, IOMMU_WRITE, 0x05);
	expect_fault(v, 0x3000, IOMMU_READ, 0x06);
	expect_fault(v, GIB(700), IOMMU_READ, 0x06);
}

static void an_unreachable_paging_entry_is_fault_7(void **state)
{
	struct vtd_world *v = *state;

	world_set(&v->w, v->ss, GIB(2) | RW);
	expect_fault(v, 0x1000, IOMMU_READ, 0x07);
}

static void an_unreachable_root_table_is_fault_8(void **state)
{
	struct vtd_world *v = *state;

	reg_write(v, VTD_RTADDR, 8, GIB(1));
	gcmd(v, GCMD_SRTP, 0);
	expect_fault(v, 0x1000, IOMMU_READ, 0x08);
}

static void an_unreachable_context_table_is_fault_9(void **state)
{
	struct vtd_world *v = *state;

	world_set(&v->w, v->root + 16 * 3, GIB(1) | 1);
	forget(v);
	expect_fault(v, 0x1000, IOMMU_READ, 0x09);
}

static void a_reserved_bit_of_a_root_entry_is_fault_a(void **state)
{
	struct vtd_world *v = *state;
	uint64_t slot = v->root + 16 * 3, good = world_get(&v->w, slot);

	for (unsigned int bit = 1; bit < 64; bit++) {
		if (bit >= 12 && bit < 46)
			continue;
		world_set(&v->w, slot, good | BIT64(bit));
		forget(v);
		expect_fault(v, 0x1000, IOMMU_READ, 0x0a);
	}
	world_set(&v->w, slot, good);
	world_set(&v->w, slot + 8, 1);
	forget(v);
	expect_fault(v, 0x1000, IOMMU_READ, 0x0a);
}

static void a_reserved_bit_of_a_context_entry_is_fault_b(void **state)
{
	struct vtd_world *v = *state;

	for (unsigned int bit = 4; bit < 64; bit++) {
		if (bit >= 12 && bit < 46)
			continue;
		context_set(v, RID, v->ss | 1 | BIT64(bit), 2 | DOMAIN << 8);
		forget(v);
		expect_fault(v, 0x1000, IOMMU_READ, 0x0b);
	}
	for (unsigned int bit = 7; bit < 64; bit++) {
		if (bit >= 8 && bit < 24)
			continue;
		context_set(v, RID, v->ss | 1, 2 | DOMAIN << 8 | BIT64(bit));
		forget(v);
		expect_fault(v, 0x1000, IOMMU_READ, 0x0b);
	}
	/* Bits 6:3 of the upper half are the software's. */
	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | R);
	context_set(v, RID, v->ss | 1, 2 | DOMAIN << 8 | 0x78);
	forget(v);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x5000);
}

static void a_reserved_bit_of_a_paging_entry_is_fault_c(void **state)
{
	struct vtd_world *v = *state;

	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | R | BIT64(50));
	expect_fault(v, 0x1000, IOMMU_READ, 0x0c);
	world_ss(&v->w, v->ss, 4, 2, MIB(2), MIB(4) | PS | R | BIT64(13));
	expect_fault(v, MIB(2), IOMMU_READ, 0x0c);
}

static void output_in_the_interrupt_range_is_fault_e(void **state)
{
	struct vtd_world *v = *state;

	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0xfee00000 | RW);
	world_ss(&v->w, v->ss, 4, 2, MIB(2), 0xfee00000 | PS | RW);
	expect_fault(v, 0x1000, IOMMU_WRITE, 0x0e);
	/* A large page half inside: that half alone, however the other was used before. */
	assert_int_equal(dma(v, MIB(3), IOMMU_WRITE), 0xfef00000);
	expect_fault(v, MIB(2) + 0x1000, IOMMU_WRITE, 0x0e);
}

static void requests_to_the_interrupt_range_are_not_memory(void **state)
{
	struct vtd_world *v = *state;

	world_ss(&v->w, v->ss, 4, 1, 0xfee00000, 0x5000 | RW);
	assert_int_equal(dma(v, 0xfee00000, IOMMU_READ), -EFAULT);
	assert_int_equal(fault_take(v).reason, 0);
}

static void fault_processing_disable_hides_qualified_faults_only(void **state)
{
	struct vtd_world *v = *state;

	context_set(v, RID, v->ss | 3, 2 | DOMAIN << 8);
	forget(v);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), -EFAULT);
	assert_int_equal(fault_take(v).reason, 0);
	/* Absent with FPD. */
	context_set(v, RID, v->ss | 2, 2 | DOMAIN << 8);
	forget(v);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), -EFAULT);
	assert_int_equal(fault_take(v).reason, 0);
	/* Before the context entry there is no such bit. */
	world_set(&v->w, v->root + 16 * 3, 0);
	forget(v);
	expect_fault(v, 0x1000, IOMMU_READ, 0x01);
}

static void a_cached_page_stays_until_it_is_invalidated(void **state)
{
	struct vtd_world *v = *state;
	uint64_t slot = world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | R);

	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x5000);
	world_set(&v->w, slot, 0x7000 | R);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x5000);
	invalidate_page(v, 0x1000);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x7000);
	world_set(&v->w, slot, 0);
	invalidate_page(v, 0x1000);
	expect_fault(v, 0x1000, IOMMU_READ, 0x06);
	/* What was not mapped is not cached: mapping needs no invalidation. */
	world_set(&v->w, slot, 0x8000 | R);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x8000);
}

static void a_table_taken_out_is_not_walked_after_its_invalidation(void **state)
{
	struct vtd_world *v = *state;
	uint64_t pde;

	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | R);
	world_ss(&v->w, v->ss, 4, 1, 0x2000, 0x6000 | R);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x5000);
	pde = world_entry(&v->w, v->ss, 4, 2, 0, 0, false);
	/* A new table in its place, all of whose pages differ. */
	world_set(&v->w, pde, 0);
	world_ss(&v->w, v->ss, 4, 1, 0x2000, 0x9000 | R);
	/* With the hint that only leaves changed, the old table may still be used (6.5.2.3). */
	assert_true(submit(v, INV_TLB_PAGES, 0x1000 | BIT64(6)));
	assert_int_equal(dma(v, 0x2000, IOMMU_READ), 0x6000);
	assert_true(submit(v, INV_TLB_PAGES, 0x1000));
	expect_fault(v, 0x1000, IOMMU_READ, 0x06);
	assert_true(submit(v, INV_TLB_PAGES, 0x2000));
	assert_int_equal(dma(v, 0x2000, IOMMU_READ), 0x9000);
}

static void a_superpage_goes_with_any_page_in_it(void **state)
{
	struct vtd_world *v = *state;
	uint64_t two = world_ss(&v->w, v->ss, 4, 2, MIB(2), MIB(64) | PS | R);
	uint64_t one = world_ss(&v->w, v->ss, 4, 3, GIB(1), GIB(2) | PS | R);

	assert_int_equal(dma(v, MIB(2), IOMMU_READ), MIB(64));
	assert_int_equal(dma(v, GIB(1) + MIB(600), IOMMU_READ), GIB(2) + MIB(600));
	assert_int_equal(dma(v, GIB(1) + MIB(2), IOMMU_READ), GIB(2) + MIB(2));
	world_set(&v->w, two, 0);
	invalidate_page(v, MIB(3));
	expect_fault(v, MIB(2), IOMMU_READ, 0x06);
	world_set(&v->w, one, 0);
	invalidate_page(v, GIB(1) + MIB(100));
	expect_fault(v, GIB(1) + MIB(600), IOMMU_READ, 0x06);
	expect_fault(v, GIB(1) + MIB(2), IOMMU_READ, 0x06);
}

static void a_range_goes_with_one_descriptor(void **state)
{
	struct vtd_world *v = *state;
	uint64_t slots[20];

	for (unsigned int am = 0; am <= 18; am++) {
		uint64_t span = PAGE_SIZE << am;

		/* First and last page of the range, and the one after it. */
		slots[0] = world_ss(&v->w, v->ss, 4, 1, GIB(8), 0x5000 | R);
		slots[1] = world_ss(&v->w, v->ss, 4, 1, GIB(8) + span - PAGE_SIZE, 0x6000 | R);
		slots[2] = world_ss(&v->w, v->ss, 4, 1, GIB(8) + span, 0x7000 | R);
		assert_true(submit(v, INV_TLB_GLOBAL, 0));
		for (unsigned int i = 0; i < 3; i++)
			dma(v, i == 0 ? GIB(8) : GIB(8) + span - (i == 1 ? PAGE_SIZE : 0),
			    IOMMU_READ);
		for (unsigned int i = 0; i < 3; i++)
			world_set(&v->w, slots[i], 0);
		assert_true(submit(v, INV_TLB_PAGES, GIB(8) | am));
		expect_fault(v, GIB(8), IOMMU_READ, 0x06);
		expect_fault(v, GIB(8) + span - PAGE_SIZE, IOMMU_READ, 0x06);
	}
}

static void domain_invalidation_leaves_other_domains(void **state)
{
	struct vtd_world *v = *state;
	struct iommu_section section;
	struct iommu_device *dev;
	struct iommu_span span;
	uint64_t covered, slot = world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | R);
	unsigned int nr;

	/* Another device, another domain, the same table. */
	assert_int_equal(iommu_device_create(vtd_iommu(v->vtd), (rid_t){ 0x400 }, "b", &dev), 0);
	iommu_section_init(&section, dev);
	context_set(v, 0x400, v->ss | 1, 2 | 9 << 8);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x5000);
	iommu_section_begin(&section);
	assert_int_equal(iommu_translate(&section, IOMMU_NO_PASID, 0x1000, 1, IOMMU_READ, &span, 1,
					 &nr, &covered),
			 0);
	iommu_section_end(&section);
	world_set(&v->w, slot, 0);
	assert_true(submit(v, INV_TLB_DOMAIN, 0));
	expect_fault(v, 0x1000, IOMMU_READ, 0x06);
	iommu_section_begin(&section);
	assert_int_equal(iommu_translate(&section, IOMMU_NO_PASID, 0x1000, 1, IOMMU_READ, &span, 1,
					 &nr, &covered),
			 0);
	iommu_section_end(&section);
	iommu_section_fini(&section);
	iommu_device_destroy(dev);
}

static void a_context_change_takes_effect_with_its_invalidation(void **state)
{
	struct vtd_world *v = *state;
	uint64_t other = world_page(&v->w);

	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | R);
	world_ss(&v->w, other, 4, 1, 0x1000, 0x9000 | R);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x5000);
	context_set(v, RID, other | 1, 2 | 6 << 8);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x5000);
	/* Device-selective: type 1, granularity 3, source id. Another function first. */
	assert_true(submit(v, 0x31 | (uint64_t)0x0309 << 32, 0));
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x5000);
	assert_true(submit(v, 0x31 | (uint64_t)RID << 32, 0));
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x9000);
	/* With a function mask of all three bits the other function's id will do. */
	context_default(v);
	assert_true(submit(v, 0x31 | (uint64_t)0x030f << 32 | 3ull << 48, 0));
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x5000);
	/* Domain-selective: granularity 2, by the old domain. */
	context_set(v, RID, other | 1, 2 | 6 << 8);
	assert_true(submit(v, 0x21 | 7ull << 16, 0));
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x5000);
	assert_true(submit(v, 0x21 | (uint64_t)DOMAIN << 16, 0));
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x9000);
}

static void three_and_five_level_widths_are_used_as_offered(void **state)
{
	struct vtd_config config = vtd_world_config();
	struct vtd_world *v;
	uint64_t ss3, ss5;

	config.aw = 57;
	v = vtd_world_create(config);
	vtd_world_legacy(v);
	assert_int_equal(FIELD_GET(CAP_SAGAW, reg(v, VTD_CAP, 8)), 0xe);
	ss3 = world_page(&v->w);
	ss5 = world_page(&v->w);
	world_ss(&v->w, ss3, 3, 1, BIT64(39) - 0x1000, 0x5000 | R);
	world_ss(&v->w, ss5, 5, 1, BIT64(57) - 0x1000, 0x6000 | R);
	context_set(v, RID, ss3 | 1, 1 | DOMAIN << 8);
	assert_int_equal(dma(v, BIT64(39) - 0x1000, IOMMU_READ), 0x5000);
	context_set(v, RID, ss5 | 1, 3 | DOMAIN << 8);
	forget(v);
	assert_int_equal(dma(v, BIT64(57) - 0x1000, IOMMU_READ), 0x6000);
	vtd_world_destroy(v);
}

static void protected_memory_blocks_what_is_not_translated(void **state)
{
	struct vtd_world *v = *state;

	gcmd(v, 0, GCMD_TE);
	reg_write(v, VTD_PLMBASE, 4, MIB(4));
	reg_write(v, VTD_PLMLIMIT, 4, MIB(6));
	reg_write(v, VTD_PHMBASE, 8, GIB(8));
	reg_write(v, VTD_PHMLIMIT, 8, GIB(8) + MIB(2));
	assert_int_equal(dma(v, MIB(4), IOMMU_READ), MIB(4));
	reg_write(v, VTD_PMEN, 4, 0x80000000);
	assert_int_equal(reg(v, VTD_PMEN, 4), 0x80000001);
	assert_int_equal(dma(v, MIB(4), IOMMU_READ), -EFAULT);
	assert_int_equal(dma(v, MIB(8) - 1, IOMMU_READ), -EFAULT);
	assert_int_equal(dma(v, MIB(8), IOMMU_READ), MIB(8));
	assert_int_equal(dma(v, MIB(4) - 1, IOMMU_READ), MIB(4) - 1);
	assert_int_equal(dma(v, GIB(8) + MIB(3), IOMMU_WRITE), -EFAULT);
	assert_int_equal(dma(v, GIB(8) + MIB(4), IOMMU_WRITE), GIB(8) + MIB(4));
	assert_int_equal(fault_take(v).reason, 0);
	/* The ranges do not move while they protect. */
	reg_write(v, VTD_PLMBASE, 4, MIB(64));
	assert_int_equal(reg(v, VTD_PLMBASE, 4), MIB(4));
	/* What is translated is the tables' to decide. */
	world_ss(&v->w, v->ss, 4, 1, 0x1000, MIB(4) | R);
	translation_on(v);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), MIB(4));
	reg_write(v, VTD_PMEN, 4, 0);
	assert_int_equal(reg(v, VTD_PMEN, 4), 0);
}

static void dma_before_the_guest_takes_over_is_blocked_on_request(void **state)
{
	struct vtd_config config = vtd_world_config();
	struct vtd_world *v;

	config.boot_block = true;
	v = vtd_world_create(config);
	assert_int_equal(dma(v, 0x5000, IOMMU_READ), -EFAULT);
	vtd_world_legacy(v);
	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | R);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x5000);
	/* Its own word counts from then on, off as well. */
	gcmd(v, 0, GCMD_TE);
	assert_int_equal(dma(v, 0x5000, IOMMU_READ), 0x5000);
	vtd_reset(v->vtd);
	assert_int_equal(dma(v, 0x5000, IOMMU_READ), -EFAULT);
	vtd_world_destroy(v);
}

static void reserved_table_modes_are_fault_30_and_pasids_fault_31(void **state)
{
	struct vtd_world *v = *state;

	expect_fault_pasid(v, 7, 0x1000, IOMMU_READ, 0x31);
	for (uint64_t ttm = 1; ttm <= 3; ttm++) {
		root_set(v, ttm);
		expect_fault(v, 0x1000, IOMMU_READ, 0x30);
	}
}

static void a_renumbered_bus_finds_its_own_entry(void **state)
{
	struct vtd_world *v = *state;
	uint64_t other = world_page(&v->w);

	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | R);
	world_ss(&v->w, other, 4, 1, 0x1000, 0x9000 | R);
	context_set(v, 0x0508, other | 1, 2 | 6 << 8);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x5000);
	iommu_device_set_rid(v->dev, (rid_t){ 0x0508 });
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x9000);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(dma_goes_where_the_tables_say),
		T(with_translation_off_dma_passes),
		T(pass_through_entries_pass),
		T(a_missing_root_entry_is_fault_1),
		T(a_missing_context_entry_is_fault_2),
		T(wrongly_programmed_context_entries_are_fault_3),
		T(an_address_beyond_the_width_is_fault_4),
		T(a_missing_write_right_is_fault_5_and_a_read_right_fault_6),
		T(an_unreachable_paging_entry_is_fault_7),
		T(an_unreachable_root_table_is_fault_8),
		T(an_unreachable_context_table_is_fault_9),
		T(a_reserved_bit_of_a_root_entry_is_fault_a),
		T(a_reserved_bit_of_a_context_entry_is_fault_b),
		T(a_reserved_bit_of_a_paging_entry_is_fault_c),
		T(output_in_the_interrupt_range_is_fault_e),
		T(requests_to_the_interrupt_range_are_not_memory),
		T(fault_processing_disable_hides_qualified_faults_only),
		T(a_cached_page_stays_until_it_is_invalidated),
		T(a_table_taken_out_is_not_walked_after_its_invalidation),
		T(a_superpage_goes_with_any_page_in_it),
		T(a_range_goes_with_one_descriptor),
		T(domain_invalidation_leaves_other_domains),
		T(a_context_change_takes_effect_with_its_invalidation),
		T(three_and_five_level_widths_are_used_as_offered),
		T(protected_memory_blocks_what_is_not_translated),
		T(dma_before_the_guest_takes_over_is_blocked_on_request),
		T(reserved_table_modes_are_fault_30_and_pasids_fault_31),
		T(a_renumbered_bus_finds_its_own_entry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
