// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer: the VT-d unit as a hostile guest and a hostile device see it. The input is a programme of
 * register accesses, writes to the memory that tables and queue lie in, DMA and interrupts. Nothing
 * may crash or hang; and whenever nothing can be stale, a translation must be what a second, plain
 * reading of the specification makes of the same memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iommu/ats.h"
#include "iommu/vtd.h"
#include "iommu/vtd_regs.h"

#define BASE  0x10000ull
#define PAGES 24
#define HAW   40

static uint8_t ram[PAGES * 4096] __attribute__((aligned(4096)));
static struct iommu_section section;

struct input {
	const uint8_t *p;
	size_t left;
};

static uint64_t take(struct input *in, unsigned int nr)
{
	uint64_t v = 0;

	while (nr--) {
		v = v << 8 | (in->left ? *in->p : 0);
		if (in->left) {
			in->p++;
			in->left--;
		}
	}
	return v;
}

static bool word(uint64_t addr, uint64_t *v)
{
	if (addr < BASE || addr > BASE + sizeof(ram) - 8)
		return false;
	memcpy(v, ram + (addr - BASE), 8);
	return true;
}

/* Legacy mode, second-stage: where a read of iova ends, or -1. */
static int64_t plain(struct vtd *vtd, uint16_t rid, uint64_t iova, unsigned int need)
{
	uint64_t cap = vtd_mmio_read(vtd, VTD_CAP, 8), root, low, high, table, entry = 0;
	uint64_t beyond = ~((1ull << HAW) - 1);
	unsigned int levels, level, access = 3;

	(void)cap;
	root = vtd_mmio_read(vtd, VTD_RTADDR, 8) & ~0xfffull;
	if (!word(root + 16 * (rid >> 8), &low) || !word(root + 16 * (rid >> 8) + 8, &high))
		return -1;
	if (!(low & 1) || low & (0xffe | beyond) || high)
		return -1;
	table = (low & ~0xfffull) + 16 * (rid & 0xff);
	if (!word(table, &low) || !word(table + 8, &high))
		return -1;
	if (!(low & 1) || low & (0xff0 | beyond) || high & 0xffffffffff000080)
		return -1;
	levels = (high & 7) + 2;
	if ((high & 7) < 1 || (high & 7) > 2)
		return -1;
	if (((low >> 2) & 3) == 2)
		return levels == 4 && !(iova >> HAW) ? (int64_t)iova : -1;
	if (((low >> 2) & 3) > 1)
		return -1;
	if (iova >> (12 + 9 * levels))
		return -1;
	table = low & ~0xfffull;
	for (level = levels;; level--) {
		uint64_t reserved = (beyond & 0xffffffffff000) | BIT64(11) | BIT64(62), size;
		bool leaf;

		if (!word(table + 8 * ((iova >> (12 + 9 * (level - 1))) & 511), &entry))
			return -1;
		if (!(entry & 3))
			return -1;
		leaf = level == 1 || entry & 0x80;
		if (level > 3 && entry & 0x80)
			return -1;
		size = 1ull << (12 + 9 * (level - 1));
		if (leaf && level > 1)
			reserved |= (size - 1) & ~0xfffull;
		if (entry & reserved)
			return -1;
		access &= entry & 3;
		table = entry & ((1ull << HAW) - 1) & ~0xfffull;
		if (leaf) {
			uint64_t to = (table & ~(size - 1)) | (iova & (size - 1));

			if ((access & need) != need || !access)
				return -1;
			return to >= 0xfee00000 && to <= 0xfeefffff ? -1 : (int64_t)to;
		}
		if (!access)
			return -1;
	}
}

static int64_t dma(uint32_t pasid, uint64_t iova, uint64_t len, unsigned int need)
{
	struct iommu_span spans[4];
	uint64_t covered, sum = 0;
	unsigned int nr;
	int err;

	iommu_section_begin(&section);
	err = iommu_translate(&section, pasid, iova, len, need, spans, 4, &nr, &covered);
	iommu_section_end(&section);
	if (err)
		return -1;
	for (unsigned int i = 0; i < nr; i++)
		sum += spans[i].len;
	if (sum != covered || covered > len || !nr)
		abort();
	return (int64_t)spans[0].addr.v;
}

static void check(struct vtd *vtd, struct iommu_device *dev, uint16_t rid, uint64_t iova,
		  unsigned int need)
{
	uint32_t sts = (uint32_t)vtd_mmio_read(vtd, VTD_GSTS, 4);
	int64_t got, want;

	/* Only where a driver would: pointer latched as it reads now, translation on, legacy. */
	if (!(sts & GCMD_TE) || vtd_mmio_read(vtd, VTD_RTADDR, 8) & 0xc00)
		return;
	vtd_mmio_write(vtd, VTD_GCMD, 4, (sts & 0x96ffffff) | GCMD_SRTP);
	if (iova >= 0xfee00000 && iova <= 0xfeefffff)
		return;
	if (vtd_mmio_read(vtd, VTD_PMEN, 4) & 0x80000000)
		return;
	want = plain(vtd, rid, iova, need);
	got = dma(IOMMU_NO_PASID, iova, 1, need);
	if (got != want) {
		fprintf(stderr, "iova %llx need %u: %llx, by the specification %llx\n",
			(unsigned long long)iova, need, (unsigned long long)got,
			(unsigned long long)want);
		abort();
	}
}

