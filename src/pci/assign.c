// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The firmware's part: bus numbers, bridge windows, BARs, interrupt lines and decode bits.
 *
 * Each kind of address space is laid out on its own. The items of a bus are its functions' BARs and
 * one window per bridge, as large as what is behind it; largest alignment first packs them without
 * a gap, since sizes are powers of two. Everything is written as a guest would write it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/endian.h"
#include "pci/bus.h"

/* The three windows of a bridge. */
enum window { WINDOW_IO, WINDOW_MEM, WINDOW_PREFETCH, NR_WINDOWS };

#define ITEM_BRIDGE (-1)
#define ITEM_VF_BAR (PCI_BARS + 1)     /* and up */
#define ITEMS_MAX   (2 * PCI_BARS + 2) /* of one function: BARs, ROM, VF BARs, window */

struct item {
	struct pci_function *fn;
	/* Index; ITEM_VF_BAR + index: of all virtual functions; ITEM_BRIDGE: the window of bridge fn */
	int bar;
	uint64_t size, align, addr;
};

struct layout {
	struct item *items;
	unsigned int nr;
	uint64_t align; /* of the whole */
	uint64_t end;	/* first byte behind the last item */
};

struct assign {
	struct pci_fabric *fabric;
	struct diag *diag;
	/* 64-bit BARs that are not prefetchable go into the 64-bit window behind ports, too. */
	bool spill;
	unsigned int next_bus, nr_buses;
};

static enum window assign_window(const struct assign *assign, const struct pci_function *fn,
				 uint32_t flags)
{
	if (flags & PCI_BAR_IO)
		return WINDOW_IO;
	if (!(flags & PCI_BAR_MEM64))
		return WINDOW_MEM;
	if (flags & PCI_BAR_PREFETCH || !fn->bus->bridge || assign->spill)
		return WINDOW_PREFETCH;
	return WINDOW_MEM;
}

static int item_compare(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	if (x->align != y->align)
		return x->align > y->align ? -1 : 1;
	if (x->fn->devfn != y->fn->devfn)
		return x->fn->devfn < y->fn->devfn ? -1 : 1;
	return x->bar - y->bar;
}

static uint64_t port_reserve(struct pci_function *bridge, enum window window)
{
	struct pci_port *port = pci_port_of(bridge);

	if (!port || window == WINDOW_IO)
		return 0;
	return window == WINDOW_MEM ? pci_port_config(port)->mmio32_reserve
				    : pci_port_config(port)->mmio64_reserve;
}

static int layout_make(struct assign *assign, struct pci_bus *bus, enum window window,
		       uint64_t start, struct layout *layout);

/* 0 with size 0: nothing behind the bridge wants this window. */
static int layout_bridge(struct assign *assign, struct pci_function *fn, enum window window,
			 struct item *item)
{
	uint64_t granule = window == WINDOW_IO ? PORT_IO_ALIGN : PORT_WINDOW_ALIGN;
	struct layout behind;
	int err;

	err = layout_make(assign, fn->secondary, window, 0, &behind);
	if (err)
		return err;
	*item = (struct item){
		.fn = fn,
		.bar = ITEM_BRIDGE,
		.size = max_u64(behind.end, port_reserve(fn, window)),
		.align = max_u64(behind.align, granule),
	};
	free(behind.items);
	if (item->size > UINT64_MAX - granule)
		return -ENOSPC;
	item->size = align_up(item->size, granule);
	return 0;
}

/* The BARs of virtual functions that there may be lie side by side (PCIe 6.0, 9.3.3.14). */
static void layout_vfs(const struct assign *assign, struct pci_function *fn, enum window window,
		       struct layout *layout)
{
	for (unsigned int i = 0; fn->sriov && i < PCI_BARS; i++) {
		uint64_t each, size = pci_sriov_bar_size(fn, i, &each);

		if (size && assign_window(assign, fn, pci_sriov_bar_flags(fn, i)) == window)
			layout->items[layout->nr++] = (struct item){
				.fn = fn,
				.bar = (int)(ITEM_VF_BAR + i),
				.size = size,
				.align = each,
			};
	}
}

