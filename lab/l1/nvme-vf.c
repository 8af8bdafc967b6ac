// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nvme-vf DEVICE VF QUEUES INTERRUPTS [NSID]: give the secondary controller of virtual function VF
 * (from 1) its queue and interrupt resources and bring it online (NVMe 1.4, section 8.5, Virtualization
 * Enhancements). With NSID that namespace is attached to it, and to DEVICE's own controller, and no
 * other (section 5.12). Static, because a dynamic nvme-cli takes seconds to start in the lab.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/nvme_ioctl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

enum {
	ADMIN_IDENTIFY = 0x06,
	ADMIN_NS_ATTACHMENT = 0x15,
	ADMIN_VIRT_MGMT = 0x1c,
	CNS_ALLOCATED_NAMESPACES = 0x10,
	CNS_SECONDARY_LIST = 0x15,
	ACT_SECONDARY_OFFLINE = 7,
	ACT_SECONDARY_ASSIGN = 8,
	ACT_SECONDARY_ONLINE = 9,
	RESOURCE_QUEUE = 0,
	RESOURCE_INTERRUPT = 1,
	NS_ATTACH = 0,
	NS_DETACH = 1,
	STATUS_ALREADY_ATTACHED = 0x118,
	STATUS_NOT_ATTACHED = 0x11a,
	LIST_MAX = 127,
	NSID_MAX = 1024,
};

/* One entry of the Secondary Controller List, little-endian like the host. */
struct secondary {
	uint16_t scid; /* secondary controller id */
	uint16_t pcid;
	uint8_t state;
	uint8_t reserved[3];
	uint16_t vfn; /* virtual function number, from 1 */
	uint16_t nvq, nvi;
	uint8_t reserved2[18];
};

struct secondary_list {
	uint8_t count;
	uint8_t reserved[31];
	struct secondary entry[LIST_MAX];
};

static_assert(sizeof(struct secondary_list) == 4096, "an Identify page");

static int nvme_admin(int fd, struct nvme_admin_cmd *cmd, const char *what)
{
	int status = ioctl(fd, NVME_IOCTL_ADMIN_CMD, cmd);

	if (status < 0)
		fprintf(stderr, "nvme-vf: %s: %s\n", what, strerror(errno));
	else if (status > 0)
		fprintf(stderr, "nvme-vf: %s: NVMe status 0x%x\n", what, status);
	return status;
}

static int nvme_find_secondary(int fd, unsigned int vf, unsigned int *scid, unsigned int *pcid)
{
	static struct secondary_list list;
	struct nvme_admin_cmd cmd = {
		.opcode = ADMIN_IDENTIFY,
		.addr = (uintptr_t)&list,
		.data_len = sizeof(list),
		.cdw10 = CNS_SECONDARY_LIST,
	};

	if (nvme_admin(fd, &cmd, "secondary controller list"))
		return -1;
	for (unsigned int i = 0; i < list.count && i < LIST_MAX; i++) {
		if (list.entry[i].vfn == vf) {
			*scid = list.entry[i].scid;
			*pcid = list.entry[i].pcid;
			return 0;
		}
	}
	fprintf(stderr, "nvme-vf: no secondary controller for VF %u\n", vf);
	return -1;
}

static int nvme_virt_mgmt(int fd, unsigned int scid, unsigned int action, unsigned int resource,
			  unsigned int nr, const char *what)
{
	struct nvme_admin_cmd cmd = {
		.opcode = ADMIN_VIRT_MGMT,
		.cdw10 = scid << 16 | resource << 8 | action,
		.cdw11 = nr,
	};

	return nvme_admin(fd, &cmd, what);
}

/* Attach or detach one controller; being so already is no error. */
static int nvme_ns_set(int fd, unsigned int nsid, unsigned int cntlid, unsigned int select)
{
	static uint16_t list[2048];
	struct nvme_admin_cmd cmd = {
		.opcode = ADMIN_NS_ATTACHMENT,
		.nsid = nsid,
		.addr = (uintptr_t)list,
		.data_len = sizeof(list),
		.cdw10 = select,
	};
	int status;

	list[0] = 1;
	list[1] = (uint16_t)cntlid;
	status = ioctl(fd, NVME_IOCTL_ADMIN_CMD, &cmd) & 0x7ff;
	if (!status || status == STATUS_ALREADY_ATTACHED || status == STATUS_NOT_ATTACHED)
		return 0;
	fprintf(stderr, "nvme-vf: namespace %u, controller %u: NVMe status 0x%x\n", nsid, cntlid,
		status);
	return -1;
}

/* The secondary controller sees namespace nsid and no other. */
static int nvme_ns_only(int fd, unsigned int scid, unsigned int pcid, unsigned int nsid)
{
	static uint32_t all[NSID_MAX];
	struct nvme_admin_cmd cmd = {
		.opcode = ADMIN_IDENTIFY,
		.addr = (uintptr_t)all,
		.data_len = sizeof(all),
		.cdw10 = CNS_ALLOCATED_NAMESPACES,
	};

	if (nvme_admin(fd, &cmd, "namespace list"))
		return -1;
	for (unsigned int i = 0; i < NSID_MAX && all[i]; i++) {
		if (all[i] != nsid && nvme_ns_set(fd, all[i], scid, NS_DETACH))
			return -1;
	}
	return nvme_ns_set(fd, nsid, scid, NS_ATTACH) || nvme_ns_set(fd, nsid, pcid, NS_ATTACH) ? -1
												: 0;
}

int main(int argc, char **argv)
{
	unsigned int vf, queues, interrupts, nsid, scid, pcid;
	int fd;

	if (argc != 5 && argc != 6) {
		fprintf(stderr, "usage: nvme-vf DEVICE VF QUEUES INTERRUPTS [NSID]\n");
		return 2;
	}
	vf = (unsigned int)strtoul(argv[2], NULL, 0);
	queues = (unsigned int)strtoul(argv[3], NULL, 0);
	interrupts = (unsigned int)strtoul(argv[4], NULL, 0);
	nsid = argc == 6 ? (unsigned int)strtoul(argv[5], NULL, 0) : 0;
	fd = open(argv[1], O_RDWR);
	if (fd < 0) {
		fprintf(stderr, "nvme-vf: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	if (nvme_find_secondary(fd, vf, &scid, &pcid) ||
	    nvme_virt_mgmt(fd, scid, ACT_SECONDARY_OFFLINE, 0, 0, "take offline") ||
	    nvme_virt_mgmt(fd, scid, ACT_SECONDARY_ASSIGN, RESOURCE_QUEUE, queues,
			   "assign queues") ||
	    nvme_virt_mgmt(fd, scid, ACT_SECONDARY_ASSIGN, RESOURCE_INTERRUPT, interrupts,
			   "assign interrupts") ||
	    (nsid && nvme_ns_only(fd, scid, pcid, nsid)) ||
	    nvme_virt_mgmt(fd, scid, ACT_SECONDARY_ONLINE, 0, 0, "bring online"))
		return 1;
	return 0;
}
