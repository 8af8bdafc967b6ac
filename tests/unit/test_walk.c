// SPDX-License-Identifier: GPL-2.0-or-later
/* The walker, on tables built by hand. */
#include "iommu_world.h"

#include "iommu/walk.h"

#define R  1ull
#define W  2ull
#define PS 0x80ull
#define FS 7ull /* present, writable, user */

static struct world world;
static uint64_t root;
static struct pt_format ss, fs, amd;

static int setup(void **state)
{
	world_init(&world);
	root = world_page(&world);
	pt_format_vtd_ss(&ss, 4, 46, PT_LEAF_1G, false, false);
	pt_format_vtd_fs(&fs, 4, 46, PT_LEAF_1G);
	pt_format_amd_v1(&amd, 4, 46);
	return 0;
}

static int teardown(void **state)
{
	world_fini(&world);
	return 0;
}

static struct walk go(const struct pt_format *f, uint64_t iova, unsigned int need)
{
	struct walk w;

	memset(&w, 0x5a, sizeof(w));
	walk(&world.mem, f, root, iova, need, &w);
	return w;
}

static void pages_of_each_size_translate(void **state)
{
	struct walk w;

	world_ss(&world, root, 4, 1, 0x12345678000, 0xabc000 | R | W);
	world_ss(&world, root, 4, 2, GIB(7) + MIB(4), GIB(3) | PS | R);
	world_ss(&world, root, 4, 3, GIB(600), GIB(9) | PS | W);

	w = go(&ss, 0x12345678fff, R | W);
	assert_int_equal(w.status, WALK_OK);
	assert_int_equal(w.page, 0xabc000);
	assert_int_equal(w.page_lg2, 12);
	assert_int_equal(w.access, R | W);
	w = go(&ss, GIB(7) + MIB(5), R);
	assert_int_equal(w.status, WALK_OK);
	assert_int_equal(w.page, GIB(3));
	assert_int_equal(w.page_lg2, 21);
	w = go(&ss, GIB(600) + MIB(1000), W);
	assert_int_equal(w.status, WALK_OK);
	assert_int_equal(w.page, GIB(9));
	assert_int_equal(w.page_lg2, 30);
}

static void three_and_five_level_tables_translate(void **state)
{
	uint64_t root3 = world_page(&world), root5 = world_page(&world);
	struct pt_format f;
	struct walk w;

	pt_format_vtd_ss(&f, 3, 46, PT_LEAF_1G, false, false);
	world_ss(&world, root3, 3, 1, 0x7ffffff000, 0x5000 | R);
	assert_true(walk(&world.mem, &f, root3, 0x7ffffff123, R, &w));
	assert_int_equal(w.page, 0x5000);
	assert_false(walk(&world.mem, &f, root3, 0x8000000000, R, &w));
	assert_int_equal(w.status, WALK_WIDTH);

	pt_format_vtd_ss(&f, 5, 46, PT_LEAF_1G, false, false);
	world_ss(&world, root5, 5, 1, BIT64(57) - 0x1000, 0x6000 | W);
	assert_true(walk(&world.mem, &f, root5, BIT64(57) - 1, W, &w));
	assert_int_equal(w.page, 0x6000);
	assert_false(walk(&world.mem, &f, root5, BIT64(57), W, &w));
	assert_int_equal(w.status, WALK_WIDTH);
}

static void a_right_missing_anywhere_on_the_way_is_denied(void **state)
{
	uint64_t leaf = world_ss(&world, root, 4, 1, 0x1000, 0x5000 | R);
	struct walk w;

	assert_int_equal(go(&ss, 0x1000, W).status, WALK_DENIED);
	assert_int_equal(go(&ss, 0x1000, R).status, WALK_OK);
	world_set(&world, leaf, 0x5000 | R | W);
	assert_int_equal(go(&ss, 0x1000, W).status, WALK_OK);
	world_set(&world, root, world_get(&world, root) & ~W);
	w = go(&ss, 0x1000, W);
	assert_int_equal(w.status, WALK_DENIED);
	assert_int_equal(w.access, R);
	/* Read above and write below leave nothing. */
	world_set(&world, leaf, 0x5000 | W);
	assert_int_equal(go(&ss, 0x1000, 0).status, WALK_ABSENT);
}

