// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Each way to reset leads to a fresh start: the image as it was in the file, devices as at power-on,
 * and CMOS memory, which counts, as it was left.
 */
// EXPECT: start 1
// EXPECT: start 2
// EXPECT: start 3
// EXPECT: start 4
// EXPECT: ok: memory was fresh and the serial port reset each time
// STATUS: 1
#include "lib/irq.h"

#define CMOS_COUNT 0x70
#define CMOS_WRONG 0x71
#define CMOS_MAGIC 0x72
#define MAGIC	   0xb7

static volatile uint32_t touched = 0x600d;

static uint8_t cmos_read(uint8_t reg)
{
	outb(0x70, reg);
	return inb(0x71);
}

static void cmos_write(uint8_t reg, uint8_t v)
{
	outb(0x70, reg);
	outb(0x71, v);
}

void guest_main(void)
{
	uint8_t count;

	if (cmos_read(CMOS_MAGIC) != MAGIC) {
		cmos_write(CMOS_MAGIC, MAGIC);
		cmos_write(CMOS_COUNT, 0);
		cmos_write(CMOS_WRONG, 0);
	}
	count = (uint8_t)(cmos_read(CMOS_COUNT) + 1);
	cmos_write(CMOS_COUNT, count);
	if (touched != 0x600d || inb(COM1 + 7) == 0x5a)
		cmos_write(CMOS_WRONG, 1);
	touched = 0xbad;
	outb(COM1 + 7, 0x5a);
	guest_printf("start %u\n", count);
	switch (count) {
	case 1:
		outb(0xcf9, 2);
		outb(0xcf9, 6);
		break;
	case 2:
		outb(0x64, 0xfe);
		break;
	case 3:
		outb(0x92, 1);
		break;
	default:
		guest_check(!cmos_read(CMOS_WRONG),
			    "memory was fresh and the serial port reset each time");
		guest_finish();
	}
	for (;;)
		cpu_relax();
}
