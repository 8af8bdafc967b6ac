// SPDX-License-Identifier: GPL-2.0-or-later
/* ELF kernels: by their PVH note, or as a vmlinux. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "boot_images.h"

#define IMAGE_ROOM 16384
#define RAM_SIZE   MIB(64)
#define INFO	   LAYOUT_START_INFO

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

static void make_pvh(struct fixture *f, bool is_64)
{
	struct pvh_note note = make_note(0x200010);
	struct piece pieces[] = {
		{ PT_LOAD, 0x200000, 0x200000, 0x8000, f->text, sizeof(f->text) },
		{ PT_NOTE, 0x200100, 0x200100, sizeof(note), &note, sizeof(note) },
	};

	f->files.kernel_size =
		make_elf(f->image, is_64, is_64 ? EM_X86_64 : EM_386, 0x200000, pieces, 2);
}

static void make_vmlinux(struct fixture *f)
{
	struct piece pieces[] = {
		{ PT_LOAD, 0xffffffff81000000, 0x1000000, 0x8000, f->text, sizeof(f->text) },
		{ PT_LOAD, 0xffffffff81200000, 0x1200000, 0x1000, f->text, 100 },
	};

	f->files.kernel_size = make_elf(f->image, true, EM_X86_64, 0x1000000, pieces, 2);
}

static void a_pvh_note_is_followed_in_either_class(void **state)
{
	struct fixture f;

	for (int is_64 = 0; is_64 < 2; is_64++) {
		start(&f);
		make_pvh(&f, is_64);
		assert_int_equal(boot(&f.files, &config, f.ram, &f.entry, &f.diag), 0);
		assert_int_equal(f.entry.mode, BOOT_MODE_PROTECTED32);
		assert_int_equal(f.entry.rip, 0x200010);
		assert_int_equal(f.entry.rbx, INFO);
		assert_int_equal(guest(&f, 0x200000, 4), 0x90909090);
		assert_int_equal(guest(&f, INFO, 4), 0x336ec578);
		assert_int_equal(guest(&f, INFO + 4, 4), 1);
		assert_int_equal(guest(&f, INFO + 12, 4), 0);
		assert_int_equal(guest(&f, INFO + 32, 8), LAYOUT_ACPI);
		assert_string_equal(ram_span(f.ram, gpa(guest(&f, INFO + 24, 8)), 16), "one two");
		finish(&f);
	}
}

static void the_start_info_has_the_memory_map_and_the_initrd_as_a_module(void **state)
{
	struct boot_config with = config;
	struct fixture f;
	uint64_t map, module;

	with.initrd = "dir/initrd";
	start(&f);
	make_pvh(&f, true);
	assert_int_equal(boot(&f.files, &with, f.ram, &f.entry, &f.diag), 0);
	map = guest(&f, INFO + 40, 8);
	assert_int_equal(guest(&f, INFO + 48, 4), 5);
	assert_int_equal(guest(&f, map, 8), 0);
	assert_int_equal(guest(&f, map + 8, 8), LAYOUT_LOW_RAM_END);
	assert_int_equal(guest(&f, map + 16, 4), 1);
	assert_int_equal(guest(&f, map + 3 * 24, 8), MIB(1));
	assert_int_equal(guest(&f, map + 3 * 24 + 8, 8), RAM_SIZE - MIB(1));
	assert_int_equal(guest(&f, INFO + 12, 4), 1);
	module = guest(&f, INFO + 16, 8);
	/* Right behind the kernel's last page. */
	assert_int_equal(guest(&f, module, 8), 0x208000);
	assert_int_equal(guest(&f, module + 8, 8), sizeof(f.initrd));
	assert_memory_equal(ram_span(f.ram, gpa(0x208000), sizeof(f.initrd)), f.initrd,
			    sizeof(f.initrd));
	finish(&f);
}

static void a_vmlinux_is_entered_64_bit_at_its_physical_address(void **state)
{
	struct fixture f;

	start(&f);
	make_vmlinux(&f);
	assert_int_equal(boot(&f.files, &config, f.ram, &f.entry, &f.diag), 0);
	assert_int_equal(f.entry.mode, BOOT_MODE_LONG64);
	assert_int_equal(f.entry.rip, 0x1000000);
	assert_int_equal(f.entry.rsi, LAYOUT_BOOT_PARAMS);
	assert_int_equal(guest(&f, 0x1200060, 4), 0x90909090);
	assert_int_equal(guest(&f, 0x1200064, 4), 0);
	assert_int_equal(guest(&f, LAYOUT_BOOT_PARAMS + 0x202, 4), 0x53726448);
	assert_int_equal(guest(&f, LAYOUT_BOOT_PARAMS + 0x228, 4), LAYOUT_CMDLINE);

	/* An entry given as a virtual address means the same place. */
	((Elf64_Ehdr *)(void *)f.image)->e_entry = 0xffffffff81000010;
	assert_int_equal(boot(&f.files, &config, f.ram, &f.entry, &f.diag), 0);
	assert_int_equal(f.entry.rip, 0x1000010);
	finish(&f);
}

