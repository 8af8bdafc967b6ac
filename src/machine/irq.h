/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupt routes: which message the kernel delivers for a GSI. The first IRQ_PINS GSIs are the
 * pins of the user-space I/O APIC, as the split irqchip wants it: each pin has an MSI route kept in
 * step with its redirection entry, which is how KVM knows the level-triggered vectors whose end it
 * must report. The rest are handed out to devices.
 *
 * KVM_SET_GSI_ROUTING replaces the whole table, so changes are gathered and committed together.
 * Source: Linux Documentation/virt/kvm/api.rst, 4.52 and 7.5.
 */
#ifndef AIRLOCK_MACHINE_IRQ_H
#define AIRLOCK_MACHINE_IRQ_H

#include "base/lock.h"
#include "platform/platform.h"

#define IRQ_PINS 24

struct irq_route {
	bool used; /* the GSI is handed out */
	bool set;  /* it has a message */
	rid_t rid;
	struct msi_message msg;
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
};

/* limit: what KVM_CAP_IRQ_ROUTING answered. 0 or -errno. */
int irq_routes_init(struct irq_routes *irq, struct sys *sys, int vm_fd, unsigned int limit);
void irq_routes_fini(struct irq_routes *irq);

/* The message of a pin; valid = false takes the route away (a masked entry). */
void irq_pin_set(struct irq_routes *irq, unsigned int pin, bool valid, struct msi_message msg);
/* See platform.h. */
int irq_msi_alloc(struct irq_routes *irq, rid_t rid, msi_route_t *route);
void irq_msi_free(struct irq_routes *irq, msi_route_t route);
void irq_msi_set(struct irq_routes *irq, msi_route_t route, struct msi_message msg);
int irq_msi_attach(struct irq_routes *irq, msi_route_t route, int eventfd);
void irq_msi_detach(struct irq_routes *irq, msi_route_t route, int eventfd);
int irq_commit(struct irq_routes *irq);
int irq_send(struct irq_routes *irq, rid_t rid, struct msi_message msg);

#endif
