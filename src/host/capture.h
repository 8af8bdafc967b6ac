/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host in one small text file. A capture stands behind the seam (struct sys) and answers the
 * reads of sysfs and procfs from the file, so everything in host/ works on another machine's
 * capture, or on one written by hand, exactly as on the live host.
 *
 * The same object records: host_capture_recorder() passes reads on to the real kernel and keeps
 * what came back, errors too; so a capture holds just what its reader read.
 *
 * The file has one fact a line; "#" begins a comment line:
 *
 *	airlock-host 1
 *	sys PATH = TEXT          contents of a file; \n \t \\ and \xNN are escapes
 *	sys PATH hex SIZE OFFSET:BYTES...   binary contents, zero but for the given runs
 *	sys PATH -> TARGET       a symbolic link
 *	sys PATH ! ERRNO         reading it fails so: ENOENT, EACCES...
 *	sys PATH .               exists; nothing more is known of it
 *	sys PATH /               a folder, listed whole: it has the entries given and no others
 *	proc PATH ...            the same under /proc
 *	dev PATH .               the same under /dev, names only
 *	log kernel = TEXT        the lines of the kernel's log that concern the IOMMU
 *	limit memlock SOFT HARD  bytes, or "unlimited"
 *	unlisted absent          what is not listed does not exist (in captures: it is unknown)
 *
 * Blanks in a path are written \x20. The contents are as hostile as any file: all is bounded.
 */
#ifndef AIRLOCK_HOST_CAPTURE_H
#define AIRLOCK_HOST_CAPTURE_H

#include "base/diag.h"
#include "sys/sys.h"

#define HOST_CAPTURE_MAX MIB(256) /* longest file accepted */

struct host_capture;

/*
 * Reads the capture file at `path` through `sys`. On 0 the caller owns *out. -EINVAL with a diag
 * that names the line for a malformed file.
 */
int host_capture_load(struct sys *sys, const char *path, struct host_capture **out,
		      struct diag *diag);

/* The same from memory; `name` is what a diag calls it. The text need not outlive the call. */
int host_capture_parse(const char *text, size_t len, const char *name, struct host_capture **out,
		       struct diag *diag);

/* An empty capture, to record into. NULL when out of memory. */
struct host_capture *host_capture_create(void);
void host_capture_destroy(struct host_capture *capture);

/*
 * A seam that answers from the capture; everything but reading trees and limits is refused with
 * -ENOSYS. Borrows the capture. Any thread.
 */
struct sys host_capture_sys(struct host_capture *capture);

/* A seam that reads through `real` and records. Borrows both. One thread at a time. */
struct sys host_capture_recorder(struct host_capture *capture, struct sys *real);

/* Writes the file, sorted by path. 0 or -errno with diag filled; nothing is left half-written. */
int host_capture_save(struct host_capture *capture, const char *path, struct diag *diag);

#endif
