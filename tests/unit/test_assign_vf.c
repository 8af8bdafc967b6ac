// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Virtual functions and pools on a drive that behaves: SR-IOV in sysfs, secondary controllers and
 * namespaces behind the admin queue, lock files; and every call failing in turn.
 */
#include <errno.h>
#include <linux/nvme_ioctl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "assign/pool.h"
#include "base/bits.h"
#include "base/endian.h"
#include "fake/card.h"
#include "host/capture_store.h"

#define PF	      "0000:01:00.0"
#define CARD	      "0000:02:00.0"
#define CARD_VF0      "0000:02:00.1"
#define CARD_VF1      "0000:02:00.2"
#define NR_VFS	      4
#define NR_NAMESPACES 5 /* 1 is the host's; the others nobody's */
#define NR_FILES      8
#define NR_HANDLES    32
#define FD_DRIVE      100
#define FD_GROUP      101
#define FD_ROUTE      102
#define FD_FIRST      200

struct file {
	char path[96];
	char data[4096];
	size_t len;
	int locked_by; /* handle + 1 */
};

struct world {
	struct host_capture *capture;
	struct sys inner, sys;
	struct sys_ops ops;
	struct fake_card card; /* 0000:02:00.0, which has two virtual functions */
	bool card_reset[2];
	struct file file[NR_FILES];
	struct file *handle[NR_HANDLES];
	/* The drive: one entry for each secondary controller, whose id is its index + 1. */
	bool online[NR_VFS + 1];
	uint16_t queues[NR_VFS + 1], interrupts[NR_VFS + 1];
	bool attached[NR_NAMESPACES + 1][NR_VFS + 1]; /* [nsid][controller]; 0 is the primary */
	bool erased[NR_NAMESPACES + 1];
	bool was_reset[NR_VFS];
	unsigned int nr_vfs;
	bool group_busy, no_reset;
	int countdown; /* to the one call that fails; negative: none */
	int calls;
};

static bool fails(struct world *world)
{
	world->calls++;
	return world->countdown >= 0 && !world->countdown--;
}

static void put_text(struct world *world, const char *path, const char *text)
{
	struct capture_node *node = capture_node_get(world->capture, SYS_TREE_SYS, path);

	assert_int_equal(capture_node_set(node, CAPTURE_DATA, text, strlen(text)), 0);
}

static void put_link(struct world *world, const char *path, const char *target)
{
	struct capture_node *node = capture_node_get(world->capture, SYS_TREE_SYS, path);

	if (target) {
		capture_node_set(node, CAPTURE_LINK, target, strlen(target));
		return;
	}
	capture_node_set(node, CAPTURE_ERROR, NULL, 0);
	node->err = -ENOENT;
}

static const char *vf_name(unsigned int number)
{
	static char name[4][PCI_ADDRESS_TEXT];

	snprintf(name[number], sizeof(name[number]), "0000:01:00.%u", number + 1);
	return name[number];
}

static void set_driver(struct world *world, const char *name, unsigned int class,
		       const char *driver)
{
	char path[128], text[192];

	snprintf(path, sizeof(path), "bus/pci/devices/%s/uevent", name);
	snprintf(text, sizeof(text), "%s%s%sPCI_CLASS=%X\nPCI_ID=1B36:0010\n",
		 *driver ? "DRIVER=" : "", driver, *driver ? "\n" : "", class);
	put_text(world, path, text);
	snprintf(path, sizeof(path), "bus/pci/devices/%s/driver", name);
	snprintf(text, sizeof(text), "../../../bus/pci/drivers/%s", driver);
	put_link(world, path, *driver ? text : NULL);
}

static void set_numvfs(struct world *world, unsigned int nr)
{
	char path[128], text[128];

	for (unsigned int i = 0; i < NR_VFS; i++) {
		snprintf(path, sizeof(path), "bus/pci/devices/" PF "/virtfn%u", i);
		snprintf(text, sizeof(text), "../%s", vf_name(i));
		put_link(world, path, i < nr ? text : NULL);
		if (i >= nr) {
			/* Its controller goes with it; what it was attached to stays. */
			world->online[i + 1] = false;
			continue;
		}
		set_driver(world, vf_name(i), 0x010802, "");
		snprintf(path, sizeof(path), "bus/pci/devices/%s/physfn", vf_name(i));
		put_link(world, path, "../" PF);
		snprintf(path, sizeof(path), "bus/pci/devices/%s/iommu_group", vf_name(i));
		snprintf(text, sizeof(text), "../../../kernel/iommu_groups/%u", 20 + i);
		put_link(world, path, text);
	}
	world->nr_vfs = nr;
	snprintf(text, sizeof(text), "%u\n", nr);
	put_text(world, "bus/pci/devices/" PF "/sriov_numvfs", text);
}

static int fake_write_file(struct sys *sys, enum sys_tree tree, const char *path, const void *data,
			   size_t len)
{
	struct world *world = sys->ctx;
	unsigned int vf, value = (unsigned int)strtoul(data, NULL, 10);

	if (fails(world))
		return -EIO;
	if (!strcmp(path, "bus/pci/devices/" PF "/sriov_numvfs")) {
		if (value && world->nr_vfs)
			return -EBUSY;
		set_numvfs(world, value);
		return 0;
	}
	if (!strcmp(path, "bus/pci/devices/" PF "/sriov_drivers_autoprobe")) {
		put_text(world, path, value ? "1\n" : "0\n");
		return 0;
	}
	if (world->no_reset)
		return -ENOENT;
	if (sscanf(path, "bus/pci/devices/0000:02:00.%u/reset", &vf) == 1) {
		world->card_reset[vf - 1] = true;
		return 0;
	}
	assert_int_equal(sscanf(path, "bus/pci/devices/0000:01:00.%u/reset", &vf), 1);
	/* Only an offline controller is reset under its user's feet. */
	assert_false(world->online[vf]);
	world->was_reset[vf - 1] = true;
	return 0;
}

