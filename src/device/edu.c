// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The teaching device: registers, interrupts, life. What takes time (a factorial, a transfer) is done
 * on the loop's thread, so that a guest sees it busy as it would hardware.
 */
#include "device/edu.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/endian.h"
#include "device/edu_engine.h"
#include "pci/express.h"
#include "pci/fabric.h"
#include "pci/msix.h"

#define EDU_STATE_VERSION 1
#define EDU_MSI_LEN	  0x18
#define EDU_ATS_LEN	  8
/* From here on products of 1..n have 32 factors of two: nothing is left of them in 32 bits. */
#define EDU_FACTORIAL_ZERO 34

struct edu_dma {
	uint64_t source, destination, count;
	uint32_t command;
};

struct edu {
	struct device dev;
	struct pci_function fn;
	struct edu_config config;
	struct edu_engine engine;
	uint16_t ats_cap;
	struct loop_work work;

	struct lock lock; /* LOCK_DEVICE: what follows */
	uint32_t liveness, factorial, status, irq_status;
	struct edu_dma dma;
	uint32_t result;
	uint64_t clean_address, clean_length;
	bool reset, ats, declared; /* the loop thread owes a reset, a look at ATS, a declaration */
};

static struct edu *edu_of(struct device *dev)
{
	return container_of(dev, struct edu, dev);
}

/* ---- interrupts ---- */

static void edu_raise_locked(struct edu *edu, uint32_t bits)
{
	edu->irq_status |= bits;
	if (!edu->irq_status)
		return;
	/* Whichever of the two the guest has enabled. */
	pci_function_intx(&edu->fn, true);
	pci_msi_fire(&edu->fn, 0);
}

static void edu_acknowledge_locked(struct edu *edu, uint32_t bits)
{
	edu->irq_status &= ~bits;
	if (!edu->irq_status)
		pci_function_intx(&edu->fn, false);
}

/* ---- work ---- */

static void edu_settle(struct edu *edu)
{
	bool reset, ats, declared;
	uint64_t clean_address, clean_length;

	lock_take(&edu->lock);
	reset = edu->reset;
	ats = edu->ats;
	declared = edu->declared;
	clean_address = edu->clean_address;
	clean_length = edu->clean_length;
	edu->reset = edu->declared = false;
	lock_drop(&edu->lock);

	if (reset)
		edu_engine_reset(&edu->engine);
	edu_engine_ats(&edu->engine, ats);
	if (declared)
		edu_engine_clean(&edu->engine, clean_address, clean_length);
}

static uint32_t factorial(uint32_t n)
{
	uint32_t product = 1;

	if (n >= EDU_FACTORIAL_ZERO)
		return 0;
	for (; n > 1; n--)
		product *= n;
	return product;
}

static void edu_compute_locked(struct edu *edu)
{
	if (!(edu->status & EDU_STATUS_COMPUTING))
		return;
	edu->factorial = factorial(edu->factorial);
	edu->status &= ~EDU_STATUS_COMPUTING;
	if (edu->status & EDU_STATUS_INTERRUPT)
		edu_raise_locked(edu, EDU_IRQ_FACTORIAL);
}

static uint64_t edu_lines(const struct edu *edu, uint64_t addr)
{
	return addr & GENMASK64(edu->config.dma_bits - 1, 0);
}

static void edu_transfer(struct edu *edu)
{
	struct edu_dma dma;
	uint32_t result;

	lock_take(&edu->lock);
	dma = edu->dma;
	lock_drop(&edu->lock);
	if (!(dma.command & EDU_DMA_RUN))
		return;
	/* Without the lock: an invalidation, or another device, may be waited for. */
	if (dma.command & EDU_DMA_TO_MEMORY)
		result = edu_engine_run(&edu->engine, dma.source, edu_lines(edu, dma.destination),
					dma.count, true);
	else
		result = edu_engine_run(&edu->engine, dma.destination, edu_lines(edu, dma.source),
					dma.count, false);
	lock_take(&edu->lock);
	/* A reset meanwhile has taken the command back. */
	if (edu->dma.command & EDU_DMA_RUN) {
		edu->result = result;
		edu->dma.command &= ~EDU_DMA_RUN;
		if (edu->dma.command & EDU_DMA_INTERRUPT)
			edu_raise_locked(edu, EDU_IRQ_DMA);
	}
	lock_drop(&edu->lock);
}

static void edu_work(void *opaque)
{
	struct edu *edu = opaque;

	edu_settle(edu);
	lock_take(&edu->lock);
	edu_compute_locked(edu);
	lock_drop(&edu->lock);
	edu_transfer(edu);
}

