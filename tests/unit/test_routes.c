// SPDX-License-Identifier: GPL-2.0-or-later
/* Interrupt routes and memory slots against a fake KVM. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake/kvm.h"
#include "machine/irq.h"
#include "machine/slots.h"

struct fixture {
	struct fake_kvm kvm;
	int kvm_fd, vm_fd;
	struct irq_routes irq;
	struct iommu *none;
	struct slots slots;
};

static int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	fake_kvm_init(&f.kvm);
	f.kvm_fd = sys_open(&f.kvm.sys, SYS_KVM, NULL);
	f.vm_fd = sys_ioctl_value(&f.kvm.sys, f.kvm_fd, KVM_CREATE_VM, 0);
	assert_int_equal(iommu_none_create(&f.none), 0);
	assert_int_equal(irq_routes_init(&f.irq, &f.kvm.sys, f.vm_fd, FAKE_KVM_ROUTES, f.none), 0);
	slots_init(&f.slots, &f.kvm.sys, f.vm_fd, 4);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	irq_routes_fini(&f->irq);
	iommu_none_destroy(f->none);
	slots_fini(&f->slots);
	sys_close(&f->kvm.sys, &f->vm_fd);
	sys_close(&f->kvm.sys, &f->kvm_fd);
	assert_int_equal(f->kvm.nr_fds, 0);
	fake_kvm_fini(&f->kvm);
	return 0;
}

static void changes_reach_the_kernel_only_at_a_commit_and_all_at_once(void **state)
{
	struct fixture *f = *state;
	msi_route_t a, b;

	assert_int_equal(irq_msi_alloc(&f->irq, f->none, (rid_t){ 8 }, &a), 0);
	assert_int_equal(irq_msi_alloc(&f->irq, f->none, (rid_t){ 8 }, &b), 0);
	assert_int_equal(a.gsi, IRQ_PINS);
	assert_int_equal(b.gsi, IRQ_PINS + 1);
	irq_msi_set(&f->irq, a, (struct msi_message){ 0xfee00000, 0x41 });
	irq_msi_set(&f->irq, b, (struct msi_message){ 0x100fee01000, 0x42 });
	irq_pin_set(&f->irq, 4, true, (struct msi_message){ 0xfee02000, 0x8043 });
	assert_int_equal(f->kvm.nr_commits, 0);
	assert_int_equal(irq_commit(&f->irq), 0);
	assert_int_equal(f->kvm.nr_commits, 1);
	assert_int_equal(f->kvm.nr_routes, 3);
	assert_int_equal(f->kvm.routes[0].gsi, 4);
	assert_int_equal(f->kvm.routes[0].u.msi.data, 0x8043);
	assert_int_equal(f->kvm.routes[2].u.msi.address_lo, 0xfee01000);
	assert_int_equal(f->kvm.routes[2].u.msi.address_hi, 0x100);
	/* Nothing changed: no call. */
	irq_msi_set(&f->irq, a, (struct msi_message){ 0xfee00000, 0x41 });
	assert_int_equal(irq_commit(&f->irq), 0);
	assert_int_equal(f->kvm.nr_commits, 1);
	/* A freed route is gone from the next table, and its number is free. */
	irq_msi_free(&f->irq, a);
	assert_int_equal(irq_commit(&f->irq), 0);
	assert_int_equal(f->kvm.nr_routes, 2);
	assert_int_equal(irq_msi_alloc(&f->irq, f->none, (rid_t){ 9 }, &a), 0);
	assert_int_equal(a.gsi, IRQ_PINS);
}

/* A unit of which a test says what it does: adds `shift` to the data, or refuses all. */
struct fake_unit {
	struct iommu iommu;
	unsigned int shift;
	int answer;
	rid_t rid; /* of the last message */
};

static int unit_interrupt(struct iommu *iommu, rid_t rid, const struct msi_message *in,
			  struct msi_message *out)
{
	struct fake_unit *unit = container_of(iommu, struct fake_unit, iommu);

