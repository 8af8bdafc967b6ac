// SPDX-License-Identifier: GPL-2.0-or-later
/* Virtio over PCI (VIRTIO 1.2, 4.1): capabilities, registers, doorbells, interrupts. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/virtio/virtio.h"
#include "pci/express.h"
#include "pci/msix.h"

/* BAR 0: one page for each structure, so that doorbells share theirs with nothing. */
#define BAR_REGS    0
#define BAR_COMMON  0x0000u
#define BAR_ISR	    0x1000u
#define BAR_DEVICE  0x2000u
#define BAR_NOTIFY  0x3000u
#define BAR_SIZE    0x4000u
#define BAR_ISR_LEN 4
/* BAR 1: the MSI-X table and its pending bits. */
#define BAR_MSIX      1
#define BAR_MSIX_PBA  0x800u
#define BAR_MSIX_SIZE 0x1000u
_Static_assert((VIRTIO_QUEUES_MAX + 1) * PCI_MSIX_ENTRY <= BAR_MSIX_PBA, "one vector a queue");

#define NOTIFY_MULTIPLIER 4
#define PCI_CFG_CAP_LEN	  (VIRTIO_PCI_CAP_LEN + 4)

struct virtio_pci {
	uint8_t cfg_cap; /* offset of the configuration access capability */
	int err;	 /* of what was done on the loop */
};

static struct virtio_device *virtio_of(struct pci_function *fn)
{
	return container_of(fn, struct virtio_device, fn);
}

/* ---- interrupts ---- */

void virtio_interrupt(struct virtio_device *dev, uint16_t vector, uint8_t isr)
{
	atomic_fetch_add_explicit(&dev->nr_interrupts, 1, memory_order_relaxed);
	if (pci_msix_enabled(&dev->fn)) {
		if (vector != VIRTIO_NO_VECTOR)
			pci_msix_fire(&dev->fn, vector);
		return;
	}
	lock_take(&dev->lock);
	dev->isr |= isr;
	pci_function_intx(&dev->fn, true);
	lock_drop(&dev->lock);
}

/* Under the lock. */
static uint8_t isr_read(struct virtio_device *dev)
{
	uint8_t isr = dev->isr;

	dev->isr = 0;
	pci_function_intx(&dev->fn, false);
	return isr;
}

/* ---- registers ---- */

static uint64_t bar_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct virtio_device *dev = opaque;
	uint64_t v = bytes_mask(size);

	lock_take(&dev->lock);
	if (offset + size <= BAR_COMMON + VIRTIO_COMMON_LEN)
		v = virtio_common_read(dev, offset - BAR_COMMON, size);
	else if (offset == BAR_ISR)
		v = isr_read(dev);
	else if (offset >= BAR_DEVICE && offset < BAR_NOTIFY)
		v = virtio_config_read(dev, offset - BAR_DEVICE, size);
	lock_drop(&dev->lock);
	return v;
}

static void queue_kick(struct virtio_device *dev, uint64_t index)
{
	uint64_t one = 1;

	if (index < dev->nr_queues)
		dev->platform->sys->ops->write(dev->platform->sys, dev->queues[index].eventfd, &one,
					       sizeof(one));
}

static void bar_write(void *opaque, uint64_t offset, unsigned int size, uint64_t value)
{
	struct virtio_device *dev = opaque;

	/* Where a doorbell did not catch it. */
	if (offset >= BAR_NOTIFY) {
		queue_kick(dev, (offset - BAR_NOTIFY) / NOTIFY_MULTIPLIER);
		return;
	}
	lock_take(&dev->lock);
	if (offset + size <= BAR_COMMON + VIRTIO_COMMON_LEN)
		virtio_common_write(dev, offset - BAR_COMMON, size, value);
	else if (offset >= BAR_DEVICE)
		virtio_config_write(dev, offset - BAR_DEVICE, size, value);
	lock_drop(&dev->lock);
}

static const struct bus_region_ops bar_ops = {
	.read = bar_read,
	.write = bar_write,
};

/* ---- the configuration access capability (4.1.4.9): registers without a BAR ---- */

/* Where it points: true when it is an access that may be made. */
static bool window(struct pci_function *fn, uint8_t cap, uint32_t *offset, uint32_t *len)
{
	*offset = pci_config_get(fn, cap + VIRTIO_PCI_CAP_AT_OFFSET, 4);
	*len = pci_config_get(fn, cap + VIRTIO_PCI_CAP_AT_LENGTH, 4);
	if (pci_config_get(fn, cap + VIRTIO_PCI_CAP_AT_BAR, 1) != BAR_REGS)
		return false;
	if (*len != 1 && *len != 2 && *len != 4)
		return false;
	return is_aligned(*offset, *len) && *offset <= BAR_SIZE - *len;
}

static bool touches_data(uint8_t cap, uint16_t offset, unsigned int size)
{
	unsigned int data = (unsigned int)cap + VIRTIO_PCI_CAP_AT_MORE;

	return offset < data + 4 && offset + size > data;
}

