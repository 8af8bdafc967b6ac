/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A network card's side of RTM_GETLINK and RTM_SETLINK: it keeps settings per virtual function,
 * refuses what it is told to, and answers in the kernel's layout. Each test that uses it sends its
 * writes and reads of one descriptor here.
 */
#ifndef AIRLOCK_FAKE_CARD_H
#define AIRLOCK_FAKE_CARD_H

#include "assign/link.h"

#define FAKE_CARD_FUNCTIONS 4
#define FAKE_CARD_IFINDEX   7

struct fake_card {
	struct assign_link_settings function[FAKE_CARD_FUNCTIONS];
	unsigned int nr_functions;
	unsigned int refuses; /* bit per setting: -EOPNOTSUPP */
	unsigned int ignores; /* bit per setting: acknowledged, not done */
	const char *words;    /* the driver's, with each refusal */
	unsigned int nr_set;  /* settings it was asked to make */
	unsigned int asked[ASSIGN_NR_LINK_SETTINGS];
	/* The answer that waits to be read. */
	uint8_t answer[4096];
	size_t answer_len;
	size_t cut;		/* so many bytes are missing from its end */
	const uint8_t *spoiled; /* its contents instead, of the same length */
};

void fake_card_init(struct fake_card *card, unsigned int nr_functions);
ssize_t fake_card_write(struct fake_card *card, const void *data, size_t len);
ssize_t fake_card_read(struct fake_card *card, void *buf, size_t len);

#endif
