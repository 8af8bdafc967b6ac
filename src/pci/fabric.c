// SPDX-License-Identifier: GPL-2.0-or-later
/* The root of the tree, and how the guest's config accesses find a function in it. */
#include <stdlib.h>
#include <string.h>

#include "base/bug.h"
#include "pci/bus.h"

/* The generic ids of a PCIe host bridge without a maker (QEMU project, docs/specs/pci-ids). */
#define HOST_BRIDGE_VENDOR 0x1b36
#define HOST_BRIDGE_DEVICE 0x0008
#define HOST_BRIDGE_CLASS  0x060000

/* The indentation of fields says what they are fields of. */
/* clang-format off */
/* Mechanism #1 (PCI 3.0, 3.2.2.3.2), and the reset control register that shares its ports. */
#define LEGACY_PORT 0xcf8
#define LEGACY_LEN 8
#define LEGACY_ADDRESS 0
#define   ADDRESS_ENABLE BIT(31)
#define   ADDRESS_BUS GENMASK(23, 16)
#define   ADDRESS_DEVFN GENMASK(15, 8)
#define   ADDRESS_REGISTER GENMASK(7, 2)
#define LEGACY_RESET 1
#define   RESET_CPU BIT(2)
#define LEGACY_DATA 4

/* ECAM: bus, device and function, register (PCIe 6.0, 7.2.2). */
#define ECAM_BUS GENMASK64(27, 20)
#define ECAM_DEVFN GENMASK64(19, 12)
#define ECAM_REGISTER GENMASK64(11, 0)
/* clang-format on */

/*
 * The bus that answers to a number: on each level the first bridge whose range holds it, as a
 * request would be taken. The tree bounds the way down, whatever the ranges are.
 */
static struct pci_bus *fabric_route(struct pci_fabric *fabric, uint8_t number)
{
	struct pci_bus *bus = &fabric->root;
	unsigned int i = 0;

	if (!number)
		return bus;
	while (i < PCI_BUS_FUNCTIONS) {
		const struct pci_function *fn = bus->functions[i++];
		uint8_t secondary;

		if (!fn || !fn->secondary || !pci_bridge_passes_config(fn))
			continue;
		secondary = fn->config[PCI_SECONDARY_BUS];
		if (!secondary || number < secondary || number > fn->config[PCI_SUBORDINATE_BUS])
			continue;
		bus = fn->secondary;
		if (number == secondary)
			return bus;
		i = 0;
	}
	return NULL;
}

struct config_access {
	uint8_t bus, devfn;
	uint16_t offset;
	unsigned int size;
};

/*
 * One request reaches one dword, with any of its bytes enabled (PCIe 6.0, 2.2.5); an access that
 * would take two is answered as one that nobody claims.
 */
static bool config_access_is_one_request(const struct config_access *a)
{
	return (a->offset & 3u) + a->size <= 4;
}

/* The widths that functions see: an odd pair or three bytes go one at a time. */
static unsigned int config_access_step(const struct config_access *a)
{
	return is_aligned(a->offset, a->size) ? a->size : 1;
}

/* A port that does not forward ARI ends requests to any device but 0 (PCIe 6.0, 7.3.1). */
static struct pci_function *fabric_target(struct pci_fabric *fabric, const struct config_access *a)
{
	const struct pci_bus *bus = fabric_route(fabric, a->bus);

	if (!bus || (bus->bridge && !bus->internal && PCI_DEV(a->devfn) &&
		     !pci_bridge_forwards_ari(bus->bridge)))
		return NULL;
	return bus->functions[a->devfn];
}

static uint32_t fabric_config_read(struct pci_fabric *fabric, struct config_access a)
{
	uint32_t v = UINT32_MAX;
	struct pci_function *fn;

	if (!config_access_is_one_request(&a))
		return v;
	lock_take(&fabric->lock);
	fn = fabric_target(fabric, &a);
	if (fn) {
		unsigned int step = config_access_step(&a);

		v = 0;
		for (unsigned int i = 0; i < a.size; i += step)
			v |= (pci_config_read(fn, (uint16_t)(a.offset + i), step) &
			      (uint32_t)bytes_mask(step))
			     << (8 * i);
	}
	lock_drop(&fabric->lock);
	return v;
}

