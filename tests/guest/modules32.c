// SPDX-License-Identifier: GPL-2.0-or-later
/* --initrd is module 0 of a Multiboot image, byte for byte, on a page, clear of the image. */
// FILE: a module that a guest reads
// RUN: --initrd @FILE
// EXPECT: ok: there is a module
// EXPECT: ok: its length is the file's
// EXPECT: ok: its text is the file's
// EXPECT: ok: it begins on a page
// EXPECT: ok: it does not overlap the image
// STATUS: 1
#include "lib/guest.h"

extern const uint8_t guest_end[];

static const char text[] = "a module that a guest reads\n";

void guest_main(void)
{
	const char *module = guest_boot.module;
	bool same = true;

	guest_check(module != NULL, "there is a module");
	guest_check(guest_boot.module_len == sizeof(text) - 1, "its length is the file's");
	for (size_t i = 0; module && i < sizeof(text) - 1; i++)
		same &= module[i] == text[i];
	guest_check(module && same, "its text is the file's");
	guest_check(!((uintptr_t)module & 0xfff), "it begins on a page");
	guest_check((const uint8_t *)module >= guest_end ||
			    (uintptr_t)module + guest_boot.module_len <= 0x100000,
		    "it does not overlap the image");
}
