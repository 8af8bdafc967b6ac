/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VT-d first-stage entries, which are the processor's 4- and 5-level paging (Intel VT-d spec rev
 * 4.1, 9.7; SDM vol. 3, 4.5).
 *
 * Requests of devices have user privilege unless they say otherwise, and none of ours does: an entry
 * without U/S refuses them. Execute-disable concerns no DMA and is ignored. Accessed and dirty bits
 * are always the unit's to set (3.6.2).
 */
#ifndef AIRLOCK_IOMMU_FORMAT_VTD_FS_H
#define AIRLOCK_IOMMU_FORMAT_VTD_FS_H

#include "iommu/format.h"

#define VTD_FS_P	BIT64(0)
#define VTD_FS_RW	BIT64(1)
#define VTD_FS_US	BIT64(2)
#define VTD_FS_A	BIT64(5)
#define VTD_FS_D	BIT64(6)
#define VTD_FS_PS	BIT64(7) /* at level 1 it is the PAT bit */
#define VTD_FS_ADDR	GENMASK64(51, 12)
#define VTD_FS_PAT_LG2	12 /* of a large leaf: below its address bits, not reserved */
#define VTD_FS_ACCESSED VTD_FS_A
#define VTD_FS_DIRTY	VTD_FS_D

static inline void vtd_fs_init(struct pt_format *f, unsigned int levels, unsigned int haw,
			       unsigned int leaf_levels)
{
	uint64_t beyond = VTD_FS_ADDR & ~GENMASK64(haw - 1, 12);

	*f = (struct pt_format){
		.kind = PT_VTD_FS,
		.levels = (uint8_t)levels,
		.width = (uint8_t)(12 + 9 * levels),
		.leaf_levels = (uint8_t)leaf_levels,
		.track_dirty = true,
		.addr_mask = GENMASK64(haw - 1, 12),
	};
	for (unsigned int level = 1; level <= PT_LEVELS_MAX; level++) {
		f->rsvd_table[level] = beyond;
		f->rsvd_leaf[level] = beyond;
		if (level > 1)
			f->rsvd_leaf[level] |=
				GENMASK64(PT_LEVEL_LG2(level) - 1, VTD_FS_PAT_LG2 + 1);
		if (!(leaf_levels & BIT(level)))
			f->rsvd_leaf[level] |= VTD_FS_PS;
	}
}

static inline bool vtd_fs_present(uint64_t entry)
{
	return entry & VTD_FS_P;
}

static inline bool vtd_fs_is_leaf(unsigned int level, uint64_t entry)
{
	return level == 1 || (entry & VTD_FS_PS);
}

static inline unsigned int vtd_fs_next_level(unsigned int level, uint64_t entry)
{
	return level - 1;
}

static inline unsigned int vtd_fs_leaf_lg2(unsigned int level, uint64_t entry)
{
	return PT_LEVEL_LG2(level);
}

static inline uint64_t vtd_fs_address(const struct pt_format *f, uint64_t entry)
{
	return entry & f->addr_mask;
}

static inline unsigned int vtd_fs_access(uint64_t entry)
{
	return IOMMU_READ | (entry & VTD_FS_RW ? IOMMU_WRITE : 0);
}

static inline bool vtd_fs_snoop(const struct pt_format *f, uint64_t entry)
{
	return false;
}

static inline uint64_t vtd_fs_make_leaf(unsigned int level, uint64_t addr, unsigned int access)
{
	return addr | VTD_FS_P | VTD_FS_US | (access & IOMMU_WRITE ? VTD_FS_RW : 0) |
	       (level > 1 ? VTD_FS_PS : 0);
}

static inline uint64_t vtd_fs_make_table(unsigned int level, uint64_t addr)
{
	return addr | VTD_FS_P | VTD_FS_RW | VTD_FS_US;
}

#endif
