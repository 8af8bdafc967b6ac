// SPDX-License-Identifier: GPL-2.0-or-later
/* Libraries loaded when they are wanted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bits.h"
#include "sys/library.h"

static void a_library_gives_its_functions(void **state)
{
	const char *(*version)(void) = NULL;
	const struct sys_symbol symbols[] = { { "zlibVersion", &version } };
	void *library = sys_library_open("libz.so.1", symbols, ARRAY_SIZE(symbols));

	assert_non_null(library);
	assert_int_equal(version()[0], '1'); /* as the soname says */
	sys_library_close(library);
}

static void a_library_that_is_not_there_or_lacks_a_function_is_refused(void **state)
{
	void *known = NULL, *unknown = NULL;
	const struct sys_symbol symbols[] = {
		{ "zlibVersion", &known },
		{ "zlibVersionOfTomorrow", &unknown },
	};

	assert_null(sys_library_open("libno-such-thing.so.0", symbols, ARRAY_SIZE(symbols)));
	assert_null(sys_library_open("libz.so.1", symbols, ARRAY_SIZE(symbols)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_library_gives_its_functions),
		cmocka_unit_test(a_library_that_is_not_there_or_lacks_a_function_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
