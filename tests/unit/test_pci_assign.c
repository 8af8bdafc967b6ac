// SPDX-License-Identifier: GPL-2.0-or-later
/* The firmware's part: what the guest finds programmed before its first instruction. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/endian.h"
#include "fake/pci.h"

#define MEM64 PCI_BAR_MEM64
#define PREF  PCI_BAR_PREFETCH

static struct range port_window(struct fake_pci *pci, rid_t port)
{
	uint64_t base = fake_cfg_read(pci, port, PCI_MEMORY_BASE, 2) & PCI_MEMORY_WINDOW_MASK;
	uint64_t limit = fake_cfg_read(pci, port, PCI_MEMORY_LIMIT, 2) & PCI_MEMORY_WINDOW_MASK;

	return (struct range){ base << 16, limit << 16 | 0xfffff };
}

static struct range port_prefetch_window(struct fake_pci *pci, rid_t port)
{
	uint64_t base = fake_cfg_read(pci, port, PCI_PREFETCH_BASE, 2) & PCI_MEMORY_WINDOW_MASK;
	uint64_t limit = fake_cfg_read(pci, port, PCI_PREFETCH_LIMIT, 2) & PCI_MEMORY_WINDOW_MASK;

	return (struct range){
		base << 16 | (uint64_t)fake_cfg_read(pci, port, PCI_PREFETCH_BASE_HI, 4) << 32,
		limit << 16 | 0xfffff |
			(uint64_t)fake_cfg_read(pci, port, PCI_PREFETCH_LIMIT_HI, 4) << 32,
	};
}

static struct range bar_range(const struct fake_endpoint *ep, unsigned int index)
{
	assert_true(ep->fn.bars[index].enabled);
	return range_of(ep->fn.bars[index].addr, ep->fn.bars[index].size);
}

static void bridge_windows_contain_what_is_behind_and_nothing_overlaps(void **state)
{
	struct fake_pci pci;
	struct fake_endpoint ep[3];
	rid_t ports[] = { rid_make(0, PCI_DEVFN(1, 0)), rid_make(0, PCI_DEVFN(2, 0)) };
	struct pci_bus *buses[2];

	fake_pci_init(&pci);
	buses[0] = fake_pci_port(&pci, "rp0");
	buses[1] = fake_pci_port(&pci, "rp1");
	for (unsigned int i = 0; i < 3; i++) {
		fake_endpoint_init(&ep[i], &pci, "ep", 1);
		/* On the root bus one that would fit behind the last window's end. */
		if (i == 2) {
			assert_int_equal(fake_endpoint_bar(&ep[i], 1, KIB(4), 0), 0);
			continue;
		}
		assert_int_equal(fake_endpoint_bar(&ep[i], 0, KIB(16), MEM64), 0);
		assert_int_equal(fake_endpoint_bar(&ep[i], 2, GIB(16), MEM64 | PREF), 0);
		assert_int_equal(fake_endpoint_bar(&ep[i], 4, MIB(2), 0), 0);
		assert_int_equal(fake_endpoint_bar(&ep[i], 5, 64, PCI_BAR_IO), 0);
		assert_int_equal(fake_endpoint_bar(&ep[i], PCI_BAR_ROM, KIB(64), 0), 0);
	}
	assert_int_equal(pci_function_attach(&ep[0].fn, buses[0], 0), 0);
	assert_int_equal(pci_function_attach(&ep[1].fn, buses[1], 0), 0);
	assert_int_equal(
		pci_function_attach(&ep[2].fn, pci_fabric_root(pci.fabric), PCI_DEVFN(3, 0)), 0);
	assert_int_equal(pci_fabric_assign(pci.fabric, NULL), 0);

	for (unsigned int i = 0; i < 2; i++) {
		rid_t fn = rid_make((uint8_t)(i + 1), 0);

		assert_int_equal(fake_cfg_read(&pci, ports[i], PCI_SECONDARY_BUS, 1), i + 1);
		assert_int_equal(fake_cfg_read(&pci, ports[i], PCI_SUBORDINATE_BUS, 1), i + 1);
		assert_int_equal(fake_cfg_read(&pci, fn, PCI_VENDOR_ID, 2), 0x1234);
		assert_int_equal(pci_function_rid(&ep[i].fn).v, fn.v);
		/* A port's window for BARs that are not prefetchable lies below 4 GiB. */
		assert_true(range_contains(port_window(&pci, ports[i]), bar_range(&ep[i], 0)));
		assert_true(range_contains(port_window(&pci, ports[i]), bar_range(&ep[i], 4)));
		assert_true(
			range_contains(port_prefetch_window(&pci, ports[i]), bar_range(&ep[i], 2)));
		assert_true(bar_range(&ep[i], 2).first >= FAKE_MMIO64);
		assert_true(range_contains(range_of(FAKE_IO, FAKE_IO_LEN), bar_range(&ep[i], 5)));
		assert_int_equal(fake_cfg_read(&pci, fn, PCI_COMMAND, 2),
				 PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
	}
	assert_false(range_overlaps(port_window(&pci, ports[0]), port_window(&pci, ports[1])));
	/* What is on the root bus is in no port's window. */
	for (unsigned int i = 0; i < 2; i++) {
		assert_false(range_overlaps(port_window(&pci, ports[i]), bar_range(&ep[2], 1)));
	}
	/* The ROM has its place, and does not decode until the guest wants it. */
	assert_false(ep[0].fn.bars[PCI_BAR_ROM].enabled);
	assert_true(fake_cfg_read(&pci, rid_make(1, 0), PCI_ROM, 4) >= FAKE_MMIO32);

	for (unsigned int i = 0; i < 3; i++)
		fake_endpoint_fini(&ep[i]);
	assert_true(fake_pci_fini(&pci));
}

