// SPDX-License-Identifier: GPL-2.0-or-later
#include "device/pm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bits.h"
#include "base/endian.h"
#include "base/lock.h"
#include "base/log.h"

#define PM_STATE_VERSION 1
#define PM_LINES	 4

/* ACPI 6.4, table 4.13 (status), 4.14 (enable), 4.15 (control). */
#define PM1_TIMER	 BIT(0)
#define PM1_BUS_MASTER	 BIT(4)
#define PM1_GLOBAL	 BIT(5)
#define PM1_POWER_BUTTON BIT(8)
#define PM1_SLEEP_BUTTON BIT(9)
#define PM1_RTC		 BIT(10)
#define PM1_PCIE_WAKE	 BIT(14) /* enable: disables */
#define PM1_WAKE	 BIT(15)
#define PM1_STATUS_ALL                                                                             \
	(PM1_TIMER | PM1_BUS_MASTER | PM1_GLOBAL | PM1_POWER_BUTTON | PM1_SLEEP_BUTTON | PM1_RTC | \
	 PM1_PCIE_WAKE | PM1_WAKE)
#define PM1_ENABLE_ALL \
	(PM1_TIMER | PM1_GLOBAL | PM1_POWER_BUTTON | PM1_SLEEP_BUTTON | PM1_RTC | PM1_PCIE_WAKE)
#define PM1_SCI_SOURCES (PM1_TIMER | PM1_GLOBAL | PM1_POWER_BUTTON | PM1_SLEEP_BUTTON | PM1_RTC)
#define PM1_SCI_EN	BIT(0)
#define PM1_BM_RLD	BIT(1)
#define PM1_SLP_TYP	GENMASK(12, 10)
#define PM1_SLP_EN	BIT(13) /* write-only */
#define PM1_CONTROL_RW	(PM1_BM_RLD | PM1_SLP_TYP)

/* Intel ICH9 (316972-004), 13.7.1 (port 92h), 5.9.2.2 (what a write of FEh to port 64h does). */
#define PM_KEYBOARD_PORT  0x64
#define PM_KEYBOARD_PULSE 0xfe
#define PM_FAST_PORT	  0x92
#define PM_FAST_INIT	  BIT(0)
#define PM_FAST_A20	  BIT(1)

struct pm {
	struct device dev;
	struct platform *platform;
	struct bus_region block, keyboard, fast;
	unsigned int sci_pin;
	uint8_t slp_typ_s5;
	struct loop_timer timer; /* the PM timer's top bit changes, and the guest wants to know */
	struct log_budget budget;

	struct lock lock; /* LOCK_DEVICE; everything below */
	uint16_t status, enable, control;
	uint64_t half;	   /* halves of the timer's period that status has seen */
	int64_t offset_ns; /* the guest's clock over the host's */
	bool sci;
	uint8_t fast_a20;
};

static struct pm *pm_of(struct device *dev)
{
	return container_of(dev, struct pm, dev);
}

static uint64_t pm_clock_ns(const struct pm *pm)
{
	return loop_now_ns() + (uint64_t)pm->offset_ns;
}

static uint64_t pm_ticks(const struct pm *pm)
{
	return (uint64_t)((unsigned __int128)pm_clock_ns(pm) * PM_TIMER_HZ / 1000000000);
}

/* TMR_STS is set whenever bit 31 changes (4.8.3.3). */
static void pm_timer_update_locked(struct pm *pm)
{
	uint64_t half = pm_ticks(pm) >> 31;

	if (half != pm->half)
		pm->status |= PM1_TIMER;
	pm->half = half;
}

static void pm_sci_update_locked(struct pm *pm)
{
	bool sci = pm->status & pm->enable & PM1_SCI_SOURCES;

	if (sci != pm->sci) {
		pm->sci = sci;
		platform_irq_set(pm->platform, pm->sci_pin, 0, sci);
	}
	/* Nobody has to be woken for what nobody waits for. */
	if (!(pm->enable & PM1_TIMER) || pm->status & PM1_TIMER) {
		loop_timer_set(&pm->timer, 0);
		return;
	}
	loop_timer_set(&pm->timer, (uint64_t)(((unsigned __int128)(pm->half + 1) << 31) *
					      1000000000 / PM_TIMER_HZ) +
					   1 - (uint64_t)pm->offset_ns);
}

static void pm_timer_fire(void *opaque)
{
	struct pm *pm = opaque;

	lock_take(&pm->lock);
	pm_timer_update_locked(pm);
	pm_sci_update_locked(pm);
	lock_drop(&pm->lock);
}

void pm_power_button(struct device *dev)
{
	struct pm *pm = pm_of(dev);

	lock_take(&pm->lock);
	pm->status |= PM1_POWER_BUTTON;
	pm_sci_update_locked(pm);
	lock_drop(&pm->lock);
}