static void an_absent_entry_names_its_level(void **state)
{
	struct walk w = go(&ss, 0x1000, R);

	assert_int_equal(w.status, WALK_ABSENT);
	assert_int_equal(w.level, 4);
	world_ss(&world, root, 4, 1, 0x1000, 0x5000 | R);
	w = go(&ss, 0x2000, R);
	assert_int_equal(w.status, WALK_ABSENT);
	assert_int_equal(w.level, 1);
}

static void every_reserved_bit_of_a_leaf_is_refused(void **state)
{
	uint64_t slot = world_ss(&world, root, 4, 1, 0x1000, 0x5000 | R);
	uint64_t large = world_ss(&world, root, 4, 2, GIB(1), GIB(1) | PS | R);
	uint64_t huge = world_ss(&world, root, 4, 3, GIB(2), GIB(4) | PS | R);

	for (unsigned int bit = 0; bit < 64; bit++) {
		/* 46 address bits; bit 11 without snoop control; 62 transient mapping. */
		bool reserved = bit == 11 || bit == 62 || (bit >= 46 && bit <= 51);

		if (bit < 2)
			continue;
		world_set(&world, slot, 0x5000 | R | BIT64(bit));
		assert_int_equal(go(&ss, 0x1000, R).status, reserved ? WALK_RESERVED : WALK_OK);
		if (bit == 7)
			continue;
		world_set(&world, large, GIB(1) | PS | R | BIT64(bit));
		assert_int_equal(go(&ss, GIB(1), R).status,
				 reserved || (bit >= 12 && bit <= 20) ? WALK_RESERVED : WALK_OK);
		world_set(&world, huge, GIB(4) | PS | R | BIT64(bit));
		assert_int_equal(go(&ss, GIB(2), R).status,
				 reserved || (bit >= 12 && bit <= 29) ? WALK_RESERVED : WALK_OK);
	}
}

static void the_snoop_bit_is_reserved_without_snoop_control(void **state)
{
	struct pt_format snoop;

	pt_format_vtd_ss(&snoop, 4, 46, PT_LEAF_1G, true, false);
	world_ss(&world, root, 4, 1, 0x1000, 0x5000 | R | BIT64(11));
	assert_int_equal(go(&ss, 0x1000, R).status, WALK_RESERVED);
	assert_int_equal(go(&snoop, 0x1000, R).status, WALK_OK);
	assert_true(go(&snoop, 0x1000, R).snoop);
	/* In a table entry it stays reserved. */
	world_set(&world, root, world_get(&world, root) | BIT64(11));
	assert_int_equal(go(&snoop, 0x1000, R).status, WALK_RESERVED);
}

static void a_large_page_where_none_may_be_is_refused(void **state)
{
	struct pt_format small;

	pt_format_vtd_ss(&small, 4, 46, PT_LEAF_4K, false, false);
	world_ss(&world, root, 4, 2, 0, GIB(1) | PS | R);
	assert_int_equal(go(&ss, 0, R).status, WALK_OK);
	assert_int_equal(go(&small, 0, R).status, WALK_RESERVED);
	world_set(&world, root, world_get(&world, root) | PS);
	assert_int_equal(go(&ss, 0, R).status, WALK_RESERVED);
}

static void a_table_outside_memory_is_lost(void **state)
{
	struct walk w;

	world_set(&world, root, (WORLD_BASE + WORLD_SIZE) | R | W);
	w = go(&ss, 0, R);
	assert_int_equal(w.status, WALK_LOST);
	assert_int_equal(w.level, 3);
	root = 0;
	w = go(&ss, 0, R);
	assert_int_equal(w.status, WALK_LOST);
	assert_int_equal(w.level, 4);
}

static void a_table_that_names_itself_ends(void **state)
{
	world_set(&world, root, root | R | W);
	assert_int_equal(go(&ss, 0, R).status, WALK_OK);
	assert_int_equal(go(&ss, 0, R).page, root);
}

