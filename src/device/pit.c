// SPDX-License-Identifier: GPL-2.0-or-later
#include "device/pit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/lock.h"

#define PIT_STATE_VERSION 1
#define PIT_PORTS	  4
#define PIT_CHANNELS	  3
#define PIT_CONTROL	  3 /* port; the channels' are 0 to 2 */

/* Control word (231164-005, figures 7 and 11 to 13). */
#define PIT_CW_CHANNEL	  GENMASK(7, 6)
#define PIT_CW_READBACK	  3u
#define PIT_CW_ACCESS	  GENMASK(5, 4)
#define PIT_ACCESS_LATCH  0u
#define PIT_ACCESS_LOW	  1u
#define PIT_ACCESS_HIGH	  2u
#define PIT_ACCESS_BOTH	  3u
#define PIT_CW_MODE	  GENMASK(3, 1)
#define PIT_CW_BCD	  BIT(0)
#define PIT_CW_KEPT	  GENMASK(5, 0)
#define PIT_RB_NO_COUNT	  BIT(5)
#define PIT_RB_NO_STATUS  BIT(4)
#define PIT_RB_CHANNEL(n) BIT(1 + (n))
#define PIT_ST_OUT	  BIT(7)
#define PIT_ST_NULL	  BIT(6)

/* Port 61h (Intel ICH9, 13.7.1.1). */
#define PIT_GATE_ENABLE	 BIT(0)
#define PIT_GATE_SPEAKER BIT(1)
#define PIT_GATE_KEPT	 GENMASK(3, 0)
#define PIT_GATE_REFRESH BIT(4)
#define PIT_GATE_OUT2	 BIT(5)
#define PIT_REFRESH_NS	 15085u

/* The loop is not to be kept busy by a guest that asks for a million ticks a second. */
#define PIT_TICK_MIN_NS 50000u

struct pit_channel {
	uint8_t control; /* access, mode, BCD: as in a status byte */
	bool gate;
	bool loaded;	   /* a whole count has been written since the control word */
	bool started;	   /* counting has begun: loaded, or triggered in modes 1 and 5 */
	uint32_t count;	   /* initial count, 1..65536 */
	uint64_t since_ns; /* when the elapsed ticks were 0, while the gate lets it count */
	uint64_t elapsed;  /* ticks, while it does not */
	bool counting;
	/* Two-byte accesses and latches. */
	bool read_high, write_high;
	uint8_t write_low;
	bool count_latched, status_latched;
	uint16_t latch;
	uint8_t status;
};

struct pit {
	struct device dev;
	struct platform *platform;
	struct bus_region region, gate_region;
	unsigned int pin;
	uint64_t (*clock)(void *opaque);
	void *opaque;
	struct loop_timer timer;

	struct lock lock; /* LOCK_DEVICE; everything below */
	struct pit_channel channels[PIT_CHANNELS];
	uint8_t gate_bits;
	bool irq;
};

static struct pit *pit_of(struct device *dev)
{
	return container_of(dev, struct pit, dev);
}

static uint64_t pit_host_clock(void *opaque)
{
	return loop_now_ns();
}

static uint64_t pit_ns_to_ticks(uint64_t ns)
{
	return (uint64_t)((unsigned __int128)ns * PIT_HZ / 1000000000);
}

/* The first nanosecond at which so many ticks have passed. */
static uint64_t pit_ticks_to_ns(uint64_t ticks)
{
	return (uint64_t)(((unsigned __int128)ticks * 1000000000 + PIT_HZ - 1) / PIT_HZ);
}

/* Modes 6 and 7 are 2 and 3. */
static unsigned int pit_mode(const struct pit_channel *c)
{
	unsigned int mode = FIELD_GET(PIT_CW_MODE, c->control);

	return mode > 5 ? mode - 4 : mode;
}

static bool pit_is_periodic(const struct pit_channel *c)
{
	return pit_mode(c) == 2 || pit_mode(c) == 3;
}

static uint64_t pit_elapsed(const struct pit_channel *c, uint64_t now)
{
	return c->counting ? pit_ns_to_ticks(now - c->since_ns) : c->elapsed;
}

