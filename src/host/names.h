/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of vendors, devices and classes, from the pci.ids file that distributions install. It is
 * read here, not through a library: the program that starts a VM must not load one for it.
 */
#ifndef AIRLOCK_HOST_NAMES_H
#define AIRLOCK_HOST_NAMES_H

#include "sys/sys.h"

struct host_names_vendor {
	uint16_t id;
	uint32_t offset; /* of its line */
};

struct host_names {
	struct sys *sys;
	const char *text; /* the mapped file; NULL when there is none: every name is then unknown */
	size_t len;
	struct host_names_vendor *vendor; /* owned; ascending by id */
	size_t nr_vendors;
	uint32_t classes; /* offset of the first class line; len when there is none */
};

/* Never fails: without the file nothing has a name. */
void host_names_init(struct host_names *names, struct sys *sys);
/* From memory instead, for tests. The text is borrowed. */
void host_names_init_text(struct host_names *names, const char *text, size_t len);
void host_names_fini(struct host_names *names);

/*
 * Each returns buf with the name, cut to fit, unprintable bytes replaced; an unknown one as its
 * number: "Vendor 1234", "Device 5678", "Class 0108".
 */
const char *host_names_vendor(const struct host_names *names, uint16_t vendor, char *buf,
			      size_t size);
const char *host_names_device(const struct host_names *names, uint16_t vendor, uint16_t device,
			      char *buf, size_t size);
/* class_code has 24 bits; the name is of its sub-class. */
const char *host_names_class(const struct host_names *names, uint32_t class_code, char *buf,
			     size_t size);

#endif
