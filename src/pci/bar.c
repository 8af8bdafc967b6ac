// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * BARs: what a function declares, and where its parts are on the platform as the guest programs
 * addresses, decode bits, power states and the windows above.
 *
 * A BAR is on the platform with all of its parts or with none. When the platform refuses (the
 * guest put it over RAM or another BAR, or the host is out of slots) it stays off, is counted as
 * blocked, and is tried again whenever some BAR goes away.
 */
#include <string.h>

#include "base/bug.h"
#include "base/endian.h"
#include "pci/bus.h"

#define BAR_MIN_MEM   16
#define BAR_MIN_IO    4
#define BAR_MIN_ROM   KIB(2)
#define BAR_MAX_IO    KIB(64)
#define BAR_MAX_32    GIB(2)
#define IO_SPACE_LAST 0xffff

static uint16_t bar_register(const struct pci_function *fn, unsigned int index)
{
	if (index == PCI_BAR_ROM)
		return fn->secondary ? PCI_BRIDGE_ROM : PCI_ROM;
	return (uint16_t)(PCI_BAR0 + 4 * index);
}

static unsigned int bar_count(const struct pci_function *fn)
{
	return fn->secondary ? 2 : PCI_BARS;
}

int pci_bar_declare(struct pci_function *fn, unsigned int index, uint64_t size, uint32_t flags)
{
	bool io = flags & PCI_BAR_IO, mem64 = flags & PCI_BAR_MEM64;
	uint16_t reg = bar_register(fn, index);
	uint64_t min = io ? BAR_MIN_IO : BAR_MIN_MEM, max = io ? BAR_MAX_IO : BAR_MAX_32;
	uint32_t extra = 0;

	if (index == PCI_BAR_ROM) {
		if (flags)
			return -EINVAL;
		min = BAR_MIN_ROM;
		extra = PCI_ROM_ENABLE;
	} else if (index >= bar_count(fn)) {
		return -EINVAL;
	}
	if (flags & ~(PCI_BAR_IO | PCI_BAR_MEM64 | PCI_BAR_PREFETCH) || (io && flags != PCI_BAR_IO))
		return -EINVAL;
	if (mem64) {
		if (index + 1 >= bar_count(fn) || fn->bars[index + 1].size)
			return -EINVAL;
		max = UINT64_MAX;
	}
	if (!is_power_of_2(size) || size < min || size > max)
		return -EINVAL;
	if (fn->bars[index].size ||
	    (index && index < PCI_BARS && fn->bars[index - 1].flags & PCI_BAR_MEM64))
		return -EINVAL;

	fn->bars[index].size = size;
	fn->bars[index].flags = flags;
	pci_config_set(fn, reg, 4, flags);
	pci_config_permit(fn, reg, 4, (uint32_t) ~(size - 1) | extra, 0);
	if (mem64) {
		pci_config_set(fn, (uint16_t)(reg + 4), 4, 0);
		pci_config_permit(fn, (uint16_t)(reg + 4), 4, (uint32_t)(~(size - 1) >> 32), 0);
	}
	return 0;
}

static struct pci_bar_part *bar_part_new(struct pci_function *fn, unsigned int index,
					 uint64_t offset, uint64_t len, int *err)
{
	struct pci_bar *bar = &fn->bars[index];
	struct range range;

	BUG_ON(index > PCI_BAR_ROM || fn->bus);
	*err = -EINVAL;
	if (range_make(offset, len, &range) || range.last >= bar->size)
		return NULL;
	for (unsigned int i = 0; i < bar->nr_parts; i++) {
		if (range_overlaps(range, range_of(bar->parts[i].offset, bar->parts[i].len)))
			return NULL;
	}
	*err = -ENOSPC;
	if (bar->nr_parts == PCI_BAR_PARTS)
		return NULL;
	*err = 0;
	bar->parts[bar->nr_parts].offset = offset;
	bar->parts[bar->nr_parts].len = len;
	return &bar->parts[bar->nr_parts++];
}

