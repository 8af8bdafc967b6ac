// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/numa.h"

#include <errno.h>
#include <string.h>

#include "base/bits.h"

int numa_pieces(const struct assign_placement *placement, const struct range *regions,
		unsigned int nr_regions, numa_piece_fn fn, void *opaque)
{
	uint64_t left = placement && placement->nr_nodes ? placement->nodes[0].ram : 0;
	unsigned int node = 0;
	int err = 0;

	if (!placement || !placement->nr_nodes)
		return 0;
	for (unsigned int i = 0; i < nr_regions; i++) {
		uint64_t at = regions[i].first, len = range_len(regions[i]);

		while (len && !err) {
			uint64_t take;

			/* What the shares do not cover is the last node's. */
			while (!left && node + 1 < placement->nr_nodes)
				left = placement->nodes[++node].ram;
			take = left ? min_u64(left, len) : len;
			err = fn(opaque, node, range_of(at, take));
			at += take;
			len -= take;
			left -= min_u64(left, take);
		}
	}
	return err;
}

static int numa_place_piece(void *opaque, unsigned int node, struct range gpa_range)
{
	void *const *pair = opaque;
	const struct assign_placement *placement = pair[0];
	struct ram *ram = pair[1];
	uint64_t len = range_len(gpa_range);
	void *hva = ram_span(ram, gpa(gpa_range.first), len);

	return hva ? ram->sys->ops->place_memory(ram->sys, hva, len, placement->nodes[node].node)
		   : -EFAULT;
}

int numa_place_ram(const struct assign_placement *placement, struct ram *ram, struct diag *diag)
{
	/* A placement is read here; the walk's opaque pointer is not. */
	union {
		const struct assign_placement *read;
		void *opaque;
	} placed = { .read = placement };
	void *pair[] = { placed.opaque, ram };
	struct range regions[RAM_REGIONS_MAX];
	int err;

	for (unsigned int i = 0; i < ram->nr_regions; i++)
		regions[i] = ram->regions[i].gpa;
	err = numa_pieces(placement, regions, ram->nr_regions, numa_place_piece, pair);
	if (!err)
		return 0;
	diag_set(diag, err, "placement", "guest RAM cannot be taken from its nodes: %s",
		 strerror(-err));
	return diag_remedy(diag, err,
			   "a cpuset of this process's control group may forbid it: --numa off");
}

int numa_place_vcpu(const struct assign_placement *placement, struct sys *sys, unsigned int index)
{
	struct sys_cpu_set cpus = { 0 };

	if (!placement)
		return 0;
	if (index < placement->nr_pins) {
		cpus.bits[placement->pin[index] / 64] = 1ull << (placement->pin[index] % 64);
		return sys->ops->place(sys, &cpus, -1, false);
	}
	for (unsigned int i = 0; i < placement->nr_nodes; i++)
		if (index - placement->nodes[i].first < placement->nodes[i].nr)
			return sys->ops->place(sys, &placement->nodes[i].cpus, -1, false);
	return 0;
}
