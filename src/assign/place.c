// SPDX-License-Identifier: GPL-2.0-or-later
#include "assign/place.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "host/text.h"

#define PATH_NODES "devices/system/node"
/* A node to itself by the firmware's table (ACPI 6.5, 5.2.17). */
#define DISTANCE_LOCAL 10

struct place_list {
	uint64_t bits[SYS_MAX_CPUS / 64];
	unsigned int nr;
};

/* "0-3,8,10-11", as the kernel writes lists. False when it is none. */
static bool place_parse_list(const char *text, struct place_list *out)
{
	memset(out, 0, sizeof(*out));
	while (*text && *text != '\n') {
		char *end;
		unsigned long first, last;

		if (!isdigit((unsigned char)*text))
			return false;
		first = last = strtoul(text, &end, 10);
		if (*end == '-') {
			text = end + 1;
			if (!isdigit((unsigned char)*text))
				return false;
			last = strtoul(text, &end, 10);
		}
		if (last < first || last >= SYS_MAX_CPUS)
			return false;
		for (; first <= last; first++) {
			out->nr += !(out->bits[first / 64] >> (first % 64) & 1);
			out->bits[first / 64] |= 1ull << (first % 64);
		}
		text = end + (*end == ',');
	}
	return true;
}

static bool place_read_list(struct sys *sys, const char *path, struct place_list *out)
{
	char text[4096];

	return !sys_read_text(sys, SYS_TREE_SYS, path, text, sizeof(text)) &&
	       place_parse_list(text, out);
}

static bool place_has(const struct place_list *list, int n)
{
	return n >= 0 && n < SYS_MAX_CPUS && (list->bits[n / 64] >> (n % 64) & 1);
}

/* Bytes a VM could take from the node: free pages, and page cache that can be dropped. */
static uint64_t place_memory_of(struct sys *sys, int node, uint64_t hugepage)
{
	static const char *const keys[] = { "MemFree:", "Active(file):", "Inactive(file):" };
	char path[128], text[8192], *at;
	uint64_t sum = 0, free_pages;

	if (hugepage) {
		snprintf(path, sizeof(path),
			 PATH_NODES "/node%d/hugepages/hugepages-%llukB/free_hugepages", node,
			 (unsigned long long)(hugepage >> 10));
		return sys_read_number(sys, SYS_TREE_SYS, path, &free_pages)
			       ? 0
			       : free_pages * hugepage;
	}
	snprintf(path, sizeof(path), PATH_NODES "/node%d/meminfo", node);
	if (sys_read_text(sys, SYS_TREE_SYS, path, text, sizeof(text)))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		at = strstr(text, keys[i]);
		if (at)
			sum += KIB(strtoull(at + strlen(keys[i]), NULL, 10));
	}
	return sum;
}

/* The firmware's relative distance from one node to another; 0 when it does not say. */
static unsigned long place_distance(struct sys *sys, int from, int to)
{
	char path[96], text[1024], *at = text, *end;

	snprintf(path, sizeof(path), PATH_NODES "/node%d/distance", from);
	if (sys_read_text(sys, SYS_TREE_SYS, path, text, sizeof(text)))
		return 0;
	/* One figure for each node, in order; nodes are numbered without gaps but for rare hosts. */
	for (int i = 0; i < to; i++) {
		strtoul(at, &end, 10);
		if (end == at)
			return 0;
		at = end;
	}
	return strtoul(at, NULL, 10);
}

int assign_place_parse(const char *text, enum assign_place_mode *mode, int *node)
{
	char *end;
	unsigned long v;

	if (!strcmp(text, "auto")) {
		*mode = ASSIGN_PLACE_AUTO;
	} else if (!strcmp(text, "strict")) {
		*mode = ASSIGN_PLACE_STRICT;
	} else if (!strcmp(text, "off")) {
		*mode = ASSIGN_PLACE_OFF;
	} else {
		v = strtoul(text, &end, 10);
		if (!isdigit((unsigned char)*text) || *end || v >= ASSIGN_MAX_NODES)
			return -EINVAL;
		*mode = ASSIGN_PLACE_NODE;
		*node = (int)v;
	}
	return 0;
}

/* The node all devices agree on. -ENODEV with the reason when there is none. */
static int place_devices(const struct assign_place *place, int *node, struct diag *diag)
{
	*node = -1;
	for (unsigned int i = 0; i < place->nr_devices; i++) {
		if (place->device_node[i] < 0)
			return diag_set(diag, -ENODEV, "placement",
					"the firmware does not say which node a device is on");
		if (*node >= 0 && *node != place->device_node[i])
			return diag_set(diag, -ENODEV, "placement",
					"the devices are on several nodes: %d and %d", *node,
					place->device_node[i]);
		*node = place->device_node[i];
	}
	return *node < 0 ? diag_set(diag, -ENODEV, "placement",
				    "no device is passed through, so no node is nearer")
			 : 0;
}

