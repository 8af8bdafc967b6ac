/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IOMMU faults that the kernel has logged. A lower bound: the kernel limits the rate of these lines
 * and the log forgets.
 */
#ifndef AIRLOCK_HOST_FAULTS_H
#define AIRLOCK_HOST_FAULTS_H

#include "host/address.h"
#include "host/config.h"
#include "sys/sys.h"

struct host_faults {
	enum host_known
		known; /* HOST_UNKNOWN: the log could not be read; else whether there are any */
	size_t nr;
	char last[160]; /* the newest line, without its time stamp */
};

void host_faults_read(struct sys *sys, struct host_faults *out);

/* True for a line of the kernel's log that reports a blocked DMA or interrupt. */
bool host_fault_line(const char *line);
/* The same, and whose it was, where the line says that. */
bool host_fault_device(const char *line, struct pci_address *device);

#endif
