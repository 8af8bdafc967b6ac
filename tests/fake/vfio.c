// SPDX-License-Identifier: GPL-2.0-or-later
#include "fake/vfio.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/endian.h"
#include "pci/pci_regs.h"

/* Descriptors of the fake: far from the real ones. */
#define FD_CONTAINER 200000
#define FD_GROUP0    200100
#define FD_DEVICE0   200200
#define FD_FAKE	     FD_CONTAINER

#define REGION_SHIFT 40 /* as vfio-pci lays its regions out */
#define ROM_INDEX    VFIO_PCI_ROM_REGION_INDEX

static struct fake_vfio *fake_of(struct sys *sys)
{
	return sys->ctx;
}

static void fake_lock(struct fake_vfio *vfio)
{
	BUG_ON(pthread_mutex_lock(&vfio->mutex));
}

static void fake_unlock(struct fake_vfio *vfio)
{
	BUG_ON(pthread_mutex_unlock(&vfio->mutex));
}

static int fake_call(struct fake_vfio *vfio)
{
	int err;

	fake_lock(vfio);
	err = ++vfio->nr_calls == vfio->fail_at ? vfio->fail_err : 0;
	fake_unlock(vfio);
	return err;
}

static struct fake_vfio_device *fake_device(struct fake_vfio *vfio, int fd)
{
	if (fd < FD_DEVICE0 || fd >= FD_DEVICE0 + FAKE_VFIO_DEVICES)
		return NULL;
	return &vfio->device[fd - FD_DEVICE0];
}

static struct fake_vfio_group *fake_group(struct fake_vfio *vfio, int fd)
{
	if (fd < FD_GROUP0 || fd >= FD_GROUP0 + FAKE_VFIO_GROUPS)
		return NULL;
	return &vfio->group[fd - FD_GROUP0];
}

struct fake_vfio_group *fake_vfio_group(struct fake_vfio *vfio, int id)
{
	for (unsigned int i = 0; i < FAKE_VFIO_GROUPS; i++)
		if (vfio->group[i].there && vfio->group[i].id == id)
			return &vfio->group[i];
	return NULL;
}

static unsigned int fake_attached(const struct fake_vfio *vfio)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < FAKE_VFIO_GROUPS; i++)
		nr += vfio->group[i].attached;
	return nr;
}

static uint64_t region_size(const struct fake_vfio_device *device, unsigned int index)
{
	if (index < 6)
		return device->bar_size[index];
	if (index == ROM_INDEX)
		return device->rom_size;
	return index == VFIO_PCI_CONFIG_REGION_INDEX ? device->config_size : 0;
}

/* Where a BAR or the ROM lies in the device's memory file. */
uint64_t fake_vfio_region_start(const struct fake_vfio_device *device, unsigned int index)
{
	uint64_t at = 0;

	for (unsigned int i = 0; i < index; i++)
		at += align_up(region_size(device, i), PAGE_SIZE);
	return at;
}

static int fake_open_group(struct fake_vfio *vfio, int id)
{
	struct fake_vfio_group *group = fake_vfio_group(vfio, id);

	if (!group)
		return -ENOENT;
	if (group->busy || group->fd)
		return -EBUSY;
	group->fd = FD_GROUP0 + (int)(group - vfio->group);
	return group->fd;
}

static int fake_open(struct sys *sys, enum sys_object kind, const char *name)
{
	struct fake_vfio *vfio = fake_of(sys);
	int fd = fake_call(vfio);

	if (fd)
		return fd;
	switch (kind) {
	case SYS_VFIO_CONTAINER:
		BUG_ON(vfio->container_open);
		vfio->container_open = true;
		fd = FD_CONTAINER;
		break;
	case SYS_VFIO_GROUP:
		fd = fake_open_group(vfio, atoi(!strncmp(name, "fd=", 3) ? name + 3 : name));
		break;
	default:
		fd = sys_open(&vfio->real, kind, name);
	}
	if (fd >= 0)
		vfio->nr_fds++;
	return fd;
}

static void fake_unset_iommu(struct fake_vfio *vfio)
{
	/* The kernel takes every mapping back with the last group. */
	if (fake_attached(vfio))
		return;
	vfio->iommu_set = false;
	vfio->nr_mappings = 0;
}

