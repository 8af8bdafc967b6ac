/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The port by which a guest's kernel says that it has panicked. Linux finds it through ACPI
 * (QEMU0001) and writes what has happened; a read tells which of it the machine understands.
 *
 * QEMU docs/specs/pvpanic.rst.
 */
#ifndef AIRLOCK_DEVICE_PVPANIC_H
#define AIRLOCK_DEVICE_PVPANIC_H

#include "platform/device.h"
#include "platform/platform.h"

#define PVPANIC_PORT 0x505

/* 0 or -errno. */
int pvpanic_create(struct platform *platform, uint16_t port, struct device **out);

#endif
