// SPDX-License-Identifier: GPL-2.0-or-later
/* VT-d interrupt remapping and posting, each fault reason. */
#include "vtd_world.h"

#define ENTRIES_S 7 /* 2^8 entries: one page */

static int setup(void **state)
{
	struct vtd_world *v = vtd_world_create(vtd_world_config());

	reg_write(v, VTD_IRTA, 8, v->irt | 0x800 | ENTRIES_S);
	gcmd(v, GCMD_SIRTP, 0);
	queue_on(v);
	gcmd(v, GCMD_IRE, 0);
	assert_true(reg(v, VTD_GSTS, 4) & GCMD_IRE);
	*state = v;
	return 0;
}

static int teardown(void **state)
{
	vtd_world_destroy(*state);
	return 0;
}

static void irte_set(struct vtd_world *v, unsigned int index, uint64_t low, uint64_t high)
{
	world_set(&v->w, v->irt + 16 * index + 8, high);
	world_set(&v->w, v->irt + 16 * index, low);
	assert_true(submit(v, INV_IEC_GLOBAL, 0));
}

/* Verified by all 16 bits of the source id. */
#define SOURCE ((uint64_t)RID | 1ull << 18)

static uint64_t irte_to(uint32_t dest, unsigned int vector)
{
	return 1 | (uint64_t)vector << 16 | (uint64_t)dest << 32;
}

/* A remappable request for a handle, without a subhandle. */
static struct msi_message request(unsigned int handle)
{
	return (struct msi_message){
		.addr = 0xfee00010 | (handle & 0x7fff) << 5 | (handle >> 15) << 2,
	};
}

static int fire(struct vtd_world *v, unsigned int handle, struct msi_message *out)
{
	struct msi_message in = request(handle);

	return iommu_interrupt(v->dev, &in, out);
}

static void expect_irq_fault(struct vtd_world *v, const struct msi_message *in, unsigned int index,
			     unsigned int reason)
{
	struct msi_message out;
	struct fault f;

	assert_int_equal(iommu_interrupt(v->dev, in, &out), -EFAULT);
	f = fault_take(v);
	assert_int_equal(f.reason, reason);
	assert_int_equal(f.sid, RID);
	assert_int_equal(f.addr >> 48, index);
	assert_int_equal(fault_take(v).reason, 0);
}

static void expect_handle_fault(struct vtd_world *v, unsigned int index, unsigned int reason)
{
	struct msi_message in = request(index);

	expect_irq_fault(v, &in, index, reason);
}

static void a_request_becomes_what_its_entry_says(void **state)
{
	struct vtd_world *v = *state;
	struct msi_message out;

	/* Logical, redirected, lowest priority, level. */
	irte_set(v, 3, irte_to(0x12345678, 0x41) | 4 | 8 | 0x10 | 1 << 5, SOURCE);
	assert_int_equal(fire(v, 3, &out), 0);
	/* The id's upper 24 bits go to the upper half of the address. */
	assert_int_equal(out.addr, 0x12345600fee7800cull);
	assert_int_equal(out.data, 0x41 | 1 << 8 | 1 << 14 | 1 << 15);
	irte_set(v, 3, irte_to(7, 0x55), SOURCE);
	assert_int_equal(fire(v, 3, &out), 0);
	assert_int_equal(out.addr, 0xfee07000);
	assert_int_equal(out.data, 0x55);
}

static void subhandles_add_to_the_handle(void **state)
{
	struct vtd_world *v = *state;
	struct msi_message in = request(4), out;

	irte_set(v, 9, irte_to(1, 0x60), SOURCE);
	in.addr |= 8;
	in.data = 5;
	assert_int_equal(iommu_interrupt(v->dev, &in, &out), 0);
	assert_int_equal(out.data, 0x60);
	/* Without the flag the data is no part of the request: an I/O APIC's entry. */
	in = request(9);
	in.data = 0x8123;
	assert_int_equal(iommu_interrupt(v->dev, &in, &out), 0);
	assert_int_equal(out.data, 0x60);
}

