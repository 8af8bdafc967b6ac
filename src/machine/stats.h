/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Figures of a running VM: exits by reason and by device register, interrupts, what is mapped for
 * DMA, time per start-up phase, and KVM's own counters.
 */
#ifndef AIRLOCK_MACHINE_STATS_H
#define AIRLOCK_MACHINE_STATS_H

#include <stdio.h>

#include "machine/vm.h"

/* For people. Loop thread. */
void stats_print(struct vm *vm, FILE *to);
/* The same as one JSON object on one line. */
void stats_print_json(struct vm *vm, FILE *to);

#endif
