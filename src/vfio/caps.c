// SPDX-License-Identifier: GPL-2.0-or-later
#include "vfio/caps.h"

#include "base/endian.h"

#define CAP_NEXT_MASK 0xfcu

/* Identifiers that only this table speaks of. */
enum {
	CAP_AGP = 0x02,
	CAP_SLOT_ID = 0x04,
	CAP_HOT_SWAP = 0x06,
	CAP_PCIX = 0x07,
	CAP_HT = 0x08,
	CAP_DEBUG_PORT = 0x0a,
	CAP_CPCI = 0x0b,
	CAP_HOTPLUG = 0x0c,
	CAP_AGP8X = 0x0e,
	CAP_SECURE = 0x0f,
	CAP_SATA = 0x12,
	CAP_FPB = 0x15,

	EXT_VC = 0x0002,
	EXT_SERIAL = 0x0003,
	EXT_POWER_BUDGET = 0x0004,
	EXT_RC_LINK = 0x0005,
	EXT_RC_INTERNAL_LINK = 0x0006,
	EXT_RC_COLLECTOR = 0x0007,
	EXT_MFVC = 0x0008,
	EXT_VC9 = 0x0009,
	EXT_RCRB = 0x000a,
	EXT_VENDOR = 0x000b,
	EXT_MRIOV = 0x0011,
	EXT_MULTICAST = 0x0012,
	EXT_DPA = 0x0016,
	EXT_TPH = 0x0017,
	EXT_LTR = 0x0018,
	EXT_SECONDARY = 0x0019,
	EXT_L1PM = 0x001e,
	EXT_PTM = 0x001f,
	EXT_FRS = 0x0021,
	EXT_RTR = 0x0022,
	EXT_DVSEC = 0x0023,
	EXT_VF_REBAR = 0x0024,
	EXT_DATA_LINK = 0x0025,
	EXT_PHY_16GT = 0x0026,
	EXT_MARGINING = 0x0027,
	EXT_NPEM = 0x0029,
	EXT_PHY_32GT = 0x002a,
	EXT_DOE = 0x002e,
	EXT_IDE = 0x0030,
	EXT_PHY_64GT = 0x0031,
};

/*
 * The header. What decides where the device answers and whom it may write to is ours: BARs and
 * decode by pci/, bus mastering by vfio/config.c. BIST is hidden, for a self test takes the device
 * off the bus while it lasts.
 */
const struct vfio_reg vfio_header_regs[] = {
	{ .offset = PCI_VENDOR_ID, .size = 4, .show = ~0u },
	/* Error bits are the device's; the guest clears them there. */
	{ .offset = PCI_STATUS,
	  .size = 2,
	  .show = 0x0660, /* 66 MHz, DEVSEL timing: constants of a conventional device */
	  .pass_read = PCI_STATUS_ERRORS | BIT(8),
	  .pass_write = PCI_STATUS_ERRORS | BIT(8) },
	{ .offset = PCI_REVISION, .size = 4, .show = ~0u },
	{ .offset = PCI_CACHE_LINE, .size = 1, .keep = 0xff },
	{ .offset = PCI_SUBVENDOR_ID, .size = 4, .show = ~0u },
	{ .offset = PCI_IRQ_LINE, .size = 1, .keep = 0xff },
	{ .offset = PCI_IRQ_PIN, .size = 1, .show = 0xff },
	{ .offset = PCI_IRQ_PIN + 1, .size = 2, .show = 0xffff }, /* MIN_GNT, MAX_LAT */
};
const unsigned int vfio_nr_header_regs = ARRAY_SIZE(vfio_header_regs);

/*
 * Power state is virtual: the device stays in D0, so that a guest that touches its registers in D3
 * meets no host fault; out of D0 it cannot master the bus. Nothing is lost on the way back, which
 * is what No_Soft_Reset says. No PME: there is no one to wake.
 */
static const struct vfio_reg pm_regs[] = {
	{ .offset = PCI_PM_CAPS, .size = 2, .show = 0x0027 /* version, device-specific init */ },
	{ .offset = PCI_PM_CONTROL, .size = 2, .set = PCI_PM_NO_SOFT_RESET, .keep = PCI_PM_STATE },
};

