// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "device/serial.h"
#include "device/serial_regs.h"
#include "fake/platform.h"

#define PORT	 0x3f8
#define PIN	 4
#define OUT_ROOM 65536

struct machine {
	struct fake_platform fake;
	struct loop *loop;
	pthread_t thread;
	bool running;
	struct device *dev;

	/* The back end. */
	struct character backend;
	pthread_mutex_t mutex; /* everything below */
	char out[OUT_ROOM];
	size_t out_len;
	size_t out_limit; /* takes no more than this in all */
	unsigned int nr_writes, nr_resumes;
	size_t flushed;
};

static struct machine *machine_of(struct character *c)
{
	return container_of(c, struct machine, backend);
}

static size_t backend_write(struct character *c, const void *data, size_t len)
{
	struct machine *m = machine_of(c);
	size_t n;

	pthread_mutex_lock(&m->mutex);
	n = min_u64(len, m->out_limit - m->out_len);
	memcpy(m->out + m->out_len, data, n);
	m->out_len += n;
	m->nr_writes++;
	pthread_mutex_unlock(&m->mutex);
	return n;
}

static void backend_resume(struct character *c)
{
	struct machine *m = machine_of(c);

	pthread_mutex_lock(&m->mutex);
	m->nr_resumes++;
	pthread_mutex_unlock(&m->mutex);
}

static void backend_flush(struct character *c, const void *data, size_t len)
{
	machine_of(c)->flushed += len;
}

static const struct character_ops backend_ops = {
	.write = backend_write,
	.resume = backend_resume,
	.flush = backend_flush,
};

static int setup(void **state)
{
	struct machine *m = calloc(1, sizeof(*m));
	struct serial_config config = { .name = "serial0", .port = PORT, .pin = PIN };

	assert_non_null(m);
	assert_int_equal(loop_create(&m->loop), 0);
	fake_platform_init(&m->fake, NULL, m->loop);
	m->backend.ops = &backend_ops;
	m->out_limit = OUT_ROOM;
	pthread_mutex_init(&m->mutex, NULL);
	config.backend = &m->backend;
	assert_int_equal(serial_create(&m->fake.platform, &config, &m->dev), 0);
	*state = m;
	return 0;
}

static void *machine_thread(void *opaque)
{
	loop_run(((struct machine *)opaque)->loop);
	return NULL;
}

static void machine_run(struct machine *m)
{
	m->running = !pthread_create(&m->thread, NULL, machine_thread, m);
	assert_true(m->running);
}

static void machine_stop(struct machine *m)
{
	if (!m->running)
		return;
	loop_stop(m->loop, 0);
	pthread_join(m->thread, NULL);
	m->running = false;
}

static int teardown(void **state)
{
	struct machine *m = *state;

	machine_stop(m);
	m->dev->ops->destroy(m->dev);
	assert_null(m->backend.frontend);
	assert_true(fake_platform_is_empty(&m->fake));
	fake_platform_fini(&m->fake);
	loop_destroy(m->loop);
	pthread_mutex_destroy(&m->mutex);
	free(m);
	return 0;
}

static uint8_t in(struct machine *m, unsigned int reg)
{
	return (uint8_t)fake_bus_read(&m->fake, BUS_PIO, PORT + reg, 1);
}

static void out(struct machine *m, unsigned int reg, uint8_t value)
{
	fake_bus_write(&m->fake, BUS_PIO, PORT + reg, 1, value);
}

static size_t receive(struct machine *m, const char *text)
{
	return m->backend.frontend->receive(m->backend.frontend_opaque, text, strlen(text));
}

/* Waits for the loop, but not for ever. */
static bool written(struct machine *m, size_t len)
{
	const struct timespec nap = { .tv_nsec = 1000000 };

	for (unsigned int i = 0; i < 5000; i++) {
		size_t have;

		pthread_mutex_lock(&m->mutex);
		have = m->out_len;
		pthread_mutex_unlock(&m->mutex);
		if (have >= len)
			return have == len;
		nanosleep(&nap, NULL);
	}
	return false;
}

