// SPDX-License-Identifier: GPL-2.0-or-later
/* The teaching device: its registers, its interrupts, its transfers through a remapping unit. */
#include "vtd_world.h"

#include <semaphore.h>

#include "base/endian.h"
#include "device/edu.h"
#include "device/edu_regs.h"
#include "fake/pci.h"
#include "iommu/ats.h"
#include "memory/ram.h"

#define BAR	0xc0000000u
#define EDU_RID 0x0008 /* 00:01.0 */
#define PIN	17     /* of INTA of device 1 */
#define MSI_CAP 0x40
#define EXP_CAP 0x58
#define ATS_CAP 0x100
#define MASTER	(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER)

struct fixture {
	struct fake_pci pci;
	struct loop *loop;
	struct loop_work gate;
	pthread_t thread;
	sem_t arrived, go;
	struct vtd_world *v;
	struct ram ram;
	struct device *dev;
};

/* The loop's thread waits here whenever the test runs, so that nothing happens behind its back. */
static void gate(void *opaque)
{
	struct fixture *f = opaque;

	sem_post(&f->arrived);
	sem_wait(&f->go);
}

static void *loop_thread(void *opaque)
{
	struct fixture *f = opaque;

	assert_int_equal(loop_run(f->loop), 0);
	return NULL;
}

static void loop_start(struct fixture *f)
{
	assert_int_equal(loop_create(&f->loop), 0);
	sem_init(&f->arrived, 0, 0);
	sem_init(&f->go, 0, 0);
	f->gate = (struct loop_work){ .fn = gate, .opaque = f };
	loop_post(f->loop, &f->gate);
	assert_int_equal(pthread_create(&f->thread, NULL, loop_thread, f), 0);
	sem_wait(&f->arrived);
}

/* What has been posted is done. */
static void settle(struct fixture *f)
{
	loop_post(f->loop, &f->gate);
	sem_post(&f->go);
	sem_wait(&f->arrived);
}

static void loop_end(struct fixture *f)
{
	loop_stop(f->loop, 0);
	sem_post(&f->go);
	pthread_join(f->thread, NULL);
	loop_destroy(f->loop);
	sem_destroy(&f->go);
	sem_destroy(&f->arrived);
}

static void plug(struct fixture *f, const struct edu_config *config)
{
	assert_int_equal(edu_create(&f->pci.machine.platform, config, &f->dev), 0);
	assert_int_equal(pci_function_attach(edu_function(f->dev), pci_fabric_root(f->pci.fabric),
					     (uint8_t)EDU_RID),
			 0);
	fake_cfg_write(&f->pci, (rid_t){ EDU_RID }, PCI_BAR0, 4, BAR);
	fake_cfg_write(&f->pci, (rid_t){ EDU_RID }, PCI_COMMAND, 2, MASTER);
}

/* Behind a unit whose translation is off; its memory is the guest's. */
static struct fixture *world(const struct edu_config *config, struct vtd_config unit)
{
	struct fixture *f = calloc(1, sizeof(*f));

	loop_start(f);
	fake_pci_init(&f->pci);
	f->pci.machine.platform.loop = f->loop;
	f->v = vtd_world_create(unit);
	f->ram.nr_regions = 1;
	f->ram.regions[0] =
		(struct ram_region){ range_of(WORLD_BASE, WORLD_SIZE), f->v->w.ram, -1, 0 };
	f->pci.machine.platform.ram = &f->ram;
	f->pci.machine.platform.iommu = vtd_iommu(f->v->vtd);
	plug(f, config);
	return f;
}

static int setup(void **state)
{
	const struct edu_config config = { .name = "edu0", .dma_bits = 28, .integrated = true };

	*state = world(&config, vtd_world_config());
	return 0;
}

static int setup_ats(void **state)
{
	const struct edu_config config = {
		.name = "edu0", .dma_bits = 28, .integrated = true, .ats = true
	};

	*state = world(&config, vtd_world_config());
	return 0;
}

