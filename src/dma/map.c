// SPDX-License-Identifier: GPL-2.0-or-later
#include "dma/map.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/bug.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/trace.h"
#include "dma/grants.h"
#include "host/limits.h"
#include "sys/loop.h"

/* Writes here are interrupts (VT-d 3.14; AMD-Vi 2.1.2). */
#define DMA_MSI_FIRST 0xfee00000ull
#define DMA_MSI_LAST  0xfeefffffull

/* Stretches of guest RAM a VM can have: two at the start, the rest plugged in later. */
#define DMA_RAM_MAX 64

struct dma_ram {
	struct range gpa;
	uint8_t *hva;
};

/* struct dma_stats while it changes: under LOCK_DMA, but read without it, since mapping holds it. */
struct dma_figures {
	atomic_ullong mapped_bytes, nr_mappings, nr_maps, nr_unmaps, map_ns, unmap_ns, nr_refused;
};

struct dma_space {
	struct dma_space_config config; /* constant */
	struct dma_figures figures;
	struct lock lock; /* LOCK_DMA: everything below */
	struct dma_limits limits;
	uint64_t max_mappings; /* in all: what the kernel had left, plus ours */
	struct dma_grants grants;
	struct dma_ram ram[DMA_RAM_MAX]; /* ascending, disjoint */
	unsigned int nr_ram;
	bool identity; /* holds, or is to hold, all of RAM one to one */
	bool filled;   /* and does; RAM that comes is granted as it comes */
	struct ram_listener listener;
	struct diag refusal;
};

static void dma_figure_add(atomic_ullong *figure, uint64_t n)
{
	atomic_fetch_add_explicit(figure, n, memory_order_relaxed);
}

static void dma_figure_sub(atomic_ullong *figure, uint64_t n)
{
	atomic_fetch_sub_explicit(figure, n, memory_order_relaxed);
}

static uint64_t dma_figure(const atomic_ullong *figure)
{
	return atomic_load_explicit(figure, memory_order_relaxed);
}

static int dma_limits_read(struct dma_space *space, struct diag *diag)
{
	const struct dma_space_config *config = &space->config;
	struct dma_limits limits = { 0 };
	int err = config->ops->limits(config->backend, &limits);

	if (err)
		return diag_set(diag, err, config->name, "%s does not say what it can map: %s",
				config->ops->name, strerror(-err));
	if (!limits.page_sizes)
		return diag_set(diag, -ENOTSUP, config->name, "%s supports no page size",
				config->ops->name);
	space->limits = limits;
	space->max_mappings =
		limits.max_mappings == UINT32_MAX
			? UINT64_MAX
			: limits.max_mappings + dma_figure(&space->figures.nr_mappings);
	return 0;
}

static uint64_t dma_page_size(const struct dma_space *space)
{
	return space->limits.page_sizes & -space->limits.page_sizes;
}

/* The window that holds all of r. The kernel does not map across two, even where they touch. */
static bool dma_window_holds(const struct dma_limits *limits, struct range r)
{
	if (!limits->nr_windows)
		return true;
	for (unsigned int i = 0; i < limits->nr_windows; i++)
		if (range_contains(limits->windows[i], r))
			return true;
	return false;
}

/* The first address of r that lies in no window, and the last one of that hole. */
static struct range dma_window_hole(const struct dma_limits *limits, struct range r)
{
	struct range hole = { r.first, UINT64_MAX };

	for (unsigned int i = 0; i < limits->nr_windows; i++) {
		struct range w = limits->windows[i];

		if (w.last < hole.first)
			continue;
		if (w.first > hole.first) {
			hole.last = w.first - 1;
			return hole;
		}
		if (w.last == UINT64_MAX)
			return hole;
		hole.first = w.last + 1;
	}
	return hole;
}

