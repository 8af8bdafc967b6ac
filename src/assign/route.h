/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages to the kernel's network configuration: rtnetlink(7), linux/rtnetlink.h. Only what the
 * settings of virtual functions need: one request about one interface, one answer. They go through
 * the seam as everything else that can fail, which a library with a socket of its own would not.
 */
#ifndef AIRLOCK_ASSIGN_ROUTE_H
#define AIRLOCK_ASSIGN_ROUTE_H

#include <linux/rtnetlink.h>

#include "sys/sys.h"

#define ROUTE_REQUEST_MAX 256
#define ROUTE_ANSWER_MAX  (64u << 10) /* 256 functions with everything about each fit */
#define ROUTE_WHY_MAX	  128

struct route_request {
	struct nlmsghdr header;
	struct ifinfomsg link;
	uint8_t attributes[ROUTE_REQUEST_MAX];
};

/* Begins a request of this type (RTM_GETLINK, RTM_SETLINK) about one interface. */
void route_request_init(struct route_request *request, uint16_t type, int ifindex);

/* Appends an attribute; what does not fit is a bug. */
void route_put(struct route_request *request, uint16_t type, const void *data, size_t len);

/* An attribute that holds others: what is put until its end. Returns what route_nest_end() takes. */
size_t route_nest(struct route_request *request, uint16_t type);
void route_nest_end(struct route_request *request, size_t nest);

/*
 * Sends the request and reads the answer into `answer` (ROUTE_ANSWER_MAX bytes). Returns how many
 * bytes the answer's message has; 0 for a bare acknowledgement; or -errno: the kernel's own, with
 * the driver's words in `why` (ROUTE_WHY_MAX bytes, else empty), or -EPROTO for nonsense.
 */
ssize_t route_ask(struct sys *sys, int fd, struct route_request *request, void *answer, char *why);

/*
 * Walks attributes: the first one whose whole is within [*at, *at + *left), NULL at the end or where
 * they are malformed; *at and *left move past it.
 */
const struct rtattr *route_next(const uint8_t **at, size_t *left);

/* The payload of an attribute if it has at least `size` bytes, else NULL. */
const void *route_payload(const struct rtattr *attribute, size_t size);

#endif
