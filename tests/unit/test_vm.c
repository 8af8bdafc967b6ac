// SPDX-License-Identifier: GPL-2.0-or-later
/* A whole machine on a KVM that runs no guest: creation, ends, resets, and every failure on the way. */
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
#include "fake/vfio.h"
#include "machine/arch.h"
#include "machine/board.h"
#include "machine/stats.h"
#include "machine/vcpu.h"
#include "machine/vm.h"
#include "pci/pci_regs.h"

struct fixture {
	struct fake_kvm kvm;
	char kernel[32];
	struct vm_config config;
	struct vm *vm;
};

/* A Multiboot 1 image of one word: what it would execute does not matter here. */
static void write_kernel(struct fixture *f)
{
	const uint32_t image[] = {
		0x1badb002, BIT(16),  -(0x1badb002 + BIT(16)), /* magic, flags, checksum */
		0x100000,   0x100000, 0,
		0,	    0x100020, /* header, load, load end, bss end, entry */
		0xf4f4f4f4,
	};
	int fd;

	strcpy(f->kernel, "/tmp/airlock-test-XXXXXX");
	fd = mkstemp(f->kernel);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, image, sizeof(image)), sizeof(image));
	close(fd);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fake_kvm_init(&f->kvm);
	write_kernel(f);
	f->config.kernel = f->kernel;
	f->config.cpus = 2;
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

static void nothing_is_left(struct fixture *f)
{
	assert_int_equal(f->kvm.nr_fds, 0);
	assert_int_equal(f->kvm.mapped, 0);
}

static void create(struct fixture *f)
{
	struct diag diag = DIAG_INIT;

	if (vm_create(&f->kvm.sys, &f->config, NULL, &f->vm, &diag))
		fail_msg("%s: %s", diag.object, diag.reason);
}

static void run_to(struct fixture *f, enum vm_end end)
{
	struct diag diag = DIAG_INIT;

	assert_int_equal(vm_run(f->vm, &diag), 0);
	assert_int_equal(f->vm->end, end);
}

static void destroy(struct fixture *f)
{
	vm_destroy(f->vm);
	nothing_is_left(f);
}

/* ---- exits a vCPU is made to take ---- */

struct port_write {
	uint16_t port;
	uint8_t value;
};

static void exit_out(struct kvm_run *run, void *opaque)
{
	const struct port_write *w = opaque;

	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = KVM_EXIT_IO_OUT;
	run->io.size = 1;
	run->io.count = 1;
	run->io.port = w->port;
	run->io.data_offset = 4096;
	((uint8_t *)run)[4096] = w->value;
}

static void exit_reason(struct kvm_run *run, void *opaque)
{
	run->exit_reason = (uint32_t)(uintptr_t)opaque;
	run->internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
}

static struct port_write reset_write = { 0xcf9, 0x06 };
static struct port_write panic_write = { 0x505, 0x01 };

static void a_machine_comes_and_goes_without_leaving_anything(void **state)
{
	struct fixture *f = *state;

	create(f);
	assert_int_equal(f->kvm.nr_vcpus, 2);
	assert_int_equal(f->kvm.slots[0].memory_size, MIB(16));
	destroy(f);
}

static void ram_above_the_hole_gets_a_slot_of_its_own(void **state)
{
	struct fixture *f = *state;

	f->config.ram.size = GIB(4);
	create(f);
	assert_int_equal(f->kvm.slots[0].guest_phys_addr, 0);
	assert_int_equal(f->kvm.slots[0].memory_size, RAM_HOLE);
	assert_int_equal(f->kvm.slots[1].guest_phys_addr, RAM_HIGH);
	assert_int_equal(f->kvm.slots[1].memory_size, GIB(4) - RAM_HOLE);
	destroy(f);
}

