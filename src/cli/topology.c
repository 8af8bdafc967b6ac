// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bits.h"
#include "cli/options.h"
#include "cli/survey.h"
#include "host/picture.h"

#define TOPOLOGY_MAX_REASONS	 16
#define TOPOLOGY_MAX_DIFFERENCES 256
#define TOPOLOGY_MAX_INDENT	 64

struct topology_options {
	const char *file;
	const char *svg;
	bool json;
};

/* "no ACS", "ACS without RR UF", "ACS": what a port does about peers. */
static void topology_acs(const struct host_function *f, char *buf, size_t size)
{
	char bits[HOST_ACS_TEXT];
	uint16_t missing;

	buf[0] = '\0';
	if (!f->config.express || !host_function_is_bridge(f))
		return;
	switch (host_function_isolated(f, &missing)) {
	case HOST_YES:
		if (f->config.acs)
			snprintf(buf, size, ", ACS");
		break;
	case HOST_NO:
		if (f->config.acs)
			snprintf(buf, size, ", ACS without %s", host_acs_format(missing, bits));
		else
			snprintf(buf, size, ", no ACS");
		break;
	default:
		snprintf(buf, size, ", ACS not visible");
	}
}

static void topology_print_node(const struct survey *survey, int index, const char *indent,
				const char *branch)
{
	const struct host_function *f = host_topology_at(&survey->topology, index);
	char acs[64], class[64], device[96], group[24] = "no group", node[24] = "";

	topology_acs(f, acs, sizeof(acs));
	if (f->group >= 0)
		snprintf(group, sizeof(group), "group %d", f->group);
	if (f->numa_node >= 0)
		snprintf(node, sizeof(node), " node %d", f->numa_node);
	if (f->config.visible && f->config.express && host_function_is_bridge(f))
		snprintf(class, sizeof(class), "%s", host_config_port_name(&f->config));
	else
		host_names_class(&survey->names, f->class_code, class, sizeof(class));
	host_names_device(&survey->names, f->vendor, f->device, device, sizeof(device));
	printf("%s%s%s [%s%s] %s%s%s%s", indent, branch, f->name, group, node, class, acs,
	       host_function_is_bridge(f) ? "" : ": ", host_function_is_bridge(f) ? "" : device);
	if (f->is_vf) {
		char physfn[PCI_ADDRESS_TEXT];

		printf(", VF of %s", pci_address_format(f->physfn, physfn));
	}
	printf("%s%s%s\n", f->driver[0] ? " (" : "", f->driver, f->driver[0] ? ")" : "");
}

static void topology_print_below(const struct survey *survey, int first, char *indent)
{
	size_t len = strlen(indent);

	for (int i = first; i != HOST_NONE; i = survey->topology.node[i].next_sibling) {
		bool last = survey->topology.node[i].next_sibling == HOST_NONE;

		topology_print_node(survey, i, indent, last ? "`- " : "|- ");
		/* A path of hundreds of bridges is drawn flat at its end. */
		if (len + 4 < TOPOLOGY_MAX_INDENT)
			strcpy(indent + len, last ? "   " : "|  ");
		topology_print_below(survey, survey->topology.node[i].first_child, indent);
		indent[len] = '\0';
	}
}

static void topology_print_tree(const struct survey *survey)
{
	char indent[TOPOLOGY_MAX_INDENT + 4] = "";
	int root;

	for (root = survey->topology.first_root; root != HOST_NONE;
	     root = survey->topology.node[root].next_sibling) {
		topology_print_node(survey, root, "", "");
		topology_print_below(survey, survey->topology.node[root].first_child, indent);
	}
}

