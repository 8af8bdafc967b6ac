// SPDX-License-Identifier: GPL-2.0-or-later
/* What the audit finds on each host description, and what it must not claim to know. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "assign/audit.h"
#include "base/bits.h"
#include "host/audit.h"
#include "host/capture.h"
#include "host/faults.h"

struct fixture {
	struct host_capture *capture;
	struct sys sys;
	struct host_inventory inventory;
	struct host_topology topology;
	struct host_isolation isolation;
	struct host_audit audit;
};

static void fixture_read(struct fixture *f)
{
	f->sys = host_capture_sys(f->capture);
	assert_int_equal(host_inventory_read(&f->sys, &f->inventory, NULL), 0);
	assert_int_equal(host_topology_init(&f->topology, &f->inventory), 0);
	assert_int_equal(host_isolation_init(&f->isolation, &f->topology), 0);
}

static void fixture_audit(struct fixture *f, const bool *selected)
{
	struct host_audit_input input = { &f->sys, &f->isolation, selected };
	struct assign_memlock plan = { .ram = GIB(4), .nr_spaces = 1 };
	struct host_limits limits;

	assert_int_equal(host_audit_run(&f->audit, &input), 0);
	host_limits_read(&f->sys, &limits);
	assign_audit(&f->audit, &plan, &limits);
}

static void fixture_init(struct fixture *f, const char *name, const bool *selected)
{
	struct diag diag = DIAG_INIT;
	struct sys real = sys_real();
	char path[512];

	snprintf(path, sizeof(path), TEST_SOURCE_ROOT "/tests/host/%s.host", name);
	if (host_capture_load(&real, path, &f->capture, &diag))
		fail_msg("%s: %s", diag.object, diag.reason);
	fixture_read(f);
	fixture_audit(f, selected);
}

static void fixture_from_text(struct fixture *f, const char *text)
{
	assert_int_equal(host_capture_parse(text, strlen(text), "text", &f->capture, NULL), 0);
	fixture_read(f);
	fixture_audit(f, NULL);
}

static void fixture_fini(struct fixture *f)
{
	host_audit_fini(&f->audit);
	host_isolation_fini(&f->isolation);
	host_topology_fini(&f->topology);
	host_inventory_fini(&f->inventory);
	host_capture_destroy(f->capture);
}

static const struct host_finding *find(const struct fixture *f, const char *id,
				       enum host_finding_state state)
{
	for (size_t i = 0; i < f->audit.nr_findings; i++)
		if (f->audit.finding[i].state == state &&
		    !strcmp(host_finding_kind(f->audit.finding[i].id)->id, id))
			return &f->audit.finding[i];
	return NULL;
}

static const struct host_finding *expect_found(const struct fixture *f, const char *id,
					       const char *object, const char *seen)
{
	const struct host_finding *finding = find(f, id, HOST_FOUND);

	if (!finding)
		fail_msg("%s was not found", id);
	assert_string_equal(finding->object, object);
	if (!strstr(finding->seen, seen))
		fail_msg("%s: \"%s\" does not say \"%s\"", id, finding->seen, seen);
	return finding;
}

/* Each host: all that must be found there, notes in parentheses left out, and nothing else. */
static const struct {
	const char *host;
	enum host_severity worst;
	const char *found;
} expected[] = {
	{ "server-acs", HOST_INFO, "" },
	{ "acs-override", HOST_UNSAFE, "acs-override group-split memlock-low peer-path " },
	{ "amd-ivrs", HOST_WARNING, "firmware-region iommu-faults " },
	{ "desktop-bad-root", HOST_WARNING, "memlock-low no-reset peer-path " },
	{ "gpu-audio", HOST_WARNING, "group-blocked host-headroom iommu-faults memlock-low " },
	{ "hostile", HOST_WARNING, "group-split memlock-low " },
	{ "iommu-not-on", HOST_UNSAFE, "memlock-low no-iommu " },
	{ "laptop-open", HOST_UNSAFE, "ats-external boot-dma external-dma memlock-low " },
	{ "laptop-thunderbolt", HOST_WARNING, "memlock-low " },
	{ "mixed-slot", HOST_WARNING, "memlock-low peer-path " },
	{ "nic-sriov", HOST_WARNING, "memlock-low " },
	{ "no-iommu", HOST_UNSAFE, "irq-remapping-off memlock-low no-iommu " },
	{ "noiommu-mode", HOST_UNSAFE,
	  "irq-remapping-off memlock-low no-iommu noiommu-mode raw-node uio-driver "
	  "unsafe-interrupts " },
	{ "numa-four", HOST_WARNING, "memlock-low numa-unknown " },
	{ "pci-bridge", HOST_WARNING, "intx-shared memlock-low no-reset " },
	{ "switch-no-acs", HOST_WARNING, "memlock-low peer-path " },
	{ "unprivileged", HOST_WARNING, "memlock-low " },
	{ "vanished", HOST_WARNING, "memlock-low " },
	{ "vmd-domain", HOST_WARNING, "memlock-low no-reset " },
	{ "xen-like", HOST_UNSAFE, "irq-remapping-off memlock-low no-iommu other-hypervisor " },
};

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void each_host_has_just_the_findings_it_was_made_for(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		const char *ids[HOST_NR_FINDINGS];
		char found[1024] = "";
		struct fixture f;
		size_t nr = 0;

		fixture_init(&f, expected[i].host, NULL);
		for (int id = 0; id < HOST_NR_FINDINGS; id++) {
			const char *name = host_finding_kind((enum host_finding_id)id)->id;
			const struct host_finding *finding = find(&f, name, HOST_FOUND);

			if (finding && finding->severity != HOST_INFO)
				ids[nr++] = name;
		}
		qsort(ids, nr, sizeof(ids[0]), compare_text);
		for (size_t k = 0; k < nr; k++)
			strcat(strcat(found, ids[k]), " ");
		if (strcmp(found, expected[i].found))
			fail_msg("%s: \"%s\"", expected[i].host, found);
		assert_int_equal(host_audit_worst(&f.audit), expected[i].worst);
		fixture_fini(&f);
	}
}

