/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Placement: a VM's threads and memory on the NUMA node its devices are on. It is decided before
 * the VM exists and then applied to this process, whose threads and memory to come inherit it.
 */
#ifndef AIRLOCK_ASSIGN_PLACE_H
#define AIRLOCK_ASSIGN_PLACE_H

#include "base/diag.h"
#include "sys/sys.h"

#define ASSIGN_MAX_NODES 128

enum assign_place_mode {
	ASSIGN_PLACE_AUTO, /* the devices' node where they agree; memory elsewhere when it is full */
	ASSIGN_PLACE_STRICT, /* the devices' node, or a refusal */
	ASSIGN_PLACE_NODE,   /* the node named, or a refusal */
	ASSIGN_PLACE_OFF,
};

struct assign_place {
	enum assign_place_mode mode;
	int node;		/* ASSIGN_PLACE_NODE */
	uint64_t ram;		/* bytes of guest RAM */
	uint64_t hugepage;	/* bytes of the pages it comes from; 0: ordinary memory */
	unsigned int cpus;	/* vCPUs */
	const int *device_node; /* of each passed-through device; -1 unknown */
	unsigned int nr_devices;
};

struct assign_placement {
	int node;    /* -1: nowhere in particular */
	bool strict; /* memory from no other node */
	struct sys_cpu_set cpus;
	/* What was done and why; what it costs where device and VM are on different nodes. */
	char note[256];
	char warning[256]; /* empty where there is nothing to warn of */
};

/* "auto", "strict", "off" or a node's number. 0 or -EINVAL. */
int assign_place_parse(const char *text, enum assign_place_mode *mode, int *node);

/*
 * Decides. 0; or with strict and node -ENODEV (no such node, or the devices are on several or
 * unknown ones), -ENOMEM (the node has not the memory), diag filled. A host of one node, and one
 * whose nodes cannot be read, is left alone.
 */
int assign_place_plan(struct sys *sys, const struct assign_place *place,
		      struct assign_placement *out, struct diag *diag);

/* Applies it to the calling thread, and so to all it will create. 0 or -errno with diag. */
int assign_place_apply(struct sys *sys, const struct assign_placement *placement,
		       struct diag *diag);

#endif
