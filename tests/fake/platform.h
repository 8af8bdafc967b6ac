/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine in memory, for tests of devices and of the PCI fabric: it records regions, slots,
 * routes, doorbells and interrupt levels, lets a test act as the guest on its buses, and can fail
 * the n-th call that is allowed to fail.
 *
 * Everything is checked as a real machine would: overlaps are refused, removing what is not there
 * is our own bug. The handlers of regions are called without the fake's lock, as on a vCPU thread.
 */
#ifndef AIRLOCK_TESTS_FAKE_PLATFORM_H
#define AIRLOCK_TESTS_FAKE_PLATFORM_H

#include <pthread.h>

#include "iommu/ops.h"
#include "platform/platform.h"

#define FAKE_ROUTES   256
#define FAKE_MESSAGES 1024
#define FAKE_PINS     24
#define FAKE_SLOTS    64
#define FAKE_BELLS    64
#define FAKE_RAM      4

struct fake_route {
	bool used;
	rid_t rid;
	bool set;		 /* msi_set was called since msi_alloc */
	struct msi_message msg;	 /* as last set */
	struct msi_message live; /* as last committed */
	bool committed;		 /* live is valid */
	int eventfd;		 /* attached, or -1 */
};

struct fake_message {
	rid_t rid;
	struct msi_message msg;
};

struct fake_power {
	bool asked;
	enum power_event event;
	int status;
};

struct fake_platform {
	/* Hand &fake->platform to the device. A test may give it .ram, and another .iommu. */
	struct platform platform;
	struct iommu *no_iommu;
	pthread_mutex_t mutex;

	/* Counts the calls that can fail. The fail_at-th (from 1) returns fail_err; 0: none. */
	unsigned int nr_calls, fail_at;
	int fail_err;

	struct bus_region *regions;
	struct direct_slot *slots[FAKE_SLOTS];
	unsigned int nr_slots;
	struct doorbell bells[FAKE_BELLS];
	unsigned int nr_bells;

	uint64_t pins[FAKE_PINS]; /* one bit per share that is high */
	struct irq_eoi *eoi[FAKE_PINS];

	struct fake_route routes[FAKE_ROUTES];
	unsigned int nr_commits;
	struct fake_message sent[FAKE_MESSAGES]; /* msi_send, in order; the first FAKE_MESSAGES */
	unsigned int nr_sent;

	struct ram_listener *listeners;
	struct {
		struct range gpa;
		void *hva;
	} ram[FAKE_RAM];
	unsigned int nr_ram;

	unsigned int nr_synchronize;
	struct fake_power power; /* the last one asked for */
};

/* sys and loop may be NULL where the device under test needs neither. */
void fake_platform_init(struct fake_platform *fake, struct sys *sys, struct loop *loop);
void fake_platform_fini(struct fake_platform *fake);

/* From now on the n-th call that can fail (from 1; 0: none) answers err. Resets the counter. */
void fake_platform_fail(struct fake_platform *fake, unsigned int n, int err);
/* No region, slot, route, doorbell, watcher or listener is left and every pin is low. */
bool fake_platform_is_empty(const struct fake_platform *fake);

/* The guest's accesses. What no region claims, or only part of, reads as all ones. */
uint64_t fake_bus_read(struct fake_platform *fake, enum bus_space space, uint64_t addr,
		       unsigned int size);
void fake_bus_write(struct fake_platform *fake, enum bus_space space, uint64_t addr,
		    unsigned int size, uint64_t value);
/* The region, slot or doorbell at an address, or NULL. */
struct bus_region *fake_region_at(struct fake_platform *fake, enum bus_space space, uint64_t addr);
struct direct_slot *fake_slot_at(struct fake_platform *fake, uint64_t addr);
const struct doorbell *fake_bell_at(struct fake_platform *fake, enum bus_space space,
				    uint64_t addr);
unsigned int fake_region_count(const struct fake_platform *fake);

/* Level of a pin, all shares ORed. */
bool fake_pin(const struct fake_platform *fake, unsigned int pin);
/* The guest ends a level interrupt. */
void fake_eoi(struct fake_platform *fake, unsigned int pin);
/* Routes in use. */
unsigned int fake_route_count(const struct fake_platform *fake);

/* Guest RAM comes or goes; listeners are told. Before anything listens, or at any time. */
int fake_ram_add(struct fake_platform *fake, struct range gpa, void *hva);
void fake_ram_remove(struct fake_platform *fake, struct range gpa);

#endif
