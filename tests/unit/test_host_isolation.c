// SPDX-License-Identifier: GPL-2.0-or-later
/* Why groups are groups, and where kernel, configuration and specification differ. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bits.h"
#include "host/capture.h"
#include "host/isolation.h"

struct fixture {
	struct host_capture *capture;
	struct host_inventory inventory;
	struct host_topology topology;
	struct host_isolation isolation;
};

static void fixture_init(struct fixture *f, const char *name)
{
	struct diag diag = DIAG_INIT;
	struct sys real = sys_real(), sys;
	char path[512];

	snprintf(path, sizeof(path), TEST_SOURCE_ROOT "/tests/host/%s.host", name);
	if (host_capture_load(&real, path, &f->capture, &diag))
		fail_msg("%s: %s", diag.object, diag.reason);
	sys = host_capture_sys(f->capture);
	assert_int_equal(host_inventory_read(&sys, &f->inventory, &diag), 0);
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

static int at(const struct fixture *f, const char *text)
{
	struct pci_address address;
	int index;

	assert_int_equal(pci_address_parse(text, &address), 0);
	index = host_topology_index(&f->topology, address);
	assert_true(index != HOST_NONE);
	return index;
}

static size_t count(const struct fixture *f, enum host_difference_kind kind)
{
	struct host_difference list[64];
	size_t nr = host_isolation_differences(&f->isolation, list, ARRAY_SIZE(list)), found = 0;

	assert_true(nr <= ARRAY_SIZE(list));
	for (size_t i = 0; i < nr; i++)
		found += list[i].kind == kind;
	return found;
}

static void expect_reason(const struct fixture *f, int group, enum host_cause cause,
			  const char *where, uint16_t missing)
{
	struct host_reason list[16];
	size_t nr = host_isolation_explain(&f->isolation, group, list, ARRAY_SIZE(list));

	for (size_t i = 0; i < nr; i++)
		if (list[i].cause == cause && list[i].at == &f->inventory.function[at(f, where)] &&
		    list[i].missing == missing)
			return;
	fail_msg("group %d: no reason %d at %s missing %x among %zu", group, (int)cause, where,
		 missing, nr);
}

static size_t nr_reasons(const struct fixture *f, int group)
{
	struct host_reason list[16];

	return host_isolation_explain(&f->isolation, group, list, ARRAY_SIZE(list));
}

static void the_model_makes_the_groups_the_kernel_made(void **state)
{
	static const char *const hosts[] = {
		"amd-ivrs",	      "desktop-bad-root", "gpu-audio",	    "laptop-open",
		"mixed-slot",	      "nic-sriov",	  "numa-four",	    "pci-bridge",
		"server-acs",	      "switch-no-acs",	  "vanished",	    "vmd-domain",
		"laptop-thunderbolt", "lab-amd",	  "lab-bridge",	    "lab-default",
		"lab-multifunction",  "lab-numa",	  "lab-port-noacs", "lab-switch",
		"lab-switch-noacs"
	};

	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		struct fixture f;

		fixture_init(&f, hosts[i]);
		if (count(&f, HOST_DIFF_KERNEL_JOINS) || count(&f, HOST_DIFF_KERNEL_SPLITS))
			fail_msg("%s: model and groups differ", hosts[i]);
		for (size_t k = 0; k < f.inventory.nr_functions; k++)
			assert_int_equal(f.inventory.function[k].group,
					 f.inventory.function[f.isolation.model[k]].group);
		fixture_fini(&f);
	}
}

static void a_group_of_one_needs_no_reason(void **state)
{
	struct fixture f;

	fixture_init(&f, "server-acs");
	for (int group = 0; group < 12; group++)
		assert_int_equal(nr_reasons(&f, group), 0);
	assert_int_equal(nr_reasons(&f, 999), 0);
	fixture_fini(&f);
}

static void a_root_port_without_acs_joins_what_is_below(void **state)
{
	struct fixture f;

	fixture_init(&f, "desktop-bad-root");
	expect_reason(&f, 1, HOST_CAUSE_PORT, "0:1.0", HOST_ACS_ISOLATED);
	expect_reason(&f, 1, HOST_CAUSE_PORT, "0:1.1", HOST_ACS_ISOLATED);
	expect_reason(&f, 1, HOST_CAUSE_FUNCTIONS, "0:1.1", HOST_ACS_ISOLATED);
	expect_reason(&f, 3, HOST_CAUSE_FUNCTIONS, "0:14.2", HOST_ACS_ISOLATED);
	fixture_fini(&f);
}

static void a_port_names_the_acs_bits_that_are_off(void **state)
{
	struct host_reason list[4];
	struct fixture f;
	char text[256];

	fixture_init(&f, "switch-no-acs");
	expect_reason(&f, 5, HOST_CAUSE_PORT, "2:a.0", HOST_ACS_REQUEST_REDIRECT);
	assert_int_equal(host_isolation_explain(&f.isolation, 5, list, 4), 1);
	host_reason_format(&list[0], text, sizeof(text));
	assert_non_null(strstr(text, "switch downstream port 0000:02:0a.0: ACS without RR"));
	assert_int_equal(host_isolation_explain(&f.isolation, 3, list, 4), 1);
	host_reason_format(&list[0], text, sizeof(text));
	assert_non_null(strstr(text, "0000:02:08.0: no ACS"));
	fixture_fini(&f);
}

static void a_bridge_to_conventional_pci_is_the_reason(void **state)
{
	struct fixture f;

	fixture_init(&f, "pci-bridge");
	expect_reason(&f, 2, HOST_CAUSE_BRIDGE, "4:0.0", 0);
	assert_int_equal(nr_reasons(&f, 2), 1);
	fixture_fini(&f);
}

static void a_segment_behind_an_owner_is_its_group(void **state)
{
	struct fixture f;

	fixture_init(&f, "vmd-domain");
	expect_reason(&f, 1, HOST_CAUSE_OWNER, "0:e.0", 0);
	fixture_fini(&f);
}

static void functions_of_a_slot_without_acs_belong_together(void **state)
{
	struct fixture f;

	fixture_init(&f, "gpu-audio");
	expect_reason(&f, 2, HOST_CAUSE_FUNCTIONS, "41:0.1", HOST_ACS_ISOLATED);
	assert_int_equal(nr_reasons(&f, 2), 1);
	fixture_fini(&f);
	/* A capability that offers nothing says that there is nothing to keep apart. */
	fixture_init(&f, "mixed-slot");
	assert_int_equal(host_function_isolated(&f.inventory.function[at(&f, "1:0.0")], NULL),
			 HOST_YES);
	expect_reason(&f, 5, HOST_CAUSE_FUNCTIONS, "0:1e.4", HOST_ACS_ISOLATED);
	fixture_fini(&f);
}

