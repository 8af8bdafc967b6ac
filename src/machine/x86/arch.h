/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the x86 part of a machine keeps for itself, between its own files. */
#ifndef AIRLOCK_MACHINE_X86_ARCH_H
#define AIRLOCK_MACHINE_X86_ARCH_H

#include <linux/kvm.h>

#include "machine/arch.h"
#include "machine/x86/boot.h"
#include "machine/x86/cpuid.h"

struct arch_vm {
	struct kvm_cpuid2 *supported;  /* KVM_GET_SUPPORTED_CPUID; owned */
	struct kvm_msr_list *msr_list; /* MSRs that make up a vCPU's state; owned */
	struct cpuid_config cpuid;
	unsigned int phys_bits; /* width of the guest's physical addresses */
};

/* Power-on state of a vCPU as KVM made it, taken before it first ran: what a reset restores. */
struct arch_vcpu {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_fpu fpu;
	struct kvm_lapic_state lapic;
	struct kvm_vcpu_events events;
	struct kvm_debugregs debugregs;
	struct kvm_xcrs xcrs;
	struct kvm_mp_state mp_state;
	bool has_xcrs;
	struct kvm_msrs *msrs; /* owned */
};

/* Sets one MSR of a stopped vCPU; -EIO when KVM does not take the value. */
int arch_vcpu_set_msr(struct vcpu *vcpu, uint32_t index, uint64_t value);
/* The boot vCPU's first registers. */
int arch_vcpu_enter(struct vcpu *vcpu, const struct boot_entry *entry);

#endif
