"""Whether the kernel still is as planned: read every namespace back and name each difference.

Nothing is remembered from building: links are known by name, the rest by what it is. The ruleset is compared with the
same ruleset loaded into a namespace made for it, so that nft's own spelling is on both sides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import unified_diff

from sdn.kernel import ruleset, skeleton, sysctl
from sdn.kernel.libnft import Nft
from sdn.kernel.namespaces import NamespaceWorker, create, delete, inside, names
from sdn.kernel.node import LOCAL_PRIORITY, MARK_PRIORITY
from sdn.kernel.owned import TABLE, UNDERLAY
from sdn.kernel.rtnetlink import Netlink
from sdn.plan.state import GATEWAY_MAC, Bridge, Link, NodeState, Plan, Port, Sink, Veth, Vxlan

SCRATCH = "sdn.scratch"
"""The namespace in which the wanted ruleset is loaded for comparison."""

_IPV6_DEFAULT_METRIC = 1024
_SHOWN = 5
_KERNEL = 2
"""RTPROT_KERNEL, the protocol of routes and rules that the kernel makes by itself."""
_OF_LINKS = ("mtu of", "group of")
_ONCE = ("link", *_OF_LINKS)
"""Facts that a name can have only one of: where two differ, one has become the other."""

_ELEMENTS = "elements = {"

Facts = set[tuple[str, ...]]


def drift(plan: Plan) -> list[str]:
    """One sentence for each difference, at most a few of a kind per node; empty when all is as planned."""
    with NamespaceWorker("readback") as worker:
        return worker.run(None, lambda: [sentence for node in plan.values() for sentence in _node(node)])


def _node(state: NodeState) -> Iterator[str]:
    existing = set(names())
    if state.name not in existing:
        yield f"{state.name}: its namespace is gone"
        return
    with inside(state.name):
        is_host = state.role == "host"
        yield from (f"{state.name}: {s}" for s in sysctl.drift(sysctl.HOST if is_host else sysctl.SWITCH))
        with Netlink() as netlink:
            yield from _compare(state.name, planned(state), actual(netlink))
    if is_host:
        yield from _ruleset(state)
    for port in state.ports:
        if port.namespace not in existing:
            yield f"{port.workload}: its namespace is gone"
            continue
        with inside(port.namespace), Netlink() as netlink:
            yield from _compare(port.workload, planned_workload(port), actual(netlink))


def _compare(name: str, wanted: Facts, found: Facts) -> Iterator[str]:
    both = {fact[1] for fact in wanted if fact[0] == "link"} & {fact[1] for fact in found if fact[0] == "link"}
    missing, foreign = (
        {fact for fact in differing if fact[0] not in _OF_LINKS or fact[1] in both}
        for differing in (wanted - found, found - wanted)
    )
    by_name = {fact[:2]: fact for fact in sorted(foreign) if fact[0] in _ONCE}
    changed = {fact: by_name[fact[:2]] for fact in sorted(missing) if fact[0] in _ONCE and fact[:2] in by_name}
    yield from (f"{name}: {_words(now)}, should be {_words(fact[2:])}" for fact, now in changed.items())
    foreign -= set(changed.values())
    for what, facts in (("is missing", missing - set(changed)), ("is not planned", foreign)):
        ordered = sorted(facts)
        yield from (f"{name}: {_words(fact)} {what}" for fact in ordered[:_SHOWN])
        if len(ordered) > _SHOWN:
            yield f"{name}: {len(ordered) - _SHOWN} more {what.replace('is ', '')}"


def _words(fact: tuple[str, ...]) -> str:
    return " ".join(part for part in fact if part)


def actual(netlink: Netlink) -> Facts:
    """What is in a namespace, as words, but for what the kernel puts there by itself: all else may lead packets."""
    links = netlink.links()
    name = {link.index: link.name for link in links}
    facts: Facts = {
        ("link", link.name, link.kind, "up" if link.up else "down", name.get(link.master, "")) for link in links
    }
    facts |= {("mtu of", link.name, str(link.mtu)) for link in links if link.kind}
    facts |= {("group of", link.name, str(link.group)) for link in links if link.group}
    facts |= {("address", a.prefix, name.get(a.index, "?")) for a in netlink.addresses() if not _implied(a.prefix)}
    for route in netlink.routes():
        if route.protocol != _KERNEL:
            hops = ",".join(sorted(f"{name.get(h.index, '?')} {h.via}".strip() for h in route.hops))
            facts.add(_route(route.table, route.prefix, route.kind, hops, route.metric))
    facts |= {
        ("rule", str(r.priority), f"IPv{r.family}", f"{r.mark:#x}", str(r.table))
        for r in netlink.rules()
        if r.protocol != _KERNEL
    }
    facts |= {("neighbour", n.address, n.mac, name.get(n.index, "?")) for n in netlink.neighbours() if n.permanent}
    for entry in netlink.fdb():
        # Without a tunnel's far end, a permanent entry is a bridge's own address or a multicast group of its port.
        if entry.dst or (entry.static and not entry.local):
            facts.add(("fdb", entry.mac, name.get(entry.index, "?"), entry.dst))
    return facts


def planned(state: NodeState) -> Facts:
    """What should be in a node's namespace, in the same words."""
    facts: Facts = {("link", "lo", "", "up", "")}
    facts |= {("link", uplink.name, "veth", "up" if uplink.up else "down", "") for uplink in state.uplinks}
    facts |= {("group of", uplink.name, str(UNDERLAY)) for uplink in state.uplinks}
    facts |= {("link", b.name, "bridge", "up", "") for b in state.links if isinstance(b, Bridge)}
    facts |= {("link", v.name, "vxlan", "up", v.bridge) for v in state.links if isinstance(v, Vxlan)}
    facts |= {("link", port.name, "veth", "up", port.bridge) for port in state.ports}
    sinks = [link for link in state.links if isinstance(link, Sink)]
    facts |= {("link", name, "veth", up, "") for sink in sinks for name, up in ((sink.name, "up"), (sink.far, "down"))}
    devices: list[Veth | Link | Port] = [*state.uplinks, *state.links, *state.ports]
    facts |= {("mtu of", device.name, str(device.mtu)) for device in devices}
    facts |= {("mtu of", sink.far, str(sink.mtu)) for sink in sinks}
    facts |= {("address", _whole(address), "lo") for address in state.loopback}
    facts |= {("address", address, link.name) for link in state.links for address in link.addresses}
    for route in state.routes:
        hops = ",".join(sorted(f"{hop.dev} {hop.via}".strip() for hop in route.nexthops))
        facts.add(_route(route.table, route.prefix, route.kind, hops, route.metric))
    facts |= {("rule", str(MARK_PRIORITY), f"IPv{r.family}", f"{r.mark:#x}", str(r.table)) for r in state.rules}
    if state.role == "host":
        facts |= {("rule", str(LOCAL_PRIORITY), f"IPv{family}", "0x0", "255") for family in (4, 6)}
    facts |= {("neighbour", n.address, n.mac, n.dev) for n in state.neighbours}
    bridged = {v.name for v in state.links if isinstance(v, Vxlan) and v.bridge}
    for entry in state.fdb:
        facts.add(("fdb", entry.mac, entry.dev, entry.dst))
        if entry.dev in bridged:
            facts.add(("fdb", entry.mac, entry.dev, ""))
    return facts


