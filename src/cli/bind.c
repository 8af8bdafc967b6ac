// SPDX-License-Identifier: GPL-2.0-or-later
/* airlock bind and airlock release: devices from the host's drivers to vfio-pci, and back. */
#include <errno.h>
#include <getopt.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "assign/bind.h"
#include "base/bits.h"
#include "cli/options.h"
#include "cli/survey.h"

#define MODPROBE      "/sbin/modprobe"
#define BOOT_PAUSE_US 100000
#define BOOT_PATIENCE 300 /* pauses: half a minute */

static void bind_print_moved(void *opaque, const char *name, const char *from, const char *to)
{
	printf("%s: %s -> %s\n", name, from[0] ? from : "no driver", to[0] ? to : "no driver");
	/* A kill must not take the lines of what has been done with it. */
	fflush(stdout);
}

/* Failing is no refusal yet: assign_bind() looks whether the driver is there. */
static void bind_load_driver(void)
{
	char *const argv[] = { (char[]){ "modprobe" }, (char[]){ "-q" }, (char[]){ "vfio-pci" },
			       NULL };
	char *const environment[] = { NULL };
	pid_t pid;
	int status;

	if (access("/sys/bus/pci/drivers/vfio-pci", F_OK) == 0)
		return;
	if (!posix_spawn(&pid, MODPROBE, NULL, NULL, argv, environment))
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
}

struct bind_options {
	bool group;
	bool persist;
	const char *boot; /* the driver that a function belongs to, in a rule made by --persist */
	bool recover;
	bool all;
	unsigned int accepted;
};

static int bind_persist(struct assign_journal *journal, const struct assign_bind *bind,
			struct diag *diag)
{
	char program[1024];
	ssize_t len = journal->sys->ops->read_link(journal->sys, SYS_TREE_PROC, "self/exe", program,
						   sizeof(program));

	if (len < 0)
		return diag_set(diag, (int)len, "/proc/self/exe",
				"cannot tell which program this "
				"is: %s",
				strerror((int)-len));
	return assign_bind_persist(journal, bind, program, diag);
}

static int bind_devices(struct assign_journal *journal, const struct bind_options *options,
			char **text, size_t nr, struct diag *diag)
{
	struct assign_bind bind = {
		.nr_devices = nr,
		.group = options->group,
		.accepted = options->accepted,
		.boot_driver = !options->boot			? NULL
			       : !strcmp(options->boot, "none") ? ""
								: options->boot,
	};
	int *device = calloc(nr, sizeof(*device)), err;
	struct survey survey;

	if (!device)
		return diag_set(diag, -ENOMEM, "bind", "out of memory");
	err = survey_init(&survey, NULL, diag);
	if (err)
		goto out;
	for (size_t i = 0; !err && i < nr; i++) {
		device[i] = survey_find(&survey, text[i], diag);
		err = device[i] < 0 ? device[i] : 0;
	}
	bind.isolation = &survey.isolation;
	bind.device = device;
	if (!err)
		err = assign_bind(journal, &bind, bind_print_moved, NULL, diag);
	if (!err && options->persist)
		err = bind_persist(journal, &bind, diag);
	survey_fini(&survey);
out:
	free(device);
	return err;
}

static int bind_run(const struct cli_command *self, int argc, char **argv)
{
	struct bind_options options = { 0 };
	const struct cli_option words[] = {
		{ "group", CLI_FLAG, &options.group },
		{ "accept", CLI_LOSS, &options.accepted },
		{ "persist", CLI_FLAG, &options.persist },
		{ "boot", CLI_TEXT, &options.boot },
	};
	struct assign_journal journal;
	struct diag diag = DIAG_INIT;
	struct sys sys = sys_real();
	int status = cli_options_read(self, argc, argv, words, ARRAY_SIZE(words)), err;

	if (status)
		return status < 0 ? CLI_OK : status;
	if (optind == argc)
		return cli_usage_error(self, "the device is missing");
	err = assign_journal_open(&sys, &journal, &diag);
	/* At boot all devices come at once, each with its own process. */
	for (int i = 0; options.boot && err == -EAGAIN && i < BOOT_PATIENCE; i++) {
		usleep(BOOT_PAUSE_US);
		diag_clear(&diag);
		err = assign_journal_open(&sys, &journal, &diag);
	}
	if (err)
		return cli_refuse(&diag);
	bind_load_driver();
	err = bind_devices(&journal, &options, argv + optind, (size_t)(argc - optind), &diag);
	assign_journal_close(&journal);
	return err ? cli_refuse(&diag) : CLI_OK;
}

