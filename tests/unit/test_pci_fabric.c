// SPDX-License-Identifier: GPL-2.0-or-later
/* The tree: bus numbers, ports, INTx wiring, resets of a bus, coming and going. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake/pci.h"

#define PORT_RID rid_make(0, PCI_DEVFN(1, 0))
#define EP_RID	 rid_make(1, 0)

struct fixture {
	struct fake_pci pci;
	struct fake_endpoint ep; /* behind rp0, BAR 0 of 4 KiB, INTA */
	struct pci_bus *bus;
};

static int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	fake_pci_init(&f.pci);
	f.bus = fake_pci_port(&f.pci, "rp0");
	fake_endpoint_init(&f.ep, &f.pci, "ep", 1);
	assert_int_equal(fake_endpoint_bar(&f.ep, 0, KIB(4), 0), 0);
	assert_int_equal(pci_function_attach(&f.ep.fn, f.bus, 0), 0);
	assert_int_equal(pci_fabric_assign(f.pci.fabric, NULL), 0);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fake_endpoint_fini(&f->ep);
	assert_true(fake_pci_fini(&f->pci));
	return 0;
}

/* A register of the port's PCI Express capability. */
static uint16_t port_cap(struct fixture *f, unsigned int offset)
{
	uint16_t at = (uint16_t)fake_cfg_read(&f->pci, PORT_RID, PCI_CAP_PTR, 1);

	assert_int_equal(fake_cfg_read(&f->pci, PORT_RID, at, 1), PCI_CAP_PCIE);
	return (uint16_t)(at + offset);
}

static void config_accesses_follow_the_numbers_the_guest_programs(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fake_cfg_read(&f->pci, EP_RID, 0, 2), 0x1234);
	fake_cfg_write(&f->pci, PORT_RID, PCI_SECONDARY_BUS, 2, 0x0905);
	assert_int_equal(fake_cfg_read(&f->pci, EP_RID, 0, 2), 0xffff);
	assert_int_equal(fake_cfg_read(&f->pci, rid_make(5, 0), 0, 2), 0x1234);
	assert_int_equal(fake_cfg_read(&f->pci, rid_make(6, 0), 0, 2), 0xffff);
	assert_int_equal(pci_function_rid(&f->ep.fn).v, rid_make(5, 0).v);
	assert_int_equal(pci_bus_number(f->bus), 5);
	/* Bus 0 is the root bus, whatever a port claims. */
	fake_cfg_write(&f->pci, PORT_RID, PCI_SECONDARY_BUS, 2, 0xff00);
	assert_int_equal(fake_cfg_read(&f->pci, rid_make(0, 0), PCI_CLASS, 2), 0x0000);
	assert_int_equal(fake_cfg_read(&f->pci, rid_make(0, 0), 0, 2), 0x1b36);
	assert_int_equal(fake_cfg_read(&f->pci, rid_make(7, 0), 0, 2), 0xffff);
}

static void of_ports_that_claim_one_number_the_first_takes_it(void **state)
{
	struct fixture *f = *state;
	struct fake_endpoint two;
	struct pci_bus *bus = fake_pci_port(&f->pci, "rp1");
	rid_t port = rid_make(0, PCI_DEVFN(2, 0));

	fake_endpoint_init(&two, &f->pci, "two", 0);
	pci_config_set(&two.fn, PCI_DEVICE_ID, 2, 2);
	assert_int_equal(pci_function_attach(&two.fn, bus, 0), 0);
	fake_cfg_write(&f->pci, port, PCI_SECONDARY_BUS, 2, 0x0101);
	assert_int_equal(fake_cfg_read(&f->pci, EP_RID, PCI_DEVICE_ID, 2), 1);
	fake_cfg_write(&f->pci, PORT_RID, PCI_SECONDARY_BUS, 2, 0x0202);
	assert_int_equal(fake_cfg_read(&f->pci, EP_RID, PCI_DEVICE_ID, 2), 2);
	/* One without a secondary bus claims nothing, however far it says it reaches. */
	fake_cfg_write(&f->pci, PORT_RID, PCI_SECONDARY_BUS, 2, 0xff00);
	assert_int_equal(fake_cfg_read(&f->pci, EP_RID, PCI_DEVICE_ID, 2), 2);
	fake_endpoint_fini(&two);
}

