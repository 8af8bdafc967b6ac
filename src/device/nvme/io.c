// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The NVM command set (NVMe 1.4, 6). A command is one request to the disk or several, one after the
 * other; each ends in io_done(), on the thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "device/nvme/ctrl.h"

#define CHUNK KIB(64) /* of a verify, and of what a compare looks at */

/* What the host's errno means in a completion (4.6.1.2). */
static uint16_t io_status(const struct nvme_request *req, int err)
{
	switch (err) {
	case 0:
		return NVME_OK;
	case -ENOSPC:
		return NVME_CAPACITY_EXCEEDED;
	case -EROFS:
		return NVME_WRITE_PROTECTED | NVME_DNR;
	case -ERANGE:
		return NVME_LBA_RANGE | NVME_DNR;
	case -EINVAL:
		return NVME_INTERNAL_ERROR;
	case -ECANCELED:
		return req->abort_status ? req->abort_status : NVME_ABORT_REQUESTED;
	default:
		req->ctrl->nvme->figures.media_errors++;
		return req->block.op == BLOCK_READ ? NVME_READ_ERROR : NVME_WRITE_FAULT;
	}
}

static void io_done(struct block_request *block, int status);

static void io_submit(struct nvme_request *req, enum block_op op, uint64_t offset, uint64_t len,
		      uint32_t flags)
{
	req->block.op = op;
	req->block.flags = flags;
	req->block.offset = offset;
	req->block.len = len;
	req->block.iov = req->iov;
	req->block.nr_iov = op == BLOCK_READ || op == BLOCK_WRITE ? req->nr_iov : 0;
	req->block.done = io_done;
	req->block.opaque = req;
	req->submitted = true;
	req->ns->submitted = true;
	block_submit(req->ns->queue, &req->block);
}

/* The same again, but no longer in the guest's memory. */
static void io_again(struct nvme_request *req)
{
	uint16_t status = nvme_data_bounce(req);

	if (!status && req->block.op == BLOCK_WRITE)
		status = nvme_data_get(req, 0, req->bounce, req->len);
	if (status)
		nvme_complete(req, status);
	else
		io_submit(req, req->block.op, req->block.offset, req->block.len, req->block.flags);
}

static void io_done(struct block_request *block, int status)
{
	struct nvme_request *req = block->opaque;

	req->submitted = false;
	nvme_data_unmap(req);
	if (status == -ECANCELED && req->cancelled && !req->abort_status) {
		req->cancelled = false;
		io_again(req);
		return;
	}
	req->steps.next(req, status);
}

/* Namespace of an I/O command, or a status (6.1.2). */
static uint16_t io_namespace(struct nvme_request *req)
{
	uint32_t nsid = le32_get(req->sqe.nsid);

	req->ns = nvme_ns_find(req->ctrl->nvme, nsid);
	if (!req->ns)
		return NVME_INVALID_NAMESPACE | NVME_DNR;
	if (!nvme_is_attached(req->ctrl, req->ns))
		return NVME_INVALID_FIELD | NVME_DNR;
	return NVME_OK;
}

/* First block and blocks of dwords 10 to 12, in bytes. */
static uint16_t io_range(const struct nvme_request *req, uint64_t *offset, uint64_t *len)
{
	uint64_t first = nvme_cdw(&req->sqe, 10) | (uint64_t)nvme_cdw(&req->sqe, 11) << 32;
	uint64_t nr = FIELD_GET(NVME_IO_BLOCKS, nvme_cdw(&req->sqe, 12)) + 1;

	if (first > req->ns->nr_blocks || nr > req->ns->nr_blocks - first)
		return NVME_LBA_RANGE | NVME_DNR;
	*offset = first << req->ns->lba_lg2;
	*len = nr << req->ns->lba_lg2;
	return NVME_OK;
}

static uint32_t io_durable(const struct nvme_request *req)
{
	bool asked = nvme_cdw(&req->sqe, 12) & NVME_IO_FUA;

	/* With the write cache off every write is durable (5.21.1.6). */
	return asked || !req->ctrl->features.write_cache ? BLOCK_FUA : 0;
}

static void rw_done(struct nvme_request *req, int err)
{
	struct nvme_figures *figures = &req->ctrl->nvme->figures;
	uint16_t status = io_status(req, err);

	if (req->block.op == BLOCK_READ) {
		if (!status && req->bounce)
			status = nvme_data_put(req, 0, req->bounce, req->len);
		figures->reads++;
		figures->read_sectors += req->len / 512;
	} else {
		figures->writes++;
		figures->written_sectors += req->len / 512;
	}
	nvme_complete(req, status);
}

