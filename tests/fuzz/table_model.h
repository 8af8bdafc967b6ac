/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A page table against a flat map. A stream of bytes is a programme of map and unmap calls; a plain
 * array of pages does the same; whatever the walker then says must be what the array says. Shared by
 * the fuzz target and by a unit test that runs fixed streams.
 *
 * The window is small enough for an array and laid so that it crosses a 1 GiB boundary and a 512 GiB
 * one: every level above the last takes part.
 */
#ifndef AIRLOCK_TESTS_FUZZ_TABLE_MODEL_H
#define AIRLOCK_TESTS_FUZZ_TABLE_MODEL_H

#include <stdlib.h>
#include <string.h>

#include "iommu/table.h"
#include "iommu/walk.h"

#define MODEL_FIRST (GIB(512) - GIB(1) - MIB(6))
#define MODEL_PAGES ((GIB(2) + MIB(12)) >> PAGE_SHIFT)
#define MODEL_NONE  UINT64_MAX

struct model {
	struct table *table;
	uint64_t *pages; /* address | access, or MODEL_NONE */
	const char *broken;
};

struct model_bytes {
	const uint8_t *p;
	size_t left;
};

static inline uint64_t model_take(struct model_bytes *in, unsigned int nr)
{
	uint64_t v = 0;

	while (nr--) {
		v = v << 8 | (in->left ? *in->p : 0);
		if (in->left) {
			in->p++;
			in->left--;
		}
	}
	return v;
}

static inline void model_break(struct model *m, const char *what)
{
	if (!m->broken)
		m->broken = what;
}

/* What the walker says of one page must be what the array says, and no page may reach past it. */
static inline void model_check_page(struct model *m, uint64_t index)
{
	uint64_t iova = MODEL_FIRST + (index << PAGE_SHIFT), want = m->pages[index];
	struct walk w;
	bool ok = walk(table_mem(m->table), table_format(m->table), table_root(m->table), iova + 8,
		       0, &w);
	uint64_t mask, base, last;

	if (want == MODEL_NONE) {
		if (ok)
			model_break(m, "an unmapped page translates");
		else if (w.status != WALK_ABSENT)
			model_break(m, "an unmapped page is not absent");
		return;
	}
	if (!ok) {
		model_break(m, "a mapped page does not translate");
		return;
	}
	mask = (1ull << w.page_lg2) - 1;
	if ((w.page | (iova & mask)) != (want & PAGE_MASK) || w.access != (want & 3))
		model_break(m, "a page translates to another address or right");
	/* Neither end of the page it was found in lies outside what was granted. */
	base = iova & ~mask;
	last = base + mask;
	if (base < MODEL_FIRST || (last - MODEL_FIRST) >> PAGE_SHIFT >= MODEL_PAGES) {
		model_break(m, "a page reaches past its grant");
		return;
	}
	if (m->pages[(base - MODEL_FIRST) >> PAGE_SHIFT] != (w.page | w.access) ||
	    m->pages[(last - MODEL_FIRST) >> PAGE_SHIFT] !=
		    ((w.page + (mask & PAGE_MASK)) | w.access))
		model_break(m, "a page reaches past its grant");
}

static inline void model_check_around(struct model *m, uint64_t first, uint64_t nr)
{
	uint64_t at[] = { first, first + nr - 1, first + nr / 2, first ? first - 1 : 0,
			  first + nr < MODEL_PAGES ? first + nr : first };

	for (unsigned int i = 0; i < sizeof(at) / sizeof(at[0]); i++)
		model_check_page(m, at[i]);
}

static inline void model_step(struct model *m, struct model_bytes *in)
{
	static const uint32_t sizes[] = { 1, 2, 3, 511, 512, 513, 1024, 4096, 131072, 262144 };
	uint8_t op = (uint8_t)model_take(in, 1);
	uint64_t first = model_take(in, 3) % MODEL_PAGES, nr;
	uint64_t addr = model_take(in, 3), have = 0, done = 0;
	unsigned int access = 1 + (op >> 2) % 3;
	int err, want = 0;

	if (table_format(m->table)->kind == PT_VTD_FS)
		access |= IOMMU_READ;
	nr = sizes[(op >> 4) % (sizeof(sizes) / sizeof(sizes[0]))];
	/* Half of the programmes aligned, or no large page would ever be made. */
	if (op & 2) {
		uint64_t align = nr >= 262144 ? 262144 : nr >= 512 ? 512 : 1;
		uint64_t page = MODEL_FIRST / PAGE_SIZE + first;

		page = (page + align - 1) / align * align;
		first = page - MODEL_FIRST / PAGE_SIZE;
		addr = addr / align * align;
		if (first >= MODEL_PAGES)
			return;
	}
	nr = min_u64(nr, MODEL_PAGES - first);
	for (uint64_t i = 0; i < nr; i++)
		have += m->pages[first + i] != MODEL_NONE;

	if (op & 1) {
		want = have ? -EEXIST : 0;
		err = table_map(m->table, MODEL_FIRST + (first << PAGE_SHIFT), addr << PAGE_SHIFT,
				nr << PAGE_SHIFT, access);
		if (!err)
			for (uint64_t i = 0; i < nr; i++)
				m->pages[first + i] = (addr + i) << PAGE_SHIFT | access;
	} else {
		err = table_unmap(m->table, MODEL_FIRST + (first << PAGE_SHIFT), nr << PAGE_SHIFT,
				  &done);
		if (!err) {
			for (uint64_t i = 0; i < nr; i++)
				m->pages[first + i] = MODEL_NONE;
			if (done != have << PAGE_SHIFT)
				model_break(m, "unmap miscounts");
		}
		if (op & 128)
			table_reclaim(m->table);
	}
	/* Out of tables is an answer, but only one that changes nothing. */
	if (err != want && err != -ENOMEM)
		model_break(m, "a call answers wrongly");
	model_check_around(m, first, nr);
}

static inline void model_check_all(struct model *m, uint64_t stride)
{
	for (uint64_t i = 0; i < MODEL_PAGES; i += stride)
		model_check_page(m, i);
}

/*
 * NULL, or what was found wrong. Around each step's range every page is checked at once; at the end
 * each stride-th of all.
 */
static inline const char *model_run(const struct pt_format *format, const uint8_t *data,
				    size_t size, uint64_t nr_tables, uint64_t stride,
				    uint64_t *pages)
{
	struct model m = { .pages = pages };
	struct model_bytes in = { data, size };
	uint64_t done;

	memset(pages, 0xff, MODEL_PAGES * sizeof(*pages));
	if (table_create(format, nr_tables, &m.table))
		return "no memory";
	for (unsigned int i = 0; in.left && i < 400 && !m.broken; i++)
		model_step(&m, &in);
	if (!m.broken)
		model_check_all(&m, stride);
	/* Taking everything down never fails and leaves the root alone. */
	if (table_unmap(m.table, 0, 1ull << format->width, &done) && format->width < 64)
		model_break(&m, "a full unmap fails");
	table_reclaim(m.table);
	if (table_count(m.table) != 1)
		model_break(&m, "tables are lost");
	table_destroy(m.table);
	return m.broken;
}

#endif
