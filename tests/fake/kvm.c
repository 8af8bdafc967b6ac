// SPDX-License-Identifier: GPL-2.0-or-later
#include "fake/kvm.h"

#include <errno.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/bits.h"
#include "base/bug.h"

/* Descriptors of the fake: far from the real ones. */
#define FD_KVM	 100000
#define FD_VM	 100001
#define FD_VFIO	 100002 /* KVM's list of VFIO groups */
#define FD_VCPU0 100100
#define FD_END	 (FD_VCPU0 + FAKE_KVM_VCPUS)

static struct fake_kvm *fake_of(struct sys *sys)
{
	return sys->ctx;
}

/* True when this call is the one to fail. Under the mutex. */
static bool fake_fails(struct fake_kvm *kvm)
{
	return ++kvm->nr_calls == kvm->fail_at;
}

static bool fake_is_ours(int fd)
{
	return fd >= FD_KVM && fd < FD_END;
}

static int fake_count(struct fake_kvm *kvm)
{
	bool fails;

	pthread_mutex_lock(&kvm->mutex);
	fails = fake_fails(kvm);
	pthread_mutex_unlock(&kvm->mutex);
	return fails ? kvm->fail_err : 0;
}

static int fake_open(struct sys *sys, enum sys_object kind, const char *name)
{
	struct fake_kvm *kvm = fake_of(sys);
	int fd = fake_count(kvm);

	if (fd)
		return fd;
	fd = kind == SYS_KVM ? FD_KVM : sys_open(&kvm->real, kind, name);
	if (fd >= 0)
		kvm->nr_fds++;
	return fd;
}

static void fake_close(struct sys *sys, int fd)
{
	struct fake_kvm *kvm = fake_of(sys);

	BUG_ON(!kvm->nr_fds);
	kvm->nr_fds--;
	if (!fake_is_ours(fd))
		kvm->real.ops->close(&kvm->real, fd);
}

static int fake_check_extension(unsigned long cap)
{
	switch (cap) {
	case KVM_CAP_NR_MEMSLOTS:
		return FAKE_KVM_SLOTS;
	case KVM_CAP_IRQ_ROUTING:
		return FAKE_KVM_ROUTES;
	case KVM_CAP_MAX_VCPUS:
		return FAKE_KVM_VCPUS;
	}
	return 1;
}

static int fake_cpuid(struct kvm_cpuid2 *list)
{
	list->nent = 2;
	list->entries[0] = (struct kvm_cpuid_entry2){ .function = 1, .ecx = BIT(31) };
	list->entries[1] = (struct kvm_cpuid_entry2){ .function = 0x80000008, .eax = 40 };
	return 0;
}

static int fake_memory_region(struct fake_kvm *kvm, const struct kvm_userspace_memory_region *r)
{
	if (r->slot >= FAKE_KVM_SLOTS)
		return -EINVAL;
	if (!r->memory_size && !kvm->slots[r->slot].memory_size)
		return -EINVAL;
	kvm->slots[r->slot] = *r;
	return 0;
}

static int fake_irqfd(struct fake_kvm *kvm, const struct kvm_irqfd *irqfd)
{
	if (irqfd->flags & KVM_IRQFD_FLAG_DEASSIGN) {
		for (unsigned int i = 0; i < kvm->nr_irqfds; i++) {
			if (kvm->irqfds[i].fd != irqfd->fd || kvm->irqfds[i].gsi != irqfd->gsi)
				continue;
			kvm->irqfds[i] = kvm->irqfds[--kvm->nr_irqfds];
			return 0;
		}
		return -ENOENT;
	}
	if (kvm->nr_irqfds == FAKE_KVM_IRQFDS)
		return -ENOSPC;
	kvm->irqfds[kvm->nr_irqfds++] = *irqfd;
	return 0;
}

/* Groups come and go by count; the last one need not be told off before the end. */
static int fake_vfio_ioctl(struct fake_kvm *kvm, unsigned long request, void *arg)
{
	const struct kvm_device_attr *attr = arg;

	if (request != KVM_SET_DEVICE_ATTR || attr->group != KVM_DEV_VFIO_GROUP)
		return -ENOTTY;
	if (attr->attr == KVM_DEV_VFIO_GROUP_ADD)
		kvm->nr_groups++;
	else
		kvm->nr_groups--;
	return 0;
}

