// SPDX-License-Identifier: GPL-2.0-or-later
#include "vfio/container.h"

#include <errno.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bug.h"
#include "vfio/pci.h"

int vfio_refuse_open(struct sys *sys, int err, const char *object, const char *path,
		     struct diag *diag)
{
	switch (err) {
	case -ENOENT:
	case -ENODEV:
	case -ENXIO:
		diag_set(diag, err, object, "%s is not there", path);
		return diag_remedy(diag, err,
				   "load the driver (modprobe vfio-pci) and bind the device: "
				   "airlock bind %s",
				   object);
	case -EACCES:
	case -EPERM:
		diag_set(diag, err, object, "no permission to open %s", path);
		return diag_remedy(diag, err,
				   "give this user the node (chown, or a udev rule), or pass "
				   "an open descriptor as fd=N");
	case -EBUSY:
		diag_set(diag, err, object, "%s is in use by another process", path);
		return diag_remedy(diag, err,
				   "a group is held by one process at a time: see fuser %s", path);
	default:
		return diag_set(diag, err, object, "cannot open %s: %s", path, strerror(-err));
	}
}

static int vfio_space_open(struct vfio_context *context, struct vfio_space *space, bool mirror,
			   struct diag *diag)
{
	struct sys *sys = context->sys;
	int version, err;

	*space = (struct vfio_space){ .context = context, .mirror = mirror };
	space->fd = sys_open(sys, SYS_VFIO_CONTAINER, mirror ? NULL : context->config.container);
	if (space->fd < 0) {
		err = vfio_refuse_open(sys, space->fd, "vfio", "/dev/vfio/vfio", diag);
		if (err == -ENOENT || err == -ENODEV || err == -ENXIO)
			diag_remedy(diag, err, "load the driver: modprobe vfio-pci");
		return err;
	}
	version = sys_ioctl(sys, space->fd, VFIO_GET_API_VERSION, NULL);
	if (version != VFIO_API_VERSION) {
		err = version < 0 ? version : -ENOTSUP;
		diag_set(diag, err, "vfio",
			 version < 0 ? "the container's descriptor is not VFIO's"
				     : "the kernel speaks another version of VFIO");
		goto err_close;
	}
	err = sys_ioctl_value(sys, space->fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU);
	if (err <= 0) {
		err = err < 0 ? err : -ENOTSUP;
		diag_set(diag, err, "vfio", "the kernel has no TYPE1v2 container");
		diag_remedy(diag, err, "load the driver: modprobe vfio_iommu_type1");
		goto err_close;
	}
	space->type1 = (struct dma_type1){ .sys = sys, .container = space->fd };
	return 0;

err_close:
	sys_close(sys, &space->fd);
	space->fd = -1;
	return err;
}

int vfio_context_create(const struct vfio_context_config *config, struct vfio_context **out,
			struct diag *diag)
{
	struct vfio_context *context = calloc(1, sizeof(*context));

	if (!context)
		return diag_set(diag, -ENOMEM, "vfio", "out of memory");
	context->config = *config;
	context->sys = config->platform->sys;
	context->shared.fd = -1;
	vfio_grant_init(context);
	*out = context;
	return 0;
}

void vfio_context_destroy(struct vfio_context *context)
{
	if (!context)
		return;
	/* Devices hold the groups, and the last group takes the mappings with it. */
	BUG_ON(context->devices || context->groups || context->mirrors);
	vfio_grant_fini(context);
	sys_close(context->sys, &context->shared.fd);
	free(context);
}

static bool vfio_space_coherent(const struct vfio_space *space)
{
	/* Without devices nothing bypasses a cache. */
	if (!space->has_iommu)
		return true;
	return sys_ioctl_value(space->context->sys, space->fd, VFIO_CHECK_EXTENSION,
			       VFIO_DMA_CC_IOMMU) > 0;
}

