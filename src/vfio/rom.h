/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The expansion ROM: the device's own, read through VFIO the first time the guest looks, or a file
 * of the user's. Read-only. Airlock runs no option ROM; drivers (of graphics cards, above all) read
 * tables in it.
 */
#ifndef AIRLOCK_VFIO_ROM_H
#define AIRLOCK_VFIO_ROM_H

#include "base/diag.h"
#include "base/lock.h"
#include "base/types.h"

struct vfio_pci;

struct vfio_rom {
	struct lock lock; /* LOCK_LEAF: loading */
	uint8_t *data;	  /* owned; NULL until loaded */
	uint64_t size;	  /* of the BAR; 0: none */
	bool loaded;
};

/* Declares the ROM BAR. 0, or -errno with diag filled (an unreadable or oversized file). */
int vfio_rom_build(struct vfio_pci *pci, struct diag *diag);
void vfio_rom_fini(struct vfio_pci *pci);

#endif