/* Places the items of one bus in one window, from `start` up. The caller frees layout->items. */
static int layout_make(struct assign *assign, struct pci_bus *bus, enum window window,
		       uint64_t start, struct layout *layout)
{
	unsigned int nr_functions = 0;
	uint64_t cursor = start;
	int err = 0;

	*layout = (struct layout){ .align = 1, .end = start };
	for (unsigned int i = 0; i < PCI_BUS_FUNCTIONS; i++)
		nr_functions += !!bus->functions[i];
	layout->items = calloc((size_t)nr_functions * ITEMS_MAX + 1, sizeof(struct item));
	if (!layout->items)
		return -ENOMEM;

	for (unsigned int i = 0; i < PCI_BUS_FUNCTIONS && !err; i++) {
		struct pci_function *fn = bus->functions[i];

		if (!fn)
			continue;
		for (unsigned int j = 0; j < ARRAY_SIZE(fn->bars); j++) {
			if (fn->bars[j].size &&
			    assign_window(assign, fn, fn->bars[j].flags) == window)
				layout->items[layout->nr++] = (struct item){
					.fn = fn,
					.bar = (int)j,
					.size = fn->bars[j].size,
					.align = fn->bars[j].size,
				};
		}
		layout_vfs(assign, fn, window, layout);
		if (!fn->secondary)
			continue;
		err = layout_bridge(assign, fn, window, &layout->items[layout->nr]);
		if (!err && layout->items[layout->nr].size)
			layout->nr++;
	}
	qsort(layout->items, layout->nr, sizeof(struct item), item_compare);
	for (unsigned int i = 0; i < layout->nr && !err; i++) {
		struct item *item = &layout->items[i];

		if (cursor > UINT64_MAX - (item->align - 1) ||
		    align_up(cursor, item->align) > UINT64_MAX - item->size) {
			err = -ENOSPC;
			break;
		}
		item->addr = align_up(cursor, item->align);
		cursor = item->addr + item->size;
		layout->align = max_u64(layout->align, item->align);
	}
	layout->end = cursor;
	if (err) {
		free(layout->items);
		layout->items = NULL;
	}
	return err;
}

static void window_program(struct pci_function *fn, enum window window, uint64_t first,
			   uint64_t last)
{
	switch (window) {
	case WINDOW_IO:
		pci_config_write(fn, PCI_IO_BASE, 1, (uint32_t)(first >> 8) & PCI_IO_WINDOW_MASK);
		pci_config_write(fn, PCI_IO_LIMIT, 1, (uint32_t)(last >> 8) & PCI_IO_WINDOW_MASK);
		break;
	case WINDOW_MEM:
		pci_config_write(fn, PCI_MEMORY_BASE, 2,
				 (uint32_t)(first >> 16) & PCI_MEMORY_WINDOW_MASK);
		pci_config_write(fn, PCI_MEMORY_LIMIT, 2,
				 (uint32_t)(last >> 16) & PCI_MEMORY_WINDOW_MASK);
		break;
	case WINDOW_PREFETCH:
	default:
		pci_config_write(fn, PCI_PREFETCH_BASE, 2,
				 (uint32_t)(first >> 16) & PCI_MEMORY_WINDOW_MASK);
		pci_config_write(fn, PCI_PREFETCH_LIMIT, 2,
				 (uint32_t)(last >> 16) & PCI_MEMORY_WINDOW_MASK);
		pci_config_write(fn, PCI_PREFETCH_BASE_HI, 4, (uint32_t)(first >> 32));
		pci_config_write(fn, PCI_PREFETCH_LIMIT_HI, 4, (uint32_t)(last >> 32));
		break;
	}
}

static void bar_program(struct pci_function *fn, unsigned int index, uint64_t addr)
{
	uint16_t reg = (uint16_t)(PCI_BAR0 + 4 * index);

	if (index == PCI_BAR_ROM)
		reg = fn->secondary ? PCI_BRIDGE_ROM : PCI_ROM;
	pci_config_write(fn, reg, 4, (uint32_t)addr);
	if (fn->bars[index].flags & PCI_BAR_MEM64)
		pci_config_write(fn, (uint16_t)(reg + 4), 4, (uint32_t)(addr >> 32));
}

