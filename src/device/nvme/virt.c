// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Virtualization enhancements (NVMe 1.4, 5.22, 8.5): queue pairs (VQ) and interrupt vectors (VI) that
 * the primary's host deals out among its virtual functions, and whether each of these is online.
 *
 * The primary has private resources for all its queues. All flexible ones are for secondaries, as many
 * as their largest share taken together, so that each can be given its largest; the primary may take
 * what they leave.
 */
#include "device/nvme/ctrl.h"

#define VQ_MIN 2 /* an admin pair and one more */

/* Queue pairs of a secondary at most, and as many vectors. */
static unsigned int virt_share(const struct nvme *nvme)
{
	return nvme->vf_queues + 1;
}

unsigned int nvme_virt_total(const struct nvme *nvme)
{
	return nvme->vfs * virt_share(nvme);
}

static unsigned int virt_get(const struct nvme_ctrl *ctrl, unsigned int resource)
{
	return atomic_load(resource == NVME_VIRT_VQ ? &ctrl->nr_vq : &ctrl->nr_vi);
}

static void virt_set(struct nvme_ctrl *ctrl, unsigned int resource, unsigned int nr)
{
	atomic_store(resource == NVME_VIRT_VQ ? &ctrl->nr_vq : &ctrl->nr_vi, nr);
}

unsigned int nvme_virt_assigned(const struct nvme *nvme, unsigned int resource)
{
	unsigned int nr = 0;

	for (unsigned int i = 1; i < nvme->nr_ctrls; i++)
		nr += virt_get(nvme->ctrls[i], resource);
	return nr;
}

unsigned int nvme_virt_vq(const struct nvme_ctrl *ctrl)
{
	unsigned int private = nvme_is_vf(ctrl) ? 0 : ctrl->nvme->io_queues + 1;

	return private + virt_get(ctrl, NVME_VIRT_VQ);
}

unsigned int nvme_virt_vi(const struct nvme_ctrl *ctrl)
{
	unsigned int private = nvme_is_vf(ctrl) ? 0 : ctrl->nvme->io_queues + 1;

	return (unsigned int)min_u64(private + virt_get(ctrl, NVME_VIRT_VI), ctrl->nr_vectors);
}

void nvme_virt_offline(struct nvme_ctrl *ctrl)
{
	bool was = atomic_exchange(&ctrl->online, false);

	virt_set(ctrl, NVME_VIRT_VQ, 0);
	virt_set(ctrl, NVME_VIRT_VI, 0);
	if (!was)
		return;
	lock_take(&ctrl->lock);
	ctrl->resets |= NVME_RESET_FUNCTION;
	lock_drop(&ctrl->lock);
	nvme_ctrl_sync(ctrl);
}

static uint16_t virt_online(struct nvme_ctrl *ctrl)
{
	if (virt_get(ctrl, NVME_VIRT_VQ) < VQ_MIN || !virt_get(ctrl, NVME_VIRT_VI))
		return NVME_INVALID_SECONDARY_STATE | NVME_DNR;
	atomic_store(&ctrl->online, true);
	return NVME_OK;
}

/* To the primary itself from its next reset on; to a secondary while it is offline. */
static uint16_t virt_assign(struct nvme_request *req, struct nvme_ctrl *ctrl, unsigned int resource,
			    unsigned int nr)
{
	struct nvme *nvme = ctrl->nvme;
	unsigned int free, max = nvme_is_vf(ctrl) ? virt_share(nvme) : nvme_virt_total(nvme);

	if (resource != NVME_VIRT_VQ && resource != NVME_VIRT_VI)
		return NVME_INVALID_RESOURCE_ID | NVME_DNR;
	if (nvme_is_vf(ctrl) && atomic_load(&ctrl->online))
		return NVME_INVALID_SECONDARY_STATE | NVME_DNR;
	free = nvme_virt_total(nvme) - nvme_virt_assigned(nvme, resource) -
	       virt_get(nvme_primary(nvme), resource) + virt_get(ctrl, resource);
	if (nr > max || nr > free)
		return NVME_INVALID_RESOURCE_COUNT | NVME_DNR;
	virt_set(ctrl, resource, nr);
	req->result = nr;
	return NVME_OK;
}

uint16_t nvme_virt(struct nvme_request *req)
{
	struct nvme *nvme = req->ctrl->nvme;
	uint32_t what = nvme_cdw(&req->sqe, 10);
	unsigned int action = FIELD_GET(NVME_VIRT_ACTION, what);
	unsigned int resource = FIELD_GET(NVME_VIRT_RESOURCE, what);
	unsigned int id = FIELD_GET(NVME_VIRT_CNTLID, what);
	unsigned int nr = FIELD_GET(NVME_VIRT_COUNT, nvme_cdw(&req->sqe, 11));

	if (nvme_is_vf(req->ctrl) || !nvme->vfs)
		return NVME_INVALID_OPCODE | NVME_DNR;
	if (action != NVME_VIRT_PRIMARY_ALLOCATE && action != NVME_VIRT_OFFLINE &&
	    action != NVME_VIRT_ASSIGN && action != NVME_VIRT_ONLINE)
		return NVME_INVALID_FIELD | NVME_DNR;
	if (id >= nvme->nr_ctrls || !id != (action == NVME_VIRT_PRIMARY_ALLOCATE))
		return NVME_INVALID_CTRL_ID | NVME_DNR;
	switch (action) {
	case NVME_VIRT_OFFLINE:
		nvme_virt_offline(nvme->ctrls[id]);
		return NVME_OK;
	case NVME_VIRT_ONLINE:
		return virt_online(nvme->ctrls[id]);
	default:
		return virt_assign(req, nvme->ctrls[id], resource, nr);
	}
}
