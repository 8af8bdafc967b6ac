// SPDX-License-Identifier: GPL-2.0-or-later
#include "vfio/bar.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/endian.h"
#include "vfio/pci.h"

#define BAR_MEM_TYPE GENMASK(2, 1)
/* Larger mappings are aligned so that the kernel can use huge page-table entries for them. */
#define ALIGN_FROM    MIB(2)
#define ALIGN_MOST    GIB(1)
#define BAR_HOLES_MAX 2

static uint64_t bar_trap_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct vfio_trap *trap = opaque;
	uint8_t wire[8];

	/* What does not answer reads as all ones, as on a real bus. */
	if (vfio_device_read(&trap->pci->device, trap->region, trap->base + offset, wire, size))
		return bytes_mask(size);
	return le_load(wire, size);
}

static void bar_trap_write(void *opaque, uint64_t offset, unsigned int size, uint64_t value)
{
	struct vfio_trap *trap = opaque;
	uint8_t wire[8];

	le_store(wire, size, value);
	/* A write that no one takes is dropped. */
	vfio_device_write(&trap->pci->device, trap->region, trap->base + offset, wire, size);
}

static const struct bus_region_ops bar_trap_ops = {
	.read = bar_trap_read,
	.write = bar_trap_write,
};

static int range_compare(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

static void cut_add(struct vfio_bar_cut *cut, uint64_t first, uint64_t end)
{
	first = align_up(first, PAGE_SIZE);
	end = align_down(end, PAGE_SIZE);
	if (first >= end || cut->nr == PCI_BAR_PARTS)
		return;
	/* Neighbours are one stretch. */
	if (cut->nr && cut->direct[cut->nr - 1].last + 1 >= first) {
		cut->direct[cut->nr - 1].last = max_u64(cut->direct[cut->nr - 1].last, end - 1);
		return;
	}
	cut->direct[cut->nr++] = range_of(first, end - first);
}

/* Parts that the cut comes to: its stretches, the holes' own, and a trap for each gap left. */
static unsigned int cut_parts(const struct vfio_bar_cut *cut, uint64_t size,
			      const struct range *holes, unsigned int nr_holes)
{
	struct range taken[PCI_BAR_PARTS + BAR_HOLES_MAX];
	unsigned int nr = 0, parts;
	uint64_t at = 0;

	for (unsigned int i = 0; i < cut->nr; i++)
		taken[nr++] = cut->direct[i];
	for (unsigned int i = 0; i < nr_holes; i++)
		taken[nr++] = holes[i];
	qsort(taken, nr, sizeof(taken[0]), range_compare);
	parts = nr;
	for (unsigned int i = 0; i < nr; i++) {
		if (taken[i].first > at)
			parts++;
		at = taken[i].last + 1;
	}
	return parts + (at < size);
}

void vfio_bar_cut(uint64_t size, const struct range *areas, unsigned int nr_areas,
		  const struct range *holes, unsigned int nr_holes, struct vfio_bar_cut *cut)
{
	struct range sorted[VFIO_AREAS_MAX], hole[BAR_HOLES_MAX];

	memcpy(sorted, areas, nr_areas * sizeof(sorted[0]));
	qsort(sorted, nr_areas, sizeof(sorted[0]), range_compare);
	for (unsigned int i = 0; i < nr_holes; i++)
		hole[i] = (struct range){ align_down(holes[i].first, PAGE_SIZE),
					  align_up(holes[i].last + 1, PAGE_SIZE) - 1 };
	qsort(hole, nr_holes, sizeof(hole[0]), range_compare);
	cut->nr = 0;
	for (unsigned int i = 0; i < nr_areas; i++) {
		uint64_t at = sorted[i].first, end = min_u64(sorted[i].last + 1, size);

		for (unsigned int k = 0; k < nr_holes; k++) {
			if (hole[k].last < at || hole[k].first >= end)
				continue;
			cut_add(cut, at, hole[k].first);
			at = hole[k].last + 1;
		}
		if (at < end)
			cut_add(cut, at, end);
	}
	while (cut->nr && cut_parts(cut, size, holes, nr_holes) > PCI_BAR_PARTS) {
		unsigned int least = 0;

		for (unsigned int i = 1; i < cut->nr; i++)
			if (range_len(cut->direct[i]) < range_len(cut->direct[least]))
				least = i;
		cut->nr--;
		memmove(&cut->direct[least], &cut->direct[least + 1],
			(cut->nr - least) * sizeof(cut->direct[0]));
	}
}

/* Maps a stretch, at an address as aligned as the stretch is long. */
static int bar_mmap(struct vfio_pci *pci, const struct vfio_region *region, struct range r,
		    void **out)
{
	struct sys *sys = pci->device.sys;
	int prot = (region->readable ? PROT_READ : 0) | (region->writable ? PROT_WRITE : 0);
	uint64_t len = range_len(r), align = PAGE_SIZE;
	uint8_t *room, *addr;
	void *p;
	int err;

	while (len >= ALIGN_FROM && align < ALIGN_MOST && align * 2 <= len)
		align *= 2;
	if (align < ALIGN_FROM)
		return sys->ops->mmap(sys, NULL, len, prot, MAP_SHARED, pci->device.fd,
				      region->offset + r.first, out);
	/* Address space for it and what alignment wastes; the waste is given back. */
	err = sys->ops->mmap(sys, NULL, len + align, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0, &p);
	if (err)
		return err;
	room = p;
	/* The stretch begins at r.first of the BAR: that, too, counts for the alignment. */
	addr = room + (((r.first & (align - 1)) - (uintptr_t)room) & (align - 1));
	err = sys->ops->mmap(sys, addr, len, prot, MAP_SHARED | MAP_FIXED, pci->device.fd,
			     region->offset + r.first, out);
	if (err) {
		sys->ops->munmap(sys, room, len + align);
		return err;
	}
	if (addr > room)
		sys->ops->munmap(sys, room, (size_t)(addr - room));
	if (addr + len < room + len + align)
		sys->ops->munmap(sys, addr + len, (size_t)(room + align - addr));
	return 0;
}

static int bar_add_direct(struct vfio_pci *pci, unsigned int index, struct range r)
{
	const struct vfio_region *region = &pci->device.region[index];
	struct vfio_mapping *mapping = &pci->bars.mapping[pci->bars.nr_mappings];
	void *addr;
	int err = bar_mmap(pci, region, r, &addr);

	if (err)
		return err;
	*mapping = (struct vfio_mapping){ addr, range_len(r) };
	pci->bars.nr_mappings++;
	return pci_bar_add_direct(&pci->fn, index, r.first, range_len(r), addr, !region->writable);
}

static int bar_add_trap(struct vfio_pci *pci, unsigned int index, uint64_t first, uint64_t end)
{
	struct vfio_trap *trap = &pci->bars.trap[pci->bars.nr_traps];

	if (first >= end)
		return 0;
	pci->bars.nr_traps++;
	*trap = (struct vfio_trap){ pci, index, first };
	return pci_bar_add_trap(&pci->fn, index, first, end - first, pci->bars.name[index],
				&bar_trap_ops, trap);
}

static int bar_build_memory(struct vfio_pci *pci, unsigned int index)
{
	const struct vfio_region *region = &pci->device.region[index];
	struct range holes[BAR_HOLES_MAX], taken[PCI_BAR_PARTS + BAR_HOLES_MAX];
	unsigned int nr_holes = vfio_msix_holes(pci, index, holes), nr = 0;
	struct vfio_bar_cut cut;
	uint64_t at = 0;
	int err;

	vfio_bar_cut(region->size, region->areas, region->nr_areas, holes, nr_holes, &cut);
	for (unsigned int i = 0; i < cut.nr; i++) {
		err = bar_add_direct(pci, index, cut.direct[i]);
		if (err)
			return err;
		taken[nr++] = cut.direct[i];
	}
	for (unsigned int i = 0; i < nr_holes; i++)
		taken[nr++] = holes[i];
	qsort(taken, nr, sizeof(taken[0]), range_compare);
	/* pci/ traps the holes themselves; what is left of their pages, and the rest, is ours. */
	for (unsigned int i = 0; i < nr; i++) {
		err = bar_add_trap(pci, index, at, taken[i].first);
		if (err)
			return err;
		at = taken[i].last + 1;
	}
	return bar_add_trap(pci, index, at, region->size);
}

static int bar_build(struct vfio_pci *pci, unsigned int index, struct diag *diag)
{
	const struct vfio_region *region = &pci->device.region[index];
	uint32_t bar = (uint32_t)le_load(pci->space.device + PCI_BAR0 + 4 * index, 4);
	uint32_t flags = bar & PCI_BAR_IO;
	int err;

	if (!flags) {
		flags = bar & PCI_BAR_PREFETCH;
		if (FIELD_GET(BAR_MEM_TYPE, bar) == 2)
			flags |= PCI_BAR_MEM64;
	}
	snprintf(pci->bars.name[index], sizeof(pci->bars.name[index]), "%s BAR%u", pci->device.name,
		 index);
	err = pci_bar_declare(&pci->fn, index, region->size, flags);
	if (err)
		return diag_set(diag, err, pci->device.name,
				"BAR %u of 0x%llx bytes cannot be shown to a guest", index,
				(unsigned long long)region->size);
	err = flags & PCI_BAR_IO ? bar_add_trap(pci, index, 0, region->size)
				 : bar_build_memory(pci, index);
	if (err)
		return diag_set(diag, err, pci->device.name, "BAR %u cannot be mapped: %s", index,
				strerror(-err));
	return 0;
}

int vfio_bars_build(struct vfio_pci *pci, struct diag *diag)
{
	for (unsigned int i = 0; i < PCI_BARS; i++) {
		int err;

		if (!pci->device.region[i].size)
			continue;
		err = bar_build(pci, i, diag);
		if (err)
			return err;
	}
	return 0;
}

/* A guest may reach this mapping for as long as the process lives: see struct direct_slot. */
static bool mapping_is_stuck(const struct vfio_pci *pci, const struct vfio_mapping *mapping)
{
	for (unsigned int i = 0; i < PCI_BARS; i++) {
		const struct pci_bar *bar = &pci->fn.bars[i];

		for (unsigned int k = 0; k < bar->nr_parts; k++)
			if (bar->parts[k].direct && bar->parts[k].slot.hva == mapping->addr &&
			    bar->parts[k].slot.stuck)
				return true;
	}
	return false;
}

void vfio_bars_fini(struct vfio_pci *pci)
{
	struct sys *sys = pci->device.sys;

	while (pci->bars.nr_mappings) {
		const struct vfio_mapping *mapping = &pci->bars.mapping[--pci->bars.nr_mappings];

		if (!mapping_is_stuck(pci, mapping))
			sys->ops->munmap(sys, mapping->addr, mapping->len);
	}
}

bool vfio_bars_have(const struct vfio_pci *pci, bool io)
{
	for (unsigned int i = 0; i < PCI_BARS; i++) {
		uint32_t bar = (uint32_t)le_load(pci->space.device + PCI_BAR0 + 4 * i, 4);

		if (pci->device.region[i].size && !!(bar & PCI_BAR_IO) == io)
			return true;
	}
	return false;
}