/*
 * PCI Express (PCIe 6.0, 7.5.3). The link and the payload size are the host fabric's: the guest
 * sees the link as it is and changes shadows only. Error reporting stays with the host, which
 * tells us by the error event. Flow of the function's own requests (relaxed ordering, no snoop,
 * read request size, completion time-out) passes.
 */
static const struct vfio_reg pcie_regs[] = {
	{ .offset = PCI_EXP_FLAGS, .size = 2, .show = PCI_EXP_VERSION | PCI_EXP_TYPE },
	/* No phantom functions: their requester ids are no one's. FLR is set by vfio/config.c. */
	{ .offset = PCI_EXP_DEVCAP,
	  .size = 4,
	  .show = GENMASK(2, 0) | GENMASK(11, 5) | PCI_EXP_DEVCAP_RBER | GENMASK(27, 18) },
	{ .offset = PCI_EXP_DEVCTL,
	  .size = 2,
	  .keep = GENMASK(3, 0) | GENMASK(8, 5) | BIT(10),
	  .pass_read = BIT(4) | BIT(11) | GENMASK(14, 12),
	  .pass_write = BIT(4) | BIT(11) | GENMASK(14, 12) },
	{ .offset = PCI_EXP_DEVSTA,
	  .size = 2,
	  .pass_read = GENMASK(6, 0),
	  .pass_write = BIT(6) | GENMASK(3, 0) },
	/* No power management of the link, no port number of the host's. */
	{ .offset = PCI_EXP_LNKCAP, .size = 4, .show = GENMASK(9, 0) | GENMASK(17, 12) | BIT(22) },
	{ .offset = PCI_EXP_LNKCTL, .size = 2, .keep = BIT(3) | GENMASK(7, 6) },
	{ .offset = PCI_EXP_LNKSTA, .size = 2, .pass_read = GENMASK(9, 0) | BIT(12) },
	{ .offset = PCI_EXP_DEVCAP2, .size = 4, .show = GENMASK(4, 0) },
	{ .offset = PCI_EXP_DEVCTL2,
	  .size = 2,
	  .pass_read = GENMASK(4, 0),
	  .pass_write = GENMASK(4, 0) },
	{ .offset = PCI_EXP_LNKCAP2, .size = 4, .show = GENMASK(7, 1) },
	{ .offset = PCI_EXP_LNKCTL2, .size = 2, .show = GENMASK(3, 0), .keep = GENMASK(3, 0) },
};

/* Advanced Features (ECN to PCI 3.0): its reset bit works as that of PCI Express. */
static const struct vfio_reg af_regs[] = {
	{ .offset = 2, .size = 1, .set = 6 }, /* length */
	{ .offset = 3, .size = 1, .show = GENMASK(1, 0) },
};

/*
 * Resizable BAR (PCIe 6.0, 7.8.6): the size the host chose is the only one. Drivers look the
 * capability up to see that the BAR is as large as it gets. vfio/config.c reduces the sizes.
 */
#define REBAR_ENTRY(n)                                                 \
	{ .offset = 4 + 8 * (n), .size = 4, .show = ~0u },             \
	{                                                              \
		.offset = 8 + 8 * (n), .size = 4,                      \
		.show = GENMASK(2, 0) | GENMASK(7, 5) | GENMASK(13, 8) \
	}
static const struct vfio_reg rebar_regs[] = {
	REBAR_ENTRY(0), REBAR_ENTRY(1), REBAR_ENTRY(2),
	REBAR_ENTRY(3), REBAR_ENTRY(4), REBAR_ENTRY(5),
};

#define ROW(id_, name_, policy_, len_)                                           \
	{                                                                        \
		.id = (id_), .name = (name_), .policy = (policy_), .len = (len_) \
	}
#define TABLE(id_, name_, len_, regs_)                                                 \
	{                                                                              \
		.id = (id_), .name = (name_), .policy = VFIO_CAP_TABLE, .len = (len_), \
		.regs = (regs_), .nr_regs = ARRAY_SIZE(regs_)                          \
	}
