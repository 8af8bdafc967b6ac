// SPDX-License-Identifier: GPL-2.0-or-later
/* airlock vf: virtual functions made, listed, set up and taken away. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assign/vf.h"
#include "base/bits.h"
#include "cli/options.h"
#include "cli/survey.h"

#define VF_MAX_LISTED 256

struct vf_options {
	bool own_namespaces, json;
	unsigned int accepted;
	/* Words of `set`. */
	const char *mac, *vlan, *rate, *spoof_check, *trust, *link;
	const char *queues, *interrupts, *state, *namespaces;
};

static void vf_format_namespaces(const struct assign_vf *vf, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < vf->nr_namespaces && i < ASSIGN_VF_MAX_NAMESPACES && used < size;
	     i++)
		used += (size_t)snprintf(buf + used, size - used, "%s%u", used ? "," : "",
					 vf->nsid[i]);
	if (!vf->namespaces_known)
		snprintf(buf, size, "?");
	else if (!used)
		snprintf(buf, size, "none");
	else if (used < size)
		snprintf(buf + used, size - used, "%s", vf->alone ? " alone" : " shared");
}

static const char *vf_on_off(const struct assign_link_settings *link,
			     enum assign_link_setting setting, bool on)
{
	return !(link->has & BIT(setting)) ? "?" : on ? "on" : "off";
}

static void vf_print_link(const struct assign_link_settings *link)
{
	char mac[ASSIGN_MAC_TEXT] = "?", vlan[16] = "?", rate[32] = "?";

	if (link->has & BIT(ASSIGN_LINK_MAC))
		assign_mac_format(link->mac, mac);
	if (link->has & BIT(ASSIGN_LINK_VLAN))
		snprintf(vlan, sizeof(vlan), link->vlan ? "%u:%u" : "none", link->vlan,
			 link->priority);
	if (link->has & BIT(ASSIGN_LINK_RATE))
		snprintf(rate, sizeof(rate), link->rate_min || link->rate_max ? "%u-%u" : "none",
			 link->rate_min, link->rate_max);
	printf(" %-17s %-6s %-11s %-11s %-5s %s", mac, vlan, rate,
	       vf_on_off(link, ASSIGN_LINK_SPOOF_CHECK, link->spoof_check),
	       vf_on_off(link, ASSIGN_LINK_TRUST, link->trust),
	       link->has & BIT(ASSIGN_LINK_STATE) ? assign_link_state_name(link->state) : "?");
}

static void vf_print(const struct assign_vf *vf)
{
	char group[16] = "-", namespaces[96];

	if (vf->group >= 0)
		snprintf(group, sizeof(group), "%d", vf->group);
	printf("%-12s %5s %-12s", vf->name, group, vf->driver[0] ? vf->driver : "-");
	if (vf->has_controller) {
		vf_format_namespaces(vf, namespaces, sizeof(namespaces));
		printf(" %10u %-7s %6u %10u %s", vf->controller.id,
		       vf->controller.online ? "online" : "offline", vf->controller.queues,
		       vf->controller.interrupts, namespaces);
	}
	if (vf->link.has)
		vf_print_link(&vf->link);
	putchar('\n');
}

#ifdef AIRLOCK_JSON
static json_t *vf_json_controller(const struct assign_vf *vf)
{
	json_t *namespaces = vf->namespaces_known ? json_array() : json_null();

	for (size_t i = 0; i < vf->nr_namespaces && i < ASSIGN_VF_MAX_NAMESPACES; i++)
		json_array_append_new(namespaces, json_integer(vf->nsid[i]));
	return json_pack("{s:i, s:b, s:i, s:i, s:o, s:b}", "id", vf->controller.id, "online",
			 vf->controller.online, "queues", vf->controller.queues, "interrupts",
			 vf->controller.interrupts, "namespaces", namespaces, "alone", vf->alone);
}

