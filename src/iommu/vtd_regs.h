/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Intel VT-d, as in "Intel Virtualization Technology for Directed I/O, Architecture Specification",
 * rev 4.1 (March 2023): registers (chapter 11), translation structures (chapter 9), invalidation
 * descriptors (6.5.2), interrupt structures (5.1, 9.10, 9.11), fault reasons (7.1.3, 5.1.4.1).
 */
#ifndef AIRLOCK_IOMMU_VTD_REGS_H
#define AIRLOCK_IOMMU_VTD_REGS_H

#include "base/bits.h"

#define VTD_REG_SIZE	    0x1000

#define VTD_VER		    0x00	    /* 11.4.1, 32 bits */
#define VTD_CAP		    0x08	    /* 11.4.2, 64 */
#define CAP_ND		    GENMASK64(2, 0) /* domains: 2^(4 + 2n) */
#define CAP_AFL		    BIT64(3)
#define CAP_RWBF	    BIT64(4)
#define CAP_PLMR	    BIT64(5)
#define CAP_PHMR	    BIT64(6)
#define CAP_CM		    BIT64(7)
#define CAP_SAGAW	    GENMASK64(12, 8)  /* bit 1: 39, 2: 48, 3: 57 */
#define CAP_MGAW	    GENMASK64(21, 16) /* width - 1 */
#define CAP_ZLR		    BIT64(22)
#define CAP_FRO		    GENMASK64(33, 24) /* / 16 */
#define CAP_SSLPS	    GENMASK64(37, 34) /* bit 0: 2 MiB, 1: 1 GiB */
#define CAP_PSI		    BIT64(39)
#define CAP_NFR		    GENMASK64(47, 40) /* registers - 1 */
#define CAP_MAMV	    GENMASK64(53, 48)
#define CAP_DWD		    BIT64(54)
#define CAP_DRD		    BIT64(55)
#define CAP_FS1GP	    BIT64(56)
#define CAP_PI		    BIT64(59)
#define CAP_FS5LP	    BIT64(60)
#define CAP_ESIRTPS	    BIT64(62)
#define CAP_ESRTPS	    BIT64(63)
#define VTD_ECAP	    0x10 /* 11.4.3, 64 */
#define ECAP_C		    BIT64(0)
#define ECAP_QI		    BIT64(1)
#define ECAP_DT		    BIT64(2)
#define ECAP_IR		    BIT64(3)
#define ECAP_EIM	    BIT64(4)
#define ECAP_PT		    BIT64(6)
#define ECAP_SC		    BIT64(7)
#define ECAP_IRO	    GENMASK64(17, 8) /* / 16 */
#define ECAP_MHMV	    GENMASK64(23, 20)
#define ECAP_NEST	    BIT64(26)
#define ECAP_PSS	    GENMASK64(39, 35) /* PASID bits - 1 */
#define ECAP_PASID	    BIT64(40)
#define ECAP_SMTS	    BIT64(43)
#define ECAP_SSADS	    BIT64(45)
#define ECAP_SSTS	    BIT64(46)
#define ECAP_FSTS	    BIT64(47)
#define ECAP_SMPWCS	    BIT64(48)
#define ECAP_RPS	    BIT64(49)
#define VTD_GCMD	    0x18 /* 11.4.4.1, 32, write-only */
#define VTD_GSTS	    0x1c /* 11.4.4.2, 32, read-only; same places */
#define GCMD_CFI	    BIT(23)
#define GCMD_SIRTP	    BIT(24)
#define GCMD_IRE	    BIT(25)
#define GCMD_QIE	    BIT(26)
#define GCMD_WBF	    BIT(27)
#define GCMD_EAFL	    BIT(28)
#define GCMD_SFL	    BIT(29)
#define GCMD_SRTP	    BIT(30)
#define GCMD_TE		    BIT(31)
#define VTD_RTADDR	    0x20 /* 11.4.5, 64 */
#define RTADDR_TTM	    GENMASK64(11, 10)
#define RTADDR_TTM_LEGACY   0
#define RTADDR_TTM_SCALABLE 1
#define RTADDR_TTM_ABORT    3
#define RTADDR_RTA	    GENMASK64(63, 12)
#define VTD_CCMD	    0x28 /* 11.4.6.1, 64 */
#define CCMD_DID	    GENMASK64(15, 0)
#define CCMD_SID	    GENMASK64(31, 16)
#define CCMD_FM		    GENMASK64(33, 32)
#define CCMD_CAIG	    GENMASK64(60, 59)
#define CCMD_CIRG	    GENMASK64(62, 61)
#define CCMD_ICC	    BIT64(63)
#define VTD_FSTS	    0x34 /* 11.4.7.1, 32 */
#define FSTS_PFO	    BIT(0)
#define FSTS_PPF	    BIT(1)
#define FSTS_IQE	    BIT(4)
#define FSTS_ICE	    BIT(5)
#define FSTS_ITE	    BIT(6)
#define FSTS_FRI	    GENMASK(15, 8)
#define VTD_FECTL	    0x38    /* 11.4.7.2, 32 */
#define EVENT_IP	    BIT(30) /* of FECTL and IECTL */
#define EVENT_IM	    BIT(31)
#define VTD_FEDATA	    0x3c /* 11.4.7.3 */
#define VTD_FEADDR	    0x40 /* 11.4.7.4 */
#define VTD_FEUADDR	    0x44 /* 11.4.7.5 */
#define VTD_AFLOG	    0x58 /* reserved: no advanced fault logging */
#define VTD_PMEN	    0x64 /* 11.4.8.1, 32 */
#define PMEN_PRS	    BIT(0)
#define PMEN_EPM	    BIT(31)
#define VTD_PLMBASE	    0x68 /* 11.4.8.2, 32; granularity is ours: 2 MiB */
#define VTD_PLMLIMIT	    0x6c /* 11.4.8.3, 32 */
#define VTD_PHMBASE	    0x70 /* 11.4.8.4, 64 */
#define VTD_PHMLIMIT	    0x78 /* 11.4.8.5, 64 */
#define PMR_ALIGN_LG2	    21
#define VTD_IQH		    0x80 /* 11.4.9.1, 64 */
#define VTD_IQT		    0x88 /* 11.4.9.2, 64 */
#define IQT_QT		    GENMASK64(18, 4)
#define VTD_IQA		    0x90	    /* 11.4.9.3, 64 */
#define IQA_QS		    GENMASK64(2, 0) /* 2^n pages of 4 KiB */
#define IQA_DW		    BIT64(11)	    /* descriptors of 256 bits */
#define IQA_IQA		    GENMASK64(63, 12)
#define VTD_ICS		    0x9c /* 11.4.9.4, 32 */
#define ICS_IWC		    BIT(0)
#define VTD_IECTL	    0xa0 /* 11.4.9.5, 32 */
#define VTD_IEDATA	    0xa4
#define VTD_IEADDR	    0xa8
#define VTD_IEUADDR	    0xac
#define VTD_IQERCD	    0xb0 /* 11.4.9.9, 64 */
#define IQERCD_IQEI	    GENMASK64(3, 0)
#define IQEI_TAIL	    1 /* beyond the queue */
#define IQEI_FETCH	    2
#define IQEI_TYPE	    3
#define IQEI_RESERVED	    4
#define IQEI_WIDTH	    5
#define IQEI_TAIL_ALIGN	    6
#define IQEI_TTM	    7
#define IQERCD_ITESID	    GENMASK64(47, 32)
#define VTD_IRTA	    0xb8	    /* 11.4.10.1, 64 */
#define IRTA_S		    GENMASK64(3, 0) /* 2^(n + 1) entries */
#define IRTA_EIME	    BIT64(11)
#define IRTA_IRTA	    GENMASK64(63, 12)
/* Where CAP and ECAP say: */
#define VTD_IVA		     0xf0 /* 11.4.6.3, 64 */
#define IVA_AM		     GENMASK64(5, 0)
#define IVA_IH		     BIT64(6)
#define IVA_ADDR	     GENMASK64(63, 12)
#define VTD_IOTLB	     0xf8 /* 11.4.6.2, 64 */
#define IOTLB_DID	     GENMASK64(47, 32)
#define IOTLB_DW	     BIT64(48)
#define IOTLB_DR	     BIT64(49)
#define IOTLB_IAIG	     GENMASK64(58, 57)
#define IOTLB_IIRG	     GENMASK64(61, 60)
#define IOTLB_IVT	     BIT64(63)
#define VTD_FRCD	     0x220 /* 11.4.7.6, 128 each */
#define VTD_FRCD_SIZE	     16
#define VTD_FRCD_MAX	     8
#define FRCD_FI		     GENMASK64(63, 12) /* of the low half */
#define FRCD_IR_INDEX	     GENMASK64(63, 48) /* likewise, of an interrupt */
#define FRCD_SID	     GENMASK64(15, 0)  /* of the high half */
#define FRCD_PP		     BIT64(31)
#define FRCD_FR		     GENMASK64(39, 32)
#define FRCD_PV		     GENMASK64(59, 40)
#define FRCD_AT		     GENMASK64(61, 60)
#define FRCD_AT_UNTRANSLATED 0
#define FRCD_AT_TRANSLATION  1
#define FRCD_T1		     BIT64(62) /* 1: read */
#define FRCD_F		     BIT64(63)

