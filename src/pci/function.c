// SPDX-License-Identifier: GPL-2.0-or-later
/* A function's life: made, put on a bus, reset, taken off; and its requester id and INTx. */
#include <stdio.h>
#include <string.h>

#include "base/bug.h"
#include "base/endian.h"
#include "iommu/ops.h"
#include "pci/bus.h"

#define FIRST_CAP	0x40
#define UPSTREAM_MASTER BIT(16)
#define COMMAND_WRITABLE                                                                 \
	(PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | \
	 PCI_COMMAND_SERR | PCI_COMMAND_INTX_OFF)
#define STATUS_CLEARED (PCI_STATUS_ERRORS | BIT(8))

static const struct pci_function_ops no_ops;

void pci_function_init(struct pci_function *fn, struct platform *platform, struct device *dev,
		       const struct pci_function_ops *ops, const struct pci_ids *ids,
		       const char *name)
{
	memset(fn, 0, sizeof(*fn));
	fn->ops = ops ? ops : &no_ops;
	fn->platform = platform;
	fn->dev = dev;
	fn->config_size = PCIE_CONFIG_SIZE;
	fn->next_cap = FIRST_CAP;
	fn->next_ext_cap = PCI_EXT_CAPS;
	fn->irq_gsi = -1;
	lock_init(&fn->irq_lock, LOCK_MSIX);
	snprintf(fn->name, sizeof(fn->name), "%s", name);

	pci_config_set(fn, PCI_VENDOR_ID, 2, ids->vendor);
	pci_config_set(fn, PCI_DEVICE_ID, 2, ids->device);
	pci_config_set(fn, PCI_SUBVENDOR_ID, 2, ids->subvendor);
	pci_config_set(fn, PCI_SUBDEVICE_ID, 2, ids->subdevice);
	pci_config_set(fn, PCI_REVISION, 4, ids->class_code << 8 | ids->revision);
	pci_config_permit(fn, PCI_COMMAND, 2, COMMAND_WRITABLE, 0);
	pci_config_permit(fn, PCI_STATUS, 2, 0, STATUS_CLEARED);
	pci_config_permit(fn, PCI_CACHE_LINE, 1, 0xff, 0);
	pci_config_permit(fn, PCI_IRQ_LINE, 1, 0xff, 0);
}

void pci_function_fini(struct pci_function *fn)
{
	BUG_ON(fn->bus);
	pci_msix_fini(fn);
	pci_msi_fini(fn);
	if (fn->requester)
		iommu_device_destroy(fn->requester);
	fn->requester = NULL;
	pci_sriov_fini(fn);
	lock_fini(&fn->irq_lock);
}

uint16_t pci_command(const struct pci_function *fn)
{
	return (uint16_t)le_load(&fn->config[PCI_COMMAND], 2);
}

bool pci_function_in_d0(const struct pci_function *fn)
{
	return !fn->pm_cap || !(fn->config[fn->pm_cap + PCI_PM_CONTROL] & PCI_PM_STATE);
}

/*
 * Whether the function may master, given that everything above it may. The tree is only as deep
 * as it was built.
 */
void pci_function_refresh(struct pci_function *fn)
{
	struct pci_function *bridge = fn->bus ? fn->bus->bridge : NULL;
	bool master =
		fn->bus && (pci_command(fn) & PCI_COMMAND_MASTER) && pci_function_in_d0(fn) &&
		(!bridge || (pci_function_may_master(bridge) && pci_bridge_passes_config(bridge)));
	rid_t rid = rid_make(fn->bus ? pci_bus_number(fn->bus) : 0, fn->devfn);
	rid_t old = pci_function_rid(fn);

	atomic_store_explicit(&fn->upstream, rid.v | (master ? UPSTREAM_MASTER : 0),
			      memory_order_release);
	/* Only when it is another one: what is cached for the old one goes. */
	if (fn->requester && iommu_device_rid(fn->requester).v != rid.v)
		iommu_device_set_rid(fn->requester, rid);
	if (old.v != rid.v && fn->bus && fn->ops->rid_changed)
		fn->ops->rid_changed(fn);
	for (unsigned int i = 0; fn->secondary && i < PCI_BUS_FUNCTIONS; i++) {
		if (fn->secondary->functions[i])
			pci_function_refresh(fn->secondary->functions[i]);
	}
}

rid_t pci_function_rid(const struct pci_function *fn)
{
	return (rid_t){ (uint16_t)atomic_load_explicit(&fn->upstream, memory_order_acquire) };
}

bool pci_function_may_master(const struct pci_function *fn)
{
	return atomic_load_explicit(&fn->upstream, memory_order_acquire) & UPSTREAM_MASTER;
}

void pci_function_master_off(struct pci_function *fn)
{
	uint16_t old = pci_command(fn), command = old & (uint16_t)~PCI_COMMAND_MASTER;

	if (command == old)
		return;
	pci_config_set(fn, PCI_COMMAND, 2, command);
	pci_function_refresh(fn);
	if (fn->ops->command_changed)
		fn->ops->command_changed(fn, old, command);
}

int pci_message_send(struct pci_function *fn, struct msi_message msg)
{
	if (!pci_function_may_master(fn))
		return 0;
	/* Quarantined: an interrupt is a write like any other. */
	if (fn->requester && atomic_load_explicit(&fn->requester->blocked, memory_order_relaxed))
		return 0;
	return fn->platform->ops->msi_send(fn->platform, pci_function_rid(fn), msg);
}