static void never_asked(void *opaque, const struct iommu_ats_inval *inval, uint64_t cookie)
{
	iommu_ats_complete(opaque, cookie);
}

static void step(struct vtd *vtd, struct iommu_device *dev, uint16_t *rid, struct input *in)
{
	uint8_t op = (uint8_t)take(in, 1);
	uint64_t a, b, iova;
	struct msi_message msg, out;
	struct iommu_page page;

	switch (op & 7) {
	case 0: /* a register */
		a = take(in, 2) % 0x2a8;
		vtd_mmio_write(vtd, op & 8 ? a & ~7ull : a & ~3ull, op & 8 ? 8 : 4, take(in, 8));
		break;
	case 1: /* a pointer register, at a page that exists */
		a = BASE + 4096 * (take(in, 1) % PAGES) | take(in, 2) % 4096;
		b = (op >> 3) % 3;
		vtd_mmio_write(vtd, b == 0 ? VTD_RTADDR : b == 1 ? VTD_IQA : VTD_IRTA, 8, a);
		break;
	case 2: /* the global command, one bit at a time */
		a = vtd_mmio_read(vtd, VTD_GSTS, 4) & 0x96ffffff;
		vtd_mmio_write(vtd, VTD_GCMD, 4, a ^ (1u << (23 + (op >> 3) % 9)));
		break;
	case 3: /* memory: a pointer to a page, or anything */
		a = take(in, 2) % (sizeof(ram) / 8);
		b = op & 8 ? take(in, 8)
			   : (BASE + 4096 * (take(in, 1) % PAGES)) | (take(in, 1) & 0x87);
		memcpy(ram + 8 * a, &b, 8);
		break;
	case 4: /* a descriptor at the head, and the bell */
		a = vtd_mmio_read(vtd, VTD_IQH, 8);
		b = vtd_mmio_read(vtd, VTD_IQA, 8) & ~0xfffull;
		for (unsigned int i = 0; i < 2; i++) {
			uint64_t v = i ? take(in, 3) << 8 : take(in, 8), at = b + a + 8 * i;

			if (at >= BASE && at <= BASE + sizeof(ram) - 8)
				memcpy(ram + (at - BASE), &v, 8);
		}
		vtd_mmio_write(vtd, VTD_IQT, 4, (a + 16) % 4096);
		vtd_mmio_write(vtd, VTD_FSTS, 4, take(in, 1));
		break;
	case 5: /* DMA */
		iova = op & 8 ? take(in, 8) : take(in, 5) & 0xff7fffffff;
		dma(op & 16 ? (uint32_t)take(in, 3) & 0xfffff : IOMMU_NO_PASID, iova,
		    take(in, 2) + 1, 1 + (op >> 5) % 3);
		if (!(op & 16))
			check(vtd, dev, *rid, iova, 1 + (op >> 5) % 3);
		break;
	case 6: /* interrupts, and translations of a device's own */
		msg = (struct msi_message){ 0xfee00000 | take(in, 3), (uint32_t)take(in, 4) };
		iommu_interrupt(dev, &msg, &out);
		iommu_section_begin(&section);
		iova = take(in, 5);
		if (!iommu_ats_translate(&section, IOMMU_NO_PASID, iova, 3, &page))
			iommu_ats_use(&section, IOMMU_NO_PASID, iova, gpa(page.addr), 1,
				      page.access);
		iommu_section_end(&section);
		break;
	default:
		a = take(in, 2);
		if (op & 8) {
			*rid = (uint16_t)a;
			iommu_device_set_rid(dev, (rid_t){ *rid });
		} else {
			vtd_mmio_read(vtd, a % 0x1008, op & 16 ? 8 : 4);
		}
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vtd_config config = {
		.mem = { .nr_windows = 1, .windows[0] = { BASE, sizeof(ram), ram } },
		.haw = HAW,
		.aw = 48,
		.nr_fault_regs = 4,
		.pass_through = true,
		.device_tlb = true,
		.intremap = true,
		.eim = true,
		.posted = true,
	};
	struct iommu_ats_ops ats = { .invalidate = never_asked };
	struct iommu_ats_policy policy = { 0 };
	struct input in = { data, size };
	struct iommu_device *dev;
	struct vtd *vtd;
	uint16_t rid = 8;

	if (take(&in, 1) & 1)
		config.scalable = config.first_stage = config.nested = config.dirty_tracking = true;
	memset(ram, 0, sizeof(ram));
	if (vtd_create(&config, &vtd, NULL))
		return 0;
	vtd_iommu(vtd)->quarantine.burst = 0;
	if (iommu_device_create(vtd_iommu(vtd), (rid_t){ rid }, "dev", &dev))
		abort();
	iommu_section_init(&section, dev);
	ats.opaque = dev;
	if (iommu_ats_enable(dev, &ats, &policy))
		abort();
	for (unsigned int i = 0; in.left && i < 200; i++)
		step(vtd, dev, &rid, &in);
	iommu_ats_disable(dev);
	iommu_section_fini(&section);
	iommu_device_destroy(dev);
	vtd_destroy(vtd);
	return 0;
}
