// SPDX-License-Identifier: GPL-2.0-or-later
#include "iommu/iotlb.h"

/* Ranges beyond this many pages are cheaper cleared with everything else. */
#define IOTLB_RANGE_PAGES 64

void iotlb_fill(struct iotlb *tlb, uint32_t pasid, uint64_t iova, const struct iommu_page *page)
{
	uint64_t value = iotlb_pasid_bits(pasid) | page->access | (page->snoop ? IOTLB_SNOOP : 0);
	uint64_t offset = iova & ((1ull << page->lg2) - 1), key;
	struct iotlb_entry *e;

	if (!page->access)
		return;
	tlb->any = true;
	if (page->lg2 >= 21) {
		tlb->fragmented |= page->lg2 > 21;
		tlb->large[iotlb_large_index(iova)] = (struct iotlb_entry){
			iotlb_key(iova & ~0x1fffffull, pasid),
			value | ((page->addr + offset) & ~0x1fffffull),
		};
		return;
	}
	tlb->fragmented |= page->lg2 > 12;
	/* Its own place first (a right gained), a free one next, a victim last. */
	key = iotlb_key(iova, pasid);
	e = tlb->small[iotlb_set(iova)];
	if (!iotlb_match(e, key, iotlb_pasid_bits(pasid), IOTLB_PASID)) {
		if (iotlb_match(&e[1], key, iotlb_pasid_bits(pasid), IOTLB_PASID) ||
		    (e[0].key && !e[1].key))
			e++;
		else if (e[0].key)
			e += tlb->victim++ % IOTLB_WAYS;
	}
	*e = (struct iotlb_entry){ key, value | ((page->addr + offset) & ~0xfffull) };
}

void iotlb_clear(struct iotlb *tlb)
{
	if (!tlb->any)
		return;
	for (unsigned int i = 0; i < IOTLB_SETS; i++)
		for (unsigned int way = 0; way < IOTLB_WAYS; way++)
			tlb->small[i][way].key = 0;
	for (unsigned int i = 0; i < IOTLB_LARGE; i++)
		tlb->large[i].key = 0;
	tlb->any = false;
	tlb->fragmented = false;
}

/* Same page, whatever the PASID. */
static void entry_clear(struct iotlb_entry *e, uint64_t iova)
{
	if (!((e->key ^ iova) & ~0xfffull))
		e->key = 0;
}

void iotlb_clear_range(struct iotlb *tlb, uint64_t first, uint64_t last)
{
	if (!tlb->any)
		return;
	if (tlb->fragmented || (last >> 12) - (first >> 12) >= IOTLB_RANGE_PAGES) {
		iotlb_clear(tlb);
		return;
	}
	for (uint64_t page = first >> 12; page <= last >> 12; page++)
		for (unsigned int way = 0; way < IOTLB_WAYS; way++)
			entry_clear(&tlb->small[iotlb_set(page << 12)][way], page << 12);
	for (uint64_t piece = first >> 21; piece <= last >> 21; piece++)
		entry_clear(&tlb->large[iotlb_large_index(piece << 21)], piece << 21);
}
