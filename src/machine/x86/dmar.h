/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ACPI DMAR table: which remapping unit there is, and which devices are behind it (Intel VT-d spec
 * rev 4.1, chapter 8). One unit, one PCI segment.
 */
#ifndef AIRLOCK_MACHINE_X86_DMAR_H
#define AIRLOCK_MACHINE_X86_DMAR_H

#include "machine/vm.h"
#include "machine/x86/aml.h"

#define DMAR_REVISION	1
#define DMAR_SCOPES_MAX 256

/* 8.3.1. */
enum dmar_scope_type {
	DMAR_SCOPE_ENDPOINT = 1,
	DMAR_SCOPE_BRIDGE = 2, /* and everything behind it */
	DMAR_SCOPE_IOAPIC = 3,
};

struct dmar_scope {
	enum dmar_scope_type type;
	uint8_t id;  /* of an I/O APIC, as in the MADT */
	uint8_t bus; /* where the path begins */
	uint8_t devfn;
};

struct dmar_config {
	uint64_t base;	/* of the register page */
	uint8_t haw;	/* guest-physical address bits */
	bool intremap;	/* the platform remaps interrupts */
	bool no_x2apic; /* asks the guest to stay away from x2APIC mode */
	bool opt_in;	/* DMA is blocked at boot: the guest should switch the unit on */
	bool all;	/* every PCI device is behind it; else those of the scopes */
	bool ats;	/* root ports pass translation requests */
	unsigned int nr_scopes;
	struct dmar_scope scopes[DMAR_SCOPES_MAX];
};

/* Everything behind the table's header. */
void dmar_write(struct aml *out, const struct dmar_config *config);

/*
 * What the board says once all devices are on it; config->nr_scopes and ->all are filled in: all, or,
 * when a device was left out, each slot of the root bus that was not.
 */
void dmar_scopes(struct vm *vm, struct dmar_config *config);

#endif
