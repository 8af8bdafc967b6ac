// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Invalidation: descriptors from the queue (Intel VT-d spec rev 4.1, 6.5.2) and commands by registers
 * (6.5.1). Served on the thread that rang; a descriptor is read once, judged, and then executed.
 *
 * An invalidation that could not be completed (a device model was late) is not reported as done: the
 * next wait descriptor is dropped and the queue stops with a time-out error, as for a device TLB that
 * does not answer (6.5.2.11). The guest's driver then submits again.
 */
#include "iommu/vtd_unit.h"

/* What came of a descriptor: 0, or why the queue stops at it. */
#define DESC_OK 0

void vtd_forget(struct iommu *iommu, const struct iommu_inval *inval)
{
	const struct vtd_forget *what = inval->unit;

	for (struct iommu_device *dev = iommu->devices; dev; dev = dev->next) {
		struct vtd_device *vdev = dev->unit;
		uint16_t domain;

		if (!what) {
			if (inval->scope == IOMMU_INVAL_DEVICE && inval->device == dev)
				vtd_unbind(vdev);
			continue;
		}
		if (what->by_domain && vtd_bound_domain(vdev, &domain) && domain != what->domain &&
		    what->context)
			continue;
		if (what->context)
			vtd_unbind(vdev);
		else if (what->pasid)
			vtd_unbind_pasids(vdev,
					  what->by_pasid ? what->pasid_value : IOMMU_NO_PASID);
	}
}

/* Executes, and remembers failure for the next wait descriptor. */
static void invalidate(struct vtd *vtd, const struct iommu_inval *inval)
{
	atomic_fetch_add_explicit(&vtd->nr_commands, 1, memory_order_relaxed);
	if (iommu_invalidate(&vtd->iommu, inval))
		vtd->inval_failed = true;
}

void vtd_invalidate_all(struct vtd *vtd)
{
	struct vtd_forget what = { .context = true };
	struct iommu_inval inval = { .scope = IOMMU_INVAL_ALL, .unit = &what };

	invalidate(vtd, &inval);
}

/* Function mask: which bits of a source id do not count (6.5.1.1). */
static uint16_t source_mask(uint64_t fm)
{
	static const uint16_t masks[] = { 0xffff, 0xfffb, 0xfff9, 0xfff8 };

	return masks[fm & 3];
}

/* Granularity is one of the three. */
static void context_invalidate(struct vtd *vtd, uint64_t g, uint16_t domain, uint16_t sid,
			       uint64_t fm)
{
	struct vtd_forget what = { .context = true };
	struct iommu_inval inval = { .scope = IOMMU_INVAL_ALL, .unit = &what };
	uint16_t mask = source_mask(fm);

	/*
	 * The IOTLB of a device is not tagged by domain: when its context entry is read anew, what
	 * the old one led to must go too.
	 */
	if (g == VTD_G_DOMAIN) {
		what.by_domain = true;
		what.domain = domain;
		inval.scope = IOMMU_INVAL_DOMAIN;
		inval.domain = domain;
		invalidate(vtd, &inval);
		return;
	}
	if (g == VTD_G_GLOBAL) {
		invalidate(vtd, &inval);
		return;
	}
	for (struct iommu_device *dev = vtd->iommu.devices; dev; dev = dev->next) {
		uint16_t rid = iommu_device_rid(dev).v;

		if ((rid ^ sid) & mask)
			continue;
		inval.scope = IOMMU_INVAL_DEVICE;
		inval.device = dev;
		invalidate(vtd, &inval);
	}
}

static void pages_of(uint64_t addr, uint64_t am, struct iommu_inval *inval)
{
	uint64_t size = PAGE_SIZE << am;

	inval->first = addr & ~(size - 1);
	inval->last = inval->first + (size - 1);
}

static void iotlb_invalidate(struct vtd *vtd, uint64_t g, uint16_t domain, uint64_t addr,
			     uint64_t am, bool ih)
{
	struct iommu_inval inval = { .scope = IOMMU_INVAL_ALL, .domain = domain };

	if (g == VTD_G_DOMAIN) {
		inval.scope = IOMMU_INVAL_DOMAIN;
	} else if (g == VTD_G_SELECTIVE) {
		/*
		 * The addresses are the second stage's input. What nested translations are cached
		 * by is the first stage's, so with those about the whole domain goes (6.5.2.3).
		 */
		inval.scope =
			atomic_load(&vtd->nested_used) ? IOMMU_INVAL_DOMAIN : IOMMU_INVAL_RANGE;
		inval.leaf_only = ih;
		pages_of(addr, am, &inval);
	}
	invalidate(vtd, &inval);
}

