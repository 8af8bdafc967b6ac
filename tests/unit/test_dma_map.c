// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bits.h"
#include "dma/type1.h"
#include "fake/vfio.h"

#define RW (DMA_READ | DMA_WRITE)

struct fixture {
	struct fake_vfio vfio;
	int container, group;
	struct dma_type1 type1;
	struct dma_space *space;
	struct diag diag;
	uint8_t *ram; /* 1 MiB: [0, 512K) and [512K, 1M) contiguous, at GPA 0 and 4 GiB */
};

static void fixture_init(struct fixture *f)
{
	struct sys *sys = &f->vfio.sys;

	memset(f, 0, sizeof(*f));
	fake_vfio_init(&f->vfio);
	fake_vfio_add(&f->vfio, "0000:01:00.0", 14);
	fake_vfio_publish(&f->vfio);
	f->container = sys_open(sys, SYS_VFIO_CONTAINER, NULL);
	f->group = sys_open(sys, SYS_VFIO_GROUP, "14");
	assert_int_equal(sys_ioctl(sys, f->group, VFIO_GROUP_SET_CONTAINER, &f->container), 0);
	assert_int_equal(sys_ioctl_value(sys, f->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), 0);
	f->type1 = (struct dma_type1){ sys, f->container };
	f->ram = aligned_alloc(PAGE_SIZE, MIB(1));
	assert_non_null(f->ram);
}

static void fixture_space(struct fixture *f, bool identity)
{
	const struct dma_space_config config = { .name = "vfio",
						 .sys = &f->vfio.sys,
						 .ops = &dma_type1_ops,
						 .backend = &f->type1,
						 .identity = identity };

	assert_int_equal(dma_space_create(&config, &f->space, &f->diag), 0);
}

static int ram_add(struct fixture *f, uint64_t gpa, uint64_t len, uint64_t offset)
{
	struct ram_listener *l = dma_space_listener(f->space);

	return l->add(l->opaque, range_of(gpa, len), f->ram + offset);
}

static void ram_remove(struct fixture *f, uint64_t gpa, uint64_t len, uint64_t offset)
{
	struct ram_listener *l = dma_space_listener(f->space);

	l->remove(l->opaque, range_of(gpa, len), f->ram + offset);
}

static void fixture_fini(struct fixture *f)
{
	struct sys *sys = &f->vfio.sys;

	dma_space_destroy(f->space);
	assert_int_equal(f->vfio.nr_mappings, 0);
	sys_close(sys, &f->group);
	sys_close(sys, &f->container);
	assert_true(fake_vfio_is_empty(&f->vfio));
	fake_vfio_fini(&f->vfio);
	free(f->ram);
}

static int grant(struct fixture *f, uint64_t at, uint64_t from, uint64_t len)
{
	diag_clear(&f->diag);
	return dma_map(f->space, iova(at), gpa(from), len, RW, &f->diag);
}

static void each_window_of_ram_is_one_call_and_mapped_where_the_guest_has_it(void **state)
{
	struct dma_stats stats;
	struct fixture f;

	fixture_init(&f);
	fixture_space(&f, true);
	assert_int_equal(ram_add(&f, 0, KIB(512), 0), 0);
	assert_int_equal(ram_add(&f, GIB(4), KIB(512), KIB(512)), 0);
	assert_int_equal(f.vfio.nr_maps, 2);
	assert_true(f.vfio.mapping[1].iova == GIB(4) && f.vfio.mapping[1].size == KIB(512));
	assert_true(f.vfio.mapping[1].vaddr == (uintptr_t)f.ram + KIB(512));
	dma_space_stats(f.space, &stats);
	assert_true(stats.mapped_bytes == MIB(1) && stats.nr_maps == 2 && stats.nr_mappings == 2);
	ram_remove(&f, 0, KIB(512), 0);
	assert_int_equal(f.vfio.nr_mappings, 1);
	assert_true(f.vfio.mapping[0].iova == GIB(4));
	fixture_fini(&f);
}

