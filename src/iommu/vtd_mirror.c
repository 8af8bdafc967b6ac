// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Listeners: after each command that changes translations, and before the guest is told that it is
 * done, whoever mirrors a device's tables is brought up to date. Requests without PASID only: what a
 * mirror can show. The guest must invalidate when it maps, too, so the unit is in caching mode.
 */
#include "iommu/mirror.h"
#include "iommu/vtd_unit.h"

/* 64 MiB of tables: 16 million pages of 4 KiB at best. */
#define MIRROR_TABLES 16384

struct leaf_of {
	struct vtd *vtd;
	struct vtd_binding b;
};

static bool leaf_at(void *opaque, uint64_t iova, struct iommu_page *page)
{
	struct leaf_of *of = opaque;
	struct vtd *vtd = of->vtd;
	const struct pt_format *second = of->b.dirty ? &vtd->second_dirty[of->b.second_levels]
						     : &vtd->second[of->b.second_levels];
	const struct pt_format *first = &vtd->first[of->b.first_levels];
	struct walk w = { 0 };
	bool ok;

	switch (of->b.kind) {
	case VTD_KIND_SECOND:
		ok = walk(&vtd->mem, second, of->b.second_root, iova, 0, &w);
		break;
	case VTD_KIND_FIRST:
		ok = walk(&vtd->mem, first, of->b.first_root, iova, 0, &w);
		break;
	default:
		ok = walk_nested(&vtd->mem, first, of->b.first_root, second, of->b.second_root,
				 iova, 0, &w);
		break;
	}
	if (ok && w.page <= IOMMU_MSI_LAST &&
	    w.page + ((1ull << w.page_lg2) - 1) >= IOMMU_MSI_FIRST)
		ok = false;
	/* Nothing at this level's entry; of a second stage's refusal only the page is known. */
	*page = (struct iommu_page){
		.addr = w.page,
		.lg2 = ok			? w.page_lg2
		       : w.second		? 12
		       : w.status == WALK_OK	? w.page_lg2
		       : w.status == WALK_WIDTH ? (uint8_t)min_u64(PT_LEVEL_LG2(w.level), 57)
						: (uint8_t)PT_LEVEL_LG2(w.level),
		.access = w.access,
	};
	return ok;
}

/* What requests go through now, and by which tables. */
static enum iommu_attach attached(struct vtd *vtd, struct vtd_device *vdev, struct vtd_binding *b)
{
	uint64_t root = atomic_load(&vtd->root);

	memset(b, 0, sizeof(*b));
	if (atomic_load(&vdev->dev->blocked))
		return IOMMU_ATTACH_BLOCKED;
	if (!(root & VTD_ROOT_ENABLED))
		return atomic_load(&vtd->boot_blocked) ? IOMMU_ATTACH_BLOCKED
						       : IOMMU_ATTACH_IDENTITY;
	if (vtd_bind(vtd, vdev->dev, IOMMU_NO_PASID, b) != VTD_FAULT_NONE)
		return IOMMU_ATTACH_BLOCKED;
	return b->kind == VTD_KIND_PASS ? IOMMU_ATTACH_IDENTITY : IOMMU_ATTACH_TRANSLATED;
}

static bool same_tables(const struct vtd_device *vdev, enum iommu_attach how,
			const struct vtd_binding *b)
{
	if (!vdev->told || vdev->attached != how)
		return false;
	return how != IOMMU_ATTACH_TRANSLATED ||
	       (vdev->mirrored.kind == b->kind && vdev->mirrored.second_root == b->second_root &&
		vdev->mirrored.first_root == b->first_root &&
		vdev->mirrored.second_levels == b->second_levels &&
		vdev->mirrored.first_levels == b->first_levels);
}

static void attach(struct vtd_device *vdev, enum iommu_attach how, const struct vtd_binding *b)
{
	const struct iommu_listener *l = vdev->dev->listener;

	l->attach(l->opaque, how);
	mirror_drop(vdev->mirror);
	vdev->attached = how;
	vdev->mirrored = *b;
	vdev->told = true;
}

static void device_sync(struct vtd *vtd, struct iommu_device *dev, uint64_t first, uint64_t last)
{
	struct vtd_device *vdev = dev->unit;
	struct leaf_of of = { .vtd = vtd };
	enum iommu_attach how = attached(vtd, vdev, &of.b);
	int err;

	if (!same_tables(vdev, how, &of.b)) {
		attach(vdev, how, &of.b);
		first = 0;
		last = UINT64_MAX;
	}
	if (how != IOMMU_ATTACH_TRANSLATED)
		return;
	err = mirror_sync(vdev->mirror, dev->listener, first, last, leaf_at, &of);
	if (!err)
		return;
	/* Fail closed: nothing rather than half of it. */
	attach(vdev, IOMMU_ATTACH_BLOCKED, &of.b);
	iommu_device_refuse(dev, err == -E2BIG ? "its page tables have no end"
					       : "the host cannot map what its page tables say");
}

void vtd_mirror(struct iommu *iommu, const struct iommu_inval *inval)
{
	struct vtd *vtd = vtd_of(iommu);

	for (struct iommu_device *dev = vtd->iommu.devices; dev; dev = dev->next) {
		struct vtd_device *vdev = dev->unit;
		bool ranged = inval->scope == IOMMU_INVAL_RANGE;

		if (!dev->listener || (inval->scope == IOMMU_INVAL_DEVICE && inval->device != dev))
			continue;
		if ((ranged || inval->scope == IOMMU_INVAL_DOMAIN) && vdev->told &&
		    vdev->attached == IOMMU_ATTACH_TRANSLATED &&
		    vdev->mirrored.domain != (uint16_t)inval->domain && !inval->unit)
			continue;
		device_sync(vtd, dev, ranged ? inval->first : 0, ranged ? inval->last : UINT64_MAX);
	}
}

void vtd_unlisten(struct vtd_device *vdev)
{
	mirror_destroy(vdev->mirror);
	vdev->mirror = NULL;
}

int vtd_listen(struct iommu *iommu, struct iommu_device *dev)
{
	struct vtd *vtd = vtd_of(iommu);
	struct vtd_device *vdev = dev->unit;

	vdev->told = false;
	if (!dev->listener) {
		vtd_unlisten(vdev);
		return 0;
	}
	/* Maps that need no invalidation would never be seen. */
	if (!vtd->config.caching_mode)
		return -ENOTSUP;
	if (!vdev->mirror) {
		int err = mirror_create(MIRROR_TABLES, &vdev->mirror);

		if (err)
			return err;
	}
	device_sync(vtd, dev, 0, UINT64_MAX);
	return 0;
}
