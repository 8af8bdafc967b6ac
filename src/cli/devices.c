// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "cli/options.h"
#include "cli/survey.h"
#include "host/group.h"
#include "host/text.h"
#include "host/verdict.h"

#define DEVICES_MAX_REASONS 16

struct devices_options {
	const char *file;
	const char *driver;
	const char *class;
	int group, node;
	bool json, assignable, vfs;
};

/* Listing. */

static bool devices_wanted(const struct survey *survey, const struct devices_options *options,
			   int index)
{
	const struct host_function *f = &survey->inventory.function[index];
	enum host_verdict verdict;
	char class[8];

	if (options->group >= 0 && f->group != options->group)
		return false;
	if (options->node >= 0 && f->numa_node != options->node)
		return false;
	if (options->driver && strcmp(options->driver, f->driver[0] ? f->driver : "none"))
		return false;
	snprintf(class, sizeof(class), "%06x", f->class_code);
	if (options->class && strncasecmp(class, options->class, strlen(options->class)))
		return false;
	if (options->vfs && !f->is_vf)
		return false;
	if (!options->assignable)
		return true;
	verdict = host_verdict_of(&survey->isolation, index).verdict;
	return verdict == HOST_VERDICT_READY || verdict == HOST_VERDICT_BIND ||
	       verdict == HOST_VERDICT_GROUP;
}

static const char *devices_number(int value, char *buf, size_t size)
{
	if (value < 0)
		return "-";
	snprintf(buf, size, "%d", value);
	return buf;
}

static const char *devices_reset(const struct host_function *f)
{
	if (f->reset[0])
		return f->reset;
	return f->unknown & HOST_UNKNOWN_RESET ? "?" : "none";
}

static void devices_print_row(const struct survey *survey, int index)
{
	const struct host_function *f = &survey->inventory.function[index];
	char group[16], node[16], vfs[16] = "-", msix[16] = "-", bars[64], link[40], name[160];
	struct host_verdict_detail detail = host_verdict_of(&survey->isolation, index);
	size_t used;

	if (f->sriov_total)
		snprintf(vfs, sizeof(vfs), "%u/%u", f->sriov_vfs, f->sriov_total);
	else if (f->is_vf)
		snprintf(vfs, sizeof(vfs), "vf");
	if (!f->config.visible)
		snprintf(msix, sizeof(msix), "?");
	else if (f->config.msix_vectors)
		snprintf(msix, sizeof(msix), "%u", f->config.msix_vectors);
	survey_bars_format(f, bars, sizeof(bars));
	survey_link_format(&f->config, link, sizeof(link));
	host_names_class(&survey->names, f->class_code, name, sizeof(name) / 3);
	used = strlen(name);
	used += (size_t)snprintf(name + used, sizeof(name) - used, ": ");
	host_names_vendor(&survey->names, f->vendor, name + used, sizeof(name) / 3);
	used += strlen(name + used);
	name[used++] = ' ';
	host_names_device(&survey->names, f->vendor, f->device, name + used, sizeof(name) - used);
	printf("%-12s %-8s %5s %4s %-15s %-14s %6s %5s %-14s %-12s %s\n", f->name,
	       host_verdict_word(detail.verdict), devices_number(f->group, group, sizeof(group)),
	       devices_number(f->numa_node, node, sizeof(node)), f->driver[0] ? f->driver : "-",
	       devices_reset(f), vfs, msix, bars, link[0] ? link : "-", name);
}

static void devices_print_notes(const struct survey *survey)
{
	bool bind = false, group = false, no_iommu = false, unseen = false;

	for (size_t i = 0; i < survey->inventory.nr_functions; i++) {
		enum host_verdict verdict = host_verdict_of(&survey->isolation, (int)i).verdict;

		bind |= verdict == HOST_VERDICT_BIND;
		group |= verdict == HOST_VERDICT_GROUP;
		no_iommu |= verdict == HOST_VERDICT_NO_IOMMU;
		unseen |= !survey->inventory.function[i].config.visible;
	}
	if (bind)
		puts("bind: can be given to a VM once bound to vfio-pci: airlock bind DEVICE");
	if (group)
		puts("group: other members of its group are used by the host: airlock bind DEVICE "
		     "--group");
	if (no_iommu)
		puts("no-iommu: nothing confines its DMA: airlock check says why");
	if (unseen)
		puts("?: not visible to this user; root sees all");
	if (survey->inventory.nr_vanished)
		printf("%zu device%s went away while the list was read\n",
		       survey->inventory.nr_vanished,
		       survey->inventory.nr_vanished == 1 ? "" : "s");
}

