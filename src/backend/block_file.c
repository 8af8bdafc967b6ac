// SPDX-License-Identifier: GPL-2.0-or-later
/* Images on the host: opening, locking, limits, and what one request does to one. */
#include "backend/block_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bits.h"
#include "base/log.h"

#define FILE_IOVS 64

static int file_refuse_open(const struct block_file_config *config, int err, struct diag *diag)
{
	diag_set(diag, err, config->path, "cannot be opened%s: %s",
		 config->readonly ? "" : " for writing", strerror(-err));
	switch (err) {
	case -ENOENT:
		return diag_remedy(diag, err, "make one: truncate -s 10G %s", config->path);
	case -EACCES:
	case -EPERM:
	case -EROFS:
		return config->readonly ? err
					: diag_remedy(diag, err,
						      "take the right to write to it, or "
						      "give the drive readonly=on");
	case -EBUSY:
		return diag_remedy(diag, err,
				   "the host uses it: unmount it, or take it out of its "
				   "volume group or array");
	}
	return err;
}

static int file_lock(struct block_file *file, const char *path, struct diag *diag)
{
	bool exclusive = !file->block.readonly;
	int err = file->sys->ops->lock_image(file->sys, file->fd, exclusive);

	if (!err)
		return 0;
	/* A kernel without file locks (CONFIG_FILE_LOCKING) says this and nothing else. */
	if (err == -EACCES) {
		log_warning(path,
			    "cannot be locked, this kernel has no file locks: that nobody else "
			    "uses it is up to you");
		return 0;
	}
	if (err != -EAGAIN)
		return diag_set(diag, err, path, "cannot be locked: %s", strerror(-err));
	diag_set(diag, -EBUSY, path, "is in use: another program %s",
		 exclusive ? "has it open as a disk" : "writes to it");
	return diag_remedy(diag, -EBUSY,
			   "end that program, or give every user of the image readonly=on");
}

static int file_measure(struct block_file *file, const struct block_file_config *config,
			struct diag *diag)
{
	struct block_limits *limits = &file->block.limits;
	struct sys_image image;
	uint32_t size = config->block_size;
	int err = file->sys->ops->image(file->sys, file->fd, &image);

	if (err == -EINVAL)
		return diag_set(diag, err, config->path,
				"is neither a regular file nor a block device");
	if (err)
		return diag_set(diag, err, config->path, "cannot be measured: %s", strerror(-err));
	if (!size)
		size = image.block_size > 512 ? 4096 : 512;
	if (size != 512 && size != 4096)
		return diag_set(diag, -EINVAL, config->path,
				"block-size=%u is neither 512 nor 4096", size);
	if (image.block_size > size)
		return diag_set(diag, -EINVAL, config->path,
				"has blocks of %u bytes; a drive's of %u do not fit",
				image.block_size, size);
	if (!image.size)
		return diag_set(diag, -EINVAL, config->path, "is empty");
	if (image.size & (size - 1)) {
		diag_set(diag, -EINVAL, config->path,
			 "its size of %llu bytes is not a multiple of %u",
			 (unsigned long long)image.size, size);
		return diag_remedy(diag, -EINVAL,
				   "if it was cut short, get it again; to round it up: "
				   "truncate -s %%%u %s",
				   size, config->path);
	}
	file->is_block = image.is_block;
	file->block.size = image.size;
	*limits = (struct block_limits){
		.block_size = size,
		.physical_size = (uint32_t)max_u64(min_u64(image.physical_size, 4096), size),
		.mem_align = 1,
		.max_transfer = MIB(1) * 16,
		.max_iov = 1024,
		.discard_granularity = config->discard ? size : 0,
		.max_discard = GIB(1),
		.volatile_cache = true,
		.fast_zeroes = true,
	};
	return 0;
}

/* Whether the host takes blocks of this size directly: only trying tells. */
static int file_try_direct(struct block_file *file)
{
	uint32_t size = file->block.limits.block_size;
	struct iovec iov = { .iov_len = size };
	ssize_t n;
	int err = file->sys->ops->set_direct(file->sys, file->fd, true);

	if (err)
		return err;
	iov.iov_base = aligned_alloc(4096, align_up(size, 4096));
	if (!iov.iov_base)
		return -ENOMEM;
	/* At an odd block: at 0 any file system would do. */
	n = file->sys->ops->preadv(file->sys, file->fd, &iov, 1,
				   file->block.size > size ? size : 0);
	free(iov.iov_base);
	if (n != (ssize_t)size) {
		file->sys->ops->set_direct(file->sys, file->fd, false);
		return n < 0 ? (int)n : -EIO;
	}
	return 0;
}

