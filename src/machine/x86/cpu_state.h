/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registers of the boot vCPU for the entry a loader asked for. The other vCPUs wait in KVM's own
 * state after INIT. Pure functions.
 */
#ifndef AIRLOCK_MACHINE_X86_CPU_STATE_H
#define AIRLOCK_MACHINE_X86_CPU_STATE_H

#include <linux/kvm.h>

#include "machine/x86/boot.h"

/*
 * Changes *sregs, as read from the vCPU after its reset (APIC base and the like stay), and fills
 * *regs.
 */
void cpu_state_enter(const struct boot_entry *entry, struct kvm_regs *regs,
		     struct kvm_sregs *sregs);

#endif