#define HIDE(id_, name_, reason_)                                                          \
	{                                                                                  \
		.id = (id_), .name = (name_), .policy = VFIO_CAP_HIDE, .reason = (reason_) \
	}

#define HOST_SLOT "it controls the host's slot"
#define HOST_LINK "it controls the host's link"

static const struct vfio_cap_rule cap_rules[] = {
	TABLE(PCI_CAP_PM, "power management", PCI_PM_CONTROL + 4, pm_regs),
	HIDE(CAP_AGP, "AGP", HOST_LINK),
	ROW(PCI_CAP_VPD, "vital product data", VFIO_CAP_PASS, 8),
	HIDE(CAP_SLOT_ID, "slot identification", HOST_SLOT),
	ROW(PCI_CAP_MSI, "MSI", VFIO_CAP_MSI, 0),
	HIDE(CAP_HOT_SWAP, "CompactPCI hot swap", HOST_SLOT),
	ROW(CAP_PCIX, "PCI-X", VFIO_CAP_SHOW, 8),
	HIDE(CAP_HT, "HyperTransport", HOST_LINK),
	ROW(PCI_CAP_VENDOR, "vendor-specific", VFIO_CAP_PASS, 0),
	ROW(CAP_DEBUG_PORT, "debug port", VFIO_CAP_SHOW, 4),
	HIDE(CAP_CPCI, "CompactPCI resources", HOST_SLOT),
	HIDE(CAP_HOTPLUG, "hot-plug controller", HOST_SLOT),
	ROW(PCI_CAP_BRIDGE_SSVID, "subsystem id", VFIO_CAP_SHOW, 8),
	HIDE(CAP_AGP8X, "AGP 8x", HOST_LINK),
	HIDE(CAP_SECURE, "secure device", "there is no specification to virtualise it by"),
	TABLE(PCI_CAP_PCIE, "PCI Express", 0, pcie_regs),
	ROW(PCI_CAP_MSIX, "MSI-X", VFIO_CAP_MSIX, PCI_MSIX_CAP_LEN),
	ROW(CAP_SATA, "SATA index and data", VFIO_CAP_PASS, 8),
	TABLE(PCI_CAP_AF, "advanced features", 6, af_regs),
	HIDE(PCI_CAP_EA, "enhanced allocation", "it tells the host's fixed addresses"),
	HIDE(CAP_FPB, "flattening portal bridge", "it routes the host's fabric"),
};

