// SPDX-License-Identifier: GPL-2.0-or-later
/* Disks on the host: what every back end promises, and files in particular. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/block.h"
#include "base/bits.h"
#include "sys/sys.h"

#define SIZE MIB(8)

/* The real kernel, with some calls answered by the test. */
struct host {
	struct sys sys; /* first */
	struct sys_ops ops;
	const struct sys_ops *real;
	/* The back end's threads change these. */
	atomic_uint short_moves;   /* so many reads and writes move 512 bytes only */
	int fail_write, fail_sync; /* -errno, 0: as the kernel */
	bool no_allocate, no_direct, end_of_file;
	atomic_uint nr_sync, nr_durable, nr_allocate;
	int last_mode;
};

static struct host *host_of(struct sys *sys)
{
	return (struct host *)(void *)sys;
}

/* True for one of the moves that are to be short. */
static bool host_is_short(struct host *h)
{
	unsigned int left = atomic_load(&h->short_moves);

	while (left)
		if (atomic_compare_exchange_weak(&h->short_moves, &left, left - 1))
			return true;
	return false;
}

static ssize_t host_preadv(struct sys *sys, int fd, const struct iovec *iov, unsigned int nr,
			   uint64_t offset)
{
	struct host *h = host_of(sys);
	struct iovec first = { iov->iov_base, min_u64(iov->iov_len, 512) };

	if (h->end_of_file)
		return 0;
	if (!host_is_short(h))
		return h->real->preadv(sys, fd, iov, nr, offset);
	return h->real->preadv(sys, fd, &first, 1, offset);
}

static ssize_t host_pwritev(struct sys *sys, int fd, const struct iovec *iov, unsigned int nr,
			    uint64_t offset, bool durable)
{
	struct host *h = host_of(sys);
	struct iovec first = { iov->iov_base, min_u64(iov->iov_len, 512) };

	h->nr_durable += durable;
	if (h->fail_write)
		return h->fail_write;
	if (!host_is_short(h))
		return h->real->pwritev(sys, fd, iov, nr, offset, durable);
	return h->real->pwritev(sys, fd, &first, 1, offset, durable);
}

static int host_sync(struct sys *sys, int fd)
{
	struct host *h = host_of(sys);

	h->nr_sync++;
	return h->fail_sync ? h->fail_sync : h->real->sync(sys, fd);
}

static int host_allocate(struct sys *sys, int fd, int mode, uint64_t offset, uint64_t len)
{
	struct host *h = host_of(sys);

	h->nr_allocate++;
	h->last_mode = mode;
	return h->no_allocate ? -EOPNOTSUPP : h->real->allocate(sys, fd, mode, offset, len);
}

static int host_set_direct(struct sys *sys, int fd, bool direct)
{
	struct host *h = host_of(sys);

	return h->no_direct && direct ? -EINVAL : h->real->set_direct(sys, fd, direct);
}

struct fixture {
	struct host host;
	struct loop *loop;
	char path[64];
	struct block *block;
	struct block_queue *queue;
	unsigned int nr_batches, nr_done;
	bool no_uring;
};

/* A request of the test's, with room for its data. */
struct job {
	struct block_request req; /* first */
	struct fixture *f;
	struct iovec iov[4];
	int status;
	unsigned int nr_done;
	unsigned int again; /* submits itself so often from done() */
};

static void batch_done(void *opaque)
{
	struct fixture *f = opaque;

	f->nr_batches++;
}

static void job_done(struct block_request *req, int status)
{
	struct job *job = (struct job *)(void *)req;

	job->status = status;
	job->nr_done++;
	job->f->nr_done++;
	if (!job->again)
		return;
	job->again--;
	block_submit(job->f->queue, req);
	block_kick(job->f->queue);
}