bool vfio_context_coherent(const struct vfio_context *context)
{
	bool coherent = vfio_space_coherent(&context->shared);

	for (const struct vfio_space *s = context->mirrors; s; s = s->next)
		coherent &= vfio_space_coherent(s);
	return coherent;
}

static void vfio_stats_add(struct dma_stats *sum, const struct dma_space *dma)
{
	struct dma_stats one;

	if (!dma)
		return;
	dma_space_stats(dma, &one);
	sum->mapped_bytes += one.mapped_bytes;
	sum->nr_mappings += one.nr_mappings;
	sum->nr_maps += one.nr_maps;
	sum->nr_unmaps += one.nr_unmaps;
	sum->map_ns += one.map_ns;
	sum->unmap_ns += one.unmap_ns;
	sum->nr_refused += one.nr_refused;
}

void vfio_context_dma_stats(struct vfio_context *context, struct dma_stats *stats)
{
	*stats = (struct dma_stats){ 0 };
	vfio_stats_add(stats, context->shared.dma);
	for (const struct vfio_space *s = context->mirrors; s; s = s->next)
		vfio_stats_add(stats, s->dma);
}

struct vfio_group *vfio_group_find(const struct vfio_context *context, int id)
{
	for (struct vfio_group *group = context->groups; group; group = group->next)
		if (group->id == id)
			return group;
	return NULL;
}

int vfio_refuse_rmrr(const struct host_group *host, const char *object, struct diag *diag)
{
	for (size_t i = 0; i < host->nr_reserved; i++) {
		if (host->reserved[i].kind != HOST_RESERVED_DIRECT)
			continue;
		diag_set(diag, -EPERM, object,
			 "the host's firmware keeps memory at 0x%llx for this device (RMRR), which "
			 "must stay mapped: it cannot be given away",
			 (unsigned long long)host->reserved[i].iova.first);
		return diag_remedy(diag, -EPERM,
				   "look for a firmware option that releases the device (BIOS "
				   "ownership, iLO shared memory, USB legacy support)");
	}
	return 0;
}

int vfio_refuse_unsafe(const char *object, struct diag *diag)
{
	diag_set(diag, -EPERM, object,
		 "this host does not remap interrupts, so the device could forge interrupts to the "
		 "host");
	return diag_remedy(diag, -EPERM,
			   "switch interrupt remapping on (VT-d or AMD-Vi in the firmware, no "
			   "intremap=off on the kernel's command line); to take the risk instead, "
			   "set vfio_iommu_type1.allow_unsafe_interrupts=1");
}

/* Attaching is refused with EPERM for two reasons; the group's reserved regions tell which. */
static int vfio_refuse_attach(int err, const struct host_group *host, const char *object,
			      struct diag *diag)
{
	if (err == -EPERM)
		return vfio_refuse_rmrr(host, object, diag) ?: vfio_refuse_unsafe(object, diag);
	if (err == -EBUSY)
		return diag_set(diag, err, object,
				"IOMMU group %d is still attached to another address space",
				host->id);
	if (err == -EINVAL) {
		diag_set(diag, err, object,
			 "IOMMU group %d does not fit the mappings of the VM's other devices (a "
			 "reserved region or the address width)",
			 host->id);
		return diag_remedy(diag, err, "see /sys/kernel/iommu_groups/%d/reserved_regions",
				   host->id);
	}
	return diag_set(diag, err, object, "IOMMU group %d cannot be attached: %s", host->id,
			strerror(-err));
}

