/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's virtio driver on the machine in memory: registers through the BAR, rings of both kinds
 * in 8 MiB of RAM at 0. It follows the rules; a test that breaks them writes to RAM itself.
 */
#ifndef AIRLOCK_TESTS_FAKE_VIRTIO_H
#define AIRLOCK_TESTS_FAKE_VIRTIO_H

#include "device/virtio/virtio_regs.h"
#include "fake/pci.h"
#include "memory/ram.h"
#include "platform/device.h"

#define FAKE_VIRTIO_RAM	   MIB(8)
#define FAKE_VIRTIO_RID	   rid_make(0, PCI_DEVFN(1, 0))
#define FAKE_VIRTIO_BAR	   0xc0000000u
#define FAKE_VIRTIO_MSIX   0xc0010000u
#define FAKE_VIRTIO_QUEUES 4
/* Where the structures lie in the BAR, as read from the capabilities. */

struct fake_vq {
	uint16_t index, size;
	uint64_t desc, driver, device;
	uint16_t next_desc, avail, used;
	bool avail_wrap, used_wrap;
	uint16_t slots[256]; /* of each id */
};

struct fake_piece {
	uint64_t addr;
	uint32_t len;
	bool write;
};

struct fake_virtio {
	struct fake_pci pci;
	struct sys sys;
	struct loop *loop;
	struct ram ram;
	uint8_t *mem;
	uint64_t next; /* memory given out so far */
	struct device *dev;
	uint32_t common, isr, config, notify; /* addresses on the bus */
	uint64_t features;		      /* as agreed */
	struct fake_vq vq[FAKE_VIRTIO_QUEUES];
};

/* A machine without the device. */
void fake_virtio_init(struct fake_virtio *f);
/* Puts the device on the bus, BARs placed, mastering on. It is then the fake's. */
void fake_virtio_plug(struct fake_virtio *f, struct device *dev, struct pci_function *fn);
/* Destroys the device; whether nothing of it is left. */
bool fake_virtio_fini(struct fake_virtio *f);

/* Serves the device's loop until it has nothing to do. */
void fake_virtio_settle(struct fake_virtio *f);
uint64_t fake_virtio_alloc(struct fake_virtio *f, uint64_t len);
uint64_t fake_virtio_get(struct fake_virtio *f, uint32_t offset, unsigned int size);
void fake_virtio_put(struct fake_virtio *f, uint32_t offset, unsigned int size, uint64_t v);
uint8_t fake_virtio_status(struct fake_virtio *f);
uint64_t fake_virtio_offered(struct fake_virtio *f);
/* Writes 0 and waits. */
void fake_virtio_reset(struct fake_virtio *f);
/* Up to FEATURES_OK with what of `want` is offered; whether the device agreed. */
bool fake_virtio_negotiate(struct fake_virtio *f, uint64_t want);
/* A queue of `size`, its ring fresh, MSI-X vector index + 1. */
void fake_virtio_queue(struct fake_virtio *f, unsigned int index, uint16_t size);
/* MSI-X on, all vectors unmasked: interrupts then show in f->pci.machine.sent. */
void fake_virtio_msix(struct fake_virtio *f);
void fake_virtio_driver_ok(struct fake_virtio *f);
/* All of it: reset, features, nr queues of `size`, DRIVER_OK. */
void fake_virtio_start(struct fake_virtio *f, uint64_t want, unsigned int nr, uint16_t size);

/* Makes a buffer available, by an indirect table where asked for; its id. */
uint16_t fake_virtio_add(struct fake_virtio *f, unsigned int index, const struct fake_piece *piece,
			 unsigned int nr, bool indirect);
void fake_virtio_kick(struct fake_virtio *f, unsigned int index);
/* The next buffer given back; false when there is none. */
bool fake_virtio_used(struct fake_virtio *f, unsigned int index, uint16_t *id, uint32_t *len);

#endif
