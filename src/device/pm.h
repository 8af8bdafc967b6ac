/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Power management as ACPI has it in hardware (ACPI 6.4, 4.8.3): PM1a event and control blocks and
 * the PM timer; and the two old ways to pull a PC's reset line that are not on the chipset's own
 * reset register: the keyboard controller's pulse command and port 92h. There is no keyboard
 * controller otherwise, and no SMI: ACPI mode is always on.
 */
#ifndef AIRLOCK_DEVICE_PM_H
#define AIRLOCK_DEVICE_PM_H

#include "platform/device.h"
#include "platform/platform.h"

/* Offsets in the block of ports; the FADT says where each begins. */
#define PM_EVENT    0 /* status, enable: 2 bytes each */
#define PM_CONTROL  4 /* 2 bytes */
#define PM_TIMER    8 /* 4 bytes, all 32 bits count (TMR_VAL_EXT) */
#define PM_PORTS    12
#define PM_TIMER_HZ 3579545

/* Where nothing else is said. */
#define PM_PORT	      0x600
#define PM_SCI_PIN    9 /* level, active high */
#define PM_SLP_TYP_S5 5 /* as \_S5 in the DSDT has to say */

struct pm_config {
	uint16_t port;
	unsigned int sci_pin; /* share 0 */
	uint8_t slp_typ_s5;
};

/* 0 or -errno. On the loop's thread or before it runs. */
int pm_create(struct platform *platform, const struct pm_config *config, struct device **out);

/* The user presses the power button; the guest's system decides. Any thread, no lock held. */
void pm_power_button(struct device *pm);

#endif
