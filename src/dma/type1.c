// SPDX-License-Identifier: GPL-2.0-or-later
#include "dma/type1.h"

#include <linux/vfio.h>
#include <stdlib.h>

#include "base/bits.h"
#include "sys/vfio_info.h"

/* Kernels before 5.10 do not tell how many mappings are left; this is their fixed default. */
#define TYPE1_MAPPINGS_DEFAULT 65535

static int dma_type1_windows(const void *answer, uint32_t chain, struct dma_limits *limits)
{
	const struct vfio_iommu_type1_info_cap_iova_range *cap;
	size_t room;

	cap = vfio_info_cap(answer, chain, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, sizeof(*cap),
			    &room);
	if (!cap)
		return 0;
	if (cap->nr_iovas > (room - sizeof(*cap)) / sizeof(cap->iova_ranges[0]))
		return -EPROTO;
	/* Keeping only some would refuse good grants without a reason anyone could find. */
	if (cap->nr_iovas > DMA_WINDOWS_MAX)
		return -E2BIG;
	for (uint32_t i = 0; i < cap->nr_iovas; i++) {
		if (cap->iova_ranges[i].end < cap->iova_ranges[i].start)
			return -EPROTO;
		limits->windows[i] =
			(struct range){ cap->iova_ranges[i].start, cap->iova_ranges[i].end };
	}
	limits->nr_windows = cap->nr_iovas;
	return 0;
}

static int dma_type1_limits(void *backend, struct dma_limits *limits)
{
	const struct vfio_iommu_type1_info head = { 0 };
	const struct vfio_iommu_type1_info_dma_avail *avail;
	struct dma_type1 *type1 = backend;
	struct vfio_iommu_type1_info *info;
	void *answer;
	int err = vfio_info_get(type1->sys, type1->container, VFIO_IOMMU_GET_INFO, &head,
				sizeof(head), &answer);

	if (err)
		return err;
	info = answer;
	limits->page_sizes = info->flags & VFIO_IOMMU_INFO_PGSIZES ? info->iova_pgsizes : PAGE_SIZE;
	limits->max_mappings = TYPE1_MAPPINGS_DEFAULT;
	limits->nr_windows = 0;
	if (info->flags & VFIO_IOMMU_INFO_CAPS) {
		avail = vfio_info_cap(answer, info->cap_offset, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL,
				      sizeof(*avail), NULL);
		if (avail)
			limits->max_mappings = avail->avail;
		err = dma_type1_windows(answer, info->cap_offset, limits);
	}
	free(answer);
	return err;
}

static int dma_type1_map(void *backend, iova_t at, void *hva, uint64_t len, unsigned int prot)
{
	struct dma_type1 *type1 = backend;
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = (prot & DMA_READ ? VFIO_DMA_MAP_FLAG_READ : 0u) |
			 (prot & DMA_WRITE ? VFIO_DMA_MAP_FLAG_WRITE : 0u),
		.vaddr = (uintptr_t)hva,
		.iova = at.v,
		.size = len,
	};
	int r = sys_ioctl(type1->sys, type1->container, VFIO_IOMMU_MAP_DMA, &map);

	return r < 0 ? r : 0;
}

static int dma_type1_unmap(void *backend, iova_t at, uint64_t len)
{
	struct dma_type1 *type1 = backend;
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = at.v,
		.size = len,
	};
	int r = sys_ioctl(type1->sys, type1->container, VFIO_IOMMU_UNMAP_DMA, &unmap);

	if (r < 0)
		return r;
	/* The kernel says how much went: anything else than all of it was not one mapping. */
	return unmap.size == len ? 0 : -EIO;
}

const struct dma_backend_ops dma_type1_ops = {
	.name = "vfio-type1",
	.limits = dma_type1_limits,
	.map = dma_type1_map,
	.unmap = dma_type1_unmap,
};
