// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/bus.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/bug.h"
#include "base/endian.h"
#include "base/log.h"
#include "base/trace.h"

/* Waiting longer than this for a handler to return is worth a line that names the thread. */
#define BUS_LATE_NS 2000000000ull

/*
 * range is the region's when it was added: its owner may move it on while readers still look. A
 * region that is removed leaves its entry behind empty, which needs no memory and so cannot fail;
 * the next snapshot is made without it.
 */
struct bus_entry {
	struct range range;
	_Atomic(struct bus_region *) region; /* NULL: removed */
};

/* Published once; then only entries go empty. Those of a space are sorted, PIO follows MMIO. */
struct bus_snapshot {
	struct bus_snapshot *next; /* retired list */
	uint64_t retired_in;	   /* generation that replaced it */
	unsigned int first[3];	   /* space s holds entries[first[s] .. first[s + 1]) */
	struct bus_entry entries[];
};

static struct bus_snapshot *bus_snapshot_alloc(unsigned int nr)
{
	return calloc(1, sizeof(struct bus_snapshot) + nr * sizeof(struct bus_entry));
}

/* What one look-up found, taken from the entry once: it may go empty meanwhile. */
struct bus_hit {
	struct range range;
	struct bus_region *region; /* NULL: nothing claims the address */
};

static struct bus_hit bus_snapshot_find(const struct bus_snapshot *s, enum bus_space space,
					uint64_t addr)
{
	unsigned int low = s->first[space], high = s->first[space + 1];

	while (low < high) {
		unsigned int mid = low + (high - low) / 2;

		if (s->entries[mid].range.last < addr)
			low = mid + 1;
		else
			high = mid;
	}
	if (low < s->first[space + 1] && s->entries[low].range.first <= addr)
		return (struct bus_hit){ s->entries[low].range,
					 atomic_load(&s->entries[low].region) };
	return (struct bus_hit){ .region = NULL };
}

int bus_init(struct bus *bus)
{
	struct bus_snapshot *empty = bus_snapshot_alloc(0);

	if (!empty)
		return -ENOMEM;
	memset(bus, 0, sizeof(*bus));
	lock_init(&bus->lock, LOCK_BUS);
	atomic_init(&bus->generation, 1);
	atomic_init(&bus->current, empty);
	return 0;
}

static void bus_free_retired(struct bus *bus, uint64_t oldest_reader)
{
	struct bus_snapshot **p = &bus->retired;

	while (*p) {
		struct bus_snapshot *s = *p;

		/* A reader that entered in generation g may hold any snapshot retired after g. */
		if (s->retired_in > oldest_reader) {
			p = &s->next;
			continue;
		}
		*p = s->next;
		free(s);
	}
}

void bus_fini(struct bus *bus)
{
	BUG_ON(bus->regions || bus->readers);
	bus_free_retired(bus, UINT64_MAX);
	free(atomic_load(&bus->current));
	lock_fini(&bus->lock);
}

/* The generation of the oldest dispatch under way; UINT64_MAX when there is none. */
static uint64_t bus_oldest_reader(const struct bus *bus, const char **who)
{
	uint64_t oldest = UINT64_MAX;

	for (struct bus_reader *r = bus->readers; r; r = r->next) {
		uint64_t epoch = atomic_load(&r->epoch);

		if (epoch && epoch < oldest) {
			oldest = epoch;
			if (who)
				*who = r->name;
		}
	}
	return oldest;
}

static void bus_publish(struct bus *bus, struct bus_snapshot *next)
{
	struct bus_snapshot *old = atomic_exchange(&bus->current, next);

	/* Pairs with the epoch store in bus_enter(): a later reader sees the new snapshot. */
	old->retired_in = atomic_fetch_add(&bus->generation, 1) + 1;
	old->next = bus->retired;
	bus->retired = old;
	bus_free_retired(bus, bus_oldest_reader(bus, NULL));
}

/* Copies what is still claimed, with the new region in its place. Writers only: under lock. */
static struct bus_snapshot *bus_snapshot_with(const struct bus_snapshot *old,
					      struct bus_region *region)
{
	struct bus_snapshot *next = bus_snapshot_alloc(old->first[2] + 1);
	unsigned int nr = 0;

