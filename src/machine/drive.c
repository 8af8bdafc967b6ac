// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine/drive.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "machine/vm.h"

const char drive_keys[] =
	"id=NAME             what drive= names\n"
	"file=PATH           a disk image or a block device; file=fd=N: opened by someone else\n"
	"memory=SIZE         instead of file=: a scratch disk in memory, gone at the end\n"
	"readonly=on|off     default off; several VMs may share an image that all only read\n"
	"discard=on|off      give back to the host what the guest discards; default on\n"
	"direct=on|off       past the host's page cache; default: where the host can\n"
	"engine=uring|threads  who moves the data; default: io_uring where the host has it\n"
	"block-size=N        512 or 4096; default 512, or a block device's own\n"
	"threads=N           of engine=threads, default 4\n";

int drive_parse(struct spec *spec, const char *text, struct diag *diag)
{
	char whole[SPEC_TEXT_MAX + 8];
	const char *id;
	int err;

	/* The parser wants a class in front. */
	snprintf(whole, sizeof(whole), "drive,%s", text);
	err = spec_parse(spec, whole, diag);
	if (err)
		return err;
	id = spec_text(spec, "id");
	if (!id || !*id)
		return diag_set(diag, -EINVAL, spec->whole,
				"a drive needs an id= for drive= to name");
	return 0;
}

static int drive_word(struct spec *spec, const char *key, const char *const *words, int *value,
		      struct diag *diag)
{
	const char *text = spec_text(spec, key);

	if (!text)
		return 0;
	for (int i = 0; words[i]; i++) {
		if (strcmp(text, words[i]))
			continue;
		*value = i;
		return 0;
	}
	return diag_set(diag, -EINVAL, spec->whole, "%s=%s is none of its words", key, text);
}

static int drive_unused_key(struct spec *spec, struct diag *diag)
{
	const char *key = spec_unused(spec);

	if (!key)
		return 0;
	diag_set(diag, -EINVAL, spec->whole, "'%s' is no key of a drive%s", key,
		 spec_text(spec, "memory") ? " in memory" : "");
	return diag_remedy(diag, -EINVAL, "airlock run --drive help lists the keys");
}

static int drive_open_memory(struct spec *spec, const char *id, const char *text,
			     uint64_t block_size, struct block **block, struct diag *diag)
{
	uint64_t size;
	int err = drive_unused_key(spec, diag);

	if (err)
		return err;
	if (parse_size(text, &size))
		return diag_set(diag, -EINVAL, spec->whole,
				"memory=%s is not a size such as 512M or 4G", text);
	return block_ram_create(id, size, block_size ? (uint32_t)block_size : 512, block, diag);
}

int drive_open(struct sys *sys, struct spec *spec, struct block **block, struct diag *diag)
{
	static const char *const engines[] = {
		[BLOCK_ENGINE_AUTO] = "auto",
		[BLOCK_ENGINE_URING] = "uring",
		[BLOCK_ENGINE_THREADS] = "threads",
		NULL,
	};
	static const char *const direct[] = {
		[BLOCK_DIRECT_AUTO] = "auto",
		[BLOCK_DIRECT_ON] = "on",
		[BLOCK_DIRECT_OFF] = "off",
		NULL,
	};
	struct block_file_config config = {
		.name = spec_text(spec, "id"),
		.path = spec_text(spec, "file"),
		.discard = true,
	};
	const char *memory = spec_text(spec, "memory");
	uint64_t block_size = 0, threads = 0;
	int err, word = 0;

	if (!config.path == !memory)
		return diag_set(diag, -EINVAL, spec->whole, "%s",
				memory ? "file= and memory= exclude each other"
				       : "neither file= nor memory= says where its data is");
	err = spec_number(spec, "block-size", 4096, &block_size, diag);
	if (err)
		return err;
	if (memory)
		return drive_open_memory(spec, config.name, memory, block_size, block, diag);
	config.block_size = (uint32_t)block_size;
	err = spec_bool(spec, "readonly", &config.readonly, diag);
	if (!err)
		err = spec_bool(spec, "discard", &config.discard, diag);
	if (!err)
		err = spec_number(spec, "threads", 64, &threads, diag);
	config.threads = (unsigned int)threads;
	if (!err)
		err = drive_word(spec, "engine", engines, &word, diag);
	config.engine = (enum block_engine)word;
	word = 0;
	if (!err)
		err = drive_word(spec, "direct", direct, &word, diag);
	config.direct = (enum block_direct)word;
	if (!err)
		err = drive_unused_key(spec, diag);
	return err ? err : block_file_create(sys, &config, block, diag);
}

static int drive_missing(const char *whose, const char *id, struct diag *diag)
{
	if (!id) {
		diag_set(diag, -EINVAL, whose, "no drive= says where its data is");
		return diag_remedy(diag, -EINVAL, "--drive id=d0,file=PATH and drive=d0");
	}
	diag_set(diag, -ENOENT, whose, "there is no drive '%s'", id);
	return diag_remedy(diag, -ENOENT, "name a file: --drive id=%s,file=PATH", id);
}

int drive_check(struct vm_config *config, const char *whose, const char *id, struct diag *diag)
{
	for (unsigned int i = 0; id && i < config->nr_drives; i++)
		if (!strcmp(spec_text(&config->drives[i], "id"), id))
			return 0;
	return drive_missing(whose, id, diag);
}

int drive_find(struct vm *vm, const char *whose, const char *id, struct block **block,
	       struct diag *diag)
{
	for (unsigned int i = 0; id && i < vm->nr_drives; i++) {
		if (strcmp(vm->drives[i]->name, id))
			continue;
		*block = vm->drives[i];
		return 0;
	}
	return drive_missing(whose, id, diag);
}

int drives_open(struct vm *vm, struct diag *diag)
{
	for (; vm->nr_drives < vm->config->nr_drives; vm->nr_drives++) {
		struct spec *spec = &vm->config->drives[vm->nr_drives];
		int err = drive_open(vm->sys, spec, &vm->drives[vm->nr_drives], diag);

		if (err) {
			drives_close(vm);
			return err;
		}
	}
	return 0;
}

void drives_close(struct vm *vm)
{
	while (vm->nr_drives)
		block_destroy(vm->drives[--vm->nr_drives]);
}
