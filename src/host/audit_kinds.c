// SPDX-License-Identifier: GPL-2.0-or-later
/* What each finding means. Names are for good: scripts and docs/findings.md refer to them. */
#include <string.h>

#include "base/bits.h"
#include "host/audit.h"

static const struct host_finding_kind kinds[HOST_NR_FINDINGS] = {
	[HOST_FIND_NO_IOMMU] = {
		.id = "no-iommu",
		.severity = HOST_UNSAFE,
		.title = "no IOMMU is at work",
		.why = "A device writes wherever it is told to. Without an IOMMU a VM that is given a "
		       "device is given all of the host's memory.",
		.remedy = "Turn VT-d, AMD-Vi or \"IOMMU\" on in the firmware's setup. On Intel also boot "
			  "with intel_iommu=on; take intel_iommu=off, amd_iommu=off and iommu=off out.",
	},
	[HOST_FIND_HYPERVISOR] = {
		.id = "other-hypervisor",
		.severity = HOST_UNSAFE,
		.title = "another hypervisor owns this host",
		.why = "Under Xen the hypervisor keeps the IOMMU, and KVM cannot run beside it.",
		.remedy = "Boot Linux directly, not as a Xen domain.",
	},
	[HOST_FIND_NOIOMMU_MODE] = {
		.id = "noiommu-mode",
		.severity = HOST_UNSAFE,
		.title = "VFIO's no-IOMMU mode is allowed",
		.why = "VFIO hands devices out with nothing to confine their DMA. It exists for "
		       "experiments; a VM with such a device can read and write the whole host.",
		.remedy = "Take enable_unsafe_noiommu_mode=1 out of /etc/modprobe.d and the kernel command "
			  "line, then: echo N > "
			  "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode",
	},
	[HOST_FIND_IRQ_REMAPPING] = {
		.id = "irq-remapping-off",
		.severity = HOST_UNSAFE,
		.title = "interrupts are not remapped",
		.why = "An interrupt is a memory write. Without remapping a device that a guest controls "
		       "can raise any vector on any CPU of the host.",
		.remedy = "Turn interrupt remapping (x2APIC, VT-d) on in the firmware's setup; take "
			  "intremap=off, nointremap and nox2apic out of the kernel command line.",
	},
	[HOST_FIND_UNSAFE_INTERRUPTS] = {
		.id = "unsafe-interrupts",
		.severity = HOST_UNSAFE,
		.title = "VFIO is told to do without interrupt isolation",
		.why = "allow_unsafe_interrupts lets VFIO attach devices whose interrupts are not "
		       "checked, so the refusal that would protect the host does not come.",
		.remedy = "Take allow_unsafe_interrupts=1 out of /etc/modprobe.d, then: echo N > "
			  "/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts",
	},
	[HOST_FIND_ACS_OVERRIDE] = {
		.id = "acs-override",
		.severity = HOST_UNSAFE,
		.title = "the ACS override patch is at work",
		.why = "It makes the kernel call devices isolated that the hardware does not isolate: its "
		       "groups are smaller than what can really talk. Two VMs may then reach each other's "
		       "devices, and through them memory.",
		.remedy = "Boot without pcie_acs_override= and assign whole groups, or move the device to "
			  "a slot whose port has ACS (airlock topology).",
	},
	[HOST_FIND_ACS_OPTIONS] = {
		.id = "acs-options",
		.severity = HOST_WARNING,
		.title = "ACS is configured by the kernel command line",
		.why = "pci=config_acs= and pci=disable_acs_redir= turn isolation off on chosen ports. "
		       "Groups grow, or peers talk past the IOMMU.",
		.remedy = "Take the option out unless peer-to-peer traffic between those devices is wanted; "
			  "then give them to one VM only.",
	},
	[HOST_FIND_GROUP_SPLIT] = {
		.id = "group-split",
		.severity = HOST_WARNING,
		.title = "the kernel separates what configuration does not",
		.why = "The kernel trusts the hardware's maker (a quirk), or was told to (the ACS override "
		       "patch). Nothing in configuration space shows that these devices cannot talk.",
		.remedy = "Where acs-override is found, treat them as one group. Else the kernel's quirk "
			  "stands for the maker's word: give such siblings to different VMs only if you "
			  "take that word.",
	},
	[HOST_FIND_GROUP_JOINED] = {
		.id = "group-joined",
		.severity = HOST_INFO,
		.title = "the kernel joins what configuration shows isolated",
		.why = "A quirk knows that these devices use each other's requester id or are not isolated "
		       "after all. The group is assigned whole.",
		.remedy = "None is needed.",
	},
	[HOST_FIND_PEER_PATH] = {
		.id = "peer-path",
		.severity = HOST_WARNING,
		.title = "a device may reach one of another group past the IOMMU",
		.why = "A port that does not redirect requests may turn them around to a sibling, even one "
		       "that is itself isolated. The kernel's groups do not show it; the PCI Express "
		       "specification allows it.",
		.remedy = "Do not give these devices to two VMs. A slot below a port with ACS separates "
			  "them (airlock topology shows which have it).",
	},
	[HOST_FIND_GROUP_BLOCKED] = {
		.id = "group-blocked",
		.severity = HOST_WARNING,
		.title = "a group is not whole",
		.why = "Part of the group is bound to vfio-pci while the host's driver holds the rest, so "
		       "VFIO refuses the group.",
		.remedy = "Bind the whole group: airlock bind DEVICE --group; or move one of the devices "
			  "to a slot of its own.",
	},
	[HOST_FIND_FIRMWARE_REGION] = {
		.id = "firmware-region",
		.severity = HOST_WARNING,
		.title = "the firmware keeps memory mapped for a device",
		.why = "The firmware (RMRR, IVMD) shares memory with the device behind the system's back. "
		       "VFIO refuses such a device, for a guest could use it to reach that memory.",
		.remedy = "Look in the firmware's setup for the feature that uses the device (management "
			  "controller, USB legacy, RAID) and turn it off for this slot.",
	},
	[HOST_FIND_EXTERNAL_DMA] = {
		.id = "external-dma",
		.severity = HOST_UNSAFE,
		.title = "external ports are not protected against DMA",
		.why = "Whoever plugs a device into the Thunderbolt or USB4 port can read and write the "
		       "host's memory.",
		.remedy = "Turn kernel DMA protection on in the firmware's setup, keep the IOMMU on, or set "
			  "the port's security level to user or dponly.",
	},
	[HOST_FIND_BOOT_DMA] = {
		.id = "boot-dma",
		.severity = HOST_INFO,
		.title = "no DMA protection while the host boots",
		.why = "The firmware does not ask the system to keep DMA blocked until its drivers are "
		       "ready. A hostile device has that time for itself.",
		.remedy = "Turn \"DMA protection\" or \"pre-boot DMA protection\" on in the firmware's "
			  "setup.",
	},
	[HOST_FIND_ATS_EXTERNAL] = {
		.id = "ats-external",
		.severity = HOST_UNSAFE,
		.title = "an external device may translate addresses itself",
		.why = "With ATS on, the IOMMU believes the device that its addresses were translated. A "
		       "hostile device lies.",
		.remedy = "Boot with pci=noats, or see that the firmware marks the port as "
			  "external-facing: the kernel then leaves ATS off.",
	},
	[HOST_FIND_HOTPLUG_TRUST] = {
		.id = "hotplug-trust",
		.severity = HOST_INFO,
		.title = "a hot-plug port trusts whatever is plugged in",
		.why = "The firmware does not mark the port as external-facing, so the kernel gives a new "
		       "device there the host's own trust: a driver is bound and ATS may be used.",
		.remedy = "Where people other than the host's owner can reach the slot: echo 0 > "
			  "/sys/bus/pci/drivers_autoprobe, and lock the slot.",
	},
	[HOST_FIND_UIO] = {
		.id = "uio-driver",
		.severity = HOST_UNSAFE,
		.title = "a device is driven from user space without an IOMMU",
		.why = "UIO gives a process a device that can do DMA anywhere. Whoever holds the node owns "
		       "the host, in a container as well.",
		.remedy = "Use vfio-pci instead: airlock bind DEVICE",
	},
	[HOST_FIND_RAW_NODE] = {
		.id = "raw-node",
		.severity = HOST_UNSAFE,
		.title = "a process holds a raw device or memory node",
		.why = "UIO nodes, a function's resource files, no-IOMMU groups and /dev/mem reach hardware "
		       "with nothing in between. A container handed one is not contained; a VM behind the "
		       "IOMMU would be.",
		.remedy = "Stop the process, or give it the device through VFIO or in a VM.",
	},
	[HOST_FIND_FAULTS] = {
		.id = "iommu-faults",
		.severity = HOST_WARNING,
		.title = "the IOMMU has blocked something",
		.why = "A device tried to reach memory or raise an interrupt that is not its own: a wrong "
		       "driver, a wrong firmware table, or an attack that failed. The kernel logs only a "
		       "few of them.",
		.remedy = "dmesg | grep -e DMAR -e AMD-Vi names the devices. If it is one a guest holds, "
			  "look at that guest.",
	},
	[HOST_FIND_NO_RESET] = {
		.id = "no-reset",
		.severity = HOST_WARNING,
		.title = "a device cannot be reset",
		.why = "What one guest leaves in the device, the next one or the host finds there: data, "
		       "firmware, DMA still running.",
		.remedy = "Give it to one trusted VM only and power the host off between two of them; or "
			  "put it below a port of its own, which makes a bus reset possible.",
	},
	[HOST_FIND_INTX_SHARED] = {
		.id = "intx-shared",
		.severity = HOST_WARNING,
		.title = "a device has only a shared interrupt line",
		.why = "It has neither MSI nor MSI-X, and its line is shared with others. VFIO must be able "
		       "to mask it at the device; where that fails the device cannot be assigned.",
		.remedy = "Move the card to another slot, or unload the drivers that share the line.",
	},
	[HOST_FIND_CONSOLE] = {
		.id = "boot-console",
		.severity = HOST_INFO,
		.title = "the host's screen is on this device",
		.why = "The firmware's console uses it. Taken from the host, the screen goes dark, and its "
		       "ROM may have been changed by use.",
		.remedy = "Have another graphics card as the first one in the firmware's setup, or a "
			  "serial console.",
	},
	[HOST_FIND_NUMA] = {
		.id = "numa-unknown",
		.severity = HOST_WARNING,
		.title = "the device's NUMA node is not known",
		.why = "The host has several nodes and the firmware does not say which the device is near "
		       "to. A VM placed on the wrong one pays for every access and every interrupt.",
		.remedy = "Update the firmware (_PXM), or place by hand: airlock run --numa NODE.",
	},
	[HOST_FIND_NUMA_SPLIT] = {
		.id = "numa-split",
		.severity = HOST_WARNING,
		.title = "the devices are on different NUMA nodes",
		.why = "A VM that gets them all is far from one of them wherever it is placed: its interrupts "
		       "and its accesses to memory cross to the other node.",
		.remedy = "Take devices of one node, or let the guest see both: airlock run --numa NODE,NODE.",
	},
	[HOST_FIND_MEMLOCK] = {
		.id = "memlock-low",
		.severity = HOST_WARNING,
		.title = "the locked-memory limit is too low for a VM",
		.why = "All of a VM's memory is pinned when it has a device. The kernel refuses beyond "
		       "RLIMIT_MEMLOCK.",
		.remedy = "ulimit -l in the shell, LimitMEMLOCK= in a systemd unit, memlock in "
			  "/etc/security/limits.conf.",
	},
	[HOST_FIND_HEADROOM] = {
		.id = "host-headroom",
		.severity = HOST_WARNING,
		.title = "the VM's memory would not leave the host its reserve",
		.why = "Pinned memory can be neither reclaimed nor swapped. When the host has nothing left "
		       "the kernel starts to kill.",
		.remedy = "Give the VM less memory, stop something, or raise the control group's limit.",
	},
	[HOST_FIND_KVM] = {
		.id = "no-kvm",
		.severity = HOST_WARNING,
		.title = "KVM is not there",
		.why = "VMs run on KVM. Without it nothing can be given to one.",
		.remedy = "Turn virtualisation (VT-x, SVM) on in the firmware's setup; modprobe kvm_intel "
			  "or kvm_amd.",
	},
	[HOST_FIND_NESTED] = {
		.id = "no-nested",
		.severity = HOST_INFO,
		.title = "guests cannot run VMs themselves",
		.why = "Nested virtualisation is off. A guest that is to pass its device on to a guest of "
		       "its own needs it.",
		.remedy = "When no VM runs: modprobe -r kvm_intel && modprobe kvm_intel "
			  "nested=1 (or kvm_amd).",
	},
	[HOST_FIND_VFIO] = {
		.id = "no-vfio",
		.severity = HOST_INFO,
		.title = "vfio-pci is not loaded",
		.why = "Devices are handed out through it. airlock bind loads it where the kernel has it.",
		.remedy = "modprobe vfio-pci",
	},
	[HOST_FIND_PASSTHROUGH] = {
		.id = "host-passthrough",
		.severity = HOST_INFO,
		.title = "the host's own devices bypass translation",
		.why = "iommu=pt and identity domains concern devices that the host drives: those can reach "
		       "all memory, as without an IOMMU. A device given to a VM is translated all the same.",
		.remedy = "Boot without iommu=pt to confine the host's own devices too, at some cost.",
	},
	[HOST_FIND_LAZY] = {
		.id = "lazy-invalidation",
		.severity = HOST_INFO,
		.title = "unmapped memory stays reachable for a moment",
		.why = "For devices the host drives, the IOMMU is told of an unmap in batches, up to 10 ms "
		       "later. It does not concern devices given to VMs: VFIO waits.",
		.remedy = "iommu.strict=1 closes the window, at some cost in network and disk throughput.",
	},
	[HOST_FIND_X2APIC] = {
		.id = "no-x2apic-remapping",
		.severity = HOST_INFO,
		.title = "interrupts cannot be remapped to every CPU",
		.why = "The IOMMU cannot address x2APIC ids: only the first 255 CPUs take interrupts of "
		       "devices.",
		.remedy = "None but other hardware; a firmware may hide it (\"x2APIC opt out\").",
	},
	[HOST_FIND_POSTED] = {
		.id = "no-posted-interrupts",
		.severity = HOST_INFO,
		.title = "device interrupts cost an exit",
		.why = "The IOMMU cannot post interrupts into a running guest. Each interrupt of a passed-"
		       "through device stops the vCPU or wakes a host thread first.",
		.remedy = "None but other hardware.",
	},
	[HOST_FIND_HUGEPAGES] = {
		.id = "no-hugepages",
		.severity = HOST_INFO,
		.title = "no huge pages are set aside",
		.why = "Guest RAM from huge pages takes fewer IOMMU entries and fewer page walks, and "
		       "cannot be fragmented away. Transparent huge pages serve most VMs without it.",
		.remedy = "hugepages=N or hugepagesz=1G hugepages=N on the kernel command line; then "
			  "--memory SIZE,hugepages=2M (or 1G).",
	},
	[HOST_FIND_UNREADABLE] = {
		.id = "unreadable",
		.severity = HOST_INFO,
		.title = "part of a device's description could not be read",
		.why = "Files were empty, cut, malformed or not visible to this user. Other findings on this "
		       "device may be missing.",
		.remedy = "Run as root. If it stays: the device may be gone, asleep or broken (lspci -vv).",
	},
};

const struct host_finding_kind *host_finding_kind(enum host_finding_id id)
{
	return &kinds[id];
}

const struct host_finding_kind *host_finding_kind_by_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kinds[i].id, name))
			return &kinds[i];
	return NULL;
}

const char *host_severity_name(enum host_severity severity)
{
	static const char *const names[] = {
		[HOST_INFO] = "info",
		[HOST_WARNING] = "warning",
		[HOST_UNSAFE] = "unsafe",
	};

	return names[severity];
}

const char *host_finding_state_name(enum host_finding_state state)
{
	static const char *const names[] = {
		[HOST_FOUND] = "found",
		[HOST_ABSENT] = "absent",
		[HOST_NOT_KNOWN] = "unknown",
	};

	return names[state];
}
