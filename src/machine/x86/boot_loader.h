/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the loaders of boot.h share: files that are read and never trusted, one load in progress,
 * and the tables every kind of entry wants. Internal to the boot half of machine/x86.
 */
#ifndef AIRLOCK_MACHINE_X86_BOOT_LOADER_H
#define AIRLOCK_MACHINE_X86_BOOT_LOADER_H

#include "base/range.h"
#include "machine/x86/boot.h"
#include "machine/x86/layout.h"

/* As much of an image's beginning as it takes to know what it is (Multiboot 1: 8 KiB). */
#define BOOT_HEAD_SIZE 8192

struct boot_file {
	struct sys *sys;
	int fd; /* -1: there is none */
	uint64_t size;
	char name[96]; /* as messages name it */
};

/* name: a path or "fd=N". Refuses what has no size. 0 or -errno with diag filled. */
int boot_file_open(struct sys *sys, const char *name, struct boot_file *file, struct diag *diag);
void boot_file_close(struct boot_file *file);
/* Exactly len bytes. 0, or -errno with diag filled (-ENODATA: the file ends before). */
int boot_file_read(const struct boot_file *file, uint64_t at, void *buf, uint64_t len,
		   struct diag *diag);
/* The same, straight into guest RAM; -ENOMEM with diag filled where there is none. len may be 0. */
int boot_file_place(const struct boot_file *file, uint64_t at, const struct ram *ram, gpa_t to,
		    uint64_t len, struct diag *diag);
/* The last component of a path. */
const char *boot_file_base(const char *name);

struct boot_image {
	struct sys *sys;
	struct boot_file kernel, initrd;
	char *cmdline;
	enum boot_unpack unpack;
	const struct boot_loader *loader;
	char what[256];
};

/* The beginning of the image; bytes past len are zero, so that fields may be read unchecked. */
struct boot_head {
	uint8_t bytes[BOOT_HEAD_SIZE];
	uint64_t len;
};

/* One load in progress. */
struct boot_load {
	struct boot_image *image;
	const struct boot_head *head;
	const struct ram *ram;
	gpa_t rsdp;
	struct boot_entry *entry;
	struct diag *diag;
};

struct boot_loader {
	/* Is the image of this kind? No check beyond its mark. */
	bool (*claims)(const struct boot_head *head);
	/* Checks all its headers and fills image->what. 0, or -errno with diag filled. */
	int (*check)(struct boot_image *image, const struct boot_head *head, struct diag *diag);
	int (*load)(struct boot_load *load);
};

extern const struct boot_loader linux_loader;
extern const struct boot_loader elf_loader;
extern const struct boot_loader multiboot_loader;

/* The machine's memory map, as E820 types. */
enum { BOOT_MEMORY_RAM = 1, BOOT_MEMORY_RESERVED = 2 };

struct boot_memory {
	struct range range;
	uint32_t type;
};

#define BOOT_MEMORY_MAX 8

/* Ascending, without overlap. Returns how many. */
unsigned int boot_memory_map(const struct ram *ram, struct boot_memory *map);

/* Last byte of RAM below RAM_HOLE. */
uint64_t boot_low_last(const struct ram *ram);

/* Copies the command line, at most `max` characters. 0, or -E2BIG with diag filled. */
int boot_place_cmdline(struct boot_load *load, const char *cmdline, uint64_t max);

/*
 * Long mode: descriptors, and page tables that map the first 4 GiB and the GiBs of `also` to
 * themselves with 2 MiB pages. Protected mode: descriptors.
 */
int boot_enter_long64(struct boot_load *load, uint64_t rip, struct range also);
int boot_enter_protected32(struct boot_load *load, uint64_t rip);

/*
 * Places the initrd page-aligned: as high as it goes within [first, last] (both RAM), or, if
 * `lowest`, as low as it goes. *at is untouched when there is no initrd.
 * 0, or -ENOMEM with diag filled.
 */
int boot_place_initrd(struct boot_load *load, struct range room, bool lowest, struct range *at);

#endif
