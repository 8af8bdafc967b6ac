// SPDX-License-Identifier: GPL-2.0-or-later
/* MSI-X and MSI: what a vector does as the guest masks, moves and switches it. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "fake/pci.h"

#define EP_RID	 rid_make(0, PCI_DEVFN(1, 0))
#define VECTORS	 70
#define BAR_ADDR 0xc0000000u
#define PBA	 0x800u
#define ENTRY(n) (BAR_ADDR + (n)*PCI_MSIX_ENTRY)

struct fixture {
	struct fake_pci pci;
	struct fake_endpoint ep;
	uint16_t control; /* of MSI-X or MSI */
	uint8_t cap;
};

static void fixture_init(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	fake_pci_init(&f->pci);
	fake_endpoint_init(&f->ep, &f->pci, "ep", 1);
}

static void fixture_plug(struct fixture *f)
{
	assert_int_equal(pci_function_attach(&f->ep.fn, pci_fabric_root(f->pci.fabric),
					     rid_devfn(EP_RID)),
			 0);
	fake_cfg_write(&f->pci, EP_RID, PCI_BAR0, 4, BAR_ADDR);
	fake_cfg_write(&f->pci, EP_RID, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static int msix_setup(void **state)
{
	static struct fixture f;

	fixture_init(&f);
	assert_int_equal(pci_bar_declare(&f.ep.fn, 0, KIB(4), 0), 0);
	assert_int_equal(pci_add_capability(&f.ep.fn, PCI_CAP_MSIX, PCI_MSIX_CAP_LEN, &f.cap), 0);
	assert_int_equal(pci_msix_init(&f.ep.fn, f.cap, VECTORS, 0, 0, 0, PBA), 0);
	f.control = f.cap + PCI_MSIX_CONTROL;
	fixture_plug(&f);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fake_endpoint_fini(&f->ep);
	assert_true(fake_pci_fini(&f->pci));
	return 0;
}

static void put(struct fixture *f, uint64_t addr, unsigned int size, uint64_t v)
{
	fake_bus_write(&f->pci.machine, BUS_MMIO, addr, size, v);
}

static uint64_t get(struct fixture *f, uint64_t addr, unsigned int size)
{
	return fake_bus_read(&f->pci.machine, BUS_MMIO, addr, size);
}

static void control(struct fixture *f, uint16_t bits)
{
	fake_cfg_write(&f->pci, EP_RID, f->control, 2, bits);
}

/* As a driver programs a vector: message first, then the mask goes. */
static void program(struct fixture *f, unsigned int vector)
{
	put(f, ENTRY(vector) + PCI_MSIX_ENTRY_ADDR, 8, 0xfee00000 + 0x1000 * vector);
	put(f, ENTRY(vector) + PCI_MSIX_ENTRY_DATA, 4, 0x4000 + vector);
	put(f, ENTRY(vector) + PCI_MSIX_ENTRY_CONTROL, 4, 0);
}

static unsigned int sent(const struct fixture *f)
{
	return f->pci.machine.nr_sent;
}

static bool pending(struct fixture *f, unsigned int vector)
{
	return get(f, BAR_ADDR + PBA + vector / 64 * 8, 8) & BIT64(vector % 64);
}

static void the_capability_says_how_many_and_where(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fake_cfg_read(&f->pci, EP_RID, f->control, 2), VECTORS - 1);
	control(f, 0xffff);
	assert_int_equal(fake_cfg_read(&f->pci, EP_RID, f->control, 2),
			 (VECTORS - 1) | PCI_MSIX_ENABLE | PCI_MSIX_MASK_ALL);
	fake_cfg_write(&f->pci, EP_RID, f->cap + PCI_MSIX_TABLE, 4, 0xffffffff);
	fake_cfg_write(&f->pci, EP_RID, f->cap + PCI_MSIX_PBA, 4, 0);
	assert_int_equal(fake_cfg_read(&f->pci, EP_RID, f->cap + PCI_MSIX_TABLE, 4), 0);
	assert_int_equal(fake_cfg_read(&f->pci, EP_RID, f->cap + PCI_MSIX_PBA, 4), PBA);
}

static void an_unmasked_vector_is_sent_with_its_message_and_requester(void **state)
{
	struct fixture *f = *state;

	program(f, 3);
	control(f, PCI_MSIX_ENABLE);
	assert_true(f->ep.msix);
	pci_msix_fire(&f->ep.fn, 3);
	assert_int_equal(sent(f), 1);
	assert_int_equal(f->pci.machine.sent[0].rid.v, EP_RID.v);
	assert_int_equal(f->pci.machine.sent[0].msg.addr, 0xfee03000);
	assert_int_equal(f->pci.machine.sent[0].msg.data, 0x4003);
	assert_false(pending(f, 3));
}

static void a_masked_vector_is_kept_pending_and_sent_once_when_unmasked(void **state)
{
	struct fixture *f = *state;

	control(f, PCI_MSIX_ENABLE);
	program(f, 65);
	put(f, ENTRY(65) + PCI_MSIX_ENTRY_CONTROL, 4, PCI_MSIX_ENTRY_MASKED);
	pci_msix_fire(&f->ep.fn, 65);
	pci_msix_fire(&f->ep.fn, 65);
	assert_int_equal(sent(f), 0);
	assert_true(pending(f, 65));
	assert_false(pending(f, 64));
	put(f, ENTRY(65) + PCI_MSIX_ENTRY_CONTROL, 4, 0);
	assert_int_equal(sent(f), 1);
	assert_int_equal(f->pci.machine.sent[0].msg.data, 0x4000 + 65);
	assert_false(pending(f, 65));
}

static void a_late_word_of_the_device_is_sent_if_the_guest_unmasked_meanwhile(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(pci_msix_count(&f->ep.fn), VECTORS);
	control(f, PCI_MSIX_ENABLE);
	pci_msix_set_pending(&f->ep.fn, 1);
	assert_true(pending(f, 1));
	assert_true(pci_msix_take_pending(&f->ep.fn, 1));
	assert_false(pci_msix_take_pending(&f->ep.fn, 1));
	program(f, 1);
	assert_int_equal(sent(f), 0);
	pci_msix_set_pending(&f->ep.fn, 1);
	assert_int_equal(sent(f), 1);
	assert_false(pending(f, 1));
	pci_msix_set_pending(&f->ep.fn, VECTORS);
	assert_false(pci_msix_take_pending(&f->ep.fn, VECTORS));
}

static void the_function_mask_holds_all_vectors_and_lets_all_go(void **state)
{
	struct fixture *f = *state;
	struct msi_message msg;

	program(f, 0);
	program(f, 1);
	control(f, PCI_MSIX_ENABLE | PCI_MSIX_MASK_ALL);
	assert_true(pci_msix_vector(&f->ep.fn, 0, &msg));
	pci_msix_fire(&f->ep.fn, 0);
	pci_msix_fire(&f->ep.fn, 1);
	pci_msix_fire(&f->ep.fn, 2);
	assert_int_equal(sent(f), 0);
	control(f, PCI_MSIX_ENABLE);
	/* Vector 2 was never unmasked by itself: it stays. */
	assert_int_equal(sent(f), 2);
	assert_true(pending(f, 2));
	assert_false(pci_msix_vector(&f->ep.fn, 0, &msg));
	assert_int_equal(msg.addr, 0xfee00000);
}

static void nothing_is_sent_while_disabled_or_without_bus_mastering(void **state)
{
	struct fixture *f = *state;

	program(f, 0);
	pci_msix_fire(&f->ep.fn, 0);
	control(f, PCI_MSIX_ENABLE);
	fake_cfg_write(&f->pci, EP_RID, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	pci_msix_fire(&f->ep.fn, 0);
	assert_int_equal(sent(f), 0);
	fake_cfg_write(&f->pci, EP_RID, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	pci_msix_fire(&f->ep.fn, 0);
	pci_msix_fire(&f->ep.fn, VECTORS);
	assert_int_equal(sent(f), 1);
}

static void the_device_is_told_of_what_changes_for_a_vector_and_no_more(void **state)
{
	struct fixture *f = *state;

	program(f, 5);
	assert_int_equal(f->ep.nr_msix_changes, 0); /* not enabled */
	control(f, PCI_MSIX_ENABLE);
	put(f, ENTRY(5) + PCI_MSIX_ENTRY_CONTROL, 4, 0); /* no change */
	assert_int_equal(f->ep.nr_msix_changes, 0);
	put(f, ENTRY(5) + PCI_MSIX_ENTRY_CONTROL, 4, PCI_MSIX_ENTRY_MASKED);
	assert_int_equal(f->ep.nr_msix_changes, 1);
	assert_true(f->ep.vector_masked);
	/* A message that is written while masked comes with the unmask. */
	put(f, ENTRY(5) + PCI_MSIX_ENTRY_DATA, 4, 0x55);
	assert_int_equal(f->ep.nr_msix_changes, 1);
	put(f, ENTRY(5) + PCI_MSIX_ENTRY_CONTROL, 4, 0);
	assert_int_equal(f->ep.nr_msix_changes, 2);
	assert_int_equal(f->ep.vector, 5);
	assert_false(f->ep.vector_masked);
	assert_int_equal(f->ep.vector_msg.data, 0x55);
	/* Moved while unmasked: at once, a quadword at a time. */
	put(f, ENTRY(5) + PCI_MSIX_ENTRY_ADDR, 8, 0x1fee00000);
	assert_int_equal(f->ep.nr_msix_changes, 3);
	assert_int_equal(f->ep.vector_msg.addr, 0x1fee00000);
	put(f, ENTRY(5) + PCI_MSIX_ENTRY_DATA, 8, (uint64_t)PCI_MSIX_ENTRY_MASKED << 32 | 0x66);
	assert_int_equal(f->ep.nr_msix_changes, 4);
	assert_true(f->ep.vector_masked);
}

static void the_table_takes_only_whole_aligned_dwords(void **state)
{
	struct fixture *f = *state;

	put(f, ENTRY(0) + PCI_MSIX_ENTRY_DATA, 4, 0x11223344);
	put(f, ENTRY(0) + PCI_MSIX_ENTRY_DATA, 1, 0xff);
	put(f, ENTRY(0) + PCI_MSIX_ENTRY_DATA, 2, 0xffff);
	put(f, ENTRY(0) + PCI_MSIX_ENTRY_DATA + 2, 4, 0xffffffff);
	put(f, ENTRY(0) + PCI_MSIX_ENTRY_DATA - 4, 8, UINT64_MAX);
	assert_int_equal(get(f, ENTRY(0) + PCI_MSIX_ENTRY_DATA, 4), 0x11223344);
	assert_int_equal(get(f, ENTRY(0) + PCI_MSIX_ENTRY_DATA, 8),
			 (uint64_t)PCI_MSIX_ENTRY_MASKED << 32 | 0x11223344);
	/* Reserved bits of the vector control and the low bits of the address stay zero. */
	put(f, ENTRY(0) + PCI_MSIX_ENTRY_CONTROL, 4, 0xfffffffe);
	assert_int_equal(get(f, ENTRY(0) + PCI_MSIX_ENTRY_CONTROL, 4), 0);
	put(f, ENTRY(0) + PCI_MSIX_ENTRY_ADDR, 4, 0xfee00003);
	assert_int_equal(get(f, ENTRY(0) + PCI_MSIX_ENTRY_ADDR, 4), 0xfee00000);
	/* The pending bits are the device's. */
	put(f, BAR_ADDR + PBA, 8, UINT64_MAX);
	assert_int_equal(get(f, BAR_ADDR + PBA, 8), 0);
	/* Beyond the table and the pending bits there is nothing. */
	assert_int_equal(get(f, ENTRY(VECTORS), 4), 0xffffffff);
}

static void pending_bits_of_the_device_itself_show_while_masked(void **state)
{
	struct fixture *f = *state;

	control(f, PCI_MSIX_ENABLE);
	f->ep.device_pending = BIT64(1) | BIT64(2);
	program(f, 2);
	assert_true(pending(f, 1));
	assert_false(pending(f, 2));
}

static void intx_is_held_back_while_msix_is_on(void **state)
{
	struct fixture *f = *state;

	pci_function_intx(&f->ep.fn, true);
	assert_true(fake_pin(&f->pci.machine, 17));
	control(f, PCI_MSIX_ENABLE);
	assert_false(fake_pin(&f->pci.machine, 17));
	control(f, 0);
	assert_true(fake_pin(&f->pci.machine, 17));
	pci_function_intx(&f->ep.fn, false);
}

static void a_reset_masks_all_and_forgets_what_was_pending(void **state)
{
	struct fixture *f = *state;

	program(f, 0);
	control(f, PCI_MSIX_ENABLE | PCI_MSIX_MASK_ALL);
	pci_msix_fire(&f->ep.fn, 0);
	pci_fabric_reset(f->pci.fabric);
	assert_false(f->ep.msix);
	assert_false(pci_msix_enabled(&f->ep.fn));
	fake_cfg_write(&f->pci, EP_RID, PCI_BAR0, 4, BAR_ADDR);
	fake_cfg_write(&f->pci, EP_RID, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_false(pending(f, 0));
	assert_int_equal(get(f, ENTRY(0) + PCI_MSIX_ENTRY_CONTROL, 4), PCI_MSIX_ENTRY_MASKED);
	assert_int_equal(get(f, ENTRY(0) + PCI_MSIX_ENTRY_ADDR, 8), 0);
	program(f, 0);
	control(f, PCI_MSIX_ENABLE);
	assert_int_equal(sent(f), 0);
}

static void tables_that_do_not_fit_their_bar_are_refused(void **state)
{
	struct fixture f;

	fixture_init(&f);
	assert_int_equal(pci_bar_declare(&f.ep.fn, 0, KIB(4), 0), 0);
	assert_int_equal(pci_bar_declare(&f.ep.fn, 1, 64, PCI_BAR_IO), 0);
	assert_int_equal(pci_add_capability(&f.ep.fn, PCI_CAP_MSIX, PCI_MSIX_CAP_LEN, &f.cap), 0);
	assert_int_equal(pci_msix_init(&f.ep.fn, f.cap, 0, 0, 0, 0, PBA), -EINVAL);
	assert_int_equal(pci_msix_init(&f.ep.fn, f.cap, 2049, 0, 0, 0, PBA), -EINVAL);
	assert_int_equal(pci_msix_init(&f.ep.fn, f.cap, 512, 0, 0, 0, PBA), -EINVAL);
	assert_int_equal(pci_msix_init(&f.ep.fn, f.cap, 256, 0, 16, 0, PBA), -EINVAL);
	assert_int_equal(pci_msix_init(&f.ep.fn, f.cap, 2, 1, 0, 0, PBA), -EINVAL);
	assert_int_equal(pci_msix_init(&f.ep.fn, f.cap, 2, 5, 0, 0, PBA), -EINVAL);
	assert_int_equal(pci_msix_init(&f.ep.fn, f.cap, 2, 0, 4, 0, PBA), -EINVAL);
	assert_int_equal(pci_msix_init(&f.ep.fn, f.cap, 2, 0, 0, 0, KIB(4)), -EINVAL);
	assert_int_equal(pci_msix_init(&f.ep.fn, f.cap, 2, 0, 0, 0, 16), -EINVAL); /* overlap */
	assert_int_equal(f.ep.fn.bars[0].nr_parts, 0);
	assert_int_equal(pci_msix_init(&f.ep.fn, f.cap, 2, 0, 0, 0, 32), 0);
	pci_function_fini(&f.ep.fn);
	assert_true(fake_pci_fini(&f.pci));
}

struct firing {
	struct fixture *f;
	unsigned int nr;
};

static void *firing_thread(void *opaque)
{
	struct firing *firing = opaque;

	for (unsigned int i = 0; i < firing->nr; i++)
		pci_msix_fire(&firing->f->ep.fn, i % 4);
	return NULL;
}

static void no_interrupt_is_lost_between_masking_and_firing(void **state)
{
	struct fixture *f = *state;
	struct firing firing = { .f = f, .nr = 200000 };
	pthread_t thread;

	for (unsigned int i = 0; i < 4; i++)
		program(f, i);
	control(f, PCI_MSIX_ENABLE);
	assert_int_equal(pthread_create(&thread, NULL, firing_thread, &firing), 0);
	for (unsigned int i = 0; i < 40000; i++) {
		put(f, ENTRY(i % 4) + PCI_MSIX_ENTRY_CONTROL, 4, PCI_MSIX_ENTRY_MASKED);
		put(f, ENTRY(i % 4) + PCI_MSIX_ENTRY_ADDR, 8, (uint64_t)i << 32 | i << 2);
		put(f, ENTRY(i % 4) + PCI_MSIX_ENTRY_CONTROL, 4, 0);
		control(f, PCI_MSIX_ENABLE | (i & 1 ? PCI_MSIX_MASK_ALL : 0));
	}
	pthread_join(thread, NULL);
	control(f, PCI_MSIX_ENABLE);
	/* All are unmasked: one that still has its bit would wait for ever. */
	for (unsigned int i = 0; i < 4; i++)
		assert_false(pending(f, i));
	assert_true(sent(f) > 0);
}

struct looking {
	struct fixture *f;
	atomic_bool stop;
	unsigned int nr, nr_torn;
};

static void *looking_thread(void *opaque)
{
	struct looking *looking = opaque;

	while (!atomic_load(&looking->stop)) {
		struct msi_message msg;

		pci_msix_vector(&looking->f->ep.fn, 0, &msg);
		looking->nr_torn += msg.addr >> 32 != (uint32_t)msg.addr >> 2;
		looking->nr++;
	}
	return NULL;
}

static void a_message_is_never_seen_half_written(void **state)
{
	struct fixture *f = *state;
	struct looking looking = { .f = f };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, looking_thread, &looking), 0);
	/* Both halves of the address say the same, so that a torn one shows. */
	for (uint64_t i = 0; i < 1000000; i++)
		put(f, ENTRY(0) + PCI_MSIX_ENTRY_ADDR, 8, i << 32 | i << 2);
	atomic_store(&looking.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(looking.nr_torn, 0);
}

static void msi_setup(struct fixture *f, uint16_t flags, uint8_t len)
{
	fixture_init(f);
	assert_int_equal(pci_add_capability(&f->ep.fn, PCI_CAP_MSI, len, &f->cap), 0);
	f->control = f->cap + PCI_MSI_CONTROL;
	pci_config_set(&f->ep.fn, f->control, 2, flags);
	assert_int_equal(pci_msi_init(&f->ep.fn, f->cap), 0);
	fixture_plug(f);
}

static void msi_teardown(struct fixture *f)
{
	void *state = f;

	assert_int_equal(teardown(&state), 0);
}

static void msi_vectors_are_the_low_bits_of_the_data(void **state)
{
	struct fixture f;
	struct msi_message msg;

	msi_setup(&f, PCI_MSI_64 | FIELD_PREP(PCI_MSI_CAPABLE, 3), 0xe);
	fake_cfg_write(&f.pci, EP_RID, f.cap + PCI_MSI_ADDR, 4, 0xfee01003);
	fake_cfg_write(&f.pci, EP_RID, f.cap + PCI_MSI_ADDR_HI, 4, 2);
	fake_cfg_write(&f.pci, EP_RID, f.cap + PCI_MSI_DATA_64, 2, 0x4040);
	assert_int_equal(pci_msi_count(&f.ep.fn), 0);
	pci_msi_fire(&f.ep.fn, 0);
	control(&f, PCI_MSI_ENABLE | FIELD_PREP(PCI_MSI_ENABLED, 2));
	assert_true(f.ep.msi);
	assert_int_equal(pci_msi_count(&f.ep.fn), 4);
	assert_int_equal(fake_cfg_read(&f.pci, EP_RID, f.control, 2),
			 PCI_MSI_64 | FIELD_PREP(PCI_MSI_CAPABLE, 3) |
				 FIELD_PREP(PCI_MSI_ENABLED, 2) | PCI_MSI_ENABLE);
	pci_msi_fire(&f.ep.fn, 2);
	pci_msi_fire(&f.ep.fn, 7); /* folds onto 3 */
	assert_int_equal(sent(&f), 2);
	assert_int_equal(f.pci.machine.sent[0].msg.addr, 0x2fee01000);
	assert_int_equal(f.pci.machine.sent[0].msg.data, 0x4042);
	assert_int_equal(f.pci.machine.sent[1].msg.data, 0x4043);
	assert_false(pci_msi_vector(&f.ep.fn, 1, &msg));
	assert_int_equal(msg.data, 0x4041);
	/* More than the function has, and reserved values: what it has. */
	control(&f, PCI_MSI_ENABLE | FIELD_PREP(PCI_MSI_ENABLED, 7));
	assert_int_equal(pci_msi_count(&f.ep.fn), 8);
	assert_int_equal(f.ep.nr_msi_changes, 1);
	control(&f, 0);
	assert_false(f.ep.msi);
	msi_teardown(&f);
}

static void msi_without_64_bit_addresses_has_its_data_earlier(void **state)
{
	struct fixture f;

	msi_setup(&f, 0, 0xa);
	fake_cfg_write(&f.pci, EP_RID, f.cap + PCI_MSI_ADDR, 4, 0xfee00000);
	fake_cfg_write(&f.pci, EP_RID, f.cap + PCI_MSI_DATA_32, 2, 0x41);
	control(&f, PCI_MSI_ENABLE);
	pci_msi_fire(&f.ep.fn, 0);
	assert_int_equal(f.pci.machine.sent[0].msg.addr, 0xfee00000);
	assert_int_equal(f.pci.machine.sent[0].msg.data, 0x41);
	msi_teardown(&f);
}

static void a_masked_msi_vector_is_pending_until_it_is_unmasked(void **state)
{
	struct fixture f;
	uint16_t masks, bits;

	msi_setup(&f, PCI_MSI_64 | PCI_MSI_MASKING | FIELD_PREP(PCI_MSI_CAPABLE, 2), 0x18);
	masks = f.cap + PCI_MSI_MASK_64;
	bits = f.cap + PCI_MSI_PENDING_64;
	fake_cfg_write(&f.pci, EP_RID, masks, 4, 0xffffffff);
	assert_int_equal(fake_cfg_read(&f.pci, EP_RID, masks, 4), 0xf);
	control(&f, PCI_MSI_ENABLE | FIELD_PREP(PCI_MSI_ENABLED, 2));
	pci_msi_fire(&f.ep.fn, 1);
	pci_msi_fire(&f.ep.fn, 1);
	pci_msi_fire(&f.ep.fn, 3);
	assert_int_equal(sent(&f), 0);
	fake_cfg_write(&f.pci, EP_RID, bits, 4, 0);
	assert_int_equal(fake_cfg_read(&f.pci, EP_RID, bits, 4), 0xa);
	assert_int_equal(fake_cfg_read(&f.pci, EP_RID, bits, 1), 0xa);
	fake_cfg_write(&f.pci, EP_RID, masks, 4, 0x8);
	assert_int_equal(sent(&f), 1);
	assert_int_equal(f.pci.machine.sent[0].msg.data, 1);
	assert_int_equal(fake_cfg_read(&f.pci, EP_RID, bits, 4), 0x8);
	/* A reset forgets it. */
	pci_fabric_reset(f.pci.fabric);
	assert_int_equal(fake_cfg_read(&f.pci, EP_RID, bits, 4), 0);
	assert_false(f.ep.msi);
	msi_teardown(&f);
}

static void an_msi_capability_that_runs_out_of_config_space_is_refused(void **state)
{
	struct fixture f;

	fixture_init(&f);
	pci_config_set(&f.ep.fn, 0xf0 + PCI_MSI_CONTROL, 2, PCI_MSI_64 | PCI_MSI_MASKING);
	assert_int_equal(pci_msi_init(&f.ep.fn, 0xf0), -EINVAL);
	pci_config_set(&f.ep.fn, 0x50 + PCI_MSI_CONTROL, 2, FIELD_PREP(PCI_MSI_CAPABLE, 6));
	assert_int_equal(pci_msi_init(&f.ep.fn, 0x50), -EINVAL);
	pci_function_fini(&f.ep.fn);
	assert_true(fake_pci_fini(&f.pci));
}

static void a_message_the_machine_refuses_is_dropped(void **state)
{
	struct fixture *f = *state;

	program(f, 0);
	control(f, PCI_MSIX_ENABLE);
	fake_platform_fail(&f->pci.machine, 1, -EINVAL);
	pci_msix_fire(&f->ep.fn, 0);
	assert_int_equal(sent(f), 0);
	assert_false(pending(f, 0));
	pci_msix_fire(&f->ep.fn, 0);
	assert_int_equal(sent(f), 1);
}

int main(void)
{
#define MSIX(name) cmocka_unit_test_setup_teardown(name, msix_setup, teardown)
	const struct CMUnitTest tests[] = {
		MSIX(the_capability_says_how_many_and_where),
		MSIX(an_unmasked_vector_is_sent_with_its_message_and_requester),
		MSIX(a_masked_vector_is_kept_pending_and_sent_once_when_unmasked),
		MSIX(a_late_word_of_the_device_is_sent_if_the_guest_unmasked_meanwhile),
		MSIX(the_function_mask_holds_all_vectors_and_lets_all_go),
		MSIX(nothing_is_sent_while_disabled_or_without_bus_mastering),
		MSIX(the_device_is_told_of_what_changes_for_a_vector_and_no_more),
		MSIX(the_table_takes_only_whole_aligned_dwords),
		MSIX(pending_bits_of_the_device_itself_show_while_masked),
		MSIX(intx_is_held_back_while_msix_is_on),
		MSIX(a_reset_masks_all_and_forgets_what_was_pending),
		MSIX(a_message_the_machine_refuses_is_dropped),
		MSIX(a_message_is_never_seen_half_written),
		MSIX(no_interrupt_is_lost_between_masking_and_firing),
		cmocka_unit_test(tables_that_do_not_fit_their_bar_are_refused),
		cmocka_unit_test(msi_vectors_are_the_low_bits_of_the_data),
		cmocka_unit_test(msi_without_64_bit_addresses_has_its_data_earlier),
		cmocka_unit_test(a_masked_msi_vector_is_pending_until_it_is_unmasked),
		cmocka_unit_test(an_msi_capability_that_runs_out_of_config_space_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
