// SPDX-License-Identifier: GPL-2.0-or-later
#include "memory/ram.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bits.h"
#include "base/bug.h"

#ifndef MADV_POPULATE_WRITE /* Linux 5.14 */
#define MADV_POPULATE_WRITE 23
#endif

/* What one madvise or memset covers: large enough to be cheap, small enough to show progress. */
#define RAM_CHUNK	MIB(64)
#define RAM_THREADS_MAX 64u
#define RAM_OBJECT	"memory"

/* Physical addresses of x86 end at bit 52; a size beyond that is a typing error, not a wish. */
#define RAM_SIZE_MAX (1ull << 51)

static const uint64_t page_sizes[] = {
	[RAM_ANON] = PAGE_SIZE,
	[RAM_HUGETLB_2M] = MIB(2),
	[RAM_HUGETLB_1G] = GIB(1),
	[RAM_MEMFD] = PAGE_SIZE,
};

static bool ram_is_hugetlb(const struct ram *ram)
{
	return ram->page_size > PAGE_SIZE;
}

static bool ram_is_shared(const struct ram *ram)
{
	return ram->regions[0].fd >= 0;
}

/* "MemAvailable:   123 kB" -> bytes; 0 when the line is not there. */
static uint64_t meminfo_bytes(const char *text, const char *key)
{
	const char *line = strstr(text, key);
	unsigned long long kib;

	if (!line || sscanf(line + strlen(key), ": %llu kB", &kib) != 1)
		return 0;
	return KIB(kib);
}

/* A host that does not say how much it has is not asked twice: the kernel refuses then. */
static int ram_check_available(struct ram *ram, struct diag *diag)
{
	uint64_t available, total;
	char text[8192];

	if (sys_read_text(ram->sys, SYS_TREE_PROC, "meminfo", text, sizeof(text)))
		return 0;
	available = meminfo_bytes(text, "MemAvailable");
	total = meminfo_bytes(text, "MemTotal");
	if (!available || ram->size <= available)
		return 0;
	diag_set(diag, -ENOMEM, RAM_OBJECT,
		 "%" PRIu64 " MiB wanted, but the host has %" PRIu64 " MiB available of %" PRIu64
		 " MiB",
		 ram->size >> 20, available >> 20, total >> 20);
	diag_remedy(diag, -ENOMEM,
		    "give the guest at most --memory %" PRIu64 "M, or free memory on the host",
		    align_down(available >> 20, 64));
	return -ENOMEM;
}

static uint64_t hugepages_number(struct ram *ram, const char *name)
{
	uint64_t value;
	char path[96];

	snprintf(path, sizeof(path), "kernel/mm/hugepages/hugepages-%" PRIu64 "kB/%s",
		 ram->page_size >> 10, name);
	return sys_read_number(ram->sys, SYS_TREE_SYS, path, &value) ? 0 : value;
}

static int ram_refuse_hugepages(struct ram *ram, struct diag *diag)
{
	uint64_t need = ram->size / ram->page_size;
	uint64_t kib = ram->page_size >> 10;
	uint64_t nr = hugepages_number(ram, "nr_hugepages");
	uint64_t unused = hugepages_number(ram, "free_hugepages");
	uint64_t reserved = hugepages_number(ram, "resv_hugepages");

	unused -= min_u64(unused, reserved);
	diag_set(diag, -ENOMEM, RAM_OBJECT,
		 "huge pages of %s: %" PRIu64 " needed, %" PRIu64 " free of %" PRIu64,
		 ram->page_size == GIB(1) ? "1 GiB" : "2 MiB", need, unused, nr);
	diag_remedy(diag, -ENOMEM,
		    "echo %" PRIu64 " > /sys/kernel/mm/hugepages/hugepages-%" PRIu64
		    "kB/nr_hugepages%s",
		    nr + need - min_u64(need, unused), kib,
		    ram->page_size == GIB(1)
			    ? " (or, where memory is fragmented, hugepagesz=1G hugepages=N at boot)"
			    : "");
	return -ENOMEM;
}

/* Pages free, not promised to someone else, or that the host would still make on demand. */
static int ram_check_hugepages(struct ram *ram, struct diag *diag)
{
	uint64_t unused = hugepages_number(ram, "free_hugepages");
	uint64_t more = hugepages_number(ram, "nr_overcommit_hugepages");

	unused -= min_u64(unused, hugepages_number(ram, "resv_hugepages"));
	more -= min_u64(more, hugepages_number(ram, "surplus_hugepages"));
	if (ram->size / ram->page_size <= unused + more)
		return 0;
	return ram_refuse_hugepages(ram, diag);
}

