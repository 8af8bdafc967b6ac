// SPDX-License-Identifier: GPL-2.0-or-later
/* Guest RAM on a host that can be told what it has and which call fails. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/bits.h"
#include "memory/ram.h"

/* The real kernel, with the facts a test wants to set, and the n-th call failing. */
struct host {
	struct sys sys;
	struct sys real;
	const char *meminfo;
	uint64_t nr_hugepages, free_hugepages, resv_hugepages;
	bool hugetlb_is_plain; /* an ordinary memory file stands in for huge pages */
	bool no_populate;
	atomic_int nr_calls;
	int fail_at; /* 0: none fails */
	int fail_with;
	int nr_fds;
	long mapped;
	atomic_int nr_discards, last_discard;
};

static struct host *host_of(struct sys *sys)
{
	return sys->ctx;
}

static bool host_fails(struct host *host)
{
	return ++host->nr_calls == host->fail_at;
}

static int host_open(struct sys *sys, enum sys_object kind, const char *name)
{
	struct host *host = host_of(sys);
	int fd;

	if (host_fails(host))
		return host->fail_with;
	if (kind == SYS_HUGETLBFS && host->hugetlb_is_plain)
		kind = SYS_MEMFD;
	fd = sys_open(&host->real, kind, name);
	if (fd >= 0)
		host->nr_fds++;
	return fd;
}

static void host_close(struct sys *sys, int fd)
{
	struct host *host = host_of(sys);

	host->nr_fds--;
	host->real.ops->close(&host->real, fd);
}

static int host_truncate(struct sys *sys, int fd, uint64_t size)
{
	struct host *host = host_of(sys);

	if (host_fails(host))
		return host->fail_with;
	return host->real.ops->truncate(&host->real, fd, size);
}

static int host_mmap(struct sys *sys, void *hint, size_t len, int prot, int flags, int fd,
		     uint64_t offset, void **out)
{
	struct host *host = host_of(sys);
	int err;

	if (host_fails(host))
		return host->fail_with;
	err = host->real.ops->mmap(&host->real, hint, len, prot, flags, fd, offset, out);
	if (!err && !(flags & MAP_FIXED))
		host->mapped += (long)len;
	return err;
}

static void host_munmap(struct sys *sys, void *addr, size_t len)
{
	struct host *host = host_of(sys);

	host->mapped -= (long)len;
	host->real.ops->munmap(&host->real, addr, len);
}

static int host_madvise(struct sys *sys, void *addr, size_t len, int advice)
{
	struct host *host = host_of(sys);

	if (advice == 23 /* MADV_POPULATE_WRITE */) {
		if (host->no_populate)
			return -EINVAL;
		if (host_fails(host))
			return host->fail_with;
	}
	if (advice == MADV_DONTNEED || advice == MADV_REMOVE) {
		host->nr_discards++;
		host->last_discard = advice;
	}
	return host->real.ops->madvise(&host->real, addr, len, advice);
}

static ssize_t host_read_file(struct sys *sys, enum sys_tree tree, const char *path, void *buf,
			      size_t size)
{
	struct host *host = host_of(sys);
	const char *name = strrchr(path, '/');

	if (!strcmp(path, "meminfo") && host->meminfo)
		return snprintf(buf, size, "%s", host->meminfo);
	if (name && !strcmp(name, "/nr_hugepages"))
		return snprintf(buf, size, "%lu\n", host->nr_hugepages);
	if (name && !strcmp(name, "/free_hugepages"))
		return snprintf(buf, size, "%lu\n", host->free_hugepages);
	if (name && !strcmp(name, "/resv_hugepages"))
		return snprintf(buf, size, "%lu\n", host->resv_hugepages);
	return -ENOENT;
}

static const struct sys_ops host_ops = {
	.open = host_open,
	.close = host_close,
	.truncate = host_truncate,
	.mmap = host_mmap,
	.munmap = host_munmap,
	.madvise = host_madvise,
	.read_file = host_read_file,
};

static struct sys *host_init(struct host *host)
{
	*host = (struct host){ .real = sys_real(), .fail_with = -ENOMEM };
	host->sys = (struct sys){ .ops = &host_ops, .ctx = host };
	return &host->sys;
}

