// SPDX-License-Identifier: GPL-2.0-or-later
/* The event loop: who gets a turn, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sys/loop.h"

#define PATIENCE_NS 2000000000ull

struct busy {
	struct loop *loop;
	struct loop_work work;
	struct loop_timer timer;
	uint64_t deadline;
	unsigned int nr;
};

/* As a guest that has a device do its next piece of work before the last one is done. */
static void post_again(void *opaque)
{
	struct busy *busy = opaque;

	busy->nr++;
	loop_post(busy->loop, &busy->work);
	if (loop_now_ns() > busy->deadline)
		loop_stop(busy->loop, 1);
}

static void stop(void *opaque)
{
	struct busy *busy = opaque;

	loop_stop(busy->loop, 0);
}

static void work_without_an_end_leaves_the_others_their_turn(void **state)
{
	struct busy busy = { .deadline = loop_now_ns() + PATIENCE_NS };

	busy.work = (struct loop_work){ .fn = post_again, .opaque = &busy };
	assert_int_equal(loop_create(&busy.loop), 0);
	assert_int_equal(loop_timer_init(busy.loop, &busy.timer, stop, &busy), 0);
	loop_timer_set(&busy.timer, loop_now_ns() + 1000000);
	loop_post(busy.loop, &busy.work);
	assert_int_equal(loop_run(busy.loop), 0);
	assert_true(busy.nr > 1);
	loop_timer_fini(busy.loop, &busy.timer);
	loop_destroy(busy.loop);
}

struct listed {
	struct loop *loop;
	struct loop_work work[4];
	unsigned int order[4], nr;
};

static void note(struct listed *l, unsigned int i)
{
	l->order[l->nr++] = i;
}

/* The first takes the second back and posts the fourth. */
static void first(void *opaque)
{
	struct listed *l = opaque;

	note(l, 0);
	loop_cancel(l->loop, &l->work[1]);
	loop_post(l->loop, &l->work[3]);
}

static void second(void *opaque)
{
	note(opaque, 1);
}

static void third(void *opaque)
{
	note(opaque, 2);
}

static void fourth(void *opaque)
{
	struct listed *l = opaque;

	note(l, 3);
	loop_stop(l->loop, 0);
}

static void work_posted_meanwhile_is_done_and_what_was_taken_back_is_not(void **state)
{
	static void (*const fns[])(void *opaque) = { first, second, third, fourth };
	struct listed l = { 0 };

	assert_int_equal(loop_create(&l.loop), 0);
	for (unsigned int i = 0; i < 4; i++)
		l.work[i] = (struct loop_work){ .fn = fns[i], .opaque = &l };
	for (unsigned int i = 0; i < 3; i++)
		loop_post(l.loop, &l.work[i]);
	assert_int_equal(loop_run(l.loop), 0);
	assert_int_equal(l.nr, 3);
	assert_int_equal(l.order[0], 0);
	assert_int_equal(l.order[1], 2);
	assert_int_equal(l.order[2], 3);
	loop_destroy(l.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(work_without_an_end_leaves_the_others_their_turn),
		cmocka_unit_test(work_posted_meanwhile_is_done_and_what_was_taken_back_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
