// SPDX-License-Identifier: GPL-2.0-or-later
#include "device/virtio/rng.h"

#include <errno.h>
#include <stdlib.h>

#include "device/virtio/virtio.h"

#define RNG_CLASS 0x00ff00 /* no class fits */
/* 5.4.6.2: a device fills as much of a buffer as it likes, but not nothing. */
#define RNG_MAX 256
/* Buffers of one turn: a guest that asks without end leaves the loop to others. */
#define RNG_TURN 64

struct rng {
	struct virtio_device v; /* first */
	struct virtio_queue *queue;
	struct virtio_chain chain;
	struct loop_work again;
};

static struct rng *rng_of(struct virtio_device *v)
{
	return (struct rng *)(void *)v;
}

/* One buffer; false when there is none. */
static bool rng_take(struct rng *rng)
{
	uint8_t random[RNG_MAX];
	uint64_t len;

	if (virtio_queue_pop(rng->queue, &rng->chain) <= 0)
		return false;
	/* 5.4.6.1: readable parts are the driver's mistake, and hold nothing of interest. */
	len = min_u64(rng->chain.in_len, RNG_MAX);
	if (len && (rng->v.platform->sys->ops->random(rng->v.platform->sys, random, len) ||
		    virtio_chain_write(&rng->chain, 0, random, len)))
		len = 0;
	virtio_queue_push(rng->queue, &rng->chain, (uint32_t)len);
	return true;
}

static void rng_serve(void *opaque)
{
	struct rng *rng = opaque;
	unsigned int left = RNG_TURN;

	do {
		virtio_queue_suppress(rng->queue);
		while (left && rng_take(rng))
			left--;
		virtio_queue_flush(rng->queue);
		if (!left) {
			loop_post(rng->v.loop, &rng->again);
			return;
		}
	} while (virtio_queue_resume(rng->queue));
}

static void rng_notify(struct virtio_device *v, struct virtio_queue *q)
{
	struct rng *rng = rng_of(v);

	rng->queue = q;
	rng_serve(rng);
}

/* None is ever kept: what is left is in the ring, and the work that goes on there ends here. */
static void rng_leave(struct virtio_device *v, struct virtio_queue *q)
{
	loop_cancel(v->loop, &rng_of(v)->again);
}

static void rng_destroy(struct virtio_device *v)
{
}

static const struct virtio_ops rng_ops = {
	.notify = rng_notify,
	.queue_stop = rng_leave,
	.drain = rng_leave,
	.destroy = rng_destroy,
};

int virtio_rng_create(struct platform *platform, const struct virtio_rng_config *config,
		      struct device **dev)
{
	const struct virtio_config v = {
		.name = config->name,
		.id = VIRTIO_ID_ENTROPY,
		.class_code = RNG_CLASS,
		.nr_queues = 1,
		.loop = config->loop,
		.integrated = config->integrated,
		.packed = config->packed,
	};
	struct rng *rng = calloc(1, sizeof(*rng));
	int err;

	if (!rng)
		return -ENOMEM;
	rng->again = (struct loop_work){ .fn = rng_serve, .opaque = rng };
	err = virtio_init(&rng->v, platform, &rng_ops, &v);
	if (err) {
		free(rng);
		return err;
	}
	*dev = &rng->v.dev;
	return 0;
}