static void item_program(const struct item *item)
{
	struct pci_function *fn = item->fn;
	unsigned int index = (unsigned int)item->bar - ITEM_VF_BAR;
	uint16_t reg;

	if (item->bar < ITEM_VF_BAR) {
		bar_program(fn, (unsigned int)item->bar, item->addr);
		return;
	}
	reg = pci_sriov_bar_register(fn, index);
	pci_config_write(fn, reg, 4, (uint32_t)item->addr);
	if (pci_sriov_bar_flags(fn, index) & PCI_BAR_MEM64)
		pci_config_write(fn, (uint16_t)(reg + 4), 4, (uint32_t)(item->addr >> 32));
}

/* Writes a bus's layout down, and those behind it. Items behind `limit` stay unassigned (I/O). */
static int layout_program(struct assign *assign, struct pci_bus *bus, enum window window,
			  struct range limit)
{
	struct layout layout;
	int err = layout_make(assign, bus, window, limit.first, &layout);

	if (err)
		return err;
	for (unsigned int i = 0; i < layout.nr && !err; i++) {
		const struct item *item = &layout.items[i];
		struct range at = range_of(item->addr, item->size);

		if (!range_contains(limit, at)) {
			log_warning(item->fn->name, "no I/O ports are left for it");
		} else if (item->bar == ITEM_BRIDGE) {
			window_program(item->fn, window, at.first, at.last);
			err = layout_program(assign, item->fn->secondary, window, at);
		} else {
			item_program(item);
		}
	}
	free(layout.items);
	return err;
}

/* Whether all of a window's items fit; *need is what they take. */
static int layout_check(struct assign *assign, enum window window, struct range range,
			uint64_t *need)
{
	struct layout layout;
	int err;

	*need = 0;
	err = layout_make(assign, &assign->fabric->root, window, range.first, &layout);
	if (err)
		return err;
	*need = layout.end - range.first;
	free(layout.items);
	return *need && layout.end - 1 > range.last ? -ENOSPC : 0;
}

static int assign_refuse(struct assign *assign, int err, const char *where, uint64_t need,
			 struct range range)
{
	if (err != -ENOSPC)
		return diag_set(assign->diag, err, "PCI", "no memory to lay out BARs");
	diag_set(assign->diag, err, "PCI",
		 "the devices' BARs %s need %llu MiB of addresses%s, and there are %llu MiB", where,
		 (unsigned long long)(need >> 20), need ? "" : " (more than can be counted)",
		 (unsigned long long)(range_len(range) >> 20));
	diag_remedy(assign->diag, err, "give the VM fewer devices with large BARs");
	return err;
}

static int assign_addresses(struct assign *assign)
{
	const struct pci_fabric_config *config = &assign->fabric->config;
	struct pci_bus *root = &assign->fabric->root;
	uint64_t need;
	int err;

	err = layout_check(assign, WINDOW_MEM, config->mmio32, &need);
	if (err == -ENOSPC) {
		/*
		 * The 64-bit window of a port may hold BARs that are not prefetchable: on PCI
		 * Express nothing between prefetches (PCIe 6.0, 7.5.1.2.1). Not the first choice,
		 * as guests put such BARs below 4 GiB when they move them.
		 */
		assign->spill = true;
		err = layout_check(assign, WINDOW_MEM, config->mmio32, &need);
	}
	if (err)
		return assign_refuse(assign, err, "below 4 GiB", need, config->mmio32);
	err = layout_check(assign, WINDOW_PREFETCH, config->mmio64, &need);
	if (err)
		return assign_refuse(assign, err, "above 4 GiB", need, config->mmio64);

	err = layout_program(assign, root, WINDOW_MEM, config->mmio32);
	if (!err)
		err = layout_program(assign, root, WINDOW_PREFETCH, config->mmio64);
	if (!err)
		err = layout_program(assign, root, WINDOW_IO, config->io);
	if (err)
		return diag_set(assign->diag, err, "PCI", "no memory to lay out BARs");
	return 0;
}