void vtd_command_context(struct vtd *vtd)
{
	uint64_t ccmd, g;
	bool queued;

	iommu_exec_begin(&vtd->iommu);
	lock_take(&vtd->iommu.lock);
	ccmd = vtd_reg_get(vtd, VTD_CCMD);
	queued = vtd->gsts & GCMD_QIE;
	lock_drop(&vtd->iommu.lock);
	g = FIELD_GET(CCMD_CIRG, ccmd);
	if (ccmd & CCMD_ICC) {
		/* With the queue on, the register commands are not for use (6.5.1): nothing done. */
		if (queued || !g)
			g = 0;
		else
			context_invalidate(vtd, g, (uint16_t)FIELD_GET(CCMD_DID, ccmd),
					   (uint16_t)FIELD_GET(CCMD_SID, ccmd),
					   FIELD_GET(CCMD_FM, ccmd));
		lock_take(&vtd->iommu.lock);
		vtd_reg_set(vtd, VTD_CCMD,
			    (ccmd & ~(CCMD_ICC | CCMD_CAIG)) | FIELD_PREP(CCMD_CAIG, g));
		lock_drop(&vtd->iommu.lock);
	}
	iommu_exec_end(&vtd->iommu);
}

void vtd_command_iotlb(struct vtd *vtd)
{
	uint64_t iotlb, iva, g;
	bool queued;

	iommu_exec_begin(&vtd->iommu);
	lock_take(&vtd->iommu.lock);
	iotlb = vtd_reg_get(vtd, VTD_IOTLB);
	iva = vtd_reg_get(vtd, VTD_IVA);
	queued = vtd->gsts & GCMD_QIE;
	lock_drop(&vtd->iommu.lock);
	g = FIELD_GET(IOTLB_IIRG, iotlb);
	if (iotlb & IOTLB_IVT) {
		/* More pages than one command may name: the granularity used is coarser, and said. */
		if (g == VTD_G_SELECTIVE && FIELD_GET(IVA_AM, iva) > VTD_MAMV)
			g = VTD_G_DOMAIN;
		if (queued || !g)
			g = 0;
		else
			iotlb_invalidate(vtd, g, (uint16_t)FIELD_GET(IOTLB_DID, iotlb),
					 iva & IVA_ADDR, FIELD_GET(IVA_AM, iva), iva & IVA_IH);
		lock_take(&vtd->iommu.lock);
		vtd_reg_set(vtd, VTD_IOTLB,
			    (iotlb & ~(IOTLB_IVT | IOTLB_IAIG)) | FIELD_PREP(IOTLB_IAIG, g));
		lock_drop(&vtd->iommu.lock);
	}
	iommu_exec_end(&vtd->iommu);
}

static int desc_context(struct vtd *vtd, const uint64_t *d)
{
	uint64_t g = FIELD_GET(DESC_G, d[0]);

	if (d[0] & CC_RSVD || d[1] || !g)
		return IQEI_RESERVED;
	context_invalidate(vtd, g, (uint16_t)FIELD_GET(DESC_DID, d[0]),
			   (uint16_t)FIELD_GET(CC_SID, d[0]), FIELD_GET(CC_FM, d[0]));
	return DESC_OK;
}

static int desc_iotlb(struct vtd *vtd, const uint64_t *d)
{
	uint64_t g = FIELD_GET(DESC_G, d[0]), am = FIELD_GET(TLB_AM, d[1]);

	if (d[0] & TLB_RSVD || d[1] & TLB_RSVD_1 || !g || (g == VTD_G_SELECTIVE && am > VTD_MAMV))
		return IQEI_RESERVED;
	iotlb_invalidate(vtd, g, (uint16_t)FIELD_GET(DESC_DID, d[0]), d[1] & TLB_ADDR, am,
			 d[1] & TLB_IH);
	return DESC_OK;
}

static int desc_iec(struct vtd *vtd, const uint64_t *d)
{
	uint32_t first = (uint32_t)FIELD_GET(IEC_IIDX, d[0]);
	uint64_t im = FIELD_GET(IEC_IM, d[0]);

	if (d[0] & IEC_RSVD || d[1] || (d[0] & IEC_G && im > VTD_MHMV))
		return IQEI_RESERVED;
	atomic_fetch_add_explicit(&vtd->nr_commands, 1, memory_order_relaxed);
	if (d[0] & IEC_G) {
		first &= ~((1u << im) - 1);
		vtd_iec_forget(vtd, first, first + ((1u << im) - 1));
	} else {
		vtd_iec_forget(vtd, 0, 0xffff);
	}
	return DESC_OK;
}

