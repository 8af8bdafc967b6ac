// SPDX-License-Identifier: GPL-2.0-or-later
/* The audit's questions about the host as a whole. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/endian.h"
#include "host/audit_look.h"
#include "host/faults.h"
#include "host/text.h"

#define VTD_CAP_POSTED	    BIT64(59) /* VT-d 4.1, 11.4.2 */
#define VTD_ECAP_X2APIC	    BIT64(4)  /* EIM: VT-d 4.1, 11.4.3 */
#define AMD_EFR_X2APIC	    BIT64(2)  /* XTSup: AMD IOMMU 3.08, 3.4 (MMIO 0030h) */
#define AMD_EFR_POSTED	    BIT64(7)  /* GASup */

#define DMAR_FLAGS	    37 /* VT-d 4.1, 8.1 */
#define DMAR_OPT_IN	    BIT(2)
#define IVRS_INFO	    36 /* AMD IOMMU 3.08, 5.2.1 */
#define IVRS_OPT_IN	    BIT(1)

#define PATH_TABLES	    "firmware/acpi/tables"
#define MAX_PROCESSES_NAMED 8

/* Whether a name is in a folder; HOST_UNKNOWN when the folder could not be listed. */
struct look_name {
	const char *wanted;
	bool found;
};

static int look_name_match(void *opaque, const char *name)
{
	struct look_name *look = opaque;

	look->found |= !strcmp(name, look->wanted);
	return 0;
}

static enum host_known look_for_name(struct audit_look *look, const char *folder, const char *name)
{
	struct look_name wanted = { .wanted = name };
	int err = look->sys->ops->list(look->sys, SYS_TREE_SYS, folder, look_name_match, &wanted);

	if (err)
		return err == -ENOENT ? HOST_NO : HOST_UNKNOWN;
	return wanted.found ? HOST_YES : HOST_NO;
}

static bool look_any_group(const struct audit_look *look)
{
	const struct host_inventory *inventory = look->isolation->topology->inventory;

	for (size_t i = 0; i < inventory->nr_functions; i++)
		if (inventory->function[i].group >= 0)
			return true;
	return false;
}

static void look_iommu(struct audit_look *look)
{
	enum host_known dmar, ivrs;
	char option[64], names[80] = "";
	const char *why;

	if (look->units.nr_units) {
		for (size_t i = 0; i < look->units.nr_units && strlen(names) < 40; i++)
			snprintf(names + strlen(names), sizeof(names) - strlen(names), " %s",
				 look->units.unit[i].name);
		host_audit_add(look->audit, HOST_FIND_NO_IOMMU, HOST_ABSENT, "host",
			       "/sys/class/iommu: %zu unit%s:%s", look->units.nr_units,
			       look->units.nr_units == 1 ? "" : "s", names);
		return;
	}
	if (look->units.unknown) {
		host_audit_add(look->audit, HOST_FIND_NO_IOMMU, HOST_NOT_KNOWN, "host",
			       "/sys/class/iommu: cannot be read");
		return;
	}
	dmar = look_for_name(look, PATH_TABLES, "DMAR");
	ivrs = look_for_name(look, PATH_TABLES, "IVRS");
	if (dmar == HOST_YES || ivrs == HOST_YES) {
		why = audit_option(look, "intel_iommu=off", option, sizeof(option));
		why = why ? why : audit_option(look, "amd_iommu=off", option, sizeof(option));
		why = why ? why : audit_option(look, "iommu=off", option, sizeof(option));
		host_audit_add(look->audit, HOST_FIND_NO_IOMMU, HOST_FOUND, "host",
			       "/sys/class/iommu is empty, but the firmware offers one "
			       "(" PATH_TABLES "/%s): %s%s",
			       dmar == HOST_YES ? "DMAR" : "IVRS",
			       why ? "the kernel is told " : "the kernel is not told to use it",
			       why		  ? why
			       : dmar == HOST_YES ? " (intel_iommu=on)"
						  : "");
	} else if (dmar == HOST_NO && ivrs == HOST_NO) {
		host_audit_add(
			look->audit, HOST_FIND_NO_IOMMU, HOST_FOUND, "host",
			"/sys/class/iommu is empty, and the firmware has no DMAR or IVRS table: "
			"it is off in the setup, or the machine has none");
	} else {
		host_audit_add(look->audit, HOST_FIND_NO_IOMMU, HOST_FOUND, "host",
			       "/sys/class/iommu is empty; the firmware's tables cannot be listed");
	}
}

