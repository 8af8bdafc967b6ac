// SPDX-License-Identifier: GPL-2.0-or-later
/* Save and load. What is cached is not state: a loaded unit reads the guest's tables anew. */
#include "iommu/vtd_unit.h"

#define SECTION "vtd"
#define VERSION 1

/* Plain registers a guest can have changed. GSTS, IQH and the latched words are written apart. */
static const uint16_t saved_regs[] = {
	VTD_RTADDR,   VTD_CCMD,	   VTD_PMEN, VTD_PLMBASE, VTD_PLMLIMIT, VTD_PHMBASE,
	VTD_PHMLIMIT, VTD_IQT,	   VTD_IQA,  VTD_ICS,	  VTD_IECTL,	VTD_IEDATA,
	VTD_IEADDR,   VTD_IEUADDR, VTD_IRTA, VTD_IVA,	  VTD_IOTLB,
};

void vtd_save(struct vtd *vtd, struct state_writer *w)
{
	struct vtd_faults *f = &vtd->faults;

	state_begin(w, SECTION, VERSION);
	/* A unit of other capabilities cannot go on with this one's guest. */
	state_put_u64(w, vtd->cap);
	state_put_u64(w, vtd->ecap);
	lock_take(&vtd->iommu.lock);
	for (unsigned int i = 0; i < ARRAY_SIZE(saved_regs); i++)
		state_put_u64(w, vtd_reg_get(vtd, saved_regs[i]));
	state_put_u32(w, vtd->gsts);
	lock_drop(&vtd->iommu.lock);
	state_put_u64(w, atomic_load(&vtd->root));
	state_put_u64(w, atomic_load(&vtd->irta));
	state_put_u64(w, atomic_load(&vtd->iqh));
	state_put_u8(w, atomic_load(&vtd->boot_blocked));
	state_put_u8(w, vtd->inval_failed);
	state_put_u16(w, vtd->inval_failed_sid);
	lock_take(&f->lock);
	state_put_u32(w, f->fsts);
	state_put_u32(w, f->fectl);
	state_put_u32(w, f->fedata);
	state_put_u32(w, f->feaddr);
	state_put_u32(w, f->feuaddr);
	state_put_u64(w, f->iqercd);
	state_put_u8(w, (uint8_t)f->next);
	for (unsigned int i = 0; i < vtd->config.nr_fault_regs; i++) {
		state_put_u64(w, f->records[i][0]);
		state_put_u64(w, f->records[i][1]);
	}
	lock_drop(&f->lock);
	state_end(w);
}

struct loaded {
	uint64_t cap, ecap, regs[ARRAY_SIZE(saved_regs)], root, irta, iqh;
	uint32_t gsts;
	uint8_t boot_blocked, inval_failed, next;
	uint16_t inval_failed_sid;
	uint32_t fsts, fectl, fedata, feaddr, feuaddr;
	uint64_t iqercd, records[VTD_FRCD_MAX][2];
};

static void loaded_read(const struct vtd *vtd, struct state_reader *r, struct loaded *l)
{
	l->cap = state_get_u64(r);
	l->ecap = state_get_u64(r);
	for (unsigned int i = 0; i < ARRAY_SIZE(saved_regs); i++)
		l->regs[i] = state_get_u64(r);
	l->gsts = state_get_u32(r);
	l->root = state_get_u64(r);
	l->irta = state_get_u64(r);
	l->iqh = state_get_u64(r);
	l->boot_blocked = state_get_u8(r);
	l->inval_failed = state_get_u8(r);
	l->inval_failed_sid = state_get_u16(r);
	l->fsts = state_get_u32(r);
	l->fectl = state_get_u32(r);
	l->fedata = state_get_u32(r);
	l->feaddr = state_get_u32(r);
	l->feuaddr = state_get_u32(r);
	l->iqercd = state_get_u64(r);
	l->next = state_get_u8(r);
	/* Of a unit with other records the section would end elsewhere; cap is judged first. */
	if (l->cap != vtd->cap)
		return;
	for (unsigned int i = 0; i < vtd->config.nr_fault_regs; i++) {
		l->records[i][0] = state_get_u64(r);
		l->records[i][1] = state_get_u64(r);
	}
}

