// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The promise of iommu/ops.h, with a unit that is a plain array: after an invalidation is complete
 * nothing older than it is in use, and nothing else was waited for.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/bug.h"
#include "iommu/ops.h"

#define PAGES  64
#define DOMAIN 5

struct flat {
	struct iommu iommu;
	_Atomic uint64_t map[PAGES]; /* page -> address | rights; 0: nothing */
	atomic_uint nr_walks;
	unsigned int lg2;
	atomic_bool dawdle; /* between reading an entry and answering */
};

static void dawdle(unsigned int turns)
{
	for (volatile unsigned int i = 0; i < turns; i++)
		;
}

static int flat_translate(struct iommu *iommu, struct iommu_device *dev, uint32_t pasid,
			  uint64_t iova, uint64_t len, unsigned int need, struct iommu_walked *out)
{
	struct flat *flat = container_of(iommu, struct flat, iommu);
	uint64_t entry;

	atomic_fetch_or(&dev->domains, BIT64(iommu_device_rid(dev).v & 63));
	atomic_fetch_add(&flat->nr_walks, 1);
	if (iova >> flat->lg2 >= PAGES)
		return -EFAULT;
	entry = atomic_load(&flat->map[iova >> flat->lg2]);
	if (atomic_load_explicit(&flat->dawdle, memory_order_relaxed))
		dawdle(flat->nr_walks % 300);
	if ((entry & need) != need || !entry)
		return -EFAULT;
	*out = (struct iommu_walked){
		.page = { entry & PAGE_MASK, (uint8_t)flat->lg2, entry & 3, false },
		.cacheable = true,
	};
	return 0;
}

static int flat_interrupt(struct iommu *iommu, rid_t rid, const struct msi_message *in,
			  struct msi_message *out)
{
	*out = *in;
	return 0;
}

static const struct iommu_ops flat_ops = {
	.name = "flat",
	.translate = flat_translate,
	.interrupt = flat_interrupt,
};

struct fixture {
	struct flat flat;
	struct iommu_device *dev;
	struct iommu_section section;
};

static int setup(void **state)
{
	struct fixture *f = aligned_alloc(64, align_up(sizeof(*f), 64));

	memset(f, 0, sizeof(*f));
	assert_int_equal(iommu_init(&f->flat.iommu, &flat_ops, true), 0);
	f->flat.lg2 = 12;
	/* Long: the machine may be busy. Tests of being late set their own. */
	f->flat.iommu.wait_limit_ns = 30000000000ull;
	f->flat.iommu.quarantine.burst = 0;
	assert_int_equal(iommu_device_create(&f->flat.iommu, (rid_t){ DOMAIN }, "dev", &f->dev), 0);
	iommu_section_init(&f->section, f->dev);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	iommu_section_fini(&f->section);
	iommu_device_destroy(f->dev);
	iommu_fini(&f->flat.iommu);
	free(f);
	return 0;
}

static int invalidate_range(struct fixture *f, uint64_t first, uint64_t last)
{
	struct iommu_inval inval = {
		.scope = IOMMU_INVAL_RANGE,
		.domain = DOMAIN,
		.first = first,
		.last = last,
	};
	int err;

	iommu_exec_begin(&f->flat.iommu);
	err = iommu_invalidate(&f->flat.iommu, &inval);
	iommu_exec_end(&f->flat.iommu);
	return err;
}

/* One page; its address, or the error. */
static int64_t look(struct fixture *f, uint64_t iova, unsigned int access)
{
	struct iommu_span span;
	uint64_t covered;
	unsigned int nr;
	int err;

	iommu_section_begin(&f->section);
	err = iommu_translate(&f->section, IOMMU_NO_PASID, iova, 1, access, &span, 1, &nr,
			      &covered);
	iommu_section_end(&f->section);
	return err ? err : (int64_t)span.addr.v;
}

static void a_second_look_finds_the_first_ones_page(void **state)
{
	struct fixture *f = *state;

	f->flat.map[3] = 0x7000 | IOMMU_READ;
	assert_int_equal(look(f, 0x3123, IOMMU_READ), 0x7123);
	assert_int_equal(look(f, 0x3fff, IOMMU_READ), 0x7fff);
	assert_int_equal(f->flat.nr_walks, 1);
	/* A right that is not cached is asked for again, and refused again. */
	assert_int_equal(look(f, 0x3123, IOMMU_WRITE), -EFAULT);
	f->flat.map[3] = 0x7000 | IOMMU_READ | IOMMU_WRITE;
	assert_int_equal(look(f, 0x3123, IOMMU_WRITE), 0x7123);
	assert_int_equal(look(f, 0x3123, IOMMU_READ), 0x7123);
	assert_int_equal(f->flat.nr_walks, 3);
}