static int setup_no_snoop(void **state)
{
	const struct edu_config config = {
		.name = "edu0", .dma_bits = 28, .integrated = true, .no_snoop = true
	};
	struct vtd_config unit = vtd_world_config();

	unit.snoop_control = true;
	*state = world(&config, unit);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	f->dev->ops->destroy(f->dev);
	f->pci.machine.platform.iommu = f->pci.machine.no_iommu;
	vtd_world_destroy(f->v);
	assert_true(fake_pci_fini(&f->pci));
	loop_end(f);
	free(f);
	return 0;
}

static uint64_t get(struct fixture *f, unsigned int offset, unsigned int size)
{
	return fake_bus_read(&f->pci.machine, BUS_MMIO, BAR + offset, size);
}

static void put(struct fixture *f, unsigned int offset, unsigned int size, uint64_t value)
{
	fake_bus_write(&f->pci.machine, BUS_MMIO, BAR + offset, size, value);
}

/* ---- the public layout ---- */

static void it_says_what_it_is_and_that_it_lives(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fake_cfg_read(&f->pci, (rid_t){ EDU_RID }, PCI_VENDOR_ID, 4), 0x11e81234);
	assert_int_equal(get(f, 0, 4), 0x010000ed);
	put(f, 4, 4, 0x12345678);
	assert_int_equal(get(f, 4, 4), 0xedcba987);
	/* Below 0x80 only four bytes are an access. */
	assert_int_equal(get(f, 0, 8), UINT64_MAX);
	assert_int_equal(get(f, 4, 2), 0xffff);
	put(f, 4, 1, 0);
	assert_int_equal(get(f, 4, 4), 0xedcba987);
}

static void factorials_are_computed_while_the_guest_waits(void **state)
{
	static const struct {
		uint32_t n, result;
	} cases[] = { { 0, 1 },		{ 1, 1 },  { 5, 120 },	     { 12, 479001600 },
		      { 33, 1u << 31 }, { 34, 0 }, { UINT32_MAX, 0 } };
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		put(f, 8, 4, cases[i].n);
		assert_int_equal(get(f, 0x20, 4), 1);
		/* Busy: another one is not taken. */
		put(f, 8, 4, 3);
		settle(f);
		assert_int_equal(get(f, 0x20, 4), 0);
		assert_int_equal(get(f, 8, 4), cases[i].result);
	}
	assert_int_equal(get(f, 0x24, 4), 0);
	put(f, 0x20, 4, 0xff);
	assert_int_equal(get(f, 0x20, 4), 0x80);
	put(f, 8, 4, 3);
	settle(f);
	assert_int_equal(get(f, 0x24, 4), 1);
	assert_true(fake_pin(&f->pci.machine, PIN));
}

static void interrupts_stay_until_acknowledged(void **state)
{
	struct fixture *f = *state;

	put(f, 0x60, 4, 0x30);
	assert_int_equal(get(f, 0x24, 4), 0x30);
	assert_true(fake_pin(&f->pci.machine, PIN));
	put(f, 0x64, 4, 0x10);
	assert_int_equal(get(f, 0x24, 4), 0x20);
	assert_true(fake_pin(&f->pci.machine, PIN));
	put(f, 0x64, 4, 0x20);
	assert_false(fake_pin(&f->pci.machine, PIN));
	/* Raising nothing is no interrupt. */
	put(f, 0x60, 4, 0);
	assert_false(fake_pin(&f->pci.machine, PIN));
}

static void with_msi_each_raise_is_a_message(void **state)
{
	struct fixture *f = *state;
	rid_t rid = { EDU_RID };

	fake_cfg_write(&f->pci, rid, MSI_CAP + PCI_MSI_ADDR, 4, 0xfee01000);
	fake_cfg_write(&f->pci, rid, MSI_CAP + PCI_MSI_DATA_64, 2, 0x41);
	fake_cfg_write(&f->pci, rid, MSI_CAP + PCI_MSI_CONTROL, 2, PCI_MSI_ENABLE);
	put(f, 0x60, 4, 1);
	put(f, 0x60, 4, 1);
	assert_false(fake_pin(&f->pci.machine, PIN));
	assert_int_equal(f->pci.machine.nr_sent, 2);
	assert_int_equal(f->pci.machine.sent[0].rid.v, EDU_RID);
	assert_int_equal(f->pci.machine.sent[0].msg.data, 0x41);
}

