/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Trace points: USDT probes of the provider "airlock". One costs a nop while nobody listens; with
 * `perf`, `bpftrace` or gdb anybody can listen to a running process:
 *
 *	bpftrace -e 'usdt:/usr/bin/airlock:airlock:vfio_irq_setup { printf("%s %d\n", str(arg0), arg2) }'
 *
 * Every probe is a function here, so that its arguments have types and stand in one list.
 */
#ifndef AIRLOCK_BASE_TRACE_H
#define AIRLOCK_BASE_TRACE_H

#include "base/types.h"

#ifdef AIRLOCK_HAVE_SDT
#include <sys/sdt.h>
#define TRACE1(name, a)		 DTRACE_PROBE1(airlock, name, a)
#define TRACE2(name, a, b)	 DTRACE_PROBE2(airlock, name, a, b)
#define TRACE3(name, a, b, c)	 DTRACE_PROBE3(airlock, name, a, b, c)
#define TRACE4(name, a, b, c, d) DTRACE_PROBE4(airlock, name, a, b, c, d)
#else
#define TRACE1(name, a)		 ((void)(a))
#define TRACE2(name, a, b)	 ((void)(a), (void)(b))
#define TRACE3(name, a, b, c)	 ((void)(a), (void)(b), (void)(c))
#define TRACE4(name, a, b, c, d) ((void)(a), (void)(b), (void)(c), (void)(d))
#endif

/* A vCPU left the guest for user space. reason: KVM_EXIT_*. */
static inline void trace_vcpu_exit(unsigned int vcpu, uint32_t reason)
{
	TRACE2(vcpu_exit, vcpu, reason);
}

/* A trapped register access, after it was answered. */
static inline void trace_bus_read(const char *region, uint64_t offset, unsigned int size,
				  uint64_t value)
{
	TRACE4(bus_read, region, offset, size, value);
}

static inline void trace_bus_write(const char *region, uint64_t offset, unsigned int size,
				   uint64_t value)
{
	TRACE4(bus_write, region, offset, size, value);
}

/* The interrupt routing table was handed to KVM. */
static inline void trace_irq_commit(unsigned int nr_routes, int err)
{
	TRACE2(irq_commit, nr_routes, err);
}

/* Memory became, or ceased to be, reachable for devices. */
static inline void trace_dma_map(uint64_t at, uint64_t len, unsigned int prot, int err)
{
	TRACE4(dma_map, at, len, prot, err);
}

static inline void trace_dma_unmap(uint64_t at, uint64_t len)
{
	TRACE2(dma_unmap, at, len);
}

/* Interrupts of a passed-through device were set up. index: VFIO_PCI_*_IRQ_INDEX. */
static inline void trace_vfio_irq_setup(const char *device, uint32_t index, unsigned int nr)
{
	TRACE3(vfio_irq_setup, device, index, nr);
}

static inline void trace_vfio_reset(const char *device, const char *method, int err)
{
	TRACE3(vfio_reset, device, method, err);
}

/* A guest's IOMMU put a passed-through device behind other tables: enum iommu_attach. */
static inline void trace_vfio_attach(const char *device, unsigned int how)
{
	TRACE2(vfio_attach, device, how);
}

/* A remapping unit refused a request: who, where, and the specification's reason. */
static inline void trace_iommu_fault(uint16_t rid, uint64_t addr, unsigned int reason)
{
	TRACE3(iommu_fault, rid, addr, reason);
}

/* It forgets translations. scope: enum in struct iommu_inval. Done when the second one fires. */
static inline void trace_iommu_invalidate(unsigned int scope, uint32_t domain, uint64_t first,
					  uint64_t last)
{
	TRACE4(iommu_invalidate, scope, domain, first, last);
}

static inline void trace_iommu_invalidated(uint64_t seq, int err)
{
	TRACE2(iommu_invalidated, seq, err);
}

/* The machine was reset; nr: how often so far. */
static inline void trace_vm_reset(uint64_t nr)
{
	TRACE1(vm_reset, nr);
}

#endif
