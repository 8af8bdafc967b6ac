/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A port that ends the run: a test kernel writes n, and the run's exit status is (n << 1) | 1, so
 * that no guest can claim the status of a run that ended by itself. Write-only; reads give ones.
 */
#ifndef AIRLOCK_DEVICE_DEBUG_EXIT_H
#define AIRLOCK_DEVICE_DEBUG_EXIT_H

#include "platform/device.h"
#include "platform/platform.h"

#define DEBUG_EXIT_PORT	 0xf4 /* where nothing else is said */
#define DEBUG_EXIT_PORTS 4

/* 0 or -errno: -EINVAL for a port whose range leaves the I/O space, -EBUSY for one taken. */
int debug_exit_create(struct platform *platform, uint16_t port, struct device **out);

#endif
