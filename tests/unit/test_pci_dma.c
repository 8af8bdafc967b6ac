// SPDX-License-Identifier: GPL-2.0-or-later
/* A function as a bus master: memory by way of the platform's IOMMU, and only while it may. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake/pci.h"
#include "pci/dma.h"

#define EP_RID	 rid_make(0, PCI_DEVFN(1, 0))
#define LOW_SIZE MIB(2)
#define MASTER	 (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER)

struct fixture {
	struct fake_pci pci;
	struct fake_endpoint ep;
	struct ram ram;
	struct pci_dma dma;
};

/* Guest memory: [0, 2 MiB), and one page at 4 GiB. */
static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fake_pci_init(&f->pci);
	f->ram.nr_regions = 2;
	f->ram.regions[0] =
		(struct ram_region){ range_of(0, LOW_SIZE), calloc(1, LOW_SIZE), -1, 0 };
	f->ram.regions[1] =
		(struct ram_region){ range_of(RAM_HIGH, PAGE_SIZE), calloc(1, PAGE_SIZE), -1, 0 };
	f->pci.machine.platform.ram = &f->ram;
	fake_endpoint_init(&f->ep, &f->pci, "ep", 0);
	*state = f;
	return 0;
}

static void plug(struct fixture *f, struct pci_bus *bus, uint8_t devfn)
{
	assert_int_equal(pci_dma_init(&f->dma, &f->ep.fn), 0);
	assert_int_equal(pci_function_attach(&f->ep.fn, bus, devfn), 0);
}

static void plug_on_root(struct fixture *f)
{
	plug(f, pci_fabric_root(f->pci.fabric), rid_devfn(EP_RID));
	fake_cfg_write(&f->pci, EP_RID, PCI_COMMAND, 2, MASTER);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	pci_function_detach(&f->ep.fn);
	if (f->dma.fn)
		pci_dma_fini(&f->dma);
	pci_function_fini(&f->ep.fn);
	assert_true(fake_pci_fini(&f->pci));
	free(f->ram.regions[0].hva);
	free(f->ram.regions[1].hva);
	free(f);
	return 0;
}

