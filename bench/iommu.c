// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The remapping engine in figures, each beside a reference taken in the same round: bench_iommu
 * [ROUNDS]. Prints medians over the rounds, their spread, and the ratio the engine is held to.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iommu/table.h"
#include "iommu/vtd.h"
#include "iommu/vtd_regs.h"
#include "iommu/walk.h"

#define RAM_BASE   MIB(1)
#define RAM_SIZE   MIB(96)
#define DOMAIN	   5
#define HIT_PAGES  512
#define COLD_PAGES 4096 /* each in a piece of 2 MiB of its own: beyond the shared level's reach */
#define WARM_PAGES 16384
#define NEST_PAGES 512
#define LOOPS	   40000
#define DEVICES	   2

enum metric {
	HIT,
	SECTION,
	WARM,
	COLD,
	NESTED,
	MAP_UNMAP,
	GIB_MAP,
	GIB_UNMAP,
	INVAL,
	INVAL_WAIT,
	SCALE,
	METRICS
};

static const struct {
	const char *what, *reference;
	const char *unit;
	double limit; /* ratio to the reference */
	bool at_least;
} metrics[METRICS] = {
	[HIT] = { "IOTLB hit, 512 pages", "one-probe hash look-up", "ns", 2, false },
	[SECTION] = { "section, hit, end", "one-probe hash look-up", "ns", 0, false },
	[WARM] = { "miss, upper levels cached", "4 dependent loads", "ns", 2, false },
	[COLD] = { "miss, nothing cached", "4 dependent loads", "ns", 2, false },
	[NESTED] = { "two-stage miss", "24 dependent loads", "ns", 2, false },
	[MAP_UNMAP] = { "map and unmap 4 KiB", "4-level walk", "ns", 4, false },
	[GIB_MAP] = { "map 1 GiB by 4 KiB", "plain loop of stores", "us", 4, false },
	[GIB_UNMAP] = { "unmap 1 GiB by 4 KiB", "plain loop of stores", "us", 4, false },
	[INVAL] = { "page invalidation, queued", "2 M/s", "ns", 1, false },
	[INVAL_WAIT] = { "the same, each waited for", "2 M/s", "ns", 1, false },
	[SCALE] = { "2 threads, 2 devices", "1 thread", "M/s", 1.9, true },
};

struct world {
	uint8_t *ram;
	uint64_t next;
	struct vtd *vtd;
	struct iommu_device *dev[DEVICES];
	struct iommu_section section[DEVICES];
	uint64_t root, ss, fs, second, queue, status;
};

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static void must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "bench_iommu: %s\n", what);
		exit(1);
	}
}

static uint64_t *at(struct world *w, uint64_t addr)
{
	return (uint64_t *)(void *)(w->ram + (addr - RAM_BASE));
}

static uint64_t page(struct world *w)
{
	uint64_t addr = w->next;

	w->next += PAGE_SIZE;
	must(w->next <= RAM_BASE + RAM_SIZE, "out of memory for tables");
	return addr;
}

static void map(struct world *w, uint64_t root, uint64_t iova, uint64_t entry, uint64_t flags)
{
	uint64_t table = root;

	for (unsigned int level = 4; level > 1; level--) {
		uint64_t *slot = at(w, table) + (iova >> PT_LEVEL_LG2(level)) % 512;

		if (!*slot)
			*slot = page(w) | flags;
		table = *slot & PAGE_MASK;
	}
	at(w, table)[(iova >> 12) % 512] = entry;
}

static uint64_t hit_iova(unsigned int i)
{
	return (uint64_t)(i % HIT_PAGES) << 12;
}

static uint64_t cold_iova(unsigned int i)
{
	return GIB(512) + ((uint64_t)(i % COLD_PAGES) << 21) + ((uint64_t)(i * 7 % 512) << 12);
}

static uint64_t warm_iova(unsigned int i)
{
	return GIB(4) + ((uint64_t)(i % WARM_PAGES) << 12);
}

static uint64_t nest_iova(unsigned int i)
{
	return ((uint64_t)(i % NEST_PAGES) << 21) + ((uint64_t)(i * 5 % 512) << 12);
}

