// SPDX-License-Identifier: GPL-2.0-or-later
/* A virtio device's registers and life: status, features, config, reset (VIRTIO 1.2, 2.1, 3, 4.1.4.3). */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bug.h"
#include "device/virtio/virtio.h"
#include "pci/msix.h"

#define STATE_VERSION 1
#define STATUS_BITS \
	(VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_DRIVER_OK | VIRTIO_FEATURES_OK | VIRTIO_FAILED)

/* ---- registers, under the lock ---- */

static void queue_power_on(struct virtio_queue *q)
{
	q->size = q->max_size;
	q->vector = VIRTIO_NO_VECTOR;
	q->enabled = q->reset_asked = false;
	q->desc = q->driver = q->device = 0;
	atomic_store(&q->live_vector, VIRTIO_NO_VECTOR);
}

static void device_power_on(struct virtio_device *dev)
{
	dev->accepted = 0;
	dev->offered_select = dev->accepted_select = 0;
	dev->status = 0;
	dev->isr = 0;
	dev->active = dev->reset_asked = false;
	dev->config_vector = VIRTIO_NO_VECTOR;
	dev->queue_select = 0;
	for (unsigned int i = 0; i < dev->nr_queues; i++)
		queue_power_on(&dev->queues[i]);
	/* A level interrupt of a device that was reset is gone (4.1.5.1.3 reads ISR 0). */
	pci_function_intx(&dev->fn, false);
}

void virtio_ask_reset(struct virtio_device *dev)
{
	if (!dev->active) {
		device_power_on(dev);
		return;
	}
	/* The status keeps its value until the loop is done; the driver waits (4.1.4.3.2). */
	dev->reset_asked = true;
	loop_post(dev->loop, &dev->sync);
}

/*
 * 2.2.2: a subset of what was offered; without VERSION_1 it is a legacy driver's (6.2). Behind an IOMMU
 * a driver that takes physical addresses for granted would find nothing (6.2, ACCESS_PLATFORM).
 */
static bool features_fit(const struct virtio_device *dev)
{
	return !(dev->accepted & ~dev->offered) && (dev->accepted & dev->required) == dev->required;
}

static void status_write(struct virtio_device *dev, uint8_t value)
{
	uint8_t old = dev->status;

	if (dev->reset_asked)
		return;
	if (!value) {
		virtio_ask_reset(dev);
		return;
	}
	value &= STATUS_BITS;
	/* 2.1.1: a driver only sets bits. What it set stays, and so does what the device said. */
	value |= old;
	if (!(old & VIRTIO_FEATURES_OK) && value & VIRTIO_FEATURES_OK && !features_fit(dev))
		value &= (uint8_t)~VIRTIO_FEATURES_OK;
	/* 3.1.1: nothing runs on features that were not agreed upon. */
	if (!(value & VIRTIO_FEATURES_OK))
		value &= (uint8_t)~VIRTIO_DRIVER_OK;
	dev->status = value;
	if (value & ~old & VIRTIO_DRIVER_OK) {
		dev->active = true;
		loop_post(dev->loop, &dev->sync);
	}
}

static struct virtio_queue *selected(struct virtio_device *dev)
{
	return dev->queue_select < dev->nr_queues ? &dev->queues[dev->queue_select] : NULL;
}

static uint64_t queue_register(struct virtio_device *dev, unsigned int offset)
{
	const struct virtio_queue *q = selected(dev);

	if (!q)
		return 0;
	switch (offset) {
	case VIRTIO_COMMON_QUEUE_SIZE:
		return q->size;
	case VIRTIO_COMMON_QUEUE_VECTOR:
		return q->vector;
	case VIRTIO_COMMON_QUEUE_ENABLE:
		return q->enabled;
	case VIRTIO_COMMON_QUEUE_NOTIFY_OFF:
		return q->index;
	case VIRTIO_COMMON_QUEUE_DESC:
		return q->desc;
	case VIRTIO_COMMON_QUEUE_DRIVER:
		return q->driver;
	case VIRTIO_COMMON_QUEUE_DEVICE:
		return q->device;
	case VIRTIO_COMMON_QUEUE_RESET:
		return q->reset_asked;
	}
	return 0;
}

