/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The disks of --drive: named once, used by one device each. They are opened before the first
 * device and closed after the last.
 */
#ifndef AIRLOCK_MACHINE_DRIVE_H
#define AIRLOCK_MACHINE_DRIVE_H

#include "backend/block.h"
#include "machine/config.h"
#include "sys/sys.h"

struct vm;

/* For --drive help: one line per key. */
extern const char drive_keys[];

/* Reads "id=d0,file=disk.img,..." into a spec. 0 or -EINVAL with diag filled. */
int drive_parse(struct spec *spec, const char *text, struct diag *diag);
/* Opens what a spec names. 0 or -errno with diag filled. The caller destroys it. */
int drive_open(struct sys *sys, struct spec *spec, struct block **block, struct diag *diag);

/*
 * For a device class's plan: 0 when the configuration has a drive of that id; -ENOENT, or -EINVAL
 * for an id of NULL, with diag filled in the name of `whose`.
 */
int drive_check(struct vm_config *config, const char *whose, const char *id, struct diag *diag);

/* All of the configuration's drives, into vm->drives. 0 or -errno with diag filled and none open. */
int drives_open(struct vm *vm, struct diag *diag);
void drives_close(struct vm *vm);
/* The open drive of that id; errors as drive_check(). The device claims it. */
int drive_find(struct vm *vm, const char *whose, const char *id, struct block **block,
	       struct diag *diag);

#endif
