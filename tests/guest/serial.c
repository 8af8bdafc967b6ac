// SPDX-License-Identifier: GPL-2.0-or-later
/* The serial port is a 16550A to who probes it, and carries a long text without a loss. */
// EXPECT: ok: loopback returns what was sent
// EXPECT: ok: the FIFO holds 16
// EXPECT: ok: the transmitter interrupts when it is idle
// EXPECT: line 0999 of a thousand
// STATUS: 1
#include "lib/irq.h"

#define VECTOR	 0x54
#define COM1_PIN 4

static volatile unsigned int interrupts;

__attribute__((interrupt)) static void on_idle(struct irq_frame *frame)
{
	(void)frame;
	interrupts++;
	(void)inb(COM1 + 2);
	lapic_write(LAPIC_EOI, 0);
}

static void decimal4(char *to, unsigned int v)
{
	for (int i = 3; i >= 0; i--) {
		to[i] = (char)('0' + v % 10);
		v /= 10;
	}
}

void guest_main(void)
{
	char line[] = "line 0000 of a thousand";
	unsigned int fifo = 0;
	bool same = true;

	outb(COM1 + 2, 0x07);
	outb(COM1 + 4, 0x10);
	for (unsigned int i = 0; i < 32; i++)
		outb(COM1, (uint8_t)(0x40 + i));
	for (; inb(COM1 + 5) & 1; fifo++)
		same &= inb(COM1) == 0x40 + fifo;
	outb(COM1 + 4, 0x0b);
	guest_check(same && fifo, "loopback returns what was sent");
	guest_check(fifo == 16, "the FIFO holds 16");

	irq_set(VECTOR, on_idle);
	lapic_enable();
	ioapic_set(COM1_PIN, VECTOR);
	outb(COM1 + 1, 2);
	guest_check(irq_wait(&interrupts, 1, 2000), "the transmitter interrupts when it is idle");
	outb(COM1 + 1, 0);

	for (unsigned int i = 0; i < 1000; i++) {
		decimal4(line + 5, i);
		guest_printf("%s\n", line);
	}
}
