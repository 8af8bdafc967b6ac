// SPDX-License-Identifier: GPL-2.0-or-later
/* A queue's life on the loop: buffers taken and given back, the driver told. */
#include <string.h>

#include "base/bug.h"
#include "device/virtio/ring.h"

int ring_get(struct virtio_queue *q, uint64_t addr)
{
	const void *at;
	int v = -EFAULT;

	if (pci_dma_begin(&q->dev->dma))
		return -EPERM;
	at = ring_at(q, addr, 2, IOMMU_READ);
	if (at)
		v = ring_load(at);
	pci_dma_end(&q->dev->dma);
	return v;
}

int ring_put(struct virtio_queue *q, uint64_t addr, uint16_t v)
{
	void *at;

	if (pci_dma_begin(&q->dev->dma))
		return -EPERM;
	at = ring_at(q, addr, 2, IOMMU_WRITE);
	if (at)
		ring_store(at, v);
	pci_dma_end(&q->dev->dma);
	return at ? 0 : -EFAULT;
}

int ring_add(struct virtio_chain *chain, uint64_t addr, uint32_t len, bool writable,
	     const char **why)
{
	unsigned int nr = (unsigned int)chain->nr_out + chain->nr_in;

	if (!writable && chain->nr_in) {
		*why = "a readable descriptor behind a writable one";
		return -EPROTO;
	}
	/* Nothing to read or write there. */
	if (!len)
		return 0;
	if (nr == VIRTIO_PIECES_MAX) {
		*why = "a list of more descriptors than the device takes";
		return -EPROTO;
	}
	chain->pieces[nr] = (struct virtio_piece){ addr, len };
	if (writable) {
		chain->nr_in++;
		chain->in_len += len;
	} else {
		chain->nr_out++;
		chain->out_len += len;
	}
	return 0;
}

int ring_read_table(struct virtio_queue *q, uint64_t addr, uint32_t len, const char **why)
{
	unsigned int nr = len / VIRTIO_DESC_LEN;
	int err;

	/* 2.7.5.3.1: of a length that is a multiple of 16; 2.7.5.3.2, not without any. */
	if (!len || len % VIRTIO_DESC_LEN || nr > VIRTIO_PIECES_MAX) {
		*why = "an indirect table of a length that cannot be";
		return -EPROTO;
	}
	err = pci_dma_read(&q->dev->dma, addr, q->table, len);
	if (err) {
		*why = "its indirect table is not memory of the device";
		return err;
	}
	return (int)nr;
}

void virtio_queue_clear(struct virtio_queue *q)
{
	q->live = false;
	q->avail = q->used = q->signalled = 0;
	q->avail_wrap = q->used_wrap = true; /* 2.8.1 */
	q->signalled_valid = false;
	q->next_seq = q->order_seq = 0;
	q->nr_taken = q->nr_given = 0;
	memset(q->order, 0, sizeof(q->order));
}

int virtio_queue_start(struct virtio_queue *q, const char **why)
{
	bool packed = virtio_has(q->dev, VIRTIO_F_RING_PACKED);
	const struct virtio_ring *ring = packed ? &virtio_ring_packed : &virtio_ring_split;

	if (!is_aligned(q->desc, ring->desc_align) || !is_aligned(q->driver, ring->driver_align) ||
	    !is_aligned(q->device, ring->device_align)) {
		*why = "its parts are not aligned";
		return -EINVAL;
	}
	if (!packed && !is_power_of_2(q->size)) {
		*why = "its size is not a power of two";
		return -EINVAL;
	}
	q->num = q->size;
	q->at_desc = q->desc;
	q->at_driver = q->driver;
	q->at_device = q->device;
	q->ring = ring;
	q->event_idx = virtio_has(q->dev, VIRTIO_F_EVENT_IDX);
	q->in_order = virtio_has(q->dev, VIRTIO_F_IN_ORDER);
	q->notify_on = true;
	q->live = true;
	return 0;
}

