/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VT-d second-stage entries (Intel VT-d spec rev 4.1, 9.8).
 */
#ifndef AIRLOCK_IOMMU_FORMAT_VTD_SS_H
#define AIRLOCK_IOMMU_FORMAT_VTD_SS_H

#include "iommu/format.h"

#define VTD_SS_R	BIT64(0)
#define VTD_SS_W	BIT64(1)
#define VTD_SS_PS	BIT64(7)  /* page size: a leaf at level 2 or 3 */
#define VTD_SS_A	BIT64(8)  /* with access/dirty tracking */
#define VTD_SS_D	BIT64(9)  /* likewise, leaves only */
#define VTD_SS_SNP	BIT64(11) /* leaves, with snoop control; else reserved */
#define VTD_SS_TM	BIT64(62) /* transient mapping: reserved, no unit of ours offers it */
#define VTD_SS_ADDR	GENMASK64(51, 12)
#define VTD_SS_ACCESSED VTD_SS_A
#define VTD_SS_DIRTY	VTD_SS_D

static inline void vtd_ss_init(struct pt_format *f, unsigned int levels, unsigned int haw,
			       unsigned int leaf_levels, bool snoop_control, bool track_dirty)
{
	uint64_t beyond = VTD_SS_ADDR & ~GENMASK64(haw - 1, 12);

	*f = (struct pt_format){
		.kind = PT_VTD_SS,
		.levels = (uint8_t)levels,
		.width = (uint8_t)(12 + 9 * levels),
		.leaf_levels = (uint8_t)leaf_levels,
		.snoop_control = snoop_control,
		.track_dirty = track_dirty,
		.addr_mask = GENMASK64(haw - 1, 12),
	};
	for (unsigned int level = 1; level <= PT_LEVELS_MAX; level++) {
		f->rsvd_table[level] = beyond | VTD_SS_SNP | VTD_SS_TM;
		f->rsvd_leaf[level] = beyond | VTD_SS_TM;
		if (!snoop_control)
			f->rsvd_leaf[level] |= VTD_SS_SNP;
		/* Below a large page's size the address must be zero (9.8, tables 34 and 36). */
		if (level > 1)
			f->rsvd_leaf[level] |= GENMASK64(PT_LEVEL_LG2(level) - 1, 12);
		/* The page-size bit where no leaf may stand: level 4 and 5, or a size not offered. */
		if (!(leaf_levels & BIT(level)))
			f->rsvd_leaf[level] |= VTD_SS_PS;
	}
}

static inline bool vtd_ss_present(uint64_t entry)
{
	return entry & (VTD_SS_R | VTD_SS_W);
}

static inline bool vtd_ss_is_leaf(unsigned int level, uint64_t entry)
{
	return level == 1 || (entry & VTD_SS_PS);
}

static inline unsigned int vtd_ss_next_level(unsigned int level, uint64_t entry)
{
	return level - 1;
}

static inline unsigned int vtd_ss_leaf_lg2(unsigned int level, uint64_t entry)
{
	return PT_LEVEL_LG2(level);
}

static inline uint64_t vtd_ss_address(const struct pt_format *f, uint64_t entry)
{
	return entry & f->addr_mask;
}

static inline unsigned int vtd_ss_access(uint64_t entry)
{
	return (unsigned int)(entry & (VTD_SS_R | VTD_SS_W));
}

static inline bool vtd_ss_snoop(const struct pt_format *f, uint64_t entry)
{
	return f->snoop_control && (entry & VTD_SS_SNP);
}

static inline uint64_t vtd_ss_make_leaf(unsigned int level, uint64_t addr, unsigned int access)
{
	return addr | access | (level > 1 ? VTD_SS_PS : 0);
}

static inline uint64_t vtd_ss_make_table(unsigned int level, uint64_t addr)
{
	return addr | VTD_SS_R | VTD_SS_W;
}

#endif
