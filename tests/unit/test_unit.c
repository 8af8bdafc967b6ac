// SPDX-License-Identifier: GPL-2.0-or-later
/* The remapping unit on the board: its options, its registers, and who is behind it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bits.h"
#include "base/endian.h"
#include "fake/kvm.h"
#include "host/capture.h"
#include "iommu/vtd_regs.h"
#include "machine/arch.h"
#include "machine/board.h"
#include "machine/unit.h"
#include "machine/x86/layout.h"

/* ---- options ---- */

static int read_options(const char *text, struct unit_options *options, struct diag *diag)
{
	static struct spec spec;

	assert_int_equal(spec_parse(&spec, text, NULL), 0);
	return unit_options_read(&spec, options, diag);
}

static void options_have_defaults_that_follow_each_other(void **state)
{
	struct unit_options o;
	char text[160];

	assert_int_equal(read_options("vtd", &o, NULL), 0);
	assert_true(o.intremap && o.eim && o.passthrough && o.snoop && o.ats);
	assert_false(o.caching || o.scalable || o.first_stage || o.posted || o.boot_block);
	assert_int_equal(o.aw, 48);
	unit_options_describe(&o, text, sizeof(text));
	assert_string_equal(text, "VT-d, 48-bit addresses, interrupt remapping with x2APIC ids");

	assert_int_equal(read_options("vtd,intremap=off", &o, NULL), 0);
	assert_false(o.eim);
	assert_int_equal(read_options("vtd,scalable=on", &o, NULL), 0);
	assert_true(o.first_stage);
	assert_int_equal(read_options("vtd,scalable=on,aw=39", &o, NULL), 0);
	assert_false(o.first_stage);
	assert_int_equal(read_options("vtd,boot-dma=block,quarantine=7,caching=on", &o, NULL), 0);
	assert_true(o.boot_block && o.caching);
	assert_int_equal(o.quarantine.burst, 7);
	assert_int_equal(o.quarantine.per_second, 100);
	assert_int_equal(read_options("vtd,quarantine=9/0", &o, NULL), 0);
	assert_int_equal(o.quarantine.burst, 9);
	assert_int_equal(o.quarantine.per_second, 0);
}

/* MGAW is bits 21:16 of cap (width - 1), SC bit 7 of ecap (VT-d 11.4.2, 11.4.3). */
static void a_unit_with_a_passed_through_device_offers_what_the_host_can_follow(void **state)
{
	static const char text[] = "airlock-host 1\n"
				   "unlisted absent\n"
				   "sys class/iommu/dmar0/intel-iommu/cap = 260600\n\n"
				   "sys class/iommu/dmar0/intel-iommu/ecap = 80\n\n"
				   "sys class/iommu/dmar1/intel-iommu/cap = 2f0600\n\n"
				   "sys class/iommu/dmar1/intel-iommu/ecap = 0\n\n";
	struct host_capture *capture;
	struct unit_options o;
	struct sys sys;

	assert_int_equal(host_capture_parse(text, sizeof(text) - 1, "host", &capture, NULL), 0);
	sys = host_capture_sys(capture);
	assert_int_equal(read_options("vtd,scalable=on", &o, NULL), 0);
	assert_true(o.first_stage && o.snoop && !o.caching && o.aw == 48);
	unit_options_mirror(&sys, &o);
	assert_true(o.caching && o.scalable && !o.first_stage);
	/* The narrowest of the host's units; snooping only where each can force it. */
	assert_int_equal(o.aw, 39);
	assert_false(o.snoop);
	host_capture_destroy(capture);
}

