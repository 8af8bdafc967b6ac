// SPDX-License-Identifier: GPL-2.0-or-later
#include "pci/sriov.h"

#include <stdlib.h>
#include <string.h>

#include "base/bug.h"
#include "base/endian.h"
#include "pci/bus.h"

/* 4 KiB, 8 KiB, 64 KiB, 256 KiB, 1 MiB and 4 MiB: those every device has to know (9.3.3.12). */
#define PAGE_SIZES    0x553u
#define PAGE_SIZE_4K  BIT(0)
#define BAR_MAX_32    GIB(2)
#define ROUTING_IDS   256
#define VF_COMMAND    PCI_COMMAND_MASTER /* all that a virtual function's has (9.3.4.1.3) */
#define CTRL_WRITABLE (PCI_SRIOV_VF_ENABLE | PCI_SRIOV_VF_MEMORY | PCI_SRIOV_ARI)
#define INVALID_ID    0xffff

struct pci_sriov {
	uint16_t cap;
	struct pci_sriov_config config;
	struct {
		uint64_t size; /* of one virtual function's; 0: none */
		uint32_t flags;
	} bars[PCI_BARS];
	unsigned int nr_enabled; /* on the bus, the first ones */
	struct pci_function *vfs[];
};

static uint16_t sriov_get(const struct pci_function *pf, unsigned int reg)
{
	return (uint16_t)le_load(&pf->config[pf->sriov->cap + reg], 2);
}

/* What the guest chose, in bytes. No bit, or more than one, is no choice: the smallest. */
static uint64_t sriov_page_size(const struct pci_function *pf)
{
	uint32_t bits = (uint32_t)le_load(&pf->config[pf->sriov->cap + PCI_SRIOV_PAGE_SIZE], 4);

	return is_power_of_2(bits) ? (uint64_t)bits << PAGE_SHIFT : PAGE_SIZE;
}

uint16_t pci_sriov_bar_register(const struct pci_function *pf, unsigned int index)
{
	return (uint16_t)(pf->sriov->cap + PCI_SRIOV_VF_BAR0 + 4 * index);
}

uint32_t pci_sriov_bar_flags(const struct pci_function *pf, unsigned int index)
{
	return pf->sriov->bars[index].flags;
}

uint64_t pci_sriov_bar_size(const struct pci_function *pf, unsigned int index, uint64_t *each)
{
	const struct pci_sriov *sriov = pf->sriov;

	if (!sriov->bars[index].size)
		return 0;
	*each = max_u64(sriov->bars[index].size, sriov_page_size(pf));
	return *each * sriov->config.total_vfs;
}

/* Which bits of the VF BARs can be written depends on the page size (9.3.3.13). */
static void sriov_permit_bars(struct pci_function *pf)
{
	for (unsigned int i = 0; i < PCI_BARS; i++) {
		uint16_t reg = pci_sriov_bar_register(pf, i);
		uint64_t each, mask, addr;

		if (!pci_sriov_bar_size(pf, i, &each))
			continue;
		mask = ~(each - 1);
		pci_config_permit(pf, reg, 4, (uint32_t)mask, 0);
		addr = le_load(&pf->config[reg], 4) & (mask | pf->sriov->bars[i].flags);
		pci_config_set(pf, reg, 4, (uint32_t)addr);
		if (pf->sriov->bars[i].flags & PCI_BAR_MEM64)
			pci_config_permit(pf, (uint16_t)(reg + 4), 4, (uint32_t)(mask >> 32), 0);
	}
}

/* With virtual functions there, their number and pages stand (9.3.3.10, 9.3.3.13). */
static void sriov_permit(struct pci_function *pf, bool enabled)
{
	uint16_t cap = pf->sriov->cap;

	pci_config_permit(pf, cap + PCI_SRIOV_NUM_VFS, 2, enabled ? 0 : 0xffff, 0);
	pci_config_permit(pf, cap + PCI_SRIOV_PAGE_SIZE, 4, enabled ? 0 : PAGE_SIZES, 0);
	pci_config_permit(pf, cap + PCI_SRIOV_CTRL, 2,
			  CTRL_WRITABLE & ~(enabled ? PCI_SRIOV_ARI : 0), 0);
}

