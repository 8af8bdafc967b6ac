// SPDX-License-Identifier: GPL-2.0-or-later
/* Control registers: Intel SDM volume 3A, 2.5; descriptors: 3.4.5. */
#include "machine/x86/cpu_state.h"

#include "base/bits.h"

#define CR0_PE		      BIT(0)
#define CR0_ET		      BIT(4)
#define CR0_NE		      BIT(5)
#define CR0_PG		      BIT(31)
#define CR4_PAE		      BIT(5)
#define EFER_LME	      BIT(8)
#define EFER_LMA	      BIT(10)
#define RFLAGS_ONE	      BIT(1) /* always set */

#define SEL_CODE	      0x10
#define SEL_DATA	      0x18
#define SEL_TSS		      0x20

#define TYPE_DATA_RW_ACCESSED 0x3
#define TYPE_CODE_RX_ACCESSED 0xb
#define TYPE_TSS_BUSY	      0xb

static struct kvm_segment flat_code(bool is_64)
{
	return (struct kvm_segment){
		.selector = SEL_CODE,
		.limit = 0xffffffff,
		.type = TYPE_CODE_RX_ACCESSED,
		.present = 1,
		.s = 1,
		.g = 1,
		.l = is_64,
		.db = !is_64,
	};
}

static struct kvm_segment flat_data(void)
{
	return (struct kvm_segment){
		.selector = SEL_DATA,
		.limit = 0xffffffff,
		.type = TYPE_DATA_RW_ACCESSED,
		.present = 1,
		.s = 1,
		.g = 1,
		.db = 1,
	};
}

void cpu_state_enter(const struct boot_entry *entry, struct kvm_regs *regs, struct kvm_sregs *sregs)
{
	bool is_64 = entry->mode == BOOT_MODE_LONG64;
	struct kvm_segment data = flat_data();

	*regs = (struct kvm_regs){
		.rip = entry->rip,
		.rsp = entry->rsp,
		.rax = entry->rax,
		.rbx = entry->rbx,
		.rsi = entry->rsi,
		.rflags = RFLAGS_ONE,
	};
	sregs->cs = flat_code(is_64);
	sregs->ds = data;
	sregs->es = data;
	sregs->fs = data;
	sregs->gs = data;
	sregs->ss = data;
	/* The processor refuses to enter a guest without a task register. */
	sregs->tr = (struct kvm_segment){
		.selector = SEL_TSS,
		.limit = 0x67,
		.type = TYPE_TSS_BUSY,
		.present = 1,
	};
	sregs->ldt = (struct kvm_segment){ .unusable = 1 };
	sregs->gdt = (struct kvm_dtable){ .base = entry->gdt.v, .limit = entry->gdt_limit };
	/* No handlers: an exception before the guest has its own is a triple fault, and is said. */
	sregs->idt = (struct kvm_dtable){ 0 };
	/* Caches on: the state after reset has them off. */
	sregs->cr0 = CR0_PE | CR0_ET;
	sregs->cr2 = 0;
	sregs->cr3 = 0;
	sregs->cr4 = 0;
	sregs->efer = 0;
	if (is_64) {
		sregs->cr0 |= CR0_NE | CR0_PG;
		sregs->cr3 = entry->page_tables.v;
		sregs->cr4 = CR4_PAE;
		sregs->efer = EFER_LME | EFER_LMA;
	}
}
