// SPDX-License-Identifier: GPL-2.0-or-later
#include "vfio/irq.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/endian.h"
#include "base/log.h"
#include "base/trace.h"
#include "pci/msix.h"
#include "vfio/container.h"
#include "vfio/pci.h"

#define KIND_NONE     VFIO_PCI_NUM_IRQS
#define KIND_MSI      VFIO_PCI_MSI_IRQ_INDEX
#define KIND_MSIX     VFIO_PCI_MSIX_IRQ_INDEX
#define MSI_MAX	      32
#define PENDING_BITS  64
#define PENDING_BYTES 8

static const char *kind_name(unsigned int kind)
{
	return kind == KIND_MSIX ? "MSI-X" : "MSI";
}

static void vector_drain(struct vfio_pci *pci, struct vfio_vector *vec)
{
	struct sys *sys = pci->device.sys;
	uint64_t count;

	if (vec->eventfd >= 0 &&
	    sys->ops->read(sys, vec->eventfd, &count, sizeof(count)) == sizeof(count))
		vec->pending = true;
}

static void vector_kick(struct vfio_pci *pci, struct vfio_vector *vec)
{
	struct sys *sys = pci->device.sys;
	uint64_t one = 1;

	/* It fails only when the counter is full, and then the vector is signalled anyway. */
	sys->ops->write(sys, vec->eventfd, &one, sizeof(one));
}

/* An eventfd and a route with this message; the route takes effect with the next commit. */
static int vector_prepare(struct vfio_pci *pci, struct vfio_vector *vec, struct msi_message msg)
{
	struct platform *platform = pci->fn.platform;
	int err;

	if (vec->eventfd < 0)
		vec->eventfd = sys_open(pci->device.sys, SYS_EVENTFD, NULL);
	if (vec->eventfd < 0) {
		err = vec->eventfd;
		vec->eventfd = -1;
		return err;
	}
	if (vec->route.gsi < 0) {
		err = platform->ops->msi_alloc(platform, pci_function_rid(&pci->fn), &vec->route);
		if (err) {
			vec->route = MSI_ROUTE_NONE;
			return err;
		}
	} else if (vec->msg.addr == msg.addr && vec->msg.data == msg.data) {
		return 0;
	}
	platform->ops->msi_set(platform, vec->route, msg);
	vec->msg = msg;
	return 0;
}

/* Interrupts reach the guest: those that fired while it was masked first. */
static int vector_attach(struct vfio_pci *pci, struct vfio_vector *vec)
{
	struct platform *platform = pci->fn.platform;
	int err;

	if (vec->live)
		return 0;
	vector_drain(pci, vec);
	err = platform->ops->msi_attach(platform, vec->route, vec->eventfd);
	if (err)
		return err;
	vec->live = true;
	if (vec->pending)
		vector_kick(pci, vec);
	vec->pending = false;
	return 0;
}

static void vector_detach(struct vfio_pci *pci, struct vfio_vector *vec)
{
	struct platform *platform = pci->fn.platform;

	if (vec->live)
		platform->ops->msi_detach(platform, vec->route, vec->eventfd);
	vec->live = false;
}

static void vector_report(struct vfio_pci *pci, const char *what, unsigned int n, int err)
{
	log_limited(&pci->log, LOG_ERROR, pci->device.name, "%s vector %u %s: %s",
		    kind_name(pci->vectors.kind), n, what, strerror(-err));
}

static void vectors_tell(struct vfio_pci *pci)
{
	const struct vfio_context_config *config = &pci->context->config;

	if (config->irqs_changed)
		config->irqs_changed(config->opaque);
}

/*
 * Enables the kind with `size` vectors; those that are ready (they have an eventfd and are wanted)
 * are wired. When the host has fewer, as many as it has.
 */
static int vectors_enable(struct vfio_pci *pci, unsigned int kind, unsigned int size,
			  const bool *want)
{
	struct vfio_vectors *v = &pci->vectors;
	int *fds = calloc(size, sizeof(*fds));
	int r;

	if (!fds)
		return -ENOMEM;
	for (unsigned int i = 0; i < size; i++)
		fds[i] = want[i] ? v->vector[i].eventfd : -1;
	r = vfio_device_irq_set(&pci->device, kind, 0, size, fds);
	if (r > 0 && (unsigned int)r < size) {
		log_limited(&pci->log, LOG_WARNING, pci->device.name,
			    "the host has %d of the %u %s vectors that the guest wants", r, size,
			    kind_name(kind));
		size = v->nr_most = (unsigned int)r;
		r = vfio_device_irq_set(&pci->device, kind, 0, size, fds);
	}
	free(fds);
	v->nr_setups++;
	trace_vfio_irq_setup(pci->device.name, kind, size);
	if (r)
		return r < 0 ? r : -ENOSPC;
	v->kind = kind;
	v->nr_enabled = size;
	for (unsigned int i = 0; i < size; i++)
		v->vector[i].wired = want[i] && v->vector[i].eventfd >= 0;
	vectors_tell(pci);
	return 0;
}

