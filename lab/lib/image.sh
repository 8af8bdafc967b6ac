# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# The two initial RAM disks: L1's mounts this machine's own root, L2's is a whole tiny guest.

# What a stock kernel needs before and after its root is there; dependencies are added.
readonly image_l1_modules=(virtio_pci 9pnet_virtio 9p irqbypass ccp kvm kvm-amd vfio vfio_iommu_type1
	vfio-pci nvme tun)

image_cpio() { (cd "$1" && find . -mindepth 1 | sort | busybox cpio -o -H newc 2>/dev/null); }

# Modules of the kernel in DIR, flat, with the order to load them in, as a cpio archive.
image_modules_cpio() { # DIR MODULE...
	local dir=$1 base tmp
	shift
	base=$(echo "$dir"/lib/modules/*)
	tmp=$(mktemp -d)
	mkdir "$tmp/modules"
	awk -v want="$*" '
		{ path = $1; sub(/:$/, "", path); name = path; sub(/.*\//, "", name); sub(/\.ko.*/, "", name)
		  gsub(/-/, "_", name); of[name] = path; $1 = ""; deps[path] = $0 }
		function load(path,   list, n) {
			if (path in done) return
			done[path] = 1
			n = split(deps[path], list, " ")
			while (n) load(list[n--])
			print path
		}
		END { n = split(want, names, " ")
		      for (i = 1; i <= n; i++) { gsub(/-/, "_", names[i]); if (names[i] in of) load(of[names[i]]) } }
	' "$base/modules.dep" | while read -r path; do
		cp "$base/$path" "$tmp/modules/"
		echo "${path##*/}" >>"$tmp/modules/order"
	done
	image_cpio "$tmp"
	rm -rf "$tmp"
}

image_busybox() { # ROOT
	local applet
	mkdir -p "$1"/{bin,dev,proc,sys,tmp,run}
	cp /bin/busybox "$1/bin/busybox"
	for applet in $(busybox --list); do [[ $applet == busybox ]] || ln -s busybox "$1/bin/$applet"; done
}

# Is OUT older than any of the files? Then it is made again.
image_stale() { # OUT FILE...
	local out=$1 file
	shift
	for file; do [[ $out -nt $file ]] || return 0; done
	return 1
}

image_l1() { # OUT [KERNEL-DIR]
	local out=$1 kernel=${2-} tmp
	image_stale "$out" "$lab_repo"/lab/l1/init "$lab_repo"/lab/lib/image.sh ${kernel:+"$kernel/vmlinuz"} || return 0
	tmp=$(mktemp -d)
	image_busybox "$tmp"
	cp "$lab_repo/lab/l1/init" "$tmp/init"
	{
		image_cpio "$tmp"
		[[ -z $kernel ]] || image_modules_cpio "$kernel" "${image_l1_modules[@]}"
	} >"$out.$$"
	mv "$out.$$" "$out"
	rm -rf "$tmp"
}

# The guest: busybox, one init, scripts which the kernel command line picks by name.
image_l2() { # OUT SCRIPT...
	local out=$1 tmp
	shift
	image_stale "$out" "$lab_repo"/lab/l2/init "$lab_repo"/lab/lib/image.sh "$@" || return 0
	tmp=$(mktemp -d)
	image_busybox "$tmp"
	mkdir "$tmp/run.d"
	cp "$lab_repo/lab/l2/init" "$tmp/init"
	cp "$@" "$tmp/run.d/"
	image_cpio "$tmp" >"$out.$$"
	mv "$out.$$" "$out"
	rm -rf "$tmp"
}

# A static helper for L1, where a dynamic program costs a second to start.
image_tool() { # OUT SOURCE
	image_stale "$1" "$2" || return 0
	${CC:-cc} -std=gnu17 -O2 -Wall -Wextra -Werror -static -o "$1.$$" "$2" ||
		die "cannot compile $2 (a C compiler and libc6-dev are needed: scripts/setup)"
	mv "$1.$$" "$1"
}

image_all() {
	mkdir -p "$lab_cache/bin"
	[[ ! -e $lab_cache/generic ]] || image_l1 "$lab_cache/l1.cpio" "$lab_cache/generic"
	image_l1 "$lab_cache/l1-builtin.cpio" # for a kernel with everything built in
	image_l2 "$lab_cache/l2.cpio" "$lab_repo"/lab/l2/run/*
	image_tool "$lab_cache/bin/nvme-vf" "$lab_repo/lab/l1/nvme-vf.c"
}
