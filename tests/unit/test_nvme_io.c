// SPDX-License-Identifier: GPL-2.0-or-later
/* NVMe I/O commands: data by PRP and SGL, every length and address, and what each command does. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake/nvme.h"

#define BLOCK	512u
#define BLOCKS	(NVME_WORLD_DISK / BLOCK)
#define MAX_NLB 1024u /* MDTS in blocks */

static int setup(void **state)
{
	struct nvme_world *w = malloc(sizeof(*w));

	nvme_world_init(w, 2, 0);
	nvme_driver_enable(w, &w->pf);
	nvme_driver_pair(w, &w->pf, 1);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	nvme_world_fini(*state);
	free(*state);
	return 0;
}

static uint16_t run(struct nvme_world *w, struct nvme_sqe sqe)
{
	struct nvme_answer a = nvme_driver_run(w, &w->pf, 1, sqe);

	assert_true(a.posted);
	return a.status;
}

static void fill(struct nvme_world *w, uint64_t addr, uint64_t len, unsigned int seed)
{
	uint8_t *p = nvme_world_mem(w, addr);

	for (uint64_t i = 0; i < len; i++)
		p[i] = (uint8_t)(seed + i * 7 + (i >> 8));
}

static bool same(struct nvme_world *w, uint64_t a, uint64_t b, uint64_t len)
{
	return !memcmp(nvme_world_mem(w, a), nvme_world_mem(w, b), len);
}

static void what_is_written_is_read(void **state)
{
	struct nvme_world *w = *state;

	fill(w, NVME_WORLD_DATA, BLOCK, 1);
	assert_int_equal(run(w, nvme_rw(NVME_IO_WRITE, 1, 5, 1, NVME_WORLD_DATA, 0)), 0);
	assert_int_equal(run(w, nvme_rw(NVME_IO_READ, 1, 5, 1, NVME_WORLD_DATA2, 0)), 0);
	assert_true(same(w, NVME_WORLD_DATA, NVME_WORLD_DATA2, BLOCK));
	/* The other namespace is another disk. */
	assert_int_equal(run(w, nvme_rw(NVME_IO_READ, 2, 5, 1, NVME_WORLD_DATA2, 0)), 0);
	assert_false(same(w, NVME_WORLD_DATA, NVME_WORLD_DATA2, BLOCK));
}

/* Pages from the last of a stretch down, so that none adjoin. */
static void put_list(struct nvme_world *w, uint64_t list, uint64_t data, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		le_store(nvme_world_mem(w, list + 8 * i), 8, data + PAGE_SIZE * (nr - i));
}

static void prps_of_every_shape_reach_the_data(void **state)
{
	struct nvme_world *w = *state;
	uint64_t offsets[] = { 0, 4, 512, 2048, 4092 };

	for (unsigned int i = 0; i < ARRAY_SIZE(offsets); i++) {
		for (unsigned int nlb = 1; nlb <= 40; nlb += 3) {
			uint64_t at = NVME_WORLD_DATA + offsets[i], len = nlb * BLOCK;
			uint64_t second = NVME_WORLD_DATA + PAGE_SIZE;
			unsigned int pages =
				(unsigned int)((offsets[i] + len + PAGE_SIZE - 1) / PAGE_SIZE);
			uint64_t prp2 = 0;

			if (pages == 2)
				prp2 = second;
			for (unsigned int p = 1; p < pages && pages > 2; p++)
				le_store(nvme_world_mem(w, NVME_WORLD_LIST + 8 * (p - 1)), 8,
					 NVME_WORLD_DATA + PAGE_SIZE * p);
			if (pages > 2)
				prp2 = NVME_WORLD_LIST;
			fill(w, at, len, i + nlb);
			assert_int_equal(run(w, nvme_rw(NVME_IO_WRITE, 1, 64, nlb, at, prp2)), 0);
			memset(nvme_world_mem(w, at), 0, len);
			assert_int_equal(run(w, nvme_rw(NVME_IO_READ, 1, 64, nlb, at, prp2)), 0);
			fill(w, NVME_WORLD_DATA2, len, i + nlb);
			assert_true(same(w, at, NVME_WORLD_DATA2, len));
		}
	}
}

