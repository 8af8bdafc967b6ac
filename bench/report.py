#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Medians and their spread from the runs that bench/l1 made: report.py RUNS.jsonl BINARY-SIZE."""
import json
import statistics
import sys

runs = {}
for line in open(sys.argv[1]):
    run = json.loads(line)
    runs.setdefault(run["kind"], []).append(run)


def values(kind, key):
    return [run[key] for run in runs.get(kind, []) if key in run]


def median(kind, key):
    found = values(kind, key)
    return statistics.median(found) if found else None


def spread(kind, key):
    found = sorted(values(kind, key))
    return f"{found[0]:.0f}..{found[-1]:.0f}" if found else "-"


def show(title, key, kinds, unit, scale=1.0):
    print(f"\n{title} ({unit}; median of {', '.join(str(len(values(k, key))) for k in kinds)} runs, least..most)")
    for kind in kinds:
        middle = median(kind, key)
        if middle is None:
            print(f"  {kind:16} no run gave it")
            continue
        found = sorted(values(kind, key))
        print(f"  {kind:16} {middle * scale:12.1f}   {found[0] * scale:.1f}..{found[-1] * scale:.1f}")


def ratio(name, a, b, goal):
    if not a or not b:
        print(f"  {name:56} not measured")
        return
    print(f"  {name:56} {a / b:8.3f}   goal {goal}")


starts = ["airlock-start", "q35-start", "microvm-start"]
drives = ["airlock-vf", "q35-vf"]
show("exec to first KVM_RUN", "first_run_us", starts + drives, "ms", 1e-3)
show("exec to the guest's init", "init_us", starts + drives, "ms", 1e-3)
show("memory of the VMM beyond guest RAM", "own_kib", starts + drives, "KiB PSS")
for depth in (1, 32):
    show(f"4 KiB random reads, depth {depth}", f"d{depth}_iops", drives + ["native"], "per second")
    show(f"their latency, median, depth {depth}", f"d{depth}_p50_us", drives + ["native"], "us")
    for run in sum((runs.get(kind, []) for kind in drives), []):
        for counter in ("exits", "mmio_exits"):
            if f"d{depth}-end_{counter}" in run:
                delta = run[f"d{depth}-end_{counter}"] - run[f"d{depth}-begin_{counter}"]
                run[f"d{depth}_{counter}"] = delta / 2000
    show(f"exits per read, all kinds, depth {depth}", f"d{depth}_exits", drives, "by KVM's counters")
    show(f"MMIO exits per read, depth {depth}", f"d{depth}_mmio_exits", drives, "by KVM's counters")

print("\nratios of medians")
ratio("first KVM_RUN, airlock / q35", median("airlock-start", "first_run_us"), median("q35-start", "first_run_us"), "<= 0.2")
ratio("first KVM_RUN with a VF, airlock / q35", median("airlock-vf", "first_run_us"), median("q35-vf", "first_run_us"), "<= 0.2")
ratio("init, airlock / q35", median("airlock-start", "init_us"), median("q35-start", "init_us"), "<= 0.7")
ratio("init with a VF, airlock / q35", median("airlock-vf", "init_us"), median("q35-vf", "init_us"), "<= 0.7")
ratio("init, airlock / microvm", median("airlock-start", "init_us"), median("microvm-start", "init_us"), "<= 1.0")
for depth in (1, 32):
    ratio(f"reads/s at depth {depth}, airlock / q35", median("airlock-vf", f"d{depth}_iops"), median("q35-vf", f"d{depth}_iops"), ">= 1.0")
    ratio(f"reads/s at depth {depth}, airlock / native", median("airlock-vf", f"d{depth}_iops"), median("native", f"d{depth}_iops"), "-")
own = median("airlock-vf", "own_kib")
if own:
    print(f"  {'memory with a device, MiB':56} {own / 1024:8.2f}   goal <= 5")
print(f"  {'stripped binary, KiB':56} {int(sys.argv[2]) / 1024:8.0f}   goal < 1024")
