// SPDX-License-Identifier: GPL-2.0-or-later
/* airlock run: a virtual machine, from its first instruction to its end. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "assign/peers.h"
#include "assign/place.h"
#include "assign/pool.h"
#include "base/log.h"
#include "cli/command.h"
#include "machine/devices.h"
#include "machine/drive.h"
#include "machine/plan.h"
#include "machine/stats.h"
#include "machine/unit.h"
#include "machine/vm.h"

/* Exit statuses of a run beyond CLI_OK, CLI_REFUSED and CLI_USAGE; airlock-run(1) lists them. */
enum run_status {
	RUN_RESET = 16,
	RUN_PANIC = 17,
	RUN_TRIPLE_FAULT = 18,
	RUN_KVM_ERROR = 19,
	RUN_HOST_ERROR = 20,
	RUN_USER = 130,
};

enum stats_format { STATS_OFF, STATS_TEXT, STATS_JSON };

struct run {
	struct vm_config config;
	bool plan_only;
	enum stats_format stats;
	const char *stats_file;
	struct vm *vm;
	struct loop_source signals;
	int signal_fd;
	bool progress_done;
	/* What came from pools; given back when the run has ended, and by the kernel if it dies. */
	struct assign_lease leases[VM_DEVICES_MAX];
	unsigned int nr_leases;
	bool accept_peers; /* its devices may reach another VM's */
	struct assign_place place;
	struct assign_placement placement;
};

/* While a lot of memory is touched; on a terminal only. */
static void run_show_progress(void *opaque, uint64_t done, uint64_t total)
{
	bool *last = opaque;

	if (*last)
		return;
	*last = done == total;
	fprintf(stderr, "\rairlock: guest RAM %3u %%%s", (unsigned int)(done * 100 / total),
		*last ? "\n" : "");
}

static const char run_usage[] =
	"usage: airlock run --kernel FILE [OPTION]...\n"
	"\n"
	"Starts a virtual machine on KVM. Its serial console is this terminal: Ctrl-A x leaves,\n"
	"Ctrl-A h lists the other keys.\n"
	"\n"
	"  --kernel FILE     Linux bzImage or vmlinux, a PVH ELF, or a Multiboot 1 image\n"
	"  --initrd FILE     initial RAM disk; module 0 of a Multiboot image\n"
	"  --append STRING   kernel command line\n"
	"  --cpus N          vCPUs, default 1\n"
	"  --memory SIZE[,KEY=VALUE]...\n"
	"                    guest RAM, default 512M. hugepages=2M|1G takes it from hugetlbfs,\n"
	"                    shared=on from a memory file, prefault=N touches it all by N threads\n"
	"  --device SPEC     a device; as often as needed. --device help lists the classes\n"
	"  --iommu vtd[,KEY=VALUE]...\n"
	"                    a remapping unit that the guest can drive; --iommu help lists the keys\n"
	"  --drive SPEC      a disk for a device to use: id=NAME,file=PATH. --drive help lists the keys\n"
	"  --numa WHERE      threads and memory on the devices' NUMA node: auto (default), strict\n"
	"                    (or refuse), a node's number, off; or on several that the guest then\n"
	"                    sees as its own: 0,1\n"
	"  --cpu-pin LIST    a CPU of the host's for each vCPU, in this order: 4-7 or 4,6,8\n"
	"  --accept peer-path  run although a device may reach another VM's past the IOMMU\n"
	"  --unpack WHO      who unpacks a compressed kernel: guest (default), host, or auto: the\n"
	"                    host where it can\n"
	"  --reboot WHAT     what a guest's reset does: again (default) or exit\n"
	"  --plan            print what would be done, do nothing; exit 1 if it would be refused\n"
	"  --stats[=json]    print figures at the end (and on SIGUSR1) to stderr\n"
	"  --stats-file FILE the same, to a file\n"
	"\n"
	"Exit status: 0 the guest powered off, 1 refused, 2 usage, 16 reset with --reboot exit,\n"
	"17 guest panic, 18 triple fault, 19 KVM error, 20 host error, 130 ended by the user;\n"
	"with --device debug-exit, (n << 1) | 1 for the n the guest wrote.\n"
	"\n"
	"Examples:\n"
	"  airlock run --kernel vmlinuz --initrd initrd.img --append 'console=ttyS0' --memory 1G\n"
	"  airlock run --kernel vmlinuz --device vfio,host=0000:01:00.0 --plan\n";