	unit->rid = rid;
	*out = (struct msi_message){ in->addr, in->data + unit->shift };
	return unit->answer;
}

static const struct iommu_ops unit_ops = {
	.name = "test",
	.interrupt = unit_interrupt,
	.route = unit_interrupt,
};

static void routes_lead_where_the_unit_says_and_follow_it_with_one_commit(void **state)
{
	struct fixture *f = *state;
	struct fake_unit unit = { .shift = 0x100 };
	msi_route_t a, b;

	assert_int_equal(iommu_init(&unit.iommu, &unit_ops, false), 0);
	irq_routes_guard(&f->irq, &unit.iommu, (rid_t){ 0xf0ff });
	assert_int_equal(irq_msi_alloc(&f->irq, &unit.iommu, (rid_t){ 0x10 }, &a), 0);
	/* Left out of the unit. */
	assert_int_equal(irq_msi_alloc(&f->irq, f->none, (rid_t){ 0x18 }, &b), 0);
	irq_msi_set(&f->irq, a, (struct msi_message){ 0xfee00010, 0x41 });
	assert_int_equal(unit.rid.v, 0x10);
	irq_msi_set(&f->irq, b, (struct msi_message){ 0xfee00000, 0x42 });
	irq_pin_set(&f->irq, 4, true, (struct msi_message){ 0xfee02000, 0x8043 });
	assert_int_equal(unit.rid.v, 0xf0ff);
	assert_int_equal(irq_commit(&f->irq), 0);
	assert_int_equal(f->kvm.nr_routes, 3);
	assert_int_equal(f->kvm.routes[0].u.msi.data, 0x8143);
	assert_int_equal(f->kvm.routes[1].u.msi.data, 0x141);
	assert_int_equal(f->kvm.routes[2].u.msi.data, 0x42);

	unit.shift = 0x200;
	assert_int_equal(irq_routes_follow(&f->irq, &unit.iommu), 0);
	assert_int_equal(f->kvm.nr_commits, 2);
	assert_int_equal(f->kvm.routes[0].u.msi.data, 0x8243);
	assert_int_equal(f->kvm.routes[1].u.msi.data, 0x241);
	assert_int_equal(f->kvm.routes[2].u.msi.data, 0x42);
	/* Entries changed, but none of ours: the kernel is left alone. */
	assert_int_equal(irq_routes_follow(&f->irq, &unit.iommu), 0);
	assert_int_equal(f->kvm.nr_commits, 2);

	/* Refused: no route, until the unit has another opinion. */
	unit.answer = -EFAULT;
	assert_int_equal(irq_routes_follow(&f->irq, &unit.iommu), 0);
	assert_int_equal(f->kvm.nr_routes, 1);
	unit.answer = 0;
	assert_int_equal(irq_routes_follow(&f->irq, &unit.iommu), 0);
	assert_int_equal(f->kvm.nr_routes, 3);
	iommu_fini(&unit.iommu);
}

/* The unit checks who sends. */
static int source_interrupt(struct iommu *iommu, rid_t rid, const struct msi_message *in,
			    struct msi_message *out)
{
	*out = *in;
	return rid.v == 0x10 ? 0 : -EFAULT;
}

