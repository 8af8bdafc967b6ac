// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/plan.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "host/text.h"
#include "machine/arch.h"
#include "machine/devices.h"
#include "machine/drive.h"
#include "machine/unit.h"

#define PLAN_ROOT_SLOTS 31
#define PLAN_FUNCTIONS	8

void plan_note(struct plan *plan, const char *fmt, ...)
{
	va_list args;

	if (plan->nr_notes == VM_DEVICES_MAX)
		return;
	va_start(args, fmt);
	vsnprintf(plan->notes[plan->nr_notes++], sizeof(plan->notes[0]), fmt, args);
	va_end(args);
}

void plan_refuse(struct plan *plan, const struct diag *diag)
{
	struct diag *more =
		reallocarray(plan->refusals, plan->nr_refusals + 1, sizeof(plan->refusals[0]));

	/* Out of memory: the error number says so still. */
	if (!more)
		return;
	plan->refusals = more;
	plan->refusals[plan->nr_refusals++] = *diag;
}

static void plan_refused(void *opaque, const struct diag *diag)
{
	plan_refuse(opaque, diag);
}

static bool ranges_of_ram_overlap(uint64_t size, struct range r, struct range *where)
{
	uint64_t low = min_u64(size, RAM_HOLE);
	struct range ram[2] = { range_of(0, low) };

	if (size > low)
		ram[1] = range_of(RAM_HIGH, size - low);
	for (unsigned int i = 0; i < (size > low ? 2u : 1u); i++) {
		if (!range_overlaps(ram[i], r))
			continue;
		*where = (struct range){ max_u64(ram[i].first, r.first),
					 min_u64(ram[i].last, r.last) };
		return true;
	}
	return false;
}

/* What the host keeps free of mappings may not be where the guest has RAM. */
static void plan_reserved(struct plan *plan, const struct vfio_pci_plan *p)
{
	for (size_t i = 0; i < p->group.nr_reserved; i++) {
		const struct host_reserved *reserved = &p->group.reserved[i];
		struct diag diag = DIAG_INIT;
		struct range where;

		if (reserved->kind == HOST_RESERVED_DIRECT_RELAXABLE ||
		    reserved->kind == HOST_RESERVED_DIRECT ||
		    !ranges_of_ram_overlap(plan->config->ram.size, reserved->iova, &where))
			continue;
		diag_set(&diag, -ERANGE, p->function.name,
			 "the host reserves %#llx-%#llx for it (%s), and the VM has memory there",
			 (unsigned long long)where.first, (unsigned long long)where.last,
			 host_reserved_name(reserved->kind));
		diag_remedy(&diag, -ERANGE,
			    "give the VM less memory, so that it ends below %#llx; "
			    "/sys/kernel/iommu_groups/%d/reserved_regions lists what is reserved",
			    (unsigned long long)where.first, p->group.id);
		plan_refuse(plan, &diag);
	}
}

/* Behind the guest's IOMMU a group is one device, since the host has one address space for it. */
static void plan_mirror(struct plan *plan, const struct vfio_pci_plan *p)
{
	for (unsigned int i = 0; i + 1 < plan->nr_vfio; i++) {
		struct diag diag = DIAG_INIT;

		if (p->group.id != plan->vfio[i]->group.id || p->function.group < 0)
			continue;
		diag_set(&diag, -ENOTSUP, p->function.name,
			 "it shares IOMMU group %d with %s, so the host has one address space for "
			 "both; behind the guest's IOMMU each needs its own",
			 p->group.id, plan->vfio[i]->function.name);
		diag_remedy(&diag, -ENOTSUP,
			    "leave both out of the guest's IOMMU with iommu=off, or give only one "
			    "of them");
		plan_refuse(plan, &diag);
		return;
	}
}

int plan_take_drive(struct plan *plan, const char *whose, const char *id, struct diag *diag)
{
	int err = drive_check(plan->config, whose, id, diag);

	for (unsigned int i = 0; !err && i < plan->config->nr_drives; i++) {
		if (strcmp(spec_text(&plan->config->drives[i], "id"), id))
			continue;
		if (plan->drive_taken[i])
			return diag_set(diag, -EBUSY, whose,
					"drive %s is used by another device already", id);
		plan->drive_taken[i] = true;
	}
	return err;
}

int plan_vfio(struct plan *plan, const struct vfio_pci_config *config, bool guarded,
	      struct diag *diag)
{
	unsigned int before = plan->nr_refusals;
	struct vfio_pci_plan *p;
	char name[PCI_ADDRESS_TEXT];
	int err;

