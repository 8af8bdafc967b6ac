// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Root, context and PASID tables: what a request is bound to (Intel VT-d spec rev 4.1, 3.4, 9.1 to
 * 9.6), and the caches of that.
 */
#include "iommu/vtd_unit.h"

/* Of the packed word. */
#define PACK_VALID	   BIT64(0)
#define PACK_KIND	   GENMASK64(3, 1)
#define PACK_SECOND_LEVELS GENMASK64(6, 4)
#define PACK_FIRST_LEVELS  GENMASK64(9, 7)
#define PACK_FPD	   BIT64(10)
#define PACK_DEVICE_TLB	   BIT64(11)
#define PACK_DIRTY	   BIT64(12)
#define PACK_SNOOP	   BIT64(13)
#define PACK_SCALABLE	   BIT64(14)
#define PACK_DOMAIN	   GENMASK64(31, 16)
#define PACK_PASID	   GENMASK64(51, 32)

static uint64_t binding_pack(const struct vtd_binding *b)
{
	return PACK_VALID | FIELD_PREP(PACK_KIND, (uint64_t)b->kind) |
	       FIELD_PREP(PACK_SECOND_LEVELS, (uint64_t)b->second_levels) |
	       FIELD_PREP(PACK_FIRST_LEVELS, (uint64_t)b->first_levels) | (b->fpd ? PACK_FPD : 0) |
	       (b->device_tlb ? PACK_DEVICE_TLB : 0) | (b->dirty ? PACK_DIRTY : 0) |
	       (b->snoop ? PACK_SNOOP : 0) | (b->scalable ? PACK_SCALABLE : 0) |
	       FIELD_PREP(PACK_DOMAIN, (uint64_t)b->domain) |
	       FIELD_PREP(PACK_PASID, (uint64_t)b->pasid);
}

static void binding_unpack(struct vtd_binding *b, uint64_t packed)
{
	b->kind = (enum vtd_kind)FIELD_GET(PACK_KIND, packed);
	b->domain = (uint16_t)FIELD_GET(PACK_DOMAIN, packed);
	b->second_levels = (uint8_t)FIELD_GET(PACK_SECOND_LEVELS, packed);
	b->first_levels = (uint8_t)FIELD_GET(PACK_FIRST_LEVELS, packed);
	b->fpd = packed & PACK_FPD;
	b->device_tlb = packed & PACK_DEVICE_TLB;
	b->dirty = packed & PACK_DIRTY;
	b->snoop = packed & PACK_SNOOP;
	b->scalable = packed & PACK_SCALABLE;
	b->pasid = (uint32_t)FIELD_GET(PACK_PASID, packed);
}

/* A device whose requester id has changed does not find what was cached under the old one. */
static uint64_t cached_key(const struct iommu_device *dev, uint32_t pasid)
{
	return (uint64_t)atomic_load_explicit(&dev->identity, memory_order_relaxed) << 32 |
	       (pasid == IOMMU_NO_PASID ? 0 : pasid + 1);
}

static bool cached_get(struct vtd_cached *c, uint64_t key, struct vtd_binding *b)
{
	uint32_t version = atomic_load_explicit(&c->version, memory_order_acquire);
	uint64_t packed;

	if (version & 1 || atomic_load_explicit(&c->key, memory_order_acquire) != key)
		return false;
	packed = atomic_load_explicit(&c->packed, memory_order_acquire);
	b->second_root = atomic_load_explicit(&c->second_root, memory_order_acquire);
	b->first_root = atomic_load_explicit(&c->first_root, memory_order_acquire);
	if (!(packed & PACK_VALID) ||
	    atomic_load_explicit(&c->version, memory_order_relaxed) != version)
		return false;
	binding_unpack(b, packed);
	return true;
}

/* Under the device's lock. packed is 0 to forget. */
static void cached_set(struct vtd_cached *c, uint64_t key, uint64_t packed, uint64_t second_root,
		       uint64_t first_root)
{
	uint32_t version = atomic_load_explicit(&c->version, memory_order_relaxed);

	atomic_store_explicit(&c->version, version + 1, memory_order_relaxed);
	atomic_store_explicit(&c->key, key, memory_order_release);
	atomic_store_explicit(&c->packed, packed, memory_order_release);
	atomic_store_explicit(&c->second_root, second_root, memory_order_release);
	atomic_store_explicit(&c->first_root, first_root, memory_order_release);
	atomic_store_explicit(&c->version, version + 2, memory_order_release);
}

