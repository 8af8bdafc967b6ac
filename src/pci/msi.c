// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * MSI (PCI 3.0, 6.8.1). The registers are config space, under LOCK_FABRIC; what firing needs of
 * them is copied under irq_lock, so that any thread can fire.
 */
#include <stdlib.h>
#include <string.h>

#include "base/endian.h"
#include "pci/bus.h"

#define MSI_MAX_VECTORS_LG2 5

struct pci_msi {
	uint8_t cap, len;
	bool is_64, has_masks;
	unsigned int nr_lg2; /* vectors the function has */

	/* Written under irq_lock. */
	atomic_bool enabled;
	unsigned int count;
	struct msi_message msg;
	uint32_t masks;
	atomic_uint pending;
};

static uint16_t msi_reg(const struct pci_msi *msi, unsigned int offset_32, unsigned int offset_64)
{
	return (uint16_t)(msi->cap + (msi->is_64 ? offset_64 : offset_32));
}

static uint32_t msi_all(const struct pci_msi *msi)
{
	return (uint32_t)(BIT64(1u << msi->nr_lg2) - 1);
}

int pci_msi_init(struct pci_function *fn, uint8_t cap)
{
	struct pci_msi *msi;
	unsigned int control, end;

	if (fn->msi || !cap || cap > PCI_CONFIG_SIZE - 4)
		return -EINVAL;
	msi = calloc(1, sizeof(*msi));
	if (!msi)
		return -ENOMEM;
	control = (unsigned int)le_load(&fn->config[cap + PCI_MSI_CONTROL], 2);
	msi->cap = cap;
	msi->is_64 = control & PCI_MSI_64;
	msi->has_masks = control & PCI_MSI_MASKING;
	msi->nr_lg2 = FIELD_GET(PCI_MSI_CAPABLE, control);
	end = msi->has_masks ? msi_reg(msi, PCI_MSI_PENDING_32, PCI_MSI_PENDING_64) + 4u
			     : msi_reg(msi, PCI_MSI_DATA_32, PCI_MSI_DATA_64) + 2u;
	if (msi->nr_lg2 > MSI_MAX_VECTORS_LG2 || end > PCI_CONFIG_SIZE) {
		free(msi);
		return -EINVAL;
	}
	msi->len = (uint8_t)(end - cap);
	fn->msi = msi;

	control &= ~(PCI_MSI_ENABLE | PCI_MSI_ENABLED);
	pci_config_set(fn, (uint16_t)(cap + PCI_MSI_CONTROL), 2, control);
	pci_config_permit(fn, (uint16_t)(cap + PCI_MSI_CONTROL), 2,
			  PCI_MSI_ENABLE | PCI_MSI_ENABLED, 0);
	pci_config_permit(fn, (uint16_t)(cap + PCI_MSI_ADDR), 4, ~3u, 0);
	if (msi->is_64)
		pci_config_permit(fn, (uint16_t)(cap + PCI_MSI_ADDR_HI), 4, ~0u, 0);
	pci_config_permit(fn, msi_reg(msi, PCI_MSI_DATA_32, PCI_MSI_DATA_64), 2, 0xffff, 0);
	if (msi->has_masks)
		pci_config_permit(fn, msi_reg(msi, PCI_MSI_MASK_32, PCI_MSI_MASK_64), 4,
				  msi_all(msi), 0);
	return 0;
}

void pci_msi_fini(struct pci_function *fn)
{
	free(fn->msi);
	fn->msi = NULL;
}

bool pci_msi_enabled(const struct pci_function *fn)
{
	return fn->msi && atomic_load(&fn->msi->enabled);
}

unsigned int pci_msi_count(const struct pci_function *fn)
{
	return pci_msi_enabled(fn) ? fn->msi->count : 0;
}

/* irq_lock held. The vector is the low bits of the data (PCI 3.0, 6.8.1.6). */
static struct msi_message msi_message(const struct pci_msi *msi, unsigned int vector)
{
	struct msi_message msg = msi->msg;

	msg.data = (msg.data & ~(msi->count - 1)) | vector;
	return msg;
}

bool pci_msi_vector(struct pci_function *fn, unsigned int vector, struct msi_message *msg)
{
	const struct pci_msi *msi = fn->msi;
	bool masked = true;

	*msg = (struct msi_message){ 0 };
	if (!msi)
		return true;
	lock_take(&fn->irq_lock);
	if (msi->count) {
		vector &= msi->count - 1;
		*msg = msi_message(msi, vector);
		masked = msi->masks & BIT(vector);
	}
	lock_drop(&fn->irq_lock);
	return masked;
}

