// SPDX-License-Identifier: GPL-2.0-or-later
#include "assign/use.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "host/text.h"

#define USE_MAX_TEXT MIB(16)
#define IFF_UP_BIT   0x1 /* netdevice(7) */

struct use_list {
	struct sys *sys;
	const struct host_function *function;
	struct assign_use *out;
	size_t room;
	int nr;
	int err;
	/* Texts read once; owned. NULL where the file does not exist. */
	char *mounts, *swaps, *route, *route6;
	char disk[64]; /* the whole disk whose parts are being listed */
};

static void use_add(struct use_list *list, enum assign_use_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void use_add(struct use_list *list, enum assign_use_kind kind, const char *fmt, ...)
{
	va_list args;

	if ((size_t)list->nr < list->room) {
		struct assign_use *use = &list->out[list->nr];

		use->kind = kind;
		va_start(args, fmt);
		vsnprintf(use->what, sizeof(use->what), fmt, args);
		va_end(args);
	}
	list->nr++;
}

/* Whether the device a link of sysfs leads to hangs off the function. */
static bool use_is_below(struct use_list *list, const char *path)
{
	char target[512], part[PCI_ADDRESS_TEXT + 2];

	if (list->sys->ops->read_link(list->sys, SYS_TREE_SYS, path, target, sizeof(target)) < 0)
		return false;
	snprintf(part, sizeof(part), "/%s/", list->function->name);
	return strstr(target, part) != NULL;
}

/* A namespace with several controllers is a virtual disk: its subsystem knows the controllers. */
struct use_subsystem {
	struct use_list *list;
	const char *folder;
	bool found;
};

static int use_match_controller(void *opaque, const char *name)
{
	struct use_subsystem *subsystem = opaque;
	char path[160];
	size_t digits = strncmp(name, "nvme", 4) ? 0 : strspn(name + 4, "0123456789");

	/* "nvme0", and not "nvme0n1" or "nvme-subsys0". */
	if (!digits || name[4 + digits] || strlen(name) > 32)
		return 0;
	snprintf(path, sizeof(path), "class/nvme/%s", name);
	subsystem->found |= use_is_below(subsystem->list, path);
	return 0;
}

static bool use_disk_is_below(struct use_list *list, const char *disk)
{
	struct use_subsystem subsystem = { .list = list };
	char path[160], target[512], *name, *end;

	snprintf(path, sizeof(path), "block/%s", disk);
	if (use_is_below(list, path))
		return true;
	if (list->sys->ops->read_link(list->sys, SYS_TREE_SYS, path, target, sizeof(target)) < 0)
		return false;
	name = strstr(target, "/nvme-subsystem/");
	if (!name)
		return false;
	name += strlen("/nvme-subsystem/");
	end = strchr(name, '/');
	if (!end || end - name > 64)
		return false;
	*end = '\0';
	snprintf(path, sizeof(path), "class/nvme-subsystem/%s", name);
	list->sys->ops->list(list->sys, SYS_TREE_SYS, path, use_match_controller, &subsystem);
	return subsystem.found;
}

/* mountinfo(5): the third word is the device's number, the fifth the mount point. */
static void use_find_mount(struct use_list *list, const char *part, const char *number)
{
	char source[96];
	const char *line;

	snprintf(source, sizeof(source), " /dev/%s ", part);
	for (line = list->mounts; line && *line; line = strchrnul(line, '\n') + 1) {
		char device[32], point[96], *at;
		size_t len = strcspn(line, "\n");

		if (sscanf(line, "%*s %*s %31s %*s %95s", device, point) == 2) {
			/* Some filesystems have numbers of their own: the source tells as well. */
			at = memmem(line, len, source, strlen(source));
			if (!strcmp(device, number) || at)
				use_add(list, ASSIGN_USE_MOUNT, "%s is mounted on %s", part, point);
		}
		if (!line[len])
			break;
	}
}

static int use_add_holder(void *opaque, const char *name)
{
	struct use_list *list = opaque;

	use_add(list, ASSIGN_USE_VOLUME, "%s is part of %s", list->disk, name);
	return 0;
}

/* `folder` is of a disk or of a partition. */
static void use_look_at_part(struct use_list *list, const char *folder, const char *part)
{
	char path[192], number[32], swap[96], whole[64];

	snprintf(path, sizeof(path), "%s/dev", folder);
	if (sys_read_text(list->sys, SYS_TREE_SYS, path, number, sizeof(number)))
		return;
	use_find_mount(list, part, number);
	snprintf(swap, sizeof(swap), "/dev/%s ", part);
	if (list->swaps && strstr(list->swaps, swap))
		use_add(list, ASSIGN_USE_SWAP, "the host swaps to %s", part);
	snprintf(path, sizeof(path), "%s/holders", folder);
	/* The holder's line names the part it holds. */
	memcpy(whole, list->disk, sizeof(whole));
	snprintf(list->disk, sizeof(list->disk), "%s", part);
	list->sys->ops->list(list->sys, SYS_TREE_SYS, path, use_add_holder, list);
	memcpy(list->disk, whole, sizeof(whole));
}

static int use_look_at_partition(void *opaque, const char *name)
{
	struct use_list *list = opaque;
	char folder[160];

	if (strncmp(name, list->disk, strlen(list->disk)) || strlen(name) > 60)
		return 0;
	snprintf(folder, sizeof(folder), "block/%s/%s", list->disk, name);
	use_look_at_part(list, folder, name);
	return 0;
}

static int use_look_at_disk(void *opaque, const char *name)
{
	struct use_list *list = opaque;
	char folder[96];
	int before = list->nr, fd;

	if (strlen(name) >= sizeof(list->disk) - 1 || !use_disk_is_below(list, name))
		return 0;
	snprintf(folder, sizeof(folder), "block/%s", name);
	strcpy(list->disk, name);
	use_look_at_part(list, folder, name);
	list->sys->ops->list(list->sys, SYS_TREE_SYS, folder, use_look_at_partition, list);
	if (list->nr > before)
		return 0;
	/* Not all that stands on a disk says so in sysfs (ZFS, a mount elsewhere): ask for it alone. */
	fd = sys_open(list->sys, SYS_DISK_ALONE, name);
	if (fd == -EBUSY)
		use_add(list, ASSIGN_USE_VOLUME, "the kernel holds %s for something", name);
	sys_close(list->sys, &fd);
	return 0;
}

/* A route to everywhere through this interface: all-zero destination in either table. */
static bool use_has_default_route(const struct use_list *list, const char *interface)
{
	char word[48];
	const char *line;

	snprintf(word, sizeof(word), "%s\t00000000\t", interface);
	for (line = list->route; line && *line; line = strchrnul(line, '\n') + 1) {
		if (!strncmp(line, word, strlen(word)))
			return true;
		if (!*strchrnul(line, '\n'))
			break;
	}
	for (line = list->route6; line && *line; line = strchrnul(line, '\n') + 1) {
		char device[32];

		if (!strncmp(line, "00000000000000000000000000000000 00 ", 36) &&
		    sscanf(line, "%*s %*s %*s %*s %*s %*s %*s %*s %*s %31s", device) == 1 &&
		    !strcmp(device, interface))
			return true;
		if (!*strchrnul(line, '\n'))
			break;
	}
	return false;
}

static int use_look_at_interface(void *opaque, const char *name)
{
	struct use_list *list = opaque;
	char path[96], text[32], master[32];

	snprintf(path, sizeof(path), "class/net/%.32s", name);
	if (strlen(name) > 32 || !use_is_below(list, path))
		return 0;
	if (use_has_default_route(list, name)) {
		use_add(list, ASSIGN_USE_NETWORK, "%s carries the default route", name);
		return 0;
	}
	snprintf(path, sizeof(path), "class/net/%.32s/master", name);
	if (!sys_read_link_name(list->sys, SYS_TREE_SYS, path, master, sizeof(master))) {
		use_add(list, ASSIGN_USE_NETWORK, "%s is part of %s", name, master);
		return 0;
	}
	snprintf(path, sizeof(path), "class/net/%.32s/flags", name);
	if (!sys_read_text(list->sys, SYS_TREE_SYS, path, text, sizeof(text)) &&
	    strtoul(text, NULL, 16) & IFF_UP_BIT)
		use_add(list, ASSIGN_USE_NETWORK, "%s is up", name);
	return 0;
}

static char *use_read(struct use_list *list, enum sys_tree tree, const char *path)
{
	char *text = NULL;
	size_t len;
	int err = host_text_read(list->sys, tree, path, USE_MAX_TEXT, &text, &len);

	if (err && err != -ENOENT)
		list->err = list->err ? list->err : err;
	return err ? NULL : text;
}

int assign_use_find(struct sys *sys, const struct host_function *f, struct assign_use *out,
		    size_t room)
{
	struct use_list list = { .sys = sys, .function = f, .out = out, .room = room };
	char path[96];
	uint64_t boot;
	int err;

	/* The host's own mounts, not those of whatever namespace this process was put in. */
	list.mounts = use_read(&list, SYS_TREE_PROC, "1/mountinfo");
	list.swaps = use_read(&list, SYS_TREE_PROC, "swaps");
	list.route = use_read(&list, SYS_TREE_PROC, "net/route");
	list.route6 = use_read(&list, SYS_TREE_PROC, "net/ipv6_route");
	err = sys->ops->list(sys, SYS_TREE_SYS, "block", use_look_at_disk, &list);
	if (err && err != -ENOENT && !list.err)
		list.err = err;
	err = sys->ops->list(sys, SYS_TREE_SYS, "class/net", use_look_at_interface, &list);
	if (err && err != -ENOENT && !list.err)
		list.err = err;
	snprintf(path, sizeof(path), "bus/pci/devices/%s/boot_vga", f->name);
	if (!sys_read_number(sys, SYS_TREE_SYS, path, &boot) && boot)
		use_add(&list, ASSIGN_USE_CONSOLE, "the host's screen is on it");
	if (f->sriov_vfs)
		use_add(&list, ASSIGN_USE_VFS, "it carries %u virtual functions", f->sriov_vfs);
	free(list.mounts);
	free(list.swaps);
	free(list.route);
	free(list.route6);
	return list.err ? list.err : list.nr;
}

static const char *const use_words[ASSIGN_NR_USES] = {
	[ASSIGN_USE_MOUNT] = "lose-filesystem", [ASSIGN_USE_SWAP] = "lose-swap",
	[ASSIGN_USE_VOLUME] = "lose-volume",	[ASSIGN_USE_NETWORK] = "lose-network",
	[ASSIGN_USE_CONSOLE] = "lose-console",	[ASSIGN_USE_VFS] = "lose-vfs",
};

const char *assign_use_word(enum assign_use_kind kind)
{
	return use_words[kind];
}

int assign_use_by_word(const char *word, enum assign_use_kind *kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(use_words); i++) {
		if (strcmp(word, use_words[i]))
			continue;
		*kind = (enum assign_use_kind)i;
		return 0;
	}
	return -EINVAL;
}
