// SPDX-License-Identifier: GPL-2.0-or-later
/* Settings of one virtual function: through its card's interface, or through its drive's queue. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "assign/vf.h"
#include "base/bits.h"

static int vf_set_network(struct sys *sys, const struct host_function *pf,
			  const struct assign_vf *vf, const struct assign_vf_settings *settings,
			  struct diag *diag)
{
	struct assign_link link;
	int err = assign_link_open(sys, pf, &link, diag);

	if (err)
		return err;
	err = assign_link_change(&link, vf->number, &settings->link, diag);
	assign_link_close(&link);
	return err;
}

/* Whether the namespaces named exist: a drive's own answer to one that does not helps nobody. */
static int vf_set_check_namespaces(struct assign_nvme *nvme,
				   const struct assign_vf_settings *settings, struct diag *diag)
{
	uint32_t all[ASSIGN_NVME_MAX_NAMESPACES];
	int nr;

	if (!settings->has_namespaces)
		return 0;
	if (!nvme->has_attachment)
		return diag_set(diag, -EOPNOTSUPP, nvme->node,
				"the drive cannot attach namespaces to one controller alone");
	nr = assign_nvme_namespaces(nvme, all, ARRAY_SIZE(all), diag);
	for (size_t i = 0; nr >= 0 && i < settings->nr_namespaces; i++) {
		bool there = false;

		for (int k = 0; k < nr; k++)
			there |= all[k] == settings->nsid[i];
		if (there)
			continue;
		diag_set(diag, -ENOENT, nvme->node, "the drive has no namespace %u",
			 settings->nsid[i]);
		return diag_remedy(diag, -ENOENT, "nvme list-ns --all /dev/%s names them",
				   nvme->node);
	}
	return nr < 0 ? nr : 0;
}

/* A controller takes a new share and new namespaces only while it is offline. */
static int vf_set_apply(struct assign_nvme *nvme, uint16_t id,
			const struct assign_vf_settings *settings, bool online, struct diag *diag)
{
	int err = assign_nvme_offline(nvme, id, diag);

	if (!err && settings->has_namespaces)
		err = assign_nvme_show(nvme, id, settings->nsid, settings->nr_namespaces, diag);
	if (!err && online)
		err = assign_nvme_online(nvme, id, settings->queues, settings->interrupts, diag);
	else if (!err && (settings->has_queues || settings->has_interrupts))
		err = assign_nvme_share(nvme, id, settings->queues, settings->interrupts, diag);
	return err;
}

static int vf_set_nvme(struct sys *sys, const struct host_function *pf, const struct assign_vf *vf,
		       const struct assign_vf_settings *settings, struct diag *diag)
{
	struct assign_vf_settings to = *settings, before = {
		.has_namespaces = vf->namespaces_known && settings->has_namespaces,
		.nr_namespaces = min_u64(vf->nr_namespaces, ASSIGN_VF_MAX_NAMESPACES),
		.has_queues = vf->controller.queues && vf->controller.interrupts,
		.queues = vf->controller.queues,
		.interrupts = vf->controller.interrupts,
	};
	bool online = settings->has_online ? settings->online : vf->controller.online;
	struct assign_nvme nvme;
	int err;

	if (!vf->has_controller)
		return diag_set(diag, -ENXIO, vf->name, "the drive knows no controller for it");
	err = assign_check_idle(sys, vf->name, diag);
	if (!err)
		err = assign_nvme_open(sys, pf, &nvme, diag);
	if (err)
		return err;
	memcpy(before.nsid, vf->nsid, sizeof(before.nsid));
	to.queues = settings->has_queues ? settings->queues : before.queues;
	to.interrupts = settings->has_interrupts ? settings->interrupts : before.interrupts;
	err = vf_set_check_namespaces(&nvme, settings, diag);
	if (err)
		goto out;
	err = vf_set_apply(&nvme, vf->controller.id, &to, online, diag);
	if (err && vf_set_apply(&nvme, vf->controller.id, &before, vf->controller.online, NULL))
		diag_remedy(diag, err,
			    "nor could it be put back: airlock vf list %s shows how it is now",
			    pf->name);
out:
	assign_nvme_close(&nvme);
	return err;
}

static bool vf_set_is_for_nvme(const struct assign_vf_settings *settings)
{
	return settings->has_queues || settings->has_interrupts || settings->has_online ||
	       settings->has_namespaces;
}

static int vf_set_check(const struct host_function *pf, const struct assign_vf_settings *settings,
			struct diag *diag)
{
	bool nvme = vf_set_is_for_nvme(settings), network = settings->link.has;

	if (!(nvme && !assign_vf_is_nvme(pf)) && !(network && !assign_vf_is_network(pf)))
		return 0;
	return diag_set(diag, -EINVAL, pf->name, "it is no %s, and has no such setting",
			nvme && !assign_vf_is_nvme(pf) ? "NVMe drive" : "network card");
}

int assign_vf_set(struct assign_journal *journal, const struct host_function *vf,
		  const struct assign_vf_settings *settings, struct diag *diag)
{
	struct sys *sys = journal->sys;
	struct assign_vf *list = NULL;
	struct host_function pf;
	int nr, err, i = 0;

	if (!vf->is_vf) {
		diag_set(diag, -EINVAL, vf->name, "it is no virtual function");
		return diag_remedy(diag, -EINVAL, "airlock vf list names those there are");
	}
	err = host_function_read(sys, vf->physfn, &pf, diag);
	if (!err)
		err = vf_set_check(&pf, settings, diag);
	if (err)
		return err;
	list = calloc(pf.sriov_vfs + 1u, sizeof(*list));
	if (!list)
		return diag_set(diag, -ENOMEM, vf->name, "out of memory");
	nr = assign_vf_list(sys, &pf, list, pf.sriov_vfs, diag);
	while (i < nr && !pci_address_equal(list[i].address, vf->address))
		i++;
	if (nr < 0)
		err = nr;
	else if (i == nr)
		err = diag_set(diag, -ENODEV, vf->name, "%s does not know it any more", pf.name);
	else if (settings->link.has)
		err = vf_set_network(sys, &pf, &list[i], settings, diag);
	else if (vf_set_is_for_nvme(settings))
		err = vf_set_nvme(sys, &pf, &list[i], settings, diag);
	free(list);
	return err;
}
