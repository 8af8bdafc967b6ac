// SPDX-License-Identifier: GPL-2.0-or-later
#include "assign/audit.h"

#include "host/text.h"

void assign_audit(struct host_audit *audit, const struct assign_memlock *plan,
		  const struct host_limits *limits)
{
	char has[HOST_SIZE_TEXT] = "no limit", ram[HOST_SIZE_TEXT];
	struct diag diag = DIAG_INIT;

	host_size_format(plan->ram, ram);
	if (limits->memlock_soft != SYS_UNLIMITED)
		host_size_format(limits->memlock_soft, has);
	if (!limits->memlock_known)
		host_audit_add(audit, HOST_FIND_MEMLOCK, HOST_NOT_KNOWN, "host",
			       "RLIMIT_MEMLOCK: not known");
	else if (assign_memlock_check(plan, limits, &diag))
		host_audit_add(audit, HOST_FIND_MEMLOCK, HOST_FOUND, "host",
			       "RLIMIT_MEMLOCK: %s; a VM of %s: %s", has, ram, diag.reason);
	else
		host_audit_add(audit, HOST_FIND_MEMLOCK, HOST_ABSENT, "host",
			       "RLIMIT_MEMLOCK: %s%s; a VM of %s fits", has,
			       limits->can_lock_all == HOST_YES ? ", not applied (CAP_IPC_LOCK)"
								: "",
			       ram);
	diag_clear(&diag);
	if (!limits->meminfo_known && !plan->hugepage_size)
		host_audit_add(audit, HOST_FIND_HEADROOM, HOST_NOT_KNOWN, "host",
			       "/proc/meminfo: cannot be read");
	else if (assign_headroom_check(plan, limits, &diag))
		host_audit_add(audit, HOST_FIND_HEADROOM, HOST_FOUND, "host", "a VM of %s: %s", ram,
			       diag.reason);
	else
		host_audit_add(audit, HOST_FIND_HEADROOM, HOST_ABSENT, "host",
			       "/proc/meminfo: %s available; a VM of %s fits",
			       host_size_format(limits->mem_available, has), ram);
}