static int devices_list(const struct survey *survey, const struct devices_options *options)
{
	size_t shown = 0;

	for (size_t i = 0; i < survey->inventory.nr_functions; i++) {
		if (!devices_wanted(survey, options, (int)i))
			continue;
		if (!shown++)
			printf("%-12s %-8s %5s %4s %-15s %-14s %6s %5s %-14s %-12s %s\n", "ADDRESS",
			       "ASSIGN", "GROUP", "NODE", "DRIVER", "RESET", "VFS", "MSI-X", "BARS",
			       "LINK", "NAME");
		devices_print_row(survey, (int)i);
	}
	if (!shown) {
		puts("no PCI function matches");
		return CLI_OK;
	}
	putchar('\n');
	devices_print_notes(survey);
	return CLI_OK;
}

/* One device in detail. */

static void devices_print_bar(const char *label, const struct host_bar *bar)
{
	static const char *const kinds[] = {
		[HOST_BAR_NONE] = "",
		[HOST_BAR_IO] = "I/O ports",
		[HOST_BAR_MEM32] = "32-bit memory",
		[HOST_BAR_MEM64] = "64-bit memory",
	};
	char size[HOST_SIZE_TEXT];

	if (bar->kind == HOST_BAR_NONE)
		return;
	printf("  %-14s %s, %s%s", label, host_size_format(bar->len, size), kinds[bar->kind],
	       bar->prefetchable ? ", prefetchable" : "");
	if (bar->assigned)
		printf(", at 0x%llx\n", (unsigned long long)bar->base);
	else
		puts(", not assigned an address");
}

static void devices_print_interrupts(const struct host_function *f)
{
	if (!f->config.visible) {
		puts("  interrupts     not visible to this user");
		return;
	}
	printf("  interrupts     ");
	if (f->config.msix_vectors)
		printf("MSI-X with %u vectors; ", f->config.msix_vectors);
	if (f->config.msi_vectors)
		printf("MSI with %u; ", f->config.msi_vectors);
	if (f->config.interrupt_pin && f->config.interrupt_pin <= 4)
		printf("INT%c\n", 'A' + f->config.interrupt_pin - 1);
	else
		puts("no INTx");
}

static void devices_print_sharing(const struct host_function *f)
{
	char name[PCI_ADDRESS_TEXT];

	if (f->is_vf)
		printf("  SR-IOV         a virtual function of %s\n",
		       pci_address_format(f->physfn, name));
	else if (f->sriov_total)
		printf("  SR-IOV         %u of %u virtual functions made\n", f->sriov_vfs,
		       f->sriov_total);
	if (f->config.acs) {
		char cap[HOST_ACS_TEXT], control[HOST_ACS_TEXT];

		printf("  ACS            can %s; on: %s\n", host_acs_format(f->config.acs_cap, cap),
		       host_acs_format(f->config.acs_control, control));
	}
	if (f->config.ats)
		printf("  ATS            %s%s%s\n", f->config.ats_enabled ? "on" : "off",
		       f->config.pri ? ", PRI" : "", f->config.pasid ? ", PASID" : "");
}

static void devices_print_group(struct survey *survey, const struct host_function *f)
{
	struct host_reason reason[DEVICES_MAX_REASONS];
	char unit[32], text[256];
	struct host_group group;
	size_t nr;

	if (f->group < 0) {
		puts("  IOMMU group    none");
		return;
	}
	printf("  IOMMU group    %d", f->group);
	if (!host_iommu_of(&survey->sys, f->address, unit, sizeof(unit)))
		printf(" behind %s", unit);
	if (host_group_read(&survey->sys, f->group, &group, NULL)) {
		putchar('\n');
		return;
	}
	printf("%s%s\n", group.type[0] ? ", default domain " : "", group.type);
	for (size_t i = 0; i < group.nr_members; i++)
		printf("    member       %s %s\n", group.member[i].name,
		       group.member[i].driver[0] ? group.member[i].driver : "-");
	nr = host_isolation_explain(&survey->isolation, f->group, reason, ARRAY_SIZE(reason));
	for (size_t i = 0; i < nr && i < ARRAY_SIZE(reason); i++)
		printf("    because      %s\n", host_reason_format(&reason[i], text, sizeof(text)));
	for (size_t i = 0; i < group.nr_reserved; i++)
		printf("    reserved     0x%llx-0x%llx %s\n",
		       (unsigned long long)group.reserved[i].iova.first,
		       (unsigned long long)group.reserved[i].iova.last,
		       host_reserved_name(group.reserved[i].kind));
	host_group_fini(&group);
}

