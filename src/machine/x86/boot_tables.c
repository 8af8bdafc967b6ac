// SPDX-License-Identifier: GPL-2.0-or-later
/* What every kind of entry wants: memory map, descriptors, page tables, command line, initrd. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/endian.h"
#include "machine/x86/boot_loader.h"

/* Flat 4 GiB segments, accessed (Intel SDM volume 3A, 3.4.5). */
#define GDT_CODE64 0x00af9b000000ffffull
#define GDT_CODE32 0x00cf9b000000ffffull
#define GDT_DATA   0x00cf93000000ffffull

/* Intel SDM volume 3A, 4.5: present, writable; page size for a 2 MiB leaf. */
#define PTE_TABLE     0x3ull
#define PTE_LARGE     0x83ull

#define TABLE_ENTRIES 512

uint64_t boot_low_last(const struct ram *ram)
{
	return ram->regions[0].gpa.last;
}

unsigned int boot_memory_map(const struct ram *ram, struct boot_memory *map)
{
	unsigned int nr = 0;

	map[nr++] = (struct boot_memory){ { 0, LAYOUT_LOW_RAM_END - 1 }, BOOT_MEMORY_RAM };
	map[nr++] = (struct boot_memory){ { LAYOUT_LOW_RAM_END, 0x9ffff }, BOOT_MEMORY_RESERVED };
	map[nr++] = (struct boot_memory){ range_of(LAYOUT_ACPI, LAYOUT_ACPI_SIZE),
					  BOOT_MEMORY_RESERVED };
	map[nr++] =
		(struct boot_memory){ { LAYOUT_KERNEL_MIN, boot_low_last(ram) }, BOOT_MEMORY_RAM };
	map[nr++] = (struct boot_memory){ range_of(LAYOUT_ECAM, LAYOUT_ECAM_SIZE),
					  BOOT_MEMORY_RESERVED };
	for (unsigned int i = 1; i < ram->nr_regions; i++)
		map[nr++] = (struct boot_memory){ ram->regions[i].gpa, BOOT_MEMORY_RAM };
	return nr;
}

int boot_place_cmdline(struct boot_load *load, const char *cmdline, uint64_t max)
{
	uint64_t len = strlen(cmdline);

	max = min_u64(max, LAYOUT_CMDLINE_MAX - 1);
	if (len > max) {
		diag_set(load->diag, -E2BIG, load->image->kernel.name,
			 "takes a command line of %" PRIu64 " characters, this one has %" PRIu64,
			 max, len);
		return diag_remedy(load->diag, -E2BIG, "shorten --append");
	}
	return ram_write(load->ram, gpa(LAYOUT_CMDLINE), cmdline, len + 1);
}

static int boot_place_gdt(struct boot_load *load, uint64_t code)
{
	le64 gdt[] = { le64_make(0), le64_make(0), le64_make(code), le64_make(GDT_DATA) };

	load->entry->gdt = gpa(LAYOUT_GDT);
	load->entry->gdt_limit = sizeof(gdt) - 1;
	return ram_write(load->ram, gpa(LAYOUT_GDT), gdt, sizeof(gdt));
}

/* One directory of 2 MiB pages for the GiB, and the way to it from the level above. */
static void boot_map_gib(le64 *tables, unsigned int *nr_tables, uint64_t gib)
{
	unsigned int top = (unsigned int)(gib / TABLE_ENTRIES);
	le64 *pointers, *directory;
	uint64_t below;

	if (!le64_get(tables[top])) {
		below = LAYOUT_PAGE_TABLES + *nr_tables * PAGE_SIZE;
		tables[top] = le64_make(below | PTE_TABLE);
		(*nr_tables)++;
	}
	below = align_down(le64_get(tables[top]), PAGE_SIZE) - LAYOUT_PAGE_TABLES;
	pointers = tables + below / sizeof(le64);
	if (le64_get(pointers[gib % TABLE_ENTRIES]))
		return;
	directory = tables + *nr_tables * TABLE_ENTRIES;
	pointers[gib % TABLE_ENTRIES] =
		le64_make((LAYOUT_PAGE_TABLES + *nr_tables * PAGE_SIZE) | PTE_TABLE);
	(*nr_tables)++;
	for (uint64_t i = 0; i < TABLE_ENTRIES; i++)
		directory[i] = le64_make((GIB(1) * gib + MIB(2) * i) | PTE_LARGE);
}

int boot_enter_long64(struct boot_load *load, uint64_t rip, struct range also)
{
	le64 *tables =
		ram_span(load->ram, gpa(LAYOUT_PAGE_TABLES), LAYOUT_PAGE_TABLES_PAGES * PAGE_SIZE);
	unsigned int nr_tables = 1;

	if (!tables)
		return -EFAULT;
	memset(tables, 0, LAYOUT_PAGE_TABLES_PAGES * PAGE_SIZE);
	for (uint64_t gib = 0; gib < 4; gib++)
		boot_map_gib(tables, &nr_tables, gib);
	/* A kernel is never longer than a GiB, so it touches at most two of them. */
	boot_map_gib(tables, &nr_tables, also.first / GIB(1));
	boot_map_gib(tables, &nr_tables, also.last / GIB(1));
	*load->entry = (struct boot_entry){
		.mode = BOOT_MODE_LONG64,
		.rip = rip,
		.rsp = LAYOUT_BOOT_STACK,
		.page_tables = gpa(LAYOUT_PAGE_TABLES),
	};
	return boot_place_gdt(load, GDT_CODE64);
}

int boot_enter_protected32(struct boot_load *load, uint64_t rip)
{
	*load->entry = (struct boot_entry){
		.mode = BOOT_MODE_PROTECTED32,
		.rip = rip,
		.rsp = LAYOUT_BOOT_STACK,
	};
	return boot_place_gdt(load, GDT_CODE32);
}

int boot_place_initrd(struct boot_load *load, struct range room, bool lowest, struct range *at)
{
	const struct boot_file *file = &load->image->initrd;
	uint64_t first = align_up(room.first, PAGE_SIZE);
	uint64_t start;

	if (file->fd < 0)
		return 0;
	if (first < room.first || first > room.last || file->size - 1 > room.last - first) {
		diag_set(load->diag, -ENOMEM, file->name,
			 "does not fit: the initrd has %" PRIu64 " KiB, the guest has %" PRIu64
			 " KiB for it besides the kernel",
			 file->size >> 10, first <= room.last ? (room.last - first + 1) >> 10 : 0);
		return diag_remedy(load->diag, -ENOMEM, "give the guest more (--memory)");
	}
	start = lowest ? first : align_down(room.last - (file->size - 1), PAGE_SIZE);
	*at = range_of(start, file->size);
	return boot_file_place(file, 0, load->ram, gpa(start), file->size, load->diag);
}
