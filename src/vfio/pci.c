// SPDX-License-Identifier: GPL-2.0-or-later
/* Life of a passed-through function: built in one order, taken down in exactly the other. */
#include "vfio/pci.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pci/fabric.h"
#include "vfio/container.h"

/* Under LOCK_FABRIC. */
static void pci_command_changed(struct pci_function *fn, uint16_t old, uint16_t command)
{
	struct vfio_pci *pci = vfio_pci_of(fn);

	/* From here the guest can reach registers, which only a reset undoes. */
	if (command & (PCI_COMMAND_IO | PCI_COMMAND_MEMORY))
		pci->space.touched = true;
	vfio_config_command(pci);
	if (!(old & PCI_COMMAND_INTX_OFF) && (command & PCI_COMMAND_INTX_OFF))
		vfio_intx_withdraw(pci);
	vfio_intx_update(pci);
}

static void pci_report_reset(struct vfio_pci *pci, int err)
{
	if (err == -EBUSY)
		log_warning(pci->device.name, "not reset: the only way would reset another device "
					      "in use with it");
	else if (err == -EAGAIN && pci->events.requested)
		log_warning(pci->device.name,
			    "given back without a reset, for the host holds the device while it "
			    "takes it back: VFIO resets it before another VM has it, a driver of "
			    "the host's finds it as the guest left it");
	else if (err == -EAGAIN)
		log_warning(pci->device.name, "not reset: the host holds the device for something "
					      "else at the moment");
	else if (err)
		log_error(pci->device.name, "reset failed: %s", strerror(-err));
}

/* Of a reset the guest can ask for as often as it likes. */
static void pci_report_guest_reset(struct vfio_pci *pci, int err)
{
	if (err && log_allowed(&pci->log, pci->device.name))
		pci_report_reset(pci, err);
}

/* The guest's function-level reset, or its part of a bus reset. Under LOCK_FABRIC. */
static void pci_reset(struct pci_function *fn)
{
	struct vfio_pci *pci = vfio_pci_of(fn);

	if (!pci->stopped)
		pci_report_guest_reset(pci, vfio_reset_run(pci, VFIO_RESET_FUNCTION));
}

static const struct pci_function_ops function_ops = {
	.config_read = vfio_config_read,
	.config_write = vfio_config_write,
	.command_changed = pci_command_changed,
	.reset = pci_reset,
	.rid_changed = vfio_vectors_rid,
	.msix_enabled = vfio_msix_enabled,
	.msix_changed = vfio_msix_changed,
	.msix_pending = vfio_msix_pending,
	.msi_enabled = vfio_msi_enabled,
	.msi_changed = vfio_msi_changed,
};

static void pci_lock(struct vfio_pci *pci)
{
	if (pci->fn.bus)
		lock_take(pci_fabric_lock(pci_bus_fabric(pci->fn.bus)));
}

static void pci_unlock(struct vfio_pci *pci)
{
	if (pci->fn.bus)
		lock_drop(pci_fabric_lock(pci_bus_fabric(pci->fn.bus)));
}

void vfio_pci_mapped(struct vfio_pci *pci)
{
	pci_lock(pci);
	vfio_config_command(pci);
	pci_unlock(pci);
}

void vfio_pci_stop(struct vfio_pci *pci)
{
	if (pci->stopped)
		return;
	if (pci->fn.bus)
		pci->fabric = pci_bus_fabric(pci->fn.bus);
	pci_lock(pci);
	pci->stopped = true;
	/* First of all no DMA; the rest can take its time. */
	vfio_config_command(pci);
	pci_unlock(pci);
	pci_function_detach(&pci->fn);
	platform_synchronize(pci->fn.platform);
	/* No vCPU is in any handler of ours, and none gets there again. */
	vfio_vectors_off(pci);
	lock_take(&pci->vectors.lock);
	vfio_intx_off_locked(pci);
	lock_drop(&pci->vectors.lock);
}