static uint32_t transfer(struct fixture *f, uint64_t source, uint64_t destination, uint64_t len,
			 uint32_t command)
{
	put(f, 0x80, 8, source);
	put(f, 0x88, 8, destination);
	put(f, 0x90, 8, len);
	put(f, 0x98, 4, command | 1);
	assert_int_equal(get(f, 0x98, 4), command | 1);
	settle(f);
	assert_int_equal(get(f, 0x98, 4), command);
	return (uint32_t)get(f, EDU_DMA_RESULT, 4);
}

static uint32_t from_memory(struct fixture *f, uint64_t addr, uint64_t len)
{
	return transfer(f, addr, 0x40000, len, 0);
}

static uint32_t to_memory(struct fixture *f, uint64_t addr, uint64_t len)
{
	return transfer(f, 0x40000, addr, len, 2);
}

static uint8_t *at(struct fixture *f, uint64_t addr)
{
	return f->v->w.ram + (addr - WORLD_BASE);
}

static void data_goes_into_the_buffer_and_out_again(void **state)
{
	struct fixture *f = *state;

	memset(at(f, MIB(2)), 0x5a, 4096);
	assert_int_equal(from_memory(f, MIB(2), 4096), EDU_RESULT_OK);
	assert_int_equal(to_memory(f, MIB(3) + 100, 4096), EDU_RESULT_OK);
	assert_int_equal(*at(f, MIB(3) + 99), 0);
	assert_memory_equal(at(f, MIB(3) + 100), at(f, MIB(2)), 4096);
	assert_int_equal(*at(f, MIB(3) + 4196), 0);
	/* Its end is an interrupt if asked for: 0x100. */
	assert_int_equal(get(f, 0x24, 4), 0);
	assert_int_equal(transfer(f, MIB(2), 0x40ffc, 4, 4), EDU_RESULT_OK);
	assert_int_equal(get(f, 0x24, 4), 0x100);
}

static void only_its_buffer_is_the_devices_side(void **state)
{
	static const struct {
		uint64_t offset, len;
	} cases[] = { { 0x3ffff, 1 }, { 0x41000, 1 },	 { 0x40000, 4097 },	 { 0x40fff, 2 },
		      { 0x40000, 0 }, { UINT64_MAX, 2 }, { 0x40000, UINT64_MAX } };
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(transfer(f, MIB(2), cases[i].offset, cases[i].len, 0),
				 EDU_RESULT_BUFFER);
		assert_int_equal(transfer(f, cases[i].offset, MIB(2), cases[i].len, 2),
				 EDU_RESULT_BUFFER);
	}
	assert_int_equal(from_memory(f, 0, 16), EDU_RESULT_REFUSED);
}

static void address_lines_it_does_not_have_are_not_there(void **state)
{
	struct fixture *f = *state;

	*at(f, MIB(2)) = 0x77;
	assert_int_equal(from_memory(f, 0xffff0000000 | MIB(2), 1), EDU_RESULT_OK);
	assert_int_equal(to_memory(f, MIB(3), 1), EDU_RESULT_OK);
	assert_int_equal(*at(f, MIB(3)), 0x77);
}

