/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Faults that the host's IOMMU reports of passed-through devices have consequences, too. The host's
 * kernel says them in its log alone, and only some of them (it limits the rate), so what is seen here is a
 * lower bound and each line counts for several.
 *
 * The rule: a line is FAULT_WATCH_WEIGHT faults, policy is a leaky bucket per device; one that runs over
 * loses bus mastering, which its driver can see, and where it is behind the guest's unit all its
 * requests are refused there.
 */
#ifndef AIRLOCK_MACHINE_FAULT_WATCH_H
#define AIRLOCK_MACHINE_FAULT_WATCH_H

#include "iommu/quarantine.h"
#include "machine/vm.h"

#define FAULT_WATCH_WEIGHT     4
#define FAULT_WATCH_BURST      40 /* ten lines at once are forgiven */
#define FAULT_WATCH_PER_SECOND 1

struct fault_watch;

/*
 * Begins to watch, if the VM has passed-through devices and the log may be read (else it says so); *watch
 * is NULL where there is nothing to watch. 0 or -ENOMEM. Loop thread.
 */
int fault_watch_start(struct vm *vm, struct fault_watch **watch);
void fault_watch_stop(struct fault_watch *watch);

/* One record of the log. Loop thread. */
void fault_watch_line(struct fault_watch *watch, const char *line);

#endif
