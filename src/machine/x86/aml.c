// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/x86/aml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/bug.h"
#include "base/endian.h"

/* Encodings: ACPI 6.4, 20.3. */
#define OP_ZERO		 0x00
#define OP_ONE		 0x01
#define OP_NAME		 0x08
#define OP_BYTE		 0x0a
#define OP_WORD		 0x0b
#define OP_DWORD	 0x0c
#define OP_STRING	 0x0d
#define OP_QWORD	 0x0e
#define OP_SCOPE	 0x10
#define OP_BUFFER	 0x11
#define OP_PACKAGE	 0x12
#define OP_METHOD	 0x14
#define OP_DUAL_NAME	 0x2e
#define OP_MULTI_NAME	 0x2f
#define OP_EXT		 0x5b
#define OP_EXT_DEVICE	 0x82
#define OP_STORE	 0x70
#define OP_AND		 0x7b
#define OP_OR		 0x7d
#define OP_DWORD_FIELD	 0x8a
#define OP_LNOT		 0x92
#define OP_LEQUAL	 0x93
#define OP_IF		 0xa0
#define OP_ELSE		 0xa1
#define OP_RETURN	 0xa4

#define PKG_LENGTH_1_MAX 0x3f
#define PKG_LENGTH_2_MAX 0xfff
#define PKG_LENGTH_3_MAX 0xfffff

/* Resource descriptors: ACPI 6.4, 6.4.2 and 6.4.3. */
#define RES_IRQ		   0x22 /* small, without flags */
#define RES_IO		   0x47
#define RES_END		   0x79
#define RES_MEMORY32_FIXED 0x86
#define RES_DWORD	   0x87
#define RES_WORD	   0x88
#define RES_QWORD	   0x8a
#define RES_TYPE_MEMORY	   0
#define RES_TYPE_IO	   1
#define RES_TYPE_BUS	   2
/* Producer, positive decode, both ends fixed. */
#define RES_FLAGS_WINDOW 0x0c
#define RES_MEMORY_RW	 0x01
#define RES_IO_ENTIRE	 0x03

void aml_init(struct aml *aml)
{
	*aml = (struct aml){ 0 };
}

void aml_fini(struct aml *aml)
{
	free(aml->data);
	aml_init(aml);
}

static bool aml_reserve(struct aml *aml, size_t len)
{
	size_t room = aml->room ? aml->room : 1024;
	uint8_t *data;

	if (aml->err)
		return false;
	if (aml->len + len <= aml->room)
		return true;
	while (room < aml->len + len)
		room *= 2;
	data = realloc(aml->data, room);
	if (!data) {
		aml->err = -ENOMEM;
		return false;
	}
	aml->data = data;
	aml->room = room;
	return true;
}

void aml_bytes(struct aml *aml, const void *bytes, size_t len)
{
	if (!len || !aml_reserve(aml, len))
		return;
	memcpy(aml->data + aml->len, bytes, len);
	aml->len += len;
}

static void aml_byte(struct aml *aml, unsigned int byte)
{
	uint8_t b = (uint8_t)byte;

	aml_bytes(aml, &b, 1);
}

static void aml_number(struct aml *aml, unsigned int bytes, uint64_t value)
{
	uint8_t b[8];

	le_store(b, bytes, value);
	aml_bytes(aml, b, bytes);
}

/* NameString (20.2.2): segments of four, padded with underscores. */
void aml_ref(struct aml *aml, const char *name)
{
	unsigned int nr = 1;

	if (*name == '\\') {
		aml_byte(aml, '\\');
		name++;
	}
	for (const char *p = name; *p; p++)
		nr += *p == '.';
	if (!*name) {
		aml_byte(aml, 0);
		return;
	}
	if (nr == 2)
		aml_byte(aml, OP_DUAL_NAME);
	if (nr > 2) {
		aml_byte(aml, OP_MULTI_NAME);
		aml_byte(aml, nr);
	}
	for (;;) {
		size_t len = strcspn(name, ".");

		BUG_ON(!len || len > 4);
		aml_bytes(aml, name, len);
		aml_bytes(aml, "____", 4 - len);
		if (!name[len])
			break;
		name += len + 1;
	}
}