static void output_reaches_the_back_end_in_batches(void **state)
{
	struct machine *m = *state;
	const char *text = "hello, world\r\n";

	machine_run(m);
	for (const char *c = text; *c; c++) {
		assert_int_equal(in(m, UART_LSR), UART_LSR_THR_EMPTY | UART_LSR_TX_EMPTY);
		out(m, UART_DATA, (uint8_t)*c);
	}
	assert_true(written(m, strlen(text)));
	assert_memory_equal(m->out, text, strlen(text));
	assert_in_range(m->nr_writes, 1, 3);
}

static void a_slow_reader_makes_the_transmitter_busy_and_loses_nothing(void **state)
{
	struct machine *m = *state;
	size_t n = 0, first;

	m->out_limit = 100;
	machine_run(m);
	out(m, UART_IER, UART_IER_TX);
	while (in(m, UART_LSR) & UART_LSR_THR_EMPTY) {
		out(m, UART_DATA, (uint8_t)n++);
		assert_true(n < OUT_ROOM);
	}
	assert_true(written(m, 100));
	assert_int_equal(in(m, UART_IIR) & 0xf, UART_IIR_NONE);
	assert_false(fake_pin(&m->fake, PIN));
	/* One more than it said it could take is lost, as in the chip. */
	first = n;
	out(m, UART_DATA, 0xff);

	pthread_mutex_lock(&m->mutex);
	m->out_limit = OUT_ROOM;
	pthread_mutex_unlock(&m->mutex);
	machine_stop(m);
	m->backend.frontend->writable(m->backend.frontend_opaque);
	assert_true(written(m, first));
	for (size_t i = 0; i < first; i++)
		assert_int_equal((uint8_t)m->out[i], (uint8_t)i);
	assert_true(fake_pin(&m->fake, PIN));
	assert_int_equal(in(m, UART_IIR) & 0xf, UART_IIR_TX);
}

static void what_is_left_is_flushed_at_the_end(void **state)
{
	struct machine *m = *state;

	m->out_limit = 2;
	out(m, UART_DATA, 'a');
	out(m, UART_DATA, 'b');
	out(m, UART_DATA, 'c');
	m->dev->ops->quiesce(m->dev);
	assert_int_equal(m->out_len, 2);
	assert_int_equal(m->flushed, 1);
}

/* What Linux's autoconfig() and autoconfig_16550a() look at. */
static void linux_finds_a_16550a(void **state)
{
	struct machine *m = *state;

	out(m, UART_IER, 0);
	assert_int_equal(in(m, UART_IER) & 0xf, 0);
	out(m, UART_IER, 0xff);
	assert_int_equal(in(m, UART_IER), 0xf);
	out(m, UART_IER, 0);
	out(m, UART_MCR, UART_MCR_LOOP | UART_MCR_OUT2 | UART_MCR_RTS);
	assert_int_equal(in(m, UART_MSR) & 0xf0, UART_MSR_DCD | UART_MSR_CTS);
	out(m, UART_MCR, 0);
	out(m, UART_LCR, 0xbf);
	out(m, UART_FCR, 0); /* EFR, were it a 16650 */
	assert_int_not_equal(in(m, UART_IIR), 0);
	out(m, UART_LCR, 0);
	out(m, UART_FCR, UART_FCR_ENABLE);
	assert_int_equal(in(m, UART_IIR) >> 6, 3);
	out(m, UART_FCR, 0);
	assert_int_equal(in(m, UART_IIR) >> 6, 0);
	out(m, UART_SCR, 0x5a);
	assert_int_equal(in(m, UART_SCR), 0x5a);
}

/* size_fifo(): 256 characters looped back fill 16 and overrun. */
static void loopback_fills_a_fifo_of_16_and_overruns(void **state)
{
	struct machine *m = *state;
	unsigned int count = 0;

	out(m, UART_FCR, UART_FCR_ENABLE | UART_FCR_CLEAR_RX | UART_FCR_CLEAR_TX);
	out(m, UART_MCR, UART_MCR_LOOP);
	for (unsigned int i = 0; i < 256; i++)
		out(m, UART_DATA, (uint8_t)i);
	assert_true(in(m, UART_LSR) & UART_LSR_OVERRUN);
	assert_false(in(m, UART_LSR) & UART_LSR_OVERRUN);
	while (in(m, UART_LSR) & UART_LSR_DATA)
		assert_int_equal(in(m, UART_DATA), count++);
	assert_int_equal(count, 16);
	/* Nothing of it went out, and nothing from outside comes in. */
	assert_int_equal(receive(m, "x"), 0);
	m->dev->ops->quiesce(m->dev);
	assert_int_equal(m->out_len, 0);
}