static void fake_close(struct sys *sys, int fd)
{
	struct fake_vfio *vfio = fake_of(sys);
	struct fake_vfio_device *device = fake_device(vfio, fd);
	struct fake_vfio_group *group = fake_group(vfio, fd);

	BUG_ON(!vfio->nr_fds);
	vfio->nr_fds--;
	if (fd == FD_CONTAINER) {
		BUG_ON(!vfio->container_open);
		vfio->container_open = false;
	} else if (device) {
		BUG_ON(!device->fd);
		device->fd = 0;
		device->mappings_at_close = vfio->nr_mappings;
		device->kind = VFIO_PCI_NUM_IRQS;
		device->error = device->request = -1;
	} else if (group) {
		BUG_ON(!group->fd);
		group->fd = 0;
		group->attached = false;
		fake_unset_iommu(vfio);
	} else {
		vfio->real.ops->close(&vfio->real, fd);
	}
}

static int fake_map_dma(struct fake_vfio *vfio, const struct vfio_iommu_type1_dma_map *map)
{
	uint64_t locked = 0;
	struct range r;
	bool inside = !vfio->nr_windows;

	if (map->argsz < sizeof(*map) || !vfio->iommu_set)
		return -EINVAL;
	if (range_make(map->iova, map->size, &r) ||
	    (map->iova | map->size | map->vaddr) & (PAGE_SIZE - 1) ||
	    !(map->flags & (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)))
		return -EINVAL;
	for (unsigned int i = 0; i < vfio->nr_mappings; i++) {
		if (range_overlaps(r, range_of(vfio->mapping[i].iova, vfio->mapping[i].size)))
			return -EEXIST;
		locked += vfio->mapping[i].size;
	}
	if (vfio->nr_mappings >= vfio->mappings_limit || vfio->nr_mappings == FAKE_VFIO_MAPPINGS)
		return -ENOSPC;
	for (unsigned int i = 0; i < vfio->nr_windows; i++)
		inside |= range_contains(vfio->windows[i], r);
	if (!inside)
		return -EINVAL;
	if (vfio->locked_limit && locked + map->size > vfio->locked_limit)
		return -ENOMEM;
	vfio->mapping[vfio->nr_mappings++] =
		(struct fake_vfio_mapping){ map->iova, map->size, map->vaddr, map->flags };
	vfio->nr_maps++;
	return 0;
}

/* TYPE1v2: whole mappings only, as many as lie in the range. */
static int fake_unmap_dma(struct fake_vfio *vfio, struct vfio_iommu_type1_dma_unmap *unmap)
{
	struct range r;
	uint64_t done = 0;

	if (range_make(unmap->iova, unmap->size, &r))
		return -EINVAL;
	for (unsigned int i = 0; i < vfio->nr_mappings; i++) {
		struct range m = range_of(vfio->mapping[i].iova, vfio->mapping[i].size);

		if (range_overlaps(m, r) && !range_contains(r, m))
			return -EINVAL;
	}
	for (unsigned int i = vfio->nr_mappings; i--;) {
		struct range m = range_of(vfio->mapping[i].iova, vfio->mapping[i].size);

		if (!range_contains(r, m))
			continue;
		done += vfio->mapping[i].size;
		vfio->mapping[i] = vfio->mapping[--vfio->nr_mappings];
	}
	unmap->size = done;
	vfio->nr_unmaps++;
	return 0;
}

/* The chain is written only when there is room for all of it; else argsz says how much. */
static int fake_iommu_info(struct fake_vfio *vfio, struct vfio_iommu_type1_info *info)
{
	struct vfio_iommu_type1_info_cap_iova_range *ranges;
	struct vfio_iommu_type1_info_dma_avail *avail;
	uint8_t *bytes = (uint8_t *)info;
	uint32_t at = sizeof(*info);
	uint32_t ranges_at = at, avail_at, need;

	if (info->argsz < offsetof(struct vfio_iommu_type1_info, cap_offset) || !vfio->iommu_set)
		return -EINVAL;
	info->flags = VFIO_IOMMU_INFO_PGSIZES;
	info->iova_pgsizes = vfio->page_sizes;
	info->cap_offset = 0;
	if (vfio->no_capabilities)
		return 0;
	info->flags |= VFIO_IOMMU_INFO_CAPS;
	avail_at = at +
		   (uint32_t)(sizeof(*ranges) + vfio->nr_windows * sizeof(ranges->iova_ranges[0]));
	need = avail_at + (uint32_t)sizeof(*avail);
	if (info->argsz < need) {
		info->argsz = need;
		return 0;
	}
	info->cap_offset = ranges_at;
	ranges = (void *)(bytes + ranges_at);
	ranges->header.id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE;
	ranges->header.version = 1;
	ranges->header.next = avail_at;
	ranges->nr_iovas = vfio->nr_windows;
	for (unsigned int i = 0; i < vfio->nr_windows; i++) {
		ranges->iova_ranges[i].start = vfio->windows[i].first;
		ranges->iova_ranges[i].end = vfio->windows[i].last;
	}
	avail = (void *)(bytes + avail_at);
	avail->header.id = VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL;
	avail->header.version = 1;
	avail->header.next = 0;
	avail->avail = vfio->mappings_limit - vfio->nr_mappings;
	return 0;
}

