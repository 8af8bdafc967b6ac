/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The core of a virtio device on PCI (VIRTIO 1.2, modern only): registers, features, queues,
 * interrupts, reset. What a kind of device does with its buffers is its struct virtio_ops.
 *
 * Threads. A device belongs to one loop. Register accesses come on vCPU threads and only change
 * what is under the device's lock; everything that moves data or changes a queue's life happens on
 * the loop: a guest that writes 0 to the status reads 0 only when the loop has stopped all queues
 * (4.1.4.3.1, 4.1.4.3.2), and likewise for the reset of a queue. So all of struct virtio_ops but
 * config_written runs on the loop with no lock held, and needs no lock against itself.
 *
 * A ring that breaks the rules sets DEVICE_NEEDS_RESET (2.1.2), with a config interrupt, and the
 * device does nothing more until it is reset.
 *
 * All guest memory is reached by the function's DMA (pci/dma.h).
 */
#ifndef AIRLOCK_DEVICE_VIRTIO_VIRTIO_H
#define AIRLOCK_DEVICE_VIRTIO_VIRTIO_H

#include <stdatomic.h>

#include "device/virtio/virtio_regs.h"
#include "pci/dma.h"
#include "pci/function.h"
#include "platform/device.h"

#define VIRTIO_QUEUES_MAX 64
#define VIRTIO_QUEUE_SIZE 256 /* of every queue, at most */
#define VIRTIO_PIECES_MAX 256 /* descriptors of one buffer, indirect ones too */
#define VIRTIO_CONFIG_MAX 64

struct virtio_device;
struct virtio_pci;
struct virtio_queue;

struct virtio_ops {
	/* DRIVER_OK: dev->features are final. Before the first notify. May be NULL. */
	void (*start)(struct virtio_device *dev);
	/* There may be buffers in the queue. Take them all, by virtio_queue_serve() or pop. */
	void (*notify)(struct virtio_device *dev, struct virtio_queue *queue);
	/* Gives up every buffer taken from the queue: none may be pushed afterwards. May wait. */
	void (*queue_stop)(struct virtio_device *dev, struct virtio_queue *queue);
	/* Finishes and pushes every buffer taken from it, and takes no more until notify. NULL: none
	 * is ever kept. */
	void (*drain)(struct virtio_device *dev, struct virtio_queue *queue);
	/* All queues are stopped: back to power-on. May be NULL. */
	void (*reset)(struct virtio_device *dev);
	/* The driver wrote to a writable field of config. Under the device's lock. May be NULL. */
	void (*config_written)(struct virtio_device *dev);
	/* Of the device's own, in its section. Quiesced. May be NULL. */
	void (*save)(struct virtio_device *dev, struct state_writer *w);
	void (*load)(struct virtio_device *dev, struct state_reader *r);
	/* Frees what is the kind's own; the queues are stopped. Then the core frees the rest. */
	void (*destroy)(struct virtio_device *dev);
};

/* A stretch of a buffer, as the driver wrote it. */
struct virtio_piece {
	uint64_t addr;
	uint32_t len;
};

/* A buffer taken from a queue: what the device may read, then what it may write. */
struct virtio_chain {
	struct virtio_queue *queue;
	uint16_t id;	/* the driver's */
	uint16_t slots; /* of a packed ring */
	uint16_t seq;	/* in order of taking */
	uint16_t nr_out, nr_in;
	uint64_t out_len, in_len;
	struct virtio_piece pieces[VIRTIO_PIECES_MAX]; /* nr_out, then nr_in */
};

/* What push() was told, kept until its turn comes: VIRTIO_F_IN_ORDER. */
struct virtio_used {
	bool done;
	uint16_t id, slots;
	uint32_t len;
};

struct virtio_queue {
	struct virtio_device *dev;
	uint16_t index;

	/* Registers (4.1.4.3), under the device's lock. */
	uint16_t size, max_size;
	uint16_t vector;
	bool enabled, reset_asked;
	uint64_t desc, driver, device;

	/* The rest is the loop's. Copies of the registers, as they stood when it went live. */
	bool live;
	uint16_t num;
	uint64_t at_desc, at_driver, at_device;
	atomic_uint live_vector;
	const struct virtio_ring *ring; /* split or packed */
	bool event_idx, in_order, notify_on;
	uint16_t avail, used, signalled; /* next to take, next to fill, used at the last look */
	bool avail_wrap, used_wrap;	 /* packed */
	bool signalled_valid;
	uint16_t next_seq, order_seq; /* next to take; next to give back, if in order */
	uint16_t nr_taken, nr_given;  /* with the kind; since the driver was last told */
	struct virtio_used order[VIRTIO_QUEUE_SIZE];
	struct virtio_desc table[VIRTIO_PIECES_MAX]; /* an indirect table being read */

	int eventfd;
	struct loop_source source;
	bool bell_on;
	struct doorbell bell;
	void *opaque; /* the kind's */
};

/* How a ring is laid out: ring_split.c, ring_packed.c. Loop, outside of a DMA section. */
struct virtio_ring {
	uint64_t desc_align, driver_align, device_align;
	/* 1: taken; 0: none there; -EFAULT, -EPROTO: not a ring, with a word in *why. */
	int (*take)(struct virtio_queue *q, struct virtio_chain *chain, const char **why);
	/* Fills in the next used entry; the driver may not see it yet. */
	int (*give)(struct virtio_queue *q, const struct virtio_used *used);
	/* Shows what was given; whether the driver wants to be interrupted for it. -errno. */
	int (*show)(struct virtio_queue *q);
	int (*suppress)(struct virtio_queue *q, bool off);
	/* Whether there is something to take: 1, 0, -errno. */
	int (*peek)(struct virtio_queue *q);
};