static void with_remapping_off_requests_pass(void **state)
{
	struct vtd_world *v = *state;
	struct msi_message in = { 0xfee01000, 0x77 }, out;

	gcmd(v, 0, GCMD_IRE);
	assert_int_equal(iommu_interrupt(v->dev, &in, &out), 0);
	assert_int_equal(out.addr, in.addr);
	assert_int_equal(out.data, in.data);
}

static void xapic_destinations_have_eight_bits(void **state)
{
	struct vtd_world *v = *state;
	struct msi_message out;

	reg_write(v, VTD_IRTA, 8, v->irt | ENTRIES_S);
	gcmd(v, GCMD_SIRTP, 0);
	irte_set(v, 3, 1 | 0x41 << 16 | 0x9aull << 40, SOURCE);
	assert_int_equal(fire(v, 3, &out), 0);
	assert_int_equal(out.addr, 0xfee9a000);
	irte_set(v, 3, 1 | 0x41 << 16 | 0x9aull << 32, SOURCE);
	expect_handle_fault(v, 3, 0x24);
}

static void reserved_request_fields_are_fault_20(void **state)
{
	struct vtd_world *v = *state;
	struct msi_message in = request(3);

	irte_set(v, 3, irte_to(1, 0x41), SOURCE);
	in.addr |= 8;
	in.data = 0x10000;
	expect_irq_fault(v, &in, 0, 0x20);
}

static void an_index_beyond_the_table_is_fault_21(void **state)
{
	struct vtd_world *v = *state;
	struct msi_message in = request(0xffff);

	expect_handle_fault(v, 256, 0x21);
	expect_handle_fault(v, 0xffff, 0x21);
	in.addr |= 8;
	in.data = 0xffff;
	expect_irq_fault(v, &in, 0xfffe, 0x21);
}

static void an_absent_entry_is_fault_22(void **state)
{
	struct vtd_world *v = *state;
	struct msi_message out;

	expect_handle_fault(v, 5, 0x22);
	/* Absent entries are not cached. */
	world_set(&v->w, v->irt + 16 * 5 + 8, SOURCE);
	world_set(&v->w, v->irt + 16 * 5, irte_to(1, 0x41));
	assert_int_equal(fire(v, 5, &out), 0);
}

static void an_unreachable_table_is_fault_23(void **state)
{
	struct vtd_world *v = *state;

	reg_write(v, VTD_IRTA, 8, GIB(4) | 0x800 | ENTRIES_S);
	gcmd(v, GCMD_SIRTP, 0);
	expect_handle_fault(v, 5, 0x23);
}

static void reserved_entry_fields_are_fault_24(void **state)
{
	struct vtd_world *v = *state;

	for (unsigned int bit = 12; bit < 32; bit++) {
		if (bit == 15 || (bit >= 16 && bit < 24))
			continue;
		irte_set(v, 3, irte_to(1, 0x41) | BIT64(bit), SOURCE);
		expect_handle_fault(v, 3, 0x24);
	}
	for (unsigned int bit = 20; bit < 64; bit++) {
		irte_set(v, 3, irte_to(1, 0x41), SOURCE | BIT64(bit));
		expect_handle_fault(v, 3, 0x24);
	}
	/* Delivery modes and a validation type that do not exist. */
	irte_set(v, 3, irte_to(1, 0x41) | 3 << 5, SOURCE);
	expect_handle_fault(v, 3, 0x24);
	irte_set(v, 3, irte_to(1, 0x41) | 6 << 5, SOURCE);
	expect_handle_fault(v, 3, 0x24);
	irte_set(v, 3, irte_to(1, 0x41), 3ull << 18);
	expect_handle_fault(v, 3, 0x24);
}

static void compatibility_requests_are_fault_25_unless_allowed(void **state)
{
	struct vtd_world *v = *state;
	struct msi_message in = { 0xfee01000, 0x77 }, out;

	expect_irq_fault(v, &in, 0, 0x25);
	/* In x2APIC mode never. */
	gcmd(v, GCMD_CFI, 0);
	expect_irq_fault(v, &in, 0, 0x25);
	reg_write(v, VTD_IRTA, 8, v->irt | ENTRIES_S);
	gcmd(v, GCMD_SIRTP, 0);
	assert_int_equal(iommu_interrupt(v->dev, &in, &out), 0);
	assert_int_equal(out.addr, in.addr);
	gcmd(v, 0, GCMD_CFI);
	expect_irq_fault(v, &in, 0, 0x25);
}

