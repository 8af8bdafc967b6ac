// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/group.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "host/pci.h"
#include "host/text.h"

#define PATH_GROUPS "kernel/iommu_groups"

/* A host of a few thousand functions; a longer list is not from a kernel. */
#define GROUP_MAX_MEMBERS  65536
#define GROUP_MAX_RESERVED 4096

struct group_walk {
	struct sys *sys;
	struct host_group *out;
	size_t room;
};

static int group_add_member(void *opaque, const char *name)
{
	struct group_walk *walk = opaque;
	struct host_group *out = walk->out;
	struct host_group_member *member;
	char path[192];

	if (strlen(name) >= sizeof(member->name))
		return 0;
	if (out->nr_members == GROUP_MAX_MEMBERS)
		return -E2BIG;
	if (out->nr_members == walk->room) {
		size_t room = walk->room ? 2 * walk->room : 8;
		void *grown = reallocarray(out->member, room, sizeof(*out->member));

		if (!grown)
			return -ENOMEM;
		out->member = grown;
		walk->room = room;
	}
	member = &out->member[out->nr_members++];
	memset(member, 0, sizeof(*member));
	strcpy(member->name, name);
	member->is_pci = !pci_address_parse_full(name, &member->address);
	/* By its own folder where there is one, so that one path serves reader and capture. */
	if (member->is_pci)
		snprintf(path, sizeof(path), "bus/pci/devices/%s/driver", name);
	else
		snprintf(path, sizeof(path), PATH_GROUPS "/%d/devices/%s/driver", out->id, name);
	sys_read_link_name(walk->sys, SYS_TREE_SYS, path, member->driver, sizeof(member->driver));
	return 0;
}

static int group_compare(const void *a, const void *b)
{
	const struct host_group_member *ma = a, *mb = b;

	if (ma->is_pci && mb->is_pci)
		return pci_address_compare(ma->address, mb->address);
	return strcmp(ma->name, mb->name);
}

static enum host_reserved_kind reserved_kind(const char *text)
{
	static const struct {
		const char *name;
		enum host_reserved_kind kind;
	} kinds[] = {
		{ "direct", HOST_RESERVED_DIRECT },
		{ "direct-relaxable", HOST_RESERVED_DIRECT_RELAXABLE },
		{ "reserved", HOST_RESERVED_RESERVED },
		{ "msi", HOST_RESERVED_MSI },
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(text, kinds[i].name))
			return kinds[i].kind;
	return HOST_RESERVED_OTHER;
}

/* One line: "0x00000000fee00000 0x00000000feefffff msi", the end inclusive. */
static bool reserved_parse(const char *line, struct host_reserved *out)
{
	unsigned long long first, last;
	char kind[32];

	if (sscanf(line, "0x%llx 0x%llx %31s", &first, &last, kind) != 3 || last < first)
		return false;
	out->iova = (struct range){ first, last };
	out->kind = reserved_kind(kind);
	return true;
}

static int group_read_reserved(struct sys *sys, struct host_group *out)
{
	char path[64], *text, *line, *save;
	size_t len;
	int err;

	snprintf(path, sizeof(path), PATH_GROUPS "/%d/reserved_regions", out->id);
	err = host_text_read(sys, SYS_TREE_SYS, path, KIB(256), &text, &len);
	if (err == -ENOMEM)
		return err;
	/* Absent only in a group without a domain (no-IOMMU); anything else is unknown. */
	if (err) {
		out->reserved_unknown = err != -ENOENT;
		return 0;
	}
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct host_reserved region;
		void *grown;

		if (!reserved_parse(line, &region) || out->nr_reserved == GROUP_MAX_RESERVED) {
			out->reserved_unknown = true;
			break;
		}
		grown = reallocarray(out->reserved, out->nr_reserved + 1, sizeof(*out->reserved));
		if (!grown) {
			free(text);
			return -ENOMEM;
		}
		out->reserved = grown;
		out->reserved[out->nr_reserved++] = region;
	}
	free(text);
	return 0;
}

int host_group_read(struct sys *sys, int id, struct host_group *out, struct diag *diag)
{
	struct group_walk walk = { .sys = sys, .out = out };
	char path[64], name[32], object[32];
	int err;

	memset(out, 0, sizeof(*out));
	out->id = id;
	snprintf(object, sizeof(object), "IOMMU group %d", id);
	snprintf(path, sizeof(path), PATH_GROUPS "/%d/devices", id);
	err = sys->ops->list(sys, SYS_TREE_SYS, path, group_add_member, &walk);
	if (err)
		goto err_fini;
	if (out->nr_members)
		qsort(out->member, out->nr_members, sizeof(*out->member), group_compare);
	snprintf(path, sizeof(path), PATH_GROUPS "/%d/name", id);
	out->noiommu = !sys_read_text(sys, SYS_TREE_SYS, path, name, sizeof(name)) &&
		       !strcmp(name, "vfio-noiommu");
	snprintf(path, sizeof(path), PATH_GROUPS "/%d/type", id);
	if (sys_read_text(sys, SYS_TREE_SYS, path, out->type, sizeof(out->type)))
		out->type[0] = '\0';
	err = group_read_reserved(sys, out);
	if (err)
		goto err_fini;
	return 0;

err_fini:
	host_group_fini(out);
	if (err == -ENOENT)
		return diag_set(diag, -ENODEV, object, "there is no such group");
	return diag_set(diag, err, object, "cannot read the group's members: %s", strerror(-err));
}

void host_group_fini(struct host_group *group)
{
	free(group->member);
	free(group->reserved);
	memset(group, 0, sizeof(*group));
}

bool host_group_driver_blocks(const char *driver)
{
	return *driver && !host_driver_is_vfio(driver) && strcmp(driver, "pci-stub") &&
	       strcmp(driver, "pcieport") && strncmp(driver, "vfio-", 5);
}

int host_group_viable(const struct host_group *group, struct diag *diag)
{
	char object[32];

	for (size_t i = 0; i < group->nr_members; i++) {
		const struct host_group_member *member = &group->member[i];

		if (!host_group_driver_blocks(member->driver))
			continue;
		snprintf(object, sizeof(object), "IOMMU group %d", group->id);
		diag_set(diag, -EBUSY, object,
			 "the group is not viable: %s is bound to %s, and a group is assigned "
			 "whole or not at all",
			 member->name, member->driver);
		if (member->is_pci)
			diag_remedy(diag, -EBUSY, "bind the whole group: airlock bind %s --group",
				    member->name);
		else
			diag_remedy(diag, -EBUSY, "%s is no PCI device: unbind it from %s by hand",
				    member->name, member->driver);
		return -EBUSY;
	}
	return 0;
}

const struct host_reserved *host_group_reserved_find(const struct host_group *group, struct range r)
{
	for (size_t i = 0; i < group->nr_reserved; i++)
		if (range_overlaps(group->reserved[i].iova, r))
			return &group->reserved[i];
	return NULL;
}

const char *host_reserved_name(enum host_reserved_kind kind)
{
	static const char *const names[] = {
		[HOST_RESERVED_DIRECT] = "direct",
		[HOST_RESERVED_DIRECT_RELAXABLE] = "direct-relaxable",
		[HOST_RESERVED_RESERVED] = "reserved",
		[HOST_RESERVED_MSI] = "msi",
		[HOST_RESERVED_OTHER] = "other",
	};

	return names[kind];
}