/* The output pin (figures 15 to 20). */
static bool pit_out(const struct pit_channel *c, uint64_t now)
{
	uint64_t elapsed = pit_elapsed(c, now);

	if (!c->started)
		return pit_mode(c) != 0;
	switch (pit_mode(c)) {
	case 0:
	case 1:
		return elapsed >= c->count;
	case 2:
		return !c->gate || elapsed % c->count != c->count - 1;
	case 3:
		return !c->gate || elapsed % c->count < (c->count + 1) / 2;
	default:
		/* A strobe of one tick. */
		return elapsed != c->count;
	}
}

static uint16_t pit_count(const struct pit_channel *c, uint64_t now)
{
	uint32_t modulus = c->control & PIT_CW_BCD ? 10000 : 65536;
	uint64_t elapsed = pit_elapsed(c, now);
	uint32_t v;

	if (!c->started)
		v = c->count;
	else if (pit_mode(c) == 2)
		v = c->count - (uint32_t)(elapsed % c->count);
	else if (pit_mode(c) == 3)
		/* Counts by two, twice per period. */
		v = c->count - (uint32_t)(elapsed * 2 % c->count);
	else
		v = (uint32_t)((c->count + modulus - elapsed % modulus) % modulus);
	v %= modulus;
	if (c->control & PIT_CW_BCD)
		v = v / 1000 << 12 | v / 100 % 10 << 8 | v / 10 % 10 << 4 | v % 10;
	return (uint16_t)v;
}

/* ---- channel 0's interrupt ---- */

static void pit_irq_set_locked(struct pit *pit, bool level)
{
	if (level == pit->irq)
		return;
	pit->irq = level;
	platform_irq_set(pit->platform, pit->pin, 0, level);
}

/* Arms the timer for the next rise of the output. */
static void pit_arm_locked(struct pit *pit)
{
	const struct pit_channel *c = &pit->channels[0];
	uint64_t now = pit->clock(pit->opaque), elapsed, ticks, wait;

	if (!c->started || !c->counting || (!pit_is_periodic(c) && pit->irq)) {
		loop_timer_set(&pit->timer, 0);
		return;
	}
	elapsed = pit_elapsed(c, now);
	if (pit_is_periodic(c))
		ticks = (elapsed / c->count + 1) * c->count;
	else
		ticks = pit_mode(c) < 2 ? c->count : c->count + 1;
	wait = ticks > elapsed ? c->since_ns + pit_ticks_to_ns(ticks) - now : 0;
	loop_timer_set(&pit->timer, loop_now_ns() + max_u64(wait, PIT_TICK_MIN_NS));
}

static void pit_fire(void *opaque)
{
	struct pit *pit = opaque;
	struct pit_channel *c = &pit->channels[0];

	lock_take(&pit->lock);
	/* It may have been programmed anew since the timer was armed: nothing to say then. */
	if (c->started && c->counting) {
		if (pit_is_periodic(c)) {
			pit_irq_set_locked(pit, false);
			pit_irq_set_locked(pit, true);
		} else if (pit_elapsed(c, pit->clock(pit->opaque)) >= c->count) {
			pit_irq_set_locked(pit, true);
		}
		pit_arm_locked(pit);
	}
	lock_drop(&pit->lock);
}

/* ---- programming ---- */

static void pit_start_locked(struct pit *pit, struct pit_channel *c)
{
	c->started = true;
	c->counting = c->gate;
	c->elapsed = 0;
	c->since_ns = pit->clock(pit->opaque);
}

static void pit_load_locked(struct pit *pit, unsigned int n, uint16_t raw)
{
	struct pit_channel *c = &pit->channels[n];
	unsigned int mode = pit_mode(c);
	uint32_t count = raw;

	if (c->control & PIT_CW_BCD)
		count = (raw >> 12) * 1000u + (raw >> 8 & 0xf) * 100u + (raw >> 4 & 0xf) * 10u +
			(raw & 0xf);
	/* Zero is the largest count; a period of one tick does not exist. */
	if (!count)
		count = c->control & PIT_CW_BCD ? 10000 : 65536;
	if (pit_is_periodic(c) && count == 1)
		count = 2;
	c->count = count;
	c->loaded = true;
	/*
	 * Modes 1 and 5 wait for a trigger. A new count in a periodic mode belongs to the next
	 * period; starting it at once differs by less than one period, which no one can tell.
	 */
	if (mode != 1 && mode != 5)
		pit_start_locked(pit, c);
	if (n)
		return;
	pit_irq_set_locked(pit, mode != 0);
	pit_arm_locked(pit);
}