static void identify(struct world *world, const struct nvme_passthru_cmd *command, uint8_t *page)
{
	unsigned int nr = 0;

	memset(page, 0, 4096);
	switch (command->cdw10) {
	case 0x01:
		le_store(page + 256, 2, 0x000a);
		break;
	case 0x10:
		for (unsigned int i = 1; i <= NR_NAMESPACES; i++)
			le_store(page + 4 * (i - 1), 4, i);
		break;
	case 0x11:
		page[26] = 3;
		break;
	case 0x12:
		for (unsigned int i = 0; i <= NR_VFS; i++)
			if (world->attached[command->nsid][i])
				le_store(page + 2 + 2 * nr++, 2, i);
		le_store(page, 2, nr);
		break;
	case 0x14:
		le_store(page + 32, 4, 8);
		le_store(page + 44, 2, 2);
		le_store(page + 64, 4, 4);
		le_store(page + 76, 2, 1);
		break;
	case 0x15:
		page[0] = NR_VFS;
		for (unsigned int i = 1; i <= NR_VFS; i++) {
			le_store(page + 32 * i, 2, i);
			page[32 * i + 4] = world->online[i];
			le_store(page + 32 * i + 8, 2, i <= world->nr_vfs ? i : 0);
			le_store(page + 32 * i + 10, 2, world->queues[i]);
			le_store(page + 32 * i + 12, 2, world->interrupts[i]);
		}
		break;
	default:
		fail_msg("identify %x", command->cdw10);
	}
}

static int fake_ioctl(struct sys *sys, int fd, unsigned long request, void *arg)
{
	struct nvme_passthru_cmd *command = arg;
	struct world *world = sys->ctx;
	uint8_t *page = (uint8_t *)(uintptr_t)command->addr;
	unsigned int id = command->cdw10 >> 16;

	assert_int_equal(fd, FD_DRIVE);
	assert_int_equal(request, NVME_IOCTL_ADMIN_CMD);
	if (fails(world))
		return 0x4006;
	switch (command->opcode) {
	case 0x06:
		identify(world, command, page);
		return 0;
	case 0x15:
		id = (unsigned int)le_load(page + 2, 2);
		assert_true(id <= NR_VFS);
		/* Twice the same is an error of the drive's: 5.12. */
		if (world->attached[command->nsid][id] == !command->cdw10)
			return 0x4118;
		world->attached[command->nsid][id] = !command->cdw10;
		return 0;
	case 0x1c:
		assert_true(id >= 1 && id <= NR_VFS);
		switch (command->cdw10 & 0xf) {
		case 7:
			/* As some do: its share is gone with it. */
			world->online[id] = false;
			world->queues[id] = world->interrupts[id] = 0;
			return 0;
		case 8:
			assert_false(world->online[id]);
			*(command->cdw10 >> 8 & 7 ? &world->interrupts[id] : &world->queues[id]) =
				(uint16_t)command->cdw11;
			return 0;
		case 9:
			if (world->queues[id] < 2 || !world->interrupts[id])
				return 0x4119;
			world->online[id] = true;
			return 0;
		}
		break;
	case 0x80:
		assert_int_equal(command->cdw10, 3 | 1 << 9);
		/* A controller formats only what it sees: 5.23. */
		if (!world->attached[command->nsid][0])
			return 0x4002;
		world->erased[command->nsid] = true;
		return 0;
	}
	fail_msg("command %x %x", command->opcode, command->cdw10);
	return -EINVAL;
}

static int fake_open(struct sys *sys, enum sys_object kind, const char *name)
{
	struct world *world = sys->ctx;
	int free_handle = -1;

	if (fails(world))
		return -EIO;
	if (kind == SYS_VFIO_GROUP)
		return world->group_busy ? -EBUSY : FD_GROUP;
	if (kind == SYS_ROUTE)
		return FD_ROUTE;
	if (!strcmp(name, "/dev/nvme0"))
		return FD_DRIVE;
	for (int i = 0; i < NR_HANDLES; i++)
		if (!world->handle[i])
			free_handle = i;
	assert_true(free_handle >= 0);
	for (int i = 0; i < NR_FILES; i++) {
		struct file *file = &world->file[i];

		if (file->path[0] && strcmp(file->path, name))
			continue;
		if (!file->path[0] && kind == SYS_FILE_READ)
			return -ENOENT;
		snprintf(file->path, sizeof(file->path), "%s", name);
		world->handle[free_handle] = file;
		return FD_FIRST + free_handle;
	}
	fail_msg("too many files");
	return -ENFILE;
}

static struct file *file_of(struct sys *sys, int fd)
{
	struct world *world = sys->ctx;

	assert_true(fd >= FD_FIRST && fd < FD_FIRST + NR_HANDLES);
	assert_non_null(world->handle[fd - FD_FIRST]);
	return world->handle[fd - FD_FIRST];
}

