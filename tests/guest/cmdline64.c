// SPDX-License-Identifier: GPL-2.0-or-later
/* The command line arrives in a PVH image, quotes, spaces and all. */
// RUN: --append "one two=three 'four  five' x=\"y\""
// EXPECT: ok: it is what was given
// STATUS: 1
#include "lib/guest.h"

void guest_main(void)
{
	guest_printf("command line [%s]\n", guest_boot.cmdline);
	guest_check(guest_text_equal(guest_boot.cmdline, "one two=three 'four  five' x=\"y\""),
		    "it is what was given");
}
