/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a remapping unit itself reads and writes memory: tables, queues, descriptors. Guest-physical
 * memory is a few windows of host memory, looked through inline; what lies in none of them goes to
 * an ops table, or is an error. A test needs nothing but an array.
 *
 * Guests change their tables while they are walked. Everything of eight bytes is loaded and stored
 * with single-copy atomicity, as the specifications demand of hardware; larger structures are read
 * in pieces of eight, once, and judged afterwards.
 *
 * A struct iommu_mem is constant after it is set up: look-ups take no lock.
 */
#ifndef AIRLOCK_IOMMU_MEM_H
#define AIRLOCK_IOMMU_MEM_H

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/types.h"

#define IOMMU_WINDOWS_MAX 4

/* Host memory that shows at [first, first + size). size is a multiple of 8. */
struct iommu_window {
	uint64_t first, size;
	uint8_t *host;
};

/* 0, or -EFAULT where there is no memory. Addresses are aligned to the size of the access. */
struct iommu_mem_ops {
	int (*load64)(void *opaque, uint64_t addr, uint64_t *value);
	int (*store64)(void *opaque, uint64_t addr, uint64_t value);
	int (*store32)(void *opaque, uint64_t addr, uint32_t value);
	/* *expected holds what was found when it fails with -EAGAIN. */
	int (*cmpxchg64)(void *opaque, uint64_t addr, uint64_t *expected, uint64_t desired);
};

struct iommu_mem {
	unsigned int nr_windows;
	struct iommu_window windows[IOMMU_WINDOWS_MAX];
	const struct iommu_mem_ops *ops; /* NULL: nothing outside the windows */
	void *opaque;
};

/* Host address of [addr, addr + len), or NULL unless one window holds all of it. len > 0. */
static inline void *iommu_mem_host(const struct iommu_mem *mem, uint64_t addr, uint64_t len)
{
	for (unsigned int i = 0; i < mem->nr_windows; i++) {
		const struct iommu_window *w = &mem->windows[i];
		uint64_t offset = addr - w->first;

		if (likely(offset < w->size) && likely(len <= w->size - offset))
			return w->host + offset;
	}
	return NULL;
}

/* addr is aligned to 8. Partners with the guest's store of a table entry. */
static inline int iommu_mem_load64(const struct iommu_mem *mem, uint64_t addr, uint64_t *value)
{
	const uint64_t *p = iommu_mem_host(mem, addr, 8);

	if (likely(p)) {
		*value = le64toh(__atomic_load_n(p, __ATOMIC_ACQUIRE));
		return 0;
	}
	return mem->ops ? mem->ops->load64(mem->opaque, addr, value) : -EFAULT;
}

static inline int iommu_mem_store64(const struct iommu_mem *mem, uint64_t addr, uint64_t value)
{
	uint64_t *p = iommu_mem_host(mem, addr, 8);

	if (likely(p)) {
		__atomic_store_n(p, htole64(value), __ATOMIC_RELEASE);
		return 0;
	}
	return mem->ops ? mem->ops->store64(mem->opaque, addr, value) : -EFAULT;
}

/* addr is aligned to 4. */
static inline int iommu_mem_store32(const struct iommu_mem *mem, uint64_t addr, uint32_t value)
{
	uint32_t *p = iommu_mem_host(mem, addr, 4);

	if (likely(p)) {
		__atomic_store_n(p, htole32(value), __ATOMIC_RELEASE);
		return 0;
	}
	return mem->ops ? mem->ops->store32(mem->opaque, addr, value) : -EFAULT;
}

/* 0; -EAGAIN with *expected as found; -EFAULT. addr is aligned to 8. */
static inline int iommu_mem_cmpxchg64(const struct iommu_mem *mem, uint64_t addr,
				      uint64_t *expected, uint64_t desired)
{
	uint64_t *p = iommu_mem_host(mem, addr, 8);
	uint64_t old = htole64(*expected);

	if (unlikely(!p))
		return mem->ops ? mem->ops->cmpxchg64(mem->opaque, addr, expected, desired)
				: -EFAULT;
	if (__atomic_compare_exchange_n(p, &old, htole64(desired), false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return 0;
	*expected = le64toh(old);
	return -EAGAIN;
}

/* nr words from addr, each atomic by itself. addr is aligned to 8. */
static inline int iommu_mem_load(const struct iommu_mem *mem, uint64_t addr, uint64_t *words,
				 unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		int err = iommu_mem_load64(mem, addr + 8 * i, &words[i]);

		if (err)
			return err;
	}
	return 0;
}

#endif
