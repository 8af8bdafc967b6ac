// SPDX-License-Identifier: GPL-2.0-or-later
/* Config space: permissions, capability lists, and whatever a guest writes to it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/endian.h"
#include "fake/pci.h"

#define EP_RID rid_make(0, PCI_DEVFN(1, 0))

static uint64_t random_state;

/* xorshift64*: the same sequence on every machine, from a fixed seed. */
static uint32_t random_u32(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (uint32_t)((random_state * 0x2545f4914f6cdd1dull) >> 32);
}

static void setup(struct fake_pci *pci, struct fake_endpoint *ep)
{
	fake_pci_init(pci);
	fake_endpoint_init(ep, pci, "ep", 0);
}

static void plug(struct fake_pci *pci, struct fake_endpoint *ep)
{
	assert_int_equal(
		pci_function_attach(&ep->fn, pci_fabric_root(pci->fabric), PCI_DEVFN(1, 0)), 0);
}

static void teardown(struct fake_pci *pci, struct fake_endpoint *ep)
{
	fake_endpoint_fini(ep);
	assert_true(fake_pci_fini(pci));
}

static void every_byte_obeys_its_permissions_as_in_a_byte_model(void **state)
{
	struct fake_pci pci;
	struct fake_endpoint ep;
	uint8_t model[PCIE_CONFIG_SIZE];

	random_state = 0x9e3779b97f4a7c15ull;
	setup(&pci, &ep);
	/* Random contents and permissions everywhere but in the header, which has effects. */
	for (unsigned int i = 0x40; i < PCIE_CONFIG_SIZE; i++) {
		uint8_t wmask = (uint8_t)random_u32(), w1c = (uint8_t)random_u32();

		pci_config_set(&ep.fn, (uint16_t)i, 1, (uint8_t)random_u32());
		pci_config_permit(&ep.fn, (uint16_t)i, 1, wmask, (uint8_t)(w1c & ~wmask));
	}
	plug(&pci, &ep);
	memcpy(model, ep.fn.config, sizeof(model));

	for (unsigned int n = 0; n < 200000; n++) {
		unsigned int size = 1u << random_u32() % 3;
		uint16_t at = (uint16_t)(random_u32() % PCIE_CONFIG_SIZE & ~(size - 1));
		uint32_t value = random_u32(), got;

		if (n % 3) {
			fake_cfg_write(&pci, EP_RID, at, size, value);
			for (unsigned int i = 0; i < size; i++) {
				uint8_t v = (uint8_t)(value >> 8 * i);
				uint8_t w = ep.fn.wmask[at + i], c = ep.fn.w1c[at + i];

				model[at + i] =
					(uint8_t)((model[at + i] & ~w & ~(v & c)) | (v & w));
			}
		}
		got = fake_cfg_read(&pci, EP_RID, at, size);
		assert_int_equal(got, le_load(model + at, size));
	}
	/* And nothing else moved. */
	for (uint16_t at = 0; at < PCIE_CONFIG_SIZE; at++)
		assert_int_equal(fake_cfg_read(&pci, EP_RID, at, 1), model[at]);
	teardown(&pci, &ep);
}

static void ids_and_class_cannot_be_written(void **state)
{
	struct fake_pci pci;
	struct fake_endpoint ep;

	setup(&pci, &ep);
	plug(&pci, &ep);
	for (uint16_t at = 0; at < 0x40; at += 4) {
		if (at != PCI_COMMAND)
			fake_cfg_write(&pci, EP_RID, at, 4, 0xffffffff);
	}
	assert_int_equal(fake_cfg_read(&pci, EP_RID, PCI_VENDOR_ID, 4), 0x00011234);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, PCI_REVISION, 4), 0x08800002);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, PCI_SUBVENDOR_ID, 4), 0x56781234);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, PCI_HEADER_TYPE, 1), 0);
	/* BARs that do not exist read as zero, whatever is written. */
	assert_int_equal(fake_cfg_read(&pci, EP_RID, PCI_BAR0, 4), 0);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, PCI_ROM, 4), 0);
	teardown(&pci, &ep);
}

