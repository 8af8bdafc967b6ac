// SPDX-License-Identifier: GPL-2.0-or-later
/* The subsystem as a device: its functions, its thread, its life. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bug.h"
#include "device/nvme/ctrl.h"
#include "pci/express.h"
#include "pci/fabric.h"
#include "pci/sriov.h"
#include "sys/thread.h"

/* 1234 is nobody's vendor id that emulators use; drivers go by the class code. */
#define NVME_VENDOR    0x1234
#define NVME_DEVICE    0xa1c0
#define NVME_VF_DEVICE 0xa1c1
#define NVME_CLASS     0x010802 /* NVM Express I/O controller */

/* BAR 0: registers, doorbells, and on pages of their own MSI-X table and pending bits. */
#define BAR_SIZE     KIB(16)
#define BAR_REGS_LEN KIB(8)
#define BAR_TABLE    KIB(8)
#define BAR_PENDING  KIB(12)

#define ROUNDS_MAX   64 /* then the loop has its turn: calls and resets wait there */

static struct nvme *nvme_of(struct device *dev)
{
	return (struct nvme *)(void *)dev;
}

/* ---- the thread ---- */

void nvme_kick(struct nvme_ctrl *ctrl)
{
	struct sys *sys = ctrl->fn.platform->sys;
	uint64_t one = 1;

	if (ctrl->kick_fd < 0)
		return;
	/* Full means that a wake-up is due anyway. */
	(void)!sys->ops->write(sys, ctrl->kick_fd, &one, sizeof(one));
}

struct call {
	struct loop_work work;
	struct nvme *nvme;
	void (*fn)(void *opaque);
	void *opaque;
	bool done;
};

/*
 * Not served meanwhile: what ends while it drains a queue is looked at afterwards, and not in the middle
 * of a reset.
 */
static void call_fn(struct nvme *nvme, void (*fn)(void *opaque), void *opaque)
{
	nvme->serving = true;
	fn(opaque);
	nvme->serving = false;
}

static void call_run(void *opaque)
{
	struct call *call = opaque;
	struct nvme *nvme = call->nvme;

	call_fn(nvme, call->fn, call->opaque);
	lock_take(&nvme->call_lock);
	call->done = true;
	pthread_cond_broadcast(&nvme->called);
	lock_drop(&nvme->call_lock);
	nvme_serve_all(nvme);
}

void nvme_call(struct nvme *nvme, void (*fn)(void *opaque), void *opaque)
{
	struct call call = { .nvme = nvme, .fn = fn, .opaque = opaque };

	if (!nvme->has_thread) {
		call_fn(nvme, fn, opaque);
		nvme_serve_all(nvme);
		return;
	}
	call.work.fn = call_run;
	call.work.opaque = &call;
	loop_post(nvme->loop, &call.work);
	lock_take(&nvme->call_lock);
	while (!call.done)
		pthread_cond_wait(&nvme->called, &nvme->call_lock.mutex);
	lock_drop(&nvme->call_lock);
}

static bool serve_round(struct nvme *nvme)
{
	bool any = false;

	if (atomic_exchange(&nvme->revoked, false)) {
		for (unsigned int i = 0; i < nvme->nr_ctrls; i++)
			nvme_queues_revoke(nvme->ctrls[i]);
	}
	for (unsigned int i = 0; i < nvme->nr_ctrls; i++) {
		nvme_ctrl_sync(nvme->ctrls[i]);
		any |= nvme_queues_run(nvme->ctrls[i]);
	}
	for (unsigned int i = 0; i < nvme->nr_ns; i++) {
		if (!nvme->ns[i].submitted)
			continue;
		nvme->ns[i].submitted = false;
		block_kick(nvme->ns[i].queue);
	}
	for (unsigned int i = 0; i < nvme->nr_ctrls; i++)
		any |= nvme_queues_post(nvme->ctrls[i]);
	return any;
}

void nvme_serve_all(struct nvme *nvme)
{
	unsigned int rounds = 0;

	if (nvme->serving || nvme->quiesced) {
		nvme->again = true;
		return;
	}
	nvme->serving = true;
	do
		nvme->again = false;
	while ((serve_round(nvme) || nvme->again) && ++rounds < ROUNDS_MAX);
	nvme->serving = false;
	if (rounds == ROUNDS_MAX)
		nvme_kick(nvme_primary(nvme));
}

static void ns_batch_done(void *opaque)
{
	nvme_serve_all(opaque);
}

