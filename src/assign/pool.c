// SPDX-License-Identifier: GPL-2.0-or-later
#include "assign/pool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bits.h"

#define POOL_PATH	"/run/airlock-pool."
#define LEASE_PATH	"/run/airlock-lease."
#define POOL_HEAD	"airlock-pool 1"
#define POOL_TEXT_MAX	KIB(64) /* what 256 functions need, twice */
#define POOL_PATIENCE	500	/* tries of 10 ms each for the pool's own short lock */
#define POOL_MAX_LISTED 512

bool assign_pool_name_ok(const char *name)
{
	size_t len = strlen(name);

	return len && len < ASSIGN_POOL_NAME &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") ==
		       len;
}

static int pool_missing(const char *name, int err, struct diag *diag)
{
	if (err != -ENOENT)
		return diag_set(diag, err, name, "the pool cannot be read: %s", strerror(-err));
	diag_set(diag, err, name, "there is no such pool");
	diag_remedy(diag, err, "airlock pool list names them; airlock pool create makes one");
	return err;
}

/*
 * The pool's file, locked: for as long as it takes to look who has what, never for a scrub. So to
 * wait for it is to wait for another process's few system calls.
 */
static int pool_open(struct sys *sys, const char *name, bool make, struct diag *diag)
{
	char path[80];
	int fd, err = -EAGAIN;

	if (!assign_pool_name_ok(name)) {
		diag_set(diag, -EINVAL, name, "not a pool's name");
		diag_remedy(diag, -EINVAL, "1 to %d letters, digits, - and _",
			    ASSIGN_POOL_NAME - 1);
		return -EINVAL;
	}
	snprintf(path, sizeof(path), POOL_PATH "%s", name);
	/* Opening for writing makes the file: first see whether it is there. */
	fd = make ? -1 : sys_open(sys, SYS_FILE_READ, path);
	if (!make && fd < 0)
		return pool_missing(name, fd, diag);
	sys_close(sys, &fd);
	fd = sys_open(sys, SYS_FILE_WRITE, path);
	if (fd < 0) {
		diag_set(diag, fd, path, "cannot open the pool: %s", strerror(-fd));
		if (fd == -EACCES || fd == -EPERM)
			diag_remedy(diag, fd, "pools need root");
		return fd;
	}
	for (int i = 0; i < POOL_PATIENCE && err == -EAGAIN; i++) {
		err = sys->ops->lock(sys, fd);
		if (err == -EAGAIN)
			usleep(10000);
	}
	if (!err)
		return fd;
	sys_close(sys, &fd);
	return diag_set(diag, err, path, "cannot lock the pool: %s",
			err == -EAGAIN ? "another process has held it for five seconds"
				       : strerror(-err));
}

/* "vf ADDRESS QUEUES INTERRUPTS", and for a network card what it has after it. */
static int pool_parse_function(struct assign_pool *pool, const char *line)
{
	struct assign_link_settings *link = &pool->link[pool->nr_vfs];
	unsigned int queues, interrupts, spoof_check, trust, state;
	char address[32], mac[32];
	int nr =
		sscanf(line, "vf %31s %5u %5u net %x %31s %5hu %3hhu %10u %10u %1u %1u %1u",
		       address, &queues, &interrupts, &link->has, mac, &link->vlan, &link->priority,
		       &link->rate_min, &link->rate_max, &spoof_check, &trust, &state);

	if (nr < 3 || queues > UINT16_MAX || interrupts > UINT16_MAX ||
	    pci_address_parse_full(address, &pool->vf[pool->nr_vfs]))
		return -EINVAL;
	pool->queues[pool->nr_vfs] = (uint16_t)queues;
	pool->interrupts[pool->nr_vfs] = (uint16_t)interrupts;
	if (nr > 3) {
		if (nr != 12 || assign_mac_parse(mac, link->mac) || state > ASSIGN_LINK_DOWN)
			return -EINVAL;
		link->spoof_check = spoof_check;
		link->trust = trust;
		link->state = (enum assign_link_state)state;
	}
	pool->nr_vfs++;
	return 0;
}

