/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A refusal meant for a person: which object, why, and what to do about it. It is filled once,
 * where the fact is known, carried upwards untouched and printed once by the command line:
 *
 *	airlock: 0000:03:00.0: group 14 is not viable: 03:00.1 is bound to i40e
 *	  remedy: bind the whole group: airlock bind 0000:03:00.0 --group
 *
 * The first refusal wins: filling a diag that is already set changes nothing, so an outer layer
 * can add a general reason without hiding the exact one. A NULL diag is allowed everywhere.
 */
#ifndef AIRLOCK_BASE_DIAG_H
#define AIRLOCK_BASE_DIAG_H

#include <stdarg.h>

#include "base/types.h"

struct diag {
	int err; /* -errno; 0 when nothing was refused */
	char object[96];
	char reason[416];
	char remedy[416]; /* empty where there is none */
};

#define DIAG_INIT \
	{         \
		0 \
	}

/*
 * Says that `object` is refused with `err` (a negative errno) for the formatted reason.
 * Returns err, so that the origin of an error reads `return diag_set(...)`.
 */
int diag_set(struct diag *diag, int err, const char *object, const char *reason, ...)
	__attribute__((format(printf, 4, 5)));

/*
 * Adds the remedy to the refusal just set with `err`; an earlier refusal that stands keeps its own.
 * Returns err, with or without a diag.
 */
int diag_remedy(struct diag *diag, int err, const char *remedy, ...)
	__attribute__((format(printf, 3, 4)));

/* Forgets the refusal: for a caller that tries something else instead. */
void diag_clear(struct diag *diag);

/* Prints object, reason and remedy to stderr, each line prefixed as above. */
void diag_print(const struct diag *diag);

#endif
