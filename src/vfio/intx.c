// SPDX-License-Identifier: GPL-2.0-or-later
#include "vfio/intx.h"

#include <errno.h>
#include <string.h>

#include "base/endian.h"
#include "base/log.h"
#include "pci/msix.h"
#include "vfio/pci.h"

#define KIND VFIO_PCI_INTX_IRQ_INDEX

static void intx_settle(void *opaque)
{
	struct vfio_pci *pci = opaque;
	struct vfio_intx *intx = &pci->intx;
	bool level, again;

	do {
		lock_take(&pci->vectors.lock);
		level = intx->asserted;
		lock_drop(&pci->vectors.lock);
		pci_function_intx(&pci->fn, level);
		lock_take(&pci->vectors.lock);
		again = intx->asserted != level;
		lock_drop(&pci->vectors.lock);
	} while (again);
}

static void intx_drain(struct vfio_pci *pci)
{
	uint64_t count;

	/* EAGAIN: nothing there. */
	if (pci->device.sys->ops->read(pci->device.sys, pci->intx.eventfd, &count, sizeof(count)) <
	    0)
		return;
}

static void intx_fired(void *opaque, uint32_t events)
{
	struct vfio_pci *pci = opaque;
	struct vfio_intx *intx = &pci->intx;

	lock_take(&pci->vectors.lock);
	intx_drain(pci);
	/* It may have been switched off since it was signalled. */
	if (intx->enabled) {
		intx->asserted = true;
		intx->nr++;
	}
	lock_drop(&pci->vectors.lock);
	intx_settle(pci);
}

/* A vCPU thread, no lock held. The pin may be another device's: then nothing of ours is asserted. */
static void intx_ended(void *opaque)
{
	struct vfio_pci *pci = opaque;
	struct vfio_intx *intx = &pci->intx;
	bool unmask;

	lock_take(&pci->vectors.lock);
	unmask = intx->asserted && intx->enabled;
	intx->asserted = false;
	lock_drop(&pci->vectors.lock);
	intx_settle(pci);
	/* Only now: what fires from here on is a new interrupt. */
	if (unmask)
		vfio_device_irq_unmask(&pci->device, KIND);
}

void vfio_intx_off_locked(struct vfio_pci *pci)
{
	struct vfio_intx *intx = &pci->intx;

	if (!intx->enabled)
		return;
	vfio_device_irq_off(&pci->device, KIND);
	intx->enabled = false;
	intx->asserted = false;
	intx_drain(pci);
	loop_post(pci->fn.platform->loop, &intx->settle);
}

void vfio_intx_withdraw(struct vfio_pci *pci)
{
	if (pci->intx.eventfd < 0)
		return;
	lock_take(&pci->vectors.lock);
	pci->intx.asserted = false;
	lock_drop(&pci->vectors.lock);
	loop_post(pci->fn.platform->loop, &pci->intx.settle);
}

static bool intx_wanted(struct vfio_pci *pci)
{
	uint16_t command = (uint16_t)le_load(pci->fn.config + PCI_COMMAND, 2);

	/* A function that does not decode has no driver, and one that masters has a broken one. */
	return pci->intx.eventfd >= 0 && pci->fn.bus && !pci->stopped &&
	       !pci_msix_enabled(&pci->fn) && !pci_msi_enabled(&pci->fn) &&
	       (command & (PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER));
}

void vfio_intx_update(struct vfio_pci *pci)
{
	struct vfio_intx *intx = &pci->intx;
	struct platform *platform = pci->fn.platform;
	bool wanted = intx_wanted(pci);
	int pin = pci_function_intx_pin(&pci->fn), err = 0;

	/* The pin is known once the function is on a bus, and stays. */
	if (wanted && intx->watched_pin < 0) {
		if (pin < 0)
			return;
		platform->ops->irq_eoi_watch(platform, (unsigned int)pin, &intx->eoi);
		intx->watched_pin = pin;
	}
	lock_take(&pci->vectors.lock);
	if (!wanted) {
		vfio_intx_off_locked(pci);
	} else if (!intx->enabled && pci->vectors.kind == VFIO_PCI_NUM_IRQS) {
		err = vfio_device_irq_set(&pci->device, KIND, 0, 1, &intx->eventfd);
		intx->enabled = !err;
	}
	lock_drop(&pci->vectors.lock);
	if (err)
		log_limited(&pci->log, LOG_ERROR, pci->device.name, "INTx cannot be enabled: %s",
			    strerror(err < 0 ? -err : EIO));
}

int vfio_intx_build(struct vfio_pci *pci, struct diag *diag)
{
	struct vfio_intx *intx = &pci->intx;
	struct sys *sys = pci->device.sys;
	int err;

	intx->settle.fn = intx_settle;
	intx->settle.opaque = pci;
	intx->eoi.fn = intx_ended;
	intx->eoi.opaque = pci;
	if (!pci->fn.config[PCI_IRQ_PIN])
		return 0;
	intx->eventfd = sys_open(sys, SYS_EVENTFD, NULL);
	if (intx->eventfd < 0) {
		err = intx->eventfd;
		intx->eventfd = -1;
		return diag_set(diag, err, pci->device.name, "no eventfd for INTx: %s",
				strerror(-err));
	}
	err = loop_watch(pci->fn.platform->loop, &intx->source, intx->eventfd, EPOLLIN, intx_fired,
			 pci);
	if (err) {
		sys_close(sys, &intx->eventfd);
		return diag_set(diag, err, pci->device.name, "INTx cannot be watched: %s",
				strerror(-err));
	}
	return 0;
}

void vfio_intx_fini(struct vfio_pci *pci)
{
	struct vfio_intx *intx = &pci->intx;
	struct platform *platform = pci->fn.platform;

	loop_unwatch(platform->loop, &intx->source);
	if (intx->watched_pin >= 0) {
		platform->ops->irq_eoi_unwatch(platform, (unsigned int)intx->watched_pin,
					       &intx->eoi);
		intx->watched_pin = -1;
		platform_synchronize(platform);
	}
	loop_cancel(platform->loop, &intx->settle);
	sys_close(pci->device.sys, &intx->eventfd);
}
