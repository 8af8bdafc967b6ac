// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the unit guards against: the gallery of failures, device TLBs that cannot be trusted, and what
 * faults lead to.
 */
#include "vtd_world.h"

#include <pthread.h>
#include <time.h>

static int setup(void **state)
{
	struct vtd_world *v = vtd_world_create(vtd_world_config());

	vtd_world_legacy(v);
	/* Device TLB allowed: translation type 1. */
	context_set(v, RID, v->ss | 1 << 2 | 1, 2 | DOMAIN << 8);
	assert_true(submit(v, INV_CC_GLOBAL, 0));
	*state = v;
	return 0;
}

static int teardown(void **state)
{
	struct vtd_world *v = *state;

	iommu_ats_disable(v->dev);
	vtd_world_destroy(v);
	return 0;
}

/* A device that caches translations: it answers at once, later, or never. */
struct atc {
	struct vtd_world *v;
	bool silent;
	atomic_uint nr_asked;
	struct iommu_ats_inval last;
	uint64_t cookie;
};

static void atc_invalidate(void *opaque, const struct iommu_ats_inval *inval, uint64_t cookie)
{
	struct atc *atc = opaque;

	atc->last = *inval;
	atc->cookie = cookie;
	atomic_fetch_add(&atc->nr_asked, 1);
	if (!atc->silent)
		iommu_ats_complete(atc->v->dev, cookie);
}

static void atc_on(struct vtd_world *v, struct atc *atc, struct iommu_ats_policy policy)
{
	const struct iommu_ats_ops ops = { .invalidate = atc_invalidate, .opaque = atc };

	atc->v = v;
	assert_int_equal(iommu_ats_enable(v->dev, &ops, &policy), 0);
}

static int ats_ask(struct vtd_world *v, uint64_t iova, unsigned int want, struct iommu_page *page)
{
	int err;

	iommu_section_begin(&v->section);
	err = iommu_ats_translate(&v->section, IOMMU_NO_PASID, iova, want, page);
	iommu_section_end(&v->section);
	return err;
}

static int ats_use(struct vtd_world *v, uint64_t iova, uint64_t addr, unsigned int access)
{
	int err;

	iommu_section_begin(&v->section);
	err = iommu_ats_use(&v->section, IOMMU_NO_PASID, iova, gpa(addr), 16, access);
	iommu_section_end(&v->section);
	return err;
}

/* Device-TLB invalidation of one page. */
static bool dtlb_page(struct vtd_world *v, uint64_t iova)
{
	return submit(v, 3 | (uint64_t)RID << 32, iova);
}

static void a_device_tlb_is_told_what_to_forget(void **state)
{
	struct vtd_world *v = *state;
	struct atc atc = { 0 };
	struct iommu_page page;

	atc_on(v, &atc, (struct iommu_ats_policy){ 0 });
	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | RW);
	assert_int_equal(ats_ask(v, 0x1000, RW, &page), 0);
	assert_int_equal(page.addr, 0x5000);
	assert_int_equal(page.access, RW);
	assert_int_equal(ats_use(v, 0x1008, 0x5008, IOMMU_WRITE), 0);
	assert_true(dtlb_page(v, 0x1000));
	assert_int_equal(atc.nr_asked, 1);
	assert_int_equal(atc.last.first, 0x1000);
	assert_int_equal(atc.last.last, 0x1fff);
	/* With S the lowest zero bit tells the size: 32 KiB here, then everything. */
	assert_true(submit(v, 3 | (uint64_t)RID << 32, 0x13000 | 1));
	assert_int_equal(atc.last.first, 0x10000);
	assert_int_equal(atc.last.last, 0x17fff);
	assert_true(submit(v, 3 | (uint64_t)RID << 32, ~0xfffull | 1));
	assert_int_equal(atc.last.first, 0);
	assert_int_equal(atc.last.last, UINT64_MAX);
	/* Of another source it is not asked. */
	assert_true(submit(v, 3 | (uint64_t)0x0309 << 32, 0x1000));
	assert_int_equal(atc.nr_asked, 3);
}

static void a_translation_request_is_answered_not_faulted(void **state)
{
	struct vtd_world *v = *state;
	struct atc atc = { 0 };
	struct iommu_page page;

	atc_on(v, &atc, (struct iommu_ats_policy){ 0 });
	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | R);
	assert_int_equal(ats_ask(v, 0x1000, RW, &page), 0);
	assert_int_equal(page.access, R);
	assert_int_equal(ats_ask(v, 0x2000, R, &page), 0);
	assert_int_equal(page.access, 0);
	assert_int_equal(fault_take(v).reason, 0);
	/* What is wrong in the tables is a fault, and says what kind of request met it. */
	world_ss(&v->w, v->ss, 4, 1, 0x3000, 0x5000 | R | BIT64(50));
	assert_int_equal(ats_ask(v, 0x3000, R, &page), -EFAULT);
	assert_int_equal(fault_take(v).at, 1);
}

