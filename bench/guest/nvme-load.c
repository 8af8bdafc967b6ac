// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nvme-load DEVICE DEPTH OPERATIONS: random reads of 4 KiB around the page cache, DEPTH at a time,
 * by the kernel's AIO. Prints VALUE lines: reads per second and latency percentiles. Static, for a
 * guest that has no libraries; the same program runs on the host.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BLOCK	       4096
#define MAX_DEPTH      64
#define MAX_OPERATIONS 1000000

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int fail(const char *what)
{
	fprintf(stderr, "nvme-load: %s: %s\n", what, strerror(errno));
	return 1;
}

int main(int argc, char **argv)
{
	struct iocb iocbs[MAX_DEPTH], *one;
	struct io_event events[MAX_DEPTH];
	uint64_t started[MAX_DEPTH], bytes, *latency, begin, end, seed = 88172645463325252ull;
	unsigned long depth, total, sent = 0, done = 0;
	aio_context_t context = 0;
	uint8_t *buffers;
	int fd;

	if (argc != 4)
		return 2;
	depth = strtoul(argv[2], NULL, 10);
	total = strtoul(argv[3], NULL, 10);
	if (!depth || depth > MAX_DEPTH || total < depth || total > MAX_OPERATIONS)
		return 2;
	fd = open(argv[1], O_RDONLY | O_DIRECT);
	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &bytes))
		return fail(argv[1]);
	buffers = aligned_alloc(BLOCK, depth * BLOCK);
	latency = calloc(total, sizeof(*latency));
	if (!buffers || !latency || syscall(SYS_io_setup, depth, &context))
		return fail("set-up");
	begin = now_ns();
	while (done < total) {
		long n;

		for (unsigned long slot = 0; sent < depth && sent < total; slot = sent) {
			memset(&iocbs[slot], 0, sizeof(iocbs[slot]));
			iocbs[slot].aio_fildes = (uint32_t)fd;
			iocbs[slot].aio_lio_opcode = IOCB_CMD_PREAD;
			iocbs[slot].aio_buf = (uintptr_t)(buffers + slot * BLOCK);
			iocbs[slot].aio_nbytes = BLOCK;
			iocbs[slot].aio_data = slot;
			seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
			iocbs[slot].aio_offset = (int64_t)(seed % (bytes / BLOCK) * BLOCK);
			one = &iocbs[slot];
			started[slot] = now_ns();
			if (syscall(SYS_io_submit, context, 1, &one) != 1)
				return fail("submit");
			sent++;
		}
		n = syscall(SYS_io_getevents, context, 1, depth, events, NULL);
		if (n < 0)
			return fail("wait");
		end = now_ns();
		for (long i = 0; i < n; i++) {
			unsigned long slot = events[i].data;

			if (events[i].res != BLOCK)
				return fail("read");
			latency[done++] = end - started[slot];
			if (sent == total)
				continue;
			seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
			iocbs[slot].aio_offset = (int64_t)(seed % (bytes / BLOCK) * BLOCK);
			one = &iocbs[slot];
			started[slot] = now_ns();
			if (syscall(SYS_io_submit, context, 1, &one) != 1)
				return fail("submit");
			sent++;
		}
	}
	end = now_ns();
	qsort(latency, total, sizeof(*latency), compare);
	printf("VALUE d%lu_iops %.1f\n", depth, (double)total * 1e9 / (double)(end - begin));
	printf("VALUE d%lu_p50_us %.1f\n", depth, (double)latency[total / 2] / 1000);
	printf("VALUE d%lu_p99_us %.1f\n", depth, (double)latency[total * 99 / 100] / 1000);
	return 0;
}
