/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a run would do, worked out without opening a device or changing anything: the image, the
 * memory, the devices with their groups and resets, and the memory to lock. `airlock run` makes
 * the same plan first, so that a refusal comes before anything has been touched.
 */
#ifndef AIRLOCK_MACHINE_PLAN_H
#define AIRLOCK_MACHINE_PLAN_H

#include <stdio.h>

#include "assign/memlock.h"
#include "host/limits.h"
#include "machine/config.h"
#include "vfio/vfio.h"

/* A bus that bus= can name, and the host group whose functions fill its one slot. */
struct plan_bus {
	char id[40];
	int group;
	bool taken;
};

struct plan {
	struct sys *sys;
	struct vm_config *config;
	bool thorough;
	unsigned int nr_root; /* slots of the root bus that are taken */
	unsigned int nr_buses;
	struct plan_bus buses[4 * VM_DEVICES_MAX]; /* behind ports */
	unsigned int nr_refusals;
	struct diag *refusals; /* owned */
	struct host_limits limits;
	struct assign_memlock memlock;
	unsigned int nr_vfio;
	struct vfio_pci_plan *vfio[VM_DEVICES_MAX]; /* owned */
	bool guarded[VM_DEVICES_MAX];		    /* of these, those behind the guest's IOMMU */
	unsigned int nr_mirrors;		    /* and how many: an address space each */
	unsigned int nr_notes;
	char notes[VM_DEVICES_MAX][96]; /* one line for each other device */
	unsigned int nr_drives;
	char drives[VM_DRIVES_MAX][160]; /* one line for each disk */
	bool drive_taken[VM_DRIVES_MAX]; /* by a device */
	char image[160];
	char iommu[160]; /* empty: none */
};

/*
 * Fills the plan as far as it gets, all refusals among it; 0, or the first one's error. thorough: with
 * a look at what the kernel would only say when a device is attached. Undo with plan_fini().
 */
int plan_make(struct plan *plan, struct sys *sys, struct vm_config *config, bool thorough);
void plan_fini(struct plan *plan);
/* One more reason why it cannot be; a copy is kept. */
void plan_refuse(struct plan *plan, const struct diag *diag);
/* For people, but for the refusals. */
void plan_print(const struct plan *plan, FILE *to);
void plan_print_refusals(const struct plan *plan, FILE *to);

/* For a device class's plan function: a line about a device that is not passed through. */
void plan_note(struct plan *plan, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/*
 * For the plan of a device that wants drive `id`: as drive_check(), and -EBUSY in diag when another has
 * taken it.
 */
int plan_take_drive(struct plan *plan, const char *whose, const char *id, struct diag *diag);
/*
 * As plan_note() for one that is; guarded: behind the guest's IOMMU. -EEXIST in diag when the plan has it
 * already.
 */
int plan_vfio(struct plan *plan, const struct vfio_pci_config *config, bool guarded,
	      struct diag *diag);
/* A root port of that name. -EEXIST when there is one, -ENOSPC when the root bus is full. */
int plan_port(struct plan *plan, const char *id, struct diag *diag);
/* A bus of that name behind a switch's port. -EEXIST, -ENOSPC. */
int plan_bus(struct plan *plan, const char *id, struct diag *diag);
/*
 * A slot for a function of host group `group` (-1: of none) on the bus of that name; NULL: behind a
 * port of its own. -ENOENT, -EBUSY when it is occupied, -ENOSPC.
 */
int plan_slot(struct plan *plan, const char *bus, int group, struct diag *diag);

#endif