static uint64_t device_register(struct virtio_device *dev, unsigned int offset)
{
	switch (offset) {
	case VIRTIO_COMMON_DEVICE_FEATURE_SELECT:
		return dev->offered_select;
	case VIRTIO_COMMON_DEVICE_FEATURE:
		return dev->offered_select < 2
			       ? (uint32_t)(dev->offered >> (32 * dev->offered_select))
			       : 0;
	case VIRTIO_COMMON_DRIVER_FEATURE_SELECT:
		return dev->accepted_select;
	case VIRTIO_COMMON_DRIVER_FEATURE:
		return dev->accepted_select < 2
			       ? (uint32_t)(dev->accepted >> (32 * dev->accepted_select))
			       : 0;
	case VIRTIO_COMMON_CONFIG_VECTOR:
		return dev->config_vector;
	case VIRTIO_COMMON_NUM_QUEUES:
		return dev->nr_queues;
	case VIRTIO_COMMON_STATUS:
		return dev->status;
	case VIRTIO_COMMON_GENERATION:
		return dev->generation;
	case VIRTIO_COMMON_QUEUE_SELECT:
		return dev->queue_select;
	}
	return queue_register(dev, offset);
}

/* Where each field begins and how wide it is: a driver uses accesses of the field's own width,
 * or of 32 bits for a half of a 64-bit one (4.1.3.1). */
static const struct {
	uint8_t offset, size;
} common_fields[] = {
	{ VIRTIO_COMMON_DEVICE_FEATURE_SELECT, 4 },
	{ VIRTIO_COMMON_DEVICE_FEATURE, 4 },
	{ VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4 },
	{ VIRTIO_COMMON_DRIVER_FEATURE, 4 },
	{ VIRTIO_COMMON_CONFIG_VECTOR, 2 },
	{ VIRTIO_COMMON_NUM_QUEUES, 2 },
	{ VIRTIO_COMMON_STATUS, 1 },
	{ VIRTIO_COMMON_GENERATION, 1 },
	{ VIRTIO_COMMON_QUEUE_SELECT, 2 },
	{ VIRTIO_COMMON_QUEUE_SIZE, 2 },
	{ VIRTIO_COMMON_QUEUE_VECTOR, 2 },
	{ VIRTIO_COMMON_QUEUE_ENABLE, 2 },
	{ VIRTIO_COMMON_QUEUE_NOTIFY_OFF, 2 },
	{ VIRTIO_COMMON_QUEUE_DESC, 8 },
	{ VIRTIO_COMMON_QUEUE_DRIVER, 8 },
	{ VIRTIO_COMMON_QUEUE_DEVICE, 8 },
	{ VIRTIO_COMMON_QUEUE_NOTIFY_DATA, 2 },
	{ VIRTIO_COMMON_QUEUE_RESET, 2 },
};

uint64_t virtio_common_read(struct virtio_device *dev, uint64_t offset, unsigned int size)
{
	uint8_t all[VIRTIO_COMMON_LEN + 8] = { 0 };

	/* Reads of any width show what is there. */
	for (size_t i = 0; i < ARRAY_SIZE(common_fields); i++)
		if (common_fields[i].offset < offset + size &&
		    offset < (uint64_t)common_fields[i].offset + common_fields[i].size)
			le_store(all + common_fields[i].offset, common_fields[i].size,
				 device_register(dev, common_fields[i].offset));
	return le_load(all + offset, size);
}

