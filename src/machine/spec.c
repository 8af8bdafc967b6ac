// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/spec.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int spec_parse(struct spec *spec, const char *text, struct diag *diag)
{
	char *rest, *item;

	memset(spec, 0, sizeof(*spec));
	if (strlen(text) >= sizeof(spec->text))
		return diag_set(diag, -EINVAL, "--device", "longer than %zu characters",
				sizeof(spec->text) - 1);
	strcpy(spec->text, text);
	strcpy(spec->whole, text);
	rest = spec->text;
	spec->class_name = strsep(&rest, ",");
	if (!*spec->class_name)
		return diag_set(diag, -EINVAL, spec->whole,
				"no device class before the first comma");
	while ((item = strsep(&rest, ","))) {
		char *value = strchr(item, '=');

		if (!value || value == item)
			return diag_set(diag, -EINVAL, spec->whole, "'%s' is not KEY=VALUE", item);
		*value++ = '\0';
		for (unsigned int i = 0; i < spec->nr; i++)
			if (!strcmp(spec->pairs[i].key, item))
				return diag_set(diag, -EINVAL, spec->whole, "%s= is given twice",
						item);
		if (spec->nr == SPEC_KEYS_MAX)
			return diag_set(diag, -EINVAL, spec->whole, "more than %d keys",
					SPEC_KEYS_MAX);
		spec->pairs[spec->nr++] = (struct spec_pair){ .key = item, .value = value };
	}
	return 0;
}

const char *spec_text(struct spec *spec, const char *key)
{
	for (unsigned int i = 0; i < spec->nr; i++) {
		if (strcmp(spec->pairs[i].key, key))
			continue;
		spec->pairs[i].used = true;
		return spec->pairs[i].value;
	}
	return NULL;
}

int spec_number(struct spec *spec, const char *key, uint64_t max, uint64_t *value,
		struct diag *diag)
{
	const char *text = spec_text(spec, key);
	unsigned long long v;
	char *end;

	if (!text)
		return 0;
	errno = 0;
	v = strtoull(text, &end, 0);
	if (!isdigit((unsigned char)*text) || *end || errno || v > max)
		return diag_set(diag, -EINVAL, spec->whole, "%s=%s is not a number up to %llu", key,
				text, (unsigned long long)max);
	*value = v;
	return 0;
}

int spec_bool(struct spec *spec, const char *key, bool *value, struct diag *diag)
{
	const char *text = spec_text(spec, key);

	if (!text)
		return 0;
	if (strcmp(text, "on") && strcmp(text, "off"))
		return diag_set(diag, -EINVAL, spec->whole, "%s=%s is neither on nor off", key,
				text);
	*value = !strcmp(text, "on");
	return 0;
}

const char *spec_unused(const struct spec *spec)
{
	for (unsigned int i = 0; i < spec->nr; i++)
		if (!spec->pairs[i].used)
			return spec->pairs[i].key;
	return NULL;
}

int spec_done(const struct spec *spec, struct diag *diag)
{
	const char *key = spec_unused(spec);

	if (!key)
		return 0;
	diag_set(diag, -EINVAL, spec->whole, "%s has no key '%s'", spec->class_name, key);
	return diag_remedy(diag, -EINVAL,
			   "airlock run --device help lists the classes and their keys");
}

int parse_size(const char *text, uint64_t *size)
{
	unsigned long long v;
	unsigned int shift = 0;
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	v = strtoull(text, &end, 0);
	if (errno)
		return -ERANGE;
	switch (*end) {
	case 'k':
	case 'K':
		shift = 10;
		break;
	case 'm':
	case 'M':
		shift = 20;
		break;
	case 'g':
	case 'G':
		shift = 30;
		break;
	case 't':
	case 'T':
		shift = 40;
		break;
	}
	if (shift)
		end++;
	if (!strcmp(end, "iB") && shift)
		end += 2;
	if (*end)
		return -EINVAL;
	if (v > UINT64_MAX >> shift)
		return -ERANGE;
	*size = (uint64_t)v << shift;
	return 0;
}
