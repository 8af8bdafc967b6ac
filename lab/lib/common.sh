# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
# What every lab command shares: words for the person, exit statuses, folders, names.

# A command's own status passes through. These tell the lab's own troubles from it.
readonly LAB_TIMEOUT=124 # the command ran out of its time and was killed inside L1
readonly LAB_BROKEN=125  # the lab could not be brought up, or was asked for nonsense
readonly LAB_HUNG=123    # L1 stalled, panicked or its QEMU died: says nothing about the command

lab_repo=$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd -P)
lab_cache=${AIRLOCK_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/airlock/lab}
lab_name=default

say() { printf 'lab: %s\n' "$*" >&2; }
die() {
	say "$*"
	exit "$LAB_BROKEN"
}
hung() {
	say "HANG of the lab, not a verdict on the command: $*"
	exit "$LAB_HUNG"
}

# Everything of one running L1 lies in its own folder, so that labs live side by side.
lab_use() {
	[[ $1 =~ ^[A-Za-z0-9._-]+$ && $1 != .* ]] || die "--name '$1': letters, digits, '.', '_' and '-' only"
	lab_name=$1
	lab_state=$lab_cache/state/$1
	lab_work=$lab_state/work # the one folder that L1 may write, at this same path
	lab_box=$lab_work/.lab   # mailbox: commands, their output and status
}

# One word for sh, whatever is in it.
shell_quote() { printf "'%s' " "${1//\'/\'\\\'\'}"; }

# Seconds since $1 (an EPOCHREALTIME), with one decimal.
seconds_since() {
	local ms=$(((${EPOCHREALTIME/[.,]/} - ${1/[.,]/}) / 1000))
	printf '%d.%d' $((ms / 1000)) $((ms % 1000 / 100))
}

# Wait without starting a process: read from a pipe that never has anything to say.
lab_nap() {
	[[ -v lab_nap_fd ]] || exec {lab_nap_fd}<> <(:)
	read -rt "$1" -u "$lab_nap_fd" || :
}

lab_alive() {
	local pid
	pid=$(cat "$lab_state/qemu.pid" 2>/dev/null) && [[ -d /proc/$pid ]] &&
		[[ $(tr '\0' ' ' <"/proc/$pid/cmdline") == *"$lab_state/"* ]]
}

# Lines by which L1's kernel says that it, not the program under test, is in trouble.
lab_stall_lines() {
	grep -aE 'detected stalls|self-detected stall|soft lockup|hard LOCKUP|kthread starved|Kernel panic|blocked for more than' \
		"$lab_state/l1.log" 2>/dev/null
}
