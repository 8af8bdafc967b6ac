// SPDX-License-Identifier: GPL-2.0-or-later
/* bzImages, whole and damaged, as the guest unpacks them itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "boot_images.h"
#include "machine/x86/linux.h"

#define IMAGE_SIZE 8192
#define RAM_SIZE   MIB(64)
#define PARAMS	   LAYOUT_BOOT_PARAMS

static const struct boot_config config = { .kernel = "dir/kernel", .cmdline = "console=ttyS0 a=b" };

struct fixture {
	uint8_t image[IMAGE_SIZE];
	uint8_t initrd[5000];
	struct files files;
	struct ram *ram;
	struct boot_entry entry;
	struct diag diag;
};

static void start(struct fixture *f, uint64_t ram_size)
{
	make_bzimage(f->image, IMAGE_SIZE);
	memset(f->initrd, 0xa5, sizeof(f->initrd));
	files_init(&f->files, f->image, IMAGE_SIZE);
	f->files.initrd = f->initrd;
	f->files.initrd_size = sizeof(f->initrd);
	f->ram = make_ram(ram_size);
}

static void finish(struct fixture *f)
{
	assert_int_equal(f->files.nr_open, 0);
	ram_destroy(f->ram);
}

static uint64_t guest(struct fixture *f, uint64_t addr, unsigned int bytes)
{
	uint8_t buf[8] = { 0 };

	assert_int_equal(ram_read(f->ram, gpa(addr), buf, bytes), 0);
	return le_load(buf, bytes);
}

static void a_kernel_is_entered_64_bit_with_boot_params(void **state)
{
	struct fixture f;

	start(&f, RAM_SIZE);
	assert_int_equal(boot(&f.files, &config, f.ram, &f.entry, &f.diag), 0);
	assert_int_equal(f.entry.mode, BOOT_MODE_LONG64);
	assert_int_equal(f.entry.rip, 0x1000200);
	assert_int_equal(f.entry.rsi, PARAMS);
	assert_int_equal(f.entry.page_tables.v, LAYOUT_PAGE_TABLES);
	assert_memory_equal(ram_span(f.ram, gpa(0x1000000), IMAGE_SIZE - BZ_KERNEL),
			    f.image + BZ_KERNEL, IMAGE_SIZE - BZ_KERNEL);
	assert_string_equal(ram_span(f.ram, gpa(LAYOUT_CMDLINE), 64), config.cmdline);
	assert_int_equal(guest(&f, PARAMS + 0x202, 4), 0x53726448);
	assert_int_equal(guest(&f, PARAMS + 0x210, 1), 0xff);
	assert_int_equal(guest(&f, PARAMS + 0x228, 4), LAYOUT_CMDLINE);
	assert_int_equal(guest(&f, PARAMS + 0x070, 8), LAYOUT_ACPI);
	assert_int_equal(guest(&f, PARAMS + 0x218, 4), 0);
	assert_int_equal(guest(&f, PARAMS + 0x21c, 4), 0);
	finish(&f);
}

static void the_memory_map_leaves_out_tables_and_devices(void **state)
{
	static const struct {
		uint64_t first, size;
		uint32_t type;
	} map[] = {
		{ 0, 0x9fc00, 1 },
		{ 0x9fc00, 0x400, 2 },
		{ 0xe0000, 0x20000, 2 },
		{ 0x100000, 0xbff00000, 1 },
		{ 0xe0000000, 0x10000000, 2 },
		{ 0x100000000, 0x10000000, 1 },
	};
	struct fixture f;

	start(&f, GIB(3) + MIB(256));
	assert_int_equal(boot(&f.files, &config, f.ram, &f.entry, &f.diag), 0);
	assert_int_equal(guest(&f, PARAMS + 0x1e8, 1), ARRAY_SIZE(map));
	for (size_t i = 0; i < ARRAY_SIZE(map); i++) {
		uint64_t at = PARAMS + 0x2d0 + i * 20;

		assert_int_equal(guest(&f, at, 8), map[i].first);
		assert_int_equal(guest(&f, at + 8, 8), map[i].size);
		assert_int_equal(guest(&f, at + 16, 4), map[i].type);
	}
	finish(&f);
}

static void every_start_has_a_random_seed_of_its_own(void **state)
{
	uint64_t seeds[2];
	struct fixture f;

	start(&f, RAM_SIZE);
	for (int i = 0; i < 2; i++) {
		uint64_t at;

		assert_int_equal(boot(&f.files, &config, f.ram, &f.entry, &f.diag), 0);
		at = guest(&f, PARAMS + 0x250, 8);
		assert_int_equal(at, LAYOUT_SETUP_DATA);
		assert_int_equal(guest(&f, at, 8), 0);
		assert_int_equal(guest(&f, at + 8, 4), 9);
		assert_int_equal(guest(&f, at + 12, 4), 32);
		seeds[i] = guest(&f, at + 40, 8);
	}
	assert_true(seeds[0] != seeds[1]);
	finish(&f);
}

/* Walks the tables as the processor does. UINT64_MAX: not mapped. */
static uint64_t translate(struct fixture *f, uint64_t addr)
{
	uint64_t table = f->entry.page_tables.v;

	for (unsigned int shift = 39; shift >= 21; shift -= 9) {
		uint64_t entry = guest(f, table + (addr >> shift & 511) * 8, 8);

		if (!(entry & 1))
			return UINT64_MAX;
		if (entry & 0x80)
			return (entry & ~(MIB(2) - 1) & ~(1ull << 63)) | (addr & (MIB(2) - 1));
		table = entry & 0x000ffffffffff000;
	}
	return UINT64_MAX;
}