static void queue_write(struct virtio_device *dev, unsigned int offset, uint64_t value)
{
	bool packed = dev->accepted >> VIRTIO_F_RING_PACKED & 1;
	struct virtio_queue *q = selected(dev);

	if (!q)
		return;
	switch (offset) {
	case VIRTIO_COMMON_QUEUE_VECTOR:
		q->vector = value < pci_msix_count(&dev->fn) ? (uint16_t)value : VIRTIO_NO_VECTOR;
		atomic_store(&q->live_vector, q->vector);
		return;
	case VIRTIO_COMMON_QUEUE_RESET:
		if (value != 1 || !q->enabled || !(dev->accepted >> VIRTIO_F_RING_RESET & 1))
			return;
		q->reset_asked = true;
		loop_post(dev->loop, &dev->sync);
		return;
	}
	/* 4.1.4.3.2: configured before it is enabled, and then left alone. */
	if (q->enabled)
		return;
	switch (offset) {
	case VIRTIO_COMMON_QUEUE_SIZE:
		if (value && value <= q->max_size && (packed || is_power_of_2(value)))
			q->size = (uint16_t)value;
		return;
	case VIRTIO_COMMON_QUEUE_DESC:
		q->desc = value;
		return;
	case VIRTIO_COMMON_QUEUE_DRIVER:
		q->driver = value;
		return;
	case VIRTIO_COMMON_QUEUE_DEVICE:
		q->device = value;
		return;
	case VIRTIO_COMMON_QUEUE_ENABLE:
		if (value != 1 || dev->reset_asked)
			return;
		q->enabled = true;
		if (dev->status & VIRTIO_DRIVER_OK)
			loop_post(dev->loop, &dev->sync);
		return;
	}
}

static void device_write(struct virtio_device *dev, unsigned int offset, uint64_t value)
{
	unsigned int shift = 32 * dev->accepted_select;

	switch (offset) {
	case VIRTIO_COMMON_DEVICE_FEATURE_SELECT:
		dev->offered_select = (uint32_t)value;
		return;
	case VIRTIO_COMMON_DRIVER_FEATURE_SELECT:
		dev->accepted_select = (uint32_t)value;
		return;
	case VIRTIO_COMMON_DRIVER_FEATURE:
		/* 2.2.1: not after FEATURES_OK. */
		if (dev->status & VIRTIO_FEATURES_OK || dev->accepted_select > 1)
			return;
		dev->accepted = (dev->accepted & ~((uint64_t)UINT32_MAX << shift)) | value << shift;
		return;
	case VIRTIO_COMMON_CONFIG_VECTOR:
		dev->config_vector =
			value < pci_msix_count(&dev->fn) ? (uint16_t)value : VIRTIO_NO_VECTOR;
		return;
	case VIRTIO_COMMON_STATUS:
		status_write(dev, (uint8_t)value);
		return;
	case VIRTIO_COMMON_QUEUE_SELECT:
		dev->queue_select = (uint16_t)value;
		return;
	}
	queue_write(dev, offset, value);
}

void virtio_common_write(struct virtio_device *dev, uint64_t offset, unsigned int size,
			 uint64_t value)
{
	for (size_t i = 0; i < ARRAY_SIZE(common_fields); i++) {
		unsigned int at = common_fields[i].offset, width = common_fields[i].size;
		uint64_t old;

		if (offset == at && size == width) {
			device_write(dev, at, value);
			return;
		}
		if (width != 8 || size != 4 || offset < at || offset > (uint64_t)at + 4)
			continue;
		old = device_register(dev, at);
		if (offset == at)
			device_write(dev, at, (old & ~(uint64_t)UINT32_MAX) | (uint32_t)value);
		else if (offset == (uint64_t)at + 4)
			device_write(dev, at, (uint32_t)old | value << 32);
		return;
	}
}

uint64_t virtio_config_read(struct virtio_device *dev, uint64_t offset, unsigned int size)
{
	/* 4.1.4.3.1: another generation once what was changed is looked at. */
	if (dev->config_changed) {
		dev->config_changed = false;
		dev->generation++;
	}
	if (offset + size > dev->config_len)
		return bytes_mask(size);
	return le_load(dev->config + offset, size);
}

