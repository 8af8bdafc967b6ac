/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtual CPU and its thread. The thread runs the guest, dispatches what KVM hands out to the
 * bus, and parks when the machine asks; it never does slow work itself.
 */
#ifndef AIRLOCK_MACHINE_VCPU_H
#define AIRLOCK_MACHINE_VCPU_H

#include <linux/kvm.h>
#include <pthread.h>

#include "machine/vm.h"

/* Exits counted by KVM's reason; the last slot takes reasons newer than this header. */
#define VCPU_REASONS 40

struct arch_vcpu;

struct vcpu {
	struct vm *vm;
	unsigned int index; /* also the APIC id */
	char name[16];	    /* "vcpu0" */
	int fd;
	int stats_fd;	     /* KVM's counters; negative where it has none */
	struct kvm_run *run; /* shared with the kernel */
	struct arch_vcpu *arch;
	struct bus_reader reader;
	pthread_t thread;
	bool started;			   /* loop thread */
	bool parked;			   /* under vm->lock */
	atomic_ullong exits[VCPU_REASONS]; /* written by the thread, read for figures */
};

/* 0 or -errno with diag filled. The thread does not run yet. */
int vcpu_create(struct vm *vm, unsigned int index, struct vcpu **vcpu, struct diag *diag);
int vcpu_start(struct vcpu *vcpu);
/* After VCPU_QUIT was asked for. */
void vcpu_join(struct vcpu *vcpu);
void vcpu_destroy(struct vcpu *vcpu);
/* Makes KVM_RUN return soon. Any thread. */
void vcpu_kick(struct vcpu *vcpu);
/* Ends the run, and says where the vCPU stands whose register handler this thread is in. */
void vcpu_end_here(struct vm *vm, enum vm_end end, const char *what);
const char *vcpu_reason_name(unsigned int reason);

#endif