static void every_question_is_answered_on_every_host(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		struct fixture f;

		fixture_init(&f, expected[i].host, NULL);
		for (int id = 0; id < HOST_NR_FINDINGS; id++) {
			const char *name = host_finding_kind((enum host_finding_id)id)->id;

			if (!find(&f, name, HOST_FOUND) && !find(&f, name, HOST_ABSENT) &&
			    !find(&f, name, HOST_NOT_KNOWN))
				fail_msg("%s: nothing on %s", expected[i].host, name);
		}
		fixture_fini(&f);
	}
}

static void findings_name_their_source_and_value(void **state)
{
	struct fixture f;

	fixture_init(&f, "gpu-audio", NULL);
	expect_found(&f, "group-blocked", "0000:41:00.0",
		     "0000:41:00.0 is bound to vfio-pci, but 0000:41:00.1 to snd_hda_intel");
	expect_found(&f, "iommu-faults", "host",
		     "the kernel's log: 1, the last: DMAR: [DMA Read NO_PASID] Request device "
		     "[41:00.0] fault addr 0x200000");
	expect_found(&f, "host-headroom", "host", "/sys/fs/cgroup/user.slice/memory.max");
	expect_found(&f, "memlock-low", "host", "needs 4 GiB, has 8 MiB");
	fixture_fini(&f);
	fixture_init(&f, "pci-bridge", NULL);
	expect_found(&f, "intx-shared", "0000:05:00.0", "17, as for 0000:05:01.0 (snd_virtuoso)");
	fixture_fini(&f);
	fixture_init(&f, "amd-ivrs", NULL);
	expect_found(&f, "firmware-region", "0000:00:08.0", "0xbd000000-0xbd0fffff direct");
	fixture_fini(&f);
	fixture_init(&f, "iommu-not-on", NULL);
	expect_found(&f, "no-iommu", "host", "the kernel is not told to use it (intel_iommu=on)");
	fixture_fini(&f);
	fixture_init(&f, "noiommu-mode", NULL);
	expect_found(&f, "raw-node", "host",
		     "/proc/4711/fd/7: dpdk-app, in a container, holds /dev/uio0");
	expect_found(&f, "uio-driver", "0000:00:04.0", "uio_pci_generic");
	fixture_fini(&f);
	fixture_init(&f, "acs-override", NULL);
	expect_found(&f, "acs-override", "host", "pcie_acs_override=downstream,multifunction");
	fixture_fini(&f);
}

