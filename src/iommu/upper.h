/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The second level of the IOTLB, shared by all devices of a unit: what a walk found for each 2 MiB of
 * a domain. Either the table whose 512 entries map them (a paging-structure cache: a miss of the
 * first level then costs one load) or the large page that does.
 *
 * Looked up without a lock. A writer, under the lock, takes the key away, changes the rest and puts a
 * key with the next version in place; a reader takes what lies between two equal keys. The version
 * has twenty bits: a reader would have to sleep through an exact multiple of a million changes of its
 * entry to be fooled. Entries are tagged by domain, so devices of one domain share them.
 */
#ifndef AIRLOCK_IOMMU_UPPER_H
#define AIRLOCK_IOMMU_UPPER_H

#include "base/bits.h"
#include "iommu/iotlb.h"
#include "iommu/spin.h"

#define UPPER_SETS 512
#define UPPER_WAYS 4

/* Whose translations: a unit's domain, the kind of table, and a PASID where the table is its own. */
struct upper_tag {
	uint32_t domain; /* 16 bits */
	uint8_t stage;	 /* 4 bits, the unit's choice */
	uint32_t pasid;	 /* or IOMMU_NO_PASID */
};

struct upper_hit {
	bool leaf;
	uint8_t access;
	bool snoop;
	bool huge;     /* a piece of a page larger than 2 MiB */
	uint64_t addr; /* of the level 1 table, or of this 2 MiB of the page */
};

struct upper_entry {
	_Atomic uint64_t key;	/* iova >> 21 << 21 | version | valid */
	_Atomic uint64_t tag;	/* domain, stage, PASID */
	_Atomic uint64_t value; /* address | flags */
};

struct upper {
	struct upper_entry entries[UPPER_SETS][UPPER_WAYS];
	struct spin lock; /* writers */
	uint32_t version, victim;
	bool any;
	bool fragmented; /* holds pieces of pages larger than 2 MiB */
};

bool upper_lookup(struct upper *upper, struct upper_tag tag, uint64_t iova, struct upper_hit *hit);

/* Not if *seq is no longer `expected`: an invalidation has begun since the walk. */
void upper_fill(struct upper *upper, struct upper_tag tag, uint64_t iova,
		const struct upper_hit *hit, _Atomic uint64_t *seq, uint64_t expected);

/* Everything; everything of one domain. */
void upper_clear(struct upper *upper);
void upper_clear_domain(struct upper *upper, uint32_t domain);
/* Any stage of the domain, any PASID. leaf_only keeps tables: only the pages below have changed. */
void upper_clear_range(struct upper *upper, uint32_t domain, uint64_t first, uint64_t last,
		       bool leaf_only);

#endif