/* A fabric with windows of the test's own. */
static void small_init(struct fake_pci *pci, uint64_t ecam_len, uint64_t mmio32_len,
		       uint64_t mmio64_len)
{
	const struct pci_fabric_config config = {
		.ecam = range_of(FAKE_ECAM, ecam_len),
		.mmio32 = range_of(FAKE_MMIO32, mmio32_len),
		.mmio64 = range_of(FAKE_MMIO64, mmio64_len),
		.io = range_of(FAKE_IO, 0x1000),
		.intx_pins = { 16, 17, 18, 19 },
	};

	fake_platform_init(&pci->machine, NULL, NULL);
	assert_int_equal(pci_fabric_create(&pci->machine.platform, &config, &pci->fabric), 0);
}

static void largest_first_packs_without_a_gap(void **state)
{
	static const uint64_t sizes[] = { KIB(16), MIB(2), KIB(4), MIB(1), KIB(64), KIB(4) };
	struct fake_pci pci;
	struct fake_endpoint ep;

	/* Exactly what they take: any other order would need more. */
	small_init(&pci, MIB(2), MIB(3) + KIB(88), MIB(1));
	fake_endpoint_init(&ep, &pci, "ep", 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++)
		assert_int_equal(fake_endpoint_bar(&ep, i, sizes[i], 0), 0);
	assert_int_equal(pci_function_attach(&ep.fn, pci_fabric_root(pci.fabric), PCI_DEVFN(1, 0)),
			 0);
	assert_int_equal(pci_fabric_assign(pci.fabric, NULL), 0);
	assert_int_equal(bar_range(&ep, 1).first, FAKE_MMIO32);
	assert_int_equal(bar_range(&ep, 3).first, FAKE_MMIO32 + MIB(2));
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++)
		assert_true(
			range_contains(pci_fabric_config(pci.fabric)->mmio32, bar_range(&ep, i)));
	fake_endpoint_fini(&ep);
	assert_true(fake_pci_fini(&pci));
}

