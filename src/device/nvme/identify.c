// SPDX-License-Identifier: GPL-2.0-or-later
/* Identify (NVMe 1.4, 5.15): 4096 bytes of what is asked for. */
#include <stdio.h>
#include <string.h>

#include "device/nvme/ctrl.h"

#define MODEL	      "Airlock NVMe"
#define FIRMWARE      "1"
#define ABORTS	      3 /* at a time; fields count from 0 */
#define NSID_LIST_MAX 1024
#define LIST_MAX      2047
#define POWER_CW      500 /* state 0, in hundredths of a watt */

static void put(uint8_t *data, unsigned int offset, unsigned int len, uint64_t value)
{
	le_store(data + offset, len, value);
}

/* ASCII, padded with spaces, no terminator (1.5). */
static void put_text(uint8_t *data, unsigned int offset, unsigned int len, const char *text)
{
	size_t n = strlen(text);

	memset(data + offset, ' ', len);
	memcpy(data + offset, text, n < len ? n : len);
}

static uint64_t subsystem_bytes(const struct nvme *nvme)
{
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < nvme->nr_ns; i++)
		bytes += nvme->ns[i].block->size;
	return bytes;
}

static void identify_ctrl(const struct nvme_ctrl *ctrl, uint8_t *d)
{
	const struct nvme *nvme = ctrl->nvme;
	const struct pci_function *pf = &nvme->ctrls[0]->fn;
	bool vf = nvme_is_vf(ctrl);
	uint32_t cmic = nvme->vfs ? NVME_CMIC_CONTROLLERS : 0;
	uint32_t oacs = NVME_OACS_DOORBELL_BUFFER;

	if (vf)
		cmic |= NVME_CMIC_VF;
	else
		oacs |= NVME_OACS_NAMESPACES | (nvme->vfs ? NVME_OACS_VIRTUALIZATION : 0);
	put(d, NVME_ID_VID, 2, le_load(&pf->config[PCI_VENDOR_ID], 2));
	put(d, NVME_ID_SSVID, 2, le_load(&pf->config[PCI_SUBVENDOR_ID], 2));
	put_text(d, NVME_ID_SN, NVME_SN_LEN, nvme->serial);
	put_text(d, NVME_ID_MN, NVME_MN_LEN, MODEL);
	put_text(d, NVME_ID_FR, NVME_FR_LEN, FIRMWARE);
	put(d, NVME_ID_RAB, 1, 6);
	put(d, NVME_ID_CMIC, 1, cmic);
	put(d, NVME_ID_MDTS, 1, NVME_MDTS);
	put(d, NVME_ID_CNTLID, 2, ctrl->cntlid);
	put(d, NVME_ID_VER, 4, NVME_VS_1_4);
	put(d, NVME_ID_OAES, 4, NVME_OAES_NAMESPACES);
	put(d, NVME_ID_CNTRLTYPE, 1, NVME_CNTRLTYPE_IO);
	put(d, NVME_ID_OACS, 2, oacs);
	put(d, NVME_ID_ACL, 1, ABORTS);
	put(d, NVME_ID_AERL, 1, NVME_EVENTS_MAX - 1);
	put(d, NVME_ID_FRMW, 1, NVME_FRMW_SLOT_1_READ_ONLY | FIELD_PREP(NVME_FRMW_SLOTS, 1u));
	put(d, NVME_ID_LPA, 1, NVME_LPA_EFFECTS | NVME_LPA_EXTENDED);
	put(d, NVME_ID_ELPE, 1, NVME_ERRORS - 1);
	put(d, NVME_ID_WCTEMP, 2, NVME_WARM);
	put(d, NVME_ID_CCTEMP, 2, NVME_HOT);
	if (!vf)
		put(d, NVME_ID_TNVMCAP, 8, subsystem_bytes(nvme));
	put(d, NVME_ID_SQES, 1, NVME_SQE_LG2 | NVME_SQE_LG2 << 4);
	put(d, NVME_ID_CQES, 1, NVME_CQE_LG2 | NVME_CQE_LG2 << 4);
	put(d, NVME_ID_NN, 4, nvme->nr_ns);
	put(d, NVME_ID_ONCS, 2,
	    NVME_ONCS_COMPARE | NVME_ONCS_DATASET | NVME_ONCS_WRITE_ZEROES | NVME_ONCS_SELECT |
		    NVME_ONCS_TIMESTAMP | NVME_ONCS_VERIFY);
	put(d, NVME_ID_VWC, 1, (nvme->write_cache ? NVME_VWC_PRESENT : 0) | NVME_VWC_FLUSH_ALL);
	put(d, NVME_ID_SGLS, 4, NVME_SGLS_ANY | NVME_SGLS_BIT_BUCKET);
	memcpy(d + NVME_ID_SUBNQN, nvme->subnqn, strlen(nvme->subnqn));
	put(d, NVME_ID_PSD0, 2, POWER_CW);
}

