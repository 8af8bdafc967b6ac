// SPDX-License-Identifier: GPL-2.0-or-later
/* What would be done with a device, and what is done now: for --plan and --stats. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/endian.h"
#include "vfio/container.h"
#include "vfio/pci.h"

/* One reason each why a device cannot be given away; each refusal names who is in the way. */
typedef int (*plan_check_fn)(const struct vfio_pci_plan *plan, const struct vfio_pci_config *config,
			     struct diag *diag);

static int plan_check_bridge(const struct vfio_pci_plan *plan, const struct vfio_pci_config *config,
			     struct diag *diag)
{
	if (!host_function_is_bridge(&plan->function))
		return 0;
	return diag_set(diag, -ENOTSUP, plan->function.name,
			"it is a bridge: it carries other devices and cannot be given away");
}

static int plan_check_iommu(const struct vfio_pci_plan *plan, const struct vfio_pci_config *config,
			    struct diag *diag)
{
	if (plan->function.group >= 0)
		return 0;
	diag_set(diag, -ENODEV, plan->function.name,
		 "it is in no IOMMU group: this host has no IOMMU, or it is switched off");
	return diag_remedy(diag, -ENODEV,
			   "switch VT-d or AMD-Vi on in the firmware and boot with "
			   "intel_iommu=on");
}

/* A descriptor that somebody opened proves that it could be, here and below. */
static int plan_check_driver(const struct vfio_pci_plan *plan, const struct vfio_pci_config *config,
			     struct diag *diag)
{
	const struct host_function *fn = &plan->function;
	int err;

	if (config->group || host_driver_is_vfio(fn->driver) || fn->unknown & HOST_UNKNOWN_DRIVER)
		return 0;
	err = fn->driver[0] ? -EBUSY : -ENODEV;
	if (fn->driver[0])
		diag_set(diag, err, fn->name, "it is bound to %s", fn->driver);
	else
		diag_set(diag, err, fn->name, "it is bound to no driver");
	return diag_remedy(diag, err, "bind it to VFIO: airlock bind %s%s", fn->name,
			   plan->group.nr_members > 1 ? " --group" : "");
}

static int plan_check_noiommu(const struct vfio_pci_plan *plan,
			      const struct vfio_pci_config *config, struct diag *diag)
{
	if (config->group || !plan->group.noiommu)
		return 0;
	diag_set(diag, -EPERM, plan->function.name,
		 "VFIO's no-IOMMU mode gives no protection: the device could write to any "
		 "memory of the host");
	return diag_remedy(diag, -EPERM,
			   "switch the IOMMU on and vfio.enable_unsafe_noiommu_mode off");
}

static int plan_check_group(const struct vfio_pci_plan *plan, const struct vfio_pci_config *config,
			    struct diag *diag)
{
	return config->group ? 0 : host_group_viable(&plan->group, diag);
}

/* A bus reset is not in the list where siblings share the bus; VFIO knows better, later. */
static int plan_check_reset(const struct vfio_pci_plan *plan, const struct vfio_pci_config *config,
			    struct diag *diag)
{
	const struct host_function *fn = &plan->function;

	if (config->group || fn->reset[0] || fn->unknown & HOST_UNKNOWN_RESET || fn->has_parent ||
	    config->allow_no_reset)
		return 0;
	diag_set(diag, -ENOTSUP, fn->name,
		 "nothing can reset this device, so one user's data and settings would reach the "
		 "next");
	return diag_remedy(diag, -ENOTSUP,
			   "move it behind a port of its own, where a bus reset works; to take the "
			   "risk, add allow-no-reset=on");
}

static int plan_check_rmrr(const struct vfio_pci_plan *plan, const struct vfio_pci_config *config,
			   struct diag *diag)
{
	return vfio_refuse_rmrr(&plan->group, plan->function.name, diag);
}

static int plan_check_interrupts(const struct vfio_pci_plan *plan,
				 const struct vfio_pci_config *config, struct diag *diag)
{
	if (plan->remapped != HOST_NO || plan->unsafe_interrupts)
		return 0;
	return vfio_refuse_unsafe(plan->function.name, diag);
}

/* In the order in which the kernel would find them. */
static const plan_check_fn plan_checks[] = {
	plan_check_bridge, plan_check_iommu, plan_check_driver, plan_check_noiommu,
	plan_check_group,  plan_check_reset, plan_check_rmrr,	plan_check_interrupts,
};

/* The first refusal, in diag; all of them to `refuse` if there is one. */
static int plan_check(const struct vfio_pci_plan *plan, const struct vfio_pci_config *config,
		      vfio_refuse_fn refuse, void *opaque, struct diag *diag)
{
	int first = 0;

	for (size_t i = 0; i < ARRAY_SIZE(plan_checks); i++) {
		struct diag one = DIAG_INIT;
		int err = plan_checks[i](plan, config, refuse ? &one : diag);

		if (!err)
			continue;
		first = first ? first : err;
		if (!refuse)
			return first;
		refuse(opaque, &one);
		/* Without an IOMMU, or of a bridge, the rest means nothing. */
		if (plan_checks[i] == plan_check_bridge || plan_checks[i] == plan_check_iommu)
			return first;
	}
	return first;
}

static void plan_hidden(struct vfio_pci_plan *plan, const struct vfio_caps *caps)
{
	for (unsigned int i = 0; i < caps->nr && plan->nr_hidden < VFIO_PLAN_HIDDEN_MAX; i++) {
		const struct vfio_cap *cap = &caps->cap[i];

		if (cap->policy != VFIO_CAP_HIDE)
			continue;
		plan->hidden[plan->nr_hidden++] = (struct vfio_plan_hidden){
			.extended = cap->extended,
			.id = cap->id,
			.offset = cap->offset,
			.name = cap->name,
			.reason = cap->reason,
		};
	}
}