void virtio_config_write(struct virtio_device *dev, uint64_t offset, unsigned int size,
			 uint64_t value)
{
	uint64_t mask, old;

	if (offset + size > dev->config_len)
		return;
	mask = le_load(dev->config_wmask + offset, size);
	if (!mask)
		return;
	old = le_load(dev->config + offset, size);
	le_store(dev->config + offset, size, (old & ~mask) | (value & mask));
	if (dev->ops->config_written)
		dev->ops->config_written(dev);
}

/* ---- on the loop ---- */

void virtio_config_change(struct virtio_device *dev, unsigned int offset, const void *data,
			  unsigned int len)
{
	uint16_t vector;
	bool tell;

	BUG_ON(offset + len > VIRTIO_CONFIG_MAX);
	lock_take(&dev->lock);
	memcpy(dev->config + offset, data, len);
	dev->config_changed = true;
	tell = dev->status & VIRTIO_DRIVER_OK;
	vector = dev->config_vector;
	lock_drop(&dev->lock);
	if (tell)
		virtio_interrupt(dev, vector, VIRTIO_ISR_CONFIG);
}

void virtio_break(struct virtio_device *dev, const char *fmt, ...)
{
	char why[128];
	uint16_t vector;
	va_list args;
	bool tell;

	if (dev->broken)
		return;
	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	log_limited(&dev->log, LOG_WARNING, dev->fn.name,
		    "the guest's driver broke the protocol: %s; the device needs a reset", why);
	dev->broken = true;
	lock_take(&dev->lock);
	tell = dev->status & VIRTIO_DRIVER_OK;
	dev->status |= VIRTIO_NEEDS_RESET;
	vector = dev->config_vector;
	lock_drop(&dev->lock);
	/* 2.1.2 */
	if (tell)
		virtio_interrupt(dev, vector, VIRTIO_ISR_CONFIG);
}

static void queue_stop(struct virtio_queue *q)
{
	if (!q->live)
		return;
	q->dev->ops->queue_stop(q->dev, q);
	virtio_queue_clear(q);
}

static void device_stop(struct virtio_device *dev)
{
	for (unsigned int i = 0; i < dev->nr_queues; i++)
		queue_stop(&dev->queues[i]);
	if (dev->ops->reset)
		dev->ops->reset(dev);
	dev->started = dev->broken = false;
	dev->features = 0;
}

/* Resets that were asked for; which queues go live now, one bit each. */
static uint64_t sync_registers(struct virtio_device *dev)
{
	uint64_t fresh = 0;
	const char *why = NULL;
	unsigned int bad = 0;

	lock_take(&dev->lock);
	for (unsigned int i = 0; i < dev->nr_queues; i++) {
		struct virtio_queue *q = &dev->queues[i];

		if (!q->reset_asked)
			continue;
		lock_drop(&dev->lock);
		queue_stop(q);
		lock_take(&dev->lock);
		queue_power_on(q);
	}
	if (dev->status & VIRTIO_DRIVER_OK && !dev->broken) {
		dev->features = dev->accepted;
		for (unsigned int i = 0; i < dev->nr_queues && !why; i++) {
			struct virtio_queue *q = &dev->queues[i];

			if (!q->enabled || q->live)
				continue;
			bad = i;
			if (!virtio_queue_start(q, &why))
				fresh |= BIT64(i);
		}
	}
	lock_drop(&dev->lock);
	if (why)
		virtio_break(dev, "queue %u: %s", bad, why);
	return fresh;
}

