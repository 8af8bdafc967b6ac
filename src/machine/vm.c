// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/vm.h"
#include "machine/numa.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bug.h"
#include "base/trace.h"
#include "iommu/ops.h"
#include "machine/arch.h"
#include "machine/drive.h"

/* KVM_CAP_NR_MEMSLOTS where the kernel does not say (api.rst, 4.4). */
#define VM_SLOTS_DEFAULT 32

/* The descriptor, or -errno with diag filled. */
static int vm_open_node(struct sys *sys, struct diag *diag)
{
	int fd = sys_open(sys, SYS_KVM, NULL);

	if (fd >= 0)
		return fd;
	diag_set(diag, fd, "/dev/kvm", "cannot be opened: %s", strerror(-fd));
	if (fd == -EACCES || fd == -EPERM)
		return diag_remedy(diag, fd,
				   "add yourself to the group that owns it, often kvm: "
				   "usermod -aG kvm $USER; then log in again");
	return diag_remedy(diag, fd,
			   "load kvm_intel or kvm_amd, and switch virtualisation on in the "
			   "firmware set-up");
}

static int vm_refuse_cpus(unsigned int cpus, int most, struct diag *diag)
{
	diag_set(diag, -EINVAL, "--cpus", "%u vCPUs, but this host's KVM runs %d", cpus, most);
	return diag_remedy(diag, -EINVAL, "give the VM at most --cpus %d", most);
}

