// SPDX-License-Identifier: GPL-2.0-or-later
#include "fake/pci_world.h"

#include <string.h>

#include "base/bug.h"
#include "base/endian.h"
#include "pci/bus.h"

static uint8_t world_ram[KIB(4)] __attribute__((aligned(4096)));
static uint8_t world_pages[KIB(16)] __attribute__((aligned(4096)));

static void world_add_caps(struct fake_endpoint *ep, unsigned int index)
{
	struct pci_function *fn = &ep->fn;
	uint8_t cap;

	BUG_ON(pci_add_capability(fn, PCI_CAP_PM, PCI_PM_CAP_LEN, &cap));
	fn->pm_cap = cap;
	pci_config_permit(fn, cap + PCI_PM_CONTROL, 2, PCI_PM_STATE, PCI_PM_PME_STATUS);
	BUG_ON(pci_add_capability(fn, PCI_CAP_PCIE, PCI_EXP_CAP_LEN, &cap));
	fn->pcie_cap = cap;
	pci_config_set(fn, cap + PCI_EXP_DEVCAP, 4, PCI_EXP_DEVCAP_FLR);
	pci_config_permit(fn, cap + PCI_EXP_DEVCTL, 2, 0x7fff, 0);
	BUG_ON(pci_add_capability(fn, PCI_CAP_MSI, 0x18, &cap));
	pci_config_set(fn, cap + PCI_MSI_CONTROL, 2,
		       PCI_MSI_64 | PCI_MSI_MASKING | FIELD_PREP(PCI_MSI_CAPABLE, index % 6));
	BUG_ON(pci_msi_init(fn, cap));
	BUG_ON(pci_add_capability(fn, PCI_CAP_MSIX, PCI_MSIX_CAP_LEN, &cap));
	BUG_ON(pci_msix_init(fn, cap, 5 + index, 0, KIB(8), 0, KIB(12)));
}

static void world_add_endpoint(struct pci_world *world, unsigned int index)
{
	struct fake_endpoint *ep = &world->endpoints[index];
	struct pci_function *fn = &ep->fn;
	/* Two functions of a slot behind the first port, one behind the others (the last behind a
	 * switch there), two at the root. */
	struct pci_bus *root = pci_fabric_root(world->pci.fabric);
	struct pci_bus *bus[] = { world->buses[0],
				  world->buses[0],
				  world->buses[1],
				  pci_fabric_find_bus(world->pci.fabric, "sw.1"),
				  root,
				  root };
	uint8_t devfn[] = { 0, 5, 0, 0, PCI_DEVFN(9, 0), PCI_DEVFN(31, 7) };

	fake_endpoint_init(ep, &world->pci, "world", (uint8_t)(index % 5));
	BUG_ON(pci_bar_declare(fn, 0, KIB(16), index & 1 ? PCI_BAR_MEM64 : 0));
	BUG_ON(pci_bar_add_direct(fn, 0, 0, KIB(8), world_pages, false));
	BUG_ON(fake_endpoint_bar(ep, 2, MIB(1) << index, PCI_BAR_MEM64 | PCI_BAR_PREFETCH));
	BUG_ON(fake_endpoint_bar(ep, 4, 16u << index, PCI_BAR_IO));
	BUG_ON(fake_endpoint_bar(ep, 5, 16u << index, 0));
	BUG_ON(pci_bar_declare(fn, PCI_BAR_ROM, KIB(4), 0));
	BUG_ON(pci_bar_add_direct(fn, PCI_BAR_ROM, 0, KIB(4), world_pages + KIB(8), true));
	world_add_caps(ep, index);
	BUG_ON(pci_dma_init(&world->dma[index], fn));
	world->dma[index].peers = true;
	BUG_ON(pci_function_attach(fn, bus[index], devfn[index]));
}