static void the_first_4_gib_are_mapped_to_themselves(void **state)
{
	static const uint64_t probes[] = { 0, 0x7123, MIB(2), GIB(1) - 1, GIB(3), GIB(4) - 1 };
	struct fixture f;

	start(&f, RAM_SIZE);
	assert_int_equal(boot(&f.files, &config, f.ram, &f.entry, &f.diag), 0);
	for (size_t i = 0; i < ARRAY_SIZE(probes); i++)
		assert_int_equal(translate(&f, probes[i]), probes[i]);
	assert_true(translate(&f, GIB(4)) == UINT64_MAX);
	assert_int_equal(guest(&f, f.entry.gdt.v + 0x10, 8), 0x00af9b000000ffff);
	assert_int_equal(guest(&f, f.entry.gdt.v + 0x18, 8), 0x00cf93000000ffff);
	finish(&f);
}

static void the_initrd_lies_at_the_top_of_memory_within_its_limit(void **state)
{
	struct boot_config with = config;
	struct fixture f;
	uint64_t at;

	with.initrd = "dir/initrd";
	start(&f, RAM_SIZE);
	assert_int_equal(boot(&f.files, &with, f.ram, &f.entry, &f.diag), 0);
	at = guest(&f, PARAMS + 0x218, 4);
	assert_int_equal(at, RAM_SIZE - 8192);
	assert_int_equal(guest(&f, PARAMS + 0x21c, 4), sizeof(f.initrd));
	assert_memory_equal(ram_span(f.ram, gpa(at), sizeof(f.initrd)), f.initrd, sizeof(f.initrd));

	/* A kernel that cannot reach everything has its word. */
	le_store(f.image + 0x236, 2, 1);
	le_store(f.image + 0x22c, 4, MIB(48) - 1);
	assert_int_equal(boot(&f.files, &with, f.ram, &f.entry, &f.diag), 0);
	assert_int_equal(guest(&f, PARAMS + 0x218, 4), MIB(48) - 8192);

	/* Below the kernel where there is no room above. */
	le_store(f.image + 0x22c, 4, MIB(20) - 1);
	assert_int_equal(boot(&f.files, &with, f.ram, &f.entry, &f.diag), 0);
	assert_int_equal(guest(&f, PARAMS + 0x218, 4), MIB(16) - 8192);
	finish(&f);
}

