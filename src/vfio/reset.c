// SPDX-License-Identifier: GPL-2.0-or-later
#include "vfio/reset.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/trace.h"
#include "vfio/container.h"
#include "vfio/pci.h"

/* All functions of a bus, and of the buses behind it, could be affected; more is nonsense. */
#define AFFECTED_MAX 4096
#define GROUPS_MAX   256

/* Asks how many, then which: the count can be too small only for the first call. */
static int reset_read_affected(struct vfio_pci *pci)
{
	struct sys *sys = pci->device.sys;
	struct vfio_reset *reset = &pci->reset;
	uint32_t room = 0;

	for (int tries = 0; tries < 3; tries++) {
		size_t size =
			sizeof(struct vfio_pci_hot_reset_info) + room * sizeof(reset->affected[0]);
		struct vfio_pci_hot_reset_info *info = calloc(1, size);
		uint32_t count;
		int err;

		if (!info)
			return -ENOMEM;
		info->argsz = (uint32_t)size;
		err = sys_ioctl(sys, pci->device.fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info);
		count = info->count;
		if (err >= 0 && count && count <= room) {
			reset->affected = calloc(count, sizeof(reset->affected[0]));
			if (reset->affected) {
				memcpy(reset->affected, info->devices,
				       count * sizeof(reset->affected[0]));
				reset->nr_affected = count;
			}
			free(info);
			return reset->affected ? 0 : -ENOMEM;
		}
		free(info);
		/* No slot or bus reset reaches it: it sits on a root bus. */
		if (err == -ENODEV)
			return 0;
		if (err < 0 && err != -ENOSPC)
			return err;
		if (!count || count > AFFECTED_MAX)
			return 0;
		room = count;
	}
	return 0;
}

int vfio_reset_init(struct vfio_pci *pci, const char *methods, struct diag *diag)
{
	struct vfio_reset *reset = &pci->reset;
	int err = reset_read_affected(pci);

	if (err)
		return diag_set(diag, err, pci->device.name,
				"VFIO does not tell what a reset would affect: %s", strerror(-err));
	/* The kernel tries the first of the list first. */
	snprintf(reset->method, sizeof(reset->method), "%.*s", (int)strcspn(methods, " "), methods);
	if (!reset->method[0] || !strcmp(reset->method, "yes"))
		snprintf(reset->method, sizeof(reset->method), "kernel's choice");
	reset->last = "none";
	if (pci->device.can_reset || reset->nr_affected)
		return 0;
	if (!pci->config.allow_no_reset) {
		diag_set(diag, -ENOTSUP, pci->device.name,
			 "nothing can reset this device, so one user's data and settings would "
			 "reach the next");
		return diag_remedy(diag, -ENOTSUP,
				   "move it behind a port of its own, where a bus reset "
				   "works; to take the risk, add allow-no-reset=on");
	}
	log_warning(
		pci->device.name,
		"not reset between its users, as asked (allow-no-reset=on): what one leaves in it, "
		"the next finds");
	return 0;
}

void vfio_reset_fini(struct vfio_pci *pci)
{
	free(pci->reset.affected);
	pci->reset.affected = NULL;
	pci->reset.nr_affected = 0;
}

bool vfio_reset_is_local(const struct vfio_pci *pci)
{
	return pci->device.can_reset;
}

/* Quiet: no interrupt arrives from, and no DMA starts in, a device about to be reset. */
static void reset_prepare(struct vfio_pci *pci)
{
	bool may_master = pci->may_master;

	vfio_vectors_off(pci);
	lock_take(&pci->vectors.lock);
	vfio_intx_off_locked(pci);
	lock_drop(&pci->vectors.lock);
	pci->may_master = false;
	vfio_config_command(pci);
	pci->may_master = may_master;
}

static void reset_done(struct vfio_pci *pci, const char *method)
{
	pci->reset.nr++;
	pci->reset.last = method;
	vfio_config_forget(pci);
	vfio_config_command(pci);
	if (pci->fn.bus)
		vfio_intx_update(pci);
}

/* It was not reset after all: as the guest has it, and what it was touched by stays true. */
static void reset_undone(struct vfio_pci *pci)
{
	vfio_config_command(pci);
	if (pci->fn.bus)
		vfio_intx_update(pci);
}

static int reset_device(struct vfio_pci *pci)
{
	int r;

	if (!pci->device.can_reset)
		return -ENOTTY;
	r = sys_ioctl(pci->device.sys, pci->device.fd, VFIO_DEVICE_RESET, NULL);
	trace_vfio_reset(pci->device.name, pci->reset.method, r);
	return r < 0 ? r : 0;
}

