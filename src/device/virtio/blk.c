// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-blk. Data moves between the disk and guest memory itself; a request whose memory is wanted
 * back while the disk works on it, or that lies in too many pieces, goes through a buffer instead,
 * a slice at a time.
 */
#include "device/virtio/blk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/virtio/blk_regs.h"
#include "device/virtio/virtio.h"

#define BLK_CLASS   0x010000 /* mass storage, SCSI: what virtio disks have always said */
#define BLK_SEG_MAX (VIRTIO_QUEUE_SIZE - 2)
#define BLK_IOVS    256
#define BLK_SLICE   KIB(256)
#define BLK_STATUS  1 /* bytes behind the data */

struct blk;

struct blk_request {
	struct virtio_chain chain;
	struct block_request io;
	struct blk *blk;
	struct blk_request *next; /* free, or in flight */
	struct blk_request **link;
	uint64_t offset, len; /* of the whole transfer */
	uint64_t moved;	      /* through the buffer, so far */
	uint64_t skip;	      /* the header's length, before data that the device reads */
	void *slice;	      /* NULL: not through a buffer */
	bool held;
	struct iommu_hold hold;
	struct loop_work revoke;
	struct iovec iov[BLK_IOVS];
};

struct blk_queue {
	struct blk_request *requests, *free, *busy;
};

struct blk {
	struct virtio_device v; /* first */
	struct block *block;
	struct block_queue *disk;
	bool stopping; /* what is in flight ends, and does not go on */
	char serial[VIRTIO_BLK_ID_LEN];
	struct blk_queue *queues;
	unsigned int nr_queues;
};

static struct blk *blk_of(struct virtio_device *v)
{
	return (struct blk *)(void *)v;
}

struct pci_function *virtio_pci_function(struct device *dev)
{
	return &container_of(dev, struct virtio_device, dev)->fn;
}

/* ---- one request's end ---- */

static void request_unhold(struct blk_request *req)
{
	if (!req->held)
		return;
	req->held = false;
	/* After this no revoke is running; one that was posted is taken back. */
	iommu_hold_release(&req->hold);
	loop_cancel(req->blk->v.loop, &req->revoke);
}

static void request_end(struct blk_request *req, uint8_t status, uint64_t written)
{
	struct virtio_queue *q = req->chain.queue;
	struct blk_queue *bq = q->opaque;

	request_unhold(req);
	free(req->slice);
	req->slice = NULL;
	/* Where the status cannot be written the driver took its memory away: nobody waits for it. */
	virtio_chain_write(&req->chain, req->chain.in_len - BLK_STATUS, &status, sizeof(status));
	virtio_queue_push(q, &req->chain, (uint32_t)(written + BLK_STATUS));
	*req->link = req->next;
	if (req->next)
		req->next->link = req->link;
	req->next = bq->free;
	bq->free = req;
}

static uint8_t blk_status(int err)
{
	return err == -EOPNOTSUPP ? VIRTIO_BLK_S_UNSUPP
	       : err		  ? VIRTIO_BLK_S_IOERR
				  : VIRTIO_BLK_S_OK;
}

/* ---- through a buffer ---- */

static bool request_reads(const struct blk_request *req)
{
	return req->io.op == BLOCK_READ;
}

static void slice_done(struct block_request *io, int status);

/* The next slice; false when there is none left. */
static int slice_start(struct blk_request *req)
{
	uint64_t n = min_u64(req->len - req->moved, BLK_SLICE);
	int err = 0;

	if (!request_reads(req))
		err = virtio_chain_read(&req->chain, req->skip + req->moved, req->slice, n);
	if (err)
		return err;
	req->iov[0] = (struct iovec){ req->slice, n };
	req->io.offset = req->offset + req->moved;
	req->io.len = n;
	req->io.iov = req->iov;
	req->io.nr_iov = 1;
	req->io.done = slice_done;
	block_submit(req->blk->disk, &req->io);
	return 0;
}

static void slice_done(struct block_request *io, int status)
{
	struct blk_request *req = container_of(io, struct blk_request, io);

	if (!status && request_reads(req))
		status = virtio_chain_write(&req->chain, req->moved, req->slice, io->len);
	if (!status)
		req->moved += io->len;
	if (!status && req->moved < req->len && req->blk->stopping)
		status = -ECANCELED;
	if (!status && req->moved < req->len) {
		status = slice_start(req);
		if (!status) {
			block_kick(req->blk->disk);
			return;
		}
	}
	request_end(req, blk_status(status), !status && request_reads(req) ? req->len : 0);
}