static void pci_unlist(struct vfio_pci *pci)
{
	for (struct vfio_pci **p = &pci->context->devices; *p; p = &(*p)->next) {
		if (*p != pci)
			continue;
		*p = pci->next;
		return;
	}
}

static bool pci_space_used(const struct vfio_context *context, const struct vfio_space *space)
{
	for (const struct vfio_pci *pci = context->devices; pci; pci = pci->next)
		if (pci->group->space == space)
			return true;
	return false;
}

void vfio_pci_release(struct vfio_pci *pci)
{
	struct lock *fabric;

	if (!pci->group)
		return;
	vfio_pci_stop(pci);
	/*
	 * A guest's reset of another device looks through the context's devices and groups, also
	 * when this one has been off its bus since an error.
	 */
	fabric = pci->fabric ? pci_fabric_lock(pci->fabric) : NULL;
	vfio_nest_fini(pci);
	if (fabric)
		lock_take(fabric);
	pci_report_reset(pci, vfio_reset_run(pci, VFIO_RESET_FUNCTION));
	if (fabric)
		lock_drop(fabric);
	vfio_events_fini(pci);
	vfio_intx_fini(pci);
	vfio_bars_fini(pci);
	vfio_reset_fini(pci);
	if (fabric)
		lock_take(fabric);
	pci_unlist(pci);
	/*
	 * Unmapped before it is closed: once the last device of a group is, a host that waits to
	 * take it back detaches the group, and the mappings are gone without us.
	 */
	if (!pci_space_used(pci->context, pci->group->space))
		vfio_grant_unlisten(pci->group->space);
	vfio_device_close(&pci->device);
	vfio_group_put(pci->context, pci->group);
	if (fabric)
		lock_drop(fabric);
	pci->group = NULL;
}

static void pci_free(struct vfio_pci *pci)
{
	pci_function_fini(&pci->fn);
	vfio_vectors_fini(pci);
	vfio_rom_fini(pci);
	lock_fini(&pci->rom.lock);
	lock_fini(&pci->vectors.lock);
	free(pci);
}

static void pci_destroy(struct device *dev)
{
	struct vfio_pci *pci = vfio_pci_of_device(dev);

	vfio_pci_release(pci);
	pci_free(pci);
}

/* The whole machine resets: no vCPU runs, so others on the bus may be reset along. */
static void pci_device_reset(struct device *dev)
{
	struct vfio_pci *pci = vfio_pci_of_device(dev);

	if (pci->stopped)
		return;
	/*
	 * What the guest had switched on is over: or the reset would end by putting bus mastering
	 * back, before memory is cleared for the next boot. The fabric's own reset follows.
	 */
	pci_lock(pci);
	pci_config_set(&pci->fn, PCI_COMMAND, 2, 0);
	pci_report_guest_reset(pci, vfio_reset_run(pci, VFIO_RESET_VM));
	pci_unlock(pci);
}

static const struct device_ops device_ops = {
	.reset = pci_device_reset,
	/* The device goes on while vCPUs are stopped: without bus mastering it would fail. */
	.cannot_migrate = "a passed-through device keeps its state in the hardware",
	.destroy = pci_destroy,
};

/* A function-level reset needs no word, and what the kernel does not tell cannot be said. */
static void pci_say_reset(const struct vfio_pci *pci)
{
	static const char *const plain[] = { "flr", "af_flr", "kernel's choice" };

	if (!pci->reset.nr)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
		if (!strcmp(pci->reset.last, plain[i]))
			return;
	log_info(pci->device.name,
		 "has no function-level reset: it is reset by %s, before and after",
		 pci->reset.last);
}

