// SPDX-License-Identifier: GPL-2.0-or-later
/* The memory map covers what was asked for, its parts do not overlap, and all of it is RAM. */
// RUN: --memory 96M
// EXPECT: ok: there is a map
// EXPECT: ok: the parts do not overlap
// EXPECT: ok: it adds up to what was asked for
// EXPECT: ok: each MiB keeps what is written
// EXPECT: ok: above it nothing is kept
// STATUS: 1
#include "lib/guest.h"

#define HAS_MAP (1u << 6)
#define MIB(n)	((uint32_t)(n) << 20)
#define SIZE	MIB(96)
#define ENTRIES 32

extern const uint8_t guest_end[];

static uint32_t first[ENTRIES], last[ENTRIES], types[ENTRIES];
static unsigned int nr;

static void read_map(void)
{
	uintptr_t at = guest_boot.multiboot[12], end = at + guest_boot.multiboot[11];

	while (at < end && nr < ENTRIES) {
		const uint32_t *e = (const uint32_t *)at;

		/* Beyond 4 GiB lies nothing of interest here. */
		if (!e[2]) {
			first[nr] = e[1];
			last[nr] = e[4] ? 0xffffffff : e[1] + e[3] - 1;
			types[nr] = e[5];
			guest_printf("%08x-%08x type %u\n", first[nr], last[nr], types[nr]);
			nr++;
		}
		at += e[0] + 4;
	}
}

void guest_main(void)
{
	bool apart = true, kept = true;
	uint32_t sum = 0, top = 0;

	guest_check(guest_boot.multiboot && (guest_boot.multiboot[0] & HAS_MAP), "there is a map");
	read_map();
	for (unsigned int i = 0; i < nr; i++) {
		for (unsigned int k = 0; k < i; k++)
			apart &= first[i] > last[k] || first[k] > last[i];
		if (types[i] != 1)
			continue;
		sum += last[i] - first[i] + 1;
		if (last[i] > top)
			top = last[i];
	}
	guest_check(apart, "the parts do not overlap");
	/* Without the hole below 1 MiB, and what firmware keeps. */
	guest_check(sum <= SIZE && sum > SIZE - MIB(1), "it adds up to what was asked for");
	for (uint32_t at = MIB(2); at + 4 <= top; at += MIB(1))
		if ((const uint8_t *)(uintptr_t)at >= guest_end)
			mmio_write32(at, at ^ 0x5a5a5a5a);
	for (uint32_t at = MIB(2); at + 4 <= top; at += MIB(1))
		if ((const uint8_t *)(uintptr_t)at >= guest_end)
			kept &= mmio_read32(at) == (at ^ 0x5a5a5a5a);
	guest_check(kept, "each MiB keeps what is written");
	mmio_write32(SIZE + MIB(64), 0x12345678);
	guest_check(mmio_read32(SIZE + MIB(64)) != 0x12345678, "above it nothing is kept");
}
