/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interrupts: the descriptor table, the local APIC (xAPIC mode) and the I/O APIC. */
#ifndef AIRLOCK_TESTS_GUEST_IRQ_H
#define AIRLOCK_TESTS_GUEST_IRQ_H

#include "guest.h"

struct irq_frame;
/* __attribute__((interrupt)) functions; those of exceptions 8, 10..14, 17 take an error code. */
typedef void (*irq_handler)(struct irq_frame *frame);

#define LAPIC		 0xfee00000u
#define LAPIC_ID	 0x020
#define LAPIC_VERSION	 0x030
#define LAPIC_EOI	 0x0b0
#define LAPIC_SPURIOUS	 0x0f0
#define LAPIC_ICR_LOW	 0x300
#define LAPIC_ICR_HIGH	 0x310
#define LAPIC_LVT_TIMER	 0x320
#define LAPIC_TIMER_INIT 0x380
#define LAPIC_TIMER_NOW	 0x390
#define LAPIC_TIMER_DIV	 0x3e0

#define IOAPIC		 0xfec00000u
#define IOAPIC_LEVEL	 (1u << 15)
#define IOAPIC_MASKED	 (1u << 16)
#define IOAPIC_IRR	 (1u << 14)

/* Loads a table in which every exception ends the guest. Interrupts stay off. */
void irq_init(void);
/* On another processor: loads the same table. */
void irq_load(void);
void irq_set(unsigned int vector, irq_handler handler);

void lapic_enable(void);

static inline uint32_t lapic_read(uint32_t reg)
{
	return mmio_read32(LAPIC + reg);
}

static inline void lapic_write(uint32_t reg, uint32_t v)
{
	mmio_write32(LAPIC + reg, v);
}

uint32_t ioapic_read(uint8_t index);
void ioapic_write(uint8_t index, uint32_t v);
/* Entry of a pin: flags and vector, to processor 0. */
void ioapic_set(unsigned int pin, uint32_t low);
uint32_t ioapic_get(unsigned int pin);

static inline void irq_on(void)
{
	__asm__ volatile("sti" : : : "memory");
}

static inline void irq_off(void)
{
	__asm__ volatile("cli" : : : "memory");
}

/* Waits with interrupts on until *flag reaches `value` or about `ms` have gone. True: it has. */
bool irq_wait(const volatile unsigned int *counter, unsigned int value, unsigned int ms);

#endif
