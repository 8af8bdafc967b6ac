// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bug.h"
#include "base/endian.h"

void state_writer_init(struct state_writer *w)
{
	memset(w, 0, sizeof(*w));
}

void state_writer_fini(struct state_writer *w)
{
	free(w->data);
	memset(w, 0, sizeof(*w));
}

void state_put_bytes(struct state_writer *w, const void *data, size_t len)
{
	if (w->err)
		return;
	if (w->room - w->len < len) {
		size_t room = (w->len + len) * 2;
		uint8_t *bigger = realloc(w->data, room);

		if (!bigger) {
			w->err = -ENOMEM;
			return;
		}
		w->data = bigger;
		w->room = room;
	}
	memcpy(w->data + w->len, data, len);
	w->len += len;
}

static void state_put_le(struct state_writer *w, uint64_t v, unsigned int bytes)
{
	uint8_t buf[8];

	le_store(buf, bytes, v);
	state_put_bytes(w, buf, bytes);
}

void state_put_u8(struct state_writer *w, uint8_t v)
{
	state_put_le(w, v, 1);
}

void state_put_u16(struct state_writer *w, uint16_t v)
{
	state_put_le(w, v, 2);
}

void state_put_u32(struct state_writer *w, uint32_t v)
{
	state_put_le(w, v, 4);
}

void state_put_u64(struct state_writer *w, uint64_t v)
{
	state_put_le(w, v, 8);
}

void state_begin(struct state_writer *w, const char *name, uint16_t version)
{
	size_t len = strlen(name);

	BUG_ON(w->body || len > STATE_NAME_MAX || !version);
	state_put_u32(w, STATE_MAGIC);
	state_put_u16(w, version);
	state_put_u8(w, (uint8_t)len);
	state_put_bytes(w, name, len);
	state_put_u32(w, 0); /* the length, known at the end */
	w->body = w->len ? w->len : 1;
}

void state_end(struct state_writer *w)
{
	BUG_ON(!w->body);
	if (!w->err)
		le_store(w->data + w->body - 4, 4, w->len - w->body);
	w->body = 0;
}

int state_writer_status(const struct state_writer *w)
{
	return w->err;
}

void state_reader_init(struct state_reader *r, const void *data, size_t len)
{
	*r = (struct state_reader){ .data = data, .len = len };
}

static bool state_need(struct state_reader *r, size_t len)
{
	size_t end = r->end ? r->end : r->len;

	if (!r->err && end - r->pos < len)
		r->err = -ENODATA;
	return !r->err;
}

void state_get_bytes(struct state_reader *r, void *data, size_t len)
{
	if (!state_need(r, len)) {
		memset(data, 0, len);
		return;
	}
	memcpy(data, r->data + r->pos, len);
	r->pos += len;
}

static uint64_t state_get_le(struct state_reader *r, unsigned int bytes)
{
	uint8_t buf[8];

	state_get_bytes(r, buf, bytes);
	return le_load(buf, bytes);
}

uint8_t state_get_u8(struct state_reader *r)
{
	return (uint8_t)state_get_le(r, 1);
}

uint16_t state_get_u16(struct state_reader *r)
{
	return (uint16_t)state_get_le(r, 2);
}

uint32_t state_get_u32(struct state_reader *r)
{
	return (uint32_t)state_get_le(r, 4);
}

uint64_t state_get_u64(struct state_reader *r)
{
	return state_get_le(r, 8);
}

uint16_t state_enter(struct state_reader *r, const char *name, uint16_t newest)
{
	char found[STATE_NAME_MAX + 1] = "";
	uint16_t version;
	uint32_t len;
	uint8_t name_len;

	BUG_ON(r->end);
	if (state_get_u32(r) != STATE_MAGIC && !r->err)
		r->err = -EPROTO;
	version = state_get_u16(r);
	name_len = state_get_u8(r);
	if (name_len > STATE_NAME_MAX && !r->err)
		r->err = -EPROTO;
	if (!r->err)
		state_get_bytes(r, found, name_len);
	len = state_get_u32(r);
	if (!r->err && (strcmp(found, name) || !version || version > newest))
		r->err = -EPROTO;
	if (!state_need(r, len))
		return 0;
	r->end = r->pos + len;
	return version;
}

void state_leave(struct state_reader *r)
{
	if (!r->err && r->pos != r->end)
		r->err = -EPROTO;
	r->end = 0;
}

int state_reader_status(const struct state_reader *r)
{
	return r->err;
}
