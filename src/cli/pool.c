// SPDX-License-Identifier: GPL-2.0-or-later
/* airlock pool: virtual functions made beforehand, leased to VMs. */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "assign/pool.h"
#include "base/bits.h"
#include "cli/options.h"
#include "cli/survey.h"

#define POOL_FOLDER "/run"
#define POOL_PREFIX "airlock-pool."

static int pool_create(const char *name, const char *text, bool wipe, struct diag *diag)
{
	struct assign_journal journal;
	struct sys sys = sys_real();
	struct pci_address address;
	struct host_function pf;
	int err = assign_journal_open(&sys, &journal, diag);

	if (err)
		return err;
	err = host_address_resolve(&sys, text, &address, diag);
	if (!err)
		err = host_function_read(&sys, address, &pf, diag);
	if (!err)
		err = assign_pool_create(&journal, name, &pf, wipe, diag);
	assign_journal_close(&journal);
	return err;
}

static void pool_print(struct sys *sys, const struct assign_pool *pool)
{
	char address[PCI_ADDRESS_TEXT];
	size_t nr_leased = 0;
	unsigned int pid;

	printf("%s: virtual functions of %s%s\n", pool->name, pci_address_format(pool->pf, address),
	       pool->wipe ? ", namespaces erased between leases" : "");
	for (size_t i = 0; i < pool->nr_vfs; i++) {
		bool leased = assign_pool_is_leased(sys, pool->vf[i], &pid);

		nr_leased += leased;
		printf("  %-12s %s", pci_address_format(pool->vf[i], address),
		       leased ? "leased to process " : "free");
		if (leased)
			printf("%u", pid);
		putchar('\n');
	}
	printf("  %zu of %zu leased\n", nr_leased, pool->nr_vfs);
}

#ifdef AIRLOCK_JSON
static json_t *pool_json(struct sys *sys, const struct assign_pool *pool)
{
	char address[PCI_ADDRESS_TEXT];
	json_t *list = json_array();
	unsigned int pid;

	for (size_t i = 0; i < pool->nr_vfs; i++) {
		bool leased = assign_pool_is_leased(sys, pool->vf[i], &pid);

		json_array_append_new(list, json_pack("{s:s, s:b, s:o}", "address",
						      pci_address_format(pool->vf[i], address),
						      "leased", leased, "pid",
						      leased ? json_integer(pid) : json_null()));
	}
	return json_pack("{s:s, s:s, s:b, s:o}", "name", pool->name, "physical",
			 pci_address_format(pool->pf, address), "wipe", pool->wipe, "functions",
			 list);
}
#endif

/* As vf list: to the end of a program's list, or printed. */
static int pool_list_one(struct sys *sys, const char *name, void *json, struct diag *diag)
{
	struct assign_pool *pool = malloc(sizeof(*pool));
	int err = pool ? assign_pool_read(sys, name, pool, diag) : -ENOMEM;

#ifdef AIRLOCK_JSON
	if (!err && json)
		json_array_append_new(json, pool_json(sys, pool));
#endif
	if (!err && !json)
		pool_print(sys, pool);
	free(pool);
	return err;
}

static int pool_list(bool as_json)
{
	struct sys sys = sys_real();
	struct dirent *entry;
	void *json = NULL;
	bool any = false;
	DIR *folder = opendir(POOL_FOLDER);

#ifdef AIRLOCK_JSON
	json = as_json ? json_array() : NULL;
#endif
	while (folder && (entry = readdir(folder))) {
		struct diag gone = DIAG_INIT;
		const char *name = entry->d_name + strlen(POOL_PREFIX);

		if (strncmp(entry->d_name, POOL_PREFIX, strlen(POOL_PREFIX)))
			continue;
		/* A pool that was forgotten has left an empty file. */
		if (!pool_list_one(&sys, name, json, &gone))
			any = true;
		else if (gone.err != -ENOENT)
			diag_print(&gone);
	}
	if (folder)
		closedir(folder);
#ifdef AIRLOCK_JSON
	if (json)
		return survey_print_json(json);
#endif
	if (!any)
		puts("there is no pool");
	return CLI_OK;
}

