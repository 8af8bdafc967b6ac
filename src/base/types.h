/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Address and identity types. Each is a one-member struct, so that mixing a guest-physical address
 * with an I/O virtual one does not compile. They are passed by value and cost nothing.
 */
#ifndef AIRLOCK_BASE_TYPES_H
#define AIRLOCK_BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Guest-physical address: what the guest's CPU puts on its memory bus. */
typedef struct {
	uint64_t v;
} gpa_t;

/* I/O virtual address: what a device puts on its bus, before any IOMMU. */
typedef struct {
	uint64_t v;
} iova_t;

/* Host-physical address. User space almost never holds one. */
typedef struct {
	uint64_t v;
} hpa_t;

/* PCI requester id: bus << 8 | device << 3 | function (PCIe base spec 6.0, 2.2.6.2). */
typedef struct {
	uint16_t v;
} rid_t;

static inline gpa_t gpa(uint64_t v)
{
	return (gpa_t){ v };
}

static inline iova_t iova(uint64_t v)
{
	return (iova_t){ v };
}

static inline rid_t rid_make(uint8_t bus, uint8_t devfn)
{
	return (rid_t){ (uint16_t)(bus << 8 | devfn) };
}

static inline uint8_t rid_bus(rid_t rid)
{
	return (uint8_t)(rid.v >> 8);
}

static inline uint8_t rid_devfn(rid_t rid)
{
	return (uint8_t)rid.v;
}

/* A function's place on its bus: device 0..31, function 0..7. */
#define PCI_DEVFN(dev, fn) ((uint8_t)((dev) << 3 | (fn)))
#define PCI_DEV(devfn)	   ((uint8_t)((devfn) >> 3))
#define PCI_FN(devfn)	   ((uint8_t)((devfn)&7))

#endif
