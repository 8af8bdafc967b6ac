// SPDX-License-Identifier: GPL-2.0-or-later
#include "assign/vf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"

#define CLASS_NVME	  0x010802
#define CLASS_NETWORK	  0x02 /* base class */
#define VF_MIN_QUEUES	  2    /* the admin queue and one for I/O */
#define VF_MIN_INTERRUPTS 1
#define VF_MAX_LISTED	  256

bool assign_vf_is_nvme(const struct host_function *pf)
{
	return pf->class_code == CLASS_NVME;
}

bool assign_vf_is_network(const struct host_function *pf)
{
	return pf->class_code >> 16 == CLASS_NETWORK;
}

static int vf_write(struct sys *sys, const struct host_function *pf, const char *file,
		    unsigned int value)
{
	char path[96], text[16];

	snprintf(path, sizeof(path), "bus/pci/devices/%s/%s", pf->name, file);
	snprintf(text, sizeof(text), "%u\n", value);
	return sys->ops->write_file(sys, SYS_TREE_SYS, path, text, strlen(text));
}

static int vf_address(struct sys *sys, const struct host_function *pf, unsigned int number,
		      struct pci_address *out)
{
	char path[96], name[64];
	int err;

	snprintf(path, sizeof(path), "bus/pci/devices/%s/virtfn%u", pf->name, number);
	err = sys_read_link_name(sys, SYS_TREE_SYS, path, name, sizeof(name));
	return err ? err : pci_address_parse_full(name, out);
}

static int vf_check_physical(const struct host_function *pf, struct diag *diag)
{
	if (pf->is_vf) {
		char name[PCI_ADDRESS_TEXT];

		diag_set(diag, -EINVAL, pf->name, "it is a virtual function itself");
		diag_remedy(diag, -EINVAL, "name its physical function: %s",
			    pci_address_format(pf->physfn, name));
		return -EINVAL;
	}
	if (!pf->sriov_total) {
		diag_set(diag, -EINVAL, pf->name,
			 "it has no SR-IOV: no virtual functions can be made");
		diag_remedy(diag, -EINVAL,
			    "airlock devices shows which have it (column VFS); some firmware "
			    "setups turn SR-IOV on and off");
		return -EINVAL;
	}
	return 0;
}

static const struct assign_nvme_secondary *vf_controller(const struct assign_nvme_secondary *list,
							 int nr, unsigned int number)
{
	for (int i = 0; i < nr; i++)
		if (list[i].vf == number + 1)
			return &list[i];
	return NULL;
}

/* What each VF would get; refused when that is too little to work. */
static int vf_share(const struct assign_nvme *nvme, unsigned int nr, uint16_t *queues,
		    uint16_t *interrupts, struct diag *diag)
{
	uint32_t most;

	*queues = (uint16_t)min_u64(nvme->max_queues, nvme->queues / nr);
	*interrupts = (uint16_t)min_u64(nvme->max_interrupts, nvme->interrupts / nr);
	if (*queues >= VF_MIN_QUEUES && *interrupts >= VF_MIN_INTERRUPTS)
		return 0;
	most = (uint32_t)min_u64(nvme->queues / VF_MIN_QUEUES, nvme->interrupts);
	diag_set(
		diag, -ENOSPC, nvme->node,
		"%u virtual functions need %u queues and %u interrupts, the drive has %u and %u to "
		"share out",
		nr, nr * VF_MIN_QUEUES, nr * VF_MIN_INTERRUPTS, nvme->queues, nvme->interrupts);
	if (most)
		diag_remedy(diag, -ENOSPC, "make at most %u", most);
	return -ENOSPC;
}

/* Namespaces that no controller but the primary sees: free to become somebody's own. */
static int vf_free_namespaces(struct assign_nvme *nvme, uint32_t *out, size_t room,
			      struct diag *diag)
{
	uint32_t all[ASSIGN_NVME_MAX_NAMESPACES];
	int nr_all = assign_nvme_namespaces(nvme, all, ARRAY_SIZE(all), diag), nr = 0;

	for (int i = 0; i < nr_all && (size_t)nr < room; i++) {
		uint16_t owner;
		int nr_owners = assign_nvme_controllers(nvme, all[i], &owner, 1, diag);

		if (nr_owners < 0)
			return nr_owners;
		if (!nr_owners)
			out[nr++] = all[i];
	}
	return nr_all < 0 ? nr_all : nr;
}

