// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/stats.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "host/text.h"
#include "iommu/ats.h"
#include "machine/board.h"
#include "machine/kvm_stats.h"
#include "machine/unit.h"
#include "machine/vcpu.h"

/* Where figures go: aligned text, or JSON written as we go along. */
struct stats_sink {
	FILE *to;
	bool json;
	bool first; /* no comma before the next member */
};

static void stats_open(struct stats_sink *s, const char *section)
{
	if (s->json)
		fprintf(s->to, "%s\"%s\":{", s->first ? "" : ",", section);
	else
		fprintf(s->to, "%s\n", section);
	s->first = true;
}

static void stats_close(struct stats_sink *s)
{
	if (s->json)
		fputc('}', s->to);
	s->first = false;
}

/* Names are ours or KVM's: no quoting is needed. */
static void stats_number(struct stats_sink *s, const char *name, uint64_t value)
{
	if (s->json)
		fprintf(s->to, "%s\"%s\":%" PRIu64, s->first ? "" : ",", name, value);
	else
		fprintf(s->to, "  %-36s %14" PRIu64 "\n", name, value);
	s->first = false;
}

/* Likewise: one of ours, or a method the host's kernel names. */
static void stats_word(struct stats_sink *s, const char *name, const char *word)
{
	if (s->json)
		fprintf(s->to, "%s\"%s\":\"%s\"", s->first ? "" : ",", name, word);
	else
		fprintf(s->to, "  %-36s %14s\n", name, word);
	s->first = false;
}

static void stats_phases(struct vm *vm, struct stats_sink *s)
{
	const struct phases *p = vm->phases;
	uint64_t before;

	if (!p)
		return;
	before = p->start_ns;
	stats_open(s, s->json ? "phases_us" : "start-up phases (microseconds)");
	for (unsigned int i = 0; i < p->nr; i++) {
		stats_number(s, p->marks[i].name, (p->marks[i].end_ns - before) / 1000);
		before = p->marks[i].end_ns;
	}
	if (p->nr)
		stats_number(s, "total", (before - p->start_ns) / 1000);
	stats_close(s);
}

static void stats_exits(struct vm *vm, struct stats_sink *s)
{
	uint64_t total = 0;

	stats_open(s, s->json ? "exits" : "exits to user space by reason");
	for (unsigned int reason = 0; reason < VCPU_REASONS; reason++) {
		uint64_t n = 0;

		for (unsigned int i = 0; i < vm->nr_cpus; i++)
			n += atomic_load_explicit(&vm->cpus[i]->exits[reason],
						  memory_order_relaxed);
		if (n)
			stats_number(s, vcpu_reason_name(reason), n);
		total += n;
	}
	stats_number(s, "total", total);
	stats_close(s);
}

/* Sums by name: a BAR has several trapped parts, a VM several vCPUs. */
struct stats_sum {
	unsigned int nr;
	struct {
		char name[64];
		uint64_t value;
	} item[2048];
};

static void stats_add(void *opaque, const char *name, uint64_t value)
{
	struct stats_sum *sum = opaque;
	unsigned int i;

	for (i = 0; i < sum->nr; i++)
		if (!strcmp(sum->item[i].name, name))
			break;
	if (i == ARRAY_SIZE(sum->item))
		return;
	if (i == sum->nr)
		snprintf(sum->item[sum->nr++].name, sizeof(sum->item[0].name), "%s", name);
	sum->item[i].value += value;
}

static void stats_print_sum(struct stats_sink *s, const char *section, const struct stats_sum *sum)
{
	stats_open(s, section);
	for (unsigned int i = 0; i < sum->nr; i++)
		if (sum->item[i].value)
			stats_number(s, sum->item[i].name, sum->item[i].value);
	stats_close(s);
}

struct stats_regions {
	struct stats_sum reads, writes;
	struct stats_sum register_reads, register_writes;
};

