// SPDX-License-Identifier: GPL-2.0-or-later
#include "device/debug_exit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bits.h"

#define DEBUG_EXIT_STATE_VERSION 1

struct debug_exit {
	struct device dev;
	struct platform *platform;
	struct bus_region region;
};

static uint64_t debug_exit_read(void *opaque, uint64_t offset, unsigned int size)
{
	return bytes_mask(size);
}

static void debug_exit_write(void *opaque, uint64_t offset, unsigned int size, uint64_t value)
{
	struct debug_exit *exit = opaque;

	/* A process has 8 bits to say how it ended. */
	if (!offset)
		platform_power(exit->platform, POWER_EXIT, (int)((value << 1 | 1) & 0xff));
}

static const struct bus_region_ops debug_exit_region_ops = {
	.read = debug_exit_read,
	.write = debug_exit_write,
};

static void debug_exit_reset(struct device *dev)
{
	/* It holds nothing. */
}

static void debug_exit_save(struct device *dev, struct state_writer *w)
{
	state_begin(w, dev->name, DEBUG_EXIT_STATE_VERSION);
	state_end(w);
}

static int debug_exit_load(struct device *dev, struct state_reader *r)
{
	state_enter(r, dev->name, DEBUG_EXIT_STATE_VERSION);
	state_leave(r);
	return state_reader_status(r);
}

static void debug_exit_destroy(struct device *dev)
{
	struct debug_exit *exit = container_of(dev, struct debug_exit, dev);

	platform_region_remove(exit->platform, &exit->region);
	platform_synchronize(exit->platform);
	free(exit);
}

static const struct device_ops debug_exit_device_ops = {
	.reset = debug_exit_reset,
	.save = debug_exit_save,
	.load = debug_exit_load,
	.destroy = debug_exit_destroy,
};

int debug_exit_create(struct platform *platform, uint16_t port, struct device **out)
{
	struct debug_exit *exit;
	int err;

	if (port > 0x10000 - DEBUG_EXIT_PORTS)
		return -EINVAL;
	exit = calloc(1, sizeof(*exit));
	if (!exit)
		return -ENOMEM;
	exit->dev.ops = &debug_exit_device_ops;
	snprintf(exit->dev.name, sizeof(exit->dev.name), "debug-exit");
	exit->platform = platform;
	exit->region = (struct bus_region){
		.name = exit->dev.name,
		.space = BUS_PIO,
		.range = range_of(port, DEBUG_EXIT_PORTS),
		.ops = &debug_exit_region_ops,
		.opaque = exit,
	};
	err = platform_region_add(platform, &exit->region);
	if (err) {
		free(exit);
		return err;
	}
	*out = &exit->dev;
	return 0;
}
