#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""report.py FACTS OUT SECONDS: the demo's facts, in short on the terminal and as one self-contained page."""
import html
import pathlib
import re
import sys
import time

CSS = """
:root { --ink: #16212e; --soft: #5b6875; --line: #dfe5eb; --paper: #fff; --ground: #f4f6f8;
  --blue: #2563a8; --pale: #a9c4e2; --green: #1d7f4e; --red: #b3342d; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 1060px; margin: 0 auto; padding: 48px 28px 72px; }
h1 { font-size: 34px; line-height: 1.2; margin: 0 0 8px; letter-spacing: -0.02em; }
h2 { font-size: 21px; margin: 0 0 6px; letter-spacing: -0.01em; }
p { margin: 0 0 14px; max-width: 74ch; }
.soft { color: var(--soft); }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 12px;
  padding: 26px 28px; margin-top: 22px; }
.cards { display: grid; grid-template-columns: repeat(4, 1fr); gap: 14px; margin-top: 28px; }
.card { background: var(--paper); border: 1px solid var(--line); border-radius: 12px; padding: 18px 20px; }
.card b { display: block; font-size: 31px; line-height: 1.2; letter-spacing: -0.02em; color: var(--blue); }
.card span { color: var(--soft); font-size: 14px; line-height: 1.4; display: block; margin-top: 4px; }
.card.good b { color: var(--green); }
figure { margin: 12px 0 0; overflow-x: auto; }
figcaption { color: var(--soft); font-size: 14px; margin-top: 8px; }
.talk { display: grid; grid-template-columns: 1fr 1fr; gap: 14px; margin-top: 14px; }
.talk div { border-left: 4px solid var(--pale); padding: 4px 0 4px 14px; }
.talk div + div { border-color: var(--green); }
.talk q { display: block; font-size: 17px; }
table { border-collapse: collapse; width: 100%; margin-top: 8px; font-size: 15px; }
th { text-align: left; color: var(--soft); font-weight: 500; font-size: 13px; }
th, td { padding: 7px 14px 7px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
code, pre { font: 12.5px/1.55 ui-monospace, "DejaVu Sans Mono", monospace; }
pre { font-size: 11.5px; background: #10202f; color: #e4ecf4; border-radius: 8px; padding: 14px 16px; white-space: pre-wrap; margin: 14px 0 0; }
.no { color: var(--green); font-weight: 600; }
svg.chart text { font: 14px system-ui, "DejaVu Sans", sans-serif; fill: var(--ink); }
svg.chart .soft { fill: var(--soft); }
svg { max-width: 100%; height: auto; }
@media (max-width: 760px) { .cards, .talk { grid-template-columns: 1fr 1fr; } .talk { grid-template-columns: 1fr; } }
"""


def escape(text):
    return html.escape(str(text))


def read_facts(path):
    """Lines "KEY VALUE"; those of a load are "native d1_iops 123.4", the best of several."""
    facts, loads = {}, {"native": {}, "guest": {}}
    for line in path.read_text().splitlines():
        key, _, value = line.partition(" ")
        if key in loads:
            name, figure = value.split()
            loads[key][name] = max(float(figure), loads[key].get(name, 0))
        else:
            facts[key] = value
    return facts, loads


def read_stats(path):
    """{section: {name: number}} as airlock run --stats prints it."""
    sections, section = {}, None
    for line in path.read_text().splitlines():
        if not line.startswith(" "):
            section = sections.setdefault(line, {})
            continue
        found = re.match(r"  (.*?) +(\d+)$", line)
        if found:
            section[found[1]] = int(found[2])
    return sections


def number(value):
    if value >= 100:
        return f"{value:,.0f}".replace(",", "\u202f")
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def bars(rows, unit, width=960, label=190):
    """Horizontal bars: rows of (label, value, colour)."""
    top = max(value for _, value, _ in rows) or 1
    room = width - label - 140
    out = [f'<svg class="chart" viewBox="0 0 {width} {len(rows) * 34}" width="{width}" role="img">']
    for i, (name, value, colour) in enumerate(rows):
        y = i * 34
        length = max(room * value / top, 2)
        out.append(f'<text x="{label - 14}" y="{y + 21}" text-anchor="end" class="soft">{escape(name)}</text>')
        out.append(f'<rect x="{label}" y="{y + 5}" width="{length:.1f}" height="23" rx="4" fill="{colour}"/>')
        out.append(f'<text x="{label + length + 10:.1f}" y="{y + 21}">{number(value)} {escape(unit)}</text>')
    out.append("</svg>")
    return "\n".join(out)


