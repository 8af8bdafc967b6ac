// SPDX-License-Identifier: GPL-2.0-or-later
#include "assign/bind.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assign/persist.h"
#include "base/bits.h"
#include "host/group.h"

#define PATH_DEVICES  "bus/pci/devices"
#define PATH_DRIVERS  "bus/pci/drivers"
#define BIND_MAX_USES 8

static int bind_write(struct sys *sys, const char *path, const char *text)
{
	return sys->ops->write_file(sys, SYS_TREE_SYS, path, text, strlen(text));
}

/* The driver a function is bound to now; empty for none. */
static int bind_driver_of(struct sys *sys, const char *name, char *driver, size_t size)
{
	char path[96];
	int err;

	driver[0] = '\0';
	snprintf(path, sizeof(path), PATH_DEVICES "/%s/driver", name);
	err = sys_read_link_name(sys, SYS_TREE_SYS, path, driver, size);
	return err == -ENOENT ? 0 : err;
}

static int bind_set_override(struct sys *sys, const char *name, const char *driver)
{
	char path[96], text[40];

	snprintf(path, sizeof(path), PATH_DEVICES "/%s/driver_override", name);
	snprintf(text, sizeof(text), "%s\n", driver);
	return bind_write(sys, path, text);
}

static int bind_unbind(struct sys *sys, const char *name)
{
	char path[96];
	int err;

	snprintf(path, sizeof(path), PATH_DEVICES "/%s/driver/unbind", name);
	err = bind_write(sys, path, name);
	/* It lost its driver meanwhile: that is what was wanted. */
	return err == -ENOENT || err == -ENODEV ? 0 : err;
}

static int bind_step_failed(struct diag *diag, int err, const char *name, const char *what)
{
	diag_set(diag, err, name, "%s: %s", what, strerror(-err));
	if (err == -EACCES || err == -EPERM)
		diag_remedy(diag, err, "binding and releasing devices needs root");
	else
		diag_remedy(diag, err, "the kernel's log says more: dmesg | tail");
	return err;
}

/* One function from its driver to vfio-pci. What was begun is in the journal already. */
static int bind_take(struct sys *sys, const struct assign_record *record, struct diag *diag)
{
	char driver[32];
	int err = bind_set_override(sys, record->name, ASSIGN_DRIVER);

	if (err)
		return bind_step_failed(diag, err, record->name, "cannot set driver_override");
	if (record->driver[0]) {
		err = bind_unbind(sys, record->name);
		if (err)
			return bind_step_failed(diag, err, record->name,
						"its driver does not let it go");
	}
	err = bind_write(sys, "bus/pci/drivers_probe", record->name);
	if (!err)
		err = bind_driver_of(sys, record->name, driver, sizeof(driver));
	if (!err && strcmp(driver, ASSIGN_DRIVER))
		err = -ENXIO;
	return err ? bind_step_failed(diag, err, record->name, "vfio-pci does not take it") : 0;
}

/* From wherever it is back to where it was. Repeating it does no harm. */
static int bind_give_back(struct sys *sys, const struct assign_record *record, struct diag *diag)
{
	char driver[32], path[128];
	int err = bind_set_override(sys, record->name, record->override);

	/* A function that was unplugged, or a VF that was destroyed, needs nothing. */
	if (err == -ENOENT || err == -ENODEV)
		return 0;
	if (err)
		return bind_step_failed(diag, err, record->name, "cannot reset driver_override");
	err = bind_driver_of(sys, record->name, driver, sizeof(driver));
	if (!err && driver[0] && strcmp(driver, record->driver))
		err = bind_unbind(sys, record->name);
	if (err)
		return bind_step_failed(diag, err, record->name, "vfio-pci does not let it go");
	if (!record->driver[0] || !strcmp(driver, record->driver))
		return 0;
	snprintf(path, sizeof(path), PATH_DRIVERS "/%s/bind", record->driver);
	err = bind_write(sys, path, record->name);
	/* It may have been bound by the kernel the moment it was free. */
	if (err) {
		int again = bind_driver_of(sys, record->name, driver, sizeof(driver));

		if (!again && !strcmp(driver, record->driver))
			err = 0;
	}
	if (err == -ENOENT) {
		diag_set(diag, err, record->name, "its driver %s is no longer loaded",
			 record->driver);
		diag_remedy(diag, err, "modprobe %s, then: airlock release --recover",
			    record->driver);
		return err;
	}
	if (err) {
		diag_set(diag, err, record->name, "%s does not take it back: %s", record->driver,
			 strerror(-err));
		diag_remedy(diag, err, "dmesg | tail says why; then: airlock release --recover");
	}
	return err;
}