static void fabric_config_write(struct pci_fabric *fabric, struct config_access a, uint32_t value)
{
	unsigned int step = config_access_step(&a);
	struct pci_function *fn;

	if (!config_access_is_one_request(&a))
		return;
	lock_take(&fabric->lock);
	fn = fabric_target(fabric, &a);
	for (unsigned int i = 0; fn && i < a.size; i += step)
		pci_config_write(fn, (uint16_t)(a.offset + i), step,
				 value >> (8 * i) & (uint32_t)bytes_mask(step));
	lock_drop(&fabric->lock);
}

static struct config_access ecam_decode(uint64_t offset, unsigned int size)
{
	return (struct config_access){
		.bus = (uint8_t)FIELD_GET(ECAM_BUS, offset),
		.devfn = (uint8_t)FIELD_GET(ECAM_DEVFN, offset),
		.offset = (uint16_t)FIELD_GET(ECAM_REGISTER, offset),
		.size = size,
	};
}

static uint64_t ecam_read(void *opaque, uint64_t offset, unsigned int size)
{
	if (size > 4)
		return UINT64_MAX;
	return fabric_config_read(opaque, ecam_decode(offset, size));
}

static void ecam_write(void *opaque, uint64_t offset, unsigned int size, uint64_t value)
{
	if (size <= 4)
		fabric_config_write(opaque, ecam_decode(offset, size), (uint32_t)value);
}

static const struct bus_region_ops ecam_ops = {
	.read = ecam_read,
	.write = ecam_write,
};

/* Where the data port points, or false while the address register is not enabled. */
static bool legacy_decode(struct pci_fabric *fabric, uint64_t offset, unsigned int size,
			  struct config_access *a)
{
	uint32_t address;

	lock_take(&fabric->lock);
	address = fabric->config_address;
	lock_drop(&fabric->lock);
	*a = (struct config_access){
		.bus = (uint8_t)FIELD_GET(ADDRESS_BUS, address),
		.devfn = (uint8_t)FIELD_GET(ADDRESS_DEVFN, address),
		.offset = (uint16_t)((address & ADDRESS_REGISTER) + (offset - LEGACY_DATA)),
		.size = size,
	};
	return address & ADDRESS_ENABLE && offset - LEGACY_DATA + size <= 4;
}

static uint64_t legacy_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct pci_fabric *fabric = opaque;
	struct config_access a;
	uint64_t v = UINT64_MAX;

	if (offset >= LEGACY_DATA)
		return legacy_decode(fabric, offset, size, &a) ? fabric_config_read(fabric, a) : v;
	lock_take(&fabric->lock);
	if (offset == LEGACY_ADDRESS && size == 4)
		v = fabric->config_address;
	else if (offset == LEGACY_RESET && size == 1)
		v = fabric->reset_control;
	lock_drop(&fabric->lock);
	return v;
}

static void legacy_write(void *opaque, uint64_t offset, unsigned int size, uint64_t value)
{
	struct pci_fabric *fabric = opaque;
	struct config_access a;
	bool reset = false;

	if (offset >= LEGACY_DATA) {
		if (legacy_decode(fabric, offset, size, &a))
			fabric_config_write(fabric, a, (uint32_t)value);
		return;
	}
	lock_take(&fabric->lock);
	if (offset == LEGACY_ADDRESS && size == 4) {
		fabric->config_address = (uint32_t)value & PCI_ADDRESS_WRITABLE;
	} else if (offset == LEGACY_RESET && size == 1) {
		fabric->reset_control = (uint8_t)(value & PCI_RESET_KEPT);
		reset = value & RESET_CPU;
	}
	lock_drop(&fabric->lock);
	if (reset)
		platform_power(fabric->platform, POWER_RESET, 0);
}

static const struct bus_region_ops legacy_ops = {
	.read = legacy_read,
	.write = legacy_write,
};

int pci_fabric_create(struct platform *platform, const struct pci_fabric_config *config,
		      struct pci_fabric **out)
{
	static const struct pci_ids ids = {
		.vendor = HOST_BRIDGE_VENDOR,
		.device = HOST_BRIDGE_DEVICE,
		.class_code = HOST_BRIDGE_CLASS,
	};
	struct pci_fabric *fabric = calloc(1, sizeof(*fabric));
	int err;

