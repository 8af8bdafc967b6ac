// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/x86/dmar.h"

#include "base/endian.h"
#include "machine/board.h"

/* 8.1: the table's flags. */
#define DMAR_INTR_REMAP	    BIT(0)
#define DMAR_X2APIC_OPT_OUT BIT(1)
#define DMAR_OPT_IN	    BIT(2)
#define DMAR_RESERVED	    10

/* 8.3: a unit. 8.5: what root ports can do. */
#define DMAR_DRHD	    0
#define DMAR_DRHD_LEN	    16
#define DMAR_DRHD_ALL	    BIT(0)
#define DMAR_ATSR	    2
#define DMAR_ATSR_LEN	    8
#define DMAR_ATSR_ALL_PORTS BIT(0)

/* One path entry: nothing of ours is named by more, since a bridge's scope holds what is behind it. */
#define DMAR_SCOPE_LEN 8

static void put(struct aml *out, unsigned int bytes, uint64_t value)
{
	uint8_t buf[8];

	le_store(buf, bytes, value);
	aml_bytes(out, buf, bytes);
}

static void put_scope(struct aml *out, const struct dmar_scope *scope)
{
	put(out, 1, scope->type);
	put(out, 1, DMAR_SCOPE_LEN);
	put(out, 2, 0);
	put(out, 1, scope->id);
	put(out, 1, scope->bus);
	put(out, 1, PCI_DEV(scope->devfn));
	put(out, 1, PCI_FN(scope->devfn));
}

void dmar_write(struct aml *out, const struct dmar_config *config)
{
	put(out, 1, config->haw - 1ull);
	put(out, 1,
	    (config->intremap ? DMAR_INTR_REMAP : 0) |
		    (config->intremap && config->no_x2apic ? DMAR_X2APIC_OPT_OUT : 0) |
		    (config->opt_in ? DMAR_OPT_IN : 0));
	for (unsigned int i = 0; i < DMAR_RESERVED; i++)
		put(out, 1, 0);

	put(out, 2, DMAR_DRHD);
	put(out, 2, DMAR_DRHD_LEN + (uint64_t)config->nr_scopes * DMAR_SCOPE_LEN);
	put(out, 1, config->all ? DMAR_DRHD_ALL : 0);
	put(out, 1, 0); /* one page of registers */
	put(out, 2, 0); /* segment */
	put(out, 8, config->base);
	for (unsigned int i = 0; i < config->nr_scopes; i++)
		put_scope(out, &config->scopes[i]);

	if (!config->ats)
		return;
	put(out, 2, DMAR_ATSR);
	put(out, 2, DMAR_ATSR_LEN);
	put(out, 1, DMAR_ATSR_ALL_PORTS);
	put(out, 1, 0);
	put(out, 2, 0); /* segment */
}

struct scopes {
	const struct iommu *iommu;
	struct dmar_config *config;
	bool left_out;
};

static void look(void *opaque, struct pci_function *fn)
{
	struct scopes *scopes = opaque;
	struct dmar_config *config = scopes->config;

	if (fn->platform->iommu != scopes->iommu) {
		scopes->left_out = true;
		return;
	}
	/* Behind a bridge: in the bridge's scope. board_plug() keeps the two together. */
	if (fn->bus != pci_fabric_root(pci_bus_fabric(fn->bus)) ||
	    config->nr_scopes == DMAR_SCOPES_MAX)
		return;
	config->scopes[config->nr_scopes++] = (struct dmar_scope){
		.type = fn->secondary ? DMAR_SCOPE_BRIDGE : DMAR_SCOPE_ENDPOINT,
		.devfn = fn->devfn,
	};
}

void dmar_scopes(struct vm *vm, struct dmar_config *config)
{
	struct scopes scopes = { .iommu = vm->platform.iommu, .config = config };
	unsigned int before = config->nr_scopes;

	pci_fabric_walk(vm->board->fabric, look, &scopes);
	config->all = !scopes.left_out;
	if (config->all)
		config->nr_scopes = before;
}
