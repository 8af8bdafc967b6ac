// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The registers (NVMe 1.4, 3.1), and what a write to CC sets in motion. vCPUs write registers under the
 * controller's lock and wake the thread; the thread then does what they say.
 */
#include <string.h>

#include "device/nvme/ctrl.h"

#define TIMEOUT_10S	 20 /* in halves of a second */
#define PAGE_LG2_MAX	 4  /* 64 KiB */
#define ADMIN_QUEUE_LAST (NVME_QUEUE_MAX - 1)
#define CC_FIXED	 (NVME_CC_CSS | NVME_CC_MPS | NVME_CC_AMS) /* while enabled (3.1.5) */

static uint64_t ctrl_cap(const struct nvme_ctrl *ctrl)
{
	uint64_t cap = FIELD_PREP(NVME_CAP_MQES, NVME_QUEUE_MAX - 1) | NVME_CAP_CQR |
		       FIELD_PREP(NVME_CAP_TO, TIMEOUT_10S) | NVME_CAP_CSS_NVM |
		       FIELD_PREP(NVME_CAP_MPSMAX, PAGE_LG2_MAX);

	/* Whoever was given a virtual function alone may not reset the others. */
	return nvme_is_vf(ctrl) ? cap : cap | NVME_CAP_NSSRS;
}

static uint32_t reg_get(struct nvme_ctrl *ctrl, uint64_t offset)
{
	uint32_t v = 0;

	/* Offline: nothing but CSTS has a meaning (8.5.3). */
	if (!atomic_load(&ctrl->online))
		return offset == NVME_CSTS ? NVME_CSTS_CFS : 0;
	lock_take(&ctrl->lock);
	switch (offset) {
	case NVME_CAP:
		v = (uint32_t)ctrl_cap(ctrl);
		break;
	case NVME_CAP + 4:
		v = (uint32_t)(ctrl_cap(ctrl) >> 32);
		break;
	case NVME_VS:
		v = NVME_VS_1_4;
		break;
	case NVME_INTMS:
	case NVME_INTMC:
		v = ctrl->intm;
		break;
	case NVME_CC:
		v = ctrl->cc;
		break;
	case NVME_CSTS:
		v = ctrl->csts;
		break;
	case NVME_AQA:
		v = ctrl->aqa;
		break;
	case NVME_ASQ:
	case NVME_ASQ + 4:
		v = (uint32_t)(ctrl->asq >> (8 * (offset - NVME_ASQ)));
		break;
	case NVME_ACQ:
	case NVME_ACQ + 4:
		v = (uint32_t)(ctrl->acq >> (8 * (offset - NVME_ACQ)));
		break;
	default:
		/* Reserved, NSSR, and doorbells: those are written only. */
		break;
	}
	lock_drop(&ctrl->lock);
	return v;
}

static uint64_t regs_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct nvme_ctrl *ctrl = opaque;
	uint64_t v;

	/* Narrow reads are the dword's bytes; wide ones two dwords (3.1). */
	if (size == 8 && is_aligned(offset, 8))
		return reg_get(ctrl, offset) | (uint64_t)reg_get(ctrl, offset + 4) << 32;
	if ((offset & 3) + size > 4)
		return 0;
	v = reg_get(ctrl, align_down(offset, 4)) >> (8 * (offset & 3));
	return v & bytes_mask(size);
}

static void reg_set_cc(struct nvme_ctrl *ctrl, uint32_t value)
{
	value &= NVME_CC_EN | NVME_CC_WRITABLE;
	if (ctrl->cc & NVME_CC_EN && value & NVME_CC_EN)
		value = (value & ~CC_FIXED) | (ctrl->cc & CC_FIXED);
	if (ctrl->cc & NVME_CC_EN && !(value & NVME_CC_EN))
		ctrl->resets |= NVME_RESET_CC;
	ctrl->cc = value;
}

static void addr_set(uint64_t *addr, unsigned int shift, uint32_t value)
{
	*addr = (*addr & ~(0xffffffffull << shift)) | (uint64_t)value << shift;
	*addr &= NVME_ADMIN_QUEUE_ADDR;
}

/* Every controller of the subsystem starts anew (7.3.1). */
static void reset_subsystem(struct nvme *nvme)
{
	for (unsigned int i = 0; i < nvme->nr_ctrls; i++) {
		struct nvme_ctrl *ctrl = nvme->ctrls[i];

		lock_take(&ctrl->lock);
		ctrl->resets |= NVME_RESET_SUBSYSTEM;
		lock_drop(&ctrl->lock);
		nvme_kick(ctrl);
	}
}

