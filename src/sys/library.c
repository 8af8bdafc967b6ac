// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/library.h"

#include <dlfcn.h>
#include <string.h>

void *sys_library_open(const char *soname, const struct sys_symbol *symbols, size_t nr)
{
	void *library = dlopen(soname, RTLD_NOW | RTLD_LOCAL);

	for (size_t i = 0; library && i < nr; i++) {
		void *symbol = dlsym(library, symbols[i].name);

		/* POSIX gives data and function pointers one size; C has no cast between them. */
		memcpy(symbols[i].to, &symbol, sizeof(symbol));
		if (symbol)
			continue;
		dlclose(library);
		library = NULL;
	}
	return library;
}

void sys_library_close(void *library)
{
	if (library)
		dlclose(library);
}
