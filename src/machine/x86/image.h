/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VM's boot image: loaded beside the rest of the set-up at power-on, which has as much to do again,
 * and on the spot after a reset.
 *
 * Loop thread only; the thread that loads is joined by whoever asks for the result first.
 */
#ifndef AIRLOCK_MACHINE_X86_IMAGE_H
#define AIRLOCK_MACHINE_X86_IMAGE_H

#include "machine/vm.h"
#include "machine/x86/boot.h"

/*
 * Brings the image that arch_image_begin() opened into RAM, or waits until the loading that it began
 * has done so. 0, or -errno with diag filled: RAM is undefined then.
 */
int vm_image_load(struct vm *vm, struct boot_entry *entry, struct diag *diag);

#endif
