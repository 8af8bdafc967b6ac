// SPDX-License-Identifier: GPL-2.0-or-later
#include "pci/dma.h"

#include <errno.h>

#include "base/bug.h"

int pci_requester_init(struct pci_function *fn)
{
	BUG_ON(fn->bus);
	if (fn->requester)
		return 0;
	if (!fn->platform->iommu)
		return -ENXIO;
	return iommu_device_create(fn->platform->iommu, pci_function_rid(fn), fn->name,
				   &fn->requester);
}

int pci_dma_init(struct pci_dma *dma, struct pci_function *fn)
{
	int err;

	if (!fn->platform->ram)
		return -ENXIO;
	if (!fn->requester) {
		err = pci_requester_init(fn);
		if (err)
			return err;
	}
	dma->fn = fn;
	iommu_section_init(&dma->section, fn->requester);
	return 0;
}

void pci_dma_fini(struct pci_dma *dma)
{
	iommu_section_fini(&dma->section);
}

int pci_dma_read(struct pci_dma *dma, uint64_t addr, void *buf, uint64_t len)
{
	if (!pci_function_may_master(dma->fn))
		return -EPERM;
	return iommu_dma_read(&dma->section, dma->fn->platform->ram, IOMMU_NO_PASID, addr, buf,
			      len);
}

int pci_dma_write(struct pci_dma *dma, uint64_t addr, const void *buf, uint64_t len)
{
	if (!pci_function_may_master(dma->fn))
		return -EPERM;
	return iommu_dma_write(&dma->section, dma->fn->platform->ram, IOMMU_NO_PASID, addr, buf,
			       len);
}

int pci_dma_begin(struct pci_dma *dma)
{
	if (!pci_function_may_master(dma->fn))
		return -EPERM;
	iommu_section_begin(&dma->section);
	return 0;
}

void pci_dma_end(struct pci_dma *dma)
{
	iommu_section_end(&dma->section);
}

#define MAP_SPANS 16

int pci_dma_map(struct pci_dma *dma, uint64_t addr, uint64_t len, unsigned int access,
		struct iovec *iov, unsigned int max, unsigned int *nr, uint64_t *covered)
{
	uint64_t done = 0;
	unsigned int n = 0, room, found;

	*nr = 0;
	*covered = 0;
	do {
		struct iommu_span spans[MAP_SPANS];
		uint64_t some;
		int err;

		/* Never more spans than pieces are left. */
		room = (unsigned int)min_u64(max - n, MAP_SPANS);
		err = iommu_translate(&dma->section, IOMMU_NO_PASID, addr + done, len - done,
				      access, spans, room, &found, &some);
		for (unsigned int i = 0; !err && i < found; i++, n++) {
			iov[n].iov_base =
				ram_span(dma->fn->platform->ram, spans[i].addr, spans[i].len);
			iov[n].iov_len = spans[i].len;
			if (!iov[n].iov_base)
				err = -EFAULT;
		}
		if (err)
			return err;
		done += some;
	} while (done < len && found == room && n < max);
	*nr = n;
	*covered = done;
	return 0;
}