static void edu_post(struct edu *edu)
{
	loop_post(edu->fn.platform->loop, &edu->work);
}

/* ---- registers ---- */

static uint64_t edu_read_locked(struct edu *edu, uint64_t offset)
{
	switch (offset) {
	case EDU_ID:
		return EDU_ID_VALUE;
	case EDU_LIVENESS:
		return edu->liveness;
	case EDU_FACTORIAL:
		return edu->factorial;
	case EDU_STATUS:
		return edu->status;
	case EDU_IRQ_STATUS:
		return edu->irq_status;
	case EDU_DMA_SOURCE:
		return edu->dma.source;
	case EDU_DMA_DESTINATION:
		return edu->dma.destination;
	case EDU_DMA_COUNT:
		return edu->dma.count;
	case EDU_DMA_COMMAND:
		return edu->dma.command;
	case EDU_DMA_RESULT:
		return edu->result;
	case EDU_BEHAVIOUR:
		return edu->config.ats ? atomic_load(&edu->engine.behaviour) : UINT64_MAX;
	case EDU_CLEAN_ADDRESS:
		return edu->config.no_snoop ? edu->clean_address : UINT64_MAX;
	case EDU_CLEAN_LENGTH:
		return edu->config.no_snoop ? edu->clean_length : UINT64_MAX;
	case EDU_UNCLEAN_COUNT:
		return edu->config.no_snoop ? atomic_load(&edu->engine.nr_unclean) : UINT64_MAX;
	default:
		return UINT64_MAX;
	}
}

static bool edu_access_ok(uint64_t offset, unsigned int size)
{
	return size == 4 || (size == 8 && offset >= EDU_DMA_SOURCE);
}

static uint64_t edu_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct edu *edu = opaque;
	uint64_t value;

	if (!edu_access_ok(offset, size))
		return UINT64_MAX;
	lock_take(&edu->lock);
	value = edu_read_locked(edu, offset);
	lock_drop(&edu->lock);
	return value;
}

/* The engine's registers stand still while it runs. True when there is work to do. */
static bool edu_write_dma_locked(struct edu *edu, uint64_t offset, uint64_t value)
{
	if (edu->dma.command & EDU_DMA_RUN)
		return false;
	switch (offset) {
	case EDU_DMA_SOURCE:
		edu->dma.source = value;
		return false;
	case EDU_DMA_DESTINATION:
		edu->dma.destination = value;
		return false;
	case EDU_DMA_COUNT:
		edu->dma.count = value;
		return false;
	default:
		if (!(value & EDU_DMA_RUN))
			return false;
		edu->dma.command =
			(uint32_t)value & (EDU_DMA_RUN | EDU_DMA_TO_MEMORY | EDU_DMA_INTERRUPT);
		return true;
	}
}

static bool edu_write_locked(struct edu *edu, uint64_t offset, uint64_t value)
{
	switch (offset) {
	case EDU_LIVENESS:
		edu->liveness = ~(uint32_t)value;
		return false;
	case EDU_FACTORIAL:
		if (edu->status & EDU_STATUS_COMPUTING)
			return false;
		edu->factorial = (uint32_t)value;
		edu->status |= EDU_STATUS_COMPUTING;
		return true;
	case EDU_STATUS:
		edu->status = (edu->status & ~EDU_STATUS_INTERRUPT) |
			      ((uint32_t)value & EDU_STATUS_INTERRUPT);
		return false;
	case EDU_IRQ_RAISE:
		edu_raise_locked(edu, (uint32_t)value);
		return false;
	case EDU_IRQ_ACK:
		edu_acknowledge_locked(edu, (uint32_t)value);
		return false;
	case EDU_DMA_SOURCE:
	case EDU_DMA_DESTINATION:
	case EDU_DMA_COUNT:
	case EDU_DMA_COMMAND:
		return edu_write_dma_locked(edu, offset, value);
	case EDU_BEHAVIOUR:
		if (edu->config.ats)
			atomic_store(&edu->engine.behaviour,
				     (uint32_t)value & (EDU_KEEP | EDU_MUTE | EDU_FORGE));
		return false;
	case EDU_CLEAN_ADDRESS:
		edu->clean_address = value;
		return false;
	case EDU_CLEAN_LENGTH:
		edu->clean_length = value;
		edu->declared = edu->config.no_snoop;
		return edu->declared;
	default:
		return false;
	}
}