	pci_address_format(config->host, name);
	for (unsigned int i = 0; i < plan->nr_vfio; i++)
		if (pci_address_equal(plan->vfio[i]->function.address, config->host)) {
			diag_set(diag, -EEXIST, name, "is given to the VM twice");
			return diag_remedy(diag, -EEXIST, "name it in one --device only");
		}
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	plan->vfio[plan->nr_vfio++] = p;
	err = vfio_pci_plan(plan->sys, config, p, plan->thorough ? plan_refused : NULL, plan, diag);
	plan_reserved(plan, p);
	if (guarded) {
		plan->guarded[plan->nr_vfio - 1] = true;
		plan->nr_mirrors++;
		plan_mirror(plan, p);
	}
	if (!err && plan->nr_refusals > before)
		err = plan->refusals[before].err;
	return err;
}

static int plan_root_slot(struct plan *plan, struct diag *diag)
{
	/* The host bridge has the first. */
	if (plan->nr_root == PLAN_ROOT_SLOTS)
		return diag_set(diag, -ENOSPC, "pcie.0",
				"more than %d devices and root ports: no free slot on this bus",
				PLAN_ROOT_SLOTS);
	plan->nr_root++;
	return 0;
}

int plan_bus(struct plan *plan, const char *id, struct diag *diag)
{
	struct plan_bus *bus = &plan->buses[plan->nr_buses];

	for (unsigned int i = 0; i < plan->nr_buses; i++)
		if (!strcmp(plan->buses[i].id, id))
			return diag_set(diag, -EEXIST, id, "there is a port of that id already");
	if (plan->nr_buses == ARRAY_SIZE(plan->buses))
		return diag_set(diag, -ENOSPC, id, "more than %zu ports", ARRAY_SIZE(plan->buses));
	*bus = (struct plan_bus){ .group = -1 };
	if (snprintf(bus->id, sizeof(bus->id), "%s", id) >= (int)sizeof(bus->id))
		return diag_set(diag, -EINVAL, id, "the name is too long");
	plan->nr_buses++;
	return 0;
}

int plan_port(struct plan *plan, const char *id, struct diag *diag)
{
	int err = plan_bus(plan, id, diag);

	return err ? err : plan_root_slot(plan, diag);
}

int plan_slot(struct plan *plan, const char *bus, int group, struct diag *diag)
{
	struct plan_bus *port = plan->buses, *end = plan->buses + plan->nr_buses;
	unsigned int functions = 0;

	for (unsigned int i = 0; group >= 0 && i < plan->nr_vfio; i++)
		functions += plan->vfio[i]->function.group == group;
	if (functions > PLAN_FUNCTIONS)
		return diag_set(diag, -ENOSPC, bus ? bus : "root port",
				"IOMMU group %d has more than the %d functions of a slot", group,
				PLAN_FUNCTIONS);
	/* The group's first function has chosen. */
	if (functions > 1)
		return 0;
	if (!bus || !strcmp(bus, "pcie.0"))
		return plan_root_slot(plan, diag);
	while (port < end && strcmp(port->id, bus))
		port++;
	if (port == end) {
		diag_set(diag, -ENOENT, bus, "there is no such bus");
		return diag_remedy(diag, -ENOENT,
				   "name pcie.0, or a port made before: --device "
				   "root-port,id=NAME, or NAME.0, NAME.1... of --device "
				   "switch,id=NAME");
	}
	if (port->taken) {
		diag_set(diag, -EBUSY, bus,
			 "it is occupied: behind a root port there is one slot, and only "
			 "functions of one IOMMU group share it");
		return diag_remedy(diag, -EBUSY, "make another with --device root-port,id=NAME");
	}
	port->taken = true;
	return 0;
}

static int plan_memory(struct plan *plan, struct diag *diag)
{
	const struct ram_config *ram = &plan->config->ram;
	int err;

	plan->memlock = (struct assign_memlock){
		.backend = ASSIGN_TYPE1,
		.ram = ram->size,
		.hugepage_size = ram->backing == RAM_HUGETLB_2M	  ? MIB(2)
				 : ram->backing == RAM_HUGETLB_1G ? GIB(1)
								  : 0,
		/* Those behind the guest's IOMMU may come to see all of its memory, each by itself. */
		.nr_spaces = plan->nr_mirrors + (plan->nr_vfio > plan->nr_mirrors),
	};
	err = assign_memlock_check(&plan->memlock, &plan->limits, diag);
	if (!err)
		err = assign_headroom_check(&plan->memlock, &plan->limits, diag);
	return err ? err : ram_check(plan->sys, ram, diag);
}

