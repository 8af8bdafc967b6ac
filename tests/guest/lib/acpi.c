// SPDX-License-Identifier: GPL-2.0-or-later
#include "acpi.h"

#define RSDP_FIRST 0xe0000u
#define RSDP_END   0x100000u

bool acpi_sum_is_zero(const uint8_t *data, uint32_t len)
{
	uint8_t sum = 0;

	while (len--)
		sum = (uint8_t)(sum + *data++);
	return !sum;
}

static bool acpi_signature_is(const uint8_t *at, const char *signature, unsigned int len)
{
	for (unsigned int i = 0; i < len; i++)
		if (at[i] != (uint8_t)signature[i])
			return false;
	return true;
}

static const uint8_t *acpi_rsdp(void)
{
	if (guest_boot.rsdp)
		return (const uint8_t *)guest_boot.rsdp;
	for (uintptr_t at = RSDP_FIRST; at < RSDP_END; at += 16)
		if (acpi_signature_is((const uint8_t *)at, "RSD PTR ", 8) &&
		    acpi_sum_is_zero((const uint8_t *)at, 20))
			return (const uint8_t *)at;
	return NULL;
}

uint32_t acpi_length(const uint8_t *table)
{
	return acpi_get(table + 4, 4);
}

const uint8_t *acpi_table(unsigned int n)
{
	const uint8_t *rsdp = acpi_rsdp(), *root;
	unsigned int entry = 4;

	if (!rsdp)
		return NULL;
	root = (const uint8_t *)(uintptr_t)acpi_get(rsdp + 16, 4);
	if (rsdp[15] >= 2 && acpi_get(rsdp + 24, 4)) {
		root = (const uint8_t *)(uintptr_t)acpi_get(rsdp + 24, 4);
		entry = 8;
	}
	if (36 + (n + 1) * entry > acpi_length(root))
		return NULL;
	return (const uint8_t *)(uintptr_t)acpi_get(root + 36 + n * entry, 4);
}

const uint8_t *acpi_find(const char *signature)
{
	const uint8_t *table;

	for (unsigned int n = 0; (table = acpi_table(n)); n++)
		if (acpi_signature_is(table, signature, 4) &&
		    acpi_sum_is_zero(table, acpi_length(table)))
			return table;
	return NULL;
}

uint16_t acpi_port(unsigned int fadt_offset)
{
	const uint8_t *fadt = acpi_find("FACP");

	if (!fadt || !acpi_get(fadt + fadt_offset, 4)) {
		guest_printf("FAILED: no port at FADT offset %u\n", fadt_offset);
		guest_exit(GUEST_FAILED);
	}
	return (uint16_t)acpi_get(fadt + fadt_offset, 4);
}

uint32_t acpi_timer(void)
{
	static uint16_t port;

	if (!port)
		port = acpi_port(ACPI_FADT_PM_TIMER);
	return inl(port);
}

uint32_t acpi_timer_since(uint32_t start)
{
	return (acpi_timer() - start) & 0xffffff;
}

void acpi_delay_us(uint32_t us)
{
	uint32_t start = acpi_timer();

	/* 3.58 ticks to a microsecond. */
	while (acpi_timer_since(start) < us * 4 - us / 2)
		cpu_relax();
}
