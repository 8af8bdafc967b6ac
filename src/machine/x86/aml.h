/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small writer of ACPI machine language (ACPI 6.4, chapter 20). Terms are appended in the order of
 * the language; what has a length is opened and closed:
 *
 *	size_t device = aml_device(&aml, "PCI0");
 *	aml_name(&aml, "_HID");
 *	aml_eisa_id(&aml, "PNP0A08");
 *	aml_close(&aml, device);
 *
 * Names are segments of up to four characters, joined by dots, with a leading backslash for the
 * root. Errors (memory) stick and show in aml->err.
 */
#ifndef AIRLOCK_MACHINE_X86_AML_H
#define AIRLOCK_MACHINE_X86_AML_H

#include "base/range.h"
#include "base/types.h"

struct aml {
	uint8_t *data; /* owned; grows */
	size_t len, room;
	int err;
};

/* Arguments and local variables of a method, as terms. */
enum aml_term {
	AML_LOCAL0 = 0x60,
	AML_ARG0 = 0x68,
	AML_ARG1 = 0x69,
	AML_ARG3 = 0x6b,
};

void aml_init(struct aml *aml);
void aml_fini(struct aml *aml);

/* Bytes as they are. */
void aml_bytes(struct aml *aml, const void *bytes, size_t len);

/* Opened; close them in reverse order with what the call returned. */
size_t aml_scope(struct aml *aml, const char *name);
size_t aml_device(struct aml *aml, const char *name);
size_t aml_method(struct aml *aml, const char *name, unsigned int nr_args);
/* Elements follow as terms. */
size_t aml_package(struct aml *aml, uint8_t nr_elements);
size_t aml_if(struct aml *aml); /* the predicate, then the body */
size_t aml_else(struct aml *aml);
void aml_close(struct aml *aml, size_t opened);

/* Name (name, ...): the object follows. */
void aml_name(struct aml *aml, const char *name);
/* A reference to a named object. */
void aml_ref(struct aml *aml, const char *name);
void aml_term(struct aml *aml, enum aml_term term);
void aml_integer(struct aml *aml, uint64_t value);
void aml_string(struct aml *aml, const char *text);
/* "PNP0A08": three letters, four hex digits. */
void aml_eisa_id(struct aml *aml, const char *id);
void aml_buffer(struct aml *aml, const void *bytes, uint8_t len);

/* Operators: operands follow, in the order of the comment. */
void aml_op_return(struct aml *aml);	  /* value */
void aml_op_store(struct aml *aml);	  /* value, target */
void aml_op_and(struct aml *aml);	  /* value, value, target */
void aml_op_or(struct aml *aml);	  /* value, value, target */
void aml_op_equal(struct aml *aml);	  /* value, value */
void aml_op_not(struct aml *aml);	  /* value */
void aml_op_dword_field(struct aml *aml); /* buffer, byte offset, and a name: aml_ref */

/* A resource template: opened, descriptors, closed by aml_resources_end. ACPI 6.4, 6.4. */
size_t aml_resources(struct aml *aml);
void aml_resources_end(struct aml *aml, size_t opened);
/* Fixed ports. */
void aml_res_io(struct aml *aml, uint16_t first, uint8_t len);
/* Edge-triggered, active-high, exclusive. */
void aml_res_irq(struct aml *aml, unsigned int irq);
/* Fixed memory below 4 GiB that this device itself decodes. */
void aml_res_memory32(struct aml *aml, uint32_t first, uint32_t len);
/* Windows a bridge passes on. */
void aml_res_bus_window(struct aml *aml, uint8_t first, uint8_t last);
void aml_res_io_window(struct aml *aml, uint16_t first, uint16_t last);
void aml_res_memory_window(struct aml *aml, struct range range);

#endif