static void the_largest_transfer_in_scattered_pages_and_no_larger(void **state)
{
	struct nvme_world *w = *state;
	/* First page partly: 129 pieces, none beside another. */
	uint64_t at = NVME_WORLD_DATA + 2048;

	put_list(w, NVME_WORLD_LIST, NVME_WORLD_DATA, 128);
	fill(w, NVME_WORLD_DATA, KIB(520), 3);
	assert_int_equal(run(w, nvme_rw(NVME_IO_WRITE, 1, 0, MAX_NLB, at, NVME_WORLD_LIST)), 0);
	memset(nvme_world_mem(w, at), 0, 2048);
	assert_int_equal(run(w, nvme_rw(NVME_IO_READ, 1, 0, MAX_NLB, at, NVME_WORLD_LIST)), 0);
	fill(w, NVME_WORLD_DATA2, KIB(520), 3);
	assert_true(same(w, NVME_WORLD_DATA + 2048, NVME_WORLD_DATA2 + 2048, 2048));
	assert_int_equal(run(w, nvme_rw(NVME_IO_READ, 1, 0, MAX_NLB + 1, at, NVME_WORLD_LIST)),
			 NVME_INVALID_FIELD);
}

static void a_prp_list_goes_on_in_its_last_entry(void **state)
{
	struct nvme_world *w = *state;
	/* Room for three entries on this page: two and a link. */
	uint64_t list = NVME_WORLD_LIST + PAGE_SIZE - 24, next = NVME_WORLD_LIST + 2 * PAGE_SIZE;

	for (unsigned int i = 0; i < 2; i++)
		le_store(nvme_world_mem(w, list + 8 * i), 8, NVME_WORLD_DATA + PAGE_SIZE * (i + 1));
	le_store(nvme_world_mem(w, list + 16), 8, next);
	for (unsigned int i = 0; i < 5; i++)
		le_store(nvme_world_mem(w, next + 8 * i), 8, NVME_WORLD_DATA + PAGE_SIZE * (i + 3));
	fill(w, NVME_WORLD_DATA, KIB(32), 9);
	assert_int_equal(run(w, nvme_rw(NVME_IO_WRITE, 1, 0, 64, NVME_WORLD_DATA, list)), 0);
	memset(nvme_world_mem(w, NVME_WORLD_DATA), 0, KIB(32));
	assert_int_equal(run(w, nvme_rw(NVME_IO_READ, 1, 0, 64, NVME_WORLD_DATA, list)), 0);
	fill(w, NVME_WORLD_DATA2, KIB(32), 9);
	assert_true(same(w, NVME_WORLD_DATA, NVME_WORLD_DATA2, KIB(32)));
	/* The next list begins on a page. */
	le_store(nvme_world_mem(w, list + 16), 8, next + 8);
	assert_int_equal(run(w, nvme_rw(NVME_IO_READ, 1, 0, 64, NVME_WORLD_DATA, list)),
			 NVME_INVALID_PRP_OFFSET);
}

static void wrong_prp_offsets_are_told(void **state)
{
	struct nvme_world *w = *state;
	uint64_t d = NVME_WORLD_DATA;

	assert_int_equal(run(w, nvme_rw(NVME_IO_READ, 1, 0, 1, d + 2, 0)), NVME_INVALID_PRP_OFFSET);
	assert_int_equal(run(w, nvme_rw(NVME_IO_READ, 1, 0, 16, d, d + 0x10010)),
			 NVME_INVALID_PRP_OFFSET);
	assert_int_equal(run(w, nvme_rw(NVME_IO_READ, 1, 0, 24, d, NVME_WORLD_LIST + 4)),
			 NVME_INVALID_PRP_OFFSET);
	le_store(nvme_world_mem(w, NVME_WORLD_LIST), 8, d + 8);
	assert_int_equal(run(w, nvme_rw(NVME_IO_READ, 1, 0, 24, d, NVME_WORLD_LIST)),
			 NVME_INVALID_PRP_OFFSET);
}

