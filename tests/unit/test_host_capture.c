// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/capture.h"

static struct host_capture *parse(const char *text)
{
	struct host_capture *capture;
	struct diag diag = DIAG_INIT;

	if (host_capture_parse(text, strlen(text), "test", &capture, &diag))
		fail_msg("refused: %s", diag.reason);
	return capture;
}

static void refuse(const char *text, size_t len, const char *reason)
{
	struct host_capture *capture = NULL;
	struct diag diag = DIAG_INIT;

	assert_true(host_capture_parse(text, len, "test", &capture, &diag) < 0);
	assert_null(capture);
	if (!strstr(diag.reason, reason))
		fail_msg("\"%s\" does not say \"%s\"", diag.reason, reason);
}

static int collect(void *opaque, const char *name)
{
	strcat(strcat(opaque, name), " ");
	return 0;
}

static void facts_read_back_as_files_links_and_lists(void **state)
{
	struct host_capture *capture = parse("airlock-host 1\n"
					     "# a comment\n\n"
					     "limit memlock 8388608 unlimited\n"
					     "sys a/b = one\\ntwo\\\\\\x21\n"
					     "sys a/link -> ../../target\n"
					     "sys a/raw hex 8 2:ff01 7:80\n"
					     "sys a/empty =\n"
					     "sys a /\n"
					     "proc a = other\n");
	struct sys sys = host_capture_sys(capture);
	char text[64];
	uint64_t soft, hard;

	assert_int_equal(sys_read_file(&sys, SYS_TREE_SYS, "a/b", text, sizeof(text)), 9);
	assert_string_equal(text, "one\ntwo\\!");
	assert_int_equal(sys.ops->read_link(&sys, SYS_TREE_SYS, "a/link", text, sizeof(text)), 12);
	assert_string_equal(text, "../../target");
	assert_int_equal(sys_read_file(&sys, SYS_TREE_SYS, "a/raw", text, sizeof(text)), 8);
	assert_memory_equal(text, "\0\0\xff\x01\0\0\0\x80", 8);
	assert_int_equal(sys_read_file(&sys, SYS_TREE_SYS, "a/empty", text, sizeof(text)), 0);
	assert_int_equal(sys_read_file(&sys, SYS_TREE_PROC, "a", text, sizeof(text)), 5);
	text[0] = '\0';
	assert_int_equal(sys.ops->list(&sys, SYS_TREE_SYS, "a", collect, text), 0);
	assert_int_equal(strlen(text), strlen("b link raw empty "));
	assert_int_equal(sys.ops->limit(&sys, SYS_LIMIT_MEMLOCK, &soft, &hard), 0);
	assert_true(soft == 8388608 && hard == SYS_UNLIMITED);
	host_capture_destroy(capture);
}

static void what_was_not_recorded_is_unknown_not_absent(void **state)
{
	struct host_capture *capture = parse("airlock-host 1\n"
					     "sys a/b ! ENOENT\n"
					     "sys a/c ! EACCES\n"
					     "sys d = x\n");
	struct sys sys = host_capture_sys(capture);
	char text[64];
	uint64_t soft, hard;

	assert_int_equal(sys_read_file(&sys, SYS_TREE_SYS, "a/b", text, sizeof(text)), -ENOENT);
	/* Below what is absent all is absent, below what is forbidden all is. */
	assert_int_equal(sys_read_file(&sys, SYS_TREE_SYS, "a/b/x", text, sizeof(text)), -ENOENT);
	assert_int_equal(sys_read_file(&sys, SYS_TREE_SYS, "a/c/x", text, sizeof(text)), -EACCES);
	assert_int_equal(sys_read_file(&sys, SYS_TREE_SYS, "a/z", text, sizeof(text)), -ENODATA);
	assert_int_equal(sys.ops->list(&sys, SYS_TREE_SYS, "a", collect, text), -ENODATA);
	assert_int_equal(sys.ops->limit(&sys, SYS_LIMIT_MEMLOCK, &soft, &hard), -ENODATA);
	host_capture_destroy(capture);
}

static void a_written_host_may_say_that_the_rest_is_absent(void **state)
{
	struct host_capture *capture = parse("airlock-host 1\nunlisted absent\nsys a/b/c = x\n"
					     "sys a/d ! ENOENT\n");
	struct sys sys = host_capture_sys(capture);
	char text[64] = "";

	assert_int_equal(sys_read_file(&sys, SYS_TREE_SYS, "a/z", text, sizeof(text)), -ENOENT);
	text[0] = '\0';
	assert_int_equal(sys.ops->list(&sys, SYS_TREE_SYS, "a", collect, text), 0);
	assert_string_equal(text, "b ");
	assert_int_equal(sys.ops->list(&sys, SYS_TREE_SYS, "a/b/c", collect, text), -ENOTDIR);
	host_capture_destroy(capture);
}

