// SPDX-License-Identifier: GPL-2.0-or-later
#include "device/rtc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bits.h"
#include "base/lock.h"

#define RTC_STATE_VERSION 1
#define RTC_PORTS	  2
#define RTC_BYTES	  128
#define NS_PER_S	  1000000000ull
#define S_PER_DAY	  86400
#define RTC_SPAN_S	  (INT64_C(1) << 40)

/* MC146818, figure 10 and tables 3 to 5. */
enum rtc_reg {
	RTC_SECONDS,
	RTC_ALARM_SECONDS,
	RTC_MINUTES,
	RTC_ALARM_MINUTES,
	RTC_HOURS,
	RTC_ALARM_HOURS,
	RTC_WEEKDAY,
	RTC_DAY,
	RTC_MONTH,
	RTC_YEAR,
	RTC_A,
	RTC_B,
	RTC_C,
	RTC_D,
};
#define RTC_A_UPDATING	  BIT(7)
#define RTC_A_DIVIDER	  GENMASK(6, 4)
#define RTC_A_RATE	  GENMASK(3, 0)
#define RTC_DIVIDER_32KHZ 2u
#define RTC_DIVIDER_RESET 6u /* and 7 */
#define RTC_B_SET	  BIT(7)
#define RTC_B_PERIODIC	  BIT(6) /* these three as in C */
#define RTC_B_ALARM	  BIT(5)
#define RTC_B_UPDATE	  BIT(4)
#define RTC_B_SQUARE_WAVE BIT(3)
#define RTC_B_BINARY	  BIT(2)
#define RTC_B_24H	  BIT(1)
#define RTC_EVENTS	  (RTC_B_PERIODIC | RTC_B_ALARM | RTC_B_UPDATE)
#define RTC_C_IRQ	  BIT(7)
#define RTC_D_VALID	  BIT(7)
#define RTC_HOURS_PM	  0x80u
#define RTC_ALARM_ANY	  0xc0u /* both bits set: matches every value */
/* UIP rises this long before an update (t_BUC). */
#define RTC_UPDATE_NS 244000u
/* After the divider is released the first update is half a second away. */
#define RTC_DIVIDER_NS (NS_PER_S / 2)

/* Where a PC's BIOS notes the size of RAM (IBM PC AT Technical Reference, 5-61 ff.; and custom). */
#define RTC_RAM_BASE	  0x15 /* KiB below 1 MiB */
#define RTC_RAM_EXT	  0x17 /* KiB from 1 MiB, at most 63 MiB; again at 0x30 */
#define RTC_RAM_EXT_AGAIN 0x30
#define RTC_RAM_LOW	  0x34 /* 64 KiB units from 16 MiB to 4 GiB */
#define RTC_RAM_HIGH	  0x5b /* 64 KiB units from 4 GiB, 3 bytes */

static const uint8_t rtc_time_regs[] = { RTC_SECONDS, RTC_MINUTES, RTC_HOURS, RTC_WEEKDAY,
					 RTC_DAY,     RTC_MONTH,   RTC_YEAR,  RTC_CENTURY };

struct rtc {
	struct device dev;
	struct platform *platform;
	struct bus_region region;
	unsigned int pin;
	uint64_t (*clock)(void *opaque);
	void *opaque;
	struct loop_timer timer;

	struct lock lock; /* LOCK_DEVICE; everything below */
	uint8_t index;
	uint8_t ram[RTC_BYTES]; /* time registers: valid while held only */
	/* The guest's time is the clock plus this. offset_ns < NS_PER_S. */
	int64_t offset_s;
	uint32_t offset_ns;
	bool held; /* SET or the divider stops the time */
	/* What the flags in C have been worked out up to. */
	int64_t seen_s;
	uint64_t seen_period;
	bool irq;
};

struct rtc_time {
	int64_t s;
	uint32_t ns;
};

static struct rtc *rtc_of(struct device *dev)
{
	return container_of(dev, struct rtc, dev);
}

static uint64_t rtc_host_clock(void *opaque)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static struct rtc_time rtc_now(const struct rtc *rtc)
{
	uint64_t host = rtc->clock(rtc->opaque);
	uint64_t ns = host % NS_PER_S + rtc->offset_ns;

	return (struct rtc_time){
		.s = (int64_t)(host / NS_PER_S) + rtc->offset_s + (int64_t)(ns / NS_PER_S),
		.ns = (uint32_t)(ns % NS_PER_S),
	};
}

