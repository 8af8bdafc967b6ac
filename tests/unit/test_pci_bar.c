// SPDX-License-Identifier: GPL-2.0-or-later
/* BARs: sizing, moving, decoding, and a platform that refuses. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "fake/pci.h"

#define EP_RID	rid_make(0, PCI_DEVFN(1, 0))
#define TWO_RID rid_make(0, PCI_DEVFN(2, 0))
#define MEM	PCI_COMMAND_MEMORY
#define BAR(n)	(uint16_t)(PCI_BAR0 + 4 * (n))

static void setup(struct fake_pci *pci, struct fake_endpoint *ep)
{
	fake_pci_init(pci);
	fake_endpoint_init(ep, pci, "ep", 0);
}

static void plug_at(struct fake_pci *pci, struct fake_endpoint *ep, rid_t rid)
{
	assert_int_equal(pci_function_attach(&ep->fn, pci_fabric_root(pci->fabric), rid_devfn(rid)),
			 0);
}

static void teardown(struct fake_pci *pci, struct fake_endpoint *ep)
{
	fake_endpoint_fini(ep);
	assert_true(fake_pci_fini(pci));
}

static bool decodes_at(struct fake_pci *pci, const struct fake_endpoint *ep, uint64_t addr)
{
	const struct bus_region *r = fake_region_at(&pci->machine, BUS_MMIO, addr);

	return r && r->opaque == ep;
}

static void writing_ones_reads_back_the_size(void **state)
{
	struct fake_pci pci;
	struct fake_endpoint ep;

	setup(&pci, &ep);
	assert_int_equal(fake_endpoint_bar(&ep, 0, KIB(16), 0), 0);
	assert_int_equal(fake_endpoint_bar(&ep, 1, MIB(1), PCI_BAR_PREFETCH), 0);
	assert_int_equal(fake_endpoint_bar(&ep, 2, 32, PCI_BAR_IO), 0);
	assert_int_equal(fake_endpoint_bar(&ep, 3, 16, 0), 0);
	plug_at(&pci, &ep, EP_RID);
	for (unsigned int i = 0; i < 6; i++)
		fake_cfg_write(&pci, EP_RID, BAR(i), 4, 0xffffffff);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, BAR(0), 4), 0xffffc000);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, BAR(1), 4), 0xfff00000 | PCI_BAR_PREFETCH);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, BAR(2), 4), 0xffffffe0 | PCI_BAR_IO);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, BAR(3), 4), 0xfffffff0);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, BAR(4), 4), 0);
	teardown(&pci, &ep);
}

static void sizing_a_64_bit_bar_spans_both_registers(void **state)
{
	struct fake_pci pci;
	struct fake_endpoint ep;

	setup(&pci, &ep);
	assert_int_equal(fake_endpoint_bar(&ep, 0, GIB(16), PCI_BAR_MEM64 | PCI_BAR_PREFETCH), 0);
	assert_int_equal(fake_endpoint_bar(&ep, 2, KIB(8), PCI_BAR_MEM64), 0);
	plug_at(&pci, &ep, EP_RID);
	for (unsigned int i = 0; i < 4; i++)
		fake_cfg_write(&pci, EP_RID, BAR(i), 4, 0xffffffff);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, BAR(0), 4), PCI_BAR_MEM64 | PCI_BAR_PREFETCH);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, BAR(1), 4), 0xfffffffc);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, BAR(2), 4), 0xffffe000 | PCI_BAR_MEM64);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, BAR(3), 4), 0xffffffff);
	teardown(&pci, &ep);
}

static void a_64_bit_bar_moves_while_it_decodes(void **state)
{
	struct fake_pci pci;
	struct fake_endpoint ep;
	uint64_t old = 0x8000004000ull, new = 0x9000008000ull;

	setup(&pci, &ep);
	assert_int_equal(fake_endpoint_bar(&ep, 0, KIB(16), PCI_BAR_MEM64), 0);
	plug_at(&pci, &ep, EP_RID);
	fake_cfg_write(&pci, EP_RID, BAR(0), 4, (uint32_t)old);
	fake_cfg_write(&pci, EP_RID, BAR(1), 4, (uint32_t)(old >> 32));
	assert_false(decodes_at(&pci, &ep, old));
	fake_cfg_write(&pci, EP_RID, PCI_COMMAND, 2, MEM);
	assert_true(decodes_at(&pci, &ep, old));
	assert_true(decodes_at(&pci, &ep, old + KIB(16) - 1));
	assert_false(decodes_at(&pci, &ep, old + KIB(16)));

	ep.reads = 0xabcd;
	assert_int_equal(fake_bus_read(&pci.machine, BUS_MMIO, old + 0x100, 4), 0xabcd);
	fake_bus_write(&pci.machine, BUS_MMIO, old + 0x208, 8, 0x1122334455667788ull);
	assert_int_equal(ep.written.offset, 0x208);
	assert_int_equal(ep.written.value, 0x1122334455667788ull);

	/* In two writes, as it must be: in between it is somewhere, and then where it should be. */
	fake_cfg_write(&pci, EP_RID, BAR(0), 4, (uint32_t) new);
	assert_false(decodes_at(&pci, &ep, old));
	fake_cfg_write(&pci, EP_RID, BAR(1), 4, (uint32_t)(new >> 32));
	assert_true(decodes_at(&pci, &ep, new));
	assert_int_equal(ep.fn.bars[0].addr, new);
	assert_int_equal(fake_region_count(&pci.machine), 2 + 1);
	assert_int_equal(fake_bus_read(&pci.machine, BUS_MMIO, old + 0x100, 4), 0xffffffff);
	teardown(&pci, &ep);
}