/* What registers asked of the loop. */
static void device_sync(void *opaque)
{
	struct virtio_device *dev = opaque;
	bool reset, run;
	uint64_t fresh;

	lock_take(&dev->lock);
	reset = dev->reset_asked;
	lock_drop(&dev->lock);
	if (reset) {
		device_stop(dev);
		lock_take(&dev->lock);
		device_power_on(dev);
		lock_drop(&dev->lock);
	}
	fresh = sync_registers(dev);
	lock_take(&dev->lock);
	run = dev->status & VIRTIO_DRIVER_OK;
	lock_drop(&dev->lock);
	if (run && !dev->started && !dev->broken) {
		dev->started = true;
		if (dev->ops->start)
			dev->ops->start(dev);
	}
	/* What the driver made available before is not announced again. */
	for (unsigned int i = 0; i < dev->nr_queues; i++)
		if (fresh & BIT64(i))
			virtio_queue_ring(&dev->queues[i]);
}

/* ---- the machine's hooks: called on the main loop's thread, carried out on the device's ---- */

static void device_reset_now(void *opaque)
{
	struct virtio_device *dev = opaque;

	device_stop(dev);
	lock_take(&dev->lock);
	device_power_on(dev);
	lock_drop(&dev->lock);
}

static void virtio_device_reset(struct device *dev)
{
	struct virtio_device *v = container_of(dev, struct virtio_device, dev);

	loop_call(v->loop, device_reset_now, v);
}

static void device_quiesce(void *opaque)
{
	struct virtio_device *dev = opaque;

	/* Registers that wait for the loop first, so that what is saved is what the driver sees. */
	device_sync(dev);
	dev->quiesced = true;
	for (unsigned int i = 0; i < dev->nr_queues; i++) {
		struct virtio_queue *q = &dev->queues[i];

		if (q->live && dev->ops->drain)
			dev->ops->drain(dev, q);
	}
}

static void virtio_device_quiesce(struct device *dev)
{
	struct virtio_device *v = container_of(dev, struct virtio_device, dev);

	loop_call(v->loop, device_quiesce, v);
}

static void device_resume(void *opaque)
{
	struct virtio_device *dev = opaque;

	dev->quiesced = false;
	device_sync(dev);
	for (unsigned int i = 0; i < dev->nr_queues; i++)
		virtio_queue_ring(&dev->queues[i]);
}

static void virtio_device_resume(struct device *dev)
{
	struct virtio_device *v = container_of(dev, struct virtio_device, dev);

	loop_call(v->loop, device_resume, v);
}

static void device_end(void *opaque)
{
	struct virtio_device *dev = opaque;

	device_stop(dev);
	loop_cancel(dev->loop, &dev->sync);
}

static void virtio_device_destroy(struct device *dev)
{
	struct virtio_device *v = container_of(dev, struct virtio_device, dev);

	/* Off the bus, then no handler runs, then no loop. */
	if (v->fn.bus)
		pci_function_detach(&v->fn);
	platform_synchronize(v->platform);
	loop_call(v->loop, device_end, v);
	v->ops->destroy(v);
	virtio_fini(v);
	free(v);
}

static void queue_save(const struct virtio_queue *q, struct state_writer *w)
{
	state_put_u16(w, q->size);
	state_put_u16(w, q->vector);
	state_put_u8(w, q->enabled);
	state_put_u64(w, q->desc);
	state_put_u64(w, q->driver);
	state_put_u64(w, q->device);
	state_put_u8(w, q->live);
	state_put_u16(w, q->avail);
	state_put_u16(w, q->used);
	state_put_u8(w, q->avail_wrap);
	state_put_u8(w, q->used_wrap);
}

static void virtio_device_save(struct device *device, struct state_writer *w)
{
	struct virtio_device *dev = container_of(device, struct virtio_device, dev);

	state_begin(w, device->name, STATE_VERSION);
	pci_function_save(&dev->fn, w);
	lock_take(&dev->lock);
	state_put_u64(w, dev->accepted);
	state_put_u32(w, dev->offered_select);
	state_put_u32(w, dev->accepted_select);
	state_put_u8(w, dev->status);
	state_put_u8(w, dev->generation);
	state_put_u8(w, dev->isr);
	state_put_u8(w, dev->config_changed);
	state_put_u16(w, dev->config_vector);
	state_put_u16(w, dev->queue_select);
	state_put_bytes(w, dev->config, sizeof(dev->config));
	state_put_u16(w, dev->nr_queues);
	for (unsigned int i = 0; i < dev->nr_queues; i++)
		queue_save(&dev->queues[i], w);
	lock_drop(&dev->lock);
	if (dev->ops->save)
		dev->ops->save(dev, w);
	state_end(w);
}