static void addresses_without_memory_are_transfer_errors(void **state)
{
	struct nvme_world *w = *state;
	uint64_t bad[] = { NVME_WORLD_RAM, NVME_WORLD_RAM - 256, 1ull << 40, ~0xfffull, ~3ull };

	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		uint16_t status = run(w, nvme_rw(NVME_IO_READ, 1, 0, 1, bad[i], ~0xfffull));

		assert_int_equal(status, NVME_TRANSFER_ERROR);
	}
	/* A list out of memory, too. */
	assert_int_equal(run(w, nvme_rw(NVME_IO_WRITE, 1, 0, 64, NVME_WORLD_DATA, 1ull << 44)),
			 NVME_TRANSFER_ERROR);
	/* The controller goes on. */
	assert_int_equal(run(w, nvme_rw(NVME_IO_READ, 1, 0, 1, NVME_WORLD_DATA, 0)), 0);
}

static void blocks_beyond_the_end_are_refused(void **state)
{
	struct nvme_world *w = *state;

	assert_int_equal(run(w, nvme_rw(NVME_IO_READ, 1, BLOCKS - 1, 1, NVME_WORLD_DATA, 0)), 0);
	assert_int_equal(run(w, nvme_rw(NVME_IO_READ, 1, BLOCKS, 1, NVME_WORLD_DATA, 0)),
			 NVME_LBA_RANGE);
	assert_int_equal(run(w, nvme_rw(NVME_IO_READ, 1, BLOCKS - 1, 2, NVME_WORLD_DATA, 0)),
			 NVME_LBA_RANGE);
	assert_int_equal(run(w, nvme_rw(NVME_IO_WRITE, 1, UINT64_MAX, 2, NVME_WORLD_DATA, 0)),
			 NVME_LBA_RANGE);
	assert_int_equal(run(w, nvme_rw(NVME_IO_WRITE_ZEROES, 1, BLOCKS - 1, 65536, 0, 0)),
			 NVME_LBA_RANGE);
}

static void namespaces_that_are_not_there_are_refused(void **state)
{
	struct nvme_world *w = *state;
	uint32_t ids[] = { 0, 3, 0x10001, NVME_NSID_ALL };

	for (unsigned int i = 0; i < ARRAY_SIZE(ids); i++)
		assert_int_equal(run(w, nvme_rw(NVME_IO_READ, ids[i], 0, 1, NVME_WORLD_DATA, 0)),
				 NVME_INVALID_NAMESPACE);
}

static void sgl(struct nvme_sqe *sqe, uint64_t addr, uint32_t len, unsigned int type)
{
	sqe->flags = 0x40;
	le_store(&sqe->dptr[0], 8, addr);
	le_store(&sqe->dptr[8], 8, len);
	sqe->dptr[15] = (uint8_t)(type << 4);
}

static void put_sgl(struct nvme_world *w, uint64_t at, uint64_t addr, uint32_t len,
		    unsigned int type)
{
	uint8_t *p = nvme_world_mem(w, at);

	le_store(p, 8, addr);
	le_store(p + 8, 8, len);
	p[15] = (uint8_t)(type << 4);
}

