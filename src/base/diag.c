// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/diag.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/bug.h"

int diag_set(struct diag *diag, int err, const char *object, const char *reason, ...)
{
	va_list args;

	BUG_ON(err >= 0);
	if (!diag || diag->err)
		return err;
	diag->err = err;
	snprintf(diag->object, sizeof(diag->object), "%s", object);
	va_start(args, reason);
	vsnprintf(diag->reason, sizeof(diag->reason), reason, args);
	va_end(args);
	diag->remedy[0] = '\0';
	return err;
}

int diag_remedy(struct diag *diag, int err, const char *remedy, ...)
{
	va_list args;

	BUG_ON(err >= 0);
	if (!diag || diag->err != err || diag->remedy[0])
		return err;
	va_start(args, remedy);
	vsnprintf(diag->remedy, sizeof(diag->remedy), remedy, args);
	va_end(args);
	return err;
}

void diag_clear(struct diag *diag)
{
	if (diag)
		memset(diag, 0, sizeof(*diag));
}

void diag_print(const struct diag *diag)
{
	if (!diag->err)
		return;
	fprintf(stderr, "airlock: %s: %s\n", diag->object, diag->reason);
	if (diag->remedy[0])
		fprintf(stderr, "  remedy: %s\n", diag->remedy);
}
