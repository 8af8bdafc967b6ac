// SPDX-License-Identifier: GPL-2.0-or-later
#include "iommu/walk.h"

/* Attempts to set a bit in an entry that changes under us, before we call it a failure. */
#define WALK_UPDATE_TRIES 8

#define ALWAYS_INLINE	  inline __attribute__((always_inline))

/* First-stage addresses are sign-extended; the others zero-extended (3.6, 3.7). */
static ALWAYS_INLINE bool walk_in_width(enum pt_kind kind, const struct pt_format *f, uint64_t iova)
{
	if (kind == PT_VTD_FS) {
		int64_t top = (int64_t)iova >> (f->width - 1);

		return top == 0 || top == -1;
	}
	return f->width == 64 || !(iova >> f->width);
}

static ALWAYS_INLINE unsigned int walk_index(uint64_t iova, unsigned int level)
{
	return (unsigned int)(iova >> PT_LEVEL_LG2(level)) & (PT_ENTRIES - 1);
}

static ALWAYS_INLINE uint64_t walk_page_mask(unsigned int lg2)
{
	return ~((1ull << lg2) - 1);
}

/*
 * Sets accessed (and on a leaf that is written, dirty) in the entry at addr, which was read as
 * *entry. The update is atomic on what was read: when the entry changed meanwhile, it is judged
 * anew by the caller.
 */
static int walk_mark(const struct iommu_mem *mem, uint64_t addr, uint64_t *entry, uint64_t bits)
{
	if ((*entry & bits) == bits)
		return 0;
	return iommu_mem_cmpxchg64(mem, addr, entry, *entry | bits);
}

static ALWAYS_INLINE uint64_t walk_mark_bits(enum pt_kind kind, bool leaf, unsigned int need)
{
	bool dirty = leaf && (need & IOMMU_WRITE);

	if (kind == PT_VTD_FS)
		return VTD_FS_ACCESSED | (dirty ? VTD_FS_DIRTY : 0);
	return VTD_SS_ACCESSED | (dirty ? VTD_SS_DIRTY : 0);
}

/* Where the leaf's dirty bit stands. Formats that do not track it need no second walk to write. */
static ALWAYS_INLINE bool walk_is_dirty(enum pt_kind kind, const struct pt_format *f,
					uint64_t entry)
{
	if (!f->track_dirty)
		return true;
	return entry & (kind == PT_VTD_FS ? VTD_FS_DIRTY : VTD_SS_DIRTY);
}

/*
 * Judges an entry of `level` that was read: WALK_OK for a table to go on with or a leaf to end at.
 * The rights are gathered before the verdict on them, which is the leaf's.
 */
static ALWAYS_INLINE enum walk_status walk_judge(enum pt_kind kind, const struct pt_format *f,
						 unsigned int level, uint64_t entry, bool *leaf,
						 unsigned int *access)
{
	if (unlikely(!pt_present(kind, entry)))
		return WALK_ABSENT;
	*leaf = pt_is_leaf(kind, level, entry);
	if (unlikely(entry & pt_reserved(f, level, *leaf)))
		return WALK_RESERVED;
	if (kind == PT_VTD_FS && unlikely(!(entry & VTD_FS_US)))
		return WALK_PRIVILEGE;
	*access &= pt_access(kind, entry);
	/* Second-stage: read and write taken away on the way is as absent as an entry of zero. */
	if (kind == PT_VTD_SS && unlikely(!*access))
		return WALK_ABSENT;
	if (*leaf && unlikely(!pt_leaf_lg2(kind, level, entry)))
		return WALK_RESERVED;
	return WALK_OK;
}

static ALWAYS_INLINE bool walk_finish(enum pt_kind kind, const struct pt_format *f,
				      unsigned int level, uint64_t entry, unsigned int access,
				      uint64_t iova, unsigned int need, struct walk *w)
{
	unsigned int lg2 = pt_leaf_lg2(kind, level, entry);

	w->level = (uint8_t)level;
	w->entry = entry;
	w->page_lg2 = (uint8_t)lg2;
	w->access = (uint8_t)access;
	w->page = pt_address(kind, f, entry) & walk_page_mask(lg2);
	w->snoop = pt_snoop(kind, f, entry);
	w->dirty = walk_is_dirty(kind, f, entry);
	w->status = likely((access & need) == need) ? WALK_OK : WALK_DENIED;
	return w->status == WALK_OK;
}

