// SPDX-License-Identifier: GPL-2.0-or-later
/* bzImages unpacked by the host: every format, KASLR kept, and damage met. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "boot_images.h"
#include "machine/x86/linux_kaslr.h"

#ifdef AIRLOCK_GZIP
#include <zlib.h>
#endif
#ifdef AIRLOCK_XZ
#include <lzma.h>
#endif
#ifdef AIRLOCK_ZSTD
#include <zstd.h>
#endif
#ifdef AIRLOCK_LZ4
#include <lz4.h>
#endif

#define RAM_SIZE   MIB(256)
#define MAP	   0xffffffff80000000ull
#define PREF	   0x1000000ull
#define TEXT_SIZE  40000u
#define DATA_SIZE  20000u
#define DATA_PADDR (PREF + 0x200000)
/* Places in the text that are relocated. */
#define AT_32  0x100
#define AT_NEG 0x200
#define AT_64  0x300

struct fixture {
	uint8_t text[TEXT_SIZE], data[DATA_SIZE];
	uint8_t vmlinux[MIB(1)]; /* the ELF and its table */
	uint64_t elf_size, vmlinux_size;
	uint8_t *image;
	struct files files;
	struct ram *ram;
	struct boot_entry entry;
	struct diag diag;
};

static const struct boot_config config = {
	.kernel = "dir/kernel",
	.cmdline = "quiet",
	.unpack = BOOT_UNPACK_ALWAYS,
};

static void add_word(struct fixture *f, uint64_t word)
{
	le_store(f->vmlinux + f->vmlinux_size, 4, word);
	f->vmlinux_size += 4;
}

/* lists: 3 as up to 6.14, 2 as since, 0 for a kernel without KASLR. */
static void make_vmlinux(struct fixture *f, unsigned int lists)
{
	struct piece pieces[] = {
		{ PT_LOAD, MAP + PREF, PREF, TEXT_SIZE, f->text, TEXT_SIZE },
		{ PT_LOAD, MAP + DATA_PADDR, DATA_PADDR, 0x10000, f->data, DATA_SIZE },
	};
	uint32_t seed = 1;

	/* Half noise, so that it compresses, but not to nothing. */
	for (unsigned int i = 0; i < TEXT_SIZE; i++) {
		seed = seed * 1103515245 + 12345;
		f->text[i] = (uint8_t)(i % 64 < 32 ? seed >> 16 : 0);
	}
	memset(f->data, 0xd4, DATA_SIZE);
	le_store(f->text + AT_32, 4, 0x81000010);
	le_store(f->text + AT_NEG, 4, 0x1000);
	le_store(f->text + AT_64, 8, MAP + PREF + 0x20);
	memset(f->vmlinux, 0, sizeof(f->vmlinux));
	f->elf_size = make_elf(f->vmlinux, true, EM_X86_64, PREF + 0x40, pieces, 2);
	f->elf_size = align_up(f->elf_size, 8);
	/* The section headers come last in a vmlinux. */
	((Elf64_Ehdr *)(void *)f->vmlinux)->e_shoff = f->elf_size;
	((Elf64_Ehdr *)(void *)f->vmlinux)->e_shentsize = 64;
	((Elf64_Ehdr *)(void *)f->vmlinux)->e_shnum = 3;
	f->elf_size += 3 * 64;
	f->vmlinux_size = f->elf_size;
	if (!lists)
		return;
	add_word(f, 0);
	add_word(f, MAP + PREF + AT_64);
	if (lists == 3) {
		add_word(f, 0);
		add_word(f, MAP + PREF + AT_NEG);
	}
	add_word(f, 0);
	add_word(f, MAP + PREF + AT_32);
}

#define PACKED_ROOM MIB(2)

/* Packed size, or 0 where the format is not built in. */
static uint64_t pack(const char *format, const uint8_t *in, uint64_t size, uint8_t *out)
{
#ifdef AIRLOCK_GZIP
	if (!strcmp(format, "gzip")) {
		z_stream z = { 0 };

		assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, MAX_WBITS + 16, 8,
					      Z_DEFAULT_STRATEGY),
				 Z_OK);
		z.next_in = memcpy(malloc(size), in, size);
		z.avail_in = (uInt)size;
		z.next_out = out;
		z.avail_out = PACKED_ROOM;
		assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
		free(z.next_in - size);
		deflateEnd(&z);
		return PACKED_ROOM - z.avail_out;
	}
#endif
#ifdef AIRLOCK_XZ
	if (!strcmp(format, "xz")) {
		size_t at = 0;

		assert_int_equal(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC32, NULL, in, size, out,
							 &at, PACKED_ROOM),
				 LZMA_OK);
		return at;
	}