bool pci_sriov_vf_bar(const struct pci_function *fn, unsigned int index, struct range *range)
{
	const struct pci_function *pf = fn->pf;
	const struct pci_sriov *sriov = pf->sriov;
	uint64_t addr, each, all;
	uint16_t reg;

	if (index >= PCI_BARS || !pf->bus || !pci_function_in_d0(pf) ||
	    !(sriov_get(pf, PCI_SRIOV_CTRL) & PCI_SRIOV_VF_MEMORY))
		return false;
	all = pci_sriov_bar_size(pf, index, &each);
	if (!all)
		return false;
	reg = pci_sriov_bar_register(pf, index);
	addr = le_load(&pf->config[reg], 4);
	if (sriov->bars[index].flags & PCI_BAR_MEM64)
		addr |= le_load(&pf->config[reg + 4], 4) << 32;
	addr &= ~(each - 1);
	/* Neither unassigned, nor the all ones of a guest that is sizing. */
	if (!addr || addr == align_down(UINT64_MAX, each) ||
	    (!(addr >> 32) && addr == align_down(UINT32_MAX, each)) || range_make(addr, all, range))
		return false;
	if (!(sriov->bars[index].flags & PCI_BAR_MEM64) && range->last > UINT32_MAX)
		return false;
	*range = range_of(addr + each * fn->vf, sriov->bars[index].size);
	return true;
}

bool pci_sriov_touched(const struct pci_function *pf, uint16_t offset, unsigned int size)
{
	return pci_touches(offset, size, pf->sriov->cap, PCI_SRIOV_LEN) ||
	       (pf->pm_cap &&
		pci_touches(offset, size, (unsigned int)pf->pm_cap + PCI_PM_CONTROL, 1));
}

unsigned int pci_sriov_enabled(const struct pci_function *pf)
{
	return pf->sriov ? pf->sriov->nr_enabled : 0;
}

void pci_sriov_disable(struct pci_function *pf)
{
	struct pci_sriov *sriov = pf->sriov;

	while (sriov->nr_enabled) {
		struct pci_function *fn = sriov->vfs[--sriov->nr_enabled];

		if (!fn->bus)
			continue;
		pci_function_reset(fn);
		pci_function_leave(fn);
	}
	sriov_permit(pf, false);
}

static void sriov_enable(struct pci_function *pf)
{
	struct pci_sriov *sriov = pf->sriov;
	const struct pci_sriov_config *config = &sriov->config;
	unsigned int nr = sriov_get(pf, PCI_SRIOV_NUM_VFS);

	/* More than there are is undefined (9.3.3.10): as many as there are. */
	sriov->nr_enabled = (unsigned int)min_u64(nr, config->total_vfs);
	for (unsigned int i = 0; i < sriov->nr_enabled; i++) {
		unsigned int id = pf->devfn + config->first + config->stride * i;
		int err = -ERANGE;

		if (sriov->vfs[i] && id < ROUTING_IDS)
			err = pci_function_join(sriov->vfs[i], pf->bus, (uint8_t)id);
		if (err)
			log_limited(&pf->log, LOG_WARNING, pf->name,
				    "virtual function %u has no place on the bus: %s", i,
				    err == -EEXIST ? "another function has it" : strerror(-err));
	}
	sriov_permit(pf, true);
}

/* VF Memory Space, a VF BAR or the PF's power state: where virtual functions decode. */
static void sriov_move(struct pci_function *pf)
{
	struct pci_sriov *sriov = pf->sriov;
	bool went = false;

	for (unsigned int i = 0; i < sriov->nr_enabled; i++) {
		if (sriov->vfs[i]->bus)
			went |= pci_bars_withdraw(sriov->vfs[i]);
	}
	for (unsigned int i = 0; i < sriov->nr_enabled; i++) {
		if (sriov->vfs[i]->bus)
			pci_bars_place(sriov->vfs[i]);
	}
	if (went)
		pci_bars_retry(pf->bus->fabric);
}

void pci_sriov_config_written(struct pci_function *pf)
{
	bool enable = pf->bus && sriov_get(pf, PCI_SRIOV_CTRL) & PCI_SRIOV_VF_ENABLE;
	/* No number of functions can be zero and enabled: the permissions tell. */
	bool enabled = !le_load(&pf->wmask[pf->sriov->cap + PCI_SRIOV_NUM_VFS], 2);

	if (!enabled)
		sriov_permit_bars(pf);
	if (enable && !enabled)
		sriov_enable(pf);
	else if (!enable && enabled)
		pci_sriov_disable(pf);
	sriov_move(pf);
}

static int sriov_add_ari(struct pci_function *fn)
{
	uint16_t cap;

	/* Next function 0: the list of physical functions ends (7.8.8.2). */
	return pci_add_ext_capability(fn, PCI_EXT_CAP_ARI, 1, PCI_ARI_LEN, &cap);
}

