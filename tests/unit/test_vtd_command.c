// SPDX-License-Identifier: GPL-2.0-or-later
/* VT-d: registers, the invalidation queue and its errors, fault records and events. */
#include "vtd_world.h"

#include <pthread.h>
#include <time.h>

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

static void capabilities_say_what_is_offered(void **state)
{
	struct vtd_world *v = *state;
	uint64_t cap = reg(v, VTD_CAP, 8), ecap = reg(v, VTD_ECAP, 8);
	struct vtd_config config = vtd_world_config();
	struct vtd_world *other;

	assert_int_equal(cap & 7, 6);
	assert_false(cap & BIT64(4));
	assert_int_equal((cap >> 8) & 0x1f, 6);
	assert_int_equal((cap >> 16) & 0x3f, 47);
	assert_int_equal(((cap >> 24) & 0x3ff) * 16, 0x220);
	assert_int_equal((cap >> 34) & 0xf, 3);
	assert_true(cap & BIT64(39));
	assert_int_equal((cap >> 40) & 0xff, 3);
	assert_int_equal((cap >> 48) & 0x3f, 18);
	assert_true(cap & BIT64(59));
	assert_false(cap & BIT64(7));
	assert_int_equal(ecap & 0xff, 0x5f);
	assert_int_equal(((ecap >> 8) & 0x3ff) * 16, 0xf0);
	assert_false(ecap & BIT64(43));

	config.pass_through = config.intremap = config.eim = config.posted = false;
	config.caching_mode = config.scalable = true;
	config.device_tlb = false;
	other = vtd_world_create(config);
	cap = reg(other, VTD_CAP, 8);
	ecap = reg(other, VTD_ECAP, 8);
	assert_true(cap & BIT64(7));
	assert_false(cap & BIT64(59));
	assert_int_equal(ecap & 0xff, 0x03);
	assert_true(ecap & BIT64(43));
	assert_true(ecap & BIT64(46));
	assert_false(ecap & BIT64(47));
	assert_int_equal((ecap >> 35) & 0x1f, 19);
	vtd_world_destroy(other);
}

static void contradictory_settings_are_refused_with_a_reason(void **state)
{
	struct vtd_config bad[6];
	struct vtd *vtd;

	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++)
		bad[i] = vtd_world_config();
	bad[0].aw = 40;
	bad[1].haw = 53;
	bad[2].nr_fault_regs = 9;
	bad[3].intremap = false;
	bad[4].first_stage = true;
	bad[5].scalable = bad[5].nested = true;
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		struct diag diag = DIAG_INIT;

		assert_int_equal(vtd_create(&bad[i], &vtd, &diag), -EINVAL);
		assert_true(diag.reason[0]);
	}
}

static void reserved_register_bits_cannot_be_written(void **state)
{
	struct vtd_world *v = *state;

	reg_write(v, VTD_RTADDR, 8, UINT64_MAX);
	assert_int_equal(reg(v, VTD_RTADDR, 8), ~0x3ffull);
	reg_write(v, VTD_IRTA, 8, UINT64_MAX);
	assert_int_equal(reg(v, VTD_IRTA, 8), ~0x7f0ull);
	reg_write(v, VTD_CAP, 8, 0);
	assert_true(reg(v, VTD_CAP, 8));
	reg_write(v, VTD_GSTS, 4, 0);
	assert_true(reg(v, VTD_GSTS, 4) & GCMD_TE);
	reg_write(v, VTD_IEADDR, 4, 0xffffffff);
	assert_int_equal(reg(v, VTD_IEADDR, 4), 0xfffffffc);
	reg_write(v, VTD_FEADDR, 4, 0xffffffff);
	assert_int_equal(reg(v, VTD_FEADDR, 4), 0xfffffffc);
	/* 256-bit descriptors only with scalable mode. */
	reg_write(v, VTD_IQA, 8, 0xfff);
	assert_int_equal(reg(v, VTD_IQA, 8), 7);
	assert_int_equal(reg(v, VTD_GCMD, 4), 0);
	assert_int_equal(reg(v, VTD_AFLOG, 8), 0);
}

