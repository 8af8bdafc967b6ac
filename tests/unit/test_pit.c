// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bits.h"
#include "device/pit.h"
#include "fake/platform.h"

#define CW(channel, access, mode) ((uint8_t)((channel) << 6 | (access) << 4 | (mode) << 1))
#define CONTROL			  3

struct machine {
	struct fake_platform fake;
	struct loop *loop;
	struct device *dev;
	uint64_t now;
};

static uint64_t machine_clock(void *opaque)
{
	return ((struct machine *)opaque)->now;
}

static void machine_create(struct machine **out, bool real_clock)
{
	struct machine *m = calloc(1, sizeof(*m));
	struct pit_config config = { .pin = PIT_PIN, .clock = real_clock ? NULL : machine_clock };

	assert_non_null(m);
	m->now = 12345678901234ull;
	config.opaque = m;
	assert_int_equal(loop_create(&m->loop), 0);
	fake_platform_init(&m->fake, NULL, m->loop);
	assert_int_equal(pit_create(&m->fake.platform, &config, &m->dev), 0);
	*out = m;
}

static int setup(void **state)
{
	machine_create((struct machine **)state, false);
	return 0;
}

static int setup_real_clock(void **state)
{
	machine_create((struct machine **)state, true);
	return 0;
}

static int teardown(void **state)
{
	struct machine *m = *state;

	m->dev->ops->destroy(m->dev);
	assert_true(fake_platform_is_empty(&m->fake));
	fake_platform_fini(&m->fake);
	loop_destroy(m->loop);
	free(m);
	return 0;
}

static uint8_t in(struct machine *m, unsigned int port)
{
	return (uint8_t)fake_bus_read(&m->fake, BUS_PIO, PIT_PORT + port, 1);
}

static void out(struct machine *m, unsigned int port, uint8_t value)
{
	fake_bus_write(&m->fake, BUS_PIO, PIT_PORT + port, 1, value);
}

static uint8_t gate_in(struct machine *m)
{
	return (uint8_t)fake_bus_read(&m->fake, BUS_PIO, PIT_GATE_PORT, 1);
}

static void gate_out(struct machine *m, uint8_t value)
{
	fake_bus_write(&m->fake, BUS_PIO, PIT_GATE_PORT, 1, value);
}

static void count_out(struct machine *m, unsigned int channel, uint16_t count)
{
	out(m, channel, (uint8_t)count);
	out(m, channel, (uint8_t)(count >> 8));
}

static uint16_t count_in(struct machine *m, unsigned int channel)
{
	uint8_t low = in(m, channel);

	return (uint16_t)(in(m, channel) << 8 | low);
}

/* So many ticks later, rounded up to a nanosecond. */
static void ticks(struct machine *m, uint64_t n)
{
	m->now += (n * 1000000000 + PIT_HZ - 1) / PIT_HZ;
}

/* How Linux and many a small kernel calibrate. */
static void channel_2_counts_down_once_and_raises_its_output(void **state)
{
	struct machine *m = *state;

	gate_out(m, 0);
	out(m, CONTROL, CW(2, 3, 0));
	count_out(m, 2, 11932);
	assert_false(gate_in(m) & BIT(5));
	ticks(m, 20000);
	/* The gate was closed: not counted. */
	assert_false(gate_in(m) & BIT(5));
	gate_out(m, 1);
	ticks(m, 11931);
	assert_false(gate_in(m) & BIT(5));
	ticks(m, 1);
	assert_true(gate_in(m) & BIT(5));
	assert_int_equal(gate_in(m) & 0xf, 1);
}

static void closing_the_gate_stops_mode_0_and_opening_goes_on(void **state)
{
	struct machine *m = *state;

	gate_out(m, 1);
	out(m, CONTROL, CW(2, 3, 0));
	count_out(m, 2, 1000);
	ticks(m, 400);
	gate_out(m, 0);
	ticks(m, 5000);
	assert_int_equal(count_in(m, 2), 600);
	gate_out(m, 1);
	ticks(m, 599);
	assert_false(gate_in(m) & BIT(5));
	ticks(m, 2);
	assert_true(gate_in(m) & BIT(5));
}

