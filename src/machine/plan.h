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

struct plan {
	struct sys *sys;
	struct vm_config *config;
	struct host_limits limits;
	struct assign_memlock memlock;
	unsigned int nr_vfio;
	struct vfio_pci_plan *vfio[VM_DEVICES_MAX]; /* owned */
	unsigned int nr_notes;
	char notes[VM_DEVICES_MAX][96]; /* one line for each other device */
	char image[160];
};

/* Fills the plan as far as it gets; 0, or the first refusal in diag. Undo with plan_fini(). */
int plan_make(struct plan *plan, struct sys *sys, struct vm_config *config, struct diag *diag);
void plan_fini(struct plan *plan);
/* For people. refusal is what plan_make() refused, or NULL. */
void plan_print(const struct plan *plan, FILE *to, const struct diag *refusal);

/* For a device class's plan function: a line about a device that is not passed through. */
void plan_note(struct plan *plan, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same for one that is. -EEXIST in diag when the plan has it already. */
int plan_vfio(struct plan *plan, const struct vfio_pci_config *config, struct diag *diag);

#endif