static int fake_container_ioctl(struct fake_vfio *vfio, unsigned long request, void *arg)
{
	switch (request) {
	case VFIO_GET_API_VERSION:
		return VFIO_API_VERSION;
	case VFIO_CHECK_EXTENSION:
		if ((uintptr_t)arg == VFIO_DMA_CC_IOMMU)
			return vfio->iommu_set && vfio->coherent;
		return (uintptr_t)arg == VFIO_TYPE1v2_IOMMU;
	case VFIO_SET_IOMMU:
		if (!fake_attached(vfio) || vfio->iommu_set)
			return -EINVAL;
		if (vfio->interrupts_unsafe)
			return -EPERM;
		vfio->iommu_set = true;
		return 0;
	case VFIO_IOMMU_GET_INFO:
		return fake_iommu_info(vfio, arg);
	case VFIO_IOMMU_MAP_DMA:
		return fake_map_dma(vfio, arg);
	case VFIO_IOMMU_UNMAP_DMA:
		return fake_unmap_dma(vfio, arg);
	}
	return -ENOTTY;
}

static int fake_group_ioctl(struct fake_vfio *vfio, struct fake_vfio_group *group,
			    unsigned long request, void *arg)
{
	struct vfio_group_status *status = arg;
	const char *name = arg;

	switch (request) {
	case VFIO_GROUP_GET_STATUS:
		status->flags = (group->viable ? VFIO_GROUP_FLAGS_VIABLE : 0) |
				(group->attached ? VFIO_GROUP_FLAGS_CONTAINER_SET : 0);
		return 0;
	case VFIO_GROUP_SET_CONTAINER:
		if (*(int *)arg != FD_CONTAINER || group->attached)
			return -EINVAL;
		if (!group->viable)
			return -EPERM;
		/* A container that has its IOMMU attaches the group at once. */
		if (vfio->iommu_set && vfio->interrupts_unsafe)
			return -EPERM;
		group->attached = true;
		return 0;
	case VFIO_GROUP_UNSET_CONTAINER:
		if (!group->attached)
			return -EINVAL;
		for (unsigned int i = 0; i < vfio->nr_devices; i++)
			if (vfio->device[i].group == group->id && vfio->device[i].fd)
				return -EBUSY;
		group->attached = false;
		fake_unset_iommu(vfio);
		return 0;
	case VFIO_GROUP_GET_DEVICE_FD:
		if (!group->attached || !vfio->iommu_set)
			return -EINVAL;
		for (unsigned int i = 0; i < vfio->nr_devices; i++) {
			struct fake_vfio_device *device = &vfio->device[i];

			if (strcmp(device->name, name) || device->group != group->id)
				continue;
			if (device->fd)
				return -EBUSY;
			device->fd = FD_DEVICE0 + (int)i;
			/* Opening resets where that works, and leaves bus mastering off. */
			device->nr_resets += device->can_reset;
			le_store(device->config + PCI_COMMAND, 2,
				 le_load(device->config + PCI_COMMAND, 2) & ~PCI_COMMAND_MASTER);
			vfio->nr_fds++;
			return device->fd;
		}
		return -ENODEV;
	}
	return -ENOTTY;
}