static void where_the_entry_allows_none_translation_requests_are_fault_d(void **state)
{
	struct vtd_world *v = *state;
	struct atc atc = { 0 };
	struct iommu_page page;
	struct fault f;

	atc_on(v, &atc, (struct iommu_ats_policy){ 0 });
	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | RW);
	context_default(v);
	assert_true(submit(v, INV_CC_GLOBAL, 0));
	assert_int_equal(ats_ask(v, 0x1000, R, &page), -EFAULT);
	f = fault_take(v);
	assert_int_equal(f.reason, 0x0d);
	assert_int_equal(f.at, 1);
	assert_int_equal(ats_use(v, 0x1000, 0x5000, R), -ESTALE);
	assert_int_equal(fault_take(v).reason, 0x0d);
}

/* ATS poisoning: a device makes translations up, or keeps what it was told to forget. */
static void invented_and_stale_translations_reach_nothing(void **state)
{
	struct vtd_world *v = *state;
	struct atc atc = { 0 };
	struct iommu_ats_figures figures;

	atc_on(v, &atc, (struct iommu_ats_policy){ 0 });
	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | R);
	assert_int_equal(ats_use(v, 0x1000, 0x9000, R), -ESTALE);
	assert_int_equal(ats_use(v, 0x1000, 0x5000, W), -ESTALE);
	assert_int_equal(ats_use(v, 0x1ff8, 0x5ff8, R), -ESTALE);
	assert_int_equal(ats_use(v, 0x1000, 0x5000, R), 0);
	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0);
	invalidate_page(v, 0x1000);
	assert_int_equal(ats_use(v, 0x1000, 0x5000, R), -ESTALE);
	iommu_ats_figures(v->dev, &figures);
	assert_int_equal(figures.nr_uses, 5);
	assert_int_equal(figures.nr_stale, 4);
}

static void a_device_that_uses_stale_entries_loses_ats_alone(void **state)
{
	struct vtd_world *v = *state;
	struct atc atc = { 0 };
	struct iommu_page page;

	atc_on(v, &atc, (struct iommu_ats_policy){ .stale_limit = 3 });
	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | RW);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(ats_use(v, 0x1000, 0x9000, R), -ESTALE);
	assert_int_equal(ats_use(v, 0x1000, 0x5000, R), 0);
	assert_int_equal(ats_use(v, 0x1000, 0x9000, R), -ESTALE);
	assert_int_equal(ats_use(v, 0x1000, 0x5000, R), -EPERM);
	assert_int_equal(ats_ask(v, 0x1000, R, &page), -EPERM);
	/* Untranslated requests go on. */
	assert_int_equal(dma(v, 0x1000, IOMMU_WRITE), 0x5000);
	/* And it is not asked any more. */
	assert_true(dtlb_page(v, 0x1000));
	assert_int_equal(atc.nr_asked, 0);
}

static void a_device_that_asks_for_too_much_loses_ats(void **state)
{
	struct vtd_world *v = *state;
	struct atc atc = { 0 };
	struct iommu_page page;

	atc_on(v, &atc, (struct iommu_ats_policy){ .window = 100, .fault_percent = 50 });
	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | RW);
	/* Half of them is still within the rule. */
	for (unsigned int i = 0; i < 200; i++)
		assert_int_equal(ats_ask(v, 0x1000 + 0x1000 * (i & 1), R, &page), 0);
	for (unsigned int i = 0; i < 100; i++)
		assert_int_equal(ats_ask(v, GIB(1) + 0x1000 * i, R, &page), 0);
	assert_int_equal(ats_ask(v, 0x1000, R, &page), -EPERM);
	assert_int_equal(dma(v, 0x1000, IOMMU_WRITE), 0x5000);
}

static void a_device_that_does_not_answer_is_timed_out_and_fenced_off(void **state)
{
	struct vtd_world *v = *state;
	struct atc atc = { .silent = true };
	struct iommu_page page;

	atc_on(v, &atc, (struct iommu_ats_policy){ .answer_ns = 2 * 1000 * 1000 });
	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | RW);
	assert_int_equal(ats_ask(v, 0x1000, R, &page), 0);
	assert_false(dtlb_page(v, 0x1000));
	assert_int_equal(reg(v, VTD_FSTS, 4) & 0x40, 0x40);
	assert_int_equal((reg(v, VTD_IQERCD, 8) >> 32) & 0xffff, RID);
	/* What it keeps is worth nothing, so the driver's second try is true at once. */
	assert_int_equal(ats_use(v, 0x1000, 0x5000, R), -EPERM);
	reg_write(v, VTD_FSTS, 4, 0x40);
	assert_true(dtlb_page(v, 0x1000));
	/* A late answer is nobody's. */
	iommu_ats_complete(v->dev, atc.cookie);
}