struct saved_queue {
	uint16_t size, vector, avail, used;
	bool enabled, live, avail_wrap, used_wrap;
	uint64_t desc, driver, device;
};

static struct saved_queue queue_load(struct state_reader *r)
{
	struct saved_queue s;

	s.size = state_get_u16(r);
	s.vector = state_get_u16(r);
	s.enabled = state_get_u8(r);
	s.desc = state_get_u64(r);
	s.driver = state_get_u64(r);
	s.device = state_get_u64(r);
	s.live = state_get_u8(r);
	s.avail = state_get_u16(r);
	s.used = state_get_u16(r);
	s.avail_wrap = state_get_u8(r);
	s.used_wrap = state_get_u8(r);
	return s;
}

/* What a saved queue says is as little to be trusted as a guest. */
static bool queue_saved_fits(const struct virtio_queue *q, const struct saved_queue *s, bool packed)
{
	if (!s->size || s->size > q->max_size || (!packed && !is_power_of_2(s->size)))
		return false;
	return !packed || (s->avail < s->size && s->used < s->size);
}

static int queue_restore(struct virtio_queue *q, const struct saved_queue *s)
{
	bool packed = virtio_has(q->dev, VIRTIO_F_RING_PACKED);
	const char *why;

	if (!queue_saved_fits(q, s, packed))
		return -EPROTO;
	q->size = s->size;
	q->vector = s->vector < pci_msix_count(&q->dev->fn) ? s->vector : VIRTIO_NO_VECTOR;
	atomic_store(&q->live_vector, q->vector);
	q->enabled = s->enabled;
	q->desc = s->desc;
	q->driver = s->driver;
	q->device = s->device;
	if (!s->live || !s->enabled)
		return 0;
	if (virtio_queue_start(q, &why))
		return -EPROTO;
	q->avail = s->avail;
	q->used = s->used;
	q->avail_wrap = s->avail_wrap;
	q->used_wrap = s->used_wrap;
	return 0;
}

/* Under the lock: the registers, from a section entered. */
static int device_load_registers(struct virtio_device *dev, struct state_reader *r)
{
	int err = 0;

	dev->accepted = state_get_u64(r);
	dev->offered_select = state_get_u32(r);
	dev->accepted_select = state_get_u32(r);
	dev->status = state_get_u8(r) & (STATUS_BITS | VIRTIO_NEEDS_RESET);
	dev->generation = state_get_u8(r);
	dev->isr = state_get_u8(r);
	dev->config_changed = state_get_u8(r);
	dev->config_vector = state_get_u16(r);
	dev->queue_select = state_get_u16(r);
	state_get_bytes(r, dev->config, sizeof(dev->config));
	if (state_get_u16(r) != dev->nr_queues)
		return -EPROTO;
	if (dev->status & VIRTIO_FEATURES_OK && !features_fit(dev))
		return -EPROTO;
	dev->active = dev->status & VIRTIO_DRIVER_OK;
	dev->features = dev->active ? dev->accepted : 0;
	dev->broken = dev->status & VIRTIO_NEEDS_RESET;
	if (dev->config_vector >= pci_msix_count(&dev->fn))
		dev->config_vector = VIRTIO_NO_VECTOR;
	for (unsigned int i = 0; i < dev->nr_queues && !err; i++) {
		struct saved_queue saved = queue_load(r);

		if (!state_reader_status(r))
			err = queue_restore(&dev->queues[i], &saved);
	}
	return err;
}