static void sgls_of_every_kind_reach_the_data(void **state)
{
	struct nvme_world *w = *state;
	struct nvme_sqe sqe = nvme_rw(NVME_IO_WRITE, 1, 8, 4, 0, 0);

	fill(w, NVME_WORLD_DATA + 1, 4 * BLOCK, 5);
	/* Bytes at any address, in one descriptor. */
	sgl(&sqe, NVME_WORLD_DATA + 1, 4 * BLOCK, NVME_SGL_DATA);
	assert_int_equal(run(w, sqe), 0);
	/* A segment, then a last one; pieces of odd sizes; a bucket in the middle. */
	sqe = nvme_rw(NVME_IO_READ, 1, 8, 4, 0, 0);
	sgl(&sqe, NVME_WORLD_LIST, 32, NVME_SGL_SEGMENT);
	put_sgl(w, NVME_WORLD_LIST, NVME_WORLD_DATA2, 3, NVME_SGL_DATA);
	put_sgl(w, NVME_WORLD_LIST + 16, NVME_WORLD_LIST + 0x100, 48, NVME_SGL_LAST_SEGMENT);
	put_sgl(w, NVME_WORLD_LIST + 0x100, NVME_WORLD_DATA2 + 0x1000, 1000, NVME_SGL_DATA);
	put_sgl(w, NVME_WORLD_LIST + 0x110, 0, 45, NVME_SGL_BIT_BUCKET);
	put_sgl(w, NVME_WORLD_LIST + 0x120, NVME_WORLD_DATA2 + 0x2000, 1000, NVME_SGL_DATA);
	assert_int_equal(run(w, sqe), 0);
	assert_true(same(w, NVME_WORLD_DATA + 1, NVME_WORLD_DATA2, 3));
	assert_true(same(w, NVME_WORLD_DATA + 4, NVME_WORLD_DATA2 + 0x1000, 1000));
	assert_true(same(w, NVME_WORLD_DATA + 1 + 1048, NVME_WORLD_DATA2 + 0x2000, 1000));
	/* A bucket brings nothing to a write. */
	sqe.opcode = NVME_IO_WRITE;
	assert_int_equal(run(w, sqe), NVME_INVALID_SGL_LENGTH);
}

static uint16_t read_sgl(struct nvme_world *w, uint64_t addr, uint32_t len, unsigned int type)
{
	struct nvme_sqe sqe = nvme_rw(NVME_IO_READ, 1, 0, 1, 0, 0);

	sgl(&sqe, addr, len, type);
	return run(w, sqe);
}

static void wrong_sgls_are_told_apart(void **state)
{
	struct nvme_world *w = *state;
	struct nvme_sqe sqe = nvme_rw(NVME_IO_READ, 1, 0, 1, NVME_WORLD_DATA, 0);
	uint64_t list = NVME_WORLD_LIST;

	assert_int_equal(read_sgl(w, NVME_WORLD_DATA, 511, NVME_SGL_DATA), NVME_INVALID_SGL_LENGTH);
	assert_int_equal(read_sgl(w, NVME_WORLD_DATA, 513, NVME_SGL_DATA), NVME_INVALID_SGL_LENGTH);
	assert_int_equal(read_sgl(w, NVME_WORLD_DATA, 512, 5), NVME_INVALID_SGL_TYPE);
	assert_int_equal(read_sgl(w, list, 0, NVME_SGL_SEGMENT), NVME_INVALID_SGL_SEGMENT);
	assert_int_equal(read_sgl(w, list, 24, NVME_SGL_SEGMENT), NVME_INVALID_SGL_SEGMENT);
	assert_int_equal(read_sgl(w, list, 0xfffffff0, NVME_SGL_LAST_SEGMENT),
			 NVME_INVALID_SGL_COUNT);
	assert_int_equal(read_sgl(w, 1ull << 40, 16, NVME_SGL_LAST_SEGMENT), NVME_TRANSFER_ERROR);
	/* A segment that leads to itself. */
	put_sgl(w, list, list, 16, NVME_SGL_SEGMENT);
	assert_int_equal(read_sgl(w, list, 16, NVME_SGL_SEGMENT), NVME_INVALID_SGL_COUNT);
	/* Leading on from the last segment, or not from another. */
	assert_int_equal(read_sgl(w, list, 16, NVME_SGL_LAST_SEGMENT), NVME_INVALID_SGL_SEGMENT);
	put_sgl(w, list, NVME_WORLD_DATA, 512, NVME_SGL_DATA);
	assert_int_equal(read_sgl(w, list, 16, NVME_SGL_SEGMENT), NVME_INVALID_SGL_SEGMENT);
	/* The reserved kind of data pointer; a fused command; SGLs of an admin command. */
	sqe.flags = 0xc0;
	assert_int_equal(run(w, sqe), NVME_INVALID_FIELD);
	sqe.flags = 1;
	assert_int_equal(run(w, sqe), NVME_INVALID_FIELD);
	sqe = nvme_command(NVME_ADMIN_IDENTIFY, 0, NVME_WORLD_DATA, 4096);
	sqe.flags = 0x40;
	nvme_set_cdw(&sqe, 10, NVME_CNS_CTRL);
	assert_int_equal(nvme_driver_run(w, &w->pf, 0, sqe).status, NVME_INVALID_FIELD);
}

