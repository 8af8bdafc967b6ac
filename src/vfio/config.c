// SPDX-License-Identifier: GPL-2.0-or-later
#include "vfio/config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/endian.h"
#include "base/log.h"
#include "vfio/container.h"
#include "vfio/pci.h"

#define CONFIG_REGION VFIO_PCI_CONFIG_REGION_INDEX
#define HEADER_LEN    0x40u

/* Link registers of an integrated endpoint that is shown behind a port: 2.5 GT/s, one lane. */
#define LINK_MINIMUM 0x11u

static void config_or(uint8_t *bytes, unsigned int at, unsigned int size, uint32_t bits)
{
	le_store(bytes + at, size, le_load(bytes + at, size) | bits);
}

/* Takes `len` bytes at `at` back to the default: zero, read-only, not passed. */
static void config_blank(struct vfio_pci *pci, unsigned int at, unsigned int len)
{
	memset(pci->fn.config + at, 0, len);
	memset(pci->fn.wmask + at, 0, len);
	memset(pci->fn.w1c + at, 0, len);
	memset(pci->space.pass_read + at, 0, len);
	memset(pci->space.pass_write + at, 0, len);
}

static void config_pass(struct vfio_pci *pci, unsigned int at, unsigned int len)
{
	memset(pci->space.pass_read + at, 0xff, len);
	memset(pci->space.pass_write + at, 0xff, len);
}

static void config_apply(struct vfio_pci *pci, unsigned int base, unsigned int len,
			 const struct vfio_reg *regs, unsigned int nr)
{
	struct vfio_config *space = &pci->space;

	for (unsigned int i = 0; i < nr; i++) {
		const struct vfio_reg *reg = &regs[i];
		unsigned int at = base + reg->offset;
		uint32_t device;

		if (reg->offset + reg->size > len)
			continue;
		device = (uint32_t)le_load(space->device + at, reg->size);
		config_or(pci->fn.config, at, reg->size, (device & reg->show) | reg->set);
		config_or(pci->fn.wmask, at, reg->size, reg->keep);
		config_or(space->pass_read, at, reg->size, reg->pass_read);
		config_or(space->pass_write, at, reg->size, reg->pass_write);
	}
}

static void config_build_pcie(struct vfio_pci *pci, const struct vfio_cap *cap)
{
	uint8_t *at = pci->fn.config + cap->offset;
	uint32_t flags = (uint32_t)le_load(at + PCI_EXP_FLAGS, 2);
	uint32_t type = FIELD_GET(PCI_EXP_TYPE, flags);
	uint32_t devcap = (uint32_t)le_load(at + PCI_EXP_DEVCAP, 4);

	pci->fn.pcie_cap = (uint8_t)cap->offset;
	/* What it is depends on where it sits, and in the guest it sits elsewhere. */
	if (pci->config.on_root_bus) {
		type = PCI_EXP_RC_ENDPOINT;
	} else if (type == PCI_EXP_RC_ENDPOINT && cap->len > PCI_EXP_LNKSTA) {
		type = PCI_EXP_ENDPOINT;
		config_or(at, PCI_EXP_LNKCAP, 4, LINK_MINIMUM);
		memset(pci->space.pass_read + cap->offset + PCI_EXP_LNKSTA, 0, 2);
		le_store(at + PCI_EXP_LNKSTA, 2, LINK_MINIMUM);
	}
	le_store(at + PCI_EXP_FLAGS, 2, (flags & ~PCI_EXP_TYPE) | FIELD_PREP(PCI_EXP_TYPE, type));
	if (vfio_reset_is_local(pci))
		devcap |= PCI_EXP_DEVCAP_FLR;
	le_store(at + PCI_EXP_DEVCAP, 4, devcap);
}

/* Only the size it has: 2^(20 + n) bytes is bit n + 4 of the first register, or of the second. */
static void config_build_rebar(struct vfio_pci *pci, const struct vfio_cap *cap)
{
	for (unsigned int at = cap->offset + 4u; at + 8 <= cap->offset + (unsigned int)cap->len;
	     at += 8) {
		uint32_t control = (uint32_t)le_load(pci->fn.config + at + 4, 4);
		unsigned int size = FIELD_GET(GENMASK(13, 8), control);

		le_store(pci->fn.config + at, 4, size < 28 ? BIT(size + 4) : 0);
		if (size >= 28 && size < 44)
			config_or(pci->fn.config, at + 4, 4, BIT(size - 28 + 16));
	}
}

