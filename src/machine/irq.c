// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/irq.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/bug.h"
#include "base/trace.h"

/* More than this many routes no machine of ours needs; the table is rewritten at each commit. */
#define IRQ_ROUTES_MAX 4096

int irq_routes_init(struct irq_routes *irq, struct sys *sys, int vm_fd, unsigned int limit,
		    struct iommu *iommu)
{
	memset(irq, 0, sizeof(*irq));
	if (limit <= IRQ_PINS)
		return -ENOTSUP;
	irq->nr = (unsigned int)min_u64(limit, IRQ_ROUTES_MAX);
	irq->routes = calloc(irq->nr, sizeof(*irq->routes));
	irq->table = calloc(1, sizeof(*irq->table) + irq->nr * sizeof(irq->table->entries[0]));
	if (!irq->routes || !irq->table) {
		free(irq->routes);
		free(irq->table);
		return -ENOMEM;
	}
	irq->sys = sys;
	irq->vm_fd = vm_fd;
	lock_init(&irq->lock, LOCK_IRQ);
	for (unsigned int pin = 0; pin < IRQ_PINS; pin++)
		irq->routes[pin].used = true;
	irq_routes_guard(irq, iommu, (rid_t){ 0 });
	return 0;
}

void irq_routes_guard(struct irq_routes *irq, struct iommu *iommu, rid_t rid)
{
	irq->pin_iommu = iommu;
	irq->pin_rid = rid;
	for (unsigned int pin = 0; pin < IRQ_PINS; pin++) {
		irq->routes[pin].iommu = iommu;
		irq->routes[pin].rid = rid;
	}
}

void irq_routes_fini(struct irq_routes *irq)
{
	if (!irq->routes)
		return;
	lock_fini(&irq->lock);
	free(irq->routes);
	free(irq->table);
	irq->routes = NULL;
}

/*
 * A destination's upper bits are address bits 63 to 40. With a bit in between, the write goes to memory
 * and is no interrupt; and KVM would refuse the whole table for it (KVM_CAP_X2APIC_API).
 */
static bool irq_is_interrupt(const struct msi_message *msg)
{
	return !(msg->addr & GENMASK64(39, 32));
}

/*
 * Looked up under the lock, so that of a change of entries and a change of the message the later one
 * stands.
 */
static void irq_route_resolve(struct irq_routes *irq, struct irq_route *r)
{
	struct msi_message to = { 0 };
	bool live = r->set && !r->iommu->ops->route(r->iommu, r->rid, &r->msg, &to) &&
		    irq_is_interrupt(&to);

	if (live == r->live && (!live || (r->to.addr == to.addr && r->to.data == to.data)))
		return;
	r->live = live;
	r->to = to;
	irq->dirty = true;
}

static void irq_route_write(struct irq_routes *irq, unsigned int gsi, bool set,
			    struct msi_message msg)
{
	struct irq_route *r = &irq->routes[gsi];

	r->set = set;
	r->msg = msg;
	irq_route_resolve(irq, r);
}

int irq_routes_follow(struct irq_routes *irq, const struct iommu *iommu)
{
	lock_take(&irq->lock);
	for (unsigned int gsi = 0; gsi < irq->nr; gsi++) {
		struct irq_route *r = &irq->routes[gsi];

		if (r->set && r->iommu == iommu)
			irq_route_resolve(irq, r);
	}
	lock_drop(&irq->lock);
	return irq_commit(irq);
}

void irq_pin_set(struct irq_routes *irq, unsigned int pin, bool valid, struct msi_message msg)
{
	BUG_ON(pin >= IRQ_PINS);
	lock_take(&irq->lock);
	irq_route_write(irq, pin, valid, msg);
	lock_drop(&irq->lock);
}

int irq_msi_alloc(struct irq_routes *irq, struct iommu *iommu, rid_t rid, msi_route_t *route)
{
	int err = -ENOSPC;

	lock_take(&irq->lock);
	for (unsigned int gsi = IRQ_PINS; gsi < irq->nr; gsi++) {
		if (irq->routes[gsi].used)
			continue;
		irq->routes[gsi] = (struct irq_route){ .used = true, .rid = rid, .iommu = iommu };
		route->gsi = (int)gsi;
		err = 0;
		break;
	}
	lock_drop(&irq->lock);
	return err;
}

