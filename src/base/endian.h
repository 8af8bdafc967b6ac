/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Little-endian integers as they lie in a guest or wire layout. A le32 is not a uint32_t: the
 * compiler refuses the mix, and the accessors are the only way in and out. They are unaligned-safe.
 */
#ifndef AIRLOCK_BASE_ENDIAN_H
#define AIRLOCK_BASE_ENDIAN_H

#include <endian.h>
#include <string.h>

#include "base/types.h"

typedef struct {
	uint16_t raw;
} __attribute__((packed)) le16;
typedef struct {
	uint32_t raw;
} __attribute__((packed)) le32;
typedef struct {
	uint64_t raw;
} __attribute__((packed)) le64;

static inline uint16_t le16_get(le16 v)
{
	return le16toh(v.raw);
}

static inline uint32_t le32_get(le32 v)
{
	return le32toh(v.raw);
}

static inline uint64_t le64_get(le64 v)
{
	return le64toh(v.raw);
}

static inline le16 le16_make(uint16_t v)
{
	return (le16){ htole16(v) };
}

static inline le32 le32_make(uint32_t v)
{
	return (le32){ htole32(v) };
}

static inline le64 le64_make(uint64_t v)
{
	return (le64){ htole64(v) };
}

/* Load and store 1..8 bytes, little-endian, at any alignment. */
static inline uint64_t le_load(const void *p, unsigned int bytes)
{
	uint64_t v = 0;

	memcpy(&v, p, bytes);
	return le64toh(v);
}

static inline void le_store(void *p, unsigned int bytes, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, bytes);
}

#endif
