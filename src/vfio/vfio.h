/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Passed-through PCI devices by the kernel's VFIO: what the machine needs of the room.
 *
 *	vfio_pci_plan()		look, without opening anything
 *	vfio_context_create()	one per VM: an IOMMU address space for its devices
 *	vfio_pci_create()	for each device: open, reset, virtualise
 *	pci_function_attach(vfio_pci_function(dev), ...)
 *	vfio_context_map_start() guest RAM becomes reachable; devices may master the bus from here
 *	... run ...
 *	dev->ops->destroy(dev)	for each device: detached, quiet, reset, closed
 *	vfio_context_destroy()
 *
 * Everything here runs on the loop thread, or before the loop runs, with no lock held. Inside, the
 * context's list of devices and groups is changed under the fabric's lock, for a guest's reset of one
 * device looks at the others.
 *
 * Source: linux/vfio.h and Documentation/driver-api/vfio.rst.
 */
#ifndef AIRLOCK_VFIO_VFIO_H
#define AIRLOCK_VFIO_VFIO_H

#include "base/diag.h"
#include "dma/map.h"
#include "host/group.h"
#include "host/pci.h"
#include "pci/function.h"
#include "platform/device.h"
#include "platform/platform.h"

struct vfio_context;

struct vfio_context_config {
	struct platform *platform;
	const char *container; /* "fd=N": opened by someone else; NULL: opened here */
	/*
	 * KVM is told of every group, so that it knows whether DMA is coherent with the guest's
	 * caches. machine/ owns KVM; 0 or -errno. Both NULL where there is no KVM.
	 */
	int (*kvm_attach)(void *opaque, int group_fd);
	void (*kvm_detach)(void *opaque, int group_fd);
	/* vfio_context_map_start() could not do it; devices stay without DMA. Any thread. */
	void (*map_failed)(void *opaque, const struct diag *diag);
	/*
	 * A device has interrupts of the host's that it had not before. Any thread, with the device's
	 * lock held: file it and return. May be NULL.
	 */
	void (*irqs_changed)(void *opaque);
	void *opaque;
};

/* Opens nothing yet. 0, or -ENOMEM with diag filled. */
int vfio_context_create(const struct vfio_context_config *config, struct vfio_context **context,
			struct diag *diag);
/* Calls fn with each device's name on the host. Loop thread. */
void vfio_context_names(struct vfio_context *context, void (*fn)(void *opaque, const char *name),
			void *opaque);
/* Its devices have been destroyed. Unmaps, lets the groups go, closes. */
void vfio_context_destroy(struct vfio_context *context);
/*
 * Grants guest RAM to the context's devices and from then on lets them master the bus. Once, after
 * the devices of the start were created (no device: nothing to do); a device created later finds the
 * mappings in place. 0, or -errno with diag filled and nothing mapped.
 */
int vfio_context_map(struct vfio_context *context, struct diag *diag);
/*
 * The same on a thread of its own, since pinning memory takes seconds and the guest has much to do
 * before it needs DMA: until the mappings are there, a guest that switches bus mastering on is held
 * at that write. A failure is reported by map_failed, on that thread. 0 or -errno with diag filled.
 */
int vfio_context_map_start(struct vfio_context *context, struct diag *diag);
/*
 * Whether devices may master the bus. Waits while the mappings are being made: a guest that wants
 * DMA before they are there is held at that register write. Any thread; takes LOCK_LEAF.
 */
bool vfio_context_mapped(struct vfio_context *context);
/* False when a device may bypass the caches (no-snoop) and the IOMMU does not prevent it. */
bool vfio_context_coherent(const struct vfio_context *context);
/* How long vfio_context_map(_start) took to make guest RAM reachable; 0: not done. Any thread. */
uint64_t vfio_context_map_ns(const struct vfio_context *context);
/* Of all address spaces together. Loop thread. */
void vfio_context_dma_stats(struct vfio_context *context, struct dma_stats *stats);

