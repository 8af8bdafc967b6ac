// SPDX-License-Identifier: GPL-2.0-or-later
#include "iommu/table.h"

#include <stdlib.h>

#include "base/bug.h"

/*
 * Tables come from blocks aligned to their size, whose first page keeps the books: the number of
 * live entries of each table in the block, found by masking the table's address.
 */
#define BLOCK_SIZE   KIB(64)
#define BLOCK_TABLES (BLOCK_SIZE / PAGE_SIZE - 1)

/* Host addresses fit here: user space of 47 bits. A window cannot begin at a null pointer. */
#define HOST_FIRST PAGE_SIZE
#define HOST_SIZE  (BIT64(47) - HOST_FIRST)

struct block {
	struct block *next;
	/* [0] unused: tables begin at the second page. */
	uint16_t live[BLOCK_TABLES + 1];
	/* Tables out of the tree but maybe still walked: no link may stand in the table itself. */
	uint64_t *limbo_next[BLOCK_TABLES + 1];
};

struct table {
	struct pt_format format;
	struct iommu_mem mem;
	uint64_t *root;
	struct block *blocks;
	unsigned int fresh; /* tables of the first block never used yet */
	uint64_t *free;	    /* zeroed tables, linked through their first word */
	uint64_t *limbo;
	uint64_t nr, nr_max;
};

static struct block *table_block(uint64_t *entries, unsigned int *index)
{
	uintptr_t addr = (uintptr_t)entries;

	*index = (unsigned int)((addr & (BLOCK_SIZE - 1)) >> PAGE_SHIFT);
	return (struct block *)(addr & ~(uintptr_t)(BLOCK_SIZE - 1));
}

/* How many entries of a table are not zero. */
static uint16_t *table_live(uint64_t *entries)
{
	unsigned int i;
	struct block *block = table_block(entries, &i);

	return &block->live[i];
}

static uint64_t table_addr(const uint64_t *entries)
{
	return (uint64_t)(uintptr_t)entries;
}

static uint64_t *table_below(const struct table *t, uint64_t entry)
{
	return (uint64_t *)(uintptr_t)pt_address(t->format.kind, &t->format, entry);
}

/* A zeroed table, not yet in the tree, or NULL. */
static uint64_t *table_take(struct table *t)
{
	uint64_t *entries = t->free;

	if (t->nr == t->nr_max)
		return NULL;
	if (entries) {
		t->free = (uint64_t *)(uintptr_t)entries[0];
		entries[0] = 0;
	} else {
		if (!t->fresh) {
			struct block *block = aligned_alloc(BLOCK_SIZE, BLOCK_SIZE);

			if (!block)
				return NULL;
			memset(block, 0, BLOCK_SIZE);
			block->next = t->blocks;
			t->blocks = block;
			t->fresh = BLOCK_TABLES;
		}
		entries = (uint64_t *)((uint8_t *)t->blocks +
				       PAGE_SIZE * (BLOCK_TABLES + 1 - t->fresh--));
	}
	*table_live(entries) = 0;
	t->nr++;
	return entries;
}

/* Never was in the tree, or no walker can be in it: all its entries are zero. */
static void table_put(struct table *t, uint64_t *entries)
{
	entries[0] = (uint64_t)(uintptr_t)t->free;
	t->free = entries;
	t->nr--;
}

static void entry_set(uint64_t *entry, uint64_t value)
{
	__atomic_store_n(entry, htole64(value), __ATOMIC_RELEASE);
}

/* The writer's own reading: nobody else stores, but for accessed and dirty bits. */
static uint64_t entry_get(const uint64_t *entry)
{
	return le64toh(__atomic_load_n(entry, __ATOMIC_RELAXED));
}

static unsigned int entry_index(uint64_t iova, unsigned int level)
{
	return (unsigned int)(iova >> PT_LEVEL_LG2(level)) & (PT_ENTRIES - 1);
}

int table_create(const struct pt_format *format, uint64_t nr_tables_max, struct table **table)
{
	struct table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->format = *format;
	/* Table addresses are the host's here, whatever the guest's width. */
	t->format.addr_mask = GENMASK64(51, 12);
	for (unsigned int level = 1; level <= PT_LEVELS_MAX; level++)
		t->format.rsvd_table[level] &= ~t->format.addr_mask;
	t->nr_max = nr_tables_max;
	t->mem = (struct iommu_mem){
		.nr_windows = 1,
		.windows[0] = { HOST_FIRST, HOST_SIZE, (uint8_t *)(uintptr_t)HOST_FIRST },
	};
	t->root = table_take(t);
	if (!t->root) {
		free(t);
		return -ENOMEM;
	}
	*table = t;
	return 0;
}

