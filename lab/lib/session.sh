# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# One L1: started, given commands, stopped.

# Seconds: for L1 to boot on a busy machine; without output until L1 is asked whether it lives, and
# again for its answer.
session_boot_limit=45
session_patience=${AIRLOCK_LAB_PATIENCE:-20}

# Settings which the commands' options change.
session_qemu=${AIRLOCK_LAB_QEMU:-qemu-system-x86_64}
session_kernel=${AIRLOCK_LAB_KERNEL-}
session_topology=default
session_memory=4G
session_cpus=2
session_extra=()
session_append=()
session_timeout=

# session_option OPTION VALUE: the options of up, run and exec; false when it is none of them.
session_option() {
	case $1 in
	--kernel) session_kernel=$(realpath -e "$2" 2>/dev/null) || die "--kernel $2: no such file" ;;
	--profile | --topology) session_topology=$2 ;;
	--device) session_extra+=(-device "$2") ;;
	--qemu-arg) session_extra+=("$2") ;;
	--append) session_append+=("$2") ;;
	--memory) session_memory=$2 ;;
	--cpus) session_cpus=$2 ;;
	--name) lab_use "$2" ;;
	--timeout) session_timeout=$2 ;;
	*) return 1 ;;
	esac
	[[ $2 ]] || die "$1 needs a value"
}

session_images() {
	if [[ ! -x /bin/busybox ]] || ldd /bin/busybox >/dev/null 2>&1; then
		die "no static /bin/busybox: run scripts/setup"
	fi
	command -v "$session_qemu" >/dev/null || die "no qemu-system-x86_64: run scripts/setup"
	mkdir -p "$lab_cache"
	exec {session_lock}>"$lab_cache/lock"
	flock "$session_lock"
	[[ $session_kernel ]] || fetch_kernel generic linux-image-amd64 # L1: the server
	fetch_kernel cloud linux-image-cloud-amd64 # L2: the guest, NVMe built in
	session_l2_initrd=$(image_l2) || exit
	session_initrd=$(if [[ $session_kernel ]]; then image_l1; else image_l1 "$lab_cache/generic"; fi) || exit
	exec {session_lock}>&-
}