/* ---- values in registers ---- */

static uint8_t rtc_encode(const struct rtc *rtc, unsigned int v)
{
	if (rtc->ram[RTC_B] & RTC_B_BINARY)
		return (uint8_t)v;
	return (uint8_t)(v / 10 % 10 << 4 | v % 10);
}

static unsigned int rtc_decode(const struct rtc *rtc, uint8_t raw)
{
	if (rtc->ram[RTC_B] & RTC_B_BINARY)
		return raw;
	return (unsigned int)(raw >> 4) * 10 + (raw & 0xf);
}

static uint8_t rtc_encode_hours(const struct rtc *rtc, unsigned int hours)
{
	unsigned int h = hours % 12 ? hours % 12 : 12;

	if (rtc->ram[RTC_B] & RTC_B_24H)
		return rtc_encode(rtc, hours);
	return rtc_encode(rtc, h) | (hours >= 12 ? RTC_HOURS_PM : 0);
}

static unsigned int rtc_decode_hours(const struct rtc *rtc, uint8_t raw)
{
	unsigned int h;

	if (rtc->ram[RTC_B] & RTC_B_24H)
		return rtc_decode(rtc, raw);
	h = rtc_decode(rtc, raw & (uint8_t)~RTC_HOURS_PM) % 12;
	return h + (raw & RTC_HOURS_PM ? 12 : 0);
}

static void rtc_break(int64_t s, struct tm *tm)
{
	time_t t = (time_t)s;

	/* Only a year beyond int fails, and four digits of it is all there is. */
	if (!gmtime_r(&t, tm))
		memset(tm, 0, sizeof(*tm));
}

static uint8_t rtc_time_encode(const struct rtc *rtc, const struct tm *tm, unsigned int reg)
{
	unsigned int year = (unsigned int)(tm->tm_year + 1900);

	switch (reg) {
	case RTC_SECONDS:
		return rtc_encode(rtc, (unsigned int)tm->tm_sec);
	case RTC_MINUTES:
		return rtc_encode(rtc, (unsigned int)tm->tm_min);
	case RTC_HOURS:
		return rtc_encode_hours(rtc, (unsigned int)tm->tm_hour);
	case RTC_WEEKDAY:
		return rtc_encode(rtc, (unsigned int)tm->tm_wday + 1);
	case RTC_DAY:
		return rtc_encode(rtc, (unsigned int)tm->tm_mday);
	case RTC_MONTH:
		return rtc_encode(rtc, (unsigned int)tm->tm_mon + 1);
	case RTC_YEAR:
		return rtc_encode(rtc, year % 100);
	default:
		return rtc_encode(rtc, year / 100 % 100);
	}
}

/* The time that the raw time registers say. What is out of range carries over. */
static int64_t rtc_time_decode(const struct rtc *rtc, const uint8_t *raw)
{
	struct tm tm = {
		.tm_sec = (int)rtc_decode(rtc, raw[RTC_SECONDS]),
		.tm_min = (int)rtc_decode(rtc, raw[RTC_MINUTES]),
		.tm_hour = (int)rtc_decode_hours(rtc, raw[RTC_HOURS]),
		.tm_mday = (int)rtc_decode(rtc, raw[RTC_DAY]),
		.tm_mon = (int)rtc_decode(rtc, raw[RTC_MONTH]) - 1,
		.tm_year = (int)rtc_decode(rtc, raw[RTC_YEAR]) +
			   (int)rtc_decode(rtc, raw[RTC_CENTURY]) * 100 - 1900,
	};

	return (int64_t)timegm(&tm);
}

static bool rtc_is_time(unsigned int reg)
{
	for (size_t i = 0; i < ARRAY_SIZE(rtc_time_regs); i++) {
		if (rtc_time_regs[i] == reg)
			return true;
	}
	return false;
}

static void rtc_snapshot_locked(const struct rtc *rtc, uint8_t *raw)
{
	struct tm tm;

	rtc_break(rtc_now(rtc).s, &tm);
	for (size_t i = 0; i < ARRAY_SIZE(rtc_time_regs); i++)
		raw[rtc_time_regs[i]] = rtc_time_encode(rtc, &tm, rtc_time_regs[i]);
}

