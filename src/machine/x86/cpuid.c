// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/x86/cpuid.h"

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "machine/x86/cpuid_regs.h"

/* Where there is no leaf that says it (Intel SDM volume 3A, 4.1.4). */
#define PHYS_BITS_DEFAULT 36

/* APIC id: package (always 0), core, thread, each in a field of whole bits. */
struct topology {
	unsigned int nr_cpus, threads;
	unsigned int smt_bits;	   /* thread number */
	unsigned int package_bits; /* thread and core number */
	unsigned int core;	   /* of this vCPU */
	uint32_t apic_id;
};

static unsigned int bits_for(unsigned int count)
{
	return count <= 1 ? 0 : 32 - (unsigned int)__builtin_clz(count - 1);
}

static struct topology topology_of(const struct cpuid_config *config, unsigned int cpu)
{
	unsigned int threads = config->threads ? config->threads : 1;
	struct topology t = {
		.nr_cpus = config->nr_cpus,
		.threads = threads,
		.smt_bits = bits_for(threads),
		.core = cpu / threads,
	};

	t.package_bits = t.smt_bits + bits_for((config->nr_cpus + threads - 1) / threads);
	t.apic_id = t.core << t.smt_bits | cpu % threads;
	return t;
}

uint32_t cpuid_apic_id(const struct cpuid_config *config, unsigned int cpu)
{
	return topology_of(config, cpu).apic_id;
}

static const struct kvm_cpuid_entry2 *find_leaf(const struct kvm_cpuid_entry2 *entries,
						unsigned int nr, uint32_t function)
{
	for (unsigned int i = 0; i < nr; i++)
		if (entries[i].function == function)
			return &entries[i];
	return NULL;
}

/* AMD and its licensee: the only ones that give 0x80000008 ECX a meaning. */
static bool is_amd(const struct kvm_cpuid_entry2 *entries, unsigned int nr)
{
	const struct kvm_cpuid_entry2 *e = find_leaf(entries, nr, CPUID_VENDOR);
	char name[12];

	if (!e)
		return false;
	memcpy(name, &e->ebx, 4);
	memcpy(name + 4, &e->edx, 4);
	memcpy(name + 8, &e->ecx, 4);
	return !memcmp(name, "AuthenticAMD", 12) || !memcmp(name, "HygonGenuine", 12);
}

static void set_field(uint32_t *reg, uint32_t mask, uint32_t value)
{
	*reg = (*reg & ~mask) | FIELD_PREP(mask, value);
}

static void set_features(const struct cpuid_config *config, const struct topology *t,
			 struct kvm_cpuid_entry2 *e)
{
	set_field(&e->ebx, CPUID_1_EBX_APIC_ID, t->apic_id & 0xff);
	set_field(&e->ebx, CPUID_1_EBX_LOGICAL, (uint32_t)min_u64(1u << t->package_bits, 255));
	e->ecx |= CPUID_1_ECX_HYPERVISOR | CPUID_1_ECX_X2APIC;
	/* Follows CR4 of the vCPU: the kernel keeps it. */
	e->ecx &= ~CPUID_1_ECX_OSXSAVE;
	if (config->tsc_deadline)
		e->ecx |= CPUID_1_ECX_TSC_DEADLINE;
	e->edx &= ~CPUID_1_EDX_HTT;
	if (t->nr_cpus > 1)
		e->edx |= CPUID_1_EDX_HTT;
}

/* Inner caches belong to a core, the third level and beyond to the package. */
static void set_cache(const struct topology *t, struct kvm_cpuid_entry2 *e)
{
	unsigned int bits;

	if (!FIELD_GET(CPUID_CACHE_EAX_TYPE, e->eax))
		return;
	bits = FIELD_GET(CPUID_CACHE_EAX_LEVEL, e->eax) >= 3 ? t->package_bits : t->smt_bits;
	set_field(&e->eax, CPUID_CACHE_EAX_SHARING, (uint32_t)min_u64((1u << bits) - 1, 0xfff));
	if (e->function == CPUID_CACHE)
		set_field(&e->eax, CPUID_4_EAX_CORES,
			  (uint32_t)min_u64((1u << (t->package_bits - t->smt_bits)) - 1, 63));
}

static void set_address_sizes(const struct topology *t, struct kvm_cpuid_entry2 *e)
{
	set_field(&e->ecx, CPUID_SIZES_ECX_THREADS, (uint32_t)min_u64(t->nr_cpus - 1, 0xff));
	set_field(&e->ecx, CPUID_SIZES_ECX_ID_SIZE, t->package_bits);
}

