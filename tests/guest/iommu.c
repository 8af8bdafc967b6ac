// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * DMA through a unit that a small kernel drives: none before it is enabled, where that was asked for;
 * then what its tables say, and nothing else.
 */
// RUN: --iommu vtd,boot-dma=block --device edu --memory 64M
// EXPECT: ok: before the unit is enabled there is no DMA
// EXPECT: ok: what is mapped is reached
// EXPECT: ok: at the address it is mapped to
// EXPECT: ok: what is not mapped is a fault
// EXPECT: ok: so is a page that may only be read
// EXPECT: ok: a page past the end of memory is no memory
// EXPECT: ok: what was unmapped is gone with the invalidation
// EXPECT: ok: off again, DMA passes
// EXPECT: ok: a reset switches it off, and blocks DMA again
// STATUS: 1
#include "lib/edu.h"

#define R	 1ull
#define W	 2ull
#define FAR	 0x10000000ull /* 256 MiB: beyond this guest's memory */
#define VTD_ECAP 0x10

/* CMOS memory outlives a reset. */
#define CMOS_AGAIN 0x70
#define MAGIC	   0xb7

static uint8_t cmos_read(uint8_t reg)
{
	outb(0x70, reg);
	return inb(0x71);
}

static void cmos_write(uint8_t reg, uint8_t v)
{
	outb(0x70, reg);
	outb(0x71, v);
}

typedef uint64_t table[512] __attribute__((aligned(4096)));
static volatile table root, context, level4, level3, level2, level1;
static volatile uint8_t page[4096] __attribute__((aligned(4096)));
static volatile uint8_t other[4096] __attribute__((aligned(4096)));

static uint64_t at(const volatile void *p)
{
	return (uintptr_t)p;
}

/* Device addresses of 48 bits; 4 KiB pages below 2 MiB. */
static void tables_build(const struct edu *edu)
{
	root[0] = at(context) | 1;
	context[2 * (edu->rid & 0xff)] = at(level4) | 1;
	context[2 * (edu->rid & 0xff) + 1] = 2 | 5 << 8;
	level4[0] = at(level3) | R | W;
	level3[0] = at(level2) | R | W;
	level2[0] = at(level1) | R | W;
	level1[0x10] = at(page) | R | W;
	level1[0x11] = at(other) | R;
	level1[0x12] = FAR | R | W;
}

/* Everything, by registers; their offset is the unit's to say. */
static void invalidate(void)
{
	uint64_t ecap = *(const volatile uint64_t *)(uintptr_t)(VTD + VTD_ECAP);
	uintptr_t reg = VTD + (uintptr_t)(ecap >> 8 & 0x3ff) * 16 + 8;

	*(volatile uint64_t *)reg = 1ull << 63 | 1ull << 60;
	while (*(volatile uint64_t *)reg >> 63)
		cpu_relax();
}

void guest_main(void)
{
	uint16_t rid = 0;
	struct edu edu;

	if (!edu_find(&edu))
		guest_exit(GUEST_FAILED);
	if (cmos_read(CMOS_AGAIN) == MAGIC) {
		guest_check(!mmio_read32(VTD + VTD_GSTS) && !vtd_fault(&rid) &&
				    edu_load(&edu, at(page)) == EDU_REFUSED,
			    "a reset switches it off, and blocks DMA again");
		guest_finish();
	}
	for (unsigned int i = 0; i < sizeof(page); i++)
		page[i] = 0x5a;
	guest_check(edu_load(&edu, at(page)) == EDU_REFUSED,
		    "before the unit is enabled there is no DMA");
	(void)vtd_fault(&rid);

	tables_build(&edu);
	vtd_write64(VTD_RTADDR, at(root));
	vtd_command(VTD_SRTP, true);
	invalidate();
	vtd_command(VTD_TE, true);
	guest_check(edu_load(&edu, 0x10000) == EDU_OK && !vtd_fault(&rid),
		    "what is mapped is reached");
	level1[0x10] = at(other) | R | W;
	invalidate();
	guest_check(edu_store(&edu, 0x10008) == EDU_OK && other[8] == 0x5a && other[7] == 0,
		    "at the address it is mapped to");
	guest_check(edu_store(&edu, at(page)) == EDU_REFUSED && vtd_fault(&rid) == 5 &&
			    rid == edu.rid,
		    "what is not mapped is a fault");
	guest_check(edu_load(&edu, 0x11000) == EDU_OK && edu_store(&edu, 0x11000) == EDU_REFUSED &&
			    vtd_fault(&rid) == 5,
		    "so is a page that may only be read");
	guest_check(edu_store(&edu, 0x12000) == EDU_REFUSED,
		    "a page past the end of memory is no memory");
	(void)vtd_fault(&rid);
	level1[0x10] = 0;
	invalidate();
	guest_check(edu_load(&edu, 0x10000) == EDU_REFUSED && vtd_fault(&rid) == 6,
		    "what was unmapped is gone with the invalidation");
	vtd_command(VTD_TE, false);
	guest_check(edu_load(&edu, at(page)) == EDU_OK, "off again, DMA passes");
	vtd_command(VTD_TE, true);
	cmos_write(CMOS_AGAIN, MAGIC);
	outb(0xcf9, 2);
	outb(0xcf9, 6);
	for (;;)
		cpu_relax();
}
