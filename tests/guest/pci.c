// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The PCI bus as a small kernel sees it: both ways to config space agree, bridges are numbered,
 * BARs have a size and a place, and nothing is there where nothing is.
 */
// RUN: --device root-port,id=p1 --device root-port,id=p2
// EXPECT: 00.0 host bridge
// EXPECT: bridges: 2
// EXPECT: ok: ECAM and the ports agree on every function
// EXPECT: ok: an absent function reads as ones
// EXPECT: ok: bridges are numbered before the guest runs
// EXPECT: ok: every BAR sizes to a power of two and keeps its place
// EXPECT: ok: part of the address register's dword does not select
// STATUS: 1
#include "lib/acpi.h"

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc

static uintptr_t ecam;

static uint32_t port_read(unsigned int bus, unsigned int devfn, unsigned int reg)
{
	outl(CONFIG_ADDRESS, 0x80000000u | bus << 16 | devfn << 8 | (reg & 0xfc));
	return inl(CONFIG_DATA);
}

static void port_write(unsigned int bus, unsigned int devfn, unsigned int reg, uint32_t v)
{
	outl(CONFIG_ADDRESS, 0x80000000u | bus << 16 | devfn << 8 | (reg & 0xfc));
	outl(CONFIG_DATA, v);
}

static uint32_t ecam_read(unsigned int bus, unsigned int devfn, unsigned int reg)
{
	return mmio_read32(ecam + (bus << 20 | devfn << 12 | reg));
}

/* Sizes the BARs of a function; true if all are sane. */
static bool bars_are_sane(unsigned int bus, unsigned int devfn, unsigned int nr)
{
	uint32_t command = port_read(bus, devfn, 4);
	bool sane = true;

	port_write(bus, devfn, 4, command & ~3u);
	for (unsigned int i = 0; i < nr; i++) {
		unsigned int reg = 0x10 + 4 * i;
		uint32_t before = port_read(bus, devfn, reg), mask, size;

		port_write(bus, devfn, reg, 0xffffffff);
		mask = port_read(bus, devfn, reg);
		port_write(bus, devfn, reg, before);
		sane &= port_read(bus, devfn, reg) == before;
		mask &= mask & 1 ? ~3u : ~0xfu;
		size = ~mask + 1;
		if (!mask)
			continue;
		guest_printf("%x:%02x.%u BAR%u %x size %x\n", bus, devfn >> 3, devfn & 7, i, before,
			     size);
		sane &= !(size & (size - 1));
		sane &= !(before & (size - 1) & ~0xfu);
		i += (before & 7) == 4;
	}
	port_write(bus, devfn, 4, command & 0xffff);
	return sane;
}

void guest_main(void)
{
	const uint8_t *mcfg = acpi_find("MCFG");
	bool agree = true, numbered = true, sane = true;
	unsigned int bridges = 0;

	if (!mcfg) {
		guest_check(false, "there is an MCFG");
		return;
	}
	ecam = acpi_get(mcfg + 44, 4);
	for (unsigned int devfn = 0; devfn < 256; devfn++) {
		uint32_t id = port_read(0, devfn, 0), class, header;

		agree &= id == ecam_read(0, devfn, 0);
		if (id == 0xffffffff)
			continue;
		for (unsigned int reg = 0; reg < 64; reg += 4)
			agree &= port_read(0, devfn, reg) == ecam_read(0, devfn, reg);
		class = port_read(0, devfn, 8) >> 16;
		header = port_read(0, devfn, 12) >> 16 & 0x7f;
		guest_printf("%02x.%u %s %04x:%04x\n", devfn >> 3, devfn & 7,
			     class == 0x600 ? "host bridge"
			     : header == 1  ? "bridge"
					    : "function",
			     id & 0xffff, id >> 16);
		if (header == 1) {
			uint32_t buses = port_read(0, devfn, 0x18);

			bridges++;
			numbered &= !(buses & 0xff) && (buses >> 8 & 0xff) &&
				    (buses >> 16 & 0xff) >= (buses >> 8 & 0xff);
		}
		sane &= bars_are_sane(0, devfn, header == 1 ? 2 : 6);
	}
	guest_printf("bridges: %u\n", bridges);
	guest_check(agree, "ECAM and the ports agree on every function");
	guest_check(port_read(0, 0xf7, 0) == 0xffffffff && ecam_read(0, 0xf7, 0) == 0xffffffff &&
			    ecam_read(0, 0xf7, 0x100) == 0xffffffff,
		    "an absent function reads as ones");
	guest_check(numbered, "bridges are numbered before the guest runs");
	guest_check(sane, "every BAR sizes to a power of two and keeps its place");
	outl(CONFIG_ADDRESS, 0x80000000u);
	outw(CONFIG_ADDRESS, 0xf700);
	guest_check(inl(CONFIG_DATA) == port_read(0, 0, 0),
		    "part of the address register's dword does not select");
}
