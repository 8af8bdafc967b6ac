// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bits.h"
#include "cli/command.h"

/* In the order `airlock --help` shows them. */
static const struct cli_command *const commands[] = {
	&cli_run,  &cli_devices, &cli_topology, &cli_check, &cli_host,
	&cli_bind, &cli_release, &cli_vf,	&cli_pool,
};

static const struct cli_command *command_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(name, commands[i]->name))
			return commands[i];
	return NULL;
}

int cli_usage_error(const struct cli_command *command, const char *what, ...)
{
	va_list args;

	va_start(args, what);
	fprintf(stderr, "airlock %s: ", command->name);
	vfprintf(stderr, what, args);
	fprintf(stderr, "\n  remedy: airlock %s --help says how it is used\n", command->name);
	va_end(args);
	return CLI_USAGE;
}

int cli_refuse(const struct diag *diag)
{
	diag_print(diag);
	return CLI_REFUSED;
}

int cli_help(const struct cli_command *command)
{
	fputs(command->usage, stdout);
	return CLI_OK;
}

static void main_help(FILE *to)
{
	fputs("usage: airlock COMMAND [WORD...]\n\n"
	      "Gives virtual machines real PCI devices, and nothing else of the host.\n\n",
	      to);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(to, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
	fputs("\n`airlock COMMAND --help` explains one command. `airlock --version` names the build.\n"
	      "Exit status: 0 done, 1 refused (the reason and the remedy are printed), 2 usage.\n",
	      to);
}

static bool main_is_help(const char *word)
{
	return !strcmp(word, "--help") || !strcmp(word, "-h");
}

int main(int argc, char **argv)
{
	const struct cli_command *command;
	int status;

	if (argc < 2) {
		main_help(stderr);
		return CLI_USAGE;
	}
	if (main_is_help(argv[1]) || (!strcmp(argv[1], "help") && argc == 2)) {
		main_help(stdout);
		return CLI_OK;
	}
	if (!strcmp(argv[1], "--version")) {
		puts("airlock " AIRLOCK_VERSION);
		return CLI_OK;
	}
	if (!strcmp(argv[1], "help")) {
		command = command_find(argv[2]);
		if (command)
			return cli_help(command);
		argv[1] = argv[2];
	}
	command = command_find(argv[1]);
	if (!command) {
		fprintf(stderr,
			"airlock: %s: there is no such command\n  remedy: airlock --help lists them\n",
			argv[1]);
		return CLI_USAGE;
	}
	if (argc > 2 && main_is_help(argv[2]))
		return cli_help(command);
	status = command->run(command, argc - 1, argv + 1);
	/* A full disk or a closed pipe must not look like success. */
	if (fflush(stdout) || ferror(stdout)) {
		if (status == CLI_OK)
			perror("airlock: standard output");
		return status == CLI_OK ? CLI_REFUSED : status;
	}
	return status;
}
