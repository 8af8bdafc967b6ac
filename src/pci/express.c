// SPDX-License-Identifier: GPL-2.0-or-later
#include "pci/express.h"

#include "base/endian.h"

#define CAP_VERSION_2 2
#define READ_512      2
#define LINK_WIDTH    4
#define LINK_SPEEDS   GENMASK(4, 1) /* 2.5 to 16 GT/s in LNKCAP2 */
#define LINK                                               \
	(FIELD_PREP(PCI_EXP_LNK_SPEED, PCI_EXP_LNK_16GT) | \
	 FIELD_PREP(PCI_EXP_LNK_WIDTH, LINK_WIDTH))

static void express_link(struct pci_function *fn, uint8_t cap)
{
	pci_config_set(fn, cap + PCI_EXP_LNKCAP, 4, LINK | PCI_EXP_LNKCAP_ASPM_OPTIONAL);
	pci_config_permit(
		fn, cap + PCI_EXP_LNKCTL, 2,
		PCI_EXP_LNKCTL_RCB | PCI_EXP_LNKCTL_COMMON_CLOCK | PCI_EXP_LNKCTL_EXT_SYNC, 0);
	pci_config_set(fn, cap + PCI_EXP_LNKSTA, 2, LINK | PCI_EXP_LNKSTA_SLOT_CLOCK);
	pci_config_set(fn, cap + PCI_EXP_LNKCAP2, 4, LINK_SPEEDS);
	pci_config_set(fn, cap + PCI_EXP_LNKCTL2, 2,
		       FIELD_PREP(PCI_EXP_LNK_SPEED, PCI_EXP_LNK_16GT));
}

int pci_express_endpoint(struct pci_function *fn, bool integrated)
{
	uint8_t cap;
	int err = pci_add_capability(fn, PCI_CAP_PCIE, PCI_EXP_CAP_LEN, &cap);

	if (err)
		return err;
	fn->pcie_cap = cap;
	pci_config_set(fn, cap + PCI_EXP_FLAGS, 2,
		       FIELD_PREP(PCI_EXP_VERSION, CAP_VERSION_2) |
			       FIELD_PREP(PCI_EXP_TYPE,
					  integrated ? PCI_EXP_RC_ENDPOINT : PCI_EXP_ENDPOINT));
	pci_config_set(fn, cap + PCI_EXP_DEVCAP, 4, PCI_EXP_DEVCAP_RBER | PCI_EXP_DEVCAP_FLR);
	pci_config_set(fn, cap + PCI_EXP_DEVCTL, 2, FIELD_PREP(PCI_EXP_DEVCTL_READ, READ_512));
	pci_config_permit(fn, cap + PCI_EXP_DEVCTL, 2,
			  PCI_EXP_DEVCTL_ERRORS | PCI_EXP_DEVCTL_RELAXED | PCI_EXP_DEVCTL_PAYLOAD |
				  PCI_EXP_DEVCTL_NO_SNOOP | PCI_EXP_DEVCTL_READ,
			  0);
	pci_config_permit(fn, cap + PCI_EXP_DEVSTA, 2, 0, PCI_EXP_DEVSTA_ERRORS);
	return 0;
}

int pci_express_init(struct pci_function *fn, bool integrated)
{
	uint8_t cap;
	int err = pci_add_capability(fn, PCI_CAP_PM, PCI_PM_CAP_LEN, &cap);

	if (err)
		return err;
	fn->pm_cap = cap;
	pci_config_set(fn, cap + PCI_PM_CAPS, 2, PCI_PM_CAPS_VERSION_3);
	pci_config_set(fn, cap + PCI_PM_CONTROL, 2, PCI_PM_NO_SOFT_RESET);
	pci_config_permit(fn, cap + PCI_PM_CONTROL, 2, PCI_PM_STATE, 0);

	err = pci_express_endpoint(fn, integrated);
	if (!err && !integrated)
		express_link(fn, fn->pcie_cap);
	return err;
}