static const struct vfio_cap_rule ext_rules[] = {
	HIDE(PCI_EXT_CAP_AER, "advanced error reporting",
	     "the host handles the device's errors; the guest's device is stopped by one"),
	HIDE(EXT_VC, "virtual channel", HOST_LINK),
	ROW(EXT_SERIAL, "device serial number", VFIO_CAP_SHOW, 12),
	ROW(EXT_POWER_BUDGET, "power budgeting", VFIO_CAP_PASS, 16),
	HIDE(EXT_RC_LINK, "root complex link", "it describes the host's root complex"),
	HIDE(EXT_RC_INTERNAL_LINK, "root complex internal link",
	     "it describes the host's root complex"),
	HIDE(EXT_RC_COLLECTOR, "event collector", "it describes the host's root complex"),
	HIDE(EXT_MFVC, "multi-function virtual channel", HOST_LINK),
	HIDE(EXT_VC9, "virtual channel", HOST_LINK),
	HIDE(EXT_RCRB, "root complex registers", "it describes the host's root complex"),
	ROW(EXT_VENDOR, "vendor-specific", VFIO_CAP_PASS, 0),
	HIDE(PCI_EXT_CAP_ACS, "access control services", "the host's isolation depends on it"),
	HIDE(PCI_EXT_CAP_ARI, "alternative routing id", "function numbers are the guest slot's"),
	HIDE(PCI_EXT_CAP_ATS, "address translation services", "there is no guest IOMMU behind it"),
	HIDE(PCI_EXT_CAP_SRIOV, "SR-IOV", "virtual functions are made on the host"),
	HIDE(EXT_MRIOV, "multi-root IOV", HOST_LINK),
	HIDE(EXT_MULTICAST, "multicast", "it routes the host's fabric"),
	HIDE(PCI_EXT_CAP_PRI, "page requests", "there is no guest IOMMU behind it"),
	TABLE(PCI_EXT_CAP_REBAR, "resizable BAR", 0, rebar_regs),
	HIDE(EXT_DPA, "dynamic power allocation", HOST_SLOT),
	HIDE(EXT_TPH, "TLP processing hints", "steering tags name the host's processors"),
	HIDE(EXT_LTR, "latency tolerance", HOST_LINK),
	HIDE(EXT_SECONDARY, "secondary PCI Express", HOST_LINK),
	HIDE(PCI_EXT_CAP_PASID, "PASID", "there is no guest IOMMU behind it"),
	HIDE(PCI_EXT_CAP_DPC, "downstream port containment", HOST_LINK),
	HIDE(EXT_L1PM, "L1 substates", HOST_LINK),
	HIDE(EXT_PTM, "precision time", "it would read the host's clock"),
	HIDE(EXT_FRS, "function readiness", HOST_LINK),
	HIDE(EXT_RTR, "readiness times", HOST_LINK),
	ROW(EXT_DVSEC, "designated vendor-specific", VFIO_CAP_PASS, 0),
	HIDE(EXT_VF_REBAR, "VF resizable BAR", "virtual functions are made on the host"),
	HIDE(EXT_DATA_LINK, "data link features", HOST_LINK),
	HIDE(EXT_PHY_16GT, "16 GT/s physical layer", HOST_LINK),
	HIDE(EXT_MARGINING, "lane margining", HOST_LINK),
	HIDE(EXT_NPEM, "native enclosure management", HOST_SLOT),
	HIDE(EXT_PHY_32GT, "32 GT/s physical layer", HOST_LINK),
	HIDE(EXT_DOE, "data object exchange", "it carries the host's attestation"),
	HIDE(EXT_IDE, "integrity and data encryption", HOST_LINK),
	HIDE(EXT_PHY_64GT, "64 GT/s physical layer", HOST_LINK),
};

static const struct vfio_cap_rule *cap_rule(bool extended, uint16_t id)
{
	const struct vfio_cap_rule *rules = extended ? ext_rules : cap_rules;
	size_t nr = extended ? ARRAY_SIZE(ext_rules) : ARRAY_SIZE(cap_rules);

	for (size_t i = 0; i < nr; i++)
		if (rules[i].id == id)
			return &rules[i];
	return NULL;
}

/* MSI: 10 bytes, 4 more for a 64-bit address, 10 more for masks (PCI 3.0, 6.8.1). */
static unsigned int cap_msi_len(const uint8_t *at)
{
	unsigned int control = (unsigned int)le_load(at + PCI_MSI_CONTROL, 2);

	return 10u + (control & PCI_MSI_64 ? 4 : 0) + (control & PCI_MSI_MASKING ? 10 : 0);
}

/* Version 1 ends where its port type does; we show endpoints only (PCIe 6.0, 7.5.3). */
static unsigned int cap_pcie_len(const uint8_t *at)
{
	unsigned int flags = (unsigned int)le_load(at + PCI_EXP_FLAGS, 2);

	if (FIELD_GET(PCI_EXP_VERSION, flags) >= 2)
		return PCI_EXP_CAP_LEN;
	return FIELD_GET(PCI_EXP_TYPE, flags) == PCI_EXP_RC_ENDPOINT ? PCI_EXP_LNKCAP
								     : PCI_EXP_SLTCAP;
}

/* What the capability's own length fields say. `left` bytes of config space follow its start. */
static unsigned int cap_len(bool extended, uint16_t id, const uint8_t *at, unsigned int left)
{
	if (!extended && left >= 4) {
		if (id == PCI_CAP_MSI)
			return cap_msi_len(at);
		if (id == PCI_CAP_PCIE)
			return cap_pcie_len(at);
		if (id == PCI_CAP_VENDOR)
			return at[2];
	}
	if (extended && left >= 12) {
		if (id == EXT_VENDOR || id == EXT_DVSEC)
			return (unsigned int)le_load(at + 4, 4) >> 20;
		if (id == PCI_EXT_CAP_REBAR)
			return 4 + 8 * (at[8] >> 5);
	}
	return 0;
}