static void without_bus_mastering_nothing_moves(void **state)
{
	struct fixture *f = *state;

	fake_cfg_write(&f->pci, (rid_t){ EDU_RID }, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(to_memory(f, MIB(2), 16), EDU_RESULT_NO_MASTER);
}

static void registers_stand_still_while_it_runs(void **state)
{
	struct fixture *f = *state;

	put(f, 0x80, 8, 0x40000);
	put(f, 0x88, 8, MIB(2));
	put(f, 0x90, 8, 8);
	put(f, 0x98, 4, 3);
	put(f, 0x88, 8, MIB(3));
	put(f, 0x98, 4, 1);
	assert_int_equal(get(f, 0x88, 8), MIB(2));
	assert_int_equal(get(f, 0x98, 4), 3);
	settle(f);
}

static void a_function_level_reset_stops_and_forgets(void **state)
{
	struct fixture *f = *state;
	rid_t rid = { EDU_RID };

	memset(at(f, MIB(2)), 0x5a, 16);
	assert_int_equal(from_memory(f, MIB(2), 16), EDU_RESULT_OK);
	put(f, 4, 4, 1);
	put(f, 0x60, 4, 1);
	put(f, 0x80, 8, 0x40000);
	put(f, 0x88, 8, MIB(3));
	put(f, 0x90, 8, 8);
	put(f, 0x98, 4, 3);
	fake_cfg_write(&f->pci, rid, EXP_CAP + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_FLR);
	settle(f);
	assert_false(fake_pin(&f->pci.machine, PIN));
	assert_int_equal(*at(f, MIB(3)), 0);
	fake_cfg_write(&f->pci, rid, PCI_BAR0, 4, BAR);
	fake_cfg_write(&f->pci, rid, PCI_COMMAND, 2, MASTER);
	assert_int_equal(get(f, 4, 4), 0);
	assert_int_equal(get(f, 0x98, 4), 0);
	assert_int_equal(to_memory(f, MIB(2), 16), EDU_RESULT_OK);
	assert_int_equal(*at(f, MIB(2)), 0);
}

/* ---- behind the unit ---- */

static void unit_on(struct fixture *f)
{
	vtd_world_legacy(f->v);
	context_set(f->v, EDU_RID, f->v->ss | 1, 2 | DOMAIN << 8);
}

static void transfers_go_where_the_guests_tables_say_and_nowhere_else(void **state)
{
	struct fixture *f = *state;
	struct fault fault;

	unit_on(f);
	world_ss(&f->v->w, f->v->ss, 4, 1, 0x5000, MIB(2) | 3);
	world_ss(&f->v->w, f->v->ss, 4, 1, 0x6000, MIB(4) | 1);
	memset(at(f, MIB(2)), 0x5a, 4096);
	assert_int_equal(from_memory(f, 0x5000, 4096), EDU_RESULT_OK);
	assert_int_equal(fault_take(f->v).reason, 0);

	/* Not mapped; and mapped, but not for this. */
	assert_int_equal(from_memory(f, MIB(2), 16), EDU_RESULT_REFUSED);
	fault = fault_take(f->v);
	assert_int_equal(fault.reason, 6);
	assert_int_equal(fault.sid, EDU_RID);
	assert_int_equal(fault.addr, MIB(2));
	assert_true(fault.read);
	assert_int_equal(to_memory(f, 0x6000, 16), EDU_RESULT_REFUSED);
	assert_int_equal(fault_take(f->v).reason, 5);
	assert_int_equal(*at(f, MIB(4)), 0);

	/* Unmapped and invalidated. */
	world_ss(&f->v->w, f->v->ss, 4, 1, 0x5000, 0);
	invalidate_page(f->v, 0x5000);
	assert_int_equal(from_memory(f, 0x5000, 16), EDU_RESULT_REFUSED);
}

static void a_forged_interrupt_is_refused_and_recorded(void **state)
{
	struct fixture *f = *state;
	rid_t rid = { EDU_RID };
	struct fault fault;

	queue_on(f->v);
	reg_write(f->v, VTD_IRTA, 8, f->v->irt | 7);
	gcmd(f->v, GCMD_SIRTP, 0);
	gcmd(f->v, GCMD_IRE, 0);
	/* Entry 3: vector 0x41 to APIC 0 (a destination of 8 bits), for 00:01.0; 4 for another. */
	world_set(&f->v->w, f->v->irt + 16 * 3 + 8, EDU_RID | 1ull << 18);
	world_set(&f->v->w, f->v->irt + 16 * 3, 1 | 0x41ull << 16);
	world_set(&f->v->w, f->v->irt + 16 * 4 + 8, 0x0300ull | 1ull << 18);
	world_set(&f->v->w, f->v->irt + 16 * 4, 1 | 0x42ull << 16);
	assert_true(submit(f->v, INV_IEC_GLOBAL, 0));
	fake_cfg_write(&f->pci, rid, MSI_CAP + PCI_MSI_ADDR, 4, 0xfee00010 | 3 << 5);
	fake_cfg_write(&f->pci, rid, MSI_CAP + PCI_MSI_CONTROL, 2, PCI_MSI_ENABLE);
	put(f, 0x60, 4, 1);
	assert_int_equal(f->pci.machine.nr_sent, 1);
	assert_int_equal(f->pci.machine.sent[0].msg.data & 0xff, 0x41);

	fake_cfg_write(&f->pci, rid, MSI_CAP + PCI_MSI_ADDR, 4, 0xfee00010 | 4 << 5);
	put(f, 0x60, 4, 1);
	assert_int_equal(f->pci.machine.nr_sent, 1);
	fault = fault_take(f->v);
	assert_int_equal(fault.reason, 0x26);
	assert_int_equal(fault.sid, EDU_RID);

	/* As without remapping, to any vector of any processor. */
	fake_cfg_write(&f->pci, rid, MSI_CAP + PCI_MSI_ADDR, 4, 0xfee00000);
	fake_cfg_write(&f->pci, rid, MSI_CAP + PCI_MSI_DATA_64, 2, 0xfd);
	put(f, 0x60, 4, 1);
	assert_int_equal(f->pci.machine.nr_sent, 1);
	assert_int_equal(fault_take(f->v).reason, 0x25);
}

static void a_device_that_keeps_faulting_is_cut_off(void **state)
{
	struct fixture *f = *state;

	unit_on(f);
	/* Nothing drains: the test may be slow. */
	vtd_iommu(f->v->vtd)->quarantine = (struct quarantine_policy){ .burst = 20 };
	world_ss(&f->v->w, f->v->ss, 4, 1, 0x5000, MIB(2) | 3);
	for (unsigned int i = 0; i < 22; i++)
		assert_int_equal(to_memory(f, MIB(8), 16),
				 i < 21 ? EDU_RESULT_REFUSED : EDU_RESULT_NO_MASTER);
	/* What it was allowed is gone, too; and its interrupts. */
	assert_int_equal(to_memory(f, 0x5000, 16), EDU_RESULT_NO_MASTER);
}

/* ---- its own translations ---- */

#define INV_DEV_TLB(rid) (3ull | (uint64_t)(rid) << 32)

static void ats_on(struct fixture *f)
{
	unit_on(f);
	/* Translation requests are allowed: context type 01. */
	context_set(f->v, EDU_RID, f->v->ss | 1 << 2 | 1, 2 | DOMAIN << 8);
	world_ss(&f->v->w, f->v->ss, 4, 1, 0x5000, MIB(2) | 3);
	fake_cfg_write(&f->pci, (rid_t){ EDU_RID }, ATS_CAP + PCI_ATS_CTRL, 2, PCI_ATS_ENABLE);
	settle(f);
}

static void remap(struct fixture *f, uint64_t to)
{
	world_ss(&f->v->w, f->v->ss, 4, 1, 0x5000, to | 3);
	invalidate_page(f->v, 0x5000);
}

static void it_asks_once_and_forgets_when_told(void **state)
{
	struct fixture *f = *state;
	struct iommu_ats_figures figures;

	ats_on(f);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(to_memory(f, 0x5000, 16), EDU_RESULT_OK);
	iommu_ats_figures(edu_function(f->dev)->requester, &figures);
	assert_int_equal(figures.nr_requests, 1);
	assert_int_equal(figures.nr_uses, 3);

	remap(f, MIB(3));
	assert_true(submit(f->v, INV_DEV_TLB(EDU_RID), 0x5000));
	memset(at(f, MIB(3)), 0x5a, 16);
	assert_int_equal(from_memory(f, 0x5000, 16), EDU_RESULT_OK);
	iommu_ats_figures(edu_function(f->dev)->requester, &figures);
	assert_int_equal(figures.nr_requests, 2);
	assert_int_equal(figures.nr_invals, 1);
	assert_int_equal(figures.nr_stale, 0);
	/* A driver that leaves takes none of it along. */
	fake_cfg_write(&f->pci, (rid_t){ EDU_RID }, ATS_CAP + PCI_ATS_CTRL, 2, 0);
	settle(f);
	iommu_ats_figures(edu_function(f->dev)->requester, &figures);
	assert_int_equal(figures.nr_requests, 2);
	assert_int_equal(figures.nr_invals, 1);
}

static void a_translation_it_should_have_forgotten_reaches_nothing(void **state)
{
	struct fixture *f = *state;

	ats_on(f);
	assert_int_equal(from_memory(f, 0x5000, 16), EDU_RESULT_OK);
	put(f, EDU_BEHAVIOUR, 4, EDU_KEEP);
	remap(f, MIB(3));
	assert_true(submit(f->v, INV_DEV_TLB(EDU_RID), 0x5000));
	memset(at(f, MIB(2)), 0x77, 16);
	assert_int_equal(to_memory(f, 0x5000, 16), EDU_RESULT_STALE);
	assert_int_equal(*at(f, MIB(2)), 0x77);
	assert_int_equal(*at(f, MIB(3)), 0);
}

static void forged_translations_reach_nothing_and_cost_it_ats(void **state)
{
	struct fixture *f = *state;
	struct iommu_ats_figures figures;

	ats_on(f);
	put(f, EDU_BEHAVIOUR, 4, EDU_FORGE);
	for (unsigned int i = 0; i < 9; i++) {
		assert_int_equal(to_memory(f, MIB(6), 16), EDU_RESULT_STALE);
		assert_int_equal(*at(f, MIB(6)), 0);
	}
	iommu_ats_figures(edu_function(f->dev)->requester, &figures);
	assert_true(figures.taken);
	/* It goes on by untranslated requests. */
	memset(at(f, MIB(2)), 0x5a, 16);
	assert_int_equal(from_memory(f, 0x5000, 16), EDU_RESULT_OK);
	assert_int_equal(to_memory(f, MIB(6), 16), EDU_RESULT_REFUSED);
}

static void one_that_does_not_answer_is_timed_out(void **state)
{
	struct fixture *f = *state;
	struct iommu_ats_figures figures;

	ats_on(f);
	assert_int_equal(from_memory(f, 0x5000, 16), EDU_RESULT_OK);
	put(f, EDU_BEHAVIOUR, 4, EDU_MUTE);
	assert_false(submit(f->v, INV_DEV_TLB(EDU_RID), 0x5000));
	assert_true(reg(f->v, VTD_FSTS, 4) & 0x40); /* invalidation time-out */
	iommu_ats_figures(edu_function(f->dev)->requester, &figures);
	assert_true(figures.taken);
}

/* ---- without snooping ---- */

static void a_driver_that_forgets_to_clean_is_caught(void **state)
{
	struct fixture *f = *state;

	memset(at(f, MIB(2)), 0x5a, 64);
	assert_int_equal(from_memory(f, MIB(2), 64), EDU_RESULT_UNCLEAN);
	put(f, EDU_CLEAN_ADDRESS, 8, MIB(3));
	put(f, EDU_CLEAN_LENGTH, 8, 64);
	assert_int_equal(to_memory(f, MIB(3), 64), EDU_RESULT_OK);
	/* It saw what was there before. */
	assert_int_equal(*at(f, MIB(3)), EDU_UNCLEAN_BYTE);
	assert_int_equal(get(f, EDU_UNCLEAN_COUNT, 4), 1);

	put(f, EDU_CLEAN_ADDRESS, 8, MIB(2));
	put(f, EDU_CLEAN_LENGTH, 8, 64);
	assert_int_equal(from_memory(f, MIB(2), 64), EDU_RESULT_OK);
	/* Declared once, for one transfer. */
	assert_int_equal(from_memory(f, MIB(2), 64), EDU_RESULT_UNCLEAN);
	assert_int_equal(to_memory(f, MIB(3), 64), EDU_RESULT_UNCLEAN);
	assert_int_equal(get(f, EDU_UNCLEAN_COUNT, 4), 3);
}

static void a_page_that_the_unit_snoops_needs_no_cleaning(void **state)
{
	struct fixture *f = *state;

	unit_on(f);
	world_ss(&f->v->w, f->v->ss, 4, 1, 0x5000, MIB(2) | 1 << 11 | 3);
	world_ss(&f->v->w, f->v->ss, 4, 1, 0x6000, MIB(3) | 3);
	assert_int_equal(from_memory(f, 0x5000, 64), EDU_RESULT_OK);
	assert_int_equal(from_memory(f, 0x6000, 64), EDU_RESULT_UNCLEAN);
	assert_int_equal(from_memory(f, 0x5fff, 2), EDU_RESULT_UNCLEAN);
}

/* ---- state ---- */

static void its_state_comes_back_as_it_was(void **state)
{
	struct fixture *f = *state;
	struct state_writer w;
	struct state_reader r;

	memset(at(f, MIB(2)), 0x5a, 16);
	assert_int_equal(from_memory(f, MIB(2), 16), EDU_RESULT_OK);
	put(f, 4, 4, 0x11);
	put(f, 0x60, 4, 0x20);
	state_writer_init(&w);
	f->dev->ops->quiesce(f->dev);
	f->dev->ops->save(f->dev, &w);
	assert_int_equal(state_writer_status(&w), 0);

	f->dev->ops->reset(f->dev);
	lock_take(pci_fabric_lock(f->pci.fabric));
	pci_function_reset(edu_function(f->dev));
	lock_drop(pci_fabric_lock(f->pci.fabric));
	settle(f);
	state_reader_init(&r, w.data, w.len);
	assert_int_equal(f->dev->ops->load(f->dev, &r), 0);
	settle(f);
	assert_int_equal(get(f, 4, 4), ~0x11u);
	assert_int_equal(get(f, 0x24, 4), 0x20);
	assert_true(fake_pin(&f->pci.machine, PIN));
	assert_int_equal(to_memory(f, MIB(3), 16), EDU_RESULT_OK);
	assert_int_equal(*at(f, MIB(3)), 0x5a);

	/* Short streams are refused. */
	for (size_t len = 0; len < w.len; len += 97) {
		state_reader_init(&r, w.data, len);
		assert_true(f->dev->ops->load(f->dev, &r) < 0);
		settle(f);
	}
	state_writer_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name)	       cmocka_unit_test_setup_teardown(name, setup, teardown)
#define ATS(name)      cmocka_unit_test_setup_teardown(name, setup_ats, teardown)
#define NO_SNOOP(name) cmocka_unit_test_setup_teardown(name, setup_no_snoop, teardown)
		T(it_says_what_it_is_and_that_it_lives),
		T(factorials_are_computed_while_the_guest_waits),
		T(interrupts_stay_until_acknowledged),
		T(with_msi_each_raise_is_a_message),
		T(data_goes_into_the_buffer_and_out_again),
		T(only_its_buffer_is_the_devices_side),
		T(address_lines_it_does_not_have_are_not_there),
		T(without_bus_mastering_nothing_moves),
		T(registers_stand_still_while_it_runs),
		T(a_function_level_reset_stops_and_forgets),
		T(transfers_go_where_the_guests_tables_say_and_nowhere_else),
		T(a_forged_interrupt_is_refused_and_recorded),
		T(a_device_that_keeps_faulting_is_cut_off),
		ATS(it_asks_once_and_forgets_when_told),
		ATS(a_translation_it_should_have_forgotten_reaches_nothing),
		ATS(forged_translations_reach_nothing_and_cost_it_ats),
		ATS(one_that_does_not_answer_is_timed_out),
		NO_SNOOP(a_driver_that_forgets_to_clean_is_caught),
		NO_SNOOP(a_page_that_the_unit_snoops_needs_no_cleaning),
		T(its_state_comes_back_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