static int plan_iommu(struct plan *plan, struct diag *diag)
{
	struct unit_options options;
	int err;

	if (!plan->config->has_iommu)
		return 0;
	err = unit_options_read(&plan->config->iommu, &options, diag);
	if (!err && devices_need_mirror(plan->config))
		unit_options_mirror(plan->sys, &options);
	if (!err)
		unit_options_describe(&options, plan->iommu, sizeof(plan->iommu));
	return err;
}

static int plan_device(struct plan *plan, struct spec *spec, struct diag *diag)
{
	const struct device_class *class = device_class_find(spec->class_name);
	int err = class ? class->plan(plan, spec, diag) : device_class_unknown(spec, diag);

	return err ? err : spec_done(spec, diag);
}

/* Opened and closed again: whether it is there, fits, and is nobody else's. */
static int plan_drive(struct plan *plan, unsigned int i, struct diag *diag)
{
	struct spec *spec = &plan->config->drives[i];
	const char *id = spec_text(spec, "id");
	struct block *block;
	int err;

	for (unsigned int other = 0; other < i; other++)
		if (!strcmp(spec_text(&plan->config->drives[other], "id"), id))
			return diag_set(diag, -EEXIST, spec->whole,
					"there is a drive of that id already");
	err = drive_open(plan->sys, spec, &block, diag);
	if (err)
		return err;
	snprintf(plan->drives[plan->nr_drives++], sizeof(plan->drives[0]), "%s: %s", block->name,
		 block->what);
	block_destroy(block);
	return 0;
}

/* Keeps what a step refused, if it is not there already; the first error stands. */
static void plan_keep(struct plan *plan, int *first, int err, struct diag *diag)
{
	if (err && !plan->nr_refusals)
		diag_set(diag, err, "virtual machine", "cannot be planned: %s", strerror(-err));
	if (diag->err)
		plan_refuse(plan, diag);
	diag_clear(diag);
	*first = *first ? *first : err;
}

int plan_make(struct plan *plan, struct sys *sys, struct vm_config *config, bool thorough)
{
	struct diag diag = DIAG_INIT;
	int err, first = 0;

	memset(plan, 0, sizeof(*plan));
	plan->sys = sys;
	plan->config = config;
	plan->thorough = thorough;
	host_limits_read(sys, &plan->limits);
	/* All of them are looked at, so that --plan shows each device and all that is refused. */
	err = vm_check_kvm(sys, config->cpus, &diag);
	plan_keep(plan, &first, err, &diag);
	err = arch_image_describe(sys, config, plan->image, sizeof(plan->image), &diag);
	plan_keep(plan, &first, err, &diag);
	err = plan_iommu(plan, &diag);
	plan_keep(plan, &first, err, &diag);
	for (unsigned int i = 0; i < config->nr_drives; i++) {
		err = plan_drive(plan, i, &diag);
		plan_keep(plan, &first, err, &diag);
	}
	for (unsigned int i = 0; i < config->nr_devices; i++) {
		err = plan_device(plan, &config->devices[i], &diag);
		plan_keep(plan, &first, err, &diag);
	}
	err = plan_memory(plan, &diag);
	plan_keep(plan, &first, err, &diag);
	return first;
}

void plan_fini(struct plan *plan)
{
	for (unsigned int i = 0; i < plan->nr_vfio; i++) {
		vfio_pci_plan_fini(plan->vfio[i]);
		free(plan->vfio[i]);
	}
	plan->nr_vfio = 0;
	free(plan->refusals);
	plan->refusals = NULL;
	plan->nr_refusals = 0;
}

static void plan_print_bars(const struct vfio_pci_plan *p, FILE *to)
{
	for (unsigned int i = 0; i < PCI_BARS; i++) {
		const struct vfio_plan_bar *bar = &p->bars[i];
		char size[HOST_SIZE_TEXT], direct[HOST_SIZE_TEXT];

		if (!bar->size)
			continue;
		fprintf(to, "    BAR%u       %s, %s reached without an exit%s%s\n", i,
			host_size_format(bar->size, size), host_size_format(bar->direct, direct),
			bar->why ? ": " : "", bar->why ? bar->why : "");
	}
	if (p->rom_size) {
		char size[HOST_SIZE_TEXT];

		fprintf(to, "    ROM        %s\n", host_size_format(p->rom_size, size));
	}
}