/* The length comes first, but is known last: aml_close puts it in. */
static size_t aml_open(struct aml *aml, unsigned int op)
{
	aml_byte(aml, op);
	return aml->len;
}

/* PkgLength (20.2.4) counts itself. */
void aml_close(struct aml *aml, size_t opened)
{
	size_t body = aml->len - opened;
	unsigned int width = body + 1 <= PKG_LENGTH_1_MAX   ? 1
			     : body + 2 <= PKG_LENGTH_2_MAX ? 2
			     : body + 3 <= PKG_LENGTH_3_MAX ? 3
							    : 4;
	size_t total = body + width;
	uint8_t *at;

	if (!aml_reserve(aml, width))
		return;
	at = aml->data + opened;
	memmove(at + width, at, body);
	aml->len += width;
	if (width == 1) {
		at[0] = (uint8_t)total;
		return;
	}
	at[0] = (uint8_t)((width - 1) << 6 | (total & 0xf));
	for (unsigned int i = 1; i < width; i++)
		at[i] = (uint8_t)(total >> (4 + 8 * (i - 1)));
}

size_t aml_scope(struct aml *aml, const char *name)
{
	size_t opened = aml_open(aml, OP_SCOPE);

	aml_ref(aml, name);
	return opened;
}

size_t aml_device(struct aml *aml, const char *name)
{
	size_t opened;

	aml_byte(aml, OP_EXT);
	opened = aml_open(aml, OP_EXT_DEVICE);
	aml_ref(aml, name);
	return opened;
}

size_t aml_method(struct aml *aml, const char *name, unsigned int nr_args)
{
	size_t opened = aml_open(aml, OP_METHOD);

	aml_ref(aml, name);
	aml_byte(aml, nr_args);
	return opened;
}

size_t aml_package(struct aml *aml, uint8_t nr_elements)
{
	size_t opened = aml_open(aml, OP_PACKAGE);

	aml_byte(aml, nr_elements);
	return opened;
}

size_t aml_if(struct aml *aml)
{
	return aml_open(aml, OP_IF);
}

size_t aml_else(struct aml *aml)
{
	return aml_open(aml, OP_ELSE);
}

void aml_name(struct aml *aml, const char *name)
{
	aml_byte(aml, OP_NAME);
	aml_ref(aml, name);
}

void aml_term(struct aml *aml, enum aml_term term)
{
	aml_byte(aml, term);
}

void aml_integer(struct aml *aml, uint64_t value)
{
	if (value <= 1) {
		aml_byte(aml, value ? OP_ONE : OP_ZERO);
	} else if (value <= UINT8_MAX) {
		aml_byte(aml, OP_BYTE);
		aml_number(aml, 1, value);
	} else if (value <= UINT16_MAX) {
		aml_byte(aml, OP_WORD);
		aml_number(aml, 2, value);
	} else if (value <= UINT32_MAX) {
		aml_byte(aml, OP_DWORD);
		aml_number(aml, 4, value);
	} else {
		aml_byte(aml, OP_QWORD);
		aml_number(aml, 8, value);
	}
}

void aml_string(struct aml *aml, const char *text)
{
	aml_byte(aml, OP_STRING);
	aml_bytes(aml, text, strlen(text) + 1);
}