static int file_set_direct(struct block_file *file, const struct block_file_config *config,
			   struct diag *diag)
{
	int err;

	if (config->direct == BLOCK_DIRECT_OFF)
		return file->sys->ops->set_direct(file->sys, file->fd, false);
	err = file_try_direct(file);
	if (!err) {
		file->direct = true;
		file->block.limits.mem_align =
			(uint32_t)max_u64(512, file->block.limits.block_size);
		return 0;
	}
	if (config->direct == BLOCK_DIRECT_ON) {
		diag_set(diag, err, config->path, "cannot be read past the page cache: %s",
			 strerror(-err));
		return diag_remedy(diag, err, "try block-size=4096, or leave out direct=on");
	}
	log_info(file->block.name, "%s goes through the host's page cache: direct I/O: %s",
		 config->path, strerror(-err));
	return file->sys->ops->set_direct(file->sys, file->fd, false);
}

static int file_pick_engine(struct block_file *file, const struct block_file_config *config,
			    struct diag *diag)
{
	const struct block_ops *ops;
	int err;

	if (config->engine == BLOCK_ENGINE_THREADS)
		return 0;
	ops = block_uring_probe(file->sys, &err);
	if (ops) {
		file->block.ops = ops;
		return 0;
	}
	if (config->engine == BLOCK_ENGINE_URING) {
		diag_set(diag, err, config->path, "this kernel or build has no io_uring for us: %s",
			 strerror(-err));
		return diag_remedy(
			diag, err,
			"leave out engine=uring; /proc/sys/kernel/io_uring_disabled says "
			"whether it is switched off");
	}
	log_info(file->block.name, "%s is served by threads: io_uring: %s", config->path,
		 strerror(-err));
	return 0;
}

void block_file_destroy(struct block *block)
{
	struct block_file *file = block_file_of(block);

	sys_close(file->sys, &file->fd);
	if (file->zeroes)
		munmap(file->zeroes, BLOCK_FILE_ZEROES);
	free(file);
}

int block_file_create(struct sys *sys, const struct block_file_config *config, struct block **out,
		      struct diag *diag)
{
	struct block_file *file = calloc(1, sizeof(*file));
	int err;

	if (!file)
		return diag_set(diag, -ENOMEM, config->name, "out of memory");
	block_init(&file->block, &block_threads_ops, config->name);
	file->sys = sys;
	file->block.readonly = config->readonly;
	file->discard = config->discard && !config->readonly;
	file->nr_threads = config->threads;
	file->fd = sys_open(sys, config->readonly ? SYS_IMAGE_READ : SYS_IMAGE_WRITE, config->path);
	if (file->fd < 0) {
		err = file_refuse_open(config, file->fd, diag);
		goto err;
	}
	/* Before it is read: its size may be changing under another user. */
	err = file_lock(file, config->path, diag);
	if (!err)
		err = file_measure(file, config, diag);
	if (!err)
		err = file_set_direct(file, config, diag);
	if (!err)
		err = file_pick_engine(file, config, diag);
	if (err)
		goto err;
	file->zeroes = mmap(NULL, BLOCK_FILE_ZEROES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (file->zeroes == MAP_FAILED) {
		file->zeroes = NULL;
		err = diag_set(diag, -ENOMEM, config->name, "out of memory");
		goto err;
	}
	snprintf(file->block.what, sizeof(file->block.what), "%s, %llu MiB, %s, %s%s",
		 file->is_block ? "block device" : "file",
		 (unsigned long long)(file->block.size >> 20),
		 file->direct ? "direct" : "page cache",
		 file->block.ops == &block_threads_ops ? "threads" : "io_uring",
		 config->readonly ? ", read-only" : "");
	*out = &file->block;
	return 0;

err:
	block_file_destroy(&file->block);
	return err;
}

/* ---- one request ---- */

/* The pieces that follow the first `skip` bytes, as many as fit. */
static unsigned int file_iov_rest(const struct block_request *req, uint64_t skip, struct iovec *out,
				  unsigned int max)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < req->nr_iov && nr < max; i++) {
		struct iovec iov = req->iov[i];

		if (skip >= iov.iov_len) {
			skip -= iov.iov_len;
			continue;
		}
		out[nr++] = (struct iovec){ (uint8_t *)iov.iov_base + skip, iov.iov_len - skip };
		skip = 0;
	}
	return nr;
}