static void pit_latch_count_locked(struct pit *pit, struct pit_channel *c)
{
	/* A second latch before the first is read is ignored. */
	if (c->count_latched)
		return;
	c->latch = pit_count(c, pit->clock(pit->opaque));
	c->count_latched = true;
}

static void pit_latch_status_locked(struct pit *pit, struct pit_channel *c)
{
	if (c->status_latched)
		return;
	c->status = c->control;
	c->status |= pit_out(c, pit->clock(pit->opaque)) ? PIT_ST_OUT : 0;
	c->status |= c->loaded ? 0 : PIT_ST_NULL;
	c->status_latched = true;
}

static void pit_control_locked(struct pit *pit, uint8_t word)
{
	unsigned int n = FIELD_GET(PIT_CW_CHANNEL, word);
	struct pit_channel *c;

	if (n == PIT_CW_READBACK) {
		for (n = 0; n < PIT_CHANNELS; n++) {
			if (!(word & PIT_RB_CHANNEL(n)))
				continue;
			if (!(word & PIT_RB_NO_COUNT))
				pit_latch_count_locked(pit, &pit->channels[n]);
			if (!(word & PIT_RB_NO_STATUS))
				pit_latch_status_locked(pit, &pit->channels[n]);
		}
		return;
	}
	c = &pit->channels[n];
	if (FIELD_GET(PIT_CW_ACCESS, word) == PIT_ACCESS_LATCH) {
		pit_latch_count_locked(pit, c);
		return;
	}
	*c = (struct pit_channel){
		.control = word & PIT_CW_KEPT,
		.gate = c->gate,
		.count = 65536,
	};
	if (n)
		return;
	pit_irq_set_locked(pit, pit_mode(c) != 0);
	pit_arm_locked(pit);
}

static void pit_channel_write_locked(struct pit *pit, unsigned int n, uint8_t value)
{
	struct pit_channel *c = &pit->channels[n];

	switch (FIELD_GET(PIT_CW_ACCESS, c->control)) {
	case PIT_ACCESS_LOW:
		pit_load_locked(pit, n, value);
		break;
	case PIT_ACCESS_HIGH:
		pit_load_locked(pit, n, (uint16_t)(value << 8));
		break;
	case PIT_ACCESS_BOTH:
		c->write_high = !c->write_high;
		if (c->write_high)
			c->write_low = value;
		else
			pit_load_locked(pit, n, (uint16_t)(value << 8 | c->write_low));
		break;
	default:
		/* No control word yet: the chip has no mode to count in. */
		break;
	}
}

static uint8_t pit_channel_read_locked(struct pit *pit, unsigned int n)
{
	struct pit_channel *c = &pit->channels[n];
	unsigned int access = FIELD_GET(PIT_CW_ACCESS, c->control);
	bool high;
	uint16_t v;

	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	v = c->count_latched ? c->latch : pit_count(c, pit->clock(pit->opaque));
	high = access == PIT_ACCESS_HIGH;
	if (access == PIT_ACCESS_BOTH) {
		high = c->read_high;
		c->read_high = !c->read_high;
	}
	if (access != PIT_ACCESS_BOTH || high)
		c->count_latched = false;
	return (uint8_t)(high ? v >> 8 : v);
}

/* Channel 2's gate is port 61h's bit 0; the other two are always open. */
static void pit_gate_locked(struct pit *pit, bool gate)
{
	struct pit_channel *c = &pit->channels[2];
	unsigned int mode = pit_mode(c);
	uint64_t now = pit->clock(pit->opaque);

	if (gate == c->gate)
		return;
	if (mode == 1 || mode == 5) {
		/* Rising triggers, falling does nothing. */
		c->gate = gate;
		if (gate && c->loaded)
			pit_start_locked(pit, c);
		c->counting = c->started;
		return;
	}
	if (!gate) {
		c->elapsed = pit_elapsed(c, now);
		c->counting = false;
	} else if (c->started) {
		/* Modes 0 and 4 go on where they stopped, 2 and 3 begin anew. */
		if (pit_is_periodic(c))
			c->elapsed = 0;
		c->since_ns = now - pit_ticks_to_ns(c->elapsed);
		c->counting = true;
	}
	c->gate = gate;
}

