// SPDX-License-Identifier: GPL-2.0-or-later
#include "iommu/iotlb.h"

#include <string.h>

/* Ranges beyond this many pages are cheaper cleared with everything else. */
#define IOTLB_RANGE_PAGES 64

void iotlb_init(struct iotlb *tlb)
{
	memset(tlb, 0, sizeof(*tlb));
}

static void entry_clear(struct iotlb_entry *entry)
{
	atomic_store_explicit(&entry->key, 0, memory_order_relaxed);
}

static void entry_set(struct iotlb *tlb, struct iotlb_entry *entry, uint64_t key, uint64_t value)
{
	/* A reader that has the new value or the new key finds the two keys it compares unequal. */
	atomic_store_explicit(&entry->key, 0, memory_order_relaxed);
	atomic_store_explicit(&entry->value, value, memory_order_release);
	atomic_store_explicit(&entry->key,
			      key | FIELD_PREP(IOTLB_VERSION, (uint64_t)++tlb->version),
			      memory_order_release);
}

static bool entry_is(struct iotlb_entry *entry, uint64_t key)
{
	return (atomic_load_explicit(&entry->key, memory_order_relaxed) & ~IOTLB_VERSION) == key;
}

/* Same page, whatever the PASID. */
static bool entry_maps(struct iotlb_entry *entry, uint64_t iova)
{
	uint64_t key = atomic_load_explicit(&entry->key, memory_order_relaxed);

	return (key & IOTLB_VALID) && !((key ^ iova) & ~0xfffull);
}

static void fill_small(struct iotlb *tlb, uint64_t key, uint64_t iova, uint64_t value)
{
	struct iotlb_entry *set = tlb->small[iotlb_set(iova)];
	unsigned int way;

	/* Its own place first (a right gained, another PASID), a free one next, a victim last. */
	for (way = 0; way < IOTLB_WAYS; way++)
		if (entry_is(&set[way], key) &&
		    ((atomic_load_explicit(&set[way].value, memory_order_relaxed) ^ value) &
		     IOTLB_PASID) == 0)
			break;
	if (way == IOTLB_WAYS)
		for (way = 0; way < IOTLB_WAYS; way++)
			if (!atomic_load_explicit(&set[way].key, memory_order_relaxed))
				break;
	if (way == IOTLB_WAYS)
		way = tlb->victim++ % IOTLB_WAYS;
	entry_set(tlb, &set[way], key, value);
}

void iotlb_fill(struct iotlb *tlb, uint32_t pasid, uint64_t iova, const struct iommu_page *page,
		_Atomic uint64_t *seq, uint64_t expected)
{
	uint64_t value = iotlb_pasid_bits(pasid) | page->access | (page->snoop ? IOTLB_SNOOP : 0);
	uint64_t offset = iova & ((1ull << page->lg2) - 1);

	if (!page->access)
		return;
	spin_take(&tlb->lock);
	if (atomic_load_explicit(seq, memory_order_acquire) == expected) {
		tlb->any = true;
		if (page->lg2 >= 21) {
			uint64_t piece = iova & ~0x1fffffull;

			tlb->fragmented |= page->lg2 > 21;
			value |= (page->addr + offset) & ~0x1fffffull;
			entry_set(tlb, &tlb->large[iotlb_large_index(iova)],
				  iotlb_key(piece, pasid), value);
		} else {
			tlb->fragmented |= page->lg2 > 12;
			value |= (page->addr + offset) & ~0xfffull;
			fill_small(tlb, iotlb_key(iova, pasid), iova, value);
		}
	}
	spin_drop(&tlb->lock);
}

static void clear_locked(struct iotlb *tlb)
{
	for (unsigned int i = 0; i < IOTLB_SETS; i++)
		for (unsigned int way = 0; way < IOTLB_WAYS; way++)
			entry_clear(&tlb->small[i][way]);
	for (unsigned int i = 0; i < IOTLB_LARGE; i++)
		entry_clear(&tlb->large[i]);
	tlb->any = false;
	tlb->fragmented = false;
}

void iotlb_clear(struct iotlb *tlb)
{
	spin_take(&tlb->lock);
	if (tlb->any)
		clear_locked(tlb);
	spin_drop(&tlb->lock);
}

void iotlb_clear_range(struct iotlb *tlb, uint64_t first, uint64_t last)
{
	uint64_t piece;

	spin_take(&tlb->lock);
	if (!tlb->any)
		goto out;
	if (tlb->fragmented || (last >> 12) - (first >> 12) >= IOTLB_RANGE_PAGES) {
		clear_locked(tlb);
		goto out;
	}
	for (uint64_t page = first >> 12; page <= last >> 12; page++) {
		struct iotlb_entry *set = tlb->small[iotlb_set(page << 12)];

		for (unsigned int way = 0; way < IOTLB_WAYS; way++)
			if (entry_maps(&set[way], page << 12))
				entry_clear(&set[way]);
	}
	for (piece = first >> 21; piece <= last >> 21; piece++) {
		struct iotlb_entry *entry = &tlb->large[iotlb_large_index(piece << 21)];

		if (entry_maps(entry, piece << 21))
			entry_clear(entry);
	}
out:
	spin_drop(&tlb->lock);
}
