// SPDX-License-Identifier: GPL-2.0-or-later
/* Requests from device to device, through a switch: past the IOMMU, or not, as ACS says. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/endian.h"
#include "fake/pci.h"
#include "pci/bus.h"
#include "pci/dma.h"

#define MASTER	 (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER)
#define RAM_SIZE MIB(2)

struct fixture {
	struct fake_pci pci;
	struct iommu iommu;
	unsigned int nr_translated;
	uint64_t to; /* 0: refused */
	struct ram ram;
	struct fake_endpoint from, peer;
	struct pci_dma dma;
};

static int unit_translate(struct iommu *iommu, struct iommu_device *dev, uint32_t pasid,
			  uint64_t addr, uint64_t len, unsigned int need, struct iommu_walked *out)
{
	struct fixture *f = container_of(iommu, struct fixture, iommu);

	f->nr_translated++;
	*out = (struct iommu_walked){ .page = { f->to, 12, IOMMU_READ | IOMMU_WRITE, true } };
	return f->to ? 0 : -EFAULT;
}

static int unit_interrupt(struct iommu *iommu, rid_t rid, const struct msi_message *in,
			  struct msi_message *out)
{
	*out = *in;
	return 0;
}

static const struct iommu_ops unit_ops = {
	.name = "test",
	.translate = unit_translate,
	.interrupt = unit_interrupt,
	.route = unit_interrupt,
};

static void endpoint(struct fixture *f, struct fake_endpoint *ep, const char *name, const char *bus)
{
	fake_endpoint_init(ep, &f->pci, name, 0);
	assert_int_equal(fake_endpoint_bar(ep, 0, KIB(4), 0), 0);
	if (ep == &f->from) {
		assert_int_equal(pci_dma_init(&f->dma, &ep->fn), 0);
		f->dma.peers = true;
	}
	assert_int_equal(pci_function_attach(&ep->fn, pci_fabric_find_bus(f->pci.fabric, bus), 0),
			 0);
}

/* Behind ports 0 and 1 of a switch. */
static struct fixture *world(bool acs)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct pci_switch_config config = { .id = "sw", .nr_ports = 3, .acs = acs };

	fake_pci_init(&f->pci);
	assert_int_equal(iommu_init(&f->iommu, &unit_ops, false), 0);
	f->pci.machine.platform.iommu = &f->iommu;
	f->ram.nr_regions = 1;
	f->ram.regions[0] =
		(struct ram_region){ range_of(0, RAM_SIZE), calloc(1, RAM_SIZE), -1, 0 };
	f->pci.machine.platform.ram = &f->ram;
	assert_int_equal(
		pci_switch_create(f->pci.fabric, &config, fake_pci_port(&f->pci, "rp"), NULL), 0);
	endpoint(f, &f->from, "from", "sw.0");
	endpoint(f, &f->peer, "peer", "sw.1");
	assert_int_equal(pci_fabric_assign(f->pci.fabric, NULL), 0);
	fake_cfg_write(&f->pci, pci_function_rid(&f->from.fn), PCI_COMMAND, 2, MASTER);
	return f;
}

static int setup_acs(void **state)
{
	*state = world(true);
	return 0;
}

static int setup_plain(void **state)
{
	*state = world(false);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	pci_function_detach(&f->from.fn);
	pci_dma_fini(&f->dma);
	fake_endpoint_fini(&f->from);
	fake_endpoint_fini(&f->peer);
	assert_true(fake_pci_fini(&f->pci));
	iommu_fini(&f->iommu);
	free(f->ram.regions[0].hva);
	free(f);
	return 0;
}

static struct pci_function *port_of(struct fixture *f, const char *id)
{
	return pci_fabric_find_bus(f->pci.fabric, id)->bridge;
}

static void acs_set(struct fixture *f, const char *id, uint16_t bits)
{
	/* The only extended capability of a port. */
	fake_cfg_write(&f->pci, pci_function_rid(port_of(f, id)), PCI_EXT_CAPS + PCI_ACS_CTRL, 2,
		       bits);
}

static int store(struct fixture *f, uint64_t addr, uint32_t value)
{
	return pci_dma_write(&f->dma, addr, &value, sizeof(value));
}

static void the_ports_of_a_switch_are_what_a_guest_expects(void **state)
{
	struct fixture *f = *state;
	struct pci_function *up = pci_fabric_find_bus(f->pci.fabric, "sw")->bridge;
	rid_t rid = pci_function_rid(up);

	/* 01:00.0, its ports on bus 2, what is behind them on 3 and 4. */
	assert_int_equal(rid.v, 0x0100);
	assert_int_equal(pci_function_rid(port_of(f, "sw.0")).v, 0x0200);
	assert_int_equal(pci_function_rid(port_of(f, "sw.1")).v, 0x0208);
	assert_int_equal(pci_function_rid(port_of(f, "sw.2")).v, 0x0210);
	assert_int_equal(pci_function_rid(&f->from.fn).v, 0x0300);
	assert_int_equal(pci_function_rid(&f->peer.fn).v, 0x0400);
	assert_int_equal(FIELD_GET(PCI_EXP_TYPE,
				   fake_cfg_read(&f->pci, rid, up->pcie_cap + PCI_EXP_FLAGS, 2)),
			 PCI_EXP_UPSTREAM);
	assert_int_equal(FIELD_GET(PCI_EXP_TYPE,
				   fake_cfg_read(&f->pci, pci_function_rid(port_of(f, "sw.1")),
						 port_of(f, "sw.1")->pcie_cap + PCI_EXP_FLAGS, 2)),
			 PCI_EXP_DOWNSTREAM);
	/* Below a downstream port there is device 0 only. */
	assert_int_equal(fake_cfg_read(&f->pci, rid_make(3, PCI_DEVFN(1, 0)), 0, 4), UINT32_MAX);
	assert_int_equal(fake_cfg_read(&f->pci, rid_make(4, 0), 0, 4), 0x00011234);
}

