// SPDX-License-Identifier: GPL-2.0-or-later
/* A triple fault ends the run with a status of its own, and says where. */
// ONLY: airlock
// EXPECT: about to fault
// STDERR: triple fault
// STDERR: rip
// STATUS: triple-fault
#include "lib/irq.h"

void guest_main(void)
{
	struct {
		uint16_t limit;
		uint32_t base;
	} __attribute__((packed)) none = { 0, 0 };

	guest_printf("about to fault\n");
	__asm__ volatile("lidt %0; ud2" : : "m"(none));
}