static void what_lies_beyond_a_functions_space_reads_as_all_ones(void **state)
{
	struct fake_pci pci;
	struct fake_endpoint ep;

	setup(&pci, &ep);
	ep.fn.config_size = PCI_CONFIG_SIZE;
	plug(&pci, &ep);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, 0xfc, 4), 0);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, 0x100, 4), 0xffffffff);
	fake_cfg_write(&pci, EP_RID, 0x100, 4, 0x12345678);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, 0xffc, 4), 0xffffffff);
	/* No function there at all. */
	assert_int_equal(fake_cfg_read(&pci, rid_make(0, PCI_DEVFN(9, 0)), 0, 4), 0xffffffff);
	assert_int_equal(fake_cfg_read(&pci, rid_make(77, 0), 0, 2), 0xffff);
	teardown(&pci, &ep);
}

static void capabilities_are_chained_in_the_order_they_come(void **state)
{
	struct fake_pci pci;
	struct fake_endpoint ep;
	uint8_t a, b;
	uint16_t x, y, z;

	setup(&pci, &ep);
	assert_int_equal(pci_add_capability(&ep.fn, PCI_CAP_PM, 7, &a), 0);
	assert_int_equal(pci_add_capability(&ep.fn, PCI_CAP_VENDOR, 20, &b), 0);
	assert_int_equal(pci_add_ext_capability(&ep.fn, PCI_EXT_CAP_AER, 2, 0x48, &x), 0);
	assert_int_equal(pci_add_ext_capability(&ep.fn, PCI_EXT_CAP_ACS, 1, 6, &y), 0);
	assert_int_equal(pci_add_ext_capability(&ep.fn, PCI_EXT_CAP_ARI, 1, 8, &z), 0);
	plug(&pci, &ep);

	assert_true(fake_cfg_read(&pci, EP_RID, PCI_STATUS, 2) & PCI_STATUS_CAPS);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, PCI_CAP_PTR, 1), a);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, a, 2), b << 8 | PCI_CAP_PM);
	assert_int_equal(b, a + 8);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, b, 2), PCI_CAP_VENDOR);
	assert_int_equal(x, 0x100);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, x, 4), y << 20 | 2 << 16 | PCI_EXT_CAP_AER);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, y, 4), z << 20 | 1 << 16 | PCI_EXT_CAP_ACS);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, z, 4), 1 << 16 | PCI_EXT_CAP_ARI);
	teardown(&pci, &ep);
}

static void a_capability_that_does_not_fit_is_refused(void **state)
{
	struct fake_pci pci;
	struct fake_endpoint ep;
	uint8_t at = 0;
	uint16_t ext = 0;

	setup(&pci, &ep);
	assert_int_equal(pci_add_capability(&ep.fn, PCI_CAP_VENDOR, 0xbc, &at), 0);
	assert_int_equal(pci_add_capability(&ep.fn, PCI_CAP_VENDOR, 8, &at), -ENOSPC);
	assert_int_equal(pci_add_capability(&ep.fn, PCI_CAP_VENDOR, 4, &at), 0);
	assert_int_equal(at, 0xfc);
	assert_int_equal(pci_add_ext_capability(&ep.fn, 1, 1, 0xf04, &ext), -ENOSPC);
	assert_int_equal(pci_add_ext_capability(&ep.fn, 1, 1, 0xf00, &ext), 0);
	assert_int_equal(pci_add_ext_capability(&ep.fn, 1, 1, 4, &ext), -ENOSPC);
	pci_function_fini(&ep.fn);
	assert_true(fake_pci_fini(&pci));
}