struct vfio_pci_config {
	struct pci_address host;
	const char *group;    /* "fd=N": descriptor of its group; NULL: opened here */
	const char *vf_token; /* UUID agreed with the PF's user-space driver; NULL: none */
	const char *rom_file; /* expansion ROM instead of the device's; NULL: the device's */
	bool rom_off;	      /* no expansion ROM at all */
	/*
	 * The platform behind whose IOMMU it is (platform->iommu): what the guest's tables map for
	 * it, and nothing else, is mapped for it on the host. NULL: outside, and all of RAM is.
	 */
	struct platform *guard;
	/* On the root bus itself the PCI Express type is a root complex integrated endpoint. */
	bool on_root_bus;
	/* Takes the risk that nothing resets the device between its users; logged. */
	bool allow_no_reset;
	/*
	 * The host asks for the device back. Loop thread. The owner removes it from the guest and
	 * destroys it, in bounded time. NULL: it is taken from the guest at once as if pulled out,
	 * reset and closed; the husk stays until destroy.
	 */
	void (*released)(void *opaque, struct device *dev);
	void *opaque;
};

/*
 * Opens the function through its group, checks the group rule, resets the device and builds what
 * the guest will see. 0, or -errno with diag filled and everything as before. The device is
 * not on a bus yet: attach vfio_pci_function(), then hand *dev to the machine's list. Destroy
 * detaches the function if it is still attached.
 */
int vfio_pci_create(struct vfio_context *context, const struct vfio_pci_config *config,
		    struct diag *diag, struct device **dev);
struct pci_function *vfio_pci_function(struct device *dev);
/* Whether a device of the machine's is a passed-through one. */
bool vfio_pci_is(const struct device *dev);

struct vfio_pci_stats {
	uint64_t nr_config;	/* config accesses that reached the device */
	uint64_t nr_intx;	/* INTx interrupts delivered */
	uint64_t nr_msi;	/* MSI and MSI-X interrupts, as the host's kernel counts them */
	uint64_t nr_irq_setups; /* times MSI or MSI-X was enabled or resized */
	uint64_t nr_resets;
	unsigned int nr_vectors;  /* MSI or MSI-X vectors in use now */
	const char *reset_method; /* of the last reset: "flr"; never NULL */
	bool stopped, released;	  /* by an error; given back */
};
void vfio_pci_stats(struct device *dev, struct vfio_pci_stats *stats);
/*
 * Interrupts the host has delivered on vector n since it was enabled. They go past this process,
 * so the number is the kernel's (/proc/interrupts). -ENOENT when the vector is not in use.
 */
int vfio_pci_vector_count(struct device *dev, unsigned int n, uint64_t *count);

/* What would be done with a device, found without opening or changing anything. */
struct vfio_plan_bar {
	uint64_t size;	 /* 0: not implemented */
	uint64_t direct; /* bytes the guest will reach without an exit */
	const char *why; /* why not all of it: static text; NULL when all is direct */
};

struct vfio_plan_hidden {
	bool extended;
	uint16_t id, offset;
	const char *name, *reason; /* static text */
};

#define VFIO_PLAN_HIDDEN_MAX 48

struct vfio_pci_plan {
	struct host_function function; /* address, ids, driver, how it can be reset */
	struct host_group group;       /* members and their drivers */
	struct vfio_plan_bar bars[PCI_BARS];
	uint64_t rom_size;
	unsigned int nr_msix, nr_msi; /* vectors */
	bool intx;
	enum host_known remapped; /* the host's interrupts; unknown where it was not asked */
	bool unsafe_interrupts;	  /* they are not, and the host's owner takes that risk */
	bool config_unknown;	  /* not allowed to read the capabilities: hidden[] is empty */
	unsigned int nr_hidden;
	struct vfio_plan_hidden hidden[VFIO_PLAN_HIDDEN_MAX];
};

/* Told of one refusal after the other. */
typedef void (*vfio_refuse_fn)(void *opaque, const struct diag *diag);

/*
 * Fills plan; refuses what vfio_pci_create() would refuse as far as that can be seen from outside:
 * no such device, bound to another driver, group not viable, no IOMMU, no reset, memory that the
 * firmware keeps for it. The first refusal is in diag; or, where `refuse` is given, each goes there
 * (and into diag only what keeps the device from being looked at), and the plan is filled all the
 * same, with a look at the host's interrupt remapping, which takes reading large files.
 * Whatever it returns plan is given to vfio_pci_plan_fini().
 */
int vfio_pci_plan(struct sys *sys, const struct vfio_pci_config *config, struct vfio_pci_plan *plan,
		  vfio_refuse_fn refuse, void *opaque, struct diag *diag);
void vfio_pci_plan_fini(struct vfio_pci_plan *plan);

#endif