static void edu_write(void *opaque, uint64_t offset, unsigned int size, uint64_t value)
{
	struct edu *edu = opaque;
	bool work;

	if (!edu_access_ok(offset, size))
		return;
	lock_take(&edu->lock);
	work = edu_write_locked(edu, offset, value);
	lock_drop(&edu->lock);
	if (work)
		edu_post(edu);
}

static const struct bus_region_ops edu_region_ops = {
	.read = edu_read,
	.write = edu_write,
};

/* ---- config space ---- */

static struct edu *edu_of_function(struct pci_function *fn)
{
	return container_of(fn, struct edu, fn);
}

static void edu_ats_changed(struct edu *edu)
{
	bool enabled = edu->ats_cap &&
		       le_load(&edu->fn.config[edu->ats_cap + PCI_ATS_CTRL], 2) & PCI_ATS_ENABLE;

	lock_take(&edu->lock);
	edu->ats = enabled;
	lock_drop(&edu->lock);
	edu_post(edu);
}

/* Under LOCK_FABRIC, so what waits is left to the loop: transfers come after it there. */
static void edu_config_write(struct pci_function *fn, uint16_t offset, unsigned int size,
			     uint32_t value)
{
	struct edu *edu = edu_of_function(fn);

	pci_config_put(fn, offset, size, value);
	if (edu->ats_cap && offset < edu->ats_cap + EDU_ATS_LEN && edu->ats_cap < offset + size)
		edu_ats_changed(edu);
}

static void edu_clear(struct edu *edu)
{
	lock_take(&edu->lock);
	edu->liveness = edu->factorial = edu->status = 0;
	edu_acknowledge_locked(edu, ~0u);
	memset(&edu->dma, 0, sizeof(edu->dma));
	edu->result = EDU_RESULT_OK;
	edu->clean_address = edu->clean_length = 0;
	edu->declared = edu->ats = false;
	edu->reset = true;
	lock_drop(&edu->lock);
	edu_post(edu);
}

static void edu_function_reset(struct pci_function *fn)
{
	edu_clear(edu_of_function(fn));
}

static const struct pci_function_ops edu_function_ops = {
	.config_write = edu_config_write,
	.reset = edu_function_reset,
};

static int edu_add_ats(struct edu *edu)
{
	struct pci_function *fn = &edu->fn;
	int err = pci_add_ext_capability(fn, PCI_EXT_CAP_ATS, 1, EDU_ATS_LEN, &edu->ats_cap);

	if (err)
		return err;
	/* Addresses of invalidations are aligned to pages (PCIe 6.0, 10.5.1.2). */
	pci_config_set(fn, edu->ats_cap + PCI_ATS_CAP, 2, PCI_ATS_CAP_ALIGNED);
	pci_config_permit(fn, edu->ats_cap + PCI_ATS_CTRL, 2, PCI_ATS_ENABLE | PCI_ATS_STU, 0);
	return 0;
}

static int edu_add_capabilities(struct edu *edu)
{
	struct pci_function *fn = &edu->fn;
	uint8_t cap;
	int err = pci_add_capability(fn, PCI_CAP_MSI, EDU_MSI_LEN, &cap);

	if (err)
		return err;
	pci_config_set(fn, cap + PCI_MSI_CONTROL, 2, PCI_MSI_64 | PCI_MSI_MASKING);
	err = pci_msi_init(fn, cap);
	if (!err)
		err = pci_express_endpoint(fn, edu->config.integrated);
	if (!err && edu->config.ats)
		err = edu_add_ats(edu);
	return err;
}

/* ---- life ---- */

static void edu_reset(struct device *dev)
{
	edu_clear(edu_of(dev));
	/* Its translations go before the unit's do. */
	edu_settle(edu_of(dev));
}

/* A transfer is over before the loop does anything else; what was only asked for is done now. */
static void edu_quiesce(struct device *dev)
{
	edu_work(edu_of(dev));
}

static void edu_save(struct device *dev, struct state_writer *w)
{
	struct edu *edu = edu_of(dev);
	struct lock *fabric = pci_fabric_lock(pci_bus_fabric(edu->fn.bus));

	lock_take(fabric);
	lock_take(&edu->lock);
	state_begin(w, dev->name, EDU_STATE_VERSION);
	state_put_u32(w, edu->liveness);
	state_put_u32(w, edu->factorial);
	state_put_u32(w, edu->status);
	state_put_u32(w, edu->irq_status);
	state_put_u64(w, edu->dma.source);
	state_put_u64(w, edu->dma.destination);
	state_put_u64(w, edu->dma.count);
	state_put_u32(w, edu->dma.command);
	state_put_u32(w, edu->result);
	state_put_u32(w, atomic_load(&edu->engine.behaviour));
	state_put_u64(w, edu->clean_address);
	state_put_u64(w, edu->clean_length);
	state_put_bytes(w, edu->engine.buffer, sizeof(edu->engine.buffer));
	lock_drop(&edu->lock);
	pci_function_save(&edu->fn, w);
	state_end(w);
	lock_drop(fabric);
}