/* The kernel's side off; eventfds and routes stay. */
static void vectors_disable(struct vfio_pci *pci)
{
	struct vfio_vectors *v = &pci->vectors;

	if (v->kind == KIND_NONE)
		return;
	/* The kernel forgets its counts with the vectors. */
	v->nr_before += vfio_interrupts_now(pci);
	vfio_device_irq_off(&pci->device, v->kind);
	v->kind = KIND_NONE;
	v->nr_enabled = 0;
	for (unsigned int i = 0; i < v->nr; i++)
		v->vector[i].wired = false;
}

static void vectors_off_locked(struct vfio_pci *pci)
{
	struct vfio_vectors *v = &pci->vectors;
	struct platform *platform = pci->fn.platform;

	vectors_disable(pci);
	v->nr_asked = v->nr_most = 0;
	for (unsigned int i = 0; i < v->nr; i++) {
		struct vfio_vector *vec = &v->vector[i];

		vector_detach(pci, vec);
		if (vec->route.gsi >= 0)
			platform->ops->msi_free(platform, vec->route);
		vec->route = MSI_ROUTE_NONE;
		vector_drain(pci, vec);
		vec->pending = false;
	}
}

void vfio_vectors_off(struct vfio_pci *pci)
{
	lock_take(&pci->vectors.lock);
	vectors_off_locked(pci);
	lock_drop(&pci->vectors.lock);
}

/*
 * Makes room for vector n: disables, enables with more, and kicks what was in use, since the device
 * may have fired in between. Twice as many as before, so that a guest that unmasks one vector after
 * the other does not pay for each.
 */
static int vectors_grow(struct vfio_pci *pci, unsigned int n)
{
	struct vfio_vectors *v = &pci->vectors;
	unsigned int kind = v->kind, old = v->nr_enabled, size;
	bool *want = calloc(v->nr, sizeof(*want));
	int err;

	if (!want)
		return -ENOMEM;
	size = (unsigned int)min_u64(v->nr_msix, max_u64(n + 1, 2 * (uint64_t)old));
	for (unsigned int i = 0; i < v->nr; i++)
		want[i] = v->vector[i].wired;
	want[n] = true;
	vectors_disable(pci);
	err = vectors_enable(pci, kind, size, want);
	if (err) {
		/* Better what there was than nothing. */
		want[n] = false;
		if (vectors_enable(pci, kind, old, want))
			v->kind = KIND_NONE;
	}
	for (unsigned int i = 0; i < v->nr_enabled; i++)
		if (i != n && v->vector[i].wired)
			vector_kick(pci, &v->vector[i]);
	free(want);
	return err ? err : v->vector[n].wired ? 0 : -ENOSPC;
}

/* VFIO signals the vector's eventfd from here on. */
static int vector_wire(struct vfio_pci *pci, unsigned int n)
{
	struct vfio_vectors *v = &pci->vectors;
	struct vfio_vector *vec = &v->vector[n];
	int err;

	if (vec->wired)
		return 0;
	if (v->nr_most && n >= v->nr_most)
		return -ENOSPC;
	if (n >= v->nr_enabled && !pci->device.irq[v->kind].resizable)
		return vectors_grow(pci, n);
	err = vfio_device_irq_set(&pci->device, v->kind, n, 1, &vec->eventfd);
	if (err)
		return err < 0 ? err : -ENOSPC;
	vec->wired = true;
	vectors_tell(pci);
	return 0;
}

/*
 * Linux enables with all masked, then writes its messages, then lets the mask go. Only now is it known
 * how many vectors there are, and as long as nobody listens to any nothing is lost by a new beginning.
 */
static void vectors_make_room(struct vfio_pci *pci, unsigned int size)
{
	struct vfio_vectors *v = &pci->vectors;

	if (v->kind != KIND_MSIX || size <= v->nr_enabled || v->nr_most ||
	    pci->device.irq[KIND_MSIX].resizable)
		return;
	for (unsigned int i = 0; i < v->nr; i++)
		if (v->vector[i].wired)
			return;
	vectors_disable(pci);
}