/* All of it, from its beginning. */
static void request_slice(struct blk_request *req)
{
	int err;

	req->moved = 0;
	req->slice = aligned_alloc(PAGE_SIZE, BLK_SLICE);
	err = req->slice ? slice_start(req) : -ENOMEM;
	if (err)
		request_end(req, blk_status(err), 0);
}

/* ---- straight into guest memory ---- */

static void request_done(struct block_request *io, int status)
{
	struct blk_request *req = container_of(io, struct blk_request, io);
	bool revoked = req->held && status == -ECANCELED && !req->blk->stopping;

	request_unhold(req);
	/* The memory was wanted back, but the request stands. */
	if (revoked) {
		request_slice(req);
		block_kick(req->blk->disk);
		return;
	}
	request_end(req, blk_status(status), !status && request_reads(req) ? req->len : 0);
}

/* On the invalidating thread: the disk is asked on ours. */
static void request_revoke(struct iommu_hold *hold)
{
	struct blk_request *req = hold->opaque;

	loop_post(req->blk->v.loop, &req->revoke);
}

static void request_cancel(void *opaque)
{
	struct blk_request *req = opaque;

	if (req->held)
		block_cancel(req->blk->disk, &req->io);
}

static void request_move(struct blk_request *req)
{
	unsigned int nr, max = (unsigned int)min_u64(BLK_IOVS, req->blk->block->limits.max_iov);
	int err = -E2BIG;

	if (req->len <= req->blk->block->limits.max_transfer)
		err = virtio_chain_hold(&req->chain, request_reads(req), req->skip, req->len,
					req->iov, max, &nr, &req->hold);
	if (err == -E2BIG) {
		request_slice(req);
		return;
	}
	if (err) {
		request_end(req, blk_status(err), 0);
		return;
	}
	req->held = true;
	req->io.offset = req->offset;
	req->io.len = req->len;
	req->io.iov = req->iov;
	req->io.nr_iov = nr;
	req->io.done = request_done;
	block_submit(req->blk->disk, &req->io);
}

/* ---- what the driver asks for (5.2.6.2) ---- */

/* Without a flush command, or with the cache switched off, what is written is durable when done. */
static uint32_t blk_write_flags(const struct blk *blk)
{
	bool writeback = virtio_has(&blk->v, VIRTIO_BLK_F_FLUSH);

	if (virtio_has(&blk->v, VIRTIO_BLK_F_CONFIG_WCE))
		writeback = writeback && blk->v.config[VIRTIO_BLK_WRITEBACK];
	return writeback ? 0 : BLOCK_FUA;
}

/* Bytes from sectors: -EINVAL beyond the disk. */
static int blk_place(struct blk_request *req, uint64_t sector, uint64_t len)
{
	uint64_t capacity = req->blk->block->size >> VIRTIO_BLK_SECTOR_LG2;
	uint64_t sectors = len >> VIRTIO_BLK_SECTOR_LG2;

	if (!len || len & (BIT64(VIRTIO_BLK_SECTOR_LG2) - 1))
		return -EINVAL;
	if (sector > capacity || sectors > capacity - sector)
		return -EINVAL;
	req->offset = sector << VIRTIO_BLK_SECTOR_LG2;
	req->len = len;
	return 0;
}

static int blk_read_write(struct blk_request *req, bool write, uint64_t sector)
{
	uint64_t len = write ? req->chain.out_len - sizeof(struct virtio_blk_header)
			     : req->chain.in_len - BLK_STATUS;
	int err = blk_place(req, sector, len);

	if (!err && write && req->blk->block->readonly)
		err = -EROFS;
	if (err)
		return err;
	req->io.op = write ? BLOCK_WRITE : BLOCK_READ;
	req->io.flags = write ? blk_write_flags(req->blk) : 0;
	req->skip = write ? sizeof(struct virtio_blk_header) : 0;
	request_move(req);
	return 0;
}