/* Invalidation granularity, in CCMD, IOTLB and their descriptors. */
#define VTD_G_GLOBAL	1
#define VTD_G_DOMAIN	2
#define VTD_G_SELECTIVE 3 /* device, or pages */

/* The largest ranges one command names. */
#define VTD_MAMV 18 /* 2^18 pages: 1 GiB */
#define VTD_MHMV 15

/* Root entry, legacy (9.1): low half; the high half is reserved. Scalable (9.2): one half each. */
#define ROOT_P	  BIT64(0)
#define ROOT_CTP  GENMASK64(63, 12)
#define ROOT_RSVD GENMASK64(11, 1)

/* Context entry, legacy (9.3), 128 bits. */
#define CTX_P		    BIT64(0)
#define CTX_FPD		    BIT64(1)
#define CTX_TT		    GENMASK64(3, 2)
#define CTX_TT_UNTRANSLATED 0 /* only untranslated requests, through the tables */
#define CTX_TT_ALL	    1 /* translation requests and translated ones too */
#define CTX_TT_PASS	    2
#define CTX_RSVD_LOW	    GENMASK64(11, 4)
#define CTX_SSPTPTR	    GENMASK64(63, 12)
#define CTX_AW		    GENMASK64(2, 0) /* of the high word: 1: 39 bits, 2: 48, 3: 57 */
#define CTX_DID		    GENMASK64(23, 8)
#define CTX_RSVD_HIGH	    (BIT64(7) | GENMASK64(63, 24))