static void run_print_keys(const char *key)
{
	while (*key) {
		size_t len = strcspn(key, "\n");

		printf("  %.*s\n", (int)len, key);
		key += len + (key[len] == '\n');
	}
}

static void run_device_help(void)
{
	const struct device_class *class;

	for (unsigned int i = 0; (class = device_class_at(i)); i++) {
		printf("%s: %s\n", class->name, class->summary);
		run_print_keys(class->keys);
	}
}

static void run_iommu_help(void)
{
	printf("vtd: a remapping unit as Intel's VT-d specifies it\n");
	run_print_keys(unit_keys);
}

/* SIZE[,hugepages=2M|1G][,shared=on][,prefault=N]: the spec parser reads it as a device's. */
static int run_parse_memory(struct ram_config *ram, const char *text, struct diag *diag)
{
	struct spec spec;
	const char *pages;
	bool shared = false;
	uint64_t threads = ram->prefault_threads;
	int err = spec_parse(&spec, text, diag);

	if (err)
		return err;
	if (parse_size(spec.class_name, &ram->size) || !ram->size)
		return diag_set(diag, -EINVAL, "--memory", "'%s' is not a size such as 512M or 4G",
				spec.class_name);
	pages = spec_text(&spec, "hugepages");
	if (pages && !strcmp(pages, "2M"))
		ram->backing = RAM_HUGETLB_2M;
	else if (pages && !strcmp(pages, "1G"))
		ram->backing = RAM_HUGETLB_1G;
	else if (pages)
		return diag_set(diag, -EINVAL, "--memory", "hugepages=%s is neither 2M nor 1G",
				pages);
	err = spec_bool(&spec, "shared", &shared, diag);
	if (!err)
		err = spec_number(&spec, "prefault", 64, &threads, diag);
	if (err)
		return err;
	if (spec_unused(&spec))
		return diag_set(diag, -EINVAL, "--memory",
				"there is no key '%s'; its keys are hugepages, shared and prefault",
				spec_unused(&spec));
	if (shared && ram->backing != RAM_ANON)
		return diag_set(diag, -EINVAL, "--memory",
				"hugepages= memory is always shareable; leave out shared=on");
	if (shared)
		ram->backing = RAM_MEMFD;
	ram->prefault_threads = (unsigned int)threads;
	return 0;
}

static int run_parse_cpus(struct vm_config *config, const char *text, struct diag *diag)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n < 1 || n > VM_CPUS_MAX)
		return diag_set(diag, -EINVAL, "--cpus", "'%s' is not a number from 1 to %d", text,
				VM_CPUS_MAX);
	config->cpus = (unsigned int)n;
	return 0;
}

static int run_parse_word(const char *option, const char *text, const char *const *words,
			  int *value, struct diag *diag)
{
	for (int i = 0; words[i]; i++) {
		if (strcmp(text, words[i]))
			continue;
		*value = i;
		return 0;
	}
	return diag_set(diag, -EINVAL, option, "'%s' is not one of its words; see --help", text);
}

