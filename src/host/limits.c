// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "host/text.h"

#define CAPABILITY_IPC_LOCK 14 /* capabilities(7) */

/* The number after "Key:" at the start of a line. */
static bool limits_find(const char *text, const char *key, int base, uint64_t *out)
{
	size_t len = strlen(key);
	const char *line;
	char *end;

	for (line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, len) || line[len] != ':')
			continue;
		*out = strtoull(line + len + 1, &end, base);
		return end != line + len + 1;
	}
	return false;
}

static uint64_t limits_find_kib(const char *text, const char *key)
{
	uint64_t v;

	return limits_find(text, key, 10, &v) && v < UINT64_MAX / 1024 ? KIB(v) : 0;
}

static void limits_read_process(struct sys *sys, struct host_limits *out)
{
	uint64_t caps;
	size_t len;
	char *text;

	if (host_text_read(sys, SYS_TREE_PROC, "self/status", KIB(64), &text, &len))
		return;
	if (limits_find(text, "CapEff", 16, &caps))
		out->can_lock_all = caps & BIT64(CAPABILITY_IPC_LOCK) ? HOST_YES : HOST_NO;
	/* VmLck is what the limit is compared with; VFIO's pages are added to it. */
	out->locked_now = limits_find_kib(text, "VmLck");
	free(text);
}

static void limits_read_memory(struct sys *sys, struct host_limits *out)
{
	size_t len;
	char *text;

	if (host_text_read(sys, SYS_TREE_PROC, "meminfo", KIB(64), &text, &len))
		return;
	out->mem_total = limits_find_kib(text, "MemTotal");
	out->mem_available = limits_find_kib(text, "MemAvailable");
	out->swap_free = limits_find_kib(text, "SwapFree");
	out->meminfo_known = out->mem_total && out->mem_available;
	free(text);
}

struct limits_walk {
	struct sys *sys;
	struct host_limits *out;
};

static int limits_add_pool(void *opaque, const char *name)
{
	struct limits_walk *walk = opaque;
	struct host_limits *out = walk->out;
	struct host_hugepages pool;
	unsigned long long kib;
	char path[128], tail;

	if (out->nr_hugepages == HOST_MAX_HUGEPAGE_SIZES || strlen(name) > 32 ||
	    sscanf(name, "hugepages-%llukB%c", &kib, &tail) != 1 || kib > UINT64_MAX / 1024)
		return 0;
	pool.size = KIB(kib);
	snprintf(path, sizeof(path), "kernel/mm/hugepages/%s/nr_hugepages", name);
	if (sys_read_number(walk->sys, SYS_TREE_SYS, path, &pool.nr))
		return 0;
	snprintf(path, sizeof(path), "kernel/mm/hugepages/%s/free_hugepages", name);
	if (sys_read_number(walk->sys, SYS_TREE_SYS, path, &pool.nr_free))
		return 0;
	pool.nr_free = min_u64(pool.nr_free, pool.nr);
	out->hugepages[out->nr_hugepages++] = pool;
	return 0;
}

static int limits_compare_pool(const void *a, const void *b)
{
	const struct host_hugepages *pa = a, *pb = b;

	return pa->size < pb->size ? -1 : pa->size > pb->size;
}

void host_limits_read(struct sys *sys, struct host_limits *out)
{
	struct limits_walk walk = { sys, out };

	memset(out, 0, sizeof(*out));
	out->memlock_known =
		!sys->ops->limit(sys, SYS_LIMIT_MEMLOCK, &out->memlock_soft, &out->memlock_hard);
	limits_read_process(sys, out);
	limits_read_memory(sys, out);
	sys->ops->list(sys, SYS_TREE_SYS, "kernel/mm/hugepages", limits_add_pool, &walk);
	qsort(out->hugepages, out->nr_hugepages, sizeof(out->hugepages[0]), limits_compare_pool);
}

const struct host_hugepages *host_limits_hugepages(const struct host_limits *limits, uint64_t size)
{
	for (size_t i = 0; i < limits->nr_hugepages; i++)
		if (limits->hugepages[i].size == size)
			return &limits->hugepages[i];
	return NULL;
}
