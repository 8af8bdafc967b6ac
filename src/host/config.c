// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/config.h"

#include <string.h>

#include "base/endian.h"
#include "host/pci_regs.h"

/* No more capabilities than fit: 48 in 192 bytes at 4 each, 960 in the extended space. */
#define CONFIG_MAX_CAPS	    48
#define CONFIG_MAX_EXTENDED 960

struct config_view {
	const uint8_t *bytes;
	size_t len;
};

/* What lies outside the view reads as zero: a capability cut off by the end has no features. */
static uint32_t config_get(const struct config_view *view, size_t offset, unsigned int bytes)
{
	if (offset + bytes > view->len)
		return 0;
	return (uint32_t)le_load(view->bytes + offset, bytes);
}

static void config_parse_express(const struct config_view *view, size_t cap,
				 struct host_config *out)
{
	uint32_t flags = config_get(view, cap + HCFG_EXP_FLAGS, 2);
	uint32_t link_cap = config_get(view, cap + HCFG_EXP_LINK_CAP, 4);
	uint32_t link = config_get(view, cap + HCFG_EXP_LINK_STATUS, 2);

	out->express = true;
	out->port = (enum host_port)FIELD_GET(HCFG_EXP_TYPE, flags);
	out->flr = config_get(view, cap + HCFG_EXP_DEVICE_CAP, 4) & HCFG_EXP_FLR;
	out->slot = flags & HCFG_EXP_SLOT;
	if (out->slot)
		out->hotplug = config_get(view, cap + HCFG_EXP_SLOT_CAP, 4) & HCFG_EXP_HOTPLUG;
	out->link_speed_max = (uint8_t)FIELD_GET(HCFG_EXP_LINK_SPEED, link_cap);
	out->link_width_max = (uint8_t)FIELD_GET(HCFG_EXP_LINK_WIDTH, link_cap);
	out->link_speed = (uint8_t)FIELD_GET(HCFG_EXP_LINK_SPEED, link);
	out->link_width = (uint8_t)FIELD_GET(HCFG_EXP_LINK_WIDTH, link);
}

static void config_parse_cap(const struct config_view *view, uint8_t id, size_t cap,
			     struct host_config *out)
{
	uint32_t control;

	switch (id) {
	case HCFG_CAP_PM:
		out->pm = true;
		out->no_soft_reset =
			config_get(view, cap + HCFG_PM_CONTROL, 2) & HCFG_PM_NO_SOFT_RESET;
		break;
	case HCFG_CAP_MSI:
		control = config_get(view, cap + HCFG_MSI_CONTROL, 2);
		/* 6 and 7 are reserved: at most 2^5 vectors. */
		if (FIELD_GET(HCFG_MSI_CAPABLE_LG2, control) <= 5)
			out->msi_vectors = (uint16_t)BIT(FIELD_GET(HCFG_MSI_CAPABLE_LG2, control));
		break;
	case HCFG_CAP_EXPRESS:
		config_parse_express(view, cap, out);
		break;
	case HCFG_CAP_MSIX:
		control = config_get(view, cap + HCFG_MSIX_CONTROL, 2);
		out->msix_vectors = (uint16_t)(FIELD_GET(HCFG_MSIX_LAST, control) + 1);
		break;
	case HCFG_CAP_AF:
		out->af_flr = config_get(view, cap + HCFG_AF_CAP, 1) & HCFG_AF_FLR;
		break;
	default:
		break;
	}
}

static void config_parse_extended(const struct config_view *view, uint32_t id, size_t cap,
				  struct host_config *out)
{
	switch (id) {
	case HCFG_EXT_ACS:
		out->acs = true;
		out->acs_cap = (uint16_t)config_get(view, cap + HCFG_ACS_CAP, 2);
		out->acs_control = (uint16_t)config_get(view, cap + HCFG_ACS_CONTROL, 2);
		break;
	case HCFG_EXT_ARI:
		out->ari = true;
		break;
	case HCFG_EXT_ATS:
		out->ats = true;
		out->ats_enabled = config_get(view, cap + HCFG_ATS_CONTROL, 2) & HCFG_ATS_ENABLE;
		break;
	case HCFG_EXT_SRIOV:
		out->sriov = true;
		out->sriov_total = (uint16_t)config_get(view, cap + HCFG_SRIOV_TOTAL_VFS, 2);
		out->sriov_vfs = (uint16_t)config_get(view, cap + HCFG_SRIOV_NUM_VFS, 2);
		break;
	case HCFG_EXT_PRI:
		out->pri = true;
		break;
	case HCFG_EXT_RESIZABLE:
		out->resizable = true;
		break;
	case HCFG_EXT_PASID:
		out->pasid = true;
		break;
	default:
		break;
	}
}

