/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host's interrupts of a passed-through device: on CPUs near its guest. */
#ifndef AIRLOCK_ASSIGN_IRQS_H
#define AIRLOCK_ASSIGN_IRQS_H

#include "sys/sys.h"

/*
 * Lets the function's message-signalled interrupts go to these CPUs. They are there once its guest
 * has turned them on. Returns how many were moved; -ENOENT when there is none, or the error of the
 * first that the host does not let go elsewhere (the others are moved).
 */
int assign_irqs_place(struct sys *sys, const char *name, const struct sys_cpu_set *cpus);

#endif
