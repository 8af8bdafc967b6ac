/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bus a vCPU's trapped accesses travel on: two address spaces of regions, looked up without a
 * lock in a snapshot. A region that comes publishes a new snapshot, and the old one is freed once no
 * reader can still be in it (an epoch per reader, in the manner of RCU); one that goes leaves its
 * entry empty.
 */
#ifndef AIRLOCK_MACHINE_BUS_H
#define AIRLOCK_MACHINE_BUS_H

#include <stdatomic.h>

#include "base/lock.h"
#include "platform/platform.h"

struct bus_snapshot;

/* One thread that dispatches. Registered for its lifetime. */
struct bus_reader {
	/* The bus generation its current dispatch began in; 0 between dispatches. */
	atomic_ullong epoch;
	const char *name; /* for the message about who is late */
	struct bus_reader *next;
};

struct bus {
	struct lock lock; /* LOCK_BUS: writers */
	_Atomic(struct bus_snapshot *) current;
	atomic_ullong generation;     /* starts at 1; a snapshot's readers carry it */
	struct bus_snapshot *retired; /* newest first; under lock */
	struct bus_region *regions;   /* every claimed region, for figures; under lock */
	struct bus_reader *readers;   /* under lock */
};

/* 0 or -ENOMEM. */
int bus_init(struct bus *bus);
/* No region is claimed and no reader registered any more. */
void bus_fini(struct bus *bus);

void bus_reader_add(struct bus *bus, struct bus_reader *reader, const char *name);
void bus_reader_remove(struct bus *bus, struct bus_reader *reader);

/* See platform.h. -EBUSY where the range is taken, -ENOMEM. Removing takes no memory. */
int bus_region_add(struct bus *bus, struct bus_region *region);
void bus_region_remove(struct bus *bus, struct bus_region *region);
void bus_synchronize(struct bus *bus);

/*
 * One access of 1..8 bytes, data little-endian in host memory. An access that no single region
 * holds is taken apart into bytes; unclaimed bytes read as all ones. Only the reader's own thread.
 */
void bus_read(struct bus *bus, struct bus_reader *reader, enum bus_space space, uint64_t addr,
	      void *data, unsigned int size);
void bus_write(struct bus *bus, struct bus_reader *reader, enum bus_space space, uint64_t addr,
	       const void *data, unsigned int size);

/*
 * For a reader's other calls into devices (the end of an interrupt): bus_synchronize() waits for what
 * runs between the two. They do not nest, nor hold a read or write.
 */
void bus_begin(struct bus *bus, struct bus_reader *reader);
void bus_end(struct bus_reader *reader);

/* Calls fn for each claimed region, under the bus's lock. */
void bus_walk(struct bus *bus, void (*fn)(void *opaque, const struct bus_region *region),
	      void *opaque);

#endif