/* Scalable-mode context entry (9.4), 256 bits. */
#define SCTX_P		 BIT64(0)
#define SCTX_FPD	 BIT64(1)
#define SCTX_DTE	 BIT64(2)
#define SCTX_PASIDE	 BIT64(3)
#define SCTX_PRE	 BIT64(4)
#define SCTX_RSVD_0	 GENMASK64(8, 5)
#define SCTX_PDTS	 GENMASK64(11, 9) /* 2^(n + 7) directory entries */
#define SCTX_PASIDDIRPTR GENMASK64(63, 12)
#define SCTX_RID_PASID	 GENMASK64(19, 0) /* of the second word */
#define SCTX_RSVD_1	 GENMASK64(63, 20)

/* PASID directory entry (9.5) and PASID table entry (9.6), 512 bits. */
#define PDIR_P		  BIT64(0)
#define PDIR_FPD	  BIT64(1)
#define PDIR_RSVD	  GENMASK64(11, 2)
#define PDIR_SMPTBLPTR	  GENMASK64(63, 12)
#define PASID_P		  BIT64(0)
#define PASID_FPD	  BIT64(1)
#define PASID_AW	  GENMASK64(4, 2)
#define PASID_PGTT	  GENMASK64(8, 6)
#define PASID_PGTT_FIRST  1
#define PASID_PGTT_SECOND 2
#define PASID_PGTT_NESTED 3
#define PASID_PGTT_PASS	  4
#define PASID_SSADE	  BIT64(9)
#define PASID_RSVD_0	  (BIT64(5) | GENMASK64(11, 10))
#define PASID_SSPTPTR	  GENMASK64(63, 12)
#define PASID_DID	  GENMASK64(15, 0) /* of the second word */
#define PASID_PGSNP	  BIT64(24)
#define PASID_RSVD_1	  GENMASK64(22, 16)
#define PASID_SRE	  BIT64(0)	  /* of the third */
#define PASID_FSPM	  GENMASK64(3, 2) /* 0: four levels, 1: five */
#define PASID_FSPTPTR	  GENMASK64(63, 12)
#define PASID_RSVD_2	  GENMASK64(11, 8)

