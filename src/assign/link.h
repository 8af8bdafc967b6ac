/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a network card's physical function decides for its virtual functions: address, VLAN, share
 * of the line, and what the one using it may not do. The kernel's interface is
 * RTM_SETLINK with IFLA_VFINFO_LIST (linux/if_link.h), on the physical function's interface.
 */
#ifndef AIRLOCK_ASSIGN_LINK_H
#define AIRLOCK_ASSIGN_LINK_H

#include "base/diag.h"
#include "host/pci.h"
#include "sys/sys.h"

#define ASSIGN_MAC_TEXT 18

enum assign_link_state { ASSIGN_LINK_AUTO, ASSIGN_LINK_UP, ASSIGN_LINK_DOWN };

/* Which settings a struct assign_link_settings holds. */
enum assign_link_setting {
	ASSIGN_LINK_MAC,
	ASSIGN_LINK_VLAN,
	ASSIGN_LINK_RATE,
	ASSIGN_LINK_SPOOF_CHECK,
	ASSIGN_LINK_TRUST,
	ASSIGN_LINK_STATE,
	ASSIGN_NR_LINK_SETTINGS,
};

struct assign_link_settings {
	unsigned int has;	     /* bit per assign_link_setting: given, or told by the kernel */
	uint8_t mac[6];		     /* all zero: the user of the function chooses */
	uint16_t vlan;		     /* 1 to 4094; 0: none */
	uint8_t priority;	     /* 802.1p, 0 to 7, with a VLAN */
	uint32_t rate_min, rate_max; /* Mbit/s; 0: no promise, no limit */
	bool spoof_check, trust;
	enum assign_link_state state;
};

struct assign_link {
	struct sys *sys;
	int fd;
	int ifindex;
	char name[32];	 /* the interface's */
	uint8_t *answer; /* owned */
};

/*
 * Finds the interface of a physical function. -ENODEV where the host's driver has made none, diag
 * filled. On 0 close with assign_link_close(), which takes a link that was never opened (fd -1).
 */
int assign_link_open(struct sys *sys, const struct host_function *pf, struct assign_link *link,
		     struct diag *diag);
void assign_link_close(struct assign_link *link);

/*
 * Reads the settings of functions 0 to nr - 1; what the driver does not tell is not in `has`.
 * 0 or -errno with diag.
 */
int assign_link_read(struct assign_link *link, struct assign_link_settings *out, size_t nr,
		     struct diag *diag);

/*
 * Makes the settings that are in `has`, one at a time, of function `number`, and sees that they are
 * made. 0; or -errno with diag, which names the setting, and what had been changed is back as it
 * was.
 */
int assign_link_change(struct assign_link *link, unsigned int number,
		       const struct assign_link_settings *to, struct diag *diag);

/*
 * As assign_link_change(), for settings that were read before and shall be so again: what its user
 * could have changed (address, VLAN) is written anew whatever it looks like, the rest where it
 * differs. Fails closed: 0 only when all of want->has is so.
 */
int assign_link_restore(struct assign_link *link, unsigned int number,
			const struct assign_link_settings *want, struct diag *diag);

/* True when all settings in want->has are the same in both. */
bool assign_link_same(const struct assign_link_settings *want,
		      const struct assign_link_settings *is);

/* "52:54:00:12:34:56"; a multicast address is refused. 0 or -EINVAL. */
int assign_mac_parse(const char *text, uint8_t *mac);
const char *assign_mac_format(const uint8_t *mac, char *buf);
/* "auto", "up", "down". */
const char *assign_link_state_name(enum assign_link_state state);
int assign_link_state_parse(const char *text, enum assign_link_state *state);

#endif
