// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "assign/memlock.h"
#include "base/bits.h"

static struct host_limits limits_of(uint64_t memlock, uint64_t available)
{
	return (struct host_limits){
		.memlock_soft = memlock,
		.memlock_hard = memlock,
		.memlock_known = true,
		.can_lock_all = HOST_NO,
		.meminfo_known = true,
		.mem_total = GIB(64),
		.mem_available = available,
	};
}

static void refusal_says_need_limit_and_remedy(void **state)
{
	struct host_limits limits = limits_of(MIB(8), GIB(32));
	struct assign_memlock plan = { .ram = GIB(4) + MIB(100), .nr_spaces = 1 };
	struct diag diag = DIAG_INIT;

	assert_int_equal(assign_memlock_check(&plan, &limits, &diag), -ENOMEM);
	assert_non_null(strstr(diag.reason, "needs 4.1 GiB, has 8 MiB"));
	assert_non_null(strstr(diag.remedy, "ulimit -l 4296704"));
	assert_non_null(strstr(diag.remedy, "LimitMEMLOCK=4196M"));
	assert_non_null(strstr(diag.remedy, "limits.conf"));
}

static void the_limit_that_is_advised_is_enough(void **state)
{
	struct assign_memlock plan = { .ram = GIB(4) + 4096, .nr_spaces = 2 };
	struct host_limits limits = limits_of(MIB(8), GIB(32));

	limits.locked_now = MIB(3) + 5;
	assert_int_equal(assign_memlock_check(&plan, &limits, NULL), -ENOMEM);
	limits.memlock_soft =
		(assign_memlock_need(&plan) + limits.locked_now + MIB(1) - 1) >> 20 << 20;
	assert_int_equal(assign_memlock_check(&plan, &limits, NULL), 0);
}

static void each_container_charges_all_of_ram_again(void **state)
{
	struct assign_memlock plan = { .backend = ASSIGN_TYPE1, .ram = GIB(4), .nr_spaces = 3 };
	struct host_limits limits = limits_of(GIB(11), GIB(32));
	struct diag diag = DIAG_INIT;

	assert_true(assign_memlock_need(&plan) == GIB(12));
	assert_int_equal(assign_memlock_check(&plan, &limits, &diag), -ENOMEM);
	assert_non_null(strstr(diag.reason, "once for each VFIO container"));
	limits.memlock_soft = GIB(12);
	assert_int_equal(assign_memlock_check(&plan, &limits, NULL), 0);
}

static void what_is_locked_already_counts(void **state)
{
	struct assign_memlock plan = { .ram = GIB(1), .nr_spaces = 1 };
	struct host_limits limits = limits_of(GIB(1), GIB(32));

	assert_int_equal(assign_memlock_check(&plan, &limits, NULL), 0);
	limits.locked_now = 4096;
	assert_int_equal(assign_memlock_check(&plan, &limits, NULL), -ENOMEM);
	limits.locked_now = GIB(2);
	assert_int_equal(assign_memlock_check(&plan, &limits, NULL), -ENOMEM);
}

static void no_limit_capability_or_device_refuses_nothing(void **state)
{
	struct assign_memlock plan = { .ram = GIB(4), .nr_spaces = 1 };
	struct host_limits limits = limits_of(MIB(8), GIB(32));

	limits.can_lock_all = HOST_YES;
	assert_int_equal(assign_memlock_check(&plan, &limits, NULL), 0);
	limits = limits_of(SYS_UNLIMITED, GIB(32));
	assert_int_equal(assign_memlock_check(&plan, &limits, NULL), 0);
	limits = limits_of(MIB(8), GIB(32));
	limits.memlock_known = false;
	assert_int_equal(assign_memlock_check(&plan, &limits, NULL), 0);
	limits.memlock_known = true;
	plan.nr_spaces = 0;
	assert_int_equal(assign_memlock_check(&plan, &limits, NULL), 0);
}

static void need_saturates_instead_of_wrapping(void **state)
{
	struct assign_memlock plan = { .ram = UINT64_MAX / 2, .nr_spaces = 3 };
	struct host_limits limits = limits_of(GIB(1), GIB(32));

	assert_true(assign_memlock_need(&plan) == UINT64_MAX);
	assert_int_equal(assign_memlock_check(&plan, &limits, NULL), -ENOMEM);
	assert_int_equal(assign_headroom_check(&plan, &limits, NULL), -ENOMEM);
}

static void the_pin_that_would_exhaust_the_host_is_refused(void **state)
{
	struct assign_memlock plan = { .ram = GIB(18), .nr_spaces = 1 };
	struct host_limits limits = limits_of(SYS_UNLIMITED, GIB(19));
	struct diag diag = DIAG_INIT;

	assert_true(assign_headroom_reserve(&limits) == GIB(2));
	assert_int_equal(assign_headroom_check(&plan, &limits, &diag), -ENOMEM);
	assert_non_null(strstr(diag.reason, "pinning 18 GiB"));
	assert_non_null(strstr(diag.remedy, "17408M"));
	limits.mem_available = GIB(20);
	assert_int_equal(assign_headroom_check(&plan, &limits, NULL), 0);
	/* Without a device nothing is pinned: memory can be reclaimed. */
	limits.mem_available = GIB(1);
	plan.nr_spaces = 0;
	assert_int_equal(assign_headroom_check(&plan, &limits, NULL), 0);
}

static void ram_of_huge_pages_is_held_against_their_pool(void **state)
{
	struct assign_memlock plan = { .ram = GIB(4), .nr_spaces = 1, .hugepage_size = MIB(2) };
	struct host_limits limits = limits_of(SYS_UNLIMITED, MIB(1));
	struct diag diag = DIAG_INIT;

	assert_int_equal(assign_headroom_check(&plan, &limits, &diag), -ENOMEM);
	assert_non_null(strstr(diag.reason, "no pool of 2 MiB pages"));
	limits.hugepages[limits.nr_hugepages++] =
		(struct host_hugepages){ .size = MIB(2), .nr = 2100, .nr_free = 2047 };
	diag_clear(&diag);
	assert_int_equal(assign_headroom_check(&plan, &limits, &diag), -ENOMEM);
	assert_non_null(strstr(diag.reason, "needs 2048 pages of 2 MiB, 2047 are free of 2100"));
	assert_non_null(strstr(diag.remedy, "echo 2101 > "));
	limits.hugepages[0].nr_free = 2048;
	assert_int_equal(assign_headroom_check(&plan, &limits, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refusal_says_need_limit_and_remedy),
		cmocka_unit_test(the_limit_that_is_advised_is_enough),
		cmocka_unit_test(each_container_charges_all_of_ram_again),
		cmocka_unit_test(what_is_locked_already_counts),
		cmocka_unit_test(no_limit_capability_or_device_refuses_nothing),
		cmocka_unit_test(need_saturates_instead_of_wrapping),
		cmocka_unit_test(the_pin_that_would_exhaust_the_host_is_refused),
		cmocka_unit_test(ram_of_huge_pages_is_held_against_their_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
