/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An NVMe subsystem in memory and a driver for it: registers, queues, commands, as a guest makes them.
 * The test is the thread that serves it, so what a command does has happened when nvme_world_run()
 * returns.
 */
#ifndef AIRLOCK_TESTS_FAKE_NVME_H
#define AIRLOCK_TESTS_FAKE_NVME_H

#include "device/nvme/nvme.h"
#include "device/nvme/nvme_regs.h"
#include "fake/pci.h"
#include "memory/ram.h"

#define NVME_WORLD_RAM	MIB(4)
#define NVME_WORLD_DISK MIB(16)
#define NVME_WORLD_Q	16 /* entries of each queue */

/* Guest memory: admin SQ and CQ, then pairs, then data. */
#define NVME_WORLD_SQ(id) (0x10000ull + 0x2000ull * (id))
#define NVME_WORLD_CQ(id) (0x11000ull + 0x2000ull * (id))
#define NVME_WORLD_SHADOW 0x80000ull
#define NVME_WORLD_EVENTS 0x81000ull
#define NVME_WORLD_LIST	  0x90000ull
#define NVME_WORLD_DATA	  0x100000ull
#define NVME_WORLD_DATA2  0x200000ull
#define NVME_WORLD_QUEUES 8
#define NVME_WORLD_CTRLS  5

/* The driver's side of one controller. */
struct nvme_driver {
	struct pci_function *fn;
	rid_t rid;
	uint64_t regs;
	uint64_t base; /* of its queues in memory */
	struct {
		uint32_t sq_tail, cq_head;
		bool phase;
	} q[NVME_WORLD_QUEUES];
};

struct nvme_world {
	struct fake_pci pci;
	struct sys sys;
	struct ram ram;
	struct pci_bus *bus;
	struct block *disks[4];
	struct nvme_config config;
	struct device *dev;
	struct nvme_driver pf, vf[NVME_WORLD_CTRLS - 1];
	uint16_t next_cid;
};

struct nvme_answer {
	bool posted;
	uint16_t cid, sqid, sqhd, status; /* status without phase, "more" and DNR */
	bool dnr;
	uint32_t result;
};

/* nr_disks namespaces of NVME_WORLD_DISK each, of 512-byte blocks. */
void nvme_world_init(struct nvme_world *w, unsigned int nr_disks, unsigned int vfs);
/* One namespace of `size` bytes. */
void nvme_world_init_large(struct nvme_world *w, uint64_t size);
/* The same on one disk of the test's own, served by a thread: nothing has happened yet when a call returns. */
void nvme_world_init_on(struct nvme_world *w, struct block *disk);
void nvme_world_fini(struct nvme_world *w);
/* Guest memory as the test sees it. */
void *nvme_world_mem(struct nvme_world *w, uint64_t addr);

uint32_t nvme_reg(struct nvme_world *w, const struct nvme_driver *d, uint64_t offset);
void nvme_reg_set(struct nvme_world *w, const struct nvme_driver *d, uint64_t offset,
		  uint32_t value);
/* Admin queues set, enabled, served. */
void nvme_driver_enable(struct nvme_world *w, struct nvme_driver *d);
/* Puts a command at the tail; the id is chosen here and returned. */
uint16_t nvme_driver_put(struct nvme_world *w, struct nvme_driver *d, unsigned int q,
			 struct nvme_sqe *sqe);
void nvme_driver_ring(struct nvme_world *w, struct nvme_driver *d, unsigned int q);
/* The next completion, if there is one; its head is rung. */
struct nvme_answer nvme_driver_take(struct nvme_world *w, struct nvme_driver *d, unsigned int q);
/* All of it for one command. */
struct nvme_answer nvme_driver_run(struct nvme_world *w, struct nvme_driver *d, unsigned int q,
				   struct nvme_sqe sqe);
/* An I/O queue pair; vector as the id. */
void nvme_driver_pair(struct nvme_world *w, struct nvme_driver *d, unsigned int q);

/* A command: prp1 and prp2 as given. */
struct nvme_sqe nvme_command(uint8_t opcode, uint32_t nsid, uint64_t prp1, uint64_t prp2);
static inline void nvme_set_cdw(struct nvme_sqe *sqe, unsigned int n, uint32_t value)
{
	sqe->cdw10[n - 10] = le32_make(value);
}
/* A read or write of `nr` blocks from `first`. */
struct nvme_sqe nvme_rw(uint8_t opcode, uint32_t nsid, uint64_t first, unsigned int nr,
			uint64_t prp1, uint64_t prp2);

#endif
