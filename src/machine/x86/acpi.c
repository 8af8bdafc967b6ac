// SPDX-License-Identifier: GPL-2.0-or-later
/* Section numbers are those of the ACPI specification 6.4. */
#include "machine/x86/acpi.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/endian.h"
#include "machine/x86/aml.h"
#include "machine/x86/layout.h"

#define TABLE_ALIGN 16
#define RSDP_SIZE   36
#define FACS_AT	    64 /* 5.2.10: aligned on 64 bytes */
#define FACS_SIZE   64
#define TABLES_AT   (FACS_AT + FACS_SIZE)

/* 5.2.9, FADT. */
#define FADT_REVISION	     6
#define FADT_MINOR	     4
#define FADT_SIZE	     276
#define FADT_FACS	     36
#define FADT_DSDT	     40
#define FADT_SCI_INT	     46
#define FADT_PM1A_EVT	     56
#define FADT_PM1A_CNT	     64
#define FADT_PM_TMR	     76
#define FADT_PM1_EVT_LEN     88
#define FADT_PM1_CNT_LEN     89
#define FADT_PM_TMR_LEN	     91
#define FADT_P_LVL2_LAT	     96
#define FADT_P_LVL3_LAT	     98
#define FADT_LAT_NONE	     0xfff /* beyond the maximum: no such state */
#define FADT_CENTURY	     108
#define FADT_CENTURY_RTC     0x32
#define FADT_BOOT_ARCH	     109
#define FADT_BOOT_LEGACY     BIT(0) /* devices on the legacy bus: COM1, RTC */
#define FADT_BOOT_NO_VGA     BIT(2)
#define FADT_BOOT_NO_ASPM    BIT(4)
#define FADT_BOOT_NO_RTC     BIT(5)
#define FADT_FLAGS	     112
#define FADT_WBINVD	     BIT(0)
#define FADT_PROC_C1	     BIT(2)
#define FADT_NO_SLEEP_BUTTON BIT(5) /* the power button's bit stays 0: a fixed event */
#define FADT_NO_FIXED_RTC    BIT(6)
#define FADT_TIMER_32_BIT    BIT(8)
#define FADT_RESET_REG	     BIT(10)
#define FADT_RESET_REG_AT    116
#define FADT_RESET_VALUE     128
#define FADT_MINOR_AT	     131
#define FADT_X_DSDT	     140
#define FADT_X_PM1A_EVT	     148
#define FADT_X_PM1A_CNT	     172
#define FADT_X_PM_TMR	     208

/* 5.2.12, MADT. */
#define MADT_REVISION	 5
#define MADT_LAPIC	 0
#define MADT_IOAPIC	 1
#define MADT_OVERRIDE	 2
#define MADT_LAPIC_NMI	 4
#define MADT_X2APIC	 9
#define MADT_X2APIC_NMI	 10
#define MADT_ENABLED	 BIT(0)
#define MADT_ACTIVE_HIGH 0x1
#define MADT_LEVEL	 0xc
/* 0xff addresses all processors, so the last id of a plain entry is 0xfe. */
#define MADT_LAPIC_ID_MAX 0xfe

#define MCFG_REVISION	  1
#define DSDT_REVISION	  2

#define STA_PRESENT	  0xf /* 6.3.7: present, enabled, shown, working */
#define STA_HIDDEN	  0xb

/* PCI Firmware 3.3, 4.5: what _OSC grants of the control field. */
#define OSC_NATIVE_HOTPLUG   BIT(0)
#define OSC_PME		     BIT(2)
#define OSC_AER		     BIT(3)
#define OSC_EXPRESS_CAP	     BIT(4)
#define OSC_GRANTED	     (OSC_NATIVE_HOTPLUG | OSC_PME | OSC_AER | OSC_EXPRESS_CAP)
#define OSC_UUID_UNKNOWN     BIT(2)
#define OSC_REVISION_UNKNOWN BIT(3)
#define OSC_MASKED	     BIT(4)