static void fake_close(struct sys *sys, int fd)
{
	struct world *world = sys->ctx;
	struct file *file;

	if (fd < FD_FIRST)
		return;
	file = file_of(sys, fd);
	if (file->locked_by == fd - FD_FIRST + 1)
		file->locked_by = 0;
	world->handle[fd - FD_FIRST] = NULL;
}

static int fake_lock(struct sys *sys, int fd)
{
	struct file *file = file_of(sys, fd);

	if (fails(sys->ctx))
		return -EIO;
	if (file->locked_by && file->locked_by != fd - FD_FIRST + 1)
		return -EAGAIN;
	file->locked_by = fd - FD_FIRST + 1;
	return 0;
}

static int fake_size(struct sys *sys, int fd, uint64_t *size)
{
	*size = file_of(sys, fd)->len;
	return fails(sys->ctx) ? -EIO : 0;
}

static int fake_truncate(struct sys *sys, int fd, uint64_t size)
{
	if (fails(sys->ctx))
		return -EIO;
	file_of(sys, fd)->len = size;
	return 0;
}

static ssize_t fake_pread(struct sys *sys, int fd, void *buf, size_t len, uint64_t offset)
{
	struct file *file = file_of(sys, fd);

	if (fails(sys->ctx))
		return -EIO;
	len = offset < file->len ? min_u64(len, file->len - offset) : 0;
	memcpy(buf, file->data + offset, len);
	return (ssize_t)len;
}

static ssize_t fake_pwrite(struct sys *sys, int fd, const void *buf, size_t len, uint64_t offset)
{
	struct file *file = file_of(sys, fd);

	if (fails(sys->ctx))
		return -EIO;
	assert_true(offset + len <= sizeof(file->data));
	memcpy(file->data + offset, buf, len);
	file->len = max_u64(file->len, offset + len);
	return (ssize_t)len;
}

static ssize_t fake_write(struct sys *sys, int fd, const void *buf, size_t len)
{
	struct world *world = sys->ctx;

	assert_int_equal(fd, FD_ROUTE);
	return fails(world) ? -ENOBUFS : fake_card_write(&world->card, buf, len);
}

static ssize_t fake_read(struct sys *sys, int fd, void *buf, size_t len)
{
	struct world *world = sys->ctx;
	ssize_t got;

	assert_int_equal(fd, FD_ROUTE);
	got = fake_card_read(&world->card, buf, len);
	return fails(world) ? -EAGAIN : got;
}

static ssize_t through_read_file(struct sys *sys, enum sys_tree tree, const char *path, void *buf,
				 size_t size)
{
	struct world *world = sys->ctx;

	return world->inner.ops->read_file(&world->inner, tree, path, buf, size);
}

static ssize_t through_read_link(struct sys *sys, enum sys_tree tree, const char *path, char *buf,
				 size_t size)
{
	struct world *world = sys->ctx;

	return world->inner.ops->read_link(&world->inner, tree, path, buf, size);
}

static int through_list(struct sys *sys, enum sys_tree tree, const char *path, sys_list_fn fn,
			void *opaque)
{
	struct world *world = sys->ctx;

	return world->inner.ops->list(&world->inner, tree, path, fn, opaque);
}

static void world_init(struct world *world)
{
	static const char text[] =
		"airlock-host 1\nunlisted absent\nproc 1/mountinfo =\n"
		"sys bus/pci/drivers/vfio-pci .\n"
		"sys bus/pci/devices/" PF "/sriov_totalvfs = 4\\n\n"
		"sys bus/pci/devices/" PF "/sriov_drivers_autoprobe = 1\\n\n"
		"sys bus/pci/devices/0000:02:00.0/uevent = PCI_CLASS=20000\\nPCI_ID=8086:1572\\n\n"
		"sys bus/pci/devices/0000:02:00.0/sriov_totalvfs = 8\\n\n"
		"sys bus/pci/devices/0000:02:00.0/sriov_numvfs = 2\\n\n"
		"sys bus/pci/devices/0000:02:00.0/virtfn0 -> ../0000:02:00.1\n"
		"sys bus/pci/devices/0000:02:00.0/virtfn1 -> ../0000:02:00.2\n"
		"sys bus/pci/devices/0000:02:00.0/net/eth0/ifindex = 7\\n\n"
		"sys bus/pci/devices/0000:02:00.1/physfn -> ../0000:02:00.0\n"
		"sys bus/pci/devices/0000:02:00.2/physfn -> ../0000:02:00.0\n"
		"sys bus/pci/devices/0000:04:00.0/uevent = PCI_CLASS=20000\\nPCI_ID=8086:1572\\n\n"
		"sys bus/pci/devices/0000:04:00.0/sriov_totalvfs = 8\\n\n"
		"sys bus/pci/devices/0000:04:00.0/sriov_numvfs = 0\\n\n"
		"sys bus/pci/devices/0000:03:00.0/uevent = PCI_CLASS=10802\\nPCI_ID=144D:A808\\n\n"
		"sys class/nvme/nvme0 -> ../../devices/pci0000:00/" PF "/nvme/nvme0\n";

	memset(world, 0, sizeof(*world));
	world->countdown = -1;
	world->attached[1][0] = true;
	assert_int_equal(host_capture_parse(text, sizeof(text) - 1, "world", &world->capture, NULL),
			 0);
	world->inner = host_capture_sys(world->capture);
	world->ops = *world->inner.ops;
	world->ops.open = fake_open;
	world->ops.close = fake_close;
	world->ops.ioctl = fake_ioctl;
	world->ops.read = fake_read;
	world->ops.write = fake_write;
	world->ops.lock = fake_lock;
	world->ops.size = fake_size;
	world->ops.truncate = fake_truncate;
	world->ops.pread = fake_pread;
	world->ops.pwrite = fake_pwrite;
	world->ops.write_file = fake_write_file;
	/* Reads go to the capture, whose functions take its own context. */
	world->ops.read_file = through_read_file;
	world->ops.read_link = through_read_link;
	world->ops.list = through_list;
	world->sys = (struct sys){ .ops = &world->ops, .ctx = world };
	fake_card_init(&world->card, 2);
	set_driver(world, CARD_VF0, 0x020000, "vfio-pci");
	set_driver(world, CARD_VF1, 0x020000, "vfio-pci");
	set_driver(world, PF, 0x010802, "nvme");
	set_numvfs(world, 0);
}