static void a_wrong_source_is_fault_26_by_every_qualifier(void **state)
{
	static const uint16_t masks[] = { 0xffff, 0xfffb, 0xfff9, 0xfff8 };
	struct vtd_world *v = *state;
	struct msi_message out;

	/* Source id and qualifier: each bit of the id, wrong, counts or does not. */
	for (uint64_t sq = 0; sq < 4; sq++)
		for (unsigned int bit = 0; bit < 16; bit++) {
			irte_set(v, 3, irte_to(1, 0x41), (SOURCE ^ BIT64(bit)) | sq << 16);
			if (masks[sq] & BIT(bit))
				expect_handle_fault(v, 3, 0x26);
			else
				assert_int_equal(fire(v, 3, &out), 0);
		}
	/* A range of buses, first << 8 | last; the device is on bus 3. */
	irte_set(v, 3, irte_to(1, 0x41), 0x0303 | 2ull << 18);
	assert_int_equal(fire(v, 3, &out), 0);
	irte_set(v, 3, irte_to(1, 0x41), 0x0105 | 2ull << 18);
	assert_int_equal(fire(v, 3, &out), 0);
	irte_set(v, 3, irte_to(1, 0x41), 0x0405 | 2ull << 18);
	expect_handle_fault(v, 3, 0x26);
	irte_set(v, 3, irte_to(1, 0x41), 0x0102 | 2ull << 18);
	expect_handle_fault(v, 3, 0x26);
	/* None. */
	irte_set(v, 3, irte_to(1, 0x41), 0);
	assert_int_equal(fire(v, 3, &out), 0);
}

static void the_io_apic_has_its_own_source_id(void **state)
{
	struct vtd_world *v = *state;
	struct msi_message in = request(3), out;

	irte_set(v, 3, irte_to(1, 0x41), 0xff00 | 1ull << 18);
	assert_int_equal(vtd_interrupt(v->vtd, (rid_t){ 0xff00 }, &in, &out), 0);
	expect_handle_fault(v, 3, 0x26);
}

static void fault_processing_disable_hides_what_an_entry_refuses(void **state)
{
	struct vtd_world *v = *state;
	struct msi_message out;

	irte_set(v, 3, irte_to(1, 0x41) | 2, SOURCE ^ 1);
	assert_int_equal(fire(v, 3, &out), -EFAULT);
	irte_set(v, 3, 2, 0);
	assert_int_equal(fire(v, 3, &out), -EFAULT);
	assert_int_equal(fault_take(v).reason, 0);
}

static unsigned int nr_changed;
static uint32_t changed_first, changed_last;

static void changed(void *opaque, uint32_t first, uint32_t last)
{
	nr_changed++;
	changed_first = first;
	changed_last = last;
}

static void entries_are_cached_until_invalidated_and_listeners_told(void **state)
{
	static const struct iommu_irq_listener listener = { .changed = changed };
	struct vtd_world *v = *state;
	struct msi_message out;

	nr_changed = 0;
	vtd_listen_irq(v->vtd, &listener);
	irte_set(v, 3, irte_to(1, 0x41), SOURCE);
	irte_set(v, 7, irte_to(1, 0x47), SOURCE);
	fire(v, 3, &out);
	fire(v, 7, &out);
	world_set(&v->w, v->irt + 16 * 3, irte_to(1, 0x42));
	world_set(&v->w, v->irt + 16 * 7, irte_to(1, 0x48));
	fire(v, 3, &out);
	assert_int_equal(out.data, 0x41);
	nr_changed = 0;
	/* Index-selective: two entries from 2. */
	assert_true(submit(v, 4 | 0x10 | 1ull << 27 | 3ull << 32, 0));
	assert_int_equal(nr_changed, 1);
	assert_int_equal(changed_first, 2);
	assert_int_equal(changed_last, 3);
	fire(v, 3, &out);
	assert_int_equal(out.data, 0x42);
	fire(v, 7, &out);
	assert_int_equal(out.data, 0x47);
	assert_true(submit(v, INV_IEC_GLOBAL, 0));
	fire(v, 7, &out);
	assert_int_equal(out.data, 0x48);
	assert_int_equal(changed_first, 0);
	assert_int_equal(changed_last, 0xffff);
	/* A new table pointer is such a change as well. */
	nr_changed = 0;
	gcmd(v, GCMD_SIRTP, 0);
	assert_true(nr_changed > 0);
	vtd_listen_irq(v->vtd, NULL);
}

