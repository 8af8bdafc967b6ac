// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer: an NVMe subsystem with two virtual functions, and a guest that means it no good. The input
 * is a programme of register and config accesses, commands put into queues, and writes to the memory in
 * which queues, lists and doorbells lie. Nothing may crash, hang or reach beyond the guest's memory;
 * and after a reset the controller works as new.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bug.h"
#include "base/endian.h"
#include "fake/nvme.h"
#include "pci/sriov.h"

#define STEPS	 400
#define DISKS	 2
#define VFS	 2
#define SRIOV_AT (PCI_EXT_CAPS + PCI_ARI_LEN)
#define VF_BAR	 KIB(16)

struct input {
	const uint8_t *p;
	size_t left;
};

static uint64_t take(struct input *in, unsigned int nr)
{
	uint64_t v = 0;

	while (nr--) {
		v = v << 8 | (in->left ? *in->p : 0);
		if (in->left) {
			in->p++;
			in->left--;
		}
	}
	return v;
}

/* Places that matter, their edges, and anything at all. */
static uint64_t address(struct input *in)
{
	static const uint64_t places[] = {
		NVME_WORLD_DATA,   NVME_WORLD_DATA2,	       NVME_WORLD_LIST, NVME_WORLD_SHADOW,
		NVME_WORLD_EVENTS, NVME_WORLD_RAM - PAGE_SIZE, NVME_WORLD_RAM,	NVME_WORLD_CQ(0),
	};
	uint8_t kind = (uint8_t)take(in, 1);

	if (kind & 0x80)
		return take(in, 8);
	return places[kind & 7] + (kind & 0x40 ? take(in, 2) : 0) + (kind & 0x20 ? PAGE_SIZE : 0);
}

static struct nvme_driver *driver(struct nvme_world *w, uint8_t which)
{
	return which & 3 && (which & 3) <= VFS ? &w->vf[(which & 3) - 1] : &w->pf;
}

static void put_command(struct nvme_world *w, struct nvme_driver *d, struct input *in)
{
	static const uint8_t opcodes[] = {
		NVME_ADMIN_DELETE_SQ,	    NVME_ADMIN_CREATE_SQ,
		NVME_ADMIN_GET_LOG,	    NVME_ADMIN_DELETE_CQ,
		NVME_ADMIN_CREATE_CQ,	    NVME_ADMIN_IDENTIFY,
		NVME_ADMIN_ABORT,	    NVME_ADMIN_SET_FEATURES,
		NVME_ADMIN_GET_FEATURES,    NVME_ADMIN_ASYNC_EVENT,
		NVME_ADMIN_NS_ATTACHMENT,   NVME_ADMIN_VIRTUALIZATION,
		NVME_ADMIN_DOORBELL_BUFFER, NVME_IO_DATASET,
		NVME_IO_WRITE_ZEROES,	    NVME_IO_VERIFY,
	};
	uint8_t op = (uint8_t)take(in, 1), q = (uint8_t)take(in, 1), shape = (uint8_t)take(in, 1);
	struct nvme_sqe sqe = { .opcode = op & 0x80 ? opcodes[op & 15] : op };

	sqe.flags = shape & 1 ? (uint8_t)take(in, 1) : 0;
	sqe.nsid = le32_make(shape & 2 ? (uint32_t)take(in, 4) : 1 + (q >> 4 & 1));
	le_store(&sqe.dptr[0], 8, address(in));
	le_store(&sqe.dptr[8], 8, shape & 4 ? address(in) : take(in, 2));
	for (unsigned int i = 10; i < 14; i++)
		nvme_set_cdw(&sqe, i, (uint32_t)take(in, shape & 8 ? 4 : 2));
	nvme_driver_put(w, d, q % 4, &sqe);
	if (shape & 16)
		nvme_driver_ring(w, d, q % 4);
}

