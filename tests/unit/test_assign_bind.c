// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Binding and giving back, on a sysfs that behaves: drivers bind and unbind as the kernel's do, and
 * the process can be killed, or one call fail, at every step.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "assign/bind.h"
#include "base/bits.h"
#include "host/capture_store.h"

#define JOURNAL_FD 77
#define GROUP_FD   78
#define RULE_FD	   80
#define NR_RULES   4

/* The bus: what is on it, and who takes what is offered without an override. */
static const struct {
	const char *name, *driver, *home;
	int group, class;
} functions[] = {
	{ "0000:00:01.0", "pcieport", "pcieport", 1, 0x060400 },
	{ "0000:03:00.0", "nvme", "nvme", 14, 0x010802 },
	{ "0000:03:00.1", "i40e", "i40e", 14, 0x020000 },
	{ "0000:03:00.2", "", "", 14, 0x088000 },
	{ "0000:05:00.0", "nvme", "nvme", 15, 0x010802 },
	{ "0000:06:00.0", "nvme", "nvme", -1, 0x010802 },
};

struct world {
	struct host_capture *capture;
	struct sys inner, sys;
	struct sys_ops ops;
	char journal[32768];
	size_t journal_len;
	struct {
		char path[96];
		char text[1024];
		bool there;
	} rule[NR_RULES]; /* of udev */
	bool no_udev, read_only;
	const char *program; /* bind so that it persists, by this */
	const char *boot;    /* bind as at boot, what belongs to this driver */
	bool locked, group_busy;
	const char *held_disk; /* cannot be had alone */
	const char *stubborn;  /* vfio-pci does not take this one */
	/* Countdown to the call that fails (one) or after which nothing happens any more (dead). */
	int countdown;
	bool one;
	int calls;
};

static struct world *world_of(struct sys *sys)
{
	return sys->ctx;
}

/* Counts one call; true when it must fail. */
static bool world_fails(struct world *world)
{
	world->calls++;
	if (world->countdown < 0)
		return false;
	if (world->countdown > 0) {
		world->countdown--;
		return false;
	}
	if (world->one)
		world->countdown = -1;
	return true;
}

static void node_text(struct world *world, const char *path, const char *text)
{
	struct capture_node *node = capture_node_get(world->capture, SYS_TREE_SYS, path);

	assert_int_equal(capture_node_set(node, CAPTURE_DATA, text, strlen(text)), 0);
}

static void world_set_driver(struct world *world, const char *name, const char *driver)
{
	char path[128], target[96], text[256];
	struct capture_node *node;
	int class = 0;

	for (size_t i = 0; i < ARRAY_SIZE(functions); i++)
		if (!strcmp(functions[i].name, name))
			class = functions[i].class;
	snprintf(path, sizeof(path), "bus/pci/devices/%s/driver", name);
	node = capture_node_get(world->capture, SYS_TREE_SYS, path);
	snprintf(target, sizeof(target), "../../../bus/pci/drivers/%s", driver);
	if (*driver) {
		capture_node_set(node, CAPTURE_LINK, target, strlen(target));
	} else {
		capture_node_set(node, CAPTURE_ERROR, NULL, 0);
		node->err = -ENOENT;
	}
	snprintf(path, sizeof(path), "bus/pci/devices/%s/uevent", name);
	snprintf(text, sizeof(text), "%s%s%sPCI_CLASS=%X\nPCI_ID=1234:5678\n",
		 *driver ? "DRIVER=" : "", driver, *driver ? "\n" : "", (unsigned int)class);
	node_text(world, path, text);
}

static const char *world_driver(struct world *world, const char *name)
{
	static char driver[64];
	char path[128];

	snprintf(path, sizeof(path), "bus/pci/devices/%s/driver", name);
	if (sys_read_link_name(&world->inner, SYS_TREE_SYS, path, driver, sizeof(driver)))
		driver[0] = '\0';
	return driver;
}

static const char *world_override(struct world *world, const char *name)
{
	static char text[64];
	char path[128];

	snprintf(path, sizeof(path), "bus/pci/devices/%s/driver_override", name);
	assert_int_equal(sys_read_text(&world->inner, SYS_TREE_SYS, path, text, sizeof(text)), 0);
	return text;
}

static const char *world_home(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++)
		if (!strcmp(functions[i].name, name))
			return functions[i].home;
	return "";
}

/* The kernel's side of the files that are written. */
static int fake_write_file(struct sys *sys, enum sys_tree tree, const char *path, const void *data,
			   size_t len)
{
	struct world *world = world_of(sys);
	char text[64] = "", name[64], rest[64], driver[64];

	if (world_fails(world))
		return -EIO;
	memcpy(text, data, len);
	text[strcspn(text, "\n")] = '\0';
	if (sscanf(path, "bus/pci/devices/%63[^/]/%63s", name, rest) == 2) {
		if (!strcmp(rest, "driver_override")) {
			node_text(world, path, *text ? text : "(null)");
			return 0;
		}
		assert_string_equal(rest, "driver/unbind");
		assert_string_equal(text, name);
		if (!*world_driver(world, name))
			return -ENOENT;
		world_set_driver(world, name, "");
		return 0;
	}
	if (!strcmp(path, "bus/pci/drivers_probe")) {
		const char *override = world_override(world, text);

		if (*world_driver(world, text))
			return 0;
		if (world->stubborn && !strcmp(world->stubborn, text) &&
		    !strcmp(override, "vfio-pci"))
			return -EINVAL;
		world_set_driver(world, text,
				 strcmp(override, "(null)") ? override : world_home(text));
		return 0;
	}
	assert_int_equal(sscanf(path, "bus/pci/drivers/%63[^/]/bind", driver), 1);
	if (*world_driver(world, text))
		return -EBUSY;
	world_set_driver(world, text, driver);
	return 0;
}

