/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Virtual I/O Device (VIRTIO) Version 1.2: what every device has. Section numbers are that text's. */
#ifndef AIRLOCK_DEVICE_VIRTIO_VIRTIO_REGS_H
#define AIRLOCK_DEVICE_VIRTIO_VIRTIO_REGS_H

#include "base/bits.h"
#include "base/endian.h"

/* 2.1: device status */
#define VIRTIO_ACKNOWLEDGE 0x01
#define VIRTIO_DRIVER	   0x02
#define VIRTIO_DRIVER_OK   0x04
#define VIRTIO_FEATURES_OK 0x08
#define VIRTIO_NEEDS_RESET 0x40
#define VIRTIO_FAILED	   0x80

/* 6: reserved feature bits */
#define VIRTIO_F_INDIRECT_DESC	 28
#define VIRTIO_F_EVENT_IDX	 29
#define VIRTIO_F_VERSION_1	 32
#define VIRTIO_F_ACCESS_PLATFORM 33
#define VIRTIO_F_RING_PACKED	 34
#define VIRTIO_F_IN_ORDER	 35
#define VIRTIO_F_RING_RESET	 40

/* 5: device ids */
#define VIRTIO_ID_BLOCK	  2
#define VIRTIO_ID_CONSOLE 3
#define VIRTIO_ID_ENTROPY 4
#define VIRTIO_ID_BALLOON 5

/* 4.1.2: PCI ids: the device id is 0x1040 plus that of the virtio device */
#define VIRTIO_PCI_VENDOR      0x1af4
#define VIRTIO_PCI_DEVICE      0x1040
#define VIRTIO_PCI_SUBSYSTEM   0x1100
#define VIRTIO_PCI_REVISION    1
#define VIRTIO_PCI_CAP_LEN     16
#define VIRTIO_PCI_CAP_COMMON  1
#define VIRTIO_PCI_CAP_NOTIFY  2
#define VIRTIO_PCI_CAP_ISR     3
#define VIRTIO_PCI_CAP_DEVICE  4
#define VIRTIO_PCI_CAP_PCI_CFG 5
/* offsets in a capability (4.1.4) */
#define VIRTIO_PCI_CAP_AT_TYPE	 3
#define VIRTIO_PCI_CAP_AT_BAR	 4
#define VIRTIO_PCI_CAP_AT_OFFSET 8
#define VIRTIO_PCI_CAP_AT_LENGTH 12
#define VIRTIO_PCI_CAP_AT_MORE	 16 /* notify_off_multiplier, pci_cfg_data */

/* 4.1.4.3: common configuration */
#define VIRTIO_COMMON_DEVICE_FEATURE_SELECT 0x00
#define VIRTIO_COMMON_DEVICE_FEATURE	    0x04
#define VIRTIO_COMMON_DRIVER_FEATURE_SELECT 0x08
#define VIRTIO_COMMON_DRIVER_FEATURE	    0x0c
#define VIRTIO_COMMON_CONFIG_VECTOR	    0x10
#define VIRTIO_COMMON_NUM_QUEUES	    0x12
#define VIRTIO_COMMON_STATUS		    0x14
#define VIRTIO_COMMON_GENERATION	    0x15
#define VIRTIO_COMMON_QUEUE_SELECT	    0x16
#define VIRTIO_COMMON_QUEUE_SIZE	    0x18
#define VIRTIO_COMMON_QUEUE_VECTOR	    0x1a
#define VIRTIO_COMMON_QUEUE_ENABLE	    0x1c
#define VIRTIO_COMMON_QUEUE_NOTIFY_OFF	    0x1e
#define VIRTIO_COMMON_QUEUE_DESC	    0x20
#define VIRTIO_COMMON_QUEUE_DRIVER	    0x28
#define VIRTIO_COMMON_QUEUE_DEVICE	    0x30
#define VIRTIO_COMMON_QUEUE_NOTIFY_DATA	    0x38
#define VIRTIO_COMMON_QUEUE_RESET	    0x3a
#define VIRTIO_COMMON_LEN		    0x3c

#define VIRTIO_NO_VECTOR		    0xffff

/* 4.1.4.5: ISR status */
#define VIRTIO_ISR_QUEUE  0x1
#define VIRTIO_ISR_CONFIG 0x2

/* 2.7.5, 2.8.13: descriptors */
struct virtio_desc {
	le64 addr;
	le32 len;
	le16 flags; /* split */
	le16 next;
};
struct virtio_packed_desc {
	le64 addr;
	le32 len;
	le16 id;
	le16 flags;
};
#define VIRTIO_DESC_LEN	  16
#define VIRTIO_DESC_NEXT  BIT(0)
#define VIRTIO_DESC_WRITE BIT(1)
#define VIRTIO_DESC_INDIR BIT(2)
#define VIRTIO_DESC_AVAIL BIT(7)
#define VIRTIO_DESC_USED  BIT(15)
_Static_assert(sizeof(struct virtio_desc) == VIRTIO_DESC_LEN, "2.7.5");
_Static_assert(sizeof(struct virtio_packed_desc) == VIRTIO_DESC_LEN, "2.8.13");

/* 2.7.6, 2.7.8: the driver's and the device's areas of a split queue */
#define VIRTIO_SPLIT_FLAGS	  0
#define VIRTIO_SPLIT_IDX	  2
#define VIRTIO_SPLIT_RING	  4
#define VIRTIO_AVAIL_LEN	  2 /* of an entry */
#define VIRTIO_USED_LEN		  8
#define VIRTIO_AVAIL_NO_INTERRUPT 1
#define VIRTIO_USED_NO_NOTIFY	  1

/* 2.8.14: event suppression of a packed queue */
#define VIRTIO_EVENT_AT_DESC  0
#define VIRTIO_EVENT_AT_FLAGS 2
#define VIRTIO_EVENT_ENABLE   0
#define VIRTIO_EVENT_DISABLE  1
#define VIRTIO_EVENT_DESC     2
#define VIRTIO_EVENT_MASK     GENMASK(1, 0)
#define VIRTIO_EVENT_WRAP     BIT(15)

#endif