#endif
#ifdef AIRLOCK_ZSTD
	if (!strcmp(format, "zstd"))
		return ZSTD_compress(out, PACKED_ROOM, in, size, 3);
#endif
#ifdef AIRLOCK_LZ4
	if (!strcmp(format, "lz4")) {
		int len = LZ4_compress_default((const char *)in, (char *)out + 8, (int)size,
					       (int)PACKED_ROOM - 8);

		le_store(out, 4, 0x184c2102);
		le_store(out + 4, 4, (uint32_t)len);
		return (uint64_t)len + 8;
	}
#endif
	return 0;
}

/* Puts the packed vmlinux into a bzImage. False where the format is not built in. */
static bool make_image(struct fixture *f, const char *format)
{
	uint64_t packed, size;

	f->image = realloc(f->image, BZ_KERNEL + 0x400 + PACKED_ROOM);
	packed = pack(format, f->vmlinux, f->vmlinux_size, f->image + BZ_KERNEL + 0x400);
	if (!packed)
		return false;
	/* The unpacked size follows; gzip has it already. */
	if (strcmp(format, "gzip")) {
		le_store(f->image + BZ_KERNEL + 0x400 + packed, 4, f->vmlinux_size);
		packed += 4;
	}
	size = align_up(BZ_KERNEL + 0x400 + packed, 16);
	{
		uint8_t *head = malloc(size);

		make_bzimage(head, size);
		memcpy(f->image, head, BZ_KERNEL + 0x400);
		free(head);
	}
	le_store(f->image + 0x248, 4, 0x400);
	le_store(f->image + 0x24c, 4, packed);
	files_init(&f->files, f->image, size);
	return true;
}

static const char *const formats[] = { "gzip", "xz", "zstd", "lz4" };

static const char *any_format(void)
{
	uint8_t *out = malloc(PACKED_ROOM);
	const char *format = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(formats) && !format; i++)
		if (pack(formats[i], (const uint8_t *)"x", 1, out))
			format = formats[i];
	free(out);
	return format;
}

static struct fixture *start(unsigned int lists)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->ram = make_ram(RAM_SIZE);
	make_vmlinux(f, lists);
	return f;
}

static void finish(struct fixture *f)
{
	assert_int_equal(f->files.nr_open, 0);
	ram_destroy(f->ram);
	free(f->image);
	free(f);
}

static uint64_t guest(struct fixture *f, uint64_t addr, unsigned int bytes)
{
	uint8_t buf[8] = { 0 };

	assert_int_equal(ram_read(f->ram, gpa(addr), buf, bytes), 0);
	return le_load(buf, bytes);
}

static bool says_kaslr(struct fixture *f)
{
	return guest(f, LAYOUT_BOOT_PARAMS + 0x211, 1) & BIT(1);
}

static void every_format_gives_the_same_kernel(void **state)
{
	struct boot_config with = config;
	unsigned int nr = 0;

	with.cmdline = "nokaslr";
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct fixture *f = start(3);

		if (make_image(f, formats[i])) {
			nr++;
			assert_int_equal(boot(&f->files, &with, f->ram, &f->entry, &f->diag), 0);
			assert_int_equal(f->entry.mode, BOOT_MODE_LONG64);
			assert_int_equal(f->entry.rip, PREF + 0x40);
			assert_int_equal(f->entry.rsi, LAYOUT_BOOT_PARAMS);
			assert_memory_equal(ram_span(f->ram, gpa(PREF), TEXT_SIZE), f->text,
					    TEXT_SIZE);
			assert_memory_equal(ram_span(f->ram, gpa(DATA_PADDR), DATA_SIZE), f->data,
					    DATA_SIZE);
			assert_int_equal(guest(f, DATA_PADDR + DATA_SIZE, 8), 0);
			assert_false(says_kaslr(f));
		}
		finish(f);
	}
	if (!nr)
		skip();
}