static unsigned int hex_digit(char c)
{
	return (unsigned int)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/* 19.6.36: three letters of five bits, then four digits, big-endian. */
void aml_eisa_id(struct aml *aml, const char *id)
{
	uint32_t value = 0;

	for (unsigned int i = 0; i < 3; i++)
		value = value << 5 | (uint32_t)(id[i] - '@');
	for (unsigned int i = 3; i < 7; i++)
		value = value << 4 | hex_digit(id[i]);
	aml_byte(aml, OP_DWORD);
	aml_number(aml, 4, __builtin_bswap32(value));
}

void aml_buffer(struct aml *aml, const void *bytes, uint8_t len)
{
	size_t opened = aml_open(aml, OP_BUFFER);

	aml_integer(aml, len);
	aml_bytes(aml, bytes, len);
	aml_close(aml, opened);
}

void aml_op_return(struct aml *aml)
{
	aml_byte(aml, OP_RETURN);
}

void aml_op_store(struct aml *aml)
{
	aml_byte(aml, OP_STORE);
}

void aml_op_and(struct aml *aml)
{
	aml_byte(aml, OP_AND);
}

void aml_op_or(struct aml *aml)
{
	aml_byte(aml, OP_OR);
}

void aml_op_equal(struct aml *aml)
{
	aml_byte(aml, OP_LEQUAL);
}

void aml_op_not(struct aml *aml)
{
	aml_byte(aml, OP_LNOT);
}

void aml_op_dword_field(struct aml *aml)
{
	aml_byte(aml, OP_DWORD_FIELD);
}

/* A buffer whose size, as a word, is patched at the end. */
size_t aml_resources(struct aml *aml)
{
	size_t opened = aml_open(aml, OP_BUFFER);

	aml_byte(aml, OP_WORD);
	aml_number(aml, 2, 0);
	return opened;
}

void aml_resources_end(struct aml *aml, size_t opened)
{
	aml_byte(aml, RES_END);
	aml_byte(aml, 0); /* a checksum of 0 stands for none */
	if (!aml->err)
		le_store(aml->data + opened + 1, 2, aml->len - opened - 3);
	aml_close(aml, opened);
}

void aml_res_io(struct aml *aml, uint16_t first, uint8_t len)
{
	aml_byte(aml, RES_IO);
	aml_byte(aml, 1); /* all 16 bits decoded */
	aml_number(aml, 2, first);
	aml_number(aml, 2, first);
	aml_byte(aml, 1);
	aml_byte(aml, len);
}

void aml_res_irq(struct aml *aml, unsigned int irq)
{
	aml_byte(aml, RES_IRQ);
	aml_number(aml, 2, BIT(irq));
}

void aml_res_memory32(struct aml *aml, uint32_t first, uint32_t len)
{
	aml_byte(aml, RES_MEMORY32_FIXED);
	aml_number(aml, 2, 9);
	aml_byte(aml, RES_MEMORY_RW);
	aml_number(aml, 4, first);
	aml_number(aml, 4, len);
}

/* Address space descriptors (6.4.3.5): all numbers of one width. */
static void aml_res_window(struct aml *aml, unsigned int op, unsigned int bytes, unsigned int type,
			   unsigned int type_flags, struct range range)
{
	aml_byte(aml, op);
	aml_number(aml, 2, 3 + 5 * bytes);
	aml_byte(aml, type);
	aml_byte(aml, RES_FLAGS_WINDOW);
	aml_byte(aml, type_flags);
	aml_number(aml, bytes, 0); /* granularity */
	aml_number(aml, bytes, range.first);
	aml_number(aml, bytes, range.last);
	aml_number(aml, bytes, 0); /* translation */
	aml_number(aml, bytes, range_len(range));
}

void aml_res_bus_window(struct aml *aml, uint8_t first, uint8_t last)
{
	aml_res_window(aml, RES_WORD, 2, RES_TYPE_BUS, 0, (struct range){ first, last });
}

void aml_res_io_window(struct aml *aml, uint16_t first, uint16_t last)
{
	aml_res_window(aml, RES_WORD, 2, RES_TYPE_IO, RES_IO_ENTIRE, (struct range){ first, last });
}

void aml_res_memory_window(struct aml *aml, struct range range)
{
	if (range.last <= UINT32_MAX)
		aml_res_window(aml, RES_DWORD, 4, RES_TYPE_MEMORY, RES_MEMORY_RW, range);
	else
		aml_res_window(aml, RES_QWORD, 8, RES_TYPE_MEMORY, RES_MEMORY_RW, range);
}