/*
 * Brings all vectors of a kind to what the guest has written. `size` vectors are to be there if
 * the kind is not enabled yet.
 */
static void vectors_sync(struct vfio_pci *pci, unsigned int kind, unsigned int nr,
			 unsigned int size, const bool *masked, const struct msi_message *msg)
{
	struct vfio_vectors *v = &pci->vectors;
	struct platform *platform = pci->fn.platform;
	unsigned int old = v->nr_enabled;
	bool *want = calloc(v->nr, sizeof(*want));
	int err;

	if (!want) {
		vector_report(pci, "cannot be set up", 0, -ENOMEM);
		return;
	}
	for (unsigned int i = 0; i < nr; i++) {
		struct vfio_vector *vec = &v->vector[i];

		if (masked[i]) {
			vector_detach(pci, vec);
			/* MSI without masks has no other moment to be wired. */
			want[i] = kind == KIND_MSI || vec->wired;
			if (kind != KIND_MSI)
				continue;
		}
		err = vector_prepare(pci, vec, msg[i]);
		if (err)
			vector_report(pci, "cannot be routed", i, err);
		want[i] = !err;
	}
	err = platform->ops->msi_commit(platform);
	if (err)
		vector_report(pci, "cannot be routed", 0, err);
	for (unsigned int i = 0; !err && i < nr; i++) {
		/* One that fails is no reason to lose the others. */
		int failed = want[i] && !masked[i] ? vector_attach(pci, &v->vector[i]) : 0;

		if (failed)
			vector_report(pci, "cannot be delivered", i, failed);
	}

	vectors_make_room(pci, size);
	if (v->kind == KIND_NONE) {
		/* The kernel has one kind at a time. */
		vfio_intx_off_locked(pci);
		err = vectors_enable(pci, kind, size, want);
		/* Better what there was than nothing. */
		if (err && old && !vectors_enable(pci, kind, old, want))
			err = 0;
		if (err)
			log_limited(&pci->log, LOG_ERROR, pci->device.name,
				    "%s cannot be enabled: %s", kind_name(kind), strerror(-err));
	}
	for (unsigned int i = 0; v->kind == kind && i < nr; i++) {
		/* A device that got fewer messages folds the others onto them by itself. */
		if (!want[i] || (kind == KIND_MSI && i >= v->nr_enabled))
			continue;
		err = vector_wire(pci, i);
		if (err)
			vector_report(pci, "has no interrupt of the host's", i, err);
	}
	free(want);
}

void vfio_msix_enabled(struct pci_function *fn, bool enabled)
{
	struct vfio_pci *pci = vfio_pci_of(fn);
	struct vfio_vectors *v = &pci->vectors;
	struct msi_message *msg = calloc(v->nr_msix, sizeof(*msg));
	bool *masked = calloc(v->nr_msix, sizeof(*masked));
	unsigned int size = 1;

	/* Bit by bit as the guest has it now: pci/ calls us under its lock, so it stays so. */
	for (unsigned int i = 0; msg && masked && i < v->nr_msix; i++) {
		masked[i] = pci_msix_vector(fn, i, &msg[i]);
		if (msg[i].addr || !masked[i])
			size = i + 1;
	}
	lock_take(&v->lock);
	if (!enabled) {
		if (v->kind == KIND_MSIX)
			vectors_off_locked(pci);
	} else if (!msg || !masked) {
		vector_report(pci, "cannot be set up", 0, -ENOMEM);
	} else if (v->kind == KIND_MSI) {
		log_limited(&pci->log, LOG_WARNING, pci->device.name,
			    "the guest enables MSI-X while MSI is enabled: MSI stays");
	} else {
		vectors_sync(pci, KIND_MSIX, v->nr_msix, size, masked, msg);
	}
	lock_drop(&v->lock);
	vfio_intx_update(pci);
	free(msg);
	free(masked);
}