/* ---- events ---- */

/* Length of a periodic interrupt's period in ns; 0: none (table 5, 32.768 kHz). */
static uint64_t rtc_period_ns(const struct rtc *rtc)
{
	unsigned int rate = FIELD_GET(RTC_A_RATE, rtc->ram[RTC_A]);

	if (!rate)
		return 0;
	/* The two lowest select what 8 and 9 do. */
	if (rate < 3)
		rate += 7;
	return (NS_PER_S << (rate - 1)) / 32768;
}

static uint64_t rtc_period_count(const struct rtc *rtc, struct rtc_time now)
{
	uint64_t period = rtc_period_ns(rtc);

	return period ? ((uint64_t)now.s * NS_PER_S + now.ns) / period : 0;
}

static bool rtc_alarm_matches(uint8_t alarm, unsigned int want, unsigned int now)
{
	return (alarm & RTC_ALARM_ANY) == RTC_ALARM_ANY || want == now;
}

/* Seconds from `after` to the next alarm, 1..86400; 0: it never comes. */
static int64_t rtc_alarm_next(const struct rtc *rtc, int64_t after)
{
	uint8_t as = rtc->ram[RTC_ALARM_SECONDS], am = rtc->ram[RTC_ALARM_MINUTES];
	uint8_t ah = rtc->ram[RTC_ALARM_HOURS];
	unsigned int ws = rtc_decode(rtc, as), wm = rtc_decode(rtc, am);
	unsigned int wh = rtc_decode_hours(rtc, ah);
	int64_t ahead = 1;

	while (ahead <= S_PER_DAY) {
		int64_t day = ((after + ahead) % S_PER_DAY + S_PER_DAY) % S_PER_DAY;
		unsigned int s = (unsigned int)(day % 60), m = (unsigned int)(day / 60 % 60);
		unsigned int h = (unsigned int)(day / 3600);

		if (!rtc_alarm_matches(ah, wh, h))
			ahead += 3600 - day % 3600;
		else if (!rtc_alarm_matches(am, wm, m))
			ahead += 60 - s;
		else if (!rtc_alarm_matches(as, ws, s))
			ahead++;
		else
			return ahead;
	}
	return 0;
}

/* Sets the flags of what has happened since they were last looked at. */
static void rtc_catch_up_locked(struct rtc *rtc)
{
	struct rtc_time now = rtc_now(rtc);
	uint64_t period = rtc_period_count(rtc, now);
	int64_t alarm;

	if (rtc->held)
		return;
	if (period != rtc->seen_period)
		rtc->ram[RTC_C] |= RTC_B_PERIODIC;
	rtc->seen_period = period;
	if (now.s == rtc->seen_s)
		return;
	rtc->ram[RTC_C] |= RTC_B_UPDATE;
	alarm = rtc_alarm_next(rtc, rtc->seen_s);
	/* A host whose clock is set back has not passed the alarm again. */
	if (alarm && alarm <= now.s - rtc->seen_s)
		rtc->ram[RTC_C] |= RTC_B_ALARM;
	rtc->seen_s = now.s;
}

/* Time or rate have changed by command: nothing has happened in between. */
static void rtc_forget_locked(struct rtc *rtc)
{
	struct rtc_time now = rtc_now(rtc);

	rtc->seen_s = now.s;
	rtc->seen_period = rtc_period_count(rtc, now);
}

/* Nanoseconds from now to the next event that would interrupt; UINT64_MAX: none. */
static uint64_t rtc_next_event(const struct rtc *rtc)
{
	struct rtc_time now = rtc_now(rtc);
	uint64_t second = NS_PER_S - now.ns, next = UINT64_MAX, period;
	uint8_t enabled = rtc->ram[RTC_B] & RTC_EVENTS;

	if (rtc->held)
		return next;
	if (enabled & RTC_B_UPDATE)
		next = second;
	if (enabled & RTC_B_ALARM) {
		int64_t alarm = rtc_alarm_next(rtc, now.s);

		if (alarm)
			next = min_u64(next, second + (uint64_t)(alarm - 1) * NS_PER_S);
	}
	period = rtc_period_ns(rtc);
	if ((enabled & RTC_B_PERIODIC) && period)
		next = min_u64(next, period - ((uint64_t)now.s * NS_PER_S + now.ns) % period);
	return next;
}

