// SPDX-License-Identifier: GPL-2.0-or-later
/* Power: ACPI's registers, the reset lines, and the ports by which a guest ends its run. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/bits.h"
#include "device/debug_exit.h"
#include "device/pm.h"
#include "device/pvpanic.h"
#include "fake/platform.h"

#define STATUS	(PM_PORT + PM_EVENT)
#define ENABLE	(PM_PORT + PM_EVENT + 2)
#define CONTROL (PM_PORT + PM_CONTROL)
#define TIMER	(PM_PORT + PM_TIMER)
#define BUTTON	BIT(8)
#define SLP_EN	BIT(13)

struct machine {
	struct fake_platform fake;
	struct loop *loop;
	struct device *dev;
};

static const struct pm_config pm_defaults = { .port = PM_PORT,
					      .sci_pin = PM_SCI_PIN,
					      .slp_typ_s5 = PM_SLP_TYP_S5 };

static int setup(void **state)
{
	struct machine *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	assert_int_equal(loop_create(&m->loop), 0);
	fake_platform_init(&m->fake, NULL, m->loop);
	assert_int_equal(pm_create(&m->fake.platform, &pm_defaults, &m->dev), 0);
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

static uint64_t in(struct machine *m, uint64_t port, unsigned int size)
{
	return fake_bus_read(&m->fake, BUS_PIO, port, size);
}

static void out(struct machine *m, uint64_t port, unsigned int size, uint64_t value)
{
	fake_bus_write(&m->fake, BUS_PIO, port, size, value);
}

static void the_power_button_interrupts_until_it_is_acknowledged(void **state)
{
	struct machine *m = *state;

	pm_power_button(m->dev);
	assert_false(fake_pin(&m->fake, PM_SCI_PIN));
	assert_int_equal(in(m, STATUS, 2), BUTTON);
	out(m, ENABLE, 2, BUTTON);
	assert_true(fake_pin(&m->fake, PM_SCI_PIN));
	/* Writing zeros acknowledges nothing. */
	out(m, STATUS, 2, 0);
	assert_true(fake_pin(&m->fake, PM_SCI_PIN));
	out(m, STATUS, 2, BUTTON);
	assert_false(fake_pin(&m->fake, PM_SCI_PIN));
	assert_int_equal(in(m, STATUS, 4), BUTTON << 16);
}

static void acpi_is_always_on(void **state)
{
	struct machine *m = *state;

	assert_int_equal(in(m, CONTROL, 2) & 1, 1);
	out(m, CONTROL, 2, 0);
	assert_int_equal(in(m, CONTROL, 2) & 1, 1);
}

static void s5_switches_off_and_no_other_sleep_does(void **state)
{
	struct machine *m = *state;

	out(m, CONTROL, 2, PM_SLP_TYP_S5 << 10);
	assert_false(m->fake.power.asked);
	assert_int_equal(in(m, CONTROL, 2), PM_SLP_TYP_S5 << 10 | 1);
	for (unsigned int type = 0; type < 8; type++) {
		if (type != PM_SLP_TYP_S5)
			out(m, CONTROL, 2, type << 10 | SLP_EN);
	}
	assert_false(m->fake.power.asked);
	out(m, CONTROL, 2, PM_SLP_TYP_S5 << 10 | SLP_EN);
	assert_true(m->fake.power.asked);
	assert_int_equal(m->fake.power.event, POWER_OFF);
	assert_false(in(m, CONTROL, 2) & SLP_EN);
}

static void s5_may_be_written_a_byte_at_a_time(void **state)
{
	struct machine *m = *state;

	out(m, CONTROL + 1, 1, (PM_SLP_TYP_S5 << 10 | SLP_EN) >> 8);
	assert_true(m->fake.power.asked);
}

static void the_timer_runs_at_its_rate(void **state)
{
	const struct timespec nap = { .tv_nsec = 20000000 };
	struct machine *m = *state;
	uint64_t start = loop_now_ns(), first = in(m, TIMER, 4), ns, second;

	/* Begins with the machine, not with the host. */
	assert_in_range(first, 0, PM_TIMER_HZ);
	nanosleep(&nap, NULL);
	second = in(m, TIMER, 4);
	ns = loop_now_ns() - start;
	assert_in_range(second - first, (uint64_t)nap.tv_nsec * PM_TIMER_HZ / 1000000000 - 1,
			ns * PM_TIMER_HZ / 1000000000 + 1);
	out(m, TIMER, 4, 0);
	assert_true(in(m, TIMER, 4) >= second);
}

