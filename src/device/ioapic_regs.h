/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Intel 82093AA (290566-001) section 3; EOI register: Intel ICH9 (316972-004) 13.5.4. */
#ifndef AIRLOCK_DEVICE_IOAPIC_REGS_H
#define AIRLOCK_DEVICE_IOAPIC_REGS_H

#include "base/bits.h"

/* Memory-mapped, the first two a window onto the rest. */
#define IOAPIC_REG_SELECT 0x00
#define IOAPIC_REG_WINDOW 0x10
#define IOAPIC_REG_EOI	  0x40

/* Behind the window. */
#define IOAPIC_IDX_ID	   0x00
#define IOAPIC_ID_MASK	   GENMASK(27, 24)
#define IOAPIC_IDX_VERSION 0x01
#define IOAPIC_VERSION_20  0x20u
#define IOAPIC_VERSION_MAX GENMASK(23, 16)
#define IOAPIC_IDX_ARB	   0x02
#define IOAPIC_IDX_ENTRY   0x10 /* two dwords each, low one first */

/* A redirection entry. */
#define IOAPIC_RTE_VECTOR      GENMASK64(7, 0)
#define IOAPIC_RTE_DELIVERY    GENMASK64(10, 8)
#define IOAPIC_DELIVERY_FIXED  0u
#define IOAPIC_DELIVERY_LOWEST 1u
#define IOAPIC_DELIVERY_EXTINT 7u
#define IOAPIC_RTE_DEST_MODE   BIT64(11) /* remappable: bit 15 of the index */
#define IOAPIC_RTE_STATUS      BIT64(12) /* read-only */
#define IOAPIC_RTE_POLARITY    BIT64(13)
#define IOAPIC_RTE_REMOTE_IRR  BIT64(14) /* read-only */
#define IOAPIC_RTE_LEVEL       BIT64(15)
#define IOAPIC_RTE_MASKED      BIT64(16)
/* Destination in 63:56; remappable: index in 63:49 and format in 48. */
#define IOAPIC_RTE_ADDRESS GENMASK64(63, 48)
#define IOAPIC_RTE_WRITABLE                                                                \
	(IOAPIC_RTE_ADDRESS | IOAPIC_RTE_MASKED | IOAPIC_RTE_LEVEL | IOAPIC_RTE_POLARITY | \
	 IOAPIC_RTE_DEST_MODE | IOAPIC_RTE_DELIVERY | IOAPIC_RTE_VECTOR)
#define IOAPIC_RTE_RESET IOAPIC_RTE_MASKED

/* The message (VT-d 4.1, 5.1.2.1; SDM volume 3, 11.11). */
#define MSI_ADDR_BASE	   0xfee00000u
#define MSI_ADDR_ENTRY	   GENMASK(19, 4) /* bits 63:48 of an entry, both formats */
#define MSI_ADDR_DEST_MODE BIT(2)
#define MSI_DATA_VECTOR	   GENMASK(7, 0)
#define MSI_DATA_DELIVERY  GENMASK(10, 8)
#define MSI_DATA_ASSERT	   BIT(14)
#define MSI_DATA_LEVEL	   BIT(15)

#endif