static void ctrl_kicked(void *opaque, uint32_t events)
{
	struct nvme_ctrl *ctrl = opaque;
	struct sys *sys = ctrl->fn.platform->sys;
	uint64_t count;

	(void)!sys->ops->read(sys, ctrl->kick_fd, &count, sizeof(count));
	nvme_serve_all(ctrl->nvme);
}

static void *nvme_thread(void *opaque)
{
	struct nvme *nvme = opaque;

	loop_run(nvme->loop);
	return NULL;
}

/* ---- functions ---- */

static void fn_offline(void *opaque)
{
	nvme_virt_offline(opaque);
}

/* Under LOCK_FABRIC. A virtual function that is no longer enabled has lost its resources, too. */
static void fn_reset(struct pci_function *fn)
{
	struct nvme_ctrl *ctrl = fn->opaque;

	nvme_ctrl_reset(ctrl, NVME_RESET_FUNCTION);
	if (fn->pf && fn->vf >= pci_sriov_enabled(fn->pf))
		nvme_call(ctrl->nvme, fn_offline, ctrl);
}

/* The kernel's doorbells must not stay where the BAR was: something else may be there next. */
static void fn_bar_changed(struct pci_function *fn, unsigned int index)
{
	struct nvme_ctrl *ctrl = fn->opaque;
	struct platform *platform = fn->platform;

	lock_take(&ctrl->lock);
	ctrl->bar = fn->bars[0].enabled ? fn->bars[0].addr : 0;
	for (unsigned int slot = 0; !ctrl->bar && slot < ARRAY_SIZE(ctrl->bell_at); slot++) {
		struct doorbell bell = {
			.space = BUS_MMIO,
			.addr = ctrl->bell_at[slot],
			.size = 4,
			.eventfd = ctrl->kick_fd,
		};

		if (bell.addr)
			platform->ops->doorbell_remove(platform, &bell);
		ctrl->bell_at[slot] = 0;
	}
	lock_drop(&ctrl->lock);
	nvme_kick(ctrl);
}

static void fn_msix_enabled(struct pci_function *fn, bool enabled)
{
	nvme_kick(fn->opaque);
}

/* As many vectors as it was given interrupt resources (NVMe 1.4, 8.5). */
static uint32_t vf_config_read(struct pci_function *fn, uint16_t offset, unsigned int size)
{
	struct nvme_ctrl *ctrl = fn->opaque;
	unsigned int control = (unsigned int)ctrl->msix_cap + PCI_MSIX_CONTROL;
	uint32_t v = pci_config_get(fn, offset, size);
	unsigned int nr = atomic_load(&ctrl->nr_vi);

	for (unsigned int i = 0; i < size; i++) {
		unsigned int at = offset + i - control;
		uint32_t field = nr ? FIELD_PREP(PCI_MSIX_SIZE, nr - 1) : 0;

		if (at > 1)
			continue;
		v &= ~((PCI_MSIX_SIZE >> (8 * at) & 0xff) << (8 * i));
		v |= (field >> (8 * at) & 0xff) << (8 * i);
	}
	return v;
}

static const struct pci_function_ops pf_ops = {
	.reset = fn_reset,
	.bar_changed = fn_bar_changed,
	.msix_enabled = fn_msix_enabled,
};

static const struct pci_function_ops vf_ops = {
	.config_read = vf_config_read,
	.reset = fn_reset,
	.bar_changed = fn_bar_changed,
	.msix_enabled = fn_msix_enabled,
};

static int ctrl_init_function(struct nvme_ctrl *ctrl, bool integrated)
{
	struct pci_function *fn = &ctrl->fn;
	int err;

	if (!nvme_is_vf(ctrl))
		pci_config_set(fn, PCI_IRQ_PIN, 1, 1);
	err = pci_bar_declare(fn, 0, BAR_SIZE, PCI_BAR_MEM64);
	if (!err)
		err = pci_bar_add_trap(fn, 0, 0, BAR_REGS_LEN, ctrl->regs_name, &nvme_regs_ops,
				       ctrl);
	if (!err)
		err = pci_express_init(fn, integrated);
	if (!err)
		err = pci_add_capability(fn, PCI_CAP_MSIX, PCI_MSIX_CAP_LEN, &ctrl->msix_cap);
	if (!err)
		err = pci_msix_init(fn, ctrl->msix_cap, ctrl->nr_vectors, 0, BAR_TABLE, 0,
				    BAR_PENDING);
	return err ? err : pci_dma_init(&ctrl->dma, fn);
}

