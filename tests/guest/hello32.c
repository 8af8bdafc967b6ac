// SPDX-License-Identifier: GPL-2.0-or-later
/* A Multiboot image starts in flat protected mode and can speak and end. */
// EXPECT: hello from 32 bits
// EXPECT: ok: a Multiboot loader started it
// EXPECT: ok: protected mode without paging
// STATUS: 1
#include "lib/guest.h"

void guest_main(void)
{
	uint32_t cr0;

	guest_printf("hello from %u bits\n", 32);
	guest_check(guest_boot.multiboot != NULL, "a Multiboot loader started it");
	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	guest_check((cr0 & 0x80000001) == 1, "protected mode without paging");
}
