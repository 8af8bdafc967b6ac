// SPDX-License-Identifier: GPL-2.0-or-later
#include "device/pvpanic.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bits.h"
#include "base/log.h"

#define PVPANIC_STATE_VERSION 1
#define PVPANIC_LINES	      4

#define PVPANIC_PANICKED      BIT(0)
#define PVPANIC_CRASHLOADED   BIT(1)

struct pvpanic {
	struct device dev;
	struct platform *platform;
	struct bus_region region;
	struct log_budget budget;
};

static uint64_t pvpanic_read(void *opaque, uint64_t offset, unsigned int size)
{
	return PVPANIC_PANICKED | PVPANIC_CRASHLOADED;
}

static void pvpanic_write(void *opaque, uint64_t offset, unsigned int size, uint64_t value)
{
	struct pvpanic *p = opaque;

	if (value & PVPANIC_PANICKED)
		platform_power(p->platform, POWER_PANIC, 0);
	else if (value & PVPANIC_CRASHLOADED)
		/* It has loaded a kernel that writes the dump: ending the run would lose that. */
		log_limited(&p->budget, LOG_WARNING, p->dev.name,
			    "the guest has panicked and starts its crash kernel");
}

static const struct bus_region_ops pvpanic_region_ops = {
	.read = pvpanic_read,
	.write = pvpanic_write,
};

static void pvpanic_reset(struct device *dev)
{
	/* It holds nothing. */
}

static void pvpanic_save(struct device *dev, struct state_writer *w)
{
	state_begin(w, dev->name, PVPANIC_STATE_VERSION);
	state_end(w);
}

static int pvpanic_load(struct device *dev, struct state_reader *r)
{
	state_enter(r, dev->name, PVPANIC_STATE_VERSION);
	state_leave(r);
	return state_reader_status(r);
}

static void pvpanic_destroy(struct device *dev)
{
	struct pvpanic *p = container_of(dev, struct pvpanic, dev);

	platform_region_remove(p->platform, &p->region);
	platform_synchronize(p->platform);
	free(p);
}

static const struct device_ops pvpanic_device_ops = {
	.reset = pvpanic_reset,
	.save = pvpanic_save,
	.load = pvpanic_load,
	.destroy = pvpanic_destroy,
};

int pvpanic_create(struct platform *platform, uint16_t port, struct device **out)
{
	struct pvpanic *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return -ENOMEM;
	p->dev.ops = &pvpanic_device_ops;
	snprintf(p->dev.name, sizeof(p->dev.name), "pvpanic");
	p->platform = platform;
	p->region = (struct bus_region){
		.name = p->dev.name,
		.space = BUS_PIO,
		.range = range_of(port, 1),
		.ops = &pvpanic_region_ops,
		.opaque = p,
	};
	atomic_init(&p->budget.used, 0);
	err = platform_region_add(platform, &p->region);
	if (err) {
		free(p);
		return err;
	}
	*out = &p->dev;
	return 0;
}
