# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What the host-* cases share: on this server's topology the inventory is whole, the model of the kernel's
# rules makes the kernel's groups, each group of more than one has its reason, and a capture answers as the
# server does.
set -uo pipefail
airlock=${AIRLOCK:-build/airlock}
failed=0

fail() {
	echo "FAILED: $*"
	failed=1
}

# expect_reason TEXT: some group is explained by this.
expect_reason() {
	grep -q -- "because .*$1" /tmp/topology || fail "no group because of: $1"
}

# expect_finding ID, expect_no_finding ID: of severity warning or unsafe.
expect_finding() {
	grep -qE "^(unsafe|warning) +$1$" /tmp/check || fail "not found: $1"
}

expect_no_finding() {
	grep -qE "^(unsafe|warning) +$1$" /tmp/check && fail "found: $1"
}

# expect_difference N: so many pairs reach each other across groups.
expect_difference() {
	local n
	n=$(grep -c "past the IOMMU:" /tmp/topology)
	[[ $n == "$1" ]] || fail "$n pairs reach each other across groups, not $1"
}

host_end() {
	[[ $failed == 0 ]] && echo "$(wc -l </tmp/list) functions, $groups groups: all as it should be"
	exit "$failed"
}

"$airlock" devices >/tmp/devices || fail "devices: status $?"
"$airlock" topology >/tmp/topology || fail "topology: status $?"
"$airlock" check >/tmp/check
status=$?
[[ $status == 0 || $status == 3 || $status == 4 ]] || fail "check: status $status"

# Every function of the server, and no other.
ls /sys/bus/pci/devices >/tmp/list
grep -oE '^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]' /tmp/devices | diff - /tmp/list >/dev/null ||
	fail "the list is not the server's"

# No group of the kernel's differs from the model's.
grep -E "shows no isolation$|in one group \(" /tmp/topology && fail "model and kernel differ"
groups=0
for folder in /sys/kernel/iommu_groups/*/devices; do
	members=("$folder"/*)
	groups=$((groups + 1))
	[[ ${#members[@]} -gt 1 ]] || continue
	number=${folder%/devices}
	grep -A1 "^  group ${number##*/}:" /tmp/topology | grep -q "because" ||
		fail "group ${number##*/} has ${#members[@]} members and no reason"
done

# A capture answers as the server itself.
"$airlock" host capture /tmp/capture || fail "capture"
for command in devices topology; do
	"$airlock" "$command" --host /tmp/capture | diff - "/tmp/$command" >/dev/null ||
		fail "$command of the capture differs"
done
"$airlock" topology --svg /tmp/picture.svg && grep -q "</svg>" /tmp/picture.svg || fail "picture"
