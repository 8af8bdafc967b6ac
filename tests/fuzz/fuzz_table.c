// SPDX-License-Identifier: GPL-2.0-or-later
/* libFuzzer: page tables against a flat map. The first byte chooses the format and its limits. */
#include "table_model.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint64_t pages[MODEL_PAGES];
	static const unsigned int leaves[] = { PT_LEAF_4K, PT_LEAF_2M, PT_LEAF_1G };
	struct pt_format format;
	const char *broken;

	if (size < 1)
		return 0;
	switch (data[0] % 4) {
	case 0:
		pt_format_vtd_ss(&format, 4, 46, leaves[data[0] / 4 % 3], false, false);
		break;
	case 1:
		pt_format_vtd_ss(&format, 5, 46, leaves[data[0] / 4 % 3], false, false);
		break;
	case 2:
		pt_format_vtd_fs(&format, 4, 46, leaves[data[0] / 4 % 3]);
		break;
	default:
		pt_format_amd_v1(&format, 4, 46);
		break;
	}
	broken = model_run(&format, data + 1, size - 1, data[0] & 128 ? 40 : 100000, 509, pages);
	if (broken) {
		fprintf(stderr, "table: %s\n", broken);
		abort();
	}
	return 0;
}
