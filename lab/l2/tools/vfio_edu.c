// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vfio_edu BDF [mute|forge]: a user-space driver in the guest, by the guest's own VFIO: maps pages of its own for the
 * teaching device (docs/edu.md), moves data through it, takes its interrupts, and then does what a broken
 * driver would; or, of a device with a TLB of its own, what a broken device would. Static: the guest has nothing else. One line a check; status 0 when all passed.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum {
	REG_ID = 0x00,
	REG_IRQ_STATUS = 0x24,
	REG_IRQ_RAISE = 0x60,
	REG_IRQ_ACK = 0x64,
	REG_DMA_SOURCE = 0x80,
	REG_DMA_DESTINATION = 0x88,
	REG_DMA_COUNT = 0x90,
	REG_DMA_COMMAND = 0x98,
	REG_DMA_RESULT = 0xa0,
	REG_BEHAVIOUR = 0xa8,
	BEHAVIOUR_MUTE = 2,
	BEHAVIOUR_FORGE = 4,
	DMA_RUN = 1,
	DMA_TO_MEMORY = 2,
	DMA_INTERRUPT = 4,
	IRQ_DMA = 0x100,
	RESULT_OK = 0,
	RESULT_REFUSED = 2,
	RESULT_STALE = 4,
	BUFFER = 0x40000,

	CONFIG_COMMAND = 4,
	COMMAND_MEMORY = 2,
	COMMAND_MASTER = 4,

	PAGE = 4096,
	/* What the device is given; everything else is not its to touch. */
	IOVA_A = 0x100000,
	IOVA_B = 0x200000,
	IOVA_NONE = 0x300000,
};

struct driver {
	int container, group, device, event;
	uint64_t config;
	volatile uint8_t *bar;
	uint8_t *a, *b;
	unsigned int nr_failed;
};

static void die(const char *what)
{
	printf("vfio_edu: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void check(struct driver *d, bool ok, const char *what)
{
	printf("vfio_edu: %s - %s\n", ok ? "ok" : "NOT OK", what);
	fflush(stdout);
	d->nr_failed += !ok;
}

static void group_open(struct driver *d, const char *bdf)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char path[128], link[256];
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", bdf);
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		die("it is in no IOMMU group");
	link[n] = '\0';
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(link, '/') + 1);
	d->container = open("/dev/vfio/vfio", O_RDWR);
	d->group = open(path, O_RDWR);
	if (d->container < 0 || d->group < 0)
		die(path);
	if (ioctl(d->group, VFIO_GROUP_GET_STATUS, &status) ||
	    !(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		die("its group is not viable");
	if (ioctl(d->group, VFIO_GROUP_SET_CONTAINER, &d->container) ||
	    ioctl(d->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		die("VFIO_SET_IOMMU");
	d->device = ioctl(d->group, VFIO_GROUP_GET_DEVICE_FD, bdf);
	if (d->device < 0)
		die("VFIO_GROUP_GET_DEVICE_FD");
}

static uint8_t *page_map(struct driver *d, uint64_t iova)
{
	uint8_t *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)page,
		.iova = iova,
		.size = PAGE,
	};

	if (page == MAP_FAILED || ioctl(d->container, VFIO_IOMMU_MAP_DMA, &map))
		die("VFIO_IOMMU_MAP_DMA");
	return page;
}

static void page_unmap(struct driver *d, uint64_t iova)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = iova,
		.size = PAGE,
	};

	if (ioctl(d->container, VFIO_IOMMU_UNMAP_DMA, &unmap))
		die("VFIO_IOMMU_UNMAP_DMA");
}

static void regions_open(struct driver *d)
{
	struct vfio_region_info bar = { .argsz = sizeof(bar), .index = VFIO_PCI_BAR0_REGION_INDEX };
	struct vfio_region_info config = { .argsz = sizeof(config),
					   .index = VFIO_PCI_CONFIG_REGION_INDEX };
	uint16_t command;

	if (ioctl(d->device, VFIO_DEVICE_GET_REGION_INFO, &bar) ||
	    ioctl(d->device, VFIO_DEVICE_GET_REGION_INFO, &config))
		die("VFIO_DEVICE_GET_REGION_INFO");
	d->config = config.offset;
	if (pread(d->device, &command, 2, (off_t)(d->config + CONFIG_COMMAND)) != 2)
		die("config space");
	command |= COMMAND_MEMORY | COMMAND_MASTER;
	if (pwrite(d->device, &command, 2, (off_t)(d->config + CONFIG_COMMAND)) != 2)
		die("config space");
	d->bar = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, d->device,
		      (off_t)bar.offset);
	if (d->bar == MAP_FAILED)
		die("BAR 0");
}