static struct vtd_cached *cached_slot(struct vtd_device *vdev, uint32_t pasid)
{
	if (pasid == IOMMU_NO_PASID)
		return &vdev->plain;
	return &vdev->pasids[(pasid ^ pasid >> 3 ^ pasid >> 6) % VTD_PASID_SLOTS];
}

static void cached_fill(struct vtd *vtd, struct vtd_device *vdev, uint32_t pasid, uint64_t key,
			const struct vtd_binding *b, uint64_t expected)
{
	spin_take(&vdev->lock);
	/* Not when an invalidation has begun since the tables were read: see iommu/ops.h. */
	if (atomic_load(&vtd->iommu.seq) == expected)
		cached_set(cached_slot(vdev, pasid), key, binding_pack(b), b->second_root,
			   b->first_root);
	spin_drop(&vdev->lock);
}

void vtd_unbind(struct vtd_device *vdev)
{
	spin_take(&vdev->lock);
	cached_set(&vdev->plain, 0, 0, 0, 0);
	for (unsigned int i = 0; i < VTD_PASID_SLOTS; i++)
		cached_set(&vdev->pasids[i], 0, 0, 0, 0);
	spin_drop(&vdev->lock);
}

void vtd_unbind_pasids(struct vtd_device *vdev, uint32_t pasid)
{
	spin_take(&vdev->lock);
	for (unsigned int i = 0; i < VTD_PASID_SLOTS; i++) {
		struct vtd_cached *c = &vdev->pasids[i];

		if (pasid == IOMMU_NO_PASID ||
		    FIELD_GET(PACK_PASID, atomic_load(&c->packed)) == pasid)
			cached_set(c, 0, 0, 0, 0);
	}
	/* Requests without PASID go through a PASID table entry too, in scalable mode. */
	if (pasid == IOMMU_NO_PASID ||
	    FIELD_GET(PACK_PASID, atomic_load(&vdev->plain.packed)) == pasid)
		cached_set(&vdev->plain, 0, 0, 0, 0);
	spin_drop(&vdev->lock);
}

bool vtd_bound_domain(struct vtd_device *vdev, uint16_t *domain)
{
	struct vtd_binding b;

	if (!cached_get(&vdev->plain, cached_key(vdev->dev, IOMMU_NO_PASID), &b))
		return false;
	*domain = b.domain;
	return true;
}

/* Address bits beyond the host's width: reserved wherever a table pointer stands. */
static uint64_t beyond_width(const struct vtd *vtd)
{
	return ~GENMASK64(vtd->config.haw - 1, 0);
}

/* Second-stage levels of an address-width field, 0 for one that is not offered. */
static uint8_t aw_levels(const struct vtd *vtd, uint64_t aw)
{
	return FIELD_GET(CAP_SAGAW, vtd->cap) & BIT64(aw) ? (uint8_t)(aw + 2) : 0;
}

static enum vtd_fault_reason bind_legacy(struct vtd *vtd, uint64_t root, rid_t rid,
					 struct vtd_binding *b)
{
	uint64_t entry[2], context[2];
	uint8_t levels;

	if (iommu_mem_load(&vtd->mem, root + 16ull * rid_bus(rid), entry, 2))
		return VTD_LRT_1;
	if (!(entry[0] & ROOT_P))
		return VTD_LRT_2;
	if (entry[0] & (ROOT_RSVD | beyond_width(vtd)) || entry[1])
		return VTD_LRT_3;
	if (iommu_mem_load(&vtd->mem, (entry[0] & ROOT_CTP) + 16ull * rid_devfn(rid), context, 2))
		return VTD_LCT_1;

