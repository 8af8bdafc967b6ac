// SPDX-License-Identifier: GPL-2.0-or-later
#include "fake/virtio.h"

#include <stdlib.h>
#include <string.h>

#include "base/bug.h"

void fake_virtio_init(struct fake_virtio *f)
{
	memset(f, 0, sizeof(*f));
	fake_pci_init(&f->pci);
	f->sys = sys_real();
	BUG_ON(loop_create(&f->loop));
	f->mem = calloc(1, FAKE_VIRTIO_RAM);
	f->ram.nr_regions = 1;
	f->ram.size = FAKE_VIRTIO_RAM;
	f->ram.regions[0] = (struct ram_region){ range_of(0, FAKE_VIRTIO_RAM), f->mem, -1, 0 };
	f->pci.machine.platform.ram = &f->ram;
	f->pci.machine.platform.sys = &f->sys;
	f->pci.machine.platform.loop = f->loop;
	f->next = PAGE_SIZE;
}

static void find_structures(struct fake_virtio *f)
{
	uint8_t cap = (uint8_t)fake_cfg_read(&f->pci, FAKE_VIRTIO_RID, PCI_CAP_PTR, 1);

	for (unsigned int i = 0; cap && i < 16; i++) {
		uint32_t head = fake_cfg_read(&f->pci, FAKE_VIRTIO_RID, cap, 4);
		uint32_t at = fake_cfg_read(&f->pci, FAKE_VIRTIO_RID,
					    (uint16_t)(cap + VIRTIO_PCI_CAP_AT_OFFSET), 4) +
			      FAKE_VIRTIO_BAR;

		if ((head & 0xff) == PCI_CAP_VENDOR) {
			switch (head >> 24) {
			case VIRTIO_PCI_CAP_COMMON:
				f->common = at;
				break;
			case VIRTIO_PCI_CAP_ISR:
				f->isr = at;
				break;
			case VIRTIO_PCI_CAP_DEVICE:
				f->config = at;
				break;
			case VIRTIO_PCI_CAP_NOTIFY:
				f->notify = at;
				break;
			}
		}
		cap = (uint8_t)(head >> 8);
	}
}