static int run_parse_option(struct run *run, int option, const char *value, struct diag *diag)
{
	static const char *const unpack[] = { "guest", "host", "auto", NULL };
	static const char *const reboot[] = { "again", "exit", NULL };
	struct vm_config *config = &run->config;
	int word = 0, err;

	switch (option) {
	case 'k':
		config->kernel = value;
		return 0;
	case 'i':
		config->initrd = value;
		return 0;
	case 'a':
		config->append = value;
		return 0;
	case 'c':
		return run_parse_cpus(config, value, diag);
	case 'm':
		return run_parse_memory(&config->ram, value, diag);
	case 'd':
		if (config->nr_devices == VM_DEVICES_MAX)
			return diag_set(diag, -EINVAL, "--device", "given more than %d times",
					VM_DEVICES_MAX);
		return spec_parse(&config->devices[config->nr_devices++], value, diag);
	case 'g':
		if (config->has_iommu)
			return diag_set(diag, -EINVAL, "--iommu", "is given twice");
		config->has_iommu = true;
		return spec_parse(&config->iommu, value, diag);
	case 'D':
		if (config->nr_drives == VM_DRIVES_MAX)
			return diag_set(diag, -EINVAL, "--drive", "given more than %d times",
					VM_DRIVES_MAX);
		return drive_parse(&config->drives[config->nr_drives++], value, diag);
	case 'x':
		if (strcmp(value, "peer-path"))
			return diag_set(diag, -EINVAL, "--accept",
					"'%s' names no risk that could be taken; peer-path does",
					value);
		run->accept_peers = true;
		return 0;
	case 'n':
		if (assign_place_parse(value, &run->place))
			return diag_set(
				diag, -EINVAL, "--numa",
				"'%s' is not auto, strict, off or the numbers of up to %d nodes",
				value, ASSIGN_PLACE_NODES);
		return 0;
	case 'P':
		if (assign_place_parse_pins(value, &run->place))
			return diag_set(
				diag, -EINVAL, "--cpu-pin",
				"'%s' is not a list of the host's CPUs, each once, such as 4-7 or "
				"4,6,8",
				value);
		return 0;
	case 'u':
		err = run_parse_word("--unpack", value, unpack, &word, diag);
		config->unpack = (enum vm_unpack)word;
		return err;
	case 'r':
		err = run_parse_word("--reboot", value, reboot, &word, diag);
		config->reboot = (enum vm_reboot)word;
		return err;
	case 'p':
		run->plan_only = true;
		return 0;
	case 's':
		if (value && strcmp(value, "json"))
			return diag_set(diag, -EINVAL, "--stats", "'%s' is not json", value);
		run->stats = value ? STATS_JSON : STATS_TEXT;
		return 0;
	case 'f':
		run->stats_file = value;
		if (run->stats == STATS_OFF)
			run->stats = STATS_TEXT;
		return 0;
	}
	return -EINVAL;
}

static void run_print_stats(struct run *run)
{
	FILE *to = run->stats_file ? fopen(run->stats_file, "w") : stderr;

	if (!to) {
		log_error(run->stats_file, "cannot be written: %s", strerror(errno));
		return;
	}
	if (run->stats == STATS_JSON)
		stats_print_json(run->vm, to);
	else
		stats_print(run->vm, to);
	if (run->stats_file && fclose(to))
		log_error(run->stats_file, "is incomplete: %s", strerror(errno));
}

static void run_on_signal(void *opaque, uint32_t events)
{
	struct run *run = opaque;
	struct signalfd_siginfo info;

	if (read(run->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGUSR1)
		run_print_stats(run);
	else
		vm_end(run->vm, VM_END_USER, 0);
}

/* These come to the loop, so that every end is an orderly one. Those that come early wait. */
static void run_block_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGUSR1);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGHUP);
	sigprocmask(SIG_BLOCK, set, NULL);
}

static int run_catch_signals(struct run *run, const sigset_t *set, struct diag *diag)
{
	int err;

	run->signal_fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (run->signal_fd < 0)
		return diag_set(diag, -errno, "signals", "cannot be received: %s", strerror(errno));
	err = loop_watch(run->vm->loop, &run->signals, run->signal_fd, EPOLLIN, run_on_signal, run);
	if (err) {
		close(run->signal_fd);
		return diag_set(diag, err, "signals", "cannot be watched: %s", strerror(-err));
	}
	return 0;
}

static void run_release_signals(struct run *run)
{
	loop_unwatch(run->vm->loop, &run->signals);
	close(run->signal_fd);
}

static int run_exit_status(const struct vm *vm)
{
	switch (vm->end) {
	case VM_END_NONE:
	case VM_END_HOST_ERROR:
		return RUN_HOST_ERROR;
	case VM_END_OFF:
		return CLI_OK;
	case VM_END_RESET:
		return RUN_RESET;
	case VM_END_PANIC:
		return RUN_PANIC;
	case VM_END_TRIPLE_FAULT:
		return RUN_TRIPLE_FAULT;
	case VM_END_KVM_ERROR:
		return RUN_KVM_ERROR;
	case VM_END_USER:
		return RUN_USER;
	case VM_END_DEBUG_EXIT:
		return vm->end_status;
	}
	return RUN_HOST_ERROR;
}

