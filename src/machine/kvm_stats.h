/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * KVM's own counters of a VM or vCPU, by its binary statistics interface.
 * Source: Linux Documentation/virt/kvm/api.rst, 4.133 (KVM_GET_STATS_FD).
 */
#ifndef AIRLOCK_MACHINE_KVM_STATS_H
#define AIRLOCK_MACHINE_KVM_STATS_H

#include "sys/sys.h"

/* Called with each counter that is a single number. */
typedef void (*kvm_stats_fn)(void *opaque, const char *name, uint64_t value);

/* object_fd: a VM's or a vCPU's. 0, -ENOTSUP on a kernel without them, or -errno. */
int kvm_stats_read(struct sys *sys, int object_fd, kvm_stats_fn fn, void *opaque);

#endif