static void mode_1_waits_for_its_trigger(void **state)
{
	struct machine *m = *state;

	gate_out(m, 0);
	out(m, CONTROL, CW(2, 3, 1));
	count_out(m, 2, 100);
	ticks(m, 1000);
	assert_true(gate_in(m) & BIT(5));
	gate_out(m, 1);
	assert_false(gate_in(m) & BIT(5));
	ticks(m, 101);
	assert_true(gate_in(m) & BIT(5));
}

static void a_rate_generator_counts_round_and_round(void **state)
{
	struct machine *m = *state;

	out(m, CONTROL, CW(0, 3, 2));
	count_out(m, 0, 1000);
	ticks(m, 2250);
	assert_in_range(count_in(m, 0), 749, 750);
}

static void a_square_wave_is_high_for_half_of_its_period(void **state)
{
	struct machine *m = *state;

	gate_out(m, 1);
	out(m, CONTROL, CW(2, 3, 3));
	count_out(m, 2, 1000);
	ticks(m, 499);
	assert_true(gate_in(m) & BIT(5));
	ticks(m, 2);
	assert_false(gate_in(m) & BIT(5));
	ticks(m, 500);
	assert_true(gate_in(m) & BIT(5));
}

static void a_latched_count_stands_until_it_is_read(void **state)
{
	struct machine *m = *state;

	out(m, CONTROL, CW(0, 3, 2));
	count_out(m, 0, 0); /* 65536 */
	ticks(m, 10);
	out(m, CONTROL, CW(0, 0, 0));
	ticks(m, 1000);
	out(m, CONTROL, CW(0, 0, 0)); /* ignored: one is waiting */
	assert_int_equal(count_in(m, 0), 65526);
	assert_in_range(count_in(m, 0), 64525, 64526);
}

static void read_back_latches_status_before_count(void **state)
{
	struct machine *m = *state;

	out(m, CONTROL, CW(0, 3, 3));
	out(m, CONTROL, 0xe2); /* status of channel 0 */
	/* Output high, null count, what was programmed. */
	assert_int_equal(in(m, 0), 0x80 | 0x40 | 0x36);
	count_out(m, 0, 1000);
	out(m, CONTROL, 0xc2); /* both */
	assert_int_equal(in(m, 0), 0x80 | 0x36);
	assert_int_equal(count_in(m, 0), 1000);
}

static void single_byte_accesses_and_bcd(void **state)
{
	struct machine *m = *state;

	out(m, CONTROL, CW(0, 1, 2));
	out(m, 0, 0x50);
	assert_int_equal(in(m, 0), 0x50);
	out(m, CONTROL, CW(0, 2, 2));
	out(m, 0, 0x12);
	assert_int_equal(in(m, 0), 0x12);
	out(m, CONTROL, CW(0, 3, 2) | 1);
	count_out(m, 0, 0x1234);
	ticks(m, 35);
	assert_in_range(count_in(m, 0), 0x1199, 0x1200);
}

static void the_refresh_bit_toggles(void **state)
{
	struct machine *m = *state;
	uint8_t before = gate_in(m) & BIT(4);

	m->now += 15085;
	assert_int_not_equal(gate_in(m) & BIT(4), before);
}

static void stop(void *opaque)
{
	loop_stop(opaque, 0);
}

static void machine_run(struct machine *m, unsigned int ms)
{
	struct loop_timer end;

	assert_int_equal(loop_timer_init(m->loop, &end, stop, m->loop), 0);
	loop_timer_set(&end, loop_now_ns() + ms * 1000000ull);
	assert_int_equal(loop_run(m->loop), 0);
	loop_timer_fini(m->loop, &end);
}

static unsigned int nr_edges;
static void (*real_irq_set)(struct platform *p, unsigned int pin, unsigned int share, bool level);

static void counting_irq_set(struct platform *p, unsigned int pin, unsigned int share, bool level)
{
	nr_edges += level && pin == PIT_PIN;
	real_irq_set(p, pin, share, level);
}

static void channel_0_ticks_with_an_edge_per_period(void **state)
{
	struct machine *m = *state;
	struct platform_ops ops = *m->fake.platform.ops;
	const struct platform_ops *saved = m->fake.platform.ops;

	real_irq_set = ops.irq_set;
	ops.irq_set = counting_irq_set;
	m->fake.platform.ops = &ops;
	nr_edges = 0;
	out(m, CONTROL, CW(0, 3, 2));
	count_out(m, 0, PIT_HZ / 500);
	machine_run(m, 100);
	/* 50 on a machine that has time for it. */
	assert_in_range(nr_edges, 5, 52);
	m->fake.platform.ops = saved;
}

