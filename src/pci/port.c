// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ports: a bridge (header type 1) whose secondary bus is a link with one slot at its end; or, for the
 * upstream port of a switch, the bus that its downstream ports are on.
 *
 * The slot's registers say what is so: empty or occupied, link up or down, and which of the two
 * changed. It offers no hotplug (slot capabilities without HPC), so nothing reports a change by
 * interrupt; a hotplug slot needs the capability bits and an interrupt where port_set_link() notes
 * a change.
 *
 * Sources: PCI-to-PCI Bridge 1.2 (3.2), PCI Express Base 6.0 (7.5.1.3, 7.5.3, 7.7.11).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/endian.h"
#include "pci/bus.h"

/* The generic ids of a root port without a maker (QEMU project, docs/specs/pci-ids). */
#define PORT_VENDOR	0x1b36
#define PORT_DEVICE	0x000c
#define PORT_CLASS	0x060400
#define PORT_LINK_WIDTH 16
#define PORT_SPEEDS	GENMASK(4, 1) /* 2.5 to 16 GT/s in LNKCAP2 */
#define PORT_READ_512	2
#define PORT_MSI_LEN	0x18 /* 64-bit, with masks */
#define PORT_ACS_LEN	8
#define PORT_ACS_BITS	(PCI_ACS_SV | PCI_ACS_TB | PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_UF)
#define PORT_LINK_UP                                       \
	(FIELD_PREP(PCI_EXP_LNK_SPEED, PCI_EXP_LNK_16GT) | \
	 FIELD_PREP(PCI_EXP_LNK_WIDTH, PORT_LINK_WIDTH))
#define PCIE_CAP_VERSION_2 2

/* Which end of a link, and of what; as in the PCI Express capability. */
enum port_type {
	PORT_ROOT = PCI_EXP_ROOT_PORT,
	PORT_UPSTREAM = PCI_EXP_UPSTREAM,
	PORT_DOWNSTREAM = PCI_EXP_DOWNSTREAM,
};

struct pci_port {
	struct pci_function fn; /* first */
	enum port_type type;
	uint16_t acs; /* offset of its capability; 0: none */
	struct pci_bus bus;
	struct pci_port_config config; /* .id is `id` */
	char id[PORT_ID_MAX];
	struct pci_port *next;
};

static uint16_t port_get(const struct pci_function *fn, unsigned int offset)
{
	return (uint16_t)le_load(&fn->config[offset], 2);
}

/* What is behind is held in reset: by a secondary bus reset, or since the link is disabled. */
static bool bridge_holds_reset(const struct pci_function *fn)
{
	return port_get(fn, PCI_BRIDGE_CONTROL) & PCI_BRIDGE_BUS_RESET ||
	       (fn->pcie_cap &&
		port_get(fn, (unsigned int)fn->pcie_cap + PCI_EXP_LNKCTL) & PCI_EXP_LNKCTL_DISABLE);
}

bool pci_bridge_passes_config(const struct pci_function *fn)
{
	return pci_function_in_d0(fn) && !bridge_holds_reset(fn);
}

bool pci_bridge_forwards_ari(const struct pci_function *fn)
{
	return fn->pcie_cap &&
	       port_get(fn, (unsigned int)fn->pcie_cap + PCI_EXP_DEVCTL2) & PCI_EXP_DEVCTL2_ARI;
}

/* Base and limit are the top bits of a window; a base above its limit contains nothing. */
static bool window_contains(uint64_t base, uint64_t limit, uint64_t granule, struct range range)
{
	return base <= range.first && range.last <= (limit | (granule - 1));
}