static int ram_refuse_map(struct ram *ram, int err, struct diag *diag)
{
	if (err == -ENOMEM && ram_is_hugetlb(ram))
		return ram_refuse_hugepages(ram, diag);
	diag_set(diag, err, RAM_OBJECT, "the host does not map %" PRIu64 " MiB: %s",
		 ram->size >> 20, strerror(-err));
	if (err == -ENOMEM)
		diag_remedy(diag, err,
			    "give the guest less (--memory), or look at ulimit -v and "
			    "/proc/sys/vm/overcommit_memory");
	return err;
}

static int ram_open_file(struct ram *ram, enum ram_backing backing, int *fd, struct diag *diag)
{
	struct sys *sys = ram->sys;
	int err;

	if (backing == RAM_MEMFD)
		*fd = sys_open(sys, SYS_MEMFD, "guest-ram");
	else
		*fd = sys_open(sys, SYS_HUGETLBFS, backing == RAM_HUGETLB_1G ? "30" : "21");
	if (*fd < 0) {
		err = *fd;
		if (backing == RAM_MEMFD)
			return diag_set(diag, err, RAM_OBJECT, "no memory file: %s",
					strerror(-err));
		return diag_set(diag, err, RAM_OBJECT, "the host has no huge pages of %s: %s",
				backing == RAM_HUGETLB_1G ? "1 GiB" : "2 MiB", strerror(-err));
	}
	err = sys->ops->truncate(sys, *fd, ram->size);
	if (err) {
		sys_close(sys, fd);
		return ram_refuse_map(ram, err, diag);
	}
	return 0;
}

/*
 * Maps one region so that guest-physical and host addresses agree in their low 21 bits: only then
 * can the kernel put a huge page under both.
 */
static int ram_map_region(struct ram *ram, struct ram_region *region)
{
	uint64_t len = range_len(region->gpa);
	uint64_t slack = ram_is_hugetlb(ram) ? 0 : MIB(2);
	int flags = region->fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;
	struct sys *sys = ram->sys;
	uint64_t head, tail;
	uint8_t *hva;
	void *p;
	int err;

	if (region->fd >= 0 && slack) {
		/* A file cannot be mapped past its end: find the place first, then map onto it. */
		err = sys->ops->mmap(sys, NULL, len + slack, PROT_NONE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0, &p);
	} else {
		err = sys->ops->mmap(sys, NULL, len + slack, PROT_READ | PROT_WRITE, flags,
				     region->fd, region->fd_offset, &p);
	}
	if (err)
		return err;
	hva = p;
	if (slack) {
		head = align_up((uintptr_t)hva, MIB(2)) - (uintptr_t)hva;
		tail = slack - head;
		if (head)
			sys->ops->munmap(sys, hva, head);
		hva += head;
		if (tail)
			sys->ops->munmap(sys, hva + len, tail);
		if (region->fd >= 0) {
			err = sys->ops->mmap(sys, hva, len, PROT_READ | PROT_WRITE,
					     flags | MAP_FIXED, region->fd, region->fd_offset, &p);
			if (err) {
				sys->ops->munmap(sys, hva, len);
				return err;
			}
		}
	}
	region->hva = hva;

	/* Advice: a kernel without huge pages, or that keeps dumps whole, refuses; we go on. */
	if (!ram_is_hugetlb(ram))
		sys->ops->madvise(sys, hva, len, MADV_HUGEPAGE);
	sys->ops->madvise(sys, hva, len, MADV_DONTDUMP);
	return 0;
}

/* All of RAM cut in chunks, handed out to threads one by one. */
struct ram_walk {
	struct ram *ram;
	int (*fn)(struct ram *ram, uint8_t *hva, uint64_t len);
	uint64_t chunk;
	atomic_ullong next; /* offset into RAM, regions end to end */
	atomic_int err;	    /* the first one; stops the others */
	pthread_mutex_t mutex;
	uint64_t done; /* by mutex, as are the calls of progress */
	void (*progress)(void *opaque, uint64_t done, uint64_t total);
	void *opaque;
};

