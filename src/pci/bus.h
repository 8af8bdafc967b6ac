/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of this room share: the tree of buses, and the steps of a config write that
 * belong to different nouns. Everything here runs under LOCK_FABRIC unless said otherwise.
 *
 * The tree is the one that was built with pci_function_attach(); the guest's bus numbers only
 * decide how a config access finds its way through it. So walks are bounded by what exists,
 * whatever the guest writes.
 */
#ifndef AIRLOCK_PCI_BUS_H
#define AIRLOCK_PCI_BUS_H

#include "pci/fabric.h"
#include "pci/msix.h"

#define PCI_BUS_FUNCTIONS 256
#define PCI_BUS_DEVICES	  32
#define PCI_FUNCTIONS	  8
#define PCI_BUSES	  256
#define PCI_PINS	  4
#define PORT_ID_MAX	  32
#define PCI_MSIX_MAX	  2048 /* vectors of a function (PCI 3.0, 6.8.2.3) */
#define PORT_WINDOW_ALIGN MIB(1)
#define PORT_IO_ALIGN	  KIB(4)

/* Of the registers at 0xcf8 and 0xcf9 what stays as written. */
#define PCI_ADDRESS_WRITABLE (BIT(31) | GENMASK(23, 2))
#define PCI_RESET_KEPT	     (BIT(1) | BIT(3))

struct pci_port;

struct pci_bus {
	struct pci_fabric *fabric;
	struct pci_function *bridge; /* NULL: the root bus */
	bool in_reset;		     /* bus_reset() is at it */
	bool internal; /* of a switch: its downstream ports; else a link, or the root */
	struct pci_function *functions[PCI_BUS_FUNCTIONS];
};

struct pci_fabric {
	struct platform *platform;
	struct pci_fabric_config config;
	struct lock lock; /* LOCK_FABRIC: everything below */
	struct pci_bus root;
	struct pci_function host_bridge;
	struct pci_port *ports;		    /* in order of creation */
	unsigned int nr_blocked;	    /* BARs that wait for room */
	uint64_t irq_shares[UINT8_MAX + 1]; /* in use, per I/O APIC pin */
	struct bus_region ecam, legacy;
	uint32_t config_address; /* 0xcf8: bits of PCI_ADDRESS_WRITABLE */
	uint8_t reset_control;	 /* 0xcf9: bits of PCI_RESET_KEPT */
};

/* bar.c: takes off the platform what should not decode, or not there; whether anything was. */
bool pci_bars_withdraw(struct pci_function *fn);
/* Puts on the platform what should decode and does not yet. */
void pci_bars_place(struct pci_function *fn);
/* Whether a write of [offset, offset + size) can move or switch a BAR of the function. */
bool pci_bars_touched(const struct pci_function *fn, uint16_t offset, unsigned int size);
/* After BARs went away: those which the platform refused may fit now. */
void pci_bars_retry(struct pci_fabric *fabric);

/*
 * function.c: attach and detach without the lock, and without the rule that below a port there is one
 * device: virtual functions take the places of others.
 */
int pci_function_join(struct pci_function *fn, struct pci_bus *bus, uint8_t devfn);
void pci_function_leave(struct pci_function *fn);
/* Requester id and right to master, here and behind. */
void pci_function_refresh(struct pci_function *fn);
/*
 * An interrupt message goes upstream, if the function may master and is not quarantined. 0, or the
 * platform's error. Under irq_lock.
 */
int pci_message_send(struct pci_function *fn, struct msi_message msg);
/* The command register or MSI changed: INTx is driven or held back accordingly. */
void pci_function_intx_update(struct pci_function *fn);
void pci_function_intx_update_locked(struct pci_function *fn); /* irq_lock held */
/* Powered up: answers more than config accesses. */
bool pci_function_in_d0(const struct pci_function *fn);
uint16_t pci_command(const struct pci_function *fn);

/* Config bytes [offset, offset + size) and a register of `len` bytes at `reg` overlap. */
static inline bool pci_touches(uint16_t offset, unsigned int size, unsigned int reg,
			       unsigned int len)
{
	return offset < reg + len && reg < offset + size;
}

/*
 * peer.c: which way a request for `range` (within one page) goes, which has not been translated. Takes
 * LOCK_FABRIC.
 */
