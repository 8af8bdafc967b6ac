/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pools of virtual functions of an NVMe drive or a network card, made beforehand and leased to VMs.
 * Making a VF takes the drive's administrator queue for a time; leasing one takes a file lock and a
 * scrub.
 *
 * A lease is the lock of a file: it ends with its holder, however that dies. What the last holder
 * left is scrubbed before the next one gets it, and a VF that cannot be scrubbed is not leased. On
 * a drive its controller is taken offline, the function is reset, with `wipe` the namespaces that
 * are its alone are erased, and the controller is brought online with its share of queues. On a
 * network card the function is reset, queues and filters with it, and its address, VLAN, rate and
 * rights are made what they were when the pool was.
 *
 * A pool is a text file under /run: it ends with the boot, as the VFs do.
 */
#ifndef AIRLOCK_ASSIGN_POOL_H
#define AIRLOCK_ASSIGN_POOL_H

#include "assign/vf.h"

#define ASSIGN_POOL_MAX	 256
#define ASSIGN_POOL_NAME 32

struct assign_pool {
	char name[ASSIGN_POOL_NAME];
	struct pci_address pf;
	bool wipe; /* erase a VF's own namespaces before the next lease */
	struct pci_address vf[ASSIGN_POOL_MAX];
	size_t nr_vfs;
	/* Each controller's share: a drive may forget it when the controller goes offline. */
	uint16_t queues[ASSIGN_POOL_MAX], interrupts[ASSIGN_POOL_MAX];
	/* What each function of a network card had. */
	struct assign_link_settings link[ASSIGN_POOL_MAX];
};

struct assign_lease {
	int fd; /* whose lock is the lease; -1: none */
	struct pci_address address;
	char name[PCI_ADDRESS_TEXT];
};

/* True for 1 to 31 letters, digits, "-" and "_". */
bool assign_pool_name_ok(const char *name);

/*
 * Makes a pool of all VFs of a drive or card; they have to be bound to vfio-pci, and those of a card
 * to have addresses. -EEXIST when there is a pool of this name, -ENOENT when there are no VFs,
 * -EINVAL for what cannot be pooled, -EPERM with `wipe` where a VF shares its namespaces: erasing
 * would hit the others. diag filled.
 */
int assign_pool_create(struct assign_journal *journal, const char *name,
		       const struct host_function *pf, bool wipe, struct diag *diag);

/* Forgets a pool; its VFs stay. -EBUSY while one of them is leased. */
int assign_pool_destroy(struct sys *sys, const char *name, struct diag *diag);

/* Reads a pool. -ENOENT when there is none of this name. */
int assign_pool_read(struct sys *sys, const char *name, struct assign_pool *pool,
		     struct diag *diag);

/*
 * Leases a VF, scrubbed. -EAGAIN when all are leased; when some are free but none could be scrubbed,
 * the first one's reason. On 0 end it with assign_lease_end(), or by exiting.
 */
int assign_pool_lease(struct sys *sys, const char *name, struct assign_lease *lease,
		      struct diag *diag);
void assign_lease_end(struct sys *sys, struct assign_lease *lease);

/* The VF that a lease would try first, without taking it. -EAGAIN when all are leased. */
int assign_pool_peek(struct sys *sys, const char *name, struct pci_address *address,
		     struct diag *diag);

/* Whether a VF is leased at this moment, and by which process (0 when that is not known). */
bool assign_pool_is_leased(struct sys *sys, struct pci_address address, unsigned int *pid);

#endif
