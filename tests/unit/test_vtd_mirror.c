// SPDX-License-Identifier: GPL-2.0-or-later
/* Listeners of a VT-d unit: told exactly what the guest maps, before the guest is told. */
#include "vtd_world.h"

#define LOG_MAX 64

struct event {
	char what; /* a, m, u */
	uint64_t iova, addr, len;
	unsigned int access;
};

struct mirror_log {
	struct event events[LOG_MAX];
	unsigned int nr, nr_mapped, limit;
	uint64_t mapped;
	struct vtd_world *v;
	bool told_early; /* the guest was told before the listener */
};

static struct event *put(struct mirror_log *log, char what)
{
	struct event *e = &log->events[log->nr < LOG_MAX ? log->nr++ : LOG_MAX - 1];

	e->what = what;
	if ((uint32_t)world_get(&log->v->w, log->v->status) == log->v->wait_data &&
	    log->v->wait_data)
		log->told_early = true;
	return e;
}

static void on_attach(void *opaque, enum iommu_attach how)
{
	struct mirror_log *log = opaque;

	put(log, 'a')->access = how;
	log->mapped = log->nr_mapped = 0;
}

static int on_map(void *opaque, uint64_t iova, gpa_t addr, uint64_t len, unsigned int access)
{
	struct mirror_log *log = opaque;
	struct event *e;

	if (log->limit && log->nr_mapped == log->limit)
		return -ENOSPC;
	e = put(log, 'm');
	*e = (struct event){ 'm', iova, addr.v, len, access };
	log->mapped += len;
	log->nr_mapped++;
	return 0;
}

static void on_unmap(void *opaque, uint64_t iova, uint64_t len)
{
	struct mirror_log *log = opaque;

	*put(log, 'u') = (struct event){ 'u', iova, 0, len, 0 };
	log->mapped -= len;
	log->nr_mapped--;
}

static struct mirror_log log_;
static const struct iommu_listener listener = {
	.attach = on_attach,
	.map = on_map,
	.unmap = on_unmap,
	.opaque = &log_,
};

static int setup(void **state)
{
	struct vtd_config config = vtd_world_config();
	struct vtd_world *v;

	config.caching_mode = true;
	v = vtd_world_create(config);
	memset(&log_, 0, sizeof(log_));
	log_.v = v;
	*state = v;
	return 0;
}

static int teardown(void **state)
{
	vtd_world_destroy(*state);
	return 0;
}

static void expect(unsigned int i, char what, uint64_t iova, uint64_t addr, uint64_t len,
		   unsigned int access)
{
	assert_true(i < log_.nr);
	assert_int_equal(log_.events[i].what, what);
	if (what != 'a') {
		assert_int_equal(log_.events[i].iova, iova);
		assert_int_equal(log_.events[i].len, len);
	}
	if (what == 'm')
		assert_int_equal(log_.events[i].addr, addr);
	if (what != 'u')
		assert_int_equal(log_.events[i].access, access);
}

static void a_listener_follows_the_unit_from_off_to_translated(void **state)
{
	struct vtd_world *v = *state;

	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | RW);
	world_ss(&v->w, v->ss, 4, 2, MIB(2), MIB(64) | PS | R);
	assert_int_equal(iommu_device_listen(v->dev, &listener), 0);
	assert_int_equal(log_.nr, 1);
	expect(0, 'a', 0, 0, 0, IOMMU_ATTACH_IDENTITY);
	vtd_world_legacy(v);
	assert_int_equal(log_.nr, 4);
	expect(1, 'a', 0, 0, 0, IOMMU_ATTACH_TRANSLATED);
	expect(2, 'm', 0x1000, 0x5000, 0x1000, RW);
	expect(3, 'm', MIB(2), MIB(64), MIB(2), R);
	/* Off again. */
	gcmd(v, 0, GCMD_TE);
	assert_int_equal(log_.nr, 5);
	expect(4, 'a', 0, 0, 0, IOMMU_ATTACH_IDENTITY);
}

