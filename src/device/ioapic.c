// SPDX-License-Identifier: GPL-2.0-or-later
#include "device/ioapic.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bug.h"
#include "base/lock.h"
#include "device/ioapic_regs.h"

#define IOAPIC_STATE_VERSION 1

struct ioapic_pin {
	uint64_t rte;
	uint64_t shares; /* one bit per caller that asserts the pin */
	/* What the machine was last told. */
	struct msi_message route;
	bool routed;
	/*
	 * Read without the lock by the thread that delivers an EOI. An element taken off keeps its
	 * next, so that a walker standing on it goes on; its owner waits for
	 * platform_synchronize().
	 */
	struct irq_eoi *listeners;
};

struct ioapic {
	struct device dev;
	struct platform *platform;
	struct bus_region region;
	const struct ioapic_ops *ops;
	void *opaque;
	uint8_t initial_id;

	struct lock lock; /* everything below */
	uint8_t select;
	uint8_t id;
	struct ioapic_pin pins[IOAPIC_PINS];
	bool routes_changed; /* since the last commit */
};

static struct ioapic *ioapic_of(struct device *dev)
{
	return container_of(dev, struct ioapic, dev);
}

/* The one place where an entry becomes a message; both formats keep their bits (VT-d 5.1.5.1). */
static struct msi_message ioapic_rte_message(uint64_t rte)
{
	bool level = rte & IOAPIC_RTE_LEVEL;
	uint32_t addr = MSI_ADDR_BASE;
	uint32_t data = 0;

	addr |= FIELD_PREP(MSI_ADDR_ENTRY, (uint32_t)FIELD_GET(IOAPIC_RTE_ADDRESS, rte));
	addr |= rte & IOAPIC_RTE_DEST_MODE ? MSI_ADDR_DEST_MODE : 0;
	data |= FIELD_PREP(MSI_DATA_VECTOR, (uint32_t)FIELD_GET(IOAPIC_RTE_VECTOR, rte));
	data |= FIELD_PREP(MSI_DATA_DELIVERY, (uint32_t)FIELD_GET(IOAPIC_RTE_DELIVERY, rte));
	data |= level ? MSI_DATA_LEVEL | MSI_DATA_ASSERT : 0;
	return (struct msi_message){ .addr = addr, .data = data };
}

/*
 * Whether an entry waits for an EOI between two interrupts. SMI, NMI, INIT and ExtINT are never
 * ended, whatever their trigger bit says (82093AA, 3.2.4, delivery mode).
 */
static bool ioapic_rte_is_level(uint64_t rte)
{
	uint64_t delivery = FIELD_GET(IOAPIC_RTE_DELIVERY, rte);

	return (rte & IOAPIC_RTE_LEVEL) &&
	       (delivery == IOAPIC_DELIVERY_FIXED || delivery == IOAPIC_DELIVERY_LOWEST);
}

static uint8_t ioapic_rte_vector(uint64_t rte)
{
	return (uint8_t)FIELD_GET(IOAPIC_RTE_VECTOR, rte);
}

static void ioapic_route_drop_locked(struct ioapic *ioapic, unsigned int pin)
{
	struct ioapic_pin *p = &ioapic->pins[pin];

	if (!p->routed)
		return;
	p->routed = false;
	ioapic->routes_changed = true;
	ioapic->ops->route_set(ioapic->opaque, pin, NULL);
}

/* Brings the pin's route in step with its entry; the caller commits. */
static void ioapic_route_update_locked(struct ioapic *ioapic, unsigned int pin)
{
	struct ioapic_pin *p = &ioapic->pins[pin];
	struct msi_message msg = ioapic_rte_message(p->rte);

	if (!ioapic_rte_is_level(p->rte)) {
		ioapic_route_drop_locked(ioapic, pin);
		return;
	}
	if (p->rte & IOAPIC_RTE_MASKED) {
		/* An interrupt of this vector may still be in service, and its EOI is awaited. */
		if (p->routed && (p->route.data & MSI_DATA_VECTOR) != (msg.data & MSI_DATA_VECTOR))
			ioapic_route_drop_locked(ioapic, pin);
		return;
	}
	if (p->routed && p->route.addr == msg.addr && p->route.data == msg.data)
		return;
	p->route = msg;
	p->routed = true;
	ioapic->routes_changed = true;
	ioapic->ops->route_set(ioapic->opaque, pin, &msg);
}