static void elfs_of_other_machines_are_called_by_their_name(void **state)
{
	static const struct {
		uint16_t machine;
		bool is_64;
		const char *name;
	} others[] = {
		{ EM_AARCH64, true, "an ELF for arm64" },
		{ EM_RISCV, true, "an ELF for RISC-V" },
		{ EM_PPC64, true, "an ELF for PowerPC 64" },
		{ 9999, true, "an ELF for another machine" },
		{ EM_386, false, "an i386 ELF" },
	};
	struct fixture f;

	start(&f);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		struct piece piece = { PT_LOAD, 0x200000, 0x200000, 0x1000, f.text, 100 };

		f.files.kernel_size =
			make_elf(f.image, others[i].is_64, others[i].machine, 0x200000, &piece, 1);
		assert_int_equal(boot(&f.files, &config, f.ram, &f.entry, &f.diag), -ENOEXEC);
		assert_non_null(strstr(f.diag.reason, others[i].name));
	}
	finish(&f);
}

static void a_segment_goes_only_where_there_is_ram_for_it(void **state)
{
	static const struct {
		uint64_t paddr, size;
		int err;
	} places[] = {
		{ 0x7000, 0x1000, -ENOEXEC },		/* onto the boot information */
		{ RAM_SIZE - 0x1000, 0x1000, 0 },	/* the last page */
		{ RAM_SIZE - 0x1000, 0x1001, -ENOMEM }, /* one byte beyond */
		{ 0xe0000000, 0x1000, -ENOMEM },	/* devices */
		{ GIB(1), 0x1000, -ENOMEM },
		{ UINT64_MAX - 0x500, 0x1000, -ENOEXEC }, /* wraps */
		{ MIB(2), UINT64_MAX - MIB(4), -ENOMEM },
		{ MIB(2), 99, -ENOEXEC }, /* less than the file brings */
	};
	struct fixture f;

	start(&f);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		struct piece piece = { PT_LOAD, 0, places[i].paddr, places[i].size, f.text, 100 };
		int err;

		f.files.kernel_size =
			make_elf(f.image, true, EM_X86_64, places[i].paddr, &piece, 1);
		err = boot(&f.files, &config, f.ram, &f.entry, &f.diag);
		assert_int_equal(err, places[i].err);
		assert_int_equal(f.diag.err, err);
	}
	finish(&f);
}

static void damaged_notes_are_passed_over_and_never_read_past(void **state)
{
	static const uint32_t sizes[] = { 0, 3, 5, 0x7fffffff, 0xfffffffc, 0xffffffff };
	struct fixture f;

	start(&f);
	for (size_t i = 0; i < ARRAY_SIZE(sizes) * 2; i++) {
		struct pvh_note note = make_note(0x200010);
		struct piece pieces[] = {
			{ PT_LOAD, 0x200000, 0x200000, 0x8000, f.text, sizeof(f.text) },
			{ PT_NOTE, 0, 0, sizeof(note), &note, sizeof(note) },
		};

		if (i % 2)
			note.name_size = sizes[i / 2];
		else
			note.desc_size = sizes[i / 2];
		f.files.kernel_size = make_elf(f.image, true, EM_X86_64, 0x200000, pieces, 2);
		/* Without a note it is a vmlinux. */
		assert_int_equal(boot(&f.files, &config, f.ram, &f.entry, &f.diag), 0);
		assert_int_equal(f.entry.mode, BOOT_MODE_LONG64);
	}
	finish(&f);
}

static void an_elf_cut_anywhere_is_refused(void **state)
{
	struct fixture f;

	start(&f);
	for (int pvh = 0; pvh < 2; pvh++) {
		uint64_t whole;

		if (pvh)
			make_pvh(&f, true);
		else
			make_vmlinux(&f);
		whole = f.files.kernel_size;
		for (uint64_t size = 0; size < whole; size += size < 200 ? 1 : 17) {
			uint8_t *copy = malloc(size ? size : 1);
			int err;

			memcpy(copy, f.image, size);
			f.files.kernel = copy;
			f.files.kernel_size = size;
			err = boot(&f.files, &config, f.ram, &f.entry, &f.diag);
			assert_int_equal(err, -ENOEXEC);
			assert_true(f.diag.reason[0]);
			free(copy);
		}
		f.files.kernel = f.image;
	}
	finish(&f);
}

static void any_byte_of_an_elfs_headers_may_lie(void **state)
{
	static const uint8_t masks[] = { 0xff, 0x80, 0x40, 0x01 };
	struct boot_config with = config;
	unsigned int nr_refused = 0;
	struct fixture f;

	with.initrd = "dir/initrd";
	start(&f);
	for (int kind = 0; kind < 3; kind++) {
		uint64_t headers = sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr);

		if (kind == 2)
			make_vmlinux(&f);
		else
			make_pvh(&f, kind);
		for (uint64_t at = 0; at < headers; at++) {
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
	assert_true(nr_refused > 200);
	finish(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pvh_note_is_followed_in_either_class),
		cmocka_unit_test(the_start_info_has_the_memory_map_and_the_initrd_as_a_module),
		cmocka_unit_test(a_vmlinux_is_entered_64_bit_at_its_physical_address),
		cmocka_unit_test(elfs_of_other_machines_are_called_by_their_name),
		cmocka_unit_test(a_segment_goes_only_where_there_is_ram_for_it),
		cmocka_unit_test(damaged_notes_are_passed_over_and_never_read_past),
		cmocka_unit_test(an_elf_cut_anywhere_is_refused),
		cmocka_unit_test(any_byte_of_an_elfs_headers_may_lie),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
