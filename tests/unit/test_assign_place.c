// SPDX-License-Identifier: GPL-2.0-or-later
/* Where a VM goes: its devices' node, another, or nowhere in particular; and what it is told. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "assign/place.h"
#include "base/bits.h"
#include "host/capture.h"

/* Two nodes of two CPUs; node 0 has 8 GiB, half of it page cache, node 1 has 1 GiB. */
static const char two_nodes[] =
	"airlock-host 1\nunlisted absent\n"
	"sys devices/system/node/online = 0-1\\n\n"
	"sys devices/system/node/node0/cpulist = 0,2\\n\n"
	"sys devices/system/node/node1/cpulist = 1,3\\n\n"
	"sys devices/system/node/node0/distance = 10 21\\n\n"
	"sys devices/system/node/node1/distance = 21 10\\n\n"
	"sys devices/system/node/node0/meminfo = Node 0 MemTotal: 9000000 kB\\nNode 0 MemFree: "
	"4194304 kB\\nNode 0 Active(file): 2097152 kB\\nNode 0 Inactive(file): 2097152 kB\\n\n"
	"sys devices/system/node/node1/meminfo = Node 1 MemFree: 1048576 kB\\n\n"
	"sys devices/system/node/node1/hugepages/hugepages-2048kB/free_hugepages = 2048\\n\n";

static int applied_node;
static bool applied_strict;

static int fake_place(struct sys *sys, const struct sys_cpu_set *cpus, int node, bool strict)
{
	applied_node = node;
	applied_strict = strict;
	return node == 0 ? -EINVAL : 0;
}

static int plan(const char *host, struct assign_place place, struct assign_placement *out,
		struct diag *diag)
{
	struct host_capture *capture;
	struct sys sys;
	int err;

	assert_int_equal(host_capture_parse(host, strlen(host), "host", &capture, NULL), 0);
	sys = host_capture_sys(capture);
	err = assign_place_plan(&sys, &place, out, diag);
	host_capture_destroy(capture);
	return err;
}

#define DEVICES(...)                                 \
	.device_node = (const int[]){ __VA_ARGS__ }, \
	.nr_devices = sizeof((const int[]){ __VA_ARGS__ }) / sizeof(int)

static void a_vm_goes_to_its_devices_node(void **state)
{
	struct assign_placement p;

	assert_int_equal(plan(two_nodes,
			      (struct assign_place){ .ram = GIB(1), .cpus = 2, DEVICES(1, 1) }, &p,
			      NULL),
			 0);
	assert_int_equal(p.node, 1);
	assert_false(p.strict);
	assert_true(p.cpus.bits[0] == 0xa);
	assert_string_equal(p.warning, "");
	assert_non_null(
		strstr(p.note, "node 1: threads on its 2 CPUs, 1 GiB of guest RAM from it"));
}

static void page_cache_counts_as_memory_to_give(void **state)
{
	struct assign_place place = {
		.mode = ASSIGN_PLACE_STRICT, .ram = GIB(8), .cpus = 1, DEVICES(0)
	};
	struct assign_placement p;

	assert_int_equal(plan(two_nodes, place, &p, NULL), 0);
	assert_int_equal(p.node, 0);
	assert_true(p.strict);
	place.ram++;
	assert_int_equal(plan(two_nodes, place, &p, NULL), -ENOMEM);
}

static void a_node_that_is_full_is_still_preferred_unless_strict(void **state)
{
	struct assign_place place = { .ram = GIB(2), .cpus = 2, DEVICES(1) };
	struct diag diag = DIAG_INIT;
	struct assign_placement p;

	assert_int_equal(plan(two_nodes, place, &p, NULL), 0);
	assert_int_equal(p.node, 1);
	assert_false(p.strict);
	assert_non_null(strstr(p.warning, "node 1 has 1 GiB to give, the guest's RAM is 2 GiB"));
	place.mode = ASSIGN_PLACE_STRICT;
	assert_int_equal(plan(two_nodes, place, &p, &diag), -ENOMEM);
	assert_non_null(strstr(diag.remedy, "--numa auto"));
}

static void huge_pages_are_counted_in_their_nodes_pool(void **state)
{
	struct assign_place place = { .mode = ASSIGN_PLACE_STRICT,
				      .ram = GIB(4),
				      .cpus = 1,
				      .hugepage = MIB(2),
				      DEVICES(1) };
	struct assign_placement p;

	assert_int_equal(plan(two_nodes, place, &p, NULL), 0);
	place.device_node = (const int[]){ 0 };
	assert_int_equal(plan(two_nodes, place, &p, NULL), -ENOMEM);
}

static void devices_on_several_nodes_or_none_pin_nothing(void **state)
{
	struct assign_place several = { .ram = GIB(1), .cpus = 1, DEVICES(0, 1) };
	struct assign_place unknown = { .ram = GIB(1), .cpus = 1, DEVICES(-1) };
	struct assign_place none = { .ram = GIB(1), .cpus = 1 };
	struct assign_placement p;
	struct diag diag = DIAG_INIT;

	assert_int_equal(plan(two_nodes, several, &p, NULL), 0);
	assert_int_equal(p.node, -1);
	assert_non_null(strstr(p.warning, "several nodes: 0 and 1"));
	assert_int_equal(plan(two_nodes, unknown, &p, NULL), 0);
	assert_int_equal(p.node, -1);
	assert_non_null(strstr(p.warning, "does not say which node"));
	assert_int_equal(plan(two_nodes, none, &p, NULL), 0);
	assert_int_equal(p.node, -1);
	assert_string_equal(p.warning, "");
	several.mode = ASSIGN_PLACE_STRICT;
	assert_int_equal(plan(two_nodes, several, &p, &diag), -ENODEV);
	assert_non_null(strstr(diag.reason, "several nodes"));
}

