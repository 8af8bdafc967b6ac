/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Libraries that most runs do not need: loaded when they are wanted, so that nobody else pays for them
 * at start, in memory, or in the size of the program.
 */
#ifndef AIRLOCK_SYS_LIBRARY_H
#define AIRLOCK_SYS_LIBRARY_H

#include <stddef.h>

struct sys_symbol {
	const char *name;
	void *to; /* a function pointer of the symbol's own type */
};

/*
 * Loads the library of that soname and fills in all `nr` symbols. The handle, or NULL when it is not
 * installed or lacks one of them.
 */
void *sys_library_open(const char *soname, const struct sys_symbol *symbols, size_t nr);
/* Its symbols may not be used any more. NULL is allowed. */
void sys_library_close(void *library);

#endif
