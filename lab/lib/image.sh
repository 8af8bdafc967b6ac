# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# The two initial RAM disks: L1's mounts this machine's own root, L2's is a whole tiny guest.

# What a stock kernel needs before and after its root is there; dependencies are added.
readonly image_l1_modules=(virtio_pci 9pnet_virtio 9p irqbypass ccp kvm kvm-amd vfio vfio_iommu_type1
	vfio-pci nvme tun)
# And the guest, which gives devices on.
# Its scripts load those that they want, so that other guests do not wait for them.
readonly image_l2_modules=(vfio-pci vfio_iommu_type1 virtio_pci virtio_blk virtio_console virtio-rng
	virtio_balloon)

image_cpio() { (cd "$1" && find . -mindepth 1 | sort | busybox cpio -o -H newc 2>/dev/null); }

# Modules from DIR (lib/modules/VERSION), flat, with the order to load them in, as a cpio archive.
image_modules_cpio() { # DIR MODULE…
	local base=$1 tmp
	shift
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

# image_make KIND BUILD INPUT…: prints the path of KIND's image, made by BUILD (a function that fills the
# folder it is given, then prints more archive to append) unless one from the same inputs is there.
image_make() {
	local kind=$1 build=$2 hash out tmp
	shift 2
	hash=$(cat "$lab_repo/lab/lib/image.sh" "$@" | sha256sum)
	out=$lab_cache/image/$kind-${hash:0:16}.cpio
	if [[ ! -e $out ]]; then
		mkdir -p "$lab_cache/image"
		find "$lab_cache/image" -mtime +14 -delete
		tmp=$(mktemp -d)
		image_busybox "$tmp"
		"$build" "$tmp" "$@" >"$tmp.more" && { image_cpio "$tmp" && cat "$tmp.more"; } >"$out.$$" &&
			mv "$out.$$" "$out" || die "cannot make the $kind image"
		rm -rf "$tmp" "$tmp.more"
	fi
	echo "$out"
}

# L1: init, the static tools and, for a stock kernel, its modules.
image_l1() { # [KERNEL-FOLDER]
	image_make "l1${1:+-${1##*/}}" image_l1_build "$lab_repo"/lab/l1/{init,nvme-vf.c,witness.c} \
		${1:+"$1/package" "$1"/lib/modules/*/modules.dep}
}

image_l1_build() { # ROOT INIT SOURCE SOURCE [PACKAGE MODULES.DEP]
	cp "$2" "$1/init"
	mkdir "$1/tools"
	image_compile "$1/tools" "$3" "$4"
	[[ $# -lt 6 ]] || image_modules_cpio "${6%/*}" "${image_l1_modules[@]}"
}

# Static: a dynamic program costs L1 a second to start, and L2 has no libraries at all.
image_compile() { # FOLDER SOURCE…
	local dir=$1 source
	shift
	for source; do
		${CC:-cc} -std=gnu17 -O2 -Wall -Wextra -Werror -static -o "$dir/$(basename "$source" .c)" "$source" ||
			die "cannot compile $source (a C compiler and libc6-dev are needed: scripts/setup)"
	done
}

# L2, the guest: busybox, an init, tools, its kernel's VFIO and virtio modules, and scripts (the lab's own and those
# given) of which the kernel command line picks one by name.
image_l2() { # SCRIPT…
	image_make l2 image_l2_build "$lab_repo"/lab/l2/{init,tools/edu.c,tools/edu_peer.c,tools/vfio_edu.c} \
		"$lab_cache"/cloud/{package,lib/modules/*/modules.dep} "$lab_repo"/lab/l2/run/* "$@"
}

image_l2_build() { # ROOT INIT TOOL TOOL TOOL PACKAGE MODULES.DEP SCRIPT…
	local root=$1
	cp "$2" "$root/init"
	image_compile "$root/bin" "$3" "$4" "$5"
	mkdir "$root/run.d"
	cp "${@:8}" "$root/run.d/"
	image_modules_cpio "${7%/*}" "${image_l2_modules[@]}"
}
