// SPDX-License-Identifier: GPL-2.0-or-later
/* Opening, refusing, resetting, losing and closing a passed-through device. */
#include "base/endian.h"
#include "pci/bus.h"
#include "vfio_world.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static void refused(struct world *w, int err, const char *reason, const char *remedy)
{
	struct vfio_pci_config config = world_config();

	fake_vfio_publish(&w->vfio);
	assert_int_equal(world_open(w, &config), err);
	if (!strstr(w->diag.reason, reason) || !strstr(w->diag.remedy, remedy))
		fail_msg("%s: %s / %s", w->diag.object, w->diag.reason, w->diag.remedy);
	assert_true(fake_vfio_is_empty(&w->vfio));
}

static void opening_undoes_itself_exactly(void **state)
{
	struct world w;

	world_init(&w);
	world_start(&w);
	assert_int_equal(w.vfio.nr_mappings, 2);
	assert_int_equal(w.vfio.nr_kvm_groups, 1);
	world_fini(&w);
}

/* The whole sequence with every call of the seam failing in turn, then each of the platform. */
static void run_once(struct world *w)
{
	struct vfio_pci_config config = world_config();
	struct pci_function *fn;

	if (world_open(w, &config)) {
		assert_true(w->diag.err < 0);
		return;
	}
	if (!world_boot(w)) {
		fn = vfio_pci_function(w->dev);
		world_write(w, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
		fake_bus_write(&w->pci.machine, BUS_MMIO, fn->bars[0].addr + FAKE_VFIO_TABLE, 4,
			       0xfee00000);
		fake_bus_write(&w->pci.machine, BUS_MMIO, fn->bars[0].addr + FAKE_VFIO_TABLE + 12,
			       4, 0);
		world_write(w, FAKE_VFIO_MSIX + 2, 2, PCI_MSIX_ENABLE);
		fake_bus_write(&w->pci.machine, BUS_MMIO,
			       fn->bars[0].addr + FAKE_VFIO_TABLE + 16 + 12, 4, 0);
		world_write(w, FAKE_VFIO_MSIX + 2, 2, 0);
		world_write(w, FAKE_VFIO_MSI + 2, 2, PCI_MSI_ENABLE | 1 << 4);
		world_write(w, FAKE_VFIO_MSI + 2, 2, 0);
		world_write(w, FAKE_VFIO_PCIE + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_FLR);
		w->dev->ops->reset(w->dev);
	}
	world_close(w);
}

static void every_failing_call_leaves_nothing_behind(void **state)
{
	static const int errors[] = { -ENOMEM, -EPERM, -EBUSY };
	unsigned int calls = 0, platform_calls = 0;

	for (unsigned int n = 0; n <= calls + platform_calls; n++) {
		struct world w;

		world_init(&w);
		fake_vfio_publish(&w.vfio);
		w.vfio.fail_err = errors[n % ARRAY_SIZE(errors)];
		if (n && n <= calls)
			w.vfio.fail_at = n;
		w.vfio.nr_calls = 0;
		fake_platform_fail(&w.pci.machine, n > calls ? n - calls : 0, -ENOSPC);
		run_once(&w);
		if (!n) {
			calls = w.vfio.nr_calls;
			platform_calls = w.pci.machine.nr_calls;
			assert_true(calls > 60 && platform_calls > 5);
		}
		if (!fake_vfio_is_empty(&w.vfio))
			fail_msg("call %u of %u leaves something", n, calls);
		world_fini(&w);
	}
}

static void a_device_of_a_host_driver_is_refused_by_name(void **state)
{
	struct world w;

	world_init(&w);
	strcpy(w.real->driver, "nvme");
	refused(&w, -EBUSY, "bound to nvme", "airlock bind 0000:01:00.0");
	strcpy(w.real->driver, "");
	refused(&w, -ENODEV, "no driver", "airlock bind 0000:01:00.0");
	world_fini(&w);
}

static void a_device_that_is_not_there_is_refused(void **state)
{
	struct vfio_pci_config config = world_config();
	struct world w;

	world_init(&w);
	fake_vfio_publish(&w.vfio);
	config.host.function = 5;
	assert_int_equal(world_open(&w, &config), -ENODEV);
	assert_non_null(strstr(w.diag.object, "0000:01:00.5"));
	world_fini(&w);
}

static void a_sibling_with_a_host_driver_blocks_the_group_and_is_named(void **state)
{
	struct fake_vfio_device *sibling;
	struct world w;

	world_init(&w);
	sibling = fake_vfio_add(&w.vfio, "0000:01:00.1", WORLD_GROUP);
	strcpy(sibling->driver, "snd_hda_intel");
	w.vfio.group[0].viable = false;
	refused(&w, -EBUSY, "0000:01:00.1 is bound to snd_hda_intel", "--group");
	world_fini(&w);
}

static void a_group_the_kernel_calls_not_viable_is_refused_even_if_nobody_is_seen(void **state)
{
	struct world w;

	world_init(&w);
	w.vfio.group[0].viable = false;
	refused(&w, -EBUSY, "not viable", "airlock bind 0000:01:00.0 --group");
	world_fini(&w);
}

static void a_host_without_an_iommu_is_refused(void **state)
{
	struct world w;

	world_init(&w);
	w.real->group = -1;
	refused(&w, -ENODEV, "no IOMMU", "intel_iommu=on");
	world_fini(&w);
}

static void a_host_that_does_not_remap_interrupts_is_refused_with_the_risk_named(void **state)
{
	struct world w;

	world_init(&w);
	w.vfio.interrupts_unsafe = true;
	refused(&w, -EPERM, "does not remap interrupts", "allow_unsafe_interrupts=1");
	world_fini(&w);
}

static void a_group_open_elsewhere_is_refused(void **state)
{
	struct world w;

	world_init(&w);
	w.vfio.group[0].busy = true;
	refused(&w, -EBUSY, "/dev/vfio/14 is in use by another process", "fuser");
	world_fini(&w);
}

static void the_same_device_twice_is_refused(void **state)
{
	struct vfio_pci_config config = world_config();
	struct device *again = NULL;
	struct diag diag = DIAG_INIT;
	struct world w;

	world_init(&w);
	world_start(&w);
	assert_int_equal(vfio_pci_create(w.context, &config, &diag, &again), -EEXIST);
	assert_null(again);
	world_fini(&w);
}

static void a_group_kvm_does_not_take_is_refused(void **state)
{
	struct world w;

	world_init(&w);
	w.kvm_err = -EINVAL;
	refused(&w, -EINVAL, "KVM does not take IOMMU group 14", "");
	world_fini(&w);
}

static void a_group_descriptor_of_somebody_else_is_taken(void **state)
{
	struct vfio_pci_config config = world_config();
	struct world w;

	world_init(&w);
	fake_vfio_publish(&w.vfio);
	config.group = "fd=14";
	assert_int_equal(world_open(&w, &config), 0);
	/* Who knows what was done by it before: opening did not have to reset the device. */
	assert_int_equal(w.real->nr_resets, 2);
	world_fini(&w);
}

static void a_device_nothing_resets_is_refused_unless_the_risk_is_taken(void **state)
{
	struct vfio_pci_config config = world_config();
	struct world w;

	world_init(&w);
	w.real->can_reset = false;
	w.real->methods[0] = '\0';
	refused(&w, -ENOTSUP, "nothing can reset this device", "allow-no-reset=on");
	config.allow_no_reset = true;
	assert_int_equal(world_open(&w, &config), 0);
	assert_int_equal(world_boot(&w), 0);
	/* And the guest is not offered what does not exist. */
	assert_false(world_read(&w, FAKE_VFIO_PCIE + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR &&
		     !(fake_vfio_config(w.real, FAKE_VFIO_PCIE + PCI_EXP_DEVCAP, 4) &
		       PCI_EXP_DEVCAP_FLR));
	world_fini(&w);
}

static void the_device_is_reset_before_and_after_and_by_the_guest(void **state)
{
	struct vfio_pci_stats stats;
	struct world w;

	world_init(&w);
	world_start(&w);
	/* By being opened: a second one would only cost the guest's start its time. */
	assert_int_equal(w.real->nr_resets, 1);
	world_write(&w, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_true(fake_vfio_config(w.real, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	world_write(&w, FAKE_VFIO_PCIE + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_FLR);
	assert_int_equal(w.real->nr_resets, 2);
	assert_false(w.real->command_at_reset & PCI_COMMAND_MASTER);
	assert_false(world_read(&w, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	vfio_pci_stats(w.dev, &stats);
	assert_int_equal(stats.nr_resets, 2);
	assert_string_equal(stats.reset_method, "flr");
	/* Nothing happened since: the machine's reset has nothing to undo. */
	w.dev->ops->reset(w.dev);
	assert_int_equal(w.real->nr_resets, 2);
	world_write(&w, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	w.dev->ops->reset(w.dev);
	assert_int_equal(w.real->nr_resets, 3);
	world_write(&w, PCI_COMMAND, 2, 0);
	world_write(&w, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	world_close(&w);
	assert_int_equal(w.real->nr_resets, 4);
	world_fini(&w);
}

/* What is said on stderr while the device comes and goes. */
static void said_with_methods(const char *methods, char *said, size_t size)
{
	int err = dup(STDERR_FILENO), ends[2];
	struct world w;
	ssize_t n;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	dup2(ends[1], STDERR_FILENO);
	world_init(&w);
	strcpy(w.real->methods, methods);
	world_start(&w);
	world_fini(&w);
	dup2(err, STDERR_FILENO);
	close(err);
	close(ends[1]);
	n = read(ends[0], said, size - 1);
	close(ends[0]);
	said[n > 0 ? n : 0] = '\0';
}

static void a_reset_that_is_none_of_the_function_alone_is_said(void **state)
{
	char said[512];

	said_with_methods("bus", said, sizeof(said));
	assert_non_null(strstr(said, WORLD_NAME));
	assert_non_null(strstr(said, "it is reset by bus"));
	said_with_methods("flr bus", said, sizeof(said));
	assert_null(strstr(said, "reset"));
}

static void a_bus_reset_spares_a_sibling_in_use_until_the_machine_resets(void **state)
{
	struct vfio_pci_config config = world_config();
	struct fake_vfio_device *other;
	struct device *second;
	struct world w;

	world_init(&w);
	other = fake_vfio_add(&w.vfio, "0000:01:00.1", WORLD_GROUP);
	w.real->can_reset = other->can_reset = false;
	w.real->can_hot_reset = other->can_hot_reset = true;
	fake_vfio_publish(&w.vfio);
	assert_int_equal(world_open(&w, &config), 0);
	assert_int_equal(w.real->nr_hot_resets, 1);
	config.host.function = 1;
	assert_int_equal(vfio_pci_create(w.context, &config, &w.diag, &second), 0);
	assert_int_equal(pci_function_attach(vfio_pci_function(second), w.bus, 1), 0);
	assert_int_equal(world_boot(&w), 0);
	/* Not offered: it could not be kept. */
	w.real->nr_hot_resets = other->nr_hot_resets = 0;
	world_write(&w, FAKE_VFIO_PCIE + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_FLR);
	assert_int_equal(w.real->nr_hot_resets, 0);
	w.dev->ops->reset(w.dev);
	second->ops->reset(second);
	/* One took the other along. */
	assert_int_equal(w.real->nr_hot_resets + other->nr_hot_resets, 1);
	second->ops->destroy(second);
	world_fini(&w);
}

/* What a bus reset that failed was to take along has not been reset: it still is, alone. */
static void a_bus_reset_that_fails_leaves_a_siblings_own_reset_due(void **state)
{
	struct vfio_pci_config config = world_config();
	struct fake_vfio_device *other;
	struct vfio_pci_stats stats;
	struct device *second;
	struct world w;

	world_init(&w);
	other = fake_vfio_add(&w.vfio, "0000:01:00.1", WORLD_GROUP);
	w.real->can_reset = false;
	w.real->can_hot_reset = other->can_hot_reset = true;
	fake_vfio_publish(&w.vfio);
	assert_int_equal(world_open(&w, &config), 0);
	config.host.function = 1;
	assert_int_equal(vfio_pci_create(w.context, &config, &w.diag, &second), 0);
	assert_int_equal(pci_function_attach(vfio_pci_function(second), w.bus, 1), 0);
	assert_int_equal(world_boot(&w), 0);
	w.rid = pci_function_rid(vfio_pci_function(second));
	world_write(&w, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	w.rid = pci_function_rid(vfio_pci_function(w.dev));
	world_write(&w, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);

	w.real->nr_hot_resets = other->nr_resets = 0;
	w.real->hot_reset_err = -EBUSY;
	w.dev->ops->reset(w.dev);
	assert_int_equal(w.real->nr_hot_resets, 0);
	assert_int_equal(other->nr_resets, 0);
	second->ops->reset(second);
	assert_int_equal(other->nr_resets, 1);
	vfio_pci_stats(second, &stats);
	assert_string_equal(stats.reset_method, "flr");
	w.real->hot_reset_err = 0;
	second->ops->destroy(second);
	world_fini(&w);
}

/* Neither can be reset alone: the guest's reset of their bus is the one way to reach them. */
static void the_guests_bus_reset_reaches_functions_that_only_reset_together(void **state)
{
	struct vfio_pci_config config = world_config();
	struct vfio_pci_stats first, then;
	struct fake_vfio_device *other;
	struct device *second;
	struct world w;
	rid_t port;

	world_init(&w);
	other = fake_vfio_add(&w.vfio, "0000:01:00.1", WORLD_GROUP);
	w.real->can_reset = other->can_reset = false;
	w.real->can_hot_reset = other->can_hot_reset = true;
	fake_vfio_publish(&w.vfio);
	assert_int_equal(world_open(&w, &config), 0);
	config.host.function = 1;
	assert_int_equal(vfio_pci_create(w.context, &config, &w.diag, &second), 0);
	assert_int_equal(pci_function_attach(vfio_pci_function(second), w.bus, 1), 0);
	assert_int_equal(world_boot(&w), 0);
	world_write(&w, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	w.rid = pci_function_rid(vfio_pci_function(second));
	world_write(&w, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_true(fake_vfio_config(other, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	w.real->nr_hot_resets = other->nr_hot_resets = 0;
	vfio_pci_stats(second, &first);

	port = pci_function_rid(w.bus->bridge);
	fake_cfg_write(&w.pci, port, PCI_BRIDGE_CONTROL, 2, PCI_BRIDGE_BUS_RESET);
	/* Once, with both of them quiet, and neither masters after it. */
	assert_int_equal(w.real->nr_hot_resets + other->nr_hot_resets, 1);
	assert_false(w.real->command_at_reset & PCI_COMMAND_MASTER);
	assert_false(fake_vfio_config(w.real, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	assert_false(fake_vfio_config(other, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	vfio_pci_stats(second, &then);
	assert_int_equal(then.nr_resets, first.nr_resets + 1);
	fake_cfg_write(&w.pci, port, PCI_BRIDGE_CONTROL, 2, 0);
	assert_int_equal(world_read(&w, PCI_COMMAND, 2), 0);
	second->ops->destroy(second);
	world_fini(&w);
}

static void a_bus_reset_that_would_hit_a_stranger_is_refused(void **state)
{
	struct fake_vfio_device *other;
	struct world w;

	world_init(&w);
	other = fake_vfio_add(&w.vfio, "0000:01:00.1", 15);
	w.real->can_reset = false;
	w.real->can_hot_reset = other->can_hot_reset = true;
	refused(&w, -EPERM, "cannot be reset before use", "allow-no-reset=on");
	world_fini(&w);
}

static void an_error_stops_the_device_and_takes_it_from_the_guest(void **state)
{
	struct vfio_pci_stats stats;
	struct world w;
	uint64_t addr;

	world_init(&w);
	world_start(&w);
	world_write(&w, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	addr = vfio_pci_function(w.dev)->bars[0].addr;
	assert_non_null(fake_slot_at(&w.pci.machine, addr));
	assert_true(w.real->error >= 0);
	fake_vfio_signal(&w.vfio, w.real->error);
	world_pci(&w)->events.error.source.fn(world_pci(&w), EPOLLIN);
	assert_false(fake_vfio_config(w.real, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	assert_int_equal(w.real->kind, VFIO_PCI_NUM_IRQS);
	assert_null(fake_slot_at(&w.pci.machine, addr));
	assert_true(fake_bus_read(&w.pci.machine, BUS_MMIO, addr + FAKE_VFIO_TABLE, 4) ==
		    UINT32_MAX);
	assert_true(world_read(&w, PCI_VENDOR_ID, 4) == UINT32_MAX);
	vfio_pci_stats(w.dev, &stats);
	assert_true(stats.stopped && !stats.released);
	/* It stays ours, for nobody else should get it like that: reset on the way out. */
	world_close(&w);
	assert_int_equal(w.real->nr_resets, 2);
	world_fini(&w);
}

/* Whether the fabric was locked when the device that has no bus any more was reset. */
struct watched_reset {
	struct sys_ops ops;
	const struct sys_ops *below;
	struct lock *fabric;
	bool locked;
};

static struct watched_reset watched;

static int watched_ioctl(struct sys *sys, int fd, unsigned long request, void *arg)
{
	if (request == VFIO_DEVICE_RESET) {
		watched.locked = pthread_mutex_trylock(&watched.fabric->mutex);
		if (!watched.locked)
			pthread_mutex_unlock(&watched.fabric->mutex);
	}
	return watched.below->ioctl(sys, fd, request, arg);
}

/* A guest may be resetting another device at that moment, and looks at this one then. */
static void a_device_off_its_bus_leaves_under_the_fabrics_lock(void **state)
{
	struct world w;

	world_init(&w);
	world_start(&w);
	world_write(&w, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	watched = (struct watched_reset){ .below = w.vfio.sys.ops,
					  .fabric = pci_fabric_lock(w.pci.fabric) };
	watched.ops = *watched.below;
	watched.ops.ioctl = watched_ioctl;
	fake_vfio_signal(&w.vfio, w.real->error);
	world_pci(&w)->events.error.source.fn(world_pci(&w), EPOLLIN);
	assert_null(world_pci(&w)->fn.bus);
	w.vfio.sys.ops = &watched.ops;
	world_close(&w);
	w.vfio.sys.ops = watched.below;
	assert_int_equal(w.real->nr_resets, 2);
	assert_true(watched.locked);
	world_fini(&w);
}

static void a_device_taken_after_an_error_does_not_keep_its_sibling_from_a_reset(void **state)
{
	struct vfio_pci_config config = world_config();
	struct fake_vfio_device *other;
	struct device *second;
	struct world w;

	world_init(&w);
	other = fake_vfio_add(&w.vfio, "0000:01:00.1", WORLD_GROUP);
	w.real->can_reset = other->can_reset = false;
	w.real->can_hot_reset = other->can_hot_reset = true;
	fake_vfio_publish(&w.vfio);
	assert_int_equal(world_open(&w, &config), 0);
	config.host.function = 1;
	assert_int_equal(vfio_pci_create(w.context, &config, &w.diag, &second), 0);
	assert_int_equal(pci_function_attach(vfio_pci_function(second), w.bus, 1), 0);
	assert_int_equal(world_boot(&w), 0);
	world_write(&w, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	fake_vfio_signal(&w.vfio, w.real->error);
	world_pci(&w)->events.error.source.fn(world_pci(&w), EPOLLIN);
	w.real->nr_hot_resets = other->nr_hot_resets = 0;
	fake_cfg_write(&w.pci, pci_function_rid(w.bus->bridge), PCI_BRIDGE_CONTROL, 2,
		       PCI_BRIDGE_BUS_RESET);
	assert_int_equal(w.real->nr_hot_resets + other->nr_hot_resets, 1);
	second->ops->destroy(second);
	world_fini(&w);
}

static void a_request_gives_the_device_back_at_once(void **state)
{
	struct vfio_pci_stats stats;
	struct world w;

	world_init(&w);
	world_start(&w);
	world_write(&w, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	fake_vfio_signal(&w.vfio, w.real->request);
	world_pci(&w)->events.request.source.fn(world_pci(&w), EPOLLIN);
	assert_int_equal(w.real->fd, 0);
	assert_int_equal(w.vfio.nr_mappings, 0);
	assert_int_equal(w.vfio.group[0].fd, 0);
	assert_int_equal(w.vfio.nr_kvm_groups, 0);
	assert_int_equal(w.real->nr_resets, 2);
	assert_true(world_read(&w, PCI_VENDOR_ID, 4) == UINT32_MAX);
	vfio_pci_stats(w.dev, &stats);
	assert_true(stats.released);
	world_fini(&w);
}

static void remember_release(void *opaque, struct device *dev)
{
	*(struct device **)opaque = dev;
}

static void a_request_goes_to_the_owner_who_wants_it(void **state)
{
	struct vfio_pci_config config = world_config();
	struct device *asked = NULL;
	struct world w;

	world_init(&w);
	fake_vfio_publish(&w.vfio);
	config.released = remember_release;
	config.opaque = &asked;
	assert_int_equal(world_open(&w, &config), 0);
	assert_int_equal(world_boot(&w), 0);
	fake_vfio_signal(&w.vfio, w.real->request);
	world_pci(&w)->events.request.source.fn(world_pci(&w), EPOLLIN);
	assert_ptr_equal(asked, w.dev);
	assert_true(w.real->fd > 0);
	world_fini(&w);
}

static void a_device_that_comes_later_finds_its_memory(void **state)
{
	struct vfio_pci_config config = world_config();
	struct world w;

	world_init(&w);
	world_start(&w);
	w.dev->ops->destroy(w.dev);
	w.dev = NULL;
	assert_int_equal(w.vfio.nr_mappings, 0);
	assert_int_equal(vfio_pci_create(w.context, &config, &w.diag, &w.dev), 0);
	assert_int_equal(w.vfio.nr_mappings, 2);
	assert_int_equal(pci_function_attach(vfio_pci_function(w.dev), w.bus, 0), 0);
	world_fini(&w);
}

static void two_groups_share_one_address_space(void **state)
{
	struct vfio_pci_config config = world_config();
	struct device *second;
	struct world w;

	world_init(&w);
	fake_vfio_add(&w.vfio, "0000:02:00.0", 15);
	world_start(&w);
	config.host.bus = 2;
	assert_int_equal(vfio_pci_create(w.context, &config, &w.diag, &second), 0);
	assert_int_equal(w.vfio.nr_mappings, 2);
	assert_int_equal(w.vfio.nr_kvm_groups, 2);
	w.dev->ops->destroy(w.dev);
	assert_int_equal(w.real->mappings_at_close, 2);
	w.dev = second;
	assert_int_equal(w.vfio.nr_mappings, 2);
	/* With the last one, memory goes first: the kernel may detach a group without devices. */
	world_close(&w);
	assert_int_equal(w.vfio.device[1].mappings_at_close, 0);
	world_fini(&w);
}

static void a_second_group_that_conflicts_leaves_the_first_as_it_was(void **state)
{
	struct vfio_pci_config config = world_config();
	struct device *second;
	struct world w;

	world_init(&w);
	fake_vfio_add(&w.vfio, "0000:02:00.0", 15);
	world_start(&w);
	w.vfio.interrupts_unsafe = true;
	config.host.bus = 2;
	assert_int_equal(vfio_pci_create(w.context, &config, &w.diag, &second), -EPERM);
	assert_int_equal(w.vfio.nr_mappings, 2);
	assert_int_equal(w.vfio.nr_kvm_groups, 1);
	world_fini(&w);
}

static void memory_that_cannot_be_mapped_refuses_and_keeps_bus_mastering_off(void **state)
{
	struct vfio_pci_config config = world_config();
	struct world w;

	world_init(&w);
	w.vfio.locked_limit = KIB(600);
	fake_vfio_publish(&w.vfio);
	assert_int_equal(world_open(&w, &config), 0);
	assert_int_equal(world_boot(&w), -ENOMEM);
	assert_non_null(strstr(w.diag.reason, "RLIMIT_MEMLOCK"));
	assert_int_equal(w.vfio.nr_mappings, 0);
	w.rid = pci_function_rid(vfio_pci_function(w.dev));
	world_write(&w, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	assert_false(fake_vfio_config(w.real, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	world_fini(&w);
}

static void the_plan_tells_without_opening(void **state)
{
	struct vfio_pci_config config = world_config();
	struct vfio_pci_plan plan;
	struct world w;

	world_init(&w);
	fake_vfio_add(&w.vfio, "0000:01:00.1", WORLD_GROUP);
	fake_vfio_publish(&w.vfio);
	assert_int_equal(vfio_pci_plan(&w.vfio.sys, &config, &plan, NULL, NULL, &w.diag), 0);
	assert_int_equal(plan.group.nr_members, 2);
	assert_int_equal(plan.nr_msix, 8);
	assert_int_equal(plan.nr_msi, 4);
	assert_true(plan.intx);
	assert_string_equal(plan.function.reset, "flr bus");
	/* Table and pending bits each cost a page. */
	assert_true(plan.bars[0].size == KIB(16) && plan.bars[0].direct == KIB(8));
	assert_non_null(plan.bars[0].why);
	assert_int_equal(plan.nr_hidden, 2);
	assert_string_equal(plan.hidden[0].name, "advanced error reporting");
	assert_string_equal(plan.hidden[1].name, "SR-IOV");
	assert_string_equal(plan.hidden[1].reason, "virtual functions are made on the host");
	vfio_pci_plan_fini(&plan);
	assert_true(fake_vfio_is_empty(&w.vfio));
	world_fini(&w);
}

static void interrupts_of_a_vector_are_read_from_the_kernel(void **state)
{
	struct world w;
	uint64_t count = 0;

	world_init(&w);
	world_start(&w);
	world_write(&w, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	fake_bus_write(&w.pci.machine, BUS_MMIO,
		       vfio_pci_function(w.dev)->bars[0].addr + FAKE_VFIO_TABLE + 2 * 16 + 12, 4,
		       0);
	assert_int_equal(vfio_pci_vector_count(w.dev, 2, &count), -ENOENT);
	world_write(&w, FAKE_VFIO_MSIX + 2, 2, PCI_MSIX_ENABLE);
	assert_int_equal(vfio_pci_vector_count(w.dev, 2, &count), 0);
	assert_int_equal(count, 42);
	assert_int_equal(vfio_pci_vector_count(w.dev, 1, &count), -ENOENT);
	world_fini(&w);
}

static void interrupts_stay_counted_after_the_guest_switches_them_off(void **state)
{
	struct vfio_pci_stats stats;
	struct world w;
	uint64_t on;

	world_init(&w);
	world_start(&w);
	world_write(&w, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	fake_bus_write(&w.pci.machine, BUS_MMIO,
		       vfio_pci_function(w.dev)->bars[0].addr + FAKE_VFIO_TABLE + 2 * 16 + 12, 4,
		       0);
	vfio_pci_stats(w.dev, &stats);
	assert_int_equal(stats.nr_msi, 0);
	world_write(&w, FAKE_VFIO_MSIX + 2, 2, PCI_MSIX_ENABLE);
	vfio_pci_stats(w.dev, &stats);
	on = stats.nr_msi;
	assert_true(on >= 42);
	world_write(&w, FAKE_VFIO_MSIX + 2, 2, 0);
	vfio_pci_stats(w.dev, &stats);
	assert_int_equal(stats.nr_msi, on);
	world_fini(&w);
}

static void a_machine_reset_resets_a_device_once_and_leaves_it_without_bus_mastering(void **state)
{
	struct vfio_pci_stats before, after;
	struct world w;
	uint32_t command;

	world_init(&w);
	world_start(&w);
	world_write(&w, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	vfio_pci_stats(w.dev, &before);
	/* As vm_reset() and the board do it. */
	w.dev->ops->reset(w.dev);
	command = (uint32_t)le_load(w.real->config + PCI_COMMAND, 2);
	assert_int_equal(command & PCI_COMMAND_MASTER, 0);
	pci_fabric_reset(w.pci.fabric);
	vfio_pci_stats(w.dev, &after);
	assert_int_equal(after.nr_resets, before.nr_resets + 1);
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opening_undoes_itself_exactly),
		cmocka_unit_test(
			a_machine_reset_resets_a_device_once_and_leaves_it_without_bus_mastering),
		cmocka_unit_test(interrupts_stay_counted_after_the_guest_switches_them_off),
		cmocka_unit_test(every_failing_call_leaves_nothing_behind),
		cmocka_unit_test(a_device_of_a_host_driver_is_refused_by_name),
		cmocka_unit_test(a_device_that_is_not_there_is_refused),
		cmocka_unit_test(a_sibling_with_a_host_driver_blocks_the_group_and_is_named),
		cmocka_unit_test(
			a_group_the_kernel_calls_not_viable_is_refused_even_if_nobody_is_seen),
		cmocka_unit_test(a_host_without_an_iommu_is_refused),
		cmocka_unit_test(
			a_host_that_does_not_remap_interrupts_is_refused_with_the_risk_named),
		cmocka_unit_test(a_group_open_elsewhere_is_refused),
		cmocka_unit_test(the_same_device_twice_is_refused),
		cmocka_unit_test(a_group_kvm_does_not_take_is_refused),
		cmocka_unit_test(a_group_descriptor_of_somebody_else_is_taken),
		cmocka_unit_test(a_device_nothing_resets_is_refused_unless_the_risk_is_taken),
		cmocka_unit_test(the_device_is_reset_before_and_after_and_by_the_guest),
		cmocka_unit_test(a_reset_that_is_none_of_the_function_alone_is_said),
		cmocka_unit_test(a_bus_reset_spares_a_sibling_in_use_until_the_machine_resets),
		cmocka_unit_test(a_bus_reset_that_fails_leaves_a_siblings_own_reset_due),
		cmocka_unit_test(the_guests_bus_reset_reaches_functions_that_only_reset_together),
		cmocka_unit_test(a_bus_reset_that_would_hit_a_stranger_is_refused),
		cmocka_unit_test(an_error_stops_the_device_and_takes_it_from_the_guest),
		cmocka_unit_test(a_device_off_its_bus_leaves_under_the_fabrics_lock),
		cmocka_unit_test(
			a_device_taken_after_an_error_does_not_keep_its_sibling_from_a_reset),
		cmocka_unit_test(a_request_gives_the_device_back_at_once),
		cmocka_unit_test(a_request_goes_to_the_owner_who_wants_it),
		cmocka_unit_test(a_device_that_comes_later_finds_its_memory),
		cmocka_unit_test(two_groups_share_one_address_space),
		cmocka_unit_test(a_second_group_that_conflicts_leaves_the_first_as_it_was),
		cmocka_unit_test(memory_that_cannot_be_mapped_refuses_and_keeps_bus_mastering_off),
		cmocka_unit_test(the_plan_tells_without_opening),
		cmocka_unit_test(interrupts_of_a_vector_are_read_from_the_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