static void config_build_table(struct vfio_pci *pci, const struct vfio_cap *cap)
{
	config_apply(pci, cap->offset, cap->len, cap->rule->regs, cap->rule->nr_regs);
	if (cap->extended) {
		if (cap->id == PCI_EXT_CAP_REBAR)
			config_build_rebar(pci, cap);
		return;
	}
	switch (cap->id) {
	case PCI_CAP_PM:
		pci->fn.pm_cap = (uint8_t)cap->offset;
		break;
	case PCI_CAP_PCIE:
		config_build_pcie(pci, cap);
		break;
	case PCI_CAP_AF:
		if (vfio_reset_is_local(pci))
			pci->space.af_cap = (uint8_t)cap->offset;
		else
			pci->fn.config[cap->offset + 3] = 0;
		break;
	}
}

static void config_build_cap(struct vfio_pci *pci, const struct vfio_cap *cap)
{
	unsigned int header = cap->extended ? 4 : 2;

	config_blank(pci, cap->offset, cap->len);
	switch (cap->policy) {
	case VFIO_CAP_HIDE:
		return;
	case VFIO_CAP_SHOW:
		memcpy(pci->fn.config + cap->offset + header,
		       pci->space.device + cap->offset + header, cap->len - header);
		break;
	case VFIO_CAP_PASS:
		config_pass(pci, cap->offset + header, cap->len - header);
		break;
	case VFIO_CAP_TABLE:
		config_build_table(pci, cap);
		break;
	case VFIO_CAP_MSI:
	case VFIO_CAP_MSIX:
		/* vfio/irq.c and pci/ fill them in. */
		break;
	}
}

/* The two lists, of what is not hidden, in the order the device has them. */
static void config_build_chains(struct vfio_pci *pci)
{
	const struct vfio_caps *caps = &pci->space.caps;
	uint8_t *config = pci->fn.config;
	unsigned int link = PCI_CAP_PTR, head = 0;

	for (unsigned int i = 0; i < caps->nr; i++) {
		const struct vfio_cap *cap = &caps->cap[i];

		if (cap->extended || cap->policy == VFIO_CAP_HIDE)
			continue;
		config[link] = (uint8_t)cap->offset;
		config[cap->offset] = (uint8_t)cap->id;
		config[cap->offset + 1] = 0;
		link = cap->offset + 1u;
		config_or(config, PCI_STATUS, 2, PCI_STATUS_CAPS);
	}
	for (unsigned int i = 0; i < caps->nr; i++) {
		const struct vfio_cap *cap = &caps->cap[i];

		if (!cap->extended || cap->policy == VFIO_CAP_HIDE)
			continue;
		le_store(config + cap->offset, 4,
			 FIELD_PREP(PCI_EXT_CAP_ID, cap->id) |
				 FIELD_PREP(PCI_EXT_CAP_VERSION, cap->version));
		/* A hidden first entry becomes a null one, since the list begins at 0x100. */
		if (head || cap->offset != PCI_EXT_CAPS)
			config_or(config, head ? head : PCI_EXT_CAPS, 4,
				  FIELD_PREP(PCI_EXT_CAP_NEXT, (uint32_t)cap->offset));
		head = cap->offset;
	}
}

static int config_read_device(struct vfio_pci *pci, unsigned int len, struct diag *diag)
{
	struct vfio_config *space = &pci->space;
	int err = vfio_device_read(&pci->device, CONFIG_REGION, 0, space->device, len);

	if (err)
		return diag_set(diag, err, pci->device.name, "its config space cannot be read: %s",
				strerror(-err));
	if (le_load(space->device, 2) == 0xffff)
		return diag_set(diag, -EIO, pci->device.name,
				"its config space reads as all ones: the device does not answer");
	return 0;
}

