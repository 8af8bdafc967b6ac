// SPDX-License-Identifier: GPL-2.0-or-later
#include "backend/terminal.h"

#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/bits.h"
#include "base/bug.h"

#define TERMINAL_ESCAPE	 0x01 /* Ctrl-A */
#define TERMINAL_IN_ROOM 4096
/* A reader that cannot be opened without blocking gets no more than this after each EPOLLOUT. */
#define TERMINAL_SIP	  512
#define TERMINAL_FLUSH_NS 500000000ull

static const char terminal_help[] = "\r\n"
				    "Ctrl-A x  leave\r\n"
				    "Ctrl-A b  send a break\r\n"
				    "Ctrl-A h  this help\r\n"
				    "Ctrl-A a  send Ctrl-A\r\n";

static const int terminal_signals[] = {
	SIGHUP, SIGINT,	 SIGQUIT, SIGILL,  SIGTRAP, SIGABRT,   SIGBUS,	SIGFPE, SIGSEGV, SIGTERM,
	SIGSYS, SIGXCPU, SIGXFSZ, SIGALRM, SIGUSR2, SIGVTALRM, SIGPROF, SIGIO,	SIGPWR,	 SIGSTKFLT,
};

/*
 * What the signal handler needs to put the terminal back. File-scope because a handler has no other
 * way to it; written only while `armed` is 0.
 */
static struct {
	volatile sig_atomic_t armed;
	int fd;
	struct termios saved;
} terminal_crash;

struct terminal {
	struct character character;
	struct sys *sys;
	struct loop *loop;
	void (*leave)(void *opaque);
	void *opaque;

	int in;
	struct loop_source in_source;
	struct loop_work in_work; /* instead of the source where in cannot be watched */
	bool in_plain;		  /* a file or /dev/null: never blocks, cannot be watched */
	bool in_ended;
	bool is_raw;
	bool escaped; /* the last key was the escape */
	uint8_t input[TERMINAL_IN_ROOM];
	size_t in_pos, in_len; /* what the front end has not taken yet */

	int out;
	int out_own; /* our own description of out, or -1 */
	struct loop_source out_source;
	bool out_plain;
	bool out_ready; /* a blocking descriptor may be written once */
	bool out_broken;
};

static struct terminal *terminal_of(struct character *character)
{
	return container_of(character, struct terminal, character);
}

static void terminal_restore(void)
{
	if (!terminal_crash.armed)
		return;
	/* Not through the seam: this is the handler's path, and there is nobody to tell. */
	ioctl(terminal_crash.fd, TCSETS, &terminal_crash.saved);
	terminal_crash.armed = 0;
}

/* Async-signal-safe: one ioctl, and the signal again with its default action. */
static void terminal_die(int sig)
{
	int err = errno;

	terminal_restore();
	errno = err;
	/* SA_RESETHAND has put the default back: a fault repeats itself, the rest we repeat. */
	raise(sig);
}

static void terminal_signals_take(void)
{
	struct sigaction action = { .sa_handler = terminal_die,
				    .sa_flags = SA_RESETHAND | SA_NODEFER };
	struct sigaction old;

	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < ARRAY_SIZE(terminal_signals); i++) {
		if (!sigaction(terminal_signals[i], NULL, &old) && old.sa_handler == SIG_DFL)
			sigaction(terminal_signals[i], &action, NULL);
	}
}

static void terminal_signals_give_back(void)
{
	struct sigaction old;

	for (size_t i = 0; i < ARRAY_SIZE(terminal_signals); i++) {
		if (!sigaction(terminal_signals[i], NULL, &old) && old.sa_handler == terminal_die)
			signal(terminal_signals[i], SIG_DFL);
	}
}

/* Every key to the guest. 0, -ENOTTY where in is no terminal, -errno. */
static int terminal_raw(struct terminal *t)
{
	struct termios raw;
	int err;

	err = sys_ioctl(t->sys, t->in, TCGETS, &raw);
	if (err < 0)
		return -ENOTTY;
	if (terminal_crash.armed)
		return -EBUSY;
	terminal_crash.saved = raw;
	terminal_crash.fd = t->in;
	terminal_crash.armed = 1;
	terminal_signals_take();
	raw.c_iflag &=
		~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
	raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
	raw.c_cflag &= ~(tcflag_t)(CSIZE | PARENB);
	raw.c_cflag |= CS8;
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	err = sys_ioctl(t->sys, t->in, TCSETS, &raw);
	if (err < 0) {
		terminal_crash.armed = 0;
		terminal_signals_give_back();
		return err;
	}
	t->is_raw = true;
	return 0;
}

