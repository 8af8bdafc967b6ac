// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * When guest RAM becomes reachable for the context's devices. Mapping pins every page, which takes
 * the longest of all there is to do before a start, and the guest does not need it until its driver
 * switches bus mastering on: so it can run beside the guest's boot.
 */
#include <errno.h>
#include <string.h>

#include "sys/thread.h"
#include "vfio/container.h"
#include "vfio/pci.h"

int vfio_grant_listen(struct vfio_space *space, struct diag *diag)
{
	struct platform *platform = space->context->config.platform;
	int err = platform->ops->ram_listen(platform, dma_space_listener(space->dma));

	if (err) {
		const struct diag *why = dma_space_refusal(space->dma);

		if (!why->err)
			return diag_set(diag, err, "vfio", "guest memory cannot be mapped: %s",
					strerror(-err));
		diag_set(diag, err, why->object, "%s", why->reason);
		return diag_remedy(diag, err, "%s", why->remedy);
	}
	space->listening = true;
	return 0;
}

static void grant_join(struct vfio_context *context)
{
	if (context->grant.threaded)
		pthread_join(context->grant.thread, NULL);
	context->grant.threaded = false;
}

void vfio_grant_unlisten(struct vfio_space *space)
{
	struct platform *platform = space->context->config.platform;

	if (!space->mirror)
		grant_join(space->context);
	if (space->listening)
		platform->ops->ram_unlisten(platform, dma_space_listener(space->dma));
	space->listening = false;
}

void vfio_grant_init(struct vfio_context *context)
{
	lock_init(&context->grant.lock, LOCK_LEAF);
	pthread_cond_init(&context->grant.changed, NULL);
}

void vfio_grant_fini(struct vfio_context *context)
{
	grant_join(context);
	pthread_cond_destroy(&context->grant.changed);
	lock_fini(&context->grant.lock);
}

static void grant_set(struct vfio_context *context, enum vfio_grant_state state)
{
	lock_take(&context->grant.lock);
	context->grant.state = state;
	pthread_cond_broadcast(&context->grant.changed);
	lock_drop(&context->grant.lock);
}

bool vfio_context_mapped(struct vfio_context *context)
{
	struct vfio_grant *grant = &context->grant;
	bool done;

	lock_take(&grant->lock);
	while (grant->state == VFIO_GRANT_RUNNING)
		pthread_cond_wait(&grant->changed, &grant->lock.mutex);
	done = grant->state == VFIO_GRANT_DONE;
	lock_drop(&grant->lock);
	return done;
}

/* As vfio_grant_listen(), of the start: how long it takes is a figure. */
static int grant_make(struct vfio_context *context, struct diag *diag)
{
	uint64_t start = loop_now_ns();
	int err = vfio_grant_listen(&context->shared, diag);

	atomic_store(&context->grant.took_ns, loop_now_ns() - start);
	return err;
}

uint64_t vfio_context_map_ns(const struct vfio_context *context)
{
	return atomic_load(&context->grant.took_ns);
}

static void *grant_thread(void *opaque)
{
	struct vfio_context *context = opaque;

	if (!grant_make(context, &context->grant.diag)) {
		grant_set(context, VFIO_GRANT_DONE);
		return NULL;
	}
	grant_set(context, VFIO_GRANT_FAILED);
	if (context->config.map_failed)
		context->config.map_failed(context->config.opaque, &context->grant.diag);
	return NULL;
}

int vfio_context_map_start(struct vfio_context *context, struct diag *diag)
{
	int err;

	if (context->grant.state != VFIO_GRANT_NONE)
		return 0;
	if (!context->shared.has_iommu)
		return vfio_context_map(context, diag);
	grant_set(context, VFIO_GRANT_RUNNING);
	err = sys_thread_start(&context->grant.thread, "dma-map", grant_thread, context);
	if (err) {
		grant_set(context, VFIO_GRANT_NONE);
		return diag_set(diag, err, "vfio", "no thread to map guest memory: %s",
				strerror(-err));
	}
	context->grant.threaded = true;
	return 0;
}

int vfio_context_map(struct vfio_context *context, struct diag *diag)
{
	int err = 0;

	if (context->grant.state != VFIO_GRANT_NONE)
		return 0;
	if (context->shared.has_iommu)
		err = grant_make(context, diag);
	if (err)
		return err;
	grant_set(context, VFIO_GRANT_DONE);
	for (struct vfio_pci *pci = context->devices; pci; pci = pci->next)
		vfio_pci_mapped(pci);
	return 0;
}
