/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What this process may lock and what the host has: the numbers a VM's memory is checked against. */
#ifndef AIRLOCK_HOST_LIMITS_H
#define AIRLOCK_HOST_LIMITS_H

#include "host/config.h"
#include "sys/sys.h"

#define HOST_MAX_HUGEPAGE_SIZES 8

struct host_hugepages {
	uint64_t size;	      /* bytes of one page */
	uint64_t nr, nr_free; /* pages in the pool, and those not reserved or used */
};

struct host_limits {
	/* RLIMIT_MEMLOCK of this process in bytes; SYS_UNLIMITED for none. */
	uint64_t memlock_soft, memlock_hard;
	bool memlock_known;
	/* CAP_IPC_LOCK, effective: the kernel then does not look at the limit. */
	enum host_known can_lock_all;
	uint64_t locked_now; /* bytes this process has locked or pinned already */

	/* The host, in bytes; meminfo_known is false when /proc/meminfo could not be read. */
	bool meminfo_known;
	uint64_t mem_total, mem_available, swap_free;

	/*
	 * The tightest memory limit of this process's control groups in bytes, and what is used of
	 * it; SYS_UNLIMITED when there is none.
	 */
	bool cgroup_known;
	uint64_t cgroup_max, cgroup_used;
	char cgroup_file[200]; /* that says so */

	struct host_hugepages hugepages[HOST_MAX_HUGEPAGE_SIZES]; /* ascending by size */
	size_t nr_hugepages;
};

/* Never fails: what cannot be read is marked unknown. */
void host_limits_read(struct sys *sys, struct host_limits *out);

/* The pool of pages of this size; NULL when the host has none. */
const struct host_hugepages *host_limits_hugepages(const struct host_limits *limits, uint64_t size);

#endif
