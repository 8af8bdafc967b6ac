// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Submission and completion queues (NVMe 1.4, 4.1): doorbells, trapped or in buffers of the guest's
 * (7.13), commands in, completions out, interrupts.
 *
 * With doorbell buffers the guest writes a tail into memory and rings only if it passes the event
 * index that stands there. While there is work, event indices are left where they are, so that nobody
 * rings; when a queue is empty its index is moved up to the tail, and the tail looked at once more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "device/nvme/ctrl.h"
#include "iommu/spin.h"

#define BURST 32 /* commands of one queue at a time */
#define PHASE BIT64(48)

static uint64_t shadow_at(const struct nvme_ctrl *ctrl, unsigned int id, bool cq)
{
	return ctrl->shadow_addr + 8 * id + 4 * cq;
}

static bool shadow_read(struct nvme_ctrl *ctrl, unsigned int id, bool cq, uint32_t *value)
{
	le32 v;

	if (pci_dma_read(&ctrl->dma, shadow_at(ctrl, id, cq), &v, sizeof(v))) {
		nvme_ctrl_fail(ctrl, "its doorbell buffer cannot be read");
		return false;
	}
	*value = le32_get(v);
	return true;
}

static void event_index_write(struct nvme_ctrl *ctrl, unsigned int id, bool cq, uint32_t value)
{
	le32 v = le32_make(value);

	if (pci_dma_write(&ctrl->dma, ctrl->event_addr + 8 * id + 4 * cq, &v, sizeof(v)))
		nvme_ctrl_fail(ctrl, "its event index buffer cannot be written");
	/* Before the doorbell is looked at again; the guest's barrier is between the same two. */
	spin_publish(&ctrl->published, value);
}

static void bell_error(struct nvme_ctrl *ctrl, unsigned int info)
{
	/* Invalid doorbell register 0, invalid doorbell value 1 (5.2.1). */
	nvme_event(ctrl, NVME_EVENT(NVME_EVENT_ERROR, info, NVME_LOG_ERROR));
}

static void sq_ring(struct nvme_ctrl *ctrl, unsigned int id, uint32_t tail)
{
	struct nvme_sq *sq = ctrl->sqs[id];

	if (!sq)
		bell_error(ctrl, 0);
	else if (tail >= sq->size)
		bell_error(ctrl, 1);
	else
		sq->tail = tail;
}

static void cq_ring(struct nvme_ctrl *ctrl, unsigned int id, uint32_t head)
{
	struct nvme_cq *cq = ctrl->cqs[id];

	if (!cq) {
		bell_error(ctrl, 0);
		return;
	}
	/* No further than there are entries. */
	if (head >= cq->size ||
	    (head + cq->size - cq->head) % cq->size > (cq->tail + cq->size - cq->head) % cq->size) {
		bell_error(ctrl, 1);
		return;
	}
	cq->head = head;
}

static void bells_take(struct nvme_ctrl *ctrl)
{
	for (unsigned int w = 0; w < ARRAY_SIZE(ctrl->dirty); w++) {
		uint64_t bits;

		if (!atomic_load_explicit(&ctrl->dirty[w], memory_order_relaxed))
			continue;
		bits = atomic_exchange_explicit(&ctrl->dirty[w], 0, memory_order_acquire);
		while (bits) {
			unsigned int slot = 64 * w + (unsigned int)__builtin_ctzll(bits);
			uint32_t value =
				atomic_load_explicit(&ctrl->bells[slot], memory_order_relaxed);

			bits &= bits - 1;
			if (slot & 1)
				cq_ring(ctrl, slot / 2, value);
			else
				sq_ring(ctrl, slot / 2, value);
			/*
			 * The admin queues are always rung: Linux has no buffers for them. Whoever
			 * does is asked to ring every time.
			 */
			if (ctrl->shadow && slot < 2 && !ctrl->failed)
				event_index_write(ctrl, 0, slot & 1, value);
		}
	}
}

/* A tail that says the impossible is the guest's error, once for each such tail. */
static void sq_look(struct nvme_ctrl *ctrl, struct nvme_sq *sq)
{
	uint32_t tail;

	if (!ctrl->shadow || !sq->id || !shadow_read(ctrl, sq->id, false, &tail))
		return;
	if (tail < sq->size)
		sq->tail = tail;
	else
		nvme_ctrl_fail(ctrl, "a doorbell buffer holds a tail beyond its queue");
}

