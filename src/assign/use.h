/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the host uses a function for: asked before its driver is taken away. A use is not a matter
 * of the driver but of what stands on it: a filesystem, a route, a screen.
 */
#ifndef AIRLOCK_ASSIGN_USE_H
#define AIRLOCK_ASSIGN_USE_H

#include "base/diag.h"
#include "host/pci.h"

enum assign_use_kind {
	ASSIGN_USE_MOUNT,   /* a filesystem on it is mounted */
	ASSIGN_USE_SWAP,    /* the host swaps to it */
	ASSIGN_USE_VOLUME,  /* md, LVM, dm-crypt, ZFS or the like stands on it */
	ASSIGN_USE_NETWORK, /* an interface of it is up, enslaved or carries the default route */
	ASSIGN_USE_CONSOLE, /* the host's screen */
	ASSIGN_USE_VFS,	    /* it carries virtual functions */
	ASSIGN_NR_USES,
};

struct assign_use {
	enum assign_use_kind kind;
	char what[160]; /* "nvme0n1p2 is mounted on /home" */
};

/*
 * Lists the uses of a function; at most `room` are stored. Returns how many there are, or -errno
 * when that could not be found out (and then nothing should be taken away).
 */
int assign_use_find(struct sys *sys, const struct host_function *function, struct assign_use *out,
		    size_t room);

/* The word by which a person accepts the loss: "lose-filesystem". */
const char *assign_use_word(enum assign_use_kind kind);
/* -EINVAL for a word that names no risk. */
int assign_use_by_word(const char *word, enum assign_use_kind *kind);

#endif
