// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "base/bits.h"
#include "base/bug.h"
#include "fake/card.h"

void fake_card_init(struct fake_card *card, unsigned int nr_functions)
{
	*card = (struct fake_card){ .nr_functions = nr_functions };
	for (unsigned int i = 0; i < nr_functions; i++)
		card->function[i] = (struct assign_link_settings){
			.has = BIT(ASSIGN_NR_LINK_SETTINGS) - 1,
			.spoof_check = true,
		};
}

static void card_put(struct fake_card *card, uint16_t type, const void *data, size_t len)
{
	struct rtattr head = { (uint16_t)RTA_LENGTH(len), type };

	BUG_ON(card->answer_len + RTA_SPACE(len) > sizeof(card->answer));
	memset(card->answer + card->answer_len, 0, RTA_SPACE(len));
	memcpy(card->answer + card->answer_len, &head, sizeof(head));
	if (len)
		memcpy(card->answer + card->answer_len + RTA_LENGTH(0), data, len);
	card->answer_len += RTA_SPACE(len);
}

static void card_end(struct fake_card *card, size_t nest)
{
	uint16_t len = (uint16_t)(card->answer_len - nest);

	memcpy(card->answer + nest, &len, sizeof(len));
}

static void card_begin(struct fake_card *card, uint16_t type, uint16_t flags, size_t len)
{
	struct nlmsghdr header = { .nlmsg_type = type, .nlmsg_flags = flags, .nlmsg_seq = 1 };

	memset(card->answer, 0, sizeof(card->answer));
	memcpy(card->answer, &header, sizeof(header));
	card->answer_len = NLMSG_SPACE(len);
}

static void card_finish(struct fake_card *card)
{
	uint32_t len = (uint32_t)card->answer_len;

	memcpy(card->answer, &len, sizeof(len));
}

static void card_tell(struct fake_card *card)
{
	const char name[] = "eth0";
	size_t list, info;

	card_begin(card, RTM_NEWLINK, 0, sizeof(struct ifinfomsg));
	card_put(card, IFLA_IFNAME, name, sizeof(name));
	list = card->answer_len;
	card_put(card, IFLA_VFINFO_LIST | NLA_F_NESTED, NULL, 0);
	for (unsigned int i = 0; i < card->nr_functions; i++) {
		const struct assign_link_settings *s = &card->function[i];
		struct ifla_vf_mac mac = { .vf = i };
		struct ifla_vf_vlan vlan = { i, s->vlan, s->priority };
		struct ifla_vf_rate rate = { i, s->rate_min, s->rate_max };
		struct ifla_vf_spoofchk spoof_check = { i, s->spoof_check };
		struct ifla_vf_trust trust = { i, s->trust };
		struct ifla_vf_link_state state = { i, s->state };

		memcpy(mac.mac, s->mac, sizeof(s->mac));
		if (!(s->has & BIT(ASSIGN_LINK_TRUST)))
			trust.setting = UINT32_MAX;
		info = card->answer_len;
		card_put(card, IFLA_VF_INFO, NULL, 0);
		card_put(card, IFLA_VF_MAC, &mac, sizeof(mac));
		card_put(card, IFLA_VF_VLAN, &vlan, sizeof(vlan));
		card_put(card, IFLA_VF_RATE, &rate, sizeof(rate));
		card_put(card, IFLA_VF_SPOOFCHK, &spoof_check, sizeof(spoof_check));
		card_put(card, IFLA_VF_TRUST, &trust, sizeof(trust));
		card_put(card, IFLA_VF_LINK_STATE, &state, sizeof(state));
		card_end(card, info);
	}
	card_end(card, list);
	card_finish(card);
}

static void card_acknowledge(struct fake_card *card, int err)
{
	uint16_t flags = NLM_F_CAPPED;

	if (err && card->words)
		flags |= NLM_F_ACK_TLVS;
	card_begin(card, NLMSG_ERROR, flags, sizeof(struct nlmsgerr));
	memcpy(card->answer + NLMSG_HDRLEN, &err, sizeof(err));
	if (err && card->words)
		card_put(card, NLMSGERR_ATTR_MSG, card->words, strlen(card->words) + 1);
	card_finish(card);
}