static void what_a_user_cannot_see_is_unknown_not_absent(void **state)
{
	static const char *const unknown[] = { "irq-remapping-off", "peer-path",    "group-split",
					       "ats-external",	    "iommu-faults", "raw-node",
					       "intx-shared",	    "boot-dma" };
	struct fixture f;

	fixture_init(&f, "unprivileged", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
		if (!find(&f, unknown[i], HOST_NOT_KNOWN))
			fail_msg("%s is not unknown", unknown[i]);
		assert_null(find(&f, unknown[i], HOST_ABSENT));
	}
	fixture_fini(&f);
}

static void an_empty_capture_knows_nothing_and_finds_nothing(void **state)
{
	struct fixture f;

	fixture_from_text(&f, "airlock-host 1\nsys bus/pci/devices /\n");
	assert_int_equal(f.inventory.nr_functions, 0);
	for (size_t i = 0; i < f.audit.nr_findings; i++)
		assert_int_not_equal(f.audit.finding[i].state, HOST_FOUND);
	assert_non_null(find(&f, "no-iommu", HOST_NOT_KNOWN));
	assert_non_null(find(&f, "noiommu-mode", HOST_NOT_KNOWN));
	assert_non_null(find(&f, "acs-override", HOST_NOT_KNOWN));
	assert_non_null(find(&f, "memlock-low", HOST_NOT_KNOWN));
	assert_non_null(find(&f, "external-dma", HOST_NOT_KNOWN));
	fixture_fini(&f);
}

static void only_the_devices_asked_about_and_their_groups_are_looked_at(void **state)
{
	bool selected[64] = { false };
	struct pci_address address;
	struct fixture f;
	int index;

	fixture_init(&f, "numa-four", NULL);
	assert_non_null(find(&f, "numa-unknown", HOST_FOUND));
	assert_int_equal(pci_address_parse("0:1:0.0", &address), 0);
	index = host_topology_index(&f.topology, address);
	fixture_fini(&f);
	selected[index] = true;
	fixture_init(&f, "numa-four", selected);
	assert_null(find(&f, "numa-unknown", HOST_FOUND));
	assert_non_null(find(&f, "numa-unknown", HOST_ABSENT));
	fixture_fini(&f);
}

static void devices_of_one_vm_on_two_nodes_are_told(void **state)
{
	static const char *const names[] = { "0:1:0.0", "2:1:0.0", "3:1:0.0" };
	bool selected[64] = { false };
	struct pci_address address;
	struct fixture f;
	int index[3];

	/* All devices of a host are not for one VM. */
	fixture_init(&f, "numa-four", NULL);
	assert_non_null(find(&f, "numa-split", HOST_ABSENT));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		assert_int_equal(pci_address_parse(names[i], &address), 0);
		index[i] = host_topology_index(&f.topology, address);
	}
	fixture_fini(&f);
	/* One, and one whose node is not known. */
	selected[index[0]] = selected[index[2]] = true;
	fixture_init(&f, "numa-four", selected);
	assert_null(find(&f, "numa-split", HOST_FOUND));
	fixture_fini(&f);
	selected[index[1]] = true;
	fixture_init(&f, "numa-four", selected);
	expect_found(&f, "numa-split", "0002:01:00.0", "numa_node: 2, and 0 of 0000:01:00.0");
	fixture_fini(&f);
}

