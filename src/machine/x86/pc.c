// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The PC board: what is soldered on (I/O APIC, serial port, clock, power management), the PCI
 * fabric, whatever --device adds, and the firmware's part: tables, PCI resources, the image.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/terminal.h"
#include "device/ioapic.h"
#include "device/pit.h"
#include "device/pm.h"
#include "device/pvpanic.h"
#include "device/rtc.h"
#include "device/serial.h"
#include "machine/board.h"
#include "machine/devices.h"
#include "machine/fault_watch.h"
#include "machine/unit.h"
#include "machine/x86/acpi.h"
#include "machine/x86/arch.h"
#include "machine/x86/image.h"
#include "machine/x86/layout.h"
#include "machine/x86/pc.h"

#define PC_IOAPIC_ID 0

struct pc {
	struct board board; /* first */
	struct ioapic *ioapic;
	struct character *console;
	struct acpi_blob acpi;
};

static struct pc *pc_of(struct vm *vm)
{
	return (struct pc *)(void *)vm->board;
}

/* ---- interrupt pins ---- */

static void pc_route_set(void *opaque, unsigned int pin, const struct msi_message *msg)
{
	struct vm *vm = opaque;

	irq_pin_set(&vm->irq, pin, msg, msg ? *msg : (struct msi_message){ 0 });
}

static void pc_route_commit(void *opaque)
{
	struct vm *vm = opaque;

	/* KVM keeps the table it had; a level interrupt would be sent, but its end not seen. */
	if (irq_commit(&vm->irq))
		vm_end_because(vm, VM_END_HOST_ERROR, "ioapic", "KVM refuses its interrupt routes");
}

static void pc_irq_send(void *opaque, unsigned int pin, const struct msi_message *msg)
{
	struct vm *vm = opaque;

	irq_pin_send(&vm->irq, *msg);
}

static const struct ioapic_ops pc_ioapic_ops = {
	.route_set = pc_route_set,
	.route_commit = pc_route_commit,
	.send = pc_irq_send,
};

void arch_irq_set(struct vm *vm, unsigned int pin, unsigned int share, bool level)
{
	ioapic_irq_set(pc_of(vm)->ioapic, pin, share, level);
}

void arch_irq_eoi_watch(struct vm *vm, unsigned int pin, struct irq_eoi *eoi)
{
	ioapic_eoi_watch(pc_of(vm)->ioapic, pin, eoi);
}

void arch_irq_eoi_unwatch(struct vm *vm, unsigned int pin, struct irq_eoi *eoi)
{
	ioapic_eoi_unwatch(pc_of(vm)->ioapic, pin, eoi);
}

void pc_ioapic_eoi(struct vm *vm, uint8_t vector)
{
	ioapic_eoi(pc_of(vm)->ioapic, vector);
}

/* ---- what is soldered on ---- */

static void pc_leave(void *opaque)
{
	vm_end(opaque, VM_END_USER, 0);
}

static int pc_create_console(struct vm *vm, struct diag *diag)
{
	const struct terminal_config terminal = {
		.sys = vm->sys,
		.loop = vm->loop,
		.in = STDIN_FILENO,
		.out = STDOUT_FILENO,
		.leave = pc_leave,
		.opaque = vm,
	};
	struct serial_config serial = {
		.name = "serial0",
		.port = LAYOUT_PORT_COM1,
		.pin = LAYOUT_IRQ_COM1,
	};
	struct device *dev;
	int err = terminal_create(&terminal, &pc_of(vm)->console);

	if (err)
		return diag_set(diag, err, "console", "the terminal cannot be used: %s",
				strerror(-err));
	serial.backend = pc_of(vm)->console;
	err = serial_create(&vm->platform, &serial, &dev);
	if (!err)
		vm_add_device(vm, dev);
	return err;
}

static int pc_create_legacy(struct vm *vm, struct diag *diag)
{
	const struct ioapic_config ioapic = {
		.base = LAYOUT_IOAPIC,
		.id = PC_IOAPIC_ID,
		.ops = &pc_ioapic_ops,
		.opaque = vm,
	};
	const struct rtc_config rtc = {
		.port = LAYOUT_PORT_RTC,
		.pin = LAYOUT_IRQ_RTC,
		.ram_low = min_u64(vm->ram->size, RAM_HOLE),
		.ram_high = vm->ram->size - min_u64(vm->ram->size, RAM_HOLE),
	};
	const struct pit_config pit = { .pin = LAYOUT_IRQ_PIT };
	const struct pm_config pm = {
		.port = LAYOUT_PORT_PM1A_EVT,
		.sci_pin = LAYOUT_IRQ_SCI,
		.slp_typ_s5 = LAYOUT_S5_SLP_TYP,
	};
	struct device *dev;
	int err = ioapic_create(&vm->platform, &ioapic, &pc_of(vm)->ioapic);

	if (err)
		return err;
	vm_add_device(vm, ioapic_device(pc_of(vm)->ioapic));
	err = pc_create_console(vm, diag);
	if (err)
		return err;
	err = rtc_create(&vm->platform, &rtc, &dev);
	if (err)
		return err;
	vm_add_device(vm, dev);
	err = pit_create(&vm->platform, &pit, &dev);
	if (err)
		return err;
	vm_add_device(vm, dev);
	err = pm_create(&vm->platform, &pm, &dev);
	if (err)
		return err;
	vm_add_device(vm, dev);
	err = pvpanic_create(&vm->platform, LAYOUT_PORT_PVPANIC, &dev);
	if (err)
		return err;
	vm_add_device(vm, dev);
	return 0;
}

