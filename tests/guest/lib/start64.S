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

	.section .data
	.align 8
gdt:
	.quad 0
	.quad 0x00af9b000000ffff /* 0x08 64-bit code */
	.quad 0x00cf93000000ffff /* 0x10 data */
gdt_pointer:
	.word . - gdt - 1
	.long gdt
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

	.section .note.GNU-stack, "", @progbits