static uint32_t virtio_config_space_read(struct pci_function *fn, uint16_t offset,
					 unsigned int size)
{
	uint8_t cap = virtio_of(fn)->pci->cfg_cap;
	uint32_t at, len;

	if (touches_data(cap, offset, size) && window(fn, cap, &at, &len))
		pci_config_set(fn, cap + VIRTIO_PCI_CAP_AT_MORE, len,
			       (uint32_t)bar_read(virtio_of(fn), at, len));
	return pci_config_get(fn, offset, size);
}

static void virtio_config_space_write(struct pci_function *fn, uint16_t offset, unsigned int size,
				      uint32_t value)
{
	uint8_t cap = virtio_of(fn)->pci->cfg_cap;
	uint32_t at, len;

	pci_config_put(fn, offset, size, value);
	if (touches_data(cap, offset, size) && window(fn, cap, &at, &len))
		bar_write(virtio_of(fn), at, len,
			  pci_config_get(fn, cap + VIRTIO_PCI_CAP_AT_MORE, len));
}

/* ---- doorbells ---- */

static void bell_heard(void *opaque, uint32_t events)
{
	struct virtio_queue *q = opaque;
	struct sys *sys = q->dev->platform->sys;
	uint64_t count;

	if (sys->ops->read(sys, q->eventfd, &count, sizeof(count)) == sizeof(count))
		virtio_queue_ring(q);
}

static void bells_off(struct virtio_device *dev)
{
	for (unsigned int i = 0; i < dev->nr_queues; i++) {
		struct virtio_queue *q = &dev->queues[i];

		if (q->bell_on)
			dev->platform->ops->doorbell_remove(dev->platform, &q->bell);
		q->bell_on = false;
	}
}

/* Under LOCK_FABRIC. */
static void virtio_bar_changed(struct pci_function *fn, unsigned int index)
{
	struct virtio_device *dev = virtio_of(fn);
	const struct pci_bar *bar = &fn->bars[BAR_REGS];

	if (index != BAR_REGS)
		return;
	bells_off(dev);
	for (unsigned int i = 0; bar->enabled && i < dev->nr_queues; i++) {
		struct virtio_queue *q = &dev->queues[i];

		q->bell = (struct doorbell){
			.space = BUS_MMIO,
			.addr = bar->addr + BAR_NOTIFY + (uint64_t)i * NOTIFY_MULTIPLIER,
			.size = 0,
			.eventfd = q->eventfd,
		};
		/* Refused: the write comes through the trapped BAR instead. */
		q->bell_on = !dev->platform->ops->doorbell_add(dev->platform, &q->bell);
	}
}

static void bells_watch(void *opaque)
{
	struct virtio_device *dev = opaque;
	int err = 0;

	for (unsigned int i = 0; i < dev->nr_queues && !err; i++) {
		struct virtio_queue *q = &dev->queues[i];

		q->eventfd = sys_open(dev->platform->sys, SYS_EVENTFD, NULL);
		err = q->eventfd < 0 ? q->eventfd
				     : loop_watch(dev->loop, &q->source, q->eventfd, EPOLLIN,
						  bell_heard, q);
	}
	dev->pci->err = err;
}

static void bells_unwatch(void *opaque)
{
	struct virtio_device *dev = opaque;

	for (unsigned int i = 0; i < dev->nr_queues; i++)
		loop_unwatch(dev->loop, &dev->queues[i].source);
}

/* ---- the function ---- */

static void virtio_function_reset(struct pci_function *fn)
{
	struct virtio_device *dev = virtio_of(fn);

	lock_take(&dev->lock);
	virtio_ask_reset(dev);
	lock_drop(&dev->lock);
}

static const struct pci_function_ops function_ops = {
	.config_read = virtio_config_space_read,
	.config_write = virtio_config_space_write,
	.bar_changed = virtio_bar_changed,
	.reset = virtio_function_reset,
};

static int add_structure(struct pci_function *fn, uint8_t type, uint8_t len, uint32_t offset,
			 uint32_t length, uint8_t *at)
{
	uint8_t cap;
	int err = pci_add_capability(fn, PCI_CAP_VENDOR, len, &cap);

	if (err)
		return err;
	pci_config_set(fn, cap + 2, 1, len);
	pci_config_set(fn, cap + VIRTIO_PCI_CAP_AT_TYPE, 1, type);
	pci_config_set(fn, cap + VIRTIO_PCI_CAP_AT_BAR, 1, BAR_REGS);
	pci_config_set(fn, cap + VIRTIO_PCI_CAP_AT_OFFSET, 4, offset);
	pci_config_set(fn, cap + VIRTIO_PCI_CAP_AT_LENGTH, 4, length);
	if (at)
		*at = cap;
	return 0;
}