static void *answer_later(void *opaque)
{
	struct atc *atc = opaque;

	/* Once it has been asked, and some time after. */
	do
		nanosleep(&(struct timespec){ .tv_nsec = 5 * 1000 * 1000 }, NULL);
	while (!atomic_load(&atc->nr_asked));
	nanosleep(&(struct timespec){ .tv_nsec = 5 * 1000 * 1000 }, NULL);
	iommu_ats_complete(atc->v->dev, atc->cookie);
	return NULL;
}

static void an_invalidation_waits_for_the_device(void **state)
{
	struct vtd_world *v = *state;
	struct atc atc = { .silent = true };
	struct iommu_ats_figures figures;
	pthread_t thread;

	atc_on(v, &atc, (struct iommu_ats_policy){ .answer_ns = 30000000000ull });
	assert_int_equal(pthread_create(&thread, NULL, answer_later, &atc), 0);
	assert_true(dtlb_page(v, 0x1000));
	pthread_join(thread, NULL);
	iommu_ats_figures(v->dev, &figures);
	assert_false(figures.taken);
	assert_int_equal(figures.nr_invals, 1);
	assert_true(figures.inval_ns_max >= 1000 * 1000);
}

/* Faults have consequences. */
static unsigned int nr_quarantined;

static void on_quarantine(void *opaque, struct iommu_device *dev, const char *why)
{
	nr_quarantined++;
}

static void a_device_that_keeps_faulting_is_quarantined_and_the_guest_told(void **state)
{
	struct vtd_world *v = *state;
	struct iommu *iommu = vtd_iommu(v->vtd);

	nr_quarantined = 0;
	iommu->events.quarantined = on_quarantine;
	iommu->quarantine = (struct quarantine_policy){ .burst = 10 };
	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | RW);
	for (unsigned int i = 0; i < 10; i++)
		assert_int_equal(dma(v, 0x2000, IOMMU_READ), -EFAULT);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x5000);
	assert_int_equal(dma(v, 0x2000, IOMMU_READ), -EFAULT);
	assert_int_equal(nr_quarantined, 1);
	while (fault_take(v).reason)
		;
	/* What it was allowed before it is no more; one fault says so. */
	assert_int_equal(dma(v, 0x1000, IOMMU_WRITE), -EPERM);
	assert_int_equal(fault_take(v).reason, 0x05);
	assert_int_equal(dma(v, 0x1000, IOMMU_WRITE), -EPERM);
	assert_int_equal(fault_take(v).reason, 0);
	assert_int_equal(nr_quarantined, 1);
	iommu_device_unblock(v->dev);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x5000);
}

static void faults_that_the_host_reports_fill_the_same_bucket(void **state)
{
	struct vtd_world *v = *state;

	vtd_iommu(v->vtd)->quarantine = (struct quarantine_policy){ .burst = 10 };
	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | RW);
	iommu_device_fault(v->dev, 10);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x5000);
	iommu_device_fault(v->dev, 1);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), -EPERM);
}

static void bad_translation_requests_fill_the_bucket_too(void **state)
{
	struct vtd_world *v = *state;
	struct atc atc = { 0 };
	struct iommu_page page;

	vtd_iommu(v->vtd)->quarantine = (struct quarantine_policy){ .burst = 10 };
	atc_on(v, &atc, (struct iommu_ats_policy){ 0 });
	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | R | BIT64(50));
	for (unsigned int i = 0; i < 11; i++)
		assert_int_equal(ats_ask(v, 0x1000, R, &page), -EFAULT);
	assert_int_equal(ats_ask(v, 0x1000, R, &page), -EPERM);
	assert_int_equal(dma(v, 0x2000, IOMMU_READ), -EPERM);
}

static void the_bucket_leaks(void **state)
{
	struct quarantine_policy policy = { .burst = 10, .per_second = 10 };
	struct quarantine q = { 0 };
	uint64_t now = 5000000000ull;

	/* Ten at once, then ten a second for an hour. */
	assert_false(quarantine_add(&q, &policy, now, 10));
	for (unsigned int i = 0; i < 36000; i++)
		assert_false(quarantine_add(&q, &policy, now += 100000000, 1));
	assert_true(quarantine_add(&q, &policy, now, 1));
	/* A pause forgives. */
	assert_false(quarantine_add(&q, &policy, now + 2000000000, 9));
	/* Nothing is ever too much where there is no limit. */
	policy.burst = 0;
	assert_false(quarantine_add(&q, &policy, now, 1000000));
}

