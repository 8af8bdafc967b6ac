// SPDX-License-Identifier: GPL-2.0-or-later
/* Config space of a passed-through function: what the guest sees, changes, and cannot reach. */
#include "vfio_world.h"

#include <unistd.h>

#include "base/endian.h"

static void ids_and_class_are_the_devices_own(void **state)
{
	struct world w;

	world_init(&w);
	world_start(&w);
	assert_true(world_read(&w, PCI_VENDOR_ID, 4) == 0x00101b36);
	assert_true(world_read(&w, PCI_REVISION, 4) == 0x01080202);
	assert_true(world_read(&w, PCI_SUBVENDOR_ID, 4) == 0x11001af4);
	world_write(&w, PCI_VENDOR_ID, 4, 0);
	assert_true(world_read(&w, PCI_VENDOR_ID, 4) == 0x00101b36);
	/* A self test would take it off the bus. */
	assert_int_equal(world_read(&w, PCI_BIST, 1), 0);
	world_fini(&w);
}

static void bus_mastering_reaches_the_device_only_when_memory_is_mapped(void **state)
{
	struct vfio_pci_config config = world_config();
	struct world w;

	world_init(&w);
	fake_vfio_publish(&w.vfio);
	assert_int_equal(world_open(&w, &config), 0);
	assert_int_equal(pci_function_attach(vfio_pci_function(w.dev), w.bus, 0), 0);
	assert_int_equal(pci_fabric_assign(w.pci.fabric, NULL), 0);
	w.rid = pci_function_rid(vfio_pci_function(w.dev));
	world_write(&w, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_false(fake_vfio_config(w.real, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	assert_int_equal(vfio_context_map(w.context, &w.diag), 0);
	assert_true(fake_vfio_config(w.real, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	world_write(&w, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_false(fake_vfio_config(w.real, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	world_fini(&w);
}

static void decode_stays_on_in_the_device_whatever_the_guest_does(void **state)
{
	struct world w;

	world_init(&w);
	world_start(&w);
	world_write(&w, PCI_COMMAND, 2, 0);
	assert_true(fake_vfio_config(w.real, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY);
	/* But not for the guest. */
	assert_int_equal(w.pci.machine.nr_slots, 0);
	world_write(&w, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(w.pci.machine.nr_slots, 1);
	world_fini(&w);
}

static void bar_addresses_never_reach_the_device(void **state)
{
	struct world w;
	uint32_t host;

	world_init(&w);
	world_start(&w);
	host = fake_vfio_config(w.real, PCI_BAR0, 4);
	world_write(&w, PCI_COMMAND, 2, 0);
	world_write(&w, PCI_BAR0, 4, ~0u);
	assert_true(world_read(&w, PCI_BAR0, 4) == (0xffffc000u | PCI_BAR_MEM64));
	world_write(&w, PCI_BAR0, 4, 0xc1000000);
	assert_true(fake_vfio_config(w.real, PCI_BAR0, 4) == host);
	world_write(&w, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	world_fini(&w);
}

static void status_errors_are_read_and_cleared_in_the_device(void **state)
{
	struct world w;

	world_init(&w);
	world_start(&w);
	le_store(w.real->config + PCI_STATUS, 2, 0xa010);
	assert_int_equal(world_read(&w, PCI_STATUS, 2) & 0xf900, 0xa000);
	world_write(&w, PCI_STATUS, 2, 0x8000);
	assert_int_equal(w.real->last_write.at, PCI_STATUS);
	/* Only what the guest clears is written as one. */
	assert_int_equal(w.real->last_write.value & 0xf900, 0x8000);
	world_fini(&w);
}

static void the_link_and_the_payload_size_are_the_hosts(void **state)
{
	struct world w;
	uint32_t host;

	world_init(&w);
	world_start(&w);
	host = fake_vfio_config(w.real, FAKE_VFIO_PCIE + PCI_EXP_DEVCTL, 2);
	world_write(&w, FAKE_VFIO_PCIE + PCI_EXP_DEVCTL, 2, 0x50df & ~PCI_EXP_DEVCTL_FLR);
	/* Read request size, relaxed ordering and no snoop pass; the rest stays as the host set it. */
	assert_int_equal(fake_vfio_config(w.real, FAKE_VFIO_PCIE + PCI_EXP_DEVCTL, 2),
			 (host & ~0x7810u) | (0x50df & 0x7810));
	assert_int_equal(world_read(&w, FAKE_VFIO_PCIE + PCI_EXP_DEVCTL, 2), 0x50df);
	/* ASPM is not offered and not taken. */
	assert_int_equal(world_read(&w, FAKE_VFIO_PCIE + PCI_EXP_LNKCAP, 4) & GENMASK(11, 10), 0);
	host = w.real->nr_config_writes;
	world_write(&w, FAKE_VFIO_PCIE + PCI_EXP_LNKCTL, 2, 0x43);
	assert_int_equal(w.real->nr_config_writes, host);
	assert_int_equal(world_read(&w, FAKE_VFIO_PCIE + PCI_EXP_LNKCTL, 2), 0x40);
	/* The link as it is. */
	le_store(w.real->config + FAKE_VFIO_PCIE + PCI_EXP_LNKSTA, 2, 0x1081);
	assert_int_equal(world_read(&w, FAKE_VFIO_PCIE + PCI_EXP_LNKSTA, 2), 0x1081);
	/* No phantom functions. */
	assert_int_equal(world_read(&w, FAKE_VFIO_PCIE + PCI_EXP_DEVCAP, 4) & 0x18, 0);
	world_fini(&w);
}

static void a_dword_write_over_two_registers_reaches_each_by_its_own_rule(void **state)
{
	struct world w;

	world_init(&w);
	world_start(&w);
	le_store(w.real->config + FAKE_VFIO_PCIE + PCI_EXP_DEVSTA, 2, 0x0d);
	world_write(&w, FAKE_VFIO_PCIE + PCI_EXP_DEVCTL, 4, 0x00042810);
	assert_int_equal(w.real->last_write.at, FAKE_VFIO_PCIE + PCI_EXP_DEVSTA);
	assert_int_equal(w.real->last_write.value, 0x04);
	assert_int_equal(fake_vfio_config(w.real, FAKE_VFIO_PCIE + PCI_EXP_DEVCTL, 2) & 0x7810,
			 0x2810);
	world_fini(&w);
}

static void an_integrated_endpoint_behind_a_port_is_an_endpoint_with_a_link(void **state)
{
	struct world w;

	world_init(&w);
	le_store(w.real->config + FAKE_VFIO_PCIE + PCI_EXP_FLAGS, 2, 0x92);
	le_store(w.real->config + FAKE_VFIO_PCIE + PCI_EXP_LNKCAP, 4, 0);
	le_store(w.real->config + FAKE_VFIO_PCIE + PCI_EXP_LNKSTA, 2, 0);
	world_start(&w);
	assert_int_equal(world_read(&w, FAKE_VFIO_PCIE + PCI_EXP_FLAGS, 2), 0x02);
	assert_int_equal(world_read(&w, FAKE_VFIO_PCIE + PCI_EXP_LNKCAP, 4), 0x11);
	assert_int_equal(world_read(&w, FAKE_VFIO_PCIE + PCI_EXP_LNKSTA, 2), 0x11);
	world_fini(&w);
}

static void power_state_is_kept_by_us_and_stops_bus_mastering(void **state)
{
	struct world w;
	unsigned int writes;

	world_init(&w);
	world_start(&w);
	world_write(&w, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	/* No PME, no D1 or D2; nothing is lost in D3. */
	assert_int_equal(world_read(&w, FAKE_VFIO_PM + PCI_PM_CAPS, 2), 0x0003);
	assert_int_equal(world_read(&w, FAKE_VFIO_PM + PCI_PM_CONTROL, 2), PCI_PM_NO_SOFT_RESET);
	world_write(&w, FAKE_VFIO_PM + PCI_PM_CONTROL, 2, 3);
	assert_false(fake_vfio_config(w.real, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	assert_int_equal(fake_vfio_config(w.real, FAKE_VFIO_PM + PCI_PM_CONTROL, 2), 0);
	assert_int_equal(w.pci.machine.nr_slots, 0);
	/* D1 does not exist: the state stays. */
	world_write(&w, FAKE_VFIO_PM + PCI_PM_CONTROL, 2, 1);
	assert_int_equal(world_read(&w, FAKE_VFIO_PM + PCI_PM_CONTROL, 2) & PCI_PM_STATE, 3);
	world_write(&w, FAKE_VFIO_PM + PCI_PM_CONTROL, 2, 0);
	assert_true(fake_vfio_config(w.real, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	assert_int_equal(w.pci.machine.nr_slots, 1);
	writes = w.real->nr_config_writes;
	world_write(&w, FAKE_VFIO_PM + PCI_PM_CONTROL, 2, 0);
	assert_int_equal(w.real->nr_config_writes, writes);
	world_fini(&w);
}

static void hidden_capabilities_are_out_of_the_list_and_read_as_zero(void **state)
{
	struct world w;

	world_init(&w);
	world_start(&w);
	/* AER was first: its place is kept by a null entry that leads on. */
	assert_true(world_read(&w, PCI_EXT_CAPS, 4) == (uint32_t)FAKE_VFIO_SERIAL << 20);
	assert_true(world_read(&w, FAKE_VFIO_SERIAL, 4) == (3u | 1u << 16));
	assert_true(world_read(&w, FAKE_VFIO_SERIAL + 4, 4) == 0x89abcdef);
	assert_true(world_read(&w, FAKE_VFIO_SRIOV, 4) == 0);
	assert_true(world_read(&w, FAKE_VFIO_SRIOV + 4, 4) == 0);
	world_write(&w, FAKE_VFIO_SRIOV + 8, 2, 1);
	assert_true(fake_vfio_config(w.real, FAKE_VFIO_SRIOV + 8, 2) == 0);
	world_fini(&w);
}

static void vendor_registers_pass_both_ways(void **state)
{
	struct world w;

	world_init(&w);
	world_start(&w);
	world_write(&w, FAKE_VFIO_VENDOR + 4, 4, 0xcafe0001);
	assert_true(fake_vfio_config(w.real, FAKE_VFIO_VENDOR + 4, 4) == 0xcafe0001);
	le_store(w.real->config + FAKE_VFIO_VENDOR + 8, 4, 0x11223344);
	assert_true(world_read(&w, FAKE_VFIO_VENDOR + 8, 4) == 0x11223344);
	/* Its header is ours: the list cannot be changed. */
	world_write(&w, FAKE_VFIO_VENDOR, 2, 0xffff);
	assert_int_equal(world_read(&w, FAKE_VFIO_VENDOR, 2), PCI_CAP_VENDOR);
	/* So do bytes that belong to no capability. */
	world_write(&w, 0xe0, 1, 0x5a);
	assert_int_equal(fake_vfio_config(w.real, 0xe0, 1), 0x5a);
	world_fini(&w);
}

static void a_function_without_an_interrupt_has_no_pin(void **state)
{
	struct world w;

	world_init(&w);
	w.real->irq_count[VFIO_PCI_INTX_IRQ_INDEX] = 0;
	world_start(&w);
	assert_int_equal(world_read(&w, PCI_IRQ_PIN, 1), 0);
	world_fini(&w);
}

static void a_kind_of_interrupt_vfio_does_not_offer_is_hidden(void **state)
{
	struct world w;

	world_init(&w);
	w.real->irq_count[VFIO_PCI_MSI_IRQ_INDEX] = 0;
	w.real->irq_count[VFIO_PCI_MSIX_IRQ_INDEX] = 0;
	world_start(&w);
	assert_int_equal(world_read(&w, FAKE_VFIO_PM + 1, 1), FAKE_VFIO_PCIE);
	assert_int_equal(world_read(&w, FAKE_VFIO_MSI, 4), 0);
	assert_int_equal(world_read(&w, FAKE_VFIO_MSIX, 4), 0);
	/* Without a table nothing of the BAR is trapped. */
	assert_int_equal(w.pci.machine.nr_slots, 1);
	world_fini(&w);
}

static void resizable_bars_have_the_size_they_have(void **state)
{
	struct world w;

	world_init(&w);
	le_store(w.real->config + FAKE_VFIO_AER, 4,
		 PCI_EXT_CAP_REBAR | 1 << 16 | (uint32_t)FAKE_VFIO_SERIAL << 20);
	le_store(w.real->config + FAKE_VFIO_AER + 4, 4, 0x000fff00);
	le_store(w.real->config + FAKE_VFIO_AER + 8, 4, 8 << 8 | 1 << 5);
	world_start(&w);
	assert_true(world_read(&w, FAKE_VFIO_AER, 2) == PCI_EXT_CAP_REBAR);
	assert_true(world_read(&w, FAKE_VFIO_AER + 4, 4) == BIT(12));
	assert_true(world_read(&w, FAKE_VFIO_AER + 8, 4) == (8 << 8 | 1 << 5));
	world_write(&w, FAKE_VFIO_AER + 8, 4, 9 << 8);
	assert_true(world_read(&w, FAKE_VFIO_AER + 8, 4) == (8 << 8 | 1 << 5));
	world_fini(&w);
}

static void advanced_features_reset_works_where_the_device_can(void **state)
{
	struct world w;
	unsigned int resets;

	world_init(&w);
	/* In place of the vendor capability. */
	le_store(w.real->config + FAKE_VFIO_VENDOR, 4, PCI_CAP_AF | 6 << 16 | 3u << 24);
	world_start(&w);
	assert_true(world_read(&w, FAKE_VFIO_VENDOR, 4) == (PCI_CAP_AF | 6 << 16 | 3u << 24));
	world_write(&w, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	resets = w.real->nr_resets;
	world_write(&w, FAKE_VFIO_VENDOR + 4, 1, 1);
	assert_int_equal(w.real->nr_resets, resets + 1);
	assert_int_equal(world_read(&w, PCI_COMMAND, 2), 0);
	world_fini(&w);
}

/* Every byte, all values: nothing asserts, and what is ours in the device stays ours. */
static void a_guest_that_writes_nonsense_everywhere_changes_only_what_passes(void **state)
{
	static uint8_t before[4096];
	unsigned int seed = 1;
	struct world w;

	world_init(&w);
	world_start(&w);
	memcpy(before, w.real->config, sizeof(before));
	for (int round = 0; round < 20; round++) {
		for (unsigned int at = 0; at < 4096; at += 4) {
			seed = seed * 1103515245 + 12345;
			world_write(&w, (uint16_t)at, 4, seed);
			world_write(&w, (uint16_t)(at + (seed >> 16) % 4), 1, seed >> 8);
		}
	}
	for (unsigned int at = 0; at < 4096; at++) {
		uint8_t moved = (uint8_t)(before[at] ^ w.real->config[at]);

		if (at < 0x40 && at != PCI_COMMAND && at != PCI_COMMAND + 1 && at != PCI_STATUS + 1)
			assert_int_equal(moved, 0);
		if (at >= FAKE_VFIO_PM && at < FAKE_VFIO_PM + 8)
			assert_int_equal(moved, 0);
		if (at >= FAKE_VFIO_AER && at < FAKE_VFIO_AER + 0x50)
			assert_int_equal(moved, 0);
		if (at >= FAKE_VFIO_SRIOV)
			assert_int_equal(moved, 0);
	}
	assert_int_equal((before[PCI_COMMAND] ^ w.real->config[PCI_COMMAND]) & PCI_COMMAND_MEMORY,
			 0);
	world_fini(&w);
}

static void a_capability_list_that_loops_or_runs_off_ends(void **state)
{
	struct vfio_caps caps;
	uint8_t c[4096] = { 0 };

	c[PCI_STATUS] = PCI_STATUS_CAPS;
	c[PCI_CAP_PTR] = 0x50;
	le_store(c + 0x50, 2, PCI_CAP_PM | 0x60 << 8);
	le_store(c + 0x60, 2, PCI_CAP_VPD | 0x50 << 8);
	le_store(c + 0x100, 4, 3 | 1 << 16 | 0xffcu << 20);
	le_store(c + 0xffc, 4, 3 | 1 << 16 | 0x100u << 20);
	vfio_caps_read(c, sizeof(c), &caps);
	assert_int_equal(caps.nr, 4);
	/* Twelve bytes do not fit behind 0xffc. */
	assert_true(caps.cap[3].offset == 0xffc && caps.cap[3].policy == VFIO_CAP_HIDE);
	memset(c, 0xff, sizeof(c));
	vfio_caps_read(c, sizeof(c), &caps);
	for (unsigned int i = 0; i < caps.nr; i++)
		assert_int_equal(caps.cap[i].policy, VFIO_CAP_HIDE);
	/* Null entries that lead nowhere and to themselves. */
	memset(c, 0, sizeof(c));
	c[PCI_STATUS] = PCI_STATUS_CAPS;
	c[PCI_CAP_PTR] = 0x40;
	c[0x41] = 0x40;
	le_store(c + 0x100, 4, 0x100u << 20);
	vfio_caps_read(c, sizeof(c), &caps);
	assert_int_equal(caps.nr, 0);
}

static void overlapping_capabilities_keep_to_their_own_bytes(void **state)
{
	struct vfio_caps caps;
	uint8_t c[256] = { 0 };

	c[PCI_STATUS] = PCI_STATUS_CAPS;
	c[PCI_CAP_PTR] = 0x40;
	le_store(c + 0x40, 4, PCI_CAP_VENDOR | 0x48 << 8 | 0x40 << 16);
	le_store(c + 0x48, 2, PCI_CAP_VPD);
	vfio_caps_read(c, sizeof(c), &caps);
	assert_int_equal(caps.nr, 2);
	assert_true(caps.cap[0].policy == VFIO_CAP_HIDE && caps.cap[0].len == 8);
	assert_true(caps.cap[1].policy == VFIO_CAP_PASS && caps.cap[1].len == 8);
}

static void a_bar_is_cut_around_what_must_be_trapped(void **state)
{
	const struct range all = { 0, 0xffff }, table = { 0x2000, 0x207f },
			   pba = { 0x8000, 0x8007 };
	struct range holes[2] = { pba, table };
	struct vfio_bar_cut cut;

	vfio_bar_cut(0x10000, &all, 1, holes, 2, &cut);
	assert_int_equal(cut.nr, 3);
	assert_true(cut.direct[0].first == 0 && cut.direct[0].last == 0x1fff);
	assert_true(cut.direct[1].first == 0x3000 && cut.direct[1].last == 0x7fff);
	assert_true(cut.direct[2].first == 0x9000 && cut.direct[2].last == 0xffff);
	/* Only what VFIO lets us map, in whole pages. */
	vfio_bar_cut(0x10000, &(struct range){ 0x800, 0x47ff }, 1, holes, 2, &cut);
	assert_int_equal(cut.nr, 2);
	assert_true(cut.direct[0].first == 0x1000 && cut.direct[0].last == 0x1fff);
	assert_true(cut.direct[1].first == 0x3000 && cut.direct[1].last == 0x3fff);
	/* Below a page there is nothing to map. */
	vfio_bar_cut(0x800, &(struct range){ 0, 0x7ff }, 1, NULL, 0, &cut);
	assert_int_equal(cut.nr, 0);
}

static void a_bar_in_too_many_pieces_gives_up_the_smallest(void **state)
{
	struct range areas[8];
	struct vfio_bar_cut cut;

	for (unsigned int i = 0; i < 8; i++)
		areas[7 - i] = range_of(i * 0x10000, 0x1000 * (i + 1));
	vfio_bar_cut(0x80000, areas, 8, NULL, 0, &cut);
	/* Three stretches and the gaps before, between and behind them are seven parts. */
	assert_int_equal(cut.nr, 3);
	assert_true(cut.direct[0].first == 0x50000 && cut.direct[2].first == 0x70000);
}

static void large_bars_are_mapped_where_huge_entries_fit(void **state)
{
	struct direct_slot *slot;
	struct world w;

	world_init(&w);
	w.real->bar_size[2] = MIB(8);
	w.real->mappable[2] = true;
	world_start(&w);
	slot = fake_slot_at(&w.pci.machine, vfio_pci_function(w.dev)->bars[2].addr);
	assert_non_null(slot);
	assert_true(is_aligned((uintptr_t)slot->hva, MIB(8)));
	/* What alignment wasted was given back: 8 KiB of BAR0 and the 8 MiB. */
	assert_true(w.vfio.mapped_bytes == MIB(8) + KIB(8));
	le_store((uint8_t *)slot->hva + MIB(8) - 8, 8, 1);
	world_fini(&w);
}

static void only_what_a_driver_lets_us_map_is_mapped(void **state)
{
	struct direct_slot *slot;
	struct world w;

	world_init(&w);
	w.real->bar_size[2] = KIB(64);
	w.real->mappable[2] = true;
	w.real->nr_areas[2] = 2;
	w.real->area[2][0] = range_of(0x8000, 0x2000);
	w.real->area[2][1] = range_of(0, 0x1000);
	world_start(&w);
	slot = fake_slot_at(&w.pci.machine, vfio_pci_function(w.dev)->bars[2].addr + 0x9000);
	assert_non_null(slot);
	assert_true(range_len(slot->range) == 0x2000);
	assert_null(fake_slot_at(&w.pci.machine, vfio_pci_function(w.dev)->bars[2].addr + 0x1000));
	fake_bus_write(&w.pci.machine, BUS_MMIO, vfio_pci_function(w.dev)->bars[2].addr + 0xa000, 4,
		       7);
	assert_int_equal(fake_bus_read(&w.pci.machine, BUS_MMIO,
				       vfio_pci_function(w.dev)->bars[2].addr + 0xa000, 4),
			 7);
	world_fini(&w);
}

static void registers_beside_the_table_reach_the_device(void **state)
{
	struct world w;
	uint64_t bar;

	world_init(&w);
	world_start(&w);
	world_write(&w, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	bar = vfio_pci_function(w.dev)->bars[0].addr;
	fake_bus_write(&w.pci.machine, BUS_MMIO, bar + FAKE_VFIO_TABLE + 0x800, 4, 0x12345678);
	assert_true(fake_bus_read(&w.pci.machine, BUS_MMIO, bar + FAKE_VFIO_TABLE + 0x800, 4) ==
		    0x12345678);
	/* The device's own memory, by the mapping as well. */
	assert_true(le_load((uint8_t *)fake_slot_at(&w.pci.machine, bar)->hva, 4) == 0);
	fake_bus_write(&w.pci.machine, BUS_MMIO, bar + FAKE_VFIO_TABLE, 4, 0xfee00000);
	assert_int_equal(pread(w.real->memory, &bar, 4, FAKE_VFIO_TABLE), 4);
	assert_int_equal((uint32_t)bar, 0);
	world_fini(&w);
}

static void a_small_bar_and_io_ports_are_trapped(void **state)
{
	struct pci_function *fn;
	struct world w;

	world_init(&w);
	w.real->bar_size[2] = 256;
	w.real->bar_size[3] = 32;
	le_store(w.real->config + PCI_BAR0 + 12, 4, PCI_BAR_IO);
	le_store(w.real->config + PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	world_start(&w);
	world_write(&w, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
	fn = vfio_pci_function(w.dev);
	fake_bus_write(&w.pci.machine, BUS_MMIO, fn->bars[2].addr + 0x10, 2, 0xbeef);
	assert_int_equal(fake_bus_read(&w.pci.machine, BUS_MMIO, fn->bars[2].addr + 0x10, 2),
			 0xbeef);
	fake_bus_write(&w.pci.machine, BUS_PIO, fn->bars[3].addr + 4, 4, 0x600d);
	assert_int_equal(fake_bus_read(&w.pci.machine, BUS_PIO, fn->bars[3].addr + 4, 4), 0x600d);
	/* The host's decode bit for ports came on with them. */
	assert_true(fake_vfio_config(w.real, PCI_COMMAND, 2) & PCI_COMMAND_IO);
	world_fini(&w);
}

static void the_rom_is_read_when_the_guest_looks(void **state)
{
	struct pci_function *fn;
	struct world w;
	uint8_t image[] = { 0x55, 0xaa, 1, 2 };

	world_init(&w);
	w.real->rom_size = KIB(4);
	fake_vfio_publish(&w.vfio);
	assert_int_equal(pwrite(w.real->memory, image, sizeof(image),
				(off_t)fake_vfio_region_start(w.real, VFIO_PCI_ROM_REGION_INDEX)),
			 sizeof(image));
	world_start(&w);
	fn = vfio_pci_function(w.dev);
	world_write(&w, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	world_write(&w, PCI_ROM, 4, world_read(&w, PCI_ROM, 4) | PCI_ROM_ENABLE);
	assert_true(fake_bus_read(&w.pci.machine, BUS_MMIO, fn->bars[PCI_BAR_ROM].addr, 4) ==
		    0x0201aa55);
	fake_bus_write(&w.pci.machine, BUS_MMIO, fn->bars[PCI_BAR_ROM].addr, 4, 0);
	assert_true(fake_bus_read(&w.pci.machine, BUS_MMIO, fn->bars[PCI_BAR_ROM].addr, 4) ==
		    0x0201aa55);
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_and_class_are_the_devices_own),
		cmocka_unit_test(bus_mastering_reaches_the_device_only_when_memory_is_mapped),
		cmocka_unit_test(decode_stays_on_in_the_device_whatever_the_guest_does),
		cmocka_unit_test(bar_addresses_never_reach_the_device),
		cmocka_unit_test(status_errors_are_read_and_cleared_in_the_device),
		cmocka_unit_test(the_link_and_the_payload_size_are_the_hosts),
		cmocka_unit_test(a_dword_write_over_two_registers_reaches_each_by_its_own_rule),
		cmocka_unit_test(an_integrated_endpoint_behind_a_port_is_an_endpoint_with_a_link),
		cmocka_unit_test(power_state_is_kept_by_us_and_stops_bus_mastering),
		cmocka_unit_test(hidden_capabilities_are_out_of_the_list_and_read_as_zero),
		cmocka_unit_test(vendor_registers_pass_both_ways),
		cmocka_unit_test(a_function_without_an_interrupt_has_no_pin),
		cmocka_unit_test(a_kind_of_interrupt_vfio_does_not_offer_is_hidden),
		cmocka_unit_test(resizable_bars_have_the_size_they_have),
		cmocka_unit_test(advanced_features_reset_works_where_the_device_can),
		cmocka_unit_test(a_guest_that_writes_nonsense_everywhere_changes_only_what_passes),
		cmocka_unit_test(a_capability_list_that_loops_or_runs_off_ends),
		cmocka_unit_test(overlapping_capabilities_keep_to_their_own_bytes),
		cmocka_unit_test(a_bar_is_cut_around_what_must_be_trapped),
		cmocka_unit_test(a_bar_in_too_many_pieces_gives_up_the_smallest),
		cmocka_unit_test(large_bars_are_mapped_where_huge_entries_fit),
		cmocka_unit_test(only_what_a_driver_lets_us_map_is_mapped),
		cmocka_unit_test(registers_beside_the_table_reach_the_device),
		cmocka_unit_test(a_small_bar_and_io_ports_are_trapped),
		cmocka_unit_test(the_rom_is_read_when_the_guest_looks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
