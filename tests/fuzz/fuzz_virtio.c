// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A virtio disk under a hostile driver: the input is a script of register accesses, writes to guest
 * memory (rings, tables, headers) and doorbells, on a machine in memory. Nothing it does may crash,
 * reach memory outside of the guest's, or outlive a reset: at the end the device is reset and must
 * serve a well-behaved driver.
 *
 * Input: one byte of features, then records: an operation, and its operands.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bug.h"
#include "device/virtio/blk.h"
#include "device/virtio/blk_regs.h"
#include "device/virtio/virtio.h"
#include "fake/virtio.h"

#define QUEUES 2
#define SIZE   8
#define WINDOW KIB(36) /* of guest memory that scripts write to: all rings lie there */

struct script {
	const uint8_t *at;
	size_t left;
};

static uint64_t take(struct script *s, unsigned int bytes)
{
	uint64_t v = 0;

	for (unsigned int i = 0; i < bytes && s->left; i++, s->left--)
		v |= (uint64_t)*s->at++ << (8 * i);
	return v;
}

static const uint64_t features[] = {
	0,
	BIT64(VIRTIO_F_INDIRECT_DESC),
	BIT64(VIRTIO_F_EVENT_IDX),
	BIT64(VIRTIO_F_RING_PACKED),
	BIT64(VIRTIO_F_IN_ORDER),
	BIT64(VIRTIO_F_RING_RESET),
	BIT64(VIRTIO_BLK_F_FLUSH),
	BIT64(VIRTIO_BLK_F_DISCARD) | BIT64(VIRTIO_BLK_F_WRITE_ZEROES),
};

static uint64_t pick_features(uint8_t bits)
{
	uint64_t f = 0;

	for (unsigned int i = 0; i < 8; i++)
		if (bits & BIT(i))
			f |= features[i];
	return f;
}

/* A request that is well formed, but for what the script says of one piece. */
static void good_request(struct fake_virtio *f, struct script *s)
{
	uint8_t how = (uint8_t)take(s, 1), queue = how & 1, type = (uint8_t)take(s, 1);
	uint64_t data = 0x8000 + (take(s, 1) << 4), sector = take(s, 2);
	struct virtio_blk_header h = { .type = le32_make(type % 16), .sector = le64_make(sector) };
	struct fake_piece piece[] = {
		{ 0x7000, 16, false },
		{ data, (uint32_t)take(s, 2), how & 2 },
		{ 0x7800, 1, true },
	};

	/* The ring's own keeper would write outside of a ring that was never set up. */
	if (!f->vq[queue].size)
		return;
	memcpy(f->mem + 0x7000, &h, sizeof(h));
	if (f->next + 4096 > FAKE_VIRTIO_RAM)
		f->next = MIB(1);
	fake_virtio_add(f, queue, piece, 3, how & 4);
	if (!(how & 8))
		fake_virtio_kick(f, queue);
}