/* Posted: descriptor address in two places, vector in the usual one. */
static void irte_post(struct vtd_world *v, unsigned int index, uint64_t pid, unsigned int vector,
		      bool urgent)
{
	irte_set(v, index,
		 1 | 0x8000 | (urgent ? 0x4000 : 0) | (uint64_t)vector << 16 |
			 ((pid >> 6) & 0x3ffffff) << 38,
		 SOURCE | pid >> 32 << 32);
}

#define PID_SET(nv, ndst) ((uint64_t)(nv) << 16 | (uint64_t)(ndst) << 32)

static void posting_sets_the_bit_and_notifies_once(void **state)
{
	struct vtd_world *v = *state;
	uint64_t pid = world_page(&v->w) + 64;
	struct msi_message out;

	world_set(&v->w, pid + 32, PID_SET(0xf2, 0x12345));
	irte_post(v, 3, pid, 0x81, false);
	assert_int_equal(fire(v, 3, &out), 0);
	assert_int_equal(out.addr, 0x12300fee45000ull);
	assert_int_equal(out.data, 0xf2);
	assert_int_equal(world_get(&v->w, pid + 16), BIT64(0x81 - 128));
	assert_int_equal(world_get(&v->w, pid + 32), PID_SET(0xf2, 0x12345) | 1);
	/* Outstanding: the bit alone. */
	irte_post(v, 4, pid, 0x40, false);
	assert_int_equal(fire(v, 4, &out), 1);
	assert_int_equal(world_get(&v->w, pid + 8), BIT64(0));
	/* The processor took it: the next one notifies again. */
	world_set(&v->w, pid + 32, PID_SET(0xf2, 0x12345));
	assert_int_equal(fire(v, 4, &out), 0);
}

static void asking_for_a_route_records_nothing_and_posts_nothing(void **state)
{
	struct vtd_world *v = *state;
	struct iommu *iommu = v->dev->iommu;
	uint64_t pid = world_page(&v->w);
	struct msi_message in = request(3), out;

	irte_set(v, 3, irte_to(5, 0x41), SOURCE);
	assert_int_equal(iommu->ops->route(iommu, (rid_t){ RID }, &in, &out), 0);
	assert_int_equal(out.data, 0x41);
	assert_int_equal(iommu->ops->route(iommu, (rid_t){ RID ^ 0x100 }, &in, &out), -EFAULT);
	in = request(9);
	assert_int_equal(iommu->ops->route(iommu, (rid_t){ RID }, &in, &out), -EFAULT);
	assert_int_equal(fault_take(v).reason, 0);

	/* Posted format: vector 0x22 into the descriptor at pid, were it asked in earnest. */
	in = request(4);
	irte_post(v, 4, pid, 0x22, false);
	assert_int_equal(iommu->ops->route(iommu, (rid_t){ RID }, &in, &out), 1);
	assert_int_equal(world_get(&v->w, pid), 0);
	assert_int_equal(world_get(&v->w, pid + 32), 0);
}

static void suppressed_notifications_come_only_for_the_urgent(void **state)
{
	struct vtd_world *v = *state;
	uint64_t pid = world_page(&v->w);
	struct msi_message out;

	world_set(&v->w, pid + 32, PID_SET(0xf2, 1) | 2);
	irte_post(v, 3, pid, 0x20, false);
	irte_post(v, 4, pid, 0xff, true);
	assert_int_equal(fire(v, 3, &out), 1);
	assert_int_equal(world_get(&v->w, pid), BIT64(0x20));
	assert_int_equal(world_get(&v->w, pid + 32), PID_SET(0xf2, 1) | 2);
	assert_int_equal(fire(v, 4, &out), 0);
	assert_int_equal(world_get(&v->w, pid + 24), BIT64(63));
	assert_int_equal(world_get(&v->w, pid + 32), PID_SET(0xf2, 1) | 3);
	assert_int_equal(fire(v, 4, &out), 1);
}