int vm_check_kvm(struct sys *sys, unsigned int cpus, struct diag *diag)
{
	int most, fd = vm_open_node(sys, diag);

	if (fd < 0)
		return fd;
	most = sys_ioctl_value(sys, fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
	sys_close(sys, &fd);
	return most > 0 && cpus > (unsigned int)most ? vm_refuse_cpus(cpus, most, diag) : 0;
}

static int vm_open_kvm(struct vm *vm, struct diag *diag)
{
	int version, err;

	vm->kvm_fd = vm_open_node(vm->sys, diag);
	if (vm->kvm_fd < 0)
		return vm->kvm_fd;
	version = sys_ioctl_value(vm->sys, vm->kvm_fd, KVM_GET_API_VERSION, 0);
	if (version < 0)
		return diag_set(diag, version, "/dev/kvm", "KVM_GET_API_VERSION failed: %s",
				strerror(-version));
	if (version != KVM_API_VERSION)
		return diag_set(diag, -ENOTSUP, "/dev/kvm", "speaks API version %d, not %d",
				version, KVM_API_VERSION);
	err = sys_ioctl_value(vm->sys, vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (err < (int)sizeof(struct kvm_run))
		return diag_set(diag, err < 0 ? err : -ENOTSUP, "/dev/kvm",
				"KVM_GET_VCPU_MMAP_SIZE answers %d", err);
	vm->run_size = (size_t)err;
	do /* Interrupted by a signal, KVM starts over. */
		err = sys_ioctl_value(vm->sys, vm->kvm_fd, KVM_CREATE_VM, 0);
	while (err == -EINTR);
	if (err < 0)
		return diag_set(diag, err, "/dev/kvm", "KVM_CREATE_VM failed: %s", strerror(-err));
	vm->vm_fd = err;
	return 0;
}

/* 0 where the kernel does not know the capability. */
static int vm_cap(struct vm *vm, uint32_t cap)
{
	int r = sys_ioctl_value(vm->sys, vm->vm_fd, KVM_CHECK_EXTENSION, cap);

	return r < 0 ? 0 : r;
}

static int vm_need_caps(struct vm *vm, struct diag *diag)
{
	static const struct {
		uint32_t cap;
		const char *name;
	} needed[] = {
		{ KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY" },
		{ KVM_CAP_IRQFD, "KVM_CAP_IRQFD" },
		{ KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD" },
		{ KVM_CAP_IRQ_ROUTING, "KVM_CAP_IRQ_ROUTING" },
		{ KVM_CAP_SIGNAL_MSI, "KVM_CAP_SIGNAL_MSI" },
		{ KVM_CAP_READONLY_MEM, "KVM_CAP_READONLY_MEM" },
		{ KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT" },
	};
	int cpus;

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (!vm_cap(vm, needed[i].cap))
			return diag_set(diag, -ENOTSUP, "/dev/kvm", "lacks %s; Linux 5.10 has it",
					needed[i].name);
	cpus = vm_cap(vm, KVM_CAP_MAX_VCPUS);
	if (cpus && vm->config->cpus > (unsigned int)cpus)
		return vm_refuse_cpus(vm->config->cpus, cpus, diag);
	return 0;
}

static int vm_add_ram_slots(struct vm *vm, struct diag *diag)
{
	for (unsigned int i = 0; i < vm->ram->nr_regions; i++) {
		int err;

		vm->ram_slots[i].range = vm->ram->regions[i].gpa;
		vm->ram_slots[i].hva = vm->ram->regions[i].hva;
		err = slots_add(&vm->slots, &vm->ram_slots[i]);
		if (err) {
			diag_set(diag, err, "guest RAM", "KVM refuses it at %#llx: %s",
				 (unsigned long long)vm->ram_slots[i].range.first, strerror(-err));
			while (i--)
				slots_remove(&vm->slots, &vm->ram_slots[i]);
			return err;
		}
	}
	return 0;
}

static void vm_drop_ram_slots(struct vm *vm)
{
	for (unsigned int i = vm->ram->nr_regions; i--;)
		slots_remove(&vm->slots, &vm->ram_slots[i]);
}

static int vm_add_cpus(struct vm *vm, struct diag *diag)
{
	int err;

	vm->cpus = calloc(vm->config->cpus, sizeof(*vm->cpus));
	if (!vm->cpus)
		return -ENOMEM;
	for (; vm->nr_cpus < vm->config->cpus; vm->nr_cpus++) {
		err = vcpu_create(vm, vm->nr_cpus, &vm->cpus[vm->nr_cpus], diag);
		if (err)
			return err;
	}
	return 0;
}

static void vm_drop_cpus(struct vm *vm)
{
	while (vm->nr_cpus)
		vcpu_destroy(vm->cpus[--vm->nr_cpus]);
	free(vm->cpus);
}

static void vm_reset(void *opaque);

static void vm_stop_loop(void *opaque)
{
	struct vm *vm = opaque;

	loop_stop(vm->loop, 0);
}

int vm_create(struct sys *sys, struct vm_config *config, struct phases *phases, struct vm **out,
	      struct diag *diag)
{
	struct vm *vm = calloc(1, sizeof(*vm));
	int err, slots;

	if (!vm)
		return diag_set(diag, -ENOMEM, "virtual machine", "out of memory");
	vm->sys = sys;
	vm->config = config;
	vm->phases = phases;
	vm->kvm_fd = vm->vm_fd = vm->kvm_vfio_fd = -1;
	vm->reset_work = (struct loop_work){ .fn = vm_reset, .opaque = vm };
	vm->end_work = (struct loop_work){ .fn = vm_stop_loop, .opaque = vm };
	lock_init(&vm->lock, LOCK_VM);
	lock_init(&vm->listeners_lock, LOCK_LEAF);
	pthread_cond_init(&vm->changed, NULL);
	vm->ask = VCPU_PARK;
	atomic_store(&vm->attention, true);

	err = loop_create(&vm->loop);
	if (err)
		goto err_free;
	err = iommu_none_create(&vm->no_iommu);
	if (err)
		goto err_loop;
	vm->platform = (struct platform){
		.ops = &vm_platform_ops,
		.sys = sys,
		.loop = vm->loop,
		.machine = vm,
		.iommu = vm->no_iommu,
	};
	err = bus_init(&vm->bus);
	if (err)
		goto err_iommu;
	bus_reader_add(&vm->bus, &vm->loop_reader, "a device's access to another");
	err = ram_create(sys, &config->ram, &vm->ram, diag);
	if (err)
		goto err_bus;
	err = numa_place_ram(config->placement, vm->ram, diag);
	if (err)
		goto err_ram;
	vm->platform.ram = vm->ram;
	vm->unguarded = vm->platform;
	err = arch_image_begin(vm, diag);
	if (err)
		goto err_ram;
	phases_mark(phases, "guest RAM");
	err = vm_open_kvm(vm, diag);
	if (!err)
		err = vm_need_caps(vm, diag);
	if (err)
		goto err_kvm;
	slots = vm_cap(vm, KVM_CAP_NR_MEMSLOTS);
	slots_init(&vm->slots, sys, vm->vm_fd, slots ? (unsigned int)slots : VM_SLOTS_DEFAULT);
	err = irq_routes_init(&vm->irq, sys, vm->vm_fd,
			      (unsigned int)vm_cap(vm, KVM_CAP_IRQ_ROUTING), vm->no_iommu);
	if (err)
		goto err_slots;
	err = arch_vm_init(vm, diag);
	if (err)
		goto err_irq;
	err = vm_add_ram_slots(vm, diag);
	if (err)
		goto err_arch;
	phases_mark(phases, "KVM");
	err = vm_add_cpus(vm, diag);
	if (err)
		goto err_cpus;
	phases_mark(phases, "vCPUs");
	err = drives_open(vm, diag);
	if (!err)
		err = arch_board_create(vm, diag);
	if (err)
		goto err_drives;
	phases_mark(phases, "devices");
	*out = vm;
	return 0;

err_drives:
	drives_close(vm);
err_cpus:
	sys_close(sys, &vm->kvm_vfio_fd);
	vm_drop_cpus(vm);
	vm_drop_ram_slots(vm);
err_arch:
	arch_vm_fini(vm);
err_irq:
	irq_routes_fini(&vm->irq);
err_slots:
	slots_fini(&vm->slots);
err_kvm:
	sys_close(sys, &vm->vm_fd);
	sys_close(sys, &vm->kvm_fd);
	arch_image_end(vm);
err_ram:
	ram_destroy(vm->ram);
err_bus:
	bus_reader_remove(&vm->bus, &vm->loop_reader);
	bus_fini(&vm->bus);
err_iommu:
	iommu_none_destroy(vm->no_iommu);
err_loop:
	loop_destroy(vm->loop);
err_free:
	pthread_cond_destroy(&vm->changed);
	lock_fini(&vm->listeners_lock);
	lock_fini(&vm->lock);
	free(vm);
	return diag_set(diag, err, "virtual machine", "cannot be set up: %s", strerror(-err));
}

void vm_destroy(struct vm *vm)
{
	if (!vm)
		return;
	arch_image_end(vm);
	arch_board_destroy(vm);
	drives_close(vm);
	sys_close(vm->sys, &vm->kvm_vfio_fd);
	vm_drop_cpus(vm);
	vm_drop_ram_slots(vm);
	arch_vm_fini(vm);
	irq_routes_fini(&vm->irq);
	slots_fini(&vm->slots);
	sys_close(vm->sys, &vm->vm_fd);
	sys_close(vm->sys, &vm->kvm_fd);
	ram_destroy(vm->ram);
	bus_reader_remove(&vm->bus, &vm->loop_reader);
	bus_fini(&vm->bus);
	iommu_none_destroy(vm->no_iommu);
	loop_destroy(vm->loop);
	pthread_cond_destroy(&vm->changed);
	lock_fini(&vm->listeners_lock);
	lock_fini(&vm->lock);
	free(vm);
}

void vm_add_device(struct vm *vm, struct device *dev)
{
	struct device **p = &vm->devices;

	while (*p)
		p = &(*p)->next;
	*p = dev;
}

void vm_remove_device(struct vm *vm, struct device *dev)
{
	for (struct device **p = &vm->devices; *p; p = &(*p)->next) {
		if (*p != dev)
			continue;
		*p = dev->next;
		dev->ops->destroy(dev);
		return;
	}
}

static void vm_kick_all(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->nr_cpus; i++)
		if (vm->cpus[i]->started)
			vcpu_kick(vm->cpus[i]);
}

void vm_pause(struct vm *vm)
{
	lock_take(&vm->lock);
	vm->ask = VCPU_PARK;
	atomic_store(&vm->attention, true);
	vm_kick_all(vm);
	while (vm->nr_parked < vm->nr_cpus)
		pthread_cond_wait(&vm->changed, &vm->lock.mutex);
	lock_drop(&vm->lock);
}

void vm_resume(struct vm *vm)
{
	lock_take(&vm->lock);
	vm->ask = VCPU_RUN;
	if (!vm_is_halting(vm))
		atomic_store(&vm->attention, false);
	pthread_cond_broadcast(&vm->changed);
	lock_drop(&vm->lock);
}

void vm_ask_reset(struct vm *vm)
{
	if (vm->config->reboot == VM_REBOOT_EXIT) {
		vm_end(vm, VM_END_RESET, 0);
		return;
	}
	lock_take(&vm->lock);
	vm->resetting = true;
	atomic_store(&vm->attention, true);
	lock_drop(&vm->lock);
	loop_post(vm->loop, &vm->reset_work);
}

/* Loop thread: what the reset line does. */
static void vm_reset(void *opaque)
{
	struct vm *vm = opaque;
	struct diag diag = DIAG_INIT;
	int err;

	vm_pause(vm);
	/* Another vCPU may have asked as well before it parked: this reset answers both. */
	loop_cancel(vm->loop, &vm->reset_work);
	for (struct device *dev = vm->devices; dev; dev = dev->next)
		if (dev->ops->reset)
			dev->ops->reset(dev);
	err = arch_board_boot(vm, &diag);
	if (err) {
		vm_end_because(vm, VM_END_HOST_ERROR, diag.err ? diag.object : "reset", "%s",
			       diag.err ? diag.reason : strerror(-err));
		return;
	}
	trace_vm_reset(++vm->nr_resets);
	lock_take(&vm->lock);
	vm->resetting = false;
	lock_drop(&vm->lock);
	vm_resume(vm);
}

static void vm_file_end(struct vm *vm, enum vm_end end, int status, const char *object,
			const char *reason)
{
	lock_take(&vm->lock);
	if (vm->end == VM_END_NONE) {
		vm->end = end;
		vm->end_status = status;
		if (reason)
			diag_set(&vm->end_diag, -EIO, object, "%s", reason);
	}
	atomic_store(&vm->attention, true);
	lock_drop(&vm->lock);
	loop_post(vm->loop, &vm->end_work);
}

void vm_end(struct vm *vm, enum vm_end end, int status)
{
	vm_file_end(vm, end, status, NULL, NULL);
}

void vm_end_because(struct vm *vm, enum vm_end end, const char *object, const char *fmt, ...)
{
	char reason[sizeof(vm->end_diag.reason)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(reason, sizeof(reason), fmt, args);
	va_end(args);
	vm_file_end(vm, end, 0, object, reason);
}

int vm_run(struct vm *vm, struct diag *diag)
{
	unsigned int started = 0;
	int err = arch_board_boot(vm, diag);

	if (err)
		return err;
	phases_mark(vm->phases, "boot image");
	for (; started < vm->nr_cpus; started++) {
		err = vcpu_start(vm->cpus[started]);
		if (err) {
			diag_set(diag, err, vm->cpus[started]->name, "no thread for it: %s",
				 strerror(-err));
			break;
		}
	}
	if (!err) {
		vm_resume(vm);
		phases_mark(vm->phases, "vCPU threads");
		err = loop_run(vm->loop);
	}

	lock_take(&vm->lock);
	vm->ask = VCPU_QUIT;
	atomic_store(&vm->attention, true);
	vm_kick_all(vm);
	pthread_cond_broadcast(&vm->changed);
	lock_drop(&vm->lock);
	while (started)
		vcpu_join(vm->cpus[--started]);
	return err;
}