int pci_bar_add_trap(struct pci_function *fn, unsigned int index, uint64_t offset, uint64_t len,
		     const char *name, const struct bus_region_ops *ops, void *opaque)
{
	int err;
	struct pci_bar_part *part = bar_part_new(fn, index, offset, len, &err);

	if (!part)
		return err;
	part->region.name = name;
	part->region.ops = ops;
	part->region.opaque = opaque;
	return 0;
}

int pci_bar_add_direct(struct pci_function *fn, unsigned int index, uint64_t offset, uint64_t len,
		       void *hva, bool readonly)
{
	struct pci_bar_part *part;
	int err;

	if (!is_aligned(offset | len | (uintptr_t)hva, PAGE_SIZE) ||
	    fn->bars[index].flags & PCI_BAR_IO)
		return -EINVAL;
	part = bar_part_new(fn, index, offset, len, &err);
	if (!part)
		return err;
	part->direct = true;
	part->slot.hva = hva;
	part->slot.readonly = readonly;
	return 0;
}

/* The range that the BAR's register names; false where it cannot mean a place. */
static bool bar_programmed(const struct pci_function *fn, unsigned int index, struct range *range)
{
	const struct pci_bar *bar = &fn->bars[index];
	uint16_t reg = bar_register(fn, index);
	uint64_t addr = le_load(&fn->config[reg], 4);

	addr &= ~(bar->size - 1);
	if (bar->flags & PCI_BAR_MEM64)
		addr |= le_load(&fn->config[reg + 4], 4) << 32;
	/* Address 0 is "not assigned" (PCI 3.0, 6.2.5.1). */
	if (!addr || range_make(addr, bar->size, range))
		return false;
	if (bar->flags & PCI_BAR_IO)
		return range->last <= IO_SPACE_LAST;
	/* All ones down to the size: the guest is sizing, with decode left on. */
	return range->last != UINT32_MAX && range->last != UINT64_MAX;
}

static bool bar_should_decode(const struct pci_function *fn, unsigned int index,
			      struct range *range)
{
	const struct pci_bar *bar = &fn->bars[index];
	bool io = bar->flags & PCI_BAR_IO;

	if (!bar->size || !fn->bus || !pci_function_in_d0(fn))
		return false;
	if (fn->pf) {
		if (!pci_sriov_vf_bar(fn, index, range))
			return false;
	} else {
		if (!(pci_command(fn) & (io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)))
			return false;
		if (index == PCI_BAR_ROM && !(fn->config[bar_register(fn, index)] & PCI_ROM_ENABLE))
			return false;
		if (!bar_programmed(fn, index, range))
			return false;
	}
	for (const struct pci_function *b = fn->bus->bridge; b; b = b->bus->bridge) {
		if (!pci_bridge_forwards(b, io, *range))
			return false;
	}
	return true;
}

static void bar_part_remove(struct pci_function *fn, struct pci_bar_part *part)
{
	if (part->direct)
		fn->platform->ops->slot_remove(fn->platform, &part->slot);
	else
		platform_region_remove(fn->platform, &part->region);
	part->live = false;
}

static int bar_part_add(struct pci_function *fn, const struct pci_bar *bar,
			struct pci_bar_part *part, uint64_t addr)
{
	struct range range = range_of(addr + part->offset, part->len);
	int err;

	if (part->direct) {
		part->slot.range = range;
		err = fn->platform->ops->slot_add(fn->platform, &part->slot);
	} else {
		part->region.space = bar->flags & PCI_BAR_IO ? BUS_PIO : BUS_MMIO;
		part->region.range = range;
		err = platform_region_add(fn->platform, &part->region);
	}
	part->live = !err;
	return err;
}

