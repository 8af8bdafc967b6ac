// SPDX-License-Identifier: GPL-2.0-or-later
/* Copying through a VT-d unit into the guest's RAM, in its two regions. */
#include "vtd_world.h"

#include "base/endian.h"
#include "iommu/dma.h"

#define LOW_SIZE  MIB(8)
#define HIGH_SIZE MIB(2)

struct fixture {
	struct vtd_world *v;
	struct ram ram;
	uint8_t *high;
};

/* The world's memory is the low region; another lies from 4 GiB up. */
static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->v = vtd_world_create(vtd_world_config());
	vtd_world_legacy(f->v);
	f->high = calloc(1, HIGH_SIZE);
	f->ram.nr_regions = 2;
	f->ram.regions[0] =
		(struct ram_region){ range_of(WORLD_BASE, LOW_SIZE), f->v->w.ram, -1, 0 };
	f->ram.regions[1] = (struct ram_region){ range_of(RAM_HIGH, HIGH_SIZE), f->high, -1, 0 };
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	vtd_world_destroy(f->v);
	free(f->high);
	free(f);
	return 0;
}

static void data_goes_where_the_tables_say_and_comes_back(void **state)
{
	struct fixture *f = *state;
	static uint8_t out[KIB(600)], in[KIB(600)];

	/* Pages alternate between the regions: no two of them are one span. */
	for (unsigned int i = 0; i < 160; i++)
		world_ss(&f->v->w, f->v->ss, 4, 1, 0x100000 + 0x1000ull * i,
			 (i & 1 ? RAM_HIGH + 0x1000ull * i : MIB(4) + 0x1000ull * i) | RW);
	for (unsigned int i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 7 + (i >> 8));
	assert_int_equal(iommu_dma_write(&f->v->section, &f->ram, IOMMU_NO_PASID, 0x100123, out,
					 sizeof(out)),
			 0);
	assert_memory_equal(f->high + 0x1000, out + 0x1000 - 0x123, 0x1000);
	assert_int_equal(iommu_dma_read(&f->v->section, &f->ram, IOMMU_NO_PASID, 0x100123, in,
					sizeof(in)),
			 0);
	assert_memory_equal(in, out, sizeof(out));
	assert_int_equal(fault_take(f->v).reason, 0);
}

static void a_read_only_page_is_not_written(void **state)
{
	struct fixture *f = *state;
	uint8_t byte = 0xaa;

	world_ss(&f->v->w, f->v->ss, 4, 1, 0x1000, RAM_HIGH | R);
	assert_int_equal(iommu_dma_write(&f->v->section, &f->ram, IOMMU_NO_PASID, 0x1000, &byte, 1),
			 -EFAULT);
	assert_int_equal(f->high[0], 0);
	assert_int_equal(fault_take(f->v).reason, 5);
}

static void a_page_outside_ram_is_refused(void **state)
{
	struct fixture *f = *state;
	uint8_t byte;

	world_ss(&f->v->w, f->v->ss, 4, 1, 0x1000, GIB(9) | RW);
	assert_int_equal(iommu_dma_read(&f->v->section, &f->ram, IOMMU_NO_PASID, 0x1000, &byte, 1),
			 -EFAULT);
}

static void nothing_moves_when_the_range_wraps(void **state)
{
	struct fixture *f = *state;
	static uint8_t buf[KIB(256)];

	gcmd(f->v, 0, GCMD_TE);
	assert_int_equal(iommu_dma_write(&f->v->section, &f->ram, IOMMU_NO_PASID,
					 UINT64_MAX - KIB(200), buf, sizeof(buf)),
			 -EINVAL);
	assert_int_equal(iommu_dma_write(&f->v->section, &f->ram, IOMMU_NO_PASID, MIB(1), buf, 0),
			 -EINVAL);
}

static void a_unit_reads_its_tables_in_both_regions(void **state)
{
	struct fixture *f = *state;
	struct iommu_mem mem;
	uint64_t value;

	iommu_mem_from_ram(&mem, &f->ram);
	world_set(&f->v->w, MIB(5), 77);
	assert_int_equal(iommu_mem_load64(&mem, MIB(5), &value), 0);
	assert_int_equal(value, 77);
	assert_int_equal(iommu_mem_store64(&mem, RAM_HIGH + HIGH_SIZE - 8, 99), 0);
	assert_int_equal(le_load(f->high + HIGH_SIZE - 8, 8), 99);
	assert_int_equal(iommu_mem_load64(&mem, RAM_HIGH + HIGH_SIZE, &value), -EFAULT);
	assert_int_equal(iommu_mem_load64(&mem, 0, &value), -EFAULT);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(data_goes_where_the_tables_say_and_comes_back),
		T(a_read_only_page_is_not_written),
		T(a_page_outside_ram_is_refused),
		T(nothing_moves_when_the_range_wraps),
		T(a_unit_reads_its_tables_in_both_regions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
