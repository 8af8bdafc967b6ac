// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/isolation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"

static const struct host_function *isolation_at(const struct host_isolation *isolation, int index)
{
	return host_topology_at(isolation->topology, index);
}

static int isolation_parent(const struct host_isolation *isolation, int index)
{
	return isolation->topology->node[index].parent;
}

/* As the kernel sees it: found by its number, or by the bit in its own header. */
static bool function_is_one_of_many(const struct host_function *f)
{
	return f->config.multifunction || (!f->is_vf && f->address.function);
}

static enum host_known acs_holds(const struct host_config *config, uint16_t *missing)
{
	uint16_t wanted = HOST_ACS_ISOLATED;

	if (!config->extended_visible)
		return HOST_UNKNOWN;
	*missing = HOST_ACS_ISOLATED;
	if (!config->acs)
		return HOST_NO;
	/* A bit that is not in the capability needs no control: there is nothing to keep apart. */
	wanted &= config->acs_cap;
	*missing = wanted & (uint16_t)~config->acs_control;
	return *missing ? HOST_NO : HOST_YES;
}

/* PCIe 6.0, 6.12.1.1 to 6.12.1.3: who has to have ACS to be known to keep peers apart. */
enum host_known host_function_isolated(const struct host_function *f, uint16_t *missing)
{
	uint16_t unused;

	missing = missing ? missing : &unused;
	*missing = HOST_ACS_ISOLATED;
	if (!f->config.visible)
		return HOST_UNKNOWN;
	if (!f->config.express)
		return HOST_NO;
	switch (f->config.port) {
	case HOST_PORT_ROOT:
	case HOST_PORT_DOWNSTREAM:
		return acs_holds(&f->config, missing);
	case HOST_PORT_ENDPOINT:
	case HOST_PORT_LEGACY_ENDPOINT:
	case HOST_PORT_UPSTREAM:
	case HOST_PORT_INTEGRATED:
		if (function_is_one_of_many(f))
			return acs_holds(&f->config, missing);
		break;
	case HOST_PORT_PCIE_TO_PCI:
	case HOST_PORT_PCI_TO_PCIE:
	case HOST_PORT_EVENT_COLLECTOR:
		return HOST_NO;
	default:
		break;
	}
	*missing = 0;
	return HOST_YES;
}

/* P2P Request Redirect: peer requests go up to the IOMMU instead of across. */
static enum host_known function_redirects(const struct host_function *f)
{
	if (!f->config.extended_visible)
		return HOST_UNKNOWN;
	if (!f->config.acs)
		return HOST_NO;
	return (f->config.acs_cap & ~f->config.acs_control & HOST_ACS_REQUEST_REDIRECT) ? HOST_NO
											: HOST_YES;
}

/* The first port from `index` up that does not isolate; HOST_NONE when all of them do. */
static int isolation_first_gap(const struct host_isolation *isolation, int index)
{
	for (; index != HOST_NONE; index = isolation_parent(isolation, index))
		if (host_function_isolated(isolation_at(isolation, index), NULL) != HOST_YES)
			return index;
	return HOST_NONE;
}

/* The bridge under whose id a function's requests reach the IOMMU; HOST_NONE: its own. */
static int isolation_alias(const struct host_isolation *isolation, int index)
{
	for (index = isolation_parent(isolation, index); index != HOST_NONE;
	     index = isolation_parent(isolation, index)) {
		const struct host_config *config = &isolation_at(isolation, index)->config;

		/* Without its capabilities a bridge cannot be told from a port: taken for one. */
		if (config->visible && (!config->express || config->port == HOST_PORT_PCIE_TO_PCI ||
					config->port == HOST_PORT_PCI_TO_PCIE))
			return index;
	}
	return HOST_NONE;
}

/* Who does DMA for the segment the function is in; HOST_NONE: nobody but itself. */
static int isolation_owner(const struct host_isolation *isolation, int index)
{
	int up = isolation_parent(isolation, index);

	for (; up != HOST_NONE; up = isolation_parent(isolation, index))
		index = up;
	return isolation->topology->node[index].behind;
}

static bool function_same_slot(const struct host_function *a, const struct host_function *b)
{
	return a->address.domain == b->address.domain && a->address.bus == b->address.bus &&
	       a->address.device == b->address.device;
}

