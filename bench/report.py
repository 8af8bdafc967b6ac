#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Medians and their spread from the runs that were made in the lab:

report.py lab RUNS.jsonl ROUNDS BINARY-SIZE    bench/l1: against QEMU
report.py map RUNS.jsonl ROUNDS                bench/l1-map: against a bare ioctl

Ends with status 1, and says so, when runs are missing.
"""
import json
import statistics
import sys

part, rounds = sys.argv[1], int(sys.argv[3])
runs = {}
for line in open(sys.argv[2]):
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


def complete(needed):
    """Whether each kind has a value of the key for every round; says which has not."""
    whole = True
    for kind, key in needed:
        if len(values(kind, key)) < rounds:
            print(f"bench: FAILED: {kind} gave {key} in {len(values(kind, key))} of {rounds} rounds", file=sys.stderr)
            whole = False
    return whole


def report_map():
    show("the map phase, from asking for guest RAM to its being reachable", "phase_us", ["airlock"], "ms", 1e-3)
    show("map ioctls alone", "map_us", ["airlock", "bare-touched", "bare-untouched"], "ms", 1e-3)
    print("\nratios of medians")
    ratio("map phase / bare map of memory nobody touched", median("airlock", "phase_us"), median("bare-untouched", "map_us"), "<= 1.05")
    ratio("its map ioctls / bare map of memory with its pages", median("airlock", "map_us"), median("bare-touched", "map_us"), "<= 1.05")
    return complete([("airlock", "phase_us"), ("bare-touched", "map_us"), ("bare-untouched", "map_us")])


def report_lab():
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
    print(f"  {'stripped binary, KiB':56} {int(sys.argv[4]) / 1024:8.0f}   goal < 1024")
    needed = [(kind, key) for kind in starts + drives for key in ("first_run_us", "init_us", "own_kib")]
    needed += [(kind, f"d{depth}_iops") for kind in drives + ["native"] for depth in (1, 32)]
    return complete(needed)


sys.exit(0 if {"lab": report_lab, "map": report_map}[part]() else 1)
