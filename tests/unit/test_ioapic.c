// SPDX-License-Identifier: GPL-2.0-or-later
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "device/ioapic.h"
#include "device/ioapic_regs.h"
#include "fake/platform.h"

#define SENT_MAX 64

/* The machine: what it was told of routes, and what was sent. */
struct machine {
	struct fake_platform fake;
	struct ioapic *ioapic;
	struct msi_message route[IOAPIC_PINS];
	bool routed[IOAPIC_PINS];
	unsigned int nr_commits, nr_sets;
	struct msi_message sent[SENT_MAX];
	unsigned int sent_pin[SENT_MAX];
	unsigned int nr_sent;
};

static void machine_route_set(void *opaque, unsigned int pin, const struct msi_message *msg)
{
	struct machine *m = opaque;

	assert_true(pin < IOAPIC_PINS);
	m->nr_sets++;
	m->routed[pin] = msg;
	if (msg)
		m->route[pin] = *msg;
}

static void machine_route_commit(void *opaque)
{
	((struct machine *)opaque)->nr_commits++;
}

static void machine_send(void *opaque, unsigned int pin, const struct msi_message *msg)
{
	struct machine *m = opaque;

	assert_true(m->nr_sent < SENT_MAX);
	m->sent_pin[m->nr_sent] = pin;
	m->sent[m->nr_sent++] = *msg;
}

static const struct ioapic_ops machine_ops = {
	.route_set = machine_route_set,
	.route_commit = machine_route_commit,
	.send = machine_send,
};

static int setup(void **state)
{
	struct machine *m = calloc(1, sizeof(*m));
	struct ioapic_config config = { .base = IOAPIC_BASE, .id = 3, .ops = &machine_ops };

	assert_non_null(m);
	config.opaque = m;
	fake_platform_init(&m->fake, NULL, NULL);
	assert_int_equal(ioapic_create(&m->fake.platform, &config, &m->ioapic), 0);
	*state = m;
	return 0;
}

static int teardown(void **state)
{
	struct machine *m = *state;
	struct device *dev = ioapic_device(m->ioapic);

	dev->ops->destroy(dev);
	assert_true(fake_platform_is_empty(&m->fake));
	assert_true(m->fake.nr_synchronize > 0);
	fake_platform_fini(&m->fake);
	free(m);
	return 0;
}

static uint32_t reg_read(struct machine *m, uint8_t index)
{
	fake_bus_write(&m->fake, BUS_MMIO, IOAPIC_BASE + IOAPIC_REG_SELECT, 4, index);
	return (uint32_t)fake_bus_read(&m->fake, BUS_MMIO, IOAPIC_BASE + IOAPIC_REG_WINDOW, 4);
}

static void reg_write(struct machine *m, uint8_t index, uint32_t value)
{
	fake_bus_write(&m->fake, BUS_MMIO, IOAPIC_BASE + IOAPIC_REG_SELECT, 4, index);
	fake_bus_write(&m->fake, BUS_MMIO, IOAPIC_BASE + IOAPIC_REG_WINDOW, 4, value);
}

static uint64_t entry_read(struct machine *m, unsigned int pin)
{
	uint8_t index = (uint8_t)(IOAPIC_IDX_ENTRY + 2 * pin);

	return reg_read(m, index) | (uint64_t)reg_read(m, index + 1) << 32;
}

/* High half first, as drivers do. */
static void entry_write(struct machine *m, unsigned int pin, uint64_t rte)
{
	uint8_t index = (uint8_t)(IOAPIC_IDX_ENTRY + 2 * pin);

	reg_write(m, index + 1, (uint32_t)(rte >> 32));
	reg_write(m, index, (uint32_t)rte);
}

#define LEVEL_ENTRY(vector) (IOAPIC_RTE_LEVEL | (vector))

static void power_on_state_is_the_data_sheets(void **state)
{
	struct machine *m = *state;

	assert_int_equal(reg_read(m, IOAPIC_IDX_ID), 3u << 24);
	assert_int_equal(reg_read(m, IOAPIC_IDX_VERSION), 0x00170020);
	assert_int_equal(reg_read(m, IOAPIC_IDX_ARB), 3u << 24);
	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++)
		assert_int_equal(entry_read(m, pin), IOAPIC_RTE_MASKED);
	assert_int_equal(m->nr_commits, 0);
}

