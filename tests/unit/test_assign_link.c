// SPDX-License-Identifier: GPL-2.0-or-later
/* Settings of a network card's virtual functions, with a driver that refuses, forgets and garbles. */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "assign/link.h"
#include "base/bits.h"
#include "fake/card.h"
#include "host/capture.h"

#define FD_ROUTE 100

struct world {
	struct host_capture *capture;
	struct sys inner, sys;
	struct sys_ops ops;
	struct fake_card card;
	struct host_function pf;
	int countdown; /* to the one call that fails; negative: none */
	bool open;
};

static bool fails(struct world *world)
{
	return world->countdown >= 0 && !world->countdown--;
}

static int fake_open(struct sys *sys, enum sys_object kind, const char *name)
{
	struct world *world = sys->ctx;

	assert_int_equal(kind, SYS_ROUTE);
	if (fails(world))
		return -EMFILE;
	world->open = true;
	return FD_ROUTE;
}

static void fake_close(struct sys *sys, int fd)
{
	((struct world *)sys->ctx)->open = false;
}

static ssize_t fake_write(struct sys *sys, int fd, const void *buf, size_t len)
{
	struct world *world = sys->ctx;

	return fails(world) ? -ENOBUFS : fake_card_write(&world->card, buf, len);
}

static ssize_t fake_read(struct sys *sys, int fd, void *buf, size_t len)
{
	struct world *world = sys->ctx;
	ssize_t got = fake_card_read(&world->card, buf, len);

	return fails(world) ? -EAGAIN : got;
}

static ssize_t through_read_file(struct sys *sys, enum sys_tree tree, const char *path, void *buf,
				 size_t size)
{
	struct world *world = sys->ctx;

	return world->inner.ops->read_file(&world->inner, tree, path, buf, size);
}

static int through_list(struct sys *sys, enum sys_tree tree, const char *path, sys_list_fn fn,
			void *opaque)
{
	struct world *world = sys->ctx;

	return world->inner.ops->list(&world->inner, tree, path, fn, opaque);
}

static void world_init(struct world *world, const char *interfaces)
{
	char text[1024];

	memset(world, 0, sizeof(*world));
	world->countdown = -1;
	snprintf(text, sizeof(text), "airlock-host 1\nunlisted absent\n%s", interfaces);
	assert_int_equal(host_capture_parse(text, strlen(text), "world", &world->capture, NULL), 0);
	world->inner = host_capture_sys(world->capture);
	world->ops = *world->inner.ops;
	world->ops.open = fake_open;
	world->ops.close = fake_close;
	world->ops.read = fake_read;
	world->ops.write = fake_write;
	world->ops.read_file = through_read_file;
	world->ops.list = through_list;
	world->sys = (struct sys){ .ops = &world->ops, .ctx = world };
	fake_card_init(&world->card, 3);
	strcpy(world->pf.name, "0000:02:00.0");
}

#define ETH0 "sys bus/pci/devices/0000:02:00.0/net/eth0/ifindex = 7\\n\n"

static void world_end(struct world *world)
{
	assert_false(world->open);
	host_capture_destroy(world->capture);
}

static int change(struct world *world, unsigned int number, const struct assign_link_settings *to,
		  struct diag *diag)
{
	struct assign_link link;
	int err = assign_link_open(&world->sys, &world->pf, &link, diag);

	if (err)
		return err;
	err = assign_link_change(&link, number, to, diag);
	assign_link_close(&link);
	return err;
}

static const struct assign_link_settings all = {
	.has = BIT(ASSIGN_NR_LINK_SETTINGS) - 1,
	.mac = { 0x52, 0x54, 0, 1, 2, 3 },
	.vlan = 100,
	.priority = 5,
	.rate_min = 100,
	.rate_max = 1000,
	.trust = true,
	.state = ASSIGN_LINK_DOWN,
};

static void every_setting_reaches_the_driver_and_is_read_back(void **state)
{
	struct assign_link_settings is[3];
	struct assign_link link;
	struct world world;

	world_init(&world, ETH0);
	assert_int_equal(change(&world, 1, &all, NULL), 0);
	assert_int_equal(world.card.nr_set, ASSIGN_NR_LINK_SETTINGS);
	assert_int_equal(assign_link_open(&world.sys, &world.pf, &link, NULL), 0);
	assert_int_equal(assign_link_read(&link, is, 3, NULL), 0);
	assert_true(assign_link_same(&all, &is[1]));
	/* Its neighbours are as they were. */
	for (int i = 0; i < 3; i += 2) {
		assert_int_equal(is[i].vlan, 0);
		assert_true(is[i].spoof_check && !is[i].trust);
	}
	assign_link_close(&link);
	world_end(&world);
}

