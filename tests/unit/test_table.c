// SPDX-License-Identifier: GPL-2.0-or-later
/* Page tables of our own: what mapping grants and unmapping takes away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fuzz/table_model.h"

static struct table *make(unsigned int leaf_levels)
{
	struct pt_format f;
	struct table *t;

	pt_format_vtd_ss(&f, 4, 46, leaf_levels, false, false);
	assert_int_equal(table_create(&f, 4096, &t), 0);
	return t;
}

/* Size of the page that holds iova, 0 when nothing is there. */
static unsigned int page_lg2(struct table *t, uint64_t iova)
{
	struct walk w;

	return walk(table_mem(t), table_format(t), table_root(t), iova, 0, &w) ? w.page_lg2 : 0;
}

static void map_uses_the_largest_page_that_alignment_and_grant_allow(void **state)
{
	struct table *t = make(PT_LEAF_1G);

	/* 1 GiB aligned at both ends, with 2 MiB and 4 KiB around it. */
	assert_int_equal(table_map(t, GIB(1) - MIB(2) - KIB(4), GIB(3) - MIB(2) - KIB(4),
				   GIB(1) + 2 * (MIB(2) + KIB(4)), IOMMU_READ),
			 0);
	assert_int_equal(page_lg2(t, GIB(1) - MIB(2) - KIB(4)), 12);
	assert_int_equal(page_lg2(t, GIB(1) - MIB(2)), 21);
	assert_int_equal(page_lg2(t, GIB(1)), 30);
	assert_int_equal(page_lg2(t, GIB(2)), 21);
	assert_int_equal(page_lg2(t, GIB(2) + MIB(2)), 12);
	assert_int_equal(page_lg2(t, GIB(2) + MIB(2) + KIB(4)), 0);
	table_destroy(t);
}

static void map_never_uses_a_page_larger_than_its_grant(void **state)
{
	struct table *t = make(PT_LEAF_1G);

	assert_int_equal(table_map(t, GIB(1), GIB(1), GIB(1) - KIB(4), IOMMU_READ), 0);
	assert_int_equal(page_lg2(t, GIB(1)), 21);
	assert_int_equal(page_lg2(t, GIB(2) - KIB(8)), 12);
	assert_int_equal(page_lg2(t, GIB(2) - KIB(4)), 0);
	table_destroy(t);
}

static void map_of_a_misaligned_address_uses_small_pages(void **state)
{
	struct table *t = make(PT_LEAF_1G);

	assert_int_equal(table_map(t, MIB(2), MIB(2) + KIB(4), MIB(2), IOMMU_READ), 0);
	assert_int_equal(page_lg2(t, MIB(2)), 12);
	assert_int_equal(page_lg2(t, MIB(4) - KIB(4)), 12);
	table_destroy(t);
}

static void map_uses_no_page_size_the_format_lacks(void **state)
{
	struct table *t = make(PT_LEAF_4K);

	assert_int_equal(table_map(t, 0, 0, MIB(4), IOMMU_READ | IOMMU_WRITE), 0);
	assert_int_equal(page_lg2(t, MIB(2)), 12);
	table_destroy(t);
}

static void map_over_a_mapping_is_refused_and_leaves_nothing_behind(void **state)
{
	struct table *t = make(PT_LEAF_1G);
	struct walk w;

	assert_int_equal(table_map(t, MIB(6), 0, KIB(4), IOMMU_READ), 0);
	assert_int_equal(table_map(t, 0, GIB(4), MIB(8), IOMMU_WRITE), -EEXIST);
	assert_int_equal(page_lg2(t, 0), 0);
	assert_int_equal(page_lg2(t, MIB(6) - KIB(4)), 0);
	assert_true(walk(table_mem(t), table_format(t), table_root(t), MIB(6), IOMMU_READ, &w));
	assert_int_equal(w.page, 0);
	table_destroy(t);
}

static void map_out_of_tables_is_refused_and_leaves_nothing_behind(void **state)
{
	struct pt_format f;
	struct table *t;
	uint64_t done = 1;

	pt_format_vtd_ss(&f, 4, 46, PT_LEAF_4K, false, false);
	assert_int_equal(table_create(&f, 8, &t), 0);
	assert_int_equal(table_map(t, 0, 0, MIB(64), IOMMU_READ), -ENOMEM);
	table_reclaim(t);
	assert_int_equal(table_unmap(t, 0, GIB(1), &done), 0);
	assert_int_equal(done, 0);
	assert_int_equal(table_count(t), 1);
	table_destroy(t);
}

static void map_refuses_what_wraps_or_lies_beyond_the_width(void **state)
{
	struct table *t = make(PT_LEAF_1G);

	assert_int_equal(table_map(t, BIT64(48), 0, KIB(4), IOMMU_READ), -ERANGE);
	assert_int_equal(table_map(t, BIT64(48) - KIB(4), 0, KIB(8), IOMMU_READ), -ERANGE);
	assert_int_equal(table_map(t, UINT64_MAX - KIB(4) + 1, 0, KIB(8), IOMMU_READ), -ERANGE);
	assert_int_equal(table_map(t, 0, UINT64_MAX - KIB(4) + 1, KIB(8), IOMMU_READ), -EINVAL);
	assert_int_equal(table_map(t, 0, 0, 0, IOMMU_READ), -EINVAL);
	assert_int_equal(table_map(t, 1, 0, KIB(4), IOMMU_READ), -EINVAL);
	assert_int_equal(table_map(t, 0, 0, KIB(4), 0), -EINVAL);
	assert_int_equal(table_unmap(t, BIT64(48), KIB(4), NULL), -ERANGE);
	table_destroy(t);
}

