/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Address translation services: a device model that caches translations itself (PCI Express Base
 * 6.0, 10). It asks for a translation, keeps it, and uses it until told to forget; an invalidation
 * waits for its answer.
 *
 * A device that keeps translations is trusted with them, and some do not deserve it. Two things hold
 * it to its word. Every use names the address it was granted for, and is checked against what the
 * tables say now: a stale or invented one reaches nothing. And a monitor counts; a device whose
 * pattern is hostile loses ATS, and ATS alone: it goes on by untranslated requests, the others notice
 * nothing. The rule (struct iommu_ats_policy):
 *
 *	more than `stale_limit` stale uses, or
 *	more than `fault_percent` of translation requests refused, of the last `window` of them, or
 *	an invalidation not answered within `answer_ns`.
 */
#ifndef AIRLOCK_IOMMU_ATS_H
#define AIRLOCK_IOMMU_ATS_H

#include "iommu/ops.h"

struct iommu_ats_inval {
	uint32_t pasid; /* or IOMMU_NO_PASID */
	bool all_pasids;
	uint64_t first, last; /* addresses of requests */
};

struct iommu_ats_ops {
	/*
	 * Forget what lies in the range, and answer by iommu_ats_complete() with the cookie: from
	 * inside, or later from any thread. On the invalidating thread, no lock held; must not block.
	 */
	void (*invalidate)(void *opaque, const struct iommu_ats_inval *inval, uint64_t cookie);
	void *opaque;
};

/* The tunable rule. Zero switches a part of it off. */
struct iommu_ats_policy {
	unsigned int window;	    /* translation requests judged together */
	unsigned int fault_percent; /* of them */
	unsigned int stale_limit;
	uint64_t answer_ns;
};

struct iommu_ats;

/* The guest enabled ATS at the device. 0 or -ENOMEM. Not inside a section. */
int iommu_ats_enable(struct iommu_device *dev, const struct iommu_ats_ops *ops,
		     const struct iommu_ats_policy *policy);
/* Disabled, or the device is reset: nothing is asked of it any more. Not inside a section. */
void iommu_ats_disable(struct iommu_device *dev);

/*
 * A translation request: the page of iova and the rights granted (*page), which may be fewer than
 * the `want`ed ones: rights 0 is an answer, not a fault. 0; -EPERM without ATS or where it was taken away; -EFAULT refused (recorded).
 * Inside a section.
 */
int iommu_ats_translate(struct iommu_section *section, uint32_t pasid, uint64_t iova,
			unsigned int want, struct iommu_page *page);

/*
 * A translated request: [addr, addr + len), granted for iova. 0: it may be used for the rest of the
 * section. -EPERM as above; -ESTALE when the tables no longer lead there. Inside a section.
 */
int iommu_ats_use(struct iommu_section *section, uint32_t pasid, uint64_t iova, gpa_t addr,
		  uint64_t len, unsigned int access);

/* The device has forgotten. Any thread. */
void iommu_ats_complete(struct iommu_device *dev, uint64_t cookie);

/*
 * For units: has the device forget, and waits for it and for its sections. 0, or -ETIMEDOUT: ATS was
 * taken from it, so that nothing it still keeps can be used. By the executor.
 */
int iommu_ats_invalidate(struct iommu_device *dev, const struct iommu_ats_inval *inval);

/* Since the device was made, times without ATS between. Any thread. */
void iommu_ats_figures(struct iommu_device *dev, struct iommu_ats_figures *figures);

#endif
