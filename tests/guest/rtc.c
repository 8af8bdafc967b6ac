// SPDX-License-Identifier: GPL-2.0-or-later
/* The clock tells a likely time, which goes on, and interrupts at its updates. */
// EXPECT: ok: the clock is valid
// EXPECT: ok: it is the twenty-first century
// EXPECT: ok: an update in progress ends
// EXPECT: ok: seconds pass
// EXPECT: ok: updates interrupt
// EXPECT: ok: memory keeps what is written
// STATUS: 1
#include "lib/acpi.h"
#include "lib/irq.h"

#define VECTOR	0x52
#define RTC_PIN 8

static volatile unsigned int updates;

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

__attribute__((interrupt)) static void on_update(struct irq_frame *frame)
{
	(void)frame;
	if (rtc_read(0x0c) & 0x10)
		updates++;
	lapic_write(LAPIC_EOI, 0);
}

static unsigned int seconds(void)
{
	uint8_t bcd;

	while (rtc_read(0x0a) & 0x80)
		cpu_relax();
	bcd = rtc_read(0);
	return (bcd >> 4) * 10u + (bcd & 0xf);
}

void guest_main(void)
{
	unsigned int before, passed;
	uint32_t start = acpi_timer();

	guest_printf("20%02x-%02x-%02x %02x:%02x:%02x\n", rtc_read(9), rtc_read(8), rtc_read(7),
		     rtc_read(4), rtc_read(2), rtc_read(0));
	guest_check(rtc_read(0x0d) & 0x80, "the clock is valid");
	guest_check(rtc_read(0x32) == 0x20 && rtc_read(9) >= 0x24,
		    "it is the twenty-first century");
	while ((rtc_read(0x0a) & 0x80) && acpi_timer_since(start) < ACPI_TIMER_HZ)
		cpu_relax();
	guest_check(!(rtc_read(0x0a) & 0x80) || acpi_timer_since(start) < ACPI_TIMER_HZ,
		    "an update in progress ends");
	before = seconds();
	acpi_delay_us(1500000);
	passed = (seconds() + 60 - before) % 60;
	guest_check(passed >= 1 && passed <= 3, "seconds pass");

	irq_set(VECTOR, on_update);
	lapic_enable();
	rtc_read(0x0c);
	ioapic_set(RTC_PIN, VECTOR);
	rtc_write(0x0b, 0x12);
	guest_check(irq_wait(&updates, 2, 3500), "updates interrupt");
	rtc_write(0x0b, 0x02);

	rtc_write(0x60, 0x96);
	rtc_write(0x61, 0x69);
	guest_check(rtc_read(0x60) == 0x96 && rtc_read(0x61) == 0x69,
		    "memory keeps what is written");
}
