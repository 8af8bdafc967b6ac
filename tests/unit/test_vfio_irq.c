// SPDX-License-Identifier: GPL-2.0-or-later
/* MSI-X, MSI and INTx of a passed-through function, from the device to the guest's routes. */
#include "pci/bus.h"
#include "vfio_world.h"

#include <unistd.h>

#define ADDR 0xfee00000u

static uint64_t table_at(struct world *w, unsigned int vector)
{
	return vfio_pci_function(w->dev)->bars[0].addr + FAKE_VFIO_TABLE + vector * 16;
}

static void table_write(struct world *w, unsigned int vector, unsigned int field, uint32_t value)
{
	fake_bus_write(&w->pci.machine, BUS_MMIO, table_at(w, vector) + field, 4, value);
}

/* As Linux does: message, then unmask. */
static void program(struct world *w, unsigned int vector, uint32_t data)
{
	table_write(w, vector, 0, ADDR);
	table_write(w, vector, 4, 0);
	table_write(w, vector, 8, data);
}

static void mask(struct world *w, unsigned int vector, bool masked)
{
	table_write(w, vector, 12, masked);
}

static void msix(struct world *w, uint16_t control)
{
	world_write(w, FAKE_VFIO_MSIX + PCI_MSIX_CONTROL, 2, control);
}