bool pci_bridge_forwards(const struct pci_function *fn, bool io, struct range range)
{
	uint64_t base, limit;

	if (!pci_bridge_passes_config(fn) ||
	    !(pci_command(fn) & (io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)))
		return false;
	if (io) {
		base = (uint64_t)(fn->config[PCI_IO_BASE] & PCI_IO_WINDOW_MASK) << 8;
		limit = (uint64_t)(fn->config[PCI_IO_LIMIT] & PCI_IO_WINDOW_MASK) << 8;
		return window_contains(base, limit, PORT_IO_ALIGN, range);
	}
	base = (uint64_t)(port_get(fn, PCI_MEMORY_BASE) & PCI_MEMORY_WINDOW_MASK) << 16;
	limit = (uint64_t)(port_get(fn, PCI_MEMORY_LIMIT) & PCI_MEMORY_WINDOW_MASK) << 16;
	if (window_contains(base, limit, PORT_WINDOW_ALIGN, range))
		return true;
	base = (uint64_t)(port_get(fn, PCI_PREFETCH_BASE) & PCI_MEMORY_WINDOW_MASK) << 16 |
	       le_load(&fn->config[PCI_PREFETCH_BASE_HI], 4) << 32;
	limit = (uint64_t)(port_get(fn, PCI_PREFETCH_LIMIT) & PCI_MEMORY_WINDOW_MASK) << 16 |
		le_load(&fn->config[PCI_PREFETCH_LIMIT_HI], 4) << 32;
	return window_contains(base, limit, PORT_WINDOW_ALIGN, range);
}

static bool bus_withdraw(struct pci_bus *bus)
{
	bool any = false;

	for (unsigned int i = 0; i < PCI_BUS_FUNCTIONS; i++) {
		if (!bus->functions[i])
			continue;
		any |= pci_bars_withdraw(bus->functions[i]);
		if (bus->functions[i]->secondary)
			any |= bus_withdraw(bus->functions[i]->secondary);
	}
	return any;
}

static void bus_place(struct pci_bus *bus)
{
	for (unsigned int i = 0; i < PCI_BUS_FUNCTIONS; i++) {
		if (!bus->functions[i])
			continue;
		pci_bars_place(bus->functions[i]);
		if (bus->functions[i]->secondary)
			bus_place(bus->functions[i]->secondary);
	}
}

static void bus_reset(struct pci_bus *bus)
{
	bus->in_reset = true;
	for (unsigned int i = 0; i < PCI_BUS_FUNCTIONS; i++) {
		if (!bus->functions[i])
			continue;
		pci_function_reset(bus->functions[i]);
		if (bus->functions[i]->secondary)
			bus_reset(bus->functions[i]->secondary);
	}
	bus->in_reset = false;
}

bool pci_function_in_bus_reset(const struct pci_function *fn)
{
	for (const struct pci_bus *bus = fn->bus; bus; bus = bus->bridge ? bus->bridge->bus : NULL)
		if (bus->in_reset)
			return true;
	return false;
}

static bool bus_is_empty(const struct pci_bus *bus)
{
	for (unsigned int i = 0; i < PCI_BUS_FUNCTIONS; i++) {
		if (bus->functions[i])
			return false;
	}
	return true;
}

/* Slot and link status follow what is plugged in. Changes stick until written with ones. */
static void port_set_link(struct pci_function *fn)
{
	unsigned int link = (unsigned int)fn->pcie_cap + PCI_EXP_LNKSTA;
	unsigned int slot = (unsigned int)fn->pcie_cap + PCI_EXP_SLTSTA;
	unsigned int disable = (unsigned int)fn->pcie_cap + PCI_EXP_LNKCTL;
	bool present = !bus_is_empty(fn->secondary);
	bool up = present && !(port_get(fn, disable) & PCI_EXP_LNKCTL_DISABLE);
	unsigned int v = port_get(fn, slot);

	/* Its link is the one above it: that is up, or nobody would see the port. */
	if (pci_port_of(fn)->type == PORT_UPSTREAM)
		return;
	if (present != !!(v & PCI_EXP_SLTSTA_PRESENT))
		v ^= PCI_EXP_SLTSTA_PRESENT | PCI_EXP_SLTSTA_PRESENCE_CHANGED;
	if (present)
		v |= PCI_EXP_SLTSTA_PRESENT;
	if (up != !!(port_get(fn, link) & PCI_EXP_LNKSTA_ACTIVE))
		v |= PCI_EXP_SLTSTA_LINK_CHANGED;
	pci_config_set(fn, (uint16_t)slot, 2, v);
	pci_config_set(fn, (uint16_t)link, 2,
		       PCI_EXP_LNKSTA_SLOT_CLOCK | (up ? PORT_LINK_UP | PCI_EXP_LNKSTA_ACTIVE : 0));
}