static void halves_of_a_register_can_be_written_alone(void **state)
{
	struct vtd_world *v = *state;

	reg_write(v, VTD_RTADDR, 4, 0x12345000);
	reg_write(v, VTD_RTADDR + 4, 4, 0x7);
	assert_int_equal(reg(v, VTD_RTADDR, 8), 0x712345000);
	assert_int_equal(reg(v, VTD_RTADDR + 4, 4), 7);
	/* Two registers at once, and sizes no register has. */
	assert_int_equal(reg(v, VTD_GCMD, 8) >> 32, reg(v, VTD_GSTS, 4));
	assert_int_equal(reg(v, VTD_CAP, 2), 0);
	assert_int_equal(reg(v, VTD_CAP + 4, 8), 0);
	assert_int_equal(reg(v, 0x1000, 4), 0);
	assert_int_equal(reg(v, UINT64_MAX - 3, 4), 0);
	reg_write(v, 0xffc, 8, 1);
}

static void register_commands_invalidate_and_say_how(void **state)
{
	struct vtd_world *v = *state;
	uint64_t slot = world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | R);

	gcmd(v, 0, GCMD_QIE);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x5000);
	world_set(&v->w, slot, 0x6000 | R);
	reg_write(v, VTD_IVA, 8, 0x1000);
	reg_write(v, VTD_IOTLB, 8, BIT64(63) | 3ull << 60 | (uint64_t)DOMAIN << 32);
	assert_int_equal(reg(v, VTD_IOTLB, 8) >> 57, 3ull << 3 | 3);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x6000);
	world_set(&v->w, slot, 0x7000 | R);
	/* More pages than one command may name: the domain, and it says so. */
	reg_write(v, VTD_IVA, 8, 0x1000 | 19);
	reg_write(v, VTD_IOTLB, 8, BIT64(63) | 3ull << 60 | (uint64_t)DOMAIN << 32);
	assert_int_equal((reg(v, VTD_IOTLB, 8) >> 57) & 3, 2);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x7000);
	/* Context: in two halves, the upper one starts it. */
	context_set(v, RID, 2 << 2 | 1, 2 | DOMAIN << 8);
	reg_write(v, VTD_CCMD, 4, 0);
	reg_write(v, VTD_CCMD + 4, 4, 0x80000000 | 1 << 29);
	assert_int_equal(reg(v, VTD_CCMD, 8) >> 59, 1 << 2 | 1);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x1000);
	/* With the queue on they do nothing, and say that. */
	queue_on(v);
	reg_write(v, VTD_CCMD, 8, BIT64(63) | 1ull << 61);
	assert_int_equal(reg(v, VTD_CCMD, 8) >> 59, 1 << 2);
}

static void wait_descriptors_write_status_and_interrupt(void **state)
{
	struct vtd_world *v = *state;

	reg_write(v, VTD_IEADDR, 4, 0xfee01000);
	reg_write(v, VTD_IEDATA, 4, 0x41);
	assert_true(submit(v, INV_TLB_GLOBAL, 0));
	assert_int_equal(reg(v, VTD_IQH, 8), v->tail);
	/* Masked at reset: pending until unmasked. */
	put_desc(v, 5 | 0x10, 0);
	ring(v);
	assert_int_equal(v->nr_sent, 0);
	assert_int_equal(reg(v, VTD_ICS, 4), 1);
	assert_int_equal(reg(v, VTD_IECTL, 4), 0xc0000000);
	reg_write(v, VTD_IECTL, 4, 0);
	assert_int_equal(v->nr_sent, 1);
	assert_int_equal(v->sent.addr, 0xfee01000);
	assert_int_equal(v->sent.data, 0x41);
	assert_int_equal(reg(v, VTD_IECTL, 4), 0);
	/* Not again until the driver has cleared the status. */
	put_desc(v, 5 | 0x10, 0);
	ring(v);
	assert_int_equal(v->nr_sent, 1);
	reg_write(v, VTD_ICS, 4, 1);
	put_desc(v, 5 | 0x10, 0);
	ring(v);
	assert_int_equal(v->nr_sent, 2);
}

