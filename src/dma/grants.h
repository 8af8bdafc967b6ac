/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The grants of one address space, by I/O virtual address. They never overlap. The table holds no
 * lock and knows no kernel; dma/map.c protects it.
 */
#ifndef AIRLOCK_DMA_GRANTS_H
#define AIRLOCK_DMA_GRANTS_H

#include "base/range.h"
#include "base/types.h"

struct dma_grant {
	struct range at; /* as the device addresses it */
	uint64_t from;	 /* guest-physical address of its first byte */
	uint32_t runs;	 /* mappings the kernel keeps for it */
	unsigned int prot;
};

struct dma_grants {
	struct dma_grant *grant; /* owned; ascending, disjoint */
	size_t nr, room;
};

void dma_grants_fini(struct dma_grants *grants);
/* Room for one more, so that dma_grants_add() cannot fail. 0 or -ENOMEM. */
int dma_grants_reserve(struct dma_grants *grants);
/* Overlaps nothing, and room was reserved. */
void dma_grants_add(struct dma_grants *grants, const struct dma_grant *grant);
void dma_grants_remove(struct dma_grants *grants, size_t index);
/* Index of the first grant that ends at or after addr; grants->nr when there is none. */
size_t dma_grants_find(const struct dma_grants *grants, uint64_t addr);
bool dma_grants_overlap(const struct dma_grants *grants, struct range r);

#endif