static void an_initrd_too_large_for_low_memory_goes_above_4_gib_if_the_kernel_can(void **state)
{
	struct boot_config with = config;
	struct fixture f;

	with.initrd = "dir/initrd";
	start(&f, GIB(7));
	f.files.initrd = NULL;
	f.files.initrd_size = GIB(3);
	assert_int_equal(boot(&f.files, &with, f.ram, &f.entry, &f.diag), 0);
	/* [4 GiB, 8 GiB) is RAM; its last three GiB. */
	assert_int_equal(guest(&f, PARAMS + 0x218, 4), 0x40000000);
	assert_int_equal(guest(&f, PARAMS + 0x0c0, 4), 1);
	assert_int_equal(guest(&f, PARAMS + 0x21c, 4), GIB(3));
	assert_int_equal(guest(&f, PARAMS + 0x0c4, 4), 0);

	le_store(f.image + 0x236, 2, 1);
	assert_int_equal(boot(&f.files, &with, f.ram, &f.entry, &f.diag), -ENOMEM);
	finish(&f);
}

static void an_initrd_that_does_not_fit_is_refused_with_sizes(void **state)
{
	struct boot_config with = config;
	struct fixture f;

	with.initrd = "dir/initrd";
	start(&f, MIB(32));
	f.files.initrd_size = MIB(40);
	assert_int_equal(boot(&f.files, &with, f.ram, &f.entry, &f.diag), -ENOMEM);
	assert_string_equal(f.diag.object, "dir/initrd");
	assert_non_null(strstr(f.diag.reason, "40960 KiB"));
	assert_non_null(strstr(f.diag.remedy, "--memory"));
	finish(&f);
}

static void a_kernel_that_does_not_fit_is_refused_with_sizes(void **state)
{
	struct fixture f;

	start(&f, MIB(18));
	assert_int_equal(boot(&f.files, &config, f.ram, &f.entry, &f.diag), -ENOMEM);
	assert_non_null(strstr(f.diag.reason, "up to 20 MiB"));
	assert_non_null(strstr(f.diag.reason, "has 18 MiB"));
	finish(&f);
	start(&f, MIB(1));
	assert_int_equal(boot(&f.files, &config, f.ram, &f.entry, &f.diag), -ENOMEM);
	finish(&f);
}

static void a_command_line_longer_than_the_kernel_takes_is_refused(void **state)
{
	struct boot_config with = config;
	char line[102];
	struct fixture f;

	memset(line, 'x', sizeof(line) - 1);
	line[101] = '\0';
	with.cmdline = line;
	start(&f, RAM_SIZE);
	le_store(f.image + 0x238, 4, 101);
	assert_int_equal(boot(&f.files, &with, f.ram, &f.entry, &f.diag), 0);
	le_store(f.image + 0x238, 4, 100);
	assert_int_equal(boot(&f.files, &with, f.ram, &f.entry, &f.diag), -E2BIG);
	assert_non_null(strstr(f.diag.reason, "100 characters"));
	finish(&f);
}

static void the_version_is_told_and_nothing_unprintable_of_it(void **state)
{
	struct boot_image *image;
	struct fixture f;

	start(&f, RAM_SIZE);
	assert_int_equal(boot_image_open(&f.files.sys, &config, &image, NULL), 0);
	assert_string_equal(boot_image_what(image), "Linux 6.1.0-test, bzImage");
	boot_image_close(image);
	memcpy(f.image + 0x300, "6.1\x1b[31m", 9);
	assert_int_equal(boot_image_open(&f.files.sys, &config, &image, NULL), 0);
	assert_string_equal(boot_image_what(image), "Linux 6.1, bzImage");
	boot_image_close(image);
	le_store(f.image + 0x20e, 2, 0xffff);
	assert_int_equal(boot_image_open(&f.files.sys, &config, &image, NULL), 0);
	assert_string_equal(boot_image_what(image), "Linux (no version), bzImage");
	boot_image_close(image);
	finish(&f);
}

