/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one page-table walker. It translates one address through one table (walk) or through a
 * first-stage table whose own addresses go through a second-stage one (walk_nested).
 *
 * It never writes but for accessed and dirty bits where the format tracks them, allocates nothing
 * and takes no lock. Tables may change under it: every entry is read once, atomically, and what is
 * decided is decided on that reading.
 */
#ifndef AIRLOCK_IOMMU_WALK_H
#define AIRLOCK_IOMMU_WALK_H

#include "iommu/mem.h"
#include "iommu/pt.h"

enum walk_status {
	WALK_OK,
	WALK_WIDTH,	/* the address has bits beyond the table's width, or is not canonical */
	WALK_ABSENT,	/* an entry is not present */
	WALK_RESERVED,	/* a present entry has a reserved bit or encoding */
	WALK_LOST,	/* a table lies where there is no memory */
	WALK_DENIED,	/* the rights gathered on the way do not suffice */
	WALK_PRIVILEGE, /* first-stage: a supervisor page and a user request */
	WALK_UPDATE,	/* an accessed or dirty bit could not be set */
};

/* What a walk found. level, entry and table tell of the last entry read. */
struct walk {
	enum walk_status status;
	uint8_t level;	  /* of the entry the walk ended at; levels + 1 when none was read */
	uint8_t page_lg2; /* WALK_OK: size of the page */
	uint8_t access;	  /* rights gathered: IOMMU_READ | IOMMU_WRITE */
	uint8_t above;	  /* likewise, without the last entry's say */
	bool snoop;
	bool dirty;    /* first-stage: the leaf's dirty bit stands, so writes need no other walk */
	uint64_t page; /* WALK_OK: first address of the page */
	uint64_t entry;
	uint64_t table; /* of walk_nested: where the table lies after the second stage */

	/* walk_nested only: not the first but the second stage refused, at this address. */
	bool second;
	bool second_final; /* on the output, not on a table */
	uint64_t second_input;
	enum walk_status second_status;
	uint8_t second_level;
	uint8_t second_need;
	bool table_writable; /* WALK_OK: the last table may be written through the second stage */
};

/*
 * Translates iova through the table at root for the rights `need` (may be 0: any). Returns
 * w->status == WALK_OK. On WALK_DENIED page, size and access are filled in too.
 */
bool walk(const struct iommu_mem *mem, const struct pt_format *f, uint64_t root, uint64_t iova,
	  unsigned int need, struct walk *w);

/*
 * The same from a table in the middle: `table` is of `level`, and `access` has been gathered above
 * it. What a cache of upper levels needs.
 */
bool walk_from(const struct iommu_mem *mem, const struct pt_format *f, uint64_t table,
	       unsigned int level, unsigned int access, uint64_t iova, unsigned int need,
	       struct walk *w);

/*
 * Two stages: every table address of the first and its output are inputs of the second. The page is
 * the smaller of the two. Rights are those both grant.
 */
bool walk_nested(const struct iommu_mem *mem, const struct pt_format *first, uint64_t first_root,
		 const struct pt_format *second, uint64_t second_root, uint64_t iova,
		 unsigned int need, struct walk *w);

#endif