/* Whether the tail moved while the guest was asked to ring. */
static bool sq_arm(struct nvme_ctrl *ctrl, struct nvme_sq *sq)
{
	if (!ctrl->shadow || !sq->id || sq->armed == sq->tail)
		return false;
	sq->armed = sq->tail;
	event_index_write(ctrl, sq->id, false, sq->tail);
	sq_look(ctrl, sq);
	return sq->head != sq->tail;
}

static struct nvme_request *request_new(struct nvme_ctrl *ctrl)
{
	struct nvme_request *req = ctrl->free;

	if (req) {
		ctrl->free = req->next;
	} else if (ctrl->nr_requests < NVME_INFLIGHT_MAX) {
		req = malloc(sizeof(*req));
		if (req)
			ctrl->nr_requests++;
	}
	return req;
}

static void request_free(struct nvme_request *req)
{
	free(req->bounce);
	req->bounce = NULL;
	req->next = req->ctrl->free;
	req->ctrl->free = req;
}

static void request_begin(struct nvme_ctrl *ctrl, struct nvme_sq *sq, struct nvme_request *req,
			  const struct nvme_sqe *sqe)
{
	/* The large arrays at its end hold nothing yet, and are not cleared. */
	memset(req, 0, offsetof(struct nvme_request, sg));
	req->ctrl = ctrl;
	req->sq = sq;
	req->sqe = *sqe;
	req->sqid = sq->id;
	req->cid = le16_get(sqe->cid);
	req->after = ctrl->inflight;
	req->link = &ctrl->inflight;
	if (req->after)
		req->after->link = &req->after;
	ctrl->inflight = req;
	if (sq->id)
		nvme_io_run(req);
	else
		nvme_admin_run(req);
}

static unsigned int sq_fetch(struct nvme_ctrl *ctrl, struct nvme_sq *sq)
{
	struct nvme_sqe sqes[BURST];
	uint32_t end = sq->tail < sq->head ? sq->size : sq->tail;
	unsigned int nr = (unsigned int)min_u64(end - sq->head, BURST), i;

	if (!nr)
		return 0;
	if (pci_dma_read(&ctrl->dma, sq->addr + (uint64_t)sq->head * NVME_SQE_LEN, sqes,
			 (uint64_t)nr * NVME_SQE_LEN)) {
		nvme_ctrl_fail(ctrl, "a submission queue cannot be read");
		return 0;
	}
	for (i = 0; i < nr && !ctrl->failed; i++) {
		struct nvme_request *req = request_new(ctrl);

		if (!req)
			break;
		sq->head = sq->head + 1 == sq->size ? 0 : sq->head + 1;
		request_begin(ctrl, sq, req, &sqes[i]);
	}
	return i;
}

bool nvme_queues_run(struct nvme_ctrl *ctrl)
{
	bool any = false;

	if (!ctrl->enabled || ctrl->failed)
		return false;
	bells_take(ctrl);
	for (unsigned int i = 0; i < ctrl->nr_pairs && !ctrl->failed; i++) {
		struct nvme_sq *sq = ctrl->sqs[i];

		if (!sq)
			continue;
		sq_look(ctrl, sq);
		if (ctrl->failed)
			break;
		if (sq->head != sq->tail)
			any |= sq_fetch(ctrl, sq) != 0;
		else
			any |= sq_arm(ctrl, sq);
	}
	return any;
}

void nvme_complete(struct nvme_request *req, uint16_t status)
{
	struct nvme_ctrl *ctrl = req->ctrl;
	struct nvme_cq *cq = req->sq->cq;

	*req->link = req->after;
	if (req->after)
		req->after->link = req->link;
	if (!ctrl->enabled) {
		request_free(req);
		return;
	}
	if (status & NVME_STATUS_CODE)
		nvme_log_error(req, status);
	req->status = status & NVME_STATUS_CODE ? status | NVME_MORE : status;
	req->sqhd = (uint16_t)req->sq->head;
	req->next = NULL;
	*cq->ready_tail = req;
	cq->ready_tail = &req->next;
}

