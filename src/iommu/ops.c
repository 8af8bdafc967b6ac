// SPDX-License-Identifier: GPL-2.0-or-later
#include "iommu/ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/bug.h"
#include "base/trace.h"
#include "iommu/walk.h"

/* An invalidation that waits longer than this has met a device that broke its contract. */
#define WAIT_LIMIT_NS 1000000000ull

/* A driver's bug makes a burst of faults and then mends or stops; an attack goes on. */
static const struct quarantine_policy quarantine_default = { .burst = 1000, .per_second = 100 };

uint64_t iommu_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

int iommu_init(struct iommu *iommu, const struct iommu_ops *ops, bool with_upper)
{
	pthread_condattr_t attr;

	memset(iommu, 0, sizeof(*iommu));
	iommu->ops = ops;
	iommu->wait_limit_ns = WAIT_LIMIT_NS;
	iommu->quarantine = quarantine_default;
	if (with_upper) {
		iommu->upper = calloc(1, sizeof(*iommu->upper));
		if (!iommu->upper)
			return -ENOMEM;
	}
	lock_init(&iommu->lock, LOCK_IOMMU);
	lock_init(&iommu->hold_lock, LOCK_LEAF);
	BUG_ON(pthread_condattr_init(&attr));
	BUG_ON(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
	BUG_ON(pthread_cond_init(&iommu->idle, &attr));
	BUG_ON(pthread_cond_init(&iommu->released, &attr));
	BUG_ON(pthread_condattr_destroy(&attr));
	return 0;
}

void iommu_fini(struct iommu *iommu)
{
	BUG_ON(iommu->devices);
	pthread_cond_destroy(&iommu->idle);
	pthread_cond_destroy(&iommu->released);
	lock_fini(&iommu->hold_lock);
	lock_fini(&iommu->lock);
	free(iommu->upper);
}

void iommu_exec_begin(struct iommu *iommu)
{
	lock_take(&iommu->lock);
	while (iommu->executing)
		pthread_cond_wait(&iommu->idle, &iommu->lock.mutex);
	iommu->executing = true;
	iommu->executor = pthread_self();
	lock_drop(&iommu->lock);
}

void iommu_exec_end(struct iommu *iommu)
{
	lock_take(&iommu->lock);
	iommu->executing = false;
	pthread_cond_signal(&iommu->idle);
	lock_drop(&iommu->lock);
}

static bool device_concerned(const struct iommu_device *dev, const struct iommu_inval *inval)
{
	switch (inval->scope) {
	case IOMMU_INVAL_ALL:
		return true;
	case IOMMU_INVAL_DEVICE:
		return dev == inval->device;
	case IOMMU_INVAL_DOMAIN:
	case IOMMU_INVAL_RANGE:
	default:
		return atomic_load(&dev->domains) & BIT64(inval->domain & 63);
	}
}

static void caches_clear(struct iommu *iommu, const struct iommu_inval *inval)
{
	if (iommu->ops->forget)
		iommu->ops->forget(iommu, inval);
	if (!iommu->upper)
		return;
	switch (inval->scope) {
	case IOMMU_INVAL_ALL:
		upper_clear(iommu->upper);
		break;
	case IOMMU_INVAL_DOMAIN:
		upper_clear_domain(iommu->upper, inval->domain);
		break;
	case IOMMU_INVAL_RANGE:
		upper_clear_range(iommu->upper, inval->domain, inval->first, inval->last,
				  inval->leaf_only);
		break;
	case IOMMU_INVAL_DEVICE:
		/* Tagged by domain, not by device: its domains' entries are as true as before. */
		break;
	}
}

/* For the sections' own caches. Visible before seq is: they read it after. */
static void log_write(struct iommu *iommu, const struct iommu_inval *inval)
{
	uint64_t index = atomic_load_explicit(&iommu->seq, memory_order_relaxed) >> 1;
	struct iommu_log *log = &iommu->log[index % IOMMU_LOG];

	atomic_store_explicit(&log->scope, inval->scope, memory_order_relaxed);
	atomic_store_explicit(&log->domain, inval->domain, memory_order_relaxed);
	atomic_store_explicit(&log->first, inval->first, memory_order_relaxed);
	atomic_store_explicit(&log->last, inval->last, memory_order_relaxed);
	atomic_store_explicit(&log->leaf_only, inval->leaf_only, memory_order_relaxed);
	atomic_store_explicit(&log->device, inval->device, memory_order_relaxed);
}

static struct iommu_piece *piece_of(struct iommu_section *section, uint64_t addr)
{
	return &section->pieces[(addr >> 21 ^ addr >> 27) % IOMMU_PIECES];
}

static uint64_t piece_key(uint64_t addr)
{
	return (addr & ~0x1fffffull) | 1;
}

static void section_clear(struct iommu_section *section)
{
	iotlb_clear(&section->iotlb);
	for (unsigned int i = 0; i < IOMMU_PIECES; i++)
		section->pieces[i].key = 0;
}

static void section_clear_range(struct iommu_section *section, uint64_t first, uint64_t last,
				bool leaf_only)
{
	iotlb_clear_range(&section->iotlb, first, last);
	if (leaf_only)
		return;
	for (unsigned int i = 0; i < IOMMU_PIECES; i++) {
		uint64_t base = section->pieces[i].key & ~0x1fffffull;

		if (base <= last && (base | 0x1fffff) >= first)
			section->pieces[i].key = 0;
	}
}

void iommu_section_follow(struct iommu_section *section, uint64_t upto)
{
	struct iommu_device *dev = section->dev;
	struct iommu *iommu = dev->iommu;
	uint64_t index = section->applied;

	uint32_t identity = atomic_load_explicit(&dev->identity, memory_order_relaxed);

	section->applied = upto;
	if (section->identity != identity) {
		section->identity = identity;
		section_clear(section);
		return;
	}
	for (; upto - index < IOMMU_LOG / 2 && index != upto; index++) {
		struct iommu_log *log = &iommu->log[index % IOMMU_LOG];
		struct iommu_inval inval = {
			.scope = atomic_load_explicit(&log->scope, memory_order_relaxed),
			.domain = atomic_load_explicit(&log->domain, memory_order_relaxed),
			.first = atomic_load_explicit(&log->first, memory_order_relaxed),
			.last = atomic_load_explicit(&log->last, memory_order_relaxed),
			.leaf_only = atomic_load_explicit(&log->leaf_only, memory_order_relaxed),
			.device = atomic_load_explicit(&log->device, memory_order_relaxed),
		};

		if (!device_concerned(dev, &inval))
			continue;
		if (inval.scope == IOMMU_INVAL_RANGE)
			section_clear_range(section, inval.first, inval.last, inval.leaf_only);
		else
			section_clear(section);
	}
	/*
	 * Too far behind, or so slow here that the log went round: what was read may be another
	 * entry's, and everything goes. An invalidation that waits for this section writes no more,
	 * but one of another domain does not wait.
	 */
	if (index != upto || (atomic_load(&iommu->seq) >> 1) - section->applied >= IOMMU_LOG / 2)
		section_clear(section);
}

static void device_late(struct iommu *iommu, struct iommu_device *dev, const char *what)
{
	log_limited(&dev->late_log, LOG_ERROR, dev->name, "%s holds up an invalidation", what);
	if (iommu->events.late)
		iommu->events.late(iommu->events.opaque, dev, what);
}

/* Sections that began before `seq` may have seen what was cleared. Bounded; they are short. */
static int sections_wait(struct iommu *iommu, struct iommu_device *dev, uint64_t seq,
			 uint64_t *deadline)
{
	for (struct iommu_section *s = dev->sections; s; s = s->next) {
		unsigned int tries = 0;

		for (;;) {
			/* Partners with the release in iommu_section_end(): its copies are done. */
			uint64_t state = atomic_load(&s->state);

			if (!state || state >> 1 >= seq)
				break;
			if (++tries % 256) {
				spin_pause();
				continue;
			}
			if (!*deadline)
				*deadline = iommu_now_ns() + iommu->wait_limit_ns;
			if (iommu_now_ns() > *deadline) {
				device_late(iommu, dev, "a DMA section");
				return -ETIMEDOUT;
			}
			sched_yield();
		}
	}
	return 0;
}

static bool hold_concerned(const struct iommu_hold *hold, const struct iommu_inval *inval,
			   uint64_t seq)
{
	if (hold->seq >= seq)
		return false;
	return inval->scope != IOMMU_INVAL_RANGE ||
	       (hold->first <= inval->last && inval->first <= hold->last);
}

/* A hold that is concerned; one not yet asked to let go first. Under hold_lock. */
static struct iommu_hold *hold_find(struct iommu_device *dev, const struct iommu_inval *inval,
				    uint64_t seq)
{
	struct iommu_hold *found = NULL;

	for (struct iommu_hold *h = dev->holds; h; h = h->next) {
		if (!hold_concerned(h, inval, seq))
			continue;
		if (!h->revoked)
			return h;
		found = h;
	}
	return found;
}

static int holds_wait(struct iommu *iommu, struct iommu_device *dev,
		      const struct iommu_inval *inval, uint64_t seq, uint64_t *deadline)
{
	struct iommu_hold *hold;
	int err = 0;

	lock_take(&iommu->hold_lock);
	while ((hold = hold_find(dev, inval, seq))) {
		struct timespec ts;

		if (!hold->revoked) {
			void (*revoke)(struct iommu_hold * hold) = hold->revoke;

			/* No callback under a lock. Meanwhile another thread's release waits. */
			hold->revoked = true;
			iommu->revoking = hold;
			lock_drop(&iommu->hold_lock);
			revoke(hold);
			lock_take(&iommu->hold_lock);
			iommu->revoking = NULL;
			pthread_cond_broadcast(&iommu->released);
			continue;
		}
		if (!*deadline)
			*deadline = iommu_now_ns() + iommu->wait_limit_ns;
		ts = (struct timespec){ .tv_sec = (time_t)(*deadline / 1000000000ull),
					.tv_nsec = (long)(*deadline % 1000000000ull) };
		if (pthread_cond_timedwait(&iommu->released, &iommu->hold_lock.mutex, &ts) ==
			    ETIMEDOUT &&
		    hold_find(dev, inval, seq)) {
			err = -ETIMEDOUT;
			break;
		}
	}
	lock_drop(&iommu->hold_lock);
	if (err)
		device_late(iommu, dev, "I/O in flight");
	return err;
}

int iommu_invalidate(struct iommu *iommu, const struct iommu_inval *inval)
{
	uint64_t seq, deadline = 0;
	int err = 0;

	trace_iommu_invalidate(inval->scope, inval->domain, inval->first, inval->last);
	log_write(iommu, inval);
	/* Odd: from here no walk that began before fills a shared cache. */
	atomic_fetch_add(&iommu->seq, 1);
	caches_clear(iommu, inval);
	/* Even, and the fence between clearing and looking: partner of iommu_section_begin(). */
	seq = atomic_fetch_add(&iommu->seq, 1) + 1;

	for (struct iommu_device *dev = iommu->devices; dev; dev = dev->next) {
		int late;

		if (!device_concerned(dev, inval))
			continue;
		/* Sections first: a hold is added inside one. */
		late = sections_wait(iommu, dev, seq, &deadline);
		if (!late)
			late = holds_wait(iommu, dev, inval, seq, &deadline);
		if (late)
			err = late;
	}
	if (iommu->ops->mirror)
		iommu->ops->mirror(iommu, inval);
	trace_iommu_invalidated(seq, err);
	return err;
}

int iommu_device_create(struct iommu *iommu, rid_t rid, const char *name, struct iommu_device **out)
{
	struct iommu_device *dev = aligned_alloc(64, align_up(sizeof(*dev), 64));
	int err = 0;

	if (!dev)
		return -ENOMEM;
	memset(dev, 0, sizeof(*dev));
	dev->iommu = iommu;
	atomic_init(&dev->identity, rid.v);
	snprintf(dev->name, sizeof(dev->name), "%s", name);
	iommu_exec_begin(iommu);
	if (iommu->ops->device_add)
		err = iommu->ops->device_add(iommu, dev);
	if (!err) {
		dev->next = iommu->devices;
		iommu->devices = dev;
	}
	iommu_exec_end(iommu);
	if (err) {
		free(dev);
		return err;
	}
	*out = dev;
	return 0;
}

void iommu_device_destroy(struct iommu_device *dev)
{
	struct iommu *iommu = dev->iommu;
	struct iommu_device **link;

	BUG_ON(dev->sections || dev->holds);
	iommu_exec_begin(iommu);
	for (link = &iommu->devices; *link != dev; link = &(*link)->next)
		BUG_ON(!*link);
	*link = dev->next;
	if (iommu->ops->device_remove)
		iommu->ops->device_remove(iommu, dev);
	iommu_exec_end(iommu);
	free(dev);
}

void iommu_device_set_rid(struct iommu_device *dev, rid_t rid)
{
	uint32_t old = atomic_load_explicit(&dev->identity, memory_order_relaxed);

	/* What is cached is tagged by it: bindings in their key, a section's IOTLB as a whole. */
	atomic_store_explicit(&dev->identity, ((old >> 16) + 1) << 16 | rid.v,
			      memory_order_relaxed);
}

void iommu_device_block(struct iommu_device *dev, const char *why)
{
	struct iommu *iommu = dev->iommu;
	struct iommu_inval inval = { .scope = IOMMU_INVAL_DEVICE, .device = dev };

	iommu_device_refuse(dev, why);
	iommu_exec_begin(iommu);
	(void)iommu_invalidate(iommu, &inval);
	iommu_exec_end(iommu);
}

void iommu_device_refuse(struct iommu_device *dev, const char *why)
{
	struct iommu *iommu = dev->iommu;

	if (atomic_exchange(&dev->blocked, true))
		return;
	log_warning(dev->name, "quarantined: %s", why);
	if (iommu->events.quarantined)
		iommu->events.quarantined(iommu->events.opaque, dev, why);
}

int iommu_device_listen(struct iommu_device *dev, const struct iommu_listener *listener)
{
	struct iommu *iommu = dev->iommu;
	int err;

	if (!iommu->ops->listen)
		return -ENOTSUP;
	iommu_exec_begin(iommu);
	dev->listener = listener;
	err = iommu->ops->listen(iommu, dev);
	if (err)
		dev->listener = NULL;
	iommu_exec_end(iommu);
	return err;
}

int iommu_device_replay(struct iommu_device *dev)
{
	return iommu_device_listen(dev, dev->listener);
}

void iommu_device_unblock(struct iommu_device *dev)
{
	struct iommu_inval inval = { .scope = IOMMU_INVAL_DEVICE, .device = dev };

	quarantine_reset(&dev->faults);
	atomic_store(&dev->refusal_told, false);
	atomic_store(&dev->blocked, false);
	/* Its listener was attached to nothing meanwhile. */
	iommu_exec_begin(dev->iommu);
	(void)iommu_invalidate(dev->iommu, &inval);
	iommu_exec_end(dev->iommu);
}

void iommu_device_fault(struct iommu_device *dev, unsigned int faults)
{
	atomic_fetch_add_explicit(&dev->nr_faults, faults, memory_order_relaxed);
	if (unlikely(quarantine_add(&dev->faults, &dev->iommu->quarantine, iommu_now_ns(), faults)))
		iommu_device_refuse(dev, "its requests keep faulting");
}

void iommu_section_init(struct iommu_section *section, struct iommu_device *dev)
{
	memset(section, 0, sizeof(*section));
	section->dev = dev;
	section->identity = atomic_load(&dev->identity);
	iommu_exec_begin(dev->iommu);
	section->next = dev->sections;
	dev->sections = section;
	iommu_exec_end(dev->iommu);
}

void iommu_section_fini(struct iommu_section *section)
{
	struct iommu_device *dev = section->dev;
	struct iommu_section **link;

	BUG_ON(atomic_load(&section->state));
	atomic_fetch_add(&dev->nr_misses, atomic_load(&section->nr_misses));
	iommu_exec_begin(dev->iommu);
	for (link = &dev->sections; *link != section; link = &(*link)->next)
		BUG_ON(!*link);
	*link = section->next;
	iommu_exec_end(dev->iommu);
}

void iommu_hold_add(struct iommu_section *section, struct iommu_hold *hold, uint64_t first,
		    uint64_t len)
{
	struct iommu_device *dev = section->dev;

	hold->dev = dev;
	hold->first = first;
	hold->last = first + (len - 1);
	hold->seq = atomic_load_explicit(&section->state, memory_order_relaxed) >> 1;
	hold->revoked = false;
	lock_take(&dev->iommu->hold_lock);
	hold->next = dev->holds;
	hold->link = &dev->holds;
	if (hold->next)
		hold->next->link = &hold->next;
	dev->holds = hold;
	lock_drop(&dev->iommu->hold_lock);
}

void iommu_hold_release(struct iommu_hold *hold)
{
	struct iommu *iommu = hold->dev->iommu;

	lock_take(&iommu->hold_lock);
	/* It is the caller's to free on return: not while revoke is in it on another thread. */
	while (iommu->revoking == hold && !pthread_equal(iommu->executor, pthread_self()))
		pthread_cond_wait(&iommu->released, &iommu->hold_lock.mutex);
	*hold->link = hold->next;
	if (hold->next)
		hold->next->link = hold->link;
	pthread_cond_broadcast(&iommu->released);
	lock_drop(&iommu->hold_lock);
}

int iommu_translate_page(struct iommu_section *section, uint32_t pasid, uint64_t addr, uint64_t len,
			 unsigned int access, struct iommu_page *page)
{
	struct iommu_device *dev = section->dev;
	struct iommu *iommu = dev->iommu;
	struct iommu_piece *piece = piece_of(section, addr);
	struct iommu_walked walked;
	int err;

	/* One thread writes it. */
	atomic_store_explicit(&section->nr_misses,
			      atomic_load_explicit(&section->nr_misses, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	if (piece->key == piece_key(addr) && piece->pasid == pasid) {
		struct walk w;

		/* What this refuses, the unit refuses again, and says why. */
		if (likely(walk_from(iommu->mem, piece->format, piece->table, 1, piece->above, addr,
				     access, &w)) &&
		    likely(w.page > IOMMU_MSI_LAST || w.page < IOMMU_MSI_FIRST)) {
			*page = (struct iommu_page){
				w.page,
				12,
				w.dirty ? w.access : w.access & (uint8_t)~IOMMU_WRITE,
				w.snoop,
			};
			iotlb_fill(&section->iotlb, pasid, addr, page);
			return 0;
		}
	}
	err = iommu->ops->translate(iommu, dev, pasid, addr, len, access, &walked);
	if (unlikely(err)) {
		iommu_device_fault(dev, 1);
		return err;
	}
	*page = walked.page;
	if (walked.cacheable)
		iotlb_fill(&section->iotlb, pasid, addr, page);
	if (walked.format)
		*piece = (struct iommu_piece){ piece_key(addr), pasid, walked.above, walked.table,
					       walked.format };
	return 0;
}

/* A quarantined device: the guest learns of it once, by a fault. */
static int refuse(struct iommu_device *dev, uint32_t pasid, uint64_t addr, unsigned int access)
{
	struct iommu *iommu = dev->iommu;

	atomic_fetch_add_explicit(&dev->nr_denied, 1, memory_order_relaxed);
	if (iommu->ops->refused && !atomic_exchange(&dev->refusal_told, true))
		iommu->ops->refused(iommu, dev, pasid, addr, access);
	return -EPERM;
}

int iommu_translate(struct iommu_section *section, uint32_t pasid, uint64_t addr, uint64_t len,
		    unsigned int access, struct iommu_span *spans, unsigned int max,
		    unsigned int *nr, uint64_t *covered)
{
	struct iommu_device *dev = section->dev;
	uint64_t done = 0, last;
	unsigned int n = 0, pages = 0;

	*nr = 0;
	*covered = 0;
	if (unlikely(!len || __builtin_add_overflow(addr, len - 1, &last)))
		return -EINVAL;
	/* Wider ones would be another's in the caches. */
	if (unlikely(pasid > IOMMU_PASID_MAX && pasid != IOMMU_NO_PASID))
		return -EINVAL;
	/* Ahead of the caches: they still hold what the device was allowed before. */
	if (unlikely(atomic_load_explicit(&dev->blocked, memory_order_relaxed)))
		return refuse(dev, pasid, addr, access);
	while (done < len && pages++ < IOMMU_PAGES_MAX) {
		uint64_t at = addr + done, to, left;
		bool snoop;

		if (unlikely(!iotlb_lookup(&section->iotlb, pasid, at, access, &to, &left,
					   &snoop))) {
			struct iommu_page page;
			uint64_t offset;
			int err =
				iommu_translate_page(section, pasid, at, len - done, access, &page);

			if (err)
				return err;
			offset = at & ((1ull << page.lg2) - 1);
			to = page.addr + offset;
			left = (1ull << page.lg2) - offset;
			snoop = page.snoop;
		}
		left = min_u64(left, len - done);
		if (n && spans[n - 1].addr.v + spans[n - 1].len == to &&
		    spans[n - 1].snoop == snoop) {
			spans[n - 1].len += left;
		} else {
			if (n == max)
				break;
			spans[n++] = (struct iommu_span){ gpa(to), left, snoop };
		}
		done += left;
	}
	*nr = n;
	*covered = done;
	return 0;
}

int iommu_interrupt(struct iommu_device *dev, const struct msi_message *in, struct msi_message *out)
{
	rid_t rid = iommu_device_rid(dev);

	atomic_fetch_add_explicit(&dev->nr_interrupts, 1, memory_order_relaxed);
	if (unlikely(atomic_load_explicit(&dev->blocked, memory_order_acquire)))
		return -EPERM;
	return dev->iommu->ops->interrupt(dev->iommu, rid, in, out);
}

static int none_translate(struct iommu *iommu, struct iommu_device *dev, uint32_t pasid,
			  uint64_t addr, uint64_t len, unsigned int need, struct iommu_walked *out)
{
	*out = (struct iommu_walked){
		.page = { addr & ~0x3fffffffull, 30, IOMMU_READ | IOMMU_WRITE, true },
		.cacheable = true,
	};
	return 0;
}

static int none_interrupt(struct iommu *iommu, rid_t rid, const struct msi_message *in,
			  struct msi_message *out)
{
	*out = *in;
	return 0;
}

int iommu_none_create(struct iommu **out)
{
	static const struct iommu_ops ops = {
		.name = "none",
		.translate = none_translate,
		.interrupt = none_interrupt,
		.route = none_interrupt,
	};
	struct iommu *iommu = malloc(sizeof(*iommu));
	int err = iommu ? iommu_init(iommu, &ops, false) : -ENOMEM;

	if (err) {
		free(iommu);
		return err;
	}
	*out = iommu;
	return 0;
}

void iommu_none_destroy(struct iommu *iommu)
{
	iommu_fini(iommu);
	free(iommu);
}