static void the_keyboard_controllers_pulse_resets(void **state)
{
	struct machine *m = *state;

	assert_int_equal(in(m, 0x64, 1), 0xff);
	out(m, 0x64, 1, 0xd1);
	assert_false(m->fake.power.asked);
	out(m, 0x64, 1, 0xfe);
	assert_true(m->fake.power.asked);
	assert_int_equal(m->fake.power.event, POWER_RESET);
}

static void port_92h_resets_and_remembers_a20(void **state)
{
	struct machine *m = *state;

	assert_int_equal(in(m, 0x92, 1), 2);
	out(m, 0x92, 1, 0);
	assert_int_equal(in(m, 0x92, 1), 0);
	out(m, 0x92, 1, 2);
	assert_int_equal(in(m, 0x92, 1), 2);
	assert_false(m->fake.power.asked);
	out(m, 0x92, 1, 3);
	assert_int_equal(m->fake.power.event, POWER_RESET);
}

static void state_round_trips_with_the_timer(void **state)
{
	struct machine *m = *state;
	struct state_writer w;
	struct state_reader r;
	uint64_t timer;

	pm_power_button(m->dev);
	out(m, ENABLE, 2, BUTTON);
	out(m, CONTROL, 2, 3 << 10);
	timer = in(m, TIMER, 4);
	state_writer_init(&w);
	m->dev->ops->save(m->dev, &w);
	m->dev->ops->reset(m->dev);
	assert_false(fake_pin(&m->fake, PM_SCI_PIN));
	for (size_t len = 0; len < w.len; len++) {
		state_reader_init(&r, w.data, len);
		assert_true(m->dev->ops->load(m->dev, &r) < 0);
		assert_int_equal(in(m, ENABLE, 2), 0);
	}
	state_reader_init(&r, w.data, w.len);
	assert_int_equal(m->dev->ops->load(m->dev, &r), 0);
	assert_true(fake_pin(&m->fake, PM_SCI_PIN));
	assert_int_equal(in(m, CONTROL, 2), 3 << 10 | 1);
	assert_in_range(in(m, TIMER, 4), timer, timer + PM_TIMER_HZ);
	state_writer_fini(&w);
}

static void stop(void *opaque)
{
	loop_stop(opaque, 0);
}

/* The timer's top bit is ten minutes away: a stream takes us there. */
static void the_timers_overflow_is_an_event(void **state)
{
	struct machine *m = *state;
	struct loop_timer end;
	struct state_writer w;
	struct state_reader r;

	state_writer_init(&w);
	state_begin(&w, "pm", 1);
	state_put_u16(&w, 0);
	state_put_u16(&w, 1); /* TMR_EN */
	state_put_u16(&w, 0);
	state_put_u8(&w, 0);
	state_put_u64(&w, (1ull << 31) * 1000000000 / PM_TIMER_HZ - 10000000);
	state_end(&w);
	state_reader_init(&r, w.data, w.len);
	assert_int_equal(m->dev->ops->load(m->dev, &r), 0);
	assert_false(fake_pin(&m->fake, PM_SCI_PIN));
	assert_int_equal(loop_timer_init(m->loop, &end, stop, m->loop), 0);
	loop_timer_set(&end, loop_now_ns() + 100000000);
	assert_int_equal(loop_run(m->loop), 0);
	loop_timer_fini(m->loop, &end);
	/* It came by itself, and goes when it is acknowledged. */
	assert_true(fake_pin(&m->fake, PM_SCI_PIN));
	assert_true(in(m, STATUS, 2) & 1);
	out(m, STATUS, 2, 1);
	assert_false(in(m, STATUS, 2) & 1);
	assert_false(fake_pin(&m->fake, PM_SCI_PIN));
	state_writer_fini(&w);
}

static void every_access_is_answered(void **state)
{
	struct machine *m = *state;
	uint32_t seed = 9;

	for (unsigned int i = 0; i < 50000; i++) {
		unsigned int size, offset;

		seed = seed * 1664525 + 1013904223;
		size = 1u << (seed >> 30);
		offset = (seed >> 8) % (PM_PORTS + 1 - size);
		if (seed & 0x10000)
			in(m, PM_PORT + offset, size);
		else
			out(m, PM_PORT + offset, size, seed * 0x9e3779b97f4a7c15ull);
	}
}

