/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seam for a second architecture: what machine/ needs of it. machine/x86/ implements it.
 */
#ifndef AIRLOCK_MACHINE_ARCH_H
#define AIRLOCK_MACHINE_ARCH_H

#include "machine/vcpu.h"
#include "machine/vm.h"

/* Checks the image and says what it is, without a VM. 0 or -errno with diag filled. */
int arch_image_describe(struct sys *sys, const struct vm_config *config, char *text, size_t size,
			struct diag *diag);
/*
 * Opens and checks the boot image and begins to load it into vm->ram, beside the rest of the set-up:
 * of RAM, others touch only what the image leaves to firmware. 0, or -errno with diag filled and
 * nothing left behind. end() waits for a loading under way; vm->image may be NULL.
 */
int arch_image_begin(struct vm *vm, struct diag *diag);
void arch_image_end(struct vm *vm);
/* After KVM_CREATE_VM, before vCPUs: capabilities, interrupt chip. */
int arch_vm_init(struct vm *vm, struct diag *diag);
void arch_vm_fini(struct vm *vm);
/* Everything that is on the board: legacy devices, the PCI fabric, --device. */
int arch_board_create(struct vm *vm, struct diag *diag);
void arch_board_destroy(struct vm *vm);
/*
 * Firmware's work at power-on and at each reset: assigns PCI resources, writes tables, has the
 * image loaded, and gives the boot vCPU its first registers. vCPUs are stopped.
 */
int arch_board_boot(struct vm *vm, struct diag *diag);

/* The interrupt pins of platform.h. */
void arch_irq_set(struct vm *vm, unsigned int pin, unsigned int share, bool level);
void arch_irq_eoi_watch(struct vm *vm, unsigned int pin, struct irq_eoi *eoi);
void arch_irq_eoi_unwatch(struct vm *vm, unsigned int pin, struct irq_eoi *eoi);

int arch_vcpu_init(struct vcpu *vcpu, struct diag *diag);
void arch_vcpu_fini(struct vcpu *vcpu);
/* Back to power-on state, which arch_vcpu_init() recorded. Stopped. */
int arch_vcpu_reset(struct vcpu *vcpu);
/*
 * An exit that machine/ does not know. Returns 0 when handled, -ENOTSUP when unknown. Vcpu thread.
 */
int arch_vcpu_exit(struct vcpu *vcpu);
/* One line of the registers a person needs to find the fault: "rip 0x.. rsp 0x.. ...". */
void arch_vcpu_describe(struct vcpu *vcpu, char *text, size_t size);

#endif