static void decode_follows_the_bits_of_the_command_register(void **state)
{
	struct fake_pci pci;
	struct fake_endpoint ep;

	setup(&pci, &ep);
	assert_int_equal(fake_endpoint_bar(&ep, 0, KIB(4), 0), 0);
	assert_int_equal(fake_endpoint_bar(&ep, 1, 64, PCI_BAR_IO), 0);
	plug_at(&pci, &ep, EP_RID);
	fake_cfg_write(&pci, EP_RID, BAR(0), 4, 0xc0001000);
	fake_cfg_write(&pci, EP_RID, BAR(1), 4, 0xc040);
	assert_int_equal(fake_region_count(&pci.machine), 2);
	fake_cfg_write(&pci, EP_RID, PCI_COMMAND, 2, PCI_COMMAND_IO);
	assert_non_null(fake_region_at(&pci.machine, BUS_PIO, 0xc040));
	assert_false(decodes_at(&pci, &ep, 0xc0001000));
	fake_cfg_write(&pci, EP_RID, PCI_COMMAND, 2, MEM);
	assert_null(fake_region_at(&pci.machine, BUS_PIO, 0xc040));
	assert_true(decodes_at(&pci, &ep, 0xc0001000));
	assert_int_equal(ep.nr_bar_changes, 3);
	fake_cfg_write(&pci, EP_RID, PCI_COMMAND, 2, 0);
	assert_int_equal(fake_region_count(&pci.machine), 2);
	teardown(&pci, &ep);
}

static void sizing_with_decode_left_on_claims_nothing(void **state)
{
	struct fake_pci pci;
	struct fake_endpoint ep;

	setup(&pci, &ep);
	assert_int_equal(fake_endpoint_bar(&ep, 0, KIB(4), 0), 0);
	assert_int_equal(fake_endpoint_bar(&ep, 2, KIB(4), PCI_BAR_MEM64), 0);
	plug_at(&pci, &ep, EP_RID);
	fake_cfg_write(&pci, EP_RID, PCI_COMMAND, 2, MEM);
	for (unsigned int i = 0; i < 4; i++)
		fake_cfg_write(&pci, EP_RID, BAR(i), 4, 0xffffffff);
	assert_int_equal(fake_region_count(&pci.machine), 2);
	fake_cfg_write(&pci, EP_RID, BAR(0), 4, 0);
	assert_int_equal(fake_region_count(&pci.machine), 2);
	teardown(&pci, &ep);
}