static void assert_nothing_left(struct host *host)
{
	assert_int_equal(host->mapped, 0);
	assert_int_equal(host->nr_fds, 0);
}

static void ram_beyond_the_hole_goes_above_4_gib(void **state)
{
	struct ram_config config = { .size = GIB(5) };
	struct host host;
	struct ram *ram;

	host_init(&host);
	assert_int_equal(ram_create(&host.sys, &config, &ram, NULL), 0);
	assert_int_equal(ram->nr_regions, 2);
	assert_int_equal(ram->regions[0].gpa.last, RAM_HOLE - 1);
	assert_int_equal(ram->regions[1].gpa.first, RAM_HIGH);
	assert_int_equal(ram->regions[1].gpa.last, RAM_HIGH + GIB(2) - 1);
	ram_destroy(ram);
	assert_nothing_left(&host);
}

static void ram_that_ends_at_the_hole_has_one_region(void **state)
{
	struct ram_config config = { .size = RAM_HOLE };
	struct host host;
	struct ram *ram;

	host_init(&host);
	assert_int_equal(ram_create(&host.sys, &config, &ram, NULL), 0);
	assert_int_equal(ram->nr_regions, 1);
	assert_int_equal(ram->regions[0].gpa.last, RAM_HOLE - 1);
	ram_destroy(ram);
}

static void regions_are_aligned_for_huge_pages(void **state)
{
	static const enum ram_backing backings[] = { RAM_ANON, RAM_MEMFD };
	struct host host;
	struct ram *ram;

	for (size_t i = 0; i < ARRAY_SIZE(backings); i++) {
		struct ram_config config = { .size = GIB(3) + MIB(3), .backing = backings[i] };

		host_init(&host);
		assert_int_equal(ram_create(&host.sys, &config, &ram, NULL), 0);
		assert_true(is_aligned((uintptr_t)ram->regions[0].hva, MIB(2)));
		assert_true(is_aligned((uintptr_t)ram->regions[1].hva, MIB(2)));
		ram_destroy(ram);
		assert_nothing_left(&host);
	}
}

static void a_span_never_leaves_its_region(void **state)
{
	struct ram_config config = { .size = GIB(3) + MIB(1) };
	struct host host;
	struct ram *ram;
	uint8_t *base;
	char byte = 1;

	host_init(&host);
	assert_int_equal(ram_create(&host.sys, &config, &ram, NULL), 0);
	base = ram->regions[0].hva;
	assert_ptr_equal(ram_span(ram, gpa(0), RAM_HOLE), base);
	assert_ptr_equal(ram_span(ram, gpa(RAM_HOLE - 1), 1), base + RAM_HOLE - 1);
	assert_null(ram_span(ram, gpa(RAM_HOLE - 1), 2));
	assert_null(ram_span(ram, gpa(RAM_HOLE), 1));
	assert_null(ram_span(ram, gpa(RAM_HIGH - 1), 2));
	assert_ptr_equal(ram_span(ram, gpa(RAM_HIGH), MIB(1)), ram->regions[1].hva);
	assert_null(ram_span(ram, gpa(RAM_HIGH), MIB(1) + 1));
	assert_null(ram_span(ram, gpa(UINT64_MAX), 2));
	assert_null(ram_span(ram, gpa(0), UINT64_MAX));
	assert_int_equal(ram_write(ram, gpa(RAM_HIGH + MIB(1)), &byte, 1), -EFAULT);
	assert_int_equal(ram_read(ram, gpa(RAM_HOLE), &byte, 1), -EFAULT);
	assert_int_equal(ram_write(ram, gpa(RAM_HIGH), &byte, 1), 0);
	assert_int_equal(ram->regions[1].hva[0], 1);
	ram_destroy(ram);
}

static void both_regions_of_a_memory_file_are_its_consecutive_parts(void **state)
{
	struct ram_config config = { .size = GIB(3) + MIB(2), .backing = RAM_MEMFD };
	struct host host;
	struct ram *ram;
	char byte = 0;

	host_init(&host);
	assert_int_equal(ram_create(&host.sys, &config, &ram, NULL), 0);
	assert_int_equal(ram->regions[1].fd_offset, RAM_HOLE);
	ram->regions[1].hva[5] = 7;
	assert_int_equal(sys_pread_full(&host.real, ram->regions[1].fd, &byte, 1, RAM_HOLE + 5), 0);
	assert_int_equal(byte, 7);
	ram_destroy(ram);
	assert_nothing_left(&host);
}

