// SPDX-License-Identifier: GPL-2.0-or-later
/* Life of the unit, its register page, its global command (Intel VT-d spec rev 4.1, 11.4). */
#include "iommu/vtd_unit.h"

#include <stdlib.h>

#include "base/bug.h"

enum action { NONE, GCMD, CCMD, IOTLB, IQT, ICS, IECTL, PMEN, IQH };

/*
 * The registers that are plain storage, with what a write may change. Fault registers are
 * vtd_fault.c's. Capabilities are filled in per unit.
 */
static const struct reg {
	uint16_t offset;
	uint8_t width;
	uint64_t reset, rw, w1c;
	enum action action;
} regs[] = {
	{ VTD_VER, 4, 0, 0, 0, NONE },
	{ VTD_CAP, 8, 0, 0, 0, NONE },
	{ VTD_ECAP, 8, 0, 0, 0, NONE },
	{ VTD_GCMD, 4, 0, 0, 0, GCMD },
	{ VTD_GSTS, 4, 0, 0, 0, NONE },
	{ VTD_RTADDR, 8, 0, RTADDR_RTA | RTADDR_TTM, 0, NONE },
	{ VTD_CCMD, 8, 0, CCMD_DID | CCMD_SID | CCMD_FM | CCMD_CIRG | CCMD_ICC, 0, CCMD },
	{ VTD_PMEN, 4, 0, PMEN_EPM, 0, PMEN },
	{ VTD_PLMBASE, 4, 0, GENMASK64(31, PMR_ALIGN_LG2), 0, NONE },
	{ VTD_PLMLIMIT, 4, 0, GENMASK64(31, PMR_ALIGN_LG2), 0, NONE },
	{ VTD_PHMBASE, 8, 0, GENMASK64(63, PMR_ALIGN_LG2), 0, NONE },
	{ VTD_PHMLIMIT, 8, 0, GENMASK64(63, PMR_ALIGN_LG2), 0, NONE },
	{ VTD_IQH, 8, 0, 0, 0, IQH },
	{ VTD_IQT, 8, 0, IQT_QT, 0, IQT },
	{ VTD_IQA, 8, 0, IQA_IQA | IQA_QS | IQA_DW, 0, NONE },
	{ VTD_ICS, 4, 0, 0, ICS_IWC, ICS },
	{ VTD_IECTL, 4, EVENT_IM, EVENT_IM, 0, IECTL },
	{ VTD_IEDATA, 4, 0, GENMASK64(31, 0), 0, NONE },
	{ VTD_IEADDR, 4, 0, GENMASK64(31, 2), 0, NONE },
	{ VTD_IEUADDR, 4, 0, GENMASK64(31, 0), 0, NONE },
	{ VTD_IRTA, 8, 0, IRTA_IRTA | IRTA_S | IRTA_EIME, 0, NONE },
	{ VTD_IVA, 8, 0, IVA_ADDR | IVA_AM | IVA_IH, 0, NONE },
	{ VTD_IOTLB, 8, 0, IOTLB_DID | IOTLB_DW | IOTLB_DR | IOTLB_IIRG | IOTLB_IVT, 0, IOTLB },
};

_Static_assert(VTD_IVA % 16 == 0 && VTD_IOTLB == VTD_IVA + 8, "IOTLB registers are a pair");
_Static_assert(VTD_FRCD % 16 == 0, "CAP.FRO counts in 16 bytes");

/* Index of the register that holds this aligned word of four bytes, or -1. */
static int reg_find(uint64_t offset)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(regs); i++)
		if (offset >= regs[i].offset && offset < regs[i].offset + (uint64_t)regs[i].width)
			return (int)i;
	return -1;
}

uint64_t vtd_reg_get(struct vtd *vtd, unsigned int offset)
{
	int i = reg_find(offset);

	BUG_ON(i < 0);
	return vtd->regs[i];
}

void vtd_reg_set(struct vtd *vtd, unsigned int offset, uint64_t value)
{
	int i = reg_find(offset);

	BUG_ON(i < 0);
	vtd->regs[i] = value;
}