static uint32_t cq_room(const struct nvme_cq *cq)
{
	return (cq->head + cq->size - cq->tail - 1) % cq->size;
}

/* How many entries can be posted; a full queue's head is looked up, and then to be rung. */
static uint32_t cq_look(struct nvme_ctrl *ctrl, struct nvme_cq *cq)
{
	uint32_t head;

	if (cq_room(cq) || !ctrl->shadow || !cq->id)
		return cq_room(cq);
	for (unsigned int i = 0; i < 2 && !cq_room(cq); i++) {
		if (i && cq->armed != cq->head) {
			cq->armed = cq->head;
			event_index_write(ctrl, cq->id, true, cq->head);
		}
		if (ctrl->failed || !shadow_read(ctrl, cq->id, true, &head))
			return 0;
		cq_ring(ctrl, cq->id, head);
	}
	return cq_room(cq);
}

/*
 * A run of entries that does not wrap. The second half of an entry holds the phase: it goes last,
 * and all of it at once (4.6).
 */
static bool cq_write(struct nvme_ctrl *ctrl, struct nvme_cq *cq, unsigned int nr)
{
	struct iovec iov[4];
	unsigned int nr_iov, posted = 0;
	uint64_t covered, len = (uint64_t)nr * NVME_CQE_LEN;
	bool ok;

	if (pci_dma_begin(&ctrl->dma))
		return false;
	ok = !pci_dma_map(&ctrl->dma, cq->addr + (uint64_t)cq->tail * NVME_CQE_LEN, len,
			  IOMMU_WRITE, iov, ARRAY_SIZE(iov), &nr_iov, &covered) &&
	     covered == len;
	for (unsigned int i = 0; ok && i < nr_iov; i++) {
		uint64_t *at = iov[i].iov_base;

		ok = is_aligned((uintptr_t)at | iov[i].iov_len, NVME_CQE_LEN);
		for (; ok && at < (uint64_t *)iov[i].iov_base + iov[i].iov_len / 8; at += 2) {
			struct nvme_request *req = cq->ready;
			uint64_t last = req->sqhd | (uint64_t)req->sqid << 16 |
					(uint64_t)req->cid << 32 | (cq->phase ? PHASE : 0) |
					(uint64_t)req->status << 49;

			__atomic_store_n(&at[0], htole64(req->result), __ATOMIC_RELAXED);
			__atomic_store_n(&at[1], htole64(last), __ATOMIC_RELEASE);
			cq->ready = req->next;
			request_free(req);
			posted++;
		}
	}
	pci_dma_end(&ctrl->dma);
	if (!cq->ready)
		cq->ready_tail = &cq->ready;
	cq->tail += posted;
	if (cq->tail == cq->size) {
		cq->tail = 0;
		cq->phase = !cq->phase;
	}
	return ok;
}

static bool cq_post(struct nvme_ctrl *ctrl, struct nvme_cq *cq)
{
	bool any = false;

	while (cq->ready && !ctrl->failed) {
		uint32_t room = cq_look(ctrl, cq);
		unsigned int nr = 0;

		room = (uint32_t)min_u64(room, cq->size - cq->tail);
		for (struct nvme_request *r = cq->ready; r && nr < room; r = r->next)
			nr++;
		if (!nr)
			break;
		if (!cq_write(ctrl, cq, nr)) {
			nvme_ctrl_fail(ctrl, "a completion queue cannot be written");
			break;
		}
		any = true;
	}
	return any;
}

/* Pins: asserted while any unmasked vector's queue holds entries (7.5.1.1). */
static void ctrl_drive_pin(struct nvme_ctrl *ctrl)
{
	uint32_t status = 0;

	if (nvme_is_vf(ctrl) || pci_msix_enabled(&ctrl->fn))
		return;
	for (unsigned int i = 0; i < ctrl->nr_pairs; i++) {
		const struct nvme_cq *cq = ctrl->cqs[i];

		if (cq && cq->interrupts && cq->head != cq->tail && cq->vector < 32)
			status |= BIT(cq->vector);
	}
	lock_take(&ctrl->lock);
	ctrl->irq_status = status;
	status &= ~ctrl->intm;
	lock_drop(&ctrl->lock);
	pci_function_intx(&ctrl->fn, status);
}

