/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of this room share. "The thread" is the one that serves all queues of a subsystem;
 * everything without another note is its own. Registers are under the controller's lock.
 */
#ifndef AIRLOCK_DEVICE_NVME_CTRL_H
#define AIRLOCK_DEVICE_NVME_CTRL_H

#include <stdatomic.h>

#include "backend/block.h"
#include "base/lock.h"
#include "base/log.h"
#include "device/nvme/nvme.h"
#include "device/nvme/nvme_regs.h"
#include "pci/dma.h"
#include "pci/msix.h"
#include "sys/loop.h"

#define NVME_CTRLS_MAX	  (1 + NVME_VFS_MAX)
#define NVME_PAIRS_MAX	  256  /* queue pairs that the doorbell page and the BAR have room for */
#define NVME_QUEUE_MAX	  1024 /* entries of a queue */
#define NVME_INFLIGHT_MAX 1024 /* commands of one controller */
#define NVME_MDTS	  7    /* 2^7 smallest pages: 512 KiB */
#define NVME_TRANSFER_MAX (KIB(4) << NVME_MDTS)
#define NVME_SG_MAX	  132 /* a transfer in smallest pages, and some */
#define NVME_EVENTS_MAX	  4   /* outstanding asynchronous event requests */
#define NVME_EVENTS_KEPT  8
#define NVME_ERRORS	  64
#define NVME_TEMPERATURE  310 /* kelvin: it does not get warm */
#define NVME_WARM	  343
#define NVME_HOT	  373

struct nvme;
struct nvme_ctrl;
struct nvme_request;

struct nvme_ns {
	struct nvme *nvme;
	uint32_t nsid;
	struct block *block;
	struct block_queue *queue;
	unsigned int lba_lg2;
	uint64_t nr_blocks;
	uint64_t attached; /* one bit per controller */
	bool submitted;	   /* a block_kick() is owed */
	uint8_t nguid[NVME_NGUID_LEN];
};

struct nvme_cq {
	uint16_t id, vector;
	bool interrupts, phase;
	uint64_t addr;
	uint32_t size, head, tail;
	unsigned int nr_sqs;
	struct nvme_request *ready, **ready_tail; /* completed, not posted */
	bool fire;				  /* an interrupt is owed */
	uint32_t armed;				  /* event index as last written */
};

struct nvme_sq {
	uint16_t id;
	uint64_t addr;
	uint32_t size, head, tail;
	struct nvme_cq *cq;
	uint32_t armed; /* event index as last written */
};

/* A piece of the guest's memory for a command's data. */
struct nvme_sg {
	uint64_t addr, len;
	bool drop; /* bit bucket: no memory at all */
};

/* Where a command that takes several steps stands. */
struct nvme_steps {
	void (*next)(struct nvme_request *req, int status);
	uint64_t offset, left;
	unsigned int index, nr;
};

/* One command, from fetch to its completion entry. */
struct nvme_request {
	struct nvme_ctrl *ctrl;
	struct nvme_sq *sq;
	struct nvme_request *next;	    /* free, or ready on its completion queue */
	struct nvme_request *after, **link; /* in flight */
	struct nvme_ns *ns;
	struct nvme_sqe sqe;
	uint16_t sqid, sqhd, cid;
	uint16_t status;
	uint32_t result;
	uint16_t abort_status; /* what it ends with when it is aborted; 0: it is not */
	bool submitted;	       /* block is with its queue */
	bool cancelled; /* because its memory is wanted back: it goes on in a bounce buffer */
	bool mapped;	/* iov is guest memory, held */
	atomic_bool revoked;
	struct iommu_hold hold;
	struct block_request block;
	struct nvme_steps steps;
	uint8_t *bounce; /* the data's stand-in, or NULL */
	uint64_t len;
	unsigned int nr_sg, nr_iov;
	struct nvme_sg sg[NVME_SG_MAX];
	struct iovec iov[NVME_SG_MAX];
};

struct nvme_error {
	uint64_t count, lba;
	uint32_t nsid;
	uint16_t sqid, cid, status;
};

/* Feature values of one controller, as they stand (5.21.1). */
struct nvme_features {
	uint32_t arbitration, power, error_recovery, coalescing, atomicity, events;
	uint32_t over, under; /* temperature thresholds */
	bool write_cache;
	uint64_t timestamp_base; /* what the host said, in ms, less our clock then */
	bool timestamp_set;
	uint64_t uncoalesced[NVME_PAIRS_MAX / 64]; /* vectors with coalescing off */
};

enum nvme_reset { NVME_RESET_CC = 1, NVME_RESET_SUBSYSTEM = 2, NVME_RESET_FUNCTION = 4 };