static void a_mismatch_is_told_with_its_cost(void **state)
{
	struct assign_place place = {
		.mode = ASSIGN_PLACE_NODE, .node = 0, .ram = GIB(1), .cpus = 1, DEVICES(1)
	};
	struct assign_placement p;

	assert_int_equal(plan(two_nodes, place, &p, NULL), 0);
	assert_int_equal(p.node, 0);
	assert_true(p.strict);
	assert_non_null(strstr(p.warning, "device is on node 1, the guest on node 0"));
	assert_non_null(strstr(p.warning, "2.1 times as far away"));
}

static void more_vcpus_than_cpus_of_the_node_are_told(void **state)
{
	struct assign_placement p;

	assert_int_equal(plan(two_nodes,
			      (struct assign_place){ .ram = GIB(1), .cpus = 3, DEVICES(1) }, &p,
			      NULL),
			 0);
	assert_non_null(strstr(p.warning, "3 vCPUs share the 2 CPUs of node 1"));
}

static void a_node_that_does_not_exist_is_refused(void **state)
{
	struct assign_place place = {
		.mode = ASSIGN_PLACE_NODE, .node = 2, .ram = GIB(1), .cpus = 1
	};
	struct assign_placement p;
	struct diag diag = DIAG_INIT;

	assert_int_equal(plan(two_nodes, place, &p, &diag), -ENODEV);
	assert_non_null(strstr(diag.reason, "this host has no node 2"));
	assert_int_equal(plan("airlock-host 1\nunlisted absent\n", place, &p, NULL), -ENODEV);
}

static void hosts_of_one_node_or_of_nonsense_are_left_alone(void **state)
{
	static const char *const hosts[] = {
		"airlock-host 1\nunlisted absent\n",
		"airlock-host 1\nsys devices/system/node/online = 0\\n\n",
		"airlock-host 1\nsys devices/system/node/online ! EACCES\n",
		"airlock-host 1\nsys devices/system/node/online = 3-1\\n\n",
		"airlock-host 1\nsys devices/system/node/online = 0-99999999\\n\n",
		"airlock-host 1\nsys devices/system/node/online = banana\\n\n",
	};
	struct assign_placement p;

	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		assert_int_equal(plan(hosts[i],
				      (struct assign_place){ .ram = GIB(1), .cpus = 1, DEVICES(1) },
				      &p, NULL),
				 0);
		assert_int_equal(p.node, -1);
		assert_string_equal(p.warning, "");
	}
}

static void off_is_off(void **state)
{
	struct assign_placement p;

	assert_int_equal(plan(two_nodes,
			      (struct assign_place){
				      .mode = ASSIGN_PLACE_OFF, .ram = GIB(99), DEVICES(0, 1) },
			      &p, NULL),
			 0);
	assert_int_equal(p.node, -1);
	assert_string_equal(p.warning, "");
}

static void words_are_read(void **state)
{
	static const char *const bad[] = { "", "-1", "1x", "128", "AUTO", "99999999999999999999" };
	enum assign_place_mode mode;
	int node = -5;

	assert_int_equal(assign_place_parse("auto", &mode, &node), 0);
	assert_int_equal(mode, ASSIGN_PLACE_AUTO);
	assert_int_equal(assign_place_parse("strict", &mode, &node), 0);
	assert_int_equal(mode, ASSIGN_PLACE_STRICT);
	assert_int_equal(assign_place_parse("off", &mode, &node), 0);
	assert_int_equal(mode, ASSIGN_PLACE_OFF);
	assert_int_equal(node, -5);
	assert_int_equal(assign_place_parse("3", &mode, &node), 0);
	assert_int_equal(mode, ASSIGN_PLACE_NODE);
	assert_int_equal(node, 3);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(assign_place_parse(bad[i], &mode, &node), -EINVAL);
}

static void what_cannot_be_applied_is_refused(void **state)
{
	struct sys_ops ops = { .place = fake_place };
	struct sys sys = { .ops = &ops };
	struct assign_placement p = { .node = -1 };
	struct diag diag = DIAG_INIT;

	applied_node = -7;
	assert_int_equal(assign_place_apply(&sys, &p, NULL), 0);
	assert_int_equal(applied_node, -7);
	p.node = 1;
	p.strict = true;
	assert_int_equal(assign_place_apply(&sys, &p, NULL), 0);
	assert_int_equal(applied_node, 1);
	assert_true(applied_strict);
	p.node = 0;
	assert_int_equal(assign_place_apply(&sys, &p, &diag), -EINVAL);
	assert_non_null(strstr(diag.remedy, "--numa off"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_vm_goes_to_its_devices_node),
		cmocka_unit_test(page_cache_counts_as_memory_to_give),
		cmocka_unit_test(a_node_that_is_full_is_still_preferred_unless_strict),
		cmocka_unit_test(huge_pages_are_counted_in_their_nodes_pool),
		cmocka_unit_test(devices_on_several_nodes_or_none_pin_nothing),
		cmocka_unit_test(a_mismatch_is_told_with_its_cost),
		cmocka_unit_test(more_vcpus_than_cpus_of_the_node_are_told),
		cmocka_unit_test(a_node_that_does_not_exist_is_refused),
		cmocka_unit_test(hosts_of_one_node_or_of_nonsense_are_left_alone),
		cmocka_unit_test(off_is_off),
		cmocka_unit_test(words_are_read),
		cmocka_unit_test(what_cannot_be_applied_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
