// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>

#include "cli/command.h"
#include "host/pci.h"

static int devices_run(const struct cli_command *self, int argc, char **argv)
{
	struct host_inventory inventory;
	struct diag diag = DIAG_INIT;
	struct sys sys = sys_real();

	if (argc > 1)
		return cli_usage_error(self, "%s: this command takes no words", argv[1]);
	if (host_inventory_read(&sys, &inventory, &diag))
		return cli_refuse(&diag);
	for (size_t i = 0; i < inventory.nr_functions; i++) {
		const struct host_function *f = &inventory.function[i];
		char group[16] = "-";

		if (f->group >= 0)
			snprintf(group, sizeof(group), "%d", f->group);
		printf("%-13s %04x:%04x  class %06x  group %-4s driver %s\n", f->name, f->vendor,
		       f->device, f->class_code, group, f->driver[0] ? f->driver : "-");
	}
	host_inventory_fini(&inventory);
	return CLI_OK;
}

const struct cli_command cli_devices = {
	.name = "devices",
	.summary = "list the PCI functions of this host",
	.run = devices_run,
	.usage = "usage: airlock devices\n\n"
		 "Lists every PCI function of this host: its address, IDs, class, IOMMU group and\n"
		 "the driver it is bound to.\n",
};