static int terminal_out_fd(const struct terminal *t)
{
	return t->out_own >= 0 ? t->out_own : t->out;
}

static void terminal_out_event(void *opaque, uint32_t events)
{
	struct terminal *t = opaque;

	loop_unwatch(t->loop, &t->out_source);
	t->out_ready = true;
	if (events & (EPOLLERR | EPOLLHUP))
		t->out_broken = true;
	if (t->character.frontend)
		t->character.frontend->writable(t->character.frontend_opaque);
}

static void terminal_out_wait(struct terminal *t)
{
	if (t->out_source.armed)
		return;
	/* Without a way to learn that the reader is back, its output is lost rather than stuck. */
	if (loop_watch(t->loop, &t->out_source, terminal_out_fd(t), EPOLLOUT, terminal_out_event,
		       t))
		t->out_broken = true;
}

static size_t terminal_write(struct character *character, const void *data, size_t len)
{
	struct terminal *t = terminal_of(character);
	ssize_t n;

	if (t->out_broken || !len)
		return len;
	if (!t->out_plain && t->out_own < 0) {
		if (!t->out_ready) {
			terminal_out_wait(t);
			return t->out_broken ? len : 0;
		}
		t->out_ready = false;
		len = (size_t)min_u64(len, TERMINAL_SIP);
	}
	n = t->sys->ops->write(t->sys, terminal_out_fd(t), data, len);
	if (n < 0 && n != -EAGAIN) {
		t->out_broken = true;
		return len;
	}
	if (n < (ssize_t)len && !t->out_plain)
		terminal_out_wait(t);
	return n < 0 ? 0 : (size_t)n;
}

static void terminal_flush(struct character *character, const void *data, size_t len)
{
	struct terminal *t = terminal_of(character);
	uint64_t deadline = loop_now_ns() + TERMINAL_FLUSH_NS;
	const uint8_t *at = data;

	while (len && !t->out_broken) {
		struct pollfd pfd = { .fd = terminal_out_fd(t), .events = POLLOUT };
		uint64_t now = loop_now_ns();
		size_t n;

		if (now >= deadline)
			return;
		if (!t->out_plain)
			t->out_ready = poll(&pfd, 1, (int)((deadline - now) / 1000000)) == 1;
		n = terminal_write(character, at, len);
		at += n;
		len -= n;
		if (t->out_plain && !n)
			return;
	}
}

/* Takes the escapes out of what was typed, in place; returns what is left for the guest. */
static size_t terminal_filter(struct terminal *t, size_t len)
{
	size_t kept = 0;

	for (size_t i = 0; i < len; i++) {
		uint8_t key = t->input[i];

		if (!t->escaped) {
			t->escaped = key == TERMINAL_ESCAPE;
			if (!t->escaped)
				t->input[kept++] = key;
			continue;
		}
		t->escaped = false;
		switch (key) {
		case 'x':
			if (t->leave)
				t->leave(t->opaque);
			break;
		case 'b':
			if (t->character.frontend)
				t->character.frontend->receive_break(t->character.frontend_opaque);
			break;
		case 'h':
			terminal_write(&t->character, terminal_help, sizeof(terminal_help) - 1);
			break;
		case 'a':
		case TERMINAL_ESCAPE:
			t->input[kept++] = TERMINAL_ESCAPE;
			break;
		default:
			break;
		}
	}
	return kept;
}

/* Hands on what is held. True when all of it is gone. */
static bool terminal_deliver(struct terminal *t)
{
	const struct character *c = &t->character;

	if (t->in_pos < t->in_len && c->frontend)
		t->in_pos += c->frontend->receive(c->frontend_opaque, t->input + t->in_pos,
						  t->in_len - t->in_pos);
	return t->in_pos >= t->in_len;
}

