// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/survey.h"
#include "host/audit.h"
#include "host/group.h"

/* Reads all that devices, topology and check would read, so that all of it is recorded. */
static int host_read_all(struct sys *sys, struct diag *diag)
{
	struct host_inventory inventory;
	struct host_topology topology = { 0 };
	struct host_isolation isolation = { 0 };
	struct host_audit audit = { 0 };
	int err = host_inventory_read(sys, &inventory, diag);

	if (err)
		return err;
	err = host_topology_init(&topology, &inventory);
	if (!err)
		err = host_isolation_init(&isolation, &topology);
	if (!err)
		err = host_audit_run(&audit, &(struct host_audit_input){ .sys = sys,
									 .isolation = &isolation });
	for (size_t i = 0; !err && i < inventory.nr_functions; i++) {
		char unit[32];

		host_iommu_of(sys, inventory.function[i].address, unit, sizeof(unit));
	}
	if (err)
		diag_set(diag, err, "host", "out of memory");
	host_audit_fini(&audit);
	host_isolation_fini(&isolation);
	host_topology_fini(&topology);
	host_inventory_fini(&inventory);
	return err;
}

static int host_capture(const char *path, struct diag *diag)
{
	struct host_capture *capture = host_capture_create();
	struct sys real = sys_real(), recorder;
	int err;

	if (!capture)
		return diag_set(diag, -ENOMEM, path, "out of memory");
	recorder = host_capture_recorder(capture, &real);
	err = host_read_all(&recorder, diag);
	if (!err)
		err = host_capture_save(capture, path, diag);
	host_capture_destroy(capture);
	return err;
}

static int host_run(const struct cli_command *self, int argc, char **argv)
{
	struct diag diag = DIAG_INIT;

	if (argc < 2)
		return cli_usage_error(self, "what to do is missing: capture FILE");
	if (strcmp(argv[1], "capture"))
		return cli_usage_error(self, "%s: the only thing to do is: capture FILE", argv[1]);
	if (argc != 3 || argv[2][0] == '-')
		return cli_usage_error(self, "capture takes one word, the file to write");
	if (host_capture(argv[2], &diag))
		return cli_refuse(&diag);
	return CLI_OK;
}

const struct cli_command cli_host = {
	.name = "host",
	.summary = "save what this host shows in one file, to examine it elsewhere",
	.run = host_run,
	.usage =
		"usage: airlock host capture FILE\n\n"
		"Writes all that airlock devices, topology and check read from this host into one\n"
		"small text file. On any machine, then:\n\n"
		"  airlock devices --host FILE\n"
		"  airlock topology --host FILE\n"
		"  airlock check --host FILE\n\n"
		"As root the capture is whole; else what this user cannot see stays unknown. The file\n"
		"holds PCI identities and configuration space, IOMMU groups, the kernel command line,\n"
		"memory sizes and the kernel log's lines about the IOMMU; nothing of processes, disks\n"
		"or networks. It is plain text: look before you send it.\n",
};