static void what_is_not_ram_is_not_granted(void **state)
{
	struct fixture f;

	fixture_init(&f);
	fixture_space(&f, false);
	assert_int_equal(ram_add(&f, 0, KIB(512), 0), 0);
	assert_int_equal(grant(&f, 0, KIB(512), PAGE_SIZE), -EFAULT);
	/* The last page of RAM and one past it. */
	assert_int_equal(grant(&f, 0, KIB(508), 2 * PAGE_SIZE), -EFAULT);
	assert_int_equal(grant(&f, 0, GIB(3), PAGE_SIZE), -EFAULT);
	assert_int_equal(grant(&f, 0, 0, KIB(512)), 0);
	assert_int_equal(f.vfio.nr_maps, 1);
	fixture_fini(&f);
}

static void ranges_that_wrap_or_are_empty_or_cut_pages_are_refused(void **state)
{
	struct fixture f;

	fixture_init(&f);
	fixture_space(&f, false);
	assert_int_equal(ram_add(&f, 0, KIB(512), 0), 0);
	assert_int_equal(grant(&f, 0, 0, 0), -EINVAL);
	assert_int_equal(grant(&f, UINT64_MAX - PAGE_SIZE + 1, 0, 2 * PAGE_SIZE), -EOVERFLOW);
	assert_int_equal(grant(&f, 0, UINT64_MAX - PAGE_SIZE + 1, 2 * PAGE_SIZE), -EOVERFLOW);
	assert_int_equal(grant(&f, 0x800, 0, PAGE_SIZE), -EINVAL);
	assert_int_equal(grant(&f, 0, 0x10, PAGE_SIZE), -EINVAL);
	assert_int_equal(grant(&f, 0, 0, PAGE_SIZE + 1), -EINVAL);
	assert_int_equal(dma_map(f.space, iova(0), gpa(0), PAGE_SIZE, 0, NULL), -EINVAL);
	assert_int_equal(dma_map(f.space, iova(0), gpa(0), PAGE_SIZE, 4, NULL), -EINVAL);
	assert_int_equal(f.vfio.nr_maps, 0);
	fixture_fini(&f);
}

static void the_msi_window_cannot_be_mapped(void **state)
{
	struct fixture f;

	fixture_init(&f);
	fixture_space(&f, false);
	assert_int_equal(ram_add(&f, 0, KIB(512), 0), 0);
	assert_int_equal(grant(&f, 0xfee00000, 0, PAGE_SIZE), -ERANGE);
	assert_non_null(strstr(f.diag.reason, "0xfee00000-0xfeefffff"));
	assert_int_equal(grant(&f, 0xfedff000, 0, 2 * PAGE_SIZE), -ERANGE);
	assert_int_equal(grant(&f, 0xfedff000, 0, PAGE_SIZE), 0);
	assert_int_equal(grant(&f, 0xfef00000, 0, PAGE_SIZE), 0);
	assert_int_equal(grant(&f, BIT64(39), 0, PAGE_SIZE), -ERANGE);
	assert_non_null(strstr(f.diag.reason, "cannot address 0x8000000000"));
	fixture_fini(&f);
}

static void ram_in_a_reserved_range_refuses_the_vm_and_names_the_range(void **state)
{
	struct fixture f;

	fixture_init(&f);
	f.vfio.windows[0].last = 0x1ffff;
	f.vfio.windows[1].first = 0x30000;
	fixture_space(&f, true);
	assert_int_equal(ram_add(&f, 0, KIB(512), 0), -ERANGE);
	assert_non_null(strstr(dma_space_refusal(f.space)->reason, "0x20000-0x2ffff"));
	assert_non_null(strstr(dma_space_refusal(f.space)->remedy, "ends below 0x20000"));
	/* The window is forgotten, so nothing can be granted onto it by another way. */
	assert_int_equal(grant(&f, 0x40000, 0, PAGE_SIZE), -EFAULT);
	fixture_fini(&f);
}