static struct vfio_pci *reset_find(struct vfio_context *context,
				   const struct vfio_pci_dependent_device *dep)
{
	for (struct vfio_pci *pci = context->devices; pci; pci = pci->next) {
		struct pci_address at = pci->config.host;

		/* The ABI has 16 bits for the domain. */
		if ((uint16_t)at.domain == dep->segment && at.bus == dep->bus &&
		    PCI_DEVFN(at.device, at.function) == dep->devfn)
			return pci;
	}
	return NULL;
}

/*
 * In use by the guest, which one that was taken from it is not; and not just being reset by it along
 * with the one that is asked for.
 */
static bool reset_would_harm(const struct vfio_pci *other, enum vfio_reset_scope scope)
{
	return other->space.touched && !other->stopped && scope != VFIO_RESET_VM &&
	       !pci_function_in_bus_reset(&other->fn);
}

/* Every group it touches is ours, and no device of ours in it is in use. */
static int reset_may_hot(struct vfio_pci *pci, enum vfio_reset_scope scope, int *fds,
			 unsigned int *nr_fds)
{
	struct vfio_reset *reset = &pci->reset;

	*nr_fds = 0;
	for (unsigned int i = 0; i < reset->nr_affected; i++) {
		const struct vfio_pci_dependent_device *dep = &reset->affected[i];
		struct vfio_group *group = vfio_group_find(pci->context, (int)dep->group_id);
		struct vfio_pci *other = reset_find(pci->context, dep);
		unsigned int k = 0;

		if (!group)
			return -EPERM;
		if (other && other != pci && reset_would_harm(other, scope))
			return -EBUSY;
		while (k < *nr_fds && fds[k] != group->fd)
			k++;
		if (k < *nr_fds)
			continue;
		if (*nr_fds == GROUPS_MAX)
			return -E2BIG;
		fds[(*nr_fds)++] = group->fd;
	}
	return *nr_fds ? 0 : -ENOTTY;
}

static int reset_hot(struct vfio_pci *pci, enum vfio_reset_scope scope)
{
	struct vfio_reset *reset = &pci->reset;
	struct vfio_pci_hot_reset *request;
	unsigned int nr_fds;
	int fds[GROUPS_MAX], r = reset_may_hot(pci, scope, fds, &nr_fds);
	size_t size;

	if (r)
		return r;
	size = sizeof(*request) + nr_fds * sizeof(request->group_fds[0]);
	request = calloc(1, size);
	if (!request)
		return -ENOMEM;
	request->argsz = (uint32_t)size;
	request->count = nr_fds;
	memcpy(request->group_fds, fds, nr_fds * sizeof(fds[0]));
	for (unsigned int i = 0; i < reset->nr_affected; i++) {
		struct vfio_pci *other = reset_find(pci->context, &reset->affected[i]);

		if (other && other != pci)
			reset_prepare(other);
	}
	r = sys_ioctl(pci->device.sys, pci->device.fd, VFIO_DEVICE_PCI_HOT_RESET, request);
	free(request);
	trace_vfio_reset(pci->device.name, "hot", r);
	for (unsigned int i = 0; i < reset->nr_affected; i++) {
		struct vfio_pci *other = reset_find(pci->context, &reset->affected[i]);

		if (!other || other == pci)
			continue;
		if (r < 0)
			reset_undone(other);
		else
			reset_done(other, "hot reset of the bus");
	}
	return r < 0 ? r : 0;
}

int vfio_reset_run(struct vfio_pci *pci, enum vfio_reset_scope scope)
{
	const char *method = pci->reset.method;
	int err;

	/* Nothing can have changed since the last one, or an earlier device's took this one along. */
	if (!pci->space.touched && pci->reset.nr)
		return 0;
	reset_prepare(pci);
	err = reset_device(pci);
	if (err) {
		int hot = reset_hot(pci, scope);

		method = "hot reset of the bus";
		/* Where there is no second rung, the first one's answer is the one that counts. */
		if (hot != -ENOTTY || err == -ENOTTY)
			err = hot;
	}
	if (err) {
		reset_undone(pci);
		return pci->device.can_reset || pci->reset.nr_affected ? err : 0;
	}
	reset_done(pci, method);
	return 0;
}

int vfio_reset_first(struct vfio_pci *pci)
{
	/* A group is open once at a time; a descriptor handed to us may have been used before. */
	if (!pci->device.can_reset || pci->config.group)
		return vfio_reset_run(pci, VFIO_RESET_FUNCTION);
	reset_done(pci, pci->reset.method);
	return 0;
}
