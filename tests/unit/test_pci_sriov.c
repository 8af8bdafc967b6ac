// SPDX-License-Identifier: GPL-2.0-or-later
/* Virtual functions: how a guest makes them, where they are, what they look like, how they go. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake/pci.h"
#include "pci/bus.h"
#include "pci/sriov.h"

#define VFS	  12 /* more than a device without ARI has functions */
#define VF_DEVICE 0x0002
#define VF_BAR	  KIB(16)
#define PORT_RID  PCI_DEVFN(1, 0)

struct world {
	struct fake_pci pci;
	struct pci_bus *bus;
	struct fake_endpoint pf, vf[VFS];
	uint16_t cap;
};

static struct world *world_new(uint16_t total)
{
	struct world *w = calloc(1, sizeof(*w));
	struct pci_sriov_config config = {
		.total_vfs = total, .first = 1, .stride = 1, .vf_device = VF_DEVICE
	};
	uint8_t cap;

	assert_non_null(w);
	fake_pci_init(&w->pci);
	/* A slot before it, so that the port's number is not 0. */
	w->bus = fake_pci_port(&w->pci, "rp0");
	fake_endpoint_init(&w->pf, &w->pci, "pf", 1);
	assert_int_equal(fake_endpoint_bar(&w->pf, 0, KIB(16), PCI_BAR_MEM64), 0);
	assert_int_equal(pci_add_capability(&w->pf.fn, PCI_CAP_PCIE, PCI_EXP_CAP_LEN, &cap), 0);
	w->pf.fn.pcie_cap = cap;
	pci_config_set(&w->pf.fn, cap + PCI_EXP_DEVCAP, 4, PCI_EXP_DEVCAP_FLR);
	assert_int_equal(pci_sriov_init(&w->pf.fn, &config), 0);
	w->cap = (uint16_t)(PCI_EXT_CAPS + PCI_ARI_LEN);
	assert_int_equal(pci_sriov_bar_declare(&w->pf.fn, 0, VF_BAR, PCI_BAR_MEM64), 0);
	for (unsigned int i = 0; i < total; i++) {
		fake_endpoint_init(&w->vf[i], &w->pci, "vf", 1);
		w->vf[i].reads = 0x1000 + i;
		assert_int_equal(fake_endpoint_bar(&w->vf[i], 0, VF_BAR, PCI_BAR_MEM64), 0);
		assert_int_equal(pci_sriov_add_vf(&w->pf.fn, i, &w->vf[i].fn), 0);
	}
	assert_int_equal(pci_function_attach(&w->pf.fn, w->bus, 0), 0);
	assert_int_equal(pci_fabric_assign(w->pci.fabric, NULL), 0);
	return w;
}

static void world_free(struct world *w)
{
	fake_endpoint_fini(&w->pf);
	for (unsigned int i = 0; i < VFS; i++) {
		assert_null(w->vf[i].fn.bus);
		if (w->vf[i].fn.platform)
			pci_function_fini(&w->vf[i].fn);
	}
	assert_true(fake_pci_fini(&w->pci));
	free(w);
}

static rid_t at(unsigned int devfn)
{
	return rid_make(1, (uint8_t)devfn);
}

static uint32_t pf_get(struct world *w, unsigned int reg, unsigned int size)
{
	return fake_cfg_read(&w->pci, at(0), (uint16_t)(w->cap + reg), size);
}

static void pf_set(struct world *w, unsigned int reg, unsigned int size, uint32_t value)
{
	fake_cfg_write(&w->pci, at(0), (uint16_t)(w->cap + reg), size, value);
}

static void enable(struct world *w, unsigned int nr)
{
	pf_set(w, PCI_SRIOV_NUM_VFS, 2, nr);
	pf_set(w, PCI_SRIOV_CTRL, 2, PCI_SRIOV_VF_ENABLE | PCI_SRIOV_VF_MEMORY);
}

static uint64_t vf_bars(struct world *w)
{
	return (pf_get(w, PCI_SRIOV_VF_BAR0, 4) & PCI_BAR_MEM_MASK) |
	       (uint64_t)pf_get(w, PCI_SRIOV_VF_BAR0 + 4, 4) << 32;
}

static bool there(struct world *w, unsigned int devfn)
{
	/* A virtual function's ids read as all ones, its class does not. */
	return fake_cfg_read(&w->pci, at(devfn), PCI_REVISION, 4) != UINT32_MAX;
}

