// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/vcpu.h"
#include "machine/numa.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bits.h"
#include "base/bug.h"
#include "base/trace.h"
#include "machine/arch.h"
#include "machine/kvm_stats.h"
#include "sys/thread.h"

/* Interrupts KVM_RUN of one thread. Its handler does nothing: the interruption is the message. */
#define VCPU_SIGNAL SIGRTMIN

static const char *const reason_names[] = {
	[KVM_EXIT_UNKNOWN] = "unknown",
	[KVM_EXIT_EXCEPTION] = "exception",
	[KVM_EXIT_IO] = "io",
	[KVM_EXIT_HYPERCALL] = "hypercall",
	[KVM_EXIT_DEBUG] = "debug",
	[KVM_EXIT_HLT] = "hlt",
	[KVM_EXIT_MMIO] = "mmio",
	[KVM_EXIT_IRQ_WINDOW_OPEN] = "irq-window",
	[KVM_EXIT_SHUTDOWN] = "shutdown",
	[KVM_EXIT_FAIL_ENTRY] = "fail-entry",
	[KVM_EXIT_INTR] = "interrupted",
	[KVM_EXIT_SET_TPR] = "set-tpr",
	[KVM_EXIT_TPR_ACCESS] = "tpr-access",
	[KVM_EXIT_NMI] = "nmi",
	[KVM_EXIT_INTERNAL_ERROR] = "internal-error",
	[KVM_EXIT_SYSTEM_EVENT] = "system-event",
	[KVM_EXIT_IOAPIC_EOI] = "ioapic-eoi",
	[KVM_EXIT_HYPERV] = "hyperv",
	[KVM_EXIT_X86_RDMSR] = "rdmsr",
	[KVM_EXIT_X86_WRMSR] = "wrmsr",
};

const char *vcpu_reason_name(unsigned int reason)
{
	if (reason < ARRAY_SIZE(reason_names) && reason_names[reason])
		return reason_names[reason];
	return "other";
}

int vcpu_create(struct vm *vm, unsigned int index, struct vcpu **out, struct diag *diag)
{
	struct vcpu *vcpu = calloc(1, sizeof(*vcpu));
	void *run;
	int err;

	if (!vcpu)
		return -ENOMEM;
	vcpu->vm = vm;
	vcpu->index = index;
	vcpu->fd = -1;
	vcpu->stats_fd = -1;
	snprintf(vcpu->name, sizeof(vcpu->name), "vcpu%u", index);

	err = sys_ioctl_value(vm->sys, vm->vm_fd, KVM_CREATE_VCPU, index);
	if (err < 0) {
		diag_set(diag, err, vcpu->name, "KVM_CREATE_VCPU failed: %s", strerror(-err));
		goto err_free;
	}
	vcpu->fd = err;
	err = vm->sys->ops->mmap(vm->sys, NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
				 vcpu->fd, 0, &run);
	if (err) {
		diag_set(diag, err, vcpu->name, "cannot map its run page: %s", strerror(-err));
		goto err_close;
	}
	vcpu->run = run;
	err = arch_vcpu_init(vcpu, diag);
	if (err)
		goto err_unmap;
	/* A machine runs as well without them. */
	vcpu->stats_fd = kvm_stats_open(vm->sys, vcpu->fd);
	bus_reader_add(&vm->bus, &vcpu->reader, vcpu->name);
	*out = vcpu;
	return 0;

err_unmap:
	vm->sys->ops->munmap(vm->sys, vcpu->run, vm->run_size);
err_close:
	sys_close(vm->sys, &vcpu->fd);
err_free:
	free(vcpu);
	return err;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	BUG_ON(vcpu->started);
	bus_reader_remove(&vm->bus, &vcpu->reader);
	arch_vcpu_fini(vcpu);
	vm->sys->ops->munmap(vm->sys, vcpu->run, vm->run_size);
	if (vcpu->stats_fd >= 0)
		sys_close(vm->sys, &vcpu->stats_fd);
	sys_close(vm->sys, &vcpu->fd);
	free(vcpu);
}

static void vcpu_signal(int signo)
{
}

void vcpu_kick(struct vcpu *vcpu)
{
	/*
	 * immediate_exit covers the time before the thread enters the kernel, the signal the time
	 * it is inside. The caller has set vm->attention before: whoever clears immediate_exit
	 * looks at that afterwards, so no kick is lost.
	 */
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	if (vcpu->started)
		pthread_kill(vcpu->thread, VCPU_SIGNAL);
}

static void vcpu_io(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	struct vm *vm = vcpu->vm;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	/* A string instruction arrives as a batch of equal accesses to one port. */
	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		if (run->io.direction == KVM_EXIT_IO_IN)
			bus_read(&vm->bus, &vcpu->reader, BUS_PIO, run->io.port, data,
				 run->io.size);
		else
			bus_write(&vm->bus, &vcpu->reader, BUS_PIO, run->io.port, data,
				  run->io.size);
	}
}

static void vcpu_mmio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	struct vm *vm = vcpu->vm;

	if (run->mmio.is_write)
		bus_write(&vm->bus, &vcpu->reader, BUS_MMIO, run->mmio.phys_addr, run->mmio.data,
			  run->mmio.len);
	else
		bus_read(&vm->bus, &vcpu->reader, BUS_MMIO, run->mmio.phys_addr, run->mmio.data,
			 run->mmio.len);
}

static void vcpu_fail(struct vcpu *vcpu, enum vm_end end, const char *what)
{
	char where[320];

	arch_vcpu_describe(vcpu, where, sizeof(where));
	vm_end_because(vcpu->vm, end, vcpu->name, "%s at %s", what, where);
}