/* By MSI or INTx; the kind before is off first. */
static void interrupt_open(struct driver *d, unsigned int kind)
{
	struct vfio_irq_set off = {
		.argsz = sizeof(off),
		.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = VFIO_PCI_MSI_IRQ_INDEX,
	};
	uint8_t room[sizeof(struct vfio_irq_set) + sizeof(int)] = { 0 };
	struct vfio_irq_set *set = (void *)room;

	if (kind == VFIO_PCI_INTX_IRQ_INDEX && ioctl(d->device, VFIO_DEVICE_SET_IRQS, &off))
		die("VFIO_DEVICE_SET_IRQS: off");
	d->event = eventfd(0, EFD_NONBLOCK);
	set->argsz = sizeof(room);
	set->flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	set->index = kind;
	set->count = 1;
	memcpy(set->data, &d->event, sizeof(int));
	if (d->event < 0 || ioctl(d->device, VFIO_DEVICE_SET_IRQS, set))
		die("VFIO_DEVICE_SET_IRQS");
}

/* The kernel masks INTx when it comes; after this it comes again if it is still there. */
static void interrupt_unmask(struct driver *d)
{
	struct vfio_irq_set set = {
		.argsz = sizeof(set),
		.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK,
		.index = VFIO_PCI_INTX_IRQ_INDEX,
		.count = 1,
	};

	if (ioctl(d->device, VFIO_DEVICE_SET_IRQS, &set))
		die("VFIO_DEVICE_SET_IRQS: unmask");
}

static uint32_t load(struct driver *d, int reg)
{
	return *(volatile uint32_t *)(d->bar + reg);
}

static void store(struct driver *d, int reg, uint32_t value)
{
	*(volatile uint32_t *)(d->bar + reg) = value;
}

static void store64(struct driver *d, int reg, uint64_t value)
{
	*(volatile uint64_t *)(d->bar + reg) = value;
}

static uint32_t transfer(struct driver *d, uint64_t from, uint64_t to, uint32_t command)
{
	store64(d, REG_DMA_SOURCE, from);
	store64(d, REG_DMA_DESTINATION, to);
	store64(d, REG_DMA_COUNT, PAGE);
	store(d, REG_DMA_COMMAND, command | DMA_RUN);
	/* Each look is an exit, which gives the device its time. */
	for (int i = 0; load(d, REG_DMA_COMMAND) & DMA_RUN; i++) {
		if (i == 1000000) {
			errno = ETIMEDOUT;
			die("a transfer");
		}
	}
	return load(d, REG_DMA_RESULT);
}

static bool interrupted(struct driver *d)
{
	struct pollfd p = { .fd = d->event, .events = POLLIN };
	uint64_t count;

	return poll(&p, 1, 10000) == 1 && read(d->event, &count, sizeof(count)) == sizeof(count);
}

static bool filled(const uint8_t *page, uint8_t with)
{
	for (int i = 0; i < PAGE; i++)
		if (page[i] != with)
			return false;
	return true;
}

static void right(struct driver *d)
{
	check(d, load(d, REG_ID) == 0x010000ed, "identification");
	memset(d->a, 0x5a, PAGE);
	check(d, transfer(d, IOVA_A, BUFFER, 0) == RESULT_OK, "a mapped page is read");
	check(d, transfer(d, BUFFER, IOVA_B, DMA_TO_MEMORY) == RESULT_OK && filled(d->b, 0x5a),
	      "another one is written, with the same data");
	store(d, REG_IRQ_RAISE, 4);
	check(d, interrupted(d) && load(d, REG_IRQ_STATUS) == 4, "an interrupt arrives");
	store(d, REG_IRQ_ACK, 4);
	transfer(d, BUFFER, IOVA_B, DMA_TO_MEMORY | DMA_INTERRUPT);
	check(d, interrupted(d) && load(d, REG_IRQ_STATUS) == IRQ_DMA,
	      "and one at the end of a transfer");
	store(d, REG_IRQ_ACK, IRQ_DMA);
}