/* The gallery. */
static void a_superpage_larger_than_its_grant_is_refused(void **state)
{
	struct vtd_world *v = *state;

	/* Size bit with address bits below the size: it would reach past what was meant. */
	world_ss(&v->w, v->ss, 4, 2, MIB(2), (MIB(8) + 0x3000) | PS | RW);
	expect_fault(v, MIB(2), IOMMU_READ, 0x0c);
	/* At a level where no page may be. */
	world_set(&v->w, v->ss + 8 * 2, GIB(1) | PS | RW);
	expect_fault(v, GIB(1024), IOMMU_READ, 0x0c);
}

static void a_forgotten_identity_map_is_a_fault_and_not_memory(void **state)
{
	struct vtd_world *v = *state;

	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x1000 | RW);
	/* The next page of "the same buffer" was never mapped. */
	expect_fault(v, 0x2000, IOMMU_WRITE, 0x05);
}

static void dma_that_ends_outside_its_grant_moves_nothing(void **state)
{
	struct vtd_world *v = *state;
	struct iommu_span spans[4];
	uint64_t covered;
	unsigned int nr;

	/* A ring whose last entry lies beyond the mapped page. */
	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | RW);
	iommu_section_begin(&v->section);
	assert_int_equal(iommu_translate(&v->section, IOMMU_NO_PASID, 0x1ff8, 16, IOMMU_WRITE,
					 spans, 4, &nr, &covered),
			 -EFAULT);
	assert_int_equal(nr, 0);
	assert_int_equal(iommu_translate(&v->section, IOMMU_NO_PASID, UINT64_MAX - 7, 16,
					 IOMMU_WRITE, spans, 4, &nr, &covered),
			 -EINVAL);
	iommu_section_end(&v->section);
}

static void a_device_cannot_reach_another_ones_domain(void **state)
{
	struct vtd_world *v = *state;
	uint64_t other = world_page(&v->w);

	world_ss(&v->w, other, 4, 1, 0x7000, 0x9000 | RW);
	context_set(v, 0x400, other | 1, 2 | 6 << 8);
	assert_true(submit(v, INV_CC_GLOBAL, 0));
	expect_fault(v, 0x7000, IOMMU_WRITE, 0x05);
}

static void a_forged_interrupt_is_refused(void **state)
{
	struct vtd_world *v = *state;
	struct msi_message in = { 0xfee00000, 0x30 }, out;

	reg_write(v, VTD_IRTA, 8, v->irt | 0x807);
	gcmd(v, GCMD_SIRTP, 0);
	gcmd(v, GCMD_IRE, 0);
	/* A plain message to a processor, by a DMA write; then another function's entry. */
	assert_int_equal(iommu_interrupt(v->dev, &in, &out), -EFAULT);
	assert_int_equal(fault_take(v).reason, 0x25);
	world_set(&v->w, v->irt + 16 * 2 + 8, 0x0100 | 1ull << 18);
	world_set(&v->w, v->irt + 16 * 2, 1 | 0x30 << 16);
	in = (struct msi_message){ 0xfee00010 | 2 << 5, 0 };
	assert_int_equal(iommu_interrupt(v->dev, &in, &out), -EFAULT);
	assert_int_equal(fault_take(v).reason, 0x26);
}

static void tables_that_loop_or_leave_memory_end_the_walk(void **state)
{
	struct vtd_world *v = *state;

	world_set(&v->w, v->ss, v->ss | RW);
	assert_true(dma(v, 0, IOMMU_READ) >= 0);
	world_set(&v->w, v->ss, (BIT64(46) - PAGE_SIZE) | RW);
	assert_true(submit(v, INV_TLB_GLOBAL, 0));
	expect_fault(v, 0, IOMMU_READ, 0x07);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_device_tlb_is_told_what_to_forget),
		T(a_translation_request_is_answered_not_faulted),
		T(where_the_entry_allows_none_translation_requests_are_fault_d),
		T(invented_and_stale_translations_reach_nothing),
		T(a_device_that_uses_stale_entries_loses_ats_alone),
		T(a_device_that_asks_for_too_much_loses_ats),
		T(a_device_that_does_not_answer_is_timed_out_and_fenced_off),
		T(an_invalidation_waits_for_the_device),
		T(a_device_that_keeps_faulting_is_quarantined_and_the_guest_told),
		T(faults_that_the_host_reports_fill_the_same_bucket),
		T(bad_translation_requests_fill_the_bucket_too),
		cmocka_unit_test(the_bucket_leaks),
		T(a_superpage_larger_than_its_grant_is_refused),
		T(a_forgotten_identity_map_is_a_fault_and_not_memory),
		T(dma_that_ends_outside_its_grant_moves_nothing),
		T(a_device_cannot_reach_another_ones_domain),
		T(a_forged_interrupt_is_refused),
		T(tables_that_loop_or_leave_memory_end_the_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
