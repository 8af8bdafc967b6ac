/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the program tells a person while it runs. Every line names its object. Lines go to stderr
 * through one write each, so that lines of different threads never mix; when the terminal is in
 * raw mode they end in CR LF all the same.
 *
 * Lines that a guest can provoke at will use log_limited(): the guest must not be able to fill a
 * disk. Refusals of a command go into a struct diag instead (base/diag.h).
 */
#ifndef AIRLOCK_BASE_LOG_H
#define AIRLOCK_BASE_LOG_H

#include <stdatomic.h>

#include "base/types.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO };

/* Prints `object: message`. object may be NULL for the VM as a whole. Any thread. */
void log_at(enum log_level level, const char *object, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(object, ...)	 log_at(LOG_ERROR, object, __VA_ARGS__)
#define log_warning(object, ...) log_at(LOG_WARNING, object, __VA_ARGS__)
#define log_info(object, ...)	 log_at(LOG_INFO, object, __VA_ARGS__)

/* Lets the first `burst` lines through for the life of its owner, then says once that it stops. */
struct log_budget {
	atomic_uint used;
};

/* True while the budget lasts. Lives in the object whose guest provokes the line. */
bool log_allowed(struct log_budget *budget, const char *object);

#define log_limited(budget, level, object, ...)             \
	do {                                                \
		if (log_allowed(budget, object))            \
			log_at(level, object, __VA_ARGS__); \
	} while (0)

#endif
