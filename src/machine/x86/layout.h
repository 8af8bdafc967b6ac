/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one map of the x86 machine: every fixed guest-physical address, I/O port and interrupt pin.
 * The loaders, the ACPI tables and the board read it here, so that they cannot disagree.
 *
 *	0x00000000  RAM: boot structures below 1 MiB, the kernel from 1 MiB
 *	0xc0000000  RAM_HOLE: PCI memory, 32-bit, first window
 *	0xe0000000  ECAM, 256 buses
 *	0xf0000000  PCI memory, 32-bit, second window
 *	0xfec00000  I/O APIC, VT-d unit, local APIC, and the top of 4 GiB
 *	0x100000000 RAM_HIGH: the rest of RAM
 *	            PCI memory, 64-bit, in the upper half of the guest's physical address space
 */
#ifndef AIRLOCK_MACHINE_X86_LAYOUT_H
#define AIRLOCK_MACHINE_X86_LAYOUT_H

#include "base/bits.h"
#include "memory/ram.h"

/* Below 1 MiB: what a loader leaves behind for the guest. Page tables lie page by page. */
#define LAYOUT_GDT		 0x500ull
#define LAYOUT_START_INFO	 0x6000ull /* PVH hvm_start_info, or Multiboot information */
#define LAYOUT_BOOT_PARAMS	 0x7000ull /* Linux zero page */
#define LAYOUT_SETUP_DATA	 0x8000ull /* Linux: what the zero page has no room for */
#define LAYOUT_PAGE_TABLES	 0x9000ull
#define LAYOUT_PAGE_TABLES_PAGES 10
#define LAYOUT_BOOT_STACK	 0x1f000ull /* grows down; only a formality of entry states */
#define LAYOUT_CMDLINE		 0x20000ull
#define LAYOUT_CMDLINE_MAX	 0x10000ull /* with its NUL */
#define LAYOUT_LOW_RAM_END	 0x9fc00ull /* what a BIOS leaves: the EBDA would begin here */
#define LAYOUT_ACPI		 0xe0000ull
#define LAYOUT_ACPI_SIZE	 0x20000ull
#define LAYOUT_KERNEL_MIN	 0x100000ull

/* Memory-mapped devices. */
#define LAYOUT_MMIO32_LOW	RAM_HOLE
#define LAYOUT_MMIO32_LOW_SIZE	0x20000000ull /* up to ECAM */
#define LAYOUT_ECAM		0xe0000000ull
#define LAYOUT_ECAM_SIZE	MIB(256)
#define LAYOUT_MMIO32_HIGH	0xf0000000ull
#define LAYOUT_MMIO32_HIGH_SIZE 0x0ec00000ull /* up to the I/O APIC */
#define LAYOUT_IOAPIC		0xfec00000ull
#define LAYOUT_IOAPIC_SIZE	0x1000ull
#define LAYOUT_VTD		0xfed90000ull
#define LAYOUT_VTD_SIZE		0x1000ull
/* Requester id of the I/O APIC: where no PCI function is. f0:1f.7 as on many boards. */
#define LAYOUT_IOAPIC_BUS   0xf0
#define LAYOUT_IOAPIC_DEVFN PCI_DEVFN(0x1f, 7)
#define LAYOUT_LAPIC	    0xfee00000ull
#define LAYOUT_LAPIC_SIZE   0x100000ull
/* Three pages KVM needs for itself on Intel, where no device or RAM will ever be. */
#define LAYOUT_KVM_TSS		0xfffbd000ull
#define LAYOUT_KVM_IDENTITY_MAP 0xfffbc000ull

/* I/O ports. */
#define LAYOUT_PORT_RTC		 0x70
#define LAYOUT_PORT_COM1	 0x3f8
#define LAYOUT_PORT_PVPANIC	 0x505
#define LAYOUT_PORT_PM1A_EVT	 0x600 /* status, enable: 2 bytes each */
#define LAYOUT_PORT_PM1A_EVT_LEN 4
#define LAYOUT_PORT_PM1A_CNT	 0x604
#define LAYOUT_PORT_PM1A_CNT_LEN 2
#define LAYOUT_PORT_PM_TIMER	 0x608
#define LAYOUT_PORT_PM_TIMER_LEN 4
#define LAYOUT_PORT_PCI_ADDR	 0xcf8 /* 4 bytes, accessed as a dword; the reset byte is inside */
#define LAYOUT_PORT_RESET	 0xcf9
#define LAYOUT_RESET_VALUE	 0x06
#define LAYOUT_PORT_PCI_DATA	 0xcfc
/* What bridges hand out to BARs of I/O space. */
#define LAYOUT_PCI_IO	   0x1000
#define LAYOUT_PCI_IO_SIZE 0xf000
/* SLP_TYP of PM1a control that switches off, as \_S5 says. */
#define LAYOUT_S5_SLP_TYP 5

/* I/O APIC pins (= global system interrupts). */
#define LAYOUT_IOAPIC_PINS 24
#define LAYOUT_IRQ_PIT	   2 /* ISA interrupt 0, as everywhere since the first I/O APIC */
#define LAYOUT_IRQ_COM1	   4
#define LAYOUT_IRQ_RTC	   8
#define LAYOUT_IRQ_SCI	   9  /* level, active high */
#define LAYOUT_IRQ_INTX	   16 /* four pins: slot and INTx pin swizzled */
#define LAYOUT_NR_INTX	   4

/*
 * The pin a root-complex function's INTx drives (pin 1 = INTA); the _PRT says the same. Behind a
 * bridge the pin is swizzled once per bridge first (PCI-to-PCI Bridge 1.2, 9.1).
 */
static inline unsigned int layout_intx_pin(unsigned int slot, unsigned int intx)
{
	return LAYOUT_IRQ_INTX + (slot + intx - 1) % LAYOUT_NR_INTX;
}

#endif