/* Bytes that belong to it: its own length, but never into its neighbour or out of the space. */
static void cap_measure(struct vfio_caps *caps, const uint8_t *config, unsigned int i)
{
	struct vfio_cap *cap = &caps->cap[i];
	unsigned int header = cap->extended ? 4 : 2, len = 0;
	unsigned int end = cap->extended ? PCIE_CONFIG_SIZE : PCI_CONFIG_SIZE;

	for (unsigned int k = 0; k < caps->nr; k++) {
		const struct vfio_cap *other = &caps->cap[k];

		if (other->extended == cap->extended && other->offset > cap->offset &&
		    other->offset < end)
			end = other->offset;
	}
	if (cap->policy == VFIO_CAP_HIDE) {
		/* Nobody says how long it is, so what follows it is hidden too. */
		cap->len = (uint16_t)(end - cap->offset);
		return;
	}
	len = cap->rule->len;
	if (!len)
		len = cap_len(cap->extended, cap->id, config + cap->offset, end - cap->offset);
	if (len < header || len > end - cap->offset) {
		cap->policy = VFIO_CAP_HIDE;
		cap->reason = "its length makes no sense";
		len = end - cap->offset;
	}
	cap->len = (uint16_t)len;
}

static bool caps_add(struct vfio_caps *caps, bool extended, uint16_t offset, uint16_t id,
		     uint8_t version)
{
	struct vfio_cap *cap = &caps->cap[caps->nr];

	if (caps->nr == VFIO_CAPS_MAX)
		return false;
	for (unsigned int i = 0; i < caps->nr; i++)
		if (caps->cap[i].offset == offset)
			return false;
	*cap = (struct vfio_cap){ .extended = extended,
				  .id = id,
				  .offset = offset,
				  .version = version,
				  .rule = cap_rule(extended, id) };
	if (cap->rule) {
		cap->policy = cap->rule->policy;
		cap->name = cap->rule->name;
		cap->reason = cap->rule->reason;
	} else {
		cap->policy = VFIO_CAP_HIDE;
		cap->name = "unknown";
		cap->reason = "what it does is not known";
	}
	caps->nr++;
	return true;
}

void vfio_caps_read(const uint8_t *config, unsigned int size, struct vfio_caps *caps)
{
	unsigned int at;

	caps->nr = 0;
	at = le_load(config + PCI_STATUS, 2) & PCI_STATUS_CAPS ? config[PCI_CAP_PTR] & CAP_NEXT_MASK
							       : 0;
	while (at >= 0x40) {
		/* Id 0 is the null capability: a place holder (PCIe 6.0, 7.9.28). */
		if (config[at] && !caps_add(caps, false, (uint16_t)at, config[at], 0))
			break;
		/* A null entry that points back would not be seen by caps_add(). */
		if (!config[at] && (config[at + 1] & CAP_NEXT_MASK) <= at)
			break;
		at = config[at + 1] & CAP_NEXT_MASK;
	}
	for (at = PCI_EXT_CAPS; size >= PCIE_CONFIG_SIZE && at >= PCI_EXT_CAPS;) {
		uint32_t header = (uint32_t)le_load(config + at, 4);
		uint16_t id = (uint16_t)FIELD_GET(PCI_EXT_CAP_ID, header);
		unsigned int next = FIELD_GET(PCI_EXT_CAP_NEXT, header) & ~3u;

		/* All ones: no extended space behind this window after all. */
		if (!header || header == UINT32_MAX)
			break;
		if (id && !caps_add(caps, true, (uint16_t)at, id,
				    (uint8_t)FIELD_GET(PCI_EXT_CAP_VERSION, header)))
			break;
		if (!id && next <= at)
			break;
		at = next;
	}
	for (unsigned int i = 0; i < caps->nr; i++)
		cap_measure(caps, config, i);
}

struct vfio_cap *vfio_caps_find(struct vfio_caps *caps, bool extended, uint16_t id)
{
	for (unsigned int i = 0; i < caps->nr; i++)
		if (caps->cap[i].extended == extended && caps->cap[i].id == id)
			return &caps->cap[i];
	return NULL;
}
