// SPDX-License-Identifier: GPL-2.0-or-later
#include "assign/nvme.h"

#include <errno.h>
#include <linux/nvme_ioctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/bits.h"
#include "base/endian.h"

#define NVME_PAGE	      4096
#define NVME_TIMEOUT_MS	      30000
#define NVME_ERASE_TIMEOUT_MS 600000

#define NVME_IDENTIFY	      0x06 /* 5.15 */
#define NVME_CNS_CONTROLLER   0x01
#define NVME_ID_CNTLID	      78
#define NVME_ID_OACS	      256
#define NVME_OACS_NAMESPACE   BIT(3)
#define NVME_CNS_ALLOCATED    0x10
#define NVME_CNS_NAMESPACE    0x11 /* of an allocated namespace, attached here or not */
#define NVME_NS_FLBAS	      26
#define NVME_CNS_ATTACHED     0x12
#define NVME_CNS_PRIMARY      0x14
#define NVME_PC_VQFRT	      32
#define NVME_PC_VQFRSM	      44
#define NVME_PC_VIFRT	      64
#define NVME_PC_VIFRSM	      76
#define NVME_CNS_SECONDARY    0x15
#define NVME_SC_ENTRY	      32
#define NVME_ATTACHMENT	      0x15 /* 5.12 */
#define NVME_VIRTUALIZATION   0x1c /* 5.22 */
#define NVME_ACT_OFFLINE      7
#define NVME_ACT_ASSIGN	      8
#define NVME_ACT_ONLINE	      9
#define NVME_RT_QUEUES	      0
#define NVME_RT_INTERRUPTS    1
#define NVME_FORMAT	      0x80 /* 5.23 */
#define NVME_SES_USER_DATA    (1u << 9)

/* Invalid Command Opcode and Invalid Field: the drive does not know what was asked (4.6.1.2.1). */
#define NVME_IS_UNKNOWN(status) (((status)&0x7ff) == 1 || ((status)&0x7ff) == 2)

static int nvme_command(struct assign_nvme *nvme, struct nvme_passthru_cmd *command,
			const char *what, struct diag *diag)
{
	int status;

	command->timeout_ms = command->timeout_ms ? command->timeout_ms : NVME_TIMEOUT_MS;
	status = sys_ioctl(nvme->sys, nvme->fd, NVME_IOCTL_ADMIN_CMD, command);
	if (!status)
		return 0;
	if (status < 0)
		return diag_set(diag, status, nvme->node, "%s: %s", what, strerror(-status));
	/* A positive value is the drive's own answer: status code and type (4.6.1). */
	return diag_set(diag, NVME_IS_UNKNOWN(status) ? -EOPNOTSUPP : -EIO, nvme->node,
			"%s: the drive refuses (status 0x%x)", what, status & 0x7ff);
}

static int nvme_identify(struct assign_nvme *nvme, uint32_t cns, uint32_t nsid, uint8_t *page,
			 const char *what, struct diag *diag)
{
	struct nvme_passthru_cmd command = {
		.opcode = NVME_IDENTIFY,
		.nsid = nsid,
		.addr = (uintptr_t)page,
		.data_len = NVME_PAGE,
		.cdw10 = cns,
	};

	memset(page, 0, NVME_PAGE);
	return nvme_command(nvme, &command, what, diag);
}

struct nvme_walk {
	struct assign_nvme *nvme;
	const struct host_function *pf;
};

static int nvme_match(void *opaque, const char *name)
{
	struct nvme_walk *walk = opaque;
	char path[96], target[512], part[PCI_ADDRESS_TEXT + 2];
	size_t digits = strncmp(name, "nvme", 4) ? 0 : strspn(name + 4, "0123456789");

	if (!digits || name[4 + digits] || strlen(name) >= sizeof(walk->nvme->node))
		return 0;
	snprintf(path, sizeof(path), "class/nvme/%s", name);
	snprintf(part, sizeof(part), "/%s/", walk->pf->name);
	if (walk->nvme->sys->ops->read_link(walk->nvme->sys, SYS_TREE_SYS, path, target,
					    sizeof(target)) < 0 ||
	    !strstr(target, part))
		return 0;
	strcpy(walk->nvme->node, name);
	return 1;
}