static void put_format(const struct nvme_ns *ns, uint8_t *d)
{
	put(d, NVME_NS_LBAF0, 4, FIELD_PREP(NVME_LBAF_LBADS, ns->lba_lg2));
}

/* Granularities are in blocks, counted from 0. */
static uint64_t granule(const struct nvme_ns *ns, uint64_t bytes)
{
	uint64_t blocks = bytes >> ns->lba_lg2;

	return blocks ? min_u64(blocks, 65536) - 1 : 0;
}

static void identify_ns(const struct nvme_ns *ns, uint8_t *d)
{
	const struct block_limits *limits = &ns->block->limits;

	put(d, NVME_NS_NSZE, 8, ns->nr_blocks);
	put(d, NVME_NS_NCAP, 8, ns->nr_blocks);
	put(d, NVME_NS_NUSE, 8, ns->nr_blocks);
	put(d, NVME_NS_NSFEAT, 1, NVME_NSFEAT_GRANULARITY);
	put(d, NVME_NS_NMIC, 1, ns->nvme->vfs ? NVME_NMIC_SHARED : 0);
	put(d, NVME_NS_DLFEAT, 1, NVME_DLFEAT_WRITE_ZEROES);
	put(d, NVME_NS_NVMCAP, 8, ns->block->size);
	put(d, NVME_NS_NPWG, 2, granule(ns, limits->physical_size));
	put(d, NVME_NS_NPWA, 2, granule(ns, limits->physical_size));
	put(d, NVME_NS_NPDG, 2, granule(ns, limits->discard_granularity));
	put(d, NVME_NS_NPDA, 2, granule(ns, limits->discard_granularity));
	put(d, NVME_NS_NATTR, 1, ns->block->readonly ? NVME_NSATTR_READ_ONLY : 0);
	memcpy(d + NVME_NS_NGUID, ns->nguid, NVME_NGUID_LEN);
	put_format(ns, d);
}

static uint16_t identify_namespace(const struct nvme_ctrl *ctrl, uint32_t nsid, bool allocated,
				   uint8_t *d)
{
	const struct nvme_ns *ns = nvme_ns_find(ctrl->nvme, nsid);

	/* What all namespaces have in common: the formats (5.15.2.1). */
	if (nsid == NVME_NSID_ALL && !allocated) {
		put_format(&ctrl->nvme->ns[0], d);
		return NVME_OK;
	}
	if (!ns)
		return NVME_INVALID_NAMESPACE | NVME_DNR;
	/* An inactive one is all zeroes. */
	if (allocated || nvme_is_attached(ctrl, ns))
		identify_ns(ns, d);
	return NVME_OK;
}

static uint16_t identify_list(const struct nvme_ctrl *ctrl, uint32_t after, bool allocated,
			      uint8_t *d)
{
	unsigned int nr = 0;

	if (after >= NVME_NSID_ALL - 1)
		return NVME_INVALID_NAMESPACE | NVME_DNR;
	for (unsigned int i = after; i < ctrl->nvme->nr_ns && nr < NSID_LIST_MAX; i++) {
		if (allocated || nvme_is_attached(ctrl, &ctrl->nvme->ns[i]))
			put(d, 4 * nr++, 4, i + 1);
	}
	return NVME_OK;
}

static uint16_t identify_descriptors(const struct nvme_ctrl *ctrl, uint32_t nsid, uint8_t *d)
{
	const struct nvme_ns *ns = nvme_ns_find(ctrl->nvme, nsid);

	if (!ns || !nvme_is_attached(ctrl, ns))
		return NVME_INVALID_NAMESPACE | NVME_DNR;
	put(d, 0, 1, NVME_NID_NGUID);
	put(d, 1, 1, NVME_NGUID_LEN);
	memcpy(d + 4, ns->nguid, NVME_NGUID_LEN);
	return NVME_OK;
}

/* Controllers from `first` on, of the subsystem or of a namespace. */
static void identify_ctrls(const struct nvme *nvme, const struct nvme_ns *ns, unsigned int first,
			   uint8_t *d)
{
	unsigned int nr = 0;

	for (unsigned int i = first; i < nvme->nr_ctrls && nr < LIST_MAX; i++) {
		if (!ns || ns->attached & BIT64(i))
			put(d, 2 + 2 * nr++, 2, i);
	}
	put(d, 0, 2, nr);
}

static void put_resource(const struct nvme *nvme, unsigned int at, unsigned int resource,
			 unsigned int own, uint8_t *d)
{
	put(d, at + NVME_PRIMARY_FRT, 4, nvme_virt_total(nvme));
	put(d, at + NVME_PRIMARY_RFA, 4, nvme_virt_assigned(nvme, resource));
	put(d, at + NVME_PRIMARY_RFAP, 2, own);
	put(d, at + NVME_PRIMARY_PRT, 2, nvme->io_queues + 1);
	put(d, at + NVME_PRIMARY_FRSM, 2, nvme->vf_queues + 1);
	put(d, at + NVME_PRIMARY_GRAN, 2, 1);
}

