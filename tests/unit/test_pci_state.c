// SPDX-License-Identifier: GPL-2.0-or-later
/* Saving and loading a fabric and its functions; and streams that somebody made up. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake/pci_world.h"

#define GUEST_BYTES 4096

static uint64_t random_state;

static uint8_t random_u8(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (uint8_t)((random_state * 0x2545f4914f6cdd1dull) >> 56);
}

static void guest_acts(struct pci_world *world, unsigned int nr)
{
	uint8_t input[GUEST_BYTES];

	for (unsigned int i = 0; i < nr; i++)
		input[i] = random_u8();
	pci_world_run(world, input, nr);
}

static void world_save(struct pci_world *world, struct state_writer *w)
{
	struct lock *lock = pci_fabric_lock(world->pci.fabric);

	state_writer_init(w);
	pci_fabric_save(world->pci.fabric, w);
	for (unsigned int i = 0; i < WORLD_ENDPOINTS; i++) {
		state_begin(w, "endpoint", 1);
		lock_take(lock);
		pci_function_save(&world->endpoints[i].fn, w);
		lock_drop(lock);
		state_end(w);
	}
	assert_int_equal(state_writer_status(w), 0);
}

static int world_load(struct pci_world *world, const void *data, size_t len)
{
	struct lock *lock = pci_fabric_lock(world->pci.fabric);
	struct state_reader r;
	int err;

	state_reader_init(&r, data, len);
	err = pci_fabric_load(world->pci.fabric, &r);
	for (unsigned int i = 0; i < WORLD_ENDPOINTS && !err; i++) {
		state_enter(&r, "endpoint", 1);
		lock_take(lock);
		err = pci_function_load(&world->endpoints[i].fn, &r);
		lock_drop(lock);
		state_leave(&r);
		if (!err)
			err = state_reader_status(&r);
	}
	return err;
}

/* The fabric is what its registers say: the model looks after each of a guest's accesses. */
static void world_look(struct pci_world *world)
{
	static const uint8_t read_host_bridge[] = { 8 | 2 << 4, 0, 0 };

	pci_world_run(world, read_host_bridge, sizeof(read_host_bridge));
}

static void what_the_guest_made_of_it_is_there_after_loading(void **state)
{
	random_state = 0x2b992ddfa23249d6ull;
	for (unsigned int i = 0; i < 20; i++) {
		struct pci_world before, after;
		struct state_writer w, again;

		pci_world_init(&before);
		guest_acts(&before, GUEST_BYTES);
		world_save(&before, &w);
		pci_world_init(&after);
		pci_fabric_reset(after.pci.fabric);
		assert_int_equal(world_load(&after, w.data, w.len), 0);
		world_look(&after);
		for (unsigned int j = 0; j < WORLD_ENDPOINTS; j++) {
			const struct fake_endpoint *x = &before.endpoints[j];
			const struct fake_endpoint *y = &after.endpoints[j];

			assert_memory_equal(x->fn.config, y->fn.config, PCIE_CONFIG_SIZE);
			assert_int_equal(x->msix, y->msix);
			assert_int_equal(x->msi, y->msi);
			assert_int_equal(pci_function_rid(&x->fn).v, pci_function_rid(&y->fn).v);
			assert_int_equal(pci_function_may_master(&x->fn),
					 pci_function_may_master(&y->fn));
		}
		for (unsigned int pin = 16; pin < 20; pin++)
			assert_int_equal(before.pci.machine.pins[pin], after.pci.machine.pins[pin]);
		world_save(&after, &again);
		assert_int_equal(w.len, again.len);
		assert_memory_equal(w.data, again.data, w.len);
		state_writer_fini(&again);
		state_writer_fini(&w);
		assert_true(pci_world_fini(&before));
		assert_true(pci_world_fini(&after));
	}
}

static void a_short_stream_is_refused_wherever_it_ends(void **state)
{
	struct pci_world world;
	struct state_writer w;

	random_state = 0x7f4a7c159e3779b9ull;
	pci_world_init(&world);
	guest_acts(&world, 512);
	world_save(&world, &w);
	for (size_t len = 0; len < w.len; len += 61) {
		/* A copy of just that length, so that reading on is seen. */
		uint8_t *cut = malloc(len ? len : 1);

		assert_non_null(cut);
		memcpy(cut, w.data, len);
		assert_int_not_equal(world_load(&world, cut, len), 0);
		free(cut);
	}
	world_look(&world);
	state_writer_fini(&w);
	assert_true(pci_world_fini(&world));
}

