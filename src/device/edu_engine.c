// SPDX-License-Identifier: GPL-2.0-or-later
#include "device/edu_engine.h"

#include <errno.h>
#include <string.h>

/* Lenient enough for a lesson, and still an end of it. */
static const struct iommu_ats_policy ats_policy = {
	.window = 256,
	.fault_percent = 50,
	.stale_limit = 8,
	.answer_ns = 100000000,
};

int edu_engine_init(struct edu_engine *engine, struct pci_function *fn, bool no_snoop)
{
	int err = pci_dma_init(&engine->dma, fn);

	if (err)
		return err;
	engine->dma.peers = true;
	engine->no_snoop = no_snoop;
	lock_init(&engine->lock, LOCK_LEAF);
	return 0;
}

void edu_engine_fini(struct edu_engine *engine)
{
	edu_engine_ats(engine, false);
	pci_dma_fini(&engine->dma);
	lock_fini(&engine->lock);
}

void edu_engine_reset(struct edu_engine *engine)
{
	memset(engine->buffer, 0, sizeof(engine->buffer));
	atomic_store(&engine->behaviour, 0);
	engine->nr_clean = 0;
	atomic_store(&engine->nr_unclean, 0);
}

/* ---- the device TLB ---- */

static void tlb_clear(struct edu_engine *engine, const struct range *range)
{
	lock_take(&engine->lock);
	engine->nr_invalidated++;
	for (unsigned int i = 0; i < EDU_TLB_SIZE; i++) {
		struct edu_translation *t = &engine->tlb[i];

		if (!range || range_overlaps(*range, range_of(t->iova, PAGE_SIZE)))
			t->access = 0;
	}
	lock_drop(&engine->lock);
}

/* On the thread that executes the guest's invalidation. */
static void tlb_invalidate(void *opaque, const struct iommu_ats_inval *inval, uint64_t cookie)
{
	struct edu_engine *engine = opaque;
	const struct range range = { inval->first, inval->last };
	unsigned int behaviour = atomic_load(&engine->behaviour);

	if (!(behaviour & EDU_KEEP))
		tlb_clear(engine, &range);
	if (!(behaviour & EDU_MUTE))
		iommu_ats_complete(engine->dma.fn->requester, cookie);
}

void edu_engine_ats(struct edu_engine *engine, bool enable)
{
	const struct iommu_ats_ops ops = { .invalidate = tlb_invalidate, .opaque = engine };
	struct iommu_device *dev = engine->dma.fn->requester;

	if (enable == engine->ats)
		return;
	tlb_clear(engine, NULL);
	if (!enable)
		iommu_ats_disable(dev);
	else if (iommu_ats_enable(dev, &ops, &ats_policy))
		return; /* It goes on by untranslated requests. */
	engine->ats = enable;
}

static bool tlb_find(struct edu_engine *engine, uint64_t page, unsigned int access, uint64_t *addr)
{
	bool found = false;

	lock_take(&engine->lock);
	for (unsigned int i = 0; i < EDU_TLB_SIZE && !found; i++) {
		const struct edu_translation *t = &engine->tlb[i];

		found = t->iova == page && (t->access & access) == access;
		if (found)
			*addr = t->addr;
	}
	lock_drop(&engine->lock);
	return found;
}

/* Unless something was to be forgotten since `seen`: it may have been this. */
static void tlb_fill(struct edu_engine *engine, const struct edu_translation *t, uint64_t seen)
{
	lock_take(&engine->lock);
	if (engine->nr_invalidated == seen) {
		engine->tlb[engine->next] = *t;
		engine->next = (engine->next + 1) % EDU_TLB_SIZE;
	}
	lock_drop(&engine->lock);
}

/* Its own translation of a page, asked for where it has none. In a section. */
static int tlb_translate(struct edu_engine *engine, uint64_t page, unsigned int access,
			 uint64_t *addr)
{
	struct edu_translation t = { .iova = page };
	struct iommu_page granted;
	uint64_t seen;
	int err;

	if (atomic_load(&engine->behaviour) & EDU_FORGE) {
		*addr = page;
		return 0;
	}
	if (tlb_find(engine, page, access, addr))
		return 0;
	lock_take(&engine->lock);
	seen = engine->nr_invalidated;
	lock_drop(&engine->lock);
	err = iommu_ats_translate(&engine->dma.section, IOMMU_NO_PASID, page, access, &granted);
	if (err)
		return err;
	if ((granted.access & access) != access)
		return -EFAULT;
	t.addr = granted.addr + (page & ((1ull << granted.lg2) - 1));
	t.access = granted.access;
	tlb_fill(engine, &t, seen);
	*addr = t.addr;
	return 0;
}

