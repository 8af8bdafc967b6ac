// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assign/audit.h"
#include "base/bits.h"
#include "cli/options.h"
#include "cli/survey.h"

/* What an audit's exit status says, beside those of all commands. */
#define CHECK_WARNINGS 3
#define CHECK_UNSAFE   4

struct check_options {
	const char *file;
	const char *explain;
	uint64_t memory; /* of the VM asked about */
	bool json, all;
};

static int check_explain(const struct cli_command *self, const char *name)
{
	const struct host_finding_kind *kind = host_finding_kind_by_name(name);

	if (!kind) {
		fprintf(stderr,
			"airlock %s: --explain %s: there is no such finding\n"
			"  remedy: airlock check --explain list names them all\n",
			self->name, name);
		return CLI_USAGE;
	}
	printf("%s (%s): %s\n\n%s\n\nremedy: %s\n\nSee also docs/findings.md#%s\n", kind->id,
	       host_severity_name(kind->severity), kind->title, kind->why, kind->remedy, kind->id);
	return CLI_OK;
}

static int check_explain_list(void)
{
	for (int i = 0; i < HOST_NR_FINDINGS; i++) {
		const struct host_finding_kind *kind = host_finding_kind((enum host_finding_id)i);

		printf("%-20s %-8s %s\n", kind->id, host_severity_name(kind->severity),
		       kind->title);
	}
	return CLI_OK;
}

/* All findings of one kind and state together: the title once, then what was seen where. */
static void check_print_kind(const struct host_audit *audit, int id, enum host_finding_state state,
			     enum host_severity severity)
{
	const struct host_finding_kind *kind = host_finding_kind((enum host_finding_id)id);
	bool any = false;

	for (size_t i = 0; i < audit->nr_findings; i++) {
		const struct host_finding *finding = &audit->finding[i];

		if ((int)finding->id != id || finding->state != state ||
		    finding->severity != severity)
			continue;
		if (!any)
			printf("%s%s  %s\n",
			       state == HOST_FOUND ? host_severity_name(severity)
						   : host_finding_state_name(state),
			       state == HOST_FOUND && severity == HOST_INFO ? "   " : "", kind->id);
		if (!any)
			printf("  %s\n", kind->title);
		any = true;
		/* Some sentences begin with their object. */
		if (strncmp(finding->seen, finding->object, strlen(finding->object)))
			printf("    %s: %s\n", finding->object, finding->seen);
		else
			printf("    %s\n", finding->seen);
	}
	if (any && state == HOST_FOUND)
		printf("  remedy: %s\n", kind->remedy);
	if (any)
		putchar('\n');
}

static size_t check_count(const struct host_audit *audit, enum host_finding_state state,
			  enum host_severity severity)
{
	size_t nr = 0;

	for (size_t i = 0; i < audit->nr_findings; i++)
		nr += audit->finding[i].state == state &&
		      (state != HOST_FOUND || audit->finding[i].severity == severity);
	return nr;
}

static void check_print(const struct host_audit *audit, bool all)
{
	for (int severity = HOST_UNSAFE; severity >= HOST_INFO; severity--)
		for (int id = 0; id < HOST_NR_FINDINGS; id++)
			check_print_kind(audit, id, HOST_FOUND, (enum host_severity)severity);
	for (int severity = HOST_UNSAFE; severity >= HOST_INFO; severity--)
		for (int id = 0; id < HOST_NR_FINDINGS; id++)
			check_print_kind(audit, id, HOST_NOT_KNOWN, (enum host_severity)severity);
	for (int severity = HOST_UNSAFE; all && severity >= HOST_INFO; severity--)
		for (int id = 0; id < HOST_NR_FINDINGS; id++)
			check_print_kind(audit, id, HOST_ABSENT, (enum host_severity)severity);
	printf("%zu unsafe, %zu warnings, %zu notes; %zu could not be told, %zu absent%s\n",
	       check_count(audit, HOST_FOUND, HOST_UNSAFE),
	       check_count(audit, HOST_FOUND, HOST_WARNING),
	       check_count(audit, HOST_FOUND, HOST_INFO),
	       check_count(audit, HOST_NOT_KNOWN, HOST_INFO), check_count(audit, HOST_ABSENT, 0),
	       all ? "" : " (--all lists them)");
	if (check_count(audit, HOST_FOUND, HOST_UNSAFE) +
	    check_count(audit, HOST_FOUND, HOST_WARNING))
		puts("airlock check --explain ID says why a finding matters");
}

#ifdef AIRLOCK_JSON
static int check_print_json(const struct host_audit *audit)
{
	json_t *list = json_array();
	char page[64];

	for (size_t i = 0; i < audit->nr_findings; i++) {
		const struct host_finding *finding = &audit->finding[i];
		const struct host_finding_kind *kind = host_finding_kind(finding->id);

		snprintf(page, sizeof(page), "docs/findings.md#%s", kind->id);
		json_array_append_new(
			list,
			json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "id", kind->id,
				  "state", host_finding_state_name(finding->state), "severity",
				  host_severity_name(finding->severity), "object", finding->object,
				  "seen", finding->seen, "title", kind->title, "why", kind->why,
				  "remedy", kind->remedy, "page", page));
	}
	return survey_print_json(list);
}
#endif