static void gcmd(struct world *w, uint32_t bit)
{
	vtd_mmio_write(w->vtd, VTD_GCMD, 4,
		       (vtd_mmio_read(w->vtd, VTD_GSTS, 4) & 0x96ffffff) | bit);
}

static void world_init(struct world *w)
{
	struct vtd_config config = { .haw = 46, .aw = 48, .nr_fault_regs = 1 };
	uint64_t contexts;

	w->ram = aligned_alloc(MIB(2), RAM_SIZE);
	must(w->ram, "no memory");
	memset(w->ram, 0, RAM_SIZE);
	w->next = RAM_BASE;
	config.mem =
		(struct iommu_mem){ .nr_windows = 1, .windows[0] = { RAM_BASE, RAM_SIZE, w->ram } };
	must(!vtd_create(&config, &w->vtd, NULL), "no unit");
	w->root = page(w);
	w->ss = page(w);
	w->fs = page(w);
	w->second = page(w);
	w->queue = page(w);
	w->status = page(w);
	contexts = page(w);
	at(w, w->root)[0] = contexts | 1;
	for (unsigned int i = 0; i < DEVICES; i++) {
		must(!iommu_device_create(vtd_iommu(w->vtd), (rid_t){ (uint16_t)(8 + i) }, "dev",
					  &w->dev[i]),
		     "no device");
		iommu_section_init(&w->section[i], w->dev[i]);
		at(w, contexts)[2 * (8 + i)] = w->ss | 1;
		at(w, contexts)[2 * (8 + i) + 1] = 2 | (DOMAIN + i) << 8;
	}
	for (unsigned int i = 0; i < HIT_PAGES; i++)
		map(w, w->ss, hit_iova(i), (uint64_t)(i + 1) << 20 | 3, 3);
	for (unsigned int i = 0; i < WARM_PAGES; i++)
		map(w, w->ss, warm_iova(i), (uint64_t)(i + 1) << 12 | 3, 3);
	for (unsigned int i = 0; i < COLD_PAGES; i++)
		map(w, w->ss, cold_iova(i), (uint64_t)(i + 1) << 12 | 3, 3);
	/* First-stage tables where they are; the second stage maps all memory to itself. */
	for (unsigned int i = 0; i < NEST_PAGES; i++)
		map(w, w->fs, nest_iova(i), (RAM_BASE + ((uint64_t)i << 12)) | 0x67, 0x27);
	for (uint64_t a = RAM_BASE; a < RAM_BASE + RAM_SIZE; a += PAGE_SIZE)
		map(w, w->second, a, a | 3, 3);
	vtd_mmio_write(w->vtd, VTD_RTADDR, 8, w->root);
	gcmd(w, GCMD_SRTP);
	vtd_mmio_write(w->vtd, VTD_IQA, 8, w->queue);
	gcmd(w, GCMD_QIE);
	gcmd(w, GCMD_TE);
}

/*
 * Zero, but not before `result` is known: each look-up waits for the one before, as a device's next
 * request waits for its data. Otherwise the processor overlaps them and no latency is seen.
 */
static inline unsigned int after(uint64_t result)
{
	__asm__ volatile("and $0, %0" : "+r"(result));
	return (unsigned int)result;
}

static uint64_t translate(struct world *w, unsigned int i, uint64_t iova)
{
	struct iommu_span span;
	uint64_t covered;
	unsigned int nr;

	must(!iommu_translate(&w->section[i], IOMMU_NO_PASID, iova, 64, IOMMU_WRITE, &span, 1, &nr,
			      &covered),
	     "a translation failed");
	return span.addr.v;
}

/* Random order, the same for the engine and its reference. */
static unsigned int order[COLD_PAGES > WARM_PAGES ? COLD_PAGES : WARM_PAGES];

static void shuffle(unsigned int n)
{
	static uint64_t seed = 88172645463325252ull;

	for (unsigned int i = 0; i < n; i++)
		order[i] = i;
	for (unsigned int i = n - 1; i; i--) {
		unsigned int j, t;

		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		j = (unsigned int)(seed % (i + 1));
		t = order[i];
		order[i] = order[j];
		order[j] = t;
	}
}

typedef uint64_t (*iova_fn)(unsigned int i);

