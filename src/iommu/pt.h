/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verbs of a page-table entry, whatever its format: chosen by kind, so that a caller that passes
 * a constant kind pays nothing for the choice.
 */
#ifndef AIRLOCK_IOMMU_PT_H
#define AIRLOCK_IOMMU_PT_H

#include "iommu/format.h"
#include "iommu/format_amd_v1.h"
#include "iommu/format_vtd_fs.h"
#include "iommu/format_vtd_ss.h"

/*
 * Instances. haw is the host (that is: guest-physical) address width, 32..52. levels is 3, 4 or 5
 * for VT-d (first-stage: 4 or 5) and 1..6 for AMD.
 */
static inline void pt_format_vtd_ss(struct pt_format *f, unsigned int levels, unsigned int haw,
				    unsigned int leaf_levels, bool snoop_control, bool track_dirty)
{
	vtd_ss_init(f, levels, haw, leaf_levels, snoop_control, track_dirty);
}

static inline void pt_format_vtd_fs(struct pt_format *f, unsigned int levels, unsigned int haw,
				    unsigned int leaf_levels)
{
	vtd_fs_init(f, levels, haw, leaf_levels);
}

static inline void pt_format_amd_v1(struct pt_format *f, unsigned int levels, unsigned int haw)
{
	amd_v1_init(f, levels, haw);
}

#define PT_BY_KIND(kind, verb, ...)                         \
	((kind) == PT_VTD_SS   ? vtd_ss_##verb(__VA_ARGS__) \
	 : (kind) == PT_VTD_FS ? vtd_fs_##verb(__VA_ARGS__) \
			       : amd_v1_##verb(__VA_ARGS__))

static inline bool pt_present(enum pt_kind kind, uint64_t entry)
{
	return PT_BY_KIND(kind, present, entry);
}

/* entry is present. */
static inline bool pt_is_leaf(enum pt_kind kind, unsigned int level, uint64_t entry)
{
	return PT_BY_KIND(kind, is_leaf, level, entry);
}

/* Of a table entry: the level of the table it points to; 0 where that makes no sense. */
static inline unsigned int pt_next_level(enum pt_kind kind, unsigned int level, uint64_t entry)
{
	return PT_BY_KIND(kind, next_level, level, entry);
}

/* Bytes a leaf maps, as a power of two; 0 for an encoding the format forbids there. */
static inline unsigned int pt_leaf_lg2(enum pt_kind kind, unsigned int level, uint64_t entry)
{
	return PT_BY_KIND(kind, leaf_lg2, level, entry);
}

static inline uint64_t pt_address(enum pt_kind kind, const struct pt_format *f, uint64_t entry)
{
	return PT_BY_KIND(kind, address, f, entry);
}

static inline unsigned int pt_access(enum pt_kind kind, uint64_t entry)
{
	return PT_BY_KIND(kind, access, entry);
}

/* Of a leaf: the access is coherent with the processors' caches whatever the device asked. */
static inline bool pt_snoop(enum pt_kind kind, const struct pt_format *f, uint64_t entry)
{
	return PT_BY_KIND(kind, snoop, f, entry);
}

static inline uint64_t pt_make_leaf(enum pt_kind kind, unsigned int level, uint64_t addr,
				    unsigned int access)
{
	return PT_BY_KIND(kind, make_leaf, level, addr, access);
}

static inline uint64_t pt_make_table(enum pt_kind kind, unsigned int level, uint64_t addr)
{
	return PT_BY_KIND(kind, make_table, level, addr);
}

/* What must be zero in this present entry. */
static inline uint64_t pt_reserved(const struct pt_format *f, unsigned int level, bool leaf)
{
	return leaf ? f->rsvd_leaf[level] : f->rsvd_table[level];
}

#endif
