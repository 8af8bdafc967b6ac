/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPUID leaves and fields the machine sets itself.
 * Intel SDM volume 2A, "CPUID" (December 2023); AMD APM volume 3 rev. 3.35, appendix E.
 */
#ifndef AIRLOCK_MACHINE_X86_CPUID_REGS_H
#define AIRLOCK_MACHINE_X86_CPUID_REGS_H

#include "base/bits.h"

#define CPUID_VENDOR		    0x0 /* EAX: greatest basic leaf; EBX, EDX, ECX: name */

#define CPUID_FEATURES		    0x1
#define CPUID_1_EBX_APIC_ID	    GENMASK(31, 24)
#define CPUID_1_EBX_LOGICAL	    GENMASK(23, 16) /* addressable ids in the package */
#define CPUID_1_ECX_X2APIC	    BIT(21)
#define CPUID_1_ECX_TSC_DEADLINE    BIT(24)
#define CPUID_1_ECX_OSXSAVE	    BIT(27)
#define CPUID_1_ECX_HYPERVISOR	    BIT(31)
#define CPUID_1_EDX_HTT		    BIT(28) /* the package has more than one id */

#define CPUID_CACHE		    0x4		  /* and, in the same form, CPUID_AMD_CACHE */
#define CPUID_CACHE_EAX_TYPE	    GENMASK(4, 0) /* 0: no more caches */
#define CPUID_CACHE_EAX_LEVEL	    GENMASK(7, 5)
#define CPUID_CACHE_EAX_SHARING	    GENMASK(25, 14) /* ids that share it, less one */
#define CPUID_4_EAX_CORES	    GENMASK(31, 26) /* core ids in the package, less one */

#define CPUID_TOPOLOGY		    0xb
#define CPUID_TOPOLOGY_V2	    0x1f
#define CPUID_TOPOLOGY_EAX_SHIFT    GENMASK(4, 0)  /* id bits below the next level */
#define CPUID_TOPOLOGY_EBX_COUNT    GENMASK(15, 0) /* logical processors at this level */
#define CPUID_TOPOLOGY_ECX_SUBLEAF  GENMASK(7, 0)
#define CPUID_TOPOLOGY_ECX_TYPE	    GENMASK(15, 8)
#define CPUID_TOPOLOGY_TYPE_SMT	    1
#define CPUID_TOPOLOGY_TYPE_CORE    2

#define CPUID_ADDRESS_SIZES	    0x80000008
#define CPUID_SIZES_EAX_PHYS	    GENMASK(7, 0)
#define CPUID_SIZES_EAX_GUEST_PHYS  GENMASK(23, 16) /* what can be mapped; 0: as PHYS */
#define CPUID_SIZES_ECX_THREADS	    GENMASK(7, 0)   /* AMD: in the package, less one */
#define CPUID_SIZES_ECX_ID_SIZE	    GENMASK(15, 12) /* AMD: id bits within the package */

#define CPUID_AMD_CACHE		    0x8000001d
#define CPUID_AMD_TOPOLOGY	    0x8000001e
#define CPUID_AMD_TOPOLOGY_EBX_CORE GENMASK(7, 0)
#define CPUID_AMD_TOPOLOGY_EBX_SMT  GENMASK(15, 8) /* threads of a core, less one */
#define CPUID_AMD_TOPOLOGY_V2	    0x80000026

#endif