static void start(struct world *w)
{
	world_start(w);
	world_write(w, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

/* The route a vector's eventfd is attached to; NULL: none. */
static const struct fake_route *route_of(struct world *w, unsigned int vector)
{
	int fd = world_pci(w)->vectors.vector[vector].eventfd;

	for (unsigned int i = 0; fd >= 0 && i < FAKE_ROUTES; i++)
		if (w->pci.machine.routes[i].used && w->pci.machine.routes[i].eventfd == fd)
			return &w->pci.machine.routes[i];
	return NULL;
}

/* Signals waiting in a vector's eventfd: what KVM would have injected, or what is pending. */
static uint64_t signals(struct world *w, unsigned int vector)
{
	return fake_vfio_take(&w->vfio, world_pci(w)->vectors.vector[vector].eventfd);
}

static bool pending(struct world *w, unsigned int vector)
{
	return fake_bus_read(&w->pci.machine, BUS_MMIO,
			     vfio_pci_function(w->dev)->bars[0].addr + FAKE_VFIO_PBA, 8) >>
		       vector &
	       1;
}

static void an_unmasked_vector_goes_from_device_to_route_without_us(void **state)
{
	struct world w;

	world_init(&w);
	start(&w);
	program(&w, 0, 0x21);
	mask(&w, 0, false);
	msix(&w, PCI_MSIX_ENABLE);
	assert_int_equal(w.real->kind, VFIO_PCI_MSIX_IRQ_INDEX);
	assert_non_null(route_of(&w, 0));
	assert_true(route_of(&w, 0)->committed && route_of(&w, 0)->live.data == 0x21);
	assert_true(route_of(&w, 0)->live.addr == ADDR);
	assert_int_equal(route_of(&w, 0)->rid.v, w.rid.v);
	assert_true(fake_vfio_fire(&w.vfio, w.real, 0));
	assert_int_equal(signals(&w, 0), 1);
	world_fini(&w);
}

static void enabling_takes_as_many_vectors_as_the_guest_gave_messages(void **state)
{
	struct world w;

	world_init(&w);
	start(&w);
	msix(&w, PCI_MSIX_ENABLE | PCI_MSIX_MASK_ALL);
	/* Enabled in the device too, or some devices would not believe it. */
	assert_int_equal(w.real->kind, VFIO_PCI_MSIX_IRQ_INDEX);
	assert_int_equal(w.real->nr_vectors, 1);
	msix(&w, 0);
	for (unsigned int v = 0; v < 5; v++)
		program(&w, v, 0x30 + v);
	w.real->nr_enables = 0;
	msix(&w, PCI_MSIX_ENABLE);
	assert_int_equal(w.real->nr_vectors, 5);
	for (unsigned int v = 0; v < 5; v++)
		mask(&w, v, false);
	/* One after the other, and still one set-up. */
	assert_int_equal(w.real->nr_enables, 1);
	assert_int_equal(w.real->nr_disables, 1);
	for (unsigned int v = 0; v < 5; v++)
		assert_true(fake_vfio_fire(&w.vfio, w.real, v));
	world_fini(&w);
}

/* Enabled with all masked, then messages, then the mask let go: msix_capability_init() of Linux. */
static void letting_go_of_the_mask_takes_all_vectors_at_once(void **state)
{
	struct world w;

	world_init(&w);
	start(&w);
	msix(&w, PCI_MSIX_ENABLE | PCI_MSIX_MASK_ALL);
	assert_int_equal(w.real->nr_vectors, 1);
	for (unsigned int v = 0; v < 5; v++)
		program(&w, v, 0x30 + v);
	msix(&w, PCI_MSIX_ENABLE);
	assert_int_equal(w.real->nr_vectors, 5);
	for (unsigned int v = 0; v < 5; v++) {
		mask(&w, v, false);
		/* Nobody was listening, so nobody has to look whether something was lost. */
		assert_int_equal(signals(&w, v), 0);
	}
	assert_int_equal(w.real->nr_disables, 1);
	for (unsigned int v = 0; v < 5; v++)
		assert_true(fake_vfio_fire(&w.vfio, w.real, v));
	world_fini(&w);
}

static void enabling_several_vectors_is_one_call_and_one_commit(void **state)
{
	struct world w;
	unsigned int commits;

	world_init(&w);
	start(&w);
	for (unsigned int v = 0; v < 8; v++) {
		program(&w, v, 0x30 + v);
		mask(&w, v, false);
	}
	commits = w.pci.machine.nr_commits;
	msix(&w, PCI_MSIX_ENABLE);
	assert_int_equal(w.real->nr_enables, 1);
	assert_int_equal(w.pci.machine.nr_commits, commits + 1);
	assert_int_equal(fake_route_count(&w.pci.machine), 8);
	world_fini(&w);
}

static void growing_sets_up_anew_and_kicks_what_was_in_use(void **state)
{
	struct world w;

	world_init(&w);
	start(&w);
	program(&w, 0, 0x30);
	mask(&w, 0, false);
	msix(&w, PCI_MSIX_ENABLE);
	assert_int_equal(w.real->nr_vectors, 1);
	program(&w, 2, 0x32);
	mask(&w, 2, false);
	assert_int_equal(w.real->nr_vectors, 3);
	assert_int_equal(w.real->nr_disables, 1);
	/* It may have fired while there was nobody to hear it. */
	assert_int_equal(signals(&w, 0), 1);
	assert_int_equal(signals(&w, 2), 0);
	assert_true(fake_vfio_fire(&w.vfio, w.real, 0) && fake_vfio_fire(&w.vfio, w.real, 2));
	assert_false(fake_vfio_fire(&w.vfio, w.real, 1));
	/* Twice as many, so that one by one costs little. */
	program(&w, 3, 0x33);
	mask(&w, 3, false);
	assert_int_equal(w.real->nr_vectors, 6);
	world_fini(&w);
}

static void a_kernel_that_can_add_vectors_is_not_set_up_anew(void **state)
{
	struct world w;

	world_init(&w);
	w.real->resizable = true;
	start(&w);
	program(&w, 0, 0x30);
	mask(&w, 0, false);
	msix(&w, PCI_MSIX_ENABLE);
	program(&w, 5, 0x35);
	mask(&w, 5, false);
	assert_int_equal(w.real->nr_disables, 0);
	assert_int_equal(signals(&w, 0), 0);
	assert_true(fake_vfio_fire(&w.vfio, w.real, 5));
	world_fini(&w);
}

static void what_fires_while_masked_is_pending_and_delivered_once_on_unmask(void **state)
{
	struct world w;

	world_init(&w);
	start(&w);
	program(&w, 1, 0x31);
	mask(&w, 1, false);
	msix(&w, PCI_MSIX_ENABLE);
	mask(&w, 1, true);
	assert_null(route_of(&w, 1));
	assert_false(pending(&w, 1));
	fake_vfio_fire(&w.vfio, w.real, 1);
	fake_vfio_fire(&w.vfio, w.real, 1);
	assert_true(pending(&w, 1));
	assert_true(pending(&w, 1));
	assert_int_equal(w.pci.machine.nr_sent, 0);
	mask(&w, 1, false);
	assert_non_null(route_of(&w, 1));
	assert_int_equal(signals(&w, 1), 1);
	assert_false(pending(&w, 1));
	/* No interrupt from nowhere. */
	mask(&w, 1, true);
	mask(&w, 1, false);
	assert_int_equal(signals(&w, 1), 0);
	world_fini(&w);
}

static void a_vector_never_unmasked_shows_the_devices_own_pending_bit(void **state)
{
	struct world w;
	uint64_t bits = 1u << 3;

	world_init(&w);
	start(&w);
	program(&w, 0, 0x30);
	mask(&w, 0, false);
	msix(&w, PCI_MSIX_ENABLE);
	assert_false(pending(&w, 3));
	assert_int_equal(pwrite(w.real->memory, &bits, 8, FAKE_VFIO_PBA), 8);
	assert_true(pending(&w, 3));
	assert_false(pending(&w, 2));
	world_fini(&w);
}

static void the_function_mask_holds_all_and_lets_all_go(void **state)
{
	struct world w;

	world_init(&w);
	start(&w);
	for (unsigned int v = 0; v < 3; v++) {
		program(&w, v, 0x30 + v);
		mask(&w, v, false);
	}
	msix(&w, PCI_MSIX_ENABLE);
	msix(&w, PCI_MSIX_ENABLE | PCI_MSIX_MASK_ALL);
	fake_vfio_fire(&w.vfio, w.real, 1);
	assert_null(route_of(&w, 0));
	assert_true(pending(&w, 1));
	msix(&w, PCI_MSIX_ENABLE);
	assert_non_null(route_of(&w, 0));
	assert_int_equal(signals(&w, 1), 1);
	assert_int_equal(signals(&w, 0), 0);
	assert_int_equal(w.real->nr_enables, 1);
	world_fini(&w);
}

static void a_message_that_moves_moves_the_route(void **state)
{
	struct world w;

	world_init(&w);
	start(&w);
	program(&w, 0, 0x30);
	mask(&w, 0, false);
	msix(&w, PCI_MSIX_ENABLE);
	/* As Linux changes affinity: masked or not. */
	table_write(&w, 0, 8, 0x44);
	assert_int_equal(route_of(&w, 0)->live.data, 0x44);
	mask(&w, 0, true);
	table_write(&w, 0, 8, 0x55);
	mask(&w, 0, false);
	assert_int_equal(route_of(&w, 0)->live.data, 0x55);
	assert_int_equal(fake_route_count(&w.pci.machine), 1);
	assert_int_equal(w.real->nr_enables, 1);
	world_fini(&w);
}

static void disabling_gives_everything_back(void **state)
{
	struct vfio_pci_stats stats;
	struct world w;

	world_init(&w);
	start(&w);
	program(&w, 0, 0x30);
	mask(&w, 0, false);
	msix(&w, PCI_MSIX_ENABLE);
	vfio_pci_stats(w.dev, &stats);
	assert_int_equal(stats.nr_vectors, 1);
	fake_vfio_fire(&w.vfio, w.real, 0);
	msix(&w, 0);
	assert_int_equal(fake_route_count(&w.pci.machine), 0);
	vfio_pci_stats(w.dev, &stats);
	assert_int_equal(stats.nr_vectors, 0);
	/* What was waiting is not an interrupt of the next driver's. */
	msix(&w, PCI_MSIX_ENABLE);
	assert_int_equal(signals(&w, 0), 0);
	world_fini(&w);
}

static void a_host_with_fewer_vectors_serves_those_it_has(void **state)
{
	struct world w;

	world_init(&w);
	w.real->host_vectors = 2;
	start(&w);
	for (unsigned int v = 0; v < 4; v++) {
		program(&w, v, 0x30 + v);
		mask(&w, v, false);
	}
	msix(&w, PCI_MSIX_ENABLE);
	assert_int_equal(w.real->nr_vectors, 2);
	assert_true(fake_vfio_fire(&w.vfio, w.real, 0) && fake_vfio_fire(&w.vfio, w.real, 1));
	assert_false(fake_vfio_fire(&w.vfio, w.real, 2));
	world_fini(&w);
}

static void msi_is_wired_with_the_guests_count(void **state)
{
	struct world w;

	world_init(&w);
	start(&w);
	world_write(&w, FAKE_VFIO_MSI + PCI_MSI_ADDR, 4, ADDR);
	world_write(&w, FAKE_VFIO_MSI + PCI_MSI_DATA_64, 2, 0x40);
	world_write(&w, FAKE_VFIO_MSI + PCI_MSI_CONTROL, 2, PCI_MSI_ENABLE | 1 << 4);
	assert_int_equal(w.real->kind, VFIO_PCI_MSI_IRQ_INDEX);
	assert_int_equal(w.real->nr_vectors, 2);
	assert_int_equal(route_of(&w, 0)->live.data, 0x40);
	assert_int_equal(route_of(&w, 1)->live.data, 0x41);
	/* Masking by bit, pending, and back. */
	world_write(&w, FAKE_VFIO_MSI + PCI_MSI_MASK_64, 4, 2);
	assert_null(route_of(&w, 1));
	fake_vfio_fire(&w.vfio, w.real, 1);
	world_write(&w, FAKE_VFIO_MSI + PCI_MSI_MASK_64, 4, 0);
	assert_int_equal(signals(&w, 1), 1);
	world_write(&w, FAKE_VFIO_MSI + PCI_MSI_CONTROL, 2, PCI_MSI_ENABLE | 2 << 4);
	assert_int_equal(w.real->nr_vectors, 4);
	world_write(&w, FAKE_VFIO_MSI + PCI_MSI_CONTROL, 2, 0);
	assert_int_equal(fake_route_count(&w.pci.machine), 0);
	world_fini(&w);
}

static void msi_and_msix_at_once_keep_the_first(void **state)
{
	struct world w;

	world_init(&w);
	start(&w);
	world_write(&w, FAKE_VFIO_MSI + PCI_MSI_CONTROL, 2, PCI_MSI_ENABLE);
	msix(&w, PCI_MSIX_ENABLE);
	assert_int_equal(w.real->kind, VFIO_PCI_MSI_IRQ_INDEX);
	mask(&w, 0, false);
	msix(&w, 0);
	assert_int_equal(w.real->kind, VFIO_PCI_MSI_IRQ_INDEX);
	world_fini(&w);
}

static unsigned int pin_of(struct world *w)
{
	return (unsigned int)pci_function_intx_pin(vfio_pci_function(w->dev));
}

static void intx_is_raised_masked_and_unmasked_when_the_guest_ends_it(void **state)
{
	struct vfio_pci_stats stats;
	struct world w;

	world_init(&w);
	start(&w);
	assert_int_equal(w.real->kind, VFIO_PCI_INTX_IRQ_INDEX);
	assert_true(fake_vfio_intx(&w.vfio, w.real, true));
	world_serve(&w);
	assert_true(fake_pin(&w.pci.machine, pin_of(&w)));
	assert_true(w.real->intx_masked);
	assert_true(world_read(&w, PCI_STATUS, 2) & PCI_STATUS_INTX);
	/* The driver served the device, then the guest ends the interrupt. */
	w.real->intx_line = false;
	fake_eoi(&w.pci.machine, pin_of(&w));
	assert_false(fake_pin(&w.pci.machine, pin_of(&w)));
	assert_int_equal(w.real->nr_unmasks, 1);
	assert_false(w.real->intx_masked);
	vfio_pci_stats(w.dev, &stats);
	assert_int_equal(stats.nr_intx, 1);
	world_fini(&w);
}

static void intx_still_asserted_fires_again_after_the_end(void **state)
{
	struct world w;

	world_init(&w);
	start(&w);
	fake_vfio_intx(&w.vfio, w.real, true);
	world_serve(&w);
	fake_eoi(&w.pci.machine, pin_of(&w));
	assert_true(w.real->intx_masked);
	world_serve(&w);
	assert_true(fake_pin(&w.pci.machine, pin_of(&w)));
	world_fini(&w);
}

static void the_end_of_another_devices_interrupt_does_nothing(void **state)
{
	struct world w;

	world_init(&w);
	start(&w);
	fake_eoi(&w.pci.machine, pin_of(&w));
	assert_int_equal(w.real->nr_unmasks, 0);
	world_fini(&w);
}

static void msix_takes_intx_down_and_gives_it_back(void **state)
{
	struct world w;

	world_init(&w);
	start(&w);
	fake_vfio_intx(&w.vfio, w.real, true);
	world_serve(&w);
	w.real->intx_line = false;
	msix(&w, PCI_MSIX_ENABLE);
	assert_int_equal(w.real->kind, VFIO_PCI_MSIX_IRQ_INDEX);
	assert_false(fake_pin(&w.pci.machine, pin_of(&w)));
	world_serve(&w);
	msix(&w, 0);
	assert_int_equal(w.real->kind, VFIO_PCI_INTX_IRQ_INDEX);
	assert_false(fake_pin(&w.pci.machine, pin_of(&w)));
	assert_true(fake_vfio_intx(&w.vfio, w.real, true));
	world_serve(&w);
	assert_true(fake_pin(&w.pci.machine, pin_of(&w)));
	world_fini(&w);
}

static void a_signal_that_comes_late_does_not_raise_a_pin_that_is_off(void **state)
{
	struct world w;

	world_init(&w);
	start(&w);
	fake_vfio_intx(&w.vfio, w.real, true);
	/* Before the loop gets to it the guest has gone over to MSI-X. */
	msix(&w, PCI_MSIX_ENABLE);
	msix(&w, 0);
	w.real->intx_line = false;
	world_pci(&w)->intx.source.fn(world_pci(&w)->intx.source.opaque, EPOLLIN);
	fake_eoi(&w.pci.machine, pin_of(&w));
	world_serve(&w);
	assert_false(fake_pin(&w.pci.machine, pin_of(&w)));
	world_fini(&w);
}

static void interrupt_disable_lowers_the_pin_and_reaches_the_device(void **state)
{
	struct world w;

	world_init(&w);
	start(&w);
	fake_vfio_intx(&w.vfio, w.real, true);
	world_serve(&w);
	world_write(&w, PCI_COMMAND, 2,
		    PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_OFF);
	world_serve(&w);
	assert_false(fake_pin(&w.pci.machine, pin_of(&w)));
	assert_true(fake_vfio_config(w.real, PCI_COMMAND, 2) & PCI_COMMAND_INTX_OFF);
	world_write(&w, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_false(fake_vfio_config(w.real, PCI_COMMAND, 2) & PCI_COMMAND_INTX_OFF);
	assert_false(fake_pin(&w.pci.machine, pin_of(&w)));
	world_fini(&w);
}

static void a_reset_takes_interrupts_down_with_it(void **state)
{
	struct world w;

	world_init(&w);
	start(&w);
	program(&w, 0, 0x30);
	mask(&w, 0, false);
	msix(&w, PCI_MSIX_ENABLE);
	world_write(&w, FAKE_VFIO_PCIE + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_FLR);
	assert_int_equal(w.real->kind, VFIO_PCI_NUM_IRQS);
	assert_int_equal(fake_route_count(&w.pci.machine), 0);
	assert_int_equal(world_read(&w, FAKE_VFIO_MSIX + PCI_MSIX_CONTROL, 2) & PCI_MSIX_ENABLE, 0);
	world_fini(&w);
}

static void a_vector_in_use_follows_its_functions_bus_number(void **state)
{
	struct world w;
	rid_t port;

	world_init(&w);
	start(&w);
	program(&w, 0, 0x41);
	msix(&w, PCI_MSIX_ENABLE);
	mask(&w, 0, false);
	assert_int_equal(route_of(&w, 0)->rid.v, w.rid.v);
	port = pci_function_rid(w.bus->bridge);
	fake_cfg_write(&w.pci, port, PCI_SECONDARY_BUS, 1, 9);
	fake_cfg_write(&w.pci, port, PCI_SUBORDINATE_BUS, 1, 9);
	assert_int_equal(route_of(&w, 0)->rid.v, 9 << 8);
	fake_vfio_fire(&w.vfio, w.real, 0);
	assert_int_equal(signals(&w, 0), 1);
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unmasked_vector_goes_from_device_to_route_without_us),
		cmocka_unit_test(enabling_takes_as_many_vectors_as_the_guest_gave_messages),
		cmocka_unit_test(letting_go_of_the_mask_takes_all_vectors_at_once),
		cmocka_unit_test(enabling_several_vectors_is_one_call_and_one_commit),
		cmocka_unit_test(growing_sets_up_anew_and_kicks_what_was_in_use),
		cmocka_unit_test(a_kernel_that_can_add_vectors_is_not_set_up_anew),
		cmocka_unit_test(what_fires_while_masked_is_pending_and_delivered_once_on_unmask),
		cmocka_unit_test(a_vector_never_unmasked_shows_the_devices_own_pending_bit),
		cmocka_unit_test(the_function_mask_holds_all_and_lets_all_go),
		cmocka_unit_test(a_message_that_moves_moves_the_route),
		cmocka_unit_test(disabling_gives_everything_back),
		cmocka_unit_test(a_host_with_fewer_vectors_serves_those_it_has),
		cmocka_unit_test(msi_is_wired_with_the_guests_count),
		cmocka_unit_test(msi_and_msix_at_once_keep_the_first),
		cmocka_unit_test(intx_is_raised_masked_and_unmasked_when_the_guest_ends_it),
		cmocka_unit_test(intx_still_asserted_fires_again_after_the_end),
		cmocka_unit_test(the_end_of_another_devices_interrupt_does_nothing),
		cmocka_unit_test(msix_takes_intx_down_and_gives_it_back),
		cmocka_unit_test(a_signal_that_comes_late_does_not_raise_a_pin_that_is_off),
		cmocka_unit_test(interrupt_disable_lowers_the_pin_and_reaches_the_device),
		cmocka_unit_test(a_reset_takes_interrupts_down_with_it),
		cmocka_unit_test(a_vector_in_use_follows_its_functions_bus_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
