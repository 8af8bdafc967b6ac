/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The part of the audit that asks what a VM of a given size needs. */
#ifndef AIRLOCK_ASSIGN_AUDIT_H
#define AIRLOCK_ASSIGN_AUDIT_H

#include "assign/memlock.h"
#include "host/audit.h"

/* Adds memlock-low and host-headroom for this plan to the audit's findings. */
void assign_audit(struct host_audit *audit, const struct assign_memlock *plan,
		  const struct host_limits *limits);

#endif
