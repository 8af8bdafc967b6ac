// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * edu COMMAND…: drives the guest's edu device (QEMU, docs/specs/edu.txt) from user space: its DMA
 * engine at any address, and its interrupt. Static: the guest has nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum {
	/* Registers of BAR 0. */
	REG_IRQ_STATUS = 0x24,
	REG_IRQ_RAISE = 0x60,
	REG_IRQ_ACK = 0x64,
	REG_DMA_SOURCE = 0x80,
	REG_DMA_DESTINATION = 0x88,
	REG_DMA_COUNT = 0x90,
	REG_DMA_COMMAND = 0x98,
	DMA_RUN = 1,
	DMA_TO_MEMORY = 2,

	BAR_SIZE = 1 << 20,
	PAGE = 4096,

	/* PCI config space (PCI 3.0, 6.1 and 6.8.1). */
	CONFIG_COMMAND = 4,
	COMMAND_MEMORY = 2,
	COMMAND_MASTER = 4,
	CONFIG_CAPABILITIES = 0x34,
	CAP_MSI = 5,
	MSI_ENABLE = 1,
	MSI_64BIT = 0x80,
	MSI_ADDRESS = 0xfee00000, /* APIC 0, physical, fixed */
	/*
	 * Linux on x86 counts this vector under RES (arch/x86/include/asm/irq_vectors.h), takes it
	 * for a reschedule request, and with one processor nothing else sends it.
	 */
	RESCHEDULE_VECTOR = 0xfd,
};

/*
 * The engine's own buffer, and how much of its 4 KiB is used. QEMU 7.2 aborts when the device side
 * lies elsewhere, or ends with the buffer's last byte.
 */
#define BUFFER	 0x40000
#define TRANSFER 2048

struct edu {
	int config;
	volatile uint8_t *bar;
};

static void die(const char *what)
{
	fprintf(stderr, "edu: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint32_t config_load(struct edu *edu, int at, size_t size)
{
	uint32_t value = 0;

	if (pread(edu->config, &value, size, at) != (ssize_t)size)
		die("config space");
	return value;
}

static void config_store(struct edu *edu, int at, uint32_t value, size_t size)
{
	if (pwrite(edu->config, &value, size, at) != (ssize_t)size)
		die("config space");
}

static uint32_t reg_load(struct edu *edu, int reg)
{
	return *(volatile uint32_t *)(edu->bar + reg);
}

static void reg_store(struct edu *edu, int reg, uint32_t value)
{
	*(volatile uint32_t *)(edu->bar + reg) = value;
}

static void reg_store64(struct edu *edu, int reg, uint64_t value)
{
	*(volatile uint64_t *)(edu->bar + reg) = value;
}

static bool file_begins(const char *dir, const char *name, const char *want)
{
	char path[256], text[16] = "";
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return false;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	return !strncmp(text, want, strlen(want));
}

static int device_open(const char *dir, const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDWR | O_SYNC);
	if (fd < 0)
		die(path);
	return fd;
}

static void edu_open(struct edu *edu)
{
	const char *dir = NULL;
	glob_t all;
	int fd;

	glob("/sys/bus/pci/devices/*", 0, NULL, &all);
	for (size_t i = 0; i < all.gl_pathc && !dir; i++)
		if (file_begins(all.gl_pathv[i], "vendor", "0x1234") &&
		    file_begins(all.gl_pathv[i], "device", "0x11e8"))
			dir = all.gl_pathv[i];
	if (!dir) {
		fprintf(stderr, "edu: no such device here\n");
		exit(1);
	}
	edu->config = device_open(dir, "config");
	config_store(edu, CONFIG_COMMAND,
		     config_load(edu, CONFIG_COMMAND, 2) | COMMAND_MEMORY | COMMAND_MASTER, 2);
	fd = device_open(dir, "resource0");
	edu->bar = mmap(NULL, BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (edu->bar == MAP_FAILED)
		die("BAR 0");
	close(fd);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A page of this guest's own, and its address on the bus. */
static uint8_t *page_get(uint64_t *address)
{
	uint8_t *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED | MAP_POPULATE, -1, 0);
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY);

	if (page == MAP_FAILED || fd < 0 ||
	    pread(fd, &entry, sizeof(entry), (off_t)((uintptr_t)page / PAGE * sizeof(entry))) !=
		    sizeof(entry))
		die("a page of memory");
	close(fd);
	/* Bits 0-54: the page frame (Documentation/admin-guide/mm/pagemap.rst). */
	*address = (entry & ((UINT64_C(1) << 55) - 1)) * PAGE;
	if (!*address) {
		fprintf(stderr, "edu: the kernel does not tell where a page lies\n");
		exit(1);
	}
	return page;
}

static void dma(struct edu *edu, uint64_t from, uint64_t to, uint32_t command)
{
	double deadline = seconds() + 10;

	reg_store64(edu, REG_DMA_SOURCE, from);
	reg_store64(edu, REG_DMA_DESTINATION, to);
	reg_store64(edu, REG_DMA_COUNT, TRANSFER);
	reg_store64(edu, REG_DMA_COMMAND, command | DMA_RUN);
	while (reg_load(edu, REG_DMA_COMMAND) & DMA_RUN) {
		if (seconds() > deadline) {
			fprintf(stderr, "edu: a transfer does not end\n");
			exit(1);
		}
		usleep(2000);
	}
}

static void buffer_load(struct edu *edu, uint64_t from)
{
	dma(edu, from, BUFFER, 0);
}

static void buffer_store(struct edu *edu, uint64_t to)
{
	dma(edu, BUFFER, to, DMA_TO_MEMORY);
}

static void page_fill(uint8_t *page, const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < PAGE; i++)
		page[i] = (uint8_t)text[i % len];
}

