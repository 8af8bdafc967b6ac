/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mapping engine: one address space in which devices of a VM do DMA, kept equal to what the
 * VM may touch. Whoever maps for a real device does it here, so that every grant is validated,
 * accounted and released in the same way, whichever kernel interface stands below.
 *
 * A grant goes: range checked for overflow -> aligned to the IOMMU's pages -> inside the windows
 * the IOMMU can address (which excludes the MSI window and reserved regions) -> wholly inside this
 * VM's RAM -> not overlapping another grant -> accounted -> mapped, one call per contiguous run.
 * Failing half-way leaves nothing behind. A release is the exact reverse and names a grant as it
 * was made: a piece of one cannot be released, because the kernel cannot split it without a hole.
 * When dma_unmap() returns, the device cannot reach the memory any more (the kernel has flushed the
 * IOTLB); only then may it be reused.
 *
 * RAM becomes known to a space through its struct ram_listener. In a space with `identity` set each
 * window of RAM is granted at once at the guest-physical address (no guest IOMMU). In a `mirror`
 * grants are made one by one by whoever follows the guest's tables; while the guest's IOMMU lets the
 * device through as it is (dma_space_switch()), all of RAM is granted there too, but only once the
 * device may use it (dma_space_fill()): a guest that translates from the start never pins it all.
 *
 * Grants of a mirror are never merged: the kernel would refuse to split what the guest unmaps in
 * pieces.
 *
 * Locks: each space has a LOCK_DMA; all functions may be called from any thread below that rank.
 * The kernel calls that pin memory run under it, for they are the slow part of a grant.
 */
#ifndef AIRLOCK_DMA_MAP_H
#define AIRLOCK_DMA_MAP_H

#include "base/diag.h"
#include "base/range.h"
#include "base/types.h"
#include "platform/platform.h"

struct dma_space;

#define DMA_READ	0x1u /* the device may read */
#define DMA_WRITE	0x2u /* the device may write */

#define DMA_WINDOWS_MAX 64

/* What an address space can do; read again whenever a device joined it. */
struct dma_limits {
	uint64_t page_sizes;	 /* bitmap; the lowest bit is the alignment of every grant */
	uint32_t max_mappings;	 /* that can still be made; UINT32_MAX: no limit */
	unsigned int nr_windows; /* 0: the kernel does not say, anything goes */
	struct range windows[DMA_WINDOWS_MAX]; /* ascending; addresses that can be mapped */
};

/*
 * One kernel interface. All return 0 or -errno. unmap names exactly what one map call mapped, and
 * fails only when it does not.
 */
struct dma_backend_ops {
	const char *name; /* "vfio-type1": in messages and figures */
	int (*limits)(void *backend, struct dma_limits *limits);
	int (*map)(void *backend, iova_t at, void *hva, uint64_t len, unsigned int prot);
	int (*unmap)(void *backend, iova_t at, uint64_t len);
};

struct dma_space_config {
	const char *name; /* object of refusals: "group 14" */
	struct sys *sys;  /* for the limits a refusal explains */
	const struct dma_backend_ops *ops;
	void *backend; /* borrowed; lives longer */
	bool identity;
	bool mirror; /* and not identity */
};

struct dma_stats {
	uint64_t mapped_bytes;	     /* now */
	uint64_t nr_mappings;	     /* now: as the kernel counts them */
	uint64_t nr_maps, nr_unmaps; /* calls made to the kernel, ever */
	uint64_t map_ns, unmap_ns;   /* time spent in them */
	uint64_t nr_refused;	     /* grants refused, by us or by the kernel */
};

/* 0, or -errno with diag filled. The limits are read once here. */
int dma_space_create(const struct dma_space_config *config, struct dma_space **space,
		     struct diag *diag);
/* Releases what is still granted. Its listener must be gone from the platform. */
void dma_space_destroy(struct dma_space *space);

/*
 * Reads the limits again, after a device joined. -ERANGE with diag filled when a grant that exists
 * lies outside of what can be addressed now; the device must then leave again.
 */
int dma_space_refresh(struct dma_space *space, struct diag *diag);

/* For platform->ops->ram_listen(); one space listens at most once. */
struct ram_listener *dma_space_listener(struct dma_space *space);
/* Why the listener last refused RAM, for the one who called ram_listen(). err is 0 if it did not. */
const struct diag *dma_space_refusal(const struct dma_space *space);

/*
 * Grants [at, at + len) onto guest RAM from `from`. 0, or with diag filled: -EINVAL (empty,
 * unaligned, no access right), -EOVERFLOW, -EFAULT (not all of it is RAM), -ERANGE (outside the
 * windows), -EEXIST (overlaps a grant), -ENOSPC (no mapping left), -ENOMEM (locked memory).
 */
int dma_map(struct dma_space *space, iova_t at, gpa_t from, uint64_t len, unsigned int prot,
	    struct diag *diag);
/* Takes a grant back. -ENOENT unless [at, at + len) is exactly one grant. */
int dma_unmap(struct dma_space *space, iova_t at, uint64_t len);
/* Takes back every grant that lies wholly in r; -EBUSY, and nothing done, if one straddles it. */
int dma_unmap_range(struct dma_space *space, struct range r);

/*
 * The same for what a guest's tables map: those pieces of [from, from + len) that are RAM, outside of
 * the MSI window. What is neither is not reached by the device, and no error: a guest may map what it
 * likes. Errors are the host's limits, and nothing of the range is granted then.
 */
int dma_map_guest(struct dma_space *space, iova_t at, gpa_t from, uint64_t len, unsigned int prot,
		  struct diag *diag);

/*
 * Of a mirror: everything granted goes; from here on it is to hold all of RAM one to one (identity),
 * once it is filled, or what dma_map_guest() says.
 */
void dma_space_switch(struct dma_space *space, bool identity);
/* Of a mirror that is to hold all of RAM: grants it. Harmless otherwise. 0 or as dma_map(). */
int dma_space_fill(struct dma_space *space, struct diag *diag);

/* The grant that covers addr: what a device would reach there. False: nothing. */
bool dma_lookup(struct dma_space *space, iova_t addr, gpa_t *to, unsigned int *prot);
/* Takes no lock: it answers while memory is being pinned, which takes its time. */
void dma_space_stats(const struct dma_space *space, struct dma_stats *stats);

#endif
