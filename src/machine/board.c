// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/board.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>

#include "assign/irqs.h"
#include "base/log.h"
#include "machine/plan.h"

int board_find_bus(struct board *board, const char *id, struct pci_bus **bus, struct diag *diag)
{
	*bus = strcmp(id, "pcie.0") ? pci_fabric_find_bus(board->fabric, id)
				    : pci_fabric_root(board->fabric);
	if (*bus)
		return 0;
	diag_set(diag, -ENOENT, id, "there is no such bus");
	return diag_remedy(diag, -ENOENT,
			   "name pcie.0, or a port made before: --device root-port,id=NAME, or "
			   "NAME.0, NAME.1... of --device switch,id=NAME");
}

/* A root port of the device's own, so that nothing shares its link or its reset. */
static int board_add_port(struct board *board, struct platform *platform, struct pci_bus **bus,
			  struct diag *diag)
{
	char id[16];
	struct pci_port_config config = {
		.id = id,
		.platform = platform,
		.slot_number = (uint8_t)(board->nr_ports + 1),
		.acs = true,
	};
	int err;

	/* Names a user could not have taken: root-port refuses an id that begins with a dot. */
	snprintf(id, sizeof(id), ".port%u", board->nr_ports);
	err = pci_root_port_create(board->fabric, &config, bus, diag);
	if (!err)
		board->nr_ports++;
	return err;
}

int board_spec_check(const struct vm_config *config, struct spec *spec, struct diag *diag)
{
	spec_text(spec, "bus");
	return board_spec_side(config, spec, diag);
}

int board_plan(struct plan *plan, struct spec *spec, bool on_root, struct diag *diag)
{
	const char *bus = spec_text(spec, "bus");
	int err = board_spec_check(plan->config, spec, diag);

	return err ? err : plan_slot(plan, bus || !on_root ? bus : "pcie.0", -1, diag);
}

int board_spec_side(const struct vm_config *config, struct spec *spec, struct diag *diag)
{
	bool behind = config->has_iommu;
	int err = spec_bool(spec, "iommu", &behind, diag);

	if (!err && behind && !config->has_iommu) {
		diag_set(diag, -EINVAL, spec->whole, "iommu=on, but this machine has no IOMMU");
		return diag_remedy(diag, -EINVAL, "add --iommu vtd");
	}
	return err;
}

struct platform *board_platform(struct vm *vm, struct spec *spec)
{
	bool behind = true;

	spec_bool(spec, "iommu", &behind, NULL);
	return behind ? &vm->platform : &vm->unguarded;
}

/*
 * The DMAR table names a root port with all that is behind it, or leaves out both: a device is where
 * its port is.
 */
static int board_check_side(struct pci_bus *bus, const char *bus_id,
			    const struct platform *platform, const char *who, struct diag *diag)
{
	const struct platform *port = pci_bus_platform(bus);

	if (!port || port->iommu == platform->iommu)
		return 0;
	diag_set(diag, -EINVAL, who,
		 "of it and its port %s, one is behind the IOMMU and the other is left out",
		 bus_id);
	return diag_remedy(diag, -EINVAL, "give both iommu=off, or neither");
}

unsigned int board_count_buses(struct vm_config *config)
{
	unsigned int nr = 1;

	for (unsigned int i = 0; i < config->nr_devices; i++) {
		struct spec *spec = &config->devices[i];
		uint64_t ports = BOARD_SWITCH_PORTS;

		/* One for each device: behind a port of its own. */
		nr++;
		if (strcmp(spec->class_name, "switch"))
			continue;
		spec_number(spec, "ports", 32, &ports, NULL);
		nr += 1 + (unsigned int)ports;
	}
	return nr;
}

int board_find_place(struct vm *vm, struct spec *spec, struct platform *platform, bool on_root,
		     struct pci_bus **bus, struct diag *diag)
{
	const char *id = spec_text(spec, "bus");
	int err;

	if (!id && !on_root)
		return board_add_port(vm->board, platform, bus, diag);
	err = board_find_bus(vm->board, id ? id : "pcie.0", bus, diag);
	return err ? err : board_check_side(*bus, id, platform, spec->whole, diag);
}

int board_plug(struct vm *vm, struct spec *spec, struct pci_function *fn, bool on_root,
	       struct diag *diag)
{
	const char *id = spec_text(spec, "bus");
	struct pci_bus *bus;
	int slot, err = board_find_place(vm, spec, fn->platform, on_root, &bus, diag);

	if (err)
		return err;
	slot = pci_bus_free_slot(bus);
	err = slot < 0 ? slot : pci_function_attach(fn, bus, PCI_DEVFN(slot, 0));
	if (!err)
		return 0;
	diag_set(diag, err, spec->whole, "finds no place on bus %s: %s", id ? id : "pcie.0",
		 strerror(-err));
	return diag_remedy(diag, err, "give it a bus of its own: --device root-port,id=NAME");
}