void table_destroy(struct table *t)
{
	if (!t)
		return;
	while (t->blocks) {
		struct block *block = t->blocks;

		t->blocks = block->next;
		free(block);
	}
	free(t);
}

const struct pt_format *table_format(const struct table *t)
{
	return &t->format;
}

uint64_t table_root(const struct table *t)
{
	return table_addr(t->root);
}

const struct iommu_mem *table_mem(const struct table *t)
{
	return &t->mem;
}

uint64_t table_count(const struct table *t)
{
	return t->nr;
}

static int table_check(const struct table *t, uint64_t iova, uint64_t addr, uint64_t len,
		       struct range *range)
{
	unsigned int width = t->format.width;
	int err;

	if (!is_aligned(iova | addr | len, PAGE_SIZE))
		return -EINVAL;
	err = range_make(iova, len, range);
	if (err)
		return err == -EINVAL ? -EINVAL : -ERANGE;
	if (width < 64 && range->last >> width)
		return -ERANGE;
	return 0;
}

/* The last address that the entry holding iova maps. */
static uint64_t entry_last(uint64_t iova, unsigned int level)
{
	return iova | ((1ull << PT_LEVEL_LG2(level)) - 1);
}

static bool leaf_fits(const struct pt_format *f, unsigned int level, uint64_t iova, uint64_t addr,
		      uint64_t last)
{
	uint64_t mask = (1ull << PT_LEVEL_LG2(level)) - 1;

	return (f->leaf_levels & BIT(level)) && !((iova | addr) & mask) && last - iova >= mask;
}

/*
 * Maps [*iova, last] in this table and below; *iova moves on over what is done, so that a caller
 * that fails knows what to undo.
 */
static int map_level(struct table *t, uint64_t *entries, unsigned int level, uint64_t *iova,
		     uint64_t *addr, uint64_t last, unsigned int access)
{
	enum pt_kind kind = t->format.kind;
	uint16_t *live = table_live(entries);

	if (level == 1) {
		unsigned int i = entry_index(*iova, 1);
		uint64_t left = ((last - *iova) >> PAGE_SHIFT) + 1;
		unsigned int end = i + (unsigned int)min_u64(left, PT_ENTRIES - i);

		for (; i < end; i++, *iova += PAGE_SIZE, *addr += PAGE_SIZE) {
			if (unlikely(entry_get(&entries[i])))
				return -EEXIST;
			entry_set(&entries[i], pt_make_leaf(kind, 1, *addr, access));
			++*live;
		}
		return 0;
	}

	for (;;) {
		uint64_t *slot = &entries[entry_index(*iova, level)];
		uint64_t entry = entry_get(slot), end = min_u64(entry_last(*iova, level), last);
		uint64_t *below;
		int err;

		if (leaf_fits(&t->format, level, *iova, *addr, last)) {
			if (entry)
				return -EEXIST;
			entry_set(slot, pt_make_leaf(kind, level, *addr, access));
			++*live;
			*addr += 1ull << PT_LEVEL_LG2(level);
			*iova = end + 1;
		} else {
			bool fresh = !entry;

			if (fresh) {
				below = table_take(t);
				if (!below)
					return -ENOMEM;
			} else if (pt_is_leaf(kind, level, entry)) {
				return -EEXIST;
			} else {
				below = table_below(t, entry);
			}
			err = map_level(t, below, level - 1, iova, addr, end, access);
			if (fresh && *table_live(below)) {
				/* Whole when it appears: walkers see all of it or nothing. */
				entry_set(slot, pt_make_table(kind, level, table_addr(below)));
				++*live;
			} else if (fresh) {
				table_put(t, below);
			}
			if (err)
				return err;
		}
		if (end == last)
			return 0;
		if (!entry_index(*iova, level))
			return 0;
	}
}

