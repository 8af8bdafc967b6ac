// SPDX-License-Identifier: GPL-2.0-or-later
/* What is typed reaches the guest, by polling and by interrupt, and all of it. */
// INPUT: abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ.
// EXPECT: polled: abcdefghijklmnopqrst
// EXPECT: interrupt: uvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ.
// STATUS: 1
#include "lib/irq.h"

#define VECTOR	 0x51
#define COM1_PIN 4
#define POLLED	 20

static volatile char text[128];
static volatile unsigned int len, done;

__attribute__((interrupt)) static void on_input(struct irq_frame *frame)
{
	(void)frame;
	while (!(inb(COM1 + 2) & 1)) {
		while (inb(COM1 + 5) & 1) {
			char c = (char)inb(COM1);

			if (len < sizeof(text) - 1)
				text[len++] = c;
			done |= c == '.';
		}
	}
	lapic_write(LAPIC_EOI, 0);
}

void guest_main(void)
{
	outb(COM1 + 2, 0xc1); /* FIFO; interrupts at 14 characters: the rest comes by timeout */
	guest_printf("ready\npolled: ");
	for (unsigned int n = 0; n < POLLED;) {
		if (!(inb(COM1 + 5) & 1))
			continue;
		guest_printf("%c", inb(COM1));
		n++;
	}
	guest_printf("\n");

	irq_set(VECTOR, on_input);
	lapic_enable();
	ioapic_set(COM1_PIN, VECTOR);
	outb(COM1 + 4, 0x0b);
	outb(COM1 + 1, 0x01);
	irq_wait(&done, 1, 4000);
	outb(COM1 + 1, 0);
	guest_printf("interrupt: ");
	for (unsigned int i = 0; i < len; i++)
		guest_printf("%c", text[i]);
	guest_printf("\n");
	guest_check(done, "the last character came");
}
