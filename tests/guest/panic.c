// SPDX-License-Identifier: GPL-2.0-or-later
/* A panic that the guest reports ends the run with a status and a message of its own. */
// ONLY: airlock
// EXPECT: panicking
// STDERR: panic
// STATUS: panic
#include "lib/guest.h"

void guest_main(void)
{
	guest_printf("panicking\n");
	outb(0x505, 1);
	for (;;)
		__asm__ volatile("hlt");
}
