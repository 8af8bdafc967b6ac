// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/board.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>

int board_find_bus(struct board *board, const char *id, struct pci_bus **bus, struct diag *diag)
{
	*bus = strcmp(id, "pcie.0") ? pci_fabric_find_bus(board->fabric, id)
				    : pci_fabric_root(board->fabric);
	if (*bus)
		return 0;
	diag_set(diag, -ENOENT, id, "there is no such bus");
	return diag_remedy(diag, -ENOENT,
			   "name pcie.0, or a port made before with "
			   "--device root-port,id=%s",
			   id);
}

/* A root port of the device's own, so that nothing shares its link or its reset. */
static int board_add_port(struct board *board, struct pci_bus **bus, struct diag *diag)
{
	char id[16];
	struct pci_port_config config = {
		.id = id,
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

int board_slot_find(struct board *board, const char *bus_id, int group, struct board_slot **slot,
		    struct diag *diag)
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
		     : board_add_port(board, &bus, diag);
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

int board_vfio(struct vm *vm, const char *container, struct vfio_context **context,
	       struct diag *diag)
{
	struct vfio_context_config config = {
		.platform = &vm->platform,
		.container = container,
		.kvm_attach = board_kvm_attach,
		.kvm_detach = board_kvm_detach,
		.map_failed = board_map_failed,
		.opaque = vm,
	};
	int err = 0;

	if (!vm->board->vfio)
		err = vfio_context_create(&config, &vm->board->vfio, diag);
	*context = vm->board->vfio;
	return err;
}
