// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * map GROUP MIB touched|untouched: how long the kernel takes to map that much memory for DMA when
 * nothing else is done, by one VFIO_IOMMU_MAP_DMA: what Airlock's map phase is measured against. The
 * memory is as Airlock's (private, anonymous, huge pages by advice); touched memory has its pages
 * already, of untouched memory the kernel makes them one by one as it pins. Prints one JSON line.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/vfio.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#ifndef MADV_POPULATE_WRITE /* Linux 5.14 */
#define MADV_POPULATE_WRITE 23
#endif

#define ALIGN (UINT64_C(1) << 30)

static void die(const char *what)
{
	fprintf(stderr, "map: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map) };
	int container = open("/dev/vfio/vfio", O_RDWR), group;
	uint64_t start, took;
	uint8_t *room;
	char path[64];
	bool touched;

	if (argc != 4) {
		fprintf(stderr, "usage: map GROUP MIB touched|untouched\n");
		return 2;
	}
	touched = !strcmp(argv[3], "touched");
	snprintf(path, sizeof(path), "/dev/vfio/%s", argv[1]);
	group = open(path, O_RDWR);
	if (container < 0 || group < 0)
		die(path);
	if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) ||
	    ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		die("the group's address space");
	map.size = strtoull(argv[2], NULL, 0) << 20;
	room = mmap(NULL, map.size + ALIGN, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room == MAP_FAILED)
		die("memory");
	room = (uint8_t *)(((uintptr_t)room + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1));
	madvise(room, map.size, MADV_HUGEPAGE);
	if (touched && madvise(room, map.size, MADV_POPULATE_WRITE))
		die("pages");
	map.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
	map.vaddr = (uintptr_t)room;
	start = now_us();
	if (ioctl(container, VFIO_IOMMU_MAP_DMA, &map))
		die("VFIO_IOMMU_MAP_DMA");
	took = now_us() - start;
	printf("{\"kind\":\"bare-%s\",\"map_us\":%" PRIu64 "}\n", argv[3], took);
	return 0;
}
