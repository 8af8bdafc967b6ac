# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# The words in which lab/topologies/* describe a server. Each adds to QEMU's command line.

topology_args=()   # QEMU options
topology_append=() # words for L1's kernel command line
topology_ports=0

qemu() { topology_args+=("$@"); }
append() { topology_append+=("$@"); }
device() { qemu -device "$1"; }

# needs DEVICE: a device model that not every QEMU has.
needs() {
	"$session_qemu" -device "$1,help" 2>/dev/null | grep -q . ||
		die "$session_qemu has no device '$1'; AIRLOCK_LAB_QEMU can name a newer QEMU"
}

# An IOMMU, or "none".
iommu() { [[ $1 == none ]] || device "$1"; }

# port ID ADDR [OPTION,…]: a root port on the root bus, unless OPTION is bus=.
port() {
	topology_ports=$((topology_ports + 1))
	[[ ,${3-} == *,bus=* ]] || set -- "$1" "$2" "bus=pcie.0${3:+,$3}"
	device "pcie-root-port,id=$1,addr=$2,chassis=$topology_ports,slot=$topology_ports,$3"
}

# disk ID [SIZE]: a sparse file, new in each lab, to stand behind a drive.
disk() {
	truncate -s 0 "$lab_state/$1.img"
	truncate -s "${2:-256M}" "$lab_state/$1.img"
	qemu -drive "file=$lab_state/$1.img,if=none,id=$1,format=raw,cache=writeback,discard=unmap"
}

# nvme ID BUS [OPTION,…]: a drive without SR-IOV, serial number ID.
nvme() {
	disk "$1-disk"
	device "nvme,id=$1,serial=$1,bus=$2,drive=$1-disk${3:+,$3}"
}

# nvme_sriov ID BUS [OPTION,…]: a drive whose virtual functions have two queues (one of them for I/O)
# and one interrupt each. Namespace 1 is seen by all, 2 to 5 by nobody until attached (vf --private).
nvme_sriov() {
	local nsid
	device "nvme-subsys,id=$1-subsys,nqn=$1"
	device "nvme,id=$1,serial=$1,bus=$2,subsys=$1-subsys,max_ioqpairs=10,msix_qsize=8,sriov_max_vfs=4,sriov_vq_flexible=8,sriov_vi_flexible=4,sriov_max_vq_per_vf=2,sriov_max_vi_per_vf=1${3:+,$3}"
	disk "$1-disk1"
	device "nvme-ns,drive=$1-disk1,bus=$1,nsid=1"
	for nsid in 2 3 4 5; do
		disk "$1-disk$nsid" 64M
		device "nvme-ns,drive=$1-disk$nsid,bus=$1,nsid=$nsid,detached=on"
	done
}

edu() { device "edu,bus=$1,dma_mask=0xffffffff${2:+,$2}"; }

# A size like 4G or 512M, in MiB.
mib() {
	[[ $1 == *M ]] && echo "${1%M}" || echo $((${1%G} * 1024))
}

# The server has this much memory, whatever it was asked to have.
memory_at_least() {
	[[ $(mib "$session_memory") -ge $(mib "$1") ]] || session_memory=$1
}

# Half of a size like 4G, in MiB.
half() { echo $(($(mib "$1") / 2))M; }

topology_load() {
	topology_args=() topology_append=() topology_ports=0
	local file=$lab_repo/lab/topologies/$1
	[[ $1 != */* && -f $file ]] ||
		die "no topology '$1'; there are: $(cd "$lab_repo/lab/topologies" && echo *)"
	# shellcheck source=/dev/null
	. "$file"
}
