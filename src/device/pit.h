/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An 8254 interval timer at ports 40h to 43h (Intel 8254, 231164-005) and the port 61h bits that
 * belong to it. Small kernels calibrate with channel 2 or tick with channel 0; nobody else needs
 * it, so it costs nothing until it is programmed. Counters are worked out from the clock when they
 * are looked at; only channel 0's interrupt has a timer.
 *
 * Ticks that could not be delivered in time are left out, not made up for.
 */
#ifndef AIRLOCK_DEVICE_PIT_H
#define AIRLOCK_DEVICE_PIT_H

#include "platform/device.h"
#include "platform/platform.h"

#define PIT_PORT      0x40
#define PIT_GATE_PORT 0x61
#define PIT_HZ	      1193182
#define PIT_PIN	      2 /* ISA IRQ 0 arrives here on a PC; an override in the MADT says so */

struct pit_config {
	unsigned int pin; /* of channel 0; share 0 */
	/* Nanoseconds, monotonic; NULL: CLOCK_MONOTONIC. Any thread. */
	uint64_t (*clock)(void *opaque);
	void *opaque;
};

/* 0 or -errno. On the loop's thread or before it runs. */
int pit_create(struct platform *platform, const struct pit_config *config, struct device **out);

#endif
