// SPDX-License-Identifier: GPL-2.0-or-later
/* A request through its tables (Intel VT-d spec rev 4.1, chapter 3), and why it is refused. */
#include "iommu/vtd_unit.h"

/* Stages as the shared cache tags them. */
enum { STAGE_SECOND = 1, STAGE_NESTED = 2 };

#define PIECE_MASK (MIB(2) - 1)

static bool in_msi_range(uint64_t first, uint64_t last)
{
	return first <= IOMMU_MSI_LAST && last >= IOMMU_MSI_FIRST;
}

/* Translation off, or pass-through: the address itself, in pages that leave the MSI range out. */
static int identity(const struct vtd *vtd, uint64_t iova, struct iommu_walked *out)
{
	uint64_t base = iova & ~PIECE_MASK;
	bool split = in_msi_range(base, base | PIECE_MASK);

	for (unsigned int i = 0; i < 2 && !split; i++) {
		uint64_t first = atomic_load_explicit(&vtd->pmr[i][0], memory_order_relaxed);
		uint64_t last = atomic_load_explicit(&vtd->pmr[i][1], memory_order_relaxed);

		/* Protected memory (11.4.8): blocked, and no fault is recorded. */
		if (first <= last && iova >= first && iova <= last)
			return -EFAULT;
		split = first <= last && base <= last && (base | PIECE_MASK) >= first;
	}
	*out = (struct iommu_walked){
		.page = { split ? iova & PAGE_MASK : base, split ? 12 : 21,
			  IOMMU_READ | IOMMU_WRITE, false },
		.cacheable = !split,
	};
	return 0;
}

static enum vtd_fault_reason reason_denied(bool scalable, unsigned int need, unsigned int access)
{
	if (need & IOMMU_WRITE & ~access)
		return scalable ? VTD_SGN_6 : VTD_LGN_2;
	return scalable ? VTD_SGN_7 : VTD_LGN_3;
}

static enum vtd_fault_reason reason_second(const struct vtd_binding *b, const struct walk *w,
					   enum walk_status status, unsigned int level,
					   unsigned int need)
{
	bool top = level == b->second_levels;

	switch (status) {
	case WALK_WIDTH:
		return b->scalable ? VTD_SGN_5 : VTD_LGN_1;
	case WALK_ABSENT:
		return b->scalable ? VTD_SSS_2 : reason_denied(false, need, 0);
	case WALK_RESERVED:
		return b->scalable ? VTD_SSS_3 : VTD_LSS_2;
	case WALK_LOST:
		if (b->scalable)
			return top ? VTD_SSS_4 : VTD_SSS_1;
		return top ? VTD_LCT_4 : VTD_LSS_1;
	case WALK_UPDATE:
		return VTD_SSS_6;
	case WALK_DENIED:
	default:
		return reason_denied(b->scalable, need, w->access);
	}
}

static enum vtd_fault_reason reason_first(const struct vtd_binding *b, const struct walk *w,
					  unsigned int need)
{
	switch (w->status) {
	case WALK_WIDTH:
		return VTD_SGN_1;
	case WALK_ABSENT:
		return VTD_SFS_2;
	case WALK_RESERVED:
		return VTD_SFS_3;
	case WALK_LOST:
		return w->level == b->first_levels ? VTD_SFS_4 : VTD_SFS_1;
	case WALK_PRIVILEGE:
		return VTD_SGN_2;
	case WALK_UPDATE:
		return VTD_SFS_10;
	case WALK_DENIED:
	default:
		return reason_denied(true, need, w->access);
	}
}

/* The second stage refused: the output, or a table of the first stage (SFS.5 to SFS.8). */
static enum vtd_fault_reason reason_nested(const struct vtd_binding *b, const struct walk *w,
					   unsigned int need)
{
	if (!w->second)
		return reason_first(b, w, need);
	if (!w->second_final && w->second_status == WALK_WIDTH)
		return VTD_SFS_5;
	if (!w->second_final && w->second_status == WALK_DENIED) {
		if (w->second_need & IOMMU_WRITE)
			return VTD_SFS_8;
		return w->level == b->first_levels ? VTD_SFS_6 : VTD_SFS_7;
	}
	return reason_second(b, w, w->second_status, w->second_level, need);
}