static double run_translate(struct world *w, iova_fn where, unsigned int n, bool each)
{
	uint64_t start, last = 0;

	iommu_section_begin(&w->section[0]);
	for (unsigned int i = 0; i < n; i++)
		last = translate(w, 0, where(order[i]));
	iommu_section_end(&w->section[0]);
	start = now();
	if (!each)
		iommu_section_begin(&w->section[0]);
	for (unsigned int i = 0; i < LOOPS; i++) {
		if (each)
			iommu_section_begin(&w->section[0]);
		last = translate(w, 0, where(order[i % n + after(last)]));
		if (each)
			iommu_section_end(&w->section[0]);
	}
	if (!each)
		iommu_section_end(&w->section[0]);
	return (double)(now() - start) / LOOPS;
}

/* One probe of a table of twice the entries, multiplicative hash. */
static double run_hash(void)
{
	static struct {
		uint64_t key, value;
	} table[HIT_PAGES * 4];
	uint64_t start, last = 0;

	for (unsigned int i = 0; i < HIT_PAGES; i++) {
		uint64_t key = hit_iova(i), h = key * 0x9e3779b97f4a7c15ull >> 53;

		table[h].key = key;
		table[h].value = i;
	}
	start = now();
	for (unsigned int i = 0; i < LOOPS; i++) {
		uint64_t key = hit_iova(order[i % HIT_PAGES + after(last)]);
		uint64_t h = key * 0x9e3779b97f4a7c15ull >> 53;

		last = table[h].key == key ? table[h].value : 0;
	}
	return (double)(now() - start) / LOOPS;
}

static uint64_t chain(struct world *w, uint64_t root, uint64_t iova)
{
	uint64_t table = root;

	for (unsigned int level = 4; level; level--)
		table = at(w, table)[(iova >> PT_LEVEL_LG2(level)) % 512] & GENMASK64(45, 12);
	return table;
}

/* The loads of a walk with nothing around them, on the same tables in the same order. */
static double run_chain(struct world *w, uint64_t root, iova_fn where, unsigned int n)
{
	uint64_t start, last = 0;

	for (unsigned int i = 0; i < n; i++)
		last = chain(w, root, where(order[i]));
	start = now();
	for (unsigned int i = 0; i < LOOPS; i++)
		last = chain(w, root, where(order[i % n + after(last)]));
	return (double)(now() - start) / LOOPS;
}

static uint64_t chain_nested(struct world *w, uint64_t iova)
{
	uint64_t table = w->fs;

	for (unsigned int level = 4; level; level--) {
		table = chain(w, w->second, table);
		table = at(w, table)[(iova >> PT_LEVEL_LG2(level)) % 512] & GENMASK64(45, 12);
	}
	return chain(w, w->second, table);
}

static void run_nested(struct world *w, double *engine, double *reference)
{
	struct pt_format fs, ss;
	struct iommu_mem mem = { .nr_windows = 1, .windows[0] = { RAM_BASE, RAM_SIZE, w->ram } };
	uint64_t start, last = 0;
	struct walk walked;

	pt_format_vtd_fs(&fs, 4, 46, PT_LEAF_1G);
	pt_format_vtd_ss(&ss, 4, 46, PT_LEAF_1G, false, false);
	for (unsigned int i = 0; i < NEST_PAGES; i++)
		must(walk_nested(&mem, &fs, w->fs, &ss, w->second, nest_iova(order[i]), IOMMU_WRITE,
				 &walked),
		     "a nested walk failed");
	start = now();
	for (unsigned int i = 0; i < LOOPS; i++) {
		walk_nested(&mem, &fs, w->fs, &ss, w->second,
			    nest_iova(order[i % NEST_PAGES + after(last)]), IOMMU_WRITE, &walked);
		last = walked.page;
	}
	*engine = (double)(now() - start) / LOOPS;
	start = now();
	for (unsigned int i = 0; i < LOOPS; i++) {
		last = chain_nested(w, nest_iova(order[i % NEST_PAGES + after(last)]));
	}
	*reference = (double)(now() - start) / LOOPS;
}

