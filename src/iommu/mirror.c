// SPDX-License-Identifier: GPL-2.0-or-later
#include "iommu/mirror.h"

#include <stdlib.h>

#include "base/bug.h"
#include "iommu/table.h"
#include "iommu/walk.h"

#define MIRROR_LEVELS 5
#define MIRROR_LAST   (BIT64(57) - 1)

struct mirror {
	struct table *table;
};

int mirror_create(uint64_t nr_tables, struct mirror **out)
{
	struct mirror *m = malloc(sizeof(*m));
	struct pt_format f;

	if (!m)
		return -ENOMEM;
	pt_format_vtd_ss(&f, MIRROR_LEVELS, 52, PT_LEAF_1G, false, false);
	if (table_create(&f, nr_tables, &m->table)) {
		free(m);
		return -ENOMEM;
	}
	*out = m;
	return 0;
}

void mirror_destroy(struct mirror *m)
{
	if (!m)
		return;
	table_destroy(m->table);
	free(m);
}

void mirror_drop(struct mirror *m)
{
	/* All of it: nothing is split, so it cannot fail. */
	BUG_ON(table_unmap(m->table, 0, MIRROR_LAST + 1, NULL));
	table_reclaim(m->table);
}

/* As mirror_leaf_fn, of what the listener was told. */
static bool mirror_told(const struct mirror *m, uint64_t iova, struct iommu_page *page)
{
	struct walk w;
	bool ok = walk(table_mem(m->table), table_format(m->table), table_root(m->table), iova, 0,
		       &w);

	*page = (struct iommu_page){ w.page, ok ? w.page_lg2 : (uint8_t)PT_LEVEL_LG2(w.level),
				     w.access, false };
	return ok;
}

static uint64_t page_last(uint64_t iova, const struct iommu_page *page)
{
	return iova | ((1ull << page->lg2) - 1);
}

static uint64_t page_first(uint64_t iova, const struct iommu_page *page)
{
	return iova & ~((1ull << page->lg2) - 1);
}

static int mirror_unmap(struct mirror *m, const struct iommu_listener *l, uint64_t iova,
			const struct iommu_page *page)
{
	uint64_t first = page_first(iova, page), len = 1ull << page->lg2;
	int err;

	l->unmap(l->opaque, first, len);
	err = table_unmap(m->table, first, len, NULL);
	table_reclaim(m->table);
	return err;
}

static int mirror_map(struct mirror *m, const struct iommu_listener *l, uint64_t iova,
		      const struct iommu_page *page)
{
	uint64_t first = page_first(iova, page), len = 1ull << page->lg2;
	int err = table_map(m->table, first, page->addr, len, page->access);

	if (err)
		return err;
	err = l->map(l->opaque, first, gpa(page->addr), len, page->access);
	if (err)
		BUG_ON(table_unmap(m->table, first, len, NULL));
	return err;
}

static bool page_same(const struct iommu_page *a, const struct iommu_page *b)
{
	return a->addr == b->addr && a->lg2 == b->lg2 && a->access == b->access;
}

/*
 * Two sweeps: what is gone goes first, so that what comes finds the room free and the listener's
 * limit is not hit by what is on its way out.
 */
static int mirror_sweep(struct mirror *m, const struct iommu_listener *l, uint64_t first,
			uint64_t last, mirror_leaf_fn leaf, void *opaque, bool map,
			unsigned int *steps)
{
	for (uint64_t at = first;; (*steps)++) {
		struct iommu_page now, told;
		bool is = leaf(opaque, at, &now), was;
		uint64_t end;
		int err = 0;

		if (*steps > MIRROR_STEPS)
			return -E2BIG;
		was = mirror_told(m, at, &told);
		if (!map && was && (!is || !page_same(&now, &told))) {
			/* A smaller page may have taken the place of part of it: judged anew. */
			err = mirror_unmap(m, l, at, &told);
			end = page_last(at, &told);
		} else if (map && is && !was) {
			err = mirror_map(m, l, at, &now);
			end = page_last(at, &now);
		} else if (!map && !was) {
			end = page_last(at, &told);
		} else {
			end = min_u64(page_last(at, &now), was ? page_last(at, &told) : UINT64_MAX);
		}
		if (err)
			return err;
		if (end >= last)
			return 0;
		at = end + 1;
	}
}

int mirror_sync(struct mirror *m, const struct iommu_listener *listener, uint64_t first,
		uint64_t last, mirror_leaf_fn leaf, void *opaque)
{
	unsigned int steps = 0;
	int err;

	if (first > MIRROR_LAST)
		return 0;
	last = min_u64(last, MIRROR_LAST);
	err = mirror_sweep(m, listener, first, last, leaf, opaque, false, &steps);
	return err ?: mirror_sweep(m, listener, first, last, leaf, opaque, true, &steps);
}