def planned_workload(port: Port) -> Facts:
    """What should be in a workload's namespace; what its user adds there shows as not planned."""
    facts: Facts = {("link", "lo", "", "up", ""), ("link", "eth0", "veth", "up", ""), ("mtu of", "eth0", str(port.mtu))}
    facts |= {("address", address, "eth0") for address in port.addresses}
    for gateway in port.gateways:
        facts.add(_route(254, "::/0" if ":" in gateway else "0.0.0.0/0", "unicast", f"eth0 {gateway}", 0))
    macs = dict.fromkeys(port.gateways, GATEWAY_MAC) | dict(port.peers)
    return facts | {("neighbour", address, mac, "eth0") for address, mac in macs.items()}


def _route(table: int, prefix: str, kind: str, hops: str, metric: int) -> tuple[str, ...]:
    shown = metric or (_IPV6_DEFAULT_METRIC if ":" in prefix else 0)
    # The kernel puts an unreachable IPv6 route on lo.
    return ("route", prefix, f"table {table}", kind, "" if kind == "unreachable" else hops, f"metric {shown}")


def _implied(prefix: str) -> bool:
    return prefix in ("127.0.0.1/8", "::1/128")


def _whole(address: str) -> str:
    return address if "/" in address else f"{address}/{128 if ':' in address else 32}"


def _ruleset(state: NodeState) -> Iterator[str]:
    with inside(state.name), Nft() as nft:
        found = _sorted(_apart(_comparable(nft.run("list ruleset", stateless=True).splitlines())))
    with _scratch(), Nft() as nft:
        nft.run(skeleton.tables())
        nft.run_chunks(list(ruleset.populate(state)))
        if any(skeleton.TRANSLATES in line for line in found):  # it may have had a Service
            nft.run(skeleton.translation())
        wanted = _sorted(_apart(nft.run("list ruleset", stateless=True).splitlines()))
    changes = [line for line in unified_diff(wanted, found, lineterm="", n=0) if line[:2] not in ("--", "++", "@@")]
    for line in changes[:_SHOWN]:
        what = "is missing" if line.startswith("-") else "is not planned"
        yield f"{state.name}: nft {line[1:].strip()} {what}"
    if len(changes) > _SHOWN:
        yield f"{state.name}: {len(changes) - _SHOWN} more nft lines differ"


def _comparable(listing: list[str]) -> Iterator[str]:
    """Without our losses of cables: they name devices, which the namespace for comparison lacks."""
    skipping = False
    for line in listing:
        skipping = skipping or line.startswith(f"table netdev {TABLE} ")
        if not skipping:
            yield line
        skipping = skipping and line != "}"


def _apart(listing: Iterable[str]) -> Iterator[str]:
    """With a line for each element, which says of what set or map it is: as nft lists them, where one is missing the
    next stands beside another bracket, and differs, too."""
    name, listed = "", False
    for line in listing:
        text = line.strip()
        if line.startswith("\t") and not line.startswith("\t\t") and " " in text:
            name = text.split()[1]
        if text.startswith(_ELEMENTS):
            listed, text = True, text.removeprefix(_ELEMENTS)
        if not listed:
            yield line
            continue
        yield from (f"\t\telement of {name}: {one.strip()}" for one in text.strip("},").split(",") if one.strip())
        listed = not text.endswith("}")


def _sorted(listing: Iterable[str]) -> list[str]:
    """With the sets and chains of each table by name: nft lists them as they came, which is nobody's plan."""
    found: list[str] = []
    blocks: list[list[str]] = []
    for line in listing:
        if line.startswith("\t"):
            if not line.startswith("\t\t") and line != "\t}":
                blocks.append([])
            blocks[-1].append(line)
        elif line:
            found += [inner for block in sorted(blocks) for inner in block]
            blocks = []
            found.append(line)
    return found


@contextmanager
def _scratch() -> Iterator[None]:
    create([SCRATCH])
    try:
        with inside(SCRATCH):
            yield
    finally:
        delete([SCRATCH])
