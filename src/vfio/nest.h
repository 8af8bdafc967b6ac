/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A passed-through device behind the guest's IOMMU. The guest's tables say which of its own addresses
 * the device reaches; the host's IOMMU is made to hold exactly that, composed with where guest RAM
 * lies (GPA -> HVA -> HPA), so the device needs no help once it runs:
 *
 *	guest maps     -> invalidates (caching mode) -> the unit's mirror -> map()   -> dma_map_guest()
 *	guest unmaps   -> invalidates                -> the unit's mirror -> unmap() -> dma_unmap_range()
 *	guest attaches -> context entry changes      -> the unit          -> attach() -> dma_space_switch()
 *
 * all of it before the guest is told that its command is done. One grant for each of the guest's
 * pages: nothing is merged, so nothing has to be split, and a page that stays is never unmapped.
 *
 * While the unit is off, or passes the device through, the device sees all of guest RAM. That is
 * pinned only when the guest switches bus mastering on: a guest that translates from the beginning
 * pins what it maps and no more.
 *
 * At a limit of the host (mappings, locked memory, address width) nothing is dropped: the device is
 * cut off, the reason and the remedy are logged, and the guest's unit reports faults of it.
 *
 * Called by the thread that executes the guest's command, with no lock held; never two at once.
 */
#ifndef AIRLOCK_VFIO_NEST_H
#define AIRLOCK_VFIO_NEST_H

#include <stdatomic.h>

#include "base/diag.h"
#include "iommu/ops.h"

struct vfio_pci;

struct vfio_nest {
	bool on; /* behind the guest's IOMMU; constant */
	struct iommu_listener listener;
	atomic_bool wanted;			       /* the guest has bus mastering on */
	atomic_ullong nr_attaches, nr_maps, nr_unmaps; /* as the guest made them */
};

/*
 * The device has its group and is on no bus yet: it becomes a requester of the guest's unit. 0, or
 * -errno with diag filled. Undone by vfio_nest_fini().
 */
int vfio_nest_build(struct vfio_pci *pci, struct diag *diag);
/* Harmless when it was not built. Loop thread, no lock held. Before the group is given back. */
void vfio_nest_fini(struct vfio_pci *pci);

/*
 * The guest has switched bus mastering on, or off: whether what the device is to reach is there.
 * LOCK_FABRIC may be held; takes LOCK_DMA, and the time to pin memory.
 */
bool vfio_nest_ready(struct vfio_pci *pci, bool master);

#endif
