#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes the host descriptions of this folder (*.host) that were not captured from a machine.

Each is a host nobody on the team owns, put together from what such machines show in sysfs. Run it
from anywhere after a change; the files are kept, so that the tests need no Python.
"""
import os
import struct

HERE = os.path.dirname(os.path.abspath(__file__))

ENDPOINT, LEGACY, ROOT, UP, DOWN, TO_PCI, FROM_PCI, INTEGRATED, COLLECTOR = 0, 1, 4, 5, 6, 7, 8, 9, 10
SV, TB, RR, CR, UF, EC, DT = 1, 2, 4, 8, 16, 32, 64
ISOLATED = SV | RR | CR | UF
MEM64 = 0x140204
MEM64P = 0x14220c
MEM32 = 0x40200
IO = 0x40101


class Function:
    """One PCI function: its identity, configuration space and sysfs files."""

    def __init__(self, address, vendor, device, cls, **k):
        self.address, self.vendor, self.device, self.cls = address, vendor, device, cls
        self.parent = k.get('parent')            # a Function, or None on a root bus
        self.port = k.get('port')                # PCI Express type; None: conventional
        self.driver = k.get('driver')
        self.group = k.get('group')
        self.node = k.get('node', -1)
        self.multi = k.get('multi', False)
        self.acs = k.get('acs')                  # (capability, control)
        self.reset = k.get('reset', 'flr' if k.get('flr') else None)
        self.flr = k.get('flr', False)
        self.bars = k.get('bars', [])            # (size, flags)
        self.msix = k.get('msix', 0)
        self.msi = k.get('msi', 0)
        self.pin = k.get('pin', 0)
        self.sriov = k.get('sriov')              # (total, made)
        self.physfn = k.get('physfn')
        self.ats = k.get('ats')                  # None, False (off) or True (on)
        self.hotplug = k.get('hotplug', False)
        self.link = k.get('link')                # (speed, width, max speed, max width)
        self.buses = k.get('buses', (0, 0))      # secondary, subordinate
        self.files = k.get('files', {})          # further files, by name
        self.unit = k.get('unit', 'dmar0')
        self.root = k.get('root')                # "pci0000:00" where it cannot be guessed
        self.see = k.get('see', 4096)            # bytes of configuration the reader saw

    def bridge(self):
        return self.cls >> 8 == 0x0604

    def path(self):
        if self.parent:
            return self.parent.path() + '/' + self.address
        domain, bus = self.address.split(':')[:2]
        return '../../../devices/' + (self.root or 'pci%s:%s' % (domain, bus)) + '/' + self.address

    def config(self):
        c = bytearray(4096)
        vendor, device = (0xffff, 0xffff) if self.physfn else (self.vendor, self.device)
        struct.pack_into('<HHHH', c, 0, vendor, device, 0x0406 if self.driver else 0x0400, 0x0010)
        struct.pack_into('<I', c, 8, self.cls << 8 | 1)
        c[0x0e] = (1 if self.bridge() else 0) | (0x80 if self.multi else 0)
        if self.bridge():
            c[0x18], c[0x19], c[0x1a] = int(self.address[-7:-5], 16), *self.buses
        else:
            struct.pack_into('<HH', c, 0x2c, self.vendor, self.device)
        c[0x3d] = self.pin
        at, last = 0x40, 0x34

        def cap(ident, body):
            nonlocal at, last
            c[last] = at
            c[at] = ident
            c[at + 2:at + 2 + len(body)] = body
            last, at = at + 1, (at + 2 + len(body) + 3) & ~3
        cap(1, struct.pack('<HHH', 3, 8, 0))
        if self.msi:
            cap(5, struct.pack('<HIII', 0x80 | (self.msi.bit_length() - 1) << 1, 0, 0, 0))
        if self.msix:
            cap(0x11, struct.pack('<HII', self.msix - 1, 0, 0x1000))
        if self.port is not None:
            slot = self.port in (ROOT, DOWN)
            speed, width, max_speed, max_width = self.link or (0, 0, 0, 0)
            cap(0x10, struct.pack('<HIHHIHHI', 2 | self.port << 4 | (0x100 if slot else 0),
                                  1 << 28 if self.flr else 0, 0, 0, max_speed | max_width << 4, 0,
                                  speed | width << 4, 0x40 if self.hotplug else 0))
        ext = []
        if self.acs is not None:
            ext.append((0x0d, struct.pack('<HH', *self.acs)))
        if self.ats is not None:
            ext.append((0x0f, struct.pack('<HH', 0, 0x8000 if self.ats else 0)))
        if self.sriov:
            ext.append((0x10, struct.pack('<IHHHHHH', 0, 0, 0, self.sriov[0], self.sriov[0],
                                          self.sriov[1], 0)))
        at = 0x100
        for i, (ident, body) in enumerate(ext):
            after = (at + 4 + len(body) + 3) & ~3
            struct.pack_into('<I', c, at, ident | 1 << 16 | (after << 20 if i + 1 < len(ext) else 0))
            c[at + 4:at + 4 + len(body)] = body
            at = after
        return bytes(c[:min(self.see, 4096 if self.port is not None else 256)])

    def lines(self, out, address_space):
        dev = 'bus/pci/devices/' + self.address
        out.link(dev, self.path())
        uevent = ('DRIVER=%s\n' % self.driver) if self.driver else ''
        uevent += 'PCI_CLASS=%X\nPCI_ID=%04X:%04X\nPCI_SUBSYS_ID=%04X:%04X\nPCI_SLOT_NAME=%s\n' % (
            self.cls, self.vendor, self.device, self.vendor, self.device, self.address)
        out.text(dev + '/uevent', uevent)
        out.raw(dev + '/config', self.config())
        resource = ''
        for i in range(7):
            if i < len(self.bars) and self.bars[i]:
                size, flags = self.bars[i]
                base = address_space.take(size)
                resource += '0x%016x 0x%016x 0x%016x\n' % (base, base + size - 1, flags)
            else:
                resource += '0x%016x 0x%016x 0x%016x\n' % (0, 0, 0)
        out.text(dev + '/resource', resource)
        out.text(dev + '/numa_node', '%d\n' % self.node)
        out.text(dev + '/enable', '%d\n' % bool(self.driver))
        if self.reset:
            out.text(dev + '/reset_method', self.reset + '\n')
        if self.driver:
            out.link(dev + '/driver', '../../../bus/pci/drivers/' + self.driver)
        if self.group is not None:
            out.link(dev + '/iommu_group', '../../../kernel/iommu_groups/%d' % self.group)
            out.link('kernel/iommu_groups/%d/devices/%s' % (self.group, self.address), self.path())
            if self.unit:
                out.link(dev + '/iommu', '../../../virtual/iommu/' + self.unit)
        if self.physfn:
            out.link(dev + '/physfn', '../' + self.physfn.address)
        if self.sriov:
            out.text(dev + '/sriov_totalvfs', '%d\n' % self.sriov[0])
            out.text(dev + '/sriov_numvfs', '%d\n' % self.sriov[1])
        for name, text in self.files.items():
            out.text(dev + '/' + name, text)


class AddressSpace:
    def __init__(self):
        self.next = 0xc0000000

    def take(self, size):
        self.next = (self.next + size - 1) // size * size
        self.next += size
        return self.next - size


def escape(text, path=False):
    out = ''
    for c in text:
        if c == '\n':
            out += '\\n'
        elif c == '\t':
            out += '\\t'
        elif c == '\\':
            out += '\\\\'
        elif not ' ' <= c <= '~' or (path and c == ' '):
            out += '\\x%02x' % ord(c)
        else:
            out += c
    return out


class Out:
    def __init__(self):
        self.facts = {}

    def put(self, tree, path, fact):
        self.facts[(tree, path)] = fact

    def text(self, path, text, tree='sys'):
        self.put(tree, path, '= ' + escape(text))

    def link(self, path, target, tree='sys'):
        self.put(tree, path, '-> ' + escape(target))

    def raw(self, path, data, tree='sys'):
        fact, i = 'hex %d' % len(data), 0
        while i < len(data):
            if not data[i]:
                i += 1
                continue
            end = i
            while end < len(data) and any(data[end:end + 4]):
                end += 1
            fact += ' %x:%s' % (i, data[i:end].hex())
            i = end
        self.put(tree, path, fact)


VTD_CAP = 0x8d2078c106f0466        # as a Xeon of 2015 shows it, with posted interrupts
VTD_ECAP = 0xf020df


class Host:
    """A host to be: functions, and what the kernel says of itself."""

    def __init__(self, name, title, **k):
        self.name, self.title, self.k = name, title, k
        self.functions, self.extra, self.proc, self.regions = [], [], {}, {}
        self.types = {}

    def add(self, address, vendor, device, cls, **k):
        f = Function(address, vendor, device, cls, **k)
        self.functions.append(f)
        return f

    def more(self, fn):
        self.extra.append(fn)

    def write(self):
        out, space = Out(), AddressSpace()
        k = self.k
        for f in self.functions:
            f.lines(out, space)
        for group in sorted({f.group for f in self.functions if f.group is not None}):
            base = 'kernel/iommu_groups/%d/' % group
            out.text(base + 'reserved_regions', self.regions.get(group, '') +
                     '0x00000000fee00000 0x00000000feefffff msi\n')
            out.text(base + 'type', self.types.get(group, k.get('type', 'DMA-FQ')) + '\n')
        units = k.get('units', ['dmar0'])
        for unit in units:
            if unit.startswith('dmar'):
                out.text('class/iommu/%s/intel-iommu/cap' % unit, '%x\n' % k.get('cap', VTD_CAP))
                out.text('class/iommu/%s/intel-iommu/ecap' % unit, '%x\n' % k.get('ecap', VTD_ECAP))
            else:
                out.text('class/iommu/%s/amd-iommu/cap' % unit, '190b640f\n')
                out.text('class/iommu/%s/amd-iommu/features' % unit, '246577efa2254afa:10\n')
        if not units:
            out.put('sys', 'class/iommu', '/')
        for table in k.get('tables', ['DMAR'] if units else []):
            out.put('sys', 'firmware/acpi/tables/' + table, '! EACCES')
        out.put('sys', 'firmware/acpi/tables/FACP', '! EACCES')
        out.text('cmdline', 'BOOT_IMAGE=/vmlinuz root=/dev/sda1 ro %s\n' %
                 k.get('cmdline', 'intel_iommu=on'), 'proc')
        chip = 'IR-' if k.get('remapping', bool(units)) else ''
        out.text('interrupts', '            CPU0       CPU1\n   8:          1          0  '
                 '%sIO-APIC    8-edge      rtc0\n 120:       5000          2  %sPCI-MSI 524288-edge'
                 '      nvme0q0\nNMI:          0          0   Non-maskable interrupts\n' % (chip, chip),
                 'proc')
        out.text('self/status', 'Name:\tairlock\nVmLck:\t       0 kB\nCapEff:\t%s\n' %
                 k.get('caps', '0000000000000000'), 'proc')
        memory = k.get('memory', (64 << 20, 48 << 20))
        out.text('meminfo', 'MemTotal:       %d kB\nMemFree:        %d kB\nMemAvailable:   %d kB\n'
                 'SwapFree:              0 kB\n' % (memory[0], memory[1] // 2, memory[1]), 'proc')
        for size in (2048, 1048576):
            base = 'kernel/mm/hugepages/hugepages-%dkB/' % size
            pages = k.get('hugepages', {}).get(size, 0)
            out.text(base + 'nr_hugepages', '%d\n' % pages)
            out.text(base + 'free_hugepages', '%d\n' % pages)
        for node in range(k.get('nodes', 1)):
            base = 'devices/system/node/node%d/' % node
            out.text(base + 'meminfo', 'Node %d MemTotal:       %d kB\nNode %d MemFree:        %d kB\n' %
                     (node, memory[0] // k.get('nodes', 1), node, memory[1] // k.get('nodes', 1)))
        nodes = k.get('nodes', 1)
        out.text('devices/system/node/online', '0-%d\n' % (nodes - 1) if nodes > 1 else '0\n')
        out.link('class/misc/kvm', '../../devices/virtual/misc/kvm')
        out.put('sys', 'bus/pci/drivers/vfio-pci', '.')
        out.text('self/cgroup', '0::/user.slice/session.scope\n', 'proc')
        out.text('fs/cgroup/user.slice/memory.max', '%s\n' % k.get('cgroup', 'max'))
        out.text('fs/cgroup/user.slice/memory.current', '1048576\n')
        out.text('kernel', k.get('log', '<6>[    0.5] DMAR: Host address width 46\n'), 'log')
        # A process that holds nothing of interest.
        out.link('1/fd/0', '/dev/null', 'proc')
        out.link('1/ns/mnt', 'mnt:[4026531840]', 'proc')
        out.text('module/%s/parameters/nested' % ('kvm_amd' if 'AMD' in self.title else 'kvm_intel'),
                 'Y\n')
        out.text('module/vfio_iommu_type1/parameters/allow_unsafe_interrupts', 'N\n')
        out.text('kernel/mm/transparent_hugepage/enabled', 'always [madvise] never\n')
        for name, text in k.get('params', {}).items():
            out.text('module/' + name, text)
        for fn in self.extra:
            fn(out)
        soft, hard = k.get('memlock', (8 << 20, 8 << 20))
        lines = ['airlock-host 1', '# ' + self.title, 'unlisted absent',
                 'limit memlock %s %s' % (soft, hard)]
        for tree, path in sorted(out.facts):
            lines.append('%s %s %s' % (tree, escape(path, True), out.facts[(tree, path)]))
        with open(os.path.join(HERE, self.name + '.host'), 'w') as f:
            f.write('\n'.join(lines) + '\n')


# Devices that many hosts have.
def host_bridge(h, address='0000:00:00.0', group=0, **k):
    return h.add(address, 0x8086, 0x2020, 0x060000, group=group, **k)


def root_port(h, address, group, bus, acs=(ISOLATED | TB, ISOLATED), **k):
    k.setdefault('driver', 'pcieport')
    k.setdefault('link', (4, 16, 4, 16))
    return h.add(address, 0x8086, k.pop('device', 0x2030), 0x060400, port=ROOT, group=group, acs=acs,
                 buses=(bus, k.pop('last', bus)), msi=1, **k)


def nvme(h, address, parent, group, **k):
    k.setdefault('driver', 'nvme')
    return h.add(address, 0x144d, 0xa808, 0x010802, parent=parent, port=ENDPOINT, group=group,
                 flr=True, reset='flr bus', bars=[(0x4000, MEM64)], msix=33, msi=32, pin=1,
                 link=(3, 4, 3, 4), **k)


def desktop_bad_root_complex():
    h = Host('desktop-bad-root', 'consumer desktop: root ports without ACS, one shared by a slot',
             cmdline='quiet intel_iommu=on', memory=(16 << 20, 12 << 20))
    host_bridge(h)
    peg = root_port(h, '0000:00:01.0', 1, 1, acs=None, device=0x1901, multi=True)
    peg1 = root_port(h, '0000:00:01.1', 1, 2, acs=None, device=0x1905, multi=True)
    h.add('0000:00:02.0', 0x8086, 0x3e92, 0x030000, group=2, driver='i915', port=INTEGRATED,
          bars=[(0x1000000, MEM64), None, (0x10000000, MEM64P)], msi=1, pin=1, flr=True,
          files={'boot_vga': '1\n'})
    pch = root_port(h, '0000:00:1c.0', 5, 3, acs=None, device=0xa338, multi=True)
    pch4 = root_port(h, '0000:00:1c.4', 5, 4, acs=None, device=0xa33c, multi=True)
    h.add('0000:00:14.0', 0x8086, 0xa36d, 0x0c0330, group=3, driver='xhci_hcd', multi=True,
          bars=[(0x10000, MEM64)], msi=8, pin=1)
    h.add('0000:00:14.2', 0x8086, 0xa36f, 0x050000, group=3, multi=True, bars=[(0x2000, MEM64)])
    h.add('0000:00:1f.0', 0x8086, 0xa308, 0x060100, group=4, multi=True)
    h.add('0000:00:1f.3', 0x8086, 0xa348, 0x040300, group=4, driver='snd_hda_intel', multi=True,
          bars=[(0x4000, MEM64)], msi=1, pin=1)
    h.add('0000:01:00.0', 0x10de, 0x1e84, 0x030000, parent=peg, port=LEGACY, group=1,
          driver='nouveau', multi=True, bars=[(0x1000000, MEM32), (0x10000000, MEM64P)], msi=1,
          pin=1, reset='bus', link=(3, 16, 3, 16))
    h.add('0000:01:00.1', 0x10de, 0x10f8, 0x040300, parent=peg, port=ENDPOINT, group=1,
          driver='snd_hda_intel', multi=True, bars=[(0x4000, MEM32)], msi=1, pin=2, reset='bus')
    nvme(h, '0000:02:00.0', peg1, 1)
    h.add('0000:03:00.0', 0x8086, 0x1533, 0x020000, parent=pch, port=ENDPOINT, group=5,
          driver='igb', bars=[(0x20000, MEM32)], msix=5, flr=True, pin=1)
    nvme(h, '0000:04:00.0', pch4, 5)
    h.write()


def server_acs():
    h = Host('server-acs', 'server with ACS everywhere: each device in a group of its own',
             type='DMA', cmdline='intel_iommu=on iommu.strict=1', memlock=('unlimited', 'unlimited'),
             hugepages={2048: 1024}, files={}, params={})
    host_bridge(h)
    for i in range(4):
        port = root_port(h, '0000:00:%02x.0' % (i + 1), 1 + 2 * i, i + 1)
        nvme(h, '0000:%02x:00.0' % (i + 1), port, 2 + 2 * i, **({'driver': 'vfio-pci'} if i == 3 else {}))
    nic = h.add('0000:05:00.0', 0x8086, 0x158b, 0x020000,
                parent=root_port(h, '0000:00:05.0', 9, 5), port=ENDPOINT, group=10, driver='i40e',
                multi=True, acs=(0, 0), flr=True, bars=[(0x1000000, MEM64P)], msix=129,
                sriov=(64, 0), reset='flr bus')
    h.add('0000:05:00.1', 0x8086, 0x158b, 0x020000, parent=nic.parent, port=ENDPOINT, group=11,
          driver='i40e', multi=True, acs=(0, 0), flr=True, bars=[(0x1000000, MEM64P)], msix=129,
          sriov=(64, 0), reset='flr bus')
    h.write()


def laptop_thunderbolt(name, title, protected, ats):
    h = Host(name, title, memory=(16 << 20, 10 << 20), cmdline='intel_iommu=on')
    host_bridge(h)
    tb = root_port(h, '0000:00:07.0', 1, 1, hotplug=True, last=0x2b,
                   files={'removable': 'fixed\n'})
    up = h.add('0000:01:00.0', 0x8086, 0x15ea, 0x060400, parent=tb, port=UP, group=2,
               driver='pcieport', buses=(2, 0x2b), files={'removable': 'removable\n'})
    down = h.add('0000:02:01.0', 0x8086, 0x15ea, 0x060400, parent=up, port=DOWN, group=3,
                 driver='pcieport', buses=(3, 0x10), acs=(ISOLATED, ISOLATED), hotplug=True,
                 files={'removable': 'removable\n'})
    nvme(h, '0000:03:00.0', down, 4, ats=ats, files={'removable': 'removable\n'})
    nvme(h, '0000:2c:00.0', root_port(h, '0000:00:1d.0', 5, 0x2c), 6)

    def after(o):
        o.text('bus/thunderbolt/devices/domain0/iommu_dma_protection', '%d\n' % protected)
        table = b'DMAR' + struct.pack('<I', 48) + bytes(28) + bytes([38, 5 if protected else 1])
        o.raw('firmware/acpi/tables/DMAR', table + bytes(10))
    h.more(after)
    h.write()


def amd_ivrs():
    h = Host('amd-ivrs', 'AMD server with IVRS: two units, a firmware region on one device',
             units=['ivhd0', 'ivhd1'], tables=['IVRS'], type='DMA', cmdline='quiet', caps='000001ffffffffff',
             log='[ 9.1] nvme 0000:01:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x000e '
             'address=0xfffffff0 flags=0x0020]\n')
    host_bridge(h, unit='ivhd0')
    for i, unit in ((1, 'ivhd0'), (2, 'ivhd1')):
        port = root_port(h, '0000:00:0%d.1' % i, 2 * i - 1, i, unit=unit, multi=True)
        nvme(h, '0000:0%d:00.0' % i, port, 2 * i, unit=unit)
    h.add('0000:00:08.0', 0x1022, 0x1485, 0x088000, port=INTEGRATED, group=5, unit='ivhd1',
          bars=[(0x1000, MEM32)], reset='pm')
    h.regions[5] = '0x00000000bd000000 0x00000000bd0fffff direct\n'
    h.write()


def override_patched():
    h = Host('acs-override', 'desktop with the ACS override patch: groups split by decree',
             cmdline='intel_iommu=on pcie_acs_override=downstream,multifunction')
    host_bridge(h)
    a = root_port(h, '0000:00:01.0', 1, 1, acs=None, multi=True)
    b = root_port(h, '0000:00:01.1', 2, 2, acs=None, multi=True)
    h.add('0000:01:00.0', 0x10de, 0x1e84, 0x030000, parent=a, port=LEGACY, group=3, multi=True,
          driver='vfio-pci', bars=[(0x1000000, MEM32)], msi=1, pin=1, reset='bus')
    h.add('0000:01:00.1', 0x10de, 0x10f8, 0x040300, parent=a, port=ENDPOINT, group=4, multi=True,
          driver='snd_hda_intel', bars=[(0x4000, MEM32)], msi=1, pin=2, reset='bus')
    nvme(h, '0000:02:00.0', b, 5)
    h.write()


def switch_no_acs():
    h = Host('switch-no-acs', 'a switch whose downstream ports have no ACS, one of them with')
    host_bridge(h)
    port = root_port(h, '0000:00:01.0', 1, 1, last=6)
    up = h.add('0000:01:00.0', 0x10b5, 0x8747, 0x060400, parent=port, port=UP, group=2,
               driver='pcieport', buses=(2, 6))
    for i in range(4):
        acs = (ISOLATED, ISOLATED) if i == 3 else (ISOLATED, ISOLATED & ~RR) if i == 2 else None
        down = h.add('0000:02:%02x.0' % (8 + i), 0x10b5, 0x8747, 0x060400, parent=up, port=DOWN,
                     group=3 + i, driver='pcieport', buses=(3 + i, 3 + i), acs=acs)
        nvme(h, '0000:%02x:00.0' % (3 + i), down, 7 if i == 3 else 3 + i)
    h.write()


def nic_sriov():
    h = Host('nic-sriov', 'a NIC with SR-IOV, four VFs made, on bus numbers of their own')
    host_bridge(h)
    port = root_port(h, '0000:00:02.0', 1, 3, last=4)
    pf = h.add('0000:03:00.0', 0x8086, 0x1572, 0x020000, parent=port, port=ENDPOINT, group=2,
               driver='i40e', flr=True, bars=[(0x800000, MEM64P)], msix=129, sriov=(64, 4),
               reset='flr bus', node=0, link=(3, 8, 3, 8))
    for i in range(4):
        # Found through the PF, so below its port; the last two on the virtual bus.
        address = '0000:03:02.%d' % i if i < 2 else '0000:04:00.%d' % i
        h.add(address, 0x8086, 0x154c, 0x020000, parent=port, port=ENDPOINT, group=10 + i,
              driver='vfio-pci' if i == 0 else 'iavf' if i < 3 else None, flr=True, physfn=pf,
              bars=[(0x10000, MEM64P)], msix=5, reset='flr', node=0)
    h.write()


def gpu_audio():
    h = Host('gpu-audio', 'GPU with its audio function, bound half: the sibling blocks',
             memory=(64 << 20, 40 << 20), cgroup=2 << 30,
             log='<3>[ 77.25] DMAR: [DMA Read NO_PASID] Request device [41:00.0] fault addr 0x200000 '
                 '[fault reason 0x06] PTE Read access is not set\n<6>[ 78.0] usb 1-1: new device\n')
    host_bridge(h)
    port = root_port(h, '0000:00:03.0', 1, 0x41)
    h.add('0000:41:00.0', 0x10de, 0x2204, 0x030000, parent=port, port=LEGACY, group=2, multi=True,
          driver='vfio-pci', bars=[(0x1000000, MEM32), (0x800000000, MEM64P), None, (0x2000000, MEM64P)],
          msi=1, pin=1, reset='bus', link=(1, 16, 4, 16))
    h.add('0000:41:00.1', 0x10de, 0x1aef, 0x040300, parent=port, port=ENDPOINT, group=2, multi=True,
          driver='snd_hda_intel', bars=[(0x4000, MEM32)], msi=1, pin=2, reset='bus')
    h.write()


def pci_bridge():
    h = Host('pci-bridge', 'conventional PCI cards behind a PCI Express to PCI bridge')
    host_bridge(h)
    port = root_port(h, '0000:00:1c.0', 1, 4, last=5)
    bridge = h.add('0000:04:00.0', 0x104c, 0x8240, 0x060400, parent=port, port=TO_PCI, group=2,
                   buses=(5, 5))
    h.add('0000:05:00.0', 0x1102, 0x0002, 0x040100, parent=bridge, group=2, driver='snd_emu10k1',
          bars=[(0x20, IO)], pin=1, files={'irq': '17\n'})
    h.add('0000:05:01.0', 0x13f6, 0x8788, 0x040100, parent=bridge, group=2, driver='snd_virtuoso',
          bars=[(0x100, IO)], pin=1, files={'irq': '17\n'})
    h.write()


def no_iommu():
    h = Host('no-iommu', 'the firmware offers no IOMMU', units=[], tables=[], cmdline='quiet',
             remapping=False)
    host_bridge(h, group=None)
    nvme(h, '0000:01:00.0', root_port(h, '0000:00:01.0', None, 1), None)
    h.write()


def iommu_not_on():
    h = Host('iommu-not-on', 'the firmware offers an IOMMU, the kernel does not use it', units=[],
             tables=['DMAR'], cmdline='quiet', remapping=True)
    host_bridge(h, group=None)
    nvme(h, '0000:01:00.0', root_port(h, '0000:00:01.0', None, 1), None)
    h.write()


def noiommu_mode():
    h = Host('noiommu-mode', "VFIO's no-IOMMU mode, in use", units=[], tables=[], remapping=False,
             params={'vfio/parameters/enable_unsafe_noiommu_mode': 'Y\n',
                     'vfio_iommu_type1/parameters/allow_unsafe_interrupts': 'Y\n'})
    host_bridge(h, group=None)
    nvme(h, '0000:01:00.0', root_port(h, '0000:00:01.0', None, 1), 0, driver='vfio-pci', unit=None)
    h.add('0000:00:04.0', 0x8086, 0x1533, 0x020000, group=None, driver='uio_pci_generic',
          bars=[(0x20000, MEM32)], pin=1)

    def after(o):
        o.text('kernel/iommu_groups/0/name', 'vfio-noiommu\n')
        # A process in a container drives the NIC from user space.
        o.link('4711/fd/7', '/dev/uio0', 'proc')
        o.link('4711/ns/mnt', 'mnt:[4026532999]', 'proc')
        o.text('4711/comm', 'dpdk-app\n', 'proc')
    h.more(after)
    h.write()


def xen_like():
    h = Host('xen-like', 'a Xen dom0: the hypervisor keeps the IOMMU for itself', units=[],
             tables=[], cmdline='placeholder root=/dev/sda1', remapping=False)
    host_bridge(h, group=None)
    nvme(h, '0000:01:00.0', root_port(h, '0000:00:01.0', None, 1), None)
    h.more(lambda o: o.text('hypervisor/type', 'xen\n'))
    h.write()


def numa_four():
    h = Host('numa-four', 'four NUMA nodes, a domain each; one device whose node is not said',
             nodes=4, memory=(256 << 20, 200 << 20), units=['dmar0', 'dmar1', 'dmar2', 'dmar3'],
             hugepages={2048: 8192, 1048576: 16})
    for n in range(4):
        a = '%04x:' % n
        port = root_port(h, a + '00:01.0', 2 * n + 1, 1, node=n, unit='dmar%d' % n)
        nvme(h, a + '01:00.0', port, 2 * n + 2, node=-1 if n == 3 else n, unit='dmar%d' % n)
    h.write()


def vanished():
    h = Host('vanished', 'a device was unplugged while its files were read')
    host_bridge(h)
    nvme(h, '0000:01:00.0', root_port(h, '0000:00:01.0', 1, 1), 2)
    port = root_port(h, '0000:00:02.0', 3, 2, hotplug=True)
    gone = nvme(h, '0000:02:00.0', port, 4)

    def after(o):
        for name in ('uevent', 'config', 'resource', 'numa_node', 'enable', 'reset_method', 'driver',
                     'iommu_group', 'iommu'):
            o.put('sys', 'bus/pci/devices/0000:02:00.0/' + name, '! ENOENT')
        o.put('sys', 'bus/pci/devices/0000:02:00.0', '.')
        o.facts = {k: v for k, v in o.facts.items() if 'iommu_groups/4' not in k[1]}
    h.more(after)
    h.write()
    return gone


def hostile():
    h = Host('hostile', 'contents no kernel writes: loops, nonsense, binary, far too much')
    host_bridge(h)
    a = root_port(h, '0000:00:01.0', 1, 1)
    nvme(h, '0000:01:00.0', a, 2)
    nvme(h, '0000:02:00.0', a, 3)
    nvme(h, '0000:03:00.0', a, 4)
    nvme(h, '0000:04:00.0', a, 5)
    nvme(h, '0000:05:00.0', a, 6)

    def after(o):
        d = 'bus/pci/devices/'
        # Two functions, each of which claims to be below the other.
        o.link(d + '0000:02:00.0', '../../../devices/pci0000:00/0000:03:00.0/0000:02:00.0')
        o.link(d + '0000:03:00.0', '../../../devices/pci0000:00/0000:02:00.0/0000:03:00.0')
        # A capability list that points at itself, and one that leaves the space.
        c = bytearray(4096)
        struct.pack_into('<HHHH', c, 0, 0x144d, 0xa808, 6, 0x10)
        c[0x34], c[0x40], c[0x41] = 0x40, 5, 0x40
        struct.pack_into('<I', c, 0x100, 0x1000d | 0x100 << 20)
        o.raw(d + '0000:02:00.0/config', bytes(c))
        c[0x34], c[0xfc], c[0xfd] = 0xfc, 0x10, 0xfc
        struct.pack_into('<I', c, 0x100, 0x1000d | 0xffc << 20)
        struct.pack_into('<I', c, 0xffc, 0x10010 | 0xffc << 20)
        o.raw(d + '0000:03:00.0/config', bytes(c))
        o.raw(d + '0000:04:00.0/config', b'\xff' * 4096)
        o.raw(d + '0000:05:00.0/config', b'\x00\x01')
        o.text(d + '0000:04:00.0/uevent', 'DRIVER=\x1b[31mred\x07\nPCI_CLASS=zz\nPCI_ID=nonsense\n')
        o.text(d + '0000:05:00.0/uevent', 'x' * 5000)
        o.text(d + '0000:04:00.0/resource', 'not numbers at all\n')
        o.text(d + '0000:05:00.0/resource', '0xffffffffffffffff 0x0 0x200\n' * 7)
        o.text(d + '0000:04:00.0/numa_node', '99999999999999999999\n')
        o.text(d + '0000:05:00.0/numa_node', '')
        o.link(d + '0000:04:00.0/iommu_group', '../../../kernel/iommu_groups/-7')
        o.link(d + '0000:05:00.0/iommu_group', '../../../kernel/iommu_groups/99999999999')
        o.text(d + '0000:04:00.0/reset_method', 'flr ' * 100)
        o.raw(d + '0000:05:00.0/reset_method', bytes(range(256)))
        o.text(d + '0000:04:00.0/sriov_totalvfs', '-1\n')
        o.text(d + 'not-an-address/uevent', 'DRIVER=x\n')
        o.text(d + '0000:zz:00.0/uevent', 'DRIVER=x\n')
        o.text('kernel/iommu_groups/2/reserved_regions', '0x1 0x0 msi\nrubbish\n')
        o.text('kernel/iommu_groups/3/type', 'A' * 300)
        o.text('class/iommu/dmar0/intel-iommu/cap', 'zz\n')
        o.text('meminfo', 'MemTotal: lots\nMemAvailable: 99999999999999999999999 kB\n', 'proc')
        o.text('self/status', 'CapEff:\nVmLck:\n', 'proc')
        o.raw('cmdline', bytes(range(1, 256)) * 20, 'proc')
        o.text('kernel/mm/hugepages/hugepages-99999999999999999999kB/nr_hugepages', '1\n')
    h.more(after)
    h.write()


def vmd():
    h = Host('vmd-domain', 'NVMe drives behind an Intel VMD: a 32-bit domain, one owner')
    host_bridge(h)
    owner = h.add('0000:00:0e.0', 0x8086, 0x467f, 0x010400, port=INTEGRATED, group=1, driver='vmd',
                  bars=[(0x2000000, MEM64)], msix=19)
    port = root_port(h, '10000:e0:06.0', 1, 0xe1, root='pci0000:00/%s/pci10000:e0' % owner.address)
    nvme(h, '10000:e1:00.0', port, 1)
    h.write()


def unprivileged():
    h = Host('unprivileged', 'as a user without rights sees a server: 64 bytes of configuration')
    host_bridge(h, see=64)
    port = root_port(h, '0000:00:01.0', 1, 1, see=64)
    nvme(h, '0000:01:00.0', port, 2, see=64)
    nvme(h, '0000:02:00.0', root_port(h, '0000:00:02.0', 3, 2, see=64), 3, see=64)

    def after(o):
        o.put('proc', 'interrupts', '! EACCES')
        o.put('proc', '1/fd', '! EACCES')
        o.put('log', 'kernel', '! EPERM')
        o.facts.pop(('proc', '1/fd/0'))
    h.more(after)
    h.write()


def mixed_slot():
    h = Host('mixed-slot', 'functions of one slot, some with ACS and some without; an event collector')
    host_bridge(h)
    port = root_port(h, '0000:00:01.0', 1, 1)
    for i, acs in enumerate(((0, 0), None, None, (RR | CR, RR | CR))):
        h.add('0000:01:00.%d' % i, 0x15b3, 0x101d, 0x020000, parent=port, port=ENDPOINT, multi=True,
              group=(2, 3, 3, 4)[i], driver='mlx5_core', acs=acs, flr=True,
              bars=[(0x2000000, MEM64P)], msix=64)
    h.add('0000:00:1e.0', 0x8086, 0x09a2, 0x088000, port=INTEGRATED, group=5, multi=True)
    h.add('0000:00:1e.4', 0x8086, 0x0b23, 0x080700, port=COLLECTOR, group=5, multi=True)
    h.write()


if __name__ == '__main__':
    desktop_bad_root_complex()
    server_acs()
    laptop_thunderbolt('laptop-thunderbolt', 'laptop with Thunderbolt, protected by the IOMMU', 1, False)
    laptop_thunderbolt('laptop-open', 'laptop with Thunderbolt, unprotected, ATS on outside', 0, True)
    amd_ivrs()
    override_patched()
    switch_no_acs()
    nic_sriov()
    gpu_audio()
    pci_bridge()
    no_iommu()
    iommu_not_on()
    noiommu_mode()
    xen_like()
    numa_four()
    vanished()
    hostile()
    vmd()
    unprivileged()
    mixed_slot()