static void what_is_not_asked_for_is_not_touched(void **state)
{
	const struct assign_link_settings to = { .has = BIT(ASSIGN_LINK_TRUST), .trust = true };
	struct world world;

	world_init(&world, ETH0);
	world.card.function[0].vlan = 7;
	assert_int_equal(change(&world, 0, &to, NULL), 0);
	assert_int_equal(world.card.nr_set, 1);
	assert_int_equal(world.card.function[0].vlan, 7);
	world_end(&world);
}

static void a_refused_setting_takes_the_others_back(void **state)
{
	for (int i = 0; i < ASSIGN_NR_LINK_SETTINGS; i++) {
		struct assign_link_settings before;
		struct diag diag = DIAG_INIT;
		struct world world;

		world_init(&world, ETH0);
		before = world.card.function[2];
		world.card.refuses = BIT(i);
		assert_int_equal(change(&world, 2, &all, &diag), -EOPNOTSUPP);
		assert_true(assign_link_same(&before, &world.card.function[2]));
		assert_non_null(strstr(diag.reason, "its driver does not do that"));
		world_end(&world);
	}
}

static void a_driver_that_says_yes_and_does_nothing_is_found_out(void **state)
{
	for (int i = 0; i < ASSIGN_NR_LINK_SETTINGS; i++) {
		struct assign_link_settings before;
		struct world world;

		world_init(&world, ETH0);
		before = world.card.function[0];
		world.card.ignores = BIT(i);
		assert_int_equal(change(&world, 0, &all, NULL), -EIO);
		assert_true(assign_link_same(&before, &world.card.function[0]));
		world_end(&world);
	}
}

static void the_drivers_own_words_are_passed_on(void **state)
{
	struct diag diag = DIAG_INIT;
	struct world world;

	world_init(&world, ETH0);
	world.card.refuses = BIT(ASSIGN_LINK_RATE);
	world.card.words = "rate must be a multiple of 7";
	assert_int_equal(change(&world, 0, &all, &diag), -EOPNOTSUPP);
	assert_non_null(strstr(diag.reason, "cannot set the rate of virtual function 0: rate must "
					    "be a multiple of 7"));
	world_end(&world);
}

static void what_a_driver_does_not_tell_is_unknown(void **state)
{
	struct assign_link_settings is[3];
	struct assign_link link;
	struct world world;

	world_init(&world, ETH0);
	world.card.function[0].has &= ~BIT(ASSIGN_LINK_TRUST);
	assert_int_equal(assign_link_open(&world.sys, &world.pf, &link, NULL), 0);
	assert_int_equal(assign_link_read(&link, is, 3, NULL), 0);
	assert_false(is[0].has & BIT(ASSIGN_LINK_TRUST));
	assert_true(is[1].has & BIT(ASSIGN_LINK_TRUST));
	assign_link_close(&link);
	world_end(&world);
}

static void a_function_that_is_not_there_is_said_so(void **state)
{
	struct diag diag = DIAG_INIT;
	struct world world;

	world_init(&world, ETH0);
	assert_int_equal(change(&world, 3, &all, &diag), -ENODEV);
	assert_non_null(strstr(diag.reason, "no virtual function 3"));
	assert_int_equal(world.card.nr_set, 0);
	world_end(&world);
}

static void the_cards_own_interface_is_taken_not_a_representor(void **state)
{
	struct world world;
	struct diag diag = DIAG_INIT;

	world_init(&world,
		   "sys bus/pci/devices/0000:02:00.0/net/a0/ifindex = 3\\n\n"
		   "sys bus/pci/devices/0000:02:00.0/net/a0/phys_port_name = pf0vf1\\n\n" ETH0
		   "sys bus/pci/devices/0000:02:00.0/net/zz/ifindex = rubbish\\n\n");
	assert_int_equal(change(&world, 0, &all, NULL), 0);
	world_end(&world);
	world_init(&world, "");
	assert_int_equal(change(&world, 0, &all, &diag), -ENODEV);
	assert_non_null(strstr(diag.reason, "no network interface"));
	world_end(&world);
}