static void a_function_reaches_memory_only_while_it_may_master(void **state)
{
	struct fixture *f = *state;
	uint32_t v = 0x12345678, back = 0;

	plug_on_root(f);
	assert_int_equal(pci_dma_write(&f->dma, 0x1ffe, &v, 4), 0);
	assert_memory_equal(f->ram.regions[0].hva + 0x1ffe, &v, 4);
	assert_int_equal(pci_dma_read(&f->dma, 0x1ffe, &back, 4), 0);
	assert_int_equal(back, v);

	fake_cfg_write(&f->pci, EP_RID, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	back = 7;
	assert_int_equal(pci_dma_read(&f->dma, 0x1ffe, &back, 4), -EPERM);
	assert_int_equal(pci_dma_write(&f->dma, 0x1ffe, &back, 4), -EPERM);
	assert_int_equal(pci_dma_begin(&f->dma), -EPERM);
	assert_int_equal(back, 7);
	assert_memory_equal(f->ram.regions[0].hva + 0x1ffe, &v, 4);
}

static void a_bridge_that_may_not_master_stops_what_is_behind(void **state)
{
	struct fixture *f = *state;
	struct pci_bus *bus = fake_pci_port(&f->pci, "rp0");
	rid_t port = rid_make(0, PCI_DEVFN(1, 0));
	uint32_t v = 1;

	plug(f, bus, 0);
	assert_int_equal(pci_fabric_assign(f->pci.fabric, NULL), 0);
	fake_cfg_write(&f->pci, rid_make(1, 0), PCI_COMMAND, 2, MASTER);
	assert_int_equal(pci_dma_write(&f->dma, 0, &v, 4), 0);
	fake_cfg_write(&f->pci, port, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(pci_dma_write(&f->dma, 0, &v, 4), -EPERM);
}

static void what_is_not_ram_is_refused(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[64] = { 0 };
	struct iovec iov[2];
	unsigned int nr;
	uint64_t covered;

	plug_on_root(f);
	assert_int_equal(pci_dma_write(&f->dma, LOW_SIZE, buf, 1), -EFAULT);
	assert_int_equal(pci_dma_read(&f->dma, LOW_SIZE - 1, buf, 2), -EFAULT);
	assert_int_equal(pci_dma_read(&f->dma, UINT64_MAX - 1, buf, 4), -EINVAL);
	assert_int_equal(pci_dma_read(&f->dma, 0, buf, 0), -EINVAL);
	assert_int_equal(pci_dma_begin(&f->dma), 0);
	assert_int_equal(pci_dma_map(&f->dma, LOW_SIZE - 1, 2, IOMMU_READ, iov, 2, &nr, &covered),
			 -EFAULT);
	assert_int_equal(nr, 0);
	assert_int_equal(covered, 0);
	pci_dma_end(&f->dma);
}

static void mapped_pieces_are_the_guests_memory_itself(void **state)
{
	struct fixture *f = *state;
	struct iovec iov[2];
	unsigned int nr;
	uint64_t covered;

	plug_on_root(f);
	assert_int_equal(pci_dma_begin(&f->dma), 0);
	assert_int_equal(pci_dma_map(&f->dma, 0x1800, 0x3000, IOMMU_WRITE, iov, 2, &nr, &covered),
			 0);
	assert_int_equal(nr, 1);
	assert_int_equal(covered, 0x3000);
	assert_ptr_equal(iov[0].iov_base, f->ram.regions[0].hva + 0x1800);
	assert_int_equal(iov[0].iov_len, 0x3000);
	assert_int_equal(pci_dma_map(&f->dma, RAM_HIGH + 8, 16, IOMMU_READ, iov, 1, &nr, &covered),
			 0);
	assert_ptr_equal(iov[0].iov_base, f->ram.regions[1].hva + 8);
	pci_dma_end(&f->dma);
}

/* A unit that scatters pages: page n of the request lies at page (n ^ 1). */
static uint16_t last_rid;

static int scatter_translate(struct iommu *iommu, struct iommu_device *dev, uint32_t pasid,
			     uint64_t addr, uint64_t len, unsigned int need,
			     struct iommu_walked *out)
{
	last_rid = iommu_device_rid(dev).v;
	*out = (struct iommu_walked){
		.page = { (addr & ~0xfffull) ^ 0x1000, 12, IOMMU_READ | IOMMU_WRITE, true },
		.cacheable = true,
	};
	return 0;
}

static int scatter_interrupt(struct iommu *iommu, rid_t rid, const struct msi_message *in,
			     struct msi_message *out)
{
	last_rid = rid.v;
	*out = (struct msi_message){ in->addr, in->data + 1 };
	return in->data == 0x66 ? -EFAULT : 0;
}

static const struct iommu_ops scatter_ops = {
	.name = "scatter",
	.translate = scatter_translate,
	.interrupt = scatter_interrupt,
};

static void scatter_on(struct fixture *f, struct iommu *iommu)
{
	assert_int_equal(iommu_init(iommu, &scatter_ops, false), 0);
	f->pci.machine.platform.iommu = iommu;
}

/* The device leaves before its unit does. */
static void scatter_off(struct fixture *f, struct iommu *iommu)
{
	pci_function_detach(&f->ep.fn);
	if (f->dma.fn)
		pci_dma_fini(&f->dma);
	f->dma.fn = NULL;
	pci_function_fini(&f->ep.fn);
	iommu_fini(iommu);
	f->pci.machine.platform.iommu = f->pci.machine.no_iommu;
	fake_endpoint_init(&f->ep, &f->pci, "ep", 0);
}

static void mapping_stops_where_pieces_run_out_and_goes_on_from_there(void **state)
{
	struct fixture *f = *state;
	struct iommu iommu;
	struct iovec iov[40];
	unsigned int nr;
	uint64_t covered;

	scatter_on(f, &iommu);
	plug_on_root(f);
	assert_int_equal(pci_dma_begin(&f->dma), 0);
	assert_int_equal(pci_dma_map(&f->dma, 0x800, 0x20000, IOMMU_READ, iov, 40, &nr, &covered),
			 0);
	assert_int_equal(covered, 0x20000);
	assert_int_equal(nr, 33);
	for (unsigned int i = 0; i < nr; i++)
		assert_ptr_equal((uint8_t *)iov[i].iov_base - (i ? 0 : 0x800),
				 f->ram.regions[0].hva + (i ^ 1) * 0x1000);
	assert_int_equal(pci_dma_map(&f->dma, 0x800, 0x20000, IOMMU_READ, iov, 17, &nr, &covered),
			 0);
	assert_int_equal(nr, 17);
	assert_int_equal(covered, 0x10800);
	pci_dma_end(&f->dma);
	scatter_off(f, &iommu);
}

static void requests_and_interrupts_carry_the_bus_number_of_the_day(void **state)
{
	struct fixture *f = *state;
	struct pci_bus *bus = fake_pci_port(&f->pci, "rp0");
	rid_t port = rid_make(0, PCI_DEVFN(1, 0));
	struct iommu iommu;
	uint32_t v = 1;
	uint8_t cap;

	scatter_on(f, &iommu);
	fake_endpoint_init(&f->ep, &f->pci, "ep", 0);
	assert_int_equal(pci_add_capability(&f->ep.fn, PCI_CAP_MSI, 0x18, &cap), 0);
	pci_config_set(&f->ep.fn, cap + PCI_MSI_CONTROL, 2, PCI_MSI_64);
	assert_int_equal(pci_msi_init(&f->ep.fn, cap), 0);
	plug(f, bus, 0);
	assert_int_equal(pci_fabric_assign(f->pci.fabric, NULL), 0);
	fake_cfg_write(&f->pci, rid_make(1, 0), PCI_COMMAND, 2, MASTER);
	assert_int_equal(pci_dma_write(&f->dma, 0, &v, 4), 0);
	assert_int_equal(last_rid, 0x100);

	fake_cfg_write(&f->pci, port, PCI_SECONDARY_BUS, 1, 5);
	fake_cfg_write(&f->pci, port, PCI_SUBORDINATE_BUS, 1, 5);
	assert_int_equal(pci_dma_write(&f->dma, 0, &v, 4), 0);
	assert_int_equal(last_rid, 0x500);

	fake_cfg_write(&f->pci, rid_make(5, 0), cap + PCI_MSI_ADDR, 4, 0xfee00000);
	fake_cfg_write(&f->pci, rid_make(5, 0), cap + PCI_MSI_DATA_64, 2, 0x41);
	fake_cfg_write(&f->pci, rid_make(5, 0), cap + PCI_MSI_CONTROL, 2, PCI_MSI_ENABLE);
	pci_msi_fire(&f->ep.fn, 0);
	assert_int_equal(last_rid, 0x500);
	assert_int_equal(f->pci.machine.nr_sent, 1);
	assert_int_equal(f->pci.machine.sent[0].msg.data, 0x42);
	/* Refused by the unit: the guest's affair, and nothing is sent. */
	fake_cfg_write(&f->pci, rid_make(5, 0), cap + PCI_MSI_DATA_64, 2, 0x66);
	pci_msi_fire(&f->ep.fn, 0);
	assert_int_equal(f->pci.machine.nr_sent, 1);

	/* Quarantined: neither memory nor interrupts. */
	fake_cfg_write(&f->pci, rid_make(5, 0), cap + PCI_MSI_DATA_64, 2, 0x41);
	iommu_device_refuse(f->ep.fn.requester, "a test says so");
	assert_int_equal(pci_dma_write(&f->dma, 0, &v, 4), -EPERM);
	pci_msi_fire(&f->ep.fn, 0);
	assert_int_equal(f->pci.machine.nr_sent, 1);
	scatter_off(f, &iommu);
}

static void let_go(struct iommu_hold *hold)
{
	*(bool *)hold->opaque = true;
	iommu_hold_release(hold);
}

static void held_memory_is_asked_back_when_its_mapping_goes(void **state)
{
	struct fixture *f = *state;
	bool revoked = false;
	struct iommu_hold hold = { .revoke = let_go, .opaque = &revoked };
	struct iommu *iommu = f->pci.machine.no_iommu;
	struct iommu_inval inval = { .scope = IOMMU_INVAL_ALL };
	struct iovec iov;
	unsigned int nr;
	uint64_t covered;

	plug_on_root(f);
	assert_int_equal(pci_dma_begin(&f->dma), 0);
	assert_int_equal(pci_dma_map(&f->dma, 0x1000, 64, IOMMU_WRITE, &iov, 1, &nr, &covered), 0);
	pci_dma_hold(&f->dma, &hold, 0x1000, 64);
	pci_dma_end(&f->dma);
	iommu_exec_begin(iommu);
	assert_int_equal(iommu_invalidate(iommu, &inval), 0);
	iommu_exec_end(iommu);
	assert_true(revoked);
}

static void a_platform_without_memory_has_no_bus_masters(void **state)
{
	struct fixture *f = *state;

	f->pci.machine.platform.ram = NULL;
	assert_int_equal(pci_dma_init(&f->dma, &f->ep.fn), -ENXIO);
	assert_null(f->ep.fn.requester);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(a_function_reaches_memory_only_while_it_may_master),
		T(a_bridge_that_may_not_master_stops_what_is_behind),
		T(what_is_not_ram_is_refused),
		T(mapped_pieces_are_the_guests_memory_itself),
		T(mapping_stops_where_pieces_run_out_and_goes_on_from_there),
		T(requests_and_interrupts_carry_the_bus_number_of_the_day),
		T(held_memory_is_asked_back_when_its_mapping_goes),
		T(a_platform_without_memory_has_no_bus_masters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
