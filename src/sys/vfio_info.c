// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/vfio_info.h"

#include <errno.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t vfio_info_argsz(const void *answer)
{
	uint32_t argsz;

	memcpy(&argsz, answer, sizeof(argsz));
	return argsz;
}

int vfio_info_get(struct sys *sys, int fd, unsigned long request, const void *head, size_t size,
		  void **answer)
{
	uint32_t room = (uint32_t)size;

	/* The size can grow between two calls (a device joined); it settles at once or not at all. */
	for (int tries = 0; tries < 4; tries++) {
		uint8_t *buf = calloc(1, room);
		uint32_t needs;
		int err;

		if (!buf)
			return -ENOMEM;
		memcpy(buf, head, size);
		memcpy(buf, &room, sizeof(room));
		err = sys_ioctl(sys, fd, request, buf);
		if (err < 0) {
			free(buf);
			return err;
		}
		needs = vfio_info_argsz(buf);
		if (needs <= room) {
			/* From here argsz says how much there is. */
			memcpy(buf, &room, sizeof(room));
			*answer = buf;
			return 0;
		}
		free(buf);
		if (needs > VFIO_INFO_MAX)
			return -E2BIG;
		room = needs;
	}
	return -EAGAIN;
}

const void *vfio_info_cap(const void *answer, uint32_t offset, uint16_t id, size_t size,
			  size_t *room)
{
	uint32_t len = vfio_info_argsz(answer);
	const uint8_t *bytes = answer;

	/* Ascending offsets only, as the kernel lays them out: a loop ends by itself. */
	for (uint32_t last = 0; offset > last;) {
		struct vfio_info_cap_header header;

		if (offset > len || len - offset < sizeof(header))
			return NULL;
		memcpy(&header, bytes + offset, sizeof(header));
		if (header.id == id) {
			if (len - offset < size)
				return NULL;
			if (room)
				*room = len - offset;
			return bytes + offset;
		}
		last = offset;
		offset = header.next;
	}
	return NULL;
}
