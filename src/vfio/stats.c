// SPDX-License-Identifier: GPL-2.0-or-later
/* Figures of a passed-through device. Its interrupts go past this process: the kernel counts them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vfio/pci.h"

#define INTERRUPTS_MAX MIB(1)

/*
 * Sum of the per-CPU columns of " 27:   12   0  IR-PCI-MSI-0000:01:00.0 0-edge vfio-msix[0](..)".
 * A column is a number and a space: the chip's name may begin with a digit.
 */
static uint64_t line_sum(const char *line)
{
	const char *at = strchr(line, ':');
	uint64_t sum = 0;

	for (at = at ? at + 1 : ""; *at;) {
		char *end;
		unsigned long long n;

		at += strspn(at, " \t");
		n = strtoull(at, &end, 10);
		if (end == at || *end != ' ')
			break;
		sum += n;
		at = end;
	}
	return sum;
}

/* Sum over the lines of /proc/interrupts that hold `name`; -ENOENT when none does. */
static int interrupts_sum(struct vfio_pci *pci, const char *name, uint64_t *sum)
{
	char *text = malloc(INTERRUPTS_MAX), *line, *rest;
	ssize_t len;
	int err = -ENOENT;

	if (!text)
		return -ENOMEM;
	len = sys_read_file(pci->device.sys, SYS_TREE_PROC, "interrupts", text, INTERRUPTS_MAX);
	if (len < 0) {
		free(text);
		return (int)len;
	}
	*sum = 0;
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (!strstr(line, "vfio-msi") || !strstr(line, name))
			continue;
		*sum += line_sum(line);
		err = 0;
	}
	free(text);
	return err;
}

uint64_t vfio_interrupts_now(struct vfio_pci *pci)
{
	char name[64];
	uint64_t sum;

	if (pci->vectors.kind == VFIO_PCI_NUM_IRQS)
		return 0;
	snprintf(name, sizeof(name), "(%s)", pci->device.name);
	return interrupts_sum(pci, name, &sum) ? 0 : sum;
}

void vfio_pci_stats(struct device *dev, struct vfio_pci_stats *stats)
{
	struct vfio_pci *pci = vfio_pci_of_device(dev);

	*stats = (struct vfio_pci_stats){
		.nr_config = atomic_load_explicit(&pci->space.nr_accesses, memory_order_relaxed),
		.nr_vectors = vfio_vectors_count(pci),
		.nr_resets = pci->reset.nr,
		.reset_method = pci->reset.last ? pci->reset.last : "none",
		.stopped = pci->stopped,
		.released = !pci->group,
	};
	lock_take(&pci->vectors.lock);
	stats->nr_intx = pci->intx.nr;
	stats->nr_irq_setups = pci->vectors.nr_setups;
	stats->nr_msi = pci->vectors.nr_before + vfio_interrupts_now(pci);
	lock_drop(&pci->vectors.lock);
}

int vfio_pci_vector_count(struct device *dev, unsigned int n, uint64_t *count)
{
	struct vfio_pci *pci = vfio_pci_of_device(dev);
	char name[64];
	bool used, msix;

	lock_take(&pci->vectors.lock);
	used = n < pci->vectors.nr && pci->vectors.vector[n].wired;
	msix = pci->vectors.kind == VFIO_PCI_MSIX_IRQ_INDEX;
	lock_drop(&pci->vectors.lock);
	if (!used)
		return -ENOENT;
	snprintf(name, sizeof(name), "vfio-msi%s[%u](%s)", msix ? "x" : "", n, pci->device.name);
	return interrupts_sum(pci, name, count);
}