void pci_port_presence(struct pci_function *bridge)
{
	if (pci_port_of(bridge))
		port_set_link(bridge);
}

static void port_update_behind(struct pci_function *fn)
{
	bool went;

	pci_function_refresh(fn);
	went = bus_withdraw(fn->secondary);
	bus_place(fn->secondary);
	if (went)
		pci_bars_retry(fn->secondary->fabric);
}

static void port_config_write(struct pci_function *fn, uint16_t offset, unsigned int size,
			      uint32_t value)
{
	bool held = bridge_holds_reset(fn);

	pci_config_put(fn, offset, size, value);
	if (!held && bridge_holds_reset(fn))
		bus_reset(fn->secondary);
	port_set_link(fn);
	port_update_behind(fn);
}

/* Of the port's own registers. What is behind is reset by who resets the bus. */
static void port_reset(struct pci_function *fn)
{
	port_set_link(fn);
	port_update_behind(fn);
}

static const struct pci_function_ops port_ops = {
	.config_write = port_config_write,
	.reset = port_reset,
};

struct pci_port *pci_port_of(struct pci_function *fn)
{
	return fn->ops == &port_ops ? container_of(fn, struct pci_port, fn) : NULL;
}

static void port_init_header(struct pci_function *fn)
{
	fn->config[PCI_HEADER_TYPE] = PCI_HEADER_BRIDGE;
	pci_config_permit(fn, PCI_PRIMARY_BUS, 3, 0xffffff, 0);
	pci_config_permit(fn, PCI_IO_BASE, 1, PCI_IO_WINDOW_MASK, 0);
	pci_config_permit(fn, PCI_IO_LIMIT, 1, PCI_IO_WINDOW_MASK, 0);
	pci_config_permit(fn, PCI_SECONDARY_STATUS, 2, 0, PCI_STATUS_ERRORS | BIT(8));
	pci_config_permit(fn, PCI_MEMORY_BASE, 2, PCI_MEMORY_WINDOW_MASK, 0);
	pci_config_permit(fn, PCI_MEMORY_LIMIT, 2, PCI_MEMORY_WINDOW_MASK, 0);
	pci_config_permit(fn, PCI_PREFETCH_BASE, 2, PCI_MEMORY_WINDOW_MASK, 0);
	pci_config_permit(fn, PCI_PREFETCH_LIMIT, 2, PCI_MEMORY_WINDOW_MASK, 0);
	pci_config_permit(fn, PCI_PREFETCH_BASE_HI, 4, ~0u, 0);
	pci_config_permit(fn, PCI_PREFETCH_LIMIT_HI, 4, ~0u, 0);
	pci_config_permit(fn, PCI_BRIDGE_CONTROL, 2,
			  PCI_BRIDGE_PARITY | PCI_BRIDGE_SERR | PCI_BRIDGE_BUS_RESET, 0);

	/* All windows closed: the base above the limit. The prefetchable one is a 64-bit one. */
	pci_config_set(fn, PCI_IO_BASE, 1, PCI_IO_WINDOW_MASK);
	pci_config_set(fn, PCI_MEMORY_BASE, 2, PCI_MEMORY_WINDOW_MASK);
	pci_config_set(fn, PCI_PREFETCH_BASE, 2, PCI_MEMORY_WINDOW_MASK | PCI_PREFETCH_64);
	pci_config_set(fn, PCI_PREFETCH_LIMIT, 2, PCI_PREFETCH_64);
}

