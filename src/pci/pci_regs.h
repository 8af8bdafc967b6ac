/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registers of PCI config space.
 * PCI Local Bus Specification 3.0, 6; PCI-to-PCI Bridge 1.2, 3.2; PCI Express Base 6.0, 7.5-7.9.
 * An offset, then its fields indented.
 */
#ifndef AIRLOCK_PCI_PCI_REGS_H
#define AIRLOCK_PCI_PCI_REGS_H

#include "base/bits.h"

/* The indentation of fields says what they are fields of. */
/* clang-format off */

#define PCI_CONFIG_SIZE 256
#define PCIE_CONFIG_SIZE 4096

/* Common header */
#define PCI_VENDOR_ID 0x00
#define PCI_DEVICE_ID 0x02
#define PCI_COMMAND 0x04
#define   PCI_COMMAND_IO BIT(0)
#define   PCI_COMMAND_MEMORY BIT(1)
#define   PCI_COMMAND_MASTER BIT(2)
#define   PCI_COMMAND_PARITY BIT(6)
#define   PCI_COMMAND_SERR BIT(8)
#define   PCI_COMMAND_INTX_OFF BIT(10)
#define PCI_STATUS 0x06
#define   PCI_STATUS_INTX BIT(3)
#define   PCI_STATUS_CAPS BIT(4)
#define   PCI_STATUS_ERRORS GENMASK(15, 11)
#define PCI_REVISION 0x08
#define PCI_CLASS 0x09
#define PCI_CACHE_LINE 0x0c
#define PCI_LATENCY 0x0d
#define PCI_HEADER_TYPE 0x0e
#define   PCI_HEADER_TYPE_MASK GENMASK(6, 0)
#define   PCI_HEADER_MULTI BIT(7)
#define   PCI_HEADER_NORMAL 0
#define   PCI_HEADER_BRIDGE 1
#define PCI_BIST 0x0f
#define PCI_BAR0 0x10
#define   PCI_BAR_IO BIT(0)
#define   PCI_BAR_MEM64 BIT(2)
#define   PCI_BAR_PREFETCH BIT(3)
#define   PCI_BAR_IO_MASK GENMASK(31, 2)
#define   PCI_BAR_MEM_MASK GENMASK(31, 4)
#define PCI_SUBVENDOR_ID 0x2c
#define PCI_SUBDEVICE_ID 0x2e
#define PCI_ROM 0x30
#define   PCI_ROM_ENABLE BIT(0)
#define   PCI_ROM_MASK GENMASK(31, 11)
#define PCI_CAP_PTR 0x34
#define PCI_IRQ_LINE 0x3c
#define PCI_IRQ_PIN 0x3d

/* Header type 1 */
#define PCI_PRIMARY_BUS 0x18
#define PCI_SECONDARY_BUS 0x19
#define PCI_SUBORDINATE_BUS 0x1a
#define PCI_IO_BASE 0x1c
#define PCI_IO_LIMIT 0x1d
#define PCI_SECONDARY_STATUS 0x1e
#define PCI_MEMORY_BASE 0x20
#define PCI_MEMORY_LIMIT 0x22
#define PCI_PREFETCH_BASE 0x24
#define PCI_PREFETCH_LIMIT 0x26
#define   PCI_PREFETCH_64 1
#define   PCI_MEMORY_WINDOW_MASK GENMASK(15, 4) /* address bits 31..20 */
#define   PCI_IO_WINDOW_MASK GENMASK(7, 4) /* address bits 15..12 */
#define PCI_PREFETCH_BASE_HI 0x28
#define PCI_PREFETCH_LIMIT_HI 0x2c
#define PCI_IO_BASE_HI 0x30
#define PCI_IO_LIMIT_HI 0x32
#define PCI_BRIDGE_ROM 0x38
#define PCI_BRIDGE_CONTROL 0x3e
#define   PCI_BRIDGE_PARITY BIT(0)
#define   PCI_BRIDGE_SERR BIT(1)
#define   PCI_BRIDGE_BUS_RESET BIT(6)

/* Capability ids */
#define PCI_CAP_PM 0x01
#define PCI_CAP_VPD 0x03
#define PCI_CAP_MSI 0x05
#define PCI_CAP_VENDOR 0x09
#define PCI_CAP_BRIDGE_SSVID 0x0d
#define PCI_CAP_PCIE 0x10
#define PCI_CAP_MSIX 0x11
#define PCI_CAP_AF 0x13
#define PCI_CAP_EA 0x14

/* Power management */
#define PCI_PM_CAP_LEN 8
#define PCI_PM_CAPS 0x02
#define   PCI_PM_CAPS_VERSION_3 3
#define   PCI_PM_CAPS_PME_D0 BIT(11)
#define   PCI_PM_CAPS_PME_D3HOT BIT(14)
#define   PCI_PM_CAPS_PME_D3COLD BIT(15)
#define PCI_PM_CONTROL 0x04
#define   PCI_PM_STATE GENMASK(1, 0)
#define   PCI_PM_NO_SOFT_RESET BIT(3)
#define   PCI_PM_PME_ENABLE BIT(8)
#define   PCI_PM_PME_STATUS BIT(15)

