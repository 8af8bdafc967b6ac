// SPDX-License-Identifier: GPL-2.0-or-later
/* --iommu, from words to settings. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/log.h"
#include "host/group.h"
#include "iommu/vtd_regs.h"
#include "machine/unit.h"

#define QUARANTINE_DEFAULT 1000
#define QUARANTINE_DRAIN   100
#define QUARANTINE_MAX	   1000000000ull

const char unit_keys[] =
	"intremap=on|off         interrupt remapping; default on\n"
	"eim=on|off              x2APIC ids in its entries; default as intremap\n"
	"posted=on|off           entries of posted format; default off\n"
	"aw=39|48|57             width of device addresses: 3, 4 or 5 levels; default 48\n"
	"caching=on|off          caching mode: the guest invalidates when it maps, too; default off\n"
	"scalable=on|off         scalable mode: PASID tables; default off\n"
	"first-stage=on|off      in scalable mode, first-stage tables and nesting; default on\n"
	"passthrough=on|off      entries that pass a device through; default on\n"
	"snoop=on|off            snoop control; default on\n"
	"ats=on|off              device TLBs; default on\n"
	"boot-dma=allow|block    DMA before translation is first enabled; default allow. Blocked, a\n"
	"                        guest that never enables the unit has no disk\n"
	"quarantine=N[/S]        a device with more than N faults at once is cut off, S of them being\n"
	"                        forgotten each second; 0: never; default 1000/100\n";

static int read_width(struct spec *spec, struct unit_options *options, struct diag *diag)
{
	uint64_t aw = options->aw;
	int err = spec_number(spec, "aw", 64, &aw, diag);

	if (err)
		return err;
	if (aw != 39 && aw != 48 && aw != 57)
		return diag_set(diag, -EINVAL, spec->whole,
				"aw=%llu is no width of a remapping unit: 39, 48 and 57 are",
				(unsigned long long)aw);
	options->aw = (uint8_t)aw;
	return 0;
}

static int read_boot_dma(struct spec *spec, struct unit_options *options, struct diag *diag)
{
	const char *text = spec_text(spec, "boot-dma");

	if (text && strcmp(text, "allow") && strcmp(text, "block"))
		return diag_set(diag, -EINVAL, spec->whole,
				"boot-dma=%s is neither allow nor block", text);
	options->boot_block = text && !strcmp(text, "block");
	return 0;
}

/* "1000", "1000/100". */
static int read_quarantine(struct spec *spec, struct unit_options *options, struct diag *diag)
{
	const char *text = spec_text(spec, "quarantine");
	unsigned long long n, s = QUARANTINE_DRAIN;
	char *end;

	if (!text)
		return 0;
	n = strtoull(text, &end, 10);
	if (isdigit((unsigned char)*text) && *end == '/' && isdigit((unsigned char)end[1]))
		s = strtoull(end + 1, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || n > QUARANTINE_MAX || s > QUARANTINE_MAX)
		return diag_set(diag, -EINVAL, spec->whole,
				"quarantine=%s is not a number of faults, nor one with those "
				"forgotten each second behind a slash",
				text);
	options->quarantine = (struct quarantine_policy){ (unsigned int)n, (unsigned int)s };
	return 0;
}

static int check(struct spec *spec, const struct unit_options *options, struct diag *diag)
{
	if (options->eim && !options->intremap) {
		diag_set(diag, -EINVAL, spec->whole,
			 "eim=on says how interrupts are remapped, but intremap=off");
		return diag_remedy(diag, -EINVAL, "leave out eim=on, or intremap=off");
	}
	if (options->posted && !options->intremap) {
		diag_set(diag, -EINVAL, spec->whole,
			 "posted=on is a format of interrupt remapping, but intremap=off");
		return diag_remedy(diag, -EINVAL, "leave out posted=on, or intremap=off");
	}
	if (options->first_stage && options->aw < 48) {
		diag_set(diag, -EINVAL, spec->whole,
			 "first-stage tables have at least 4 levels, but aw=39");
		return diag_remedy(diag, -EINVAL, "add first-stage=off, or aw=48");
	}
	return 0;
}