static int fake_region_info(struct fake_vfio_device *device, struct vfio_region_info *info)
{
	unsigned int i = info->index, nr = i < 6 ? device->nr_areas[i] : 0;
	bool sparse = nr, msix = i == 0 && device->msix_mappable;
	struct vfio_region_info_cap_sparse_mmap *cap;
	uint32_t at = sizeof(*info), need = at, last = 0;
	uint8_t *bytes = (uint8_t *)info;

	if (i >= VFIO_PCI_NUM_REGIONS)
		return -EINVAL;
	if (i == VFIO_PCI_VGA_REGION_INDEX)
		return -EINVAL;
	info->offset = (uint64_t)i << REGION_SHIFT;
	info->size = region_size(device, i);
	info->flags = info->size ? VFIO_REGION_INFO_FLAG_READ : 0;
	if (info->size && i != ROM_INDEX)
		info->flags |= VFIO_REGION_INFO_FLAG_WRITE;
	info->cap_offset = 0;
	if (i >= 6 || !device->mappable[i])
		return 0;
	info->flags |= VFIO_REGION_INFO_FLAG_MMAP;
	if (!sparse && !msix)
		return 0;
	info->flags |= VFIO_REGION_INFO_FLAG_CAPS;
	if (sparse)
		need += (uint32_t)(sizeof(*cap) + nr * sizeof(cap->areas[0]));
	if (msix)
		need += (uint32_t)sizeof(struct vfio_info_cap_header);
	if (info->argsz < need) {
		info->argsz = need;
		return 0;
	}
	if (sparse) {
		cap = (void *)(bytes + at);
		cap->header = (struct vfio_info_cap_header){ .id = VFIO_REGION_INFO_CAP_SPARSE_MMAP,
							     .version = 1 };
		cap->nr_areas = nr;
		for (unsigned int k = 0; k < nr; k++) {
			cap->areas[k].offset = device->area[i][k].first;
			cap->areas[k].size = range_len(device->area[i][k]);
		}
		info->cap_offset = last = at;
		at += (uint32_t)(sizeof(*cap) + nr * sizeof(cap->areas[0]));
	}
	if (msix) {
		struct vfio_info_cap_header header = { .id = VFIO_REGION_INFO_CAP_MSIX_MAPPABLE,
						       .version = 1 };

		memcpy(bytes + at, &header, sizeof(header));
		if (last)
			((struct vfio_info_cap_header *)(void *)(bytes + last))->next = at;
		else
			info->cap_offset = at;
	}
	return 0;
}

static int irq_set_block(struct fake_vfio_device *device, unsigned int start, unsigned int count,
			 const int32_t *fds)
{
	if (start + count > device->nr_vectors) {
		if (device->kind != VFIO_PCI_MSIX_IRQ_INDEX || !device->resizable)
			return -EINVAL;
		device->nr_vectors = start + count;
	}
	for (unsigned int i = 0; i < count; i++)
		device->trigger[start + i] = fds[i];
	return 0;
}

static int irq_set_vectors(struct fake_vfio_device *device, const struct vfio_irq_set *set,
			   const int32_t *fds)
{
	unsigned int want = set->start + set->count;

	if (device->kind != VFIO_PCI_NUM_IRQS && device->kind != set->index)
		return -EINVAL;
	if (!set->count && (set->flags & VFIO_IRQ_SET_DATA_NONE)) {
		if (device->kind == VFIO_PCI_NUM_IRQS)
			return -EINVAL;
		device->kind = VFIO_PCI_NUM_IRQS;
		device->nr_vectors = 0;
		device->nr_disables++;
		return 0;
	}
	if (!(set->flags & VFIO_IRQ_SET_DATA_EVENTFD))
		return -EINVAL;
	if (device->kind == set->index)
		return irq_set_block(device, set->start, set->count, fds);
	if (want > device->host_vectors)
		return (int)device->host_vectors;
	device->kind = set->index;
	device->nr_vectors = want;
	device->nr_enables++;
	for (unsigned int i = 0; i < FAKE_VFIO_VECTORS; i++)
		device->trigger[i] = -1;
	return irq_set_block(device, set->start, set->count, fds);
}

static bool intx_disabled(const struct fake_vfio_device *device)
{
	return le_load(device->config + PCI_COMMAND, 2) & PCI_COMMAND_INTX_OFF;
}

