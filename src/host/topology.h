/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PCI tree over an inventory: who is below whom. It is taken from the kernel's own paths, so a
 * VF stands below the port its PF stands below, whatever bus number it has.
 */
#ifndef AIRLOCK_HOST_TOPOLOGY_H
#define AIRLOCK_HOST_TOPOLOGY_H

#include "host/pci.h"

/* Index of no function. */
#define HOST_NONE (-1)

struct host_node {
	int parent;	  /* the bridge above; HOST_NONE on a root bus */
	int first_child;  /* ascending by address; HOST_NONE */
	int next_sibling; /* next child of the same parent, or the next function on any root bus */
	int behind;	  /* the function that does DMA in its name (Intel VMD); HOST_NONE */
	unsigned int depth;
};

struct host_topology {
	const struct host_inventory *inventory; /* borrowed: outlives the topology */
	struct host_node *node;			/* owned; index as in the inventory */
	int first_root;
};

/* 0 or -ENOMEM. Paths that contradict each other (loops) are cut: the function becomes a root. */
int host_topology_init(struct host_topology *topology, const struct host_inventory *inventory);
void host_topology_fini(struct host_topology *topology);

/* Index of a function of the topology's inventory; HOST_NONE when it is not there. */
int host_topology_index(const struct host_topology *topology, struct pci_address address);

static inline const struct host_function *host_topology_at(const struct host_topology *topology,
							   int index)
{
	return &topology->inventory->function[index];
}

#endif
