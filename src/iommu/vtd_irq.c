// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Interrupt remapping and posting (Intel VT-d spec rev 4.1, chapter 5). A request in remappable format
 * names an entry; the entry says who may use it and what it becomes: another message, or a bit in a
 * descriptor and perhaps a notification.
 */
#include "iommu/vtd_unit.h"

struct irte {
	uint64_t low, high;
};

/* Attempts on a descriptor that others change, before the request counts as failed. */
#define POST_TRIES 64

static struct vtd_iec *iec_slot(struct vtd *vtd, uint32_t index)
{
	return &vtd->iec[index % VTD_IEC_SETS];
}

static bool iec_get(struct vtd *vtd, uint32_t index, struct irte *irte)
{
	struct vtd_iec *c = iec_slot(vtd, index);
	uint32_t version = atomic_load_explicit(&c->version, memory_order_acquire);

	if (version & 1 || atomic_load_explicit(&c->key, memory_order_acquire) != index + 1)
		return false;
	irte->low = atomic_load_explicit(&c->low, memory_order_acquire);
	irte->high = atomic_load_explicit(&c->high, memory_order_acquire);
	return atomic_load_explicit(&c->version, memory_order_relaxed) == version;
}

/* Under iec_lock. */
static void iec_set(struct vtd_iec *c, uint32_t key, uint64_t low, uint64_t high)
{
	uint32_t version = atomic_load_explicit(&c->version, memory_order_relaxed);

	atomic_store_explicit(&c->version, version + 1, memory_order_relaxed);
	atomic_store_explicit(&c->key, key, memory_order_release);
	atomic_store_explicit(&c->low, low, memory_order_release);
	atomic_store_explicit(&c->high, high, memory_order_release);
	atomic_store_explicit(&c->version, version + 2, memory_order_release);
}

void vtd_iec_forget(struct vtd *vtd, uint32_t first, uint32_t last)
{
	/* As for translations: first no older reading enters the cache, then it is cleared. */
	atomic_fetch_add(&vtd->iec_seq, 1);
	spin_take(&vtd->iec_lock);
	for (unsigned int i = 0; i < VTD_IEC_SETS; i++) {
		uint32_t key = atomic_load_explicit(&vtd->iec[i].key, memory_order_relaxed);

		if (key && key - 1 >= first && key - 1 <= last)
			iec_set(&vtd->iec[i], 0, 0, 0);
	}
	spin_drop(&vtd->iec_lock);
	if (vtd->irq_listener && vtd->irq_listener->changed)
		vtd->irq_listener->changed(vtd->irq_listener->opaque, first, last);
}

/* Which source ids the entry is for (9.9, SVT and SQ). */
static bool irte_source_ok(uint64_t high, rid_t rid)
{
	static const uint16_t masks[] = { 0xffff, 0xfffb, 0xfff9, 0xfff8 };
	uint16_t sid = (uint16_t)FIELD_GET(IRTE_SID, high);

	switch (FIELD_GET(IRTE_SVT, high)) {
	case IRTE_SVT_NONE:
		return true;
	case IRTE_SVT_SID:
		return !((sid ^ rid.v) & masks[FIELD_GET(IRTE_SQ, high)]);
	case IRTE_SVT_BUS:
	default:
		/* First and last bus. */
		return rid_bus(rid) >= sid >> 8 && rid_bus(rid) <= (sid & 0xff);
	}
}

/* A present entry, before its source is looked at. */
static bool irte_reserved(const struct vtd *vtd, uint64_t irta, const struct irte *irte)
{
	uint64_t dlm = FIELD_GET(IRTE_DLM, irte->low);

	if (FIELD_GET(IRTE_SVT, irte->high) > IRTE_SVT_BUS)
		return true;
	if (irte->low & IRTE_IM) {
		uint64_t pda = irte->high & IRTE_POST_PDA_HIGH;

		return !vtd->config.posted || irte->low & IRTE_POST_RSVD ||
		       irte->high & IRTE_POST_RSVD_HIGH || pda & ~GENMASK64(vtd->config.haw - 1, 0);
	}
	return irte->low & IRTE_RSVD || irte->high & IRTE_RSVD_HIGH ||
	       (!(irta & IRTA_EIME) && irte->low & IRTE_RSVD_XAPIC) || dlm == 3 || dlm == 6;
}

