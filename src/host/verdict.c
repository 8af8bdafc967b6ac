// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/verdict.h"

#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "host/group.h"

static bool verdict_blocks(const struct host_function *f)
{
	return host_group_driver_blocks(f->driver);
}

struct host_verdict_detail host_verdict_of(const struct host_isolation *isolation, int index)
{
	const struct host_function *f = host_topology_at(isolation->topology, index), *other;
	struct host_verdict_detail detail = { .verdict = HOST_VERDICT_READY };
	const int *member;
	size_t nr;

	if (host_function_is_bridge(f)) {
		detail.verdict = HOST_VERDICT_BRIDGE;
		return detail;
	}
	if (f->unknown & (HOST_UNKNOWN_GROUP | HOST_UNKNOWN_DRIVER)) {
		detail.verdict = HOST_VERDICT_UNKNOWN;
		return detail;
	}
	if (f->group < 0) {
		detail.verdict = HOST_VERDICT_NO_IOMMU;
		return detail;
	}
	if (!host_driver_is_vfio(f->driver))
		detail.verdict = HOST_VERDICT_BIND;
	nr = host_isolation_members(isolation, f->group, &member);
	for (size_t i = 0; i < nr; i++) {
		other = host_topology_at(isolation->topology, member[i]);
		if (other == f || !verdict_blocks(other))
			continue;
		detail.verdict = HOST_VERDICT_GROUP;
		detail.blocker = other;
		break;
	}
	return detail;
}

const char *host_verdict_word(enum host_verdict verdict)
{
	static const char *const words[] = {
		[HOST_VERDICT_READY] = "ready",	      [HOST_VERDICT_BIND] = "bind",
		[HOST_VERDICT_GROUP] = "group",	      [HOST_VERDICT_BRIDGE] = "bridge",
		[HOST_VERDICT_NO_IOMMU] = "no-iommu", [HOST_VERDICT_UNKNOWN] = "unknown",
	};

	return words[verdict];
}

const char *host_verdict_format(const struct host_function *f,
				const struct host_verdict_detail *detail, char *buf, size_t size)
{
	switch (detail->verdict) {
	case HOST_VERDICT_READY:
		snprintf(buf, size,
			 "ready: bound to %s, and nothing of its group is used by the host",
			 f->driver);
		break;
	case HOST_VERDICT_BIND:
		if (f->driver[0])
			snprintf(buf, size, "bound to the host's driver %s: airlock bind %s",
				 f->driver, f->name);
		else
			snprintf(buf, size, "bound to no driver: airlock bind %s", f->name);
		break;
	case HOST_VERDICT_GROUP:
		snprintf(buf, size,
			 "group %d is assigned whole or not at all, and %s in it is bound to %s: "
			 "airlock bind %s --group",
			 f->group, detail->blocker->name, detail->blocker->driver, f->name);
		break;
	case HOST_VERDICT_BRIDGE:
		snprintf(buf, size, "a bridge carries other functions and stays with the host");
		break;
	case HOST_VERDICT_NO_IOMMU:
		snprintf(buf, size, "no IOMMU confines its DMA: airlock check says why");
		break;
	case HOST_VERDICT_UNKNOWN:
		snprintf(buf, size, "its group or driver could not be read");
		break;
	}
	return buf;
}
