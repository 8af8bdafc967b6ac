/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registers, commands and data structures of an NVM Express controller.
 * NVM Express Base Specification 1.4: 3.1 (registers), 4 (queues, PRP, SGL, completion), 5 (admin
 * commands), 6 (NVM command set), 7.13 and B.5 (doorbell buffers), 8.5 (virtualization).
 * An offset, then its fields indented. Offsets of data structures are bytes.
 */
#ifndef AIRLOCK_DEVICE_NVME_NVME_REGS_H
#define AIRLOCK_DEVICE_NVME_NVME_REGS_H

#include "base/bits.h"
#include "base/endian.h"

/* The indentation of fields says what they are fields of. */
/* clang-format off */

/* Registers (3.1) */
#define NVME_CAP 0x00
#define   NVME_CAP_MQES GENMASK64(15, 0) /* entries - 1 */
#define   NVME_CAP_CQR BIT64(16)
#define   NVME_CAP_TO GENMASK64(31, 24) /* 500 ms */
#define   NVME_CAP_NSSRS BIT64(36)
#define   NVME_CAP_CSS_NVM BIT64(37)
#define   NVME_CAP_MPSMIN GENMASK64(51, 48) /* 2^(12 + n) */
#define   NVME_CAP_MPSMAX GENMASK64(55, 52)
#define NVME_VS 0x08
#define   NVME_VS_1_4 0x00010400u
#define NVME_INTMS 0x0c
#define NVME_INTMC 0x10
#define NVME_CC 0x14
#define   NVME_CC_EN BIT(0)
#define   NVME_CC_CSS GENMASK(6, 4)
#define   NVME_CC_MPS GENMASK(10, 7)
#define   NVME_CC_AMS GENMASK(13, 11)
#define   NVME_CC_SHN GENMASK(15, 14)
#define   NVME_CC_IOSQES GENMASK(19, 16)
#define   NVME_CC_IOCQES GENMASK(23, 20)
#define   NVME_CC_WRITABLE GENMASK(23, 4)
#define NVME_CSTS 0x1c
#define   NVME_CSTS_RDY BIT(0)
#define   NVME_CSTS_CFS BIT(1)
#define   NVME_CSTS_SHST GENMASK(3, 2)
#define     NVME_SHST_NORMAL 0
#define     NVME_SHST_OCCURRING 1
#define     NVME_SHST_COMPLETE 2
#define   NVME_CSTS_NSSRO BIT(4)
#define NVME_NSSR 0x20
#define   NVME_NSSR_RESET 0x4e564d65u /* "NVMe" */
#define NVME_AQA 0x24
#define   NVME_AQA_ASQS GENMASK(11, 0)
#define   NVME_AQA_ACQS GENMASK(27, 16)
#define NVME_ASQ 0x28
#define NVME_ACQ 0x30
#define   NVME_ADMIN_QUEUE_ADDR GENMASK64(63, 12)
#define NVME_DOORBELLS 0x1000 /* SQ 0 tail, CQ 0 head, SQ 1 tail …: four bytes each */

/* Submission queue entry (4.2) and completion queue entry (4.6) */
#define NVME_SQE_LEN 64
#define NVME_CQE_LEN 16
#define NVME_SQE_LG2 6
#define NVME_CQE_LG2 4
#define   NVME_FLAGS_FUSE GENMASK(1, 0)
#define   NVME_FLAGS_PSDT GENMASK(7, 6)

struct nvme_sqe {
	uint8_t opcode;
	uint8_t flags;
	le16 cid;
	le32 nsid;
	le32 cdw2[2];
	le64 mptr;
	uint8_t dptr[16];
	le32 cdw10[6];
};
_Static_assert(sizeof(struct nvme_sqe) == NVME_SQE_LEN, "NVMe 1.4, 4.2");

/* SGL descriptor (4.4.1) */
#define NVME_SGL_LEN 16
#define NVME_SGL_TYPE GENMASK(7, 4)
#define   NVME_SGL_DATA 0
#define   NVME_SGL_BIT_BUCKET 1
#define   NVME_SGL_SEGMENT 2
#define   NVME_SGL_LAST_SEGMENT 3
#define NVME_SGL_SUBTYPE GENMASK(3, 0)