int table_map(struct table *t, uint64_t iova, uint64_t addr, uint64_t len, unsigned int access)
{
	uint64_t at = iova, to = addr;
	struct range range;
	int err = table_check(t, iova, addr, len, &range);

	if (err)
		return err;
	/* First-stage has no page that may be written but not read: never grant more than asked. */
	if (!access ||
	    pt_access(t->format.kind, pt_make_leaf(t->format.kind, 1, 0, access)) != access ||
	    (addr + len - 1) & ~(GENMASK64(51, 0)) || addr + len - 1 < addr)
		return -EINVAL;
	err = map_level(t, t->root, t->format.levels, &at, &to, range.last, access);
	if (err && at != iova) {
		/* What was mapped is whole pages of ours: taking it back splits nothing. */
		int undo = table_unmap(t, iova, at - iova, NULL);

		BUG_ON(undo);
	}
	return err;
}

/*
 * Makes a page boundary at `at`: replaces each leaf that straddles it by a table of the next smaller
 * size, equal in every translation. 0 or -ENOMEM.
 */
static int split_at(struct table *t, uint64_t at)
{
	enum pt_kind kind = t->format.kind;
	uint64_t *entries = t->root;

	for (unsigned int level = t->format.levels; level > 1; level--) {
		uint64_t *slot = &entries[entry_index(at, level)];
		uint64_t entry = entry_get(slot), size = 1ull << PT_LEVEL_LG2(level - 1);
		uint64_t base, *below;

		if (is_aligned(at, 1ull << PT_LEVEL_LG2(level)) || !entry)
			return 0;
		if (!pt_is_leaf(kind, level, entry)) {
			entries = table_below(t, entry);
			continue;
		}
		below = table_take(t);
		if (!below)
			return -ENOMEM;
		base = pt_address(kind, &t->format, entry) & ~((1ull << PT_LEVEL_LG2(level)) - 1);
		for (unsigned int i = 0; i < PT_ENTRIES; i++)
			entry_set(&below[i], pt_make_leaf(kind, level - 1, base + i * size,
							  pt_access(kind, entry)));
		*table_live(below) = PT_ENTRIES;
		entry_set(slot, pt_make_table(kind, level, table_addr(below)));
		entries = below;
	}
	return 0;
}

/* Out of the tree, but a walker may still be inside: kept whole until reclaim. */
static void table_retire(struct table *t, uint64_t *entries)
{
	unsigned int i;
	struct block *block = table_block(entries, &i);

	block->limbo_next[i] = t->limbo;
	t->limbo = entries;
}

static uint64_t unmap_level(struct table *t, uint64_t *entries, unsigned int level, uint64_t iova,
			    uint64_t last)
{
	enum pt_kind kind = t->format.kind;
	uint16_t *live = table_live(entries);
	uint64_t done = 0;

	for (;;) {
		uint64_t *slot = &entries[entry_index(iova, level)];
		uint64_t entry = entry_get(slot), end = min_u64(entry_last(iova, level), last);

		if (!entry) {
			/* nothing here */
		} else if (level == 1 || pt_is_leaf(kind, level, entry)) {
			entry_set(slot, 0);
			--*live;
			done += 1ull << PT_LEVEL_LG2(level);
		} else {
			uint64_t *below = table_below(t, entry);

			done += unmap_level(t, below, level - 1, iova, end);
			if (!*table_live(below)) {
				entry_set(slot, 0);
				--*live;
				table_retire(t, below);
			}
		}
		if (end == last)
			return done;
		iova = end + 1;
		if (!entry_index(iova, level))
			return done;
	}
}

int table_unmap(struct table *t, uint64_t iova, uint64_t len, uint64_t *unmapped)
{
	struct range range;
	uint64_t done;
	int err = table_check(t, iova, 0, len, &range);

	if (err)
		return err;
	err = split_at(t, iova);
	if (!err && range.last != UINT64_MAX &&
	    !(t->format.width < 64 && (range.last + 1) >> t->format.width))
		err = split_at(t, range.last + 1);
	if (err)
		return err;
	done = unmap_level(t, t->root, t->format.levels, iova, range.last);
	if (unmapped)
		*unmapped = done;
	return 0;
}

void table_reclaim(struct table *t)
{
	while (t->limbo) {
		uint64_t *entries = t->limbo;
		unsigned int i;
		struct block *block = table_block(entries, &i);

		t->limbo = block->limbo_next[i];
		table_put(t, entries);
	}
}