static void without_nokaslr_the_kernel_is_moved_and_relocated(void **state)
{
	uint64_t places[16], deltas[16];
	bool moved = false;

	if (!any_format())
		skip();
	for (unsigned int lists = 2; lists <= 3; lists++) {
		struct fixture *f = start(lists);

		make_image(f, any_format());
		for (unsigned int i = 0; i < ARRAY_SIZE(places); i++) {
			uint64_t base;

			assert_int_equal(ram_clear(f->ram, 2), 0);
			assert_int_equal(boot(&f->files, &config, f->ram, &f->entry, &f->diag), 0);
			assert_true(says_kaslr(f));
			places[i] = base = f->entry.rip - 0x40;
			assert_int_equal(base % MIB(2), 0);
			assert_true(base >= PREF);
			deltas[i] = guest(f, base + AT_64, 8) - (MAP + PREF + 0x20);
			assert_int_equal(deltas[i] % MIB(2), 0);
			assert_true(PREF + deltas[i] + 0x400000 <= GIB(1));
			assert_int_equal(guest(f, base + AT_32, 4),
					 (uint32_t)(0x81000010 + deltas[i]));
			if (lists == 3)
				assert_int_equal(guest(f, base + AT_NEG, 4),
						 (uint32_t)(0x1000 - deltas[i]));
			/* All else is as it was. */
			assert_memory_equal(ram_span(f->ram, gpa(base + AT_64 + 8), 1000),
					    f->text + AT_64 + 8, 1000);
			if (i)
				moved |= places[i] != places[0] && deltas[i] != deltas[0];
		}
		assert_true(moved);
		finish(f);
	}
}

static void a_kernel_without_a_table_is_not_called_random(void **state)
{
	struct fixture *f;

	if (!any_format())
		skip();
	f = start(0);
	make_image(f, any_format());
	assert_int_equal(boot(&f->files, &config, f->ram, &f->entry, &f->diag), 0);
	assert_false(says_kaslr(f));
	assert_int_equal(guest(f, f->entry.rip - 0x40 + AT_64, 8), MAP + PREF + 0x20);
	finish(f);
}

static void what_would_lose_kaslr_is_left_to_the_guest(void **state)
{
	static const char *const cmdlines[] = { "mem=100M", "a memmap=1M$16M", "hugepagesz=1G" };
	struct boot_config with = config;
	struct fixture *f;

	if (!any_format())
		skip();
	f = start(3);
	make_image(f, any_format());
	for (size_t i = 0; i < ARRAY_SIZE(cmdlines); i++) {
		with.cmdline = cmdlines[i];
		with.unpack = BOOT_UNPACK_AUTO;
		assert_int_equal(boot(&f->files, &with, f->ram, &f->entry, &f->diag), 0);
		assert_int_equal(f->entry.rip, PREF + 0x200);
		with.unpack = BOOT_UNPACK_ALWAYS;
		assert_int_equal(boot(&f->files, &with, f->ram, &f->entry, &f->diag), -EOPNOTSUPP);
		assert_non_null(strstr(f->diag.reason, "command line"));
	}
	/* A table of another form: one list too many, or none that ends at its beginning. */
	for (int i = 0; i < 2; i++) {
		make_vmlinux(f, 3);
		if (i)
			add_word(f, 0);
		else
			le_store(f->vmlinux + f->elf_size, 4, MAP + PREF);
		make_image(f, any_format());
		with = config;
		assert_int_equal(boot(&f->files, &with, f->ram, &f->entry, &f->diag), -EOPNOTSUPP);
		assert_non_null(strstr(f->diag.reason, "relocations"));
		with.unpack = BOOT_UNPACK_AUTO;
		assert_int_equal(ram_clear(f->ram, 2), 0);
		assert_int_equal(boot(&f->files, &with, f->ram, &f->entry, &f->diag), 0);
		assert_int_equal(f->entry.rip, PREF + 0x200);
		/* Nothing of the attempt is left, wherever it was. */
		for (uint64_t at = PREF; at < RAM_SIZE; at += MIB(2))
			assert_true(guest(f, at, 8) != 0xd4d4d4d4d4d4d4d4);
	}
	finish(f);
}

static void never_means_never(void **state)
{
	struct boot_config with = config;
	struct fixture *f;

	if (!any_format())
		skip();
	f = start(3);
	make_image(f, any_format());
	with.unpack = BOOT_UNPACK_NEVER;
	assert_int_equal(boot(&f->files, &with, f->ram, &f->entry, &f->diag), 0);
	assert_int_equal(f->entry.rip, PREF + 0x200);
	finish(f);
}

static void an_initrd_keeps_its_place_beside_a_moved_kernel(void **state)
{
	struct boot_config with = config;
	struct fixture *f;

	if (!any_format())
		skip();
	f = start(3);
	make_image(f, any_format());
	with.initrd = "dir/initrd";
	/* So large that only a few places remain. */
	f->files.initrd_size = RAM_SIZE - PREF - MIB(12);
	for (int i = 0; i < 20; i++) {
		uint64_t initrd;

		assert_int_equal(boot(&f->files, &with, f->ram, &f->entry, &f->diag), 0);
		initrd = guest(f, LAYOUT_BOOT_PARAMS + 0x218, 4);
		assert_true(f->entry.rip - 0x40 + 0x400000 <= initrd);
	}
	finish(f);
}