static void a_pending_completion_that_was_served_is_dropped(void **state)
{
	struct vtd_world *v = *state;

	put_desc(v, 5 | 0x10, 0);
	ring(v);
	reg_write(v, VTD_ICS, 4, 1);
	assert_int_equal(reg(v, VTD_IECTL, 4), 0x80000000);
	reg_write(v, VTD_IECTL, 4, 0);
	assert_int_equal(v->nr_sent, 0);
}

static void the_queue_wraps(void **state)
{
	struct vtd_world *v = *state;

	for (unsigned int i = 0; i < 300; i++)
		assert_true(submit(v, INV_TLB_GLOBAL, 0));
}

static void status_outside_memory_is_nobodys(void **state)
{
	struct vtd_world *v = *state;

	put_desc(v, 5 | 0x20, GIB(3));
	ring(v);
	assert_int_equal(reg(v, VTD_FSTS, 4), 0);
	assert_int_equal(reg(v, VTD_IQH, 8), v->tail);
}

/* The queue stops at the descriptor, says why, and goes on when the driver has mended it. */
static void expect_iqe(struct vtd_world *v, uint64_t low, uint64_t high, unsigned int iqei)
{
	uint64_t at = v->tail;

	assert_false(submit(v, low, high));
	assert_int_equal(reg(v, VTD_IQH, 8), at);
	assert_int_equal(reg(v, VTD_FSTS, 4) & 0x10, 0x10);
	assert_int_equal(reg(v, VTD_IQERCD, 8) & 0xf, iqei);
	/* Nothing more is fetched meanwhile. */
	ring(v);
	assert_int_equal(reg(v, VTD_IQH, 8), at);
	world_set(&v->w, v->queue + at, INV_TLB_GLOBAL);
	world_set(&v->w, v->queue + at + 8, 0);
	reg_write(v, VTD_FSTS, 4, 0x10);
	assert_int_equal(reg(v, VTD_IQH, 8), v->tail);
	assert_int_equal((uint32_t)world_get(&v->w, v->status), v->wait_data);
}

static void unknown_descriptors_stop_the_queue(void **state)
{
	struct vtd_world *v = *state;

	expect_iqe(v, 0, 0, IQEI_TYPE);
	for (unsigned int type = 9; type < 16; type++)
		expect_iqe(v, type, 0, IQEI_TYPE);
	/* The upper bits of the type. */
	expect_iqe(v, 2 | 1 << 4 | 1 << 9, 0, IQEI_TYPE);
	/* Those of scalable mode. */
	expect_iqe(v, 6 | 2 << 4, 0, IQEI_TYPE);
	expect_iqe(v, 7, 0, IQEI_TYPE);
	expect_iqe(v, 8, 0, IQEI_TYPE);
}

static void reserved_fields_stop_the_queue(void **state)
{
	struct vtd_world *v = *state;

	/* Granularities that do not exist. */
	expect_iqe(v, 1, 0, IQEI_RESERVED);
	expect_iqe(v, 2, 0, IQEI_RESERVED);
	/* A bit of each descriptor. */
	expect_iqe(v, INV_CC_GLOBAL | BIT64(6), 0, IQEI_RESERVED);
	expect_iqe(v, INV_CC_GLOBAL | BIT64(50), 0, IQEI_RESERVED);
	expect_iqe(v, INV_CC_GLOBAL, 1, IQEI_RESERVED);
	expect_iqe(v, INV_TLB_GLOBAL | BIT64(8), 0, IQEI_RESERVED);
	expect_iqe(v, INV_TLB_GLOBAL | BIT64(32), 0, IQEI_RESERVED);
	expect_iqe(v, INV_TLB_PAGES, BIT64(7), IQEI_RESERVED);
	expect_iqe(v, INV_TLB_PAGES, 19, IQEI_RESERVED);
	expect_iqe(v, INV_IEC_GLOBAL | BIT64(5), 0, IQEI_RESERVED);
	expect_iqe(v, INV_IEC_GLOBAL | BIT64(12), 0, IQEI_RESERVED);
	expect_iqe(v, 0x14 | 16ull << 27, 0, IQEI_RESERVED);
	expect_iqe(v, 3 | BIT64(4), 0, IQEI_RESERVED);
	expect_iqe(v, 3, BIT64(1), IQEI_RESERVED);
	expect_iqe(v, 5 | 0x80, 0, IQEI_RESERVED);
	expect_iqe(v, 5 | BIT64(12), 0, IQEI_RESERVED);
	expect_iqe(v, 5 | 0x20, 1, IQEI_RESERVED);
}

