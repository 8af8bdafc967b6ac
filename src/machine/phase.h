/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Time per start-up phase: marks in order, each naming what has just been done. Loop thread. */
#ifndef AIRLOCK_MACHINE_PHASE_H
#define AIRLOCK_MACHINE_PHASE_H

#include "base/types.h"

#define PHASES_MAX 24

struct phases {
	uint64_t start_ns; /* CLOCK_MONOTONIC, when the process began to work */
	unsigned int nr;
	struct {
		const char *name; /* a literal */
		uint64_t end_ns;
	} marks[PHASES_MAX];
};

void phases_begin(struct phases *phases);
/* NULL is allowed: no one is measuring. */
void phases_mark(struct phases *phases, const char *name);

#endif
