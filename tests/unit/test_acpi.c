// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ACPI tables, walked as a guest walks them; and each of them taken apart and compiled again by
 * iasl, which has an opinion on everything.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bits.h"
#include "base/endian.h"
#include "machine/x86/acpi.h"
#include "machine/x86/layout.h"

#define CPUS_MAX 512

struct made {
	struct acpi_config config;
	struct acpi_blob blob;
	uint32_t ids[CPUS_MAX];
};

static void make(struct made *made, unsigned int nr_cpus)
{
	for (unsigned int i = 0; i < nr_cpus; i++)
		made->ids[i] = i;
	made->config = (struct acpi_config){
		.nr_cpus = nr_cpus,
		.apic_ids = made->ids,
		.ioapic_id = 0,
		.bus_last = 255,
		.nr_windows = 3,
		.windows = { range_of(LAYOUT_MMIO32_LOW, LAYOUT_MMIO32_LOW_SIZE),
			     range_of(LAYOUT_MMIO32_HIGH, LAYOUT_MMIO32_HIGH_SIZE),
			     range_of(1ull << 45, 1ull << 45) },
		.serial = true,
		.rtc = true,
		.pvpanic = true,
		.pit = true,
	};
	assert_int_equal(acpi_build(&made->config, &made->blob, NULL), 0);
}

static uint8_t *at(const struct made *made, uint64_t addr)
{
	assert_in_range(addr, LAYOUT_ACPI, LAYOUT_ACPI + made->blob.len - 1);
	return made->blob.data + (addr - LAYOUT_ACPI);
}

static unsigned int sum(const uint8_t *p, size_t len)
{
	uint8_t total = 0;

	while (len--)
		total = (uint8_t)(total + *p++);
	return total;
}

static size_t length(const uint8_t *table)
{
	return le_load(table + 4, 4);
}

/* Through RSDP and XSDT; FACS and DSDT through the FADT. */
static uint8_t *find(const struct made *made, const char *signature)
{
	uint8_t *xsdt = at(made, le_load(at(made, made->blob.rsdp.v) + 24, 8));

	for (size_t i = 36; i < length(xsdt); i += 8) {
		uint8_t *table = at(made, le_load(xsdt + i, 8));

		if (!memcmp(table, signature, 4))
			return table;
		if (memcmp(table, "FACP", 4))
			continue;
		if (!strcmp(signature, "DSDT"))
			return at(made, le_load(table + 140, 8));
		if (!strcmp(signature, "FACS"))
			return at(made, le_load(table + 36, 4));
	}
	return NULL;
}

static void the_guest_finds_every_table_and_checksums_are_right(void **state)
{
	static const char *const names[] = { "FACP", "APIC", "MCFG", "DSDT" };
	struct made made;
	uint8_t *rsdp;

	make(&made, 4);
	rsdp = at(&made, made.blob.rsdp.v);
	assert_memory_equal(rsdp, "RSD PTR ", 8);
	assert_int_equal(made.blob.rsdp.v % 16, 0);
	assert_int_equal(sum(rsdp, 20), 0);
	assert_int_equal(sum(rsdp, 36), 0);
	assert_int_equal(
		sum(at(&made, le_load(rsdp + 24, 8)), length(at(&made, le_load(rsdp + 24, 8)))), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		uint8_t *table = find(&made, names[i]);

		assert_non_null(table);
		assert_int_equal(sum(table, length(table)), 0);
	}
	assert_int_equal((find(&made, "FACS") - made.blob.data) % 64, 0);
	assert_memory_equal(find(&made, "FACS"), "FACS", 4);
	acpi_blob_fini(&made.blob);
}

static void the_fadt_says_acpi_mode_is_on_and_how_to_reset(void **state)
{
	struct made made;
	uint8_t *fadt;

	make(&made, 1);
	fadt = find(&made, "FACP");
	assert_int_equal(length(fadt), 276);
	assert_int_equal(le_load(fadt + 46, 2), LAYOUT_IRQ_SCI);
	assert_int_equal(le_load(fadt + 48, 4), 0); /* SMI_CMD */
	assert_int_equal(le_load(fadt + 56, 4), LAYOUT_PORT_PM1A_EVT);
	assert_int_equal(le_load(fadt + 152, 8), LAYOUT_PORT_PM1A_EVT);
	assert_int_equal(le_load(fadt + 64, 4), LAYOUT_PORT_PM1A_CNT);
	assert_int_equal(le_load(fadt + 76, 4), LAYOUT_PORT_PM_TIMER);
	assert_int_equal(le_load(fadt + 120, 8), LAYOUT_PORT_RESET);
	assert_int_equal(fadt[128], LAYOUT_RESET_VALUE);
	assert_true(le_load(fadt + 112, 4) & BIT(10));	/* reset register */
	assert_false(le_load(fadt + 112, 4) & BIT(4));	/* power button is a fixed event */
	assert_false(le_load(fadt + 112, 4) & BIT(20)); /* not hardware-reduced */
	assert_false(le_load(fadt + 109, 2) & BIT(1));	/* no i8042 */
	assert_true(le_load(fadt + 109, 2) & BIT(2));	/* no VGA */
	acpi_blob_fini(&made.blob);
}