/* One setting as the kernel's layouts have it; the function's number comes first in each. */
static int card_set(struct fake_card *card, struct rtattr *attribute)
{
	static const struct {
		enum assign_link_setting setting;
		size_t size;
	} layouts[IFLA_VF_MAX + 1] = {
		[IFLA_VF_MAC] = { ASSIGN_LINK_MAC, sizeof(struct ifla_vf_mac) },
		[IFLA_VF_VLAN] = { ASSIGN_LINK_VLAN, sizeof(struct ifla_vf_vlan) },
		[IFLA_VF_RATE] = { ASSIGN_LINK_RATE, sizeof(struct ifla_vf_rate) },
		[IFLA_VF_SPOOFCHK] = { ASSIGN_LINK_SPOOF_CHECK, sizeof(struct ifla_vf_spoofchk) },
		[IFLA_VF_TRUST] = { ASSIGN_LINK_TRUST, sizeof(struct ifla_vf_trust) },
		[IFLA_VF_LINK_STATE] = { ASSIGN_LINK_STATE, sizeof(struct ifla_vf_link_state) },
	};
	union {
		uint32_t number;
		struct ifla_vf_mac mac;
		struct ifla_vf_vlan vlan;
		struct ifla_vf_rate rate;
		struct ifla_vf_spoofchk spoof_check;
		struct ifla_vf_trust trust;
		struct ifla_vf_link_state state;
	} data;
	struct assign_link_settings *s;
	enum assign_link_setting setting;

	BUG_ON(attribute->rta_type > IFLA_VF_MAX || !layouts[attribute->rta_type].size ||
	       attribute->rta_len != RTA_LENGTH(layouts[attribute->rta_type].size));
	memcpy(&data, RTA_DATA(attribute), layouts[attribute->rta_type].size);
	setting = layouts[attribute->rta_type].setting;
	card->nr_set++;
	card->asked[setting]++;
	if (data.number >= card->nr_functions)
		return -EINVAL;
	if (card->refuses & BIT(setting))
		return -EOPNOTSUPP;
	if (card->ignores & BIT(setting))
		return 0;
	s = &card->function[data.number];
	switch (setting) {
	case ASSIGN_LINK_MAC:
		memcpy(s->mac, data.mac.mac, sizeof(s->mac));
		break;
	case ASSIGN_LINK_VLAN:
		s->vlan = (uint16_t)data.vlan.vlan;
		s->priority = (uint8_t)data.vlan.qos;
		break;
	case ASSIGN_LINK_RATE:
		s->rate_min = data.rate.min_tx_rate;
		s->rate_max = data.rate.max_tx_rate;
		break;
	case ASSIGN_LINK_SPOOF_CHECK:
		s->spoof_check = data.spoof_check.setting;
		break;
	case ASSIGN_LINK_TRUST:
		s->trust = data.trust.setting;
		break;
	case ASSIGN_LINK_STATE:
		s->state = (enum assign_link_state)data.state.link_state;
		break;
	case ASSIGN_NR_LINK_SETTINGS:
		break;
	}
	return 0;
}

ssize_t fake_card_write(struct fake_card *card, const void *data, size_t len)
{
	/* A copy: the kernel's macros take no pointers to const. */
	_Alignas(struct nlmsghdr) uint8_t request[512];
	struct nlmsghdr *header = (void *)request;
	struct ifinfomsg *link = NLMSG_DATA(header);
	struct rtattr *list, *info;

	BUG_ON(len > sizeof(request));
	memcpy(request, data, len);
	BUG_ON(header->nlmsg_len != len || card->answer_len);
	if (link->ifi_index != FAKE_CARD_IFINDEX) {
		card_acknowledge(card, -ENODEV);
		return (ssize_t)len;
	}
	if (header->nlmsg_type == RTM_GETLINK) {
		card_tell(card);
		return (ssize_t)len;
	}
	/* One list of one function with one setting: what goes wrong then has one name. */
	list = IFLA_RTA(link);
	info = RTA_DATA(list);
	BUG_ON(header->nlmsg_type != RTM_SETLINK || list->rta_type != IFLA_VFINFO_LIST ||
	       NLMSG_LENGTH(sizeof(*link)) + list->rta_len != len ||
	       info->rta_type != IFLA_VF_INFO || RTA_LENGTH(info->rta_len) != list->rta_len);
	card_acknowledge(card, card_set(card, RTA_DATA(info)));
	return (ssize_t)len;
}

ssize_t fake_card_read(struct fake_card *card, void *buf, size_t len)
{
	size_t have = card->answer_len - min_u64(card->cut, card->answer_len);

	BUG_ON(!card->answer_len || have > len);
	memcpy(buf, card->spoiled ? card->spoiled : card->answer, have);
	/* What lies behind the message looks like more of it. */
	for (size_t at = RTA_ALIGN(have); at + sizeof(struct rtattr) <= len;
	     at += sizeof(struct rtattr))
		memcpy((uint8_t *)buf + at, &(struct rtattr){ sizeof(struct rtattr), IFLA_VF_INFO },
		       sizeof(struct rtattr));
	card->answer_len = 0;
	return (ssize_t)have;
}