static void world_end(struct world *world)
{
	/* Whatever was opened has been closed: no lock outlives its holder by mistake. */
	for (int i = 0; i < NR_HANDLES; i++)
		assert_null(world->handle[i]);
	host_capture_destroy(world->capture);
}

static struct host_function function(struct world *world, const char *name)
{
	struct pci_address address;
	struct host_function f;

	assert_int_equal(pci_address_parse(name, &address), 0);
	assert_int_equal(host_function_read(&world->sys, address, &f, NULL), 0);
	return f;
}

static int create(struct world *world, const char *name, unsigned int nr, bool own,
		  struct diag *diag)
{
	struct host_function pf = function(world, name);
	struct assign_journal journal;
	int err = assign_journal_open(&world->sys, &journal, diag);

	if (err)
		return err;
	err = assign_vf_create(&journal, &pf, &(struct assign_vf_create){ nr, own }, diag);
	assign_journal_close(&journal);
	return err;
}

static int destroy(struct world *world, struct diag *diag)
{
	struct host_function pf = function(world, PF);
	struct assign_journal journal;
	int err = assign_journal_open(&world->sys, &journal, diag);

	if (err)
		return err;
	err = assign_vf_destroy(&journal, &pf, 0, diag);
	assign_journal_close(&journal);
	return err;
}

static int make_pool_of(struct world *world, const char *device, const char *name, bool wipe,
			struct diag *diag)
{
	struct host_function pf = function(world, device);
	struct assign_journal journal;
	int err = assign_journal_open(&world->sys, &journal, diag);

	if (err)
		return err;
	err = assign_pool_create(&journal, name, &pf, wipe, diag);
	assign_journal_close(&journal);
	return err;
}

static int make_pool(struct world *world, const char *name, bool wipe, struct diag *diag)
{
	return make_pool_of(world, PF, name, wipe, diag);
}

static int set(struct world *world, const char *name, const struct assign_vf_settings *settings,
	       struct diag *diag)
{
	struct host_function vf = function(world, name);
	struct assign_journal journal;
	int err = assign_journal_open(&world->sys, &journal, diag);

	if (err)
		return err;
	err = assign_vf_set(&journal, &vf, settings, diag);
	assign_journal_close(&journal);
	return err;
}

static void expect_no_vfs(struct world *world)
{
	char text[8];

	assert_int_equal(world->nr_vfs, 0);
	sys_read_text(&world->inner, SYS_TREE_SYS, "bus/pci/devices/" PF "/sriov_drivers_autoprobe",
		      text, sizeof(text));
	assert_string_equal(text, "1");
}

static void vfs_get_queues_interrupts_and_come_online(void **state)
{
	struct assign_vf vf[8];
	struct host_function pf;
	struct world world;

	world_init(&world);
	assert_int_equal(create(&world, PF, 2, false, NULL), 0);
	pf = function(&world, PF);
	assert_int_equal(assign_vf_list(&world.sys, &pf, vf, 8, NULL), 2);
	for (int i = 0; i < 2; i++) {
		assert_true(vf[i].has_controller && vf[i].controller.online);
		assert_int_equal(vf[i].controller.queues, 2);
		assert_int_equal(vf[i].controller.interrupts, 1);
		assert_int_equal(vf[i].group, 20 + i);
		assert_string_equal(vf[i].driver, "");
		/* The host's namespace, which the other sees as well. */
		assert_int_equal(vf[i].nr_namespaces, 1);
		assert_int_equal(vf[i].nsid[0], 1);
		assert_false(vf[i].alone);
	}
	assert_int_equal(destroy(&world, NULL), 0);
	expect_no_vfs(&world);
	for (int i = 1; i <= NR_VFS; i++)
		assert_false(world.attached[1][i]);
	world_end(&world);
}

static void each_may_have_a_namespace_of_its_own(void **state)
{
	struct assign_vf vf[8];
	struct host_function pf;
	struct world world;

	world_init(&world);
	/* Twice: the first round leaves nothing attached. */
	for (int round = 0; round < 2; round++) {
		assert_int_equal(create(&world, PF, 4, true, NULL), 0);
		pf = function(&world, PF);
		assert_int_equal(assign_vf_list(&world.sys, &pf, vf, 8, NULL), 4);
		for (unsigned int i = 0; i < 4; i++) {
			assert_int_equal(vf[i].nr_namespaces, 1);
			assert_int_equal(vf[i].nsid[0], i + 2);
			assert_true(vf[i].alone);
		}
		assert_int_equal(destroy(&world, NULL), 0);
	}
	world_end(&world);
}