static void read_only_bits_of_an_entry_stay(void **state)
{
	struct machine *m = *state;

	entry_write(m, 5, ~0ull);
	assert_int_equal(entry_read(m, 5), IOAPIC_RTE_WRITABLE);
	reg_write(m, IOAPIC_IDX_ID, ~0u);
	assert_int_equal(reg_read(m, IOAPIC_IDX_ID), 0x0f000000);
	reg_write(m, IOAPIC_IDX_VERSION, ~0u);
	assert_int_equal(reg_read(m, IOAPIC_IDX_VERSION), 0x00170020);
}

static void an_edge_sends_one_message_and_needs_no_route(void **state)
{
	struct machine *m = *state;

	entry_write(m, 4, 0x12ull << 56 | IOAPIC_RTE_DEST_MODE | 1 << 8 | 0x31);
	ioapic_irq_set(m->ioapic, 4, 0, true);
	ioapic_irq_set(m->ioapic, 4, 0, true);
	assert_int_equal(m->nr_sent, 1);
	assert_int_equal(m->sent_pin[0], 4);
	assert_int_equal(m->sent[0].addr, 0xfee12004);
	assert_int_equal(m->sent[0].data, 0x131);
	ioapic_irq_set(m->ioapic, 4, 0, false);
	ioapic_irq_set(m->ioapic, 4, 0, true);
	assert_int_equal(m->nr_sent, 2);
	assert_int_equal(m->nr_sets, 0);
	assert_int_equal(m->nr_commits, 0);
}

static void an_edge_on_a_masked_pin_is_lost(void **state)
{
	struct machine *m = *state;

	entry_write(m, 4, IOAPIC_RTE_MASKED | 0x31);
	ioapic_irq_set(m->ioapic, 4, 0, true);
	entry_write(m, 4, 0x31);
	assert_int_equal(m->nr_sent, 0);
}

static void a_level_is_sent_once_until_it_is_ended(void **state)
{
	struct machine *m = *state;

	entry_write(m, 16, LEVEL_ENTRY(0x41));
	assert_true(m->routed[16]);
	assert_int_equal(m->route[16].data, 0xc041);
	assert_int_equal(m->nr_commits, 1);
	ioapic_irq_set(m->ioapic, 16, 0, true);
	assert_int_equal(m->nr_sent, 1);
	assert_int_equal(m->sent[0].data, 0xc041);
	assert_true(entry_read(m, 16) & IOAPIC_RTE_REMOTE_IRR);
	ioapic_irq_set(m->ioapic, 16, 0, false);
	ioapic_irq_set(m->ioapic, 16, 0, true);
	assert_int_equal(m->nr_sent, 1);
	ioapic_eoi(m->ioapic, 0x40);
	assert_int_equal(m->nr_sent, 1);
	ioapic_eoi(m->ioapic, 0x41);
	assert_int_equal(m->nr_sent, 2);
	ioapic_irq_set(m->ioapic, 16, 0, false);
	ioapic_eoi(m->ioapic, 0x41);
	assert_int_equal(m->nr_sent, 2);
	assert_false(entry_read(m, 16) & IOAPIC_RTE_REMOTE_IRR);
}

static void shares_of_a_pin_are_ored(void **state)
{
	struct machine *m = *state;

	entry_write(m, 16, LEVEL_ENTRY(0x41));
	ioapic_irq_set(m->ioapic, 16, 1, true);
	ioapic_irq_set(m->ioapic, 16, 63, true);
	assert_int_equal(m->nr_sent, 1);
	ioapic_irq_set(m->ioapic, 16, 1, false);
	ioapic_eoi(m->ioapic, 0x41);
	assert_int_equal(m->nr_sent, 2);
	ioapic_irq_set(m->ioapic, 16, 63, false);
	ioapic_eoi(m->ioapic, 0x41);
	assert_int_equal(m->nr_sent, 2);
}

static void unmasking_an_asserted_level_sends_it(void **state)
{
	struct machine *m = *state;

	entry_write(m, 16, LEVEL_ENTRY(0x41) | IOAPIC_RTE_MASKED);
	ioapic_irq_set(m->ioapic, 16, 0, true);
	assert_int_equal(m->nr_sent, 0);
	entry_write(m, 16, LEVEL_ENTRY(0x41));
	assert_int_equal(m->nr_sent, 1);
}

