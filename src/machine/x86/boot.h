/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From an image file to the state in which a vCPU starts it. Airlock knows four kinds:
 *
 *	Linux bzImage		64-bit boot protocol (Documentation/arch/x86/boot.rst), or, unpacked
 *				on the host's side, its vmlinux straight away
 *	ELF with a PVH note	XEN_ELFNOTE_PHYS32_ENTRY and struct hvm_start_info
 *	ELF64 without one	a Linux vmlinux: 64-bit entry with boot_params
 *	Multiboot 1		32-bit, ELF or raw by the header's address fields, modules
 *
 * An image is hostile input, read anew at every load: a file that changed under a running VM gets
 * checked again at reboot. Nothing here knows KVM.
 *
 * One thread at a time per image.
 */
#ifndef AIRLOCK_MACHINE_X86_BOOT_H
#define AIRLOCK_MACHINE_X86_BOOT_H

#include "base/diag.h"
#include "base/types.h"
#include "memory/ram.h"
#include "sys/sys.h"

/* Unpack a bzImage's compressed kernel on the host instead of letting the guest do it? */
enum boot_unpack {
	BOOT_UNPACK_AUTO,   /* where it can be done and nothing is lost (KASLR) */
	BOOT_UNPACK_ALWAYS, /* refuse if it cannot be done */
	BOOT_UNPACK_NEVER,
};

struct boot_config {
	const char *kernel;  /* path, or "fd=N" */
	const char *initrd;  /* path, or "fd=N"; NULL: none. Multiboot: module 0 */
	const char *cmdline; /* NULL: empty */
	enum boot_unpack unpack;
};

enum boot_mode {
	BOOT_MODE_LONG64,      /* long mode, paging on: the 64-bit Linux entry */
	BOOT_MODE_PROTECTED32, /* flat protected mode, paging off: PVH and Multiboot */
};

/* How the boot vCPU starts; cpu_state.h turns it into registers. */
struct boot_entry {
	enum boot_mode mode;
	uint64_t rip;
	uint64_t rsp;
	uint64_t rax, rbx, rsi;
	gpa_t gdt; /* null, null, code (0x10), data (0x18) */
	uint16_t gdt_limit;
	gpa_t page_tables; /* CR3; long mode only */
};

struct boot_image;

/*
 * Opens both files, finds out what the kernel is and checks its headers, so that a bad image is
 * refused before anything else is built. Keeps the files open for later loads. 0, or -errno with
 * diag filled.
 */
int boot_image_open(struct sys *sys, const struct boot_config *config, struct boot_image **image,
		    struct diag *diag);

/*
 * Places kernel, initrd, command line, tables and descriptors in RAM, which must be all zeroes as
 * after ram_create() or ram_clear(). rsdp is where acpi_install() put the root pointer; 0: none.
 * May be called again after a reset. 0, or -errno with diag filled: RAM is undefined then.
 */
int boot_image_load(struct boot_image *image, const struct ram *ram, gpa_t rsdp,
		    struct boot_entry *entry, struct diag *diag);

/* "Linux 6.1.0-18-cloud-amd64, bzImage, unpacked by the guest": for --plan and --stats. */
const char *boot_image_what(const struct boot_image *image);

void boot_image_close(struct boot_image *image);

#endif