/* Invalidation descriptors (6.5.2). The type has seven bits in two places. */
#define DESC_TYPE_LOW	   GENMASK64(3, 0)
#define DESC_TYPE_HIGH	   GENMASK64(11, 9)
#define DESC_CONTEXT	   1
#define DESC_IOTLB	   2
#define DESC_DEV_TLB	   3
#define DESC_IEC	   4
#define DESC_WAIT	   5
#define DESC_PASID_IOTLB   6
#define DESC_PASID_CACHE   7
#define DESC_PASID_DEV_TLB 8
#define DESC_G		   GENMASK64(5, 4)
#define DESC_DID	   GENMASK64(31, 16)
#define DESC_PASID	   GENMASK64(51, 32)
#define CC_SID		   GENMASK64(47, 32)
#define CC_FM		   GENMASK64(49, 48)
#define CC_RSVD		   (GENMASK64(8, 6) | GENMASK64(15, 12) | GENMASK64(63, 50))
#define TLB_DW		   BIT64(6)
#define TLB_DR		   BIT64(7)
#define TLB_RSVD	   (BIT64(8) | GENMASK64(15, 12) | GENMASK64(63, 32))
#define TLB_AM		   GENMASK64(5, 0) /* of the second word */
#define TLB_IH		   BIT64(6)
#define TLB_ADDR	   GENMASK64(63, 12)
#define TLB_RSVD_1	   GENMASK64(11, 7)
#define DTLB_SID	   GENMASK64(47, 32)
#define DTLB_RSVD	   (GENMASK64(8, 4) | GENMASK64(31, 21) | GENMASK64(51, 48))
#define DTLB_S		   BIT64(0) /* of the second word */
#define DTLB_ADDR	   GENMASK64(63, 12)
#define DTLB_RSVD_1	   GENMASK64(11, 1)
#define IEC_G		   BIT64(4) /* 0: all entries */
#define IEC_IM		   GENMASK64(31, 27)
#define IEC_IIDX	   GENMASK64(47, 32)
#define IEC_RSVD	   (GENMASK64(8, 5) | GENMASK64(26, 12) | GENMASK64(63, 48))
#define WAIT_IF		   BIT64(4)
#define WAIT_SW		   BIT64(5)
#define WAIT_FN		   BIT64(6)
#define WAIT_PD		   BIT64(7)
#define WAIT_STDATA	   GENMASK64(63, 32)
#define WAIT_RSVD	   (WAIT_PD | BIT64(8) | GENMASK64(31, 12))
#define WAIT_STADDR	   GENMASK64(63, 2) /* of the second word */
#define PTLB_ALL	   2		    /* granularity: all of the PASID */
#define PTLB_PAGES	   3
#define PTLB_RSVD	   (GENMASK64(8, 6) | GENMASK64(15, 12) | GENMASK64(63, 52))
#define PC_DOMAIN	   0
#define PC_PASID	   1
#define PC_GLOBAL	   3
#define PC_RSVD		   (GENMASK64(8, 6) | GENMASK64(15, 12) | GENMASK64(63, 52))
#define PDTLB_SID	   GENMASK64(31, 16)
#define PDTLB_G		   BIT64(0) /* of the second word: every PASID */
#define PDTLB_S		   BIT64(11)
#define PDTLB_RSVD_1	   GENMASK64(10, 1)