void pci_world_init(struct pci_world *world)
{
	static const char *const ids[WORLD_PORTS] = { "rp0", "rp1", "rp2" };
	const struct pci_switch_config sw = { .id = "sw", .nr_ports = 2, .acs = true };

	memset(world, 0, sizeof(*world));
	fake_pci_init(&world->pci);
	BUG_ON(fake_ram_add(&world->pci.machine, range_of(0, WORLD_RAM), world_ram));
	for (unsigned int i = 0; i < WORLD_PORTS; i++)
		world->buses[i] = fake_pci_port(&world->pci, ids[i]);
	world->ram.nr_regions = 1;
	world->ram.regions[0] =
		(struct ram_region){ range_of(0, sizeof(world_ram)), world_ram, -1, 0 };
	world->pci.machine.platform.ram = &world->ram;
	BUG_ON(pci_switch_create(world->pci.fabric, &sw, world->buses[2], NULL));
	for (unsigned int i = 0; i < WORLD_ENDPOINTS; i++)
		world_add_endpoint(world, i);
	BUG_ON(pci_fabric_assign(world->pci.fabric, NULL));
}

bool pci_world_fini(struct pci_world *world)
{
	for (unsigned int i = 0; i < WORLD_ENDPOINTS; i++) {
		pci_function_detach(&world->endpoints[i].fn);
		pci_dma_fini(&world->dma[i]);
		fake_endpoint_fini(&world->endpoints[i]);
	}
	return fake_pci_fini(&world->pci);
}

/* The model. It reads registers where the spec has them and shares nothing with the fabric. */

static uint64_t reg(const struct pci_function *fn, unsigned int offset, unsigned int size)
{
	return le_load(&fn->config[offset], size);
}

static bool model_awake(const struct pci_function *fn)
{
	return !(fn->config[fn->pm_cap + 4] & 3);
}

static bool model_bridge_passes(const struct pci_function *port)
{
	return model_awake(port) && !(port->config[0x3e] & 0x40) &&
	       !(port->config[port->pcie_cap + 0x10] & 0x10);
}

static bool model_window_has(const struct pci_function *port, bool io, uint64_t first,
			     uint64_t last)
{
	uint64_t base, limit;

	if (io) {
		base = (reg(port, 0x1c, 1) & 0xf0) << 8;
		limit = (reg(port, 0x1d, 1) & 0xf0) << 8 | 0xfff;
		return base <= first && last <= limit;
	}
	base = (reg(port, 0x20, 2) & 0xfff0) << 16;
	limit = (reg(port, 0x22, 2) & 0xfff0) << 16 | 0xfffff;
	if (base <= first && last <= limit)
		return true;
	base = (reg(port, 0x24, 2) & 0xfff0) << 16 | reg(port, 0x28, 4) << 32;
	limit = (reg(port, 0x26, 2) & 0xfff0) << 16 | 0xfffff | reg(port, 0x2c, 4) << 32;
	return base <= first && last <= limit;
}

/* Where the BAR must be, by the registers alone. */
static bool model_decodes(const struct pci_function *fn, unsigned int index, struct range *range)
{
	unsigned int at = index == PCI_BAR_ROM ? 0x30 : 0x10 + 4 * index;
	bool io = fn->bars[index].flags & 1;
	uint64_t v = reg(fn, at, 4), size = fn->bars[index].size, addr;

	addr = v & (io ? 0xfffffffcull : index == PCI_BAR_ROM ? 0xfffff800ull : 0xfffffff0ull);
	if (fn->bars[index].flags & 4)
		addr |= reg(fn, at + 4, 4) << 32;
	*range = range_of(addr, size);
	if (!addr || range->last < addr || !(fn->config[4] & (io ? 1 : 2)) || !model_awake(fn))
		return false;
	if (io ? range->last > 0xffff : range->last == 0xffffffff || range->last == UINT64_MAX)
		return false;
	if (index == PCI_BAR_ROM && !(v & 1))
		return false;
	for (const struct pci_function *port = fn->bus->bridge; port; port = port->bus->bridge) {
		if (!model_bridge_passes(port) || !(port->config[4] & (io ? 1 : 2)) ||
		    !model_window_has(port, io, addr, range->last))
			return false;
	}
	return true;
}

