/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a function's configuration space says of it. The space is read once, as much as the kernel
 * lets the reader see: 64 bytes without CAP_SYS_ADMIN, 256 for a conventional device, 4096 for
 * PCI Express. What was not visible is unknown, which is not the same as absent.
 */
#ifndef AIRLOCK_HOST_CONFIG_H
#define AIRLOCK_HOST_CONFIG_H

#include "base/types.h"

enum host_known { HOST_UNKNOWN, HOST_NO, HOST_YES };

/* Device/port type of the PCI Express capability (PCIe 6.0, 7.5.3.2). */
enum host_port {
	HOST_PORT_ENDPOINT = 0,
	HOST_PORT_LEGACY_ENDPOINT = 1,
	HOST_PORT_ROOT = 4,
	HOST_PORT_UPSTREAM = 5,
	HOST_PORT_DOWNSTREAM = 6,
	HOST_PORT_PCIE_TO_PCI = 7,
	HOST_PORT_PCI_TO_PCIE = 8,
	HOST_PORT_INTEGRATED = 9, /* root complex integrated endpoint */
	HOST_PORT_EVENT_COLLECTOR = 10,
};

/* ACS capability and control bits (PCIe 6.0, 7.7.11.2 and 7.7.11.3). */
#define HOST_ACS_SOURCE_VALIDATION   0x01
#define HOST_ACS_TRANSLATION_BLOCK   0x02
#define HOST_ACS_REQUEST_REDIRECT    0x04
#define HOST_ACS_COMPLETION_REDIRECT 0x08
#define HOST_ACS_UPSTREAM_FORWARD    0x10
#define HOST_ACS_EGRESS_CONTROL	     0x20
#define HOST_ACS_DIRECT_TRANSLATED   0x40

struct host_config {
	uint16_t len;	       /* bytes seen: 0 when nothing could be read */
	bool visible;	       /* the conventional 256 bytes were seen: capabilities are known */
	bool extended_visible; /* so are the extended ones (absent on a conventional device) */
	uint8_t header;	       /* 0 endpoint, 1 bridge, 2 CardBus bridge */
	bool multifunction;
	uint8_t interrupt_pin; /* 0 none, 1 INTA */
	uint16_t command;
	uint8_t secondary_bus, subordinate_bus; /* of a bridge */

	bool express;
	enum host_port port; /* where express */
	bool slot, hotplug;
	bool flr;    /* by the PCI Express capability */
	bool af_flr; /* by Advanced Features */
	bool no_soft_reset, pm;
	uint8_t link_speed, link_width, link_speed_max, link_width_max; /* speed: 1 = 2.5 GT/s */

	uint16_t msi_vectors;  /* 0: no MSI */
	uint16_t msix_vectors; /* 0: no MSI-X */

	bool acs;
	uint16_t acs_cap, acs_control;
	bool ari, ats, ats_enabled, pri, pasid, resizable;
	bool sriov;
	uint16_t sriov_total, sriov_vfs;
};

/*
 * Reads `len` bytes of configuration space. Never fails: contents are a device's own and may be
 * anything; a capability list that loops, leaves the space or overlaps the header ends there.
 */
void host_config_parse(const uint8_t *bytes, size_t len, struct host_config *out);

/* "2.5", "5", "8", "16", "32", "64" GT/s for 1..6; "?" otherwise. */
const char *host_config_speed(uint8_t speed);

/* "endpoint", "root port", "switch upstream port"...; "conventional" without PCI Express. */
const char *host_config_port_name(const struct host_config *config);

#endif
