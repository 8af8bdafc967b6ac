// SPDX-License-Identifier: GPL-2.0-or-later
/* The tables are there, whole, and in memory that the map does not give away. */
// EXPECT: FACP
// EXPECT: APIC
// EXPECT: MCFG
// EXPECT: ok: every table's checksum holds
// EXPECT: ok: the DSDT's too
// EXPECT: ok: none lies in memory given to the guest
// STATUS: 1
#include "lib/acpi.h"

#define HAS_MAP (1u << 6)

static bool is_given_away(uintptr_t at)
{
	uintptr_t e = guest_boot.multiboot[12], end = e + guest_boot.multiboot[11];

	for (; e < end; e += *(const uint32_t *)e + 4) {
		const uint32_t *w = (const uint32_t *)e;

		if (w[5] == 1 && !w[2] && at >= w[1] && (w[4] || at - w[1] < w[3]))
			return true;
	}
	return false;
}

void guest_main(void)
{
	const uint8_t *fadt = acpi_find("FACP"), *dsdt, *table;
	bool sums = true, kept = true;

	for (unsigned int n = 0; (table = acpi_table(n)); n++) {
		guest_printf("%c%c%c%c %u bytes\n", table[0], table[1], table[2], table[3],
			     acpi_length(table));
		sums &= acpi_sum_is_zero(table, acpi_length(table));
		kept &= !is_given_away((uintptr_t)table);
	}
	dsdt = fadt ? (const uint8_t *)(uintptr_t)acpi_get(fadt + 40, 4) : NULL;
	guest_check(sums, "every table's checksum holds");
	guest_check(dsdt && acpi_sum_is_zero(dsdt, acpi_length(dsdt)), "the DSDT's too");
	guest_check(kept && dsdt && !is_given_away((uintptr_t)dsdt),
		    "none lies in memory given to the guest");
}