static void a_queue_outside_memory_stops(void **state)
{
	struct vtd_world *v = *state;

	gcmd(v, 0, GCMD_QIE);
	v->queue = GIB(5);
	queue_on(v);
	reg_write(v, VTD_IQT, 4, 16);
	assert_int_equal(reg(v, VTD_FSTS, 4) & 0x10, 0x10);
	assert_int_equal(reg(v, VTD_IQERCD, 8) & 0xf, IQEI_FETCH);
}

static void a_tail_beyond_the_queue_stops_it(void **state)
{
	struct vtd_world *v = *state;

	reg_write(v, VTD_IQT, 4, 4096);
	assert_int_equal(reg(v, VTD_FSTS, 4) & 0x10, 0x10);
	assert_int_equal(reg(v, VTD_IQERCD, 8) & 0xf, IQEI_TAIL);
	assert_int_equal(reg(v, VTD_IQH, 8), 0);
}

static void queue_errors_raise_the_fault_event(void **state)
{
	struct vtd_world *v = *state;

	reg_write(v, VTD_FEDATA, 4, 0x52);
	reg_write(v, VTD_FEADDR, 4, 0xfee02000);
	reg_write(v, VTD_FEUADDR, 4, 0x100);
	reg_write(v, VTD_FECTL, 4, 0);
	assert_false(submit(v, 0, 0));
	assert_int_equal(v->nr_sent, 1);
	assert_int_equal(v->sent.addr, 0x100fee02000);
	assert_int_equal(v->sent.data, 0x52);
}

static void each_fault_takes_the_next_record(void **state)
{
	struct vtd_world *v = *state;

	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(dma(v, 0x1000 * (i + 1), IOMMU_READ), -EFAULT);
		assert_int_equal(reg(v, VTD_FRCD + 16 * i, 8), 0x1000 * (i + 1));
		assert_true(reg(v, VTD_FRCD + 16 * i + 8, 8) >> 63);
	}
	assert_int_equal(reg(v, VTD_FSTS, 4), 2);
	/* No room: overflow, and the rest is dropped. */
	dma(v, 0x9000, IOMMU_READ);
	assert_int_equal(reg(v, VTD_FSTS, 4), 3);
	dma(v, 0xa000, IOMMU_READ);
	/* Beyond the last record the page is empty. */
	assert_int_equal(reg(v, VTD_FRCD + 64, 8), 0);
	/* The driver takes two; recording goes on where the first was. */
	reg_write(v, VTD_FRCD + 12, 4, 0x80000000);
	reg_write(v, VTD_FRCD + 16 + 12, 4, 0x80000000);
	reg_write(v, VTD_FSTS, 4, 1);
	assert_int_equal(reg(v, VTD_FSTS, 4), 2);
	dma(v, 0xb000, IOMMU_WRITE);
	assert_int_equal(reg(v, VTD_FRCD, 8), 0xb000);
	assert_int_equal((reg(v, VTD_FRCD + 8, 8) >> 32) & 0xff, 5);
	/* All taken: nothing pends, and the index points at the next first one. */
	for (unsigned int i = 0; i < 4; i++)
		reg_write(v, VTD_FRCD + 16 * i + 12, 4, 0x80000000);
	assert_int_equal(reg(v, VTD_FSTS, 4), 0);
	dma(v, 0xc000, IOMMU_WRITE);
	assert_int_equal(reg(v, VTD_FSTS, 4), 1 << 8 | 2);
}

