/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A 16550A serial port. National Semiconductor PC16550D data sheet (1995), section 8; what PC
 * drivers further expect is said where it is done.
 *
 * Output never makes a vCPU wait: a byte goes into a buffer which the loop empties into the back
 * end, in batches. While the buffer is full the transmitter is busy, as a real one would be, and
 * its interrupt comes when half of it is free. Bit times are not modelled.
 */
#ifndef AIRLOCK_DEVICE_SERIAL_H
#define AIRLOCK_DEVICE_SERIAL_H

#include "backend/character.h"
#include "platform/device.h"
#include "platform/platform.h"

#define SERIAL_PORTS 8 /* length of its range of ports */

struct serial_config {
	const char *name; /* copied; NULL: "serial0" */
	uint16_t port;	  /* 0x3f8 for COM1 */
	unsigned int pin; /* of the I/O APIC; share 0 */
	/* Where characters go and come from; borrowed, outlives the device. NULL: nowhere. */
	struct character *backend;
};

/* 0 or -errno. On the loop's thread or before it runs; attaches to the back end. */
int serial_create(struct platform *platform, const struct serial_config *config,
		  struct device **out);

#endif