void pci_function_intx_update_locked(struct pci_function *fn)
{
	bool drive = fn->irq_pin_level && !fn->irq_off && fn->irq_gsi >= 0 &&
		     !pci_msix_enabled(fn) && !pci_msi_enabled(fn);

	if (drive == fn->irq_driven)
		return;
	fn->irq_driven = drive;
	platform_irq_set(fn->platform, (unsigned int)fn->irq_gsi, fn->irq_share, drive);
}

void pci_function_intx_update(struct pci_function *fn)
{
	lock_take(&fn->irq_lock);
	fn->irq_off = pci_command(fn) & PCI_COMMAND_INTX_OFF;
	pci_function_intx_update_locked(fn);
	lock_drop(&fn->irq_lock);
}

void pci_function_intx(struct pci_function *fn, bool level)
{
	lock_take(&fn->irq_lock);
	__atomic_store_n(&fn->irq_pin_level, level, __ATOMIC_RELAXED);
	pci_function_intx_update_locked(fn);
	lock_drop(&fn->irq_lock);
}

int pci_function_intx_pin(const struct pci_function *fn)
{
	return fn->irq_gsi;
}

/*
 * INTx of a device becomes another INTx on the other side of each bridge, rotated by its device
 * number (PCI-to-PCI Bridge 1.2, 9.1); on the root bus it meets the I/O APIC by the same rule.
 */
static unsigned int function_swizzle(const struct pci_function *fn)
{
	unsigned int pin = (unsigned int)fn->config[PCI_IRQ_PIN] - 1;

	for (; fn; fn = fn->bus->bridge)
		pin = (pin + PCI_DEV(fn->devfn)) % PCI_PINS;
	return pin;
}

/* Share 0 of each pin belongs to the machine's own devices. */
static int function_take_share(struct pci_function *fn)
{
	struct pci_fabric *fabric = fn->bus->fabric;
	uint8_t pin = fn->config[PCI_IRQ_PIN];
	uint64_t *shares;
	uint8_t gsi;

	if (!pin || pin > PCI_PINS)
		return 0;
	gsi = fabric->config.intx_pins[function_swizzle(fn)];
	shares = &fabric->irq_shares[gsi];
	for (unsigned int share = 1; share < IRQ_SHARES_MAX; share++) {
		if (*shares & BIT64(share))
			continue;
		*shares |= BIT64(share);
		fn->irq_share = share;
		fn->irq_gsi = gsi;
		return 0;
	}
	return -ENOSPC;
}

int pci_function_join(struct pci_function *fn, struct pci_bus *bus, uint8_t devfn)
{
	int err;

	BUG_ON(fn->bus);
	if (bus->functions[devfn])
		return -EEXIST;
	fn->bus = bus;
	fn->devfn = devfn;
	err = function_take_share(fn);
	if (err) {
		fn->bus = NULL;
		return err;
	}
	memcpy(fn->reset_config, fn->config, sizeof(fn->config));
	/* Whatever was copied in: after a reset nothing decodes and nothing masters. */
	le_store(&fn->reset_config[PCI_COMMAND], 2, 0);
	bus->functions[devfn] = fn;
	pci_function_intx_update(fn);
	pci_function_refresh(fn);
	pci_bars_place(fn);
	if (bus->bridge)
		pci_port_presence(bus->bridge);
	return 0;
}

int pci_function_attach(struct pci_function *fn, struct pci_bus *bus, uint8_t devfn)
{
	int err = -EINVAL;

	lock_take(&bus->fabric->lock);
	if (!bus->bridge || bus->internal || !PCI_DEV(devfn))
		err = pci_function_join(fn, bus, devfn);
	lock_drop(&bus->fabric->lock);
	return err;
}

void pci_function_leave(struct pci_function *fn)
{
	struct pci_bus *bus = fn->bus;
	struct pci_fabric *fabric = bus->fabric;

	if (fn->sriov)
		pci_sriov_disable(fn);
	bus->functions[fn->devfn] = NULL;
	fn->bus = NULL;
	pci_bars_withdraw(fn);
	for (unsigned int i = 0; i < ARRAY_SIZE(fn->bars); i++) {
		if (fn->bars[i].blocked)
			fabric->nr_blocked--;
		fn->bars[i].blocked = false;
	}
	lock_take(&fn->irq_lock);
	__atomic_store_n(&fn->irq_pin_level, 0, __ATOMIC_RELAXED);
	pci_function_intx_update_locked(fn);
	if (fn->irq_gsi >= 0)
		fabric->irq_shares[fn->irq_gsi] &= ~BIT64(fn->irq_share);
	fn->irq_gsi = -1;
	lock_drop(&fn->irq_lock);
	pci_function_refresh(fn);
	if (bus->bridge)
		pci_port_presence(bus->bridge);
	pci_bars_retry(fabric);
}

void pci_function_detach(struct pci_function *fn)
{
	struct pci_bus *bus = fn->bus;

	if (!bus)
		return;
	lock_take(&bus->fabric->lock);
	pci_function_leave(fn);
	lock_drop(&bus->fabric->lock);
}

void pci_function_reset(struct pci_function *fn)
{
	uint16_t old = pci_command(fn);
	bool went;

	pci_function_intx(fn, false);
	memcpy(fn->config, fn->reset_config, sizeof(fn->config));
	went = pci_bars_withdraw(fn);
	if (fn->msix)
		pci_msix_reset(fn);
	if (fn->msi)
		pci_msi_reset(fn);
	if (fn->sriov)
		pci_sriov_config_written(fn);
	pci_function_refresh(fn);
	pci_function_intx_update(fn);
	if (old != pci_command(fn) && fn->ops->command_changed)
		fn->ops->command_changed(fn, old, pci_command(fn));
	if (fn->ops->reset)
		fn->ops->reset(fn);
	if (went && fn->bus)
		pci_bars_retry(fn->bus->fabric);
}
