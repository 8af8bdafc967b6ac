// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where a command's data lies: PRP entries and lists (NVMe 1.4, 4.3), SGL descriptors (4.4), and the
 * ways to it: copies, or the guest's memory itself, held until the disk is done.
 *
 * Everything is read from the guest once. A list of the guest's may be a loop: PRP lists end when the
 * length is reached, since each page but the first brings entries; SGL segments by a count.
 */
#include <stdlib.h>
#include <string.h>

#include "device/nvme/ctrl.h"

#define PRP_LEN	       8
#define PRP_BATCH      64  /* entries read at a time */
#define SGL_BATCH      16  /* descriptors read at a time */
#define SGL_MAX	       512 /* descriptors of a command */
#define BOUNCE_ALIGN   4096
#define PSDT_PRP       0
#define PSDT_SGL_BLOCK 1
#define PSDT_SGL       2

/* false: more pieces than there is room for. */
static bool sg_add(struct nvme_request *req, uint64_t addr, uint64_t len, bool drop)
{
	struct nvme_sg *last = req->nr_sg ? &req->sg[req->nr_sg - 1] : NULL;

	if (!len)
		return true;
	if (last && last->drop == drop && (drop || last->addr + last->len == addr)) {
		last->len += len;
		return true;
	}
	if (req->nr_sg == NVME_SG_MAX)
		return false;
	req->sg[req->nr_sg++] = (struct nvme_sg){ addr, len, drop };
	return true;
}

/* `left` bytes behind the first page, described by the list at `list`. */
static uint16_t prp_list(struct nvme_request *req, uint64_t list, uint64_t left)
{
	struct nvme_ctrl *ctrl = req->ctrl;
	uint64_t page = ctrl->page_size;
	le64 entries[PRP_BATCH];

	if (list & (PRP_LEN - 1))
		return NVME_INVALID_PRP_OFFSET | NVME_DNR;
	while (left) {
		uint64_t here = (page - (list & (page - 1))) / PRP_LEN;
		uint64_t need = (left + page - 1) / page;
		/* The last entry of a full page leads to the next, if more follow. */
		bool chained = need > here;
		uint64_t nr = min_u64(chained ? here : need, PRP_BATCH);

		chained &= nr == here;
		if (pci_dma_read(&ctrl->dma, list, entries, nr * PRP_LEN))
			return NVME_TRANSFER_ERROR;
		for (uint64_t i = 0; i < nr - chained; i++) {
			uint64_t addr = le64_get(entries[i]), len = min_u64(left, page);

			if (addr & (page - 1))
				return NVME_INVALID_PRP_OFFSET | NVME_DNR;
			if (!sg_add(req, addr, len, false))
				return NVME_INTERNAL_ERROR;
			left -= len;
		}
		list += nr * PRP_LEN;
		if (!chained)
			continue;
		list = le64_get(entries[nr - 1]);
		if (list & (page - 1))
			return NVME_INVALID_PRP_OFFSET | NVME_DNR;
	}
	return NVME_OK;
}

static uint16_t prp_parse(struct nvme_request *req, uint64_t len)
{
	uint64_t prp1 = le_load(&req->sqe.dptr[0], 8), prp2 = le_load(&req->sqe.dptr[8], 8);
	uint64_t page = req->ctrl->page_size;
	uint64_t first = min_u64(len, page - (prp1 & (page - 1)));

	if (prp1 & 3)
		return NVME_INVALID_PRP_OFFSET | NVME_DNR;
	sg_add(req, prp1, first, false);
	len -= first;
	if (!len)
		return NVME_OK;
	if (len > page)
		return prp_list(req, prp2, len);
	if (prp2 & (page - 1))
		return NVME_INVALID_PRP_OFFSET | NVME_DNR;
	sg_add(req, prp2, len, false);
	return NVME_OK;
}

struct sgl_walk {
	uint64_t left; /* of the data */
	unsigned int nr;
	bool to_host;
	/* The next segment, once a descriptor named one. */
	uint64_t segment, segment_len;
	bool last;
};

