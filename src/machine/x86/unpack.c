// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/x86/unpack.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/endian.h"
#include "sys/library.h"

#ifdef AIRLOCK_GZIP
#include <zlib.h>
#endif
#ifdef AIRLOCK_XZ
#include <lzma.h>
#endif
#ifdef AIRLOCK_ZSTD
#include <zstd.h>
#endif
#ifdef AIRLOCK_LZ4
#include <lz4.h>
#endif

#define IN_SIZE KIB(256)

/* What xz may allocate: Linux compresses with dictionaries of up to 128 MiB. */
#define XZ_MEMORY_MAX	MIB(256)
#define ZSTD_WINDOW_LOG 27

/* Legacy lz4 frame: blocks of 8 MiB, each packed on its own behind its packed size. */
#define LZ4_MAGIC_SIZE	4
#define LZ4_THREADS_MAX 3 /* besides the caller's own */
#define LZ4_BLOCK	MIB(8)

struct unpack {
	const struct boot_file *file;
	uint64_t at, end; /* input not read yet */
	uint64_t out, out_size;
	struct unpack_sink *sink;
	size_t first; /* length of the sink's first place */
	uint8_t *in;  /* IN_SIZE bytes */
	uint8_t *spill;
	void *library; /* the format's, loaded for this run */
	const char *why;
};

/* Loads the format's library: 0, or -EOPNOTSUPP with u->why. */
__attribute__((unused)) static int unpack_library(struct unpack *u, const char *soname,
						  const char *absent,
						  const struct sys_symbol *symbols, size_t nr)
{
	u->library = sys_library_open(soname, symbols, nr);
	if (u->library)
		return 0;
	u->why = absent;
	return -EOPNOTSUPP;
}

#define UNPACK_LIBRARY(u, soname, symbols)                                              \
	unpack_library(u, soname, "its library, " soname ", is not installed", symbols, \
		       ARRAY_SIZE(symbols))
/* A function of a library, by a pointer of the same name. */
#define UNPACK_FUNCTION(name) __typeof__(name) *name##_fn
#define UNPACK_SYMBOL(name)       \
	{                         \
#name, &name##_fn \
	}

static int unpack_damaged(struct unpack *u)
{
	u->why = "its compressed part is damaged";
	return -EBADMSG;
}

static int unpack_read(struct unpack *u, void *buf, size_t len)
{
	int err = boot_file_read(u->file, u->at, buf, len, NULL);

	if (err) {
		u->why = "its compressed part cannot be read";
		return err;
	}
	u->at += len;
	return 0;
}

/* The next piece of input; *len is 0 at its end. */
__attribute__((unused)) static int unpack_refill(struct unpack *u, size_t *len)
{
	*len = min_u64(IN_SIZE, u->end - u->at);
	return unpack_read(u, u->in, *len);
}

/* Room for output. Past the last byte there is room for one, which must not come. */
__attribute__((unused)) static void *unpack_room(struct unpack *u, size_t *room)
{
	void *to;

	if (u->out == u->out_size) {
		*room = 1;
		return u->spill;
	}
	if (u->out < u->first) {
		to = u->sink->place(u->sink, 0, room);
		*room -= u->out;
		return (uint8_t *)to + u->out;
	}
	to = u->sink->place(u->sink, u->out, room);
	*room = min_u64(*room, u->out_size - u->out);
	if (to)
		return to;
	*room = min_u64(*room, IN_SIZE);
	return u->spill;
}

/* len bytes are where unpack_room said. */
__attribute__((unused)) static int unpack_advance(struct unpack *u, size_t len)
{
	bool in_first = u->out < u->first;
	int err;

	if (len > u->out_size - u->out)
		return unpack_damaged(u);
	u->out += len;
	if (!in_first || u->out < u->first)
		return 0;
	err = u->sink->begun(u->sink);
	if (err)
		u->why = "what comes out of its compressed part is not usable";
	return err;
}