static void step(struct nvme_world *w, struct input *in)
{
	uint8_t what = (uint8_t)take(in, 1);
	struct nvme_driver *d = driver(w, what >> 4);
	uint64_t at;

	switch (what & 15) {
	case 0:
		/* Any register, any width. */
		at = take(in, 2) % KIB(16);
		fake_bus_write(&w->pci.machine, BUS_MMIO, d->regs + at, 1u << (at & 3),
			       take(in, 4));
		break;
	case 1:
		nvme_reg_set(w, d, (take(in, 1) % 16) * 4, (uint32_t)take(in, 4));
		break;
	case 2:
		fake_bus_read(&w->pci.machine, BUS_MMIO, d->regs + take(in, 2) % KIB(16), 4);
		break;
	case 3:
		at = address(in);
		if (at < NVME_WORLD_RAM - 8)
			le_store(nvme_world_mem(w, at), 8, address(in));
		break;
	case 4:
		/* Doorbells, in registers and in memory. */
		at = take(in, 1) % 16;
		nvme_reg_set(w, d, NVME_DOORBELLS + 4 * at, (uint32_t)take(in, 1));
		break;
	case 5:
		at = take(in, 1) % 16;
		le_store(nvme_world_mem(w, NVME_WORLD_SHADOW + 4 * at), 4, take(in, 1) % 32);
		nvme_serve(w->dev);
		break;
	case 6:
		at = take(in, 2) % PCIE_CONFIG_SIZE;
		fake_cfg_write(&w->pci, d->rid, (uint16_t)(at & ~3u), 4, (uint32_t)take(in, 4));
		break;
	case 7:
		fake_cfg_write(&w->pci, w->pf.rid, SRIOV_AT + PCI_SRIOV_NUM_VFS, 2,
			       take(in, 1) % 4);
		fake_cfg_write(&w->pci, w->pf.rid, SRIOV_AT + PCI_SRIOV_CTRL, 2, take(in, 1) & 9);
		break;
	case 8:
		nvme_driver_enable(w, d);
		break;
	case 9:
		w->dev->ops->quiesce(w->dev);
		nvme_serve(w->dev);
		w->dev->ops->resume(w->dev);
		break;
	default:
		put_command(w, d, in);
		break;
	}
}

/* BARs, mastering and decoding as firmware left them. */
static void configure(struct nvme_world *w)
{
	fake_cfg_write(&w->pci, w->pf.rid, PCI_BAR0, 4, (uint32_t)w->pf.regs);
	fake_cfg_write(&w->pci, w->pf.rid, PCI_BAR0 + 4, 4, (uint32_t)(w->pf.regs >> 32));
	fake_cfg_write(&w->pci, w->pf.rid, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void works_as_new(struct nvme_world *w)
{
	struct pci_function *pf = w->pf.fn;
	uint8_t *data = nvme_world_mem(w, NVME_WORLD_DATA);

	/* Out of whatever power state it was put into, and then anew. */
	fake_cfg_write(&w->pci, w->pf.rid, (uint16_t)(pf->pm_cap + PCI_PM_CONTROL), 2, 0);
	fake_cfg_write(&w->pci, w->pf.rid, (uint16_t)(pf->pcie_cap + PCI_EXP_DEVCTL), 2,
		       PCI_EXP_DEVCTL_FLR);
	configure(w);
	nvme_driver_enable(w, &w->pf);
	BUG_ON(nvme_reg(w, &w->pf, NVME_CSTS) != NVME_CSTS_RDY);
	nvme_driver_pair(w, &w->pf, 1);
	memset(data, 0x5a, 512);
	/* A namespace may have been taken from it: then it says so. */
	(void)nvme_driver_run(w, &w->pf, 1, nvme_rw(NVME_IO_WRITE, 1, 0, 1, NVME_WORLD_DATA, 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct nvme_world w;
	uint64_t bars;

	nvme_world_init(&w, DISKS, VFS);
	bars = fake_cfg_read(&w.pci, w.pf.rid, SRIOV_AT + PCI_SRIOV_VF_BAR0, 4) & PCI_BAR_MEM_MASK;
	bars |= (uint64_t)fake_cfg_read(&w.pci, w.pf.rid, SRIOV_AT + PCI_SRIOV_VF_BAR0 + 4, 4)
		<< 32;
	for (unsigned int i = 0; i < VFS; i++) {
		w.vf[i].fn = nvme_vf(w.dev, i);
		w.vf[i].rid = (rid_t){ (uint16_t)(w.pf.rid.v + 1 + i) };
		w.vf[i].regs = bars + VF_BAR * i;
	}
	for (unsigned int i = 0; i < STEPS && in.left; i++)
		step(&w, &in);
	works_as_new(&w);
	nvme_world_fini(&w);
	return 0;
}