extern const struct virtio_ring virtio_ring_split, virtio_ring_packed;

struct virtio_device {
	struct device dev; /* first */
	const struct virtio_ops *ops;
	struct platform *platform;
	struct loop *loop; /* borrowed, or that of thread */
	struct loop_thread thread;
	struct pci_function fn;
	struct pci_dma dma; /* the loop's */
	uint16_t nr_queues;
	struct virtio_queue *queues;

	struct virtio_pci *pci; /* pci.c's own */

	struct lock lock; /* LOCK_DEVICE: what follows */
	uint64_t offered, required, accepted;
	uint32_t offered_select, accepted_select;
	uint8_t status, generation, isr;
	bool config_changed; /* since the driver last read config */
	bool active;	     /* DRIVER_OK was written: a reset needs the loop */
	bool reset_asked;
	uint16_t config_vector;
	uint16_t queue_select;
	uint8_t config_len;
	uint8_t config[VIRTIO_CONFIG_MAX];
	uint8_t config_wmask[VIRTIO_CONFIG_MAX];
	struct log_budget log;

	/* The loop's. */
	struct loop_work sync;
	bool started, broken, quiesced;
	uint64_t features;			  /* as negotiated, from start on */
	atomic_ullong nr_interrupts, nr_notifies; /* figures, relaxed */
};

struct virtio_config {
	const char *name;
	uint16_t id; /* VIRTIO_ID_... */
	uint32_t class_code;
	uint64_t features; /* of the kind; the core adds its own */
	uint16_t nr_queues;
	uint8_t config_len;
	struct loop *loop; /* borrowed; NULL: a thread of the device's own */
	bool integrated;   /* on the root bus: a root complex integrated endpoint */
	bool packed;	   /* offer packed rings */
	bool in_order;
};

/*
 * Sets up a zeroed device with power-on registers and its PCI function, not attached. 0 or -errno.
 * dev->config is then the kind's to fill.
 */
int virtio_init(struct virtio_device *dev, struct platform *platform, const struct virtio_ops *ops,
		const struct virtio_config *config);
/* Undoes it before attach, or is what destroy does after everything. */
void virtio_fini(struct virtio_device *dev);

static inline bool virtio_has(const struct virtio_device *dev, unsigned int feature)
{
	return dev->features >> feature & 1;
}

/* ---- for kinds, on the loop ---- */

/* Takes the next buffer: 1, or 0 when there is none or the device is broken. */
int virtio_queue_pop(struct virtio_queue *queue, struct virtio_chain *chain);
/* Gives it back, `written` bytes of its writable part filled. The driver sees it after flush. */
void virtio_queue_push(struct virtio_queue *queue, const struct virtio_chain *chain,
		       uint32_t written);
/* Shows what was pushed, and interrupts if the driver wants it. */
void virtio_queue_flush(struct virtio_queue *queue);
/* Asks the driver not to notify, or to notify again; the latter: true when it was too late. */
void virtio_queue_suppress(struct virtio_queue *queue);
bool virtio_queue_resume(struct virtio_queue *queue);
/* Calls take(opaque) until it answers false or the queue is empty, with notifications off. */
void virtio_queue_serve(struct virtio_queue *queue, bool (*take)(void *opaque), void *opaque);

/*
 * Copies: from the readable part, and into the writable one, at an offset. 0; -EINVAL beyond its
 * end; -EFAULT, -EPERM where the memory is not the device's.
 */
int virtio_chain_read(const struct virtio_chain *chain, uint64_t at, void *buf, uint64_t len);
int virtio_chain_write(const struct virtio_chain *chain, uint64_t at, const void *buf,
		       uint64_t len);
/*
 * Host addresses of a part of it, held until iommu_hold_release(hold): one hold for all of it. 0;
 * -E2BIG when it takes more than `max` pieces, and errors as above: then nothing is held.
 */
int virtio_chain_hold(const struct virtio_chain *chain, bool writable, uint64_t at, uint64_t len,
		      struct iovec *iov, unsigned int max, unsigned int *nr,
		      struct iommu_hold *hold);

/* Changes a field of config, with a word to the driver. Any thread, no lock held. */
void virtio_config_change(struct virtio_device *dev, unsigned int offset, const void *data,
			  unsigned int len);
/* The driver broke the protocol: DEVICE_NEEDS_RESET, and nothing more until then. */
void virtio_break(struct virtio_device *dev, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* ---- within the core ---- */

extern const struct device_ops virtio_device_ops;
/* pci.c */
int virtio_pci_init(struct virtio_device *dev, const struct virtio_config *config);
void virtio_pci_fini(struct virtio_device *dev);
void virtio_interrupt(struct virtio_device *dev, uint16_t vector, uint8_t isr);
/* device.c: common configuration, under the lock. offset and size lie inside. */
uint64_t virtio_common_read(struct virtio_device *dev, uint64_t offset, unsigned int size);
void virtio_common_write(struct virtio_device *dev, uint64_t offset, unsigned int size,
			 uint64_t value);
uint64_t virtio_config_read(struct virtio_device *dev, uint64_t offset, unsigned int size);
void virtio_config_write(struct virtio_device *dev, uint64_t offset, unsigned int size,
			 uint64_t value);
/* Asks the loop for a reset, or does it at once where nothing runs. Under the lock. */
void virtio_ask_reset(struct virtio_device *dev);
/* The queue's doorbell rang. On the loop. */
void virtio_queue_ring(struct virtio_queue *queue);
/* queue.c: as before its first use. */
void virtio_queue_clear(struct virtio_queue *queue);
/* Goes live with the registers as they stand. Under the lock. 0 or -EINVAL with *why. */
int virtio_queue_start(struct virtio_queue *queue, const char **why);

#endif