static void a_forged_stream_does_no_more_than_a_guest_could(void **state)
{
	struct pci_world world;
	struct state_writer w;
	unsigned int nr_taken = 0;

	random_state = 0x517cc1b727220a95ull;
	pci_world_init(&world);
	guest_acts(&world, 512);
	world_save(&world, &w);
	for (unsigned int i = 0; i < 3000; i++) {
		uint8_t *forged = malloc(w.len);

		assert_non_null(forged);
		memcpy(forged, w.data, w.len);
		for (unsigned int j = 0; j < 1 + i % 5; j++)
			forged[(random_u8() | random_u8() << 8 | random_u8() << 16) % w.len] =
				random_u8();
		nr_taken += !world_load(&world, forged, w.len);
		world_look(&world);
		assert_int_equal(fake_cfg_read(&world.pci, rid_make(0, 0), 0, 2), 0x1b36);
		free(forged);
	}
	assert_true(nr_taken > 100 && nr_taken < 3000);
	state_writer_fini(&w);
	assert_true(pci_world_fini(&world));
}

static void another_functions_state_is_refused_and_changes_nothing(void **state)
{
	struct pci_world world;
	struct state_writer w, before, after;
	struct state_reader r;
	struct lock *lock;

	pci_world_init(&world);
	lock = pci_fabric_lock(world.pci.fabric);
	state_writer_init(&w);
	state_begin(&w, "endpoint", 1);
	lock_take(lock);
	pci_function_save(&world.endpoints[1].fn, &w);
	lock_drop(lock);
	state_end(&w);
	world_save(&world, &before);

	/* Endpoint 2 has larger BARs and more vectors. */
	state_reader_init(&r, w.data, w.len);
	state_enter(&r, "endpoint", 1);
	lock_take(lock);
	assert_int_equal(pci_function_load(&world.endpoints[2].fn, &r), -EPROTO);
	lock_drop(lock);
	world_save(&world, &after);
	assert_int_equal(before.len, after.len);
	assert_memory_equal(before.data, after.data, before.len);
	state_writer_fini(&w);
	state_writer_fini(&before);
	state_writer_fini(&after);
	assert_true(pci_world_fini(&world));
}

static int load_one(struct fake_pci *pci, struct pci_function *fn, const struct state_writer *w)
{
	struct lock *lock = pci_fabric_lock(pci->fabric);
	struct state_reader r;
	int err;

	state_reader_init(&r, w->data, w->len);
	state_enter(&r, "one", 1);
	lock_take(lock);
	err = pci_function_load(fn, &r);
	lock_drop(lock);
	return err;
}

static void save_one(struct pci_function *fn, struct state_writer *w)
{
	state_writer_init(w);
	state_begin(w, "one", 1);
	pci_function_save(fn, w);
	state_end(w);
	assert_int_equal(state_writer_status(w), 0);
}

/* One endpoint with MSI of four vectors, masks, and a BAR of a size. */
static void plain_init(struct fake_pci *pci, struct fake_endpoint *ep, uint64_t size,
		       unsigned int nr_msix)
{
	uint8_t cap;

	fake_pci_init(pci);
	fake_endpoint_init(ep, pci, "ep", 1);
	assert_int_equal(pci_bar_declare(&ep->fn, 0, size, 0), 0);
	assert_int_equal(pci_add_capability(&ep->fn, PCI_CAP_MSI, 0x18, &cap), 0);
	pci_config_set(&ep->fn, cap + PCI_MSI_CONTROL, 2,
		       PCI_MSI_64 | PCI_MSI_MASKING | FIELD_PREP(PCI_MSI_CAPABLE, 2));
	assert_int_equal(pci_msi_init(&ep->fn, cap), 0);
	assert_int_equal(pci_add_capability(&ep->fn, PCI_CAP_MSIX, PCI_MSIX_CAP_LEN, &cap), 0);
	assert_int_equal(pci_msix_init(&ep->fn, cap, nr_msix, 0, 0, 0, 0x800), 0);
	assert_int_equal(
		pci_function_attach(&ep->fn, pci_fabric_root(pci->fabric), PCI_DEVFN(1, 0)), 0);
}

static void plain_fini(struct fake_pci *pci, struct fake_endpoint *ep)
{
	fake_endpoint_fini(ep);
	assert_true(fake_pci_fini(pci));
}