static int pool_parse(struct assign_pool *pool, char *text)
{
	char *save, *line = strtok_r(text, "\n", &save);

	if (!line || strcmp(line, POOL_HEAD))
		return -EINVAL;
	while ((line = strtok_r(NULL, "\n", &save))) {
		if (!strcmp(line, "wipe"))
			pool->wipe = true;
		else if (!strncmp(line, "pf ", 3)) {
			if (pci_address_parse_full(line + 3, &pool->pf))
				return -EINVAL;
		} else if (pool->nr_vfs == ASSIGN_POOL_MAX || pool_parse_function(pool, line))
			return -EINVAL;
	}
	return pool->nr_vfs ? 0 : -EINVAL;
}

/* -ENOENT for an empty file: that is how a pool is forgotten. */
static int pool_load(struct sys *sys, int fd, const char *name, struct assign_pool *pool,
		     struct diag *diag)
{
	uint64_t size;
	char *text;
	int err = sys->ops->size(sys, fd, &size);

	memset(pool, 0, sizeof(*pool));
	snprintf(pool->name, sizeof(pool->name), "%s", name);
	if (!err && !size)
		return pool_missing(name, -ENOENT, diag);
	text = err || size > POOL_TEXT_MAX ? NULL : malloc(size + 1);
	if (!text)
		return diag_set(diag, err ? err : -EFBIG, name, "the pool cannot be read");
	err = sys_pread_full(sys, fd, text, size, 0);
	text[size] = '\0';
	if (!err)
		err = pool_parse(pool, text);
	free(text);
	return err ? diag_set(diag, err, name,
			      "the pool's file is not one this program wrote: " POOL_PATH "%s",
			      name)
		   : 0;
}

int assign_pool_read(struct sys *sys, const char *name, struct assign_pool *pool, struct diag *diag)
{
	int fd = pool_open(sys, name, false, diag), err;

	if (fd < 0)
		return fd;
	err = pool_load(sys, fd, name, pool, diag);
	sys_close(sys, &fd);
	return err;
}

/* Whether it is known how to make this one as if nobody had had it. */
static int pool_check_scrub(const struct host_function *pf, const struct assign_vf *vf,
			    struct diag *diag)
{
	static const uint8_t none[6];

	if (assign_vf_is_nvme(pf)) {
		if (vf->has_controller && vf->controller.online)
			return 0;
		return diag_set(diag, -EINVAL, vf->name,
				"the drive has no controller online for it, so it cannot be "
				"scrubbed");
	}
	if (!(vf->link.has & BIT(ASSIGN_LINK_MAC)))
		return diag_set(diag, -EINVAL, vf->name,
				"its card does not tell its settings, so it cannot be scrubbed");
	if (memcmp(vf->link.mac, none, sizeof(none)))
		return 0;
	diag_set(diag, -EINVAL, vf->name,
		 "it has no address of its own: one VM's would be the next one's");
	return diag_remedy(diag, -EINVAL, "airlock vf set %s --mac ADDRESS", vf->name);
}

static int pool_check_vfs(const struct host_function *pf, const struct assign_vf *vf, int nr,
			  bool wipe, struct diag *diag)
{
	if (!nr) {
		diag_set(diag, -ENOENT, pf->name, "it has no virtual functions");
		return diag_remedy(diag, -ENOENT, "airlock vf create %s N", pf->name);
	}
	if (wipe && !assign_vf_is_nvme(pf))
		return diag_set(diag, -EINVAL, pf->name, "only drives have something to wipe");
	for (int i = 0; i < nr; i++) {
		int err = pool_check_scrub(pf, &vf[i], diag);

		if (err)
			return err;
		if (!host_driver_is_vfio(vf[i].driver)) {
			diag_set(diag, -EINVAL, vf[i].name, "it is not bound to vfio-pci");
			return diag_remedy(diag, -EINVAL, "airlock bind %s", vf[i].name);
		}
		if (wipe && !(vf[i].namespaces_known && vf[i].alone)) {
			diag_set(diag, -EPERM, vf[i].name,
				 "it shares its namespaces: erasing them would hit the others");
			return diag_remedy(diag, -EPERM,
					   "airlock vf create --own-namespaces, or a pool without "
					   "--wipe");
		}
	}
	return 0;
}