static void masking_keeps_the_route_so_that_the_end_is_reported(void **state)
{
	struct machine *m = *state;

	entry_write(m, 16, LEVEL_ENTRY(0x41));
	ioapic_irq_set(m->ioapic, 16, 0, true);
	entry_write(m, 16, LEVEL_ENTRY(0x41) | IOAPIC_RTE_MASKED);
	assert_true(m->routed[16]);
	assert_int_equal(m->nr_commits, 1);
	ioapic_eoi(m->ioapic, 0x41);
	assert_int_equal(m->nr_sent, 1);
	entry_write(m, 16, LEVEL_ENTRY(0x41));
	assert_int_equal(m->nr_sent, 2);
	assert_int_equal(m->nr_commits, 1);
}

static void a_route_goes_with_its_vector_and_with_its_trigger(void **state)
{
	struct machine *m = *state;

	entry_write(m, 16, LEVEL_ENTRY(0x41));
	entry_write(m, 16, LEVEL_ENTRY(0x42) | IOAPIC_RTE_MASKED);
	assert_false(m->routed[16]);
	entry_write(m, 16, LEVEL_ENTRY(0x42));
	assert_true(m->routed[16]);
	entry_write(m, 16, 0x42);
	assert_false(m->routed[16]);
	assert_int_equal(m->nr_commits, 4);
}

static void switching_to_edge_clears_remote_irr(void **state)
{
	struct machine *m = *state;

	entry_write(m, 16, LEVEL_ENTRY(0x41));
	ioapic_irq_set(m->ioapic, 16, 0, true);
	ioapic_irq_set(m->ioapic, 16, 0, false);
	entry_write(m, 16, IOAPIC_RTE_MASKED | 0x41);
	entry_write(m, 16, LEVEL_ENTRY(0x41));
	assert_false(entry_read(m, 16) & IOAPIC_RTE_REMOTE_IRR);
	assert_int_equal(m->nr_sent, 1);
}

static void the_eoi_register_ends_a_vector(void **state)
{
	struct machine *m = *state;

	entry_write(m, 16, LEVEL_ENTRY(0x41));
	ioapic_irq_set(m->ioapic, 16, 0, true);
	fake_bus_write(&m->fake, BUS_MMIO, IOAPIC_BASE + IOAPIC_REG_EOI, 4, 0x41);
	assert_int_equal(m->nr_sent, 2);
}

static void nmi_with_the_level_bit_waits_for_no_end(void **state)
{
	struct machine *m = *state;

	entry_write(m, 2, IOAPIC_RTE_LEVEL | 4 << 8);
	for (int i = 0; i < 3; i++) {
		ioapic_irq_set(m->ioapic, 2, 0, true);
		ioapic_irq_set(m->ioapic, 2, 0, false);
	}
	assert_int_equal(m->nr_sent, 3);
	assert_false(entry_read(m, 2) & IOAPIC_RTE_REMOTE_IRR);
	assert_false(m->routed[2]);
}

static void extint_is_never_sent(void **state)
{
	struct machine *m = *state;

	entry_write(m, 0, 7 << 8);
	ioapic_irq_set(m->ioapic, 0, 0, true);
	assert_int_equal(m->nr_sent, 0);
}

static void a_remappable_entry_keeps_its_index_and_format(void **state)
{
	struct machine *m = *state;

	/* Index 0x9234: 14:0 in 63:49, 15 in 11; format in 48. */
	entry_write(m, 4, 0x1234ull << 49 | 1ull << 48 | IOAPIC_RTE_DEST_MODE | 0x55);
	ioapic_irq_set(m->ioapic, 4, 0, true);
	assert_int_equal(m->sent[0].addr, 0xfee00000 | 0x1234 << 5 | 1 << 4 | 1 << 2);
	assert_int_equal(m->sent[0].data, 0x55);
}

struct listener {
	struct irq_eoi eoi;
	struct ioapic *ioapic;
	unsigned int nr;
	bool drops;
};