static struct job make(struct fixture *f, enum block_op op, uint64_t offset, void *data,
		       uint64_t len)
{
	return (struct job){
		.req = { .op = op,
			 .offset = offset,
			 .len = len,
			 .nr_iov = data ? 1 : 0,
			 .done = job_done },
		.f = f,
		.iov = { { data, len } },
		.status = 1,
	};
}

static void submit(struct fixture *f, struct job *job)
{
	job->req.iov = job->iov;
	block_submit(f->queue, &job->req);
}

static int run(struct fixture *f, struct job *job)
{
	submit(f, job);
	block_drain(f->queue);
	assert_int_equal(job->nr_done, 1);
	return job->status;
}

static int move(struct fixture *f, enum block_op op, uint64_t offset, void *data, uint64_t len)
{
	struct job job = make(f, op, offset, data, len);

	return run(f, &job);
}

static void fixture_init(struct fixture *f)
{
	struct sys real = sys_real();

	memset(f, 0, sizeof(*f));
	f->host.real = real.ops;
	f->host.ops = *real.ops;
	f->host.ops.preadv = host_preadv;
	f->host.ops.pwritev = host_pwritev;
	f->host.ops.sync = host_sync;
	f->host.ops.allocate = host_allocate;
	f->host.ops.set_direct = host_set_direct;
	f->host.sys.ops = &f->host.ops;
	assert_int_equal(loop_create(&f->loop), 0);
}

static void fixture_queue(struct fixture *f)
{
	struct diag diag = DIAG_INIT;

	assert_int_equal(block_queue_create(f->block, f->loop, batch_done, f, &f->queue, &diag), 0);
}