static int dma_refuse_window(const struct dma_space *space, struct range r, struct diag *diag)
{
	struct range hole = dma_window_hole(&space->limits, r);

	if (hole.last == UINT64_MAX) {
		diag_set(diag, -ERANGE, space->config.name,
			 "the IOMMU cannot address 0x%" PRIx64 " and above", hole.first);
		if (space->config.mirror)
			return diag_remedy(diag, -ERANGE,
					   "give the guest's IOMMU narrower addresses: --iommu "
					   "vtd,aw=39");
		return diag_remedy(diag, -ERANGE,
				   "give the VM less memory, so that it ends below 0x%" PRIx64,
				   hole.first);
	}
	diag_set(diag, -ERANGE, space->config.name,
		 "devices cannot reach 0x%" PRIx64 "-0x%" PRIx64
		 ": the host reserves that range, and the VM has memory there",
		 hole.first, hole.last);
	if (space->config.mirror)
		return diag_remedy(diag, -ERANGE,
				   "the guest maps where the host reserves: see "
				   "/sys/kernel/iommu_groups/*/reserved_regions");
	return diag_remedy(diag, -ERANGE,
			   "give the VM less memory, so that it ends below 0x%" PRIx64
			   "; /sys/kernel/iommu_groups/*/reserved_regions says whose range it is",
			   hole.first);
}

static int dma_refuse_count(const struct dma_space *space, struct diag *diag)
{
	diag_set(diag, -ENOSPC, space->config.name,
		 "all %" PRIu64 " mappings the kernel allows are in use", space->max_mappings);
	return diag_remedy(diag, -ENOSPC,
			   "raise vfio_iommu_type1.dma_entry_limit on the host, or let the "
			   "guest map in larger pieces");
}

/* The kernel's number says little; what it stands for is worked out from the limits. */
static int dma_refuse_kernel(struct dma_space *space, int err, struct range at, struct diag *diag)
{
	const char *name = space->config.name;
	uint64_t mib = (range_len(at) + MIB(1) - 1) >> 20;
	struct host_limits limits;

	if (err != -ENOMEM)
		return diag_set(diag, err, name,
				"%s refuses to map 0x%" PRIx64 "-0x%" PRIx64 ": %s",
				space->config.ops->name, at.first, at.last, strerror(-err));
	host_limits_read(space->config.sys, &limits);
	if (!limits.memlock_known || limits.memlock_soft == SYS_UNLIMITED ||
	    limits.can_lock_all == HOST_YES) {
		diag_set(diag, err, name, "the host has no memory to pin %" PRIu64 " MiB", mib);
		return diag_remedy(diag, err, "give the VM less memory, or free some on the host");
	}
	diag_set(diag, err, name,
		 "needs %" PRIu64 " MiB of locked memory, has %" PRIu64 " MiB of %" PRIu64
		 " MiB left (RLIMIT_MEMLOCK)",
		 mib,
		 limits.locked_now < limits.memlock_soft
			 ? (limits.memlock_soft - limits.locked_now) >> 20
			 : 0,
		 limits.memlock_soft >> 20);
	return diag_remedy(diag, err,
			   "raise it: ulimit -l %" PRIu64 ", LimitMEMLOCK= of a systemd unit, or "
			   "memlock in /etc/security/limits.conf",
			   (limits.locked_now + range_len(at)) >> 10);
}

static const struct dma_ram *dma_ram_at(const struct dma_space *space, uint64_t gpa)
{
	for (unsigned int i = 0; i < space->nr_ram; i++)
		if (range_has(space->ram[i].gpa, gpa))
			return &space->ram[i];
	return NULL;
}

/*
 * The longest stretch from `gpa` to at most `last` that is contiguous in this process's memory.
 * 0 bytes where it begins outside of RAM.
 */
static uint64_t dma_run(const struct dma_space *space, uint64_t gpa, uint64_t last, uint8_t **hva)
{
	const struct dma_ram *ram = dma_ram_at(space, gpa);
	uint64_t end;

	if (!ram)
		return 0;
	*hva = ram->hva + (gpa - ram->gpa.first);
	end = ram->gpa.last;
	while (end < last) {
		const struct dma_ram *next = dma_ram_at(space, end + 1);

		if (!next || next->hva != *hva + (end + 1 - gpa))
			break;
		end = next->gpa.last;
	}
	return min_u64(end, last) - gpa + 1;
}