#ifdef AIRLOCK_GZIP
static int unpack_gzip(struct unpack *u)
{
	UNPACK_FUNCTION(inflateInit2_);
	UNPACK_FUNCTION(inflate);
	UNPACK_FUNCTION(inflateEnd);
	const struct sys_symbol symbols[] = {
		UNPACK_SYMBOL(inflateInit2_),
		UNPACK_SYMBOL(inflate),
		UNPACK_SYMBOL(inflateEnd),
	};
	z_stream z = { 0 };
	int r = Z_OK, err = UNPACK_LIBRARY(u, "libz.so.1", symbols);

	if (err)
		return err;
	if (inflateInit2__fn(&z, MAX_WBITS + 16, ZLIB_VERSION, sizeof(z)) != Z_OK)
		return -ENOMEM;
	while (r != Z_STREAM_END) {
		size_t len, room;

		if (!z.avail_in) {
			err = unpack_refill(u, &len);
			if (err)
				break;
			z.next_in = u->in;
			z.avail_in = (uInt)len;
		}
		z.next_out = unpack_room(u, &room);
		room = min_u64(room, GIB(1));
		z.avail_out = (uInt)room;
		r = inflate_fn(&z, Z_NO_FLUSH);
		if (r != Z_OK && r != Z_STREAM_END) {
			err = r == Z_MEM_ERROR ? -ENOMEM : unpack_damaged(u);
			break;
		}
		err = unpack_advance(u, room - z.avail_out);
		if (err)
			break;
	}
	inflateEnd_fn(&z);
	return err;
}
#else
#define unpack_gzip NULL
#endif

#ifdef AIRLOCK_XZ
static int unpack_xz(struct unpack *u)
{
	UNPACK_FUNCTION(lzma_stream_decoder);
	UNPACK_FUNCTION(lzma_code);
	UNPACK_FUNCTION(lzma_end);
	const struct sys_symbol symbols[] = {
		UNPACK_SYMBOL(lzma_stream_decoder),
		UNPACK_SYMBOL(lzma_code),
		UNPACK_SYMBOL(lzma_end),
	};
	lzma_stream s = LZMA_STREAM_INIT;
	lzma_ret r = LZMA_OK;
	int err = UNPACK_LIBRARY(u, "liblzma.so.5", symbols);

	if (err)
		return err;
	if (lzma_stream_decoder_fn(&s, XZ_MEMORY_MAX, 0) != LZMA_OK)
		return -ENOMEM;
	while (r != LZMA_STREAM_END) {
		size_t len, room;

		if (!s.avail_in) {
			err = unpack_refill(u, &len);
			if (err)
				break;
			s.next_in = u->in;
			s.avail_in = len;
		}
		s.next_out = unpack_room(u, &room);
		s.avail_out = room;
		r = lzma_code_fn(&s, LZMA_RUN);
		if (r != LZMA_OK && r != LZMA_STREAM_END) {
			err = r == LZMA_MEM_ERROR ? -ENOMEM : unpack_damaged(u);
			break;
		}
		err = unpack_advance(u, room - s.avail_out);
		if (err)
			break;
	}
	lzma_end_fn(&s);
	return err;
}
#else
#define unpack_xz NULL
#endif

#ifdef AIRLOCK_ZSTD
static int unpack_zstd(struct unpack *u)
{
	UNPACK_FUNCTION(ZSTD_createDStream);
	UNPACK_FUNCTION(ZSTD_DCtx_setParameter);
	UNPACK_FUNCTION(ZSTD_decompressStream);
	UNPACK_FUNCTION(ZSTD_isError);
	UNPACK_FUNCTION(ZSTD_freeDStream);
	const struct sys_symbol symbols[] = {
		UNPACK_SYMBOL(ZSTD_createDStream),    UNPACK_SYMBOL(ZSTD_DCtx_setParameter),
		UNPACK_SYMBOL(ZSTD_decompressStream), UNPACK_SYMBOL(ZSTD_isError),
		UNPACK_SYMBOL(ZSTD_freeDStream),
	};
	ZSTD_inBuffer in = { 0 };
	ZSTD_DStream *s;
	size_t r = 1;
	int err = UNPACK_LIBRARY(u, "libzstd.so.1", symbols);

	if (err)
		return err;
	s = ZSTD_createDStream_fn();
	if (!s)
		return -ENOMEM;
	ZSTD_DCtx_setParameter_fn(s, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG);
	while (r) {
		ZSTD_outBuffer out = { 0 };
		size_t len = 1;

		if (in.pos == in.size) {
			err = unpack_refill(u, &len);
			if (err)
				break;
			in = (ZSTD_inBuffer){ .src = u->in, .size = len };
		}
		out.dst = unpack_room(u, &out.size);
		r = ZSTD_decompressStream_fn(s, &out, &in);
		/* It may still hold output back when the input is at its end. */
		if (ZSTD_isError_fn(r) || (r && !len && !out.pos)) {
			err = unpack_damaged(u);
			break;
		}
		err = unpack_advance(u, out.pos);
		if (err)
			break;
	}
	ZSTD_freeDStream_fn(s);
	return err;
}
#else
#define unpack_zstd NULL
#endif

