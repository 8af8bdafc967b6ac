// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/x86/image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "machine/arch.h"
#include "machine/x86/layout.h"
#include "sys/thread.h"

struct vm_image {
	struct boot_image *file;
	const struct ram *ram;
	pthread_t thread;
	bool loading; /* by the thread: what follows is its own until it has been joined */
	int err;
	struct diag diag;
	struct boot_entry entry;
};

static struct boot_config image_config(const struct vm_config *config)
{
	static const enum boot_unpack unpack[] = {
		[VM_UNPACK_GUEST] = BOOT_UNPACK_NEVER,
		[VM_UNPACK_HOST] = BOOT_UNPACK_ALWAYS,
		[VM_UNPACK_AUTO] = BOOT_UNPACK_AUTO,
	};

	return (struct boot_config){
		.kernel = config->kernel,
		.initrd = config->initrd,
		.cmdline = config->append,
		.unpack = unpack[config->unpack],
	};
}

int arch_image_describe(struct sys *sys, const struct vm_config *config, char *text, size_t size,
			struct diag *diag)
{
	const struct boot_config boot = image_config(config);
	struct boot_image *file;
	int err = boot_image_open(sys, &boot, &file, diag);

	if (err)
		return err;
	snprintf(text, size, "%s", boot_image_what(file));
	boot_image_close(file);
	return 0;
}

static int image_read(struct vm_image *image, struct boot_entry *entry, struct diag *diag)
{
	return boot_image_load(image->file, image->ram, gpa(LAYOUT_ACPI), entry, diag);
}

static void *image_thread(void *opaque)
{
	struct vm_image *image = opaque;

	image->err = image_read(image, &image->entry, &image->diag);
	return NULL;
}

int arch_image_begin(struct vm *vm, struct diag *diag)
{
	const struct boot_config boot = image_config(vm->config);
	struct vm_image *image = calloc(1, sizeof(*image));
	int err;

	if (!image)
		return diag_set(diag, -ENOMEM, "boot image", "out of memory");
	err = boot_image_open(vm->sys, &boot, &image->file, diag);
	if (err) {
		free(image);
		return err;
	}
	image->ram = vm->ram;
	image->diag = (struct diag)DIAG_INIT;
	/* Without a thread it is loaded when it is asked for. */
	image->loading = !sys_thread_start(&image->thread, "image", image_thread, image);
	vm->image = image;
	return 0;
}

int vm_image_load(struct vm *vm, struct boot_entry *entry, struct diag *diag)
{
	struct vm_image *image = vm->image;

	if (!image->loading)
		return image_read(image, entry, diag);
	pthread_join(image->thread, NULL);
	image->loading = false;
	*entry = image->entry;
	if (image->err && diag && !diag->err)
		*diag = image->diag;
	return image->err;
}

void arch_image_end(struct vm *vm)
{
	struct vm_image *image = vm->image;

	if (!image)
		return;
	if (image->loading)
		pthread_join(image->thread, NULL);
	boot_image_close(image->file);
	free(image);
	vm->image = NULL;
}
