// SPDX-License-Identifier: GPL-2.0-or-later
#include "irq.h"

#include "acpi.h"

#define VECTORS	       256
#define GATE_INTERRUPT 0x8e00u
#define CODE_SELECTOR  0x08u

struct irq_gate {
	uint16_t offset_low, selector, flags, offset_mid;
#ifdef __x86_64__
	uint32_t offset_high, reserved;
#endif
};

static struct irq_gate idt[VECTORS] __attribute__((aligned(16)));

static void irq_crash(unsigned int vector, uintptr_t code, const uintptr_t *frame)
{
	guest_printf("exception %u code %lx at %lx\n", vector, (unsigned long)code,
		     (unsigned long)frame[0]);
	guest_exit(GUEST_CRASHED);
}

#define EXCEPTION(n)                                                                  \
	__attribute__((interrupt)) static void exception_##n(struct irq_frame *frame) \
	{                                                                             \
		irq_crash(n, 0, (const uintptr_t *)frame);                            \
	}
#define EXCEPTION_CODE(n)                                                             \
	__attribute__((interrupt)) static void exception_##n(struct irq_frame *frame, \
							     uintptr_t code)          \
	{                                                                             \
		irq_crash(n, code, (const uintptr_t *)frame);                         \
	}

EXCEPTION(0)
EXCEPTION(2)
EXCEPTION(5)
EXCEPTION(6)
EXCEPTION(7)
EXCEPTION_CODE(8)
EXCEPTION_CODE(10)
EXCEPTION_CODE(11)
EXCEPTION_CODE(12)
EXCEPTION_CODE(13)
EXCEPTION_CODE(14)
EXCEPTION(16)
EXCEPTION(18)

__attribute__((interrupt)) static void irq_unexpected(struct irq_frame *frame)
{
	guest_printf("an interrupt nobody asked for, at %lx\n",
		     (unsigned long)*(const uintptr_t *)frame);
	guest_exit(GUEST_CRASHED);
}

__attribute__((interrupt)) static void irq_spurious(struct irq_frame *frame)
{
	(void)frame;
}

static void irq_set_gate(unsigned int vector, uintptr_t handler)
{
	idt[vector] = (struct irq_gate){
		.offset_low = (uint16_t)handler,
		.selector = CODE_SELECTOR,
		.flags = GATE_INTERRUPT,
		.offset_mid = (uint16_t)(handler >> 16),
#ifdef __x86_64__
		.offset_high = (uint32_t)(handler >> 32),
#endif
	};
}

void irq_set(unsigned int vector, irq_handler handler)
{
	irq_set_gate(vector, (uintptr_t)handler);
}

void irq_load(void)
{
	struct {
		uint16_t limit;
		uintptr_t base;
	} __attribute__((packed)) pointer = { sizeof(idt) - 1, (uintptr_t)idt };

	__asm__ volatile("lidt %0" : : "m"(pointer));
}

void irq_init(void)
{
	for (unsigned int i = 0; i < VECTORS; i++)
		irq_set(i, irq_unexpected);
	irq_set(0, exception_0);
	irq_set(2, exception_2);
	irq_set(5, exception_5);
	irq_set(6, exception_6);
	irq_set(7, exception_7);
	irq_set_gate(8, (uintptr_t)exception_8);
	irq_set_gate(10, (uintptr_t)exception_10);
	irq_set_gate(11, (uintptr_t)exception_11);
	irq_set_gate(12, (uintptr_t)exception_12);
	irq_set_gate(13, (uintptr_t)exception_13);
	irq_set_gate(14, (uintptr_t)exception_14);
	irq_set(16, exception_16);
	irq_set(18, exception_18);
	irq_set(0xff, irq_spurious);
	irq_load();
	/* Where there is an 8259, it is not to speak; where there is none, nobody hears this. */
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
}

void lapic_enable(void)
{
	lapic_write(LAPIC_SPURIOUS, 0x1ff);
}

uint32_t ioapic_read(uint8_t index)
{
	mmio_write32(IOAPIC, index);
	return mmio_read32(IOAPIC + 0x10);
}

void ioapic_write(uint8_t index, uint32_t v)
{
	mmio_write32(IOAPIC, index);
	mmio_write32(IOAPIC + 0x10, v);
}

void ioapic_set(unsigned int pin, uint32_t low)
{
	ioapic_write((uint8_t)(0x11 + 2 * pin), 0);
	ioapic_write((uint8_t)(0x10 + 2 * pin), low);
}

uint32_t ioapic_get(unsigned int pin)
{
	return ioapic_read((uint8_t)(0x10 + 2 * pin));
}

bool irq_wait(const volatile unsigned int *counter, unsigned int value, unsigned int ms)
{
	uint32_t start = acpi_timer();

	irq_on();
	while (*counter < value && acpi_timer_since(start) < ms * (ACPI_TIMER_HZ / 1000))
		cpu_relax();
	irq_off();
	return *counter >= value;
}
