// SPDX-License-Identifier: GPL-2.0-or-later
/* The inventory, groups and limits, read from the host descriptions in tests/host. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/bits.h"
#include "host/capture.h"
#include "host/group.h"
#include "host/limits.h"
#include "host/verdict.h"

struct fixture {
	struct host_capture *capture;
	struct sys sys;
	struct host_inventory inventory;
	struct host_topology topology;
	struct host_isolation isolation;
};

static void fixture_init(struct fixture *f, const char *name)
{
	struct diag diag = DIAG_INIT;
	struct sys real = sys_real();
	char path[512];

	snprintf(path, sizeof(path), TEST_SOURCE_ROOT "/tests/host/%s.host", name);
	if (host_capture_load(&real, path, &f->capture, &diag))
		fail_msg("%s: %s", diag.object, diag.reason);
	f->sys = host_capture_sys(f->capture);
	assert_int_equal(host_inventory_read(&f->sys, &f->inventory, &diag), 0);
	assert_int_equal(host_topology_init(&f->topology, &f->inventory), 0);
	assert_int_equal(host_isolation_init(&f->isolation, &f->topology), 0);
}

static void fixture_fini(struct fixture *f)
{
	host_isolation_fini(&f->isolation);
	host_topology_fini(&f->topology);
	host_inventory_fini(&f->inventory);
	host_capture_destroy(f->capture);
}

static int fixture_index(const struct fixture *f, const char *text)
{
	struct pci_address address;
	int index;

	assert_int_equal(pci_address_parse(text, &address), 0);
	index = host_topology_index(&f->topology, address);
	if (index == HOST_NONE)
		fail_msg("no %s", text);
	return index;
}

static const struct host_function *fixture_at(const struct fixture *f, const char *text)
{
	return &f->inventory.function[fixture_index(f, text)];
}

static void expect_verdict(const struct fixture *f, const char *text, enum host_verdict verdict)
{
	int index = fixture_index(f, text);

	assert_string_equal(host_verdict_word(host_verdict_of(&f->isolation, index).verdict),
			    host_verdict_word(verdict));
}

static void a_function_is_read_whole(void **state)
{
	const struct host_function *f;
	struct fixture fx;
	char name[PCI_ADDRESS_TEXT];

	fixture_init(&fx, "nic-sriov");
	f = fixture_at(&fx, "03:00.0");
	assert_int_equal(f->unknown, 0);
	assert_string_equal(f->name, "0000:03:00.0");
	assert_int_equal(f->vendor, 0x8086);
	assert_int_equal(f->device, 0x1572);
	assert_int_equal(f->class_code, 0x020000);
	assert_int_equal(f->revision, 1);
	assert_true(f->enabled);
	assert_string_equal(f->driver, "i40e");
	assert_int_equal(f->group, 2);
	assert_int_equal(f->numa_node, 0);
	assert_string_equal(f->reset, "flr bus");
	assert_int_equal(f->sriov_total, 64);
	assert_int_equal(f->sriov_vfs, 4);
	assert_int_equal(f->bar[0].kind, HOST_BAR_MEM64);
	assert_true(f->bar[0].prefetchable);
	assert_true(f->bar[0].len == MIB(8));
	assert_int_equal(f->bar[1].kind, HOST_BAR_NONE);
	assert_int_equal(f->config.msix_vectors, 129);
	assert_true(f->config.express && f->config.flr && f->config.sriov);
	assert_int_equal(f->config.link_speed, 3);
	assert_int_equal(f->config.link_width, 8);
	assert_true(f->has_parent);
	assert_string_equal(pci_address_format(f->parent, name), "0000:00:02.0");
	fixture_fini(&fx);
}

static void a_vf_has_its_own_ids_and_its_pfs_port(void **state)
{
	const struct host_function *f;
	struct fixture fx;

	fixture_init(&fx, "nic-sriov");
	f = fixture_at(&fx, "04:00.3");
	assert_true(f->is_vf);
	assert_int_equal(f->vendor, 0x8086);
	assert_int_equal(f->device, 0x154c);
	assert_int_equal(f->unknown, 0);
	assert_true(pci_address_equal(f->physfn, fixture_at(&fx, "03:00.0")->address));
	assert_int_equal(fx.topology.node[fixture_index(&fx, "04:00.3")].parent,
			 fixture_index(&fx, "00:02.0"));
	expect_verdict(&fx, "03:02.0", HOST_VERDICT_READY);
	expect_verdict(&fx, "03:02.1", HOST_VERDICT_BIND);
	expect_verdict(&fx, "04:00.3", HOST_VERDICT_BIND);
	fixture_fini(&fx);
}

static void a_sibling_with_a_host_driver_blocks_and_is_named(void **state)
{
	struct host_verdict_detail detail;
	struct diag diag = DIAG_INIT;
	struct host_group group;
	struct fixture fx;

	fixture_init(&fx, "gpu-audio");
	detail = host_verdict_of(&fx.isolation, fixture_index(&fx, "41:00.0"));
	assert_int_equal(detail.verdict, HOST_VERDICT_GROUP);
	assert_string_equal(detail.blocker->name, "0000:41:00.1");
	expect_verdict(&fx, "00:03.0", HOST_VERDICT_BRIDGE);

	assert_int_equal(host_group_read(&fx.sys, 2, &group, &diag), 0);
	assert_int_equal(group.nr_members, 2);
	assert_int_equal(host_group_viable(&group, &diag), -EBUSY);
	assert_string_equal(diag.object, "IOMMU group 2");
	assert_non_null(strstr(diag.reason, "0000:41:00.1 is bound to snd_hda_intel"));
	assert_non_null(strstr(diag.remedy, "airlock bind 0000:41:00.1 --group"));
	host_group_fini(&group);
	fixture_fini(&fx);
}

static void drivers_that_leave_dma_alone_do_not_block(void **state)
{
	static const char *const harmless[] = { "",
						"vfio-pci",
						"pci-stub",
						"pcieport",
						"mlx5_vfio_pci",
						"nvgrace-gpu-vfio-pci",
						"vfio-platform" };

	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
		assert_false(host_group_driver_blocks(harmless[i]));
	assert_true(host_group_driver_blocks("nvme"));
	assert_true(host_group_driver_blocks("uio_pci_generic"));
	assert_true(host_group_driver_blocks("pcieportx"));
}

static void reserved_regions_are_read_with_their_kind(void **state)
{
	const struct host_reserved *region;
	struct host_group group;
	struct fixture fx;

	fixture_init(&fx, "amd-ivrs");
	assert_int_equal(host_group_read(&fx.sys, 5, &group, NULL), 0);
	assert_string_equal(group.type, "DMA");
	assert_false(group.noiommu || group.reserved_unknown);
	assert_int_equal(group.nr_reserved, 2);
	region = host_group_reserved_find(&group, range_of(0xbd0fffff, 2));
	assert_non_null(region);
	assert_int_equal(region->kind, HOST_RESERVED_DIRECT);
	assert_true(region->iova.first == 0xbd000000);
	region = host_group_reserved_find(&group, range_of(0xfee00000, 1));
	assert_int_equal(region->kind, HOST_RESERVED_MSI);
	assert_null(host_group_reserved_find(&group, range_of(0xbd100000, 4096)));
	host_group_fini(&group);
	fixture_fini(&fx);
}

static void a_group_that_does_not_exist_is_said_so(void **state)
{
	struct diag diag = DIAG_INIT;
	struct host_group group;
	struct fixture fx;

	fixture_init(&fx, "server-acs");
	assert_int_equal(host_group_read(&fx.sys, 4711, &group, &diag), -ENODEV);
	assert_string_equal(diag.object, "IOMMU group 4711");
	fixture_fini(&fx);
}

static void units_and_interrupt_remapping_are_found(void **state)
{
	static const struct {
		const char *name;
		size_t nr_units;
		enum host_iommu_kind kind;
		enum host_known remapping;
	} expected[] = {
		{ "server-acs", 1, HOST_IOMMU_VTD, HOST_YES },
		{ "amd-ivrs", 2, HOST_IOMMU_AMD, HOST_YES },
		{ "numa-four", 4, HOST_IOMMU_VTD, HOST_YES },
		{ "no-iommu", 0, HOST_IOMMU_OTHER, HOST_NO },
		{ "iommu-not-on", 0, HOST_IOMMU_OTHER, HOST_YES },
		{ "unprivileged", 1, HOST_IOMMU_VTD, HOST_UNKNOWN },
	};

	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		struct host_iommus units;
		struct fixture fx;

		fixture_init(&fx, expected[i].name);
		host_iommus_read(&fx.sys, &units);
		assert_int_equal(units.nr_units, expected[i].nr_units);
		assert_false(units.unknown);
		if (units.nr_units)
			assert_int_equal(units.unit[0].kind, expected[i].kind);
		assert_int_equal(host_interrupt_remapping(&fx.sys), expected[i].remapping);
		fixture_fini(&fx);
	}
}

static void a_function_names_its_unit(void **state)
{
	struct fixture fx;
	char name[32];

	fixture_init(&fx, "numa-four");
	assert_int_equal(
		host_iommu_of(&fx.sys, fixture_at(&fx, "2:1:0.0")->address, name, sizeof(name)), 0);
	assert_string_equal(name, "dmar2");
	fixture_fini(&fx);
}

static void without_an_iommu_nothing_is_assignable(void **state)
{
	static const char *const hosts[] = { "no-iommu", "iommu-not-on", "xen-like" };

	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		struct fixture fx;

		fixture_init(&fx, hosts[i]);
		assert_int_equal(fixture_at(&fx, "1:0.0")->group, -1);
		expect_verdict(&fx, "1:0.0", HOST_VERDICT_NO_IOMMU);
		fixture_fini(&fx);
	}
}

static void no_iommu_mode_is_told_from_protection(void **state)
{
	struct host_group group;
	struct fixture fx;

	fixture_init(&fx, "noiommu-mode");
	assert_int_equal(host_group_read(&fx.sys, 0, &group, NULL), 0);
	assert_true(group.noiommu);
	host_group_fini(&group);
	fixture_fini(&fx);
}

static void a_device_that_vanishes_is_counted_not_listed(void **state)
{
	struct diag diag = DIAG_INIT;
	struct pci_address address;
	struct host_function f;
	struct fixture fx;

	fixture_init(&fx, "vanished");
	assert_int_equal(fx.inventory.nr_vanished, 1);
	assert_int_equal(fx.inventory.nr_functions, 4);
	assert_int_equal(pci_address_parse("2:0.0", &address), 0);
	assert_int_equal(host_function_read(&fx.sys, address, &f, &diag), -ENODEV);
	assert_string_equal(diag.object, "0000:02:00.0");
	fixture_fini(&fx);
}

static void what_a_user_cannot_see_is_unknown(void **state)
{
	const struct host_function *f;
	struct fixture fx;

	fixture_init(&fx, "unprivileged");
	f = fixture_at(&fx, "1:0.0");
	assert_int_equal(f->config.len, 64);
	assert_false(f->config.visible || f->config.extended_visible);
	assert_int_equal(f->unknown, 0);
	assert_int_equal(f->vendor, 0x144d);
	assert_int_equal(host_function_isolated(f, NULL), HOST_UNKNOWN);
	fixture_fini(&fx);
}

static void hostile_contents_are_marked_and_bounded(void **state)
{
	const struct host_function *f;
	struct host_limits limits;
	struct host_group group;
	struct fixture fx;

	fixture_init(&fx, "hostile");
	assert_int_equal(fx.inventory.nr_unnamed, 2);
	f = fixture_at(&fx, "4:0.0");
	assert_int_equal(f->unknown & HOST_UNKNOWN_GROUP, HOST_UNKNOWN_GROUP);
	assert_int_equal(f->unknown & HOST_UNKNOWN_CONFIG, HOST_UNKNOWN_CONFIG);
	assert_int_equal(f->unknown & HOST_UNKNOWN_RESOURCES, HOST_UNKNOWN_RESOURCES);
	assert_int_equal(f->unknown & HOST_UNKNOWN_RESET, HOST_UNKNOWN_RESET);
	assert_int_equal(f->unknown & HOST_UNKNOWN_IDS, HOST_UNKNOWN_IDS);
	assert_int_equal(f->group, -1);
	assert_int_equal(f->numa_node, -1);
	assert_int_equal(f->sriov_total, 0);
	/* No control character reaches the terminal. */
	assert_null(strchr(f->driver, 0x1b));
	expect_verdict(&fx, "4:0.0", HOST_VERDICT_UNKNOWN);
	f = fixture_at(&fx, "5:0.0");
	assert_int_equal(f->group, -1);
	assert_int_equal(f->bar[0].kind, HOST_BAR_NONE);
	/* Each claims to be below the other: one of them is made a root. */
	assert_true(fx.topology.node[fixture_index(&fx, "2:0.0")].parent == HOST_NONE ||
		    fx.topology.node[fixture_index(&fx, "3:0.0")].parent == HOST_NONE);
	/* Lists that loop or leave the space end. */
	assert_true(fixture_at(&fx, "2:0.0")->config.acs);
	assert_int_equal(fixture_at(&fx, "3:0.0")->config.sriov_total, 0);
	assert_int_equal(host_group_read(&fx.sys, 2, &group, NULL), 0);
	assert_true(group.reserved_unknown);
	host_group_fini(&group);
	host_limits_read(&fx.sys, &limits);
	assert_false(limits.meminfo_known);
	assert_int_equal(limits.nr_hugepages, 2);
	fixture_fini(&fx);
}