static void first_stage_addresses_must_be_canonical(void **state)
{
	world_fs(&world, root, 4, 1, 0xfffffffff000, 0x5000 | FS);
	assert_int_equal(go(&fs, 0xfffffffffffff000, R).status, WALK_OK);
	assert_int_equal(go(&fs, 0x0000fffffffff000, R).status, WALK_WIDTH);
	assert_int_equal(go(&fs, 0x0000800000000000, R).status, WALK_WIDTH);
	assert_int_equal(go(&fs, 0x00007ffffffff000, R).status, WALK_ABSENT);
}

static void first_stage_supervisor_pages_are_refused(void **state)
{
	uint64_t slot = world_fs(&world, root, 4, 1, 0x1000, 0x5000 | FS);

	world_set(&world, slot, 0x5000 | 3);
	assert_int_equal(go(&fs, 0x1000, R).status, WALK_PRIVILEGE);
	world_set(&world, slot, 0x5000 | FS);
	assert_int_equal(go(&fs, 0x1000, R).status, WALK_OK);
	world_set(&world, root, world_get(&world, root) & ~4ull);
	assert_int_equal(go(&fs, 0x1000, R).status, WALK_PRIVILEGE);
}

static void first_stage_marks_accessed_and_dirty_for_what_happens(void **state)
{
	uint64_t slot = world_fs(&world, root, 4, 1, 0x1000, 0x5000 | FS);
	uint64_t ro = world_fs(&world, root, 4, 1, 0x2000, 0x6000 | 5);

	assert_false(go(&fs, 0x1000, R).dirty);
	assert_int_equal(world_get(&world, slot), 0x5000 | FS | VTD_FS_A);
	assert_int_equal(world_get(&world, root) & (VTD_FS_A | VTD_FS_D), VTD_FS_A);
	assert_true(go(&fs, 0x1000, W).dirty);
	assert_int_equal(world_get(&world, slot), 0x5000 | FS | VTD_FS_A | VTD_FS_D);
	/* A write that is refused leaves no mark. */
	assert_int_equal(go(&fs, 0x2000, W).status, WALK_DENIED);
	assert_int_equal(world_get(&world, ro), 0x6000 | 5);
}

static void first_stage_large_pages_ignore_the_pat_bit(void **state)
{
	world_fs(&world, root, 4, 2, 0, GIB(1) | PS | FS | BIT64(12));
	assert_int_equal(go(&fs, MIB(1), R).status, WALK_OK);
	assert_int_equal(go(&fs, MIB(1), R).page, GIB(1));
	world_fs(&world, root, 4, 2, MIB(2), GIB(1) | PS | FS | BIT64(13));
	assert_int_equal(go(&fs, MIB(3), R).status, WALK_RESERVED);
}

static void second_stage_marks_dirty_when_it_tracks(void **state)
{
	uint64_t slot = world_ss(&world, root, 4, 1, 0x1000, 0x5000 | R | W);
	struct pt_format track;

	pt_format_vtd_ss(&track, 4, 46, PT_LEAF_1G, false, true);
	assert_true(go(&ss, 0x1000, W).dirty);
	assert_int_equal(world_get(&world, slot), 0x5000 | R | W);
	assert_false(go(&track, 0x1000, R).dirty);
	assert_int_equal(world_get(&world, slot), 0x5000 | R | W | VTD_SS_A);
	assert_true(go(&track, 0x1000, W).dirty);
	assert_int_equal(world_get(&world, slot), 0x5000 | R | W | VTD_SS_A | VTD_SS_D);
}

#define AMD_RW	    (AMD_V1_PR | AMD_V1_IR | AMD_V1_IW)
#define AMD_NEXT(n) ((uint64_t)(n) << 9)

static void amd_levels_may_be_skipped_over_zero_bits(void **state)
{
	uint64_t leaf = world_page(&world);

	/* From level 4 straight to level 1. */
	world_set(&world, root, leaf | AMD_RW | AMD_NEXT(1));
	world_set(&world, leaf + 8 * 5, 0x7000 | AMD_RW);
	assert_int_equal(go(&amd, 0x5123, R).status, WALK_OK);
	assert_int_equal(go(&amd, 0x5123, R).page, 0x7000);
	/* An address with a bit in a skipped level is not mapped. */
	assert_int_equal(go(&amd, MIB(2) + 0x5123, R).status, WALK_ABSENT);
	assert_int_equal(go(&amd, GIB(1) + 0x5123, R).status, WALK_ABSENT);
}