/* An earlier function of the slot that shares the lack of isolation; HOST_NONE. */
static int isolation_slot_mate(const struct host_isolation *isolation, int index)
{
	const struct host_function *f = isolation_at(isolation, index);

	/* The functions of a slot are neighbours in the inventory, eight or (ARI) more of them. */
	while (index-- > 0 && function_same_slot(f, isolation_at(isolation, index)))
		if (host_function_isolated(isolation_at(isolation, index), NULL) != HOST_YES)
			return index;
	return HOST_NONE;
}

/* The group the kernel's rules put a function in, those above and before it being known. */
static int isolation_model(struct host_isolation *isolation, int index)
{
	const struct host_function *f = isolation_at(isolation, index);
	int parent = isolation_parent(isolation, index), other;
	enum host_known isolated;

	other = isolation_owner(isolation, index);
	if (other != HOST_NONE)
		return isolation->model[other];
	other = isolation_alias(isolation, index);
	if (other != HOST_NONE) {
		isolation->uncertain[index] = isolation->uncertain[other];
		return isolation->model[other];
	}
	other = parent == HOST_NONE ? HOST_NONE : isolation_first_gap(isolation, parent);
	if (other != HOST_NONE) {
		isolation->uncertain[index] = isolation->uncertain[parent] ||
					      host_function_isolated(isolation_at(isolation, other),
								     NULL) == HOST_UNKNOWN;
		return isolation->model[parent];
	}
	isolated = host_function_isolated(f, NULL);
	if (function_is_one_of_many(f) && isolated != HOST_YES) {
		isolation->uncertain[index] = isolated == HOST_UNKNOWN;
		other = isolation_slot_mate(isolation, index);
		if (other != HOST_NONE)
			return isolation->model[other];
	}
	return index;
}

static int isolation_compare(const void *a, const void *b, void *opaque)
{
	const struct host_isolation *isolation = opaque;
	int ia = *(const int *)a, ib = *(const int *)b;
	int ga = isolation_at(isolation, ia)->group, gb = isolation_at(isolation, ib)->group;

	return ga != gb ? (ga < gb ? -1 : 1) : ia - ib;
}

int host_isolation_init(struct host_isolation *isolation, const struct host_topology *topology)
{
	size_t nr = topology->inventory->nr_functions;
	unsigned int depth, deepest = 0;

	memset(isolation, 0, sizeof(*isolation));
	isolation->topology = topology;
	isolation->model = calloc(nr + 1, sizeof(*isolation->model));
	isolation->uncertain = calloc(nr + 1, sizeof(*isolation->uncertain));
	isolation->by_group = calloc(nr + 1, sizeof(*isolation->by_group));
	if (!isolation->model || !isolation->uncertain || !isolation->by_group) {
		host_isolation_fini(isolation);
		return -ENOMEM;
	}
	for (size_t i = 0; i < nr; i++) {
		isolation->by_group[i] = (int)i;
		isolation->model[i] = (int)i;
		if (topology->node[i].depth > deepest)
			deepest = topology->node[i].depth;
	}
	/* Bridges before what is below them, whatever their bus numbers; as the kernel probes. */
	for (depth = 0; depth <= deepest; depth++)
		for (size_t i = 0; i < nr; i++)
			if (topology->node[i].depth == depth)
				isolation->model[i] = isolation_model(isolation, (int)i);
	qsort_r(isolation->by_group, nr, sizeof(*isolation->by_group), isolation_compare,
		isolation);
	return 0;
}

void host_isolation_fini(struct host_isolation *isolation)
{
	free(isolation->model);
	free(isolation->uncertain);
	free(isolation->by_group);
	memset(isolation, 0, sizeof(*isolation));
}

size_t host_isolation_members(const struct host_isolation *isolation, int group, const int **first)
{
	size_t low = 0, high = isolation->topology->inventory->nr_functions, end;

	end = high;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (isolation_at(isolation, isolation->by_group[middle])->group < group)
			low = middle + 1;
		else
			high = middle;
	}
	*first = &isolation->by_group[low];
	for (high = low; high < end; high++)
		if (isolation_at(isolation, isolation->by_group[high])->group != group)
			break;
	return high - low;
}

/* Why one function is with the others of its kernel group. False: configuration does not say. */
static bool isolation_reason(const struct host_isolation *isolation, int index,
			     struct host_reason *out)
{
	const struct host_function *f = isolation_at(isolation, index);
	int parent = isolation_parent(isolation, index), at;