static void refusals_come_before_anything_is_made(void **state)
{
	static const struct {
		const char *device, *reason;
		unsigned int nr;
		int err;
	} refused[] = {
		{ PF, "1 to 4 virtual functions", 5, -ERANGE },
		{ PF, "1 to 4 virtual functions", 0, -ERANGE },
		{ "3:0.0", "has no SR-IOV", 1, -EINVAL },
		{ "4:0.0", "only NVMe drives have namespaces", 1, -EINVAL },
	};
	struct diag diag = DIAG_INIT;
	struct world world;

	world_init(&world);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		diag_clear(&diag);
		assert_int_equal(create(&world, refused[i].device, refused[i].nr, true, &diag),
				 refused[i].err);
		if (!strstr(diag.reason, refused[i].reason))
			fail_msg("\"%s\" does not say \"%s\"", diag.reason, refused[i].reason);
		expect_no_vfs(&world);
	}
	/* One namespace less than asked for. */
	world.attached[3][0] = true;
	diag_clear(&diag);
	assert_int_equal(create(&world, PF, 4, true, &diag), -ENOSPC);
	assert_non_null(strstr(diag.reason, "4 namespaces that nobody sees are needed"));
	expect_no_vfs(&world);
	assert_int_equal(create(&world, PF, 1, false, NULL), 0);
	diag_clear(&diag);
	assert_int_equal(create(&world, PF, 1, false, &diag), -EBUSY);
	assert_non_null(strstr(diag.reason, "1 virtual functions already"));
	assert_int_equal(create(&world, vf_name(0), 1, false, NULL), -EINVAL);
	world_end(&world);
}

static void what_a_vm_has_open_is_not_taken_away(void **state)
{
	struct diag diag = DIAG_INIT;
	struct world world;

	world_init(&world);
	assert_int_equal(create(&world, PF, 2, false, NULL), 0);
	set_driver(&world, vf_name(1), 0x010802, "vfio-pci");
	world.group_busy = true;
	assert_int_equal(destroy(&world, &diag), -EBUSY);
	assert_string_equal(diag.object, vf_name(1));
	assert_int_equal(world.nr_vfs, 2);
	assert_true(world.online[2]);
	world.group_busy = false;
	assert_int_equal(destroy(&world, NULL), 0);
	expect_no_vfs(&world);
	world_end(&world);
}

static void any_one_failing_call_makes_all_or_nothing(void **state)
{
	int step;

	for (step = 0;; step++) {
		struct diag diag = DIAG_INIT;
		struct world world;
		int err;

		world_init(&world);
		world.countdown = step;
		err = create(&world, PF, 3, true, &diag);
		if (world.countdown >= 0) {
			assert_int_equal(err, 0);
			world_end(&world);
			break;
		}
		if (err) {
			assert_true(diag.err < 0 && diag.reason[0]);
			expect_no_vfs(&world);
			/* And it works then. */
			assert_int_equal(create(&world, PF, 3, true, NULL), 0);
		}
		for (unsigned int i = 1; i <= 3; i++)
			assert_true(world.online[i]);
		world_end(&world);
	}
	print_message("%d calls\n", step);
	assert_true(step > 50);
}

static void pooled(struct world *world, unsigned int nr, bool wipe)
{
	world_init(world);
	assert_int_equal(create(world, PF, nr, true, NULL), 0);
	for (unsigned int i = 0; i < nr; i++)
		set_driver(world, vf_name(i), 0x010802, "vfio-pci");
	assert_int_equal(make_pool(world, "fast", wipe, NULL), 0);
}

static void a_lease_is_scrubbed_before_it_is_given(void **state)
{
	struct assign_lease lease;
	struct world world;
	unsigned int pid;

	pooled(&world, 2, true);
	assert_int_equal(assign_pool_lease(&world.sys, "fast", &lease, NULL), 0);
	assert_string_equal(lease.name, vf_name(0));
	assert_true(world.was_reset[0] && world.erased[2] && world.online[1]);
	/* The other's, and the host's, are not touched. */
	assert_false(world.was_reset[1] || world.erased[3] || world.erased[1]);
	/* The host saw the namespace while it was erased, and no longer. */
	assert_false(world.attached[2][0]);
	assert_true(assign_pool_is_leased(&world.sys, lease.address, &pid));
	assert_int_equal(pid, getpid());
	assign_lease_end(&world.sys, &lease);
	assert_false(assign_pool_is_leased(&world.sys, lease.address, &pid));
	world_end(&world);
}

static void without_wipe_data_stay(void **state)
{
	struct assign_lease lease;
	struct world world;

	pooled(&world, 1, false);
	assert_int_equal(assign_pool_lease(&world.sys, "fast", &lease, NULL), 0);
	assert_true(world.was_reset[0]);
	assert_false(world.erased[2]);
	assign_lease_end(&world.sys, &lease);
	world_end(&world);
}

