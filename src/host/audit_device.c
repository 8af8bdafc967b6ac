// SPDX-License-Identifier: GPL-2.0-or-later
/* The audit's questions about each device and each group. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "host/audit_look.h"
#include "host/verdict.h"

#define MAX_DIFFERENCES	  1024
#define LOOK_MAX_REASONED 64 /* differences of one kind that are named one by one */

static const struct host_inventory *look_inventory(const struct audit_look *look)
{
	return look->isolation->topology->inventory;
}

static bool look_selects(const struct audit_look *look, size_t index)
{
	return !look->selected || look->selected[index];
}

static bool look_selects_function(const struct audit_look *look, const struct host_function *f)
{
	return look_selects(look, (size_t)(f - look_inventory(look)->function));
}

/* Closes a question that is asked of every device: nothing found, or not everything seen. */
static void look_close(struct audit_look *look, enum host_finding_id id, size_t nr_found,
		       size_t nr_asked, size_t nr_unknown)
{
	if (nr_found)
		return;
	if (nr_unknown)
		host_audit_add(look->audit, id, HOST_NOT_KNOWN, "devices",
			       "none of those that could be seen; %zu of %zu could not", nr_unknown,
			       nr_asked);
	else
		host_audit_add(look->audit, id, HOST_ABSENT, "devices", "none of %zu", nr_asked);
}

/*
 * Whether anybody would give it to a VM: asked for by name, or of a kind that is. The chipset's own
 * helpers (memory controllers, timers, SMBus, sensors) would only hide what matters.
 */
static bool look_is_candidate(const struct audit_look *look, const struct host_function *f)
{
	uint32_t base = f->class_code >> 16, sub = f->class_code >> 8;

	if (host_function_is_bridge(f) || f->group < 0)
		return false;
	return look->selected || (base != 0x05 && base != 0x08 && base != 0x11 && sub != 0x0c05);
}

static void look_reset(struct audit_look *look)
{
	size_t nr_found = 0, nr_asked = 0, nr_unknown = 0;

	for (size_t i = 0; i < look_inventory(look)->nr_functions; i++) {
		const struct host_function *f = &look_inventory(look)->function[i];

		if (!look_selects(look, i) || !look_is_candidate(look, f))
			continue;
		nr_asked++;
		nr_unknown += !!(f->unknown & HOST_UNKNOWN_RESET);
		if (f->reset[0] || f->unknown & HOST_UNKNOWN_RESET)
			continue;
		nr_found++;
		host_audit_add(look->audit, HOST_FIND_NO_RESET, HOST_FOUND, f->name,
			       "/sys/bus/pci/devices/%s: no reset method", f->name);
	}
	look_close(look, HOST_FIND_NO_RESET, nr_found, nr_asked, nr_unknown);
}

static int look_irq(struct audit_look *look, const struct host_function *f)
{
	char path[96];
	uint64_t irq;

	snprintf(path, sizeof(path), "bus/pci/devices/%s/irq", f->name);
	if (sys_read_number(look->sys, SYS_TREE_SYS, path, &irq) || irq > INT32_MAX)
		return -1;
	return (int)irq;
}

static bool look_needs_intx(const struct host_function *f)
{
	return f->config.visible && f->config.interrupt_pin && !f->config.msi_vectors &&
	       !f->config.msix_vectors && !host_function_is_bridge(f);
}

/* Few devices still depend on INTx; only for those are the lines of the others read. */
static void look_intx(struct audit_look *look)
{
	const struct host_inventory *inventory = look_inventory(look);
	size_t nr_found = 0, nr_asked = 0, nr_unknown = 0;

	for (size_t i = 0; i < inventory->nr_functions; i++) {
		const struct host_function *f = &inventory->function[i], *other = NULL;
		int irq;

		if (!look_selects(look, i) || !look_is_candidate(look, f))
			continue;
		nr_asked++;
		nr_unknown += !f->config.visible;
		if (!look_needs_intx(f))
			continue;
		irq = look_irq(look, f);
		for (size_t k = 0; irq > 0 && k < inventory->nr_functions && !other; k++)
			if (k != i && inventory->function[k].driver[0] &&
			    inventory->function[k].config.interrupt_pin &&
			    look_irq(look, &inventory->function[k]) == irq)
				other = &inventory->function[k];
		if (!other)
			continue;
		nr_found++;
		host_audit_add(look->audit, HOST_FIND_INTX_SHARED, HOST_FOUND, f->name,
			       "/sys/bus/pci/devices/%s/irq: %d, as for %s (%s)", f->name, irq,
			       other->name, other->driver[0] ? other->driver : "no driver");
	}
	look_close(look, HOST_FIND_INTX_SHARED, nr_found, nr_asked, nr_unknown);
}