/* Addresses of the devices named, with --group of their groups' members that the journal has. */
static int release_collect(struct assign_journal *journal, const struct bind_options *options,
			   char **text, size_t nr, struct pci_address *address,
			   size_t *nr_addresses, struct diag *diag)
{
	struct survey survey;
	int err = survey_init(&survey, NULL, diag);

	if (err)
		return err;
	*nr_addresses = 0;
	for (size_t i = 0; !err && i < nr; i++) {
		int index = survey_find(&survey, text[i], diag), group;
		const int *member;
		size_t nr_members;

		if (index < 0) {
			err = index;
			break;
		}
		address[(*nr_addresses)++] = survey.inventory.function[index].address;
		group = survey.inventory.function[index].group;
		if (!options->group || group < 0)
			continue;
		nr_members = host_isolation_members(&survey.isolation, group, &member);
		for (size_t k = 0; k < nr_members; k++) {
			const struct host_function *f = &survey.inventory.function[member[k]];

			if (member[k] != index && assign_journal_find(journal, f->address))
				address[(*nr_addresses)++] = f->address;
		}
	}
	survey_fini(&survey);
	return err;
}

static int release_devices(struct assign_journal *journal, const struct bind_options *options,
			   char **text, size_t nr, struct diag *diag)
{
	/* Each device named brings at most all that the journal has. */
	struct pci_address *address =
		calloc((nr + 1) * (journal->nr_records + 1), sizeof(*address));
	size_t nr_addresses = 0;
	int err = 0;

	if (!address)
		return diag_set(diag, -ENOMEM, "release", "out of memory");
	if (options->all)
		for (size_t i = 0; i < journal->nr_records; i++)
			address[nr_addresses++] = journal->record[i].address;
	else
		err = release_collect(journal, options, text, nr, address, &nr_addresses, diag);
	if (!err)
		err = assign_release(journal, address, nr_addresses, bind_print_moved, NULL, diag);
	free(address);
	return err;
}

static int release_run(const struct cli_command *self, int argc, char **argv)
{
	struct bind_options options = { 0 };
	const struct cli_option words[] = {
		{ "group", CLI_FLAG, &options.group },
		{ "recover", CLI_FLAG, &options.recover },
		{ "all", CLI_FLAG, &options.all },
	};
	struct assign_journal journal;
	struct diag diag = DIAG_INIT;
	struct sys sys = sys_real();
	int status = cli_options_read(self, argc, argv, words, ARRAY_SIZE(words)), err;
	size_t nr;

	if (status)
		return status < 0 ? CLI_OK : status;
	if ((optind < argc) + options.recover + options.all != 1)
		return cli_usage_error(self, "name devices, or --all, or --recover");
	if (assign_journal_open(&sys, &journal, &diag))
		return cli_refuse(&diag);
	if (options.recover) {
		err = assign_recover(&journal, &nr, bind_print_moved, NULL, &diag);
		if (!err && !nr)
			puts("nothing was left half-way");
	} else {
		err = release_devices(&journal, &options, argv + optind, (size_t)(argc - optind),
				      &diag);
	}
	assign_journal_close(&journal);
	return err ? cli_refuse(&diag) : CLI_OK;
}

const struct cli_command cli_bind = {
	.name = "bind",
	.summary = "take devices from the host's drivers, for VMs",
	.run = bind_run,
	.usage =
		"usage: airlock bind DEVICE... [--group] [--persist] [--accept LOSS]...\n\n"
		"Binds devices to vfio-pci, so that airlock run --device vfio,host=DEVICE can take\n"
		"them, and remembers where each came from: airlock release gives it back to that very\n"
		"driver. An IOMMU group is given to a VM whole or not at all, so a device whose\n"
		"siblings the host uses is refused, unless --group takes them along. It ends with the\n"
		"next boot, or with --persist comes back at each.\n\n"
		"  --group        bind the other devices of the group too\n"
		"  --persist      bind them at every boot, by a udev rule for each that runs this command:\n"
		"                 /etc/udev/rules.d/60-airlock-DEVICE.rules; release removes it\n"
		"  --accept LOSS  bind although the host uses the device; LOSS names what is lost:\n"
		"                 lose-filesystem, lose-swap, lose-volume (md, LVM, dm-crypt),\n"
		"                 lose-network, lose-console, lose-vfs\n\n"
		"If something fails, what was done is undone. If the command is killed half-way,\n"
		"airlock release --recover does that.\n\n"
		"examples:\n"
		"  airlock bind 03:00.0\n"
		"  airlock bind 01:00.0 --group      a graphics card and its audio function\n",
};

const struct cli_command cli_release = {
	.name = "release",
	.summary = "give devices back to the drivers they came from",
	.run = release_run,
	.usage =
		"usage: airlock release DEVICE... [--group]\n"
		"       airlock release --all\n"
		"       airlock release --recover\n\n"
		"Gives devices that airlock bind took back to the drivers they came from, and removes the\n"
		"rules of --persist. A device that a VM has open is refused.\n\n"
		"  --group    the other devices of the group too\n"
		"  --all      everything that was taken\n"
		"  --recover  what a bind or release that was killed had left half-way\n",
};