static void an_open_port_reaches_its_isolated_sibling(void **state)
{
	struct fixture f;
	int where;

	fixture_init(&f, "switch-no-acs");
	assert_true(
		host_isolation_can_reach(&f.isolation, at(&f, "3:0.0"), at(&f, "6:0.0"), &where));
	assert_int_equal(where, at(&f, "2:8.0"));
	/* Not the other way: its own port sends everything up. */
	assert_false(
		host_isolation_can_reach(&f.isolation, at(&f, "6:0.0"), at(&f, "3:0.0"), &where));
	assert_false(
		host_isolation_can_reach(&f.isolation, at(&f, "3:0.0"), at(&f, "3:0.0"), &where));
	assert_int_equal(count(&f, HOST_DIFF_CAN_REACH), 9);
	fixture_fini(&f);
}

static void isolated_devices_reach_nothing(void **state)
{
	static const char *const hosts[] = { "server-acs", "numa-four", "nic-sriov", "amd-ivrs" };
	int where;

	for (size_t h = 0; h < ARRAY_SIZE(hosts); h++) {
		struct fixture f;

		fixture_init(&f, hosts[h]);
		for (size_t a = 0; a < f.inventory.nr_functions; a++)
			for (size_t b = 0; b < f.inventory.nr_functions; b++)
				if (!host_function_is_bridge(&f.inventory.function[a]))
					assert_false(host_isolation_can_reach(&f.isolation, (int)a,
									      (int)b, &where));
		fixture_fini(&f);
	}
}

static void one_function_of_a_slot_reaches_its_isolated_mate(void **state)
{
	struct fixture f;
	int where;

	fixture_init(&f, "mixed-slot");
	assert_true(
		host_isolation_can_reach(&f.isolation, at(&f, "1:0.1"), at(&f, "1:0.3"), &where));
	assert_false(
		host_isolation_can_reach(&f.isolation, at(&f, "1:0.3"), at(&f, "1:0.1"), &where));
	assert_int_equal(count(&f, HOST_DIFF_CAN_REACH), 4);
	fixture_fini(&f);
}