static void look_console(struct audit_look *look)
{
	size_t nr_found = 0, nr_asked = 0;

	for (size_t i = 0; i < look_inventory(look)->nr_functions; i++) {
		const struct host_function *f = &look_inventory(look)->function[i];
		char path[96];
		uint64_t boot;

		if (!look_selects(look, i) || f->class_code >> 16 != 0x03)
			continue;
		nr_asked++;
		snprintf(path, sizeof(path), "bus/pci/devices/%s/boot_vga", f->name);
		if (sys_read_number(look->sys, SYS_TREE_SYS, path, &boot) || !boot)
			continue;
		nr_found++;
		host_audit_add(look->audit, HOST_FIND_CONSOLE, HOST_FOUND, f->name, "/sys/%s: 1",
			       path);
	}
	look_close(look, HOST_FIND_CONSOLE, nr_found, nr_asked, 0);
}

/* "0-3": several; "0": one. */
static bool look_many_nodes(struct audit_look *look)
{
	char text[64];

	return !audit_read(look, "devices/system/node/online", text, sizeof(text)) &&
	       strcmp(text, "0") && text[0];
}

static void look_numa(struct audit_look *look)
{
	size_t nr_found = 0, nr_asked = 0;
	bool many = look_many_nodes(look);

	for (size_t i = 0; many && i < look_inventory(look)->nr_functions; i++) {
		const struct host_function *f = &look_inventory(look)->function[i];

		if (!look_selects(look, i) || !look_is_candidate(look, f))
			continue;
		nr_asked++;
		if (f->numa_node >= 0)
			continue;
		nr_found++;
		host_audit_add(look->audit, HOST_FIND_NUMA, HOST_FOUND, f->name,
			       "/sys/bus/pci/devices/%s/numa_node: -1", f->name);
	}
	if (many)
		look_close(look, HOST_FIND_NUMA, nr_found, nr_asked, 0);
	else
		host_audit_add(look->audit, HOST_FIND_NUMA, HOST_ABSENT, "host",
			       "/sys/devices/system/node/online: one node");
}

/* Only devices that are named are meant for one VM. */
static void look_numa_split(struct audit_look *look)
{
	const struct host_function *first = NULL;

	for (size_t i = 0; look->selected && i < look_inventory(look)->nr_functions; i++) {
		const struct host_function *f = &look_inventory(look)->function[i];

		if (!look_selects(look, i) || !look_is_candidate(look, f) || f->numa_node < 0)
			continue;
		if (first && first->numa_node != f->numa_node) {
			host_audit_add(look->audit, HOST_FIND_NUMA_SPLIT, HOST_FOUND, f->name,
				       "/sys/bus/pci/devices/%s/numa_node: %d, and %d of %s",
				       f->name, f->numa_node, first->numa_node, first->name);
			return;
		}
		first = f;
	}
	host_audit_add(look->audit, HOST_FIND_NUMA_SPLIT, HOST_ABSENT, "devices",
		       look->selected ? "one node, as far as they say theirs"
				      : "no devices were named");
}

static void look_uio(struct audit_look *look)
{
	size_t nr_found = 0, nr_asked = 0;

	for (size_t i = 0; i < look_inventory(look)->nr_functions; i++) {
		const struct host_function *f = &look_inventory(look)->function[i];

		if (!look_selects(look, i))
			continue;
		nr_asked++;
		if (strncmp(f->driver, "uio_", 4) && strcmp(f->driver, "igb_uio"))
			continue;
		nr_found++;
		host_audit_add(look->audit, HOST_FIND_UIO, HOST_FOUND, f->name, "driver: %s",
			       f->driver);
	}
	look_close(look, HOST_FIND_UIO, nr_found, nr_asked, 0);
}