# What L1's init and agent, and the commands, find in their environment.
session_env() {
	local name
	for name in LAB_REPO="$lab_repo" LAB_WORK="$lab_work" LAB_CACHE="$lab_cache" LAB_TOPOLOGY="$session_topology" \
		LAB_L2_KERNEL="$lab_cache/cloud/vmlinuz" LAB_L2_INITRD="$session_l2_initrd"; do
		echo "export ${name%%=*}=$(shell_quote "${name#*=}")"
	done
}

# session_start [WRAPPER…]: QEMU in the background, under a command that sets something up for it.
session_start() {
	local kernel=$session_kernel
	lab_alive && die "lab '$lab_name' is up already (lab/down --name $lab_name)"
	session_images
	[[ $kernel ]] || kernel=$lab_cache/generic/vmlinux
	[[ -e $kernel ]] || kernel=$lab_cache/generic/vmlinuz
	rm -rf "$lab_state"
	# Logs of ended labs are kept for a day.
	find "$lab_cache/state" -mindepth 1 -maxdepth 1 -mtime +1 ! -exec test -e {}/qemu.pid \; -exec rm -rf {} + 2>/dev/null
	mkdir -p "$lab_box"
	session_env >"$lab_box/env"
	mkfifo "$lab_state/bell.in" "$lab_state/bell.out"
	topology_load "$session_topology"

	setsid "$@" "$session_qemu" -name "lab-$lab_name" \
		-M q35,kernel-irqchip=split -accel tcg,thread=multi -cpu max -smp "$session_cpus" -m "$session_memory" \
		-nodefaults -no-user-config -vga none -display none -nic none -no-reboot \
		-serial "file:$lab_state/l1.log" -serial "pipe:$lab_state/bell" \
		-monitor "unix:$lab_state/monitor,server=on,wait=off" \
		-kernel "$kernel" -initrd "$session_initrd" \
		-append "console=ttyS0 panic=-1 no_timer_check cryptomgr.notests quiet ${topology_append[*]} ${session_append[*]}" \
		-virtfs "local,path=/,mount_tag=hostroot,security_model=none,readonly=on,multidevs=remap" \
		-virtfs "local,path=$lab_repo,mount_tag=repo,security_model=none,readonly=on,multidevs=remap" \
		-virtfs "local,path=$lab_work,mount_tag=work,security_model=none,multidevs=remap" \
		"${topology_args[@]}" "${session_extra[@]}" \
		</dev/null >"$lab_state/qemu.log" 2>&1 &
	echo $! >"$lab_state/qemu.pid"
	disown
}

# Is L1 up? Returns LAB_HUNG when it stalled on the way; what cannot be mended by trying again ends here.
session_await_boot() {
	local began=$EPOCHREALTIME deadline=$((SECONDS + session_boot_limit))
	until [[ -e $lab_box/ready ]]; do
		lab_nap 0.1
		if ! lab_alive; then
			tail -n 20 "$lab_state/qemu.log" "$lab_state/l1.log" >&2
			grep -q '^l1: ' "$lab_state/l1.log" && die "L1 gave up"
			[[ -s $lab_state/l1.log ]] || die "QEMU did not start"
			say "L1 died while booting" && return "$LAB_HUNG"
		fi
		if [[ $SECONDS -ge $deadline ]]; then
			tail -n 5 "$lab_state/l1.log" >&2
			say "L1 is not up after $session_boot_limit s" && return "$LAB_HUNG"
		fi
	done
	say "L1 up in $(seconds_since "$began") s (kernel $(session_kernel_name), topology $session_topology)"
}

# session_boot [WRAPPER…]: start L1 and wait for it. About one start in a hundred stalls in emulated timers,
# before any command has run, so one more try is safe; it is always said.
session_boot() {
	session_start "$@"
	session_await_boot && return
	say "HANG of the lab while booting: once more"
	session_stop
	session_start "$@"
	session_await_boot && return
	session_stop
	hung "L1 does not boot"
}

session_kernel_name() {
	if [[ $session_kernel ]]; then echo "${session_kernel##*/}"; else sed 's/^linux-image-//' "$lab_cache/generic/package"; fi
}

session_stop() {
	local pid n
	pid=$(cat "$lab_state/qemu.pid" 2>/dev/null) || return 0
	for ((n = 0; n < 50; n++)); do
		lab_alive || break
		[[ $n -gt 0 ]] || kill "$pid"
		lab_nap 0.1
	done
	! lab_alive || kill -KILL "$pid"
	rm -f "$lab_state"/*.img "$lab_state/qemu.pid"
}

# A lab for one command: gone when this process is, however it ends.
session_boot_tied() {
	trap session_end EXIT
	session_boot setpriv --pdeathsig TERM
}

session_end() {
	session_stop
	[[ $lab_name != run-$$ || -v AIRLOCK_LAB_KEEP ]] || rm -rf "$lab_state"
}

session_ring() { printf '%s\n' "$*" 1<>"$lab_state/bell.in"; }

# Does L1 still answer? A merely busy one does, within a second or two.
session_answers() {
	local n id=$$.$SECONDS
	session_ring ping "$id"
	for ((n = 0; n < session_patience * 10; n++)); do
		[[ ! -e $lab_box/pong.$id ]] || return 0
		lab_alive || return 1
		lab_nap 0.1
	done
	return 1
}

# Run a command in L1 with its output streamed, return its status.
session_exec() {
	local dir lock stalls status tails=() marker
	lab_alive || die "lab '$lab_name' is not up (lab/up)"
	exec {lock}>"$lab_state/exec.lock"
	flock "$lock" # one command after another
	dir=$lab_box/$(date +%s%N)
	stalls=$(lab_stall_lines | wc -l)
	session_post "$dir" "$@"

	# What tail watches, to know when all is written. Nothing started here may outlive us with the lock.
	setpriv --pdeathsig KILL sleep infinity {lock}>&- &
	marker=$!
	tail -c +1 -s 0.05 --pid=$marker -f "$dir/stdout" {lock}>&- &
	tails=($!)
	tail -c +1 -s 0.05 --pid=$marker -f "$dir/stderr" >&2 {lock}>&- &
	tails+=($!)
	trap 'session_ring kill; kill $marker; exit 130' INT TERM HUP
	session_ring run "${dir##*/}"
	session_watch "$dir"
	status=$?
	trap - INT TERM HUP
	kill $marker
	wait "${tails[@]}" 2>/dev/null
	exec {lock}>&-

	case $status in
	0) status=$(<"$dir/status") ;;
	"$LAB_TIMEOUT") say "TIMEOUT: killed after $session_timeout s: $*" ;;
	*) hung "$session_trouble; last words: $(tail -qn 1 "$lab_state/l1.log" "$lab_state/qemu.log" 2>/dev/null)" ;;
	esac
	if [[ $(lab_stall_lines | wc -l) -gt $stalls ]]; then
		lab_stall_lines | tail -n 3 >&2
		[[ $status == 0 ]] || hung "L1 stalled during the command, which then returned $status"
		say "L1 stalled during the command, which ended well all the same"
	fi
	return "$status"
}

# Put a command into the mailbox.
session_post() { # DIR COMMAND…
	local dir=$1 word
	shift
	mkdir "$dir"
	touch "$dir/stdout" "$dir/stderr"
	{
		printf 'cd %s 2>/dev/null || cd %s\n' "$(shell_quote "$PWD")" "$(shell_quote "$lab_repo")"
		printf 'exec '
		for word; do shell_quote "$word"; done
		echo
	} >"$dir/command"
}

# Wait for a command's status: 0 it has one, LAB_TIMEOUT it was killed, LAB_HUNG it never will
# ($session_trouble says why).
session_watch() { # DIR
	local dir=$1 began=$SECONDS heard=$SECONDS size='' last killed=''
	until [[ -e $dir/status ]]; do
		lab_nap 0.03
		lab_alive || { session_trouble="L1's QEMU died" && return "$LAB_HUNG"; }
		last=$(stat -c %s "$dir/stdout" "$dir/stderr")
		[[ $last == "$size" ]] || { size=$last heard=$SECONDS; }
		if [[ $session_timeout && ! $killed && $((SECONDS - began)) -ge $session_timeout ]]; then
			killed=$SECONDS
			session_ring kill
		fi
		if [[ $((SECONDS - heard)) -ge $session_patience ]]; then
			session_answers || [[ -e $dir/status ]] || { session_trouble="L1 does not answer" && return "$LAB_HUNG"; }
			heard=$SECONDS
		fi
		if [[ $killed && $((SECONDS - killed)) -ge $((2 * session_patience)) ]]; then
			session_trouble="the command cannot be killed" && return "$LAB_HUNG"
		fi
	done
	[[ ! $killed ]] || return "$LAB_TIMEOUT"
}