static void listener_fn(void *opaque)
{
	struct listener *l = opaque;

	l->nr++;
	/* Also proves that no lock is held: irq_set would trip over it. */
	if (l->drops)
		ioapic_irq_set(l->ioapic, 16, 5, false);
}

static void a_listener_that_drops_the_level_prevents_a_second_interrupt(void **state)
{
	struct machine *m = *state;
	struct listener a = { .ioapic = m->ioapic, .drops = true }, b = { .ioapic = m->ioapic };

	a.eoi = (struct irq_eoi){ .fn = listener_fn, .opaque = &a };
	b.eoi = (struct irq_eoi){ .fn = listener_fn, .opaque = &b };
	entry_write(m, 16, LEVEL_ENTRY(0x41));
	ioapic_eoi_watch(m->ioapic, 16, &a.eoi);
	ioapic_eoi_watch(m->ioapic, 16, &b.eoi);
	ioapic_irq_set(m->ioapic, 16, 5, true);
	ioapic_eoi(m->ioapic, 0x41);
	assert_int_equal(a.nr, 1);
	assert_int_equal(b.nr, 1);
	assert_int_equal(m->nr_sent, 1);
	/* Nothing in service: nobody is told. */
	ioapic_eoi(m->ioapic, 0x41);
	assert_int_equal(a.nr, 1);
	ioapic_eoi_unwatch(m->ioapic, 16, &a.eoi);
	ioapic_irq_set(m->ioapic, 16, 5, true);
	ioapic_eoi(m->ioapic, 0x41);
	assert_int_equal(a.nr, 1);
	assert_int_equal(b.nr, 2);
	assert_int_equal(m->nr_sent, 3);
	ioapic_eoi_unwatch(m->ioapic, 16, &b.eoi);
}

static void refresh_sets_every_live_route_with_one_commit(void **state)
{
	struct machine *m = *state;

	entry_write(m, 16, LEVEL_ENTRY(0x41));
	entry_write(m, 17, LEVEL_ENTRY(0x42));
	entry_write(m, 4, 0x31);
	m->nr_sets = m->nr_commits = 0;
	ioapic_routes_refresh(m->ioapic);
	assert_int_equal(m->nr_sets, 2);
	assert_int_equal(m->nr_commits, 1);
}

static void reset_masks_all_and_takes_routes_away_with_one_commit(void **state)
{
	struct machine *m = *state;
	struct device *dev = ioapic_device(m->ioapic);

	entry_write(m, 16, LEVEL_ENTRY(0x41));
	entry_write(m, 17, LEVEL_ENTRY(0x42));
	reg_write(m, IOAPIC_IDX_ID, 0);
	m->nr_commits = 0;
	dev->ops->reset(dev);
	assert_int_equal(m->nr_commits, 1);
	assert_false(m->routed[16] || m->routed[17]);
	m->nr_commits = 0;
	power_on_state_is_the_data_sheets(state);
}

static void state_round_trips_and_routes_follow(void **state)
{
	struct machine *m = *state;
	struct device *dev = ioapic_device(m->ioapic);
	struct state_writer w;
	struct state_reader r;

	entry_write(m, 16, LEVEL_ENTRY(0x41) | 7ull << 56);
	entry_write(m, 4, 0x31);
	ioapic_irq_set(m->ioapic, 16, 2, true);
	entry_write(m, 16, LEVEL_ENTRY(0x41) | 7ull << 56 | IOAPIC_RTE_MASKED);
	state_writer_init(&w);
	dev->ops->save(dev, &w);
	assert_int_equal(state_writer_status(&w), 0);
	ioapic_irq_set(m->ioapic, 16, 2, false);
	dev->ops->reset(dev);
	assert_false(m->routed[16]);

	state_reader_init(&r, w.data, w.len);
	assert_int_equal(dev->ops->load(dev, &r), 0);
	assert_int_equal(entry_read(m, 4), 0x31);
	assert_int_equal(entry_read(m, 16), LEVEL_ENTRY(0x41) | 7ull << 56 | IOAPIC_RTE_MASKED |
						    IOAPIC_RTE_REMOTE_IRR);
	assert_true(m->routed[16]);
	/* The line is still up: ending and unmasking sends it again. */
	m->nr_sent = 0;
	ioapic_eoi(m->ioapic, 0x41);
	entry_write(m, 16, LEVEL_ENTRY(0x41));
	assert_int_equal(m->nr_sent, 1);

	/* Cut short at every length: refused, and never half applied. */
	for (size_t len = 0; len < w.len; len++) {
		dev->ops->reset(dev);
		state_reader_init(&r, w.data, len);
		assert_true(dev->ops->load(dev, &r) < 0);
		assert_int_equal(entry_read(m, 4), IOAPIC_RTE_MASKED);
	}
	state_writer_fini(&w);
}