static void rtc_irq_update_locked(struct rtc *rtc)
{
	bool irq = rtc->ram[RTC_B] & rtc->ram[RTC_C] & RTC_EVENTS;
	uint64_t next = irq ? UINT64_MAX : rtc_next_event(rtc);

	if (irq)
		rtc->ram[RTC_C] |= RTC_C_IRQ;
	else
		rtc->ram[RTC_C] &= (uint8_t)~RTC_C_IRQ;
	/* A pending interrupt hides the next ones: reading C starts the timer again. */
	loop_timer_set(&rtc->timer, next == UINT64_MAX ? 0 : loop_now_ns() + next);
	if (irq == rtc->irq)
		return;
	rtc->irq = irq;
	platform_irq_set(rtc->platform, rtc->pin, 0, irq);
}

static void rtc_fire(void *opaque)
{
	struct rtc *rtc = opaque;

	lock_take(&rtc->lock);
	rtc_catch_up_locked(rtc);
	rtc_irq_update_locked(rtc);
	lock_drop(&rtc->lock);
}

/* ---- registers ---- */

/* Makes the guest's time s and ns, now. */
static void rtc_time_set_locked(struct rtc *rtc, int64_t s, uint32_t ns)
{
	uint64_t host = rtc->clock(rtc->opaque);
	int64_t diff_ns = (int64_t)ns - (int64_t)(host % NS_PER_S);

	rtc->offset_s = s - (int64_t)(host / NS_PER_S) - (diff_ns < 0);
	rtc->offset_ns = (uint32_t)(diff_ns < 0 ? diff_ns + (int64_t)NS_PER_S : diff_ns);
	rtc_forget_locked(rtc);
}

static bool rtc_divider_is_reset(uint8_t a)
{
	return FIELD_GET(RTC_A_DIVIDER, a) >= RTC_DIVIDER_RESET;
}

/* Stops or starts the time as SET and the divider now have it; before: A as it was. */
static void rtc_hold_update_locked(struct rtc *rtc, uint8_t before)
{
	bool hold = (rtc->ram[RTC_B] & RTC_B_SET) || rtc_divider_is_reset(rtc->ram[RTC_A]);

	if (hold == rtc->held)
		return;
	if (hold)
		rtc_snapshot_locked(rtc, rtc->ram);
	else
		rtc_time_set_locked(rtc, rtc_time_decode(rtc, rtc->ram),
				    rtc_divider_is_reset(before) ? RTC_DIVIDER_NS
								 : rtc_now(rtc).ns);
	rtc->held = hold;
}

static void rtc_time_write_locked(struct rtc *rtc, unsigned int reg, uint8_t value)
{
	uint8_t raw[RTC_BYTES];

	if (rtc->held) {
		rtc->ram[reg] = value;
		return;
	}
	rtc_snapshot_locked(rtc, raw);
	raw[reg] = value;
	rtc_time_set_locked(rtc, rtc_time_decode(rtc, raw), rtc_now(rtc).ns);
}

static uint8_t rtc_reg_read_locked(struct rtc *rtc, unsigned int reg)
{
	uint8_t value;
	struct tm tm;

	if (rtc_is_time(reg) && !rtc->held) {
		rtc_break(rtc_now(rtc).s, &tm);
		return rtc_time_encode(rtc, &tm, reg);
	}
	switch (reg) {
	case RTC_A:
		if (!rtc->held && rtc_now(rtc).ns >= NS_PER_S - RTC_UPDATE_NS)
			return rtc->ram[RTC_A] | RTC_A_UPDATING;
		return rtc->ram[RTC_A];
	case RTC_C:
		rtc_catch_up_locked(rtc);
		value = rtc->ram[RTC_C];
		if (rtc->ram[RTC_B] & value & RTC_EVENTS)
			value |= RTC_C_IRQ;
		rtc->ram[RTC_C] = 0;
		rtc_irq_update_locked(rtc);
		return value;
	case RTC_D:
		return RTC_D_VALID;
	default:
		return rtc->ram[reg];
	}
}

