/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entry of a 32-bit image: Multiboot 1. Flat protected mode, EAX the magic, EBX the information. */
#define MULTIBOOT_MAGIC 0x1badb002
#define MULTIBOOT_FLAGS 3 /* modules on pages, memory information */

	.section .multiboot, "a"
	.align 4
	.long MULTIBOOT_MAGIC
	.long MULTIBOOT_FLAGS
	.long -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

	.text
	.globl guest_start
guest_start:
	cld
	lgdt gdt_pointer
	ljmp $0x08, $1f
1:
	movw $0x10, %cx
	movw %cx, %ds
	movw %cx, %es
	movw %cx, %fs
	movw %cx, %gs
	movw %cx, %ss
	movl $stack_end, %esp
	pushl %ebx
	pushl %eax
	call guest_enter
	/* Never comes back. */

/* Where an application processor goes on, in flat protected mode: SMP tests jump here. */
	.globl guest_ap_start
guest_ap_start:
	movw $0x10, %cx
	movw %cx, %ds
	movw %cx, %es
	movw %cx, %fs
	movw %cx, %gs
	movw %cx, %ss
	/* A stack of its own for each, by a ticket. */
	movl $1, %eax
	lock xaddl %eax, ap_ticket
	shll $12, %eax
	leal ap_stacks + 4096(%eax), %esp
	/* Only a test with several processors has one. */
	.weak guest_ap_enter
	call guest_ap_enter

	.section .data
	.align 8
	.globl guest_gdt
guest_gdt:
	.quad 0
	.quad 0x00cf9b000000ffff /* 0x08 code */
	.quad 0x00cf93000000ffff /* 0x10 data */
gdt_pointer:
	.word . - guest_gdt - 1
	.long guest_gdt
	.align 4
ap_ticket:
	.long 0

	.section .bss
	.align 4096
	.skip 16384
stack_end:
ap_stacks:
	.skip 4096 * 16

/*
 * What an application processor runs first, in real mode, copied to a page below 1 MiB: to
 * protected mode, and on to guest_ap_start. It knows its page from CS.
 */
	.section .rodata
	.globl guest_trampoline, guest_trampoline_end
	.code16
guest_trampoline:
	cli
	movw %cs, %ax
	movw %ax, %ds
	lgdtl gdt_pointer_real - guest_trampoline
	movl %cr0, %eax
	orl $1, %eax
	movl %eax, %cr0
	ljmpl $0x08, $guest_ap_start
	.align 4
gdt_pointer_real:
	.word 23
	.long guest_gdt
guest_trampoline_end:

	.section .note.GNU-stack, "", @progbits