void fake_virtio_plug(struct fake_virtio *f, struct device *dev, struct pci_function *fn)
{
	f->dev = dev;
	BUG_ON(pci_function_attach(fn, pci_fabric_root(f->pci.fabric), rid_devfn(FAKE_VIRTIO_RID)));
	fake_cfg_write(&f->pci, FAKE_VIRTIO_RID, PCI_BAR0, 4, FAKE_VIRTIO_BAR);
	fake_cfg_write(&f->pci, FAKE_VIRTIO_RID, PCI_BAR0 + 4, 4, FAKE_VIRTIO_MSIX);
	fake_cfg_write(&f->pci, FAKE_VIRTIO_RID, PCI_COMMAND, 2,
		       PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	find_structures(f);
}

bool fake_virtio_fini(struct fake_virtio *f)
{
	bool empty;

	if (f->dev)
		f->dev->ops->destroy(f->dev);
	empty = fake_pci_fini(&f->pci);
	loop_destroy(f->loop);
	free(f->mem);
	return empty;
}

void fake_virtio_settle(struct fake_virtio *f)
{
	while (loop_turn(f->loop) > 0)
		;
}

uint64_t fake_virtio_alloc(struct fake_virtio *f, uint64_t len)
{
	uint64_t at = f->next;

	f->next = align_up(at + len, 4096);
	BUG_ON(f->next > FAKE_VIRTIO_RAM);
	memset(f->mem + at, 0, len);
	return at;
}

uint64_t fake_virtio_get(struct fake_virtio *f, uint32_t offset, unsigned int size)
{
	return fake_bus_read(&f->pci.machine, BUS_MMIO, f->common + offset, size);
}

void fake_virtio_put(struct fake_virtio *f, uint32_t offset, unsigned int size, uint64_t v)
{
	fake_bus_write(&f->pci.machine, BUS_MMIO, f->common + offset, size, v);
}

uint8_t fake_virtio_status(struct fake_virtio *f)
{
	return (uint8_t)fake_virtio_get(f, VIRTIO_COMMON_STATUS, 1);
}

uint64_t fake_virtio_offered(struct fake_virtio *f)
{
	uint64_t low;

	fake_virtio_put(f, VIRTIO_COMMON_DEVICE_FEATURE_SELECT, 4, 0);
	low = fake_virtio_get(f, VIRTIO_COMMON_DEVICE_FEATURE, 4);
	fake_virtio_put(f, VIRTIO_COMMON_DEVICE_FEATURE_SELECT, 4, 1);
	return low | fake_virtio_get(f, VIRTIO_COMMON_DEVICE_FEATURE, 4) << 32;
}

void fake_virtio_reset(struct fake_virtio *f)
{
	fake_virtio_put(f, VIRTIO_COMMON_STATUS, 1, 0);
	fake_virtio_settle(f);
	BUG_ON(fake_virtio_status(f));
}

bool fake_virtio_negotiate(struct fake_virtio *f, uint64_t want)
{
	f->features = want & fake_virtio_offered(f);
	fake_virtio_put(f, VIRTIO_COMMON_STATUS, 1, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
	for (uint32_t i = 0; i < 2; i++) {
		fake_virtio_put(f, VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4, i);
		fake_virtio_put(f, VIRTIO_COMMON_DRIVER_FEATURE, 4,
				(uint32_t)(f->features >> (32 * i)));
	}
	fake_virtio_put(f, VIRTIO_COMMON_STATUS, 1,
			VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK);
	return fake_virtio_status(f) & VIRTIO_FEATURES_OK;
}

static bool packed(const struct fake_virtio *f)
{
	return f->features >> VIRTIO_F_RING_PACKED & 1;
}

void fake_virtio_queue(struct fake_virtio *f, unsigned int index, uint16_t size)
{
	struct fake_vq *q = &f->vq[index];

	*q = (struct fake_vq){
		.index = (uint16_t)index,
		.size = size,
		.desc = fake_virtio_alloc(f, 16ull * size),
		.driver = fake_virtio_alloc(f, 6 + 2ull * size),
		.device = fake_virtio_alloc(f, 6 + 8ull * size),
		.avail_wrap = true,
		.used_wrap = true,
	};
	fake_virtio_put(f, VIRTIO_COMMON_QUEUE_SELECT, 2, index);
	fake_virtio_put(f, VIRTIO_COMMON_QUEUE_SIZE, 2, size);
	fake_virtio_put(f, VIRTIO_COMMON_QUEUE_VECTOR, 2, index + 1);
	fake_virtio_put(f, VIRTIO_COMMON_QUEUE_DESC, 4, (uint32_t)q->desc);
	fake_virtio_put(f, VIRTIO_COMMON_QUEUE_DESC + 4, 4, q->desc >> 32);
	fake_virtio_put(f, VIRTIO_COMMON_QUEUE_DRIVER, 8, q->driver);
	fake_virtio_put(f, VIRTIO_COMMON_QUEUE_DEVICE, 8, q->device);
	fake_virtio_put(f, VIRTIO_COMMON_QUEUE_ENABLE, 2, 1);
}

void fake_virtio_msix(struct fake_virtio *f)
{
	uint8_t cap = (uint8_t)fake_cfg_read(&f->pci, FAKE_VIRTIO_RID, PCI_CAP_PTR, 1);

	for (uint32_t i = 0; i <= FAKE_VIRTIO_QUEUES; i++) {
		uint64_t entry = FAKE_VIRTIO_MSIX + i * PCI_MSIX_ENTRY;

		fake_bus_write(&f->pci.machine, BUS_MMIO, entry + PCI_MSIX_ENTRY_ADDR, 8,
			       0xfee00000);
		fake_bus_write(&f->pci.machine, BUS_MMIO, entry + PCI_MSIX_ENTRY_DATA, 4, i);
		fake_bus_write(&f->pci.machine, BUS_MMIO, entry + PCI_MSIX_ENTRY_CONTROL, 4, 0);
	}
	while ((fake_cfg_read(&f->pci, FAKE_VIRTIO_RID, cap, 1)) != PCI_CAP_MSIX)
		cap = (uint8_t)fake_cfg_read(&f->pci, FAKE_VIRTIO_RID, cap + 1, 1);
	fake_cfg_write(&f->pci, FAKE_VIRTIO_RID, cap + PCI_MSIX_CONTROL, 2, PCI_MSIX_ENABLE);
	fake_virtio_put(f, VIRTIO_COMMON_CONFIG_VECTOR, 2, 0);
}

void fake_virtio_driver_ok(struct fake_virtio *f)
{
	fake_virtio_put(f, VIRTIO_COMMON_STATUS, 1,
			VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK | VIRTIO_DRIVER_OK);
	fake_virtio_settle(f);
}

void fake_virtio_start(struct fake_virtio *f, uint64_t want, unsigned int nr, uint16_t size)
{
	fake_virtio_reset(f);
	BUG_ON(!fake_virtio_negotiate(f, want | BIT64(VIRTIO_F_VERSION_1)));
	fake_virtio_msix(f);
	for (unsigned int i = 0; i < nr; i++)
		fake_virtio_queue(f, i, size);
	fake_virtio_driver_ok(f);
}

/* ---- rings ---- */

static void put_desc(struct fake_virtio *f, uint64_t at, const struct fake_piece *piece,
		     uint16_t flags, uint16_t next)
{
	const struct virtio_desc desc = {
		.addr = le64_make(piece->addr),
		.len = le32_make(piece->len),
		.flags = le16_make((uint16_t)(flags | (piece->write ? VIRTIO_DESC_WRITE : 0))),
		.next = le16_make(next),
	};

	memcpy(f->mem + at, &desc, sizeof(desc));
}

static uint16_t add_split(struct fake_virtio *f, struct fake_vq *q, const struct fake_piece *piece,
			  unsigned int nr, uint16_t flags)
{
	uint16_t head = q->next_desc;

	for (unsigned int i = 0; i < nr; i++) {
		uint16_t next = (uint16_t)((q->next_desc + 1) % q->size);

		put_desc(f, q->desc + 16ull * q->next_desc, &piece[i],
			 (uint16_t)(flags | (i + 1 < nr ? VIRTIO_DESC_NEXT : 0)), next);
		q->next_desc = next;
	}
	le_store(f->mem + q->driver + 4 + 2 * (q->avail % q->size), 2, head);
	q->avail++;
	le_store(f->mem + q->driver + 2, 2, q->avail);
	return head;
}

static void put_packed(struct fake_virtio *f, uint64_t at, const struct fake_piece *piece,
		       uint16_t id, uint16_t flags)
{
	const struct virtio_packed_desc desc = {
		.addr = le64_make(piece->addr),
		.len = le32_make(piece->len),
		.id = le16_make(id),
		.flags = le16_make((uint16_t)(flags | (piece->write ? VIRTIO_DESC_WRITE : 0))),
	};

	memcpy(f->mem + at, &desc, sizeof(desc));
}

static uint16_t add_packed(struct fake_virtio *f, struct fake_vq *q, const struct fake_piece *piece,
			   unsigned int nr, uint16_t flags)
{
	uint16_t id = q->next_desc;

	q->slots[id] = (uint16_t)nr;
	for (unsigned int i = 0; i < nr; i++) {
		uint16_t bits = q->avail_wrap ? VIRTIO_DESC_AVAIL : VIRTIO_DESC_USED;

		put_packed(f, q->desc + 16ull * q->next_desc, &piece[i], id,
			   (uint16_t)(bits | flags | (i + 1 < nr ? VIRTIO_DESC_NEXT : 0)));
		if (++q->next_desc < q->size)
			continue;
		q->next_desc = 0;
		q->avail_wrap = !q->avail_wrap;
	}
	return id;
}

uint16_t fake_virtio_add(struct fake_virtio *f, unsigned int index, const struct fake_piece *piece,
			 unsigned int nr, bool indirect)
{
	struct fake_vq *q = &f->vq[index];
	struct fake_piece table;

	if (!indirect)
		return packed(f) ? add_packed(f, q, piece, nr, 0) : add_split(f, q, piece, nr, 0);
	table = (struct fake_piece){ fake_virtio_alloc(f, 16ull * nr), 16 * nr, false };
	for (unsigned int i = 0; i < nr; i++) {
		if (packed(f))
			put_packed(f, table.addr + 16ull * i, &piece[i], 0, 0);
		else
			put_desc(f, table.addr + 16ull * i, &piece[i],
				 i + 1 < nr ? VIRTIO_DESC_NEXT : 0, (uint16_t)(i + 1));
	}
	return packed(f) ? add_packed(f, q, &table, 1, VIRTIO_DESC_INDIR)
			 : add_split(f, q, &table, 1, VIRTIO_DESC_INDIR);
}

void fake_virtio_kick(struct fake_virtio *f, unsigned int index)
{
	fake_bus_write(&f->pci.machine, BUS_MMIO, f->notify + 4 * index, 2, index);
	fake_virtio_settle(f);
}

static bool used_packed(struct fake_virtio *f, struct fake_vq *q, uint16_t *id, uint32_t *len)
{
	struct virtio_packed_desc desc;
	uint16_t flags;

	memcpy(&desc, f->mem + q->desc + 16ull * q->used, sizeof(desc));
	flags = le16_get(desc.flags);
	if (!!(flags & VIRTIO_DESC_USED) != q->used_wrap ||
	    !!(flags & VIRTIO_DESC_AVAIL) != q->used_wrap)
		return false;
	*id = le16_get(desc.id);
	*len = le32_get(desc.len);
	q->used = (uint16_t)(q->used + q->slots[*id % 256]);
	if (q->used >= q->size) {
		q->used = (uint16_t)(q->used - q->size);
		q->used_wrap = !q->used_wrap;
	}
	return true;
}

bool fake_virtio_used(struct fake_virtio *f, unsigned int index, uint16_t *id, uint32_t *len)
{
	struct fake_vq *q = &f->vq[index];
	uint64_t at = q->device + 4 + 8 * (uint64_t)(q->used % q->size);

	if (packed(f))
		return used_packed(f, q, id, len);
	if ((uint16_t)le_load(f->mem + q->device + 2, 2) == q->used)
		return false;
	*id = (uint16_t)le_load(f->mem + at, 4);
	*len = (uint32_t)le_load(f->mem + at + 4, 4);
	q->used++;
	return true;
}
