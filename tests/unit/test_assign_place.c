// SPDX-License-Identifier: GPL-2.0-or-later
/* Where a VM goes: its devices' node, another, or nowhere in particular; and what it is told. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "assign/irqs.h"
#include "assign/place.h"
#include "base/bits.h"
#include "host/capture.h"
#include "machine/numa.h"

/* Two nodes of two CPUs; node 0 has 8 GiB, half of it page cache, node 1 has 1 GiB. */
static const char two_nodes[] =
	"airlock-host 1\nunlisted absent\n"
	"sys devices/system/node/online = 0-1\\n\n"
	"sys devices/system/cpu/online = 0-3\\n\n"
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
	struct assign_place place = { .node = -5 };

	assert_int_equal(assign_place_parse("auto", &place), 0);
	assert_int_equal(place.mode, ASSIGN_PLACE_AUTO);
	assert_int_equal(assign_place_parse("strict", &place), 0);
	assert_int_equal(place.mode, ASSIGN_PLACE_STRICT);
	assert_int_equal(assign_place_parse("off", &place), 0);
	assert_int_equal(place.mode, ASSIGN_PLACE_OFF);
	assert_int_equal(place.node, -5);
	assert_int_equal(assign_place_parse("3", &place), 0);
	assert_int_equal(place.mode, ASSIGN_PLACE_NODE);
	assert_int_equal(place.node, 3);
	assert_int_equal(assign_place_parse("2,0-1", &place), 0);
	assert_int_equal(place.mode, ASSIGN_PLACE_NODES_NAMED);
	assert_int_equal(place.nr_nodes, 3);
	assert_true(place.nodes[0] == 2 && place.nodes[1] == 0 && place.nodes[2] == 1);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(assign_place_parse(bad[i], &place), -EINVAL);
}

static void pins_are_read_in_their_order(void **state)
{
	static const char *const bad[] = {
		"", "1,1", "0-3,2", "3-1", "8192", "a", "1,", "0-255,256"
	};
	struct assign_place place = { 0 };

	assert_int_equal(assign_place_parse_pins("6,4-5,0", &place), 0);
	assert_int_equal(place.nr_pins, 4);
	assert_true(place.pin[0] == 6 && place.pin[1] == 4 && place.pin[2] == 5 &&
		    place.pin[3] == 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(assign_place_parse_pins(bad[i], &place), -EINVAL);
		assert_int_equal(place.nr_pins, 0);
	}
}

static void several_nodes_share_vcpus_and_ram(void **state)
{
	struct assign_place place = {
		.ram = GIB(2) + MIB(6),
		.cpus = 3,
		.mode = ASSIGN_PLACE_NODES_NAMED,
		.nodes = { 0, 1 },
		.nr_nodes = 2,
		DEVICES(1),
	};
	struct assign_placement p;
	struct diag diag = DIAG_INIT;
	struct sys_cpu_set irq;

	place.ram = GIB(1) + MIB(6);
	assert_int_equal(plan(two_nodes, place, &p, NULL), 0);
	assert_int_equal(p.nr_nodes, 2);
	assert_true(p.nodes[0].first == 0 && p.nodes[0].nr == 1);
	assert_true(p.nodes[1].first == 1 && p.nodes[1].nr == 2);
	/* In pieces that huge pages fit; what is over is the last one's. */
	assert_int_equal(p.nodes[0].ram, MIB(514));
	assert_int_equal(p.nodes[1].ram, MIB(516));
	assert_true(p.nodes[0].cpus.bits[0] == 0x5 && p.nodes[1].cpus.bits[0] == 0xa);
	assert_true(p.cpus.bits[0] == 0xf);
	assert_true(p.distance[0][0] == 10 && p.distance[0][1] == 21 && p.distance[1][0] == 21);
	assert_int_equal(p.device_node, 1);
	assert_string_equal(p.warning, "");
	/* The devices' interrupts go where the devices are. */
	assert_true(assign_place_irq_cpus(&p, &irq));
	assert_true(irq.bits[0] == 0xa);

	place.cpus = 1;
	assert_int_equal(plan(two_nodes, place, &p, &diag), -EINVAL);
	assert_non_null(strstr(diag.reason, "1 vCPUs cannot be spread over 2 nodes"));
	diag_clear(&diag);
	place.cpus = 2;
	place.ram = GIB(3);
	assert_int_equal(plan(two_nodes, place, &p, &diag), -ENOMEM);
	assert_non_null(strstr(diag.reason, "node 1 has 1 GiB to give"));
	diag_clear(&diag);
	place.nodes[1] = 5;
	assert_int_equal(plan(two_nodes, place, &p, &diag), -ENODEV);
	assert_non_null(strstr(diag.reason, "no node 5"));
}