/*
 * The second stage below a first one, by the shared cache where it knows the tables above. A single
 * stage does without: four loads cost less than the look-up, and each section remembers its tables.
 */
static bool below_walk(struct vtd *vtd, const struct pt_format *f, uint64_t root,
		       struct upper_tag tag, uint64_t iova, unsigned int need, struct walk *w)
{
	struct upper *upper = vtd->iommu.upper;
	uint64_t seq = atomic_load(&vtd->iommu.seq);
	struct upper_hit hit;

	if (upper_lookup(upper, tag, iova, &hit)) {
		if (!hit.leaf) {
			w->second = false;
			return walk_from(&vtd->mem, f, hit.addr, 1, hit.access, iova, need, w);
		}
		if ((hit.access & need) == need) {
			*w = (struct walk){
				.status = WALK_OK,
				.level = 2,
				.access = hit.access,
				.page = hit.addr,
				.page_lg2 = 21,
				.snoop = hit.snoop,
				.dirty = true,
			};
			if (hit.huge) {
				/* Told as what it is a piece of, so that it is forgotten with it. */
				w->page -= iova & (GIB(1) - 1) & ~PIECE_MASK;
				w->page_lg2 = 30;
			}
			return true;
		}
	}
	if (!walk(&vtd->mem, f, root, iova, need, w))
		return false;
	if (w->level == 1)
		hit = (struct upper_hit){ .access = w->above, .addr = w->table };
	else
		/* Without its dirty bit a page is cached as one that is only read. */
		hit = (struct upper_hit){
			.leaf = true,
			.snoop = w->snoop,
			.huge = w->page_lg2 > 21,
			.access = w->access &
				  (uint8_t)(w->dirty ? IOMMU_READ | IOMMU_WRITE : IOMMU_READ),
			.addr = w->page + (iova & ((1ull << w->page_lg2) - 1) & ~PIECE_MASK),
		};
	upper_fill(upper, tag, iova, &hit, &vtd->iommu.seq, seq);
	return true;
}

static const struct pt_format *second_format(const struct vtd *vtd, const struct vtd_binding *b)
{
	return b->dirty ? &vtd->second_dirty[b->second_levels] : &vtd->second[b->second_levels];
}

/*
 * Both stages: the first-stage leaf by the shared cache, which keeps the table's address after the
 * second stage, then its output through the second. The whole nested walk otherwise.
 */
static bool nested_walk(struct vtd *vtd, const struct vtd_binding *b, uint64_t iova,
			unsigned int need, struct walk *w)
{
	const struct pt_format *first = &vtd->first[b->first_levels];
	const struct pt_format *second = second_format(vtd, b);
	struct upper_tag tag = { b->domain, STAGE_NESTED, b->pasid };
	struct upper_tag below = { b->domain, STAGE_SECOND, IOMMU_NO_PASID };
	struct upper *upper = vtd->iommu.upper;
	uint64_t seq = atomic_load(&vtd->iommu.seq);
	struct upper_hit hit;

	if (upper_lookup(upper, tag, iova, &hit)) {
		uint64_t mask, to;
		struct walk inner;

		w->second = false;
		if (!walk_from(&vtd->mem, first, hit.addr, 1, hit.access, iova, need, w))
			return false;
		mask = (1ull << w->page_lg2) - 1;
		to = w->page | (iova & mask);
		if (!below_walk(vtd, second, b->second_root, below, to, need, &inner)) {
			w->second = w->second_final = true;
			w->second_status = w->status = inner.status;
			w->second_level = inner.level;
			w->access &= inner.access;
			return false;
		}
		/* A first-stage page of 4 KiB: never larger than what lies below it. */
		w->page = inner.page | (w->page & ((1ull << inner.page_lg2) - 1));
		w->access &= inner.access;
		w->snoop = inner.snoop;
		w->dirty = w->dirty && inner.dirty;
		return true;
	}
	if (!walk_nested(&vtd->mem, first, b->first_root, second, b->second_root, iova, need, w))
		return false;
	if (w->level == 1 && w->table_writable) {
		hit = (struct upper_hit){ .access = w->above, .addr = w->table };
		upper_fill(upper, tag, iova, &hit, &vtd->iommu.seq, seq);
	}
	return true;
}