uint64_t vtd_reg_possible(struct vtd *vtd, unsigned int offset)
{
	int i = reg_find(offset);
	uint64_t bits;

	BUG_ON(i < 0);
	bits = regs[i].rw | regs[i].w1c;
	switch (offset) {
	case VTD_PMEN:
		return bits | PMEN_PRS;
	case VTD_IECTL:
		return bits | EVENT_IP;
	case VTD_CCMD:
		return bits | CCMD_CAIG;
	case VTD_IOTLB:
		return bits | IOTLB_IAIG;
	case VTD_IQA:
		return vtd->config.scalable ? bits : bits & ~IQA_DW;
	case VTD_IRTA:
		return vtd->config.eim ? bits : bits & ~IRTA_EIME;
	default:
		return bits;
	}
}

void vtd_send(struct vtd *vtd, uint32_t addr, uint32_t upper, uint32_t data)
{
	if (vtd->config.send)
		vtd->config.send(vtd->config.opaque,
				 (struct msi_message){ (uint64_t)upper << 32 | addr, data });
}

/* What the capability registers say is what the configuration offers. */
static void vtd_capabilities(struct vtd *vtd)
{
	const struct vtd_config *c = &vtd->config;
	uint64_t sagaw = BIT64(1) | (c->aw >= 48 ? BIT64(2) : 0) | (c->aw >= 57 ? BIT64(3) : 0);

	vtd->cap = FIELD_PREP(CAP_ND, 6ull) | CAP_PLMR | CAP_PHMR | FIELD_PREP(CAP_SAGAW, sagaw) |
		   FIELD_PREP(CAP_MGAW, c->aw - 1ull) | FIELD_PREP(CAP_FRO, VTD_FRCD / 16ull) |
		   FIELD_PREP(CAP_SSLPS, 3ull) | CAP_PSI |
		   FIELD_PREP(CAP_NFR, c->nr_fault_regs - 1ull) |
		   FIELD_PREP(CAP_MAMV, (uint64_t)VTD_MAMV) | CAP_DWD | CAP_DRD | CAP_ESRTPS;
	vtd->ecap = ECAP_C | ECAP_QI | FIELD_PREP(ECAP_IRO, VTD_IVA / 16ull);
	if (c->caching_mode)
		vtd->cap |= CAP_CM;
	if (c->pass_through)
		vtd->ecap |= ECAP_PT;
	if (c->snoop_control)
		vtd->ecap |= ECAP_SC;
	if (c->device_tlb)
		vtd->ecap |= ECAP_DT;
	if (c->intremap) {
		vtd->ecap |= ECAP_IR | FIELD_PREP(ECAP_MHMV, (uint64_t)VTD_MHMV);
		vtd->cap |= CAP_ESIRTPS;
	}
	if (c->eim)
		vtd->ecap |= ECAP_EIM;
	if (c->posted)
		vtd->cap |= CAP_PI;
	if (c->scalable) {
		vtd->ecap |= ECAP_SMTS | ECAP_SSTS | ECAP_SMPWCS | ECAP_RPS | ECAP_PASID |
			     FIELD_PREP(ECAP_PSS, 19ull);
		if (c->first_stage)
			vtd->ecap |= ECAP_FSTS;
		if (c->nested)
			vtd->ecap |= ECAP_NEST;
		if (c->dirty_tracking)
			vtd->ecap |= ECAP_SSADS;
		if (c->first_stage) {
			vtd->cap |= CAP_FS1GP;
			if (c->aw >= 57)
				vtd->cap |= CAP_FS5LP;
		}
	}
}