static void set_amd_topology(const struct topology *t, struct kvm_cpuid_entry2 *e)
{
	e->eax = t->apic_id;
	e->ebx = FIELD_PREP(CPUID_AMD_TOPOLOGY_EBX_CORE, t->core & 0xff) |
		 FIELD_PREP(CPUID_AMD_TOPOLOGY_EBX_SMT, t->threads - 1);
	e->ecx = 0; /* node 0 of 1 */
	e->edx = 0;
}

struct table {
	struct kvm_cpuid_entry2 *out;
	unsigned int nr;
};

static struct kvm_cpuid_entry2 *table_add(struct table *table)
{
	if (table->nr == CPUID_ENTRIES_MAX)
		return NULL;
	return &table->out[table->nr++];
}

/* Threads, cores, end of list. */
static int add_topology(const struct topology *t, uint32_t function, struct table *table)
{
	const struct {
		uint32_t shift, count, type;
	} levels[] = {
		{ t->smt_bits, t->threads, CPUID_TOPOLOGY_TYPE_SMT },
		{ t->package_bits, t->nr_cpus, CPUID_TOPOLOGY_TYPE_CORE },
		{ 0, 0, 0 },
	};

	for (uint32_t i = 0; i < ARRAY_SIZE(levels); i++) {
		struct kvm_cpuid_entry2 *e = table_add(table);

		if (!e)
			return -E2BIG;
		*e = (struct kvm_cpuid_entry2){
			.function = function,
			.index = i,
			.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
			.eax = FIELD_PREP(CPUID_TOPOLOGY_EAX_SHIFT, levels[i].shift),
			.ebx = FIELD_PREP(CPUID_TOPOLOGY_EBX_COUNT, levels[i].count),
			.ecx = FIELD_PREP(CPUID_TOPOLOGY_ECX_SUBLEAF, i) |
			       FIELD_PREP(CPUID_TOPOLOGY_ECX_TYPE, levels[i].type),
			.edx = t->apic_id,
		};
	}
	return 0;
}

/* The host's own topology, which the guest must not see in place of its own. */
static bool is_replaced(uint32_t function)
{
	return function == CPUID_TOPOLOGY || function == CPUID_TOPOLOGY_V2 ||
	       function == CPUID_AMD_TOPOLOGY_V2;
}

int cpuid_build(const struct cpuid_config *config, const struct kvm_cpuid_entry2 *supported,
		unsigned int nr_supported, unsigned int cpu, struct kvm_cpuid_entry2 *out,
		unsigned int *nr_out)
{
	const struct kvm_cpuid_entry2 *vendor = find_leaf(supported, nr_supported, CPUID_VENDOR);
	uint32_t greatest = vendor ? vendor->eax : 0;
	bool amd = is_amd(supported, nr_supported);
	struct topology t = topology_of(config, cpu);
	struct table table = { .out = out };
	int err = 0;

	for (unsigned int i = 0; i < nr_supported; i++) {
		struct kvm_cpuid_entry2 *e;

		if (is_replaced(supported[i].function))
			continue;
		e = table_add(&table);
		if (!e)
			return -E2BIG;
		*e = supported[i];
		if (e->function == CPUID_FEATURES)
			set_features(config, &t, e);
		else if (e->function == CPUID_CACHE || e->function == CPUID_AMD_CACHE)
			set_cache(&t, e);
		else if (e->function == CPUID_ADDRESS_SIZES && amd)
			set_address_sizes(&t, e);
		else if (e->function == CPUID_AMD_TOPOLOGY && amd)
			set_amd_topology(&t, e);
	}
	if (greatest >= CPUID_TOPOLOGY)
		err = add_topology(&t, CPUID_TOPOLOGY, &table);
	if (!err && greatest >= CPUID_TOPOLOGY_V2)
		err = add_topology(&t, CPUID_TOPOLOGY_V2, &table);
	if (err)
		return err;
	*nr_out = table.nr;
	return 0;
}

unsigned int cpuid_phys_bits(const struct kvm_cpuid_entry2 *entries, unsigned int nr)
{
	const struct kvm_cpuid_entry2 *e = find_leaf(entries, nr, CPUID_ADDRESS_SIZES);
	unsigned int phys, mapped;

	if (!e)
		return PHYS_BITS_DEFAULT;
	phys = FIELD_GET(CPUID_SIZES_EAX_PHYS, e->eax);
	/* Two-dimensional paging with four levels reaches less than a 52-bit CPU names. */
	mapped = FIELD_GET(CPUID_SIZES_EAX_GUEST_PHYS, e->eax);
	if (mapped && mapped < phys)
		phys = mapped;
	return phys >= 32 && phys <= 52 ? phys : PHYS_BITS_DEFAULT;
}