static void limits_are_read(void **state)
{
	struct host_limits limits;
	struct fixture fx;

	fixture_init(&fx, "server-acs");
	host_limits_read(&fx.sys, &limits);
	assert_true(limits.memlock_known && limits.memlock_soft == SYS_UNLIMITED);
	assert_int_equal(limits.can_lock_all, HOST_NO);
	assert_true(limits.meminfo_known && limits.mem_total == GIB(64) &&
		    limits.mem_available == GIB(48));
	assert_int_equal(limits.nr_hugepages, 2);
	assert_true(host_limits_hugepages(&limits, MIB(2))->nr_free == 1024);
	assert_null(host_limits_hugepages(&limits, MIB(4)));
	fixture_fini(&fx);
	fixture_init(&fx, "amd-ivrs");
	host_limits_read(&fx.sys, &limits);
	assert_int_equal(limits.can_lock_all, HOST_YES);
	assert_true(limits.memlock_soft == MIB(8));
	fixture_fini(&fx);
}

static void addresses_are_resolved_against_the_host(void **state)
{
	struct diag diag = DIAG_INIT;
	struct pci_address address;
	struct fixture fx;
	char name[PCI_ADDRESS_TEXT];

	fixture_init(&fx, "vmd-domain");
	assert_int_equal(host_address_resolve(&fx.sys, "10000:e1:00", &address, &diag), 0);
	assert_string_equal(pci_address_format(address, name), "10000:e1:00.0");
	assert_int_equal(host_address_resolve(&fx.sys, "e1:00", &address, &diag), -ENODEV);
	assert_string_equal(diag.object, "0000:e1:00.0");
	diag_clear(&diag);
	assert_int_equal(host_address_resolve(&fx.sys, "banana", &address, &diag), -EINVAL);
	assert_string_equal(diag.object, "banana");
	fixture_fini(&fx);
}