/* Interrupt request in remappable format (5.1.2.2): address, then data. */
#define MSI_ADDR_HANDLE_15  BIT(2)
#define MSI_ADDR_SHV	    BIT(3)
#define MSI_ADDR_REMAPPABLE BIT(4)
#define MSI_ADDR_HANDLE	    GENMASK(19, 5)
#define MSI_DATA_SUBHANDLE  GENMASK(15, 0)
#define MSI_DATA_RSVD	    GENMASK(31, 16)

/* Interrupt remapping table entry (9.9 remapped, 9.10 posted), 128 bits. */
#define IRTE_P		    BIT64(0)
#define IRTE_FPD	    BIT64(1)
#define IRTE_DM		    BIT64(2)
#define IRTE_RH		    BIT64(3)
#define IRTE_TM		    BIT64(4)
#define IRTE_DLM	    GENMASK64(7, 5)
#define IRTE_DLM_FIXED	    0
#define IRTE_DLM_LOWEST	    1
#define IRTE_DLM_SMI	    2
#define IRTE_DLM_NMI	    4
#define IRTE_DLM_INIT	    5
#define IRTE_DLM_EXTINT	    7
#define IRTE_IM		    BIT64(15) /* 1: posted */
#define IRTE_V		    GENMASK64(23, 16)
#define IRTE_DST	    GENMASK64(63, 32) /* x2APIC */
#define IRTE_DST_XAPIC	    GENMASK64(47, 40)
#define IRTE_RSVD	    (GENMASK64(14, 12) | GENMASK64(31, 24))
#define IRTE_RSVD_XAPIC	    (GENMASK64(39, 32) | GENMASK64(63, 48))
#define IRTE_SID	    GENMASK64(15, 0) /* of the high word, from here */
#define IRTE_SQ		    GENMASK64(17, 16)
#define IRTE_SVT	    GENMASK64(19, 18)
#define IRTE_SVT_NONE	    0
#define IRTE_SVT_SID	    1
#define IRTE_SVT_BUS	    2
#define IRTE_RSVD_HIGH	    GENMASK64(63, 20)
#define IRTE_POST_RSVD	    (GENMASK64(7, 2) | GENMASK64(13, 12) | GENMASK64(37, 24))
#define IRTE_POST_URG	    BIT64(14)
#define IRTE_POST_PDA_LOW   GENMASK64(63, 38) /* descriptor address, bits 31:6 */
#define IRTE_POST_RSVD_HIGH GENMASK64(31, 20)
#define IRTE_POST_PDA_HIGH  GENMASK64(63, 32)

/* Posted-interrupt descriptor (9.11), 64 bytes, aligned to that. */
#define PID_PIR	       0  /* 256 bits: a request per vector */
#define PID_CONTROL    32 /* 64 bits */
#define PID_ON	       BIT64(0)
#define PID_SN	       BIT64(1)
#define PID_RSVD       (GENMASK64(15, 2) | GENMASK64(31, 24))
#define PID_NV	       GENMASK64(23, 16)
#define PID_NDST       GENMASK64(63, 32)
#define PID_NDST_XAPIC GENMASK64(47, 40)

/* Fault reasons. Requests of DMA in legacy mode; in scalable mode; interrupts (5.1.4.1). */
enum vtd_fault_reason {
	VTD_FAULT_NONE = 0,
	VTD_LRT_2 = 0x01, /* root entry not present */
	VTD_LCT_2 = 0x02, /* context entry not present */
	VTD_LCT_4 = 0x03, /* context entry wrongly programmed, or its table pointer unreachable */
	VTD_LGN_1 = 0x04, /* address beyond what the width allows */
	VTD_LGN_2 = 0x05, /* no write permission */
	VTD_LGN_3 = 0x06, /* no read permission */
	VTD_LSS_1 = 0x07, /* paging entry unreachable */
	VTD_LRT_1 = 0x08, /* root entry unreachable */
	VTD_LCT_1 = 0x09, /* context entry unreachable */
	VTD_LRT_3 = 0x0a, /* reserved field of a root entry */
	VTD_LCT_3 = 0x0b, /* of a context entry */
	VTD_LSS_2 = 0x0c, /* of a paging entry */
	VTD_LCT_5 = 0x0d, /* translation or translated request where the entry allows none */
	VTD_LGN_4 = 0x0e, /* output in the interrupt address range */

