// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Plays guest to a real device through the real VFIO, without KVM: the fabric and vfio/ are ours,
 * the machine is the one in memory that unit tests use. What a driver would do is done here by hand:
 * registers, DMA, interrupts, resets; and what a hostile driver would try.
 *
 *	vfio_probe edu BDF	QEMU's edu: DMA both ways, blocked DMA, MSI, INTx, reset
 *	vfio_probe nvme BDF	an NVMe function: Identify by DMA and MSI-X, function-level reset
 *	vfio_probe outside BDF ADDR...	an NVMe function is told to write where it may not
 *	vfio_probe request BDF	runs until the host asks for the device back, and gives it back
 *	vfio_probe error BDF	runs until the host reports an error of the device
 *	vfio_probe refuse BDF	prints the refusal
 *	vfio_probe plan BDF	prints the plan
 *
 * The device is bound to vfio-pci. Prints one line a check; exit status 0 when all passed.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/endian.h"
#include "fake/pci.h"
#include "vfio/container.h"
#include "vfio/pci.h"

#define RAM_LEN MIB(4)

struct probe {
	struct fake_pci pci;
	struct sys sys;
	struct vfio_context *context;
	struct device *dev;
	struct pci_function *fn;
	struct pci_bus *bus;
	rid_t rid;
	uint8_t *ram;
	unsigned int nr_failed;
};

static void check(struct probe *p, bool ok, const char *what)
{
	printf("%s - %s\n", ok ? "ok" : "not ok", what);
	fflush(stdout);
	p->nr_failed += !ok;
}

static void pause_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000l };

	nanosleep(&ts, NULL);
}

static void probe_released(void *opaque, struct device *dev)
{
	struct probe *p = opaque;

	dev->ops->destroy(dev);
	p->dev = NULL;
	loop_stop(p->pci.machine.platform.loop, 0);
}

static int probe_open(struct probe *p, const char *bdf, struct diag *diag)
{
	struct vfio_context_config context = { .platform = &p->pci.machine.platform };
	struct vfio_pci_config config = { .released = probe_released, .opaque = p };
	struct loop *loop;
	int err;

	p->sys = sys_real();
	fake_pci_init(&p->pci);
	p->bus = fake_pci_port(&p->pci, "rp0");
	BUG_ON(loop_create(&loop));
	p->pci.machine.platform.sys = &p->sys;
	p->pci.machine.platform.loop = loop;
	p->ram = mmap(NULL, RAM_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	BUG_ON(p->ram == MAP_FAILED || fake_ram_add(&p->pci.machine, range_of(0, RAM_LEN), p->ram));
	err = pci_address_parse(bdf, &config.host);
	if (err)
		return diag_set(diag, err, bdf, "not a PCI address");
	err = vfio_context_create(&context, &p->context, diag);
	if (err)
		return err;
	err = vfio_pci_create(p->context, &config, diag, &p->dev);
	if (err)
		return err;
	p->fn = vfio_pci_function(p->dev);
	BUG_ON(pci_function_attach(p->fn, p->bus, 0));
	err = pci_fabric_assign(p->pci.fabric, diag);
	if (err)
		return err;
	p->rid = pci_function_rid(p->fn);
	return vfio_context_map(p->context, diag);
}

static uint32_t cfg_read(struct probe *p, unsigned int at, unsigned int size)
{
	return fake_cfg_read(&p->pci, p->rid, (uint16_t)at, size);
}

static void cfg_write(struct probe *p, unsigned int at, unsigned int size, uint32_t value)
{
	fake_cfg_write(&p->pci, p->rid, (uint16_t)at, size, value);
}

/* A register of BAR0 as the guest reaches it: through its mapping. */
static volatile uint32_t *reg(struct probe *p, uint64_t offset)
{
	uint64_t addr = p->fn->bars[0].addr + offset;
	struct direct_slot *slot = fake_slot_at(&p->pci.machine, addr);

	BUG_ON(!slot);
	return (volatile uint32_t *)(void *)((uint8_t *)slot->hva + (addr - slot->range.first));
}

static uint8_t find_cap(struct probe *p, uint8_t id)
{
	uint8_t at = (uint8_t)cfg_read(p, PCI_CAP_PTR, 1);

	for (int i = 0; at && i < 48; i++) {
		if (cfg_read(p, at, 1) == id)
			return at;
		at = (uint8_t)cfg_read(p, at + 1u, 1);
	}
	return 0;
}

static bool readable(int fd, int ms)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, ms) == 1;
}