static int blk_clear(struct blk_request *req, bool zeroes)
{
	const struct block_limits *limits = &req->blk->block->limits;
	struct virtio_blk_segment segment;
	uint32_t flags;
	int err;

	if (!virtio_has(&req->blk->v, zeroes ? VIRTIO_BLK_F_WRITE_ZEROES : VIRTIO_BLK_F_DISCARD))
		return -EOPNOTSUPP;
	/* One segment, as max_..._seg says. */
	if (req->chain.out_len != sizeof(struct virtio_blk_header) + sizeof(segment))
		return -EINVAL;
	err = virtio_chain_read(&req->chain, sizeof(struct virtio_blk_header), &segment,
				sizeof(segment));
	if (err)
		return err;
	flags = le32_get(segment.flags);
	/* 5.2.6.2: unknown flags, and unmap with a discard, are unsupported. */
	if (flags & ~(zeroes ? VIRTIO_BLK_SEGMENT_UNMAP : 0u))
		return -EOPNOTSUPP;
	err = blk_place(req, le64_get(segment.sector),
			(uint64_t)le32_get(segment.nr_sectors) << VIRTIO_BLK_SECTOR_LG2);
	if (!err && req->len > limits->max_discard)
		err = -EINVAL;
	if (!err && req->blk->block->readonly)
		err = -EROFS;
	if (err)
		return err;
	req->io.op = zeroes ? BLOCK_WRITE_ZEROES : BLOCK_DISCARD;
	req->io.flags = blk_write_flags(req->blk);
	if (flags & VIRTIO_BLK_SEGMENT_UNMAP)
		req->io.flags |= BLOCK_UNMAP;
	req->io.offset = req->offset;
	req->io.len = req->len;
	req->io.done = request_done;
	block_submit(req->blk->disk, &req->io);
	return 0;
}

static int blk_flush(struct blk_request *req)
{
	req->io.op = BLOCK_FLUSH;
	req->io.flags = 0;
	req->io.offset = req->io.len = 0;
	req->io.done = request_done;
	block_submit(req->blk->disk, &req->io);
	return 0;
}

static int blk_get_id(struct blk_request *req)
{
	int err;

	if (req->chain.in_len < VIRTIO_BLK_ID_LEN + BLK_STATUS)
		return -EINVAL;
	err = virtio_chain_write(&req->chain, 0, req->blk->serial, VIRTIO_BLK_ID_LEN);
	if (!err)
		request_end(req, VIRTIO_BLK_S_OK, VIRTIO_BLK_ID_LEN);
	return err;
}

/* 0: it is on its way, or has ended; -errno: it has not begun. */
static int blk_begin(struct blk_request *req)
{
	struct virtio_blk_header header;
	int err = virtio_chain_read(&req->chain, 0, &header, sizeof(header));

	if (err)
		return err;
	switch (le32_get(header.type)) {
	case VIRTIO_BLK_T_IN:
		return blk_read_write(req, false, le64_get(header.sector));
	case VIRTIO_BLK_T_OUT:
		return blk_read_write(req, true, le64_get(header.sector));
	case VIRTIO_BLK_T_FLUSH:
		return blk_flush(req);
	case VIRTIO_BLK_T_GET_ID:
		return blk_get_id(req);
	case VIRTIO_BLK_T_DISCARD:
		return blk_clear(req, false);
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return blk_clear(req, true);
	}
	return -EOPNOTSUPP;
}

/* Takes one request; false when there is none. */
static bool blk_take(struct blk *blk, struct virtio_queue *q)
{
	struct blk_queue *bq = q->opaque;
	struct blk_request *req = bq->free;
	int err;

	if (!req || virtio_queue_pop(q, &req->chain) <= 0)
		return false;
	bq->free = req->next;
	req->next = bq->busy;
	if (req->next)
		req->next->link = &req->next;
	req->link = &bq->busy;
	bq->busy = req;
	req->io.iov = NULL;
	req->io.nr_iov = 0;
	if (req->chain.out_len < sizeof(struct virtio_blk_header) || !req->chain.in_len) {
		virtio_break(&blk->v, "queue %u: a request without header or status", q->index);
		request_end(req, VIRTIO_BLK_S_IOERR, 0);
		return false;
	}
	err = blk_begin(req);
	if (err)
		request_end(req, blk_status(err), 0);
	return true;
}

