/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What every device, emulated or passed through, owes the machine from its first day: reset,
 * quiesce and resume, save and load (or the reason why not), and removal.
 */
#ifndef AIRLOCK_PLATFORM_DEVICE_H
#define AIRLOCK_PLATFORM_DEVICE_H

#include "base/state.h"
#include "base/types.h"

struct device;

struct device_ops {
	/* Power-on state. vCPUs are stopped. */
	void (*reset)(struct device *dev);
	/* Starts nothing new and finishes or parks what is in flight. NULL: nothing ever is. */
	void (*quiesce)(struct device *dev);
	void (*resume)(struct device *dev);
	/* One section of the stream. Both NULL where cannot_migrate says why. */
	void (*save)(struct device *dev, struct state_writer *w);
	int (*load)(struct device *dev, struct state_reader *r);
	const char *cannot_migrate;
	/* Unregisters everything, waits for handlers, frees. Loop thread, no lock held. */
	void (*destroy)(struct device *dev);
};

/* First member of every device. */
struct device {
	const struct device_ops *ops;
	char name[48];	     /* as every message and figure names it */
	struct device *next; /* the machine's list, in order of creation */
};

#endif
