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
#define DISTANCE_LOCAL	10
#define DISTANCE_REMOTE 20 /* what the kernel takes where the firmware says nothing */

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

/* Numbers and ranges below `most`, in the order given, none twice. Returns how many, or -EINVAL. */
static int place_parse_numbers(const char *text, int *out, unsigned int room, unsigned long most)
{
	unsigned int nr = 0;

	do {
		char *end;
		unsigned long first, last;

		if (!isdigit((unsigned char)*text))
			return -EINVAL;
		first = last = strtoul(text, &end, 10);
		if (*end == '-' && isdigit((unsigned char)end[1]))
			last = strtoul(end + 1, &end, 10);
		if (last < first || last >= most)
			return -EINVAL;
		for (; first <= last; first++) {
			if (nr == room)
				return -EINVAL;
			for (unsigned int i = 0; i < nr; i++)
				if (out[i] == (int)first)
					return -EINVAL;
			out[nr++] = (int)first;
		}
		text = end;
	} while (*text++ == ',');
	return text[-1] ? -EINVAL : (int)nr;
}

int assign_place_parse(const char *text, struct assign_place *place)
{
	int nr;

	if (!strcmp(text, "auto")) {
		place->mode = ASSIGN_PLACE_AUTO;
	} else if (!strcmp(text, "strict")) {
		place->mode = ASSIGN_PLACE_STRICT;
	} else if (!strcmp(text, "off")) {
		place->mode = ASSIGN_PLACE_OFF;
	} else {
		nr = place_parse_numbers(text, place->nodes, ASSIGN_PLACE_NODES, ASSIGN_MAX_NODES);
		if (nr < 0)
			return nr;
		place->mode = nr == 1 ? ASSIGN_PLACE_NODE : ASSIGN_PLACE_NODES_NAMED;
		place->node = place->nodes[0];
		place->nr_nodes = (unsigned int)nr;
	}
	return 0;
}

int assign_place_parse_pins(const char *text, struct assign_place *place)
{
	int nr = place_parse_numbers(text, place->pin, ASSIGN_PLACE_PINS, SYS_MAX_CPUS);

	place->nr_pins = nr < 0 ? 0 : (unsigned int)nr;
	return nr < 0 ? nr : 0;
}

