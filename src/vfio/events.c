// SPDX-License-Identifier: GPL-2.0-or-later
#include "vfio/events.h"

#include <errno.h>
#include <linux/vfio.h>
#include <string.h>

#include "base/log.h"
#include "vfio/pci.h"

static bool event_take(struct vfio_pci *pci, struct vfio_event *event)
{
	struct sys *sys = pci->device.sys;
	uint64_t count;

	return sys->ops->read(sys, event->eventfd, &count, sizeof(count)) == sizeof(count);
}

static void event_error(void *opaque, uint32_t events)
{
	struct vfio_pci *pci = opaque;

	if (!event_take(pci, &pci->events.error) || pci->stopped)
		return;
	log_error(pci->device.name,
		  "the host reports an uncorrectable error: the device is stopped and taken from "
		  "the guest; see the host's kernel log");
	vfio_pci_stop(pci);
}

static void event_request(void *opaque, uint32_t events)
{
	struct vfio_pci *pci = opaque;

	if (!event_take(pci, &pci->events.request))
		return;
	pci->events.requested = true;
	log_warning(pci->device.name, "the host asks for the device back: it is taken from the "
				      "guest");
	/* The kernel repeats the request until it is honoured; once is enough. */
	loop_unwatch(pci->fn.platform->loop, &pci->events.request.source);
	if (pci->config.released)
		pci->config.released(pci->config.opaque, &pci->dev);
	else
		vfio_pci_release(pci);
}

static int event_build(struct vfio_pci *pci, struct vfio_event *event, unsigned int kind,
		       void (*fn)(void *opaque, uint32_t events))
{
	struct sys *sys = pci->device.sys;
	struct loop *loop = pci->fn.platform->loop;
	int err;

	if (!pci->device.irq[kind].count)
		return 0;
	event->eventfd = sys_open(sys, SYS_EVENTFD, NULL);
	if (event->eventfd < 0) {
		err = event->eventfd;
		event->eventfd = -1;
		return err;
	}
	err = loop_watch(loop, &event->source, event->eventfd, EPOLLIN, fn, pci);
	if (err)
		goto err_close;
	err = vfio_device_irq_set(&pci->device, kind, 0, 1, &event->eventfd);
	if (err) {
		err = err < 0 ? err : -EIO;
		goto err_unwatch;
	}
	return 0;

err_unwatch:
	loop_unwatch(loop, &event->source);
err_close:
	sys_close(sys, &event->eventfd);
	return err;
}

static void event_fini(struct vfio_pci *pci, struct vfio_event *event, unsigned int kind)
{
	if (event->eventfd < 0)
		return;
	vfio_device_irq_off(&pci->device, kind);
	loop_unwatch(pci->fn.platform->loop, &event->source);
	sys_close(pci->device.sys, &event->eventfd);
}

int vfio_events_build(struct vfio_pci *pci, struct diag *diag)
{
	int err = event_build(pci, &pci->events.error, VFIO_PCI_ERR_IRQ_INDEX, event_error);

	if (!err)
		err = event_build(pci, &pci->events.request, VFIO_PCI_REQ_IRQ_INDEX, event_request);
	if (err) {
		vfio_events_fini(pci);
		return diag_set(diag, err, pci->device.name,
				"its error and removal events cannot be received: %s",
				strerror(-err));
	}
	return 0;
}

void vfio_events_fini(struct vfio_pci *pci)
{
	event_fini(pci, &pci->events.request, VFIO_PCI_REQ_IRQ_INDEX);
	event_fini(pci, &pci->events.error, VFIO_PCI_ERR_IRQ_INDEX);
}