/* The ring cannot be used any more; without bus mastering it is only out of reach for now. */
static void queue_break(struct virtio_queue *q, int err, const char *why)
{
	if (err != -EPERM)
		virtio_break(q->dev, "queue %u: %s", q->index, why);
}

int virtio_queue_pop(struct virtio_queue *q, struct virtio_chain *chain)
{
	const char *why = "it cannot be read";
	int r;

	if (!q->live || q->dev->broken)
		return 0;
	/* All of it is taken already: what seems to be there was never made available. */
	if (q->nr_taken == q->num) {
		r = q->ring->peek(q);
		if (r > 0)
			virtio_break(q->dev, "queue %u: more buffers than the ring has room for",
				     q->index);
		return 0;
	}
	chain->queue = q;
	chain->nr_out = chain->nr_in = 0;
	chain->out_len = chain->in_len = 0;
	r = q->ring->take(q, chain, &why);
	if (r < 0) {
		queue_break(q, r, why);
		return 0;
	}
	if (!r)
		return 0;
	chain->seq = q->next_seq++;
	q->nr_taken++;
	return 1;
}

static void queue_give(struct virtio_queue *q, const struct virtio_used *used)
{
	int err = q->ring->give(q, used);

	if (err)
		queue_break(q, err, "its used entries are not memory of the device");
	q->nr_given++;
	q->nr_taken--;
}

void virtio_queue_push(struct virtio_queue *q, const struct virtio_chain *chain, uint32_t written)
{
	struct virtio_used used = {
		.done = true,
		.id = chain->id,
		.slots = chain->slots,
		.len = written,
	};

	BUG_ON(!q->nr_taken);
	if (!q->live || q->dev->broken)
		return;
	if (!q->in_order) {
		queue_give(q, &used);
		return;
	}
	/* Kept until all that came before it are done (2.7.9, 2.8.8). */
	q->order[chain->seq % VIRTIO_QUEUE_SIZE] = used;
	while (q->order[q->order_seq % VIRTIO_QUEUE_SIZE].done) {
		struct virtio_used *next = &q->order[q->order_seq++ % VIRTIO_QUEUE_SIZE];

		next->done = false;
		queue_give(q, next);
	}
}

void virtio_queue_flush(struct virtio_queue *q)
{
	int r;

	if (!q->live || q->dev->broken)
		return;
	if (!q->nr_given)
		return;
	q->nr_given = 0;
	r = q->ring->show(q);
	if (r < 0)
		queue_break(q, r, "its event fields are not memory of the device");
	else if (r)
		virtio_interrupt(q->dev, (uint16_t)atomic_load(&q->live_vector), VIRTIO_ISR_QUEUE);
}

void virtio_queue_suppress(struct virtio_queue *q)
{
	int err;

	if (!q->live || q->dev->broken || !q->notify_on)
		return;
	q->notify_on = false;
	err = q->ring->suppress(q, true);
	if (err)
		queue_break(q, err, "its event fields are not memory of the device");
}

bool virtio_queue_resume(struct virtio_queue *q)
{
	int r;

	if (!q->live || q->dev->broken)
		return false;
	q->notify_on = true;
	r = q->ring->suppress(q, false);
	if (!r) {
		/* Said before the last look: partner of the driver's barrier (2.7.10.1, 2.8.21.3). */
		atomic_thread_fence(memory_order_seq_cst);
		r = q->ring->peek(q);
	}
	if (r < 0)
		queue_break(q, r, "its event fields are not memory of the device");
	return r > 0;
}

void virtio_queue_serve(struct virtio_queue *q, bool (*take)(void *opaque), void *opaque)
{
	do {
		virtio_queue_suppress(q);
		while (take(opaque))
			;
	} while (virtio_queue_resume(q));
}

