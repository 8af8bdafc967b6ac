# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Kernels come as distribution packages, are unpacked into the cache and never installed.

# Module folders that no lab needs; they are most of the package.
readonly fetch_leave_out=(sound net/wireless net/bluetooth drivers/{gpu,media,iio,staging,scsi,infiniband,usb,hid}
	drivers/net/wireless drivers/net/ethernet/{mellanox,broadcom,chelsio,qlogic,marvell,netronome})

# Apt with the system's package lists; with lists of our own once those proved stale.
fetch_apt_options=(-o APT::Sandbox::User=root)
fetch_own_lists() {
	local dir=$lab_cache/apt
	mkdir -p "$dir/state/lists/partial" "$dir/cache/archives/partial"
	fetch_apt_options+=(-o "Dir::State=$dir/state" -o "Dir::Cache=$dir/cache"
		-o Dir::State::status=/var/lib/dpkg/status)
	say "reading fresh package lists"
	apt-get "${fetch_apt_options[@]}" update >&2
}

# The versioned package behind a metapackage, e.g. linux-image-amd64 -> linux-image-6.1.0-56-amd64.
fetch_resolve() {
	apt-cache "${fetch_apt_options[@]}" depends "$1" 2>/dev/null |
		awk '$1 == "Depends:" && $2 ~ /^linux-image-[0-9]/ { print $2; exit }'
}

fetch_download() { # METAPACKAGE DIR; prints the package's name
	local package
	package=$(fetch_resolve "$1")
	[[ $package ]] || return 1
	(cd "$2" && apt-get "${fetch_apt_options[@]}" download "$package" >&2) && echo "$package"
}

# The kernel proper out of a bzImage (boot protocol: setup_sects, payload_offset, payload_length). L1
# starts from it in half the time, since software emulation is slow at unpacking.
fetch_unpack_kernel() { # VMLINUZ OUT
	local setup offset length start unpack
	setup=$(od -An -tu1 -j $((0x1f1)) -N1 "$1")
	read -r offset length < <(od -An -tu4 -j $((0x248)) -N8 "$1")
	start=$(((setup + 1) * 512 + offset))
	case $(od -An -tx1 -j "$start" -N4 "$1") in
	' fd 37 7a 58') unpack=xz ;;
	' 28 b5 2f fd') unpack=zstd ;;
	' 1f 8b '*) unpack=gzip ;;
	*) return 1 ;;
	esac
	# The payload's last four bytes are its unpacked size, not part of the stream.
	dd if="$1" bs=1M iflag=skip_bytes,count_bytes skip="$start" count=$((length - 4)) status=none |
		$unpack -dc >"$2.new" && mv "$2.new" "$2"
}

# fetch_kernel FLAVOUR METAPACKAGE: leaves $lab_cache/FLAVOUR/{vmlinuz,lib/modules/VERSION,package} and,
# where it can be unpacked, vmlinux.
fetch_kernel() {
	local dir=$lab_cache/$1 tmp package exclude=() leave
	[[ -e $dir/vmlinuz ]] && return
	type apt-get apt-cache dpkg-deb >/dev/null 2>&1 || die "no apt here, and the lab's kernels are Debian packages"
	mkdir -p "$lab_cache"
	rm -rf "$lab_cache"/fetch.* # left by one that was interrupted
	tmp=$(mktemp -d "$lab_cache/fetch.XXXXXX")
	say "fetching the $1 kernel ($2) into $lab_cache"
	package=$(fetch_download "$2" "$tmp") ||
		{ fetch_own_lists && package=$(fetch_download "$2" "$tmp"); } ||
		die "cannot download $2: no network, or apt's sources have no such package"
	say "unpacking $package"
	for leave in "${fetch_leave_out[@]}"; do exclude+=("--exclude=./lib/modules/*/kernel/$leave"); done
	dpkg-deb --fsys-tarfile "$tmp"/*.deb | tar -x -C "$tmp" "${exclude[@]}" ./boot ./lib ||
		die "cannot unpack $package into $lab_cache"
	rm "$tmp"/*.deb
	mv "$tmp"/boot/vmlinuz-* "$tmp/vmlinuz"
	fetch_unpack_kernel "$tmp/vmlinuz" "$tmp/vmlinux" || rm -f "$tmp/vmlinux.new"
	echo "$package" >"$tmp/package"
	busybox depmod -b "$tmp" "$(ls "$tmp/lib/modules")"
	chmod 755 "$tmp"
	rm -rf "$dir"
	mv "$tmp" "$dir"
}