static int fake_vm_ioctl(struct fake_kvm *kvm, unsigned long request, void *arg)
{
	const struct kvm_irq_routing *routing = arg;

	switch (request) {
	case KVM_CHECK_EXTENSION:
		return fake_check_extension((uintptr_t)arg);
	case KVM_CREATE_VCPU:
		if (kvm->nr_vcpus == FAKE_KVM_VCPUS)
			return -EINVAL;
		memset(&kvm->vcpus[kvm->nr_vcpus], 0, sizeof(kvm->vcpus[0]));
		kvm->vcpus[kvm->nr_vcpus].fd = FD_VCPU0 + (int)kvm->nr_vcpus;
		kvm->nr_fds++;
		return kvm->vcpus[kvm->nr_vcpus++].fd;
	case KVM_SET_USER_MEMORY_REGION:
		return fake_memory_region(kvm, arg);
	case KVM_SET_GSI_ROUTING:
		if (routing->nr > FAKE_KVM_ROUTES)
			return -EINVAL;
		/* kvm_msi_route_invalid(), once KVM_CAP_X2APIC_API is on. */
		for (uint32_t i = 0; i < routing->nr; i++)
			if (routing->entries[i].u.msi.address_hi & 0xff)
				return -EINVAL;
		kvm->nr_routes = routing->nr;
		memcpy(kvm->routes, routing->entries, routing->nr * sizeof(kvm->routes[0]));
		kvm->nr_commits++;
		return 0;
	case KVM_IRQFD:
		return fake_irqfd(kvm, arg);
	case KVM_CREATE_DEVICE:
		((struct kvm_create_device *)arg)->fd = FD_VFIO;
		kvm->nr_fds++;
		return 0;
	case KVM_SIGNAL_MSI:
		memcpy(&kvm->last_message, arg, sizeof(kvm->last_message));
		kvm->nr_messages++;
		return 1;
	case KVM_ENABLE_CAP:
	case KVM_SET_TSS_ADDR:
	case KVM_SET_IDENTITY_MAP_ADDR:
	case KVM_IOEVENTFD:
		return 0;
	}
	return -ENOTTY;
}

static int fake_run(struct fake_kvm *kvm, struct fake_vcpu *vcpu)
{
	/* A kick may come between its flag and its signal: look again every millisecond. */
	struct timespec until;

	while (vcpu->next_exit == vcpu->nr_exits) {
		if (__atomic_load_n(&vcpu->run->immediate_exit, __ATOMIC_SEQ_CST))
			return -EINTR;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 1000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000;
		}
		pthread_cond_timedwait(&kvm->kicked, &kvm->mutex, &until);
	}
	if (__atomic_load_n(&vcpu->run->immediate_exit, __ATOMIC_SEQ_CST))
		return -EINTR;
	vcpu->exits[vcpu->next_exit].fill(vcpu->run, vcpu->exits[vcpu->next_exit].opaque);
	vcpu->next_exit++;
	vcpu->nr_runs++;
	return 0;
}

static int fake_vcpu_ioctl(struct fake_kvm *kvm, struct fake_vcpu *vcpu, unsigned long request,
			   void *arg)
{
	struct kvm_msrs *msrs = arg;

	switch (request) {
	case KVM_RUN:
		return fake_run(kvm, vcpu);
	case KVM_GET_REGS:
		memcpy(arg, &vcpu->regs, sizeof(vcpu->regs));
		return 0;
	case KVM_SET_REGS:
		memcpy(&vcpu->regs, arg, sizeof(vcpu->regs));
		return 0;
	case KVM_GET_SREGS:
		memcpy(arg, &vcpu->sregs, sizeof(vcpu->sregs));
		return 0;
	case KVM_SET_SREGS:
		memcpy(&vcpu->sregs, arg, sizeof(vcpu->sregs));
		return 0;
	case KVM_GET_MSRS:
	case KVM_SET_MSRS:
		return (int)msrs->nmsrs;
	case KVM_GET_LAPIC:
		memset(arg, 0, sizeof(struct kvm_lapic_state));
		return 0;
	case KVM_SET_CPUID2:
	case KVM_SET_LAPIC:
	case KVM_GET_FPU:
	case KVM_SET_FPU:
	case KVM_GET_VCPU_EVENTS:
	case KVM_SET_VCPU_EVENTS:
	case KVM_GET_DEBUGREGS:
	case KVM_SET_DEBUGREGS:
	case KVM_GET_XCRS:
	case KVM_SET_XCRS:
	case KVM_GET_MP_STATE:
	case KVM_SET_MP_STATE:
		return 0;
	}
	return -ENOTTY;
}

