// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/bits.h"
#include "device/rtc.h"
#include "fake/platform.h"

#define NS 1000000000ull
/* 2023-02-28 23:59:58 UTC, a Tuesday. */
#define START 1677628798ull

enum { SEC, SEC_ALARM, MIN, MIN_ALARM, HOUR, HOUR_ALARM, WDAY, DAY, MONTH, YEAR, A, B, C, D };
#define UIP BIT(7)
#define SET BIT(7)
#define PIE BIT(6)
#define AIE BIT(5)
#define UIE BIT(4)
#define DM  BIT(2)
#define H24 BIT(1)

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

static int setup(void **state)
{
	struct machine *m = calloc(1, sizeof(*m));
	struct rtc_config config = { .port = RTC_PORT,
				     .pin = RTC_PIN,
				     .ram_low = GIB(3),
				     .ram_high = GIB(5),
				     .clock = machine_clock };

	assert_non_null(m);
	m->now = START * NS;
	config.opaque = m;
	assert_int_equal(loop_create(&m->loop), 0);
	fake_platform_init(&m->fake, NULL, m->loop);
	assert_int_equal(rtc_create(&m->fake.platform, &config, &m->dev), 0);
	*state = m;
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

static uint8_t get(struct machine *m, uint8_t reg)
{
	fake_bus_write(&m->fake, BUS_PIO, RTC_PORT, 1, reg);
	return (uint8_t)fake_bus_read(&m->fake, BUS_PIO, RTC_PORT + 1, 1);
}

static void put(struct machine *m, uint8_t reg, uint8_t value)
{
	fake_bus_write(&m->fake, BUS_PIO, RTC_PORT, 1, reg);
	fake_bus_write(&m->fake, BUS_PIO, RTC_PORT + 1, 1, value);
}

static void time_is(struct machine *m, uint8_t century, uint8_t year, uint8_t month, uint8_t day,
		    uint8_t hour, uint8_t min, uint8_t sec)
{
	assert_int_equal(get(m, SEC), sec);
	assert_int_equal(get(m, MIN), min);
	assert_int_equal(get(m, HOUR), hour);
	assert_int_equal(get(m, DAY), day);
	assert_int_equal(get(m, MONTH), month);
	assert_int_equal(get(m, YEAR), year);
	assert_int_equal(get(m, RTC_CENTURY), century);
}

static void the_time_is_the_hosts_in_bcd(void **state)
{
	struct machine *m = *state;

	time_is(m, 0x20, 0x23, 0x02, 0x28, 0x23, 0x59, 0x58);
	assert_int_equal(get(m, WDAY), 3);
	m->now += 2 * NS;
	time_is(m, 0x20, 0x23, 0x03, 0x01, 0x00, 0x00, 0x00);
	assert_int_equal(get(m, D), 0x80);
}

static void binary_and_twelve_hours_are_modes(void **state)
{
	struct machine *m = *state;

	put(m, B, DM | H24);
	time_is(m, 20, 23, 2, 28, 23, 59, 58);
	put(m, B, DM);
	assert_int_equal(get(m, HOUR), 0x80 | 11);
	m->now += 2 * NS;
	assert_int_equal(get(m, HOUR), 12);
	m->now += 12 * 3600 * NS;
	assert_int_equal(get(m, HOUR), 0x80 | 12);
	put(m, B, 0);
	assert_int_equal(get(m, HOUR), 0x80 | 0x12);
}

static void time_stands_while_set_and_starts_from_what_was_written(void **state)
{
	struct machine *m = *state;

	put(m, B, SET | H24);
	m->now += 10 * NS;
	assert_int_equal(get(m, SEC), 0x58);
	put(m, SEC, 0x05);
	put(m, MIN, 0x04);
	put(m, HOUR, 0x03);
	put(m, DAY, 0x29);
	put(m, MONTH, 0x02);
	put(m, YEAR, 0x24);
	put(m, B, H24);
	time_is(m, 0x20, 0x24, 0x02, 0x29, 0x03, 0x04, 0x05);
	m->now += 3600 * NS;
	time_is(m, 0x20, 0x24, 0x02, 0x29, 0x04, 0x04, 0x05);
}

static void a_field_may_be_written_while_time_runs(void **state)
{
	struct machine *m = *state;

	put(m, YEAR, 0x99);
	put(m, RTC_CENTURY, 0x19);
	time_is(m, 0x19, 0x99, 0x02, 0x28, 0x23, 0x59, 0x58);
}

static void the_divider_starts_half_a_second_before_an_update(void **state)
{
	struct machine *m = *state;

	m->now += NS / 10;
	put(m, A, 0x70);
	put(m, SEC, 0x30);
	put(m, A, 0x26);
	assert_int_equal(get(m, SEC), 0x30);
	m->now += NS / 2 - 1;
	assert_int_equal(get(m, SEC), 0x30);
	m->now += 1;
	assert_int_equal(get(m, SEC), 0x31);
}

static void updating_is_seen_just_before_a_second_ends(void **state)
{
	struct machine *m = *state;

	assert_false(get(m, A) & UIP);
	m->now += NS - 244001;
	assert_false(get(m, A) & UIP);
	m->now += 1;
	assert_true(get(m, A) & UIP);
	m->now += 244000;
	assert_false(get(m, A) & UIP);
}

static void flags_are_there_for_who_polls(void **state)
{
	struct machine *m = *state;

	get(m, C);
	assert_int_equal(get(m, C), 0);
	m->now += NS;
	assert_int_equal(get(m, C), UIE | PIE);
	assert_int_equal(get(m, C), 0);
	assert_false(fake_pin(&m->fake, RTC_PIN));
}

static void the_alarm_matches_once_and_wildcards_match_all(void **state)
{
	struct machine *m = *state;

	put(m, SEC_ALARM, 0x01);
	put(m, MIN_ALARM, 0x00);
	put(m, HOUR_ALARM, 0x00);
	get(m, C);
	m->now += 2 * NS;
	assert_false(get(m, C) & AIE);
	m->now += 1 * NS;
	assert_true(get(m, C) & AIE);
	m->now += 60 * NS;
	assert_false(get(m, C) & AIE);
	put(m, MIN_ALARM, 0xc0);
	put(m, HOUR_ALARM, 0xff);
	get(m, C);
	m->now += 60 * NS;
	assert_true(get(m, C) & AIE);
	/* An impossible one never comes, whatever the span. */
	put(m, SEC_ALARM, 0x99);
	get(m, C);
	m->now += 86400 * 3 * NS;
	assert_false(get(m, C) & AIE);
}

static void a_clock_set_back_passes_no_alarm(void **state)
{
	struct machine *m = *state;

	put(m, SEC_ALARM, 0xff);
	put(m, MIN_ALARM, 0xff);
	put(m, HOUR_ALARM, 0xff);
	get(m, C);
	m->now -= 100 * NS;
	assert_false(get(m, C) & AIE);
}

/* With the real clock: the interrupt comes by itself, from the loop. */
static void stop(void *opaque)
{
	loop_stop(opaque, 0);
}

static void an_enabled_interrupt_comes_by_itself_and_goes_when_read(void **state)
{
	struct machine *m = *state;
	struct rtc_config config = { .port = 0x170, .pin = 5 };
	struct loop_timer end;
	struct device *dev;

	assert_int_equal(rtc_create(&m->fake.platform, &config, &dev), 0);
	/* 8192 Hz. */
	fake_bus_write(&m->fake, BUS_PIO, 0x170, 2, 0x2300 | A);
	fake_bus_write(&m->fake, BUS_PIO, 0x170, 2, (H24 | PIE) << 8 | B);
	assert_int_equal(loop_timer_init(m->loop, &end, stop, m->loop), 0);
	loop_timer_set(&end, loop_now_ns() + 50000000);
	assert_int_equal(loop_run(m->loop), 0);
	loop_timer_fini(m->loop, &end);
	assert_true(fake_pin(&m->fake, 5));
	fake_bus_write(&m->fake, BUS_PIO, 0x170, 1, C);
	assert_true(fake_bus_read(&m->fake, BUS_PIO, 0x171, 1) & (0x80 | PIE));
	assert_false(fake_pin(&m->fake, 5));
	dev->ops->destroy(dev);
}

static void enabling_an_event_that_has_happened_interrupts(void **state)
{
	struct machine *m = *state;

	m->now += NS;
	put(m, B, H24 | UIE);
	assert_true(fake_pin(&m->fake, RTC_PIN));
	assert_int_equal(get(m, C) & (0x80 | UIE), 0x80 | UIE);
	assert_false(fake_pin(&m->fake, RTC_PIN));
}

static void memory_survives_a_reset_and_interrupts_do_not(void **state)
{
	struct machine *m = *state;

	put(m, 0x50, 0xa5);
	put(m, RTC_SHUTDOWN, 0x0a);
	put(m, MIN, 0x30);
	m->now += NS;
	put(m, B, H24 | UIE);
	m->dev->ops->reset(m->dev);
	assert_false(fake_pin(&m->fake, RTC_PIN));
	assert_int_equal(get(m, 0x50), 0xa5);
	assert_int_equal(get(m, RTC_SHUTDOWN), 0x0a);
	assert_int_equal(get(m, B), H24);
	assert_int_equal(get(m, MIN), 0x30);
}

static void ram_is_noted_as_a_bios_would(void **state)
{
	struct machine *m = *state;

	assert_int_equal(get(m, 0x15) | get(m, 0x16) << 8, 640);
	assert_int_equal(get(m, 0x30) | get(m, 0x31) << 8, 63 * 1024);
	assert_int_equal(get(m, 0x34) | get(m, 0x35) << 8, (GIB(3) - MIB(16)) / KIB(64));
	assert_int_equal(get(m, 0x5b) | get(m, 0x5c) << 8 | get(m, 0x5d) << 16, GIB(5) / KIB(64));
}

static void the_nmi_bit_is_no_part_of_the_index(void **state)
{
	struct machine *m = *state;

	put(m, 0x50, 1);
	assert_int_equal(get(m, 0x80 | 0x50), 1);
	assert_int_equal(fake_bus_read(&m->fake, BUS_PIO, RTC_PORT, 1), 0xff);
	assert_int_equal(fake_bus_read(&m->fake, BUS_PIO, RTC_PORT, 2), 0x01ff);
}

static void state_round_trips_and_time_went_on(void **state)
{
	struct machine *m = *state;
	struct state_writer w;
	struct state_reader r;

	put(m, YEAR, 0x30);
	put(m, 0x50, 0x77);
	put(m, B, H24 | UIE);
	get(m, C);
	state_writer_init(&w);
	m->dev->ops->save(m->dev, &w);
	put(m, YEAR, 0x40);
	put(m, 0x50, 0);
	put(m, B, H24);
	m->now += 5 * NS;
	for (size_t len = 0; len < w.len; len++) {
		state_reader_init(&r, w.data, len);
		assert_true(m->dev->ops->load(m->dev, &r) < 0);
		assert_int_equal(get(m, 0x50), 0);
	}
	state_reader_init(&r, w.data, w.len);
	assert_int_equal(m->dev->ops->load(m->dev, &r), 0);
	time_is(m, 0x20, 0x30, 0x03, 0x01, 0x00, 0x00, 0x03);
	assert_int_equal(get(m, 0x50), 0x77);
	/* The seconds on the way are an update. */
	assert_true(fake_pin(&m->fake, RTC_PIN));
	state_writer_fini(&w);
}

static void impossible_offsets_are_refused(void **state)
{
	static const uint64_t bad[] = { 1ull << 63, 1ull << 62, 1ull << 41 };
	struct machine *m = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		uint8_t ram[128] = { 0 };
		struct state_writer w;
		struct state_reader r;

		state_writer_init(&w);
		state_begin(&w, "rtc", 1);
		state_put_u8(&w, 0);
		state_put_bytes(&w, ram, sizeof(ram));
		state_put_u64(&w, bad[i]);
		state_put_u32(&w, 0);
		state_put_u64(&w, 0);
		state_end(&w);
		state_reader_init(&r, w.data, w.len);
		assert_int_equal(m->dev->ops->load(m->dev, &r), -EPROTO);
		state_writer_fini(&w);
	}
}