def paths(demo, attempts):
    """The three ways between guest, device and memory."""
    maps = demo.mapped.get("map_ioctls", 0)
    return f"""<svg class="chart" viewBox="0 0 1000 290" width="1000" role="img">
<defs>
<marker id="blue" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto-start-reverse">
<path d="M0 0L10 5L0 10z" fill="#2563a8"/></marker>
<marker id="green" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto-start-reverse">
<path d="M0 0L10 5L0 10z" fill="#1d7f4e"/></marker>
</defs>
<rect x="2" y="12" width="290" height="132" rx="10" fill="#eef4fa" stroke="#2563a8" stroke-width="1.5"/>
<text x="22" y="44" style="font-weight:600">The guest</text>
<text x="22" y="68" class="soft">stock kernel, its own driver</text>
<text x="22" y="118" class="soft">its RAM, {demo.mapped.get("mapped_bytes", 0) >> 20} MiB</text>
<rect x="2" y="186" width="290" height="92" rx="10" fill="#fbf1f0" stroke="#b3342d" stroke-width="1.5"/>
<text x="22" y="218" style="font-weight:600">All other memory</text>
<text x="22" y="242" class="soft">the host's, with its secret</text>
<rect x="476" y="86" width="48" height="192" rx="8" fill="#16212e"/>
<text transform="translate(505 182) rotate(-90)" text-anchor="middle" style="fill:#fff;font-weight:600">IOMMU</text>
<rect x="728" y="12" width="270" height="266" rx="10" fill="#f4f6f8" stroke="#5b6875" stroke-width="1.5"/>
<text x="748" y="44" style="font-weight:600">The device</text>
<text x="748" y="68" class="soft">a PCI function of its own,</text>
<text x="748" y="90" class="soft">reset before and after</text>
<path d="M296 44H722" stroke="#2563a8" stroke-width="2.5" fill="none" marker-end="url(#blue)"/>
<text x="508" y="34" text-anchor="middle">registers: loads and stores, no exit</text>
<path d="M724 112H528M472 112H298" stroke="#1d7f4e" stroke-width="2.5" fill="none" marker-end="url(#green)"/>
<text x="626" y="102" text-anchor="middle">DMA</text>
<text x="384" y="102" text-anchor="middle">{maps} mapping{"s" if maps != 1 else ""}</text>
<path d="M724 232H534" stroke="#b3342d" stroke-width="2.5" fill="none"/>
<path d="M530 224L546 240M546 224L530 240" stroke="#b3342d" stroke-width="3" fill="none"/>
<path d="M468 232H298" stroke="#d3d9df" stroke-width="2" stroke-dasharray="3 6" fill="none"/>
<text x="636" y="222" text-anchor="middle">DMA elsewhere</text>
<text x="384" y="222" text-anchor="middle" class="soft">{attempts} tried, 0 passed</text>
</svg>"""


def topology(svg):
    """The picture's style must not reach the rest of the page."""
    svg = svg[svg.index("<svg"):]

    def scoped(found):
        rules = re.findall(r"([^{}]+)(\{[^}]*\})", found[1])
        return "<style>" + "".join(".topology " + ", .topology ".join(select.split(",")) + rule
                                   for select, rule in rules) + "</style>"

    return '<div class="topology">' + re.sub(r"<style>(.*?)</style>", scoped, svg, flags=re.S) + "</div>"