const char *assign_place_format(const struct sys_cpu_set *cpus, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (unsigned int i = 0; i < SYS_MAX_CPUS && used < size; i++) {
		unsigned int last = i;

		if (!(cpus->bits[i / 64] >> (i % 64) & 1))
			continue;
		while (last + 1 < SYS_MAX_CPUS &&
		       cpus->bits[(last + 1) / 64] >> ((last + 1) % 64) & 1)
			last++;
		used += (size_t)(last > i ? snprintf(buf + used, size - used, "%s%u-%u",
						     used ? "," : "", i, last)
					  : snprintf(buf + used, size - used, "%s%u",
						     used ? "," : "", i));
		i = last;
	}
	return buf;
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

static int place_plan_one(struct sys *sys, const struct assign_place *place,
			  struct assign_placement *out, struct diag *diag)
{
	struct place_list nodes, cpus;
	struct diag why = DIAG_INIT;
	char path[96], ram[HOST_SIZE_TEXT];
	int node = place->node, err = 0;
	bool insist = place->mode == ASSIGN_PLACE_STRICT || place->mode == ASSIGN_PLACE_NODE;

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
	if (place->cpus > cpus.nr && !place->nr_pins)
		snprintf(out->warning, sizeof(out->warning),
			 "%u vCPUs share the %u CPUs of node %d", place->cpus, cpus.nr, node);
	place_warn(sys, place, out);
	return 0;
}

static void place_add_cpus(struct sys_cpu_set *to, const uint64_t *bits)
{
	for (size_t i = 0; i < ARRAY_SIZE(to->bits); i++)
		to->bits[i] |= bits[i];
}

/* RAM is split into pieces that huge pages fit. */
#define PLACE_RAM_STEP MIB(2)

/* An even share each; the last one takes what is left over. */
static void place_share(const struct assign_place *place, unsigned int i,
			struct assign_place_node *node)
{
	uint64_t step = place->hugepage ? place->hugepage : PLACE_RAM_STEP;
	unsigned int n = place->nr_nodes;

	node->node = place->nodes[i];
	node->first = place->cpus * i / n;
	node->nr = place->cpus * (i + 1) / n - node->first;
	node->ram = align_down(place->ram / n, step);
	if (i == n - 1)
		node->ram = place->ram - node->ram * i;
}

/* Several nodes: each with its share of vCPUs and RAM, all as named or a refusal. */
static int place_plan_several(struct sys *sys, const struct assign_place *place,
			      struct assign_placement *out, struct diag *diag)
{
	struct place_list nodes, cpus;
	char path[96];
	size_t used = 0;

	if (!place_read_list(sys, PATH_NODES "/online", &nodes))
		nodes.nr = 0;
	if (place->cpus < place->nr_nodes)
		return diag_set(diag, -EINVAL, "placement",
				"%u vCPUs cannot be spread over %u nodes: each needs one",
				place->cpus, place->nr_nodes);
	for (unsigned int i = 0; i < place->nr_nodes; i++) {
		struct assign_place_node *node = &out->nodes[i];
		struct assign_place share = *place;
		int err;

		place_share(place, i, node);
		if (!nodes.nr || !place_has(&nodes, node->node))
			return diag_set(diag, -ENODEV, "placement", "this host has no node %d",
					node->node);
		snprintf(path, sizeof(path), PATH_NODES "/node%d/cpulist", node->node);
		if (!place_read_list(sys, path, &cpus))
			cpus.nr = 0;
		share.ram = node->ram;
		err = place_check(sys, &share, node->node, &cpus, diag);
		if (err)
			return err;
		memcpy(node->cpus.bits, cpus.bits, sizeof(node->cpus.bits));
		place_add_cpus(&out->cpus, cpus.bits);
		if (node->nr > cpus.nr && !place->nr_pins)
			snprintf(out->warning, sizeof(out->warning),
				 "%u vCPUs share the %u CPUs of node %d", node->nr, cpus.nr,
				 node->node);
		used += (size_t)snprintf(out->note + used, sizeof(out->note) - used,
					 "%snode %d: vCPUs %u-%u, %llu MiB", used ? "; " : "",
					 node->node, node->first, node->first + node->nr - 1,
					 (unsigned long long)(node->ram >> 20));
		if (used >= sizeof(out->note))
			used = sizeof(out->note) - 1;
	}
	out->nr_nodes = place->nr_nodes;
	out->node = place->nodes[0];
	for (unsigned int i = 0; i < place->nr_nodes; i++)
		for (unsigned int k = 0; k < place->nr_nodes; k++) {
			unsigned long distance =
				place_distance(sys, place->nodes[i], place->nodes[k]);

			/* Below 10 is nothing, 255 no way at all (ACPI 6.5, 5.2.17). */
			out->distance[i][k] =
				(uint8_t)(i == k			    ? DISTANCE_LOCAL
					  : distance > 10 && distance < 255 ? distance
									    : DISTANCE_REMOTE);
		}
	return 0;
}

/* Where the guest's devices are among its nodes; what is on none of them costs. */
static void place_find_devices(struct sys *sys, const struct assign_place *place,
			       struct assign_placement *out)
{
	for (unsigned int i = 0; i < place->nr_devices; i++) {
		int at = -1;

		for (unsigned int k = 0; k < out->nr_nodes; k++)
			if (out->nodes[k].node == place->device_node[i])
				at = (int)k;
		if (at < 0) {
			out->device_node = -1;
			place_warn(sys, place, out);
			return;
		}
		if (i && at != out->device_node) {
			snprintf(out->warning, sizeof(out->warning),
				 "the devices are on several nodes: the guest is not told which");
			out->device_node = -1;
			return;
		}
		out->device_node = at;
	}
}

/* The node of a CPU among those online; -1 when there is none. */
static int place_node_of_cpu(struct sys *sys, int cpu)
{
	struct place_list nodes, cpus;
	char path[96];

	if (!place_read_list(sys, PATH_NODES "/online", &nodes))
		return -1;
	for (int node = 0; node < ASSIGN_MAX_NODES; node++) {
		snprintf(path, sizeof(path), PATH_NODES "/node%d/cpulist", node);
		if (place_has(&nodes, node) && place_read_list(sys, path, &cpus) &&
		    place_has(&cpus, cpu))
			return node;
	}
	return -1;
}

/* The node that a vCPU's memory comes from; -1 where that was not decided. */
static int place_node_of_vcpu(const struct assign_placement *out, unsigned int vcpu)
{
	for (unsigned int i = 0; i < out->nr_nodes; i++)
		if (vcpu - out->nodes[i].first < out->nodes[i].nr)
			return out->nodes[i].node;
	return out->node;
}

static int place_plan_pins(struct sys *sys, const struct assign_place *place,
			   struct assign_placement *out, struct diag *diag)
{
	struct place_list online;
	size_t used = strlen(out->note);

	if (place->nr_pins != place->cpus)
		return diag_set(diag, -EINVAL, "--cpu-pin",
				"%u CPUs for %u vCPUs: it takes one for each", place->nr_pins,
				place->cpus);
	if (!place_read_list(sys, "devices/system/cpu/online", &online))
		online.nr = 0;
	for (unsigned int i = 0; i < place->nr_pins; i++) {
		int cpu = place->pin[i], node = place_node_of_cpu(sys, cpu);
		int home = place_node_of_vcpu(out, i);
		unsigned long distance;

		if (online.nr && !place_has(&online, cpu))
			return diag_set(diag, -ENODEV, "--cpu-pin",
					"CPU %d is not there, or not online", cpu);
		out->pin[i] = cpu;
		out->cpus.bits[cpu / 64] |= 1ull << (cpu % 64);
		if (node < 0 || home < 0 || node == home || out->warning[0])
			continue;
		distance = place_distance(sys, node, home);
		snprintf(
			out->warning, sizeof(out->warning),
			"vCPU %u is pinned to CPU %d on node %d, its memory is on node %d: %lu.%lu "
			"times as far away",
			i, cpu, node, home, distance / 10, distance % 10);
	}
	out->nr_pins = place->nr_pins;
	snprintf(out->note + used, sizeof(out->note) - used, "%svCPUs pinned, 0 to CPU %d",
		 used ? "; " : "", out->pin[0]);
	return 0;
}

int assign_place_plan(struct sys *sys, const struct assign_place *place,
		      struct assign_placement *out, struct diag *diag)
{
	int err;

	memset(out, 0, sizeof(*out));
	out->node = out->device_node = -1;
	if (place->mode == ASSIGN_PLACE_NODES_NAMED) {
		err = place_plan_several(sys, place, out, diag);
		if (!err)
			place_find_devices(sys, place, out);
	} else {
		err = place_plan_one(sys, place, out, diag);
	}
	return err || !place->nr_pins ? err : place_plan_pins(sys, place, out, diag);
}

bool assign_place_irq_cpus(const struct assign_placement *placement, struct sys_cpu_set *out)
{
	memset(out, 0, sizeof(*out));
	for (unsigned int i = 0; i < placement->nr_pins; i++)
		out->bits[placement->pin[i] / 64] |= 1ull << (placement->pin[i] % 64);
	if (placement->nr_pins)
		return true;
	if (placement->device_node >= 0)
		*out = placement->nodes[placement->device_node].cpus;
	else if (placement->node >= 0)
		*out = placement->cpus;
	return placement->device_node >= 0 || placement->node >= 0;
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
