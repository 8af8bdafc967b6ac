/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A stream of characters between a device of the guest's (the front end: a serial port) and
 * something of the host's (the back end: a terminal). Neither side may make the other wait: each
 * takes what it can and says later that it can take more.
 *
 * Everything here runs on the loop's thread, with no lock held.
 */
#ifndef AIRLOCK_BACKEND_CHARACTER_H
#define AIRLOCK_BACKEND_CHARACTER_H

#include "base/types.h"

struct character;

/* The device's side. */
struct character_frontend {
	/* Takes the first n bytes of input, n returned; after fewer than len, it will resume. */
	size_t (*receive)(void *opaque, const void *data, size_t len);
	/* The line is held at space for longer than a character. */
	void (*receive_break)(void *opaque);
	/* After a write that took less than all: there is room again. */
	void (*writable)(void *opaque);
};

struct character_ops {
	/* Takes the first n bytes of output, n returned; never blocks. */
	size_t (*write)(struct character *character, const void *data, size_t len);
	/* The front end has room again after a receive that took less than all. */
	void (*resume)(struct character *character);
	/* The last output before an end or a stop: waits for a slow reader, for a bounded time. */
	void (*flush)(struct character *character, const void *data, size_t len);
	/* The front end must have been detached. */
	void (*destroy)(struct character *character);
};

/* First member of every back end. Owned by who created it, and outlives the front end. */
struct character {
	const struct character_ops *ops;
	const struct character_frontend *frontend; /* NULL: nobody listens, input waits */
	void *frontend_opaque;
};

/* frontend NULL detaches. */
static inline void character_attach(struct character *character,
				    const struct character_frontend *frontend, void *opaque)
{
	character->frontend = frontend;
	character->frontend_opaque = opaque;
	if (frontend)
		character->ops->resume(character);
}

#endif