	if (!next)
		return NULL;
	for (unsigned int space = 0; space < 2; space++) {
		bool placed = (unsigned int)region->space != space;

		next->first[space] = nr;
		for (unsigned int i = old->first[space]; i < old->first[space + 1]; i++) {
			struct bus_region *kept = atomic_load(&old->entries[i].region);

			if (!kept)
				continue;
			if (!placed && old->entries[i].range.first > region->range.last) {
				next->entries[nr].range = region->range;
				atomic_init(&next->entries[nr++].region, region);
				placed = true;
			}
			next->entries[nr].range = old->entries[i].range;
			atomic_init(&next->entries[nr++].region, kept);
		}
		if (!placed) {
			next->entries[nr].range = region->range;
			atomic_init(&next->entries[nr++].region, region);
		}
	}
	next->first[2] = nr;
	return next;
}

int bus_region_add(struct bus *bus, struct bus_region *region)
{
	struct bus_snapshot *old, *next;
	int err = 0;

	lock_take(&bus->lock);
	old = atomic_load(&bus->current);
	for (unsigned int i = old->first[region->space]; i < old->first[region->space + 1]; i++) {
		if (atomic_load(&old->entries[i].region) &&
		    range_overlaps(old->entries[i].range, region->range)) {
			err = -EBUSY;
			goto out;
		}
	}
	next = bus_snapshot_with(old, region);
	if (!next) {
		err = -ENOMEM;
		goto out;
	}
	region->next = bus->regions;
	bus->regions = region;
	bus_publish(bus, next);
out:
	lock_drop(&bus->lock);
	return err;
}

void bus_region_remove(struct bus *bus, struct bus_region *region)
{
	struct bus_snapshot *now;
	unsigned int i;

	lock_take(&bus->lock);
	now = atomic_load(&bus->current);
	for (i = 0; i < now->first[2] && atomic_load(&now->entries[i].region) != region; i++)
		;
	BUG_ON(i == now->first[2]);
	/*
	 * Sequentially consistent, as the epoch in bus_enter() is: a reader finds the entry empty,
	 * or bus_synchronize() finds the reader.
	 */
	atomic_store(&now->entries[i].region, NULL);
	for (struct bus_region **p = &bus->regions; *p; p = &(*p)->next) {
		if (*p == region) {
			*p = region->next;
			break;
		}
	}
	lock_drop(&bus->lock);
}

void bus_synchronize(struct bus *bus)
{
	uint64_t target = atomic_fetch_add(&bus->generation, 1) + 1;
	uint64_t start = loop_now_ns();
	const char *who = NULL;
	bool said = false;

	for (;;) {
		uint64_t oldest;

		lock_take(&bus->lock);
		oldest = bus_oldest_reader(bus, &who);
		bus_free_retired(bus, oldest);
		lock_drop(&bus->lock);
		if (oldest >= target)
			return;
		if (!said && loop_now_ns() - start > BUS_LATE_NS) {
			log_warning(who, "is late to leave a register handler; still waiting");
			said = true;
		}
		sched_yield();
	}
}

void bus_reader_add(struct bus *bus, struct bus_reader *reader, const char *name)
{
	atomic_init(&reader->epoch, 0);
	reader->name = name;
	lock_take(&bus->lock);
	reader->next = bus->readers;
	bus->readers = reader;
	lock_drop(&bus->lock);
}

void bus_reader_remove(struct bus *bus, struct bus_reader *reader)
{
	lock_take(&bus->lock);
	BUG_ON(atomic_load(&reader->epoch));
	for (struct bus_reader **p = &bus->readers; *p; p = &(*p)->next) {
		if (*p == reader) {
			*p = reader->next;
			break;
		}
	}
	lock_drop(&bus->lock);
}

static const struct bus_snapshot *bus_enter(struct bus *bus, struct bus_reader *reader)
{
	/*
	 * The epoch is stored before the snapshot is loaded, both sequentially consistent: either
	 * a writer sees this epoch and keeps the snapshot, or we load the snapshot it published.
	 */
	atomic_store(&reader->epoch, atomic_load(&bus->generation));
	return atomic_load(&bus->current);
}

static void bus_leave(struct bus_reader *reader)
{
	atomic_store_explicit(&reader->epoch, 0, memory_order_release);
}