class Demo:
    def __init__(self, folder):
        self.folder = folder
        self.facts, self.loads = read_facts(folder / "facts")
        self.attacks = self.read_attacks()
        self.faults = [re.sub(r"^\[ *[\d.]+\] ", "", line) for line in (folder / "faults").read_text().splitlines()]
        self.phases = read_stats(folder / "stats.before.1")["start-up phases (microseconds)"]
        self.mapped = read_stats(folder / "stats.before.1").get("DMA mappings", {})

    def read_attacks(self):
        """One row an address: what the device got from there; whether a write was sent."""
        rows = {}
        for line in (self.folder / "attacks").read_text().splitlines():
            found = re.match(r"edu: (read|write) (0x[0-9a-f]+): (.*)", line)
            if found:
                rows.setdefault(found[2], {})[found[1]] = found[3]
        return rows

    def reads(self, depth):
        return 2000

    def exits(self, depth):
        """Per read: exits that Airlock saw, and all that KVM saw."""
        before = read_stats(self.folder / f"stats.before.{depth}")
        after = read_stats(self.folder / f"stats.after.{depth}")
        kvm = "KVM's counters, all vCPUs"
        seen = "exits to user space by reason"
        return [(after[section].get(name, 0) - before[section].get(name, 0)) / self.reads(depth)
                for section, name in ((seen, "total"), (kvm, "exits"))]

    def share(self, name):
        """Of the host's own figure, in per cent."""
        return 100 * self.loads["guest"][name] / self.loads["native"][name]

    def fault(self, address, kind):
        page = int(address, 16) & ~0xfff
        for line in self.faults:
            found = re.search(r"\[DMA (Read|Write).*fault addr (0x[0-9a-f]+)", line)
            if found and found[1].lower() == kind and int(found[2], 16) & ~0xfff == page:
                return line
        return None


def print_short(demo):
    total = demo.phases["total"] / 1000
    rest = ", ".join(f"{name} {us / 1000:.1f}" for name, us in demo.phases.items() if name != "total")
    print(f"  start-up         {total:.1f} ms to the guest's first instruction ({rest})")
    print(f"  1 MiB reads      {demo.loads['guest']['large_mibs']:.0f} MiB/s in the guest, "
          f"{demo.share('large_mibs'):.0f} % of native")
    for depth in (1, 32):
        airlock, kvm = demo.exits(depth)
        name = f"d{depth}_iops"
        print(f"  4 KiB reads      depth {depth}: {demo.loads['guest'][name]:.0f}/s in the guest, "
              f"{demo.share(name):.0f} % of native; exits per read: {airlock:.2f} to Airlock, {kvm:.2f} to KVM")
    print(f"  hostile guest    {2 * len(demo.attacks)} attempts at {len(demo.attacks)} addresses, none came through; "
          f"the host's secret is {demo.facts['witness']}")


def card(value, text, good=False):
    return f'<div class="card{" good" if good else ""}"><b>{value}</b><span>{escape(text)}</span></div>'


def attack_rows(demo):
    whose = {demo.facts["secret"]: "a secret of the host"}
    for address, got in demo.attacks.items():
        text = got.get("read", "").strip(".")
        blocked = []
        for kind in ("read", "write"):
            fault = demo.fault(address, kind)
            blocked.append('<td><span class="no">blocked</span> by the IOMMU</td>' if fault else "<td>not reported</td>")
        what = whose.get(address, "the first page beyond its RAM" if int(address, 16) == 0x8000000 else "host memory")
        yield (f"<tr><td><code>{escape(address)}</code></td><td>{escape(what)}</td>{blocked[0]}"
               f"<td><code>{escape(text[:18]) or '(nothing)'}</code></td>{blocked[1]}</tr>")