/* MSI */
#define PCI_MSI_CONTROL 0x02
#define   PCI_MSI_ENABLE BIT(0)
#define   PCI_MSI_CAPABLE GENMASK(3, 1)
#define   PCI_MSI_ENABLED GENMASK(6, 4)
#define   PCI_MSI_64 BIT(7)
#define   PCI_MSI_MASKING BIT(8)
#define PCI_MSI_ADDR 0x04
#define PCI_MSI_ADDR_HI 0x08
#define PCI_MSI_DATA_32 0x08
#define PCI_MSI_DATA_64 0x0c
#define PCI_MSI_MASK_32 0x0c
#define PCI_MSI_MASK_64 0x10
#define PCI_MSI_PENDING_32 0x10
#define PCI_MSI_PENDING_64 0x14

/* MSI-X */
#define PCI_MSIX_CONTROL 0x02
#define   PCI_MSIX_SIZE GENMASK(10, 0)
#define   PCI_MSIX_MASK_ALL BIT(14)
#define   PCI_MSIX_ENABLE BIT(15)
#define PCI_MSIX_TABLE 0x04
#define PCI_MSIX_PBA 0x08
#define   PCI_MSIX_BIR GENMASK(2, 0)
#define   PCI_MSIX_OFFSET GENMASK(31, 3)
#define PCI_MSIX_CAP_LEN 12
#define PCI_MSIX_ENTRY 16
#define   PCI_MSIX_ENTRY_ADDR 0
#define   PCI_MSIX_ENTRY_DATA 8
#define   PCI_MSIX_ENTRY_CONTROL 12
#define     PCI_MSIX_ENTRY_MASKED BIT(0)

/* PCI Express capability */
#define PCI_EXP_FLAGS 0x02
#define   PCI_EXP_VERSION GENMASK(3, 0)
#define   PCI_EXP_TYPE GENMASK(7, 4)
#define     PCI_EXP_ENDPOINT 0x0
#define     PCI_EXP_LEGACY_ENDPOINT 0x1
#define     PCI_EXP_ROOT_PORT 0x4
#define     PCI_EXP_UPSTREAM 0x5
#define     PCI_EXP_DOWNSTREAM 0x6
#define     PCI_EXP_PCIE_TO_PCI 0x7
#define     PCI_EXP_PCI_TO_PCIE 0x8
#define     PCI_EXP_RC_ENDPOINT 0x9
#define     PCI_EXP_RC_EVENT 0xa
#define   PCI_EXP_SLOT BIT(8)
#define PCI_EXP_DEVCAP 0x04
#define   PCI_EXP_DEVCAP_RBER BIT(15)
#define   PCI_EXP_DEVCAP_FLR BIT(28)
#define PCI_EXP_DEVCTL 0x08
#define   PCI_EXP_DEVCTL_ERRORS GENMASK(3, 0)
#define   PCI_EXP_DEVCTL_RELAXED BIT(4)
#define   PCI_EXP_DEVCTL_PAYLOAD GENMASK(7, 5)
#define   PCI_EXP_DEVCTL_NO_SNOOP BIT(11)
#define   PCI_EXP_DEVCTL_READ GENMASK(14, 12)
#define   PCI_EXP_DEVCTL_FLR BIT(15)
#define PCI_EXP_DEVSTA 0x0a
#define   PCI_EXP_DEVSTA_PENDING BIT(5)
#define   PCI_EXP_DEVSTA_ERRORS GENMASK(3, 0)
#define PCI_EXP_LNKCAP 0x0c
#define   PCI_EXP_LNK_SPEED GENMASK(3, 0) /* also of LNKSTA, LNKCTL2 */
#define     PCI_EXP_LNK_16GT 4
#define   PCI_EXP_LNK_WIDTH GENMASK(9, 4) /* also of LNKSTA */
#define   PCI_EXP_LNKCAP_ACTIVE BIT(20)
#define   PCI_EXP_LNKCAP_ASPM_OPTIONAL BIT(22)
#define   PCI_EXP_LNKCAP_PORT GENMASK(31, 24)
#define PCI_EXP_LNKCTL 0x10
#define   PCI_EXP_LNKCTL_ASPM GENMASK(1, 0)
#define   PCI_EXP_LNKCTL_RCB BIT(3)
#define   PCI_EXP_LNKCTL_DISABLE BIT(4)
#define   PCI_EXP_LNKCTL_COMMON_CLOCK BIT(6)
#define   PCI_EXP_LNKCTL_EXT_SYNC BIT(7)
#define PCI_EXP_LNKSTA 0x12
#define   PCI_EXP_LNKSTA_SLOT_CLOCK BIT(12)
#define   PCI_EXP_LNKSTA_ACTIVE BIT(13)
#define PCI_EXP_SLTCAP 0x14
#define   PCI_EXP_SLTCAP_NUMBER GENMASK(31, 19)
#define PCI_EXP_SLTCTL 0x18
#define   PCI_EXP_SLTCTL_LINK_ENABLE BIT(12)
#define PCI_EXP_SLTSTA 0x1a
#define   PCI_EXP_SLTSTA_PRESENCE_CHANGED BIT(3)
#define   PCI_EXP_SLTSTA_PRESENT BIT(6)
#define   PCI_EXP_SLTSTA_LINK_CHANGED BIT(8)
#define PCI_EXP_RTCTL 0x1c
#define   PCI_EXP_RTCTL_ERRORS GENMASK(2, 0)
#define   PCI_EXP_RTCTL_PME BIT(3)
#define   PCI_EXP_RTCTL_CRS BIT(4)
#define PCI_EXP_RTCAP 0x1e
#define   PCI_EXP_RTCAP_CRS BIT(0)
#define PCI_EXP_RTSTA 0x20
#define   PCI_EXP_RTSTA_PME BIT(16)
#define PCI_EXP_DEVCAP2 0x24
#define   PCI_EXP_DEVCAP2_ARI BIT(5)
#define PCI_EXP_DEVCTL2 0x28
#define   PCI_EXP_DEVCTL2_ARI BIT(5)
#define PCI_EXP_LNKCAP2 0x2c
#define PCI_EXP_LNKCTL2 0x30
#define PCI_EXP_CAP_LEN 0x3c

