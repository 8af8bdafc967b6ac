// SPDX-License-Identifier: GPL-2.0-or-later
/* Split virtqueues (VIRTIO 1.2, 2.7). */
#include "device/virtio/ring.h"

static uint64_t split_avail(const struct virtio_queue *q, uint16_t i)
{
	return q->at_driver + VIRTIO_SPLIT_RING + (uint64_t)VIRTIO_AVAIL_LEN * (i % q->num);
}

/* Behind the avail ring: where the driver wants to be interrupted (2.7.6). */
static uint64_t split_used_event(const struct virtio_queue *q)
{
	return q->at_driver + VIRTIO_SPLIT_RING + (uint64_t)VIRTIO_AVAIL_LEN * q->num;
}

/* Behind the used ring: where the device wants to be notified (2.7.8). */
static uint64_t split_avail_event(const struct virtio_queue *q)
{
	return q->at_device + VIRTIO_SPLIT_RING + (uint64_t)VIRTIO_USED_LEN * q->num;
}

/* Follows the list that begins at `head` in a table of `nr`: at most nr of them, so loops end. */
static int split_walk(const struct virtio_desc *table, unsigned int nr, unsigned int head,
		      struct virtio_chain *chain, const char **why)
{
	for (unsigned int seen = 0; seen < nr; seen++) {
		const struct virtio_desc *d = &table[head];
		uint16_t flags = le16_get(d->flags);
		int err;

		if (flags & VIRTIO_DESC_INDIR) {
			*why = "an indirect table inside an indirect table";
			return -EPROTO;
		}
		err = ring_add(chain, le64_get(d->addr), le32_get(d->len),
			       flags & VIRTIO_DESC_WRITE, why);
		if (err || !(flags & VIRTIO_DESC_NEXT))
			return err;
		head = le16_get(d->next);
		if (head >= nr) {
			*why = "a descriptor's next is outside of its table";
			return -EPROTO;
		}
	}
	*why = "a list of descriptors that does not end";
	return -EPROTO;
}

/* One descriptor of the ring, copied once. Inside a section. */
static int split_desc(struct virtio_queue *q, unsigned int i, struct virtio_desc *desc)
{
	const void *at =
		ring_at(q, q->at_desc + (uint64_t)VIRTIO_DESC_LEN * i, VIRTIO_DESC_LEN, IOMMU_READ);

	if (!at)
		return -EFAULT;
	memcpy(desc, at, sizeof(*desc));
	return 0;
}

/* The direct descriptors; 1 when the last is an indirect one, which is then in *desc. In a section. */
static int split_gather(struct virtio_queue *q, unsigned int head, struct virtio_chain *chain,
			struct virtio_desc *desc, const char **why)
{
	for (unsigned int seen = 0; seen < q->num; seen++) {
		uint16_t flags;
		int err = split_desc(q, head, desc);

		if (err) {
			*why = "its descriptors are not memory of the device";
			return err;
		}
		flags = le16_get(desc->flags);
		if (flags & VIRTIO_DESC_INDIR) {
			if (flags & VIRTIO_DESC_NEXT ||
			    !virtio_has(q->dev, VIRTIO_F_INDIRECT_DESC)) {
				*why = "an indirect descriptor where none may be";
				return -EPROTO;
			}
			return 1;
		}
		err = ring_add(chain, le64_get(desc->addr), le32_get(desc->len),
			       flags & VIRTIO_DESC_WRITE, why);
		if (err || !(flags & VIRTIO_DESC_NEXT))
			return err;
		head = le16_get(desc->next);
		if (head >= q->num) {
			*why = "a descriptor's next is outside of its table";
			return -EPROTO;
		}
	}
	*why = "a list of descriptors that does not end";
	return -EPROTO;
}