struct header {
	char signature[4];
	le32 length;
	uint8_t revision, checksum;
	char oem_id[6], oem_table_id[8];
	le32 oem_revision;
	char creator[4];
	le32 creator_revision;
};
_Static_assert(sizeof(struct header) == 36, "ACPI table header");

/* Tables one behind the other, each where it will lie in the guest. */
struct builder {
	struct aml out; /* a byte buffer that grows and remembers errors */
	uint64_t xsdt[ACPI_EXTRA_MAX + 7];
	unsigned int nr_xsdt;
};

static uint8_t checksum(const uint8_t *p, size_t len)
{
	uint8_t sum = 0;

	while (len--)
		sum = (uint8_t)(sum + *p++);
	return (uint8_t)-sum;
}

static void put(struct builder *b, unsigned int bytes, uint64_t value)
{
	uint8_t buf[8];

	le_store(buf, bytes, value);
	aml_bytes(&b->out, buf, bytes);
}

static void put_zeroes(struct builder *b, size_t len)
{
	static const uint8_t zeroes[FADT_SIZE];

	aml_bytes(&b->out, zeroes, len);
}

static size_t table_begin(struct builder *b, const char *signature, uint8_t revision)
{
	struct header h = {
		.revision = revision,
		.oem_id = "AIRLCK",
		.oem_table_id = { 'A', 'I', 'R', 'L', 'O', 'C', 'K', ' ' },
		.oem_revision = le32_make(1),
		.creator = { 'A', 'L', 'C', 'K' },
		.creator_revision = le32_make(1),
	};
	size_t at;

	put_zeroes(b, align_up(b->out.len, TABLE_ALIGN) - b->out.len);
	at = b->out.len;
	memcpy(h.signature, signature, sizeof(h.signature));
	aml_bytes(&b->out, &h, sizeof(h));
	return at;
}

/* Fills in length and checksum. Returns where the table lies in the guest. */
static uint64_t table_end(struct builder *b, size_t at)
{
	struct header *h;

	if (!b->out.err) {
		h = (void *)(b->out.data + at);
		h->length = le32_make((uint32_t)(b->out.len - at));
		h->checksum = 0;
		h->checksum = checksum(b->out.data + at, b->out.len - at);
	}
	return LAYOUT_ACPI + at;
}

static void list_in_xsdt(struct builder *b, uint64_t addr)
{
	b->xsdt[b->nr_xsdt++] = addr;
}

/* Generic address structure (5.2.3.2) of a port. */
static void set_port(uint8_t *at, uint16_t port, uint8_t bytes, uint8_t access)
{
	at[0] = 1; /* system I/O */
	at[1] = (uint8_t)(bytes * 8);
	at[3] = access; /* 1: byte, 2: word, 3: dword */
	le_store(at + 4, 8, port);
}

