// SPDX-License-Identifier: GPL-2.0-or-later
#include "vfio/rom.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/endian.h"
#include "base/log.h"
#include "vfio/pci.h"

/* The register can say 2 KiB at least (PCI 3.0, 6.2.5.2); no ROM comes near 16 MiB. */
#define ROM_LEAST KIB(2)
#define ROM_MOST  MIB(16)

static void rom_load(struct vfio_pci *pci)
{
	struct vfio_rom *rom = &pci->rom;
	uint64_t size = pci->device.region[VFIO_PCI_ROM_REGION_INDEX].size;
	uint8_t *data;
	int err = 0;

	data = malloc(rom->size);
	if (data) {
		memset(data, 0xff, rom->size);
		err = vfio_device_read(&pci->device, VFIO_PCI_ROM_REGION_INDEX, 0, data,
				       min_u64(size, rom->size));
	}
	/* Tried once: a ROM that cannot be read is an absent one, which reads as all ones. */
	if (!data || err)
		log_warning(pci->device.name,
			    "its expansion ROM cannot be read (%s); give one by rom=FILE",
			    strerror(data ? -err : ENOMEM));
	if (err) {
		free(data);
		data = NULL;
	}
	rom->data = data;
	rom->loaded = true;
}

static uint64_t rom_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct vfio_pci *pci = opaque;
	struct vfio_rom *rom = &pci->rom;
	uint64_t value;

	lock_take(&rom->lock);
	if (!rom->loaded)
		rom_load(pci);
	value = rom->data ? le_load(rom->data + offset, size) : bytes_mask(size);
	lock_drop(&rom->lock);
	return value;
}

static void rom_write(void *opaque, uint64_t offset, unsigned int size, uint64_t value)
{
	/* Read-only memory. */
}

static const struct bus_region_ops rom_ops = {
	.read = rom_read,
	.write = rom_write,
};

static int rom_read_file(struct vfio_pci *pci, struct diag *diag)
{
	struct sys *sys = pci->device.sys;
	struct vfio_rom *rom = &pci->rom;
	const char *path = pci->config.rom_file;
	int fd = sys_open(sys, SYS_FILE_READ, path);
	uint64_t size = 0;
	int err;

	if (fd < 0)
		return diag_set(diag, fd, path, "cannot be opened: %s", strerror(-fd));
	err = sys->ops->size(sys, fd, &size);
	if (!err && (!size || size > ROM_MOST)) {
		err = -EINVAL;
		diag_set(diag, err, path, "%" PRIu64 " bytes is no size of an expansion ROM", size);
	}
	for (rom->size = ROM_LEAST; rom->size < size;)
		rom->size *= 2;
	if (!err) {
		rom->data = malloc(rom->size);
		err = rom->data ? 0 : -ENOMEM;
	}
	if (!err) {
		memset(rom->data, 0xff, rom->size);
		err = sys_pread_full(sys, fd, rom->data, size, 0);
	}
	sys_close(sys, &fd);
	if (err)
		return diag_set(diag, err, path, "cannot be read: %s", strerror(-err));
	rom->loaded = true;
	return 0;
}

int vfio_rom_build(struct vfio_pci *pci, struct diag *diag)
{
	struct vfio_rom *rom = &pci->rom;
	uint64_t size = pci->device.region[VFIO_PCI_ROM_REGION_INDEX].size;
	int err = 0;

	if (pci->config.rom_off)
		return 0;
	if (pci->config.rom_file)
		err = rom_read_file(pci, diag);
	else if (size && size <= ROM_MOST)
		for (rom->size = ROM_LEAST; rom->size < size;)
			rom->size *= 2;
	if (err || !rom->size)
		return err;
	snprintf(pci->bars.name[PCI_BAR_ROM], sizeof(pci->bars.name[0]), "%s ROM",
		 pci->device.name);
	err = pci_bar_declare(&pci->fn, PCI_BAR_ROM, rom->size, 0);
	if (!err)
		err = pci_bar_add_trap(&pci->fn, PCI_BAR_ROM, 0, rom->size,
				       pci->bars.name[PCI_BAR_ROM], &rom_ops, pci);
	if (err)
		return diag_set(diag, err, pci->device.name, "its expansion ROM cannot be shown");
	return 0;
}

void vfio_rom_fini(struct vfio_pci *pci)
{
	free(pci->rom.data);
	pci->rom.data = NULL;
}
