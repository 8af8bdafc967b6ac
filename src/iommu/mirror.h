/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a listener has been told, kept as a table, and brought to what a guest's tables say by the
 * least number of calls. Each guest page is one map and later one unmap of the same size: those who
 * mirror refuse to split, so nothing is merged. Nothing that stays is ever unmapped in between.
 *
 * A guest can write tables that never end. The work of one call is bounded (MIRROR_STEPS), the number
 * of mappings by the table's size, and past either the mirror gives up and says so.
 *
 * One thread at a time: the executor of the unit.
 */
#ifndef AIRLOCK_IOMMU_MIRROR_H
#define AIRLOCK_IOMMU_MIRROR_H

#include "iommu/ops.h"

#define MIRROR_STEPS (1u << 24)

struct mirror;

/*
 * The guest's page at iova: true with *page; or false with page->lg2 the size of what is certainly
 * not mapped there.
 */
typedef bool (*mirror_leaf_fn)(void *opaque, uint64_t iova, struct iommu_page *page);

/* nr_tables bounds the memory: 4 KiB each. 0 or -ENOMEM. */
int mirror_create(uint64_t nr_tables, struct mirror **mirror);
void mirror_destroy(struct mirror *mirror);

/* The listener dropped everything: so does the mirror. */
void mirror_drop(struct mirror *mirror);

/*
 * Tells the listener what is different in [first, last], which is cut to 57 bits. 0; -E2BIG when the
 * guest's tables have no end; -ENOMEM; or the listener's refusal. After an error what it was told is
 * unclear, and the caller attaches it to nothing.
 */
int mirror_sync(struct mirror *mirror, const struct iommu_listener *listener, uint64_t first,
		uint64_t last, mirror_leaf_fn leaf, void *opaque);

#endif