/* "removable" is the kernel's word for what hangs off an external-facing port. */
static bool look_removable(struct audit_look *look, size_t index)
{
	char path[96], text[16];

	snprintf(path, sizeof(path), "bus/pci/devices/%s/removable",
		 look_inventory(look)->function[index].name);
	return !audit_read(look, path, text, sizeof(text)) && !strcmp(text, "removable");
}
static void look_external(struct audit_look *look)
{
	size_t nr_ats = 0, nr_trusting = 0, nr_asked = 0, nr_unseen = 0;

	for (size_t i = 0; i < look_inventory(look)->nr_functions; i++) {
		const struct host_function *f = &look_inventory(look)->function[i];
		bool removable = look_removable(look, i);
		int child = look->isolation->topology->node[i].first_child;

		look->external_ports |= removable;
		if (!look_selects(look, i))
			continue;
		nr_asked++;
		nr_unseen += !f->config.extended_visible;
		if (removable && f->config.ats_enabled) {
			nr_ats++;
			host_audit_add(look->audit, HOST_FIND_ATS_EXTERNAL, HOST_FOUND, f->name,
				       "/sys/bus/pci/devices/%s/removable: removable; ATS "
				       "capability: enabled",
				       f->name);
		}
		/* An external-facing port is known by what is behind it. */
		if (f->config.hotplug && !removable &&
		    (child == HOST_NONE || !look_removable(look, (size_t)child))) {
			nr_trusting++;
			host_audit_add(look->audit, HOST_FIND_HOTPLUG_TRUST, HOST_FOUND, f->name,
				       "slot capability: hot-plug; %s marked removable",
				       child == HOST_NONE ? "empty, so nothing is"
							  : "what is in it is not");
		}
	}
	look_close(look, HOST_FIND_ATS_EXTERNAL, nr_ats, nr_asked, nr_unseen);
	look_close(look, HOST_FIND_HOTPLUG_TRUST, nr_trusting, nr_asked, nr_unseen);
}

static void look_unreadable(struct audit_look *look)
{
	const struct host_inventory *inventory = look_inventory(look);
	size_t nr_found = 0, nr_asked = 0;

	for (size_t i = 0; i < inventory->nr_functions; i++) {
		const struct host_function *f = &inventory->function[i];

		if (!look_selects(look, i))
			continue;
		nr_asked++;
		if (!f->unknown && f->config.visible)
			continue;
		nr_found++;
		host_audit_add(
			look->audit, HOST_FIND_UNREADABLE, HOST_FOUND, f->name,
			"not readable:%s%s%s%s%s",
			f->unknown & (HOST_UNKNOWN_IDS | HOST_UNKNOWN_DRIVER) ? " identity" : "",
			f->unknown & HOST_UNKNOWN_CONFIG || !f->config.visible ? " configuration"
									       : "",
			f->unknown & HOST_UNKNOWN_RESOURCES ? " resources" : "",
			f->unknown & HOST_UNKNOWN_RESET ? " reset_method" : "",
			f->unknown & HOST_UNKNOWN_GROUP ? " group" : "");
	}
	if (inventory->nr_vanished)
		host_audit_add(look->audit, HOST_FIND_UNREADABLE, HOST_FOUND, "host",
			       "/sys/bus/pci/devices: %zu went away while they were read",
			       inventory->nr_vanished);
	else
		look_close(look, HOST_FIND_UNREADABLE, nr_found, nr_asked, 0);
}

/* A group that part of is already VFIO's and part of still the host's. */
static void look_group_whole(struct audit_look *look, int group, size_t *nr_found)
{
	const struct host_function *ours = NULL, *theirs = NULL;
	const int *member;
	size_t nr = host_isolation_members(look->isolation, group, &member);

	for (size_t i = 0; i < nr; i++) {
		const struct host_function *f = &look_inventory(look)->function[member[i]];

		if (host_driver_is_vfio(f->driver))
			ours = ours ? ours : f;
		else if (host_group_driver_blocks(f->driver))
			theirs = theirs ? theirs : f;
	}
	if (!ours || !theirs)
		return;
	++*nr_found;
	host_audit_add(look->audit, HOST_FIND_GROUP_BLOCKED, HOST_FOUND, ours->name,
		       "group %d: %s is bound to %s, but %s to %s", group, ours->name, ours->driver,
		       theirs->name, theirs->driver);
}