static void look_hypervisor(struct audit_look *look)
{
	char text[32];
	int err = audit_read(look, "hypervisor/type", text, sizeof(text));

	if (!err)
		host_audit_add(look->audit, HOST_FIND_HYPERVISOR, HOST_FOUND, "host",
			       "/sys/hypervisor/type: %s", text);
	else
		host_audit_add(look->audit, HOST_FIND_HYPERVISOR,
			       err == -ENOENT ? HOST_ABSENT : HOST_NOT_KNOWN, "host",
			       "/sys/hypervisor/type: %s", strerror(-err));
}

static void look_parameter(struct audit_look *look, enum host_finding_id id, const char *path)
{
	enum host_known on = audit_parameter(look, path);

	host_audit_add(look->audit, id,
		       on == HOST_YES  ? HOST_FOUND
		       : on == HOST_NO ? HOST_ABSENT
				       : HOST_NOT_KNOWN,
		       "host", "/sys/%s: %s", path,
		       on == HOST_YES  ? "Y"
		       : on == HOST_NO ? "N, or no such module"
				       : "cannot be read");
}

static void look_interrupts(struct audit_look *look)
{
	switch (host_interrupt_remapping(look->sys)) {
	case HOST_YES:
		host_audit_add(look->audit, HOST_FIND_IRQ_REMAPPING, HOST_ABSENT, "host",
			       "/proc/interrupts: remapped chips (IR-)");
		break;
	case HOST_NO:
		host_audit_add(look->audit, HOST_FIND_IRQ_REMAPPING, HOST_FOUND, "host",
			       "/proc/interrupts: no chip is remapped (none begins with IR-)");
		break;
	default:
		host_audit_add(look->audit, HOST_FIND_IRQ_REMAPPING, HOST_NOT_KNOWN, "host",
			       "/proc/interrupts: cannot be read, or names no chip");
	}
}

static void look_option(struct audit_look *look, enum host_finding_id id, const char *const *prefix)
{
	char option[96];

	for (; *prefix; prefix++) {
		if (!audit_option(look, *prefix, option, sizeof(option)))
			continue;
		host_audit_add(look->audit, id, HOST_FOUND, "host", "/proc/cmdline: %s", option);
		return;
	}
	host_audit_add(look->audit, id, look->cmdline_known ? HOST_ABSENT : HOST_NOT_KNOWN, "host",
		       look->cmdline_known ? "/proc/cmdline: no such option"
					   : "/proc/cmdline: cannot be read");
}

/* Default domain types, as the groups say them themselves. */
static void look_domains(struct audit_look *look)
{
	const struct host_inventory *inventory = look->isolation->topology->inventory;
	size_t nr_identity = 0, nr_lazy = 0, nr_known = 0;
	int last = -1;

	for (size_t i = 0; i < inventory->nr_functions; i++) {
		int group = inventory->function[look->isolation->by_group[i]].group;
		char path[64], type[16];

		if (group < 0 || group == last)
			continue;
		last = group;
		snprintf(path, sizeof(path), "kernel/iommu_groups/%d/type", group);
		if (audit_read(look, path, type, sizeof(type)))
			continue;
		nr_known++;
		nr_identity += !strcmp(type, "identity");
		nr_lazy += !strcmp(type, "DMA-FQ");
	}
	if (!nr_known) {
		host_audit_add(look->audit, HOST_FIND_PASSTHROUGH,
			       look_any_group(look) ? HOST_NOT_KNOWN : HOST_ABSENT, "host",
			       "no group says its domain's type");
		host_audit_add(look->audit, HOST_FIND_LAZY,
			       look_any_group(look) ? HOST_NOT_KNOWN : HOST_ABSENT, "host",
			       "no group says its domain's type");
		return;
	}
	host_audit_add(look->audit, HOST_FIND_PASSTHROUGH, nr_identity ? HOST_FOUND : HOST_ABSENT,
		       "host", "/sys/kernel/iommu_groups/*/type: identity in %zu of %zu",
		       nr_identity, nr_known);
	host_audit_add(look->audit, HOST_FIND_LAZY, nr_lazy ? HOST_FOUND : HOST_ABSENT, "host",
		       "/sys/kernel/iommu_groups/*/type: DMA-FQ in %zu of %zu", nr_lazy, nr_known);
}

