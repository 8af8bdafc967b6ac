/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IOMMU groups as the kernel made them: what can reach what without the IOMMU in between, and so
 * what can only be given away together. The reason why is worked out in host/reason.h.
 */
#ifndef AIRLOCK_HOST_GROUP_H
#define AIRLOCK_HOST_GROUP_H

#include "base/diag.h"
#include "base/range.h"
#include "host/address.h"
#include "host/config.h"
#include "sys/sys.h"

struct host_group_member {
	char name[64];		    /* as in sysfs */
	bool is_pci;		    /* a member may be a platform device */
	struct pci_address address; /* where is_pci */
	char driver[32];	    /* empty: bound to none */
};

/* Kinds of reserved region (Documentation/ABI/testing/sysfs-kernel-iommu_groups). */
enum host_reserved_kind {
	HOST_RESERVED_DIRECT,		/* must stay mapped one to one: firmware's (RMRR, IVMD) */
	HOST_RESERVED_DIRECT_RELAXABLE, /* the same, but the kernel lets VFIO ignore it */
	HOST_RESERVED_RESERVED,		/* may not be mapped */
	HOST_RESERVED_MSI,		/* writes there are interrupts, not memory */
	HOST_RESERVED_OTHER,
};

struct host_reserved {
	struct range iova; /* as the device addresses it */
	enum host_reserved_kind kind;
};

struct host_group {
	int id;
	char type[16]; /* default domain: "DMA", "DMA-FQ", "identity"; empty when unknown */
	bool noiommu;  /* made by VFIO's no-IOMMU mode: there is no protection */
	struct host_group_member *member; /* owned; ascending by name */
	size_t nr_members;
	struct host_reserved *reserved; /* owned */
	size_t nr_reserved;
	bool reserved_unknown; /* the list of regions could not be read whole */
};

/* 0; -ENODEV when there is no such group; diag filled. Undo with host_group_fini(). */
int host_group_read(struct sys *sys, int id, struct host_group *out, struct diag *diag);
void host_group_fini(struct host_group *group);

/*
 * Whether VFIO will hand the group out: every member is unbound or bound to a driver that leaves
 * DMA alone (vfio, pci-stub, pcieport). Bridges without a driver do not count.
 * 0, or -EBUSY with a diag that names the first member in the way, its driver and the remedy.
 */
int host_group_viable(const struct host_group *group, struct diag *diag);

/* True when a member bound to this driver ("" for none) alone makes its group not viable. */
bool host_group_driver_blocks(const char *driver);

/* The first region of this kind that overlaps `r`; NULL when there is none. */
const struct host_reserved *host_group_reserved_find(const struct host_group *group,
						     struct range r);
const char *host_reserved_name(enum host_reserved_kind kind);

/* One remapping unit of the host: a DMA remapping engine of VT-d ("dmar0"), AMD-Vi ("ivhd0")... */
enum host_iommu_kind {
	HOST_IOMMU_VTD,
	HOST_IOMMU_AMD,
	HOST_IOMMU_SMMU,
	HOST_IOMMU_VIRTIO,
	HOST_IOMMU_OTHER
};

struct host_iommu {
	char name[32];
	enum host_iommu_kind kind;
	bool has_registers; /* cap and ecap were readable */
	uint64_t cap, ecap; /* VT-d: capability and extended capability; AMD: features in ecap */
};

struct host_iommus {
	struct host_iommu unit[64];
	size_t nr_units; /* more than 64 are counted, not kept */
	bool unknown;	 /* the list could not be read */
};

void host_iommus_read(struct sys *sys, struct host_iommus *out);

/* Name of the unit that translates for a function; -ENOENT when none does. */
int host_iommu_of(struct sys *sys, struct pci_address address, char *name, size_t size);

/*
 * Interrupt remapping, as far as the kernel lets it be seen: remapped interrupt chips have names
 * that begin with IR- in /proc/interrupts. VFIO gives its own answer when a group is attached.
 */
enum host_known host_interrupt_remapping(struct sys *sys);

#endif