static void the_divisor_hides_behind_dlab(void **state)
{
	struct machine *m = *state;

	out(m, UART_IER, UART_IER_RX);
	out(m, UART_LCR, UART_LCR_DLAB | 3);
	out(m, UART_DATA, 0x34);
	out(m, UART_IER, 0x12);
	assert_int_equal(in(m, UART_DATA), 0x34);
	assert_int_equal(in(m, UART_IER), 0x12);
	out(m, UART_LCR, 3);
	assert_int_equal(in(m, UART_IER), UART_IER_RX);
	m->dev->ops->quiesce(m->dev);
	assert_int_equal(m->out_len, 0);
}

static void enabling_the_transmit_interrupt_raises_it_each_time(void **state)
{
	struct machine *m = *state;

	for (int i = 0; i < 2; i++) {
		out(m, UART_IER, UART_IER_TX);
		assert_true(fake_pin(&m->fake, PIN));
		assert_int_equal(in(m, UART_IIR), UART_IIR_TX);
		/* Reading it is acknowledging it. */
		assert_false(fake_pin(&m->fake, PIN));
		assert_int_equal(in(m, UART_IIR), UART_IIR_NONE);
		out(m, UART_IER, 0);
	}
}

/* What Linux does: look again before leaving; what small kernels do: wait for the next one. */
static void what_a_handler_wrote_shows_at_once_and_interrupts_later(void **state)
{
	struct machine *m = *state;

	out(m, UART_IER, UART_IER_TX);
	assert_int_equal(in(m, UART_IIR), UART_IIR_TX);
	out(m, UART_DATA, 'x');
	assert_false(fake_pin(&m->fake, PIN));
	assert_int_equal(in(m, UART_IIR), UART_IIR_TX);
	/* Nothing more to say: no second interrupt. */
	out(m, UART_IER, 0);
	m->dev->ops->quiesce(m->dev);
	assert_false(fake_pin(&m->fake, PIN));

	out(m, UART_IER, UART_IER_TX);
	assert_int_equal(in(m, UART_IIR), UART_IIR_TX);
	out(m, UART_DATA, 'y');
	assert_false(fake_pin(&m->fake, PIN));
	machine_run(m);
	assert_true(written(m, 2));
	machine_stop(m);
	assert_true(fake_pin(&m->fake, PIN));
	assert_int_equal(in(m, UART_IIR), UART_IIR_TX);
	assert_false(fake_pin(&m->fake, PIN));
}

static void input_interrupts_at_the_trigger_level_or_by_timeout(void **state)
{
	struct machine *m = *state;

	out(m, UART_FCR, UART_FCR_ENABLE | 2 << 6); /* 8 */
	out(m, UART_IER, UART_IER_RX);
	assert_int_equal(receive(m, "abc"), 3);
	assert_true(fake_pin(&m->fake, PIN));
	assert_int_equal(in(m, UART_IIR), UART_IIR_FIFO | UART_IIR_RX_TIMEOUT);
	assert_int_equal(receive(m, "defgh"), 5);
	assert_int_equal(in(m, UART_IIR), UART_IIR_FIFO | UART_IIR_RX);
	for (char c = 'a'; c <= 'h'; c++)
		assert_int_equal(in(m, UART_DATA), c);
	assert_false(fake_pin(&m->fake, PIN));
	assert_false(in(m, UART_LSR) & UART_LSR_DATA);
}

static void input_beyond_the_fifo_waits_and_is_asked_for_again(void **state)
{
	struct machine *m = *state;
	unsigned int before;

	out(m, UART_FCR, UART_FCR_ENABLE);
	assert_int_equal(receive(m, "0123456789abcdefXYZ"), 16);
	before = m->nr_resumes;
	machine_run(m);
	for (int i = 0; i < 16; i++)
		in(m, UART_DATA);
	for (int i = 0; i < 5000; i++) {
		const struct timespec nap = { .tv_nsec = 1000000 };
		unsigned int now;

		pthread_mutex_lock(&m->mutex);
		now = m->nr_resumes;
		pthread_mutex_unlock(&m->mutex);
		if (now > before)
			break;
		nanosleep(&nap, NULL);
	}
	machine_stop(m);
	assert_int_equal(m->nr_resumes, before + 1);
	assert_int_equal(receive(m, "XYZ"), 3);
	assert_false(in(m, UART_LSR) & UART_LSR_OVERRUN);
}