/* A driver's unbind waits for a VM that has the device open: so ask first whether one has. */
int assign_check_idle(struct sys *sys, const char *name, struct diag *diag)
{
	char path[96], group[16], driver[32];
	int fd;

	if (bind_driver_of(sys, name, driver, sizeof(driver)) || strcmp(driver, ASSIGN_DRIVER))
		return 0;
	snprintf(path, sizeof(path), PATH_DEVICES "/%s/iommu_group", name);
	if (sys_read_link_name(sys, SYS_TREE_SYS, path, group, sizeof(group)))
		return 0;
	fd = sys_open(sys, SYS_VFIO_GROUP, group);
	if (fd != -EBUSY) {
		sys_close(sys, &fd);
		return 0;
	}
	diag_set(diag, -EBUSY, name, "a VM or another program has its group %s open", group);
	diag_remedy(diag, -EBUSY, "stop it first; fuser -v /dev/vfio/%s names it", group);
	return -EBUSY;
}

int assign_check_uses(struct sys *sys, const struct host_function *f, unsigned int accepted,
		      struct diag *diag)
{
	struct assign_use use[BIND_MAX_USES];
	int nr;

	if (!f->driver[0] || host_driver_is_vfio(f->driver))
		return 0;
	nr = assign_use_find(sys, f, use, ARRAY_SIZE(use));
	if (nr < 0)
		return diag_set(diag, nr, f->name, "cannot tell whether the host uses it: %s",
				strerror(-nr));
	for (int i = 0; i < nr && i < BIND_MAX_USES; i++) {
		if (accepted & BIT(use[i].kind))
			continue;
		diag_set(diag, -EBUSY, f->name, "the host uses it: %s", use[i].what);
		diag_remedy(diag, -EBUSY, "stop that use first; or, if it may be lost: --accept %s",
			    assign_use_word(use[i].kind));
		return -EBUSY;
	}
	return 0;
}

struct bind_plan {
	struct assign_record *record; /* owned */
	size_t nr;
};

static int bind_plan_add(struct bind_plan *plan, struct assign_journal *journal,
			 const struct assign_bind *bind, int index, struct diag *diag)
{
	const struct host_function *f = host_topology_at(bind->isolation->topology, index);
	struct assign_record *record, *known = assign_journal_find(journal, f->address);
	char path[96], text[64];
	void *grown;
	int err;

	/* Held and bound: nothing to do. A driver taken behind our back is told, not overwritten. */
	if (host_driver_is_vfio(f->driver))
		return 0;
	for (size_t i = 0; i < plan->nr; i++)
		if (pci_address_equal(plan->record[i].address, f->address))
			return 0;
	if (f->unknown & HOST_UNKNOWN_DRIVER)
		return diag_set(diag, -EIO, f->name, "its driver cannot be read");
	err = assign_check_uses(journal->sys, f, bind->accepted, diag);
	if (err)
		return err;
	grown = reallocarray(plan->record, plan->nr + 1, sizeof(*plan->record));
	if (!grown)
		return diag_set(diag, -ENOMEM, f->name, "out of memory");
	plan->record = grown;
	record = &plan->record[plan->nr];
	memset(record, 0, sizeof(*record));
	record->address = f->address;
	strcpy(record->name, f->name);
	strcpy(record->driver, f->driver);
	if (bind->boot_driver && !f->driver[0])
		snprintf(record->driver, sizeof(record->driver), "%.31s", bind->boot_driver);
	snprintf(path, sizeof(path), PATH_DEVICES "/%s/driver_override", f->name);
	err = sys_read_text(journal->sys, SYS_TREE_SYS, path, text, sizeof(text));
	if (err)
		return bind_step_failed(diag, err, f->name, "cannot read driver_override");
	if (strcmp(text, "(null)"))
		snprintf(record->override, sizeof(record->override), "%.31s", text);
	/* Where it came from first is where it goes back to. */
	if (known)
		*record = *known;
	record->state = ASSIGN_BEGUN;
	plan->nr++;
	return 0;
}

/* A sibling in a host driver's hands: bound with the rest, or the reason to refuse. */
static int bind_plan_siblings(struct bind_plan *plan, struct assign_journal *journal,
			      const struct assign_bind *bind, const struct host_function *f,
			      struct diag *diag)
{
	const int *member;
	size_t nr = host_isolation_members(bind->isolation, f->group, &member);

	for (size_t i = 0; i < nr; i++) {
		const struct host_function *other =
			host_topology_at(bind->isolation->topology, member[i]);
		bool wanted = false;
		int err;

		for (size_t k = 0; k < bind->nr_devices; k++)
			wanted |= bind->device[k] == member[i];
		if (wanted || host_function_is_bridge(other))
			continue;
		if (bind->group) {
			err = bind_plan_add(plan, journal, bind, member[i], diag);
			if (err)
				return err;
		} else if (host_group_driver_blocks(other->driver)) {
			diag_set(diag, -EBUSY, f->name,
				 "group %d is not viable without %s, which is bound to %s: a group "
				 "is assigned whole or not at all",
				 f->group, other->name, other->driver);
			diag_remedy(diag, -EBUSY, "bind the whole group: airlock bind %s --group",
				    f->name);
			return -EBUSY;
		}
	}
	return 0;
}

