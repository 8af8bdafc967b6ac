/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copying for devices: a section, a translation and the guest's RAM in one call. What a device model
 * uses unless it wants the spans themselves.
 */
#ifndef AIRLOCK_IOMMU_DMA_H
#define AIRLOCK_IOMMU_DMA_H

#include "iommu/ops.h"
#include "memory/ram.h"

/*
 * Reads or writes guest memory as the section's device, PASID or IOMMU_NO_PASID. Opens and closes the
 * section, more than once for long copies, so it is not called inside one. 0; -EINVAL for a range
 * that is empty or wraps; -EPERM from a quarantined device; -EFAULT where the unit refuses (recorded
 * there) or no RAM lies: what was copied before is not taken back, as on a bus.
 */
int iommu_dma_read(struct iommu_section *section, const struct ram *ram, uint32_t pasid,
		   uint64_t iova, void *buf, uint64_t len);
int iommu_dma_write(struct iommu_section *section, const struct ram *ram, uint32_t pasid,
		    uint64_t iova, const void *buf, uint64_t len);

/* The windows through which a unit reads its tables in this RAM. */
void iommu_mem_from_ram(struct iommu_mem *mem, const struct ram *ram);

#endif
