// SPDX-License-Identifier: GPL-2.0-or-later
#include "iommu/quarantine.h"

#define NS_PER_S 1000000000ull

bool quarantine_add(struct quarantine *q, const struct quarantine_policy *policy, uint64_t now_ns,
		    unsigned int faults)
{
	uint64_t old, empty_at, each;

	if (!policy->burst)
		return false;
	if (!policy->per_second)
		return atomic_fetch_add(&q->nr, faults) + faults > policy->burst;

	/* The level is kept as the time it takes to drain: one word, changed by one exchange. */
	each = NS_PER_S / policy->per_second;
	old = atomic_load_explicit(&q->empty_at, memory_order_relaxed);
	do {
		empty_at = (old > now_ns ? old : now_ns) + faults * each;
	} while (!atomic_compare_exchange_weak(&q->empty_at, &old, empty_at));
	return empty_at - now_ns > policy->burst * each;
}

void quarantine_reset(struct quarantine *q)
{
	atomic_store(&q->empty_at, 0);
	atomic_store(&q->nr, 0);
}
