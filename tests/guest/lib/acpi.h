/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables, as far as a test needs them: to find things where the machine says they are. */
#ifndef AIRLOCK_TESTS_GUEST_ACPI_H
#define AIRLOCK_TESTS_GUEST_ACPI_H

#include "guest.h"

#define ACPI_TIMER_HZ 3579545u

/* A table by its signature, checksum proved; NULL: there is none. length is its header's. */
const uint8_t *acpi_find(const char *signature);
uint32_t acpi_length(const uint8_t *table);
/* Every table of the root table, in order; NULL at the end. Checksums are not looked at. */
const uint8_t *acpi_table(unsigned int n);
bool acpi_sum_is_zero(const uint8_t *data, uint32_t len);

static inline uint32_t acpi_get(const uint8_t *at, unsigned int bytes)
{
	uint32_t v = 0;

	for (unsigned int i = 0; i < bytes; i++)
		v |= (uint32_t)at[i] << 8 * i;
	return v;
}

/* The FADT's ports. Ends the guest where there are none. */
uint16_t acpi_port(unsigned int fadt_offset);
#define ACPI_FADT_PM1A_EVENT   56
#define ACPI_FADT_PM1A_CONTROL 64
#define ACPI_FADT_PM_TIMER     76

uint32_t acpi_timer(void);
/* Ticks since; within 4 seconds, whatever the timer's width. */
uint32_t acpi_timer_since(uint32_t start);
void acpi_delay_us(uint32_t us);

#endif
