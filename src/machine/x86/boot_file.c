// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "machine/x86/boot_loader.h"

const char *boot_file_base(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash ? slash + 1 : name;
}

int boot_file_open(struct sys *sys, const char *name, struct boot_file *file, struct diag *diag)
{
	struct boot_file f = { .sys = sys };
	int err;

	snprintf(f.name, sizeof(f.name), "%s", name);
	f.fd = sys_open(sys, SYS_FILE_READ, name);
	if (f.fd < 0)
		return diag_set(diag, f.fd, name, "cannot be opened: %s", strerror(-f.fd));
	err = sys->ops->size(sys, f.fd, &f.size);
	if (err) {
		diag_set(diag, err, name, "has no size: %s", strerror(-err));
		goto err_close;
	}
	if (!f.size) {
		err = diag_set(diag, -ENOEXEC, name, "is empty, or no regular file");
		goto err_close;
	}
	*file = f;
	return 0;

err_close:
	sys_close(sys, &f.fd);
	return err;
}

void boot_file_close(struct boot_file *file)
{
	if (file->sys)
		sys_close(file->sys, &file->fd);
}

static int boot_file_refuse_short(const struct boot_file *file, uint64_t at, uint64_t len,
				  struct diag *diag)
{
	diag_set(diag, -ENODATA, file->name,
		 "is truncated: %" PRIu64 " bytes wanted at offset %" PRIu64
		 ", the file has %" PRIu64,
		 len, at, file->size);
	return diag_remedy(diag, -ENODATA, "copy or build the file again");
}

int boot_file_read(const struct boot_file *file, uint64_t at, void *buf, uint64_t len,
		   struct diag *diag)
{
	int err;

	if (!len)
		return 0;
	if (len > file->size || at > file->size - len)
		return boot_file_refuse_short(file, at, len, diag);
	err = sys_pread_full(file->sys, file->fd, buf, len, at);
	if (err == -EIO)
		return boot_file_refuse_short(file, at, len, diag);
	if (err)
		return diag_set(diag, err, file->name, "cannot be read: %s", strerror(-err));
	return 0;
}

int boot_file_place(const struct boot_file *file, uint64_t at, const struct ram *ram, gpa_t to,
		    uint64_t len, struct diag *diag)
{
	void *span;

	if (!len)
		return 0;
	span = ram_span(ram, to, len);
	if (!span) {
		diag_set(diag, -ENOMEM, file->name,
			 "wants memory at %#" PRIx64 "-%#" PRIx64 ", where the guest has none",
			 to.v, to.v + len - 1);
		return diag_remedy(diag, -ENOMEM, "give the guest more (--memory)");
	}
	return boot_file_read(file, at, span, len, diag);
}
