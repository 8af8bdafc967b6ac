// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/endian.h"
#include "machine/x86/arch.h"
#include "machine/x86/cpu_state.h"
#include "machine/x86/layout.h"
#include "machine/x86/pc.h"

/* Intel SDM 3C, 24.7: clearing it from the host's side takes KVM out of VMX operation. */
#define MSR_FEATURE_CONTROL 0x3a

/* Memory type range registers (Intel SDM 3A, 12.11): what firmware leaves behind. */
#define MSR_MTRR_PHYS_BASE0  0x200
#define MSR_MTRR_PHYS_MASK0  0x201
#define MTRR_VARIABLE	     8 /* pairs that KVM has */
#define MTRR_MASK_VALID	     BIT64(11)
#define MSR_MTRR_DEF_TYPE    0x2ff
#define MTRR_DEF_ENABLE	     BIT64(11)
#define MTRR_TYPE_UNCACHED   0
#define MTRR_TYPE_WRITE_BACK 6

/* Local APIC registers as they lie in struct kvm_lapic_state (SDM 3A, 11.4.1). */
#define LAPIC_LVT_LINT1 0x360
#define LAPIC_MODE_NMI	(4u << 8)

int arch_vcpu_set_msr(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
	struct {
		struct kvm_msrs list;
		struct kvm_msr_entry entry;
	} one = { .list = { .nmsrs = 1 }, .entry = { .index = index, .data = value } };
	int n = sys_ioctl(vcpu->vm->sys, vcpu->fd, KVM_SET_MSRS, &one);

	if (n < 0)
		return n;
	return n == 1 ? 0 : -EIO;
}

static int arch_set_cpuid(struct vcpu *vcpu)
{
	struct arch_vm *arch = vcpu->vm->arch;
	struct kvm_cpuid2 *table;
	unsigned int nr;
	int err;

	table = calloc(1, sizeof(*table) + CPUID_ENTRIES_MAX * sizeof(table->entries[0]));
	if (!table)
		return -ENOMEM;
	err = cpuid_build(&arch->cpuid, arch->supported->entries, arch->supported->nent,
			  vcpu->index, table->entries, &nr);
	if (!err) {
		table->nent = nr;
		err = sys_ioctl(vcpu->vm->sys, vcpu->fd, KVM_SET_CPUID2, table);
	}
	free(table);
	return err;
}

/*
 * All memory write-back except the hole below 4 GiB; every other range off. Linux gives up PAT where
 * MTRRs are off. KVM's list of MSRs leaves these out, so a reset writes them again.
 */
static int arch_set_mtrrs(struct vcpu *vcpu)
{
	uint64_t mask = (BIT64(vcpu->vm->arch->phys_bits) - 1) & ~(RAM_HIGH - RAM_HOLE - 1);
	int err;

	/* A KVM without MTRRs refuses the first; then there is nothing to set. */
	if (arch_vcpu_set_msr(vcpu, MSR_MTRR_DEF_TYPE, 0))
		return 0;
	for (uint32_t i = 1; i < MTRR_VARIABLE; i++) {
		arch_vcpu_set_msr(vcpu, MSR_MTRR_PHYS_BASE0 + 2 * i, 0);
		arch_vcpu_set_msr(vcpu, MSR_MTRR_PHYS_MASK0 + 2 * i, 0);
	}
	err = arch_vcpu_set_msr(vcpu, MSR_MTRR_PHYS_BASE0, RAM_HOLE | MTRR_TYPE_UNCACHED);
	if (!err)
		err = arch_vcpu_set_msr(vcpu, MSR_MTRR_PHYS_MASK0, mask | MTRR_MASK_VALID);
	if (!err)
		err = arch_vcpu_set_msr(vcpu, MSR_MTRR_DEF_TYPE,
					MTRR_DEF_ENABLE | MTRR_TYPE_WRITE_BACK);
	return err;
}

