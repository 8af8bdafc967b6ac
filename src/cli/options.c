// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/options.h"

#include <getopt.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "assign/use.h"
#include "base/bits.h"
#include "base/bug.h"

#define OPTION_HELP 'h'
/* What getopt returns for the table's first row; past every letter. */
#define OPTION_FIRST 256

static bool option_read_number(const char *text, int *out)
{
	char *end;
	long v = strtol(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || v > INT32_MAX)
		return false;
	*out = (int)v;
	return true;
}

static bool option_read_size(const char *text, uint64_t *out)
{
	static const char units[] = "KMGT";
	const char *unit = "";
	char *end;
	unsigned long long v = strtoull(text, &end, 10);
	unsigned int shift = 0;

	if (*text < '0' || *text > '9')
		return false;
	if (*end) {
		unit = strchr(units, *end);
		if (!unit || end[1])
			return false;
		shift = 10 * (unsigned int)(unit - units + 1);
	}
	*out = (uint64_t)v << shift;
	return v && *out >> shift == v;
}

static int option_read(const struct cli_command *command, const struct cli_option *option,
		       const char *text)
{
	enum assign_use_kind loss;

	switch (option->kind) {
	case CLI_FLAG:
	case CLI_JSON:
		*(bool *)option->value = true;
		return 0;
	case CLI_TEXT:
		*(const char **)option->value = text;
		return 0;
	case CLI_NUMBER:
		if (option_read_number(text, option->value))
			return 0;
		return cli_usage_error(command, "--%s %s: not a number", option->name, text);
	case CLI_SIZE:
		if (option_read_size(text, option->value))
			return 0;
		return cli_usage_error(command, "--%s %s: not a size; write 4G or 512M",
				       option->name, text);
	case CLI_LOSS:
		if (assign_use_by_word(text, &loss))
			return cli_usage_error(command, "--%s %s: not a word that names a loss",
					       option->name, text);
		*(unsigned int *)option->value |= (unsigned int)BIT(loss);
		return 0;
	}
	return CLI_USAGE;
}

int cli_options_read(const struct cli_command *command, int argc, char **argv,
		     const struct cli_option *options, size_t nr)
{
	struct option words[CLI_OPTIONS_MAX + 2] = { 0 };
	size_t used = 0;
	int word, status = 0;

	BUG_ON(nr > CLI_OPTIONS_MAX);
	for (size_t i = 0; i < nr; i++) {
		bool flag = options[i].kind == CLI_FLAG || options[i].kind == CLI_JSON;

#ifndef AIRLOCK_JSON
		if (options[i].kind == CLI_JSON)
			continue;
#endif
		words[used++] =
			(struct option){ options[i].name, flag ? no_argument : required_argument,
					 NULL, OPTION_FIRST + (int)i };
	}
	words[used] = (struct option){ "help", no_argument, NULL, OPTION_HELP };
	opterr = 0;
	while (!status && (word = getopt_long(argc, argv, "h", words, NULL)) >= 0) {
		if (word == OPTION_HELP) {
			cli_help(command);
			return -1;
		}
		if (word < OPTION_FIRST)
			return cli_usage_error(command,
					       "%s: no such option, or its value is missing",
					       argv[optind - 1]);
		status = option_read(command, &options[word - OPTION_FIRST], optarg);
	}
	return status;
}