/* Status: code 7..0, type 10..8, more 13, do not retry 14 (4.6.1) */
#define NVME_MORE BIT(13)
#define NVME_DNR BIT(14)
#define NVME_STATUS_CODE GENMASK(10, 0)
#define NVME_OK 0x000
#define NVME_INVALID_OPCODE 0x001
#define NVME_INVALID_FIELD 0x002
#define NVME_TRANSFER_ERROR 0x004
#define NVME_INTERNAL_ERROR 0x006
#define NVME_ABORT_REQUESTED 0x007
#define NVME_ABORTED_SQ_DELETED 0x008
#define NVME_INVALID_NAMESPACE 0x00b
#define NVME_SEQUENCE_ERROR 0x00c
#define NVME_INVALID_SGL_SEGMENT 0x00d
#define NVME_INVALID_SGL_COUNT 0x00e
#define NVME_INVALID_SGL_LENGTH 0x00f
#define NVME_INVALID_SGL_TYPE 0x011
#define NVME_INVALID_PRP_OFFSET 0x013
#define NVME_OPERATION_DENIED 0x015
#define NVME_WRITE_PROTECTED 0x020
#define NVME_LBA_RANGE 0x080
#define NVME_CAPACITY_EXCEEDED 0x081
#define NVME_INVALID_CQ 0x100
#define NVME_INVALID_QID 0x101
#define NVME_INVALID_QUEUE_SIZE 0x102
#define NVME_AER_LIMIT 0x105
#define NVME_INVALID_VECTOR 0x108
#define NVME_INVALID_LOG 0x109
#define NVME_INVALID_QUEUE_DELETION 0x10c
#define NVME_NOT_SAVEABLE 0x10d
#define NVME_NOT_CHANGEABLE 0x10e
#define NVME_INSUFFICIENT_CAPACITY 0x115
#define NVME_ALREADY_ATTACHED 0x118
#define NVME_NOT_ATTACHED 0x11a
#define NVME_INVALID_CTRL_LIST 0x11c
#define NVME_INVALID_CTRL_ID 0x11f
#define NVME_INVALID_SECONDARY_STATE 0x120
#define NVME_INVALID_RESOURCE_COUNT 0x121
#define NVME_INVALID_RESOURCE_ID 0x122
#define NVME_WRITE_FAULT 0x280
#define NVME_READ_ERROR 0x281
#define NVME_COMPARE_FAILURE 0x285

/* Admin commands (5) */
#define NVME_ADMIN_DELETE_SQ 0x00
#define NVME_ADMIN_CREATE_SQ 0x01
#define NVME_ADMIN_GET_LOG 0x02
#define NVME_ADMIN_DELETE_CQ 0x04
#define NVME_ADMIN_CREATE_CQ 0x05
#define   NVME_QUEUE_ID GENMASK(15, 0) /* dword 10 */
#define   NVME_QUEUE_SIZE GENMASK(31, 16)
#define   NVME_QUEUE_PC BIT(0) /* dword 11 */
#define   NVME_CQ_IEN BIT(1)
#define   NVME_CQ_VECTOR GENMASK(31, 16)
#define   NVME_SQ_CQID GENMASK(31, 16)
#define NVME_ADMIN_IDENTIFY 0x06
#define   NVME_IDENTIFY_CNS GENMASK(7, 0) /* dword 10 */
#define   NVME_IDENTIFY_CNTID GENMASK(31, 16)
#define   NVME_IDENTIFY_CSI GENMASK(31, 24) /* dword 11 */
#define NVME_ADMIN_ABORT 0x08
#define NVME_ADMIN_SET_FEATURES 0x09
#define NVME_ADMIN_GET_FEATURES 0x0a
#define   NVME_FEATURE_ID GENMASK(7, 0) /* dword 10 */
#define   NVME_FEATURE_SELECT GENMASK(10, 8)
#define   NVME_FEATURE_SAVE BIT(31)
#define NVME_ADMIN_ASYNC_EVENT 0x0c
#define NVME_ADMIN_NS_MANAGEMENT 0x0d
#define   NVME_NS_SELECT GENMASK(3, 0) /* dword 10 */
#define NVME_ADMIN_NS_ATTACHMENT 0x15
#define NVME_ADMIN_VIRTUALIZATION 0x1c
#define   NVME_VIRT_ACTION GENMASK(3, 0) /* dword 10 */
#define     NVME_VIRT_PRIMARY_ALLOCATE 1
#define     NVME_VIRT_OFFLINE 7
#define     NVME_VIRT_ASSIGN 8
#define     NVME_VIRT_ONLINE 9
#define   NVME_VIRT_RESOURCE GENMASK(10, 8)
#define     NVME_VIRT_VQ 0
#define     NVME_VIRT_VI 1
#define   NVME_VIRT_CNTLID GENMASK(31, 16)
#define   NVME_VIRT_COUNT GENMASK(15, 0) /* dword 11 */
#define NVME_ADMIN_DOORBELL_BUFFER 0x7c