static int vfio_group_check(struct vfio_context *context, struct vfio_group *group,
			    const struct host_group *host, const char *object, struct diag *diag)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	int err = sys_ioctl(context->sys, group->fd, VFIO_GROUP_GET_STATUS, &status);

	if (err < 0)
		return diag_set(diag, err, object, "the descriptor is not a VFIO group's: %s",
				strerror(-err));
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE)) {
		/* The inventory names the sibling in the way; the kernel only says that there is one. */
		err = host_group_viable(host, diag);
		if (err)
			return err;
		diag_set(diag, -EBUSY, object,
			 "IOMMU group %d is not viable: a member is in use by a host driver",
			 host->id);
		return diag_remedy(diag, -EBUSY, "bind the whole group: airlock bind %s --group",
				   object);
	}
	if (status.flags & VFIO_GROUP_FLAGS_CONTAINER_SET) {
		diag_set(diag, -EBUSY, object, "IOMMU group %d is in another container already",
			 host->id);
		return diag_remedy(diag, -EBUSY,
				   "hand over the container's descriptor with the group's");
	}
	return 0;
}

/* With the first group: the IOMMU, and the mapping engine on it. */
static int vfio_space_set_iommu(struct vfio_space *space, const struct host_group *host,
				const char *object, struct diag *diag)
{
	struct sys *sys = space->context->sys;
	const struct dma_space_config config = {
		.name = space->name,
		.sys = sys,
		.ops = &dma_type1_ops,
		.backend = &space->type1,
		.identity = !space->mirror,
		.mirror = space->mirror,
	};
	int err = sys_ioctl_value(sys, space->fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);

	/* The space outlives the caller's text. */
	snprintf(space->name, sizeof(space->name), "%s", space->mirror ? object : "vfio");
	if (err < 0)
		return vfio_refuse_attach(err, host, object, diag);
	err = dma_space_create(&config, &space->dma, diag);
	if (err)
		return err;
	space->has_iommu = true;
	/*
	 * A first device that comes while the VM runs (hotplug): its memory is wanted already. A
	 * mirror only has to know where RAM is.
	 */
	if (space->mirror || vfio_context_mapped(space->context))
		err = vfio_grant_listen(space, diag);
	if (err) {
		dma_space_destroy(space->dma);
		space->dma = NULL;
		space->has_iommu = false;
	}
	return err;
}

static void vfio_space_unset_iommu(struct vfio_space *space)
{
	vfio_grant_unlisten(space);
	dma_space_destroy(space->dma);
	space->dma = NULL;
	space->has_iommu = false;
}

/* The shared one, or a new one for a group of its own. */
static int vfio_space_get(struct vfio_context *context, bool mirror, const char *object,
			  struct vfio_space **out, struct diag *diag)
{
	struct vfio_space *space;
	int err;

	if (!mirror) {
		*out = &context->shared;
		return context->shared.fd >= 0
			       ? 0
			       : vfio_space_open(context, &context->shared, false, diag);
	}
	if (context->config.container) {
		diag_set(diag, -ENOTSUP, object,
			 "behind the guest's IOMMU each group has a container of its own, and one "
			 "was handed over");
		return diag_remedy(diag, -ENOTSUP, "leave out container=, or add iommu=off");
	}
	space = malloc(sizeof(*space));
	if (!space)
		return diag_set(diag, -ENOMEM, object, "out of memory");
	err = vfio_space_open(context, space, true, diag);
	if (err) {
		free(space);
		return err;
	}
	space->next = context->mirrors;
	context->mirrors = space;
	*out = space;
	return 0;
}

static void vfio_space_put(struct vfio_space *space)
{
	struct vfio_context *context = space->context;
	struct vfio_space **p = &context->mirrors;

	if (!space->mirror)
		return;
	while (*p != space)
		p = &(*p)->next;
	*p = space->next;
	sys_close(context->sys, &space->fd);
	free(space);
}

/* One more device of a group that is there. */
static int vfio_group_again(struct vfio_group *group, bool mirror, const char *object,
			    struct diag *diag)
{
	if (mirror || group->space->mirror) {
		diag_set(diag, -ENOTSUP, object,
			 "it shares IOMMU group %d with another device of this VM, so the host has "
			 "one address space for both; behind the guest's IOMMU each needs its own",
			 group->id);
		return diag_remedy(diag, -ENOTSUP,
				   "leave both out of the guest's IOMMU with iommu=off, or give "
				   "only one of them");
	}
	group->users++;
	return 0;
}

