/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the commands that look at a host share: reading it, live or from a capture. */
#ifndef AIRLOCK_CLI_SURVEY_H
#define AIRLOCK_CLI_SURVEY_H

#include "cli/command.h"
#include "host/capture.h"
#include "host/isolation.h"
#include "host/names.h"

struct survey {
	struct sys real, sys; /* sys: the live host, or the capture */
	struct host_capture *capture;
	struct host_inventory inventory;
	struct host_topology topology;
	struct host_isolation isolation;
	struct host_names names;
};

/*
 * Reads the host that the capture file describes, or the live one when file is NULL. On 0 undo
 * with survey_fini(); the survey must not be moved meanwhile.
 */
int survey_init(struct survey *survey, const char *file, struct diag *diag);
void survey_fini(struct survey *survey);

/* A device as a person names it, completed, as an index; -errno with diag when there is none. */
int survey_find(const struct survey *survey, const char *text, struct diag *diag);

/* "4.1 GiB mem64 prefetchable" pieces are the caller's; this is all BARs in short: "16K+64M". */
const char *survey_bars_format(const struct host_function *function, char *buf, size_t size);

/* "16 GT/s x4", with " (of 32 x8)" when it runs below what the function can. Empty: no link. */
const char *survey_link_format(const struct host_config *config, char *buf, size_t size);

/* Dumps a JSON value to stdout and drops it: for the commands' --json. */
#ifdef AIRLOCK_JSON
#include <jansson.h>
int survey_print_json(json_t *value);
#endif

#endif
