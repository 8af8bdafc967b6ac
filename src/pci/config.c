// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Config space: bytes, what of each the guest may write, and what a write sets in motion. Every
 * access is cut down to bytes here, so that one rule holds for every register and every width.
 */
#include "base/bug.h"
#include "base/endian.h"
#include "pci/bus.h"

#define FIRST_CAP    0x40
#define CAP_ALIGN    4
#define CAP_PTR_MASK 0xfc
/* No list in config space can be longer: entries do not overlap. */
#define MAX_CAPS     ((PCI_CONFIG_SIZE - FIRST_CAP) / CAP_ALIGN)
#define MAX_EXT_CAPS ((PCIE_CONFIG_SIZE - PCI_EXT_CAPS) / CAP_ALIGN)

static bool config_access_ok(const struct pci_function *fn, uint16_t offset, unsigned int size)
{
	return (size == 1 || size == 2 || size == 4) && is_aligned(offset, size) &&
	       (unsigned int)offset + size <= fn->config_size;
}

static uint8_t config_byte(const struct pci_function *fn, uint16_t offset)
{
	uint8_t v = fn->config[offset];

	if (offset == PCI_STATUS) {
		v = (uint8_t)(v & ~PCI_STATUS_INTX);
		if (__atomic_load_n(&fn->irq_pin_level, __ATOMIC_RELAXED))
			v |= PCI_STATUS_INTX;
	} else if (fn->msi) {
		pci_msi_pending_byte(fn, offset, &v);
	}
	return v;
}

uint32_t pci_config_get(const struct pci_function *fn, uint16_t offset, unsigned int size)
{
	uint32_t v = 0;

	if (!config_access_ok(fn, offset, size))
		return UINT32_MAX;
	for (unsigned int i = 0; i < size; i++)
		v |= (uint32_t)config_byte(fn, (uint16_t)(offset + i)) << (8 * i);
	return v;
}

/* Bit 15 of device control is not stored: writing it resets, reading gives 0 (PCIe 6.0, 7.5.3.4). */
static bool config_asks_flr(const struct pci_function *fn, uint16_t offset, unsigned int size,
			    uint32_t value)
{
	unsigned int control = (unsigned int)fn->pcie_cap + PCI_EXP_DEVCTL;

	if (!fn->pcie_cap || !pci_touches(offset, size, control + 1, 1))
		return false;
	if (!(le_load(&fn->config[fn->pcie_cap + PCI_EXP_DEVCAP], 4) & PCI_EXP_DEVCAP_FLR))
		return false;
	return value >> (8 * (control + 1 - offset)) & (PCI_EXP_DEVCTL_FLR >> 8);
}

void pci_config_put(struct pci_function *fn, uint16_t offset, unsigned int size, uint32_t value)
{
	uint16_t old_command = pci_command(fn), command;
	bool bars, went = false;

	if (!config_access_ok(fn, offset, size))
		return;
	for (unsigned int i = 0; i < size; i++) {
		uint8_t new = (uint8_t)(value >> (8 * i));
		uint8_t *byte = &fn->config[offset + i];
		uint8_t wmask = fn->wmask[offset + i], w1c = fn->w1c[offset + i];

		*byte = (uint8_t)((*byte & ~wmask) | (new &wmask));
		*byte = (uint8_t)(*byte & ~(new &w1c));
	}

	command = pci_command(fn);
	bars = pci_bars_touched(fn, offset, size);
	if (bars)
		went = pci_bars_withdraw(fn);
	if (bars || command != old_command)
		pci_function_refresh(fn);
	if (command != old_command) {
		pci_function_intx_update(fn);
		if (fn->ops->command_changed)
			fn->ops->command_changed(fn, old_command, command);
	}
	if (bars)
		pci_bars_place(fn);
	if (went && fn->bus)
		pci_bars_retry(fn->bus->fabric);
	if (fn->msix && pci_msix_touched(fn, offset, size))
		pci_msix_config_written(fn);
	if (fn->msi && pci_msi_touched(fn, offset, size))
		pci_msi_config_written(fn);
	if (fn->sriov && pci_sriov_touched(fn, offset, size))
		pci_sriov_config_written(fn);
	if (config_asks_flr(fn, offset, size, value))
		pci_function_reset(fn);
}

