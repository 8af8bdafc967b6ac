// SPDX-License-Identifier: GPL-2.0-or-later
/* Features (NVMe 1.4, 5.9, 5.21): what they are, and that none is kept over a reset. */
#include "device/nvme/ctrl.h"

#define QUEUES_REFUSED	    0xffff
#define ARBITRATION_DEFAULT 7 /* no limit to a burst */
#define ARBITRATION_FIELDS  (GENMASK(31, 8) | GENMASK(2, 0))
#define TIMESTAMP_ORIGIN    GENMASK64(51, 49)
#define TIMESTAMP_MS	    GENMASK64(47, 0)
#define NS_PER_MS	    1000000
#define MILLISECONDS	    (loop_now_ns() / NS_PER_MS)

void nvme_features_reset(struct nvme_ctrl *ctrl)
{
	struct nvme_features *f = &ctrl->features;
	uint64_t base = f->timestamp_base;
	bool set = f->timestamp_set;

	*f = (struct nvme_features){
		.arbitration = ARBITRATION_DEFAULT,
		.over = NVME_WARM,
		.write_cache = ctrl->nvme->write_cache,
		/* The clock runs on (5.21.1.14). */
		.timestamp_base = base,
		.timestamp_set = set,
	};
}

static bool feature_known(const struct nvme_ctrl *ctrl, unsigned int id)
{
	switch (id) {
	case NVME_FEATURE_ARBITRATION:
	case NVME_FEATURE_POWER:
	case NVME_FEATURE_TEMPERATURE:
	case NVME_FEATURE_ERROR_RECOVERY:
	case NVME_FEATURE_QUEUES:
	case NVME_FEATURE_COALESCING:
	case NVME_FEATURE_VECTOR:
	case NVME_FEATURE_ATOMICITY:
	case NVME_FEATURE_EVENTS:
	case NVME_FEATURE_TIMESTAMP:
		return true;
	case NVME_FEATURE_WRITE_CACHE:
		return ctrl->nvme->write_cache;
	default:
		return false;
	}
}

/* Submission and completion queues that there are, each less one. */
static uint32_t queues_value(const struct nvme_ctrl *ctrl)
{
	uint32_t nr = ctrl->nr_pairs - 2;

	return nr | nr << 16;
}

/* Only the composite temperature has a sensor. NULL: there is no such threshold. */
static uint32_t *temperature_threshold(struct nvme_ctrl *ctrl, uint32_t dw11)
{
	if (FIELD_GET(NVME_TEMPERATURE_SENSOR, dw11))
		return NULL;
	switch (FIELD_GET(NVME_TEMPERATURE_UNDER, dw11)) {
	case 0:
		return &ctrl->features.over;
	case 1:
		return &ctrl->features.under;
	default:
		return NULL;
	}
}

static uint16_t timestamp_get(struct nvme_request *req, bool standard)
{
	const struct nvme_features *f = &req->ctrl->features;
	uint64_t since = req->ctrl->nvme->began_ns / NS_PER_MS;
	uint64_t v = (MILLISECONDS - since) & TIMESTAMP_MS;
	uint8_t data[NVME_TIMESTAMP_LEN];

	if (f->timestamp_set && !standard)
		v = ((MILLISECONDS + f->timestamp_base) & TIMESTAMP_MS) |
		    FIELD_PREP(TIMESTAMP_ORIGIN, NVME_TIMESTAMP_SET);
	le_store(data, sizeof(data), v);
	return nvme_data_reply(req, data, sizeof(data), sizeof(data));
}

static uint16_t timestamp_set(struct nvme_request *req)
{
	uint8_t data[NVME_TIMESTAMP_LEN];
	uint16_t status = nvme_data_parse(req, sizeof(data), false);

	if (!status)
		status = nvme_data_get(req, 0, data, sizeof(data));
	if (status)
		return status;
	req->ctrl->features.timestamp_base = (le_load(data, 8) & TIMESTAMP_MS) - MILLISECONDS;
	req->ctrl->features.timestamp_set = true;
	return NVME_OK;
}

static uint16_t feature_current(struct nvme_request *req, unsigned int id, bool standard)
{
	struct nvme_ctrl *ctrl = req->ctrl;
	const struct nvme_features *f = &ctrl->features;
	uint32_t dw11 = nvme_cdw(&req->sqe, 11);
	unsigned int vector = FIELD_GET(NVME_VECTOR_ID, dw11);
	const uint32_t *threshold;

	switch (id) {
	case NVME_FEATURE_ARBITRATION:
		req->result = standard ? ARBITRATION_DEFAULT : f->arbitration;
		break;
	case NVME_FEATURE_POWER:
		req->result = standard ? 0 : f->power;
		break;
	case NVME_FEATURE_TEMPERATURE:
		threshold = temperature_threshold(ctrl, dw11);
		if (!threshold)
			return NVME_INVALID_FIELD | NVME_DNR;
		req->result = *threshold;
		if (standard)
			req->result = threshold == &f->over ? NVME_WARM : 0;
		break;
	case NVME_FEATURE_ERROR_RECOVERY:
		req->result = standard ? 0 : f->error_recovery;
		break;
	case NVME_FEATURE_WRITE_CACHE:
		req->result = standard || f->write_cache;
		break;
	case NVME_FEATURE_QUEUES:
		req->result = queues_value(ctrl);
		break;
	case NVME_FEATURE_COALESCING:
		req->result = standard ? 0 : f->coalescing;
		break;
	case NVME_FEATURE_VECTOR:
		if (vector >= nvme_virt_vi(ctrl))
			return NVME_INVALID_FIELD | NVME_DNR;
		req->result = vector;
		if (!standard && f->uncoalesced[vector / 64] & BIT64(vector % 64))
			req->result |= NVME_VECTOR_NO_COALESCING;
		break;
	case NVME_FEATURE_ATOMICITY:
		req->result = standard ? 0 : f->atomicity;
		break;
	case NVME_FEATURE_EVENTS:
		req->result = standard ? 0 : f->events;
		break;
	case NVME_FEATURE_TIMESTAMP:
	default:
		return timestamp_get(req, standard);
	}
	return NVME_OK;
}

