// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/pci.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/endian.h"
#include "host/pci_regs.h"

/* Flags of the `resource` file: the kernel's own resource flags. */
#define RESOURCE_IO	  0x00000100ull
#define RESOURCE_MEM	  0x00000200ull
#define RESOURCE_PREFETCH 0x00002000ull
#define RESOURCE_MEM64	  0x00100000ull
#define RESOURCE_UNSET	  0x20000000ull
#define RESOURCE_ROM	  6 /* line of the expansion ROM, after the six BARs */

#define CLASS_BRIDGE	  0x06
#define CLASS_PCI_BRIDGE  0x0604
#define CLASS_SEMI_BRIDGE 0x0609

#define PATH_DEVICES	  "bus/pci/devices/"

struct function_path {
	char text[128];
	char *tail; /* where the attribute's name goes */
};

static void function_path_init(struct function_path *path, const char *name)
{
	memcpy(path->text, PATH_DEVICES, sizeof(PATH_DEVICES) - 1);
	path->tail = stpcpy(path->text + sizeof(PATH_DEVICES) - 1, name);
	*path->tail++ = '/';
}

static const char *function_path_to(struct function_path *path, const char *attribute)
{
	strcpy(path->tail, attribute);
	return path->text;
}

/* Copies at most size - 1 bytes up to the end of the line, and only printable ones. */
static void function_copy_text(char *out, size_t size, const char *text)
{
	size_t n = 0;

	for (; text[n] && text[n] != '\n' && n < size - 1; n++)
		out[n] = isprint((unsigned char)text[n]) ? text[n] : '?';
	out[n] = '\0';
}