static void grants_do_not_overlap(void **state)
{
	struct fixture f;

	fixture_init(&f);
	fixture_space(&f, false);
	assert_int_equal(ram_add(&f, 0, KIB(512), 0), 0);
	assert_int_equal(grant(&f, 0x10000, 0, 0x4000), 0);
	assert_int_equal(grant(&f, 0x13000, 0, PAGE_SIZE), -EEXIST);
	assert_int_equal(grant(&f, 0xf000, 0, 2 * PAGE_SIZE), -EEXIST);
	assert_int_equal(grant(&f, 0xf000, 0, 0x8000), -EEXIST);
	assert_int_equal(grant(&f, 0x14000, 0, PAGE_SIZE), 0);
	assert_int_equal(grant(&f, 0xf000, 0, PAGE_SIZE), 0);
	assert_int_equal(f.vfio.nr_maps, 3);
	fixture_fini(&f);
}

static void a_grant_is_released_whole_or_not_at_all(void **state)
{
	unsigned int prot;
	struct fixture f;
	gpa_t to;

	fixture_init(&f);
	fixture_space(&f, false);
	assert_int_equal(ram_add(&f, 0, KIB(512), 0), 0);
	assert_int_equal(grant(&f, 0x10000, 0x2000, 0x4000), 0);
	assert_int_equal(dma_unmap(f.space, iova(0x10000), 0x2000), -ENOENT);
	assert_int_equal(dma_unmap(f.space, iova(0x11000), 0x3000), -ENOENT);
	assert_true(dma_lookup(f.space, iova(0x12345), &to, &prot));
	assert_true(to.v == 0x4345 && prot == RW);
	assert_false(dma_lookup(f.space, iova(0x14000), &to, &prot));
	assert_int_equal(dma_unmap(f.space, iova(0x10000), 0x4000), 0);
	assert_false(dma_lookup(f.space, iova(0x12345), &to, &prot));
	assert_int_equal(dma_unmap(f.space, iova(0x10000), 0x4000), -ENOENT);
	assert_int_equal(f.vfio.nr_mappings, 0);
	fixture_fini(&f);
}

static void a_range_that_cuts_a_grant_releases_nothing(void **state)
{
	struct fixture f;

	fixture_init(&f);
	fixture_space(&f, false);
	assert_int_equal(ram_add(&f, 0, KIB(512), 0), 0);
	assert_int_equal(grant(&f, 0x10000, 0, 0x2000), 0);
	assert_int_equal(grant(&f, 0x12000, 0, 0x2000), 0);
	assert_int_equal(grant(&f, 0x14000, 0, 0x2000), 0);
	assert_int_equal(dma_unmap_range(f.space, range_of(0x10000, 0x5000)), -EBUSY);
	assert_int_equal(f.vfio.nr_mappings, 3);
	assert_int_equal(dma_unmap_range(f.space, range_of(0xf000, 0x5000)), 0);
	assert_int_equal(f.vfio.nr_mappings, 1);
	fixture_fini(&f);
}

static void a_grant_over_two_pieces_of_ram_is_mapped_in_its_contiguous_runs(void **state)
{
	struct fixture f;

	fixture_init(&f);
	fixture_space(&f, false);
	/* Neighbours for the guest; contiguous for us, then not. */
	assert_int_equal(ram_add(&f, 0, KIB(64), 0), 0);
	assert_int_equal(ram_add(&f, KIB(64), KIB(64), KIB(64)), 0);
	assert_int_equal(ram_add(&f, KIB(128), KIB(64), KIB(512)), 0);
	assert_int_equal(grant(&f, 0, 0, KIB(128)), 0);
	assert_int_equal(f.vfio.nr_maps, 1);
	assert_int_equal(grant(&f, MIB(1), KIB(32), KIB(160)), 0);
	assert_int_equal(f.vfio.nr_maps, 3);
	assert_true(f.vfio.mapping[1].size == KIB(96));
	assert_true(f.vfio.mapping[2].iova == MIB(1) + KIB(96));
	assert_true(f.vfio.mapping[2].vaddr == (uintptr_t)f.ram + KIB(512));
	assert_int_equal(dma_unmap(f.space, iova(MIB(1)), KIB(160)), 0);
	assert_int_equal(f.vfio.nr_mappings, 1);
	fixture_fini(&f);
}

