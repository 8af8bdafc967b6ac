// SPDX-License-Identifier: GPL-2.0-or-later
/* Fault records and the fault event (Intel VT-d spec rev 4.1, 7.2, 7.3, 11.4.7). */
#include "base/trace.h"
#include "iommu/vtd_unit.h"

#define FSTS_STATUS (FSTS_PFO | FSTS_PPF | FSTS_IQE | FSTS_ICE | FSTS_ITE)
#define FSTS_W1C    (FSTS_PFO | FSTS_IQE | FSTS_ICE | FSTS_ITE)
#define FSTS_QUEUE  (FSTS_IQE | FSTS_ICE | FSTS_ITE)

void vtd_fault_init(struct vtd *vtd)
{
	lock_init(&vtd->faults.lock, LOCK_LEAF);
}

void vtd_fault_reset(struct vtd *vtd)
{
	struct vtd_faults *f = &vtd->faults;

	lock_take(&f->lock);
	f->fsts = 0;
	f->fectl = EVENT_IM;
	f->fedata = f->feaddr = f->feuaddr = 0;
	f->iqercd = 0;
	memset(f->records, 0, sizeof(f->records));
	f->next = 0;
	lock_drop(&f->lock);
}

/*
 * New status bits. The event is raised when none stood before; while masked it is kept pending
 * (7.3). True when it is to be sent, with the lock dropped.
 */
static bool fault_raise(struct vtd_faults *f, uint32_t bits)
{
	bool first = !(f->fsts & FSTS_STATUS);

	f->fsts |= bits;
	if (!first)
		return false;
	if (f->fectl & EVENT_IM) {
		f->fectl |= EVENT_IP;
		return false;
	}
	return true;
}

static void fault_send(struct vtd *vtd, bool send, uint32_t addr, uint32_t upper, uint32_t data)
{
	if (send)
		vtd_send(vtd, addr, upper, data);
}

/* PPF follows the records: the or of all F bits. */
static bool fault_pending(const struct vtd *vtd)
{
	for (unsigned int i = 0; i < vtd->config.nr_fault_regs; i++)
		if (vtd->faults.records[i][1] & FRCD_F)
			return true;
	return false;
}

static void fault_record(struct vtd *vtd, uint64_t low, uint64_t high)
{
	struct vtd_faults *f = &vtd->faults;
	uint32_t addr, upper, data;
	bool send = false;

	trace_iommu_fault((uint16_t)FIELD_GET(FRCD_SID, high), low,
			  (unsigned int)FIELD_GET(FRCD_FR, high));
	lock_take(&f->lock);
	f->nr++;
	if (f->fsts & FSTS_PFO) {
		/* Overflow stands: dropped without a trace (7.2.1). */
		f->nr_lost++;
	} else if (f->records[f->next][1] & FRCD_F) {
		f->nr_lost++;
		send = fault_raise(f, FSTS_PFO);
	} else {
		f->records[f->next][0] = low;
		f->records[f->next][1] = high | FRCD_F;
		if (!(f->fsts & FSTS_PPF))
			f->fsts = (f->fsts & ~FSTS_FRI) | FIELD_PREP(FSTS_FRI, f->next);
		f->next = (f->next + 1) % vtd->config.nr_fault_regs;
		send = fault_raise(f, FSTS_PPF);
	}
	addr = f->feaddr;
	upper = f->feuaddr;
	data = f->fedata;
	lock_drop(&f->lock);
	fault_send(vtd, send, addr, upper, data);
}

void vtd_fault_dma(struct vtd *vtd, rid_t rid, uint32_t pasid, uint64_t addr, unsigned int need,
		   unsigned int at, enum vtd_fault_reason reason)
{
	uint64_t high = FIELD_PREP(FRCD_SID, (uint64_t)rid.v) | FIELD_PREP(FRCD_AT, (uint64_t)at) |
			FIELD_PREP(FRCD_FR, (uint64_t)reason);

	if (!(need & IOMMU_WRITE))
		high |= FRCD_T1;
	if (pasid != IOMMU_NO_PASID)
		high |= FRCD_PP | FIELD_PREP(FRCD_PV, (uint64_t)pasid);
	fault_record(vtd, addr & FRCD_FI, high);
}

void vtd_fault_irq(struct vtd *vtd, rid_t rid, uint32_t index, enum vtd_fault_reason reason)
{
	fault_record(vtd, FIELD_PREP(FRCD_IR_INDEX, (uint64_t)index),
		     FIELD_PREP(FRCD_SID, (uint64_t)rid.v) | FIELD_PREP(FRCD_FR, (uint64_t)reason));
}

