// SPDX-License-Identifier: GPL-2.0-or-later
/* Refusals: the first one stands, and no error number is lost on its way up. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/diag.h"

static void without_a_diag_the_error_is_kept(void **state)
{
	assert_int_equal(diag_set(NULL, -ENOSPC, "disk", "is full"), -ENOSPC);
	assert_int_equal(diag_remedy(NULL, -ENOSPC, "delete %d files", 3), -ENOSPC);
}

static void the_first_refusal_stands(void **state)
{
	struct diag diag = DIAG_INIT;

	diag_set(&diag, -ENOENT, "door", "is not there");
	assert_int_equal(diag_set(&diag, -EIO, "house", "cannot be entered"), -EIO);
	assert_int_equal(diag.err, -ENOENT);
	assert_string_equal(diag.object, "door");
}

static void a_remedy_goes_to_its_own_refusal(void **state)
{
	struct diag diag = DIAG_INIT;

	diag_set(&diag, -ENOENT, "door", "is not there");
	diag_set(&diag, -EIO, "house", "cannot be entered");
	assert_int_equal(diag_remedy(&diag, -EIO, "break a window"), -EIO);
	assert_string_equal(diag.remedy, "");
	assert_int_equal(diag_remedy(&diag, -ENOENT, "build one"), -ENOENT);
	assert_int_equal(diag_remedy(&diag, -ENOENT, "another"), -ENOENT);
	assert_string_equal(diag.remedy, "build one");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_diag_the_error_is_kept),
		cmocka_unit_test(the_first_refusal_stands),
		cmocka_unit_test(a_remedy_goes_to_its_own_refusal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