	memset(out, 0, sizeof(*out));
	at = isolation_owner(isolation, index);
	if (at != HOST_NONE && isolation_at(isolation, at)->group == f->group) {
		out->cause = HOST_CAUSE_OWNER;
		out->at = isolation_at(isolation, at);
		return true;
	}
	at = isolation_alias(isolation, index);
	if (at != HOST_NONE && isolation_at(isolation, at)->group == f->group) {
		out->cause = HOST_CAUSE_BRIDGE;
		out->at = isolation_at(isolation, at);
		return true;
	}
	at = parent == HOST_NONE ? HOST_NONE : isolation_first_gap(isolation, parent);
	if (at != HOST_NONE && isolation_at(isolation, parent)->group == f->group) {
		out->at = isolation_at(isolation, at);
		out->cause = host_function_isolated(out->at, &out->missing) == HOST_UNKNOWN
				     ? HOST_CAUSE_UNSEEN
				     : HOST_CAUSE_PORT;
		return true;
	}
	if (!function_is_one_of_many(f))
		return false;
	at = isolation_slot_mate(isolation, index);
	if (at == HOST_NONE || isolation_at(isolation, at)->group != f->group)
		return false;
	out->at = f;
	switch (host_function_isolated(f, &out->missing)) {
	case HOST_UNKNOWN:
		out->cause = HOST_CAUSE_UNSEEN;
		return true;
	case HOST_NO:
		out->cause = HOST_CAUSE_FUNCTIONS;
		return true;
	default:
		return false;
	}
}

static bool reason_is_known(const struct host_reason *list, size_t nr,
			    const struct host_reason *new)
{
	for (size_t i = 0; i < nr; i++) {
		if (list[i].cause != new->cause)
			continue;
		if (list[i].at == new->at)
			return true;
		if (new->cause == HOST_CAUSE_FUNCTIONS && function_same_slot(list[i].at, new->at))
			return true;
	}
	return false;
}

size_t host_isolation_explain(const struct host_isolation *isolation, int group,
			      struct host_reason *out, size_t room)
{
	const int *member;
	size_t nr_members = host_isolation_members(isolation, group, &member), nr = 0;

	for (size_t i = 0; nr_members > 1 && i < nr_members; i++) {
		struct host_reason reason;

		if (!isolation_reason(isolation, member[i], &reason)) {
			/* Something has to come first: only what is joined to nothing is odd. */
			if (isolation->model[member[i]] == isolation->model[member[0]])
				continue;
			reason = (struct host_reason){ .cause = HOST_CAUSE_KERNEL,
						       .at = isolation_at(isolation, member[i]) };
		}
		if (nr < room && reason_is_known(out, nr, &reason))
			continue;
		if (nr < room)
			out[nr] = reason;
		nr++;
	}
	return nr;
}

static bool isolation_is_below(const struct host_isolation *isolation, int index, int top)
{
	for (; index != HOST_NONE; index = isolation_parent(isolation, index))
		if (index == top)
			return true;
	return false;
}

static int isolation_root(const struct host_isolation *isolation, int index)
{
	while (isolation_parent(isolation, index) != HOST_NONE)
		index = isolation_parent(isolation, index);
	return index;
}

static bool function_is_root_port(const struct host_function *f)
{
	return f->config.express && f->config.port == HOST_PORT_ROOT;
}

bool host_isolation_can_reach(const struct host_isolation *isolation, int from, int to, int *at)
{
	const struct host_function *f = isolation_at(isolation, from),
				   *t = isolation_at(isolation, to);
	int port, root;

	if (from == to)
		return false;
	*at = from;
	if (function_same_slot(f, t) && function_is_one_of_many(f) && !f->is_vf && !t->is_vf &&
	    function_redirects(f) == HOST_NO)
		return true;
	for (port = isolation_parent(isolation, from); port != HOST_NONE;
	     port = isolation_parent(isolation, port)) {
		const struct host_config *config = &isolation_at(isolation, port)->config;
		int above = isolation_parent(isolation, port);

		*at = port;
		if (!config->visible)
			continue;
		/* One conventional bus: everything on it hears everything. */
		if (!config->express || config->port == HOST_PORT_PCIE_TO_PCI) {
			if (isolation_is_below(isolation, to, port) && to != port)
				return true;
		} else if (config->port == HOST_PORT_DOWNSTREAM) {
			if (above != HOST_NONE &&
			    function_redirects(isolation_at(isolation, port)) == HOST_NO &&
			    isolation_is_below(isolation, to, above) && to != above &&
			    !isolation_is_below(isolation, to, port))
				return true;
		} else if (config->port == HOST_PORT_ROOT &&
			   function_redirects(isolation_at(isolation, port)) == HOST_NO) {
			root = isolation_root(isolation, to);
			if (root != port && root != to &&
			    function_is_root_port(isolation_at(isolation, root)) &&
			    isolation_at(isolation, root)->address.domain ==
				    isolation_at(isolation, port)->address.domain &&
			    isolation_at(isolation, root)->address.bus ==
				    isolation_at(isolation, port)->address.bus)
				return true;
		}
	}
	return false;
}

