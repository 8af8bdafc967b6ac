// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/devices.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "base/log.h"
#include "device/debug_exit.h"
#include "machine/board.h"
#include "machine/plan.h"

/* ---- vfio: a function of the host ---- */

/* Checks of the group and of the device are left out for who holds a descriptor, and for no one else. */
static int vfio_class_descriptor(struct spec *spec, const char *key, struct diag *diag)
{
	const char *text = spec_text(spec, key);

	if (!text || !strncmp(text, "fd=", 3))
		return 0;
	diag_set(diag, -EINVAL, spec->whole, "%s=%s is not a descriptor", key, text);
	return diag_remedy(diag, -EINVAL, "%s=fd=N, opened by someone else; or leave it out", key);
}

static int vfio_class_config(struct sys *sys, struct spec *spec, struct vfio_pci_config *config,
			     struct diag *diag)
{
	const char *host = spec_text(spec, "host"), *rom = spec_text(spec, "rom");
	int err;

	memset(config, 0, sizeof(*config));
	if (!host) {
		diag_set(diag, -EINVAL, spec->whole, "no host= says which function");
		return diag_remedy(diag, -EINVAL,
				   "airlock devices lists them: --device vfio,host=0000:01:00.0");
	}
	err = host_address_resolve(sys, host, &config->host, diag);
	if (!err)
		err = vfio_class_descriptor(spec, "group", diag);
	if (!err)
		err = vfio_class_descriptor(spec, "container", diag);
	if (err)
		return err;
	config->group = spec_text(spec, "group");
	config->vf_token = spec_text(spec, "vf-token");
	if (rom && !strcmp(rom, "off"))
		config->rom_off = true;
	else if (rom && strcmp(rom, "on"))
		config->rom_file = rom;
	return spec_bool(spec, "allow-no-reset", &config->allow_no_reset, diag);
}

static bool vfio_class_guarded(const struct vm_config *config, struct spec *spec)
{
	bool behind = config->has_iommu;

	spec_bool(spec, "iommu", &behind, NULL);
	return behind;
}

bool devices_need_mirror(struct vm_config *config)
{
	for (unsigned int i = 0; i < config->nr_devices; i++)
		if (!strcmp(config->devices[i].class_name, "vfio") &&
		    vfio_class_guarded(config, &config->devices[i]))
			return true;
	return false;
}

static int vfio_class_plan(struct plan *plan, struct spec *spec, struct diag *diag)
{
	struct vfio_pci_config config;
	int err = vfio_class_config(plan->sys, spec, &config, diag), slot;
	int group;

	spec_text(spec, "container");
	if (!err)
		err = board_spec_check(plan->config, spec, diag);
	if (err)
		return err;
	err = plan_vfio(plan, &config, vfio_class_guarded(plan->config, spec), diag);
	/* A device that is refused has its place all the same: what is wrong with that is said too. */
	if (err == -EEXIST || err == -ENOMEM)
		return err;
	group = plan->vfio[plan->nr_vfio - 1]->function.group;
	if (diag->err)
		plan_refuse(plan, diag);
	diag_clear(diag);
	slot = plan_slot(plan, spec_text(spec, "bus"), group, diag);
	return err ? err : slot;
}

/* The device failed for good or the host wants it back: the guest loses it, the VM goes on. */
static void vfio_class_released(void *opaque, struct device *dev)
{
	struct vm *vm = opaque;

	log_warning(dev->name, "taken from the guest and given back to the host");
	vm_remove_device(vm, dev);
}

static int vfio_class_create(struct vm *vm, struct spec *spec, struct diag *diag)
{
	struct vfio_pci_config config;
	struct vfio_context *context;
	struct board_slot *slot;
	struct host_function host;
	struct device *dev;
	int err, function;

	err = vfio_class_config(vm->sys, spec, &config, diag);
	if (!err)
		err = host_function_read(vm->sys, config.host, &host, diag);
	if (!err)
		err = board_vfio(vm, spec_text(spec, "container"), &context, diag);
	if (!err)
		err = board_slot_find(vm->board, board_platform(vm, spec), spec_text(spec, "bus"),
				      host.group, &slot, diag);
	if (err)
		return err;
	/* Beside its group's first function, whatever was said of this one. */
	config.on_root_bus = slot->bus == pci_fabric_root(vm->board->fabric);
	if (vfio_class_guarded(vm->config, spec))
		config.guard = &vm->platform;
	config.released = vfio_class_released;
	config.opaque = vm;
	err = vfio_pci_create(context, &config, diag, &dev);
	if (err)
		return err;
	function = board_slot_use(slot);
	if (function >= 0)
		err = pci_function_attach(vfio_pci_function(dev), slot->bus,
					  PCI_DEVFN(slot->device, function));
	if (function < 0 || err) {
		err = function < 0 ? function : err;
		diag_set(diag, err, dev->name, "no function number left in its slot");
		dev->ops->destroy(dev);
		return err;
	}
	vm_add_device(vm, dev);
	return 0;
}

/* ---- root-port: a place to plug into ---- */

