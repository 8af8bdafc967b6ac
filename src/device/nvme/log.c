// SPDX-License-Identifier: GPL-2.0-or-later
/* Log pages (NVMe 1.4, 5.14), and the asynchronous events that point at them (5.2). */
#include <string.h>

#include "device/nvme/ctrl.h"

#define SPARE		 100
#define SPARE_LEAST	 10
#define UNITS		 1000 /* of 512 bytes */
#define NS_PER_HOUR	 3600000000000ull
#define NO_PARAMETER	 0xffff
#define EVENT_HOT	 1 /* temperature threshold, of the SMART events */
#define CHANGED_TOO_MANY 1024

static void put(uint8_t *data, unsigned int offset, unsigned int len, uint64_t value)
{
	le_store(data + offset, len, value);
}

/* ---- events ---- */

/* The type a log page's reading clears. */
static uint8_t event_type_of(unsigned int log)
{
	switch (log) {
	case NVME_LOG_ERROR:
		return BIT(NVME_EVENT_ERROR);
	case NVME_LOG_SMART:
		return BIT(NVME_EVENT_SMART);
	case NVME_LOG_CHANGED_NS:
		return BIT(NVME_EVENT_NOTICE);
	default:
		return 0;
	}
}

/* Each type is told once, and then not until its log page was read (5.2). */
void nvme_events_tell(struct nvme_ctrl *ctrl)
{
	for (unsigned int i = 0; i < ctrl->nr_pending && ctrl->nr_events;) {
		uint32_t event = ctrl->pending[i];
		uint8_t type = (uint8_t)BIT(FIELD_GET(NVME_EVENT_TYPE, event));
		struct nvme_request *req;

		if (ctrl->events_masked & type) {
			i++;
			continue;
		}
		memmove(&ctrl->pending[i], &ctrl->pending[i + 1],
			(--ctrl->nr_pending - i) * sizeof(event));
		ctrl->events_masked |= type;
		req = ctrl->events[0];
		memmove(&ctrl->events[0], &ctrl->events[1], --ctrl->nr_events * sizeof(req));
		req->result = event;
		nvme_complete(req, NVME_OK);
	}
}

void nvme_event(struct nvme_ctrl *ctrl, uint32_t event)
{
	for (unsigned int i = 0; i < ctrl->nr_pending; i++) {
		if (ctrl->pending[i] == event)
			return;
	}
	if (!ctrl->enabled || ctrl->nr_pending == NVME_EVENTS_KEPT)
		return;
	ctrl->pending[ctrl->nr_pending++] = event;
	nvme_events_tell(ctrl);
}

void nvme_events_reset(struct nvme_ctrl *ctrl)
{
	while (ctrl->nr_events)
		nvme_complete(ctrl->events[--ctrl->nr_events], NVME_ABORT_REQUESTED);
	ctrl->nr_pending = 0;
	ctrl->events_masked = 0;
	ctrl->power_hot = false;
}

static bool is_hot(const struct nvme_ctrl *ctrl)
{
	return NVME_TEMPERATURE >= ctrl->features.over || NVME_TEMPERATURE <= ctrl->features.under;
}

void nvme_event_temperature(struct nvme_ctrl *ctrl)
{
	bool hot = is_hot(ctrl) && ctrl->features.events & NVME_WARNING_TEMPERATURE;

	if (hot && !ctrl->power_hot)
		nvme_event(ctrl, NVME_EVENT(NVME_EVENT_SMART, EVENT_HOT, NVME_LOG_SMART));
	ctrl->power_hot = hot;
}

/* ---- pages ---- */

void nvme_log_error(struct nvme_request *req, uint16_t status)
{
	struct nvme_ctrl *ctrl = req->ctrl;

	ctrl->nr_errors++;
	ctrl->errors[ctrl->nr_errors % NVME_ERRORS] = (struct nvme_error){
		.count = ctrl->nr_errors,
		.nsid = le32_get(req->sqe.nsid),
		.lba = req->sqid ? nvme_cdw(&req->sqe, 10) | (uint64_t)nvme_cdw(&req->sqe, 11) << 32
				 : 0,
		.sqid = req->sqid,
		.cid = req->cid,
		.status = status,
	};
}

/* Newest first. */
static void log_errors(const struct nvme_ctrl *ctrl, uint8_t *d)
{
	uint64_t nr = min_u64(ctrl->nr_errors, NVME_ERRORS);

	for (uint64_t i = 0; i < nr; i++) {
		const struct nvme_error *e = &ctrl->errors[(ctrl->nr_errors - i) % NVME_ERRORS];
		uint8_t *at = d + i * NVME_ERROR_LEN;

		put(at, 0, 8, e->count);
		put(at, 8, 2, e->sqid);
		put(at, 10, 2, e->cid);
		/* As in a completion: bit 0 is the phase. */
		put(at, 12, 2, (uint64_t)e->status << 1);
		put(at, 14, 2, NO_PARAMETER);
		put(at, 16, 8, e->lba);
		put(at, 24, 4, e->nsid);
	}
}

static void log_smart(const struct nvme_ctrl *ctrl, uint8_t *d)
{
	const struct nvme_figures *f = &ctrl->nvme->figures;

	put(d, NVME_SMART_WARNING, 1, is_hot(ctrl) ? NVME_WARNING_TEMPERATURE : 0);
	put(d, NVME_SMART_TEMPERATURE, 2, NVME_TEMPERATURE);
	put(d, NVME_SMART_SPARE, 1, SPARE);
	put(d, NVME_SMART_SPARE_THRESHOLD, 1, SPARE_LEAST);
	/* Thousands of units, begun ones counted (5.14.1.2). */
	put(d, NVME_SMART_READ, 8, (f->read_sectors + UNITS - 1) / UNITS);
	put(d, NVME_SMART_WRITTEN, 8, (f->written_sectors + UNITS - 1) / UNITS);
	put(d, NVME_SMART_READ_COMMANDS, 8, f->reads);
	put(d, NVME_SMART_WRITE_COMMANDS, 8, f->writes);
	put(d, NVME_SMART_POWER_CYCLES, 8, 1);
	put(d, NVME_SMART_POWER_HOURS, 8, (loop_now_ns() - ctrl->nvme->began_ns) / NS_PER_HOUR);
	put(d, NVME_SMART_MEDIA_ERRORS, 8, f->media_errors);
	put(d, NVME_SMART_ERRORS, 8, ctrl->nr_errors);
}