/* Number of runs that cover [from, from + len); 0 unless every byte of it is RAM. */
static uint32_t dma_count_runs(const struct dma_space *space, struct range from, uint64_t page)
{
	uint32_t runs = 0;
	uint8_t *hva;

	for (uint64_t gpa = from.first;;) {
		uint64_t len = dma_run(space, gpa, from.last, &hva);

		/* A run that is not whole pages would let the device reach beside it. */
		if (!len || !is_aligned(len, page) || !is_aligned((uintptr_t)hva, page))
			return 0;
		runs++;
		if (len > from.last - gpa)
			return runs;
		gpa += len;
	}
}

/* Undoes the first `runs` runs of a grant, last one first. */
static void dma_unmap_runs(struct dma_space *space, const struct dma_grant *grant, uint32_t runs)
{
	const struct dma_space_config *config = &space->config;
	uint64_t last = grant->from + (range_len(grant->at) - 1);

	while (runs--) {
		uint64_t gpa = grant->from, len = 0, at, start;
		uint8_t *hva;
		int err;

		/* Walked again each time: a grant of more than one run is rare, and then of two. */
		for (uint32_t i = 0; i <= runs; i++) {
			gpa += len;
			len = dma_run(space, gpa, last, &hva);
		}
		at = grant->at.first + (gpa - grant->from);
		start = loop_now_ns();
		err = config->ops->unmap(config->backend, iova(at), len);
		dma_figure_add(&space->figures.unmap_ns, loop_now_ns() - start);
		trace_dma_unmap(at, len);
		dma_figure_add(&space->figures.nr_unmaps, 1);
		dma_figure_sub(&space->figures.nr_mappings, 1);
		dma_figure_sub(&space->figures.mapped_bytes, len);
		/* Only our own mistake can cause it; closing the space takes the rest back. */
		if (err)
			log_error(config->name, "%s did not unmap 0x%" PRIx64 ": %s",
				  config->ops->name, at, strerror(-err));
	}
}

static int dma_map_runs(struct dma_space *space, const struct dma_grant *grant, struct diag *diag)
{
	const struct dma_space_config *config = &space->config;
	uint64_t last = grant->from + (range_len(grant->at) - 1);
	uint64_t gpa = grant->from;

	for (uint32_t done = 0; done < grant->runs; done++) {
		uint8_t *hva = NULL;
		uint64_t len = dma_run(space, gpa, last, &hva);
		uint64_t at = grant->at.first + (gpa - grant->from);
		uint64_t start = loop_now_ns();
		int err = config->ops->map(config->backend, iova(at), hva, len, grant->prot);

		dma_figure_add(&space->figures.map_ns, loop_now_ns() - start);
		dma_figure_add(&space->figures.nr_maps, 1);
		trace_dma_map(at, len, grant->prot, err);
		if (err) {
			dma_unmap_runs(space, grant, done);
			return err == -ENOSPC
				       ? dma_refuse_count(space, diag)
				       : dma_refuse_kernel(space, err, range_of(at, len), diag);
		}
		dma_figure_add(&space->figures.nr_mappings, 1);
		dma_figure_add(&space->figures.mapped_bytes, len);
		gpa += len;
	}
	return 0;
}

static int dma_map_locked(struct dma_space *space, iova_t at, gpa_t from, uint64_t len,
			  unsigned int prot, struct diag *diag)
{
	const char *name = space->config.name;
	uint64_t page = dma_page_size(space);
	struct dma_grant grant = { .from = from.v, .prot = prot };
	struct range ram;
	int err = range_make(at.v, len, &grant.at);

	if (!err)
		err = range_make(from.v, len, &ram);
	if (err)
		return diag_set(diag, err, name,
				"0x%" PRIx64 " bytes at 0x%" PRIx64 " are not a range of addresses",
				len, at.v);
	if (!prot || prot & ~(DMA_READ | DMA_WRITE))
		return diag_set(diag, -EINVAL, name, "a grant gives no known right (0x%x)", prot);
	if (!is_aligned(at.v | from.v | len, page))
		return diag_set(diag, -EINVAL, name,
				"0x%" PRIx64 "-0x%" PRIx64 " is not made of the IOMMU's pages of "
				"%" PRIu64 " bytes",
				grant.at.first, grant.at.last, page);
	grant.runs = dma_count_runs(space, ram, page);
	if (!grant.runs)
		return diag_set(diag, -EFAULT, name,
				"0x%" PRIx64 "-0x%" PRIx64 " is not all memory of this VM",
				ram.first, ram.last);
	if (!dma_window_holds(&space->limits, grant.at))
		return dma_refuse_window(space, grant.at, diag);
	if (dma_grants_overlap(&space->grants, grant.at))
		return diag_set(diag, -EEXIST, name,
				"0x%" PRIx64 "-0x%" PRIx64 " overlaps a grant that exists",
				grant.at.first, grant.at.last);
	if (grant.runs > space->max_mappings - dma_figure(&space->figures.nr_mappings))
		return dma_refuse_count(space, diag);
	err = dma_grants_reserve(&space->grants);
	if (err)
		return diag_set(diag, err, name, "out of memory");
	err = dma_map_runs(space, &grant, diag);
	if (err)
		return err;
	dma_grants_add(&space->grants, &grant);
	return 0;
}