/* The namespaces the primary controller sees. */
static int vf_shared_namespaces(struct assign_nvme *nvme, uint32_t *out, size_t room,
				struct diag *diag)
{
	uint32_t all[ASSIGN_NVME_MAX_NAMESPACES];
	int nr_all = assign_nvme_namespaces(nvme, all, ARRAY_SIZE(all), diag), nr = 0;

	for (int i = 0; i < nr_all && (size_t)nr < room; i++) {
		uint16_t owner[512];
		int nr_owners =
			assign_nvme_controllers(nvme, all[i], owner, ARRAY_SIZE(owner), diag);

		if (nr_owners < 0)
			return nr_owners;
		for (int k = 0; k < nr_owners && k < (int)ARRAY_SIZE(owner); k++)
			if (owner[k] == nvme->id) {
				out[nr++] = all[i];
				break;
			}
	}
	return nr_all < 0 ? nr_all : nr;
}

struct vf_plan {
	struct assign_nvme nvme;
	bool is_nvme;
	uint16_t queues, interrupts;
	uint32_t nsid[ASSIGN_NVME_MAX_NAMESPACES];
	int nr_namespaces;
};

/* All that can be refused is refused before the first VF exists. */
static int vf_plan_nvme(struct vf_plan *plan, const struct host_function *pf, struct sys *sys,
			const struct assign_vf_create *create, struct diag *diag)
{
	int err = assign_nvme_open(sys, pf, &plan->nvme, diag);

	if (err)
		return err;
	plan->is_nvme = true;
	if (!plan->nvme.has_secondaries)
		return 0;
	err = vf_share(&plan->nvme, create->nr, &plan->queues, &plan->interrupts, diag);
	if (err || !plan->nvme.has_attachment)
		goto out;
	plan->nr_namespaces =
		create->own_namespaces
			? vf_free_namespaces(&plan->nvme, plan->nsid, ARRAY_SIZE(plan->nsid), diag)
			: vf_shared_namespaces(&plan->nvme, plan->nsid, ARRAY_SIZE(plan->nsid),
					       diag);
	if (plan->nr_namespaces < 0)
		err = plan->nr_namespaces;
	else if (create->own_namespaces && (unsigned int)plan->nr_namespaces < create->nr) {
		diag_set(diag, -ENOSPC, plan->nvme.node,
			 "%u namespaces that nobody sees are needed, one for each; there are %d",
			 create->nr, plan->nr_namespaces);
		diag_remedy(diag, -ENOSPC,
			    "make them: nvme create-ns /dev/%s ...; or share the host's "
			    "namespaces: without --own-namespaces",
			    plan->nvme.node);
		err = -ENOSPC;
	}
out:
	if (!err && create->own_namespaces && !plan->nvme.has_attachment) {
		diag_set(diag, -EOPNOTSUPP, plan->nvme.node,
			 "the drive cannot attach namespaces to one controller alone");
		diag_remedy(diag, -EOPNOTSUPP,
			    "all its virtual functions see all its namespaces: use them for VMs "
			    "that may see each other's data");
		err = -EOPNOTSUPP;
	}
	if (err)
		assign_nvme_close(&plan->nvme);
	return err;
}

/* Gives the new VFs' controllers what they need, one after the other. */
static int vf_set_up_nvme(struct vf_plan *plan, const struct assign_vf_create *create,
			  struct diag *diag)
{
	struct assign_nvme_secondary list[ASSIGN_NVME_MAX_SECONDARIES];
	int nr = assign_nvme_secondaries(&plan->nvme, list, diag), err = 0;

	if (nr < 0)
		return nr;
	for (unsigned int i = 0; !err && i < create->nr; i++) {
		const struct assign_nvme_secondary *controller = vf_controller(list, nr, i);

		if (!controller)
			return diag_set(diag, -ENXIO, plan->nvme.node,
					"the drive has no controller for virtual function %u", i);
		err = assign_nvme_offline(&plan->nvme, controller->id, diag);
		if (!err && plan->nvme.has_attachment)
			err = create->own_namespaces
				      ? assign_nvme_show(&plan->nvme, controller->id,
							 &plan->nsid[i], 1, diag)
				      : assign_nvme_show(&plan->nvme, controller->id, plan->nsid,
							 (size_t)plan->nr_namespaces, diag);
		if (!err)
			err = assign_nvme_online(&plan->nvme, controller->id, plan->queues,
						 plan->interrupts, diag);
	}
	return err;
}

