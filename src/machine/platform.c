// SPDX-License-Identifier: GPL-2.0-or-later
/* The platform table on KVM: each entry hands over to the part of the machine that does it. */
#include <linux/kvm.h>
#include <unistd.h>

#include "base/bits.h"
#include "machine/arch.h"
#include "machine/vcpu.h"
#include "machine/vm.h"

static int vm_region_add(struct platform *p, struct bus_region *region)
{
	return bus_region_add(&vm_of(p)->bus, region);
}

static void vm_region_remove(struct platform *p, struct bus_region *region)
{
	bus_region_remove(&vm_of(p)->bus, region);
}

static void vm_synchronize(struct platform *p)
{
	bus_synchronize(&vm_of(p)->bus);
}

static int vm_doorbell(struct vm *vm, const struct doorbell *bell, uint32_t flags)
{
	struct kvm_ioeventfd io = {
		.addr = bell->addr,
		.len = bell->size,
		.fd = bell->eventfd,
		.flags = flags,
	};

	if (bell->space == BUS_PIO)
		io.flags |= KVM_IOEVENTFD_FLAG_PIO;
	if (bell->match) {
		io.flags |= KVM_IOEVENTFD_FLAG_DATAMATCH;
		io.datamatch = bell->value;
	}
	return sys_ioctl(vm->sys, vm->vm_fd, KVM_IOEVENTFD, &io);
}

static int vm_doorbell_add(struct platform *p, const struct doorbell *bell)
{
	return vm_doorbell(vm_of(p), bell, 0);
}

static void vm_doorbell_remove(struct platform *p, const struct doorbell *bell)
{
	/* Cannot fail for a doorbell that was added. */
	vm_doorbell(vm_of(p), bell, KVM_IOEVENTFD_FLAG_DEASSIGN);
}

static void vm_irq_set(struct platform *p, unsigned int pin, unsigned int share, bool level)
{
	arch_irq_set(vm_of(p), pin, share, level);
}

static void vm_irq_eoi_watch(struct platform *p, unsigned int pin, struct irq_eoi *eoi)
{
	arch_irq_eoi_watch(vm_of(p), pin, eoi);
}

static void vm_irq_eoi_unwatch(struct platform *p, unsigned int pin, struct irq_eoi *eoi)
{
	arch_irq_eoi_unwatch(vm_of(p), pin, eoi);
}

static int vm_msi_alloc(struct platform *p, rid_t rid, msi_route_t *route)
{
	return irq_msi_alloc(&vm_of(p)->irq, p->iommu, rid, route);
}

static void vm_msi_free(struct platform *p, msi_route_t route)
{
	irq_msi_free(&vm_of(p)->irq, route);
}

static void vm_msi_set(struct platform *p, msi_route_t route, struct msi_message msg)
{
	irq_msi_set(&vm_of(p)->irq, route, msg);
}

static void vm_msi_requester(struct platform *p, msi_route_t route, rid_t rid)
{
	irq_msi_requester(&vm_of(p)->irq, route, rid);
}

static int vm_msi_commit(struct platform *p)
{
	return irq_commit(&vm_of(p)->irq);
}

static int vm_msi_attach(struct platform *p, msi_route_t route, int eventfd)
{
	return irq_msi_attach(&vm_of(p)->irq, route, eventfd);
}

static void vm_msi_detach(struct platform *p, msi_route_t route, int eventfd)
{
	irq_msi_detach(&vm_of(p)->irq, route, eventfd);
}

static int vm_msi_send(struct platform *p, rid_t rid, struct msi_message msg)
{
	return irq_send(&vm_of(p)->irq, p->iommu, rid, msg);
}

static int vm_slot_add(struct platform *p, struct direct_slot *slot)
{
	return slots_add(&vm_of(p)->slots, slot);
}

static void vm_slot_remove(struct platform *p, struct direct_slot *slot)
{
	slots_remove(&vm_of(p)->slots, slot);
}

