/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A page table of our own, in any format: what a unit mirrors of a guest's tables, or the domain of
 * a paravirtual IOMMU. Maps with the largest pages that alignment and the grant allow, never larger;
 * a partial unmap splits.
 *
 * One writer at a time (the owner's lock); walkers need none: entries change by single stores, and a
 * table taken out of the tree stays readable until table_reclaim(), which the writer calls once no
 * walker can be in it any more (after the invalidation that follows an unmap).
 *
 * Table addresses in the entries are host addresses, looked through table_mem().
 */
#ifndef AIRLOCK_IOMMU_TABLE_H
#define AIRLOCK_IOMMU_TABLE_H

#include "base/range.h"
#include "iommu/mem.h"
#include "iommu/pt.h"

struct table;

/* 0 or -ENOMEM. nr_tables_max bounds the memory: 4 KiB each, the root included. */
int table_create(const struct pt_format *format, uint64_t nr_tables_max, struct table **table);
/* No walker may be in it. */
void table_destroy(struct table *table);

const struct pt_format *table_format(const struct table *table);
uint64_t table_root(const struct table *table);
const struct iommu_mem *table_mem(const struct table *table);
/* Tables in use, those awaiting table_reclaim() included. */
uint64_t table_count(const struct table *table);

/*
 * Maps [iova, iova + len) to [addr, addr + len) with the rights `access` (not 0). All aligned to
 * 4 KiB. 0, or with nothing changed: -EINVAL (rights the format cannot express, too), -ERANGE beyond the format's width, -EEXIST where
 * something is mapped, -ENOMEM.
 */
int table_map(struct table *table, uint64_t iova, uint64_t addr, uint64_t len, unsigned int access);

/*
 * Unmaps what there is in [iova, iova + len), holes and all; pages half inside are split and their
 * other half stays. *unmapped (may be NULL) is in bytes. 0, -EINVAL or -ERANGE as above; -ENOMEM
 * only when a page must be split, and then nothing is unmapped.
 */
int table_unmap(struct table *table, uint64_t iova, uint64_t len, uint64_t *unmapped);

/* Frees the tables that unmapping emptied. */
void table_reclaim(struct table *table);

#endif
