/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The virtualisation side of an NVMe drive, by its own admin commands through the host's driver:
 * secondary controllers (one for each VF), the queues and interrupts they get, and which namespaces
 * they see. NVM Express Base Specification 1.4: 5.15 Identify, 5.22 Virtualization Management,
 * 5.12 Namespace Attachment.
 */
#ifndef AIRLOCK_ASSIGN_NVME_H
#define AIRLOCK_ASSIGN_NVME_H

#include "base/diag.h"
#include "host/pci.h"

#define ASSIGN_NVME_MAX_SECONDARIES 127
#define ASSIGN_NVME_MAX_NAMESPACES  1024

struct assign_nvme {
	struct sys *sys;
	int fd;
	char node[32]; /* "nvme0" */
	uint16_t id;   /* the primary controller's */
	bool has_secondaries, has_attachment;
	/* Flexible resources in all, and the most one secondary controller can have. */
	uint32_t queues, interrupts;
	uint16_t max_queues, max_interrupts;
};

struct assign_nvme_secondary {
	uint16_t id, vf; /* VF number, from 1; 0 when it belongs to none */
	bool online;
	uint16_t queues, interrupts;
};

/*
 * Opens the drive that is this physical function. -ENODEV when the nvme driver does not have it.
 * On 0 close with assign_nvme_close().
 */
int assign_nvme_open(struct sys *sys, const struct host_function *pf, struct assign_nvme *nvme,
		     struct diag *diag);
void assign_nvme_close(struct assign_nvme *nvme);

/* All secondary controllers; at most ASSIGN_NVME_MAX_SECONDARIES. Returns how many, or -errno. */
int assign_nvme_secondaries(struct assign_nvme *nvme, struct assign_nvme_secondary *out,
			    struct diag *diag);

/*
 * Takes a secondary controller offline, gives it resources while it is, and brings it online with
 * these resources. 0 or -errno.
 */
int assign_nvme_offline(struct assign_nvme *nvme, uint16_t id, struct diag *diag);
int assign_nvme_share(struct assign_nvme *nvme, uint16_t id, uint16_t queues, uint16_t interrupts,
		      struct diag *diag);
int assign_nvme_online(struct assign_nvme *nvme, uint16_t id, uint16_t queues, uint16_t interrupts,
		       struct diag *diag);

/* The namespaces that exist, attached or not. Returns how many (at most `room`), or -errno. */
int assign_nvme_namespaces(struct assign_nvme *nvme, uint32_t *nsid, size_t room,
			   struct diag *diag);

/*
 * The controllers a namespace is attached to, at most `room` of them stored. Returns how many, or
 * -errno.
 */
int assign_nvme_controllers(struct assign_nvme *nvme, uint32_t nsid, uint16_t *id, size_t room,
			    struct diag *diag);

/* Makes a controller see just these namespaces. 0 or -errno. */
int assign_nvme_show(struct assign_nvme *nvme, uint16_t id, const uint32_t *nsid, size_t nr,
		     struct diag *diag);

/*
 * Erases a namespace's user data (Format NVM with secure erase, 5.23). A controller may only format
 * what it sees, so the primary is attached to the namespace while that lasts: the host sees it come
 * and go. 0 or -errno.
 */
int assign_nvme_erase(struct assign_nvme *nvme, uint32_t nsid, struct diag *diag);

#endif