/* A piece of one page, by a translated request. -EPERM: it has no ATS (any more). */
static int move_translated(struct edu_engine *engine, uint64_t addr, uint8_t *buf, uint64_t len,
			   unsigned int access)
{
	const struct ram *ram = engine->dma.fn->platform->ram;
	uint64_t page = addr & ~(PAGE_SIZE - 1ull), to;
	int err;

	if (!pci_dma_may_translate(&engine->dma))
		return -EFAULT;
	err = pci_dma_begin(&engine->dma);
	if (err)
		return -EACCES;
	err = tlb_translate(engine, page, access, &to);
	to += addr - page;
	if (!err)
		err = iommu_ats_use(&engine->dma.section, IOMMU_NO_PASID, addr, gpa(to), len,
				    access);
	if (!err)
		err = access == IOMMU_WRITE ? ram_write(ram, gpa(to), buf, len)
					    : ram_read(ram, gpa(to), buf, len);
	pci_dma_end(&engine->dma);
	return err;
}

static int move_by_pages(struct edu_engine *engine, uint64_t addr, uint8_t *buf, uint64_t len,
			 unsigned int access)
{
	int err = 0;

	for (uint64_t done = 0, piece; done < len && !err; done += piece) {
		uint64_t at = addr + done;

		piece = min_u64(len - done, PAGE_SIZE - (at & (PAGE_SIZE - 1)));
		err = move_translated(engine, at, buf + done, piece, access);
		if (err == -EPERM)
			err = access == IOMMU_WRITE
				      ? pci_dma_write(&engine->dma, at, buf + done, piece)
				      : pci_dma_read(&engine->dma, at, buf + done, piece);
	}
	return err;
}

/* ---- without snooping ---- */

void edu_engine_clean(struct edu_engine *engine, uint64_t addr, uint64_t len)
{
	struct range range;

	if (range_make(addr, len, &range) || engine->nr_clean == EDU_CLEAN_SIZE)
		return;
	engine->clean[engine->nr_clean++] = range;
}

static bool is_declared_clean(const struct edu_engine *engine, struct range range)
{
	for (unsigned int i = 0; i < engine->nr_clean; i++)
		if (range_contains(engine->clean[i], range))
			return true;
	return false;
}

/* Whether the unit makes it coherent whatever the device asks for. */
static bool is_snooped(struct edu_engine *engine, uint64_t addr, uint64_t len, unsigned int access)
{
	struct iommu_span spans[EDU_BUFFER_SIZE / PAGE_SIZE + 1];
	uint64_t covered;
	unsigned int nr;
	bool snooped;

	if (pci_dma_begin(&engine->dma))
		return false;
	snooped = !iommu_translate(&engine->dma.section, IOMMU_NO_PASID, addr, len, access, spans,
				   ARRAY_SIZE(spans), &nr, &covered);
	for (unsigned int i = 0; snooped && i < nr; i++)
		snooped = spans[i].snoop;
	pci_dma_end(&engine->dma);
	return snooped;
}

/* ---- a transfer ---- */

static uint32_t result_of(int err)
{
	switch (err) {
	case 0:
		return EDU_RESULT_OK;
	case -ESTALE:
		return EDU_RESULT_STALE;
	case -EPERM:
	case -EACCES:
		return EDU_RESULT_NO_MASTER;
	default:
		return EDU_RESULT_REFUSED;
	}
}

static uint32_t run(struct edu_engine *engine, uint8_t *buf, struct range range, bool to_memory)
{
	unsigned int access = to_memory ? IOMMU_WRITE : IOMMU_READ;
	uint64_t len = range_len(range);
	int err;

	if (engine->no_snoop && !is_declared_clean(engine, range) &&
	    !is_snooped(engine, range.first, len, access)) {
		/* Past the cache lies what was there before; and what it writes is written over. */
		if (!to_memory)
			memset(buf, EDU_UNCLEAN_BYTE, len);
		atomic_fetch_add(&engine->nr_unclean, 1);
		return EDU_RESULT_UNCLEAN;
	}
	if (engine->ats)
		err = move_by_pages(engine, range.first, buf, len, access);
	else if (to_memory)
		err = pci_dma_write(&engine->dma, range.first, buf, len);
	else
		err = pci_dma_read(&engine->dma, range.first, buf, len);
	return result_of(err);
}

uint32_t edu_engine_run(struct edu_engine *engine, uint64_t device, uint64_t addr, uint64_t len,
			bool to_memory)
{
	struct range own, range;
	uint32_t result;

	if (range_make(device, len, &own) ||
	    !range_contains(range_of(EDU_BUFFER, EDU_BUFFER_SIZE), own))
		return EDU_RESULT_BUFFER;
	if (range_make(addr, len, &range))
		return EDU_RESULT_REFUSED;
	result = run(engine, engine->buffer + (own.first - EDU_BUFFER), range, to_memory);
	/* Said of the data as it was: the driver's next write makes the lines dirty again. */
	engine->nr_clean = 0;
	return result;
}