static void damage_anywhere_in_the_payload_is_met(void **state)
{
	struct boot_config with = config;

	with.cmdline = "nokaslr";
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct fixture *f = start(3);
		uint64_t payload, size;

		if (!make_image(f, formats[i])) {
			finish(f);
			continue;
		}
		payload = BZ_KERNEL + 0x400;
		size = le_load(f->image + 0x24c, 4);
		for (uint64_t at = 0; at < size; at += at < 64 || at + 64 > size ? 1 : 997) {
			int err;

			f->image[payload + at] ^= 0x41;
			err = boot(&f->files, &with, f->ram, &f->entry, &f->diag);
			f->image[payload + at] ^= 0x41;
			/* lz4 has no checksum: a byte may pass, an address may not. */
			assert_true(!err || err == -EOPNOTSUPP);
			if (!err)
				assert_non_null(ram_span(f->ram, gpa(f->entry.rip), 1));
		}
		/* Cut short. */
		for (uint64_t cut = 1; cut < size; cut += cut < 20 ? 1 : size / 20) {
			le_store(f->image + 0x24c, 4, size - cut);
			assert_true(boot(&f->files, &with, f->ram, &f->entry, &f->diag) != 0);
		}
		finish(f);
	}
}

static void headers_of_the_kernel_inside_may_lie_too(void **state)
{
	static const uint8_t masks[] = { 0xff, 0x80, 0x01 };
	struct boot_config with = config;
	struct fixture *f;

	if (!any_format())
		skip();
	with.cmdline = "nokaslr";
	f = start(3);
	for (uint64_t at = 0; at < sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr); at++) {
		for (size_t m = 0; m < ARRAY_SIZE(masks); m++) {
			int err;

			f->vmlinux[at] ^= masks[m];
			make_image(f, any_format());
			f->vmlinux[at] ^= masks[m];
			err = boot(&f->files, &with, f->ram, &f->entry, &f->diag);
			assert_true(!err || err == -EOPNOTSUPP || err == -ENOMEM);
			assert_int_equal(f->diag.err, err);
		}
	}
	finish(f);
}

#ifdef AIRLOCK_LZ4
#define BIG_SIZE  MIB(27)
#define BIG_TEXT  MIB(20)
#define LZ4_BLOCK MIB(8)

/* Blocks of 8 MiB that end anywhere: within a segment, between two, in the table. */
static void a_large_lz4_kernel_comes_in_blocks(void **state)
{
	struct boot_config with = config;
	uint8_t *text = malloc(BIG_TEXT), *vmlinux = malloc(BIG_SIZE + MIB(1));
	struct piece pieces[] = {
		{ PT_LOAD, MAP + PREF, PREF, BIG_TEXT, text, BIG_TEXT },
		{ PT_LOAD, MAP + PREF + MIB(24), PREF + MIB(24), MIB(5), text + 12345, MIB(5) },
	};
	uint64_t size, at = BZ_KERNEL + 0x400 + 4;
	struct fixture *f = start(0);

	with.cmdline = "nokaslr";
	for (uint64_t i = 0; i < BIG_TEXT; i += 4)
		le_store(text + i, 4, i * 2654435761u >> 7 & 0xffffff);
	size = make_elf(vmlinux, true, EM_X86_64, PREF, pieces, 2);
	f->image = calloc(1, at + 2 * BIG_SIZE);
	le_store(f->image + at - 4, 4, 0x184c2102);
	for (uint64_t in = 0; in < size; in += LZ4_BLOCK) {
		int len =
			LZ4_compress_default((const char *)vmlinux + in, (char *)f->image + at + 4,
					     (int)min_u64(LZ4_BLOCK, size - in), (int)BIG_SIZE);

		assert_true(len > 0);
		le_store(f->image + at, 4, (uint32_t)len);
		at += 4 + (uint32_t)len;
	}
	le_store(f->image + at, 4, size);
	at = align_up(at + 4, 16);
	{
		uint8_t *head = malloc(at);

		make_bzimage(head, at);
		memcpy(f->image, head, BZ_KERNEL + 0x400);
		free(head);
	}
	le_store(f->image + 0x248, 4, 0x400);
	le_store(f->image + 0x24c, 4, at - BZ_KERNEL - 0x400);
	le_store(f->image + 0x260, 4, MIB(64));
	files_init(&f->files, f->image, at);
	/* The unpacked size is the payload's last word: padding would hide it. */
	le_store(f->image + at - 4, 4, size);
	assert_int_equal(boot(&f->files, &with, f->ram, &f->entry, &f->diag), 0);
	assert_memory_equal(ram_span(f->ram, gpa(PREF), BIG_TEXT), text, BIG_TEXT);
	assert_memory_equal(ram_span(f->ram, gpa(PREF + MIB(24)), MIB(5)), text + 12345, MIB(5));
	free(vmlinux);
	free(text);
	finish(f);
}
#endif

