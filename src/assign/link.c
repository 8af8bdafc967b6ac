// SPDX-License-Identifier: GPL-2.0-or-later
#include "assign/link.h"

#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assign/route.h"
#include "base/bits.h"

static const char *const setting_names[ASSIGN_NR_LINK_SETTINGS] = {
	[ASSIGN_LINK_MAC] = "MAC address", [ASSIGN_LINK_VLAN] = "VLAN",
	[ASSIGN_LINK_RATE] = "rate",	   [ASSIGN_LINK_SPOOF_CHECK] = "spoof check",
	[ASSIGN_LINK_TRUST] = "trust",	   [ASSIGN_LINK_STATE] = "link state",
};

static const char *const state_names[] = {
	[ASSIGN_LINK_AUTO] = "auto",
	[ASSIGN_LINK_UP] = "up",
	[ASSIGN_LINK_DOWN] = "down",
};

const char *assign_link_state_name(enum assign_link_state state)
{
	return state_names[state];
}

int assign_link_state_parse(const char *text, enum assign_link_state *state)
{
	for (size_t i = 0; i < ARRAY_SIZE(state_names); i++) {
		if (strcmp(text, state_names[i]))
			continue;
		*state = (enum assign_link_state)i;
		return 0;
	}
	return -EINVAL;
}

int assign_mac_parse(const char *text, uint8_t *mac)
{
	unsigned int byte[6];
	int used = 0;

	if (strspn(text, "0123456789abcdefABCDEF:") != 17 || strlen(text) != 17 ||
	    sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &byte[0], &byte[1], &byte[2], &byte[3],
		   &byte[4], &byte[5], &used) != 6 ||
	    used != 17 || byte[0] & 1)
		return -EINVAL;
	for (int i = 0; i < 6; i++)
		mac[i] = (uint8_t)byte[i];
	return 0;
}

const char *assign_mac_format(const uint8_t *mac, char *buf)
{
	snprintf(buf, ASSIGN_MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		 mac[3], mac[4], mac[5]);
	return buf;
}

struct link_walk {
	struct assign_link *link;
	const struct host_function *pf;
};

/*
 * The physical function's own interface: a card that switches has one for each virtual function
 * as well (a representor, whose port is named after it), which decides nothing.
 */
static int link_match(void *opaque, const char *name)
{
	struct link_walk *walk = opaque;
	struct sys *sys = walk->link->sys;
	char path[160], port[64];
	uint64_t index;

	if (strlen(name) >= sizeof(walk->link->name))
		return 0;
	snprintf(path, sizeof(path), "bus/pci/devices/%s/net/%s/phys_port_name", walk->pf->name,
		 name);
	if (!sys_read_text(sys, SYS_TREE_SYS, path, port, sizeof(port)) &&
	    (strstr(port, "vf") || strstr(port, "sf")))
		return 0;
	snprintf(path, sizeof(path), "bus/pci/devices/%s/net/%s/ifindex", walk->pf->name, name);
	if (sys_read_number(sys, SYS_TREE_SYS, path, &index) || !index || index > INT32_MAX ||
	    (walk->link->ifindex && walk->link->ifindex < (int)index))
		return 0;
	walk->link->ifindex = (int)index;
	strcpy(walk->link->name, name);
	return 0;
}

int assign_link_open(struct sys *sys, const struct host_function *pf, struct assign_link *link,
		     struct diag *diag)
{
	struct link_walk walk = { link, pf };
	char path[96];

	*link = (struct assign_link){ .sys = sys, .fd = -1 };
	snprintf(path, sizeof(path), "bus/pci/devices/%s/net", pf->name);
	sys->ops->list(sys, SYS_TREE_SYS, path, link_match, &walk);
	if (!link->ifindex) {
		diag_set(diag, -ENODEV, pf->name,
			 "it has no network interface, and only through that its virtual functions "
			 "have settings");
		diag_remedy(diag, -ENODEV,
			    "bind it to its network driver: airlock devices %s shows which "
			    "it has",
			    pf->name);
		return -ENODEV;
	}
	link->answer = malloc(ROUTE_ANSWER_MAX);
	if (!link->answer)
		return diag_set(diag, -ENOMEM, link->name, "out of memory");
	link->fd = sys_open(sys, SYS_ROUTE, NULL);
	if (link->fd >= 0)
		return 0;
	free(link->answer);
	return diag_set(diag, link->fd, link->name, "no socket to the kernel's network: %s",
			strerror(-link->fd));
}

