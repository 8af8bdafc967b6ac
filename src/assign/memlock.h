/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much memory a VM with passed-through devices pins, and whether that is allowed and wise:
 * worked out before anything is opened, so that a refusal costs nothing and says what to change.
 *
 * A device may write to any guest page at any time, so all of guest RAM is pinned. How the kernel
 * counts it against RLIMIT_MEMLOCK depends on who maps:
 *   - VFIO type1 charges the process's locked memory, and charges all of RAM again for each
 *     container; BAR pages mapped for peer-to-peer are not RAM and are not charged;
 *   - iommufd charges the user once for each address space (IOAS), across all the user's processes.
 * Pages of hugetlbfs are charged like any others. With CAP_IPC_LOCK neither looks at the limit.
 */
#ifndef AIRLOCK_ASSIGN_MEMLOCK_H
#define AIRLOCK_ASSIGN_MEMLOCK_H

#include "base/diag.h"
#include "host/limits.h"

enum assign_backend { ASSIGN_TYPE1, ASSIGN_IOMMUFD };

struct assign_memlock {
	enum assign_backend backend;
	uint64_t ram;		 /* bytes of guest RAM mapped for devices */
	uint64_t hugepage_size;	 /* of the pages RAM comes from; 0: ordinary memory */
	unsigned int nr_spaces;	 /* containers (type1) or address spaces (iommufd); 0: no device */
	uint64_t locked_besides; /* bytes this process will lock for other reasons (mlock) */
};

/* Bytes the kernel will count. Saturates at UINT64_MAX. */
uint64_t assign_memlock_need(const struct assign_memlock *plan);

/*
 * 0, or -ENOMEM with a diag that says what is needed, what the limit is and how to raise it. An
 * unknown limit refuses nothing: the kernel will answer when it is asked.
 */
int assign_memlock_check(const struct assign_memlock *plan, const struct host_limits *limits,
			 struct diag *diag);

/*
 * The host-headroom guard: pinned pages cannot be reclaimed or swapped, so a pin that leaves the
 * host without a reserve ends in the OOM killer; one beyond its control group's limit likewise. RAM
 * from hugetlbfs is held against its pool.
 * 0, or -ENOMEM with the reason and remedy.
 */
int assign_headroom_check(const struct assign_memlock *plan, const struct host_limits *limits,
			  struct diag *diag);

/* Bytes that must stay available: 1/32 of the host's memory, at least 64 MiB, at most 2 GiB. */
uint64_t assign_headroom_reserve(const struct host_limits *limits);

#endif