	VTD_IR_REQUEST_RSVD = 0x20,
	VTD_IR_INDEX = 0x21,
	VTD_IR_ABSENT = 0x22,
	VTD_IR_LOST = 0x23,
	VTD_IR_ENTRY_RSVD = 0x24,
	VTD_IR_COMPAT = 0x25,
	VTD_IR_SOURCE = 0x26,
	VTD_IR_PID_LOST = 0x27,
	VTD_IR_PID_RSVD = 0x28,

	VTD_RTA_1 = 0x30, /* translation table mode reserved or not offered */
	VTD_RTA_2 = 0x31, /* request with PASID in legacy mode */
	VTD_SRT_1 = 0x38, /* scalable root entry: unreachable, absent, reserved field */
	VTD_SRT_2 = 0x39,
	VTD_SRT_3 = 0x3a,
	VTD_SCT_1 = 0x40, /* scalable context entry: likewise */
	VTD_SCT_2 = 0x41,
	VTD_SCT_3 = 0x42,
	VTD_SCT_4 = 0x43, /* wrongly programmed */
	VTD_SCT_5 = 0x44, /* translation or translated request without DTE */
	VTD_SCT_6 = 0x45, /* request with PASID without PASIDE */
	VTD_SCT_7 = 0x46, /* PASID beyond the directory */
	VTD_SCT_9 = 0x48, /* RID_PASID wrongly programmed */
	VTD_SPD_1 = 0x50, /* PASID directory entry: unreachable, absent, reserved field */
	VTD_SPD_2 = 0x51,
	VTD_SPD_3 = 0x52,
	VTD_SPT_1 = 0x58, /* PASID table entry: likewise */
	VTD_SPT_2 = 0x59,
	VTD_SPT_3 = 0x5a,
	VTD_SPT_4 = 0x5b,  /* wrongly programmed */
	VTD_SFS_1 = 0x70,  /* first-stage entry unreachable */
	VTD_SFS_2 = 0x71,  /* absent */
	VTD_SFS_3 = 0x72,  /* reserved field */
	VTD_SFS_4 = 0x73,  /* first-stage table pointer unreachable */
	VTD_SFS_5 = 0x74,  /* nested: table address beyond the second stage's width */
	VTD_SFS_6 = 0x75,  /* nested: top table may not be read */
	VTD_SFS_7 = 0x76,  /* nested: a table below may not be read */
	VTD_SFS_8 = 0x77,  /* nested: accessed or dirty bit may not be written */
	VTD_SSS_1 = 0x78,  /* second-stage entry unreachable */
	VTD_SSS_2 = 0x79,  /* neither read nor write */
	VTD_SSS_3 = 0x7a,  /* reserved field */
	VTD_SSS_4 = 0x7b,  /* second-stage table pointer unreachable */
	VTD_SSS_6 = 0x7d,  /* accessed or dirty bit could not be set */
	VTD_SGN_1 = 0x80,  /* first-stage address not canonical */
	VTD_SGN_2 = 0x81,  /* supervisor page, user request */
	VTD_SGN_4 = 0x83,  /* pass-through address beyond the host's width */
	VTD_SGN_5 = 0x84,  /* second-stage input beyond its width */
	VTD_SGN_6 = 0x85,  /* no write permission */
	VTD_SGN_7 = 0x86,  /* no read permission */
	VTD_SGN_8 = 0x87,  /* output in the interrupt address range */
	VTD_SFS_10 = 0x91, /* accessed or dirty bit could not be set */
};

#endif
