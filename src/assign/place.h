/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Placement: a VM's threads and memory on the NUMA node its devices are on, or on several nodes which
 * the guest then sees as its own. It is decided before the VM exists and then applied to this
 * process, whose threads and memory to come inherit it; what differs from vCPU to vCPU and from one
 * part of RAM to the next, the machine does by it.
 */
#ifndef AIRLOCK_ASSIGN_PLACE_H
#define AIRLOCK_ASSIGN_PLACE_H

#include "base/diag.h"
#include "sys/sys.h"

#define ASSIGN_MAX_NODES   128
#define ASSIGN_PLACE_NODES 8 /* most that a VM is spread over */
#define ASSIGN_PLACE_PINS  256

enum assign_place_mode {
	ASSIGN_PLACE_AUTO, /* the devices' node where they agree; memory elsewhere when it is full */
	ASSIGN_PLACE_STRICT,	  /* the devices' node, or a refusal */
	ASSIGN_PLACE_NODE,	  /* the node named, or a refusal */
	ASSIGN_PLACE_NODES_NAMED, /* spread evenly over several, which the guest sees */
	ASSIGN_PLACE_OFF,
};

struct assign_place {
	enum assign_place_mode mode;
	int node;		       /* ASSIGN_PLACE_NODE */
	int nodes[ASSIGN_PLACE_NODES]; /* ASSIGN_PLACE_NODES_NAMED */
	unsigned int nr_nodes;
	int pin[ASSIGN_PLACE_PINS]; /* the host's CPU for each vCPU */
	unsigned int nr_pins;	    /* 0: none is pinned; else as many as vCPUs */
	uint64_t ram;		    /* bytes of guest RAM */
	uint64_t hugepage;	    /* bytes of the pages it comes from; 0: ordinary memory */
	unsigned int cpus;	    /* vCPUs */
	const int *device_node;	    /* of each passed-through device; -1 unknown */
	unsigned int nr_devices;
};

/* A node of the guest's. */
struct assign_place_node {
	int node;		 /* the host's, of its memory and CPUs */
	struct sys_cpu_set cpus; /* the host's, for its vCPUs */
	unsigned int first, nr;	 /* vCPUs */
	uint64_t ram;		 /* bytes; the nodes' lie one after the other in the guest's RAM */
};

struct assign_placement {
	int node;    /* -1: nowhere in particular */
	bool strict; /* memory from no other node */
	struct sys_cpu_set cpus;
	/* The guest's nodes; 0: it has one and is not told. */
	unsigned int nr_nodes;
	struct assign_place_node nodes[ASSIGN_PLACE_NODES];
	uint8_t distance[ASSIGN_PLACE_NODES][ASSIGN_PLACE_NODES];
	int device_node; /* of the guest's: where its devices are; -1: nobody says */
	unsigned int nr_pins;
	int pin[ASSIGN_PLACE_PINS];
	/* What was done and why; what it costs where device and VM are on different nodes. */
	char note[256];
	char warning[256]; /* empty where there is nothing to warn of */
};

/* "auto", "strict", "off", a node's number, or several: "0,1". Sets mode and nodes. 0 or -EINVAL. */
int assign_place_parse(const char *text, struct assign_place *place);

/* "4-7", "4,6,8": a CPU for each vCPU in this order, none twice. Sets the pins. 0 or -EINVAL. */
int assign_place_parse_pins(const char *text, struct assign_place *place);

/*
 * Decides. 0; or with strict and node -ENODEV (no such node, or the devices are on several or
 * unknown ones), -ENOMEM (the node has not the memory), diag filled. A host of one node, and one
 * whose nodes cannot be read, is left alone.
 */
int assign_place_plan(struct sys *sys, const struct assign_place *place,
		      struct assign_placement *out, struct diag *diag);

/* The CPUs a device's interrupts should go to; false where they are left to the host. */
bool assign_place_irq_cpus(const struct assign_placement *placement, struct sys_cpu_set *out);

/* "0-3,8": as the kernel writes lists. Returns buf. */
const char *assign_place_format(const struct sys_cpu_set *cpus, char *buf, size_t size);

/* Applies it to the calling thread, and so to all it will create. 0 or -errno with diag. */
int assign_place_apply(struct sys *sys, const struct assign_placement *placement,
		       struct diag *diag);

#endif