static void options_that_make_no_sense_are_refused_by_name(void **state)
{
	static const struct {
		const char *text, *reason;
	} cases[] = {
		{ "amd", "there is no unit 'amd'" },
		{ "vtd,intremp=on", "no key 'intremp'" },
		{ "vtd,eim=maybe", "neither on nor off" },
		{ "vtd,aw=40", "aw=40" },
		{ "vtd,aw=many", "not a number" },
		{ "vtd,intremap=off,eim=on", "intremap=off" },
		{ "vtd,intremap=off,posted=on", "intremap=off" },
		{ "vtd,first-stage=on", "scalable=on" },
		{ "vtd,scalable=on,aw=39,first-stage=on", "4 levels" },
		{ "vtd,boot-dma=no", "neither allow nor block" },
		{ "vtd,quarantine=", "number of faults" },
		{ "vtd,quarantine=-1", "number of faults" },
		{ "vtd,quarantine=5/", "number of faults" },
		{ "vtd,quarantine=5/x", "number of faults" },
		{ "vtd,quarantine=99999999999", "number of faults" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct diag diag = DIAG_INIT;
		struct unit_options o;

		assert_int_equal(read_options(cases[i].text, &o, &diag), -EINVAL);
		if (!strstr(diag.reason, cases[i].reason))
			fail_msg("%s: %s", cases[i].text, diag.reason);
	}
}

/* ---- on the board ---- */

struct fixture {
	struct fake_kvm kvm;
	char kernel[32];
	struct vm_config config;
	struct vm *vm;
};

static int setup(void **state)
{
	const uint32_t image[] = {
		0x1badb002, BIT(16),	-(0x1badb002 + BIT(16)), 0x100000, 0x100000, 0, 0,
		0x100020,   0xf4f4f4f4,
	};
	struct fixture *f = calloc(1, sizeof(*f));
	int fd;

	fake_kvm_init(&f->kvm);
	strcpy(f->kernel, "/tmp/airlock-test-XXXXXX");
	fd = mkstemp(f->kernel);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, image, sizeof(image)), sizeof(image));
	close(fd);
	f->config.kernel = f->kernel;
	f->config.cpus = 1;
	f->config.ram.size = MIB(16);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	unlink(f->kernel);
	fake_kvm_fini(&f->kvm);
	free(f);
	return 0;
}

static void ask_for(struct fixture *f, const char *text)
{
	f->config.has_iommu = true;
	assert_int_equal(spec_parse(&f->config.iommu, text, NULL), 0);
}

static void add(struct fixture *f, const char *text)
{
	assert_int_equal(spec_parse(&f->config.devices[f->config.nr_devices++], text, NULL), 0);
}

static void create(struct fixture *f)
{
	struct diag diag = DIAG_INIT;

	if (vm_create(&f->kvm.sys, &f->config, NULL, &f->vm, &diag))
		fail_msg("%s: %s", diag.object, diag.reason);
}

static void destroy(struct fixture *f)
{
	vm_destroy(f->vm);
	assert_int_equal(f->kvm.nr_fds, 0);
	assert_int_equal(f->kvm.mapped, 0);
}

static uint64_t reg(struct fixture *f, uint64_t offset, unsigned int size)
{
	struct bus_reader reader = { 0 };
	uint64_t value = 0;

	bus_reader_add(&f->vm->bus, &reader, "test");
	bus_read(&f->vm->bus, &reader, BUS_MMIO, LAYOUT_VTD + offset, &value, size);
	bus_reader_remove(&f->vm->bus, &reader);
	return value;
}

static void the_registers_are_where_the_platform_has_them_and_say_what_was_asked(void **state)
{
	struct fixture *f = *state;

	ask_for(f, "vtd,caching=on,scalable=on,ats=off");
	create(f);
	assert_true(reg(f, VTD_CAP, 8) & CAP_CM);
	assert_true(reg(f, VTD_ECAP, 8) & ECAP_SMTS);
	assert_true(reg(f, VTD_ECAP, 8) & ECAP_IR);
	assert_true(reg(f, VTD_ECAP, 8) & ECAP_EIM);
	assert_false(reg(f, VTD_ECAP, 8) & ECAP_DT);
	assert_ptr_not_equal(f->vm->platform.iommu, f->vm->no_iommu);
	assert_ptr_equal(f->vm->unguarded.iommu, f->vm->no_iommu);
	assert_ptr_equal(f->vm->irq.pin_iommu, f->vm->platform.iommu);
	assert_int_equal(f->vm->irq.pin_rid.v, 0xf0ff);
	destroy(f);
}

static void without_the_option_there_is_no_unit(void **state)
{
	struct fixture *f = *state;

	create(f);
	assert_int_equal(reg(f, VTD_CAP, 8), UINT64_MAX);
	assert_ptr_equal(f->vm->platform.iommu, f->vm->no_iommu);
	destroy(f);
}

