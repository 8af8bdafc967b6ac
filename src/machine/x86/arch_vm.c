// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The x86 half of a VM: split irqchip, and the pages KVM keeps for itself on Intel.
 * Source: Linux Documentation/virt/kvm/api.rst, 4.36, 4.41, 4.46, 7.5, 7.7.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "machine/x86/arch.h"
#include "machine/x86/layout.h"

#define ARCH_MSRS_MAX 512

static int arch_read_cpuid(struct vm *vm)
{
	struct kvm_cpuid2 *list;
	int err;

	list = calloc(1, sizeof(*list) + CPUID_ENTRIES_MAX * sizeof(list->entries[0]));
	if (!list)
		return -ENOMEM;
	list->nent = CPUID_ENTRIES_MAX;
	err = sys_ioctl(vm->sys, vm->kvm_fd, KVM_GET_SUPPORTED_CPUID, list);
	if (err) {
		free(list);
		return err;
	}
	vm->arch->supported = list;
	return 0;
}

static int arch_read_msr_list(struct vm *vm)
{
	struct kvm_msr_list *list;
	int err;

	list = calloc(1, sizeof(*list) + ARCH_MSRS_MAX * sizeof(list->indices[0]));
	if (!list)
		return -ENOMEM;
	list->nmsrs = ARCH_MSRS_MAX;
	err = sys_ioctl(vm->sys, vm->kvm_fd, KVM_GET_MSR_INDEX_LIST, list);
	if (err) {
		free(list);
		return err;
	}
	vm->arch->msr_list = list;
	return 0;
}

static int arch_enable_cap(struct vm *vm, uint32_t cap, uint64_t arg)
{
	struct kvm_enable_cap enable = { .cap = cap, .args = { arg } };

	return sys_ioctl(vm->sys, vm->vm_fd, KVM_ENABLE_CAP, &enable);
}

static int arch_irqchip(struct vm *vm, struct diag *diag)
{
	int err = arch_enable_cap(vm, KVM_CAP_SPLIT_IRQCHIP, LAYOUT_IOAPIC_PINS);

	if (err)
		return diag_set(diag, err, "/dev/kvm", "refuses the split irqchip: %s",
				strerror(-err));
	/* Before any route exists: 32-bit destinations, and 0xff is an APIC id like any other. */
	err = arch_enable_cap(vm, KVM_CAP_X2APIC_API,
			      KVM_X2APIC_API_USE_32BIT_IDS |
				      KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK);
	if (err)
		return diag_set(diag, err, "/dev/kvm", "refuses KVM_CAP_X2APIC_API: %s",
				strerror(-err));
	return 0;
}

int arch_vm_init(struct vm *vm, struct diag *diag)
{
	uint64_t identity_map = LAYOUT_KVM_IDENTITY_MAP;
	int err;

	vm->arch = calloc(1, sizeof(*vm->arch));
	if (!vm->arch)
		return -ENOMEM;
	/* Intel without unrestricted guest runs real mode out of these; elsewhere they are idle. */
	err = sys_ioctl(vm->sys, vm->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map);
	if (!err)
		err = sys_ioctl_value(vm->sys, vm->vm_fd, KVM_SET_TSS_ADDR, LAYOUT_KVM_TSS);
	if (err) {
		diag_set(diag, err, "/dev/kvm", "takes no address for its own pages: %s",
			 strerror(-err));
		goto err_fini;
	}
	err = arch_irqchip(vm, diag);
	if (err)
		goto err_fini;
	err = arch_read_cpuid(vm);
	if (!err)
		err = arch_read_msr_list(vm);
	if (err) {
		diag_set(diag, err, "/dev/kvm", "does not list its CPUID leaves or MSRs: %s",
			 strerror(-err));
		goto err_fini;
	}
	vm->arch->cpuid.nr_cpus = vm->config->cpus;
	vm->arch->cpuid.tsc_deadline = sys_ioctl_value(vm->sys, vm->vm_fd, KVM_CHECK_EXTENSION,
						       KVM_CAP_TSC_DEADLINE_TIMER) > 0;
	vm->arch->phys_bits =
		cpuid_phys_bits(vm->arch->supported->entries, vm->arch->supported->nent);
	return 0;

err_fini:
	arch_vm_fini(vm);
	return err;
}

void arch_vm_fini(struct vm *vm)
{
	free(vm->arch->supported);
	free(vm->arch->msr_list);
	free(vm->arch);
	vm->arch = NULL;
}