/* Whether memory and CPUs of the node suffice; the reason where not. */
static int place_check(struct sys *sys, const struct assign_place *place, int node,
		       const struct place_list *cpus, struct diag *diag)
{
	char need[HOST_SIZE_TEXT], has[HOST_SIZE_TEXT];
	uint64_t memory = place_memory_of(sys, node, place->hugepage);

	if (!cpus->nr) {
		diag_set(diag, -ENODEV, "placement", "node %d has no CPUs", node);
		return -ENODEV;
	}
	if (place->ram <= memory)
		return 0;
	diag_set(diag, -ENOMEM, "placement", "node %d has %s to give, the guest's RAM is %s", node,
		 host_size_format(memory, has), host_size_format(place->ram, need));
	diag_remedy(diag, -ENOMEM,
		    "--numa auto takes the rest from other nodes; or give less --memory");
	return -ENOMEM;
}

/* Devices that are elsewhere: what each access of theirs costs more. */
static void place_warn(struct sys *sys, const struct assign_place *place,
		       struct assign_placement *out)
{
	unsigned long distance;

	for (unsigned int i = 0; i < place->nr_devices && !out->warning[0]; i++) {
		int node = place->device_node[i];

		if (node < 0 || node == out->node)
			continue;
		distance = place_distance(sys, node, out->node);
		if (distance > DISTANCE_LOCAL)
			snprintf(
				out->warning, sizeof(out->warning),
				"a device is on node %d, the guest on node %d: the firmware puts its "
				"memory %lu.%lu times as far away",
				node, out->node, distance / 10, distance % 10);
		else
			snprintf(out->warning, sizeof(out->warning),
				 "a device is on node %d, the guest on node %d", node, out->node);
	}
}

static void place_take(struct assign_placement *out, int node, bool strict,
		       const struct place_list *cpus)
{
	out->node = node;
	out->strict = strict;
	memcpy(out->cpus.bits, cpus->bits, sizeof(out->cpus.bits));
}

int assign_place_plan(struct sys *sys, const struct assign_place *place,
		      struct assign_placement *out, struct diag *diag)
{
	struct place_list nodes, cpus;
	struct diag why = DIAG_INIT;
	char path[96], ram[HOST_SIZE_TEXT];
	int node = place->node, err = 0;
	bool insist = place->mode == ASSIGN_PLACE_STRICT || place->mode == ASSIGN_PLACE_NODE;

	memset(out, 0, sizeof(*out));
	out->node = -1;
	if (place->mode == ASSIGN_PLACE_OFF)
		return 0;
	if (!place_read_list(sys, PATH_NODES "/online", &nodes) || nodes.nr < 2) {
		if (place->mode != ASSIGN_PLACE_NODE || node == 0)
			return 0;
		return diag_set(diag, -ENODEV, "placement", "this host has no node %d", node);
	}
	if (place->mode != ASSIGN_PLACE_NODE)
		err = place_devices(place, &node, &why);
	if (!err && !place_has(&nodes, node))
		err = diag_set(&why, -ENODEV, "placement", "this host has no node %d", node);
	if (!err) {
		snprintf(path, sizeof(path), PATH_NODES "/node%d/cpulist", node);
		if (!place_read_list(sys, path, &cpus))
			cpus.nr = 0;
		err = place_check(sys, place, node, &cpus, &why);
	}
	if (err && insist) {
		if (diag)
			*diag = why;
		return err;
	}
	if (err == -ENODEV) {
		snprintf(out->note, sizeof(out->note), "no node: %.200s", why.reason);
		if (place->nr_devices)
			snprintf(out->warning, sizeof(out->warning),
				 "%.200s: --numa NODE says where", why.reason);
		return 0;
	}
	place_take(out, node, insist, &cpus);
	host_size_format(place->ram, ram);
	snprintf(out->note, sizeof(out->note),
		 "node %d: threads on its %u CPUs, %s of guest RAM %s", node, cpus.nr, ram,
		 err	  ? "as far as it has them"
		 : insist ? "from it alone"
			  : "from it");
	if (err)
		snprintf(out->warning, sizeof(out->warning),
			 "%.200s: the rest comes from other nodes", why.reason);
	if (place->cpus > cpus.nr)
		snprintf(out->warning, sizeof(out->warning),
			 "%u vCPUs share the %u CPUs of node %d", place->cpus, cpus.nr, node);
	place_warn(sys, place, out);
	return 0;
}

int assign_place_apply(struct sys *sys, const struct assign_placement *placement, struct diag *diag)
{
	int err;

	if (placement->node < 0)
		return 0;
	err = sys->ops->place(sys, &placement->cpus, placement->node, placement->strict);
	if (!err)
		return 0;
	diag_set(diag, err, "placement", "cannot go to node %d: %s", placement->node,
		 strerror(-err));
	diag_remedy(diag, err,
		    "a cpuset of this process's control group may forbid it: --numa off");
	return err;
}