static int bind_plan_make(struct bind_plan *plan, struct assign_journal *journal,
			  const struct assign_bind *bind, struct diag *diag)
{
	int err = 0;

	for (size_t i = 0; !err && i < bind->nr_devices; i++) {
		const struct host_function *f =
			host_topology_at(bind->isolation->topology, bind->device[i]);

		if (host_function_is_bridge(f)) {
			diag_set(diag, -EINVAL, f->name,
				 "a bridge carries other functions and stays with the host");
			return -EINVAL;
		}
		if (f->group < 0) {
			diag_set(diag, -ENODEV, f->name,
				 "it is in no IOMMU group: nothing would confine its DMA");
			diag_remedy(diag, -ENODEV,
				    "airlock check says why, and how to turn the IOMMU on");
			return -ENODEV;
		}
		err = bind_plan_add(plan, journal, bind, bind->device[i], diag);
		if (!err && !bind->boot_driver)
			err = bind_plan_siblings(plan, journal, bind, f, diag);
	}
	return err;
}

static int bind_check_torn(const struct assign_journal *journal, struct diag *diag)
{
	if (!assign_journal_is_torn(journal))
		return 0;
	diag_set(diag, -EUCLEAN, ASSIGN_JOURNAL_PATH,
		 "an earlier bind or release was interrupted half-way");
	diag_remedy(diag, -EUCLEAN, "airlock release --recover gives back what it had taken");
	return -EUCLEAN;
}

struct bind_look {
	bool found;
};

static int bind_look_match(void *opaque, const char *name)
{
	((struct bind_look *)opaque)->found |= !strcmp(name, ASSIGN_DRIVER);
	return 0;
}

static int bind_check_driver(struct sys *sys, struct diag *diag)
{
	struct bind_look look = { false };
	int err = sys->ops->list(sys, SYS_TREE_SYS, PATH_DRIVERS, bind_look_match, &look);

	if (err || look.found)
		return err ? bind_step_failed(diag, err, PATH_DRIVERS, "cannot be listed") : 0;
	diag_set(diag, -ENOENT, ASSIGN_DRIVER, "the kernel has no such driver");
	diag_remedy(diag, -ENOENT, "modprobe vfio-pci; a kernel without it needs CONFIG_VFIO_PCI");
	return -ENOENT;
}

/* Undoes a prefix in reverse. What cannot be undone stays in the journal as half-way. */
static void bind_undo(struct assign_journal *journal, const struct bind_plan *plan, size_t nr,
		      assign_moved_fn moved, void *opaque)
{
	while (nr-- > 0) {
		const struct assign_record *record = &plan->record[nr];

		if (bind_give_back(journal->sys, record, NULL))
			continue;
		if (!assign_journal_strike(journal, record->address, NULL) && moved)
			moved(opaque, record->name, ASSIGN_DRIVER, record->driver);
	}
}

/* One write makes all of it ours: a kill before it undoes all, one after it nothing. */
static int bind_hold_all(struct assign_journal *journal, const struct bind_plan *plan,
			 struct diag *diag)
{
	struct pci_address *address = calloc(plan->nr, sizeof(*address));
	int err;

	if (!address)
		return diag_set(diag, -ENOMEM, ASSIGN_DRIVER, "out of memory");
	for (size_t i = 0; i < plan->nr; i++)
		address[i] = plan->record[i].address;
	err = assign_journal_mark(journal, address, plan->nr, ASSIGN_HELD, diag);
	free(address);
	return err;
}

int assign_bind(struct assign_journal *journal, const struct assign_bind *bind,
		assign_moved_fn moved, void *opaque, struct diag *diag)
{
	struct bind_plan plan = { 0 };
	size_t nr = 0;
	int err = bind_check_torn(journal, diag);

	if (!err)
		err = bind_check_driver(journal->sys, diag);
	if (!err)
		err = bind_plan_make(&plan, journal, bind, diag);
	if (!err && plan.nr)
		err = assign_journal_begin(journal, plan.record, plan.nr, diag);
	if (err || !plan.nr)
		goto out;
	for (nr = 0; !err && nr < plan.nr; nr++) {
		err = bind_take(journal->sys, &plan.record[nr], diag);
		if (!err && moved)
			moved(opaque, plan.record[nr].name, plan.record[nr].driver, ASSIGN_DRIVER);
	}
	if (!err)
		err = bind_hold_all(journal, &plan, diag);
	if (err) {
		/* Those never touched are struck as well: giving back what was not taken is nothing. */
		bind_undo(journal, &plan, plan.nr, moved, opaque);
		if (assign_journal_is_torn(journal))
			diag_remedy(diag, err,
				    "not all could be given back: airlock release --recover");
	}
out:
	free(plan.record);
	return err;
}

