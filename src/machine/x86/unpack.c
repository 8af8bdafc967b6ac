// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/x86/unpack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/endian.h"

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
#define LZ4_MAGIC_SIZE 4
#define LZ4_BLOCK      MIB(8)

struct unpack {
	const struct boot_file *file;
	uint64_t at, end; /* input not read yet */
	uint64_t out, out_size;
	struct unpack_sink *sink;
	uint8_t *in; /* IN_SIZE bytes */
	uint8_t spill;
	const char *why;
};

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
static void *unpack_room(struct unpack *u, size_t *room)
{
	void *to;

	if (u->out == u->out_size) {
		*room = 1;
		return &u->spill;
	}
	to = u->sink->place(u->sink, u->out, room);
	*room = min_u64(*room, u->out_size - u->out);
	return to;
}

static int unpack_commit(struct unpack *u, size_t len)
{
	int err;

	if (!len)
		return 0;
	if (len > u->out_size - u->out)
		return unpack_damaged(u);
	err = u->sink->commit(u->sink, u->out, len);
	if (err) {
		u->why = "what comes out of its compressed part is not usable";
		return err;
	}
	u->out += len;
	return 0;
}

#ifdef AIRLOCK_GZIP
static int unpack_gzip(struct unpack *u)
{
	z_stream z = { 0 };
	int r = Z_OK, err = 0;

	if (inflateInit2(&z, MAX_WBITS + 16) != Z_OK)
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
		r = inflate(&z, Z_NO_FLUSH);
		if (r != Z_OK && r != Z_STREAM_END) {
			err = r == Z_MEM_ERROR ? -ENOMEM : unpack_damaged(u);
			break;
		}
		err = unpack_commit(u, room - z.avail_out);
		if (err)
			break;
	}
	inflateEnd(&z);
	return err;
}
#else
#define unpack_gzip NULL
#endif

#ifdef AIRLOCK_XZ
static int unpack_xz(struct unpack *u)
{
	lzma_stream s = LZMA_STREAM_INIT;
	lzma_ret r = LZMA_OK;
	int err = 0;

	if (lzma_stream_decoder(&s, XZ_MEMORY_MAX, 0) != LZMA_OK)
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
		r = lzma_code(&s, LZMA_RUN);
		if (r != LZMA_OK && r != LZMA_STREAM_END) {
			err = r == LZMA_MEM_ERROR ? -ENOMEM : unpack_damaged(u);
			break;
		}
		err = unpack_commit(u, room - s.avail_out);
		if (err)
			break;
	}
	lzma_end(&s);
	return err;
}
#else
#define unpack_xz NULL
#endif

#ifdef AIRLOCK_ZSTD
static int unpack_zstd(struct unpack *u)
{
	ZSTD_DStream *s = ZSTD_createDStream();
	ZSTD_inBuffer in = { 0 };
	size_t r = 1;
	int err = 0;

	if (!s)
		return -ENOMEM;
	ZSTD_DCtx_setParameter(s, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG);
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
		r = ZSTD_decompressStream(s, &out, &in);
		/* It may still hold output back when the input is at its end. */
		if (ZSTD_isError(r) || (r && !len && !out.pos)) {
			err = unpack_damaged(u);
			break;
		}
		err = unpack_commit(u, out.pos);
		if (err)
			break;
	}
	ZSTD_freeDStream(s);
	return err;
}
#else
#define unpack_zstd NULL
#endif

#ifdef AIRLOCK_LZ4
/* Straight to its place where a whole block fits, else by way of `block`. */
static int unpack_lz4_block(struct unpack *u, const uint8_t *packed, size_t packed_len,
			    uint8_t *block)
{
	size_t whole = min_u64(LZ4_BLOCK, u->out_size - u->out);
	size_t room;
	void *to = unpack_room(u, &room);
	bool direct = room >= whole;
	int len = LZ4_decompress_safe((const char *)packed, direct ? to : (char *)block,
				      (int)packed_len, (int)whole);
	size_t done = 0;

	/* Only the last block may be shorter than a block, and it is exactly what is left. */
	if (len < 0 || (size_t)len != whole)
		return unpack_damaged(u);
	if (direct)
		return unpack_commit(u, whole);
	while (done < whole) {
		size_t part;
		int err;

		to = unpack_room(u, &room);
		part = min_u64(room, whole - done);
		memcpy(to, block + done, part);
		err = unpack_commit(u, part);
		if (err)
			return err;
		done += part;
	}
	return 0;
}

static int unpack_lz4(struct unpack *u)
{
	size_t packed_max = (size_t)LZ4_COMPRESSBOUND((int)LZ4_BLOCK);
	uint8_t *packed = malloc(packed_max);
	uint8_t *block = malloc(LZ4_BLOCK);
	int err = packed && block ? 0 : -ENOMEM;

	u->at += LZ4_MAGIC_SIZE;
	while (!err && u->out < u->out_size) {
		uint8_t size_field[4];
		uint64_t len;

		if (u->end - u->at < sizeof(size_field)) {
			err = unpack_damaged(u);
			break;
		}
		err = unpack_read(u, size_field, sizeof(size_field));
		if (err)
			break;
		len = le_load(size_field, sizeof(size_field));
		if (!len || len > packed_max || len > u->end - u->at) {
			err = unpack_damaged(u);
			break;
		}
		err = unpack_read(u, packed, len);
		if (!err)
			err = unpack_lz4_block(u, packed, len, block);
	}
	free(block);
	free(packed);
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
		u.in = malloc(IN_SIZE);
		err = u.in ? formats[i].run(&u) : -ENOMEM;
		free(u.in);
		if (!err && u.out != out_size)
			err = unpack_damaged(&u);
		*why = u.why;
		return err;
	}
	*why = "its compression is of an unknown kind";
	return -EOPNOTSUPP;
}