static int run_machine(struct run *run, struct sys *sys, struct phases *phases)
{
	struct diag diag = DIAG_INIT, end;
	sigset_t signals;
	int status, err;

	run_block_signals(&signals);
	err = vm_create(sys, &run->config, phases, &run->vm, &diag);
	if (err)
		return cli_refuse(&diag);
	err = run_catch_signals(run, &signals, &diag);
	if (err) {
		vm_destroy(run->vm);
		return cli_refuse(&diag);
	}
	err = vm_run(run->vm, &diag);
	if (run->stats != STATS_OFF)
		run_print_stats(run);
	run_release_signals(run);
	end = run->vm->end_diag;
	status = run_exit_status(run->vm);
	/* What the guest has said comes first, and the terminal is back before we say why it ended. */
	vm_destroy(run->vm);
	if (err) {
		diag_set(&diag, err, "virtual machine", "stopped: %s", strerror(-err));
		return cli_refuse(&diag);
	}
	diag_print(&end);
	return status;
}

/* pool=NAME becomes host=ADDRESS: of a function leased now; with --plan, of the one it would be. */
static int run_take_from_pools(struct run *run, struct sys *sys, struct diag *diag)
{
	for (unsigned int i = 0; i < run->config.nr_devices; i++) {
		struct spec *spec = &run->config.devices[i];
		struct assign_lease *lease = &run->leases[run->nr_leases];
		struct spec_pair *pair = spec->pairs, *end = spec->pairs + spec->nr;
		int err;

		while (pair < end && strcmp(pair->key, "pool"))
			pair++;
		if (pair == end || strcmp(spec->class_name, "vfio"))
			continue;
		if (spec_text(spec, "host"))
			return diag_set(diag, -EINVAL, spec->whole,
					"pool= and host= exclude each other");
		if (run->plan_only) {
			*lease = (struct assign_lease){ .fd = -1 };
			err = assign_pool_peek(sys, pair->value, &lease->address, diag);
			pci_address_format(lease->address, lease->name);
		} else {
			err = assign_pool_lease(sys, pair->value, lease, diag);
		}
		if (err)
			return err;
		run->nr_leases++;
		pair->key = "host";
		pair->value = lease->name;
	}
	return 0;
}

static int run_check_peers(struct run *run, struct sys *sys, const struct plan *plan,
			   struct diag *diag)
{
	struct pci_address address[VM_DEVICES_MAX];
	struct diag risk = DIAG_INIT;
	int err;

	for (unsigned int i = 0; i < plan->nr_vfio; i++)
		address[i] = plan->vfio[i]->function.address;
	err = assign_peers_check(sys, address, plan->nr_vfio, run->accept_peers ? &risk : diag);
	if (err == -EPERM && run->accept_peers) {
		log_warning(risk.object, "accepted: %s", risk.reason);
		return 0;
	}
	return err;
}

static uint64_t run_hugepage(const struct ram_config *ram)
{
	return ram->backing == RAM_HUGETLB_2M	? MIB(2)
	       : ram->backing == RAM_HUGETLB_1G ? GIB(1)
						: 0;
}

/* This process goes where the devices are, before it makes a thread or touches guest RAM. */
static int run_place(struct run *run, struct sys *sys, const struct plan *plan, struct diag *diag)
{
	struct assign_placement *placement = &run->placement;
	struct assign_place *place = &run->place;
	int node[VM_DEVICES_MAX], err;

	place->ram = run->config.ram.size;
	place->hugepage = run_hugepage(&run->config.ram);
	place->cpus = run->config.cpus;
	place->device_node = node;
	place->nr_devices = plan->nr_vfio;
	for (unsigned int i = 0; i < plan->nr_vfio; i++)
		node[i] = plan->vfio[i]->function.numa_node;
	err = assign_place_plan(sys, place, placement, diag);
	place->device_node = NULL;
	if (err)
		return err;
	if (run->plan_only) {
		if (placement->note[0])
			printf("placement    %s\n", placement->note);
		if (placement->warning[0])
			printf("             %s\n", placement->warning);
		return 0;
	}
	if (placement->node >= 0 || placement->nr_pins)
		log_info("placement", "%s", placement->note);
	if (placement->warning[0])
		log_warning("placement", "%s", placement->warning);
	run->config.placement = placement;
	return assign_place_apply(sys, placement, diag);
}

/* All that is refused, not only the first; and what would be. */
static int run_show_plan(struct run *run, struct sys *sys, struct plan *plan)
{
	struct diag diag = DIAG_INIT;

	plan_print(plan, stdout);
	if (run_check_peers(run, sys, plan, &diag))
		plan_refuse(plan, &diag);
	diag_clear(&diag);
	if (run_place(run, sys, plan, &diag))
		plan_refuse(plan, &diag);
	plan_print_refusals(plan, stdout);
	return plan->nr_refusals ? CLI_REFUSED : CLI_OK;
}

