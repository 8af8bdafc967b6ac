/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A VM over several nodes of the host, and its vCPUs on CPUs of their own: assign/place.h decides. */
#ifndef AIRLOCK_MACHINE_NUMA_H
#define AIRLOCK_MACHINE_NUMA_H

#include "assign/place.h"
#include "base/diag.h"
#include "base/range.h"
#include "memory/ram.h"

struct vm;

/* A piece of one of the guest's nodes: the RAM of a node may lie on both sides of the hole. */
typedef int (*numa_piece_fn)(void *opaque, unsigned int node, struct range gpa);

/*
 * Calls fn for each piece of RAM, ascending, with the guest's node it belongs to. `regions` are the
 * RAM's own. 0, or what fn returned; nothing is called where the guest has one node.
 */
int numa_pieces(const struct assign_placement *placement, const struct range *regions,
		unsigned int nr_regions, numa_piece_fn fn, void *opaque);

/* Takes each node's RAM from the host's node; before anything touches it. 0 or -errno with diag. */
int numa_place_ram(const struct assign_placement *placement, struct ram *ram, struct diag *diag);

/* The calling thread runs vCPU `index` from now on, where that belongs. 0 or -errno. */
int numa_place_vcpu(const struct assign_placement *placement, struct sys *sys, unsigned int index);

#endif