static void the_multifunction_bit_follows_what_is_plugged_in(void **state)
{
	struct fake_pci pci;
	struct fake_endpoint ep, second;
	rid_t second_rid = rid_make(0, PCI_DEVFN(1, 3));

	setup(&pci, &ep);
	fake_endpoint_init(&second, &pci, "second", 0);
	plug(&pci, &ep);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(
		pci_function_attach(&second.fn, pci_fabric_root(pci.fabric), PCI_DEVFN(1, 3)), 0);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, PCI_HEADER_TYPE, 1), PCI_HEADER_MULTI);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, PCI_CACHE_LINE, 4), PCI_HEADER_MULTI << 16);
	assert_int_equal(fake_cfg_read(&pci, second_rid, PCI_HEADER_TYPE, 2), PCI_HEADER_MULTI);
	/* It is no part of what a reset undoes. */
	fake_cfg_write(&pci, EP_RID, PCI_HEADER_TYPE, 1, 0);
	pci_fabric_reset(pci.fabric);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, PCI_HEADER_TYPE, 1), PCI_HEADER_MULTI);
	fake_endpoint_fini(&second);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, PCI_HEADER_TYPE, 1), 0);
	teardown(&pci, &ep);
}

static void add_pcie(struct fake_endpoint *ep, uint32_t devcap)
{
	uint8_t cap;

	assert_int_equal(pci_add_capability(&ep->fn, PCI_CAP_PCIE, PCI_EXP_CAP_LEN, &cap), 0);
	ep->fn.pcie_cap = cap;
	pci_config_set(&ep->fn, cap + PCI_EXP_DEVCAP, 4, devcap);
	pci_config_permit(&ep->fn, cap + PCI_EXP_DEVCTL, 2, 0x7fff, 0);
}

static void a_function_level_reset_restores_config_and_tells_the_device(void **state)
{
	struct fake_pci pci;
	struct fake_endpoint ep;
	uint16_t control;

	setup(&pci, &ep);
	add_pcie(&ep, PCI_EXP_DEVCAP_FLR);
	assert_int_equal(fake_endpoint_bar(&ep, 0, KIB(4), 0), 0);
	plug(&pci, &ep);
	assert_int_equal(pci_fabric_assign(pci.fabric, NULL), 0);
	assert_true(ep.fn.bars[0].enabled);
	control = ep.fn.pcie_cap + PCI_EXP_DEVCTL;
	fake_cfg_write(&pci, EP_RID, control, 2, 0x1f);
	assert_int_equal(ep.nr_resets, 0);
	/* Only the byte with the bit, which reads back as zero. */
	fake_cfg_write(&pci, EP_RID, control + 1, 1, PCI_EXP_DEVCTL_FLR >> 8);
	assert_int_equal(ep.nr_resets, 1);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, control, 2), 0);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, PCI_COMMAND, 2), 0);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, PCI_BAR0, 4), 0);
	assert_int_equal(ep.command, 0);
	assert_false(ep.fn.bars[0].enabled);
	fake_cfg_write(&pci, EP_RID, control, 4, PCI_EXP_DEVCTL_FLR);
	assert_int_equal(ep.nr_resets, 2);
	teardown(&pci, &ep);
}

static void what_was_copied_into_the_command_register_does_not_survive_a_reset(void **state)
{
	struct fake_pci pci;
	struct fake_endpoint ep;

	setup(&pci, &ep);
	pci_config_set(&ep.fn, PCI_COMMAND, 2, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
	pci_config_set(&ep.fn, PCI_CACHE_LINE, 1, 8);
	plug(&pci, &ep);
	pci_fabric_reset(pci.fabric);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, PCI_COMMAND, 2), 0);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, PCI_CACHE_LINE, 1), 8);
	assert_false(pci_function_may_master(&ep.fn));
	teardown(&pci, &ep);
}

