/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of PCI configuration space that the inventory reads.
 * PCI Local Bus 3.0 chapter 6; PCI Express Base 6.0 chapter 7 (section numbers on the right).
 */
#ifndef AIRLOCK_HOST_PCI_REGS_H
#define AIRLOCK_HOST_PCI_REGS_H

#include "base/bits.h"

#define HCFG_COMMAND	      0x04 /* 7.5.1.1.3 */
#define HCFG_COMMAND_INTX_OFF BIT(10)
#define HCFG_STATUS	      0x06
#define HCFG_STATUS_CAPS      BIT(4)
#define HCFG_REVISION	      0x08
#define HCFG_CLASS	      0x09 /* three bytes */
#define HCFG_HEADER	      0x0e
#define HCFG_HEADER_TYPE      GENMASK(6, 0)
#define HCFG_HEADER_MULTI     BIT(7)
#define HCFG_SECONDARY_BUS    0x19 /* type 1 only */
#define HCFG_SUBORDINATE_BUS  0x1a
#define HCFG_CAP_POINTER      0x34
#define HCFG_INTERRUPT_PIN    0x3d

#define HCFG_CAP_PM	      0x01 /* 7.5.2 */
#define HCFG_PM_CONTROL	      0x04
#define HCFG_PM_NO_SOFT_RESET BIT(3)
#define HCFG_CAP_MSI	      0x05 /* 7.7.1 */
#define HCFG_MSI_CONTROL      0x02
#define HCFG_MSI_CAPABLE_LG2  GENMASK(3, 1)
#define HCFG_CAP_EXPRESS      0x10 /* 7.5.3 */
#define HCFG_EXP_FLAGS	      0x02
#define HCFG_EXP_TYPE	      GENMASK(7, 4)
#define HCFG_EXP_SLOT	      BIT(8)
#define HCFG_EXP_DEVICE_CAP   0x04
#define HCFG_EXP_FLR	      BIT(28)
#define HCFG_EXP_LINK_CAP     0x0c
#define HCFG_EXP_LINK_SPEED   GENMASK(3, 0)
#define HCFG_EXP_LINK_WIDTH   GENMASK(9, 4)
#define HCFG_EXP_LINK_STATUS  0x12
#define HCFG_EXP_SLOT_CAP     0x14
#define HCFG_EXP_HOTPLUG      BIT(6)
#define HCFG_CAP_MSIX	      0x11 /* 7.7.2 */
#define HCFG_MSIX_CONTROL     0x02
#define HCFG_MSIX_LAST	      GENMASK(10, 0)
#define HCFG_CAP_AF	      0x13 /* Advanced Features ECN */
#define HCFG_AF_CAP	      0x03
#define HCFG_AF_FLR	      BIT(1)

#define HCFG_EXTENDED	      0x100
#define HCFG_EXT_ID	      GENMASK(15, 0)
#define HCFG_EXT_NEXT	      GENMASK(31, 20)
#define HCFG_EXT_ACS	      0x000d /* 7.7.11 */
#define HCFG_ACS_CAP	      0x04
#define HCFG_ACS_CONTROL      0x06
#define HCFG_EXT_ARI	      0x000e /* 7.8.8 */
#define HCFG_EXT_ATS	      0x000f /* 10.5.1 */
#define HCFG_ATS_CONTROL      0x06
#define HCFG_ATS_ENABLE	      BIT(15)
#define HCFG_EXT_SRIOV	      0x0010 /* 9.3.3 */
#define HCFG_SRIOV_TOTAL_VFS  0x0e
#define HCFG_SRIOV_NUM_VFS    0x10
#define HCFG_EXT_PRI	      0x0013 /* 10.5.2 */
#define HCFG_EXT_RESIZABLE    0x0015 /* 7.8.6 */
#define HCFG_EXT_PASID	      0x001b /* 7.8.9 */

#endif
