// SPDX-License-Identifier: GPL-2.0-or-later
/* A guest that writes nonsense everywhere, against a model of what the registers then mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fake/pci_world.h"

#define ROUNDS	    24
#define ROUND_BYTES 16384

static uint64_t random_state;

static uint8_t random_u8(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (uint8_t)((random_state * 0x2545f4914f6cdd1dull) >> 56);
}

static void nonsense_everywhere_leaves_the_fabric_as_its_registers_say(void **state)
{
	uint8_t *input = malloc(ROUND_BYTES);
	unsigned int nr_accesses = 0;

	assert_non_null(input);
	random_state = 0x853c49e6748fea9bull;
	for (unsigned int i = 0; i < ROUNDS; i++) {
		struct pci_world world;

		for (unsigned int j = 0; j < ROUND_BYTES; j++)
			input[j] = random_u8();
		pci_world_init(&world);
		pci_world_run(&world, input, ROUND_BYTES);
		nr_accesses += world.nr_accesses;
		assert_true(pci_world_fini(&world));
	}
	free(input);
	assert_true(nr_accesses > 20000);
}

/* Each register of each function in turn, all ones and then all zeroes, in every width. */
static void every_config_byte_takes_any_value(void **state)
{
	static const uint64_t values[] = { UINT64_MAX, 0, 0x5555555555555555, 0xaaaaaaaaaaaaaaaa };
	struct pci_world world;

	pci_world_init(&world);
	for (unsigned int v = 0; v < ARRAY_SIZE(values); v++) {
		for (unsigned int size = 1; size <= 8; size *= 2) {
			for (unsigned int devfn = 0; devfn < 256; devfn++) {
				for (unsigned int at = 0; at + size <= PCI_CONFIG_SIZE; at++)
					fake_bus_write(&world.pci.machine, BUS_MMIO,
						       FAKE_ECAM + (devfn << 12) + at, size,
						       values[v]);
			}
			pci_world_run(&world, (const uint8_t *)"\x08\x00\x00", 3);
		}
	}
	assert_true(pci_world_fini(&world));
}

static void every_ecam_address_answers(void **state)
{
	struct pci_world world;
	uint64_t functions = 0;

	pci_world_init(&world);
	for (uint64_t at = 0; at < MIB(256); at += KIB(4)) {
		uint64_t id = fake_bus_read(&world.pci.machine, BUS_MMIO, FAKE_ECAM + at, 4);

		functions += id != 0xffffffff;
		fake_bus_write(&world.pci.machine, BUS_MMIO, FAKE_ECAM + at + 0xffd, 4, 0);
		fake_bus_read(&world.pci.machine, BUS_MMIO, FAKE_ECAM + at + 0xff8, 8);
	}
	/* Host bridge, ports (three of a switch) and endpoints, each at one address. */
	assert_int_equal(functions, 1 + WORLD_PORTS + 3 + WORLD_ENDPOINTS);
	assert_true(pci_world_fini(&world));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nonsense_everywhere_leaves_the_fabric_as_its_registers_say),
		cmocka_unit_test(every_config_byte_takes_any_value),
		cmocka_unit_test(every_ecam_address_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