static void ioapic_commit_locked(struct ioapic *ioapic)
{
	if (!ioapic->routes_changed)
		return;
	ioapic->routes_changed = false;
	ioapic->ops->route_commit(ioapic->opaque);
}

static void ioapic_send_locked(struct ioapic *ioapic, unsigned int pin)
{
	struct msi_message msg = ioapic_rte_message(ioapic->pins[pin].rte);

	/* ExtINT asks the 8259 for a vector, and this machine has none. */
	if (FIELD_GET(IOAPIC_RTE_DELIVERY, ioapic->pins[pin].rte) == IOAPIC_DELIVERY_EXTINT)
		return;
	ioapic->ops->send(ioapic->opaque, pin, &msg);
}

/* Sends a level interrupt that is due: asserted, unmasked, and the last one ended. */
static void ioapic_level_service_locked(struct ioapic *ioapic, unsigned int pin)
{
	struct ioapic_pin *p = &ioapic->pins[pin];

	if (!ioapic_rte_is_level(p->rte) || !p->shares ||
	    (p->rte & (IOAPIC_RTE_MASKED | IOAPIC_RTE_REMOTE_IRR)))
		return;
	p->rte |= IOAPIC_RTE_REMOTE_IRR;
	ioapic_send_locked(ioapic, pin);
}

void ioapic_irq_set(struct ioapic *ioapic, unsigned int pin, unsigned int share, bool level)
{
	struct ioapic_pin *p;
	bool rose;

	if (pin >= IOAPIC_PINS || share >= IRQ_SHARES_MAX)
		return;
	p = &ioapic->pins[pin];
	lock_take(&ioapic->lock);
	rose = level && !p->shares;
	if (level)
		p->shares |= BIT64(share);
	else
		p->shares &= ~BIT64(share);
	if (ioapic_rte_is_level(p->rte))
		ioapic_level_service_locked(ioapic, pin);
	else if (rose && !(p->rte & IOAPIC_RTE_MASKED))
		/* An edge on a masked pin is lost (82093AA, 3.2.4, interrupt mask). */
		ioapic_send_locked(ioapic, pin);
	lock_drop(&ioapic->lock);
}

void ioapic_eoi(struct ioapic *ioapic, uint8_t vector)
{
	uint32_t ended = 0;

	lock_take(&ioapic->lock);
	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++) {
		struct ioapic_pin *p = &ioapic->pins[pin];

		if (!(p->rte & IOAPIC_RTE_REMOTE_IRR) || ioapic_rte_vector(p->rte) != vector)
			continue;
		p->rte &= ~IOAPIC_RTE_REMOTE_IRR;
		ended |= BIT(pin);
	}
	lock_drop(&ioapic->lock);

	for (uint32_t left = ended; left; left &= left - 1) {
		struct ioapic_pin *p = &ioapic->pins[__builtin_ctz(left)];
		struct irq_eoi *eoi = __atomic_load_n(&p->listeners, __ATOMIC_ACQUIRE);

		/* Pairs with the releases in ioapic_eoi_watch() and _unwatch(). */
		for (; eoi; eoi = __atomic_load_n(&eoi->next, __ATOMIC_ACQUIRE))
			eoi->fn(eoi->opaque);
	}
	if (!ended)
		return;

	lock_take(&ioapic->lock);
	for (uint32_t left = ended; left; left &= left - 1)
		ioapic_level_service_locked(ioapic, (unsigned int)__builtin_ctz(left));
	lock_drop(&ioapic->lock);
}

void ioapic_eoi_watch(struct ioapic *ioapic, unsigned int pin, struct irq_eoi *eoi)
{
	if (pin >= IOAPIC_PINS)
		return;
	lock_take(&ioapic->lock);
	eoi->next = ioapic->pins[pin].listeners;
	__atomic_store_n(&ioapic->pins[pin].listeners, eoi, __ATOMIC_RELEASE);
	lock_drop(&ioapic->lock);
}

void ioapic_eoi_unwatch(struct ioapic *ioapic, unsigned int pin, struct irq_eoi *eoi)
{
	if (pin >= IOAPIC_PINS)
		return;
	lock_take(&ioapic->lock);
	for (struct irq_eoi **at = &ioapic->pins[pin].listeners; *at; at = &(*at)->next) {
		if (*at != eoi)
			continue;
		__atomic_store_n(at, eoi->next, __ATOMIC_RELEASE);
		break;
	}
	lock_drop(&ioapic->lock);
}

