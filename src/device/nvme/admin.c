// SPDX-License-Identifier: GPL-2.0-or-later
/* Admin commands (NVMe 1.4, 5): queues, abort, events, doorbell buffers; the rest is others' nouns. */
#include <errno.h>

#include "device/nvme/ctrl.h"

static uint64_t prp_get(const struct nvme_sqe *sqe, unsigned int n)
{
	return le_load(&sqe->dptr[8 * n], 8);
}

/* What creating either queue has in common (5.3, 5.4). */
static uint16_t queue_check(const struct nvme_request *req, unsigned int id, bool taken,
			    uint32_t *size)
{
	const struct nvme_ctrl *ctrl = req->ctrl;

	*size = FIELD_GET(NVME_QUEUE_SIZE, nvme_cdw(&req->sqe, 10)) + 1;
	if (!id || id >= ctrl->nr_pairs || taken)
		return NVME_INVALID_QID | NVME_DNR;
	if (*size < 2 || *size > NVME_QUEUE_MAX)
		return NVME_INVALID_QUEUE_SIZE | NVME_DNR;
	/* CAP.CQR: contiguous only. */
	if (!(nvme_cdw(&req->sqe, 11) & NVME_QUEUE_PC))
		return NVME_INVALID_FIELD | NVME_DNR;
	if (prp_get(&req->sqe, 0) & (ctrl->page_size - 1))
		return NVME_INVALID_PRP_OFFSET | NVME_DNR;
	return NVME_OK;
}

/* The entry sizes are the host's to set before it makes I/O queues (3.1.5). */
static bool entry_size_is(struct nvme_ctrl *ctrl, uint32_t field_mask, unsigned int lg2)
{
	uint32_t cc;

	lock_take(&ctrl->lock);
	cc = ctrl->cc;
	lock_drop(&ctrl->lock);
	return (cc & field_mask) >> __builtin_ctz(field_mask) == lg2;
}

static uint16_t admin_create_cq(struct nvme_request *req)
{
	struct nvme_ctrl *ctrl = req->ctrl;
	unsigned int id = FIELD_GET(NVME_QUEUE_ID, nvme_cdw(&req->sqe, 10));
	unsigned int vector = FIELD_GET(NVME_CQ_VECTOR, nvme_cdw(&req->sqe, 11));
	bool interrupts = nvme_cdw(&req->sqe, 11) & NVME_CQ_IEN;
	uint32_t size;
	uint16_t status = queue_check(req, id, id < NVME_PAIRS_MAX && ctrl->cqs[id], &size);

	if (status)
		return status;
	if (!entry_size_is(ctrl, NVME_CC_IOCQES, NVME_CQE_LG2))
		return NVME_INVALID_FIELD | NVME_DNR;
	if (interrupts && vector >= nvme_virt_vi(ctrl))
		return NVME_INVALID_VECTOR | NVME_DNR;
	if (nvme_cq_create(ctrl, (uint16_t)id, prp_get(&req->sqe, 0), size, interrupts,
			   (uint16_t)vector))
		return NVME_INTERNAL_ERROR;
	nvme_ctrl_place_bells(ctrl);
	return NVME_OK;
}

static uint16_t admin_create_sq(struct nvme_request *req)
{
	struct nvme_ctrl *ctrl = req->ctrl;
	unsigned int id = FIELD_GET(NVME_QUEUE_ID, nvme_cdw(&req->sqe, 10));
	unsigned int cqid = FIELD_GET(NVME_SQ_CQID, nvme_cdw(&req->sqe, 11));
	uint32_t size;
	uint16_t status = queue_check(req, id, id < NVME_PAIRS_MAX && ctrl->sqs[id], &size);

	if (status)
		return status;
	if (!entry_size_is(ctrl, NVME_CC_IOSQES, NVME_SQE_LG2))
		return NVME_INVALID_FIELD | NVME_DNR;
	if (!cqid || cqid >= ctrl->nr_pairs || !ctrl->cqs[cqid])
		return NVME_INVALID_CQ | NVME_DNR;
	if (nvme_sq_create(ctrl, (uint16_t)id, prp_get(&req->sqe, 0), size, ctrl->cqs[cqid]))
		return NVME_INTERNAL_ERROR;
	nvme_ctrl_place_bells(ctrl);
	return NVME_OK;
}

static uint16_t admin_delete_sq(struct nvme_request *req)
{
	struct nvme_ctrl *ctrl = req->ctrl;
	unsigned int id = FIELD_GET(NVME_QUEUE_ID, nvme_cdw(&req->sqe, 10));

	if (!id || id >= ctrl->nr_pairs || !ctrl->sqs[id])
		return NVME_INVALID_QID | NVME_DNR;
	nvme_sq_delete(ctrl, ctrl->sqs[id]);
	nvme_ctrl_place_bells(ctrl);
	return NVME_OK;
}

static uint16_t admin_delete_cq(struct nvme_request *req)
{
	struct nvme_ctrl *ctrl = req->ctrl;
	unsigned int id = FIELD_GET(NVME_QUEUE_ID, nvme_cdw(&req->sqe, 10));

	if (!id || id >= ctrl->nr_pairs || !ctrl->cqs[id])
		return NVME_INVALID_QID | NVME_DNR;
	if (ctrl->cqs[id]->nr_sqs)
		return NVME_INVALID_QUEUE_DELETION | NVME_DNR;
	nvme_cq_delete(ctrl, ctrl->cqs[id]);
	nvme_ctrl_place_bells(ctrl);
	return NVME_OK;
}

