// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/phase.h"

#include "sys/loop.h"

void phases_begin(struct phases *phases)
{
	phases->nr = 0;
	phases->start_ns = loop_now_ns();
}

void phases_mark(struct phases *phases, const char *name)
{
	if (!phases || phases->nr == PHASES_MAX)
		return;
	phases->marks[phases->nr].name = name;
	phases->marks[phases->nr].end_ns = loop_now_ns();
	phases->nr++;
}
