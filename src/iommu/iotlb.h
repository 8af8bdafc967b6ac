/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first level of the IOTLB: private to one DMA section, so that a hit is two loads and a compare
 * and no other thread ever writes it. Pages of 4 KiB stand in a two-way cache, larger ones in pieces
 * of 2 MiB in a small one beside it.
 *
 * Whether an entry is still true is not this file's business: iommu/ops.h has the protocol.
 */
#ifndef AIRLOCK_IOMMU_IOTLB_H
#define AIRLOCK_IOMMU_IOTLB_H

#include "base/bits.h"
#include "iommu/format.h"

#define IOTLB_SETS  512
#define IOTLB_WAYS  2
#define IOTLB_LARGE 64

/* A process address space id of 20 bits, or none: a request without PASID. */
#define IOMMU_NO_PASID	0xffffffffu
#define IOMMU_PASID_MAX 0xfffffu

/* Of a key: the page's address, and */
#define IOTLB_VALID	 BIT64(0)
#define IOTLB_WITH_PASID BIT64(1)

/* Of the value: rights as IOMMU_READ and IOMMU_WRITE, the page's address, and */
#define IOTLB_SNOOP	 BIT64(2)
#define IOTLB_PASID_LOW	 GENMASK64(11, 4)
#define IOTLB_ADDR	 GENMASK64(51, 12)
#define IOTLB_PASID_HIGH GENMASK64(63, 52)
#define IOTLB_PASID	 (IOTLB_PASID_LOW | IOTLB_PASID_HIGH)

struct iotlb_entry {
	uint64_t key, value;
};

struct iotlb {
	struct iotlb_entry small[IOTLB_SETS][IOTLB_WAYS];
	struct iotlb_entry large[IOTLB_LARGE];
	uint32_t victim;
	bool any;	 /* not empty */
	bool fragmented; /* holds pieces of a page that is larger than they tell */
};

/* A translation of one page. */
struct iommu_page {
	uint64_t addr;	/* of the page */
	uint8_t lg2;	/* its size */
	uint8_t access; /* rights that need no further walk */
	bool snoop;
};

static inline uint64_t iotlb_pasid_bits(uint32_t pasid)
{
	return pasid == IOMMU_NO_PASID
		       ? 0
		       : ((uint64_t)(pasid & 0xff) << 4) | ((uint64_t)(pasid >> 8) << 52);
}

static inline uint64_t iotlb_key(uint64_t iova, uint32_t pasid)
{
	return (iova & ~0xfffull) | IOTLB_VALID | (pasid == IOMMU_NO_PASID ? 0 : IOTLB_WITH_PASID);
}

static inline unsigned int iotlb_set(uint64_t iova)
{
	return (unsigned int)((iova >> 12) ^ (iova >> 21)) & (IOTLB_SETS - 1);
}

static inline unsigned int iotlb_large_index(uint64_t iova)
{
	return (unsigned int)((iova >> 21) ^ (iova >> 27)) & (IOTLB_LARGE - 1);
}

static inline bool iotlb_match(const struct iotlb_entry *entry, uint64_t key, uint64_t want,
			       uint64_t mask)
{
	return entry->key == key && (entry->value & mask) == want;
}

/*
 * The page of iova, if cached with the rights `need`. *left is how many bytes from iova on the
 * answer covers.
 */
static inline bool iotlb_lookup(const struct iotlb *tlb, uint32_t pasid, uint64_t iova,
				unsigned int need, uint64_t *addr, uint64_t *left, bool *snoop)
{
	uint64_t key = iotlb_key(iova, pasid), want = iotlb_pasid_bits(pasid) | need;
	uint64_t mask = IOTLB_PASID | need;
	const struct iotlb_entry *e = tlb->small[iotlb_set(iova)];

	if (likely(iotlb_match(&e[0], key, want, mask)) || iotlb_match(++e, key, want, mask)) {
		*addr = (e->value & IOTLB_ADDR) | (iova & 0xfff);
		*left = 0x1000 - (iova & 0xfff);
		*snoop = e->value & IOTLB_SNOOP;
		return true;
	}
	e = &tlb->large[iotlb_large_index(iova)];
	if (iotlb_match(e, iotlb_key(iova & ~0x1fffffull, pasid), want, mask)) {
		*addr = (e->value & IOTLB_ADDR) | (iova & 0x1fffff);
		*left = 0x200000 - (iova & 0x1fffff);
		*snoop = e->value & IOTLB_SNOOP;
		return true;
	}
	return false;
}

/* Caches the page that iova lies in. (Zeroed memory is an empty cache.) */
void iotlb_fill(struct iotlb *tlb, uint32_t pasid, uint64_t iova, const struct iommu_page *page);

/* Removes every entry that maps any of [first, last], of every PASID; or all. */
void iotlb_clear_range(struct iotlb *tlb, uint64_t first, uint64_t last);
void iotlb_clear(struct iotlb *tlb);

#endif
