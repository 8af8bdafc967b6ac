// SPDX-License-Identifier: GPL-2.0-or-later
/* The ACPI PM timer and the PIT agree on what a second is, and the PIT ticks. */
// EXPECT: ok: the PM timer runs
// EXPECT: ok: 20 ms of the PIT are 20 ms of the PM timer
// EXPECT: ok: the PIT's counter goes down
// EXPECT: ok: the PIT ticks
// STATUS: 1
#include "lib/acpi.h"
#include "lib/irq.h"

#define VECTOR	 0x53
#define PIT_HZ	 1193182u
#define PIT_PIN	 2
#define SLICE_MS 20

static volatile unsigned int ticks;

__attribute__((interrupt)) static void on_tick(struct irq_frame *frame)
{
	(void)frame;
	ticks++;
	lapic_write(LAPIC_EOI, 0);
}

static unsigned int pit_count(void)
{
	unsigned int low;

	outb(0x43, 0x00);
	low = inb(0x40);
	return low | (unsigned int)inb(0x40) << 8;
}

void guest_main(void)
{
	uint32_t start = acpi_timer(), took;
	unsigned int count = PIT_HZ / 1000 * SLICE_MS, a, b;

	for (unsigned int i = 0; i < 1000 && !acpi_timer_since(start); i++)
		cpu_relax();
	guest_check(acpi_timer_since(start) > 0, "the PM timer runs");

	/* Channel 2 by its gate, mode 0, its output watched: how kernels calibrate. */
	outb(0x61, (uint8_t)((inb(0x61) & ~3u) | 1));
	outb(0x43, 0xb0);
	outb(0x42, (uint8_t)count);
	outb(0x42, (uint8_t)(count >> 8));
	start = acpi_timer();
	while (!(inb(0x61) & 0x20) && acpi_timer_since(start) < 2 * ACPI_TIMER_HZ)
		cpu_relax();
	took = acpi_timer_since(start);
	guest_printf("took %u ticks of %u\n", took, ACPI_TIMER_HZ / 1000 * SLICE_MS);
	guest_check(took > ACPI_TIMER_HZ / 1000 * SLICE_MS * 9 / 10 &&
			    took < ACPI_TIMER_HZ / 1000 * SLICE_MS * 3,
		    "20 ms of the PIT are 20 ms of the PM timer");

	outb(0x43, 0x34);
	outb(0x40, 0);
	outb(0x40, 0);
	a = pit_count();
	acpi_delay_us(1000);
	b = pit_count();
	guest_check(b < a, "the PIT's counter goes down");

	irq_set(VECTOR, on_tick);
	lapic_enable();
	ioapic_set(PIT_PIN, VECTOR);
	outb(0x43, 0x34);
	outb(0x40, (uint8_t)(PIT_HZ / 200));
	outb(0x40, (uint8_t)(PIT_HZ / 200 >> 8));
	guest_check(irq_wait(&ticks, 5, 2000), "the PIT ticks");
	outb(0x43, 0x30);
}
