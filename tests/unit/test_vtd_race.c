// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The VT-d unit from all sides at once: a driver that moves a page from frame to frame through the
 * invalidation queue, devices that write wherever translation leads them, a processor that serves
 * faults, another that reads registers, interrupts whose entries change. A stale use is a wrong value
 * in a frame the driver owns, and a data race to the thread sanitizer.
 */
#include "vtd_world.h"

#include <pthread.h>
#include <sched.h>

#define FRAMES	4
#define DEVICES 2
#define PAGE_AT 0x7000ull
#define HANDLE	3

struct race {
	struct vtd_world *v;
	uint64_t frames; /* FRAMES pages of the guest's memory */
	uint64_t slot;	 /* the page's entry */
	atomic_bool stop;
	atomic_ullong nr_writes, nr_faults, nr_interrupts, nr_wrong;
	struct iommu_device *dev[DEVICES];
};

struct device_thread {
	struct race *race;
	struct iommu_device *dev;
	struct iommu_section section;
	pthread_t thread;
};

static void *device_run(void *opaque)
{
	struct device_thread *t = opaque;
	struct race *race = t->race;

	for (uint64_t i = 1; !atomic_load(&race->stop); i++) {
		/* Now and then an address that is never mapped: faults take locks of their own. */
		uint64_t iova = i % 64 ? PAGE_AT : 0x123000;
		struct iommu_span span;
		uint64_t covered;
		unsigned int nr;

		iommu_section_begin(&t->section);
		if (!iommu_translate(&t->section, IOMMU_NO_PASID, iova, 8, IOMMU_WRITE, &span, 1,
				     &nr, &covered)) {
			__atomic_store_n(world_at(&race->v->w, span.addr.v), i, __ATOMIC_RELAXED);
			atomic_fetch_add_explicit(&race->nr_writes, 1, memory_order_relaxed);
		}
		iommu_section_end(&t->section);
		if (i % 256 == 0)
			sched_yield();
	}
	return NULL;
}

/* A processor that serves the fault event, by hand. */
static void *fault_run(void *opaque)
{
	struct race *race = opaque;
	struct vtd_world *v = race->v;

	while (!atomic_load(&race->stop)) {
		uint32_t fsts = (uint32_t)reg(v, VTD_FSTS, 4);

		for (unsigned int i = 0; fsts & 2 && i < 4; i++) {
			uint64_t high = reg(v, VTD_FRCD + 16 * i + 8, 8);

			if (!(high >> 63))
				continue;
			atomic_fetch_add(&race->nr_faults, 1);
			/* Whole records only: a write that was refused, at an address that may be. */
			if (((high >> 32) & 0xff) != 5 || (high >> 62) & 1)
				atomic_fetch_add(&race->nr_wrong, 1);
			reg_write(v, VTD_FRCD + 16 * i + 12, 4, 0x80000000);
		}
		reg_write(v, VTD_FSTS, 4, fsts);
		reg(v, VTD_IQH, 8);
		sched_yield();
	}
	return NULL;
}

/* Interrupts through an entry that the driver changes between two whole values. */
static void *interrupt_run(void *opaque)
{
	struct race *race = opaque;
	struct msi_message in = { 0xfee00010 | HANDLE << 5, 0 }, out;

	while (!atomic_load(&race->stop)) {
		if (iommu_interrupt(race->dev[0], &in, &out)) {
			atomic_fetch_add(&race->nr_wrong, 1);
			continue;
		}
		if (!(out.data == 0x41 && out.addr == 0xfee01000) &&
		    !(out.data == 0x42 && out.addr == 0xfee02000))
			atomic_fetch_add(&race->nr_wrong, 1);
		atomic_fetch_add(&race->nr_interrupts, 1);
		sched_yield();
	}
	return NULL;
}

static void nothing_stale_from_any_side(void **state)
{
	struct vtd_world *v = vtd_world_create(vtd_world_config());
	struct race race = { .v = v };
	struct device_thread *threads = calloc(DEVICES, sizeof(*threads));
	pthread_t faults, interrupts;
	uint64_t rounds = 0, stale = 0, start = iommu_now_ns();

	vtd_world_legacy(v);
	reg_write(v, VTD_IRTA, 8, v->irt | 0x807);
	gcmd(v, GCMD_SIRTP, 0);
	world_set(&v->w, v->irt + 16 * HANDLE + 8, 0);
	world_set(&v->w, v->irt + 16 * HANDLE, 1 | 0x41 << 16 | 1ull << 32);
	gcmd(v, GCMD_IRE, 0);
	race.frames = world_pages(&v->w, FRAMES);
	race.slot = world_ss(&v->w, v->ss, 4, 1, PAGE_AT, 0);
	race.dev[0] = v->dev;
	assert_int_equal(iommu_device_create(vtd_iommu(v->vtd), (rid_t){ 0x400 }, "second",
					     &race.dev[1]),
			 0);
	context_set(v, 0x400, v->ss | 1, 2 | DOMAIN << 8);
	for (unsigned int i = 0; i < DEVICES; i++) {
		threads[i].race = &race;
		threads[i].dev = race.dev[i];
		iommu_section_init(&threads[i].section, race.dev[i]);
		assert_int_equal(pthread_create(&threads[i].thread, NULL, device_run, &threads[i]),
				 0);
	}
	assert_int_equal(pthread_create(&faults, NULL, fault_run, &race), 0);
	assert_int_equal(pthread_create(&interrupts, NULL, interrupt_run, &race), 0);

	do {
		uint64_t frame = race.frames + PAGE_SIZE * (rounds % FRAMES);
		uint64_t *mine = world_at(&v->w, frame);
		unsigned long long writes = atomic_load(&race.nr_writes);

		stale += rounds >= FRAMES && *mine != ~0ull;
		world_set(&v->w, race.slot, frame | RW);
		while (atomic_load(&race.nr_writes) == writes)
			sched_yield();
		world_set(&v->w, race.slot, 0);
		assert_true(submit(v, INV_TLB_PAGES, PAGE_AT));
		*mine = ~0ull;
		if (rounds % 8 == 0) {
			/* Destination and vector are in one word: it changes at once. */
			world_set(&v->w, v->irt + 16 * HANDLE,
				  1 | (rounds & 8 ? 0x42ull << 16 | 2ull << 32
						  : 0x41ull << 16 | 1ull << 32));
			assert_true(submit(v, INV_IEC_GLOBAL, 0));
		}
		rounds++;
	} while (rounds < 60 || (rounds < 2000 && iommu_now_ns() - start < 2000000000ull));

	atomic_store(&race.stop, true);
	pthread_join(faults, NULL);
	pthread_join(interrupts, NULL);
	for (unsigned int i = 0; i < DEVICES; i++) {
		pthread_join(threads[i].thread, NULL);
		iommu_section_fini(&threads[i].section);
	}
	print_message("%llu rounds, %llu writes, %llu faults taken, %llu interrupts, %llu stale\n",
		      (unsigned long long)rounds, atomic_load(&race.nr_writes),
		      atomic_load(&race.nr_faults), atomic_load(&race.nr_interrupts),
		      (unsigned long long)stale);
	assert_int_equal(stale, 0);
	assert_int_equal(atomic_load(&race.nr_wrong), 0);
	iommu_device_destroy(race.dev[1]);
	free(threads);
	vtd_world_destroy(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_stale_from_any_side),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
