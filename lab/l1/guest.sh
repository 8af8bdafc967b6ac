# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=dash disable=SC2086,SC2034,SC2015
# Words for scripts that run guests by Airlock in L1: the tests' cases, the demo. By busybox, as root: a
# dynamic program would cost a second each. A script ends with the first thing that is not as it should be;
# what it says last is the reason.
set -u
box=/tmp/case
rm -rf $box && mkdir $box
airlock=$box/airlock
cp "$LAB_REPO/build/airlock" $airlock # the shared folder is slow, and read anew each time
ram=128M
patience=60 # seconds for a guest to say what it should

HANG=123 # the status for a stalled guest, as for a stalled L1

fail() {
	[ ! -f "$box/$guest.out" ] || { echo "--- last words of $guest" && tail -n 15 "$box/$guest.out" "$box/$guest.err"; }
	echo "FAIL: $*"
	exit 1
}
ok() { echo "ok: $*"; }

# ---- guests ----

guest=none # the one spoken of now

# guest_start NAME SCRIPT WORDS [OPTION…]: a guest in the background that runs one of lab/l2/run, with WORDS
# on its kernel command line. Its terminal is $box/NAME.in and .out, Airlock's words go to .err, the figures
# to .stats (on SIGUSR1 and at the end).
guest_start() {
	guest=$1
	script=$2 words=$3
	shift 3
	rm -f $box/"$guest".*
	mkfifo "$box/$guest.in"
	$airlock run --kernel "$LAB_L2_KERNEL" --initrd "$LAB_L2_INITRD" --memory $ram --stats-file "$box/$guest.stats" \
		--append "console=ttyS0 quiet panic=-1 no_timer_check airlock.run=$script $words" "$@" \
		<>"$box/$guest.in" >"$box/$guest.out" 2>"$box/$guest.err" &
	echo $! >"$box/$guest.pid"
}

guest_runs() { kill -0 "$(cat "$box/$guest.pid")" 2>/dev/null; }

# A guest of an emulated host stalls now and then without anybody's fault. That is a hang, no verdict.
guest_hung() {
	[ -f "$box/$guest.pid" ] || fail "$1"
	grep -aE 'detected stalls|soft lockup|kthread starved|rcu: INFO' "$box/$guest.out" && why='stalled' || why=$1
	tail -n 5 "$box/$guest.out"
	guest_kill KILL
	echo "HANG: guest $guest $why"
	exit $HANG
}

# until_true WHAT COMMAND…: polls; a time-out is a hang of the lab, unless it happens twice.
until_true() {
	what=$1
	tries=0
	shift
	until "$@"; do
		tries=$((tries + 1))
		[ $tries -lt $((patience * 20)) ] || guest_hung "$what for $patience s"
		usleep 50000
	done
}

guest_said() { [ "$(grep -acE "$2" "$box/$guest.out")" -ge "$1" ] || ! guest_runs; }
guest_ended() { ! guest_runs; }

# guest_await TEXT [TIMES]: until the guest has said it; its end before that is a failure.
guest_await() {
	until_true "did not say '$1'" guest_said "${2:-1}" "$1"
	[ "$(grep -acE "$1" "$box/$guest.out")" -ge "${2:-1}" ] || fail "the guest ended before it said '$1'"
}

guest_send() { echo "${1-}" >"$box/$guest.in"; }
guest_kill() { kill -"$1" "$(cat "$box/$guest.pid")" 2>/dev/null; }

# guest_end [STATUS]: until it is over, with this exit status of Airlock's.
guest_end() {
	until_true "did not end" guest_ended
	wait "$(cat "$box/$guest.pid")"
	status=$?
	[ $status = "${1:-0}" ] || fail "airlock returned $status, not ${1:-0}"
}

# guest_run NAME SCRIPT WORDS [OPTION…]: from start to power-off, the script well.
guest_run() {
	guest_start "$@"
	guest_end 0
	grep -aq '^AIRLOCK-L2: exit 0' "$box/$guest.out" || fail "the guest's script failed"
}

guest_says() { grep -aqE "$1" "$box/$guest.out" || fail "the guest did not say '$1'"; }
guest_word() { sed -n "s/$1/\\1/p" "$box/$guest.out" | tr -d '\r' | head -n 1; }

# figure SECTION NAME: from the last figures of the guest; empty when there is none.
figure() {
	awk -v section="$1" -v name="$2" '
		/^[^ ]/ { here = ($0 == section) }
		here && index($0, "  " name " ") == 1 { print $NF }' "$box/$guest.stats"
}

# ---- devices ----

driver_of() { driver=$(readlink "/sys/bus/pci/devices/$1/driver") && echo "${driver##*/}" || echo none; }
noise() { dd if=/dev/urandom of="$1" bs=64k count=16 conv=fsync 2>/dev/null && sync; }
# sum FILE [MIB]: of one MiB of a disk, past the cache.
sum() { dd if="$1" bs=1M skip="${2:-0}" count=1 iflag=direct 2>/dev/null | sha256sum | cut -d' ' -f1; }
same() { [ -n "$2" ] && [ "$2" = "$3" ] || fail "$1: '$2' is not '$3'"; }

# disk_of BDF: the block device of an NVMe function that has its driver; waits for it.
disk_of() {
	until_true "no disk at $1" eval 'echo /sys/bus/pci/devices/'"$1"'/nvme/nvme*/nvme*n1 | grep -qv "\*"'
	for disk in /sys/bus/pci/devices/"$1"/nvme/nvme*/nvme*n1; do echo "/dev/${disk##*/}"; done
}
