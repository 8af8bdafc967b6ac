// SPDX-License-Identifier: GPL-2.0-or-later
/* --device switch: a PCI Express switch, whose ports keep devices apart or do not. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "machine/board.h"
#include "machine/devices.h"
#include "machine/plan.h"

static int switch_class_config(struct spec *spec, struct pci_switch_config *config,
			       struct diag *diag)
{
	uint64_t ports = BOARD_SWITCH_PORTS;
	int err;

	*config = (struct pci_switch_config){ .id = spec_text(spec, "id"), .acs = true };
	if (!config->id || !*config->id || *config->id == '.' || !strcmp(config->id, "pcie.0"))
		return diag_set(diag, -EINVAL, spec->whole,
				"a switch needs an id=, not pcie.0 nor one that begins with a "
				"dot: bus=ID.0, ID.1 ... name its ports");
	err = spec_number(spec, "ports", 32, &ports, diag);
	if (!err && !ports)
		return diag_set(diag, -EINVAL, spec->whole, "a switch has 1 to 32 ports");
	config->nr_ports = (unsigned int)ports;
	return err ? err : spec_bool(spec, "acs", &config->acs, diag);
}

static int switch_class_plan(struct plan *plan, struct spec *spec, struct diag *diag)
{
	struct pci_switch_config config;
	int err = switch_class_config(spec, &config, diag);

	if (!err)
		err = board_plan(plan, spec, false, diag);
	for (unsigned int i = 0; i < config.nr_ports && !err; i++) {
		char id[64];

		snprintf(id, sizeof(id), "%s.%u", config.id, i);
		err = plan_bus(plan, id, diag);
	}
	if (!err)
		plan_note(plan, "switch %s, %u ports%s", config.id, config.nr_ports,
			  config.acs ? "" : " without ACS");
	return err;
}

static int switch_class_create(struct vm *vm, struct spec *spec, struct diag *diag)
{
	struct pci_switch_config config;
	struct pci_bus *bus;
	int err = switch_class_config(spec, &config, diag);

	if (err)
		return err;
	config.platform = board_platform(vm, spec);
	err = board_find_place(vm, spec, config.platform, false, &bus, diag);
	if (err)
		return err;
	config.slot_number = (uint8_t)(vm->board->nr_ports + 1);
	err = pci_switch_create(vm->board->fabric, &config, bus, diag);
	if (!err)
		vm->board->nr_ports += config.nr_ports;
	return err;
}

const struct device_class device_class_switch = {
	.name = "switch",
	.summary = "a PCI Express switch to put devices behind",
	.keys = "id=NAME             what bus=NAME.0, NAME.1 ... name the ports by\n" BOARD_KEYS
		"ports=N             downstream ports; default 2\n"
		"acs=on|off          access control services of the ports; default on. Off: what\n"
		"                    is behind them reaches each other past the IOMMU\n",
	.plan = switch_class_plan,
	.create = switch_class_create,
};
