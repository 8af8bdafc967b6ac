// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel inside a bzImage, unpacked by the host straight to where it runs, and entered without
 * the decompressor ever running. The decompressor does one more thing than unpacking: it gives the
 * kernel a random physical and virtual address (KASLR). That is done here too, from the same table
 * of relocations, or else the guest is left to do all of it itself.
 *
 * What comes out of the payload is an ELF and, behind its end, for a kernel built for KASLR, the
 * table (arch/x86/tools/relocs.c writes it): 32-bit words, lists ended by a zero in front of them,
 * to be read from the end: places of 32-bit addresses, places of 32-bit negative offsets (kernels
 * before 6.15 only), places of 64-bit addresses. A place is the low half of a virtual address.
 *
 * The kernel is entered with four-level paging: a kernel that would go to five levels stays at four.
 */
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/endian.h"
#include "machine/x86/elf.h"
#include "machine/x86/linux.h"
#include "machine/x86/linux_kaslr.h"
#include "machine/x86/unpack.h"

/* Program headers of a vmlinux follow its ELF header. */
#define HEAD_SIZE  4096
#define RELOCS_MAX MIB(16)

/* A part of the ELF that goes to memory. */
struct part {
	uint64_t at, end; /* in what comes out */
	uint64_t to;	  /* from the kernel's base */
};

struct vmlinux {
	struct unpack_sink sink; /* first */
	const struct linux_header *header;
	uint8_t *base; /* host address of where the kernel runs; init_size bytes */
	uint64_t out_size;
	struct elf elf;
	unsigned int nr_parts;
	struct part parts[ELF_SEGMENTS_MAX]; /* ascending, apart */
	uint64_t relocs_at;		     /* out_size when there are none */
	uint8_t *relocs;
	const char *why; /* of a refusal */
	uint8_t head[HEAD_SIZE];
};

static struct vmlinux *vmlinux_of(struct unpack_sink *sink)
{
	return (struct vmlinux *)(void *)sink;
}

static int vmlinux_refuse(struct vmlinux *v, const char *why)
{
	v->why = why;
	return -ENOEXEC;
}

static int vmlinux_add_part(struct vmlinux *v, const struct elf_segment *s)
{
	uint64_t base = v->header->pref_address;

	if (s->paddr < base || s->size > v->header->init_size ||
	    s->paddr - base > v->header->init_size - s->size)
		return vmlinux_refuse(v, "a segment of its kernel lies outside the kernel's place");
	if (!s->file_size)
		return 0;
	if (v->nr_parts && s->offset < v->parts[v->nr_parts - 1].end)
		return vmlinux_refuse(v, "segments of its kernel overlap in the file");
	v->parts[v->nr_parts++] = (struct part){
		.at = s->offset,
		.end = s->offset + s->file_size,
		.to = s->paddr - base,
	};
	return 0;
}

/* The beginning is there: it says where all the rest goes. */
static int vmlinux_parse(struct vmlinux *v)
{
	const char *why = "its kernel's program headers lie too far behind its beginning";
	int err;

	if (!elf_has_magic(v->head))
		return vmlinux_refuse(v, "its kernel is no ELF");
	if (elf_parse(v->head, HEAD_SIZE, v->out_size, &v->elf, &why))
		return vmlinux_refuse(v, why);
	if (!v->elf.is_64 || v->elf.machine != EM_X86_64)
		return vmlinux_refuse(v, "its kernel is no ELF for x86-64");
	for (unsigned int i = 0; i < v->elf.nr_segments; i++) {
		if (v->elf.segments[i].type != PT_LOAD)
			continue;
		err = vmlinux_add_part(v, &v->elf.segments[i]);
		if (err)
			return err;
	}
	v->relocs_at = v->elf.end;
	if (v->out_size - v->relocs_at > RELOCS_MAX)
		return vmlinux_refuse(v, "something long follows its kernel");
	v->relocs = malloc(v->out_size - v->relocs_at + 1);
	if (!v->relocs) {
		v->why = "there is not enough memory";
		return -ENOMEM;
	}
	/* What has come so far was kept aside. */
	for (unsigned int i = 0; i < v->nr_parts; i++) {
		const struct part *part = &v->parts[i];

		if (part->at < HEAD_SIZE)
			memcpy(v->base + part->to, v->head + part->at,
			       min_u64(part->end, HEAD_SIZE) - part->at);
	}
	if (v->relocs_at < HEAD_SIZE)
		memcpy(v->relocs, v->head + v->relocs_at,
		       min_u64(v->out_size, HEAD_SIZE) - v->relocs_at);
	return 0;
}

