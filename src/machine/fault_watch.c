// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/fault_watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/faults.h"
#include "iommu/ops.h"
#include "machine/board.h"

#define RECORD_MAX 8192 /* what one read of the log can give */

struct watched {
	const struct device *dev;
	struct quarantine faults;
	bool over;
};

struct fault_watch {
	struct vm *vm;
	int fd;
	struct loop_source source;
	unsigned int nr;
	struct watched watched[VM_DEVICES_MAX];
	char record[RECORD_MAX];
};

static const struct quarantine_policy policy = {
	.burst = FAULT_WATCH_BURST,
	.per_second = FAULT_WATCH_PER_SECOND,
};

/* vfio/ names its devices by the host's address. */
static struct device *device_find(struct vm *vm, struct pci_address address)
{
	char name[PCI_ADDRESS_TEXT + 8], text[PCI_ADDRESS_TEXT];

	snprintf(name, sizeof(name), "vfio %s", pci_address_format(address, text));
	for (struct device *dev = vm->devices; dev; dev = dev->next)
		if (vfio_pci_is(dev) && !strcmp(dev->name, name))
			return dev;
	return NULL;
}

static struct watched *watched_of(struct fault_watch *watch, const struct device *dev)
{
	for (unsigned int i = 0; i < watch->nr; i++)
		if (watch->watched[i].dev == dev)
			return &watch->watched[i];
	if (watch->nr == ARRAY_SIZE(watch->watched))
		return NULL;
	watch->watched[watch->nr] = (struct watched){ .dev = dev };
	return &watch->watched[watch->nr++];
}

static void cut_off(struct vm *vm, struct device *dev)
{
	struct pci_function *fn = vfio_pci_function(dev);
	struct lock *fabric = pci_fabric_lock(vm->board->fabric);

	if (fn->requester)
		iommu_device_refuse(fn->requester, "the host's IOMMU keeps refusing its requests");
	lock_take(fabric);
	if (fn->bus)
		pci_function_master_off(fn);
	lock_drop(fabric);
}

void fault_watch_line(struct fault_watch *watch, const char *line)
{
	struct pci_address address;
	struct watched *watched;
	struct device *dev;

	if (!host_fault_device(line, &address))
		return;
	dev = device_find(watch->vm, address);
	watched = dev ? watched_of(watch, dev) : NULL;
	if (!watched)
		return;
	if (!quarantine_add(&watched->faults, &policy, iommu_now_ns(), FAULT_WATCH_WEIGHT) &&
	    !watched->over)
		return;
	if (!watched->over)
		log_warning(dev->name, "quarantined: the host's IOMMU keeps refusing its requests");
	/* Again at each further one, should its driver have switched it on again. */
	watched->over = true;
	cut_off(watch->vm, dev);
}

static void watch_read(void *opaque, uint32_t events)
{
	struct fault_watch *watch = opaque;
	struct sys *sys = watch->vm->sys;

	for (;;) {
		ssize_t n = sys->ops->read(sys, watch->fd, watch->record, RECORD_MAX - 1);

		/* Records were lost meanwhile: on with those that are there. */
		if (n == -EPIPE)
			continue;
		if (n <= 0)
			return;
		watch->record[n] = '\0';
		fault_watch_line(watch, watch->record);
	}
}

static bool has_passed_through(const struct vm *vm)
{
	for (const struct device *dev = vm->devices; dev; dev = dev->next)
		if (vfio_pci_is(dev))
			return true;
	return false;
}

int fault_watch_start(struct vm *vm, struct fault_watch **out)
{
	struct fault_watch *watch;
	int err;

	*out = NULL;
	if (!has_passed_through(vm))
		return 0;
	watch = calloc(1, sizeof(*watch));
	if (!watch)
		return -ENOMEM;
	watch->vm = vm;
	watch->fd = sys_open(vm->sys, SYS_KERNEL_LOG, NULL);
	err = watch->fd < 0
		      ? watch->fd
		      : loop_watch(vm->loop, &watch->source, watch->fd, EPOLLIN, watch_read, watch);
	if (err) {
		log_info("devices",
			 "faults that the host's IOMMU reports of them are not seen: the "
			 "kernel's log cannot be read: %s",
			 strerror(-err));
		sys_close(vm->sys, &watch->fd);
		free(watch);
		return 0;
	}
	*out = watch;
	return 0;
}

void fault_watch_stop(struct fault_watch *watch)
{
	if (!watch)
		return;
	loop_unwatch(watch->vm->loop, &watch->source);
	sys_close(watch->vm->sys, &watch->fd);
	free(watch);
}
