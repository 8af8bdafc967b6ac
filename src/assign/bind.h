/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Takes functions from the host's drivers for VFIO, and gives them back: whole groups at once, each
 * function to the very driver it came from. Everything is written down in the journal before it is
 * done; a failure half-way is undone at once, a kill half-way by assign_recover().
 */
#ifndef AIRLOCK_ASSIGN_BIND_H
#define AIRLOCK_ASSIGN_BIND_H

#include "assign/journal.h"
#include "assign/use.h"
#include "host/isolation.h"

#define ASSIGN_DRIVER "vfio-pci"

struct assign_bind {
	const struct host_isolation *isolation; /* read after the journal was locked */
	const int *device;			/* indices in its inventory */
	size_t nr_devices;
	bool group;	       /* the other members of their groups too */
	unsigned int accepted; /* bit per assign_use_kind: the person named this loss */
	/*
	 * The host boots, and each function is bound as it appears: siblings have their own turn. This
	 * is the driver it belongs to where none has it yet; NULL: the host does not boot.
	 */
	const char *boot_driver;
};

/* Told of each function that has changed hands. `from` and `to` are drivers, "" for none. */
typedef void (*assign_moved_fn)(void *opaque, const char *name, const char *from, const char *to);

/*
 * Binds to vfio-pci what is not bound to it yet. 0; or -errno with diag, the host being as it was
 * (if even that failed, diag says so and the journal remembers):
 *   -ENODEV no IOMMU group, -EINVAL a bridge, -EBUSY in use or a sibling is, -ENOENT the driver
 *   vfio-pci is not there.
 */
int assign_bind(struct assign_journal *journal, const struct assign_bind *bind,
		assign_moved_fn moved, void *opaque, struct diag *diag);

/*
 * Lets the bindings of these devices (with `group`: of all of their groups) come back with every
 * boot, by the program at this path (assign/persist.h); they are bound by now. 0; or -errno with
 * diag, and none of them does.
 */
int assign_bind_persist(struct assign_journal *journal, const struct assign_bind *bind,
			const char *program, struct diag *diag);

/*
 * Gives these functions back to the drivers they came from, and for good: a binding that persisted
 * does so no more. -ENOENT for one that is not in the
 * journal, -EBUSY while a VM has it.
 */
int assign_release(struct assign_journal *journal, const struct pci_address *address, size_t nr,
		   assign_moved_fn moved, void *opaque, struct diag *diag);

/*
 * -EBUSY when the function is bound to vfio-pci and somebody has its group open: a driver's unbind
 * would wait for them.
 */
int assign_check_idle(struct sys *sys, const char *name, struct diag *diag);

/* -EBUSY when the host uses the function in a way that was not accepted; the use is named. */
int assign_check_uses(struct sys *sys, const struct host_function *f, unsigned int accepted,
		      struct diag *diag);

/* Gives back all that an interrupted bind or release left half-way; *nr receives how many. */
int assign_recover(struct assign_journal *journal, size_t *nr, assign_moved_fn moved, void *opaque,
		   struct diag *diag);

#endif