def page(demo, seconds):
    blue, pale = "#2563a8", "#a9c4e2"
    facts = demo.facts
    found = facts["found"].split()
    exits = {depth: demo.exits(depth) for depth in (1, 32)}
    phases = [(name, us / 1000, blue) for name, us in demo.phases.items() if name != "total"]
    reads = []
    for depth in (1, 32):
        reads.append((f"depth {depth}, host", demo.loads["native"][f"d{depth}_iops"], pale))
        reads.append((f"depth {depth}, guest", demo.loads["guest"][f"d{depth}_iops"], blue))
    large = [("host", demo.loads["native"]["large_mibs"], pale), ("guest", demo.loads["guest"]["large_mibs"], blue)]
    mapped = demo.mapped.get("mapped_bytes", 0) >> 20
    maps = demo.mapped.get("map_ioctls", 0)
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        '<meta name=viewport content="width=device-width, initial-scale=1">',
        f"<title>Airlock demo</title><style>{CSS}</style><main>",
        "<h1>A real PCI device in a virtual machine,<br>and nothing else of the host</h1>",
        f'<p class="soft">What <code>make demo</code> saw on {time.strftime("%-d %B %Y at %H:%M")}, '
        f"in {seconds // 60} min {seconds % 60} s. The server is emulated in software, the kernels, VFIO and drivers are real: "
        "compare figures within this page only.</p>",
        '<div class="cards">',
        card(f"{demo.share('large_mibs'):.0f}&thinsp;%", "of the host's own throughput in the guest, by reads of 1 MiB"),
        card(number(exits[1][0]), "exits to Airlock per read: doorbells and interrupts do not pass through it", True),
        card(f"{demo.phases['total'] / 1000:.0f}&thinsp;ms", "from start to the guest's first instruction, the device assigned"),
        card(f"{2 * len(demo.attacks)} of {2 * len(demo.attacks)}", "attempts by a hostile guest's device at foreign memory blocked", True),
        "</div>",
        "<section><h2>What passes, and what does not</h2>",
        f"<figure>{paths(demo, 2 * len(demo.attacks))}</figure></section>",
        "<section><h2>The server</h2>",
        f"<p>Drawn by <code>airlock topology --svg</code>. The virtual function <code>{escape(facts['device'])}</code> "
        "of the NVMe drive goes to the guest; <code>edu</code>, which does DMA anywhere, to the hostile one.</p>",
        f"<figure>{topology((demo.folder / 'topology.svg').read_text())}</figure></section>",
        "<section><h2>The guest uses its drive</h2>",
        f"<p>A stock Debian kernel found it at <code>{escape(found[0])}</code> with its own <code>{escape(found[1])}</code> driver. "
        "Host and guest left each other a block.</p>",
        f'<div class="talk"><div><span class="soft">host wrote, guest read</span><q>{escape(facts["greeting"])}</q></div>'
        f'<div><span class="soft">guest wrote, host read</span><q>{escape(facts["answer"])}</q></div></div></section>',
        "<section><h2>How fast</h2><p>The same program on the host and in the guest: reads of 1 MiB, then random reads of 4 KiB, "
        "1 and 32 at a time.</p>",
        f"<figure>{bars(large, 'MiB/s')}</figure>",
        f"<figure>{bars(reads, 'reads/s')}<figcaption>{demo.share('large_mibs'):.0f} % of the host's rate by large reads, "
        f"{demo.share('d1_iops'):.0f} % and {demo.share('d32_iops'):.0f} % by small ones. Each small read is an interrupt, and an "
        "interrupt into a guest is what an emulated server is slowest at: <code>make bench</code> compares with QEMU's "
        "passthrough on the same server.</figcaption></figure>",
        '<table><tr><th>exits per read<th class="number">depth 1<th class="number">depth 32</tr>',
        f'<tr><td>to Airlock<td class="number">{number(exits[1][0])}<td class="number">{number(exits[32][0])}</tr>',
        f'<tr><td>to KVM, all reasons (timers, idling and interrupts too)<td class="number">{number(exits[1][1])}'
        f'<td class="number">{number(exits[32][1])}</tr></table></section>',
        "<section><h2>How it starts</h2>",
        f"<p>Milliseconds of each phase. {mapped} MiB of guest RAM were mapped for the device by {maps} "
        f"call{'s' if maps != 1 else ''}.</p>",
        f"<figure>{bars(phases, 'ms')}</figure></section>",
        "<section><h2>What a hostile guest gets</h2>",
        "<p>Its device does DMA at any address that it is told. Memory of the guest's own passed through the device; "
        "everything else ended at the IOMMU.</p>",
        "<table><tr><th>address<th>what lies there<th>read<th>what the device got<th>write</tr>",
        *attack_rows(demo),
        "</table>",
        f'<pre>{escape(chr(10).join(demo.faults))}</pre>',
        f'<p style="margin-top:14px">After the attack the host\'s secret was <b class="no">{escape(facts["witness"])}</b>.</p>'
        "</section>",
        "</main></html>",
    ]
    return "\n".join(parts)


def main():
    folder, out, seconds = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
    demo = Demo(folder)
    print_short(demo)
    out.write_text(page(demo, seconds))
    print(f"  {out} ({out.stat().st_size // 1024} KiB, nothing else needed to show it)")


if __name__ == "__main__":
    main()