static void a_pinned_vcpu_far_from_its_memory_is_told_with_its_cost(void **state)
{
	struct assign_place place = {
		.ram = MIB(512), .cpus = 2, .pin = { 1, 3 }, .nr_pins = 2, DEVICES(1)
	};
	struct diag diag = DIAG_INIT;
	struct assign_placement p;
	struct sys_cpu_set irq;
	char text[32];

	assert_int_equal(plan(two_nodes, place, &p, NULL), 0);
	assert_int_equal(p.node, 1);
	assert_string_equal(p.warning, "");
	assert_true(p.nr_pins == 2 && p.pin[0] == 1 && p.pin[1] == 3);
	/* With pins, interrupts go to the very CPUs. */
	assert_true(assign_place_irq_cpus(&p, &irq));
	assert_string_equal(assign_place_format(&irq, text, sizeof(text)), "1,3");
	place.pin[1] = 2;
	assert_int_equal(plan(two_nodes, place, &p, NULL), 0);
	assert_non_null(strstr(p.warning,
			       "vCPU 1 is pinned to CPU 2 on node 0, its memory is on node "
			       "1: 2.1 times as far away"));
	/* Pinned elsewhere, they do not share the node's CPUs. */
	place.cpus = place.nr_pins = 3;
	place.pin[2] = 0;
	assert_int_equal(plan(two_nodes, place, &p, NULL), 0);
	assert_null(strstr(p.warning, "share"));
	place.cpus = 2;
	place.nr_pins = 1;
	assert_int_equal(plan(two_nodes, place, &p, &diag), -EINVAL);
	assert_non_null(strstr(diag.reason, "1 CPUs for 2 vCPUs"));
	diag_clear(&diag);
	place.nr_pins = 2;
	place.pin[1] = 9;
	assert_int_equal(plan(two_nodes, place, &p, &diag), -ENODEV);
	assert_non_null(strstr(diag.reason, "CPU 9 is not there"));
}

static void lists_of_cpus_are_written_as_the_kernel_reads_them(void **state)
{
	struct sys_cpu_set set = { 0 };
	char text[32];

	assert_string_equal(assign_place_format(&set, text, sizeof(text)), "");
	set.bits[0] = 0x8000000000000107ull;
	set.bits[1] = 1;
	set.bits[SYS_MAX_CPUS / 64 - 1] = 1ull << 63;
	assert_string_equal(assign_place_format(&set, text, sizeof(text)), "0-2,8,63-64,8191");
}

/* Interrupts: 24 and 25 can be moved, 26 is not requested yet, 27 is the kernel's own business. */
static char moved_to[4][16];

static int irq_write_file(struct sys *sys, enum sys_tree tree, const char *path, const void *data,
			  size_t len)
{
	unsigned int irq;

	assert_int_equal(tree, SYS_TREE_PROC);
	assert_int_equal(sscanf(path, "irq/%u/smp_affinity_list", &irq), 1);
	if (irq == 26)
		return -ENOENT;
	if (irq == 27)
		return -EIO;
	snprintf(moved_to[irq - 24], sizeof(moved_to[0]), "%.*s", (int)len, (const char *)data);
	return 0;
}

static const char *const *irq_names;

static int irq_list(struct sys *sys, enum sys_tree tree, const char *path, sys_list_fn fn,
		    void *opaque)
{
	assert_string_equal(path, "bus/pci/devices/0000:01:00.0/msi_irqs");
	for (int i = 0; irq_names[i]; i++)
		fn(opaque, irq_names[i]);
	return irq_names[0] ? 0 : -ENOENT;
}