static void log_firmware(uint8_t *d)
{
	put(d, 0, 1, 1); /* slot 1 is active */
	memset(d + 8, ' ', NVME_FR_LEN);
	d[8] = '1';
}

static void log_changed(const struct nvme_ctrl *ctrl, uint8_t *d)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < NVME_NAMESPACES_MAX && nr < CHANGED_TOO_MANY; i++) {
		if (ctrl->changed_ns & BIT(i))
			put(d, 4 * nr++, 4, i + 1);
	}
}

static void log_effects(const struct nvme_ctrl *ctrl, uint8_t *d)
{
	static const struct {
		uint8_t opcode;
		uint32_t effects;
	} admin[] = {
		{ NVME_ADMIN_DELETE_SQ, 0 },
		{ NVME_ADMIN_CREATE_SQ, 0 },
		{ NVME_ADMIN_GET_LOG, 0 },
		{ NVME_ADMIN_DELETE_CQ, 0 },
		{ NVME_ADMIN_CREATE_CQ, 0 },
		{ NVME_ADMIN_IDENTIFY, 0 },
		{ NVME_ADMIN_ABORT, 0 },
		{ NVME_ADMIN_SET_FEATURES, 0 },
		{ NVME_ADMIN_GET_FEATURES, 0 },
		{ NVME_ADMIN_ASYNC_EVENT, 0 },
		{ NVME_ADMIN_DOORBELL_BUFFER, 0 },
		/* From here the primary's alone. */
		{ NVME_ADMIN_NS_MANAGEMENT, NVME_EFFECT_INVENTORY },
		{ NVME_ADMIN_NS_ATTACHMENT, NVME_EFFECT_INVENTORY },
		{ NVME_ADMIN_VIRTUALIZATION, 0 },
	}, io[] = {
		{ NVME_IO_FLUSH, 0 },
		{ NVME_IO_WRITE, NVME_EFFECT_CONTENT },
		{ NVME_IO_READ, 0 },
		{ NVME_IO_COMPARE, 0 },
		{ NVME_IO_WRITE_ZEROES, NVME_EFFECT_CONTENT },
		{ NVME_IO_DATASET, NVME_EFFECT_CONTENT },
		{ NVME_IO_VERIFY, 0 },
	};
	size_t nr = ARRAY_SIZE(admin);

	if (nvme_is_vf(ctrl))
		nr -= 3;
	else if (!ctrl->nvme->vfs)
		nr -= 1;
	for (size_t i = 0; i < nr; i++)
		put(d, 4u * admin[i].opcode, 4, NVME_EFFECT_SUPPORTED | admin[i].effects);
	for (size_t i = 0; i < ARRAY_SIZE(io); i++)
		put(d, NVME_EFFECTS_IO + 4u * io[i].opcode, 4,
		    NVME_EFFECT_SUPPORTED | io[i].effects);
}

uint16_t nvme_log_get(struct nvme_request *req)
{
	struct nvme_ctrl *ctrl = req->ctrl;
	uint32_t dw10 = nvme_cdw(&req->sqe, 10), nsid = le32_get(req->sqe.nsid);
	uint64_t dwords = FIELD_GET(NVME_LOG_DWORDS, dw10) |
			  (uint64_t)FIELD_GET(NVME_LOG_DWORDS_HIGH, nvme_cdw(&req->sqe, 11)) << 16;
	uint64_t offset = nvme_cdw(&req->sqe, 12) | (uint64_t)nvme_cdw(&req->sqe, 13) << 32;
	unsigned int log = FIELD_GET(NVME_LOG_ID, dw10);
	uint64_t room = (dwords + 1) * 4, len = NVME_DATA_LEN;
	uint8_t data[NVME_DATA_LEN] = { 0 };
	uint16_t status;

	switch (log) {
	case NVME_LOG_ERROR:
		log_errors(ctrl, data);
		break;
	case NVME_LOG_SMART:
		/* Of the controller, not of one namespace (LPA bit 0). */
		if (nsid && nsid != NVME_NSID_ALL)
			return NVME_INVALID_FIELD | NVME_DNR;
		log_smart(ctrl, data);
		len = NVME_SMART_LEN;
		break;
	case NVME_LOG_FIRMWARE:
		log_firmware(data);
		len = NVME_FIRMWARE_LEN;
		break;
	case NVME_LOG_CHANGED_NS:
		log_changed(ctrl, data);
		break;
	case NVME_LOG_EFFECTS:
		log_effects(ctrl, data);
		break;
	default:
		return NVME_INVALID_LOG | NVME_DNR;
	}
	if (offset & 3 || offset > len || room > NVME_TRANSFER_MAX)
		return NVME_INVALID_FIELD | NVME_DNR;
	status = nvme_data_reply(req, data + offset, len - offset, room);
	if (!status && !(dw10 & NVME_LOG_RETAIN)) {
		if (log == NVME_LOG_CHANGED_NS)
			ctrl->changed_ns = 0;
		ctrl->events_masked &= (uint8_t)~event_type_of(log);
		nvme_events_tell(ctrl);
	}
	return status;
}
