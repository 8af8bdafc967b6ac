// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stamp: runs a VMM and notes, from outside and in the same way for any VMM, when it did what.
 *
 *	stamp RAM-MiB COMMAND...		prints one JSON object
 *
 * Times are microseconds since the exec of COMMAND. The first KVM_RUN comes from the kernel's own
 * trace points (sched_process_exec, kvm_entry, which switches tracing off again). Lines of the
 * guest's console that hold "MARK name" or the init's first line give the rest; at each, KVM's
 * counters are read (debugfs: the same numbers as KVM_GET_STATS_FD, summed over its VMs) and, once,
 * the VMM's own memory: the proportional set size of every mapping that is not guest RAM.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TRACE "/sys/kernel/debug/tracing/"

static const char *const counters[] = { "exits", "mmio_exits", "io_exits", "irq_injections",
					"halt_exits" };
#define NR_COUNTERS (sizeof(counters) / sizeof(counters[0]))

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fprintf(stderr, "stamp: %s: %s\n", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void trace_begin(void)
{
	put(TRACE "tracing_on", "0");
	put(TRACE "trace_clock", "mono");
	put(TRACE "trace", "");
	put(TRACE "events/kvm/kvm_entry/trigger", "traceoff:1");
	put(TRACE "events/sched/sched_process_exec/enable", "1");
	put(TRACE "events/kvm/kvm_entry/enable", "1");
	put(TRACE "tracing_on", "1");
}

/* The time in a line of the trace: "comm-pid [000] ..... 12.345678: event: ..." in microseconds. */
static bool trace_time(const char *line, const char *event, uint64_t *us)
{
	const char *at = strstr(line, event), *p;
	unsigned long long s, u;

	if (!at)
		return false;
	for (p = at - 2; p > line && p[-1] != ' '; p--)
		;
	if (sscanf(p, "%llu.%llu", &s, &u) != 2)
		return false;
	*us = s * 1000000 + u;
	return true;
}

static uint64_t trace_end(pid_t pid)
{
	FILE *f = fopen(TRACE "trace", "r");
	char line[1024], mine[32];
	uint64_t exec = 0, entry = 0, us;

	snprintf(mine, sizeof(mine), "pid=%d ", (int)pid);
	while (f && fgets(line, sizeof(line), f)) {
		if (strstr(line, mine) && trace_time(line, "sched_process_exec:", &us))
			exec = us;
		if (exec && !entry && trace_time(line, "kvm_entry:", &us))
			entry = us;
	}
	if (f)
		fclose(f);
	put(TRACE "events/enable", "0");
	put(TRACE "events/kvm/kvm_entry/trigger", "!traceoff:1");
	return entry && exec ? entry - exec : 0;
}

static uint64_t read_counter(const char *name)
{
	char path[128];
	uint64_t v = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/debug/kvm/%s", name);
	f = fopen(path, "r");
	if (f && fscanf(f, "%" SCNu64, &v) != 1)
		v = 0;
	if (f)
		fclose(f);
	return v;
}

/* KiB of PSS in mappings smaller than half the guest's RAM. */
static uint64_t read_own_memory(pid_t pid, uint64_t ram_kib)
{
	char path[64], line[512];
	uint64_t total = 0, size = 0, v;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Size: %" SCNu64, &v) == 1)
			size = v;
		else if (sscanf(line, "Pss: %" SCNu64, &v) == 1 && size < ram_kib / 2)
			total += v;
	}
	if (f)
		fclose(f);
	return total;
}

static void print_cpu(void)
{
	struct rusage use;

	getrusage(RUSAGE_CHILDREN, &use);
	printf(",\"cpu_us\":%llu",
	       (unsigned long long)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000 +
		       (unsigned long long)(use.ru_utime.tv_usec + use.ru_stime.tv_usec));
}

static void mark(const char *name, uint64_t start, pid_t pid, uint64_t ram_kib)
{
	printf(",\"%s_us\":%" PRIu64, name, now_us() - start);
	for (size_t i = 0; i < NR_COUNTERS; i++)
		printf(",\"%s_%s\":%" PRIu64, name, counters[i], read_counter(counters[i]));
	if (!strcmp(name, "init"))
		printf(",\"own_kib\":%" PRIu64, read_own_memory(pid, ram_kib));
}

int main(int argc, char **argv)
{
	char line[4096], name[64], value[64];
	uint64_t start, ram_kib;
	int fds[2], status;
	pid_t pid;
	FILE *in;

	if (argc < 3) {
		fprintf(stderr, "usage: stamp RAM-MiB COMMAND...\n");
		return 2;
	}
	ram_kib = strtoull(argv[1], NULL, 10) * 1024;
	if (pipe(fds))
		return 1;
	trace_begin();
	start = now_us();
	pid = fork();
	if (!pid) {
		int null = open("/dev/null", O_RDONLY);

		dup2(null, 0);
		dup2(fds[1], 1);
		close(fds[0]);
		execvp(argv[2], argv + 2);
		fprintf(stderr, "stamp: %s: %s\n", argv[2], strerror(errno));
		_exit(127);
	}
	close(fds[1]);
	in = fdopen(fds[0], "r");
	printf("{\"vmm\":\"%s\"", argv[2]);
	while (in && fgets(line, sizeof(line), in)) {
		const char *at = strstr(line, "MARK ");

		if (strstr(line, "AIRLOCK-L2: init"))
			mark("init", start, pid, ram_kib);
		if (at && sscanf(at, "MARK %63[a-z0-9_-]", name) == 1)
			mark(name, start, pid, ram_kib);
		at = strstr(line, "VALUE ");
		if (at && sscanf(at, "VALUE %63[a-z0-9_-] %63[0-9.]", name, value) == 2)
			printf(",\"%s\":%s", name, value);
	}
	waitpid(pid, &status, 0);
	print_cpu();
	printf(",\"first_run_us\":%" PRIu64 ",\"status\":%d}\n", trace_end(pid), status);
	return 0;
}
