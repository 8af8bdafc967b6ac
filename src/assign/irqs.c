// SPDX-License-Identifier: GPL-2.0-or-later
#include "assign/irqs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "assign/place.h"

#define IRQ_LIST_MAX 1024

struct irqs_walk {
	struct sys *sys;
	const char *cpus;
	int moved, err;
};

static int irqs_move(void *opaque, const char *name)
{
	struct irqs_walk *walk = opaque;
	char path[64];
	int err;

	if (!name[0] || strlen(name) > 10 || name[strspn(name, "0123456789")])
		return 0;
	snprintf(path, sizeof(path), "irq/%s/smp_affinity_list", name);
	err = walk->sys->ops->write_file(walk->sys, SYS_TREE_PROC, path, walk->cpus,
					 strlen(walk->cpus));
	if (!err)
		walk->moved++;
	else if (err != -ENOENT && !walk->err) /* it may be there, but not wired yet */
		walk->err = err;
	return 0;
}

int assign_irqs_place(struct sys *sys, const char *name, const struct sys_cpu_set *cpus)
{
	char path[96], list[IRQ_LIST_MAX];
	struct irqs_walk walk = { .sys = sys, .cpus = list };
	int err;

	assign_place_format(cpus, list, sizeof(list));
	snprintf(path, sizeof(path), "bus/pci/devices/%s/msi_irqs", name);
	err = sys->ops->list(sys, SYS_TREE_SYS, path, irqs_move, &walk);
	if (err)
		return err;
	if (walk.err)
		return walk.err;
	return walk.moved ? walk.moved : -ENOENT;
}