void vfio_msix_changed(struct pci_function *fn, unsigned int n, bool masked, struct msi_message msg)
{
	struct vfio_pci *pci = vfio_pci_of(fn);
	struct vfio_vectors *v = &pci->vectors;
	struct platform *platform = fn->platform;
	struct vfio_vector *vec;
	int err;

	lock_take(&v->lock);
	if (v->kind != KIND_MSIX || n >= v->nr_msix)
		goto out;
	vec = &v->vector[n];
	if (masked) {
		vector_detach(pci, vec);
		goto out;
	}
	err = vector_prepare(pci, vec, msg);
	if (!err)
		err = platform->ops->msi_commit(platform);
	if (!err)
		err = vector_attach(pci, vec);
	if (!err)
		err = vector_wire(pci, n);
	if (err)
		vector_report(pci, "cannot be delivered", n, err);
out:
	lock_drop(&v->lock);
}

bool vfio_msix_pending(struct pci_function *fn, unsigned int n)
{
	struct vfio_pci *pci = vfio_pci_of(fn);
	struct vfio_vectors *v = &pci->vectors;
	uint8_t wire[PENDING_BYTES];
	bool pending = false;

	lock_take(&v->lock);
	if (v->kind == KIND_MSIX && n < v->nr_msix) {
		struct vfio_vector *vec = &v->vector[n];

		if (vec->wired && !vec->live)
			vector_drain(pci, vec);
		pending = vec->pending;
		/* Never unmasked so far: it is masked in the device, which keeps its own bit. */
		if (!vec->wired && !vfio_device_read(&pci->device, v->pba_bar,
						     v->pba + n / PENDING_BITS * PENDING_BYTES,
						     wire, sizeof(wire)))
			pending = le_load(wire, sizeof(wire)) >> (n % PENDING_BITS) & 1;
	}
	lock_drop(&v->lock);
	return pending;
}

void vfio_vectors_rid(struct pci_function *fn)
{
	struct vfio_pci *pci = vfio_pci_of(fn);
	struct vfio_vectors *v = &pci->vectors;
	struct platform *platform = fn->platform;
	rid_t rid = pci_function_rid(fn);
	bool any = false;
	int err;

	lock_take(&v->lock);
	for (unsigned int i = 0; i < v->nr; i++) {
		if (v->vector[i].route.gsi < 0)
			continue;
		platform->ops->msi_requester(platform, v->vector[i].route, rid);
		any = true;
	}
	err = any ? platform->ops->msi_commit(platform) : 0;
	if (err)
		vector_report(pci, "cannot be routed", 0, err);
	lock_drop(&v->lock);
}

static void msi_sync(struct vfio_pci *pci, bool enabled)
{
	struct vfio_vectors *v = &pci->vectors;
	unsigned int nr = enabled ? pci_msi_count(&pci->fn) : 0;
	struct msi_message msg[MSI_MAX];
	bool masked[MSI_MAX];

	nr = (unsigned int)min_u64(nr, min_u64(v->nr, MSI_MAX));
	for (unsigned int i = 0; i < nr; i++)
		masked[i] = pci_msi_vector(&pci->fn, i, &msg[i]);
	lock_take(&v->lock);
	/* Another number of vectors means another allocation in the kernel. */
	if (v->kind == KIND_MSI && nr != v->nr_asked)
		vectors_off_locked(pci);
	if (nr && v->kind == KIND_MSIX) {
		log_limited(&pci->log, LOG_WARNING, pci->device.name,
			    "the guest enables MSI while MSI-X is enabled: MSI-X stays");
	} else if (nr) {
		vectors_sync(pci, KIND_MSI, nr, nr, masked, msg);
		v->nr_asked = nr;
	}
	lock_drop(&v->lock);
	vfio_intx_update(pci);
}

void vfio_msi_enabled(struct pci_function *fn, bool enabled)
{
	msi_sync(vfio_pci_of(fn), enabled);
}

void vfio_msi_changed(struct pci_function *fn)
{
	msi_sync(vfio_pci_of(fn), true);
}

