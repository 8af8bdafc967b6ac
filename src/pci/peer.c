// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests between devices: how a switch routes them, what access control services say to it, and
 * registers as their target (PCI Express Base 6.0: 2.2.4.1 routing by address, 6.12 ACS).
 */
#include <errno.h>

#include "base/bug.h"
#include "base/endian.h"
#include "pci/bus.h"

/* Source validation: a requester behind the port has one of the port's bus numbers (6.12.1.1). */
static bool source_is_valid(const struct pci_function *port, rid_t rid)
{
	return rid_bus(rid) >= port->config[PCI_SECONDARY_BUS] &&
	       rid_bus(rid) <= port->config[PCI_SUBORDINATE_BUS];
}

/* A request comes up through `port`, a downstream port of a switch. */
static enum pci_way switch_way(const struct pci_function *port, struct range range)
{
	const struct pci_bus *internal = port->bus;
	uint16_t acs = pci_port_acs(port);

	for (unsigned int i = 0; i < PCI_BUS_FUNCTIONS; i++) {
		const struct pci_function *other = internal->functions[i];

		if (!other || !other->secondary || !pci_bridge_forwards(other, false, range))
			continue;
		/* Back to where it came from (6.12.1.1, upstream forwarding), or redirected. */
		if (other == port)
			return acs & PCI_ACS_UF ? PCI_WAY_UP : PCI_WAY_NOWHERE;
		return acs & PCI_ACS_RR ? PCI_WAY_UP : PCI_WAY_PEER;
	}
	/* The switch's own window, but none of its ports'. */
	return pci_bridge_forwards(internal->bridge, false, range) ? PCI_WAY_NOWHERE : PCI_WAY_UP;
}

static enum pci_way function_way(const struct pci_function *fn, struct range range)
{
	rid_t rid = pci_function_rid(fn);

	for (const struct pci_bus *bus = fn->bus; bus && bus->bridge; bus = bus->bridge->bus) {
		const struct pci_function *port = bus->bridge;
		enum pci_way way;

		if (bus->internal)
			continue;
		if (pci_port_acs(port) & PCI_ACS_SV && !source_is_valid(port, rid))
			return PCI_WAY_NOWHERE;
		if (!port->bus->internal)
			continue;
		way = switch_way(port, range);
		if (way != PCI_WAY_UP)
			return way;
	}
	return PCI_WAY_UP;
}

enum pci_way pci_peer_way(const struct pci_function *fn, struct range range)
{
	struct pci_bus *bus = fn->bus;
	enum pci_way way;

	if (!bus)
		return PCI_WAY_NOWHERE;
	lock_take(&bus->fabric->lock);
	way = function_way(fn, range);
	lock_drop(&bus->fabric->lock);
	return way;
}

bool pci_peer_translated(const struct pci_function *fn)
{
	struct pci_bus *bus = fn->bus;
	bool passes = bus;

	if (!bus)
		return false;
	lock_take(&bus->fabric->lock);
	for (; bus->bridge && passes; bus = bus->bridge->bus)
		passes = !(pci_port_acs(bus->bridge) & PCI_ACS_TB);
	lock_drop(&fn->bus->fabric->lock);
	return passes;
}

/* A BAR part that is trapped, live and holds all of the range. */
static bool bar_is_target(const struct pci_bar *bar, struct range range)
{
	if (!bar->enabled || bar->flags & PCI_BAR_IO)
		return false;
	for (unsigned int i = 0; i < bar->nr_parts; i++) {
		const struct pci_bar_part *part = &bar->parts[i];

		if (!part->direct && part->live && range_contains(part->region.range, range))
			return true;
	}
	return false;
}

struct search {
	struct range range;
	bool found;
};

static void look(void *opaque, struct pci_function *fn)
{
	struct search *search = opaque;

	for (unsigned int i = 0; i < PCI_BARS && !search->found; i++)
		search->found = bar_is_target(&fn->bars[i], search->range);
}

int pci_peer_move(const struct pci_function *fn, uint64_t addr, void *buf, uint64_t len, bool write)
{
	struct search search = { .range = range_of(addr, len) };
	struct pci_bus *bus = fn->bus;

	if (!bus)
		return -EFAULT;
	pci_fabric_walk(bus->fabric, look, &search);
	if (!search.found)
		return -EFAULT;
	/* As registers are reached: by dwords, and by bytes at the ends. */
	for (uint64_t done = 0, size; done < len; done += size) {
		size = is_aligned(addr + done, 4) && len - done >= 4 ? 4 : 1;
		fn->platform->ops->access(fn->platform, addr + done, (uint8_t *)buf + done,
					  (unsigned int)size, write);
	}
	return 0;
}