static void build_fadt(struct builder *b, const struct acpi_config *config, uint64_t dsdt)
{
	uint16_t boot = FADT_BOOT_LEGACY | FADT_BOOT_NO_VGA | FADT_BOOT_NO_ASPM;
	size_t at = table_begin(b, "FACP", FADT_REVISION);
	uint8_t *p;

	put_zeroes(b, FADT_SIZE - sizeof(struct header));
	if (b->out.err)
		return;
	if (!config->rtc)
		boot |= FADT_BOOT_NO_RTC;
	p = b->out.data + at;
	le_store(p + FADT_FACS, 4, LAYOUT_ACPI + FACS_AT);
	le_store(p + FADT_DSDT, 4, dsdt);
	le_store(p + FADT_X_DSDT, 8, dsdt);
	le_store(p + FADT_SCI_INT, 2, LAYOUT_IRQ_SCI);
	le_store(p + FADT_PM1A_EVT, 4, LAYOUT_PORT_PM1A_EVT);
	le_store(p + FADT_PM1A_CNT, 4, LAYOUT_PORT_PM1A_CNT);
	le_store(p + FADT_PM_TMR, 4, LAYOUT_PORT_PM_TIMER);
	p[FADT_PM1_EVT_LEN] = LAYOUT_PORT_PM1A_EVT_LEN;
	p[FADT_PM1_CNT_LEN] = LAYOUT_PORT_PM1A_CNT_LEN;
	p[FADT_PM_TMR_LEN] = LAYOUT_PORT_PM_TIMER_LEN;
	le_store(p + FADT_P_LVL2_LAT, 2, FADT_LAT_NONE);
	le_store(p + FADT_P_LVL3_LAT, 2, FADT_LAT_NONE);
	p[FADT_CENTURY] = config->rtc ? FADT_CENTURY_RTC : 0;
	le_store(p + FADT_BOOT_ARCH, 2, boot);
	le_store(p + FADT_FLAGS, 4,
		 FADT_WBINVD | FADT_PROC_C1 | FADT_NO_SLEEP_BUTTON | FADT_NO_FIXED_RTC |
			 FADT_TIMER_32_BIT | FADT_RESET_REG);
	set_port(p + FADT_RESET_REG_AT, LAYOUT_PORT_RESET, 1, 1);
	p[FADT_RESET_VALUE] = LAYOUT_RESET_VALUE;
	p[FADT_MINOR_AT] = FADT_MINOR;
	set_port(p + FADT_X_PM1A_EVT, LAYOUT_PORT_PM1A_EVT, LAYOUT_PORT_PM1A_EVT_LEN, 2);
	set_port(p + FADT_X_PM1A_CNT, LAYOUT_PORT_PM1A_CNT, LAYOUT_PORT_PM1A_CNT_LEN, 2);
	set_port(p + FADT_X_PM_TMR, LAYOUT_PORT_PM_TIMER, LAYOUT_PORT_PM_TIMER_LEN, 3);
	list_in_xsdt(b, table_end(b, at));
}

static void put_override(struct builder *b, uint8_t irq, uint32_t gsi, uint16_t flags)
{
	put(b, 1, MADT_OVERRIDE);
	put(b, 1, 10);
	put(b, 1, 0); /* ISA */
	put(b, 1, irq);
	put(b, 4, gsi);
	put(b, 2, flags);
}

static void build_madt(struct builder *b, const struct acpi_config *config)
{
	size_t at = table_begin(b, "APIC", MADT_REVISION);
	bool x2apic = false;

	put(b, 4, LAYOUT_LAPIC);
	put(b, 4, 0); /* flags: no 8259 */
	for (unsigned int i = 0; i < config->nr_cpus; i++) {
		uint32_t id = config->apic_ids[i];

		if (id <= MADT_LAPIC_ID_MAX && i <= MADT_LAPIC_ID_MAX) {
			put(b, 1, MADT_LAPIC);
			put(b, 1, 8);
			put(b, 1, i);
			put(b, 1, id);
			put(b, 4, MADT_ENABLED);
		} else {
			x2apic = true;
			put(b, 1, MADT_X2APIC);
			put(b, 1, 16);
			put(b, 2, 0);
			put(b, 4, id);
			put(b, 4, MADT_ENABLED);
			put(b, 4, i);
		}
	}
	put(b, 1, MADT_IOAPIC);
	put(b, 1, 12);
	put(b, 1, config->ioapic_id);
	put(b, 1, 0);
	put(b, 4, LAYOUT_IOAPIC);
	put(b, 4, 0); /* its first global system interrupt */
	if (config->pit)
		put_override(b, 0, LAYOUT_IRQ_PIT, 0);
	put_override(b, LAYOUT_IRQ_SCI, LAYOUT_IRQ_SCI, MADT_ACTIVE_HIGH | MADT_LEVEL);
	/* NMI on LINT1 of every processor. */
	put(b, 1, MADT_LAPIC_NMI);
	put(b, 1, 6);
	put(b, 1, 0xff);
	put(b, 2, 0);
	put(b, 1, 1);
	if (x2apic) {
		put(b, 1, MADT_X2APIC_NMI);
		put(b, 1, 12);
		put(b, 2, 0);
		put(b, 4, 0xffffffff);
		put(b, 1, 1);
		put(b, 3, 0);
	}
	list_in_xsdt(b, table_end(b, at));
}

