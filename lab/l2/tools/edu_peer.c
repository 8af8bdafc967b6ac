// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * edu_peer FROM TO: makes one teaching device (docs/edu.md) read a register of another by DMA, and write one:
 * no memory is involved, only the way between the two. Says whether it was let through. Static: the
 * guest has nothing else.
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

enum {
	REG_ID = 0x00,
	REG_LIVENESS = 0x04,
	REG_DMA_SOURCE = 0x80,
	REG_DMA_DESTINATION = 0x88,
	REG_DMA_COUNT = 0x90,
	REG_DMA_COMMAND = 0x98,
	REG_DMA_RESULT = 0xa0,
	DMA_RUN = 1,
	DMA_TO_MEMORY = 2,
	RESULT_REFUSED = 2,
	BUFFER = 0x40000,
	BAR_SIZE = 1 << 20,
	CONFIG_COMMAND = 4,
	COMMAND_MEMORY_MASTER = 6,
};

struct edu {
	uint64_t address; /* of BAR 0 */
	volatile uint8_t *bar;
};

static void die(const char *what)
{
	fprintf(stderr, "edu_peer: %s: %s\n", what, strerror(errno));
	exit(2);
}

static int device_open(const char *bdf, const char *name, int flags)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", bdf, name);
	fd = open(path, flags);
	if (fd < 0)
		die(path);
	return fd;
}

static void edu_open(struct edu *edu, const char *bdf)
{
	char text[64] = "";
	uint16_t command;
	int fd = device_open(bdf, "config", O_RDWR);

	if (pread(fd, &command, 2, CONFIG_COMMAND) != 2)
		die("config space");
	command |= COMMAND_MEMORY_MASTER;
	if (pwrite(fd, &command, 2, CONFIG_COMMAND) != 2)
		die("config space");
	close(fd);
	fd = device_open(bdf, "resource", O_RDONLY);
	if (read(fd, text, sizeof(text) - 1) <= 0)
		die("resource");
	edu->address = strtoull(text, NULL, 16);
	close(fd);
	fd = device_open(bdf, "resource0", O_RDWR);
	edu->bar = mmap(NULL, BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (edu->bar == MAP_FAILED)
		die("BAR 0");
	close(fd);
}

static uint32_t load(struct edu *edu, int reg)
{
	return *(volatile uint32_t *)(edu->bar + reg);
}

static uint32_t transfer(struct edu *edu, uint64_t from, uint64_t to, uint32_t command)
{
	*(volatile uint64_t *)(edu->bar + REG_DMA_SOURCE) = from;
	*(volatile uint64_t *)(edu->bar + REG_DMA_DESTINATION) = to;
	*(volatile uint64_t *)(edu->bar + REG_DMA_COUNT) = 4;
	*(volatile uint32_t *)(edu->bar + REG_DMA_COMMAND) = command | DMA_RUN;
	/* Each look is an exit, which gives the device its time. */
	for (int i = 0; load(edu, REG_DMA_COMMAND) & DMA_RUN; i++) {
		if (i == 1000000) {
			errno = ETIMEDOUT;
			die("a transfer");
		}
	}
	return load(edu, REG_DMA_RESULT);
}

int main(int argc, char **argv)
{
	struct edu from, to;
	uint32_t id, read, written;

	if (argc != 3) {
		fprintf(stderr, "usage: edu_peer FROM TO\n");
		return 2;
	}
	edu_open(&from, argv[1]);
	edu_open(&to, argv[2]);
	id = load(&to, REG_ID);
	*(volatile uint32_t *)(to.bar + REG_LIVENESS) = 0;
	read = transfer(&from, to.address + REG_ID, BUFFER, 0);
	written = transfer(&from, BUFFER, to.address + REG_LIVENESS, DMA_TO_MEMORY);
	if (!read && !written && load(&to, REG_LIVENESS) == ~id)
		printf("edu_peer: %s reads and writes registers of %s\n", argv[1], argv[2]);
	else if (read == RESULT_REFUSED && written == RESULT_REFUSED &&
		 load(&to, REG_LIVENESS) == UINT32_MAX)
		printf("edu_peer: %s is kept from registers of %s\n", argv[1], argv[2]);
	else
		printf("edu_peer: CONFUSED: %" PRIu32 " %" PRIu32 " %" PRIx32 "\n", read, written,
		       load(&to, REG_LIVENESS));
	return 0;
}
