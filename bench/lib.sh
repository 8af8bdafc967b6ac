# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# What the benchmarks in the lab share.

# in_lab NAME SECONDS COMMAND…: runs it in a lab of its own; its JSON lines go to build/bench/NAME.jsonl, all
# it says to NAME.log. A lab that hangs, or a command that fails, is an error that says so: figures of what
# ran until then are no figures.
in_lab() {
	local name=$1 limit=$2 status=0
	shift 2
	lab/run --timeout "$limit" -- "$@" >"build/bench/$name.log" || status=$?
	grep '^{' "build/bench/$name.log" >"build/bench/$name.jsonl" || :
	case $status in
	0) return ;;
	123) echo "bench: FAILED: the lab hung; build/bench/$name.log has what ran until then" >&2 ;;
	124) echo "bench: FAILED: not done after $limit s" >&2 ;;
	*) echo "bench: FAILED: $* ended with status $status" >&2 ;;
	esac
	return 1
}