static void a_pending_msi_vector_fires_on_the_other_side(void **state)
{
	struct fake_pci one, two;
	struct fake_endpoint x, y;
	struct state_writer w;
	rid_t rid = rid_make(0, PCI_DEVFN(1, 0));

	plain_init(&one, &x, KIB(4), 2);
	plain_init(&two, &y, KIB(4), 2);
	fake_cfg_write(&one, rid, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	fake_cfg_write(&one, rid, 0x40 + PCI_MSI_MASK_64, 4, 0xf);
	fake_cfg_write(&one, rid, 0x40 + PCI_MSI_DATA_64, 2, 0x40);
	fake_cfg_write(&one, rid, 0x40 + PCI_MSI_CONTROL, 2, PCI_MSI_ENABLE | 2 << 4);
	pci_msi_fire(&x.fn, 2);
	save_one(&x.fn, &w);
	assert_int_equal(load_one(&two, &y.fn, &w), 0);
	assert_true(y.msi);
	assert_int_equal(two.machine.nr_sent, 0);
	fake_cfg_write(&two, rid, 0x40 + PCI_MSI_MASK_64, 4, 0);
	assert_int_equal(two.machine.nr_sent, 1);
	assert_int_equal(two.machine.sent[0].msg.data, 0x42);
	state_writer_fini(&w);
	plain_fini(&one, &x);
	plain_fini(&two, &y);
}

static void what_a_guest_cannot_write_has_to_be_the_same(void **state)
{
	static const struct {
		uint64_t size;
		unsigned int nr_msix;
		uint16_t device;
		int err;
	} other[] = {
		{ KIB(4), 2, 0x0001, 0 },
		{ KIB(8), 2, 0x0001, -EPROTO },
		{ KIB(4), 3, 0x0001, -EPROTO },
		{ KIB(4), 2, 0x0002, -EPROTO },
	};
	struct fake_pci one;
	struct fake_endpoint x;
	struct state_writer w;

	plain_init(&one, &x, KIB(4), 2);
	fake_cfg_write(&one, rid_make(0, PCI_DEVFN(1, 0)), PCI_BAR0, 4, 0xc0000000);
	save_one(&x.fn, &w);
	for (unsigned int i = 0; i < ARRAY_SIZE(other); i++) {
		struct fake_pci two;
		struct fake_endpoint y;

		plain_init(&two, &y, other[i].size, other[i].nr_msix);
		pci_config_set(&y.fn, PCI_DEVICE_ID, 2, other[i].device);
		assert_int_equal(load_one(&two, &y.fn, &w), other[i].err);
		assert_int_equal(pci_config_get(&y.fn, PCI_BAR0, 4), other[i].err ? 0 : 0xc0000000);
		plain_fini(&two, &y);
	}
	state_writer_fini(&w);
	plain_fini(&one, &x);
}

static void sizes_beyond_any_functions_are_refused(void **state)
{
	static const uint8_t zeroes[65535];
	struct fake_pci pci;
	struct fake_endpoint ep;
	struct state_writer w;

	plain_init(&pci, &ep, KIB(4), 2);
	for (unsigned int i = 0; i < 2; i++) {
		state_writer_init(&w);
		state_begin(&w, "one", 1);
		state_put_u16(&w, i ? 65535 : PCIE_CONFIG_SIZE);
		state_put_bytes(&w, zeroes, i ? 65535 : PCIE_CONFIG_SIZE);
		state_put_bytes(&w, ep.fn.wmask, 64);
		state_put_u8(&w, 0);
		state_put_u8(&w, 1);
		state_put_u32(&w, 0);
		state_put_u16(&w, 65535);
		for (unsigned int j = 0; j < 14; j++)
			state_put_bytes(&w, zeroes, sizeof(zeroes));
		state_end(&w);
		assert_int_equal(load_one(&pci, &ep.fn, &w), -EPROTO);
		state_writer_fini(&w);
	}
	plain_fini(&pci, &ep);
}

static void a_fabric_with_other_ports_is_refused(void **state)
{
	struct fake_pci one, two;
	struct state_writer w;
	struct state_reader r;

	fake_pci_init(&one);
	fake_pci_init(&two);
	fake_pci_port(&one, "rp0");
	fake_pci_port(&two, "rp1");
	state_writer_init(&w);
	pci_fabric_save(one.fabric, &w);
	state_reader_init(&r, w.data, w.len);
	assert_int_equal(pci_fabric_load(two.fabric, &r), -EPROTO);
	state_writer_fini(&w);
	assert_true(fake_pci_fini(&one));
	assert_true(fake_pci_fini(&two));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_guest_made_of_it_is_there_after_loading),
		cmocka_unit_test(a_short_stream_is_refused_wherever_it_ends),
		cmocka_unit_test(a_forged_stream_does_no_more_than_a_guest_could),
		cmocka_unit_test(another_functions_state_is_refused_and_changes_nothing),
		cmocka_unit_test(a_pending_msi_vector_fires_on_the_other_side),
		cmocka_unit_test(what_a_guest_cannot_write_has_to_be_the_same),
		cmocka_unit_test(sizes_beyond_any_functions_are_refused),
		cmocka_unit_test(a_fabric_with_other_ports_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
