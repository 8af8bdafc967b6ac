// SPDX-License-Identifier: GPL-2.0-or-later
#include "fake/pci.h"

#include <string.h>

#include "base/bug.h"

void fake_pci_init(struct fake_pci *pci)
{
	const struct pci_fabric_config config = {
		.ecam = range_of(FAKE_ECAM, MIB(256)),
		.mmio32 = range_of(FAKE_MMIO32, FAKE_MMIO32_LEN),
		.mmio64 = range_of(FAKE_MMIO64, FAKE_MMIO64_LEN),
		.io = range_of(FAKE_IO, FAKE_IO_LEN),
		.intx_pins = { 16, 17, 18, 19 },
	};

	fake_platform_init(&pci->machine, NULL, NULL);
	BUG_ON(pci_fabric_create(&pci->machine.platform, &config, &pci->fabric));
}

bool fake_pci_fini(struct fake_pci *pci)
{
	bool empty;

	pci_fabric_destroy(pci->fabric);
	empty = fake_platform_is_empty(&pci->machine);
	fake_platform_fini(&pci->machine);
	return empty;
}

struct pci_bus *fake_pci_port(struct fake_pci *pci, const char *id)
{
	const struct pci_port_config config = { .id = id, .slot_number = 1, .acs = true };
	struct pci_bus *bus;

	BUG_ON(pci_root_port_create(pci->fabric, &config, &bus, NULL));
	return bus;
}

static uint64_t ecam_address(rid_t rid, uint16_t offset)
{
	return FAKE_ECAM + ((uint64_t)rid.v << 12) + offset;
}

uint32_t fake_cfg_read(struct fake_pci *pci, rid_t rid, uint16_t offset, unsigned int size)
{
	return (uint32_t)fake_bus_read(&pci->machine, BUS_MMIO, ecam_address(rid, offset), size);
}

void fake_cfg_write(struct fake_pci *pci, rid_t rid, uint16_t offset, unsigned int size,
		    uint32_t value)
{
	fake_bus_write(&pci->machine, BUS_MMIO, ecam_address(rid, offset), size, value);
}

static struct fake_endpoint *endpoint_of(struct pci_function *fn)
{
	return container_of(fn, struct fake_endpoint, fn);
}

static void endpoint_reset(struct pci_function *fn)
{
	endpoint_of(fn)->nr_resets++;
}

static void endpoint_command(struct pci_function *fn, uint16_t old, uint16_t command)
{
	endpoint_of(fn)->nr_commands++;
	endpoint_of(fn)->command = command;
}

static void endpoint_bar_changed(struct pci_function *fn, unsigned int index)
{
	endpoint_of(fn)->nr_bar_changes++;
}

static void endpoint_msix_enabled(struct pci_function *fn, bool enabled)
{
	endpoint_of(fn)->msix = enabled;
}

static void endpoint_msix_changed(struct pci_function *fn, unsigned int vector, bool masked,
				  struct msi_message msg)
{
	struct fake_endpoint *ep = endpoint_of(fn);
	struct msi_message seen;

	/* A handler may look: what it sees is what it is told. */
	BUG_ON(pci_msix_vector(fn, vector, &seen) != masked || seen.addr != msg.addr ||
	       seen.data != msg.data);
	ep->nr_msix_changes++;
	ep->vector = vector;
	ep->vector_masked = masked;
	ep->vector_msg = msg;
}

static bool endpoint_msix_pending(struct pci_function *fn, unsigned int vector)
{
	return vector < 64 && endpoint_of(fn)->device_pending & BIT64(vector);
}

static void endpoint_msi_enabled(struct pci_function *fn, bool enabled)
{
	endpoint_of(fn)->msi = enabled;
}

static void endpoint_msi_changed(struct pci_function *fn)
{
	endpoint_of(fn)->nr_msi_changes++;
}

static const struct pci_function_ops endpoint_ops = {
	.reset = endpoint_reset,
	.command_changed = endpoint_command,
	.bar_changed = endpoint_bar_changed,
	.msix_enabled = endpoint_msix_enabled,
	.msix_changed = endpoint_msix_changed,
	.msix_pending = endpoint_msix_pending,
	.msi_enabled = endpoint_msi_enabled,
	.msi_changed = endpoint_msi_changed,
};

static uint64_t endpoint_read(void *opaque, uint64_t offset, unsigned int size)
{
	const struct fake_endpoint *ep = opaque;

	return ep->reads;
}

static void endpoint_write(void *opaque, uint64_t offset, unsigned int size, uint64_t value)
{
	struct fake_endpoint *ep = opaque;

	ep->written.nr++;
	ep->written.offset = offset;
	ep->written.size = size;
	ep->written.value = value;
}

const struct bus_region_ops fake_endpoint_region = {
	.read = endpoint_read,
	.write = endpoint_write,
};

void fake_endpoint_init(struct fake_endpoint *ep, struct fake_pci *pci, const char *name,
			uint8_t pin)
{
	static const struct pci_ids ids = {
		.vendor = 0x1234,
		.device = 0x0001,
		.subvendor = 0x1234,
		.subdevice = 0x5678,
		.class_code = 0x088000,
		.revision = 2,
	};

	memset(ep, 0, sizeof(*ep));
	pci_function_init(&ep->fn, &pci->machine.platform, NULL, &endpoint_ops, &ids, name);
	pci_config_set(&ep->fn, PCI_IRQ_PIN, 1, pin);
}

int fake_endpoint_bar(struct fake_endpoint *ep, unsigned int index, uint64_t size, uint32_t flags)
{
	int err = pci_bar_declare(&ep->fn, index, size, flags);

	return err ? err
		   : pci_bar_add_trap(&ep->fn, index, 0, size, ep->fn.name, &fake_endpoint_region,
				      ep);
}

void fake_endpoint_fini(struct fake_endpoint *ep)
{
	pci_function_detach(&ep->fn);
	pci_function_fini(&ep->fn);
}
