// SPDX-License-Identifier: GPL-2.0-or-later
#include "vfio/device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/log.h"
#include "sys/vfio_info.h"

/* MSI-X, the greatest kind (PCI 3.0, 6.8.2.3). */
#define VFIO_VECTORS_MAX 2048

static int vfio_device_refuse(const struct vfio_device *device, int err, const char *what,
			      struct diag *diag)
{
	return diag_set(diag, err, device->name, "VFIO does not tell the device's %s: %s", what,
			strerror(-err));
}

/* What of a region can be mapped: all of it, or the stretches a driver lists. */
static int vfio_region_areas(struct vfio_region *region, const struct vfio_region_info *info)
{
	const struct vfio_region_info_cap_sparse_mmap *sparse = NULL;
	uint32_t chain = info->flags & VFIO_REGION_INFO_FLAG_CAPS ? info->cap_offset : 0;
	size_t room = 0;

	region->msix_mappable = vfio_info_cap(info, chain, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE,
					      sizeof(struct vfio_info_cap_header), NULL);
	if (!(info->flags & VFIO_REGION_INFO_FLAG_MMAP) || !region->size)
		return 0;
	sparse = vfio_info_cap(info, chain, VFIO_REGION_INFO_CAP_SPARSE_MMAP, sizeof(*sparse),
			       &room);
	if (!sparse) {
		region->areas[0] = range_of(0, region->size);
		region->nr_areas = 1;
		return 0;
	}
	if (sparse->nr_areas > (room - sizeof(*sparse)) / sizeof(sparse->areas[0]))
		return -EPROTO;
	for (uint32_t i = 0; i < sparse->nr_areas && region->nr_areas < VFIO_AREAS_MAX; i++) {
		struct range area;

		/* An empty area is how a driver says that nothing can be mapped. */
		if (range_make(sparse->areas[i].offset, sparse->areas[i].size, &area))
			continue;
		if (area.last >= region->size)
			return -EPROTO;
		region->areas[region->nr_areas++] = area;
	}
	return 0;
}

static int vfio_region_read_info(struct vfio_device *device, unsigned int index)
{
	const struct vfio_region_info head = { .index = index };
	struct vfio_region *region = &device->region[index];
	struct vfio_region_info *info;
	void *answer;
	int err = vfio_info_get(device->sys, device->fd, VFIO_DEVICE_GET_REGION_INFO, &head,
				sizeof(head), &answer);

	/* VGA is optional, and answered with EINVAL by drivers that never heard of it. */
	if (err == -EINVAL && index == VFIO_PCI_VGA_REGION_INDEX)
		return 0;
	if (err)
		return err;
	info = answer;
	*region = (struct vfio_region){
		.offset = info->offset,
		.size = info->size,
		.readable = info->flags & VFIO_REGION_INFO_FLAG_READ,
		.writable = info->flags & VFIO_REGION_INFO_FLAG_WRITE,
	};
	err = vfio_region_areas(region, info);
	free(answer);
	return err;
}

static int vfio_irq_read_info(struct vfio_device *device, unsigned int index)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = index };
	int err = sys_ioctl(device->sys, device->fd, VFIO_DEVICE_GET_IRQ_INFO, &info);

	/* Not all devices have error and request notification: EINVAL then. */
	if (err == -EINVAL && index >= VFIO_PCI_ERR_IRQ_INDEX)
		return 0;
	if (err < 0)
		return err;
	if (!(info.flags & VFIO_IRQ_INFO_EVENTFD))
		return 0;
	device->irq[index].count = info.count < VFIO_VECTORS_MAX ? info.count : VFIO_VECTORS_MAX;
	device->irq[index].resizable = !(info.flags & VFIO_IRQ_INFO_NORESIZE);
	return 0;
}

static int vfio_device_read_info(struct vfio_device *device, struct diag *diag)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int err = sys_ioctl(device->sys, device->fd, VFIO_DEVICE_GET_INFO, &info);

	if (err < 0)
		return vfio_device_refuse(device, err, "kind", diag);
	if (!(info.flags & VFIO_DEVICE_FLAGS_PCI))
		return diag_set(diag, -ENOTSUP, device->name, "it is not a PCI device to VFIO");
	device->can_reset = info.flags & VFIO_DEVICE_FLAGS_RESET;
	for (unsigned int i = 0; i < VFIO_PCI_NUM_REGIONS && i < info.num_regions; i++) {
		err = vfio_region_read_info(device, i);
		if (err)
			return vfio_device_refuse(device, err, "regions", diag);
	}
	for (unsigned int i = 0; i < VFIO_PCI_NUM_IRQS && i < info.num_irqs; i++) {
		err = vfio_irq_read_info(device, i);
		if (err)
			return vfio_device_refuse(device, err, "interrupts", diag);
	}
	if (device->region[VFIO_PCI_CONFIG_REGION_INDEX].size < 256)
		return diag_set(diag, -ENOTSUP, device->name, "VFIO shows no config space of it");
	return 0;
}

