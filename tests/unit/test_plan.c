// SPDX-License-Identifier: GPL-2.0-or-later
/* What a run would do, and everything that stands in its way, found without opening a device. */
#include <errno.h>
#include <linux/kvm.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bits.h"
#include "fake/vfio.h"
#include "machine/drive.h"
#include "machine/plan.h"

#define FD_KVM 90000

struct fixture {
	struct fake_vfio vfio;
	struct sys_ops ops; /* the fake's, with a KVM */
	struct sys sys;
	struct vm_config config;
	struct plan plan;
};

static struct fixture f;

static int kvm_open(struct sys *sys, enum sys_object kind, const char *name)
{
	return kind == SYS_KVM ? FD_KVM : f.vfio.sys.ops->open(sys, kind, name);
}

static int kvm_ioctl(struct sys *sys, int fd, unsigned long request, void *arg)
{
	if (fd != FD_KVM)
		return f.vfio.sys.ops->ioctl(sys, fd, request, arg);
	assert_int_equal(request, KVM_CHECK_EXTENSION);
	assert_int_equal((uintptr_t)arg, KVM_CAP_MAX_VCPUS);
	return 8;
}

static void kvm_close(struct sys *sys, int fd)
{
	if (fd != FD_KVM)
		f.vfio.sys.ops->close(sys, fd);
}

static int setup(void **state)
{
	memset(&f, 0, sizeof(f));
	fake_vfio_init(&f.vfio);
	f.ops = *f.vfio.sys.ops;
	f.ops.open = kvm_open;
	f.ops.ioctl = kvm_ioctl;
	f.ops.close = kvm_close;
	f.sys = f.vfio.sys;
	f.sys.ops = &f.ops;
	/* A kernel nobody has: one refusal that is always there. */
	f.config.kernel = "/absent/kernel";
	f.config.cpus = 1;
	f.config.ram.size = MIB(16);
	return 0;
}

static int teardown(void **state)
{
	plan_fini(&f.plan);
	assert_true(fake_vfio_is_empty(&f.vfio));
	fake_vfio_fini(&f.vfio);
	return 0;
}

static void device(const char *spec)
{
	struct diag diag = DIAG_INIT;

	assert_int_equal(spec_parse(&f.config.devices[f.config.nr_devices++], spec, &diag), 0);
}

/* The refusals beside the kernel's. */
static unsigned int planned(bool thorough)
{
	assert_int_not_equal(plan_make(&f.plan, &f.sys, &f.config, thorough), 0);
	return f.plan.nr_refusals - 1;
}

static void says(const char *object, const char *words)
{
	for (unsigned int i = 0; i < f.plan.nr_refusals; i++)
		if (!strcmp(f.plan.refusals[i].object, object) &&
		    strstr(f.plan.refusals[i].reason, words))
			return;
	for (unsigned int i = 0; i < f.plan.nr_refusals; i++)
		print_message("%s: %s\n", f.plan.refusals[i].object, f.plan.refusals[i].reason);
	fail_msg("nothing says '%s: %s'", object, words);
}

static void what_is_well_is_not_refused(void **state)
{
	fake_vfio_add(&f.vfio, "0000:01:00.0", 14);
	fake_vfio_publish(&f.vfio);
	device("root-port,id=rp0");
	device("vfio,host=0000:01:00.0,bus=rp0");
	f.config.cpus = 8;
	assert_int_equal(planned(true), 0);
	assert_int_equal(f.plan.vfio[0]->remapped, HOST_YES);
}

static void more_processors_than_kvm_runs_are_refused(void **state)
{
	fake_vfio_publish(&f.vfio);
	f.config.cpus = 9;
	assert_int_equal(planned(false), 1);
	says("--cpus", "9 vCPUs, but this host's KVM runs 8");
}

static void memory_that_the_host_cannot_give_is_refused(void **state)
{
	fake_vfio_publish(&f.vfio);
	f.config.ram = (struct ram_config){ .size = MIB(16), .backing = RAM_HUGETLB_2M };
	assert_int_equal(planned(true), 1);
	says("memory", "huge pages of 2 MiB: 8 needed, 0 free");
}

