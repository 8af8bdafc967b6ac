// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A device that keeps faulting loses everything: its requests, its interrupts, bus mastering. Its driver
 * can switch that on again, and it helps nothing. The device beside it has noticed nothing.
 */
// RUN: --iommu vtd,quarantine=4/0 --device edu,id=bad --device edu,id=good
// EXPECT: ok: a few faults are forgiven
// EXPECT: ok: then it is cut off
// EXPECT: ok: and its bus mastering is off
// EXPECT: ok: switching it on again helps nothing
// EXPECT: ok: its neighbour works
// STDERR: bad: quarantined: its requests keep faulting
// STATUS: 1
#include "lib/edu.h"

#define NO_MASTER 5
#define MASTER	  4u

typedef uint64_t table[512] __attribute__((aligned(4096)));
static volatile table root, context, level4, level3, level2, level1;
static volatile uint8_t page[4096] __attribute__((aligned(4096)));

static uint64_t at(const volatile void *p)
{
	return (uintptr_t)p;
}

static void tables_build(const struct edu *edu)
{
	context[2 * (edu->rid & 0xff)] = at(level4) | 1;
	context[2 * (edu->rid & 0xff) + 1] = 2 | 5 << 8;
}

void guest_main(void)
{
	struct edu bad, good;
	bool found = edu_find(&bad);
	uint32_t command;

	good = bad;
	good.rid = (uint16_t)(bad.rid + 8);
	if (!found || pci_read(good.rid, 0) != 0x11e81234)
		guest_exit(GUEST_FAILED);
	good.bar = pci_read(good.rid, 0x10) & ~0xfu;
	pci_write(good.rid, 4, (pci_read(good.rid, 4) & 0xffff) | 6);

	root[0] = at(context) | 1;
	level4[0] = at(level3) | 3;
	level3[0] = at(level2) | 3;
	level2[0] = at(level1) | 3;
	level1[0x10] = at(page) | 3;
	tables_build(&bad);
	tables_build(&good);
	vtd_write64(VTD_RTADDR, at(root));
	vtd_command(VTD_SRTP, true);
	vtd_command(VTD_TE, true);

	guest_check(edu_store(&bad, 0x20000) == EDU_REFUSED &&
			    edu_store(&bad, 0x20000) == EDU_REFUSED &&
			    edu_store(&bad, 0x10000) == EDU_OK,
		    "a few faults are forgiven");
	for (unsigned int i = 0; i < 200 && edu_store(&bad, 0x20000) == EDU_REFUSED; i++)
		;
	guest_check(edu_store(&bad, 0x10000) == NO_MASTER, "then it is cut off");
	do
		command = pci_read(bad.rid, 4);
	while (command & MASTER);
	guest_check(true, "and its bus mastering is off");
	pci_write(bad.rid, 4, (command & 0xffff) | MASTER);
	guest_check(edu_store(&bad, 0x10000) == NO_MASTER, "switching it on again helps nothing");
	guest_check(edu_store(&good, 0x10000) == EDU_OK, "its neighbour works");
	guest_finish();
}
