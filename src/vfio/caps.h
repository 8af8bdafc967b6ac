/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which capability of a real device reaches the guest, and how: one table row per capability, one
 * row per register of those that are virtualised. What no row names is hidden, with a reason a
 * person can read: a default of "no" is what keeps tomorrow's capability from being a hole.
 *
 * Sources: PCI Code and ID Assignment 1.15 (ids); PCI Express Base 6.0, 7.5-7.9.
 */
#ifndef AIRLOCK_VFIO_CAPS_H
#define AIRLOCK_VFIO_CAPS_H

#include "base/types.h"
#include "pci/pci_regs.h"

enum vfio_cap_policy {
	VFIO_CAP_HIDE,	/* not in the guest's list; its bytes read as zero */
	VFIO_CAP_SHOW,	/* read-only, as it was when the device was opened */
	VFIO_CAP_PASS,	/* every access goes to the device */
	VFIO_CAP_TABLE, /* register by register: `regs` */
	VFIO_CAP_MSI,	/* pci/ emulates it; vfio/irq.c wires it */
	VFIO_CAP_MSIX,
};

/*
 * One register. Bits in none of the masks read as zero and cannot be written. `set` and `show`
 * come from us and from the device at opening; `keep` is written by the guest and stays with us;
 * `pass_read` and `pass_write` go to the device.
 */
struct vfio_reg {
	uint16_t offset; /* within the capability, or config space for the header */
	uint8_t size;
	uint32_t show, set, keep, pass_read, pass_write;
};

struct vfio_cap_rule {
	uint16_t id;
	const char *name;
	enum vfio_cap_policy policy;
	const char *reason;	     /* VFIO_CAP_HIDE */
	uint16_t len;		     /* bytes, header included; 0: the capability says so itself */
	const struct vfio_reg *regs; /* VFIO_CAP_TABLE */
	unsigned int nr_regs;
};

#define VFIO_CAPS_MAX 96

/* A capability as found in a device. */
struct vfio_cap {
	bool extended;
	uint16_t id, offset, len;
	uint8_t version; /* extended only */
	enum vfio_cap_policy policy;
	const struct vfio_cap_rule *rule; /* NULL: unknown */
	const char *name, *reason;	  /* static text; reason where hidden */
};

struct vfio_caps {
	unsigned int nr;
	struct vfio_cap cap[VFIO_CAPS_MAX]; /* ordinary ones first, each list in its own order */
};

/*
 * Reads both lists of `size` bytes of config space (256 or 4096). A device's bytes may be
 * anything: a list that loops, leaves the space, overlaps or is too long ends there.
 */
void vfio_caps_read(const uint8_t *config, unsigned int size, struct vfio_caps *caps);
/* The first one with this id; NULL: none. */
struct vfio_cap *vfio_caps_find(struct vfio_caps *caps, bool extended, uint16_t id);

/* The registers of the type 0 header, by the same rules. */
extern const struct vfio_reg vfio_header_regs[];
extern const unsigned int vfio_nr_header_regs;

#endif