void assign_link_close(struct assign_link *link)
{
	if (link->fd < 0)
		return;
	sys_close(link->sys, &link->fd);
	free(link->answer);
	link->answer = NULL;
}

/* What the kernel says of one function: an IFLA_VF_INFO. */
static void link_parse_function(const struct rtattr *info, struct assign_link_settings *out,
				size_t nr)
{
	const uint8_t *at = route_payload(info, 0);
	size_t left = info->rta_len - RTA_LENGTH(0);
	struct assign_link_settings s = { 0 };
	const struct rtattr *attribute;
	uint32_t number = UINT32_MAX;

	while ((attribute = route_next(&at, &left))) {
		const void *data;

#define LINK_ON(type, layout) \
	(attribute->rta_type == (type) && (data = route_payload(attribute, sizeof(struct layout))))
		if (LINK_ON(IFLA_VF_MAC, ifla_vf_mac)) {
			number = ((const struct ifla_vf_mac *)data)->vf;
			memcpy(s.mac, ((const struct ifla_vf_mac *)data)->mac, sizeof(s.mac));
			s.has |= BIT(ASSIGN_LINK_MAC);
		} else if (LINK_ON(IFLA_VF_VLAN, ifla_vf_vlan)) {
			s.vlan = (uint16_t)((const struct ifla_vf_vlan *)data)->vlan;
			s.priority = (uint8_t)((const struct ifla_vf_vlan *)data)->qos;
			s.has |= BIT(ASSIGN_LINK_VLAN);
		} else if (LINK_ON(IFLA_VF_RATE, ifla_vf_rate)) {
			s.rate_min = ((const struct ifla_vf_rate *)data)->min_tx_rate;
			s.rate_max = ((const struct ifla_vf_rate *)data)->max_tx_rate;
			s.has |= BIT(ASSIGN_LINK_RATE);
		} else if (LINK_ON(IFLA_VF_SPOOFCHK, ifla_vf_spoofchk)) {
			/* All ones: the driver does not say. */
			s.spoof_check = ((const struct ifla_vf_spoofchk *)data)->setting == 1;
			if (((const struct ifla_vf_spoofchk *)data)->setting <= 1)
				s.has |= BIT(ASSIGN_LINK_SPOOF_CHECK);
		} else if (LINK_ON(IFLA_VF_TRUST, ifla_vf_trust)) {
			s.trust = ((const struct ifla_vf_trust *)data)->setting == 1;
			if (((const struct ifla_vf_trust *)data)->setting <= 1)
				s.has |= BIT(ASSIGN_LINK_TRUST);
		} else if (LINK_ON(IFLA_VF_LINK_STATE, ifla_vf_link_state)) {
			/* The kernel's numbers are ours: auto, enabled, disabled. */
			s.state = (enum assign_link_state)((const struct ifla_vf_link_state *)data)
					  ->link_state;
			if (((const struct ifla_vf_link_state *)data)->link_state <=
			    IFLA_VF_LINK_STATE_DISABLE)
				s.has |= BIT(ASSIGN_LINK_STATE);
			else
				s.state = ASSIGN_LINK_AUTO;
		}
#undef LINK_ON
	}
	if (number < nr)
		out[number] = s;
}

int assign_link_read(struct assign_link *link, struct assign_link_settings *out, size_t nr,
		     struct diag *diag)
{
	const uint32_t filter = RTEXT_FILTER_VF | RTEXT_FILTER_SKIP_STATS;
	const struct rtattr *attribute, *info;
	struct route_request request;
	char why[ROUTE_WHY_MAX];
	const uint8_t *at;
	size_t left;
	ssize_t len;