static void nothing_decodes_in_a_low_power_state(void **state)
{
	struct fake_pci pci;
	struct fake_endpoint ep;
	uint8_t pm;

	setup(&pci, &ep);
	assert_int_equal(fake_endpoint_bar(&ep, 0, KIB(4), 0), 0);
	assert_int_equal(pci_add_capability(&ep.fn, PCI_CAP_PM, PCI_PM_CAP_LEN, &pm), 0);
	pci_config_permit(&ep.fn, pm + PCI_PM_CONTROL, 2, PCI_PM_STATE, 0);
	ep.fn.pm_cap = pm;
	plug_at(&pci, &ep, EP_RID);
	fake_cfg_write(&pci, EP_RID, BAR(0), 4, 0xc0001000);
	fake_cfg_write(&pci, EP_RID, PCI_COMMAND, 2, MEM | PCI_COMMAND_MASTER);
	assert_true(decodes_at(&pci, &ep, 0xc0001000));
	fake_cfg_write(&pci, EP_RID, pm + PCI_PM_CONTROL, 2, 3);
	assert_false(decodes_at(&pci, &ep, 0xc0001000));
	assert_false(pci_function_may_master(&ep.fn));
	fake_cfg_write(&pci, EP_RID, pm + PCI_PM_CONTROL, 2, 0);
	assert_true(decodes_at(&pci, &ep, 0xc0001000));
	assert_true(pci_function_may_master(&ep.fn));
	teardown(&pci, &ep);
}

static void the_rom_decodes_by_its_own_bit_and_the_memory_bit(void **state)
{
	static uint8_t rom[KIB(4)] __attribute__((aligned(4096)));
	struct fake_pci pci;
	struct fake_endpoint ep;

	setup(&pci, &ep);
	assert_int_equal(pci_bar_declare(&ep.fn, PCI_BAR_ROM, KIB(4), 0), 0);
	assert_int_equal(pci_bar_add_direct(&ep.fn, PCI_BAR_ROM, 0, KIB(4), rom, true), 0);
	plug_at(&pci, &ep, EP_RID);
	fake_cfg_write(&pci, EP_RID, PCI_ROM, 4, 0xfffffffe);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, PCI_ROM, 4), 0xfffff000);
	fake_cfg_write(&pci, EP_RID, PCI_ROM, 4, 0xc0010000);
	fake_cfg_write(&pci, EP_RID, PCI_COMMAND, 2, MEM);
	assert_null(fake_slot_at(&pci.machine, 0xc0010000));
	fake_cfg_write(&pci, EP_RID, PCI_ROM, 4, 0xc0010000 | PCI_ROM_ENABLE);
	assert_non_null(fake_slot_at(&pci.machine, 0xc0010000));
	assert_true(fake_slot_at(&pci.machine, 0xc0010fff)->readonly);
	assert_ptr_equal(fake_slot_at(&pci.machine, 0xc0010000)->hva, rom);
	fake_cfg_write(&pci, EP_RID, PCI_COMMAND, 2, 0);
	assert_null(fake_slot_at(&pci.machine, 0xc0010000));
	teardown(&pci, &ep);
}

static void parts_of_a_bar_are_trapped_or_direct_each_at_its_place(void **state)
{
	static uint8_t pages[KIB(8)] __attribute__((aligned(4096)));
	struct fake_pci pci;
	struct fake_endpoint ep;

	setup(&pci, &ep);
	assert_int_equal(pci_bar_declare(&ep.fn, 0, KIB(16), 0), 0);
	assert_int_equal(pci_bar_add_direct(&ep.fn, 0, 0, KIB(4), pages, false), 0);
	assert_int_equal(
		pci_bar_add_trap(&ep.fn, 0, KIB(4), KIB(2), "trap", &fake_endpoint_region, &ep), 0);
	assert_int_equal(pci_bar_add_direct(&ep.fn, 0, KIB(12), KIB(4), pages + KIB(4), false), 0);
	plug_at(&pci, &ep, EP_RID);
	fake_cfg_write(&pci, EP_RID, BAR(0), 4, 0xc0020000);
	fake_cfg_write(&pci, EP_RID, PCI_COMMAND, 2, MEM);
	assert_ptr_equal(fake_slot_at(&pci.machine, 0xc0020000)->hva, pages);
	assert_ptr_equal(fake_slot_at(&pci.machine, 0xc0023000)->hva, pages + KIB(4));
	assert_true(decodes_at(&pci, &ep, 0xc0021000));
	/* The hole between them answers nothing. */
	assert_int_equal(fake_bus_read(&pci.machine, BUS_MMIO, 0xc0021800, 4), 0xffffffff);
	assert_null(fake_slot_at(&pci.machine, 0xc0022000));
	teardown(&pci, &ep);
}