static int config_check(const struct vtd_config *c, struct diag *diag)
{
	if (c->aw != 39 && c->aw != 48 && c->aw != 57)
		return diag_set(diag, -EINVAL, "iommu",
				"an address width of %u bits does not exist: 39, 48 or 57", c->aw);
	if (c->haw < 36 || c->haw > 52)
		return diag_set(diag, -EINVAL, "iommu",
				"a guest-physical address width of %u bits is not supported",
				c->haw);
	if (!c->nr_fault_regs || c->nr_fault_regs > VTD_FRCD_MAX)
		return diag_set(diag, -EINVAL, "iommu", "fault registers: 1 to %u", VTD_FRCD_MAX);
	if ((c->eim || c->posted) && !c->intremap)
		return diag_set(diag, -EINVAL, "iommu",
				"x2APIC ids and posted interrupts need interrupt remapping");
	if ((c->first_stage || c->nested || c->dirty_tracking) && !c->scalable)
		return diag_set(diag, -EINVAL, "iommu",
				"first-stage tables and dirty tracking need scalable mode");
	if (c->nested && !c->first_stage)
		return diag_set(diag, -EINVAL, "iommu", "nesting needs first-stage tables");
	if (c->first_stage && c->aw < 48)
		return diag_set(diag, -EINVAL, "iommu",
				"first-stage tables need an address width of 48 bits");
	return 0;
}

static int vtd_device_add(struct iommu *iommu, struct iommu_device *dev)
{
	struct vtd_device *vdev = calloc(1, sizeof(*vdev));

	if (!vdev)
		return -ENOMEM;
	vdev->dev = dev;
	dev->unit = vdev;
	return 0;
}

static void vtd_device_remove(struct iommu *iommu, struct iommu_device *dev)
{
	vtd_unlisten(dev->unit);
	free(dev->unit);
}

static const struct iommu_ops vtd_ops = {
	.name = "vtd",
	.translate = vtd_translate,
	.ats_translate = vtd_ats_translate,
	.interrupt = vtd_remap,
	.route = vtd_route,
	.device_add = vtd_device_add,
	.device_remove = vtd_device_remove,
	.forget = vtd_forget,
	.mirror = vtd_mirror,
	.listen = vtd_listen,
	.refused = vtd_refused,
};

static void vtd_reset_regs(struct vtd *vtd)
{
	lock_take(&vtd->iommu.lock);
	for (unsigned int i = 0; i < ARRAY_SIZE(regs); i++)
		vtd->regs[i] = regs[i].reset;
	vtd_reg_set(vtd, VTD_VER, vtd->config.scalable ? 0x40 : 0x10);
	vtd_reg_set(vtd, VTD_CAP, vtd->cap);
	vtd_reg_set(vtd, VTD_ECAP, vtd->ecap);
	vtd->gsts = 0;
	lock_drop(&vtd->iommu.lock);
	atomic_store(&vtd->root, 0);
	atomic_store(&vtd->irta, 0);
	atomic_store(&vtd->iqh, 0);
	atomic_store(&vtd->boot_blocked, vtd->config.boot_block);
	atomic_store(&vtd->nested_used, false);
	vtd->inval_failed = false;
	vtd_apply_pmr(vtd);
	vtd_fault_reset(vtd);
}

int vtd_create(const struct vtd_config *config, struct vtd **out, struct diag *diag)
{
	struct vtd *vtd;
	int err = config_check(config, diag);

	if (err)
		return err;
	vtd = aligned_alloc(64, align_up(sizeof(*vtd), 64));
	if (!vtd)
		return -ENOMEM;
	memset(vtd, 0, sizeof(*vtd));
	vtd->regs = calloc(ARRAY_SIZE(regs), sizeof(*vtd->regs));
	err = vtd->regs ? iommu_init(&vtd->iommu, &vtd_ops, true) : -ENOMEM;
	if (err) {
		free(vtd->regs);
		free(vtd);
		return err;
	}
	vtd->config = *config;
	vtd->mem = config->mem;
	vtd->iommu.mem = &vtd->mem;
	for (unsigned int levels = 3; levels <= 5; levels++) {
		pt_format_vtd_ss(&vtd->second[levels], levels, config->haw, PT_LEAF_1G,
				 config->snoop_control, false);
		pt_format_vtd_ss(&vtd->second_dirty[levels], levels, config->haw, PT_LEAF_1G,
				 config->snoop_control, true);
		if (levels > 3)
			pt_format_vtd_fs(&vtd->first[levels], levels, config->haw, PT_LEAF_1G);
	}
	vtd_fault_init(vtd);
	vtd_capabilities(vtd);
	vtd_reset_regs(vtd);
	*out = vtd;
	return 0;
}

