// SPDX-License-Identifier: GPL-2.0-or-later
#include "iommu/ats.h"

#include <stdlib.h>

struct iommu_ats {
	struct iommu_ats_ops ops;
	struct iommu_ats_policy policy;
	atomic_bool taken;
	atomic_ullong nr_requests, nr_faults, nr_uses, nr_stale;
	atomic_uint window_requests, window_faults;
	/* Under hold_lock. */
	uint64_t cookie, answered;
	uint64_t nr_invals, inval_ns_max, inval_ns_sum;
};

int iommu_ats_enable(struct iommu_device *dev, const struct iommu_ats_ops *ops,
		     const struct iommu_ats_policy *policy)
{
	struct iommu_ats *ats = calloc(1, sizeof(*ats));

	if (!ats)
		return -ENOMEM;
	ats->ops = *ops;
	ats->policy = *policy;
	iommu_ats_disable(dev);
	iommu_exec_begin(dev->iommu);
	atomic_store(&dev->ats, ats);
	iommu_exec_end(dev->iommu);
	return 0;
}

/* Under hold_lock. */
static void figures_add(struct iommu_ats_figures *sum, struct iommu_ats *ats)
{
	sum->nr_requests += atomic_load(&ats->nr_requests);
	sum->nr_faults += atomic_load(&ats->nr_faults);
	sum->nr_uses += atomic_load(&ats->nr_uses);
	sum->nr_stale += atomic_load(&ats->nr_stale);
	sum->nr_invals += ats->nr_invals;
	sum->inval_ns_max = max_u64(sum->inval_ns_max, ats->inval_ns_max);
	sum->inval_ns_sum += ats->inval_ns_sum;
	sum->taken |= atomic_load(&ats->taken);
}

void iommu_ats_disable(struct iommu_device *dev)
{
	struct iommu_inval inval = { .scope = IOMMU_INVAL_DEVICE, .device = dev };
	struct iommu_ats *ats;

	iommu_exec_begin(dev->iommu);
	/* Under the lock: an answer that comes from another thread is in it or finds nothing. */
	lock_take(&dev->iommu->hold_lock);
	ats = atomic_exchange(&dev->ats, NULL);
	if (ats)
		figures_add(&dev->ats_past, ats);
	lock_drop(&dev->iommu->hold_lock);
	/* Sections that found it have ended after this, or their device model is named as late. */
	if (ats && iommu_invalidate(dev->iommu, &inval))
		ats = NULL; /* still in use: lost rather than freed under it */
	iommu_exec_end(dev->iommu);
	free(ats);
}

static void ats_take(struct iommu_device *dev, struct iommu_ats *ats, const char *why)
{
	if (atomic_exchange(&ats->taken, true))
		return;
	log_warning(dev->name, "ATS is taken away: %s", why);
	if (dev->iommu->events.ats_taken)
		dev->iommu->events.ats_taken(dev->iommu->events.opaque, dev, why);
}

static struct iommu_ats *ats_get(struct iommu_device *dev)
{
	struct iommu_ats *ats = atomic_load_explicit(&dev->ats, memory_order_acquire);

	if (!ats || atomic_load_explicit(&ats->taken, memory_order_acquire) ||
	    atomic_load_explicit(&dev->blocked, memory_order_relaxed))
		return NULL;
	return ats;
}

/* A window of requests at a time; a refused one counts as a fault. */
static void ats_judge(struct iommu_device *dev, struct iommu_ats *ats, bool fault)
{
	unsigned int requests, faults;

	atomic_fetch_add_explicit(&ats->nr_requests, 1, memory_order_relaxed);
	faults =
		atomic_fetch_add_explicit(&ats->window_faults, fault, memory_order_relaxed) + fault;
	if (fault)
		atomic_fetch_add_explicit(&ats->nr_faults, 1, memory_order_relaxed);
	requests = atomic_fetch_add_explicit(&ats->window_requests, 1, memory_order_relaxed) + 1;
	if (!ats->policy.window || requests < ats->policy.window)
		return;
	atomic_store_explicit(&ats->window_requests, 0, memory_order_relaxed);
	atomic_store_explicit(&ats->window_faults, 0, memory_order_relaxed);
	if (ats->policy.fault_percent &&
	    faults * 100ull > (uint64_t)requests * ats->policy.fault_percent)
		ats_take(dev, ats, "too many of its translation requests are refused");
}

