/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What device classes need of a board, whichever architecture it is for: the PCI fabric, where a
 * device goes on it, and the address space of passed-through devices.
 */
#ifndef AIRLOCK_MACHINE_BOARD_H
#define AIRLOCK_MACHINE_BOARD_H

#include "machine/vm.h"
#include "pci/fabric.h"
#include "vfio/vfio.h"

#define BOARD_SLOTS_MAX	   64
#define BOARD_SWITCH_PORTS 2 /* of a switch that does not say */

struct fault_watch;
struct plan;
struct unit; /* machine/unit.h */

/* A guest slot whose functions belong together: those of one IOMMU group of the host. */
struct board_slot {
	int group; /* the host's number; -1: one function that is not a passed-through one */
	struct pci_bus *bus;
	uint8_t device, next_function;
};

/* First member of every architecture's board. */
struct board {
	struct pci_fabric *fabric;
	struct unit *unit; /* the remapping unit; NULL: none was asked for */
	struct fault_watch
		*faults; /* of passed-through devices; machine/fault_watch.h. May be NULL */
	struct vfio_context *vfio; /* made with the first passed-through device */
	struct loop_work irqs;	   /* passed-through devices have new interrupts of the host's */
	struct sys_cpu_set irq_cpus;
	bool irqs_said; /* where they go, once; loop thread */
	unsigned int nr_ports, nr_nvmes, nr_edus, nr_virtio;
	unsigned int nr_slots;
	struct board_slot slots[BOARD_SLOTS_MAX];
};

/* The bus that `id` names ("pcie.0" is the root bus); -ENOENT with diag filled. */
int board_find_bus(struct board *board, const char *id, struct pci_bus **bus, struct diag *diag);

/*
 * The keys that every PCI device of ours has: bus=ID, where it is put, and iommu=off, which leaves it
 * out of the IOMMU. Before anything is made: 0, or -EINVAL with diag filled.
 */
#define BOARD_KEYS                                                                  \
	"bus=ID              pcie.0 or a port's id (of a switch: NAME.0, NAME.1)\n" \
	"iommu=on|off        behind the IOMMU, or left out of it; default on with --iommu\n"
int board_spec_check(const struct vm_config *config, struct spec *spec, struct diag *diag);
/* The same for the plan: the place is taken there, and --plan refuses what board_plug() would. */
int board_plan(struct plan *plan, struct spec *spec, bool on_root, struct diag *diag);
/* The same of iommu= alone, for what has a place of its own. */
int board_spec_side(const struct vm_config *config, struct spec *spec, struct diag *diag);
/* What a device of this (checked) spec is made on: the IOMMU is part of it. */
struct platform *board_platform(struct vm *vm, struct spec *spec);
/* Buses that a machine of these devices can have, the root bus among them. */
unsigned int board_count_buses(struct vm_config *config);
/*
 * The bus where something of this spec goes: what bus= names, else the root bus or, unless on_root, that
 * of a root port made for it. 0, or -errno with diag filled.
 */
int board_find_place(struct vm *vm, struct spec *spec, struct platform *platform, bool on_root,
		     struct pci_bus **bus, struct diag *diag);
/*
 * Puts a function where its spec says; without bus=, on the root bus or, unless on_root, behind a root
 * port made for it. 0, or -errno with diag filled. The owner detaches it.
 */
int board_plug(struct vm *vm, struct spec *spec, struct pci_function *fn, bool on_root,
	       struct diag *diag);

/*
 * Finds a place for a function of host group `group`: beside its group's other functions, else on
 * the named bus, else behind a root port made for it. 0 or -errno with diag filled; the place is
 * taken only by board_slot_use(). platform: the function's, and so the port's.
 */
int board_slot_find(struct board *board, struct platform *platform, const char *bus_id, int group,
		    struct board_slot **slot, struct diag *diag);
/* The slot's next function number: 0..7, or -ENOSPC. */
int board_slot_use(struct board_slot *slot);

/* The VM's address space for passed-through devices, opened on first use. */
int board_vfio(struct vm *vm, const char *container, struct vfio_context **context,
	       struct diag *diag);

#endif