static void run_map(double *engine, double *reference)
{
	struct pt_format f;
	struct table *t;
	uint64_t start, last = 0;
	struct walk walked;

	pt_format_vtd_ss(&f, 4, 46, PT_LEAF_1G, false, false);
	must(!table_create(&f, 4096, &t), "no table");
	/* A neighbour keeps the tables, as in a domain in use. */
	must(!table_map(t, 0, 0, KIB(4), 3), "no mapping");
	start = now();
	for (unsigned int i = 0; i < LOOPS; i++) {
		uint64_t iova = (uint64_t)(1 + i % 511) << 12;

		table_map(t, iova, iova, KIB(4), 3);
		table_unmap(t, iova, KIB(4), NULL);
	}
	*engine = (double)(now() - start) / LOOPS;
	for (unsigned int i = 1; i < 512; i++)
		table_map(t, (uint64_t)i << 12, (uint64_t)i << 12, KIB(4), 3);
	start = now();
	for (unsigned int i = 0; i < LOOPS; i++) {
		walk(table_mem(t), table_format(t), table_root(t),
		     (uint64_t)(1 + (i + after(last)) % 511) << 12, 3, &walked);
		last = walked.page;
	}
	*reference = (double)(now() - start) / LOOPS;
	table_destroy(t);
}

static void run_gib(double *mapped, double *unmapped, double *reference)
{
	static uint64_t *plain;
	struct pt_format f;
	struct table *t;
	uint64_t start;

	if (!plain) {
		plain = aligned_alloc(PAGE_SIZE, MIB(2));
		must(plain, "no memory");
		memset(plain, 0, MIB(2));
	}
	pt_format_vtd_ss(&f, 4, 46, PT_LEAF_4K, false, false);
	must(!table_create(&f, 4096, &t), "no table");
	/* Once before: the kernel's pages are there for both. */
	must(!table_map(t, GIB(1), GIB(2), GIB(1), 3), "no mapping");
	table_unmap(t, GIB(1), GIB(1), NULL);
	table_reclaim(t);
	start = now();
	must(!table_map(t, GIB(1), GIB(2), GIB(1), 3), "no mapping");
	*mapped = (double)(now() - start) / 1000;
	start = now();
	table_unmap(t, GIB(1), GIB(1), NULL);
	*unmapped = (double)(now() - start) / 1000;
	start = now();
	for (unsigned int i = 0; i < GIB(1) / PAGE_SIZE; i++)
		__atomic_store_n(&plain[i], (GIB(2) + ((uint64_t)i << 12)) | 3, __ATOMIC_RELAXED);
	*reference = (double)(now() - start) / 1000;
	table_destroy(t);
}

static double run_inval(struct world *w, bool wait_each)
{
	unsigned int tail = (unsigned int)vtd_mmio_read(w->vtd, VTD_IQT, 4), done = 0,
		     batch = wait_each ? 1 : 127;
	uint64_t start, spent = 0;

	while (done < LOOPS) {
		/* Something to forget. */
		iommu_section_begin(&w->section[0]);
		translate(w, 0, hit_iova(done));
		iommu_section_end(&w->section[0]);
		for (unsigned int i = 0; i < batch; i++, tail = (tail + 16) % 4096) {
			at(w, w->queue + tail)[0] = 0x32 | DOMAIN << 16;
			at(w, w->queue + tail)[1] = hit_iova(done + i);
		}
		at(w, w->queue + tail)[0] = 5 | 0x20 | 1ull << 32;
		at(w, w->queue + tail)[1] = w->status;
		tail = (tail + 16) % 4096;
		*at(w, w->status) = 0;
		start = now();
		vtd_mmio_write(w->vtd, VTD_IQT, 4, tail);
		spent += now() - start;
		must(__atomic_load_n(at(w, w->status), __ATOMIC_ACQUIRE) == 1,
		     "an invalidation failed");
		done += batch;
	}
	return (double)spent / done;
}

struct thread {
	struct world *w;
	unsigned int dev;
	pthread_barrier_t *barrier;
	double ns;
	uint64_t sink;
};

static void *thread_run(void *opaque)
{
	struct thread *t = opaque;
	struct iommu_section *section = &t->w->section[t->dev];
	struct iommu_span span;
	uint64_t start, covered, sink = 0;
	unsigned int nr;

	pthread_barrier_wait(t->barrier);
	start = now();
	for (unsigned int i = 0; i < LOOPS * 8; i++) {
		iommu_section_begin(section);
		iommu_translate(section, IOMMU_NO_PASID, hit_iova(i * 7), 64, IOMMU_WRITE, &span, 1,
				&nr, &covered);
		sink += span.addr.v;
		iommu_section_end(section);
	}
	t->ns = (double)(now() - start) / (LOOPS * 8);
	t->sink = sink;
	return NULL;
}

