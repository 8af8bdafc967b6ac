/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupt routes: which message the kernel delivers for a GSI. The first IRQ_PINS GSIs are the
 * pins of the user-space I/O APIC, as the split irqchip wants it: each pin has an MSI route kept in
 * step with its redirection entry, which is how KVM knows the level-triggered vectors whose end it
 * must report. The rest are handed out to devices.
 *
 * Messages are a device's own. A route holds what its IOMMU makes of its message at the time, and
 * follows (irq_routes_follow()) when the guest changes that.
 *
 * KVM_SET_GSI_ROUTING replaces the whole table, so changes are gathered and committed together.
 * Source: Linux Documentation/virt/kvm/api.rst, 4.52 and 7.5.
 */
#ifndef AIRLOCK_MACHINE_IRQ_H
#define AIRLOCK_MACHINE_IRQ_H

#include <stdatomic.h>

#include "base/lock.h"
#include "iommu/ops.h"
#include "platform/platform.h"

#define IRQ_PINS 24

struct irq_route {
	bool used; /* the GSI is handed out */
	bool set;  /* it has a message */
	bool live; /* which leads somewhere: the IOMMU lets it through, to `to` */
	rid_t rid;
	struct iommu *iommu;	/* that its messages go through */
	struct msi_message msg; /* as the device writes it */
	struct msi_message to;
};

struct irq_routes {
	struct sys *sys;
	int vm_fd;	  /* borrowed */
	struct lock lock; /* LOCK_IRQ; all below */
	unsigned int nr;  /* GSIs the kernel has */
	struct irq_route *routes;
	struct kvm_irq_routing *table; /* scratch for the commit, sized for nr */
	bool dirty;
	uint64_t nr_commits; /* figures */
	atomic_ullong nr_sent;
	/* What the I/O APIC's messages go through, and whose they are. Constant after creation. */
	struct iommu *pin_iommu;
	rid_t pin_rid;
};

/* limit: what KVM_CAP_IRQ_ROUTING answered. iommu: for the pins. 0 or -errno. */
int irq_routes_init(struct irq_routes *irq, struct sys *sys, int vm_fd, unsigned int limit,
		    struct iommu *iommu);
void irq_routes_fini(struct irq_routes *irq);

/* The I/O APIC is behind this unit, as requester `rid`. Before any route is set. */
void irq_routes_guard(struct irq_routes *irq, struct iommu *iommu, rid_t rid);
/* What messages through this unit become has changed: all routes are looked up again, and committed. */
int irq_routes_follow(struct irq_routes *irq, const struct iommu *iommu);

/* The message of a pin; valid = false takes the route away (a masked entry). */
void irq_pin_set(struct irq_routes *irq, unsigned int pin, bool valid, struct msi_message msg);
/* See platform.h. */
int irq_msi_alloc(struct irq_routes *irq, struct iommu *iommu, rid_t rid, msi_route_t *route);
void irq_msi_free(struct irq_routes *irq, msi_route_t route);
void irq_msi_set(struct irq_routes *irq, msi_route_t route, struct msi_message msg);
void irq_msi_requester(struct irq_routes *irq, msi_route_t route, rid_t rid);
int irq_msi_attach(struct irq_routes *irq, msi_route_t route, int eventfd);
void irq_msi_detach(struct irq_routes *irq, msi_route_t route, int eventfd);
int irq_commit(struct irq_routes *irq);
/* One interrupt through the unit, now: 0 too when it is refused or posted. */
int irq_send(struct irq_routes *irq, struct iommu *iommu, rid_t rid, struct msi_message msg);
/* The same of the I/O APIC. */
int irq_pin_send(struct irq_routes *irq, struct msi_message msg);
/* A message that is not remapped: a unit's own. */
int irq_send_plain(struct irq_routes *irq, struct msi_message msg);

#endif