static void everything_on_a_conventional_bus_hears_everything(void **state)
{
	struct fixture f;
	int where;

	fixture_init(&f, "pci-bridge");
	assert_true(
		host_isolation_can_reach(&f.isolation, at(&f, "5:0.0"), at(&f, "5:1.0"), &where));
	assert_int_equal(where, at(&f, "4:0.0"));
	fixture_fini(&f);
}

static void the_override_patch_shows_as_groups_the_configuration_denies(void **state)
{
	struct host_difference list[16];
	struct fixture f;
	char text[300];

	fixture_init(&f, "acs-override");
	assert_int_equal(count(&f, HOST_DIFF_KERNEL_SPLITS), 4);
	assert_int_equal(count(&f, HOST_DIFF_KERNEL_JOINS), 0);
	assert_int_equal(host_isolation_differences(&f.isolation, list, ARRAY_SIZE(list)), 6);
	host_difference_format(&list[1], text, sizeof(text));
	assert_non_null(strstr(text, "0000:00:01.0 (group 1) and 0000:00:01.1 (group 2) apart"));
	/* No more than asked for is stored. */
	assert_int_equal(host_isolation_differences(&f.isolation, list, 0), 6);
	fixture_fini(&f);
}

static void a_kernel_that_joins_what_is_isolated_is_noticed(void **state)
{
	struct host_reason list[4];
	struct fixture f;

	fixture_init(&f, "server-acs");
	f.inventory.function[at(&f, "2:0.0")].group = f.inventory.function[at(&f, "1:0.0")].group;
	host_isolation_fini(&f.isolation);
	assert_int_equal(host_isolation_init(&f.isolation, &f.topology), 0);
	assert_int_equal(count(&f, HOST_DIFF_KERNEL_JOINS), 1);
	assert_int_equal(host_isolation_explain(&f.isolation, 2, list, 4), 1);
	assert_int_equal(list[0].cause, HOST_CAUSE_KERNEL);
	assert_string_equal(list[0].at->name, "0000:02:00.0");
	fixture_fini(&f);
}

static void what_was_not_visible_is_no_difference(void **state)
{
	struct fixture f;

	fixture_init(&f, "unprivileged");
	assert_int_equal(host_isolation_differences(&f.isolation, NULL, 0), 0);
	expect_reason(&f, 3, HOST_CAUSE_UNSEEN, "0:2.0", HOST_ACS_ISOLATED);
	fixture_fini(&f);
}

static void hostile_paths_do_not_hang_the_walks(void **state)
{
	struct host_difference list[64];
	struct fixture f;
	int where;

	fixture_init(&f, "hostile");
	host_isolation_differences(&f.isolation, list, ARRAY_SIZE(list));
	for (size_t a = 0; a < f.inventory.nr_functions; a++)
		for (size_t b = 0; b < f.inventory.nr_functions; b++)
			host_isolation_can_reach(&f.isolation, (int)a, (int)b, &where);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_model_makes_the_groups_the_kernel_made),
		cmocka_unit_test(a_group_of_one_needs_no_reason),
		cmocka_unit_test(a_root_port_without_acs_joins_what_is_below),
		cmocka_unit_test(a_port_names_the_acs_bits_that_are_off),
		cmocka_unit_test(a_bridge_to_conventional_pci_is_the_reason),
		cmocka_unit_test(a_segment_behind_an_owner_is_its_group),
		cmocka_unit_test(functions_of_a_slot_without_acs_belong_together),
		cmocka_unit_test(an_open_port_reaches_its_isolated_sibling),
		cmocka_unit_test(isolated_devices_reach_nothing),
		cmocka_unit_test(one_function_of_a_slot_reaches_its_isolated_mate),
		cmocka_unit_test(everything_on_a_conventional_bus_hears_everything),
		cmocka_unit_test(the_override_patch_shows_as_groups_the_configuration_denies),
		cmocka_unit_test(a_kernel_that_joins_what_is_isolated_is_noticed),
		cmocka_unit_test(what_was_not_visible_is_no_difference),
		cmocka_unit_test(hostile_paths_do_not_hang_the_walks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