struct seen {
	uint64_t done, total;
	int nr;
};

static void note_progress(void *opaque, uint64_t done, uint64_t total)
{
	struct seen *seen = opaque;

	assert_true(done > seen->done);
	seen->done = done;
	seen->total = total;
	seen->nr++;
}

static void prefault_in_threads_reaches_every_page_and_tells_so(void **state)
{
	struct seen seen = { 0 };
	struct ram_config config = {
		.size = MIB(200),
		.prefault_threads = 4,
		.progress = note_progress,
		.opaque = &seen,
	};
	unsigned char *resident;
	struct host host;
	struct ram *ram;

	for (int populate = 0; populate < 2; populate++) {
		host_init(&host)->ctx = &host;
		host.no_populate = !populate;
		seen = (struct seen){ 0 };
		assert_int_equal(ram_create(&host.sys, &config, &ram, NULL), 0);
		assert_int_equal(seen.done, MIB(200));
		assert_int_equal(seen.total, MIB(200));
		assert_int_equal(seen.nr, 4);
		resident = calloc(MIB(200) / PAGE_SIZE, 1);
		assert_int_equal(mincore(ram->regions[0].hva, MIB(200), resident), 0);
		assert_null(memchr(resident, 0, MIB(200) / PAGE_SIZE));
		free(resident);
		ram_destroy(ram);
		assert_nothing_left(&host);
	}
}

static void a_page_that_cannot_be_had_while_prefaulting_is_refused(void **state)
{
	struct ram_config config = { .size = MIB(256), .prefault_threads = 2 };
	struct diag diag = DIAG_INIT;
	struct host host;
	struct ram *ram;

	host_init(&host);
	host.fail_at = 3;
	assert_int_equal(ram_create(&host.sys, &config, &ram, &diag), -ENOMEM);
	assert_non_null(strstr(diag.reason, "256 MiB"));
	assert_nothing_left(&host);
}

static void more_than_the_host_has_is_refused_with_the_numbers(void **state)
{
	struct ram_config config = { .size = GIB(2) };
	struct diag diag = DIAG_INIT;
	struct host host;
	struct ram *ram;

	host_init(&host);
	host.meminfo = "MemTotal:        2048000 kB\nMemFree:  1 kB\nMemAvailable:    1048576 kB\n";
	assert_int_equal(ram_create(&host.sys, &config, &ram, &diag), -ENOMEM);
	assert_non_null(strstr(diag.reason, "2048 MiB wanted"));
	assert_non_null(strstr(diag.reason, "1024 MiB available of 2000 MiB"));
	assert_non_null(strstr(diag.remedy, "--memory 1024M"));
	assert_nothing_left(&host);

	config.size = GIB(1);
	assert_int_equal(ram_create(&host.sys, &config, &ram, NULL), 0);
	ram_destroy(ram);
}

static void missing_huge_pages_are_counted_and_the_remedy_adds_them(void **state)
{
	struct ram_config config = { .size = MIB(64), .backing = RAM_HUGETLB_2M };
	struct diag diag = DIAG_INIT;
	struct host host;
	struct ram *ram;

	host_init(&host);
	host.nr_hugepages = 20;
	host.free_hugepages = 15;
	host.resv_hugepages = 5;
	assert_int_equal(ram_create(&host.sys, &config, &ram, &diag), -ENOMEM);
	assert_string_equal(diag.reason, "huge pages of 2 MiB: 32 needed, 10 free of 20");
	/* 22 more than there are. */
	assert_non_null(strstr(diag.remedy,
			       "echo 42 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"));
	assert_nothing_left(&host);
}

static void a_size_that_is_no_multiple_of_the_page_is_refused(void **state)
{
	static const struct ram_config bad[] = {
		{ .size = 0 },
		{ .size = MIB(1) + 1 },
		{ .size = MIB(3), .backing = RAM_HUGETLB_2M },
		{ .size = GIB(1) + MIB(2), .backing = RAM_HUGETLB_1G },
		{ .size = UINT64_MAX - 4095 },
	};
	struct host host;
	struct ram *ram;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct diag diag = DIAG_INIT;

		host_init(&host);
		assert_int_equal(ram_create(&host.sys, &bad[i], &ram, &diag), -EINVAL);
		assert_true(diag.reason[0]);
		assert_int_equal(host.nr_calls, 0);
	}
}