static void an_exhausted_pool_says_so(void **state)
{
	struct assign_lease lease[3];
	struct diag diag = DIAG_INIT;
	struct pci_address next;
	struct world world;

	pooled(&world, 2, false);
	assert_int_equal(assign_pool_lease(&world.sys, "fast", &lease[0], NULL), 0);
	assert_int_equal(assign_pool_peek(&world.sys, "fast", &next, NULL), 0);
	assert_int_equal(next.function, 2);
	assert_int_equal(assign_pool_lease(&world.sys, "fast", &lease[1], NULL), 0);
	assert_int_equal(assign_pool_lease(&world.sys, "fast", &lease[2], &diag), -EAGAIN);
	assert_non_null(strstr(diag.reason, "all 2 virtual functions of the pool are leased"));
	assert_int_equal(assign_pool_peek(&world.sys, "fast", &next, NULL), -EAGAIN);
	diag_clear(&diag);
	assert_int_equal(assign_pool_destroy(&world.sys, "fast", &diag), -EBUSY);
	assign_lease_end(&world.sys, &lease[0]);
	assert_int_equal(assign_pool_lease(&world.sys, "fast", &lease[2], NULL), 0);
	assert_string_equal(lease[2].name, vf_name(0));
	assign_lease_end(&world.sys, &lease[1]);
	assign_lease_end(&world.sys, &lease[2]);
	assert_int_equal(assign_pool_destroy(&world.sys, "fast", NULL), 0);
	diag_clear(&diag);
	assert_int_equal(assign_pool_lease(&world.sys, "fast", &lease[0], &diag), -ENOENT);
	world_end(&world);
}

static void what_cannot_be_scrubbed_is_not_leased(void **state)
{
	struct assign_lease lease;
	struct diag diag = DIAG_INIT;
	struct world world;

	pooled(&world, 2, false);
	world.no_reset = true;
	assert_int_equal(assign_pool_lease(&world.sys, "fast", &lease, &diag), -ENOENT);
	assert_int_equal(lease.fd, -1);
	assert_non_null(strstr(diag.reason, "cannot be reset"));
	world.no_reset = false;
	/* A dead holder's child still has it. */
	world.group_busy = true;
	diag_clear(&diag);
	assert_int_equal(assign_pool_lease(&world.sys, "fast", &lease, &diag), -EBUSY);
	world.group_busy = false;
	/* One that lost its driver is passed over for the next. */
	set_driver(&world, vf_name(0), 0x010802, "nvme");
	assert_int_equal(assign_pool_lease(&world.sys, "fast", &lease, NULL), 0);
	assert_string_equal(lease.name, vf_name(1));
	assign_lease_end(&world.sys, &lease);
	world_end(&world);
}

static void namespaces_that_became_shared_are_not_erased(void **state)
{
	struct assign_lease lease;
	struct diag diag = DIAG_INIT;
	struct world world;

	pooled(&world, 1, true);
	world.attached[2][4] = true;
	assert_int_equal(assign_pool_lease(&world.sys, "fast", &lease, &diag), -EPERM);
	assert_false(world.erased[2]);
	world_end(&world);
}

static void any_one_failing_call_leases_a_scrubbed_one_or_none(void **state)
{
	int step;

	for (step = 0;; step++) {
		struct assign_lease lease;
		struct world world;
		bool done;
		int err;

		pooled(&world, 2, true);
		world.countdown = step;
		err = assign_pool_lease(&world.sys, "fast", &lease, NULL);
		done = world.countdown >= 0;
		world.countdown = -1;
		if (!err) {
			unsigned int vf = lease.address.function - 1;

			assert_true(world.was_reset[vf] && world.erased[vf + 2] &&
				    world.online[vf + 1]);
			assign_lease_end(&world.sys, &lease);
		}
		/* No lock is left behind: the pool can be forgotten. */
		assert_int_equal(assign_pool_destroy(&world.sys, "fast", NULL), 0);
		world_end(&world);
		if (done)
			break;
	}
	print_message("%d calls\n", step);
	assert_true(step > 20);
}

static void pools_are_refused_where_they_would_be_unsafe(void **state)
{
	struct diag diag = DIAG_INIT;
	struct world world;

	world_init(&world);
	assert_int_equal(make_pool(&world, "fast", false, &diag), -ENOENT);
	assert_int_equal(create(&world, PF, 2, false, NULL), 0);
	diag_clear(&diag);
	assert_int_equal(make_pool(&world, "fast", false, &diag), -EINVAL);
	assert_non_null(strstr(diag.reason, "not bound to vfio-pci"));
	set_driver(&world, vf_name(0), 0x010802, "vfio-pci");
	set_driver(&world, vf_name(1), 0x010802, "vfio-pci");
	diag_clear(&diag);
	assert_int_equal(make_pool(&world, "fast", true, &diag), -EPERM);
	assert_non_null(strstr(diag.reason, "shares its namespaces"));
	assert_int_equal(make_pool(&world, "../fast", false, NULL), -EINVAL);
	assert_int_equal(make_pool(&world, "", false, NULL), -EINVAL);
	assert_int_equal(make_pool(&world, "fast", false, NULL), 0);
	assert_int_equal(make_pool(&world, "fast", false, NULL), -EEXIST);
	world_end(&world);
}