static size_t pool_format_function(const struct assign_vf *vf, char *text, size_t size)
{
	const struct assign_link_settings *link = &vf->link;
	char mac[ASSIGN_MAC_TEXT];
	int used = snprintf(text, size, "vf %s %u %u", vf->name, vf->controller.queues,
			    vf->controller.interrupts);

	if (link->has)
		used += snprintf(text + used, size - (size_t)used,
				 " net %x %s %u %u %u %u %u %u %u", link->has,
				 assign_mac_format(link->mac, mac), link->vlan, link->priority,
				 link->rate_min, link->rate_max, link->spoof_check, link->trust,
				 link->state);
	return (size_t)(used + snprintf(text + used, size - (size_t)used, "\n"));
}

static int pool_write(struct sys *sys, int fd, const struct host_function *pf, bool wipe,
		      const struct assign_vf *vf, int nr)
{
	char *text = malloc(POOL_TEXT_MAX);
	size_t used;
	int err;

	if (!text)
		return -ENOMEM;
	used = (size_t)snprintf(text, POOL_TEXT_MAX, POOL_HEAD "\npf %s\n%s", pf->name,
				wipe ? "wipe\n" : "");
	for (int i = 0; i < nr; i++)
		used += pool_format_function(&vf[i], text + used, POOL_TEXT_MAX - used);
	err = sys_pwrite_full(sys, fd, text, used, 0);
	if (err)
		sys->ops->truncate(sys, fd, 0);
	free(text);
	return err;
}

int assign_pool_create(struct assign_journal *journal, const char *name,
		       const struct host_function *pf, bool wipe, struct diag *diag)
{
	struct sys *sys = journal->sys;
	struct assign_vf *vf;
	uint64_t size;
	int nr, err, fd = -1;

	if (!assign_vf_is_nvme(pf) && !assign_vf_is_network(pf))
		return diag_set(
			diag, -EINVAL, pf->name,
			"only virtual functions of NVMe drives and network cards can be pooled: "
			"for others it is not known how to scrub them");
	vf = calloc(ASSIGN_POOL_MAX, sizeof(*vf));
	if (!vf)
		return diag_set(diag, -ENOMEM, name, "out of memory");
	nr = assign_vf_list(sys, pf, vf, ASSIGN_POOL_MAX, diag);
	err = nr < 0 ? nr : pool_check_vfs(pf, vf, nr, wipe, diag);
	if (err)
		goto out;
	fd = pool_open(sys, name, true, diag);
	err = fd < 0 ? fd : sys->ops->size(sys, fd, &size);
	if (!err && size) {
		diag_set(diag, -EEXIST, name, "there is a pool of this name");
		diag_remedy(diag, -EEXIST, "airlock pool destroy %s", name);
		err = -EEXIST;
	}
	if (!err)
		err = pool_write(sys, fd, pf, wipe, vf, nr);
out:
	sys_close(sys, &fd);
	free(vf);
	return err ? diag_set(diag, err, name, "the pool cannot be made: %s", strerror(-err)) : 0;
}

static int lease_open(struct sys *sys, struct pci_address address)
{
	char path[64], name[PCI_ADDRESS_TEXT];

	snprintf(path, sizeof(path), LEASE_PATH "%s", pci_address_format(address, name));
	return sys_open(sys, SYS_FILE_WRITE, path);
}

/* The caller holds the pool's lock where a lease is being looked for: two must not meet here. */
bool assign_pool_is_leased(struct sys *sys, struct pci_address address, unsigned int *pid)
{
	int fd = lease_open(sys, address);
	char text[16] = "";
	bool leased;

	*pid = 0;
	if (fd < 0)
		return false;
	leased = sys->ops->lock(sys, fd) == -EAGAIN;
	if (leased && sys->ops->pread(sys, fd, text, sizeof(text) - 1, 0) > 0)
		*pid = (unsigned int)strtoul(text, NULL, 10);
	sys_close(sys, &fd);
	return leased;
}

int assign_pool_destroy(struct sys *sys, const char *name, struct diag *diag)
{
	char leased[PCI_ADDRESS_TEXT];
	struct assign_pool pool;
	unsigned int pid;
	int fd = pool_open(sys, name, false, diag), err;

	if (fd < 0)
		return fd;
	err = pool_load(sys, fd, name, &pool, diag);
	for (size_t i = 0; !err && i < pool.nr_vfs; i++) {
		if (!assign_pool_is_leased(sys, pool.vf[i], &pid))
			continue;
		diag_set(diag, -EBUSY, name, "%s is leased to process %u",
			 pci_address_format(pool.vf[i], leased), pid);
		diag_remedy(diag, -EBUSY, "end that process first");
		err = -EBUSY;
	}
	if (!err) {
		err = sys->ops->truncate(sys, fd, 0);
		if (err)
			diag_set(diag, err, name, "the pool cannot be forgotten: %s",
				 strerror(-err));
	}
	sys_close(sys, &fd);
	return err;
}