/* Entries of one type; *last is the last of them. */
static unsigned int madt_count(const uint8_t *madt, unsigned int type, const uint8_t **last)
{
	unsigned int nr = 0;

	for (size_t i = 44; i < length(madt); i += madt[i + 1]) {
		assert_true(madt[i + 1] >= 2);
		if (madt[i] != type)
			continue;
		nr++;
		if (last)
			*last = madt + i;
	}
	return nr;
}

static void the_madt_has_no_8259_and_a_level_sci(void **state)
{
	const uint8_t *madt, *entry = NULL;
	struct made made;

	make(&made, 4);
	madt = find(&made, "APIC");
	assert_int_equal(le_load(madt + 40, 4), 0);
	assert_int_equal(madt_count(madt, 0, &entry), 4);
	assert_int_equal(entry[3], 3);
	assert_int_equal(madt_count(madt, 1, &entry), 1);
	assert_int_equal(le_load(entry + 4, 4), LAYOUT_IOAPIC);
	assert_int_equal(madt_count(madt, 2, &entry), 2);
	assert_int_equal(entry[3], LAYOUT_IRQ_SCI);
	assert_int_equal(le_load(entry + 4, 4), LAYOUT_IRQ_SCI);
	assert_int_equal(le_load(entry + 8, 2), 0xd);
	assert_int_equal(madt_count(madt, 9, NULL), 0);
	acpi_blob_fini(&made.blob);
}

static void processors_past_254_get_x2apic_entries(void **state)
{
	const uint8_t *madt, *entry = NULL;
	struct made made;

	make(&made, 300);
	madt = find(&made, "APIC");
	assert_int_equal(madt_count(madt, 0, &entry), 255);
	assert_int_equal(entry[3], 254);
	assert_int_equal(madt_count(madt, 9, &entry), 45);
	assert_int_equal(le_load(entry + 4, 4), 299);
	assert_int_equal(le_load(entry + 12, 4), 299);
	assert_int_equal(madt_count(madt, 10, NULL), 1);
	acpi_blob_fini(&made.blob);
}

static void extra_tables_are_listed_with_length_and_checksum_filled_in(void **state)
{
	uint8_t dmar[48] = "DMAR";
	struct made made;
	uint8_t *table;

	make(&made, 1);
	acpi_blob_fini(&made.blob);
	made.config.nr_extra = 1;
	made.config.extra[0] = (struct acpi_table){ dmar, sizeof(dmar) };
	assert_int_equal(acpi_build(&made.config, &made.blob, NULL), 0);
	table = find(&made, "DMAR");
	assert_non_null(table);
	assert_int_equal(length(table), sizeof(dmar));
	assert_int_equal(sum(table, sizeof(dmar)), 0);
	acpi_blob_fini(&made.blob);
}

static void tables_that_do_not_fit_are_refused(void **state)
{
	static uint8_t big[LAYOUT_ACPI_SIZE];
	struct diag diag = DIAG_INIT;
	struct made made;

	make(&made, 1);
	acpi_blob_fini(&made.blob);
	made.config.nr_extra = 1;
	made.config.extra[0] = (struct acpi_table){ big, sizeof(big) };
	assert_int_equal(acpi_build(&made.config, &made.blob, &diag), -E2BIG);
	assert_non_null(strstr(diag.reason, "128 KiB"));
}