static void the_tables_take_aligned_accesses_of_register_width_only(void **state)
{
	struct fake_pci pci;
	struct fake_endpoint ep;

	setup(&pci, &ep);
	assert_int_equal(pci_config_get(&ep.fn, 0, 4), 0x00011234);
	assert_int_equal(pci_config_get(&ep.fn, 1, 2), UINT32_MAX);
	assert_int_equal(pci_config_get(&ep.fn, 0, 3), UINT32_MAX);
	assert_int_equal(pci_config_get(&ep.fn, 0, 8), UINT32_MAX);
	assert_int_equal(pci_config_get(&ep.fn, PCIE_CONFIG_SIZE, 4), UINT32_MAX);
	assert_int_equal(pci_config_get(&ep.fn, 0xfffe, 2), UINT32_MAX);
	pci_config_put(&ep.fn, PCI_COMMAND + 1, 2, 0xffff);
	pci_config_put(&ep.fn, 0xfffc, 4, 0xffffffff);
	assert_int_equal(pci_config_get(&ep.fn, PCI_COMMAND, 4), 0);
	pci_function_fini(&ep.fn);
	assert_true(fake_pci_fini(&pci));
}

static void without_the_capability_bit_there_is_no_function_level_reset(void **state)
{
	struct fake_pci pci;
	struct fake_endpoint ep;

	setup(&pci, &ep);
	add_pcie(&ep, 0);
	plug(&pci, &ep);
	fake_cfg_write(&pci, EP_RID, ep.fn.pcie_cap + PCI_EXP_DEVCTL, 2, 0xffff);
	assert_int_equal(ep.nr_resets, 0);
	teardown(&pci, &ep);
}

static void the_device_is_told_of_command_changes_only(void **state)
{
	struct fake_pci pci;
	struct fake_endpoint ep;

	setup(&pci, &ep);
	plug(&pci, &ep);
	assert_false(pci_function_may_master(&ep.fn));
	fake_cfg_write(&pci, EP_RID, PCI_COMMAND, 2, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
	assert_int_equal(ep.nr_commands, 1);
	assert_int_equal(ep.command, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
	assert_true(pci_function_may_master(&ep.fn));
	fake_cfg_write(&pci, EP_RID, PCI_COMMAND, 1, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
	fake_cfg_write(&pci, EP_RID, PCI_CACHE_LINE, 1, 16);
	/* Bits that are hard-wired to zero are no change. */
	fake_cfg_write(&pci, EP_RID, PCI_COMMAND, 2,
		       PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY | BIT(15) | BIT(3));
	assert_int_equal(ep.nr_commands, 1);
	teardown(&pci, &ep);
}

static void accesses_across_a_dword_are_nobodys(void **state)
{
	struct fake_pci pci;
	struct fake_endpoint ep;
	struct fake_platform *m;
	uint64_t at = FAKE_ECAM + ((uint64_t)EP_RID.v << 12);

	setup(&pci, &ep);
	plug(&pci, &ep);
	m = &pci.machine;
	assert_int_equal(fake_bus_read(m, BUS_MMIO, at, 8), UINT64_MAX);
	assert_int_equal(fake_bus_read(m, BUS_MMIO, at + 1, 4), 0xffffffff);
	assert_int_equal(fake_bus_read(m, BUS_MMIO, at + 3, 2), 0xffff);
	fake_bus_write(m, BUS_MMIO, at + PCI_COMMAND - 1, 2, 0xffff);
	fake_bus_write(m, BUS_MMIO, at, 8, UINT64_MAX);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, PCI_COMMAND, 2), 0);
	/* Two bytes in the middle of a dword are one request. */
	assert_int_equal(fake_bus_read(m, BUS_MMIO, at + 1, 2), 0x0112);
	fake_bus_write(m, BUS_MMIO, at + PCI_COMMAND + 1, 2, 0x00ff);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, PCI_COMMAND, 2),
			 PCI_COMMAND_SERR | PCI_COMMAND_INTX_OFF);
	teardown(&pci, &ep);
}