static ALWAYS_INLINE bool walk_stop(struct walk *w, enum walk_status status, unsigned int level,
				    uint64_t entry)
{
	w->status = status;
	w->level = (uint8_t)level;
	w->entry = entry;
	return false;
}

static ALWAYS_INLINE bool walk_levels(const enum pt_kind kind, const struct iommu_mem *mem,
				      const struct pt_format *f, uint64_t table, unsigned int level,
				      unsigned int access, uint64_t iova, unsigned int need,
				      struct walk *w)
{
	for (;;) {
		uint64_t addr = table + 8 * walk_index(iova, level);
		unsigned int gathered, tries = 0, next;
		enum walk_status status;
		bool leaf = false;
		uint64_t entry;

		if (unlikely(iommu_mem_load64(mem, addr, &entry)))
			return walk_stop(w, WALK_LOST, level, 0);
	again:
		gathered = access;
		status = walk_judge(kind, f, level, entry, &leaf, &gathered);
		if (unlikely(status != WALK_OK))
			return walk_stop(w, status, level, entry);
		/* A refused access marks nothing: the bits tell of accesses that happened. */
		if (kind != PT_AMD_V1 && f->track_dirty && (gathered & need) == need) {
			int err = walk_mark(mem, addr, &entry, walk_mark_bits(kind, leaf, need));

			if (err == -EAGAIN && ++tries < WALK_UPDATE_TRIES)
				goto again;
			if (unlikely(err))
				return walk_stop(w, WALK_UPDATE, level, entry);
			entry |= walk_mark_bits(kind, leaf, need);
		}
		w->above = (uint8_t)access;
		access = gathered;
		w->table = table;
		if (leaf)
			return walk_finish(kind, f, level, entry, access, iova, need, w);
		next = pt_next_level(kind, level, entry);
		if (kind == PT_AMD_V1) {
			/* Levels skipped: the address bits they would have decoded must be zero. */
			uint64_t skipped;

			if (unlikely(!next))
				return walk_stop(w, WALK_RESERVED, level, entry);
			skipped = iova & ~walk_page_mask(PT_LEVEL_LG2(level)) &
				  walk_page_mask(PT_LEVEL_LG2(next + 1));
			if (unlikely(skipped))
				return walk_stop(w, WALK_ABSENT, level, entry);
		}
		table = pt_address(kind, f, entry);
		level = next;
	}
}

bool walk_from(const struct iommu_mem *mem, const struct pt_format *f, uint64_t table,
	       unsigned int level, unsigned int access, uint64_t iova, unsigned int need,
	       struct walk *w)
{
	switch (f->kind) {
	case PT_VTD_SS:
		return walk_levels(PT_VTD_SS, mem, f, table, level, access, iova, need, w);
	case PT_VTD_FS:
		return walk_levels(PT_VTD_FS, mem, f, table, level, access, iova, need, w);
	case PT_AMD_V1:
	default:
		return walk_levels(PT_AMD_V1, mem, f, table, level, access, iova, need, w);
	}
}

bool walk(const struct iommu_mem *mem, const struct pt_format *f, uint64_t root, uint64_t iova,
	  unsigned int need, struct walk *w)
{
	w->second = false;
	if (unlikely(!walk_in_width(f->kind, f, iova)))
		return walk_stop(w, WALK_WIDTH, f->levels + 1u, 0);
	return walk_from(mem, f, root, f->levels, IOMMU_READ | IOMMU_WRITE, iova, need, w);
}

/* Where the second stage's last walk ended: tables of a first stage tend to lie together. */
struct nearby {
	uint64_t piece, table; /* 2 MiB of input, and the level 1 table that maps them; ~0: none */
	unsigned int above;
};

/* One address of the first stage through the second. Fills w's second_ fields on refusal. */
static ALWAYS_INLINE bool walk_second(const struct iommu_mem *mem, const struct pt_format *second,
				      uint64_t root, uint64_t input, unsigned int need, bool final,
				      struct nearby *near, struct walk *inner, struct walk *w)
{
	uint64_t table = root;
	unsigned int level = second->levels, above = IOMMU_READ | IOMMU_WRITE;

