/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a test guest stands on: a serial port to speak, a port to end with, and the machine's own
 * instructions. No C library, no headers of the host's but those of a freestanding compiler.
 *
 * A guest is one guest_main(), which says what it finds and ends with guest_finish() or
 * guest_exit(). An exception nobody asked for is printed and ends the guest with GUEST_CRASHED.
 */
#ifndef AIRLOCK_TESTS_GUEST_GUEST_H
#define AIRLOCK_TESTS_GUEST_GUEST_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Written to debug-exit; the run's status is (n << 1) | 1. */
#define GUEST_PASSED  0
#define GUEST_FAILED  1
#define GUEST_CRASHED 0x3f

#define COM1	      0x3f8
#define DEBUG_EXIT    0xf4

/* How the guest was started; one of the two is NULL. */
struct guest_boot {
	const uint32_t *multiboot;  /* Multiboot information */
	const uint32_t *start_info; /* struct hvm_start_info of PVH */
	const char *cmdline;	    /* "" where there is none */
	const void *module;	    /* module 0, or NULL */
	size_t module_len;
	uintptr_t rsdp; /* 0: to be searched for */
};
extern struct guest_boot guest_boot;

/* The test. */
void guest_main(void);

void guest_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Prints "ok: what" or "FAILED: what", and remembers. */
void guest_check(bool ok, const char *what);
/* Ends the guest: passed if every check was ok. */
__attribute__((noreturn)) void guest_finish(void);
__attribute__((noreturn)) void guest_exit(unsigned int n);

bool guest_text_equal(const char *a, const char *b);
bool guest_text_has(const char *text, const char *part);

static inline void outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline void outw(uint16_t port, uint16_t v)
{
	__asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline void outl(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline uint16_t inw(uint16_t port)
{
	uint16_t v;

	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t v;

	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline uint32_t mmio_read32(uintptr_t addr)
{
	return *(const volatile uint32_t *)addr;
}

static inline void mmio_write32(uintptr_t addr, uint32_t v)
{
	*(volatile uint32_t *)addr = v;
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t v)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)));
}

static inline void cpuid(uint32_t leaf, uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
	__asm__ volatile("cpuid" : "=a"(*a), "=b"(*b), "=c"(*c), "=d"(*d) : "a"(leaf), "c"(0));
}

static inline void cpu_relax(void)
{
	__asm__ volatile("pause" : : : "memory");
}

#endif
