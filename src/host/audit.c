// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/audit.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "host/audit_look.h"
#include "host/text.h"

struct host_finding *host_audit_add(struct host_audit *audit, enum host_finding_id id,
				    enum host_finding_state state, const char *object,
				    const char *seen, ...)
{
	struct host_finding *finding;
	va_list args;

	if (audit->nr_findings == audit->room) {
		size_t room = audit->room ? 2 * audit->room : 64;
		void *grown = reallocarray(audit->finding, room, sizeof(*audit->finding));

		if (!grown) {
			audit->failed = true;
			return NULL;
		}
		audit->finding = grown;
		audit->room = room;
	}
	finding = &audit->finding[audit->nr_findings++];
	memset(finding, 0, sizeof(*finding));
	finding->id = id;
	finding->state = state;
	finding->severity = host_finding_kind(id)->severity;
	snprintf(finding->object, sizeof(finding->object), "%s", object);
	va_start(args, seen);
	vsnprintf(finding->seen, sizeof(finding->seen), seen, args);
	va_end(args);
	/* What was seen came from files: none of it may steer a terminal. */
	for (char *c = finding->seen; *c; c++)
		if (!isprint((unsigned char)*c))
			*c = '?';
	return finding;
}

int audit_read(struct audit_look *look, const char *path, char *text, size_t size)
{
	int err = sys_read_text(look->sys, SYS_TREE_SYS, path, text, size);

	if (err)
		text[0] = '\0';
	return err;
}

enum host_known audit_parameter(struct audit_look *look, const char *path)
{
	char text[16];
	int err = audit_read(look, path, text, sizeof(text));

	if (err == -ENOENT)
		return HOST_NO;
	if (err)
		return HOST_UNKNOWN;
	return text[0] == 'Y' || text[0] == 'y' || text[0] == '1' ? HOST_YES : HOST_NO;
}

const char *audit_option(const struct audit_look *look, const char *prefix, char *buf, size_t size)
{
	const char *at = look->cmdline;
	size_t len = strlen(prefix);

	while ((at = strstr(at, prefix))) {
		if (at == look->cmdline || at[-1] == ' ' || at[-1] == ',') {
			snprintf(buf, size, "%.*s", (int)strcspn(at, " "), at);
			return buf;
		}
		at += len;
	}
	return NULL;
}

int host_audit_run(struct host_audit *audit, const struct host_audit_input *input)
{
	struct audit_look look = {
		.sys = input->sys,
		.audit = audit,
		.isolation = input->isolation,
		.selected = input->selected,
	};

	memset(audit, 0, sizeof(*audit));
	look.cmdline_known = !sys_read_text(input->sys, SYS_TREE_PROC, "cmdline", look.cmdline,
					    sizeof(look.cmdline));
	if (!look.cmdline_known)
		look.cmdline[0] = '\0';
	host_iommus_read(input->sys, &look.units);
	/* Devices first: they tell whether the host has external ports. */
	audit_look_devices(&look);
	audit_look_host(&look);
	return audit->failed ? -ENOMEM : 0;
}

void host_audit_fini(struct host_audit *audit)
{
	free(audit->finding);
	memset(audit, 0, sizeof(*audit));
}

enum host_severity host_audit_worst(const struct host_audit *audit)
{
	enum host_severity worst = HOST_INFO;

	for (size_t i = 0; i < audit->nr_findings; i++)
		if (audit->finding[i].state == HOST_FOUND && audit->finding[i].severity > worst)
			worst = audit->finding[i].severity;
	return worst;
}
