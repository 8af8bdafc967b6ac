# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=dash source-path=SCRIPTDIR disable=SC2086,SC2034,SC2154,SC2015
# What the cases share.
# shellcheck source=../../lab/l1/guest.sh
. "$LAB_REPO/lab/l1/guest.sh"

skip() { echo "SKIP: $*" && exit 77; }

# monitor LINE: says it to the monitor of the server's QEMU, prints the answer.
monitor() {
	rm -f "$LAB_WORK/monitor.answer"
	echo "$1" >"$LAB_WORK/monitor.line"
	mv "$LAB_WORK/monitor.line" "$LAB_WORK/monitor.ask"
	until_true "no answer of the monitor" test -f "$LAB_WORK/monitor.answer"
	cat "$LAB_WORK/monitor.answer"
}

# refused TEXT OPTION…: a run with these options, by the command in $by, ends at once with status 1 (or
# $refusal) and the text.
by=
refusal=1
refused() {
	text=$1
	shift
	guest=none
	$by timeout 20 $airlock run --kernel "$LAB_L2_KERNEL" --initrd "$LAB_L2_INITRD" --memory $ram \
		--append console=ttyS0 "$@" </dev/null >$box/refused.out 2>$box/refused.err
	status=$?
	if [ $status != $refusal ] || ! grep -qE -- "$text" $box/refused.err; then
		cat $box/refused.out $box/refused.err
		fail "status $status instead of $refusal, or no '$text', with: $*"
	fi
	ok "$(head -n 1 $box/refused.err)"
}