static void amd_entries_that_do_not_descend_are_refused(void **state)
{
	world_set(&world, root, root | AMD_RW | AMD_NEXT(4));
	assert_int_equal(go(&amd, 0, R).status, WALK_RESERVED);
	world_set(&world, root, root | AMD_RW | AMD_NEXT(5));
	assert_int_equal(go(&amd, 0, R).status, WALK_RESERVED);
}

static void amd_coded_page_sizes_translate(void **state)
{
	uint64_t slot = world_entry(&world, root, 4, 1, 0x10000, AMD_RW, true);
	struct walk w;

	/* 64 KiB: bits 12..14 set, bit 15 the first zero; all sixteen entries alike. */
	for (unsigned int i = 0; i < 16; i++)
		world_set(&world, slot + 8 * i, 0x40000 | 0x7000 | AMD_RW | AMD_NEXT(7));
	w = go(&amd, 0x1a123, R | W);
	assert_int_equal(w.status, WALK_OK);
	assert_int_equal(w.page_lg2, 16);
	assert_int_equal(w.page, 0x40000);
	/* A size that belongs to another level. */
	world_set(&world, slot, GIB(1) | 0xff000 | AMD_RW | AMD_NEXT(7));
	assert_int_equal(go(&amd, 0x10000, R).status, WALK_RESERVED);
}

static void amd_rights_are_gathered(void **state)
{
	uint64_t slot = world_entry(&world, root, 4, 1, 0x1000, AMD_RW, true);

	world_set(&world, slot, 0x5000 | AMD_V1_PR | AMD_V1_IW);
	assert_int_equal(go(&amd, 0x1000, R).status, WALK_DENIED);
	assert_int_equal(go(&amd, 0x1000, W).status, WALK_OK);
	world_set(&world, root, world_get(&world, root) & ~AMD_V1_IW);
	assert_int_equal(go(&amd, 0x1000, W).status, WALK_DENIED);
}

/* First-stage tables at guest addresses that the second stage moves by 8 GiB. */
#define MOVED GIB(8)

static uint64_t first_root, second_root;

static void nested_setup(void)
{
	second_root = world_page(&world);
	first_root = world_page(&world);
	world_fs(&world, first_root, 4, 1, 0x1000, MOVED | 0x5000 | FS);
	world_fs(&world, first_root, 4, 2, MIB(2), MOVED | MIB(4) | PS | FS);
	/* The tables name each other by the moved address. */
	for (uint64_t page = first_root; page < world.next; page += PAGE_SIZE)
		for (unsigned int i = 0; i < 512; i++) {
			uint64_t entry = world_get(&world, page + 8 * i);
			uint64_t to = entry & 0xffffffffff000;

			if (to > first_root && to < world.next)
				world_set(&world, page + 8 * i, entry + MOVED);
		}
	for (uint64_t page = 0; page < WORLD_BASE + WORLD_SIZE; page += PAGE_SIZE)
		world_ss(&world, second_root, 4, 1, MOVED + page, page | R | W);
}

static struct walk go_nested(uint64_t iova, unsigned int need)
{
	struct walk w;

	memset(&w, 0x5a, sizeof(w));
	walk_nested(&world.mem, &fs, first_root + MOVED, &ss, second_root, iova, need, &w);
	return w;
}

static void both_stages_translate(void **state)
{
	struct walk w;

	nested_setup();
	w = go_nested(0x1234, R | W);
	assert_int_equal(w.status, WALK_OK);
	assert_int_equal(w.page, 0x5000);
	assert_int_equal(w.page_lg2, 12);
	assert_int_equal(w.access, R | W);
}

static void the_smaller_page_of_two_stages_counts(void **state)
{
	struct walk w;

	nested_setup();
	/* 2 MiB over 4 KiB pages. */
	w = go_nested(MIB(2) + 0x3456, R);
	assert_int_equal(w.status, WALK_OK);
	assert_int_equal(w.page_lg2, 12);
	assert_int_equal(w.page, MIB(4) + 0x3000);
	/* 4 KiB inside 2 MiB. */
	world_ss(&world, second_root, 4, 2, GIB(64), GIB(32) | PS | R | W);
	world_set(&world, (world_get(&world, first_root) & PAGE_MASK) - MOVED + 8,
		  GIB(64) | PS | FS);
	w = go_nested(GIB(1) + 0x5678, R);
	assert_int_equal(w.status, WALK_OK);
	assert_int_equal(w.page_lg2, 21);
	assert_int_equal(w.page, GIB(32));
}

