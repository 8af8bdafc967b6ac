/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Block device (VIRTIO 1.2, 5.2). */
#ifndef AIRLOCK_DEVICE_VIRTIO_BLK_REGS_H
#define AIRLOCK_DEVICE_VIRTIO_BLK_REGS_H

#include "base/endian.h"

/* 5.2.3: features */
#define VIRTIO_BLK_F_SEG_MAX	  2
#define VIRTIO_BLK_F_RO		  5
#define VIRTIO_BLK_F_BLK_SIZE	  6
#define VIRTIO_BLK_F_FLUSH	  9
#define VIRTIO_BLK_F_TOPOLOGY	  10
#define VIRTIO_BLK_F_CONFIG_WCE	  11
#define VIRTIO_BLK_F_MQ		  12
#define VIRTIO_BLK_F_DISCARD	  13
#define VIRTIO_BLK_F_WRITE_ZEROES 14

/* 5.2.4: configuration */
#define VIRTIO_BLK_CAPACITY		0x00 /* 512-byte sectors */
#define VIRTIO_BLK_SEG_MAX		0x0c
#define VIRTIO_BLK_BLK_SIZE		0x14
#define VIRTIO_BLK_PHYSICAL_EXP		0x18
#define VIRTIO_BLK_MIN_IO		0x1a
#define VIRTIO_BLK_OPT_IO		0x1c
#define VIRTIO_BLK_WRITEBACK		0x20
#define VIRTIO_BLK_NUM_QUEUES		0x22
#define VIRTIO_BLK_MAX_DISCARD		0x24
#define VIRTIO_BLK_MAX_DISCARD_SEG	0x28
#define VIRTIO_BLK_DISCARD_ALIGN	0x2c
#define VIRTIO_BLK_MAX_WRITE_ZEROES	0x30
#define VIRTIO_BLK_MAX_WRITE_ZEROES_SEG 0x34
#define VIRTIO_BLK_WRITE_ZEROES_UNMAP	0x38
#define VIRTIO_BLK_CONFIG_LEN		0x3c

#define VIRTIO_BLK_SECTOR_LG2		9

/* 5.2.6: requests */
struct virtio_blk_header {
	le32 type;
	le32 reserved;
	le64 sector;
};
_Static_assert(sizeof(struct virtio_blk_header) == 16, "5.2.6");

#define VIRTIO_BLK_T_IN		  0
#define VIRTIO_BLK_T_OUT	  1
#define VIRTIO_BLK_T_FLUSH	  4
#define VIRTIO_BLK_T_GET_ID	  8
#define VIRTIO_BLK_T_DISCARD	  11
#define VIRTIO_BLK_T_WRITE_ZEROES 13

struct virtio_blk_segment {
	le64 sector;
	le32 nr_sectors;
	le32 flags;
};
_Static_assert(sizeof(struct virtio_blk_segment) == 16, "5.2.6");
#define VIRTIO_BLK_SEGMENT_UNMAP 1

#define VIRTIO_BLK_S_OK		 0
#define VIRTIO_BLK_S_IOERR	 1
#define VIRTIO_BLK_S_UNSUPP	 2
#define VIRTIO_BLK_ID_LEN	 20

#endif
