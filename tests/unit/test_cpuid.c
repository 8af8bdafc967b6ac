// SPDX-License-Identifier: GPL-2.0-or-later
/* What vCPUs say of themselves, and the registers the boot vCPU starts with. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bits.h"
#include "machine/x86/cpu_state.h"
#include "machine/x86/cpuid.h"

/* A host with more cores than any guest here: every number of it must be gone from the table. */
static const struct kvm_cpuid_entry2 intel[] = {
	{ .function = 0, .eax = 0x1f, .ebx = 0x756e6547, .edx = 0x49656e69, .ecx = 0x6c65746e },
	{ .function = 1, .eax = 0x806f8, .ebx = 0x77400800, .ecx = BIT(27), .edx = BIT(28) | 1 },
	{ .function = 4, .index = 0, .flags = 1, .eax = 0xfc1fc121, .ebx = 0x1 },
	{ .function = 4, .index = 1, .flags = 1, .eax = 0xfc1fc143 },
	{ .function = 4, .index = 2, .flags = 1, .eax = 0xfc1fc163 },
	{ .function = 4, .index = 3, .flags = 1, .eax = 0 },
	{ .function = 7, .index = 0, .flags = 1, .ebx = 0x12345678 },
	{ .function = 0xb, .index = 0, .flags = 1, .eax = 1, .ebx = 2, .ecx = 0x100, .edx = 0x77 },
	{ .function = 0xb, .index = 1, .flags = 1, .eax = 7, .ebx = 99, .ecx = 0x201, .edx = 0x77 },
	{ .function = 0x1f, .index = 0, .flags = 1, .edx = 0x77 },
	{ .function = 0x40000000, .eax = 0x40000001, .ebx = 0x4b4d564b },
	{ .function = 0x80000007, .edx = BIT(8) },
	{ .function = 0x80000008, .eax = 0x302e },
};

static const struct kvm_cpuid_entry2 amd[] = {
	{ .function = 0, .eax = 0x10, .ebx = 0x68747541, .edx = 0x69746e65, .ecx = 0x444d4163 },
	{ .function = 1, .ebx = 0x77400800 },
	{ .function = 0x80000008, .eax = 0x303030, .ecx = 0x703f },
	{ .function = 0x8000001d, .index = 0, .flags = 1, .eax = 0x4121 },
	{ .function = 0x8000001d, .index = 3, .flags = 1, .eax = 0x3c163 },
	{ .function = 0x8000001e, .eax = 0x77, .ebx = 0x133, .ecx = 0x1 },
	{ .function = 0x80000026, .index = 0, .flags = 1, .edx = 0x77 },
};

struct made {
	struct kvm_cpuid_entry2 entries[CPUID_ENTRIES_MAX];
	unsigned int nr;
};

static const struct kvm_cpuid_entry2 *leaf(const struct made *made, uint32_t function,
					   uint32_t index)
{
	for (unsigned int i = 0; i < made->nr; i++)
		if (made->entries[i].function == function && made->entries[i].index == index)
			return &made->entries[i];
	return NULL;
}

static void make_intel(struct made *made, struct cpuid_config config, unsigned int cpu)
{
	assert_int_equal(
		cpuid_build(&config, intel, ARRAY_SIZE(intel), cpu, made->entries, &made->nr), 0);
}

static void make_amd(struct made *made, struct cpuid_config config, unsigned int cpu)
{
	assert_int_equal(cpuid_build(&config, amd, ARRAY_SIZE(amd), cpu, made->entries, &made->nr),
			 0);
}

static void apic_ids_leave_whole_bits_to_thread_and_core(void **state)
{
	struct cpuid_config flat = { .nr_cpus = 5 };
	struct cpuid_config smt2 = { .nr_cpus = 6, .threads = 2 };
	struct cpuid_config smt3 = { .nr_cpus = 6, .threads = 3 };

	assert_int_equal(cpuid_apic_id(&flat, 0), 0);
	assert_int_equal(cpuid_apic_id(&flat, 4), 4);
	assert_int_equal(cpuid_apic_id(&smt2, 3), 3);
	assert_int_equal(cpuid_apic_id(&smt2, 5), 5);
	assert_int_equal(cpuid_apic_id(&smt3, 2), 2);
	assert_int_equal(cpuid_apic_id(&smt3, 3), 4);
	assert_int_equal(cpuid_apic_id(&smt3, 5), 6);
}

static void every_vcpu_sees_its_own_apic_id_everywhere(void **state)
{
	struct cpuid_config config = { .nr_cpus = 4, .threads = 2 };
	struct made made;

	for (unsigned int cpu = 0; cpu < 4; cpu++) {
		make_intel(&made, config, cpu);
		assert_int_equal(leaf(&made, 1, 0)->ebx >> 24, cpu);
		assert_int_equal(leaf(&made, 0xb, 0)->edx, cpu);
		assert_int_equal(leaf(&made, 0xb, 1)->edx, cpu);
		assert_int_equal(leaf(&made, 0xb, 2)->edx, cpu);
		assert_int_equal(leaf(&made, 0x1f, 1)->edx, cpu);
		make_amd(&made, config, cpu);
		assert_int_equal(leaf(&made, 0x8000001e, 0)->eax, cpu);
		assert_int_equal(leaf(&made, 0x8000001e, 0)->ebx, cpu / 2 | 1 << 8);
	}
}