/* Million translations a second, all threads together. */
static double run_threads(struct world *w, unsigned int nr)
{
	struct thread threads[DEVICES];
	pthread_t ids[DEVICES];
	pthread_barrier_t barrier;
	double rate = 0;

	pthread_barrier_init(&barrier, NULL, nr);
	for (unsigned int i = 0; i < nr; i++) {
		threads[i] = (struct thread){ .w = w, .dev = i, .barrier = &barrier };
		must(!pthread_create(&ids[i], NULL, thread_run, &threads[i]), "no thread");
	}
	for (unsigned int i = 0; i < nr; i++) {
		pthread_join(ids[i], NULL);
		rate += 1000 / threads[i].ns;
	}
	pthread_barrier_destroy(&barrier);
	return rate;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v, unsigned int n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

int main(int argc, char **argv)
{
	unsigned int rounds = argc > 1 ? (unsigned int)strtoul(argv[1], NULL, 10) : 15, missed = 0;
	static double engine[METRICS][1000], reference[METRICS][1000], ratio[METRICS][1000];
	struct world w = { 0 };

	must(rounds >= 1 && rounds <= 1000, "rounds: 1 to 1000");
	world_init(&w);
	for (unsigned int r = 0; r < rounds; r++) {
		double plain;

		shuffle(HIT_PAGES);
		reference[HIT][r] = reference[SECTION][r] = run_hash();
		engine[HIT][r] = run_translate(&w, hit_iova, HIT_PAGES, false);
		engine[SECTION][r] = run_translate(&w, hit_iova, HIT_PAGES, true);
		shuffle(WARM_PAGES);
		reference[WARM][r] = run_chain(&w, w.ss, warm_iova, WARM_PAGES);
		engine[WARM][r] = run_translate(&w, warm_iova, WARM_PAGES, false);
		shuffle(COLD_PAGES);
		reference[COLD][r] = run_chain(&w, w.ss, cold_iova, COLD_PAGES);
		engine[COLD][r] = run_translate(&w, cold_iova, COLD_PAGES, false);
		shuffle(NEST_PAGES);
		run_nested(&w, &engine[NESTED][r], &reference[NESTED][r]);
		run_map(&engine[MAP_UNMAP][r], &reference[MAP_UNMAP][r]);
		run_gib(&engine[GIB_MAP][r], &engine[GIB_UNMAP][r], &plain);
		reference[GIB_MAP][r] = reference[GIB_UNMAP][r] = plain;
		engine[INVAL][r] = run_inval(&w, false);
		engine[INVAL_WAIT][r] = run_inval(&w, true);
		reference[INVAL][r] = reference[INVAL_WAIT][r] = 500;
		reference[SCALE][r] = run_threads(&w, 1);
		engine[SCALE][r] = run_threads(&w, 2);
		for (unsigned int m = 0; m < METRICS; m++)
			ratio[m][r] = engine[m][r] / reference[m][r];
	}

	printf("%-28s %9s %9s   %-24s %9s   %6s %13s  %s\n", "", "median", "", "reference",
	       "median", "ratio", "(spread)", "held to");
	for (unsigned int m = 0; m < METRICS; m++) {
		double e = median(engine[m], rounds), f = median(reference[m], rounds);
		double q = median(ratio[m], rounds);
		double low = ratio[m][rounds / 10], high = ratio[m][rounds - 1 - rounds / 10];
		bool ok = !metrics[m].limit ||
			  (metrics[m].at_least ? q >= metrics[m].limit : q <= metrics[m].limit);

		printf("%-28s %9.1f %-9s   %-24s %9.1f   %6.2f (%5.2f-%5.2f)  ", metrics[m].what, e,
		       metrics[m].unit, metrics[m].reference, f, q, low, high);
		if (metrics[m].limit)
			printf("%s %g%s\n", metrics[m].at_least ? ">=" : "<=", metrics[m].limit,
			       ok ? "" : "  MISSED");
		else
			printf("\n");
		missed += !ok;
	}
	return missed ? 1 : 0;
}