/* The lease lives as long as this process: so it waits for the command. */
static int pool_run_leased(const char *name, char **command, struct diag *diag)
{
	extern char **environ;
	struct sys sys = sys_real();
	struct assign_lease lease;
	int status, err = assign_pool_lease(&sys, name, &lease, diag);
	pid_t pid;

	if (err) {
		cli_refuse(diag);
		return CLI_REFUSED;
	}
	setenv("AIRLOCK_DEVICE", lease.name, 1);
	err = posix_spawnp(&pid, command[0], NULL, NULL, command, environ);
	if (err) {
		diag_set(diag, -err, command[0], "cannot be started: %s", strerror(err));
		assign_lease_end(&sys, &lease);
		return cli_refuse(diag);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	assign_lease_end(&sys, &lease);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int pool_run(const struct cli_command *self, int argc, char **argv)
{
	bool wipe = false, json = false;
	const struct cli_option words[] = {
		{ "wipe", CLI_FLAG, &wipe },
		{ "json", CLI_JSON, &json },
	};
	struct diag diag = DIAG_INIT;
	struct sys sys = sys_real();
	int nr, err, status;

	/* What follows the first word of `lease` is another program's. */
	if (argc > 1 && !strcmp(argv[1], "lease")) {
		char **command = argv + 3;

		if (argc > 3 && !strcmp(argv[3], "--"))
			command++;
		if (argc < 4 || !*command)
			return cli_usage_error(self, "say: lease NAME [--] COMMAND...");
		return pool_run_leased(argv[2], command, &diag);
	}
	status = cli_options_read(self, argc, argv, words, ARRAY_SIZE(words));
	if (status)
		return status < 0 ? CLI_OK : status;
	argv += optind;
	nr = argc - optind;
	if (nr == 3 && !strcmp(argv[0], "create"))
		err = pool_create(argv[1], argv[2], wipe, &diag);
	else if (nr == 2 && !strcmp(argv[0], "destroy"))
		err = assign_pool_destroy(&sys, argv[1], &diag);
	else if (nr == 1 && !strcmp(argv[0], "list"))
		return pool_list(json);
	else
		return cli_usage_error(self, "say: create NAME PF, list, lease NAME COMMAND..., or "
					     "destroy NAME");
	return err ? cli_refuse(&diag) : CLI_OK;
}

const struct cli_command cli_pool = {
	.name = "pool",
	.summary = "lease virtual functions that were made beforehand",
	.run = pool_run,
	.usage =
		"usage: airlock pool create NAME PF [--wipe]\n"
		"       airlock pool list" CLI_USAGE_JSON "\n"
		"       airlock pool lease NAME [--] COMMAND...\n"
		"       airlock pool destroy NAME\n\n"
		"A pool is all virtual functions of an NVMe drive or a network card (airlock vf\n"
		"create), bound to vfio-pci (airlock bind). airlock run --device vfio,pool=NAME leases\n"
		"one for as long as the VM runs; lease does so for any COMMAND, which finds the address\n"
		"in AIRLOCK_DEVICE. A lease ends with its holder, however that dies.\n\n"
		"Before each lease the function is scrubbed. A drive's controller is taken offline, reset\n"
		"and brought online again. Data stay in its namespaces, unless --wipe erases them; that\n"
		"needs virtual functions with namespaces of their own (airlock vf create\n"
		"--own-namespaces). A card's function is reset and gets the address, VLAN, rate and rights\n"
		"that it had when the pool was made (airlock vf set). One that cannot be scrubbed is not\n"
		"leased.\n\n"
		"examples:\n"
		"  airlock vf create 01:00.0 4 --own-namespaces\n"
		"  airlock bind 01:00.1 01:00.2 01:00.3 01:00.4\n"
		"  airlock pool create fast 01:00.0 --wipe\n"
		"  airlock run --kernel vmlinuz --device vfio,pool=fast\n",
};
