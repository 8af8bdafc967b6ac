// SPDX-License-Identifier: GPL-2.0-or-later
/* Packed virtqueues (VIRTIO 1.2, 2.8). */
#include "device/virtio/ring.h"

/* 15-bit offset and wrap counter, as the event structures have them (2.8.14). */
static uint16_t packed_event(uint16_t at, bool wrap)
{
	return (uint16_t)(at | (wrap ? VIRTIO_EVENT_WRAP : 0));
}

static void packed_advance(const struct virtio_queue *q, uint16_t *at, bool *wrap, uint16_t by)
{
	*at = (uint16_t)(*at + by);
	if (*at < q->num)
		return;
	*at = (uint16_t)(*at - q->num);
	*wrap = !*wrap;
}

/* Made available in this round, and not used yet (2.8.1). */
static bool packed_is_avail(uint16_t flags, bool wrap)
{
	bool avail = flags & VIRTIO_DESC_AVAIL, used = flags & VIRTIO_DESC_USED;

	return avail == wrap && used != wrap;
}

/* The indirect descriptor is the only one of its list (2.8.19). */
static bool packed_may_be_indirect(struct virtio_queue *q, uint16_t flags, unsigned int seen)
{
	return !seen && !(flags & VIRTIO_DESC_NEXT) && virtio_has(q->dev, VIRTIO_F_INDIRECT_DESC);
}

/* The list from q->avail on: 0, 1 when *desc is an indirect one. Inside a section. */
static int packed_gather(struct virtio_queue *q, struct virtio_chain *chain,
			 struct virtio_packed_desc *desc, const char **why)
{
	uint16_t at = q->avail, flags;
	bool wrap = q->avail_wrap;
	int err;

	for (unsigned int seen = 0; seen < q->num; seen++) {
		const struct virtio_packed_desc *there =
			ring_at(q, q->at_desc + (uint64_t)VIRTIO_DESC_LEN * at, VIRTIO_DESC_LEN,
				IOMMU_READ);

		if (!there) {
			*why = "its descriptors are not memory of the device";
			return -EFAULT;
		}
		memcpy(desc, there, sizeof(*desc));
		chain->slots++;
		chain->id = le16_get(desc->id);
		packed_advance(q, &at, &wrap, 1);
		flags = le16_get(desc->flags);
		if (flags & VIRTIO_DESC_INDIR) {
			if (packed_may_be_indirect(q, flags, seen))
				return 1;
			*why = "an indirect descriptor where none may be";
			return -EPROTO;
		}
		err = ring_add(chain, le64_get(desc->addr), le32_get(desc->len),
			       flags & VIRTIO_DESC_WRITE, why);
		if (err || !(flags & VIRTIO_DESC_NEXT))
			return err;
	}
	*why = "a list of descriptors that does not end";
	return -EPROTO;
}

/* 1 when there is a descriptor at q->avail. Inside a section. */
static int packed_look(struct virtio_queue *q, const char **why)
{
	const void *flags = ring_at(q,
				    q->at_desc + (uint64_t)VIRTIO_DESC_LEN * q->avail +
					    offsetof(struct virtio_packed_desc, flags),
				    2, IOMMU_READ);

	if (!flags) {
		*why = "its descriptors are not memory of the device";
		return -EFAULT;
	}
	/* Before the rest of the descriptor, which the driver wrote first. */
	return packed_is_avail(ring_load(flags), q->avail_wrap);
}

/* Of an indirect table only the addresses, lengths and WRITE count (2.8.7). */
static int packed_add_table(struct virtio_queue *q, unsigned int nr, struct virtio_chain *chain,
			    const char **why)
{
	for (unsigned int i = 0; i < nr; i++) {
		struct virtio_packed_desc desc;
		int err;

		memcpy(&desc, &q->table[i], sizeof(desc));
		err = ring_add(chain, le64_get(desc.addr), le32_get(desc.len),
			       le16_get(desc.flags) & VIRTIO_DESC_WRITE, why);
		if (err)
			return err;
	}
	return 0;
}