/* Each call in turn fails; the machine must refuse with a reason and leave nothing. */
static void every_call_that_fails_on_the_way_is_undone(void **state)
{
	struct fixture *f = *state;
	unsigned int n, nr_refused = 0;

	for (n = 1;; n++) {
		struct diag diag = DIAG_INIT;
		int err;

		fake_kvm_fini(&f->kvm);
		fake_kvm_init(&f->kvm);
		f->kvm.fail_at = n;
		err = vm_create(&f->kvm.sys, &f->config, NULL, &f->vm, &diag);
		if (err) {
			assert_true(diag.err < 0);
			assert_true(diag.reason[0]);
			nr_refused++;
		} else {
			vm_destroy(f->vm);
		}
		nothing_is_left(f);
		if (f->kvm.nr_calls < n)
			break;
	}
	/* Some failures are borne (a missing optional feature); most are refusals. */
	assert_true(nr_refused > 20);
}

/* ---- a machine with a passed-through device: all of a run, on both fakes ---- */

struct config_write {
	uint32_t port, value;
};

static void exit_config(struct kvm_run *run, void *opaque)
{
	const struct config_write *w = opaque;

	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = KVM_EXIT_IO_OUT;
	run->io.size = 4;
	run->io.count = 1;
	run->io.port = (uint16_t)w->port;
	run->io.data_offset = 4096;
	memcpy((uint8_t *)run + 4096, &w->value, 4);
}

/* The guest's driver switches bus mastering on at 01:00.0, and then the guest resets the machine. */
static struct config_write driver[] = {
	{ 0xcf8, BIT(31) | 1 << 16 | PCI_COMMAND },
	{ 0xcfc, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER },
};

/* 0, or the refusal; nothing is left either way. */
static int run_with_device(struct fixture *f, struct fake_vfio *vfio)
{
	struct diag diag = DIAG_INIT;
	int err = vm_create(&f->kvm.sys, &f->config, NULL, &f->vm, &diag);

	if (!err) {
		for (size_t i = 0; i < ARRAY_SIZE(driver); i++)
			fake_kvm_script(&f->kvm, 0, exit_config, &driver[i]);
		fake_kvm_script(&f->kvm, 0, exit_out, &reset_write);
		err = vm_run(f->vm, &diag);
		if (!err && f->vm->end != VM_END_RESET) {
			assert_true(f->vm->end == VM_END_HOST_ERROR ||
				    f->vm->end == VM_END_KVM_ERROR);
			assert_true(f->vm->end_diag.reason[0]);
			err = f->vm->end_diag.err;
		}
		vm_destroy(f->vm);
	}
	assert_int_equal(f->kvm.nr_groups, 0);
	assert_false(vfio->device[0].mastered_while_unmapped);
	nothing_is_left(f);
	assert_true(fake_vfio_is_empty(vfio));
	return err;
}

/* As its config space says: 4 bits of the PCI Express capability's flags. */
static uint32_t express_type(struct vm *vm, uint8_t devfn)
{
	struct pci_function *fn = pci_bus_function(pci_fabric_root(vm->board->fabric), devfn);

	assert_non_null(fn);
	return FIELD_GET(PCI_EXP_TYPE,
			 (uint32_t)le_load(&fn->config[fn->pcie_cap + PCI_EXP_FLAGS], 2));
}

static void functions_of_a_group_on_the_root_bus_are_all_integrated_and_have_figures(void **state)
{
	struct fixture *f = *state;
	struct diag diag = DIAG_INIT;
	struct fake_vfio vfio;
	char *figures;
	size_t size;
	FILE *to;

	f->config.nr_devices = 2;
	assert_int_equal(
		spec_parse(&f->config.devices[0], "vfio,host=0000:01:00.0,bus=pcie.0", &diag), 0);
	assert_int_equal(spec_parse(&f->config.devices[1], "vfio,host=0000:01:00.1", &diag), 0);
	fake_vfio_init(&vfio);
	fake_vfio_add(&vfio, "0000:01:00.0", 14);
	fake_vfio_add(&vfio, "0000:01:00.1", 14);
	fake_vfio_publish(&vfio);
	f->kvm.real = vfio.sys;
	create(f);
	/* Behind the host bridge; the second follows the first without being told. */
	assert_int_equal(express_type(f->vm, PCI_DEVFN(1, 0)), PCI_EXP_RC_ENDPOINT);
	assert_int_equal(express_type(f->vm, PCI_DEVFN(1, 1)), PCI_EXP_RC_ENDPOINT);
	to = open_memstream(&figures, &size);
	assert_non_null(to);
	stats_print_json(f->vm, to);
	fclose(to);
	assert_non_null(strstr(figures, "\"reset_by\":\"flr\""));
	free(figures);
	destroy(f);
	fake_vfio_fini(&vfio);
}

