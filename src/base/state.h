/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Field-by-field save and load of device state. Never a struct dump: each section carries a name,
 * a version and its length, and a loader reads exactly what the writer wrote or fails.
 *
 *	section := u32 magic, u16 version, u8 name length, name, u32 body length, body
 *
 * All integers are little-endian. A reader's errors stick: after the first short or malformed read
 * every further get returns 0 and state_reader_status() tells, so a load function reads all its
 * fields and checks once. Values still need the device's own validation: a stream is hostile input.
 */
#ifndef AIRLOCK_BASE_STATE_H
#define AIRLOCK_BASE_STATE_H

#include "base/types.h"

#define STATE_MAGIC    0x4c525441u /* "ATRL" */
#define STATE_NAME_MAX 63

struct state_writer {
	uint8_t *data; /* owned; grows */
	size_t len, room;
	size_t body; /* where the open section's body begins; 0 when none is open */
	int err;
};

struct state_reader {
	const uint8_t *data; /* borrowed */
	size_t pos, len;
	size_t end; /* end of the open section; 0 when none is open */
	int err;
};

void state_writer_init(struct state_writer *w);
void state_writer_fini(struct state_writer *w);
/* Sections do not nest. The name has at most STATE_NAME_MAX bytes. */
void state_begin(struct state_writer *w, const char *name, uint16_t version);
void state_end(struct state_writer *w);
void state_put_u8(struct state_writer *w, uint8_t v);
void state_put_u16(struct state_writer *w, uint16_t v);
void state_put_u32(struct state_writer *w, uint32_t v);
void state_put_u64(struct state_writer *w, uint64_t v);
void state_put_bytes(struct state_writer *w, const void *data, size_t len);
/* 0, or -ENOMEM. */
int state_writer_status(const struct state_writer *w);

void state_reader_init(struct state_reader *r, const void *data, size_t len);
/*
 * Enters the next section, which must be `name` with a version of at most `newest`; returns its
 * version (0 on error; versions start at 1).
 */
uint16_t state_enter(struct state_reader *r, const char *name, uint16_t newest);
/* Leaves the section; bytes of it that were not read are an error. */
void state_leave(struct state_reader *r);
uint8_t state_get_u8(struct state_reader *r);
uint16_t state_get_u16(struct state_reader *r);
uint32_t state_get_u32(struct state_reader *r);
uint64_t state_get_u64(struct state_reader *r);
void state_get_bytes(struct state_reader *r, void *data, size_t len);
/* 0, -ENODATA for a short stream, -EPROTO for a malformed one. */
int state_reader_status(const struct state_reader *r);

#endif