/* Abilities of the units: the weakest of them counts. */
static void look_units(struct audit_look *look)
{
	bool known = false, posted = true, x2apic = true;
	const char *seen = "/sys/class/iommu/*/{intel-iommu/{cap,ecap},amd-iommu/features}";

	for (size_t i = 0; i < look->units.nr_units; i++) {
		const struct host_iommu *unit = &look->units.unit[i];

		if (!unit->has_registers)
			continue;
		known = true;
		if (unit->kind == HOST_IOMMU_VTD) {
			posted &= !!(unit->cap & VTD_CAP_POSTED);
			x2apic &= !!(unit->ecap & VTD_ECAP_X2APIC);
		} else {
			posted &= !!(unit->ecap & AMD_EFR_POSTED);
			x2apic &= !!(unit->ecap & AMD_EFR_X2APIC);
		}
	}
	if (!look->units.nr_units) {
		host_audit_add(look->audit, HOST_FIND_POSTED, HOST_ABSENT, "host",
			       "no unit: see no-iommu");
		host_audit_add(look->audit, HOST_FIND_X2APIC, HOST_ABSENT, "host",
			       "no unit: see no-iommu");
		return;
	}
	if (!known)
		seen = "the units' registers cannot be read";
	host_audit_add(look->audit, HOST_FIND_POSTED,
		       !known	? HOST_NOT_KNOWN
		       : posted ? HOST_ABSENT
				: HOST_FOUND,
		       "host", "%s", seen);
	host_audit_add(look->audit, HOST_FIND_X2APIC,
		       !known	? HOST_NOT_KNOWN
		       : x2apic ? HOST_ABSENT
				: HOST_FOUND,
		       "host", "%s", seen);
}

/* The platform's wish that DMA stays blocked until the system takes over. */
static void look_boot(struct audit_look *look)
{
	struct host_finding *finding;
	const char *name = "DMAR";
	bool opt_in = false;
	char *table;
	size_t len;
	int err =
		host_text_read(look->sys, SYS_TREE_SYS, PATH_TABLES "/DMAR", MIB(1), &table, &len);

	if (err == -ENOENT) {
		name = "IVRS";
		err = host_text_read(look->sys, SYS_TREE_SYS, PATH_TABLES "/IVRS", MIB(1), &table,
				     &len);
	}
	if (err == -ENOENT) {
		host_audit_add(look->audit, HOST_FIND_BOOT_DMA, HOST_ABSENT, "host",
			       "no DMAR or IVRS table: see no-iommu");
		return;
	}
	if (!err) {
		if (len < 40)
			err = -EINVAL;
		else if (name[0] == 'D')
			opt_in = table[DMAR_FLAGS] & DMAR_OPT_IN;
		else
			opt_in = le_load(table + IVRS_INFO, 4) & IVRS_OPT_IN;
		free(table);
	}
	if (err) {
		host_audit_add(look->audit, HOST_FIND_BOOT_DMA, HOST_NOT_KNOWN, "host",
			       "/sys/" PATH_TABLES "/%s: cannot be read (needs root)", name);
		return;
	}
	finding = host_audit_add(look->audit, HOST_FIND_BOOT_DMA, opt_in ? HOST_ABSENT : HOST_FOUND,
				 "host", "/sys/" PATH_TABLES "/%s: the opt-in flag is %s", name,
				 opt_in ? "set" : "not set");
	/* Who can plug a device in from outside can use that time. */
	if (finding && look->external_ports)
		finding->severity = HOST_WARNING;
}

struct look_domains_walk {
	struct audit_look *look;
	bool any, unprotected;
};

static int look_thunderbolt_domain(void *opaque, const char *name)
{
	struct look_domains_walk *walk = opaque;
	char path[128], text[16];

	if (strncmp(name, "domain", 6) || strlen(name) > 20)
		return 0;
	snprintf(path, sizeof(path), "bus/thunderbolt/devices/%s/iommu_dma_protection", name);
	if (audit_read(walk->look, path, text, sizeof(text)))
		return 0;
	walk->any = true;
	if (text[0] == '1')
		return 0;
	walk->unprotected = true;
	host_audit_add(walk->look->audit, HOST_FIND_EXTERNAL_DMA, HOST_FOUND, name, "/sys/%s: %s",
		       path, text);
	return 0;
}