static uint64_t pm_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct pm *pm = opaque;
	uint8_t image[PM_PORTS + 8] = { 0 };

	lock_take(&pm->lock);
	if (offset < PM_CONTROL)
		pm_timer_update_locked(pm);
	le_store(image + PM_EVENT, 2, pm->status);
	le_store(image + PM_EVENT + 2, 2, pm->enable);
	le_store(image + PM_CONTROL, 2, pm->control | PM1_SCI_EN);
	le_store(image + PM_TIMER, 4, pm_ticks(pm));
	lock_drop(&pm->lock);
	return le_load(image + offset, size);
}

/* The guest's word on how to sleep. Called with the lock held; true: switch off. */
static bool pm_control_write_locked(struct pm *pm, uint16_t value)
{
	pm->control = value & PM1_CONTROL_RW;
	if (!(value & PM1_SLP_EN))
		return false;
	if (FIELD_GET(PM1_SLP_TYP, value) == pm->slp_typ_s5)
		return true;
	log_limited(&pm->budget, LOG_WARNING, pm->dev.name,
		    "the guest asks for sleep type %u, which is not offered",
		    (unsigned int)FIELD_GET(PM1_SLP_TYP, value));
	return false;
}

static void pm_write(void *opaque, uint64_t offset, unsigned int size, uint64_t value)
{
	struct pm *pm = opaque;
	/* What is written, and which bytes of it: registers are narrower or wider than accesses. */
	uint8_t data[PM_PORTS + 8] = { 0 }, mask[PM_PORTS + 8] = { 0 };
	uint16_t bits;
	bool off = false;

	le_store(data + offset, size, value);
	le_store(mask + offset, size, ~0ull);
	lock_take(&pm->lock);
	pm_timer_update_locked(pm);
	pm->status &= (uint16_t)~le_load(data + PM_EVENT, 2) | (uint16_t)~PM1_STATUS_ALL;
	bits = (uint16_t)le_load(mask + PM_EVENT + 2, 2);
	pm->enable = (uint16_t)((pm->enable & ~bits) |
				(le_load(data + PM_EVENT + 2, 2) & bits & PM1_ENABLE_ALL));
	bits = (uint16_t)le_load(mask + PM_CONTROL, 2);
	if (bits)
		off = pm_control_write_locked(pm,
					      (uint16_t)((pm->control & ~bits) |
							 (le_load(data + PM_CONTROL, 2) & bits)));
	pm_sci_update_locked(pm);
	lock_drop(&pm->lock);
	if (off)
		platform_power(pm->platform, POWER_OFF, 0);
}

static const struct bus_region_ops pm_block_ops = {
	.read = pm_read,
	.write = pm_write,
};

/* All ones: Linux takes it for "no keyboard controller". */
static uint64_t pm_keyboard_read(void *opaque, uint64_t offset, unsigned int size)
{
	return bytes_mask(size);
}

static void pm_keyboard_write(void *opaque, uint64_t offset, unsigned int size, uint64_t value)
{
	struct pm *pm = opaque;

	if ((uint8_t)value == PM_KEYBOARD_PULSE)
		platform_power(pm->platform, POWER_RESET, 0);
}

static const struct bus_region_ops pm_keyboard_ops = {
	.read = pm_keyboard_read,
	.write = pm_keyboard_write,
};

static uint64_t pm_fast_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct pm *pm = opaque;
	uint8_t value;

	lock_take(&pm->lock);
	value = pm->fast_a20;
	lock_drop(&pm->lock);
	return value;
}

/* A20 is never masked here; the bit remembers, as drivers check. */
static void pm_fast_write(void *opaque, uint64_t offset, unsigned int size, uint64_t value)
{
	struct pm *pm = opaque;

	lock_take(&pm->lock);
	pm->fast_a20 = value & PM_FAST_A20;
	lock_drop(&pm->lock);
	if (value & PM_FAST_INIT)
		platform_power(pm->platform, POWER_RESET, 0);
}

static const struct bus_region_ops pm_fast_ops = {
	.read = pm_fast_read,
	.write = pm_fast_write,
};

static void pm_reset_locked(struct pm *pm)
{
	pm->status = pm->enable = pm->control = 0;
	pm->fast_a20 = PM_FAST_A20;
	pm->half = pm_ticks(pm) >> 31;
}

static void pm_reset(struct device *dev)
{
	struct pm *pm = pm_of(dev);

	lock_take(&pm->lock);
	pm_reset_locked(pm);
	pm_sci_update_locked(pm);
	lock_drop(&pm->lock);
}

