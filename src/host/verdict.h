/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One word on whether a function can be given to a VM now, and what stands in the way. It is what
 * the inventory shows at once; VFIO has the last word when the group is opened.
 */
#ifndef AIRLOCK_HOST_VERDICT_H
#define AIRLOCK_HOST_VERDICT_H

#include "host/isolation.h"

enum host_verdict {
	HOST_VERDICT_READY,    /* bound to vfio, and so is its whole group */
	HOST_VERDICT_BIND,     /* nothing but its own driver is in the way */
	HOST_VERDICT_GROUP,    /* another member of its group is used by the host */
	HOST_VERDICT_BRIDGE,   /* carries other functions: never */
	HOST_VERDICT_NO_IOMMU, /* no group: nothing would confine its DMA */
	HOST_VERDICT_UNKNOWN,  /* the group or a driver could not be read */
};

struct host_verdict_detail {
	enum host_verdict verdict;
	const struct host_function *blocker; /* HOST_VERDICT_GROUP: the first one; borrowed */
};

struct host_verdict_detail host_verdict_of(const struct host_isolation *isolation, int index);

/* "ready", "bind", "group", "bridge", "no-iommu", "unknown". */
const char *host_verdict_word(enum host_verdict verdict);

/* One sentence on what stands in the way and what to do. Returns buf. */
const char *host_verdict_format(const struct host_function *function,
				const struct host_verdict_detail *detail, char *buf, size_t size);

#endif
