// SPDX-License-Identifier: GPL-2.0-or-later
#include "dma/grants.h"

#include <stdlib.h>
#include <string.h>

#include "base/bug.h"

void dma_grants_fini(struct dma_grants *grants)
{
	free(grants->grant);
	*grants = (struct dma_grants){ 0 };
}

int dma_grants_reserve(struct dma_grants *grants)
{
	struct dma_grant *grown;
	size_t room;

	if (grants->nr < grants->room)
		return 0;
	room = grants->room ? grants->room * 2 : 8;
	grown = reallocarray(grants->grant, room, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	grants->grant = grown;
	grants->room = room;
	return 0;
}

size_t dma_grants_find(const struct dma_grants *grants, uint64_t addr)
{
	size_t low = 0, high = grants->nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (grants->grant[mid].at.last < addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool dma_grants_overlap(const struct dma_grants *grants, struct range r)
{
	size_t i = dma_grants_find(grants, r.first);

	return i < grants->nr && range_overlaps(grants->grant[i].at, r);
}

void dma_grants_add(struct dma_grants *grants, const struct dma_grant *grant)
{
	size_t i = dma_grants_find(grants, grant->at.first);

	BUG_ON(grants->nr == grants->room);
	memmove(&grants->grant[i + 1], &grants->grant[i],
		(grants->nr - i) * sizeof(grants->grant[0]));
	grants->grant[i] = *grant;
	grants->nr++;
}

void dma_grants_remove(struct dma_grants *grants, size_t index)
{
	BUG_ON(index >= grants->nr);
	grants->nr--;
	memmove(&grants->grant[index], &grants->grant[index + 1],
		(grants->nr - index) * sizeof(grants->grant[0]));
}