static void stats_region(void *opaque, const struct bus_region *r)
{
	struct stats_regions *regions = opaque;

	stats_add(&regions->reads, r->name,
		  atomic_load_explicit(&r->nr_reads, memory_order_relaxed));
	stats_add(&regions->writes, r->name,
		  atomic_load_explicit(&r->nr_writes, memory_order_relaxed));
	for (unsigned int i = 0; i < BUS_REGISTERS; i++) {
		const struct bus_register *reg = &r->registers[i];
		uint32_t tag = atomic_load_explicit(&reg->tag, memory_order_relaxed);
		char name[64];

		if (!tag)
			continue;
		snprintf(name, sizeof(name), "%.48s+%#x", r->name, tag - 1);
		stats_add(&regions->register_reads, name,
			  atomic_load_explicit(&reg->nr_reads, memory_order_relaxed));
		stats_add(&regions->register_writes, name,
			  atomic_load_explicit(&reg->nr_writes, memory_order_relaxed));
	}
}

static void stats_accesses(struct vm *vm, struct stats_sink *s)
{
	struct stats_regions *regions = calloc(1, sizeof(*regions));

	if (!regions)
		return;
	/* Gathered first, printed after: a slow reader of the figures must not hold the bus up. */
	bus_walk(&vm->bus, stats_region, regions);
	stats_print_sum(s, s->json ? "block_reads" : "trapped reads by register block",
			&regions->reads);
	stats_print_sum(s, s->json ? "block_writes" : "trapped writes by register block",
			&regions->writes);
	stats_print_sum(s, s->json ? "register_reads" : "trapped reads by register",
			&regions->register_reads);
	stats_print_sum(s, s->json ? "register_writes" : "trapped writes by register",
			&regions->register_writes);
	free(regions);
}

static void stats_dma(struct vm *vm, struct stats_sink *s)
{
	struct dma_stats dma;

	if (!vm->board->vfio)
		return;
	vfio_context_dma_stats(vm->board->vfio, &dma);
	stats_open(s, s->json ? "dma" : "DMA mappings");
	stats_number(s, "mapped_bytes", dma.mapped_bytes);
	stats_number(s, "mappings", dma.nr_mappings);
	stats_number(s, "map_ioctls", dma.nr_maps);
	stats_number(s, "unmap_ioctls", dma.nr_unmaps);
	stats_number(s, "map_us", dma.map_ns / 1000);
	stats_number(s, "map_phase_us", vfio_context_map_ns(vm->board->vfio) / 1000);
	stats_number(s, "refused", dma.nr_refused);
	stats_close(s);
}

static void stats_vfio(struct vm *vm, struct stats_sink *s)
{
	for (struct device *dev = vm->devices; dev; dev = dev->next) {
		struct vfio_pci_stats v;

		if (!vfio_pci_is(dev))
			continue;
		vfio_pci_stats(dev, &v);
		stats_open(s, dev->name);
		stats_number(s, "vectors", v.nr_vectors);
		stats_number(s, "msi_interrupts", v.nr_msi);
		stats_number(s, "intx_interrupts", v.nr_intx);
		stats_number(s, "interrupt_setups", v.nr_irq_setups);
		stats_number(s, "config_accesses", v.nr_config);
		stats_number(s, "resets", v.nr_resets);
		stats_word(s, "reset_by", v.reset_method);
		stats_close(s);
	}
}

struct stats_requester {
	char name[64];
	uint64_t misses, faults, denied;
	bool quarantined, has_ats;
	struct iommu_ats_figures ats;
};