#ifdef AIRLOCK_LZ4
struct lz4_block {
	uint64_t in, out; /* offset in the file, offset in what comes out */
	uint32_t in_size, out_size;
};

/* Blocks know nothing of each other, so several threads take them one by one. */
struct lz4_job {
	struct unpack *u;
	UNPACK_FUNCTION(LZ4_decompress_safe);
	UNPACK_FUNCTION(LZ4_decompress_safe_partial);
	struct lz4_block *blocks;
	unsigned int nr;
	atomic_uint next;
	atomic_int err;
	size_t in_max;
};

/* Hands out what was unpacked on the side, but for the sink's first place, which is full. */
static void lz4_hand_out(struct unpack *u, const struct lz4_block *b, const uint8_t *bytes)
{
	uint64_t done = b->out ? 0 : u->first;

	while (done < b->out_size) {
		size_t room;
		void *to = u->sink->place(u->sink, b->out + done, &room);

		room = min_u64(room, b->out_size - done);
		if (to)
			memcpy(to, bytes + done, room);
		done += room;
	}
}

/* Straight to its place where the whole block goes there, else by way of `side`. */
static int lz4_unpack_block(struct lz4_job *job, const struct lz4_block *b, uint8_t *packed,
			    uint8_t *side)
{
	struct unpack *u = job->u;
	uint8_t *to = side;
	size_t room = 0;
	int err;

	err = boot_file_read(u->file, b->in, packed, b->in_size, NULL);
	if (err)
		return err;
	if (b->out)
		to = u->sink->place(u->sink, b->out, &room);
	if (!to || room < b->out_size)
		to = side;
	if (job->LZ4_decompress_safe_fn((const char *)packed, (char *)to, (int)b->in_size,
					(int)b->out_size) != (int)b->out_size)
		return -EBADMSG;
	if (to == side)
		lz4_hand_out(u, b, side);
	return 0;
}

static void *lz4_thread(void *opaque)
{
	struct lz4_job *job = opaque;
	uint8_t *packed = malloc(job->in_max);
	uint8_t *side = malloc(LZ4_BLOCK);
	int err = packed && side ? 0 : -ENOMEM;
	int none = 0;

	while (!err && !atomic_load(&job->err)) {
		unsigned int i = atomic_fetch_add(&job->next, 1);

		if (i >= job->nr)
			break;
		err = lz4_unpack_block(job, &job->blocks[i], packed, side);
	}
	if (err)
		atomic_compare_exchange_strong(&job->err, &none, err);
	free(side);
	free(packed);
	return NULL;
}

/* Walks the sizes in front of the blocks. All but the last become a whole block. */
static int lz4_find_blocks(struct unpack *u, struct lz4_job *job)
{
	size_t in_max = (size_t)LZ4_COMPRESSBOUND((int)LZ4_BLOCK);

	job->blocks = calloc((u->out_size + LZ4_BLOCK - 1) / LZ4_BLOCK, sizeof(*job->blocks));
	if (!job->blocks)
		return -ENOMEM;
	u->at += LZ4_MAGIC_SIZE;
	for (uint64_t out = 0; out < u->out_size; out += LZ4_BLOCK) {
		struct lz4_block *b = &job->blocks[job->nr++];
		uint8_t size_field[4];
		uint64_t len;
		int err;

		if (u->end - u->at < sizeof(size_field))
			return unpack_damaged(u);
		err = unpack_read(u, size_field, sizeof(size_field));
		if (err)
			return err;
		len = le_load(size_field, sizeof(size_field));
		if (!len || len > in_max || len > u->end - u->at)
			return unpack_damaged(u);
		*b = (struct lz4_block){
			.in = u->at,
			.out = out,
			.in_size = (uint32_t)len,
			.out_size = (uint32_t)min_u64(LZ4_BLOCK, u->out_size - out),
		};
		job->in_max = max_u64(job->in_max, len);
		u->at += len;
	}
	return 0;
}

