/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linux/x86 boot protocol 2.15: Documentation/arch/x86/boot.rst (offsets in the image, which are
 * those in the zero page too) and zero-page.rst.
 */
#ifndef AIRLOCK_MACHINE_X86_LINUX_REGS_H
#define AIRLOCK_MACHINE_X86_LINUX_REGS_H

#include "base/bits.h"

#define LINUX_PARAMS_SIZE	  0x1000
#define LINUX_SECTOR		  512
#define LINUX_SETUP_SECTS_DEFAULT 4

/* Zero page only. */
#define LINUX_ACPI_RSDP		0x070 /* 8 bytes */
#define LINUX_EXT_RAMDISK_IMAGE 0x0c0
#define LINUX_EXT_RAMDISK_SIZE	0x0c4
#define LINUX_E820_ENTRIES	0x1e8 /* 1 byte */
#define LINUX_E820_TABLE	0x2d0
#define LINUX_E820_ENTRY_SIZE	20

/* Setup header. */
#define LINUX_SETUP_SECTS      0x1f1 /* 1 byte */
#define LINUX_SYSSIZE	       0x1f4 /* 4 bytes, in units of 16 */
#define LINUX_BOOT_FLAG	       0x1fe /* 2 bytes */
#define LINUX_BOOT_FLAG_MAGIC  0xaa55
#define LINUX_JUMP	       0x200	  /* second byte: length of the header from 0x202 on */
#define LINUX_HEADER	       0x202	  /* 4 bytes */
#define LINUX_HEADER_MAGIC     0x53726448 /* "HdrS" */
#define LINUX_VERSION	       0x206	  /* 2 bytes */
#define LINUX_VERSION_64       0x020c	  /* first with xloadflags */
#define LINUX_KERNEL_VERSION   0x20e	  /* 2 bytes, less 0x200 */
#define LINUX_TYPE_OF_LOADER   0x210	  /* 1 byte */
#define LINUX_LOADER_UNDEFINED 0xff
#define LINUX_LOADFLAGS	       0x211 /* 1 byte */
#define LINUX_LOADED_HIGH      BIT(0)
#define LINUX_KASLR	       BIT(1)
#define LINUX_CAN_USE_HEAP     BIT(7)
#define LINUX_CODE32_START     0x214 /* 4 bytes */
#define LINUX_RAMDISK_IMAGE    0x218 /* 4 bytes */
#define LINUX_RAMDISK_SIZE     0x21c /* 4 bytes */
#define LINUX_CMD_LINE_PTR     0x228 /* 4 bytes */
#define LINUX_INITRD_ADDR_MAX  0x22c /* 4 bytes, inclusive */
#define LINUX_KERNEL_ALIGNMENT 0x230 /* 4 bytes */
#define LINUX_RELOCATABLE      0x234 /* 1 byte */
#define LINUX_XLOADFLAGS       0x236 /* 2 bytes */
#define LINUX_XLF_KERNEL_64    BIT(0)
#define LINUX_XLF_ABOVE_4G     BIT(1)
#define LINUX_CMDLINE_SIZE     0x238 /* 4 bytes, without the NUL */
#define LINUX_SETUP_DATA       0x250 /* 8 bytes */
#define LINUX_PAYLOAD_OFFSET   0x248 /* 4 bytes, from the protected-mode code */
#define LINUX_PAYLOAD_LENGTH   0x24c /* 4 bytes */
#define LINUX_PREF_ADDRESS     0x258 /* 8 bytes */
#define LINUX_INIT_SIZE	       0x260 /* 4 bytes */
#define LINUX_HEADER_END       0x290 /* the zero page has no room beyond */

/* The 64-bit entry lies this far behind the protected-mode code's beginning. */
#define LINUX_ENTRY_64 0x200

/* struct setup_data: next (8 bytes), type (4), length (4), data. */
#define LINUX_SETUP_RNG_SEED  9
#define LINUX_SETUP_DATA_HEAD 16

#endif