static void blk_notify(struct virtio_device *v, struct virtio_queue *q)
{
	struct blk *blk = blk_of(v);

	do {
		virtio_queue_suppress(q);
		while (blk_take(blk, q))
			;
		block_kick(blk->disk);
		/* Those that never reached the disk. */
		virtio_queue_flush(q);
	} while (virtio_queue_resume(q));
}

static void blk_batch_done(void *opaque)
{
	struct blk *blk = opaque;

	for (unsigned int i = 0; i < blk->v.nr_queues; i++)
		virtio_queue_flush(&blk->v.queues[i]);
}

static void blk_drain(struct virtio_device *v, struct virtio_queue *q)
{
	struct blk *blk = blk_of(v);

	block_drain(blk->disk);
	virtio_queue_flush(q);
}

static void blk_queue_stop(struct virtio_device *v, struct virtio_queue *q)
{
	struct blk *blk = blk_of(v);
	struct blk_queue *bq = q->opaque;

	blk->stopping = true;
	/* What the disk has not begun need not be waited for. The list changes with every end. */
	for (struct blk_request *req = bq->busy, *next; req; req = next) {
		next = req->next;
		block_cancel(blk->disk, &req->io);
	}
	while (bq->busy)
		block_wait(blk->disk);
	blk->stopping = false;
}

static void blk_config_written(struct virtio_device *v)
{
	v->config[VIRTIO_BLK_WRITEBACK] = !!v->config[VIRTIO_BLK_WRITEBACK];
}

static void blk_start(struct virtio_device *v)
{
	/* 5.2.5.2: a cache that cannot be flushed is none. */
	lock_take(&v->lock);
	if (!virtio_has(v, VIRTIO_BLK_F_FLUSH))
		v->config[VIRTIO_BLK_WRITEBACK] = 0;
	lock_drop(&v->lock);
}

static void blk_reset(struct virtio_device *v)
{
	lock_take(&v->lock);
	v->config[VIRTIO_BLK_WRITEBACK] = 1;
	lock_drop(&v->lock);
}

static void blk_close_disk(void *opaque)
{
	struct blk *blk = opaque;

	block_queue_destroy(blk->disk);
}

static void blk_destroy(struct virtio_device *v)
{
	struct blk *blk = blk_of(v);

	loop_call(v->loop, blk_close_disk, blk);
	for (unsigned int i = 0; i < blk->nr_queues; i++)
		free(blk->queues[i].requests);
	free(blk->queues);
	block_release(blk->block);
}

static const struct virtio_ops blk_ops = {
	.start = blk_start,
	.notify = blk_notify,
	.queue_stop = blk_queue_stop,
	.drain = blk_drain,
	.reset = blk_reset,
	.config_written = blk_config_written,
	.destroy = blk_destroy,
};

static void blk_fill_config(struct blk *blk)
{
	const struct block *block = blk->block;
	const struct block_limits *limits = &block->limits;
	uint64_t clear = min_u64(limits->max_discard >> VIRTIO_BLK_SECTOR_LG2, UINT32_MAX);
	uint8_t *c = blk->v.config;
	unsigned int exp = 0;

	while (limits->block_size << exp < limits->physical_size)
		exp++;
	le_store(c + VIRTIO_BLK_CAPACITY, 8, block->size >> VIRTIO_BLK_SECTOR_LG2);
	le_store(c + VIRTIO_BLK_SEG_MAX, 4, BLK_SEG_MAX);
	le_store(c + VIRTIO_BLK_BLK_SIZE, 4, limits->block_size);
	c[VIRTIO_BLK_PHYSICAL_EXP] = (uint8_t)exp;
	le_store(c + VIRTIO_BLK_MIN_IO, 2, BIT(exp));
	c[VIRTIO_BLK_WRITEBACK] = 1;
	le_store(c + VIRTIO_BLK_NUM_QUEUES, 2, blk->v.nr_queues);
	le_store(c + VIRTIO_BLK_MAX_DISCARD, 4, clear);
	le_store(c + VIRTIO_BLK_MAX_DISCARD_SEG, 4, 1);
	le_store(c + VIRTIO_BLK_DISCARD_ALIGN, 4,
		 limits->discard_granularity >> VIRTIO_BLK_SECTOR_LG2);
	le_store(c + VIRTIO_BLK_MAX_WRITE_ZEROES, 4, clear);
	le_store(c + VIRTIO_BLK_MAX_WRITE_ZEROES_SEG, 4, 1);
	c[VIRTIO_BLK_WRITE_ZEROES_UNMAP] = limits->discard_granularity != 0;
	blk->v.config_wmask[VIRTIO_BLK_WRITEBACK] = 0xff;
}

