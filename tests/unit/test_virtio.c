// SPDX-License-Identifier: GPL-2.0-or-later
/* The virtio core by way of a disk: registers, both kinds of ring, and drivers that break the rules. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "device/virtio/blk.h"
#include "device/virtio/blk_regs.h"
#include "device/virtio/virtio.h"
#include "fake/virtio.h"

#define DISK	MIB(4)
#define V1	BIT64(VIRTIO_F_VERSION_1)
#define PACKED	BIT64(VIRTIO_F_RING_PACKED)
#define INDIR	BIT64(VIRTIO_F_INDIRECT_DESC)
#define EVENT	BIT64(VIRTIO_F_EVENT_IDX)
#define ORDER	BIT64(VIRTIO_F_IN_ORDER)
#define RING	BIT64(VIRTIO_F_RING_RESET)
#define FLUSH	BIT64(VIRTIO_BLK_F_FLUSH)
#define CLEAR	(BIT64(VIRTIO_BLK_F_DISCARD) | BIT64(VIRTIO_BLK_F_WRITE_ZEROES))
#define ALL	(UINT64_MAX & ~ORDER)
#define OUTSIDE 0x40000000ull

/* A disk that ends requests when the test says so, and remembers how they were asked for. */
struct slow {
	struct block block; /* first */
	struct block_queue *queue;
	struct block_request *waiting[64];
	unsigned int nr, nr_cancels, nr_waits;
	enum block_op op;
	uint32_t flags;
	int status;
};

struct fixture {
	struct fake_virtio v; /* first */
	struct slow slow;
	struct block *block;
	uint64_t header, data, status; /* in guest memory */
};

static struct slow *slow_of(struct block *block)
{
	return (struct slow *)(void *)block;
}

static int slow_queue(struct block *block, struct block_queue *queue, struct diag *diag)
{
	slow_of(block)->queue = queue;
	return 0;
}

static void slow_queue_end(struct block_queue *queue)
{
}

static void slow_start(struct block_queue *queue, struct block_request *chain)
{
	struct slow *s = slow_of(queue->block);

	for (; chain; chain = chain->next) {
		s->waiting[s->nr++] = chain;
		s->op = chain->op;
		s->flags = chain->flags;
	}
}

static void slow_end(struct slow *s, unsigned int i, int status)
{
	struct block_request *req = s->waiting[i];

	memmove(&s->waiting[i], &s->waiting[i + 1], (--s->nr - i) * sizeof(s->waiting[0]));
	if (!status && req->op == BLOCK_READ)
		for (unsigned int v = 0; v < req->nr_iov; v++)
			memset(req->iov[v].iov_base, 0x5a, req->iov[v].iov_len);
	block_complete(s->queue, req, status);
}

static void slow_cancel(struct block_queue *queue, struct block_request *req)
{
	struct slow *s = slow_of(queue->block);

	s->nr_cancels++;
	for (unsigned int i = 0; i < s->nr; i++) {
		if (s->waiting[i] != req)
			continue;
		slow_end(s, i, -ECANCELED);
		return;
	}
}

static void slow_wait(struct block_queue *queue)
{
	struct slow *s = slow_of(queue->block);

	s->nr_waits++;
	slow_end(s, 0, s->status);
}

static void slow_destroy(struct block *block)
{
}

static const struct block_ops slow_ops = {
	.name = "slow",
	.queue_create = slow_queue,
	.queue_destroy = slow_queue_end,
	.start = slow_start,
	.cancel = slow_cancel,
	.wait = slow_wait,
	.destroy = slow_destroy,
};

/* The test ends a request; the driver hears of it. */
static void end(struct fixture *f, unsigned int i, int status)
{
	assert_true(i < f->slow.nr);
	slow_end(&f->slow, i, status);
	block_deliver(f->slow.queue);
	fake_virtio_settle(&f->v);
}

static void plug(struct fixture *f, struct block *block, unsigned int queues)
{
	struct virtio_blk_config config = {
		.name = "vblk",
		.block = block,
		.serial = "0123456789abcdefghij",
		.nr_queues = queues,
		.loop = f->v.loop,
		.packed = true,
		.in_order = true,
	};
	struct diag diag = DIAG_INIT;
	struct device *dev;

	f->block = block;
	assert_int_equal(virtio_blk_create(&f->v.pci.machine.platform, &config, &dev, &diag), 0);
	fake_virtio_plug(&f->v, dev, virtio_pci_function(dev));
	f->header = fake_virtio_alloc(&f->v, 16);
	f->data = fake_virtio_alloc(&f->v, KIB(64));
	f->status = fake_virtio_alloc(&f->v, 1);
}

static int setup(void **state)
{
	static struct fixture f;
	struct diag diag = DIAG_INIT;
	struct block *block;

	memset(&f, 0, sizeof(f));
	fake_virtio_init(&f.v);
	assert_int_equal(block_ram_create("r0", DISK, 512, &block, &diag), 0);
	plug(&f, block, 2);
	*state = &f;
	return 0;
}

static int setup_slow(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	fake_virtio_init(&f.v);
	block_init(&f.slow.block, &slow_ops, "slow");
	f.slow.block.size = DISK;
	f.slow.block.limits = (struct block_limits){
		.block_size = 512,
		.physical_size = 4096,
		.mem_align = 1,
		.max_transfer = MIB(1),
		.max_iov = 16,
		.discard_granularity = 512,
		.max_discard = DISK,
		.volatile_cache = true,
	};
	plug(&f, &f.slow.block, 2);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	bool empty = fake_virtio_fini(&f->v);

	assert_string_equal(f->block->user, "");
	block_destroy(f->block);
	assert_true(empty);
	return 0;
}

/* ---- requests ---- */

static void header(struct fixture *f, uint32_t type, uint64_t sector)
{
	const struct virtio_blk_header h = {
		.type = le32_make(type),
		.sector = le64_make(sector),
	};

	memcpy(f->v.mem + f->header, &h, sizeof(h));
	f->v.mem[f->status] = 0xff;
}

static uint16_t send(struct fixture *f, unsigned int queue, uint32_t type, uint64_t sector,
		     uint64_t data, uint32_t len, bool indirect)
{
	bool in = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
	struct fake_piece piece[] = { { f->header, 16, false },
				      { data, len, in },
				      { f->status, 1, true } };
	uint16_t id;

	header(f, type, sector);
	if (!len)
		piece[1] = piece[2];
	id = fake_virtio_add(&f->v, queue, piece, len ? 3 : 2, indirect);
	fake_virtio_kick(&f->v, queue);
	return id;
}