/* The value after `key` at the start of a line of a uevent file, or NULL. */
static const char *uevent_find(const char *text, const char *key)
{
	size_t len = strlen(key);

	while (text) {
		if (!strncmp(text, key, len))
			return text + len;
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	return NULL;
}

static bool uevent_pair(const char *text, const char *key, uint16_t *a, uint16_t *b)
{
	const char *value = uevent_find(text, key);
	unsigned int first, second;

	if (!value || sscanf(value, "%4x:%4x", &first, &second) != 2)
		return false;
	*a = (uint16_t)first;
	*b = (uint16_t)second;
	return true;
}

/* One file holds the identity as the kernel sees it, which for a VF is not in its own config. */
static int function_read_identity(struct sys *sys, struct function_path *path,
				  struct host_function *out)
{
	char text[1024];
	const char *value;
	int err = sys_read_text(sys, SYS_TREE_SYS, function_path_to(path, "uevent"), text,
				sizeof(text));

	if (err == -ENOENT || err == -ENODEV || err == -ENXIO)
		return -ENODEV;
	if (err) {
		out->unknown |= HOST_UNKNOWN_IDS | HOST_UNKNOWN_DRIVER;
		return 0;
	}
	value = uevent_find(text, "DRIVER=");
	if (value)
		function_copy_text(out->driver, sizeof(out->driver), value);
	value = uevent_find(text, "PCI_CLASS=");
	if (value)
		out->class_code = (uint32_t)strtoul(value, NULL, 16) & 0xffffff;
	uevent_pair(text, "PCI_SUBSYS_ID=", &out->subsystem_vendor, &out->subsystem_device);
	if (!value || !uevent_pair(text, "PCI_ID=", &out->vendor, &out->device))
		out->unknown |= HOST_UNKNOWN_IDS;
	return 0;
}

static void function_read_config(struct sys *sys, struct function_path *path,
				 struct host_function *out)
{
	uint8_t bytes[4096 + 1];
	ssize_t n = sys_read_file(sys, SYS_TREE_SYS, function_path_to(path, "config"), bytes,
				  sizeof(bytes));

	host_config_parse(bytes, n > 0 ? (size_t)n : 0, &out->config);
	if (n < 64)
		out->unknown |= HOST_UNKNOWN_CONFIG;
	else
		out->revision = bytes[HCFG_REVISION];
	/* A function in a low-power state, or gone, answers with all ones. */
	if (n >= 64 && !out->is_vf && le_load(bytes, 4) == 0xffffffff) {
		memset(&out->config, 0, sizeof(out->config));
		out->unknown |= HOST_UNKNOWN_CONFIG;
	}
}

static void function_parse_bar(uint64_t first, uint64_t last, uint64_t flags, struct host_bar *out)
{
	memset(out, 0, sizeof(*out));
	if (!(flags & (RESOURCE_IO | RESOURCE_MEM)) || last < first || last - first == UINT64_MAX)
		return;
	if (flags & RESOURCE_IO)
		out->kind = HOST_BAR_IO;
	else
		out->kind = flags & RESOURCE_MEM64 ? HOST_BAR_MEM64 : HOST_BAR_MEM32;
	out->prefetchable = flags & RESOURCE_PREFETCH;
	out->assigned = !(flags & RESOURCE_UNSET);
	out->base = out->assigned ? first : 0;
	out->len = last - first + 1;
}

static void function_read_resources(struct sys *sys, struct function_path *path,
				    struct host_function *out)
{
	char text[2048], *line = text;
	unsigned int n;
	int err = sys_read_text(sys, SYS_TREE_SYS, function_path_to(path, "resource"), text,
				sizeof(text));

	if (err) {
		out->unknown |= HOST_UNKNOWN_RESOURCES;
		return;
	}
	for (n = 0; n <= RESOURCE_ROM; n++) {
		uint64_t first, last, flags;
		char *end;

		first = strtoull(line, &end, 16);
		last = strtoull(end, &end, 16);
		flags = strtoull(end, &end, 16);
		if (end == line || (*end && *end != '\n')) {
			out->unknown |= HOST_UNKNOWN_RESOURCES;
			return;
		}
		function_parse_bar(first, last, flags, n < RESOURCE_ROM ? &out->bar[n] : &out->rom);
		if (!*end)
			break;
		line = end + 1;
	}
	if (n < RESOURCE_ROM)
		out->unknown |= HOST_UNKNOWN_RESOURCES;
}

static void function_read_reset(struct sys *sys, struct function_path *path,
				struct host_function *out)
{
	char text[64];
	int err = sys_read_text(sys, SYS_TREE_SYS, function_path_to(path, "reset_method"), text,
				sizeof(text));

	if (!err) {
		function_copy_text(out->reset, sizeof(out->reset), text);
		return;
	}
	if (err != -ENOENT) {
		out->unknown |= HOST_UNKNOWN_RESET;
		return;
	}
	/*
	 * Kernels before 5.15 have no reset_method; all have the write-only `reset` exactly where a
	 * reset is possible. Reading it fails in one way when it is there and another when not.
	 */
	err = sys_read_text(sys, SYS_TREE_SYS, function_path_to(path, "reset"), text, sizeof(text));
	if (err == -ENODATA)
		out->unknown |= HOST_UNKNOWN_RESET;
	else if (err != -ENOENT)
		strcpy(out->reset, "yes");
}

static int function_read_signed(struct sys *sys, const char *path)
{
	char text[32], *end;
	long v;

	if (sys_read_text(sys, SYS_TREE_SYS, path, text, sizeof(text)))
		return -1;
	v = strtol(text, &end, 10);
	return *end || end == text || v < 0 || v > INT16_MAX ? -1 : (int)v;
}

static uint16_t function_read_count(struct sys *sys, const char *path)
{
	uint64_t v;

	return sys_read_number(sys, SYS_TREE_SYS, path, &v) || v > UINT16_MAX ? 0 : (uint16_t)v;
}

static void function_read_group(struct sys *sys, struct function_path *path,
				struct host_function *out)
{
	char name[32], *end;
	long v;
	int err = sys_read_link_name(sys, SYS_TREE_SYS, function_path_to(path, "iommu_group"), name,
				     sizeof(name));

	out->group = -1;
	if (err == -ENOENT)
		return;
	errno = 0;
	v = err ? -1 : strtol(name, &end, 10);
	if (err || *end || end == name || v < 0 || v > INT32_MAX || errno)
		out->unknown |= HOST_UNKNOWN_GROUP;
	else
		out->group = (int)v;
}

/*
 * The real folder's path says what is above a function: .../PARENT/SELF; on a root bus PARENT is
 * "pci0000:00". Where a function carries a segment of its own (Intel VMD), that function stands
 * before the root bus: .../0000:00:0e.0/pci10000:e0/10000:e0:06.0.
 */
static void function_read_parent(struct sys *sys, struct host_function *out)
{
	char path[128], target[512], *word, *save;
	struct pci_address last = { 0 }, next;
	bool has_last = false;

	snprintf(path, sizeof(path), PATH_DEVICES "%s", out->name);
	if (sys->ops->read_link(sys, SYS_TREE_SYS, path, target, sizeof(target)) < 0)
		return;
	for (word = strtok_r(target, "/", &save); word; word = strtok_r(NULL, "/", &save)) {
		if (!strncmp(word, "pci", 3)) {
			out->has_owner = has_last;
			out->owner = last;
			has_last = false;
		} else if (!pci_address_parse_full(word, &next)) {
			out->has_parent = has_last;
			out->parent = last;
			has_last = true;
			last = next;
		}
	}
	/* The last word is the function itself, or the path is not what it seems. */
	if (!has_last || !pci_address_equal(last, out->address))
		out->has_parent = out->has_owner = false;
}

int host_function_read(struct sys *sys, struct pci_address address, struct host_function *out,
		       struct diag *diag)
{
	struct function_path path;
	char name[64];

	memset(out, 0, sizeof(*out));
	out->address = address;
	pci_address_format(address, out->name);
	function_path_init(&path, out->name);
	if (function_read_identity(sys, &path, out)) {
		diag_set(diag, -ENODEV, out->name, "this host has no such PCI function");
		diag_remedy(diag, -ENODEV, "list those it has: airlock devices");
		return -ENODEV;
	}
	if (!sys_read_link_name(sys, SYS_TREE_SYS, function_path_to(&path, "physfn"), name,
				sizeof(name)))
		out->is_vf = !pci_address_parse_full(name, &out->physfn);
	function_read_config(sys, &path, out);
	function_read_resources(sys, &path, out);
	function_read_reset(sys, &path, out);
	function_read_group(sys, &path, out);
	function_read_parent(sys, out);
	out->numa_node = function_read_signed(sys, function_path_to(&path, "numa_node"));
	out->enabled = function_read_count(sys, function_path_to(&path, "enable")) > 0;
	if (!out->is_vf && (!out->config.extended_visible || out->config.sriov)) {
		out->sriov_total =
			function_read_count(sys, function_path_to(&path, "sriov_totalvfs"));
		out->sriov_vfs = function_read_count(sys, function_path_to(&path, "sriov_numvfs"));
	}
	return 0;
}

struct inventory_walk {
	struct sys *sys;
	struct host_inventory *out;
	size_t room;
};

static int inventory_add(void *opaque, const char *name)
{
	struct inventory_walk *walk = opaque;
	struct host_inventory *out = walk->out;
	struct pci_address address;

	if (pci_address_parse_full(name, &address)) {
		out->nr_unnamed++;
		return 0;
	}
	if (out->nr_functions == walk->room) {
		size_t room = walk->room ? 2 * walk->room : 64;
		void *grown = reallocarray(out->function, room, sizeof(*out->function));

		if (!grown)
			return -ENOMEM;
		out->function = grown;
		walk->room = room;
	}
	if (host_function_read(walk->sys, address, &out->function[out->nr_functions], NULL))
		out->nr_vanished++;
	else
		out->nr_functions++;
	return 0;
}

static int inventory_compare(const void *a, const void *b)
{
	const struct host_function *fa = a, *fb = b;

	return pci_address_compare(fa->address, fb->address);
}

int host_inventory_read(struct sys *sys, struct host_inventory *out, struct diag *diag)
{
	struct inventory_walk walk = { .sys = sys, .out = out };
	int err;

	memset(out, 0, sizeof(*out));
	err = sys->ops->list(sys, SYS_TREE_SYS, "bus/pci/devices", inventory_add, &walk);
	if (err) {
		host_inventory_fini(out);
		diag_set(diag, err, "/sys/bus/pci/devices",
			 "cannot list this host's PCI functions: %s", strerror(-err));
		if (err == -ENOENT)
			diag_remedy(diag, err,
				    "the host needs a kernel with PCI support and sysfs "
				    "mounted on /sys");
		return err;
	}
	if (out->nr_functions)
		qsort(out->function, out->nr_functions, sizeof(*out->function), inventory_compare);
	return 0;
}

void host_inventory_fini(struct host_inventory *inventory)
{
	free(inventory->function);
	memset(inventory, 0, sizeof(*inventory));
}

const struct host_function *host_inventory_find(const struct host_inventory *inventory,
						struct pci_address address)
{
	struct host_function key = { .address = address };

	if (!inventory->nr_functions)
		return NULL;
	return bsearch(&key, inventory->function, inventory->nr_functions,
		       sizeof(*inventory->function), inventory_compare);
}

int host_address_resolve(struct sys *sys, const char *text, struct pci_address *out,
			 struct diag *diag)
{
	char path[128], name[PCI_ADDRESS_TEXT], uevent[1024];
	struct pci_address address;
	int err;

	if (pci_address_parse(text, &address)) {
		diag_set(diag, -EINVAL, text, "not a PCI address");
		diag_remedy(diag, -EINVAL, "write it as 0000:03:00.0, or in short as 03:00.0");
		return -EINVAL;
	}
	snprintf(path, sizeof(path), PATH_DEVICES "%s/uevent", pci_address_format(address, name));
	err = sys_read_text(sys, SYS_TREE_SYS, path, uevent, sizeof(uevent));
	if (err == -ENOENT || err == -ENODEV || err == -ENXIO) {
		diag_set(diag, -ENODEV, name, "this host has no such PCI function");
		diag_remedy(diag, -ENODEV, "list those it has: airlock devices");
		return -ENODEV;
	}
	*out = address;
	return 0;
}

bool host_driver_is_vfio(const char *driver)
{
	/* vfio-pci, and mlx5_vfio_pci, hisi_acc_vfio_pci, nvgrace-gpu-vfio-pci and their like. */
	return strstr(driver, "vfio-pci") || strstr(driver, "vfio_pci");
}

bool host_function_is_bridge(const struct host_function *function)
{
	uint32_t sub = function->class_code >> 8;

	return sub == CLASS_PCI_BRIDGE || sub == CLASS_SEMI_BRIDGE || sub >> 8 == CLASS_BRIDGE ||
	       function->config.header == 1 || function->config.header == 2;
}
