// SPDX-License-Identifier: GPL-2.0-or-later
/* What the host's log says of passed-through devices, and what follows. */
#include "vfio_world.h"

#include "machine/board.h"
#include "machine/fault_watch.h"

#define LINE	 "4,100,200,-;DMAR: [DMA Write] Request device [01:00.0] fault addr 0x1000\n"
#define ANOTHERS "4,100,200,-;DMAR: [DMA Write] Request device [02:00.0] fault addr 0x1000\n"
#define FORGIVEN (FAULT_WATCH_BURST / FAULT_WATCH_WEIGHT)

struct fixture {
	struct world w;
	struct board board;
	struct vm vm;
	struct fault_watch *watch;
	struct sys_ops ops;
	const struct sys_ops *real;
	int err; /* what opening the log answers */
};

static struct fixture *now;

static int log_open(struct sys *sys, enum sys_object kind, const char *name)
{
	if (kind == SYS_KERNEL_LOG && now->err)
		return now->err;
	/* Anything that can be watched, and is never readable. */
	return now->real->open(sys, kind == SYS_KERNEL_LOG ? SYS_EVENTFD : kind, name);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	now = f;
	world_init(&f->w);
	world_start(&f->w);
	f->real = f->w.vfio.sys.ops;
	f->ops = *f->real;
	f->ops.open = log_open;
	f->w.vfio.sys.ops = &f->ops;
	f->board.fabric = f->w.pci.fabric;
	f->vm.board = &f->board;
	f->vm.devices = f->w.dev;
	f->vm.sys = &f->w.vfio.sys;
	f->vm.loop = f->w.loop;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fault_watch_stop(f->watch);
	world_fini(&f->w);
	free(f);
	return 0;
}

static void master_on(struct fixture *f)
{
	fake_cfg_write(&f->w.pci, f->w.rid, PCI_COMMAND, 2,
		       PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static bool masters(struct fixture *f)
{
	return pci_function_may_master(vfio_pci_function(f->w.dev));
}

static void a_device_that_the_host_keeps_refusing_is_cut_off(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fault_watch_start(&f->vm, &f->watch), 0);
	assert_non_null(f->watch);
	master_on(f);
	for (unsigned int i = 0; i < FORGIVEN; i++) {
		fault_watch_line(f->watch, LINE);
		fault_watch_line(f->watch, ANOTHERS);
		fault_watch_line(f->watch, "6,1,2,-;usb 1-1: new device\n");
	}
	assert_true(masters(f));
	/* A busy machine may drain some: then it takes as many more. */
	for (unsigned int i = 0; i < 1000 && masters(f); i++)
		fault_watch_line(f->watch, LINE);
	assert_false(masters(f));
	/* Its driver does not give up; the next line does not either. */
	master_on(f);
	fault_watch_line(f->watch, ANOTHERS);
	assert_true(masters(f));
	fault_watch_line(f->watch, LINE);
	assert_false(masters(f));
}

static void a_log_that_may_not_be_read_is_no_reason_to_stop(void **state)
{
	struct fixture *f = *state;

	f->err = -EPERM;
	assert_int_equal(fault_watch_start(&f->vm, &f->watch), 0);
	assert_null(f->watch);
}

static void without_passed_through_devices_nothing_is_opened(void **state)
{
	struct fixture *f = *state;
	unsigned int nr = f->w.vfio.nr_fds;

	f->vm.devices = NULL;
	assert_int_equal(fault_watch_start(&f->vm, &f->watch), 0);
	assert_null(f->watch);
	assert_int_equal(f->w.vfio.nr_fds, nr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(a_device_that_the_host_keeps_refusing_is_cut_off),
		T(a_log_that_may_not_be_read_is_no_reason_to_stop),
		T(without_passed_through_devices_nothing_is_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