void virtio_queue_ring(struct virtio_queue *q)
{
	struct virtio_device *dev = q->dev;

	atomic_fetch_add_explicit(&dev->nr_notifies, 1, memory_order_relaxed);
	if (q->live && !dev->broken && !dev->quiesced)
		dev->ops->notify(dev, q);
}

/* ---- buffers ---- */

typedef int (*chain_fn)(struct pci_dma *dma, uint64_t addr, void *buf, uint64_t len);

static int chain_out(struct pci_dma *dma, uint64_t addr, void *buf, uint64_t len)
{
	return pci_dma_read(dma, addr, buf, len);
}

static int chain_in(struct pci_dma *dma, uint64_t addr, void *buf, uint64_t len)
{
	return pci_dma_write(dma, addr, buf, len);
}

static int chain_copy(const struct virtio_chain *chain, const struct virtio_piece *piece,
		      unsigned int nr, uint64_t at, uint8_t *buf, uint64_t len, chain_fn fn)
{
	for (unsigned int i = 0; i < nr && len; i++) {
		uint64_t n;
		int err;

		if (at >= piece[i].len) {
			at -= piece[i].len;
			continue;
		}
		n = min_u64(piece[i].len - at, len);
		err = fn(&chain->queue->dev->dma, piece[i].addr + at, buf, n);
		if (err)
			return err;
		at = 0;
		buf += n;
		len -= n;
	}
	return len ? -EINVAL : 0;
}

int virtio_chain_read(const struct virtio_chain *chain, uint64_t at, void *buf, uint64_t len)
{
	return chain_copy(chain, chain->pieces, chain->nr_out, at, buf, len, chain_out);
}

int virtio_chain_write(const struct virtio_chain *chain, uint64_t at, const void *buf, uint64_t len)
{
	/* Only read from: the one function serves both ways. */
	return chain_copy(chain, chain->pieces + chain->nr_out, chain->nr_in, at,
			  (uint8_t *)(uintptr_t)buf, len, chain_in);
}

/* In the open section: the host's pieces, and the ends of the device's addresses. */
static int chain_map(const struct virtio_chain *chain, bool writable, uint64_t at, uint64_t len,
		     struct iovec *iov, unsigned int max, unsigned int *nr, struct range *all)
{
	const struct virtio_piece *piece = chain->pieces + (writable ? chain->nr_out : 0);
	unsigned int pieces = writable ? chain->nr_in : chain->nr_out;
	struct pci_dma *dma = &chain->queue->dev->dma;

	*nr = 0;
	*all = (struct range){ UINT64_MAX, 0 };
	for (unsigned int i = 0; i < pieces && len; i++) {
		uint64_t addr, n, covered;
		unsigned int found;
		int err;

		if (at >= piece[i].len) {
			at -= piece[i].len;
			continue;
		}
		addr = piece[i].addr + at;
		n = min_u64(piece[i].len - at, len);
		at = 0;
		if (*nr == max)
			return -E2BIG;
		err = pci_dma_map(dma, addr, n, writable ? IOMMU_WRITE : IOMMU_READ, iov + *nr,
				  max - *nr, &found, &covered);
		if (err)
			return err;
		if (covered < n)
			return -E2BIG;
		*nr += found;
		all->first = min_u64(all->first, addr);
		all->last = max_u64(all->last, addr + n - 1);
		len -= n;
	}
	return len ? -EINVAL : 0;
}

int virtio_chain_hold(const struct virtio_chain *chain, bool writable, uint64_t at, uint64_t len,
		      struct iovec *iov, unsigned int max, unsigned int *nr,
		      struct iommu_hold *hold)
{
	struct pci_dma *dma = &chain->queue->dev->dma;
	struct range all;
	int err = pci_dma_begin(dma);

	if (err)
		return err;
	err = chain_map(chain, writable, at, len, iov, max, nr, &all);
	if (!err)
		pci_dma_hold(dma, hold, all.first, all.last - all.first + 1);
	pci_dma_end(dma);
	return err;
}