static void write_file(const char *path, const void *data, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static const struct dmar_config dmar_all = {
	.base = LAYOUT_VTD,
	.haw = 46,
	.intremap = true,
	.all = true,
	.ats = true,
	.nr_scopes = 1,
	.scopes[0] = { DMAR_SCOPE_IOAPIC, 0, LAYOUT_IOAPIC_BUS, LAYOUT_IOAPIC_DEVFN },
};

static const struct dmar_config dmar_some = {
	.base = LAYOUT_VTD,
	.haw = 39,
	.intremap = true,
	.no_x2apic = true,
	.opt_in = true,
	.nr_scopes = 3,
	.scopes = { { DMAR_SCOPE_IOAPIC, 0, LAYOUT_IOAPIC_BUS, LAYOUT_IOAPIC_DEVFN },
		    { DMAR_SCOPE_ENDPOINT, 0, 0, PCI_DEVFN(3, 0) },
		    { DMAR_SCOPE_BRIDGE, 0, 0, PCI_DEVFN(4, 1) } },
};

static void make_dmar(struct made *made, const struct dmar_config *dmar)
{
	make(made, 1);
	acpi_blob_fini(&made->blob);
	made->config.dmar = dmar;
	assert_int_equal(acpi_build(&made->config, &made->blob, NULL), 0);
}

static void the_dmar_names_the_unit_and_what_is_behind_it(void **state)
{
	struct made made;
	uint8_t *dmar;

	make(&made, 1);
	assert_null(find(&made, "DMAR"));
	acpi_blob_fini(&made.blob);

	make_dmar(&made, &dmar_all);
	dmar = find(&made, "DMAR");
	assert_non_null(dmar);
	assert_int_equal(sum(dmar, length(dmar)), 0);
	assert_int_equal(dmar[36], 45);
	assert_int_equal(dmar[37], 1); /* interrupt remapping */
	/* DRHD: type, length, everything, base; then the I/O APIC. */
	assert_int_equal(le_load(dmar + 48, 2), 0);
	assert_int_equal(le_load(dmar + 50, 2), 24);
	assert_int_equal(dmar[52], 1);
	assert_int_equal(le_load(dmar + 56, 8), LAYOUT_VTD);
	assert_int_equal(dmar[64], 3);
	assert_int_equal(dmar[69], 0xf0);
	assert_int_equal(dmar[70], 0x1f);
	assert_int_equal(dmar[71], 7);
	/* ATSR: all ports. */
	assert_int_equal(le_load(dmar + 72, 2), 2);
	assert_int_equal(dmar[76], 1);
	assert_int_equal(length(dmar), 80);
	acpi_blob_fini(&made.blob);

	make_dmar(&made, &dmar_some);
	dmar = find(&made, "DMAR");
	assert_int_equal(dmar[37], 1 | 2 | 4);
	assert_int_equal(dmar[52], 0);
	assert_int_equal(le_load(dmar + 50, 2), 40);
	assert_int_equal(dmar[72], 1);
	assert_int_equal(dmar[78], 3);
	assert_int_equal(dmar[80], 2);
	assert_int_equal(dmar[86], 4);
	assert_int_equal(dmar[87], 1);
	assert_int_equal(length(dmar), 88);
	acpi_blob_fini(&made.blob);
}

/* Two nodes: 300 CPUs, 3 GiB on the first, 1 GiB below the hole and 2 above it on the second. */
static const struct assign_placement two_nodes = {
	.nr_nodes = 2,
	.nodes = { { .node = 4, .first = 0, .nr = 2, .ram = 2ull << 30 },
		   { .node = 6, .first = 2, .nr = 298, .ram = 3ull << 30 } },
	.distance = { { 10, 21 }, { 21, 10 } },
	.device_node = 1,
};

static void make_nodes(struct made *made)
{
	struct srat_config srat = {
		.placement = &two_nodes,
		.nr_cpus = 300,
		.apic_ids = made->ids,
		.nr_regions = 2,
		.regions = { range_of(0, RAM_HOLE), range_of(RAM_HIGH, 2ull << 30) },
	};

	make(made, 300);
	acpi_blob_fini(&made->blob);
	made->config.srat = &srat;
	assert_int_equal(acpi_build(&made->config, &made->blob, NULL), 0);
	made->config.srat = NULL;
}

static void the_guests_nodes_have_their_cpus_and_memory_on_both_sides_of_the_hole(void **state)
{
	static const struct {
		unsigned int node;
		uint64_t at, len;
	} memory[] = { { 0, 0, 2ull << 30 },
		       { 1, 2ull << 30, 1ull << 30 },
		       { 1, RAM_HIGH, 2ull << 30 } };
	unsigned int nr_memory = 0, nr_cpus = 0;
	struct made made;
	uint8_t *srat, *slit;

	make_nodes(&made);
	srat = find(&made, "SRAT");
	slit = find(&made, "SLIT");
	assert_int_equal(sum(srat, length(srat)), 0);
	for (const uint8_t *p = srat + 48; p < srat + length(srat); p += p[1]) {
		switch (p[0]) {
		case 0:
			assert_int_equal(p[2], p[3] >= 2);
			assert_int_equal(le_load(p + 4, 4), 1);
			nr_cpus++;
			break;
		case 1:
			assert_true(nr_memory < ARRAY_SIZE(memory));
			assert_int_equal(le_load(p + 2, 4), memory[nr_memory].node);
			assert_int_equal(le_load(p + 8, 8), memory[nr_memory].at);
			assert_int_equal(le_load(p + 16, 8), memory[nr_memory].len);
			assert_int_equal(le_load(p + 28, 4), 1);
			nr_memory++;
			break;
		default:
			/* Those that a byte cannot name. */
			assert_int_equal(p[0], 2);
			assert_int_equal(le_load(p + 4, 4), 1);
			assert_true(le_load(p + 8, 4) >= 255);
			nr_cpus++;
		}
	}
	assert_int_equal(nr_cpus, 300);
	assert_int_equal(nr_memory, 3);
	assert_int_equal(sum(slit, length(slit)), 0);
	assert_int_equal(le_load(slit + 36, 8), 2);
	assert_memory_equal(slit + 44, "\x0a\x15\x15\x0a", 4);
	acpi_blob_fini(&made.blob);
	/* One node: nothing is said. */
	make(&made, 1);
	assert_null(find(&made, "SRAT"));
	assert_null(find(&made, "SLIT"));
	acpi_blob_fini(&made.blob);
}

/* iasl's last word must be that it found nothing; "text" must stand in what it took apart. */
static void iasl_agrees(const char *folder, const uint8_t *table, const char *text)
{
	char name[5] = { 0 }, path[128], command[512], line[1024];
	bool clean = false, found = !text;
	FILE *f;

	memcpy(name, table, 4);
	snprintf(path, sizeof(path), "%s/%s.aml", folder, name);
	write_file(path, table, length(table));
	snprintf(command, sizeof(command),
		 "cd %s && iasl -d %s.aml >log 2>&1 && iasl -p out-%s %s.dsl >>log 2>&1;"
		 " cat log; cat %s.dsl",
		 folder, name, name, name, name);
	f = popen(command, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (strstr(line, "0 Errors, 0 Warnings, 0 Remarks"))
			clean = true;
		if (text && strstr(line, text))
			found = true;
		if (strstr(line, "Error ") || strstr(line, "Warning ") || strstr(line, "Invalid"))
			print_message("iasl on %s: %s", name, line);
	}
	pclose(f);
	assert_true(clean);
	assert_true(found);
}

static void iasl_has_nothing_to_say_against_any_table(void **state)
{
	static const unsigned int sizes[] = { 1, 4, 300 };
	char folder[] = "/tmp/airlock-acpi-XXXXXX", command[128];
	struct made made;

	if (system("command -v iasl >/dev/null 2>&1")) {
		print_message("no iasl on this machine: skipped\n");
		skip();
	}
	assert_non_null(mkdtemp(folder));
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		make(&made, sizes[i]);
		iasl_agrees(folder, find(&made, "DSDT"), "Method (_OSC, 4, NotSerialized)");
		iasl_agrees(folder, find(&made, "DSDT"), "Memory32Fixed (ReadWrite,");
		iasl_agrees(folder, find(&made, "DSDT"), "PNP0A08");
		iasl_agrees(folder, find(&made, "DSDT"), "33db4d5b-1ff7-401c-9657-7441c03dd766");
		iasl_agrees(folder, find(&made, "FACP"), "Reset Register");
		iasl_agrees(folder, find(&made, "APIC"), "I/O APIC");
		iasl_agrees(folder, find(&made, "MCFG"), "Base Address : 00000000E0000000");
		iasl_agrees(folder, find(&made, "FACS"), NULL);
		acpi_blob_fini(&made.blob);
	}
	make_dmar(&made, &dmar_all);
	iasl_agrees(folder, find(&made, "DMAR"), "Register Base Address : 00000000FED90000");
	iasl_agrees(folder, find(&made, "DMAR"), "[Root Port ATS Capability]");
	acpi_blob_fini(&made.blob);
	make_dmar(&made, &dmar_some);
	iasl_agrees(folder, find(&made, "DMAR"), "PCI Bridge Device");
	acpi_blob_fini(&made.blob);
	make_nodes(&made);
	iasl_agrees(folder, find(&made, "SRAT"), "Base Address : 0000000100000000");
	iasl_agrees(folder, find(&made, "SLIT"), "Localities : 0000000000000002");
	iasl_agrees(folder, find(&made, "DSDT"), "_PXM");
	acpi_blob_fini(&made.blob);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_guest_finds_every_table_and_checksums_are_right),
		cmocka_unit_test(the_fadt_says_acpi_mode_is_on_and_how_to_reset),
		cmocka_unit_test(the_dmar_names_the_unit_and_what_is_behind_it),
		cmocka_unit_test(the_madt_has_no_8259_and_a_level_sci),
		cmocka_unit_test(processors_past_254_get_x2apic_entries),
		cmocka_unit_test(extra_tables_are_listed_with_length_and_checksum_filled_in),
		cmocka_unit_test(tables_that_do_not_fit_are_refused),
		cmocka_unit_test(
			the_guests_nodes_have_their_cpus_and_memory_on_both_sides_of_the_hole),
		cmocka_unit_test(iasl_has_nothing_to_say_against_any_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
