// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Namespaces: each is one of the subsystem's drives, there from the beginning. Controllers can be
 * attached and detached (NVMe 1.4, 5.12); making or destroying namespaces is the host's, by its drives.
 */
#include "device/nvme/ctrl.h"

#define CTRL_LIST_MAX 2047
#define ATTACH	      0
#define DETACH	      1
#define MANAGE_CREATE 0
#define MANAGE_DELETE 1

struct nvme_ns *nvme_ns_find(struct nvme *nvme, uint32_t nsid)
{
	return nsid && nsid <= nvme->nr_ns ? &nvme->ns[nsid - 1] : NULL;
}

struct ns_wait {
	struct block_request block;
	bool done;
};

static void flush_done(struct block_request *block, int status)
{
	((struct ns_wait *)block->opaque)->done = true;
}

void nvme_ns_flush(struct nvme_ns *ns)
{
	struct ns_wait wait = { .block = { .op = BLOCK_FLUSH, .done = flush_done } };

	block_drain(ns->queue);
	if (!ns->block->limits.volatile_cache)
		return;
	wait.block.opaque = &wait;
	block_submit(ns->queue, &wait.block);
	block_drain(ns->queue);
}

/* The controller's host learns that its namespaces are others now (5.2, 5.14.1.4). */
static void ns_changed(struct nvme_ctrl *ctrl, const struct nvme_ns *ns)
{
	ctrl->changed_ns |= BIT(ns->nsid - 1);
	if (ctrl->features.events & NVME_EVENTS_NAMESPACES)
		nvme_event(ctrl, NVME_EVENT(NVME_EVENT_NOTICE, 0, NVME_LOG_CHANGED_NS));
}

uint16_t nvme_ns_attachment(struct nvme_request *req)
{
	struct nvme *nvme = req->ctrl->nvme;
	unsigned int select = FIELD_GET(NVME_NS_SELECT, nvme_cdw(&req->sqe, 10));
	struct nvme_ns *ns = nvme_ns_find(nvme, le32_get(req->sqe.nsid));
	uint8_t list[NVME_DATA_LEN];
	uint64_t set = 0;
	unsigned int nr;
	uint16_t status;

	if (nvme_is_vf(req->ctrl))
		return NVME_INVALID_OPCODE | NVME_DNR;
	if (select != ATTACH && select != DETACH)
		return NVME_INVALID_FIELD | NVME_DNR;
	if (!ns)
		return NVME_INVALID_NAMESPACE | NVME_DNR;
	status = nvme_data_parse(req, sizeof(list), false);
	if (!status)
		status = nvme_data_get(req, 0, list, sizeof(list));
	if (status)
		return status;
	/* All of the list, before any of it is done. */
	nr = (unsigned int)le_load(list, 2);
	if (!nr || nr > CTRL_LIST_MAX)
		return NVME_INVALID_CTRL_LIST | NVME_DNR;
	for (unsigned int i = 0; i < nr; i++) {
		unsigned int id = (unsigned int)le_load(&list[2 + 2 * i], 2);

		if (id >= nvme->nr_ctrls)
			return NVME_INVALID_CTRL_LIST | NVME_DNR;
		if (select == ATTACH && ns->attached & BIT64(id))
			return NVME_ALREADY_ATTACHED | NVME_DNR;
		if (select == DETACH && !(ns->attached & BIT64(id)))
			return NVME_NOT_ATTACHED | NVME_DNR;
		set |= BIT64(id);
	}
	ns->attached ^= set;
	for (unsigned int i = 0; i < nvme->nr_ctrls; i++) {
		if (set & BIT64(i))
			ns_changed(nvme->ctrls[i], ns);
	}
	return NVME_OK;
}

uint16_t nvme_ns_management(struct nvme_request *req)
{
	if (nvme_is_vf(req->ctrl))
		return NVME_INVALID_OPCODE | NVME_DNR;
	switch (FIELD_GET(NVME_NS_SELECT, nvme_cdw(&req->sqe, 10))) {
	case MANAGE_CREATE:
		/* As UNVMCAP says: nothing is left to make one of. */
		return NVME_INSUFFICIENT_CAPACITY | NVME_DNR;
	case MANAGE_DELETE:
		return NVME_OPERATION_DENIED | NVME_DNR;
	default:
		return NVME_INVALID_FIELD | NVME_DNR;
	}
}