static void each_page_is_told_when_the_guest_invalidates_it(void **state)
{
	struct vtd_world *v = *state;
	uint64_t slot;

	vtd_world_legacy(v);
	assert_int_equal(iommu_device_listen(v->dev, &listener), 0);
	log_.nr = 0;
	slot = world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | RW);
	world_ss(&v->w, v->ss, 4, 1, 0x2000, 0x6000 | RW);
	assert_int_equal(log_.nr, 0);
	/* Two pages in one command are two mappings: they may be released one by one. */
	assert_true(submit(v, INV_TLB_PAGES, 2));
	assert_int_equal(log_.nr, 2);
	expect(0, 'm', 0x1000, 0x5000, 0x1000, RW);
	expect(1, 'm', 0x2000, 0x6000, 0x1000, RW);
	/* Nothing changed, nothing told. */
	assert_true(submit(v, INV_TLB_PAGES, 2));
	assert_int_equal(log_.nr, 2);
	/* A change is out and in; its neighbour stays. */
	world_set(&v->w, slot, 0x7000 | R);
	invalidate_page(v, 0x1000);
	assert_int_equal(log_.nr, 4);
	expect(2, 'u', 0x1000, 0, 0x1000, 0);
	expect(3, 'm', 0x1000, 0x7000, 0x1000, R);
	world_set(&v->w, slot, 0);
	invalidate_page(v, 0x1000);
	assert_int_equal(log_.nr, 5);
	expect(4, 'u', 0x1000, 0, 0x1000, 0);
	assert_int_equal(log_.mapped, 0x1000);
	assert_false(log_.told_early);
}

static void a_large_page_goes_whole_when_part_of_it_is_taken(void **state)
{
	struct vtd_world *v = *state;

	vtd_world_legacy(v);
	world_ss(&v->w, v->ss, 4, 2, MIB(2), MIB(64) | PS | RW);
	assert_int_equal(iommu_device_listen(v->dev, &listener), 0);
	log_.nr = 0;
	/* The guest replaces it by a table with one page in it. */
	world_ss(&v->w, v->ss, 4, 2, MIB(2), 0);
	world_ss(&v->w, v->ss, 4, 1, MIB(2) + 0x3000, 0x9000 | RW);
	assert_true(submit(v, INV_TLB_PAGES, MIB(2) | 9));
	assert_int_equal(log_.nr, 2);
	expect(0, 'u', MIB(2), 0, MIB(2), 0);
	expect(1, 'm', MIB(2) + 0x3000, 0x9000, 0x1000, RW);
}

static void a_new_context_entry_attaches_anew(void **state)
{
	struct vtd_world *v = *state;
	uint64_t other = world_page(&v->w);

	vtd_world_legacy(v);
	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | RW);
	world_ss(&v->w, other, 4, 1, 0x8000, 0x9000 | RW);
	assert_int_equal(iommu_device_listen(v->dev, &listener), 0);
	log_.nr = 0;
	context_set(v, RID, other | 1, 2 | 6 << 8);
	assert_true(submit(v, 0x31 | (uint64_t)RID << 32, 0));
	assert_int_equal(log_.nr, 2);
	expect(0, 'a', 0, 0, 0, IOMMU_ATTACH_TRANSLATED);
	expect(1, 'm', 0x8000, 0x9000, 0x1000, RW);
	context_set(v, RID, 2 << 2 | 1, 2 | 6 << 8);
	assert_true(submit(v, 0x31 | (uint64_t)RID << 32, 0));
	expect(2, 'a', 0, 0, 0, IOMMU_ATTACH_IDENTITY);
	context_set(v, RID, 0, 0);
	assert_true(submit(v, 0x31 | (uint64_t)RID << 32, 0));
	expect(3, 'a', 0, 0, 0, IOMMU_ATTACH_BLOCKED);
}

static void other_domains_and_devices_are_not_told(void **state)
{
	struct vtd_world *v = *state;

	vtd_world_legacy(v);
	assert_int_equal(iommu_device_listen(v->dev, &listener), 0);
	log_.nr = 0;
	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | RW);
	assert_true(submit(v, 0x32 | 6ull << 16, 0x1000));
	assert_true(submit(v, 0x31 | 0x400ull << 32, 0));
	assert_int_equal(log_.nr, 0);
	assert_true(submit(v, INV_TLB_GLOBAL, 0));
	assert_int_equal(log_.nr, 1);
}