void ioapic_routes_refresh(struct ioapic *ioapic)
{
	lock_take(&ioapic->lock);
	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++) {
		if (!ioapic->pins[pin].routed)
			continue;
		ioapic->routes_changed = true;
		ioapic->ops->route_set(ioapic->opaque, pin, &ioapic->pins[pin].route);
	}
	ioapic_commit_locked(ioapic);
	lock_drop(&ioapic->lock);
}

static uint32_t ioapic_window_read_locked(const struct ioapic *ioapic)
{
	unsigned int index = ioapic->select;

	switch (index) {
	case IOAPIC_IDX_ID:
	case IOAPIC_IDX_ARB:
		return FIELD_PREP(IOAPIC_ID_MASK, ioapic->id);
	case IOAPIC_IDX_VERSION:
		return IOAPIC_VERSION_20 | FIELD_PREP(IOAPIC_VERSION_MAX, IOAPIC_PINS - 1);
	default:
		break;
	}
	if (index < IOAPIC_IDX_ENTRY || (index - IOAPIC_IDX_ENTRY) / 2 >= IOAPIC_PINS)
		return 0;
	index -= IOAPIC_IDX_ENTRY;
	return (uint32_t)(ioapic->pins[index / 2].rte >> (index & 1 ? 32 : 0));
}

static void ioapic_entry_write_locked(struct ioapic *ioapic, unsigned int pin, bool high,
				      uint32_t value)
{
	struct ioapic_pin *p = &ioapic->pins[pin];
	uint64_t mask = high ? GENMASK64(63, 32) : GENMASK64(31, 0);

	mask &= IOAPIC_RTE_WRITABLE;
	p->rte = (p->rte & ~mask) | ((high ? (uint64_t)value << 32 : value) & mask);
	/* Nothing ends an edge, so nothing is awaited: Linux relies on it to unstick a pin. */
	if (!ioapic_rte_is_level(p->rte))
		p->rte &= ~IOAPIC_RTE_REMOTE_IRR;
	ioapic_route_update_locked(ioapic, pin);
	ioapic_commit_locked(ioapic);
	/* Unmasked, or made level-triggered, while asserted. */
	ioapic_level_service_locked(ioapic, pin);
}

static void ioapic_window_write_locked(struct ioapic *ioapic, uint32_t value)
{
	unsigned int index = ioapic->select;

	if (index == IOAPIC_IDX_ID) {
		ioapic->id = (uint8_t)FIELD_GET(IOAPIC_ID_MASK, value);
		return;
	}
	if (index < IOAPIC_IDX_ENTRY || (index - IOAPIC_IDX_ENTRY) / 2 >= IOAPIC_PINS)
		return;
	index -= IOAPIC_IDX_ENTRY;
	ioapic_entry_write_locked(ioapic, index / 2, index & 1, value);
}

static uint64_t ioapic_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct ioapic *ioapic = opaque;
	uint64_t value = 0;

	lock_take(&ioapic->lock);
	if (offset == IOAPIC_REG_SELECT)
		value = ioapic->select;
	else if (offset == IOAPIC_REG_WINDOW)
		value = ioapic_window_read_locked(ioapic);
	lock_drop(&ioapic->lock);
	return value & bytes_mask(size);
}

static void ioapic_write(void *opaque, uint64_t offset, unsigned int size, uint64_t value)
{
	struct ioapic *ioapic = opaque;

	if (offset == IOAPIC_REG_EOI) {
		ioapic_eoi(ioapic, (uint8_t)value);
		return;
	}
	lock_take(&ioapic->lock);
	if (offset == IOAPIC_REG_SELECT)
		ioapic->select = (uint8_t)value;
	else if (offset == IOAPIC_REG_WINDOW && size >= 4)
		/* "Accessed by dword only" (82093AA, 3.1.2): part of one changes nothing. */
		ioapic_window_write_locked(ioapic, (uint32_t)value);
	lock_drop(&ioapic->lock);
}

static const struct bus_region_ops ioapic_region_ops = {
	.read = ioapic_read,
	.write = ioapic_write,
};

/* The lines keep their level: they belong to the devices. */
static void ioapic_reset(struct device *dev)
{
	struct ioapic *ioapic = ioapic_of(dev);

	lock_take(&ioapic->lock);
	ioapic->select = 0;
	ioapic->id = ioapic->initial_id;
	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++) {
		ioapic->pins[pin].rte = IOAPIC_RTE_RESET;
		ioapic_route_update_locked(ioapic, pin);
	}
	ioapic_commit_locked(ioapic);
	lock_drop(&ioapic->lock);
}