static int add_structures(struct virtio_device *dev)
{
	struct pci_function *fn = &dev->fn;
	uint8_t cap;
	int err = add_structure(fn, VIRTIO_PCI_CAP_COMMON, VIRTIO_PCI_CAP_LEN, BAR_COMMON,
				VIRTIO_COMMON_LEN, NULL);

	if (!err)
		err = add_structure(fn, VIRTIO_PCI_CAP_ISR, VIRTIO_PCI_CAP_LEN, BAR_ISR,
				    BAR_ISR_LEN, NULL);
	if (!err && dev->config_len)
		err = add_structure(fn, VIRTIO_PCI_CAP_DEVICE, VIRTIO_PCI_CAP_LEN, BAR_DEVICE,
				    (uint32_t)align_up(dev->config_len, 4), NULL);
	if (err)
		return err;
	err = add_structure(fn, VIRTIO_PCI_CAP_NOTIFY, VIRTIO_PCI_CAP_LEN + 4, BAR_NOTIFY,
			    (uint32_t)dev->nr_queues * NOTIFY_MULTIPLIER, &cap);
	if (err)
		return err;
	pci_config_set(fn, cap + VIRTIO_PCI_CAP_AT_MORE, 4, NOTIFY_MULTIPLIER);
	err = add_structure(fn, VIRTIO_PCI_CAP_PCI_CFG, PCI_CFG_CAP_LEN, 0, 0, &cap);
	if (err)
		return err;
	dev->pci->cfg_cap = cap;
	pci_config_permit(fn, cap + VIRTIO_PCI_CAP_AT_BAR, 1, 0xff, 0);
	pci_config_permit(fn, cap + VIRTIO_PCI_CAP_AT_OFFSET, 4, ~0u, 0);
	pci_config_permit(fn, cap + VIRTIO_PCI_CAP_AT_LENGTH, 4, ~0u, 0);
	pci_config_permit(fn, cap + VIRTIO_PCI_CAP_AT_MORE, 4, ~0u, 0);
	return 0;
}

/* With function-level reset; on the root bus without a link, else of 2.5 GT/s and one lane. */
static int add_pcie(struct pci_function *fn, bool integrated)
{
	int err = pci_express_endpoint(fn, integrated);
	uint8_t cap = fn->pcie_cap;

	if (err || integrated)
		return err;
	pci_config_set(fn, cap + PCI_EXP_LNKCAP, 4,
		       FIELD_PREP(PCI_EXP_LNK_SPEED, 1) | FIELD_PREP(PCI_EXP_LNK_WIDTH, 1));
	pci_config_set(fn, cap + PCI_EXP_LNKSTA, 2,
		       FIELD_PREP(PCI_EXP_LNK_SPEED, 1) | FIELD_PREP(PCI_EXP_LNK_WIDTH, 1));
	return 0;
}

static int add_all(struct virtio_device *dev, bool integrated)
{
	struct pci_function *fn = &dev->fn;
	uint8_t cap;
	int err = pci_bar_declare(fn, BAR_REGS, BAR_SIZE, 0);

	if (!err)
		err = pci_bar_declare(fn, BAR_MSIX, BAR_MSIX_SIZE, 0);
	if (!err)
		err = pci_bar_add_trap(fn, BAR_REGS, 0, BAR_SIZE, fn->name, &bar_ops, dev);
	if (!err)
		err = add_pcie(fn, integrated);
	if (!err)
		err = pci_add_capability(fn, PCI_CAP_MSIX, PCI_MSIX_CAP_LEN, &cap);
	if (!err)
		err = pci_msix_init(fn, cap, dev->nr_queues + 1u, BAR_MSIX, 0, BAR_MSIX,
				    BAR_MSIX_PBA);
	if (!err)
		err = add_structures(dev);
	if (!err)
		err = pci_dma_init(&dev->dma, fn);
	return err;
}

int virtio_pci_init(struct virtio_device *dev, const struct virtio_config *config)
{
	const struct pci_ids ids = {
		.vendor = VIRTIO_PCI_VENDOR,
		.device = (uint16_t)(VIRTIO_PCI_DEVICE + config->id),
		.subvendor = VIRTIO_PCI_VENDOR,
		.subdevice = VIRTIO_PCI_SUBSYSTEM,
		.class_code = config->class_code,
		.revision = VIRTIO_PCI_REVISION,
	};
	int err;

	dev->pci = calloc(1, sizeof(*dev->pci));
	if (!dev->pci)
		return -ENOMEM;
	pci_function_init(&dev->fn, dev->platform, &dev->dev, &function_ops, &ids, config->name);
	/* INTA, for drivers without MSI-X. */
	pci_config_set(&dev->fn, PCI_IRQ_PIN, 1, 1);
	err = add_all(dev, config->integrated);
	if (!err) {
		loop_call(dev->loop, bells_watch, dev);
		err = dev->pci->err;
	}
	if (err)
		virtio_pci_fini(dev);
	return err;
}

void virtio_pci_fini(struct virtio_device *dev)
{
	bells_off(dev);
	loop_call(dev->loop, bells_unwatch, dev);
	for (unsigned int i = 0; i < dev->nr_queues; i++)
		sys_close(dev->platform->sys, &dev->queues[i].eventfd);
	if (dev->dma.fn)
		pci_dma_fini(&dev->dma);
	dev->dma.fn = NULL;
	pci_function_fini(&dev->fn);
	free(dev->pci);
	dev->pci = NULL;
}