static int fake_open(struct sys *sys, enum sys_object kind, const char *name)
{
	struct world *world = world_of(sys);

	if (world_fails(world))
		return -EIO;
	if (kind == SYS_VFIO_GROUP)
		return world->group_busy ? -EBUSY : GROUP_FD;
	if (kind == SYS_DISK_ALONE)
		return world->held_disk && !strcmp(name, world->held_disk) ? -EBUSY : GROUP_FD;
	if (kind == SYS_FILE_READ) {
		for (int i = 0; i < NR_RULES; i++)
			if (world->rule[i].there && !strcmp(world->rule[i].path, name))
				return RULE_FD + i;
		return -ENOENT;
	}
	assert_int_equal(kind, SYS_FILE_WRITE);
	if (!strcmp(name, ASSIGN_JOURNAL_PATH))
		return JOURNAL_FD;
	if (world->no_udev)
		return -ENOENT;
	for (int i = 0; i < NR_RULES; i++) {
		if (*world->rule[i].path && strcmp(world->rule[i].path, name))
			continue;
		snprintf(world->rule[i].path, sizeof(world->rule[i].path), "%s", name);
		world->rule[i].there = true;
		return RULE_FD + i;
	}
	fail_msg("too many rules");
	return -ENFILE;
}

static int fake_remove(struct sys *sys, const char *path)
{
	struct world *world = world_of(sys);

	if (world_fails(world))
		return -EIO;
	if (world->read_only)
		return -EROFS;
	for (int i = 0; i < NR_RULES; i++) {
		if (strcmp(world->rule[i].path, path) || !world->rule[i].there)
			continue;
		world->rule[i].there = false;
		world->rule[i].text[0] = '\0';
		return 0;
	}
	return -ENOENT;
}

/* How many rules there are with something in them. */
static size_t world_rules(const struct world *world)
{
	size_t nr = 0;

	for (int i = 0; i < NR_RULES; i++)
		nr += world->rule[i].there && world->rule[i].text[0];
	return nr;
}

static void fake_close(struct sys *sys, int fd)
{
	if (fd == JOURNAL_FD)
		world_of(sys)->locked = false;
}

static int fake_lock(struct sys *sys, int fd)
{
	struct world *world = world_of(sys);

	if (world_fails(world))
		return -EIO;
	if (world->locked)
		return -EAGAIN;
	world->locked = true;
	return 0;
}

static int fake_size(struct sys *sys, int fd, uint64_t *size)
{
	if (world_fails(world_of(sys)))
		return -EIO;
	*size = world_of(sys)->journal_len;
	return 0;
}

static int fake_truncate(struct sys *sys, int fd, uint64_t size)
{
	if (world_fails(world_of(sys)))
		return -EIO;
	if (fd >= RULE_FD) {
		assert_int_equal(size, 0);
		world_of(sys)->rule[fd - RULE_FD].text[0] = '\0';
		return 0;
	}
	world_of(sys)->journal_len = size;
	return 0;
}

static ssize_t fake_pread(struct sys *sys, int fd, void *buf, size_t len, uint64_t offset)
{
	struct world *world = world_of(sys);

	if (world_fails(world))
		return -EIO;
	len = min_u64(len, world->journal_len - offset);
	memcpy(buf, world->journal + offset, len);
	return (ssize_t)len;
}

static ssize_t fake_pwrite(struct sys *sys, int fd, const void *buf, size_t len, uint64_t offset)
{
	struct world *world = world_of(sys);

	if (world_fails(world))
		return -EIO;
	if (fd >= RULE_FD) {
		assert_true(offset == 0 && len < sizeof(world->rule[0].text));
		memcpy(world->rule[fd - RULE_FD].text, buf, len);
		world->rule[fd - RULE_FD].text[len] = '\0';
		return (ssize_t)len;
	}
	assert_true(offset + len <= sizeof(world->journal));
	memcpy(world->journal + offset, buf, len);
	world->journal_len = max_u64(world->journal_len, offset + len);
	return (ssize_t)len;
}

static ssize_t fake_read_file(struct sys *sys, enum sys_tree tree, const char *path, void *buf,
			      size_t size)
{
	struct world *world = world_of(sys);

	return world_fails(world)
		       ? -EIO
		       : world->inner.ops->read_file(&world->inner, tree, path, buf, size);
}

static ssize_t fake_read_link(struct sys *sys, enum sys_tree tree, const char *path, char *buf,
			      size_t size)
{
	struct world *world = world_of(sys);

	return world_fails(world)
		       ? -EIO
		       : world->inner.ops->read_link(&world->inner, tree, path, buf, size);
}

static int fake_list(struct sys *sys, enum sys_tree tree, const char *path, sys_list_fn fn,
		     void *opaque)
{
	struct world *world = world_of(sys);

	return world_fails(world) ? -EIO
				  : world->inner.ops->list(&world->inner, tree, path, fn, opaque);
}

