// SPDX-License-Identifier: GPL-2.0-or-later
#include "assign/journal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/bug.h"

#define JOURNAL_MAX	 MIB(1)
#define JOURNAL_LINE_MAX 160

static int journal_fail(struct diag *diag, int err, const char *what)
{
	diag_set(diag, err, ASSIGN_JOURNAL_PATH, "%s: %s", what, strerror(-err));
	return err;
}

struct assign_record *assign_journal_find(struct assign_journal *journal,
					  struct pci_address address)
{
	for (size_t i = 0; i < journal->nr_records; i++)
		if (pci_address_equal(journal->record[i].address, address))
			return &journal->record[i];
	return NULL;
}

/* Makes or replaces a record. */
static int journal_keep(struct assign_journal *journal, const struct assign_record *record)
{
	struct assign_record *known = assign_journal_find(journal, record->address);
	void *grown;

	if (known) {
		*known = *record;
		return 0;
	}
	grown = reallocarray(journal->record, journal->nr_records + 1, sizeof(*journal->record));
	if (!grown)
		return -ENOMEM;
	journal->record = grown;
	journal->record[journal->nr_records++] = *record;
	return 0;
}

static void journal_drop(struct assign_journal *journal, struct pci_address address)
{
	struct assign_record *record = assign_journal_find(journal, address);
	size_t index;

	if (!record)
		return;
	index = (size_t)(record - journal->record);
	memmove(record, record + 1, (--journal->nr_records - index) * sizeof(*record));
}

/* A name that may become part of a path in sysfs: one component of harmless characters. */
static bool journal_name_ok(const char *name)
{
	return *name && name[0] != '.' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") ==
		       strlen(name);
}

static int journal_parse_line(struct assign_journal *journal, char *line)
{
	struct assign_record record = { .state = ASSIGN_BEGUN }, *known;
	char *save, *word = strtok_r(line, " ", &save), *name = strtok_r(NULL, " ", &save),
		    *driver = strtok_r(NULL, " ", &save), *override = strtok_r(NULL, " ", &save);

	if (!name || pci_address_parse_full(name, &record.address))
		return -EINVAL;
	pci_address_format(record.address, record.name);
	known = assign_journal_find(journal, record.address);
	if (!strcmp(word, "begin")) {
		if (!override || !journal_name_ok(driver) || !journal_name_ok(override) ||
		    strlen(driver) >= sizeof(record.driver) ||
		    strlen(override) >= sizeof(record.override))
			return -EINVAL;
		strcpy(record.driver, strcmp(driver, "-") ? driver : "");
		strcpy(record.override, strcmp(override, "-") ? override : "");
		return journal_keep(journal, &record);
	}
	if (!known)
		return -EINVAL;
	if (!strcmp(word, "held"))
		known->state = ASSIGN_HELD;
	else if (!strcmp(word, "back"))
		known->state = ASSIGN_BACK;
	else if (!strcmp(word, "done"))
		journal_drop(journal, record.address);
	else
		return -EINVAL;
	return 0;
}

/* Takes whole lines; what follows an "end" line or the last newline was never valid. */
static int journal_parse(struct assign_journal *journal, char *text, struct diag *diag)
{
	char *line = text, *stop;
	int err;

	for (; (stop = strchr(line, '\n')); line = stop + 1) {
		*stop = '\0';
		if (!strcmp(line, "end"))
			break;
		err = journal_parse_line(journal, line);
		if (err == -ENOMEM)
			return journal_fail(diag, err, "cannot read the journal");
		if (err) {
			diag_set(diag, err, ASSIGN_JOURNAL_PATH,
				 "line %zu is not one this program wrote", journal->nr_lines + 1);
			diag_remedy(diag, err,
				    "look at the file; when nothing in it is bound to vfio-pci "
				    "any more, remove it");
			return err;
		}
		journal->nr_lines++;
	}
	journal->end = (uint64_t)(line - text);
	return 0;
}

static int journal_read(struct assign_journal *journal, struct diag *diag)
{
	struct sys *sys = journal->sys;
	uint64_t size;
	char *text;
	int err = sys->ops->size(sys, journal->fd, &size);

	if (err)
		return journal_fail(diag, err, "cannot read the journal");
	if (size > JOURNAL_MAX)
		return journal_fail(diag, -EFBIG, "cannot read the journal");
	text = malloc(size + 1);
	if (!text)
		return journal_fail(diag, -ENOMEM, "cannot read the journal");
	err = sys_pread_full(sys, journal->fd, text, size, 0);
	text[size] = '\0';
	if (err)
		journal_fail(diag, err, "cannot read the journal");
	else
		err = journal_parse(journal, text, diag);
	free(text);
	/* The cut line is taken off before another is appended to it. */
	if (!err && journal->end < size) {
		err = sys->ops->truncate(sys, journal->fd, journal->end);
		if (err)
			journal_fail(diag, err, "cannot mend the journal");
	}
	return err;
}

int assign_journal_open(struct sys *sys, struct assign_journal *journal, struct diag *diag)
{
	int err;

	*journal = (struct assign_journal){ .sys = sys, .fd = -1 };
	journal->fd = sys_open(sys, SYS_FILE_WRITE, ASSIGN_JOURNAL_PATH);
	if (journal->fd < 0) {
		err = journal->fd;
		journal_fail(diag, err, "cannot open the journal of bound devices");
		if (err == -EACCES || err == -EPERM)
			diag_remedy(diag, err, "binding and releasing devices needs root");
		return err;
	}
	err = sys->ops->lock(sys, journal->fd);
	if (err == -EAGAIN) {
		diag_set(diag, err, ASSIGN_JOURNAL_PATH,
			 "another airlock bind, release or vf is at work");
		diag_remedy(diag, err, "wait until it has ended");
	} else if (err) {
		journal_fail(diag, err, "cannot lock the journal");
	}
	if (!err)
		err = journal_read(journal, diag);
	if (err)
		assign_journal_close(journal);
	return err;
}

