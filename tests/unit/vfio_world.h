/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A passed-through device in a machine in memory: fake VFIO below, a fabric and a guest above. */
#ifndef AIRLOCK_TESTS_VFIO_WORLD_H
#define AIRLOCK_TESTS_VFIO_WORLD_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bits.h"
#include "fake/pci.h"
#include "fake/vfio.h"
#include "vfio/container.h"
#include "vfio/pci.h"
#include "vfio/vfio.h"

#define WORLD_NAME  "0000:01:00.0"
#define WORLD_GROUP 14

struct world {
	struct fake_pci pci;
	struct fake_vfio vfio;
	struct fake_vfio_device *real; /* the first device, as VFIO has it */
	struct loop *loop;
	struct pci_bus *bus;
	rid_t rid; /* where the guest finds it */
	struct vfio_context *context;
	struct device *dev;
	struct diag diag;
	void *ram;
	int kvm_err; /* what KVM answers when told of a group */
};

static inline int world_kvm_attach(void *opaque, int group_fd)
{
	struct world *w = opaque;

	if (w->kvm_err)
		return w->kvm_err;
	w->vfio.nr_kvm_groups++;
	return 0;
}

static inline void world_kvm_detach(void *opaque, int group_fd)
{
	((struct world *)opaque)->vfio.nr_kvm_groups--;
}

/* Everything but the device: the test may still change w->real. */
static inline void world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	fake_vfio_init(&w->vfio);
	w->real = fake_vfio_add(&w->vfio, WORLD_NAME, WORLD_GROUP);
	fake_pci_init(&w->pci);
	w->bus = fake_pci_port(&w->pci, "rp0");
	assert_int_equal(loop_create(&w->loop), 0);
	w->pci.machine.platform.sys = &w->vfio.sys;
	w->pci.machine.platform.loop = w->loop;
	w->ram = aligned_alloc(PAGE_SIZE, MIB(1));
	assert_non_null(w->ram);
	memset(w->ram, 0, MIB(1));
	assert_int_equal(fake_ram_add(&w->pci.machine, range_of(0, KIB(512)), w->ram), 0);
	assert_int_equal(fake_ram_add(&w->pci.machine, range_of(GIB(4), KIB(512)),
				      (uint8_t *)w->ram + KIB(512)),
			 0);
}

static inline struct vfio_pci_config world_config(void)
{
	return (struct vfio_pci_config){ .host = { .bus = 1 } };
}

/* Context and device; 0 or the refusal, which is in w->diag. */
static inline int world_open(struct world *w, const struct vfio_pci_config *config)
{
	const struct vfio_context_config context = {
		.platform = &w->pci.machine.platform,
		.kvm_attach = world_kvm_attach,
		.kvm_detach = world_kvm_detach,
		.opaque = w,
	};
	int err;

	diag_clear(&w->diag);
	err = vfio_context_create(&context, &w->context, &w->diag);
	if (err)
		return err;
	err = vfio_pci_create(w->context, config, &w->diag, &w->dev);
	if (err) {
		vfio_context_destroy(w->context);
		w->context = NULL;
	}
	return err;
}

/* On its bus, assigned, mapped: as a guest finds it at its first instruction. */
static inline int world_boot(struct world *w)
{
	struct pci_function *fn = vfio_pci_function(w->dev);
	int err = pci_function_attach(fn, w->bus, 0);

	if (!err)
		err = pci_fabric_assign(w->pci.fabric, &w->diag);
	if (!err)
		err = vfio_context_map(w->context, &w->diag);
	w->rid = pci_function_rid(fn);
	return err;
}

static inline void world_close(struct world *w)
{
	if (w->dev)
		w->dev->ops->destroy(w->dev);
	w->dev = NULL;
	vfio_context_destroy(w->context);
	w->context = NULL;
}

static inline void world_fini(struct world *w)
{
	world_close(w);
	assert_true(fake_vfio_is_empty(&w->vfio));
	assert_false(w->real->mastered_while_unmapped);
	assert_true(fake_pci_fini(&w->pci));
	fake_vfio_fini(&w->vfio);
	loop_destroy(w->loop);
	free(w->ram);
}

/* The usual start of a test. */
static inline void world_start(struct world *w)
{
	struct vfio_pci_config config = world_config();

	fake_vfio_publish(&w->vfio);
	if (world_open(w, &config))
		fail_msg("%s: %s", w->diag.object, w->diag.reason);
	assert_int_equal(world_boot(w), 0);
}

static inline struct vfio_pci *world_pci(struct world *w)
{
	return vfio_pci_of_device(w->dev);
}

/* Config accesses of the guest. */
static inline uint32_t world_read(struct world *w, uint16_t at, unsigned int size)
{
	return fake_cfg_read(&w->pci, w->rid, at, size);
}

static inline void world_write(struct world *w, uint16_t at, unsigned int size, uint32_t value)
{
	fake_cfg_write(&w->pci, w->rid, at, size, value);
}

/* What the loop would do with signals that wait for it. */
static inline void world_serve(struct world *w)
{
	struct vfio_pci *pci = world_pci(w);
	uint64_t count;

	if (pci->intx.source.armed && pci->intx.eventfd >= 0) {
		count = fake_vfio_take(&w->vfio, pci->intx.eventfd);
		if (count) {
			fake_vfio_signal(&w->vfio, pci->intx.eventfd);
			pci->intx.source.fn(pci->intx.source.opaque, EPOLLIN);
		}
	}
	if (pci->intx.settle.posted) {
		loop_cancel(w->loop, &pci->intx.settle);
		pci->intx.settle.fn(pci->intx.settle.opaque);
	}
}

#endif