static void file_fill(struct fixture *f, uint64_t size)
{
	int fd;

	strcpy(f->path, "/var/tmp/airlock-disk-XXXXXX");
	fd = mkstemp(f->path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	close(fd);
}

static int file_open(struct fixture *f, struct block_file_config config, struct diag *diag)
{
	config.name = "d0";
	config.path = f->path;
	return block_file_create(&f->host.sys, &config, &f->block, diag);
}

static int setup_ram(void **state)
{
	static struct fixture f;
	struct diag diag = DIAG_INIT;

	fixture_init(&f);
	assert_int_equal(block_ram_create("r0", SIZE, 512, &f.block, &diag), 0);
	fixture_queue(&f);
	*state = &f;
	return 0;
}

static int setup_file_with(void **state, struct block_file_config config)
{
	static struct fixture f;
	struct diag diag = DIAG_INIT;

	fixture_init(&f);
	file_fill(&f, SIZE);
	assert_int_equal(file_open(&f, config, &diag), 0);
	fixture_queue(&f);
	*state = &f;
	return 0;
}

static int setup_threads(void **state)
{
	return setup_file_with(state, (struct block_file_config){ .discard = true,
								  .engine = BLOCK_ENGINE_THREADS });
}

static int setup_uring(void **state)
{
	static struct fixture f;
	struct diag diag = DIAG_INIT;

	fixture_init(&f);
	file_fill(&f, SIZE);
	*state = &f;
	/* Without it there is nothing to test; the fall-back has its own. */
	if (file_open(&f,
		      (struct block_file_config){ .discard = true, .engine = BLOCK_ENGINE_URING },
		      &diag)) {
		f.no_uring = true;
		f.host.ops.read_file = f.host.real->read_file;
		assert_int_equal(
			file_open(&f, (struct block_file_config){ .discard = true }, &diag), 0);
	}
	fixture_queue(&f);
	return 0;
}

static int setup_cached(void **state)
{
	return setup_file_with(state, (struct block_file_config){ .discard = true,
								  .direct = BLOCK_DIRECT_OFF,
								  .engine = BLOCK_ENGINE_THREADS });
}

/* For tests that open images themselves. */
static int setup_path(void **state)
{
	static struct fixture f;

	fixture_init(&f);
	file_fill(&f, SIZE);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	block_queue_destroy(f->queue);
	if (f->block)
		block_destroy(f->block);
	if (f->path[0])
		unlink(f->path);
	loop_destroy(f->loop);
	return 0;
}

static void fill(uint8_t *data, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(seed = seed * 1103515245 + 12345, seed >> 16);
}

/* ---- every back end ---- */

static void what_was_written_is_read_back(void **state)
{
	struct fixture *f = *state;
	static uint8_t out[KIB(64)] __attribute__((aligned(4096))), in[KIB(64)];

	for (unsigned int i = 0; i < 16; i++) {
		fill(out, sizeof(out), i);
		assert_int_equal(move(f, BLOCK_WRITE, i * KIB(256) + 512 * i, out, sizeof(out)), 0);
	}
	assert_int_equal(move(f, BLOCK_FLUSH, 0, NULL, 0), 0);
	for (unsigned int i = 0; i < 16; i++) {
		fill(out, sizeof(out), i);
		assert_int_equal(move(f, BLOCK_READ, i * KIB(256) + 512 * i, in, sizeof(in)), 0);
		assert_memory_equal(in, out, sizeof(in));
	}
	assert_int_equal(move(f, BLOCK_READ, KIB(128), in, 512), 0);
	memset(out, 0, 512);
	assert_memory_equal(in, out, 512);
	assert_int_equal(f->block->stats.nr[BLOCK_WRITE], 16);
	assert_int_equal(f->block->stats.bytes[BLOCK_READ], 16 * sizeof(in) + 512);
}

static void pieces_at_any_address_make_up_one_transfer(void **state)
{
	struct fixture *f = *state;
	static uint8_t out[8192 + 16], in[8192];
	struct job job = make(f, BLOCK_WRITE, 4096, out, 4096);

	fill(out, sizeof(out), 7);
	job.iov[0] = (struct iovec){ out + 1, 1 };
	job.iov[1] = (struct iovec){ out + 3, 510 };
	job.iov[2] = (struct iovec){ out + 513 + 8, 3585 };
	job.req.nr_iov = 3;
	assert_int_equal(run(f, &job), 0);
	assert_int_equal(move(f, BLOCK_READ, 4096, in, 4096), 0);
	assert_memory_equal(in, out + 1, 1);
	assert_memory_equal(in + 1, out + 3, 510);
	assert_memory_equal(in + 511, out + 513 + 8, 3585);
	/* And back in other pieces. */
	job = make(f, BLOCK_READ, 4096, NULL, 4096);
	memset(out, 0, sizeof(out));
	job.iov[0] = (struct iovec){ out + 5, 4000 };
	job.iov[1] = (struct iovec){ out + 4005, 96 };
	job.req.nr_iov = 2;
	assert_int_equal(run(f, &job), 0);
	assert_memory_equal(in, out + 5, 4096);
}

static void requests_that_do_not_fit_are_refused_and_touch_nothing(void **state)
{
	struct fixture *f = *state;
	static uint8_t data[4096];
	struct job job;

	memset(data, 0xa5, sizeof(data));
	assert_int_equal(move(f, BLOCK_WRITE, 1, data, 512), -EINVAL);
	assert_int_equal(move(f, BLOCK_WRITE, 0, data, 511), -EINVAL);
	assert_int_equal(move(f, BLOCK_WRITE, 0, data, 0), -EINVAL);
	assert_int_equal(move(f, BLOCK_WRITE, SIZE, data, 512), -ERANGE);
	assert_int_equal(move(f, BLOCK_WRITE, SIZE - 512, data, 1024), -ERANGE);
	assert_int_equal(move(f, BLOCK_READ, UINT64_MAX - 511, data, 1024), -ERANGE);
	assert_int_equal(move(f, BLOCK_DISCARD, SIZE - 512, NULL, 1024), -ERANGE);
	assert_int_equal(move(f, BLOCK_WRITE_ZEROES, 0, NULL, GIB(64)), -ERANGE);
	job = make(f, BLOCK_WRITE, 0, data, 1024);
	job.iov[0].iov_len = 512; /* says more than it has */
	assert_int_equal(run(f, &job), -EINVAL);
	job = make(f, BLOCK_WRITE, 0, data, 512);
	job.iov[0].iov_len = UINT64_MAX;
	job.iov[1] = (struct iovec){ data, 513 }; /* 512 when it wraps */
	job.req.nr_iov = 2;
	assert_int_equal(run(f, &job), -EINVAL);
	assert_int_equal(f->block->stats.nr[BLOCK_WRITE], 0);
	assert_int_equal(f->block->stats.nr_failed, 10);
	assert_int_equal(move(f, BLOCK_READ, 0, data, 512), 0);
	for (unsigned int i = 0; i < 512; i++)
		assert_int_equal(data[i], 0);
}

static void zeroes_and_discards_clear_what_they_name_and_no_more(void **state)
{
	struct fixture *f = *state;
	static uint8_t data[KIB(64)];

	for (unsigned int unmap = 0; unmap < 2; unmap++) {
		struct job job = make(f, BLOCK_WRITE_ZEROES, 512, NULL, KIB(32));

		fill(data, sizeof(data), 3);
		assert_int_equal(move(f, BLOCK_WRITE, 0, data, sizeof(data)), 0);
		job.req.flags = unmap ? BLOCK_UNMAP : 0;
		assert_int_equal(run(f, &job), 0);
		memset(data + 512, 0, KIB(32));
		{
			static uint8_t in[KIB(64)];

			assert_int_equal(move(f, BLOCK_READ, 0, in, sizeof(in)), 0);
			assert_memory_equal(in, data, sizeof(in));
			assert_int_equal(move(f, BLOCK_DISCARD, 0, NULL, 4096), 0);
			assert_int_equal(move(f, BLOCK_READ, 4096, in, KIB(60)), 0);
			assert_memory_equal(in, data + 4096, KIB(60));
		}
	}
}

static void done_is_never_called_from_submit_and_once_for_each(void **state)
{
	struct fixture *f = *state;
	static uint8_t data[64][512] __attribute__((aligned(4096)));
	static struct job jobs[64];

	for (unsigned int i = 0; i < 64; i++) {
		jobs[i] = make(f, BLOCK_WRITE, i * 512, data[i], 512);
		submit(f, &jobs[i]);
	}
	assert_int_equal(f->nr_done, 0);
	block_kick(f->queue);
	block_drain(f->queue);
	assert_int_equal(f->nr_done, 64);
	assert_true(f->nr_batches >= 1 && f->nr_batches <= 64);
	for (unsigned int i = 0; i < 64; i++) {
		assert_int_equal(jobs[i].nr_done, 1);
		assert_int_equal(jobs[i].status, 0);
	}
}

static void a_request_may_be_submitted_again_from_its_own_end(void **state)
{
	struct fixture *f = *state;
	static uint8_t data[512] __attribute__((aligned(512)));
	struct job job = make(f, BLOCK_WRITE, 0, data, 512);

	/* Deep enough to overflow a stack, were it recursive. */
	job.again = 20000;
	submit(f, &job);
	block_drain(f->queue);
	assert_int_equal(job.nr_done, 20001);
}

static void what_was_not_kicked_is_cancelled_without_a_trace(void **state)
{
	struct fixture *f = *state;
	static uint8_t data[512];
	struct job a = make(f, BLOCK_WRITE, 0, data, 512), b = a, c = a;

	memset(data, 1, sizeof(data));
	submit(f, &a);
	submit(f, &b);
	submit(f, &c);
	block_cancel(f->queue, &c.req);
	block_cancel(f->queue, &a.req);
	assert_int_equal(a.status, -ECANCELED);
	assert_int_equal(c.status, -ECANCELED);
	assert_int_equal(b.nr_done, 0);
	block_drain(f->queue);
	assert_int_equal(b.status, 0);
	assert_int_equal(f->block->stats.nr[BLOCK_WRITE], 1);
}

static void cancelling_what_is_in_flight_ends_each_once(void **state)
{
	struct fixture *f = *state;
	static uint8_t data[256][4096] __attribute__((aligned(4096)));
	static struct job jobs[256];
	unsigned int cancelled = 0;

	for (unsigned int i = 0; i < 256; i++) {
		jobs[i] = make(f, BLOCK_WRITE, i * 4096, data[i], 4096);
		submit(f, &jobs[i]);
	}
	block_kick(f->queue);
	for (unsigned int i = 256; i--;)
		if (!jobs[i].nr_done)
			block_cancel(f->queue, &jobs[i].req);
	block_drain(f->queue);
	for (unsigned int i = 0; i < 256; i++) {
		assert_int_equal(jobs[i].nr_done, 1);
		assert_true(!jobs[i].status || jobs[i].status == -ECANCELED);
		cancelled += jobs[i].status != 0;
	}
	assert_int_equal(f->block->stats.nr[BLOCK_WRITE], 256 - cancelled);
}

static void stop_loop(struct block_request *req, int status)
{
	struct job *job = (struct job *)(void *)req;

	job->status = status;
	loop_stop(job->f->loop, 0);
}

static void the_loop_delivers_what_the_host_finishes_later(void **state)
{
	struct fixture *f = *state;
	static uint8_t data[512] __attribute__((aligned(512)));
	struct job job = make(f, BLOCK_WRITE, 0, data, 512);

	job.req.done = stop_loop;
	submit(f, &job);
	block_kick(f->queue);
	if (job.status == 1)
		assert_int_equal(loop_run(f->loop), 0);
	assert_int_equal(job.status, 0);
	assert_int_equal(f->nr_batches, 1);
}

static void a_disk_has_one_user_at_a_time(void **state)
{
	struct fixture *f = *state;
	struct diag diag = DIAG_INIT;

	assert_int_equal(block_claim(f->block, "nvme0", &diag), 0);
	assert_int_equal(block_claim(f->block, "virtio0", &diag), -EBUSY);
	assert_non_null(strstr(diag.reason, "nvme0"));
	block_release(f->block);
	assert_int_equal(block_claim(f->block, "virtio0", NULL), 0);
	block_release(f->block);
}

/* ---- files ---- */

static void short_reads_and_writes_are_gone_on_with(void **state)
{
	struct fixture *f = *state;
	static uint8_t out[8192] __attribute__((aligned(4096)));
	static uint8_t in[8192] __attribute__((aligned(4096)));

	fill(out, sizeof(out), 9);
	f->host.short_moves = 5;
	assert_int_equal(move(f, BLOCK_WRITE, 0, out, sizeof(out)), 0);
	f->host.short_moves = 7;
	assert_int_equal(move(f, BLOCK_READ, 0, in, sizeof(in)), 0);
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(f->host.short_moves, 0);
}

static void fua_is_durable_and_a_flush_reaches_the_host(void **state)
{
	struct fixture *f = *state;
	static uint8_t data[512] __attribute__((aligned(512)));
	struct job job = make(f, BLOCK_WRITE, 0, data, 512);

	assert_int_equal(move(f, BLOCK_WRITE, 0, data, 512), 0);
	assert_int_equal(f->host.nr_durable, 0);
	job.req.flags = BLOCK_FUA;
	assert_int_equal(run(f, &job), 0);
	assert_int_equal(f->host.nr_durable, 1);
	job = make(f, BLOCK_WRITE_ZEROES, 0, NULL, 512);
	job.req.flags = BLOCK_FUA;
	assert_int_equal(run(f, &job), 0);
	assert_int_equal(f->host.nr_sync, 1);
	f->host.fail_sync = -EIO;
	assert_int_equal(move(f, BLOCK_FLUSH, 0, NULL, 0), -EIO);
	assert_int_equal(f->host.nr_sync, 2);
}

static void the_hosts_errors_are_the_requests_own(void **state)
{
	struct fixture *f = *state;
	static uint8_t data[512] __attribute__((aligned(512)));

	f->host.fail_write = -ENOSPC;
	assert_int_equal(move(f, BLOCK_WRITE, 0, data, 512), -ENOSPC);
	f->host.fail_write = 0;
	assert_int_equal(move(f, BLOCK_WRITE, 0, data, 512), 0);
	/* Cut short behind our back. */
	f->host.end_of_file = true;
	assert_int_equal(move(f, BLOCK_READ, 0, data, 512), -EIO);
}

static void zeroes_are_written_where_the_host_has_nothing_faster(void **state)
{
	struct fixture *f = *state;

	f->host.no_allocate = true;
	zeroes_and_discards_clear_what_they_name_and_no_more(state);
	/* Asked once for each way, then never again. */
	assert_int_equal(f->host.nr_allocate, 2);
}

static void unmapping_is_only_for_who_allows_it(void **state)
{
	struct fixture *f = *state;
	struct job job = make(f, BLOCK_WRITE_ZEROES, 0, NULL, 4096);

	assert_int_equal(run(f, &job), 0);
	assert_true(f->host.last_mode & FALLOC_FL_ZERO_RANGE);
	job = make(f, BLOCK_WRITE_ZEROES, 0, NULL, 4096);
	job.req.flags = BLOCK_UNMAP;
	assert_int_equal(run(f, &job), 0);
	assert_true(f->host.last_mode & FALLOC_FL_PUNCH_HOLE);
}

static void discards_stay_here_unless_asked_for(void **state)
{
	struct fixture *f = *state;
	struct diag diag = DIAG_INIT;

	assert_int_equal(file_open(f, (struct block_file_config){ 0 }, &diag), 0);
	fixture_queue(f);
	assert_int_equal(f->block->limits.discard_granularity, 0);
	assert_int_equal(move(f, BLOCK_DISCARD, 0, NULL, 4096), 0);
	assert_int_equal(f->host.nr_allocate, 0);
}

static void an_image_has_one_writer_or_any_number_of_readers(void **state)
{
	struct fixture *f = *state;
	struct block_file_config config = { .name = "d1", .path = f->path };
	struct diag diag = DIAG_INIT;
	struct block *other;

	assert_int_equal(file_open(f, (struct block_file_config){ 0 }, &diag), 0);
	assert_int_equal(block_file_create(&f->host.sys, &config, &other, &diag), -EBUSY);
	assert_non_null(strstr(diag.reason, "in use"));
	config.readonly = true;
	assert_int_equal(block_file_create(&f->host.sys, &config, &other, &diag), -EBUSY);
	block_destroy(f->block);
	assert_int_equal(file_open(f, (struct block_file_config){ .readonly = true }, NULL), 0);
	assert_int_equal(block_file_create(&f->host.sys, &config, &other, NULL), 0);
	block_destroy(other);
	config.readonly = false;
	assert_int_equal(block_file_create(&f->host.sys, &config, &other, &diag), -EBUSY);
}

static void a_read_only_disk_cannot_be_changed(void **state)
{
	struct fixture *f = *state;
	struct diag diag = DIAG_INIT;
	static uint8_t data[512] __attribute__((aligned(512)));

	assert_int_equal(file_open(f, (struct block_file_config){ .readonly = true }, &diag), 0);
	fixture_queue(f);
	assert_int_equal(move(f, BLOCK_WRITE, 0, data, 512), -EROFS);
	assert_int_equal(move(f, BLOCK_WRITE_ZEROES, 0, NULL, 512), -EROFS);
	assert_int_equal(move(f, BLOCK_DISCARD, 0, NULL, 512), -EROFS);
	assert_int_equal(move(f, BLOCK_READ, 0, data, 512), 0);
}

static int refused(struct fixture *f, struct block_file_config config, struct diag *diag)
{
	int err;

	diag_clear(diag);
	err = file_open(f, config, diag);
	assert_null(f->block);
	assert_int_equal(diag->err, err);
	assert_string_equal(diag->object, f->path);
	return err;
}

static void images_that_cannot_be_disks_are_refused_with_a_remedy(void **state)
{
	struct fixture *f = *state;
	struct block_file_config config = { 0 };
	struct diag diag = DIAG_INIT;
	char path[64];

	assert_int_equal(truncate(f->path, (off_t)SIZE + 100), 0);
	assert_int_equal(refused(f, config, &diag), -EINVAL);
	assert_non_null(strstr(diag.remedy, "truncate"));
	assert_int_equal(truncate(f->path, (off_t)SIZE + 512), 0);
	config.block_size = 4096;
	assert_int_equal(refused(f, config, &diag), -EINVAL);
	config.block_size = 1024;
	assert_int_equal(refused(f, config, &diag), -EINVAL);
	config.block_size = 0;
	assert_int_equal(truncate(f->path, 0), 0);
	assert_int_equal(refused(f, config, &diag), -EINVAL);
	assert_non_null(strstr(diag.reason, "empty"));
	strcpy(path, f->path);
	strcpy(f->path, "/dev/null");
	assert_int_equal(refused(f, config, &diag), -EINVAL);
	strcpy(f->path, "/var/tmp/airlock-not-there");
	assert_int_equal(refused(f, config, &diag), -ENOENT);
	assert_non_null(strstr(diag.remedy, "truncate -s"));
	strcpy(f->path, "/var/tmp");
	assert_true(refused(f, config, &diag) < 0);
	strcpy(f->path, path);
}

static void direct_is_left_where_the_host_cannot_and_refused_where_it_must(void **state)
{
	struct fixture *f = *state;
	struct diag diag = DIAG_INIT;
	static uint8_t data[512];

	f->host.no_direct = true;
	assert_int_equal(refused(f, (struct block_file_config){ .direct = BLOCK_DIRECT_ON }, &diag),
			 -EINVAL);
	assert_int_equal(file_open(f, (struct block_file_config){ 0 }, &diag), 0);
	assert_int_equal(f->block->limits.mem_align, 1);
	assert_non_null(strstr(f->block->what, "page cache"));
	fixture_queue(f);
	assert_int_equal(move(f, BLOCK_WRITE, 0, data, 512), 0);
	assert_int_equal(f->block->stats.nr_bounced, 0);
}

static ssize_t say_disabled(struct sys *sys, enum sys_tree tree, const char *path, void *buf,
			    size_t size)
{
	assert_string_equal(path, "sys/kernel/io_uring_disabled");
	strcpy(buf, "2\n");
	return 2;
}

static void where_io_uring_is_refused_threads_do_the_work(void **state)
{
	struct fixture *f = *state;
	struct diag diag = DIAG_INIT;

	f->host.ops.read_file = say_disabled;
	assert_int_equal(refused(f, (struct block_file_config){ .engine = BLOCK_ENGINE_URING },
				 &diag) < 0,
			 1);
	assert_non_null(strstr(diag.remedy, "engine=uring"));
	assert_int_equal(file_open(f, (struct block_file_config){ .discard = true }, &diag), 0);
	assert_non_null(strstr(f->block->what, "threads"));
	fixture_queue(f);
	what_was_written_is_read_back(state);
}

/* More than the ring has room for, pieces of all sizes, all at once. */
static void a_flood_of_requests_all_end_well(void **state)
{
	struct fixture *f = *state;
	static uint8_t data[1500][1024] __attribute__((aligned(4096)));
	static struct job jobs[1500];
	static uint8_t in[1024];

	for (unsigned int i = 0; i < 1500; i++) {
		memset(data[i], (int)(i * 7), 1024);
		jobs[i] = make(f, BLOCK_WRITE, i * 1024, data[i], 1024);
		jobs[i].iov[0].iov_len = i % 3 ? 512 : 500;
		jobs[i].iov[1] = (struct iovec){ data[i] + jobs[i].iov[0].iov_len,
						 1024 - jobs[i].iov[0].iov_len };
		jobs[i].req.nr_iov = 2;
		jobs[i].req.flags = i % 5 ? 0 : BLOCK_FUA;
		submit(f, &jobs[i]);
	}
	block_drain(f->queue);
	for (unsigned int i = 0; i < 1500; i++) {
		assert_int_equal(jobs[i].nr_done, 1);
		assert_int_equal(jobs[i].status, 0);
		assert_int_equal(move(f, BLOCK_READ, i * 1024, in, 1024), 0);
		assert_memory_equal(in, data[i], 1024);
	}
}

/* Not a hole in which a read finds zeroes: the host's answer is the request's. */
static void a_file_cut_short_under_the_guest_is_an_error(void **state)
{
	struct fixture *f = *state;
	static uint8_t data[4096] __attribute__((aligned(4096)));

	assert_int_equal(truncate(f->path, 4096), 0);
	assert_int_equal(move(f, BLOCK_READ, 0, data, 4096), 0);
	assert_int_equal(move(f, BLOCK_READ, 4096, data, 4096), -EIO);
	assert_int_equal(move(f, BLOCK_READ, 2048, data, 4096), -EIO);
}

#define EVERY(test, setup)                                         \
	{                                                          \
#test " (" #setup ")", test, setup, teardown, NULL \
	}
#define BACK_END(setup)                                                               \
	EVERY(what_was_written_is_read_back, setup),                                  \
		EVERY(pieces_at_any_address_make_up_one_transfer, setup),             \
		EVERY(requests_that_do_not_fit_are_refused_and_touch_nothing, setup), \
		EVERY(zeroes_and_discards_clear_what_they_name_and_no_more, setup),   \
		EVERY(done_is_never_called_from_submit_and_once_for_each, setup),     \
		EVERY(a_request_may_be_submitted_again_from_its_own_end, setup),      \
		EVERY(what_was_not_kicked_is_cancelled_without_a_trace, setup),       \
		EVERY(cancelling_what_is_in_flight_ends_each_once, setup),            \
		EVERY(the_loop_delivers_what_the_host_finishes_later, setup),         \
		EVERY(a_disk_has_one_user_at_a_time, setup)
#define FILES(setup)                                                                \
	BACK_END(setup), EVERY(short_reads_and_writes_are_gone_on_with, setup),     \
		EVERY(fua_is_durable_and_a_flush_reaches_the_host, setup),          \
		EVERY(the_hosts_errors_are_the_requests_own, setup),                \
		EVERY(zeroes_are_written_where_the_host_has_nothing_faster, setup), \
		EVERY(unmapping_is_only_for_who_allows_it, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BACK_END(setup_ram),
		BACK_END(setup_uring),
		EVERY(a_flood_of_requests_all_end_well, setup_uring),
		EVERY(a_file_cut_short_under_the_guest_is_an_error, setup_uring),
		EVERY(a_flood_of_requests_all_end_well, setup_threads),
		EVERY(a_file_cut_short_under_the_guest_is_an_error, setup_threads),
		EVERY(where_io_uring_is_refused_threads_do_the_work, setup_path),
		FILES(setup_threads),
		FILES(setup_cached),
		EVERY(discards_stay_here_unless_asked_for, setup_path),
		EVERY(an_image_has_one_writer_or_any_number_of_readers, setup_path),
		EVERY(a_read_only_disk_cannot_be_changed, setup_path),
		EVERY(images_that_cannot_be_disks_are_refused_with_a_remedy, setup_path),
		EVERY(direct_is_left_where_the_host_cannot_and_refused_where_it_must, setup_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
