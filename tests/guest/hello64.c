// SPDX-License-Identifier: GPL-2.0-or-later
/* A PVH image gets its start information, and long mode works. */
// EXPECT: hello from 64 bits
// EXPECT: ok: the start information has its magic
// EXPECT: ok: long mode is active
// STATUS: 1
#include "lib/guest.h"

#define PVH_MAGIC 0x336ec578u
#define EFER	  0xc0000080u
#define EFER_LMA  (1u << 10)

void guest_main(void)
{
	guest_printf("hello from %u bits\n", 64);
	guest_check(guest_boot.start_info && guest_boot.start_info[0] == PVH_MAGIC,
		    "the start information has its magic");
	guest_check(rdmsr(EFER) & EFER_LMA, "long mode is active");
}
