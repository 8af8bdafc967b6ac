// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/x86/boot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/endian.h"
#include "machine/x86/boot_loader.h"

/* Boot structures, and at least something above 1 MiB. */
#define BOOT_RAM_MIN MIB(2)

/* In the order of asking: the first that claims an image has it. */
static const struct boot_loader *const loaders[] = {
	&linux_loader,
	&multiboot_loader,
	&elf_loader,
};

/* What people hand over by mistake, so that the refusal can name it. */
static const struct {
	uint16_t at;
	uint8_t len;
	const char *magic;
	const char *what;
	const char *remedy;
} strangers[] = {
	{ 0x38, 4, "ARM\x64", "an arm64 Image", NULL },
	{ 0x24, 4, "\x18\x28\x6f\x01", "a 32-bit ARM zImage", NULL },
	{ 0x38, 4, "RSC\x05", "a RISC-V Image", NULL },
	{ 0x30, 5, "RISCV", "a RISC-V Image", NULL },
	{ 0x38, 4, "\xcd\x23\x82\x81", "a LoongArch Image", NULL },
	{ 0, 4, "\x27\x05\x19\x56", "a U-Boot image", NULL },
	{ 0, 6, "070701", "a cpio archive", "did you mean --initrd?" },
	{ 0, 2, "\x1f\x8b", "a gzip-compressed file", "unpack it first: gzip -d" },
	{ 0, 6, "\xfd\x37zXZ", "an xz-compressed file", "unpack it first: xz -d" },
	{ 0, 4, "\x28\xb5\x2f\xfd", "a zstd-compressed file", "unpack it first: zstd -d" },
	{ 0, 4, "\x02\x21\x4c\x18", "an lz4-compressed file", "unpack it first: lz4 -d" },
	{ 0, 4, "\x04\x22\x4d\x18", "an lz4-compressed file", "unpack it first: lz4 -d" },
	{ 0, 3, "BZh", "a bzip2-compressed file", "unpack it first: bzip2 -d" },
	{ 0, 4, "QFI\xfb", "a qcow2 disk image", NULL },
	{ 0, 2, "MZ", "an EFI or DOS program", NULL },
	{ 0, 2, "#!", "a script", NULL },
};

static int boot_refuse_stranger(const struct boot_image *image, const struct boot_head *head,
				struct diag *diag)
{
	const char *what = NULL;
	const char *remedy = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(strangers) && !what; i++) {
		if (memcmp(head->bytes + strangers[i].at, strangers[i].magic, strangers[i].len))
			continue;
		what = strangers[i].what;
		remedy = strangers[i].remedy;
	}
	if (what)
		diag_set(diag, -ENOEXEC, image->kernel.name, "is %s, not a kernel for x86-64",
			 what);
	else
		diag_set(diag, -ENOEXEC, image->kernel.name, "is not a kernel");
	return diag_remedy(diag, -ENOEXEC, "%s",
			   remedy ? remedy
				  : "--kernel takes a Linux bzImage or vmlinux for x86-64, an ELF "
				    "with a PVH note, or a Multiboot 1 image");
}

static int boot_head_read(const struct boot_image *image, struct boot_head *head, struct diag *diag)
{
	memset(head, 0, sizeof(*head));
	head->len = min_u64(image->kernel.size, sizeof(head->bytes));
	return boot_file_read(&image->kernel, 0, head->bytes, head->len, diag);
}

static int boot_image_check(struct boot_image *image, const struct boot_head *head,
			    struct diag *diag)
{
	for (size_t i = 0; i < ARRAY_SIZE(loaders); i++) {
		if (!loaders[i]->claims(head))
			continue;
		image->loader = loaders[i];
		return loaders[i]->check(image, head, diag);
	}
	return boot_refuse_stranger(image, head, diag);
}

int boot_image_open(struct sys *sys, const struct boot_config *config, struct boot_image **out,
		    struct diag *diag)
{
	struct boot_image *image = calloc(1, sizeof(*image));
	struct boot_head *head = malloc(sizeof(*head));
	int err = -ENOMEM;

	if (!image || !head)
		goto err_free;
	image->sys = sys;
	image->unpack = config->unpack;
	image->kernel.fd = image->initrd.fd = -1;
	image->cmdline = strdup(config->cmdline ? config->cmdline : "");
	if (!image->cmdline)
		goto err_free;
	err = boot_file_open(sys, config->kernel, &image->kernel, diag);
	if (err)
		goto err_close;
	err = boot_head_read(image, head, diag);
	if (!err)
		err = boot_image_check(image, head, diag);
	if (!err && config->initrd)
		err = boot_file_open(sys, config->initrd, &image->initrd, diag);
	if (err)
		goto err_close;
	free(head);
	*out = image;
	return 0;

err_close:
	free(head);
	boot_image_close(image);
	return err;
err_free:
	free(head);
	free(image);
	return diag_set(diag, err, config->kernel, "%s", strerror(ENOMEM));
}

int boot_image_load(struct boot_image *image, const struct ram *ram, gpa_t rsdp,
		    struct boot_entry *entry, struct diag *diag)
{
	struct boot_head *head;
	struct boot_load load = {
		.image = image,
		.ram = ram,
		.rsdp = rsdp,
		.entry = entry,
		.diag = diag,
	};
	int err;

	if (range_len(ram->regions[0].gpa) < BOOT_RAM_MIN) {
		diag_set(diag, -ENOMEM, image->kernel.name, "does not fit in %" PRIu64 " KiB",
			 ram->size >> 10);
		return diag_remedy(diag, -ENOMEM, "give the guest more (--memory)");
	}
	head = malloc(sizeof(*head));
	if (!head)
		return diag_set(diag, -ENOMEM, image->kernel.name, "%s", strerror(ENOMEM));
	/* The file may be another one by now: nothing that was checked at the last load counts. */
	err = boot_head_read(image, head, diag);
	if (!err)
		err = boot_image_check(image, head, diag);
	load.head = head;
	if (!err)
		err = image->loader->load(&load);
	free(head);
	return err;
}

const char *boot_image_what(const struct boot_image *image)
{
	return image->what;
}

void boot_image_close(struct boot_image *image)
{
	boot_file_close(&image->initrd);
	boot_file_close(&image->kernel);
	free(image->cmdline);
	free(image);
}