static void port_init_slot(struct pci_function *fn, uint8_t cap, uint8_t slot_number)
{
	pci_config_permit(fn, cap + PCI_EXP_LNKCTL, 2,
			  PCI_EXP_LNKCTL_RCB | PCI_EXP_LNKCTL_DISABLE |
				  PCI_EXP_LNKCTL_COMMON_CLOCK | PCI_EXP_LNKCTL_EXT_SYNC,
			  0);
	pci_config_set(fn, cap + PCI_EXP_LNKSTA, 2, PCI_EXP_LNKSTA_SLOT_CLOCK);
	pci_config_set(fn, cap + PCI_EXP_SLTCAP, 4, FIELD_PREP(PCI_EXP_SLTCAP_NUMBER, slot_number));
	pci_config_permit(fn, cap + PCI_EXP_SLTCTL, 2, PCI_EXP_SLTCTL_LINK_ENABLE, 0);
	pci_config_permit(fn, cap + PCI_EXP_SLTSTA, 2, 0,
			  PCI_EXP_SLTSTA_PRESENCE_CHANGED | PCI_EXP_SLTSTA_LINK_CHANGED);
	pci_config_set(fn, cap + PCI_EXP_DEVCAP2, 4, PCI_EXP_DEVCAP2_ARI);
	pci_config_permit(fn, cap + PCI_EXP_DEVCTL2, 2, PCI_EXP_DEVCTL2_ARI, 0);
}

static void port_init_root(struct pci_function *fn, uint8_t cap)
{
	pci_config_permit(fn, cap + PCI_EXP_RTCTL, 2,
			  PCI_EXP_RTCTL_ERRORS | PCI_EXP_RTCTL_PME | PCI_EXP_RTCTL_CRS, 0);
	pci_config_set(fn, cap + PCI_EXP_RTCAP, 2, PCI_EXP_RTCAP_CRS);
	pci_config_permit(fn, cap + PCI_EXP_RTSTA, 4, 0, PCI_EXP_RTSTA_PME);
}

static void port_init_pcie(struct pci_function *fn, uint8_t cap, enum port_type type,
			   uint8_t slot_number)
{
	bool slot = type != PORT_UPSTREAM;

	fn->pcie_cap = cap;
	pci_config_set(fn, cap + PCI_EXP_FLAGS, 2,
		       FIELD_PREP(PCI_EXP_VERSION, PCIE_CAP_VERSION_2) |
			       FIELD_PREP(PCI_EXP_TYPE, type) | (slot ? PCI_EXP_SLOT : 0));
	pci_config_set(fn, cap + PCI_EXP_DEVCAP, 4, PCI_EXP_DEVCAP_RBER);
	pci_config_set(fn, cap + PCI_EXP_DEVCTL, 2, FIELD_PREP(PCI_EXP_DEVCTL_READ, PORT_READ_512));
	pci_config_permit(fn, cap + PCI_EXP_DEVCTL, 2,
			  PCI_EXP_DEVCTL_ERRORS | PCI_EXP_DEVCTL_RELAXED | PCI_EXP_DEVCTL_PAYLOAD |
				  PCI_EXP_DEVCTL_NO_SNOOP | PCI_EXP_DEVCTL_READ,
			  0);
	pci_config_permit(fn, cap + PCI_EXP_DEVSTA, 2, 0, PCI_EXP_DEVSTA_ERRORS);
	pci_config_set(fn, cap + PCI_EXP_LNKCAP, 4,
		       FIELD_PREP(PCI_EXP_LNK_SPEED, PCI_EXP_LNK_16GT) |
			       FIELD_PREP(PCI_EXP_LNK_WIDTH, PORT_LINK_WIDTH) |
			       (slot ? PCI_EXP_LNKCAP_ACTIVE : 0) | PCI_EXP_LNKCAP_ASPM_OPTIONAL |
			       FIELD_PREP(PCI_EXP_LNKCAP_PORT, slot_number));
	pci_config_set(fn, cap + PCI_EXP_LNKCAP2, 4, PORT_SPEEDS);
	pci_config_set(fn, cap + PCI_EXP_LNKCTL2, 2,
		       FIELD_PREP(PCI_EXP_LNK_SPEED, PCI_EXP_LNK_16GT));
	pci_config_permit(fn, cap + PCI_EXP_LNKCTL2, 2, PCI_EXP_LNK_SPEED, 0);
	if (slot)
		port_init_slot(fn, cap, slot_number);
	else
		pci_config_set(fn, cap + PCI_EXP_LNKSTA, 2, PORT_LINK_UP);
	if (type == PORT_ROOT)
		port_init_root(fn, cap);
}

