// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The thread, with a disk that takes its time: memory that is wanted back while the disk has it, resets
 * and removal with commands in flight.
 */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake/nvme.h"
#include "iommu/ops.h"

#define PATTERN 0x5a

/* A disk that keeps requests for as long as it is told to, and reads as PATTERN. */
struct slow_disk {
	struct block block; /* first */
	atomic_bool park;
	struct block_request *parked;
	atomic_uint nr_parked, nr_cancelled;
	uint8_t written; /* the first byte of the last write */
};

static struct slow_disk *slow_of(struct block_queue *queue)
{
	return (struct slow_disk *)(void *)queue->block;
}

static int slow_queue_create(struct block *block, struct block_queue *queue, struct diag *diag)
{
	return 0;
}

static void slow_queue_destroy(struct block_queue *queue)
{
}

static void slow_finish(struct block_queue *queue, struct block_request *req, int status)
{
	uint8_t data[512];

	memset(data, PATTERN, sizeof(data));
	if (!status && req->op == BLOCK_READ)
		block_scatter(req, 0, data, sizeof(data));
	if (!status && req->op == BLOCK_WRITE)
		block_gather(req, 0, &slow_of(queue)->written, 1);
	block_complete(queue, req, status);
}

static void slow_start(struct block_queue *queue, struct block_request *chain)
{
	struct slow_disk *disk = slow_of(queue);

	while (chain) {
		struct block_request *req = chain;

		chain = req->next;
		if (!atomic_load(&disk->park)) {
			slow_finish(queue, req, 0);
			continue;
		}
		req->next = disk->parked;
		disk->parked = req;
		atomic_fetch_add(&disk->nr_parked, 1);
	}
}

static void slow_cancel(struct block_queue *queue, struct block_request *req)
{
	struct slow_disk *disk = slow_of(queue);

	for (struct block_request **p = &disk->parked; *p; p = &(*p)->next) {
		if (*p != req)
			continue;
		*p = req->next;
		/* What comes next goes through. */
		atomic_store(&disk->park, false);
		atomic_fetch_add(&disk->nr_cancelled, 1);
		slow_finish(queue, req, -ECANCELED);
		return;
	}
}

static void slow_wait(struct block_queue *queue)
{
}

static void slow_destroy(struct block *block)
{
}

static const struct block_ops slow_ops = {
	.name = "slow",
	.queue_create = slow_queue_create,
	.queue_destroy = slow_queue_destroy,
	.start = slow_start,
	.cancel = slow_cancel,
	.wait = slow_wait,
	.destroy = slow_destroy,
};

struct slow_world {
	struct nvme_world w;
	struct slow_disk disk;
};

static void until(bool (*fn)(struct slow_world *s), struct slow_world *s)
{
	while (!fn(s))
		sched_yield();
}

static bool is_ready(struct slow_world *s)
{
	return nvme_reg(&s->w, &s->w.pf, NVME_CSTS) & NVME_CSTS_RDY;
}

static bool is_parked(struct slow_world *s)
{
	return atomic_load(&s->disk.nr_parked);
}

static struct nvme_answer wait_answer(struct slow_world *s, unsigned int q)
{
	struct nvme_answer a;

	do {
		sched_yield();
		a = nvme_driver_take(&s->w, &s->w.pf, q);
	} while (!a.posted);
	return a;
}

static void pair(struct slow_world *s)
{
	struct nvme_sqe sqe = nvme_command(NVME_ADMIN_CREATE_CQ, 0, NVME_WORLD_CQ(1), 0);

	nvme_set_cdw(&sqe, 10, 1 | (NVME_WORLD_Q - 1) << 16);
	nvme_set_cdw(&sqe, 11, NVME_QUEUE_PC);
	nvme_driver_put(&s->w, &s->w.pf, 0, &sqe);
	nvme_driver_ring(&s->w, &s->w.pf, 0);
	assert_int_equal(wait_answer(s, 0).status, 0);
	sqe = nvme_command(NVME_ADMIN_CREATE_SQ, 0, NVME_WORLD_SQ(1), 0);
	nvme_set_cdw(&sqe, 10, 1 | (NVME_WORLD_Q - 1) << 16);
	nvme_set_cdw(&sqe, 11, NVME_QUEUE_PC | 1 << 16);
	nvme_driver_put(&s->w, &s->w.pf, 0, &sqe);
	nvme_driver_ring(&s->w, &s->w.pf, 0);
	assert_int_equal(wait_answer(s, 0).status, 0);
}

static int setup(void **state)
{
	struct slow_world *s = calloc(1, sizeof(*s));

	block_init(&s->disk.block, &slow_ops, "slow");
	s->disk.block.size = MIB(16);
	s->disk.block.limits = (struct block_limits){
		.block_size = 512,
		.physical_size = 512,
		.mem_align = 1,
		.max_transfer = MIB(1),
		.max_iov = 1024,
		.max_discard = MIB(16),
	};
	nvme_world_init_on(&s->w, &s->disk.block);
	nvme_driver_enable(&s->w, &s->w.pf);
	until(is_ready, s);
	pair(s);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct slow_world *s = *state;

	nvme_world_fini(&s->w);
	free(s);
	return 0;
}

