/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VFIO kernel with devices behind it: container, groups, TYPE1v2 mappings, PCI functions with
 * config space, BARs in memory, interrupts and resets. It answers as the real one does (what it
 * refuses and with which number was read off drivers/vfio), keeps what a test wants to look at,
 * fails the n-th call that can fail, and counts descriptors, bytes mapped and DMA mappings, so that
 * a leak shows. Its sysfs is a host capture made from the same devices.
 */
#ifndef AIRLOCK_TESTS_FAKE_VFIO_H
#define AIRLOCK_TESTS_FAKE_VFIO_H

#include <linux/vfio.h>
#include <pthread.h>

#include "base/bits.h"
#include "base/range.h"
#include "host/capture.h"
#include "sys/sys.h"

#define FAKE_VFIO_GROUPS   4
#define FAKE_VFIO_DEVICES  4
#define FAKE_VFIO_VECTORS  64
#define FAKE_VFIO_MAPPINGS 64
#define FAKE_VFIO_WINDOWS  4
#define FAKE_VFIO_AREAS	   4

struct fake_vfio_mapping {
	uint64_t iova, size, vaddr;
	uint32_t flags;
};

struct fake_vfio_group {
	int id;
	bool there, viable, attached; /* in the container */
	bool busy;		      /* open elsewhere */
	int fd;			      /* open; 0: not */
};

struct fake_vfio_device {
	/* Set by the test before the device is opened. */
	char name[16];
	int group;
	char driver[16];  /* "vfio-pci" by default */
	char methods[32]; /* sysfs reset_method */
	bool is_vf;
	bool on_root_bus;
	uint8_t config[4096];
	unsigned int config_size;
	uint64_t bar_size[6], rom_size;
	bool mappable[6], msix_mappable;
	unsigned int nr_areas[6];
	struct range area[6][FAKE_VFIO_AREAS]; /* sparse mmap of a BAR */
	unsigned int irq_count[VFIO_PCI_NUM_IRQS];
	bool resizable;		   /* dynamic MSI-X */
	unsigned int host_vectors; /* what the host can give */
	bool can_reset, can_hot_reset;
	int hot_reset_err; /* the bus's reset answers this, if not 0; may change at any time */

	/* What became of it. */
	int fd;			 /* open; 0: not */
	int memory;		 /* memory file with the BARs and ROM one after the other */
	unsigned int kind;	 /* VFIO_PCI_*_IRQ_INDEX enabled, VFIO_PCI_NUM_IRQS: none */
	unsigned int nr_vectors; /* allocated */
	int trigger[FAKE_VFIO_VECTORS];
	int error, request; /* eventfds; -1: none */
	bool intx_line, intx_masked;
	unsigned int nr_enables, nr_disables, nr_resets, nr_hot_resets, nr_unmasks;
	bool mastered_while_unmapped;
	unsigned int mappings_at_close;
	uint16_t command_at_reset;
	unsigned int nr_config_writes;
	struct {
		unsigned int at, size;
		uint32_t value;
	} last_write;
};

struct fake_vfio {
	struct sys sys; /* what the code under test is given */
	struct sys real;
	struct host_capture *capture;
	struct sys host;       /* sysfs from the capture */
	pthread_mutex_t mutex; /* recursive: calls may come from any thread */

	/* Counts the calls that can fail. The fail_at-th (from 1) returns fail_err; 0: none. */
	unsigned int nr_calls, fail_at;
	int fail_err;
	unsigned int nr_fds;
	uint64_t mapped_bytes; /* by mmap */

	bool container_open, iommu_set;
	bool interrupts_unsafe; /* attaching answers EPERM; not remapped, as the host shows it */
	const char *reserved;	/* one more line of every group's reserved regions; NULL */
	bool coherent;
	bool no_capabilities; /* an old kernel: GET_INFO has no chain */
	uint32_t mappings_limit;
	uint64_t locked_limit; /* bytes; 0: none */
	uint64_t page_sizes;
	unsigned int nr_windows;
	struct range windows[FAKE_VFIO_WINDOWS];
	struct fake_vfio_mapping mapping[FAKE_VFIO_MAPPINGS];
	unsigned int nr_mappings, nr_maps, nr_unmaps;
	unsigned int nr_kvm_groups; /* for the test's kvm_attach and kvm_detach */

	struct fake_vfio_group group[FAKE_VFIO_GROUPS];
	unsigned int nr_devices;
	struct fake_vfio_device device[FAKE_VFIO_DEVICES];
};

void fake_vfio_init(struct fake_vfio *vfio);
void fake_vfio_fini(struct fake_vfio *vfio);

/*
 * An NVMe-like function: 64-bit BAR0 of 16 KiB with the MSI-X table at 0x2000 and its pending bits
 * at 0x3000, INTA, MSI, MSI-X with 8 vectors, PM, PCI Express with FLR, and extended capabilities
 * (AER, serial number, SR-IOV). The test may change it until fake_vfio_publish().
 */
struct fake_vfio_device *fake_vfio_add(struct fake_vfio *vfio, const char *name, int group);
/* Writes sysfs. Again after a change of drivers. */
void fake_vfio_publish(struct fake_vfio *vfio);

/* The device interrupts: whether an eventfd was signalled. INTx stays asserted until told. */
bool fake_vfio_fire(struct fake_vfio *vfio, struct fake_vfio_device *device, unsigned int vector);
bool fake_vfio_intx(struct fake_vfio *vfio, struct fake_vfio_device *device, bool line);
void fake_vfio_signal(struct fake_vfio *vfio, int eventfd);
/* Counter of an eventfd, taken; 0: not signalled. */
uint64_t fake_vfio_take(struct fake_vfio *vfio, int eventfd);
/* Value of a config register as the device has it. */
uint32_t fake_vfio_config(const struct fake_vfio_device *device, unsigned int at,
			  unsigned int size);
/* Nothing of VFIO is open, mapped or attached. */
bool fake_vfio_is_empty(const struct fake_vfio *vfio);

/* The group of this number, or NULL. */
struct fake_vfio_group *fake_vfio_group(struct fake_vfio *vfio, int id);
/* Where a BAR or the ROM lies in the device's memory file. */
uint64_t fake_vfio_region_start(const struct fake_vfio_device *device, unsigned int index);

/* Config offsets of the function fake_vfio_add() makes. */
#define FAKE_VFIO_PM	 0x40
#define FAKE_VFIO_MSI	 0x50
#define FAKE_VFIO_MSIX	 0x70
#define FAKE_VFIO_PCIE	 0x80
#define FAKE_VFIO_VENDOR 0xc0
#define FAKE_VFIO_AER	 0x100
#define FAKE_VFIO_SERIAL 0x150
#define FAKE_VFIO_SRIOV	 0x160
#define FAKE_VFIO_TABLE	 0x2000
#define FAKE_VFIO_PBA	 0x3000

#endif
