// SPDX-License-Identifier: GPL-2.0-or-later
/* NVMe with virtual functions: what the primary's host deals out, who may use what, what resets do. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake/nvme.h"
#include "pci/sriov.h"

#define VFS	 3
#define SRIOV_AT (PCI_EXT_CAPS + PCI_ARI_LEN)
#define VF_BAR	 KIB(16)

static int setup(void **state)
{
	struct nvme_world *w = malloc(sizeof(*w));

	nvme_world_init(w, 2, VFS);
	nvme_driver_enable(w, &w->pf);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	nvme_world_fini(*state);
	free(*state);
	return 0;
}

static struct nvme_answer admin(struct nvme_world *w, struct nvme_driver *d, uint8_t opcode,
				uint32_t nsid, uint32_t dw10, uint32_t dw11)
{
	struct nvme_sqe sqe = nvme_command(opcode, nsid, NVME_WORLD_DATA, 0);

	nvme_set_cdw(&sqe, 10, dw10);
	nvme_set_cdw(&sqe, 11, dw11);
	return nvme_driver_run(w, d, 0, sqe);
}

static struct nvme_answer virt(struct nvme_world *w, unsigned int id, unsigned int action,
			       unsigned int resource, unsigned int nr)
{
	return admin(w, &w->pf, NVME_ADMIN_VIRTUALIZATION, 0, action | resource << 8 | id << 16,
		     nr);
}

static void vfs_enable(struct nvme_world *w, unsigned int nr)
{
	uint64_t bars;

	fake_cfg_write(&w->pci, w->pf.rid, SRIOV_AT + PCI_SRIOV_NUM_VFS, 2, nr);
	fake_cfg_write(&w->pci, w->pf.rid, SRIOV_AT + PCI_SRIOV_CTRL, 2,
		       nr ? PCI_SRIOV_VF_ENABLE | PCI_SRIOV_VF_MEMORY : 0);
	bars = fake_cfg_read(&w->pci, w->pf.rid, SRIOV_AT + PCI_SRIOV_VF_BAR0, 4) &
	       PCI_BAR_MEM_MASK;
	bars |= (uint64_t)fake_cfg_read(&w->pci, w->pf.rid, SRIOV_AT + PCI_SRIOV_VF_BAR0 + 4, 4)
		<< 32;
	for (unsigned int i = 0; i < nr; i++) {
		w->vf[i].fn = nvme_vf(w->dev, i);
		w->vf[i].rid = pci_function_rid(w->vf[i].fn);
		w->vf[i].regs = bars + VF_BAR * i;
		fake_cfg_write(&w->pci, w->vf[i].rid, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	}
}

static void online(struct nvme_world *w, unsigned int id)
{
	assert_int_equal(virt(w, id, NVME_VIRT_ASSIGN, NVME_VIRT_VQ, 3).status, 0);
	assert_int_equal(virt(w, id, NVME_VIRT_ASSIGN, NVME_VIRT_VI, 2).status, 0);
	assert_int_equal(virt(w, id, NVME_VIRT_ONLINE, 0, 0).status, 0);
}

static void a_virtual_function_works_once_it_is_online(void **state)
{
	struct nvme_world *w = *state;
	struct nvme_driver *vf = &w->vf[1];
	uint8_t *data = nvme_world_mem(w, NVME_WORLD_DATA);

	vfs_enable(w, 2);
	/* Offline: a fatal status and nothing else. */
	assert_int_equal(nvme_reg(w, vf, NVME_CSTS), NVME_CSTS_CFS);
	assert_int_equal(nvme_reg(w, vf, NVME_CAP), 0);
	nvme_reg_set(w, vf, NVME_CC, NVME_CC_EN);
	assert_int_equal(nvme_reg(w, vf, NVME_CSTS), NVME_CSTS_CFS);

	online(w, 2);
	assert_int_equal(nvme_reg(w, vf, NVME_CSTS), 0);
	nvme_driver_enable(w, vf);
	assert_int_equal(nvme_reg(w, vf, NVME_CSTS), NVME_CSTS_RDY);
	assert_int_equal(admin(w, vf, NVME_ADMIN_IDENTIFY, 0, NVME_CNS_CTRL, 0).status, 0);
	assert_int_equal(le_load(data + NVME_ID_CNTLID, 2), 2);
	assert_int_equal(data[NVME_ID_CMIC], NVME_CMIC_CONTROLLERS | NVME_CMIC_VF);
	/* As many queues as it was given. */
	assert_int_equal(admin(w, vf, NVME_ADMIN_GET_FEATURES, 0, NVME_FEATURE_QUEUES, 0).result,
			 1 | 1 << 16);
	nvme_driver_pair(w, vf, 1);
	memset(data, 0x5a, 512);
	assert_int_equal(nvme_driver_run(w, vf, 1,
					 nvme_rw(NVME_IO_WRITE, 1, 7, 1, NVME_WORLD_DATA, 0))
				 .status,
			 0);
	nvme_driver_pair(w, &w->pf, 1);
	memset(data, 0, 512);
	assert_int_equal(nvme_driver_run(w, &w->pf, 1,
					 nvme_rw(NVME_IO_READ, 1, 7, 1, NVME_WORLD_DATA, 0))
				 .status,
			 0);
	assert_int_equal(data[511], 0x5a);
}

