/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What was taken from the host, and from whom: written down before anything is touched, so that
 * it can be given back exactly, also by another process after this one was killed.
 *
 * The journal is one text file under /run: it must outlive the process, but not the boot, which
 * undoes every binding itself. It is only appended to, a whole line at a time:
 *
 *	begin 0000:03:00.0 DRIVER OVERRIDE   about to be taken; "-" stands for none
 *	held 0000:03:00.0                    bound to vfio-pci, and meant to stay so
 *	back 0000:03:00.0                    about to be given back
 *	done 0000:03:00.0                    is as it was
 *
 * A last line that is cut was never acted upon. Whoever has the journal open holds its lock: one
 * bind or release at a time on a host.
 */
#ifndef AIRLOCK_ASSIGN_JOURNAL_H
#define AIRLOCK_ASSIGN_JOURNAL_H

#include "base/diag.h"
#include "host/address.h"
#include "sys/sys.h"

#define ASSIGN_JOURNAL_PATH "/run/airlock-bind.journal"

enum assign_record_state {
	ASSIGN_BEGUN, /* half-way: give back to recover */
	ASSIGN_HELD,  /* ours */
	ASSIGN_BACK,  /* half-way: go on giving back */
};

struct assign_record {
	struct pci_address address;
	char name[PCI_ADDRESS_TEXT];
	char driver[32];   /* it was bound to; empty for none */
	char override[32]; /* its driver_override was; empty for none */
	enum assign_record_state state;
};

struct assign_journal {
	struct sys *sys;
	int fd;
	struct assign_record *record; /* owned; in the order they were taken */
	size_t nr_records;
	uint64_t end;	 /* where the next line goes */
	size_t nr_lines; /* in the file, those that no longer matter too */
};

/*
 * Opens and locks the journal. -EAGAIN when another process has it, -EACCES without the rights,
 * diag filled. On 0 close with assign_journal_close().
 */
int assign_journal_open(struct sys *sys, struct assign_journal *journal, struct diag *diag);
void assign_journal_close(struct assign_journal *journal);

/* NULL when this function is not in the journal. Valid until the next change. */
struct assign_record *assign_journal_find(struct assign_journal *journal,
					  struct pci_address address);

/* Writes down functions about to be taken, in one write. 0 or -errno with diag. */
int assign_journal_begin(struct assign_journal *journal, const struct assign_record *record,
			 size_t nr, struct diag *diag);

/* Moves records on to held or back, all in one write: all of them or none. 0 or -errno with diag. */
int assign_journal_mark(struct assign_journal *journal, const struct pci_address *address,
			size_t nr, enum assign_record_state state, struct diag *diag);

/* Strikes a record: its function is as it was. 0 or -errno with diag. */
int assign_journal_strike(struct assign_journal *journal, struct pci_address address,
			  struct diag *diag);

/* True when a bind or release was interrupted and has to be recovered first. */
bool assign_journal_is_torn(const struct assign_journal *journal);

#endif