/* Copied first, printed after: a slow reader of the figures must not hold the unit up. */
static unsigned int stats_requesters(struct iommu *iommu, struct stats_requester *list,
				     unsigned int max)
{
	unsigned int n = 0;

	iommu_exec_begin(iommu);
	for (struct iommu_device *dev = iommu->devices; dev && n < max; dev = dev->next, n++) {
		struct stats_requester *r = &list[n];

		snprintf(r->name, sizeof(r->name), "iommu %s", dev->name);
		r->misses = atomic_load(&dev->nr_misses);
		r->faults = atomic_load(&dev->nr_faults);
		r->denied = atomic_load(&dev->nr_denied);
		r->quarantined = atomic_load(&dev->blocked);
		iommu_ats_figures(dev, &r->ats);
		r->has_ats = r->ats.nr_requests || r->ats.nr_uses;
		for (struct iommu_section *section = dev->sections; section;
		     section = section->next)
			r->misses += atomic_load(&section->nr_misses);
	}
	iommu_exec_end(iommu);
	return n;
}

static void stats_ats(struct stats_sink *s, const struct iommu_ats_figures *f)
{
	stats_number(s, "ats_requests", f->nr_requests);
	stats_number(s, "ats_refused", f->nr_faults);
	stats_number(s, "ats_uses", f->nr_uses);
	stats_number(s, "ats_stale", f->nr_stale);
	stats_number(s, "ats_invalidations", f->nr_invals);
	stats_number(s, "ats_invalidation_us_max", f->inval_ns_max / 1000);
	stats_number(s, "ats_taken_away", f->taken);
}

static void stats_iommu(struct vm *vm, struct stats_sink *s)
{
	struct stats_requester list[VM_DEVICES_MAX];
	struct vtd_stats v;
	unsigned int n;

	if (!vm->board->unit)
		return;
	vtd_stats(unit_vtd(vm->board->unit), &v);
	stats_open(s, s->json ? "iommu" : "IOMMU");
	stats_number(s, "commands", v.nr_commands);
	stats_number(s, "faults", v.nr_faults);
	stats_number(s, "faults_lost", v.nr_faults_lost);
	stats_number(s, "queue_errors", v.nr_queue_errors);
	stats_close(s);
	n = stats_requesters(vtd_iommu(unit_vtd(vm->board->unit)), list, ARRAY_SIZE(list));
	for (unsigned int i = 0; i < n; i++) {
		stats_open(s, list[i].name);
		stats_number(s, "iotlb_misses", list[i].misses);
		stats_number(s, "faults", list[i].faults);
		stats_number(s, "denied", list[i].denied);
		stats_number(s, "quarantined", list[i].quarantined);
		if (list[i].has_ats)
			stats_ats(s, &list[i].ats);
		stats_close(s);
	}
}

static void stats_kvm(struct vm *vm, struct stats_sink *s)
{
	struct stats_sum *sum = calloc(1, sizeof(*sum));

	if (!sum)
		return;
	for (unsigned int i = 0; i < vm->nr_cpus; i++)
		if (vm->cpus[i]->stats_fd >= 0 &&
		    kvm_stats_read(vm->sys, vm->cpus[i]->stats_fd, stats_add, sum))
			break;
	stats_print_sum(s, s->json ? "kvm" : "KVM's counters, all vCPUs", sum);
	free(sum);
}

static void stats_all(struct vm *vm, struct stats_sink *s)
{
	stats_phases(vm, s);
	stats_exits(vm, s);
	stats_accesses(vm, s);
	stats_open(s, "interrupts");
	stats_number(s, "route_commits", vm->irq.nr_commits);
	/* By emulated devices; a passed-through device's go past us, and KVM counts all together. */
	stats_number(s, "sent_by_us", atomic_load_explicit(&vm->irq.nr_sent, memory_order_relaxed));
	stats_close(s);
	stats_dma(vm, s);
	stats_iommu(vm, s);
	stats_vfio(vm, s);
	stats_kvm(vm, s);
}

void stats_print(struct vm *vm, FILE *to)
{
	struct stats_sink s = { .to = to };

	stats_all(vm, &s);
	fflush(to);
}

void stats_print_json(struct vm *vm, FILE *to)
{
	struct stats_sink s = { .to = to, .json = true, .first = true };

	fputc('{', to);
	stats_all(vm, &s);
	fputs("}\n", to);
	fflush(to);
}