static void an_unreachable_descriptor_is_fault_27(void **state)
{
	struct vtd_world *v = *state;

	irte_post(v, 3, GIB(3), 0x20, false);
	expect_handle_fault(v, 3, 0x27);
}

static void reserved_descriptor_bits_are_fault_28_and_change_nothing(void **state)
{
	struct vtd_world *v = *state;
	uint64_t pid = world_page(&v->w);

	irte_post(v, 3, pid, 0x20, false);
	for (unsigned int bit = 2; bit < 32; bit++) {
		if (bit >= 16 && bit < 24)
			continue;
		world_set(&v->w, pid + 32, BIT64(bit));
		expect_handle_fault(v, 3, 0x28);
		assert_int_equal(world_get(&v->w, pid), 0);
	}
}

static void posted_entries_have_reserved_bits_of_their_own(void **state)
{
	struct vtd_world *v = *state;
	uint64_t pid = world_page(&v->w);

	for (unsigned int bit = 2; bit < 38; bit++) {
		if ((bit >= 8 && bit < 12) || (bit >= 14 && bit < 24))
			continue;
		irte_set(v, 3, 1 | 0x8000 | BIT64(bit) | ((pid >> 6) & 0x3ffffff) << 38,
			 SOURCE | pid >> 32 << 32);
		expect_handle_fault(v, 3, 0x24);
	}
	for (unsigned int bit = 20; bit < 32; bit++) {
		irte_set(v, 3, 1 | 0x8000 | ((pid >> 6) & 0x3ffffff) << 38, SOURCE | BIT64(bit));
		expect_handle_fault(v, 3, 0x24);
	}
	/* An address beyond the host's width. */
	irte_set(v, 3, 1 | 0x8000, SOURCE | BIT64(46));
	expect_handle_fault(v, 3, 0x24);
}

static void without_posting_the_mode_bit_is_reserved(void **state)
{
	struct vtd_config config = vtd_world_config();
	struct vtd_world *v;

	config.posted = false;
	v = vtd_world_create(config);
	reg_write(v, VTD_IRTA, 8, v->irt | 0x800 | ENTRIES_S);
	gcmd(v, GCMD_SIRTP, 0);
	queue_on(v);
	gcmd(v, GCMD_IRE, 0);
	irte_post(v, 3, world_page(&v->w), 0x20, false);
	expect_handle_fault(v, 3, 0x24);
	vtd_world_destroy(v);
}

static void a_wrong_source_posts_nothing(void **state)
{
	struct vtd_world *v = *state;
	uint64_t pid = world_page(&v->w);

	irte_set(v, 3, 1 | 0x8000 | 0x20 << 16 | ((pid >> 6) & 0x3ffffff) << 38,
		 (SOURCE ^ 0x100) | pid >> 32 << 32);
	expect_handle_fault(v, 3, 0x26);
	assert_int_equal(world_get(&v->w, pid), 0);
	assert_int_equal(world_get(&v->w, pid + 32), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_request_becomes_what_its_entry_says),
		T(subhandles_add_to_the_handle),
		T(with_remapping_off_requests_pass),
		T(xapic_destinations_have_eight_bits),
		T(reserved_request_fields_are_fault_20),
		T(an_index_beyond_the_table_is_fault_21),
		T(an_absent_entry_is_fault_22),
		T(an_unreachable_table_is_fault_23),
		T(reserved_entry_fields_are_fault_24),
		T(compatibility_requests_are_fault_25_unless_allowed),
		T(a_wrong_source_is_fault_26_by_every_qualifier),
		T(the_io_apic_has_its_own_source_id),
		T(fault_processing_disable_hides_what_an_entry_refuses),
		T(entries_are_cached_until_invalidated_and_listeners_told),
		T(asking_for_a_route_records_nothing_and_posts_nothing),
		T(posting_sets_the_bit_and_notifies_once),
		T(suppressed_notifications_come_only_for_the_urgent),
		T(an_unreachable_descriptor_is_fault_27),
		T(reserved_descriptor_bits_are_fault_28_and_change_nothing),
		T(posted_entries_have_reserved_bits_of_their_own),
		T(without_posting_the_mode_bit_is_reserved),
		T(a_wrong_source_posts_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