/* One read. False when there is nothing more for now, or ever. */
static bool terminal_fill(struct terminal *t)
{
	ssize_t n = t->sys->ops->read(t->sys, t->in, t->input, sizeof(t->input));

	if (n == -EAGAIN)
		return false;
	if (n <= 0) {
		t->in_ended = true;
		return false;
	}
	t->in_pos = 0;
	t->in_len = t->is_raw ? terminal_filter(t, (size_t)n) : (size_t)n;
	return true;
}

static void terminal_in_event(void *opaque, uint32_t events)
{
	struct terminal *t = opaque;

	/* Nothing is held: the source is watched only then. */
	if (terminal_fill(t) && terminal_deliver(t))
		return;
	/* Level-triggered: what the guest has no room for must not wake us in vain. */
	if (t->in_ended || t->in_pos < t->in_len)
		loop_unwatch(t->loop, &t->in_source);
}

static void terminal_in_serve(void *opaque)
{
	struct terminal *t = opaque;

	if (t->in_ended || !terminal_deliver(t))
		return;
	if (t->in_plain) {
		/* One read per turn of the loop: a long file must not keep it from the rest. */
		if (terminal_fill(t) && terminal_deliver(t))
			loop_post(t->loop, &t->in_work);
		return;
	}
	if (!t->in_source.armed &&
	    loop_watch(t->loop, &t->in_source, t->in, EPOLLIN, terminal_in_event, t))
		t->in_ended = true;
}

static void terminal_resume(struct character *character)
{
	struct terminal *t = terminal_of(character);

	/* Not from within receive(): the front end may call this while it is being served. */
	if (!t->in_ended)
		loop_post(t->loop, &t->in_work);
}

static void terminal_destroy(struct character *character)
{
	struct terminal *t = terminal_of(character);

	BUG_ON(character->frontend);
	loop_unwatch(t->loop, &t->in_source);
	loop_unwatch(t->loop, &t->out_source);
	loop_cancel(t->loop, &t->in_work);
	if (t->is_raw) {
		terminal_restore();
		terminal_signals_give_back();
	}
	sys_close(t->sys, &t->out_own);
	free(t);
}

static const struct character_ops terminal_ops = {
	.write = terminal_write,
	.resume = terminal_resume,
	.flush = terminal_flush,
	.destroy = terminal_destroy,
};

/* Whether epoll refuses fd because it never blocks: a file, /dev/null. */
static int terminal_probe(struct terminal *t, int fd, uint32_t events, bool *plain)
{
	struct loop_source probe = { 0 };
	int err = loop_watch(t->loop, &probe, fd, events, terminal_out_event, t);

	*plain = err == -EPERM;
	if (err && err != -EPERM)
		return err;
	loop_unwatch(t->loop, &probe);
	return 0;
}

static void terminal_out_open(struct terminal *t)
{
	char name[16];

	if (t->out < 0 || terminal_probe(t, t->out, EPOLLOUT, &t->out_plain)) {
		t->out_broken = true;
		return;
	}
	if (t->out_plain)
		return;
	/*
	 * O_NONBLOCK belongs to the description, which the user's shell shares: set there, it would
	 * outlive us. A description of our own has its own flag. Sockets have no second one.
	 */
	snprintf(name, sizeof(name), "%d", t->out);
	t->out_own = sys_open(t->sys, SYS_STREAM, name);
}

int terminal_create(const struct terminal_config *config, struct character **out)
{
	struct terminal *t = calloc(1, sizeof(*t));
	int err;

	if (!t)
		return -ENOMEM;
	t->character.ops = &terminal_ops;
	t->sys = config->sys;
	t->loop = config->loop;
	t->leave = config->leave;
	t->opaque = config->opaque;
	t->in = config->in;
	t->out = config->out;
	t->out_own = -1;
	t->in_work = (struct loop_work){ .fn = terminal_in_serve, .opaque = t };
	signal(SIGPIPE, SIG_IGN);
	/* A closed descriptor is a stream that has ended. */
	t->in_ended = t->in < 0 || terminal_probe(t, t->in, EPOLLIN, &t->in_plain);
	terminal_out_open(t);
	if (!t->in_ended && !t->in_plain) {
		err = terminal_raw(t);
		if (err && err != -ENOTTY)
			goto err_free;
	}
	*out = &t->character;
	return 0;

err_free:
	sys_close(t->sys, &t->out_own);
	free(t);
	return err;
}