static void channel_0_interrupts_once_in_mode_0(void **state)
{
	struct machine *m = *state;

	out(m, CONTROL, CW(0, 3, 0));
	assert_false(fake_pin(&m->fake, PIT_PIN));
	count_out(m, 0, 1193);
	assert_false(fake_pin(&m->fake, PIT_PIN));
	machine_run(m, 50);
	assert_true(fake_pin(&m->fake, PIT_PIN));
	out(m, CONTROL, CW(0, 3, 0));
	assert_false(fake_pin(&m->fake, PIT_PIN));
}

static void state_round_trips(void **state)
{
	struct machine *m = *state;
	struct state_writer w;
	struct state_reader r;

	gate_out(m, 3);
	out(m, CONTROL, CW(2, 3, 0));
	count_out(m, 2, 5000);
	out(m, CONTROL, CW(0, 3, 2));
	count_out(m, 0, 4000);
	out(m, CONTROL, CW(0, 0, 0));
	ticks(m, 1000);
	in(m, 0); /* half of the latched count */
	state_writer_init(&w);
	m->dev->ops->save(m->dev, &w);
	m->dev->ops->reset(m->dev);
	assert_int_equal(gate_in(m) & 0xf, 0);
	ticks(m, 1000000);
	for (size_t len = 0; len < w.len; len++) {
		state_reader_init(&r, w.data, len);
		assert_true(m->dev->ops->load(m->dev, &r) < 0);
	}
	state_reader_init(&r, w.data, w.len);
	assert_int_equal(m->dev->ops->load(m->dev, &r), 0);
	assert_int_equal(gate_in(m) & 0xf, 3);
	assert_int_equal(in(m, 0), 4000 >> 8);
	assert_in_range(count_in(m, 2), 3999, 4000);
	ticks(m, 4001);
	assert_true(gate_in(m) & BIT(5));
	state_writer_fini(&w);
}

static void a_count_of_zero_in_a_stream_is_refused(void **state)
{
	struct machine *m = *state;
	uint8_t zeros[3 * 26 + 2] = { 0 };
	struct state_writer w;
	struct state_reader r;

	state_writer_init(&w);
	state_begin(&w, "pit", 1);
	state_put_bytes(&w, zeros, sizeof(zeros));
	state_end(&w);
	state_reader_init(&r, w.data, w.len);
	assert_int_equal(m->dev->ops->load(m->dev, &r), -EPROTO);
	state_writer_fini(&w);
}

static void every_access_is_answered(void **state)
{
	struct machine *m = *state;
	uint32_t seed = 5;

	for (unsigned int i = 0; i < 100000; i++) {
		unsigned int size, offset;

		seed = seed * 1664525 + 1013904223;
		size = 1u << (seed >> 30) % 3;
		offset = (seed >> 8) % (5 - size);
		m->now += seed >> 8;
		if (!(seed & 0x70000))
			gate_out(m, (uint8_t)(seed >> 3));
		else if (seed & 0x80000)
			fake_bus_read(&m->fake, BUS_PIO, PIT_PORT + offset, size);
		else
			fake_bus_write(&m->fake, BUS_PIO, PIT_PORT + offset, size, seed >> 5);
		gate_in(m);
	}
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_REAL(name) cmocka_unit_test_setup_teardown(name, setup_real_clock, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(channel_2_counts_down_once_and_raises_its_output),
		TEST(closing_the_gate_stops_mode_0_and_opening_goes_on),
		TEST(mode_1_waits_for_its_trigger),
		TEST(a_rate_generator_counts_round_and_round),
		TEST(a_square_wave_is_high_for_half_of_its_period),
		TEST(a_latched_count_stands_until_it_is_read),
		TEST(read_back_latches_status_before_count),
		TEST(single_byte_accesses_and_bcd),
		TEST(the_refresh_bit_toggles),
		TEST_REAL(channel_0_ticks_with_an_edge_per_period),
		TEST_REAL(channel_0_interrupts_once_in_mode_0),
		TEST(state_round_trips),
		TEST(a_count_of_zero_in_a_stream_is_refused),
		TEST(every_access_is_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
