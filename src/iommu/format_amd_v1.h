/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * AMD-Vi host page tables, version 1 (AMD I/O Virtualization Technology spec 48882 rev 3.08, 2.2.3).
 *  *
 * An entry names the level of the next table: 1..6, where levels may be skipped (the address bits
 * passed over must be zero), 0 for a leaf of the level's own size, 7 for a leaf whose size is coded
 * in its low address bits: the first zero bit from 12 up, say n, makes a page of 2^(n + 1) bytes.
 */
#ifndef AIRLOCK_IOMMU_FORMAT_AMD_V1_H
#define AIRLOCK_IOMMU_FORMAT_AMD_V1_H

#include "iommu/format.h"

#define AMD_V1_PR	BIT64(0)
#define AMD_V1_A	BIT64(5)
#define AMD_V1_D	BIT64(6)
#define AMD_V1_NEXT	GENMASK64(11, 9)
#define AMD_V1_NEXT_7	7
#define AMD_V1_ADDR	GENMASK64(51, 12)
#define AMD_V1_U	BIT64(59) /* leaves */
#define AMD_V1_FC	BIT64(60) /* leaves: force coherent */
#define AMD_V1_IR	BIT64(61)
#define AMD_V1_IW	BIT64(62)
#define AMD_V1_ACCESSED AMD_V1_A
#define AMD_V1_DIRTY	AMD_V1_D

static inline void amd_v1_init(struct pt_format *f, unsigned int levels, unsigned int haw)
{
	uint64_t beyond = AMD_V1_ADDR & ~GENMASK64(haw - 1, 12);
	unsigned int width = 12 + 9 * levels;

	*f = (struct pt_format){
		.kind = PT_AMD_V1,
		.levels = (uint8_t)levels,
		.width = (uint8_t)(width > 64 ? 64 : width),
		.leaf_levels = GENMASK(PT_LEVELS_MAX, 1),
		.addr_mask = GENMASK64(haw - 1, 12),
	};
	for (unsigned int level = 1; level <= PT_LEVELS_MAX; level++) {
		f->rsvd_table[level] = beyond | GENMASK64(60, 52);
		f->rsvd_leaf[level] = beyond | GENMASK64(58, 52);
	}
}

static inline bool amd_v1_present(uint64_t entry)
{
	return entry & AMD_V1_PR;
}

static inline bool amd_v1_is_leaf(unsigned int level, uint64_t entry)
{
	unsigned int next = (unsigned int)FIELD_GET(AMD_V1_NEXT, entry);

	return next == 0 || next == AMD_V1_NEXT_7;
}

static inline unsigned int amd_v1_next_level(unsigned int level, uint64_t entry)
{
	unsigned int next = (unsigned int)FIELD_GET(AMD_V1_NEXT, entry);

	return next < level ? next : 0;
}

static inline unsigned int amd_v1_leaf_lg2(unsigned int level, uint64_t entry)
{
	unsigned int lg2;

	if (FIELD_GET(AMD_V1_NEXT, entry) == 0)
		return PT_LEVEL_LG2(level);
	/* All ones has no zero to name a size; a size must fit its level. */
	lg2 = (unsigned int)__builtin_ctzll(~(entry >> 12)) + 13;
	if (lg2 > 51 || lg2 < PT_LEVEL_LG2(level) || lg2 >= PT_LEVEL_LG2(level + 1))
		return 0;
	return lg2;
}

static inline uint64_t amd_v1_address(const struct pt_format *f, uint64_t entry)
{
	return entry & f->addr_mask;
}

static inline unsigned int amd_v1_access(uint64_t entry)
{
	return (entry & AMD_V1_IR ? IOMMU_READ : 0) | (entry & AMD_V1_IW ? IOMMU_WRITE : 0);
}

static inline bool amd_v1_snoop(const struct pt_format *f, uint64_t entry)
{
	return entry & AMD_V1_FC;
}

static inline uint64_t amd_v1_make_leaf(unsigned int level, uint64_t addr, unsigned int access)
{
	return addr | AMD_V1_PR | (access & IOMMU_READ ? AMD_V1_IR : 0) |
	       (access & IOMMU_WRITE ? AMD_V1_IW : 0);
}

static inline uint64_t amd_v1_make_table(unsigned int level, uint64_t addr)
{
	return addr | AMD_V1_PR | AMD_V1_IR | AMD_V1_IW |
	       FIELD_PREP(AMD_V1_NEXT, (uint64_t)(level - 1));
}

#endif