static void ctrl_destroy(struct nvme_ctrl *ctrl)
{
	struct platform *platform = ctrl->fn.platform;

	if (ctrl->kick.armed)
		loop_unwatch(ctrl->nvme->loop, &ctrl->kick);
	if (ctrl->kick_fd >= 0)
		sys_close(platform->sys, &ctrl->kick_fd);
	nvme_requests_free(ctrl);
	if (ctrl->dma.fn)
		pci_dma_fini(&ctrl->dma);
	pci_function_fini(&ctrl->fn);
	lock_fini(&ctrl->lock);
	free(ctrl);
}

static int ctrl_create(struct nvme *nvme, unsigned int id, bool integrated, struct nvme_ctrl **out)
{
	static const struct pci_ids ids = {
		.vendor = NVME_VENDOR,
		.device = NVME_DEVICE,
		.subvendor = NVME_VENDOR,
		.subdevice = NVME_DEVICE,
		.class_code = NVME_CLASS,
	};
	struct nvme_ctrl *ctrl = calloc(1, sizeof(*ctrl));
	unsigned int vectors = nvme->vf_queues + 1;
	char name[64];
	int err = 0;

	if (!ctrl)
		return -ENOMEM;
	if (!id)
		vectors = nvme->io_queues + 1 + nvme_virt_total(nvme);
	ctrl->nvme = nvme;
	ctrl->cntlid = (uint16_t)id;
	ctrl->nr_vectors = (uint16_t)min_u64(vectors, NVME_PAIRS_MAX);
	ctrl->kick_fd = -1;
	atomic_store(&ctrl->online, !id);
	lock_init(&ctrl->lock, LOCK_DEVICE);
	if (id)
		snprintf(name, sizeof(name), "%s VF %u", nvme->dev.name, id - 1);
	else
		snprintf(name, sizeof(name), "%s", nvme->dev.name);
	snprintf(ctrl->regs_name, sizeof(ctrl->regs_name), "%.40s registers", name);
	pci_function_init(&ctrl->fn, nvme->platform, &nvme->dev, id ? &vf_ops : &pf_ops, &ids,
			  name);
	ctrl->fn.opaque = ctrl;
	nvme_features_reset(ctrl);
	err = ctrl_init_function(ctrl, integrated);
	if (!err && nvme->platform->sys) {
		err = sys_open(nvme->platform->sys, SYS_EVENTFD, NULL);
		ctrl->kick_fd = err < 0 ? -1 : err;
		err = err < 0 ? err : 0;
	}
	if (!err && nvme->loop && ctrl->kick_fd >= 0)
		err = loop_watch(nvme->loop, &ctrl->kick, ctrl->kick_fd, EPOLLIN, ctrl_kicked,
				 ctrl);
	if (err) {
		ctrl_destroy(ctrl);
		return err;
	}
	*out = ctrl;
	return 0;
}

/* ---- namespaces ---- */

/* 64 bits of a text and a number, well mixed (FNV-1a, and a finalizer). */
static uint64_t hash(const char *text, uint64_t salt)
{
	uint64_t h = 0xcbf29ce484222325ull ^ salt;

	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * 0x100000001b3ull;
	h = (h ^ h >> 33) * 0xff51afd7ed558ccdull;
	return h ^ h >> 29;
}

static int ns_create(struct nvme *nvme, struct block *block, struct diag *diag)
{
	const struct block_limits *limits = &block->limits;
	struct nvme_ns *ns = &nvme->ns[nvme->nr_ns];
	int err;

	if (limits->max_transfer < NVME_TRANSFER_MAX || limits->max_iov < NVME_SG_MAX ||
	    limits->max_discard < limits->block_size)
		return diag_set(diag, -EINVAL, block->name,
				"its back end cannot move %llu bytes at a time",
				(unsigned long long)NVME_TRANSFER_MAX);
	err = block_claim(block, nvme->dev.name, diag);
	if (err)
		return err;
	err = block_queue_create(block, nvme->loop, ns_batch_done, nvme, &ns->queue, diag);
	if (err) {
		block_release(block);
		return err;
	}
	ns->nvme = nvme;
	ns->nsid = ++nvme->nr_ns;
	ns->block = block;
	ns->lba_lg2 = (unsigned int)__builtin_ctz(limits->block_size);
	ns->nr_blocks = block->size >> ns->lba_lg2;
	ns->attached = UINT64_MAX;
	/* The same disk has the same name at the next start: the serial, and its place. */
	le_store(&ns->nguid[0], 8, hash(nvme->serial, ns->nsid));
	le_store(&ns->nguid[8], 8, hash(nvme->serial, ~(uint64_t)ns->nsid));
	nvme->write_cache |= limits->volatile_cache;
	return 0;
}

