// SPDX-License-Identifier: GPL-2.0-or-later
#include "assign/memlock.h"

#include <errno.h>

#include "base/bits.h"
#include "host/text.h"

static uint64_t memlock_mul(uint64_t a, uint64_t b)
{
	uint64_t v;

	return __builtin_mul_overflow(a, b, &v) ? UINT64_MAX : v;
}

static uint64_t memlock_add(uint64_t a, uint64_t b)
{
	uint64_t v;

	return __builtin_add_overflow(a, b, &v) ? UINT64_MAX : v;
}

uint64_t assign_memlock_need(const struct assign_memlock *plan)
{
	return memlock_add(memlock_mul(plan->ram, plan->nr_spaces), plan->locked_besides);
}

int assign_memlock_check(const struct assign_memlock *plan, const struct host_limits *limits,
			 struct diag *diag)
{
	char need_text[HOST_SIZE_TEXT], has_text[HOST_SIZE_TEXT], ram_text[HOST_SIZE_TEXT];
	uint64_t need = assign_memlock_need(plan), has;
	const char *space =
		plan->backend == ASSIGN_TYPE1 ? "VFIO container" : "iommufd address space";

	if (!plan->nr_spaces || limits->can_lock_all == HOST_YES || !limits->memlock_known ||
	    limits->memlock_soft == SYS_UNLIMITED)
		return 0;
	has = limits->memlock_soft > limits->locked_now ? limits->memlock_soft - limits->locked_now
							: 0;
	if (need <= has)
		return 0;
	host_size_format(need, need_text);
	host_size_format(has, has_text);
	host_size_format(plan->ram, ram_text);
	diag_set(diag, -ENOMEM, "locked memory",
		 "needs %s, has %s: all of guest RAM (%s) is pinned for the devices%s%s%s",
		 need_text, has_text, ram_text, plan->nr_spaces > 1 ? ", once for each " : "",
		 plan->nr_spaces > 1 ? space : "",
		 plan->backend == ASSIGN_IOMMUFD ? "; iommufd counts all processes of the user"
						 : "");
	/* Rounded up to whole MiB: `ulimit -l` counts KiB. */
	need = memlock_add(need, limits->locked_now + MIB(1) - 1) >> 20;
	diag_remedy(diag, -ENOMEM,
		    "raise the limit: ulimit -l %llu (in KiB%s), LimitMEMLOCK=%lluM in a "
		    "systemd unit, or \"USER - memlock %llu\" in /etc/security/limits.conf and "
		    "log in again; or give less --memory",
		    (unsigned long long)need << 10,
		    limits->memlock_hard >= memlock_mul(need, MIB(1)) ? "" : ", as root",
		    (unsigned long long)need, (unsigned long long)need << 10);
	return -ENOMEM;
}

uint64_t assign_headroom_reserve(const struct host_limits *limits)
{
	return min_u64(max_u64(limits->mem_total / 32, MIB(64)), GIB(2));
}

static int headroom_check_pool(const struct assign_memlock *plan, const struct host_limits *limits,
			       struct diag *diag)
{
	const struct host_hugepages *pool = host_limits_hugepages(limits, plan->hugepage_size);
	uint64_t need = plan->ram / plan->hugepage_size + !!(plan->ram % plan->hugepage_size);
	char size[HOST_SIZE_TEXT];

	host_size_format(plan->hugepage_size, size);
	if (!pool) {
		diag_set(diag, -ENOMEM, "huge pages", "this host has no pool of %s pages", size);
		diag_remedy(diag, -ENOMEM,
			    "leave hugepages= out, or use a size listed in "
			    "/sys/kernel/mm/hugepages");
		return -ENOMEM;
	}
	if (need <= pool->nr_free)
		return 0;
	diag_set(diag, -ENOMEM, "huge pages", "needs %llu pages of %s, %llu are free of %llu",
		 (unsigned long long)need, size, (unsigned long long)pool->nr_free,
		 (unsigned long long)pool->nr);
	diag_remedy(diag, -ENOMEM,
		    "as root: echo %llu > /sys/kernel/mm/hugepages/hugepages-%llukB/nr_hugepages",
		    (unsigned long long)(pool->nr - pool->nr_free + need),
		    (unsigned long long)(pool->size >> 10));
	return -ENOMEM;
}

static int headroom_check_cgroup(const struct assign_memlock *plan,
				 const struct host_limits *limits, struct diag *diag)
{
	char need_text[HOST_SIZE_TEXT], max_text[HOST_SIZE_TEXT], used_text[HOST_SIZE_TEXT];
	uint64_t left = limits->cgroup_max > limits->cgroup_used
				? limits->cgroup_max - limits->cgroup_used
				: 0;

	/* Pinned pages are charged to the control group like any others, and stay charged. */
	if (plan->ram <= left)
		return 0;
	diag_set(diag, -ENOMEM, "control group memory",
		 "pinning %s of guest RAM would exceed the limit of %s (%s used): %s",
		 host_size_format(plan->ram, need_text),
		 host_size_format(limits->cgroup_max, max_text),
		 host_size_format(limits->cgroup_used, used_text), limits->cgroup_file);
	diag_remedy(diag, -ENOMEM, "raise it (systemd: MemoryMax=), or give at most --memory %lluM",
		    (unsigned long long)(left >> 20));
	return -ENOMEM;
}

int assign_headroom_check(const struct assign_memlock *plan, const struct host_limits *limits,
			  struct diag *diag)
{
	char need_text[HOST_SIZE_TEXT], has_text[HOST_SIZE_TEXT], reserve_text[HOST_SIZE_TEXT];
	uint64_t reserve = assign_headroom_reserve(limits);

	if (!plan->nr_spaces)
		return 0;
	if (plan->hugepage_size)
		return headroom_check_pool(plan, limits, diag);
	if (limits->cgroup_known && limits->cgroup_max != SYS_UNLIMITED) {
		int err = headroom_check_cgroup(plan, limits, diag);

		if (err)
			return err;
	}
	if (!limits->meminfo_known || memlock_add(plan->ram, reserve) <= limits->mem_available)
		return 0;
	diag_set(diag, -ENOMEM, "host memory",
		 "pinning %s of guest RAM would leave the host without its reserve of %s: %s are "
		 "available, and pinned memory can be neither reclaimed nor swapped",
		 host_size_format(plan->ram, need_text), host_size_format(reserve, reserve_text),
		 host_size_format(limits->mem_available, has_text));
	diag_remedy(diag, -ENOMEM, "give at most --memory %lluM, or stop something on the host",
		    (unsigned long long)(limits->mem_available > reserve
						 ? (limits->mem_available - reserve) >> 20
						 : 0));
	return -ENOMEM;
}