/* Its status; it must have come back. */
static uint8_t got(struct fixture *f, unsigned int queue, uint32_t *written)
{
	uint32_t len;
	uint16_t id;

	assert_true(fake_virtio_used(&f->v, queue, &id, &len));
	if (written)
		*written = len;
	return f->v.mem[f->status];
}

static uint8_t ask(struct fixture *f, uint32_t type, uint64_t sector, uint64_t data, uint32_t len)
{
	send(f, 0, type, sector, data, len, false);
	return got(f, 0, NULL);
}

static bool broken(struct fixture *f)
{
	return fake_virtio_status(&f->v) & VIRTIO_NEEDS_RESET;
}

/* ---- registers ---- */

static void the_function_is_what_modern_drivers_look_for(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fake_cfg_read(&f->v.pci, FAKE_VIRTIO_RID, PCI_VENDOR_ID, 4), 0x10421af4);
	assert_int_equal(fake_cfg_read(&f->v.pci, FAKE_VIRTIO_RID, PCI_REVISION, 1), 1);
	assert_true(f->v.common && f->v.isr && f->v.config && f->v.notify);
	assert_int_equal(fake_virtio_get(&f->v, VIRTIO_COMMON_NUM_QUEUES, 2), 2);
	assert_true(fake_virtio_offered(&f->v) & V1);
	assert_true(fake_virtio_offered(&f->v) & BIT64(VIRTIO_F_ACCESS_PLATFORM));
	fake_virtio_put(&f->v, VIRTIO_COMMON_DEVICE_FEATURE_SELECT, 4, 2);
	assert_int_equal(fake_virtio_get(&f->v, VIRTIO_COMMON_DEVICE_FEATURE, 4), 0);
	/* Capacity, by a read of any width. */
	assert_int_equal(fake_bus_read(&f->v.pci.machine, BUS_MMIO, f->v.config, 8), DISK / 512);
	assert_int_equal(fake_bus_read(&f->v.pci.machine, BUS_MMIO, f->v.config + 1, 1),
			 DISK / 512 >> 8 & 0xff);
}

static void features_that_do_not_fit_are_not_agreed_on(void **state)
{
	struct fixture *f = *state;

	assert_false(fake_virtio_negotiate(&f->v, ALL & ~V1));
	fake_virtio_reset(&f->v);
	assert_true(fake_virtio_negotiate(&f->v, V1));
	/* Settled: later writes change nothing. */
	fake_virtio_put(&f->v, VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4, 0);
	fake_virtio_put(&f->v, VIRTIO_COMMON_DRIVER_FEATURE, 4, UINT32_MAX);
	assert_int_equal(fake_virtio_get(&f->v, VIRTIO_COMMON_DRIVER_FEATURE, 4), 0);
	fake_virtio_reset(&f->v);
	/* One that was never offered. */
	fake_virtio_put(&f->v, VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4, 0);
	fake_virtio_put(&f->v, VIRTIO_COMMON_DRIVER_FEATURE, 4, BIT(23));
	fake_virtio_put(&f->v, VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4, 1);
	fake_virtio_put(&f->v, VIRTIO_COMMON_DRIVER_FEATURE, 4, (uint32_t)(V1 >> 32));
	fake_virtio_put(&f->v, VIRTIO_COMMON_STATUS, 1, VIRTIO_FEATURES_OK);
	assert_int_equal(fake_virtio_status(&f->v), 0);
}