void vtd_destroy(struct vtd *vtd)
{
	if (!vtd)
		return;
	lock_fini(&vtd->faults.lock);
	iommu_fini(&vtd->iommu);
	free(vtd->regs);
	free(vtd);
}

struct iommu *vtd_iommu(struct vtd *vtd)
{
	return &vtd->iommu;
}

void vtd_reset(struct vtd *vtd)
{
	iommu_exec_begin(&vtd->iommu);
	vtd_reset_regs(vtd);
	vtd_invalidate_all(vtd);
	vtd->inval_failed = false;
	vtd_iec_forget(vtd, 0, 0xffff);
	iommu_exec_end(&vtd->iommu);
}

int vtd_interrupt(struct vtd *vtd, rid_t rid, const struct msi_message *in, struct msi_message *out)
{
	return vtd_remap(&vtd->iommu, rid, in, out);
}

void vtd_listen_irq(struct vtd *vtd, const struct iommu_irq_listener *listener)
{
	iommu_exec_begin(&vtd->iommu);
	vtd->irq_listener = listener;
	iommu_exec_end(&vtd->iommu);
}

void vtd_stats(struct vtd *vtd, struct vtd_stats *stats)
{
	stats->nr_commands = atomic_load(&vtd->nr_commands);
	stats->nr_queue_errors = atomic_load(&vtd->nr_queue_errors);
	lock_take(&vtd->faults.lock);
	stats->nr_faults = vtd->faults.nr;
	stats->nr_faults_lost = vtd->faults.nr_lost;
	lock_drop(&vtd->faults.lock);
}

/*
 * Protected memory: limits have their low bits as ones. Requests read it without a lock: emptied
 * first, then base, then limit, so that no mixture protects less than either.
 */
void vtd_apply_pmr(struct vtd *vtd)
{
	uint64_t range[2][2] = { { 1, 0 }, { 1, 0 } };

	lock_take(&vtd->iommu.lock);
	if (vtd_reg_get(vtd, VTD_PMEN) & PMEN_EPM) {
		range[0][0] = vtd_reg_get(vtd, VTD_PLMBASE);
		range[0][1] = vtd_reg_get(vtd, VTD_PLMLIMIT) | (BIT64(PMR_ALIGN_LG2) - 1);
		range[1][0] = vtd_reg_get(vtd, VTD_PHMBASE);
		range[1][1] = vtd_reg_get(vtd, VTD_PHMLIMIT) | (BIT64(PMR_ALIGN_LG2) - 1);
	}
	lock_drop(&vtd->iommu.lock);
	for (unsigned int i = 0; i < 2; i++)
		for (unsigned int end = 0; end < 2; end++)
			atomic_store(&vtd->pmr[i][end], range[i][end]);
}

/* Protection goes on or off: requests that passed before are waited for. */
static void command_pmen(struct vtd *vtd)
{
	uint64_t pmen;

	iommu_exec_begin(&vtd->iommu);
	vtd_apply_pmr(vtd);
	vtd_invalidate_all(vtd);
	lock_take(&vtd->iommu.lock);
	pmen = vtd_reg_get(vtd, VTD_PMEN);
	vtd_reg_set(vtd, VTD_PMEN, pmen & PMEN_EPM ? pmen | PMEN_PRS : pmen & ~(uint64_t)PMEN_PRS);
	lock_drop(&vtd->iommu.lock);
	iommu_exec_end(&vtd->iommu);
}

static void gsts_change(struct vtd *vtd, uint32_t set, uint32_t clear)
{
	lock_take(&vtd->iommu.lock);
	vtd->gsts = (vtd->gsts & ~clear) | set;
	lock_drop(&vtd->iommu.lock);
}

/*
 * Status bits change last, when what they tell is true: requests see the new tables, and none that
 * saw the old ones is under way.
 */