static void ram_walk_chunk(struct ram_walk *walk, uint64_t offset, uint64_t len)
{
	int none = 0;
	int err = 0;

	for (unsigned int i = 0; i < walk->ram->nr_regions && len && !err; i++) {
		struct ram_region *region = &walk->ram->regions[i];
		uint64_t room = range_len(region->gpa);
		uint64_t part;

		if (offset >= room) {
			offset -= room;
			continue;
		}
		part = min_u64(len, room - offset);
		err = walk->fn(walk->ram, region->hva + offset, part);
		len -= part;
		offset = 0;
	}
	if (err)
		atomic_compare_exchange_strong(&walk->err, &none, err);
}

static void *ram_walk_thread(void *opaque)
{
	struct ram_walk *walk = opaque;
	uint64_t size = walk->ram->size;

	while (!atomic_load(&walk->err)) {
		uint64_t offset = atomic_fetch_add(&walk->next, walk->chunk);
		uint64_t len;

		if (offset >= size)
			break;
		len = min_u64(walk->chunk, size - offset);
		ram_walk_chunk(walk, offset, len);
		if (!walk->progress || atomic_load(&walk->err))
			continue;
		pthread_mutex_lock(&walk->mutex);
		walk->done += len;
		walk->progress(walk->opaque, walk->done, size);
		pthread_mutex_unlock(&walk->mutex);
	}
	return NULL;
}

/* The caller's thread works too; a thread that cannot be had only makes it slower. */
static int ram_walk_run(struct ram_walk *walk, unsigned int nr_threads)
{
	pthread_t threads[RAM_THREADS_MAX];
	unsigned int nr = 0;

	walk->chunk = max_u64(RAM_CHUNK, walk->ram->page_size);
	pthread_mutex_init(&walk->mutex, NULL);
	while (nr + 1 < nr_threads && nr < RAM_THREADS_MAX &&
	       nr + 1 < walk->ram->size / walk->chunk) {
		if (pthread_create(&threads[nr], NULL, ram_walk_thread, walk))
			break;
		nr++;
	}
	ram_walk_thread(walk);
	while (nr)
		pthread_join(threads[--nr], NULL);
	pthread_mutex_destroy(&walk->mutex);
	return atomic_load(&walk->err);
}

static int ram_prefault_chunk(struct ram *ram, uint8_t *hva, uint64_t len)
{
	int err = ram->sys->ops->madvise(ram->sys, hva, len, MADV_POPULATE_WRITE);

	if (err != -EINVAL)
		return err;
	/* A kernel older than the advice. Adding nothing writes without changing anything. */
	for (uint64_t at = 0; at < len; at += ram->page_size)
		__atomic_fetch_add(hva + at, 0, __ATOMIC_RELAXED);
	return 0;
}

static int ram_prefault(struct ram *ram, const struct ram_config *config, struct diag *diag)
{
	struct ram_walk walk = {
		.ram = ram,
		.fn = ram_prefault_chunk,
		.progress = config->progress,
		.opaque = config->opaque,
	};
	int err = ram_walk_run(&walk, config->prefault_threads);

	if (!err)
		return 0;
	diag_set(diag, err, RAM_OBJECT, "the host could not provide all of %" PRIu64 " MiB: %s",
		 ram->size >> 20, strerror(-err));
	return diag_remedy(diag, err,
			   "give the guest less (--memory), free memory on the host, or raise "
			   "the limit of its control group");
}

int ram_populate(struct ram *ram, unsigned int nr_threads)
{
	struct ram_walk walk = { .ram = ram, .fn = ram_prefault_chunk };

	return ram_walk_run(&walk, nr_threads);
}

static int ram_lay_out(struct ram *ram, uint64_t size)
{
	uint64_t low = min_u64(size, RAM_HOLE);

	ram->size = size;
	ram->regions[0].gpa = range_of(0, low);
	ram->nr_regions = 1;
	if (size > low) {
		ram->regions[1].gpa = range_of(RAM_HIGH, size - low);
		ram->regions[1].fd_offset = low;
		ram->nr_regions = 2;
	}
	return 0;
}

int ram_check(struct sys *sys, const struct ram_config *config, struct diag *diag)
{
	struct ram ram = { .sys = sys, .page_size = page_sizes[config->backing] };

	if (!config->size || config->size > RAM_SIZE_MAX)
		return diag_set(diag, -EINVAL, RAM_OBJECT, "%" PRIu64 " MiB is no size for a guest",
				config->size >> 20);
	if (!is_aligned(config->size, ram.page_size)) {
		diag_set(diag, -EINVAL, RAM_OBJECT,
			 "%" PRIu64 " bytes are not a multiple of the page size, %" PRIu64 " KiB",
			 config->size, ram.page_size >> 10);
		return diag_remedy(diag, -EINVAL, "a number alone is bytes: write 512M, 4G");
	}
	ram_lay_out(&ram, config->size);
	return ram_is_hugetlb(&ram) ? ram_check_hugepages(&ram, diag)
				    : ram_check_available(&ram, diag);
}