static void declarations_that_make_no_bar_are_refused(void **state)
{
	static uint8_t page[KIB(4)] __attribute__((aligned(4096)));
	struct fake_pci pci;
	struct fake_endpoint ep;
	struct pci_function *fn = &ep.fn;

	setup(&pci, &ep);
	assert_int_equal(pci_bar_declare(fn, 0, KIB(3), 0), -EINVAL);
	assert_int_equal(pci_bar_declare(fn, 0, 8, 0), -EINVAL);
	assert_int_equal(pci_bar_declare(fn, 0, 0, 0), -EINVAL);
	assert_int_equal(pci_bar_declare(fn, 0, GIB(4), 0), -EINVAL);
	assert_int_equal(pci_bar_declare(fn, 0, 64, PCI_BAR_IO | PCI_BAR_PREFETCH), -EINVAL);
	assert_int_equal(pci_bar_declare(fn, 5, KIB(4), PCI_BAR_MEM64), -EINVAL);
	assert_int_equal(pci_bar_declare(fn, 7, KIB(4), 0), -EINVAL);
	assert_int_equal(pci_bar_declare(fn, PCI_BAR_ROM, KIB(1), 0), -EINVAL);
	assert_int_equal(pci_bar_declare(fn, 2, KIB(4), PCI_BAR_MEM64), 0);
	assert_int_equal(pci_bar_declare(fn, 2, KIB(4), 0), -EINVAL);
	assert_int_equal(pci_bar_declare(fn, 3, KIB(4), 0), -EINVAL);
	assert_int_equal(pci_bar_declare(fn, 1, KIB(4), PCI_BAR_MEM64), -EINVAL);

	assert_int_equal(pci_bar_add_direct(fn, 2, 0x800, KIB(4), page, false), -EINVAL);
	assert_int_equal(pci_bar_add_direct(fn, 2, 0, KIB(8), page, false), -EINVAL);
	assert_int_equal(pci_bar_add_direct(fn, 2, 0, KIB(4), page + 8, false), -EINVAL);
	assert_int_equal(pci_bar_add_trap(fn, 2, UINT64_MAX, 2, "x", &fake_endpoint_region, &ep),
			 -EINVAL);
	assert_int_equal(pci_bar_add_trap(fn, 2, 0, 0, "x", &fake_endpoint_region, &ep), -EINVAL);
	assert_int_equal(pci_bar_add_trap(fn, 2, 0, 16, "x", &fake_endpoint_region, &ep), 0);
	assert_int_equal(pci_bar_add_trap(fn, 2, 8, 16, "x", &fake_endpoint_region, &ep), -EINVAL);
	for (unsigned int i = 1; i < PCI_BAR_PARTS; i++)
		assert_int_equal(
			pci_bar_add_trap(fn, 2, i * 16, 16, "x", &fake_endpoint_region, &ep), 0);
	assert_int_equal(pci_bar_add_trap(fn, 2, 0x800, 16, "x", &fake_endpoint_region, &ep),
			 -ENOSPC);
	pci_function_fini(fn);
	assert_true(fake_pci_fini(&pci));
}