static void large_pages_are_found_in_all_their_pieces(void **state)
{
	struct fixture *f = *state;

	f->flat.lg2 = 30;
	f->flat.map[2] = GIB(7) | IOMMU_READ;
	assert_int_equal(look(f, GIB(2) + MIB(2) + 5, IOMMU_READ), GIB(7) + MIB(2) + 5);
	assert_int_equal(look(f, GIB(2) + MIB(3), IOMMU_READ), GIB(7) + MIB(3));
	assert_int_equal(f->flat.nr_walks, 1);
	assert_int_equal(look(f, GIB(2) + MIB(4), IOMMU_READ), GIB(7) + MIB(4));
	assert_int_equal(f->flat.nr_walks, 2);
	/* A page anywhere in it, and all its pieces are gone. */
	f->flat.map[2] = 0;
	assert_int_equal(invalidate_range(f, GIB(2) + MIB(900), GIB(2) + MIB(900) + 0xfff), 0);
	assert_int_equal(look(f, GIB(2) + MIB(2), IOMMU_READ), -EFAULT);
	assert_int_equal(look(f, GIB(2) + MIB(4), IOMMU_READ), -EFAULT);
}

static void pasids_do_not_see_each_others_pages(void **state)
{
	struct fixture *f = *state;
	struct iommu_span span;
	uint64_t covered;
	unsigned int nr;

	f->flat.map[1] = 0x7000 | IOMMU_READ;
	for (uint32_t pasid = 0; pasid <= 0xfffff; pasid += 0x11111) {
		iommu_section_begin(&f->section);
		assert_int_equal(iommu_translate(&f->section, pasid, 0x1000, 1, IOMMU_READ, &span,
						 1, &nr, &covered),
				 0);
		iommu_section_end(&f->section);
	}
	assert_int_equal(look(f, 0x1000, IOMMU_READ), 0x7000);
	assert_int_equal(f->flat.nr_walks, 17);
}

static void an_invalidation_forgets_its_pages_and_no_others(void **state)
{
	struct fixture *f = *state;

	f->flat.map[3] = 0x7000 | IOMMU_READ;
	f->flat.map[4] = 0x8000 | IOMMU_READ;
	look(f, 0x3000, IOMMU_READ);
	look(f, 0x4000, IOMMU_READ);
	f->flat.map[3] = f->flat.map[4] = 0;
	assert_int_equal(invalidate_range(f, 0x3000, 0x3fff), 0);
	assert_int_equal(look(f, 0x3000, IOMMU_READ), -EFAULT);
	assert_int_equal(look(f, 0x4000, IOMMU_READ), 0x8000);
	assert_int_equal(invalidate_range(f, 0, UINT64_MAX), 0);
	assert_int_equal(look(f, 0x4000, IOMMU_READ), -EFAULT);
}

static void adjoining_pages_are_one_span(void **state)
{
	struct fixture *f = *state;
	struct iommu_span spans[4];
	uint64_t covered;
	unsigned int nr;

	f->flat.map[1] = 0x7000 | IOMMU_READ;
	f->flat.map[2] = 0x8000 | IOMMU_READ;
	f->flat.map[3] = 0xc000 | IOMMU_READ;
	f->flat.map[4] = 0xf000 | IOMMU_READ;
	iommu_section_begin(&f->section);
	assert_int_equal(iommu_translate(&f->section, IOMMU_NO_PASID, 0x1800, 0x2000, IOMMU_READ,
					 spans, 4, &nr, &covered),
			 0);
	assert_int_equal(nr, 2);
	assert_int_equal(spans[0].addr.v, 0x7800);
	assert_int_equal(spans[0].len, 0x1800);
	assert_int_equal(spans[1].addr.v, 0xc000);
	assert_int_equal(spans[1].len, 0x800);
	assert_int_equal(covered, 0x2000);
	/* Out of spans: a prefix. */
	assert_int_equal(iommu_translate(&f->section, IOMMU_NO_PASID, 0x1800, 0x2800, IOMMU_READ,
					 spans, 1, &nr, &covered),
			 0);
	assert_int_equal(nr, 1);
	assert_int_equal(covered, 0x1800);
	/* One bad page, and nothing may be used. */
	assert_int_equal(iommu_translate(&f->section, IOMMU_NO_PASID, 0x4800, 0x1000, IOMMU_READ,
					 spans, 4, &nr, &covered),
			 -EFAULT);
	assert_int_equal(nr, 0);
	iommu_section_end(&f->section);
}

