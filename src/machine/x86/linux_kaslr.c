// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/x86/linux_kaslr.h"

#include <errno.h>

#include "base/endian.h"

/* arch/x86/include/asm/page_64_types.h: where the kernel maps itself, and how much of it. */
#define KERNEL_MAP	0xffffffff80000000ull
#define KERNEL_MAP_SIZE GIB(1)

/* Beyond this a kernel with four-level paging has no memory. */
#define PADDR_LAST ((1ull << 46) - 1)

/* Aligned starts of a kernel in [first, last]. */
static uint64_t count_slots(const struct linux_header *header, struct range room, uint64_t *first)
{
	*first = align_up(room.first, header->alignment);
	if (*first < room.first || *first > room.last || header->init_size - 1 > room.last - *first)
		return 0;
	return (room.last - *first - (header->init_size - 1)) / header->alignment + 1;
}

int linux_kaslr_choose(const struct linux_header *header, const struct ram *ram,
		       uint64_t initrd_size, const uint64_t random[2], struct linux_place *place)
{
	struct range low = { header->pref_address, ram->regions[0].gpa.last };
	struct range high = { 0 };
	uint64_t low_first, high_first = 0, nr_low, nr_high = 0, nr_virt, slot;
	uint64_t initrd = initrd_size ? align_up(initrd_size, PAGE_SIZE) + PAGE_SIZE : 0;
	uint64_t initrd_last = header->above_4g ? low.last : min_u64(low.last, header->initrd_last);

	/* The initrd goes as high as it can: keep that free. */
	if (initrd && initrd_last > low.first && initrd < initrd_last - low.first &&
	    initrd_last - initrd - low.first >= header->init_size)
		low.last = initrd_last - initrd;
	nr_low = count_slots(header, low, &low_first);
	if (header->above_4g && ram->nr_regions > 1) {
		high = ram->regions[1].gpa;
		high.last = min_u64(high.last, PADDR_LAST);
		if (initrd && low.last == ram->regions[0].gpa.last) {
			if (initrd > high.last - high.first)
				return -EAGAIN;
			high.last -= initrd;
		}
		nr_high = count_slots(header, high, &high_first);
	}
	if (!nr_low && !nr_high)
		return -EAGAIN;
	slot = random[0] % (nr_low + nr_high);
	if (slot < nr_low)
		place->paddr = low_first + slot * header->alignment;
	else
		place->paddr = high_first + (slot - nr_low) * header->alignment;

	if (header->pref_address + header->init_size > KERNEL_MAP_SIZE)
		return -EAGAIN;
	nr_virt = (KERNEL_MAP_SIZE - header->pref_address - header->init_size) / header->alignment +
		  1;
	place->virt_delta = random[1] % nr_virt * header->alignment;
	return 0;
}

/* What is at the places of a list, and how it moves. */
enum reloc_kind { RELOC_32, RELOC_32_NEGATIVE, RELOC_64 };

struct reloc_table {
	const uint8_t *words;
	uint64_t nr;
	uint8_t *base;
	uint64_t base_vaddr; /* of what lies at base, before the move */
	uint64_t size;	     /* of the kernel */
	uint64_t delta;
};

static uint32_t reloc_word(const struct reloc_table *t, uint64_t i)
{
	return (uint32_t)le_load(t->words + i * 4, 4);
}

/* The place word i names, or NULL when it is outside the kernel. */
static uint8_t *reloc_place(const struct reloc_table *t, uint64_t i, enum reloc_kind kind)
{
	uint64_t vaddr = (uint64_t)(int64_t)(int32_t)reloc_word(t, i);
	uint64_t at = vaddr - t->base_vaddr;

	if (vaddr < t->base_vaddr || at > t->size - (kind == RELOC_64 ? 8 : 4))
		return NULL;
	return t->base + at;
}

/* Checks, or moves, the list that ends before word *end; leaves *end before its terminator. */
static bool reloc_list(const struct reloc_table *t, uint64_t *end, enum reloc_kind kind, bool move)
{
	uint64_t i = *end;

	while (i && reloc_word(t, i - 1)) {
		uint8_t *p = reloc_place(t, --i, kind);

		if (!p)
			return false;
		if (!move)
			continue;
		if (kind == RELOC_32)
			le_store(p, 4, le_load(p, 4) + t->delta);
		else if (kind == RELOC_32_NEGATIVE)
			le_store(p, 4, le_load(p, 4) - t->delta);
		else
			le_store(p, 8, le_load(p, 8) + t->delta);
	}
	if (!i)
		return false;
	*end = i - 1;
	return true;
}

int linux_kaslr_relocate(uint8_t *base, const struct linux_header *header, const uint8_t *table,
			 uint64_t size, uint64_t delta, const char **why)
{
	static const enum reloc_kind lists3[] = { RELOC_32, RELOC_32_NEGATIVE, RELOC_64 };
	static const enum reloc_kind lists2[] = { RELOC_32, RELOC_64 };
	struct reloc_table t = {
		.words = table,
		.nr = size / 4,
		.base = base,
		.base_vaddr = KERNEL_MAP + header->pref_address,
		.size = header->init_size,
		.delta = delta,
	};
	const enum reloc_kind *lists;
	unsigned int nr_lists = 0;

	*why = "its table of relocations is of an unknown form";
	if (size % 4 || t.size < 8)
		return -EAGAIN;
	for (uint64_t i = 0; i < t.nr; i++)
		nr_lists += !reloc_word(&t, i);
	if (nr_lists == 3)
		lists = lists3;
	else if (nr_lists == 2)
		lists = lists2;
	else
		return -EAGAIN;
	for (int move = 0; move < 2; move++) {
		uint64_t end = t.nr;

		for (unsigned int i = 0; i < nr_lists; i++)
			if (!reloc_list(&t, &end, lists[i], move))
				return -EAGAIN;
		/* The first list's terminator is the table's first word. */
		if (end)
			return -EAGAIN;
	}
	return 0;
}