void vcpu_end_here(struct vm *vm, enum vm_end end, const char *what)
{
	/* Constant since before the first vCPU ran. */
	for (unsigned int i = 0; i < vm->nr_cpus; i++) {
		if (!pthread_equal(vm->cpus[i]->thread, pthread_self()))
			continue;
		vcpu_fail(vm->cpus[i], end, what);
		return;
	}
	vm_end_because(vm, end, "guest", "%s", what);
}

static void vcpu_system_event(struct vcpu *vcpu)
{
	switch (vcpu->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		platform_power(&vcpu->vm->platform, POWER_OFF, 0);
		break;
	case KVM_SYSTEM_EVENT_RESET:
		platform_power(&vcpu->vm->platform, POWER_RESET, 0);
		break;
	case KVM_SYSTEM_EVENT_CRASH:
		platform_power(&vcpu->vm->platform, POWER_PANIC, 0);
		break;
	}
}

static void vcpu_handle_exit(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	char what[96];

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		vcpu_io(vcpu);
		return;
	case KVM_EXIT_MMIO:
		vcpu_mmio(vcpu);
		return;
	case KVM_EXIT_INTR:
		return;
	case KVM_EXIT_SYSTEM_EVENT:
		vcpu_system_event(vcpu);
		return;
	case KVM_EXIT_SHUTDOWN:
		vcpu_fail(vcpu, VM_END_TRIPLE_FAULT, "triple fault");
		return;
	case KVM_EXIT_FAIL_ENTRY:
		snprintf(what, sizeof(what),
			 "KVM could not enter the guest (hardware reason %#llx)",
			 (unsigned long long)run->fail_entry.hardware_entry_failure_reason);
		vcpu_fail(vcpu, VM_END_KVM_ERROR, what);
		return;
	case KVM_EXIT_INTERNAL_ERROR:
		snprintf(what, sizeof(what), "KVM internal error, suberror %u%s",
			 run->internal.suberror,
			 run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION
				 ? " (instruction KVM cannot emulate)"
				 : "");
		vcpu_fail(vcpu, VM_END_KVM_ERROR, what);
		return;
	}
	if (arch_vcpu_exit(vcpu)) {
		snprintf(what, sizeof(what), "unexpected exit from KVM, reason %u",
			 run->exit_reason);
		vcpu_fail(vcpu, VM_END_KVM_ERROR, what);
	}
}

/*
 * KVM finishes an access that user space has answered only at the next KVM_RUN. Before a vCPU's
 * state may be read or replaced that has to happen, without running the guest any further.
 */
static void vcpu_complete_io(struct vcpu *vcpu)
{
	/* A string or page-crossing access hands out its parts one by one; KVM bounds them. */
	for (;;) {
		__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		if (sys_ioctl_value(vcpu->vm->sys, vcpu->fd, KVM_RUN, 0))
			break;
		if (vcpu->run->exit_reason != KVM_EXIT_IO &&
		    vcpu->run->exit_reason != KVM_EXIT_MMIO)
			break;
		vcpu_handle_exit(vcpu);
	}
	__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
}

/* Parks while the machine asks for it. Returns false when the thread should end. */
static bool vcpu_heed(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	bool run;

	vcpu_complete_io(vcpu);
	lock_take(&vm->lock);
	while (vm->ask == VCPU_PARK || (vm->ask == VCPU_RUN && vm_is_halting(vm))) {
		if (!vcpu->parked) {
			vcpu->parked = true;
			vm->nr_parked++;
			pthread_cond_broadcast(&vm->changed);
		}
		pthread_cond_wait(&vm->changed, &vm->lock.mutex);
	}
	if (vcpu->parked) {
		vcpu->parked = false;
		vm->nr_parked--;
	}
	run = vm->ask == VCPU_RUN;
	lock_drop(&vm->lock);
	return run;
}

static void vcpu_count(struct vcpu *vcpu)
{
	unsigned int reason = (unsigned int)min_u64(vcpu->run->exit_reason, VCPU_REASONS - 1);
	atomic_ullong *count = &vcpu->exits[reason];

	/* One writer: a plain increment, made of two relaxed halves. */
	atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

static void *vcpu_thread(void *opaque)
{
	struct vcpu *vcpu = opaque;
	struct vm *vm = vcpu->vm;
	sigset_t kick;
	int err;

	sigemptyset(&kick);
	sigaddset(&kick, VCPU_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
	err = numa_place_vcpu(vm->config->placement, vm->sys, vcpu->index);
	if (err)
		vcpu_fail(vcpu, VM_END_HOST_ERROR, strerror(-err));
	while (!atomic_load(&vm->attention) || vcpu_heed(vcpu)) {
		err = sys_ioctl_value(vm->sys, vcpu->fd, KVM_RUN, 0);

		if (likely(!err)) {
			vcpu_count(vcpu);
			trace_vcpu_exit(vcpu->index, vcpu->run->exit_reason);
			vcpu_handle_exit(vcpu);
		} else if (err == -EINTR || err == -EAGAIN) {
			/* EAGAIN: an AP waiting for its start-up message was woken for nothing. */
			__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
		} else {
			vcpu_fail(vcpu, VM_END_KVM_ERROR, strerror(-err));
		}
	}
	return NULL;
}

int vcpu_start(struct vcpu *vcpu)
{
	struct sigaction action = { .sa_handler = vcpu_signal };
	int err;

	sigemptyset(&action.sa_mask);
	if (sigaction(VCPU_SIGNAL, &action, NULL))
		return -errno;
	err = sys_thread_start(&vcpu->thread, vcpu->name, vcpu_thread, vcpu);
	vcpu->started = !err;
	return err;
}

void vcpu_join(struct vcpu *vcpu)
{
	if (!vcpu->started)
		return;
	pthread_join(vcpu->thread, NULL);
	vcpu->started = false;
}