struct nvme_ctrl {
	struct nvme *nvme;
	struct pci_function fn;
	struct pci_dma dma;
	uint16_t cntlid;     /* 0: the primary; its virtual function i is i + 1 */
	uint16_t nr_vectors; /* of its MSI-X table; fixed */
	uint8_t msix_cap;
	char regs_name[64];

	struct lock lock; /* LOCK_DEVICE: registers, down to the blank line */
	uint32_t cc, csts, aqa, intm;
	uint64_t asq, acq;
	unsigned int resets;		      /* asked for, not done: enum nvme_reset */
	uint32_t irq_status;		      /* pin-based: vectors with something to tell */
	uint64_t bar;			      /* where BAR 0 is, 0: nowhere */
	uint64_t bell_at[2 * NVME_PAIRS_MAX]; /* doorbells that the kernel takes, 0: not */

	atomic_bool online;	  /* a secondary's state; the primary always is */
	atomic_uint nr_vq, nr_vi; /* flexible resources: of a secondary all it has */
	atomic_ullong dirty[2 * NVME_PAIRS_MAX / 64]; /* doorbells written */
	atomic_uint bells[2 * NVME_PAIRS_MAX];	      /* with what, last */

	bool enabled;
	bool failed; /* until the next reset nothing is fetched */
	uint32_t page_size;
	unsigned int nr_pairs; /* usable now, the admin pair among them */
	struct nvme_sq *sqs[NVME_PAIRS_MAX];
	struct nvme_cq *cqs[NVME_PAIRS_MAX];
	bool shadow; /* doorbell buffers are set */
	uint64_t shadow_addr, event_addr;
	_Atomic uint64_t published; /* the last event index: for the fence after it */
	struct nvme_request *inflight;
	struct nvme_request *free;
	unsigned int nr_requests; /* made so far */
	struct nvme_features features;
	struct nvme_request *events[NVME_EVENTS_MAX]; /* outstanding requests */
	unsigned int nr_events;
	uint32_t pending[NVME_EVENTS_KEPT]; /* what happened and nobody was told */
	unsigned int nr_pending;
	uint8_t events_masked; /* types told and not yet looked at */
	uint32_t changed_ns;   /* one bit per namespace - 1 */
	struct nvme_error errors[NVME_ERRORS];
	uint64_t nr_errors;
	bool power_hot; /* the temperature event was told */

	struct loop_source kick;
	int kick_fd; /* doorbells, trapped or not */
};

struct nvme_figures {
	uint64_t read_sectors, written_sectors, reads, writes, media_errors;
};

struct nvme {
	struct device dev; /* first */
	struct platform *platform;
	struct loop *loop;
	pthread_t thread;
	bool has_thread;
	char serial[NVME_SN_LEN + 1];
	char subnqn[NVME_SUBNQN_LEN];
	unsigned int vfs, vf_queues, io_queues;
	bool write_cache; /* some drive has a volatile one */
	unsigned int nr_ctrls;
	struct nvme_ctrl *ctrls[NVME_CTRLS_MAX];
	unsigned int nr_ns;
	struct nvme_ns ns[NVME_NAMESPACES_MAX];
	bool serving, again;
	bool quiesced;
	atomic_bool revoked; /* some request's memory is wanted back */
	uint64_t began_ns;
	struct nvme_figures figures;

	struct lock call_lock; /* LOCK_LEAF: whether calls are done */
	pthread_cond_t called;
};

static inline uint32_t nvme_cdw(const struct nvme_sqe *sqe, unsigned int n)
{
	return le32_get(sqe->cdw10[n - 10]);
}

static inline struct nvme_ctrl *nvme_primary(struct nvme *nvme)
{
	return nvme->ctrls[0];
}

static inline bool nvme_is_vf(const struct nvme_ctrl *ctrl)
{
	return ctrl->cntlid;
}

static inline bool nvme_is_attached(const struct nvme_ctrl *ctrl, const struct nvme_ns *ns)
{
	return ns->attached & BIT64(ctrl->cntlid);
}

/* device.c: the thread looks at the controllers soon. Any thread. */
void nvme_kick(struct nvme_ctrl *ctrl);
/* Runs fn on the thread and waits for it. Any other thread; LOCK_FABRIC may be held. */
void nvme_call(struct nvme *nvme, void (*fn)(void *opaque), void *opaque);
void nvme_serve_all(struct nvme *nvme);

/* regs.c */
extern const struct bus_region_ops nvme_regs_ops;
/* Does what the registers ask for: reset, enable, shutdown. */
void nvme_ctrl_sync(struct nvme_ctrl *ctrl);
/* The controller can no longer be relied on (CSTS.CFS), until it is reset. */
void nvme_ctrl_fail(struct nvme_ctrl *ctrl, const char *why);
/* A reset asked for by PCI, done before it returns. Not on the thread; LOCK_FABRIC may be held. */
void nvme_ctrl_reset(struct nvme_ctrl *ctrl, enum nvme_reset how);
/* Doorbells that the kernel takes follow the BAR, the queues and the buffers. */
void nvme_ctrl_place_bells(struct nvme_ctrl *ctrl);

