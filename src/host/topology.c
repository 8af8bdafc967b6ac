// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/topology.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* 256 buses in a segment: no honest path is longer. */
#define TOPOLOGY_MAX_DEPTH 256

int host_topology_index(const struct host_topology *topology, struct pci_address address)
{
	const struct host_function *f = host_inventory_find(topology->inventory, address);

	return f ? (int)(f - topology->inventory->function) : HOST_NONE;
}

/* Levels above a function, or -ELOOP. */
static int topology_depth(const struct host_topology *topology, int index)
{
	int depth = 0;

	while ((index = topology->node[index].parent) != HOST_NONE)
		if (++depth > TOPOLOGY_MAX_DEPTH)
			return -ELOOP;
	return depth;
}

int host_topology_init(struct host_topology *topology, const struct host_inventory *inventory)
{
	int nr = (int)inventory->nr_functions, i;

	topology->inventory = inventory;
	topology->first_root = HOST_NONE;
	topology->node = calloc((size_t)nr + 1, sizeof(*topology->node));
	if (!topology->node)
		return -ENOMEM;
	for (i = 0; i < nr; i++) {
		const struct host_function *f = &inventory->function[i];
		struct host_node *node = &topology->node[i];

		node->first_child = node->next_sibling = HOST_NONE;
		node->parent = f->has_parent ? host_topology_index(topology, f->parent) : HOST_NONE;
		node->behind = f->has_owner ? host_topology_index(topology, f->owner) : HOST_NONE;
		if (node->parent == i)
			node->parent = HOST_NONE;
		if (node->behind == i)
			node->behind = HOST_NONE;
	}
	for (i = 0; i < nr; i++)
		if (topology_depth(topology, i) < 0)
			topology->node[i].parent = HOST_NONE;
	/* From the end, so that each list comes out ascending. */
	for (i = nr; i-- > 0;) {
		struct host_node *node = &topology->node[i];
		int *head = node->parent == HOST_NONE ? &topology->first_root
						      : &topology->node[node->parent].first_child;

		node->depth = (unsigned int)topology_depth(topology, i);
		node->next_sibling = *head;
		*head = i;
	}
	return 0;
}

void host_topology_fini(struct host_topology *topology)
{
	free(topology->node);
	memset(topology, 0, sizeof(*topology));
}
