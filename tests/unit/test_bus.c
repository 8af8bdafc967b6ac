// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bits.h"
#include "machine/bus.h"

struct port {
	struct bus_region region;
	uint64_t value;
	/* Written by whoever calls, also by several at once. */
	atomic_ullong last_offset;
	atomic_uint last_size;
	atomic_bool dead; /* freed in the eyes of the test */
	atomic_uint nr_dead_calls;
};

static uint64_t port_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct port *p = opaque;

	if (atomic_load(&p->dead))
		atomic_fetch_add(&p->nr_dead_calls, 1);
	p->last_offset = offset;
	p->last_size = size;
	return p->value;
}

static void port_write(void *opaque, uint64_t offset, unsigned int size, uint64_t value)
{
	struct port *p = opaque;

	p->last_offset = offset;
	p->last_size = size;
	p->value = value;
}

static const struct bus_region_ops port_ops = { port_read, port_write };

static void port_init(struct port *p, enum bus_space space, uint64_t first, uint64_t len)
{
	memset(p, 0, sizeof(*p));
	p->region.name = "port";
	p->region.space = space;
	p->region.range = range_of(first, len);
	p->region.ops = &port_ops;
	p->region.opaque = p;
}

struct fixture {
	struct bus bus;
	struct bus_reader reader;
};

static int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	assert_int_equal(bus_init(&f.bus), 0);
	bus_reader_add(&f.bus, &f.reader, "test");
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	bus_reader_remove(&f->bus, &f->reader);
	bus_fini(&f->bus);
	return 0;
}

static uint64_t read_at(struct fixture *f, enum bus_space space, uint64_t addr, unsigned int size)
{
	uint64_t v = 0;

	bus_read(&f->bus, &f->reader, space, addr, &v, size);
	return v;
}

static void an_access_reaches_its_region_relative_to_its_start(void **state)
{
	struct fixture *f = *state;
	struct port p;
	uint32_t v = 0xaabbccdd;

	port_init(&p, BUS_MMIO, 0x1000, 0x100);
	assert_int_equal(bus_region_add(&f->bus, &p.region), 0);
	bus_write(&f->bus, &f->reader, BUS_MMIO, 0x1010, &v, 4);
	assert_int_equal(p.last_offset, 0x10);
	assert_int_equal(p.last_size, 4);
	assert_int_equal(p.value, 0xaabbccdd);
	assert_int_equal(read_at(f, BUS_MMIO, 0x1010, 4), 0xaabbccdd);
	bus_region_remove(&f->bus, &p.region);
}

static void unclaimed_addresses_read_as_all_ones(void **state)
{
	struct fixture *f = *state;
	struct port p;
	uint64_t v = 0;

	port_init(&p, BUS_PIO, 0x60, 1);
	assert_int_equal(bus_region_add(&f->bus, &p.region), 0);
	assert_int_equal(read_at(f, BUS_PIO, 0x61, 2), 0xffff);
	/* The same number in the other space is another address. */
	assert_int_equal(read_at(f, BUS_MMIO, 0x60, 8), UINT64_MAX);
	bus_write(&f->bus, &f->reader, BUS_MMIO, 0x60, &v, 8);
	bus_region_remove(&f->bus, &p.region);
	assert_int_equal(read_at(f, BUS_PIO, 0x60, 1), 0xff);
}

static void an_access_across_a_boundary_is_taken_apart(void **state)
{
	struct fixture *f = *state;
	struct port a, b;

	port_init(&a, BUS_PIO, 0x10, 2);
	port_init(&b, BUS_PIO, 0x12, 2);
	a.value = 0x11;
	b.value = 0x22;
	assert_int_equal(bus_region_add(&f->bus, &a.region), 0);
	assert_int_equal(bus_region_add(&f->bus, &b.region), 0);
	assert_int_equal(read_at(f, BUS_PIO, 0x11, 2), 0x2211);
	assert_int_equal(a.last_size, 1);
	assert_int_equal(read_at(f, BUS_PIO, 0x13, 2), 0xff22);
	bus_region_remove(&f->bus, &a.region);
	bus_region_remove(&f->bus, &b.region);
}