void vtd_fault_queue(struct vtd *vtd, uint32_t fsts, uint64_t iqercd)
{
	struct vtd_faults *f = &vtd->faults;
	uint32_t addr, upper, data;
	bool send;

	lock_take(&f->lock);
	f->iqercd = iqercd;
	send = fault_raise(f, fsts);
	addr = f->feaddr;
	upper = f->feuaddr;
	data = f->fedata;
	lock_drop(&f->lock);
	fault_send(vtd, send, addr, upper, data);
}

bool vtd_fault_frozen(struct vtd *vtd)
{
	bool frozen;

	lock_take(&vtd->faults.lock);
	frozen = vtd->faults.fsts & FSTS_QUEUE;
	lock_drop(&vtd->faults.lock);
	return frozen;
}

bool vtd_fault_owns(uint64_t offset)
{
	return (offset >= VTD_FSTS && offset <= VTD_FEUADDR) ||
	       (offset >= VTD_IQERCD && offset < VTD_IQERCD + 8) ||
	       (offset >= VTD_FRCD && offset < VTD_FRCD + VTD_FRCD_MAX * VTD_FRCD_SIZE);
}

/* The word of the fault records that a four-byte offset lies in, or NULL beyond the last. */
static uint64_t *fault_word(struct vtd *vtd, uint64_t offset)
{
	uint64_t i = (offset - VTD_FRCD) / VTD_FRCD_SIZE;

	if (i >= vtd->config.nr_fault_regs)
		return NULL;
	return &vtd->faults.records[i][(offset >> 3) & 1];
}

uint32_t vtd_fault_read(struct vtd *vtd, uint64_t offset)
{
	struct vtd_faults *f = &vtd->faults;
	uint32_t value = 0;
	uint64_t *word;

	lock_take(&f->lock);
	switch (offset) {
	case VTD_FSTS:
		value = f->fsts;
		break;
	case VTD_FECTL:
		value = f->fectl;
		break;
	case VTD_FEDATA:
		value = f->fedata;
		break;
	case VTD_FEADDR:
		value = f->feaddr;
		break;
	case VTD_FEUADDR:
		value = f->feuaddr;
		break;
	case VTD_IQERCD:
	case VTD_IQERCD + 4:
		value = (uint32_t)(f->iqercd >> (offset & 4 ? 32 : 0));
		break;
	default:
		word = fault_word(vtd, offset);
		if (word)
			value = (uint32_t)(*word >> (offset & 4 ? 32 : 0));
		break;
	}
	lock_drop(&f->lock);
	return value;
}

bool vtd_fault_write(struct vtd *vtd, uint64_t offset, uint32_t value)
{
	struct vtd_faults *f = &vtd->faults;
	uint32_t addr, upper, data, cleared = 0;
	bool send = false;
	uint64_t *word;

	lock_take(&f->lock);
	switch (offset) {
	case VTD_FSTS:
		cleared = f->fsts & value & FSTS_W1C;
		f->fsts &= ~cleared;
		break;
	case VTD_FECTL:
		f->fectl = (f->fectl & EVENT_IP) | (value & EVENT_IM);
		/* Unmasked with an event pending: it is sent now (11.4.7.2). */
		if (!(f->fectl & EVENT_IM) && (f->fectl & EVENT_IP)) {
			f->fectl &= ~EVENT_IP;
			send = true;
		}
		break;
	case VTD_FEDATA:
		f->fedata = value;
		break;
	case VTD_FEADDR:
		f->feaddr = value & ~3u;
		break;
	case VTD_FEUADDR:
		f->feuaddr = value;
		break;
	default:
		/* F is cleared by writing 1; nothing else of a record can be written. */
		word = offset >= VTD_FRCD ? fault_word(vtd, offset) : NULL;
		if (word && (offset & 0xc) == 0xc && (value & (uint32_t)(FRCD_F >> 32))) {
			*word &= ~FRCD_F;
			if (!fault_pending(vtd))
				f->fsts &= ~(FSTS_PPF | FSTS_FRI);
		}
		break;
	}
	/* Everything serviced: an event still pending has nothing left to tell. */
	if (!(f->fsts & FSTS_STATUS))
		f->fectl &= ~EVENT_IP;
	addr = f->feaddr;
	upper = f->feuaddr;
	data = f->fedata;
	lock_drop(&f->lock);
	fault_send(vtd, send, addr, upper, data);
	return cleared & FSTS_QUEUE;
}