/* NVM commands (6) */
#define NVME_IO_FLUSH 0x00
#define NVME_IO_WRITE 0x01
#define NVME_IO_READ 0x02
#define NVME_IO_COMPARE 0x05
#define NVME_IO_WRITE_ZEROES 0x08
#define NVME_IO_DATASET 0x09
#define NVME_IO_VERIFY 0x0c
#define   NVME_IO_BLOCKS GENMASK(15, 0) /* dword 12: blocks - 1 */
#define   NVME_IO_DEALLOCATE BIT(25)
#define   NVME_IO_FUA BIT(30)
#define   NVME_DATASET_RANGES GENMASK(7, 0) /* dword 10: ranges - 1 */
#define   NVME_DATASET_DEALLOCATE BIT(2) /* dword 11 */
#define NVME_DATASET_RANGE_LEN 16
#define NVME_NSID_ALL 0xffffffffu
#define NVME_DATA_LEN 4096 /* of every identify structure */

/* Identify: what is asked for (5.15.1) */
#define NVME_CNS_NS 0x00
#define NVME_CNS_CTRL 0x01
#define NVME_CNS_ACTIVE 0x02
#define NVME_CNS_DESCRIPTORS 0x03
#define NVME_CNS_SET_NS 0x05   /* NVMe 2.0, 5.17.2.5 */
#define NVME_CNS_SET_CTRL 0x06 /* NVMe 2.0, 5.17.2.6 */
#define NVME_CNS_ALLOCATED 0x10
#define NVME_CNS_ALLOCATED_NS 0x11
#define NVME_CNS_NS_CTRLS 0x12
#define NVME_CNS_CTRLS 0x13
#define NVME_CNS_PRIMARY 0x14
#define NVME_CNS_SECONDARY 0x15