static void a_virtual_function_s_requests_carry_its_own_id(void **state)
{
	struct nvme_world *w = *state;

	vfs_enable(w, 1);
	online(w, 1);
	/* Its own mastering, not the physical function's. */
	fake_cfg_write(&w->pci, w->vf[0].rid, PCI_COMMAND, 2, 0);
	nvme_driver_enable(w, &w->vf[0]);
	nvme_reg_set(w, &w->vf[0], NVME_DOORBELLS, 1);
	assert_true(nvme_reg(w, &w->vf[0], NVME_CSTS) & NVME_CSTS_CFS);
	assert_int_equal(nvme_reg(w, &w->pf, NVME_CSTS), NVME_CSTS_RDY);
	assert_int_not_equal(w->vf[0].fn->requester, w->pf.fn->requester);
	assert_non_null(w->vf[0].fn->requester);
}

static void resources_are_dealt_out_within_what_there_is(void **state)
{
	struct nvme_world *w = *state;
	const uint8_t *data = nvme_world_mem(w, NVME_WORLD_DATA);

	/* Each may have three (vf_queues + 1); together nine. */
	assert_int_equal(virt(w, 1, NVME_VIRT_ASSIGN, NVME_VIRT_VQ, 4).status,
			 NVME_INVALID_RESOURCE_COUNT);
	assert_int_equal(virt(w, 1, NVME_VIRT_ASSIGN, NVME_VIRT_VQ, 3).result, 3);
	assert_int_equal(virt(w, 0, NVME_VIRT_PRIMARY_ALLOCATE, NVME_VIRT_VQ, 7).status,
			 NVME_INVALID_RESOURCE_COUNT);
	assert_int_equal(virt(w, 0, NVME_VIRT_PRIMARY_ALLOCATE, NVME_VIRT_VQ, 6).status, 0);
	assert_int_equal(virt(w, 2, NVME_VIRT_ASSIGN, NVME_VIRT_VQ, 1).status,
			 NVME_INVALID_RESOURCE_COUNT);
	assert_int_equal(virt(w, 1, NVME_VIRT_ASSIGN, 2, 1).status, NVME_INVALID_RESOURCE_ID);
	assert_int_equal(virt(w, 0, NVME_VIRT_ASSIGN, NVME_VIRT_VQ, 1).status,
			 NVME_INVALID_CTRL_ID);
	assert_int_equal(virt(w, 4, NVME_VIRT_ASSIGN, NVME_VIRT_VQ, 1).status,
			 NVME_INVALID_CTRL_ID);
	assert_int_equal(virt(w, 1, NVME_VIRT_PRIMARY_ALLOCATE, NVME_VIRT_VQ, 1).status,
			 NVME_INVALID_CTRL_ID);
	assert_int_equal(virt(w, 1, 3, NVME_VIRT_VQ, 1).status, NVME_INVALID_FIELD);

	assert_int_equal(admin(w, &w->pf, NVME_ADMIN_IDENTIFY, 0, NVME_CNS_PRIMARY, 0).status, 0);
	assert_int_equal(data[NVME_PRIMARY_CRT], NVME_CRT_VQ | NVME_CRT_VI);
	assert_int_equal(le_load(data + NVME_PRIMARY_VQ + NVME_PRIMARY_FRT, 4), 9);
	assert_int_equal(le_load(data + NVME_PRIMARY_VQ + NVME_PRIMARY_RFA, 4), 3);
	assert_int_equal(le_load(data + NVME_PRIMARY_VQ + NVME_PRIMARY_RFAP, 2), 6);
	assert_int_equal(le_load(data + NVME_PRIMARY_VQ + NVME_PRIMARY_PRT, 2), 5);
	assert_int_equal(le_load(data + NVME_PRIMARY_VQ + NVME_PRIMARY_FRSM, 2), 3);
	assert_int_equal(le_load(data + NVME_PRIMARY_VI + NVME_PRIMARY_RFA, 4), 0);
	/* The primary has them after its next reset. */
	assert_int_equal(
		admin(w, &w->pf, NVME_ADMIN_GET_FEATURES, 0, NVME_FEATURE_QUEUES, 0).result,
		3 | 3 << 16);
	nvme_reg_set(w, &w->pf, NVME_CC, 0);
	nvme_driver_enable(w, &w->pf);
	assert_int_equal(
		admin(w, &w->pf, NVME_ADMIN_GET_FEATURES, 0, NVME_FEATURE_QUEUES, 0).result,
		9 | 9 << 16);
}