static void reg_set(struct nvme_ctrl *ctrl, uint64_t offset, uint32_t value)
{
	bool kick = false;

	if (offset == NVME_NSSR) {
		if (value == NVME_NSSR_RESET && !nvme_is_vf(ctrl))
			reset_subsystem(ctrl->nvme);
		return;
	}
	lock_take(&ctrl->lock);
	switch (offset) {
	case NVME_INTMS:
		ctrl->intm |= value;
		kick = true;
		break;
	case NVME_INTMC:
		ctrl->intm &= ~value;
		kick = true;
		break;
	case NVME_CC:
		reg_set_cc(ctrl, value);
		kick = true;
		break;
	case NVME_CSTS:
		ctrl->csts &= ~(value & NVME_CSTS_NSSRO);
		break;
	case NVME_AQA:
		ctrl->aqa = value & (NVME_AQA_ASQS | NVME_AQA_ACQS);
		break;
	case NVME_ASQ:
	case NVME_ASQ + 4:
		addr_set(&ctrl->asq, (unsigned int)(8 * (offset - NVME_ASQ)), value);
		break;
	case NVME_ACQ:
	case NVME_ACQ + 4:
		addr_set(&ctrl->acq, (unsigned int)(8 * (offset - NVME_ACQ)), value);
		break;
	default:
		break;
	}
	lock_drop(&ctrl->lock);
	if (kick)
		nvme_kick(ctrl);
}

static void bell_set(struct nvme_ctrl *ctrl, unsigned int slot, uint32_t value)
{
	if (slot >= 2 * NVME_PAIRS_MAX)
		return;
	atomic_store_explicit(&ctrl->bells[slot], value, memory_order_relaxed);
	/* Pairs with the exchange in nvme_queues_run(). */
	atomic_fetch_or_explicit(&ctrl->dirty[slot / 64], BIT64(slot % 64), memory_order_release);
	nvme_kick(ctrl);
}

static void regs_write(void *opaque, uint64_t offset, unsigned int size, uint64_t value)
{
	struct nvme_ctrl *ctrl = opaque;

	/* Whole dwords only; what other widths do is undefined (3.1). */
	if (size < 4 || !is_aligned(offset, size) || !atomic_load(&ctrl->online))
		return;
	if (offset >= NVME_DOORBELLS) {
		if (size == 4)
			bell_set(ctrl, (unsigned int)(offset - NVME_DOORBELLS) / 4,
				 (uint32_t)value);
		return;
	}
	for (unsigned int i = 0; i < size; i += 4)
		reg_set(ctrl, offset + i, (uint32_t)(value >> (8 * i)));
}

const struct bus_region_ops nvme_regs_ops = {
	.read = regs_read,
	.write = regs_write,
};

void nvme_ctrl_fail(struct nvme_ctrl *ctrl, const char *why)
{
	ctrl->failed = true;
	lock_take(&ctrl->lock);
	ctrl->csts |= NVME_CSTS_CFS;
	lock_drop(&ctrl->lock);
	log_limited(&ctrl->fn.log, LOG_WARNING, ctrl->fn.name,
		    "%s: the controller stops until the guest resets it", why);
}

static void ctrl_enable(struct nvme_ctrl *ctrl)
{
	uint32_t cc, aqa, asqs, acqs;
	uint64_t asq, acq;

	lock_take(&ctrl->lock);
	cc = ctrl->cc;
	aqa = ctrl->aqa;
	asq = ctrl->asq;
	acq = ctrl->acq;
	lock_drop(&ctrl->lock);
	asqs = FIELD_GET(NVME_AQA_ASQS, aqa);
	acqs = FIELD_GET(NVME_AQA_ACQS, aqa);
	ctrl->page_size = (uint32_t)PAGE_SIZE << FIELD_GET(NVME_CC_MPS, cc);
	if (cc & (NVME_CC_CSS | NVME_CC_AMS) || FIELD_GET(NVME_CC_MPS, cc) > PAGE_LG2_MAX) {
		nvme_ctrl_fail(ctrl, "CC asks for what CAP does not offer");
		return;
	}
	if (!asqs || !acqs || asqs > ADMIN_QUEUE_LAST || acqs > ADMIN_QUEUE_LAST) {
		nvme_ctrl_fail(ctrl, "the admin queues' sizes are not possible");
		return;
	}
	if (!is_aligned(asq | acq, ctrl->page_size)) {
		nvme_ctrl_fail(ctrl, "the admin queues are not aligned to pages");
		return;
	}
	ctrl->nr_pairs = (unsigned int)min_u64(nvme_virt_vq(ctrl), NVME_PAIRS_MAX);
	if (nvme_cq_create(ctrl, 0, acq, acqs + 1, true, 0) ||
	    nvme_sq_create(ctrl, 0, asq, asqs + 1, ctrl->cqs[0])) {
		nvme_queues_delete(ctrl);
		nvme_ctrl_fail(ctrl, "no memory for the admin queues");
		return;
	}
	/* What was rung before there were queues rang nothing. */
	for (unsigned int i = 0; i < ARRAY_SIZE(ctrl->dirty); i++)
		atomic_store(&ctrl->dirty[i], 0);
	ctrl->enabled = true;
	lock_take(&ctrl->lock);
	ctrl->csts = (ctrl->csts & ~NVME_CSTS_SHST) | NVME_CSTS_RDY;
	lock_drop(&ctrl->lock);
}