static void build_mcfg(struct builder *b, const struct acpi_config *config)
{
	size_t at = table_begin(b, "MCFG", MCFG_REVISION);

	put(b, 8, 0);
	put(b, 8, LAYOUT_ECAM);
	put(b, 2, 0); /* segment */
	put(b, 1, config->bus_first);
	put(b, 1, config->bus_last);
	put(b, 4, 0);
	list_in_xsdt(b, table_end(b, at));
}

static void name_integer(struct aml *aml, const char *name, uint64_t value)
{
	aml_name(aml, name);
	aml_integer(aml, value);
}

static void dsdt_cpus(struct aml *aml, const struct acpi_config *config)
{
	static const char digits[] = "0123456789ABCDEF";

	for (unsigned int i = 0; i < config->nr_cpus; i++) {
		char name[5] = { 'C', digits[i >> 8 & 0xf], digits[i >> 4 & 0xf], digits[i & 0xf] };
		size_t device = aml_device(aml, name);

		aml_name(aml, "_HID");
		aml_string(aml, "ACPI0007");
		name_integer(aml, "_UID", i);
		aml_close(aml, device);
	}
}

/* A device with one range of ports and, if irq is not 0, an interrupt. */
static void dsdt_legacy(struct aml *aml, const char *name, const char *hid, unsigned int sta,
			uint16_t port, uint8_t len, unsigned int irq)
{
	size_t device = aml_device(aml, name);
	size_t crs;

	aml_name(aml, "_HID");
	if (strlen(hid) == 7)
		aml_eisa_id(aml, hid);
	else
		aml_string(aml, hid);
	name_integer(aml, "_UID", 0);
	name_integer(aml, "_STA", sta);
	aml_name(aml, "_CRS");
	crs = aml_resources(aml);
	aml_res_io(aml, port, len);
	if (irq)
		aml_res_irq(aml, irq);
	aml_resources_end(aml, crs);
	aml_close(aml, device);
}

/* ECAM belongs to the board and is no window of the bridge (PCI Firmware 3.3, 4.1.2). */
static void dsdt_ecam(struct aml *aml)
{
	size_t device = aml_device(aml, "ECAM");
	size_t crs;

	aml_name(aml, "_HID");
	aml_eisa_id(aml, "PNP0C02");
	name_integer(aml, "_UID", 0);
	aml_name(aml, "_CRS");
	crs = aml_resources(aml);
	aml_res_memory32(aml, (uint32_t)LAYOUT_ECAM, (uint32_t)LAYOUT_ECAM_SIZE);
	aml_resources_end(aml, crs);
	aml_close(aml, device);
}

/* 6.2.13: for each slot and pin of the root bus, the I/O APIC pin it is wired to. */
static void dsdt_prt(struct aml *aml)
{
	size_t table;

	aml_name(aml, "_PRT");
	table = aml_package(aml, 32 * LAYOUT_NR_INTX);
	for (unsigned int slot = 0; slot < 32; slot++) {
		for (unsigned int pin = 0; pin < LAYOUT_NR_INTX; pin++) {
			size_t entry = aml_package(aml, 4);

			aml_integer(aml, slot << 16 | 0xffff);
			aml_integer(aml, pin);
			aml_integer(aml, 0);
			aml_integer(aml, layout_intx_pin(slot, pin + 1));
			aml_close(aml, entry);
		}
	}
	aml_close(aml, table);
}

static void osc_or(struct aml *aml, unsigned int bits)
{
	aml_op_or(aml);
	aml_ref(aml, "CDW1");
	aml_integer(aml, bits);
	aml_ref(aml, "CDW1");
}