static int irq_set_intx(struct fake_vfio *vfio, struct fake_vfio_device *device,
			const struct vfio_irq_set *set, const int32_t *fds)
{
	if (set->flags & VFIO_IRQ_SET_ACTION_UNMASK) {
		if (device->kind != VFIO_PCI_INTX_IRQ_INDEX)
			return -EINVAL;
		device->nr_unmasks++;
		/* Not while the guest has it disabled: clearing that bit unmasks. */
		device->intx_masked = intx_disabled(device);
		fake_vfio_intx(vfio, device, device->intx_line);
		return 0;
	}
	if (!set->count && (set->flags & VFIO_IRQ_SET_DATA_NONE)) {
		if (device->kind == VFIO_PCI_INTX_IRQ_INDEX)
			device->kind = VFIO_PCI_NUM_IRQS;
		return 0;
	}
	if (device->kind != VFIO_PCI_NUM_IRQS || set->count != 1)
		return -EINVAL;
	device->kind = VFIO_PCI_INTX_IRQ_INDEX;
	device->intx_masked = intx_disabled(device);
	device->trigger[0] = fds[0];
	fake_vfio_intx(vfio, device, device->intx_line);
	return 0;
}

static int fake_set_irqs(struct fake_vfio *vfio, struct fake_vfio_device *device,
			 const struct vfio_irq_set *set)
{
	int32_t fds[FAKE_VFIO_VECTORS] = { 0 };
	int *event;

	if (set->argsz < sizeof(*set) || set->index >= VFIO_PCI_NUM_IRQS ||
	    set->start + set->count > device->irq_count[set->index])
		return -EINVAL;
	if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD) {
		if (set->argsz - sizeof(*set) < set->count * sizeof(int32_t))
			return -EINVAL;
		memcpy(fds, set->data, set->count * sizeof(int32_t));
	}
	switch (set->index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
		return irq_set_intx(vfio, device, set, fds);
	case VFIO_PCI_MSI_IRQ_INDEX:
	case VFIO_PCI_MSIX_IRQ_INDEX:
		return irq_set_vectors(device, set, fds);
	}
	event = set->index == VFIO_PCI_ERR_IRQ_INDEX ? &device->error : &device->request;
	*event = set->count ? fds[0] : -1;
	return 0;
}

/* A function's reset: what the guest set is gone, what the host set is restored. */
static void device_reset(struct fake_vfio_device *device)
{
	device->command_at_reset = (uint16_t)le_load(device->config + PCI_COMMAND, 2);
	device->intx_line = false;
}

static int fake_hot_reset_info(struct fake_vfio *vfio, struct fake_vfio_device *device,
			       struct vfio_pci_hot_reset_info *info)
{
	unsigned int nr = 0;
	uint32_t room =
		(info->argsz - (uint32_t)sizeof(*info)) / (uint32_t)sizeof(info->devices[0]);

	if (!device->can_hot_reset)
		return -ENODEV;
	/* Functions of one slot share their address but for the last digit. */
	for (unsigned int i = 0; i < vfio->nr_devices; i++) {
		const char *name = vfio->device[i].name;

		if (strncmp(name, device->name, 11))
			continue;
		if (nr < room)
			info->devices[nr] = (struct vfio_pci_dependent_device){
				.group_id = (uint32_t)vfio->device[i].group,
				.bus = (uint8_t)strtoul(name + 5, NULL, 16),
				.devfn = (uint8_t)(strtoul(name + 8, NULL, 16) << 3 |
						   strtoul(name + 11, NULL, 16)),
			};
		nr++;
	}
	info->count = nr;
	return nr > room ? -ENOSPC : 0;
}

static int fake_hot_reset(struct fake_vfio *vfio, struct fake_vfio_device *device,
			  const struct vfio_pci_hot_reset *reset)
{
	for (unsigned int i = 0; i < vfio->nr_devices; i++) {
		struct fake_vfio_device *other = &vfio->device[i];
		bool proven = false;

		if (strncmp(other->name, device->name, 11))
			continue;
		for (unsigned int k = 0; k < reset->count; k++) {
			struct fake_vfio_group *group = fake_group(vfio, reset->group_fds[k]);

			proven |= group && group->id == other->group;
		}
		if (!proven)
			return -EINVAL;
	}
	if (device->hot_reset_err)
		return device->hot_reset_err;
	for (unsigned int i = 0; i < vfio->nr_devices; i++)
		if (!strncmp(vfio->device[i].name, device->name, 11))
			device_reset(&vfio->device[i]);
	device->nr_hot_resets++;
	return 0;
}