static const struct linux_header header = {
	.pref_address = PREF,
	.init_size = 0x400000,
	.alignment = MIB(2),
	.relocatable = true,
	.above_4g = true,
	.initrd_last = 0x7fffffff,
};

static void every_place_is_chosen_and_lies_in_ram(void **state)
{
	struct ram *ram = make_ram(GIB(3) + MIB(64));
	uint64_t random[2] = { 0 };
	bool high = false, last = false;
	/* Low memory from 16 MiB, high memory from 4 GiB. */
	uint64_t nr_low = (RAM_HOLE - PREF - 0x400000) / MIB(2) + 1;
	uint64_t nr_high = (MIB(64) - 0x400000) / MIB(2) + 1;

	for (random[0] = 0; random[0] < nr_low + nr_high; random[0]++) {
		struct linux_place place;

		random[1] = random[0] * 7;
		assert_int_equal(linux_kaslr_choose(&header, ram, 0, random, &place), 0);
		assert_non_null(ram_span(ram, gpa(place.paddr), header.init_size));
		assert_int_equal(place.paddr % MIB(2), 0);
		high |= place.paddr >= GIB(4);
		last |= place.paddr == RAM_HOLE - 0x400000;
	}
	assert_true(high);
	assert_true(last);
	ram_destroy(ram);
}

static void a_kernel_above_4_gib_is_mapped_for_its_first_steps(void **state)
{
	struct boot_config with = config;
	struct fixture *f;
	bool seen = false;

	if (!any_format())
		skip();
	f = start(3);
	ram_destroy(f->ram);
	f->ram = make_ram(GIB(40));
	make_image(f, any_format());
	for (int i = 0; i < 20; i++) {
		uint64_t table, at;

		assert_int_equal(boot(&f->files, &with, f->ram, &f->entry, &f->diag), 0);
		at = f->entry.rip;
		seen |= at >= GIB(4);
		table = f->entry.page_tables.v;
		for (unsigned int shift = 39; shift > 21; shift -= 9) {
			table = guest(f, table + (at >> shift & 511) * 8, 8);
			assert_true(table & 1);
			table &= ~0xfffull;
		}
		assert_int_equal(guest(f, table + (at >> 21 & 511) * 8, 8),
				 align_down(at, MIB(2)) | 0x83);
	}
	assert_true(seen);
	finish(f);
}

static void a_place_outside_the_kernel_is_never_relocated(void **state)
{
	static const uint64_t bad[] = { MAP + PREF - 1, MAP + PREF + 0x400000 - 3, MAP, 1,
					MAP + PREF + 0x3ffffd };
	uint8_t *base = calloc(1, 0x400000);
	uint8_t table[16];
	const char *why;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		memset(table, 0, sizeof(table));
		le_store(table + 8, 4, MAP + PREF);
		le_store(table + 12, 4, bad[i]);
		assert_int_equal(linux_kaslr_relocate(base, &header, table, 16, MIB(2), &why),
				 -EAGAIN);
		assert_int_equal(le_load(base, 8), 0);
	}
	/* The last place of all. */
	le_store(table + 12, 4, MAP + PREF + 0x400000 - 4);
	assert_int_equal(linux_kaslr_relocate(base, &header, table, 16, MIB(2), &why), 0);
	assert_int_equal(le_load(base + 0x400000 - 4, 4), MIB(2));
	free(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_format_gives_the_same_kernel),
		cmocka_unit_test(without_nokaslr_the_kernel_is_moved_and_relocated),
		cmocka_unit_test(a_kernel_without_a_table_is_not_called_random),
		cmocka_unit_test(what_would_lose_kaslr_is_left_to_the_guest),
		cmocka_unit_test(never_means_never),
		cmocka_unit_test(an_initrd_keeps_its_place_beside_a_moved_kernel),
		cmocka_unit_test(damage_anywhere_in_the_payload_is_met),
		cmocka_unit_test(headers_of_the_kernel_inside_may_lie_too),
#ifdef AIRLOCK_LZ4
		cmocka_unit_test(a_large_lz4_kernel_comes_in_blocks),
#endif
		cmocka_unit_test(every_place_is_chosen_and_lies_in_ram),
		cmocka_unit_test(a_kernel_above_4_gib_is_mapped_for_its_first_steps),
		cmocka_unit_test(a_place_outside_the_kernel_is_never_relocated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