static int nvme_learn(struct assign_nvme *nvme, struct diag *diag)
{
	uint8_t page[NVME_PAGE];
	uint64_t oacs;
	int err = nvme_identify(nvme, NVME_CNS_CONTROLLER, 0, page, "identify controller", diag);

	if (err)
		return err;
	nvme->id = (uint16_t)le_load(page + NVME_ID_CNTLID, 2);
	oacs = le_load(page + NVME_ID_OACS, 2);
	nvme->has_attachment = oacs & NVME_OACS_NAMESPACE;
	/*
	 * Asked, not read from OACS: there are drives (and emulations of them) that manage secondary
	 * controllers without saying so there. One that cannot refuses this.
	 */
	err = nvme_identify(nvme, NVME_CNS_PRIMARY, 0, page, "identify capabilities", NULL);
	if (err)
		return err == -EOPNOTSUPP ? 0
					  : diag_set(diag, err, nvme->node,
						     "identify capabilities: %s", strerror(-err));
	nvme->queues = (uint32_t)le_load(page + NVME_PC_VQFRT, 4);
	nvme->max_queues = (uint16_t)le_load(page + NVME_PC_VQFRSM, 2);
	nvme->interrupts = (uint32_t)le_load(page + NVME_PC_VIFRT, 4);
	nvme->max_interrupts = (uint16_t)le_load(page + NVME_PC_VIFRSM, 2);
	nvme->has_secondaries = nvme->queues && nvme->interrupts;
	return 0;
}

int assign_nvme_open(struct sys *sys, const struct host_function *pf, struct assign_nvme *nvme,
		     struct diag *diag)
{
	struct nvme_walk walk = { nvme, pf };
	char path[64];
	int err;

	memset(nvme, 0, sizeof(*nvme));
	nvme->sys = sys;
	nvme->fd = -1;
	err = sys->ops->list(sys, SYS_TREE_SYS, "class/nvme", nvme_match, &walk);
	if (err <= 0) {
		diag_set(diag, -ENODEV, pf->name, "the nvme driver does not have this drive");
		diag_remedy(diag, -ENODEV,
			    "bind it to nvme: its virtual functions are managed through it");
		return -ENODEV;
	}
	snprintf(path, sizeof(path), "/dev/%s", nvme->node);
	nvme->fd = sys_open(sys, SYS_FILE_READ, path);
	if (nvme->fd < 0)
		return diag_set(diag, nvme->fd, path, "cannot open the drive: %s",
				strerror(-nvme->fd));
	err = nvme_learn(nvme, diag);
	if (err)
		assign_nvme_close(nvme);
	return err;
}

void assign_nvme_close(struct assign_nvme *nvme)
{
	sys_close(nvme->sys, &nvme->fd);
}

int assign_nvme_secondaries(struct assign_nvme *nvme, struct assign_nvme_secondary *out,
			    struct diag *diag)
{
	uint8_t page[NVME_PAGE];
	int err = nvme_identify(nvme, NVME_CNS_SECONDARY, 0, page, "list secondary controllers",
				diag);
	int nr;

	if (err)
		return err;
	nr = (int)min_u64(page[0], ASSIGN_NVME_MAX_SECONDARIES);
	for (int i = 0; i < nr; i++) {
		const uint8_t *entry = page + NVME_SC_ENTRY * (i + 1);

		out[i] = (struct assign_nvme_secondary){
			.id = (uint16_t)le_load(entry, 2),
			.online = entry[4] & 1,
			.vf = (uint16_t)le_load(entry + 8, 2),
			.queues = (uint16_t)le_load(entry + 10, 2),
			.interrupts = (uint16_t)le_load(entry + 12, 2),
		};
	}
	return nr;
}

static int nvme_manage(struct assign_nvme *nvme, uint16_t id, uint32_t act, uint32_t resource,
		       uint32_t nr, const char *what, struct diag *diag)
{
	struct nvme_passthru_cmd command = {
		.opcode = NVME_VIRTUALIZATION,
		.cdw10 = (uint32_t)id << 16 | resource << 8 | act,
		.cdw11 = nr,
	};

	return nvme_command(nvme, &command, what, diag);
}

int assign_nvme_offline(struct assign_nvme *nvme, uint16_t id, struct diag *diag)
{
	return nvme_manage(nvme, id, NVME_ACT_OFFLINE, 0, 0, "take a controller offline", diag);
}

int assign_nvme_share(struct assign_nvme *nvme, uint16_t id, uint16_t queues, uint16_t interrupts,
		      struct diag *diag)
{
	int err = nvme_manage(nvme, id, NVME_ACT_ASSIGN, NVME_RT_QUEUES, queues,
			      "assign queues to a controller", diag);

	if (!err)
		err = nvme_manage(nvme, id, NVME_ACT_ASSIGN, NVME_RT_INTERRUPTS, interrupts,
				  "assign interrupts to a controller", diag);
	return err;
}

int assign_nvme_online(struct assign_nvme *nvme, uint16_t id, uint16_t queues, uint16_t interrupts,
		       struct diag *diag)
{
	int err = assign_nvme_share(nvme, id, queues, interrupts, diag);