	if (!fabric)
		return -ENOMEM;
	fabric->platform = platform;
	fabric->config = *config;
	fabric->root.fabric = fabric;
	lock_init(&fabric->lock, LOCK_FABRIC);
	pci_function_init(&fabric->host_bridge, platform, NULL, NULL, &ids, "host bridge");
	err = pci_function_attach(&fabric->host_bridge, &fabric->root, PCI_DEVFN(0, 0));
	BUG_ON(err); /* the bus is empty and the bridge has no interrupt pin */

	fabric->ecam.name = "PCI ECAM";
	fabric->ecam.space = BUS_MMIO;
	fabric->ecam.range = config->ecam;
	fabric->ecam.ops = &ecam_ops;
	fabric->ecam.opaque = fabric;
	err = platform_region_add(platform, &fabric->ecam);
	if (err)
		goto err_free;
	fabric->legacy.name = "PCI config ports";
	fabric->legacy.space = BUS_PIO;
	fabric->legacy.range = range_of(LEGACY_PORT, LEGACY_LEN);
	fabric->legacy.ops = &legacy_ops;
	fabric->legacy.opaque = fabric;
	err = platform_region_add(platform, &fabric->legacy);
	if (err)
		goto err_remove_ecam;
	*out = fabric;
	return 0;

err_remove_ecam:
	platform_region_remove(platform, &fabric->ecam);
	platform_synchronize(platform);
err_free:
	pci_function_detach(&fabric->host_bridge);
	pci_function_fini(&fabric->host_bridge);
	lock_fini(&fabric->lock);
	free(fabric);
	return err;
}

void pci_fabric_destroy(struct pci_fabric *fabric)
{
	platform_region_remove(fabric->platform, &fabric->legacy);
	platform_region_remove(fabric->platform, &fabric->ecam);
	platform_synchronize(fabric->platform);
	pci_ports_destroy(fabric);
	pci_function_detach(&fabric->host_bridge);
	pci_function_fini(&fabric->host_bridge);
	lock_fini(&fabric->lock);
	free(fabric);
}

const struct pci_fabric_config *pci_fabric_config(const struct pci_fabric *fabric)
{
	return &fabric->config;
}

struct lock *pci_fabric_lock(struct pci_fabric *fabric)
{
	return &fabric->lock;
}

struct pci_bus *pci_fabric_root(struct pci_fabric *fabric)
{
	return &fabric->root;
}

int pci_bus_free_slot(const struct pci_bus *bus)
{
	unsigned int devices = bus->bridge && !bus->internal ? 1 : PCI_BUS_DEVICES;

	for (unsigned int i = 0; i < devices; i++) {
		if (!bus->functions[PCI_DEVFN(i, 0)])
			return (int)i;
	}
	return -ENOSPC;
}

struct pci_function *pci_bus_function(const struct pci_bus *bus, uint8_t devfn)
{
	return bus->functions[devfn];
}

uint8_t pci_bus_number(const struct pci_bus *bus)
{
	return bus->bridge ? bus->bridge->config[PCI_SECONDARY_BUS] : 0;
}

struct pci_fabric *pci_bus_fabric(const struct pci_bus *bus)
{
	return bus->fabric;
}

const struct platform *pci_bus_platform(const struct pci_bus *bus)
{
	return bus->bridge ? bus->bridge->platform : NULL;
}

static void bus_walk(struct pci_bus *bus, void (*fn)(void *opaque, struct pci_function *f),
		     void *opaque)
{
	for (unsigned int i = 0; i < PCI_BUS_FUNCTIONS; i++) {
		if (!bus->functions[i])
			continue;
		fn(opaque, bus->functions[i]);
		if (bus->functions[i]->secondary)
			bus_walk(bus->functions[i]->secondary, fn, opaque);
	}
}

void pci_fabric_walk(struct pci_fabric *fabric, void (*fn)(void *opaque, struct pci_function *f),
		     void *opaque)
{
	lock_take(&fabric->lock);
	bus_walk(&fabric->root, fn, opaque);
	lock_drop(&fabric->lock);
}

static void fabric_reset_function(void *opaque, struct pci_function *fn)
{
	pci_function_reset(fn);
}

void pci_fabric_reset(struct pci_fabric *fabric)
{
	pci_fabric_walk(fabric, fabric_reset_function, NULL);
	lock_take(&fabric->lock);
	fabric->config_address = 0;
	fabric->reset_control = 0;
	lock_drop(&fabric->lock);
}