static int devices_show(struct survey *survey, int index)
{
	const struct host_function *f = &survey->inventory.function[index];
	struct host_verdict_detail detail = host_verdict_of(&survey->isolation, index);
	char vendor[80], device[80], class[80], text[320], label[16], node[16];

	printf("%s %s: %s %s [%04x:%04x] rev %02x\n", f->name,
	       host_names_class(&survey->names, f->class_code, class, sizeof(class)),
	       host_names_vendor(&survey->names, f->vendor, vendor, sizeof(vendor)),
	       host_names_device(&survey->names, f->vendor, f->device, device, sizeof(device)),
	       f->vendor, f->device, f->revision);
	printf("  assign         %s\n", host_verdict_format(f, &detail, text, sizeof(text)));
	printf("  driver         %s\n", f->driver[0] ? f->driver : "none");
	printf("  subsystem      %04x:%04x\n", f->subsystem_vendor, f->subsystem_device);
	printf("  kind           %s\n",
	       f->config.visible ? host_config_port_name(&f->config) : "not visible to this user");
	survey_link_format(&f->config, text, sizeof(text));
	if (text[0])
		printf("  link           %s\n", text);
	printf("  NUMA node      %s\n", devices_number(f->numa_node, node, sizeof(node)));
	printf("  reset          %s\n", devices_reset(f));
	devices_print_interrupts(f);
	for (size_t i = 0; i < HOST_NR_BARS; i++) {
		snprintf(label, sizeof(label), "BAR %zu", i);
		devices_print_bar(label, &f->bar[i]);
	}
	devices_print_bar("ROM", &f->rom);
	devices_print_sharing(f);
	devices_print_group(survey, f);
	return CLI_OK;
}

#ifdef AIRLOCK_JSON
static json_t *devices_json_bar(const struct host_bar *bar)
{
	return json_pack("{s:s, s:I, s:b, s:I}", "kind",
			 bar->kind == HOST_BAR_IO      ? "io"
			 : bar->kind == HOST_BAR_MEM32 ? "mem32"
						       : "mem64",
			 "size", (json_int_t)bar->len, "prefetchable", bar->prefetchable, "base",
			 (json_int_t)bar->base);
}

static json_t *devices_json_or_null(int value)
{
	return value < 0 ? json_null() : json_integer(value);
}

static json_t *devices_json(const struct survey *survey, int index)
{
	const struct host_function *f = &survey->inventory.function[index];
	struct host_verdict_detail detail = host_verdict_of(&survey->isolation, index);
	char vendor[80], device[80], class[80], link[40], text[320], physfn[PCI_ADDRESS_TEXT];
	json_t *bars = json_array(), *out;

	for (size_t i = 0; i < HOST_NR_BARS; i++)
		json_array_append_new(bars, f->bar[i].kind == HOST_BAR_NONE
						    ? json_null()
						    : devices_json_bar(&f->bar[i]));
	out = json_pack(
		"{s:s, s:s, s:s, s:i, s:i, s:i, s:s?, s:s?, s:s?, s:s?, s:o, s:o}", "address",
		f->name, "assign", host_verdict_word(detail.verdict), "detail",
		host_verdict_format(f, &detail, text, sizeof(text)), "vendor_id", f->vendor,
		"device_id", f->device, "class", (int)f->class_code, "class_name",
		host_names_class(&survey->names, f->class_code, class, sizeof(class)),
		"vendor_name", host_names_vendor(&survey->names, f->vendor, vendor, sizeof(vendor)),
		"device_name",
		host_names_device(&survey->names, f->vendor, f->device, device, sizeof(device)),
		"driver", f->driver[0] ? f->driver : NULL, "group", devices_json_or_null(f->group),
		"numa_node", devices_json_or_null(f->numa_node));
	if (!out) {
		json_decref(bars);
		return NULL;
	}
	json_object_set_new(out, "reset",
			    f->unknown & HOST_UNKNOWN_RESET ? json_null() : json_string(f->reset));
	json_object_set_new(out, "physfn",
			    f->is_vf ? json_string(pci_address_format(f->physfn, physfn))
				     : json_null());
	json_object_set_new(out, "sriov_total", json_integer(f->sriov_total));
	json_object_set_new(out, "sriov_vfs", json_integer(f->sriov_vfs));
	json_object_set_new(out, "msi_vectors",
			    f->config.visible ? json_integer(f->config.msi_vectors) : json_null());
	json_object_set_new(out, "msix_vectors",
			    f->config.visible ? json_integer(f->config.msix_vectors) : json_null());
	json_object_set_new(out, "bars", bars);
	json_object_set_new(out, "rom",
			    f->rom.kind == HOST_BAR_NONE ? json_null() : devices_json_bar(&f->rom));
	survey_link_format(&f->config, link, sizeof(link));
	json_object_set_new(out, "link", link[0] ? json_string(link) : json_null());
	return out;
}