static void an_access_at_the_end_of_the_address_space_does_not_wrap(void **state)
{
	struct fixture *f = *state;
	struct port p;

	port_init(&p, BUS_MMIO, UINT64_MAX - 3, 4);
	p.value = 0x5a;
	assert_int_equal(bus_region_add(&f->bus, &p.region), 0);
	assert_int_equal(read_at(f, BUS_MMIO, UINT64_MAX - 3, 4), 0x5a);
	/* Its second half wraps to address 0, where nothing is. */
	assert_int_equal(read_at(f, BUS_MMIO, UINT64_MAX, 2), 0xff5a);
	bus_region_remove(&f->bus, &p.region);
}

static void overlapping_regions_are_refused(void **state)
{
	struct fixture *f = *state;
	struct port a, b;

	port_init(&a, BUS_MMIO, 0x1000, 0x1000);
	assert_int_equal(bus_region_add(&f->bus, &a.region), 0);
	port_init(&b, BUS_MMIO, 0x1fff, 1);
	assert_int_equal(bus_region_add(&f->bus, &b.region), -EBUSY);
	port_init(&b, BUS_MMIO, 0x0, 0x10000);
	assert_int_equal(bus_region_add(&f->bus, &b.region), -EBUSY);
	port_init(&b, BUS_PIO, 0x1000, 1);
	assert_int_equal(bus_region_add(&f->bus, &b.region), 0);
	bus_region_remove(&f->bus, &a.region);
	bus_region_remove(&f->bus, &b.region);
}

static void many_regions_are_found_in_any_order_of_arrival(void **state)
{
	struct fixture *f = *state;
	struct port ports[64];

	for (unsigned int i = 0; i < 64; i++) {
		unsigned int at = (i * 37) % 64;

		port_init(&ports[at], i & 1 ? BUS_PIO : BUS_MMIO, at * 16, 8);
		ports[at].value = at + 1;
		assert_int_equal(bus_region_add(&f->bus, &ports[at].region), 0);
	}
	for (unsigned int i = 0; i < 64; i++) {
		assert_int_equal(read_at(f, ports[i].region.space, i * 16 + 3, 1), i + 1);
		assert_int_equal(read_at(f, ports[i].region.space, i * 16 + 8, 1), 0xff);
	}
	for (unsigned int i = 0; i < 64; i++) {
		bus_region_remove(&f->bus, &ports[i].region);
		assert_int_equal(read_at(f, ports[i].region.space, i * 16, 1), 0xff);
	}
}

static void removing_takes_no_memory_and_leaves_room_for_others(void **state)
{
	struct fixture *f = *state;
	struct port a, b, c;
	struct mallinfo2 before;

	port_init(&a, BUS_MMIO, 0x1000, 0x10);
	port_init(&b, BUS_PIO, 0x1000, 0x10);
	port_init(&c, BUS_MMIO, 0x1008, 0x10);
	assert_int_equal(bus_region_add(&f->bus, &a.region), 0);
	assert_int_equal(bus_region_add(&f->bus, &b.region), 0);
	before = mallinfo2();
	bus_region_remove(&f->bus, &a.region);
	assert_int_equal(mallinfo2().uordblks, before.uordblks);
	assert_int_equal(read_at(f, BUS_MMIO, 0x1000, 1), 0xff);
	/* Where it was, and beyond: nothing of it is in the way. */
	c.value = 7;
	assert_int_equal(bus_region_add(&f->bus, &c.region), 0);
	assert_int_equal(read_at(f, BUS_MMIO, 0x1008, 1), 7);
	assert_int_equal(read_at(f, BUS_PIO, 0x1000, 1), 0);
	bus_region_remove(&f->bus, &c.region);
	bus_region_remove(&f->bus, &b.region);
}

struct mover {
	struct fixture *f;
	struct port port;
	uint64_t farthest;
};

static uint64_t mover_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct mover *m = opaque;

	m->farthest = max_u64(m->farthest, offset);
	bus_region_remove(&m->f->bus, &m->port.region);
	m->port.region.range = range_of(0x9000, 0x10);
	assert_int_equal(bus_region_add(&m->f->bus, &m->port.region), 0);
	return 0;
}

