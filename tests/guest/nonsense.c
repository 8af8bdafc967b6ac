// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A guest that writes nonsense to every port, to every byte of config space and all over the
 * devices' memory gets the hardware's answers, and the machine lives on. Only ports whose purpose
 * is to end or to reset the machine are left out, and the serial port, which has to tell.
 */
// RUN: --device root-port,id=p1
// TIMEOUT: 120
// EXPECT: ok: every port read and written
// EXPECT: ok: every byte of config space written through the ports
// EXPECT: ok: config space written through ECAM
// EXPECT: ok: device memory written
// EXPECT: ok: and the machine still tells the time
// STATUS: 1
#include "lib/acpi.h"
#include "lib/irq.h"

static uint32_t seed = 1;

static uint32_t nonsense(void)
{
	seed = seed * 1664525 + 1013904223;
	return seed >> 7 | seed << 25;
}

static bool is_spared(unsigned int port, uint16_t pm_control)
{
	return (port >= COM1 && port < COM1 + 8) || (port >= DEBUG_EXIT && port < DEBUG_EXIT + 4) ||
	       port == 0x505 || port == 0x64 || port == 0x92 || port == 0xcf9 ||
	       (port >= pm_control && port < pm_control + 2u);
}

static void ports(uint16_t pm_control)
{
	for (unsigned int port = 0; port < 0x10000; port++) {
		if (is_spared(port, pm_control))
			continue;
		(void)inb((uint16_t)port);
		outb((uint16_t)port, (uint8_t)nonsense());
	}
	/* Wider ones, where something is or could be. */
	for (unsigned int port = 0; port < 0x1000; port++) {
		bool spared = false;

		for (unsigned int i = 0; i < 4; i++)
			spared |= is_spared(port + i, pm_control);
		if (spared)
			continue;
		(void)inw((uint16_t)port);
		(void)inl((uint16_t)port);
		outw((uint16_t)port, (uint16_t)nonsense());
		outl((uint16_t)port, nonsense());
	}
}

static void config_ports(void)
{
	for (unsigned int devfn = 0; devfn < 16; devfn++) {
		for (unsigned int reg = 0; reg < 256; reg++) {
			outl(0xcf8, 0x80000000u | devfn << 8 | (reg & 0xfc));
			outb((uint16_t)(0xcfc + (reg & 3)), (uint8_t)nonsense());
			(void)inb((uint16_t)(0xcfc + (reg & 3)));
		}
	}
}

static void config_ecam(uintptr_t ecam)
{
	/* Everything of the first functions, and a sample of all the rest. */
	for (unsigned int devfn = 0; devfn < 16; devfn++) {
		for (unsigned int reg = 0; reg < 4096; reg += 4)
			mmio_write32(ecam + (devfn << 12) + reg, nonsense());
		for (unsigned int reg = 0; reg < 4096; reg += 61)
			*(volatile uint8_t *)(ecam + (devfn << 12) + reg) = (uint8_t)nonsense();
		for (unsigned int reg = 1; reg < 4092; reg += 127)
			(void)mmio_read32(ecam + (devfn << 12) + reg);
	}
	for (unsigned int i = 0; i < 4096; i++)
		mmio_write32(ecam + (nonsense() & 0x0ffffffc), nonsense());
}

static void device_memory(void)
{
	for (unsigned int at = 0; at < 0x1000; at += 4)
		mmio_write32(IOAPIC + at, nonsense());
	for (unsigned int i = 0; i < 4096; i++)
		ioapic_write((uint8_t)nonsense(), nonsense() | IOAPIC_MASKED);
	/* The VT-d unit's place, and the gaps around it. */
	for (unsigned int at = 0; at < 0x10000; at += 4)
		mmio_write32(0xfed80000u + at, nonsense());
}

void guest_main(void)
{
	const uint8_t *mcfg = acpi_find("MCFG");
	uintptr_t ecam = mcfg ? acpi_get(mcfg + 44, 4) : 0;
	uint32_t start;

	ports(acpi_port(ACPI_FADT_PM1A_CONTROL));
	guest_check(true, "every port read and written");
	config_ports();
	guest_check(true, "every byte of config space written through the ports");
	config_ecam(ecam);
	guest_check(ecam != 0, "config space written through ECAM");
	device_memory();
	guest_check(true, "device memory written");
	start = acpi_timer();
	acpi_delay_us(1000);
	guest_check(acpi_timer_since(start) > 3000, "and the machine still tells the time");
}