static void impossible_state_is_refused(void **state)
{
	struct machine *m = *state;
	struct device *dev = ioapic_device(m->ioapic);
	struct state_writer w;
	struct state_reader r;

	state_writer_init(&w);
	state_begin(&w, dev->name, 1);
	state_put_u8(&w, 0);
	state_put_u8(&w, 0);
	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++) {
		/* Remote IRR of an edge. */
		state_put_u64(&w, pin == 3 ? IOAPIC_RTE_REMOTE_IRR : 0);
		state_put_u64(&w, 0);
	}
	state_end(&w);
	state_reader_init(&r, w.data, w.len);
	assert_int_equal(dev->ops->load(dev, &r), -EPROTO);
	state_writer_fini(&w);
}

/* Any offset, any size, any index: answered, and nothing outside is touched (sanitizers watch). */
static void every_access_is_answered(void **state)
{
	struct machine *m = *state;
	uint32_t seed = 1;

	for (unsigned int i = 0; i < 20000; i++) {
		unsigned int size;
		uint64_t offset;

		seed = seed * 1664525 + 1013904223;
		size = 1u << (seed >> 30);
		offset = (seed >> 8) % 0x60 & ~(uint64_t)(size - 1);
		if (seed & 1)
			fake_bus_read(&m->fake, BUS_MMIO, IOAPIC_BASE + offset, size);
		else
			fake_bus_write(&m->fake, BUS_MMIO, IOAPIC_BASE + offset, size,
				       seed * 0x9e3779b97f4a7c15ull);
	}
	assert_int_equal(fake_bus_read(&m->fake, BUS_MMIO, IOAPIC_BASE + 0xff8, 8), 0);
	for (unsigned int index = 0; index < 256; index++) {
		reg_write(m, (uint8_t)index, ~0u);
		reg_read(m, (uint8_t)index);
	}
	ioapic_irq_set(m->ioapic, IOAPIC_PINS, 0, true);
	ioapic_irq_set(m->ioapic, 0, IRQ_SHARES_MAX, true);
}

static void a_partial_window_write_changes_nothing(void **state)
{
	struct machine *m = *state;

	fake_bus_write(&m->fake, BUS_MMIO, IOAPIC_BASE + IOAPIC_REG_SELECT, 4, IOAPIC_IDX_ENTRY);
	fake_bus_write(&m->fake, BUS_MMIO, IOAPIC_BASE + IOAPIC_REG_WINDOW, 2, 0x31);
	fake_bus_write(&m->fake, BUS_MMIO, IOAPIC_BASE + IOAPIC_REG_WINDOW + 1, 1, 0);
	assert_int_equal(entry_read(m, 0), IOAPIC_RTE_MASKED);
}

/* Devices, a guest and those who watch, all at once; the thread sanitizer looks on. */
#define RACE_ROUNDS 2000

struct racer {
	struct machine *m;
	struct irq_eoi eoi;
	atomic_uint nr_ended;
	atomic_bool done;
};

static void racer_ended(void *opaque)
{
	struct racer *r = opaque;

	atomic_fetch_add(&r->nr_ended, 1);
	ioapic_irq_set(r->m->ioapic, 16, 1, false);
}

static void *race_device(void *opaque)
{
	struct racer *r = opaque;

	for (unsigned int i = 0; i < RACE_ROUNDS; i++) {
		ioapic_irq_set(r->m->ioapic, 16, 1, true);
		ioapic_irq_set(r->m->ioapic, 16, 2, i & 1);
	}
	ioapic_irq_set(r->m->ioapic, 16, 2, false);
	return NULL;
}

static void *race_guest(void *opaque)
{
	struct racer *r = opaque;

	while (!atomic_load(&r->done))
		ioapic_eoi(r->m->ioapic, 0x41);
	return NULL;
}