static void map_refuses_rights_the_format_cannot_express(void **state)
{
	struct pt_format f;
	struct table *t;

	pt_format_vtd_fs(&f, 4, 46, PT_LEAF_1G);
	assert_int_equal(table_create(&f, 16, &t), 0);
	assert_int_equal(table_map(t, 0, 0, KIB(4), IOMMU_WRITE), -EINVAL);
	assert_int_equal(table_map(t, 0, 0, KIB(4), IOMMU_READ | IOMMU_WRITE), 0);
	table_destroy(t);
}

static void unmap_of_half_a_superpage_splits_it(void **state)
{
	struct table *t = make(PT_LEAF_1G);
	uint64_t done;
	struct walk w;

	assert_int_equal(table_map(t, GIB(1), GIB(5), GIB(1), IOMMU_READ), 0);
	assert_int_equal(table_unmap(t, GIB(1) + MIB(512) + KIB(4), KIB(4), &done), 0);
	assert_int_equal(done, KIB(4));
	assert_int_equal(page_lg2(t, GIB(1) + MIB(512) + KIB(4)), 0);
	assert_int_equal(page_lg2(t, GIB(1) + MIB(512)), 12);
	assert_int_equal(page_lg2(t, GIB(1)), 21);
	assert_true(walk(table_mem(t), table_format(t), table_root(t), GIB(1) + MIB(700) + 123,
			 IOMMU_READ, &w));
	assert_int_equal(w.page, GIB(5) + MIB(700));
	assert_int_equal(w.access, IOMMU_READ);
	table_destroy(t);
}

static void unmap_without_memory_to_split_changes_nothing(void **state)
{
	struct pt_format f;
	struct table *t;

	pt_format_vtd_ss(&f, 4, 46, PT_LEAF_1G, false, false);
	assert_int_equal(table_create(&f, 2, &t), 0);
	assert_int_equal(table_map(t, GIB(1), GIB(1), GIB(1), IOMMU_READ), 0);
	assert_int_equal(table_unmap(t, GIB(1), KIB(4), NULL), -ENOMEM);
	assert_int_equal(page_lg2(t, GIB(1)), 30);
	/* The whole of it needs no memory. */
	assert_int_equal(table_unmap(t, GIB(1), GIB(1), NULL), 0);
	assert_int_equal(page_lg2(t, GIB(1)), 0);
	table_destroy(t);
}

static void an_emptied_table_is_readable_until_it_is_reclaimed(void **state)
{
	struct table *t = make(PT_LEAF_4K);
	uint64_t table;
	struct walk w;

	assert_int_equal(table_map(t, 0, GIB(1), KIB(4), IOMMU_READ), 0);
	assert_true(walk(table_mem(t), table_format(t), table_root(t), 0, 0, &w));
	table = w.table;
	assert_int_equal(table_unmap(t, 0, KIB(4), NULL), 0);
	/* A walker that had read the entry above still finds a table, and nothing in it. */
	assert_false(walk_from(table_mem(t), table_format(t), table, 1, 3, 0, 0, &w));
	assert_int_equal(w.status, WALK_ABSENT);
	assert_int_equal(table_count(t), 4);
	table_reclaim(t);
	assert_int_equal(table_count(t), 1);
	table_destroy(t);
}

static void tables_agree_with_a_flat_map(void **state)
{
	static const unsigned int leaves[] = { PT_LEAF_4K, PT_LEAF_2M, PT_LEAF_1G };
	uint64_t *pages = malloc(MODEL_PAGES * sizeof(*pages)), seed = 0x9e3779b97f4a7c15ull;
	static uint8_t data[2000];

	assert_non_null(pages);
	for (unsigned int run = 0; run < 20; run++) {
		struct pt_format f;

		for (unsigned int i = 0; i < sizeof(data); i++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			data[i] = (uint8_t)(seed >> 32);
		}
		if (run % 4 == 3)
			pt_format_amd_v1(&f, 4, 46);
		else if (run % 4 == 2)
			pt_format_vtd_fs(&f, 4, 46, leaves[run / 4 % 3]);
		else
			pt_format_vtd_ss(&f, 4 + run % 2, 46, leaves[run / 4 % 3], false, false);
		assert_string_equal(model_run(&f, data, sizeof(data), run & 8 ? 40 : 100000, 1,
					      pages)
					    ?: "right",
				    "right");
	}
	free(pages);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(map_uses_the_largest_page_that_alignment_and_grant_allow),
		cmocka_unit_test(map_never_uses_a_page_larger_than_its_grant),
		cmocka_unit_test(map_of_a_misaligned_address_uses_small_pages),
		cmocka_unit_test(map_uses_no_page_size_the_format_lacks),
		cmocka_unit_test(map_over_a_mapping_is_refused_and_leaves_nothing_behind),
		cmocka_unit_test(map_out_of_tables_is_refused_and_leaves_nothing_behind),
		cmocka_unit_test(map_refuses_what_wraps_or_lies_beyond_the_width),
		cmocka_unit_test(map_refuses_rights_the_format_cannot_express),
		cmocka_unit_test(unmap_of_half_a_superpage_splits_it),
		cmocka_unit_test(unmap_without_memory_to_split_changes_nothing),
		cmocka_unit_test(an_emptied_table_is_readable_until_it_is_reclaimed),
		cmocka_unit_test(tables_agree_with_a_flat_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