static void more_pieces_than_fit_are_too_many(void **state)
{
	struct nvme_world *w = *state;

	for (unsigned int i = 0; i < 512; i++)
		put_sgl(w, NVME_WORLD_LIST + 16 * i, NVME_WORLD_DATA + 16 * i, 1, NVME_SGL_DATA);
	assert_int_equal(read_sgl(w, NVME_WORLD_LIST, 512 * 16, NVME_SGL_LAST_SEGMENT),
			 NVME_INVALID_SGL_COUNT);
}

static void comparing_tells_equal_from_different(void **state)
{
	struct nvme_world *w = *state;
	uint8_t *p = nvme_world_mem(w, NVME_WORLD_DATA);

	fill(w, NVME_WORLD_DATA, 16 * BLOCK, 2);
	assert_int_equal(run(w, nvme_rw(NVME_IO_WRITE, 1, 0, 16, NVME_WORLD_DATA,
					NVME_WORLD_DATA + PAGE_SIZE)),
			 0);
	assert_int_equal(run(w, nvme_rw(NVME_IO_COMPARE, 1, 0, 16, NVME_WORLD_DATA,
					NVME_WORLD_DATA + PAGE_SIZE)),
			 0);
	p[16 * BLOCK - 1] ^= 1;
	assert_int_equal(run(w, nvme_rw(NVME_IO_COMPARE, 1, 0, 16, NVME_WORLD_DATA,
					NVME_WORLD_DATA + PAGE_SIZE)),
			 NVME_COMPARE_FAILURE);
}

static bool is_zero(struct nvme_world *w, uint64_t block)
{
	static const uint8_t zeroes[BLOCK];

	assert_int_equal(run(w, nvme_rw(NVME_IO_READ, 1, block, 1, NVME_WORLD_DATA2, 0)), 0);
	return !memcmp(nvme_world_mem(w, NVME_WORLD_DATA2), zeroes, BLOCK);
}

static void write_blocks(struct nvme_world *w, unsigned int nr)
{
	fill(w, NVME_WORLD_DATA, BLOCK, 77);
	for (unsigned int i = 0; i < nr; i++)
		assert_int_equal(run(w, nvme_rw(NVME_IO_WRITE, 1, i, 1, NVME_WORLD_DATA, 0)), 0);
}

static void zeroes_are_written_where_asked(void **state)
{
	struct nvme_world *w = *state;
	struct nvme_sqe sqe = nvme_rw(NVME_IO_WRITE_ZEROES, 1, 3, 5, 0, 0);

	write_blocks(w, 12);
	assert_int_equal(run(w, sqe), 0);
	assert_false(is_zero(w, 2));
	assert_true(is_zero(w, 3));
	assert_true(is_zero(w, 7));
	assert_false(is_zero(w, 8));
	nvme_set_cdw(&sqe, 12, 1 | NVME_IO_DEALLOCATE);
	nvme_set_cdw(&sqe, 10, 9);
	assert_int_equal(run(w, sqe), 0);
	assert_true(is_zero(w, 10));
	assert_false(is_zero(w, 11));
}

static void deallocating_takes_ranges(void **state)
{
	struct nvme_world *w = *state;
	struct nvme_sqe sqe = nvme_command(NVME_IO_DATASET, 1, NVME_WORLD_LIST, 0);
	uint8_t *list = nvme_world_mem(w, NVME_WORLD_LIST);

	write_blocks(w, 16);
	le_store(list + 4, 4, 2);
	le_store(list + 8, 8, 1);
	le_store(list + 20, 4, 0);
	le_store(list + 24, 8, 4);
	le_store(list + 36, 4, 1);
	le_store(list + 40, 8, 9);
	nvme_set_cdw(&sqe, 10, 2);
	/* Only hints: nothing happens. */
	assert_int_equal(run(w, sqe), 0);
	assert_false(is_zero(w, 1));
	nvme_set_cdw(&sqe, 11, NVME_DATASET_DEALLOCATE);
	assert_int_equal(run(w, sqe), 0);
	assert_false(is_zero(w, 0));
	assert_true(is_zero(w, 1));
	assert_true(is_zero(w, 2));
	assert_false(is_zero(w, 4));
	assert_true(is_zero(w, 9));
	/* One range is wrong: none is done. */
	le_store(list + 4, 4, 1);
	le_store(list + 8, 8, 12);
	le_store(list + 36, 4, 2);
	le_store(list + 40, 8, BLOCKS - 1);
	assert_int_equal(run(w, sqe), NVME_LBA_RANGE);
	assert_false(is_zero(w, 12));
}