static void every_call_that_fails_on_the_way_is_undone(void **state)
{
	struct fixture *f = *state;
	unsigned int n, nr_refused = 0;

	ask_for(f, "vtd");
	for (n = 1;; n++) {
		struct diag diag = DIAG_INIT;
		int err;

		fake_kvm_fini(&f->kvm);
		fake_kvm_init(&f->kvm);
		f->kvm.fail_at = n;
		err = vm_create(&f->kvm.sys, &f->config, NULL, &f->vm, &diag);
		if (err) {
			assert_int_equal(f->kvm.nr_fds, 0);
			nr_refused++;
			continue;
		}
		destroy(f);
		if (f->kvm.nr_calls < n)
			break;
	}
	assert_true(nr_refused > 10);
}

/* The DMAR table as it lies in guest memory. */
static const uint8_t *dmar(struct fixture *f)
{
	const uint8_t *acpi = ram_span(f->vm->ram, gpa(LAYOUT_ACPI), LAYOUT_ACPI_SIZE);
	struct diag diag = DIAG_INIT;

	if (arch_board_boot(f->vm, &diag))
		fail_msg("%s: %s", diag.object, diag.reason);
	for (uint64_t i = 0; i < LAYOUT_ACPI_SIZE; i += 16)
		if (!memcmp(acpi + i, "DMAR", 4))
			return acpi + i;
	return NULL;
}

static void everything_is_behind_the_unit_until_something_is_left_out(void **state)
{
	struct fixture *f = *state;
	const uint8_t *table;

	ask_for(f, "vtd");
	add(f, "root-port,id=in");
	create(f);
	table = dmar(f);
	assert_non_null(table);
	assert_int_equal(table[52], 1);
	assert_int_equal(le_load(table + 50, 2), 24);
	destroy(f);

	add(f, "root-port,id=out,iommu=off");
	create(f);
	table = dmar(f);
	assert_non_null(table);
	assert_int_equal(table[52], 0);
	/* The I/O APIC, the host bridge 00.0, and port "in" at 01.0; not 02.0. */
	assert_int_equal(le_load(table + 50, 2), 40);
	assert_int_equal(table[72], 1);
	assert_int_equal(table[78], 0);
	assert_int_equal(table[80], 2);
	assert_int_equal(table[86], 1);
	destroy(f);
}

static void a_device_and_its_port_are_on_one_side(void **state)
{
	static const struct pci_ids ids = { .vendor = 0x1234, .device = 1 };
	struct fixture *f = *state;
	struct pci_function fn;
	struct spec spec;
	struct diag diag = DIAG_INIT;

	ask_for(f, "vtd");
	add(f, "root-port,id=rp");
	create(f);
	assert_int_equal(spec_parse(&spec, "x,bus=rp,iommu=off", NULL), 0);
	assert_int_equal(board_spec_check(&f->config, &spec, NULL), 0);
	assert_ptr_equal(board_platform(f->vm, &spec), &f->vm->unguarded);
	pci_function_init(&fn, board_platform(f->vm, &spec), NULL, NULL, &ids, "x");
	assert_int_equal(board_plug(f->vm, &spec, &fn, true, &diag), -EINVAL);
	assert_non_null(strstr(diag.reason, "port rp"));

	/* A port made for it is on its side. */
	assert_int_equal(spec_parse(&spec, "x,iommu=off", NULL), 0);
	assert_int_equal(board_plug(f->vm, &spec, &fn, false, NULL), 0);
	pci_function_detach(&fn);
	assert_int_equal(board_plug(f->vm, &spec, &fn, true, NULL), 0);
	pci_function_detach(&fn);
	pci_function_fini(&fn);
	destroy(f);

	f->config.has_iommu = false;
	assert_int_equal(spec_parse(&spec, "x,iommu=on", NULL), 0);
	assert_int_equal(board_spec_check(&f->config, &spec, &diag), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_have_defaults_that_follow_each_other),
		cmocka_unit_test(
			a_unit_with_a_passed_through_device_offers_what_the_host_can_follow),
		cmocka_unit_test(options_that_make_no_sense_are_refused_by_name),
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(the_registers_are_where_the_platform_has_them_and_say_what_was_asked),
		T(without_the_option_there_is_no_unit),
		T(every_call_that_fails_on_the_way_is_undone),
		T(everything_is_behind_the_unit_until_something_is_left_out),
		T(a_device_and_its_port_are_on_one_side),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