/* Every capability of the list fits by construction; what can fail is memory. */
static int port_init_capabilities(struct pci_port *port)
{
	struct pci_function *fn = &port->fn;
	uint8_t cap;
	int err;

	err = pci_add_capability(fn, PCI_CAP_PCIE, PCI_EXP_CAP_LEN, &cap);
	if (err)
		return err;
	port_init_pcie(fn, cap, port->type, port->config.slot_number);

	err = pci_add_capability(fn, PCI_CAP_PM, PCI_PM_CAP_LEN, &cap);
	if (err)
		return err;
	fn->pm_cap = cap;
	pci_config_set(fn, cap + PCI_PM_CAPS, 2,
		       PCI_PM_CAPS_VERSION_3 | PCI_PM_CAPS_PME_D0 | PCI_PM_CAPS_PME_D3HOT |
			       PCI_PM_CAPS_PME_D3COLD);
	pci_config_set(fn, cap + PCI_PM_CONTROL, 2, PCI_PM_NO_SOFT_RESET);
	pci_config_permit(fn, cap + PCI_PM_CONTROL, 2, PCI_PM_STATE | PCI_PM_PME_ENABLE,
			  PCI_PM_PME_STATUS);

	err = pci_add_capability(fn, PCI_CAP_MSI, PORT_MSI_LEN, &cap);
	if (err)
		return err;
	pci_config_set(fn, cap + PCI_MSI_CONTROL, 2, PCI_MSI_64 | PCI_MSI_MASKING);
	err = pci_msi_init(fn, cap);
	if (err || !port->config.acs)
		return err;

	err = pci_add_ext_capability(fn, PCI_EXT_CAP_ACS, 1, PORT_ACS_LEN, &port->acs);
	if (err)
		return err;
	pci_config_set(fn, port->acs + PCI_ACS_CAP, 2, PORT_ACS_BITS);
	pci_config_permit(fn, port->acs + PCI_ACS_CTRL, 2, PORT_ACS_BITS, 0);
	return 0;
}

static int port_create(struct pci_bus *parent, const struct pci_port_config *config,
		       enum port_type type, struct pci_bus **bus, struct diag *diag)
{
	static const struct pci_ids ids = {
		.vendor = PORT_VENDOR,
		.device = PORT_DEVICE,
		.class_code = PORT_CLASS,
	};
	struct pci_fabric *fabric = parent->fabric;
	struct pci_port *port, **tail;
	int slot, err;

	if (strlen(config->id) >= PORT_ID_MAX)
		return diag_set(diag, -EINVAL, config->id, "the name has more than %d characters",
				PORT_ID_MAX - 1);
	if (pci_fabric_find_bus(fabric, config->id))
		return diag_set(diag, -EEXIST, config->id, "there is a bus of this name already");
	slot = pci_bus_free_slot(parent);
	if (slot < 0)
		return diag_set(diag, slot, config->id, "no slot of %s is free",
				parent->bridge ? parent->bridge->name : "the root bus");

