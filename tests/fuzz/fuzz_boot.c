// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer: the input is an image file. The first byte chooses how it is to be unpacked and whether
 * there is an initrd; whatever the rest is, it is refused in words or leaves an entry in RAM.
 */
#include "../unit/boot_images.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ram *ram;
	static uint8_t initrd[5000];
	struct boot_config config = { .kernel = "dir/kernel", .cmdline = "quiet" };
	struct boot_entry entry;
	struct files files;
	struct diag diag;
	uint8_t *copy;
	int err;

	if (size < 2)
		return 0;
	/* Small, and never cleared: what is left of one input is the next one's dirt. */
	if (!ram)
		ram = make_ram(MIB(32));
	/* An allocation of its own, so that reading past its end shows. */
	copy = malloc(size - 1);
	memcpy(copy, data + 1, size - 1);
	files_init(&files, copy, size - 1);
	files.initrd = initrd;
	files.initrd_size = sizeof(initrd);
	config.unpack = data[0] % 3;
	if (data[0] & 0x80)
		config.initrd = "dir/initrd";
	if (data[0] & 0x40)
		config.cmdline = "nokaslr";
	err = boot(&files, &config, ram, &entry, &diag);
	if (diag.err != err || (err && !diag.reason[0]) || files.nr_open ||
	    (!err && !ram_span(ram, gpa(entry.rip), 1)))
		abort();
	free(copy);
	return 0;
}
