/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the commands read their words: a table of long options, each with the place its value goes to. */
#ifndef AIRLOCK_CLI_OPTIONS_H
#define AIRLOCK_CLI_OPTIONS_H

#include "cli/command.h"

enum cli_option_kind {
	CLI_FLAG,   /* no value; *(bool *) becomes true */
	CLI_TEXT,   /* *(const char **); it points into argv */
	CLI_NUMBER, /* *(int *), from 0 */
	CLI_SIZE,   /* *(uint64_t *) bytes, never 0: "4G", "512M", plain */
	CLI_LOSS,   /* *(unsigned int *): a bit per assign_use_kind that was named, added up */
	CLI_JSON,   /* a flag that only builds with JSON output have */
};

struct cli_option {
	const char *name;
	enum cli_option_kind kind;
	void *value;
};

#define CLI_OPTIONS_MAX 24

/*
 * Reads the options, --help and -h besides; argv is left with the other words from optind on.
 * Returns 0; CLI_USAGE after having said what is wrong; or -1 after having printed the help: then
 * there is nothing more to do.
 */
int cli_options_read(const struct cli_command *command, int argc, char **argv,
		     const struct cli_option *options, size_t nr);

#endif