static void a_route_is_looked_up_again_when_its_sender_has_another_id(void **state)
{
	static const struct iommu_ops ops = {
		.name = "source",
		.interrupt = source_interrupt,
		.route = source_interrupt,
	};
	struct fixture *f = *state;
	struct iommu unit;
	msi_route_t a;

	assert_int_equal(iommu_init(&unit, &ops, false), 0);
	assert_int_equal(irq_msi_alloc(&f->irq, &unit, (rid_t){ 0x10 }, &a), 0);
	irq_msi_set(&f->irq, a, (struct msi_message){ 0xfee00010, 0x41 });
	assert_int_equal(irq_commit(&f->irq), 0);
	assert_int_equal(f->kvm.nr_routes, 1);
	irq_msi_requester(&f->irq, a, (rid_t){ 0x20 });
	assert_int_equal(irq_commit(&f->irq), 0);
	assert_int_equal(f->kvm.nr_routes, 0);
	irq_msi_requester(&f->irq, a, (rid_t){ 0x10 });
	assert_int_equal(irq_commit(&f->irq), 0);
	assert_int_equal(f->kvm.nr_routes, 1);
	irq_msi_free(&f->irq, a);
	iommu_fini(&unit);
}

/* A guest may write any address into an MSI-X table; it must not cost it the other interrupts. */
static void an_address_that_is_no_interrupts_gets_no_route(void **state)
{
	struct fixture *f = *state;
	msi_route_t a, b;

	assert_int_equal(irq_msi_alloc(&f->irq, f->none, (rid_t){ 8 }, &a), 0);
	assert_int_equal(irq_msi_alloc(&f->irq, f->none, (rid_t){ 8 }, &b), 0);
	irq_msi_set(&f->irq, a, (struct msi_message){ 0x1fee00000, 0x41 });
	irq_msi_set(&f->irq, b, (struct msi_message){ 0xfee00000, 0x42 });
	assert_int_equal(irq_commit(&f->irq), 0);
	assert_int_equal(f->kvm.nr_routes, 1);
	assert_int_equal(f->kvm.routes[0].u.msi.data, 0x42);
	irq_msi_set(&f->irq, a, (struct msi_message){ 0xfee00000, 0x41 });
	assert_int_equal(irq_commit(&f->irq), 0);
	assert_int_equal(f->kvm.nr_routes, 2);
}

static void a_refused_commit_is_tried_again(void **state)
{
	struct fixture *f = *state;

	irq_pin_set(&f->irq, 1, true, (struct msi_message){ 0xfee00000, 0x30 });
	f->kvm.fail_at = f->kvm.nr_calls + 1;
	assert_int_equal(irq_commit(&f->irq), f->kvm.fail_err);
	assert_int_equal(irq_commit(&f->irq), 0);
	assert_int_equal(f->kvm.nr_routes, 1);
}

static void routes_run_out_with_an_error(void **state)
{
	struct fixture *f = *state;
	msi_route_t r;

	for (unsigned int i = IRQ_PINS; i < FAKE_KVM_ROUTES; i++)
		assert_int_equal(irq_msi_alloc(&f->irq, f->none, (rid_t){ 0 }, &r), 0);
	assert_int_equal(irq_msi_alloc(&f->irq, f->none, (rid_t){ 0 }, &r), -ENOSPC);
}

static void an_eventfd_is_attached_and_detached_as_an_irqfd(void **state)
{
	struct fixture *f = *state;
	msi_route_t r;

	assert_int_equal(irq_msi_alloc(&f->irq, f->none, (rid_t){ 0 }, &r), 0);
	assert_int_equal(irq_msi_attach(&f->irq, r, 77), 0);
	assert_int_equal(f->kvm.nr_irqfds, 1);
	assert_int_equal(f->kvm.irqfds[0].fd, 77);
	assert_int_equal(f->kvm.irqfds[0].gsi, r.gsi);
	irq_msi_detach(&f->irq, r, 77);
	assert_int_equal(f->kvm.nr_irqfds, 0);
}