static void config_walk(const struct config_view *view, struct host_config *out)
{
	size_t cap = config_get(view, HCFG_CAP_POINTER, 1) & 0xfc;
	unsigned int n;

	/* 0xff: a function that no longer answers reads as all ones. */
	for (n = 0; cap >= 0x40 && n < CONFIG_MAX_CAPS; n++) {
		uint8_t id = (uint8_t)config_get(view, cap, 1);

		if (!id || id == 0xff)
			break;
		config_parse_cap(view, id, cap, out);
		cap = config_get(view, cap + 1, 1) & 0xfc;
	}
}

static void config_walk_extended(const struct config_view *view, struct host_config *out)
{
	size_t cap = HCFG_EXTENDED;
	unsigned int n;

	for (n = 0; cap >= HCFG_EXTENDED && n < CONFIG_MAX_EXTENDED; n++) {
		uint32_t head = config_get(view, cap, 4);

		if (!head || head == ~0u)
			break;
		config_parse_extended(view, FIELD_GET(HCFG_EXT_ID, head), cap, out);
		cap = FIELD_GET(HCFG_EXT_NEXT, head) & ~3u;
	}
}

void host_config_parse(const uint8_t *bytes, size_t len, struct host_config *out)
{
	struct config_view view = { bytes, len < 4096 ? len : 4096 };
	uint32_t header;

	memset(out, 0, sizeof(*out));
	out->len = (uint16_t)view.len;
	if (len < 64)
		return;
	header = config_get(&view, HCFG_HEADER, 1);
	out->header = (uint8_t)FIELD_GET(HCFG_HEADER_TYPE, header);
	out->multifunction = header & HCFG_HEADER_MULTI;
	out->interrupt_pin = (uint8_t)config_get(&view, HCFG_INTERRUPT_PIN, 1);
	out->command = (uint16_t)config_get(&view, HCFG_COMMAND, 2);
	if (out->header == 1) {
		out->secondary_bus = (uint8_t)config_get(&view, HCFG_SECONDARY_BUS, 1);
		out->subordinate_bus = (uint8_t)config_get(&view, HCFG_SUBORDINATE_BUS, 1);
	}
	if (len < 256)
		return;
	out->visible = true;
	if (config_get(&view, HCFG_STATUS, 2) & HCFG_STATUS_CAPS)
		config_walk(&view, out);
	/* A conventional function has no extended space: what is absent there is known to be so. */
	out->extended_visible = len > 256 || !out->express;
	if (len > 256)
		config_walk_extended(&view, out);
}

const char *host_config_speed(uint8_t speed)
{
	static const char *const names[] = { "?", "2.5", "5", "8", "16", "32", "64" };

	return speed < ARRAY_SIZE(names) ? names[speed] : "?";
}

const char *host_config_port_name(const struct host_config *config)
{
	static const char *const names[] = {
		[HOST_PORT_ENDPOINT] = "endpoint",
		[HOST_PORT_LEGACY_ENDPOINT] = "legacy endpoint",
		[HOST_PORT_ROOT] = "root port",
		[HOST_PORT_UPSTREAM] = "switch upstream port",
		[HOST_PORT_DOWNSTREAM] = "switch downstream port",
		[HOST_PORT_PCIE_TO_PCI] = "bridge to conventional PCI",
		[HOST_PORT_PCI_TO_PCIE] = "bridge from conventional PCI",
		[HOST_PORT_INTEGRATED] = "integrated endpoint",
		[HOST_PORT_EVENT_COLLECTOR] = "event collector",
	};

	if (!config->express)
		return "conventional";
	if ((size_t)config->port >= ARRAY_SIZE(names) || !names[config->port])
		return "unknown port type";
	return names[config->port];
}