static int nvme_name(struct nvme *nvme, const struct nvme_config *config, struct diag *diag)
{
	const char *serial = config->serial ? config->serial : config->name;
	uint64_t high, low;

	snprintf(nvme->dev.name, sizeof(nvme->dev.name), "%s", config->name);
	if (config->serial && (!*serial || strlen(serial) > NVME_SN_LEN))
		return diag_set(diag, -EINVAL, config->name,
				"a serial number has 1 to %d characters", NVME_SN_LEN);
	for (const char *c = serial; *c; c++) {
		if (*c < ' ' || *c > '~')
			return diag_set(diag, -EINVAL, config->name,
					"a serial number is of printable ASCII characters");
	}
	snprintf(nvme->serial, sizeof(nvme->serial), "%s", serial);
	high = hash(nvme->serial, 'n');
	low = hash(nvme->serial, 'q');
	/* The name form of RFC 4122, made of the serial (NVMe 1.4, 7.9). */
	snprintf(nvme->subnqn, sizeof(nvme->subnqn),
		 "nqn.2014-08.org.nvmexpress:uuid:%08x-%04x-4%03x-a%03x-%012llx",
		 (unsigned int)(high >> 32), (unsigned int)(high >> 16 & 0xffff),
		 (unsigned int)(high & 0xfff), (unsigned int)(low >> 52),
		 (unsigned long long)(low & GENMASK64(47, 0)));
	return 0;
}

/* ---- life ---- */

struct pci_function *nvme_function(struct device *dev)
{
	return &nvme_primary(nvme_of(dev))->fn;
}

struct pci_function *nvme_vf(struct device *dev, unsigned int vf)
{
	return vf < nvme_of(dev)->vfs ? &nvme_of(dev)->ctrls[1 + vf]->fn : NULL;
}

void nvme_serve(struct device *dev)
{
	nvme_serve_all(nvme_of(dev));
}

static void nvme_quiesce_now(void *opaque)
{
	struct nvme *nvme = opaque;

	nvme->quiesced = true;
	for (unsigned int i = 0; i < nvme->nr_ns; i++)
		block_drain(nvme->ns[i].queue);
	for (unsigned int i = 0; i < nvme->nr_ctrls; i++)
		nvme_queues_post(nvme->ctrls[i]);
}

static void nvme_quiesce(struct device *dev)
{
	nvme_call(nvme_of(dev), nvme_quiesce_now, nvme_of(dev));
}

static void nvme_resume_now(void *opaque)
{
	struct nvme *nvme = opaque;

	nvme->quiesced = false;
}

static void nvme_resume(struct device *dev)
{
	nvme_call(nvme_of(dev), nvme_resume_now, nvme_of(dev));
}

/* The functions' own resets have done it all; the figures are the subsystem's. */
static void nvme_reset(struct device *dev)
{
	nvme_of(dev)->figures = (struct nvme_figures){ 0 };
}

static void nvme_free(struct nvme *nvme)
{
	for (unsigned int i = 0; i < nvme->nr_ns; i++) {
		block_queue_destroy(nvme->ns[i].queue);
		block_release(nvme->ns[i].block);
	}
	/* Virtual functions last: the physical one points at them. */
	for (unsigned int i = 0; i < nvme->nr_ctrls; i++)
		ctrl_destroy(nvme->ctrls[i]);
	if (nvme->loop && nvme->loop != nvme->platform->loop)
		loop_destroy(nvme->loop);
	pthread_cond_destroy(&nvme->called);
	lock_fini(&nvme->call_lock);
	free(nvme);
}

static void nvme_stop(void *opaque)
{
	struct nvme *nvme = opaque;

	for (unsigned int i = 0; i < nvme->nr_ctrls; i++) {
		struct nvme_ctrl *ctrl = nvme->ctrls[i];

		lock_take(&ctrl->lock);
		ctrl->resets |= NVME_RESET_FUNCTION;
		lock_drop(&ctrl->lock);
		nvme_ctrl_sync(ctrl);
	}
	nvme->quiesced = true;
}