/*
 * What can still be stopped is, and completes as aborted, before this command does. Bit 0 of the
 * result: it was not (5.1).
 */
static uint16_t admin_abort(struct nvme_request *req)
{
	struct nvme_ctrl *ctrl = req->ctrl;
	uint32_t which = nvme_cdw(&req->sqe, 10);
	struct nvme_request *other;

	req->result = 1;
	for (unsigned int i = 0; i < ctrl->nr_events; i++) {
		if ((which & 0xffff) || ctrl->events[i]->cid != which >> 16)
			continue;
		nvme_complete(ctrl->events[i], NVME_ABORT_REQUESTED);
		ctrl->events[i] = ctrl->events[--ctrl->nr_events];
		req->result = 0;
		return NVME_OK;
	}
	for (other = ctrl->inflight; other; other = other->after) {
		if (other != req && other->submitted && !other->abort_status &&
		    other->sqid == (which & 0xffff) && other->cid == which >> 16)
			break;
	}
	if (!other)
		return NVME_OK;
	other->abort_status = NVME_ABORT_REQUESTED;
	block_cancel(other->ns->queue, &other->block);
	/* Ended at once, or no more than asked. */
	for (const struct nvme_request *r = ctrl->inflight; r; r = r->after) {
		if (r == other)
			return NVME_OK;
	}
	req->result = 0;
	return NVME_OK;
}

static uint16_t admin_doorbell_buffer(struct nvme_request *req)
{
	struct nvme_ctrl *ctrl = req->ctrl;
	uint64_t shadow = prp_get(&req->sqe, 0), events = prp_get(&req->sqe, 1);

	if ((shadow | events) & (ctrl->page_size - 1))
		return NVME_INVALID_FIELD | NVME_DNR;
	/* Queues that are there go on from where they are. */
	for (unsigned int i = 0; i < ctrl->nr_pairs; i++) {
		le32 heads[2] = { le32_make(ctrl->sqs[i] ? ctrl->sqs[i]->tail : 0),
				  le32_make(ctrl->cqs[i] ? ctrl->cqs[i]->head : 0) };

		if (!ctrl->sqs[i] && !ctrl->cqs[i])
			continue;
		if (pci_dma_write(&ctrl->dma, shadow + 8 * i, heads, sizeof(heads)) ||
		    pci_dma_write(&ctrl->dma, events + 8 * i, heads, sizeof(heads)))
			return NVME_TRANSFER_ERROR;
	}
	ctrl->shadow_addr = shadow;
	ctrl->event_addr = events;
	ctrl->shadow = true;
	nvme_ctrl_place_bells(ctrl);
	return NVME_OK;
}

/* NVME_OK and *later: it completes when there is an event. */
static uint16_t admin_async_event(struct nvme_request *req, bool *later)
{
	struct nvme_ctrl *ctrl = req->ctrl;

	if (ctrl->nr_events == NVME_EVENTS_MAX)
		return NVME_AER_LIMIT | NVME_DNR;
	ctrl->events[ctrl->nr_events++] = req;
	*later = true;
	nvme_events_tell(ctrl);
	return NVME_OK;
}

static uint16_t admin_start(struct nvme_request *req, bool *later)
{
	if (req->sqe.flags & NVME_FLAGS_FUSE)
		return NVME_INVALID_FIELD | NVME_DNR;
	switch (req->sqe.opcode) {
	case NVME_ADMIN_DELETE_SQ:
		return admin_delete_sq(req);
	case NVME_ADMIN_CREATE_SQ:
		return admin_create_sq(req);
	case NVME_ADMIN_GET_LOG:
		return nvme_log_get(req);
	case NVME_ADMIN_DELETE_CQ:
		return admin_delete_cq(req);
	case NVME_ADMIN_CREATE_CQ:
		return admin_create_cq(req);
	case NVME_ADMIN_IDENTIFY:
		return nvme_identify(req);
	case NVME_ADMIN_ABORT:
		return admin_abort(req);
	case NVME_ADMIN_SET_FEATURES:
		return nvme_feature_set(req);
	case NVME_ADMIN_GET_FEATURES:
		return nvme_feature_get(req);
	case NVME_ADMIN_ASYNC_EVENT:
		return admin_async_event(req, later);
	case NVME_ADMIN_NS_MANAGEMENT:
		return nvme_ns_management(req);
	case NVME_ADMIN_NS_ATTACHMENT:
		return nvme_ns_attachment(req);
	case NVME_ADMIN_VIRTUALIZATION:
		return nvme_virt(req);
	case NVME_ADMIN_DOORBELL_BUFFER:
		return admin_doorbell_buffer(req);
	default:
		/* Formatting among them: a guest has no business with the host's layout. */
		return NVME_INVALID_OPCODE | NVME_DNR;
	}
}

void nvme_admin_run(struct nvme_request *req)
{
	bool later = false;
	uint16_t status = admin_start(req, &later);

	if (!later)
		nvme_complete(req, status);
}