static int vfio_refuse_device(int err, const char *name, const char *vf_token, struct diag *diag)
{
	switch (err) {
	case -ENODEV:
		diag_set(diag, err, name, "its IOMMU group does not offer it to VFIO");
		return diag_remedy(diag, err, "bind it: airlock bind %s", name);
	case -EBUSY:
		return diag_set(diag, err, name, "it is open already");
	case -EACCES:
	case -EINVAL:
		diag_set(diag, err, name, "the PF's driver %s",
			 vf_token ? "does not know this VF token" : "wants a VF token");
		return diag_remedy(diag, err, "give the UUID it was started with: vf-token=UUID");
	default:
		return diag_set(diag, err, name, "VFIO does not open it: %s", strerror(-err));
	}
}

int vfio_device_open(struct vfio_device *device, struct sys *sys, int group_fd, const char *name,
		     const char *vf_token, struct diag *diag)
{
	char request[128];
	int err;

	*device = (struct vfio_device){ .sys = sys, .fd = -1 };
	snprintf(device->name, sizeof(device->name), "%s", name);
	if ((size_t)snprintf(request, sizeof(request), "%s%s%s", name, vf_token ? " vf_token=" : "",
			     vf_token ? vf_token : "") >= sizeof(request))
		return diag_set(diag, -EINVAL, name, "the VF token is no UUID");
	device->fd = sys_ioctl(sys, group_fd, VFIO_GROUP_GET_DEVICE_FD, request);
	if (device->fd < 0) {
		err = device->fd;
		device->fd = -1;
		return vfio_refuse_device(err, name, vf_token, diag);
	}
	err = vfio_device_read_info(device, diag);
	if (err)
		vfio_device_close(device);
	return err;
}

void vfio_device_close(struct vfio_device *device)
{
	sys_close(device->sys, &device->fd);
}

int vfio_device_read(struct vfio_device *device, unsigned int region, uint64_t at, void *buf,
		     size_t len)
{
	const struct vfio_region *r = &device->region[region];

	if (at >= r->size || len > r->size - at)
		return -EINVAL;
	return sys_pread_full(device->sys, device->fd, buf, len, r->offset + at);
}

int vfio_device_write(struct vfio_device *device, unsigned int region, uint64_t at, const void *buf,
		      size_t len)
{
	const struct vfio_region *r = &device->region[region];

	if (at >= r->size || len > r->size - at)
		return -EINVAL;
	return sys_pwrite_full(device->sys, device->fd, buf, len, r->offset + at);
}

int vfio_device_irq_set(struct vfio_device *device, unsigned int kind, unsigned int start,
			unsigned int count, const int *eventfds)
{
	size_t size = sizeof(struct vfio_irq_set) + count * sizeof(int32_t);
	struct vfio_irq_set *set = calloc(1, size);
	int r;

	if (!set)
		return -ENOMEM;
	set->argsz = (uint32_t)size;
	set->flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	set->index = kind;
	set->start = start;
	set->count = count;
	for (unsigned int i = 0; i < count; i++)
		memcpy(set->data + i * sizeof(int32_t), &eventfds[i], sizeof(int32_t));
	r = sys_ioctl(device->sys, device->fd, VFIO_DEVICE_SET_IRQS, set);
	free(set);
	return r;
}

static int vfio_device_irq_act(struct vfio_device *device, unsigned int kind, unsigned int count,
			       uint32_t action)
{
	struct vfio_irq_set set = {
		.argsz = sizeof(set),
		.flags = VFIO_IRQ_SET_DATA_NONE | action,
		.index = kind,
		.count = count,
	};
	int r = sys_ioctl(device->sys, device->fd, VFIO_DEVICE_SET_IRQS, &set);

	return r < 0 ? r : 0;
}

int vfio_device_irq_off(struct vfio_device *device, unsigned int kind)
{
	return vfio_device_irq_act(device, kind, 0, VFIO_IRQ_SET_ACTION_TRIGGER);
}

int vfio_device_irq_unmask(struct vfio_device *device, unsigned int kind)
{
	return vfio_device_irq_act(device, kind, 1, VFIO_IRQ_SET_ACTION_UNMASK);
}