static void command_global(struct vtd *vtd, uint32_t gcmd)
{
	uint64_t rtaddr, irta_reg, root, irta;
	uint32_t changed;
	bool irqs = false, serve = false;

	iommu_exec_begin(&vtd->iommu);
	lock_take(&vtd->iommu.lock);
	changed = vtd->gsts ^ gcmd;
	rtaddr = vtd_reg_get(vtd, VTD_RTADDR);
	irta_reg = vtd_reg_get(vtd, VTD_IRTA);
	lock_drop(&vtd->iommu.lock);
	root = atomic_load(&vtd->root);
	irta = atomic_load(&vtd->irta);

	if (gcmd & GCMD_SRTP) {
		atomic_store(&vtd->root,
			     (rtaddr & (RTADDR_RTA | RTADDR_TTM)) | (root & VTD_ROOT_ENABLED));
		vtd_invalidate_all(vtd);
		gsts_change(vtd, GCMD_SRTP, 0);
	}
	if (gcmd & GCMD_SIRTP && vtd->config.intremap) {
		if (!vtd->config.eim)
			irta_reg &= ~IRTA_EIME;
		irta = (irta_reg & (IRTA_IRTA | IRTA_S | IRTA_EIME)) |
		       (irta & (VTD_IRTA_ENABLED | VTD_IRTA_COMPAT));
		atomic_store(&vtd->irta, irta);
		gsts_change(vtd, GCMD_SIRTP, 0);
		irqs = true;
	}
	if (changed & GCMD_QIE) {
		if (gcmd & GCMD_QIE) {
			gsts_change(vtd, GCMD_QIE, 0);
			serve = true;
		} else {
			gsts_change(vtd, 0, GCMD_QIE);
			atomic_store(&vtd->iqh, 0);
		}
	}
	if (changed & GCMD_IRE && vtd->config.intremap) {
		irta = gcmd & GCMD_IRE ? irta | VTD_IRTA_ENABLED : irta & ~VTD_IRTA_ENABLED;
		atomic_store(&vtd->irta, irta);
		gsts_change(vtd, gcmd & GCMD_IRE, ~gcmd & GCMD_IRE);
		irqs = true;
	}
	if (changed & GCMD_CFI && vtd->config.intremap) {
		irta = gcmd & GCMD_CFI ? irta | VTD_IRTA_COMPAT : irta & ~VTD_IRTA_COMPAT;
		atomic_store(&vtd->irta, irta);
		gsts_change(vtd, gcmd & GCMD_CFI, ~gcmd & GCMD_CFI);
		irqs = true;
	}
	if (changed & GCMD_TE) {
		root = atomic_load(&vtd->root);
		root = gcmd & GCMD_TE ? root | VTD_ROOT_ENABLED : root & ~VTD_ROOT_ENABLED;
		atomic_store(&vtd->root, root);
		/* The guest has taken over: from now on its own word counts, off as well as on. */
		if (gcmd & GCMD_TE)
			atomic_store(&vtd->boot_blocked, false);
		vtd_invalidate_all(vtd);
		gsts_change(vtd, gcmd & GCMD_TE, ~gcmd & GCMD_TE);
	}
	if (irqs)
		vtd_iec_forget(vtd, 0, 0xffff);
	iommu_exec_end(&vtd->iommu);
	if (serve)
		vtd_queue_serve(vtd);
}

/* Unmasked with an event pending, it is sent; with nothing left to tell, it is dropped. */
static void iectl_changed(struct vtd *vtd)
{
	uint32_t addr = 0, upper = 0, data = 0;
	uint64_t iectl;
	bool send = false;

	lock_take(&vtd->iommu.lock);
	iectl = vtd_reg_get(vtd, VTD_IECTL);
	if (!(vtd_reg_get(vtd, VTD_ICS) & ICS_IWC)) {
		iectl &= ~(uint64_t)EVENT_IP;
	} else if (!(iectl & EVENT_IM) && iectl & EVENT_IP) {
		iectl &= ~(uint64_t)EVENT_IP;
		send = true;
		addr = (uint32_t)vtd_reg_get(vtd, VTD_IEADDR);
		upper = (uint32_t)vtd_reg_get(vtd, VTD_IEUADDR);
		data = (uint32_t)vtd_reg_get(vtd, VTD_IEDATA);
	}
	vtd_reg_set(vtd, VTD_IECTL, iectl);
	lock_drop(&vtd->iommu.lock);
	if (send)
		vtd_send(vtd, addr, upper, data);
}

