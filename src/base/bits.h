/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bits, fields and small integer helpers. Masks are compile-time constants; a field's position
 * is part of its mask, so it is written down once.
 */
#ifndef AIRLOCK_BASE_BITS_H
#define AIRLOCK_BASE_BITS_H

#include "base/types.h"

#define BIT(n)	 (1u << (n))
#define BIT64(n) (1ull << (n))
/* Bits h..l, both inclusive. */
#define GENMASK(h, l)			((~0u >> (31 - (h))) & (~0u << (l)))
#define GENMASK64(h, l)			((~0ull >> (63 - (h))) & (~0ull << (l)))

#define FIELD_GET(mask, reg)		(((reg) & (mask)) >> __builtin_ctzll(mask))
#define FIELD_PREP(mask, val)		(((__typeof__(mask))(val) << __builtin_ctzll(mask)) & (mask))

#define ARRAY_SIZE(a)			(sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define likely(x)			__builtin_expect(!!(x), 1)
#define unlikely(x)			__builtin_expect(!!(x), 0)

#define KIB(n)				((uint64_t)(n) << 10)
#define MIB(n)				((uint64_t)(n) << 20)
#define GIB(n)				((uint64_t)(n) << 30)
#define PAGE_SHIFT			12
#define PAGE_SIZE			(1ull << PAGE_SHIFT)
#define PAGE_MASK			(~(PAGE_SIZE - 1))

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline bool is_power_of_2(uint64_t v)
{
	return v && !(v & (v - 1));
}

/* align is a power of two. align_up wraps to 0 past the last multiple: check before if it can. */
static inline uint64_t align_down(uint64_t v, uint64_t align)
{
	return v & ~(align - 1);
}

static inline uint64_t align_up(uint64_t v, uint64_t align)
{
	return (v + align - 1) & ~(align - 1);
}

static inline bool is_aligned(uint64_t v, uint64_t align)
{
	return !(v & (align - 1));
}

/* The low `bytes` bytes set: 1 -> 0xff, 8 -> all. bytes is 1..8. */
static inline uint64_t bytes_mask(unsigned int bytes)
{
	return ~0ull >> (64 - 8 * bytes);
}

#endif
