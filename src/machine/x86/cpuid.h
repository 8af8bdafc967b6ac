/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a vCPU says of itself: the kernel's list of what it can give (KVM_GET_SUPPORTED_CPUID), with
 * the leaves that differ from vCPU to vCPU (APIC id, topology) made to fit this machine. Leaves of
 * which nothing is known are passed on as the kernel gives them. Pure functions, no lock.
 */
#ifndef AIRLOCK_MACHINE_X86_CPUID_H
#define AIRLOCK_MACHINE_X86_CPUID_H

#include <linux/kvm.h>

#include "base/types.h"

/* Room for the kernel's list and for topology leaves it does not have. */
#define CPUID_ENTRIES_MAX 256

/* One socket of nr_cpus / threads cores. */
struct cpuid_config {
	unsigned int nr_cpus;
	unsigned int threads; /* per core; a divisor of nr_cpus; 0 counts as 1 */
	bool tsc_deadline;    /* KVM_CAP_TSC_DEADLINE_TIMER: the supported list leaves it out */
};

/* APIC id of vCPU 0..nr_cpus-1: also KVM's vcpu_id, which must be equal to it. */
uint32_t cpuid_apic_id(const struct cpuid_config *config, unsigned int cpu);

/*
 * vCPU cpu's table for KVM_SET_CPUID2. supported is the kernel's list; out has room for
 * CPUID_ENTRIES_MAX. 0, or -E2BIG when it does not fit.
 */
int cpuid_build(const struct cpuid_config *config, const struct kvm_cpuid_entry2 *supported,
		unsigned int nr_supported, unsigned int cpu, struct kvm_cpuid_entry2 *out,
		unsigned int *nr_out);

/* Width in bits of the guest's physical addresses: leaf 0x80000008, 36 where there is none. */
unsigned int cpuid_phys_bits(const struct kvm_cpuid_entry2 *entries, unsigned int nr);

#endif