static void topology_leaves_describe_the_guest_and_not_the_host(void **state)
{
	struct cpuid_config config = { .nr_cpus = 6, .threads = 2 };
	struct made made;

	make_intel(&made, config, 0);
	assert_int_equal(leaf(&made, 0xb, 0)->eax, 1);
	assert_int_equal(leaf(&made, 0xb, 0)->ebx, 2);
	assert_int_equal(leaf(&made, 0xb, 0)->ecx, 0x100);
	assert_int_equal(leaf(&made, 0xb, 1)->eax, 3);
	assert_int_equal(leaf(&made, 0xb, 1)->ebx, 6);
	assert_int_equal(leaf(&made, 0xb, 1)->ecx, 0x201);
	assert_int_equal(leaf(&made, 0xb, 2)->ecx, 2);
	assert_int_equal(leaf(&made, 0xb, 2)->ebx, 0);
	assert_int_equal(leaf(&made, 1, 0)->ebx >> 16 & 0xff, 8);
	/* Inner caches: 2 ids; third level: 8; cores: 4 ids. Type and level stay. */
	assert_int_equal(leaf(&made, 4, 0)->eax, 3u << 26 | 1 << 14 | 0x121);
	assert_int_equal(leaf(&made, 4, 1)->eax, 3u << 26 | 1 << 14 | 0x143);
	assert_int_equal(leaf(&made, 4, 2)->eax, 3u << 26 | 7 << 14 | 0x163);
	assert_int_equal(leaf(&made, 4, 3)->eax, 0);
	assert_int_equal(leaf(&made, 0x80000008, 0)->ecx, 0);

	make_amd(&made, config, 0);
	assert_int_equal(leaf(&made, 0x80000008, 0)->ecx, 3 << 12 | 5);
	assert_int_equal(leaf(&made, 0x8000001d, 0)->eax, 1 << 14 | 0x121);
	assert_int_equal(leaf(&made, 0x8000001d, 3)->eax, 7 << 14 | 0x163);
	assert_null(leaf(&made, 0x80000026, 0));
	assert_null(leaf(&made, 0x1f, 0));
	assert_non_null(leaf(&made, 0xb, 2));
}

static void a_lone_vcpu_has_no_siblings(void **state)
{
	struct cpuid_config config = { .nr_cpus = 1 };
	struct made made;

	make_intel(&made, config, 0);
	assert_false(leaf(&made, 1, 0)->edx & BIT(28));
	assert_int_equal(leaf(&made, 1, 0)->ebx >> 16 & 0xff, 1);
	assert_int_equal(leaf(&made, 4, 2)->eax, 0x163);
	assert_int_equal(leaf(&made, 0xb, 1)->eax, 0);
}

static void features_of_a_vm_are_set_and_the_tsc_deadline_only_if_the_kernel_has_it(void **state)
{
	struct cpuid_config config = { .nr_cpus = 2 };
	struct made made;
	uint32_t ecx;

	make_intel(&made, config, 0);
	ecx = leaf(&made, 1, 0)->ecx;
	assert_true(ecx & BIT(31));
	assert_true(ecx & BIT(21));
	assert_false(ecx & BIT(24));
	assert_false(ecx & BIT(27));
	config.tsc_deadline = true;
	make_intel(&made, config, 0);
	assert_true(leaf(&made, 1, 0)->ecx & BIT(24));
}

static void unknown_leaves_pass_unchanged(void **state)
{
	struct cpuid_config config = { .nr_cpus = 2 };
	struct made made;

	make_intel(&made, config, 1);
	assert_int_equal(leaf(&made, 7, 0)->ebx, 0x12345678);
	assert_int_equal(leaf(&made, 0x40000000, 0)->ebx, 0x4b4d564b);
	assert_int_equal(leaf(&made, 0x80000007, 0)->edx, BIT(8));
	make_amd(&made, config, 1);
	assert_null(leaf(&made, 0x80000007, 0));
}

static void ids_past_eight_bits_are_whole_in_the_x2apic_leaf(void **state)
{
	struct cpuid_config config = { .nr_cpus = 300 };
	struct made made;

	make_intel(&made, config, 299);
	assert_int_equal(leaf(&made, 0xb, 1)->edx, 299);
	assert_int_equal(leaf(&made, 0xb, 1)->eax, 9);
	assert_int_equal(leaf(&made, 1, 0)->ebx >> 24, 299 & 0xff);
	assert_int_equal(leaf(&made, 1, 0)->ebx >> 16 & 0xff, 255);
}