static void a_pool_that_is_not_ours_is_refused(void **state)
{
	static const char *const bad[] = {
		"rubbish\n",
		"airlock-pool 1\n",
		"airlock-pool 1\npf zz\nvf 0000:01:00.1\n",
		"airlock-pool 1\npf 0000:01:00.0\nvf ../../x 2 1\n",
		"airlock-pool 1\npf 0000:01:00.0\nvf 0000:01:00.1\n",
		"airlock-pool 1\npf 0000:01:00.0\nvf 0000:01:00.1 2 99999\n",
		"airlock-pool 1\nwhat 0000:01:00.0\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct assign_pool pool;
		struct diag diag = DIAG_INIT;
		struct world world;

		world_init(&world);
		strcpy(world.file[0].path, "/run/airlock-pool.x");
		strcpy(world.file[0].data, bad[i]);
		world.file[0].len = strlen(bad[i]);
		if (assign_pool_read(&world.sys, "x", &pool, &diag) != -EINVAL)
			fail_msg("\"%s\" was read", bad[i]);
		world_end(&world);
	}
}

static void a_drives_function_takes_resources_state_and_namespaces(void **state)
{
	struct assign_vf_settings settings = {
		.has_queues = true,
		.queues = 3,
		.has_namespaces = true,
		.nsid = { 4, 5 },
		.nr_namespaces = 2,
	};
	struct world world;

	world_init(&world);
	assert_int_equal(create(&world, PF, 2, true, NULL), 0);
	assert_int_equal(set(&world, vf_name(0), &settings, NULL), 0);
	assert_int_equal(world.queues[1], 3);
	assert_int_equal(world.interrupts[1], 1);
	assert_true(world.online[1] && world.attached[4][1] && world.attached[5][1]);
	assert_false(world.attached[2][1]);
	/* The other's are as they were. */
	assert_true(world.online[2] && world.attached[3][2]);
	settings = (struct assign_vf_settings){ .has_online = true };
	assert_int_equal(set(&world, vf_name(0), &settings, NULL), 0);
	assert_false(world.online[1]);
	/* It takes a share while it stays offline, and keeps it for later. */
	settings = (struct assign_vf_settings){
		.has_queues = true,
		.queues = 2,
		.has_interrupts = true,
		.interrupts = 2,
	};
	assert_int_equal(set(&world, vf_name(0), &settings, NULL), 0);
	assert_false(world.online[1]);
	assert_true(world.queues[1] == 2 && world.interrupts[1] == 2);
	settings = (struct assign_vf_settings){ .has_online = true, .online = true };
	assert_int_equal(set(&world, vf_name(0), &settings, NULL), 0);
	assert_true(world.online[1] && world.queues[1] == 2 && world.interrupts[1] == 2);
	world_end(&world);
}