static void identify_primary(const struct nvme_ctrl *ctrl, uint8_t *d)
{
	const struct nvme *nvme = ctrl->nvme;

	put(d, NVME_PRIMARY_CNTLID, 2, ctrl->cntlid);
	put(d, NVME_PRIMARY_CRT, 1, NVME_CRT_VQ | NVME_CRT_VI);
	put_resource(nvme, NVME_PRIMARY_VQ, NVME_VIRT_VQ, atomic_load(&ctrl->nr_vq), d);
	put_resource(nvme, NVME_PRIMARY_VI, NVME_VIRT_VI, atomic_load(&ctrl->nr_vi), d);
}

static void identify_secondaries(const struct nvme *nvme, unsigned int first, uint8_t *d)
{
	unsigned int nr = 0;

	for (unsigned int i = first ? first : 1; i < nvme->nr_ctrls && nr < NVME_SECONDARY_MAX;
	     i++) {
		const struct nvme_ctrl *ctrl = nvme->ctrls[i];
		uint8_t *e = d + (size_t)NVME_SECONDARY_ENTRY * (1 + nr++);

		put(e, NVME_SECONDARY_SCID, 2, ctrl->cntlid);
		put(e, NVME_SECONDARY_PCID, 2, 0);
		put(e, NVME_SECONDARY_SCS, 1, atomic_load(&ctrl->online) ? NVME_SCS_ONLINE : 0);
		put(e, NVME_SECONDARY_VFN, 2, ctrl->fn.vf + 1);
		put(e, NVME_SECONDARY_NVQ, 2, atomic_load(&ctrl->nr_vq));
		put(e, NVME_SECONDARY_NVI, 2, atomic_load(&ctrl->nr_vi));
	}
	put(d, 0, 1, nr);
}

static uint16_t identify_fill(struct nvme_request *req, uint8_t *d)
{
	struct nvme_ctrl *ctrl = req->ctrl;
	struct nvme *nvme = ctrl->nvme;
	uint32_t nsid = le32_get(req->sqe.nsid), what = nvme_cdw(&req->sqe, 10);
	unsigned int first = FIELD_GET(NVME_IDENTIFY_CNTID, what);
	unsigned int set = FIELD_GET(NVME_IDENTIFY_CSI, nvme_cdw(&req->sqe, 11));
	bool virtual = !nvme_is_vf(ctrl) && nvme->vfs;

	switch (FIELD_GET(NVME_IDENTIFY_CNS, what)) {
	case NVME_CNS_NS:
		return identify_namespace(ctrl, nsid, false, d);
	case NVME_CNS_CTRL:
		identify_ctrl(ctrl, d);
		return NVME_OK;
	case NVME_CNS_ACTIVE:
		return identify_list(ctrl, nsid, false, d);
	case NVME_CNS_DESCRIPTORS:
		return identify_descriptors(ctrl, nsid, d);
	case NVME_CNS_SET_NS:
	case NVME_CNS_SET_CTRL:
		/* Of the NVM command set there is nothing to add; of others nothing at all. */
		return set ? NVME_INVALID_FIELD | NVME_DNR : NVME_OK;
	case NVME_CNS_ALLOCATED:
		return identify_list(ctrl, nsid, true, d);
	case NVME_CNS_ALLOCATED_NS:
		return identify_namespace(ctrl, nsid, true, d);
	case NVME_CNS_NS_CTRLS:
		if (!nvme_ns_find(nvme, nsid))
			return NVME_INVALID_NAMESPACE | NVME_DNR;
		identify_ctrls(nvme, nvme_ns_find(nvme, nsid), first, d);
		return NVME_OK;
	case NVME_CNS_CTRLS:
		identify_ctrls(nvme, NULL, first, d);
		return NVME_OK;
	case NVME_CNS_PRIMARY:
		if (virtual)
			identify_primary(ctrl, d);
		return virtual ? NVME_OK : NVME_INVALID_FIELD | NVME_DNR;
	case NVME_CNS_SECONDARY:
		if (virtual)
			identify_secondaries(nvme, first, d);
		return virtual ? NVME_OK : NVME_INVALID_FIELD | NVME_DNR;
	default:
		return NVME_INVALID_FIELD | NVME_DNR;
	}
}

uint16_t nvme_identify(struct nvme_request *req)
{
	uint8_t data[NVME_DATA_LEN] = { 0 };
	uint16_t status = identify_fill(req, data);

	return status ? status : nvme_data_reply(req, data, sizeof(data), sizeof(data));
}