	/* From here FPD counts, present or not (7.2). */
	b->fpd = context[0] & CTX_FPD;
	if (!(context[0] & CTX_P))
		return VTD_LCT_2;
	if (context[0] & (CTX_RSVD_LOW | beyond_width(vtd)) || context[1] & CTX_RSVD_HIGH)
		return VTD_LCT_3;
	levels = aw_levels(vtd, FIELD_GET(CTX_AW, context[1]));
	if (!levels)
		return VTD_LCT_4;
	switch (FIELD_GET(CTX_TT, context[0])) {
	case CTX_TT_ALL:
		if (!vtd->config.device_tlb)
			return VTD_LCT_4;
		b->device_tlb = true;
		b->kind = VTD_KIND_SECOND;
		break;
	case CTX_TT_UNTRANSLATED:
		b->kind = VTD_KIND_SECOND;
		break;
	case CTX_TT_PASS:
		/* The width must then be the largest offered (9.3). */
		if (!vtd->config.pass_through || PT_LEVEL_LG2(levels + 1) != vtd->config.aw)
			return VTD_LCT_4;
		b->kind = VTD_KIND_PASS;
		break;
	default:
		return VTD_LCT_4;
	}
	b->domain = (uint16_t)FIELD_GET(CTX_DID, context[1]);
	b->second_levels = levels;
	b->second_root = context[0] & CTX_SSPTPTR;
	return VTD_FAULT_NONE;
}

/* The PASID table entry, judged; its words are in `entry`. */
static enum vtd_fault_reason bind_pasid_entry(struct vtd *vtd, const uint64_t *entry,
					      struct vtd_binding *b)
{
	uint64_t pgtt = FIELD_GET(PASID_PGTT, entry[0]), fspm = FIELD_GET(PASID_FSPM, entry[2]);
	bool second = pgtt != PASID_PGTT_FIRST;
	bool first = pgtt == PASID_PGTT_FIRST || pgtt == PASID_PGTT_NESTED;

	b->fpd |= (entry[0] & PASID_FPD) != 0;
	if (!(entry[0] & PASID_P))
		return VTD_SPT_2;
	if (entry[0] & PASID_RSVD_0 || entry[1] & PASID_RSVD_1 || entry[2] & PASID_RSVD_2)
		return VTD_SPT_3;
	if (entry[0] & PASID_SSADE && !vtd->config.dirty_tracking)
		return VTD_SPT_3;

	switch (pgtt) {
	case PASID_PGTT_FIRST:
		if (!vtd->config.first_stage)
			return VTD_SPT_4;
		b->kind = VTD_KIND_FIRST;
		break;
	case PASID_PGTT_SECOND:
		b->kind = VTD_KIND_SECOND;
		break;
	case PASID_PGTT_NESTED:
		if (!vtd->config.nested)
			return VTD_SPT_4;
		b->kind = VTD_KIND_NESTED;
		break;
	case PASID_PGTT_PASS:
		if (!vtd->config.pass_through)
			return VTD_SPT_4;
		b->kind = VTD_KIND_PASS;
		break;
	default:
		return VTD_SPT_4;
	}
	if (second) {
		b->second_levels = aw_levels(vtd, FIELD_GET(PASID_AW, entry[0]));
		if (!b->second_levels)
			return VTD_SPT_4;
		if (pgtt != PASID_PGTT_PASS && entry[0] & PASID_SSPTPTR & beyond_width(vtd))
			return VTD_SPT_3;
		b->second_root = entry[0] & PASID_SSPTPTR;
		b->dirty = entry[0] & PASID_SSADE;
	}
	if (first) {
		if (fspm > 1 || (fspm == 1 && vtd->config.aw < 57))
			return VTD_SPT_4;
		/* A nested pointer is the second stage's to judge. */
		if (pgtt == PASID_PGTT_FIRST && entry[2] & PASID_FSPTPTR & beyond_width(vtd))
			return VTD_SPT_3;
		b->first_levels = (uint8_t)(4 + fspm);
		b->first_root = entry[2] & PASID_FSPTPTR;
	}
	b->domain = (uint16_t)FIELD_GET(PASID_DID, entry[1]);
	b->snoop = entry[1] & PASID_PGSNP;
	return VTD_FAULT_NONE;
}

