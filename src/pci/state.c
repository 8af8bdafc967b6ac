// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Saving and loading what the guest has done to a function: the bits of config space it can write,
 * the MSI-X table, pending bits, the INTx level. What it cannot write is the function's make, and
 * has to be the same on both sides.
 *
 * A stream is hostile input: it is read and checked as a whole before anything changes, and then
 * only bits move that a guest could have written.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/endian.h"
#include "pci/bus.h"

#define FABRIC_VERSION 1
#define PORT_VERSION   1
#define HEADER_LEN     0x40 /* the registers that every function has */

struct saved {
	uint16_t config_size;
	uint8_t config[PCIE_CONFIG_SIZE];
	uint8_t wmask[HEADER_LEN];
	uint8_t level;
	uint8_t has_msi;
	uint32_t msi_pending;
	struct pci_msix_state msix;
};

void pci_function_save(struct pci_function *fn, struct state_writer *w)
{
	struct pci_msix_state *msix = calloc(1, sizeof(*msix));

	if (!msix) {
		/* As every failing put: the writer's status tells. */
		w->err = -ENOMEM;
		return;
	}
	pci_msix_get_state(fn, msix);
	state_put_u16(w, fn->config_size);
	state_put_bytes(w, fn->config, fn->config_size);
	/* The sizes of BARs are nowhere but in what can be written. */
	state_put_bytes(w, fn->wmask, HEADER_LEN);
	state_put_u8(w, __atomic_load_n(&fn->irq_pin_level, __ATOMIC_RELAXED));
	state_put_u8(w, fn->msi != NULL);
	state_put_u32(w, pci_msi_get_pending(fn));
	state_put_u16(w, (uint16_t)msix->nr);
	for (unsigned int i = 0; i < msix->nr; i++) {
		state_put_u64(w, msix->entries[i].msg.addr);
		state_put_u32(w, msix->entries[i].msg.data);
		state_put_u8(w, (uint8_t)(msix->entries[i].masked | msix->entries[i].pending << 1));
	}
	free(msix);
}

static void saved_read(struct saved *saved, struct state_reader *r)
{
	saved->config_size = state_get_u16(r);
	if (saved->config_size <= sizeof(saved->config))
		state_get_bytes(r, saved->config, saved->config_size);
	state_get_bytes(r, saved->wmask, sizeof(saved->wmask));
	saved->level = state_get_u8(r);
	saved->has_msi = state_get_u8(r);
	saved->msi_pending = state_get_u32(r);
	saved->msix.nr = state_get_u16(r);
	for (unsigned int i = 0; i < saved->msix.nr && i < PCI_MSIX_MAX; i++) {
		uint8_t bits;

		saved->msix.entries[i].msg.addr = state_get_u64(r);
		saved->msix.entries[i].msg.data = state_get_u32(r);
		bits = state_get_u8(r);
		saved->msix.entries[i].masked = bits & 1;
		saved->msix.entries[i].pending = bits >> 1 & 1;
	}
}

static uint8_t writable(const struct pci_function *fn, unsigned int offset)
{
	return fn->wmask[offset] | fn->w1c[offset];
}

/* Of the same make: ids, class, BAR sizes, which capabilities, how many vectors. */
static bool saved_matches(const struct saved *saved, const struct pci_function *fn)
{
	if (saved->config_size != fn->config_size || saved->msix.nr != pci_msix_count(fn) ||
	    saved->has_msi != (fn->msi != NULL) || saved->level > 1 ||
	    memcmp(saved->wmask, fn->wmask, HEADER_LEN))
		return false;
	for (unsigned int i = 0; i < HEADER_LEN; i++) {
		/* INTx status is worked out on every read, and not kept. */
		if ((saved->config[i] ^ fn->config[i]) & ~writable(fn, i))
			return false;
	}
	return true;
}

static void saved_apply(const struct saved *saved, struct pci_function *fn)
{
	uint16_t old = pci_command(fn);

	for (unsigned int i = 0; i < fn->config_size; i++) {
		uint8_t mask = writable(fn, i);

		fn->config[i] = (uint8_t)((fn->config[i] & ~mask) | (saved->config[i] & mask));
	}
	pci_bars_withdraw(fn);
	pci_function_refresh(fn);
	pci_function_intx_update(fn);
	if (old != pci_command(fn) && fn->ops->command_changed)
		fn->ops->command_changed(fn, old, pci_command(fn));
	pci_bars_place(fn);
	pci_bars_retry(fn->bus->fabric);
	pci_function_intx(fn, saved->level);
	pci_msix_set_state(fn, &saved->msix);
	if (fn->msix)
		pci_msix_config_written(fn);
	if (fn->msi) {
		pci_msi_set_pending(fn, saved->msi_pending);
		pci_msi_config_written(fn);
	}
	if (fn->sriov)
		pci_sriov_config_written(fn);
}

int pci_function_load(struct pci_function *fn, struct state_reader *r)
{
	struct saved *saved = calloc(1, sizeof(*saved));
	int err;

	if (!saved)
		return -ENOMEM;
	saved_read(saved, r);
	err = state_reader_status(r);
	if (!err && (!fn->bus || !saved_matches(saved, fn)))
		err = -EPROTO;
	if (!err)
		saved_apply(saved, fn);
	free(saved);
	return err;
}

void pci_fabric_save(struct pci_fabric *fabric, struct state_writer *w)
{
	lock_take(&fabric->lock);
	state_begin(w, "pci", FABRIC_VERSION);
	state_put_u32(w, fabric->config_address);
	state_put_u8(w, fabric->reset_control);
	pci_function_save(&fabric->host_bridge, w);
	state_end(w);
	for (struct pci_port *port = fabric->ports; port; port = pci_port_next(port)) {
		char id[PORT_ID_MAX] = "";

		strncpy(id, pci_port_config(port)->id, sizeof(id) - 1);
		state_begin(w, "pci port", PORT_VERSION);
		state_put_bytes(w, id, sizeof(id));
		pci_function_save(pci_port_function(port), w);
		state_end(w);
	}
	lock_drop(&fabric->lock);
}

static int port_load(struct pci_port *port, struct state_reader *r)
{
	char id[PORT_ID_MAX] = "";
	int err = 0;

	if (!state_enter(r, "pci port", PORT_VERSION))
		return state_reader_status(r);
	state_get_bytes(r, id, sizeof(id));
	if (strncmp(id, pci_port_config(port)->id, sizeof(id)))
		err = -EPROTO;
	if (!err)
		err = pci_function_load(pci_port_function(port), r);
	state_leave(r);
	if (!err)
		pci_port_loaded(port);
	return err ? err : state_reader_status(r);
}

int pci_fabric_load(struct pci_fabric *fabric, struct state_reader *r)
{
	uint32_t address;
	uint8_t control;
	int err;

	lock_take(&fabric->lock);
	state_enter(r, "pci", FABRIC_VERSION);
	address = state_get_u32(r);
	control = state_get_u8(r);
	err = pci_function_load(&fabric->host_bridge, r);
	state_leave(r);
	if (!err)
		err = state_reader_status(r);
	if (!err) {
		fabric->config_address = address & PCI_ADDRESS_WRITABLE;
		fabric->reset_control = control & PCI_RESET_KEPT;
	}
	for (struct pci_port *port = fabric->ports; port && !err; port = pci_port_next(port))
		err = port_load(port, r);
	lock_drop(&fabric->lock);
	return err;
}