static uint16_t io_rw(struct nvme_request *req, bool write)
{
	uint64_t offset, len;
	uint16_t status = io_range(req, &offset, &len);

	if (!status && len > NVME_TRANSFER_MAX)
		status = NVME_INVALID_FIELD | NVME_DNR;
	if (!status && write && req->ns->block->readonly)
		status = NVME_WRITE_PROTECTED | NVME_DNR;
	if (!status)
		status = nvme_data_parse(req, len, !write);
	if (status)
		return status;
	req->steps.next = rw_done;
	if (!nvme_data_map(req, write ? IOMMU_READ : IOMMU_WRITE, &status)) {
		status = nvme_data_bounce(req);
		if (!status && write)
			status = nvme_data_get(req, 0, req->bounce, len);
	}
	if (!status)
		io_submit(req, write ? BLOCK_WRITE : BLOCK_READ, offset, len,
			  write ? io_durable(req) : 0);
	return status;
}

/* Namespaces from steps.index on, until one has something to flush. */
static void flush_next(struct nvme_request *req, int err)
{
	struct nvme *nvme = req->ctrl->nvme;

	if (err) {
		nvme_complete(req, io_status(req, err));
		return;
	}
	while (req->steps.index < req->steps.nr) {
		struct nvme_ns *ns = &nvme->ns[req->steps.index++];

		if (!nvme_is_attached(req->ctrl, ns) || !ns->block->limits.volatile_cache)
			continue;
		req->ns = ns;
		io_submit(req, BLOCK_FLUSH, 0, 0, 0);
		return;
	}
	nvme_complete(req, NVME_OK);
}

static uint16_t io_flush(struct nvme_request *req)
{
	uint16_t status;

	req->steps.next = flush_next;
	if (le32_get(req->sqe.nsid) == NVME_NSID_ALL) {
		req->steps.nr = req->ctrl->nvme->nr_ns;
	} else {
		status = io_namespace(req);
		if (status)
			return status;
		req->steps.index = req->ns->nsid - 1;
		req->steps.nr = req->ns->nsid;
	}
	flush_next(req, 0);
	return NVME_OK;
}

static void zeroes_next(struct nvme_request *req, int err)
{
	uint64_t len = min_u64(req->steps.left, align_down(req->ns->block->limits.max_discard,
							   1ull << req->ns->lba_lg2));
	uint64_t offset = req->steps.offset;

	if (err || !len) {
		nvme_complete(req, io_status(req, err));
		return;
	}
	req->steps.offset += len;
	req->steps.left -= len;
	io_submit(req, BLOCK_WRITE_ZEROES, offset, len,
		  io_durable(req) |
			  (nvme_cdw(&req->sqe, 12) & NVME_IO_DEALLOCATE ? BLOCK_UNMAP : 0));
}

static uint16_t io_write_zeroes(struct nvme_request *req)
{
	uint16_t status = io_range(req, &req->steps.offset, &req->steps.left);

	if (!status && req->ns->block->readonly)
		status = NVME_WRITE_PROTECTED | NVME_DNR;
	if (status)
		return status;
	req->steps.next = zeroes_next;
	zeroes_next(req, 0);
	return NVME_OK;
}

static void dataset_range(const struct nvme_request *req, unsigned int i, uint64_t *first,
			  uint64_t *nr)
{
	const uint8_t *range = req->bounce + (size_t)i * NVME_DATASET_RANGE_LEN;

	*nr = le_load(range + 4, 4);
	*first = le_load(range + 8, 8);
}

static void dataset_next(struct nvme_request *req, int err)
{
	const struct nvme_ns *ns = req->ns;
	uint64_t len, offset;

	while (!err && !req->steps.left && req->steps.index < req->steps.nr) {
		uint64_t first, nr;

		dataset_range(req, req->steps.index++, &first, &nr);
		req->steps.offset = first << ns->lba_lg2;
		req->steps.left = nr << ns->lba_lg2;
	}
	if (err || !req->steps.left) {
		nvme_complete(req, io_status(req, err));
		return;
	}
	len = min_u64(req->steps.left,
		      align_down(ns->block->limits.max_discard, 1ull << ns->lba_lg2));
	offset = req->steps.offset;
	req->steps.offset += len;
	req->steps.left -= len;
	io_submit(req, BLOCK_DISCARD, offset, len, 0);
}

