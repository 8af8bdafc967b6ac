// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * MSI-X (PCI 3.0, 6.8.2). Writers of the table hold irq_lock; readers of one vector need not: a
 * sequence count tells them when an entry changed under their eyes, so that handlers which run
 * under the lock can look at vectors too.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/endian.h"
#include "pci/bus.h"

#define MSIX_NAME_MAX 80
#define PENDING_BITS  64

struct msix_entry {
	atomic_uint addr_lo, addr_hi, data, control;
};

struct pci_msix {
	struct pci_function *fn;
	uint8_t cap;
	unsigned int nr;
	atomic_bool enabled, masked; /* written under irq_lock */
	atomic_uint sequence;	     /* odd while an entry is being written */
	struct msix_entry *entries;
	atomic_ullong *pending; /* one bit per vector */
	char table_name[MSIX_NAME_MAX], pba_name[MSIX_NAME_MAX];
};

static unsigned int msix_load(const atomic_uint *field)
{
	return atomic_load_explicit(field, memory_order_relaxed);
}

static struct msi_message msix_message(const struct msix_entry *entry)
{
	return (struct msi_message){
		.addr = (uint64_t)msix_load(&entry->addr_hi) << 32 | msix_load(&entry->addr_lo),
		.data = msix_load(&entry->data),
	};
}

static bool msix_masked(const struct pci_msix *msix, unsigned int vector)
{
	return atomic_load(&msix->masked) ||
	       msix_load(&msix->entries[vector].control) & PCI_MSIX_ENTRY_MASKED;
}

bool pci_msix_vector(const struct pci_function *fn, unsigned int vector, struct msi_message *msg)
{
	const struct pci_msix *msix = fn->msix;
	unsigned int sequence;
	bool masked;

	*msg = (struct msi_message){ 0 };
	if (!msix || vector >= msix->nr)
		return true;
	for (;;) {
		sequence = atomic_load_explicit(&msix->sequence, memory_order_acquire);
		masked = msix_masked(msix, vector);
		*msg = msix_message(&msix->entries[vector]);
		/* Pairs with the release fence in msix_entry_write(). */
		atomic_thread_fence(memory_order_acquire);
		if (!(sequence & 1) && sequence == msix_load(&msix->sequence))
			return masked;
		sched_yield();
	}
}

static bool msix_is_pending(const struct pci_msix *msix, unsigned int vector)
{
	return atomic_load(&msix->pending[vector / PENDING_BITS]) & BIT64(vector % PENDING_BITS);
}

static void msix_set_pending(struct pci_msix *msix, unsigned int vector)
{
	atomic_fetch_or(&msix->pending[vector / PENDING_BITS], BIT64(vector % PENDING_BITS));
}

bool pci_msix_take_pending(struct pci_function *fn, unsigned int vector)
{
	struct pci_msix *msix = fn->msix;
	uint64_t bit = BIT64(vector % PENDING_BITS);

	if (!msix || vector >= msix->nr)
		return false;
	return atomic_fetch_and(&msix->pending[vector / PENDING_BITS], ~bit) & bit;
}

/* irq_lock held: the guest cannot mask or move the vector meanwhile, as with a real function. */
static void msix_send(struct pci_msix *msix, unsigned int vector)
{
	struct pci_function *fn = msix->fn;
	int err = pci_message_send(fn, msix_message(&msix->entries[vector]));

	if (err)
		log_limited(&fn->log, LOG_WARNING, fn->name,
			    "MSI-X vector %u was not delivered: %s", vector, strerror(-err));
}

static void msix_raise(struct pci_function *fn, unsigned int vector)
{
	struct pci_msix *msix = fn->msix;

	if (!msix || vector >= msix->nr)
		return;
	lock_take(&fn->irq_lock);
	if (atomic_load(&msix->enabled)) {
		if (msix_masked(msix, vector))
			msix_set_pending(msix, vector);
		else
			msix_send(msix, vector);
	}
	lock_drop(&fn->irq_lock);
}

void pci_msix_fire(struct pci_function *fn, unsigned int vector)
{
	msix_raise(fn, vector);
}

