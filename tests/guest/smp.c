// SPDX-License-Identifier: GPL-2.0-or-later
/* INIT and SIPI start every processor the MADT names, and one interrupt reaches them all. */
// RUN: --cpus 3
// EXPECT: processors in the MADT: 3
// EXPECT: ok: all of them started
// EXPECT: ok: each has an APIC id of its own
// EXPECT: ok: an interrupt to all but oneself reaches them
// STATUS: 1
#include "lib/acpi.h"
#include "lib/irq.h"

#define TRAMPOLINE     0x8000u
#define IPI_VECTOR     0x42
#define ICR_INIT       0x4500u
#define ICR_STARTUP    0x4600u
#define ICR_ALL_OTHERS (3u << 18)
#define MADT_ENTRIES   44
#define MADT_LAPIC     0
#define MADT_ENABLED   1u
#define CPUS_MAX       16

extern const uint8_t guest_trampoline[], guest_trampoline_end[];

static volatile unsigned int started, interrupted;
static volatile unsigned int ids[CPUS_MAX];

__attribute__((noreturn)) void guest_ap_enter(void);

__attribute__((interrupt)) static void on_ipi(struct irq_frame *frame)
{
	(void)frame;
	__atomic_fetch_add(&interrupted, 1, __ATOMIC_SEQ_CST);
	lapic_write(LAPIC_EOI, 0);
}

void guest_ap_enter(void)
{
	unsigned int n;

	irq_load();
	lapic_enable();
	n = __atomic_fetch_add(&started, 1, __ATOMIC_SEQ_CST);
	if (n < CPUS_MAX)
		ids[n] = lapic_read(LAPIC_ID) >> 24;
	irq_on();
	for (;;)
		__asm__ volatile("hlt");
}

static unsigned int madt_count(void)
{
	const uint8_t *madt = acpi_find("APIC");
	unsigned int n = 0;

	for (uint32_t at = MADT_ENTRIES; madt && at + 2 <= acpi_length(madt) && madt[at + 1];
	     at += madt[at + 1])
		n += madt[at] == MADT_LAPIC && (acpi_get(madt + at + 4, 4) & MADT_ENABLED);
	return n;
}

static bool wait_for(const volatile unsigned int *counter, unsigned int value)
{
	for (unsigned int ms = 0; ms < 3000 && *counter < value; ms++)
		acpi_delay_us(1000);
	return *counter >= value;
}

void guest_main(void)
{
	unsigned int others = madt_count() - 1, own = lapic_read(LAPIC_ID) >> 24;
	bool distinct = true;

	guest_printf("processors in the MADT: %u\n", others + 1);
	irq_set(IPI_VECTOR, on_ipi);
	lapic_enable();
	for (const uint8_t *p = guest_trampoline; p < guest_trampoline_end; p++)
		*(volatile uint8_t *)(uintptr_t)(TRAMPOLINE + (p - guest_trampoline)) = *p;
	lapic_write(LAPIC_ICR_LOW, ICR_INIT | ICR_ALL_OTHERS);
	acpi_delay_us(10000);
	lapic_write(LAPIC_ICR_LOW, ICR_STARTUP | ICR_ALL_OTHERS | TRAMPOLINE >> 12);
	acpi_delay_us(200);
	lapic_write(LAPIC_ICR_LOW, ICR_STARTUP | ICR_ALL_OTHERS | TRAMPOLINE >> 12);
	guest_check(wait_for(&started, others) && started == others, "all of them started");
	for (unsigned int i = 0; i < others && i < CPUS_MAX; i++) {
		distinct &= ids[i] != own;
		for (unsigned int k = 0; k < i; k++)
			distinct &= ids[i] != ids[k];
	}
	guest_check(distinct, "each has an APIC id of its own");
	lapic_write(LAPIC_ICR_LOW, IPI_VECTOR | ICR_ALL_OTHERS);
	guest_check(wait_for(&interrupted, others) && interrupted == others,
		    "an interrupt to all but oneself reaches them");
}