/*
 * ECAM covers the buses this machine can have, a port for each device and of each switch, and no more: Linux knocks on
 * every device number of every bus the MCFG table names, 64 exits for each bus that is not there.
 *
 * Above RAM there are three quarters of the guest's physical address space: the upper half is the
 * window for 64-bit BARs, so that very large ones fit however much RAM there is.
 */
static int pc_create_fabric(struct vm *vm, struct diag *diag)
{
	uint64_t top = BIT64(vm->arch->phys_bits), half = top / 2;
	struct pci_fabric_config config = {
		.ecam = range_of(LAYOUT_ECAM, MIB(board_count_buses(vm->config))),
		.mmio32 = range_of(LAYOUT_MMIO32_LOW, LAYOUT_MMIO32_LOW_SIZE),
		.io = range_of(LAYOUT_PCI_IO, LAYOUT_PCI_IO_SIZE),
		.intx_pins = { LAYOUT_IRQ_INTX, LAYOUT_IRQ_INTX + 1, LAYOUT_IRQ_INTX + 2,
			       LAYOUT_IRQ_INTX + 3 },
	};
	int err;

	if (vm->ram->regions[vm->ram->nr_regions - 1].gpa.last >= half) {
		diag_set(diag, -E2BIG, "--memory",
			 "reaches into the upper half of this CPU's %u-bit physical addresses, "
			 "where PCI devices go",
			 vm->arch->phys_bits);
		return diag_remedy(diag, -E2BIG, "give the guest less memory");
	}
	if (range_len(config.ecam) > LAYOUT_ECAM_SIZE)
		return diag_set(diag, -E2BIG, "PCI", "more than %u buses",
				(unsigned int)(LAYOUT_ECAM_SIZE / MIB(1)));
	config.mmio64 = range_of(half, half);
	err = pci_fabric_create(&vm->platform, &config, &vm->board->fabric);
	return err ? diag_set(diag, err, "PCI", "%s", strerror(-err)) : 0;
}

static int pc_create_unit(struct vm *vm, struct diag *diag)
{
	const struct unit_place place = {
		.base = LAYOUT_VTD,
		.phys_bits = (uint8_t)min_u64(vm->arch->phys_bits, 52),
		.ioapic = rid_make(LAYOUT_IOAPIC_BUS, LAYOUT_IOAPIC_DEVFN),
	};
	struct unit_options options;
	int err;

	if (!vm->config->has_iommu)
		return 0;
	err = unit_options_read(&vm->config->iommu, &options, diag);
	if (!err && devices_need_mirror(vm->config))
		unit_options_mirror(vm->sys, &options);
	return err ? err : unit_create(vm, &options, &place, &vm->board->unit, diag);
}

static int pc_create_devices(struct vm *vm, struct diag *diag)
{
	for (unsigned int i = 0; i < vm->config->nr_devices; i++) {
		struct spec *spec = &vm->config->devices[i];
		const struct device_class *class = device_class_find(spec->class_name);
		int err = class ? class->create(vm, spec, diag) : device_class_unknown(spec, diag);

		if (err)
			return err;
	}
	return 0;
}

/* ---- firmware ---- */

static struct dmar_config *pc_dmar(struct vm *vm)
{
	const struct unit_options *options = unit_options(vm->board->unit);
	struct dmar_config *dmar = calloc(1, sizeof(*dmar));

	if (!dmar)
		return NULL;
	*dmar = (struct dmar_config){
		.base = LAYOUT_VTD,
		.haw = (uint8_t)min_u64(vm->arch->phys_bits, 52),
		.intremap = options->intremap,
		.no_x2apic = !options->eim,
		.opt_in = options->boot_block,
		.ats = options->ats,
		.nr_scopes = 1,
		.scopes[0] = { DMAR_SCOPE_IOAPIC, PC_IOAPIC_ID, LAYOUT_IOAPIC_BUS,
			       LAYOUT_IOAPIC_DEVFN },
	};
	dmar_scopes(vm, dmar);
	return dmar;
}