static enum vtd_fault_reason translate_tables(struct vtd *vtd, const struct vtd_binding *b,
					      uint64_t iova, unsigned int need, struct walk *w)
{
	uint64_t at;

	switch (b->kind) {
	case VTD_KIND_SECOND:
		if (!walk(&vtd->mem, second_format(vtd, b), b->second_root, iova, need, w))
			return reason_second(b, w, w->status, w->level, need);
		break;
	case VTD_KIND_FIRST:
		if (!walk(&vtd->mem, &vtd->first[b->first_levels], b->first_root, iova, need, w))
			return reason_first(b, w, need);
		break;
	case VTD_KIND_NESTED:
	default:
		if (!nested_walk(vtd, b, iova, need, w))
			return reason_nested(b, w, need);
		break;
	}
	/* Where the page leads must be memory, not the interrupt range (3.14). */
	at = w->page | (iova & ((1ull << w->page_lg2) - 1));
	if (unlikely(in_msi_range(at, at)))
		return b->scalable ? VTD_SGN_8 : VTD_LGN_4;
	return VTD_FAULT_NONE;
}

static int refuse(struct vtd *vtd, struct iommu_device *dev, uint32_t pasid, uint64_t iova,
		  unsigned int need, unsigned int at, enum vtd_fault_reason reason, bool fpd)
{
	rid_t rid = iommu_device_rid(dev);

	if (!fpd)
		vtd_fault_dma(vtd, rid, pasid, iova, need, at, reason);
	return -EFAULT;
}

/* Reasons before an entry with an FPD bit was reached cannot be suppressed by one (7.1.3). */
static bool reason_qualified(enum vtd_fault_reason reason)
{
	switch (reason) {
	case VTD_LRT_1:
	case VTD_LRT_2:
	case VTD_LRT_3:
	case VTD_LCT_1:
	case VTD_RTA_1:
	case VTD_RTA_2:
	case VTD_SRT_1:
	case VTD_SRT_2:
	case VTD_SRT_3:
	case VTD_SCT_1:
		return false;
	default:
		return true;
	}
}

int vtd_translate(struct iommu *iommu, struct iommu_device *dev, uint32_t pasid, uint64_t iova,
		  uint64_t len, unsigned int need, struct iommu_walked *out)
{
	struct vtd *vtd = vtd_of(iommu);
	uint64_t root = atomic_load_explicit(&vtd->root, memory_order_acquire);
	enum vtd_fault_reason reason;
	struct vtd_binding b;
	struct walk w;

	if (unlikely(!(root & VTD_ROOT_ENABLED))) {
		if (atomic_load_explicit(&vtd->boot_blocked, memory_order_relaxed))
			return -EFAULT;
		return identity(vtd, iova, out);
	}
	/*
	 * Without PASID this range is for interrupts, and what is not one is aborted before it
	 * reaches the tables (3.14). pci/ sends the interrupts elsewhere.
	 */
	if (unlikely(pasid == IOMMU_NO_PASID && in_msi_range(iova, iova)))
		return -EFAULT;
	reason = vtd_bind(vtd, dev, pasid, &b);
	if (unlikely(reason != VTD_FAULT_NONE))
		return refuse(vtd, dev, pasid, iova, need, FRCD_AT_UNTRANSLATED, reason,
			      reason_qualified(reason) && b.fpd);
	if (b.kind == VTD_KIND_PASS) {
		if (iova >> vtd->config.haw)
			return refuse(vtd, dev, pasid, iova, need, FRCD_AT_UNTRANSLATED,
				      b.scalable ? VTD_SGN_4 : VTD_LGN_1, b.fpd);
		return identity(vtd, iova, out);
	}
	reason = translate_tables(vtd, &b, iova, need, &w);
	if (unlikely(reason != VTD_FAULT_NONE))
		return refuse(vtd, dev, pasid, iova, need, FRCD_AT_UNTRANSLATED, reason, b.fpd);
	*out = (struct iommu_walked){
		.page = { w.page, w.page_lg2, w.dirty ? w.access : w.access & (uint8_t)~IOMMU_WRITE,
			  w.snoop || b.snoop },
		.cacheable = !in_msi_range(w.page, w.page + ((1ull << w.page_lg2) - 1)),
	};
	/* A page-walk snoop of the whole entry is not the table's to tell: then it is not offered. */
	if (w.level == 1 && b.kind != VTD_KIND_NESTED && !b.snoop) {
		out->format = b.kind == VTD_KIND_FIRST ? &vtd->first[b.first_levels]
						       : second_format(vtd, &b);
		out->table = w.table;
		out->above = w.above;
	}
	return 0;
}

