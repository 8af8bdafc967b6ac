// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/faults.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "host/text.h"

bool host_fault_line(const char *line)
{
	/* VT-d: "DMAR: [DMA Read ...] Request device", "[INTR-REMAP] Request device". */
	if (strstr(line, "Request device [") &&
	    (strstr(line, "[DMA ") || strstr(line, "INTR-REMAP")))
		return true;
	/* AMD-Vi: "Event logged [IO_PAGE_FAULT ...", and other events of the same form. */
	return strstr(line, "AMD-Vi: Event logged [") != NULL;
}

/* An address behind `mark`, up to what cannot be part of one. */
static bool address_behind(const char *line, const char *mark, struct pci_address *device)
{
	const char *at = strstr(line, mark);
	char text[PCI_ADDRESS_TEXT];
	size_t len;

	if (!at)
		return false;
	at += strlen(mark);
	len = strspn(at, "0123456789abcdefABCDEF:.");
	if (len >= sizeof(text))
		return false;
	memcpy(text, at, len);
	text[len] = '\0';
	return !pci_address_parse(text, device);
}

bool host_fault_device(const char *line, struct pci_address *device)
{
	const char *end, *from;
	char text[PCI_ADDRESS_TEXT];

	if (!host_fault_line(line))
		return false;
	if (address_behind(line, "Request device [", device) ||
	    address_behind(line, "device=", device))
		return true;
	/* "nvme 0000:01:00.0: AMD-Vi: ...": whose message it is. */
	end = strstr(line, ": AMD-Vi:");
	if (!end)
		return false;
	from = end;
	while (from > line && (isxdigit((unsigned char)from[-1]) || strchr(":.", from[-1])))
		from--;
	if ((size_t)(end - from) >= sizeof(text))
		return false;
	memcpy(text, from, (size_t)(end - from));
	text[end - from] = '\0';
	return !pci_address_parse_full(text, device);
}

/* "<6>[   12.345] text": only the text says the same on every boot. */
static const char *faults_skip_stamp(const char *line)
{
	if (*line == '<')
		line += strcspn(line, ">") + (strchr(line, '>') != NULL);
	if (*line == '[' && strchr(line, ']') &&
	    (isdigit((unsigned char)line[1]) || line[1] == ' '))
		line = strchr(line, ']') + 1;
	return line + strspn(line, " ");
}

void host_faults_read(struct sys *sys, struct host_faults *out)
{
	char *text, *line, *save;
	size_t len;

	memset(out, 0, sizeof(*out));
	if (host_text_read(sys, SYS_TREE_LOG, "kernel", MIB(16), &text, &len))
		return;
	out->known = HOST_NO;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (!host_fault_line(line))
			continue;
		out->known = HOST_YES;
		out->nr++;
		snprintf(out->last, sizeof(out->last), "%s", faults_skip_stamp(line));
	}
	for (char *c = out->last; *c; c++)
		if (!isprint((unsigned char)*c))
			*c = '?';
	free(text);
}