static void rtc_reg_write_locked(struct rtc *rtc, unsigned int reg, uint8_t value)
{
	uint8_t before = rtc->ram[RTC_A];

	if (rtc_is_time(reg)) {
		rtc_time_write_locked(rtc, reg, value);
		rtc_irq_update_locked(rtc);
		return;
	}
	switch (reg) {
	case RTC_A:
		rtc_catch_up_locked(rtc);
		rtc->ram[RTC_A] = value & (uint8_t)~RTC_A_UPDATING;
		rtc_hold_update_locked(rtc, before);
		rtc->seen_period = rtc_period_count(rtc, rtc_now(rtc));
		rtc_irq_update_locked(rtc);
		break;
	case RTC_B:
		rtc_catch_up_locked(rtc);
		/* SET also takes the update interrupt's permission away. */
		rtc->ram[RTC_B] = value & RTC_B_SET ? value & (uint8_t)~RTC_B_UPDATE : value;
		rtc_hold_update_locked(rtc, before);
		rtc_irq_update_locked(rtc);
		break;
	case RTC_C:
	case RTC_D:
		break;
	case RTC_ALARM_SECONDS:
	case RTC_ALARM_MINUTES:
	case RTC_ALARM_HOURS:
		rtc_catch_up_locked(rtc);
		rtc->ram[reg] = value;
		rtc_irq_update_locked(rtc);
		break;
	default:
		rtc->ram[reg] = value;
		break;
	}
}

/* Port 70h is write-only, and its top bit, which masks NMI, means nothing here. */
static uint64_t rtc_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct rtc *rtc = opaque;
	uint64_t value = 0xff;

	lock_take(&rtc->lock);
	if (offset + size > 1)
		value = rtc_reg_read_locked(rtc, rtc->index);
	lock_drop(&rtc->lock);
	return offset ? value : size > 1 ? value << 8 | 0xff : 0xff;
}

static void rtc_write(void *opaque, uint64_t offset, unsigned int size, uint64_t value)
{
	struct rtc *rtc = opaque;

	lock_take(&rtc->lock);
	if (!offset) {
		rtc->index = value & (RTC_BYTES - 1);
		value >>= 8;
		size--;
	}
	if (size)
		rtc_reg_write_locked(rtc, rtc->index, (uint8_t)value);
	lock_drop(&rtc->lock);
}

static const struct bus_region_ops rtc_region_ops = {
	.read = rtc_read,
	.write = rtc_write,
};

/* The RESET pin: interrupts off, all else stays (MC146818, "RESET"). */
static void rtc_reset(struct device *dev)
{
	struct rtc *rtc = rtc_of(dev);

	lock_take(&rtc->lock);
	rtc->index = 0;
	rtc->ram[RTC_B] &= (uint8_t) ~(RTC_EVENTS | RTC_B_SQUARE_WAVE);
	rtc->ram[RTC_C] = 0;
	rtc_forget_locked(rtc);
	rtc_irq_update_locked(rtc);
	lock_drop(&rtc->lock);
}

static void rtc_save(struct device *dev, struct state_writer *w)
{
	struct rtc *rtc = rtc_of(dev);

	lock_take(&rtc->lock);
	rtc_catch_up_locked(rtc);
	state_begin(w, dev->name, RTC_STATE_VERSION);
	state_put_u8(w, rtc->index);
	state_put_bytes(w, rtc->ram, sizeof(rtc->ram));
	state_put_u64(w, (uint64_t)rtc->offset_s);
	state_put_u32(w, rtc->offset_ns);
	state_put_u64(w, (uint64_t)rtc->seen_s);
	state_end(w);
	lock_drop(&rtc->lock);
}