static int assign_buses(struct assign *assign, struct pci_bus *bus)
{
	for (unsigned int i = 0; i < PCI_BUS_FUNCTIONS; i++) {
		struct pci_function *fn = bus->functions[i];
		int err;

		if (!fn || !fn->secondary)
			continue;
		if (assign->next_bus >= assign->nr_buses)
			return diag_set(assign->diag, -ENOSPC, fn->name,
					"no bus number is left behind it: there are %u",
					assign->nr_buses);
		pci_config_write(fn, PCI_PRIMARY_BUS, 1, pci_bus_number(bus));
		pci_config_write(fn, PCI_SECONDARY_BUS, 1, assign->next_bus++);
		pci_config_write(fn, PCI_SUBORDINATE_BUS, 1, assign->nr_buses - 1);
		err = assign_buses(assign, fn->secondary);
		if (err)
			return err;
		pci_config_write(fn, PCI_SUBORDINATE_BUS, 1, assign->next_bus - 1);
	}
	return 0;
}

static void assign_clear(struct pci_bus *bus)
{
	for (unsigned int i = 0; i < PCI_BUS_FUNCTIONS; i++) {
		struct pci_function *fn = bus->functions[i];

		if (!fn)
			continue;
		pci_config_write(fn, PCI_COMMAND, 2, 0);
		for (unsigned int j = 0; j < ARRAY_SIZE(fn->bars); j++) {
			if (fn->bars[j].size)
				bar_program(fn, j, 0);
		}
		if (!fn->secondary)
			continue;
		/* Closed, as at power-on. */
		for (unsigned int w = 0; w < NR_WINDOWS; w++)
			window_program(fn, w, UINT32_MAX, 0);
		assign_clear(fn->secondary);
	}
}

static uint16_t assign_command(const struct pci_function *fn)
{
	/* A port passes on what comes from behind: that a device may master is its own bit. */
	uint16_t command =
		fn->secondary ? PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER : 0;

	for (unsigned int i = 0; i < PCI_BARS; i++) {
		bool io = fn->bars[i].flags & PCI_BAR_IO;

		if (fn->bars[i].size &&
		    (!io || le_load(&fn->config[PCI_BAR0 + 4 * i], 4) & PCI_BAR_IO_MASK))
			command |= io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
	}
	return command;
}

/* Parents first: what a child decodes is within an open window at once. */
static void assign_enable(struct pci_bus *bus)
{
	for (unsigned int i = 0; i < PCI_BUS_FUNCTIONS; i++) {
		struct pci_function *fn = bus->functions[i];

		if (!fn)
			continue;
		if (fn->irq_gsi >= 0)
			pci_config_write(fn, PCI_IRQ_LINE, 1, (uint32_t)fn->irq_gsi);
		if (pci_port_of(fn))
			/* What was plugged in before power-on is no change. */
			pci_config_write(fn, fn->pcie_cap + PCI_EXP_SLTSTA, 2,
					 PCI_EXP_SLTSTA_PRESENCE_CHANGED |
						 PCI_EXP_SLTSTA_LINK_CHANGED);
		pci_config_write(fn, PCI_COMMAND, 2, assign_command(fn));
		if (fn->secondary)
			assign_enable(fn->secondary);
	}
}

int pci_fabric_assign(struct pci_fabric *fabric, struct diag *diag)
{
	struct assign assign = {
		.fabric = fabric,
		.diag = diag,
		.next_bus = 1,
		.nr_buses = (unsigned int)min_u64(range_len(fabric->config.ecam) >> 20, PCI_BUSES),
	};
	int err;

	lock_take(&fabric->lock);
	assign_clear(&fabric->root);
	err = assign_buses(&assign, &fabric->root);
	if (!err)
		err = assign_addresses(&assign);
	if (!err)
		assign_enable(&fabric->root);
	lock_drop(&fabric->lock);
	return err;
}