static void ranges_that_wrap_or_are_empty_are_refused(void **state)
{
	struct fixture *f = *state;
	struct iommu_span span;
	uint64_t covered;
	unsigned int nr;

	iommu_section_begin(&f->section);
	assert_int_equal(iommu_translate(&f->section, IOMMU_NO_PASID, UINT64_MAX, 2, IOMMU_READ,
					 &span, 1, &nr, &covered),
			 -EINVAL);
	assert_int_equal(iommu_translate(&f->section, IOMMU_NO_PASID, 0x1000, 0, IOMMU_READ, &span,
					 1, &nr, &covered),
			 -EINVAL);
	iommu_section_end(&f->section);
}

struct invalidator {
	struct fixture *f;
	uint64_t first, last;
	atomic_bool done;
	int err;
	pthread_t thread;
};

static void *invalidator_run(void *opaque)
{
	struct invalidator *inv = opaque;

	inv->err = invalidate_range(inv->f, inv->first, inv->last);
	atomic_store(&inv->done, true);
	return NULL;
}

static void invalidator_start(struct invalidator *inv, struct fixture *f, uint64_t first,
			      uint64_t last)
{
	*inv = (struct invalidator){ .f = f, .first = first, .last = last };
	assert_int_equal(pthread_create(&inv->thread, NULL, invalidator_run, inv), 0);
}

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 20 * 1000 * 1000 }, NULL);
}

static void an_invalidation_waits_for_the_section_that_saw_the_page(void **state)
{
	struct fixture *f = *state;
	struct iommu_span span;
	struct invalidator inv;
	uint64_t covered;
	unsigned int nr;

	f->flat.map[3] = 0x7000 | IOMMU_READ;
	iommu_section_begin(&f->section);
	assert_int_equal(iommu_translate(&f->section, IOMMU_NO_PASID, 0x3000, 1, IOMMU_READ, &span,
					 1, &nr, &covered),
			 0);
	f->flat.map[3] = 0;
	invalidator_start(&inv, f, 0x3000, 0x3fff);
	nap();
	assert_false(atomic_load(&inv.done));
	iommu_section_end(&f->section);
	pthread_join(inv.thread, NULL);
	assert_int_equal(inv.err, 0);
}

static void a_section_of_another_domain_is_not_waited_for(void **state)
{
	struct fixture *f = *state;
	struct iommu_section other;
	struct iommu_device *dev;
	struct iommu_span span;
	uint64_t covered;
	unsigned int nr;

	assert_int_equal(iommu_device_create(&f->flat.iommu, (rid_t){ 9 }, "other", &dev), 0);
	iommu_section_init(&other, dev);
	f->flat.map[3] = 0x7000 | IOMMU_READ;
	iommu_section_begin(&other);
	assert_int_equal(iommu_translate(&other, IOMMU_NO_PASID, 0x3000, 1, IOMMU_READ, &span, 1,
					 &nr, &covered),
			 0);
	assert_int_equal(invalidate_range(f, 0x3000, 0x3fff), 0);
	iommu_section_end(&other);
	iommu_section_fini(&other);
	iommu_device_destroy(dev);
}

static void a_stuck_section_is_named_and_the_invalidation_fails(void **state)
{
	struct fixture *f = *state;

	f->flat.iommu.wait_limit_ns = 1000 * 1000;
	f->flat.map[3] = 0x7000 | IOMMU_READ;
	look(f, 0x3000, IOMMU_READ);
	iommu_section_begin(&f->section);
	assert_int_equal(invalidate_range(f, 0x3000, 0x3fff), -ETIMEDOUT);
	iommu_section_end(&f->section);
	assert_int_equal(invalidate_range(f, 0x3000, 0x3fff), 0);
}

struct io {
	struct iommu_hold hold;
	atomic_uint nr_revoked;
	bool release_at_once;
};

static void io_revoke(struct iommu_hold *hold)
{
	struct io *io = hold->opaque;

	atomic_fetch_add(&io->nr_revoked, 1);
	if (io->release_at_once)
		iommu_hold_release(hold);
}