static void every_call_of_a_run_with_a_device_that_fails_is_undone(void **state)
{
	struct fixture *f = *state;
	struct diag diag = DIAG_INIT;
	unsigned int nr_kvm = 0, nr_vfio = 0, nr_refused = 0;

	f->config.cpus = 1;
	f->config.reboot = VM_REBOOT_EXIT;
	f->config.nr_devices = 1;
	for (unsigned int n = 0; n <= nr_kvm + nr_vfio; n++) {
		struct fake_vfio vfio;

		/* The classes mark the keys they used. */
		assert_int_equal(spec_parse(&f->config.devices[0], "vfio,host=0000:01:00.0", &diag),
				 0);
		fake_vfio_init(&vfio);
		fake_vfio_add(&vfio, "0000:01:00.0", 14);
		fake_vfio_publish(&vfio);
		fake_kvm_fini(&f->kvm);
		fake_kvm_init(&f->kvm);
		f->kvm.real = vfio.sys;
		vfio.nr_calls = 0;
		f->kvm.fail_at = n <= nr_kvm ? n : 0;
		vfio.fail_at = n > nr_kvm ? n - nr_kvm : 0;
		if (run_with_device(f, &vfio))
			nr_refused++;
		if (!n) {
			assert_int_equal(nr_refused, 0);
			nr_kvm = f->kvm.nr_calls;
			nr_vfio = vfio.nr_calls;
			assert_true(nr_kvm > 100 && nr_vfio > 60);
		}
		fake_vfio_fini(&vfio);
	}
	assert_true(nr_refused > 40);
}

static void a_triple_fault_ends_the_run_and_says_where(void **state)
{
	struct fixture *f = *state;

	create(f);
	fake_kvm_script(&f->kvm, 0, exit_reason, (void *)KVM_EXIT_SHUTDOWN);
	f->kvm.vcpus[0].regs.rip = 0;
	run_to(f, VM_END_TRIPLE_FAULT);
	assert_string_equal(f->vm->end_diag.object, "vcpu0");
	/* The fake vCPU stands where the image was entered. */
	assert_non_null(strstr(f->vm->end_diag.reason, "rip 0x100020"));
	destroy(f);
}

static void an_instruction_kvm_cannot_emulate_ends_the_run(void **state)
{
	struct fixture *f = *state;

	create(f);
	fake_kvm_script(&f->kvm, 0, exit_reason, (void *)KVM_EXIT_INTERNAL_ERROR);
	run_to(f, VM_END_KVM_ERROR);
	assert_non_null(strstr(f->vm->end_diag.reason, "cannot emulate"));
	destroy(f);
}

static void an_exit_nobody_knows_ends_the_run(void **state)
{
	struct fixture *f = *state;

	create(f);
	fake_kvm_script(&f->kvm, 1, exit_reason, (void *)9999);
	run_to(f, VM_END_KVM_ERROR);
	assert_string_equal(f->vm->end_diag.object, "vcpu1");
	assert_non_null(strstr(f->vm->end_diag.reason, "9999"));
	destroy(f);
}

static void a_guest_panic_is_told_from_a_power_off_and_says_where(void **state)
{
	struct fixture *f = *state;

	create(f);
	fake_kvm_script(&f->kvm, 0, exit_out, &panic_write);
	run_to(f, VM_END_PANIC);
	assert_string_equal(f->vm->end_diag.object, "vcpu0");
	assert_non_null(strstr(f->vm->end_diag.reason, "panic"));
	assert_non_null(strstr(f->vm->end_diag.reason, "rip 0x100020"));
	destroy(f);
}