static int desc_pasid_iotlb(struct vtd *vtd, const uint64_t *d)
{
	uint64_t g = FIELD_GET(DESC_G, d[0]), am = FIELD_GET(TLB_AM, d[1]);
	struct iommu_inval inval = {
		.scope = IOMMU_INVAL_DOMAIN,
		.domain = (uint16_t)FIELD_GET(DESC_DID, d[0]),
	};

	if (d[0] & PTLB_RSVD || d[1] & TLB_RSVD_1 || (g != PTLB_ALL && g != PTLB_PAGES) ||
	    (g == PTLB_PAGES && am > VTD_MAMV))
		return IQEI_RESERVED;
	if (g == PTLB_PAGES) {
		/* First-stage addresses, which is what nested translations are cached by. */
		inval.scope = IOMMU_INVAL_RANGE;
		inval.leaf_only = d[1] & TLB_IH;
		pages_of(d[1] & TLB_ADDR, am, &inval);
	}
	invalidate(vtd, &inval);
	return DESC_OK;
}

static int desc_pasid_cache(struct vtd *vtd, const uint64_t *d)
{
	uint64_t g = FIELD_GET(DESC_G, d[0]);
	struct vtd_forget what = { .pasid = true };
	struct iommu_inval inval = { .scope = IOMMU_INVAL_ALL, .unit = &what };

	if (d[0] & PC_RSVD || d[1] || g == 2)
		return IQEI_RESERVED;
	if (g == PC_PASID) {
		what.by_pasid = true;
		what.pasid_value = (uint32_t)FIELD_GET(DESC_PASID, d[0]);
	}
	/*
	 * The domain in the descriptor is the old entry's. A device's IOTLB is not tagged by it, so
	 * what the entry led to goes with it.
	 */
	if (g != PC_GLOBAL) {
		inval.scope = IOMMU_INVAL_DOMAIN;
		inval.domain = (uint16_t)FIELD_GET(DESC_DID, d[0]);
	}
	invalidate(vtd, &inval);
	return DESC_OK;
}

static int desc_device_tlb(struct vtd *vtd, const uint64_t *d, bool with_pasid)
{
	struct iommu_ats_inval inval = { .pasid = IOMMU_NO_PASID };
	uint64_t addr = d[1] & DTLB_ADDR, size = PAGE_SIZE;
	uint16_t sid;
	bool large;

	if (with_pasid) {
		if (d[1] & PDTLB_RSVD_1)
			return IQEI_RESERVED;
		sid = (uint16_t)FIELD_GET(PDTLB_SID, d[0]);
		inval.pasid = (uint32_t)FIELD_GET(DESC_PASID, d[0]);
		inval.all_pasids = d[1] & PDTLB_G;
		large = d[1] & PDTLB_S;
	} else {
		if (d[0] & DTLB_RSVD || d[1] & DTLB_RSVD_1)
			return IQEI_RESERVED;
		sid = (uint16_t)FIELD_GET(DTLB_SID, d[0]);
		large = d[1] & DTLB_S;
	}
	/* With S the lowest zero bit of the address tells the size; all ones is everything. */
	if (large)
		size = PAGE_SIZE << (__builtin_ctzll(~(addr >> PAGE_SHIFT)) + 1);
	inval.first = size ? addr & ~(size - 1) : 0;
	inval.last = size ? inval.first + (size - 1) : UINT64_MAX;
	atomic_fetch_add_explicit(&vtd->nr_commands, 1, memory_order_relaxed);
	for (struct iommu_device *dev = vtd->iommu.devices; dev; dev = dev->next) {
		if (iommu_device_rid(dev).v != sid)
			continue;
		if (iommu_ats_invalidate(dev, &inval)) {
			vtd->inval_failed = true;
			vtd->inval_failed_sid = sid;
		}
	}
	return DESC_OK;
}

/* The completion of a wait descriptor as an interrupt (11.4.9.4, 11.4.9.5). */
static void wait_interrupt(struct vtd *vtd)
{
	uint32_t addr, upper, data;
	bool send = false;

	lock_take(&vtd->iommu.lock);
	if (!(vtd_reg_get(vtd, VTD_ICS) & ICS_IWC)) {
		uint64_t iectl = vtd_reg_get(vtd, VTD_IECTL);

		vtd_reg_set(vtd, VTD_ICS, ICS_IWC);
		if (iectl & EVENT_IM)
			vtd_reg_set(vtd, VTD_IECTL, iectl | EVENT_IP);
		else
			send = true;
	}
	addr = (uint32_t)vtd_reg_get(vtd, VTD_IEADDR);
	upper = (uint32_t)vtd_reg_get(vtd, VTD_IEUADDR);
	data = (uint32_t)vtd_reg_get(vtd, VTD_IEDATA);
	lock_drop(&vtd->iommu.lock);
	if (send)
		vtd_send(vtd, addr, upper, data);
}