/* 6.2.11: the guest gets native control of hot-plug, PME, AER and the capability structure. */
static void dsdt_osc(struct aml *aml)
{
	/* 33db4d5b-1ff7-401c-9657-7441c03dd766 */
	static const uint8_t uuid[16] = { 0x5b, 0x4d, 0xdb, 0x33, 0xf7, 0x1f, 0x1c, 0x40,
					  0x96, 0x57, 0x74, 0x41, 0xc0, 0x3d, 0xd7, 0x66 };
	size_t method = aml_method(aml, "_OSC", 4);
	size_t body, inner;

	aml_op_dword_field(aml);
	aml_term(aml, AML_ARG3);
	aml_integer(aml, 0);
	aml_ref(aml, "CDW1");
	body = aml_if(aml);
	aml_op_equal(aml);
	aml_term(aml, AML_ARG0);
	aml_buffer(aml, uuid, sizeof(uuid));
	aml_op_dword_field(aml);
	aml_term(aml, AML_ARG3);
	aml_integer(aml, 8);
	aml_ref(aml, "CDW3");
	aml_op_and(aml);
	aml_ref(aml, "CDW3");
	aml_integer(aml, OSC_GRANTED);
	aml_term(aml, AML_LOCAL0);
	inner = aml_if(aml);
	aml_op_not(aml);
	aml_op_equal(aml);
	aml_term(aml, AML_ARG1);
	aml_integer(aml, 1);
	osc_or(aml, OSC_REVISION_UNKNOWN);
	aml_close(aml, inner);
	inner = aml_if(aml);
	aml_op_not(aml);
	aml_op_equal(aml);
	aml_ref(aml, "CDW3");
	aml_term(aml, AML_LOCAL0);
	osc_or(aml, OSC_MASKED);
	aml_close(aml, inner);
	aml_op_store(aml);
	aml_term(aml, AML_LOCAL0);
	aml_ref(aml, "CDW3");
	aml_close(aml, body);
	body = aml_else(aml);
	osc_or(aml, OSC_UUID_UNKNOWN);
	aml_close(aml, body);
	aml_op_return(aml);
	aml_term(aml, AML_ARG3);
	aml_close(aml, method);
}

static void dsdt_pci(struct aml *aml, const struct acpi_config *config)
{
	size_t device = aml_device(aml, "PCI0");
	size_t crs;

	aml_name(aml, "_HID");
	aml_eisa_id(aml, "PNP0A08");
	aml_name(aml, "_CID");
	aml_eisa_id(aml, "PNP0A03");
	name_integer(aml, "_UID", 0);
	name_integer(aml, "_SEG", 0);
	name_integer(aml, "_BBN", config->bus_first);
	/* 6.2.14: every device behind it is on this node. */
	if (config->srat && config->srat->placement->device_node >= 0)
		name_integer(aml, "_PXM", (uint64_t)config->srat->placement->device_node);
	aml_name(aml, "_CRS");
	crs = aml_resources(aml);
	aml_res_bus_window(aml, config->bus_first, config->bus_last);
	aml_res_io(aml, LAYOUT_PORT_PCI_ADDR, 8);
	aml_res_io_window(aml, LAYOUT_PCI_IO, LAYOUT_PCI_IO + LAYOUT_PCI_IO_SIZE - 1);
	for (unsigned int i = 0; i < config->nr_windows; i++)
		aml_res_memory_window(aml, config->windows[i]);
	aml_resources_end(aml, crs);
	dsdt_prt(aml);
	dsdt_osc(aml);
	aml_close(aml, device);
}

static uint64_t build_dsdt(struct builder *b, const struct acpi_config *config)
{
	size_t at = table_begin(b, "DSDT", DSDT_REVISION);
	struct aml *aml = &b->out;
	size_t scope, states;

	aml_name(aml, "\\_S5");
	states = aml_package(aml, 4);
	aml_integer(aml, LAYOUT_S5_SLP_TYP);
	aml_integer(aml, LAYOUT_S5_SLP_TYP);
	aml_integer(aml, 0);
	aml_integer(aml, 0);
	aml_close(aml, states);

	scope = aml_scope(aml, "\\_SB");
	dsdt_cpus(aml, config);
	dsdt_ecam(aml);
	dsdt_pci(aml, config);
	if (config->serial)
		dsdt_legacy(aml, "COM1", "PNP0501", STA_PRESENT, LAYOUT_PORT_COM1, 8,
			    LAYOUT_IRQ_COM1);
	if (config->rtc)
		dsdt_legacy(aml, "RTC", "PNP0B00", STA_PRESENT, LAYOUT_PORT_RTC, 2, LAYOUT_IRQ_RTC);
	if (config->pvpanic)
		dsdt_legacy(aml, "PEVT", "QEMU0001", STA_HIDDEN, LAYOUT_PORT_PVPANIC, 1, 0);
	aml_close(aml, scope);
	return table_end(b, at);
}