static void look_group_regions(struct audit_look *look, const struct host_group *group,
			       size_t *nr_found, size_t *nr_unknown)
{
	*nr_unknown += group->reserved_unknown;
	for (size_t i = 0; i < group->nr_reserved; i++) {
		const struct host_reserved *region = &group->reserved[i];

		if (region->kind != HOST_RESERVED_DIRECT)
			continue;
		++*nr_found;
		host_audit_add(look->audit, HOST_FIND_FIRMWARE_REGION, HOST_FOUND,
			       group->nr_members ? group->member[0].name : "group",
			       "/sys/kernel/iommu_groups/%d/reserved_regions: 0x%llx-0x%llx direct",
			       group->id, (unsigned long long)region->iova.first,
			       (unsigned long long)region->iova.last);
	}
}

static bool look_selects_group(const struct audit_look *look, int group)
{
	const int *member;
	size_t nr = host_isolation_members(look->isolation, group, &member);

	for (size_t i = 0; i < nr; i++)
		if (look_selects(look, (size_t)member[i]))
			return true;
	return false;
}

static void look_groups(struct audit_look *look)
{
	size_t nr_blocked = 0, nr_regions = 0, nr_asked = 0, nr_unknown = 0;
	int last = -1;

	for (size_t i = 0; i < look_inventory(look)->nr_functions; i++) {
		int id = look_inventory(look)->function[look->isolation->by_group[i]].group;
		struct host_group group;

		if (id < 0 || id == last || !look_selects_group(look, id))
			continue;
		last = id;
		nr_asked++;
		look_group_whole(look, id, &nr_blocked);
		if (host_group_read(look->sys, id, &group, NULL)) {
			nr_unknown++;
			continue;
		}
		look_group_regions(look, &group, &nr_regions, &nr_unknown);
		if (group.noiommu)
			host_audit_add(look->audit, HOST_FIND_NOIOMMU_MODE, HOST_FOUND,
				       group.nr_members ? group.member[0].name : "group",
				       "/sys/kernel/iommu_groups/%d/name: vfio-noiommu", id);
		host_group_fini(&group);
	}
	look_close(look, HOST_FIND_GROUP_BLOCKED, nr_blocked, nr_asked, 0);
	look_close(look, HOST_FIND_FIRMWARE_REGION, nr_regions, nr_asked, nr_unknown);
}

static enum host_finding_id look_difference_id(enum host_difference_kind kind)
{
	switch (kind) {
	case HOST_DIFF_KERNEL_JOINS:
		return HOST_FIND_GROUP_JOINED;
	case HOST_DIFF_KERNEL_SPLITS:
		return HOST_FIND_GROUP_SPLIT;
	default:
		return HOST_FIND_PEER_PATH;
	}
}

static void look_differences(struct audit_look *look)
{
	size_t nr_found[HOST_DIFF_CAN_REACH + 1] = { 0 }, nr_unseen = 0, nr, i;
	struct host_difference *list = calloc(MAX_DIFFERENCES, sizeof(*list));
	char text[300];

	if (!list) {
		look->audit->failed = true;
		return;
	}
	nr = host_isolation_differences(look->isolation, list, MAX_DIFFERENCES);
	for (i = 0; i < nr && i < MAX_DIFFERENCES; i++) {
		if (!look_selects_function(look, list[i].a) &&
		    !look_selects_function(look, list[i].b))
			continue;
		if (nr_found[list[i].kind]++ < LOOK_MAX_REASONED)
			host_audit_add(look->audit, look_difference_id(list[i].kind), HOST_FOUND,
				       list[i].a->name, "%s",
				       host_difference_format(&list[i], text, sizeof(text)));
	}
	free(list);
	for (i = 0; i < look_inventory(look)->nr_functions; i++)
		nr_unseen += look->isolation->uncertain[i];
	for (i = 0; i <= HOST_DIFF_CAN_REACH; i++)
		look_close(look, look_difference_id((enum host_difference_kind)i), nr_found[i],
			   look_inventory(look)->nr_functions, nr_unseen);
}

void audit_look_devices(struct audit_look *look)
{
	look_groups(look);
	look_differences(look);
	look_external(look);
	look_uio(look);
	look_reset(look);
	look_intx(look);
	look_console(look);
	look_numa(look);
	look_numa_split(look);
	look_unreadable(look);
}
