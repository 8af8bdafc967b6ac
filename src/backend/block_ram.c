// SPDX-License-Identifier: GPL-2.0-or-later
/* A disk of memory: for tests, scratch space, and measuring a device model without a disk. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "backend/block.h"
#include "base/bits.h"

struct block_ram {
	struct block block; /* first */
	uint8_t *data;
};

static struct block_ram *block_ram_of(struct block *block)
{
	return (struct block_ram *)(void *)block;
}

static int block_ram_queue_create(struct block *block, struct block_queue *queue, struct diag *diag)
{
	return 0;
}

static void block_ram_queue_destroy(struct block_queue *queue)
{
}

static void block_ram_zero(struct block_ram *ram, const struct block_request *req)
{
	uint8_t *at = ram->data + req->offset;
	uint64_t first = align_up(req->offset, PAGE_SIZE);
	uint64_t end = align_down(req->offset + req->len, PAGE_SIZE);

	/* Whole pages are given back, and come again as zeroes. */
	if (first < end && !madvise(ram->data + first, end - first, MADV_DONTNEED)) {
		memset(at, 0, first - req->offset);
		memset(ram->data + end, 0, req->offset + req->len - end);
		return;
	}
	memset(at, 0, req->len);
}

static void block_ram_start(struct block_queue *queue, struct block_request *chain)
{
	struct block_ram *ram = block_ram_of(queue->block);

	while (chain) {
		struct block_request *req = chain;

		chain = req->next;
		switch (req->op) {
		case BLOCK_READ:
			block_scatter(req, 0, ram->data + req->offset, req->len);
			break;
		case BLOCK_WRITE:
			block_gather(req, 0, ram->data + req->offset, req->len);
			break;
		case BLOCK_FLUSH:
			break;
		case BLOCK_DISCARD:
		case BLOCK_WRITE_ZEROES:
			block_ram_zero(ram, req);
			break;
		}
		block_complete(queue, req, 0);
	}
}

/* Nothing is ever left in flight. */
static void block_ram_cancel(struct block_queue *queue, struct block_request *req)
{
}

static void block_ram_wait(struct block_queue *queue)
{
}

static void block_ram_destroy(struct block *block)
{
	struct block_ram *ram = block_ram_of(block);

	munmap(ram->data, ram->block.size);
	free(ram);
}

static const struct block_ops block_ram_ops = {
	.name = "memory",
	.queue_create = block_ram_queue_create,
	.queue_destroy = block_ram_queue_destroy,
	.start = block_ram_start,
	.cancel = block_ram_cancel,
	.wait = block_ram_wait,
	.destroy = block_ram_destroy,
};

int block_ram_create(const char *name, uint64_t size, uint32_t block_size, struct block **out,
		     struct diag *diag)
{
	struct block_ram *ram;
	void *data;

	if (block_size != 512 && block_size != 4096)
		return diag_set(diag, -EINVAL, name, "a block size of %u is neither 512 nor 4096",
				block_size);
	if (!size || size & (block_size - 1))
		return diag_set(diag, -EINVAL, name, "a size of %llu bytes is not a multiple of %u",
				(unsigned long long)size, block_size);
	ram = calloc(1, sizeof(*ram));
	if (!ram)
		return diag_set(diag, -ENOMEM, name, "out of memory");
	data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		    -1, 0);
	if (data == MAP_FAILED) {
		int err = -errno;

		free(ram);
		return diag_set(diag, err, name, "no memory for %llu bytes",
				(unsigned long long)size);
	}
	/* Advice: where the host has no huge pages, small ones do. */
	madvise(data, size, MADV_HUGEPAGE);
	block_init(&ram->block, &block_ram_ops, name);
	ram->data = data;
	ram->block.size = size;
	ram->block.limits = (struct block_limits){
		.block_size = block_size,
		.physical_size = block_size,
		.mem_align = 1,
		.max_transfer = MIB(16),
		.max_iov = 4096,
		.discard_granularity = PAGE_SIZE,
		.max_discard = size,
		.fast_zeroes = true,
	};
	snprintf(ram->block.what, sizeof(ram->block.what), "memory, %llu MiB",
		 (unsigned long long)(size >> 20));
	*out = &ram->block;
	return 0;
}