static int devices_print_json(const struct survey *survey, const struct devices_options *options,
			      const int *wanted, size_t nr_wanted)
{
	json_t *list = json_array();

	for (size_t i = 0; i < nr_wanted; i++)
		json_array_append_new(list, devices_json(survey, wanted[i]));
	for (size_t i = 0; !nr_wanted && i < survey->inventory.nr_functions; i++)
		if (devices_wanted(survey, options, (int)i))
			json_array_append_new(list, devices_json(survey, (int)i));
	return survey_print_json(list);
}
#endif

static int devices_parse(const struct cli_command *self, int argc, char **argv,
			 struct devices_options *options)
{
	const struct cli_option words[] = {
		{ "host", CLI_TEXT, &options->file },
		{ "group", CLI_NUMBER, &options->group },
		{ "node", CLI_NUMBER, &options->node },
		{ "driver", CLI_TEXT, &options->driver },
		{ "class", CLI_TEXT, &options->class },
		{ "assignable", CLI_FLAG, &options->assignable },
		{ "vf", CLI_FLAG, &options->vfs },
		{ "json", CLI_JSON, &options->json },
	};
	const char *class;
	int status;

	*options = (struct devices_options){ .group = -1, .node = -1 };
	status = cli_options_read(self, argc, argv, words, ARRAY_SIZE(words));
	class = options->class;
	if (!status && class &&
	    (!*class || strlen(class) > 6 ||
	     strspn(class, "0123456789abcdefABCDEF") != strlen(class)))
		return cli_usage_error(self, "--class %s: not 1 to 6 hexadecimal digits", class);
	return status;
}

static int devices_run(const struct cli_command *self, int argc, char **argv)
{
	struct devices_options options;
	struct diag diag = DIAG_INIT;
	struct survey survey;
	int status = devices_parse(self, argc, argv, &options), *wanted = NULL;
	size_t nr;

	if (status)
		return status < 0 ? CLI_OK : status;
	nr = (size_t)(argc - optind);
	if (survey_init(&survey, options.file, &diag))
		return cli_refuse(&diag);
	wanted = calloc(nr + 1, sizeof(*wanted));
	if (!wanted) {
		diag_set(&diag, -ENOMEM, "devices", "out of memory");
		status = cli_refuse(&diag);
		goto out;
	}
	for (size_t i = 0; i < nr; i++) {
		wanted[i] = survey_find(&survey, argv[optind + (int)i], &diag);
		if (wanted[i] < 0) {
			status = cli_refuse(&diag);
			goto out;
		}
	}
#ifdef AIRLOCK_JSON
	if (options.json) {
		status = devices_print_json(&survey, &options, wanted, nr);
		goto out;
	}
#endif
	if (!nr)
		status = devices_list(&survey, &options);
	for (size_t i = 0; i < nr; i++) {
		if (i)
			putchar('\n');
		devices_show(&survey, wanted[i]);
	}
out:
	free(wanted);
	survey_fini(&survey);
	return status;
}

const struct cli_command cli_devices = {
	.name = "devices",
	.summary = "list the PCI functions of this host and what stands in the way of each",
	.run = devices_run,
	.usage =
		"usage: airlock devices [OPTION...] [DEVICE...]\n\n"
		"Lists every PCI function of this host: whether it can be given to a VM now (ASSIGN),\n"
		"its IOMMU group, NUMA node, driver, ways to reset it, virtual functions made and\n"
		"possible, MSI-X vectors, memory BARs and link. With DEVICE, shows that one in full:\n"
		"the members of its group and why they belong together, reserved regions, ACS.\n\n"
		"  DEVICE is an address: 0000:03:00.0, or in short 03:00.0 or 3:0\n\n"
		"  --assignable     only what a VM could be given\n"
		"  --group N        only this IOMMU group\n"
		"  --node N         only this NUMA node\n"
		"  --driver NAME    only what is bound to this driver; \"none\" for no driver\n"
		"  --class HEX      only this class, or classes that begin so: 01, 0108, 010802\n"
		"  --vf             only virtual functions\n"
		"  --host FILE      read a capture of another host (airlock host capture)\n"
#ifdef AIRLOCK_JSON
		"  --json           for programs\n"
#endif
		"\nASSIGN is one of\n"
		"  ready     bound to vfio-pci, and nothing else of its group is used by the host\n"
		"  bind      only its own driver is in the way: airlock bind DEVICE\n"
		"  group     others of its group are used by the host: airlock bind DEVICE --group\n"
		"  bridge    carries other functions and stays with the host\n"
		"  no-iommu  nothing would confine its DMA: airlock check says why\n"
		"  unknown   could not be read\n\n"
		"examples:\n"
		"  airlock devices --assignable\n"
		"  airlock devices 03:00.0\n",
};