static int edu_own(struct edu *edu)
{
	uint64_t at, back;
	uint8_t *from = page_get(&at), *to = page_get(&back);

	page_fill(from, "this guest's own ");
	buffer_load(edu, at);
	buffer_store(edu, back);
	if (memcmp(from, to, TRANSFER)) {
		printf("edu: own memory does NOT pass through the device\n");
		return 1;
	}
	printf("edu: own memory at 0x%" PRIx64 " passed through the device to 0x%" PRIx64 "\n", at,
	       back);
	return 0;
}

/* What the device got is the host's to judge, who knows what lies there: it is printed. */
static int edu_read(struct edu *edu, uint64_t target)
{
	uint64_t at;
	uint8_t *page = page_get(&at);

	page_fill(page, "nothing. ");
	buffer_load(edu, at);
	buffer_load(edu, target);
	buffer_store(edu, at);
	printf("edu: read 0x%" PRIx64 ": ", target);
	for (int i = 0; i < 32; i++)
		putchar(page[i] >= ' ' && page[i] <= '~' ? page[i] : '.');
	putchar('\n');
	return 0;
}

static int edu_write(struct edu *edu, uint64_t target)
{
	uint64_t at;
	uint8_t *page = page_get(&at);

	page_fill(page, "OVERWRITTEN BY THE GUEST ");
	buffer_load(edu, at);
	buffer_store(edu, target);
	printf("edu: write 0x%" PRIx64 ": sent\n", target);
	return 0;
}

static unsigned long rescheduled(void)
{
	FILE *file = fopen("/proc/interrupts", "r");
	unsigned long sum = 0;
	char line[4096];

	if (!file)
		die("/proc/interrupts");
	while (fgets(line, sizeof(line), file))
		if (strstr(line, "RES:"))
			sum = strtoul(strstr(line, "RES:") + 4, NULL, 10);
	fclose(file);
	return sum;
}

static void msi_enable(struct edu *edu)
{
	int cap = (int)config_load(edu, CONFIG_CAPABILITIES, 1);
	uint32_t control;

	for (int n = 0; n < 48 && cap && config_load(edu, cap, 1) != CAP_MSI; n++)
		cap = (int)config_load(edu, cap + 1, 1);
	if (!cap) {
		fprintf(stderr, "edu: no MSI capability\n");
		exit(1);
	}
	control = config_load(edu, cap + 2, 2);
	config_store(edu, cap + 4, MSI_ADDRESS, 4);
	if (control & MSI_64BIT)
		config_store(edu, cap + 8, 0, 4);
	config_store(edu, cap + (control & MSI_64BIT ? 12 : 8), RESCHEDULE_VECTOR, 2);
	config_store(edu, cap + 2, control | MSI_ENABLE, 2);
}

/* Each is waited for: two on the way at once would be counted as one. */
static int edu_msi(struct edu *edu, unsigned long wanted)
{
	unsigned long before = rescheduled(), sent = 0;

	msi_enable(edu);
	for (; sent < wanted; sent++) {
		double deadline = seconds() + 10;

		reg_store(edu, REG_IRQ_RAISE, 1);
		while (rescheduled() - before <= sent && seconds() < deadline)
			usleep(1000);
		reg_store(edu, REG_IRQ_ACK, reg_load(edu, REG_IRQ_STATUS));
	}
	printf("edu: raised %lu by MSI, delivered %lu\n", sent, rescheduled() - before);
	return rescheduled() - before == wanted ? 0 : 1;
}

int main(int argc, char **argv)
{
	uint64_t number = argc > 2 ? strtoull(argv[2], NULL, 0) : 0;
	struct edu edu;

	if (argc == 2 && !strcmp(argv[1], "own")) {
		edu_open(&edu);
		return edu_own(&edu);
	}
	if (argc != 3) {
		fprintf(stderr, "usage: edu own | read ADDRESS | write ADDRESS | msi COUNT\n");
		return 2;
	}
	edu_open(&edu);
	if (!strcmp(argv[1], "read"))
		return edu_read(&edu, number);
	if (!strcmp(argv[1], "write"))
		return edu_write(&edu, number);
	if (!strcmp(argv[1], "msi"))
		return edu_msi(&edu, number);
	fprintf(stderr, "edu: no command %s\n", argv[1]);
	return 2;
}