static void plan_print_vfio(const struct vfio_pci_plan *p, bool guarded, FILE *to)
{
	const struct host_function *f = &p->function;

	fprintf(to, "  %s  %04x:%04x class %06x, driver %s\n", f->name, f->vendor, f->device,
		f->class_code, f->driver[0] ? f->driver : "none");
	if (f->group < 0)
		fprintf(to, "    group      none");
	else
		fprintf(to, "    group      %d, whole:", p->group.id);
	for (size_t i = 0; i < p->group.nr_members; i++)
		fprintf(to, " %s (%s)", p->group.member[i].name,
			p->group.member[i].driver[0] ? p->group.member[i].driver : "no driver");
	fprintf(to, "\n    reset      %s\n", f->reset[0] ? f->reset : "none");
	fprintf(to, "    reaches    %s\n",
		guarded ? "what the guest maps for it; all of its memory while its IOMMU is off"
			: "all of the guest's memory");
	if (f->numa_node >= 0)
		fprintf(to, "    NUMA node  %d\n", f->numa_node);
	plan_print_bars(p, to);
	fprintf(to, "    interrupts %u MSI-X, %u MSI, INTx %s%s\n", p->nr_msix, p->nr_msi,
		p->intx ? "yes" : "no",
		p->unsafe_interrupts ? "; NOT remapped by this host: it could forge interrupts "
				       "(allow_unsafe_interrupts takes that risk)"
		: p->remapped == HOST_YES ? "; remapped by the host"
					  : "");
	for (unsigned int i = 0; i < p->nr_hidden; i++)
		fprintf(to, "    hidden     %s: %s\n", p->hidden[i].name, p->hidden[i].reason);
	if (p->config_unknown)
		fprintf(to, "    hidden     unknown: capabilities are readable only to root\n");
}

static const char *plan_backing_name(const struct ram_config *ram)
{
	switch (ram->backing) {
	case RAM_HUGETLB_2M:
		return "2 MiB pages of hugetlbfs";
	case RAM_HUGETLB_1G:
		return "1 GiB pages of hugetlbfs";
	case RAM_MEMFD:
		return "a shared memory file";
	case RAM_ANON:
		break;
	}
	return "private memory, huge pages by advice";
}

void plan_print(const struct plan *plan, FILE *to)
{
	const struct vm_config *config = plan->config;
	char size[HOST_SIZE_TEXT];
	uint64_t low = min_u64(config->ram.size, RAM_HOLE);

	fprintf(to, "image      %s\n", plan->image[0] ? plan->image : config->kernel);
	fprintf(to, "vCPUs      %u\n", config->cpus);
	fprintf(to, "memory     %s of %s\n", host_size_format(config->ram.size, size),
		plan_backing_name(&config->ram));
	fprintf(to, "mappings   guest-physical 0x0-%#llx", (unsigned long long)low - 1);
	if (config->ram.size > low)
		fprintf(to, " and %#llx-%#llx", RAM_HIGH,
			(unsigned long long)(RAM_HIGH + config->ram.size - low - 1));
	fprintf(to, "%s\n", plan->nr_vfio ? ", for the CPUs and for DMA" : ", for the CPUs");
	fprintf(to, "locked     %s\n", host_size_format(assign_memlock_need(&plan->memlock), size));
	if (plan->iommu[0])
		fprintf(to, "IOMMU      %s\n", plan->iommu);
	for (unsigned int i = 0; i < plan->nr_drives; i++)
		fprintf(to, "drive      %s\n", plan->drives[i]);
	fprintf(to, "devices    %u passed through, %u of ours\n", plan->nr_vfio, plan->nr_notes);
	for (unsigned int i = 0; i < plan->nr_vfio; i++)
		if (plan->vfio[i]->function.vendor)
			plan_print_vfio(plan->vfio[i], plan->guarded[i], to);
	for (unsigned int i = 0; i < plan->nr_notes; i++)
		fprintf(to, "  %s\n", plan->notes[i]);
}

void plan_print_refusals(const struct plan *plan, FILE *to)
{
	for (unsigned int i = 0; i < plan->nr_refusals; i++) {
		const struct diag *refusal = &plan->refusals[i];

		fprintf(to, "refused    %s: %s\n", refusal->object, refusal->reason);
		if (refusal->remedy[0])
			fprintf(to, "  remedy   %s\n", refusal->remedy);
	}
	if (!plan->nr_refusals)
		fprintf(to, "refused    nothing that shows before the run\n");
}
