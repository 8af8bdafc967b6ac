// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define LOG_LINE_MAX 640
#define LOG_BURST    16

static const char *const level_names[] = {
	[LOG_ERROR] = "error: ",
	[LOG_WARNING] = "warning: ",
	[LOG_INFO] = "",
};

void log_at(enum log_level level, const char *object, const char *fmt, ...)
{
	char line[LOG_LINE_MAX];
	size_t room = sizeof(line) - 2; /* CR LF */
	int n, m;
	va_list args;

	n = snprintf(line, room, "airlock: %s%s%s", level_names[level], object ? object : "",
		     object ? ": " : "");
	if (n < 0)
		return;
	if ((size_t)n < room) {
		va_start(args, fmt);
		m = vsnprintf(line + n, room - (size_t)n, fmt, args);
		va_end(args);
		n += m > 0 ? m : 0;
	}
	if ((size_t)n >= room)
		n = (int)room - 1;
	line[n++] = '\r';
	line[n++] = '\n';
	/* A log line that cannot be written has nowhere else to go. */
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return;
}

bool log_allowed(struct log_budget *budget, const char *object)
{
	unsigned int used = atomic_load_explicit(&budget->used, memory_order_relaxed);

	if (used > LOG_BURST)
		return false;
	used = atomic_fetch_add_explicit(&budget->used, 1, memory_order_relaxed);
	if (used == LOG_BURST)
		log_warning(object, "further messages of this kind are dropped");
	return used < LOG_BURST;
}
