/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The name of a PCI function on the host: domain:bus:device.function. The domain has 32 bits
 * (Linux numbers the buses behind a VMD or a Hyper-V bridge from 0x10000 up).
 */
#ifndef AIRLOCK_HOST_ADDRESS_H
#define AIRLOCK_HOST_ADDRESS_H

#include "base/types.h"

struct pci_address {
	uint32_t domain;
	uint8_t bus;
	uint8_t device;	  /* 0..31 */
	uint8_t function; /* 0..7 */
};

/* Room for any formatted address and its NUL: "ffffffff:ff:1f.7". */
#define PCI_ADDRESS_TEXT 24

/*
 * Reads an address as a person writes it: "0000:03:00.1", "03:00.1", "3:0.1", "0000:03:00" and
 * "03:00"; a missing domain is 0, a missing function 0. Nothing may follow.
 * 0, or -EINVAL with *out untouched.
 */
int pci_address_parse(const char *text, struct pci_address *out);

/* Reads an address as the kernel writes it, all four parts present. 0, or -EINVAL. */
int pci_address_parse_full(const char *text, struct pci_address *out);

/* The kernel's own spelling, "0000:03:00.1". Returns buf, which has PCI_ADDRESS_TEXT bytes. */
const char *pci_address_format(struct pci_address address, char *buf);

/* By domain, bus, device, function: below 0, 0, above 0. */
int pci_address_compare(struct pci_address a, struct pci_address b);

static inline bool pci_address_equal(struct pci_address a, struct pci_address b)
{
	return !pci_address_compare(a, b);
}

/* The requester id the function uses on its segment. */
static inline rid_t pci_address_rid(struct pci_address address)
{
	return rid_make(address.bus, PCI_DEVFN(address.device, address.function));
}

#endif
