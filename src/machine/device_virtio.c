// SPDX-License-Identifier: GPL-2.0-or-later
/* --device virtio-blk: the paravirtual devices. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "device/virtio/blk.h"
#include "device/virtio/rng.h"
#include "machine/board.h"
#include "machine/devices.h"
#include "machine/drive.h"
#include "machine/plan.h"

#define VIRTIO_NAME_LEN 48

static bool virtio_on_root(struct spec *spec)
{
	const char *bus = spec_text(spec, "bus");

	return !bus || !strcmp(bus, "pcie.0");
}

/* id=, or KIND and a number. */
static const char *virtio_name(struct vm *vm, struct spec *spec, const char *kind, char *text)
{
	const char *id = spec_text(spec, "id");

	if (id)
		return id;
	snprintf(text, VIRTIO_NAME_LEN, "%s%u", kind, vm->board->nr_virtio);
	return text;
}

/* Plugs in what was made, or undoes it. */
static int virtio_plug(struct vm *vm, struct spec *spec, struct device *dev, struct diag *diag)
{
	int err = board_plug(vm, spec, virtio_pci_function(dev), true, diag);

	if (err) {
		dev->ops->destroy(dev);
		return err;
	}
	vm->board->nr_virtio++;
	vm_add_device(vm, dev);
	return 0;
}

/* Keys that all have: what rings it offers, and who serves it. */
#define VIRTIO_KEYS                                                                            \
	"id=NAME             in messages and figures; default by kind and number\n" BOARD_KEYS \
	"packed=on|off       offer packed rings; default on\n"                                 \
	"thread=on|off       a thread of its own; default on for disks\n"

struct virtio_options {
	bool packed, thread;
};

static int virtio_options_read(struct spec *spec, struct virtio_options *options, bool thread,
			       struct diag *diag)
{
	int err;

	*options = (struct virtio_options){ .packed = true, .thread = thread };
	spec_text(spec, "id");
	err = spec_bool(spec, "packed", &options->packed, diag);
	return err ? err : spec_bool(spec, "thread", &options->thread, diag);
}

/* ---- virtio-blk ---- */

#define BLK_QUEUES_MAX 64

struct blk_options {
	struct virtio_options common;
	bool in_order;
	uint64_t nr_queues;
};

static int blk_options_read(struct spec *spec, unsigned int cpus, struct blk_options *options,
			    struct diag *diag)
{
	const char *serial = spec_text(spec, "serial");
	int err = virtio_options_read(spec, &options->common, true, diag);

	options->in_order = false;
	/* One for each processor: none then waits for another's lock. */
	options->nr_queues = cpus < BLK_QUEUES_MAX ? cpus : BLK_QUEUES_MAX;
	if (!err)
		err = spec_bool(spec, "in-order", &options->in_order, diag);
	if (!err)
		err = spec_number(spec, "queues", BLK_QUEUES_MAX, &options->nr_queues, diag);
	if (err)
		return err;
	if (!options->nr_queues)
		return diag_set(diag, -EINVAL, spec->whole, "queues=0: it has at least one");
	if (serial && strlen(serial) > 20)
		return diag_set(diag, -EINVAL, spec->whole,
				"serial=%s is longer than 20 characters", serial);
	return 0;
}

static int blk_class_plan(struct plan *plan, struct spec *spec, struct diag *diag)
{
	const char *drive = spec_text(spec, "drive");
	struct blk_options options;
	int err = blk_options_read(spec, plan->config->cpus, &options, diag);

	if (!err)
		err = plan_take_drive(plan, spec->whole, drive, diag);
	if (!err)
		err = board_plan(plan, spec, true, diag);
	if (!err)
		plan_note(plan, "virtio-blk on drive %s, %u queues%s", drive,
			  (unsigned int)options.nr_queues,
			  options.common.thread ? ", a thread of its own" : "");
	return err;
}

static int blk_class_create(struct vm *vm, struct spec *spec, struct diag *diag)
{
	char name[VIRTIO_NAME_LEN];
	struct virtio_blk_config config = {
		.name = virtio_name(vm, spec, "virtio-blk", name),
		.serial = spec_text(spec, "serial"),
		.integrated = virtio_on_root(spec),
	};
	struct blk_options options;
	struct device *dev;
	int err = blk_options_read(spec, vm->config->cpus, &options, diag);

	if (!err)
		err = drive_find(vm, spec->whole, spec_text(spec, "drive"), &config.block, diag);
	if (err)
		return err;
	config.nr_queues = (unsigned int)options.nr_queues;
	config.packed = options.common.packed;
	config.in_order = options.in_order;
	config.loop = options.common.thread ? NULL : vm->loop;
	err = virtio_blk_create(board_platform(vm, spec), &config, &dev, diag);
	return err ? err : virtio_plug(vm, spec, dev, diag);
}

const struct device_class device_class_virtio_blk = {
	.name = "virtio-blk",
	.summary = "a disk for a guest with virtio drivers (docs/virtio.md)",
	.keys = "drive=NAME          the --drive that holds its data\n" VIRTIO_KEYS
		"queues=N            default: one for each vCPU\n"
		"serial=TEXT         up to 20 characters; default: the drive's id\n"
		"in-order=on|off     promise to end requests in the order they came; default off\n",
	.plan = blk_class_plan,
	.create = blk_class_create,
};

/* ---- virtio-rng ---- */

static int rng_class_plan(struct plan *plan, struct spec *spec, struct diag *diag)
{
	struct virtio_options options;
	int err = virtio_options_read(spec, &options, false, diag);

	if (!err)
		err = board_plan(plan, spec, true, diag);
	if (!err)
		plan_note(plan, "virtio-rng: randomness of the host");
	return err;
}

static int rng_class_create(struct vm *vm, struct spec *spec, struct diag *diag)
{
	char name[VIRTIO_NAME_LEN];
	struct virtio_rng_config config = {
		.name = virtio_name(vm, spec, "virtio-rng", name),
		.integrated = virtio_on_root(spec),
	};
	struct virtio_options options;
	struct device *dev;
	int err = virtio_options_read(spec, &options, false, diag);

	if (err)
		return err;
	config.packed = options.packed;
	config.loop = options.thread ? NULL : vm->loop;
	err = virtio_rng_create(board_platform(vm, spec), &config, &dev);
	if (err)
		return diag_set(diag, err, spec->whole, "cannot be made: %s", strerror(-err));
	return virtio_plug(vm, spec, dev, diag);
}

const struct device_class device_class_virtio_rng = {
	.name = "virtio-rng",
	.summary = "the host's randomness (docs/virtio.md)",
	.keys = VIRTIO_KEYS,
	.plan = rng_class_plan,
	.create = rng_class_create,
};