static void bar_set_blocked(struct pci_function *fn, struct pci_bar *bar, bool blocked)
{
	if (bar->blocked == blocked || !fn->bus)
		return;
	bar->blocked = blocked;
	if (blocked)
		fn->bus->fabric->nr_blocked++;
	else
		fn->bus->fabric->nr_blocked--;
}

static void bar_withdraw(struct pci_function *fn, unsigned int index)
{
	struct pci_bar *bar = &fn->bars[index];

	for (unsigned int i = bar->nr_parts; i-- > 0;)
		bar_part_remove(fn, &bar->parts[i]);
	bar->enabled = false;
	if (fn->ops->bar_changed)
		fn->ops->bar_changed(fn, index);
}

static const char *bar_refusal(int err)
{
	return err == -EBUSY || err == -EEXIST ? "something else is there" : strerror(-err);
}

static void bar_place(struct pci_function *fn, unsigned int index, struct range range)
{
	struct pci_bar *bar = &fn->bars[index];
	unsigned int i;
	int err;

	for (i = 0; i < bar->nr_parts; i++) {
		err = bar_part_add(fn, bar, &bar->parts[i], range.first);
		if (err)
			goto err_remove;
	}
	bar_set_blocked(fn, bar, false);
	bar->enabled = true;
	bar->addr = range.first;
	if (fn->ops->bar_changed)
		fn->ops->bar_changed(fn, index);
	return;

err_remove:
	while (i-- > 0)
		bar_part_remove(fn, &bar->parts[i]);
	if (!bar->blocked)
		log_limited(&fn->log, LOG_WARNING, fn->name,
			    "BAR %u cannot be at %#llx-%#llx: %s; it stays off until it is moved",
			    index, (unsigned long long)range.first, (unsigned long long)range.last,
			    bar_refusal(err));
	bar_set_blocked(fn, bar, true);
}

bool pci_bars_withdraw(struct pci_function *fn)
{
	bool any = false;

	for (unsigned int i = 0; i < ARRAY_SIZE(fn->bars); i++) {
		struct pci_bar *bar = &fn->bars[i];
		struct range range;
		bool decode;

		if (!bar->enabled && !bar->blocked)
			continue;
		decode = bar_should_decode(fn, i, &range);
		if (bar->enabled && (!decode || range.first != bar->addr)) {
			bar_withdraw(fn, i);
			any = true;
		} else if (bar->blocked && !decode) {
			bar_set_blocked(fn, bar, false);
		}
	}
	return any;
}

void pci_bars_place(struct pci_function *fn)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(fn->bars); i++) {
		struct range range;

		if (fn->bars[i].size && !fn->bars[i].enabled && bar_should_decode(fn, i, &range))
			bar_place(fn, i, range);
	}
}

bool pci_bars_touched(const struct pci_function *fn, uint16_t offset, unsigned int size)
{
	return pci_touches(offset, size, PCI_COMMAND, 2) ||
	       pci_touches(offset, size, PCI_BAR0, 4 * bar_count(fn)) ||
	       pci_touches(offset, size, bar_register(fn, PCI_BAR_ROM), 4) ||
	       (fn->pm_cap &&
		pci_touches(offset, size, (unsigned int)fn->pm_cap + PCI_PM_CONTROL, 1));
}

static void bus_retry(struct pci_bus *bus)
{
	for (unsigned int i = 0; i < PCI_BUS_FUNCTIONS; i++) {
		struct pci_function *fn = bus->functions[i];

		if (!fn)
			continue;
		for (unsigned int j = 0; j < ARRAY_SIZE(fn->bars); j++) {
			struct range range;

			if (fn->bars[j].blocked && bar_should_decode(fn, j, &range))
				bar_place(fn, j, range);
		}
		if (fn->secondary)
			bus_retry(fn->secondary);
	}
}

void pci_bars_retry(struct pci_fabric *fabric)
{
	if (fabric->nr_blocked)
		bus_retry(&fabric->root);
}