/* ---- ports ---- */

static uint64_t pit_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct pit *pit = opaque;
	uint64_t value = 0;

	lock_take(&pit->lock);
	for (unsigned int i = 0; i < size; i++) {
		unsigned int port = (unsigned int)offset + i;
		/* The control port cannot be read. */
		uint8_t byte = port == PIT_CONTROL ? 0xff : pit_channel_read_locked(pit, port);

		value |= (uint64_t)byte << 8 * i;
	}
	lock_drop(&pit->lock);
	return value;
}

static void pit_write(void *opaque, uint64_t offset, unsigned int size, uint64_t value)
{
	struct pit *pit = opaque;

	lock_take(&pit->lock);
	for (unsigned int i = 0; i < size; i++) {
		unsigned int port = (unsigned int)offset + i;
		uint8_t byte = (uint8_t)(value >> 8 * i);

		if (port == PIT_CONTROL)
			pit_control_locked(pit, byte);
		else
			pit_channel_write_locked(pit, port, byte);
	}
	lock_drop(&pit->lock);
}

static const struct bus_region_ops pit_region_ops = {
	.read = pit_read,
	.write = pit_write,
};

static uint64_t pit_gate_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct pit *pit = opaque;
	uint64_t now = pit->clock(pit->opaque);
	uint8_t value;

	lock_take(&pit->lock);
	value = pit->gate_bits;
	value |= now / PIT_REFRESH_NS & 1 ? PIT_GATE_REFRESH : 0;
	value |= pit_out(&pit->channels[2], now) ? PIT_GATE_OUT2 : 0;
	lock_drop(&pit->lock);
	return value;
}

static void pit_gate_write(void *opaque, uint64_t offset, unsigned int size, uint64_t value)
{
	struct pit *pit = opaque;

	lock_take(&pit->lock);
	pit->gate_bits = value & PIT_GATE_KEPT;
	pit_gate_locked(pit, value & PIT_GATE_ENABLE);
	lock_drop(&pit->lock);
}

static const struct bus_region_ops pit_gate_ops = {
	.read = pit_gate_read,
	.write = pit_gate_write,
};

static void pit_reset_locked(struct pit *pit)
{
	for (unsigned int n = 0; n < PIT_CHANNELS; n++)
		pit->channels[n] = (struct pit_channel){ .gate = n != 2, .count = 65536 };
	pit->gate_bits = 0;
}

static void pit_reset(struct device *dev)
{
	struct pit *pit = pit_of(dev);

	lock_take(&pit->lock);
	pit_reset_locked(pit);
	pit_irq_set_locked(pit, false);
	pit_arm_locked(pit);
	lock_drop(&pit->lock);
}

static void pit_save(struct device *dev, struct state_writer *w)
{
	struct pit *pit = pit_of(dev);
	uint64_t now;

	lock_take(&pit->lock);
	now = pit->clock(pit->opaque);
	state_begin(w, dev->name, PIT_STATE_VERSION);
	for (unsigned int n = 0; n < PIT_CHANNELS; n++) {
		const struct pit_channel *c = &pit->channels[n];

		state_put_u8(w, c->control);
		state_put_u8(w, c->gate);
		state_put_u8(w, c->loaded);
		state_put_u8(w, c->started);
		state_put_u32(w, c->count);
		state_put_u64(w, pit_elapsed(c, now));
		state_put_u8(w, c->counting);
		state_put_u8(w, c->read_high);
		state_put_u8(w, c->write_high);
		state_put_u8(w, c->write_low);
		state_put_u8(w, c->count_latched);
		state_put_u8(w, c->status_latched);
		state_put_u16(w, c->latch);
		state_put_u8(w, c->status);
	}
	state_put_u8(w, pit->gate_bits);
	state_put_u8(w, pit->irq);
	state_end(w);
	lock_drop(&pit->lock);
}

