/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The I/O APIC, in user space because KVM runs with a split irqchip: local APICs in the kernel,
 * this here. 24 pins, version 0x20, so with an EOI register.
 *
 * Intel 82093AA I/O APIC data sheet (290566-001), section 3; the EOI register and version 0x20 as
 * in Intel ICH9 (316972-004), section 13.5. Message formats: Intel VT-d 4.1, 5.1.2.1 (remappable)
 * and 5.1.5.1 (how an I/O APIC forms them).
 *
 * How it stands to KVM (Documentation/virt/kvm/api.rst: KVM_CAP_SPLIT_IRQCHIP, KVM_SET_GSI_ROUTING,
 * KVM_EXIT_IOAPIC_EOI). An interrupt leaves as a message through send(). A level interrupt has to
 * come back as an EOI of its vector, and KVM reports an EOI only of vectors which a route of a
 * reserved GSI (one per pin) names with the level bit. So a pin has a route as long as its entry is
 * level-triggered and can fire; an edge-triggered pin needs none and gets none, which spares the
 * kernel a rebuild of its table for most of what a guest writes here. The route stays while the
 * entry is masked: Linux masks an interrupt in service and ends it afterwards.
 */
#ifndef AIRLOCK_DEVICE_IOAPIC_H
#define AIRLOCK_DEVICE_IOAPIC_H

#include "platform/device.h"
#include "platform/platform.h"

#define IOAPIC_BASE 0xfec00000u
#define IOAPIC_SIZE 0x1000u
#define IOAPIC_PINS 24

struct ioapic;

/*
 * What the machine does for its I/O APIC. Called on any thread under LOCK_IRQ_CHIP, so an
 * implementation may take LOCK_IRQ and later ones only, and must not call back.
 *
 * The messages are what the entry says, bit for bit: a machine with interrupt remapping translates
 * them, with the I/O APIC's source id, before they go to KVM.
 */
struct ioapic_ops {
	/* The pin's route from the next commit on; NULL: it has none. */
	void (*route_set)(void *opaque, unsigned int pin, const struct msi_message *msg);
	void (*route_commit)(void *opaque);
	/* Delivers one message, now. */
	void (*send)(void *opaque, unsigned int pin, const struct msi_message *msg);
};

struct ioapic_config {
	uint64_t base; /* guest-physical */
	uint8_t id;    /* as in the MADT; 4 bits */
	const struct ioapic_ops *ops;
	void *opaque;
};

/* 0 or -errno. Claims its registers in platform. */
int ioapic_create(struct platform *platform, const struct ioapic_config *config,
		  struct ioapic **out);

/* Owned by the ioapic; its destroy ends both. */
struct device *ioapic_device(struct ioapic *ioapic);

/*
 * The machine's irq_set: level of `share` of a pin (share < IRQ_SHARES_MAX). A pin is asserted
 * while any share is. Pins and shares that do not exist are ignored. Any thread, under a device's
 * lock or none.
 */
void ioapic_irq_set(struct ioapic *ioapic, unsigned int pin, unsigned int share, bool level);

/*
 * The guest ended `vector` (KVM_EXIT_IOAPIC_EOI). Listeners of the pins concerned run first, so
 * that one which drops its level here prevents the interrupt from being sent again; a pin still
 * asserted is. vCPU thread, no lock held.
 */
void ioapic_eoi(struct ioapic *ioapic, uint8_t vector);

/* The machine's irq_eoi_watch and irq_eoi_unwatch: see platform.h. Any thread. */
void ioapic_eoi_watch(struct ioapic *ioapic, unsigned int pin, struct irq_eoi *eoi);
void ioapic_eoi_unwatch(struct ioapic *ioapic, unsigned int pin, struct irq_eoi *eoi);

/*
 * Sets every live route again, with one commit: what their messages translate to has changed (the
 * interrupt-remapping table's cache was invalidated).
 */
void ioapic_routes_refresh(struct ioapic *ioapic);

#endif