static void a_bar_decodes_only_inside_an_open_window(void **state)
{
	struct fixture *f = *state;
	uint32_t base = fake_cfg_read(&f->pci, PORT_RID, PCI_MEMORY_BASE, 4);

	assert_true(f->ep.fn.bars[0].enabled);
	/* Closed, and elsewhere. */
	fake_cfg_write(&f->pci, PORT_RID, PCI_MEMORY_BASE, 4, 0x0000fff0);
	assert_false(f->ep.fn.bars[0].enabled);
	fake_cfg_write(&f->pci, PORT_RID, PCI_MEMORY_BASE, 4, 0xd000d000);
	assert_false(f->ep.fn.bars[0].enabled);
	fake_cfg_write(&f->pci, PORT_RID, PCI_MEMORY_BASE, 4, base);
	assert_true(f->ep.fn.bars[0].enabled);
	/* Through the prefetchable window it goes as well. */
	fake_cfg_write(&f->pci, PORT_RID, PCI_MEMORY_BASE, 4, 0x0000fff0);
	fake_cfg_write(&f->pci, PORT_RID, PCI_PREFETCH_BASE, 4, base);
	assert_true(f->ep.fn.bars[0].enabled);
	fake_cfg_write(&f->pci, PORT_RID, PCI_PREFETCH_LIMIT_HI, 4, 1);
	fake_cfg_write(&f->pci, PORT_RID, PCI_PREFETCH_BASE_HI, 4, 1);
	assert_false(f->ep.fn.bars[0].enabled);
}