/* As when one vCPU moves a BAR while another is on its way into it. */
static void a_region_that_moves_during_an_access_is_not_reached_by_the_rest_of_it(void **state)
{
	static const struct bus_region_ops ops = { mover_read, port_write };
	struct fixture *f = *state;
	struct mover m = { .f = f };
	uint8_t bytes[3];

	port_init(&m.port, BUS_MMIO, 0x1000, 0x10);
	m.port.region.ops = &ops;
	m.port.region.opaque = &m;
	assert_int_equal(bus_region_add(&f->bus, &m.port.region), 0);
	/* Three bytes are taken apart: the first handler call moves the region under the rest. */
	bus_read(&f->bus, &f->reader, BUS_MMIO, 0x1004, bytes, sizeof(bytes));
	assert_int_equal(m.farthest, 4);
	assert_int_equal(bytes[1], 0xff);
	assert_int_equal(bytes[2], 0xff);
	bus_region_remove(&f->bus, &m.port.region);
}

struct race {
	struct fixture *f;
	struct port *port;
	atomic_bool stop;
};

static void *race_reader(void *opaque)
{
	struct race *race = opaque;
	struct bus_reader reader;
	uint64_t v;

	bus_reader_add(&race->f->bus, &reader, "racer");
	while (!atomic_load(&race->stop))
		bus_read(&race->f->bus, &reader, BUS_MMIO, 0x1000, &v, 4);
	bus_reader_remove(&race->f->bus, &reader);
	return NULL;
}

static void no_handler_runs_after_remove_and_synchronize(void **state)
{
	struct fixture *f = *state;
	struct port p;
	struct race race = { .f = f, .port = &p };
	pthread_t threads[3];

	port_init(&p, BUS_MMIO, 0x1000, 4);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, race_reader, &race), 0);
	for (unsigned int i = 0; i < 2000; i++) {
		atomic_store(&p.dead, false);
		assert_int_equal(bus_region_add(&f->bus, &p.region), 0);
		bus_region_remove(&f->bus, &p.region);
		bus_synchronize(&f->bus);
		atomic_store(&p.dead, true);
	}
	atomic_store(&race.stop, true);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&p.nr_dead_calls), 0);
}

/* The figures tell registers apart, until there are too many of them. */
static void accesses_are_counted_by_register(void **state)
{
	struct fixture *f = *state;
	struct port p;
	uint64_t reads = 0, found = 0, v = 0;

	port_init(&p, BUS_MMIO, 0x1000, 0x1000);
	assert_int_equal(bus_region_add(&f->bus, &p.region), 0);
	for (unsigned int i = 0; i < 3; i++)
		bus_read(&f->bus, &f->reader, BUS_MMIO, 0x1010, &v, 4);
	bus_write(&f->bus, &f->reader, BUS_MMIO, 0x1010, &v, 4);
	bus_read(&f->bus, &f->reader, BUS_MMIO, 0x1000 + 0x10 + 4 * BUS_REGISTERS, &v, 4);
	for (unsigned int i = 0; i < BUS_REGISTERS; i++) {
		const struct bus_register *reg = &p.region.registers[i];

		if (reg->tag == 0x10 + 1) {
			found++;
			assert_int_equal(reg->nr_reads, 3);
			assert_int_equal(reg->nr_writes, 1);
		} else if (reg->tag == 0x10 + 4 * BUS_REGISTERS + 1) {
			found++;
			assert_int_equal(reg->nr_reads, 1);
		}
	}
	assert_int_equal(found, 2);

	for (unsigned int i = 0; i < 2 * BUS_REGISTERS; i++)
		bus_read(&f->bus, &f->reader, BUS_MMIO, 0x1800 + i, &v, 1);
	for (unsigned int i = 0; i < BUS_REGISTERS; i++)
		reads += p.region.registers[i].nr_reads;
	assert_int_equal(p.region.nr_reads, 4 + 2 * BUS_REGISTERS);
	assert_int_equal(reads, 4 + BUS_REGISTERS - 2);
	bus_region_remove(&f->bus, &p.region);
	bus_synchronize(&f->bus);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(an_access_reaches_its_region_relative_to_its_start),
		CASE(unclaimed_addresses_read_as_all_ones),
		CASE(an_access_across_a_boundary_is_taken_apart),
		CASE(an_access_at_the_end_of_the_address_space_does_not_wrap),
		CASE(overlapping_regions_are_refused),
		CASE(removing_takes_no_memory_and_leaves_room_for_others),
		CASE(many_regions_are_found_in_any_order_of_arrival),
		CASE(a_region_that_moves_during_an_access_is_not_reached_by_the_rest_of_it),
		CASE(no_handler_runs_after_remove_and_synchronize),
		CASE(accesses_are_counted_by_register),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