static void flush_and_verify_have_no_data(void **state)
{
	struct nvme_world *w = *state;

	assert_int_equal(run(w, nvme_command(NVME_IO_FLUSH, 1, 0, 0)), 0);
	assert_int_equal(run(w, nvme_command(NVME_IO_FLUSH, NVME_NSID_ALL, 0, 0)), 0);
	assert_int_equal(run(w, nvme_command(NVME_IO_FLUSH, 9, 0, 0)), NVME_INVALID_NAMESPACE);
	assert_int_equal(run(w, nvme_rw(NVME_IO_VERIFY, 1, 0, 4096, 0, 0)), 0);
	assert_int_equal(run(w, nvme_rw(NVME_IO_VERIFY, 1, BLOCKS, 1, 0, 0)), NVME_LBA_RANGE);
	assert_int_equal(run(w, nvme_command(0x7f, 1, 0, 0)), NVME_INVALID_OPCODE);
}

static void a_disk_that_is_read_only_refuses_writes(void **state)
{
	struct nvme_world *w = *state;
	struct nvme_sqe dsm = nvme_command(NVME_IO_DATASET, 1, NVME_WORLD_LIST, 0);

	w->disks[0]->readonly = true;
	nvme_set_cdw(&dsm, 11, NVME_DATASET_DEALLOCATE);
	assert_int_equal(run(w, nvme_rw(NVME_IO_WRITE, 1, 0, 1, NVME_WORLD_DATA, 0)),
			 NVME_WRITE_PROTECTED);
	assert_int_equal(run(w, nvme_rw(NVME_IO_WRITE_ZEROES, 1, 0, 1, 0, 0)),
			 NVME_WRITE_PROTECTED);
	assert_int_equal(run(w, dsm), NVME_WRITE_PROTECTED);
	assert_int_equal(run(w, nvme_rw(NVME_IO_READ, 1, 0, 1, NVME_WORLD_DATA, 0)), 0);
}

static void errors_are_logged_newest_first(void **state)
{
	struct nvme_world *w = *state;
	struct nvme_sqe sqe = nvme_command(NVME_ADMIN_GET_LOG, NVME_NSID_ALL, NVME_WORLD_DATA, 0);
	const uint8_t *log = nvme_world_mem(w, NVME_WORLD_DATA);

	run(w, nvme_rw(NVME_IO_READ, 1, BLOCKS, 1, NVME_WORLD_DATA, 0));
	run(w, nvme_rw(NVME_IO_READ, 7, 0x123456789, 1, NVME_WORLD_DATA, 0));
	nvme_set_cdw(&sqe, 10, NVME_LOG_ERROR | 31 << 16);
	assert_int_equal(nvme_driver_run(w, &w->pf, 0, sqe).status, 0);
	assert_int_equal(le_load(log, 8), 2);
	assert_int_equal(le_load(log + 8, 2), 1);
	assert_int_equal(le_load(log + 12, 2) >> 1 & NVME_STATUS_CODE, NVME_INVALID_NAMESPACE);
	assert_int_equal(le_load(log + 16, 8), 0x123456789);
	assert_int_equal(le_load(log + 24, 4), 7);
	assert_int_equal(le_load(log + 64, 8), 1);
	assert_int_equal(le_load(log + 76, 2) >> 1 & NVME_STATUS_CODE, NVME_LBA_RANGE);
	/* Offsets: within the page, by dwords. */
	nvme_set_cdw(&sqe, 12, 64);
	assert_int_equal(nvme_driver_run(w, &w->pf, 0, sqe).status, 0);
	assert_int_equal(le_load(log, 8), 1);
	nvme_set_cdw(&sqe, 12, 2);
	assert_int_equal(nvme_driver_run(w, &w->pf, 0, sqe).status, NVME_INVALID_FIELD);
	nvme_set_cdw(&sqe, 12, 0x10000);
	assert_int_equal(nvme_driver_run(w, &w->pf, 0, sqe).status, NVME_INVALID_FIELD);
	nvme_set_cdw(&sqe, 12, 0);
	nvme_set_cdw(&sqe, 10, 0xef);
	assert_int_equal(nvme_driver_run(w, &w->pf, 0, sqe).status, NVME_INVALID_LOG);
}