/* Identify controller (5.15.2.2) */
#define NVME_ID_VID 0
#define NVME_ID_SSVID 2
#define NVME_ID_SN 4
#define   NVME_SN_LEN 20
#define NVME_ID_MN 24
#define   NVME_MN_LEN 40
#define NVME_ID_FR 64
#define   NVME_FR_LEN 8
#define NVME_ID_RAB 72
#define NVME_ID_IEEE 73
#define NVME_ID_CMIC 76
#define   NVME_CMIC_CONTROLLERS BIT(1)
#define   NVME_CMIC_VF BIT(2)
#define NVME_ID_MDTS 77
#define NVME_ID_CNTLID 78
#define NVME_ID_VER 80
#define NVME_ID_OAES 92
#define   NVME_OAES_NAMESPACES BIT(8)
#define NVME_ID_CNTRLTYPE 111
#define   NVME_CNTRLTYPE_IO 1
#define NVME_ID_OACS 256
#define   NVME_OACS_NAMESPACES BIT(3)
#define   NVME_OACS_VIRTUALIZATION BIT(7)
#define   NVME_OACS_DOORBELL_BUFFER BIT(8)
#define NVME_ID_ACL 258
#define NVME_ID_AERL 259
#define NVME_ID_FRMW 260
#define   NVME_FRMW_SLOT_1_READ_ONLY BIT(0)
#define   NVME_FRMW_SLOTS GENMASK(3, 1)
#define NVME_ID_LPA 261
#define   NVME_LPA_EFFECTS BIT(1)
#define   NVME_LPA_EXTENDED BIT(2)
#define NVME_ID_ELPE 262
#define NVME_ID_WCTEMP 266
#define NVME_ID_CCTEMP 268
#define NVME_ID_TNVMCAP 280
#define NVME_ID_SQES 512
#define NVME_ID_CQES 513
#define NVME_ID_NN 516
#define NVME_ID_ONCS 520
#define   NVME_ONCS_COMPARE BIT(0)
#define   NVME_ONCS_DATASET BIT(2)
#define   NVME_ONCS_WRITE_ZEROES BIT(3)
#define   NVME_ONCS_SELECT BIT(4)
#define   NVME_ONCS_TIMESTAMP BIT(6)
#define   NVME_ONCS_VERIFY BIT(7)
#define NVME_ID_VWC 525
#define   NVME_VWC_PRESENT BIT(0)
#define   NVME_VWC_FLUSH_ALL GENMASK(2, 1)
#define NVME_ID_SGLS 536
#define   NVME_SGLS_ANY BIT(0)
#define   NVME_SGLS_BIT_BUCKET BIT(16)
#define NVME_ID_SUBNQN 768
#define   NVME_SUBNQN_LEN 256
#define NVME_ID_PSD0 2048

/* Identify namespace (5.15.2.1) */
#define NVME_NS_NSZE 0
#define NVME_NS_NCAP 8
#define NVME_NS_NUSE 16
#define NVME_NS_NSFEAT 24
#define   NVME_NSFEAT_GRANULARITY BIT(4)
#define NVME_NS_NMIC 30
#define   NVME_NMIC_SHARED BIT(0)
#define NVME_NS_DLFEAT 33
#define   NVME_DLFEAT_WRITE_ZEROES BIT(3)
#define NVME_NS_NVMCAP 48
#define NVME_NS_NPWG 64
#define NVME_NS_NPWA 66
#define NVME_NS_NPDG 68
#define NVME_NS_NPDA 70
#define NVME_NS_NATTR 99
#define   NVME_NSATTR_READ_ONLY BIT(0)
#define NVME_NS_NGUID 104
#define   NVME_NGUID_LEN 16
#define NVME_NS_LBAF0 128
#define   NVME_LBAF_LBADS GENMASK(23, 16)

/* Namespace identification descriptors (5.15.2.3) */
#define NVME_NID_NGUID 2
#define NVME_NID_CSI 4

/* Primary controller capabilities (5.15.2.12); VQ at 32, VI at 64, laid out alike */
#define NVME_PRIMARY_CNTLID 0
#define NVME_PRIMARY_CRT 4
#define   NVME_CRT_VQ BIT(0)
#define   NVME_CRT_VI BIT(1)
#define NVME_PRIMARY_VQ 32
#define NVME_PRIMARY_VI 64
#define   NVME_PRIMARY_FRT 0   /* flexible in all, 4 bytes */
#define   NVME_PRIMARY_RFA 4   /* of them assigned to secondaries, 4 bytes */
#define   NVME_PRIMARY_RFAP 8  /* of them the primary's own */
#define   NVME_PRIMARY_PRT 10  /* private */
#define   NVME_PRIMARY_FRSM 12 /* most a secondary may have */
#define   NVME_PRIMARY_GRAN 14

/* Secondary controller list (5.15.2.13) */
#define NVME_SECONDARY_MAX 127
#define NVME_SECONDARY_ENTRY 32 /* offset of the first, and length of each */
#define   NVME_SECONDARY_SCID 0
#define   NVME_SECONDARY_PCID 2
#define   NVME_SECONDARY_SCS 4
#define     NVME_SCS_ONLINE BIT(0)
#define   NVME_SECONDARY_VFN 8
#define   NVME_SECONDARY_NVQ 10
#define   NVME_SECONDARY_NVI 12