static void io_start(struct fixture *f, struct io *io, uint64_t iova)
{
	struct iommu_span span;
	uint64_t covered;
	unsigned int nr;

	io->hold.revoke = io_revoke;
	io->hold.opaque = io;
	iommu_section_begin(&f->section);
	assert_int_equal(iommu_translate(&f->section, IOMMU_NO_PASID, iova, 1, IOMMU_READ, &span, 1,
					 &nr, &covered),
			 0);
	iommu_hold_add(&f->section, &io->hold, iova, 1);
	iommu_section_end(&f->section);
}

static void an_invalidation_revokes_io_on_its_pages_and_waits(void **state)
{
	struct fixture *f = *state;
	struct invalidator inv;
	struct io io = { 0 };

	f->flat.map[3] = 0x7000 | IOMMU_READ;
	io_start(f, &io, 0x3000);
	f->flat.map[3] = 0;
	invalidator_start(&inv, f, 0x3000, 0x3fff);
	while (!atomic_load(&io.nr_revoked))
		nap();
	assert_false(atomic_load(&inv.done));
	iommu_hold_release(&io.hold);
	pthread_join(inv.thread, NULL);
	assert_int_equal(inv.err, 0);
	assert_int_equal(atomic_load(&io.nr_revoked), 1);
}

static void io_may_let_go_inside_revoke(void **state)
{
	struct fixture *f = *state;
	struct io io = { .release_at_once = true };

	f->flat.map[3] = 0x7000 | IOMMU_READ;
	io_start(f, &io, 0x3000);
	assert_int_equal(invalidate_range(f, 0x3000, 0x3fff), 0);
	assert_int_equal(atomic_load(&io.nr_revoked), 1);
}

static void io_on_other_pages_is_neither_revoked_nor_waited_for(void **state)
{
	struct fixture *f = *state;
	struct io io = { 0 };

	f->flat.map[3] = 0x7000 | IOMMU_READ;
	f->flat.map[4] = 0x8000 | IOMMU_READ;
	io_start(f, &io, 0x4000);
	assert_int_equal(invalidate_range(f, 0x3000, 0x3fff), 0);
	assert_int_equal(atomic_load(&io.nr_revoked), 0);
	iommu_hold_release(&io.hold);
}

static void io_that_does_not_let_go_makes_the_invalidation_fail(void **state)
{
	struct fixture *f = *state;
	struct io io = { 0 };

	f->flat.iommu.wait_limit_ns = 5 * 1000 * 1000;
	f->flat.map[3] = 0x7000 | IOMMU_READ;
	io_start(f, &io, 0x3000);
	assert_int_equal(invalidate_range(f, 0x3000, 0x3fff), -ETIMEDOUT);
	iommu_hold_release(&io.hold);
	assert_int_equal(invalidate_range(f, 0x3000, 0x3fff), 0);
}

static void a_quarantined_device_is_refused_what_it_had_cached(void **state)
{
	struct fixture *f = *state;

	f->flat.map[3] = 0x7000 | IOMMU_READ;
	assert_int_equal(look(f, 0x3000, IOMMU_READ), 0x7000);
	iommu_device_block(f->dev, "test");
	assert_int_equal(look(f, 0x3000, IOMMU_READ), -EPERM);
	assert_int_equal(iommu_interrupt(f->dev, &(struct msi_message){ 0 },
					 &(struct msi_message){ 0 }),
			 -EPERM);
	iommu_device_unblock(f->dev);
	assert_int_equal(look(f, 0x3000, IOMMU_READ), 0x7000);
}

static void without_an_iommu_addresses_go_through(void **state)
{
	struct iommu_section section;
	struct iommu_device *dev;
	struct iommu_span span;
	struct iommu *iommu;
	uint64_t covered;
	unsigned int nr;

	assert_int_equal(iommu_none_create(&iommu), 0);
	assert_int_equal(iommu_device_create(iommu, (rid_t){ 8 }, "dev", &dev), 0);
	iommu_section_init(&section, dev);
	iommu_section_begin(&section);
	assert_int_equal(iommu_translate(&section, IOMMU_NO_PASID, GIB(5) - 3, GIB(2), IOMMU_WRITE,
					 &span, 1, &nr, &covered),
			 0);
	assert_int_equal(span.addr.v, GIB(5) - 3);
	assert_int_equal(covered, GIB(2));
	iommu_section_end(&section);
	iommu_section_fini(&section);
	iommu_device_destroy(dev);
	iommu_none_destroy(iommu);
}

/*
 * The race. A driver moves a page from frame to frame: map, let the device use it, unmap,
 * invalidate, and then the frame is its own: it writes there without any synchronisation and looks
 * whether anything else did. Devices write wherever translation leads them. A stale use is a wrong
 * value here, and a data race to the thread sanitizer.
 */