/*
 * A device of more than one function says so in each of them (PCI 3.0, 6.2.1). Virtual functions do
 * not count, and do not say so (PCIe 6.0, 9.3.4.1.11).
 */
static bool function_has_siblings(const struct pci_function *fn)
{
	for (unsigned int i = 0; fn->bus && !fn->pf && i < PCI_FUNCTIONS; i++) {
		uint8_t devfn = PCI_DEVFN(PCI_DEV(fn->devfn), i);
		const struct pci_function *other = fn->bus->functions[devfn];

		if (other && other != fn && !other->pf)
			return true;
	}
	return false;
}

uint32_t pci_config_read(struct pci_function *fn, uint16_t offset, unsigned int size)
{
	uint32_t v;

	if (!config_access_ok(fn, offset, size))
		return UINT32_MAX;
	v = fn->ops->config_read ? fn->ops->config_read(fn, offset, size)
				 : pci_config_get(fn, offset, size);
	if (pci_touches(offset, size, PCI_HEADER_TYPE, 1)) {
		uint32_t multi = (uint32_t)PCI_HEADER_MULTI << (8 * (PCI_HEADER_TYPE - offset));

		v = function_has_siblings(fn) ? v | multi : v & ~multi;
	}
	return v;
}

void pci_config_write(struct pci_function *fn, uint16_t offset, unsigned int size, uint32_t value)
{
	if (!config_access_ok(fn, offset, size))
		return;
	if (fn->ops->config_write)
		fn->ops->config_write(fn, offset, size, value);
	else
		pci_config_put(fn, offset, size, value);
}

void pci_config_set(struct pci_function *fn, uint16_t offset, unsigned int size, uint32_t value)
{
	BUG_ON(size > 4 || (unsigned int)offset + size > PCIE_CONFIG_SIZE);
	le_store(&fn->config[offset], size, value);
}

void pci_config_permit(struct pci_function *fn, uint16_t offset, unsigned int size, uint32_t wmask,
		       uint32_t w1c)
{
	BUG_ON(size > 4 || (unsigned int)offset + size > PCIE_CONFIG_SIZE);
	le_store(&fn->wmask[offset], size, wmask);
	le_store(&fn->w1c[offset], size, w1c);
}

int pci_add_capability(struct pci_function *fn, uint8_t id, uint8_t len, uint8_t *offset)
{
	unsigned int at = fn->next_cap;
	uint8_t *link = &fn->config[PCI_CAP_PTR];

	if (len < 2 || at + len > PCI_CONFIG_SIZE)
		return -ENOSPC;
	for (unsigned int i = 0; *link && i < MAX_CAPS; i++)
		link = &fn->config[(*link & CAP_PTR_MASK) + 1];
	*link = (uint8_t)at;
	pci_config_set(fn, (uint16_t)at, 2, id);
	fn->config[PCI_STATUS] |= PCI_STATUS_CAPS;
	fn->next_cap = (uint16_t)align_up(at + len, CAP_ALIGN);
	*offset = (uint8_t)at;
	return 0;
}

int pci_add_ext_capability(struct pci_function *fn, uint16_t id, uint8_t version, uint16_t len,
			   uint16_t *offset)
{
	unsigned int at = fn->next_ext_cap, tail = PCI_EXT_CAPS, next;

	if (len < 4 || at + len > fn->config_size)
		return -ENOSPC;
	if (at != PCI_EXT_CAPS) {
		for (unsigned int i = 0; i < MAX_EXT_CAPS; i++) {
			next = FIELD_GET(PCI_EXT_CAP_NEXT, (uint32_t)le_load(&fn->config[tail], 4));
			if (!next)
				break;
			tail = next & ~3u;
		}
		pci_config_set(fn, (uint16_t)(tail + 2), 2,
			       (uint32_t)(le_load(&fn->config[tail + 2], 2) | at << 4));
	}
	pci_config_set(fn, (uint16_t)at, 4,
		       FIELD_PREP(PCI_EXT_CAP_ID, id) | FIELD_PREP(PCI_EXT_CAP_VERSION, version));
	fn->next_ext_cap = (uint16_t)align_up(at + len, CAP_ALIGN);
	*offset = (uint16_t)at;
	return 0;
}