static uint16_t io_dataset(struct nvme_request *req)
{
	unsigned int nr = FIELD_GET(NVME_DATASET_RANGES, nvme_cdw(&req->sqe, 10)) + 1;
	uint16_t status = nvme_data_parse(req, (uint64_t)nr * NVME_DATASET_RANGE_LEN, false);

	if (!status)
		status = nvme_data_bounce(req);
	if (!status)
		status = nvme_data_get(req, 0, req->bounce, req->len);
	for (unsigned int i = 0; i < nr && !status; i++) {
		uint64_t first, blocks;

		dataset_range(req, i, &first, &blocks);
		if (first > req->ns->nr_blocks || blocks > req->ns->nr_blocks - first)
			status = NVME_LBA_RANGE | NVME_DNR;
	}
	if (status)
		return status;
	/* The other attributes are hints (6.7). */
	if (!(nvme_cdw(&req->sqe, 11) & NVME_DATASET_DEALLOCATE)) {
		nvme_complete(req, NVME_OK);
		return NVME_OK;
	}
	if (req->ns->block->readonly)
		return NVME_WRITE_PROTECTED | NVME_DNR;
	req->steps.nr = nr;
	req->steps.next = dataset_next;
	dataset_next(req, 0);
	return NVME_OK;
}

static void compare_done(struct nvme_request *req, int err)
{
	uint16_t status = io_status(req, err);
	uint8_t guest[4096];

	for (uint64_t at = 0; at < req->len && !status; at += sizeof(guest)) {
		uint64_t len = min_u64(req->len - at, sizeof(guest));

		status = nvme_data_get(req, at, guest, len);
		if (!status && memcmp(guest, req->bounce + at, len))
			status = NVME_COMPARE_FAILURE | NVME_DNR;
	}
	nvme_complete(req, status);
}

static uint16_t io_compare(struct nvme_request *req)
{
	uint64_t offset, len;
	uint16_t status = io_range(req, &offset, &len);

	if (!status && len > NVME_TRANSFER_MAX)
		status = NVME_INVALID_FIELD | NVME_DNR;
	if (!status)
		status = nvme_data_parse(req, len, false);
	if (!status)
		status = nvme_data_bounce(req);
	if (status)
		return status;
	req->steps.next = compare_done;
	io_submit(req, BLOCK_READ, offset, len, 0);
	return NVME_OK;
}

static void verify_next(struct nvme_request *req, int err)
{
	uint64_t offset = req->steps.offset, len = min_u64(req->steps.left, req->len);

	if (err || !len) {
		nvme_complete(req, io_status(req, err));
		return;
	}
	req->steps.offset += len;
	req->steps.left -= len;
	req->iov[0].iov_len = len;
	io_submit(req, BLOCK_READ, offset, len, 0);
}

/* A read whose data nobody gets. */
static uint16_t io_verify(struct nvme_request *req)
{
	uint16_t status = io_range(req, &req->steps.offset, &req->steps.left);

	req->len = CHUNK;
	if (!status)
		status = nvme_data_bounce(req);
	if (status)
		return status;
	req->steps.next = verify_next;
	verify_next(req, 0);
	return NVME_OK;
}

/* NVME_OK: it is on its way, or ended already. */
static uint16_t io_start(struct nvme_request *req)
{
	uint16_t status;

	if (req->sqe.flags & NVME_FLAGS_FUSE)
		return NVME_INVALID_FIELD | NVME_DNR;
	if (req->sqe.opcode == NVME_IO_FLUSH)
		return io_flush(req);
	status = io_namespace(req);
	if (req->sqe.opcode == NVME_IO_READ || req->sqe.opcode == NVME_IO_WRITE)
		return status ? status : io_rw(req, req->sqe.opcode == NVME_IO_WRITE);
	switch (req->sqe.opcode) {
	case NVME_IO_COMPARE:
		return status ? status : io_compare(req);
	case NVME_IO_WRITE_ZEROES:
		return status ? status : io_write_zeroes(req);
	case NVME_IO_DATASET:
		return status ? status : io_dataset(req);
	case NVME_IO_VERIFY:
		return status ? status : io_verify(req);
	default:
		return NVME_INVALID_OPCODE | NVME_DNR;
	}
}

void nvme_io_run(struct nvme_request *req)
{
	uint16_t status = io_start(req);

	if (status)
		nvme_complete(req, status);
}