void vfio_msix_locate(struct vfio_pci *pci)
{
	struct vfio_vectors *v = &pci->vectors;
	struct vfio_cap *cap = vfio_caps_find(&pci->space.caps, false, PCI_CAP_MSIX);
	const uint8_t *at;
	unsigned int count = pci->device.irq[KIND_MSIX].count, size;
	uint32_t table, pba;

	if (!cap || cap->policy != VFIO_CAP_MSIX)
		return;
	at = pci->space.device + cap->offset;
	table = (uint32_t)le_load(at + PCI_MSIX_TABLE, 4);
	pba = (uint32_t)le_load(at + PCI_MSIX_PBA, 4);
	size = FIELD_GET(PCI_MSIX_SIZE, (uint32_t)le_load(at + PCI_MSIX_CONTROL, 2)) + 1;
	v->nr_msix = size < count ? size : count;
	v->table_bar = FIELD_GET(PCI_MSIX_BIR, table);
	v->table = table & PCI_MSIX_OFFSET;
	v->pba_bar = FIELD_GET(PCI_MSIX_BIR, pba);
	v->pba = pba & PCI_MSIX_OFFSET;
	if (!v->nr_msix)
		cap->reason = "VFIO offers no MSI-X";
	else if (v->table_bar >= PCI_BARS || v->pba_bar >= PCI_BARS ||
		 v->table + v->nr_msix * PCI_MSIX_ENTRY > pci->device.region[v->table_bar].size ||
		 v->pba + (v->nr_msix + PENDING_BITS - 1) / PENDING_BITS * PENDING_BYTES >
			 pci->device.region[v->pba_bar].size)
		cap->reason = "its table lies in no BAR";
	else
		v->msix_cap = (uint8_t)cap->offset;
	if (v->msix_cap)
		return;
	cap->policy = VFIO_CAP_HIDE;
	v->nr_msix = 0;
}

unsigned int vfio_msix_holes(const struct vfio_pci *pci, unsigned int bar, struct range *holes)
{
	const struct vfio_vectors *v = &pci->vectors;
	unsigned int nr = 0;

	if (!v->msix_cap)
		return 0;
	if (bar == v->table_bar)
		holes[nr++] = range_of(v->table, v->nr_msix * PCI_MSIX_ENTRY);
	if (bar == v->pba_bar)
		holes[nr++] = range_of(v->pba, (v->nr_msix + PENDING_BITS - 1) / PENDING_BITS *
						       PENDING_BYTES);
	return nr;
}

int vfio_vectors_build(struct vfio_pci *pci, struct diag *diag)
{
	struct vfio_vectors *v = &pci->vectors;
	const struct vfio_cap *msi = vfio_caps_find(&pci->space.caps, false, PCI_CAP_MSI);
	unsigned int nr_msi = 0;
	int err = 0;

	if (msi && msi->policy == VFIO_CAP_MSI) {
		uint32_t control =
			(uint32_t)le_load(pci->space.device + msi->offset + PCI_MSI_CONTROL, 2);

		nr_msi = pci->device.irq[KIND_MSI].count;
		if (nr_msi > MSI_MAX)
			nr_msi = MSI_MAX;
		/* As many as VFIO gives, a power of two; the rest of the word as the device has it. */
		control &= PCI_MSI_64 | PCI_MSI_MASKING;
		control |= FIELD_PREP(PCI_MSI_CAPABLE, 31u - (uint32_t)__builtin_clz(nr_msi));
		pci_config_set(&pci->fn, (uint16_t)(msi->offset + PCI_MSI_CONTROL), 2, control);
		v->msi_cap = (uint8_t)msi->offset;
		err = pci_msi_init(&pci->fn, v->msi_cap);
	}
	if (!err && v->msix_cap)
		err = pci_msix_init(&pci->fn, v->msix_cap, v->nr_msix, v->table_bar, v->table,
				    v->pba_bar, v->pba);
	if (err)
		return diag_set(diag, err, pci->device.name,
				"its MSI or MSI-X registers do not fit together: %s",
				strerror(-err));
	v->nr = (unsigned int)max_u64(v->nr_msix, nr_msi);
	if (!v->nr)
		return 0;
	v->vector = calloc(v->nr, sizeof(*v->vector));
	if (!v->vector) {
		v->nr = 0;
		return diag_set(diag, -ENOMEM, pci->device.name, "out of memory");
	}
	for (unsigned int i = 0; i < v->nr; i++)
		v->vector[i] = (struct vfio_vector){ .eventfd = -1, .route = MSI_ROUTE_NONE };
	return 0;
}

void vfio_vectors_fini(struct vfio_pci *pci)
{
	struct vfio_vectors *v = &pci->vectors;

	for (unsigned int i = 0; i < v->nr; i++)
		sys_close(pci->device.sys, &v->vector[i].eventfd);
	free(v->vector);
	v->vector = NULL;
	v->nr = 0;
}

unsigned int vfio_vectors_count(struct vfio_pci *pci)
{
	unsigned int nr = 0;

	lock_take(&pci->vectors.lock);
	for (unsigned int i = 0; i < pci->vectors.nr; i++)
		nr += pci->vectors.vector[i].wired;
	lock_drop(&pci->vectors.lock);
	return nr;
}
