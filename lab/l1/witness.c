// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * witness FROM TO: a page of L1's own memory with a secret in it, at a physical address from FROM to
 * below TO, which is printed. After a line on stdin says whether the page is as it was, by its status
 * too. For devices that should reach none of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096 };
#define POOL (UINT64_C(256) << 20)
#define STEP (UINT64_C(1) << 20)

/* Bits 0-54 are the page frame (Documentation/admin-guide/mm/pagemap.rst). */
static uint64_t page_address(int pagemap, const uint8_t *page)
{
	uint64_t entry = 0;

	if (pread(pagemap, &entry, sizeof(entry),
		  (off_t)((uintptr_t)page / PAGE * sizeof(entry))) != sizeof(entry))
		return 0;
	return (entry & ((UINT64_C(1) << 55) - 1)) * PAGE;
}

int main(int argc, char **argv)
{
	static const char secret[] = "SECRET OF THE HOST ";
	uint64_t from, to, at = 0;
	uint8_t *pool, *page = NULL, kept[PAGE];
	int pagemap = open("/proc/self/pagemap", O_RDONLY);

	if (argc != 3 || pagemap < 0) {
		fprintf(stderr, "usage: witness FROM TO (as root)\n");
		return 2;
	}
	from = strtoull(argv[1], NULL, 0);
	to = strtoull(argv[2], NULL, 0);
	pool = mmap(NULL, POOL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pool == MAP_FAILED) {
		fprintf(stderr, "witness: no memory: %s\n", strerror(errno));
		return 1;
	}
	for (uint64_t i = 0; i < POOL && !page; i += STEP) {
		pool[i] = 1;
		at = page_address(pagemap, pool + i);
		if (at >= from && at < to)
			page = pool + i;
	}
	if (!page || mlock(page, PAGE)) {
		fprintf(stderr,
			"witness: no page of mine lies there (the last at 0x%" PRIx64 "): %s\n", at,
			strerror(errno));
		return 1;
	}
	for (size_t i = 0; i < PAGE; i++)
		page[i] = (uint8_t)secret[i % (sizeof(secret) - 1)];
	memcpy(kept, page, PAGE);
	printf("0x%" PRIx64 "\n", at);
	fflush(stdout);
	getchar();
	if (memcmp(kept, page, PAGE)) {
		printf("CHANGED: %.32s\n", (const char *)page);
		return 1;
	}
	printf("unchanged\n");
	return 0;
}