struct difference_list {
	struct host_difference *out;
	size_t room, nr;
};

static void difference_add(struct difference_list *list, enum host_difference_kind kind,
			   const struct host_function *a, const struct host_function *b,
			   const struct host_function *at)
{
	if (list->nr < list->room)
		list->out[list->nr] = (struct host_difference){ kind, a, b, at };
	list->nr++;
}

/* The first function below `top`, or `top` itself, that is no bridge; HOST_NONE. */
static int isolation_first_endpoint(const struct host_isolation *isolation, int top)
{
	const struct host_node *node = &isolation->topology->node[top];
	int child, found;

	if (!host_function_is_bridge(isolation_at(isolation, top)))
		return top;
	for (child = node->first_child; child != HOST_NONE;
	     child = isolation->topology->node[child].next_sibling) {
		found = isolation_first_endpoint(isolation, child);
		if (found != HOST_NONE)
			return found;
	}
	return HOST_NONE;
}

/* What the devices below one port may reach below each of its sibling ports. */
static void difference_of_port(const struct host_isolation *isolation, int port,
			       struct difference_list *list)
{
	int parent = isolation_parent(isolation, port), from, to, at, sibling;
	const struct host_topology *topology = isolation->topology;

	from = isolation_first_endpoint(isolation, port);
	if (from == HOST_NONE || from == port)
		return;
	sibling = parent == HOST_NONE ? topology->first_root : topology->node[parent].first_child;
	for (; sibling != HOST_NONE; sibling = topology->node[sibling].next_sibling) {
		to = sibling == port ? HOST_NONE : isolation_first_endpoint(isolation, sibling);
		if (to == HOST_NONE ||
		    isolation_at(isolation, from)->group == isolation_at(isolation, to)->group)
			continue;
		if (host_isolation_can_reach(isolation, from, to, &at) && at == port)
			difference_add(list, HOST_DIFF_CAN_REACH, isolation_at(isolation, from),
				       isolation_at(isolation, to), isolation_at(isolation, at));
	}
}

/* Functions of one slot that the kernel keeps apart though one of them may turn to the others. */
static void difference_of_slot(const struct host_isolation *isolation, int index,
			       struct difference_list *list)
{
	const struct host_function *f = isolation_at(isolation, index);
	int nr = (int)isolation->topology->inventory->nr_functions, other, at, first = index;

	while (first > 0 && function_same_slot(f, isolation_at(isolation, first - 1)))
		first--;
	for (other = first; other < nr && function_same_slot(f, isolation_at(isolation, other));
	     other++)
		if (isolation_at(isolation, other)->group != f->group &&
		    isolation_at(isolation, other)->group >= 0 &&
		    isolation->model[other] != isolation->model[index] &&
		    host_isolation_can_reach(isolation, index, other, &at) && at == index)
			difference_add(list, HOST_DIFF_CAN_REACH, f, isolation_at(isolation, other),
				       f);
}

/* The function at which configuration shows no isolation between `index` and its model group. */
static const struct host_function *isolation_gap_of(const struct host_isolation *isolation,
						    int index)
{
	int at = isolation_owner(isolation, index), parent = isolation_parent(isolation, index);

	if (at == HOST_NONE)
		at = isolation_alias(isolation, index);
	if (at == HOST_NONE && parent != HOST_NONE)
		at = isolation_first_gap(isolation, parent);
	return isolation_at(isolation, at == HOST_NONE ? index : at);
}

size_t host_isolation_differences(const struct host_isolation *isolation,
				  struct host_difference *out, size_t room)
{
	struct difference_list list = { out, room, 0 };
	int nr = (int)isolation->topology->inventory->nr_functions, i;

