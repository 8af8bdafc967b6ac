// SPDX-License-Identifier: GPL-2.0-or-later
/* The firmware's part: what the guest finds programmed before its first instruction. */
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
	/* On the root bus any 64-bit BAR goes above. */
	assert_true(bar_range(&ep[2], 0).first >= FAKE_MMIO64);
	assert_false(range_overlaps(port_window(&pci, ports[0]), port_window(&pci, ports[1])));
	/* The ROM has its place, and does not decode until the guest wants it. */
	assert_false(ep[0].fn.bars[PCI_BAR_ROM].enabled);
	assert_true(fake_cfg_read(&pci, rid_make(1, 0), PCI_ROM, 4) >= FAKE_MMIO32);

	for (unsigned int i = 0; i < 3; i++)
		fake_endpoint_fini(&ep[i]);
	assert_true(fake_pci_fini(&pci));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bridge_windows_contain_what_is_behind_and_nothing_overlaps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