static void creation_undoes_itself_at_every_failure(void **state)
{
	struct machine *m = *state;
	unsigned int regions = fake_region_count(&m->fake);
	struct pm_config config = pm_defaults;
	struct device *dev;

	/* Its block free, the reset ports taken. */
	config.port = 0x700;
	assert_int_equal(pm_create(&m->fake.platform, &config, &dev), -EBUSY);
	assert_int_equal(fake_region_count(&m->fake), regions);
	for (unsigned int n = 1; n <= 3; n++) {
		fake_platform_fail(&m->fake, n, -ENOMEM);
		assert_true(pm_create(&m->fake.platform, &config, &dev) < 0);
		assert_int_equal(fake_region_count(&m->fake), regions);
	}
	fake_platform_fail(&m->fake, 0, 0);
}

static void debug_exit_ends_the_run_with_an_odd_status(void **state)
{
	struct machine *m = *state;
	struct device *dev;

	assert_int_equal(debug_exit_create(&m->fake.platform, 0xfffe, &dev), -EINVAL);
	assert_int_equal(debug_exit_create(&m->fake.platform, DEBUG_EXIT_PORT, &dev), 0);
	assert_int_equal(in(m, DEBUG_EXIT_PORT, 1), 0xff);
	assert_false(m->fake.power.asked);
	out(m, DEBUG_EXIT_PORT, 4, 0x10);
	assert_int_equal(m->fake.power.event, POWER_EXIT);
	assert_int_equal(m->fake.power.status, 0x21);
	out(m, DEBUG_EXIT_PORT, 1, 0);
	assert_int_equal(m->fake.power.status, 1);
	out(m, DEBUG_EXIT_PORT, 4, 0xffffffff);
	assert_int_equal(m->fake.power.status, 0xff);
	dev->ops->destroy(dev);
}

static void pvpanic_reports_a_panic_and_lets_a_crash_kernel_run(void **state)
{
	struct machine *m = *state;
	struct device *dev;

	assert_int_equal(pvpanic_create(&m->fake.platform, PVPANIC_PORT, &dev), 0);
	assert_int_equal(in(m, PVPANIC_PORT, 1), 3);
	out(m, PVPANIC_PORT, 1, 2);
	out(m, PVPANIC_PORT, 1, 0xfc);
	assert_false(m->fake.power.asked);
	out(m, PVPANIC_PORT, 1, 1);
	assert_int_equal(m->fake.power.event, POWER_PANIC);
	dev->ops->destroy(dev);
}

static void stateless_ports_round_trip(void **state)
{
	struct machine *m = *state;
	struct device *devs[2];
	struct state_writer w;
	struct state_reader r;

	assert_int_equal(pvpanic_create(&m->fake.platform, PVPANIC_PORT, &devs[0]), 0);
	assert_int_equal(debug_exit_create(&m->fake.platform, DEBUG_EXIT_PORT, &devs[1]), 0);
	for (size_t i = 0; i < ARRAY_SIZE(devs); i++) {
		state_writer_init(&w);
		devs[i]->ops->save(devs[i], &w);
		state_reader_init(&r, w.data, w.len);
		assert_int_equal(devs[i]->ops->load(devs[i], &r), 0);
		state_reader_init(&r, w.data, w.len - 1);
		assert_true(devs[i]->ops->load(devs[i], &r) < 0);
		state_writer_fini(&w);
		devs[i]->ops->reset(devs[i]);
		devs[i]->ops->destroy(devs[i]);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_power_button_interrupts_until_it_is_acknowledged),
		TEST(acpi_is_always_on),
		TEST(s5_switches_off_and_no_other_sleep_does),
		TEST(s5_may_be_written_a_byte_at_a_time),
		TEST(the_timer_runs_at_its_rate),
		TEST(the_keyboard_controllers_pulse_resets),
		TEST(port_92h_resets_and_remembers_a20),
		TEST(state_round_trips_with_the_timer),
		TEST(the_timers_overflow_is_an_event),
		TEST(every_access_is_answered),
		TEST(creation_undoes_itself_at_every_failure),
		TEST(debug_exit_ends_the_run_with_an_odd_status),
		TEST(pvpanic_reports_a_panic_and_lets_a_crash_kernel_run),
		TEST(stateless_ports_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
