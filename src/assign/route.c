// SPDX-License-Identifier: GPL-2.0-or-later
#include "assign/route.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/bug.h"

#define ROUTE_SEQUENCE 1

void route_request_init(struct route_request *request, uint16_t type, int ifindex)
{
	memset(request, 0, sizeof(*request));
	request->header = (struct nlmsghdr){
		.nlmsg_len = NLMSG_LENGTH(sizeof(request->link)),
		.nlmsg_type = type,
		/* A question is answered by what was asked for; a change only by its acknowledgement. */
		.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | (type == RTM_GETLINK ? 0 : NLM_F_ACK)),
		.nlmsg_seq = ROUTE_SEQUENCE,
	};
	request->link = (struct ifinfomsg){ .ifi_family = AF_UNSPEC, .ifi_index = ifindex };
}

void route_put(struct route_request *request, uint16_t type, const void *data, size_t len)
{
	size_t used = request->header.nlmsg_len;
	struct rtattr head = { .rta_len = (uint16_t)RTA_LENGTH(len), .rta_type = type };
	uint8_t *at = (uint8_t *)request + used;

	BUG_ON(used + RTA_SPACE(len) > sizeof(*request));
	memcpy(at, &head, sizeof(head));
	if (len)
		memcpy(at + RTA_LENGTH(0), data, len);
	request->header.nlmsg_len = (uint32_t)(used + RTA_SPACE(len));
}

size_t route_nest(struct route_request *request, uint16_t type)
{
	size_t nest = request->header.nlmsg_len;

	route_put(request, type, NULL, 0);
	return nest;
}

void route_nest_end(struct route_request *request, size_t nest)
{
	uint16_t len = (uint16_t)(request->header.nlmsg_len - nest);

	memcpy((uint8_t *)request + nest + offsetof(struct rtattr, rta_len), &len, sizeof(len));
}

const struct rtattr *route_next(const uint8_t **at, size_t *left)
{
	const struct rtattr *attribute = (const void *)*at;
	size_t step;

	if (*left < sizeof(*attribute) || attribute->rta_len < sizeof(*attribute) ||
	    attribute->rta_len > *left)
		return NULL;
	step = RTA_ALIGN(attribute->rta_len);
	step = step < *left ? step : *left;
	*at += step;
	*left -= step;
	return attribute;
}

const void *route_payload(const struct rtattr *attribute, size_t size)
{
	return attribute->rta_len >= RTA_LENGTH(size) ? (const uint8_t *)attribute + RTA_LENGTH(0)
						      : NULL;
}

/* What the driver says for itself: an extended acknowledgement's text. */
static void route_why(const struct nlmsghdr *header, char *why)
{
	const uint8_t *at = (const uint8_t *)header + NLMSG_HDRLEN + sizeof(struct nlmsgerr);
	const struct rtattr *attribute;
	size_t left;

	if (!(header->nlmsg_flags & NLM_F_ACK_TLVS) || !(header->nlmsg_flags & NLM_F_CAPPED) ||
	    header->nlmsg_len < NLMSG_HDRLEN + sizeof(struct nlmsgerr))
		return;
	left = header->nlmsg_len - NLMSG_HDRLEN - sizeof(struct nlmsgerr);
	while ((attribute = route_next(&at, &left)))
		if (attribute->rta_type == NLMSGERR_ATTR_MSG)
			snprintf(why, ROUTE_WHY_MAX, "%.*s",
				 (int)(attribute->rta_len - RTA_LENGTH(0)),
				 (const char *)attribute + RTA_LENGTH(0));
}

ssize_t route_ask(struct sys *sys, int fd, struct route_request *request, void *answer, char *why)
{
	const struct nlmsghdr *header = answer;
	const struct nlmsgerr *error;
	ssize_t len;

	why[0] = '\0';
	len = sys->ops->write(sys, fd, request, request->header.nlmsg_len);
	if (len < 0)
		return len;
	if ((size_t)len != request->header.nlmsg_len)
		return -EIO;
	len = sys->ops->read(sys, fd, answer, ROUTE_ANSWER_MAX);
	if (len < 0)
		return len;
	if ((size_t)len < sizeof(*header) || header->nlmsg_len < sizeof(*header) ||
	    header->nlmsg_len > (size_t)len || header->nlmsg_seq != ROUTE_SEQUENCE)
		return -EPROTO;
	if (header->nlmsg_type != NLMSG_ERROR)
		return request->header.nlmsg_type == RTM_GETLINK ? (ssize_t)header->nlmsg_len
								 : -EPROTO;
	if (header->nlmsg_len < NLMSG_LENGTH(sizeof(error->error)))
		return -EPROTO;
	/* NLMSG_DATA() would cast the const away. */
	error = (const void *)((const uint8_t *)header + NLMSG_HDRLEN);
	route_why(header, why);
	/* Neither a number that is no errno nor an empty answer to a question. */
	if (error->error > 0 || error->error < -4095)
		return -EPROTO;
	if (!error->error && request->header.nlmsg_type == RTM_GETLINK)
		return -EPROTO;
	return error->error;
}
