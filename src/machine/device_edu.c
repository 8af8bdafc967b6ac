// SPDX-License-Identifier: GPL-2.0-or-later
/* --device edu: the teaching device. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "device/edu.h"
#include "machine/board.h"
#include "machine/devices.h"
#include "machine/plan.h"

#define EDU_DMA_BITS 28 /* of the public device */

static int edu_class_config(struct spec *spec, struct edu_config *config, struct diag *diag)
{
	const char *bus = spec_text(spec, "bus");
	uint64_t bits = EDU_DMA_BITS;
	bool snoop = true;
	int err;

	*config = (struct edu_config){ .name = spec_text(spec, "id"),
				       .integrated = !bus || !strcmp(bus, "pcie.0") };
	err = spec_number(spec, "dma-bits", 64, &bits, diag);
	if (!err && bits < EDU_DMA_BITS)
		return diag_set(diag, -EINVAL, spec->whole, "dma-bits=%llu: it has %d to 64",
				(unsigned long long)bits, EDU_DMA_BITS);
	if (!err)
		err = spec_bool(spec, "ats", &config->ats, diag);
	if (!err)
		err = spec_bool(spec, "snoop", &snoop, diag);
	config->dma_bits = (uint8_t)bits;
	config->no_snoop = !snoop;
	return err;
}

static int edu_class_plan(struct plan *plan, struct spec *spec, struct diag *diag)
{
	struct edu_config config;
	int err = edu_class_config(spec, &config, diag);

	if (!err)
		err = board_plan(plan, spec, true, diag);
	if (!err)
		plan_note(plan, "edu%s%s, %u address lines%s%s", config.name ? " " : "",
			  config.name ? config.name : "", config.dma_bits,
			  config.ats ? ", with a device TLB" : "",
			  config.no_snoop ? ", not snooping" : "");
	return err;
}

static int edu_class_create(struct vm *vm, struct spec *spec, struct diag *diag)
{
	struct edu_config config;
	struct device *dev;
	char name[16];
	int err = edu_class_config(spec, &config, diag);

	if (err)
		return err;
	snprintf(name, sizeof(name), "edu%u", vm->board->nr_edus);
	if (!config.name)
		config.name = name;
	err = edu_create(board_platform(vm, spec), &config, &dev);
	if (err)
		return diag_set(diag, err, spec->whole, "cannot be made: %s", strerror(-err));
	err = board_plug(vm, spec, edu_function(dev), true, diag);
	if (err) {
		dev->ops->destroy(dev);
		return err;
	}
	vm->board->nr_edus++;
	vm_add_device(vm, dev);
	return 0;
}

const struct device_class device_class_edu = {
	.name = "edu",
	.summary = "the public teaching device 1234:11e8 (docs/edu.md)",
	.keys = "id=NAME             in messages and figures; default eduN\n" BOARD_KEYS
		"dma-bits=N          address lines; default 28, as in the public device\n"
		"ats=on|off          a device TLB that asks for translations; default off\n"
		"snoop=on|off        off: sees memory only once it is declared clean; default on\n",
	.plan = edu_class_plan,
	.create = edu_class_create,
};