static void overlapping_slots_are_refused_and_ids_reused(void **state)
{
	struct fixture *f = *state;
	static uint8_t memory[3 * 4096] __attribute__((aligned(4096)));
	struct direct_slot a = { .range = { 0x1000, 0x2fff }, .hva = memory };
	struct direct_slot b = { .range = { 0x2000, 0x2fff }, .hva = memory };
	struct direct_slot c = { .range = { 0x3000, 0x3fff }, .hva = memory, .readonly = true };

	assert_int_equal(slots_add(&f->slots, &a), 0);
	assert_int_equal(slots_add(&f->slots, &b), -EEXIST);
	assert_int_equal(slots_add(&f->slots, &c), 0);
	assert_int_equal(f->kvm.slots[a.id].memory_size, 0x2000);
	assert_int_equal(f->kvm.slots[c.id].flags, KVM_MEM_READONLY);
	slots_remove(&f->slots, &a);
	assert_int_equal(f->kvm.slots[0].memory_size, 0);
	assert_int_equal(slots_add(&f->slots, &b), 0);
	assert_int_equal(b.id, 0);
	slots_remove(&f->slots, &b);
	slots_remove(&f->slots, &c);
}

struct stubborn {
	struct sys sys;
	struct sys_ops ops;
	struct sys *below;
	unsigned int nr_refused;
	bool refuses; /* to delete a slot */
};

static int stubborn_ioctl(struct sys *sys, int fd, unsigned long request, void *arg)
{
	struct stubborn *s = (struct stubborn *)(void *)sys;
	const struct kvm_userspace_memory_region *region = arg;

	if (s->refuses && request == KVM_SET_USER_MEMORY_REGION && !region->memory_size) {
		s->nr_refused++;
		return -ENOMEM;
	}
	return sys_ioctl(s->below, fd, request, arg);
}

static void a_slot_the_kernel_keeps_is_stuck_and_tried_again(void **state)
{
	struct fixture *f = *state;
	struct stubborn s = { .ops = *f->kvm.sys.ops, .below = &f->kvm.sys, .refuses = true };
	struct direct_slot a = { .range = { 0x1000, 0x1fff } }, b = a, c = a;

	s.ops.ioctl = stubborn_ioctl;
	s.sys.ops = &s.ops;
	f->slots.sys = &s.sys;
	assert_int_equal(slots_add(&f->slots, &a), 0);
	slots_remove(&f->slots, &a);
	assert_true(s.nr_refused > 100);
	assert_true(a.stuck);
	/* The guest still has it, so nothing else can be there; and nobody holds `a` any more. */
	memset(&a, 0xff, sizeof(a));
	assert_int_equal(slots_add(&f->slots, &b), -EEXIST);
	s.refuses = false;
	assert_int_equal(slots_add(&f->slots, &c), 0);
	assert_int_equal(c.id, 0);
	assert_false(c.stuck);
	slots_remove(&f->slots, &c);
	assert_int_equal(f->kvm.slots[0].memory_size, 0);
}

static void slots_need_whole_pages_and_run_out_with_an_error(void **state)
{
	struct fixture *f = *state;
	struct direct_slot odd = { .range = { 0x1000, 0x1ffe } };
	struct direct_slot s[5];

	assert_int_equal(slots_add(&f->slots, &odd), -EINVAL);
	for (unsigned int i = 0; i < 5; i++) {
		s[i] = (struct direct_slot){ .range = range_of(i * 0x1000, 0x1000) };
		assert_int_equal(slots_add(&f->slots, &s[i]), i < 4 ? 0 : -ENOSPC);
	}
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(changes_reach_the_kernel_only_at_a_commit_and_all_at_once),
		CASE(routes_lead_where_the_unit_says_and_follow_it_with_one_commit),
		CASE(a_route_is_looked_up_again_when_its_sender_has_another_id),
		CASE(an_address_that_is_no_interrupts_gets_no_route),
		CASE(a_refused_commit_is_tried_again),
		CASE(routes_run_out_with_an_error),
		CASE(an_eventfd_is_attached_and_detached_as_an_irqfd),
		CASE(overlapping_slots_are_refused_and_ids_reused),
		CASE(a_slot_the_kernel_keeps_is_stuck_and_tried_again),
		CASE(slots_need_whole_pages_and_run_out_with_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