static void the_chipsets_helpers_are_looked_at_only_when_named(void **state)
{
	bool selected[64] = { false };
	struct pci_address address;
	struct fixture f;
	int index;

	fixture_init(&f, "mixed-slot", NULL);
	assert_null(find(&f, "no-reset", HOST_FOUND));
	assert_int_equal(pci_address_parse("0:1e.0", &address), 0);
	index = host_topology_index(&f.topology, address);
	fixture_fini(&f);
	selected[index] = true;
	fixture_init(&f, "mixed-slot", selected);
	expect_found(&f, "no-reset", "0000:00:1e.0", "no reset method");
	fixture_fini(&f);
}

static void acs_options_of_the_kernel_are_noticed(void **state)
{
	static const char *const lines[] = { "pci=config_acs=101@0000:01:00.0",
					     "pci=noats,disable_acs_redir=0000:01:00.0" };
	static const char *const harmless[] = { "xpcie_acs_override=x", "quiet pci=noats" };
	char text[256];

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct fixture f;

		snprintf(text, sizeof(text),
			 "airlock-host 1\nsys bus/pci/devices /\nproc cmdline = ro %s quiet\\n\n",
			 lines[i]);
		fixture_from_text(&f, text);
		assert_non_null(find(&f, "acs-options", HOST_FOUND));
		assert_non_null(find(&f, "acs-override", HOST_ABSENT));
		fixture_fini(&f);
		snprintf(text, sizeof(text),
			 "airlock-host 1\nsys bus/pci/devices /\nproc cmdline = ro %s quiet\\n\n",
			 harmless[i]);
		fixture_from_text(&f, text);
		assert_non_null(find(&f, "acs-options", HOST_ABSENT));
		assert_non_null(find(&f, "acs-override", HOST_ABSENT));
		fixture_fini(&f);
	}
}

static void fault_lines_are_told_from_others(void **state)
{
	static const char *const faults[] = {
		"DMAR: [DMA Read NO_PASID] Request device [00:05.0] fault addr 0x200000",
		"[INTR-REMAP] Request device [ff:1f.7] fault index 0x2 [fault reason 0x22]",
		"nvme 0000:01:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x000e]",
	};
	static const char *const others[] = {
		"DMAR: Intel(R) Virtualization Technology for Directed I/O",
		"AMD-Vi: Interrupt remapping enabled",
		"usb 1-1: Request device failed",
		"",
	};

	for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
		assert_true(host_fault_line(faults[i]));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_false(host_fault_line(others[i]));
}