static bool bus_hit_holds(const struct bus_hit *hit, uint64_t addr, unsigned int size)
{
	/* 3, 5, 6 and 7 bytes come from accesses that straddle a page; no register is so wide. */
	return hit->region && size - 1 <= hit->range.last - addr && is_power_of_2(size);
}

/*
 * The figures of one register: found by its offset, or the first free one taken. NULL when all are
 * taken by others: then it counts for its region alone.
 */
static struct bus_register *bus_register_find(struct bus_region *r, uint64_t offset)
{
	uint32_t tag = (uint32_t)offset + 1;

	if (offset >= UINT32_MAX)
		return NULL;
	for (unsigned int i = 0; i < BUS_REGISTERS; i++) {
		/* Spread, so that a register is found at once as a rule. */
		struct bus_register *slot = &r->registers[(offset / 4 + i) % BUS_REGISTERS];
		uint32_t has = atomic_load_explicit(&slot->tag, memory_order_relaxed);

		if (has == tag)
			return slot;
		if (!has && atomic_compare_exchange_strong(&slot->tag, &has, tag))
			return slot;
		if (has == tag)
			return slot;
	}
	return NULL;
}

static void bus_count(struct bus_region *r, uint64_t offset, bool write)
{
	struct bus_register *reg = bus_register_find(r, offset);

	atomic_fetch_add_explicit(write ? &r->nr_writes : &r->nr_reads, 1, memory_order_relaxed);
	if (reg)
		atomic_fetch_add_explicit(write ? &reg->nr_writes : &reg->nr_reads, 1,
					  memory_order_relaxed);
}

static void bus_read_one(const struct bus_hit *hit, uint64_t addr, void *data, unsigned int size)
{
	struct bus_region *r = hit->region;
	uint64_t offset = addr - hit->range.first, v;

	bus_count(r, offset, false);
	v = r->ops->read(r->opaque, offset, size);
	le_store(data, size, v);
	trace_bus_read(r->name, offset, size, v);
}

static void bus_write_one(const struct bus_hit *hit, uint64_t addr, const void *data,
			  unsigned int size)
{
	struct bus_region *r = hit->region;
	uint64_t offset = addr - hit->range.first;

	bus_count(r, offset, true);
	r->ops->write(r->opaque, offset, size, le_load(data, size));
	trace_bus_write(r->name, offset, size, le_load(data, size));
}

void bus_read(struct bus *bus, struct bus_reader *reader, enum bus_space space, uint64_t addr,
	      void *data, unsigned int size)
{
	const struct bus_snapshot *s = bus_enter(bus, reader);
	struct bus_hit hit = bus_snapshot_find(s, space, addr);

	if (likely(bus_hit_holds(&hit, addr, size))) {
		bus_read_one(&hit, addr, data, size);
	} else {
		uint8_t *bytes = data;

		for (unsigned int i = 0; i < size; i++) {
			hit = bus_snapshot_find(s, space, addr + i);
			bytes[i] = 0xff;
			if (hit.region)
				bus_read_one(&hit, addr + i, &bytes[i], 1);
		}
	}
	bus_leave(reader);
}

void bus_write(struct bus *bus, struct bus_reader *reader, enum bus_space space, uint64_t addr,
	       const void *data, unsigned int size)
{
	const struct bus_snapshot *s = bus_enter(bus, reader);
	struct bus_hit hit = bus_snapshot_find(s, space, addr);

	if (likely(bus_hit_holds(&hit, addr, size))) {
		bus_write_one(&hit, addr, data, size);
	} else {
		const uint8_t *bytes = data;

		for (unsigned int i = 0; i < size; i++) {
			hit = bus_snapshot_find(s, space, addr + i);
			if (hit.region)
				bus_write_one(&hit, addr + i, &bytes[i], 1);
		}
	}
	bus_leave(reader);
}

void bus_begin(struct bus *bus, struct bus_reader *reader)
{
	bus_enter(bus, reader);
}

void bus_end(struct bus_reader *reader)
{
	bus_leave(reader);
}

void bus_walk(struct bus *bus, void (*fn)(void *opaque, const struct bus_region *region),
	      void *opaque)
{
	lock_take(&bus->lock);
	for (struct bus_region *r = bus->regions; r; r = r->next)
		fn(opaque, r);
	lock_drop(&bus->lock);
}
