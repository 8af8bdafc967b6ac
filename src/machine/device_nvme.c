// SPDX-License-Identifier: GPL-2.0-or-later
/* --device nvme: drives as namespaces of an NVMe controller. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "device/nvme/nvme.h"
#include "machine/board.h"
#include "machine/devices.h"
#include "machine/drive.h"
#include "machine/plan.h"

#define DRIVE_ID_MAX	  32
#define VF_QUEUES_DEFAULT 4

/* What stands between the pluses of drive=. */
struct nvme_drives {
	unsigned int nr;
	char ids[NVME_NAMESPACES_MAX][DRIVE_ID_MAX];
};

static int nvme_class_drives(struct spec *spec, struct nvme_drives *drives, struct diag *diag)
{
	const char *text = spec_text(spec, "drive");

	drives->nr = 0;
	if (!text) {
		diag_set(diag, -EINVAL, spec->whole, "no drive= says which disk");
		return diag_remedy(diag, -EINVAL,
				   "--drive id=d0,file=disk.img --device nvme,drive=d0");
	}
	while (text) {
		size_t len = strcspn(text, "+");

		if (drives->nr == NVME_NAMESPACES_MAX)
			return diag_set(diag, -EINVAL, spec->whole, "more than %d drives",
					NVME_NAMESPACES_MAX);
		if (!len || len >= DRIVE_ID_MAX)
			return diag_set(diag, -EINVAL, spec->whole,
					"drive= is a list of ids, with a + between them");
		memcpy(drives->ids[drives->nr], text, len);
		drives->ids[drives->nr++][len] = '\0';
		text = text[len] ? text + len + 1 : NULL;
	}
	return 0;
}

static int nvme_class_config(const struct vm_config *vm, struct spec *spec,
			     struct nvme_config *config, struct nvme_drives *drives,
			     struct diag *diag)
{
	const char *bus = spec_text(spec, "bus");
	uint64_t vfs = 0, queues, vf_queues;
	int err;

	queues = min_u64(vm->cpus, NVME_IO_QUEUES_MAX);
	*config = (struct nvme_config){
		.name = spec_text(spec, "id"),
		.serial = spec_text(spec, "serial"),
		.on_root_bus = bus && !strcmp(bus, "pcie.0"),
		.own_thread = true,
	};
	err = nvme_class_drives(spec, drives, diag);
	if (!err)
		err = spec_number(spec, "vfs", NVME_VFS_MAX, &vfs, diag);
	if (!err)
		err = spec_number(spec, "queues", NVME_IO_QUEUES_MAX, &queues, diag);
	vf_queues = min_u64(queues, VF_QUEUES_DEFAULT);
	if (!err)
		err = spec_number(spec, "vf-queues", NVME_IO_QUEUES_MAX, &vf_queues, diag);
	if (!err && (!queues || !vf_queues))
		err = diag_set(diag, -EINVAL, spec->whole, "it has at least one I/O queue");
	if (!err && config->serial && (!*config->serial || strlen(config->serial) > 20))
		err = diag_set(diag, -EINVAL, spec->whole,
			       "a serial number has 1 to 20 characters");
	config->io_queues = (unsigned int)queues;
	config->vfs = (unsigned int)vfs;
	config->vf_queues = (unsigned int)vf_queues;
	return err;
}

static int nvme_class_plan(struct plan *plan, struct spec *spec, struct diag *diag)
{
	struct nvme_config config;
	struct nvme_drives drives;
	int err = nvme_class_config(plan->config, spec, &config, &drives, diag);

	for (unsigned int i = 0; i < drives.nr && !err; i++)
		err = plan_take_drive(plan, spec->whole, drives.ids[i], diag);
	if (!err)
		err = board_plan(plan, spec, false, diag);
	if (!err)
		plan_note(plan, "nvme, %u namespace%s, %u I/O queues, %u virtual functions",
			  drives.nr, drives.nr == 1 ? "" : "s", config.io_queues, config.vfs);
	return err;
}

static int nvme_class_create(struct vm *vm, struct spec *spec, struct diag *diag)
{
	struct nvme_config config;
	struct nvme_drives drives;
	struct device *dev;
	char name[16];
	int err = nvme_class_config(vm->config, spec, &config, &drives, diag);

	for (unsigned int i = 0; i < drives.nr && !err; i++)
		err = drive_find(vm, spec->whole, drives.ids[i], &config.blocks[i], diag);
	if (err)
		return err;
	config.nr_blocks = drives.nr;
	snprintf(name, sizeof(name), "nvme%u", vm->board->nr_nvmes);
	if (!config.name)
		config.name = name;
	err = nvme_create(board_platform(vm, spec), &config, &dev, diag);
	if (err)
		return err;
	err = board_plug(vm, spec, nvme_function(dev), false, diag);
	if (err) {
		dev->ops->destroy(dev);
		return err;
	}
	vm->board->nr_nvmes++;
	vm_add_device(vm, dev);
	return 0;
}

const struct device_class device_class_nvme = {
	.name = "nvme",
	.summary = "an NVMe drive, with virtual functions if wanted (docs/nvme.md)",
	.keys = "drive=ID[+ID…]      the --drive of each namespace\n"
		"id=NAME             in messages and figures; default nvmeN\n"
		"serial=TEXT         serial number; default the name\n"
		"queues=N            I/O queues; default one per CPU\n"
		"vfs=N               virtual functions that the guest can make; default 0\n"
		"vf-queues=N         I/O queues that each can be given; default 4 at most\n" BOARD_KEYS,
	.plan = nvme_class_plan,
	.create = nvme_class_create,
};