static void a_disk_belongs_to_one_device(void **state)
{
	struct diag diag = DIAG_INIT;

	fake_vfio_publish(&f.vfio);
	assert_int_equal(
		drive_parse(&f.config.drives[f.config.nr_drives++], "id=d0,memory=1M", &diag), 0);
	device("virtio-blk,drive=d0");
	device("nvme,drive=d0");
	assert_int_equal(planned(true), 1);
	says("nvme,drive=d0", "drive d0 is used by another device already");
}

static void everything_that_is_wrong_is_said_at_once(void **state)
{
	struct fake_vfio_device *real = fake_vfio_add(&f.vfio, "0000:01:00.0", 14);

	snprintf(real->driver, sizeof(real->driver), "nvme");
	f.vfio.interrupts_unsafe = true;
	f.vfio.reserved = "0x0000000000e00000 0x0000000000efffff direct\\n";
	fake_vfio_publish(&f.vfio);
	f.config.cpus = 9;
	device("vfio,host=0000:01:00.0,bus=nowhere");
	device("vfio,host=0000:7f:00.0");
	device("nonsense");
	planned(true);
	says("--cpus", "KVM runs 8");
	says("0000:01:00.0", "it is bound to nvme");
	says("0000:01:00.0", "does not remap interrupts");
	says("0000:01:00.0", "firmware keeps memory at 0xe00000");
	says("nowhere", "there is no such bus");
	says("0000:7f:00.0", "no such PCI function");
	says("nonsense", "no device class");
}

static void a_run_does_not_read_what_the_kernel_will_say_anyway(void **state)
{
	fake_vfio_add(&f.vfio, "0000:01:00.0", 14);
	f.vfio.interrupts_unsafe = true;
	fake_vfio_publish(&f.vfio);
	device("vfio,host=0000:01:00.0");
	assert_int_equal(planned(false), 0);
}

static void a_bus_has_room_for_one_group(void **state)
{
	fake_vfio_add(&f.vfio, "0000:01:00.0", 14);
	fake_vfio_add(&f.vfio, "0000:01:00.1", 14);
	fake_vfio_add(&f.vfio, "0000:02:00.0", 15);
	fake_vfio_publish(&f.vfio);
	device("root-port,id=rp0");
	device("root-port,id=rp0");
	device("vfio,host=0000:01:00.0,bus=rp0");
	device("vfio,host=0000:01:00.1,bus=rp0");
	device("vfio,host=0000:02:00.0,bus=rp0");
	assert_int_equal(planned(false), 2);
	says("rp0", "a port of that id already");
	says("rp0", "it is occupied");
}

/* A number is not a descriptor: it would only switch the checks of the group off. */
static void a_group_is_a_descriptor_or_left_out(void **state)
{
	fake_vfio_add(&f.vfio, "0000:01:00.0", 14);
	fake_vfio_publish(&f.vfio);
	device("vfio,host=0000:01:00.0,group=14");
	assert_int_equal(planned(false), 1);
	says("vfio,host=0000:01:00.0,group=14", "group=14 is not a descriptor");
}

static void the_root_bus_has_31_slots(void **state)
{
	char spec[32];

	fake_vfio_publish(&f.vfio);
	for (unsigned int i = 0; i < 32; i++) {
		snprintf(spec, sizeof(spec), "root-port,id=rp%u", i);
		device(spec);
	}
	assert_int_equal(planned(false), 1);
	says("pcie.0", "no free slot");
}

static void memory_where_the_host_reserves_is_refused(void **state)
{
	fake_vfio_add(&f.vfio, "0000:01:00.0", 14);
	f.vfio.reserved = "0x0000000000e00000 0x0000000000efffff reserved\\n";
	fake_vfio_publish(&f.vfio);
	device("vfio,host=0000:01:00.0");
	assert_int_equal(planned(false), 1);
	says("0000:01:00.0", "reserves 0xe00000-0xefffff");
	plan_fini(&f.plan);
	f.config.ram.size = MIB(14);
	assert_int_equal(planned(false), 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(what_is_well_is_not_refused),
		CASE(more_processors_than_kvm_runs_are_refused),
		CASE(memory_that_the_host_cannot_give_is_refused),
		CASE(a_disk_belongs_to_one_device),
		CASE(everything_that_is_wrong_is_said_at_once),
		CASE(a_run_does_not_read_what_the_kernel_will_say_anyway),
		CASE(a_bus_has_room_for_one_group),
		CASE(a_group_is_a_descriptor_or_left_out),
		CASE(the_root_bus_has_31_slots),
		CASE(memory_where_the_host_reserves_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