static void a_list_that_does_not_fit_is_refused(void **state)
{
	struct kvm_cpuid_entry2 many[CPUID_ENTRIES_MAX + 1] = { 0 };
	struct cpuid_config config = { .nr_cpus = 1 };
	struct made made;

	many[0].eax = 0xb;
	for (uint32_t i = 1; i < ARRAY_SIZE(many); i++)
		many[i].function = 0x50000000;
	assert_int_equal(cpuid_build(&config, many, CPUID_ENTRIES_MAX + 1, 0, made.entries,
				     &made.nr),
			 -E2BIG);
	assert_int_equal(cpuid_build(&config, many, CPUID_ENTRIES_MAX, 0, made.entries, &made.nr),
			 -E2BIG);
	assert_int_equal(
		cpuid_build(&config, many, CPUID_ENTRIES_MAX - 3, 0, made.entries, &made.nr), 0);
	assert_int_equal(made.nr, CPUID_ENTRIES_MAX);
}

static void physical_width_is_what_can_be_mapped(void **state)
{
	struct kvm_cpuid_entry2 e = { .function = 0x80000008 };

	assert_int_equal(cpuid_phys_bits(intel, ARRAY_SIZE(intel)), 46);
	e.eax = 0x300034; /* 52 named, 48 mappable */
	assert_int_equal(cpuid_phys_bits(&e, 1), 48);
	e.eax = 0x340030;
	assert_int_equal(cpuid_phys_bits(&e, 1), 48);
	e.eax = 0xff;
	assert_int_equal(cpuid_phys_bits(&e, 1), 36);
	assert_int_equal(cpuid_phys_bits(NULL, 0), 36);
}

static void the_64_bit_entry_is_in_long_mode_with_caches_on(void **state)
{
	struct boot_entry entry = {
		.mode = BOOT_MODE_LONG64,
		.rip = 0x1000200,
		.rsi = 0x7000,
		.gdt = gpa(0x500),
		.gdt_limit = 39,
		.page_tables = gpa(0x9000),
	};
	struct kvm_sregs sregs = { .cr0 = 0x60000010, .apic_base = 0xfee00900 };
	struct kvm_regs regs;

	cpu_state_enter(&entry, &regs, &sregs);
	assert_int_equal(regs.rip, 0x1000200);
	assert_int_equal(regs.rsi, 0x7000);
	assert_int_equal(regs.rflags, 2);
	assert_int_equal(sregs.cr0, 0x80000031);
	assert_int_equal(sregs.cr3, 0x9000);
	assert_int_equal(sregs.cr4, 0x20);
	assert_int_equal(sregs.efer, 0x500);
	assert_int_equal(sregs.cs.selector, 0x10);
	assert_int_equal(sregs.cs.l, 1);
	assert_int_equal(sregs.cs.db, 0);
	assert_int_equal(sregs.ds.selector, 0x18);
	assert_int_equal(sregs.gdt.base, 0x500);
	assert_int_equal(sregs.apic_base, 0xfee00900);
}

static void the_32_bit_entry_is_flat_with_paging_off(void **state)
{
	struct boot_entry entry = {
		.mode = BOOT_MODE_PROTECTED32,
		.rip = 0x100000,
		.rax = 0x2badb002,
		.rbx = 0x6000,
		.page_tables = gpa(0x9000),
	};
	struct kvm_sregs sregs = { .cr0 = 0x60000010, .cr4 = 0xff, .efer = 0x500, .cr3 = 5 };
	struct kvm_regs regs;

	cpu_state_enter(&entry, &regs, &sregs);
	assert_int_equal(regs.rax, 0x2badb002);
	assert_int_equal(regs.rbx, 0x6000);
	assert_int_equal(sregs.cr0, 0x11);
	assert_int_equal(sregs.cr3, 0);
	assert_int_equal(sregs.cr4, 0);
	assert_int_equal(sregs.efer, 0);
	assert_int_equal(sregs.cs.l, 0);
	assert_int_equal(sregs.cs.db, 1);
	assert_int_equal(sregs.cs.limit, 0xffffffff);
	assert_int_equal(sregs.ss.limit, 0xffffffff);
	assert_int_equal(sregs.tr.type, 0xb);
	assert_int_equal(sregs.tr.limit, 0x67);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(apic_ids_leave_whole_bits_to_thread_and_core),
		cmocka_unit_test(every_vcpu_sees_its_own_apic_id_everywhere),
		cmocka_unit_test(topology_leaves_describe_the_guest_and_not_the_host),
		cmocka_unit_test(a_lone_vcpu_has_no_siblings),
		cmocka_unit_test(
			features_of_a_vm_are_set_and_the_tsc_deadline_only_if_the_kernel_has_it),
		cmocka_unit_test(unknown_leaves_pass_unchanged),
		cmocka_unit_test(ids_past_eight_bits_are_whole_in_the_x2apic_leaf),
		cmocka_unit_test(a_list_that_does_not_fit_is_refused),
		cmocka_unit_test(physical_width_is_what_can_be_mapped),
		cmocka_unit_test(the_64_bit_entry_is_in_long_mode_with_caches_on),
		cmocka_unit_test(the_32_bit_entry_is_flat_with_paging_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
