// SPDX-License-Identifier: GPL-2.0-or-later
/* The local APIC's timer and an interrupt to oneself arrive. */
// EXPECT: ok: the timer interrupts once when asked for once
// EXPECT: ok: the timer goes on when asked to
// EXPECT: ok: an interrupt to oneself arrives
// EXPECT: ok: a masked timer is silent
// SKIP: instruction KVM cannot emulate
// STATUS: 1
#include "lib/irq.h"

#define TIMER_VECTOR   0x40
#define IPI_VECTOR     0x41
#define TIMER_PERIODIC (1u << 17)
#define TIMER_MASKED   (1u << 16)
#define ICR_SELF       (1u << 18)

static volatile unsigned int timers, ipis;

__attribute__((interrupt)) static void on_timer(struct irq_frame *frame)
{
	(void)frame;
	timers++;
	lapic_write(LAPIC_EOI, 0);
}

__attribute__((interrupt)) static void on_ipi(struct irq_frame *frame)
{
	(void)frame;
	ipis++;
	lapic_write(LAPIC_EOI, 0);
}

void guest_main(void)
{
	unsigned int never = 0;

	irq_set(TIMER_VECTOR, on_timer);
	irq_set(IPI_VECTOR, on_ipi);
	lapic_enable();
	lapic_write(LAPIC_TIMER_DIV, 0xb); /* by 1 */
	lapic_write(LAPIC_LVT_TIMER, TIMER_VECTOR);
	lapic_write(LAPIC_TIMER_INIT, 100000);
	irq_wait(&timers, 1, 2000);
	irq_wait(&timers, 2, 20);
	guest_check(timers == 1, "the timer interrupts once when asked for once");

	lapic_write(LAPIC_LVT_TIMER, TIMER_VECTOR | TIMER_PERIODIC);
	lapic_write(LAPIC_TIMER_INIT, 5000000);
	guest_check(irq_wait(&timers, 6, 5000), "the timer goes on when asked to");
	lapic_write(LAPIC_LVT_TIMER, TIMER_VECTOR | TIMER_MASKED);
	lapic_write(LAPIC_TIMER_INIT, 0);

	lapic_write(LAPIC_ICR_LOW, IPI_VECTOR | ICR_SELF);
	guest_check(irq_wait(&ipis, 1, 2000), "an interrupt to oneself arrives");

	irq_wait(&timers, timers + 1, 5); /* one that was on its way */
	timers = 0;
	irq_wait(&never, 1, 30);
	guest_check(!timers, "a masked timer is silent");
}