int pci_sriov_init(struct pci_function *pf, const struct pci_sriov_config *config)
{
	struct pci_sriov *sriov;
	uint16_t cap;
	int err;

	if (pf->sriov || pf->pf || !config->total_vfs || !config->first || !config->stride ||
	    config->first + (uint64_t)config->stride * (config->total_vfs - 1u) >= ROUTING_IDS)
		return -EINVAL;
	sriov = calloc(1, sizeof(*sriov) + config->total_vfs * sizeof(sriov->vfs[0]));
	if (!sriov)
		return -ENOMEM;
	sriov->config = *config;
	err = sriov_add_ari(pf);
	if (!err)
		err = pci_add_ext_capability(pf, PCI_EXT_CAP_SRIOV, 1, PCI_SRIOV_LEN, &cap);
	if (err) {
		free(sriov);
		return err;
	}
	sriov->cap = cap;
	pf->sriov = sriov;
	/* The ids do not change with ARI: nothing to keep apart. */
	pci_config_set(pf, cap + PCI_SRIOV_CAP, 4, PCI_SRIOV_CAP_ARI_KEPT);
	pci_config_set(pf, cap + PCI_SRIOV_INITIAL_VFS, 2, config->total_vfs);
	pci_config_set(pf, cap + PCI_SRIOV_TOTAL_VFS, 2, config->total_vfs);
	pci_config_set(pf, cap + PCI_SRIOV_VF_OFFSET, 2, config->first);
	pci_config_set(pf, cap + PCI_SRIOV_VF_STRIDE, 2, config->stride);
	pci_config_set(pf, cap + PCI_SRIOV_VF_DEVICE, 2, config->vf_device);
	pci_config_set(pf, cap + PCI_SRIOV_PAGE_SIZES, 4, PAGE_SIZES);
	pci_config_set(pf, cap + PCI_SRIOV_PAGE_SIZE, 4, PAGE_SIZE_4K);
	sriov_permit(pf, false);
	return 0;
}

int pci_sriov_bar_declare(struct pci_function *pf, unsigned int index, uint64_t size,
			  uint32_t flags)
{
	struct pci_sriov *sriov = pf->sriov;
	bool mem64 = flags & PCI_BAR_MEM64;

	if (index >= PCI_BARS || sriov->bars[index].size || !is_power_of_2(size) ||
	    size < PAGE_SIZE || flags & ~(PCI_BAR_MEM64 | PCI_BAR_PREFETCH) ||
	    (!mem64 && size > BAR_MAX_32) ||
	    (mem64 && (index + 1 == PCI_BARS || sriov->bars[index + 1].size)) ||
	    (index && sriov->bars[index - 1].flags & PCI_BAR_MEM64) ||
	    size > UINT64_MAX / sriov->config.total_vfs)
		return -EINVAL;
	sriov->bars[index].size = size;
	sriov->bars[index].flags = flags;
	pci_config_set(pf, pci_sriov_bar_register(pf, index), 4, flags);
	sriov_permit_bars(pf);
	return 0;
}

int pci_sriov_add_vf(struct pci_function *pf, unsigned int vf, struct pci_function *fn)
{
	struct pci_sriov *sriov = pf->sriov;
	int err;

	if (vf >= sriov->config.total_vfs || sriov->vfs[vf] || fn->pf || fn->bus)
		return -EINVAL;
	for (unsigned int i = 0; i < ARRAY_SIZE(fn->bars); i++) {
		uint64_t size = i < PCI_BARS ? sriov->bars[i].size : 0;

		if (fn->bars[i].size != size || (size && fn->bars[i].flags != sriov->bars[i].flags))
			return -EINVAL;
	}
	err = sriov_add_ari(fn);
	if (err)
		return err;
	/* Read as all ones: the ids are the PF's vendor and VF Device ID (9.3.4.1.1). */
	pci_config_set(fn, PCI_VENDOR_ID, 2, INVALID_ID);
	pci_config_set(fn, PCI_DEVICE_ID, 2, INVALID_ID);
	pci_config_permit(fn, PCI_COMMAND, 2, VF_COMMAND, 0);
	pci_config_permit(fn, PCI_CACHE_LINE, 1, 0, 0);
	pci_config_set(fn, PCI_IRQ_PIN, 1, 0);
	pci_config_permit(fn, PCI_IRQ_LINE, 1, 0, 0);
	for (uint16_t reg = PCI_BAR0; reg < PCI_BAR0 + 4 * PCI_BARS; reg = (uint16_t)(reg + 4)) {
		pci_config_set(fn, reg, 4, 0);
		pci_config_permit(fn, reg, 4, 0, 0);
	}
	fn->pf = pf;
	fn->vf = vf;
	sriov->vfs[vf] = fn;
	return 0;
}

void pci_sriov_fini(struct pci_function *pf)
{
	struct pci_sriov *sriov = pf->sriov;

	if (!sriov)
		return;
	BUG_ON(sriov->nr_enabled);
	free(sriov);
	pf->sriov = NULL;
}