static uint16_t sgl_descriptor(struct nvme_request *req, struct sgl_walk *walk, const uint8_t *desc,
			       bool may_chain)
{
	uint64_t addr = le_load(desc, 8), len = le_load(desc + 8, 4);
	unsigned int type = FIELD_GET(NVME_SGL_TYPE, desc[15]);

	if (FIELD_GET(NVME_SGL_SUBTYPE, desc[15]))
		return NVME_INVALID_SGL_TYPE | NVME_DNR;
	switch (type) {
	case NVME_SGL_BIT_BUCKET:
		/* Discards what a read brings; a write takes nothing from it (4.4.1.2). */
		if (!walk->to_host)
			return NVME_OK;
		break;
	case NVME_SGL_DATA:
		break;
	case NVME_SGL_SEGMENT:
	case NVME_SGL_LAST_SEGMENT:
		if (!may_chain || !len || len % NVME_SGL_LEN)
			return NVME_INVALID_SGL_SEGMENT | NVME_DNR;
		walk->segment = addr;
		walk->segment_len = len;
		walk->last = type == NVME_SGL_LAST_SEGMENT;
		return NVME_OK;
	default:
		return NVME_INVALID_SGL_TYPE | NVME_DNR;
	}
	if (len > walk->left)
		return NVME_INVALID_SGL_LENGTH | NVME_DNR;
	walk->left -= len;
	return sg_add(req, addr, len, type == NVME_SGL_BIT_BUCKET)
		       ? NVME_OK
		       : NVME_INVALID_SGL_COUNT | NVME_DNR;
}

/* One segment: only its last descriptor may lead on, and must unless it is the last segment. */
static uint16_t sgl_segment(struct nvme_request *req, struct sgl_walk *walk)
{
	uint64_t addr = walk->segment, nr = walk->segment_len / NVME_SGL_LEN;
	uint8_t descs[SGL_BATCH * NVME_SGL_LEN];
	bool last = walk->last;

	walk->segment_len = 0;
	if (nr > SGL_MAX - walk->nr)
		return NVME_INVALID_SGL_COUNT | NVME_DNR;
	walk->nr += (unsigned int)nr;
	while (nr) {
		uint64_t some = min_u64(nr, SGL_BATCH);

		if (pci_dma_read(&req->ctrl->dma, addr, descs, some * NVME_SGL_LEN))
			return NVME_TRANSFER_ERROR;
		for (uint64_t i = 0; i < some; i++) {
			uint16_t status = sgl_descriptor(req, walk, &descs[i * NVME_SGL_LEN],
							 !last && i + 1 == nr);

			if (status)
				return status;
		}
		addr += some * NVME_SGL_LEN;
		nr -= some;
	}
	if (!last && !walk->segment_len)
		return NVME_INVALID_SGL_SEGMENT | NVME_DNR;
	return NVME_OK;
}

static uint16_t sgl_parse(struct nvme_request *req, uint64_t len, bool to_host)
{
	struct sgl_walk walk = { .left = len, .to_host = to_host };
	uint16_t status = sgl_descriptor(req, &walk, req->sqe.dptr, true);

	while (!status && walk.segment_len)
		status = sgl_segment(req, &walk);
	if (!status && walk.left)
		status = NVME_INVALID_SGL_LENGTH | NVME_DNR;
	return status;
}

uint16_t nvme_data_parse(struct nvme_request *req, uint64_t len, bool to_host)
{
	unsigned int psdt = FIELD_GET(NVME_FLAGS_PSDT, req->sqe.flags);

	req->len = len;
	req->nr_sg = 0;
	if (psdt == PSDT_PRP)
		return prp_parse(req, len);
	/* Admin commands use PRPs on PCI Express (4.2). */
	if (!req->sqid || (psdt != PSDT_SGL_BLOCK && psdt != PSDT_SGL))
		return NVME_INVALID_FIELD | NVME_DNR;
	return sgl_parse(req, len, to_host);
}

