// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer: the input is a host capture, so everything that sysfs, procfs and the kernel's log
 * could hold. All of host/ reads it: inventory, topology, reasons, differences, audit, picture.
 */
#include <stdio.h>
#include <stdlib.h>

#include "assign/audit.h"
#include "assign/use.h"
#include "host/audit.h"
#include "host/capture.h"
#include "host/picture.h"
#include "host/verdict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(struct sys *sys, const struct host_isolation *isolation)
{
	const struct host_inventory *inventory = isolation->topology->inventory;
	struct host_difference difference[16];
	struct host_reason reason[4];
	struct assign_use use[2];
	struct host_audit audit;
	struct host_limits limits;
	char text[300];
	int at;

	for (size_t i = 0; i < inventory->nr_functions; i++) {
		struct host_verdict_detail detail = host_verdict_of(isolation, (int)i);
		size_t nr =
			host_isolation_explain(isolation, inventory->function[i].group, reason, 4);

		host_verdict_format(&inventory->function[i], &detail, text, sizeof(text));
		for (size_t k = 0; k < nr && k < 4; k++)
			host_reason_format(&reason[k], text, sizeof(text));
		host_isolation_can_reach(isolation, (int)i, 0, &at);
		assign_use_find(sys, &inventory->function[i], use, 2);
	}
	host_isolation_differences(isolation, difference, 16);
	if (host_audit_run(&audit, &(struct host_audit_input){ sys, isolation, NULL }))
		abort();
	host_limits_read(sys, &limits);
	assign_audit(&audit, &(struct assign_memlock){ .ram = 1ull << 32, .nr_spaces = 1 },
		     &limits);
	host_audit_fini(&audit);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static FILE *null;
	static struct host_names names;
	struct host_capture *capture;
	struct host_inventory inventory;
	struct host_topology topology;
	struct host_isolation isolation;
	struct diag diag = DIAG_INIT;
	struct sys sys;

	if (!null)
		null = fopen("/dev/null", "w");
	if (host_capture_parse((const char *)data, size, "input", &capture, &diag)) {
		if (!diag.err || !diag.reason[0])
			abort();
		return 0;
	}
	sys = host_capture_sys(capture);
	if (!host_inventory_read(&sys, &inventory, NULL)) {
		if (host_topology_init(&topology, &inventory) ||
		    host_isolation_init(&isolation, &topology))
			abort();
		read_all(&sys, &isolation);
		host_picture_write(null, &isolation, &names);
		host_isolation_fini(&isolation);
		host_topology_fini(&topology);
		host_inventory_fini(&inventory);
	}
	host_capture_destroy(capture);
	return 0;
}
