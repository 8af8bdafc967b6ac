/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The user's terminal, or whatever stands in its place: pipes, files, /dev/null, nothing.
 *
 * Where input is a terminal it is put in raw mode, so that every key reaches the guest, but for the
 * escape: Ctrl-A, then x to leave, b for a break, h for help, or Ctrl-A again (or a) for one Ctrl-A.
 * Output processing stays as it was, so that lines of our own end properly.
 *
 * The terminal is put back by destroy, and by a handler on every signal that would otherwise end
 * the process: a crash must not leave a dead shell behind. A signal handler cannot be handed a
 * context, so what it needs is this program's one mutable file-scope object (see terminal.c). A
 * signal that somebody else handles or ignores is left to them.
 *
 * Ends of streams are no errors: input that ends stays silent, output nobody reads is discarded.
 * SIGPIPE is ignored from the first terminal on.
 */
#ifndef AIRLOCK_BACKEND_TERMINAL_H
#define AIRLOCK_BACKEND_TERMINAL_H

#include "backend/character.h"
#include "sys/loop.h"
#include "sys/sys.h"

struct terminal_config {
	struct sys *sys;
	struct loop *loop;
	int in, out; /* borrowed; -1: there is none */
	/* The user asks to leave. Loop thread. NULL: the escape has no x. */
	void (*leave)(void *opaque);
	void *opaque;
};

/* 0 or -errno; -EBUSY when another terminal of this process is in raw mode. */
int terminal_create(const struct terminal_config *config, struct character **out);

#endif