static void *vmlinux_place(struct unpack_sink *sink, uint64_t at, size_t *room)
{
	struct vmlinux *v = vmlinux_of(sink);
	uint64_t next = v->relocs_at;

	if (at < HEAD_SIZE) {
		*room = HEAD_SIZE - at;
		return v->head + at;
	}
	if (at >= v->relocs_at) {
		*room = v->out_size - at;
		return v->relocs + (at - v->relocs_at);
	}
	for (unsigned int i = 0; i < v->nr_parts; i++) {
		const struct part *part = &v->parts[i];

		if (at >= part->end)
			continue;
		if (at >= part->at) {
			*room = part->end - at;
			return v->base + part->to + (at - part->at);
		}
		next = min_u64(next, part->at);
		break;
	}
	*room = next - at;
	return NULL;
}

static int vmlinux_begun(struct unpack_sink *sink)
{
	return vmlinux_parse(vmlinux_of(sink));
}

/* How the guest would find the place itself depends on these; so it is left to it. */
static bool cmdline_shapes_memory(const char *cmdline)
{
	return linux_cmdline_has(cmdline, "mem=") || linux_cmdline_has(cmdline, "memmap=") ||
	       linux_cmdline_has(cmdline, "hugepagesz=1G");
}

/* Where the kernel will lie, and how far its virtual address moves. */
static int choose_place(struct boot_load *load, const struct linux_header *header, bool kaslr,
			struct linux_place *place)
{
	uint64_t random[2];

	*place = (struct linux_place){ .paddr = header->pref_address };
	if (!kaslr)
		return 0;
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return -EAGAIN;
	return linux_kaslr_choose(header, load->ram,
				  load->image->initrd.fd >= 0 ? load->image->initrd.size : 0,
				  random, place);
}

/* Unpacks into base. 0, -EAGAIN with *why, or another -errno. */
static int unpack_into(struct boot_load *load, const struct linux_header *header, uint8_t *base,
		       struct linux_place *place, bool kaslr, uint64_t *entry, const char **why)
{
	const struct boot_file *file = &load->image->kernel;
	struct vmlinux *v = calloc(1, sizeof(*v));
	uint8_t tail[4];
	uint64_t paddr;
	int err;

	if (!v)
		return -ENOMEM;
	/* The build appends the unpacked size, whatever the format (gzip ends with it anyway). */
	err = boot_file_read(file, header->payload_offset + header->payload_size - sizeof(tail),
			     tail, sizeof(tail), load->diag);
	if (err)
		goto out;
	v->sink = (struct unpack_sink){ vmlinux_place, vmlinux_begun };
	v->header = header;
	v->base = base;
	v->out_size = le_load(tail, sizeof(tail));
	v->relocs_at = v->out_size;
	if (v->out_size < HEAD_SIZE || v->out_size > header->init_size + RELOCS_MAX) {
		*why = "the size its compressed part names is impossible";
		err = -EAGAIN;
		goto out;
	}
	err = unpack_run(file, header->payload_offset, header->payload_size, v->out_size, &v->sink,
			 why);
	if (err) {
		if (v->why)
			*why = v->why;
		if (err != -ENOMEM)
			err = -EAGAIN;
		goto out;
	}
	if (elf_entry_paddr(&v->elf, v->elf.entry, &paddr)) {
		*why = "its kernel's entry point lies in no segment";
		err = -EAGAIN;
		goto out;
	}
	*entry = paddr - header->pref_address;
	if (kaslr && v->relocs_at < v->out_size) {
		err = linux_kaslr_relocate(base, header, v->relocs, v->out_size - v->relocs_at,
					   place->virt_delta, why);
		place->relocated = !err;
	}
out:
	free(v->relocs);
	free(v);
	return err;
}

int linux_unpack(struct boot_load *load, const struct linux_header *header, const char **why)
{
	bool kaslr = header->relocatable && !linux_cmdline_has(load->image->cmdline, "nokaslr");
	struct linux_place place;
	struct range kernel;
	uint64_t entry;
	uint8_t *base;
	int err;

	*why = "its header names no compressed part";
	if (header->payload_size < 8)
		return -EAGAIN;
	*why = "the command line shapes the guest's memory, by which its kernel finds its place";
	if (kaslr && cmdline_shapes_memory(load->image->cmdline))
		return -EAGAIN;
	*why = "there is no free place for it";
	err = choose_place(load, header, kaslr, &place);
	if (err)
		return err;
	base = ram_span(load->ram, gpa(place.paddr), header->init_size);
	if (!base)
		return -EAGAIN;
	err = unpack_into(load, header, base, &place, kaslr, &entry, why);
	if (err) {
		memset(base, 0, header->init_size);
		return err;
	}
	kernel = range_of(place.paddr, header->init_size);
	return linux_enter(load, header, kernel, place.paddr + entry, place.relocated);
}