static void topology_print_groups(const struct survey *survey)
{
	bool any = false;

	for (size_t i = 0; i < survey->inventory.nr_functions; i++) {
		int group = survey->inventory.function[i].group;
		struct host_reason reason[TOPOLOGY_MAX_REASONS];
		char text[300];
		const int *member;
		size_t nr = host_isolation_members(&survey->isolation, group, &member);

		if (group < 0 || nr < 2 || member[0] != (int)i)
			continue;
		if (!any)
			puts("\nGroups of more than one, and why:");
		any = true;
		printf("  group %d:", group);
		for (size_t k = 0; k < nr; k++)
			printf(" %s", survey->inventory.function[member[k]].name);
		putchar('\n');
		nr = host_isolation_explain(&survey->isolation, group, reason, ARRAY_SIZE(reason));
		for (size_t k = 0; k < nr && k < ARRAY_SIZE(reason); k++)
			printf("    because %s\n",
			       host_reason_format(&reason[k], text, sizeof(text)));
		if (nr > ARRAY_SIZE(reason))
			printf("    and %zu more of the same kinds\n", nr - ARRAY_SIZE(reason));
	}
}

static void topology_print_differences(const struct survey *survey)
{
	struct host_difference difference[TOPOLOGY_MAX_DIFFERENCES];
	size_t nr =
		host_isolation_differences(&survey->isolation, difference, ARRAY_SIZE(difference));
	char text[300];

	if (nr)
		puts("\nWhere the kernel's groups and the PCI Express specification differ:");
	for (size_t i = 0; i < nr && i < ARRAY_SIZE(difference); i++)
		printf("  %s\n", host_difference_format(&difference[i], text, sizeof(text)));
	if (nr > ARRAY_SIZE(difference))
		printf("  and %zu more\n", nr - ARRAY_SIZE(difference));
}

/* The name appears only when the picture is whole. */
static int topology_write_svg(const struct survey *survey, const char *path, struct diag *diag)
{
	char *draft = NULL;
	int err = 0;
	FILE *to;

	if (asprintf(&draft, "%s.part", path) < 0)
		return diag_set(diag, -ENOMEM, path, "out of memory");
	to = fopen(draft, "we");
	if (!to) {
		err = -errno;
		goto out;
	}
	host_picture_write(to, &survey->isolation, &survey->names);
	if (ferror(to))
		err = -EIO;
	if (fclose(to) && !err)
		err = -errno;
	if (!err && rename(draft, path))
		err = -errno;
	if (err)
		unlink(draft);
out:
	free(draft);
	return err ? diag_set(diag, err, path, "cannot write the picture: %s", strerror(-err)) : 0;
}

#ifdef AIRLOCK_JSON
static json_t *topology_json_groups(const struct survey *survey)
{
	json_t *groups = json_array();

	for (size_t i = 0; i < survey->inventory.nr_functions; i++) {
		int group = survey->inventory.function[i].group;
		struct host_reason reason[TOPOLOGY_MAX_REASONS];
		json_t *members, *reasons;
		const int *member;
		char text[300];
		size_t nr = host_isolation_members(&survey->isolation, group, &member), k;

		if (group < 0 || member[0] != (int)i)
			continue;
		members = json_array();
		reasons = json_array();
		for (k = 0; k < nr; k++)
			json_array_append_new(
				members, json_string(survey->inventory.function[member[k]].name));
		nr = host_isolation_explain(&survey->isolation, group, reason, ARRAY_SIZE(reason));
		for (k = 0; k < nr && k < ARRAY_SIZE(reason); k++)
			json_array_append_new(reasons, json_string(host_reason_format(
							       &reason[k], text, sizeof(text))));
		json_array_append_new(groups, json_pack("{s:i, s:o, s:o}", "group", group,
							"members", members, "reasons", reasons));
	}
	return groups;
}

