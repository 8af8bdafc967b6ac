// SPDX-License-Identifier: GPL-2.0-or-later
/* The host's remapping units, and whether interrupts go through them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "host/group.h"
#include "host/text.h"

#define PATH_UNITS "class/iommu"

static enum host_iommu_kind unit_kind(const char *name)
{
	if (!strncmp(name, "dmar", 4))
		return HOST_IOMMU_VTD;
	if (!strncmp(name, "ivhd", 4))
		return HOST_IOMMU_AMD;
	if (!strncmp(name, "smmu", 4))
		return HOST_IOMMU_SMMU;
	if (!strncmp(name, "virtio", 6))
		return HOST_IOMMU_VIRTIO;
	return HOST_IOMMU_OTHER;
}

/* These files hold bare hexadecimal. */
static bool unit_read_hex(struct sys *sys, const char *name, const char *file, uint64_t *out)
{
	char path[128], text[32], *end;

	snprintf(path, sizeof(path), PATH_UNITS "/%s/%s", name, file);
	if (sys_read_text(sys, SYS_TREE_SYS, path, text, sizeof(text)) || !text[0])
		return false;
	errno = 0;
	*out = strtoull(text, &end, 16);
	/* AMD's second extended feature register follows a colon. */
	return end != text && (!*end || *end == ':') && !errno;
}

struct unit_walk {
	struct sys *sys;
	struct host_iommus *out;
};

static int unit_add(void *opaque, const char *name)
{
	struct unit_walk *walk = opaque;
	struct host_iommus *out = walk->out;
	struct host_iommu *unit = &out->unit[out->nr_units];

	if (out->nr_units == ARRAY_SIZE(out->unit) || strlen(name) >= sizeof(unit->name))
		return 0;
	memset(unit, 0, sizeof(*unit));
	strcpy(unit->name, name);
	unit->kind = unit_kind(name);
	if (unit->kind == HOST_IOMMU_VTD)
		unit->has_registers =
			unit_read_hex(walk->sys, name, "intel-iommu/cap", &unit->cap) &&
			unit_read_hex(walk->sys, name, "intel-iommu/ecap", &unit->ecap);
	else if (unit->kind == HOST_IOMMU_AMD)
		unit->has_registers =
			unit_read_hex(walk->sys, name, "amd-iommu/cap", &unit->cap) &&
			unit_read_hex(walk->sys, name, "amd-iommu/features", &unit->ecap);
	out->nr_units++;
	return 0;
}

static int unit_compare(const void *a, const void *b)
{
	const struct host_iommu *ua = a, *ub = b;

	return strcmp(ua->name, ub->name);
}

void host_iommus_read(struct sys *sys, struct host_iommus *out)
{
	struct unit_walk walk = { sys, out };
	int err;

	memset(out, 0, sizeof(*out));
	err = sys->ops->list(sys, SYS_TREE_SYS, PATH_UNITS, unit_add, &walk);
	/* A kernel built without any IOMMU driver has no such class: that is an answer. */
	out->unknown = err && err != -ENOENT;
	qsort(out->unit, out->nr_units, sizeof(out->unit[0]), unit_compare);
}

int host_iommu_of(struct sys *sys, struct pci_address address, char *name, size_t size)
{
	char path[96], text[PCI_ADDRESS_TEXT];

	snprintf(path, sizeof(path), "bus/pci/devices/%s/iommu", pci_address_format(address, text));
	return sys_read_link_name(sys, SYS_TREE_SYS, path, name, size);
}

enum host_known host_interrupt_remapping(struct sys *sys)
{
	enum host_known known = HOST_UNKNOWN;
	char *text;
	size_t len;

	/* A column for each CPU and a row for each vector: megabytes on a large server. */
	if (host_text_read(sys, SYS_TREE_PROC, "interrupts", MIB(64), &text, &len))
		return HOST_UNKNOWN;
	if (strstr(text, " IR-IO-APIC") || strstr(text, " IR-PCI-MSI"))
		known = HOST_YES;
	else if (strstr(text, " IO-APIC") || strstr(text, " PCI-MSI"))
		known = HOST_NO;
	free(text);
	return known;
}