static void ioapic_save(struct device *dev, struct state_writer *w)
{
	struct ioapic *ioapic = ioapic_of(dev);

	lock_take(&ioapic->lock);
	state_begin(w, dev->name, IOAPIC_STATE_VERSION);
	state_put_u8(w, ioapic->select);
	state_put_u8(w, ioapic->id);
	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++) {
		state_put_u64(w, ioapic->pins[pin].rte);
		state_put_u64(w, ioapic->pins[pin].shares);
	}
	state_end(w);
	lock_drop(&ioapic->lock);
}

static int ioapic_load(struct device *dev, struct state_reader *r)
{
	struct ioapic *ioapic = ioapic_of(dev);
	uint64_t rte[IOAPIC_PINS], shares[IOAPIC_PINS];
	uint8_t select, id;

	state_enter(r, dev->name, IOAPIC_STATE_VERSION);
	select = state_get_u8(r);
	id = state_get_u8(r);
	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++) {
		rte[pin] = state_get_u64(r);
		shares[pin] = state_get_u64(r);
		if (rte[pin] & ~(IOAPIC_RTE_WRITABLE | IOAPIC_RTE_REMOTE_IRR))
			r->err = r->err ? r->err : -EPROTO;
		if ((rte[pin] & IOAPIC_RTE_REMOTE_IRR) && !ioapic_rte_is_level(rte[pin]))
			r->err = r->err ? r->err : -EPROTO;
	}
	state_leave(r);
	if (state_reader_status(r))
		return state_reader_status(r);

	lock_take(&ioapic->lock);
	ioapic->select = select;
	ioapic->id = (uint8_t)FIELD_GET(IOAPIC_ID_MASK, FIELD_PREP(IOAPIC_ID_MASK, id));
	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++) {
		ioapic->pins[pin].rte = rte[pin];
		ioapic->pins[pin].shares = shares[pin];
		ioapic_route_update_locked(ioapic, pin);
		/* Saved masked and in service: its EOI still has to be reported. */
		if ((rte[pin] & IOAPIC_RTE_REMOTE_IRR) && !ioapic->pins[pin].routed) {
			ioapic->pins[pin].route = ioapic_rte_message(rte[pin]);
			ioapic->pins[pin].routed = true;
			ioapic->routes_changed = true;
			ioapic->ops->route_set(ioapic->opaque, pin, &ioapic->pins[pin].route);
		}
	}
	ioapic_commit_locked(ioapic);
	lock_drop(&ioapic->lock);
	return 0;
}

static void ioapic_destroy(struct device *dev)
{
	struct ioapic *ioapic = ioapic_of(dev);

	platform_region_remove(ioapic->platform, &ioapic->region);
	platform_synchronize(ioapic->platform);
	lock_fini(&ioapic->lock);
	free(ioapic);
}

static const struct device_ops ioapic_device_ops = {
	.reset = ioapic_reset,
	.save = ioapic_save,
	.load = ioapic_load,
	.destroy = ioapic_destroy,
};

int ioapic_create(struct platform *platform, const struct ioapic_config *config,
		  struct ioapic **out)
{
	struct ioapic *ioapic = calloc(1, sizeof(*ioapic));
	int err;

	if (!ioapic)
		return -ENOMEM;
	ioapic->dev.ops = &ioapic_device_ops;
	snprintf(ioapic->dev.name, sizeof(ioapic->dev.name), "ioapic");
	ioapic->platform = platform;
	ioapic->ops = config->ops;
	ioapic->opaque = config->opaque;
	ioapic->initial_id = config->id;
	ioapic->id = config->id;
	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++)
		ioapic->pins[pin].rte = IOAPIC_RTE_RESET;
	lock_init(&ioapic->lock, LOCK_IRQ_CHIP);
	ioapic->region = (struct bus_region){
		.name = ioapic->dev.name,
		.space = BUS_MMIO,
		.range = range_of(config->base, IOAPIC_SIZE),
		.ops = &ioapic_region_ops,
		.opaque = ioapic,
	};
	err = platform_region_add(platform, &ioapic->region);
	if (err)
		goto err_free;
	*out = ioapic;
	return 0;

err_free:
	lock_fini(&ioapic->lock);
	free(ioapic);
	return err;
}

struct device *ioapic_device(struct ioapic *ioapic)
{
	return &ioapic->dev;
}
