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

/*
 * A descriptor to read the counters of a VM or a vCPU from, or -ENOTSUP on a kernel without them, or
 * -errno. Of a vCPU before it runs: the kernel does not serve the call while the vCPU is in KVM_RUN,
 * which an idle guest never leaves.
 */
int kvm_stats_open(struct sys *sys, int object_fd);

/* stats_fd: by kvm_stats_open(). Any thread, at any time. 0 or -errno. */
int kvm_stats_read(struct sys *sys, int stats_fd, kvm_stats_fn fn, void *opaque);

#endif
