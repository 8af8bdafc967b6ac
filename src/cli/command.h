/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands of `airlock`, one file each. A command parses its words, calls the rooms below and
 * prints; it holds no logic of its own. The one table of them is in main.c.
 */
#ifndef AIRLOCK_CLI_COMMAND_H
#define AIRLOCK_CLI_COMMAND_H

#include "base/diag.h"

/* Exit statuses that every command shares. */
enum cli_status {
	CLI_OK = 0,
	CLI_REFUSED = 1, /* the object, the reason and the remedy have been printed */
	CLI_USAGE = 2,	 /* the words given make no sense */
};

/* In a usage line: the word of what JSON output is built into. */
#ifdef AIRLOCK_JSON
#define CLI_USAGE_JSON " [--json]"
#else
#define CLI_USAGE_JSON ""
#endif

struct cli_command {
	const char *name;
	const char *summary; /* one line, no full stop */
	/* argv[0] is the command's name. Returns the exit status. */
	int (*run)(const struct cli_command *self, int argc, char **argv);
	/* What --help prints: a synopsis, what it is for, the options, examples. */
	const char *usage;
};

/* Says what is wrong with the words given and where help is. Returns CLI_USAGE. */
int cli_usage_error(const struct cli_command *command, const char *what, ...)
	__attribute__((format(printf, 2, 3)));

/* Prints the refusal. Returns CLI_REFUSED. */
int cli_refuse(const struct diag *diag);

/* Prints the command's usage to stdout. Returns CLI_OK. */
int cli_help(const struct cli_command *command);

/* One per command, defined in src/cli/NAME.c. */
extern const struct cli_command cli_bind;
extern const struct cli_command cli_check;
extern const struct cli_command cli_devices;
extern const struct cli_command cli_host;
extern const struct cli_command cli_pool;
extern const struct cli_command cli_release;
extern const struct cli_command cli_run;
extern const struct cli_command cli_topology;
extern const struct cli_command cli_vf;

#endif
