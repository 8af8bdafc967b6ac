/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bindings that come back with every boot: one udev rule file for each function, which binds it when
 * the kernel announces it, by the same command as a person would, with the same refusals. The rule
 * names what the function is as well as where: other hardware that turns up at the address is left
 * alone. Everything is in the one file; removing it ends it.
 */
#ifndef AIRLOCK_ASSIGN_PERSIST_H
#define AIRLOCK_ASSIGN_PERSIST_H

#include "base/diag.h"
#include "host/pci.h"

#define ASSIGN_RULE_FOLDER "/etc/udev/rules.d"

/*
 * Makes the rule of a function that came from `driver` (empty for none), for the program at the path
 * `program`. -EINVAL for a VF, which does not outlive the boot, and for a path that a rule cannot
 * hold; -ENOENT where there is no udev; diag filled, and there is no rule then.
 */
int assign_persist(struct sys *sys, const struct host_function *function, const char *driver,
		   const char *program, struct diag *diag);

/* Removes the rule. 0 when there is none. */
int assign_persist_forget(struct sys *sys, const char *name, struct diag *diag);

#endif