/* The sink's first place before all else: it tells where the rest goes. */
static int lz4_begin(struct lz4_job *job)
{
	const struct lz4_block *b = &job->blocks[0];
	struct unpack *u = job->u;
	uint8_t *packed = malloc(b->in_size);
	size_t room;
	char *to = u->sink->place(u->sink, 0, &room);
	int err = -ENOMEM;

	if (!packed)
		return err;
	err = boot_file_read(u->file, b->in, packed, b->in_size, NULL);
	if (!err && job->LZ4_decompress_safe_partial_fn((const char *)packed, to, (int)b->in_size,
							(int)u->first, (int)room) < (int)u->first)
		err = unpack_damaged(u);
	free(packed);
	return err ? err : unpack_advance(u, u->first);
}

static int unpack_lz4(struct unpack *u)
{
	long nr_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t threads[LZ4_THREADS_MAX];
	struct lz4_job job = { .u = u };
	const struct sys_symbol symbols[] = {
		{ "LZ4_decompress_safe", &job.LZ4_decompress_safe_fn },
		{ "LZ4_decompress_safe_partial", &job.LZ4_decompress_safe_partial_fn },
	};
	unsigned int nr = 0;
	int err = UNPACK_LIBRARY(u, "liblz4.so.1", symbols);

	if (err)
		return err;
	err = lz4_find_blocks(u, &job);
	if (!err)
		err = lz4_begin(&job);
	if (err)
		goto out;
	while (nr < LZ4_THREADS_MAX && nr + 1 < job.nr && nr + 1 < nr_cpus)
		if (pthread_create(&threads[nr], NULL, lz4_thread, &job))
			break;
		else
			nr++;
	lz4_thread(&job);
	while (nr)
		pthread_join(threads[--nr], NULL);
	err = atomic_load(&job.err);
	if (err && err != -ENOMEM)
		err = unpack_damaged(u);
	u->out = u->out_size;
out:
	free(job.blocks);
	return err;
}
#else
#define unpack_lz4 NULL
#endif

static const struct {
	uint8_t magic_len;
	const char *magic;
	const char *absent; /* why not, where it is not built in */
	int (*run)(struct unpack *u);
} formats[] = {
	{ 2, "\x1f\x8b", "this airlock was built without gzip", unpack_gzip },
	{ 6, "\xfd\x37zXZ", "this airlock was built without xz", unpack_xz },
	{ 4, "\x28\xb5\x2f\xfd", "this airlock was built without zstd", unpack_zstd },
	{ 4, "\x02\x21\x4c\x18", "this airlock was built without lz4", unpack_lz4 },
};

int unpack_run(const struct boot_file *file, uint64_t at, uint64_t size, uint64_t out_size,
	       struct unpack_sink *sink, const char **why)
{
	struct unpack u = {
		.file = file,
		.at = at,
		.end = at + size,
		.out_size = out_size,
		.sink = sink,
		.why = "there is not enough memory",
	};
	uint8_t magic[8] = { 0 };
	int err;

	*why = "its compressed part cannot be read";
	err = boot_file_read(file, at, magic, min_u64(size, sizeof(magic)), NULL);
	if (err)
		return err;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		if (memcmp(magic, formats[i].magic, formats[i].magic_len))
			continue;
		*why = formats[i].absent;
		if (!formats[i].run)
			return -EOPNOTSUPP;
		*why = "its compressed part is damaged";
		sink->place(sink, 0, &u.first);
		if (out_size < u.first)
			return -EBADMSG;
		u.in = malloc(2 * IN_SIZE);
		u.spill = u.in + IN_SIZE;
		err = u.in ? formats[i].run(&u) : -ENOMEM;
		sys_library_close(u.library);
		free(u.in);
		if (!err && u.out != out_size)
			err = unpack_damaged(&u);
		*why = u.why;
		return err;
	}
	*why = "its compression is of an unknown kind";
	return -EOPNOTSUPP;
}