static int fake_kvm_ioctl(struct fake_kvm *kvm, unsigned long request, void *arg)
{
	switch (request) {
	case KVM_GET_API_VERSION:
		return KVM_API_VERSION;
	case KVM_GET_VCPU_MMAP_SIZE:
		return 2 * (int)PAGE_SIZE;
	case KVM_CREATE_VM:
		kvm->nr_fds++;
		return FD_VM;
	case KVM_GET_SUPPORTED_CPUID:
		return fake_cpuid(arg);
	case KVM_GET_MSR_INDEX_LIST:
		((struct kvm_msr_list *)arg)->nmsrs = 1;
		((struct kvm_msr_list *)arg)->indices[0] = 0x10;
		return 0;
	}
	return -ENOTTY;
}

/* Calls that take something away cannot fail in a way a caller could act on. */
static bool fake_may_fail(unsigned long request, void *arg)
{
	if (request == KVM_SET_DEVICE_ATTR)
		return ((struct kvm_device_attr *)arg)->attr == KVM_DEV_VFIO_GROUP_ADD;
	if (request == KVM_IRQFD)
		return !(((struct kvm_irqfd *)arg)->flags & KVM_IRQFD_FLAG_DEASSIGN);
	return request != KVM_RUN;
}

static int fake_ioctl(struct sys *sys, int fd, unsigned long request, void *arg)
{
	struct fake_kvm *kvm = fake_of(sys);
	int r;

	if (!fake_is_ours(fd)) {
		r = sys_ioctl(&kvm->real, fd, request, arg);
		/* With a fake VFIO below: the one call of its that opens something. */
		if (request == VFIO_GROUP_GET_DEVICE_FD && r >= 0)
			kvm->nr_fds++;
		return r;
	}
	pthread_mutex_lock(&kvm->mutex);
	if (fake_may_fail(request, arg) && fake_fails(kvm))
		r = kvm->fail_err;
	else if (fd == FD_KVM)
		r = fake_kvm_ioctl(kvm, request, arg);
	else if (fd == FD_VM)
		r = fake_vm_ioctl(kvm, request, arg);
	else if (fd == FD_VFIO)
		r = fake_vfio_ioctl(kvm, request, arg);
	else
		r = fake_vcpu_ioctl(kvm, &kvm->vcpus[fd - FD_VCPU0], request, arg);
	pthread_mutex_unlock(&kvm->mutex);
	return r;
}

static int fake_mmap(struct sys *sys, void *hint, size_t len, int prot, int flags, int fd,
		     uint64_t offset, void **out)
{
	struct fake_kvm *kvm = fake_of(sys);
	int err = fake_count(kvm);

	if (err)
		return err;
	if (fd >= FD_VCPU0 && fake_is_ours(fd)) {
		err = kvm->real.ops->mmap(&kvm->real, NULL, len, prot, MAP_PRIVATE | MAP_ANONYMOUS,
					  -1, 0, out);
		if (!err)
			kvm->vcpus[fd - FD_VCPU0].run = *out;
	} else {
		err = kvm->real.ops->mmap(&kvm->real, hint, len, prot, flags, fd, offset, out);
	}
	if (!err)
		kvm->mapped += len;
	return err;
}