/* Firmware's part of a CPU's state: memory types, and NMI on LINT1 as the MADT says. */
static int arch_firmware_state(struct vcpu *vcpu)
{
	struct kvm_lapic_state lapic;
	int err = arch_set_mtrrs(vcpu);

	if (!err)
		err = sys_ioctl(vcpu->vm->sys, vcpu->fd, KVM_GET_LAPIC, &lapic);
	if (err)
		return err;
	le_store(lapic.regs + LAPIC_LVT_LINT1, 4, LAPIC_MODE_NMI);
	return sys_ioctl(vcpu->vm->sys, vcpu->fd, KVM_SET_LAPIC, &lapic);
}

/* MSRs are read one by one: KVM stops a list at the first it does not know for this CPUID. */
static int arch_save_msrs(struct vcpu *vcpu)
{
	const struct kvm_msr_list *list = vcpu->vm->arch->msr_list;
	struct kvm_msrs *saved;
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} one;

	saved = calloc(1, sizeof(*saved) + list->nmsrs * sizeof(saved->entries[0]));
	if (!saved)
		return -ENOMEM;
	for (uint32_t i = 0; i < list->nmsrs; i++) {
		memset(&one, 0, sizeof(one));
		one.head.nmsrs = 1;
		one.entry.index = list->indices[i];
		if (sys_ioctl(vcpu->vm->sys, vcpu->fd, KVM_GET_MSRS, &one) == 1)
			saved->entries[saved->nmsrs++] = one.entry;
	}
	vcpu->arch->msrs = saved;
	return 0;
}

static int arch_save(struct vcpu *vcpu)
{
	struct arch_vcpu *a = vcpu->arch;
	struct sys *sys = vcpu->vm->sys;
	int err;

	err = sys_ioctl(sys, vcpu->fd, KVM_GET_REGS, &a->regs);
	if (!err)
		err = sys_ioctl(sys, vcpu->fd, KVM_GET_SREGS, &a->sregs);
	if (!err)
		err = sys_ioctl(sys, vcpu->fd, KVM_GET_FPU, &a->fpu);
	if (!err)
		err = sys_ioctl(sys, vcpu->fd, KVM_GET_LAPIC, &a->lapic);
	if (!err)
		err = sys_ioctl(sys, vcpu->fd, KVM_GET_VCPU_EVENTS, &a->events);
	if (!err)
		err = sys_ioctl(sys, vcpu->fd, KVM_GET_DEBUGREGS, &a->debugregs);
	if (!err)
		err = sys_ioctl(sys, vcpu->fd, KVM_GET_MP_STATE, &a->mp_state);
	if (err)
		return err;
	/* Where the host has no XSAVE there is nothing to save. */
	a->has_xcrs = !sys_ioctl(sys, vcpu->fd, KVM_GET_XCRS, &a->xcrs);
	return arch_save_msrs(vcpu);
}

int arch_vcpu_init(struct vcpu *vcpu, struct diag *diag)
{
	int err;

	vcpu->arch = calloc(1, sizeof(*vcpu->arch));
	if (!vcpu->arch)
		return -ENOMEM;
	err = arch_set_cpuid(vcpu);
	if (err) {
		diag_set(diag, err, vcpu->name, "KVM refuses its CPUID table: %s", strerror(-err));
		goto err_fini;
	}
	err = arch_firmware_state(vcpu);
	if (!err)
		err = arch_save(vcpu);
	if (err) {
		diag_set(diag, err, vcpu->name, "its first state cannot be set: %s",
			 strerror(-err));
		goto err_fini;
	}
	return 0;

err_fini:
	arch_vcpu_fini(vcpu);
	return err;
}

void arch_vcpu_fini(struct vcpu *vcpu)
{
	if (!vcpu->arch)
		return;
	free(vcpu->arch->msrs);
	free(vcpu->arch);
	vcpu->arch = NULL;
}

