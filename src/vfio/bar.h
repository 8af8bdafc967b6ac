/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * BARs of a passed-through function. What VFIO lets us map becomes guest memory, so that a register
 * access of the guest reaches the device without us; what must stay virtual (the MSI-X table and
 * its pending bits) or cannot be mapped (I/O ports, BARs below a page) is trapped.
 */
#ifndef AIRLOCK_VFIO_BAR_H
#define AIRLOCK_VFIO_BAR_H

#include "base/diag.h"
#include "base/range.h"
#include "pci/function.h"

struct vfio_pci;
struct vfio_region;

/* How one memory BAR is cut up: stretches the guest reaches directly, ascending. */
struct vfio_bar_cut {
	unsigned int nr;
	struct range direct[PCI_BAR_PARTS];
};

struct vfio_trap {
	struct vfio_pci *pci;
	unsigned int region;
	uint64_t base; /* of the part within the region */
};

struct vfio_mapping {
	void *addr;
	size_t len;
};

struct vfio_bars {
	unsigned int nr_traps, nr_mappings;
	struct vfio_trap trap[PCI_BARS * PCI_BAR_PARTS];
	struct vfio_mapping mapping[PCI_BARS * PCI_BAR_PARTS];
	char name[PCI_BARS + 1][40]; /* as --stats prints it: "0000:01:00.1 BAR0" */
};

/*
 * Cuts a BAR of `size` bytes: `areas` can be mapped, the pages of `holes` (nr_holes <= 2) must be
 * trapped. A stretch is whole pages. The parts that result, with what lies between, fit
 * PCI_BAR_PARTS: the smallest stretches are given up where they would not.
 */
void vfio_bar_cut(uint64_t size, const struct range *areas, unsigned int nr_areas,
		  const struct range *holes, unsigned int nr_holes, struct vfio_bar_cut *cut);

/* Declares the BARs and maps them. Config has been built, MSI-X located. 0, or diag filled. */
int vfio_bars_build(struct vfio_pci *pci, struct diag *diag);
/* Unmaps. The function is detached and the platform synchronised. */
void vfio_bars_fini(struct vfio_pci *pci);
/* Whether any BAR is of this kind (PCI_BAR_IO or memory). */
bool vfio_bars_have(const struct vfio_pci *pci, bool io);

#endif
