/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VFIO container: the address space that all devices of a VM share, and the groups in it. The
 * kernel wants this order, and undoes it in reverse:
 *
 *	open container -> open group -> group viable? -> group into container -> (first group only)
 *	set the IOMMU -> tell KVM -> get devices
 *
 * Loop thread only, or before the loop runs.
 */
#ifndef AIRLOCK_VFIO_CONTAINER_H
#define AIRLOCK_VFIO_CONTAINER_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/lock.h"
#include "dma/type1.h"
#include "vfio/vfio.h"

struct vfio_pci;
struct vfio_context;

/*
 * One address space of the host's IOMMU: a container. Devices outside of a guest's IOMMU share one,
 * which holds all of guest RAM. Behind it each group has its own, which holds what the guest's tables
 * say for it (vfio/nest.c).
 */
struct vfio_space {
	struct vfio_context *context;
	bool mirror;	/* behind the guest's IOMMU */
	char name[32];	/* object of the mapping's refusals: the first device's, or "vfio" */
	int fd;		/* the container */
	bool has_iommu; /* set with the first group, lost with the last */
	bool listening; /* it knows guest RAM: the listener is the platform's */
	struct dma_type1 type1;
	struct dma_space *dma; /* while has_iommu */
	unsigned int nr_groups;
	struct vfio_space *next; /* the context's mirrors */
};

/* A group whose descriptor we hold. Counted: one use per device opened through it. */
struct vfio_group {
	int id;
	int fd;
	unsigned int users;
	bool told_kvm;
	struct vfio_space *space;
	struct vfio_group *next;
};

/* How far guest RAM has become reachable. Only ever forwards. */
enum vfio_grant_state {
	VFIO_GRANT_NONE,    /* not asked for yet */
	VFIO_GRANT_RUNNING, /* a thread of its own is at it */
	VFIO_GRANT_DONE,
	VFIO_GRANT_FAILED,
};

struct vfio_grant {
	struct lock lock; /* LOCK_LEAF: state */
	pthread_cond_t changed;
	enum vfio_grant_state state;
	bool threaded; /* there is a thread to join; loop thread */
	pthread_t thread;
	struct diag diag;      /* why it failed; the thread's until state says so */
	atomic_ullong took_ns; /* from asking for guest RAM to its being there; 0: not yet */
};

struct vfio_context {
	struct vfio_context_config config;
	struct sys *sys;
	struct vfio_space shared;
	struct vfio_space *mirrors;
	struct vfio_group *groups;
	struct vfio_pci *devices; /* open ones, in order of creation */
	struct vfio_grant grant;
};

/* vfio/grant.c. */
void vfio_grant_init(struct vfio_context *context);
/* Waits for the thread. */
void vfio_grant_fini(struct vfio_context *context);
/* Guest RAM into the address space and out of it again; the second is harmless without the first. */
int vfio_grant_listen(struct vfio_space *space, struct diag *diag);
void vfio_grant_unlisten(struct vfio_space *space);

/*
 * The group, opened and in a container: the shared one, or its own where it is to mirror a guest's
 * tables. `name` is "fd=N" or NULL. `object` is the device the refusal is about. 0, or -errno with
 * diag filled. Undo with vfio_group_put().
 */
int vfio_group_get(struct vfio_context *context, const struct host_group *host, const char *name,
		   bool mirror, const char *object, struct vfio_group **group, struct diag *diag);
/* All device descriptors of this use are closed. The last use closes the group. */
void vfio_group_put(struct vfio_context *context, struct vfio_group *group);

/* The open group with this number; NULL: not ours. */
struct vfio_group *vfio_group_find(const struct vfio_context *context, int id);

/* A range that must stay mapped for the host's firmware: 0, or -EPERM with diag filled. */
int vfio_refuse_rmrr(const struct host_group *host, const char *object, struct diag *diag);
/* -EPERM, with the risk and the remedy of interrupts that are not remapped. */
int vfio_refuse_unsafe(const char *object, struct diag *diag);
/* What the kernel's answer to a host object being opened means for the one who asked. */
int vfio_refuse_open(struct sys *sys, int err, const char *object, const char *path,
		     struct diag *diag);

#endif