static void fault_lines_name_the_device(void **state)
{
	static const struct {
		const char *line, *device;
	} cases[] = {
		{ "DMAR: [DMA Read NO_PASID] Request device [00:05.0] fault addr 0x200000",
		  "0000:00:05.0" },
		{ "6,123,456,-;DMAR: [DMA Write] Request device [81:1f.7] fault addr 0x0",
		  "0000:81:1f.7" },
		{ "nvme 0001:01:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x000e address=0x0]",
		  "0001:01:00.0" },
		{ "AMD-Vi: Event logged [IO_PAGE_FAULT device=03:00.1 domain=0x000e]",
		  "0000:03:00.1" },
		{ "AMD-Vi: Event logged [ILLEGAL_DEV_TABLE_ENTRY]", NULL },
		{ ": AMD-Vi: Event logged [X]", NULL },
		{ "DMAR: [DMA Read] Request device [00000000000000000000000000000:05.0]", NULL },
		{ "usb 0000:00:05.0: Request device failed", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[PCI_ADDRESS_TEXT];
		struct pci_address device;
		bool named = host_fault_device(cases[i].line, &device);

		assert_int_equal(named, cases[i].device != NULL);
		if (named)
			assert_string_equal(pci_address_format(device, text), cases[i].device);
	}
}

static void every_finding_is_explained_and_documented(void **state)
{
	char path[] = TEST_SOURCE_ROOT "/docs/findings.md", heading[64];
	static char text[65536];
	FILE *from = fopen(path, "r");
	size_t len;

	assert_non_null(from);
	len = fread(text, 1, sizeof(text) - 1, from);
	assert_true(len && len < sizeof(text) - 1);
	fclose(from);
	for (int id = 0; id < HOST_NR_FINDINGS; id++) {
		const struct host_finding_kind *kind = host_finding_kind((enum host_finding_id)id);

		assert_non_null(kind->id);
		assert_true(kind->title[0] && kind->why[0] && kind->remedy[0]);
		assert_ptr_equal(host_finding_kind_by_name(kind->id), kind);
		snprintf(heading, sizeof(heading), "\n### %s\n", kind->id);
		if (!strstr(text, heading))
			fail_msg("docs/findings.md says nothing of %s", kind->id);
	}
	assert_null(host_finding_kind_by_name("no-such-finding"));
}

/* A recording of a host answers the audit as the host itself does, other processes excepted. */
static void a_recording_answers_as_its_host_does(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		struct host_capture *recording = host_capture_create();
		struct host_inventory inventory;
		struct host_topology topology;
		struct host_isolation isolation;
		struct host_audit first, second;
		struct sys recorder, again;
		struct fixture f;

		fixture_init(&f, expected[i].host, NULL);
		recorder = host_capture_recorder(recording, &f.sys);
		assert_int_equal(host_inventory_read(&recorder, &inventory, NULL), 0);
		host_topology_init(&topology, &inventory);
		host_isolation_init(&isolation, &topology);
		host_audit_run(&first, &(struct host_audit_input){ &recorder, &isolation, NULL });
		host_isolation_fini(&isolation);
		host_topology_fini(&topology);
		host_inventory_fini(&inventory);

		again = host_capture_sys(recording);
		assert_int_equal(host_inventory_read(&again, &inventory, NULL), 0);
		host_topology_init(&topology, &inventory);
		host_isolation_init(&isolation, &topology);
		host_audit_run(&second, &(struct host_audit_input){ &again, &isolation, NULL });
		for (size_t a = 0, b = 0; a < first.nr_findings; a++) {
			if (first.finding[a].id == HOST_FIND_RAW_NODE)
				continue;
			while (b < second.nr_findings && second.finding[b].id == HOST_FIND_RAW_NODE)
				b++;
			assert_true(b < second.nr_findings);
			if (strcmp(first.finding[a].seen, second.finding[b].seen) ||
			    first.finding[a].state != second.finding[b].state)
				fail_msg("%s: \"%s\" became \"%s\"", expected[i].host,
					 first.finding[a].seen, second.finding[b].seen);
			b++;
		}
		host_audit_fini(&first);
		host_audit_fini(&second);
		host_isolation_fini(&isolation);
		host_topology_fini(&topology);
		host_inventory_fini(&inventory);
		host_capture_destroy(recording);
		fixture_fini(&f);
	}
}

/* What the hosts above do not have, or have as a note: one change to a host, and the finding is there. */
static const struct {
	const char *id, *host, *from, *to;
	const char *from_too, *to_too;
} changed[] = {
	{ "host-passthrough", "server-acs", "iommu_groups/0/type = DMA\\n",
	  "iommu_groups/0/type = identity\\n" },
	{ "lazy-invalidation", "server-acs", "iommu_groups/0/type = DMA\\n",
	  "iommu_groups/0/type = DMA-FQ\\n" },
	{ "no-nested", "server-acs", "parameters/nested = Y", "parameters/nested = N" },
	{ "no-kvm", "server-acs", "sys class/misc/kvm -> ../../devices/virtual/misc/kvm\n", "" },
	{ "no-vfio", "server-acs", "sys bus/pci/drivers/vfio-pci .\n", "" },
	{ "acs-options", "server-acs", "iommu.strict=1", "iommu.strict=1 pci=config_acs=11@0" },
	/* ECAP.EIM and CAP.PI (VT-d 4.1, 11.4.3 and 11.4.2). */
	{ "no-x2apic-remapping", "server-acs", "ecap = f020df", "ecap = f020cf" },
	{ "no-posted-interrupts", "server-acs", "cap = 8d2078c106f0466", "cap = 0d2078c106f0466" },
	{ "no-hugepages", "server-acs", "hugepages-2048kB/nr_hugepages = 1024",
	  "hugepages-2048kB/nr_hugepages = 0" },
	{ "group-joined", "server-acs",
	  "0000:05:00.1/iommu_group -> ../../../kernel/iommu_groups/11",
	  "0000:05:00.1/iommu_group -> ../../../kernel/iommu_groups/10",
	  "sys kernel/iommu_groups/11/devices/0000:05:00.1",
	  "sys kernel/iommu_groups/10/devices/0000:05:00.1" },
	{ "boot-console", "desktop-bad-root", NULL, NULL },
	{ "hotplug-trust", "lab-bridge", NULL, NULL },
	{ "unreadable", "hostile", NULL, NULL },
};