int iommu_ats_translate(struct iommu_section *section, uint32_t pasid, uint64_t iova,
			unsigned int want, struct iommu_page *page)
{
	struct iommu_device *dev = section->dev;
	struct iommu_ats *ats = ats_get(dev);
	struct iommu_walked walked;
	int err;

	if (!ats || !dev->iommu->ops->ats_translate)
		return -EPERM;
	err = dev->iommu->ops->ats_translate(dev->iommu, dev, pasid, iova, want, &walked);
	ats_judge(dev, ats, err || !walked.page.access);
	if (err)
		iommu_device_fault(dev, 1);
	else
		*page = walked.page;
	return err;
}

int iommu_ats_use(struct iommu_section *section, uint32_t pasid, uint64_t iova, gpa_t addr,
		  uint64_t len, unsigned int access)
{
	struct iommu_device *dev = section->dev;
	struct iommu_ats *ats = ats_get(dev);
	struct iommu_walked walked;
	uint64_t offset;

	if (!ats || !dev->iommu->ops->ats_translate)
		return -EPERM;
	atomic_fetch_add_explicit(&ats->nr_uses, 1, memory_order_relaxed);
	if (!dev->iommu->ops->ats_translate(dev->iommu, dev, pasid, iova, access, &walked)) {
		offset = iova & ((1ull << walked.page.lg2) - 1);
		if (len && (walked.page.access & access) == access &&
		    addr.v == walked.page.addr + offset &&
		    len <= (1ull << walked.page.lg2) - offset)
			return 0;
	}
	if (atomic_fetch_add_explicit(&ats->nr_stale, 1, memory_order_relaxed) + 1 >
		    ats->policy.stale_limit &&
	    ats->policy.stale_limit)
		ats_take(dev, ats, "it uses translations it was told to forget");
	return -ESTALE;
}

void iommu_ats_complete(struct iommu_device *dev, uint64_t cookie)
{
	struct iommu *iommu = dev->iommu;
	struct iommu_ats *ats;

	lock_take(&iommu->hold_lock);
	ats = atomic_load(&dev->ats);
	/* An answer to an older question answers nothing. */
	if (ats && ats->cookie == cookie) {
		ats->answered = cookie;
		pthread_cond_broadcast(&iommu->released);
	}
	lock_drop(&iommu->hold_lock);
}

int iommu_ats_invalidate(struct iommu_device *dev, const struct iommu_ats_inval *inval)
{
	struct iommu_inval sections = { .scope = IOMMU_INVAL_DEVICE, .device = dev };
	struct iommu *iommu = dev->iommu;
	struct iommu_ats *ats = ats_get(dev);
	uint64_t start, took, deadline;
	struct timespec ts;
	bool answered;

	/* Without ATS it keeps nothing it could use. */
	if (!ats)
		return 0;
	lock_take(&iommu->hold_lock);
	ats->cookie++;
	lock_drop(&iommu->hold_lock);

	start = iommu_now_ns();
	deadline = start + (ats->policy.answer_ns ? ats->policy.answer_ns : iommu->wait_limit_ns);
	ts = (struct timespec){ .tv_sec = (time_t)(deadline / 1000000000ull),
				.tv_nsec = (long)(deadline % 1000000000ull) };
	ats->ops.invalidate(ats->ops.opaque, inval, ats->cookie);

	lock_take(&iommu->hold_lock);
	while (ats->answered != ats->cookie &&
	       pthread_cond_timedwait(&iommu->released, &iommu->hold_lock.mutex, &ts) != ETIMEDOUT)
		;
	answered = ats->answered == ats->cookie;
	took = iommu_now_ns() - start;
	ats->nr_invals++;
	ats->inval_ns_sum += took;
	ats->inval_ns_max = max_u64(ats->inval_ns_max, took);
	lock_drop(&iommu->hold_lock);

	if (!answered)
		ats_take(dev, ats, "it does not answer an invalidation");
	/* Uses it had begun end before the guest hears of it. */
	if (iommu_invalidate(iommu, &sections))
		return -ETIMEDOUT;
	return answered ? 0 : -ETIMEDOUT;
}

void iommu_ats_figures(struct iommu_device *dev, struct iommu_ats_figures *figures)
{
	struct iommu_ats *ats;

	lock_take(&dev->iommu->hold_lock);
	*figures = dev->ats_past;
	ats = atomic_load(&dev->ats);
	if (ats)
		figures_add(figures, ats);
	lock_drop(&dev->iommu->hold_lock);
}