/*
 * The entry as a message for a machine that understands 32-bit destinations: bits 31:8 of the id go
 * to the upper half of the address, as in KVM's x2APIC message format.
 */
static void irte_message(uint64_t irta, const struct irte *irte, struct msi_message *out)
{
	uint32_t dest = irta & IRTA_EIME ? (uint32_t)FIELD_GET(IRTE_DST, irte->low)
					 : (uint32_t)FIELD_GET(IRTE_DST_XAPIC, irte->low);
	bool level = irte->low & IRTE_TM;

	out->addr = IOMMU_MSI_FIRST | (uint64_t)(dest & 0xff) << 12 |
		    (uint64_t)(dest & ~0xffu) << 32 | (irte->low & IRTE_RH ? BIT64(3) : 0) |
		    (irte->low & IRTE_DM ? BIT64(2) : 0);
	out->data = (uint32_t)FIELD_GET(IRTE_V, irte->low) |
		    (uint32_t)FIELD_GET(IRTE_DLM, irte->low) << 8 | (level ? BIT(15) | BIT(14) : 0);
}

static enum vtd_fault_reason post_bit(struct vtd *vtd, uint64_t pid, unsigned int vector)
{
	uint64_t addr = pid + PID_PIR + vector / 64 * 8, old;
	int err = iommu_mem_load64(&vtd->mem, addr, &old);

	for (unsigned int i = 0; !err && i < POST_TRIES; i++) {
		err = iommu_mem_cmpxchg64(&vtd->mem, addr, &old, old | BIT64(vector % 64));
		if (err != -EAGAIN)
			break;
		err = 0;
	}
	return err ? VTD_IR_PID_LOST : VTD_FAULT_NONE;
}

/*
 * Posting (5.2.3): the request into the descriptor, then a notification unless one is outstanding,
 * or they are suppressed and this is not urgent. *notify tells whether *out is to be sent.
 */
static enum vtd_fault_reason irte_post(struct vtd *vtd, uint64_t irta, const struct irte *irte,
				       struct msi_message *out, bool *notify)
{
	uint64_t pid = (irte->high & IRTE_POST_PDA_HIGH) | FIELD_GET(IRTE_POST_PDA_LOW, irte->low)
								   << 6;
	bool urgent = irte->low & IRTE_POST_URG;
	uint64_t control;
	uint32_t dest;
	enum vtd_fault_reason reason;
	int err;

	*notify = false;
	/* Judged before anything of it is changed. */
	if (iommu_mem_load64(&vtd->mem, pid + PID_CONTROL, &control))
		return VTD_IR_PID_LOST;
	if (control & PID_RSVD || (!(irta & IRTA_EIME) && control & PID_NDST & ~PID_NDST_XAPIC))
		return VTD_IR_PID_RSVD;
	reason = post_bit(vtd, pid, (unsigned int)FIELD_GET(IRTE_V, irte->low));
	if (reason != VTD_FAULT_NONE)
		return reason;
	for (unsigned int i = 0; i < POST_TRIES; i++) {
		if (control & PID_ON || (control & PID_SN && !urgent))
			return VTD_FAULT_NONE;
		err = iommu_mem_cmpxchg64(&vtd->mem, pid + PID_CONTROL, &control, control | PID_ON);
		if (err == -EAGAIN)
			continue;
		if (err)
			return VTD_IR_PID_LOST;
		dest = irta & IRTA_EIME ? (uint32_t)FIELD_GET(PID_NDST, control)
					: (uint32_t)FIELD_GET(PID_NDST_XAPIC, control);
		out->addr = IOMMU_MSI_FIRST | (uint64_t)(dest & 0xff) << 12 |
			    (uint64_t)(dest & ~0xffu) << 32;
		out->data = (uint32_t)FIELD_GET(PID_NV, control);
		*notify = true;
		return VTD_FAULT_NONE;
	}
	return VTD_IR_PID_LOST;
}