static void a_bar_over_ram_stays_off_until_it_is_moved(void **state)
{
	static uint8_t page[KIB(4)] __attribute__((aligned(4096)));
	struct fake_pci pci;
	struct fake_endpoint ep;

	setup(&pci, &ep);
	assert_int_equal(fake_ram_add(&pci.machine, range_of(0, MIB(64)), page), 0);
	assert_int_equal(pci_bar_declare(&ep.fn, 0, KIB(8), 0), 0);
	assert_int_equal(
		pci_bar_add_trap(&ep.fn, 0, KIB(4), KIB(4), "trap", &fake_endpoint_region, &ep), 0);
	assert_int_equal(pci_bar_add_direct(&ep.fn, 0, 0, KIB(4), page, false), 0);
	plug_at(&pci, &ep, EP_RID);
	fake_cfg_write(&pci, EP_RID, BAR(0), 4, 0x10000);
	fake_cfg_write(&pci, EP_RID, PCI_COMMAND, 2, MEM);
	/* All of it or nothing: the trapped part would have fitted. */
	assert_false(ep.fn.bars[0].enabled);
	assert_int_equal(fake_region_count(&pci.machine), 2);
	assert_int_equal(pci.machine.nr_slots, 0);
	fake_cfg_write(&pci, EP_RID, BAR(0), 4, 0xc0000000);
	assert_true(ep.fn.bars[0].enabled);
	assert_int_equal(pci.machine.nr_slots, 1);
	teardown(&pci, &ep);
}

static void of_two_bars_at_one_place_the_second_waits_for_the_first_to_go(void **state)
{
	struct fake_pci pci;
	struct fake_endpoint ep, two;

	setup(&pci, &ep);
	fake_endpoint_init(&two, &pci, "two", 0);
	assert_int_equal(fake_endpoint_bar(&ep, 0, KIB(64), 0), 0);
	assert_int_equal(fake_endpoint_bar(&two, 0, KIB(4), 0), 0);
	plug_at(&pci, &ep, EP_RID);
	plug_at(&pci, &two, TWO_RID);
	fake_cfg_write(&pci, EP_RID, BAR(0), 4, 0xc0000000);
	fake_cfg_write(&pci, EP_RID, PCI_COMMAND, 2, MEM);
	fake_cfg_write(&pci, TWO_RID, BAR(0), 4, 0xc0001000);
	fake_cfg_write(&pci, TWO_RID, PCI_COMMAND, 2, MEM);
	assert_true(decodes_at(&pci, &ep, 0xc0001000));
	assert_false(two.fn.bars[0].enabled);
	fake_cfg_write(&pci, EP_RID, BAR(0), 4, 0xc1000000);
	assert_true(decodes_at(&pci, &two, 0xc0001000));
	assert_true(decodes_at(&pci, &ep, 0xc1001000));

	/* Back on top of it: now the first waits, and a detach lets it in. */
	fake_cfg_write(&pci, EP_RID, BAR(0), 4, 0xc0000000);
	assert_false(ep.fn.bars[0].enabled);
	assert_true(decodes_at(&pci, &two, 0xc0001000));
	fake_endpoint_fini(&two);
	assert_true(decodes_at(&pci, &ep, 0xc0001000));
	teardown(&pci, &ep);
}

static void ecam_cannot_be_taken_over_by_a_bar(void **state)
{
	struct fake_pci pci;
	struct fake_endpoint ep;

	setup(&pci, &ep);
	assert_int_equal(fake_endpoint_bar(&ep, 0, MIB(1), 0), 0);
	plug_at(&pci, &ep, EP_RID);
	fake_cfg_write(&pci, EP_RID, BAR(0), 4, FAKE_ECAM);
	fake_cfg_write(&pci, EP_RID, PCI_COMMAND, 2, MEM);
	assert_false(ep.fn.bars[0].enabled);
	assert_int_equal(fake_cfg_read(&pci, EP_RID, PCI_VENDOR_ID, 2), 0x1234);
	teardown(&pci, &ep);
}