static int run_refuse(const struct plan *plan, int err, struct diag *diag)
{
	if (plan->nr_refusals)
		*diag = plan->refusals[0];
	diag_set(diag, err, "virtual machine", "cannot start: %s", strerror(-err));
	cli_refuse(diag);
	if (plan->nr_refusals > 1)
		fprintf(stderr, "airlock: %u more: --plan shows all\n", plan->nr_refusals - 1);
	return CLI_REFUSED;
}

static int run_start(struct run *run, struct phases *phases)
{
	struct sys sys = sys_real();
	struct diag diag = DIAG_INIT;
	struct plan *plan = calloc(1, sizeof(*plan));
	int err, status;

	if (!plan)
		return CLI_REFUSED;
	err = run_take_from_pools(run, &sys, &diag);
	if (err) {
		free(plan);
		return cli_refuse(&diag);
	}
	err = plan_make(plan, &sys, &run->config, run->plan_only);
	if (run->plan_only) {
		status = run_show_plan(run, &sys, plan);
	} else {
		if (!err)
			err = run_check_peers(run, &sys, plan, &diag);
		if (!err)
			err = run_place(run, &sys, plan, &diag);
		status = err ? run_refuse(plan, err, &diag) : CLI_OK;
	}
	plan_fini(plan);
	free(plan);
	if (run->plan_only || status != CLI_OK)
		return status;
	phases_mark(phases, "plan");
	return run_machine(run, &sys, phases);
}

static int run_run(const struct cli_command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{ "kernel", required_argument, NULL, 'k' },
		{ "initrd", required_argument, NULL, 'i' },
		{ "append", required_argument, NULL, 'a' },
		{ "cpus", required_argument, NULL, 'c' },
		{ "memory", required_argument, NULL, 'm' },
		{ "device", required_argument, NULL, 'd' },
		{ "iommu", required_argument, NULL, 'g' },
		{ "drive", required_argument, NULL, 'D' },
		{ "numa", required_argument, NULL, 'n' },
		{ "cpu-pin", required_argument, NULL, 'P' },
		{ "accept", required_argument, NULL, 'x' },
		{ "unpack", required_argument, NULL, 'u' },
		{ "reboot", required_argument, NULL, 'r' },
		{ "plan", no_argument, NULL, 'p' },
		{ "stats", optional_argument, NULL, 's' },
		{ "stats-file", required_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct sys sys = sys_real();
	struct diag diag = DIAG_INIT;
	struct phases phases;
	struct run *run;
	int option, status;

	phases_begin(&phases);
	run = calloc(1, sizeof(*run));
	if (!run)
		return CLI_REFUSED;
	run->config.cpus = 1;
	run->config.ram.size = MIB(512);
	if (isatty(STDERR_FILENO)) {
		run->config.ram.progress = run_show_progress;
		run->config.ram.opaque = &run->progress_done;
	}
	opterr = 0;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'h' || (strchr("dDg", option) && optarg && !strcmp(optarg, "help"))) {
			if (option == 'h')
				cli_help(self);
			else if (option == 'D')
				run_print_keys(drive_keys);
			else if (option == 'd')
				run_device_help();
			else
				run_iommu_help();
			free(run);
			return CLI_OK;
		}
		if (option == '?') {
			status = cli_usage_error(self,
						 "%s is not an option, or its value is missing",
						 argv[optind - 1]);
			goto out;
		}
		if (run_parse_option(run, option, optarg, &diag)) {
			diag_print(&diag);
			status = CLI_USAGE;
			goto out;
		}
	}
	if (optind < argc)
		status = cli_usage_error(self, "'%s' belongs to no option", argv[optind]);
	else if (!run->config.kernel)
		status = cli_usage_error(self, "no --kernel FILE says what to boot");
	else
		status = run_start(run, &phases);
out:
	while (run->nr_leases)
		assign_lease_end(&sys, &run->leases[--run->nr_leases]);
	free(run);
	return status;
}

const struct cli_command cli_run = {
	.name = "run",
	.summary = "start a virtual machine, with real devices if wanted",
	.run = run_run,
	.usage = run_usage,
};