static void figures_count_what_was_moved(void **state)
{
	struct nvme_world *w = *state;
	struct nvme_sqe sqe = nvme_command(NVME_ADMIN_GET_LOG, NVME_NSID_ALL, NVME_WORLD_DATA2, 0);
	const uint8_t *log = nvme_world_mem(w, NVME_WORLD_DATA2);

	run(w, nvme_rw(NVME_IO_READ, 1, 0, 8, NVME_WORLD_DATA, 0));
	run(w, nvme_rw(NVME_IO_READ, 1, 0, 8, NVME_WORLD_DATA, 0));
	run(w, nvme_rw(NVME_IO_WRITE, 1, 0, 8, NVME_WORLD_DATA, 0));
	nvme_set_cdw(&sqe, 10, NVME_LOG_SMART | 127 << 16);
	assert_int_equal(nvme_driver_run(w, &w->pf, 0, sqe).status, 0);
	assert_int_equal(le_load(log + NVME_SMART_READ_COMMANDS, 8), 2);
	assert_int_equal(le_load(log + NVME_SMART_WRITE_COMMANDS, 8), 1);
	assert_int_equal(le_load(log + NVME_SMART_READ, 8), 1);
	/* Of one namespace there is none. */
	sqe.nsid = le32_make(1);
	assert_int_equal(nvme_driver_run(w, &w->pf, 0, sqe).status, NVME_INVALID_FIELD);
}

static void nothing_moves_without_bus_mastering(void **state)
{
	struct nvme_world *w = *state;
	struct nvme_sqe sqe = nvme_rw(NVME_IO_READ, 1, 0, 1, NVME_WORLD_DATA, 0);

	nvme_driver_put(w, &w->pf, 1, &sqe);
	memset(nvme_world_mem(w, NVME_WORLD_DATA), 0xaa, BLOCK);
	fake_cfg_write(&w->pci, w->pf.rid, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	nvme_driver_ring(w, &w->pf, 1);
	assert_false(nvme_driver_take(w, &w->pf, 1).posted);
	assert_int_equal(*(uint8_t *)nvme_world_mem(w, NVME_WORLD_DATA), 0xaa);
	assert_true(nvme_reg(w, &w->pf, NVME_CSTS) & NVME_CSTS_CFS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_written_is_read),
		TEST(prps_of_every_shape_reach_the_data),
		TEST(the_largest_transfer_in_scattered_pages_and_no_larger),
		TEST(a_prp_list_goes_on_in_its_last_entry),
		TEST(wrong_prp_offsets_are_told),
		TEST(addresses_without_memory_are_transfer_errors),
		TEST(blocks_beyond_the_end_are_refused),
		TEST(namespaces_that_are_not_there_are_refused),
		TEST(sgls_of_every_kind_reach_the_data),
		TEST(wrong_sgls_are_told_apart),
		TEST(more_pieces_than_fit_are_too_many),
		TEST(comparing_tells_equal_from_different),
		TEST(zeroes_are_written_where_asked),
		TEST(deallocating_takes_ranges),
		TEST(flush_and_verify_have_no_data),
		TEST(a_disk_that_is_read_only_refuses_writes),
		TEST(errors_are_logged_newest_first),
		TEST(figures_count_what_was_moved),
		TEST(nothing_moves_without_bus_mastering),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
