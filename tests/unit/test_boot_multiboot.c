// SPDX-License-Identifier: GPL-2.0-or-later
/* Multiboot 1 images, ELF and raw, whole and damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "boot_images.h"

#define IMAGE_ROOM 16384
#define RAM_SIZE   MIB(64)
#define INFO	   LAYOUT_START_INFO
#define HEADER_AT  16 /* in the code, and so in the raw image */

static const struct boot_config config = { .kernel = "dir/kernel", .cmdline = "one two" };

struct fixture {
	uint8_t image[IMAGE_ROOM];
	uint8_t text[1000];
	uint8_t initrd[5000];
	struct files files;
	struct ram *ram;
	struct boot_entry entry;
	struct diag diag;
};

static void start(struct fixture *f)
{
	memset(f->text, 0x90, sizeof(f->text));
	memset(f->initrd, 0xa5, sizeof(f->initrd));
	files_init(&f->files, f->image, 0);
	f->files.initrd = f->initrd;
	f->files.initrd_size = sizeof(f->initrd);
	f->ram = make_ram(RAM_SIZE);
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

static void put_header(uint8_t *at, uint32_t flags)
{
	le_store(at, 4, 0x1badb002);
	le_store(at + 4, 4, flags);
	le_store(at + 8, 4, (uint32_t) - (0x1badb002 + flags));
}

static void make_elf32(struct fixture *f, uint32_t flags)
{
	struct piece piece = { PT_LOAD, 0xc0100000, 0x100000, 0x8000, f->text, sizeof(f->text) };

	put_header(f->text + HEADER_AT, flags);
	f->files.kernel_size = make_elf(f->image, false, EM_386, 0x100040, &piece, 1);
}

/* 1000 bytes at 2 MiB, with the file's first 8 bytes left out, and a bss. */
static void make_raw(struct fixture *f)
{
	uint8_t *header = f->image + 8 + HEADER_AT;

	memcpy(f->image + 8, f->text, sizeof(f->text));
	put_header(header, BIT(16) | 3);
	le_store(header + 12, 4, 0x200000 + HEADER_AT);
	le_store(header + 16, 4, 0x200000);
	le_store(header + 20, 4, 0x200000 + 1000);
	le_store(header + 24, 4, 0x204000);
	le_store(header + 28, 4, 0x200030);
	f->files.kernel_size = 8 + sizeof(f->text);
}

static void an_elf_is_entered_32_bit_with_multiboot_information(void **state)
{
	struct fixture f;
	uint64_t map;

	start(&f);
	make_elf32(&f, 3);
	assert_int_equal(boot(&f.files, &config, f.ram, &f.entry, &f.diag), 0);
	assert_int_equal(f.entry.mode, BOOT_MODE_PROTECTED32);
	assert_int_equal(f.entry.rip, 0x100040);
	assert_int_equal(f.entry.rax, 0x2badb002);
	assert_int_equal(f.entry.rbx, INFO);
	assert_int_equal(guest(&f, 0x100000 + HEADER_AT, 4), 0x1badb002);
	/* Memory, command line, map and the loader's name; no modules. */
	assert_int_equal(guest(&f, INFO, 4), BIT(0) | BIT(2) | BIT(6) | BIT(9));
	assert_int_equal(guest(&f, INFO + 4, 4), 639);
	assert_int_equal(guest(&f, INFO + 8, 4), (RAM_SIZE - MIB(1)) >> 10);
	assert_string_equal(ram_span(f.ram, gpa(guest(&f, INFO + 16, 4)), 32), "kernel one two");
	assert_int_equal(guest(&f, INFO + 44, 4), 5 * 24);
	map = guest(&f, INFO + 48, 4);
	assert_int_equal(guest(&f, map, 4), 20);
	assert_int_equal(guest(&f, map + 3 * 24 + 4, 8), MIB(1));
	assert_int_equal(guest(&f, map + 3 * 24 + 12, 8), RAM_SIZE - MIB(1));
	assert_int_equal(guest(&f, map + 3 * 24 + 20, 4), 1);
	assert_string_equal(ram_span(f.ram, gpa(guest(&f, INFO + 64, 4)), 16), "airlock");
	finish(&f);
}

static void an_entry_in_virtual_addresses_becomes_physical(void **state)
{
	struct fixture f;

	start(&f);
	make_elf32(&f, 0);
	((Elf32_Ehdr *)(void *)f.image)->e_entry = 0xc0100040;
	assert_int_equal(boot(&f.files, &config, f.ram, &f.entry, &f.diag), 0);
	assert_int_equal(f.entry.rip, 0x100040);
	finish(&f);
}

static void the_initrd_is_module_0_behind_the_kernel(void **state)
{
	struct boot_config with = config;
	struct fixture f;
	uint64_t module;

	with.initrd = "dir/initrd";
	start(&f);
	make_elf32(&f, 1);
	assert_int_equal(boot(&f.files, &with, f.ram, &f.entry, &f.diag), 0);
	assert_true(guest(&f, INFO, 4) & BIT(3));
	assert_int_equal(guest(&f, INFO + 20, 4), 1);
	module = guest(&f, INFO + 24, 4);
	assert_int_equal(guest(&f, module, 4), 0x108000);
	assert_int_equal(guest(&f, module + 4, 4), 0x108000 + sizeof(f.initrd));
	assert_string_equal(ram_span(f.ram, gpa(guest(&f, module + 8, 4)), 16), "initrd");
	assert_memory_equal(ram_span(f.ram, gpa(0x108000), sizeof(f.initrd)), f.initrd,
			    sizeof(f.initrd));
	finish(&f);
}

static void a_raw_image_goes_where_its_header_says(void **state)
{
	struct boot_config with = config;
	struct fixture f;

	with.initrd = "dir/initrd";
	start(&f);
	make_raw(&f);
	assert_int_equal(boot(&f.files, &with, f.ram, &f.entry, &f.diag), 0);
	assert_int_equal(f.entry.rip, 0x200030);
	assert_memory_equal(ram_span(f.ram, gpa(0x200000), 1000), f.image + 8, 1000);
	assert_int_equal(guest(&f, 0x200000 + 1000, 4), 0);
	/* The module starts where the bss ends. */
	assert_int_equal(guest(&f, guest(&f, INFO + 24, 4), 4), 0x204000);

	/* No end given: all of the file. */
	le_store(f.image + 8 + HEADER_AT + 20, 4, 0);
	le_store(f.image + 8 + HEADER_AT + 24, 4, 0);
	assert_int_equal(boot(&f.files, &with, f.ram, &f.entry, &f.diag), 0);
	assert_int_equal(guest(&f, guest(&f, INFO + 24, 4), 4), 0x201000);
	finish(&f);
}

static void raw_addresses_that_do_not_fit_are_refused(void **state)
{
	static const struct {
		unsigned int field; /* from the header */
		uint32_t value;
		int err;
	} bad[] = {
		{ 12, 0x100000, -ENOEXEC },	   /* header before load address */
		{ 12, 0x200000 + 4000, -ENOEXEC }, /* load address before the file */
		{ 20, 0x100000, -ENOEXEC },	   /* ends before it begins */
		{ 20, 0x200000 + 1001, -ENODATA }, /* ends behind the file */
		{ 24, 0xfffffff0, -ENOMEM },	   /* a bss as large as the world */
		{ 28, 0x100000, -ENOEXEC },	   /* entry outside */
		{ 28, 0x204000, -ENOEXEC },
	};
	struct fixture f;

	start(&f);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		make_raw(&f);
		le_store(f.image + 8 + HEADER_AT + bad[i].field, 4, bad[i].value);
		assert_int_equal(boot(&f.files, &config, f.ram, &f.entry, &f.diag), bad[i].err);
		assert_int_equal(f.diag.err, bad[i].err);
	}
	/* Load address below 1 MiB, with everything else fitting. */
	make_raw(&f);
	le_store(f.image + 8 + HEADER_AT + 12, 4, 0x7000 + HEADER_AT);
	le_store(f.image + 8 + HEADER_AT + 16, 4, 0x7000);
	le_store(f.image + 8 + HEADER_AT + 20, 4, 0x7000 + 1000);
	le_store(f.image + 8 + HEADER_AT + 28, 4, 0x7000);
	assert_int_equal(boot(&f.files, &config, f.ram, &f.entry, &f.diag), -ENOEXEC);
	assert_non_null(strstr(f.diag.reason, "below 1 MiB"));
	finish(&f);
}