static void contents_longer_than_the_buffer_are_refused(void **state)
{
	struct host_capture *capture =
		parse("airlock-host 1\nsys a = 12345678\nsys l -> 12345678\n");
	struct sys sys = host_capture_sys(capture);
	char text[9];

	assert_int_equal(sys_read_file(&sys, SYS_TREE_SYS, "a", text, 9), 8);
	assert_int_equal(sys_read_file(&sys, SYS_TREE_SYS, "a", text, 8), -EFBIG);
	assert_int_equal(sys.ops->read_link(&sys, SYS_TREE_SYS, "l", text, 8), -ENAMETOOLONG);
	host_capture_destroy(capture);
}

static void a_capture_takes_no_writes_and_opens_nothing(void **state)
{
	struct host_capture *capture = parse("airlock-host 1\nsys a = 1\n");
	struct sys sys = host_capture_sys(capture);

	assert_int_equal(sys.ops->write_file(&sys, SYS_TREE_SYS, "a", "2", 1), -EROFS);
	assert_int_equal(sys_open(&sys, SYS_KVM, NULL), -ENOSYS);
	host_capture_destroy(capture);
}

#define HEAD "airlock-host 1\n"
static void malformed_captures_are_refused_by_line(void **state)
{
	static const char *const bad[] = {
		"sys",
		"sys a",
		"sys a ",
		"sys a b",
		"sys  = x",
		"sys a ! EWHAT",
		"sys a ! ",
		"sys a = \\q",
		"sys a = \\x1",
		"sys a = \\",
		"sys a hex",
		"sys a hex x",
		"sys a hex 4 0",
		"sys a hex 4 0:1",
		"sys a hex 4 4:11",
		"sys a hex 4 0:1122334455",
		"sys a hex 4 ffffffffffffffff:11",
		"sys a hex 4 0:11zz",
		"sys a hex 99999999999 0:11",
		"sys a -> ",
		"sys /a = x",
		"sys a/ = x",
		"etc a = x",
		"limit memlock 1",
		"limit memlock -1 2",
		"limit files 1 2",
		"unlisted unknown",
	};
	char text[128];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), HEAD "sys ok = 1\n%s\n", bad[i]);
		refuse(text, strlen(text), "line 3");
	}
	refuse(HEAD "sys a = x\0y\n", sizeof(HEAD) - 1 + 12, "line 2");
}

static void what_is_no_capture_is_called_so(void **state)
{
	refuse("", 0, "empty");
	refuse("\x7f"
	       "ELF\0\1\2\3",
	       8, "not a host capture");
	refuse("airlock-host 2\n", 15, "not a host capture");
}

static void every_truncation_is_read_or_refused_without_harm(void **state)
{
	static const char text[] = HEAD "limit memlock 1 unlimited\nsys a/b = x\\ny\nsys c hex 16 "
					"3:aabbcc e:11\nsys d -> e/f\nproc g ! EIO\n";

	for (size_t len = 0; len < sizeof(text); len++) {
		struct host_capture *capture;
		char *exact = malloc(len ? len : 1);

		/* An exact-size copy, so that a sanitizer sees any read past it. */
		memcpy(exact, text, len);
		if (!host_capture_parse(exact, len, "cut", &capture, NULL))
			host_capture_destroy(capture);
		free(exact);
	}
}

static void random_damage_is_read_or_refused_without_harm(void **state)
{
	static const char text[] =
		HEAD "sys a/b = x\\ny\nsys c hex 16 3:aabbcc e:11\nsys d -> e/f\n"
		     "sys a /\nproc g ! EIO\nsys h .\nunlisted absent\n";
	uint32_t seed = 1;

	for (int round = 0; round < 20000; round++) {
		struct host_capture *capture;
		char copy[sizeof(text)];

		memcpy(copy, text, sizeof(text));
		for (int hits = 0; hits < 3; hits++) {
			seed = seed * 1664525 + 1013904223;
			copy[(seed >> 8) % sizeof(text)] = (char)(seed >> 24);
		}
		if (!host_capture_parse(copy, sizeof(text) - 1, "damaged", &capture, NULL))
			host_capture_destroy(capture);
	}
}