static void a_setting_that_makes_no_sense_is_refused_untouched(void **state)
{
	static const struct {
		const char *device, *reason;
		struct assign_vf_settings settings;
		int err;
	} refused[] = {
		{ PF, "no virtual function", { .has_queues = true }, -EINVAL },
		{ CARD_VF0, "no NVMe drive", { .has_queues = true }, -EINVAL },
		{ "1:0.1", "no network card", { .link = { .has = 1 } }, -EINVAL },
		{ "1:0.1",
		  "has no namespace 9",
		  { .has_namespaces = true, .nsid = { 9 }, .nr_namespaces = 1 },
		  -ENOENT },
		/* Too few queues for the drive: it goes back online as it was. */
		{ "1:0.1", "online", { .has_queues = true, .queues = 1 }, -EIO },
	};
	struct world world;

	world_init(&world);
	assert_int_equal(create(&world, PF, 2, true, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct diag diag = DIAG_INIT;

		assert_int_equal(set(&world, refused[i].device, &refused[i].settings, &diag),
				 refused[i].err);
		if (!strstr(diag.reason, refused[i].reason))
			fail_msg("\"%s\" does not say \"%s\"", diag.reason, refused[i].reason);
		assert_true(world.online[1] && world.attached[2][1]);
		assert_int_equal(world.queues[1], 2);
		assert_int_equal(world.card.nr_set, 0);
	}
	/* What a VM has open stays online. */
	set_driver(&world, vf_name(0), 0x010802, "vfio-pci");
	world.group_busy = true;
	assert_int_equal(set(&world, vf_name(0), &(struct assign_vf_settings){ .has_online = true },
			     NULL),
			 -EBUSY);
	assert_true(world.online[1]);
	world_end(&world);
}

static void carded(struct world *world)
{
	world_init(world);
	for (uint8_t i = 0; i < 2; i++) {
		struct assign_link_settings *s = &world->card.function[i];

		s->mac[0] = 0x52;
		s->mac[5] = (uint8_t)(i + 1);
		s->vlan = 100;
		s->rate_max = 1000;
	}
	assert_int_equal(make_pool_of(world, CARD, "net", false, NULL), 0);
}

static void a_cards_function_is_reset_and_gets_its_settings_back(void **state)
{
	struct assign_link_settings was;
	struct assign_lease lease;
	struct world world;

	carded(&world);
	was = world.card.function[0];
	/* What the last holder had made of it. */
	world.card.function[0].mac[5] = 0x99;
	world.card.function[0].vlan = 7;
	world.card.function[0].trust = true;
	world.card.function[0].spoof_check = false;
	assert_int_equal(assign_pool_lease(&world.sys, "net", &lease, NULL), 0);
	assert_string_equal(lease.name, CARD_VF0);
	assert_true(world.card_reset[0] && !world.card_reset[1]);
	assert_true(assign_link_same(&was, &world.card.function[0]));
	assign_lease_end(&world.sys, &lease);
	/* Its address is written anew even where it looks right: filters hang on it. */
	world.card.asked[ASSIGN_LINK_MAC] = 0;
	assert_int_equal(assign_pool_lease(&world.sys, "net", &lease, NULL), 0);
	assert_int_equal(world.card.asked[ASSIGN_LINK_MAC], 1);
	assign_lease_end(&world.sys, &lease);
	world_end(&world);
}

static void a_cards_function_that_keeps_a_setting_is_not_leased(void **state)
{
	struct assign_lease lease;
	struct diag diag = DIAG_INIT;
	struct world world;

	carded(&world);
	/* Both are trusted by now, and the driver only says that it takes that back. */
	world.card.function[0].trust = world.card.function[1].trust = true;
	world.card.ignores = BIT(ASSIGN_LINK_TRUST);
	assert_int_equal(assign_pool_lease(&world.sys, "net", &lease, &diag), -EIO);
	assert_int_equal(lease.fd, -1);
	world.card.ignores = 0;
	world.card.refuses = BIT(ASSIGN_LINK_TRUST);
	diag_clear(&diag);
	assert_int_equal(assign_pool_lease(&world.sys, "net", &lease, &diag), -EOPNOTSUPP);
	/* One that is as it should be is leased though the driver has no such setting. */
	world.card.function[1].trust = false;
	assert_int_equal(assign_pool_lease(&world.sys, "net", &lease, NULL), 0);
	assert_string_equal(lease.name, CARD_VF1);
	assign_lease_end(&world.sys, &lease);
	world.no_reset = true;
	diag_clear(&diag);
	assert_int_equal(assign_pool_lease(&world.sys, "net", &lease, &diag), -ENOENT);
	world_end(&world);
}

static void any_one_failing_call_leases_a_card_scrubbed_or_not_at_all(void **state)
{
	int step;

	for (step = 0;; step++) {
		struct assign_link_settings was[2];
		struct assign_lease lease;
		struct world world;
		bool done;
		int err;

		carded(&world);
		memcpy(was, world.card.function, sizeof(was));
		for (int i = 0; i < 2; i++) {
			world.card.function[i].mac[5] = 0x99;
			world.card.function[i].trust = true;
		}
		world.countdown = step;
		err = assign_pool_lease(&world.sys, "net", &lease, NULL);
		done = world.countdown >= 0;
		world.countdown = -1;
		if (!err) {
			unsigned int vf = lease.address.function - 1;

			assert_true(world.card_reset[vf]);
			assert_true(assign_link_same(&was[vf], &world.card.function[vf]));
			assign_lease_end(&world.sys, &lease);
		}
		assert_int_equal(assign_pool_destroy(&world.sys, "net", NULL), 0);
		world_end(&world);
		if (done)
			break;
	}
	assert_true(step > 12);
}

static void pools_of_cards_are_refused_where_they_would_be_unsafe(void **state)
{
	struct diag diag = DIAG_INIT;
	struct world world;

	world_init(&world);
	assert_int_equal(make_pool_of(&world, CARD, "net", false, &diag), -EINVAL);
	assert_non_null(strstr(diag.reason, "no address of its own"));
	diag_clear(&diag);
	world.card.function[0].mac[5] = world.card.function[1].mac[5] = 1;
	assert_int_equal(make_pool_of(&world, CARD, "net", true, &diag), -EINVAL);
	assert_non_null(strstr(diag.reason, "only drives have something to wipe"));
	diag_clear(&diag);
	/* The card's own driver is gone, and with it the settings. */
	put_text(&world, "bus/pci/devices/" CARD "/net/eth0/ifindex", "8\n");
	assert_int_equal(make_pool_of(&world, CARD, "net", false, &diag), -EINVAL);
	assert_non_null(strstr(diag.reason, "does not tell its settings"));
	world_end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vfs_get_queues_interrupts_and_come_online),
		cmocka_unit_test(each_may_have_a_namespace_of_its_own),
		cmocka_unit_test(refusals_come_before_anything_is_made),
		cmocka_unit_test(what_a_vm_has_open_is_not_taken_away),
		cmocka_unit_test(any_one_failing_call_makes_all_or_nothing),
		cmocka_unit_test(a_lease_is_scrubbed_before_it_is_given),
		cmocka_unit_test(without_wipe_data_stay),
		cmocka_unit_test(an_exhausted_pool_says_so),
		cmocka_unit_test(what_cannot_be_scrubbed_is_not_leased),
		cmocka_unit_test(namespaces_that_became_shared_are_not_erased),
		cmocka_unit_test(any_one_failing_call_leases_a_scrubbed_one_or_none),
		cmocka_unit_test(pools_are_refused_where_they_would_be_unsafe),
		cmocka_unit_test(a_pool_that_is_not_ours_is_refused),
		cmocka_unit_test(pools_of_cards_are_refused_where_they_would_be_unsafe),
		cmocka_unit_test(any_one_failing_call_leases_a_card_scrubbed_or_not_at_all),
		cmocka_unit_test(a_cards_function_that_keeps_a_setting_is_not_leased),
		cmocka_unit_test(a_cards_function_is_reset_and_gets_its_settings_back),
		cmocka_unit_test(a_setting_that_makes_no_sense_is_refused_untouched),
		cmocka_unit_test(a_drives_function_takes_resources_state_and_namespaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