	port = calloc(1, sizeof(*port));
	if (!port)
		return diag_set(diag, -ENOMEM, config->id, "out of memory");
	port->type = type;
	port->config = *config;
	snprintf(port->id, sizeof(port->id), "%s", config->id);
	port->config.id = port->id;
	port->bus.fabric = fabric;
	port->bus.bridge = &port->fn;
	port->bus.internal = type == PORT_UPSTREAM;

	pci_function_init(&port->fn, config->platform ? config->platform : fabric->platform, NULL,
			  &port_ops, &ids, port->id);
	port->fn.secondary = &port->bus;
	port_init_header(&port->fn);
	err = port_init_capabilities(port);
	if (err)
		goto err_fini;
	err = pci_function_attach(&port->fn, parent, PCI_DEVFN(slot, 0));
	if (err)
		goto err_fini;
	for (tail = &fabric->ports; *tail; tail = &(*tail)->next)
		;
	*tail = port;
	*bus = &port->bus;
	return 0;

err_fini:
	pci_function_fini(&port->fn);
	free(port);
	return diag_set(diag, err, config->id, "the port cannot be made: %s", strerror(-err));
}

int pci_root_port_create(struct pci_fabric *fabric, const struct pci_port_config *config,
			 struct pci_bus **bus, struct diag *diag)
{
	return port_create(&fabric->root, config, PORT_ROOT, bus, diag);
}

int pci_switch_create(struct pci_fabric *fabric, const struct pci_switch_config *config,
		      struct pci_bus *parent, struct diag *diag)
{
	struct pci_port_config port = { .id = config->id, .platform = config->platform };
	struct pci_bus *internal, *bus;
	char id[PORT_ID_MAX + 16];
	int err;

	if (!config->nr_ports || config->nr_ports > PCI_BUS_DEVICES)
		return diag_set(diag, -EINVAL, config->id, "a switch has 1 to %d ports",
				PCI_BUS_DEVICES);
	err = port_create(parent, &port, PORT_UPSTREAM, &internal, diag);
	port.id = id;
	port.acs = config->acs;
	for (unsigned int i = 0; i < config->nr_ports && !err; i++) {
		snprintf(id, sizeof(id), "%s.%u", config->id, i);
		port.slot_number = (uint8_t)(config->slot_number + i);
		err = port_create(internal, &port, PORT_DOWNSTREAM, &bus, diag);
	}
	return err;
}

void pci_ports_destroy(struct pci_fabric *fabric)
{
	/* Newest first: a port is younger than the one above it. */
	while (fabric->ports) {
		struct pci_port **tail = &fabric->ports, *port;

		while ((*tail)->next)
			tail = &(*tail)->next;
		port = *tail;
		*tail = NULL;
		pci_function_detach(&port->fn);
		pci_function_fini(&port->fn);
		free(port);
	}
}

struct pci_bus *pci_fabric_find_bus(struct pci_fabric *fabric, const char *id)
{
	if (!strcmp(id, "root"))
		return &fabric->root;
	for (struct pci_port *port = fabric->ports; port; port = port->next) {
		if (!strcmp(port->id, id))
			return &port->bus;
	}
	return NULL;
}

struct pci_port *pci_port_next(struct pci_port *port)
{
	return port->next;
}

struct pci_function *pci_port_function(struct pci_port *port)
{
	return &port->fn;
}

void pci_port_loaded(struct pci_port *port)
{
	port_set_link(&port->fn);
	port_update_behind(&port->fn);
}

const struct pci_port_config *pci_port_config(const struct pci_port *port)
{
	return &port->config;
}

uint16_t pci_port_acs(const struct pci_function *fn)
{
	const struct pci_port *port = (const void *)fn;

	if (fn->ops != &port_ops || !port->acs)
		return 0;
	return port_get(fn, port->acs + PCI_ACS_CTRL);
}