static void look_thunderbolt(struct audit_look *look)
{
	struct look_domains_walk walk = { .look = look };
	int err = look->sys->ops->list(look->sys, SYS_TREE_SYS, "bus/thunderbolt/devices",
				       look_thunderbolt_domain, &walk);

	look->external_ports |= walk.any;
	if (walk.unprotected)
		return;
	host_audit_add(look->audit, HOST_FIND_EXTERNAL_DMA,
		       !err || err == -ENOENT ? HOST_ABSENT : HOST_NOT_KNOWN, "host",
		       walk.any ? "/sys/bus/thunderbolt/devices/*/iommu_dma_protection: 1"
		       : err && err != -ENOENT ? "/sys/bus/thunderbolt: cannot be read"
					       : "/sys/bus/thunderbolt: no domain");
}

/* Who holds hardware with nothing in between. */
struct look_holders {
	struct audit_look *look;
	unsigned int pid;
	size_t nr_found, nr_hidden, nr_seen;
	char own_namespace[64];
};

static bool look_is_raw(const char *target)
{
	return !strncmp(target, "/dev/uio", 8) || !strcmp(target, "/dev/mem") ||
	       !strcmp(target, "/dev/port") || !strncmp(target, "/dev/vfio/noiommu-", 18) ||
	       (!strncmp(target, "/sys/", 5) && strstr(target, "/resource"));
}

static int look_descriptor(void *opaque, const char *name)
{
	struct look_holders *holders = opaque;
	struct sys *sys = holders->look->sys;
	char path[96], target[256], comm[32] = "", space[64];
	bool contained;

	if (strlen(name) > 12)
		return 0;
	snprintf(path, sizeof(path), "%u/fd/%s", holders->pid, name);
	if (sys->ops->read_link(sys, SYS_TREE_PROC, path, target, sizeof(target)) < 0 ||
	    !look_is_raw(target))
		return 0;
	snprintf(path, sizeof(path), "%u/comm", holders->pid);
	sys_read_text(sys, SYS_TREE_PROC, path, comm, sizeof(comm));
	snprintf(path, sizeof(path), "%u/ns/mnt", holders->pid);
	contained = holders->own_namespace[0] &&
		    sys->ops->read_link(sys, SYS_TREE_PROC, path, space, sizeof(space)) > 0 &&
		    strcmp(space, holders->own_namespace);
	if (holders->nr_found++ < MAX_PROCESSES_NAMED)
		host_audit_add(holders->look->audit, HOST_FIND_RAW_NODE, HOST_FOUND, "host",
			       "/proc/%u/fd/%s: %s%s holds %s", holders->pid, name, comm,
			       contained ? ", in a container," : "", target);
	/* One node is enough to name a process. */
	return 1;
}

static int look_process(void *opaque, const char *name)
{
	struct look_holders *holders = opaque;
	char path[32], *end;
	unsigned long pid = strtoul(name, &end, 10);
	int err;

	if (*end || !isdigit((unsigned char)*name) || pid > UINT32_MAX)
		return 0;
	holders->pid = (unsigned int)pid;
	holders->nr_seen++;
	snprintf(path, sizeof(path), "%u/fd", holders->pid);
	err = holders->look->sys->ops->list(holders->look->sys, SYS_TREE_PROC, path,
					    look_descriptor, holders);
	holders->nr_hidden += err == -EACCES || err == -EPERM;
	return 0;
}

static void look_holders(struct audit_look *look)
{
	struct look_holders holders = { .look = look };
	int err;

	look->sys->ops->read_link(look->sys, SYS_TREE_PROC, "1/ns/mnt", holders.own_namespace,
				  sizeof(holders.own_namespace));
	err = look->sys->ops->list(look->sys, SYS_TREE_PROC, "", look_process, &holders);
	if (holders.nr_found)
		return;
	if (err || !holders.nr_seen)
		host_audit_add(look->audit, HOST_FIND_RAW_NODE, HOST_NOT_KNOWN, "host",
			       "/proc/*/fd: other processes cannot be seen");
	else
		host_audit_add(
			look->audit, HOST_FIND_RAW_NODE,
			holders.nr_hidden ? HOST_NOT_KNOWN : HOST_ABSENT, "host",
			"/proc/*/fd: none of %zu processes%s", holders.nr_seen - holders.nr_hidden,
			holders.nr_hidden ? "; the others are not visible to this user" : "");
}