/* What a guest could have made: every bit one that it or the unit may set. */
static bool loaded_valid(struct vtd *vtd, const struct loaded *l)
{
	uint32_t irqs = GCMD_IRE | GCMD_SIRTP | GCMD_CFI;
	uint32_t gsts = GCMD_TE | GCMD_SRTP | GCMD_QIE | (vtd->config.intremap ? irqs : 0);
	uint64_t irta = IRTA_IRTA | IRTA_S | (vtd->config.eim ? IRTA_EIME : 0);
	uint64_t unit = (l->gsts & GCMD_IRE ? VTD_IRTA_ENABLED : 0) |
			(l->gsts & GCMD_CFI ? VTD_IRTA_COMPAT : 0);

	for (unsigned int i = 0; i < ARRAY_SIZE(saved_regs); i++)
		if (l->regs[i] & ~vtd_reg_possible(vtd, saved_regs[i]))
			return false;
	if (l->gsts & ~gsts || l->root & ~(RTADDR_RTA | RTADDR_TTM | VTD_ROOT_ENABLED) ||
	    !(l->root & VTD_ROOT_ENABLED) != !(l->gsts & GCMD_TE) ||
	    l->irta & ~(irta | VTD_IRTA_ENABLED | VTD_IRTA_COMPAT) ||
	    (l->irta & (VTD_IRTA_ENABLED | VTD_IRTA_COMPAT)) != unit || l->iqh & ~IQT_QT)
		return false;
	if (l->boot_blocked > 1 || (l->boot_blocked && !vtd->config.boot_block) ||
	    l->inval_failed > 1 || l->next >= vtd->config.nr_fault_regs)
		return false;
	if (l->fsts & ~(FSTS_PFO | FSTS_PPF | FSTS_IQE | FSTS_ICE | FSTS_ITE | FSTS_FRI) ||
	    FIELD_GET(FSTS_FRI, l->fsts) >= vtd->config.nr_fault_regs ||
	    l->fectl & ~(EVENT_IM | EVENT_IP) || l->feaddr & 3)
		return false;
	return true;
}

int vtd_load(struct vtd *vtd, struct state_reader *r)
{
	struct vtd_faults *f = &vtd->faults;
	struct loaded l = { 0 };
	int err;

	if (!state_enter(r, SECTION, VERSION))
		return state_reader_status(r) ?: -EPROTO;
	loaded_read(vtd, r, &l);
	if (!state_reader_status(r) && (l.cap != vtd->cap || l.ecap != vtd->ecap))
		return -EINVAL;
	state_leave(r);
	err = state_reader_status(r);
	if (err)
		return err;
	if (!loaded_valid(vtd, &l))
		return -EPROTO;

	iommu_exec_begin(&vtd->iommu);
	lock_take(&vtd->iommu.lock);
	for (unsigned int i = 0; i < ARRAY_SIZE(saved_regs); i++)
		vtd_reg_set(vtd, saved_regs[i], l.regs[i]);
	vtd->gsts = l.gsts;
	lock_drop(&vtd->iommu.lock);
	atomic_store(&vtd->iqh, l.iqh);
	atomic_store(&vtd->boot_blocked, l.boot_blocked);
	lock_take(&f->lock);
	f->fsts = l.fsts;
	f->fectl = l.fectl;
	f->fedata = l.fedata;
	f->feaddr = l.feaddr;
	f->feuaddr = l.feuaddr;
	f->iqercd = l.iqercd;
	f->next = l.next;
	memcpy(f->records, l.records, sizeof(f->records));
	lock_drop(&f->lock);
	atomic_store(&vtd->root, l.root);
	atomic_store(&vtd->irta, l.irta);
	vtd_apply_pmr(vtd);
	vtd_invalidate_all(vtd);
	/* Unfinished business of the source, not of the clearing just done. */
	vtd->inval_failed = l.inval_failed;
	vtd->inval_failed_sid = l.inval_failed_sid;
	vtd_iec_forget(vtd, 0, 0xffff);
	iommu_exec_end(&vtd->iommu);
	return 0;
}