static uint64_t blk_features(const struct block *block, unsigned int nr_queues)
{
	uint64_t f = BIT64(VIRTIO_BLK_F_SEG_MAX) | BIT64(VIRTIO_BLK_F_BLK_SIZE) |
		     BIT64(VIRTIO_BLK_F_FLUSH) | BIT64(VIRTIO_BLK_F_TOPOLOGY) |
		     BIT64(VIRTIO_BLK_F_CONFIG_WCE);

	if (nr_queues > 1)
		f |= BIT64(VIRTIO_BLK_F_MQ);
	if (block->readonly)
		return f | BIT64(VIRTIO_BLK_F_RO);
	if (block->limits.discard_granularity)
		f |= BIT64(VIRTIO_BLK_F_DISCARD);
	return f | BIT64(VIRTIO_BLK_F_WRITE_ZEROES);
}

static int blk_create_queues(struct blk *blk)
{
	blk->queues = calloc(blk->v.nr_queues, sizeof(*blk->queues));
	if (!blk->queues)
		return -ENOMEM;
	blk->nr_queues = blk->v.nr_queues;
	for (unsigned int i = 0; i < blk->nr_queues; i++) {
		struct blk_queue *bq = &blk->queues[i];

		/* Zero pages until they are used. */
		bq->requests = calloc(VIRTIO_QUEUE_SIZE, sizeof(*bq->requests));
		if (!bq->requests)
			return -ENOMEM;
		for (unsigned int r = VIRTIO_QUEUE_SIZE; r--;) {
			struct blk_request *req = &bq->requests[r];

			req->blk = blk;
			req->hold.revoke = request_revoke;
			req->hold.opaque = req;
			req->revoke = (struct loop_work){ .fn = request_cancel, .opaque = req };
			req->next = bq->free;
			bq->free = req;
		}
		blk->v.queues[i].opaque = bq;
	}
	return 0;
}

struct blk_open {
	struct blk *blk;
	struct diag *diag;
	int err;
};

static void blk_open_disk(void *opaque)
{
	struct blk_open *o = opaque;

	o->err = block_queue_create(o->blk->block, o->blk->v.loop, blk_batch_done, o->blk,
				    &o->blk->disk, o->diag);
}

int virtio_blk_create(struct platform *platform, const struct virtio_blk_config *config,
		      struct device **dev, struct diag *diag)
{
	const char *serial = config->serial ? config->serial : config->block->name;
	struct virtio_config v = {
		.name = config->name,
		.id = VIRTIO_ID_BLOCK,
		.class_code = BLK_CLASS,
		.features = blk_features(config->block, config->nr_queues),
		.nr_queues = (uint16_t)config->nr_queues,
		.config_len = VIRTIO_BLK_CONFIG_LEN,
		.loop = config->loop,
		.integrated = config->integrated,
		.packed = config->packed,
		.in_order = config->in_order,
	};
	struct blk_open open = { .diag = diag };
	struct blk *blk;
	int err = block_claim(config->block, config->name, diag);

	if (err)
		return err;
	blk = calloc(1, sizeof(*blk));
	err = blk ? virtio_init(&blk->v, platform, &blk_ops, &v) : -ENOMEM;
	if (err) {
		free(blk);
		block_release(config->block);
		return diag_set(diag, err, config->name, "cannot be set up: %s", strerror(-err));
	}
	blk->block = config->block;
	/* 5.2.6.2: padded with NULs, and without one when it is as long as can be. */
	memcpy(blk->serial, serial, strnlen(serial, VIRTIO_BLK_ID_LEN));
	blk_fill_config(blk);
	err = blk_create_queues(blk);
	open.blk = blk;
	if (!err) {
		loop_call(blk->v.loop, blk_open_disk, &open);
		err = open.err;
	}
	if (err) {
		blk->v.dev.ops->destroy(&blk->v.dev);
		return diag_set(diag, err, config->name, "cannot be set up: %s", strerror(-err));
	}
	*dev = &blk->v.dev;
	return 0;
}
