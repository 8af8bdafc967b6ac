// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/terminal.h"
#include "base/bits.h"

/* The device's side, and a loop that a watchdog stops. */
struct machine {
	struct sys sys;
	struct loop *loop;
	struct loop_timer watchdog;
	struct character *terminal;
	char in[65536];
	size_t in_len, in_room; /* takes no more than in_room */
	size_t stop_at;		/* stops the loop when so much has come */
	unsigned int nr_breaks, nr_left;
	const char *pending; /* output to write when there is room */
	size_t pending_len;
};

static size_t front_receive(void *opaque, const void *data, size_t len)
{
	struct machine *m = opaque;
	size_t n = min_u64(len, m->in_room - m->in_len);

	memcpy(m->in + m->in_len, data, n);
	m->in_len += n;
	if (m->in_len >= m->stop_at)
		loop_stop(m->loop, 0);
	return n;
}

static void front_break(void *opaque)
{
	((struct machine *)opaque)->nr_breaks++;
}

static void front_writable(void *opaque)
{
	struct machine *m = opaque;
	size_t n;

	do {
		n = m->terminal->ops->write(m->terminal, m->pending, m->pending_len);
		m->pending += n;
		m->pending_len -= n;
	} while (n && m->pending_len);
	if (!m->pending_len)
		loop_stop(m->loop, 0);
}

static const struct character_frontend front = {
	.receive = front_receive,
	.receive_break = front_break,
	.writable = front_writable,
};

static void watchdog_fire(void *opaque)
{
	loop_stop(((struct machine *)opaque)->loop, -ETIMEDOUT);
}

static void leave(void *opaque)
{
	struct machine *m = opaque;

	m->nr_left++;
	loop_stop(m->loop, 0);
}

static void machine_init(struct machine *m, int in, int out)
{
	struct terminal_config config = { .in = in, .out = out, .leave = leave, .opaque = m };

	memset(m, 0, sizeof(*m));
	m->sys = sys_real();
	m->in_room = sizeof(m->in);
	m->stop_at = SIZE_MAX;
	assert_int_equal(loop_create(&m->loop), 0);
	assert_int_equal(loop_timer_init(m->loop, &m->watchdog, watchdog_fire, m), 0);
	config.sys = &m->sys;
	config.loop = m->loop;
	assert_int_equal(terminal_create(&config, &m->terminal), 0);
	character_attach(m->terminal, &front, m);
}

static int machine_run(struct machine *m, unsigned int ms)
{
	loop_timer_set(&m->watchdog, loop_now_ns() + ms * 1000000ull);
	return loop_run(m->loop);
}

static void machine_fini(struct machine *m)
{
	character_attach(m->terminal, NULL, NULL);
	m->terminal->ops->destroy(m->terminal);
	loop_timer_fini(m->loop, &m->watchdog);
	loop_destroy(m->loop);
}

static void raw_mode_begins_and_ends_with_the_terminal(void **state)
{
	struct machine *m = malloc(sizeof(*m));
	struct termios before, during, after;
	int master, slave;

	assert_non_null(m);
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	assert_int_equal(tcgetattr(slave, &before), 0);
	assert_true(before.c_lflag & ICANON);
	machine_init(m, slave, slave);
	assert_int_equal(tcgetattr(slave, &during), 0);
	assert_false(during.c_lflag & (ICANON | ECHO | ISIG));
	assert_true(during.c_oflag == before.c_oflag);
	machine_fini(m);
	assert_int_equal(tcgetattr(slave, &after), 0);
	assert_int_equal(after.c_lflag, before.c_lflag);
	assert_int_equal(after.c_iflag, before.c_iflag);
	close(master);
	close(slave);
	free(m);
}

static void keys_reach_the_guest_and_escapes_do_not(void **state)
{
	/* Ctrl-C is a key; Ctrl-A Ctrl-A, and a, are one; b is a break; an unknown one is dropped. */
	static const char keys[] = "a\x03\x01\x01"
				   "b\x01"
				   "a\x01"
				   "b\x01?c\x01x";
	struct machine *m = malloc(sizeof(*m));
	int master, slave;

	assert_non_null(m);
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	machine_init(m, slave, slave);
	assert_int_equal(write(master, keys, sizeof(keys) - 1), sizeof(keys) - 1);
	assert_int_equal(machine_run(m, 5000), 0);
	assert_int_equal(m->nr_left, 1);
	assert_int_equal(m->nr_breaks, 1);
	/* What was typed before the escape is not lost with it. */
	assert_int_equal(m->in_len, 6);
	assert_memory_equal(m->in,
			    "a\x03\x01"
			    "b\x01"
			    "c",
			    6);
	machine_fini(m);
	close(master);
	close(slave);
	free(m);
}