static void records_cannot_be_forged_by_writing_them(void **state)
{
	struct vtd_world *v = *state;

	reg_write(v, VTD_FRCD, 8, 0x123000);
	reg_write(v, VTD_FRCD + 8, 8, UINT64_MAX);
	assert_int_equal(reg(v, VTD_FRCD, 8), 0);
	assert_int_equal(reg(v, VTD_FRCD + 8, 8), 0);
	assert_int_equal(reg(v, VTD_FSTS, 4), 0);
}

static void the_fault_event_comes_once_until_served(void **state)
{
	struct vtd_world *v = *state;

	reg_write(v, VTD_FECTL, 4, 0);
	dma(v, 0x1000, IOMMU_READ);
	assert_int_equal(v->nr_sent, 1);
	dma(v, 0x2000, IOMMU_READ);
	assert_int_equal(v->nr_sent, 1);
	while (fault_take(v).reason)
		;
	dma(v, 0x1000, IOMMU_READ);
	assert_int_equal(v->nr_sent, 2);
}

static void a_masked_fault_event_is_sent_when_unmasked(void **state)
{
	struct vtd_world *v = *state;

	assert_int_equal(reg(v, VTD_FECTL, 4), 0x80000000);
	dma(v, 0x1000, IOMMU_READ);
	assert_int_equal(v->nr_sent, 0);
	assert_int_equal(reg(v, VTD_FECTL, 4), 0xc0000000);
	reg_write(v, VTD_FECTL, 4, 0);
	assert_int_equal(v->nr_sent, 1);
	assert_int_equal(reg(v, VTD_FECTL, 4), 0);
}

static void a_pending_fault_event_that_was_served_is_dropped(void **state)
{
	struct vtd_world *v = *state;

	dma(v, 0x1000, IOMMU_READ);
	fault_take(v);
	assert_int_equal(reg(v, VTD_FECTL, 4), 0x80000000);
	reg_write(v, VTD_FECTL, 4, 0);
	assert_int_equal(v->nr_sent, 0);
}

/* The promise, seen by a driver: no status is written for what is not complete. */
struct ringer {
	struct vtd_world *v;
	atomic_bool done;
};

static void *ringer_run(void *opaque)
{
	struct ringer *r = opaque;

	ring(r->v);
	atomic_store(&r->done, true);
	return NULL;
}

static void status_is_not_written_before_the_section_ends(void **state)
{
	struct vtd_world *v = *state;
	struct ringer r = { .v = v };
	struct iommu_span span;
	uint64_t covered;
	pthread_t thread;
	unsigned int nr;

	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | R);
	iommu_section_begin(&v->section);
	assert_int_equal(iommu_translate(&v->section, IOMMU_NO_PASID, 0x1000, 1, IOMMU_READ, &span,
					 1, &nr, &covered),
			 0);
	put_desc(v, INV_TLB_PAGES, 0x1000);
	put_desc(v, 5 | 0x20 | 77ull << 32, v->status);
	assert_int_equal(pthread_create(&thread, NULL, ringer_run, &r), 0);
	nanosleep(&(struct timespec){ .tv_nsec = 30 * 1000 * 1000 }, NULL);
	assert_int_equal((uint32_t)world_get(&v->w, v->status), 0);
	/* A fault inside the section does not wait for the queue. */
	assert_int_equal(iommu_translate(&v->section, IOMMU_NO_PASID, 0x2000, 1, IOMMU_READ, &span,
					 1, &nr, &covered),
			 -EFAULT);
	iommu_section_end(&v->section);
	pthread_join(thread, NULL);
	assert_int_equal((uint32_t)world_get(&v->w, v->status), 77);
}