static void whichever_call_fails_nothing_stays_behind(void **state)
{
	static const enum ram_backing backings[] = { RAM_ANON, RAM_MEMFD, RAM_HUGETLB_2M };
	static const int errors[] = { -ENOMEM, -EACCES };
	struct host host;
	struct ram *ram;

	for (size_t i = 0; i < ARRAY_SIZE(backings) * 2; i++) {
		struct ram_config config = {
			.size = GIB(3) + MIB(64),
			.backing = backings[i / 2],
		};
		int failures = 0;

		for (int at = 1;; at++) {
			struct diag diag = DIAG_INIT;
			int err;

			host_init(&host);
			host.hugetlb_is_plain = true;
			host.nr_hugepages = host.free_hugepages = 100000;
			host.fail_at = at;
			host.fail_with = errors[i % 2];
			err = ram_create(&host.sys, &config, &ram, &diag);
			if (!err) {
				ram_destroy(ram);
				assert_nothing_left(&host);
				break;
			}
			failures++;
			assert_int_equal(err, errors[i % 2]);
			assert_int_equal(diag.err, err);
			assert_true(diag.reason[0]);
			assert_nothing_left(&host);
		}
		assert_true(failures >= 2);
	}
}

static void clearing_zeroes_and_gives_the_memory_back(void **state)
{
	static const enum ram_backing backings[] = { RAM_ANON, RAM_MEMFD };
	static const int advice[] = { MADV_DONTNEED, MADV_REMOVE };
	struct host host;
	struct ram *ram;

	for (size_t i = 0; i < ARRAY_SIZE(backings); i++) {
		struct ram_config config = { .size = MIB(130), .backing = backings[i] };

		host_init(&host);
		assert_int_equal(ram_create(&host.sys, &config, &ram, NULL), 0);
		memset(ram->regions[0].hva, 0x55, MIB(130));
		assert_int_equal(ram_clear(ram, 2), 0);
		assert_int_equal(host.nr_discards, 3);
		assert_int_equal(host.last_discard, advice[i]);
		for (uint64_t at = 0; at < MIB(130); at += 512)
			assert_int_equal(ram->regions[0].hva[at], 0);
		ram_destroy(ram);
	}
}

static void clearing_keeps_pages_that_a_device_has_pinned(void **state)
{
	struct ram_config config = { .size = MIB(4) };
	struct host host;
	struct ram *ram;

	host_init(&host);
	assert_int_equal(ram_create(&host.sys, &config, &ram, NULL), 0);
	ram_hold_pages(ram);
	memset(ram->regions[0].hva, 0x55, MIB(4));
	assert_int_equal(ram_clear(ram, 2), 0);
	assert_int_equal(host.nr_discards, 0);
	assert_int_equal(ram->regions[0].hva[MIB(4) - 1], 0);
	ram_release_pages(ram);
	assert_int_equal(ram_clear(ram, 2), 0);
	assert_int_equal(host.nr_discards, 1);
	ram_destroy(ram);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ram_beyond_the_hole_goes_above_4_gib),
		cmocka_unit_test(ram_that_ends_at_the_hole_has_one_region),
		cmocka_unit_test(regions_are_aligned_for_huge_pages),
		cmocka_unit_test(a_span_never_leaves_its_region),
		cmocka_unit_test(both_regions_of_a_memory_file_are_its_consecutive_parts),
		cmocka_unit_test(prefault_in_threads_reaches_every_page_and_tells_so),
		cmocka_unit_test(a_page_that_cannot_be_had_while_prefaulting_is_refused),
		cmocka_unit_test(more_than_the_host_has_is_refused_with_the_numbers),
		cmocka_unit_test(missing_huge_pages_are_counted_and_the_remedy_adds_them),
		cmocka_unit_test(a_size_that_is_no_multiple_of_the_page_is_refused),
		cmocka_unit_test(whichever_call_fails_nothing_stays_behind),
		cmocka_unit_test(clearing_zeroes_and_gives_the_memory_back),
		cmocka_unit_test(clearing_keeps_pages_that_a_device_has_pinned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