#define FRAMES 8

struct race {
	struct fixture *f;
	uint64_t frames[FRAMES][8];
	atomic_bool stop;
	atomic_ullong nr_writes;
};

struct racer {
	struct race *race;
	struct iommu_section section;
	pthread_t thread;
};

static void *race_device(void *opaque)
{
	struct racer *racer = opaque;
	struct race *race = racer->race;

	for (unsigned int i = 0; !atomic_load(&race->stop); i++) {
		struct iommu_span span;
		uint64_t covered;
		unsigned int nr;

		iommu_section_begin(&racer->section);
		if (!iommu_translate(&racer->section, IOMMU_NO_PASID, 0, 8, IOMMU_WRITE, &span, 1,
				     &nr, &covered)) {
			uint64_t *frame = race->frames[span.addr.v >> 12];

			/* Long sections now and then, preempted ones too; mostly the shortest. */
			if (i % 16 == 0)
				dawdle(i / 16 % 3000);
			if (i % 512 == 8)
				sched_yield();
			/* Two devices may write one frame: that is theirs to sort out. */
			__atomic_store_n(frame, i, __ATOMIC_RELAXED);
			atomic_fetch_add_explicit(&race->nr_writes, 1, memory_order_relaxed);
		}
		iommu_section_end(&racer->section);
		/* Others need the processor too: the driver, for one. */
		if (i % 256 == 0)
			sched_yield();
	}
	return NULL;
}

static void no_stale_use_survives_an_invalidation(void **state)
{
	struct fixture *f = *state;
	struct race race = { .f = f };
	struct racer racers[2] = { { .race = &race }, { .race = &race } };
	uint64_t rounds = 0, stale = 0, start = iommu_now_ns();

	atomic_store(&f->flat.dawdle, true);
	for (unsigned int i = 0; i < 2; i++) {
		iommu_section_init(&racers[i].section, f->dev);
		assert_int_equal(pthread_create(&racers[i].thread, NULL, race_device, &racers[i]),
				 0);
	}
	do {
		unsigned int at = (unsigned int)(rounds % FRAMES);
		uint64_t *frame = race.frames[at];
		unsigned long long writes = atomic_load(&race.nr_writes);

		/* Ours since it was taken back: plain loads, and what we left must be there. */
		stale += rounds >= FRAMES && *frame != ~0ull;
		atomic_store(&f->flat.map[0], (uint64_t)at << 12 | IOMMU_READ | IOMMU_WRITE);
		/* Taken away in the middle of its use. */
		while (atomic_load(&race.nr_writes) == writes)
			sched_yield();
		dawdle((unsigned int)rounds % 400);
		atomic_store(&f->flat.map[0], 0);
		assert_int_equal(invalidate_range(f, 0, 0xfff), 0);
		/* The frame is ours: a plain store. */
		*frame = ~0ull;
		rounds++;
		/* Each round waits for threads that may not be running: fewer on a busy machine. */
	} while (rounds < 30 || (rounds < 3000 && iommu_now_ns() - start < 2000000000ull));
	atomic_store(&race.stop, true);
	for (unsigned int i = 0; i < 2; i++) {
		pthread_join(racers[i].thread, NULL);
		iommu_section_fini(&racers[i].section);
	}
	print_message("%llu rounds, %llu writes by devices, %llu stale\n",
		      (unsigned long long)rounds, (unsigned long long)atomic_load(&race.nr_writes),
		      (unsigned long long)stale);
	assert_int_equal(stale, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_second_look_finds_the_first_ones_page),
		T(large_pages_are_found_in_all_their_pieces),
		T(pasids_do_not_see_each_others_pages),
		T(an_invalidation_forgets_its_pages_and_no_others),
		T(adjoining_pages_are_one_span),
		T(ranges_that_wrap_or_are_empty_are_refused),
		T(an_invalidation_waits_for_the_section_that_saw_the_page),
		T(a_section_of_another_domain_is_not_waited_for),
		T(a_stuck_section_is_named_and_the_invalidation_fails),
		T(an_invalidation_revokes_io_on_its_pages_and_waits),
		T(io_may_let_go_inside_revoke),
		T(io_on_other_pages_is_neither_revoked_nor_waited_for),
		T(io_that_does_not_let_go_makes_the_invalidation_fail),
		T(a_quarantined_device_is_refused_what_it_had_cached),
		T(without_an_iommu_addresses_go_through),
		T(no_stale_use_survives_an_invalidation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