static int virtio_device_load(struct device *device, struct state_reader *r)
{
	struct virtio_device *dev = container_of(device, struct virtio_device, dev);
	uint8_t config[VIRTIO_CONFIG_MAX];
	int err;

	memcpy(config, dev->config, sizeof(config));
	if (!state_enter(r, device->name, STATE_VERSION))
		return state_reader_status(r);
	err = pci_function_load(&dev->fn, r);
	if (err)
		return err;
	lock_take(&dev->lock);
	err = device_load_registers(dev, r);
	lock_drop(&dev->lock);
	if (!err && dev->ops->load)
		dev->ops->load(dev, r);
	state_leave(r);
	if (!err)
		err = state_reader_status(r);
	if (err) {
		memcpy(dev->config, config, sizeof(config));
		device_reset_now(dev);
	}
	return err;
}

const struct device_ops virtio_device_ops = {
	.reset = virtio_device_reset,
	.quiesce = virtio_device_quiesce,
	.resume = virtio_device_resume,
	.save = virtio_device_save,
	.load = virtio_device_load,
	.destroy = virtio_device_destroy,
};

int virtio_init(struct virtio_device *dev, struct platform *platform, const struct virtio_ops *ops,
		const struct virtio_config *config)
{
	int err;

	BUG_ON(!config->nr_queues || config->nr_queues > VIRTIO_QUEUES_MAX ||
	       config->config_len > VIRTIO_CONFIG_MAX);
	dev->dev.ops = &virtio_device_ops;
	snprintf(dev->dev.name, sizeof(dev->dev.name), "%s", config->name);
	dev->ops = ops;
	dev->platform = platform;
	dev->loop = config->loop;
	dev->nr_queues = config->nr_queues;
	dev->config_len = config->config_len;
	dev->offered = config->features | BIT64(VIRTIO_F_VERSION_1) |
		       BIT64(VIRTIO_F_INDIRECT_DESC) | BIT64(VIRTIO_F_EVENT_IDX) |
		       BIT64(VIRTIO_F_RING_RESET) | BIT64(VIRTIO_F_ACCESS_PLATFORM);
	dev->required = BIT64(VIRTIO_F_VERSION_1);
	if (platform->iommu && strcmp(platform->iommu->ops->name, "none"))
		dev->required |= BIT64(VIRTIO_F_ACCESS_PLATFORM);
	if (config->packed)
		dev->offered |= BIT64(VIRTIO_F_RING_PACKED);
	if (config->in_order)
		dev->offered |= BIT64(VIRTIO_F_IN_ORDER);
	dev->sync = (struct loop_work){ .fn = device_sync, .opaque = dev };
	dev->queues = calloc(dev->nr_queues, sizeof(*dev->queues));
	if (!dev->queues)
		return -ENOMEM;
	if (!dev->loop) {
		err = loop_thread_start(&dev->thread, "virtio");
		if (err) {
			free(dev->queues);
			return err;
		}
		dev->loop = dev->thread.loop;
	}
	lock_init(&dev->lock, LOCK_DEVICE);
	for (unsigned int i = 0; i < dev->nr_queues; i++) {
		struct virtio_queue *q = &dev->queues[i];

		q->dev = dev;
		q->index = (uint16_t)i;
		q->max_size = VIRTIO_QUEUE_SIZE;
		q->eventfd = -1;
		virtio_queue_clear(q);
	}
	err = virtio_pci_init(dev, config);
	if (err) {
		loop_thread_stop(&dev->thread);
		lock_fini(&dev->lock);
		free(dev->queues);
		return err;
	}
	lock_take(&dev->lock);
	device_power_on(dev);
	lock_drop(&dev->lock);
	return 0;
}

void virtio_fini(struct virtio_device *dev)
{
	virtio_pci_fini(dev);
	loop_thread_stop(&dev->thread);
	lock_fini(&dev->lock);
	free(dev->queues);
}
