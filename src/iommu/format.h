/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A page-table format as one instance: how many levels, where a leaf may stand, which bits must be
 * zero. The instance carries what a unit's capabilities make of a format (host address width, snoop
 * control), so that the walker itself knows none of it.
 *
 * Per kind there is a thin header of static inline verbs with the same names behind the kind's
 * prefix: present, is_leaf, next_level, leaf_lg2, address, access, snoop, make_leaf, make_table.
 * iommu/pt.h chooses among them by kind.
 *
 * Levels count from 1 (4 KiB pages) up; a table at level n maps 2^(12 + 9n) bytes.
 */
#ifndef AIRLOCK_IOMMU_FORMAT_H
#define AIRLOCK_IOMMU_FORMAT_H

#include "base/bits.h"
#include "base/types.h"

/* Access, asked for or granted. */
#define IOMMU_READ	    BIT(0)
#define IOMMU_WRITE	    BIT(1)

#define PT_LEVELS_MAX	    6
#define PT_ENTRIES	    512
#define PT_LEVEL_LG2(level) (12 + 9 * ((level)-1)) /* bytes one entry of that level maps */

enum pt_kind {
	PT_VTD_SS, /* VT-d second-stage */
	PT_VTD_FS, /* VT-d first-stage: the processor's own */
	PT_AMD_V1, /* AMD-Vi host page tables, version 1 */
};

struct pt_format {
	enum pt_kind kind;
	uint8_t levels;	     /* of the root table: 3..6 */
	uint8_t width;	     /* input address bits: 39, 48, 57, 64 */
	uint8_t leaf_levels; /* BIT(n): a leaf may stand at level n. Bit 1 always. */
	bool snoop_control;  /* second-stage: leaf bit 11 means snoop */
	bool track_dirty;    /* accessed and dirty bits are the unit's to set */
	uint64_t addr_mask;  /* address bits of an entry, 12 .. host width - 1 */
	uint64_t rsvd_table[PT_LEVELS_MAX + 1];
	uint64_t rsvd_leaf[PT_LEVELS_MAX + 1];
};

/* The largest leaf: 4 KiB, 2 MiB, 1 GiB. */
#define PT_LEAF_4K (BIT(1))
#define PT_LEAF_2M (BIT(1) | BIT(2))
#define PT_LEAF_1G (BIT(1) | BIT(2) | BIT(3))

#endif