static const struct assign_vf *pool_find_vf(const struct assign_vf *list, int nr,
					    struct pci_address address)
{
	for (int i = 0; i < nr; i++)
		if (pci_address_equal(list[i].address, address))
			return &list[i];
	return NULL;
}

static int pool_reset(struct sys *sys, const char *name, struct diag *diag)
{
	char path[96];
	int err;

	snprintf(path, sizeof(path), "bus/pci/devices/%s/reset", name);
	err = sys->ops->write_file(sys, SYS_TREE_SYS, path, "1\n", 2);
	return err ? diag_set(diag, err, name, "it cannot be reset: %s",
			      err == -ENOENT ? "there is no way to" : strerror(-err))
		   : 0;
}

/* A holder that died may have left a child that still has the device. */
static int pool_check_free(struct sys *sys, const struct assign_vf *vf, struct diag *diag)
{
	if (!host_driver_is_vfio(vf->driver))
		return diag_set(diag, -EBUSY, vf->name, "it is no longer bound to vfio-pci");
	return assign_check_idle(sys, vf->name, diag);
}

/* The n-th of a drive's. Nothing of the last holder's is left, or this fails. */
static int pool_scrub_drive(struct sys *sys, const struct assign_pool *pool, size_t n,
			    const struct host_function *pf, const struct assign_vf *vf,
			    struct diag *diag)
{
	struct assign_nvme nvme;
	int err;

	if (!vf->has_controller)
		return diag_set(diag, -ENXIO, vf->name, "the drive knows no controller for it");
	if (pool->wipe && !vf->namespaces_known)
		return diag_set(diag, -EIO, vf->name,
				"the drive does not say which namespaces to erase");
	if (pool->wipe && (!vf->alone || vf->nr_namespaces > ASSIGN_VF_MAX_NAMESPACES))
		return diag_set(diag, -EPERM, vf->name,
				"others see its namespaces by now: they are not erased");
	err = assign_nvme_open(sys, pf, &nvme, diag);
	if (err)
		return err;
	err = assign_nvme_offline(&nvme, vf->controller.id, diag);
	if (!err)
		err = pool_reset(sys, vf->name, diag);
	for (size_t i = 0; !err && pool->wipe && i < vf->nr_namespaces; i++)
		err = assign_nvme_erase(&nvme, vf->nsid[i], diag);
	if (!err)
		err = assign_nvme_online(&nvme, vf->controller.id, pool->queues[n],
					 pool->interrupts[n], diag);
	assign_nvme_close(&nvme);
	return err;
}

/* The same of a network card's: the reset takes queues and filters, the rest is the card's to set. */
static int pool_scrub_card(struct sys *sys, const struct assign_pool *pool, size_t n,
			   const struct host_function *pf, const struct assign_vf *vf,
			   struct diag *diag)
{
	struct assign_link link;
	int err = assign_link_open(sys, pf, &link, diag);

	if (err)
		return err;
	err = pool_reset(sys, vf->name, diag);
	if (!err)
		err = assign_link_restore(&link, vf->number, &pool->link[n], diag);
	assign_link_close(&link);
	return err;
}

/* The n-th VF of the pool, if it is free: locked, not yet scrubbed. */
static int pool_take(struct sys *sys, struct pci_address address, struct assign_lease *lease,
		     struct diag *diag)
{
	char text[16];
	int fd = lease_open(sys, address), err;

	pci_address_format(address, lease->name);
	if (fd < 0)
		return diag_set(diag, fd, lease->name, "cannot open its lease: %s", strerror(-fd));
	err = sys->ops->lock(sys, fd);
	if (err) {
		sys_close(sys, &fd);
		return err;
	}
	/* For people only: the lock is the lease. */
	snprintf(text, sizeof(text), "%-10u\n", (unsigned int)getpid());
	sys_pwrite_full(sys, fd, text, strlen(text), 0);
	*lease = (struct assign_lease){ .fd = fd, .address = address };
	pci_address_format(address, lease->name);
	return 0;
}