/* queue.c */
/* Takes note of doorbells and fetches what there is; whether there was anything. */
bool nvme_queues_run(struct nvme_ctrl *ctrl);
/* Posts completions and interrupts; whether anything was posted. */
bool nvme_queues_post(struct nvme_ctrl *ctrl);
/* The command ends here. */
void nvme_complete(struct nvme_request *req, uint16_t status);
/* A queue pair's parts; -ENOMEM. addr is page-aligned, size in entries. */
int nvme_cq_create(struct nvme_ctrl *ctrl, uint16_t id, uint64_t addr, uint32_t size,
		   bool interrupts, uint16_t vector);
int nvme_sq_create(struct nvme_ctrl *ctrl, uint16_t id, uint64_t addr, uint32_t size,
		   struct nvme_cq *cq);
/* What is in flight ends first, aborted. */
void nvme_sq_delete(struct nvme_ctrl *ctrl, struct nvme_sq *sq);
void nvme_cq_delete(struct nvme_ctrl *ctrl, struct nvme_cq *cq);
/* All of them; nothing is posted. */
void nvme_queues_delete(struct nvme_ctrl *ctrl);
/* Ends what is in flight, of one queue or of all (sq NULL): cancelled, and waited for. */
void nvme_queues_drain(struct nvme_ctrl *ctrl, const struct nvme_sq *sq);
/* Invalidations want memory back: cancels what uses it. */
void nvme_queues_revoke(struct nvme_ctrl *ctrl);
void nvme_requests_free(struct nvme_ctrl *ctrl);

/* data.c. Statuses are NVMe's. */
/* Finds where the command's `len` bytes of data lie. */
uint16_t nvme_data_parse(struct nvme_request *req, uint64_t len, bool to_host);
/* Copies at `offset` of the data. */
uint16_t nvme_data_put(struct nvme_request *req, uint64_t offset, const void *buf, uint64_t len);
uint16_t nvme_data_get(struct nvme_request *req, uint64_t offset, void *buf, uint64_t len);
/* An admin command's result: parse and put, no more than the host has room for. */
uint16_t nvme_data_reply(struct nvme_request *req, const void *buf, uint64_t len, uint64_t room);
/* The guest's memory itself in req->iov, held. false: it has to be bounced. */
bool nvme_data_map(struct nvme_request *req, unsigned int access, uint16_t *status);
void nvme_data_unmap(struct nvme_request *req);
/* A stand-in of req->len bytes in bounce and iov. */
uint16_t nvme_data_bounce(struct nvme_request *req);

/* admin.c, io.c: take a command; nvme_complete() is or will be called. */
void nvme_admin_run(struct nvme_request *req);
void nvme_io_run(struct nvme_request *req);

/* identify.c, feature.c, log.c, virt.c, namespace.c: admin commands. */
uint16_t nvme_identify(struct nvme_request *req);
uint16_t nvme_feature_get(struct nvme_request *req);
uint16_t nvme_feature_set(struct nvme_request *req);
void nvme_features_reset(struct nvme_ctrl *ctrl);
uint16_t nvme_log_get(struct nvme_request *req);
void nvme_log_error(struct nvme_request *req, uint16_t status);
/* An event for the host, told when it asks; and the state of what it was told. */
void nvme_event(struct nvme_ctrl *ctrl, uint32_t event);
void nvme_events_tell(struct nvme_ctrl *ctrl);
void nvme_events_reset(struct nvme_ctrl *ctrl);
/* Looks whether the temperature is beyond what the host set. */
void nvme_event_temperature(struct nvme_ctrl *ctrl);
uint16_t nvme_virt(struct nvme_request *req);
/* VQ and VI resources that a controller has, flexible ones included. */
unsigned int nvme_virt_vq(const struct nvme_ctrl *ctrl);
unsigned int nvme_virt_vi(const struct nvme_ctrl *ctrl);
/* Flexible resources in all, and those given to secondaries. */
unsigned int nvme_virt_total(const struct nvme *nvme);
unsigned int nvme_virt_assigned(const struct nvme *nvme, unsigned int resource);
/* The secondary goes offline and gives its resources back. */
void nvme_virt_offline(struct nvme_ctrl *ctrl);
uint16_t nvme_ns_attachment(struct nvme_request *req);
uint16_t nvme_ns_management(struct nvme_request *req);
/* Makes durable what was written; waits for it. */
void nvme_ns_flush(struct nvme_ns *ns);
/* The namespace of that number, or NULL; not asking whether it is attached. */
struct nvme_ns *nvme_ns_find(struct nvme *nvme, uint32_t nsid);

#endif