static void step(struct fake_virtio *f, struct script *s)
{
	static const uint8_t sizes[] = { 1, 2, 4, 8 };
	uint8_t op = (uint8_t)take(s, 1);
	unsigned int size = sizes[op >> 6];
	uint64_t at;

	switch (op & 15) {
	case 0: /* a register */
		at = take(s, 1) % 64;
		fake_virtio_put(f, (uint32_t)at, size, take(s, size));
		break;
	case 1:
		fake_virtio_get(f, (uint32_t)take(s, 1) % 64, size);
		break;
	case 2: /* memory: the rings, and what they point to */
	case 3:
	case 4:
		at = take(s, 2) % (WINDOW - 8);
		le_store(f->mem + at, size, take(s, size));
		break;
	case 5: /* a piece of a descriptor of a ring that is there */
		at = f->vq[op >> 4 & 1].desc + take(s, 1) % (16 * SIZE);
		le_store(f->mem + at, size, take(s, size));
		break;
	case 6:
		fake_virtio_kick(f, op >> 4 & 3);
		break;
	case 7:
		fake_virtio_settle(f);
		break;
	case 8:
	case 9:
	case 10:
		good_request(f, s);
		break;
	case 11: /* anywhere in the BAR */
		at = take(s, 2) % 0x4000;
		if (op & BIT(4))
			fake_bus_write(&f->pci.machine, BUS_MMIO, FAKE_VIRTIO_BAR + at, size,
				       take(s, size));
		else
			fake_bus_read(&f->pci.machine, BUS_MMIO, FAKE_VIRTIO_BAR + at, size);
		break;
	case 12: /* config space, but not the BARs */
		at = 0x40 + take(s, 1) % 0xb0;
		fake_cfg_write(&f->pci, FAKE_VIRTIO_RID, (uint16_t)(at & ~3ull), 4,
			       (uint32_t)take(s, 4));
		fake_cfg_read(&f->pci, FAKE_VIRTIO_RID, (uint16_t)(at & ~3ull), 4);
		break;
	case 13: /* mastering on and off */
		fake_cfg_write(&f->pci, FAKE_VIRTIO_RID, PCI_COMMAND, 2,
			       op & BIT(4) ? PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER
					   : PCI_COMMAND_MEMORY);
		break;
	case 14: /* a queue anew, as after its reset */
		if (op & BIT(4)) {
			fake_virtio_put(f, VIRTIO_COMMON_QUEUE_SELECT, 2, op >> 5 & 1);
			fake_virtio_put(f, VIRTIO_COMMON_QUEUE_RESET, 2, 1);
		}
		break;
	case 15: { /* away and back */
		struct state_writer w;
		struct state_reader r;

		state_writer_init(&w);
		f->dev->ops->quiesce(f->dev);
		f->dev->ops->save(f->dev, &w);
		if (w.len)
			w.data[take(s, 2) % w.len] ^= (uint8_t)take(s, 1);
		f->dev->ops->reset(f->dev);
		state_reader_init(&r, w.data, w.len);
		f->dev->ops->load(f->dev, &r);
		f->dev->ops->resume(f->dev);
		state_writer_fini(&w);
		break;
	}
	}
}

/* After a function-level reset all is as at power-on, whatever was done to it. */
static void check_recovers(struct fake_virtio *f)
{
	struct fake_piece piece[] = { { 0x7000, 16, false },
				      { 0x8000, 512, false },
				      { 0x7800, 1, true } };
	struct virtio_blk_header h = { .type = le32_make(VIRTIO_BLK_T_OUT) };
	uint16_t id;
	uint32_t len;

	lock_take(pci_fabric_lock(f->pci.fabric));
	pci_function_reset(virtio_pci_function(f->dev));
	lock_drop(pci_fabric_lock(f->pci.fabric));
	fake_virtio_settle(f);
	fake_cfg_write(&f->pci, FAKE_VIRTIO_RID, PCI_BAR0, 4, FAKE_VIRTIO_BAR);
	fake_cfg_write(&f->pci, FAKE_VIRTIO_RID, PCI_BAR0 + 4, 4, FAKE_VIRTIO_MSIX);
	fake_cfg_write(&f->pci, FAKE_VIRTIO_RID, PCI_COMMAND, 2,
		       PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	f->next = MIB(2);
	fake_virtio_start(f, 0, 1, SIZE);
	memcpy(f->mem + 0x7000, &h, sizeof(h));
	f->mem[0x7800] = 0xff;
	fake_virtio_add(f, 0, piece, 3, false);
	fake_virtio_kick(f, 0);
	BUG_ON(!fake_virtio_used(f, 0, &id, &len));
	BUG_ON(f->mem[0x7800] != VIRTIO_BLK_S_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script script = { data, size };
	struct fake_virtio f;
	struct virtio_blk_config config = {
		.name = "vblk", .nr_queues = QUEUES, .packed = true, .in_order = true
	};
	struct block *block;
	struct device *dev;

	fake_virtio_init(&f);
	BUG_ON(block_ram_create("r0", KIB(256), 512, &block, NULL));
	config.block = block;
	config.loop = f.loop;
	BUG_ON(virtio_blk_create(&f.pci.machine.platform, &config, &dev, NULL));
	fake_virtio_plug(&f, dev, virtio_pci_function(dev));
	fake_virtio_start(&f, pick_features((uint8_t)take(&script, 1)), QUEUES, SIZE);
	f.next = MIB(1);
	while (script.left)
		step(&f, &script);
	check_recovers(&f);
	BUG_ON(!fake_virtio_fini(&f));
	block_destroy(block);
	return 0;
}
