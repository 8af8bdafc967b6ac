// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Interrupts in posted format: a device's message becomes a bit in a descriptor, and a notification to a
 * processor that may be asleep; whom it is from is looked at first.
 */
// RUN: --iommu vtd,posted=on,eim=off --device edu
// EXPECT: ok: the unit posts interrupts
// EXPECT: ok: a message is a bit and one notification
// EXPECT: ok: while that is outstanding, a bit alone
// EXPECT: ok: once it is taken, notified again
// EXPECT: ok: suppressed, a bit alone
// EXPECT: ok: but not when it is urgent
// EXPECT: ok: another's entry posts nothing, and is a fault
// EXPECT: ok: a plain message is refused, and is a fault
// STATUS: 1
#include "lib/edu.h"
#include "lib/irq.h"

#define NOTIFY	   0xf2
#define ENTRY(n)   (0xfee00010u | (n) << 5)
#define VECTOR	   0x45
#define URGENT	   0x81
#define CAP_PI	   (1ull << 59)
#define ON	   1u
#define SUPPRESSED 2u

struct descriptor {
	volatile uint32_t requests[8];
	volatile uint32_t control, destination;
	uint32_t reserved[6];
};

static struct descriptor descriptor __attribute__((aligned(64)));
static volatile uint64_t entries[256][2] __attribute__((aligned(4096)));
static volatile unsigned int notified;

__attribute__((interrupt)) static void on_notify(struct irq_frame *frame)
{
	(void)frame;
	notified++;
	lapic_write(LAPIC_EOI, 0);
}

static void entry_set(unsigned int n, unsigned int vector, bool urgent, uint16_t source)
{
	uint64_t at = (uintptr_t)&descriptor;

	entries[n][1] = source | 1u << 18 | at >> 32 << 32;
	entries[n][0] =
		1 | 1u << 15 | (uint64_t)urgent << 14 | vector << 16 | (at >> 6 & 0x3ffffff) << 38;
}

static bool requested(unsigned int vector)
{
	return descriptor.requests[vector / 32] >> (vector % 32) & 1;
}

static void forget(uint32_t control)
{
	for (unsigned int i = 0; i < 8; i++)
		descriptor.requests[i] = 0;
	descriptor.control = NOTIFY << 16 | control;
}

static void raise(const struct edu *edu)
{
	mmio_write32(edu->bar + EDU_IRQ_RAISE, 1);
	mmio_write32(edu->bar + EDU_IRQ_ACK, 1);
}

/* How many notifications one more message makes, of 0 and 1. */
static unsigned int notifications(const struct edu *edu)
{
	unsigned int before = notified;

	raise(edu);
	irq_wait(&notified, before + 1, 50);
	return notified - before;
}

static void remapping_on(void)
{
	vtd_write64(VTD_IRTA, (uintptr_t)entries | 7);
	vtd_command(VTD_SIRTP, true);
	vtd_command(VTD_IRE, true);
}

void guest_main(void)
{
	uint16_t rid = 0;
	struct edu edu;

	irq_set(NOTIFY, on_notify);
	lapic_enable();
	guest_check(edu_find(&edu) &&
			    *(const volatile uint64_t *)(uintptr_t)(VTD + VTD_CAP) & CAP_PI,
		    "the unit posts interrupts");
	descriptor.destination = lapic_read(LAPIC_ID) >> 24 << 8;
	forget(0);
	entry_set(3, VECTOR, false, edu.rid);
	entry_set(4, URGENT, true, edu.rid);
	entry_set(5, VECTOR, false, (uint16_t)(edu.rid + 0x100));
	remapping_on();

	edu_msi(&edu, ENTRY(3), 0);
	guest_check(notifications(&edu) == 1 && requested(VECTOR) && descriptor.control & ON,
		    "a message is a bit and one notification");
	descriptor.requests[VECTOR / 32] = 0;
	guest_check(notifications(&edu) == 0 && requested(VECTOR),
		    "while that is outstanding, a bit alone");
	forget(0);
	guest_check(notifications(&edu) == 1, "once it is taken, notified again");
	forget(SUPPRESSED);
	guest_check(notifications(&edu) == 0 && requested(VECTOR) && !(descriptor.control & ON),
		    "suppressed, a bit alone");
	edu_msi(&edu, ENTRY(4), 0);
	guest_check(notifications(&edu) == 1 && requested(URGENT), "but not when it is urgent");

	forget(0);
	edu_msi(&edu, ENTRY(5), 0);
	guest_check(notifications(&edu) == 0 && !requested(VECTOR) && vtd_fault(&rid) == 0x26 &&
			    rid == edu.rid,
		    "another's entry posts nothing, and is a fault");
	edu_msi(&edu, 0xfee00000, NOTIFY);
	guest_check(notifications(&edu) == 0 && vtd_fault(&rid) == 0x25 && rid == edu.rid,
		    "a plain message is refused, and is a fault");
	guest_finish();
}