static uint64_t take(int fd)
{
	uint64_t count = 0;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

/* ---- edu (QEMU docs/specs/edu.rst) ---- */

#define EDU_ID	      0x00
#define EDU_LIVE      0x04
#define EDU_RAISE     0x60
#define EDU_ACK	      0x64
#define EDU_DMA_SRC   0x80
#define EDU_DMA_DST   0x88
#define EDU_DMA_COUNT 0x90
#define EDU_DMA_CMD   0x98
#define EDU_BUFFER    0x40000
#define EDU_START     1
#define EDU_TO_MEMORY 2

static void edu_dma(struct probe *p, uint32_t src, uint32_t dst, uint32_t len, uint32_t direction)
{
	*reg(p, EDU_DMA_SRC) = src;
	*reg(p, EDU_DMA_DST) = dst;
	*reg(p, EDU_DMA_COUNT) = len;
	*reg(p, EDU_DMA_CMD) = EDU_START | direction;
	for (int i = 0; i < 100 && (*reg(p, EDU_DMA_CMD) & EDU_START); i++)
		pause_ms(20);
}

static void edu_check_dma(struct probe *p)
{
	memset(p->ram + 0x1000, 0x5a, 0x800);
	memset(p->ram + 0x3000, 0, 0x1000);
	edu_dma(p, 0x1000, EDU_BUFFER, 0x800, 0);
	edu_dma(p, EDU_BUFFER, 0x3000, 0x800, EDU_TO_MEMORY);
	check(p, !memcmp(p->ram + 0x3000, p->ram + 0x1000, 0x800),
	      "DMA reads and writes guest RAM");

	/* Beyond the VM's memory: the host's log says that both were blocked. */
	edu_dma(p, 0x2000000, EDU_BUFFER, 0x800, 0);
	edu_dma(p, EDU_BUFFER, 0x2000000, 0x800, EDU_TO_MEMORY);
	edu_dma(p, 0x1000, EDU_BUFFER, 0x800, 0);
	edu_dma(p, EDU_BUFFER, 0x5000, 0x800, EDU_TO_MEMORY);
	check(p, !memcmp(p->ram + 0x5000, p->ram + 0x1000, 0x800),
	      "DMA works after accesses outside were blocked");

	cfg_write(p, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	memset(p->ram + 0x7000, 0x22, 0x1000);
	edu_dma(p, EDU_BUFFER, 0x7000, 0x800, EDU_TO_MEMORY);
	check(p, p->ram[0x7000] == 0x22 && p->ram[0x77ff] == 0x22,
	      "without bus mastering nothing is written");
	cfg_write(p, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void edu_check_intx(struct probe *p)
{
	struct vfio_pci *pci = vfio_pci_of_device(p->dev);
	int pin = pci_function_intx_pin(p->fn);

	if (pin < 0 || pci->intx.eventfd < 0) {
		check(p, false, "INTx is there");
		return;
	}
	*reg(p, EDU_RAISE) = 1;
	check(p, readable(pci->intx.eventfd, 2000), "INTx signals");
	pci->intx.source.fn(pci->intx.source.opaque, EPOLLIN);
	check(p, fake_pin(&p->pci.machine, (unsigned int)pin), "INTx raises the pin");
	/* Ended before the device was served: it is still asserted, so it comes again. */
	fake_eoi(&p->pci.machine, (unsigned int)pin);
	check(p, !fake_pin(&p->pci.machine, (unsigned int)pin), "the end releases the pin");
	check(p, readable(pci->intx.eventfd, 2000), "an asserted INTx fires again after the end");
	pci->intx.source.fn(pci->intx.source.opaque, EPOLLIN);
	*reg(p, EDU_ACK) = 1;
	fake_eoi(&p->pci.machine, (unsigned int)pin);
	check(p, !readable(pci->intx.eventfd, 200), "a served INTx does not");
}

static void edu_check_msi(struct probe *p)
{
	struct vfio_pci *pci = vfio_pci_of_device(p->dev);
	uint8_t msi = find_cap(p, PCI_CAP_MSI);
	int fd;

	check(p, msi, "MSI is shown");
	if (!msi)
		return;
	cfg_write(p, msi + PCI_MSI_ADDR, 4, 0xfee00000);
	cfg_write(p, msi + PCI_MSI_DATA_64, 2, 0x41);
	cfg_write(p, msi + PCI_MSI_CONTROL, 2, PCI_MSI_ENABLE);
	fd = pci->vectors.vector[0].eventfd;
	*reg(p, EDU_RAISE) = 1;
	check(p, fd >= 0 && readable(fd, 2000) && take(fd), "MSI signals the route's eventfd");
	*reg(p, EDU_ACK) = 1;
	cfg_write(p, msi + PCI_MSI_CONTROL, 2, 0);
	check(p, fake_route_count(&p->pci.machine) == 0, "disabling MSI frees the route");
}

static void probe_edu(struct probe *p)
{
	struct vfio_pci_stats stats;

	check(p, cfg_read(p, PCI_VENDOR_ID, 4) == 0x11e81234, "config space shows edu");
	cfg_write(p, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	check(p, (*reg(p, EDU_ID) & 0xff) == 0xed, "BAR0 is reached by its mapping");
	*reg(p, EDU_LIVE) = 0x12345678;
	check(p, *reg(p, EDU_LIVE) == ~0x12345678u, "a register written is the device's own");
	edu_check_dma(p);
	edu_check_intx(p);
	edu_check_msi(p);
	p->dev->ops->reset(p->dev);
	vfio_pci_stats(p->dev, &stats);
	printf("# resets: %" PRIu64 ", by %s\n", stats.nr_resets, stats.reset_method);
	check(p, stats.nr_resets == 2, "the machine's reset resets it");
}

/* ---- NVMe (NVM Express Base 2.0, 3.1.3 and 3.3) ---- */

#define NVME_CAP      0x00
#define NVME_CC	      0x14
#define NVME_CSTS     0x1c
#define NVME_AQA      0x24
#define NVME_ASQ      0x28
#define NVME_ACQ      0x30
#define NVME_SQ0_TAIL 0x1000
#define NVME_CQ0_HEAD 0x1004
#define NVME_CC_ON    0x00460001 /* 64-byte and 16-byte entries, 4 KiB pages, enabled */

#define SQ	      0x10000
#define CQ	      0x11000
#define DATA	      0x12000

static bool nvme_wait(struct probe *p, uint32_t ready)
{
	for (int i = 0; i < 500; i++) {
		if ((*reg(p, NVME_CSTS) & 1) == ready)
			return true;
		pause_ms(10);
	}
	return false;
}

static bool nvme_start(struct probe *p)
{
	memset(p->ram + SQ, 0, 0x3000);
	*reg(p, NVME_CC) = 0;
	if (!nvme_wait(p, 0))
		return false;
	*reg(p, NVME_AQA) = 1 << 16 | 1;
	*reg(p, NVME_ASQ) = SQ;
	*reg(p, NVME_ASQ + 4) = 0;
	*reg(p, NVME_ACQ) = CQ;
	*reg(p, NVME_ACQ + 4) = 0;
	*reg(p, NVME_CC) = NVME_CC_ON;
	return nvme_wait(p, 1);
}

static void nvme_identify(struct probe *p)
{
	uint8_t *command = p->ram + SQ;

	memset(command, 0, 64);
	command[0] = 0x06; /* Identify */
	le_store(command + 24, 8, DATA);
	le_store(command + 40, 4, 1); /* the controller */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	*reg(p, NVME_SQ0_TAIL) = 1;
}

/*
 * Identify into each address, one command after the other. Whether anything arrived is for a witness to
 * say, and for the IOMMU: QEMU's controller does not notice that its write was refused.
 */
static void probe_outside(struct probe *p, char **addresses)
{
	unsigned int n = 0;

	cfg_write(p, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	check(p, nvme_start(p), "the controller starts, its queues in memory of its own");
	for (; *addresses; addresses++, n++) {
		/* Two entries: the second time round the phase tag is the other one. */
		uint8_t *command = p->ram + SQ + 64 * (n % 2), *done = p->ram + CQ + 16 * (n % 2);
		uint8_t phase = !(n / 2 % 2);
		char what[80];

		memset(command, 0, 64);
		command[0] = 0x06; /* Identify */
		le_store(command + 24, 8, strtoull(*addresses, NULL, 0));
		le_store(command + 40, 4, 1);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		*reg(p, NVME_SQ0_TAIL) = (n + 1) % 2;
		for (int i = 0; i < 250 && (done[14] & 1) != phase; i++)
			pause_ms(20);
		snprintf(what, sizeof(what), "told to write to %s: status 0x%x", *addresses,
			 (unsigned int)le_load(done + 14, 2) >> 1);
		check(p, (done[14] & 1) == phase, what);
		*reg(p, NVME_CQ0_HEAD) = (n + 1) % 2;
	}
	/* And to memory of its own, the same command works. */
	nvme_start(p);
	nvme_identify(p);
	for (int i = 0; i < 250 && !(p->ram[CQ + 14] & 1); i++)
		pause_ms(20);
	check(p, (p->ram[CQ + 14] & 1) && !(le_load(p->ram + CQ + 14, 2) >> 1),
	      "DMA to memory of its own succeeds after it");
}

static uint64_t table(struct probe *p, unsigned int vector, unsigned int field)
{
	const struct vfio_vectors *v = &vfio_pci_of_device(p->dev)->vectors;

	return p->fn->bars[v->table_bar].addr + v->table + 16 * vector + field;
}

static void table_write(struct probe *p, unsigned int vector, unsigned int field, uint32_t value)
{
	fake_bus_write(&p->pci.machine, BUS_MMIO, table(p, vector, field), 4, value);
}

static void probe_nvme(struct probe *p)
{
	struct vfio_pci *pci = vfio_pci_of_device(p->dev);
	uint8_t msix = find_cap(p, PCI_CAP_MSIX), pcie = find_cap(p, PCI_CAP_PCIE);
	struct vfio_pci_stats stats;
	uint32_t bar[2] = { cfg_read(p, PCI_BAR0, 4), cfg_read(p, PCI_BAR0 + 4, 4) };
	char model[41] = "";
	uint64_t count = 0;
	int fd;

	check(p, cfg_read(p, PCI_CLASS, 2) == 0x0802, "config space shows an NVMe controller");
	check(p, msix && pcie, "MSI-X and PCI Express are shown");
	for (unsigned int i = 0; i < pci->space.caps.nr; i++) {
		const struct vfio_cap *cap = &pci->space.caps.cap[i];

		if (cap->policy == VFIO_CAP_HIDE)
			printf("# hidden: %s: %s\n", cap->name, cap->reason);
	}
	cfg_write(p, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	table_write(p, 0, 0, 0xfee00000);
	table_write(p, 0, 8, 0x51);
	cfg_write(p, msix + PCI_MSIX_CONTROL, 2, PCI_MSIX_ENABLE | PCI_MSIX_MASK_ALL);
	table_write(p, 0, 12, 0);
	cfg_write(p, msix + PCI_MSIX_CONTROL, 2, PCI_MSIX_ENABLE);
	fd = pci->vectors.vector[0].eventfd;
	check(p, fd >= 0, "MSI-X is wired");
	/* After MSI-X, as drivers do: QEMU's controller looks for it when it starts. */
	check(p, nvme_start(p), "the controller starts, its queues in guest RAM");
	nvme_identify(p);
	check(p, readable(fd, 5000) && take(fd), "completion interrupts by MSI-X");
	check(p, (p->ram[CQ + 14] & 1) && !(le_load(p->ram + CQ + 14, 2) >> 1),
	      "Identify succeeded, its completion written by DMA");
	memcpy(model, p->ram + DATA + 24, 40);
	printf("# model: %s\n", model);
	check(p, !vfio_pci_vector_count(p->dev, 0, &count) && count >= 1,
	      "the kernel's count of the vector is found");

	/* Masked: it stays with us until the guest asks again. */
	table_write(p, 0, 12, 1);
	*reg(p, NVME_CQ0_HEAD) = 1;
	p->ram[SQ + 64] = 0x06;
	le_store(p->ram + SQ + 64 + 24, 8, DATA);
	le_store(p->ram + SQ + 64 + 40, 4, 1);
	*reg(p, NVME_SQ0_TAIL) = 0;
	for (int i = 0; i < 100 && !(p->ram[CQ + 16 + 14] & 1); i++)
		pause_ms(20);
	pause_ms(50);
	check(p,
	      fake_bus_read(&p->pci.machine, BUS_MMIO,
			    p->fn->bars[pci->vectors.pba_bar].addr + pci->vectors.pba, 8) &
		      1,
	      "an interrupt of a masked vector is pending");
	table_write(p, 0, 12, 0);
	check(p, readable(fd, 100), "and delivered when it is unmasked");

	check(p, cfg_read(p, pcie + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR, "FLR is offered");
	cfg_write(p, pcie + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_FLR);
	vfio_pci_stats(p->dev, &stats);
	printf("# resets: %" PRIu64 ", by %s\n", stats.nr_resets, stats.reset_method);
	check(p, stats.nr_resets == 2 && !stats.nr_vectors, "the guest's FLR resets the device");
	check(p, !(cfg_read(p, PCI_COMMAND, 2) & PCI_COMMAND_MASTER),
	      "bus mastering is off after FLR");
	check(p, !cfg_read(p, PCI_BAR0 + 4, 4) && !(cfg_read(p, PCI_BAR0, 4) & ~0xfu),
	      "BARs are unassigned after FLR");
	cfg_write(p, PCI_BAR0, 4, bar[0]);
	cfg_write(p, PCI_BAR0 + 4, 4, bar[1]);
	cfg_write(p, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	check(p, !(*reg(p, NVME_CSTS) & 1), "the controller is off after FLR");
	check(p, nvme_start(p), "and starts again");
}

/* ---- what the host tells ---- */

static void probe_request(struct probe *p)
{
	cfg_write(p, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	puts("# waiting for the host to ask");
	fflush(stdout);
	check(p, !loop_run(p->pci.machine.platform.loop), "the host asked for the device");
	check(p, cfg_read(p, PCI_VENDOR_ID, 4) == UINT32_MAX, "the guest has lost it");
}

static void probe_error(struct probe *p)
{
	cfg_write(p, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	puts("# waiting for an error");
	fflush(stdout);
	for (int i = 0; i < 50 && !vfio_pci_of_device(p->dev)->stopped; i++) {
		struct vfio_event *error = &vfio_pci_of_device(p->dev)->events.error;

		if (error->eventfd >= 0 && readable(error->eventfd, 1000))
			error->source.fn(error->source.opaque, EPOLLIN);
	}
	check(p, vfio_pci_of_device(p->dev)->stopped, "the error stopped the device");
	check(p, cfg_read(p, PCI_VENDOR_ID, 4) == UINT32_MAX, "the guest has lost it");
}

static void print_plan(const struct vfio_pci_plan *plan)
{
	printf("# %s: group %d of %zu, driver %s, reset by %s\n", plan->function.name,
	       plan->function.group, plan->group.nr_members,
	       plan->function.driver[0] ? plan->function.driver : "none",
	       plan->function.reset[0] ? plan->function.reset : "nothing of its own");
	for (unsigned int i = 0; i < PCI_BARS; i++)
		if (plan->bars[i].size)
			printf("# BAR%u: %" PRIu64 " bytes, %" PRIu64 " direct%s%s\n", i,
			       plan->bars[i].size, plan->bars[i].direct,
			       plan->bars[i].why ? ": " : "",
			       plan->bars[i].why ? plan->bars[i].why : "");
	printf("# MSI-X %u, MSI %u, INTx %d\n", plan->nr_msix, plan->nr_msi, plan->intx);
	for (unsigned int i = 0; i < plan->nr_hidden; i++)
		printf("# hidden at 0x%x: %s: %s\n", plan->hidden[i].offset, plan->hidden[i].name,
		       plan->hidden[i].reason);
}

static int probe_plan(const char *bdf)
{
	struct sys sys = sys_real();
	struct vfio_pci_config config = { 0 };
	struct vfio_pci_plan plan;
	struct diag diag = DIAG_INIT;
	int err = pci_address_parse(bdf, &config.host);

	if (err)
		return 2;
	err = vfio_pci_plan(&sys, &config, &plan, NULL, NULL, &diag);
	diag_print(&diag);
	print_plan(&plan);
	vfio_pci_plan_fini(&plan);
	return err ? 1 : 0;
}

int main(int argc, char **argv)
{
	static struct probe p;
	struct diag diag = DIAG_INIT;
	struct dma_stats dma;
	int err;

	if (argc != 3 && (argc < 3 || strcmp(argv[1], "outside"))) {
		fprintf(stderr, "usage: vfio_probe edu|nvme|request|error|refuse|plan BDF\n"
				"       vfio_probe outside BDF ADDRESS...\n");
		return 2;
	}
	if (!strcmp(argv[1], "plan"))
		return probe_plan(argv[2]);
	err = probe_open(&p, argv[2], &diag);
	if (!strcmp(argv[1], "refuse")) {
		diag_print(&diag);
		return err ? 0 : 1;
	}
	if (err) {
		diag_print(&diag);
		return 1;
	}
	vfio_context_dma_stats(p.context, &dma);
	printf("# mapped %" PRIu64 " bytes by %" PRIu64 " calls in %" PRIu64 " us\n",
	       dma.mapped_bytes, dma.nr_maps, dma.map_ns / 1000);
	printf("# DMA is %s\n", vfio_context_coherent(p.context) ? "coherent" : "not coherent");
	check(&p, dma.nr_maps == 1 && dma.mapped_bytes == RAM_LEN, "RAM is one mapping");
	if (!strcmp(argv[1], "edu"))
		probe_edu(&p);
	else if (!strcmp(argv[1], "outside"))
		probe_outside(&p, argv + 3);
	else if (!strcmp(argv[1], "request"))
		probe_request(&p);
	else if (!strcmp(argv[1], "error"))
		probe_error(&p);
	else
		probe_nvme(&p);
	if (p.dev)
		p.dev->ops->destroy(p.dev);
	vfio_context_destroy(p.context);
	check(&p, fake_pci_fini(&p.pci), "nothing is left on the machine");
	return p.nr_failed ? 1 : 0;
}