static void interrupts_that_can_be_moved_go_to_the_vms_cpus(void **state)
{
	static const char *const some[] = { "24", "../../etc", "25", "26", NULL };
	static const char *const stuck[] = { "24", "27", "25", NULL };
	static const char *const none[] = { NULL };
	struct sys_ops ops = { .write_file = irq_write_file, .list = irq_list };
	struct sys sys = { .ops = &ops };
	struct sys_cpu_set cpus = { .bits = { 0xa } };

	irq_names = some;
	assert_int_equal(assign_irqs_place(&sys, "0000:01:00.0", &cpus), 2);
	assert_string_equal(moved_to[0], "1,3");
	assert_string_equal(moved_to[1], "1,3");
	memset(moved_to, 0, sizeof(moved_to));
	irq_names = stuck;
	assert_int_equal(assign_irqs_place(&sys, "0000:01:00.0", &cpus), -EIO);
	assert_string_equal(moved_to[1], "1,3");
	irq_names = none;
	assert_int_equal(assign_irqs_place(&sys, "0000:01:00.0", &cpus), -ENOENT);
}

static int last_node;
static struct sys_cpu_set last_cpus;
static struct {
	const uint8_t *addr;
	size_t len;
	int node;
} placed[4];
static unsigned int nr_placed;

static int vcpu_place(struct sys *sys, const struct sys_cpu_set *cpus, int node, bool strict)
{
	last_cpus = *cpus;
	last_node = node;
	return 0;
}

static int memory_place(struct sys *sys, void *addr, size_t len, int node)
{
	assert_true(nr_placed < ARRAY_SIZE(placed));
	placed[nr_placed].addr = addr;
	placed[nr_placed].len = len;
	placed[nr_placed++].node = node;
	return node == 99 ? -EINVAL : 0;
}

static void vcpus_and_ram_go_to_their_nodes(void **state)
{
	struct assign_placement p = {
		.nr_nodes = 2,
		.nodes = { { .node = 3, .first = 0, .nr = 1, .ram = MIB(2), .cpus = { { 1 } } },
			   { .node = 5, .first = 1, .nr = 1, .ram = MIB(4), .cpus = { { 2 } } } },
	};
	struct sys_ops ops = { .place = vcpu_place, .place_memory = memory_place };
	struct sys sys = { .ops = &ops };
	/* 4 MiB below the hole, 2 above. */
	static uint8_t low[MIB(4)], high[MIB(2)];
	struct ram ram = {
		.sys = &sys,
		.size = MIB(6),
		.nr_regions = 2,
		.regions = { { .gpa = range_of(0, MIB(4)), .hva = low },
			     { .gpa = range_of(RAM_HIGH, MIB(2)), .hva = high } },
	};
	struct diag diag = DIAG_INIT;

	assert_int_equal(numa_place_ram(&p, &ram, NULL), 0);
	assert_int_equal(nr_placed, 3);
	assert_true(placed[0].addr == low && placed[0].len == MIB(2) && placed[0].node == 3);
	assert_true(placed[1].addr == low + MIB(2) && placed[1].len == MIB(2) &&
		    placed[1].node == 5);
	assert_true(placed[2].addr == high && placed[2].len == MIB(2) && placed[2].node == 5);
	assert_int_equal(numa_place_vcpu(&p, &sys, 1), 0);
	assert_true(last_cpus.bits[0] == 2 && last_node == -1);
	p.nr_pins = 2;
	p.pin[1] = 70;
	assert_int_equal(numa_place_vcpu(&p, &sys, 1), 0);
	assert_true(last_cpus.bits[0] == 0 && last_cpus.bits[1] == 1ull << 6);
	p.nodes[1].node = 99;
	nr_placed = 0;
	assert_int_equal(numa_place_ram(&p, &ram, &diag), -EINVAL);
	assert_non_null(strstr(diag.remedy, "--numa off"));
	/* Nothing was decided: nothing is done. */
	nr_placed = 0;
	assert_int_equal(numa_place_ram(NULL, &ram, NULL), 0);
	assert_int_equal(numa_place_vcpu(NULL, &sys, 0), 0);
	assert_int_equal(nr_placed, 0);
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
		cmocka_unit_test(pins_are_read_in_their_order),
		cmocka_unit_test(several_nodes_share_vcpus_and_ram),
		cmocka_unit_test(a_pinned_vcpu_far_from_its_memory_is_told_with_its_cost),
		cmocka_unit_test(lists_of_cpus_are_written_as_the_kernel_reads_them),
		cmocka_unit_test(interrupts_that_can_be_moved_go_to_the_vms_cpus),
		cmocka_unit_test(vcpus_and_ram_go_to_their_nodes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
