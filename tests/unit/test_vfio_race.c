// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Interrupts of a passed-through function when everybody is at it at once: the device, the loop, a
 * vCPU that ends interrupts and one that reprograms them. None may be lost, no pin may stick.
 */
#include "vfio_world.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define ROUNDS	    2000
#define PATIENCE_MS 10000

struct race {
	struct world w;
	unsigned int pin;
	atomic_uint round, nr_handled;
	atomic_bool stop;
};

static void *run_loop(void *opaque)
{
	struct race *r = opaque;

	loop_run(r->w.loop);
	return NULL;
}

/* The guest's handler: serves the device, which lowers its line, and ends the interrupt. */
static void *run_handler(void *opaque)
{
	struct race *r = opaque;

	while (!atomic_load(&r->stop)) {
		bool line;

		if (!fake_pin(&r->w.pci.machine, r->pin)) {
			sched_yield();
			continue;
		}
		pthread_mutex_lock(&r->w.vfio.mutex);
		line = r->w.real->intx_line;
		r->w.real->intx_line = false;
		pthread_mutex_unlock(&r->w.vfio.mutex);
		/* A spurious one is ended too. */
		fake_eoi(&r->w.pci.machine, r->pin);
		if (line)
			atomic_fetch_add(&r->nr_handled, 1);
	}
	return NULL;
}

/*
 * Another CPU of the guest, which cannot decide how it wants its interrupts; a little each round,
 * and then it leaves things alone, so that it cannot be what saves an interrupt that was lost.
 */
static void *run_undecided(void *opaque)
{
	struct race *r = opaque;
	const uint16_t on = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	unsigned int seen = 0, now;

	while (!atomic_load(&r->stop)) {
		now = atomic_load(&r->round);
		if (now == seen) {
			sched_yield();
			continue;
		}
		seen = now;
		/* Every other round is left to the device, the loop and the handler. */
		switch (seen % 2 ? 8 : seen / 2 % 4) {
		case 0:
			world_write(&r->w, FAKE_VFIO_MSIX + 2, 2, PCI_MSIX_ENABLE);
			world_write(&r->w, FAKE_VFIO_MSIX + 2, 2, 0);
			break;
		case 1:
			world_write(&r->w, PCI_COMMAND, 2, on | PCI_COMMAND_INTX_OFF);
			world_write(&r->w, PCI_COMMAND, 2, on);
			break;
		case 2:
			world_write(&r->w, FAKE_VFIO_MSI + 2, 2, PCI_MSI_ENABLE);
			world_write(&r->w, FAKE_VFIO_MSI + 2, 2, 0);
			break;
		case 3:
			world_write(&r->w, PCI_COMMAND, 2, 0);
			world_write(&r->w, PCI_COMMAND, 2, on);
		}
	}
	return NULL;
}

static void intx_is_never_lost_and_never_sticks(void **state)
{
	static struct race r;
	pthread_t loop, handler, undecided;

	memset(&r, 0, sizeof(r));
	world_init(&r.w);
	world_start(&r.w);
	world_write(&r.w, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	r.pin = (unsigned int)pci_function_intx_pin(vfio_pci_function(r.w.dev));
	pthread_create(&loop, NULL, run_loop, &r);
	pthread_create(&handler, NULL, run_handler, &r);
	pthread_create(&undecided, NULL, run_undecided, &r);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint64_t until = loop_now_ns() + PATIENCE_MS * 1000000ull;

		atomic_fetch_add(&r.round, 1);
		for (unsigned int spin = i * 7919 % 3000; spin; spin--)
			atomic_load(&r.round);
		fake_vfio_intx(&r.w.vfio, r.w.real, true);
		while (atomic_load(&r.nr_handled) == i && loop_now_ns() < until)
			sched_yield();
		if (atomic_load(&r.nr_handled) == i)
			fail_msg("interrupt %u was lost", i);
	}
	atomic_store(&r.stop, true);
	pthread_join(undecided, NULL);
	pthread_join(handler, NULL);
	loop_stop(r.w.loop, 0);
	pthread_join(loop, NULL);
	/* With nothing asserted, what is left of the race settles to a low pin at the next end. */
	world_serve(&r.w);
	fake_eoi(&r.w.pci.machine, r.pin);
	world_serve(&r.w);
	assert_false(fake_pin(&r.w.pci.machine, r.pin));
	assert_int_equal(r.w.real->kind, VFIO_PCI_INTX_IRQ_INDEX);
	world_fini(&r.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(intx_is_never_lost_and_never_sticks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
