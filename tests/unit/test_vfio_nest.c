// SPDX-License-Identifier: GPL-2.0-or-later
/* A passed-through device behind the guest's IOMMU: what the guest's tables say is what is mapped. */
#include "vfio_world.h"

#include "iommu/ops.h"

#define RW (IOMMU_READ | IOMMU_WRITE)

/* A unit that only knows who listens; the test says what the guest does. */
struct unit {
	struct iommu iommu;
	bool cannot; /* not in caching mode */
};

static int unit_listen(struct iommu *iommu, struct iommu_device *dev)
{
	struct unit *unit = container_of(iommu, struct unit, iommu);

	if (!dev->listener)
		return 0;
	if (unit->cannot)
		return -ENOTSUP;
	/* As power-on has it: off, so everything passes. */
	dev->listener->attach(dev->listener->opaque, IOMMU_ATTACH_IDENTITY);
	return 0;
}

static const struct iommu_ops unit_ops = { .name = "unit", .listen = unit_listen };

struct nested {
	struct world w;
	struct unit unit;
};

static const struct iommu_listener *guest(struct nested *n)
{
	return vfio_pci_function(n->w.dev)->requester->listener;
}

static void attach(struct nested *n, enum iommu_attach how)
{
	guest(n)->attach(guest(n)->opaque, how);
}

static int map(struct nested *n, uint64_t iova, uint64_t addr, uint64_t len)
{
	return guest(n)->map(guest(n)->opaque, iova, gpa(addr), len, RW);
}

static void unmap(struct nested *n, uint64_t iova, uint64_t len)
{
	guest(n)->unmap(guest(n)->opaque, iova, len);
}

static struct vfio_pci_config nested_config(struct nested *n)
{
	struct vfio_pci_config config = world_config();

	config.guard = &n->w.pci.machine.platform;
	return config;
}

static void nested_init(struct nested *n)
{
	world_init(&n->w);
	assert_int_equal(iommu_init(&n->unit.iommu, &unit_ops, false), 0);
	n->unit.cannot = false;
	n->w.pci.machine.platform.iommu = &n->unit.iommu;
}

static void nested_start(struct nested *n)
{
	struct vfio_pci_config config;

	nested_init(n);
	config = nested_config(n);
	fake_vfio_publish(&n->w.vfio);
	if (world_open(&n->w, &config))
		fail_msg("%s: %s", n->w.diag.object, n->w.diag.reason);
	assert_int_equal(world_boot(&n->w), 0);
}

static void nested_fini(struct nested *n)
{
	world_close(&n->w);
	iommu_fini(&n->unit.iommu);
	n->w.pci.machine.platform.iommu = NULL;
	world_fini(&n->w);
}

static bool masters(struct nested *n)
{
	return fake_vfio_config(n->w.real, PCI_COMMAND, 2) & PCI_COMMAND_MASTER;
}

static void master(struct nested *n, bool on)
{
	world_write(&n->w, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | (on ? PCI_COMMAND_MASTER : 0));
}

static void nothing_is_pinned_before_the_guest_lets_it_master_the_bus(void **state)
{
	struct nested n;

	nested_start(&n);
	assert_int_equal(n.w.vfio.nr_mappings, 0);
	master(&n, true);
	/* Translation is off: all of RAM, one to one. */
	assert_int_equal(n.w.vfio.nr_mappings, 2);
	assert_int_equal(n.w.vfio.mapping[0].iova, 0);
	assert_true(masters(&n));
	nested_fini(&n);
}

static void exactly_what_the_guest_maps_is_mapped_while_it_is(void **state)
{
	struct nested n;

	nested_start(&n);
	attach(&n, IOMMU_ATTACH_TRANSLATED);
	assert_int_equal(n.w.vfio.nr_mappings, 0);
	assert_int_equal(map(&n, 0x10000, 0x3000, 0x1000), 0);
	assert_int_equal(map(&n, 0x11000, 0x4000, 0x1000), 0);
	master(&n, true);
	assert_true(masters(&n));
	/* They adjoin on both sides, and are two all the same: each can go alone. */
	assert_int_equal(n.w.vfio.nr_mappings, 2);
	assert_int_equal(n.w.vfio.mapping[0].iova, 0x10000);
	assert_int_equal(n.w.vfio.mapping[0].size, 0x1000);
	assert_ptr_equal((void *)n.w.vfio.mapping[0].vaddr, (uint8_t *)n.w.ram + 0x3000);
	unmap(&n, 0x10000, 0x1000);
	assert_int_equal(n.w.vfio.nr_mappings, 1);
	assert_int_equal(n.w.vfio.mapping[0].iova, 0x11000);
	nested_fini(&n);
}

static void an_attachment_takes_everything_before_it_away(void **state)
{
	struct nested n;

	nested_start(&n);
	master(&n, true);
	attach(&n, IOMMU_ATTACH_TRANSLATED);
	assert_int_equal(n.w.vfio.nr_mappings, 0);
	assert_int_equal(map(&n, 0x10000, 0x3000, 0x1000), 0);
	attach(&n, IOMMU_ATTACH_BLOCKED);
	assert_int_equal(n.w.vfio.nr_mappings, 0);
	/* The device masters the bus all along: passed through, it needs RAM at once. */
	attach(&n, IOMMU_ATTACH_IDENTITY);
	assert_int_equal(n.w.vfio.nr_mappings, 2);
	master(&n, false);
	attach(&n, IOMMU_ATTACH_BLOCKED);
	attach(&n, IOMMU_ATTACH_IDENTITY);
	assert_int_equal(n.w.vfio.nr_mappings, 0);
	nested_fini(&n);
}