static void pm_save(struct device *dev, struct state_writer *w)
{
	struct pm *pm = pm_of(dev);

	lock_take(&pm->lock);
	pm_timer_update_locked(pm);
	state_begin(w, dev->name, PM_STATE_VERSION);
	state_put_u16(w, pm->status);
	state_put_u16(w, pm->enable);
	state_put_u16(w, pm->control);
	state_put_u8(w, pm->fast_a20);
	state_put_u64(w, pm_clock_ns(pm));
	state_end(w);
	lock_drop(&pm->lock);
}

static int pm_load(struct device *dev, struct state_reader *r)
{
	struct pm *pm = pm_of(dev);
	uint16_t status, enable, control;
	uint64_t clock_ns;
	uint8_t fast;

	state_enter(r, dev->name, PM_STATE_VERSION);
	status = state_get_u16(r);
	enable = state_get_u16(r);
	control = state_get_u16(r);
	fast = state_get_u8(r);
	clock_ns = state_get_u64(r);
	state_leave(r);
	/* Beyond this the deadline's arithmetic would wrap; nobody has run for a century. */
	if (!r->err && clock_ns >= BIT64(62))
		r->err = -EPROTO;
	if (state_reader_status(r))
		return state_reader_status(r);

	lock_take(&pm->lock);
	pm->status = status & PM1_STATUS_ALL;
	pm->enable = enable & PM1_ENABLE_ALL;
	pm->control = control & PM1_CONTROL_RW;
	pm->fast_a20 = fast & PM_FAST_A20;
	pm->offset_ns = (int64_t)(clock_ns - loop_now_ns());
	pm->half = pm_ticks(pm) >> 31;
	pm_sci_update_locked(pm);
	lock_drop(&pm->lock);
	return 0;
}

static void pm_destroy(struct device *dev)
{
	struct pm *pm = pm_of(dev);

	platform_region_remove(pm->platform, &pm->fast);
	platform_region_remove(pm->platform, &pm->keyboard);
	platform_region_remove(pm->platform, &pm->block);
	platform_synchronize(pm->platform);
	loop_timer_fini(pm->platform->loop, &pm->timer);
	if (pm->sci)
		platform_irq_set(pm->platform, pm->sci_pin, 0, false);
	lock_fini(&pm->lock);
	free(pm);
}

static const struct device_ops pm_device_ops = {
	.reset = pm_reset,
	.save = pm_save,
	.load = pm_load,
	.destroy = pm_destroy,
};

static void pm_region_fill(struct pm *pm, struct bus_region *region, const char *name,
			   struct range range, const struct bus_region_ops *ops)
{
	*region = (struct bus_region){
		.name = name,
		.space = BUS_PIO,
		.range = range,
		.ops = ops,
		.opaque = pm,
	};
}

int pm_create(struct platform *platform, const struct pm_config *config, struct device **out)
{
	struct pm *pm = calloc(1, sizeof(*pm));
	int err;

	if (!pm)
		return -ENOMEM;
	pm->dev.ops = &pm_device_ops;
	snprintf(pm->dev.name, sizeof(pm->dev.name), "pm");
	pm->platform = platform;
	pm->sci_pin = config->sci_pin;
	pm->slp_typ_s5 = config->slp_typ_s5;
	/* The guest's PM timer begins at 0: the host's uptime is none of its business. */
	pm->offset_ns = -(int64_t)loop_now_ns();
	atomic_init(&pm->budget.used, 0);
	lock_init(&pm->lock, LOCK_DEVICE);
	pm_reset_locked(pm);
	pm_region_fill(pm, &pm->block, pm->dev.name, range_of(config->port, PM_PORTS),
		       &pm_block_ops);
	pm_region_fill(pm, &pm->keyboard, "port 64h", range_of(PM_KEYBOARD_PORT, 1),
		       &pm_keyboard_ops);
	pm_region_fill(pm, &pm->fast, "port 92h", range_of(PM_FAST_PORT, 1), &pm_fast_ops);
	err = loop_timer_init(platform->loop, &pm->timer, pm_timer_fire, pm);
	if (err)
		goto err_free;
	err = platform_region_add(platform, &pm->block);
	if (err)
		goto err_timer;
	err = platform_region_add(platform, &pm->keyboard);
	if (err)
		goto err_block;
	err = platform_region_add(platform, &pm->fast);
	if (err)
		goto err_keyboard;
	*out = &pm->dev;
	return 0;

err_keyboard:
	platform_region_remove(platform, &pm->keyboard);
err_block:
	platform_region_remove(platform, &pm->block);
	platform_synchronize(platform);
err_timer:
	loop_timer_fini(platform->loop, &pm->timer);
err_free:
	lock_fini(&pm->lock);
	free(pm);
	return err;
}