static int port_class_config(struct spec *spec, struct pci_port_config *config, struct diag *diag)
{
	int err;

	*config = (struct pci_port_config){ .id = spec_text(spec, "id"), .acs = true };
	if (!config->id || !*config->id || *config->id == '.')
		return diag_set(
			diag, -EINVAL, spec->whole,
			"a root port needs an id= for bus= to name; it may not begin with a dot");
	if (!strcmp(config->id, "pcie.0"))
		return diag_set(diag, -EEXIST, spec->whole, "pcie.0 is the root bus");
	err = spec_bool(spec, "acs", &config->acs, diag);
	return err;
}

static int port_class_plan(struct plan *plan, struct spec *spec, struct diag *diag)
{
	struct pci_port_config config;
	int err = port_class_config(spec, &config, diag);

	if (!err)
		err = board_spec_side(plan->config, spec, diag);
	if (!err)
		err = plan_port(plan, config.id, diag);
	if (!err)
		plan_note(plan, "root-port %s%s", config.id, config.acs ? "" : " without ACS");
	return err;
}

static int port_class_create(struct vm *vm, struct spec *spec, struct diag *diag)
{
	struct pci_port_config config;
	struct pci_bus *bus;
	int err = port_class_config(spec, &config, diag);

	if (err)
		return err;
	if (pci_fabric_find_bus(vm->board->fabric, config.id))
		return diag_set(diag, -EEXIST, spec->whole, "there is a port of that id already");
	config.slot_number = (uint8_t)(vm->board->nr_ports + 1);
	config.platform = board_platform(vm, spec);
	err = pci_root_port_create(vm->board->fabric, &config, &bus, diag);
	if (!err)
		vm->board->nr_ports++;
	return err;
}

/* ---- debug-exit: how a test kernel ends the run ---- */

static int debug_exit_port(struct spec *spec, uint64_t *port, struct diag *diag)
{
	*port = DEBUG_EXIT_PORT;
	return spec_number(spec, "port", 0xffff, port, diag);
}

static int debug_exit_class_plan(struct plan *plan, struct spec *spec, struct diag *diag)
{
	uint64_t port;
	int err = debug_exit_port(spec, &port, diag);

	if (!err)
		plan_note(plan, "debug-exit at port %#llx", (unsigned long long)port);
	return err;
}

static int debug_exit_class_create(struct vm *vm, struct spec *spec, struct diag *diag)
{
	struct device *dev;
	uint64_t port;
	int err = debug_exit_port(spec, &port, diag);

	if (err)
		return err;
	err = debug_exit_create(&vm->platform, (uint16_t)port, &dev);
	if (err)
		return diag_set(diag, err, spec->whole, "port %#llx: %s", (unsigned long long)port,
				err == -EBUSY ? "belongs to another device" : strerror(-err));
	vm_add_device(vm, dev);
	return 0;
}

static const struct device_class vfio_class = {
	.name = "vfio",
	.summary = "a PCI function of the host, through VFIO",
	.keys = "host=ADDRESS        the function, as airlock devices names it\n"
		"pool=NAME           instead of host=: one leased from a pool (airlock pool)\n"
		"bus=ID              pcie.0 or a root-port's id; default: a port of its own\n"
		"rom=on|off|FILE     expansion ROM: the device's, none, or an image\n"
		"vf-token=UUID       agreed with the PF's driver where that is vfio-pci too\n"
		"allow-no-reset=on   take the risk that nothing resets it between users\n"
		"group=fd=N          its IOMMU group, opened by someone else\n"
		"container=fd=N      the VFIO container, opened by someone else\n"
		"iommu=on|off        behind the IOMMU of --iommu, which the host then follows; default on\n",
	.plan = vfio_class_plan,
	.create = vfio_class_create,
};

static const struct device_class port_class = {
	.name = "root-port",
	.summary = "a PCI Express root port to put devices behind",
	.keys = "id=NAME             what bus= names\n"
		"acs=on|off          access control services; default on\n"
		"iommu=on|off        behind the IOMMU with all behind it, or left out of it\n",
	.plan = port_class_plan,
	.create = port_class_create,
};

static const struct device_class debug_exit_class = {
	.name = "debug-exit",
	.summary = "an I/O port that ends the run: a write of n exits with (n << 1) | 1",
	.keys = "port=N              default 0xf4\n",
	.plan = debug_exit_class_plan,
	.create = debug_exit_class_create,
};

/* By hand, in the order of --device help. Those with a file of their own are device_class_NAME. */
static const struct device_class *const classes[] = {
	&vfio_class,
	&port_class,
	&device_class_switch,
	&device_class_nvme,
	&device_class_virtio_blk,
	&device_class_virtio_rng,
	&device_class_edu,
	&debug_exit_class,
};

const struct device_class *device_class_at(unsigned int i)
{
	return i < ARRAY_SIZE(classes) ? classes[i] : NULL;
}

const struct device_class *device_class_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
		if (!strcmp(classes[i]->name, name))
			return classes[i];
	return NULL;
}

int device_class_unknown(const struct spec *spec, struct diag *diag)
{
	diag_set(diag, -EINVAL, spec->whole, "there is no device class '%s'", spec->class_name);
	return diag_remedy(diag, -EINVAL,
			   "airlock run --device help lists the classes and their keys");
}