static int file_move(struct block_file *file, struct block_request *req)
{
	struct sys *sys = file->sys;
	struct iovec iov[FILE_IOVS];

	while (req->progress < req->len) {
		unsigned int nr = file_iov_rest(req, req->progress, iov, FILE_IOVS);
		uint64_t at = req->offset + req->progress;
		ssize_t n;

		if (req->op == BLOCK_READ)
			n = sys->ops->preadv(sys, file->fd, iov, nr, at);
		else
			n = sys->ops->pwritev(sys, file->fd, iov, nr, at, req->flags & BLOCK_FUA);
		if (n < 0)
			return (int)n;
		/* Past the end of a file that was cut short under us. */
		if (!n)
			return -EIO;
		req->progress += (uint64_t)n;
	}
	return 0;
}

/* Through an aligned buffer, where the guest's memory is not as direct I/O wants it. */
static int file_move_bounced(struct block_file *file, struct block_request *req)
{
	struct iovec iov = { .iov_base = aligned_alloc(4096, align_up(req->len, 4096)),
			     .iov_len = req->len };
	struct block_request bounced = *req;
	int err;

	if (!iov.iov_base)
		return -ENOMEM;
	bounced.iov = &iov;
	bounced.nr_iov = 1;
	if (req->op == BLOCK_WRITE)
		block_gather(req, 0, iov.iov_base, req->len);
	err = file_move(file, &bounced);
	if (!err && req->op == BLOCK_READ)
		block_scatter(req, 0, iov.iov_base, req->len);
	free(iov.iov_base);
	atomic_fetch_add_explicit(&file->block.stats.nr_bounced, 1, memory_order_relaxed);
	return err;
}

static int file_write_zeroes(struct block_file *file, struct block_request *req)
{
	struct sys *sys = file->sys;

	for (uint64_t done = 0; done < req->len;) {
		struct iovec iov = { file->zeroes, min_u64(BLOCK_FILE_ZEROES, req->len - done) };
		ssize_t n = sys->ops->pwritev(sys, file->fd, &iov, 1, req->offset + done, false);

		if (n <= 0)
			return n ? (int)n : -EIO;
		done += (uint64_t)n;
	}
	return 0;
}

int block_file_mode(const struct block_file *file, const struct block_request *req)
{
	if (req->op == BLOCK_DISCARD)
		return file->discard && !atomic_load_explicit(&file->no_discard,
							      memory_order_relaxed)
			       ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
			       : 0;
	if (req->flags & BLOCK_UNMAP && file->discard &&
	    !atomic_load_explicit(&file->no_punch, memory_order_relaxed))
		return FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	if (!atomic_load_explicit(&file->no_zero_range, memory_order_relaxed))
		return FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
	return 0;
}

void block_file_mode_refused(struct block_file *file, int mode)
{
	if (mode & FALLOC_FL_ZERO_RANGE) {
		atomic_store_explicit(&file->no_zero_range, true, memory_order_relaxed);
		return;
	}
	atomic_store_explicit(&file->no_discard, true, memory_order_relaxed);
	atomic_store_explicit(&file->no_punch, true, memory_order_relaxed);
}

static int file_clear(struct block_file *file, struct block_request *req)
{
	struct sys *sys = file->sys;
	int mode, err;

	while ((mode = block_file_mode(file, req))) {
		err = sys->ops->allocate(sys, file->fd, mode, req->offset, req->len);
		if (err != -EOPNOTSUPP && err != -ENOSYS && err != -ENODEV)
			break;
		block_file_mode_refused(file, mode);
	}
	if (!mode) /* A discard is advice: nobody to give it to is fine. */
		err = req->op == BLOCK_DISCARD ? 0 : file_write_zeroes(file, req);
	if (!err && req->flags & BLOCK_FUA)
		err = sys->ops->sync(sys, file->fd);
	return err;
}

int block_file_run(struct block_file *file, struct block_request *req)
{
	switch (req->op) {
	case BLOCK_READ:
	case BLOCK_WRITE:
		if (block_is_aligned(req, file->block.limits.mem_align))
			return file_move(file, req);
		return file_move_bounced(file, req);
	case BLOCK_FLUSH:
		return file->sys->ops->sync(file->sys, file->fd);
	case BLOCK_DISCARD:
	case BLOCK_WRITE_ZEROES:
		return file_clear(file, req);
	}
	return -EINVAL;
}
