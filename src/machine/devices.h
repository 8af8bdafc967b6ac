/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every device class that --device knows, in one table listed by hand, and what each needs: a look
 * before anything is opened (for --plan and for refusals that cost nothing), and its creation.
 */
#ifndef AIRLOCK_MACHINE_DEVICES_H
#define AIRLOCK_MACHINE_DEVICES_H

#include "machine/spec.h"
#include "machine/vm.h"
#include "pci/fabric.h"
#include "vfio/vfio.h"

struct plan;

struct device_class {
	const char *name;
	const char *summary; /* one line */
	const char *keys;    /* one line per key, for --device help */
	/* Adds what the device would do to the plan. 0 or -errno with diag filled. */
	int (*plan)(struct plan *plan, struct spec *spec, struct diag *diag);
	/* Creates it on the board and hands it to vm_add_device(). 0 or -errno with diag filled. */
	int (*create)(struct vm *vm, struct spec *spec, struct diag *diag);
};

/* Classes with a file of their own. */
extern const struct device_class device_class_edu, device_class_nvme, device_class_switch,
	device_class_virtio_blk, device_class_virtio_rng;

/* NULL when there is no such class. */
const struct device_class *device_class_find(const char *name);
/* One after the other; NULL past the last. */
const struct device_class *device_class_at(unsigned int i);
/* -EINVAL naming the classes there are. */
int device_class_unknown(const struct spec *spec, struct diag *diag);
/* A passed-through device goes behind the guest's IOMMU: the host must be able to follow its tables. */
bool devices_need_mirror(struct vm_config *config);

#endif