static int topology_print_json(const struct survey *survey)
{
	static const char *const kinds[] = {
		[HOST_DIFF_KERNEL_JOINS] = "kernel-joins",
		[HOST_DIFF_KERNEL_SPLITS] = "kernel-splits",
		[HOST_DIFF_CAN_REACH] = "can-reach",
	};
	struct host_difference difference[TOPOLOGY_MAX_DIFFERENCES];
	json_t *functions = json_array(), *differences = json_array();
	size_t nr =
		host_isolation_differences(&survey->isolation, difference, ARRAY_SIZE(difference));
	char text[300];

	for (size_t i = 0; i < survey->inventory.nr_functions; i++) {
		const struct host_function *f = &survey->inventory.function[i];
		int parent = survey->topology.node[i].parent;

		json_array_append_new(
			functions,
			json_pack("{s:s, s:s?, s:s, s:i, s:i}", "address", f->name, "parent",
				  parent == HOST_NONE ? NULL
						      : survey->inventory.function[parent].name,
				  "kind", host_config_port_name(&f->config), "group", f->group,
				  "numa_node", f->numa_node));
	}
	for (size_t i = 0; i < nr && i < ARRAY_SIZE(difference); i++)
		json_array_append_new(
			differences,
			json_pack("{s:s, s:s, s:s, s:s?, s:s}", "kind", kinds[difference[i].kind],
				  "a", difference[i].a->name, "b", difference[i].b->name, "at",
				  difference[i].at ? difference[i].at->name : NULL, "text",
				  host_difference_format(&difference[i], text, sizeof(text))));
	return survey_print_json(json_pack("{s:o, s:o, s:o}", "functions", functions, "groups",
					   topology_json_groups(survey), "differences",
					   differences));
}
#endif

static int topology_parse(const struct cli_command *self, int argc, char **argv,
			  struct topology_options *options)
{
	const struct cli_option words[] = {
		{ "host", CLI_TEXT, &options->file },
		{ "svg", CLI_TEXT, &options->svg },
		{ "json", CLI_JSON, &options->json },
	};
	int status;

	*options = (struct topology_options){ 0 };
	status = cli_options_read(self, argc, argv, words, ARRAY_SIZE(words));
	if (status || optind == argc)
		return status;
	return cli_usage_error(self,
			       "%s: the tree is shown whole; for one device: airlock devices %s",
			       argv[optind], argv[optind]);
}

static int topology_run(const struct cli_command *self, int argc, char **argv)
{
	struct topology_options options;
	struct diag diag = DIAG_INIT;
	struct survey survey;
	int status = topology_parse(self, argc, argv, &options);

	if (status)
		return status < 0 ? CLI_OK : status;
	if (survey_init(&survey, options.file, &diag))
		return cli_refuse(&diag);
	if (options.svg) {
		if (topology_write_svg(&survey, options.svg, &diag))
			status = cli_refuse(&diag);
		goto out;
	}
#ifdef AIRLOCK_JSON
	if (options.json) {
		status = topology_print_json(&survey);
		goto out;
	}
#endif
	topology_print_tree(&survey);
	topology_print_groups(&survey);
	topology_print_differences(&survey);
out:
	survey_fini(&survey);
	return status;
}

const struct cli_command cli_topology = {
	.name = "topology",
	.summary = "show the PCI tree, its IOMMU groups, and why each group is one",
	.run = topology_run,
	.usage =
		"usage: airlock topology [--svg FILE | --json] [--host FILE]\n\n"
		"Shows every PCI function below the port it is behind, with its IOMMU group, NUMA\n"
		"node and driver, and for ports whether ACS keeps what is below apart from its peers.\n"
		"Then, for each group of more than one, why its members belong together:\n\n"
		"  no ACS, ACS without ...  a port lets devices below it reach each other or its\n"
		"                           siblings without passing the IOMMU; the bits that are off\n"
		"                           are SV source validation, RR request redirect,\n"
		"                           CR completion redirect, UF upstream forwarding\n"
		"  conventional PCI         a bridge gives all below it one requester id\n"
		"  functions of a slot      can reach each other inside the device\n\n"
		"Last, where the kernel's groups differ from what the configuration shows or from\n"
		"what the PCI Express specification lets requests do: a vendor's quirk, the ACS\n"
		"override patch, or a port that turns requests around to an isolated sibling.\n\n"
		"  --svg FILE   write the tree as a picture instead\n"
#ifdef AIRLOCK_JSON
		"  --json       for programs\n"
#endif
		"  --host FILE  read a capture of another host (airlock host capture)\n\n"
		"examples:\n"
		"  airlock topology\n"
		"  airlock topology --svg /tmp/host.svg\n",
};
