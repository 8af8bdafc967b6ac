// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "host/address.h"

static void expect(const char *text, const char *formatted)
{
	struct pci_address address;
	char buf[PCI_ADDRESS_TEXT];

	assert_int_equal(pci_address_parse(text, &address), 0);
	assert_string_equal(pci_address_format(address, buf), formatted);
}

static void short_forms_are_completed(void **state)
{
	expect("0000:03:00.1", "0000:03:00.1");
	expect("03:00.1", "0000:03:00.1");
	expect("3:0.1", "0000:03:00.1");
	expect("03:1f", "0000:03:1f.0");
	expect("0:03:00", "0000:03:00.0");
	expect("AB:1F.7", "0000:ab:1f.7");
}

static void the_domain_has_32_bits(void **state)
{
	expect("10000:e1:00.0", "10000:e1:00.0");
	expect("ffffffff:ff:1f.7", "ffffffff:ff:1f.7");
	expect("00010000:e1:00.0", "10000:e1:00.0");
}

static void malformed_addresses_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"3",
		":",
		"03:",
		"03:00.",
		"03:00.8",
		"03:00.10",
		"03:20.0",
		"03:00.1 ",
		" 03:00.1",
		"100:00.0",
		"0000:03:00.g",
		"1:0:03:00.0",
		"0000:003:00.0",
		"123456789:00:00.0",
		"-3:00.0",
		"03:00.1/..",
		"0x03:00.0",
		"03.0",
		"0000::00.0",
	};
	struct pci_address address = { .bus = 0x55 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (pci_address_parse(bad[i], &address) != -EINVAL)
			fail_msg("\"%s\" was accepted", bad[i]);
		assert_int_equal(address.bus, 0x55);
	}
}

static void the_kernels_form_needs_all_parts(void **state)
{
	struct pci_address address;

	assert_int_equal(pci_address_parse_full("0000:03:00.1", &address), 0);
	assert_int_equal(pci_address_parse_full("03:00.1", &address), -EINVAL);
	assert_int_equal(pci_address_parse_full("0000:03:00", &address), -EINVAL);
	assert_int_equal(pci_address_parse_full("pci0000:00", &address), -EINVAL);
}

static void addresses_sort_by_domain_then_requester_id(void **state)
{
	static const char *const sorted[] = { "0000:00:00.0", "0000:00:00.1", "0000:00:1f.0",
					      "0000:01:00.0", "0001:00:00.0", "10000:00:00.0" };
	struct pci_address a, b;

	for (size_t i = 0; i + 1 < sizeof(sorted) / sizeof(sorted[0]); i++) {
		assert_int_equal(pci_address_parse(sorted[i], &a), 0);
		assert_int_equal(pci_address_parse(sorted[i + 1], &b), 0);
		assert_true(pci_address_compare(a, b) < 0);
		assert_true(pci_address_compare(b, a) > 0);
		assert_true(pci_address_equal(a, a));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_forms_are_completed),
		cmocka_unit_test(the_domain_has_32_bits),
		cmocka_unit_test(malformed_addresses_are_refused),
		cmocka_unit_test(the_kernels_form_needs_all_parts),
		cmocka_unit_test(addresses_sort_by_domain_then_requester_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