int vfio_group_get(struct vfio_context *context, const struct host_group *host, const char *name,
		   bool mirror, const char *object, struct vfio_group **out, struct diag *diag)
{
	struct vfio_group *group = vfio_group_find(context, host->id);
	struct sys *sys = context->sys;
	struct vfio_space *space = NULL;
	char number[16], path[32];
	bool first;
	int err;

	if (group) {
		*out = group;
		return vfio_group_again(group, mirror, object, diag);
	}
	if (host->noiommu) {
		diag_set(diag, -EPERM, object,
			 "VFIO's no-IOMMU mode gives no protection: the device could write to any "
			 "memory of the host");
		return diag_remedy(diag, -EPERM,
				   "switch the IOMMU on (intel_iommu=on, or AMD-Vi in the "
				   "firmware) and vfio.enable_unsafe_noiommu_mode off");
	}
	group = calloc(1, sizeof(*group));
	if (!group)
		return diag_set(diag, -ENOMEM, object, "out of memory");
	err = vfio_space_get(context, mirror, object, &space, diag);
	if (err)
		goto err_free;
	group->id = host->id;
	group->users = 1;
	group->space = space;
	snprintf(number, sizeof(number), "%d", host->id);
	snprintf(path, sizeof(path), "/dev/vfio/%d", host->id);
	group->fd = sys_open(sys, SYS_VFIO_GROUP, name ? name : number);
	if (group->fd < 0) {
		err = vfio_refuse_open(sys, group->fd, object, name ? name : path, diag);
		goto err_space;
	}
	err = vfio_group_check(context, group, host, object, diag);
	if (err)
		goto err_close;
	err = sys_ioctl(sys, group->fd, VFIO_GROUP_SET_CONTAINER, &space->fd);
	if (err < 0) {
		vfio_refuse_attach(err, host, object, diag);
		goto err_close;
	}
	first = !space->has_iommu;
	err = first ? vfio_space_set_iommu(space, host, object, diag)
		    : dma_space_refresh(space->dma, diag);
	if (err)
		goto err_unset;
	if (context->config.kvm_attach) {
		err = context->config.kvm_attach(context->config.opaque, group->fd);
		if (err) {
			diag_set(diag, err, object, "KVM does not take IOMMU group %d: %s",
				 host->id, strerror(-err));
			goto err_iommu;
		}
		group->told_kvm = true;
	}
	space->nr_groups++;
	group->next = context->groups;
	context->groups = group;
	*out = group;
	return 0;

err_iommu:
	if (first)
		vfio_space_unset_iommu(space);
err_unset:
	sys_ioctl(sys, group->fd, VFIO_GROUP_UNSET_CONTAINER, NULL);
	/* The limits are those of the groups that are left. */
	if (space->has_iommu)
		dma_space_refresh(space->dma, NULL);
err_close:
	sys_close(sys, &group->fd);
err_space:
	vfio_space_put(space);
err_free:
	free(group);
	return err;
}

void vfio_group_put(struct vfio_context *context, struct vfio_group *group)
{
	struct vfio_group **p = &context->groups;

	if (--group->users)
		return;
	while (*p != group)
		p = &(*p)->next;
	*p = group->next;
	if (!--group->space->nr_groups)
		vfio_space_unset_iommu(group->space);
	if (group->told_kvm)
		context->config.kvm_detach(context->config.opaque, group->fd);
	/* Closing would do it too, but only once KVM's reference is gone: this is the order. */
	sys_ioctl(context->sys, group->fd, VFIO_GROUP_UNSET_CONTAINER, NULL);
	sys_close(context->sys, &group->fd);
	vfio_space_put(group->space);
	free(group);
}

void vfio_context_names(struct vfio_context *context, void (*fn)(void *opaque, const char *name),
			void *opaque)
{
	for (struct vfio_pci *pci = context->devices; pci; pci = pci->next)
		fn(opaque, pci->device.name);
}