static bool reason_is_denied(enum vtd_fault_reason reason)
{
	return reason == VTD_LGN_2 || reason == VTD_LGN_3 || reason == VTD_SGN_6 ||
	       reason == VTD_SGN_7;
}

/* Of a translation request: not mapped, or not for this, is an answer and no fault (7.1.3). */
static bool reason_is_answer(enum vtd_fault_reason reason)
{
	switch (reason) {
	case VTD_LGN_2:
	case VTD_LGN_3:
	case VTD_SFS_2:
	case VTD_SFS_6:
	case VTD_SFS_7:
	case VTD_SFS_8:
	case VTD_SSS_2:
	case VTD_SGN_2:
	case VTD_SGN_6:
	case VTD_SGN_7:
		return true;
	default:
		return false;
	}
}

int vtd_ats_translate(struct iommu *iommu, struct iommu_device *dev, uint32_t pasid, uint64_t iova,
		      unsigned int want, struct iommu_walked *out)
{
	struct vtd *vtd = vtd_of(iommu);
	uint64_t root = atomic_load_explicit(&vtd->root, memory_order_acquire);
	enum vtd_fault_reason reason;
	struct vtd_binding b;
	struct walk w;

	/* With translation off there is nothing to cache, and the request is not supported (4.2.1). */
	if (!(root & VTD_ROOT_ENABLED))
		return -EFAULT;
	reason = vtd_bind(vtd, dev, pasid, &b);
	if (reason == VTD_FAULT_NONE && !b.device_tlb)
		reason = b.scalable ? VTD_SCT_5 : VTD_LCT_5;
	else if (reason == VTD_FAULT_NONE && b.kind == VTD_KIND_PASS)
		return iova >> vtd->config.haw ? -EFAULT : identity(vtd, iova, out);
	else if (reason == VTD_FAULT_NONE)
		reason = translate_tables(vtd, &b, iova, want, &w);
	/* Fewer rights than wanted are an answer as well. */
	if (want && reason_is_denied(reason))
		reason = translate_tables(vtd, &b, iova, 0, &w);
	if (reason != VTD_FAULT_NONE && reason_is_answer(reason)) {
		*out = (struct iommu_walked){ .page = { iova & PAGE_MASK, 12, 0, false } };
		return 0;
	}
	if (reason != VTD_FAULT_NONE)
		return refuse(vtd, dev, pasid, iova, IOMMU_READ, FRCD_AT_TRANSLATION, reason,
			      reason_qualified(reason) && b.fpd);
	/* Write is granted where the dirty bit stands: the device writes without asking again. */
	*out = (struct iommu_walked){
		.page = { w.page, w.page_lg2, w.dirty ? w.access : w.access & (uint8_t)~IOMMU_WRITE,
			  w.snoop || b.snoop },
	};
	return 0;
}

void vtd_refused(struct iommu *iommu, struct iommu_device *dev, uint32_t pasid, uint64_t iova,
		 unsigned int access)
{
	struct vtd *vtd = vtd_of(iommu);
	uint64_t root = atomic_load_explicit(&vtd->root, memory_order_acquire);

	/* As from a domain with nothing mapped. */
	if (root & VTD_ROOT_ENABLED)
		refuse(vtd, dev, pasid, iova, access, FRCD_AT_UNTRANSLATED,
		       reason_denied(FIELD_GET(RTADDR_TTM, root) == RTADDR_TTM_SCALABLE, access, 0),
		       false);
}
