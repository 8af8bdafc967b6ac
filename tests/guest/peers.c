// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two devices behind a switch: one reads and writes registers of the other by DMA, until access control
 * sends such requests up, where nothing maps them.
 */
// RUN: --iommu vtd,boot-dma=block --device root-port,id=rp --device switch,id=sw,bus=rp --device edu,bus=sw.0,dma-bits=64 --device edu,bus=sw.1,dma-bits=64
// EXPECT: ok: both are there
// EXPECT: ok: registers of a neighbour can be read
// EXPECT: ok: and written
// EXPECT: ok: redirected, they cannot
// STATUS: 1
#include "lib/edu.h"

#define LIVENESS     0x04
#define PORT_ACS     0x104 /* its only extended capability */
#define ACS_REDIRECT (4u << 16)

static uint32_t *ecam_at(unsigned int rid, unsigned int reg)
{
	return (uint32_t *)(0xe0000000ul + ((uintptr_t)rid << 12) + reg);
}

static unsigned int find(struct edu *edu, unsigned int max)
{
	unsigned int n = 0;

	for (unsigned int bus = 1; bus < 8 && n < max; bus++) {
		if (pci_read(bus << 8, 0) != 0x11e81234)
			continue;
		edu[n].rid = (uint16_t)(bus << 8);
		edu[n].bar = pci_read(bus << 8, 0x10) & ~0xfu;
		pci_write(bus << 8, 4, (pci_read(bus << 8, 4) & 0xffff) | 6);
		n++;
	}
	return n;
}

/* Four bytes between the buffer and a register. */
static uint32_t move(const struct edu *edu, uint64_t from, uint64_t to, uint32_t command)
{
	*(volatile uint64_t *)(edu->bar + EDU_SOURCE) = from;
	*(volatile uint64_t *)(edu->bar + EDU_DESTINATION) = to;
	*(volatile uint64_t *)(edu->bar + EDU_COUNT) = 4;
	mmio_write32(edu->bar + EDU_COMMAND, command | 1);
	while (mmio_read32(edu->bar + EDU_COMMAND) & 1)
		cpu_relax();
	return mmio_read32(edu->bar + EDU_RESULT);
}

void guest_main(void)
{
	struct edu edu[2];
	bool found = find(edu, 2) == 2;

	guest_check(found, "both are there");
	if (!found)
		guest_finish();
	guest_check(move(&edu[0], edu[1].bar, EDU_BUFFER, 0) == EDU_OK,
		    "registers of a neighbour can be read");
	guest_check(move(&edu[0], EDU_BUFFER, edu[1].bar + LIVENESS, 2) == EDU_OK &&
			    mmio_read32(edu[1].bar + LIVENESS) == ~0x010000edu,
		    "and written");
	/* 02:00.0 is the port above the first. */
	*(volatile uint32_t *)ecam_at(0x200, PORT_ACS) = ACS_REDIRECT;
	guest_check(move(&edu[0], EDU_BUFFER, edu[1].bar + LIVENESS, 2) == EDU_REFUSED,
		    "redirected, they cannot");
	guest_finish();
}