static void park_one(struct slow_world *s, uint8_t opcode)
{
	struct nvme_sqe sqe = nvme_rw(opcode, 1, 0, 1, NVME_WORLD_DATA, 0);

	atomic_store(&s->disk.park, true);
	nvme_driver_put(&s->w, &s->w.pf, 1, &sqe);
	nvme_driver_ring(&s->w, &s->w.pf, 1);
	until(is_parked, s);
}

static int invalidate(struct slow_world *s)
{
	struct iommu *iommu = s->w.pci.machine.platform.iommu;
	struct iommu_inval all = { .scope = IOMMU_INVAL_ALL };
	int err;

	iommu_exec_begin(iommu);
	err = iommu_invalidate(iommu, &all);
	iommu_exec_end(iommu);
	return err;
}

static void memory_wanted_back_is_let_go_and_the_read_still_succeeds(void **state)
{
	struct slow_world *s = *state;
	struct nvme_answer a;

	park_one(s, NVME_IO_READ);
	/* In time, or the guest would be told a lie. */
	assert_int_equal(invalidate(s), 0);
	assert_int_equal(atomic_load(&s->disk.nr_cancelled), 1);
	a = wait_answer(s, 1);
	assert_int_equal(a.status, 0);
	assert_int_equal(((uint8_t *)nvme_world_mem(&s->w, NVME_WORLD_DATA))[511], PATTERN);
}

static void a_write_goes_on_with_what_memory_held(void **state)
{
	struct slow_world *s = *state;

	*(uint8_t *)nvme_world_mem(&s->w, NVME_WORLD_DATA) = 0x77;
	park_one(s, NVME_IO_WRITE);
	assert_int_equal(invalidate(s), 0);
	assert_int_equal(wait_answer(s, 1).status, 0);
	assert_int_equal(s->disk.written, 0x77);
}

static void an_abort_ends_what_the_disk_still_has(void **state)
{
	struct slow_world *s = *state;
	struct nvme_sqe sqe = nvme_command(NVME_ADMIN_ABORT, 0, 0, 0);
	struct nvme_answer a;

	park_one(s, NVME_IO_READ);
	nvme_set_cdw(&sqe, 10, 1 | (uint32_t)s->w.next_cid << 16);
	nvme_driver_put(&s->w, &s->w.pf, 0, &sqe);
	nvme_driver_ring(&s->w, &s->w.pf, 0);
	a = wait_answer(s, 0);
	assert_int_equal(a.status, 0);
	assert_int_equal(a.result, 0);
	assert_int_equal(wait_answer(s, 1).status, NVME_ABORT_REQUESTED);
}

static void deleting_a_queue_ends_its_commands(void **state)
{
	struct slow_world *s = *state;
	struct nvme_sqe sqe = nvme_command(NVME_ADMIN_DELETE_SQ, 0, 0, 0);

	park_one(s, NVME_IO_READ);
	nvme_set_cdw(&sqe, 10, 1);
	nvme_driver_put(&s->w, &s->w.pf, 0, &sqe);
	nvme_driver_ring(&s->w, &s->w.pf, 0);
	assert_int_equal(wait_answer(s, 1).status, NVME_ABORTED_SQ_DELETED);
	assert_int_equal(wait_answer(s, 0).status, 0);
}

static void a_function_reset_returns_when_no_dma_is_left(void **state)
{
	struct slow_world *s = *state;
	uint16_t control = (uint16_t)(s->w.pf.fn->pcie_cap + PCI_EXP_DEVCTL);

	park_one(s, NVME_IO_READ);
	fake_cfg_write(&s->w.pci, s->w.pf.rid, control, 2, PCI_EXP_DEVCTL_FLR);
	assert_int_equal(atomic_load(&s->disk.nr_cancelled), 1);
	assert_null(s->disk.parked);
	assert_int_equal(*(uint8_t *)nvme_world_mem(&s->w, NVME_WORLD_DATA), 0);
}

static void removal_ends_what_is_in_flight(void **state)
{
	struct slow_world *s = *state;

	park_one(s, NVME_IO_READ);
	/* The teardown destroys it. */
	assert_non_null(s->disk.parked);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(memory_wanted_back_is_let_go_and_the_read_still_succeeds),
		TEST(a_write_goes_on_with_what_memory_held),
		TEST(an_abort_ends_what_the_disk_still_has),
		TEST(deleting_a_queue_ends_its_commands),
		TEST(a_function_reset_returns_when_no_dma_is_left),
		TEST(removal_ends_what_is_in_flight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