/* The text with the first `from` replaced; the caller frees it. */
static char *replace(char *text, const char *from, const char *to)
{
	char *at = from ? strstr(text, from) : NULL, *out;
	size_t head;

	if (!from)
		return text;
	if (!at)
		fail_msg("no \"%s\"", from);
	head = (size_t)(at - text);
	out = malloc(strlen(text) + strlen(to) + 1);
	assert_non_null(out);
	memcpy(out, text, head);
	strcpy(stpcpy(out + head, to), at + strlen(from));
	free(text);
	return out;
}

static char *host_text(const char *name)
{
	char path[512], *text = calloc(1, MIB(1));
	FILE *file;

	snprintf(path, sizeof(path), TEST_SOURCE_ROOT "/tests/host/%s.host", name);
	file = fopen(path, "r");
	assert_non_null(text);
	assert_non_null(file);
	assert_true(fread(text, 1, MIB(1) - 1, file) > 0);
	fclose(file);
	return text;
}

static void each_kind_of_finding_is_found_where_it_is_and_only_there(void **state)
{
	for (int id = 0; id < HOST_NR_FINDINGS; id++) {
		const char *name = host_finding_kind((enum host_finding_id)id)->id;
		char word[64];
		bool covered = false;

		snprintf(word, sizeof(word), "%s ", name);
		for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
			covered |= strstr(expected[i].found, word) != NULL;
		for (size_t i = 0; i < ARRAY_SIZE(changed); i++)
			covered |= !strcmp(changed[i].id, name);
		/* Only of devices that are named: its own test. */
		covered |= !strcmp(name, "numa-split");
		if (!covered)
			fail_msg("no host has %s", name);
	}
	for (size_t i = 0; i < ARRAY_SIZE(changed); i++) {
		char *text = host_text(changed[i].host);
		struct fixture f;

		if (changed[i].from) {
			fixture_from_text(&f, text);
			if (find(&f, changed[i].id, HOST_FOUND))
				fail_msg("%s is found before the change", changed[i].id);
			fixture_fini(&f);
		}
		text = replace(text, changed[i].from, changed[i].to);
		text = replace(text, changed[i].from_too, changed[i].to_too);
		fixture_from_text(&f, text);
		if (!find(&f, changed[i].id, HOST_FOUND))
			fail_msg("%s is not found", changed[i].id);
		fixture_fini(&f);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_host_has_just_the_findings_it_was_made_for),
		cmocka_unit_test(every_question_is_answered_on_every_host),
		cmocka_unit_test(findings_name_their_source_and_value),
		cmocka_unit_test(what_a_user_cannot_see_is_unknown_not_absent),
		cmocka_unit_test(an_empty_capture_knows_nothing_and_finds_nothing),
		cmocka_unit_test(only_the_devices_asked_about_and_their_groups_are_looked_at),
		cmocka_unit_test(devices_of_one_vm_on_two_nodes_are_told),
		cmocka_unit_test(the_chipsets_helpers_are_looked_at_only_when_named),
		cmocka_unit_test(acs_options_of_the_kernel_are_noticed),
		cmocka_unit_test(fault_lines_are_told_from_others),
		cmocka_unit_test(fault_lines_name_the_device),
		cmocka_unit_test(every_finding_is_explained_and_documented),
		cmocka_unit_test(a_recording_answers_as_its_host_does),
		cmocka_unit_test(each_kind_of_finding_is_found_where_it_is_and_only_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