	memset(out, 0, nr * sizeof(*out));
	route_request_init(&request, RTM_GETLINK, link->ifindex);
	route_put(&request, IFLA_EXT_MASK, &filter, sizeof(filter));
	len = route_ask(link->sys, link->fd, &request, link->answer, why);
	if (len >= 0 && len < (ssize_t)NLMSG_LENGTH(sizeof(struct ifinfomsg)))
		len = -EPROTO;
	if (len < 0)
		return diag_set(diag, (int)len, link->name,
				"the kernel does not tell the settings of its virtual functions: "
				"%s",
				why[0] ? why : strerror((int)-len));
	at = link->answer + NLMSG_SPACE(sizeof(struct ifinfomsg));
	left = (size_t)len - min_u64((uint64_t)len, NLMSG_SPACE(sizeof(struct ifinfomsg)));
	while ((attribute = route_next(&at, &left))) {
		const uint8_t *inner = route_payload(attribute, 0);
		size_t inner_left = attribute->rta_len - RTA_LENGTH(0);

		if ((attribute->rta_type & NLA_TYPE_MASK) != IFLA_VFINFO_LIST)
			continue;
		while ((info = route_next(&inner, &inner_left)))
			if ((info->rta_type & NLA_TYPE_MASK) == IFLA_VF_INFO)
				link_parse_function(info, out, nr);
	}
	return 0;
}

/* One setting into the request, in its own layout. */
static void link_put(struct route_request *request, unsigned int number,
		     enum assign_link_setting setting, const struct assign_link_settings *to)
{
	struct ifla_vf_mac mac = { .vf = number };
	struct ifla_vf_vlan vlan = { .vf = number, .vlan = to->vlan, .qos = to->priority };
	struct ifla_vf_rate rate = { number, to->rate_min, to->rate_max };
	struct ifla_vf_spoofchk spoof_check = { number, to->spoof_check };
	struct ifla_vf_trust trust = { number, to->trust };
	struct ifla_vf_link_state state = { number, to->state };

	switch (setting) {
	case ASSIGN_LINK_MAC:
		memcpy(mac.mac, to->mac, sizeof(to->mac));
		route_put(request, IFLA_VF_MAC, &mac, sizeof(mac));
		break;
	case ASSIGN_LINK_VLAN:
		route_put(request, IFLA_VF_VLAN, &vlan, sizeof(vlan));
		break;
	case ASSIGN_LINK_RATE:
		route_put(request, IFLA_VF_RATE, &rate, sizeof(rate));
		break;
	case ASSIGN_LINK_SPOOF_CHECK:
		route_put(request, IFLA_VF_SPOOFCHK, &spoof_check, sizeof(spoof_check));
		break;
	case ASSIGN_LINK_TRUST:
		route_put(request, IFLA_VF_TRUST, &trust, sizeof(trust));
		break;
	case ASSIGN_LINK_STATE:
		route_put(request, IFLA_VF_LINK_STATE, &state, sizeof(state));
		break;
	case ASSIGN_NR_LINK_SETTINGS:
		break;
	}
}

static int link_set(struct assign_link *link, unsigned int number, enum assign_link_setting setting,
		    const struct assign_link_settings *to, struct diag *diag)
{
	struct route_request request;
	char why[ROUTE_WHY_MAX];
	size_t list, info;
	int err;

	route_request_init(&request, RTM_SETLINK, link->ifindex);
	list = route_nest(&request, IFLA_VFINFO_LIST);
	info = route_nest(&request, IFLA_VF_INFO);
	link_put(&request, number, setting, to);
	route_nest_end(&request, info);
	route_nest_end(&request, list);
	err = (int)route_ask(link->sys, link->fd, &request, link->answer, why);
	if (!err)
		return 0;
	diag_set(diag, err, link->name, "cannot set the %s of virtual function %u: %s",
		 setting_names[setting], number,
		 why[0]		      ? why
		 : err == -EOPNOTSUPP ? "its driver does not do that"
				      : strerror(-err));
	if (err == -EPERM)
		diag_remedy(diag, err, "settings of virtual functions need root (CAP_NET_ADMIN)");
	return err;
}

