// SPDX-License-Identifier: GPL-2.0-or-later
#include "iommu/dma.h"

_Static_assert(RAM_REGIONS_MAX <= IOMMU_WINDOWS_MAX, "every region is a window");

/* One section's worth of copying: an invalidation may wait for it. */
#define DMA_CHUNK KIB(128)
#define DMA_SPANS 16

static int dma_copy(const struct ram *ram, const struct iommu_span *span, uint8_t *buf,
		    unsigned int access)
{
	if (access == IOMMU_READ)
		return ram_read(ram, span->addr, buf, span->len);
	return ram_write(ram, span->addr, buf, span->len);
}

static int dma_move(struct iommu_section *section, const struct ram *ram, uint32_t pasid,
		    uint64_t iova, uint8_t *buf, uint64_t len, unsigned int access)
{
	struct range range;
	int err;

	/* The whole of it, before any of it moves. */
	if (range_make(iova, len, &range))
		return -EINVAL;
	do {
		struct iommu_span spans[DMA_SPANS];
		uint64_t covered;
		unsigned int nr;

		iommu_section_begin(section);
		err = iommu_translate(section, pasid, iova, min_u64(len, DMA_CHUNK), access, spans,
				      DMA_SPANS, &nr, &covered);
		for (unsigned int i = 0; !err && i < nr; i++) {
			err = dma_copy(ram, &spans[i], buf, access);
			buf += spans[i].len;
		}
		iommu_section_end(section);
		iova += covered;
		len -= covered;
	} while (!err && len);
	return err;
}

int iommu_dma_read(struct iommu_section *section, const struct ram *ram, uint32_t pasid,
		   uint64_t iova, void *buf, uint64_t len)
{
	return dma_move(section, ram, pasid, iova, buf, len, IOMMU_READ);
}

int iommu_dma_write(struct iommu_section *section, const struct ram *ram, uint32_t pasid,
		    uint64_t iova, const void *buf, uint64_t len)
{
	/* Only read from: the one function serves both ways. */
	return dma_move(section, ram, pasid, iova, (uint8_t *)(uintptr_t)buf, len, IOMMU_WRITE);
}

void iommu_mem_from_ram(struct iommu_mem *mem, const struct ram *ram)
{
	*mem = (struct iommu_mem){ .nr_windows = ram->nr_regions };
	for (unsigned int i = 0; i < ram->nr_regions; i++)
		mem->windows[i] = (struct iommu_window){
			.first = ram->regions[i].gpa.first,
			.size = range_len(ram->regions[i].gpa),
			.host = ram->regions[i].hva,
		};
}
