// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The NVMe model alone: random reads of 4 KiB from a disk of 1 GiB in memory, in batches as deep as a
 * queue, through command fetch, PRPs, the IOMMU, completion and interrupt; beside a loop that only copies
 * the same blocks. bench_nvme [ROUNDS] prints medians over the rounds and the ratio it is held to.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bug.h"
#include "fake/nvme.h"
#include "iommu/ops.h"

#define DISK   GIB(1)
#define BLOCK  KIB(4)
#define READS  100000u
#define DEPTH  (NVME_WORLD_Q - 1)
#define ROUNDS 9
#define LIMIT  0.7

static uint64_t random_state = 88172645463325252ull;

static uint64_t random_block(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % (DISK / BLOCK);
}

static double model(struct nvme_world *w)
{
	struct nvme_driver *d = &w->pf;
	uint64_t began = iommu_now_ns();

	for (unsigned int done = 0; done < READS; done += DEPTH) {
		for (unsigned int i = 0; i < DEPTH; i++) {
			struct nvme_sqe sqe = nvme_rw(NVME_IO_READ, 1, random_block() * 8, 8,
						      NVME_WORLD_DATA + BLOCK * i, 0);

			nvme_driver_put(w, d, 1, &sqe);
		}
		nvme_driver_ring(w, d, 1);
		for (unsigned int i = 0; i < DEPTH; i++) {
			BUG_ON(!(*(uint8_t *)nvme_world_mem(
					 w,
					 NVME_WORLD_CQ(1) + NVME_CQE_LEN * d->q[1].cq_head + 14) &
				 1) == d->q[1].phase);
			if (++d->q[1].cq_head == NVME_WORLD_Q) {
				d->q[1].cq_head = 0;
				d->q[1].phase = !d->q[1].phase;
			}
		}
		nvme_reg_set(w, d, NVME_DOORBELLS + 12, d->q[1].cq_head);
	}
	return READS * 1e9 / (double)(iommu_now_ns() - began);
}

static double copies(struct nvme_world *w, const uint8_t *disk)
{
	uint64_t began = iommu_now_ns();

	for (unsigned int i = 0; i < READS; i++)
		memcpy(nvme_world_mem(w, NVME_WORLD_DATA + BLOCK * (i % DEPTH)),
		       disk + random_block() * BLOCK, BLOCK);
	return READS * 1e9 / (double)(iommu_now_ns() - began);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, unsigned int nr)
{
	qsort(v, nr, sizeof(*v), compare);
	return v[nr / 2];
}

int main(int argc, char **argv)
{
	unsigned int rounds = argc > 1 ? (unsigned int)atoi(argv[1]) : ROUNDS;
	double *a, *b, *ratio, share;
	struct nvme_world w;
	uint8_t *disk = malloc(DISK);

	rounds = rounds ? rounds : 1;
	a = calloc(rounds, sizeof(*a));
	b = calloc(rounds, sizeof(*b));
	ratio = calloc(rounds, sizeof(*ratio));
	BUG_ON(!disk || !a || !b || !ratio);
	/* Both with pages of their own: what was never written is one page of zeroes. */
	memset(disk, 1, DISK);
	nvme_world_init_large(&w, DISK);
	nvme_driver_enable(&w, &w.pf);
	nvme_driver_pair(&w, &w.pf, 1);
	for (uint64_t at = 0; at < DISK / 512; at += 8) {
		struct nvme_answer x = nvme_driver_run(
			&w, &w.pf, 1, nvme_rw(NVME_IO_WRITE, 1, at, 8, NVME_WORLD_DATA, 0));

		BUG_ON(!x.posted || x.status);
	}
	for (unsigned int i = 0; i < rounds; i++) {
		a[i] = model(&w);
		b[i] = copies(&w, disk);
		ratio[i] = a[i] / b[i];
	}
	share = median(ratio, rounds);
	printf("4 KiB random reads of 1 GiB in memory, %u rounds of %u\n", rounds, READS);
	printf("model %.0f/s, copies alone %.0f/s, ratio %.2f (at least %.1f: %s)\n",
	       median(a, rounds), median(b, rounds), share, LIMIT, share >= LIMIT ? "yes" : "NO");
	nvme_world_fini(&w);
	free(disk);
	free(a);
	free(b);
	free(ratio);
	return share < LIMIT;
}