static uint32_t read_word(struct vtd *vtd, uint64_t offset)
{
	uint64_t value;
	int i;

	if (vtd_fault_owns(offset))
		return vtd_fault_read(vtd, offset);
	i = reg_find(offset);
	if (i < 0)
		return 0;
	if (regs[i].action == IQH) {
		value = atomic_load(&vtd->iqh);
	} else {
		lock_take(&vtd->iommu.lock);
		value = regs[i].offset == VTD_GSTS ? vtd->gsts : vtd->regs[i];
		lock_drop(&vtd->iommu.lock);
	}
	return (uint32_t)(value >> 8 * (offset - regs[i].offset));
}

uint64_t vtd_mmio_read(struct vtd *vtd, uint64_t offset, unsigned int size)
{
	uint64_t value;

	if ((size != 4 && size != 8) || offset % size || offset > VTD_REG_SIZE - size)
		return 0;
	value = read_word(vtd, offset);
	if (size == 8)
		value |= (uint64_t)read_word(vtd, offset + 4) << 32;
	return value;
}

/* Bits of a plain register that this unit lets a guest write. */
static uint64_t reg_writable(const struct vtd *vtd, const struct reg *reg)
{
	uint64_t rw = reg->rw;

	if (reg->offset == VTD_IQA && !vtd->config.scalable)
		rw &= ~IQA_DW;
	if (reg->offset == VTD_IRTA && !vtd->config.eim)
		rw &= ~IRTA_EIME;
	/* Protected ranges do not move while they protect (11.4.8). */
	if (reg->offset >= VTD_PLMBASE && reg->offset <= VTD_PHMLIMIT &&
	    vtd->regs[reg_find(VTD_PMEN)] & PMEN_EPM)
		rw = 0;
	return rw;
}

/* Stores to the register; what follows is the caller's. mask: the bytes that are written. */
static void reg_store(struct vtd *vtd, int i, uint64_t mask, uint64_t value)
{
	uint64_t rw;

	lock_take(&vtd->iommu.lock);
	rw = reg_writable(vtd, &regs[i]) & mask;
	vtd->regs[i] = (vtd->regs[i] & ~rw) | (value & rw);
	vtd->regs[i] &= ~(value & mask & regs[i].w1c);
	lock_drop(&vtd->iommu.lock);
}

static void reg_act(struct vtd *vtd, int i, uint64_t value, bool high)
{
	switch (regs[i].action) {
	case GCMD:
		command_global(vtd, (uint32_t)value);
		break;
	/* The bit that starts a command is in the upper half: a write of the lower starts nothing. */
	case CCMD:
		if (high)
			vtd_command_context(vtd);
		break;
	case IOTLB:
		if (high)
			vtd_command_iotlb(vtd);
		break;
	case IQT:
		vtd_queue_serve(vtd);
		break;
	case ICS:
	case IECTL:
		iectl_changed(vtd);
		break;
	case PMEN:
		command_pmen(vtd);
		break;
	case IQH:
	case NONE:
		break;
	}
}

static void write_word(struct vtd *vtd, uint64_t offset, uint32_t value)
{
	unsigned int shift;
	int i;

	if (vtd_fault_owns(offset)) {
		if (vtd_fault_write(vtd, offset, value))
			vtd_queue_serve(vtd);
		return;
	}
	i = reg_find(offset);
	if (i < 0)
		return;
	shift = (unsigned int)(8 * (offset - regs[i].offset));
	reg_store(vtd, i, 0xffffffffull << shift, (uint64_t)value << shift);
	reg_act(vtd, i, (uint64_t)value << shift, shift != 0);
}

void vtd_mmio_write(struct vtd *vtd, uint64_t offset, unsigned int size, uint64_t value)
{
	int i;

	if ((size != 4 && size != 8) || offset % size || offset > VTD_REG_SIZE - size)
		return;
	i = vtd_fault_owns(offset) ? -1 : reg_find(offset);
	if (size == 8 && i >= 0 && regs[i].width == 8) {
		reg_store(vtd, i, UINT64_MAX, value);
		reg_act(vtd, i, value, true);
		return;
	}
	write_word(vtd, offset, (uint32_t)value);
	if (size == 8)
		write_word(vtd, offset + 4, (uint32_t)(value >> 32));
}