static int packed_take(struct virtio_queue *q, struct virtio_chain *chain, const char **why)
{
	struct virtio_packed_desc desc;
	int r = pci_dma_begin(&q->dev->dma);

	if (r)
		return 0;
	chain->slots = 0;
	r = packed_look(q, why);
	if (!r) {
		pci_dma_end(&q->dev->dma);
		return 0;
	}
	if (r > 0)
		r = packed_gather(q, chain, &desc, why);
	pci_dma_end(&q->dev->dma);
	if (r > 0) {
		r = ring_read_table(q, le64_get(desc.addr), le32_get(desc.len), why);
		if (r > 0)
			r = packed_add_table(q, (unsigned int)r, chain, why);
	}
	if (r < 0)
		return r;
	packed_advance(q, &q->avail, &q->avail_wrap, chain->slots);
	return 1;
}

static int packed_give(struct virtio_queue *q, const struct virtio_used *used)
{
	struct virtio_packed_desc *at;
	uint16_t flags = q->used_wrap ? VIRTIO_DESC_AVAIL | VIRTIO_DESC_USED : 0;
	int err = -EFAULT;

	if (used->len)
		flags |= VIRTIO_DESC_WRITE;
	if (pci_dma_begin(&q->dev->dma))
		return -EPERM;
	at = ring_at(q, q->at_desc + (uint64_t)VIRTIO_DESC_LEN * q->used, VIRTIO_DESC_LEN,
		     IOMMU_READ | IOMMU_WRITE);
	if (at) {
		at->id = le16_make(used->id);
		at->len = le32_make(used->len);
		/* Last: with it the descriptor is the driver's again. */
		ring_store(&at->flags, flags);
		packed_advance(q, &q->used, &q->used_wrap, used->slots);
		err = 0;
	}
	pci_dma_end(&q->dev->dma);
	return err;
}

static int packed_show(struct virtio_queue *q)
{
	uint16_t old = q->signalled, now = q->used, event;
	bool valid = q->signalled_valid;
	int flags, desc;

	q->signalled = now;
	q->signalled_valid = true;
	/* The descriptors before the look at what the driver wants (2.8.14). */
	atomic_thread_fence(memory_order_seq_cst);
	flags = ring_get(q, q->at_driver + VIRTIO_EVENT_AT_FLAGS);
	if (flags < 0)
		return flags;
	flags &= VIRTIO_EVENT_MASK;
	if (flags != VIRTIO_EVENT_DESC || !q->event_idx)
		return flags != VIRTIO_EVENT_DISABLE;
	desc = ring_get(q, q->at_driver + VIRTIO_EVENT_AT_DESC);
	if (desc < 0 || !valid)
		return desc < 0 ? desc : 1;
	/* Counted from the round that `now` is in; the driver's event may be in the one before. */
	event = (uint16_t)desc & (uint16_t)~VIRTIO_EVENT_WRAP;
	if (!!(desc & VIRTIO_EVENT_WRAP) != q->used_wrap)
		event = (uint16_t)(event - q->num);
	if (old >= now) /* All the way round, too: something was given. */
		old = (uint16_t)(old - q->num);
	return ring_event(event, now, old);
}

static int packed_suppress(struct virtio_queue *q, bool off)
{
	int err;

	if (off || !q->event_idx)
		return ring_put(q, q->at_device + VIRTIO_EVENT_AT_FLAGS,
				off ? VIRTIO_EVENT_DISABLE : VIRTIO_EVENT_ENABLE);
	err = ring_put(q, q->at_device + VIRTIO_EVENT_AT_DESC,
		       packed_event(q->avail, q->avail_wrap));
	return err ? err : ring_put(q, q->at_device + VIRTIO_EVENT_AT_FLAGS, VIRTIO_EVENT_DESC);
}

static int packed_peek(struct virtio_queue *q)
{
	const char *why;
	int r = pci_dma_begin(&q->dev->dma);

	if (r)
		return 0;
	r = packed_look(q, &why);
	pci_dma_end(&q->dev->dma);
	return r;
}

const struct virtio_ring virtio_ring_packed = {
	.desc_align = 16,
	.driver_align = 4,
	.device_align = 4,
	.take = packed_take,
	.give = packed_give,
	.show = packed_show,
	.suppress = packed_suppress,
	.peek = packed_peek,
};
