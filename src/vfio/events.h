/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the host tells us of a device while a guest has it: an uncorrectable error (AER), after
 * which it cannot be trusted, and a request to give it back (unbind, hot unplug), which blocks
 * somebody on the host until it is honoured.
 *
 * Loop thread.
 */
#ifndef AIRLOCK_VFIO_EVENTS_H
#define AIRLOCK_VFIO_EVENTS_H

#include "base/diag.h"
#include "sys/loop.h"

struct vfio_pci;

struct vfio_event {
	int eventfd; /* -1: the device does not report it */
	struct loop_source source;
};

struct vfio_events {
	struct vfio_event error, request;
	bool requested; /* the host wants the device back. Loop thread */
};

/* 0, or -errno with diag filled. */
int vfio_events_build(struct vfio_pci *pci, struct diag *diag);
void vfio_events_fini(struct vfio_pci *pci);

#endif