unsigned int vm_memory_threads(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	return cpus < 1 ? 1 : (unsigned int)min_u64((uint64_t)cpus, 8);
}

static int vm_ram_listen(struct platform *p, struct ram_listener *listener)
{
	struct vm *vm = vm_of(p);

	/* Before the first page is pinned: a reset meanwhile must leave pages where they are. */
	ram_hold_pages(vm->ram);
	/* Where that fails, pinning will say why. */
	if (!listener->lazy)
		ram_populate(vm->ram, vm_memory_threads());
	for (unsigned int i = 0; i < vm->ram->nr_regions; i++) {
		const struct ram_region *r = &vm->ram->regions[i];
		int err = listener->add(listener->opaque, r->gpa, r->hva);

		if (err) {
			while (i--)
				listener->remove(listener->opaque, vm->ram->regions[i].gpa,
						 vm->ram->regions[i].hva);
			ram_release_pages(vm->ram);
			return err;
		}
	}
	lock_take(&vm->listeners_lock);
	listener->next = vm->ram_listeners;
	vm->ram_listeners = listener;
	lock_drop(&vm->listeners_lock);
	return 0;
}

/* True when it was there. */
static bool vm_ram_unlist(struct vm *vm, struct ram_listener *listener)
{
	bool found = false;

	lock_take(&vm->listeners_lock);
	for (struct ram_listener **l = &vm->ram_listeners; *l && !found; l = &(*l)->next) {
		found = *l == listener;
		if (found) {
			*l = listener->next;
			break;
		}
	}
	lock_drop(&vm->listeners_lock);
	return found;
}

static void vm_ram_unlisten(struct platform *p, struct ram_listener *listener)
{
	struct vm *vm = vm_of(p);

	if (!vm_ram_unlist(vm, listener))
		return;
	for (unsigned int i = vm->ram->nr_regions; i--;)
		listener->remove(listener->opaque, vm->ram->regions[i].gpa,
				 vm->ram->regions[i].hva);
	ram_release_pages(vm->ram);
}

static void vm_access(struct platform *p, uint64_t addr, void *data, unsigned int size, bool write)
{
	struct vm *vm = vm_of(p);

	if (write)
		bus_write(&vm->bus, &vm->loop_reader, BUS_MMIO, addr, data, size);
	else
		bus_read(&vm->bus, &vm->loop_reader, BUS_MMIO, addr, data, size);
}

static void vm_power(struct platform *p, enum power_event event, int status)
{
	struct vm *vm = vm_of(p);

	switch (event) {
	case POWER_OFF:
		vm_end(vm, VM_END_OFF, 0);
		break;
	case POWER_RESET:
		vm_ask_reset(vm);
		break;
	case POWER_PANIC:
		vcpu_end_here(vm, VM_END_PANIC, "the guest's kernel reported a panic (pvpanic)");
		break;
	case POWER_EXIT:
		vm_end(vm, VM_END_DEBUG_EXIT, status);
		break;
	}
}

const struct platform_ops vm_platform_ops = {
	.region_add = vm_region_add,
	.region_remove = vm_region_remove,
	.synchronize = vm_synchronize,
	.doorbell_add = vm_doorbell_add,
	.doorbell_remove = vm_doorbell_remove,
	.irq_set = vm_irq_set,
	.irq_eoi_watch = vm_irq_eoi_watch,
	.irq_eoi_unwatch = vm_irq_eoi_unwatch,
	.msi_alloc = vm_msi_alloc,
	.msi_free = vm_msi_free,
	.msi_set = vm_msi_set,
	.msi_requester = vm_msi_requester,
	.msi_commit = vm_msi_commit,
	.msi_attach = vm_msi_attach,
	.msi_detach = vm_msi_detach,
	.msi_send = vm_msi_send,
	.slot_add = vm_slot_add,
	.slot_remove = vm_slot_remove,
	.ram_listen = vm_ram_listen,
	.ram_unlisten = vm_ram_unlisten,
	.access = vm_access,
	.power = vm_power,
};
