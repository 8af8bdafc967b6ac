// SPDX-License-Identifier: GPL-2.0-or-later
#include "assign/peers.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/isolation.h"

struct peers {
	struct sys *sys;
	struct host_inventory inventory;
	struct host_topology topology;
	struct host_isolation isolation;
	const struct pci_address *ours;
	size_t nr_ours;
};

/* Counts the groups in /dev/vfio: "42", and not "vfio" or "devices". */
static int peers_count(void *opaque, const char *name)
{
	*(size_t *)opaque += name[0] && strspn(name, "0123456789") == strlen(name);
	return 0;
}

/* Another VM, or whoever else: somebody who is not us has the group open. */
static bool peers_is_open(struct sys *sys, int group)
{
	char name[16];
	int fd;

	snprintf(name, sizeof(name), "%d", group);
	fd = sys_open(sys, SYS_VFIO_GROUP, name);
	if (fd == -EBUSY)
		return true;
	sys_close(sys, &fd);
	return false;
}

static int peers_refuse(const struct peers *peers, int ours, int theirs, int from, int at,
			struct diag *diag)
{
	const struct host_function *us = host_topology_at(&peers->topology, ours);
	const struct host_function *them = host_topology_at(&peers->topology, theirs);
	const struct host_function *port = host_topology_at(&peers->topology, at);

	diag_set(diag, -EPERM, us->name,
		 "%s %s, which another VM has, past the IOMMU: %s %s does not redirect requests "
		 "between peers",
		 from == ours ? "it may reach" : "it may be reached by", them->name,
		 host_config_port_name(&port->config), port->name);
	diag_remedy(diag, -EPERM,
		    "give both to one VM, or move one below a port with ACS (airlock topology); "
		    "if the two VMs may trust each other: --accept peer-path");
	return -EPERM;
}

static int peers_check_one(const struct peers *peers, int theirs, struct diag *diag)
{
	const struct host_function *them = host_topology_at(&peers->topology, theirs);
	int at;

	for (size_t i = 0; i < peers->nr_ours; i++) {
		int ours = host_topology_index(&peers->topology, peers->ours[i]);

		/* One group goes to one VM anyway. */
		if (ours == HOST_NONE ||
		    host_topology_at(&peers->topology, ours)->group == them->group)
			continue;
		if (host_isolation_can_reach(&peers->isolation, ours, theirs, &at)) {
			if (peers_is_open(peers->sys, them->group))
				return peers_refuse(peers, ours, theirs, ours, at, diag);
		} else if (host_isolation_can_reach(&peers->isolation, theirs, ours, &at)) {
			if (peers_is_open(peers->sys, them->group))
				return peers_refuse(peers, ours, theirs, theirs, at, diag);
		}
	}
	return 0;
}

int assign_peers_check(struct sys *sys, const struct pci_address *ours, size_t nr_ours,
		       struct diag *diag)
{
	struct peers peers = { .sys = sys, .ours = ours, .nr_ours = nr_ours };
	size_t nr_groups = 0;
	int err;

	if (!nr_ours)
		return 0;
	/* Without /dev/vfio nobody has anything; one group can only be ours. */
	if (sys->ops->list(sys, SYS_TREE_DEV, "vfio", peers_count, &nr_groups) || nr_groups < 2)
		return 0;
	err = host_inventory_read(sys, &peers.inventory, diag);
	if (err)
		return err;
	err = host_topology_init(&peers.topology, &peers.inventory);
	if (!err)
		err = host_isolation_init(&peers.isolation, &peers.topology);
	if (err)
		diag_set(diag, err, "peers", "out of memory");
	for (size_t i = 0; !err && i < peers.inventory.nr_functions; i++)
		if (host_driver_is_vfio(peers.inventory.function[i].driver))
			err = peers_check_one(&peers, (int)i, diag);
	host_isolation_fini(&peers.isolation);
	host_topology_fini(&peers.topology);
	host_inventory_fini(&peers.inventory);
	return err;
}