static void a_window_that_is_too_small_is_refused_with_what_it_would_take(void **state)
{
	struct fake_pci pci;
	struct fake_endpoint ep;
	struct diag diag = DIAG_INIT;

	small_init(&pci, MIB(2), MIB(16), GIB(4));
	fake_endpoint_init(&ep, &pci, "ep", 0);
	assert_int_equal(fake_endpoint_bar(&ep, 0, GIB(32), MEM64 | PREF), 0);
	assert_int_equal(pci_function_attach(&ep.fn, pci_fabric_root(pci.fabric), PCI_DEVFN(1, 0)),
			 0);
	assert_int_equal(pci_fabric_assign(pci.fabric, &diag), -ENOSPC);
	assert_non_null(strstr(diag.reason, "32768 MiB"));
	assert_non_null(strstr(diag.reason, "4096 MiB"));
	assert_true(diag.remedy[0]);
	assert_false(ep.fn.bars[0].enabled);
	/* Sizes that do not even add up are the same refusal. */
	diag_clear(&diag);
	ep.fn.bars[0].size = BIT64(63);
	ep.fn.bars[2].size = KIB(4);
	ep.fn.bars[2].flags = MEM64;
	assert_int_equal(pci_fabric_assign(pci.fabric, &diag), -ENOSPC);
	assert_non_null(strstr(diag.reason, "above 4 GiB"));
	fake_endpoint_fini(&ep);
	assert_true(fake_pci_fini(&pci));
}

static void too_much_below_4_gib_is_refused_even_after_spilling(void **state)
{
	struct fake_pci pci;
	struct fake_endpoint ep;
	struct diag diag = DIAG_INIT;

	small_init(&pci, MIB(2), MIB(16), GIB(4));
	fake_endpoint_init(&ep, &pci, "ep", 0);
	assert_int_equal(fake_endpoint_bar(&ep, 0, MIB(32), MEM64), 0);
	assert_int_equal(fake_endpoint_bar(&ep, 2, MIB(64), PREF), 0);
	assert_int_equal(pci_function_attach(&ep.fn, fake_pci_port(&pci, "rp0"), 0), 0);
	assert_int_equal(pci_fabric_assign(pci.fabric, &diag), -ENOSPC);
	assert_non_null(strstr(diag.reason, "below 4 GiB"));
	assert_non_null(strstr(diag.reason, "64 MiB"));
	fake_endpoint_fini(&ep);
	assert_true(fake_pci_fini(&pci));
}

static void bars_behind_a_port_spill_above_4_gib_only_when_they_must(void **state)
{
	struct fake_pci pci;
	struct fake_endpoint ep;
	rid_t port = rid_make(0, PCI_DEVFN(1, 0));

	small_init(&pci, MIB(2), MIB(16), GIB(4));
	fake_endpoint_init(&ep, &pci, "ep", 0);
	assert_int_equal(fake_endpoint_bar(&ep, 0, MIB(32), MEM64), 0);
	assert_int_equal(fake_endpoint_bar(&ep, 2, MIB(1), 0), 0);
	assert_int_equal(pci_function_attach(&ep.fn, fake_pci_port(&pci, "rp0"), 0), 0);
	assert_int_equal(pci_fabric_assign(pci.fabric, NULL), 0);
	assert_true(range_contains(port_prefetch_window(&pci, port), bar_range(&ep, 0)));
	assert_true(range_contains(port_window(&pci, port), bar_range(&ep, 2)));
	fake_endpoint_fini(&ep);
	assert_true(fake_pci_fini(&pci));
}

static void ports_without_io_space_left_work_without(void **state)
{
	struct fake_pci pci;
	struct fake_endpoint ep[2];
	rid_t port = rid_make(0, PCI_DEVFN(2, 0));

	small_init(&pci, MIB(4), MIB(16), GIB(4)); /* one I/O window of 4 KiB */
	for (unsigned int i = 0; i < 2; i++) {
		fake_endpoint_init(&ep[i], &pci, i ? "two" : "one", 0);
		assert_int_equal(fake_endpoint_bar(&ep[i], 0, 32, PCI_BAR_IO), 0);
		assert_int_equal(fake_endpoint_bar(&ep[i], 1, KIB(4), 0), 0);
		assert_int_equal(
			pci_function_attach(&ep[i].fn, fake_pci_port(&pci, i ? "b" : "a"), 0), 0);
	}
	assert_int_equal(pci_fabric_assign(pci.fabric, NULL), 0);
	assert_true(ep[0].fn.bars[0].enabled);
	assert_false(ep[1].fn.bars[0].enabled);
	assert_true(ep[1].fn.bars[1].enabled);
	assert_int_equal(fake_cfg_read(&pci, rid_make(2, 0), PCI_COMMAND, 2), PCI_COMMAND_MEMORY);
	/* Its I/O window is closed. */
	assert_true(fake_cfg_read(&pci, port, PCI_IO_BASE, 1) >
		    fake_cfg_read(&pci, port, PCI_IO_LIMIT, 1));
	for (unsigned int i = 0; i < 2; i++)
		fake_endpoint_fini(&ep[i]);
	assert_true(fake_pci_fini(&pci));
}