/* Something else than this function's own BAR is in the way. */
static bool world_is_taken(struct pci_world *world, const struct pci_bar *bar, struct range range)
{
	struct fake_platform *m = &world->pci.machine;
	enum bus_space space = bar->flags & PCI_BAR_IO ? BUS_PIO : BUS_MMIO;

	for (unsigned int i = 0; i < bar->nr_parts; i++) {
		struct range part = range_of(range.first + bar->parts[i].offset, bar->parts[i].len);

		if (bar->parts[i].direct && part.first < WORLD_RAM)
			return true;
		for (unsigned int j = 0; j < m->nr_slots && bar->parts[i].direct; j++) {
			if (range_overlaps(m->slots[j]->range, part))
				return true;
		}
		for (const struct bus_region *r = m->regions; r && !bar->parts[i].direct;
		     r = r->next) {
			if (r->space == space && range_overlaps(r->range, part))
				return true;
		}
	}
	return false;
}

static void world_check_function(struct pci_world *world, const struct pci_function *fn,
				 unsigned int *regions, unsigned int *slots)
{
	bool master = reg(fn, 4, 2) & 4 && model_awake(fn);
	uint8_t number = fn->bus->bridge ? fn->bus->bridge->config[0x19] : 0;

	for (const struct pci_function *port = fn->bus->bridge; port; port = port->bus->bridge)
		master = master && reg(port, 4, 2) & 4 && model_bridge_passes(port);
	BUG_ON(pci_function_may_master(fn) != master);
	BUG_ON(pci_function_rid(fn).v != rid_make(number, fn->devfn).v);

	for (unsigned int i = 0; i <= PCI_BAR_ROM; i++) {
		const struct pci_bar *bar = &fn->bars[i];
		struct range range = { 0, 0 };
		bool decodes = bar->size && model_decodes(fn, i, &range);

		BUG_ON(bar->enabled && (!decodes || bar->addr != range.first));
		BUG_ON(bar->blocked != (decodes && !bar->enabled));
		BUG_ON(bar->blocked && !world_is_taken(world, bar, range));
		for (unsigned int j = 0; j < bar->nr_parts; j++) {
			const struct pci_bar_part *part = &bar->parts[j];

			BUG_ON(part->live != bar->enabled);
			if (!part->live)
				continue;
			*regions += !part->direct;
			*slots += part->direct;
			BUG_ON((part->direct ? part->slot.range : part->region.range).first !=
			       range.first + part->offset);
		}
	}
}

static void world_check(struct pci_world *world)
{
	unsigned int regions = 2, slots = 0; /* ECAM and the config ports */

	for (unsigned int i = 0; i < WORLD_ENDPOINTS; i++)
		world_check_function(world, &world->endpoints[i].fn, &regions, &slots);
	BUG_ON(fake_region_count(&world->pci.machine) != regions);
	BUG_ON(world->pci.machine.nr_slots != slots);
}

struct reader {
	const uint8_t *data;
	size_t left;
};

static uint64_t take(struct reader *r, unsigned int bytes)
{
	uint64_t v = 0;

	for (unsigned int i = 0; i < bytes && r->left; i++, r->left--)
		v |= (uint64_t)*r->data++ << (8 * i);
	return v;
}

