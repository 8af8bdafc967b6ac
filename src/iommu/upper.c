// SPDX-License-Identifier: GPL-2.0-or-later
#include "iommu/upper.h"

#define UPPER_VALID   BIT64(0)
#define UPPER_VERSION GENMASK64(20, 1)
#define UPPER_PIECE   (~0x1fffffull)

#define UPPER_HUGE    BIT64(4)
#define UPPER_LEAF    BIT64(2)
#define UPPER_SNOOP   BIT64(3)

/* Ranges beyond this many pieces of 2 MiB go with their whole domain. */
#define UPPER_RANGE_MAX 32

static uint64_t tag_word(struct upper_tag tag)
{
	uint64_t pasid = tag.pasid == IOMMU_NO_PASID ? BIT64(20) : tag.pasid;

	return (uint64_t)(tag.domain & 0xffff) | (uint64_t)tag.stage << 16 | pasid << 20;
}

static struct upper_entry *set_of(struct upper *upper, uint32_t domain, uint64_t iova)
{
	uint64_t piece = iova >> 21;

	return upper->entries[(piece ^ (piece >> 9) ^ domain * 61u) & (UPPER_SETS - 1)];
}

bool upper_lookup(struct upper *upper, struct upper_tag tag, uint64_t iova, struct upper_hit *hit)
{
	struct upper_entry *set = set_of(upper, tag.domain, iova);
	uint64_t want = (iova & UPPER_PIECE) | UPPER_VALID, word = tag_word(tag);

	for (unsigned int way = 0; way < UPPER_WAYS; way++) {
		uint64_t key = atomic_load_explicit(&set[way].key, memory_order_acquire), value;

		if ((key & ~UPPER_VERSION) != want)
			continue;
		if (atomic_load_explicit(&set[way].tag, memory_order_acquire) != word)
			continue;
		value = atomic_load_explicit(&set[way].value, memory_order_acquire);
		if (atomic_load_explicit(&set[way].key, memory_order_relaxed) != key)
			return false;
		hit->leaf = value & UPPER_LEAF;
		hit->access = value & (IOMMU_READ | IOMMU_WRITE);
		hit->snoop = value & UPPER_SNOOP;
		hit->huge = value & UPPER_HUGE;
		hit->addr = value & ~0xfffull;
		return true;
	}
	return false;
}

void upper_fill(struct upper *upper, struct upper_tag tag, uint64_t iova,
		const struct upper_hit *hit, _Atomic uint64_t *seq, uint64_t expected)
{
	struct upper_entry *set = set_of(upper, tag.domain, iova);
	uint64_t want = (iova & UPPER_PIECE) | UPPER_VALID, word = tag_word(tag);
	unsigned int way, place = UPPER_WAYS;

	spin_take(&upper->lock);
	if (atomic_load_explicit(seq, memory_order_acquire) != expected)
		goto out;
	for (way = 0; way < UPPER_WAYS; way++) {
		uint64_t key = atomic_load_explicit(&set[way].key, memory_order_relaxed);

		if (!key)
			place = way;
		if ((key & ~UPPER_VERSION) == want &&
		    atomic_load_explicit(&set[way].tag, memory_order_relaxed) == word) {
			place = way;
			break;
		}
	}
	if (place == UPPER_WAYS)
		place = upper->victim++ % UPPER_WAYS;
	upper->any = true;
	upper->fragmented |= hit->huge;
	atomic_store_explicit(&set[place].key, 0, memory_order_relaxed);
	atomic_store_explicit(&set[place].tag, word, memory_order_release);
	atomic_store_explicit(&set[place].value,
			      hit->addr | hit->access | (hit->leaf ? UPPER_LEAF : 0) |
				      (hit->snoop ? UPPER_SNOOP : 0) | (hit->huge ? UPPER_HUGE : 0),
			      memory_order_release);
	atomic_store_explicit(&set[place].key,
			      want | FIELD_PREP(UPPER_VERSION, (uint64_t)++upper->version),
			      memory_order_release);
out:
	spin_drop(&upper->lock);
}

static uint32_t entry_domain(struct upper_entry *entry)
{
	return atomic_load_explicit(&entry->tag, memory_order_relaxed) & 0xffff;
}

static void entry_clear(struct upper_entry *entry)
{
	atomic_store_explicit(&entry->key, 0, memory_order_relaxed);
}

static void clear_domain_locked(struct upper *upper, uint32_t domain)
{
	for (unsigned int i = 0; i < UPPER_SETS; i++)
		for (unsigned int way = 0; way < UPPER_WAYS; way++)
			if (entry_domain(&upper->entries[i][way]) == (domain & 0xffff))
				entry_clear(&upper->entries[i][way]);
}

void upper_clear(struct upper *upper)
{
	spin_take(&upper->lock);
	if (upper->any)
		for (unsigned int i = 0; i < UPPER_SETS; i++)
			for (unsigned int way = 0; way < UPPER_WAYS; way++)
				entry_clear(&upper->entries[i][way]);
	upper->any = false;
	upper->fragmented = false;
	spin_drop(&upper->lock);
}

void upper_clear_domain(struct upper *upper, uint32_t domain)
{
	spin_take(&upper->lock);
	if (upper->any)
		clear_domain_locked(upper, domain);
	spin_drop(&upper->lock);
}

void upper_clear_range(struct upper *upper, uint32_t domain, uint64_t first, uint64_t last,
		       bool leaf_only)
{
	spin_take(&upper->lock);
	if (!upper->any)
		goto out;
	if (upper->fragmented || (last >> 21) - (first >> 21) >= UPPER_RANGE_MAX) {
		clear_domain_locked(upper, domain);
		goto out;
	}
	for (uint64_t piece = first >> 21; piece <= last >> 21; piece++) {
		struct upper_entry *set = set_of(upper, domain, piece << 21);

		for (unsigned int way = 0; way < UPPER_WAYS; way++) {
			uint64_t key = atomic_load_explicit(&set[way].key, memory_order_relaxed);
			uint64_t value =
				atomic_load_explicit(&set[way].value, memory_order_relaxed);

			if (!key || (key ^ piece << 21) & UPPER_PIECE ||
			    entry_domain(&set[way]) != (domain & 0xffff) ||
			    (leaf_only && !(value & UPPER_LEAF)))
				continue;
			entry_clear(&set[way]);
		}
	}
out:
	spin_drop(&upper->lock);
}