static void fake_munmap(struct sys *sys, void *addr, size_t len)
{
	struct fake_kvm *kvm = fake_of(sys);

	/* In bytes: a mapping may be given back in pieces. */
	BUG_ON(kvm->mapped < len);
	kvm->mapped -= len;
	kvm->real.ops->munmap(&kvm->real, addr, len);
}

void fake_kvm_script(struct fake_kvm *kvm, unsigned int vcpu,
		     void (*fill)(struct kvm_run *run, void *opaque), void *opaque)
{
	struct fake_vcpu *v = &kvm->vcpus[vcpu];

	pthread_mutex_lock(&kvm->mutex);
	BUG_ON(v->nr_exits == FAKE_KVM_EXITS);
	v->exits[v->nr_exits++] = (struct fake_exit){ fill, opaque };
	pthread_cond_broadcast(&kvm->kicked);
	pthread_mutex_unlock(&kvm->mutex);
}

#define PASS(name, ret, params, args)                        \
	static ret fake_##name params                        \
	{                                                    \
		struct fake_kvm *kvm = fake_of(sys);         \
		int err = fake_count(kvm);                   \
                                                             \
		return err ? err : kvm->real.ops->name args; \
	}

PASS(read, ssize_t, (struct sys * sys, int fd, void *buf, size_t len), (&kvm->real, fd, buf, len))
PASS(write, ssize_t, (struct sys * sys, int fd, const void *buf, size_t len),
     (&kvm->real, fd, buf, len))
PASS(pread, ssize_t, (struct sys * sys, int fd, void *buf, size_t len, uint64_t offset),
     (&kvm->real, fd, buf, len, offset))
PASS(pwrite, ssize_t, (struct sys * sys, int fd, const void *buf, size_t len, uint64_t offset),
     (&kvm->real, fd, buf, len, offset))
PASS(size, int, (struct sys * sys, int fd, uint64_t *size), (&kvm->real, fd, size))
PASS(truncate, int, (struct sys * sys, int fd, uint64_t size), (&kvm->real, fd, size))
PASS(read_file, ssize_t,
     (struct sys * sys, enum sys_tree tree, const char *path, void *buf, size_t size),
     (&kvm->real, tree, path, buf, size))
PASS(write_file, int,
     (struct sys * sys, enum sys_tree tree, const char *path, const void *data, size_t len),
     (&kvm->real, tree, path, data, len))
PASS(read_link, ssize_t,
     (struct sys * sys, enum sys_tree tree, const char *path, char *buf, size_t size),
     (&kvm->real, tree, path, buf, size))
PASS(list, int,
     (struct sys * sys, enum sys_tree tree, const char *path, sys_list_fn fn, void *opaque),
     (&kvm->real, tree, path, fn, opaque))
PASS(limit, int, (struct sys * sys, enum sys_limit which, uint64_t *soft, uint64_t *hard),
     (&kvm->real, which, soft, hard))
PASS(madvise, int, (struct sys * sys, void *addr, size_t len, int advice),
     (&kvm->real, addr, len, advice))

static const struct sys_ops fake_ops = {
	.open = fake_open,
	.close = fake_close,
	.ioctl = fake_ioctl,
	.read = fake_read,
	.write = fake_write,
	.pread = fake_pread,
	.pwrite = fake_pwrite,
	.size = fake_size,
	.truncate = fake_truncate,
	.mmap = fake_mmap,
	.munmap = fake_munmap,
	.madvise = fake_madvise,
	.read_file = fake_read_file,
	.write_file = fake_write_file,
	.read_link = fake_read_link,
	.list = fake_list,
	.limit = fake_limit,
};

void fake_kvm_init(struct fake_kvm *kvm)
{
	memset(kvm, 0, sizeof(*kvm));
	kvm->sys = (struct sys){ &fake_ops, kvm };
	kvm->real = sys_real();
	kvm->fail_err = -EMFILE;
	pthread_mutex_init(&kvm->mutex, NULL);
	pthread_cond_init(&kvm->kicked, NULL);
}

void fake_kvm_fini(struct fake_kvm *kvm)
{
	pthread_cond_destroy(&kvm->kicked);
	pthread_mutex_destroy(&kvm->mutex);
}
