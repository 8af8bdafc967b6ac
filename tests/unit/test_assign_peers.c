// SPDX-License-Identifier: GPL-2.0-or-later
/* Two VMs must not get devices that reach each other past the IOMMU. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "assign/peers.h"
#include "base/bits.h"
#include "host/capture_store.h"

/* A host description, with some functions bound to vfio-pci and some of their groups open. */
struct world {
	struct host_capture *capture;
	struct sys inner, sys;
	struct sys_ops ops;
	const char *open_group; /* which somebody has */
	int nr_reads;
};

static int fake_open(struct sys *sys, enum sys_object kind, const char *name)
{
	struct world *world = sys->ctx;

	assert_int_equal(kind, SYS_VFIO_GROUP);
	return world->open_group && !strcmp(name, world->open_group) ? -EBUSY : 99;
}

static void fake_close(struct sys *sys, int fd)
{
	assert_int_equal(fd, 99);
}

static ssize_t fake_read_file(struct sys *sys, enum sys_tree tree, const char *path, void *buf,
			      size_t size)
{
	struct world *world = sys->ctx;

	world->nr_reads++;
	return world->inner.ops->read_file(&world->inner, tree, path, buf, size);
}

static ssize_t fake_read_link(struct sys *sys, enum sys_tree tree, const char *path, char *buf,
			      size_t size)
{
	struct world *world = sys->ctx;

	return world->inner.ops->read_link(&world->inner, tree, path, buf, size);
}

static int fake_list(struct sys *sys, enum sys_tree tree, const char *path, sys_list_fn fn,
		     void *opaque)
{
	struct world *world = sys->ctx;

	return world->inner.ops->list(&world->inner, tree, path, fn, opaque);
}

static void bind_to_vfio(struct world *world, const char *name, int group)
{
	static const char text[] = "DRIVER=vfio-pci\nPCI_CLASS=10802\nPCI_ID=144D:A808\n";
	char path[96];

	snprintf(path, sizeof(path), "bus/pci/devices/%s/uevent", name);
	capture_node_set(capture_node_get(world->capture, SYS_TREE_SYS, path), CAPTURE_DATA, text,
			 strlen(text));
	snprintf(path, sizeof(path), "vfio/%d", group);
	capture_node_exists(capture_node_get(world->capture, SYS_TREE_DEV, path));
	capture_node_exists(capture_node_get(world->capture, SYS_TREE_DEV, "vfio/vfio"));
}

static void world_init(struct world *world, const char *name)
{
	struct sys real = sys_real();
	char path[512];

	memset(world, 0, sizeof(*world));
	snprintf(path, sizeof(path), TEST_SOURCE_ROOT "/tests/host/%s.host", name);
	assert_int_equal(host_capture_load(&real, path, &world->capture, NULL), 0);
	world->inner = host_capture_sys(world->capture);
	world->ops = *world->inner.ops;
	world->ops.open = fake_open;
	world->ops.close = fake_close;
	world->ops.read_file = fake_read_file;
	world->ops.read_link = fake_read_link;
	world->ops.list = fake_list;
	world->sys = (struct sys){ .ops = &world->ops, .ctx = world };
}

static int check(struct world *world, const char *ours, struct diag *diag)
{
	struct pci_address address;

	assert_int_equal(pci_address_parse(ours, &address), 0);
	return assign_peers_check(&world->sys, &address, 1, diag);
}

static void a_sibling_behind_an_open_port_is_not_given_to_another_vm(void **state)
{
	struct diag diag = DIAG_INIT;
	struct world world;

	world_init(&world, "switch-no-acs");
	bind_to_vfio(&world, "0000:03:00.0", 3);
	bind_to_vfio(&world, "0000:06:00.0", 7);
	world.open_group = "7";
	assert_int_equal(check(&world, "3:0.0", &diag), -EPERM);
	assert_string_equal(diag.object, "0000:03:00.0");
	assert_non_null(strstr(diag.reason, "it may reach 0000:06:00.0, which another VM has"));
	assert_non_null(strstr(diag.reason, "switch downstream port 0000:02:08.0"));
	assert_non_null(strstr(diag.remedy, "--accept peer-path"));
	host_capture_destroy(world.capture);
}

static void nor_the_isolated_one_while_the_other_has_the_open_port(void **state)
{
	struct diag diag = DIAG_INIT;
	struct world world;

	world_init(&world, "switch-no-acs");
	bind_to_vfio(&world, "0000:03:00.0", 3);
	bind_to_vfio(&world, "0000:06:00.0", 7);
	world.open_group = "3";
	assert_int_equal(check(&world, "6:0.0", &diag), -EPERM);
	assert_non_null(strstr(diag.reason, "it may be reached by 0000:03:00.0"));
	host_capture_destroy(world.capture);
}

static void a_peer_that_nobody_has_is_no_peer(void **state)
{
	struct world world;

	world_init(&world, "switch-no-acs");
	bind_to_vfio(&world, "0000:03:00.0", 3);
	bind_to_vfio(&world, "0000:06:00.0", 7);
	assert_int_equal(check(&world, "3:0.0", NULL), 0);
	/* Both in one VM: it may do with them what it likes. */
	world.open_group = NULL;
	assert_int_equal(assign_peers_check(&world.sys,
					    (struct pci_address[]){ { .bus = 3 }, { .bus = 6 } }, 2,
					    NULL),
			 0);
	host_capture_destroy(world.capture);
}

static void devices_below_ports_with_acs_go_to_any_vm(void **state)
{
	struct world world;

	world_init(&world, "server-acs");
	bind_to_vfio(&world, "0000:01:00.0", 2);
	bind_to_vfio(&world, "0000:02:00.0", 4);
	world.open_group = "4";
	assert_int_equal(check(&world, "1:0.0", NULL), 0);
	host_capture_destroy(world.capture);
}

static void root_ports_without_acs_are_peers_of_each_other(void **state)
{
	struct diag diag = DIAG_INIT;
	struct world world;

	world_init(&world, "desktop-bad-root");
	bind_to_vfio(&world, "0000:01:00.0", 1);
	bind_to_vfio(&world, "0000:04:00.0", 5);
	world.open_group = "5";
	assert_int_equal(check(&world, "1:0.0", &diag), -EPERM);
	assert_non_null(strstr(diag.reason, "root port 0000:00:01.0"));
	host_capture_destroy(world.capture);
}

static void with_one_group_on_the_host_nothing_is_read(void **state)
{
	struct world world;

	world_init(&world, "switch-no-acs");
	assert_int_equal(check(&world, "3:0.0", NULL), 0);
	bind_to_vfio(&world, "0000:03:00.0", 3);
	assert_int_equal(check(&world, "3:0.0", NULL), 0);
	assert_int_equal(assign_peers_check(&world.sys, NULL, 0, NULL), 0);
	assert_int_equal(world.nr_reads, 0);
	host_capture_destroy(world.capture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sibling_behind_an_open_port_is_not_given_to_another_vm),
		cmocka_unit_test(nor_the_isolated_one_while_the_other_has_the_open_port),
		cmocka_unit_test(a_peer_that_nobody_has_is_no_peer),
		cmocka_unit_test(devices_below_ports_with_acs_go_to_any_vm),
		cmocka_unit_test(root_ports_without_acs_are_peers_of_each_other),
		cmocka_unit_test(with_one_group_on_the_host_nothing_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
