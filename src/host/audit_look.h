/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the audit share: audit_host.c looks at the host, audit_device.c at devices. */
#ifndef AIRLOCK_HOST_AUDIT_LOOK_H
#define AIRLOCK_HOST_AUDIT_LOOK_H

#include "host/audit.h"
#include "host/group.h"

struct audit_look {
	struct sys *sys;
	struct host_audit *audit;
	const struct host_isolation *isolation;
	const bool *selected;
	struct host_iommus units;
	char cmdline[4096];
	bool cmdline_known;
	bool external_ports; /* the host has ports the firmware calls external */
};

void audit_look_host(struct audit_look *look);
void audit_look_devices(struct audit_look *look);

/* A file's text for evidence. 0, or the read's error. */
int audit_read(struct audit_look *look, const char *path, char *text, size_t size);

/* The value of a boolean module parameter. HOST_NO where there is no such module. */
enum host_known audit_parameter(struct audit_look *look, const char *path);

/* The first word of the kernel command line that begins so; NULL when there is none. */
const char *audit_option(const struct audit_look *look, const char *prefix, char *buf, size_t size);

#endif