/* 64 switches with 63 drives each. */
static char *write_4096_functions(size_t *len)
{
	char *text = NULL;
	FILE *to = open_memstream(&text, len);

	assert_non_null(to);
	fputs("airlock-host 1\nunlisted absent\n", to);
	for (unsigned int i = 0; i < 4096; i++) {
		unsigned int domain = i / 64, device = i % 64 / 8, fn = i % 8;
		char name[PCI_ADDRESS_TEXT];

		snprintf(name, sizeof(name), "%04x:01:%02x.%u", domain, device, fn);
		fprintf(to, "sys bus/pci/devices/%s -> ../../../devices/pci%04x:01/%s\n", name,
			domain, name);
		fprintf(to,
			"sys bus/pci/devices/%s/uevent = DRIVER=nvme\\nPCI_CLASS=10802\\n"
			"PCI_ID=144D:A808\\nPCI_SUBSYS_ID=144D:A801\\nPCI_SLOT_NAME=%s\\n\n",
			name, name);
		fprintf(to,
			"sys bus/pci/devices/%s/config hex 4096 0:4d1408a806041000 8:00020801 34:40 "
			"40:010003 50:10 100:0d000100 104:1d001d\n",
			name);
		fprintf(to, "sys bus/pci/devices/%s/resource = ", name);
		for (unsigned int bar = 0; bar < 13; bar++)
			fputs("0x00000000c0000000 0x00000000c0003fff 0x0000000000140204\\n", to);
		fprintf(to, "\nsys bus/pci/devices/%s/numa_node = 0\\n\n", name);
		fprintf(to, "sys bus/pci/devices/%s/enable = 1\\n\n", name);
		fprintf(to, "sys bus/pci/devices/%s/reset_method = flr bus\\n\n", name);
		fprintf(to, "sys bus/pci/devices/%s/driver -> ../../../bus/pci/drivers/nvme\n",
			name);
		fprintf(to,
			"sys bus/pci/devices/%s/iommu_group -> ../../../kernel/iommu_groups/%u\n",
			name, i);
	}
	assert_int_equal(fclose(to), 0);
	return text;
}