static int fake_device_ioctl(struct fake_vfio *vfio, struct fake_vfio_device *device,
			     unsigned long request, void *arg)
{
	struct vfio_device_info *info = arg;
	struct vfio_irq_info *irq = arg;

	switch (request) {
	case VFIO_DEVICE_GET_INFO:
		info->flags =
			VFIO_DEVICE_FLAGS_PCI | (device->can_reset ? VFIO_DEVICE_FLAGS_RESET : 0);
		info->num_regions = VFIO_PCI_NUM_REGIONS;
		info->num_irqs = VFIO_PCI_NUM_IRQS;
		return 0;
	case VFIO_DEVICE_GET_REGION_INFO:
		return fake_region_info(device, arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		if (irq->index >= VFIO_PCI_ERR_IRQ_INDEX && !device->irq_count[irq->index])
			return -EINVAL;
		irq->flags = VFIO_IRQ_INFO_EVENTFD;
		if (irq->index != VFIO_PCI_MSIX_IRQ_INDEX || !device->resizable)
			irq->flags |= VFIO_IRQ_INFO_NORESIZE;
		irq->count = device->irq_count[irq->index];
		return 0;
	case VFIO_DEVICE_SET_IRQS:
		return fake_set_irqs(vfio, device, arg);
	case VFIO_DEVICE_RESET:
		if (!device->can_reset)
			return -EINVAL;
		device->nr_resets++;
		device_reset(device);
		return 0;
	case VFIO_DEVICE_GET_PCI_HOT_RESET_INFO:
		return fake_hot_reset_info(vfio, device, arg);
	case VFIO_DEVICE_PCI_HOT_RESET:
		return fake_hot_reset(vfio, device, arg);
	}
	return -ENOTTY;
}

/* Calls that take something away do not fail. */
static bool fake_may_fail(unsigned long request, void *arg)
{
	const struct vfio_irq_set *set = arg;

	if (request == VFIO_DEVICE_SET_IRQS)
		return set->flags & VFIO_IRQ_SET_DATA_EVENTFD;
	return request != VFIO_GROUP_UNSET_CONTAINER && request != VFIO_IOMMU_UNMAP_DMA;
}

static int fake_ioctl(struct sys *sys, int fd, unsigned long request, void *arg)
{
	struct fake_vfio *vfio = fake_of(sys);
	int r = fake_may_fail(request, arg) ? fake_call(vfio) : 0;

	if (r)
		return r;
	fake_lock(vfio);
	if (fd == FD_CONTAINER)
		r = fake_container_ioctl(vfio, request, arg);
	else if (fake_group(vfio, fd))
		r = fake_group_ioctl(vfio, fake_group(vfio, fd), request, arg);
	else if (fake_device(vfio, fd))
		r = fake_device_ioctl(vfio, fake_device(vfio, fd), request, arg);
	else
		r = sys_ioctl(&vfio->real, fd, request, arg);
	fake_unlock(vfio);
	return r;
}

static ssize_t fake_read(struct sys *sys, int fd, void *buf, size_t len)
{
	struct fake_vfio *vfio = fake_of(sys);

	return vfio->real.ops->read(&vfio->real, fd, buf, len);
}

static ssize_t fake_write(struct sys *sys, int fd, const void *buf, size_t len)
{
	struct fake_vfio *vfio = fake_of(sys);

	return vfio->real.ops->write(&vfio->real, fd, buf, len);
}

/* 0 and the place, or -errno. */
static int fake_locate(struct fake_vfio_device *device, uint64_t offset, size_t len,
		       unsigned int *index, uint64_t *at)
{
	*index = (unsigned int)(offset >> REGION_SHIFT);
	*at = offset & (BIT64(REGION_SHIFT) - 1);
	if (*index >= VFIO_PCI_NUM_REGIONS || *at >= region_size(device, *index) ||
	    len > region_size(device, *index) - *at)
		return -EINVAL;
	/* Without memory decode a BAR does not answer. */
	if (*index < 6 && !(device->config[PCI_COMMAND] & PCI_COMMAND_MEMORY))
		return -EIO;
	return 0;
}

static ssize_t fake_pread(struct sys *sys, int fd, void *buf, size_t len, uint64_t offset)
{
	struct fake_vfio *vfio = fake_of(sys);
	struct fake_vfio_device *device = fake_device(vfio, fd);
	unsigned int index;
	uint64_t at;
	int err = fake_call(vfio);

	if (!err && !device)
		return vfio->real.ops->pread(&vfio->real, fd, buf, len, offset);
	if (!err)
		err = fake_locate(device, offset, len, &index, &at);
	if (err)
		return err;
	if (index == VFIO_PCI_CONFIG_REGION_INDEX) {
		fake_lock(vfio);
		memcpy(buf, device->config + at, len);
		fake_unlock(vfio);
		return (ssize_t)len;
	}
	return pread(device->memory, buf, len, (off_t)(fake_vfio_region_start(device, index) + at));
}

static ssize_t fake_pwrite(struct sys *sys, int fd, const void *buf, size_t len, uint64_t offset)
{
	struct fake_vfio *vfio = fake_of(sys);
	struct fake_vfio_device *device = fake_device(vfio, fd);
	unsigned int index;
	bool was_disabled;
	uint64_t at;
	int err = fake_call(vfio);

	if (!err && !device)
		return vfio->real.ops->pwrite(&vfio->real, fd, buf, len, offset);
	if (!err)
		err = fake_locate(device, offset, len, &index, &at);
	if (err)
		return err;
	if (index != VFIO_PCI_CONFIG_REGION_INDEX)
		return pwrite(device->memory, buf, len,
			      (off_t)(fake_vfio_region_start(device, index) + at));
	fake_lock(vfio);
	was_disabled = intx_disabled(device);
	memcpy(device->config + at, buf, len);
	if (intx_disabled(device)) {
		device->intx_masked = true;
	} else if (was_disabled) {
		device->intx_masked = false;
		fake_vfio_intx(vfio, device, device->intx_line);
	}
	device->nr_config_writes++;
	device->last_write.at = (unsigned int)at;
	device->last_write.size = (unsigned int)len;
	device->last_write.value = len <= 4 ? (uint32_t)le_load(buf, (unsigned int)len) : 0;
	if ((device->config[PCI_COMMAND] & PCI_COMMAND_MASTER) && !vfio->nr_mappings)
		device->mastered_while_unmapped = true;
	fake_unlock(vfio);
	return (ssize_t)len;
}

static int fake_size(struct sys *sys, int fd, uint64_t *size)
{
	struct fake_vfio *vfio = fake_of(sys);
	int err = fake_call(vfio);

	return err ? err : vfio->real.ops->size(&vfio->real, fd, size);
}

static int fake_mmap(struct sys *sys, void *hint, size_t len, int prot, int flags, int fd,
		     uint64_t offset, void **out)
{
	struct fake_vfio *vfio = fake_of(sys);
	struct fake_vfio_device *device = fake_device(vfio, fd);
	int err = fake_call(vfio);

	if (!err && device) {
		unsigned int index = (unsigned int)(offset >> REGION_SHIFT);
		uint64_t at = offset & (BIT64(REGION_SHIFT) - 1);

		if (index >= 6 || !device->mappable[index] || !is_aligned(at | len, PAGE_SIZE) ||
		    at + len > region_size(device, index))
			return -EINVAL;
		fd = device->memory;
		offset = fake_vfio_region_start(device, index) + at;
	}
	if (!err)
		err = vfio->real.ops->mmap(&vfio->real, hint, len, prot, flags, fd, offset, out);
	/* A fixed mapping takes the place of address space that is counted already. */
	if (!err && !(flags & MAP_FIXED))
		vfio->mapped_bytes += len;
	return err;
}

static void fake_munmap(struct sys *sys, void *addr, size_t len)
{
	struct fake_vfio *vfio = fake_of(sys);

	BUG_ON(len > vfio->mapped_bytes);
	vfio->mapped_bytes -= len;
	vfio->real.ops->munmap(&vfio->real, addr, len);
}

static int fake_madvise(struct sys *sys, void *addr, size_t len, int advice)
{
	return 0;
}

static ssize_t fake_read_file(struct sys *sys, enum sys_tree tree, const char *path, void *buf,
			      size_t size)
{
	struct fake_vfio *vfio = fake_of(sys);
	int err = fake_call(vfio);

	return err ? err : vfio->host.ops->read_file(&vfio->host, tree, path, buf, size);
}

static int fake_write_file(struct sys *sys, enum sys_tree tree, const char *path, const void *data,
			   size_t len)
{
	return -EACCES;
}

static ssize_t fake_read_link(struct sys *sys, enum sys_tree tree, const char *path, char *buf,
			      size_t size)
{
	struct fake_vfio *vfio = fake_of(sys);
	int err = fake_call(vfio);

	return err ? err : vfio->host.ops->read_link(&vfio->host, tree, path, buf, size);
}

static int fake_list(struct sys *sys, enum sys_tree tree, const char *path, sys_list_fn fn,
		     void *opaque)
{
	struct fake_vfio *vfio = fake_of(sys);
	int err = fake_call(vfio);

	return err ? err : vfio->host.ops->list(&vfio->host, tree, path, fn, opaque);
}

static int fake_limit(struct sys *sys, enum sys_limit which, uint64_t *soft, uint64_t *hard)
{
	struct fake_vfio *vfio = fake_of(sys);

	*soft = *hard = vfio->locked_limit ? vfio->locked_limit : SYS_UNLIMITED;
	return 0;
}

static const struct sys_ops fake_ops = {
	.open = fake_open,
	.close = fake_close,
	.ioctl = fake_ioctl,
	.read = fake_read,
	.write = fake_write,
	.pread = fake_pread,
	.pwrite = fake_pwrite,
	.size = fake_size,
	.mmap = fake_mmap,
	.munmap = fake_munmap,
	.madvise = fake_madvise,
	.read_file = fake_read_file,
	.write_file = fake_write_file,
	.read_link = fake_read_link,
	.list = fake_list,
	.limit = fake_limit,
};

void fake_vfio_init(struct fake_vfio *vfio)
{
	pthread_mutexattr_t recursive;

	memset(vfio, 0, sizeof(*vfio));
	pthread_mutexattr_init(&recursive);
	pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&vfio->mutex, &recursive);
	pthread_mutexattr_destroy(&recursive);
	vfio->sys.ops = &fake_ops;
	vfio->sys.ctx = vfio;
	vfio->real = sys_real();
	vfio->page_sizes = PAGE_SIZE | MIB(2) | GIB(1);
	vfio->mappings_limit = FAKE_VFIO_MAPPINGS;
	vfio->coherent = true;
	/* The usual pair: everything but the MSI window, as wide as VT-d's 39 bits. */
	vfio->nr_windows = 2;
	vfio->windows[0] = (struct range){ 0, 0xfedfffff };
	vfio->windows[1] = (struct range){ 0xfef00000, BIT64(39) - 1 };
}