static void it_can_be_loaded_again_after_a_reset(void **state)
{
	struct boot_image *image;
	struct fixture f;

	start(&f, RAM_SIZE);
	assert_int_equal(boot_image_open(&f.files.sys, &config, &image, NULL), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(boot_image_load(image, f.ram, gpa(0), &f.entry, NULL), 0);
		assert_int_equal(guest(&f, 0x1000000, 4), le_load(f.image + BZ_KERNEL, 4));
		assert_int_equal(ram_clear(f.ram, 2), 0);
		assert_int_equal(guest(&f, 0x1000000, 4), 0);
	}
	/* What the file has become meanwhile is checked as at the first time. */
	memcpy(f.image + 0x202, "HdrX", 4);
	f.diag = (struct diag)DIAG_INIT;
	assert_int_equal(boot_image_load(image, f.ram, gpa(0), &f.entry, &f.diag), -ENOEXEC);
	boot_image_close(image);
	finish(&f);
}

static void a_kernel_without_a_64_bit_entry_is_called_i386(void **state)
{
	struct fixture f;

	start(&f, RAM_SIZE);
	le_store(f.image + 0x236, 2, 0);
	assert_int_equal(boot(&f.files, &config, f.ram, &f.entry, &f.diag), -ENOEXEC);
	assert_non_null(strstr(f.diag.reason, "i386"));
	finish(&f);
}

static void strangers_are_called_by_their_name(void **state)
{
	static const struct {
		unsigned int at;
		const char *magic;
		const char *name;
	} strangers[] = {
		{ 0x38, "ARM\x64", "an arm64 Image" },
		{ 0x38, "RSC\x05", "a RISC-V Image" },
		{ 0, "\x1f\x8b", "a gzip-compressed file" },
		{ 0, "070701", "a cpio archive" },
		{ 0, "#!/bin/sh", "a script" },
		{ 0, "MZ", "an EFI or DOS program" },
		{ 0, "nothing at all", "is not a kernel" },
	};
	struct fixture f;

	start(&f, MIB(2));
	for (size_t i = 0; i < ARRAY_SIZE(strangers); i++) {
		memset(f.image, 0, IMAGE_SIZE);
		memcpy(f.image + strangers[i].at, strangers[i].magic, strlen(strangers[i].magic));
		assert_int_equal(boot(&f.files, &config, f.ram, &f.entry, &f.diag), -ENOEXEC);
		assert_non_null(strstr(f.diag.reason, strangers[i].name));
		assert_true(f.diag.remedy[0]);
	}
	finish(&f);
}

static void files_that_cannot_be_had_are_named(void **state)
{
	struct boot_config with = config;
	struct fixture f;

	start(&f, MIB(2));
	with.kernel = "elsewhere";
	assert_int_equal(boot(&f.files, &with, f.ram, &f.entry, &f.diag), -ENOENT);
	assert_string_equal(f.diag.object, "elsewhere");
	with = config;
	with.initrd = "nowhere";
	assert_int_equal(boot(&f.files, &with, f.ram, &f.entry, &f.diag), -ENOENT);
	assert_string_equal(f.diag.object, "nowhere");
	f.files.kernel_size = 0;
	assert_int_equal(boot(&f.files, &config, f.ram, &f.entry, &f.diag), -ENOEXEC);
	assert_non_null(strstr(f.diag.reason, "empty"));
	finish(&f);
}

static void a_kernel_cut_anywhere_in_its_headers_is_refused(void **state)
{
	struct fixture f;

	start(&f, RAM_SIZE);
	/* The last byte but 15 is what rounding leaves open. */
	for (uint64_t size = 0; size < IMAGE_SIZE - 15; size += size < 0x300 ? 1 : 61) {
		/* A copy of the exact size, so that reading past it shows. */
		uint8_t *copy = malloc(size ? size : 1);
		int err;

		memcpy(copy, f.image, size);
		f.files.kernel = copy;
		f.files.kernel_size = size;
		err = boot(&f.files, &config, f.ram, &f.entry, &f.diag);
		assert_in_set(err, ((uintmax_t[]){ (uintmax_t)-ENOEXEC, (uintmax_t)-ENODATA }), 2);
		assert_true(f.diag.reason[0]);
		free(copy);
	}
	finish(&f);
}