static struct irq_route *irq_route_of(struct irq_routes *irq, msi_route_t route)
{
	BUG_ON(route.gsi < IRQ_PINS || (unsigned int)route.gsi >= irq->nr);
	BUG_ON(!irq->routes[route.gsi].used);
	return &irq->routes[route.gsi];
}

void irq_msi_free(struct irq_routes *irq, msi_route_t route)
{
	lock_take(&irq->lock);
	irq_route_of(irq, route);
	/* The kernel keeps the entry until the next commit; nothing raises it any more. */
	irq_route_write(irq, (unsigned int)route.gsi, false, (struct msi_message){ 0 });
	irq->routes[route.gsi].used = false;
	lock_drop(&irq->lock);
}

void irq_msi_set(struct irq_routes *irq, msi_route_t route, struct msi_message msg)
{
	lock_take(&irq->lock);
	irq_route_of(irq, route);
	irq_route_write(irq, (unsigned int)route.gsi, true, msg);
	lock_drop(&irq->lock);
}

void irq_msi_requester(struct irq_routes *irq, msi_route_t route, rid_t rid)
{
	struct irq_route *r;

	lock_take(&irq->lock);
	r = irq_route_of(irq, route);
	r->rid = rid;
	/* What the unit makes of the message depends on who sends it. */
	irq_route_resolve(irq, r);
	lock_drop(&irq->lock);
}

static int irq_fd(struct irq_routes *irq, msi_route_t route, int eventfd, uint32_t flags)
{
	struct kvm_irqfd irqfd = {
		.fd = (uint32_t)eventfd,
		.gsi = (uint32_t)route.gsi,
		.flags = flags,
	};

	return sys_ioctl(irq->sys, irq->vm_fd, KVM_IRQFD, &irqfd);
}

int irq_msi_attach(struct irq_routes *irq, msi_route_t route, int eventfd)
{
	return irq_fd(irq, route, eventfd, 0);
}

void irq_msi_detach(struct irq_routes *irq, msi_route_t route, int eventfd)
{
	/* Cannot fail for a pair that was attached. */
	irq_fd(irq, route, eventfd, KVM_IRQFD_FLAG_DEASSIGN);
}

int irq_commit(struct irq_routes *irq)
{
	unsigned int n = 0;
	int err = 0;

	lock_take(&irq->lock);
	if (!irq->dirty)
		goto out;
	for (unsigned int gsi = 0; gsi < irq->nr; gsi++) {
		const struct irq_route *r = &irq->routes[gsi];

		if (!r->live)
			continue;
		irq->table->entries[n++] = (struct kvm_irq_routing_entry){
			.gsi = gsi,
			.type = KVM_IRQ_ROUTING_MSI,
			.u.msi = {
				.address_lo = (uint32_t)r->to.addr,
				.address_hi = (uint32_t)(r->to.addr >> 32),
				.data = r->to.data,
			},
		};
	}
	irq->table->nr = n;
	err = sys_ioctl(irq->sys, irq->vm_fd, KVM_SET_GSI_ROUTING, irq->table);
	trace_irq_commit(n, err);
	if (!err) {
		irq->dirty = false;
		irq->nr_commits++;
	}
out:
	lock_drop(&irq->lock);
	return err;
}

int irq_send_plain(struct irq_routes *irq, struct msi_message msg)
{
	struct kvm_msi msi = {
		.address_lo = (uint32_t)msg.addr,
		.address_hi = (uint32_t)(msg.addr >> 32),
		.data = msg.data,
	};
	int r = sys_ioctl(irq->sys, irq->vm_fd, KVM_SIGNAL_MSI, &msi);

	atomic_fetch_add_explicit(&irq->nr_sent, 1, memory_order_relaxed);
	/* 0: the guest's APIC blocked it, which is the guest's affair. */
	return r < 0 ? r : 0;
}

int irq_send(struct irq_routes *irq, struct iommu *iommu, rid_t rid, struct msi_message msg)
{
	struct msi_message to;

	return iommu_remap(iommu, rid, &msg, &to) ? 0 : irq_send_plain(irq, to);
}

int irq_pin_send(struct irq_routes *irq, struct msi_message msg)
{
	return irq_send(irq, irq->pin_iommu, irq->pin_rid, msg);
}