void fake_vfio_fini(struct fake_vfio *vfio)
{
	for (unsigned int i = 0; i < vfio->nr_devices; i++)
		if (vfio->device[i].memory > 0)
			close(vfio->device[i].memory);
	host_capture_destroy(vfio->capture);
	pthread_mutex_destroy(&vfio->mutex);
}

void fake_vfio_signal(struct fake_vfio *vfio, int eventfd)
{
	uint64_t one = 1;

	BUG_ON(vfio->real.ops->write(&vfio->real, eventfd, &one, sizeof(one)) != sizeof(one));
}

uint64_t fake_vfio_take(struct fake_vfio *vfio, int eventfd)
{
	uint64_t count;

	if (vfio->real.ops->read(&vfio->real, eventfd, &count, sizeof(count)) != sizeof(count))
		return 0;
	return count;
}

bool fake_vfio_fire(struct fake_vfio *vfio, struct fake_vfio_device *device, unsigned int vector)
{
	if ((device->kind != VFIO_PCI_MSI_IRQ_INDEX && device->kind != VFIO_PCI_MSIX_IRQ_INDEX) ||
	    vector >= device->nr_vectors || device->trigger[vector] < 0)
		return false;
	fake_vfio_signal(vfio, device->trigger[vector]);
	return true;
}

bool fake_vfio_intx(struct fake_vfio *vfio, struct fake_vfio_device *device, bool line)
{
	bool fires;

	fake_lock(vfio);
	device->intx_line = line;
	fires = line && device->kind == VFIO_PCI_INTX_IRQ_INDEX && !device->intx_masked;
	if (fires) {
		/* The kernel masks before it signals. */
		device->intx_masked = true;
		fake_vfio_signal(vfio, device->trigger[0]);
	}
	fake_unlock(vfio);
	return fires;
}

uint32_t fake_vfio_config(const struct fake_vfio_device *device, unsigned int at, unsigned int size)
{
	return (uint32_t)le_load(device->config + at, size);
}

bool fake_vfio_is_empty(const struct fake_vfio *vfio)
{
	return !vfio->nr_fds && !vfio->mapped_bytes && !vfio->nr_mappings && !vfio->iommu_set &&
	       !vfio->container_open && !fake_attached(vfio) && !vfio->nr_kvm_groups;
}