static void nothing_runs_before_features_are_agreed_on(void **state)
{
	struct fixture *f = *state;

	fake_virtio_reset(&f->v);
	fake_virtio_queue(&f->v, 0, 8);
	fake_virtio_put(&f->v, VIRTIO_COMMON_STATUS, 1,
			VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_DRIVER_OK);
	fake_virtio_settle(&f->v);
	assert_int_equal(fake_virtio_status(&f->v), VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
	send(f, 0, VIRTIO_BLK_T_OUT, 0, f->data, 512, false);
	assert_int_equal(f->block->stats.nr[BLOCK_WRITE], 0);
}

static void a_queues_registers_take_what_fits_and_freeze_when_enabled(void **state)
{
	struct fixture *f = *state;
	struct fake_virtio *v = &f->v;

	fake_virtio_reset(v);
	assert_true(fake_virtio_negotiate(v, V1));
	assert_int_equal(fake_virtio_get(v, VIRTIO_COMMON_QUEUE_SIZE, 2), VIRTIO_QUEUE_SIZE);
	fake_virtio_put(v, VIRTIO_COMMON_QUEUE_SIZE, 2, 2 * VIRTIO_QUEUE_SIZE);
	fake_virtio_put(v, VIRTIO_COMMON_QUEUE_SIZE, 2, 24);
	fake_virtio_put(v, VIRTIO_COMMON_QUEUE_SIZE, 2, 0);
	assert_int_equal(fake_virtio_get(v, VIRTIO_COMMON_QUEUE_SIZE, 2), VIRTIO_QUEUE_SIZE);
	fake_virtio_put(v, VIRTIO_COMMON_QUEUE_VECTOR, 2, 3);
	assert_int_equal(fake_virtio_get(v, VIRTIO_COMMON_QUEUE_VECTOR, 2), VIRTIO_NO_VECTOR);
	fake_virtio_put(v, VIRTIO_COMMON_QUEUE_DESC, 8, 0x1122334455667780);
	fake_virtio_put(v, VIRTIO_COMMON_QUEUE_DESC + 4, 4, 0xaabbccdd);
	assert_int_equal(fake_virtio_get(v, VIRTIO_COMMON_QUEUE_DESC, 8), 0xaabbccdd55667780);
	assert_int_equal(fake_virtio_get(v, VIRTIO_COMMON_QUEUE_DESC, 4), 0x55667780);
	/* Half of a field is no write of it. */
	fake_virtio_put(v, VIRTIO_COMMON_QUEUE_DESC + 2, 2, 0xffff);
	fake_virtio_put(v, VIRTIO_COMMON_QUEUE_SIZE, 1, 16);
	assert_int_equal(fake_virtio_get(v, VIRTIO_COMMON_QUEUE_SIZE, 2), VIRTIO_QUEUE_SIZE);
	fake_virtio_queue(v, 0, 16);
	fake_virtio_put(v, VIRTIO_COMMON_QUEUE_SIZE, 2, 32);
	fake_virtio_put(v, VIRTIO_COMMON_QUEUE_DESC, 8, 0);
	fake_virtio_put(v, VIRTIO_COMMON_QUEUE_ENABLE, 2, 0);
	assert_int_equal(fake_virtio_get(v, VIRTIO_COMMON_QUEUE_SIZE, 2), 16);
	assert_int_equal(fake_virtio_get(v, VIRTIO_COMMON_QUEUE_DESC, 8), v->vq[0].desc);
	assert_int_equal(fake_virtio_get(v, VIRTIO_COMMON_QUEUE_ENABLE, 2), 1);
	/* There are two. */
	fake_virtio_put(v, VIRTIO_COMMON_QUEUE_SELECT, 2, 2);
	assert_int_equal(fake_virtio_get(v, VIRTIO_COMMON_QUEUE_SIZE, 2), 0);
	fake_virtio_put(v, VIRTIO_COMMON_QUEUE_ENABLE, 2, 1);
	fake_virtio_put(v, VIRTIO_COMMON_QUEUE_SELECT, 2, 0xffff);
	assert_int_equal(fake_virtio_get(v, VIRTIO_COMMON_QUEUE_ENABLE, 2), 0);
}

static void registers_are_reached_through_config_space_too(void **state)
{
	struct fixture *f = *state;
	struct fake_pci *pci = &f->v.pci;
	uint8_t cap = (uint8_t)fake_cfg_read(pci, FAKE_VIRTIO_RID, PCI_CAP_PTR, 1);
	uint16_t at;

	while ((fake_cfg_read(pci, FAKE_VIRTIO_RID, cap, 4) & 0xff0000ff) !=
	       ((uint32_t)VIRTIO_PCI_CAP_PCI_CFG << 24 | PCI_CAP_VENDOR))
		cap = (uint8_t)fake_cfg_read(pci, FAKE_VIRTIO_RID, cap + 1, 1);
	at = cap + VIRTIO_PCI_CAP_AT_MORE;
	fake_cfg_write(pci, FAKE_VIRTIO_RID, cap + VIRTIO_PCI_CAP_AT_OFFSET, 4,
		       f->v.common - FAKE_VIRTIO_BAR + VIRTIO_COMMON_STATUS);
	fake_cfg_write(pci, FAKE_VIRTIO_RID, cap + VIRTIO_PCI_CAP_AT_LENGTH, 4, 1);
	fake_cfg_write(pci, FAKE_VIRTIO_RID, at, 1, VIRTIO_ACKNOWLEDGE);
	assert_int_equal(fake_virtio_status(&f->v), VIRTIO_ACKNOWLEDGE);
	fake_virtio_put(&f->v, VIRTIO_COMMON_STATUS, 1, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
	assert_int_equal(fake_cfg_read(pci, FAKE_VIRTIO_RID, at, 1),
			 VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
	/* Beyond the BAR, and of lengths that cannot be: nothing happens. */
	for (uint32_t len = 0; len < 8; len++) {
		fake_cfg_write(pci, FAKE_VIRTIO_RID, cap + VIRTIO_PCI_CAP_AT_LENGTH, 4, len);
		fake_cfg_write(pci, FAKE_VIRTIO_RID, cap + VIRTIO_PCI_CAP_AT_OFFSET, 4, 0x3fff);
		fake_cfg_write(pci, FAKE_VIRTIO_RID, at, 4, 0);
		fake_cfg_write(pci, FAKE_VIRTIO_RID, cap + VIRTIO_PCI_CAP_AT_OFFSET, 4, 0xfffffffc);
		fake_cfg_write(pci, FAKE_VIRTIO_RID, at, 4, 0);
		fake_cfg_read(pci, FAKE_VIRTIO_RID, at, 4);
	}
	fake_cfg_write(pci, FAKE_VIRTIO_RID, cap + VIRTIO_PCI_CAP_AT_BAR, 1, 7);
	fake_cfg_write(pci, FAKE_VIRTIO_RID, cap + VIRTIO_PCI_CAP_AT_OFFSET, 4, 0);
	fake_cfg_write(pci, FAKE_VIRTIO_RID, at, 4, 0);
	assert_int_equal(fake_virtio_status(&f->v), VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
}

static void without_msix_the_pin_says_so_until_isr_is_read(void **state)
{
	struct fixture *f = *state;
	unsigned int pin = (unsigned int)pci_function_intx_pin(virtio_pci_function(f->v.dev));

	fake_virtio_reset(&f->v);
	assert_true(fake_virtio_negotiate(&f->v, V1));
	fake_virtio_queue(&f->v, 0, 8);
	fake_virtio_driver_ok(&f->v);
	assert_false(fake_pin(&f->v.pci.machine, pin));
	assert_int_equal(ask(f, VIRTIO_BLK_T_OUT, 0, f->data, 512), VIRTIO_BLK_S_OK);
	assert_true(fake_pin(&f->v.pci.machine, pin));
	assert_int_equal(fake_bus_read(&f->v.pci.machine, BUS_MMIO, f->v.isr, 1), VIRTIO_ISR_QUEUE);
	assert_false(fake_pin(&f->v.pci.machine, pin));
	assert_int_equal(fake_bus_read(&f->v.pci.machine, BUS_MMIO, f->v.isr, 1), 0);
}

/* ---- rings ---- */

static const uint64_t layouts[] = { V1, V1 | EVENT, V1 | INDIR, V1 | INDIR | EVENT };

static void data_goes_both_ways_on_every_kind_of_ring(void **state)
{
	struct fixture *f = *state;

	for (unsigned int i = 0; i < 2 * ARRAY_SIZE(layouts); i++) {
		uint64_t features = layouts[i / 2] | (i & 1 ? PACKED : 0);
		bool indirect = features & INDIR;
		uint32_t written;

		f->v.next = f->status + PAGE_SIZE;
		fake_virtio_start(&f->v, features, 2, 8);
		/* Enough to go round the ring several times, in both wraps. */
		for (unsigned int n = 0; n < 40; n++) {
			uint8_t *data = f->v.mem + f->data;

			memset(data, (int)(n + i), 4096);
			send(f, n & 1, VIRTIO_BLK_T_OUT, n * 8, f->data, 4096, indirect);
			assert_int_equal(got(f, n & 1, &written), VIRTIO_BLK_S_OK);
			assert_int_equal(written, 1);
			memset(data, 0, 4096);
			send(f, n & 1, VIRTIO_BLK_T_IN, n * 8, f->data, 4096, indirect);
			assert_int_equal(got(f, n & 1, &written), VIRTIO_BLK_S_OK);
			assert_int_equal(written, 4097);
			for (unsigned int b = 0; b < 4096; b++)
				assert_int_equal(data[b], (uint8_t)(n + i));
		}
		assert_false(broken(f));
	}
}

static void each_vector_tells_of_its_own_queue(void **state)
{
	struct fixture *f = *state;
	struct fake_platform *m = &f->v.pci.machine;

	fake_virtio_start(&f->v, V1, 2, 8);
	m->nr_sent = 0;
	send(f, 1, VIRTIO_BLK_T_OUT, 0, f->data, 512, false);
	assert_int_equal(m->nr_sent, 1);
	assert_int_equal(m->sent[0].msg.data, 2);
	/* 2.7.6: not wanted now. */
	le_store(f->v.mem + f->v.vq[1].driver, 2, VIRTIO_AVAIL_NO_INTERRUPT);
	send(f, 1, VIRTIO_BLK_T_OUT, 0, f->data, 512, false);
	assert_int_equal(m->nr_sent, 1);
	le_store(f->v.mem + f->v.vq[1].driver, 2, 0);
	send(f, 1, VIRTIO_BLK_T_OUT, 0, f->data, 512, false);
	assert_int_equal(m->nr_sent, 2);
}

static void an_event_index_asks_for_one_interrupt_at_one_entry(void **state)
{
	struct fixture *f = *state;
	struct fake_platform *m = &f->v.pci.machine;
	struct fake_vq *q = &f->v.vq[0];

	fake_virtio_start(&f->v, V1 | EVENT, 1, 8);
	send(f, 0, VIRTIO_BLK_T_OUT, 0, f->data, 512, false);
	m->nr_sent = 0;
	/* Entry 3 is the fourth: two more pass in silence. */
	le_store(f->v.mem + q->driver + 4 + 2 * 8, 2, 3);
	send(f, 0, VIRTIO_BLK_T_OUT, 0, f->data, 512, false);
	send(f, 0, VIRTIO_BLK_T_OUT, 0, f->data, 512, false);
	assert_int_equal(m->nr_sent, 0);
	send(f, 0, VIRTIO_BLK_T_OUT, 0, f->data, 512, false);
	assert_int_equal(m->nr_sent, 1);
	send(f, 0, VIRTIO_BLK_T_OUT, 0, f->data, 512, false);
	assert_int_equal(m->nr_sent, 1);
	/* And the device asks to be told of the next buffer. */
	assert_int_equal(le_load(f->v.mem + q->device + 4 + 8 * 8, 2), 5);

	fake_virtio_start(&f->v, V1 | EVENT | PACKED, 1, 4);
	send(f, 0, VIRTIO_BLK_T_OUT, 0, f->data, 512, false);
	m->nr_sent = 0;
	/* Slot 2 of the second round: three more requests of three slots each reach beyond it. */
	le_store(f->v.mem + q->driver, 2, 2);
	le_store(f->v.mem + q->driver + 2, 2, VIRTIO_EVENT_DESC);
	got(f, 0, NULL);
	send(f, 0, VIRTIO_BLK_T_OUT, 0, f->data, 512, false); /* slots 3, 0, 1 */
	got(f, 0, NULL);
	assert_int_equal(m->nr_sent, 0);
	send(f, 0, VIRTIO_BLK_T_OUT, 0, f->data, 512, false); /* slots 2, 3, 0 */
	assert_int_equal(m->nr_sent, 1);
	/* 9 slots: slot 1 of the third round is next, in the wrap that the first was in. */
	got(f, 0, NULL);
	assert_int_equal(le_load(f->v.mem + q->device, 2), 1 | VIRTIO_EVENT_WRAP);
	le_store(f->v.mem + q->driver + 2, 2, VIRTIO_EVENT_DISABLE);
	send(f, 0, VIRTIO_BLK_T_OUT, 0, f->data, 512, false);
	assert_int_equal(m->nr_sent, 1);
}

static void a_full_round_in_one_batch_is_told_of(void **state)
{
	struct fixture *f = *state;
	const struct fake_piece piece[] = { { f->header, 16, false }, { f->status, 1, true } };
	uint16_t id;
	uint32_t len;

	fake_virtio_start(&f->v, V1 | EVENT | PACKED, 1, 8);
	header(f, VIRTIO_BLK_T_FLUSH, 0);
	for (unsigned int round = 0; round < 3; round++) {
		/* Wanted at the round's first slot. */
		le_store(f->v.mem + f->v.vq[0].driver, 2, round & 1 ? 0 : VIRTIO_EVENT_WRAP);
		le_store(f->v.mem + f->v.vq[0].driver + 2, 2, VIRTIO_EVENT_DESC);
		for (unsigned int i = 0; i < 4; i++)
			fake_virtio_add(&f->v, 0, piece, 2, false);
		f->v.pci.machine.nr_sent = 0;
		fake_virtio_kick(&f->v, 0);
		for (unsigned int i = 0; i < 4; i++)
			assert_true(fake_virtio_used(&f->v, 0, &id, &len));
		assert_int_equal(f->v.pci.machine.nr_sent, 1);
	}
}

static void requests_end_in_any_order_unless_order_was_promised(void **state)
{
	struct fixture *f = *state;

	for (unsigned int i = 0; i < 4; i++) {
		uint64_t features = V1 | (i & 1 ? PACKED : 0) | (i & 2 ? ORDER : 0);
		uint16_t ids[3], id;
		uint32_t len;

		f->v.next = f->status + PAGE_SIZE;
		fake_virtio_start(&f->v, features, 1, 16);
		for (unsigned int n = 0; n < 3; n++)
			ids[n] = send(f, 0, VIRTIO_BLK_T_OUT, n, f->data, 512, false);
		assert_int_equal(f->slow.nr, 3);
		end(f, 2, 0);
		end(f, 0, 0);
		if (features & ORDER) {
			assert_true(fake_virtio_used(&f->v, 0, &id, &len));
			assert_int_equal(id, ids[0]);
			assert_false(fake_virtio_used(&f->v, 0, &id, &len));
			end(f, 0, 0);
			assert_true(fake_virtio_used(&f->v, 0, &id, &len));
			assert_int_equal(id, ids[1]);
			assert_true(fake_virtio_used(&f->v, 0, &id, &len));
			assert_int_equal(id, ids[2]);
			continue;
		}
		assert_true(fake_virtio_used(&f->v, 0, &id, &len));
		assert_int_equal(id, ids[2]);
		assert_true(fake_virtio_used(&f->v, 0, &id, &len));
		assert_int_equal(id, ids[0]);
		end(f, 0, 0);
	}
}

static void without_mastering_nothing_moves_and_nothing_breaks(void **state)
{
	struct fixture *f = *state;

	fake_virtio_start(&f->v, V1, 1, 8);
	fake_cfg_write(&f->v.pci, FAKE_VIRTIO_RID, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	send(f, 0, VIRTIO_BLK_T_OUT, 0, f->data, 512, false);
	assert_int_equal(f->block->stats.nr[BLOCK_WRITE], 0);
	assert_false(broken(f));
	fake_cfg_write(&f->v.pci, FAKE_VIRTIO_RID, PCI_COMMAND, 2,
		       PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	fake_virtio_kick(&f->v, 0);
	assert_int_equal(got(f, 0, NULL), VIRTIO_BLK_S_OK);
}

/* ---- drivers that break the rules ---- */

/* Each writes one thing wrong into ring 0 of 8 entries with a good request in it. */
static void loop_of_descriptors(struct fixture *f)
{
	le_store(f->v.mem + f->v.vq[0].desc + 16 * 1 + 14, 2, 0);
}

static void next_outside(struct fixture *f)
{
	le_store(f->v.mem + f->v.vq[0].desc + 16 * 1 + 14, 2, 8);
}

static void head_outside(struct fixture *f)
{
	le_store(f->v.mem + f->v.vq[0].driver + 4, 2, 8);
}

static void too_many_heads(struct fixture *f)
{
	le_store(f->v.mem + f->v.vq[0].driver + 2, 2, 9);
}

static void readable_after_writable(struct fixture *f)
{
	le_store(f->v.mem + f->v.vq[0].desc + 12, 2, VIRTIO_DESC_NEXT | VIRTIO_DESC_WRITE);
}

static void indirect_and_next(struct fixture *f)
{
	le_store(f->v.mem + f->v.vq[0].desc + 12, 2, VIRTIO_DESC_NEXT | VIRTIO_DESC_INDIR);
}

static void indirect_of_odd_length(struct fixture *f)
{
	le_store(f->v.mem + f->v.vq[0].desc + 12, 2, VIRTIO_DESC_INDIR);
	le_store(f->v.mem + f->v.vq[0].desc + 8, 4, 17);
}

static void indirect_too_long(struct fixture *f)
{
	le_store(f->v.mem + f->v.vq[0].desc + 12, 2, VIRTIO_DESC_INDIR);
	le_store(f->v.mem + f->v.vq[0].desc + 8, 4, 16 * (VIRTIO_PIECES_MAX + 1));
}

static void indirect_outside(struct fixture *f)
{
	le_store(f->v.mem + f->v.vq[0].desc + 12, 2, VIRTIO_DESC_INDIR);
	le_store(f->v.mem + f->v.vq[0].desc, 8, UINT64_MAX - 15);
}

static void indirect_in_indirect(struct fixture *f)
{
	le_store(f->v.mem + f->v.vq[0].desc + 12, 2, VIRTIO_DESC_INDIR);
	le_store(f->v.mem + f->v.vq[0].desc, 8, f->data);
	memset(f->v.mem + f->data, 0, 16);
	le_store(f->v.mem + f->data + 12, 2, VIRTIO_DESC_INDIR);
}

static void no_status(struct fixture *f)
{
	le_store(f->v.mem + f->v.vq[0].desc + 12, 2, 0);
}

static void no_header(struct fixture *f)
{
	le_store(f->v.mem + f->v.vq[0].desc + 8, 4, 15);
	le_store(f->v.mem + f->v.vq[0].desc + 16 + 8, 4, 0);
}

static struct fake_piece out_512(struct fixture *f, unsigned int i)
{
	const struct fake_piece piece[] = { { f->header, 16, false },
					    { f->data, 512, false },
					    { f->status, 1, true } };

	return piece[i];
}

static void a_split_ring_that_is_wrong_needs_a_reset_and_no_more(void **state)
{
	static void (*const wrong[])(struct fixture *) = {
		loop_of_descriptors,
		next_outside,
		head_outside,
		too_many_heads,
		readable_after_writable,
		indirect_and_next,
		indirect_of_odd_length,
		indirect_too_long,
		indirect_outside,
		indirect_in_indirect,
		no_status,
		no_header,
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		const struct fake_piece piece[] = { out_512(f, 0), out_512(f, 1), out_512(f, 2) };
		unsigned int sent;
		uint32_t len;
		uint16_t id;

		f->v.next = f->status + PAGE_SIZE;
		fake_virtio_start(&f->v, V1 | INDIR, 1, 8);
		header(f, VIRTIO_BLK_T_OUT, 0);
		fake_virtio_add(&f->v, 0, piece, 3, false);
		wrong[i](f);
		sent = f->v.pci.machine.nr_sent;
		fake_virtio_kick(&f->v, 0);
		assert_true(broken(f));
		assert_int_equal(f->v.pci.machine.nr_sent, sent + 1);
		assert_int_equal(f->v.pci.machine.sent[sent].msg.data, 0);
		assert_false(fake_virtio_used(&f->v, 0, &id, &len));
		/* Nothing more until it is reset, and then all is well. */
		fake_virtio_kick(&f->v, 0);
		assert_int_equal(f->block->stats.nr[BLOCK_WRITE], i);
		fake_virtio_start(&f->v, V1, 1, 8);
		assert_int_equal(ask(f, VIRTIO_BLK_T_OUT, 0, f->data, 512), VIRTIO_BLK_S_OK);
		assert_int_equal(f->block->stats.nr[BLOCK_WRITE], i + 1);
	}
}

static void a_packed_ring_that_is_wrong_needs_a_reset_and_no_more(void **state)
{
	struct fixture *f = *state;

	for (unsigned int i = 0; i < 4; i++) {
		const struct fake_piece piece[] = { out_512(f, 0), out_512(f, 1), out_512(f, 2) };
		uint64_t desc;

		f->v.next = f->status + PAGE_SIZE;
		fake_virtio_start(&f->v, V1 | INDIR | PACKED, 1, 3);
		header(f, VIRTIO_BLK_T_OUT, 0);
		fake_virtio_add(&f->v, 0, piece, 3, false);
		desc = f->v.vq[0].desc;
		switch (i) {
		case 0: /* a list as long as the ring that does not end */
			f->v.mem[desc + 2 * 16 + 14] |= VIRTIO_DESC_NEXT;
			break;
		case 1: /* an indirect one in the middle */
			f->v.mem[desc + 16 + 14] |= VIRTIO_DESC_INDIR;
			break;
		case 2: /* a readable one behind a writable one */
			f->v.mem[desc + 14] |= VIRTIO_DESC_WRITE;
			break;
		case 3: /* a table that is not there */
			f->v.mem[desc + 14] |= VIRTIO_DESC_INDIR;
			f->v.mem[desc + 14] &= (uint8_t)~VIRTIO_DESC_NEXT;
			le_store(f->v.mem + desc, 8, OUTSIDE);
			break;
		}
		fake_virtio_kick(&f->v, 0);
		assert_true(broken(f));
		assert_int_equal(f->block->stats.nr[BLOCK_WRITE], i);
		fake_virtio_start(&f->v, V1 | PACKED, 1, 3);
		assert_int_equal(ask(f, VIRTIO_BLK_T_OUT, 0, f->data, 512), VIRTIO_BLK_S_OK);
	}
}

static void rings_that_are_not_memory_need_a_reset(void **state)
{
	static const struct {
		uint32_t field;
		uint64_t at;
	} places[] = {
		{ VIRTIO_COMMON_QUEUE_DESC, OUTSIDE },
		{ VIRTIO_COMMON_QUEUE_DESC, 8 },
		{ VIRTIO_COMMON_QUEUE_DRIVER, OUTSIDE },
		{ VIRTIO_COMMON_QUEUE_DRIVER, 0x1001 },
		{ VIRTIO_COMMON_QUEUE_DEVICE, OUTSIDE },
		{ VIRTIO_COMMON_QUEUE_DEVICE, 0x1002 },
		{ VIRTIO_COMMON_QUEUE_DESC, UINT64_MAX & ~15ull },
		{ VIRTIO_COMMON_QUEUE_DEVICE, FAKE_VIRTIO_RAM - 4 },
	};
	struct fixture *f = *state;

	for (unsigned int i = 0; i < 2 * ARRAY_SIZE(places); i++) {
		struct fake_vq *q = &f->v.vq[0];

		f->v.next = f->status + PAGE_SIZE;
		fake_virtio_reset(&f->v);
		assert_true(fake_virtio_negotiate(&f->v, V1 | (i & 1 ? PACKED : 0)));
		*q = (struct fake_vq){ .size = 8, .avail_wrap = true, .used_wrap = true };
		q->desc = fake_virtio_alloc(&f->v, 128);
		q->driver = fake_virtio_alloc(&f->v, 64);
		q->device = fake_virtio_alloc(&f->v, 128);
		fake_virtio_put(&f->v, VIRTIO_COMMON_QUEUE_SELECT, 2, 0);
		fake_virtio_put(&f->v, VIRTIO_COMMON_QUEUE_SIZE, 2, 8);
		fake_virtio_put(&f->v, VIRTIO_COMMON_QUEUE_DESC, 8, q->desc);
		fake_virtio_put(&f->v, VIRTIO_COMMON_QUEUE_DRIVER, 8, q->driver);
		fake_virtio_put(&f->v, VIRTIO_COMMON_QUEUE_DEVICE, 8, q->device);
		fake_virtio_put(&f->v, places[i / 2].field, 8, places[i / 2].at);
		fake_virtio_put(&f->v, VIRTIO_COMMON_QUEUE_ENABLE, 2, 1);
		fake_virtio_driver_ok(&f->v);
		send(f, 0, VIRTIO_BLK_T_OUT, 0, f->data, 512, false);
		/* A packed device area of 4 bytes fits where a used ring does not. */
		if (!(i & 1) || places[i / 2].at != FAKE_VIRTIO_RAM - 4)
			assert_true(broken(f));
	}
}

/* ---- the disk ---- */

static void what_the_disk_cannot_do_is_answered_in_its_status(void **state)
{
	struct fixture *f = *state;
	struct virtio_blk_segment segment = { .nr_sectors = le32_make(8) };

	fake_virtio_start(&f->v, ALL & ~PACKED, 1, 8);
	assert_int_equal(ask(f, VIRTIO_BLK_T_OUT, DISK / 512, f->data, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask(f, VIRTIO_BLK_T_IN, DISK / 512 - 1, f->data, 1024),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask(f, VIRTIO_BLK_T_IN, UINT64_MAX, f->data, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask(f, VIRTIO_BLK_T_IN, BIT64(55), f->data, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask(f, VIRTIO_BLK_T_OUT, 0, f->data, 511), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask(f, VIRTIO_BLK_T_OUT, 0, 0, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask(f, VIRTIO_BLK_T_OUT, 0, OUTSIDE, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask(f, VIRTIO_BLK_T_IN, 0, FAKE_VIRTIO_RAM - 256, 512),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask(f, 99, 0, f->data, 512), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(ask(f, VIRTIO_BLK_T_FLUSH, 0, 0, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(ask(f, VIRTIO_BLK_T_GET_ID, 0, f->data, 20), VIRTIO_BLK_S_OK);
	assert_memory_equal(f->v.mem + f->data, "0123456789abcdefghij", 20);
	assert_int_equal(ask(f, VIRTIO_BLK_T_GET_ID, 0, f->data, 19), VIRTIO_BLK_S_IOERR);
	/* 5.2.6.2 */
	segment.flags = le32_make(VIRTIO_BLK_SEGMENT_UNMAP);
	memcpy(f->v.mem + f->data, &segment, sizeof(segment));
	assert_int_equal(ask(f, VIRTIO_BLK_T_DISCARD, 0, f->data, 16), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(ask(f, VIRTIO_BLK_T_WRITE_ZEROES, 0, f->data, 16), VIRTIO_BLK_S_OK);
	segment.flags = le32_make(2);
	memcpy(f->v.mem + f->data, &segment, sizeof(segment));
	assert_int_equal(ask(f, VIRTIO_BLK_T_WRITE_ZEROES, 0, f->data, 16), VIRTIO_BLK_S_UNSUPP);
	segment.flags = le32_make(0);
	segment.sector = le64_make(DISK / 512 - 7);
	memcpy(f->v.mem + f->data, &segment, sizeof(segment));
	assert_int_equal(ask(f, VIRTIO_BLK_T_DISCARD, 0, f->data, 16), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask(f, VIRTIO_BLK_T_DISCARD, 0, f->data, 32), VIRTIO_BLK_S_IOERR);
	assert_false(broken(f));
	/* Not agreed on: not there. */
	fake_virtio_start(&f->v, V1, 1, 8);
	assert_int_equal(ask(f, VIRTIO_BLK_T_DISCARD, 0, f->data, 16), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(f->block->stats.nr[BLOCK_DISCARD], 0);
}

static void the_hosts_failure_is_the_requests_own(void **state)
{
	struct fixture *f = *state;

	fake_virtio_start(&f->v, V1, 1, 8);
	send(f, 0, VIRTIO_BLK_T_OUT, 0, f->data, 512, false);
	end(f, 0, -ENOSPC);
	assert_int_equal(got(f, 0, NULL), VIRTIO_BLK_S_IOERR);
	send(f, 0, VIRTIO_BLK_T_OUT, 0, f->data, 512, false);
	end(f, 0, 0);
	assert_int_equal(got(f, 0, NULL), VIRTIO_BLK_S_OK);
}

static void a_driver_that_cannot_flush_gets_durable_writes(void **state)
{
	struct fixture *f = *state;
	uint64_t wce = BIT64(VIRTIO_BLK_F_CONFIG_WCE);
	uint64_t writeback = f->v.config + VIRTIO_BLK_WRITEBACK;

	fake_virtio_start(&f->v, V1, 1, 16);
	send(f, 0, VIRTIO_BLK_T_OUT, 0, f->data, 512, false);
	assert_int_equal(f->slow.flags, BLOCK_FUA);
	end(f, 0, 0);
	fake_virtio_start(&f->v, V1 | FLUSH, 1, 16);
	send(f, 0, VIRTIO_BLK_T_OUT, 0, f->data, 512, false);
	assert_int_equal(f->slow.flags, 0);
	end(f, 0, 0);
	/* 5.2.5.2 */
	fake_virtio_start(&f->v, V1 | wce, 1, 16);
	assert_int_equal(fake_bus_read(&f->v.pci.machine, BUS_MMIO, writeback, 1), 0);
	fake_virtio_start(&f->v, V1 | FLUSH | wce, 1, 16);
	assert_int_equal(fake_bus_read(&f->v.pci.machine, BUS_MMIO, writeback, 1), 1);
	fake_bus_write(&f->v.pci.machine, BUS_MMIO, writeback, 1, 0);
	send(f, 0, VIRTIO_BLK_T_OUT, 0, f->data, 512, false);
	assert_int_equal(f->slow.flags, BLOCK_FUA);
	end(f, 0, 0);
	fake_bus_write(&f->v.pci.machine, BUS_MMIO, writeback, 1, 3);
	assert_int_equal(fake_bus_read(&f->v.pci.machine, BUS_MMIO, writeback, 1), 1);
	/* The rest of config is the device's. */
	fake_bus_write(&f->v.pci.machine, BUS_MMIO, f->v.config, 4, 0);
	assert_int_equal(fake_bus_read(&f->v.pci.machine, BUS_MMIO, f->v.config, 4), DISK / 512);
}

static void a_reset_waits_for_what_the_disk_is_doing(void **state)
{
	struct fixture *f = *state;

	fake_virtio_start(&f->v, V1, 2, 8);
	send(f, 0, VIRTIO_BLK_T_IN, 0, f->data, 512, false);
	send(f, 1, VIRTIO_BLK_T_OUT, 0, f->data, 512, false);
	fake_virtio_put(&f->v, VIRTIO_COMMON_STATUS, 1, 0);
	/* Not over: the driver must wait, and what it writes meanwhile is lost. */
	assert_true(fake_virtio_status(&f->v) & VIRTIO_DRIVER_OK);
	assert_int_equal(f->slow.nr, 2);
	fake_virtio_settle(&f->v);
	assert_int_equal(fake_virtio_status(&f->v), 0);
	assert_int_equal(f->slow.nr, 0);
	assert_int_equal(f->slow.nr_cancels, 2);
	assert_int_equal(fake_virtio_get(&f->v, VIRTIO_COMMON_QUEUE_ENABLE, 2), 0);
	fake_virtio_start(&f->v, V1, 1, 8);
	send(f, 0, VIRTIO_BLK_T_OUT, 0, f->data, 512, false);
	end(f, 0, 0);
	assert_int_equal(got(f, 0, NULL), VIRTIO_BLK_S_OK);
}

static void one_queue_is_reset_while_the_other_runs(void **state)
{
	struct fixture *f = *state;

	fake_virtio_start(&f->v, V1 | RING, 2, 8);
	send(f, 0, VIRTIO_BLK_T_OUT, 0, f->data, 512, false);
	fake_virtio_put(&f->v, VIRTIO_COMMON_QUEUE_SELECT, 2, 0);
	fake_virtio_put(&f->v, VIRTIO_COMMON_QUEUE_RESET, 2, 1);
	assert_int_equal(fake_virtio_get(&f->v, VIRTIO_COMMON_QUEUE_RESET, 2), 1);
	assert_int_equal(fake_virtio_get(&f->v, VIRTIO_COMMON_QUEUE_ENABLE, 2), 1);
	fake_virtio_settle(&f->v);
	assert_int_equal(fake_virtio_get(&f->v, VIRTIO_COMMON_QUEUE_RESET, 2), 0);
	assert_int_equal(fake_virtio_get(&f->v, VIRTIO_COMMON_QUEUE_ENABLE, 2), 0);
	assert_int_equal(f->slow.nr, 0);
	send(f, 1, VIRTIO_BLK_T_OUT, 0, f->data, 512, false);
	end(f, 0, 0);
	assert_int_equal(got(f, 1, NULL), VIRTIO_BLK_S_OK);
	/* Another ring, of another size. */
	fake_virtio_queue(&f->v, 0, 32);
	fake_virtio_settle(&f->v);
	send(f, 0, VIRTIO_BLK_T_OUT, 0, f->data, 512, false);
	end(f, 0, 0);
	assert_int_equal(got(f, 0, NULL), VIRTIO_BLK_S_OK);
	assert_false(broken(f));
}

/* As the IOMMU does when the driver unmaps what the disk is filling. */
static void memory_that_is_wanted_back_is_let_go_and_the_request_stands(void **state)
{
	struct fixture *f = *state;
	struct pci_function *fn = virtio_pci_function(f->v.dev);

	fake_virtio_start(&f->v, V1, 1, 8);
	send(f, 0, VIRTIO_BLK_T_IN, 0, f->data, 4096, false);
	assert_non_null(fn->requester->holds);
	assert_int_equal(fn->requester->holds->first, f->data);
	assert_int_equal(fn->requester->holds->last, f->data + 4095);
	fn->requester->holds->revoke(fn->requester->holds);
	fake_virtio_settle(&f->v);
	assert_int_equal(f->slow.nr_cancels, 1);
	assert_null(fn->requester->holds);
	/* It goes on in a buffer, and is copied at the end. */
	assert_int_equal(f->slow.nr, 1);
	assert_ptr_not_equal(f->slow.waiting[0]->iov[0].iov_base, f->v.mem + f->data);
	end(f, 0, 0);
	assert_int_equal(got(f, 0, NULL), VIRTIO_BLK_S_OK);
	for (unsigned int i = 0; i < 4096; i++)
		assert_int_equal(f->v.mem[f->data + i], 0x5a);
}

static void more_pieces_than_the_disk_takes_go_by_slices(void **state)
{
	struct fixture *f = *state;
	struct fake_piece piece[40];
	uint32_t len;
	uint16_t id;

	fake_virtio_start(&f->v, V1 | INDIR, 1, 8);
	header(f, VIRTIO_BLK_T_IN, 0);
	piece[0] = out_512(f, 0);
	for (unsigned int i = 1; i < 39; i++)
		piece[i] = (struct fake_piece){ f->data + 1024 * i, 512, true };
	piece[39] = out_512(f, 2);
	fake_virtio_add(&f->v, 0, piece, 40, true);
	fake_virtio_kick(&f->v, 0);
	assert_int_equal(f->slow.nr, 1);
	assert_int_equal(f->slow.waiting[0]->nr_iov, 1);
	assert_int_equal(f->slow.waiting[0]->len, 38 * 512);
	end(f, 0, 0);
	assert_true(fake_virtio_used(&f->v, 0, &id, &len));
	assert_int_equal(len, 38 * 512 + 1);
	for (unsigned int i = 1; i < 39; i++) {
		assert_int_equal(f->v.mem[f->data + 1024 * i + 511], 0x5a);
		assert_int_equal(f->v.mem[f->data + 1024 * i + 512], 0);
	}
	/* 1.5 MiB is more than it takes at once: six slices. */
	f->slow.status = 0;
	piece[1] = (struct fake_piece){ MIB(4), MIB(1) + KIB(512), true };
	piece[2] = out_512(f, 2);
	fake_virtio_add(&f->v, 0, piece, 3, true);
	fake_virtio_kick(&f->v, 0);
	for (unsigned int i = 0; i < 6; i++) {
		assert_int_equal(f->slow.waiting[0]->offset, i * KIB(256));
		end(f, 0, 0);
	}
	assert_true(fake_virtio_used(&f->v, 0, &id, &len));
	assert_int_equal(f->v.mem[MIB(4) + MIB(1) + KIB(512) - 1], 0x5a);
}

static void a_saved_device_goes_on_where_it_was(void **state)
{
	struct fixture *f = *state;
	struct state_writer w;
	struct state_reader r;

	for (unsigned int i = 0; i < 2; i++) {
		f->v.next = f->status + PAGE_SIZE;
		fake_virtio_start(&f->v, ALL & ~(i ? 0 : PACKED), 2, 8);
		for (unsigned int n = 0; n < 5; n++)
			assert_int_equal(ask(f, VIRTIO_BLK_T_OUT, n, f->data, 512),
					 VIRTIO_BLK_S_OK);
		state_writer_init(&w);
		f->v.dev->ops->quiesce(f->v.dev);
		f->v.dev->ops->save(f->v.dev, &w);
		assert_int_equal(state_writer_status(&w), 0);
		f->v.dev->ops->resume(f->v.dev);
		f->v.dev->ops->reset(f->v.dev);
		lock_take(pci_fabric_lock(f->v.pci.fabric));
		pci_function_reset(virtio_pci_function(f->v.dev));
		lock_drop(pci_fabric_lock(f->v.pci.fabric));
		/* Cut anywhere it is refused. */
		for (size_t len = 0; len < w.len; len += 7) {
			state_reader_init(&r, w.data, len);
			f->v.dev->ops->quiesce(f->v.dev);
			assert_true(f->v.dev->ops->load(f->v.dev, &r) < 0);
			f->v.dev->ops->resume(f->v.dev);
			f->v.dev->ops->reset(f->v.dev);
			lock_take(pci_fabric_lock(f->v.pci.fabric));
			pci_function_reset(virtio_pci_function(f->v.dev));
			lock_drop(pci_fabric_lock(f->v.pci.fabric));
		}
		state_reader_init(&r, w.data, w.len);
		f->v.dev->ops->quiesce(f->v.dev);
		assert_int_equal(f->v.dev->ops->load(f->v.dev, &r), 0);
		f->v.dev->ops->resume(f->v.dev);
		assert_true(fake_virtio_status(&f->v) & VIRTIO_DRIVER_OK);
		assert_int_equal(ask(f, VIRTIO_BLK_T_IN, 0, f->data, 512), VIRTIO_BLK_S_OK);
		assert_false(broken(f));
		state_writer_fini(&w);
	}
}

static void a_read_only_disk_says_so_and_refuses(void **state)
{
	struct fixture *f = *state;

	fake_virtio_start(&f->v, V1, 1, 8);
	f->block->readonly = true;
	assert_int_equal(ask(f, VIRTIO_BLK_T_OUT, 0, f->data, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask(f, VIRTIO_BLK_T_IN, 0, f->data, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(f->block->stats.nr[BLOCK_WRITE], 0);
	f->block->readonly = false;
}

#define RAM(test)  cmocka_unit_test_setup_teardown(test, setup, teardown)
#define SLOW(test) cmocka_unit_test_setup_teardown(test, setup_slow, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RAM(the_function_is_what_modern_drivers_look_for),
		RAM(features_that_do_not_fit_are_not_agreed_on),
		RAM(nothing_runs_before_features_are_agreed_on),
		RAM(a_queues_registers_take_what_fits_and_freeze_when_enabled),
		RAM(registers_are_reached_through_config_space_too),
		RAM(without_msix_the_pin_says_so_until_isr_is_read),
		RAM(data_goes_both_ways_on_every_kind_of_ring),
		RAM(each_vector_tells_of_its_own_queue),
		RAM(an_event_index_asks_for_one_interrupt_at_one_entry),
		RAM(a_full_round_in_one_batch_is_told_of),
		SLOW(requests_end_in_any_order_unless_order_was_promised),
		RAM(without_mastering_nothing_moves_and_nothing_breaks),
		RAM(a_split_ring_that_is_wrong_needs_a_reset_and_no_more),
		RAM(a_packed_ring_that_is_wrong_needs_a_reset_and_no_more),
		RAM(rings_that_are_not_memory_need_a_reset),
		RAM(what_the_disk_cannot_do_is_answered_in_its_status),
		SLOW(the_hosts_failure_is_the_requests_own),
		SLOW(a_driver_that_cannot_flush_gets_durable_writes),
		SLOW(a_reset_waits_for_what_the_disk_is_doing),
		SLOW(one_queue_is_reset_while_the_other_runs),
		SLOW(memory_that_is_wanted_back_is_let_go_and_the_request_stands),
		SLOW(more_pieces_than_the_disk_takes_go_by_slices),
		RAM(a_saved_device_goes_on_where_it_was),
		RAM(a_read_only_disk_says_so_and_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
