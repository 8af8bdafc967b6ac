// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pins of the I/O APIC: edges from the serial port, and a level that is sent again at each end of
 * interrupt until its device is quiet. The clock's line serves as the level: it stays up until its
 * register C is read.
 */
// EXPECT: ok: it has 24 pins
// EXPECT: ok: an edge interrupts once
// EXPECT: ok: a masked pin is silent
// EXPECT: ok: a level interrupts again until its source is quiet
// EXPECT: ok: remote IRR is clear after the last end
// EXPECT: ok: a level that comes again interrupts again
// STATUS: 1
#include "lib/irq.h"

#define EDGE_VECTOR  0x50
#define LEVEL_VECTOR 0x61
#define COM1_PIN     4
#define RTC_PIN	     8
#define RTC_QUIET_AT 4

static volatile unsigned int edges, levels, quiet_at;

__attribute__((interrupt)) static void on_edge(struct irq_frame *frame)
{
	(void)frame;
	edges++;
	(void)inb(COM1 + 2);
	lapic_write(LAPIC_EOI, 0);
}

static uint8_t rtc_read(uint8_t reg)
{
	outb(0x70, reg);
	return inb(0x71);
}

static void rtc_write(uint8_t reg, uint8_t v)
{
	outb(0x70, reg);
	outb(0x71, v);
}

__attribute__((interrupt)) static void on_level(struct irq_frame *frame)
{
	(void)frame;
	levels++;
	if (levels == quiet_at) {
		/* No more of it, and what is there acknowledged. */
		rtc_write(0x0b, 0x02);
		rtc_read(0x0c);
	}
	lapic_write(LAPIC_EOI, 0);
}

void guest_main(void)
{
	unsigned int never = 0, before;

	irq_set(EDGE_VECTOR, on_edge);
	irq_set(LEVEL_VECTOR, on_level);
	lapic_enable();
	guest_check((ioapic_read(1) >> 16 & 0xff) == 23, "it has 24 pins");

	/* The transmitter is idle: enabling its interrupt raises it. */
	outb(COM1 + 4, 0x0b);
	ioapic_set(COM1_PIN, EDGE_VECTOR);
	outb(COM1 + 1, 0x02);
	irq_wait(&edges, 1, 2000);
	irq_wait(&edges, 2, 20);
	outb(COM1 + 1, 0);
	guest_check(edges == 1, "an edge interrupts once");

	ioapic_set(COM1_PIN, EDGE_VECTOR | IOAPIC_MASKED);
	outb(COM1 + 1, 0x02);
	irq_wait(&never, 1, 20);
	outb(COM1 + 1, 0);
	(void)inb(COM1 + 2);
	guest_check(edges == 1, "a masked pin is silent");

	quiet_at = RTC_QUIET_AT;
	rtc_write(0x0a, 0x26);
	rtc_read(0x0c);
	ioapic_set(RTC_PIN, LEVEL_VECTOR | IOAPIC_LEVEL);
	rtc_write(0x0b, 0x42); /* periodic */
	irq_wait(&levels, RTC_QUIET_AT, 4000);
	irq_wait(&never, 1, 20);
	guest_printf("level interrupts: %u\n", levels);
	/* One may be on its way when the source goes quiet; a second would mean that none is. */
	guest_check(levels == RTC_QUIET_AT || levels == RTC_QUIET_AT + 1,
		    "a level interrupts again until its source is quiet");
	guest_check(!(ioapic_get(RTC_PIN) & IOAPIC_IRR), "remote IRR is clear after the last end");

	quiet_at = before = levels + 1;
	rtc_write(0x0b, 0x42);
	irq_wait(&levels, before, 4000);
	irq_wait(&never, 1, 20);
	guest_check(levels == before || levels == before + 1,
		    "a level that comes again interrupts again");
}