static int pc_build_acpi(struct vm *vm, struct diag *diag)
{
	const struct pci_fabric_config *pci = pci_fabric_config(vm->board->fabric);
	uint32_t apic_ids[VM_CPUS_MAX];
	struct dmar_config *dmar = NULL;
	struct srat_config srat = {
		.placement = vm->config->placement,
		.nr_cpus = vm->nr_cpus,
		.apic_ids = apic_ids,
		.nr_regions = vm->ram->nr_regions,
	};
	int err;
	struct acpi_config config = {
		.nr_cpus = vm->nr_cpus,
		.apic_ids = apic_ids,
		.ioapic_id = PC_IOAPIC_ID,
		.bus_last = (uint8_t)(range_len(pci->ecam) / MIB(1) - 1),
		.nr_windows = 2,
		.windows = { pci->mmio32, pci->mmio64 },
		.serial = true,
		.rtc = true,
		.pvpanic = true,
		.pit = true,
	};

	for (unsigned int i = 0; i < vm->nr_cpus; i++)
		apic_ids[i] = cpuid_apic_id(&vm->arch->cpuid, i);
	for (unsigned int i = 0; i < srat.nr_regions; i++)
		srat.regions[i] = vm->ram->regions[i].gpa;
	if (srat.placement && srat.placement->nr_nodes)
		config.srat = &srat;
	if (vm->board->unit) {
		dmar = pc_dmar(vm);
		if (!dmar)
			return -ENOMEM;
		config.dmar = dmar;
	}
	err = acpi_build(&config, &pc_of(vm)->acpi, diag);
	free(dmar);
	return err;
}

int arch_board_create(struct vm *vm, struct diag *diag)
{
	struct pc *pc = calloc(1, sizeof(*pc));
	int err;

	if (!pc)
		return -ENOMEM;
	vm->board = &pc->board;
	err = pc_create_unit(vm, diag);
	if (!err)
		err = pc_create_fabric(vm, diag);
	if (!err)
		err = pc_create_legacy(vm, diag);
	if (!err)
		err = pc_create_devices(vm, diag);
	if (!err)
		err = fault_watch_start(vm, &vm->board->faults);
	if (!err)
		err = pc_build_acpi(vm, diag);
	if (err)
		arch_board_destroy(vm);
	return err;
}

static void pc_destroy_devices(struct vm *vm)
{
	/* Newest first: the I/O APIC and the IOMMU, which all others need, go last. */
	while (vm->devices) {
		struct device *last = vm->devices;

		while (last->next)
			last = last->next;
		vm_remove_device(vm, last);
	}
}

void arch_board_destroy(struct vm *vm)
{
	struct pc *pc = pc_of(vm);

	fault_watch_stop(vm->board->faults);
	/* Together first: devices that only a bus reset reaches cannot be reset one after the other. */
	for (struct device *dev = vm->devices; dev; dev = dev->next)
		if (vm->booted && vfio_pci_is(dev))
			dev->ops->reset(dev);
	pc_destroy_devices(vm);
	loop_cancel(vm->loop, &pc->board.irqs);
	if (pc->board.vfio)
		vfio_context_destroy(pc->board.vfio);
	if (pc->board.fabric)
		pci_fabric_destroy(pc->board.fabric);
	if (pc->console)
		pc->console->ops->destroy(pc->console);
	acpi_blob_fini(&pc->acpi);
	free(pc);
	vm->board = NULL;
}

int arch_board_boot(struct vm *vm, struct diag *diag)
{
	struct pc *pc = pc_of(vm);
	struct boot_entry entry;
	int err;

	if (vm->booted) {
		/* Pages may not move while they are being pinned. */
		if (vm->board->vfio)
			vfio_context_mapped(vm->board->vfio);
		for (unsigned int i = 0; i < vm->nr_cpus; i++) {
			err = arch_vcpu_reset(vm->cpus[i]);
			if (err)
				return diag_set(diag, err, vm->cpus[i]->name,
						"KVM refuses its power-on state: %s",
						strerror(-err));
		}
		pci_fabric_reset(pc->board.fabric);
		if (vm->board->unit)
			unit_reset(vm->board->unit);
		err = ram_clear(vm->ram, vm_memory_threads());
		if (err)
			return diag_set(diag, err, "guest RAM", "cannot be cleared: %s",
					strerror(-err));
	}
	err = pci_fabric_assign(pc->board.fabric, diag);
	if (err)
		return err;
	err = acpi_install(&pc->acpi, vm->ram);
	if (err)
		return diag_set(diag, err, "ACPI tables", "do not fit in guest RAM");
	err = vm_image_load(vm, &entry, diag);
	if (err)
		return err;
	err = arch_vcpu_enter(vm->cpus[0], &entry);
	if (err)
		return diag_set(diag, err, vm->cpus[0]->name, "KVM refuses its first registers: %s",
				strerror(-err));
	/* All devices are there, and loading the image no longer competes for the memory. */
	if (!vm->booted && vm->board->vfio)
		err = vfio_context_map_start(vm->board->vfio, diag);
	vm->booted = true;
	return err;
}
