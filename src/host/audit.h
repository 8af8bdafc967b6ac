/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The audit: every known way in which a host is unsafe or unfit to give devices to VMs, looked for
 * and answered with found, absent or unknown. What could not be read is unknown: an unprivileged
 * reader must not be told that all is well.
 */
#ifndef AIRLOCK_HOST_AUDIT_H
#define AIRLOCK_HOST_AUDIT_H

#include "host/isolation.h"
#include "host/limits.h"

enum host_severity { HOST_INFO, HOST_WARNING, HOST_UNSAFE };

/* In the order of docs/findings.md and of audit_kinds.c. */
enum host_finding_id {
	HOST_FIND_NO_IOMMU,
	HOST_FIND_HYPERVISOR,
	HOST_FIND_NOIOMMU_MODE,
	HOST_FIND_IRQ_REMAPPING,
	HOST_FIND_UNSAFE_INTERRUPTS,
	HOST_FIND_ACS_OVERRIDE,
	HOST_FIND_ACS_OPTIONS,
	HOST_FIND_GROUP_SPLIT,
	HOST_FIND_GROUP_JOINED,
	HOST_FIND_PEER_PATH,
	HOST_FIND_GROUP_BLOCKED,
	HOST_FIND_FIRMWARE_REGION,
	HOST_FIND_EXTERNAL_DMA,
	HOST_FIND_BOOT_DMA,
	HOST_FIND_ATS_EXTERNAL,
	HOST_FIND_HOTPLUG_TRUST,
	HOST_FIND_UIO,
	HOST_FIND_RAW_NODE,
	HOST_FIND_FAULTS,
	HOST_FIND_NO_RESET,
	HOST_FIND_INTX_SHARED,
	HOST_FIND_CONSOLE,
	HOST_FIND_NUMA,
	HOST_FIND_NUMA_SPLIT,
	HOST_FIND_MEMLOCK,
	HOST_FIND_HEADROOM,
	HOST_FIND_KVM,
	HOST_FIND_NESTED,
	HOST_FIND_VFIO,
	HOST_FIND_PASSTHROUGH,
	HOST_FIND_LAZY,
	HOST_FIND_X2APIC,
	HOST_FIND_POSTED,
	HOST_FIND_HUGEPAGES,
	HOST_FIND_UNREADABLE,
	HOST_NR_FINDINGS,
};

enum host_finding_state { HOST_FOUND, HOST_ABSENT, HOST_NOT_KNOWN };

struct host_finding_kind {
	const char *id; /* for people and programs: "irq-remapping-off" */
	enum host_severity severity;
	const char *title;
	const char *why; /* it matters */
	const char *remedy;
};

struct host_finding {
	enum host_finding_id id;
	enum host_finding_state state;
	enum host_severity severity; /* the kind's, or what it is on this host */
	char object[48];	     /* a device, a group or "host" */
	char seen[320];		     /* the source and its value */
};

struct host_audit {
	struct host_finding *finding; /* owned */
	size_t nr_findings, room;
	bool failed; /* out of memory: the list is not whole */
};

struct host_audit_input {
	struct sys *sys;
	const struct host_isolation *isolation;
	const bool *selected; /* per function: only these are asked about; NULL: all */
};

/* One finding's description; by enum, or by its name (NULL when there is none). */
const struct host_finding_kind *host_finding_kind(enum host_finding_id id);
const struct host_finding_kind *host_finding_kind_by_name(const char *name);
const char *host_severity_name(enum host_severity severity);
const char *host_finding_state_name(enum host_finding_state state);

/*
 * Looks for everything but what depends on a VM's needs (assign/audit.h). 0 or -ENOMEM; either way
 * undo with host_audit_fini(). Each kind is reported at least once.
 */
int host_audit_run(struct host_audit *audit, const struct host_audit_input *input);
void host_audit_fini(struct host_audit *audit);

/* Adds one. The severity is the kind's own; the return value lets the caller change it, or NULL. */
struct host_finding *host_audit_add(struct host_audit *audit, enum host_finding_id id,
				    enum host_finding_state state, const char *object,
				    const char *seen, ...) __attribute__((format(printf, 5, 6)));

/* The worst severity found; HOST_INFO when nothing worse was. */
enum host_severity host_audit_worst(const struct host_audit *audit);

#endif