static void virtual_functions_are_there_while_enabled(void **state)
{
	struct world *w = world_new(4);

	assert_int_equal(pf_get(w, PCI_SRIOV_TOTAL_VFS, 2), 4);
	assert_int_equal(pf_get(w, PCI_SRIOV_INITIAL_VFS, 2), 4);
	assert_int_equal(pf_get(w, PCI_SRIOV_VF_DEVICE, 2), VF_DEVICE);
	assert_false(there(w, 1));
	enable(w, 3);
	for (unsigned int i = 1; i <= 3; i++) {
		assert_true(there(w, i));
		assert_int_equal(pci_function_rid(&w->vf[i - 1].fn).v, at(i).v);
	}
	assert_false(there(w, 4));
	pf_set(w, PCI_SRIOV_CTRL, 2, 0);
	for (unsigned int i = 1; i <= 4; i++)
		assert_false(there(w, i));
	assert_int_equal(w->vf[0].nr_resets, 1);
	assert_int_equal(w->vf[3].nr_resets, 0);
	enable(w, 4);
	assert_true(there(w, 4));
	world_free(w);
}

static void a_virtual_function_has_no_ids_bars_or_pin_of_its_own(void **state)
{
	struct world *w = world_new(2);

	enable(w, 2);
	assert_int_equal(fake_cfg_read(&w->pci, at(1), PCI_VENDOR_ID, 4), UINT32_MAX);
	assert_int_equal(fake_cfg_read(&w->pci, at(1), PCI_IRQ_PIN, 1), 0);
	fake_cfg_write(&w->pci, at(1), PCI_BAR0, 4, UINT32_MAX);
	assert_int_equal(fake_cfg_read(&w->pci, at(1), PCI_BAR0, 4), 0);
	fake_cfg_write(&w->pci, at(1), PCI_COMMAND, 2, 0xffff);
	assert_int_equal(fake_cfg_read(&w->pci, at(1), PCI_COMMAND, 2), PCI_COMMAND_MASTER);
	assert_true(pci_function_may_master(&w->vf[0].fn));
	assert_false(pci_function_may_master(&w->vf[1].fn));
	/* Neither side says that the device has several functions. */
	assert_int_equal(fake_cfg_read(&w->pci, at(0), PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(fake_cfg_read(&w->pci, at(1), PCI_HEADER_TYPE, 1), 0);
	world_free(w);
}

static void their_bars_follow_the_physical_functions_registers(void **state)
{
	struct world *w = world_new(3);
	uint64_t base = vf_bars(w), moved = FAKE_MMIO64 + GIB(1);

	enable(w, 2);
	assert_int_equal(fake_bus_read(&w->pci.machine, BUS_MMIO, base, 4), 0x1000);
	assert_int_equal(fake_bus_read(&w->pci.machine, BUS_MMIO, base + VF_BAR, 4), 0x1001);
	/* Not enabled, not there. */
	assert_int_equal(fake_bus_read(&w->pci.machine, BUS_MMIO, base + 2 * VF_BAR, 4),
			 UINT32_MAX);

	pf_set(w, PCI_SRIOV_CTRL, 2, PCI_SRIOV_VF_ENABLE);
	assert_null(fake_region_at(&w->pci.machine, BUS_MMIO, base));
	pf_set(w, PCI_SRIOV_CTRL, 2, PCI_SRIOV_VF_ENABLE | PCI_SRIOV_VF_MEMORY);
	assert_non_null(fake_region_at(&w->pci.machine, BUS_MMIO, base));

	/* Outside the port's windows they are nowhere. */
	pf_set(w, PCI_SRIOV_VF_BAR0 + 4, 4, (uint32_t)(moved >> 32));
	assert_null(fake_region_at(&w->pci.machine, BUS_MMIO, base));
	pf_set(w, PCI_SRIOV_VF_BAR0 + 4, 4, (uint32_t)(base >> 32));
	assert_non_null(fake_region_at(&w->pci.machine, BUS_MMIO, base + VF_BAR));

	/* The physical function's own decoding is another thing; its power is not. */
	fake_cfg_write(&w->pci, at(0), PCI_COMMAND, 2, 0);
	assert_non_null(fake_region_at(&w->pci.machine, BUS_MMIO, base));
	world_free(w);
}

static void firmware_leaves_room_for_all_of_them(void **state)
{
	struct world *w = world_new(VFS);
	uint64_t base = vf_bars(w);
	uint64_t limit;

	assert_int_not_equal(base, 0);
	assert_true(is_aligned(base, VF_BAR));
	limit = (uint64_t)(fake_cfg_read(&w->pci, (rid_t){ PORT_RID }, PCI_MEMORY_LIMIT, 2) &
			   PCI_MEMORY_WINDOW_MASK)
			<< 16 |
		0xfffff;
	assert_true(base + VFS * VF_BAR - 1 <= limit);
	enable(w, VFS);
	assert_int_equal(fake_bus_read(&w->pci.machine, BUS_MMIO, base + (VFS - 1) * VF_BAR, 4),
			 0x1000 + VFS - 1);
	world_free(w);
}

static void a_bar_is_sized_by_one_function_and_spread_by_the_page_size(void **state)
{
	struct world *w = world_new(2);
	uint64_t base = vf_bars(w);

	pf_set(w, PCI_SRIOV_VF_BAR0, 4, UINT32_MAX);
	assert_int_equal(pf_get(w, PCI_SRIOV_VF_BAR0, 4), (uint32_t) ~(VF_BAR - 1) | PCI_BAR_MEM64);
	pf_set(w, PCI_SRIOV_PAGE_SIZE, 4, BIT(4)); /* 64 KiB */
	pf_set(w, PCI_SRIOV_VF_BAR0, 4, UINT32_MAX);
	assert_int_equal(pf_get(w, PCI_SRIOV_VF_BAR0, 4),
			 (uint32_t) ~(KIB(64) - 1) | PCI_BAR_MEM64);
	base = align_up(base, KIB(64));
	pf_set(w, PCI_SRIOV_VF_BAR0, 4, (uint32_t)base);
	enable(w, 2);
	assert_int_equal(fake_bus_read(&w->pci.machine, BUS_MMIO, base + KIB(64), 4), 0x1001);
	assert_null(fake_region_at(&w->pci.machine, BUS_MMIO, base + VF_BAR));
	/* It stands while there are any. */
	pf_set(w, PCI_SRIOV_PAGE_SIZE, 4, BIT(0));
	assert_int_equal(pf_get(w, PCI_SRIOV_PAGE_SIZE, 4), BIT(4));
	world_free(w);
}

static void their_number_stands_while_they_are_enabled(void **state)
{
	struct world *w = world_new(4);

	enable(w, 2);
	pf_set(w, PCI_SRIOV_NUM_VFS, 2, 4);
	assert_int_equal(pf_get(w, PCI_SRIOV_NUM_VFS, 2), 2);
	assert_false(there(w, 3));
	/* A number that there are not, and none at all. */
	pf_set(w, PCI_SRIOV_CTRL, 2, 0);
	enable(w, 0xffff);
	assert_true(there(w, 4));
	assert_false(there(w, 5));
	pf_set(w, PCI_SRIOV_CTRL, 2, 0);
	enable(w, 0);
	assert_false(there(w, 1));
	world_free(w);
}

static void a_reset_of_the_physical_function_ends_them(void **state)
{
	struct world *w = world_new(2);
	uint16_t devctl = (uint16_t)(w->pf.fn.pcie_cap + PCI_EXP_DEVCTL);

	enable(w, 2);
	fake_cfg_write(&w->pci, at(0), devctl, 2, PCI_EXP_DEVCTL_FLR);
	assert_false(there(w, 1));
	assert_int_equal(w->vf[0].nr_resets, 1);
	assert_int_equal(pf_get(w, PCI_SRIOV_NUM_VFS, 2), 0);
	assert_int_equal(pf_get(w, PCI_SRIOV_CTRL, 2), 0);
	enable(w, 2);
	assert_true(there(w, 2));
	/* Bus reset, from the port. */
	fake_cfg_write(&w->pci, (rid_t){ PORT_RID }, PCI_BRIDGE_CONTROL, 2, PCI_BRIDGE_BUS_RESET);
	fake_cfg_write(&w->pci, (rid_t){ PORT_RID }, PCI_BRIDGE_CONTROL, 2, 0);
	assert_false(there(w, 1));
	assert_int_equal(w->vf[0].nr_resets, 2);
	world_free(w);
}

static void beyond_seven_they_answer_only_where_the_port_forwards_ari(void **state)
{
	struct world *w = world_new(VFS);
	struct pci_function *port = w->bus->bridge;
	uint16_t control = (uint16_t)(port->pcie_cap + PCI_EXP_DEVCTL2);

	enable(w, VFS);
	assert_true(there(w, 7));
	assert_false(there(w, 8));
	fake_cfg_write(&w->pci, (rid_t){ PORT_RID }, control, 2, PCI_EXP_DEVCTL2_ARI);
	assert_true(there(w, 8));
	assert_true(there(w, VFS));
	assert_false(there(w, VFS + 1));
	world_free(w);
}

static void a_place_that_is_taken_costs_only_that_function(void **state)
{
	struct world *w = world_new(3);
	struct fake_endpoint other;

	fake_endpoint_init(&other, &w->pci, "other", 0);
	assert_int_equal(pci_function_attach(&other.fn, w->bus, 2), 0);
	enable(w, 3);
	assert_true(there(w, 1));
	assert_null(w->vf[1].fn.bus);
	assert_true(there(w, 3));
	pf_set(w, PCI_SRIOV_CTRL, 2, 0);
	assert_true(there(w, 2));
	fake_endpoint_fini(&other);
	world_free(w);
}

static void they_are_there_again_after_loading(void **state)
{
	struct world *from = world_new(3), *to = world_new(3);
	struct state_writer out;
	struct state_reader in;

	enable(from, 2);
	fake_cfg_write(&from->pci, at(2), PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	state_writer_init(&out);
	state_begin(&out, "t", 1);
	lock_take(pci_fabric_lock(from->pci.fabric));
	pci_function_save(&from->pf.fn, &out);
	pci_function_save(&from->vf[1].fn, &out);
	lock_drop(pci_fabric_lock(from->pci.fabric));
	state_end(&out);
	assert_int_equal(state_writer_status(&out), 0);

	state_reader_init(&in, out.data, out.len);
	state_enter(&in, "t", 1);
	lock_take(pci_fabric_lock(to->pci.fabric));
	assert_int_equal(pci_function_load(&to->pf.fn, &in), 0);
	assert_int_equal(pci_sriov_enabled(&to->pf.fn), 2);
	assert_int_equal(pci_function_load(&to->vf[1].fn, &in), 0);
	lock_drop(pci_fabric_lock(to->pci.fabric));
	assert_true(there(to, 1));
	assert_false(pci_function_may_master(&to->vf[0].fn));
	assert_int_equal(fake_bus_read(&to->pci.machine, BUS_MMIO, vf_bars(to) + VF_BAR, 4),
			 0x1001);
	state_writer_fini(&out);
	world_free(from);
	world_free(to);
}

static void what_does_not_fit_is_refused(void **state)
{
	struct pci_sriov_config config = { .total_vfs = 255, .first = 2, .stride = 1 };
	struct fake_pci pci;
	struct fake_endpoint pf, vf;

	fake_pci_init(&pci);
	fake_endpoint_init(&pf, &pci, "pf", 0);
	fake_endpoint_init(&vf, &pci, "vf", 0);
	assert_int_equal(pci_sriov_init(&pf.fn, &config), -EINVAL);
	config.total_vfs = 0;
	assert_int_equal(pci_sriov_init(&pf.fn, &config), -EINVAL);
	config = (struct pci_sriov_config){ .total_vfs = 2, .first = 1, .stride = 0 };
	assert_int_equal(pci_sriov_init(&pf.fn, &config), -EINVAL);
	config.stride = 1;
	assert_int_equal(pci_sriov_init(&pf.fn, &config), 0);
	assert_int_equal(pci_sriov_init(&pf.fn, &config), -EINVAL);
	assert_int_equal(pci_sriov_bar_declare(&pf.fn, 0, KIB(2), 0), -EINVAL);
	assert_int_equal(pci_sriov_bar_declare(&pf.fn, 0, KIB(12), 0), -EINVAL);
	assert_int_equal(pci_sriov_bar_declare(&pf.fn, 5, KIB(16), PCI_BAR_MEM64), -EINVAL);
	assert_int_equal(pci_sriov_bar_declare(&pf.fn, 0, KIB(16), PCI_BAR_IO), -EINVAL);
	assert_int_equal(pci_sriov_bar_declare(&pf.fn, 0, KIB(16), PCI_BAR_MEM64), 0);
	assert_int_equal(pci_sriov_bar_declare(&pf.fn, 1, KIB(16), 0), -EINVAL);
	/* Its BAR is missing. */
	assert_int_equal(pci_sriov_add_vf(&pf.fn, 0, &vf.fn), -EINVAL);
	assert_int_equal(fake_endpoint_bar(&vf, 0, KIB(16), PCI_BAR_MEM64), 0);
	assert_int_equal(pci_sriov_add_vf(&pf.fn, 2, &vf.fn), -EINVAL);
	assert_int_equal(pci_sriov_add_vf(&pf.fn, 1, &vf.fn), 0);
	assert_int_equal(pci_sriov_add_vf(&pf.fn, 0, &vf.fn), -EINVAL);
	fake_endpoint_fini(&vf);
	fake_endpoint_fini(&pf);
	assert_true(fake_pci_fini(&pci));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(virtual_functions_are_there_while_enabled),
		cmocka_unit_test(a_virtual_function_has_no_ids_bars_or_pin_of_its_own),
		cmocka_unit_test(their_bars_follow_the_physical_functions_registers),
		cmocka_unit_test(firmware_leaves_room_for_all_of_them),
		cmocka_unit_test(a_bar_is_sized_by_one_function_and_spread_by_the_page_size),
		cmocka_unit_test(their_number_stands_while_they_are_enabled),
		cmocka_unit_test(a_reset_of_the_physical_function_ends_them),
		cmocka_unit_test(beyond_seven_they_answer_only_where_the_port_forwards_ari),
		cmocka_unit_test(a_place_that_is_taken_costs_only_that_function),
		cmocka_unit_test(they_are_there_again_after_loading),
		cmocka_unit_test(what_does_not_fit_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
