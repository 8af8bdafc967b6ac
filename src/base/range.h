/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A range of addresses with an inclusive end: [first, last]. The last byte of the 64-bit space can
 * be named, and an empty range cannot exist. Every range that comes from a guest, a peer or a file
 * goes through range_make(), the one place that checks overflow.
 */
#ifndef AIRLOCK_BASE_RANGE_H
#define AIRLOCK_BASE_RANGE_H

#include <errno.h>

#include "base/types.h"

struct range {
	uint64_t first;
	uint64_t last; /* inclusive */
};

/* 0, or -EINVAL for an empty range, -EOVERFLOW for one that wraps. *out is untouched on error. */
static inline int range_make(uint64_t first, uint64_t len, struct range *out)
{
	uint64_t last;

	if (!len)
		return -EINVAL;
	if (__builtin_add_overflow(first, len - 1, &last))
		return -EOVERFLOW;
	*out = (struct range){ first, last };
	return 0;
}

/* For constants and sizes already known good. */
static inline struct range range_of(uint64_t first, uint64_t len)
{
	return (struct range){ first, first + (len - 1) };
}

/* 0 stands for 2^64: the one length that does not fit. */
static inline uint64_t range_len(struct range r)
{
	return r.last - r.first + 1;
}

static inline bool range_has(struct range r, uint64_t addr)
{
	return r.first <= addr && addr <= r.last;
}

static inline bool range_contains(struct range outer, struct range inner)
{
	return outer.first <= inner.first && inner.last <= outer.last;
}

static inline bool range_overlaps(struct range a, struct range b)
{
	return a.first <= b.last && b.first <= a.last;
}

#endif
