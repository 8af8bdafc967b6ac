/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A KVM that runs no guest: it takes every call a machine makes of the real one, keeps what a test
 * wants to look at, plays a script of exits to the vCPUs, and fails the n-th call that can fail.
 * It counts descriptors and mappings, so that a leak shows. Everything that is not KVM goes to the
 * real kernel through the seam below it.
 */
#ifndef AIRLOCK_TESTS_FAKE_KVM_H
#define AIRLOCK_TESTS_FAKE_KVM_H

#include <linux/kvm.h>
#include <pthread.h>

#include "sys/sys.h"

#define FAKE_KVM_SLOTS	64
#define FAKE_KVM_VCPUS	8
#define FAKE_KVM_EXITS	32
#define FAKE_KVM_ROUTES 64
#define FAKE_KVM_IRQFDS 32

/* One exit to hand to a vCPU: fill what the run page shows for it. */
struct fake_exit {
	void (*fill)(struct kvm_run *run, void *opaque);
	void *opaque;
};

struct fake_vcpu {
	int fd;
	struct kvm_run *run;
	unsigned int nr_exits, next_exit;
	struct fake_exit exits[FAKE_KVM_EXITS];
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	unsigned int nr_runs; /* KVM_RUN calls that played an exit */
};

struct fake_kvm {
	struct sys sys; /* what the code under test is given */
	struct sys real;
	pthread_mutex_t mutex;
	pthread_cond_t kicked;

	/* Counts seam calls that can fail. The fail_at-th (from 1) returns fail_err; 0: none. */
	unsigned int nr_calls, fail_at;
	int fail_err;
	unsigned int nr_fds; /* open now */
	uint64_t mapped;     /* bytes, now */

	struct kvm_userspace_memory_region slots[FAKE_KVM_SLOTS];
	unsigned int nr_vcpus;
	struct fake_vcpu vcpus[FAKE_KVM_VCPUS];
	unsigned int nr_routes, nr_commits;
	struct kvm_irq_routing_entry routes[FAKE_KVM_ROUTES];
	unsigned int nr_irqfds;
	struct kvm_irqfd irqfds[FAKE_KVM_IRQFDS];
	unsigned int nr_groups; /* VFIO groups it was told of, now */
	unsigned int nr_messages;
	struct kvm_msi last_message;
};

void fake_kvm_init(struct fake_kvm *kvm);
void fake_kvm_fini(struct fake_kvm *kvm);
/* Appends an exit to a vCPU's script; once it is played out, KVM_RUN waits to be kicked. */
void fake_kvm_script(struct fake_kvm *kvm, unsigned int vcpu,
		     void (*fill)(struct kvm_run *run, void *opaque), void *opaque);

#endif
