// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A device with a TLB of its own, and a small kernel that invalidates it by the queue: what it was told to
 * forget it does not use; when it does, or invents a translation, it reaches nothing; and when it does
 * not answer, the queue says so and the device goes on without.
 */
// RUN: --iommu vtd --device edu,ats=on
// EXPECT: ok: by a translation of its own
// EXPECT: ok: it forgets when told
// EXPECT: ok: a translation it kept reaches nothing
// EXPECT: ok: nor does an invented one
// EXPECT: ok: one that does not answer is timed out
// EXPECT: ok: and goes on by plain requests
// STDERR: ATS is taken away: it does not answer an invalidation
// STATUS: 1
#include "lib/edu.h"

#define BEHAVIOUR 0xa8
#define KEEP	  1
#define MUTE	  2
#define FORGE	  4
#define STALE	  4
#define VTD_IQT	  0x88
#define VTD_IQA	  0x90
#define VTD_QIE	  (1u << 26)
#define FSTS_ITE  (1u << 6)
#define DOMAIN	  5

typedef uint64_t table[512] __attribute__((aligned(4096)));
static volatile table root, context, level4, level3, level2, level1, queue;
static volatile uint8_t a[4096] __attribute__((aligned(4096)));
static volatile uint8_t b[4096] __attribute__((aligned(4096)));
static volatile uint32_t status __attribute__((aligned(8)));
static unsigned int tail;

static uint64_t at(const volatile void *p)
{
	return (uintptr_t)p;
}

static void put(uint64_t low, uint64_t high)
{
	queue[2 * tail] = low;
	queue[2 * tail + 1] = high;
	tail = (tail + 1) % 256;
}

/* The page of the unit's and, if asked for, the device's own; and a wait. True: all done. */
static bool invalidate(const struct edu *edu, uint64_t page, bool device)
{
	static uint32_t n;

	put(0x32 | DOMAIN << 16, page);
	if (device)
		put(3 | (uint64_t)edu->rid << 32, page);
	put(5 | 0x20 | (uint64_t)++n << 32, at(&status));
	mmio_write32(VTD + VTD_IQT, tail << 4);
	while (status != n)
		if (mmio_read32(VTD + VTD_FSTS) & FSTS_ITE)
			return false;
	return true;
}

static void unit_on(const struct edu *edu)
{
	root[0] = at(context) | 1;
	/* Type 1: translation requests are answered. */
	context[2 * (edu->rid & 0xff)] = at(level4) | 1 << 2 | 1;
	context[2 * (edu->rid & 0xff) + 1] = 2 | DOMAIN << 8;
	level4[0] = at(level3) | 3;
	level3[0] = at(level2) | 3;
	level2[0] = at(level1) | 3;
	level1[0x10] = at(a) | 3;
	vtd_write64(VTD_RTADDR, at(root));
	vtd_command(VTD_SRTP, true);
	vtd_write64(VTD_IQT, 0);
	vtd_write64(VTD_IQA, at(queue));
	vtd_command(VTD_QIE, true);
	vtd_command(VTD_TE, true);
}

static void ats_on(const struct edu *edu)
{
	/* Its only extended capability; the enable bit is the last of the control word. */
	uintptr_t cap = 0xe0000000ul + ((uintptr_t)edu->rid << 12) + 0x100;

	mmio_write32(cap + 4, mmio_read32(cap + 4) | 1u << 31);
}

static void behave(const struct edu *edu, uint32_t how)
{
	mmio_write32(edu->bar + BEHAVIOUR, how);
}

void guest_main(void)
{
	struct edu edu;

	if (!edu_find(&edu))
		guest_exit(GUEST_FAILED);
	unit_on(&edu);
	ats_on(&edu);
	for (unsigned int i = 0; i < sizeof(a); i++)
		a[i] = 0x5a;
	guest_check(edu_load(&edu, 0x10000) == EDU_OK, "by a translation of its own");
	level1[0x10] = at(b) | 3;
	guest_check(invalidate(&edu, 0x10000, true) && edu_store(&edu, 0x10000) == EDU_OK &&
			    b[0] == 0x5a,
		    "it forgets when told");

	behave(&edu, KEEP);
	level1[0x10] = 0;
	b[0] = 0;
	guest_check(invalidate(&edu, 0x10000, true) && edu_store(&edu, 0x10000) == STALE && !b[0],
		    "a translation it kept reaches nothing");
	behave(&edu, FORGE);
	guest_check(edu_store(&edu, at(b)) == STALE && !b[0], "nor does an invented one");

	behave(&edu, MUTE);
	level1[0x10] = at(a) | 3;
	guest_check(!invalidate(&edu, 0x10000, true), "one that does not answer is timed out");
	behave(&edu, 0);
	mmio_write32(VTD + VTD_FSTS, FSTS_ITE);
	guest_check(edu_load(&edu, 0x10000) == EDU_OK, "and goes on by plain requests");
	guest_finish();
}
