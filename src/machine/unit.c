// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iommu/dma.h"
#include "iommu/vtd_regs.h"
#include "machine/board.h"

#define UNIT_FAULT_REGS 8

struct unit {
	struct device dev;
	struct vm *vm;
	struct vtd *vtd;
	struct unit_options options;
	struct bus_region region;
	struct iommu_irq_listener irq_listener;
	struct loop_work quarantine_work;
};

static struct unit *unit_of(struct device *dev)
{
	return container_of(dev, struct unit, dev);
}

static uint64_t unit_read(void *opaque, uint64_t offset, unsigned int size)
{
	return vtd_mmio_read(opaque, offset, size);
}

static void unit_write(void *opaque, uint64_t offset, unsigned int size, uint64_t value)
{
	vtd_mmio_write(opaque, offset, size, value);
}

static const struct bus_region_ops unit_region_ops = {
	.read = unit_read,
	.write = unit_write,
};

/* The unit's own interrupt: it is not remapped. */
static void unit_send(void *opaque, struct msi_message msg)
{
	struct unit *unit = opaque;

	irq_send_plain(&unit->vm->irq, msg);
}

static void unit_entries_changed(void *opaque, uint32_t first, uint32_t last)
{
	struct unit *unit = opaque;

	/* KVM keeps the table it had, and would go on delivering along entries that are gone. */
	if (irq_routes_follow(&unit->vm->irq, vtd_iommu(unit->vtd)))
		vm_end_because(unit->vm, VM_END_HOST_ERROR, unit->dev.name,
			       "KVM refuses its interrupt routes");
}

static void unit_master_off(void *opaque, struct pci_function *fn)
{
	if (fn->requester && atomic_load(&fn->requester->blocked))
		pci_function_master_off(fn);
}

/* Loop thread: what has been quarantined loses bus mastering, which its driver can see. */
static void unit_quarantine(void *opaque)
{
	struct unit *unit = opaque;

	pci_fabric_walk(unit->vm->board->fabric, unit_master_off, NULL);
}

/* Maybe inside a section of the device's. */
static void unit_quarantined(void *opaque, struct iommu_device *dev, const char *why)
{
	struct unit *unit = opaque;

	loop_post(unit->vm->loop, &unit->quarantine_work);
}

static void unit_ats_taken(void *opaque, struct iommu_device *dev, const char *why)
{
	log_warning(dev->name, "keeps no translations of its own any more: %s", why);
}

static void unit_save(struct device *dev, struct state_writer *w)
{
	vtd_save(unit_of(dev)->vtd, w);
}

static int unit_load(struct device *dev, struct state_reader *r)
{
	return vtd_load(unit_of(dev)->vtd, r);
}

static void unit_destroy(struct device *dev)
{
	struct unit *unit = unit_of(dev);
	struct vm *vm = unit->vm;

	platform_region_remove(&vm->platform, &unit->region);
	platform_synchronize(&vm->platform);
	loop_cancel(vm->loop, &unit->quarantine_work);
	vtd_listen_irq(unit->vtd, NULL);
	irq_routes_guard(&vm->irq, vm->no_iommu, (rid_t){ 0 });
	vm->platform.iommu = vm->no_iommu;
	vtd_destroy(unit->vtd);
	free(unit);
}

static const struct device_ops unit_device_ops = {
	/* Its reset is unit_reset(), once nothing is left that could use it. */
	.save = unit_save,
	.load = unit_load,
	.destroy = unit_destroy,
};

static struct vtd_config unit_config(struct unit *unit, const struct unit_place *place)
{
	const struct unit_options *o = &unit->options;
	struct vtd_config config = {
		.haw = place->phys_bits,
		.aw = o->aw,
		.nr_fault_regs = UNIT_FAULT_REGS,
		.caching_mode = o->caching,
		.pass_through = o->passthrough,
		.snoop_control = o->snoop,
		.device_tlb = o->ats,
		.scalable = o->scalable,
		.first_stage = o->first_stage,
		.nested = o->first_stage,
		.dirty_tracking = o->scalable,
		.intremap = o->intremap,
		.eim = o->eim,
		.posted = o->posted,
		.boot_block = o->boot_block,
		.send = unit_send,
		.opaque = unit,
	};

	iommu_mem_from_ram(&config.mem, unit->vm->ram);
	return config;
}

static void unit_listen(struct unit *unit)
{
	struct iommu *iommu = vtd_iommu(unit->vtd);

	iommu->events = (struct iommu_events){
		.quarantined = unit_quarantined,
		.ats_taken = unit_ats_taken,
		.opaque = unit,
	};
	iommu->quarantine = unit->options.quarantine;
	unit->quarantine_work = (struct loop_work){ .fn = unit_quarantine, .opaque = unit };
	unit->irq_listener = (struct iommu_irq_listener){ unit_entries_changed, unit };
	vtd_listen_irq(unit->vtd, &unit->irq_listener);
}

int unit_create(struct vm *vm, const struct unit_options *options, const struct unit_place *place,
		struct unit **out, struct diag *diag)
{
	struct unit *unit = calloc(1, sizeof(*unit));
	struct vtd_config config;
	int err;

	if (!unit)
		return diag_set(diag, -ENOMEM, "--iommu", "out of memory");
	unit->vm = vm;
	unit->options = *options;
	unit->dev.ops = &unit_device_ops;
	snprintf(unit->dev.name, sizeof(unit->dev.name), "iommu");
	config = unit_config(unit, place);
	err = vtd_create(&config, &unit->vtd, diag);
	if (err)
		goto err_free;
	unit->region = (struct bus_region){
		.name = unit->dev.name,
		.space = BUS_MMIO,
		.range = range_of(place->base, VTD_REG_SIZE),
		.ops = &unit_region_ops,
		.opaque = unit->vtd,
	};
	err = platform_region_add(&vm->platform, &unit->region);
	if (err)
		goto err_vtd;
	unit_listen(unit);
	vm->platform.iommu = vtd_iommu(unit->vtd);
	irq_routes_guard(&vm->irq, vtd_iommu(unit->vtd), place->ioapic);
	vm_add_device(vm, &unit->dev);
	*out = unit;
	return 0;

err_vtd:
	vtd_destroy(unit->vtd);
err_free:
	free(unit);
	return diag_set(diag, err, "--iommu", "the unit cannot be made: %s", strerror(-err));
}

void unit_reset(struct unit *unit)
{
	vtd_reset(unit->vtd);
}

struct vtd *unit_vtd(struct unit *unit)
{
	return unit->vtd;
}

const struct unit_options *unit_options(const struct unit *unit)
{
	return &unit->options;
}