/* The next head: 1, 0 when there is none. Inside a section. */
static int split_head(struct virtio_queue *q, uint16_t *head, const char **why)
{
	const void *idx = ring_at(q, q->at_driver + VIRTIO_SPLIT_IDX, 2, IOMMU_READ);
	const void *entry = ring_at(q, split_avail(q, q->avail), 2, IOMMU_READ);
	uint16_t there;

	if (!idx || !entry) {
		*why = "its avail ring is not memory of the device";
		return -EFAULT;
	}
	/* Before the entry and the descriptors, which the driver wrote first. */
	there = (uint16_t)(ring_load(idx) - q->avail);
	if (!there)
		return 0;
	if (there > q->num) {
		*why = "more buffers than the ring has room for";
		return -EPROTO;
	}
	*head = ring_load(entry);
	if (*head >= q->num) {
		*why = "a head outside of the descriptor table";
		return -EPROTO;
	}
	return 1;
}

static int split_take(struct virtio_queue *q, struct virtio_chain *chain, const char **why)
{
	struct virtio_desc desc;
	uint16_t head = 0;
	int r = pci_dma_begin(&q->dev->dma);

	/* Without bus mastering there is no ring to look at; that is no fault of the ring's. */
	if (r)
		return 0;
	r = split_head(q, &head, why);
	if (r > 0) {
		chain->id = head;
		chain->slots = 1;
		r = split_gather(q, head, chain, &desc, why);
	} else if (!r) {
		pci_dma_end(&q->dev->dma);
		return 0;
	}
	pci_dma_end(&q->dev->dma);
	if (r > 0) {
		r = ring_read_table(q, le64_get(desc.addr), le32_get(desc.len), why);
		if (r > 0)
			r = split_walk(q->table, (unsigned int)r, 0, chain, why);
	}
	if (r < 0)
		return r;
	q->avail++;
	return 1;
}

static int split_give(struct virtio_queue *q, const struct virtio_used *used)
{
	uint64_t addr =
		q->at_device + VIRTIO_SPLIT_RING + (uint64_t)VIRTIO_USED_LEN * (q->used % q->num);
	le32 id = le32_make(used->id), len = le32_make(used->len);
	void *first, *second;

	if (pci_dma_begin(&q->dev->dma))
		return -EPERM;
	/* An entry is aligned to 4 only: its halves may lie on two pages. */
	first = ring_at(q, addr, 4, IOMMU_WRITE);
	second = ring_at(q, addr + 4, 4, IOMMU_WRITE);
	if (first && second) {
		memcpy(first, &id, 4);
		memcpy(second, &len, 4);
		q->used++;
	}
	pci_dma_end(&q->dev->dma);
	return first && second ? 0 : -EFAULT;
}

static int split_show(struct virtio_queue *q)
{
	uint16_t old = q->signalled;
	bool valid = q->signalled_valid;
	int r = ring_put(q, q->at_device + VIRTIO_SPLIT_IDX, q->used);

	if (r < 0)
		return r;
	q->signalled = q->used;
	q->signalled_valid = true;
	/* The index before the look at what the driver wants: partner of its own barrier (2.7.7.1). */
	atomic_thread_fence(memory_order_seq_cst);
	if (!q->event_idx) {
		r = ring_get(q, q->at_driver + VIRTIO_SPLIT_FLAGS);
		return r < 0 ? r : !(r & VIRTIO_AVAIL_NO_INTERRUPT);
	}
	r = ring_get(q, split_used_event(q));
	return r < 0 ? r : !valid || ring_event((uint16_t)r, q->used, old);
}

static int split_suppress(struct virtio_queue *q, bool off)
{
	/* With event indices nothing need be said: the driver has passed the last one. */
	if (q->event_idx)
		return off ? 0 : ring_put(q, split_avail_event(q), q->avail);
	return ring_put(q, q->at_device + VIRTIO_SPLIT_FLAGS, off ? VIRTIO_USED_NO_NOTIFY : 0);
}

static int split_peek(struct virtio_queue *q)
{
	int idx = ring_get(q, q->at_driver + VIRTIO_SPLIT_IDX);

	return idx < 0 ? idx : idx != q->avail;
}

const struct virtio_ring virtio_ring_split = {
	.desc_align = 16,
	.driver_align = 2,
	.device_align = 4,
	.take = split_take,
	.give = split_give,
	.show = split_show,
	.suppress = split_suppress,
	.peek = split_peek,
};