static void a_late_device_stops_the_queue_with_a_time_out(void **state)
{
	struct vtd_world *v = *state;

	vtd_iommu(v->vtd)->wait_limit_ns = 1000 * 1000;
	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | R);
	dma(v, 0x1000, IOMMU_READ);
	iommu_section_begin(&v->section);
	/* The wait is consumed without its status, as by hardware that gave up (6.5.2.11). */
	assert_false(submit(v, INV_TLB_PAGES, 0x1000));
	assert_int_equal(reg(v, VTD_FSTS, 4) & 0x40, 0x40);
	assert_int_equal(reg(v, VTD_IQH, 8), v->tail);
	put_desc(v, 5 | 0x20 | 99ull << 32, v->status);
	ring(v);
	assert_int_not_equal((uint32_t)world_get(&v->w, v->status), 99);
	iommu_section_end(&v->section);
	/* The driver clears the error and submits again. */
	reg_write(v, VTD_FSTS, 4, 0x40);
	assert_true(submit(v, INV_TLB_PAGES, 0x1000));
}

static void figures_count_what_happened(void **state)
{
	struct vtd_world *v = *state;
	struct vtd_stats before, after;

	vtd_stats(v->vtd, &before);
	for (unsigned int i = 0; i < 6; i++)
		dma(v, 0x1000, IOMMU_READ);
	assert_true(submit(v, INV_TLB_GLOBAL, 0));
	assert_true(submit(v, INV_IEC_GLOBAL, 0));
	assert_false(submit(v, 0, 0));
	vtd_stats(v->vtd, &after);
	assert_int_equal(after.nr_faults - before.nr_faults, 6);
	assert_int_equal(after.nr_faults_lost - before.nr_faults_lost, 2);
	assert_int_equal(after.nr_commands - before.nr_commands, 2);
	assert_int_equal(after.nr_queue_errors - before.nr_queue_errors, 1);
	assert_int_equal(atomic_load(&v->dev->nr_faults), 6);
}

static void reset_is_power_on(void **state)
{
	struct vtd_world *v = *state;

	dma(v, 0x1000, IOMMU_READ);
	assert_false(submit(v, 0, 0));
	gcmd(v, 0, GCMD_TE);
	reg_write(v, VTD_PLMLIMIT, 4, MIB(2));
	reg_write(v, VTD_PMEN, 4, 0x80000000);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), -EFAULT);
	vtd_reset(v->vtd);
	assert_int_equal(reg(v, VTD_GSTS, 4), 0);
	assert_int_equal(reg(v, VTD_FSTS, 4), 0);
	assert_int_equal(reg(v, VTD_RTADDR, 8), 0);
	assert_int_equal(reg(v, VTD_FECTL, 4), 0x80000000);
	assert_int_equal(reg(v, VTD_IECTL, 4), 0x80000000);
	assert_int_equal(reg(v, VTD_IQH, 8), 0);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x1000);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(capabilities_say_what_is_offered),
		T(contradictory_settings_are_refused_with_a_reason),
		T(reserved_register_bits_cannot_be_written),
		T(halves_of_a_register_can_be_written_alone),
		T(register_commands_invalidate_and_say_how),
		T(wait_descriptors_write_status_and_interrupt),
		T(a_pending_completion_that_was_served_is_dropped),
		T(the_queue_wraps),
		T(status_outside_memory_is_nobodys),
		T(unknown_descriptors_stop_the_queue),
		T(reserved_fields_stop_the_queue),
		T(a_queue_outside_memory_stops),
		T(a_tail_beyond_the_queue_stops_it),
		T(queue_errors_raise_the_fault_event),
		T(each_fault_takes_the_next_record),
		T(records_cannot_be_forged_by_writing_them),
		T(the_fault_event_comes_once_until_served),
		T(a_masked_fault_event_is_sent_when_unmasked),
		T(a_pending_fault_event_that_was_served_is_dropped),
		T(status_is_not_written_before_the_section_ends),
		T(a_late_device_stops_the_queue_with_a_time_out),
		T(figures_count_what_happened),
		T(reset_is_power_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
