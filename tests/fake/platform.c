// SPDX-License-Identifier: GPL-2.0-or-later
#include "fake/platform.h"

#include <errno.h>
#include <string.h>

#include "base/bug.h"
#include "base/endian.h"

static struct fake_platform *fake_of(struct platform *p)
{
	return container_of(p, struct fake_platform, platform);
}

static void fake_lock(struct fake_platform *fake)
{
	BUG_ON(pthread_mutex_lock(&fake->mutex));
}

static void fake_unlock(struct fake_platform *fake)
{
	BUG_ON(pthread_mutex_unlock(&fake->mutex));
}

/* 0, or the error this call was told to fail with. */
static int fake_call(struct fake_platform *fake)
{
	return ++fake->nr_calls == fake->fail_at ? fake->fail_err : 0;
}

static bool range_is_sane(struct range r)
{
	return r.first <= r.last;
}

static int fake_region_add(struct platform *p, struct bus_region *region)
{
	struct fake_platform *fake = fake_of(p);
	int err;

	BUG_ON(!region->ops || !region->ops->read || !region->ops->write || !region->name);
	BUG_ON(!range_is_sane(region->range));
	fake_lock(fake);
	err = fake_call(fake);
	for (struct bus_region *r = fake->regions; r && !err; r = r->next) {
		BUG_ON(r == region);
		if (r->space == region->space && range_overlaps(r->range, region->range))
			err = -EBUSY;
	}
	if (!err) {
		region->next = fake->regions;
		fake->regions = region;
	}
	fake_unlock(fake);
	return err;
}

static void fake_region_remove(struct platform *p, struct bus_region *region)
{
	struct fake_platform *fake = fake_of(p);
	struct bus_region **r;

	fake_lock(fake);
	for (r = &fake->regions; *r && *r != region; r = &(*r)->next)
		;
	BUG_ON(!*r);
	*r = region->next;
	region->next = NULL;
	fake_unlock(fake);
}

static void fake_synchronize(struct platform *p)
{
	fake_of(p)->nr_synchronize++;
}

static bool bell_is(const struct doorbell *a, const struct doorbell *b)
{
	return a->space == b->space && a->addr == b->addr && a->size == b->size &&
	       a->match == b->match && (!a->match || a->value == b->value);
}

static int fake_doorbell_add(struct platform *p, const struct doorbell *bell)
{
	struct fake_platform *fake = fake_of(p);
	int err;

	fake_lock(fake);
	err = fake_call(fake);
	for (unsigned int i = 0; i < fake->nr_bells && !err; i++) {
		if (bell_is(&fake->bells[i], bell))
			err = -EEXIST;
	}
	if (!err && fake->nr_bells == FAKE_BELLS)
		err = -ENOSPC;
	if (!err)
		fake->bells[fake->nr_bells++] = *bell;
	fake_unlock(fake);
	return err;
}

static void fake_doorbell_remove(struct platform *p, const struct doorbell *bell)
{
	struct fake_platform *fake = fake_of(p);
	unsigned int i;

	fake_lock(fake);
	for (i = 0; i < fake->nr_bells && !bell_is(&fake->bells[i], bell); i++)
		;
	BUG_ON(i == fake->nr_bells);
	fake->bells[i] = fake->bells[--fake->nr_bells];
	fake_unlock(fake);
}