/* All before it is complete: descriptors are executed one by one, each to its end. */
static int desc_wait(struct vtd *vtd, const uint64_t *d)
{
	if (d[0] & WAIT_RSVD || d[1] & ~WAIT_STADDR)
		return IQEI_RESERVED;
	if (vtd->inval_failed)
		return DESC_OK;
	/* Outside memory there is nobody to tell. */
	if (d[0] & WAIT_SW)
		(void)iommu_mem_store32(&vtd->mem, d[1] & WAIT_STADDR,
					(uint32_t)FIELD_GET(WAIT_STDATA, d[0]));
	if (d[0] & WAIT_IF)
		wait_interrupt(vtd);
	return DESC_OK;
}

static int desc_execute(struct vtd *vtd, const uint64_t *d, bool scalable)
{
	uint64_t type = FIELD_GET(DESC_TYPE_LOW, d[0]) | FIELD_GET(DESC_TYPE_HIGH, d[0]) << 4;

	switch (type) {
	case DESC_CONTEXT:
		return desc_context(vtd, d);
	case DESC_IOTLB:
		return desc_iotlb(vtd, d);
	case DESC_DEV_TLB:
		return vtd->config.device_tlb ? desc_device_tlb(vtd, d, false) : IQEI_TYPE;
	case DESC_IEC:
		return vtd->config.intremap ? desc_iec(vtd, d) : IQEI_TYPE;
	case DESC_WAIT:
		return desc_wait(vtd, d);
	case DESC_PASID_IOTLB:
	case DESC_PASID_CACHE:
	case DESC_PASID_DEV_TLB:
		if (!vtd->config.scalable ||
		    (type == DESC_PASID_DEV_TLB && !vtd->config.device_tlb))
			return IQEI_TYPE;
		if (!scalable)
			return IQEI_TTM;
		return type == DESC_PASID_IOTLB	  ? desc_pasid_iotlb(vtd, d)
		       : type == DESC_PASID_CACHE ? desc_pasid_cache(vtd, d)
						  : desc_device_tlb(vtd, d, true);
	default:
		return IQEI_TYPE;
	}
}

static void queue_error(struct vtd *vtd, int iqei)
{
	atomic_fetch_add_explicit(&vtd->nr_queue_errors, 1, memory_order_relaxed);
	vtd_fault_queue(vtd, FSTS_IQE, FIELD_PREP(IQERCD_IQEI, (uint64_t)iqei));
}

void vtd_queue_serve(struct vtd *vtd)
{
	uint64_t iqa, head, tail, size, root;
	unsigned int width;
	bool scalable;

	iommu_exec_begin(&vtd->iommu);
	lock_take(&vtd->iommu.lock);
	iqa = vtd_reg_get(vtd, VTD_IQA);
	tail = vtd_reg_get(vtd, VTD_IQT) & IQT_QT;
	if (!(vtd->gsts & GCMD_QIE))
		tail = atomic_load(&vtd->iqh);
	lock_drop(&vtd->iommu.lock);
	head = atomic_load(&vtd->iqh);
	size = PAGE_SIZE << FIELD_GET(IQA_QS, iqa);
	width = iqa & IQA_DW ? 32 : 16;
	root = atomic_load(&vtd->root);
	scalable = FIELD_GET(RTADDR_TTM, root) == RTADDR_TTM_SCALABLE;

	while (head != tail && !vtd_fault_frozen(vtd)) {
		uint64_t d[4] = { 0 };
		int iqei = DESC_OK;

		if (tail >= size)
			iqei = IQEI_TAIL;
		else if (tail & (width - 1))
			iqei = IQEI_TAIL_ALIGN;
		else if (scalable && width != 32)
			iqei = IQEI_WIDTH;
		else if (iommu_mem_load(&vtd->mem, (iqa & IQA_IQA) + head, d, width / 8))
			iqei = IQEI_FETCH;
		else if (d[2] || d[3])
			iqei = IQEI_RESERVED;
		else
			iqei = desc_execute(vtd, d, scalable);
		if (iqei != DESC_OK) {
			queue_error(vtd, iqei);
			break;
		}
		head = (head + width) % size;
		atomic_store(&vtd->iqh, head);
		if (vtd->inval_failed && FIELD_GET(DESC_TYPE_LOW, d[0]) == DESC_WAIT) {
			vtd->inval_failed = false;
			vtd_fault_queue(vtd, FSTS_ITE,
					FIELD_PREP(IQERCD_ITESID, (uint64_t)vtd->inval_failed_sid));
		}
	}
	iommu_exec_end(&vtd->iommu);
}
