/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest's NUMA nodes in ACPI: SRAT (5.2.16) and SLIT (5.2.17). Sections of ACPI 6.4. */
#ifndef AIRLOCK_MACHINE_X86_SRAT_H
#define AIRLOCK_MACHINE_X86_SRAT_H

#include "machine/numa.h"
#include "machine/x86/aml.h"

#define SRAT_REVISION 3
#define SLIT_REVISION 1

struct srat_config {
	const struct assign_placement *placement; /* with at least one node */
	unsigned int nr_cpus;
	const uint32_t *apic_ids;
	unsigned int nr_regions; /* of RAM, as the memory map has them */
	struct range regions[RAM_REGIONS_MAX];
};

/* Everything behind the table's header. */
void srat_write(struct aml *out, const struct srat_config *config);
void slit_write(struct aml *out, const struct srat_config *config);

#endif