uint16_t nvme_feature_get(struct nvme_request *req)
{
	uint32_t dw10 = nvme_cdw(&req->sqe, 10);
	unsigned int id = FIELD_GET(NVME_FEATURE_ID, dw10);

	if (!feature_known(req->ctrl, id))
		return NVME_INVALID_FIELD | NVME_DNR;
	switch (FIELD_GET(NVME_FEATURE_SELECT, dw10)) {
	case NVME_SELECT_CURRENT:
		return feature_current(req, id, false);
	case NVME_SELECT_DEFAULT:
	case NVME_SELECT_SAVED: /* none can be saved: the default (5.9) */
		return feature_current(req, id, true);
	case NVME_SELECT_CAPABILITIES:
		req->result = NVME_FEATURE_CHANGEABLE;
		return NVME_OK;
	default:
		return NVME_INVALID_FIELD | NVME_DNR;
	}
}

static uint16_t queues_set(struct nvme_request *req, uint32_t dw11)
{
	const struct nvme_ctrl *ctrl = req->ctrl;

	if ((dw11 & QUEUES_REFUSED) == QUEUES_REFUSED || dw11 >> 16 == QUEUES_REFUSED)
		return NVME_INVALID_FIELD | NVME_DNR;
	for (unsigned int i = 1; i < ctrl->nr_pairs; i++) {
		if (ctrl->sqs[i] || ctrl->cqs[i])
			return NVME_SEQUENCE_ERROR | NVME_DNR;
	}
	req->result = queues_value(ctrl);
	return NVME_OK;
}

static uint16_t vector_set(struct nvme_ctrl *ctrl, uint32_t dw11)
{
	unsigned int vector = FIELD_GET(NVME_VECTOR_ID, dw11);
	uint64_t *word = &ctrl->features.uncoalesced[(vector / 64) % (NVME_PAIRS_MAX / 64)];

	if (vector >= nvme_virt_vi(ctrl))
		return NVME_INVALID_FIELD | NVME_DNR;
	*word &= ~BIT64(vector % 64);
	if (dw11 & NVME_VECTOR_NO_COALESCING)
		*word |= BIT64(vector % 64);
	return NVME_OK;
}

uint16_t nvme_feature_set(struct nvme_request *req)
{
	struct nvme_ctrl *ctrl = req->ctrl;
	struct nvme_features *f = &ctrl->features;
	uint32_t dw10 = nvme_cdw(&req->sqe, 10), dw11 = nvme_cdw(&req->sqe, 11);
	unsigned int id = FIELD_GET(NVME_FEATURE_ID, dw10);
	uint32_t *threshold;

	if (!feature_known(ctrl, id))
		return NVME_INVALID_FIELD | NVME_DNR;
	if (dw10 & NVME_FEATURE_SAVE)
		return NVME_NOT_SAVEABLE | NVME_DNR;
	switch (id) {
	case NVME_FEATURE_ARBITRATION:
		f->arbitration = dw11 & ARBITRATION_FIELDS;
		return NVME_OK;
	case NVME_FEATURE_POWER:
		/* There is one state. */
		if (dw11 & GENMASK(4, 0))
			return NVME_INVALID_FIELD | NVME_DNR;
		f->power = dw11 & GENMASK(7, 5);
		return NVME_OK;
	case NVME_FEATURE_TEMPERATURE:
		threshold = temperature_threshold(ctrl, dw11);
		if (!threshold)
			return NVME_INVALID_FIELD | NVME_DNR;
		*threshold = FIELD_GET(NVME_TEMPERATURE_VALUE, dw11);
		nvme_event_temperature(ctrl);
		return NVME_OK;
	case NVME_FEATURE_ERROR_RECOVERY:
		f->error_recovery = dw11 & GENMASK(15, 0);
		return NVME_OK;
	case NVME_FEATURE_WRITE_CACHE:
		f->write_cache = dw11 & 1;
		return NVME_OK;
	case NVME_FEATURE_QUEUES:
		return queues_set(req, dw11);
	case NVME_FEATURE_COALESCING:
		/* Kept, and not followed: completions that come together interrupt once anyway. */
		f->coalescing = dw11 & GENMASK(15, 0);
		return NVME_OK;
	case NVME_FEATURE_VECTOR:
		return vector_set(ctrl, dw11);
	case NVME_FEATURE_ATOMICITY:
		f->atomicity = dw11 & 1;
		return NVME_OK;
	case NVME_FEATURE_EVENTS:
		f->events = dw11 & (NVME_EVENTS_SMART | NVME_EVENTS_NAMESPACES);
		nvme_event_temperature(ctrl);
		return NVME_OK;
	case NVME_FEATURE_TIMESTAMP:
	default:
		return timestamp_set(req);
	}
}
