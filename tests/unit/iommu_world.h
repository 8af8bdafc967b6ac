/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's memory for tests of the remapping unit, and tables built in it by hand: written from the
 * specification and sharing nothing with the code under test.
 */
#ifndef AIRLOCK_TESTS_UNIT_IOMMU_WORLD_H
#define AIRLOCK_TESTS_UNIT_IOMMU_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "iommu/mem.h"

#define WORLD_BASE MIB(1)
#define WORLD_SIZE MIB(16)

struct world {
	uint8_t *ram; /* [WORLD_BASE, WORLD_BASE + WORLD_SIZE) */
	uint64_t next;
	struct iommu_mem mem;
};

static inline void world_init(struct world *w)
{
	w->ram = aligned_alloc(PAGE_SIZE, WORLD_SIZE);
	assert_non_null(w->ram);
	memset(w->ram, 0, WORLD_SIZE);
	w->next = WORLD_BASE;
	w->mem = (struct iommu_mem){
		.nr_windows = 1,
		.windows[0] = { WORLD_BASE, WORLD_SIZE, w->ram },
	};
}

static inline void world_fini(struct world *w)
{
	free(w->ram);
}

static inline uint64_t *world_at(struct world *w, uint64_t addr)
{
	return (uint64_t *)(void *)(w->ram + (addr - WORLD_BASE));
}

static inline uint64_t world_get(struct world *w, uint64_t addr)
{
	return __atomic_load_n(world_at(w, addr), __ATOMIC_ACQUIRE);
}

static inline void world_set(struct world *w, uint64_t addr, uint64_t value)
{
	__atomic_store_n(world_at(w, addr), value, __ATOMIC_RELEASE);
}

/* nr zeroed pages in a row. */
static inline uint64_t world_pages(struct world *w, unsigned int nr)
{
	uint64_t addr = w->next;

	w->next += nr * PAGE_SIZE;
	assert_true(w->next <= WORLD_BASE + WORLD_SIZE);
	return addr;
}

static inline uint64_t world_page(struct world *w)
{
	return world_pages(w, 1);
}

/*
 * Address of the entry of `level` for iova in the table of `levels` at root; tables missing on the
 * way are made with `flags`, and an AMD entry's next level with next = true.
 */
static inline uint64_t world_entry(struct world *w, uint64_t root, unsigned int levels,
				   unsigned int level, uint64_t iova, uint64_t flags, bool amd)
{
	uint64_t table = root;

	for (unsigned int at = levels;; at--) {
		uint64_t slot = table + 8 * ((iova >> (12 + 9 * (at - 1))) & 511);
		uint64_t entry;

		if (at == level)
			return slot;
		entry = world_get(w, slot);
		if (!(entry & 0xffffffffff000)) {
			entry = world_page(w) | flags | (amd ? (uint64_t)(at - 1) << 9 : 0);
			world_set(w, slot, entry);
		}
		table = entry & 0xffffffffff000;
	}
}

/* Second-stage: rights R = 1, W = 2. */
static inline uint64_t world_ss(struct world *w, uint64_t root, unsigned int levels,
				unsigned int level, uint64_t iova, uint64_t entry)
{
	uint64_t slot = world_entry(w, root, levels, level, iova, 3, false);

	world_set(w, slot, entry);
	return slot;
}

/* First-stage: present, writable, user = 7. */
static inline uint64_t world_fs(struct world *w, uint64_t root, unsigned int levels,
				unsigned int level, uint64_t iova, uint64_t entry)
{
	uint64_t slot = world_entry(w, root, levels, level, iova, 7, false);

	world_set(w, slot, entry);
	return slot;
}

#endif
