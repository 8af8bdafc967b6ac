// SPDX-License-Identifier: GPL-2.0-or-later
#include "fake/nvme.h"

#include <stdlib.h>
#include <string.h>

#include "base/bug.h"
#include "base/endian.h"

void *nvme_world_mem(struct nvme_world *w, uint64_t addr)
{
	BUG_ON(addr >= NVME_WORLD_RAM);
	return w->ram.regions[0].hva + addr;
}

static uint32_t bar_of(struct nvme_world *w)
{
	return fake_cfg_read(&w->pci, w->pf.rid, PCI_BAR0, 4) & PCI_BAR_MEM_MASK;
}

static void world_begin(struct nvme_world *w)
{
	memset(w, 0, sizeof(*w));
	fake_pci_init(&w->pci);
	w->sys = sys_real();
	w->pci.machine.platform.sys = &w->sys;
	w->ram.nr_regions = 1;
	w->ram.regions[0] = (struct ram_region){ range_of(0, NVME_WORLD_RAM),
						 calloc(1, NVME_WORLD_RAM), -1, 0 };
	w->pci.machine.platform.ram = &w->ram;
	w->bus = fake_pci_port(&w->pci, "rp0");
	w->config = (struct nvme_config){
		.name = "nvme0",
		.serial = "SERIAL",
		.io_queues = 4,
		.vf_queues = 2,
	};
}