static int rtc_load(struct device *dev, struct state_reader *r)
{
	struct rtc *rtc = rtc_of(dev);
	uint8_t index, ram[RTC_BYTES];
	uint32_t offset_ns;
	int64_t offset_s, seen_s;

	state_enter(r, dev->name, RTC_STATE_VERSION);
	index = state_get_u8(r);
	state_get_bytes(r, ram, sizeof(ram));
	offset_s = (int64_t)state_get_u64(r);
	offset_ns = state_get_u32(r);
	seen_s = (int64_t)state_get_u64(r);
	state_leave(r);
	/* What registers can say is within some ten thousand years. */
	if (!r->err && (index >= RTC_BYTES || offset_ns >= NS_PER_S || offset_s < -RTC_SPAN_S ||
			offset_s > RTC_SPAN_S || seen_s < -RTC_SPAN_S || seen_s > RTC_SPAN_S))
		r->err = -EPROTO;
	if (state_reader_status(r))
		return state_reader_status(r);

	lock_take(&rtc->lock);
	rtc->index = index;
	memcpy(rtc->ram, ram, sizeof(ram));
	rtc->ram[RTC_A] &= (uint8_t)~RTC_A_UPDATING;
	rtc->ram[RTC_C] &= RTC_EVENTS;
	rtc->offset_s = offset_s;
	rtc->offset_ns = offset_ns;
	rtc->held = (ram[RTC_B] & RTC_B_SET) || rtc_divider_is_reset(ram[RTC_A]);
	/* Seconds went by on the way; the alarm may have. */
	rtc->seen_s = seen_s;
	rtc->seen_period = rtc_period_count(rtc, rtc_now(rtc));
	rtc_catch_up_locked(rtc);
	rtc_irq_update_locked(rtc);
	lock_drop(&rtc->lock);
	return 0;
}

static void rtc_destroy(struct device *dev)
{
	struct rtc *rtc = rtc_of(dev);

	platform_region_remove(rtc->platform, &rtc->region);
	platform_synchronize(rtc->platform);
	loop_timer_fini(rtc->platform->loop, &rtc->timer);
	if (rtc->irq)
		platform_irq_set(rtc->platform, rtc->pin, 0, false);
	lock_fini(&rtc->lock);
	free(rtc);
}

static const struct device_ops rtc_device_ops = {
	.reset = rtc_reset,
	.save = rtc_save,
	.load = rtc_load,
	.destroy = rtc_destroy,
};

static void rtc_note(struct rtc *rtc, unsigned int at, unsigned int bytes, uint64_t value)
{
	for (unsigned int i = 0; i < bytes; i++)
		rtc->ram[at + i] = (uint8_t)(value >> 8 * i);
}

static void rtc_note_ram(struct rtc *rtc, uint64_t low, uint64_t high)
{
	uint64_t ext = low > MIB(1) ? min_u64((low - MIB(1)) / KIB(1), 63 * 1024) : 0;

	rtc_note(rtc, RTC_RAM_BASE, 2, min_u64(low / KIB(1), 640));
	rtc_note(rtc, RTC_RAM_EXT, 2, ext);
	rtc_note(rtc, RTC_RAM_EXT_AGAIN, 2, ext);
	rtc_note(rtc, RTC_RAM_LOW, 2, low > MIB(16) ? (low - MIB(16)) / KIB(64) : 0);
	rtc_note(rtc, RTC_RAM_HIGH, 3, min_u64(high / KIB(64), 0xffffff));
}

int rtc_create(struct platform *platform, const struct rtc_config *config, struct device **out)
{
	struct rtc *rtc = calloc(1, sizeof(*rtc));
	int err;

	if (!rtc)
		return -ENOMEM;
	rtc->dev.ops = &rtc_device_ops;
	snprintf(rtc->dev.name, sizeof(rtc->dev.name), "rtc");
	rtc->platform = platform;
	rtc->pin = config->pin;
	rtc->clock = config->clock ? config->clock : rtc_host_clock;
	rtc->opaque = config->opaque;
	lock_init(&rtc->lock, LOCK_DEVICE);
	/* As a BIOS leaves it: running, 1024 Hz selected, BCD, 24 hours. */
	rtc->ram[RTC_A] = (uint8_t)(FIELD_PREP(RTC_A_DIVIDER, RTC_DIVIDER_32KHZ) | 6);
	rtc->ram[RTC_B] = RTC_B_24H;
	rtc_note_ram(rtc, config->ram_low, config->ram_high);
	rtc_forget_locked(rtc);
	err = loop_timer_init(platform->loop, &rtc->timer, rtc_fire, rtc);
	if (err)
		goto err_free;
	rtc->region = (struct bus_region){
		.name = rtc->dev.name,
		.space = BUS_PIO,
		.range = range_of(config->port, RTC_PORTS),
		.ops = &rtc_region_ops,
		.opaque = rtc,
	};
	err = platform_region_add(platform, &rtc->region);
	if (err)
		goto err_timer;
	*out = &rtc->dev;
	return 0;

err_timer:
	loop_timer_fini(platform->loop, &rtc->timer);
err_free:
	lock_fini(&rtc->lock);
	free(rtc);
	return err;
}