static void help_is_shown(void **state)
{
	struct machine *m = malloc(sizeof(*m));
	char text[512];
	int master, slave;
	ssize_t n;

	assert_non_null(m);
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	machine_init(m, slave, slave);
	assert_int_equal(write(master, "\x01h\x01x", 4), 4);
	assert_int_equal(machine_run(m, 5000), 0);
	n = read(master, text, sizeof(text) - 1);
	assert_true(n > 0);
	text[n] = '\0';
	assert_non_null(strstr(text, "Ctrl-A x  leave"));
	machine_fini(m);
	close(master);
	close(slave);
	free(m);
}

/* In a child: raw mode, then the signal; the parent looks at the terminal. */
static void a_deadly_signal_puts_the_terminal_back(void **state)
{
	static const int signals[] = { SIGSEGV, SIGABRT, SIGTERM,   SIGHUP, SIGINT,   SIGBUS,
				       SIGPWR,	SIGPROF, SIGVTALRM, SIGIO,  SIGSTKFLT };

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		struct termios before, after;
		int master, slave, status;
		pid_t child;

		assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
		assert_int_equal(tcgetattr(slave, &before), 0);
		child = fork();
		assert_true(child >= 0);
		if (!child) {
			struct machine *m = malloc(sizeof(*m));

			/* cmocka and the sanitizers have handlers of their own. */
			signal(signals[i], SIG_DFL);
			machine_init(m, slave, slave);
			if (tcgetattr(slave, &after) || after.c_lflag & ICANON)
				_exit(9);
			raise(signals[i]);
			_exit(8);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), signals[i]);
		assert_int_equal(tcgetattr(slave, &after), 0);
		assert_int_equal(after.c_lflag, before.c_lflag);
		close(master);
		close(slave);
	}
}

static void a_pipe_is_handed_on_bit_for_bit_and_its_end_is_silent(void **state)
{
	struct machine *m = malloc(sizeof(*m));
	int in[2], out[2];
	char text[8];

	assert_non_null(m);
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	machine_init(m, in[0], out[1]);
	/* No escape without a terminal. */
	assert_int_equal(write(in[1], "\x01x\x00z", 4), 4);
	close(in[1]);
	assert_int_equal(machine_run(m, 100), -ETIMEDOUT);
	assert_int_equal(m->nr_left, 0);
	assert_int_equal(m->in_len, 4);
	assert_memory_equal(m->in, "\x01x\x00z", 4);
	assert_int_equal(m->terminal->ops->write(m->terminal, "out", 3), 3);
	assert_int_equal(read(out[0], text, sizeof(text)), 3);
	machine_fini(m);
	close(in[0]);
	close(out[0]);
	close(out[1]);
	free(m);
}

static void make_room(void *opaque)
{
	struct machine *m = opaque;

	assert_int_equal(m->in_len, 4);
	m->in_room = sizeof(m->in);
	m->terminal->ops->resume(m->terminal);
}

static void input_the_guest_has_no_room_for_waits(void **state)
{
	struct machine *m = malloc(sizeof(*m));
	struct loop_timer later;
	int in[2];

	assert_non_null(m);
	assert_int_equal(pipe(in), 0);
	machine_init(m, in[0], -1);
	m->in_room = 4;
	m->stop_at = 10;
	assert_int_equal(write(in[1], "0123456789", 10), 10);
	assert_int_equal(loop_timer_init(m->loop, &later, make_room, m), 0);
	loop_timer_set(&later, loop_now_ns() + 20000000);
	assert_int_equal(machine_run(m, 5000), 0);
	assert_int_equal(m->in_len, 10);
	assert_memory_equal(m->in, "0123456789", 10);
	loop_timer_fini(m->loop, &later);
	machine_fini(m);
	close(in[0]);
	close(in[1]);
	free(m);
}

static void a_file_as_input_is_read_to_its_end(void **state)
{
	struct machine *m = malloc(sizeof(*m));
	char path[] = "/tmp/airlock-test-XXXXXX", block[10000];
	int fd = mkstemp(path);

	assert_non_null(m);
	assert_true(fd >= 0);
	unlink(path);
	memset(block, 'f', sizeof(block));
	assert_int_equal(write(fd, block, sizeof(block)), sizeof(block));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	machine_init(m, fd, -1);
	m->stop_at = sizeof(block);
	assert_int_equal(machine_run(m, 5000), 0);
	assert_int_equal(m->in_len, sizeof(block));
	machine_fini(m);
	close(fd);
	free(m);
}

