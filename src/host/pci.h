/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PCI functions of this host, read from sysfs through the seam. Nothing here writes. All text
 * that comes from sysfs is bounded and may be missing or nonsense: what could not be read is
 * marked in `unknown` and never taken for absent.
 */
#ifndef AIRLOCK_HOST_PCI_H
#define AIRLOCK_HOST_PCI_H

#include "base/diag.h"
#include "host/address.h"
#include "host/config.h"
#include "sys/sys.h"

#define HOST_NR_BARS 6

enum host_bar_kind { HOST_BAR_NONE, HOST_BAR_IO, HOST_BAR_MEM32, HOST_BAR_MEM64 };

struct host_bar {
	enum host_bar_kind kind;
	bool prefetchable;
	bool assigned; /* the host gave it an address */
	uint64_t base; /* in the CPU's physical address space */
	uint64_t len;  /* bytes; 0 with HOST_BAR_NONE */
};

/* Parts of a function that could not be read. */
#define HOST_UNKNOWN_IDS       0x01
#define HOST_UNKNOWN_CONFIG    0x02
#define HOST_UNKNOWN_RESOURCES 0x04
#define HOST_UNKNOWN_RESET     0x08
#define HOST_UNKNOWN_GROUP     0x10
#define HOST_UNKNOWN_DRIVER    0x20

struct host_function {
	struct pci_address address;
	char name[PCI_ADDRESS_TEXT]; /* the address as text */
	unsigned int unknown;	     /* HOST_UNKNOWN_* */

	uint16_t vendor, device, subsystem_vendor, subsystem_device;
	uint32_t class_code; /* 24 bits: base class, sub-class, programming interface */
	uint8_t revision;
	bool enabled;

	char driver[32]; /* empty: bound to none */
	int group;	 /* IOMMU group, or -1 */
	int numa_node;	 /* or -1 where the platform does not say */
	bool is_vf;
	struct pci_address physfn; /* where is_vf */
	bool has_parent;	   /* false on a root bus */
	struct pci_address parent; /* the bridge whose secondary side it is on */
	bool has_owner;		   /* its whole segment hangs off another function (Intel VMD), */
	struct pci_address owner;  /* which does DMA in its name */
	uint16_t sriov_total, sriov_vfs;

	/*
	 * How the kernel can reset it, in the order it would try: "flr bus". Empty: there is no way
	 * (unless HOST_UNKNOWN_RESET). "yes": there is one, but the kernel does not say which.
	 */
	char reset[64];
	struct host_bar bar[HOST_NR_BARS];
	struct host_bar rom;
	struct host_config config;
};

struct host_inventory {
	struct host_function *function; /* owned; ascending by address */
	size_t nr_functions;
	size_t nr_vanished; /* listed, but gone when read */
	size_t nr_unnamed;  /* entries whose name is no PCI address */
};

/*
 * Reads one function. -ENODEV when there is none (or it went away while read), with the reason in
 * diag; parts that cannot be read are marked, not refused.
 */
int host_function_read(struct sys *sys, struct pci_address address, struct host_function *out,
		       struct diag *diag);

/*
 * Reads all functions of the host. On 0 the caller owns *out and gives it to
 * host_inventory_fini(); on an error there is nothing to free.
 */
int host_inventory_read(struct sys *sys, struct host_inventory *out, struct diag *diag);
void host_inventory_fini(struct host_inventory *inventory);

/* Binary search; NULL when there is no such function. Borrowed from the inventory. */
const struct host_function *host_inventory_find(const struct host_inventory *inventory,
						struct pci_address address);

/*
 * Turns what a person wrote into a function's address: short forms are completed, and a form with
 * no function given must name one that exists. -EINVAL (malformed) or -ENODEV with diag filled.
 */
int host_address_resolve(struct sys *sys, const char *text, struct pci_address *out,
			 struct diag *diag);

/* True for vfio-pci and the variant drivers built on it. */
bool host_driver_is_vfio(const char *driver);

/* True for a bridge or port: it carries other functions and cannot be given to a VM. */
bool host_function_is_bridge(const struct host_function *function);

#endif