static void world_plug(struct nvme_world *w)
{
	BUG_ON(nvme_create(&w->pci.machine.platform, &w->config, &w->dev, NULL));
	BUG_ON(pci_function_attach(nvme_function(w->dev), w->bus, 0));
	BUG_ON(pci_fabric_assign(w->pci.fabric, NULL));
	w->pf.fn = nvme_function(w->dev);
	w->pf.rid = pci_function_rid(w->pf.fn);
	w->pf.regs = bar_of(w) | (uint64_t)fake_cfg_read(&w->pci, w->pf.rid, PCI_BAR0 + 4, 4) << 32;
	for (unsigned int i = 0; i < ARRAY_SIZE(w->vf); i++)
		w->vf[i].base = 0x280000ull + 0x20000ull * i;
	fake_cfg_write(&w->pci, w->pf.rid, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

void nvme_world_init(struct nvme_world *w, unsigned int nr_disks, unsigned int vfs)
{
	world_begin(w);
	w->config.nr_blocks = nr_disks;
	w->config.vfs = vfs;
	for (unsigned int i = 0; i < nr_disks; i++) {
		BUG_ON(block_ram_create("disk", NVME_WORLD_DISK, 512, &w->disks[i], NULL));
		w->config.blocks[i] = w->disks[i];
	}
	world_plug(w);
}

void nvme_world_init_large(struct nvme_world *w, uint64_t size)
{
	world_begin(w);
	w->config.nr_blocks = 1;
	BUG_ON(block_ram_create("disk", size, 512, &w->disks[0], NULL));
	w->config.blocks[0] = w->disks[0];
	world_plug(w);
}

void nvme_world_init_on(struct nvme_world *w, struct block *disk)
{
	world_begin(w);
	w->config.nr_blocks = 1;
	w->config.blocks[0] = disk;
	w->config.own_thread = true;
	world_plug(w);
}

void nvme_world_fini(struct nvme_world *w)
{
	w->dev->ops->destroy(w->dev);
	for (unsigned int i = 0; i < ARRAY_SIZE(w->disks); i++) {
		if (w->disks[i])
			block_destroy(w->disks[i]);
	}
	BUG_ON(!fake_pci_fini(&w->pci));
	free(w->ram.regions[0].hva);
}

uint32_t nvme_reg(struct nvme_world *w, const struct nvme_driver *d, uint64_t offset)
{
	return (uint32_t)fake_bus_read(&w->pci.machine, BUS_MMIO, d->regs + offset, 4);
}

void nvme_reg_set(struct nvme_world *w, const struct nvme_driver *d, uint64_t offset,
		  uint32_t value)
{
	fake_bus_write(&w->pci.machine, BUS_MMIO, d->regs + offset, 4, value);
	if (!w->config.own_thread)
		nvme_serve(w->dev);
}

void nvme_driver_enable(struct nvme_world *w, struct nvme_driver *d)
{
	for (unsigned int q = 0; q < NVME_WORLD_QUEUES; q++) {
		d->q[q].sq_tail = 0;
		d->q[q].cq_head = 0;
		d->q[q].phase = true;
		memset(nvme_world_mem(w, d->base + NVME_WORLD_CQ(q)), 0, KIB(4));
	}
	nvme_reg_set(w, d, NVME_AQA, (NVME_WORLD_Q - 1) | (NVME_WORLD_Q - 1) << 16);
	nvme_reg_set(w, d, NVME_ASQ, (uint32_t)(d->base + NVME_WORLD_SQ(0)));
	nvme_reg_set(w, d, NVME_ASQ + 4, 0);
	nvme_reg_set(w, d, NVME_ACQ, (uint32_t)(d->base + NVME_WORLD_CQ(0)));
	nvme_reg_set(w, d, NVME_ACQ + 4, 0);
	nvme_reg_set(w, d, NVME_CC,
		     NVME_CC_EN | FIELD_PREP(NVME_CC_IOSQES, NVME_SQE_LG2) |
			     FIELD_PREP(NVME_CC_IOCQES, NVME_CQE_LG2));
}

uint16_t nvme_driver_put(struct nvme_world *w, struct nvme_driver *d, unsigned int q,
			 struct nvme_sqe *sqe)
{
	uint64_t at = d->base + NVME_WORLD_SQ(q) + NVME_SQE_LEN * d->q[q].sq_tail;

	sqe->cid = le16_make(++w->next_cid);
	memcpy(nvme_world_mem(w, at), sqe, sizeof(*sqe));
	d->q[q].sq_tail = (d->q[q].sq_tail + 1) % NVME_WORLD_Q;
	return w->next_cid;
}

void nvme_driver_ring(struct nvme_world *w, struct nvme_driver *d, unsigned int q)
{
	nvme_reg_set(w, d, NVME_DOORBELLS + 8 * q, d->q[q].sq_tail);
}

struct nvme_answer nvme_driver_take(struct nvme_world *w, struct nvme_driver *d, unsigned int q)
{
	const uint8_t *e =
		nvme_world_mem(w, d->base + NVME_WORLD_CQ(q) + NVME_CQE_LEN * d->q[q].cq_head);
	/* The phase comes last: what it tells of is there (4.6). */
	uint64_t last =
		le64toh(__atomic_load_n((const uint64_t *)(const void *)(e + 8), __ATOMIC_ACQUIRE));
	unsigned int status = (unsigned int)(last >> 48);
	struct nvme_answer a = { 0 };

	if ((status & 1) != d->q[q].phase)
		return a;
	a = (struct nvme_answer){
		.posted = true,
		.result = (uint32_t)le_load(e, 4),
		.sqhd = (uint16_t)last,
		.sqid = (uint16_t)(last >> 16),
		.cid = (uint16_t)(last >> 32),
		.status = (uint16_t)(status >> 1 & NVME_STATUS_CODE),
		.dnr = status >> 1 & NVME_DNR,
	};
	if (++d->q[q].cq_head == NVME_WORLD_Q) {
		d->q[q].cq_head = 0;
		d->q[q].phase = !d->q[q].phase;
	}
	nvme_reg_set(w, d, NVME_DOORBELLS + 8 * q + 4, d->q[q].cq_head);
	return a;
}

struct nvme_answer nvme_driver_run(struct nvme_world *w, struct nvme_driver *d, unsigned int q,
				   struct nvme_sqe sqe)
{
	uint16_t cid = nvme_driver_put(w, d, q, &sqe);
	struct nvme_answer a;

	nvme_driver_ring(w, d, q);
	a = nvme_driver_take(w, d, q);
	BUG_ON(a.posted && a.cid != cid);
	return a;
}

struct nvme_sqe nvme_command(uint8_t opcode, uint32_t nsid, uint64_t prp1, uint64_t prp2)
{
	struct nvme_sqe sqe = { .opcode = opcode, .nsid = le32_make(nsid) };

	le_store(&sqe.dptr[0], 8, prp1);
	le_store(&sqe.dptr[8], 8, prp2);
	return sqe;
}

struct nvme_sqe nvme_rw(uint8_t opcode, uint32_t nsid, uint64_t first, unsigned int nr,
			uint64_t prp1, uint64_t prp2)
{
	struct nvme_sqe sqe = nvme_command(opcode, nsid, prp1, prp2);

	nvme_set_cdw(&sqe, 10, (uint32_t)first);
	nvme_set_cdw(&sqe, 11, (uint32_t)(first >> 32));
	nvme_set_cdw(&sqe, 12, nr - 1);
	return sqe;
}

void nvme_driver_pair(struct nvme_world *w, struct nvme_driver *d, unsigned int q)
{
	struct nvme_sqe sqe = nvme_command(NVME_ADMIN_CREATE_CQ, 0, d->base + NVME_WORLD_CQ(q), 0);

	nvme_set_cdw(&sqe, 10, q | (NVME_WORLD_Q - 1) << 16);
	nvme_set_cdw(&sqe, 11, NVME_QUEUE_PC | NVME_CQ_IEN | q << 16);
	BUG_ON(nvme_driver_run(w, d, 0, sqe).status);
	sqe = nvme_command(NVME_ADMIN_CREATE_SQ, 0, d->base + NVME_WORLD_SQ(q), 0);
	nvme_set_cdw(&sqe, 10, q | (NVME_WORLD_Q - 1) << 16);
	nvme_set_cdw(&sqe, 11, NVME_QUEUE_PC | q << 16);
	BUG_ON(nvme_driver_run(w, d, 0, sqe).status);
}