static void nothing_at_all_will_do(void **state)
{
	struct machine *m = malloc(sizeof(*m));
	int null = open("/dev/null", O_RDWR);

	assert_non_null(m);
	assert_true(null >= 0);
	machine_init(m, null, null);
	assert_int_equal(machine_run(m, 20), -ETIMEDOUT);
	assert_int_equal(m->terminal->ops->write(m->terminal, "gone", 4), 4);
	machine_fini(m);
	close(null);
	machine_init(m, -1, -1);
	assert_int_equal(m->terminal->ops->write(m->terminal, "gone", 4), 4);
	machine_fini(m);
	free(m);
}

static void a_reader_that_went_away_is_no_error(void **state)
{
	struct machine *m = malloc(sizeof(*m));
	int out[2];

	assert_non_null(m);
	assert_int_equal(pipe(out), 0);
	machine_init(m, -1, out[1]);
	close(out[0]);
	for (int i = 0; i < 3; i++)
		assert_int_equal(m->terminal->ops->write(m->terminal, "gone", 4), 4);
	machine_fini(m);
	close(out[1]);
	free(m);
}

static void slow_reader(struct machine *m, int reader, int writer)
{
	size_t total = 300000, got = 0;
	char *text = malloc(total), *copy = malloc(total);
	pid_t child;
	int status;

	assert_non_null(text);
	assert_non_null(copy);
	for (size_t i = 0; i < total; i++)
		text[i] = (char)(i * 7 / 5);
	machine_init(m, -1, writer);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		usleep(50000);
		while (got < total) {
			ssize_t n = read(reader, copy + got, total - got);

			if (n <= 0)
				_exit(1);
			got += (size_t)n;
		}
		_exit(memcmp(text, copy, total) ? 2 : 0);
	}
	m->pending = text;
	m->pending_len = total;
	/* Not one of these may wait for the reader. */
	front_writable(m);
	assert_true(m->pending_len > 0);
	assert_int_equal(machine_run(m, 20000), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	machine_fini(m);
	free(text);
	free(copy);
}

static void output_waits_for_a_slow_pipe_without_blocking(void **state)
{
	struct machine *m = malloc(sizeof(*m));
	int out[2];

	assert_non_null(m);
	assert_int_equal(pipe(out), 0);
	slow_reader(m, out[0], out[1]);
	/* The shared description has kept its flags. */
	assert_false(fcntl(out[1], F_GETFL) & O_NONBLOCK);
	close(out[0]);
	close(out[1]);
	free(m);
}

static void output_waits_for_a_slow_socket_without_blocking(void **state)
{
	struct machine *m = malloc(sizeof(*m));
	int out[2];

	assert_non_null(m);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, out), 0);
	slow_reader(m, out[0], out[1]);
	close(out[0]);
	close(out[1]);
	free(m);
}

static void flush_waits_but_not_for_ever(void **state)
{
	struct machine *m = malloc(sizeof(*m));
	size_t len = 300000;
	char *text = calloc(1, len);
	uint64_t start;
	int out[2];

	assert_non_null(m);
	assert_non_null(text);
	assert_int_equal(pipe(out), 0);
	machine_init(m, -1, out[1]);
	start = loop_now_ns();
	m->terminal->ops->flush(m->terminal, text, len);
	assert_in_range(loop_now_ns() - start, 100000000ull, 5000000000ull);
	machine_fini(m);
	close(out[0]);
	close(out[1]);
	free(text);
	free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(raw_mode_begins_and_ends_with_the_terminal),
		cmocka_unit_test(keys_reach_the_guest_and_escapes_do_not),
		cmocka_unit_test(help_is_shown),
		cmocka_unit_test(a_deadly_signal_puts_the_terminal_back),
		cmocka_unit_test(a_pipe_is_handed_on_bit_for_bit_and_its_end_is_silent),
		cmocka_unit_test(input_the_guest_has_no_room_for_waits),
		cmocka_unit_test(a_file_as_input_is_read_to_its_end),
		cmocka_unit_test(nothing_at_all_will_do),
		cmocka_unit_test(a_reader_that_went_away_is_no_error),
		cmocka_unit_test(output_waits_for_a_slow_pipe_without_blocking),
		cmocka_unit_test(output_waits_for_a_slow_socket_without_blocking),
		cmocka_unit_test(flush_waits_but_not_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