/* Mostly where something is: the guest's numbers of buses and devices, and headers. */
static uint64_t world_ecam_address(struct pci_world *world, struct reader *r)
{
	static const uint8_t devfns[] = { PCI_DEVFN(0, 0), PCI_DEVFN(1, 0), PCI_DEVFN(2, 0),
					  PCI_DEVFN(3, 0), PCI_DEVFN(9, 0), PCI_DEVFN(31, 7),
					  PCI_DEVFN(0, 5), PCI_DEVFN(12, 3) };
	uint8_t where = (uint8_t)take(r, 1);
	uint64_t bus = where >> 6, offset = take(r, 1);

	if (where & 0x20)
		bus = take(r, 1);
	if (where & 0x10)
		offset |= (take(r, 1) & 0xf) << 8;
	return FAKE_ECAM + (bus << 20 | (uint64_t)devfns[where & 7] << 12 | offset);
}

/* To memory, to another's registers, or to its own. */
static void world_dma(struct pci_world *world, struct reader *r, uint64_t how)
{
	const struct pci_function *target = &world->endpoints[how >> 4 & 3].fn;
	struct pci_dma *dma = &world->dma[how >> 2 & 3];
	uint64_t addr = take(r, 2) << 4;
	uint8_t buf[64] = { 0 };
	int err;

	if (how & 0x40)
		addr = target->bars[how & 0x80 ? 5 : 2].addr + (addr & 0x3ff);
	if (how & 1)
		err = pci_dma_write(dma, addr, buf, 1 + take(r, 1) % sizeof(buf));
	else
		err = pci_dma_read(dma, addr, buf, 1 + take(r, 1) % sizeof(buf));
	BUG_ON(!err && !pci_function_may_master(dma->fn));
}

static void world_step(struct pci_world *world, struct reader *r)
{
	static const unsigned int sizes[] = { 1, 2, 4, 4, 4, 2, 1, 8 };
	struct fake_platform *m = &world->pci.machine;
	uint8_t op = (uint8_t)take(r, 1);
	unsigned int size = sizes[op >> 4 & 7];
	struct fake_endpoint *ep = &world->endpoints[(op >> 4) % WORLD_ENDPOINTS];
	uint64_t addr;

	switch (op & 0xf) {
	default: /* half of all: config writes */
		addr = world_ecam_address(world, r);
		fake_bus_write(m, BUS_MMIO, addr, size, take(r, size));
		break;
	case 8:
		fake_bus_read(m, BUS_MMIO, world_ecam_address(world, r), size);
		break;
	case 9:
		fake_bus_write(m, BUS_PIO, 0xcf8 + take(r, 1) % 8, size, take(r, size));
		break;
	case 10:
		fake_bus_read(m, BUS_PIO, 0xcf8 + take(r, 1) % 8, size);
		break;
	case 11: /* aim at another BAR, RAM or ECAM */
		addr = 0x10 + 4 * (take(r, 1) % 6);
		fake_cfg_write(&world->pci, pci_function_rid(&ep->fn), (uint16_t)addr, 4,
			       (uint32_t)(take(r, 1) % 3 ? FAKE_MMIO32 + (take(r, 1) << 12)
							 : take(r, 1) << 22));
		break;
	case 12:
		if (ep->fn.bars[0].enabled)
			fake_bus_write(m, BUS_MMIO, ep->fn.bars[0].addr + KIB(8) + take(r, 1), size,
				       take(r, size));
		break;
	case 13:
		if (ep->fn.bars[0].enabled)
			fake_bus_read(m, BUS_MMIO, ep->fn.bars[0].addr + KIB(12) + take(r, 1) % 16,
				      size);
		break;
	case 14:
		pci_msix_fire(&ep->fn, (unsigned int)take(r, 1));
		pci_msi_fire(&ep->fn, (unsigned int)take(r, 1));
		break;
	case 15:
		addr = take(r, 1);
		pci_function_intx(&ep->fn, addr & 1);
		if (addr & 2)
			world_dma(world, r, addr);
		break;
	}
	world->nr_accesses++;
}

void pci_world_run(struct pci_world *world, const uint8_t *input, size_t len)
{
	struct reader r = { input, len };

	while (r.left) {
		world_step(world, &r);
		world_check(world);
	}
}