/* irq_lock held. */
static void msi_send(struct pci_function *fn, unsigned int vector)
{
	int err = pci_message_send(fn, msi_message(fn->msi, vector));

	if (err)
		log_limited(&fn->log, LOG_WARNING, fn->name, "MSI vector %u was not delivered: %s",
			    vector, strerror(-err));
}

void pci_msi_fire(struct pci_function *fn, unsigned int vector)
{
	struct pci_msi *msi = fn->msi;

	if (!msi)
		return;
	lock_take(&fn->irq_lock);
	if (atomic_load(&msi->enabled)) {
		vector &= msi->count - 1;
		if (msi->masks & BIT(vector))
			atomic_fetch_or(&msi->pending, BIT(vector));
		else
			msi_send(fn, vector);
	}
	lock_drop(&fn->irq_lock);
}

bool pci_msi_touched(const struct pci_function *fn, uint16_t offset, unsigned int size)
{
	return pci_touches(offset, size, fn->msi->cap, fn->msi->len);
}

bool pci_msi_pending_byte(const struct pci_function *fn, uint16_t offset, uint8_t *value)
{
	const struct pci_msi *msi = fn->msi;
	unsigned int reg = msi_reg(msi, PCI_MSI_PENDING_32, PCI_MSI_PENDING_64);

	if (!msi->has_masks || offset < reg || offset >= reg + 4)
		return false;
	/* Real bits that the device's own registers show stay visible. */
	*value |= (uint8_t)(atomic_load(&msi->pending) >> (8 * (offset - reg)));
	return true;
}

void pci_msi_config_written(struct pci_function *fn)
{
	struct pci_msi *msi = fn->msi;
	unsigned int control = (unsigned int)le_load(&fn->config[msi->cap + PCI_MSI_CONTROL], 2);
	unsigned int lg2 = FIELD_GET(PCI_MSI_ENABLED, control);
	bool enabled = control & PCI_MSI_ENABLE, was_enabled, changed;
	struct msi_message msg = { 0 };
	uint32_t masks = 0, due;
	unsigned int count;

	/* More than the function has: what it has (5 and up are reserved values). */
	count = 1u << (lg2 < msi->nr_lg2 ? lg2 : msi->nr_lg2);
	msg.addr = le_load(&fn->config[msi->cap + PCI_MSI_ADDR], 4);
	if (msi->is_64)
		msg.addr |= le_load(&fn->config[msi->cap + PCI_MSI_ADDR_HI], 4) << 32;
	msg.data =
		(uint32_t)le_load(&fn->config[msi_reg(msi, PCI_MSI_DATA_32, PCI_MSI_DATA_64)], 2);
	if (msi->has_masks)
		masks = (uint32_t)le_load(
			&fn->config[msi_reg(msi, PCI_MSI_MASK_32, PCI_MSI_MASK_64)], 4);

	lock_take(&fn->irq_lock);
	was_enabled = atomic_load(&msi->enabled);
	changed = count != msi->count || masks != msi->masks || msg.addr != msi->msg.addr ||
		  msg.data != msi->msg.data;
	msi->count = count;
	msi->msg = msg;
	msi->masks = masks;
	atomic_store(&msi->enabled, enabled);
	pci_function_intx_update_locked(fn);
	lock_drop(&fn->irq_lock);

	if (enabled != was_enabled && fn->ops->msi_enabled)
		fn->ops->msi_enabled(fn, enabled);
	else if (enabled && changed && fn->ops->msi_changed)
		fn->ops->msi_changed(fn);

	lock_take(&fn->irq_lock);
	due = enabled ? atomic_fetch_and(&msi->pending, masks) & ~masks : 0;
	for (unsigned int i = 0; due; i++, due >>= 1) {
		if (due & 1)
			msi_send(fn, i & (count - 1));
	}
	lock_drop(&fn->irq_lock);
}

void pci_msi_reset(struct pci_function *fn)
{
	pci_msi_config_written(fn);
	atomic_store(&fn->msi->pending, 0);
}

uint32_t pci_msi_get_pending(const struct pci_function *fn)
{
	return fn->msi ? atomic_load(&fn->msi->pending) : 0;
}

void pci_msi_set_pending(struct pci_function *fn, uint32_t pending)
{
	atomic_store(&fn->msi->pending, pending & msi_all(fn->msi));
}