static bool link_setting_same(enum assign_link_setting setting,
			      const struct assign_link_settings *a,
			      const struct assign_link_settings *b)
{
	switch (setting) {
	case ASSIGN_LINK_MAC:
		return !memcmp(a->mac, b->mac, sizeof(a->mac));
	case ASSIGN_LINK_VLAN:
		return a->vlan == b->vlan && a->priority == b->priority;
	case ASSIGN_LINK_RATE:
		return a->rate_min == b->rate_min && a->rate_max == b->rate_max;
	case ASSIGN_LINK_SPOOF_CHECK:
		return a->spoof_check == b->spoof_check;
	case ASSIGN_LINK_TRUST:
		return a->trust == b->trust;
	case ASSIGN_LINK_STATE:
		return a->state == b->state;
	case ASSIGN_NR_LINK_SETTINGS:
		break;
	}
	return true;
}

bool assign_link_same(const struct assign_link_settings *want,
		      const struct assign_link_settings *is)
{
	for (int i = 0; i < ASSIGN_NR_LINK_SETTINGS; i++)
		if (want->has & BIT(i) &&
		    (!(is->has & BIT(i)) ||
		     !link_setting_same((enum assign_link_setting)i, want, is)))
			return false;
	return true;
}

/* Says which setting the driver took but did not make. 0 when all are as wanted. */
static int link_verify(struct assign_link *link, unsigned int number,
		       const struct assign_link_settings *want, struct assign_link_settings *is,
		       struct diag *diag)
{
	int err = assign_link_read(link, is, number + 1, diag);

	for (int i = 0; !err && i < ASSIGN_NR_LINK_SETTINGS; i++)
		if (want->has & is[number].has & BIT(i) &&
		    !link_setting_same((enum assign_link_setting)i, want, &is[number]))
			err = diag_set(diag, -EIO, link->name,
				       "virtual function %u has not the %s that its driver was "
				       "given and did not refuse",
				       number, setting_names[i]);
	return err;
}

int assign_link_change(struct assign_link *link, unsigned int number,
		       const struct assign_link_settings *to, struct diag *diag)
{
	struct assign_link_settings *is = calloc((size_t)number + 1, sizeof(*is)), before;
	int err = is ? assign_link_read(link, is, number + 1, diag)
		     : diag_set(diag, -ENOMEM, link->name, "out of memory");
	int i = 0;

	if (err)
		goto out;
	before = is[number];
	if (!before.has) {
		err = diag_set(diag, -ENODEV, link->name, "it has no virtual function %u", number);
		goto out;
	}
	for (; !err && i < ASSIGN_NR_LINK_SETTINGS; i++)
		if (to->has & BIT(i))
			err = link_set(link, number, (enum assign_link_setting)i, to, diag);
	if (!err)
		err = link_verify(link, number, to, is, diag);
	/* What failed may have been done by half: so it is put back too. */
	while (err && i-- > 0)
		if (to->has & before.has & BIT(i) &&
		    link_set(link, number, (enum assign_link_setting)i, &before, NULL))
			diag_remedy(diag, err,
				    "its %s could not be put back: look at airlock vf list",
				    setting_names[i]);
out:
	free(is);
	return err;
}

int assign_link_restore(struct assign_link *link, unsigned int number,
			const struct assign_link_settings *want, struct diag *diag)
{
	struct assign_link_settings *is = calloc((size_t)number + 1, sizeof(*is));
	int err = is ? assign_link_read(link, is, number + 1, diag)
		     : diag_set(diag, -ENOMEM, link->name, "out of memory");

	for (int i = 0; !err && i < ASSIGN_NR_LINK_SETTINGS; i++) {
		enum assign_link_setting setting = (enum assign_link_setting)i;
		bool same = link_setting_same(setting, want, &is[number]);

		if (!(want->has & BIT(i)) || (same && setting > ASSIGN_LINK_VLAN))
			continue;
		err = link_set(link, number, setting, want, same ? NULL : diag);
		/* A driver without VLANs has none to take away. */
		if (same && err == -EOPNOTSUPP)
			err = 0;
		else if (same && err)
			diag_set(diag, err, link->name,
				 "cannot set the %s of virtual function %u anew: %s",
				 setting_names[i], number, strerror(-err));
	}
	if (!err)
		err = assign_link_read(link, is, number + 1, diag);
	if (!err && !assign_link_same(want, &is[number]))
		err = diag_set(diag, -EIO, link->name,
			       "virtual function %u does not get its settings back", number);
	free(is);
	return err;
}
