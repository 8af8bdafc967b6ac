// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/address.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

/* 1..max_digits hexadecimal digits; moves *p past them. False when there are none or too many. */
static bool address_number(const char **p, unsigned int max_digits, uint32_t *out)
{
	uint32_t v = 0;
	unsigned int n = 0;

	for (; isxdigit((unsigned char)**p); (*p)++, n++) {
		int c = tolower((unsigned char)**p);

		if (n == max_digits)
			return false;
		v = v << 4 | (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	*out = v;
	return n > 0;
}

static int address_parse(const char *text, bool short_forms, struct pci_address *out)
{
	uint32_t part[3], function = 0;
	unsigned int nr_parts = 0;
	const char *p = text;

	for (;;) {
		/* The first of three parts is the domain; only it may be longer than 2 digits. */
		if (!address_number(&p, nr_parts ? 2 : 8, &part[nr_parts]))
			return -EINVAL;
		nr_parts++;
		if (*p != ':' || nr_parts == 3)
			break;
		p++;
	}
	if (*p == '.') {
		p++;
		if (!address_number(&p, 1, &function) || function > 7)
			return -EINVAL;
	} else if (!short_forms) {
		return -EINVAL;
	}
	if (*p || nr_parts < 2 || (nr_parts == 2 && !short_forms))
		return -EINVAL;
	if (part[nr_parts - 1] > 31 || part[nr_parts - 2] > 0xff)
		return -EINVAL;
	*out = (struct pci_address){
		.domain = nr_parts == 3 ? part[0] : 0,
		.bus = (uint8_t)part[nr_parts - 2],
		.device = (uint8_t)part[nr_parts - 1],
		.function = (uint8_t)function,
	};
	return 0;
}

int pci_address_parse(const char *text, struct pci_address *out)
{
	return address_parse(text, true, out);
}

int pci_address_parse_full(const char *text, struct pci_address *out)
{
	return address_parse(text, false, out);
}

const char *pci_address_format(struct pci_address address, char *buf)
{
	static const char digits[] = "0123456789abcdef";
	char *p = buf;
	int shift = 12;

	/* Written out by hand: this runs for every path of every function of a large host. */
	while (shift < 28 && address.domain >> (shift + 4))
		shift += 4;
	for (; shift >= 0; shift -= 4)
		*p++ = digits[address.domain >> shift & 0xf];
	*p++ = ':';
	*p++ = digits[address.bus >> 4];
	*p++ = digits[address.bus & 0xf];
	*p++ = ':';
	*p++ = digits[address.device >> 4];
	*p++ = digits[address.device & 0xf];
	*p++ = '.';
	*p++ = digits[address.function & 0x7];
	*p = '\0';
	return buf;
}

int pci_address_compare(struct pci_address a, struct pci_address b)
{
	if (a.domain != b.domain)
		return a.domain < b.domain ? -1 : 1;
	return (int)pci_address_rid(a).v - (int)pci_address_rid(b).v;
}