void pci_msix_set_pending(struct pci_function *fn, unsigned int vector)
{
	msix_raise(fn, vector);
}

/* An unmasked vector must not keep a pending bit (PCI 3.0, 6.8.3.4). irq_lock held. */
static void msix_release(struct pci_msix *msix, unsigned int vector)
{
	if (!msix_masked(msix, vector) && pci_msix_take_pending(msix->fn, vector))
		msix_send(msix, vector);
}

static uint64_t msix_table_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct pci_msix *msix = opaque;
	const struct msix_entry *entry;
	uint64_t v = 0;

	/* Whole, aligned dwords and quadwords only; else undefined (PCI 3.0, 6.8.2). */
	if (size < 4 || !is_aligned(offset, size) || offset / PCI_MSIX_ENTRY >= msix->nr)
		return UINT64_MAX;
	entry = &msix->entries[offset / PCI_MSIX_ENTRY];
	for (unsigned int i = 0; i < size; i += 4) {
		const atomic_uint *fields[] = { &entry->addr_lo, &entry->addr_hi, &entry->data,
						&entry->control };

		v |= (uint64_t)msix_load(fields[(offset + i) % PCI_MSIX_ENTRY / 4]) << (8 * i);
	}
	return v;
}

static void msix_entry_write(struct pci_msix *msix, unsigned int vector, unsigned int field,
			     uint32_t value)
{
	struct msix_entry *entry = &msix->entries[vector];
	atomic_uint *fields[] = { &entry->addr_lo, &entry->addr_hi, &entry->data, &entry->control };

	if (field == PCI_MSIX_ENTRY_CONTROL / 4)
		value &= PCI_MSIX_ENTRY_MASKED;
	else if (field == PCI_MSIX_ENTRY_ADDR / 4)
		value &= ~3u;
	atomic_store_explicit(fields[field], value, memory_order_relaxed);
}

static void msix_table_write(void *opaque, uint64_t offset, unsigned int size, uint64_t value)
{
	struct pci_msix *msix = opaque;
	struct pci_function *fn = msix->fn;
	unsigned int vector = (unsigned int)(offset / PCI_MSIX_ENTRY);
	struct msi_message before, after;
	bool was_masked, masked;

	if (size < 4 || !is_aligned(offset, size) || vector >= msix->nr)
		return;
	lock_take(&fn->irq_lock);
	was_masked = msix_masked(msix, vector);
	before = msix_message(&msix->entries[vector]);
	atomic_fetch_add_explicit(&msix->sequence, 1, memory_order_relaxed);
	/* Pairs with the fence in pci_msix_vector(): who sees a new field sees the odd count. */
	atomic_thread_fence(memory_order_release);
	for (unsigned int i = 0; i < size; i += 4)
		msix_entry_write(msix, vector, (unsigned int)(offset + i) % PCI_MSIX_ENTRY / 4,
				 (uint32_t)(value >> (8 * i)));
	atomic_fetch_add_explicit(&msix->sequence, 1, memory_order_release);
	masked = msix_masked(msix, vector);
	after = msix_message(&msix->entries[vector]);
	if (atomic_load(&msix->enabled)) {
		bool moved = before.addr != after.addr || before.data != after.data;

		if ((masked != was_masked || (!masked && moved)) && fn->ops->msix_changed)
			fn->ops->msix_changed(fn, vector, masked, after);
		msix_release(msix, vector);
	}
	lock_drop(&fn->irq_lock);
}

static uint64_t msix_pba_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct pci_msix *msix = opaque;
	struct pci_function *fn = msix->fn;
	unsigned int first = (unsigned int)offset * 8;
	uint64_t v = 0;

	if (size < 4 || !is_aligned(offset, size))
		return UINT64_MAX;
	lock_take(&fn->irq_lock);
	for (unsigned int i = 0; i < size * 8 && first + i < msix->nr; i++) {
		unsigned int vector = first + i;

		if (msix_is_pending(msix, vector) ||
		    (fn->ops->msix_pending && msix_masked(msix, vector) &&
		     fn->ops->msix_pending(fn, vector)))
			v |= BIT64(i);
	}
	lock_drop(&fn->irq_lock);
	return v;
}