static void world_init(struct world *world, const char *more)
{
	static const char head[] = "airlock-host 1\nunlisted absent\n"
				   "sys bus/pci/drivers/vfio-pci .\nproc 1/mountinfo =\n";
	char text[4096];

	memset(world, 0, sizeof(*world));
	world->countdown = -1;
	snprintf(text, sizeof(text), "%s%s", head, more ? more : "");
	assert_int_equal(host_capture_parse(text, strlen(text), "world", &world->capture, NULL), 0);
	world->inner = host_capture_sys(world->capture);
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		char path[128], target[128];
		struct capture_node *node;

		world_set_driver(world, functions[i].name, functions[i].driver);
		snprintf(path, sizeof(path), "bus/pci/devices/%s/driver_override",
			 functions[i].name);
		node_text(world, path, "(null)");
		if (functions[i].group < 0)
			continue;
		snprintf(path, sizeof(path), "bus/pci/devices/%s/iommu_group", functions[i].name);
		snprintf(target, sizeof(target), "../../../kernel/iommu_groups/%d",
			 functions[i].group);
		node = capture_node_get(world->capture, SYS_TREE_SYS, path);
		capture_node_set(node, CAPTURE_LINK, target, strlen(target));
	}
	world->ops = *world->inner.ops;
	world->ops.open = fake_open;
	world->ops.close = fake_close;
	world->ops.lock = fake_lock;
	world->ops.size = fake_size;
	world->ops.truncate = fake_truncate;
	world->ops.remove = fake_remove;
	world->ops.pread = fake_pread;
	world->ops.pwrite = fake_pwrite;
	world->ops.read_file = fake_read_file;
	world->ops.read_link = fake_read_link;
	world->ops.list = fake_list;
	world->ops.write_file = fake_write_file;
	world->sys = (struct sys){ .ops = &world->ops, .ctx = world };
}

static void world_fini(struct world *world)
{
	host_capture_destroy(world->capture);
}

static void world_expect_untouched(struct world *world)
{
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		assert_string_equal(world_driver(world, functions[i].name), functions[i].driver);
		assert_string_equal(world_override(world, functions[i].name), "(null)");
	}
}

static struct pci_address address_of(const char *text)
{
	struct pci_address address;

	assert_int_equal(pci_address_parse(text, &address), 0);
	return address;
}

/* As the command does: lock, look, bind, unlock. */
static int run_bind(struct world *world, const char *device, bool group, unsigned int accepted,
		    struct diag *diag)
{
	struct assign_bind bind = {
		.nr_devices = 1,
		.group = group,
		.accepted = accepted,
		.boot_driver = world->boot,
	};
	struct host_inventory inventory;
	struct host_topology topology;
	struct host_isolation isolation;
	struct assign_journal journal;
	int index, err = assign_journal_open(&world->sys, &journal, diag);

	if (err)
		return err;
	err = host_inventory_read(&world->sys, &inventory, diag);
	if (!err) {
		assert_int_equal(host_topology_init(&topology, &inventory), 0);
		assert_int_equal(host_isolation_init(&isolation, &topology), 0);
		index = host_topology_index(&topology, address_of(device));
		bind.isolation = &isolation;
		bind.device = &index;
		err = index == HOST_NONE ? -ENODEV : assign_bind(&journal, &bind, NULL, NULL, diag);
		if (!err && world->program)
			err = assign_bind_persist(&journal, &bind, world->program, diag);
		host_isolation_fini(&isolation);
		host_topology_fini(&topology);
		host_inventory_fini(&inventory);
	}
	assign_journal_close(&journal);
	return err;
}

static int run_release(struct world *world, const char *const *device, size_t nr, struct diag *diag)
{
	struct pci_address address[4];
	struct assign_journal journal;
	int err = assign_journal_open(&world->sys, &journal, diag);

	if (err)
		return err;
	for (size_t i = 0; i < nr; i++)
		address[i] = address_of(device[i]);
	err = assign_release(&journal, address, nr, NULL, NULL, diag);
	assign_journal_close(&journal);
	return err;
}

static int run_recover(struct world *world, size_t *nr, struct diag *diag)
{
	struct assign_journal journal;
	int err = assign_journal_open(&world->sys, &journal, diag);

	if (err)
		return err;
	err = assign_recover(&journal, nr, NULL, NULL, diag);
	assign_journal_close(&journal);
	return err;
}

static void refuse(struct world *world, const char *device, int err, const char *reason)
{
	struct diag diag = DIAG_INIT;

	assert_int_equal(run_bind(world, device, false, 0, &diag), err);
	assert_int_equal(diag.err, err);
	if (!strstr(diag.reason, reason))
		fail_msg("\"%s\" does not say \"%s\"", diag.reason, reason);
	world_expect_untouched(world);
	assert_int_equal(world->journal_len, 0);
}

static void a_device_goes_to_vfio_and_back_to_its_driver(void **state)
{
	static const char *const device[] = { "5:0.0" };
	struct world world;

	world_init(&world, NULL);
	assert_int_equal(run_bind(&world, "5:0.0", false, 0, NULL), 0);
	assert_string_equal(world_driver(&world, "0000:05:00.0"), "vfio-pci");
	assert_string_equal(world_override(&world, "0000:05:00.0"), "vfio-pci");
	/* Binding again changes nothing. */
	assert_int_equal(run_bind(&world, "5:0.0", false, 0, NULL), 0);
	assert_int_equal(run_release(&world, device, 1, NULL), 0);
	world_expect_untouched(&world);
	world_fini(&world);
}

static void a_group_goes_whole_and_comes_back_whole(void **state)
{
	static const char *const device[] = { "3:0.0", "3:0.1", "3:0.2" };
	struct world world;

	world_init(&world, NULL);
	assert_int_equal(run_bind(&world, "3:0.1", true, 0, NULL), 0);
	for (size_t i = 1; i < 4; i++)
		assert_string_equal(world_driver(&world, functions[i].name), "vfio-pci");
	/* Ports of the group and other groups are let be. */
	assert_string_equal(world_driver(&world, "0000:00:01.0"), "pcieport");
	assert_string_equal(world_driver(&world, "0000:05:00.0"), "nvme");
	assert_int_equal(run_release(&world, device, 3, NULL), 0);
	world_expect_untouched(&world);
	world_fini(&world);
}

