// SPDX-License-Identifier: GPL-2.0-or-later
/* airlock vf: virtual functions made, listed and taken away. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assign/vf.h"
#include "base/bits.h"
#include "cli/options.h"
#include "cli/survey.h"

#define VF_MAX_LISTED 256

struct vf_options {
	bool own_namespaces, json;
	unsigned int accepted;
};

static void vf_format_namespaces(const struct assign_vf *vf, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < vf->nr_namespaces && i < ASSIGN_VF_MAX_NAMESPACES && used < size;
	     i++)
		used += (size_t)snprintf(buf + used, size - used, "%s%u", used ? "," : "",
					 vf->nsid[i]);
	if (!vf->namespaces_known)
		snprintf(buf, size, "?");
	else if (!used)
		snprintf(buf, size, "none");
	else if (used < size)
		snprintf(buf + used, size - used, "%s", vf->alone ? " alone" : " shared");
}

static void vf_print(const struct assign_vf *vf)
{
	char group[16] = "-", namespaces[96];

	if (vf->group >= 0)
		snprintf(group, sizeof(group), "%d", vf->group);
	printf("%-12s %5s %-12s", vf->name, group, vf->driver[0] ? vf->driver : "-");
	if (vf->has_controller) {
		vf_format_namespaces(vf, namespaces, sizeof(namespaces));
		printf(" %10u %-7s %6u %10u %s", vf->controller.id,
		       vf->controller.online ? "online" : "offline", vf->controller.queues,
		       vf->controller.interrupts, namespaces);
	}
	putchar('\n');
}

/* What a person must know before two VMs get two of these. */
static void vf_print_isolation(const struct assign_vf *vf, int nr)
{
	bool any = false, shared = false;

	for (int i = 0; i < nr; i++) {
		any |= vf[i].has_controller;
		shared |= vf[i].has_controller &&
			  (!vf[i].namespaces_known || (vf[i].nr_namespaces && !vf[i].alone));
	}
	if (any && shared)
		puts("no isolation at the media: virtual functions see the same namespaces, so one VM can "
		     "read\nand write another's data (--own-namespaces gives each its own)");
}

static int vf_list_one(struct sys *sys, const struct host_function *pf, struct diag *diag)
{
	struct assign_vf *vf = calloc(VF_MAX_LISTED, sizeof(*vf));
	int nr = vf ? assign_vf_list(sys, pf, vf, VF_MAX_LISTED, diag) : -ENOMEM;

	if (nr >= 0)
		printf("%s: %d of %u virtual functions%s\n", pf->name, nr, pf->sriov_total,
		       pf->driver[0] ? "" : " (no driver)");
	if (nr > 0)
		printf("%-12s %5s %-12s%s\n", "VF", "GROUP", "DRIVER",
		       vf[0].has_controller ? " CONTROLLER STATE   QUEUES INTERRUPTS NAMESPACES"
					    : "");
	for (int i = 0; i < nr; i++)
		vf_print(&vf[i]);
	vf_print_isolation(vf, nr);
	free(vf);
	return nr < 0 ? diag_set(diag, nr, pf->name, "cannot be listed: %s", strerror(-nr)) : 0;
}

/* `text` names the physical function; NULL: all that have SR-IOV. */
static int vf_list(const char *text, struct diag *diag)
{
	struct survey survey;
	bool any = false;
	int err = survey_init(&survey, NULL, diag);

	if (err)
		return err;
	if (text) {
		int index = survey_find(&survey, text, diag);

		err = index < 0 ? index
				: vf_list_one(&survey.sys, &survey.inventory.function[index], diag);
		goto out;
	}
	for (size_t i = 0; !err && i < survey.inventory.nr_functions; i++) {
		if (!survey.inventory.function[i].sriov_total)
			continue;
		if (any)
			putchar('\n');
		any = true;
		err = vf_list_one(&survey.sys, &survey.inventory.function[i], diag);
	}
	if (!any)
		puts("no function of this host has SR-IOV");
out:
	survey_fini(&survey);
	return err;
}

