/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The remapping unit on the board, as --iommu asks for it: its options, its register page, and what it
 * tells the machine (interrupt entries that changed, devices that misbehave).
 */
#ifndef AIRLOCK_MACHINE_UNIT_H
#define AIRLOCK_MACHINE_UNIT_H

#include "iommu/vtd.h"
#include "machine/spec.h"
#include "machine/vm.h"

struct unit;

/* --iommu vtd,KEY=VALUE... */
struct unit_options {
	bool intremap, eim, posted;
	bool caching, scalable, first_stage;
	bool passthrough, snoop, ats;
	bool boot_block;
	uint8_t aw;
	struct quarantine_policy quarantine;
};

/* One line per key, for --iommu help. */
extern const char unit_keys[];

/* 0, or -EINVAL with diag filled: unknown keys, values, and settings that contradict each other. */
int unit_options_read(struct spec *spec, struct unit_options *options, struct diag *diag);
/*
 * What a unit may offer when a passed-through device is behind it, whose tables the host's IOMMU has
 * to follow: the guest says what it maps (caching mode), in second-stage tables, with addresses the
 * host's unit can hold, and snooping only where the host's can force it.
 */
void unit_options_mirror(struct sys *sys, struct unit_options *options);
/* For --plan: "VT-d, 48-bit addresses, interrupt remapping with x2APIC ids". */
void unit_options_describe(const struct unit_options *options, char *text, size_t size);

/* Where the architecture puts it. */
struct unit_place {
	uint64_t base;	   /* of the register page */
	uint8_t phys_bits; /* guest-physical address width */
	rid_t ioapic;	   /* requester id of the I/O APIC */
};

/*
 * Makes the unit and puts everything behind it that comes after: vm->platform's devices, the I/O APIC.
 * Added to the machine's devices. 0, or -errno with diag filled.
 */
int unit_create(struct vm *vm, const struct unit_options *options, const struct unit_place *place,
		struct unit **unit, struct diag *diag);
/* Power-on state: after every device of the machine has been reset. vCPUs are stopped. */
void unit_reset(struct unit *unit);

struct vtd *unit_vtd(struct unit *unit);
const struct unit_options *unit_options(const struct unit *unit);

#endif