static uint16_t data_copy(struct nvme_request *req, uint64_t offset, uint8_t *buf, uint64_t len,
			  bool put)
{
	for (unsigned int i = 0; i < req->nr_sg && len; i++) {
		const struct nvme_sg *sg = &req->sg[i];
		uint64_t some;
		int err = 0;

		if (offset >= sg->len) {
			offset -= sg->len;
			continue;
		}
		some = min_u64(sg->len - offset, len);
		if (put && !sg->drop)
			err = pci_dma_write(&req->ctrl->dma, sg->addr + offset, buf, some);
		else if (!put)
			err = pci_dma_read(&req->ctrl->dma, sg->addr + offset, buf, some);
		if (err)
			return NVME_TRANSFER_ERROR;
		offset = 0;
		buf += some;
		len -= some;
	}
	return NVME_OK;
}

uint16_t nvme_data_put(struct nvme_request *req, uint64_t offset, const void *buf, uint64_t len)
{
	/* Only read from: the one function serves both ways. */
	return data_copy(req, offset, (uint8_t *)(uintptr_t)buf, len, true);
}

uint16_t nvme_data_get(struct nvme_request *req, uint64_t offset, void *buf, uint64_t len)
{
	return data_copy(req, offset, buf, len, false);
}

uint16_t nvme_data_reply(struct nvme_request *req, const void *buf, uint64_t len, uint64_t room)
{
	uint16_t status = nvme_data_parse(req, room, true);

	return status ? status : nvme_data_put(req, 0, buf, min_u64(len, room));
}

/* The memory is wanted back: the thread cancels the I/O, and goes on in a bounce buffer. */
static void data_revoke(struct iommu_hold *hold)
{
	struct nvme_request *req = hold->opaque;

	atomic_store(&req->revoked, true);
	atomic_store(&req->ctrl->nvme->revoked, true);
	nvme_kick(req->ctrl);
}

bool nvme_data_map(struct nvme_request *req, unsigned int access, uint16_t *status)
{
	struct pci_dma *dma = &req->ctrl->dma;
	uint64_t first = UINT64_MAX, last = 0;
	bool ok = true;

	*status = NVME_OK;
	req->nr_iov = 0;
	if (pci_dma_begin(dma)) {
		*status = NVME_TRANSFER_ERROR;
		return true;
	}
	for (unsigned int i = 0; i < req->nr_sg && ok && !*status; i++) {
		uint64_t addr = req->sg[i].addr, left = req->sg[i].len;

		ok = !req->sg[i].drop;
		if (ok && left) {
			first = min_u64(first, addr);
			last = max_u64(last, addr + left - 1);
		}
		while (ok && left && !*status) {
			unsigned int nr;
			uint64_t covered;

			ok = req->nr_iov < NVME_SG_MAX;
			if (!ok)
				break;
			if (pci_dma_map(dma, addr, left, access, &req->iov[req->nr_iov],
					NVME_SG_MAX - req->nr_iov, &nr, &covered))
				*status = NVME_TRANSFER_ERROR;
			else
				req->nr_iov += nr;
			addr += covered;
			left -= covered;
		}
	}
	/*
	 * One hold over all of it. Where pieces are apart, what lies between may be asked back too:
	 * that costs a copy.
	 */
	if (ok && !*status) {
		req->hold.revoke = data_revoke;
		req->hold.opaque = req;
		pci_dma_hold(dma, &req->hold, first, last - first + 1);
		req->mapped = true;
	}
	pci_dma_end(dma);
	return ok;
}

void nvme_data_unmap(struct nvme_request *req)
{
	if (req->mapped)
		iommu_hold_release(&req->hold);
	req->mapped = false;
}

uint16_t nvme_data_bounce(struct nvme_request *req)
{
	if (!req->bounce)
		req->bounce = aligned_alloc(BOUNCE_ALIGN, align_up(req->len, BOUNCE_ALIGN));
	if (!req->bounce)
		return NVME_INTERNAL_ERROR;
	req->iov[0] = (struct iovec){ req->bounce, req->len };
	req->nr_iov = 1;
	return NVME_OK;
}