static enum vtd_fault_reason bind_scalable(struct vtd *vtd, uint64_t root, rid_t rid,
					   uint32_t pasid, struct vtd_binding *b)
{
	uint64_t half, context[4], dir, entry[3], limit;
	uint8_t devfn = rid_devfn(rid);

	b->scalable = true;
	/* Each half of a root entry serves half of the bus's functions (9.2). */
	if (iommu_mem_load64(&vtd->mem, root + 16ull * rid_bus(rid) + (devfn & 0x80 ? 8 : 0),
			     &half))
		return VTD_SRT_1;
	if (!(half & ROOT_P))
		return VTD_SRT_2;
	if (half & (ROOT_RSVD | beyond_width(vtd)))
		return VTD_SRT_3;
	if (iommu_mem_load(&vtd->mem, (half & ROOT_CTP) + 32ull * (devfn & 0x7f), context, 4))
		return VTD_SCT_1;

	b->fpd = context[0] & SCTX_FPD;
	if (!(context[0] & SCTX_P))
		return VTD_SCT_2;
	if (context[0] & (SCTX_RSVD_0 | beyond_width(vtd)) || context[1] & SCTX_RSVD_1 ||
	    context[2] || context[3])
		return VTD_SCT_3;
	if ((context[0] & SCTX_DTE && !vtd->config.device_tlb) || context[0] & SCTX_PRE)
		return VTD_SCT_4;
	b->device_tlb = context[0] & SCTX_DTE;
	limit = 1ull << (FIELD_GET(SCTX_PDTS, context[0]) + 7 + 6);
	if (pasid == IOMMU_NO_PASID) {
		pasid = (uint32_t)FIELD_GET(SCTX_RID_PASID, context[1]);
		if (pasid >= limit)
			return VTD_SCT_9;
	} else if (!(context[0] & SCTX_PASIDE)) {
		return VTD_SCT_6;
	} else if (pasid >= limit) {
		return VTD_SCT_7;
	}
	b->pasid = pasid;

	if (iommu_mem_load64(&vtd->mem, (context[0] & SCTX_PASIDDIRPTR) + 8ull * (pasid >> 6),
			     &dir))
		return VTD_SPD_1;
	b->fpd |= (dir & PDIR_FPD) != 0;
	if (!(dir & PDIR_P))
		return VTD_SPD_2;
	if (dir & (PDIR_RSVD | beyond_width(vtd)))
		return VTD_SPD_3;
	if (iommu_mem_load(&vtd->mem, (dir & PDIR_SMPTBLPTR) + 64ull * (pasid & 63), entry, 3))
		return VTD_SPT_1;
	return bind_pasid_entry(vtd, entry, b);
}

enum vtd_fault_reason vtd_bind(struct vtd *vtd, struct iommu_device *dev, uint32_t pasid,
			       struct vtd_binding *b)
{
	struct vtd_device *vdev = dev->unit;
	rid_t rid = iommu_device_rid(dev);
	uint64_t seq, root, key = cached_key(dev, pasid);
	enum vtd_fault_reason reason;

	if (likely(cached_get(cached_slot(vdev, pasid), key, b)))
		return VTD_FAULT_NONE;

	memset(b, 0, sizeof(*b));
	seq = atomic_load(&vtd->iommu.seq);
	root = atomic_load_explicit(&vtd->root, memory_order_acquire);
	switch (FIELD_GET(RTADDR_TTM, root)) {
	case RTADDR_TTM_LEGACY:
		if (pasid != IOMMU_NO_PASID)
			return VTD_RTA_2;
		reason = bind_legacy(vtd, root & RTADDR_RTA, rid, b);
		break;
	case RTADDR_TTM_SCALABLE:
		if (!vtd->config.scalable)
			return VTD_RTA_1;
		reason = bind_scalable(vtd, root & RTADDR_RTA, rid, pasid, b);
		break;
	default:
		return VTD_RTA_1;
	}
	if (reason != VTD_FAULT_NONE)
		return reason;
	/*
	 * The device counts as one of the domain before the domain's tables are read: an
	 * invalidation of the domain then waits for what this request finds there.
	 */
	if (!(atomic_load_explicit(&dev->domains, memory_order_relaxed) & BIT64(b->domain & 63)))
		atomic_fetch_or(&dev->domains, BIT64(b->domain & 63));
	if (b->kind == VTD_KIND_NESTED)
		atomic_store(&vtd->nested_used, true);
	cached_fill(vtd, vdev, pasid, key, b, seq);
	return VTD_FAULT_NONE;
}