static int check_parse(const struct cli_command *self, int argc, char **argv,
		       struct check_options *options)
{
	const struct cli_option words[] = {
		{ "host", CLI_TEXT, &options->file },
		{ "memory", CLI_SIZE, &options->memory },
		{ "explain", CLI_TEXT, &options->explain },
		{ "all", CLI_FLAG, &options->all },
		{ "json", CLI_JSON, &options->json },
	};

	*options = (struct check_options){ .memory = GIB(4) };
	return cli_options_read(self, argc, argv, words, ARRAY_SIZE(words));
}

/* The devices named, and whatever must go to a VM with them. */
static int check_select(const struct survey *survey, int argc, char **argv, bool *selected,
			struct diag *diag)
{
	for (int i = optind; i < argc; i++) {
		int index = survey_find(survey, argv[i], diag), group;
		const int *member;
		size_t nr;

		if (index < 0)
			return index;
		selected[index] = true;
		group = survey->inventory.function[index].group;
		nr = group < 0 ? 0 : host_isolation_members(&survey->isolation, group, &member);
		for (size_t k = 0; k < nr; k++)
			selected[member[k]] = true;
	}
	return 0;
}

static int check_status(const struct host_audit *audit)
{
	switch (host_audit_worst(audit)) {
	case HOST_UNSAFE:
		return CHECK_UNSAFE;
	case HOST_WARNING:
		return CHECK_WARNINGS;
	default:
		return CLI_OK;
	}
}

static int check_survey(struct survey *survey, const struct check_options *options, int argc,
			char **argv, struct diag *diag)
{
	struct host_audit_input input = { &survey->sys, &survey->isolation, NULL };
	struct assign_memlock plan = { .ram = options->memory, .nr_spaces = 1 };
	bool *selected = calloc(survey->inventory.nr_functions + 1, sizeof(*selected));
	struct host_limits limits;
	struct host_audit audit = { 0 };
	int err = selected ? check_select(survey, argc, argv, selected, diag) : -ENOMEM, status;

	if (!err) {
		input.selected = optind < argc ? selected : NULL;
		err = host_audit_run(&audit, &input);
	}
	if (!err) {
		host_limits_read(&survey->sys, &limits);
		assign_audit(&audit, &plan, &limits);
		err = audit.failed ? -ENOMEM : 0;
	}
	if (err) {
		diag_set(diag, err, "check", "out of memory");
		status = cli_refuse(diag);
		goto out;
	}
	status = check_status(&audit);
#ifdef AIRLOCK_JSON
	if (options->json) {
		if (check_print_json(&audit))
			status = CLI_REFUSED;
		goto out;
	}
#endif
	check_print(&audit, options->all);
out:
	host_audit_fini(&audit);
	free(selected);
	return status;
}

static int check_run(const struct cli_command *self, int argc, char **argv)
{
	struct check_options options;
	struct diag diag = DIAG_INIT;
	struct survey survey;
	int status = check_parse(self, argc, argv, &options);

	if (status)
		return status < 0 ? CLI_OK : status;
	if (options.explain)
		return strcmp(options.explain, "list") ? check_explain(self, options.explain)
						       : check_explain_list();
	if (survey_init(&survey, options.file, &diag))
		return cli_refuse(&diag);
	status = check_survey(&survey, &options, argc, argv, &diag);
	survey_fini(&survey);
	return status;
}

const struct cli_command cli_check = {
	.name = "check",
	.summary = "audit this host: what is unsafe or in the way, why, and what to do",
	.run = check_run,
	.usage =
		"usage: airlock check [OPTION...] [DEVICE...]\n"
		"       airlock check --explain ID\n\n"
		"Looks for every known way in which this host is unsafe or unfit to give devices to\n"
		"VMs: no IOMMU or interrupt remapping, options that turn protection off, groups that\n"
		"are not whole or that lie, firmware regions, external ports, devices that cannot be\n"
		"reset, limits too low for a VM, faults already logged. Each finding says what was\n"
		"seen, in which file, and what to do. What this user cannot see is unknown, not\n"
		"absent: root sees all. With DEVICE, only these and their groups are asked about.\n\n"
		"  --memory SIZE  hold limits against a VM of this size (4G)\n"
		"  --all          list also what was looked for and is absent\n"
		"  --explain ID   why a finding matters; \"list\" names them all\n"
#ifdef AIRLOCK_JSON
		"  --json         for programs\n"
#endif
		"  --host FILE    audit a capture of another host (airlock host capture)\n\n"
		"Exit status: 0 nothing worse than a note, 3 warnings, 4 unsafe; 1 refused, 2 usage.\n\n"
		"examples:\n"
		"  airlock check\n"
		"  airlock check 03:00.0 --memory 16G\n"
		"  airlock check --explain peer-path\n",
};
