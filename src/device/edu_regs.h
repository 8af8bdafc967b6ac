/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The public teaching device (QEMU project, docs/specs/edu): registers of BAR 0. Below 0x80 accesses
 * are of 4 bytes, from there of 4 or 8. From 0xa0 on are ours; see docs/edu.md.
 */
#ifndef AIRLOCK_DEVICE_EDU_REGS_H
#define AIRLOCK_DEVICE_EDU_REGS_H

#include "base/bits.h"

#define EDU_VENDOR   0x1234
#define EDU_DEVICE   0x11e8
#define EDU_REVISION 0x10
#define EDU_CLASS    0x00ff00
#define EDU_BAR_SIZE MIB(1)

/* The indentation of fields says what they are fields of. */
/* clang-format off */
#define EDU_ID 0x00 /* read-only: 0xRRrr00ed */
#define   EDU_ID_VALUE 0x010000edu
#define EDU_LIVENESS 0x04 /* reads as the complement of what was written */
#define EDU_FACTORIAL 0x08
#define EDU_STATUS 0x20
#define   EDU_STATUS_COMPUTING BIT(0) /* read-only */
#define   EDU_STATUS_INTERRUPT BIT(7) /* when the factorial is done */
#define EDU_IRQ_STATUS 0x24 /* read-only */
#define   EDU_IRQ_FACTORIAL BIT(0)
#define   EDU_IRQ_DMA BIT(8)
#define EDU_IRQ_RAISE 0x60 /* write-only */
#define EDU_IRQ_ACK 0x64 /* write-only */
#define EDU_DMA_SOURCE 0x80
#define EDU_DMA_DESTINATION 0x88
#define EDU_DMA_COUNT 0x90
#define EDU_DMA_COMMAND 0x98
#define   EDU_DMA_RUN BIT(0)
#define   EDU_DMA_TO_MEMORY BIT(1)
#define   EDU_DMA_INTERRUPT BIT(2)

/* How the last transfer ended (read-only). */
#define EDU_DMA_RESULT 0xa0
#define   EDU_RESULT_OK 0
#define   EDU_RESULT_BUFFER 1 /* the device's side does not lie in its buffer */
#define   EDU_RESULT_REFUSED 2 /* unsupported request: no memory there, or not for this device */
#define   EDU_RESULT_UNCLEAN 3 /* not declared clean: what was read is not what is there */
#define   EDU_RESULT_STALE 4 /* a translation of its own that no longer holds */
#define   EDU_RESULT_NO_MASTER 5 /* bus mastering is off */
/* How its device TLB behaves; only with ATS. */
#define EDU_BEHAVIOUR 0xa8
#define   EDU_KEEP BIT(0) /* answers an invalidation, but forgets nothing */
#define   EDU_MUTE BIT(1) /* does not answer an invalidation */
#define   EDU_FORGE BIT(2) /* invents translations */
/* Only where it does not snoop: declares [address, address + length) clean for the next transfer. */
#define EDU_CLEAN_ADDRESS 0xb0
#define EDU_CLEAN_LENGTH 0xb8 /* a write of it declares */
/* Transfers that met memory which had not been declared clean (read-only). */
#define EDU_UNCLEAN_COUNT 0xc0
/* clang-format on */

/* The buffer, as the device's side of a transfer. It is not in the BAR. */
#define EDU_BUFFER	0x40000ull
#define EDU_BUFFER_SIZE 4096

/* What a device reads that does not snoop where a cache still holds the data. */
#define EDU_UNCLEAN_BYTE 0xdb

#endif