static void what_is_no_ram_is_not_reached_and_no_error(void **state)
{
	struct nested n;

	nested_start(&n);
	attach(&n, IOMMU_ATTACH_TRANSLATED);
	assert_int_equal(map(&n, 0x100000, MIB(512), 0x1000), 0);
	assert_int_equal(n.w.vfio.nr_mappings, 0);
	unmap(&n, 0x100000, 0x1000);
	/* A page of 2 MiB onto 512 KiB of RAM and nothing behind it. */
	assert_int_equal(map(&n, 0x200000, 0, MIB(2)), 0);
	assert_int_equal(n.w.vfio.nr_mappings, 1);
	assert_int_equal(n.w.vfio.mapping[0].size, KIB(512));
	unmap(&n, 0x200000, MIB(2));
	assert_int_equal(n.w.vfio.nr_mappings, 0);
	/* Up to the MSI window, and not into it. */
	assert_int_equal(map(&n, 0xfee00000 - KIB(4), 0, KIB(8)), 0);
	assert_int_equal(n.w.vfio.nr_mappings, 1);
	assert_int_equal(n.w.vfio.mapping[0].size, KIB(4));
	nested_fini(&n);
}

static void at_the_hosts_limit_nothing_of_a_page_is_mapped_and_it_is_said(void **state)
{
	struct vfio_pci_config config;
	struct nested n;

	nested_init(&n);
	n.w.vfio.mappings_limit = 2;
	config = nested_config(&n);
	fake_vfio_publish(&n.w.vfio);
	assert_int_equal(world_open(&n.w, &config), 0);
	assert_int_equal(world_boot(&n.w), 0);
	attach(&n, IOMMU_ATTACH_TRANSLATED);
	assert_int_equal(map(&n, 0x10000, 0x3000, 0x1000), 0);
	/* The first of its two pieces of RAM fits. */
	assert_int_equal(map(&n, 0x100000, 0, GIB(4) + KIB(4)), -ENOSPC);
	assert_int_equal(n.w.vfio.nr_mappings, 1);
	assert_int_equal(map(&n, 0x11000, 0x4000, 0x1000), 0);
	assert_int_equal(map(&n, 0x12000, 0x5000, 0x1000), -ENOSPC);
	assert_int_equal(n.w.vfio.nr_mappings, 2);
	/* Beyond what the host's unit can address. */
	assert_int_equal(map(&n, UINT64_MAX - 0xfff, 0x5000, 0x1000), -ERANGE);
	nested_fini(&n);
}

static void a_device_whose_memory_cannot_be_pinned_does_not_master_the_bus(void **state)
{
	struct nested n;

	nested_start(&n);
	n.w.vfio.locked_limit = KIB(600);
	master(&n, true);
	assert_false(masters(&n));
	assert_int_equal(n.w.vfio.nr_mappings, 0);
	/* What the guest maps is less. */
	attach(&n, IOMMU_ATTACH_TRANSLATED);
	assert_int_equal(map(&n, 0x10000, 0x3000, 0x1000), 0);
	master(&n, false);
	master(&n, true);
	assert_true(masters(&n));
	nested_fini(&n);
}

static void devices_of_one_group_are_not_put_behind_it_together(void **state)
{
	struct vfio_pci_config config;
	struct device *second;
	struct nested n;

	nested_init(&n);
	fake_vfio_add(&n.w.vfio, "0000:01:00.1", WORLD_GROUP);
	fake_vfio_publish(&n.w.vfio);
	config = nested_config(&n);
	assert_int_equal(world_open(&n.w, &config), 0);
	config.host.function = 1;
	assert_int_equal(vfio_pci_create(n.w.context, &config, &n.w.diag, &second), -ENOTSUP);
	assert_non_null(strstr(n.w.diag.remedy, "iommu=off"));
	nested_fini(&n);
}

static void a_unit_that_does_not_say_what_is_mapped_is_refused(void **state)
{
	struct vfio_pci_config config;
	struct nested n;

	nested_init(&n);
	n.unit.cannot = true;
	config = nested_config(&n);
	fake_vfio_publish(&n.w.vfio);
	assert_int_equal(world_open(&n.w, &config), -ENOTSUP);
	assert_non_null(strstr(n.w.diag.remedy, "caching=on"));
	assert_true(fake_vfio_is_empty(&n.w.vfio));
	nested_fini(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_pinned_before_the_guest_lets_it_master_the_bus),
		cmocka_unit_test(exactly_what_the_guest_maps_is_mapped_while_it_is),
		cmocka_unit_test(an_attachment_takes_everything_before_it_away),
		cmocka_unit_test(what_is_no_ram_is_not_reached_and_no_error),
		cmocka_unit_test(at_the_hosts_limit_nothing_of_a_page_is_mapped_and_it_is_said),
		cmocka_unit_test(a_device_whose_memory_cannot_be_pinned_does_not_master_the_bus),
		cmocka_unit_test(devices_of_one_group_are_not_put_behind_it_together),
		cmocka_unit_test(a_unit_that_does_not_say_what_is_mapped_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