	for (i = 0; i < nr; i++) {
		const struct host_function *f = isolation_at(isolation, i), *model, *first;
		const int *member;

		if (f->group < 0 || isolation->uncertain[i])
			continue;
		host_isolation_members(isolation, f->group, &member);
		first = isolation_at(isolation, member[0]);
		model = isolation_at(isolation, isolation->model[i]);
		if (isolation->model[i] == i && isolation->model[member[0]] != i &&
		    !isolation->uncertain[member[0]])
			difference_add(&list, HOST_DIFF_KERNEL_JOINS, first, f, NULL);
		if (model->group >= 0 && model->group != f->group && first == f)
			difference_add(&list, HOST_DIFF_KERNEL_SPLITS, model, f,
				       isolation_gap_of(isolation, i));
		if (f->is_vf)
			continue;
		if (host_function_is_bridge(f))
			difference_of_port(isolation, i, &list);
		if (function_is_one_of_many(f))
			difference_of_slot(isolation, i, &list);
	}
	return list.nr;
}

const char *host_acs_format(uint16_t bits, char *buf)
{
	static const char names[][4] = { "SV", "TB", "RR", "CR", "UF", "EC", "DT" };
	char *p = buf;

	*p = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (bits & BIT(i))
			p += sprintf(p, "%s%s", p == buf ? "" : " ", names[i]);
	return buf;
}

const char *host_reason_format(const struct host_reason *reason, char *buf, size_t size)
{
	const struct host_function *at = reason->at;
	const char *kind = host_config_port_name(&at->config);
	char lacks[64], bits[HOST_ACS_TEXT];

	if (!at->config.express)
		snprintf(lacks, sizeof(lacks), "conventional PCI knows no ACS");
	else if (!at->config.acs)
		snprintf(lacks, sizeof(lacks), "no ACS");
	else
		snprintf(lacks, sizeof(lacks), "ACS without %s",
			 host_acs_format(reason->missing, bits));
	switch (reason->cause) {
	case HOST_CAUSE_UNSEEN:
		snprintf(buf, size,
			 "%s: its capabilities were not visible (reading them needs root)",
			 at->name);
		break;
	case HOST_CAUSE_BRIDGE:
		snprintf(buf, size,
			 "%s %s: a bridge to conventional PCI; all below it share its requester id",
			 at->config.express ? kind : "bridge", at->name);
		break;
	case HOST_CAUSE_PORT:
		snprintf(buf, size, "%s %s: %s, so what is below it can reach its peers directly",
			 at->config.express ? kind : "bridge", at->name, lacks);
		break;
	case HOST_CAUSE_FUNCTIONS:
		snprintf(
			buf, size,
			"functions of slot %.*s: %s, so they can reach each other inside the device",
			(int)strlen(at->name) - 2, at->name, lacks);
		break;
	case HOST_CAUSE_OWNER:
		snprintf(buf, size, "%s: carries this segment and does DMA in its devices' name",
			 at->name);
		break;
	case HOST_CAUSE_KERNEL:
		snprintf(buf, size,
			 "%s: joined by the kernel for a reason that configuration space does not "
			 "show (a quirk for this device)",
			 at->name);
		break;
	}
	return buf;
}

const char *host_difference_format(const struct host_difference *difference, char *buf, size_t size)
{
	const struct host_function *a = difference->a, *b = difference->b, *at = difference->at;

	switch (difference->kind) {
	case HOST_DIFF_KERNEL_JOINS:
		snprintf(
			buf, size,
			"the kernel has %s and %s in one group (%d), though configuration space shows "
			"the path between them isolated",
			a->name, b->name, a->group);
		break;
	case HOST_DIFF_KERNEL_SPLITS:
		snprintf(
			buf, size,
			"the kernel has %s (group %d) and %s (group %d) apart, though %s %s shows no "
			"isolation",
			a->name, a->group, b->name, b->group, host_config_port_name(&at->config),
			at->name);
		break;
	case HOST_DIFF_CAN_REACH:
		snprintf(
			buf, size,
			"%s (group %d) may reach %s (group %d) past the IOMMU: %s %s does not redirect "
			"requests between peers",
			a->name, a->group, b->name, b->group, host_config_port_name(&at->config),
			at->name);
		break;
	}
	return buf;
}