static void without_fifo_one_character_fits(void **state)
{
	struct machine *m = *state;

	out(m, UART_IER, UART_IER_RX);
	assert_int_equal(receive(m, "ab"), 1);
	assert_int_equal(in(m, UART_IIR), UART_IIR_RX);
	assert_int_equal(in(m, UART_DATA), 'a');
	assert_int_equal(receive(m, "b"), 1);
}

static void a_break_is_a_zero_with_its_error(void **state)
{
	struct machine *m = *state;

	out(m, UART_FCR, UART_FCR_ENABLE);
	out(m, UART_IER, UART_IER_LINE | UART_IER_RX);
	m->backend.frontend->receive_break(m->backend.frontend_opaque);
	receive(m, "h");
	assert_int_equal(in(m, UART_IIR) & 0xf, UART_IIR_LINE);
	assert_int_equal(in(m, UART_LSR) & (UART_LSR_ERRORS | UART_LSR_FIFO_ERROR),
			 UART_LSR_BREAK | UART_LSR_FRAMING | UART_LSR_FIFO_ERROR);
	assert_int_equal(in(m, UART_LSR) & (UART_LSR_ERRORS | UART_LSR_FIFO_ERROR), 0);
	assert_int_equal(in(m, UART_DATA), 0);
	assert_int_equal(in(m, UART_DATA), 'h');
}

static void modem_lines_report_their_changes_once(void **state)
{
	struct machine *m = *state;

	out(m, UART_IER, UART_IER_MODEM);
	assert_int_equal(in(m, UART_MSR), UART_MSR_CTS | UART_MSR_DSR | UART_MSR_DCD);
	out(m, UART_MCR, UART_MCR_LOOP | UART_MCR_OUT1);
	assert_true(fake_pin(&m->fake, PIN));
	assert_int_equal(in(m, UART_IIR), UART_IIR_MODEM);
	/* A ring that begins is no event; one that ends is. */
	assert_int_equal(in(m, UART_MSR), UART_MSR_RI | UART_MSR_DELTA_CTS | UART_MSR_DELTA_DSR |
						  UART_MSR_DELTA_DCD);
	assert_false(fake_pin(&m->fake, PIN));
	out(m, UART_MCR, UART_MCR_LOOP);
	assert_int_equal(in(m, UART_MSR), UART_MSR_TRAILING_RI);
	assert_int_equal(in(m, UART_MSR), 0);
}

static void a_wide_access_is_one_per_byte(void **state)
{
	struct machine *m = *state;

	out(m, UART_LCR, UART_LCR_DLAB);
	fake_bus_write(&m->fake, BUS_PIO, PORT, 2, 0x1234);
	assert_int_equal(in(m, UART_DATA), 0x34);
	assert_int_equal(in(m, UART_IER), 0x12);
	assert_int_equal(fake_bus_read(&m->fake, BUS_PIO, PORT, 2), 0x1234);
	fake_bus_write(&m->fake, BUS_PIO, PORT + 4, 4, 0x77ffff00);
	assert_int_equal(in(m, UART_SCR), 0x77);
}

