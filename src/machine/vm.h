/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One virtual machine on KVM. All of its state hangs off struct vm; a process could hold several.
 *
 * Life cycle: vm_create() opens KVM and lays the machine out; vm_run() loads the image, starts the vCPU
 * threads and serves the loop until the guest or the user ends it; vm_destroy()
 * takes everything down in reverse. The thread that calls them is the loop thread.
 */
#ifndef AIRLOCK_MACHINE_VM_H
#define AIRLOCK_MACHINE_VM_H

#include <pthread.h>

#include "base/diag.h"
#include "machine/bus.h"
#include "machine/config.h"
#include "machine/irq.h"
#include "machine/phase.h"
#include "machine/slots.h"
#include "memory/ram.h"
#include "platform/device.h"
#include "platform/platform.h"

struct vcpu;
struct arch_vm;	 /* machine/x86/ */
struct vm_image; /* likewise */
struct block;	 /* backend/block.h */
struct board;	 /* machine/board.h */

/* How a run ended; each maps to an exit status of its own (airlock-run(1)). */
enum vm_end {
	VM_END_NONE,
	VM_END_OFF,
	VM_END_RESET, /* a reset where --reboot=exit was asked for */
	VM_END_PANIC,
	VM_END_TRIPLE_FAULT,
	VM_END_KVM_ERROR,
	VM_END_USER, /* Ctrl-A x, SIGTERM, SIGINT */
	VM_END_DEBUG_EXIT,
	VM_END_HOST_ERROR,
};

/* What a vCPU is asked to do; under vm->lock. */
enum vcpu_ask { VCPU_RUN, VCPU_PARK, VCPU_QUIT };

struct vm {
	struct platform platform;  /* what devices see: behind the IOMMU where there is one */
	struct platform unguarded; /* the same for those left out of it */
	struct sys *sys;
	struct vm_config *config; /* borrowed, lives longer */
	struct loop *loop;
	int kvm_fd, vm_fd;
	int kvm_vfio_fd;	/* KVM's list of VFIO groups; -1 until there is one */
	size_t run_size;	/* of a vCPU's shared page(s) */
	struct iommu *no_iommu; /* lets everything through */
	struct ram *ram;
	struct direct_slot ram_slots[RAM_REGIONS_MAX];
	struct lock listeners_lock; /* LOCK_LEAF: the next field */
	struct ram_listener *ram_listeners;
	struct bus bus;
	struct bus_reader loop_reader; /* the loop thread's, for a device's access to another */
	struct irq_routes irq;
	struct slots slots;
	struct arch_vm *arch;
	struct vm_image *image;
	struct board *board;
	unsigned int nr_drives;
	struct block *drives[VM_DRIVES_MAX]; /* machine/drive.h */
	struct device *devices;		     /* in order of creation; loop thread */
	struct phases *phases;		     /* borrowed */

	struct lock lock;	/* LOCK_VM: the fields below */
	pthread_cond_t changed; /* a vCPU parked, or was asked something new */
	enum vcpu_ask ask;
	unsigned int nr_parked;
	unsigned int nr_cpus; /* constant after creation */
	struct vcpu **cpus;

	bool resetting;	      /* a reset was asked for: vCPUs wait for it */
	enum vm_end end;      /* the first reason stands; vCPUs wait */
	int end_status;	      /* VM_END_DEBUG_EXIT: the run's status */
	struct diag end_diag; /* VM_END_KVM_ERROR and the like: what and where */

	/* Set when a vCPU has anything to heed above, so that the run loop takes no lock else. */
	atomic_bool attention;
	/* Requests to the loop thread. */
	struct loop_work reset_work, end_work;
	uint64_t nr_resets; /* loop thread */
	bool booted;	    /* once: the next boot begins with a reset. Loop thread */
};

/* 0, or -errno with diag filled and nothing left behind. */
int vm_create(struct sys *sys, struct vm_config *config, struct phases *phases, struct vm **vm,
	      struct diag *diag);
/* Runs the guest to its end. Which end is in vm->end. 0 or -errno. */
int vm_run(struct vm *vm, struct diag *diag);
void vm_destroy(struct vm *vm);

/*
 * Whether /dev/kvm can be opened and runs that many vCPUs; nothing is left open. 0 or -errno with
 * diag filled.
 */
int vm_check_kvm(struct sys *sys, unsigned int cpus, struct diag *diag);

/* Adds a device to the machine's list: reset, saved and destroyed with it. Loop thread. */
void vm_add_device(struct vm *vm, struct device *dev);
/* Takes it off the list and destroys it. Loop thread, vCPUs running or not. */
void vm_remove_device(struct vm *vm, struct device *dev);

/* The reset line: devices, PCI and vCPUs go back to power-on and the image boots again. Any thread. */
void vm_ask_reset(struct vm *vm);

/* Stops every vCPU at an instruction boundary and returns when all have; resumes them. */
void vm_pause(struct vm *vm);
void vm_resume(struct vm *vm);

/* Asks for the end of the run; the first reason stands. Any thread. */
void vm_end(struct vm *vm, enum vm_end end, int status);
/* The same with a message: object, what, where. Any thread. */
void vm_end_because(struct vm *vm, enum vm_end end, const char *object, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Threads worth having to zero memory: its bandwidth is used up by a few CPUs. */
unsigned int vm_memory_threads(void);

static inline struct vm *vm_of(struct platform *p)
{
	return p->machine;
}

/* The guest is not to run on: it asked for a reset, or the run is over. Under vm->lock. */
static inline bool vm_is_halting(const struct vm *vm)
{
	return vm->resetting || vm->end != VM_END_NONE;
}

/* platform.c: the table devices see. */
extern const struct platform_ops vm_platform_ops;

#endif
