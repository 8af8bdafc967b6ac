// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bits.h"
#include "machine/spec.h"

static void a_spec_is_a_class_and_its_keys(void **state)
{
	struct diag diag = DIAG_INIT;
	struct spec spec;

	assert_int_equal(spec_parse(&spec, "vfio,host=0000:01:00.0,rom=off", &diag), 0);
	assert_string_equal(spec.class_name, "vfio");
	assert_string_equal(spec_text(&spec, "host"), "0000:01:00.0");
	assert_null(spec_text(&spec, "bus"));
	assert_string_equal(spec_unused(&spec), "rom");
	assert_string_equal(spec_text(&spec, "rom"), "off");
	assert_int_equal(spec_done(&spec, &diag), 0);
}

static void a_key_nobody_asked_for_is_refused_by_name(void **state)
{
	struct diag diag = DIAG_INIT;
	struct spec spec;

	assert_int_equal(spec_parse(&spec, "vfio,hots=1", &diag), 0);
	assert_int_equal(spec_done(&spec, &diag), -EINVAL);
	assert_non_null(strstr(diag.reason, "hots"));
	assert_true(diag.remedy[0]);
}

static void malformed_specs_are_refused(void **state)
{
	static const char *const bad[] = { "", ",a=1", "x,a", "x,=1", "x,a=1,a=2", "x,,a=1" };
	struct spec spec;
	char longer[SPEC_TEXT_MAX + 8];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct diag diag = DIAG_INIT;

		assert_int_equal(spec_parse(&spec, bad[i], &diag), -EINVAL);
		assert_true(diag.reason[0]);
	}
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(spec_parse(&spec, longer, NULL), -EINVAL);
	strcpy(longer, "x");
	for (int i = 0; i <= SPEC_KEYS_MAX; i++)
		sprintf(longer + strlen(longer), ",k%d=1", i);
	assert_int_equal(spec_parse(&spec, longer, NULL), -EINVAL);
}

static void numbers_and_switches_are_bounded(void **state)
{
	struct diag diag = DIAG_INIT;
	struct spec spec;
	uint64_t n = 7;
	bool on = false;

	assert_int_equal(spec_parse(&spec, "x,port=0xf4,big=65536,neg=-1,on=on,maybe=maybe", &diag),
			 0);
	assert_int_equal(spec_number(&spec, "absent", 10, &n, &diag), 0);
	assert_int_equal(n, 7);
	assert_int_equal(spec_number(&spec, "port", 0xffff, &n, &diag), 0);
	assert_int_equal(n, 0xf4);
	assert_int_equal(spec_number(&spec, "big", 0xffff, &n, NULL), -EINVAL);
	assert_int_equal(spec_number(&spec, "neg", UINT64_MAX, &n, NULL), -EINVAL);
	assert_int_equal(spec_bool(&spec, "on", &on, &diag), 0);
	assert_true(on);
	assert_int_equal(spec_bool(&spec, "maybe", &on, NULL), -EINVAL);
}

static void sizes_have_units_and_do_not_overflow(void **state)
{
	static const struct {
		const char *text;
		int err;
		uint64_t size;
	} cases[] = {
		{ "512M", 0, MIB(512) },     { "4G", 0, GIB(4) },
		{ "4GiB", 0, GIB(4) },	     { "1T", 0, 1ull << 40 },
		{ "0x1000", 0, 4096 },	     { "4096", 0, 4096 },
		{ "64k", 0, KIB(64) },	     { "", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },	     { "G", -EINVAL, 0 },
		{ "4X", -EINVAL, 0 },	     { "4GB", -EINVAL, 0 },
		{ "4 G", -EINVAL, 0 },	     { "99999999999G", -ERANGE, 0 },
		{ "16777216T", -ERANGE, 0 }, { "99999999999999999999999", -ERANGE, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t size = 0;

		assert_int_equal(parse_size(cases[i].text, &size), cases[i].err);
		assert_int_equal(size, cases[i].size);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_spec_is_a_class_and_its_keys),
		cmocka_unit_test(a_key_nobody_asked_for_is_refused_by_name),
		cmocka_unit_test(malformed_specs_are_refused),
		cmocka_unit_test(numbers_and_switches_are_bounded),
		cmocka_unit_test(sizes_have_units_and_do_not_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