static void without_acs_a_peer_is_reached_past_the_iommu(void **state)
{
	struct fixture *f = *state;
	uint64_t bar = f->peer.fn.bars[0].addr;
	uint32_t v = 0;

	assert_int_equal(store(f, bar + 0x10, 0x1234), 0);
	assert_int_equal(f->peer.written.nr, 1);
	assert_int_equal(f->peer.written.offset, 0x10);
	assert_int_equal(f->peer.written.size, 4);
	assert_int_equal(f->peer.written.value, 0x1234);
	f->peer.reads = 0x5678;
	assert_int_equal(pci_dma_read(&f->dma, bar, &v, 4), 0);
	assert_int_equal(v, 0x5678);
	assert_int_equal(f->nr_translated, 0);
	/* Within the switch's window, where nobody is: nowhere, and not memory either. */
	assert_int_equal(store(f, bar + KIB(8), 1), -EFAULT);
	/* Back to itself. */
	assert_int_equal(store(f, f->from.fn.bars[0].addr, 1), -EFAULT);
	assert_int_equal(f->from.written.nr, 0);
	assert_int_equal(f->nr_translated, 0);
	/* Memory is still translated. */
	f->to = 0x3000;
	assert_int_equal(store(f, 0x1000, 0x77), 0);
	assert_int_equal(f->nr_translated, 1);
	assert_int_equal(le_load(f->ram.regions[0].hva + 0x3000, 4), 0x77);
}

static void redirection_sends_it_to_the_iommu_first(void **state)
{
	struct fixture *f = *state;
	uint64_t bar = f->peer.fn.bars[0].addr;

	/* Offered, but off: as without. */
	assert_int_equal(store(f, bar, 1), 0);
	assert_int_equal(f->peer.written.nr, 1);
	assert_int_equal(f->nr_translated, 0);

	acs_set(f, "sw.0", PCI_ACS_SV | PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_UF);
	assert_int_equal(store(f, bar, 2), -EFAULT);
	assert_int_equal(f->peer.written.nr, 1);
	assert_int_equal(f->nr_translated, 1);
	assert_int_equal(store(f, f->from.fn.bars[0].addr, 2), -EFAULT);
	assert_int_equal(f->nr_translated, 2);
	/* Unless the guest has mapped it to be reached so. */
	f->to = bar;
	assert_int_equal(store(f, 0x10008, 3), 0);
	assert_int_equal(f->peer.written.nr, 2);
	assert_int_equal(f->peer.written.offset, 8);
}

static void a_wrong_source_is_stopped_by_its_port(void **state)
{
	struct fixture *f = *state;

	f->to = 0x3000;
	acs_set(f, "sw.0", PCI_ACS_SV);
	assert_int_equal(store(f, 0, 1), 0);
	/* Bus numbers that contain nothing: no requester is one of theirs. */
	fake_cfg_write(&f->pci, pci_function_rid(port_of(f, "sw.0")), PCI_SUBORDINATE_BUS, 1, 1);
	assert_int_equal(store(f, 0, 1), -EFAULT);
	assert_int_equal(f->nr_translated, 1);
}

static void translated_requests_are_blocked_where_acs_says(void **state)
{
	struct fixture *f = *state;

	assert_true(pci_dma_may_translate(&f->dma));
	acs_set(f, "sw.0", PCI_ACS_TB);
	assert_false(pci_dma_may_translate(&f->dma));
	acs_set(f, "sw.0", 0);
	acs_set(f, "rp", PCI_ACS_TB);
	assert_false(pci_dma_may_translate(&f->dma));
}

static void a_device_that_does_not_speak_to_peers_finds_no_memory_there(void **state)
{
	struct fixture *f = *state;

	f->dma.peers = false;
	f->to = f->peer.fn.bars[0].addr;
	assert_int_equal(store(f, f->peer.fn.bars[0].addr, 1), -EFAULT);
	assert_int_equal(f->peer.written.nr, 0);
}

static void config_registers_and_the_like_are_no_peers(void **state)
{
	struct fixture *f = *state;

	f->to = FAKE_ECAM;
	assert_int_equal(store(f, 0x5000, 0xffffffff), -EFAULT);
	f->to = f->peer.fn.bars[0].addr;
	fake_cfg_write(&f->pci, pci_function_rid(&f->peer.fn), PCI_COMMAND, 2, 0);
	assert_int_equal(store(f, 0x5000, 1), -EFAULT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define ACS(name)   cmocka_unit_test_setup_teardown(name, setup_acs, teardown)
#define PLAIN(name) cmocka_unit_test_setup_teardown(name, setup_plain, teardown)
		PLAIN(the_ports_of_a_switch_are_what_a_guest_expects),
		PLAIN(without_acs_a_peer_is_reached_past_the_iommu),
		ACS(redirection_sends_it_to_the_iommu_first),
		ACS(a_wrong_source_is_stopped_by_its_port),
		ACS(translated_requests_are_blocked_where_acs_says),
		PLAIN(a_device_that_does_not_speak_to_peers_finds_no_memory_there),
		ACS(config_registers_and_the_like_are_no_peers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