static void a_feature_that_does_not_exist_is_refused(void **state)
{
	struct fixture f;

	start(&f);
	make_elf32(&f, BIT(5));
	assert_int_equal(boot(&f.files, &config, f.ram, &f.entry, &f.diag), -ENOEXEC);
	assert_non_null(strstr(f.diag.reason, "0x20"));
	/* Optional features are. */
	make_elf32(&f, BIT(17));
	assert_int_equal(boot(&f.files, &config, f.ram, &f.entry, &f.diag), 0);
	finish(&f);
}

static void a_header_without_its_checksum_or_too_far_behind_is_none(void **state)
{
	struct fixture f;

	start(&f);
	make_elf32(&f, 3);
	f.image[f.files.kernel_size - sizeof(f.text) + HEADER_AT + 8] ^= 1;
	assert_int_equal(boot(&f.files, &config, f.ram, &f.entry, &f.diag), -ENOEXEC);
	assert_non_null(strstr(f.diag.reason, "neither a Multiboot header"));

	memset(f.image, 0, IMAGE_ROOM);
	put_header(f.image + 8192 - 8, 3);
	f.files.kernel_size = IMAGE_ROOM;
	assert_int_equal(boot(&f.files, &config, f.ram, &f.entry, &f.diag), -ENOEXEC);
	assert_string_equal(f.diag.reason, "is not a kernel");
	finish(&f);
}