static void a_sibling_in_the_hosts_hands_is_named(void **state)
{
	struct world world;

	world_init(&world, NULL);
	refuse(&world, "3:0.0", -EBUSY, "0000:03:00.1, which is bound to i40e");
	world_fini(&world);
}

static void bridges_and_devices_without_a_group_are_refused(void **state)
{
	struct world world;

	world_init(&world, NULL);
	refuse(&world, "0:1.0", -EINVAL, "bridge");
	refuse(&world, "6:0.0", -ENODEV, "no IOMMU group");
	world_fini(&world);
}

static void without_vfio_pci_nothing_is_touched(void **state)
{
	struct world world;

	world_init(&world, NULL);
	capture_node_get(world.capture, SYS_TREE_SYS, "bus/pci/drivers/vfio-pci")->exists = false;
	refuse(&world, "5:0.0", -ENOENT, "no such driver");
	world_fini(&world);
}

static void what_is_in_use_is_refused_by_name(void **state)
{
	static const struct {
		const char *facts, *reason, *word;
	} uses[] = {
		{ "proc 1/mountinfo = 29 1 259:2 / /home rw - ext4 /dev/nvme0n1p2 rw\\n\n"
		  "sys block/nvme0n1 -> ../devices/pci0000:00/0000:05:00.0/nvme/nvme0/nvme0n1\n"
		  "sys block/nvme0n1/dev = 259:0\\n\nsys block/nvme0n1/nvme0n1p2/dev = 259:2\\n\n",
		  "nvme0n1p2 is mounted on /home", "lose-filesystem" },
		/* btrfs has a device number of its own: the source tells. */
		{ "proc 1/mountinfo = 29 1 0:33 / / rw - btrfs /dev/nvme0n1 rw\\n\n"
		  "sys block/nvme0n1 -> ../devices/pci0000:00/0000:05:00.0/nvme/nvme0/nvme0n1\n"
		  "sys block/nvme0n1/dev = 259:0\\n\n",
		  "nvme0n1 is mounted on /", "lose-filesystem" },
		{ "proc swaps = Filename\\n/dev/nvme0n1p1 partition 1 0 -2\\n\n"
		  "sys block/nvme0n1 -> ../devices/pci0000:00/0000:05:00.0/nvme/nvme0/nvme0n1\n"
		  "sys block/nvme0n1/dev = 259:0\\n\nsys block/nvme0n1/nvme0n1p1/dev = 259:1\\n\n",
		  "the host swaps to nvme0n1p1", "lose-swap" },
		{ "sys block/nvme0n1 -> ../devices/pci0000:00/0000:05:00.0/nvme/nvme0/nvme0n1\n"
		  "sys block/nvme0n1/dev = 259:0\\n\nsys block/nvme0n1/nvme0n1p3/dev = 259:3\\n\n"
		  "sys block/nvme0n1/nvme0n1p3/holders/md127 .\n",
		  "nvme0n1p3 is part of md127", "lose-volume" },
		/* A namespace that several controllers share is a virtual disk. */
		{ "proc 1/mountinfo = 29 1 259:0 / /srv rw - ext4 /dev/nvme0n1 rw\\n\n"
		  "sys block/nvme0n1 -> ../devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1\n"
		  "sys block/nvme0n1/dev = 259:0\\n\n"
		  "sys class/nvme-subsystem/nvme-subsys0/nvme0 .\n"
		  "sys class/nvme-subsystem/nvme-subsys0/nvme0n1 .\n"
		  "sys class/nvme/nvme0 -> ../../devices/pci0000:00/0000:05:00.0/nvme/nvme0\n",
		  "nvme0n1 is mounted on /srv", "lose-filesystem" },
		{ "sys class/net/eth7 -> ../../devices/pci0000:00/0000:05:00.0/net/eth7\n"
		  "sys class/net/eth7/flags = 0x1003\\n\n",
		  "eth7 is up", "lose-network" },
		{ "sys class/net/eth7 -> ../../devices/pci0000:00/0000:05:00.0/net/eth7\n"
		  "sys class/net/eth7/flags = 0x1002\\n\n"
		  "proc net/route = Iface\\tDestination\\neth0\\t00000000\\t0\\neth7\\t00000000\\t01\\n\n",
		  "eth7 carries the default route", "lose-network" },
		{ "sys class/net/eth7 -> ../../devices/pci0000:00/0000:05:00.0/net/eth7\n"
		  "sys class/net/eth7/flags = 0x1002\\n\n"
		  "proc net/ipv6_route = 00000000000000000000000000000000 00 "
		  "00000000000000000000000000000000 00 fe80 00000400 1 0 00000003 eth7\\n\n",
		  "eth7 carries the default route", "lose-network" },
		{ "sys class/net/eth7 -> ../../devices/pci0000:00/0000:05:00.0/net/eth7\n"
		  "sys class/net/eth7/flags = 0x1002\\n\nsys class/net/eth7/master -> ../bond0\n",
		  "eth7 is part of bond0", "lose-network" },
		{ "sys bus/pci/devices/0000:05:00.0/boot_vga = 1\\n\n",
		  "the host's screen is on it", "lose-console" },
		{ "sys bus/pci/devices/0000:05:00.0/sriov_totalvfs = 8\\n\n"
		  "sys bus/pci/devices/0000:05:00.0/sriov_numvfs = 2\\n\n",
		  "it carries 2 virtual functions", "lose-vfs" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(uses); i++) {
		enum assign_use_kind kind;
		struct diag diag = DIAG_INIT;
		struct world world;

		world_init(&world, uses[i].facts);
		refuse(&world, "5:0.0", -EBUSY, uses[i].reason);
		assert_int_equal(run_bind(&world, "5:0.0", false, 0, &diag), -EBUSY);
		if (!strstr(diag.remedy, uses[i].word))
			fail_msg("\"%s\" does not name %s", diag.remedy, uses[i].word);
		/* Only the word for this very loss lets it pass. */
		assert_int_equal(assign_use_by_word(uses[i].word, &kind), 0);
		assert_int_equal(run_bind(&world, "5:0.0", false, ~BIT(kind), NULL), -EBUSY);
		world_expect_untouched(&world);
		assert_int_equal(run_bind(&world, "5:0.0", false, BIT(kind), NULL), 0);
		world_fini(&world);
	}
}

static void the_uses_of_other_devices_do_not_matter(void **state)
{
	struct world world;

	world_init(&world,
		   "proc 1/mountinfo = 29 1 259:0 / / rw - ext4 /dev/nvme1n1 rw\\n\n"
		   "proc swaps = /dev/nvme1n1p1 partition\\n\n"
		   "sys block/nvme1n1 -> ../devices/pci0000:00/0000:06:00.0/nvme/nvme1/nvme1n1\n"
		   "sys block/nvme1n1/dev = 259:0\\n\n"
		   "sys class/net/eth0 -> ../../devices/pci0000:00/0000:03:00.1/net/eth0\n"
		   "sys class/net/eth0/flags = 0x1003\\n\n"
		   "sys class/net/lo -> ../../devices/virtual/net/lo\n");
	assert_int_equal(run_bind(&world, "5:0.0", false, 0, NULL), 0);
	world_fini(&world);
}

static void a_disk_the_kernel_holds_is_in_use_whatever_for(void **state)
{
	static const char disk[] =
		"sys block/nvme0n1 -> ../devices/pci0000:00/0000:05:00.0/nvme/nvme0/nvme0n1\n"
		"sys block/nvme0n1/dev = 259:0\\n\n";
	struct world world;

	world_init(&world, disk);
	world.held_disk = "nvme0n1";
	refuse(&world, "5:0.0", -EBUSY, "the kernel holds nvme0n1 for something");
	world.held_disk = "nvme1n1";
	assert_int_equal(run_bind(&world, "5:0.0", false, 0, NULL), 0);
	world_fini(&world);
}

static void uses_that_cannot_be_known_are_refused(void **state)
{
	struct world world;

	world_init(&world, "proc swaps ! EACCES\n");
	refuse(&world, "5:0.0", -EACCES, "cannot tell whether the host uses it");
	world_fini(&world);
}

static void a_driver_that_refuses_undoes_what_was_done(void **state)
{
	struct diag diag = DIAG_INIT;
	struct world world;

	world_init(&world, NULL);
	world.stubborn = "0000:03:00.2";
	assert_int_equal(run_bind(&world, "3:0.0", true, 0, &diag), -EINVAL);
	assert_string_equal(diag.object, "0000:03:00.2");
	world_expect_untouched(&world);
	world.stubborn = NULL;
	assert_int_equal(run_bind(&world, "3:0.0", true, 0, NULL), 0);
	world_fini(&world);
}

static void two_at_once_are_refused(void **state)
{
	struct diag diag = DIAG_INIT;
	struct world world;

	world_init(&world, NULL);
	world.locked = true;
	assert_int_equal(run_bind(&world, "5:0.0", false, 0, &diag), -EAGAIN);
	assert_non_null(strstr(diag.reason, "another airlock"));
	world_fini(&world);
}

static void what_a_vm_has_open_is_not_released(void **state)
{
	static const char *const device[] = { "5:0.0" };
	struct diag diag = DIAG_INIT;
	struct world world;

	world_init(&world, NULL);
	assert_int_equal(run_bind(&world, "5:0.0", false, 0, NULL), 0);
	world.group_busy = true;
	assert_int_equal(run_release(&world, device, 1, &diag), -EBUSY);
	assert_string_equal(world_driver(&world, "0000:05:00.0"), "vfio-pci");
	world.group_busy = false;
	assert_int_equal(run_release(&world, device, 1, NULL), 0);
	world_expect_untouched(&world);
	world_fini(&world);
}

static void what_was_not_taken_is_not_given_back(void **state)
{
	static const char *const device[] = { "5:0.0", "3:0.0" };
	struct diag diag = DIAG_INIT;
	struct world world;

	world_init(&world, NULL);
	assert_int_equal(run_bind(&world, "5:0.0", false, 0, NULL), 0);
	assert_int_equal(run_release(&world, device, 2, &diag), -ENOENT);
	assert_string_equal(diag.object, "0000:03:00.0");
	/* Asked before the first was touched. */
	assert_string_equal(world_driver(&world, "0000:05:00.0"), "vfio-pci");
	world_fini(&world);
}

static void an_override_that_was_there_comes_back(void **state)
{
	static const char *const device[] = { "5:0.0" };
	struct world world;

	world_init(&world, NULL);
	node_text(&world, "bus/pci/devices/0000:05:00.0/driver_override", "nvme");
	assert_int_equal(run_bind(&world, "5:0.0", false, 0, NULL), 0);
	assert_int_equal(run_release(&world, device, 1, NULL), 0);
	assert_string_equal(world_override(&world, "0000:05:00.0"), "nvme");
	assert_string_equal(world_driver(&world, "0000:05:00.0"), "nvme");
	world_fini(&world);
}

/* Killed after any number of calls: recovery leaves the host as it was, or the whole group taken. */
static void a_bind_killed_at_any_step_is_recovered(void **state)
{
	int steps = 0;

	for (;; steps++) {
		struct world world;
		size_t nr;
		bool whole;

		world_init(&world, NULL);
		world.countdown = steps;
		run_bind(&world, "3:0.0", true, 0, NULL);
		whole = world.countdown > 0 || world.calls <= steps;
		/* The dead process's lock went with it; the next one can do everything. */
		world.countdown = -1;
		world.locked = false;
		assert_int_equal(run_recover(&world, &nr, NULL), 0);
		if (strcmp(world_driver(&world, "0000:03:00.1"), "vfio-pci")) {
			world_expect_untouched(&world);
			assert_false(whole);
		} else {
			for (size_t i = 1; i < 4; i++)
				assert_string_equal(world_driver(&world, functions[i].name),
						    "vfio-pci");
		}
		/* And then it works. */
		assert_int_equal(run_bind(&world, "3:0.0", true, 0, NULL), 0);
		world_fini(&world);
		if (whole)
			break;
	}
	print_message("%d steps\n", steps);
	assert_true(steps > 40);
}

static void a_recovery_killed_at_any_step_is_recovered(void **state)
{
	unsigned int recoveries = 0;

	/* Every step of a bind, and every step of the recovery from it. */
	for (int steps = 0; steps < 107; steps++) {
		bool whole = false;

		for (int killed = 0; !whole; killed++) {
			struct world world;
			size_t nr;

			world_init(&world, NULL);
			world.countdown = steps;
			run_bind(&world, "3:0.0", true, 0, NULL);
			world.calls = 0;
			world.countdown = killed;
			world.locked = false;
			run_recover(&world, &nr, NULL);
			whole = world.calls <= killed;
			world.countdown = -1;
			world.locked = false;
			assert_int_equal(run_recover(&world, &nr, NULL), 0);
			if (strcmp(world_driver(&world, "0000:03:00.0"), "vfio-pci"))
				world_expect_untouched(&world);
			world_fini(&world);
			recoveries++;
		}
	}
	assert_true(recoveries > 100);
}

static void a_release_killed_at_any_step_is_recovered(void **state)
{
	static const char *const device[] = { "3:0.0", "3:0.1", "3:0.2" };
	int steps = 0;

	for (;; steps++) {
		struct world world;
		size_t nr, taken = 0;
		bool whole;

		world_init(&world, NULL);
		assert_int_equal(run_bind(&world, "3:0.0", true, 0, NULL), 0);
		world.calls = 0;
		world.countdown = steps;
		run_release(&world, device, 3, NULL);
		whole = world.calls <= steps;
		world.countdown = -1;
		world.locked = false;
		assert_int_equal(run_recover(&world, &nr, NULL), 0);
		for (size_t i = 1; i < 4; i++)
			taken += !strcmp(world_driver(&world, functions[i].name), "vfio-pci");
		/* All still ours, or all as they were. */
		assert_true(taken == 0 || taken == 3);
		if (!taken)
			world_expect_untouched(&world);
		else
			assert_int_equal(run_release(&world, device, 3, NULL), 0);
		world_expect_untouched(&world);
		world_fini(&world);
		if (whole)
			break;
	}
	print_message("%d steps\n", steps);
	assert_true(steps > 15);
}

static void any_one_failing_call_leaves_the_host_as_it_was_or_recoverable(void **state)
{
	int step;

	for (step = 0;; step++) {
		struct diag diag = DIAG_INIT;
		struct world world;
		size_t nr;
		int err;

		world_init(&world, NULL);
		world.countdown = step;
		world.one = true;
		err = run_bind(&world, "3:0.0", true, 0, &diag);
		if (world.countdown >= 0) {
			assert_int_equal(err, 0);
			world_fini(&world);
			break;
		}
		world.countdown = -1;
		if (err) {
			assert_int_equal(run_recover(&world, &nr, NULL), 0);
			world_expect_untouched(&world);
		}
		world_fini(&world);
	}
	assert_true(step > 40);
}

static void a_cut_line_was_never_acted_upon(void **state)
{
	static const char text[] = "begin 0000:05:00.0 nvme -\nheld 0000:05:00.0\nback 0000:05";
	struct assign_journal journal;
	struct world world;

	world_init(&world, NULL);
	memcpy(world.journal, text, sizeof(text) - 1);
	world.journal_len = sizeof(text) - 1;
	assert_int_equal(assign_journal_open(&world.sys, &journal, NULL), 0);
	assert_int_equal(journal.nr_records, 1);
	assert_int_equal(journal.record[0].state, ASSIGN_HELD);
	assert_int_equal(world.journal_len,
			 strlen("begin 0000:05:00.0 nvme -\nheld 0000:05:00.0\n"));
	assign_journal_close(&journal);
	world_fini(&world);
}

static void a_journal_that_is_not_ours_is_refused(void **state)
{
	static const char *const bad[] = {
		"rubbish\n",
		"begin 0000:05:00.0\n",
		"begin 05:00.0 nvme -\n",
		"begin 0000:05:00.0 ../../x -\n",
		"begin 0000:05:00.0 nvme/../../x -\n",
		"held 0000:05:00.0\n",
		"begin 0000:05:00.0 nvme -\nlost 0000:05:00.0\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct assign_journal journal;
		struct diag diag = DIAG_INIT;
		struct world world;

		world_init(&world, NULL);
		strcpy(world.journal, bad[i]);
		world.journal_len = strlen(bad[i]);
		if (assign_journal_open(&world.sys, &journal, &diag) != -EINVAL)
			fail_msg("\"%s\" was read", bad[i]);
		assert_non_null(strstr(diag.reason, "not one this program wrote"));
		assert_false(world.locked);
		world_fini(&world);
	}
}

static void the_journal_does_not_grow_for_ever(void **state)
{
	static const char *const device[] = { "5:0.0" };
	struct world world;
	size_t longest = 0;

	world_init(&world, NULL);
	assert_int_equal(run_bind(&world, "3:0.0", true, 0, NULL), 0);
	for (int i = 0; i < 500; i++) {
		assert_int_equal(run_bind(&world, "5:0.0", false, 0, NULL), 0);
		assert_int_equal(run_release(&world, device, 1, NULL), 0);
		longest = max_u64(longest, world.journal_len);
	}
	assert_true(longest < 4096);
	/* What is held is remembered all the while. */
	assert_int_equal(run_release(&world, (const char *const[]){ "3:0.0", "3:0.1", "3:0.2" }, 3,
				     NULL),
			 0);
	world_expect_untouched(&world);
	world_fini(&world);
}

static void squeezing_killed_half_way_says_the_same(void **state)
{
	static const char text[] =
		"begin 0000:05:00.0 nvme -\nheld 0000:05:00.0\nend\n:00.0\ndone 0000";
	struct assign_journal journal;
	struct world world;

	world_init(&world, NULL);
	memcpy(world.journal, text, sizeof(text) - 1);
	world.journal_len = sizeof(text) - 1;
	assert_int_equal(assign_journal_open(&world.sys, &journal, NULL), 0);
	assert_int_equal(journal.nr_records, 1);
	assert_int_equal(journal.record[0].state, ASSIGN_HELD);
	assert_int_equal(world.journal_len, strstr(text, "end\n") - text);
	assign_journal_close(&journal);
	world_fini(&world);
}

static void a_binding_that_persists_has_a_rule_until_it_is_released(void **state)
{
	static const char *const device[] = { "3:0.0", "3:0.1", "3:0.2" };
	struct world world;

	world_init(&world, NULL);
	world.program = "/usr/bin/airlock";
	assert_int_equal(run_bind(&world, "3:0.0", true, 0, NULL), 0);
	/* One for each function of the group; bridges stay with the host at every boot. */
	assert_int_equal(world_rules(&world), 3);
	assert_string_equal(world.rule[0].path, "/etc/udev/rules.d/60-airlock-0000:03:00.0.rules");
	/* By place and kind: other hardware at the same place is left alone. */
	assert_non_null(strstr(world.rule[0].text, "ACTION==\"add\", SUBSYSTEM==\"pci\", "
						   "KERNEL==\"0000:03:00.0\", "
						   "ATTR{vendor}==\"0x1234\", "
						   "ATTR{device}==\"0x5678\", "
						   "RUN+=\"/usr/bin/airlock bind 0000:03:00.0 "
						   "--boot nvme\"\n"));
	assert_non_null(strstr(world.rule[2].text, "--boot none\""));
	/* Again: the same rules. */
	assert_int_equal(run_bind(&world, "3:0.0", true, 0, NULL), 0);
	assert_int_equal(world_rules(&world), 3);
	assert_non_null(strstr(world.rule[0].text, "--boot nvme\""));
	/* What is refused keeps its rule. */
	world.group_busy = true;
	assert_int_equal(run_release(&world, device, 3, NULL), -EBUSY);
	assert_int_equal(world_rules(&world), 3);
	world.group_busy = false;
	assert_int_equal(run_release(&world, device, 3, NULL), 0);
	assert_int_equal(world_rules(&world), 0);
	world_expect_untouched(&world);
	world_fini(&world);
}

static void a_binding_that_cannot_persist_is_said_so(void **state)
{
	static const struct {
		const char *program, *words;
		bool no_udev;
		int err;
	} refused[] = {
		{ "/usr/bin/airlock", "its udev rule cannot be made", true, -ENOENT },
		{ "/home/a b/airlock", "cannot name this path", false, -EINVAL },
		{ "/tmp/$(reboot)", "cannot name this path", false, -EINVAL },
		{ "/tmp/x\", RUN+=\"y", "cannot name this path", false, -EINVAL },
		{ "airlock", "cannot name this path", false, -EINVAL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct diag diag = DIAG_INIT;
		struct world world;

		world_init(&world, NULL);
		world.program = refused[i].program;
		world.no_udev = refused[i].no_udev;
		assert_int_equal(run_bind(&world, "5:0.0", false, 0, &diag), refused[i].err);
		assert_non_null(strstr(diag.reason, refused[i].words));
		assert_int_equal(world_rules(&world), 0);
		assert_string_equal(world_driver(&world, "0000:05:00.0"), "vfio-pci");
		world_fini(&world);
	}
}

static void any_one_failing_call_makes_all_rules_or_none(void **state)
{
	bool done = false;

	for (int step = 0; !done; step++) {
		struct world world;
		size_t bound = 0;
		int err;

		world_init(&world, NULL);
		world.program = "/usr/bin/airlock";
		world.one = true;
		world.countdown = step;
		err = run_bind(&world, "3:0.0", true, 0, NULL);
		done = world.countdown >= 0;
		world.countdown = -1;
		/* A function whose group could not be read is left out of both. */
		for (size_t i = 1; i < 4; i++)
			bound += !strcmp(world_driver(&world, functions[i].name), "vfio-pci");
		assert_int_equal(world_rules(&world), err ? 0 : bound);
		world_fini(&world);
	}
}

static void without_a_rule_nothing_is_removed(void **state)
{
	static const char *const device[] = { "5:0.0" };
	struct world world;

	world_init(&world, NULL);
	world.read_only = true;
	assert_int_equal(run_bind(&world, "5:0.0", false, 0, NULL), 0);
	assert_int_equal(run_release(&world, device, 1, NULL), 0);
	world_expect_untouched(&world);
	world_fini(&world);
}

static void at_boot_each_of_a_group_is_bound_in_its_turn(void **state)
{
	static const char *const device[] = { "3:0.0", "3:0.1", "3:0.2" };
	struct world world;

	world_init(&world, NULL);
	/* The first has no driver yet: it goes back to the one it belongs to all the same. */
	world_set_driver(&world, "0000:03:00.0", "");
	world.boot = "nvme";
	assert_int_equal(run_bind(&world, "3:0.0", false, 0, NULL), 0);
	assert_string_equal(world_driver(&world, "0000:03:00.0"), "vfio-pci");
	assert_string_equal(world_driver(&world, "0000:03:00.1"), "i40e");
	world.boot = "i40e";
	assert_int_equal(run_bind(&world, "3:0.1", false, 0, NULL), 0);
	world.boot = "";
	assert_int_equal(run_bind(&world, "3:0.2", false, 0, NULL), 0);
	assert_int_equal(run_release(&world, device, 3, NULL), 0);
	world_expect_untouched(&world);
	world_fini(&world);
}

static void a_persistent_bind_killed_at_any_step_leaves_a_host_that_can_be_released(void **state)
{
	int steps;
	bool whole = false;

	for (steps = 0; !whole; steps++) {
		static const char *const device[] = { "3:0.0", "3:0.1", "3:0.2" };
		struct world world;
		size_t nr;

		world_init(&world, NULL);
		world.program = "/usr/bin/airlock";
		world.countdown = steps;
		run_bind(&world, "3:0.0", true, 0, NULL);
		whole = world.calls <= steps;
		world.countdown = -1;
		world.locked = false;
		assert_int_equal(run_recover(&world, &nr, NULL), 0);
		/* Never a rule for what is not bound. */
		if (strcmp(world_driver(&world, "0000:03:00.0"), "vfio-pci"))
			assert_int_equal(world_rules(&world), 0);
		else
			assert_int_equal(run_release(&world, device, 3, NULL), 0);
		world_expect_untouched(&world);
		assert_int_equal(world_rules(&world), 0);
		world_fini(&world);
	}
	assert_true(steps > 50);
}

static void a_release_killed_at_any_step_leaves_rule_and_binding_or_neither(void **state)
{
	int steps;
	bool whole = false;

	for (steps = 0; !whole; steps++) {
		static const char *const device[] = { "3:0.0", "3:0.1", "3:0.2" };
		struct world world;
		size_t nr;

		world_init(&world, NULL);
		world.program = "/usr/bin/airlock";
		assert_int_equal(run_bind(&world, "3:0.0", true, 0, NULL), 0);
		world.calls = 0;
		world.countdown = steps;
		run_release(&world, device, 3, NULL);
		whole = world.calls <= steps;
		world.countdown = -1;
		world.locked = false;
		assert_int_equal(run_recover(&world, &nr, NULL), 0);
		assert_int_equal(world_rules(&world),
				 strcmp(world_driver(&world, "0000:03:00.0"), "vfio-pci") ? 0 : 3);
		world_fini(&world);
	}
	assert_true(steps > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_goes_to_vfio_and_back_to_its_driver),
		cmocka_unit_test(a_group_goes_whole_and_comes_back_whole),
		cmocka_unit_test(a_sibling_in_the_hosts_hands_is_named),
		cmocka_unit_test(bridges_and_devices_without_a_group_are_refused),
		cmocka_unit_test(without_vfio_pci_nothing_is_touched),
		cmocka_unit_test(what_is_in_use_is_refused_by_name),
		cmocka_unit_test(the_uses_of_other_devices_do_not_matter),
		cmocka_unit_test(a_disk_the_kernel_holds_is_in_use_whatever_for),
		cmocka_unit_test(uses_that_cannot_be_known_are_refused),
		cmocka_unit_test(a_driver_that_refuses_undoes_what_was_done),
		cmocka_unit_test(two_at_once_are_refused),
		cmocka_unit_test(what_a_vm_has_open_is_not_released),
		cmocka_unit_test(what_was_not_taken_is_not_given_back),
		cmocka_unit_test(an_override_that_was_there_comes_back),
		cmocka_unit_test(a_bind_killed_at_any_step_is_recovered),
		cmocka_unit_test(a_recovery_killed_at_any_step_is_recovered),
		cmocka_unit_test(a_release_killed_at_any_step_is_recovered),
		cmocka_unit_test(any_one_failing_call_leaves_the_host_as_it_was_or_recoverable),
		cmocka_unit_test(a_cut_line_was_never_acted_upon),
		cmocka_unit_test(a_journal_that_is_not_ours_is_refused),
		cmocka_unit_test(the_journal_does_not_grow_for_ever),
		cmocka_unit_test(squeezing_killed_half_way_says_the_same),
		cmocka_unit_test(a_binding_that_persists_has_a_rule_until_it_is_released),
		cmocka_unit_test(a_binding_that_cannot_persist_is_said_so),
		cmocka_unit_test(any_one_failing_call_makes_all_rules_or_none),
		cmocka_unit_test(without_a_rule_nothing_is_removed),
		cmocka_unit_test(at_boot_each_of_a_group_is_bound_in_its_turn),
		cmocka_unit_test(
			a_persistent_bind_killed_at_any_step_leaves_a_host_that_can_be_released),
		cmocka_unit_test(a_release_killed_at_any_step_leaves_rule_and_binding_or_neither),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
