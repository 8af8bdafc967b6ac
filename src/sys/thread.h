/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads of ours. Signals meant for the program (SIGINT, SIGTERM, SIGUSR1) go to the loop's thread,
 * so a thread starts with them blocked; but not those that its own fault raises: blocked, the kernel
 * would end the process without the handler that puts the terminal back.
 */
#ifndef AIRLOCK_SYS_THREAD_H
#define AIRLOCK_SYS_THREAD_H

#include <pthread.h>

/* 0 or -errno. name has at most 15 characters and shows in ps and gdb. */
int sys_thread_start(pthread_t *thread, const char *name, void *(*fn)(void *opaque), void *opaque);

#endif