/* Log pages (5.14.1) */
#define NVME_LOG_ERROR 0x01
#define   NVME_ERROR_LEN 64
#define NVME_LOG_SMART 0x02
#define   NVME_SMART_LEN 512
#define   NVME_SMART_WARNING 0
#define     NVME_WARNING_TEMPERATURE BIT(1)
#define   NVME_SMART_TEMPERATURE 1
#define   NVME_SMART_SPARE 3
#define   NVME_SMART_SPARE_THRESHOLD 4
#define   NVME_SMART_READ 32 /* from here sixteen bytes each */
#define   NVME_SMART_WRITTEN 48
#define   NVME_SMART_READ_COMMANDS 64
#define   NVME_SMART_WRITE_COMMANDS 80
#define   NVME_SMART_POWER_CYCLES 112
#define   NVME_SMART_POWER_HOURS 128
#define   NVME_SMART_MEDIA_ERRORS 160
#define   NVME_SMART_ERRORS 176
#define NVME_LOG_FIRMWARE 0x03
#define   NVME_FIRMWARE_LEN 512
#define NVME_LOG_CHANGED_NS 0x04
#define NVME_LOG_EFFECTS 0x05
#define   NVME_EFFECTS_IO 1024
#define   NVME_EFFECT_SUPPORTED BIT(0)
#define   NVME_EFFECT_CONTENT BIT(1)
#define   NVME_EFFECT_INVENTORY BIT(3)
#define   NVME_LOG_ID GENMASK(7, 0) /* dword 10 */
#define   NVME_LOG_RETAIN BIT(15)
#define   NVME_LOG_DWORDS GENMASK(31, 16)
#define   NVME_LOG_DWORDS_HIGH GENMASK(15, 0) /* dword 11 */

/* Features (5.21.1) */
#define NVME_FEATURE_ARBITRATION 0x01
#define NVME_FEATURE_POWER 0x02
#define NVME_FEATURE_TEMPERATURE 0x04
#define   NVME_TEMPERATURE_VALUE GENMASK(15, 0)
#define   NVME_TEMPERATURE_SENSOR GENMASK(19, 16)
#define   NVME_TEMPERATURE_UNDER GENMASK(21, 20)
#define NVME_FEATURE_ERROR_RECOVERY 0x05
#define NVME_FEATURE_WRITE_CACHE 0x06
#define NVME_FEATURE_QUEUES 0x07
#define NVME_FEATURE_COALESCING 0x08
#define NVME_FEATURE_VECTOR 0x09
#define   NVME_VECTOR_ID GENMASK(15, 0)
#define   NVME_VECTOR_NO_COALESCING BIT(16)
#define NVME_FEATURE_ATOMICITY 0x0a
#define NVME_FEATURE_EVENTS 0x0b
#define   NVME_EVENTS_SMART GENMASK(7, 0)
#define   NVME_EVENTS_NAMESPACES BIT(8)
#define NVME_FEATURE_TIMESTAMP 0x0e
#define   NVME_TIMESTAMP_LEN 8
#define   NVME_TIMESTAMP_SET 1 /* origin, bits 3..1 of byte 6 */
#define NVME_SELECT_CURRENT 0
#define NVME_SELECT_DEFAULT 1
#define NVME_SELECT_SAVED 2
#define NVME_SELECT_CAPABILITIES 3
#define   NVME_FEATURE_CHANGEABLE BIT(2)
#define   NVME_FEATURE_PER_NAMESPACE BIT(1)

/* Asynchronous events (5.2.1): type 2..0, information 15..8, log page 23..16 */
#define NVME_EVENT(type, info, log) ((uint32_t)(type) | (uint32_t)(info) << 8 | (uint32_t)(log) << 16)
#define NVME_EVENT_TYPE GENMASK(2, 0)
#define   NVME_EVENT_ERROR 0
#define   NVME_EVENT_SMART 1
#define   NVME_EVENT_NOTICE 2
#define NVME_EVENT_LOG GENMASK(23, 16)

/* clang-format on */

#endif