static void a_window_that_closes_makes_room_for_who_waited(void **state)
{
	struct fixture *f = *state;
	struct fake_endpoint two;
	rid_t rid = rid_make(0, PCI_DEVFN(5, 0));

	fake_endpoint_init(&two, &f->pci, "two", 0);
	assert_int_equal(fake_endpoint_bar(&two, 0, KIB(4), 0), 0);
	assert_int_equal(
		pci_function_attach(&two.fn, pci_fabric_root(f->pci.fabric), rid_devfn(rid)), 0);
	fake_cfg_write(&f->pci, rid, PCI_BAR0, 4, (uint32_t)f->ep.fn.bars[0].addr);
	fake_cfg_write(&f->pci, rid, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_false(two.fn.bars[0].enabled);
	fake_cfg_write(&f->pci, PORT_RID, PCI_MEMORY_BASE, 4, 0x0000fff0);
	assert_true(two.fn.bars[0].enabled);
	fake_endpoint_fini(&two);
}

static void the_ports_command_bits_gate_what_is_behind_it(void **state)
{
	struct fixture *f = *state;

	fake_cfg_write(&f->pci, EP_RID, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_true(pci_function_may_master(&f->ep.fn));
	fake_cfg_write(&f->pci, PORT_RID, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_false(pci_function_may_master(&f->ep.fn));
	assert_true(f->ep.fn.bars[0].enabled);
	fake_cfg_write(&f->pci, PORT_RID, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	assert_true(pci_function_may_master(&f->ep.fn));
	assert_false(f->ep.fn.bars[0].enabled);
}

static void a_bus_reset_restores_what_is_behind_and_holds_it(void **state)
{
	struct fixture *f = *state;

	fake_cfg_write(&f->pci, EP_RID, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	pci_function_intx(&f->ep.fn, true);
	fake_cfg_write(&f->pci, PORT_RID, PCI_BRIDGE_CONTROL, 2, PCI_BRIDGE_BUS_RESET);
	assert_int_equal(f->ep.nr_resets, 1);
	assert_false(f->ep.fn.bars[0].enabled);
	assert_false(pci_function_may_master(&f->ep.fn));
	assert_false(fake_pin(&f->pci.machine, 17));
	/* In reset it does not answer; holding it there is one reset. */
	assert_int_equal(fake_cfg_read(&f->pci, EP_RID, 0, 4), 0xffffffff);
	fake_cfg_write(&f->pci, PORT_RID, PCI_BRIDGE_CONTROL, 2, PCI_BRIDGE_BUS_RESET);
	assert_int_equal(f->ep.nr_resets, 1);
	fake_cfg_write(&f->pci, PORT_RID, PCI_BRIDGE_CONTROL, 2, 0);
	assert_int_equal(fake_cfg_read(&f->pci, EP_RID, PCI_BAR0, 4), 0);
	assert_int_equal(fake_cfg_read(&f->pci, EP_RID, PCI_COMMAND, 2), 0);
	assert_int_equal(fake_cfg_read(&f->pci, EP_RID, PCI_IRQ_PIN, 1), 1);
	assert_int_equal(f->ep.nr_resets, 1);
}

static void disabling_the_link_takes_the_device_away(void **state)
{
	struct fixture *f = *state;
	uint16_t control = port_cap(f, PCI_EXP_LNKCTL), status = port_cap(f, PCI_EXP_LNKSTA);

	assert_true(fake_cfg_read(&f->pci, PORT_RID, status, 2) & PCI_EXP_LNKSTA_ACTIVE);
	fake_cfg_write(&f->pci, PORT_RID, control, 2, PCI_EXP_LNKCTL_DISABLE);
	assert_int_equal(f->ep.nr_resets, 1);
	assert_false(fake_cfg_read(&f->pci, PORT_RID, status, 2) & PCI_EXP_LNKSTA_ACTIVE);
	assert_int_equal(fake_cfg_read(&f->pci, EP_RID, 0, 4), 0xffffffff);
	fake_cfg_write(&f->pci, PORT_RID, control, 2, 0);
	assert_true(fake_cfg_read(&f->pci, PORT_RID, status, 2) & PCI_EXP_LNKSTA_ACTIVE);
	assert_int_equal(fake_cfg_read(&f->pci, EP_RID, 0, 2), 0x1234);
}

static void a_port_that_sleeps_passes_nothing_on(void **state)
{
	struct fixture *f = *state;
	uint16_t pm = (uint16_t)fake_cfg_read(&f->pci, PORT_RID, port_cap(f, 1), 1);

	assert_int_equal(fake_cfg_read(&f->pci, PORT_RID, pm, 1), PCI_CAP_PM);
	fake_cfg_write(&f->pci, EP_RID, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	fake_cfg_write(&f->pci, PORT_RID, pm + PCI_PM_CONTROL, 2, 3);
	assert_int_equal(fake_cfg_read(&f->pci, EP_RID, 0, 4), 0xffffffff);
	assert_false(f->ep.fn.bars[0].enabled);
	assert_false(pci_function_may_master(&f->ep.fn));
	fake_cfg_write(&f->pci, PORT_RID, pm + PCI_PM_CONTROL, 2, 0);
	assert_true(f->ep.fn.bars[0].enabled);
	assert_true(pci_function_may_master(&f->ep.fn));
}

static void slot_status_tells_empty_from_occupied_and_notes_the_change(void **state)
{
	struct fixture *f = *state;
	uint16_t slot = port_cap(f, PCI_EXP_SLTSTA);
	uint32_t changed = PCI_EXP_SLTSTA_PRESENCE_CHANGED | PCI_EXP_SLTSTA_LINK_CHANGED;

	/* It was there at power-on: no change. */
	assert_int_equal(fake_cfg_read(&f->pci, PORT_RID, slot, 2), PCI_EXP_SLTSTA_PRESENT);
	assert_int_equal(fake_cfg_read(&f->pci, PORT_RID, port_cap(f, PCI_EXP_SLTCAP), 4),
			 FIELD_PREP(PCI_EXP_SLTCAP_NUMBER, 1));
	pci_function_detach(&f->ep.fn);
	assert_int_equal(fake_cfg_read(&f->pci, PORT_RID, slot, 2), changed);
	fake_cfg_write(&f->pci, PORT_RID, slot, 2, PCI_EXP_SLTSTA_LINK_CHANGED);
	assert_int_equal(fake_cfg_read(&f->pci, PORT_RID, slot, 2),
			 PCI_EXP_SLTSTA_PRESENCE_CHANGED);
	fake_cfg_write(&f->pci, PORT_RID, slot, 2, changed);
	assert_int_equal(fake_cfg_read(&f->pci, PORT_RID, slot, 2), 0);
	assert_int_equal(pci_function_attach(&f->ep.fn, f->bus, 0), 0);
	assert_int_equal(fake_cfg_read(&f->pci, PORT_RID, slot, 2),
			 PCI_EXP_SLTSTA_PRESENT | changed);
	/* Presence outlives a reset of the port, the note of a change does not. */
	pci_fabric_reset(f->pci.fabric);
	assert_true(fake_cfg_read(&f->pci, PORT_RID, slot, 2) & PCI_EXP_SLTSTA_PRESENT);
}

static void a_port_looks_like_one(void **state)
{
	struct fixture *f = *state;
	uint16_t acs = 0x100;

	assert_int_equal(fake_cfg_read(&f->pci, PORT_RID, PCI_HEADER_TYPE, 1), PCI_HEADER_BRIDGE);
	assert_int_equal(fake_cfg_read(&f->pci, PORT_RID, PCI_REVISION, 4) >> 8, 0x060400);
	assert_int_equal(fake_cfg_read(&f->pci, PORT_RID, port_cap(f, PCI_EXP_FLAGS), 2),
			 PCI_EXP_SLOT | PCI_EXP_ROOT_PORT << 4 | 2);
	assert_int_equal(fake_cfg_read(&f->pci, PORT_RID, PCI_PREFETCH_BASE, 2) & 0xf,
			 PCI_PREFETCH_64);
	assert_int_equal(fake_cfg_read(&f->pci, PORT_RID, acs, 2), PCI_EXT_CAP_ACS);
	fake_cfg_write(&f->pci, PORT_RID, acs + PCI_ACS_CTRL, 2, 0xffff);
	assert_int_equal(fake_cfg_read(&f->pci, PORT_RID, acs + PCI_ACS_CTRL, 2),
			 PCI_ACS_SV | PCI_ACS_TB | PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_UF);
	/* It is no one's memory: it has no BARs, and no VGA to pass on. */
	fake_cfg_write(&f->pci, PORT_RID, PCI_BAR0, 4, 0xffffffff);
	assert_int_equal(fake_cfg_read(&f->pci, PORT_RID, PCI_BAR0, 4), 0);
	fake_cfg_write(&f->pci, PORT_RID, PCI_BRIDGE_CONTROL, 2, 0xffff & ~PCI_BRIDGE_BUS_RESET);
	assert_int_equal(fake_cfg_read(&f->pci, PORT_RID, PCI_BRIDGE_CONTROL, 2),
			 PCI_BRIDGE_PARITY | PCI_BRIDGE_SERR);
}

static void intx_swizzles_over_each_bridge_to_the_io_apic(void **state)
{
	struct fixture *f = *state;
	struct fake_endpoint other[2];

	/* INTA of device 0 behind device 1: pins[(0 + 0 + 1) % 4]. */
	assert_int_equal(pci_function_intx_pin(&f->ep.fn), 17);
	assert_int_equal(fake_cfg_read(&f->pci, EP_RID, PCI_IRQ_LINE, 1), 17);
	/* INTC of function 2 there: (2 + 0 + 1) % 4. */
	fake_endpoint_init(&other[0], &f->pci, "c", 3);
	assert_int_equal(pci_function_attach(&other[0].fn, f->bus, PCI_DEVFN(0, 2)), 0);
	assert_int_equal(pci_function_intx_pin(&other[0].fn), 19);
	/* INTD of device 6 on the root bus: (3 + 6) % 4. */
	fake_endpoint_init(&other[1], &f->pci, "d", 4);
	assert_int_equal(pci_function_attach(&other[1].fn, pci_fabric_root(f->pci.fabric),
					     PCI_DEVFN(6, 0)),
			 0);
	assert_int_equal(pci_function_intx_pin(&other[1].fn), 17);

	/* It shares pin 17, and each holds the line by itself. */
	pci_function_intx(&f->ep.fn, true);
	pci_function_intx(&other[1].fn, true);
	pci_function_intx(&f->ep.fn, false);
	assert_true(fake_pin(&f->pci.machine, 17));
	pci_function_intx(&other[1].fn, false);
	assert_false(fake_pin(&f->pci.machine, 17));
	fake_endpoint_fini(&other[0]);
	fake_endpoint_fini(&other[1]);
}

static void the_guest_can_disable_intx_and_still_sees_its_level(void **state)
{
	struct fixture *f = *state;

	pci_function_intx(&f->ep.fn, true);
	assert_true(fake_pin(&f->pci.machine, 17));
	assert_true(fake_cfg_read(&f->pci, EP_RID, PCI_STATUS, 2) & PCI_STATUS_INTX);
	fake_cfg_write(&f->pci, EP_RID, PCI_COMMAND, 2, PCI_COMMAND_INTX_OFF);
	assert_false(fake_pin(&f->pci.machine, 17));
	assert_true(fake_cfg_read(&f->pci, EP_RID, PCI_STATUS, 2) & PCI_STATUS_INTX);
	fake_cfg_write(&f->pci, EP_RID, PCI_COMMAND, 2, 0);
	assert_true(fake_pin(&f->pci.machine, 17));
	/* Unplugged, it lets go of the line. */
	pci_function_detach(&f->ep.fn);
	assert_false(fake_pin(&f->pci.machine, 17));
	assert_int_equal(pci_function_intx_pin(&f->ep.fn), -1);
}

static void a_pins_shares_run_out_at_attach_and_come_back_at_detach(void **state)
{
	struct fixture *f = *state;
	static struct fake_endpoint many[31 * 8];
	unsigned int nr = 0, refused = 0;

	/* INTA of device 4n + 1 on the root bus is pin 17, where ep is already. */
	for (unsigned int dev = 2; dev < 32; dev++) {
		for (unsigned int i = 0; i < 8; i++) {
			struct fake_endpoint *e = &many[nr];
			int err;

			/* All on pin 17, through whichever INTx leads there. */
			fake_endpoint_init(e, &f->pci, "many", (uint8_t)((33 - dev) % 4 + 1));
			err = pci_function_attach(&e->fn, pci_fabric_root(f->pci.fabric),
						  PCI_DEVFN(dev, i));
			if (err) {
				assert_int_equal(err, -ENOSPC);
				pci_function_fini(&e->fn);
				refused++;
				continue;
			}
			assert_int_equal(pci_function_intx_pin(&e->fn), 17);
			nr++;
		}
	}
	assert_int_equal(nr, IRQ_SHARES_MAX - 1 - 1);
	assert_true(refused > 0);
	for (unsigned int i = 0; i < nr; i++)
		pci_function_intx(&many[i].fn, true);
	for (unsigned int i = 0; i < nr; i++) {
		assert_true(fake_pin(&f->pci.machine, 17));
		fake_endpoint_fini(&many[i]);
	}
	assert_false(fake_pin(&f->pci.machine, 17));
	fake_endpoint_init(&many[0], &f->pci, "again", 4);
	assert_int_equal(pci_function_attach(&many[0].fn, pci_fabric_root(f->pci.fabric),
					     PCI_DEVFN(2, 0)),
			 0);
	fake_endpoint_fini(&many[0]);
}

static void a_place_holds_one_function_and_a_link_one_device(void **state)
{
	struct fixture *f = *state;
	struct fake_endpoint two;

	fake_endpoint_init(&two, &f->pci, "two", 0);
	assert_int_equal(pci_function_attach(&two.fn, f->bus, 0), -EEXIST);
	assert_int_equal(pci_function_attach(&two.fn, f->bus, PCI_DEVFN(1, 0)), -EINVAL);
	assert_int_equal(pci_bus_free_slot(f->bus), -ENOSPC);
	assert_int_equal(pci_bus_free_slot(pci_fabric_root(f->pci.fabric)), 2);
	assert_ptr_equal(pci_bus_function(f->bus, 0), &f->ep.fn);
	pci_function_fini(&two.fn);
}

static void ports_are_found_by_name_and_names_are_unique(void **state)
{
	struct fixture *f = *state;
	struct pci_port_config config = { .id = "rp0" };
	struct diag diag = DIAG_INIT;
	struct pci_bus *bus;
	char id[8];

	assert_ptr_equal(pci_fabric_find_bus(f->pci.fabric, "rp0"), f->bus);
	assert_ptr_equal(pci_fabric_find_bus(f->pci.fabric, "root"),
			 pci_fabric_root(f->pci.fabric));
	assert_null(pci_fabric_find_bus(f->pci.fabric, "rp1"));
	assert_int_equal(pci_root_port_create(f->pci.fabric, &config, &bus, &diag), -EEXIST);
	assert_string_equal(diag.object, "rp0");
	diag_clear(&diag);
	config.id = "a-name-that-is-far-too-long-for-a-port";
	assert_int_equal(pci_root_port_create(f->pci.fabric, &config, &bus, &diag), -EINVAL);
	diag_clear(&diag);
	config.id = id;
	for (unsigned int i = 1; i < 31; i++) {
		snprintf(id, sizeof(id), "rp%u", i);
		assert_int_equal(pci_root_port_create(f->pci.fabric, &config, &bus, &diag), 0);
	}
	snprintf(id, sizeof(id), "rp31");
	assert_int_equal(pci_root_port_create(f->pci.fabric, &config, &bus, &diag), -ENOSPC);
	/* The copy of the name is the fabric's. */
	assert_non_null(pci_fabric_find_bus(f->pci.fabric, "rp30"));
}

struct walk {
	struct pci_function *seen[8];
	unsigned int nr;
};

static void walk_note(void *opaque, struct pci_function *fn)
{
	struct walk *walk = opaque;

	assert_true(walk->nr < ARRAY_SIZE(walk->seen));
	walk->seen[walk->nr++] = fn;
}

static void a_walk_meets_parents_first(void **state)
{
	struct fixture *f = *state;
	struct pci_bus *root = pci_fabric_root(f->pci.fabric);
	struct walk walk = { .nr = 0 };

	pci_fabric_walk(f->pci.fabric, walk_note, &walk);
	assert_int_equal(walk.nr, 3);
	assert_ptr_equal(walk.seen[0], pci_bus_function(root, 0));
	assert_ptr_equal(walk.seen[1], pci_bus_function(root, PCI_DEVFN(1, 0)));
	assert_ptr_equal(walk.seen[2], &f->ep.fn);
}

static void a_reset_and_another_assignment_give_the_same_machine(void **state)
{
	struct fixture *f = *state;
	uint8_t port[PCI_CONFIG_SIZE], ep[PCI_CONFIG_SIZE];
	struct pci_function *fn = pci_bus_function(pci_fabric_root(f->pci.fabric), PCI_DEVFN(1, 0));

	memcpy(port, fn->config, sizeof(port));
	memcpy(ep, f->ep.fn.config, sizeof(ep));
	fake_bus_write(&f->pci.machine, BUS_PIO, 0xcf8, 4, 0x80000800);
	for (uint16_t at = 0; at < PCI_CONFIG_SIZE; at += 4)
		fake_cfg_write(&f->pci, PORT_RID, at, 4, 0x5aa5a55a);
	pci_fabric_reset(f->pci.fabric);
	assert_int_equal(fake_bus_read(&f->pci.machine, BUS_PIO, 0xcf8, 4), 0);
	assert_false(f->ep.fn.bars[0].enabled);
	assert_int_equal(fake_cfg_read(&f->pci, EP_RID, 0, 4), 0xffffffff);
	assert_int_equal(pci_fabric_assign(f->pci.fabric, NULL), 0);
	assert_memory_equal(fn->config, port, sizeof(port));
	assert_memory_equal(f->ep.fn.config, ep, sizeof(ep));
	assert_true(f->ep.fn.bars[0].enabled);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(config_accesses_follow_the_numbers_the_guest_programs),
		CASE(of_ports_that_claim_one_number_the_first_takes_it),
		CASE(a_bar_decodes_only_inside_an_open_window),
		CASE(a_window_that_closes_makes_room_for_who_waited),
		CASE(the_ports_command_bits_gate_what_is_behind_it),
		CASE(a_bus_reset_restores_what_is_behind_and_holds_it),
		CASE(disabling_the_link_takes_the_device_away),
		CASE(a_port_that_sleeps_passes_nothing_on),
		CASE(slot_status_tells_empty_from_occupied_and_notes_the_change),
		CASE(a_port_looks_like_one),
		CASE(intx_swizzles_over_each_bridge_to_the_io_apic),
		CASE(the_guest_can_disable_intx_and_still_sees_its_level),
		CASE(a_pins_shares_run_out_at_attach_and_come_back_at_detach),
		CASE(a_place_holds_one_function_and_a_link_one_device),
		CASE(ports_are_found_by_name_and_names_are_unique),
		CASE(a_walk_meets_parents_first),
		CASE(a_reset_and_another_assignment_give_the_same_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