static void plan_bars(struct vfio_pci_plan *plan, const uint8_t *msix)
{
	struct range where[2] = { { 0 } };
	unsigned int bir[2] = { PCI_BARS, PCI_BARS };

	if (msix) {
		uint32_t table = (uint32_t)le_load(msix + PCI_MSIX_TABLE, 4);
		uint32_t pba = (uint32_t)le_load(msix + PCI_MSIX_PBA, 4);

		bir[0] = FIELD_GET(PCI_MSIX_BIR, table);
		where[0] = range_of(table & PCI_MSIX_OFFSET, plan->nr_msix * PCI_MSIX_ENTRY);
		bir[1] = FIELD_GET(PCI_MSIX_BIR, pba);
		where[1] = range_of(pba & PCI_MSIX_OFFSET, (plan->nr_msix + 63u) / 64 * 8);
	}
	for (unsigned int i = 0; i < PCI_BARS; i++) {
		const struct host_bar *bar = &plan->function.bar[i];
		struct vfio_plan_bar *out = &plan->bars[i];
		struct range whole, holes[2];
		struct vfio_bar_cut cut;
		unsigned int nr = 0;

		out->size = bar->len;
		if (!bar->len)
			continue;
		if (bar->kind == HOST_BAR_IO) {
			out->why = "I/O ports are trapped";
			continue;
		}
		for (unsigned int k = 0; k < 2; k++)
			if (bir[k] == i && where[k].last < bar->len)
				holes[nr++] = where[k];
		whole = range_of(0, bar->len);
		vfio_bar_cut(bar->len, &whole, 1, holes, nr, &cut);
		for (unsigned int k = 0; k < cut.nr; k++)
			out->direct += range_len(cut.direct[k]);
		if (out->direct < out->size)
			out->why = nr ? "the MSI-X table is virtual" : "smaller than a page";
	}
}

/* Capabilities as the host shows them; without CAP_SYS_ADMIN it shows the header only. */
static int plan_config(struct sys *sys, struct vfio_pci_plan *plan)
{
	uint8_t *config = calloc(1, PCIE_CONFIG_SIZE + 1);
	const struct vfio_cap *cap;
	struct vfio_caps caps;
	char path[64];
	ssize_t len;

	if (!config)
		return -ENOMEM;
	snprintf(path, sizeof(path), "bus/pci/devices/%s/config", plan->function.name);
	len = sys_read_file(sys, SYS_TREE_SYS, path, config, PCIE_CONFIG_SIZE + 1);
	plan->config_unknown = len < PCI_CONFIG_SIZE;
	if (plan->config_unknown) {
		plan_bars(plan, NULL);
		free(config);
		return 0;
	}
	vfio_caps_read(config, len < PCIE_CONFIG_SIZE ? PCI_CONFIG_SIZE : PCIE_CONFIG_SIZE, &caps);
	plan_hidden(plan, &caps);
	plan->nr_msix = plan->function.config.msix_vectors;
	plan->nr_msi = plan->function.config.msi_vectors;
	/* SR-IOV gives virtual functions no pins (PCIe 6.0, 9.3.4.1.18), whatever they say. */
	plan->intx = config[PCI_IRQ_PIN] && !plan->function.is_vf;
	cap = vfio_caps_find(&caps, false, PCI_CAP_MSIX);
	plan_bars(plan, cap && cap->policy == VFIO_CAP_MSIX ? config + cap->offset : NULL);
	free(config);
	return 0;
}

static int plan_read(struct sys *sys, const struct vfio_pci_config *config,
		     struct vfio_pci_plan *plan, struct diag *diag)
{
	int err;

	memset(plan, 0, sizeof(*plan));
	plan->remapped = HOST_UNKNOWN;
	err = host_function_read(sys, config->host, &plan->function, diag);
	if (err) {
		/* There is no such device, so it is nowhere. */
		plan->function.group = -1;
		plan->function.numa_node = -1;
		plan->function.address = config->host;
		return err;
	}
	return plan->function.group < 0
		       ? 0
		       : host_group_read(sys, plan->function.group, &plan->group, diag);
}

int vfio_plan_look(struct sys *sys, const struct vfio_pci_config *config,
		   struct vfio_pci_plan *plan, struct diag *diag)
{
	int err = plan_read(sys, config, plan, diag);

	return err ? err : plan_check(plan, config, NULL, NULL, diag);
}

/* What the kernel says of it when a group is attached; here it takes reading long files. */
static void plan_interrupts(struct sys *sys, struct vfio_pci_plan *plan)
{
	char text[8] = "";

	plan->remapped = host_interrupt_remapping(sys);
	sys_read_text(sys, SYS_TREE_SYS,
		      "module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", text,
		      sizeof(text));
	plan->unsafe_interrupts = text[0] == 'Y' && plan->remapped == HOST_NO;
}

int vfio_pci_plan(struct sys *sys, const struct vfio_pci_config *config, struct vfio_pci_plan *plan,
		  vfio_refuse_fn refuse, void *opaque, struct diag *diag)
{
	int err = plan_read(sys, config, plan, diag);

	if (err)
		return err;
	if (refuse)
		plan_interrupts(sys, plan);
	err = plan_check(plan, config, refuse, opaque, diag);
	if (err && !refuse)
		return err;
	plan->rom_size = plan->function.rom.len;
	if (plan_config(sys, plan))
		return diag_set(diag, -ENOMEM, plan->function.name, "out of memory");
	return err;
}

void vfio_pci_plan_fini(struct vfio_pci_plan *plan)
{
	host_group_fini(&plan->group);
}
