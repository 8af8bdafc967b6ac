// SPDX-License-Identifier: GPL-2.0-or-later
#include "vfio/nest.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "base/trace.h"
#include "pci/dma.h"
#include "vfio/container.h"
#include "vfio/pci.h"

static struct dma_space *nest_space(const struct vfio_pci *pci)
{
	return pci->group->space->dma;
}

static void nest_report(struct vfio_pci *pci, const struct diag *diag)
{
	log_limited(&pci->log, LOG_ERROR, pci->device.name,
		    "the host cannot map what the guest lets it reach: %s%s%s", diag->reason,
		    diag->remedy[0] ? "; " : "", diag->remedy);
}

static bool nest_fill(struct vfio_pci *pci)
{
	struct diag diag = DIAG_INIT;

	if (!dma_space_fill(nest_space(pci), &diag))
		return true;
	nest_report(pci, &diag);
	return false;
}

static void nest_attach(void *opaque, enum iommu_attach how)
{
	struct vfio_pci *pci = opaque;

	atomic_fetch_add_explicit(&pci->nest.nr_attaches, 1, memory_order_relaxed);
	trace_vfio_attach(pci->device.name, how);
	dma_space_switch(nest_space(pci), how == IOMMU_ATTACH_IDENTITY);
	/*
	 * Partner of the store in vfio_nest_ready(): whoever comes second of switching and wanting
	 * finds both done, and fills.
	 */
	if (atomic_load(&pci->nest.wanted))
		nest_fill(pci);
}

static int nest_map(void *opaque, uint64_t at, gpa_t addr, uint64_t len, unsigned int access)
{
	struct vfio_pci *pci = opaque;
	unsigned int prot =
		(access & IOMMU_READ ? DMA_READ : 0) | (access & IOMMU_WRITE ? DMA_WRITE : 0);
	struct diag diag = DIAG_INIT;
	int err;

	atomic_fetch_add_explicit(&pci->nest.nr_maps, 1, memory_order_relaxed);
	if (!prot)
		return 0;
	err = dma_map_guest(nest_space(pci), iova(at), addr, len, prot, &diag);
	if (err)
		nest_report(pci, &diag);
	return err;
}

static void nest_unmap(void *opaque, uint64_t at, uint64_t len)
{
	struct vfio_pci *pci = opaque;

	atomic_fetch_add_explicit(&pci->nest.nr_unmaps, 1, memory_order_relaxed);
	/* What was told as a whole goes as a whole: the mirror says exactly what it said before. */
	if (dma_unmap_range(nest_space(pci), range_of(at, len)))
		log_error(pci->device.name,
			  "0x%" PRIx64 " bytes at 0x%" PRIx64 " are not what the guest had mapped",
			  len, at);
}

int vfio_nest_build(struct vfio_pci *pci, struct diag *diag)
{
	struct vfio_nest *nest = &pci->nest;
	int err;

	if (!nest->on)
		return 0;
	nest->listener = (struct iommu_listener){ nest_attach, nest_map, nest_unmap, pci };
	err = pci_requester_init(&pci->fn);
	if (!err)
		err = iommu_device_listen(pci->fn.requester, &nest->listener);
	if (err == -ENOTSUP) {
		diag_set(
			diag, err, pci->device.name,
			"the guest's IOMMU does not tell what is mapped: it is not in caching mode");
		return diag_remedy(diag, err,
				   "--iommu vtd,caching=on, or iommu=off for the device");
	}
	return err ? diag_set(diag, err, pci->device.name,
			      "it cannot be put behind the guest's IOMMU: %s", strerror(-err))
		   : 0;
}

void vfio_nest_fini(struct vfio_pci *pci)
{
	if (pci->nest.on && pci->fn.requester)
		iommu_device_listen(pci->fn.requester, NULL);
}

bool vfio_nest_ready(struct vfio_pci *pci, bool master)
{
	atomic_store(&pci->nest.wanted, master);
	return !master || nest_fill(pci);
}
