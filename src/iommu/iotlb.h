/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first level of the IOTLB: each device's own, looked up without a lock by any of its threads.
 * Pages of 4 KiB stand in a two-way cache, larger ones in pieces of 2 MiB in a small one beside it.
 *
 * An entry is two words. A writer, under the lock, takes the key away, changes the value and puts a
 * key with the next version in place; a reader takes the value only between two equal keys. The
 * version has ten bits: a reader would have to sleep through an exact multiple of 1,024 changes of
 * its entry to be fooled, and then sees another page of the same device's own.
 *
 * Whether an entry is still true is not this file's business: iommu/ops.h has the protocol.
 */
#ifndef AIRLOCK_IOMMU_IOTLB_H
#define AIRLOCK_IOMMU_IOTLB_H

#include "base/bits.h"
#include "iommu/format.h"
#include "iommu/spin.h"

#define IOTLB_SETS  512
#define IOTLB_WAYS  2
#define IOTLB_LARGE 64

/* A process address space id of 20 bits, or none: a request without PASID. */
#define IOMMU_NO_PASID	 0xffffffffu
#define IOMMU_PASID_MAX	 0xfffffu

#define IOTLB_VALID	 BIT64(0)
#define IOTLB_WITH_PASID BIT64(1)
#define IOTLB_VERSION	 GENMASK64(11, 2)

/* Of the value: rights as IOMMU_READ and IOMMU_WRITE, then */
#define IOTLB_SNOOP	 BIT64(2)
#define IOTLB_PASID_LOW	 GENMASK64(11, 4)
#define IOTLB_ADDR	 GENMASK64(51, 12)
#define IOTLB_PASID_HIGH GENMASK64(63, 52)
#define IOTLB_PASID	 (IOTLB_PASID_LOW | IOTLB_PASID_HIGH)

struct iotlb_entry {
	_Atomic uint64_t key, value;
};

struct iotlb {
	struct iotlb_entry small[IOTLB_SETS][IOTLB_WAYS];
	struct iotlb_entry large[IOTLB_LARGE];
	struct spin lock; /* writers */
	/* Under the lock: */
	uint32_t version;
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

/* The entry's value, or 0 unless it is for this key and PASID. No value is 0: it has a right. */
static inline uint64_t iotlb_probe(struct iotlb_entry *entry, uint64_t key, uint64_t pasid_bits)
{
	uint64_t before = atomic_load_explicit(&entry->key, memory_order_acquire), value;

	if ((before & ~IOTLB_VERSION) != key)
		return 0;
	value = atomic_load_explicit(&entry->value, memory_order_acquire);
	if (unlikely(atomic_load_explicit(&entry->key, memory_order_relaxed) != before))
		return 0;
	return (value & IOTLB_PASID) == pasid_bits ? value : 0;
}

/*
 * The page of iova, if cached with the rights `need`. *left is how many bytes from iova on the
 * answer covers. Any thread, no lock.
 */
static inline bool iotlb_lookup(struct iotlb *tlb, uint32_t pasid, uint64_t iova, unsigned int need,
				uint64_t *addr, uint64_t *left, bool *snoop)
{
	uint64_t key = iotlb_key(iova, pasid), bits = iotlb_pasid_bits(pasid), value;
	struct iotlb_entry *set = tlb->small[iotlb_set(iova)];

	value = iotlb_probe(&set[0], key, bits);
	if (!value)
		value = iotlb_probe(&set[1], key, bits);
	if (likely(value)) {
		if (unlikely((value & need) != need))
			return false;
		*addr = (value & IOTLB_ADDR) | (iova & 0xfff);
		*left = 0x1000 - (iova & 0xfff);
		*snoop = value & IOTLB_SNOOP;
		return true;
	}
	key = iotlb_key(iova & ~0x1fffffull, pasid);
	value = iotlb_probe(&tlb->large[iotlb_large_index(iova)], key, bits);
	if (!value || (value & need) != need)
		return false;
	*addr = (value & IOTLB_ADDR) | (iova & 0x1fffff);
	*left = 0x200000 - (iova & 0x1fffff);
	*snoop = value & IOTLB_SNOOP;
	return true;
}

/* Zeroed memory is an empty cache. */
void iotlb_init(struct iotlb *tlb);

/*
 * Caches the page that iova lies in, unless *seq is no longer `expected`: then an invalidation has
 * begun since the walk, and the page may be what it is about.
 */
void iotlb_fill(struct iotlb *tlb, uint32_t pasid, uint64_t iova, const struct iommu_page *page,
		_Atomic uint64_t *seq, uint64_t expected);

/* Removes every entry that maps any of [first, last], of every PASID; or all. */
void iotlb_clear_range(struct iotlb *tlb, uint64_t first, uint64_t last);
void iotlb_clear(struct iotlb *tlb);

#endif
