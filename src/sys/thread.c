// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/thread.h"

#include <signal.h>

#include "base/bits.h"

int sys_thread_start(pthread_t *thread, const char *name, void *(*fn)(void *opaque), void *opaque)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS, SIGABRT };
	sigset_t blocked, old;
	int err;

	sigfillset(&blocked);
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
		sigdelset(&blocked, faults[i]);
	pthread_sigmask(SIG_SETMASK, &blocked, &old);
	err = pthread_create(thread, NULL, fn, opaque);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err)
		return -err;
	pthread_setname_np(*thread, name);
	return 0;
}