	if (!err)
		err = nvme_manage(nvme, id, NVME_ACT_ONLINE, 0, 0, "bring a controller online",
				  diag);
	return err;
}

int assign_nvme_namespaces(struct assign_nvme *nvme, uint32_t *nsid, size_t room, struct diag *diag)
{
	uint8_t page[NVME_PAGE];
	int err = nvme_identify(nvme, NVME_CNS_ALLOCATED, 0, page, "list namespaces", diag);
	size_t nr;

	if (err)
		return err;
	for (nr = 0; nr < room && nr < NVME_PAGE / 4; nr++) {
		nsid[nr] = (uint32_t)le_load(page + 4 * nr, 4);
		if (!nsid[nr])
			break;
	}
	return (int)nr;
}

int assign_nvme_controllers(struct assign_nvme *nvme, uint32_t nsid, uint16_t *id, size_t room,
			    struct diag *diag)
{
	uint8_t page[NVME_PAGE];
	int err = nvme_identify(nvme, NVME_CNS_ATTACHED, nsid, page,
				"list the controllers of a namespace", diag);
	size_t nr;

	if (err)
		return err;
	nr = min_u64(le_load(page, 2), NVME_PAGE / 2 - 1);
	for (size_t i = 0; i < nr && i < room; i++)
		id[i] = (uint16_t)le_load(page + 2 + 2 * i, 2);
	return (int)nr;
}

static int nvme_attach(struct assign_nvme *nvme, uint32_t nsid, uint16_t id, bool attach,
		       struct diag *diag)
{
	uint8_t page[NVME_PAGE] = { 0 };
	struct nvme_passthru_cmd command = {
		.opcode = NVME_ATTACHMENT,
		.nsid = nsid,
		.addr = (uintptr_t)page,
		.data_len = NVME_PAGE,
		.cdw10 = attach ? 0 : 1,
	};

	le_store(page, 2, 1);
	le_store(page + 2, 2, id);
	return nvme_command(nvme, &command, attach ? "attach a namespace" : "detach a namespace",
			    diag);
}

int assign_nvme_show(struct assign_nvme *nvme, uint16_t id, const uint32_t *nsid, size_t nr,
		     struct diag *diag)
{
	uint32_t all[ASSIGN_NVME_MAX_NAMESPACES];
	uint16_t owner[NVME_PAGE / 2];
	int nr_all = assign_nvme_namespaces(nvme, all, ARRAY_SIZE(all), diag);

	/* What it must lose first: it never sees more than before or after. */
	for (int pass = 0; pass < 2 && nr_all >= 0; pass++) {
		for (int i = 0; i < nr_all; i++) {
			bool has = false, wanted = false;
			int nr_owners = assign_nvme_controllers(nvme, all[i], owner,
								ARRAY_SIZE(owner), diag);

			if (nr_owners < 0)
				return nr_owners;
			for (int k = 0; k < nr_owners; k++)
				has |= owner[k] == id;
			for (size_t k = 0; k < nr; k++)
				wanted |= nsid[k] == all[i];
			if (has != wanted && wanted == (pass == 1)) {
				int err = nvme_attach(nvme, all[i], id, wanted, diag);

				if (err)
					return err;
			}
		}
	}
	return nr_all < 0 ? nr_all : 0;
}

static int nvme_format(struct assign_nvme *nvme, uint32_t nsid, struct diag *diag)
{
	struct nvme_passthru_cmd command = {
		.opcode = NVME_FORMAT,
		.nsid = nsid,
		.timeout_ms = NVME_ERASE_TIMEOUT_MS,
	};
	uint8_t page[NVME_PAGE];
	int err = nvme_identify(nvme, NVME_CNS_NAMESPACE, nsid, page, "identify a namespace", diag);

	if (err)
		return err;
	/* Formatted as it is: the same block size, only without the data. */
	command.cdw10 = (page[NVME_NS_FLBAS] & 0xfu) | NVME_SES_USER_DATA;
	return nvme_command(nvme, &command, "erase a namespace", diag);
}

int assign_nvme_erase(struct assign_nvme *nvme, uint32_t nsid, struct diag *diag)
{
	uint16_t owner[NVME_PAGE / 2];
	int nr = assign_nvme_controllers(nvme, nsid, owner, ARRAY_SIZE(owner), diag), err = 0;
	int detached = 0;
	bool seen = false;

	if (nr < 0)
		return nr;
	for (int i = 0; i < nr; i++)
		seen |= owner[i] == nvme->id;
	if (!seen)
		err = nvme_attach(nvme, nsid, nvme->id, true, diag);
	if (err)
		return err;
	err = nvme_format(nvme, nsid, diag);
	if (!seen)
		detached = nvme_attach(nvme, nsid, nvme->id, false, diag);
	return err ? err : detached;
}
