// SPDX-License-Identifier: GPL-2.0-or-later
/* S5, written where the FADT says with the type that \_S5 gives, switches the machine off. */
// EXPECT: switching off
// STATUS: 0
#include "lib/acpi.h"

#define SLP_EN	 (1u << 13)
#define AML_NAME 0x08
#define AML_PACK 0x12
#define AML_BYTE 0x0a

/* "Name (_S5, Package (n) { type, ...": the type; -1: there is none. */
static int s5_type(void)
{
	const uint8_t *fadt = acpi_find("FACP");
	const uint8_t *dsdt = fadt ? (const uint8_t *)(uintptr_t)acpi_get(fadt + 40, 4) : NULL;

	for (uint32_t i = 36; dsdt && i + 10 < acpi_length(dsdt); i++) {
		const uint8_t *p = dsdt + i;

		if (p[0] != '_' || p[1] != 'S' || p[2] != '5' || p[3] != '_' || p[4] != AML_PACK)
			continue;
		/* One byte of package length, one of count. */
		p += 7;
		return *p == AML_BYTE ? p[1] : *p;
	}
	return -1;
}

void guest_main(void)
{
	int type = s5_type();

	if (type < 0) {
		guest_check(false, "the DSDT has _S5");
		return;
	}
	guest_printf("switching off\n");
	outw(acpi_port(ACPI_FADT_PM1A_CONTROL), (uint16_t)((unsigned int)type << 10 | SLP_EN));
	for (;;)
		__asm__ volatile("hlt");
}