static int irq_refuse(struct vtd *vtd, rid_t rid, uint32_t index, enum vtd_fault_reason reason,
		      bool quiet)
{
	if (!quiet)
		vtd_fault_irq(vtd, rid, index, reason);
	return -EFAULT;
}

/* ask: only to know; nothing is recorded and nothing posted. */
static int irq_remap(struct vtd *vtd, rid_t rid, const struct msi_message *in,
		     struct msi_message *out, bool ask)
{
	uint64_t irta = atomic_load_explicit(&vtd->irta, memory_order_acquire), seq;
	uint32_t addr = (uint32_t)in->addr, index;
	enum vtd_fault_reason reason;
	struct irte irte;
	bool notify, fpd;

	if (!(irta & VTD_IRTA_ENABLED)) {
		*out = *in;
		return 0;
	}
	if (!(addr & MSI_ADDR_REMAPPABLE)) {
		/* Compatibility format: never in x2APIC mode, else by the guest's leave (5.1.2.1). */
		if (irta & IRTA_EIME || !(irta & VTD_IRTA_COMPAT))
			return irq_refuse(vtd, rid, 0, VTD_IR_COMPAT, ask);
		*out = *in;
		return 0;
	}
	/* Without a subhandle the data is the I/O APIC's entry, and no field of the request. */
	if (addr & MSI_ADDR_SHV && in->data & MSI_DATA_RSVD)
		return irq_refuse(vtd, rid, 0, VTD_IR_REQUEST_RSVD, ask);
	index = FIELD_GET(MSI_ADDR_HANDLE, addr) | (addr & MSI_ADDR_HANDLE_15 ? BIT(15) : 0);
	if (addr & MSI_ADDR_SHV)
		index += in->data & MSI_DATA_SUBHANDLE;
	if (index >= 2u << FIELD_GET(IRTA_S, irta))
		return irq_refuse(vtd, rid, index & 0xffff, VTD_IR_INDEX, ask);

	if (!iec_get(vtd, index, &irte)) {
		uint64_t words[2];

		seq = atomic_load(&vtd->iec_seq);
		if (iommu_mem_load(&vtd->mem, (irta & IRTA_IRTA) + 16ull * index, words, 2))
			return irq_refuse(vtd, rid, index, VTD_IR_LOST, ask);
		irte = (struct irte){ words[0], words[1] };
		/* Absent entries are not kept: making one present needs no invalidation. */
		if (irte.low & IRTE_P) {
			spin_take(&vtd->iec_lock);
			if (atomic_load(&vtd->iec_seq) == seq)
				iec_set(iec_slot(vtd, index), index + 1, irte.low, irte.high);
			spin_drop(&vtd->iec_lock);
		}
	}
	fpd = irte.low & IRTE_FPD || ask;
	if (!(irte.low & IRTE_P))
		return irq_refuse(vtd, rid, index, VTD_IR_ABSENT, fpd);
	if (irte_reserved(vtd, irta, &irte))
		return irq_refuse(vtd, rid, index, VTD_IR_ENTRY_RSVD, fpd);
	if (!irte_source_ok(irte.high, rid))
		return irq_refuse(vtd, rid, index, VTD_IR_SOURCE, fpd);
	if (!(irte.low & IRTE_IM)) {
		irte_message(irta, &irte, out);
		return 0;
	}
	if (ask)
		return 1;
	reason = irte_post(vtd, irta, &irte, out, &notify);
	if (reason != VTD_FAULT_NONE)
		return irq_refuse(vtd, rid, index, reason, fpd);
	return notify ? 0 : 1;
}

int vtd_remap(struct iommu *iommu, rid_t rid, const struct msi_message *in, struct msi_message *out)
{
	return irq_remap(vtd_of(iommu), rid, in, out, false);
}

int vtd_route(struct iommu *iommu, rid_t rid, const struct msi_message *in, struct msi_message *out)
{
	return irq_remap(vtd_of(iommu), rid, in, out, true);
}
