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

/* One level of a hierarchy: keeps the limit that leaves least. */
static void limits_take_cgroup(struct sys *sys, const char *folder, bool v2,
			       struct host_limits *out)
{
	char path[192], text[32];
	uint64_t max, used = 0;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder,
			     v2 ? "memory.current" : "memory.usage_in_bytes") >= sizeof(path))
		return;
	sys_read_number(sys, SYS_TREE_SYS, path, &used);
	snprintf(path, sizeof(path), "%s/%s", folder, v2 ? "memory.max" : "memory.limit_in_bytes");
	if (sys_read_text(sys, SYS_TREE_SYS, path, text, sizeof(text)))
		return;
	out->cgroup_known = true;
	/* v1 writes "no limit" as the largest multiple of the page size. */
	max = strtoull(text, NULL, 10);
	if (!strcmp(text, "max") || max >= INT64_MAX / 4096 * 4096)
		return;
	if (out->cgroup_max != SYS_UNLIMITED &&
	    (max > used ? max - used : 0) >=
		    (out->cgroup_max > out->cgroup_used ? out->cgroup_max - out->cgroup_used : 0))
		return;
	out->cgroup_max = max;
	out->cgroup_used = used;
	snprintf(out->cgroup_file, sizeof(out->cgroup_file), "/sys/%s", path);
}

/* A limit on any folder above binds as well. */
static void limits_climb_cgroup(struct sys *sys, const char *root, char *group, bool v2,
				struct host_limits *out)
{
	char folder[160], *slash;

	group[strcspn(group, "\n")] = '\0';
	for (;;) {
		if ((size_t)snprintf(folder, sizeof(folder), "%s%s", root,
				     strcmp(group, "/") ? group : "") < sizeof(folder))
			limits_take_cgroup(sys, folder, v2, out);
		slash = strrchr(group, '/');
		if (!slash || !*group)
			return;
		*slash = '\0';
	}
}

static void limits_read_cgroup(struct sys *sys, struct host_limits *out)
{
	char text[1024], *line, *save, *at;

	out->cgroup_max = SYS_UNLIMITED;
	if (sys_read_text(sys, SYS_TREE_PROC, "self/cgroup", text, sizeof(text)))
		return;
	/* "0::/path" is version 2; "N:...memory...:/path" version 1. */
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *controllers = strchr(line, ':');

		at = controllers ? strchr(controllers + 1, ':') : NULL;
		if (!at || at[1] != '/')
			continue;
		*at++ = '\0';
		if (!strcmp(line, "0:"))
			limits_climb_cgroup(sys, "fs/cgroup", at, true, out);
		else if (strstr(controllers, "memory"))
			limits_climb_cgroup(sys, "fs/cgroup/memory", at, false, out);
	}
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
	limits_read_cgroup(sys, out);
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
