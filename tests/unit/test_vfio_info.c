// SPDX-License-Identifier: GPL-2.0-or-later
/* INFO ioctls of VFIO: answers that grow, and chains that are not what they should be. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <linux/vfio.h>

#include "base/bits.h"
#include "sys/vfio_info.h"

struct teller {
	struct sys sys;
	struct sys_ops ops;
	uint32_t needs[8]; /* argsz it answers, call by call */
	unsigned int nr_calls;
	int err;
};

static int teller_ioctl(struct sys *sys, int fd, unsigned long request, void *arg)
{
	struct teller *t = sys->ctx;
	struct vfio_region_info *info = arg;

	if (t->err)
		return t->err;
	/* It may write as much as it was told there is room for, and no more. */
	memset((uint8_t *)arg + sizeof(*info), 0xaa, info->argsz - sizeof(*info));
	info->argsz = t->needs[t->nr_calls++];
	return 0;
}

static void teller_init(struct teller *t)
{
	memset(t, 0, sizeof(*t));
	t->ops.ioctl = teller_ioctl;
	t->sys = (struct sys){ &t->ops, t };
}

static int ask(struct teller *t, void **answer)
{
	const struct vfio_region_info head = { .index = 3 };

	return vfio_info_get(&t->sys, 0, VFIO_DEVICE_GET_REGION_INFO, &head, sizeof(head), answer);
}

static void an_answer_that_is_longer_is_asked_for_again(void **state)
{
	struct vfio_region_info *info;
	struct teller t;
	void *answer;

	teller_init(&t);
	t.needs[0] = t.needs[1] = 200;
	assert_int_equal(ask(&t, &answer), 0);
	assert_int_equal(t.nr_calls, 2);
	info = answer;
	assert_int_equal(info->argsz, 200);
	assert_int_equal(info->index, 3);
	free(answer);
}

static void an_answer_that_keeps_growing_or_is_absurd_is_refused(void **state)
{
	struct teller t;
	void *answer;

	teller_init(&t);
	for (unsigned int i = 0; i < ARRAY_SIZE(t.needs); i++)
		t.needs[i] = 100 * (i + 1);
	assert_int_equal(ask(&t, &answer), -EAGAIN);
	teller_init(&t);
	t.needs[0] = UINT32_MAX;
	assert_int_equal(ask(&t, &answer), -E2BIG);
	teller_init(&t);
	t.err = -ENODEV;
	assert_int_equal(ask(&t, &answer), -ENODEV);
}

static struct vfio_info_cap_header *header_at(uint8_t *bytes, uint32_t at)
{
	return (struct vfio_info_cap_header *)(void *)(bytes + at);
}

static void capabilities_are_found_within_the_answer_only(void **state)
{
	_Alignas(8) uint8_t bytes[64] = { 0 };
	uint32_t len = sizeof(bytes);
	size_t room;

	memcpy(bytes, &len, sizeof(len));
	*header_at(bytes, 16) = (struct vfio_info_cap_header){ .id = 1, .next = 32 };
	*header_at(bytes, 32) = (struct vfio_info_cap_header){ .id = 2, .next = 56 };
	*header_at(bytes, 56) = (struct vfio_info_cap_header){ .id = 3 };
	assert_ptr_equal(vfio_info_cap(bytes, 16, 2, 8, &room), bytes + 32);
	assert_int_equal(room, 32);
	assert_ptr_equal(vfio_info_cap(bytes, 16, 3, 8, &room), bytes + 56);
	/* Longer than what is left of the answer. */
	assert_null(vfio_info_cap(bytes, 16, 3, 9, NULL));
	assert_null(vfio_info_cap(bytes, 16, 4, 8, NULL));
	assert_null(vfio_info_cap(bytes, 0, 1, 8, NULL));
	/* Outside, or cut off. */
	assert_null(vfio_info_cap(bytes, 60, 3, 8, NULL));
	assert_null(vfio_info_cap(bytes, 5000, 3, 8, NULL));
	header_at(bytes, 56)->next = UINT32_MAX;
	assert_null(vfio_info_cap(bytes, 16, 4, 8, NULL));
}

static void a_chain_that_turns_back_ends(void **state)
{
	_Alignas(8) uint8_t bytes[64] = { 0 };
	uint32_t len = sizeof(bytes);

	memcpy(bytes, &len, sizeof(len));
	*header_at(bytes, 16) = (struct vfio_info_cap_header){ .id = 1, .next = 32 };
	*header_at(bytes, 32) = (struct vfio_info_cap_header){ .id = 2, .next = 16 };
	assert_null(vfio_info_cap(bytes, 16, 9, 8, NULL));
	header_at(bytes, 32)->next = 32;
	assert_null(vfio_info_cap(bytes, 16, 9, 8, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_that_is_longer_is_asked_for_again),
		cmocka_unit_test(an_answer_that_keeps_growing_or_is_absurd_is_refused),
		cmocka_unit_test(capabilities_are_found_within_the_answer_only),
		cmocka_unit_test(a_chain_that_turns_back_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