int vfio_config_open(struct vfio_pci *pci, struct diag *diag)
{
	struct vfio_config *space = &pci->space;
	int err = config_read_device(pci, HEADER_LEN, diag);
	uint16_t command;

	if (err)
		return err;
	if ((space->device[PCI_HEADER_TYPE] & PCI_HEADER_TYPE_MASK) != PCI_HEADER_NORMAL)
		return diag_set(
			diag, -ENOTSUP, pci->device.name,
			"it is a bridge: it carries other devices and cannot be given away");
	/*
	 * Decode stays on in the device whatever the guest does: its BARs are where the host put
	 * them, and a mapping of a BAR that does not decode faults.
	 */
	command = (uint16_t)le_load(space->device + PCI_COMMAND, 2);
	space->base_command = (uint16_t)(command & ~(PCI_COMMAND_MASTER | PCI_COMMAND_INTX_OFF));
	if (vfio_bars_have(pci, false))
		space->base_command |= PCI_COMMAND_MEMORY;
	if (vfio_bars_have(pci, true))
		space->base_command |= PCI_COMMAND_IO;
	space->command = -1;
	return 0;
}

int vfio_config_build(struct vfio_pci *pci, struct diag *diag)
{
	struct vfio_config *space = &pci->space;
	struct vfio_cap *msi;
	int err;

	pci->fn.config_size = pci->device.region[CONFIG_REGION].size >= PCIE_CONFIG_SIZE
				      ? PCIE_CONFIG_SIZE
				      : PCI_CONFIG_SIZE;
	err = config_read_device(pci, pci->fn.config_size, diag);
	if (err)
		return err;
	vfio_caps_read(space->device, pci->fn.config_size, &space->caps);

	config_apply(pci, 0, HEADER_LEN, vfio_header_regs, vfio_nr_header_regs);
	/* A kind of interrupt that VFIO does not offer does not exist: VFs have no INTx pin. */
	if (!pci->device.irq[VFIO_PCI_INTX_IRQ_INDEX].count)
		pci->fn.config[PCI_IRQ_PIN] = 0;
	msi = vfio_caps_find(&space->caps, false, PCI_CAP_MSI);
	if (msi && !pci->device.irq[VFIO_PCI_MSI_IRQ_INDEX].count) {
		msi->policy = VFIO_CAP_HIDE;
		msi->reason = "VFIO offers no MSI";
	}
	vfio_msix_locate(pci);

	config_pass(pci, 0x40, PCI_CONFIG_SIZE - 0x40);
	if (pci->fn.config_size == PCIE_CONFIG_SIZE)
		config_pass(pci, PCI_EXT_CAPS + 4, PCIE_CONFIG_SIZE - PCI_EXT_CAPS - 4);
	for (unsigned int i = 0; i < space->caps.nr; i++)
		config_build_cap(pci, &space->caps.cap[i]);
	config_build_chains(pci);
	return 0;
}

void vfio_config_command(struct vfio_pci *pci)
{
	struct vfio_config *space = &pci->space;
	uint16_t guest = (uint16_t)le_load(pci->fn.config + PCI_COMMAND, 2);
	uint16_t want = space->base_command | (guest & PCI_COMMAND_INTX_OFF);
	bool d0 = !pci->fn.pm_cap ||
		  !(pci->fn.config[pci->fn.pm_cap + PCI_PM_CONTROL] & PCI_PM_STATE);
	bool master;
	le16 wire;
	int err;

	if (pci->device.fd < 0)
		return;
	/* Not in the middle of a bus reset either, whose turn at this function may yet come. */
	master = (guest & PCI_COMMAND_MASTER) && d0 && pci->may_master && !pci->stopped &&
		 !pci_function_in_bus_reset(&pci->fn);
	if (pci->nest.on)
		master = vfio_nest_ready(pci, master) && master;
	else
		master = master && vfio_context_mapped(pci->context);
	if (master)
		want |= PCI_COMMAND_MASTER;
	if (want == space->command)
		return;
	wire = le16_make(want);
	atomic_fetch_add_explicit(&space->nr_accesses, 1, memory_order_relaxed);
	err = vfio_device_write(&pci->device, CONFIG_REGION, PCI_COMMAND, &wire, sizeof(wire));
	if (err) {
		log_limited(&pci->log, LOG_ERROR, pci->device.name,
			    "its command register cannot be written: %s", strerror(-err));
		space->command = -1;
		return;
	}
	space->command = want;
	if (want & PCI_COMMAND_MASTER)
		space->touched = true;
}