static void state_round_trips(void **state)
{
	struct machine *m = *state;
	struct state_writer w;
	struct state_reader r;

	out(m, UART_FCR, UART_FCR_ENABLE | 1 << 6);
	out(m, UART_LCR, UART_LCR_DLAB);
	out(m, UART_DATA, 0x21);
	out(m, UART_IER, 0x43);
	out(m, UART_LCR, 3);
	out(m, UART_SCR, 0x99);
	out(m, UART_MCR, UART_MCR_RTS | UART_MCR_DTR);
	receive(m, "pq");
	out(m, UART_IER, UART_IER_RX | UART_IER_TX);
	state_writer_init(&w);
	m->dev->ops->save(m->dev, &w);
	assert_int_equal(state_writer_status(&w), 0);
	m->dev->ops->reset(m->dev);
	assert_false(fake_pin(&m->fake, PIN));
	assert_int_equal(in(m, UART_SCR), 0);

	for (size_t len = 0; len < w.len; len++) {
		state_reader_init(&r, w.data, len);
		assert_true(m->dev->ops->load(m->dev, &r) < 0);
		assert_int_equal(in(m, UART_SCR), 0);
	}
	state_reader_init(&r, w.data, w.len);
	assert_int_equal(m->dev->ops->load(m->dev, &r), 0);
	assert_true(fake_pin(&m->fake, PIN));
	assert_int_equal(in(m, UART_SCR), 0x99);
	assert_int_equal(in(m, UART_IER), UART_IER_RX | UART_IER_TX);
	assert_int_equal(in(m, UART_MCR), UART_MCR_RTS | UART_MCR_DTR);
	assert_int_equal(in(m, UART_DATA), 'p');
	assert_int_equal(in(m, UART_DATA), 'q');
	assert_int_equal(in(m, UART_IIR), UART_IIR_FIFO | UART_IIR_TX);
	out(m, UART_LCR, UART_LCR_DLAB);
	assert_int_equal(in(m, UART_DATA), 0x21);
	assert_int_equal(in(m, UART_IER), 0x43);
	state_writer_fini(&w);
}

static void a_stream_with_too_much_input_is_refused(void **state)
{
	struct machine *m = *state;
	struct state_writer w;
	struct state_reader r;

	state_writer_init(&w);
	state_begin(&w, "serial0", 1);
	for (int i = 0; i < 10; i++)
		state_put_u8(&w, i == 1 ? UART_FCR_ENABLE : 0);
	state_put_u8(&w, 17);
	for (int i = 0; i < 34; i++)
		state_put_u8(&w, 0);
	state_end(&w);
	state_reader_init(&r, w.data, w.len);
	assert_int_equal(m->dev->ops->load(m->dev, &r), -EPROTO);
	state_writer_fini(&w);
}

static void every_access_is_answered(void **state)
{
	struct machine *m = *state;
	uint32_t seed = 7;

	m->out_limit = 1000;
	for (unsigned int i = 0; i < 50000; i++) {
		unsigned int size, offset;

		seed = seed * 1664525 + 1013904223;
		size = 1u << (seed >> 30);
		offset = (seed >> 8) % (SERIAL_PORTS + 1 - size);
		if (seed & 0x10000)
			fake_bus_read(&m->fake, BUS_PIO, PORT + offset, size);
		else
			fake_bus_write(&m->fake, BUS_PIO, PORT + offset, size,
				       seed * 0x9e3779b97f4a7c15ull);
		if (!(i % 64))
			receive(m, "input that may not fit");
	}
	m->dev->ops->reset(m->dev);
	assert_int_equal(in(m, UART_IIR), UART_IIR_NONE);
}

static void creation_fails_cleanly_when_its_ports_are_taken(void **state)
{
	struct machine *m = *state;
	struct serial_config config = { .name = "serial1", .port = PORT + 4, .pin = 3 };
	struct device *dev;

	assert_int_equal(serial_create(&m->fake.platform, &config, &dev), -EBUSY);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(output_reaches_the_back_end_in_batches),
		TEST(a_slow_reader_makes_the_transmitter_busy_and_loses_nothing),
		TEST(what_is_left_is_flushed_at_the_end),
		TEST(linux_finds_a_16550a),
		TEST(loopback_fills_a_fifo_of_16_and_overruns),
		TEST(the_divisor_hides_behind_dlab),
		TEST(enabling_the_transmit_interrupt_raises_it_each_time),
		TEST(what_a_handler_wrote_shows_at_once_and_interrupts_later),
		TEST(input_interrupts_at_the_trigger_level_or_by_timeout),
		TEST(input_beyond_the_fifo_waits_and_is_asked_for_again),
		TEST(without_fifo_one_character_fits),
		TEST(a_break_is_a_zero_with_its_error),
		TEST(modem_lines_report_their_changes_once),
		TEST(a_wide_access_is_one_per_byte),
		TEST(state_round_trips),
		TEST(a_stream_with_too_much_input_is_refused),
		TEST(every_access_is_answered),
		TEST(creation_fails_cleanly_when_its_ports_are_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
