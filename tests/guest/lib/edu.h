/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The teaching device (docs/edu.md) and the VT-d unit, for guests that try one with the other. */
#ifndef AIRLOCK_TESTS_GUEST_EDU_H
#define AIRLOCK_TESTS_GUEST_EDU_H

#include "guest.h"

#define EDU_IRQ_RAISE	0x60
#define EDU_IRQ_ACK	0x64
#define EDU_SOURCE	0x80
#define EDU_DESTINATION 0x88
#define EDU_COUNT	0x90
#define EDU_COMMAND	0x98
#define EDU_RESULT	0xa0
#define EDU_BUFFER	0x40000
#define EDU_OK		0
#define EDU_REFUSED	2

#define VTD		0xfed90000u
#define VTD_CAP		0x08
#define VTD_GCMD	0x18
#define VTD_GSTS	0x1c
#define VTD_RTADDR	0x20
#define VTD_CCMD	0x28
#define VTD_FSTS	0x34
#define VTD_IRTA	0xb8
#define VTD_FRCD	0x220 /* CAP.FRO * 16 */
#define VTD_TE		(1u << 31)
#define VTD_SRTP	(1u << 30)
#define VTD_IRE		(1u << 25)
#define VTD_SIRTP	(1u << 24)
/* Bits of the status that a command repeats. */
#define VTD_KEPT 0x96ffffffu

struct edu {
	uint16_t rid;
	uintptr_t bar;
};

static inline uint32_t pci_read(unsigned int rid, unsigned int reg)
{
	outl(0xcf8, 0x80000000u | rid << 8 | (reg & 0xfc));
	return inl(0xcfc);
}

static inline void pci_write(unsigned int rid, unsigned int reg, uint32_t v)
{
	outl(0xcf8, 0x80000000u | rid << 8 | (reg & 0xfc));
	outl(0xcfc, v);
}

/* The first on bus 0, with memory decoding and bus mastering on. */
static inline bool edu_find(struct edu *edu)
{
	for (edu->rid = 0; edu->rid < 0x100; edu->rid += 8) {
		if (pci_read(edu->rid, 0) != 0x11e81234)
			continue;
		edu->bar = pci_read(edu->rid, 0x10) & ~0xfu;
		pci_write(edu->rid, 4, (pci_read(edu->rid, 4) & 0xffff) | 6);
		return true;
	}
	return false;
}

/* Its MSI capability: this message, and on. */
static inline void edu_msi(const struct edu *edu, uint32_t addr, uint16_t data)
{
	unsigned int cap = pci_read(edu->rid, 0x34) & 0xff;

	while (cap && (pci_read(edu->rid, cap) & 0xff) != 5)
		cap = pci_read(edu->rid, cap) >> 8 & 0xff;
	pci_write(edu->rid, cap + 4, addr);
	pci_write(edu->rid, cap + 8, 0);
	pci_write(edu->rid, cap + 12, data);
	pci_write(edu->rid, cap, pci_read(edu->rid, cap) | 1u << 16);
}

/* A transfer of 16 bytes: its result. */
static inline uint32_t edu_move(const struct edu *edu, uint64_t from, uint64_t to, uint32_t command)
{
	*(volatile uint64_t *)(edu->bar + EDU_SOURCE) = from;
	*(volatile uint64_t *)(edu->bar + EDU_DESTINATION) = to;
	*(volatile uint64_t *)(edu->bar + EDU_COUNT) = 16;
	mmio_write32(edu->bar + EDU_COMMAND, command | 1);
	while (mmio_read32(edu->bar + EDU_COMMAND) & 1)
		cpu_relax();
	return mmio_read32(edu->bar + EDU_RESULT);
}

static inline uint32_t edu_load(const struct edu *edu, uint64_t addr)
{
	return edu_move(edu, addr, EDU_BUFFER, 0);
}

static inline uint32_t edu_store(const struct edu *edu, uint64_t addr)
{
	return edu_move(edu, EDU_BUFFER, addr, 2);
}

/* One command of the global register; until the status has it. */
static inline void vtd_command(uint32_t bit, bool on)
{
	uint32_t status = mmio_read32(VTD + VTD_GSTS) & VTD_KEPT;

	mmio_write32(VTD + VTD_GCMD, on ? status | bit : status & ~bit);
	while (!!(mmio_read32(VTD + VTD_GSTS) & bit) != on)
		cpu_relax();
}

static inline void vtd_write64(unsigned int reg, uint64_t v)
{
	*(volatile uint64_t *)(uintptr_t)(VTD + reg) = v;
}

/* The reason of the oldest fault, taken; 0: none. *rid says whose. */
static inline unsigned int vtd_fault(uint16_t *rid)
{
	uint32_t fsts = mmio_read32(VTD + VTD_FSTS);
	uintptr_t at = VTD + VTD_FRCD + 16 * (fsts >> 8 & 0xff);
	unsigned int reason;

	if (!(fsts & 2))
		return 0;
	*rid = mmio_read32(at + 8) & 0xffff;
	reason = mmio_read32(at + 12) & 0xff;
	mmio_write32(at + 12, 1u << 31);
	return reason;
}

#endif
