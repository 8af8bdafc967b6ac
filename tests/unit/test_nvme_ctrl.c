// SPDX-License-Identifier: GPL-2.0-or-later
/* The NVMe controller: registers, enabling, resets, queues, doorbells, events. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake/nvme.h"

static int setup(void **state)
{
	struct nvme_world *w = malloc(sizeof(*w));

	nvme_world_init(w, 2, 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	nvme_world_fini(*state);
	free(*state);
	return 0;
}

static void enable(struct nvme_world *w)
{
	nvme_driver_enable(w, &w->pf);
	assert_int_equal(nvme_reg(w, &w->pf, NVME_CSTS), NVME_CSTS_RDY);
}

static struct nvme_answer admin(struct nvme_world *w, uint8_t opcode, uint32_t nsid, uint32_t dw10,
				uint32_t dw11)
{
	struct nvme_sqe sqe = nvme_command(opcode, nsid, NVME_WORLD_DATA, 0);

	nvme_set_cdw(&sqe, 10, dw10);
	nvme_set_cdw(&sqe, 11, dw11);
	return nvme_driver_run(w, &w->pf, 0, sqe);
}

static void capabilities_say_what_a_driver_needs(void **state)
{
	struct nvme_world *w = *state;
	uint64_t cap = nvme_reg(w, &w->pf, NVME_CAP) | (uint64_t)nvme_reg(w, &w->pf, NVME_CAP + 4)
							       << 32;

	assert_int_equal(nvme_reg(w, &w->pf, NVME_VS), NVME_VS_1_4);
	assert_int_equal(FIELD_GET(NVME_CAP_MQES, cap), 1023);
	assert_true(cap & NVME_CAP_CQR);
	assert_true(cap & NVME_CAP_CSS_NVM);
	assert_int_equal(FIELD_GET(NVME_CAP_MPSMIN, cap), 0);
	/* One read of eight bytes is the same. */
	assert_int_equal(fake_bus_read(&w->pci.machine, BUS_MMIO, w->pf.regs, 8), cap);
	assert_int_equal(fake_bus_read(&w->pci.machine, BUS_MMIO, w->pf.regs + 2, 2),
			 cap >> 16 & 0xffff);
	/* Read-only. */
	nvme_reg_set(w, &w->pf, NVME_VS, 0);
	assert_int_equal(nvme_reg(w, &w->pf, NVME_VS), NVME_VS_1_4);
}

static void enabling_and_disabling_show_in_ready(void **state)
{
	struct nvme_world *w = *state;

	assert_int_equal(nvme_reg(w, &w->pf, NVME_CSTS), 0);
	enable(w);
	nvme_reg_set(w, &w->pf, NVME_CC, 0);
	assert_int_equal(nvme_reg(w, &w->pf, NVME_CSTS), 0);
	/* The admin queues' registers outlive it (7.3.2). */
	assert_int_equal(nvme_reg(w, &w->pf, NVME_ASQ), NVME_WORLD_SQ(0));
	enable(w);
	assert_int_equal(admin(w, NVME_ADMIN_IDENTIFY, 0, NVME_CNS_CTRL, 0).status, 0);
}

static void what_cannot_be_enabled_is_fatal_until_reset(void **state)
{
	struct nvme_world *w = *state;

	nvme_reg_set(w, &w->pf, NVME_AQA, 0);
	nvme_reg_set(w, &w->pf, NVME_CC, NVME_CC_EN);
	assert_int_equal(nvme_reg(w, &w->pf, NVME_CSTS), NVME_CSTS_CFS);
	nvme_reg_set(w, &w->pf, NVME_CC, 0);
	assert_int_equal(nvme_reg(w, &w->pf, NVME_CSTS), 0);
	nvme_reg_set(w, &w->pf, NVME_AQA, 0x00ff00ff);
	/* Pages beyond CAP.MPSMAX; a command set there is not. */
	nvme_reg_set(w, &w->pf, NVME_CC, NVME_CC_EN | FIELD_PREP(NVME_CC_MPS, 5));
	assert_int_equal(nvme_reg(w, &w->pf, NVME_CSTS), NVME_CSTS_CFS);
	nvme_reg_set(w, &w->pf, NVME_CC, 0);
	nvme_reg_set(w, &w->pf, NVME_CC, NVME_CC_EN | FIELD_PREP(NVME_CC_CSS, 6));
	assert_int_equal(nvme_reg(w, &w->pf, NVME_CSTS), NVME_CSTS_CFS);
	nvme_reg_set(w, &w->pf, NVME_CC, 0);
	enable(w);
}