	if (input >> PT_LEVEL_LG2(2) == near->piece) {
		table = near->table;
		above = near->above;
		level = 1;
	}
	inner->status = WALK_WIDTH;
	inner->level = second->levels + 1;
	inner->access = 0;
	/* Second stages are of this one kind: known here, the walk is compiled into its caller. */
	if (likely(walk_in_width(PT_VTD_SS, second, input)) &&
	    likely(walk_levels(PT_VTD_SS, mem, second, table, level, above, input, need, inner))) {
		if (inner->level == 1)
			*near = (struct nearby){ input >> PT_LEVEL_LG2(2), inner->table,
						 inner->above };
		return true;
	}
	w->second = true;
	w->second_final = final;
	w->second_input = input;
	w->second_status = inner->status;
	w->second_level = inner->level;
	w->second_need = (uint8_t)need;
	w->access = inner->access;
	w->status = inner->status;
	return false;
}

bool walk_nested(const struct iommu_mem *mem, const struct pt_format *first, uint64_t first_root,
		 const struct pt_format *second, uint64_t second_root, uint64_t iova,
		 unsigned int need, struct walk *w)
{
	uint64_t table = first_root;
	unsigned int access = IOMMU_READ | IOMMU_WRITE, level = first->levels;
	struct nearby near = { .piece = ~0ull };
	struct walk inner, leaf;

	w->second = false;
	if (unlikely(!walk_in_width(first->kind, first, iova)))
		return walk_stop(w, WALK_WIDTH, level + 1u, 0);
	/*
	 * One level at a time: the table's address through the second stage, then one entry read
	 * there. A first-stage table is written when its accessed bits are, so it needs that right
	 * too (3.6.2).
	 */
	for (;; level--) {
		unsigned int gathered, tries = 0;
		uint64_t bits, entry, host, addr = table + 8 * walk_index(iova, level);
		enum walk_status status;
		bool is_leaf = false;
		int err;

		w->level = (uint8_t)level;
		if (!walk_second(mem, second, second_root, addr, IOMMU_READ, false, &near, &inner,
				 w))
			return false;
		host = inner.page | (addr & ~walk_page_mask(inner.page_lg2));
		w->table = host - 8 * walk_index(iova, level);
		w->table_writable = inner.access & IOMMU_WRITE;
		if (unlikely(iommu_mem_load64(mem, host, &entry)))
			return walk_stop(w, WALK_LOST, level, 0);
	again:
		gathered = access;
		status = walk_judge(PT_VTD_FS, first, level, entry, &is_leaf, &gathered);
		if (unlikely(status != WALK_OK))
			return walk_stop(w, status, level, entry);
		bits = walk_mark_bits(PT_VTD_FS, is_leaf, need);
		if ((gathered & need) == need && (entry & bits) != bits) {
			if (!walk_second(mem, second, second_root, addr, IOMMU_READ | IOMMU_WRITE,
					 false, &near, &inner, w))
				return false;
			err = walk_mark(mem, host, &entry, bits);
			if (err == -EAGAIN && ++tries < WALK_UPDATE_TRIES)
				goto again;
			if (unlikely(err))
				return walk_stop(w, WALK_UPDATE, level, entry);
			entry |= bits;
		}
		w->above = (uint8_t)access;
		access = gathered;
		if (!is_leaf) {
			table = pt_address(PT_VTD_FS, first, entry);
			continue;
		}
		if (!walk_finish(PT_VTD_FS, first, level, entry, access, iova, need, w))
			return false;
		leaf = *w;
		break;
	}

	if (!walk_second(mem, second, second_root,
			 leaf.page | (iova & ~walk_page_mask(leaf.page_lg2)), need, true, &near,
			 &inner, w))
		return false;
	/* The page both stages agree on: the smaller, at the second stage's output. */
	if (inner.page_lg2 < leaf.page_lg2) {
		w->page = inner.page;
		w->page_lg2 = inner.page_lg2;
	} else {
		uint64_t within = leaf.page & ~walk_page_mask(inner.page_lg2);

		w->page = inner.page | within;
	}
	w->access = leaf.access & inner.access;
	w->snoop = inner.snoop;
	w->dirty = leaf.dirty && inner.dirty;
	return true;
}