static void look_faults(struct audit_look *look)
{
	struct host_faults faults;

	host_faults_read(look->sys, &faults);
	if (faults.known == HOST_YES)
		host_audit_add(look->audit, HOST_FIND_FAULTS, HOST_FOUND, "host",
			       "the kernel's log: %zu, the last: %s", faults.nr, faults.last);
	else
		host_audit_add(look->audit, HOST_FIND_FAULTS,
			       faults.known == HOST_NO ? HOST_ABSENT : HOST_NOT_KNOWN, "host",
			       faults.known == HOST_NO ? "the kernel's log: none"
						       : "the kernel's log: cannot be read");
}

static void look_kvm(struct audit_look *look)
{
	char target[128], path[] = "class/misc/kvm";
	ssize_t n =
		look->sys->ops->read_link(look->sys, SYS_TREE_SYS, path, target, sizeof(target));
	enum host_known intel, amd;

	host_audit_add(look->audit, HOST_FIND_KVM,
		       n >= 0	      ? HOST_ABSENT
		       : n == -ENOENT ? HOST_FOUND
				      : HOST_NOT_KNOWN,
		       "host", "/sys/class/misc/kvm: %s", n >= 0 ? "there" : strerror((int)-n));
	intel = audit_parameter(look, "module/kvm_intel/parameters/nested");
	amd = audit_parameter(look, "module/kvm_amd/parameters/nested");
	if (intel == HOST_YES || amd == HOST_YES)
		host_audit_add(look->audit, HOST_FIND_NESTED, HOST_ABSENT, "host",
			       "/sys/module/kvm_%s/parameters/nested: on",
			       intel == HOST_YES ? "intel" : "amd");
	else
		host_audit_add(look->audit, HOST_FIND_NESTED,
			       intel == HOST_UNKNOWN || amd == HOST_UNKNOWN ? HOST_NOT_KNOWN
									    : HOST_FOUND,
			       "host", "/sys/module/kvm_{intel,amd}/parameters/nested: not on");
}

static void look_vfio(struct audit_look *look)
{
	enum host_known there = look_for_name(look, "bus/pci/drivers", "vfio-pci");

	host_audit_add(look->audit, HOST_FIND_VFIO,
		       there == HOST_YES  ? HOST_ABSENT
		       : there == HOST_NO ? HOST_FOUND
					  : HOST_NOT_KNOWN,
		       "host", "/sys/bus/pci/drivers/vfio-pci: %s",
		       there == HOST_YES  ? "there"
		       : there == HOST_NO ? "not there"
					  : "the folder cannot be listed");
}

static void look_hugepages(struct audit_look *look)
{
	struct host_limits limits;
	char seen[200] = "", size[HOST_SIZE_TEXT];
	bool any = false;

	host_limits_read(look->sys, &limits);
	for (size_t i = 0; i < limits.nr_hugepages; i++) {
		any |= limits.hugepages[i].nr > 0;
		snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%s%llu of %s",
			 i ? ", " : "", (unsigned long long)limits.hugepages[i].nr,
			 host_size_format(limits.hugepages[i].size, size));
	}
	host_audit_add(look->audit, HOST_FIND_HUGEPAGES,
		       any		     ? HOST_ABSENT
		       : limits.nr_hugepages ? HOST_FOUND
					     : HOST_NOT_KNOWN,
		       "host", "/sys/kernel/mm/hugepages: %s",
		       limits.nr_hugepages ? seen : "cannot be read, or none");
}

void audit_look_host(struct audit_look *look)
{
	static const char *const override[] = { "pcie_acs_override=", NULL };
	static const char *const options[] = { "pci=config_acs=", "config_acs=",
					       "pci=disable_acs_redir=", "disable_acs_redir=",
					       NULL };

	look_iommu(look);
	look_hypervisor(look);
	look_parameter(look, HOST_FIND_NOIOMMU_MODE,
		       "module/vfio/parameters/enable_unsafe_noiommu_mode");
	look_interrupts(look);
	look_parameter(look, HOST_FIND_UNSAFE_INTERRUPTS,
		       "module/vfio_iommu_type1/parameters/allow_unsafe_interrupts");
	look_option(look, HOST_FIND_ACS_OVERRIDE, override);
	look_option(look, HOST_FIND_ACS_OPTIONS, options);
	look_thunderbolt(look);
	look_boot(look);
	look_holders(look);
	look_faults(look);
	look_kvm(look);
	look_vfio(look);
	look_domains(look);
	look_units(look);
	look_hugepages(look);
}
