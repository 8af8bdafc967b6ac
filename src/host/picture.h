/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The PCI tree of a host as a picture: an SVG that needs nothing beside itself. */
#ifndef AIRLOCK_HOST_PICTURE_H
#define AIRLOCK_HOST_PICTURE_H

#include <stdio.h>

#include "host/isolation.h"
#include "host/names.h"

/*
 * Draws every function in the tree's order, with its group, driver, NUMA node and ACS, groups of
 * more than one in a colour of their own, and below the reason for each. The stream's own error
 * state tells whether it could be written.
 */
void host_picture_write(FILE *to, const struct host_isolation *isolation,
			const struct host_names *names);

#endif