static void a_reset_boots_the_image_again(void **state)
{
	struct fixture *f = *state;

	create(f);
	fake_kvm_script(&f->kvm, 0, exit_out, &reset_write);
	fake_kvm_script(&f->kvm, 0, exit_out, &reset_write);
	fake_kvm_script(&f->kvm, 0, exit_reason, (void *)KVM_EXIT_SHUTDOWN);
	run_to(f, VM_END_TRIPLE_FAULT);
	assert_int_equal(f->vm->nr_resets, 2);
	assert_int_equal(f->kvm.vcpus[0].regs.rip, 0x100020);
	destroy(f);
}

static void a_vcpu_runs_no_further_once_it_asked_for_a_reset(void **state)
{
	struct fixture *f = *state;

	f->config.reboot = VM_REBOOT_EXIT;
	create(f);
	/* Were the second exit played, the run would end as a triple fault. */
	fake_kvm_script(&f->kvm, 0, exit_out, &reset_write);
	fake_kvm_script(&f->kvm, 0, exit_reason, (void *)KVM_EXIT_SHUTDOWN);
	run_to(f, VM_END_RESET);
	assert_int_equal(f->kvm.vcpus[0].nr_runs, 1);
	destroy(f);
}

static void post_user_end(void *opaque)
{
	vm_end(opaque, VM_END_USER, 0);
}

static void vcpus_that_never_exit_are_stopped(void **state)
{
	struct fixture *f = *state;
	struct loop_work work = { .fn = post_user_end };

	create(f);
	work.opaque = f->vm;
	loop_post(f->vm->loop, &work);
	run_to(f, VM_END_USER);
	destroy(f);
}

static void pause_and_resume(void *opaque)
{
	struct vm *vm = opaque;

	for (unsigned int i = 0; i < 100; i++) {
		vm_pause(vm);
		assert_int_equal(vm->nr_parked, vm->nr_cpus);
		vm_resume(vm);
	}
	vm_end(vm, VM_END_USER, 0);
}

static void pausing_parks_every_vcpu_every_time(void **state)
{
	struct fixture *f = *state;
	struct loop_work work = { .fn = pause_and_resume };

	create(f);
	work.opaque = f->vm;
	loop_post(f->vm->loop, &work);
	run_to(f, VM_END_USER);
	destroy(f);
}

static void more_memory_than_there_is_room_below_the_pci_window_is_refused(void **state)
{
	struct fixture *f = *state;
	struct diag diag = DIAG_INIT;

	/* The fake's CPUs have 40 address bits: PCI has the upper half, from 512 GiB. */
	f->config.ram.size = GIB(600);
	assert_true(vm_create(&f->kvm.sys, &f->config, NULL, &f->vm, &diag) < 0);
	assert_true(diag.reason[0]);
	nothing_is_left(f);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_machine_comes_and_goes_without_leaving_anything),
		CASE(ram_above_the_hole_gets_a_slot_of_its_own),
		CASE(every_call_that_fails_on_the_way_is_undone),
		CASE(functions_of_a_group_on_the_root_bus_are_all_integrated_and_have_figures),
		CASE(every_call_of_a_run_with_a_device_that_fails_is_undone),
		CASE(a_triple_fault_ends_the_run_and_says_where),
		CASE(an_instruction_kvm_cannot_emulate_ends_the_run),
		CASE(an_exit_nobody_knows_ends_the_run),
		CASE(a_guest_panic_is_told_from_a_power_off_and_says_where),
		CASE(a_reset_boots_the_image_again),
		CASE(a_vcpu_runs_no_further_once_it_asked_for_a_reset),
		CASE(vcpus_that_never_exit_are_stopped),
		CASE(pausing_parks_every_vcpu_every_time),
		CASE(more_memory_than_there_is_room_below_the_pci_window_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