static int vf_create(struct assign_journal *journal, const char *text, const char *count,
		     const struct vf_options *options, struct diag *diag)
{
	struct assign_vf_create create = { .own_namespaces = options->own_namespaces };
	struct host_function pf;
	struct pci_address address;
	unsigned long nr;
	char *end;
	int err = host_address_resolve(journal->sys, text, &address, diag);

	if (!err)
		err = host_function_read(journal->sys, address, &pf, diag);
	if (err)
		return err;
	nr = strtoul(count, &end, 10);
	create.nr = end == count || *end || *count == '-' || nr > UINT16_MAX ? 0 : (unsigned int)nr;
	err = assign_vf_create(journal, &pf, &create, diag);
	if (!err)
		err = host_function_read(journal->sys, address, &pf, diag);
	return err ? err : vf_list_one(journal->sys, &pf, diag);
}

static int vf_destroy(struct assign_journal *journal, const char *text,
		      const struct vf_options *options, struct diag *diag)
{
	struct host_function pf;
	struct pci_address address;
	int err = host_address_resolve(journal->sys, text, &address, diag);

	if (!err)
		err = host_function_read(journal->sys, address, &pf, diag);
	if (!err)
		err = assign_vf_destroy(journal, &pf, options->accepted, diag);
	if (!err)
		printf("%s: %u virtual functions taken away\n", pf.name, pf.sriov_vfs);
	return err;
}

static int vf_run(const struct cli_command *self, int argc, char **argv)
{
	struct assign_journal journal;
	struct vf_options options = { 0 };
	const struct cli_option words[] = {
		{ "own-namespaces", CLI_FLAG, &options.own_namespaces },
		{ "accept", CLI_LOSS, &options.accepted },
	};
	struct diag diag = DIAG_INIT;
	struct sys sys = sys_real();
	int status = cli_options_read(self, argc, argv, words, ARRAY_SIZE(words)), nr, err;
	bool create, destroy;

	if (status)
		return status < 0 ? CLI_OK : status;
	argv += optind;
	nr = argc - optind;
	if (!nr)
		return cli_usage_error(self, "what to do is missing: list, create or destroy");
	create = !strcmp(argv[0], "create") && nr == 3;
	destroy = !strcmp(argv[0], "destroy") && nr == 2;
	if (!strcmp(argv[0], "list") && nr <= 2)
		return vf_list(nr == 2 ? argv[1] : NULL, &diag) ? cli_refuse(&diag) : CLI_OK;
	if (!create && !destroy)
		return cli_usage_error(self, "say: list [PF], create PF N, or destroy PF");
	if (assign_journal_open(&sys, &journal, &diag))
		return cli_refuse(&diag);
	if (create)
		err = vf_create(&journal, argv[1], argv[2], &options, &diag);
	else
		err = vf_destroy(&journal, argv[1], &options, &diag);
	assign_journal_close(&journal);
	return err ? cli_refuse(&diag) : CLI_OK;
}

const struct cli_command cli_vf = {
	.name = "vf",
	.summary = "make, list and take away virtual functions (SR-IOV)",
	.run = vf_run,
	.usage =
		"usage: airlock vf list [PF]\n"
		"       airlock vf create PF N [--own-namespaces]\n"
		"       airlock vf destroy PF [--accept LOSS]...\n\n"
		"A device with SR-IOV can be split into virtual functions, each for a VM of its own.\n"
		"create makes N of them on the physical function PF, without a host driver, ready for\n"
		"airlock bind. On an NVMe drive it also shares out the drive's queues and interrupts\n"
		"and brings each controller online. All of them see the host's namespaces then: there\n"
		"is no isolation at the media, unless each gets a namespace of its own.\n\n"
		"  --own-namespaces  each sees one namespace that no other controller sees; the drive\n"
		"                    must have that many that nobody uses (nvme create-ns)\n"
		"  --accept LOSS     take them away although the host uses one: lose-filesystem,\n"
		"                    lose-swap, lose-volume, lose-network\n\n"
		"destroy also clears up after a create that was killed half-way. What a VM has open is\n"
		"refused.\n\n"
		"examples:\n"
		"  airlock vf create 01:00.0 4 --own-namespaces\n"
		"  airlock bind 01:00.1\n",
};
