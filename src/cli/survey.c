// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/survey.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "host/text.h"

int survey_init(struct survey *survey, const char *file, struct diag *diag)
{
	int err;

	memset(survey, 0, sizeof(*survey));
	survey->real = sys_real();
	survey->sys = survey->real;
	if (file) {
		err = host_capture_load(&survey->real, file, &survey->capture, diag);
		if (err)
			return err;
		survey->sys = host_capture_sys(survey->capture);
	}
	err = host_inventory_read(&survey->sys, &survey->inventory, diag);
	if (err)
		goto err_fini;
	err = host_topology_init(&survey->topology, &survey->inventory);
	if (!err)
		err = host_isolation_init(&survey->isolation, &survey->topology);
	if (err) {
		diag_set(diag, err, "host", "out of memory");
		goto err_fini;
	}
	host_names_init(&survey->names, &survey->real);
	return 0;

err_fini:
	survey_fini(survey);
	return err;
}

void survey_fini(struct survey *survey)
{
	host_names_fini(&survey->names);
	host_isolation_fini(&survey->isolation);
	host_topology_fini(&survey->topology);
	host_inventory_fini(&survey->inventory);
	host_capture_destroy(survey->capture);
	survey->capture = NULL;
}

int survey_find(const struct survey *survey, const char *text, struct diag *diag)
{
	struct pci_address address;
	char name[PCI_ADDRESS_TEXT];
	int index;

	if (pci_address_parse(text, &address)) {
		diag_set(diag, -EINVAL, text, "not a PCI address");
		diag_remedy(diag, -EINVAL, "write it as 0000:03:00.0, or in short as 03:00.0");
		return -EINVAL;
	}
	index = host_topology_index(&survey->topology, address);
	if (index != HOST_NONE)
		return index;
	diag_set(diag, -ENODEV, pci_address_format(address, name),
		 "this host has no such PCI function");
	diag_remedy(diag, -ENODEV, "list those it has: airlock devices");
	return -ENODEV;
}

const char *survey_bars_format(const struct host_function *f, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < HOST_NR_BARS && used < size; i++) {
		static const char units[] = "BKMGTPE";
		uint64_t len = f->bar[i].len;
		unsigned int unit = 0;

		if (f->bar[i].kind == HOST_BAR_NONE || f->bar[i].kind == HOST_BAR_IO)
			continue;
		while (len >= 1024 && !(len & 1023) && unit < 6) {
			len >>= 10;
			unit++;
		}
		used += (size_t)snprintf(buf + used, size - used, "%s%llu%c", used ? "+" : "",
					 (unsigned long long)len, units[unit]);
	}
	if (!buf[0])
		snprintf(buf, size, "%s", f->unknown & HOST_UNKNOWN_RESOURCES ? "?" : "-");
	return buf;
}

const char *survey_link_format(const struct host_config *config, char *buf, size_t size)
{
	int used;

	buf[0] = '\0';
	/* Integrated endpoints and VFs report no link of their own. */
	if (!config->express || !config->link_width)
		return buf;
	used = snprintf(buf, size, "%s GT/s x%u", host_config_speed(config->link_speed),
			config->link_width);
	if (config->link_speed < config->link_speed_max ||
	    config->link_width < config->link_width_max)
		snprintf(buf + used, size - (size_t)used, " (of %s x%u)",
			 host_config_speed(config->link_speed_max), config->link_width_max);
	return buf;
}

#ifdef AIRLOCK_JSON
int survey_print_json(json_t *value)
{
	int err = value ? json_dumpf(value, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER) : -1;

	json_decref(value);
	if (err) {
		fprintf(stderr, "airlock: JSON output: out of memory or cannot write\n");
		return CLI_REFUSED;
	}
	putchar('\n');
	return CLI_OK;
}
#endif
