/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mapping engine's backend on a VFIO container of TYPE1v2: mappings are kept as they were made,
 * a piece of one cannot be unmapped. The container must have its IOMMU set (a group is in it).
 *
 * Source: linux/vfio.h, "API for Type1 VFIO IOMMU".
 */
#ifndef AIRLOCK_DMA_TYPE1_H
#define AIRLOCK_DMA_TYPE1_H

#include "dma/map.h"
#include "sys/sys.h"

/* The backend object: fill both fields and hand it over with dma_type1_ops. */
struct dma_type1 {
	struct sys *sys;
	int container; /* borrowed */
};

extern const struct dma_backend_ops dma_type1_ops;

#endif