static void a_queue_outside_of_memory_is_fatal_and_no_more(void **state)
{
	struct nvme_world *w = *state;

	nvme_driver_enable(w, &w->pf);
	nvme_reg_set(w, &w->pf, NVME_CC, 0);
	nvme_reg_set(w, &w->pf, NVME_ASQ + 4, 0xffffffff);
	nvme_reg_set(w, &w->pf, NVME_CC, NVME_CC_EN);
	assert_int_equal(nvme_reg(w, &w->pf, NVME_CSTS), NVME_CSTS_RDY);
	nvme_reg_set(w, &w->pf, NVME_DOORBELLS, 1);
	assert_int_equal(nvme_reg(w, &w->pf, NVME_CSTS), NVME_CSTS_RDY | NVME_CSTS_CFS);
	nvme_reg_set(w, &w->pf, NVME_CC, 0);
	enable(w);
}

static void shutdown_completes_and_enabling_starts_anew(void **state)
{
	struct nvme_world *w = *state;

	enable(w);
	nvme_reg_set(w, &w->pf, NVME_CC, nvme_reg(w, &w->pf, NVME_CC) | FIELD_PREP(NVME_CC_SHN, 1));
	assert_int_equal(FIELD_GET(NVME_CSTS_SHST, nvme_reg(w, &w->pf, NVME_CSTS)),
			 NVME_SHST_COMPLETE);
	nvme_reg_set(w, &w->pf, NVME_CC, 0);
	enable(w);
}

static void a_subsystem_reset_is_told_and_cleared(void **state)
{
	struct nvme_world *w = *state;

	enable(w);
	nvme_reg_set(w, &w->pf, NVME_NSSR, 1);
	assert_int_equal(nvme_reg(w, &w->pf, NVME_CSTS), NVME_CSTS_RDY);
	nvme_reg_set(w, &w->pf, NVME_NSSR, NVME_NSSR_RESET);
	assert_int_equal(nvme_reg(w, &w->pf, NVME_CSTS), NVME_CSTS_NSSRO);
	assert_int_equal(nvme_reg(w, &w->pf, NVME_CC), 0);
	nvme_reg_set(w, &w->pf, NVME_CSTS, NVME_CSTS_NSSRO);
	assert_int_equal(nvme_reg(w, &w->pf, NVME_CSTS), 0);
}

