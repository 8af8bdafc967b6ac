// SPDX-License-Identifier: GPL-2.0-or-later
/* The devices of the fake VFIO kernel as they are made, and as sysfs shows them. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/endian.h"
#include "fake/vfio.h"
#include "pci/pci_regs.h"

static void config_capabilities(uint8_t *c)
{
	c[PCI_STATUS] = PCI_STATUS_CAPS;
	c[PCI_CAP_PTR] = FAKE_VFIO_PM;

	le_store(c + FAKE_VFIO_PM, 2, PCI_CAP_PM | FAKE_VFIO_MSI << 8);
	le_store(c + FAKE_VFIO_PM + PCI_PM_CAPS, 2, 0xfe03);

	le_store(c + FAKE_VFIO_MSI, 2, PCI_CAP_MSI | FAKE_VFIO_MSIX << 8);
	le_store(c + FAKE_VFIO_MSI + PCI_MSI_CONTROL, 2,
		 PCI_MSI_64 | PCI_MSI_MASKING | FIELD_PREP(PCI_MSI_CAPABLE, 2));

	le_store(c + FAKE_VFIO_MSIX, 2, PCI_CAP_MSIX | FAKE_VFIO_PCIE << 8);
	le_store(c + FAKE_VFIO_MSIX + PCI_MSIX_CONTROL, 2, 7);
	le_store(c + FAKE_VFIO_MSIX + PCI_MSIX_TABLE, 4, FAKE_VFIO_TABLE);
	le_store(c + FAKE_VFIO_MSIX + PCI_MSIX_PBA, 4, FAKE_VFIO_PBA);

	le_store(c + FAKE_VFIO_PCIE, 2, PCI_CAP_PCIE | FAKE_VFIO_VENDOR << 8);
	le_store(c + FAKE_VFIO_PCIE + PCI_EXP_FLAGS, 2, 2);
	le_store(c + FAKE_VFIO_PCIE + PCI_EXP_DEVCAP, 4,
		 PCI_EXP_DEVCAP_FLR | PCI_EXP_DEVCAP_RBER | 0x18 /* phantom */ | 1);
	le_store(c + FAKE_VFIO_PCIE + PCI_EXP_DEVCTL, 2, 0x282f);
	le_store(c + FAKE_VFIO_PCIE + PCI_EXP_LNKCAP, 4, 0x00455c43);
	le_store(c + FAKE_VFIO_PCIE + PCI_EXP_LNKSTA, 2, 0x1043);

	le_store(c + FAKE_VFIO_VENDOR, 4, PCI_CAP_VENDOR | 0x10 << 16);

	le_store(c + FAKE_VFIO_AER, 4, PCI_EXT_CAP_AER | 2 << 16 | FAKE_VFIO_SERIAL << 20);
	le_store(c + FAKE_VFIO_SERIAL, 4, 3 | 1 << 16 | (uint32_t)FAKE_VFIO_SRIOV << 20);
	le_store(c + FAKE_VFIO_SERIAL + 4, 8, 0x0123456789abcdef);
	le_store(c + FAKE_VFIO_SRIOV, 4, PCI_EXT_CAP_SRIOV | 1 << 16);
	le_store(c + FAKE_VFIO_SRIOV + 4, 4, 0xdeadbeef);
}

struct fake_vfio_device *fake_vfio_add(struct fake_vfio *vfio, const char *name, int group)
{
	struct fake_vfio_device *device = &vfio->device[vfio->nr_devices];
	uint8_t *c = device->config;
	unsigned int i;