static void a_recording_saves_and_reads_back_the_same(void **state)
{
	struct host_capture *source = parse(HEAD "limit memlock 1 2\nsys f/a = x\\n\n"
						 "sys f/b hex 300 0:010203 40:ff 44:ff 12b:07\n"
						 "sys f/l -> ../t\nsys f/no ! EACCES\nsys f /\n"
						 "proc interrupts = \\x20 CPU0 CPU1\\n 1: 5 06 "
						 "IR-IO-APIC 1-edge i8042\\n\n");
	struct host_capture *recording = host_capture_create(), *loaded;
	struct sys real = host_capture_sys(source), rec = host_capture_recorder(recording, &real);
	struct sys host = sys_real();
	char path[] = "/tmp/airlock-capture-XXXXXX", text[512] = "", text2[512] = "";
	uint64_t soft, hard;
	struct sys again;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	/* A small buffer first: the failure must not stick. */
	assert_int_equal(sys_read_file(&rec, SYS_TREE_SYS, "f/a", text, 2), -EFBIG);
	sys_read_file(&rec, SYS_TREE_SYS, "f/a", text, sizeof(text));
	sys_read_file(&rec, SYS_TREE_SYS, "f/b", text, sizeof(text));
	rec.ops->read_link(&rec, SYS_TREE_SYS, "f/l", text2, sizeof(text2));
	sys_read_file(&rec, SYS_TREE_SYS, "f/no", text2, sizeof(text2));
	sys_read_file(&rec, SYS_TREE_PROC, "interrupts", text2, sizeof(text2));
	text2[0] = '\0';
	rec.ops->list(&rec, SYS_TREE_SYS, "f", collect, text2);
	rec.ops->limit(&rec, SYS_LIMIT_MEMLOCK, &soft, &hard);
	assert_int_equal(host_capture_save(recording, path, NULL), 0);
	assert_int_equal(host_capture_load(&host, path, &loaded, NULL), 0);

	again = host_capture_sys(loaded);
	assert_int_equal(sys_read_file(&again, SYS_TREE_SYS, "f/b", text2, sizeof(text2)), 300);
	assert_memory_equal(text, text2, 300);
	assert_int_equal(sys_read_file(&again, SYS_TREE_SYS, "f/a", text, sizeof(text)), 2);
	assert_string_equal(text, "x\n");
	assert_int_equal(sys_read_file(&again, SYS_TREE_SYS, "f/no", text, sizeof(text)), -EACCES);
	assert_int_equal(again.ops->read_link(&again, SYS_TREE_SYS, "f/l", text, sizeof(text)), 4);
	assert_int_equal(again.ops->limit(&again, SYS_LIMIT_MEMLOCK, &soft, &hard), 0);
	assert_true(soft == 1 && hard == 2);
	text[0] = '\0';
	assert_int_equal(again.ops->list(&again, SYS_TREE_SYS, "f", collect, text), 0);
	assert_int_equal(strlen(text), strlen("a b l no "));
	/* The counts of interrupts are nobody's business; the chips stay. */
	assert_true(sys_read_file(&again, SYS_TREE_PROC, "interrupts", text, sizeof(text)) > 0);
	assert_non_null(strstr(text, "1: IR-IO-APIC 1-edge i8042"));
	unlink(path);
	host_capture_destroy(source);
	host_capture_destroy(recording);
	host_capture_destroy(loaded);
}

static void a_capture_that_cannot_be_written_leaves_nothing(void **state)
{
	struct host_capture *capture = parse(HEAD "sys a = 1\n");
	struct diag diag = DIAG_INIT;

	assert_int_equal(host_capture_save(capture, "/nonexistent/capture", &diag), -ENOENT);
	assert_string_equal(diag.object, "/nonexistent/capture");
	host_capture_destroy(capture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(facts_read_back_as_files_links_and_lists),
		cmocka_unit_test(what_was_not_recorded_is_unknown_not_absent),
		cmocka_unit_test(a_written_host_may_say_that_the_rest_is_absent),
		cmocka_unit_test(contents_longer_than_the_buffer_are_refused),
		cmocka_unit_test(a_capture_takes_no_writes_and_opens_nothing),
		cmocka_unit_test(malformed_captures_are_refused_by_line),
		cmocka_unit_test(what_is_no_capture_is_called_so),
		cmocka_unit_test(every_truncation_is_read_or_refused_without_harm),
		cmocka_unit_test(random_damage_is_read_or_refused_without_harm),
		cmocka_unit_test(a_recording_saves_and_reads_back_the_same),
		cmocka_unit_test(a_capture_that_cannot_be_written_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