/* One sequence of a guest's and a machine's doing, with every platform call failing in turn. */
static void every_failing_platform_call_leaves_nothing_behind(void **state)
{
	static uint8_t pages[KIB(8)] __attribute__((aligned(4096)));
	const struct pci_fabric_config config = {
		.ecam = range_of(FAKE_ECAM, MIB(16)),
		.mmio32 = range_of(FAKE_MMIO32, FAKE_MMIO32_LEN),
		.mmio64 = range_of(FAKE_MMIO64, FAKE_MMIO64_LEN),
		.io = range_of(FAKE_IO, FAKE_IO_LEN),
		.intx_pins = { 16, 17, 18, 19 },
	};
	unsigned int nr_calls = 1;

	for (unsigned int n = 1; n <= nr_calls; n++) {
		const struct pci_port_config port = { .id = "rp0" };
		struct fake_pci pci;
		struct fake_endpoint ep;
		struct pci_bus *bus;
		uint8_t cap;

		fake_platform_init(&pci.machine, NULL, NULL);
		fake_platform_fail(&pci.machine, n, n & 1 ? -ENOMEM : -ENOSPC);
		if (pci_fabric_create(&pci.machine.platform, &config, &pci.fabric)) {
			assert_true(fake_platform_is_empty(&pci.machine));
			fake_platform_fini(&pci.machine);
			nr_calls++;
			continue;
		}
		assert_int_equal(pci_root_port_create(pci.fabric, &port, &bus, NULL), 0);
		fake_endpoint_init(&ep, &pci, "ep", 1);
		assert_int_equal(pci_bar_declare(&ep.fn, 0, KIB(16), PCI_BAR_MEM64), 0);
		assert_int_equal(pci_bar_add_direct(&ep.fn, 0, 0, KIB(8), pages, false), 0);
		assert_int_equal(fake_endpoint_bar(&ep, 2, KIB(4), 0), 0);
		assert_int_equal(pci_add_capability(&ep.fn, PCI_CAP_MSIX, PCI_MSIX_CAP_LEN, &cap),
				 0);
		assert_int_equal(pci_msix_init(&ep.fn, cap, 2, 0, KIB(8), 0, KIB(12)), 0);
		assert_int_equal(pci_function_attach(&ep.fn, bus, 0), 0);
		assert_int_equal(pci_fabric_assign(pci.fabric, NULL), 0);
		/* A part that failed is not there alone, and moving the BAR tries again. */
		for (unsigned int i = 0; i < PCI_BARS; i++) {
			const struct pci_bar *bar = &ep.fn.bars[i];

			for (unsigned int j = 0; j < bar->nr_parts; j++)
				assert_int_equal(bar->parts[j].live, bar->enabled);
		}
		fake_cfg_write(&pci, rid_make(1, 0), BAR(2), 4, 0);
		fake_cfg_write(&pci, rid_make(1, 0), BAR(2), 4, FAKE_MMIO32 + KIB(16));
		pci_function_intx(&ep.fn, true);
		nr_calls = nr_calls > pci.machine.nr_calls ? nr_calls : pci.machine.nr_calls;
		fake_endpoint_fini(&ep);
		assert_true(fake_pci_fini(&pci));
	}
	assert_true(nr_calls >= 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writing_ones_reads_back_the_size),
		cmocka_unit_test(sizing_a_64_bit_bar_spans_both_registers),
		cmocka_unit_test(a_64_bit_bar_moves_while_it_decodes),
		cmocka_unit_test(decode_follows_the_bits_of_the_command_register),
		cmocka_unit_test(sizing_with_decode_left_on_claims_nothing),
		cmocka_unit_test(nothing_decodes_in_a_low_power_state),
		cmocka_unit_test(the_rom_decodes_by_its_own_bit_and_the_memory_bit),
		cmocka_unit_test(parts_of_a_bar_are_trapped_or_direct_each_at_its_place),
		cmocka_unit_test(declarations_that_make_no_bar_are_refused),
		cmocka_unit_test(a_bar_over_ram_stays_off_until_it_is_moved),
		cmocka_unit_test(of_two_bars_at_one_place_the_second_waits_for_the_first_to_go),
		cmocka_unit_test(ecam_cannot_be_taken_over_by_a_bar),
		cmocka_unit_test(every_failing_platform_call_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