void vfio_config_forget(struct vfio_pci *pci)
{
	pci->space.command = -1;
	pci->space.touched = false;
}

uint32_t vfio_config_read(struct pci_function *fn, uint16_t offset, unsigned int size)
{
	struct vfio_pci *pci = vfio_pci_of(fn);
	struct vfio_config *space = &pci->space;
	uint32_t pass = (uint32_t)le_load(space->pass_read + offset, size);
	uint32_t value;
	uint8_t wire[4];

	/* Pulled out, as far as the guest can tell: nothing answers. */
	if (pci->stopped)
		return UINT32_MAX;
	value = pci_config_get(fn, offset, size);
	if (!pass)
		return value;
	atomic_fetch_add_explicit(&space->nr_accesses, 1, memory_order_relaxed);
	if (vfio_device_read(&pci->device, CONFIG_REGION, offset, wire, size))
		return UINT32_MAX;
	return (value & ~pass) | ((uint32_t)le_load(wire, size) & pass);
}

/* Writes the bits that pass; the rest of the register keeps what the device has there. */
static void config_forward(struct vfio_pci *pci, unsigned int at, unsigned int size, uint32_t value)
{
	struct vfio_config *space = &pci->space;
	uint32_t pass = (uint32_t)le_load(space->pass_write + at, size);
	uint8_t wire[4];
	int err = 0;

	if (!pass)
		return;
	/* A register is at most 16 bits wide where only some of its bits pass. */
	if (size == 4 && pass != UINT32_MAX) {
		config_forward(pci, at, 2, value & 0xffff);
		config_forward(pci, at + 2, 2, value >> 16);
		return;
	}
	atomic_fetch_add_explicit(&space->nr_accesses, 1, memory_order_relaxed);
	if (pass != bytes_mask(size)) {
		err = vfio_device_read(&pci->device, CONFIG_REGION, at, wire, size);
		value = ((uint32_t)le_load(wire, size) & ~pass) | (value & pass);
	}
	le_store(wire, size, value);
	if (!err)
		err = vfio_device_write(&pci->device, CONFIG_REGION, at, wire, size);
	if (err)
		log_limited(&pci->log, LOG_WARNING, pci->device.name,
			    "config write at 0x%x failed: %s", at, strerror(-err));
	space->touched = true;
}

/* The byte of an access that falls on `at`; -1 when none does. */
static int config_byte_of(unsigned int offset, unsigned int size, uint32_t value, unsigned int at)
{
	if (at < offset || at >= offset + size)
		return -1;
	return (uint8_t)(value >> (8 * (at - offset)));
}

void vfio_config_write(struct pci_function *fn, uint16_t offset, unsigned int size, uint32_t value)
{
	struct vfio_pci *pci = vfio_pci_of(fn);
	unsigned int pm = fn->pm_cap ? fn->pm_cap + PCI_PM_CONTROL : 0;
	int byte;

	if (pci->stopped)
		return;
	config_forward(pci, offset, size, value);

	byte = pm ? config_byte_of(offset, size, value, pm) : -1;
	/* D1 and D2 are not offered: a write of them changes nothing (PCI PM 1.2, 3.2.4). */
	if (byte >= 0 && ((byte & PCI_PM_STATE) == 1 || (byte & PCI_PM_STATE) == 2)) {
		unsigned int shift = 8 * (pm - offset);

		value &= ~(PCI_PM_STATE << shift);
		value |= (fn->config[pm] & PCI_PM_STATE) << shift;
	}
	pci_config_put(fn, offset, size, value);
	if (byte >= 0)
		vfio_config_command(pci);

	if (pci->space.af_cap) {
		byte = config_byte_of(offset, size, value, pci->space.af_cap + 4u);
		if (byte >= 0 && (byte & BIT(0)))
			pci_function_reset(fn);
	}
}