static void any_byte_of_the_header_may_lie(void **state)
{
	static const uint8_t masks[] = { 0xff, 0x80, 0x40, 0x01 };
	struct boot_config with = config;
	unsigned int nr_refused = 0;
	struct fixture f;

	with.initrd = "dir/initrd";
	start(&f, RAM_SIZE);
	for (unsigned int at = 0x1f1; at < 0x290; at++) {
		for (size_t m = 0; m < ARRAY_SIZE(masks); m++) {
			int err;

			f.image[at] ^= masks[m];
			err = boot(&f.files, &with, f.ram, &f.entry, &f.diag);
			f.image[at] ^= masks[m];
			if (err) {
				nr_refused++;
				assert_int_equal(f.diag.err, err);
				assert_true(f.diag.reason[0]);
			} else {
				assert_non_null(ram_span(f.ram, gpa(f.entry.rip), 1));
			}
		}
	}
	assert_true(nr_refused > 40);
	finish(&f);
}

static void whichever_read_fails_it_is_reported_and_all_is_closed(void **state)
{
	struct boot_config with = config;
	struct fixture f;
	int failures = 0;

	with.initrd = "dir/initrd";
	start(&f, RAM_SIZE);
	for (int at = 1;; at++) {
		int err;

		f.files.nr_calls = 0;
		f.files.fail_at = at;
		err = boot(&f.files, &with, f.ram, &f.entry, &f.diag);
		assert_int_equal(f.files.nr_open, 0);
		if (f.files.nr_calls < at)
			break;
		/* The version string is a courtesy: it may be unreadable. */
		if (!err)
			continue;
		failures++;
		assert_int_equal(f.diag.err, err);
	}
	assert_true(failures >= 6);
	finish(&f);
}

static void words_of_the_command_line_are_found_whole(void **state)
{
	assert_true(linux_cmdline_has("nokaslr", "nokaslr"));
	assert_true(linux_cmdline_has("a nokaslr b", "nokaslr"));
	assert_true(linux_cmdline_has("xnokaslr\tnokaslr", "nokaslr"));
	assert_false(linux_cmdline_has("nokaslrx", "nokaslr"));
	assert_false(linux_cmdline_has("xnokaslr", "nokaslr"));
	assert_false(linux_cmdline_has("", "nokaslr"));
	assert_true(linux_cmdline_has("quiet mem=4G", "mem="));
	assert_false(linux_cmdline_has("quiet cma_mem=4G", "mem="));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kernel_is_entered_64_bit_with_boot_params),
		cmocka_unit_test(the_memory_map_leaves_out_tables_and_devices),
		cmocka_unit_test(every_start_has_a_random_seed_of_its_own),
		cmocka_unit_test(the_first_4_gib_are_mapped_to_themselves),
		cmocka_unit_test(the_initrd_lies_at_the_top_of_memory_within_its_limit),
		cmocka_unit_test(
			an_initrd_too_large_for_low_memory_goes_above_4_gib_if_the_kernel_can),
		cmocka_unit_test(an_initrd_that_does_not_fit_is_refused_with_sizes),
		cmocka_unit_test(a_kernel_that_does_not_fit_is_refused_with_sizes),
		cmocka_unit_test(a_command_line_longer_than_the_kernel_takes_is_refused),
		cmocka_unit_test(the_version_is_told_and_nothing_unprintable_of_it),
		cmocka_unit_test(it_can_be_loaded_again_after_a_reset),
		cmocka_unit_test(a_kernel_without_a_64_bit_entry_is_called_i386),
		cmocka_unit_test(strangers_are_called_by_their_name),
		cmocka_unit_test(files_that_cannot_be_had_are_named),
		cmocka_unit_test(a_kernel_cut_anywhere_in_its_headers_is_refused),
		cmocka_unit_test(any_byte_of_the_header_may_lie),
		cmocka_unit_test(whichever_read_fails_it_is_reported_and_all_is_closed),
		cmocka_unit_test(words_of_the_command_line_are_found_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
