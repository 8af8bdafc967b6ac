// SPDX-License-Identifier: GPL-2.0-or-later
#include "assign/persist.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RULE_PATH_MAX 96
#define RULE_MAX      1024

static const char *persist_path(const char *name, char *path)
{
	snprintf(path, RULE_PATH_MAX, ASSIGN_RULE_FOLDER "/60-airlock-%s.rules", name);
	return path;
}

static int persist_fail(struct diag *diag, int err, const char *name, const char *what)
{
	diag_set(diag, err, name, "%s: %s", what, strerror(-err));
	if (err == -ENOENT)
		return diag_remedy(diag, err,
				   "bindings persist by udev's rules, and there is no "
				   "folder " ASSIGN_RULE_FOLDER);
	if (err == -EACCES || err == -EPERM)
		return diag_remedy(diag, err, "that needs root");
	return err;
}

/* What a rule can hold without a way of quoting it. */
static bool persist_path_ok(const char *path)
{
	return path[0] == '/' && strlen(path) < 512 &&
	       strspn(path,
		      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./+") ==
		       strlen(path);
}

int assign_persist(struct sys *sys, const struct host_function *f, const char *driver,
		   const char *program, struct diag *diag)
{
	char path[RULE_PATH_MAX], text[RULE_MAX];
	int fd, err;

	if (f->is_vf) {
		diag_set(diag, -EINVAL, f->name,
			 "a virtual function ends with the boot, so its binding cannot persist");
		return diag_remedy(diag, -EINVAL,
				   "make and bind it at each boot: airlock vf create");
	}
	if (f->unknown & HOST_UNKNOWN_IDS)
		return diag_set(diag, -EIO, f->name, "what it is cannot be read");
	if (!persist_path_ok(program)) {
		diag_set(diag, -EINVAL, program, "a udev rule cannot name this path");
		return diag_remedy(diag, -EINVAL, "install airlock: meson install");
	}
	snprintf(text, sizeof(text),
		 "# Made by airlock bind --persist; airlock release %s removes it.\n"
		 "ACTION==\"add\", SUBSYSTEM==\"pci\", KERNEL==\"%s\", "
		 "ATTR{vendor}==\"0x%04x\", ATTR{device}==\"0x%04x\", "
		 "RUN+=\"%s bind %s --boot %s\"\n",
		 f->name, f->name, f->vendor, f->device, program, f->name,
		 driver[0] ? driver : "none");
	fd = sys_open(sys, SYS_FILE_WRITE, persist_path(f->name, path));
	if (fd < 0)
		return persist_fail(diag, fd, f->name, "its udev rule cannot be made");
	/* One write: a rule is there whole or not at all. An older one may have been longer. */
	err = sys->ops->truncate(sys, fd, 0);
	if (!err)
		err = sys_pwrite_full(sys, fd, text, strlen(text), 0);
	sys_close(sys, &fd);
	if (!err)
		return 0;
	sys->ops->remove(sys, path);
	return persist_fail(diag, err, f->name, "its udev rule cannot be written");
}

int assign_persist_forget(struct sys *sys, const char *name, struct diag *diag)
{
	char path[RULE_PATH_MAX];
	int fd = sys_open(sys, SYS_FILE_READ, persist_path(name, path)), err;

	/* Looked for first: where /etc cannot be written, what is not there cannot be removed. */
	if (fd == -ENOENT)
		return 0;
	sys_close(sys, &fd);
	err = sys->ops->remove(sys, path);
	if (!err || err == -ENOENT)
		return 0;
	return persist_fail(diag, err, name, "its udev rule cannot be removed");
}
