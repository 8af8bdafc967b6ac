/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What vCPU threads need of the PC board. */
#ifndef AIRLOCK_MACHINE_X86_PC_H
#define AIRLOCK_MACHINE_X86_PC_H

#include "machine/vm.h"

/* KVM_EXIT_IOAPIC_EOI: the guest ended this vector. vCPU thread, no lock held. */
void pc_ioapic_eoi(struct vm *vm, uint8_t vector);

#endif