static void dma_release_locked(struct dma_space *space, size_t index)
{
	dma_unmap_runs(space, &space->grants.grant[index], space->grants.grant[index].runs);
	dma_grants_remove(&space->grants, index);
}

int dma_map(struct dma_space *space, iova_t at, gpa_t from, uint64_t len, unsigned int prot,
	    struct diag *diag)
{
	int err;

	lock_take(&space->lock);
	err = dma_map_locked(space, at, from, len, prot, diag);
	if (err)
		dma_figure_add(&space->figures.nr_refused, 1);
	lock_drop(&space->lock);
	return err;
}

int dma_unmap(struct dma_space *space, iova_t at, uint64_t len)
{
	struct range r;
	size_t i;
	int err = range_make(at.v, len, &r);

	if (err)
		return err;
	lock_take(&space->lock);
	i = dma_grants_find(&space->grants, r.first);
	if (i < space->grants.nr && space->grants.grant[i].at.first == r.first &&
	    space->grants.grant[i].at.last == r.last)
		dma_release_locked(space, i);
	else
		err = -ENOENT;
	lock_drop(&space->lock);
	return err;
}

int dma_unmap_range(struct dma_space *space, struct range r)
{
	struct dma_grants *grants = &space->grants;
	size_t first, end;
	int err = 0;

	lock_take(&space->lock);
	first = dma_grants_find(grants, r.first);
	for (end = first; end < grants->nr && grants->grant[end].at.first <= r.last; end++)
		if (!range_contains(r, grants->grant[end].at))
			err = -EBUSY;
	if (!err)
		while (end > first)
			dma_release_locked(space, --end);
	lock_drop(&space->lock);
	return err;
}

bool dma_lookup(struct dma_space *space, iova_t addr, gpa_t *to, unsigned int *prot)
{
	size_t i;
	bool found;

	lock_take(&space->lock);
	i = dma_grants_find(&space->grants, addr.v);
	found = i < space->grants.nr && range_has(space->grants.grant[i].at, addr.v);
	if (found) {
		const struct dma_grant *grant = &space->grants.grant[i];

		*to = gpa(grant->from + (addr.v - grant->at.first));
		*prot = grant->prot;
	}
	lock_drop(&space->lock);
	return found;
}

static int dma_ram_insert(struct dma_space *space, struct range gpa_range, void *hva,
			  struct diag *diag)
{
	unsigned int i = 0;

	while (i < space->nr_ram && space->ram[i].gpa.last < gpa_range.first)
		i++;
	if (i < space->nr_ram && range_overlaps(space->ram[i].gpa, gpa_range))
		return diag_set(diag, -EEXIST, space->config.name,
				"memory at 0x%" PRIx64 " is there already", gpa_range.first);
	if (space->nr_ram == DMA_RAM_MAX)
		return diag_set(diag, -ENOSPC, space->config.name,
				"more than %d stretches of memory", DMA_RAM_MAX);
	memmove(&space->ram[i + 1], &space->ram[i], (space->nr_ram - i) * sizeof(space->ram[0]));
	space->ram[i] = (struct dma_ram){ gpa_range, hva };
	space->nr_ram++;
	return 0;
}