static void at_the_hosts_limit_nothing_rather_than_half_is_mapped(void **state)
{
	struct vtd_world *v = *state;

	vtd_world_legacy(v);
	assert_int_equal(iommu_device_listen(v->dev, &listener), 0);
	log_.nr = 0;
	log_.limit = 3;
	for (unsigned int i = 0; i < 4; i++)
		world_ss(&v->w, v->ss, 4, 1, 0x1000 * i, (0x5000 + 0x1000 * i) | RW);
	assert_true(submit(v, INV_TLB_DOMAIN, 0));
	assert_int_equal(log_.events[log_.nr - 1].what, 'a');
	assert_int_equal(log_.events[log_.nr - 1].access, IOMMU_ATTACH_BLOCKED);
	assert_int_equal(log_.mapped, 0);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), -EPERM);
	/* The operator lifts the limit and the quarantine. */
	log_.limit = 0;
	iommu_device_unblock(v->dev);
	assert_int_equal(log_.mapped, 0x4000);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), 0x6000);
}

static void tables_without_end_are_given_up(void **state)
{
	struct vtd_world *v = *state;
	uint64_t empty = world_page(&v->w);

	vtd_world_legacy(v);
	assert_int_equal(iommu_device_listen(v->dev, &listener), 0);
	/* Every entry of every level names the same next table, the last of them empty. */
	for (unsigned int i = 0; i < 512; i++)
		world_set(&v->w, empty + 8 * i, 0);
	for (unsigned int i = 0; i < 512; i++) {
		world_set(&v->w, v->ss + 8 * i, v->fs | RW);
		world_set(&v->w, v->fs + 8 * i, v->status | RW);
		world_set(&v->w, v->status + 8 * i, empty | RW);
	}
	put_desc(v, INV_TLB_DOMAIN, 0);
	ring(v);
	assert_int_equal(log_.events[log_.nr - 1].access, IOMMU_ATTACH_BLOCKED);
	assert_int_equal(dma(v, 0x1000, IOMMU_READ), -EPERM);
}

static void the_interrupt_range_is_not_mirrored(void **state)
{
	struct vtd_world *v = *state;

	vtd_world_legacy(v);
	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0xfee00000 | RW);
	world_ss(&v->w, v->ss, 4, 1, 0x2000, 0x5000 | RW);
	assert_int_equal(iommu_device_listen(v->dev, &listener), 0);
	assert_int_equal(log_.mapped, 0x1000);
}

static void a_replay_starts_from_nothing(void **state)
{
	struct vtd_world *v = *state;

	vtd_world_legacy(v);
	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | RW);
	assert_int_equal(iommu_device_listen(v->dev, &listener), 0);
	log_.nr = 0;
	assert_int_equal(iommu_device_replay(v->dev), 0);
	assert_int_equal(log_.nr, 2);
	expect(0, 'a', 0, 0, 0, IOMMU_ATTACH_TRANSLATED);
	expect(1, 'm', 0x1000, 0x5000, 0x1000, RW);
	/* Taken away, it hears nothing more. */
	assert_int_equal(iommu_device_listen(v->dev, NULL), 0);
	log_.nr = 0;
	assert_true(submit(v, INV_TLB_GLOBAL, 0));
	assert_int_equal(log_.nr, 0);
}

static void without_caching_mode_nobody_can_listen(void **state)
{
	struct vtd_world *v = vtd_world_create(vtd_world_config());

	assert_int_equal(iommu_device_listen(v->dev, &listener), -ENOTSUP);
	vtd_world_destroy(v);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_listener_follows_the_unit_from_off_to_translated),
		T(each_page_is_told_when_the_guest_invalidates_it),
		T(a_large_page_goes_whole_when_part_of_it_is_taken),
		T(a_new_context_entry_attaches_anew),
		T(other_domains_and_devices_are_not_told),
		T(at_the_hosts_limit_nothing_rather_than_half_is_mapped),
		T(tables_without_end_are_given_up),
		T(the_interrupt_range_is_not_mirrored),
		T(a_replay_starts_from_nothing),
		cmocka_unit_test(without_caching_mode_nobody_can_listen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
