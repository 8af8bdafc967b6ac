// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/x86/srat.h"

#include "base/bits.h"
#include "base/endian.h"

#define SRAT_LAPIC	0
#define SRAT_LAPIC_LEN	16
#define SRAT_MEMORY	1
#define SRAT_MEMORY_LEN 40
#define SRAT_X2APIC	2
#define SRAT_X2APIC_LEN 24
#define SRAT_ENABLED	BIT(0)
/* As in the MADT: 0xff addresses all processors. */
#define SRAT_LAPIC_MAX 0xfe

static void put(struct aml *out, unsigned int bytes, uint64_t value)
{
	uint8_t buf[8];

	le_store(buf, bytes, value);
	aml_bytes(out, buf, bytes);
}

static void srat_cpu(struct aml *out, unsigned int node, uint32_t apic_id)
{
	if (apic_id <= SRAT_LAPIC_MAX) {
		put(out, 1, SRAT_LAPIC);
		put(out, 1, SRAT_LAPIC_LEN);
		put(out, 1, node);
		put(out, 1, apic_id);
		put(out, 4, SRAT_ENABLED);
		put(out, 8, 0); /* SAPIC id, the node's upper bits, clock domain */
		return;
	}
	put(out, 1, SRAT_X2APIC);
	put(out, 1, SRAT_X2APIC_LEN);
	put(out, 2, 0);
	put(out, 4, node);
	put(out, 4, apic_id);
	put(out, 4, SRAT_ENABLED);
	put(out, 8, 0); /* clock domain, reserved */
}

static int srat_memory(void *opaque, unsigned int node, struct range gpa)
{
	struct aml *out = opaque;

	put(out, 1, SRAT_MEMORY);
	put(out, 1, SRAT_MEMORY_LEN);
	put(out, 4, node);
	put(out, 2, 0);
	put(out, 8, gpa.first);
	put(out, 8, range_len(gpa));
	put(out, 4, 0);
	put(out, 4, SRAT_ENABLED);
	put(out, 8, 0);
	return 0;
}

static unsigned int srat_node_of(const struct assign_placement *placement, unsigned int cpu)
{
	for (unsigned int i = 0; i < placement->nr_nodes; i++)
		if (cpu - placement->nodes[i].first < placement->nodes[i].nr)
			return i;
	return 0;
}

void srat_write(struct aml *out, const struct srat_config *config)
{
	put(out, 4, 1); /* reserved, must be 1 */
	put(out, 8, 0);
	for (unsigned int i = 0; i < config->nr_cpus; i++)
		srat_cpu(out, srat_node_of(config->placement, i), config->apic_ids[i]);
	numa_pieces(config->placement, config->regions, config->nr_regions, srat_memory, out);
}

void slit_write(struct aml *out, const struct srat_config *config)
{
	unsigned int nr = config->placement->nr_nodes;

	put(out, 8, nr);
	for (unsigned int i = 0; i < nr; i++)
		for (unsigned int k = 0; k < nr; k++)
			put(out, 1, config->placement->distance[i][k]);
}
