/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtual functions: made, listed, set up, and taken away. On an NVMe drive each VF is a secondary
 * controller that needs queues and interrupts of the primary's before it works, and that sees
 * either the primary's namespaces, as all VFs do, or one that is its own. On a network card the
 * physical function decides the VF's address, VLAN, rate and rights (assign/link.h).
 */
#ifndef AIRLOCK_ASSIGN_VF_H
#define AIRLOCK_ASSIGN_VF_H

#include "assign/bind.h"
#include "assign/link.h"
#include "assign/nvme.h"

#define ASSIGN_VF_MAX_NAMESPACES 16

struct assign_vf {
	struct pci_address address;
	char name[PCI_ADDRESS_TEXT];
	unsigned int number; /* from 0, as sysfs counts */
	char driver[32];
	int group;
	/* On an NVMe drive. */
	bool has_controller;
	struct assign_nvme_secondary controller;
	bool namespaces_known;			 /* the drive has said all of this: */
	uint32_t nsid[ASSIGN_VF_MAX_NAMESPACES]; /* what it sees; the first few */
	size_t nr_namespaces;
	bool alone; /* nobody else but the primary sees any of them */
	/* On a network card; `has` nothing where its driver does not tell. */
	struct assign_link_settings link;
};

struct assign_vf_create {
	unsigned int nr;
	bool own_namespaces; /* each sees one namespace that no other controller sees */
};

/*
 * Makes VFs on a physical function that has none yet, without a host driver. The journal's lock
 * is held by the caller. 0; or -errno with diag, the function being as it was:
 *   -EINVAL no physical function, -ERANGE more than it can have, -EBUSY it has some already,
 *   -ENOSPC the drive's queues, interrupts or namespaces do not suffice.
 */
int assign_vf_create(struct assign_journal *journal, const struct host_function *pf,
		     const struct assign_vf_create *create, struct diag *diag);

/*
 * Takes all VFs away. -EBUSY while a VM or the host uses one, unless that loss is accepted (bit
 * per assign_use_kind). Also undoes a creation that was killed half-way.
 */
int assign_vf_destroy(struct assign_journal *journal, const struct host_function *pf,
		      unsigned int accepted, struct diag *diag);

/*
 * Lists the VFs of a function, at most `room`; returns how many, or -errno with diag. Where the
 * drive does not answer, has_controller is false.
 */
int assign_vf_list(struct sys *sys, const struct host_function *pf, struct assign_vf *out,
		   size_t room, struct diag *diag);

/* What assign_vf_set() is to change; the rest stays as it is. */
struct assign_vf_settings {
	struct assign_link_settings link; /* of a network card */
	/* Of an NVMe drive. */
	bool has_queues, has_interrupts, has_online, has_namespaces;
	uint16_t queues, interrupts;
	bool online;
	uint32_t nsid[ASSIGN_VF_MAX_NAMESPACES]; /* all it shall see */
	size_t nr_namespaces;
};

/*
 * Changes the settings of one VF; the journal's lock is held by the caller. 0; or -errno with diag,
 * the VF being as it was: -EINVAL no VF, or settings that its device has not, -EBUSY while a VM has
 * an NVMe VF open, whose controller has to go offline for a change.
 */
int assign_vf_set(struct assign_journal *journal, const struct host_function *vf,
		  const struct assign_vf_settings *settings, struct diag *diag);

/* True for an NVMe controller, a network card, by its class. */
bool assign_vf_is_nvme(const struct host_function *pf);
bool assign_vf_is_network(const struct host_function *pf);

#endif