static void every_access_is_answered(void **state)
{
	struct machine *m = *state;
	uint32_t seed = 3;

	for (unsigned int i = 0; i < 50000; i++) {
		unsigned int size, offset;

		seed = seed * 1664525 + 1013904223;
		size = 1 + (seed >> 31);
		offset = size == 2 ? 0 : seed >> 30 & 1;
		m->now += seed >> 4;
		if (seed & 0x10000)
			fake_bus_read(&m->fake, BUS_PIO, RTC_PORT + offset, size);
		else
			fake_bus_write(&m->fake, BUS_PIO, RTC_PORT + offset, size, seed >> 8);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_time_is_the_hosts_in_bcd),
		TEST(binary_and_twelve_hours_are_modes),
		TEST(time_stands_while_set_and_starts_from_what_was_written),
		TEST(a_field_may_be_written_while_time_runs),
		TEST(the_divider_starts_half_a_second_before_an_update),
		TEST(updating_is_seen_just_before_a_second_ends),
		TEST(flags_are_there_for_who_polls),
		TEST(the_alarm_matches_once_and_wildcards_match_all),
		TEST(a_clock_set_back_passes_no_alarm),
		TEST(an_enabled_interrupt_comes_by_itself_and_goes_when_read),
		TEST(enabling_an_event_that_has_happened_interrupts),
		TEST(memory_survives_a_reset_and_interrupts_do_not),
		TEST(ram_is_noted_as_a_bios_would),
		TEST(the_nmi_bit_is_no_part_of_the_index),
		TEST(state_round_trips_and_time_went_on),
		TEST(impossible_offsets_are_refused),
		TEST(every_access_is_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