static void any_one_failing_call_changes_all_or_nothing(void **state)
{
	int step;

	for (step = 0;; step++) {
		struct assign_link_settings before;
		struct diag diag = DIAG_INIT;
		struct world world;
		int err;

		world_init(&world, ETH0);
		before = world.card.function[1];
		world.countdown = step;
		err = change(&world, 1, &all, &diag);
		if (world.countdown >= 0) {
			assert_int_equal(err, 0);
			world_end(&world);
			break;
		}
		assert_true(err < 0 && diag.reason[0]);
		assert_true(assign_link_same(&before, &world.card.function[1]));
		world_end(&world);
	}
	assert_true(step > 2 * ASSIGN_NR_LINK_SETTINGS);
}

static void answers_of_any_length_do_no_harm(void **state)
{
	for (size_t cut = 0; cut < 700; cut++) {
		struct assign_link_settings is[3];
		struct assign_link link;
		struct world world;
		int err;

		world_init(&world, ETH0);
		assert_int_equal(assign_link_open(&world.sys, &world.pf, &link, NULL), 0);
		world.card.cut = cut;
		err = assign_link_read(&link, is, 3, NULL);
		assert_int_equal(err, cut ? -EPROTO : 0);
		assign_link_close(&link);
		world_end(&world);
	}
}

/* Lengths within the message that lie: found nothing, touched nothing beyond it. */
static void attributes_that_lie_about_their_length_end_the_list(void **state)
{
	for (size_t at = 0; at < 400; at += 2)
		for (unsigned int lie = 0; lie < 3; lie++) {
			static const uint16_t lies[] = { 0, 3, 0xffff };
			struct assign_link_settings is[3];
			struct assign_link link;
			struct world world;
			uint8_t copy[4096];
			struct route_look {
				struct nlmsghdr header;
				struct ifinfomsg link;
				struct rtattr mask;
				uint32_t filter;
			} ask = { 0 };

			world_init(&world, ETH0);
			assert_int_equal(assign_link_open(&world.sys, &world.pf, &link, NULL), 0);
			ask.header.nlmsg_len = sizeof(ask);
			ask.header.nlmsg_type = RTM_GETLINK;
			ask.link.ifi_index = FAKE_CARD_IFINDEX;
			fake_card_write(&world.card, &ask, sizeof(ask));
			memcpy(copy, world.card.answer, sizeof(copy));
			memcpy(copy + NLMSG_SPACE(sizeof(struct ifinfomsg)) + at, &lies[lie], 2);
			world.card.answer_len = 0;
			world.card.spoiled = copy;
			assign_link_read(&link, is, 3, NULL);
			assign_link_close(&link);
			world_end(&world);
		}
}

static void addresses_are_read_strictly(void **state)
{
	static const char *const bad[] = { "",
					   "52:54:00:12:34",
					   "52:54:00:12:34:5",
					   "52:54:00:12:34:567",
					   "52-54-00-12-34-56",
					   "01:00:5e:00:00:01",
					   "5:254:00:12:34:56",
					   ":::::::::::::::::",
					   "52:54:00:12:34:5g" };
	char text[ASSIGN_MAC_TEXT];
	uint8_t mac[6];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(assign_mac_parse(bad[i], mac), -EINVAL);
	assert_int_equal(assign_mac_parse("52:54:00:Ab:34:56", mac), 0);
	assert_string_equal(assign_mac_format(mac, text), "52:54:00:ab:34:56");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_setting_reaches_the_driver_and_is_read_back),
		cmocka_unit_test(what_is_not_asked_for_is_not_touched),
		cmocka_unit_test(a_refused_setting_takes_the_others_back),
		cmocka_unit_test(a_driver_that_says_yes_and_does_nothing_is_found_out),
		cmocka_unit_test(the_drivers_own_words_are_passed_on),
		cmocka_unit_test(what_a_driver_does_not_tell_is_unknown),
		cmocka_unit_test(a_function_that_is_not_there_is_said_so),
		cmocka_unit_test(the_cards_own_interface_is_taken_not_a_representor),
		cmocka_unit_test(any_one_failing_call_changes_all_or_nothing),
		cmocka_unit_test(answers_of_any_length_do_no_harm),
		cmocka_unit_test(attributes_that_lie_about_their_length_end_the_list),
		cmocka_unit_test(addresses_are_read_strictly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