bool nvme_queues_post(struct nvme_ctrl *ctrl)
{
	bool any = false;

	if (!ctrl->enabled)
		return false;
	for (unsigned int i = 0; i < ctrl->nr_pairs; i++) {
		struct nvme_cq *cq = ctrl->cqs[i];

		if (!cq || !cq->ready || !cq_post(ctrl, cq))
			continue;
		any = true;
		if (cq->interrupts)
			pci_msix_fire(&ctrl->fn, cq->vector);
	}
	ctrl_drive_pin(ctrl);
	return any;
}

int nvme_cq_create(struct nvme_ctrl *ctrl, uint16_t id, uint64_t addr, uint32_t size,
		   bool interrupts, uint16_t vector)
{
	struct nvme_cq *cq = calloc(1, sizeof(*cq));

	if (!cq)
		return -ENOMEM;
	cq->id = id;
	cq->addr = addr;
	cq->size = size;
	cq->interrupts = interrupts;
	cq->vector = vector;
	cq->phase = true;
	cq->ready_tail = &cq->ready;
	cq->armed = UINT32_MAX;
	ctrl->cqs[id] = cq;
	return 0;
}

int nvme_sq_create(struct nvme_ctrl *ctrl, uint16_t id, uint64_t addr, uint32_t size,
		   struct nvme_cq *cq)
{
	struct nvme_sq *sq = calloc(1, sizeof(*sq));

	if (!sq)
		return -ENOMEM;
	sq->id = id;
	sq->addr = addr;
	sq->size = size;
	sq->cq = cq;
	sq->armed = UINT32_MAX;
	cq->nr_sqs++;
	ctrl->sqs[id] = sq;
	return 0;
}

void nvme_sq_delete(struct nvme_ctrl *ctrl, struct nvme_sq *sq)
{
	nvme_queues_drain(ctrl, sq);
	sq->cq->nr_sqs--;
	ctrl->sqs[sq->id] = NULL;
	free(sq);
}

void nvme_cq_delete(struct nvme_ctrl *ctrl, struct nvme_cq *cq)
{
	while (cq->ready) {
		struct nvme_request *req = cq->ready;

		cq->ready = req->next;
		request_free(req);
	}
	ctrl->cqs[cq->id] = NULL;
	free(cq);
}

void nvme_queues_delete(struct nvme_ctrl *ctrl)
{
	for (unsigned int i = 0; i < NVME_PAIRS_MAX; i++) {
		if (ctrl->sqs[i])
			nvme_sq_delete(ctrl, ctrl->sqs[i]);
	}
	for (unsigned int i = 0; i < NVME_PAIRS_MAX; i++) {
		if (ctrl->cqs[i])
			nvme_cq_delete(ctrl, ctrl->cqs[i]);
	}
}

static bool request_of(const struct nvme_request *req, const struct nvme_sq *sq)
{
	return req->submitted && (!sq || req->sq == sq);
}

void nvme_queues_drain(struct nvme_ctrl *ctrl, const struct nvme_sq *sq)
{
	struct nvme *nvme = ctrl->nvme;
	struct nvme_request *req = ctrl->inflight;

	while (req) {
		if (!request_of(req, sq) || req->abort_status) {
			req = req->after;
			continue;
		}
		req->abort_status = NVME_ABORTED_SQ_DELETED;
		/* May end it, and others: begin again. */
		block_cancel(req->ns->queue, &req->block);
		req = ctrl->inflight;
	}
	for (unsigned int i = 0; i < nvme->nr_ns; i++) {
		nvme->ns[i].submitted = false;
		block_kick(nvme->ns[i].queue);
		block_drain(nvme->ns[i].queue);
	}
}

void nvme_queues_revoke(struct nvme_ctrl *ctrl)
{
	struct nvme_request *req = ctrl->inflight;

	while (req) {
		if (!req->submitted || !req->mapped || req->cancelled ||
		    !atomic_load(&req->revoked)) {
			req = req->after;
			continue;
		}
		req->cancelled = true;
		block_cancel(req->ns->queue, &req->block);
		req = ctrl->inflight;
	}
}

void nvme_requests_free(struct nvme_ctrl *ctrl)
{
	while (ctrl->free) {
		struct nvme_request *req = ctrl->free;

		ctrl->free = req->next;
		free(req);
	}
}
