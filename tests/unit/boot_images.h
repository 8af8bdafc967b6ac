/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Images made in memory, and a kernel seam that serves them as files. For the boot tests. */
#ifndef AIRLOCK_TESTS_BOOT_IMAGES_H
#define AIRLOCK_TESTS_BOOT_IMAGES_H

#include <elf.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/endian.h"
#include "machine/x86/boot.h"
#include "machine/x86/layout.h"

/* One kernel and one initrd, by these names. */
struct files {
	struct sys sys;
	uint8_t *kernel;
	uint64_t kernel_size;
	uint8_t *initrd;
	uint64_t initrd_size;
	int nr_open;
	atomic_int nr_calls;
	int fail_at; /* the n-th call fails with -EIO; 0: none */
};

static inline bool files_fails(struct files *files)
{
	return ++files->nr_calls == files->fail_at;
}

static inline int files_open(struct sys *sys, enum sys_object kind, const char *name)
{
	struct files *files = sys->ctx;

	if (kind != SYS_FILE_READ)
		return -EINVAL;
	if (files_fails(files))
		return -EIO;
	files->nr_open++;
	if (!strcmp(name, "dir/kernel"))
		return 100;
	if (!strcmp(name, "dir/initrd"))
		return 101;
	files->nr_open--;
	return -ENOENT;
}

static inline void files_close(struct sys *sys, int fd)
{
	struct files *files = sys->ctx;

	files->nr_open--;
}

static inline int files_size(struct sys *sys, int fd, uint64_t *size)
{
	struct files *files = sys->ctx;

	if (files_fails(files))
		return -EIO;
	*size = fd == 100 ? files->kernel_size : files->initrd_size;
	return 0;
}

static inline ssize_t files_pread(struct sys *sys, int fd, void *buf, size_t len, uint64_t offset)
{
	struct files *files = sys->ctx;
	const uint8_t *data = fd == 100 ? files->kernel : files->initrd;
	uint64_t size = fd == 100 ? files->kernel_size : files->initrd_size;

	if (files_fails(files))
		return -EACCES;
	/* A large initrd is one of zeroes. */
	if (!data)
		return (ssize_t)len;
	if (offset >= size)
		return 0;
	if (len > size - offset)
		len = size - offset;
	memcpy(buf, data + offset, len);
	return (ssize_t)len;
}

static const struct sys_ops files_ops = {
	.open = files_open,
	.close = files_close,
	.size = files_size,
	.pread = files_pread,
};

static inline void files_init(struct files *files, uint8_t *kernel, uint64_t size)
{
	*files = (struct files){ .kernel = kernel, .kernel_size = size };
	files->sys = (struct sys){ .ops = &files_ops, .ctx = files };
}

/* A host that does not say what it has, so that large guests can be made on small machines. */
static inline ssize_t silent_read_file(struct sys *sys, enum sys_tree tree, const char *path,
				       void *buf, size_t size)
{
	return -ENOENT;
}

static inline struct ram *make_ram(uint64_t size)
{
	static struct sys_ops ops;
	static struct sys sys = { .ops = &ops };
	struct ram_config config = { .size = size };
	struct ram *ram = NULL;

	ops = *sys_real().ops;
	ops.read_file = silent_read_file;
	if (ram_create(&sys, &config, &ram, NULL))
		abort();
	return ram;
}

/* Opens and loads; what was refused, and why, is in *diag. */
static inline int boot(struct files *files, const struct boot_config *config, struct ram *ram,
		       struct boot_entry *entry, struct diag *diag)
{
	struct boot_image *image;
	int err;

	*diag = (struct diag)DIAG_INIT;
	err = boot_image_open(&files->sys, config, &image, diag);
	if (err)
		return err;
	err = boot_image_load(image, ram, gpa(LAYOUT_ACPI), entry, diag);
	boot_image_close(image);
	return err;
}

/* A part of an ELF made by make_elf. */
struct piece {
	uint32_t type;
	uint64_t vaddr, paddr, size; /* in memory */
	const void *data;
	uint64_t data_size;
};