static double cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void four_thousand_functions_are_read_in_100_ms(void **state)
{
	size_t len, ready = 0;
	char *text = write_4096_functions(&len);
	double start = cpu_ms(), spent;
	struct fixture fx;

	assert_int_equal(host_capture_parse(text, len, "big", &fx.capture, NULL), 0);
	free(text);
	fx.sys = host_capture_sys(fx.capture);
	start = cpu_ms();
	assert_int_equal(host_inventory_read(&fx.sys, &fx.inventory, NULL), 0);
	assert_int_equal(host_topology_init(&fx.topology, &fx.inventory), 0);
	assert_int_equal(host_isolation_init(&fx.isolation, &fx.topology), 0);
	for (size_t i = 0; i < fx.inventory.nr_functions; i++)
		ready += host_verdict_of(&fx.isolation, (int)i).verdict == HOST_VERDICT_BIND;
	spent = cpu_ms() - start;
	assert_int_equal(fx.inventory.nr_functions, 4096);
	assert_int_equal(ready, 4096);
	print_message("4096 functions: %.1f ms of CPU\n", spent);
#if !defined(__SANITIZE_ADDRESS__)
	assert_true(spent < 100);
#endif
	fixture_fini(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_function_is_read_whole),
		cmocka_unit_test(a_vf_has_its_own_ids_and_its_pfs_port),
		cmocka_unit_test(a_sibling_with_a_host_driver_blocks_and_is_named),
		cmocka_unit_test(drivers_that_leave_dma_alone_do_not_block),
		cmocka_unit_test(reserved_regions_are_read_with_their_kind),
		cmocka_unit_test(a_group_that_does_not_exist_is_said_so),
		cmocka_unit_test(units_and_interrupt_remapping_are_found),
		cmocka_unit_test(a_function_names_its_unit),
		cmocka_unit_test(without_an_iommu_nothing_is_assignable),
		cmocka_unit_test(no_iommu_mode_is_told_from_protection),
		cmocka_unit_test(a_device_that_vanishes_is_counted_not_listed),
		cmocka_unit_test(what_a_user_cannot_see_is_unknown),
		cmocka_unit_test(hostile_contents_are_marked_and_bounded),
		cmocka_unit_test(limits_are_read),
		cmocka_unit_test(addresses_are_resolved_against_the_host),
		cmocka_unit_test(four_thousand_functions_are_read_in_100_ms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