static void dma_ram_delete(struct dma_space *space, struct range gpa_range)
{
	for (unsigned int i = 0; i < space->nr_ram; i++) {
		if (space->ram[i].gpa.first != gpa_range.first)
			continue;
		space->nr_ram--;
		memmove(&space->ram[i], &space->ram[i + 1],
			(space->nr_ram - i) * sizeof(space->ram[0]));
		return;
	}
}

/* One to one. */
static int dma_grant_ram(struct dma_space *space, struct range ram, struct diag *diag)
{
	return dma_map_locked(space, iova(ram.first), gpa(ram.first), range_len(ram),
			      DMA_READ | DMA_WRITE, diag);
}

static void dma_release_all(struct dma_space *space)
{
	while (space->grants.nr)
		dma_release_locked(space, space->grants.nr - 1);
}

void dma_space_switch(struct dma_space *space, bool identity)
{
	BUG_ON(!space->config.mirror);
	lock_take(&space->lock);
	dma_release_all(space);
	space->identity = identity;
	space->filled = false;
	lock_drop(&space->lock);
}

int dma_space_fill(struct dma_space *space, struct diag *diag)
{
	int err = 0;

	lock_take(&space->lock);
	if (space->identity && !space->filled) {
		for (unsigned int i = 0; i < space->nr_ram && !err; i++)
			err = dma_grant_ram(space, space->ram[i].gpa, diag);
		if (err) {
			dma_release_all(space);
			dma_figure_add(&space->figures.nr_refused, 1);
		}
		space->filled = !err;
	}
	lock_drop(&space->lock);
	return err;
}

/* The next stretch of [*first, last] that is RAM, with nothing the host keeps free between; or not. */
static bool dma_next_ram(const struct dma_space *space, uint64_t *first, uint64_t last,
			 struct range *out)
{
	for (unsigned int i = 0; i < space->nr_ram; i++) {
		struct range ram = space->ram[i].gpa;

		if (ram.last < *first)
			continue;
		if (ram.first > last)
			return false;
		*out = (struct range){ max_u64(ram.first, *first), min_u64(ram.last, last) };
		*first = out->last + 1;
		return true;
	}
	return false;
}

/* Grants [at, at + len) where `from` is RAM. The first error, with what came before still granted. */
static int dma_map_pieces(struct dma_space *space, struct range at, uint64_t from,
			  unsigned int prot, struct diag *diag)
{
	uint64_t gpa_first = from, gpa_last;
	struct range piece;
	int err = 0;

	/* What is beyond the address space is no RAM either. */
	gpa_last = from + min_u64(range_len(at) - 1, UINT64_MAX - from);
	while (!err && dma_next_ram(space, &gpa_first, gpa_last, &piece)) {
		err = dma_map_locked(space, iova(at.first + (piece.first - from)), gpa(piece.first),
				     range_len(piece), prot, diag);
		if (gpa_first > gpa_last)
			break;
	}
	return err;
}

static void dma_release_range(struct dma_space *space, struct range r)
{
	size_t first = dma_grants_find(&space->grants, r.first), end = first;

	while (end < space->grants.nr && range_contains(r, space->grants.grant[end].at))
		end++;
	while (end > first)
		dma_release_locked(space, --end);
}

int dma_map_guest(struct dma_space *space, iova_t at, gpa_t from, uint64_t len, unsigned int prot,
		  struct diag *diag)
{
	static const struct range msi = { DMA_MSI_FIRST, DMA_MSI_LAST };
	struct range r;
	int err = range_make(at.v, len, &r);

