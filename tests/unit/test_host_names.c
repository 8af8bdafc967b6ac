// SPDX-License-Identifier: GPL-2.0-or-later
/* Names out of pci.ids, and the picture they are written into. */
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
#include "host/names.h"
#include "host/picture.h"

static const char ids[] = "# comment\n"
			  "144d  Samsung <Electronics> & Co\n"
			  "# one in between\n"
			  "\ta808  SM981\n"
			  "\t\t144d a801  970 EVO\n"
			  "\ta809  SM\x1b[31mRED\xc3\xa9\n"
			  "8086  Intel Corporation\n"
			  "\t1572  X710\n"
			  "C 01  Mass storage controller\n"
			  "\t08  Non-Volatile memory controller\n"
			  "\t\t02  NVM Express\n"
			  "C 02  Network controller\n"
			  "\t00  Ethernet controller";

static void expect_device(const struct host_names *names, uint16_t vendor, uint16_t device,
			  const char *expected)
{
	char text[64];

	assert_string_equal(host_names_device(names, vendor, device, text, sizeof(text)), expected);
}

static void expect_class(const struct host_names *names, uint32_t class, const char *expected)
{
	char text[64];

	assert_string_equal(host_names_class(names, class, text, sizeof(text)), expected);
}

static void names_are_found_below_their_vendor(void **state)
{
	struct host_names names;
	char text[64];

	host_names_init_text(&names, ids, sizeof(ids) - 1);
	assert_string_equal(host_names_vendor(&names, 0x8086, text, sizeof(text)),
			    "Intel Corporation");
	expect_device(&names, 0x144d, 0xa808, "SM981");
	expect_device(&names, 0x8086, 0x1572, "X710");
	/* Another vendor's, a subsystem's, and one that nobody has. */
	expect_device(&names, 0x8086, 0xa808, "Device a808");
	expect_device(&names, 0x144d, 0x144d, "Device 144d");
	expect_device(&names, 0x1234, 0xa808, "Device a808");
	assert_string_equal(host_names_vendor(&names, 0x1234, text, sizeof(text)), "Vendor 1234");
	host_names_fini(&names);
}

static void classes_are_named_as_closely_as_they_can(void **state)
{
	struct host_names names;

	host_names_init_text(&names, ids, sizeof(ids) - 1);
	expect_class(&names, 0x010802, "Non-Volatile memory controller");
	expect_class(&names, 0x019900, "Mass storage controller");
	expect_class(&names, 0x020000, "Ethernet controller");
	expect_class(&names, 0x990102, "Class 9901");
	host_names_fini(&names);
}

static void names_are_cut_and_cleaned(void **state)
{
	struct host_names names;
	char text[8];

	host_names_init_text(&names, ids, sizeof(ids) - 1);
	expect_device(&names, 0x144d, 0xa809, "SM?[31mRED??");
	assert_string_equal(host_names_vendor(&names, 0x8086, text, sizeof(text)), "Intel C");
	host_names_fini(&names);
}

static void without_the_file_everything_is_a_number(void **state)
{
	struct host_names names = { 0 };

	expect_device(&names, 0x144d, 0xa808, "Device a808");
	expect_class(&names, 0x010802, "Class 0108");
	host_names_fini(&names);
}

static void every_truncation_is_read_without_harm(void **state)
{
	for (size_t len = 0; len < sizeof(ids); len++) {
		char *exact = malloc(len ? len : 1), text[32];
		struct host_names names;

		memcpy(exact, ids, len);
		host_names_init_text(&names, exact, len);
		host_names_vendor(&names, 0x8086, text, sizeof(text));
		host_names_device(&names, 0x144d, 0xa809, text, sizeof(text));
		host_names_class(&names, 0x020000, text, sizeof(text));
		host_names_fini(&names);
		free(exact);
	}
}

static size_t count(const char *text, const char *word)
{
	size_t nr = 0;

	while ((text = strstr(text, word))) {
		nr++;
		text += strlen(word);
	}
	return nr;
}

static char *draw(const char *host)
{
	struct sys real = sys_real(), sys;
	struct host_capture *capture;
	struct host_inventory inventory;
	struct host_topology topology;
	struct host_isolation isolation;
	struct host_names names;
	char path[512], *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	snprintf(path, sizeof(path), TEST_SOURCE_ROOT "/tests/host/%s.host", host);
	assert_int_equal(host_capture_load(&real, path, &capture, NULL), 0);
	sys = host_capture_sys(capture);
	assert_int_equal(host_inventory_read(&sys, &inventory, NULL), 0);
	assert_int_equal(host_topology_init(&topology, &inventory), 0);
	assert_int_equal(host_isolation_init(&isolation, &topology), 0);
	host_names_init_text(&names, ids, sizeof(ids) - 1);
	host_picture_write(to, &isolation, &names);
	assert_int_equal(fclose(to), 0);
	host_names_fini(&names);
	host_isolation_fini(&isolation);
	host_topology_fini(&topology);
	host_inventory_fini(&inventory);
	host_capture_destroy(capture);
	return text;
}

static void the_picture_has_every_function_once_and_every_reason(void **state)
{
	char *text = draw("switch-no-acs");

	assert_int_equal(strncmp(text, "<svg ", 5), 0);
	assert_string_equal(text + strlen(text) - 7, "</svg>\n");
	assert_int_equal(count(text, ">0000:06:00.0</text>"), 1);
	assert_int_equal(count(text, "class=\"a\""), 11);
	assert_int_equal(count(text, ">no ACS</text>"), 2);
	assert_int_equal(count(text, ">ACS off: RR</text>"), 1);
	assert_int_equal(count(text, "can reach its peers directly</text>"), 3);
	assert_int_equal(count(text, "<text"), count(text, "</text>"));
	free(text);
}

static void nothing_of_the_host_breaks_the_picture(void **state)
{
	char *text = draw("hostile");

	/* What came from the host holds no markup and no control characters. */
	for (const char *c = text; *c; c++)
		assert_true(*c == '\n' || (*c >= ' ' && *c < 0x7f));
	assert_int_equal(count(text, "<text"), count(text, "</text>"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_found_below_their_vendor),
		cmocka_unit_test(classes_are_named_as_closely_as_they_can),
		cmocka_unit_test(names_are_cut_and_cleaned),
		cmocka_unit_test(without_the_file_everything_is_a_number),
		cmocka_unit_test(every_truncation_is_read_without_harm),
		cmocka_unit_test(the_picture_has_every_function_once_and_every_reason),
		cmocka_unit_test(nothing_of_the_host_breaks_the_picture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