static void edu_load_registers(struct edu *edu, struct state_reader *r)
{
	edu->liveness = state_get_u32(r);
	edu->factorial = state_get_u32(r);
	edu->status = state_get_u32(r) & EDU_STATUS_INTERRUPT;
	edu->irq_status = state_get_u32(r);
	edu->dma.source = state_get_u64(r);
	edu->dma.destination = state_get_u64(r);
	edu->dma.count = state_get_u64(r);
	/* Quiesced: it is not running. */
	edu->dma.command = state_get_u32(r) & (EDU_DMA_TO_MEMORY | EDU_DMA_INTERRUPT);
	edu->result = state_get_u32(r);
	atomic_store(&edu->engine.behaviour, state_get_u32(r) & (EDU_KEEP | EDU_MUTE | EDU_FORGE));
	edu->clean_address = state_get_u64(r);
	edu->clean_length = state_get_u64(r);
	state_get_bytes(r, edu->engine.buffer, sizeof(edu->engine.buffer));
}

static int edu_load(struct device *dev, struct state_reader *r)
{
	struct edu *edu = edu_of(dev);
	struct lock *fabric = pci_fabric_lock(pci_bus_fabric(edu->fn.bus));
	int err;

	edu_settle(edu);
	lock_take(fabric);
	state_enter(r, dev->name, EDU_STATE_VERSION);
	lock_take(&edu->lock);
	edu_load_registers(edu, r);
	lock_drop(&edu->lock);
	err = pci_function_load(&edu->fn, r);
	state_leave(r);
	if (!err)
		err = state_reader_status(r);
	if (err)
		edu_clear(edu);
	else
		edu_ats_changed(edu);
	lock_drop(fabric);
	return err;
}

static void edu_destroy(struct device *dev)
{
	struct edu *edu = edu_of(dev);

	pci_function_detach(&edu->fn);
	platform_synchronize(edu->fn.platform);
	loop_cancel(edu->fn.platform->loop, &edu->work);
	edu_engine_fini(&edu->engine);
	pci_function_fini(&edu->fn);
	lock_fini(&edu->lock);
	free(edu);
}

static const struct device_ops edu_device_ops = {
	.reset = edu_reset,
	.quiesce = edu_quiesce,
	.save = edu_save,
	.load = edu_load,
	.destroy = edu_destroy,
};

int edu_create(struct platform *platform, const struct edu_config *config, struct device **out)
{
	static const struct pci_ids ids = {
		.vendor = EDU_VENDOR,
		.device = EDU_DEVICE,
		.class_code = EDU_CLASS,
		.revision = EDU_REVISION,
	};
	struct edu *edu = calloc(1, sizeof(*edu));
	int err;

	if (!edu)
		return -ENOMEM;
	edu->dev.ops = &edu_device_ops;
	edu->config = *config;
	snprintf(edu->dev.name, sizeof(edu->dev.name), "%s", config->name);
	edu->config.name = edu->dev.name;
	edu->work = (struct loop_work){ .fn = edu_work, .opaque = edu };
	lock_init(&edu->lock, LOCK_DEVICE);
	pci_function_init(&edu->fn, platform, &edu->dev, &edu_function_ops, &ids, edu->dev.name);
	pci_config_set(&edu->fn, PCI_IRQ_PIN, 1, 1);
	err = pci_bar_declare(&edu->fn, 0, EDU_BAR_SIZE, 0);
	if (!err)
		err = pci_bar_add_trap(&edu->fn, 0, 0, EDU_BAR_SIZE, edu->dev.name, &edu_region_ops,
				       edu);
	if (!err)
		err = edu_add_capabilities(edu);
	if (!err)
		err = edu_engine_init(&edu->engine, &edu->fn, config->no_snoop);
	if (err) {
		pci_function_fini(&edu->fn);
		lock_fini(&edu->lock);
		free(edu);
		return err;
	}
	*out = &edu->dev;
	return 0;
}

struct pci_function *edu_function(struct device *dev)
{
	return &edu_of(dev)->fn;
}
