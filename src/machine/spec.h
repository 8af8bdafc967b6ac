/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A device as the user writes it: CLASS[,KEY=VALUE]... Keys that no one asked for are an error,
 * so that a typo never silently means the default.
 */
#ifndef AIRLOCK_MACHINE_SPEC_H
#define AIRLOCK_MACHINE_SPEC_H

#include "base/diag.h"
#include "base/types.h"

#define SPEC_KEYS_MAX 16
#define SPEC_TEXT_MAX 512

struct spec_pair {
	const char *key, *value; /* into text */
	bool used;
};

struct spec {
	char text[SPEC_TEXT_MAX];  /* cut up */
	char whole[SPEC_TEXT_MAX]; /* as written, for messages */
	const char *class_name;	   /* into text */
	unsigned int nr;
	struct spec_pair pairs[SPEC_KEYS_MAX];
};

/* 0, or -EINVAL with diag filled. The spec may not be moved afterwards (it points into itself). */
int spec_parse(struct spec *spec, const char *text, struct diag *diag);
/* The key's value, or NULL. Marks it as used. */
const char *spec_text(struct spec *spec, const char *key);
/* Untouched where the key is absent; 0 or -EINVAL with diag filled. */
int spec_number(struct spec *spec, const char *key, uint64_t max, uint64_t *value,
		struct diag *diag);
int spec_bool(struct spec *spec, const char *key, bool *value, struct diag *diag);
/* The first key that no one asked for, or NULL. */
const char *spec_unused(const struct spec *spec);
/* After all keys of a device have been asked for: -EINVAL naming the first that no one wanted. */
int spec_done(const struct spec *spec, struct diag *diag);

/* "512M", "4G", "0x1000": bytes. -EINVAL, -ERANGE. */
int parse_size(const char *text, uint64_t *size);

#endif