static void only_who_has_enough_and_is_offline_changes_state(void **state)
{
	struct nvme_world *w = *state;

	vfs_enable(w, 1);
	assert_int_equal(virt(w, 1, NVME_VIRT_ONLINE, 0, 0).status, NVME_INVALID_SECONDARY_STATE);
	virt(w, 1, NVME_VIRT_ASSIGN, NVME_VIRT_VQ, 1);
	virt(w, 1, NVME_VIRT_ASSIGN, NVME_VIRT_VI, 1);
	assert_int_equal(virt(w, 1, NVME_VIRT_ONLINE, 0, 0).status, NVME_INVALID_SECONDARY_STATE);
	virt(w, 1, NVME_VIRT_ASSIGN, NVME_VIRT_VQ, 2);
	assert_int_equal(virt(w, 1, NVME_VIRT_ONLINE, 0, 0).status, 0);
	assert_int_equal(virt(w, 1, NVME_VIRT_ASSIGN, NVME_VIRT_VQ, 3).status,
			 NVME_INVALID_SECONDARY_STATE);
	/* Offline gives everything back. */
	assert_int_equal(virt(w, 1, NVME_VIRT_OFFLINE, 0, 0).status, 0);
	assert_int_equal(virt(w, 1, NVME_VIRT_ONLINE, 0, 0).status, NVME_INVALID_SECONDARY_STATE);
}

static void the_secondary_list_says_who_is_what(void **state)
{
	struct nvme_world *w = *state;
	const uint8_t *data = nvme_world_mem(w, NVME_WORLD_DATA);
	const uint8_t *second = data + 2 * NVME_SECONDARY_ENTRY;

	online(w, 2);
	assert_int_equal(admin(w, &w->pf, NVME_ADMIN_IDENTIFY, 0, NVME_CNS_SECONDARY, 0).status, 0);
	assert_int_equal(data[0], 3);
	assert_int_equal(le_load(second + NVME_SECONDARY_SCID, 2), 2);
	assert_int_equal(second[NVME_SECONDARY_SCS], NVME_SCS_ONLINE);
	assert_int_equal(le_load(second + NVME_SECONDARY_VFN, 2), 2);
	assert_int_equal(le_load(second + NVME_SECONDARY_NVQ, 2), 3);
	assert_int_equal(le_load(second + NVME_SECONDARY_NVI, 2), 2);
	assert_int_equal(data[NVME_SECONDARY_ENTRY + NVME_SECONDARY_SCS], 0);
	/* From a number on. */
	assert_int_equal(
		admin(w, &w->pf, NVME_ADMIN_IDENTIFY, 0, NVME_CNS_SECONDARY | 3 << 16, 0).status,
		0);
	assert_int_equal(data[0], 1);
	assert_int_equal(le_load(data + NVME_SECONDARY_ENTRY, 2), 3);
}

static unsigned int msix_size(struct nvme_world *w, const struct nvme_driver *d)
{
	uint8_t cap = d->fn->config[PCI_CAP_PTR];

	while (d->fn->config[cap] != PCI_CAP_MSIX)
		cap = d->fn->config[cap + 1];
	return (fake_cfg_read(&w->pci, d->rid, (uint16_t)(cap + PCI_MSIX_CONTROL), 2) &
		PCI_MSIX_SIZE) +
	       1;
}

static void msix_has_as_many_vectors_as_were_given(void **state)
{
	struct nvme_world *w = *state;

	vfs_enable(w, 1);
	virt(w, 1, NVME_VIRT_ASSIGN, NVME_VIRT_VI, 3);
	assert_int_equal(msix_size(w, &w->vf[0]), 3);
	virt(w, 1, NVME_VIRT_ASSIGN, NVME_VIRT_VI, 2);
	assert_int_equal(msix_size(w, &w->vf[0]), 2);
	/* Private ones, and the flexible. */
	assert_int_equal(msix_size(w, &w->pf), 5 + 9);
}

