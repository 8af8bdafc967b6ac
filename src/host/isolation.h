/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Why devices share an IOMMU group, worked out from the path between them, in two ways:
 *
 *  - as the kernel does it (drivers/iommu/iommu.c and drivers/pci/pci.c describe the rules in their
 *    comments): climb from the function past every port whose ACS does not force peer traffic
 *    upstream, share what shares a requester id, join functions of a slot that are not isolated;
 *  - as the PCI Express specification allows requests to travel (PCIe 6.0, 6.12): a port without
 *    P2P Request Redirect may turn a request around to its siblings, and that reaches also those
 *    siblings that are themselves isolated.
 *
 * The kernel knows exceptions that configuration space does not show (quirks by which a vendor
 * vouches for a device; the ACS override patch), so its groups and this model may differ; where
 * they do, both are shown.
 */
#ifndef AIRLOCK_HOST_ISOLATION_H
#define AIRLOCK_HOST_ISOLATION_H

#include "host/topology.h"

/* The ACS bits that together keep peers apart: validation, both redirects, upstream forwarding. */
#define HOST_ACS_ISOLATED                                                                        \
	(HOST_ACS_SOURCE_VALIDATION | HOST_ACS_REQUEST_REDIRECT | HOST_ACS_COMPLETION_REDIRECT | \
	 HOST_ACS_UPSTREAM_FORWARD)

/*
 * Whether this function by itself keeps its traffic apart from its peers'. HOST_UNKNOWN when its
 * extended configuration space was not visible. *missing, where not NULL, receives the ACS bits
 * that are off (HOST_ACS_ISOLATED when there is no ACS capability).
 */
enum host_known host_function_isolated(const struct host_function *function, uint16_t *missing);

enum host_cause {
	HOST_CAUSE_UNSEEN,    /* `at`: its configuration space was not visible */
	HOST_CAUSE_BRIDGE,    /* `at`: a bridge to conventional PCI, whose one id all below use */
	HOST_CAUSE_PORT,      /* `at`: a port below which ACS does not hold */
	HOST_CAUSE_FUNCTIONS, /* `at`: a function of a slot without isolation between functions */
	HOST_CAUSE_OWNER,     /* `at`: carries the segment and does DMA for all of it */
	HOST_CAUSE_KERNEL,    /* the kernel joined it for a reason configuration does not show */
};

struct host_reason {
	enum host_cause cause;
	const struct host_function *at; /* borrowed from the inventory */
	uint16_t missing;		/* HOST_CAUSE_PORT, _FUNCTIONS: ACS bits that are off */
};

/* Two functions that the kernel and the model (or the specification) see differently. */
enum host_difference_kind {
	HOST_DIFF_KERNEL_JOINS,	 /* one group, though the path between them is isolated */
	HOST_DIFF_KERNEL_SPLITS, /* two groups, though configuration shows no isolation */
	HOST_DIFF_CAN_REACH,	 /* two groups by the kernel's rules, yet a may reach b directly */
};

struct host_difference {
	enum host_difference_kind kind;
	const struct host_function *a, *b;
	const struct host_function *at; /* where the way is open; NULL with KERNEL_JOINS */
};

struct host_isolation {
	const struct host_topology *topology; /* borrowed */
	int *model;	 /* owned; the kernel's rules: index of the group's first function */
	bool *uncertain; /* owned; something on its path was not visible */
	int *by_group;	 /* owned; indices in ascending order of kernel group, then of address */
};

/*
 * The members of a kernel group: *first receives a borrowed list of indices, ascending by address.
 * Returns how many there are.
 */
size_t host_isolation_members(const struct host_isolation *isolation, int group, const int **first);

/* 0 or -ENOMEM. */
int host_isolation_init(struct host_isolation *isolation, const struct host_topology *topology);
void host_isolation_fini(struct host_isolation *isolation);

/*
 * The reasons why the functions of a kernel group belong together; none for a group of one. At
 * most `room` are stored; returns how many there are.
 */
size_t host_isolation_explain(const struct host_isolation *isolation, int group,
			      struct host_reason *out, size_t room);

/*
 * Where kernel, model and specification differ, each pair of groups once a kind. At most `room`
 * are stored; returns how many there are.
 */
size_t host_isolation_differences(const struct host_isolation *isolation,
				  struct host_difference *out, size_t room);

/*
 * True when a request of `from` may reach `to` without passing the IOMMU, by the specification;
 * *at receives where the way is open.
 */
bool host_isolation_can_reach(const struct host_isolation *isolation, int from, int to, int *at);

/* One sentence, "root port 0000:00:1c.0 has no ACS: ...". Returns buf. */
const char *host_reason_format(const struct host_reason *reason, char *buf, size_t size);

/* One or two sentences on what differs and what that means. Returns buf. */
const char *host_difference_format(const struct host_difference *difference, char *buf,
				   size_t size);

/* "SV RR CR UF" for the bits set. Returns buf, which has HOST_ACS_TEXT bytes. */
#define HOST_ACS_TEXT 24
const char *host_acs_format(uint16_t bits, char *buf);

#endif