static void the_second_stage_refuses_tables_it_does_not_map(void **state)
{
	struct walk w;

	nested_setup();
	world_ss(&world, second_root, 4, 1, MOVED + first_root, 0);
	w = go_nested(0x1000, R);
	assert_int_equal(w.status, WALK_ABSENT);
	assert_true(w.second);
	assert_false(w.second_final);
	assert_int_equal(w.second_input, MOVED + first_root);
}

static void the_second_stage_refuses_outputs_it_does_not_map(void **state)
{
	struct walk w;

	nested_setup();
	world_ss(&world, second_root, 4, 1, MOVED + 0x5000, 0x5000 | R);
	w = go_nested(0x1000, W);
	assert_int_equal(w.status, WALK_DENIED);
	assert_true(w.second && w.second_final);
	assert_int_equal(go_nested(0x1000, R).status, WALK_OK);
	assert_int_equal(go_nested(0x1000, R).access, R);
}

static void accessed_bits_need_a_writable_table(void **state)
{
	struct walk w;

	nested_setup();
	world_ss(&world, second_root, 4, 1, MOVED + first_root, first_root | R);
	w = go_nested(0x1000, R);
	assert_int_equal(w.status, WALK_DENIED);
	assert_true(w.second);
	/* Once they are set, reading suffices. */
	world_ss(&world, second_root, 4, 1, MOVED + first_root, first_root | R | W);
	assert_int_equal(go_nested(0x1000, W).status, WALK_OK);
	world_ss(&world, second_root, 4, 1, MOVED + first_root, first_root | R);
	assert_int_equal(go_nested(0x1000, W).status, WALK_OK);
}

/* Memory outside the windows goes to the ops table. */
static int one_load64(void *opaque, uint64_t addr, uint64_t *value)
{
	if (addr != 0xf000)
		return -EFAULT;
	*value = 0x5000 | R;
	return 0;
}

static void memory_outside_the_windows_is_asked_for(void **state)
{
	static const struct iommu_mem_ops ops = { .load64 = one_load64 };
	struct walk w;

	world_ss(&world, root, 4, 2, 0, 0xf000 | R | W);
	assert_int_equal(go(&ss, 0, R).status, WALK_LOST);
	world.mem.ops = &ops;
	assert_true(walk(&world.mem, &ss, root, 0, R, &w));
	assert_int_equal(w.page, 0x5000);
	assert_false(walk(&world.mem, &ss, root, 0x1000, R, &w));
	assert_int_equal(w.status, WALK_LOST);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(pages_of_each_size_translate),
		T(three_and_five_level_tables_translate),
		T(a_right_missing_anywhere_on_the_way_is_denied),
		T(an_absent_entry_names_its_level),
		T(every_reserved_bit_of_a_leaf_is_refused),
		T(the_snoop_bit_is_reserved_without_snoop_control),
		T(a_large_page_where_none_may_be_is_refused),
		T(a_table_outside_memory_is_lost),
		T(a_table_that_names_itself_ends),
		T(first_stage_addresses_must_be_canonical),
		T(first_stage_supervisor_pages_are_refused),
		T(first_stage_marks_accessed_and_dirty_for_what_happens),
		T(first_stage_large_pages_ignore_the_pat_bit),
		T(second_stage_marks_dirty_when_it_tracks),
		T(amd_levels_may_be_skipped_over_zero_bits),
		T(amd_entries_that_do_not_descend_are_refused),
		T(amd_coded_page_sizes_translate),
		T(amd_rights_are_gathered),
		T(both_stages_translate),
		T(the_smaller_page_of_two_stages_counts),
		T(the_second_stage_refuses_tables_it_does_not_map),
		T(the_second_stage_refuses_outputs_it_does_not_map),
		T(accessed_bits_need_a_writable_table),
		T(memory_outside_the_windows_is_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