static int pit_load(struct device *dev, struct state_reader *r)
{
	struct pit *pit = pit_of(dev);
	struct pit_channel channels[PIT_CHANNELS] = { 0 };
	uint64_t now = pit->clock(pit->opaque);
	uint8_t gate_bits, irq;

	state_enter(r, dev->name, PIT_STATE_VERSION);
	for (unsigned int n = 0; n < PIT_CHANNELS; n++) {
		struct pit_channel *c = &channels[n];

		c->control = state_get_u8(r) & PIT_CW_KEPT;
		c->gate = state_get_u8(r);
		c->loaded = state_get_u8(r);
		c->started = state_get_u8(r);
		c->count = state_get_u32(r);
		c->elapsed = state_get_u64(r);
		c->counting = state_get_u8(r);
		c->read_high = state_get_u8(r);
		c->write_high = state_get_u8(r);
		c->write_low = state_get_u8(r);
		c->count_latched = state_get_u8(r);
		c->status_latched = state_get_u8(r);
		c->latch = state_get_u16(r);
		c->status = state_get_u8(r);
		/* A century of ticks fits in 52 bits. */
		if (!r->err && (!c->count || c->count > 65536 || c->elapsed >> 52))
			r->err = -EPROTO;
		c->since_ns = now - pit_ticks_to_ns(c->elapsed);
	}
	gate_bits = state_get_u8(r);
	irq = state_get_u8(r);
	state_leave(r);
	if (state_reader_status(r))
		return state_reader_status(r);

	lock_take(&pit->lock);
	memcpy(pit->channels, channels, sizeof(channels));
	pit->gate_bits = gate_bits & PIT_GATE_KEPT;
	pit_irq_set_locked(pit, irq);
	pit_arm_locked(pit);
	lock_drop(&pit->lock);
	return 0;
}

static void pit_destroy(struct device *dev)
{
	struct pit *pit = pit_of(dev);

	platform_region_remove(pit->platform, &pit->gate_region);
	platform_region_remove(pit->platform, &pit->region);
	platform_synchronize(pit->platform);
	loop_timer_fini(pit->platform->loop, &pit->timer);
	pit_irq_set_locked(pit, false);
	lock_fini(&pit->lock);
	free(pit);
}

static const struct device_ops pit_device_ops = {
	.reset = pit_reset,
	.save = pit_save,
	.load = pit_load,
	.destroy = pit_destroy,
};

int pit_create(struct platform *platform, const struct pit_config *config, struct device **out)
{
	struct pit *pit = calloc(1, sizeof(*pit));
	int err;

	if (!pit)
		return -ENOMEM;
	pit->dev.ops = &pit_device_ops;
	snprintf(pit->dev.name, sizeof(pit->dev.name), "pit");
	pit->platform = platform;
	pit->pin = config->pin;
	pit->clock = config->clock ? config->clock : pit_host_clock;
	pit->opaque = config->opaque;
	lock_init(&pit->lock, LOCK_DEVICE);
	pit_reset_locked(pit);
	err = loop_timer_init(platform->loop, &pit->timer, pit_fire, pit);
	if (err)
		goto err_free;
	pit->region = (struct bus_region){
		.name = pit->dev.name,
		.space = BUS_PIO,
		.range = range_of(PIT_PORT, PIT_PORTS),
		.ops = &pit_region_ops,
		.opaque = pit,
	};
	pit->gate_region = (struct bus_region){
		.name = "port 61h",
		.space = BUS_PIO,
		.range = range_of(PIT_GATE_PORT, 1),
		.ops = &pit_gate_ops,
		.opaque = pit,
	};
	err = platform_region_add(platform, &pit->region);
	if (err)
		goto err_timer;
	err = platform_region_add(platform, &pit->gate_region);
	if (err)
		goto err_region;
	*out = &pit->dev;
	return 0;

err_region:
	platform_region_remove(platform, &pit->region);
	platform_synchronize(platform);
err_timer:
	loop_timer_fini(platform->loop, &pit->timer);
err_free:
	lock_fini(&pit->lock);
	free(pit);
	return err;
}
