// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The mapping engine against a flat map. Random grants, releases and RAM that comes and goes, good
 * and bad alike; after each step the fake kernel's mappings are exactly what an array with one entry
 * a page says: no page more (least privilege), none less, each onto the right byte of this process.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bits.h"
#include "dma/type1.h"
#include "fake/vfio.h"

#define PAGES	 64 /* of I/O virtual addresses, and of guest-physical ones */
#define PIECES	 4  /* of RAM, each PIECE pages long */
#define PIECE	 16
#define STEPS	 4000
#define MAX_RUNS 3

struct model {
	struct fake_vfio vfio;
	struct dma_type1 type1;
	struct dma_space *space;
	int container, group;
	uint8_t *ram;
	bool there[PIECES];
	uint8_t *hva[PIECES]; /* not in order: neighbours for the guest are not always ours */
	/* The flat map: where a page leads, its rights, and which grant it belongs to. */
	uint8_t *to[PAGES];
	unsigned int prot[PAGES];
	int grant[PAGES]; /* first page of its grant, -1: none */
	unsigned int from[PAGES];
	uint32_t seed;
};

static unsigned int roll(struct model *m, unsigned int n)
{
	m->seed = m->seed * 1664525 + 1013904223;
	return (m->seed >> 8) % n;
}

static uint8_t *model_ram(const struct model *m, unsigned int page)
{
	unsigned int piece = page / PIECE;

	if (page >= PAGES || !m->there[piece])
		return NULL;
	return m->hva[piece] + (page % PIECE) * PAGE_SIZE;
}

static bool model_may_grant(const struct model *m, unsigned int at, unsigned int from,
			    unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		if (at + i >= PAGES || m->grant[at + i] >= 0 || !model_ram(m, from + i))
			return false;
	return true;
}

static void model_release(struct model *m, int grant)
{
	for (unsigned int i = 0; i < PAGES; i++) {
		if (m->grant[i] != grant)
			continue;
		m->grant[i] = -1;
		m->to[i] = NULL;
	}
}

/* Number of pages of the grant that begins at this page; 0: none does. */
static unsigned int model_len(const struct model *m, unsigned int at)
{
	unsigned int nr = 0;

	while (at + nr < PAGES && m->grant[at + nr] == (int)at)
		nr++;
	return nr;
}

static void model_compare(const struct model *m)
{
	bool seen[PAGES] = { false };

	for (unsigned int i = 0; i < m->vfio.nr_mappings; i++) {
		const struct fake_vfio_mapping *map = &m->vfio.mapping[i];

		for (uint64_t at = 0; at < map->size; at += PAGE_SIZE) {
			uint64_t page = (map->iova + at) / PAGE_SIZE;

			assert_true(page < PAGES);
			assert_false(seen[page]);
			seen[page] = true;
			assert_true(m->grant[page] >= 0);
			assert_ptr_equal((uint8_t *)(uintptr_t)(map->vaddr + at), m->to[page]);
			assert_int_equal(map->flags, m->prot[page]);
		}
	}
	for (unsigned int i = 0; i < PAGES; i++)
		assert_int_equal(seen[i], m->grant[i] >= 0);
}

static void step_grant(struct model *m)
{
	unsigned int at = roll(m, PAGES), from = roll(m, PAGES + 4), nr = roll(m, 24);
	unsigned int prot = roll(m, 4);
	bool may = nr && prot && model_may_grant(m, at, from, nr);
	int err = dma_map(m->space, iova(at * PAGE_SIZE), gpa(from * PAGE_SIZE), nr * PAGE_SIZE,
			  prot, NULL);

	/* The address space of the fake ends with the model's. */
	assert_int_equal(!err, may);
	for (unsigned int i = 0; !err && i < nr; i++) {
		m->to[at + i] = model_ram(m, from + i);
		m->prot[at + i] = prot;
		m->grant[at + i] = (int)at;
		m->from[at + i] = from + i;
	}
}

static void step_release(struct model *m)
{
	unsigned int at = roll(m, PAGES), nr = model_len(m, at);
	unsigned int ask = roll(m, 4) ? nr : 1 + roll(m, 24);
	int err = dma_unmap(m->space, iova(at * PAGE_SIZE), ask * PAGE_SIZE);

	assert_int_equal(!err, nr && ask == nr);
	if (!err)
		model_release(m, (int)at);
}

static void step_release_range(struct model *m)
{
	unsigned int at = roll(m, PAGES), nr = 1 + roll(m, PAGES - at);
	bool cuts =
		(m->grant[at] >= 0 && m->grant[at] != (int)at) ||
		(at + nr < PAGES && m->grant[at + nr] >= 0 && m->grant[at + nr] != (int)(at + nr));
	int err = dma_unmap_range(m->space, range_of(at * PAGE_SIZE, nr * PAGE_SIZE));

	assert_int_equal(err, cuts ? -EBUSY : 0);
	for (unsigned int i = at; !err && i < at + nr; i++)
		if (m->grant[i] >= 0)
			model_release(m, m->grant[i]);
}

