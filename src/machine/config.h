/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the user asked for, parsed and bounded, before anything is opened. */
#ifndef AIRLOCK_MACHINE_CONFIG_H
#define AIRLOCK_MACHINE_CONFIG_H

#include "assign/place.h"
#include "base/diag.h"
#include "machine/spec.h"
#include "memory/ram.h"

/* APIC ids are 8 bits wide in a message that is not remapped; 255 is the broadcast. */
#define VM_CPUS_MAX    254
#define VM_DEVICES_MAX 64
#define VM_DRIVES_MAX  32

/*
 * Who unpacks a compressed kernel. The guest by default: the host is no faster at it, and the guest's
 * first instruction comes later (bench/run shows both).
 */
enum vm_unpack { VM_UNPACK_GUEST, VM_UNPACK_HOST, VM_UNPACK_AUTO };
enum vm_reboot { VM_REBOOT_AGAIN, VM_REBOOT_EXIT };

struct vm_config {
	const char *kernel, *initrd, *append; /* paths and text; initrd and append may be NULL */
	unsigned int cpus;
	struct ram_config ram;
	const struct assign_placement *placement; /* borrowed; NULL: wherever the process is */
	enum vm_unpack unpack;
	enum vm_reboot reboot; /* what a guest's reset does */
	bool has_iommu;
	struct spec iommu; /* --iommu */
	unsigned int nr_devices;
	struct spec devices[VM_DEVICES_MAX]; /* --device, in the order given */
	unsigned int nr_drives;
	struct spec drives[VM_DRIVES_MAX]; /* --drive, as drive_parse() reads it */
};

#endif