/* So that the namespaces are free for the next VFs. Where the drive does not answer they stay. */
static void vf_clear_nvme(struct assign_nvme *nvme, unsigned int nr)
{
	struct assign_nvme_secondary list[ASSIGN_NVME_MAX_SECONDARIES];
	int nr_list = nvme->has_secondaries ? assign_nvme_secondaries(nvme, list, NULL) : 0;

	for (unsigned int i = 0; i < nr; i++) {
		const struct assign_nvme_secondary *controller = vf_controller(list, nr_list, i);

		if (!controller)
			continue;
		assign_nvme_offline(nvme, controller->id, NULL);
		if (nvme->has_attachment)
			assign_nvme_show(nvme, controller->id, NULL, 0, NULL);
	}
}

int assign_vf_create(struct assign_journal *journal, const struct host_function *pf,
		     const struct assign_vf_create *create, struct diag *diag)
{
	struct sys *sys = journal->sys;
	struct vf_plan *plan;
	int err = vf_check_physical(pf, diag);

	if (err)
		return err;
	if (!create->nr || create->nr > pf->sriov_total)
		return diag_set(diag, -ERANGE, pf->name, "it can have 1 to %u virtual functions",
				pf->sriov_total);
	if (pf->sriov_vfs) {
		diag_set(diag, -EBUSY, pf->name, "it has %u virtual functions already",
			 pf->sriov_vfs);
		diag_remedy(diag, -EBUSY, "use those (airlock vf list), or: airlock vf destroy %s",
			    pf->name);
		return -EBUSY;
	}
	plan = calloc(1, sizeof(*plan));
	if (!plan)
		return diag_set(diag, -ENOMEM, pf->name, "out of memory");
	if (assign_vf_is_nvme(pf))
		err = vf_plan_nvme(plan, pf, sys, create, diag);
	else if (create->own_namespaces)
		err = diag_set(diag, -EINVAL, pf->name, "only NVMe drives have namespaces");
	if (err)
		goto out_free;
	/* The VFs are for VMs: the host's driver shall not take them first. */
	err = vf_write(sys, pf, "sriov_drivers_autoprobe", 0);
	if (err) {
		diag_set(diag, err, pf->name,
			 "cannot keep the host's driver from new virtual "
			 "functions: %s",
			 strerror(-err));
		goto out_close;
	}
	err = vf_write(sys, pf, "sriov_numvfs", create->nr);
	if (err) {
		diag_set(diag, err, pf->name, "the kernel does not make %u virtual functions: %s",
			 create->nr, strerror(-err));
		diag_remedy(diag, err,
			    "dmesg | tail says more; the bus needs room for their addresses "
			    "(pci=realloc)");
	} else if (plan->is_nvme && plan->nvme.has_secondaries) {
		err = vf_set_up_nvme(plan, create, diag);
	}
	if (err) {
		if (plan->is_nvme)
			vf_clear_nvme(&plan->nvme, create->nr);
		vf_write(sys, pf, "sriov_numvfs", 0);
		vf_write(sys, pf, "sriov_drivers_autoprobe", 1);
	}
out_close:
	if (plan->is_nvme)
		assign_nvme_close(&plan->nvme);
out_free:
	free(plan);
	return err;
}

/* A VF that a VM has open, or that the host uses, is not pulled away. */
static int vf_check_idle(struct assign_journal *journal, struct pci_address address,
			 unsigned int accepted, struct diag *diag)
{
	struct host_function f;
	int err = host_function_read(journal->sys, address, &f, diag);

	if (err)
		return err;
	err = assign_check_idle(journal->sys, f.name, diag);
	return err ? err : assign_check_uses(journal->sys, &f, accepted, diag);
}