static void legacy_ports_reach_the_same_registers(void **state)
{
	struct fake_pci pci;
	struct fake_endpoint ep;
	struct fake_platform *m;

	setup(&pci, &ep);
	plug(&pci, &ep);
	m = &pci.machine;
	/* Not enabled: nobody answers. */
	fake_bus_write(m, BUS_PIO, 0xcf8, 4, (uint32_t)EP_RID.v << 8);
	assert_int_equal(fake_bus_read(m, BUS_PIO, 0xcfc, 4), 0xffffffff);
	fake_bus_write(m, BUS_PIO, 0xcf8, 4, 0x80000000u | (uint32_t)EP_RID.v << 8);
	assert_int_equal(fake_bus_read(m, BUS_PIO, 0xcf8, 4),
			 0x80000000u | (uint32_t)EP_RID.v << 8);
	assert_int_equal(fake_bus_read(m, BUS_PIO, 0xcfc, 4), 0x00011234);
	assert_int_equal(fake_bus_read(m, BUS_PIO, 0xcfe, 2), 0x0001);
	assert_int_equal(fake_bus_read(m, BUS_PIO, 0xcfd, 1), 0x12);
	assert_int_equal(fake_bus_read(m, BUS_PIO, 0xcfe, 4), 0xffffffff);
	/* Only a whole dword sets the address: bytes are other devices' ports. */
	fake_bus_write(m, BUS_PIO, 0xcf8, 1, 0x3c);
	fake_bus_write(m, BUS_PIO, 0xcfa, 2, 0xffff);
	assert_int_equal(fake_bus_read(m, BUS_PIO, 0xcfc, 4), 0x00011234);
	fake_bus_write(m, BUS_PIO, 0xcf8, 4, 0x80000000u | (uint32_t)EP_RID.v << 8 | PCI_COMMAND);
	fake_bus_write(m, BUS_PIO, 0xcfc, 2, PCI_COMMAND_MASTER);
	assert_true(pci_function_may_master(&ep.fn));
	teardown(&pci, &ep);
}

static void the_reset_control_register_resets_on_its_cpu_bit(void **state)
{
	struct fake_pci pci;
	struct fake_endpoint ep;
	struct fake_platform *m;

	setup(&pci, &ep);
	m = &pci.machine;
	fake_bus_write(m, BUS_PIO, 0xcf9, 1, 0x02);
	assert_false(m->power.asked);
	assert_int_equal(fake_bus_read(m, BUS_PIO, 0xcf9, 1), 0x02);
	fake_bus_write(m, BUS_PIO, 0xcf9, 1, 0x06);
	assert_true(m->power.asked);
	assert_int_equal(m->power.event, POWER_RESET);
	teardown(&pci, &ep);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_obeys_its_permissions_as_in_a_byte_model),
		cmocka_unit_test(ids_and_class_cannot_be_written),
		cmocka_unit_test(what_lies_beyond_a_functions_space_reads_as_all_ones),
		cmocka_unit_test(capabilities_are_chained_in_the_order_they_come),
		cmocka_unit_test(a_capability_that_does_not_fit_is_refused),
		cmocka_unit_test(the_multifunction_bit_follows_what_is_plugged_in),
		cmocka_unit_test(a_function_level_reset_restores_config_and_tells_the_device),
		cmocka_unit_test(
			what_was_copied_into_the_command_register_does_not_survive_a_reset),
		cmocka_unit_test(the_tables_take_aligned_accesses_of_register_width_only),
		cmocka_unit_test(without_the_capability_bit_there_is_no_function_level_reset),
		cmocka_unit_test(the_device_is_told_of_command_changes_only),
		cmocka_unit_test(accesses_across_a_dword_are_nobodys),
		cmocka_unit_test(legacy_ports_reach_the_same_registers),
		cmocka_unit_test(the_reset_control_register_resets_on_its_cpu_bit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