static void msix_pba_write(void *opaque, uint64_t offset, unsigned int size, uint64_t value)
{
	/* Read-only (PCI 3.0, 6.8.2.10). */
}

static const struct bus_region_ops msix_table_ops = {
	.read = msix_table_read,
	.write = msix_table_write,
};

static const struct bus_region_ops msix_pba_ops = {
	.read = msix_pba_read,
	.write = msix_pba_write,
};

/* irq_lock held, and nothing else looks: not on a bus yet, or in reset. */
static void msix_clear(struct pci_msix *msix)
{
	for (unsigned int i = 0; i < msix->nr; i++) {
		struct msix_entry *entry = &msix->entries[i];

		atomic_store(&entry->addr_lo, 0);
		atomic_store(&entry->addr_hi, 0);
		atomic_store(&entry->data, 0);
		atomic_store(&entry->control, PCI_MSIX_ENTRY_MASKED);
		atomic_fetch_and(&msix->pending[i / PENDING_BITS], ~BIT64(i % PENDING_BITS));
	}
}

static bool msix_fits(const struct pci_function *fn, unsigned int bar, uint64_t offset,
		      uint64_t len)
{
	return bar < PCI_BARS && !(fn->bars[bar].flags & PCI_BAR_IO) && is_aligned(offset, 8) &&
	       offset < fn->bars[bar].size && len <= fn->bars[bar].size - offset &&
	       offset <= PCI_MSIX_OFFSET;
}

int pci_msix_init(struct pci_function *fn, uint8_t cap, unsigned int nr, unsigned int table_bar,
		  uint64_t table_offset, unsigned int pba_bar, uint64_t pba_offset)
{
	unsigned int words = (nr + PENDING_BITS - 1) / PENDING_BITS;
	uint64_t table_len = (uint64_t)nr * PCI_MSIX_ENTRY, pba_len = (uint64_t)words * 8;
	struct pci_msix *msix;
	int err;

	if (fn->msix || !nr || nr > PCI_MSIX_MAX || !cap ||
	    cap > PCI_CONFIG_SIZE - PCI_MSIX_CAP_LEN)
		return -EINVAL;
	if (!msix_fits(fn, table_bar, table_offset, table_len) ||
	    !msix_fits(fn, pba_bar, pba_offset, pba_len))
		return -EINVAL;

	msix = calloc(1, sizeof(*msix));
	if (!msix)
		return -ENOMEM;
	msix->fn = fn;
	msix->cap = cap;
	msix->nr = nr;
	snprintf(msix->table_name, sizeof(msix->table_name), "%s MSI-X table", fn->name);
	snprintf(msix->pba_name, sizeof(msix->pba_name), "%s MSI-X PBA", fn->name);
	err = -ENOMEM;
	msix->entries = calloc(nr, sizeof(*msix->entries));
	if (!msix->entries)
		goto err_free;
	msix->pending = calloc(words, sizeof(*msix->pending));
	if (!msix->pending)
		goto err_free_entries;
	msix_clear(msix);

	err = pci_bar_add_trap(fn, table_bar, table_offset, table_len, msix->table_name,
			       &msix_table_ops, msix);
	if (err)
		goto err_free_pending;
	err = pci_bar_add_trap(fn, pba_bar, pba_offset, pba_len, msix->pba_name, &msix_pba_ops,
			       msix);
	if (err)
		goto err_remove_table;

	fn->msix = msix;
	pci_config_set(fn, (uint16_t)(cap + PCI_MSIX_CONTROL), 2,
		       FIELD_PREP(PCI_MSIX_SIZE, nr - 1));
	pci_config_permit(fn, (uint16_t)(cap + PCI_MSIX_CONTROL), 2,
			  PCI_MSIX_ENABLE | PCI_MSIX_MASK_ALL, 0);
	pci_config_set(fn, (uint16_t)(cap + PCI_MSIX_TABLE), 4, (uint32_t)table_offset | table_bar);
	pci_config_permit(fn, (uint16_t)(cap + PCI_MSIX_TABLE), 4, 0, 0);
	pci_config_set(fn, (uint16_t)(cap + PCI_MSIX_PBA), 4, (uint32_t)pba_offset | pba_bar);
	pci_config_permit(fn, (uint16_t)(cap + PCI_MSIX_PBA), 4, 0, 0);
	return 0;

err_remove_table:
	/* It was the last part added to its BAR. */
	fn->bars[table_bar].nr_parts--;
err_free_pending:
	free(msix->pending);
err_free_entries:
	free(msix->entries);
err_free:
	free(msix);
	return err;
}