static void a_function_reset_forgets_everything(void **state)
{
	struct nvme_world *w = *state;
	uint16_t control = (uint16_t)(w->pf.fn->pcie_cap + PCI_EXP_DEVCTL);

	enable(w);
	nvme_driver_pair(w, &w->pf, 1);
	fake_cfg_write(&w->pci, w->pf.rid, control, 2, PCI_EXP_DEVCTL_FLR);
	assert_int_equal(fake_cfg_read(&w->pci, w->pf.rid, PCI_COMMAND, 2), 0);
	fake_cfg_write(&w->pci, w->pf.rid, PCI_BAR0, 4, (uint32_t)w->pf.regs);
	fake_cfg_write(&w->pci, w->pf.rid, PCI_BAR0 + 4, 4, (uint32_t)(w->pf.regs >> 32));
	fake_cfg_write(&w->pci, w->pf.rid, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(nvme_reg(w, &w->pf, NVME_CC), 0);
	assert_int_equal(nvme_reg(w, &w->pf, NVME_AQA), 0);
	assert_int_equal(nvme_reg(w, &w->pf, NVME_ASQ), 0);
	enable(w);
	nvme_driver_pair(w, &w->pf, 1);
}

static void queues_are_made_and_deleted_in_order(void **state)
{
	struct nvme_world *w = *state;
	uint32_t size = 7u << 16;

	enable(w);
	/* Its completion queue does not exist. */
	assert_int_equal(admin(w, NVME_ADMIN_CREATE_SQ, 0, 1 | size, 1 | 1 << 16).status,
			 NVME_INVALID_CQ);
	assert_int_equal(admin(w, NVME_ADMIN_CREATE_SQ, 0, 1 | size, 1).status, NVME_INVALID_CQ);
	/* Numbers: the admin queue's, beyond those there are, taken. */
	assert_int_equal(admin(w, NVME_ADMIN_CREATE_CQ, 0, 0 | size, 1).status, NVME_INVALID_QID);
	assert_int_equal(admin(w, NVME_ADMIN_CREATE_CQ, 0, 5 | size, 1).status, NVME_INVALID_QID);
	assert_int_equal(admin(w, NVME_ADMIN_CREATE_CQ, 0, 0xffff | size, 1).status,
			 NVME_INVALID_QID);
	assert_int_equal(admin(w, NVME_ADMIN_CREATE_CQ, 0, 4 | size, 1).status, 0);
	assert_int_equal(admin(w, NVME_ADMIN_CREATE_CQ, 0, 4 | size, 1).status, NVME_INVALID_QID);
	/* Sizes, contiguity, vectors. */
	assert_int_equal(admin(w, NVME_ADMIN_CREATE_CQ, 0, 1, 1).status, NVME_INVALID_QUEUE_SIZE);
	assert_int_equal(admin(w, NVME_ADMIN_CREATE_CQ, 0, 1 | 1024u << 16, 1).status,
			 NVME_INVALID_QUEUE_SIZE);
	assert_int_equal(admin(w, NVME_ADMIN_CREATE_CQ, 0, 1 | size, 0).status, NVME_INVALID_FIELD);
	assert_int_equal(admin(w, NVME_ADMIN_CREATE_CQ, 0, 1 | size, 3 | 5 << 16).status,
			 NVME_INVALID_VECTOR);
	assert_int_equal(admin(w, NVME_ADMIN_CREATE_SQ, 0, 2 | size, 1 | 4 << 16).status, 0);
	assert_int_equal(admin(w, NVME_ADMIN_DELETE_CQ, 0, 4, 0).status,
			 NVME_INVALID_QUEUE_DELETION);
	assert_int_equal(admin(w, NVME_ADMIN_DELETE_SQ, 0, 4, 0).status, NVME_INVALID_QID);
	assert_int_equal(admin(w, NVME_ADMIN_DELETE_SQ, 0, 0, 0).status, NVME_INVALID_QID);
	assert_int_equal(admin(w, NVME_ADMIN_DELETE_SQ, 0, 2, 0).status, 0);
	assert_int_equal(admin(w, NVME_ADMIN_DELETE_CQ, 0, 4, 0).status, 0);
	assert_int_equal(admin(w, NVME_ADMIN_DELETE_CQ, 0, 4, 0).status, NVME_INVALID_QID);
}

static void a_misaligned_queue_is_a_wrong_prp_offset(void **state)
{
	struct nvme_world *w = *state;
	struct nvme_sqe sqe = nvme_command(NVME_ADMIN_CREATE_CQ, 0, NVME_WORLD_DATA + 16, 0);

	enable(w);
	nvme_set_cdw(&sqe, 10, 1 | 7 << 16);
	nvme_set_cdw(&sqe, 11, NVME_QUEUE_PC);
	assert_int_equal(nvme_driver_run(w, &w->pf, 0, sqe).status, NVME_INVALID_PRP_OFFSET);
}

static void unknown_commands_are_invalid_opcodes(void **state)
{
	struct nvme_world *w = *state;
	struct nvme_answer a;

	enable(w);
	a = admin(w, 0x80, NVME_NSID_ALL, 0, 0); /* Format NVM */
	assert_int_equal(a.status, NVME_INVALID_OPCODE);
	assert_true(a.dnr);
	assert_int_equal(admin(w, 0xff, 0, 0, 0).status, NVME_INVALID_OPCODE);
}

static void queues_wrap_and_phases_turn(void **state)
{
	struct nvme_world *w = *state;

	enable(w);
	for (unsigned int i = 0; i < 3 * NVME_WORLD_Q + 1; i++) {
		struct nvme_answer a = admin(w, NVME_ADMIN_IDENTIFY, 0, NVME_CNS_CTRL, 0);

		assert_true(a.posted);
		assert_int_equal(a.status, 0);
		assert_int_equal(a.sqhd, (i + 1) % NVME_WORLD_Q);
	}
}

static void a_full_completion_queue_holds_the_rest_back(void **state)
{
	struct nvme_world *w = *state;
	struct nvme_sqe sqe = nvme_command(NVME_ADMIN_CREATE_CQ, 0, NVME_WORLD_CQ(1), 0);
	unsigned int nr = 0;

	enable(w);
	/* Four entries: room for three. */
	nvme_set_cdw(&sqe, 10, 1 | 3 << 16);
	nvme_set_cdw(&sqe, 11, NVME_QUEUE_PC);
	assert_int_equal(nvme_driver_run(w, &w->pf, 0, sqe).status, 0);
	sqe = nvme_command(NVME_ADMIN_CREATE_SQ, 0, NVME_WORLD_SQ(1), 0);
	nvme_set_cdw(&sqe, 10, 1 | (NVME_WORLD_Q - 1) << 16);
	nvme_set_cdw(&sqe, 11, NVME_QUEUE_PC | 1 << 16);
	assert_int_equal(nvme_driver_run(w, &w->pf, 0, sqe).status, 0);
	for (unsigned int i = 0; i < 8; i++) {
		sqe = nvme_rw(NVME_IO_READ, 1, i, 1, NVME_WORLD_DATA, 0);
		nvme_driver_put(w, &w->pf, 1, &sqe);
	}
	nvme_driver_ring(w, &w->pf, 1);
	for (unsigned int i = 0; i < 4; i++) {
		uint8_t *e = nvme_world_mem(w, NVME_WORLD_CQ(1) + NVME_CQE_LEN * i);

		nr += e[14] & 1;
	}
	assert_int_equal(nr, 3);
	/* One head moves, one more comes: into the fourth, then with the other phase. */
	nvme_reg_set(w, &w->pf, NVME_DOORBELLS + 12, 1);
	assert_int_equal(((uint8_t *)nvme_world_mem(w, NVME_WORLD_CQ(1) + 48))[14] & 1, 1);
	nvme_reg_set(w, &w->pf, NVME_DOORBELLS + 12, 2);
	assert_int_equal(((uint8_t *)nvme_world_mem(w, NVME_WORLD_CQ(1)))[14] & 1, 0);
	assert_int_equal(le_load(nvme_world_mem(w, NVME_WORLD_CQ(1) + 12), 2), w->next_cid - 3);
}

static void wrong_doorbells_are_told_by_an_event(void **state)
{
	struct nvme_world *w = *state;
	struct nvme_sqe aer = nvme_command(NVME_ADMIN_ASYNC_EVENT, 0, 0, 0);
	struct nvme_answer a;

	enable(w);
	nvme_driver_put(w, &w->pf, 0, &aer);
	nvme_driver_ring(w, &w->pf, 0);
	assert_false(nvme_driver_take(w, &w->pf, 0).posted);
	/* There is no queue 3. */
	nvme_reg_set(w, &w->pf, NVME_DOORBELLS + 24, 1);
	a = nvme_driver_take(w, &w->pf, 0);
	assert_true(a.posted);
	assert_int_equal(a.result, NVME_EVENT(NVME_EVENT_ERROR, 0, NVME_LOG_ERROR));
	/* Not again before the log was read. */
	nvme_driver_put(w, &w->pf, 0, &aer);
	nvme_driver_ring(w, &w->pf, 0);
	nvme_reg_set(w, &w->pf, NVME_DOORBELLS, NVME_WORLD_Q);
	assert_false(nvme_driver_take(w, &w->pf, 0).posted);
	aer = nvme_command(NVME_ADMIN_GET_LOG, NVME_NSID_ALL, NVME_WORLD_DATA, 0);
	nvme_set_cdw(&aer, 10, NVME_LOG_ERROR | 15 << 16);
	nvme_driver_put(w, &w->pf, 0, &aer);
	nvme_driver_ring(w, &w->pf, 0);
	a = nvme_driver_take(w, &w->pf, 0);
	assert_int_equal(a.result, NVME_EVENT(NVME_EVENT_ERROR, 1, NVME_LOG_ERROR));
	assert_true(nvme_driver_take(w, &w->pf, 0).posted);
}

static void a_head_beyond_its_queue_moves_nothing(void **state)
{
	struct nvme_world *w = *state;
	struct nvme_sqe sqe = nvme_command(NVME_ADMIN_ASYNC_EVENT, 0, 0, 0);
	int pin = pci_function_intx_pin(w->pf.fn);

	enable(w);
	nvme_driver_put(w, &w->pf, 0, &sqe);
	sqe = nvme_command(0xff, 0, 0, 0);
	nvme_driver_put(w, &w->pf, 0, &sqe);
	nvme_driver_ring(w, &w->pf, 0);
	assert_true(fake_pin(&w->pci.machine, (unsigned int)pin));
	/* One entry is there: 1 would do, and 17 is not 1. */
	nvme_reg_set(w, &w->pf, NVME_DOORBELLS + 4, NVME_WORLD_Q + 1);
	assert_true(fake_pin(&w->pci.machine, (unsigned int)pin));
	assert_int_equal(nvme_driver_take(w, &w->pf, 0).status, NVME_INVALID_OPCODE);
	assert_int_equal(nvme_driver_take(w, &w->pf, 0).result,
			 NVME_EVENT(NVME_EVENT_ERROR, 1, NVME_LOG_ERROR));
}

static void event_requests_have_a_limit_and_can_be_aborted(void **state)
{
	struct nvme_world *w = *state;
	struct nvme_sqe aer = nvme_command(NVME_ADMIN_ASYNC_EVENT, 0, 0, 0);
	struct nvme_answer a;
	uint16_t cid = 0;

	enable(w);
	for (unsigned int i = 0; i < 4; i++)
		cid = nvme_driver_put(w, &w->pf, 0, &aer);
	nvme_driver_ring(w, &w->pf, 0);
	assert_false(nvme_driver_take(w, &w->pf, 0).posted);
	assert_int_equal(nvme_driver_run(w, &w->pf, 0, aer).status, NVME_AER_LIMIT);
	aer = nvme_command(NVME_ADMIN_ABORT, 0, 0, 0);
	nvme_set_cdw(&aer, 10, (uint32_t)cid << 16);
	nvme_driver_put(w, &w->pf, 0, &aer);
	nvme_driver_ring(w, &w->pf, 0);
	a = nvme_driver_take(w, &w->pf, 0);
	assert_int_equal(a.cid, cid);
	assert_int_equal(a.status, NVME_ABORT_REQUESTED);
	a = nvme_driver_take(w, &w->pf, 0);
	assert_int_equal(a.status, 0);
	assert_int_equal(a.result, 0);
	/* What is not there is not aborted. */
	assert_int_equal(admin(w, NVME_ADMIN_ABORT, 0, 0x12340001, 0).result, 1);
}

static void interrupts_go_by_the_queue_s_vector(void **state)
{
	struct nvme_world *w = *state;
	struct nvme_driver *d = &w->pf;
	uint8_t cap = w->pf.fn->config[PCI_CAP_PTR];
	unsigned int before;

	while (w->pf.fn->config[cap] != PCI_CAP_MSIX)
		cap = w->pf.fn->config[cap + 1];
	for (unsigned int v = 0; v < 5; v++) {
		uint64_t at = d->regs + KIB(8) + PCI_MSIX_ENTRY * v;

		fake_bus_write(&w->pci.machine, BUS_MMIO, at, 4, 0xfee00000);
		fake_bus_write(&w->pci.machine, BUS_MMIO, at + 8, 4, 0x40 + v);
		fake_bus_write(&w->pci.machine, BUS_MMIO, at + 12, 4, 0);
	}
	fake_cfg_write(&w->pci, d->rid, (uint16_t)(cap + PCI_MSIX_CONTROL), 2, PCI_MSIX_ENABLE);
	enable(w);
	nvme_driver_pair(w, d, 3);
	before = w->pci.machine.nr_sent;
	nvme_driver_run(w, d, 3, nvme_rw(NVME_IO_READ, 1, 0, 1, NVME_WORLD_DATA, 0));
	assert_int_equal(w->pci.machine.nr_sent, before + 1);
	assert_int_equal(w->pci.machine.sent[before].msg.data, 0x43);
	assert_int_equal(w->pci.machine.sent[before].rid.v, d->rid.v);
	/* One for all that come together. */
	for (unsigned int i = 0; i < 8; i++) {
		struct nvme_sqe sqe = nvme_rw(NVME_IO_READ, 1, i, 1, NVME_WORLD_DATA, 0);

		nvme_driver_put(w, d, 3, &sqe);
	}
	nvme_driver_ring(w, d, 3);
	assert_int_equal(w->pci.machine.nr_sent, before + 2);
}

static void without_msix_the_pin_follows_the_queues(void **state)
{
	struct nvme_world *w = *state;
	struct nvme_sqe sqe = nvme_command(NVME_ADMIN_IDENTIFY, 0, NVME_WORLD_DATA, 0);
	int pin = pci_function_intx_pin(w->pf.fn);

	enable(w);
	nvme_set_cdw(&sqe, 10, NVME_CNS_CTRL);
	nvme_driver_put(w, &w->pf, 0, &sqe);
	nvme_driver_ring(w, &w->pf, 0);
	assert_true(fake_pin(&w->pci.machine, (unsigned int)pin));
	nvme_reg_set(w, &w->pf, NVME_INTMS, 1);
	assert_false(fake_pin(&w->pci.machine, (unsigned int)pin));
	nvme_reg_set(w, &w->pf, NVME_INTMC, 1);
	assert_true(fake_pin(&w->pci.machine, (unsigned int)pin));
	assert_true(nvme_driver_take(w, &w->pf, 0).posted);
	assert_false(fake_pin(&w->pci.machine, (unsigned int)pin));
}

static void set_shadow(struct nvme_world *w, uint64_t offset, uint32_t value)
{
	le_store(nvme_world_mem(w, NVME_WORLD_SHADOW + offset), 4, value);
}

static uint32_t event_index(struct nvme_world *w, uint64_t offset)
{
	return (uint32_t)le_load(nvme_world_mem(w, NVME_WORLD_EVENTS + offset), 4);
}

static void doorbell_buffers_need_no_registers(void **state)
{
	struct nvme_world *w = *state;
	struct nvme_driver *d = &w->pf;
	struct nvme_sqe sqe =
		nvme_command(NVME_ADMIN_DOORBELL_BUFFER, 0, NVME_WORLD_SHADOW, NVME_WORLD_EVENTS);
	struct nvme_answer a;

	enable(w);
	assert_int_equal(nvme_driver_run(w, d, 0, sqe).status, 0);
	nvme_driver_pair(w, d, 1);
	/* The kernel takes the pair's doorbells now; the admin queue's stay trapped. */
	assert_non_null(fake_bell_at(&w->pci.machine, BUS_MMIO, d->regs + NVME_DOORBELLS + 8));
	assert_non_null(fake_bell_at(&w->pci.machine, BUS_MMIO, d->regs + NVME_DOORBELLS + 12));
	assert_null(fake_bell_at(&w->pci.machine, BUS_MMIO, d->regs + NVME_DOORBELLS));

	sqe = nvme_rw(NVME_IO_READ, 1, 0, 1, NVME_WORLD_DATA, 0);
	for (unsigned int i = 1; i <= 20; i++) {
		nvme_driver_put(w, d, 1, &sqe);
		set_shadow(w, 8, d->q[1].sq_tail);
		nvme_serve(w->dev);
		/* Ring at the next one. */
		assert_int_equal(event_index(w, 8), d->q[1].sq_tail);
		a = nvme_driver_take(w, d, 1);
		assert_true(a.posted);
		assert_int_equal(a.status, 0);
		set_shadow(w, 12, d->q[1].cq_head);
	}
	/* The bells go with the BAR, and come back with it. */
	fake_cfg_write(&w->pci, d->rid, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	assert_null(fake_bell_at(&w->pci.machine, BUS_MMIO, d->regs + NVME_DOORBELLS + 8));
	assert_int_equal(w->pci.machine.nr_bells, 0);
}

static void a_tail_beyond_its_queue_in_a_buffer_is_fatal(void **state)
{
	struct nvme_world *w = *state;
	struct nvme_sqe sqe =
		nvme_command(NVME_ADMIN_DOORBELL_BUFFER, 0, NVME_WORLD_SHADOW, NVME_WORLD_EVENTS);

	enable(w);
	assert_int_equal(nvme_driver_run(w, &w->pf, 0, sqe).status, 0);
	nvme_driver_pair(w, &w->pf, 1);
	set_shadow(w, 8, 0xffffffff);
	nvme_serve(w->dev);
	assert_true(nvme_reg(w, &w->pf, NVME_CSTS) & NVME_CSTS_CFS);
	nvme_reg_set(w, &w->pf, NVME_CC, 0);
	assert_int_equal(nvme_reg(w, &w->pf, NVME_CSTS), 0);
}

static void features_are_kept_until_reset(void **state)
{
	struct nvme_world *w = *state;

	enable(w);
	assert_int_equal(admin(w, NVME_ADMIN_GET_FEATURES, 0, NVME_FEATURE_QUEUES, 0).result,
			 3 | 3 << 16);
	assert_int_equal(admin(w, NVME_ADMIN_SET_FEATURES, 0, NVME_FEATURE_QUEUES, 0xffff).status,
			 NVME_INVALID_FIELD);
	assert_int_equal(
		admin(w, NVME_ADMIN_SET_FEATURES, 0, NVME_FEATURE_COALESCING, 0x1234).status, 0);
	assert_int_equal(admin(w, NVME_ADMIN_GET_FEATURES, 0, NVME_FEATURE_COALESCING, 0).result,
			 0x1234);
	assert_int_equal(admin(w, NVME_ADMIN_GET_FEATURES, 0,
			       NVME_FEATURE_COALESCING | NVME_SELECT_DEFAULT << 8, 0)
				 .result,
			 0);
	assert_int_equal(admin(w, NVME_ADMIN_GET_FEATURES, 0,
			       NVME_FEATURE_COALESCING | NVME_SELECT_CAPABILITIES << 8, 0)
				 .result,
			 NVME_FEATURE_CHANGEABLE);
	assert_int_equal(admin(w, NVME_ADMIN_SET_FEATURES, 0,
			       NVME_FEATURE_COALESCING | NVME_FEATURE_SAVE, 0)
				 .status,
			 NVME_NOT_SAVEABLE);
	assert_int_equal(admin(w, NVME_ADMIN_GET_FEATURES, 0, 0x7f, 0).status, NVME_INVALID_FIELD);
	assert_int_equal(admin(w, NVME_ADMIN_SET_FEATURES, 0, NVME_FEATURE_VECTOR, 5).status,
			 NVME_INVALID_FIELD);
	nvme_reg_set(w, &w->pf, NVME_CC, 0);
	enable(w);
	assert_int_equal(admin(w, NVME_ADMIN_GET_FEATURES, 0, NVME_FEATURE_COALESCING, 0).result,
			 0);
	/* Queues are counted before there are any (5.21.1.7). */
	nvme_driver_pair(w, &w->pf, 1);
	assert_int_equal(admin(w, NVME_ADMIN_SET_FEATURES, 0, NVME_FEATURE_QUEUES, 0).status,
			 NVME_SEQUENCE_ERROR);
}

static void a_threshold_below_the_temperature_is_an_event(void **state)
{
	struct nvme_world *w = *state;
	struct nvme_sqe aer = nvme_command(NVME_ADMIN_ASYNC_EVENT, 0, 0, 0);
	const uint8_t *smart = nvme_world_mem(w, NVME_WORLD_DATA);
	struct nvme_answer a;

	enable(w);
	assert_int_equal(admin(w, NVME_ADMIN_SET_FEATURES, 0, NVME_FEATURE_EVENTS,
			       NVME_WARNING_TEMPERATURE)
				 .status,
			 0);
	nvme_driver_put(w, &w->pf, 0, &aer);
	nvme_driver_ring(w, &w->pf, 0);
	assert_false(nvme_driver_take(w, &w->pf, 0).posted);
	nvme_driver_put(w, &w->pf, 0, &aer);
	aer = nvme_command(NVME_ADMIN_SET_FEATURES, 0, 0, 0);
	nvme_set_cdw(&aer, 10, NVME_FEATURE_TEMPERATURE);
	nvme_set_cdw(&aer, 11, 300);
	nvme_driver_put(w, &w->pf, 0, &aer);
	nvme_driver_ring(w, &w->pf, 0);
	a = nvme_driver_take(w, &w->pf, 0);
	assert_int_equal(a.result, NVME_EVENT(NVME_EVENT_SMART, 1, NVME_LOG_SMART));
	assert_true(nvme_driver_take(w, &w->pf, 0).posted);
	a = admin(w, NVME_ADMIN_GET_LOG, NVME_NSID_ALL, NVME_LOG_SMART | 127 << 16, 0);
	assert_int_equal(a.status, 0);
	assert_int_equal(smart[NVME_SMART_WARNING], NVME_WARNING_TEMPERATURE);
	assert_int_equal(le_load(smart + NVME_SMART_TEMPERATURE, 2), 310);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(capabilities_say_what_a_driver_needs, setup,
						teardown),
		cmocka_unit_test_setup_teardown(enabling_and_disabling_show_in_ready, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_enabled_is_fatal_until_reset, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_queue_outside_of_memory_is_fatal_and_no_more,
						setup, teardown),
		cmocka_unit_test_setup_teardown(shutdown_completes_and_enabling_starts_anew, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_subsystem_reset_is_told_and_cleared, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_function_reset_forgets_everything, setup,
						teardown),
		cmocka_unit_test_setup_teardown(queues_are_made_and_deleted_in_order, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_misaligned_queue_is_a_wrong_prp_offset, setup,
						teardown),
		cmocka_unit_test_setup_teardown(unknown_commands_are_invalid_opcodes, setup,
						teardown),
		cmocka_unit_test_setup_teardown(queues_wrap_and_phases_turn, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_completion_queue_holds_the_rest_back, setup,
						teardown),
		cmocka_unit_test_setup_teardown(wrong_doorbells_are_told_by_an_event, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_head_beyond_its_queue_moves_nothing, setup,
						teardown),
		cmocka_unit_test_setup_teardown(event_requests_have_a_limit_and_can_be_aborted,
						setup, teardown),
		cmocka_unit_test_setup_teardown(interrupts_go_by_the_queue_s_vector, setup,
						teardown),
		cmocka_unit_test_setup_teardown(without_msix_the_pin_follows_the_queues, setup,
						teardown),
		cmocka_unit_test_setup_teardown(doorbell_buffers_need_no_registers, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_tail_beyond_its_queue_in_a_buffer_is_fatal, setup,
						teardown),
		cmocka_unit_test_setup_teardown(features_are_kept_until_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(a_threshold_below_the_temperature_is_an_event,
						setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