	BUG_ON(vfio->nr_devices == FAKE_VFIO_DEVICES);
	vfio->nr_devices++;
	snprintf(device->name, sizeof(device->name), "%s", name);
	strcpy(device->driver, "vfio-pci");
	strcpy(device->methods, "flr bus");
	device->group = group;
	device->config_size = sizeof(device->config);
	le_store(c + PCI_VENDOR_ID, 4, 0x00101b36);
	le_store(c + PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	le_store(c + PCI_REVISION, 4, 0x01080202);
	le_store(c + PCI_BAR0, 4, PCI_BAR_MEM64);
	le_store(c + PCI_SUBVENDOR_ID, 4, 0x11001af4);
	c[PCI_BIST] = 0x80;
	c[PCI_IRQ_PIN] = 1;
	config_capabilities(c);
	device->bar_size[0] = KIB(16);
	device->mappable[0] = true;
	device->msix_mappable = true;
	device->irq_count[VFIO_PCI_INTX_IRQ_INDEX] = 1;
	device->irq_count[VFIO_PCI_MSI_IRQ_INDEX] = 4;
	device->irq_count[VFIO_PCI_MSIX_IRQ_INDEX] = 8;
	device->irq_count[VFIO_PCI_ERR_IRQ_INDEX] = 1;
	device->irq_count[VFIO_PCI_REQ_IRQ_INDEX] = 1;
	device->host_vectors = FAKE_VFIO_VECTORS;
	device->can_reset = true;
	device->kind = VFIO_PCI_NUM_IRQS;
	device->error = device->request = -1;
	if (fake_vfio_group(vfio, group))
		return device;
	for (i = 0; vfio->group[i].there; i++)
		BUG_ON(i + 1 == FAKE_VFIO_GROUPS);
	vfio->group[i] = (struct fake_vfio_group){ .id = group, .there = true, .viable = true };
	return device;
}

struct text {
	char *at;
	size_t left;
};

__attribute__((format(printf, 2, 3))) static void text_add(struct text *text, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(text->at, text->left, fmt, args);
	va_end(args);
	BUG_ON(n < 0 || (size_t)n >= text->left);
	text->at += n;
	text->left -= (size_t)n;
}

static void publish_device(struct text *text, const struct fake_vfio_device *device)
{
	const uint8_t *c = device->config;
	const char *name = device->name;

	text_add(text, "sys bus/pci/devices/%s -> ../../../devices/pci0000:00/%s%s\n", name,
		 device->on_root_bus ? "" : "0000:00:01.0/", name);
	text_add(text, "sys bus/pci/devices/%s/config hex %u 0:", name, device->config_size);
	for (unsigned int i = 0; i < device->config_size; i++)
		text_add(text, "%02x", c[i]);
	text_add(text, "\n");
	if (device->driver[0])
		text_add(text, "sys bus/pci/devices/%s/driver -> ../../../bus/pci/drivers/%s\n",
			 name, device->driver);
	text_add(text, "sys bus/pci/devices/%s/enable = 1\\n\n", name);
	if (device->is_vf)
		text_add(text, "sys bus/pci/devices/%s/physfn -> ../0000:01:00.0\n", name);
	if (device->group >= 0)
		text_add(text,
			 "sys bus/pci/devices/%s/iommu_group -> ../../../kernel/iommu_groups/%d\n",
			 name, device->group);
	text_add(text, "sys bus/pci/devices/%s/numa_node = -1\\n\n", name);
	if (device->methods[0])
		text_add(text, "sys bus/pci/devices/%s/reset_method = %s\\n\n", name,
			 device->methods);
	text_add(text, "sys bus/pci/devices/%s/resource = ", name);
	for (unsigned int i = 0; i < 7; i++) {
		uint64_t size = i < 6 ? device->bar_size[i] : device->rom_size;
		bool io = i < 6 && (c[PCI_BAR0 + 4 * i] & PCI_BAR_IO);

		text_add(text, "0x%016llx 0x%016llx 0x%016x\\n",
			 size ? 0xc0000000ull + i * 0x1000000 : 0,
			 size ? 0xc0000000ull + i * 0x1000000 + size - 1 : 0,
			 !size ? 0
			 : io  ? 0x101
			       : 0x200 | (i == 6 ? 0x2000 : 0));
	}
	text_add(text, "\nsys bus/pci/devices/%s/uevent = ", name);
	if (device->driver[0])
		text_add(text, "DRIVER=%s\\n", device->driver);
	text_add(text,
		 "PCI_CLASS=10802\\nPCI_ID=1B36:0010\\nPCI_SUBSYS_ID=1AF4:1100\\n"
		 "PCI_SLOT_NAME=%s\\n\n",
		 name);
	if (device->group >= 0)
		text_add(text, "sys kernel/iommu_groups/%d/devices/%s -> ../../../%s\n",
			 device->group, name, name);
}

void fake_vfio_publish(struct fake_vfio *vfio)
{
	size_t room = MIB(1);
	char *buf = malloc(room);
	struct text text = { buf, room };
	struct diag diag = DIAG_INIT;

	BUG_ON(!buf);
	text_add(&text, "airlock-host 1\nunlisted absent\nlimit memlock 8388608 8388608\n");
	text_add(&text,
		 "proc self/status = VmLck:\\t       0 kB\\nCapEff:\\t0000000000000000\\n\n");
	text_add(&text, "proc meminfo = MemTotal:  8388608 kB\\nMemAvailable: 4194304 kB\\n\n");
	text_add(&text,
		 "proc interrupts =       CPU0  CPU1\\n  27:     12    30  %sPCI-MSI 0-edge "
		 "vfio-msix[2](0000:01:00.0)\\n\n",
		 vfio->interrupts_unsafe ? "" : "IR-");
	for (unsigned int i = 0; i < vfio->nr_devices; i++) {
		struct fake_vfio_device *device = &vfio->device[i];

		publish_device(&text, device);
		if (!device->memory) {
			device->memory = memfd_create(device->name, MFD_CLOEXEC);
			BUG_ON(device->memory < 0 ||
			       ftruncate(device->memory,
					 (off_t)fake_vfio_region_start(
						 device, VFIO_PCI_ROM_REGION_INDEX + 1)));
		}
	}
	for (unsigned int i = 0; i < FAKE_VFIO_GROUPS; i++)
		if (vfio->group[i].there)
			text_add(&text,
				 "sys kernel/iommu_groups/%d/type = DMA\\n\n"
				 "sys kernel/iommu_groups/%d/reserved_regions = "
				 "0x00000000fee00000 0x00000000feefffff msi\\n%s\n",
				 vfio->group[i].id, vfio->group[i].id,
				 vfio->reserved ? vfio->reserved : "");
	host_capture_destroy(vfio->capture);
	vfio->capture = NULL;
	if (host_capture_parse(buf, (size_t)(text.at - buf), "fake", &vfio->capture, &diag))
		fprintf(stderr, "fake: %s: %s\n", diag.object, diag.reason);
	BUG_ON(!vfio->capture);
	vfio->host = host_capture_sys(vfio->capture);
	free(buf);
}