void pci_msix_fini(struct pci_function *fn)
{
	if (!fn->msix)
		return;
	free(fn->msix->pending);
	free(fn->msix->entries);
	free(fn->msix);
	fn->msix = NULL;
}

unsigned int pci_msix_count(const struct pci_function *fn)
{
	return fn->msix ? fn->msix->nr : 0;
}

bool pci_msix_enabled(const struct pci_function *fn)
{
	return fn->msix && atomic_load(&fn->msix->enabled);
}

bool pci_msix_touched(const struct pci_function *fn, uint16_t offset, unsigned int size)
{
	return pci_touches(offset, size, fn->msix->cap + PCI_MSIX_CONTROL, 2);
}

void pci_msix_config_written(struct pci_function *fn)
{
	struct pci_msix *msix = fn->msix;
	unsigned int control = (unsigned int)le_load(&fn->config[msix->cap + PCI_MSIX_CONTROL], 2);
	bool enabled = control & PCI_MSIX_ENABLE, masked = control & PCI_MSIX_MASK_ALL;

	lock_take(&fn->irq_lock);
	if (enabled != atomic_load(&msix->enabled) || masked != atomic_load(&msix->masked)) {
		bool was_enabled = atomic_load(&msix->enabled);

		atomic_store(&msix->enabled, enabled);
		atomic_store(&msix->masked, masked);
		pci_function_intx_update_locked(fn);
		if ((enabled || was_enabled) && fn->ops->msix_enabled)
			fn->ops->msix_enabled(fn, enabled);
		for (unsigned int i = 0; enabled && i < msix->nr; i++)
			msix_release(msix, i);
	}
	lock_drop(&fn->irq_lock);
}

void pci_msix_reset(struct pci_function *fn)
{
	/* Config is at power-on state already: this switches off and tells. */
	pci_msix_config_written(fn);
	lock_take(&fn->irq_lock);
	msix_clear(fn->msix);
	lock_drop(&fn->irq_lock);
}

void pci_msix_get_state(struct pci_function *fn, struct pci_msix_state *state)
{
	const struct pci_msix *msix = fn->msix;

	state->nr = pci_msix_count(fn);
	lock_take(&fn->irq_lock);
	for (unsigned int i = 0; i < state->nr; i++) {
		state->entries[i].msg = msix_message(&msix->entries[i]);
		state->entries[i].masked =
			msix_load(&msix->entries[i].control) & PCI_MSIX_ENTRY_MASKED;
		state->entries[i].pending = msix_is_pending(msix, i);
	}
	lock_drop(&fn->irq_lock);
}

void pci_msix_set_state(struct pci_function *fn, const struct pci_msix_state *state)
{
	struct pci_msix *msix = fn->msix;

	lock_take(&fn->irq_lock);
	for (unsigned int i = 0; i < state->nr; i++) {
		const struct msi_message *msg = &state->entries[i].msg;

		msix_entry_write(msix, i, PCI_MSIX_ENTRY_ADDR / 4, (uint32_t)msg->addr);
		msix_entry_write(msix, i, PCI_MSIX_ENTRY_ADDR / 4 + 1, (uint32_t)(msg->addr >> 32));
		msix_entry_write(msix, i, PCI_MSIX_ENTRY_DATA / 4, msg->data);
		msix_entry_write(msix, i, PCI_MSIX_ENTRY_CONTROL / 4,
				 state->entries[i].masked ? PCI_MSIX_ENTRY_MASKED : 0);
		if (state->entries[i].pending)
			msix_set_pending(msix, i);
	}
	lock_drop(&fn->irq_lock);
}
