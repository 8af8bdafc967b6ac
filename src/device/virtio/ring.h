/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What both layouts of a ring share. */
#ifndef AIRLOCK_DEVICE_VIRTIO_RING_H
#define AIRLOCK_DEVICE_VIRTIO_RING_H

#include <errno.h>

#include "device/virtio/virtio.h"

/*
 * Where a field of the ring lies, inside a section; NULL where the device may not reach it. `len`
 * bytes that do not cross a page: fields are aligned to their size.
 */
static inline void *ring_at(struct virtio_queue *q, uint64_t addr, uint64_t len,
			    unsigned int access)
{
	struct iovec iov;
	unsigned int nr;
	uint64_t covered;

	if (pci_dma_map(&q->dev->dma, addr, len, access, &iov, 1, &nr, &covered) || covered < len)
		return NULL;
	return iov.iov_base;
}

static inline uint16_t ring_load(const void *at)
{
	return le16toh(__atomic_load_n((const uint16_t *)at, __ATOMIC_ACQUIRE));
}

static inline void ring_store(void *at, uint16_t v)
{
	__atomic_store_n((uint16_t *)at, htole16(v), __ATOMIC_RELEASE);
}

/* One 16-bit field, in a section of its own: its value, or -EFAULT. */
int ring_get(struct virtio_queue *q, uint64_t addr);
int ring_put(struct virtio_queue *q, uint64_t addr, uint16_t v);

/*
 * Adds a descriptor to the chain. 0; -EPROTO for a readable one behind a writable one (2.7.4.2,
 * 2.8.17), or more than VIRTIO_PIECES_MAX.
 */
int ring_add(struct virtio_chain *chain, uint64_t addr, uint32_t len, bool writable,
	     const char **why);
/* Reads an indirect table into q->table: the number of descriptors, or -EPROTO, -EFAULT. */
int ring_read_table(struct virtio_queue *q, uint64_t addr, uint32_t len, const char **why);

/* 2.7.10, 2.8.14: whether moving from `old` to `now` passed the entry `event`. */
static inline bool ring_event(uint16_t event, uint16_t now, uint16_t old)
{
	return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

#endif