static void more_ports_than_bus_numbers_are_refused(void **state)
{
	struct fake_pci pci;
	struct diag diag = DIAG_INIT;

	small_init(&pci, MIB(3), MIB(16), GIB(4));
	fake_pci_port(&pci, "a");
	fake_pci_port(&pci, "b");
	assert_int_equal(pci_fabric_assign(pci.fabric, &diag), 0);
	fake_pci_port(&pci, "c");
	assert_int_equal(pci_fabric_assign(pci.fabric, &diag), -ENOSPC);
	assert_string_equal(diag.object, "c");
	assert_true(fake_pci_fini(&pci));
}

static void a_reserve_beyond_counting_is_refused(void **state)
{
	struct pci_port_config config = { .id = "rp0", .mmio64_reserve = UINT64_MAX };
	struct fake_pci pci;
	struct pci_bus *bus;

	fake_pci_init(&pci);
	assert_int_equal(pci_root_port_create(pci.fabric, &config, &bus, NULL), 0);
	assert_int_equal(pci_fabric_assign(pci.fabric, NULL), -ENOSPC);
	assert_true(fake_pci_fini(&pci));
}

static void on_the_root_bus_64_bit_bars_go_above_4_gib(void **state)
{
	struct fake_pci pci;
	struct fake_endpoint ep;

	fake_pci_init(&pci);
	fake_endpoint_init(&ep, &pci, "ep", 0);
	assert_int_equal(fake_endpoint_bar(&ep, 0, KIB(16), MEM64), 0);
	assert_int_equal(pci_function_attach(&ep.fn, pci_fabric_root(pci.fabric), PCI_DEVFN(3, 0)),
			 0);
	assert_int_equal(pci_fabric_assign(pci.fabric, NULL), 0);
	assert_int_equal(bar_range(&ep, 0).first, FAKE_MMIO64);
	fake_endpoint_fini(&ep);
	assert_true(fake_pci_fini(&pci));
}

static void an_empty_port_keeps_the_windows_it_reserves(void **state)
{
	struct pci_port_config config = {
		.id = "rp0",
		.mmio32_reserve = MIB(2) + 1,
		.mmio64_reserve = GIB(1),
	};
	rid_t port = rid_make(0, PCI_DEVFN(1, 0)), bare = rid_make(0, PCI_DEVFN(2, 0));
	struct fake_pci pci;
	struct pci_bus *bus;

	fake_pci_init(&pci);
	assert_int_equal(pci_root_port_create(pci.fabric, &config, &bus, NULL), 0);
	fake_pci_port(&pci, "bare");
	assert_int_equal(pci_fabric_assign(pci.fabric, NULL), 0);
	assert_int_equal(range_len(port_window(&pci, port)), MIB(3));
	assert_int_equal(range_len(port_prefetch_window(&pci, port)), GIB(1));
	/* One that reserves nothing has none. */
	assert_true(port_window(&pci, bare).first > port_window(&pci, bare).last);
	assert_true(port_prefetch_window(&pci, bare).first > port_prefetch_window(&pci, bare).last);
	assert_int_equal(fake_cfg_read(&pci, port, PCI_COMMAND, 2),
			 PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_true(fake_pci_fini(&pci));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bridge_windows_contain_what_is_behind_and_nothing_overlaps),
		cmocka_unit_test(largest_first_packs_without_a_gap),
		cmocka_unit_test(a_window_that_is_too_small_is_refused_with_what_it_would_take),
		cmocka_unit_test(too_much_below_4_gib_is_refused_even_after_spilling),
		cmocka_unit_test(bars_behind_a_port_spill_above_4_gib_only_when_they_must),
		cmocka_unit_test(ports_without_io_space_left_work_without),
		cmocka_unit_test(more_ports_than_bus_numbers_are_refused),
		cmocka_unit_test(a_reserve_beyond_counting_is_refused),
		cmocka_unit_test(on_the_root_bus_64_bit_bars_go_above_4_gib),
		cmocka_unit_test(an_empty_port_keeps_the_windows_it_reserves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