enum pci_way {
	PCI_WAY_UP,	 /* to the root complex, and its IOMMU */
	PCI_WAY_PEER,	 /* a switch hands it to a peer below */
	PCI_WAY_NOWHERE, /* a switch claims it, and nobody takes it; or ACS blocks it */
};
enum pci_way pci_peer_way(const struct pci_function *fn, struct range range);
/* Whether translated requests get past every port above (ACS translation blocking). */
bool pci_peer_translated(const struct pci_function *fn);
/*
 * Reads or writes registers in memory BARs of the fabric. 0; -EFAULT where there are none, or where they
 * are host memory. Loop thread, no lock held.
 */
int pci_peer_move(const struct pci_function *fn, uint64_t addr, void *buf, uint64_t len,
		  bool write);

/* msix.c, msi.c: a config write reached the capability; power-on state. */
bool pci_msix_touched(const struct pci_function *fn, uint16_t offset, unsigned int size);
void pci_msix_config_written(struct pci_function *fn);
void pci_msix_reset(struct pci_function *fn);
void pci_msi_config_written(struct pci_function *fn);
void pci_msi_reset(struct pci_function *fn);
bool pci_msi_touched(const struct pci_function *fn, uint16_t offset, unsigned int size);
/* Pending bits as one byte of config space, if `offset` is one of theirs. */
bool pci_msi_pending_byte(const struct pci_function *fn, uint16_t offset, uint8_t *value);

/* What of the MSI-X table and the MSI registers is not config space: for saving and loading. */
struct pci_msix_state {
	unsigned int nr;
	struct {
		struct msi_message msg;
		bool masked, pending;
	} entries[PCI_MSIX_MAX];
};
void pci_msix_get_state(struct pci_function *fn, struct pci_msix_state *state);
/* nr is the function's own. MSI-X is off, or its config is written next. */
void pci_msix_set_state(struct pci_function *fn, const struct pci_msix_state *state);
uint32_t pci_msi_get_pending(const struct pci_function *fn);
void pci_msi_set_pending(struct pci_function *fn, uint32_t pending);

/* sriov.c: a config write reached the capability; reset and removal: all virtual functions go. */
bool pci_sriov_touched(const struct pci_function *pf, uint16_t offset, unsigned int size);
void pci_sriov_config_written(struct pci_function *pf);
void pci_sriov_disable(struct pci_function *pf);
void pci_sriov_fini(struct pci_function *pf);
/* Where the virtual function's BAR is; false while virtual functions do not decode. */
bool pci_sriov_vf_bar(const struct pci_function *fn, unsigned int index, struct range *range);
/* For layout: what all of the virtual functions' BARs `index` take (0: none), and each of them. */
uint64_t pci_sriov_bar_size(const struct pci_function *pf, unsigned int index, uint64_t *each);
uint32_t pci_sriov_bar_flags(const struct pci_function *pf, unsigned int index);
/* The config register of VF BAR `index`. */
uint16_t pci_sriov_bar_register(const struct pci_function *pf, unsigned int index);

/* port.c */
void pci_ports_destroy(struct pci_fabric *fabric);
struct pci_port *pci_port_next(struct pci_port *port);
struct pci_function *pci_port_function(struct pci_port *port);
/* The port's registers were loaded: what is behind follows. */
void pci_port_loaded(struct pci_port *port);
const struct pci_port_config *pci_port_config(const struct pci_port *port);
/* The port a function is, or NULL. */
struct pci_port *pci_port_of(struct pci_function *fn);
/* The ACS bits the guest has enabled at the port; 0 where it has none. */
uint16_t pci_port_acs(const struct pci_function *bridge);
/* Something came to or went from the bus behind the bridge. */
void pci_port_presence(struct pci_function *bridge);
/* The bridge passes config accesses down: powered, and not holding what is behind in reset. */
bool pci_bridge_passes_config(const struct pci_function *bridge);
/* Sends config accesses of all 256 functions on, and not of device 0 alone (PCIe 6.0, 6.13). */
bool pci_bridge_forwards_ari(const struct pci_function *bridge);
/* All of the range goes through to the secondary bus. */
bool pci_bridge_forwards(const struct pci_function *bridge, bool io, struct range range);

#endif
