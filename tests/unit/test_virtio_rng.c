// SPDX-License-Identifier: GPL-2.0-or-later
/* The host's randomness for a guest. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "device/virtio/blk.h"
#include "device/virtio/rng.h"
#include "fake/virtio.h"

#define PACKED BIT64(VIRTIO_F_RING_PACKED)

struct fixture {
	struct fake_virtio v; /* first */
	struct sys_ops ops;
	uint64_t data;
};

static int fixed_random(struct sys *sys, void *buf, size_t len)
{
	memset(buf, 0xa5, len);
	return 0;
}

static int no_random(struct sys *sys, void *buf, size_t len)
{
	return -ENOSYS;
}

static int setup(void **state)
{
	static struct fixture f;
	struct virtio_rng_config config = { .name = "rng0", .packed = true };
	struct device *dev;

	memset(&f, 0, sizeof(f));
	fake_virtio_init(&f.v);
	f.ops = *f.v.sys.ops;
	f.ops.random = fixed_random;
	f.v.sys.ops = &f.ops;
	config.loop = f.v.loop;
	assert_int_equal(virtio_rng_create(&f.v.pci.machine.platform, &config, &dev), 0);
	fake_virtio_plug(&f.v, dev, virtio_pci_function(dev));
	f.data = fake_virtio_alloc(&f.v, KIB(8));
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assert_true(fake_virtio_fini(&f->v));
	return 0;
}

static uint32_t ask(struct fixture *f, uint64_t addr, uint32_t len, bool write)
{
	const struct fake_piece piece = { addr, len, write };
	uint32_t written;
	uint16_t id;

	fake_virtio_add(&f->v, 0, &piece, 1, false);
	fake_virtio_kick(&f->v, 0);
	assert_true(fake_virtio_used(&f->v, 0, &id, &written));
	return written;
}

static void a_buffer_is_filled_up_to_what_is_said(void **state)
{
	struct fixture *f = *state;

	for (unsigned int i = 0; i < 2; i++) {
		uint8_t *at = f->v.mem + f->data;

		fake_virtio_start(&f->v, i ? PACKED : 0, 1, 8);
		memset(at, 0, KIB(8));
		assert_int_equal(ask(f, f->data, 16, true), 16);
		assert_int_equal(at[15], 0xa5);
		assert_int_equal(at[16], 0);
		/* As much as it likes of a larger one, and no more than it says. */
		assert_int_equal(ask(f, f->data, KIB(8), true), 256);
		assert_int_equal(at[255], 0xa5);
		assert_int_equal(at[256], 0);
	}
}

static void what_cannot_be_filled_comes_back_empty(void **state)
{
	struct fixture *f = *state;

	fake_virtio_start(&f->v, 0, 1, 8);
	assert_int_equal(ask(f, f->data, 16, false), 0);
	assert_int_equal(ask(f, 0x40000000, 16, true), 0);
	f->ops.random = no_random;
	assert_int_equal(ask(f, f->data, 16, true), 0);
	assert_false(fake_virtio_status(&f->v) & VIRTIO_NEEDS_RESET);
}

static void a_full_ring_is_served_in_turns_to_its_end(void **state)
{
	struct fixture *f = *state;
	const struct fake_piece piece = { f->data, 16, true };
	unsigned int n = 0;
	uint32_t len;
	uint16_t id;

	fake_virtio_start(&f->v, 0, 1, 256);
	for (unsigned int i = 0; i < 256; i++)
		fake_virtio_add(&f->v, 0, &piece, 1, false);
	fake_virtio_kick(&f->v, 0);
	while (fake_virtio_used(&f->v, 0, &id, &len))
		n++;
	assert_int_equal(n, 256);
	/* One that stands in the middle is stopped. */
	for (unsigned int i = 0; i < 256; i++)
		fake_virtio_add(&f->v, 0, &piece, 1, false);
	fake_bus_write(&f->v.pci.machine, BUS_MMIO, f->v.notify, 2, 0);
	loop_turn(f->v.loop);
	fake_virtio_reset(&f->v);
	assert_int_equal(fake_virtio_status(&f->v), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_buffer_is_filled_up_to_what_is_said, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_filled_comes_back_empty, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_full_ring_is_served_in_turns_to_its_end, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