static void *race_watcher(void *opaque)
{
	struct racer *r = opaque;
	/* Alive until after the guest has stopped: what platform_synchronize() waits for. */
	struct irq_eoi *others = calloc(RACE_ROUNDS, sizeof(*others));

	assert_non_null(others);
	for (unsigned int i = 0; i < RACE_ROUNDS; i++) {
		others[i] = (struct irq_eoi){ .fn = racer_ended, .opaque = r };
		ioapic_eoi_watch(r->m->ioapic, 16, &others[i]);
		ioapic_eoi_unwatch(r->m->ioapic, 16, &others[i]);
	}
	return others;
}

static void machine_send_nothing(void *opaque, unsigned int pin, const struct msi_message *msg)
{
}

static void levels_ends_and_watchers_race_without_harm(void **state)
{
	static const struct ioapic_ops ops = { .route_set = machine_route_set,
					       .route_commit = machine_route_commit,
					       .send = machine_send_nothing };
	struct machine *m = *state;
	struct racer r = { .m = m };
	struct ioapic_config config = { .base = IOAPIC_BASE, .ops = &ops, .opaque = m };
	pthread_t device, guest, watcher;
	void *others;

	ioapic_device(m->ioapic)->ops->destroy(ioapic_device(m->ioapic));
	assert_int_equal(ioapic_create(&m->fake.platform, &config, &m->ioapic), 0);
	entry_write(m, 16, LEVEL_ENTRY(0x41));
	r.eoi = (struct irq_eoi){ .fn = racer_ended, .opaque = &r };
	ioapic_eoi_watch(m->ioapic, 16, &r.eoi);
	assert_int_equal(pthread_create(&guest, NULL, race_guest, &r), 0);
	assert_int_equal(pthread_create(&device, NULL, race_device, &r), 0);
	assert_int_equal(pthread_create(&watcher, NULL, race_watcher, &r), 0);
	pthread_join(device, NULL);
	pthread_join(watcher, &others);
	atomic_store(&r.done, true);
	pthread_join(guest, NULL);
	free(others);
	/* Whatever was left is ended, and then the pin is quiet. */
	ioapic_eoi(m->ioapic, 0x41);
	ioapic_eoi(m->ioapic, 0x41);
	assert_false(entry_read(m, 16) & IOAPIC_RTE_REMOTE_IRR);
	assert_true(atomic_load(&r.nr_ended) > 0);
	ioapic_eoi_unwatch(m->ioapic, 16, &r.eoi);
}

static void creation_fails_cleanly_when_its_registers_are_taken(void **state)
{
	struct machine *m = *state;
	struct ioapic_config config = { .base = IOAPIC_BASE + 0x800, .ops = &machine_ops };
	struct ioapic *second;

	assert_int_equal(ioapic_create(&m->fake.platform, &config, &second), -EBUSY);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(power_on_state_is_the_data_sheets),
		TEST(read_only_bits_of_an_entry_stay),
		TEST(an_edge_sends_one_message_and_needs_no_route),
		TEST(an_edge_on_a_masked_pin_is_lost),
		TEST(a_level_is_sent_once_until_it_is_ended),
		TEST(shares_of_a_pin_are_ored),
		TEST(unmasking_an_asserted_level_sends_it),
		TEST(masking_keeps_the_route_so_that_the_end_is_reported),
		TEST(a_route_goes_with_its_vector_and_with_its_trigger),
		TEST(switching_to_edge_clears_remote_irr),
		TEST(the_eoi_register_ends_a_vector),
		TEST(nmi_with_the_level_bit_waits_for_no_end),
		TEST(extint_is_never_sent),
		TEST(a_remappable_entry_keeps_its_index_and_format),
		TEST(a_listener_that_drops_the_level_prevents_a_second_interrupt),
		TEST(refresh_sets_every_live_route_with_one_commit),
		TEST(reset_masks_all_and_takes_routes_away_with_one_commit),
		TEST(state_round_trips_and_routes_follow),
		TEST(impossible_state_is_refused),
		TEST(every_access_is_answered),
		TEST(a_partial_window_write_changes_nothing),
		TEST(levels_ends_and_watchers_race_without_harm),
		TEST(creation_fails_cleanly_when_its_registers_are_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