static void failing_half_way_leaves_nothing(void **state)
{
	struct dma_stats stats;
	struct fixture f;

	fixture_init(&f);
	fixture_space(&f, false);
	assert_int_equal(ram_add(&f, 0, KIB(64), 0), 0);
	assert_int_equal(ram_add(&f, KIB(64), KIB(64), KIB(512)), 0);
	f.vfio.fail_err = -EFAULT;
	f.vfio.fail_at = f.vfio.nr_calls + 2;
	assert_int_equal(grant(&f, 0, 0, KIB(128)), -EFAULT);
	assert_int_equal(f.vfio.nr_maps, 1);
	assert_int_equal(f.vfio.nr_mappings, 0);
	dma_space_stats(f.space, &stats);
	assert_true(!stats.mapped_bytes && !stats.nr_mappings && stats.nr_refused == 1);
	assert_int_equal(grant(&f, 0, 0, KIB(128)), 0);
	fixture_fini(&f);
}

static void ram_that_goes_takes_every_grant_onto_it_along(void **state)
{
	struct fixture f;

	fixture_init(&f);
	fixture_space(&f, false);
	assert_int_equal(ram_add(&f, 0, KIB(64), 0), 0);
	assert_int_equal(ram_add(&f, KIB(64), KIB(64), KIB(64)), 0);
	assert_int_equal(grant(&f, GIB(1), 0, KIB(32)), 0);
	assert_int_equal(grant(&f, GIB(2), KIB(32), KIB(64)), 0);
	assert_int_equal(grant(&f, GIB(3), KIB(96), KIB(32)), 0);
	ram_remove(&f, 0, KIB(64), 0);
	assert_int_equal(f.vfio.nr_mappings, 1);
	assert_true(f.vfio.mapping[0].iova == GIB(3));
	assert_int_equal(grant(&f, GIB(1), 0, KIB(32)), -EFAULT);
	fixture_fini(&f);
}

static void at_the_mapping_limit_a_grant_is_refused_with_the_remedy(void **state)
{
	struct fixture f;

	fixture_init(&f);
	f.vfio.mappings_limit = 2;
	fixture_space(&f, false);
	assert_int_equal(ram_add(&f, 0, KIB(512), 0), 0);
	assert_int_equal(grant(&f, 0, 0, PAGE_SIZE), 0);
	assert_int_equal(grant(&f, 0x10000, 0, PAGE_SIZE), 0);
	assert_int_equal(grant(&f, 0x20000, 0, PAGE_SIZE), -ENOSPC);
	assert_non_null(strstr(f.diag.reason, "all 2 mappings"));
	assert_non_null(strstr(f.diag.remedy, "dma_entry_limit"));
	/* We knew: the kernel was not asked. */
	assert_int_equal(f.vfio.nr_maps, 2);
	assert_int_equal(dma_unmap(f.space, iova(0), PAGE_SIZE), 0);
	assert_int_equal(grant(&f, 0x20000, 0, PAGE_SIZE), 0);
	fixture_fini(&f);
}

static void too_little_locked_memory_is_explained(void **state)
{
	struct fixture f;

	fixture_init(&f);
	f.vfio.locked_limit = KIB(256);
	fixture_space(&f, true);
	assert_int_equal(ram_add(&f, 0, KIB(512), 0), -ENOMEM);
	assert_non_null(strstr(dma_space_refusal(f.space)->reason, "RLIMIT_MEMLOCK"));
	assert_non_null(strstr(dma_space_refusal(f.space)->remedy, "ulimit -l 512"));
	fixture_fini(&f);
}