/* Extended capabilities: header of 32 bits at 0x100 and up */
#define PCI_EXT_CAPS 0x100
#define   PCI_EXT_CAP_ID GENMASK(15, 0)
#define   PCI_EXT_CAP_VERSION GENMASK(19, 16)
#define   PCI_EXT_CAP_NEXT GENMASK(31, 20)
#define PCI_EXT_CAP_AER 0x0001
#define PCI_EXT_CAP_ACS 0x000d
#define PCI_EXT_CAP_ARI 0x000e
#define PCI_EXT_CAP_ATS 0x000f
#define PCI_EXT_CAP_SRIOV 0x0010
#define PCI_EXT_CAP_PRI 0x0013
#define PCI_EXT_CAP_REBAR 0x0015
#define PCI_EXT_CAP_DPC 0x001d
#define PCI_EXT_CAP_PASID 0x001b

/* Address translation services (10.5.1) */
#define PCI_ATS_CAP 0x04
#define   PCI_ATS_CAP_ALIGNED BIT(5)
#define PCI_ATS_CTRL 0x06
#define   PCI_ATS_STU GENMASK(4, 0)
#define   PCI_ATS_ENABLE BIT(15)

/* Access control services (7.7.11) */
#define PCI_ACS_CAP 0x04
#define PCI_ACS_CTRL 0x06
#define   PCI_ACS_SV BIT(0)
#define   PCI_ACS_TB BIT(1)
#define   PCI_ACS_RR BIT(2)
#define   PCI_ACS_CR BIT(3)
#define   PCI_ACS_UF BIT(4)
#define   PCI_ACS_EC BIT(5)
#define   PCI_ACS_DT BIT(6)

/* Alternative routing-id interpretation (7.8.8) */
#define PCI_ARI_LEN 8
#define PCI_ARI_CAP 0x04
#define   PCI_ARI_NEXT GENMASK(15, 8)
#define PCI_ARI_CTRL 0x06

/* SR-IOV (9.3.3) */
#define PCI_SRIOV_LEN 0x40
#define PCI_SRIOV_CAP 0x04
#define   PCI_SRIOV_CAP_ARI_KEPT BIT(1)
#define PCI_SRIOV_CTRL 0x08
#define   PCI_SRIOV_VF_ENABLE BIT(0)
#define   PCI_SRIOV_VF_MEMORY BIT(3)
#define   PCI_SRIOV_ARI BIT(4)
#define PCI_SRIOV_STATUS 0x0a
#define PCI_SRIOV_INITIAL_VFS 0x0c
#define PCI_SRIOV_TOTAL_VFS 0x0e
#define PCI_SRIOV_NUM_VFS 0x10
#define PCI_SRIOV_LINK 0x12
#define PCI_SRIOV_VF_OFFSET 0x14
#define PCI_SRIOV_VF_STRIDE 0x16
#define PCI_SRIOV_VF_DEVICE 0x1a
#define PCI_SRIOV_PAGE_SIZES 0x1c
#define PCI_SRIOV_PAGE_SIZE 0x20
#define PCI_SRIOV_VF_BAR0 0x24

#endif