static void its_own_reset_leaves_it_online_the_primary_s_does_not(void **state)
{
	struct nvme_world *w = *state;
	struct nvme_driver *vf = &w->vf[0];
	uint16_t devctl;

	vfs_enable(w, 1);
	online(w, 1);
	nvme_driver_enable(w, vf);
	devctl = (uint16_t)(vf->fn->pcie_cap + PCI_EXP_DEVCTL);
	fake_cfg_write(&w->pci, vf->rid, devctl, 2, PCI_EXP_DEVCTL_FLR);
	assert_int_equal(nvme_reg(w, vf, NVME_CSTS), 0);
	assert_int_equal(nvme_reg(w, vf, NVME_CC), 0);
	assert_int_equal(nvme_reg(w, &w->pf, NVME_CSTS), NVME_CSTS_RDY);
	fake_cfg_write(&w->pci, vf->rid, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	nvme_driver_enable(w, vf);
	assert_int_equal(nvme_reg(w, vf, NVME_CSTS), NVME_CSTS_RDY);

	nvme_reg_set(w, &w->pf, NVME_CC, 0);
	assert_int_equal(nvme_reg(w, vf, NVME_CSTS), NVME_CSTS_CFS);
	/* And going from the bus takes it offline. */
	nvme_driver_enable(w, &w->pf);
	online(w, 1);
	assert_int_equal(nvme_reg(w, vf, NVME_CSTS), 0);
	vfs_enable(w, 0);
	vfs_enable(w, 1);
	assert_int_equal(nvme_reg(w, vf, NVME_CSTS), NVME_CSTS_CFS);
}

static void a_virtual_function_commands_no_others(void **state)
{
	struct nvme_world *w = *state;
	struct nvme_driver *vf = &w->vf[0];

	vfs_enable(w, 1);
	online(w, 1);
	nvme_driver_enable(w, vf);
	assert_int_equal(
		admin(w, vf, NVME_ADMIN_VIRTUALIZATION, 0, NVME_VIRT_OFFLINE | 2 << 16, 0).status,
		NVME_INVALID_OPCODE);
	assert_int_equal(admin(w, vf, NVME_ADMIN_NS_ATTACHMENT, 1, 1, 0).status,
			 NVME_INVALID_OPCODE);
	assert_int_equal(admin(w, vf, NVME_ADMIN_NS_MANAGEMENT, 1, 1, 0).status,
			 NVME_INVALID_OPCODE);
	assert_int_equal(admin(w, vf, NVME_ADMIN_IDENTIFY, 0, NVME_CNS_PRIMARY, 0).status,
			 NVME_INVALID_FIELD);
	/* Nor does its subsystem reset do anything. */
	assert_int_equal(nvme_reg(w, vf, NVME_CAP + 4) & (uint32_t)(NVME_CAP_NSSRS >> 32), 0);
	nvme_reg_set(w, vf, NVME_NSSR, NVME_NSSR_RESET);
	assert_int_equal(nvme_reg(w, &w->pf, NVME_CSTS), NVME_CSTS_RDY);
}

static struct nvme_answer attach(struct nvme_world *w, uint32_t nsid, bool detach, unsigned int nr,
				 unsigned int a, unsigned int b)
{
	uint8_t *list = nvme_world_mem(w, NVME_WORLD_DATA);

	memset(list, 0, 4096);
	le_store(list, 2, nr);
	le_store(list + 2, 2, a);
	le_store(list + 4, 2, b);
	return admin(w, &w->pf, NVME_ADMIN_NS_ATTACHMENT, nsid, detach, 0);
}

static void namespaces_go_to_the_controllers_they_are_attached_to(void **state)
{
	struct nvme_world *w = *state;
	struct nvme_driver *vf = &w->vf[0];
	const uint8_t *data = nvme_world_mem(w, NVME_WORLD_DATA);
	struct nvme_sqe aer = nvme_command(NVME_ADMIN_ASYNC_EVENT, 0, 0, 0);
	struct nvme_answer a;

	vfs_enable(w, 1);
	online(w, 1);
	nvme_driver_enable(w, vf);
	nvme_driver_pair(w, vf, 1);
	nvme_driver_pair(w, &w->pf, 1);
	assert_int_equal(admin(w, vf, NVME_ADMIN_SET_FEATURES, 0, NVME_FEATURE_EVENTS,
			       NVME_EVENTS_NAMESPACES)
				 .status,
			 0);
	nvme_driver_put(w, vf, 0, &aer);
	nvme_driver_ring(w, vf, 0);

	/* The second disk is the virtual function's, the first the physical one's. */
	assert_int_equal(attach(w, 2, true, 2, 0, 2).status, 0);
	assert_int_equal(attach(w, 1, true, 1, 1, 0).status, 0);
	assert_int_equal(attach(w, 1, true, 1, 1, 0).status, NVME_NOT_ATTACHED);
	assert_int_equal(attach(w, 1, false, 2, 1, 0).status, NVME_ALREADY_ATTACHED);
	assert_int_equal(attach(w, 1, false, 1, 9, 0).status, NVME_INVALID_CTRL_LIST);
	assert_int_equal(attach(w, 1, false, 0, 0, 0).status, NVME_INVALID_CTRL_LIST);
	assert_int_equal(attach(w, 5, false, 1, 0, 0).status, NVME_INVALID_NAMESPACE);

	a = nvme_driver_take(w, vf, 0);
	assert_int_equal(a.result, NVME_EVENT(NVME_EVENT_NOTICE, 0, NVME_LOG_CHANGED_NS));
	assert_int_equal(admin(w, vf, NVME_ADMIN_GET_LOG, NVME_NSID_ALL,
			       NVME_LOG_CHANGED_NS | 1023 << 16, 0)
				 .status,
			 0);
	assert_int_equal(le_load(data, 4), 1);
	assert_int_equal(le_load(data + 4, 4), 0);
	assert_int_equal(nvme_driver_run(w, vf, 1,
					 nvme_rw(NVME_IO_READ, 1, 0, 1, NVME_WORLD_DATA, 0))
				 .status,
			 NVME_INVALID_FIELD);
	assert_int_equal(nvme_driver_run(w, vf, 1,
					 nvme_rw(NVME_IO_READ, 2, 0, 1, NVME_WORLD_DATA, 0))
				 .status,
			 0);
	assert_int_equal(nvme_driver_run(w, &w->pf, 1,
					 nvme_rw(NVME_IO_READ, 2, 0, 1, NVME_WORLD_DATA, 0))
				 .status,
			 NVME_INVALID_FIELD);
	/* Lists: what is active here, what exists, and for whom. */
	admin(w, vf, NVME_ADMIN_IDENTIFY, 0, NVME_CNS_ACTIVE, 0);
	assert_int_equal(le_load(data, 4), 2);
	assert_int_equal(le_load(data + 4, 4), 0);
	admin(w, vf, NVME_ADMIN_IDENTIFY, 0, NVME_CNS_ALLOCATED, 0);
	assert_int_equal(le_load(data + 4, 4), 2);
	admin(w, &w->pf, NVME_ADMIN_IDENTIFY, 2, NVME_CNS_NS_CTRLS, 0);
	assert_int_equal(le_load(data, 2), 2);
	assert_int_equal(le_load(data + 2, 2), 1);
	assert_int_equal(le_load(data + 4, 2), 3);
	/* An inactive one is all zeroes; one that is not there an error. */
	admin(w, vf, NVME_ADMIN_IDENTIFY, 1, NVME_CNS_NS, 0);
	assert_int_equal(le_load(data, 8), 0);
	assert_int_equal(admin(w, vf, NVME_ADMIN_IDENTIFY, 3, NVME_CNS_NS, 0).status,
			 NVME_INVALID_NAMESPACE);
	/* Making and destroying is the host's. */
	assert_int_equal(admin(w, &w->pf, NVME_ADMIN_NS_MANAGEMENT, 0, 0, 0).status,
			 NVME_INSUFFICIENT_CAPACITY);
	assert_int_equal(admin(w, &w->pf, NVME_ADMIN_NS_MANAGEMENT, 1, 1, 0).status,
			 NVME_OPERATION_DENIED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_virtual_function_works_once_it_is_online),
		TEST(a_virtual_function_s_requests_carry_its_own_id),
		TEST(resources_are_dealt_out_within_what_there_is),
		TEST(only_who_has_enough_and_is_offline_changes_state),
		TEST(the_secondary_list_says_who_is_what),
		TEST(msix_has_as_many_vectors_as_were_given),
		TEST(its_own_reset_leaves_it_online_the_primary_s_does_not),
		TEST(a_virtual_function_commands_no_others),
		TEST(namespaces_go_to_the_controllers_they_are_attached_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