/* What the driver does not tell is null. */
static json_t *vf_json_link(const struct assign_link_settings *link)
{
	char mac[ASSIGN_MAC_TEXT];
	json_t *out = json_object();
	const struct {
		enum assign_link_setting setting;
		const char *key;
		json_t *value;
	} rows[] = {
		{ ASSIGN_LINK_MAC, "mac", json_string(assign_mac_format(link->mac, mac)) },
		{ ASSIGN_LINK_VLAN, "vlan", json_integer(link->vlan) },
		{ ASSIGN_LINK_VLAN, "priority", json_integer(link->priority) },
		{ ASSIGN_LINK_RATE, "rate_min", json_integer(link->rate_min) },
		{ ASSIGN_LINK_RATE, "rate_max", json_integer(link->rate_max) },
		{ ASSIGN_LINK_SPOOF_CHECK, "spoof_check", json_boolean(link->spoof_check) },
		{ ASSIGN_LINK_TRUST, "trust", json_boolean(link->trust) },
		{ ASSIGN_LINK_STATE, "link", json_string(assign_link_state_name(link->state)) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		bool known = link->has & BIT(rows[i].setting);

		json_object_set(out, rows[i].key, known ? rows[i].value : json_null());
		json_decref(rows[i].value);
	}
	return out;
}

static json_t *vf_json(const struct host_function *pf, const struct assign_vf *vf, int nr)
{
	json_t *list = json_array();

	for (int i = 0; i < nr; i++)
		json_array_append_new(
			list,
			json_pack("{s:s, s:i, s:s?, s:i, s:o, s:o}", "address", vf[i].name,
				  "number", vf[i].number, "driver",
				  vf[i].driver[0] ? vf[i].driver : NULL, "group", vf[i].group,
				  "controller",
				  vf[i].has_controller ? vf_json_controller(&vf[i]) : json_null(),
				  "network",
				  vf[i].link.has ? vf_json_link(&vf[i].link) : json_null()));
	return json_pack("{s:s, s:s?, s:i, s:o}", "address", pf->name, "driver",
			 pf->driver[0] ? pf->driver : NULL, "total", pf->sriov_total, "functions",
			 list);
}
#endif

/* What a person must know before two VMs get two of these. */
static void vf_print_isolation(const struct assign_vf *vf, int nr)
{
	bool any = false, shared = false;

	for (int i = 0; i < nr; i++) {
		any |= vf[i].has_controller;
		shared |= vf[i].has_controller &&
			  (!vf[i].namespaces_known || (vf[i].nr_namespaces && !vf[i].alone));
	}
	if (any && shared)
		puts("no isolation at the media: virtual functions see the same namespaces, so one VM can "
		     "read\nand write another's data (--own-namespaces gives each its own)");
}

static void vf_print_all(const struct host_function *pf, const struct assign_vf *vf, int nr)
{
	printf("%s: %d of %u virtual functions%s\n", pf->name, nr, pf->sriov_total,
	       pf->driver[0] ? "" : " (no driver)");
	if (nr > 0)
		printf("%-12s %5s %-12s%s\n", "VF", "GROUP", "DRIVER",
		       vf[0].has_controller ? " CONTROLLER STATE   QUEUES INTERRUPTS NAMESPACES"
		       : vf[0].link.has
			       ? " MAC               VLAN   RATE        SPOOF-CHECK TRUST LINK"
			       : "");
	for (int i = 0; i < nr; i++)
		vf_print(&vf[i]);
	vf_print_isolation(vf, nr);
}

/* Where programs are to read it, it goes to the end of their list; else it is printed. */
static int vf_list_one(struct sys *sys, const struct host_function *pf, void *json,
		       struct diag *diag)
{
	struct assign_vf *vf = calloc(VF_MAX_LISTED, sizeof(*vf));
	int nr = vf ? assign_vf_list(sys, pf, vf, VF_MAX_LISTED, diag) : -ENOMEM;

#ifdef AIRLOCK_JSON
	if (nr >= 0 && json)
		json_array_append_new(json, vf_json(pf, vf, nr));
#endif
	if (nr >= 0 && !json)
		vf_print_all(pf, vf, nr);
	free(vf);
	return nr < 0 ? diag_set(diag, nr, pf->name, "cannot be listed: %s", strerror(-nr)) : 0;
}

static int vf_list_all(struct survey *survey, void *json, struct diag *diag)
{
	bool any = false;
	int err = 0;

	for (size_t i = 0; !err && i < survey->inventory.nr_functions; i++) {
		if (!survey->inventory.function[i].sriov_total)
			continue;
		if (any && !json)
			putchar('\n');
		any = true;
		err = vf_list_one(&survey->sys, &survey->inventory.function[i], json, diag);
	}
	if (!any && !json)
		puts("no function of this host has SR-IOV");
	return err;
}

/* `text` names the physical function; NULL: all that have SR-IOV. */
static int vf_list(const char *text, bool as_json, struct diag *diag)
{
	void *json = NULL;
	struct survey survey;
	int err = survey_init(&survey, NULL, diag), index;

	if (err)
		return err;
#ifdef AIRLOCK_JSON
	json = as_json ? json_array() : NULL;
#endif
	if (text) {
		index = survey_find(&survey, text, diag);
		err = index < 0 ? index
				: vf_list_one(&survey.sys, &survey.inventory.function[index], json,
					      diag);
	} else {
		err = vf_list_all(&survey, json, diag);
	}
#ifdef AIRLOCK_JSON
	if (json && err)
		json_decref(json);
	else if (json && survey_print_json(json))
		err = -EIO;
#endif
	survey_fini(&survey);
	return err;
}

static int vf_read_function(struct sys *sys, const char *text, struct host_function *out,
			    struct diag *diag)
{
	struct pci_address address;
	int err = host_address_resolve(sys, text, &address, diag);

	return err ? err : host_function_read(sys, address, out, diag);
}

static int vf_create(struct assign_journal *journal, const char *text, const char *count,
		     const struct vf_options *options, struct diag *diag)
{
	struct assign_vf_create create = { .own_namespaces = options->own_namespaces };
	struct host_function pf;
	unsigned long nr;
	char *end;
	int err = vf_read_function(journal->sys, text, &pf, diag);

	if (err)
		return err;
	nr = strtoul(count, &end, 10);
	create.nr = end == count || *end || *count == '-' || nr > UINT16_MAX ? 0 : (unsigned int)nr;
	err = assign_vf_create(journal, &pf, &create, diag);
	if (!err)
		err = host_function_read(journal->sys, pf.address, &pf, diag);
	return err ? err : vf_list_one(journal->sys, &pf, NULL, diag);
}

static int vf_destroy(struct assign_journal *journal, const char *text,
		      const struct vf_options *options, struct diag *diag)
{
	struct host_function pf;
	int err = vf_read_function(journal->sys, text, &pf, diag);

	if (!err)
		err = assign_vf_destroy(journal, &pf, options->accepted, diag);
	if (!err)
		printf("%s: %u virtual functions taken away\n", pf.name, pf.sriov_vfs);
	return err;
}

/* A number up to `most`; *text moves past it. */
static bool vf_take_number(const char **text, unsigned long most, unsigned long *out)
{
	char *end;

	if (**text < '0' || **text > '9')
		return false;
	*out = strtoul(*text, &end, 10);
	*text = end;
	return *out <= most;
}

/* "100", "100:5", "none". */
static bool vf_parse_vlan(const char *text, struct assign_link_settings *link)
{
	unsigned long vlan = 0, priority = 0;

	if (strcmp(text, "none") &&
	    (!vf_take_number(&text, 4094, &vlan) || !vlan ||
	     (*text == ':' && (text++, !vf_take_number(&text, 7, &priority))) || *text))
		return false;
	link->vlan = (uint16_t)vlan;
	link->priority = (uint8_t)priority;
	return true;
}

/* "1000", "200-1000", "none". */
static bool vf_parse_rate(const char *text, struct assign_link_settings *link)
{
	unsigned long first = 0, last = 0;

	if (strcmp(text, "none")) {
		if (!vf_take_number(&text, UINT32_MAX, &last))
			return false;
		if (*text == '-') {
			first = last;
			text++;
			if (!vf_take_number(&text, UINT32_MAX, &last))
				return false;
		}
		if (*text || (last && first > last))
			return false;
	}
	link->rate_min = (uint32_t)first;
	link->rate_max = (uint32_t)last;
	return true;
}

static bool vf_parse_switch(const char *text, bool *on)
{
	*on = !strcmp(text, "on");
	return *on || !strcmp(text, "off");
}

static bool vf_parse_count(const char *text, uint16_t *out)
{
	unsigned long v = 0;
	bool good = vf_take_number(&text, UINT16_MAX, &v) && !*text && v;

	*out = (uint16_t)v;
	return good;
}

/* "2,3", "none". */
static bool vf_parse_namespaces(const char *text, struct assign_vf_settings *settings)
{
	unsigned long nsid = 0;

	if (!strcmp(text, "none"))
		return true;
	do {
		if (settings->nr_namespaces == ASSIGN_VF_MAX_NAMESPACES ||
		    !vf_take_number(&text, UINT32_MAX - 1, &nsid) || !nsid)
			return false;
		settings->nsid[settings->nr_namespaces++] = (uint32_t)nsid;
	} while (*text++ == ',');
	return !text[-1];
}

/* Which word makes no sense, and what would; NULL when all do. */
static const char *vf_parse_settings(const struct vf_options *options, struct assign_vf_settings *s,
				     const char **word)
{
	struct assign_link_settings *link = &s->link;

	*word = options->mac;
	if (*word && (link->has |= BIT(ASSIGN_LINK_MAC), assign_mac_parse(*word, link->mac)))
		return "not one device's MAC address, such as 52:54:00:12:34:56";
	*word = options->vlan;
	if (*word && (link->has |= BIT(ASSIGN_LINK_VLAN), !vf_parse_vlan(*word, link)))
		return "not a VLAN: 1 to 4094, with a priority 100:5, or none";
	*word = options->rate;
	if (*word && (link->has |= BIT(ASSIGN_LINK_RATE), !vf_parse_rate(*word, link)))
		return "not a rate in Mbit/s: MAX, MIN-MAX or none";
	*word = options->spoof_check;
	if (*word && (link->has |= BIT(ASSIGN_LINK_SPOOF_CHECK),
		      !vf_parse_switch(*word, &link->spoof_check)))
		return "neither on nor off";
	*word = options->trust;
	if (*word && (link->has |= BIT(ASSIGN_LINK_TRUST), !vf_parse_switch(*word, &link->trust)))
		return "neither on nor off";
	*word = options->link;
	if (*word &&
	    (link->has |= BIT(ASSIGN_LINK_STATE), assign_link_state_parse(*word, &link->state)))
		return "not auto, up or down";
	*word = options->queues;
	if (*word && (s->has_queues = true, !vf_parse_count(*word, &s->queues)))
		return "not a number of queues";
	*word = options->interrupts;
	if (*word && (s->has_interrupts = true, !vf_parse_count(*word, &s->interrupts)))
		return "not a number of interrupts";
	*word = options->state;
	if (*word) {
		s->has_online = true;
		s->online = !strcmp(*word, "online");
		if (!s->online && strcmp(*word, "offline"))
			return "neither online nor offline";
	}
	*word = options->namespaces;
	if (*word && (s->has_namespaces = true, !vf_parse_namespaces(*word, s)))
		return "not a list of namespaces such as 2,3, or none";
	*word = NULL;
	return NULL;
}

static int vf_set(struct assign_journal *journal, const char *text,
		  const struct assign_vf_settings *settings, struct diag *diag)
{
	struct host_function vf, pf;
	int err = vf_read_function(journal->sys, text, &vf, diag);

	if (!err)
		err = assign_vf_set(journal, &vf, settings, diag);
	if (!err)
		err = host_function_read(journal->sys, vf.physfn, &pf, diag);
	return err ? err : vf_list_one(journal->sys, &pf, NULL, diag);
}

/* create, destroy and set: one at a time on a host. */
static int vf_change(char **words, const struct vf_options *options,
		     const struct assign_vf_settings *settings)
{
	struct assign_journal journal;
	struct diag diag = DIAG_INIT;
	struct sys sys = sys_real();
	int err = assign_journal_open(&sys, &journal, &diag);

	if (err)
		return cli_refuse(&diag);
	if (!strcmp(words[0], "create"))
		err = vf_create(&journal, words[1], words[2], options, &diag);
	else if (!strcmp(words[0], "destroy"))
		err = vf_destroy(&journal, words[1], options, &diag);
	else
		err = vf_set(&journal, words[1], settings, &diag);
	assign_journal_close(&journal);
	return err ? cli_refuse(&diag) : CLI_OK;
}

static int vf_run(const struct cli_command *self, int argc, char **argv)
{
	struct vf_options options = { 0 };
	const struct cli_option words[] = {
		{ "own-namespaces", CLI_FLAG, &options.own_namespaces },
		{ "accept", CLI_LOSS, &options.accepted },
		{ "json", CLI_JSON, &options.json },
		{ "mac", CLI_TEXT, &options.mac },
		{ "vlan", CLI_TEXT, &options.vlan },
		{ "rate", CLI_TEXT, &options.rate },
		{ "spoof-check", CLI_TEXT, &options.spoof_check },
		{ "trust", CLI_TEXT, &options.trust },
		{ "link", CLI_TEXT, &options.link },
		{ "queues", CLI_TEXT, &options.queues },
		{ "interrupts", CLI_TEXT, &options.interrupts },
		{ "state", CLI_TEXT, &options.state },
		{ "namespaces", CLI_TEXT, &options.namespaces },
	};
	static const struct {
		const char *verb;
		int least, most;
	} verbs[] = { { "list", 1, 2 }, { "create", 3, 3 }, { "destroy", 2, 2 }, { "set", 2, 2 } };
	struct assign_vf_settings settings = { 0 };
	struct diag diag = DIAG_INIT;
	const char *wrong, *word;
	int status = cli_options_read(self, argc, argv, words, ARRAY_SIZE(words)), nr;
	bool known = false;

	if (status)
		return status < 0 ? CLI_OK : status;
	argv += optind;
	nr = argc - optind;
	for (size_t i = 0; nr && i < ARRAY_SIZE(verbs); i++)
		known |= !strcmp(argv[0], verbs[i].verb) && nr >= verbs[i].least &&
			 nr <= verbs[i].most;
	if (!known)
		return cli_usage_error(
			self, "say: list [PF], create PF N, set VF SETTING..., or destroy PF");
	wrong = vf_parse_settings(&options, &settings, &word);
	if (wrong)
		return cli_usage_error(self, "%s: %s", word, wrong);
	if (!strcmp(argv[0], "list"))
		return vf_list(nr == 2 ? argv[1] : NULL, options.json, &diag) ? cli_refuse(&diag)
									      : CLI_OK;
	return vf_change(argv, &options, &settings);
}

const struct cli_command cli_vf = {
	.name = "vf",
	.summary = "make, list, set up and take away virtual functions (SR-IOV)",
	.run = vf_run,
	.usage =
		"usage: airlock vf list [PF]" CLI_USAGE_JSON "\n"
		"       airlock vf create PF N [--own-namespaces]\n"
		"       airlock vf set VF SETTING...\n"
		"       airlock vf destroy PF [--accept LOSS]...\n\n"
		"A device with SR-IOV can be split into virtual functions, each for a VM of its own.\n"
		"create makes N of them on the physical function PF, without a host driver, ready for\n"
		"airlock bind. On an NVMe drive it also shares out the drive's queues and interrupts\n"
		"and brings each controller online. All of them see the host's namespaces then: there\n"
		"is no isolation at the media, unless each gets a namespace of its own.\n\n"
		"  --own-namespaces  each sees one namespace that no other controller sees; the drive\n"
		"                    must have that many that nobody uses (nvme create-ns)\n"
		"  --accept LOSS     take them away although the host uses one: lose-filesystem,\n"
		"                    lose-swap, lose-volume, lose-network\n\n"
		"set changes one virtual function, VF. Of a network card:\n\n"
		"  --mac ADDRESS      its address; a VM cannot change it unless trusted\n"
		"  --vlan ID[:PRIO]   all its traffic is in this VLAN, without its knowing; none\n"
		"  --rate [MIN-]MAX   Mbit/s it is promised, and may not exceed; none\n"
		"  --spoof-check X    on: what it sends under another address is dropped; off\n"
		"  --trust X          on: it may change its address and listen to everything; off\n"
		"  --link X           its link is up, down, or as the card's: auto\n\n"
		"Of an NVMe drive, whose controller goes offline for it:\n\n"
		"  --queues N, --interrupts N   its share of the drive's\n"
		"  --state X                    online or offline\n"
		"  --namespaces N,N             what it sees, and nothing else; none\n\n"
		"If one setting fails, all stay as they were. destroy also clears up after a create that\n"
		"was killed half-way. What a VM has open is refused.\n\n"
		"examples:\n"
		"  airlock vf create 01:00.0 4 --own-namespaces\n"
		"  airlock bind 01:00.1\n"
		"  airlock vf set 03:10.0 --mac 52:54:00:12:34:56 --vlan 100 --rate 1000\n",
};