/* The first free one from *next on; *next moves past it. -EAGAIN when there is none. */
static int pool_take_next(struct sys *sys, const char *name, size_t *next, struct assign_pool *pool,
			  struct assign_lease *lease, struct diag *diag)
{
	int fd = pool_open(sys, name, false, diag), err;

	if (fd < 0)
		return fd;
	err = pool_load(sys, fd, name, pool, diag);
	if (!err)
		err = -EAGAIN;
	while (err == -EAGAIN && *next < pool->nr_vfs)
		err = pool_take(sys, pool->vf[(*next)++], lease, diag);
	sys_close(sys, &fd);
	return err;
}

static int pool_scrub_lease(struct sys *sys, const struct assign_pool *pool,
			    const struct assign_lease *lease, struct diag *diag)
{
	struct assign_vf *list = calloc(POOL_MAX_LISTED, sizeof(*list));
	const struct assign_vf *vf;
	struct host_function pf;
	size_t n = 0;
	int nr, err;

	if (!list)
		return diag_set(diag, -ENOMEM, pool->name, "out of memory");
	err = host_function_read(sys, pool->pf, &pf, diag);
	nr = err ? err : assign_vf_list(sys, &pf, list, POOL_MAX_LISTED, diag);
	vf = pool_find_vf(list, nr, lease->address);
	while (n < pool->nr_vfs && !pci_address_equal(pool->vf[n], lease->address))
		n++;
	if (nr < 0)
		err = nr;
	else if (!vf)
		err = diag_set(diag, -ENODEV, lease->name,
			       "it is no virtual function of %s any more", pf.name);
	else
		err = pool_check_free(sys, vf, diag);
	if (!err && pool->link[n].has)
		err = pool_scrub_card(sys, pool, n, &pf, vf, diag);
	else if (!err)
		err = pool_scrub_drive(sys, pool, n, &pf, vf, diag);
	free(list);
	return err;
}

static int pool_exhausted(const struct assign_pool *pool, struct diag *diag)
{
	diag_set(diag, -EAGAIN, pool->name, "all %zu virtual functions of the pool are leased",
		 pool->nr_vfs);
	diag_remedy(diag, -EAGAIN, "airlock pool list says to whom; wait, or make a larger pool");
	return -EAGAIN;
}

int assign_pool_peek(struct sys *sys, const char *name, struct pci_address *address,
		     struct diag *diag)
{
	struct assign_pool pool;
	unsigned int pid;
	int fd = pool_open(sys, name, false, diag), err;

	if (fd < 0)
		return fd;
	err = pool_load(sys, fd, name, &pool, diag);
	if (!err)
		err = -EAGAIN;
	for (size_t i = 0; err == -EAGAIN && i < pool.nr_vfs; i++) {
		if (assign_pool_is_leased(sys, pool.vf[i], &pid))
			continue;
		*address = pool.vf[i];
		err = 0;
	}
	sys_close(sys, &fd);
	return err == -EAGAIN ? pool_exhausted(&pool, diag) : err;
}

int assign_pool_lease(struct sys *sys, const char *name, struct assign_lease *lease,
		      struct diag *diag)
{
	struct assign_pool *pool = calloc(1, sizeof(*pool));
	size_t next = 0;
	int err = pool ? 0 : diag_set(diag, -ENOMEM, name, "out of memory");

	*lease = (struct assign_lease){ .fd = -1 };
	/* The lock on the VF is kept through the scrub, the pool's is not: others lease meanwhile. */
	while (!err) {
		err = pool_take_next(sys, name, &next, pool, lease, diag);
		if (err)
			break;
		if (!pool_scrub_lease(sys, pool, lease, diag)) {
			diag_clear(diag);
			break;
		}
		assign_lease_end(sys, lease);
	}
	if (err == -EAGAIN && diag && diag->err && diag->err != -EAGAIN) {
		/* Free ones there were, but none that could be scrubbed: the first reason stands. */
		err = diag->err;
	} else if (err == -EAGAIN) {
		pool_exhausted(pool, diag);
	}
	free(pool);
	return err;
}

void assign_lease_end(struct sys *sys, struct assign_lease *lease)
{
	if (lease->fd >= 0)
		sys_close(sys, &lease->fd);
}
