// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/plan.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "host/text.h"
#include "machine/arch.h"
#include "machine/devices.h"

void plan_note(struct plan *plan, const char *fmt, ...)
{
	va_list args;

	if (plan->nr_notes == VM_DEVICES_MAX)
		return;
	va_start(args, fmt);
	vsnprintf(plan->notes[plan->nr_notes++], sizeof(plan->notes[0]), fmt, args);
	va_end(args);
}

int plan_vfio(struct plan *plan, const struct vfio_pci_config *config, struct diag *diag)
{
	struct vfio_pci_plan *p;
	char name[PCI_ADDRESS_TEXT];

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
	return vfio_pci_plan(plan->sys, config, p, diag);
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
		.nr_spaces = plan->nr_vfio ? 1 : 0,
	};
	err = assign_memlock_check(&plan->memlock, &plan->limits, diag);
	return err ? err : assign_headroom_check(&plan->memlock, &plan->limits, diag);
}

int plan_make(struct plan *plan, struct sys *sys, struct vm_config *config, struct diag *diag)
{
	int err, first = 0;

	memset(plan, 0, sizeof(*plan));
	plan->sys = sys;
	plan->config = config;
	host_limits_read(sys, &plan->limits);
	/* All of them are looked at, so that --plan shows each device; the first refusal stands. */
	first = vm_check_kvm(sys, diag);
	err = arch_image_describe(sys, config, plan->image, sizeof(plan->image), diag);
	first = first ? first : err;
	for (unsigned int i = 0; i < config->nr_devices; i++) {
		struct spec *spec = &config->devices[i];
		const struct device_class *class = device_class_find(spec->class_name);

		err = class ? class->plan(plan, spec, diag) : device_class_unknown(spec, diag);
		if (!err)
			err = spec_done(spec, diag);
		first = first ? first : err;
	}
	err = plan_memory(plan, diag);
	return first ? first : err;
}

void plan_fini(struct plan *plan)
{
	for (unsigned int i = 0; i < plan->nr_vfio; i++) {
		vfio_pci_plan_fini(plan->vfio[i]);
		free(plan->vfio[i]);
	}
	plan->nr_vfio = 0;
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

static void plan_print_vfio(const struct vfio_pci_plan *p, FILE *to)
{
	const struct host_function *f = &p->function;

	fprintf(to, "  %s  %04x:%04x class %06x, driver %s\n", f->name, f->vendor, f->device,
		f->class_code, f->driver[0] ? f->driver : "none");
	fprintf(to, "    group      %d, whole:", p->group.id);
	for (size_t i = 0; i < p->group.nr_members; i++)
		fprintf(to, " %s (%s)", p->group.member[i].name,
			p->group.member[i].driver[0] ? p->group.member[i].driver : "no driver");
	fprintf(to, "\n    reset      %s\n", f->reset[0] ? f->reset : "none");
	if (f->numa_node >= 0)
		fprintf(to, "    NUMA node  %d\n", f->numa_node);
	plan_print_bars(p, to);
	fprintf(to, "    interrupts %u MSI-X, %u MSI, INTx %s\n", p->nr_msix, p->nr_msi,
		p->intx ? "yes" : "no");
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

void plan_print(const struct plan *plan, FILE *to, const struct diag *refusal)
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
	fprintf(to, "devices    %u passed through, %u others\n", plan->nr_vfio, plan->nr_notes);
	for (unsigned int i = 0; i < plan->nr_vfio; i++)
		plan_print_vfio(plan->vfio[i], to);
	for (unsigned int i = 0; i < plan->nr_notes; i++)
		fprintf(to, "  %s\n", plan->notes[i]);
	if (refusal && refusal->err) {
		fprintf(to, "refused    %s: %s\n", refusal->object, refusal->reason);
		if (refusal->remedy[0])
			fprintf(to, "  remedy   %s\n", refusal->remedy);
	} else {
		fprintf(to, "refused    nothing; the run can start\n");
	}
}
