// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest.h"

#include "irq.h"

#define MULTIBOOT_LOADER_MAGIC 0x2badb002u
#define MULTIBOOT_HAS_CMDLINE  (1u << 2)
#define MULTIBOOT_HAS_MODULES  (1u << 3)
/* Words of the Multiboot information. */
#define MULTIBOOT_CMDLINE    4
#define MULTIBOOT_NR_MODULES 5
#define MULTIBOOT_MODULES    6
/* Words of hvm_start_info: 64-bit fields take two. */
#define PVH_NR_MODULES 3
#define PVH_MODULES    4
#define PVH_CMDLINE    6
#define PVH_RSDP       8

#define LSR	       5
#define LSR_IDLE       0x40

struct guest_boot guest_boot;

static bool any_failed;

static void guest_putc(char c)
{
	if (c == '\n')
		guest_putc('\r');
	while (!(inb(COM1 + LSR) & LSR_IDLE))
		cpu_relax();
	outb(COM1, (uint8_t)c);
}

static void guest_puts(const char *text)
{
	while (*text)
		guest_putc(*text++);
}

static void guest_put_hex(uint64_t v, int width)
{
	for (int digits = 16; digits > 0; digits--) {
		unsigned int digit = (unsigned int)(v >> 4 * (digits - 1)) & 0xf;

		if (v >> 4 * (digits - 1) || digits <= width || digits == 1)
			guest_putc("0123456789abcdef"[digit]);
	}
}

static void guest_put_decimal(uint32_t v)
{
	char text[11];
	int at = 10;

	text[at] = '\0';
	do {
		text[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	guest_puts(text + at);
}

/* %s %c %d %u %x %llx, zero-padded widths of %x. */
void guest_printf(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	for (; *fmt; fmt++) {
		int width = 0, longs = 0;
		int v;

		if (*fmt != '%') {
			guest_putc(*fmt);
			continue;
		}
		fmt++;
		while (*fmt >= '0' && *fmt <= '9')
			width = width * 10 + *fmt++ - '0';
		while (*fmt == 'l') {
			longs++;
			fmt++;
		}
		switch (*fmt) {
		case 's':
			guest_puts(va_arg(args, const char *));
			break;
		case 'c':
			guest_putc((char)va_arg(args, int));
			break;
		case 'd':
			v = va_arg(args, int);
			if (v < 0)
				guest_putc('-');
			guest_put_decimal(v < 0 ? -(uint32_t)v : (uint32_t)v);
			break;
		case 'u':
			guest_put_decimal(va_arg(args, unsigned int));
			break;
		case 'x':
			if (longs == 2)
				guest_put_hex(va_arg(args, unsigned long long), width);
			else if (longs)
				guest_put_hex(va_arg(args, unsigned long), width);
			else
				guest_put_hex(va_arg(args, unsigned int), width);
			break;
		default:
			guest_putc(*fmt);
			break;
		}
	}
	va_end(args);
}

void guest_check(bool ok, const char *what)
{
	any_failed |= !ok;
	guest_printf("%s: %s\n", ok ? "ok" : "FAILED", what);
}

void guest_exit(unsigned int n)
{
	while (!(inb(COM1 + LSR) & LSR_IDLE))
		cpu_relax();
	outl(DEBUG_EXIT, n);
	for (;;)
		__asm__ volatile("cli; hlt");
}

void guest_finish(void)
{
	guest_exit(any_failed ? GUEST_FAILED : GUEST_PASSED);
}

bool guest_text_equal(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

bool guest_text_has(const char *text, const char *part)
{
	for (; *text; text++) {
		size_t i = 0;

		while (part[i] && text[i] == part[i])
			i++;
		if (!part[i])
			return true;
	}
	return false;
}

static void guest_read_multiboot(const uint32_t *info)
{
	guest_boot.multiboot = info;
	if (info[0] & MULTIBOOT_HAS_CMDLINE)
		guest_boot.cmdline = (const char *)(uintptr_t)info[MULTIBOOT_CMDLINE];
	if ((info[0] & MULTIBOOT_HAS_MODULES) && info[MULTIBOOT_NR_MODULES]) {
		const uint32_t *module = (const uint32_t *)(uintptr_t)info[MULTIBOOT_MODULES];

		guest_boot.module = (const void *)(uintptr_t)module[0];
		guest_boot.module_len = module[1] - module[0];
	}
}

static void guest_read_start_info(const uint32_t *info)
{
	guest_boot.start_info = info;
	guest_boot.rsdp = info[PVH_RSDP];
	if (info[PVH_CMDLINE])
		guest_boot.cmdline = (const char *)(uintptr_t)info[PVH_CMDLINE];
	if (info[PVH_NR_MODULES]) {
		const uint32_t *module = (const uint32_t *)(uintptr_t)info[PVH_MODULES];

		guest_boot.module = (const void *)(uintptr_t)module[0];
		guest_boot.module_len = module[2];
	}
}

/* From assembly. magic: Multiboot's, or 0 for PVH. */
__attribute__((noreturn)) void guest_enter(uintptr_t magic, const uint32_t *info);

void guest_enter(uintptr_t magic, const uint32_t *info)
{
	guest_boot.cmdline = "";
	if (magic == MULTIBOOT_LOADER_MAGIC)
		guest_read_multiboot(info);
	else
		guest_read_start_info(info);
	irq_init();
	guest_main();
	guest_finish();
}

/* The compiler may call these. */
void *memset(void *to, int c, size_t len);
void *memcpy(void *to, const void *from, size_t len);

void *memset(void *to, int c, size_t len)
{
	volatile uint8_t *p = to;

	while (len--)
		*p++ = (uint8_t)c;
	return to;
}

void *memcpy(void *to, const void *from, size_t len)
{
	volatile uint8_t *p = to;
	const uint8_t *q = from;

	while (len--)
		*p++ = *q++;
	return to;
}