static void an_old_kernel_without_capabilities_still_maps(void **state)
{
	struct fixture f;

	fixture_init(&f);
	f.vfio.no_capabilities = true;
	fixture_space(&f, true);
	assert_int_equal(ram_add(&f, 0, KIB(512), 0), 0);
	assert_int_equal(f.vfio.nr_maps, 1);
	fixture_fini(&f);
}

static void a_device_that_narrows_the_windows_is_noticed(void **state)
{
	struct fixture f;

	fixture_init(&f);
	fixture_space(&f, true);
	assert_int_equal(ram_add(&f, 0, KIB(512), 0), 0);
	assert_int_equal(dma_space_refresh(f.space, &f.diag), 0);
	f.vfio.windows[0].first = 0x1000;
	assert_int_equal(dma_space_refresh(f.space, &f.diag), -ERANGE);
	assert_non_null(strstr(f.diag.reason, "0x0-0xfff"));
	fixture_fini(&f);
}

struct watched {
	struct dma_type1 *type1;
	struct dma_space *space;
	struct dma_stats during;
};

static int watched_limits(void *backend, struct dma_limits *limits)
{
	return dma_type1_ops.limits(((struct watched *)backend)->type1, limits);
}

/* The thread that pins is in the kernel for seconds: another one asks for the figures meanwhile. */
static int watched_map(void *backend, iova_t at, void *hva, uint64_t len, unsigned int prot)
{
	struct watched *w = backend;

	dma_space_stats(w->space, &w->during);
	return dma_type1_ops.map(w->type1, at, hva, len, prot);
}

static int watched_unmap(void *backend, iova_t at, uint64_t len)
{
	return dma_type1_ops.unmap(((struct watched *)backend)->type1, at, len);
}

static void figures_are_there_while_memory_is_being_pinned(void **state)
{
	static const struct dma_backend_ops ops = { "watched", watched_limits, watched_map,
						    watched_unmap };
	struct fixture f;
	struct watched w = { .type1 = &f.type1 };
	const struct dma_space_config config = {
		.name = "vfio", .sys = &f.vfio.sys, .ops = &ops, .backend = &w, .identity = true
	};

	fixture_init(&f);
	assert_int_equal(dma_space_create(&config, &f.space, &f.diag), 0);
	w.space = f.space;
	assert_int_equal(ram_add(&f, 0, KIB(512), 0), 0);
	assert_int_equal(ram_add(&f, GIB(4), KIB(512), KIB(512)), 0);
	assert_int_equal(w.during.nr_maps, 1);
	assert_int_equal(w.during.mapped_bytes, KIB(512));
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_window_of_ram_is_one_call_and_mapped_where_the_guest_has_it),
		cmocka_unit_test(what_is_not_ram_is_not_granted),
		cmocka_unit_test(ranges_that_wrap_or_are_empty_or_cut_pages_are_refused),
		cmocka_unit_test(the_msi_window_cannot_be_mapped),
		cmocka_unit_test(ram_in_a_reserved_range_refuses_the_vm_and_names_the_range),
		cmocka_unit_test(grants_do_not_overlap),
		cmocka_unit_test(a_grant_is_released_whole_or_not_at_all),
		cmocka_unit_test(a_range_that_cuts_a_grant_releases_nothing),
		cmocka_unit_test(a_grant_over_two_pieces_of_ram_is_mapped_in_its_contiguous_runs),
		cmocka_unit_test(failing_half_way_leaves_nothing),
		cmocka_unit_test(ram_that_goes_takes_every_grant_onto_it_along),
		cmocka_unit_test(at_the_mapping_limit_a_grant_is_refused_with_the_remedy),
		cmocka_unit_test(too_little_locked_memory_is_explained),
		cmocka_unit_test(an_old_kernel_without_capabilities_still_maps),
		cmocka_unit_test(a_device_that_narrows_the_windows_is_noticed),
		cmocka_unit_test(figures_are_there_while_memory_is_being_pinned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
