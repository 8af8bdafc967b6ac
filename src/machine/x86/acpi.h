/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ACPI tables (ACPI 6.4): RSDP, XSDT, FADT, FACS, MADT, MCFG, DMAR, DSDT and whatever tables the
 * caller adds. They describe the machine of layout.h: an I/O APIC and no 8259, no i8042, no VGA, PM1
 * event and control blocks, a PM timer, the reset register, the power button as a fixed event.
 *
 * What the board owes these tables: the machine is always in ACPI mode (SMI_CMD is 0), so PM1
 * control reads with SCI_EN (bit 0) set; writing SLP_EN (bit 13) with SLP_TYP (bits 12..10) equal to
 * LAYOUT_S5_SLP_TYP there switches off; the SCI is level, active high.
 */
#ifndef AIRLOCK_MACHINE_X86_ACPI_H
#define AIRLOCK_MACHINE_X86_ACPI_H

#include "base/diag.h"
#include "base/range.h"
#include "base/types.h"
#include "machine/x86/dmar.h"
#include "machine/x86/srat.h"
#include "memory/ram.h"

#define ACPI_WINDOWS_MAX 4
#define ACPI_EXTRA_MAX	 16

/* A table of the caller's, header included; its length and checksum fields are filled in here. */
struct acpi_table {
	const void *data;
	size_t len; /* at least a header, 36 bytes */
};

struct acpi_config {
	unsigned int nr_cpus;
	const uint32_t *apic_ids; /* nr_cpus of them; MADT uses x2APIC entries from 255 up */
	uint8_t ioapic_id;
	/* Buses of the one PCI segment, all of them in ECAM. */
	uint8_t bus_first, bus_last;
	/* Memory windows of the root bridge. */
	unsigned int nr_windows;
	struct range windows[ACPI_WINDOWS_MAX];
	bool serial; /* COM1 is there */
	bool rtc;    /* CMOS RTC is there */
	bool pvpanic;
	bool pit;			/* an 8254 drives LAYOUT_IRQ_PIT */
	const struct dmar_config *dmar; /* NULL: no remapping unit */
	const struct srat_config *srat; /* NULL: one NUMA node */
	unsigned int nr_extra;
	struct acpi_table extra[ACPI_EXTRA_MAX];
};

/* All tables as they will lie at LAYOUT_ACPI. */
struct acpi_blob {
	uint8_t *data; /* owned */
	size_t len;
	gpa_t rsdp;
};

/* 0, -ENOMEM, or -E2BIG with diag filled when they do not fit in LAYOUT_ACPI_SIZE. */
int acpi_build(const struct acpi_config *config, struct acpi_blob *blob, struct diag *diag);
/* Copies the tables to their place; again after every ram_clear(). 0 or -EFAULT. */
int acpi_install(const struct acpi_blob *blob, const struct ram *ram);
void acpi_blob_fini(struct acpi_blob *blob);

#endif