static void fake_irq_set(struct platform *p, unsigned int pin, unsigned int share, bool level)
{
	struct fake_platform *fake = fake_of(p);

	BUG_ON(pin >= FAKE_PINS || share >= IRQ_SHARES_MAX);
	fake_lock(fake);
	if (level)
		__atomic_fetch_or(&fake->pins[pin], BIT64(share), __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(&fake->pins[pin], ~BIT64(share), __ATOMIC_RELAXED);
	fake_unlock(fake);
}

static void fake_irq_eoi_watch(struct platform *p, unsigned int pin, struct irq_eoi *eoi)
{
	struct fake_platform *fake = fake_of(p);

	BUG_ON(pin >= FAKE_PINS);
	fake_lock(fake);
	eoi->next = fake->eoi[pin];
	fake->eoi[pin] = eoi;
	fake_unlock(fake);
}

static void fake_irq_eoi_unwatch(struct platform *p, unsigned int pin, struct irq_eoi *eoi)
{
	struct fake_platform *fake = fake_of(p);
	struct irq_eoi **e;

	BUG_ON(pin >= FAKE_PINS);
	fake_lock(fake);
	for (e = &fake->eoi[pin]; *e && *e != eoi; e = &(*e)->next)
		;
	BUG_ON(!*e);
	*e = eoi->next;
	fake_unlock(fake);
}

static struct fake_route *fake_route(struct fake_platform *fake, msi_route_t route)
{
	BUG_ON(route.gsi < 0 || route.gsi >= FAKE_ROUTES || !fake->routes[route.gsi].used);
	return &fake->routes[route.gsi];
}

static int fake_msi_alloc(struct platform *p, rid_t rid, msi_route_t *route)
{
	struct fake_platform *fake = fake_of(p);
	int err, i;

	fake_lock(fake);
	err = fake_call(fake);
	for (i = 0; i < FAKE_ROUTES && fake->routes[i].used; i++)
		;
	if (!err && i == FAKE_ROUTES)
		err = -ENOSPC;
	if (!err) {
		fake->routes[i] = (struct fake_route){ .used = true, .rid = rid, .eventfd = -1 };
		*route = (msi_route_t){ i };
	}
	fake_unlock(fake);
	return err;
}

static void fake_msi_free(struct platform *p, msi_route_t route)
{
	struct fake_platform *fake = fake_of(p);

	fake_lock(fake);
	BUG_ON(fake_route(fake, route)->eventfd >= 0);
	fake_route(fake, route)->used = false;
	fake_unlock(fake);
}

static void fake_msi_set(struct platform *p, msi_route_t route, struct msi_message msg)
{
	struct fake_platform *fake = fake_of(p);

	fake_lock(fake);
	fake_route(fake, route)->msg = msg;
	fake_route(fake, route)->set = true;
	fake_unlock(fake);
}

static void fake_msi_requester(struct platform *p, msi_route_t route, rid_t rid)
{
	struct fake_platform *fake = fake_of(p);

	fake_lock(fake);
	BUG_ON(!fake->routes[route.gsi].used);
	fake->routes[route.gsi].rid = rid;
	fake_unlock(fake);
}

static int fake_msi_commit(struct platform *p)
{
	struct fake_platform *fake = fake_of(p);
	int err;

	fake_lock(fake);
	err = fake_call(fake);
	for (unsigned int i = 0; i < FAKE_ROUTES && !err; i++) {
		struct fake_route *r = &fake->routes[i];

		if (r->used && r->set) {
			r->live = r->msg;
			r->committed = true;
		}
	}
	fake->nr_commits++;
	fake_unlock(fake);
	return err;
}

static int fake_msi_attach(struct platform *p, msi_route_t route, int eventfd)
{
	struct fake_platform *fake = fake_of(p);
	int err;

	BUG_ON(eventfd < 0);
	fake_lock(fake);
	err = fake_call(fake);
	if (!err && fake_route(fake, route)->eventfd >= 0)
		err = -EBUSY;
	if (!err)
		fake_route(fake, route)->eventfd = eventfd;
	fake_unlock(fake);
	return err;
}

static void fake_msi_detach(struct platform *p, msi_route_t route, int eventfd)
{
	struct fake_platform *fake = fake_of(p);

	fake_lock(fake);
	BUG_ON(fake_route(fake, route)->eventfd != eventfd);
	fake_route(fake, route)->eventfd = -1;
	fake_unlock(fake);
}

static int fake_msi_send(struct platform *p, rid_t rid, struct msi_message msg)
{
	struct fake_platform *fake = fake_of(p);
	struct msi_message out;
	int err;

	if (iommu_remap(p->iommu, rid, &msg, &out))
		return 0;
	fake_lock(fake);
	err = fake_call(fake);
	if (!err) {
		if (fake->nr_sent < FAKE_MESSAGES)
			fake->sent[fake->nr_sent] = (struct fake_message){ rid, out };
		fake->nr_sent++;
	}
	fake_unlock(fake);
	return err;
}

static int fake_slot_add(struct platform *p, struct direct_slot *slot)
{
	struct fake_platform *fake = fake_of(p);
	int err;

	BUG_ON(!range_is_sane(slot->range) || !slot->hva);
	BUG_ON(!is_aligned(slot->range.first, PAGE_SIZE) ||
	       !is_aligned(range_len(slot->range), PAGE_SIZE) ||
	       !is_aligned((uintptr_t)slot->hva, PAGE_SIZE));
	fake_lock(fake);
	err = fake_call(fake);
	for (unsigned int i = 0; i < fake->nr_ram && !err; i++) {
		if (range_overlaps(fake->ram[i].gpa, slot->range))
			err = -EEXIST;
	}
	for (unsigned int i = 0; i < fake->nr_slots && !err; i++) {
		BUG_ON(fake->slots[i] == slot);
		if (range_overlaps(fake->slots[i]->range, slot->range))
			err = -EEXIST;
	}
	if (!err && fake->nr_slots == FAKE_SLOTS)
		err = -ENOSPC;
	if (!err)
		fake->slots[fake->nr_slots++] = slot;
	fake_unlock(fake);
	return err;
}

static void fake_slot_remove(struct platform *p, struct direct_slot *slot)
{
	struct fake_platform *fake = fake_of(p);
	unsigned int i;

	fake_lock(fake);
	for (i = 0; i < fake->nr_slots && fake->slots[i] != slot; i++)
		;
	BUG_ON(i == fake->nr_slots);
	fake->slots[i] = fake->slots[--fake->nr_slots];
	fake_unlock(fake);
}

static int fake_ram_listen(struct platform *p, struct ram_listener *listener)
{
	struct fake_platform *fake = fake_of(p);
	unsigned int i;
	int err = fake_call(fake);

	if (err)
		return err;
	for (i = 0; i < fake->nr_ram && !err; i++)
		err = listener->add(listener->opaque, fake->ram[i].gpa, fake->ram[i].hva);
	if (err) {
		for (i--; i-- > 0;)
			listener->remove(listener->opaque, fake->ram[i].gpa, fake->ram[i].hva);
		return err;
	}
	listener->next = fake->listeners;
	fake->listeners = listener;
	return 0;
}

static void fake_ram_unlisten(struct platform *p, struct ram_listener *listener)
{
	struct fake_platform *fake = fake_of(p);
	struct ram_listener **l;

	for (l = &fake->listeners; *l && *l != listener; l = &(*l)->next)
		;
	BUG_ON(!*l);
	*l = listener->next;
	for (unsigned int i = fake->nr_ram; i-- > 0;)
		listener->remove(listener->opaque, fake->ram[i].gpa, fake->ram[i].hva);
}

static void fake_access(struct platform *p, uint64_t addr, void *data, unsigned int size,
			bool write)
{
	struct fake_platform *fake = fake_of(p);

	if (write)
		fake_bus_write(fake, BUS_MMIO, addr, size, le_load(data, size));
	else
		le_store(data, size, fake_bus_read(fake, BUS_MMIO, addr, size));
}

static void fake_power(struct platform *p, enum power_event event, int status)
{
	fake_of(p)->power = (struct fake_power){ true, event, status };
}

static const struct platform_ops fake_ops = {
	.region_add = fake_region_add,
	.region_remove = fake_region_remove,
	.synchronize = fake_synchronize,
	.doorbell_add = fake_doorbell_add,
	.doorbell_remove = fake_doorbell_remove,
	.irq_set = fake_irq_set,
	.irq_eoi_watch = fake_irq_eoi_watch,
	.irq_eoi_unwatch = fake_irq_eoi_unwatch,
	.msi_alloc = fake_msi_alloc,
	.msi_free = fake_msi_free,
	.msi_set = fake_msi_set,
	.msi_requester = fake_msi_requester,
	.msi_commit = fake_msi_commit,
	.msi_attach = fake_msi_attach,
	.msi_detach = fake_msi_detach,
	.msi_send = fake_msi_send,
	.slot_add = fake_slot_add,
	.slot_remove = fake_slot_remove,
	.ram_listen = fake_ram_listen,
	.ram_unlisten = fake_ram_unlisten,
	.access = fake_access,
	.power = fake_power,
};

void fake_platform_init(struct fake_platform *fake, struct sys *sys, struct loop *loop)
{
	memset(fake, 0, sizeof(*fake));
	fake->platform = (struct platform){ .ops = &fake_ops, .sys = sys, .loop = loop };
	BUG_ON(iommu_none_create(&fake->no_iommu));
	fake->platform.iommu = fake->no_iommu;
	BUG_ON(pthread_mutex_init(&fake->mutex, NULL));
}

void fake_platform_fini(struct fake_platform *fake)
{
	iommu_none_destroy(fake->no_iommu);
	BUG_ON(pthread_mutex_destroy(&fake->mutex));
}

void fake_platform_fail(struct fake_platform *fake, unsigned int n, int err)
{
	fake->nr_calls = 0;
	fake->fail_at = n;
	fake->fail_err = err;
}

bool fake_platform_is_empty(const struct fake_platform *fake)
{
	for (unsigned int i = 0; i < FAKE_PINS; i++) {
		if (fake->pins[i] || fake->eoi[i])
			return false;
	}
	return !fake->regions && !fake->nr_slots && !fake->nr_bells && !fake->listeners &&
	       !fake_route_count(fake);
}

struct bus_region *fake_region_at(struct fake_platform *fake, enum bus_space space, uint64_t addr)
{
	struct bus_region *r;

	fake_lock(fake);
	for (r = fake->regions; r && !(r->space == space && range_has(r->range, addr)); r = r->next)
		;
	fake_unlock(fake);
	return r;
}

/* The region that holds all of the access, and the offset in it. */
static struct bus_region *fake_region_for(struct fake_platform *fake, enum bus_space space,
					  uint64_t addr, unsigned int size, uint64_t *offset)
{
	struct bus_region *r = fake_region_at(fake, space, addr);

	BUG_ON(size != 1 && size != 2 && size != 4 && size != 8);
	if (!r || r->range.last - addr < size - 1)
		return NULL;
	*offset = addr - r->range.first;
	return r;
}

uint64_t fake_bus_read(struct fake_platform *fake, enum bus_space space, uint64_t addr,
		       unsigned int size)
{
	uint64_t offset;
	struct bus_region *r = fake_region_for(fake, space, addr, size, &offset);

	if (!r)
		return bytes_mask(size);
	atomic_fetch_add_explicit(&r->nr_reads, 1, memory_order_relaxed);
	return r->ops->read(r->opaque, offset, size) & bytes_mask(size);
}

void fake_bus_write(struct fake_platform *fake, enum bus_space space, uint64_t addr,
		    unsigned int size, uint64_t value)
{
	uint64_t offset;
	struct bus_region *r = fake_region_for(fake, space, addr, size, &offset);

	if (!r)
		return;
	atomic_fetch_add_explicit(&r->nr_writes, 1, memory_order_relaxed);
	r->ops->write(r->opaque, offset, size, value & bytes_mask(size));
}

struct direct_slot *fake_slot_at(struct fake_platform *fake, uint64_t addr)
{
	for (unsigned int i = 0; i < fake->nr_slots; i++) {
		if (range_has(fake->slots[i]->range, addr))
			return fake->slots[i];
	}
	return NULL;
}

const struct doorbell *fake_bell_at(struct fake_platform *fake, enum bus_space space, uint64_t addr)
{
	for (unsigned int i = 0; i < fake->nr_bells; i++) {
		if (fake->bells[i].space == space && fake->bells[i].addr == addr)
			return &fake->bells[i];
	}
	return NULL;
}

unsigned int fake_region_count(const struct fake_platform *fake)
{
	unsigned int n = 0;

	for (const struct bus_region *r = fake->regions; r; r = r->next)
		n++;
	return n;
}

bool fake_pin(const struct fake_platform *fake, unsigned int pin)
{
	/* A test may look while another thread moves it. */
	return __atomic_load_n(&fake->pins[pin], __ATOMIC_RELAXED) != 0;
}

void fake_eoi(struct fake_platform *fake, unsigned int pin)
{
	struct irq_eoi *next;

	for (struct irq_eoi *e = fake->eoi[pin]; e; e = next) {
		next = e->next;
		e->fn(e->opaque);
	}
}

unsigned int fake_route_count(const struct fake_platform *fake)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < FAKE_ROUTES; i++)
		n += fake->routes[i].used;
	return n;
}

int fake_ram_add(struct fake_platform *fake, struct range gpa, void *hva)
{
	struct ram_listener *l;
	int err = 0;

	BUG_ON(fake->nr_ram == FAKE_RAM);
	for (l = fake->listeners; l && !err; l = l->next) {
		err = l->add(l->opaque, gpa, hva);
		if (err) {
			for (struct ram_listener *u = fake->listeners; u != l; u = u->next)
				u->remove(u->opaque, gpa, hva);
			return err;
		}
	}
	fake->ram[fake->nr_ram].gpa = gpa;
	fake->ram[fake->nr_ram++].hva = hva;
	return 0;
}

void fake_ram_remove(struct fake_platform *fake, struct range gpa)
{
	for (unsigned int i = 0; i < fake->nr_ram; i++) {
		if (fake->ram[i].gpa.first != gpa.first)
			continue;
		for (struct ram_listener *l = fake->listeners; l; l = l->next)
			l->remove(l->opaque, fake->ram[i].gpa, fake->ram[i].hva);
		fake->ram[i] = fake->ram[--fake->nr_ram];
		return;
	}
	BUG_ON(true);
}
