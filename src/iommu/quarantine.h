/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Faults have consequences. Each device has a leaky bucket: a fault adds one, time drains it, and a
 * device whose bucket runs over is quarantined (iommu_device_refuse()). The same bucket takes faults
 * that a host's IOMMU reports of a passed-through device.
 */
#ifndef AIRLOCK_IOMMU_QUARANTINE_H
#define AIRLOCK_IOMMU_QUARANTINE_H

#include <stdatomic.h>

#include "base/types.h"

struct quarantine_policy {
	unsigned int burst;	 /* faults at once that are forgiven; 0: never quarantine */
	unsigned int per_second; /* faults drained; 0: none are ever forgotten */
};

/* Zeroed is empty. */
struct quarantine {
	/* CLOCK_MONOTONIC time at which the bucket would be empty; in the past: it is. */
	_Atomic uint64_t empty_at;
	_Atomic uint64_t nr; /* where nothing drains */
};

/* Adds `faults` seen at now_ns. True when the bucket runs over. Any thread, no lock. */
bool quarantine_add(struct quarantine *q, const struct quarantine_policy *policy, uint64_t now_ns,
		    unsigned int faults);
void quarantine_reset(struct quarantine *q);

#endif