/* Everything that needs the open device; each step undone by vfio_pci_release(). */
static int pci_build(struct vfio_pci *pci, const struct host_function *host, struct diag *diag)
{
	int err = vfio_reset_init(pci, host->reset, diag);

	if (err)
		return err;
	err = vfio_config_open(pci, diag);
	if (err)
		return err;
	/* What the last user left is gone before anything of it is looked at. */
	err = vfio_reset_first(pci);
	if (err && !pci->config.allow_no_reset) {
		diag_set(
			diag, err, pci->device.name, "it cannot be reset before use: %s",
			err == -EBUSY || err == -EPERM
				? "the only way would reset devices that are not this VM's to reset"
				: strerror(-err));
		return diag_remedy(diag, err,
				   "give the whole bus to this VM, or take the risk with "
				   "allow-no-reset=on");
	}
	pci_say_reset(pci);
	err = vfio_config_build(pci, diag);
	if (err)
		return err;
	err = vfio_bars_build(pci, diag);
	if (err)
		return err;
	err = vfio_rom_build(pci, diag);
	if (err)
		return err;
	err = vfio_vectors_build(pci, diag);
	if (err)
		return err;
	err = vfio_intx_build(pci, diag);
	if (err)
		return err;
	err = vfio_events_build(pci, diag);
	return err ? err : vfio_nest_build(pci, diag);
}

static struct vfio_pci *pci_alloc(struct vfio_context *context,
				  const struct vfio_pci_config *config, const char *name)
{
	static const struct pci_ids none;
	struct platform *platform = config->guard ? config->guard : context->config.platform;
	struct vfio_pci *pci = calloc(1, sizeof(*pci));

	if (!pci)
		return NULL;
	pci->nest.on = config->guard;
	pci->context = context;
	pci->config = *config;
	pci->dev.ops = &device_ops;
	snprintf(pci->dev.name, sizeof(pci->dev.name), "vfio %s", name);
	/* The ids, like the rest of config space, come from the device. */
	pci_function_init(&pci->fn, platform, &pci->dev, &function_ops, &none, pci->dev.name);
	pci->device.fd = -1;
	pci->device.sys = context->sys;
	pci->intx.eventfd = -1;
	pci->intx.watched_pin = -1;
	pci->events.error.eventfd = -1;
	pci->events.request.eventfd = -1;
	pci->vectors.kind = VFIO_PCI_NUM_IRQS;
	lock_init(&pci->vectors.lock, LOCK_VECTORS);
	lock_init(&pci->rom.lock, LOCK_LEAF);
	pci->may_master = true;
	return pci;
}

int vfio_pci_create(struct vfio_context *context, const struct vfio_pci_config *config,
		    struct diag *diag, struct device **dev)
{
	struct vfio_pci_plan plan;
	struct vfio_pci **tail, *pci;
	int err = vfio_plan_look(context->sys, config, &plan, diag);

	if (err)
		goto err_plan;
	for (pci = context->devices; pci; pci = pci->next) {
		if (!pci_address_equal(pci->config.host, config->host))
			continue;
		err = diag_set(diag, -EEXIST, plan.function.name, "this VM has the device already");
		goto err_plan;
	}
	pci = pci_alloc(context, config, plan.function.name);
	if (!pci) {
		err = diag_set(diag, -ENOMEM, plan.function.name, "out of memory");
		goto err_plan;
	}
	err = vfio_group_get(context, &plan.group, config->group, config->guard, plan.function.name,
			     &pci->group, diag);
	if (err)
		goto err_free;
	err = vfio_device_open(&pci->device, context->sys, pci->group->fd, plan.function.name,
			       config->vf_token, diag);
	if (err) {
		vfio_group_put(context, pci->group);
		goto err_free;
	}
	for (tail = &context->devices; *tail; tail = &(*tail)->next)
		;
	*tail = pci;
	err = pci_build(pci, &plan.function, diag);
	if (err)
		goto err_release;
	vfio_pci_plan_fini(&plan);
	*dev = &pci->dev;
	return 0;

err_release:
	vfio_pci_release(pci);
err_free:
	pci_free(pci);
err_plan:
	vfio_pci_plan_fini(&plan);
	return err;
}

struct pci_function *vfio_pci_function(struct device *dev)
{
	return &vfio_pci_of_device(dev)->fn;
}

bool vfio_pci_is(const struct device *dev)
{
	return dev->ops == &device_ops;
}