static void nvme_destroy(struct device *dev)
{
	struct nvme *nvme = nvme_of(dev);

	pci_function_detach(&nvme_primary(nvme)->fn);
	platform_synchronize(nvme->platform);
	nvme_call(nvme, nvme_stop, nvme);
	if (nvme->has_thread) {
		loop_stop(nvme->loop, 0);
		pthread_join(nvme->thread, NULL);
	}
	nvme_free(nvme);
}

static const struct device_ops nvme_device_ops = {
	.reset = nvme_reset,
	.quiesce = nvme_quiesce,
	.resume = nvme_resume,
	.cannot_migrate = "an NVMe controller's queues are not part of a stream",
	.destroy = nvme_destroy,
};

static int nvme_add_vfs(struct nvme *nvme)
{
	struct pci_function *pf = &nvme_primary(nvme)->fn;
	struct pci_sriov_config config = {
		.total_vfs = (uint16_t)nvme->vfs,
		.first = 1,
		.stride = 1,
		.vf_device = NVME_VF_DEVICE,
	};
	int err = 0;

	if (!nvme->vfs)
		return 0;
	err = pci_sriov_init(pf, &config);
	if (!err)
		err = pci_sriov_bar_declare(pf, 0, BAR_SIZE, PCI_BAR_MEM64);
	for (unsigned int i = 0; i < nvme->vfs && !err; i++)
		err = pci_sriov_add_vf(pf, i, &nvme->ctrls[1 + i]->fn);
	return err;
}

static int nvme_check(const struct nvme_config *config, struct diag *diag)
{
	if (!config->nr_blocks || config->nr_blocks > NVME_NAMESPACES_MAX)
		return diag_set(diag, -EINVAL, config->name, "1 to %d drives", NVME_NAMESPACES_MAX);
	if (!config->io_queues || config->io_queues > NVME_IO_QUEUES_MAX)
		return diag_set(diag, -EINVAL, config->name, "1 to %d I/O queues",
				NVME_IO_QUEUES_MAX);
	if (config->vfs > NVME_VFS_MAX)
		return diag_set(diag, -EINVAL, config->name, "at most %d virtual functions",
				NVME_VFS_MAX);
	if (config->vfs && (!config->vf_queues || config->vf_queues > NVME_IO_QUEUES_MAX))
		return diag_set(diag, -EINVAL, config->name,
				"1 to %d I/O queues of a virtual function", NVME_IO_QUEUES_MAX);
	/* On the root bus the next device's number follows the seventh function. */
	if (config->on_root_bus && config->vfs > 7)
		return diag_set(diag, -EINVAL, config->name,
				"on the root bus there is room for 7 virtual functions");
	return 0;
}

int nvme_create(struct platform *platform, const struct nvme_config *config, struct device **dev,
		struct diag *diag)
{
	struct nvme *nvme;
	int err = nvme_check(config, diag);

	if (err)
		return err;
	nvme = calloc(1, sizeof(*nvme));
	if (!nvme)
		return diag_set(diag, -ENOMEM, config->name, "out of memory");
	lock_init(&nvme->call_lock, LOCK_LEAF);
	pthread_cond_init(&nvme->called, NULL);
	nvme->dev.ops = &nvme_device_ops;
	nvme->platform = platform;
	nvme->loop = platform->loop;
	nvme->vfs = config->vfs;
	nvme->vf_queues = config->vfs ? config->vf_queues : 0;
	nvme->io_queues = config->io_queues;
	nvme->began_ns = loop_now_ns();
	err = nvme_name(nvme, config, diag);
	if (err)
		goto err_free;
	if (config->own_thread) {
		nvme->loop = NULL;
		err = loop_create(&nvme->loop);
	}
	if (err)
		goto err_say;
	for (unsigned int i = 0; i < config->nr_blocks; i++) {
		err = ns_create(nvme, config->blocks[i], diag);
		if (err)
			goto err_free;
	}
	for (unsigned int i = 0; i <= config->vfs; i++) {
		err = ctrl_create(nvme, i, config->on_root_bus, &nvme->ctrls[i]);
		if (err)
			goto err_say;
		nvme->nr_ctrls++;
	}
	err = nvme_add_vfs(nvme);
	if (!err && config->own_thread)
		err = sys_thread_start(&nvme->thread, "nvme", nvme_thread, nvme);
	if (err)
		goto err_say;
	nvme->has_thread = config->own_thread;
	*dev = &nvme->dev;
	return 0;

err_say:
	diag_set(diag, err, config->name, "cannot be made: %s", strerror(-err));
err_free:
	nvme_free(nvme);
	return err;
}