int arch_vcpu_reset(struct vcpu *vcpu)
{
	struct arch_vcpu *a = vcpu->arch;
	struct sys *sys = vcpu->vm->sys;
	int err;

	/* In VMX operation KVM would refuse a CR4 without VMXE; where there is no VMX, this MSR. */
	arch_vcpu_set_msr(vcpu, MSR_FEATURE_CONTROL, 0);
	err = sys_ioctl(sys, vcpu->fd, KVM_SET_VCPU_EVENTS, &a->events);
	if (!err)
		err = sys_ioctl(sys, vcpu->fd, KVM_SET_SREGS, &a->sregs);
	if (!err)
		err = sys_ioctl(sys, vcpu->fd, KVM_SET_REGS, &a->regs);
	if (!err)
		err = sys_ioctl(sys, vcpu->fd, KVM_SET_FPU, &a->fpu);
	if (!err && a->has_xcrs)
		err = sys_ioctl(sys, vcpu->fd, KVM_SET_XCRS, &a->xcrs);
	if (!err)
		err = sys_ioctl(sys, vcpu->fd, KVM_SET_DEBUGREGS, &a->debugregs);
	if (err)
		return err;
	/* Read-only ones are in the list too; those KVM refuses have kept their value. */
	for (uint32_t i = 0; i < a->msrs->nmsrs; i++)
		arch_vcpu_set_msr(vcpu, a->msrs->entries[i].index, a->msrs->entries[i].data);
	err = arch_set_mtrrs(vcpu);
	if (!err)
		err = sys_ioctl(sys, vcpu->fd, KVM_SET_LAPIC, &a->lapic);
	if (!err)
		err = sys_ioctl(sys, vcpu->fd, KVM_SET_MP_STATE, &a->mp_state);
	return err;
}

int arch_vcpu_enter(struct vcpu *vcpu, const struct boot_entry *entry)
{
	struct kvm_sregs sregs = vcpu->arch->sregs;
	struct kvm_regs regs;
	int err;

	cpu_state_enter(entry, &regs, &sregs);
	err = sys_ioctl(vcpu->vm->sys, vcpu->fd, KVM_SET_SREGS, &sregs);
	if (!err)
		err = sys_ioctl(vcpu->vm->sys, vcpu->fd, KVM_SET_REGS, &regs);
	return err;
}

int arch_vcpu_exit(struct vcpu *vcpu)
{
	switch (vcpu->run->exit_reason) {
	case KVM_EXIT_IOAPIC_EOI:
		/* Whoever watches the pin may be going: its end waits for this. */
		bus_begin(&vcpu->vm->bus, &vcpu->reader);
		pc_ioapic_eoi(vcpu->vm, vcpu->run->eoi.vector);
		bus_end(&vcpu->reader);
		return 0;
	case KVM_EXIT_HLT:
		/* Only without an in-kernel APIC, which we always have: nothing to wait for. */
		return 0;
	}
	return -ENOTSUP;
}

void arch_vcpu_describe(struct vcpu *vcpu, char *text, size_t size)
{
	struct kvm_regs r = { 0 };
	struct kvm_sregs s = { 0 };

	if (sys_ioctl(vcpu->vm->sys, vcpu->fd, KVM_GET_REGS, &r) ||
	    sys_ioctl(vcpu->vm->sys, vcpu->fd, KVM_GET_SREGS, &s)) {
		snprintf(text, size, "registers that KVM does not show");
		return;
	}
	snprintf(text, size,
		 "rip %#llx cs %#x rsp %#llx rflags %#llx cr0 %#llx cr2 %#llx cr3 %#llx cr4 %#llx "
		 "efer %#llx rax %#llx rbx %#llx rcx %#llx rdx %#llx rsi %#llx rdi %#llx",
		 r.rip, s.cs.selector, r.rsp, r.rflags, s.cr0, s.cr2, s.cr3, s.cr4, s.efer, r.rax,
		 r.rbx, r.rcx, r.rdx, r.rsi, r.rdi);
}
