// SPDX-License-Identifier: GPL-2.0-or-later
#include "pci/dma.h"

#include <errno.h>

#include "base/bug.h"
#include "pci/bus.h"

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
	dma->peers = false;
	iommu_section_init(&dma->section, fn->requester);
	return 0;
}

void pci_dma_fini(struct pci_dma *dma)
{
	iommu_section_fini(&dma->section);
}

/*
 * Within one page, by way of the root complex. What lies in no RAM after translation may be a register:
 * *addr then says where. A write to one is posted, and so may come after the section has ended.
 */
static int dma_page_up(struct pci_dma *dma, uint64_t *addr, void *buf, uint64_t len, bool write)
{
	const struct ram *ram = dma->fn->platform->ram;
	struct iommu_span span;
	uint64_t covered;
	unsigned int nr;
	int err;

	iommu_section_begin(&dma->section);
	err = iommu_translate(&dma->section, IOMMU_NO_PASID, *addr, len,
			      write ? IOMMU_WRITE : IOMMU_READ, &span, 1, &nr, &covered);
	if (!err) {
		*addr = span.addr.v;
		err = write ? ram_write(ram, span.addr, buf, len)
			    : ram_read(ram, span.addr, buf, len);
		err = err ? -ENXIO : 0;
	}
	iommu_section_end(&dma->section);
	return err;
}

static int dma_page(struct pci_dma *dma, uint64_t addr, void *buf, uint64_t len, bool write)
{
	int err;

	switch (pci_peer_way(dma->fn, range_of(addr, len))) {
	case PCI_WAY_NOWHERE:
		return -EFAULT;
	case PCI_WAY_PEER:
		return pci_peer_move(dma->fn, addr, buf, len, write);
	case PCI_WAY_UP:
		break;
	}
	err = dma_page_up(dma, &addr, buf, len, write);
	return err == -ENXIO ? pci_peer_move(dma->fn, addr, buf, len, write) : err;
}

static int dma_move(struct pci_dma *dma, uint64_t addr, uint8_t *buf, uint64_t len, bool write)
{
	struct range range;
	int err = range_make(addr, len, &range) ? -EINVAL : 0;

	for (uint64_t done = 0, piece; done < len && !err; done += piece) {
		uint64_t at = addr + done;

		piece = min_u64(len - done, PAGE_SIZE - (at & (PAGE_SIZE - 1)));
		err = dma_page(dma, at, buf + done, piece, write);
	}
	return err;
}

int pci_dma_read(struct pci_dma *dma, uint64_t addr, void *buf, uint64_t len)
{
	if (!pci_function_may_master(dma->fn))
		return -EPERM;
	if (dma->peers)
		return dma_move(dma, addr, buf, len, false);
	return iommu_dma_read(&dma->section, dma->fn->platform->ram, IOMMU_NO_PASID, addr, buf,
			      len);
}

int pci_dma_write(struct pci_dma *dma, uint64_t addr, const void *buf, uint64_t len)
{
	if (!pci_function_may_master(dma->fn))
		return -EPERM;
	if (dma->peers)
		/* Only read from. */
		return dma_move(dma, addr, (uint8_t *)(uintptr_t)buf, len, true);
	return iommu_dma_write(&dma->section, dma->fn->platform->ram, IOMMU_NO_PASID, addr, buf,
			       len);
}

bool pci_dma_may_translate(struct pci_dma *dma)
{
	return pci_peer_translated(dma->fn);
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
