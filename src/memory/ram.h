/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest RAM: where it lies in the guest's physical space, what backs it on the host, and checked
 * ways to reach it.
 *
 * The layout is fixed at creation: [0, low) below RAM_HOLE and the rest from 4 GiB up. Private
 * anonymous memory with huge pages by advice is the default (shared memory gets 4 KiB pages on most
 * kernels); hugetlbfs on request; a memory file only where another process must map it.
 *
 * A struct ram never changes after ram_create(), so look-ups take no lock and a span stays valid
 * until ram_destroy().
 */
#ifndef AIRLOCK_MEMORY_RAM_H
#define AIRLOCK_MEMORY_RAM_H

#include <stdatomic.h>

#include "base/diag.h"
#include "base/range.h"
#include "base/types.h"
#include "sys/sys.h"

/* Guest-physical addresses from here to 4 GiB belong to devices. */
#define RAM_HOLE	0xc0000000ull
#define RAM_HIGH	0x100000000ull
#define RAM_REGIONS_MAX 2

enum ram_backing { RAM_ANON, RAM_HUGETLB_2M, RAM_HUGETLB_1G, RAM_MEMFD };

struct ram_config {
	uint64_t size; /* bytes; a multiple of the backing's page size */
	enum ram_backing backing;
	unsigned int prefault_threads; /* 0: pages come as they are touched */
	/* Called from one thread at a time while prefaulting; may be NULL. */
	void (*progress)(void *opaque, uint64_t done, uint64_t total);
	void *opaque;
};

struct ram_region {
	struct range gpa;
	uint8_t *hva;
	int fd; /* -1 for anonymous memory */
	uint64_t fd_offset;
};

struct ram {
	struct sys *sys;
	uint64_t size;
	uint64_t page_size; /* of the backing: 4 KiB, 2 MiB, 1 GiB */
	unsigned int nr_regions;
	struct ram_region regions[RAM_REGIONS_MAX]; /* ascending */
	unsigned int nr_threads;		    /* as ram_config gave for prefaulting */
	atomic_uint nr_holders;			    /* see ram_hold_pages */
};

/*
 * What ram_create() refuses before it takes anything: no size for a guest, more than the host has, no
 * huge pages left. 0, or -errno with diag filled.
 */
int ram_check(struct sys *sys, const struct ram_config *config, struct diag *diag);
/* 0, or -errno with diag filled: as ram_check(), or the host does not give the memory after all. */
int ram_create(struct sys *sys, const struct ram_config *config, struct ram **ram,
	       struct diag *diag);
/* Nobody may hold a span any more. */
void ram_destroy(struct ram *ram);

/* Host address of [addr, addr + len), or NULL unless all of it lies in one region. len > 0. */
void *ram_span(const struct ram *ram, gpa_t addr, uint64_t len);
/* Copies between the guest and buf: 0, or -EFAULT with nothing promised about a partial copy. */
int ram_read(const struct ram *ram, gpa_t addr, void *buf, uint64_t len);
int ram_write(const struct ram *ram, gpa_t addr, const void *buf, uint64_t len);

/*
 * Counts those who hold on to the pages themselves and not only to their addresses: a device whose
 * IOMMU has them pinned goes on using a page after the host has let go of it. While anybody holds
 * them, ram_clear() keeps every page where it is. Any thread.
 */
void ram_hold_pages(struct ram *ram);
void ram_release_pages(struct ram *ram);

/*
 * Makes every page present, with nr_threads threads: for whoever pins all of them next, which the
 * kernel does with one. Contents stay; the guest may run meanwhile. 0 or -errno.
 */
int ram_populate(struct ram *ram, unsigned int nr_threads);

/*
 * Returns all pages to zero, as at power-on, giving the memory back to the host unless somebody
 * holds the pages; by nr_threads threads. Nothing may run in the guest meanwhile. 0 or -errno.
 */
int ram_clear(struct ram *ram, unsigned int nr_threads);

#endif
