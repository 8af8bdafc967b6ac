/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The CMOS clock: an MC146818 (Motorola data sheet ADI1026) with 128 bytes, at ports 70h and 71h.
 * It keeps the host's time of day, in UTC, plus what the guest has set it off by. The memory
 * survives a reset, as a battery would have it.
 *
 * Nothing runs while nobody waits: flags are worked out when they are read, and a timer is armed
 * only for an interrupt that is enabled and not already pending.
 */
#ifndef AIRLOCK_DEVICE_RTC_H
#define AIRLOCK_DEVICE_RTC_H

#include "platform/device.h"
#include "platform/platform.h"

#define RTC_PORT     0x70
#define RTC_PIN	     8
#define RTC_CENTURY  0x32 /* as the FADT has to say */
#define RTC_SHUTDOWN 0x0f /* what a BIOS is to do after a reset */

struct rtc_config {
	uint16_t port;
	unsigned int pin; /* share 0 */
	/* RAM as a BIOS notes it for old loaders and small kernels: bytes from 0, and from 4 GiB. */
	uint64_t ram_low, ram_high;
	/* Nanoseconds since 1970, UTC; NULL: CLOCK_REALTIME. Any thread. */
	uint64_t (*clock)(void *opaque);
	void *opaque;
};

/* 0 or -errno. On the loop's thread or before it runs. */
int rtc_create(struct platform *platform, const struct rtc_config *config, struct device **out);

#endif
