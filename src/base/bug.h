/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Our own mistakes, and only those. A guest's fault gets the architecture's answer, a host's
 * failure an -errno: neither may reach a BUG_ON.
 */
#ifndef AIRLOCK_BASE_BUG_H
#define AIRLOCK_BASE_BUG_H

#include "base/bits.h"

__attribute__((noreturn)) void bug_at(const char *file, int line, const char *what);

#define BUG_ON(cond)                                       \
	do {                                               \
		if (unlikely(cond))                        \
			bug_at(__FILE__, __LINE__, #cond); \
	} while (0)

#endif
