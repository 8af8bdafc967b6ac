// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/bug.h"

#include <stdio.h>
#include <stdlib.h>

void bug_at(const char *file, int line, const char *what)
{
	fprintf(stderr, "airlock: bug at %s:%d: %s\n", file, line, what);
	abort();
}