/* An ELF of either class: headers, then pieces, each aligned to 16. Returns its size. */
static inline uint64_t make_elf(uint8_t *out, bool is_64, uint16_t machine, uint64_t entry,
				const struct piece *pieces, unsigned int nr)
{
	uint64_t at = is_64 ? sizeof(Elf64_Ehdr) + nr * sizeof(Elf64_Phdr)
			    : sizeof(Elf32_Ehdr) + nr * sizeof(Elf32_Phdr);

	memset(out, 0, at);
	memcpy(out, ELFMAG, SELFMAG);
	out[EI_CLASS] = is_64 ? ELFCLASS64 : ELFCLASS32;
	out[EI_DATA] = ELFDATA2LSB;
	out[EI_VERSION] = EV_CURRENT;
	le_store(out + 16, 2, ET_EXEC);
	le_store(out + 18, 2, machine);
	if (is_64) {
		Elf64_Ehdr *e = (void *)out;

		e->e_entry = entry;
		e->e_phoff = sizeof(*e);
		e->e_phentsize = sizeof(Elf64_Phdr);
		e->e_phnum = (uint16_t)nr;
	} else {
		Elf32_Ehdr *e = (void *)out;

		e->e_entry = (uint32_t)entry;
		e->e_phoff = sizeof(*e);
		e->e_phentsize = sizeof(Elf32_Phdr);
		e->e_phnum = (uint16_t)nr;
	}
	for (unsigned int i = 0; i < nr; i++) {
		const struct piece *p = &pieces[i];

		at = align_up(at, 16);
		if (is_64)
			((Elf64_Phdr *)(void *)(out + sizeof(Elf64_Ehdr)))[i] = (Elf64_Phdr){
				.p_type = p->type,
				.p_offset = at,
				.p_vaddr = p->vaddr,
				.p_paddr = p->paddr,
				.p_filesz = p->data_size,
				.p_memsz = p->size,
			};
		else
			((Elf32_Phdr *)(void *)(out + sizeof(Elf32_Ehdr)))[i] = (Elf32_Phdr){
				.p_type = p->type,
				.p_offset = (uint32_t)at,
				.p_vaddr = (uint32_t)p->vaddr,
				.p_paddr = (uint32_t)p->paddr,
				.p_filesz = (uint32_t)p->data_size,
				.p_memsz = (uint32_t)p->size,
			};
		memcpy(out + at, p->data, p->data_size);
		at += p->data_size;
	}
	return at;
}

/* The Xen note that names a PVH entry. */
struct pvh_note {
	uint32_t name_size, desc_size, type;
	char name[4];
	uint32_t entry;
};

static inline struct pvh_note make_note(uint32_t entry)
{
	return (struct pvh_note){ 4, 4, 18, "Xen", entry };
}

/* A bzImage's beginning: one sector of setup code, the kernel from byte 1024 on. */
#define BZ_KERNEL 1024

static inline void make_bzimage(uint8_t *out, uint64_t size)
{
	memset(out, 0, BZ_KERNEL);
	out[0x1f1] = 1;
	le_store(out + 0x1f4, 4, (size - BZ_KERNEL) / 16);
	le_store(out + 0x1fe, 2, 0xaa55);
	le_store(out + 0x200, 2, 0x6aeb);
	memcpy(out + 0x202, "HdrS", 4);
	le_store(out + 0x206, 2, 0x20f);
	le_store(out + 0x20e, 2, 0x100); /* version string at 0x300 */
	memcpy(out + 0x300, "6.1.0-test (somebody)", 21);
	out[0x211] = 1;
	le_store(out + 0x22c, 4, 0x7fffffff);
	le_store(out + 0x230, 4, 0x200000);
	out[0x234] = 1;
	le_store(out + 0x236, 2, 0x3);
	le_store(out + 0x238, 4, 2047);
	le_store(out + 0x258, 8, 0x1000000);
	le_store(out + 0x260, 4, 0x400000);
	for (uint64_t i = BZ_KERNEL; i < size; i++)
		out[i] = (uint8_t)(i * 7 + i / 256);
}

#endif