static void step_ram(struct model *m)
{
	struct ram_listener *l = dma_space_listener(m->space);
	unsigned int piece = roll(m, PIECES);
	struct range r = range_of(piece * PIECE * PAGE_SIZE, PIECE * PAGE_SIZE);

	if (!m->there[piece]) {
		assert_int_equal(l->add(l->opaque, r, m->hva[piece]), 0);
		m->there[piece] = true;
		return;
	}
	assert_int_equal(l->add(l->opaque, r, m->hva[piece]), -EEXIST);
	l->remove(l->opaque, r, m->hva[piece]);
	m->there[piece] = false;
	for (unsigned int i = 0; i < PAGES; i++)
		if (m->grant[i] >= 0 && m->from[i] / PIECE == piece)
			model_release(m, m->grant[i]);
}

static void model_init(struct model *m, uint32_t seed)
{
	static const unsigned int order[PIECES] = { 0, 1, 3, 2 };
	const struct dma_space_config config = {
		.name = "vfio", .sys = &m->vfio.sys, .ops = &dma_type1_ops, .backend = &m->type1
	};
	struct sys *sys = &m->vfio.sys;

	memset(m, 0, sizeof(*m));
	m->seed = seed;
	memset(m->grant, 0xff, sizeof(m->grant));
	fake_vfio_init(&m->vfio);
	m->vfio.nr_windows = 1;
	m->vfio.windows[0] = range_of(0, PAGES * PAGE_SIZE);
	fake_vfio_add(&m->vfio, "0000:01:00.0", 1);
	m->container = sys_open(sys, SYS_VFIO_CONTAINER, NULL);
	m->group = sys_open(sys, SYS_VFIO_GROUP, "1");
	assert_int_equal(sys_ioctl(sys, m->group, VFIO_GROUP_SET_CONTAINER, &m->container), 0);
	assert_int_equal(sys_ioctl_value(sys, m->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), 0);
	m->type1 = (struct dma_type1){ sys, m->container };
	m->ram = aligned_alloc(PAGE_SIZE, PAGES * PAGE_SIZE);
	assert_non_null(m->ram);
	for (unsigned int i = 0; i < PIECES; i++)
		m->hva[i] = m->ram + order[i] * PIECE * PAGE_SIZE;
	assert_int_equal(dma_space_create(&config, &m->space, NULL), 0);
}

static void model_fini(struct model *m)
{
	struct sys *sys = &m->vfio.sys;

	dma_space_destroy(m->space);
	assert_int_equal(m->vfio.nr_mappings, 0);
	sys_close(sys, &m->group);
	sys_close(sys, &m->container);
	fake_vfio_fini(&m->vfio);
	free(m->ram);
}

static void the_kernels_mappings_are_the_grants_and_nothing_else(void **state)
{
	static struct model m;

	for (uint32_t seed = 1; seed <= 4; seed++) {
		model_init(&m, seed);
		for (unsigned int i = 0; i < STEPS; i++) {
			switch (roll(&m, 16)) {
			case 0:
				step_ram(&m);
				break;
			case 1:
				step_release_range(&m);
				break;
			case 2 ... 6:
				step_release(&m);
				break;
			default:
				step_grant(&m);
			}
			model_compare(&m);
		}
		model_fini(&m);
	}
}

static void a_kernel_that_fails_now_and_then_changes_nothing_but_the_answer(void **state)
{
	static struct model m;
	unsigned int failures = 0;

	model_init(&m, 7);
	m.vfio.fail_err = -EFAULT;
	for (unsigned int i = 0; i < PIECES; i++) {
		struct ram_listener *l = dma_space_listener(m.space);

		assert_int_equal(l->add(l->opaque,
					range_of(i * PIECE * PAGE_SIZE, PIECE * PAGE_SIZE),
					m.hva[i]),
				 0);
		m.there[i] = true;
	}
	for (unsigned int i = 0; i < STEPS; i++) {
		unsigned int at = roll(&m, PAGES), from = roll(&m, PAGES), nr = 1 + roll(&m, 40);

		m.vfio.nr_calls = 0;
		m.vfio.fail_at = 1 + roll(&m, MAX_RUNS);
		if (!model_may_grant(&m, at, from, nr))
			continue;
		if (dma_map(m.space, iova(at * PAGE_SIZE), gpa(from * PAGE_SIZE), nr * PAGE_SIZE,
			    DMA_READ, NULL)) {
			failures++;
			/* Nothing was there before, so nothing is. */
			model_compare(&m);
		}
		assert_int_equal(dma_unmap_range(m.space, range_of(0, PAGES * PAGE_SIZE)), 0);
	}
	assert_true(failures > STEPS / 50);
	model_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernels_mappings_are_the_grants_and_nothing_else),
		cmocka_unit_test(a_kernel_that_fails_now_and_then_changes_nothing_but_the_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