int assign_vf_destroy(struct assign_journal *journal, const struct host_function *pf,
		      unsigned int accepted, struct diag *diag)
{
	unsigned int nr = pf->sriov_vfs < VF_MAX_LISTED ? pf->sriov_vfs : VF_MAX_LISTED, i;
	struct pci_address address[VF_MAX_LISTED];
	struct assign_nvme nvme;
	int err = vf_check_physical(pf, diag);

	for (i = 0; !err && i < nr; i++) {
		err = vf_address(journal->sys, pf, i, &address[i]);
		if (err)
			return diag_set(diag, err, pf->name, "cannot name virtual function %u: %s",
					i, strerror(-err));
		err = vf_check_idle(journal, address[i], accepted, diag);
	}
	if (err)
		return err;
	if (nr && assign_vf_is_nvme(pf) && !assign_nvme_open(journal->sys, pf, &nvme, NULL)) {
		vf_clear_nvme(&nvme, nr);
		assign_nvme_close(&nvme);
	}
	err = vf_write(journal->sys, pf, "sriov_numvfs", 0);
	if (err)
		return diag_set(diag, err, pf->name, "the kernel does not take them away: %s",
				strerror(-err));
	vf_write(journal->sys, pf, "sriov_drivers_autoprobe", 1);
	/* What was bound is no more: there is nothing to give back. */
	for (i = 0; !err && i < nr; i++)
		if (assign_journal_find(journal, address[i]))
			err = assign_journal_strike(journal, address[i], diag);
	return err;
}

static void vf_list_namespaces(struct assign_nvme *nvme, struct assign_vf *vf)
{
	uint32_t all[ASSIGN_NVME_MAX_NAMESPACES];
	int nr_all = assign_nvme_namespaces(nvme, all, ARRAY_SIZE(all), NULL);

	if (nr_all < 0)
		return;
	vf->alone = true;
	for (int i = 0; i < nr_all; i++) {
		uint16_t owner[512];
		int nr = assign_nvme_controllers(nvme, all[i], owner, ARRAY_SIZE(owner), NULL);
		bool ours = false, others = false;

		/* Half an answer is none: nobody may take these namespaces for all there are. */
		if (nr < 0) {
			vf->alone = false;
			return;
		}
		for (int k = 0; k < nr && k < (int)ARRAY_SIZE(owner); k++) {
			ours |= owner[k] == vf->controller.id;
			others |= owner[k] != vf->controller.id && owner[k] != nvme->id;
		}
		if (!ours)
			continue;
		vf->alone &= !others;
		if (vf->nr_namespaces < ASSIGN_VF_MAX_NAMESPACES)
			vf->nsid[vf->nr_namespaces] = all[i];
		vf->nr_namespaces++;
	}
	vf->namespaces_known = true;
}

/* The settings of the first `nr` functions of a network card; none where nobody tells. */
static void vf_list_links(struct sys *sys, const struct host_function *pf, struct assign_vf *vf,
			  size_t nr)
{
	struct assign_link_settings *settings = calloc(nr + 1, sizeof(*settings));
	struct assign_link link;

	if (settings && !assign_link_open(sys, pf, &link, NULL)) {
		if (!assign_link_read(&link, settings, nr, NULL))
			for (size_t i = 0; i < nr; i++)
				vf[i].link = settings[i];
		assign_link_close(&link);
	}
	free(settings);
}

int assign_vf_list(struct sys *sys, const struct host_function *pf, struct assign_vf *out,
		   size_t room, struct diag *diag)
{
	struct assign_nvme_secondary list[ASSIGN_NVME_MAX_SECONDARIES];
	struct assign_nvme nvme = { .sys = sys, .fd = -1 };
	unsigned int nr = pf->sriov_vfs, i;
	int err = vf_check_physical(pf, diag), nr_list = 0;

	if (err)
		return err;
	if (assign_vf_is_nvme(pf) && !assign_nvme_open(sys, pf, &nvme, NULL) &&
	    nvme.has_secondaries)
		nr_list = assign_nvme_secondaries(&nvme, list, NULL);
	for (i = 0; i < nr && i < room; i++) {
		const struct assign_nvme_secondary *controller = vf_controller(list, nr_list, i);
		struct assign_vf *vf = &out[i];
		struct host_function f;

		memset(vf, 0, sizeof(*vf));
		err = vf_address(sys, pf, i, &vf->address);
		if (!err)
			err = host_function_read(sys, vf->address, &f, NULL);
		if (err) {
			diag_set(diag, err, pf->name, "virtual function %u went away: %s", i,
				 strerror(-err));
			break;
		}
		vf->number = i;
		strcpy(vf->name, f.name);
		strcpy(vf->driver, f.driver);
		vf->group = f.group;
		if (!controller)
			continue;
		vf->has_controller = true;
		vf->controller = *controller;
		if (nvme.has_attachment)
			vf_list_namespaces(&nvme, vf);
	}
	assign_nvme_close(&nvme);
	if (!err && i && assign_vf_is_network(pf))
		vf_list_links(sys, pf, out, i);
	return err ? err : (int)i;
}