/* By way of the I/O APIC: a level, sent again until the device is quiet. */
static void line(struct driver *d)
{
	bool twice;

	interrupt_open(d, VFIO_PCI_INTX_IRQ_INDEX);
	store(d, REG_IRQ_RAISE, 8);
	twice = interrupted(d);
	interrupt_unmask(d);
	twice = twice && interrupted(d);
	store(d, REG_IRQ_ACK, 8);
	interrupt_unmask(d);
	store(d, REG_IRQ_RAISE, 16);
	check(d, twice && interrupted(d) && load(d, REG_IRQ_STATUS) == 16,
	      "INTx comes until it is acknowledged, and again");
	store(d, REG_IRQ_ACK, 16);
}

static void wrong(struct driver *d)
{
	check(d, transfer(d, BUFFER, IOVA_NONE, DMA_TO_MEMORY) == RESULT_REFUSED,
	      "a page that is not mapped cannot be written");
	check(d, transfer(d, IOVA_NONE, BUFFER, 0) == RESULT_REFUSED, "nor read");
	memset(d->b, 0x11, PAGE);
	page_unmap(d, IOVA_B);
	check(d, transfer(d, BUFFER, IOVA_B, DMA_TO_MEMORY) == RESULT_REFUSED && filled(d->b, 0x11),
	      "nor one that was");
	check(d, transfer(d, IOVA_A, BUFFER, 0) == RESULT_OK, "what is mapped still is");
}

/* It does not answer when it is told to forget: the kernel must get on all the same. */
static void mute(struct driver *d)
{
	store(d, REG_BEHAVIOUR, BEHAVIOUR_MUTE);
	memset(d->b, 0x11, PAGE);
	page_unmap(d, IOVA_B);
	check(d, true, "a device that does not answer holds nobody up for long");
	check(d, transfer(d, BUFFER, IOVA_B, DMA_TO_MEMORY) == RESULT_REFUSED && filled(d->b, 0x11),
	      "and keeps nothing");
	check(d, transfer(d, IOVA_A, BUFFER, 0) == RESULT_OK, "what is mapped still is");
}

/* It invents translations: memory at that very address, of whomever. */
static void forge(struct driver *d)
{
	unsigned int nr_stale = 0, nr_ok = 0;

	store(d, REG_BEHAVIOUR, BEHAVIOUR_FORGE);
	for (int i = 0; i < 20; i++) {
		uint32_t result = transfer(d, BUFFER, IOVA_B, DMA_TO_MEMORY);

		nr_stale += result == RESULT_STALE;
		nr_ok += result == RESULT_OK;
	}
	check(d, nr_stale && nr_stale + nr_ok == 20,
	      "invented translations reach nothing, until it is left without");
	check(d, transfer(d, BUFFER, IOVA_NONE, DMA_TO_MEMORY) == RESULT_REFUSED,
	      "and then it is as any other device");
}

int main(int argc, char **argv)
{
	const char *how = argc == 3 ? argv[2] : "";
	struct driver d = { 0 };

	if (argc < 2 || (*how && strcmp(how, "mute") && strcmp(how, "forge"))) {
		fprintf(stderr, "usage: vfio_edu BDF [mute|forge]\n");
		return 2;
	}
	group_open(&d, argv[1]);
	d.a = page_map(&d, IOVA_A);
	d.b = page_map(&d, IOVA_B);
	regions_open(&d);
	interrupt_open(&d, VFIO_PCI_MSI_IRQ_INDEX);
	right(&d);
	if (!strcmp(how, "mute"))
		mute(&d);
	else if (!strcmp(how, "forge"))
		forge(&d);
	else
		wrong(&d);
	line(&d);
	printf("vfio_edu: %s\n", d.nr_failed ? "FAILED" : "passed");
	return d.nr_failed != 0;
}