static void an_image_cut_anywhere_is_refused(void **state)
{
	struct fixture f;

	start(&f);
	for (int raw = 0; raw < 2; raw++) {
		uint64_t whole;

		if (raw)
			make_raw(&f);
		else
			make_elf32(&f, 3);
		whole = f.files.kernel_size;
		for (uint64_t size = 0; size < whole; size++) {
			uint8_t *copy = malloc(size ? size : 1);
			int err;

			memcpy(copy, f.image, size);
			f.files.kernel = copy;
			f.files.kernel_size = size;
			err = boot(&f.files, &config, f.ram, &f.entry, &f.diag);
			assert_true(err == -ENOEXEC || err == -ENODATA);
			assert_true(f.diag.reason[0]);
			free(copy);
		}
		f.files.kernel = f.image;
	}
	finish(&f);
}

static void any_byte_of_the_headers_may_lie(void **state)
{
	static const uint8_t masks[] = { 0xff, 0x80, 0x40, 0x01 };
	struct boot_config with = config;
	unsigned int nr_refused = 0;
	struct fixture f;

	with.initrd = "dir/initrd";
	start(&f);
	for (int raw = 0; raw < 2; raw++) {
		if (raw)
			make_raw(&f);
		else
			make_elf32(&f, 3);
		for (uint64_t at = 0; at < 150; at++) {
			for (size_t m = 0; m < ARRAY_SIZE(masks); m++) {
				int err;

				f.image[at] ^= masks[m];
				err = boot(&f.files, &with, f.ram, &f.entry, &f.diag);
				f.image[at] ^= masks[m];
				if (err)
					nr_refused++;
				assert_int_equal(f.diag.err, err);
				if (!err)
					assert_non_null(ram_span(f.ram, gpa(f.entry.rip), 1));
			}
		}
	}
	assert_true(nr_refused > 100);
	finish(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_elf_is_entered_32_bit_with_multiboot_information),
		cmocka_unit_test(an_entry_in_virtual_addresses_becomes_physical),
		cmocka_unit_test(the_initrd_is_module_0_behind_the_kernel),
		cmocka_unit_test(a_raw_image_goes_where_its_header_says),
		cmocka_unit_test(raw_addresses_that_do_not_fit_are_refused),
		cmocka_unit_test(a_feature_that_does_not_exist_is_refused),
		cmocka_unit_test(a_header_without_its_checksum_or_too_far_behind_is_none),
		cmocka_unit_test(an_image_cut_anywhere_is_refused),
		cmocka_unit_test(any_byte_of_the_headers_may_lie),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