int unit_options_read(struct spec *spec, struct unit_options *options, struct diag *diag)
{
	const struct {
		const char *key;
		bool *value;
	} bools[] = {
		{ "intremap", &options->intremap },
		{ "posted", &options->posted },
		{ "caching", &options->caching },
		{ "scalable", &options->scalable },
		{ "passthrough", &options->passthrough },
		{ "snoop", &options->snoop },
		{ "ats", &options->ats },
	};
	int err = 0;

	if (strcmp(spec->class_name, "vtd")) {
		diag_set(diag, -EINVAL, "--iommu", "there is no unit '%s'; vtd is one",
			 spec->class_name);
		return diag_remedy(diag, -EINVAL, "airlock run --iommu help lists its keys");
	}
	*options = (struct unit_options){
		.intremap = true,
		.aw = 48,
		.passthrough = true,
		.snoop = true,
		.ats = true,
		.quarantine = { QUARANTINE_DEFAULT, QUARANTINE_DRAIN },
	};
	for (size_t i = 0; i < ARRAY_SIZE(bools) && !err; i++)
		err = spec_bool(spec, bools[i].key, bools[i].value, diag);
	options->eim = options->intremap;
	if (!err)
		err = spec_bool(spec, "eim", &options->eim, diag);
	if (!err)
		err = read_width(spec, options, diag);
	options->first_stage = options->scalable && options->aw >= 48;
	if (!err)
		err = spec_bool(spec, "first-stage", &options->first_stage, diag);
	if (!err && options->first_stage && !options->scalable)
		return diag_set(diag, -EINVAL, spec->whole,
				"first-stage tables are a part of scalable mode: add scalable=on");
	if (!err)
		err = read_boot_dma(spec, options, diag);
	if (!err)
		err = read_quarantine(spec, options, diag);
	if (!err)
		err = check(spec, options, diag);
	if (!err && spec_unused(spec)) {
		diag_set(diag, -EINVAL, spec->whole, "a unit has no key '%s'", spec_unused(spec));
		return diag_remedy(diag, -EINVAL, "airlock run --iommu help lists its keys");
	}
	return err;
}

/* Of the host's units: the least width, and whether all can force snooping (VT-d 11.4.2, 11.4.3). */
static void host_reach(struct sys *sys, uint64_t *width, bool *snoop)
{
	struct host_iommus *units = calloc(1, sizeof(*units));

	*width = 64;
	*snoop = true;
	if (!units)
		return;
	host_iommus_read(sys, units);
	for (size_t i = 0; i < min_u64(units->nr_units, ARRAY_SIZE(units->unit)); i++) {
		const struct host_iommu *unit = &units->unit[i];

		/* AMD's units are coherent, and reach 48 bits and more. */
		if (unit->kind != HOST_IOMMU_VTD || !unit->has_registers)
			continue;
		*width = min_u64(*width, FIELD_GET(CAP_MGAW, unit->cap) + 1);
		*snoop &= !!(unit->ecap & ECAP_SC);
	}
	free(units);
}

void unit_options_mirror(struct sys *sys, struct unit_options *options)
{
	uint64_t width;
	bool snoop;

	host_reach(sys, &width, &snoop);
	if (!options->caching)
		log_info("iommu", "caching mode is on: the host follows a passed-through device's "
				  "tables");
	/* Its interrupts go past this process, which could not post them. */
	if (options->posted)
		log_info("iommu", "posted interrupts are off: those of a passed-through device are "
				  "delivered by the kernel");
	options->posted = false;
	options->caching = true;
	options->first_stage = false;
	options->snoop &= snoop;
	if (options->aw > width) {
		options->aw = width < 48 ? 39 : width < 57 ? 48 : 57;
		log_info("iommu", "device addresses have %u bits: the host's unit has %llu",
			 options->aw, (unsigned long long)width);
	}
}

void unit_options_describe(const struct unit_options *o, char *text, size_t size)
{
	snprintf(text, size, "VT-d, %u-bit addresses%s%s%s, %s%s%s%s", o->aw,
		 o->scalable ? ", scalable mode" : "",
		 o->scalable && !o->first_stage ? " with second-stage tables only" : "",
		 o->caching ? ", caching mode" : "",
		 !o->intremap ? "no interrupt remapping" : "interrupt remapping",
		 o->eim ? " with x2APIC ids" : "", o->posted ? " and posting" : "",
		 o->boot_block ? ", no DMA before it is enabled" : "");
}