int board_slot_find(struct board *board, struct platform *platform, const char *bus_id, int group,
		    struct board_slot **slot, struct diag *diag)
{
	struct pci_bus *bus;
	struct board_slot *s;
	int err, device;

	for (unsigned int i = 0; group >= 0 && i < board->nr_slots; i++) {
		if (board->slots[i].group != group)
			continue;
		*slot = &board->slots[i];
		return 0;
	}
	if (board->nr_slots == BOARD_SLOTS_MAX)
		return diag_set(diag, -ENOSPC, "PCI", "more than %d slots are in use",
				BOARD_SLOTS_MAX);
	err = bus_id ? board_find_bus(board, bus_id, &bus, diag)
		     : board_add_port(board, platform, &bus, diag);
	if (!err)
		err = board_check_side(bus, bus_id, platform, bus_id, diag);
	if (err)
		return err;
	device = pci_bus_free_slot(bus);
	if (device < 0)
		return diag_set(diag, device, bus_id ? bus_id : "root port",
				"no free slot on this bus");
	s = &board->slots[board->nr_slots++];
	*s = (struct board_slot){ .group = group, .bus = bus, .device = (uint8_t)device };
	*slot = s;
	return 0;
}

int board_slot_use(struct board_slot *slot)
{
	return slot->next_function < 8 ? slot->next_function++ : -ENOSPC;
}

/* KVM looks after coherence and, on some hosts, posted interrupts only for groups it knows of. */
static int board_kvm_vfio(struct vm *vm, uint64_t attribute, int group_fd)
{
	int32_t fd = group_fd;
	struct kvm_device_attr attr = {
		.group = KVM_DEV_VFIO_GROUP,
		.attr = attribute,
		.addr = (uintptr_t)&fd,
	};

	if (vm->kvm_vfio_fd < 0) {
		struct kvm_create_device create = { .type = KVM_DEV_TYPE_VFIO };
		int err = sys_ioctl(vm->sys, vm->vm_fd, KVM_CREATE_DEVICE, &create);

		if (err)
			return err;
		vm->kvm_vfio_fd = (int)create.fd;
	}
	return sys_ioctl(vm->sys, vm->kvm_vfio_fd, KVM_SET_DEVICE_ATTR, &attr);
}

static int board_kvm_attach(void *opaque, int group_fd)
{
	return board_kvm_vfio(opaque, KVM_DEV_VFIO_GROUP_ADD, group_fd);
}

static void board_kvm_detach(void *opaque, int group_fd)
{
	board_kvm_vfio(opaque, KVM_DEV_VFIO_GROUP_DEL, group_fd);
}

/* Too late to refuse the start: the guest runs already, so the run ends. */
static void board_map_failed(void *opaque, const struct diag *diag)
{
	vm_end_because(opaque, VM_END_HOST_ERROR, diag->object, "%s%s%s", diag->reason,
		       diag->remedy[0] ? "; " : "", diag->remedy);
}

static void board_irqs_changed(void *opaque)
{
	struct vm *vm = opaque;

	loop_post(vm->loop, &vm->board->irqs);
}

static void board_place_irqs_of(void *opaque, const char *name)
{
	struct vm *vm = opaque;
	struct board *board = vm->board;
	char cpus[128];
	int nr = assign_irqs_place(vm->sys, name, &board->irq_cpus);

	if (nr == -ENOENT || board->irqs_said)
		return;
	board->irqs_said = true;
	if (nr < 0)
		log_info(name, "its interrupts on the host stay where that has put them: %s",
			 strerror(-nr));
	else
		log_info(name, "its interrupts on the host go to CPUs %s",
			 assign_place_format(&board->irq_cpus, cpus, sizeof(cpus)));
}

/* Loop thread, soon after; many changes are one round. */
static void board_place_irqs(void *opaque)
{
	struct vm *vm = opaque;

	vfio_context_names(vm->board->vfio, board_place_irqs_of, vm);
}

int board_vfio(struct vm *vm, const char *container, struct vfio_context **context,
	       struct diag *diag)
{
	struct vfio_context_config config = {
		.platform = &vm->unguarded,
		.container = container,
		.kvm_attach = board_kvm_attach,
		.kvm_detach = board_kvm_detach,
		.map_failed = board_map_failed,
		.opaque = vm,
	};
	const struct assign_placement *placement = vm->config->placement;
	int err = 0;

	if (placement && assign_place_irq_cpus(placement, &vm->board->irq_cpus)) {
		vm->board->irqs = (struct loop_work){ .fn = board_place_irqs, .opaque = vm };
		config.irqs_changed = board_irqs_changed;
	}

	if (!vm->board->vfio)
		err = vfio_context_create(&config, &vm->board->vfio, diag);
	*context = vm->board->vfio;
	return err;
}