	if (err)
		return diag_set(diag, err, space->config.name,
				"0x%" PRIx64 " bytes at 0x%" PRIx64 " are not a range of addresses",
				len, at.v);
	lock_take(&space->lock);
	if (dma_grants_overlap(&space->grants, r)) {
		lock_drop(&space->lock);
		return diag_set(diag, -EEXIST, space->config.name,
				"0x%" PRIx64 "-0x%" PRIx64 " overlaps a grant that exists", r.first,
				r.last);
	}
	if (!range_overlaps(r, msi)) {
		err = dma_map_pieces(space, r, from.v, prot, diag);
	} else {
		/* Writes there are interrupts, whatever a table says. */
		if (r.first < msi.first)
			err = dma_map_pieces(space, (struct range){ r.first, msi.first - 1 },
					     from.v, prot, diag);
		if (!err && r.last > msi.last)
			err = dma_map_pieces(space, (struct range){ msi.last + 1, r.last },
					     from.v + (msi.last + 1 - r.first), prot, diag);
	}
	if (err) {
		dma_release_range(space, r);
		dma_figure_add(&space->figures.nr_refused, 1);
	}
	lock_drop(&space->lock);
	return err;
}

static int dma_ram_added(void *opaque, struct range gpa_range, void *hva)
{
	struct dma_space *space = opaque;
	int err;

	lock_take(&space->lock);
	diag_clear(&space->refusal);
	err = dma_ram_insert(space, gpa_range, hva, &space->refusal);
	if (!err && space->filled) {
		err = dma_grant_ram(space, gpa_range, &space->refusal);
		if (err)
			dma_ram_delete(space, gpa_range);
	}
	if (err)
		dma_figure_add(&space->figures.nr_refused, 1);
	lock_drop(&space->lock);
	return err;
}

static void dma_ram_removed(void *opaque, struct range gpa_range, void *hva)
{
	struct dma_space *space = opaque;

	lock_take(&space->lock);
	/*
	 * Every grant onto it goes, whole: what is left of one that reaches into other memory
	 * could not be kept without a moment in which the device sees neither.
	 */
	for (size_t i = space->grants.nr; i--;) {
		const struct dma_grant *grant = &space->grants.grant[i];

		if (range_overlaps(range_of(grant->from, range_len(grant->at)), gpa_range))
			dma_release_locked(space, i);
	}
	dma_ram_delete(space, gpa_range);
	lock_drop(&space->lock);
}

int dma_space_create(const struct dma_space_config *config, struct dma_space **out,
		     struct diag *diag)
{
	struct dma_space *space = calloc(1, sizeof(*space));
	int err;

	if (!space)
		return diag_set(diag, -ENOMEM, config->name, "out of memory");
	BUG_ON(config->identity && config->mirror);
	space->config = *config;
	space->identity = space->filled = config->identity;
	space->listener.lazy = config->mirror;
	space->listener.add = dma_ram_added;
	space->listener.remove = dma_ram_removed;
	space->listener.opaque = space;
	err = dma_limits_read(space, diag);
	if (err) {
		free(space);
		return err;
	}
	lock_init(&space->lock, LOCK_DMA);
	*out = space;
	return 0;
}

void dma_space_destroy(struct dma_space *space)
{
	if (!space)
		return;
	lock_take(&space->lock);
	dma_release_all(space);
	lock_drop(&space->lock);
	dma_grants_fini(&space->grants);
	lock_fini(&space->lock);
	free(space);
}

int dma_space_refresh(struct dma_space *space, struct diag *diag)
{
	int err;

	lock_take(&space->lock);
	err = dma_limits_read(space, diag);
	for (size_t i = 0; !err && i < space->grants.nr; i++)
		if (!dma_window_holds(&space->limits, space->grants.grant[i].at))
			err = dma_refuse_window(space, space->grants.grant[i].at, diag);
	lock_drop(&space->lock);
	return err;
}

struct ram_listener *dma_space_listener(struct dma_space *space)
{
	return &space->listener;
}

const struct diag *dma_space_refusal(const struct dma_space *space)
{
	return &space->refusal;
}

void dma_space_stats(const struct dma_space *space, struct dma_stats *stats)
{
	const struct dma_figures *f = &space->figures;

	*stats = (struct dma_stats){
		.mapped_bytes = dma_figure(&f->mapped_bytes),
		.nr_mappings = dma_figure(&f->nr_mappings),
		.nr_maps = dma_figure(&f->nr_maps),
		.nr_unmaps = dma_figure(&f->nr_unmaps),
		.map_ns = dma_figure(&f->map_ns),
		.unmap_ns = dma_figure(&f->unmap_ns),
		.nr_refused = dma_figure(&f->nr_refused),
	};
}