void assign_journal_close(struct assign_journal *journal)
{
	sys_close(journal->sys, &journal->fd);
	free(journal->record);
	journal->record = NULL;
	journal->nr_records = 0;
}

static int journal_append(struct assign_journal *journal, const char *text, size_t nr_lines,
			  struct diag *diag)
{
	size_t len = strlen(text);
	int err = sys_pwrite_full(journal->sys, journal->fd, text, len, journal->end);

	if (err)
		return journal_fail(diag, err, "cannot write the journal");
	journal->end += len;
	journal->nr_lines += nr_lines;
	return 0;
}

static int journal_format(const struct assign_record *record, char *out)
{
	return snprintf(out, JOURNAL_LINE_MAX, "begin %s %s %s\n", record->name,
			record->driver[0] ? record->driver : "-",
			record->override[0] ? record->override : "-");
}

static const char *const journal_words[] = {
	[ASSIGN_BEGUN] = "begin",
	[ASSIGN_HELD] = "held",
	[ASSIGN_BACK] = "back",
};

/*
 * Lines of what was given back long ago are squeezed out. The new text is written over the old in
 * one write and closed by an "end" line, so a process killed before the file is cut leaves a
 * journal that says the same.
 */
static void journal_squeeze(struct assign_journal *journal)
{
	char *text, *p;
	size_t len;

	if (journal->nr_lines < 64 + 4 * journal->nr_records)
		return;
	text = malloc(2 * JOURNAL_LINE_MAX * journal->nr_records + 8);
	if (!text)
		return;
	p = text;
	for (size_t i = 0; i < journal->nr_records; i++) {
		const struct assign_record *record = &journal->record[i];

		p += journal_format(record, p);
		if (record->state != ASSIGN_BEGUN)
			p += snprintf(p, JOURNAL_LINE_MAX, "%s %s\n", journal_words[record->state],
				      record->name);
	}
	len = (size_t)(p - text);
	strcpy(p, "end\n");
	/* Failing to tidy up is no failure: the old text is whole until the new one is. */
	if (len + 4 <= journal->end &&
	    journal->sys->ops->pwrite(journal->sys, journal->fd, text, len + 4, 0) ==
		    (ssize_t)(len + 4) &&
	    !journal->sys->ops->truncate(journal->sys, journal->fd, len)) {
		journal->end = len;
		journal->nr_lines = 2 * journal->nr_records;
	}
	free(text);
}

static int journal_begin_all(struct assign_journal *journal, const struct assign_record *record,
			     size_t nr, char *text, struct diag *diag)
{
	for (size_t i = 0; i < nr; i++) {
		int err;

		if ((record[i].driver[0] && !journal_name_ok(record[i].driver)) ||
		    (record[i].override[0] && !journal_name_ok(record[i].override)))
			return diag_set(diag, -EINVAL, record[i].name,
					"its driver's name cannot be written down safely");
		text += journal_format(&record[i], text);
		err = journal_keep(journal, &record[i]);
		if (err)
			return diag_set(diag, err, ASSIGN_JOURNAL_PATH, "out of memory");
	}
	return 0;
}

int assign_journal_begin(struct assign_journal *journal, const struct assign_record *record,
			 size_t nr, struct diag *diag)
{
	char *text = malloc(nr * JOURNAL_LINE_MAX + 1);
	int err;

	if (!text)
		return diag_set(diag, -ENOMEM, ASSIGN_JOURNAL_PATH, "out of memory");
	*text = '\0';
	err = journal_begin_all(journal, record, nr, text, diag);
	if (!err)
		err = journal_append(journal, text, nr, diag);
	for (size_t i = 0; err && i < nr; i++)
		journal_drop(journal, record[i].address);
	free(text);
	return err;
}

int assign_journal_mark(struct assign_journal *journal, const struct pci_address *address,
			size_t nr, enum assign_record_state state, struct diag *diag)
{
	char *text = malloc(nr * JOURNAL_LINE_MAX + 1), *p = text;
	int err;

	if (!text)
		return diag_set(diag, -ENOMEM, ASSIGN_JOURNAL_PATH, "out of memory");
	*text = '\0';
	for (size_t i = 0; i < nr; i++) {
		const struct assign_record *record = assign_journal_find(journal, address[i]);

		BUG_ON(!record);
		p += snprintf(p, JOURNAL_LINE_MAX, "%s %s\n", journal_words[state], record->name);
	}
	err = journal_append(journal, text, nr, diag);
	for (size_t i = 0; !err && i < nr; i++)
		assign_journal_find(journal, address[i])->state = state;
	free(text);
	return err;
}

int assign_journal_strike(struct assign_journal *journal, struct pci_address address,
			  struct diag *diag)
{
	char line[JOURNAL_LINE_MAX], name[PCI_ADDRESS_TEXT];
	int err;

	snprintf(line, sizeof(line), "done %s\n", pci_address_format(address, name));
	err = journal_append(journal, line, 1, diag);
	if (err)
		return err;
	journal_drop(journal, address);
	journal_squeeze(journal);
	return 0;
}

bool assign_journal_is_torn(const struct assign_journal *journal)
{
	for (size_t i = 0; i < journal->nr_records; i++)
		if (journal->record[i].state != ASSIGN_HELD)
			return true;
	return false;
}
