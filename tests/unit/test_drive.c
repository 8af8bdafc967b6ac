// SPDX-License-Identifier: GPL-2.0-or-later
/* --drive: what is read, and what is refused before anything runs. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bits.h"
#include "machine/drive.h"

static int open_drive(const char *text, struct block **block, struct diag *diag)
{
	static struct spec spec;
	static struct sys sys;
	int err;

	sys = sys_real();
	diag_clear(diag);
	*block = NULL;
	err = drive_parse(&spec, text, diag);
	return err ? err : drive_open(&sys, &spec, block, diag);
}

static void a_drive_is_named_and_has_data_in_one_place(void **state)
{
	struct diag diag = DIAG_INIT;
	struct block *block;

	assert_int_equal(open_drive("file=x", &block, &diag), -EINVAL);
	assert_non_null(strstr(diag.reason, "id="));
	assert_int_equal(open_drive("id=,file=x", &block, &diag), -EINVAL);
	assert_int_equal(open_drive("id=d0", &block, &diag), -EINVAL);
	assert_non_null(strstr(diag.reason, "file="));
	assert_int_equal(open_drive("id=d0,file=x,memory=1M", &block, &diag), -EINVAL);
	assert_int_equal(open_drive("id=d0,memory=1M", &block, &diag), 0);
	assert_string_equal(block->name, "d0");
	assert_int_equal(block->size, MIB(1));
	block_destroy(block);
}

static void keys_and_words_that_mean_nothing_are_refused(void **state)
{
	static const char *const bad[] = {
		"id=d0,memory=1M,colour=red",
		"id=d0,memory=much",
		"id=d0,memory=0",
		"id=d0,memory=1M,direct=on",
		"id=d0,file=x,direct=no",
		"id=d0,file=x,engine=steam",
		"id=d0,file=x,readonly=1",
		"id=d0,file=x,threads=65",
		"id=d0,memory=1M,block-size=1024",
		"id=d0,memory=1,id=d1",
		"id=d0,file",
	};
	struct diag diag = DIAG_INIT;
	struct block *block;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(open_drive(bad[i], &block, &diag), -EINVAL);
		assert_null(block);
		assert_int_equal(diag.err, -EINVAL);
	}
}

static void what_is_asked_for_reaches_the_disk(void **state)
{
	char path[] = "/var/tmp/airlock-drive-XXXXXX", text[128];
	int fd = mkstemp(path);
	struct diag diag = DIAG_INIT;
	struct block *block;

	assert_int_equal(ftruncate(fd, 8192), 0);
	close(fd);
	snprintf(text, sizeof(text), "id=d0,file=%s,readonly=on,direct=off,block-size=4096", path);
	assert_int_equal(open_drive(text, &block, &diag), 0);
	assert_true(block->readonly);
	assert_int_equal(block->limits.block_size, 4096);
	assert_int_equal(block->limits.mem_align, 1);
	block_destroy(block);
	snprintf(text, sizeof(text), "id=d0,file=%s,discard=off", path);
	assert_int_equal(open_drive(text, &block, &diag), 0);
	assert_false(block->readonly);
	assert_int_equal(block->limits.discard_granularity, 0);
	block_destroy(block);
	unlink(path);
}

static void a_device_is_told_which_drive_is_missing(void **state)
{
	static struct vm_config config;
	struct diag diag = DIAG_INIT;

	config.nr_drives = 1;
	assert_int_equal(drive_parse(&config.drives[0], "id=d0,memory=1M", &diag), 0);
	assert_int_equal(drive_check(&config, "nvme", "d0", &diag), 0);
	assert_int_equal(drive_check(&config, "nvme", "d1", &diag), -ENOENT);
	assert_string_equal(diag.object, "nvme");
	assert_non_null(strstr(diag.remedy, "id=d1"));
	diag_clear(&diag);
	assert_int_equal(drive_check(&config, "nvme", NULL, &diag), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_drive_is_named_and_has_data_in_one_place),
		cmocka_unit_test(keys_and_words_that_mean_nothing_are_refused),
		cmocka_unit_test(what_is_asked_for_reaches_the_disk),
		cmocka_unit_test(a_device_is_told_which_drive_is_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
