// SPDX-License-Identifier: GPL-2.0-or-later
/* A VT-d unit in a stream: it goes on where it was, and takes nothing a guest could not have made. */
#include "vtd_world.h"

static struct vtd_config config(void)
{
	struct vtd_config c = vtd_world_config();

	c.boot_block = true;
	return c;
}

/* A unit in the middle of its work: translating, remapping, a fault pending, an event masked. */
static struct vtd_world *busy(void)
{
	struct vtd_world *v = vtd_world_create(config());

	vtd_world_legacy(v);
	world_ss(&v->w, v->ss, 4, 1, 0x1000, 0x5000 | R);
	reg_write(v, VTD_IRTA, 8, v->irt | 0x807);
	gcmd(v, GCMD_SIRTP, 0);
	gcmd(v, GCMD_IRE, 0);
	world_set(&v->w, v->irt + 16 * 3 + 8, RID | 1ull << 18);
	world_set(&v->w, v->irt + 16 * 3, 1 | 0x41 << 16);
	reg_write(v, VTD_PLMBASE, 4, MIB(4));
	reg_write(v, VTD_PLMLIMIT, 4, MIB(6));
	reg_write(v, VTD_PMEN, 4, 0x80000000);
	reg_write(v, VTD_FEADDR, 4, 0xfee03000);
	reg_write(v, VTD_FEDATA, 4, 0x33);
	assert_true(submit(v, INV_TLB_GLOBAL, 0));
	assert_int_equal(dma(v, 0x2000, IOMMU_READ), -EFAULT);
	put_desc(v, 5 | 0x10, 0);
	ring(v);
	return v;
}

static void save(struct vtd_world *v, struct state_writer *w)
{
	state_writer_init(w);
	vtd_save(v->vtd, w);
	assert_int_equal(state_writer_status(w), 0);
}

static int load(struct vtd_world *v, const uint8_t *data, size_t len)
{
	struct state_reader r;

	state_reader_init(&r, data, len);
	return vtd_load(v->vtd, &r);
}

/* The other unit over the same memory. */
static struct vtd_world *other_of(struct vtd_world *v, struct vtd_config c)
{
	struct vtd_world *o = vtd_world_create(c);

	memcpy(o->w.ram, v->w.ram, WORLD_SIZE);
	o->tail = v->tail;
	o->wait_data = v->wait_data;
	return o;
}

static void a_loaded_unit_goes_on_where_it_was(void **state)
{
	struct vtd_world *v = busy(), *o = other_of(v, config());
	struct msi_message in = { 0xfee00010 | 3 << 5, 0 }, out;
	struct state_writer w;
	struct fault f;

	save(v, &w);
	assert_int_equal(load(o, w.data, w.len), 0);
	for (unsigned int offset = 0; offset < 0x300; offset += 4)
		assert_int_equal(reg(v, offset, 4), reg(o, offset, 4));
	assert_int_equal(dma(o, 0x1000, IOMMU_READ), 0x5000);
	assert_int_equal(iommu_interrupt(o->dev, &in, &out), 0);
	assert_int_equal(out.data, 0x41);
	gcmd(o, 0, GCMD_TE);
	assert_int_equal(dma(o, MIB(4), IOMMU_READ), -EFAULT);
	translation_on(o);
	f = fault_take(o);
	assert_int_equal(f.reason, 6);
	assert_int_equal(f.addr, 0x2000);
	assert_true(submit(o, INV_TLB_GLOBAL, 0));
	/* The event that was pending comes when it is unmasked. */
	reg_write(o, VTD_IECTL, 4, 0);
	assert_int_equal(o->nr_sent, 1);
	state_writer_fini(&w);
	vtd_world_destroy(o);
	vtd_world_destroy(v);
}

static void a_unit_of_other_abilities_refuses(void **state)
{
	struct vtd_world *v = busy(), *o;
	struct vtd_config c = config();
	struct state_writer w;

	save(v, &w);
	c.aw = 39;
	o = other_of(v, c);
	assert_int_equal(load(o, w.data, w.len), -EINVAL);
	vtd_world_destroy(o);
	c = config();
	c.nr_fault_regs = 8;
	o = other_of(v, c);
	assert_int_equal(load(o, w.data, w.len), -EINVAL);
	assert_int_equal(reg(o, VTD_GSTS, 4), 0);
	vtd_world_destroy(o);
	state_writer_fini(&w);
	vtd_world_destroy(v);
}

static void a_truncated_stream_is_refused_at_every_length(void **state)
{
	struct vtd_world *v = busy(), *o = other_of(v, config());
	struct state_writer w;

	save(v, &w);
	for (size_t len = 0; len < w.len; len++) {
		assert_true(load(o, w.data, len) < 0);
		assert_int_equal(reg(o, VTD_GSTS, 4), 0);
	}
	state_writer_fini(&w);
	vtd_world_destroy(o);
	vtd_world_destroy(v);
}

static void no_flipped_bit_breaks_the_unit(void **state)
{
	struct vtd_world *v = busy(), *o = other_of(v, config());
	struct state_writer w;
	unsigned int nr_refused = 0;

	save(v, &w);
	for (size_t bit = 0; bit < 8 * w.len; bit++) {
		uint64_t gsts;

		w.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (load(o, w.data, w.len)) {
			nr_refused++;
		} else {
			/* Taken: then it is a state a guest can be in, and works as one. */
			gsts = reg(o, VTD_GSTS, 4);
			dma(o, 0x1000, IOMMU_READ);
			submit(o, INV_TLB_GLOBAL, 0);
			assert_int_equal(reg(o, VTD_GSTS, 4), gsts);
			vtd_reset(o->vtd);
		}
		w.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_true(nr_refused > 100);
	state_writer_fini(&w);
	vtd_world_destroy(o);
	vtd_world_destroy(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_loaded_unit_goes_on_where_it_was),
		cmocka_unit_test(a_unit_of_other_abilities_refuses),
		cmocka_unit_test(a_truncated_stream_is_refused_at_every_length),
		cmocka_unit_test(no_flipped_bit_breaks_the_unit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