static void build_dmar(struct builder *b, const struct dmar_config *config)
{
	size_t at = table_begin(b, "DMAR", DMAR_REVISION);

	dmar_write(&b->out, config);
	list_in_xsdt(b, table_end(b, at));
}

static void build_numa(struct builder *b, const struct srat_config *config)
{
	size_t at = table_begin(b, "SRAT", SRAT_REVISION);

	srat_write(&b->out, config);
	list_in_xsdt(b, table_end(b, at));
	at = table_begin(b, "SLIT", SLIT_REVISION);
	slit_write(&b->out, config);
	list_in_xsdt(b, table_end(b, at));
}

static void build_extra(struct builder *b, const struct acpi_table *table)
{
	size_t at;

	put_zeroes(b, align_up(b->out.len, TABLE_ALIGN) - b->out.len);
	at = b->out.len;
	aml_bytes(&b->out, table->data, table->len);
	list_in_xsdt(b, table_end(b, at));
}

static uint64_t build_xsdt(struct builder *b)
{
	size_t at = table_begin(b, "XSDT", 1);

	for (unsigned int i = 0; i < b->nr_xsdt; i++)
		put(b, 8, b->xsdt[i]);
	return table_end(b, at);
}

/* 5.2.5.3; the first 20 bytes have a checksum of their own. */
static void fill_rsdp(uint8_t *p, uint64_t xsdt)
{
	memcpy(p, "RSD PTR ", 8);
	memcpy(p + 9, "AIRLCK", 6);
	p[15] = 2; /* revision */
	le_store(p + 20, 4, RSDP_SIZE);
	le_store(p + 24, 8, xsdt);
	p[8] = checksum(p, 20);
	p[32] = checksum(p, RSDP_SIZE);
}

/* 5.2.10: no checksum; version 2. */
static void fill_facs(uint8_t *p)
{
	memcpy(p, "FACS", 4);
	le_store(p + 4, 4, FACS_SIZE);
	p[32] = 2;
}

int acpi_build(const struct acpi_config *config, struct acpi_blob *blob, struct diag *diag)
{
	struct builder b = { 0 };
	uint64_t dsdt, xsdt;

	aml_init(&b.out);
	put_zeroes(&b, TABLES_AT);
	dsdt = build_dsdt(&b, config);
	build_fadt(&b, config, dsdt);
	build_madt(&b, config);
	build_mcfg(&b, config);
	if (config->dmar)
		build_dmar(&b, config->dmar);
	if (config->srat)
		build_numa(&b, config->srat);
	for (unsigned int i = 0; i < config->nr_extra; i++)
		build_extra(&b, &config->extra[i]);
	xsdt = build_xsdt(&b);
	if (b.out.err) {
		aml_fini(&b.out);
		return diag_set(diag, -ENOMEM, "ACPI tables", "%s", strerror(ENOMEM));
	}
	if (b.out.len > LAYOUT_ACPI_SIZE) {
		diag_set(diag, -E2BIG, "ACPI tables",
			 "%zu KiB do not fit in the %llu KiB below 1 MiB", b.out.len >> 10,
			 LAYOUT_ACPI_SIZE >> 10);
		diag_remedy(diag, -E2BIG, "give the guest fewer CPUs");
		aml_fini(&b.out);
		return -E2BIG;
	}
	fill_rsdp(b.out.data, xsdt);
	fill_facs(b.out.data + FACS_AT);
	*blob = (struct acpi_blob){ .data = b.out.data,
				    .len = b.out.len,
				    .rsdp = gpa(LAYOUT_ACPI) };
	return 0;
}

int acpi_install(const struct acpi_blob *blob, const struct ram *ram)
{
	return ram_write(ram, gpa(LAYOUT_ACPI), blob->data, blob->len);
}

void acpi_blob_fini(struct acpi_blob *blob)
{
	free(blob->data);
	*blob = (struct acpi_blob){ 0 };
}
