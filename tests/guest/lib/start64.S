/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entry of a 64-bit image: PVH (Xen docs/misc/pvh.pandoc). Flat protected mode without paging, EBX
 * the hvm_start_info. Maps the first 4 GiB one to one and goes to long mode.
 */
#define XEN_ELFNOTE_PHYS32_ENTRY 18
#define EFER			 0xc0000080
#define EFER_LME		 (1 << 8)
#define CR4_PAE			 (1 << 5)
#define CR0_PG			 (1 << 31)
#define PAGE_PRESENT_RW		 3
#define PAGE_HUGE		 0x80

	.section .note.pvh, "a", @note
	.align 4
	.long 4, 4, XEN_ELFNOTE_PHYS32_ENTRY
	.asciz "Xen"
	.long guest_start

	.text
	.code32
	.globl guest_start
guest_start:
	cld
	movl $stack_end, %esp
	movl %ebx, %esi
	/* The tables lie in .bss: all zero. */
	movl $pdpt + PAGE_PRESENT_RW, pml4
	movl $pd + PAGE_PRESENT_RW, %eax
	movl $pdpt, %edi
	movl $4, %ecx
1:	movl %eax, (%edi)
	addl $4096, %eax
	addl $8, %edi
	loop 1b
	movl $PAGE_PRESENT_RW | PAGE_HUGE, %eax
	movl $pd, %edi
	movl $4 * 512, %ecx
2:	movl %eax, (%edi)
	addl $0x200000, %eax
	addl $8, %edi
	loop 2b
	movl %cr4, %eax
	orl $CR4_PAE, %eax
	movl %eax, %cr4
	movl $pml4, %eax
	movl %eax, %cr3
	movl $EFER, %ecx
	rdmsr
	orl $EFER_LME, %eax
	wrmsr
	movl %cr0, %eax
	orl $CR0_PG, %eax
	movl %eax, %cr0
	lgdt gdt_pointer
	ljmp $0x08, $3f
	.code64
3:
	movw $0x10, %cx
	movw %cx, %ds
	movw %cx, %es
	movw %cx, %fs
	movw %cx, %gs
	movw %cx, %ss
	movq $stack_end, %rsp
	xorl %edi, %edi
	movl %esi, %esi
	call guest_enter
	/* Never comes back. */

/* Where an application processor goes on, in flat protected mode: to long mode, by the same tables. */
	.code32
ap_start:
	movw $0x18, %cx
	movw %cx, %ds
	movl %cr4, %eax
	orl $CR4_PAE, %eax
	movl %eax, %cr4
	movl $pml4, %eax
	movl %eax, %cr3
	movl $EFER, %ecx
	rdmsr
	orl $EFER_LME, %eax
	wrmsr
	movl %cr0, %eax
	orl $CR0_PG, %eax
	movl %eax, %cr0
	ljmp $0x08, $4f
	.code64
4:
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
	leaq ap_stacks + 4096(%rax), %rsp
	/* Only a test with several processors has one. */
	.weak guest_ap_enter
	call guest_ap_enter

	.section .data
	.align 8
gdt:
	.quad 0
	.quad 0x00af9b000000ffff /* 0x08 64-bit code */
	.quad 0x00cf93000000ffff /* 0x10 data */
	.quad 0x00cf93000000ffff /* 0x18 data, for application processors on their way */
	.quad 0x00cf9b000000ffff /* 0x20 32-bit code, likewise */
gdt_pointer:
	.word . - gdt - 1
	.long gdt
	.long 0
	.align 4
ap_ticket:
	.long 0

	.section .bss
	.align 4096
pml4:
	.skip 4096
pdpt:
	.skip 4096
pd:
	.skip 4 * 4096
	.skip 16384
stack_end:
ap_stacks:
	.skip 4096 * 16

/*
 * What an application processor runs first, in real mode, copied to a page below 1 MiB: to
 * protected mode, and on to ap_start. It knows its page from CS.
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
	ljmpl $0x20, $ap_start
	.align 4
gdt_pointer_real:
	.word 39
	.long gdt
guest_trampoline_end:

	.section .note.GNU-stack, "", @progbits