/* Makes the rules of one device, and of its group where that is asked for; without a program, removes them. */
static int bind_persist_device(struct assign_journal *journal, const struct assign_bind *bind,
			       const int *device, const char *program, struct diag *diag)
{
	const struct host_topology *topology = bind->isolation->topology;
	const int *member = device;
	size_t nr = 1;
	int err = 0;

	if (bind->group)
		nr = host_isolation_members(bind->isolation,
					    host_topology_at(topology, *device)->group, &member);
	for (size_t i = 0; !err && i < nr; i++) {
		const struct host_function *f = host_topology_at(topology, member[i]);
		const struct assign_record *record = assign_journal_find(journal, f->address);

		if (host_function_is_bridge(f))
			continue;
		err = program ? assign_persist(journal->sys, f, record ? record->driver : "",
					       program, diag)
			      : assign_persist_forget(journal->sys, f->name, diag);
	}
	return err;
}

int assign_bind_persist(struct assign_journal *journal, const struct assign_bind *bind,
			const char *program, struct diag *diag)
{
	int err = 0;

	for (size_t i = 0; !err && i < bind->nr_devices; i++)
		err = bind_persist_device(journal, bind, &bind->device[i], program, diag);
	for (size_t i = 0; err && i < bind->nr_devices; i++)
		bind_persist_device(journal, bind, &bind->device[i], NULL, NULL);
	return err ? diag_remedy(diag, err, "it is bound until the next boot all the same") : 0;
}

static int bind_return(struct assign_journal *journal, struct pci_address address,
		       assign_moved_fn moved, void *opaque, struct diag *diag)
{
	struct assign_record *record = assign_journal_find(journal, address), copy = *record;
	char before[32], after[32];
	int err = bind_driver_of(journal->sys, copy.name, before, sizeof(before));

	/* What was marked as going back stays back; what a bind had only begun is as it was before. */
	if (!err && copy.state == ASSIGN_BACK)
		err = assign_persist_forget(journal->sys, copy.name, diag);
	if (!err)
		err = bind_give_back(journal->sys, &copy, diag);
	if (!err)
		err = assign_journal_strike(journal, address, diag);
	if (err)
		return diag_set(diag, err, copy.name, "cannot be given back: %s", strerror(-err));
	bind_driver_of(journal->sys, copy.name, after, sizeof(after));
	if (moved && strcmp(before, after))
		moved(opaque, copy.name, before, after);
	return 0;
}

int assign_release(struct assign_journal *journal, const struct pci_address *address, size_t nr,
		   assign_moved_fn moved, void *opaque, struct diag *diag)
{
	char name[PCI_ADDRESS_TEXT];
	int err = bind_check_torn(journal, diag);

	/* All are asked about before the first is touched. */
	for (size_t i = 0; !err && i < nr; i++) {
		const struct assign_record *record = assign_journal_find(journal, address[i]);

		if (!record) {
			diag_set(diag, -ENOENT, pci_address_format(address[i], name),
				 "it was not taken by airlock bind: where it belongs is not known");
			diag_remedy(diag, -ENOENT,
				    "give it to a driver by hand: echo > "
				    "/sys/bus/pci/devices/%s/driver_override, unbind, and "
				    "drivers_probe",
				    name);
			return -ENOENT;
		}
		err = assign_check_idle(journal->sys, record->name, diag);
	}
	if (!err)
		err = assign_journal_mark(journal, address, nr, ASSIGN_BACK, diag);
	/* A function named twice is gone from the journal the second time. */
	for (size_t i = 0; !err && i < nr; i++)
		if (assign_journal_find(journal, address[i]))
			err = bind_return(journal, address[i], moved, opaque, diag);
	if (err && assign_journal_is_torn(journal))
		diag_remedy(diag, -ENOENT, "then: airlock release --recover");
	return err;
}

int assign_recover(struct assign_journal *journal, size_t *nr, assign_moved_fn moved, void *opaque,
		   struct diag *diag)
{
	size_t i = journal->nr_records;
	int first = 0;

	*nr = 0;
	/* From the last one taken; one that resists does not keep the others. */
	while (i-- > 0) {
		struct assign_record record = journal->record[i];
		int err;

		if (record.state == ASSIGN_HELD)
			continue;
		err = assign_check_idle(journal->sys, record.name, diag);
		if (!err)
			err = bind_return(journal, record.address, moved, opaque, diag);
		if (err)
			first = first ? first : err;
		else
			++*nr;
	}
	return first;
}