int ram_create(struct sys *sys, const struct ram_config *config, struct ram **out,
	       struct diag *diag)
{
	bool anon = config->backing == RAM_ANON;
	struct ram *ram;
	int fd = -1;
	int err = ram_check(sys, config, diag);

	if (err)
		return err;
	ram = calloc(1, sizeof(*ram));
	if (!ram)
		return diag_set(diag, -ENOMEM, RAM_OBJECT, "%s", strerror(ENOMEM));
	ram->sys = sys;
	ram->page_size = page_sizes[config->backing];
	ram->nr_threads = config->prefault_threads;
	ram_lay_out(ram, config->size);

	if (!anon) {
		err = ram_open_file(ram, config->backing, &fd, diag);
		if (err)
			goto err_free;
	}
	for (unsigned int i = 0; i < ram->nr_regions; i++) {
		ram->regions[i].fd = fd;
		err = ram_map_region(ram, &ram->regions[i]);
		if (err) {
			ram_refuse_map(ram, err, diag);
			goto err_unmap;
		}
	}
	if (config->prefault_threads) {
		err = ram_prefault(ram, config, diag);
		if (err)
			goto err_unmap;
	}
	*out = ram;
	return 0;

err_unmap:
	for (unsigned int i = 0; i < ram->nr_regions; i++)
		if (ram->regions[i].hva)
			sys->ops->munmap(sys, ram->regions[i].hva, range_len(ram->regions[i].gpa));
	sys_close(sys, &fd);
err_free:
	free(ram);
	return err;
}

void ram_destroy(struct ram *ram)
{
	BUG_ON(atomic_load(&ram->nr_holders));
	for (unsigned int i = 0; i < ram->nr_regions; i++)
		ram->sys->ops->munmap(ram->sys, ram->regions[i].hva,
				      range_len(ram->regions[i].gpa));
	/* One file stands behind all regions. */
	sys_close(ram->sys, &ram->regions[0].fd);
	free(ram);
}

void *ram_span(const struct ram *ram, gpa_t addr, uint64_t len)
{
	struct range want;

	if (range_make(addr.v, len, &want))
		return NULL;
	for (unsigned int i = 0; i < ram->nr_regions; i++)
		if (range_contains(ram->regions[i].gpa, want))
			return ram->regions[i].hva + (want.first - ram->regions[i].gpa.first);
	return NULL;
}

int ram_read(const struct ram *ram, gpa_t addr, void *buf, uint64_t len)
{
	const void *span;

	if (!len)
		return 0;
	span = ram_span(ram, addr, len);
	if (!span)
		return -EFAULT;
	memcpy(buf, span, len);
	return 0;
}

int ram_write(const struct ram *ram, gpa_t addr, const void *buf, uint64_t len)
{
	void *span;

	if (!len)
		return 0;
	span = ram_span(ram, addr, len);
	if (!span)
		return -EFAULT;
	memcpy(span, buf, len);
	return 0;
}

void ram_hold_pages(struct ram *ram)
{
	atomic_fetch_add(&ram->nr_holders, 1);
}

void ram_release_pages(struct ram *ram)
{
	BUG_ON(!atomic_fetch_sub(&ram->nr_holders, 1));
}

static int ram_zero_chunk(struct ram *ram, uint8_t *hva, uint64_t len)
{
	memset(hva, 0, len);
	return 0;
}

static int ram_discard_chunk(struct ram *ram, uint8_t *hva, uint64_t len)
{
	int advice = ram_is_shared(ram) ? MADV_REMOVE : MADV_DONTNEED;

	if (ram->sys->ops->madvise(ram->sys, hva, len, advice))
		return ram_zero_chunk(ram, hva, len);
	return 0;
}

int ram_clear(struct ram *ram, unsigned int nr_threads)
{
	/* Huge pages given back to the pool may be somebody else's when the guest wants them. */
	bool keep = atomic_load(&ram->nr_holders) || ram_is_hugetlb(ram);
	struct ram_walk walk = { .ram = ram, .fn = keep ? ram_zero_chunk : ram_discard_chunk };

	return ram_walk_run(&walk, nr_threads);
}