static void ctrl_do_reset(struct nvme_ctrl *ctrl, unsigned int how)
{
	struct nvme *nvme = ctrl->nvme;

	/* From here nothing is posted any more. */
	ctrl->enabled = false;
	nvme_queues_drain(ctrl, NULL);
	nvme_events_reset(ctrl);
	nvme_queues_delete(ctrl);
	ctrl->shadow = false;
	nvme_ctrl_place_bells(ctrl);
	nvme_features_reset(ctrl);
	ctrl->failed = false;
	ctrl->changed_ns = 0;
	/* Secondaries do not outlive their primary's state (8.5.3). */
	for (unsigned int i = 1; !nvme_is_vf(ctrl) && i < nvme->nr_ctrls; i++)
		nvme_virt_offline(nvme->ctrls[i]);

	lock_take(&ctrl->lock);
	ctrl->csts = how & NVME_RESET_SUBSYSTEM ? NVME_CSTS_NSSRO : 0;
	ctrl->intm = 0;
	ctrl->irq_status = 0;
	if (how & NVME_RESET_SUBSYSTEM)
		ctrl->cc = 0;
	if (how & NVME_RESET_FUNCTION) {
		ctrl->cc = 0;
		ctrl->aqa = 0;
		ctrl->asq = 0;
		ctrl->acq = 0;
	}
	ctrl->resets &= ~how;
	lock_drop(&ctrl->lock);
	if (!nvme_is_vf(ctrl))
		pci_function_intx(&ctrl->fn, false);
}

/* What is written stays written (3.1.6, 7.6.2); then the host may cut the power. */
static void ctrl_shutdown(struct nvme_ctrl *ctrl)
{
	struct nvme *nvme = ctrl->nvme;

	for (unsigned int i = 0; i < nvme->nr_ns; i++)
		nvme_ns_flush(&nvme->ns[i]);
	lock_take(&ctrl->lock);
	ctrl->csts =
		(ctrl->csts & ~NVME_CSTS_SHST) | FIELD_PREP(NVME_CSTS_SHST, NVME_SHST_COMPLETE);
	lock_drop(&ctrl->lock);
}

void nvme_ctrl_sync(struct nvme_ctrl *ctrl)
{
	unsigned int resets;
	uint32_t cc, csts;
	bool shut;

	lock_take(&ctrl->lock);
	resets = ctrl->resets;
	lock_drop(&ctrl->lock);
	if (resets)
		ctrl_do_reset(ctrl, resets);

	lock_take(&ctrl->lock);
	cc = ctrl->cc;
	csts = ctrl->csts;
	shut = FIELD_GET(NVME_CC_SHN, cc) && FIELD_GET(NVME_CSTS_SHST, csts) == NVME_SHST_NORMAL;
	if (shut)
		ctrl->csts |= FIELD_PREP(NVME_CSTS_SHST, NVME_SHST_OCCURRING);
	lock_drop(&ctrl->lock);
	if (shut)
		ctrl_shutdown(ctrl);
	else if (cc & NVME_CC_EN && !ctrl->enabled && !ctrl->failed && atomic_load(&ctrl->online))
		ctrl_enable(ctrl);
}

static void ctrl_sync_now(void *opaque)
{
	nvme_ctrl_sync(opaque);
}

void nvme_ctrl_reset(struct nvme_ctrl *ctrl, enum nvme_reset how)
{
	lock_take(&ctrl->lock);
	ctrl->resets |= how;
	lock_drop(&ctrl->lock);
	nvme_call(ctrl->nvme, ctrl_sync_now, ctrl);
}

void nvme_ctrl_place_bells(struct nvme_ctrl *ctrl)
{
	struct platform *platform = ctrl->fn.platform;

	lock_take(&ctrl->lock);
	for (unsigned int slot = 0; slot < 2 * NVME_PAIRS_MAX; slot++) {
		unsigned int id = slot / 2;
		bool want = ctrl->shadow && id && ctrl->bar &&
			    (slot & 1 ? ctrl->cqs[id] != NULL : ctrl->sqs[id] != NULL);
		struct doorbell bell = { .space = BUS_MMIO, .size = 4, .eventfd = ctrl->kick_fd };

		if (want == !!ctrl->bell_at[slot])
			continue;
		bell.addr = want ? ctrl->bar + NVME_DOORBELLS + 4 * slot : ctrl->bell_at[slot];
		if (!want)
			platform->ops->doorbell_remove(platform, &bell);
		else if (platform->ops->doorbell_add(platform, &bell))
			continue; /* the kernel has no more: it traps, as without buffers */
		ctrl->bell_at[slot] = want ? bell.addr : 0;
	}
	lock_drop(&ctrl->lock);
}
